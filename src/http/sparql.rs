//! The SPARQL 1.1 Protocol: queries and updates on one endpoint.

use http::{HeaderValue, Method, Response, header, request::Parts};
use http_body::Body as _;
use hyper::body::Incoming;
use serde_json::json;
use tokio::{sync::oneshot, time::timeout_at};

use super::{
    Body, Inner, SPARQL_PATH,
    body::{self, CancelOnDrop},
    description,
    negotiate::{Accept, media_type},
    problem::{Problem, body_timeout, internal, invalid, overloaded, too_large, unsupported_media_type},
    protocol::{self, Content, Graphs, Operation},
    resource, results, revision_header, upload,
};
use crate::{
    intake,
    knowledge::CommitRequest,
    sparql::{Interrupt, Parameters, ParsedUpdate, Query, SparqlError, Ticket, UsingConflict},
};

/// Answers a request to the endpoint. What comes of it is of the memory that requests have together.
pub(super) async fn answer(api: &Inner, parts: &Parts, body: Incoming) -> Result<Response<Body>, Problem> {
    api.intake.hold().during(operate(api, parts, body)).await
}

async fn operate(api: &Inner, parts: &Parts, body: Incoming) -> Result<Response<Body>, Problem> {
    let interrupt = api.interrupt();
    let content = match parts.method {
        Method::POST => Some(content(api, parts, body, &interrupt).await?),
        _ => None,
    };
    let operation = protocol::operation(&parts.method, parts.uri.query(), content)?;
    let endpoint = resource(parts, SPARQL_PATH)?;
    match operation {
        Operation::Query {
            text,
            graphs,
            min_revision,
        } => {
            let query = Query {
                text,
                default_graphs: graphs.default,
                named_graphs: graphs.named,
                ..Query::default()
            };
            let ticket = api.admit("Query over HTTP", parts, &query.text)?;
            let ticket = ticket.with_base_iri(endpoint.as_str());
            let deadline = ticket.interrupt().deadline();
            let reading = api
                .knowledge
                .read_at_least(ticket.access(), min_revision, deadline);
            let view = reading.await?;
            let (chunks, reply) = body::open(ticket.interrupt());
            let accept = Accept::of(&parts.headers);
            ticket.start(move |ticket| results::run(ticket, &query, &view, accept, chunks))?;
            reply.response().await
        }
        Operation::Update { text, using } => update(api, parts, text, using, endpoint.as_str()).await,
        Operation::Describe => {
            let format = Accept::of(&parts.headers).triples()?;
            let ticket = api.admit("Describe over HTTP", parts, "")?;
            let (chunks, reply) = body::open(ticket.interrupt());
            let revision = api.knowledge.revision();
            ticket.start(move |ticket| {
                let quads = description::of(&endpoint).into_iter();
                results::Document::new(chunks, revision, ticket.interrupt())
                    .quads(format, false, quads, &ticket);
            })?;
            reply.response().await
        }
    }
}

/// Reads a body that fits into memory, at the pace that requests have.
async fn content(
    api: &Inner,
    parts: &Parts,
    body: Incoming,
    interrupt: &Interrupt,
) -> Result<Content, Problem> {
    let media_type = media_type(&parts.headers)?;
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(unsupported_media_type(
            "SPARQL must be sent without Content-Encoding",
        ));
    }
    let receiving = receive(api, body);
    let bytes = match interrupt.deadline() {
        Some(deadline) => timeout_at(deadline.into(), receiving)
            .await
            .map_err(|_| body_timeout())?,
        None => receiving.await,
    };
    let bytes = bytes?;
    Ok(Content { media_type, bytes })
}

/// Returns all bytes of a body. The room for it is taken of what the request at hand holds.
async fn receive(api: &Inner, mut body: Incoming) -> Result<Vec<u8>, Problem> {
    let mut pace = api.intake.pace();
    let bytes_expected = body.size_hint().exact().unwrap_or(u64::MAX);
    let mut whole = intake::Body::default();
    while let Some(piece) = timeout_at(pace.deadline(), upload::next(&mut body))
        .await
        .map_err(|_| body_timeout())??
    {
        pace.came(piece.len() as u64);
        if piece.len() > api.body_bytes_max - whole.bytes().len() {
            return Err(too_large(api.body_bytes_max));
        }
        if !whole.add(&piece, bytes_expected) {
            return Err(overloaded(intake::FULL));
        }
    }
    Ok(whole.into())
}

async fn update(
    api: &Inner,
    parts: &Parts,
    text: String,
    using: Graphs,
    base_iri: &str,
) -> Result<Response<Body>, Problem> {
    let ticket = api
        .admit("Update over HTTP", parts, &text)?
        .with_base_iri(base_iri);
    let interrupt = ticket.interrupt().clone();
    // The caller's end ends the work, as far as it has not been done.
    let _cancel = CancelOnDrop(interrupt.clone());
    // Held to the end: until then the update is listed.
    let (ticket, update) = parse(ticket, text).await?;
    let mut update = update?;
    if !using.is_empty() {
        update = update
            .using(&using.default, &using.named)
            .map_err(|error: UsingConflict| invalid(error.to_string()))
            .inspect_err(|problem| ticket.end(problem.reason()))?;
    }
    let plan = update.plan(interrupt, api.memory_bytes_max());
    let request = CommitRequest::new(ticket.access().clone(), plan);
    let committed = api.knowledge.commit(request).await;
    let committed = committed
        .map_err(Problem::from)
        .inspect_err(|problem| ticket.end(problem.reason()))?;
    ticket.committed(
        committed.revision,
        committed.quads_inserted + committed.quads_removed,
    );
    let answer = json!({
        "revision": committed.revision,
        "quads_inserted": committed.quads_inserted,
        "quads_removed": committed.quads_removed,
    });
    let mut response = Response::new(Body::from(format!("{answer}\n").into_bytes()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    revision_header(headers, committed.revision);
    Ok(response)
}

/// Parses an update on a thread with a large stack, and gives the ticket back.
async fn parse(ticket: Ticket, text: String) -> Result<(Ticket, Result<ParsedUpdate, SparqlError>), Problem> {
    let interrupt = ticket.interrupt().clone();
    let (sender, parsed) = oneshot::channel();
    ticket.start(move |ticket| {
        let parsed = ticket.parse_update(&text, &Parameters::default());
        // An error says that the caller has gone.
        let _ = sender.send((ticket, parsed));
    })?;
    let parsing = async {
        match interrupt.deadline() {
            Some(deadline) => timeout_at(deadline.into(), parsed)
                .await
                .map_err(|_| Problem::from(SparqlError::DeadlineExceeded)),
            None => Ok(parsed.await),
        }
    };
    tokio::select! {
        parsed = parsing => parsed?.map_err(|_| internal(&"parsing an update panicked")),
        () = interrupt.cancelled_by_request() => Err(SparqlError::QueryCancelled.into()),
    }
}
