//! The Graph Store Protocol (SPARQL 1.1 Graph Store HTTP Protocol), with graphs named in the URL's parameters
//! (`?graph=IRI`, `?default`) or by the URL itself.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use oxigraph::{
    io::RdfFormat,
    model::{GraphName, NamedNode, NamedOrBlankNodeRef, Quad},
};

use super::{
    Body, Inner, STORE_PATH, access,
    body::{self, CancelOnDrop},
    negotiate::Accept,
    no_content,
    problem::{Problem, graph_not_found, internal, invalid, invalid_iri, method_not_allowed},
    resource,
    results::Document,
    revision_header,
    upload::{self, Target},
};
use crate::{
    facts::{Reified, document},
    graph::{Batch, Draft, GraphPattern, Pattern, Snapshot},
    knowledge::{CommitRequest, Committed},
    model::access::Access,
    rdf::{Format, Parsed},
    sparql::{Interrupt, SparqlError},
};

const ALLOWED: &str = "GET, HEAD, PUT, POST, DELETE, OPTIONS";
/// Quads between two looks at the clock.
const QUADS_PER_CHECK: usize = 1_024;

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Resource {
    /// All graphs.
    Store,
    Default,
    Named(NamedNode),
}

/// Answers a request to the graph store.
pub(super) async fn answer(api: &Inner, parts: &Parts, body: Incoming) -> Result<Response<Body>, Problem> {
    let about = about(parts)?;
    match (&parts.method, about) {
        (&Method::GET | &Method::HEAD, about) => get(api, parts, about).await,
        (&Method::PUT | &Method::DELETE, Resource::Store) => Err(invalid(
            "name a graph: `?graph=IRI`, or `?default` for the default graph",
        )),
        (&Method::PUT, about) => put_or_post(api, parts, body, about, true).await,
        (&Method::POST, Resource::Store) => post_to_store(api, parts, body).await,
        (&Method::POST, about) => put_or_post(api, parts, body, about, false).await,
        (&Method::DELETE, about) => delete(api, access(parts)?, about).await,
        (method, _) => Err(method_not_allowed(method, ALLOWED)),
    }
}

/// Reads what a request is about (section 4).
fn about(parts: &Parts) -> Result<Resource, Problem> {
    let mut named = Vec::new();
    let mut is_default = false;
    for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
        match &*name {
            "graph" => named.push(NamedNode::new(&*value).map_err(|_| invalid_iri("graph", &value))?),
            "default" => is_default = true,
            _ => {}
        }
    }
    let path = parts.uri.path();
    if path.trim_end_matches('/') != STORE_PATH {
        named.push(resource(parts, path)?);
    }
    match (named.len(), is_default) {
        (0, false) => Ok(Resource::Store),
        (0, true) => Ok(Resource::Default),
        (1, false) => Ok(Resource::Named(named.swap_remove(0))),
        _ => Err(invalid(
            "a request is about one graph: one `graph`, `default` or path",
        )),
    }
}

async fn get(api: &Inner, parts: &Parts, about: Resource) -> Result<Response<Body>, Problem> {
    let accept = Accept::of(&parts.headers);
    let view = api.knowledge.read(&access(parts)?);
    let (pattern, format) = match &about {
        Resource::Store => (GraphPattern::Any, accept.quads()?),
        Resource::Default => (GraphPattern::Default, accept.triples()?),
        Resource::Named(graph) => (
            existing(&view.snapshot, graph).ok_or_else(|| graph_not_found(graph.as_str()))?,
            accept.triples()?,
        ),
    };
    let is_one_graph = about != Resource::Store;
    let is_reified = is_reified(parts)?;
    let ticket = api.admit("Read a graph over HTTP", parts, "")?;
    let (chunks, reply) = body::open(ticket.interrupt());
    ticket.start(move |ticket| {
        let snapshot = &view.snapshot;
        let reified = is_reified.then(|| Reified::new(snapshot));
        let quads = document(snapshot, Pattern::all(pattern), format.0.has_pieces());
        let quads = quads.filter_map(|quad| {
            let quad = match reified {
                Some(reified) => reified.quad(quad)?,
                None => snapshot.quad(quad),
            };
            Some(Quad {
                graph_name: if is_one_graph {
                    GraphName::DefaultGraph
                } else {
                    quad.graph_name
                },
                ..quad
            })
        });
        Document::new(chunks, view.revision, ticket.interrupt()).quads(format, !is_one_graph, quads, &ticket);
    })?;
    reply.response().await
}

/// Reads whether statements are to be written as RDF 1.2 does.
fn is_reified(parts: &Parts) -> Result<bool, Problem> {
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    match form_urlencoded::parse(query).find(|(name, _)| name == "statements") {
        None => Ok(false),
        Some((_, value)) if value == "reified" => Ok(true),
        Some((_, value)) => Err(invalid(format!("`statements` is `reified`, not `{value}`"))),
    }
}

fn existing(snapshot: &Snapshot, graph: &NamedNode) -> Option<GraphPattern> {
    snapshot
        .iri_id(graph.as_str())
        .filter(|&id| snapshot.contains_named_graph(id))
        .map(GraphPattern::Named)
}

impl Resource {
    /// Returns the pattern of its quads; `None` if it does not exist.
    fn pattern(&self, snapshot: &Snapshot) -> Option<GraphPattern> {
        match self {
            Self::Store => Some(GraphPattern::Any),
            Self::Default => Some(GraphPattern::Default),
            Self::Named(graph) => existing(snapshot, graph),
        }
    }

    fn graph(&self) -> Option<&NamedNode> {
        match self {
            Self::Store | Self::Default => None,
            Self::Named(graph) => Some(graph),
        }
    }
}

/// Puts documents in the place of a graph (section 5.3), or adds them to it (section 5.5).
async fn put_or_post(
    api: &Inner,
    parts: &Parts,
    body: Incoming,
    about: Resource,
    replaces: bool,
) -> Result<Response<Body>, Problem> {
    let base = match about.graph() {
        Some(graph) => graph.clone(),
        None => resource(parts, STORE_PATH)?,
    };
    let target = Target {
        base,
        graph: about.graph().cloned(),
        takes_data_sets: false,
    };
    let documents = upload::read(api, parts, body, &target).await?;
    let (committed, existed) =
        commit(api, access(parts)?, about, Change::Write { documents, replaces }).await?;
    let status = if existed {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::CREATED
    };
    Ok(written(status, committed))
}

/// Makes a new graph of documents (section 5.5); those of a data set go to the graphs that they name.
async fn post_to_store(api: &Inner, parts: &Parts, body: Incoming) -> Result<Response<Body>, Problem> {
    let format = upload::format(&parts.headers)?;
    if matches!(
        format,
        Some(Format::Jelly | Format::Text(RdfFormat::NQuads | RdfFormat::TriG))
    ) {
        let target = Target {
            base: resource(parts, STORE_PATH)?,
            graph: None,
            takes_data_sets: true,
        };
        let documents = upload::read(api, parts, body, &target).await?;
        let change = Change::Write {
            documents,
            replaces: false,
        };
        let (committed, _) = commit(api, access(parts)?, Resource::Store, change).await?;
        return Ok(written(StatusCode::NO_CONTENT, committed));
    }
    let number = getrandom::u64().map_err(|error| internal(&error))?;
    let graph = resource(parts, &format!("{STORE_PATH}/{number:016x}"))?;
    let location = HeaderValue::from_str(graph.as_str()).map_err(|error| internal(&error))?;
    let mut response = put_or_post(api, parts, body, Resource::Named(graph), false).await?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// Deletes a graph (section 5.4); the default graph, which always exists, is emptied.
async fn delete(api: &Inner, access: Access, about: Resource) -> Result<Response<Body>, Problem> {
    let (committed, existed) = commit(api, access, about.clone(), Change::Delete).await?;
    match about.graph() {
        Some(graph) if !existed => Err(graph_not_found(graph.as_str())),
        _ => Ok(written(StatusCode::NO_CONTENT, committed)),
    }
}

enum Change {
    Write { documents: Vec<Parsed>, replaces: bool },
    Delete,
}

/// Commits a change; tells whether the graph was there before it.
async fn commit(
    api: &Inner,
    access: Access,
    about: Resource,
    change: Change,
) -> Result<(Committed, bool), Problem> {
    let interrupt = api.interrupt();
    let _cancel = CancelOnDrop(interrupt.clone());
    let existed = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&existed);
    let memory_bytes_max = api.memory_bytes_max();
    let request = CommitRequest::new(access, move |draft: &mut Draft| {
        let pattern = about.pattern(draft.snapshot());
        seen.store(pattern.is_some(), Ordering::Release);
        let mut batch = Batch::default();
        if let (Some(pattern), Change::Delete | Change::Write { replaces: true, .. }) = (pattern, &change) {
            remove(
                draft.snapshot(),
                pattern,
                &interrupt,
                memory_bytes_max,
                &mut batch,
            )?;
        }
        let graph = about
            .graph()
            .map(|graph| NamedOrBlankNodeRef::from(graph.as_ref()));
        match (&change, graph) {
            (Change::Delete, Some(graph)) => batch.drop_graph(graph),
            // An empty document makes an empty graph.
            (Change::Write { .. }, Some(graph)) => batch.create_graph(graph),
            (_, None) => {}
        }
        draft.apply(&batch);
        if let Change::Write { documents, .. } = &change {
            for document in documents {
                draft.apply(&document.batch);
            }
        }
        Ok::<_, SparqlError>(())
    });
    let committed = api.knowledge.commit(request).await?;
    Ok((committed, existed.load(Ordering::Acquire)))
}

fn remove(
    snapshot: &Snapshot,
    pattern: GraphPattern,
    interrupt: &Interrupt,
    memory_bytes_max: u64,
    batch: &mut Batch,
) -> Result<(), SparqlError> {
    for (number, quad) in snapshot.quads(Pattern::all(pattern)).enumerate() {
        if number.is_multiple_of(QUADS_PER_CHECK) {
            interrupt.check()?;
            if batch.memory_bytes() > memory_bytes_max {
                return Err(SparqlError::MemoryExceeded { memory_bytes_max });
            }
        }
        batch.remove(snapshot.quad(quad).as_ref());
    }
    Ok(())
}

fn written(status: StatusCode, committed: Committed) -> Response<Body> {
    let mut response = no_content();
    *response.status_mut() = status;
    revision_header(response.headers_mut(), committed.revision);
    response
}
