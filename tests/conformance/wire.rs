//! The W3C suites of the protocols, on a real server: SPARQL 1.1 Protocol, Graph Store Protocol, Service Description; and
//! the cases of queries over HTTP.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use dossier::{config::ServeSettings, server::serve};
use http::{Request, Response, StatusCode, header};
use oxigraph::model::{Graph, GraphName, NamedNodeRef, Quad, TermRef, Triple, vocab::rdf};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    compare::{self, Answer},
    data::{quads_of, text_of},
    exchange::{self, Case, content_type, quads},
    grpc,
    http_client::send,
    known_failures,
    manifest::{self, Kind},
    suites,
};

const STARTUP_MAX: Duration = Duration::from_secs(20);
const SD: &str = "http://www.w3.org/ns/sparql-service-description#";
/// Manifests, and how many cases they have.
const MANIFESTS: [(&str, usize); 3] = [
    ("sparql11/protocol/manifest.ttl", 34),
    ("sparql11/graph-store-protocol/manifest-direct.ttl", 4),
    ("sparql11/graph-store-protocol/manifest-indirect.ttl", 9),
];
const QUERY_MANIFESTS: [&str; 3] = [
    "sparql10/manifest.ttl",
    "sparql11/manifest-sparql11-query.ttl",
    "sparql12/manifest.ttl",
];
const UPDATE_MANIFESTS: [&str; 2] = ["sparql11/manifest-sparql11-update.ttl", "sparql12/manifest.ttl"];

/// An empty server, which may ask itself.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
    _folder: TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let settings = ServeSettings {
            service_allow: vec![format!("http://{address}/").parse().unwrap()],
            data_dir: folder.path().join("data"),
            graph_memory_bytes_max: 256 << 20,
            load_shipped_data: false,
            // The cases are about `www.example`.
            insecure: true,
            ..ServeSettings::default()
        };
        let serving = tokio::spawn(async move {
            serve(settings, listener, std::future::pending()).await.unwrap();
        });
        let server = Self {
            address,
            serving,
            _folder: folder,
        };
        let start = Instant::now();
        while server.get("/readyz", "*/*").await.status() != StatusCode::OK {
            assert!(start.elapsed() < STARTUP_MAX, "the server does not become ready");
        }
        server
    }

    pub(crate) async fn send(&self, request: Request<String>) -> Response<Bytes> {
        send(self.address, request).await.unwrap()
    }

    async fn get(&self, path: &str, accept: &str) -> Response<Bytes> {
        let request = Request::get(path).header(header::ACCEPT, accept);
        self.send(request.body(String::new()).unwrap()).await
    }

    async fn post(&self, path: &str, content_type: &str, body: String) -> Response<Bytes> {
        let request = Request::post(path).header(header::CONTENT_TYPE, content_type);
        self.send(request.body(body).unwrap()).await
    }

    /// Makes quads and named graphs all that there is.
    pub(crate) async fn replace(&self, graphs: &BTreeSet<String>, quads: &[Quad]) {
        let mut update = "DROP ALL".to_owned();
        for graph in graphs {
            update.extend(["; CREATE GRAPH <", graph, ">"]);
        }
        let response = self.post("/sparql", "application/sparql-update", update).await;
        assert_eq!(response.status(), StatusCode::OK, "{response:?}");
        let lines: Vec<_> = quads.iter().map(|quad| format!("{quad} .\n")).collect();
        let document = lines.concat();
        let response = self.post("/store", "application/n-quads", document).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{response:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[tokio::test]
async fn the_protocol_suites_pass() {
    let Some(folder) = suites() else {
        println!("not run: the W3C test suites are not here (DOSSIER_W3C_TESTS names their folder)");
        return;
    };
    let server = Server::start().await;
    let mut wrong = Vec::new();
    for (manifest, count) in MANIFESTS {
        let cases = exchange::read(&folder, manifest);
        assert_eq!(cases.len(), count, "{manifest}");
        let mut passed = 0;
        for case in &cases {
            match run(&server, &folder, case).await {
                Ok(()) => passed += 1,
                Err(error) => wrong.push(format!("{}: {error}", case.id)),
            }
        }
        println!("{manifest}: {passed} of {count} pass");
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

async fn run(server: &Server, folder: &Path, case: &Case) -> Result<(), String> {
    let quads: Vec<_> = case
        .graphs
        .iter()
        .flat_map(|(graph, file)| quads_of(folder, file, NamedNodeRef::new(graph).unwrap()))
        .collect();
    server.replace(&BTreeSet::new(), &quads).await;
    let mut location = String::new();
    for exchange in &case.exchanges {
        let response = server.send(exchange.request(&location)).await;
        exchange.check(&response)?;
        if let Some(value) = response.headers().get(header::LOCATION) {
            value.to_str().unwrap().clone_into(&mut location);
        }
    }
    Ok(())
}

/// `returns-rdf`, `has-endpoint-triple` and `conforms-to-schema` of the suite for service descriptions.
#[tokio::test]
async fn the_service_describes_itself() {
    let server = Server::start().await;
    for accept in ["text/turtle", "application/rdf+xml", "application/ld+json", "*/*"] {
        let response = server.get("/sparql", accept).await;
        let description = quads(&content_type(&response), response.body()).unwrap();
        let description: Graph = description.into_iter().map(Triple::from).collect();
        let sd = |name: &str| oxigraph::model::NamedNode::new(format!("{SD}{name}")).unwrap();
        let only = |class: &str| {
            let class = sd(class);
            let mut found = description.subjects_for_predicate_object(rdf::TYPE, &class);
            let node = found.next().unwrap();
            assert!(found.next().is_none(), "more than one {class}");
            node
        };
        let endpoint = format!("http://{}/sparql", server.address);
        let service = only("Service");
        let object = |property: &str| description.object_for_subject_predicate(service, &sd(property));
        assert_eq!(
            object("endpoint"),
            Some(NamedNodeRef::new(&endpoint).unwrap().into())
        );
        assert_eq!(object("defaultDataset"), Some(only("Dataset").into()));
        let graph = description.object_for_subject_predicate(only("Dataset"), &sd("defaultGraph"));
        assert_eq!(graph, Some(only("Graph").into()));
        for property in ["supportedLanguage", "resultFormat", "inputFormat", "feature"] {
            let property = sd(property);
            let mut objects = description.objects_for_subject_predicate(service, &property);
            assert!(objects.all(|object| matches!(object, TermRef::NamedNode(_))));
            assert!(
                description
                    .object_for_subject_predicate(service, &property)
                    .is_some()
            );
        }
    }
}

#[tokio::test]
async fn queries_have_the_same_results_over_http_and_grpc() {
    let Some(folder) = suites() else {
        return;
    };
    let server = Server::start().await;
    let known = known_failures();
    let mut counts = BTreeMap::<(&str, &str), (usize, usize)>::new();
    let mut wrong = Vec::new();
    let cases = manifest::read(&folder, &QUERY_MANIFESTS);
    for case in cases.iter().filter(|case| case.kind == Kind::Query) {
        let is_known = known.contains_key(case.id.as_str());
        for (protocol, outcome) in query(&server, &folder, case).await {
            let suite = case.id.split('/').next().unwrap();
            let count = counts.entry((suite, protocol)).or_default();
            count.1 += 1;
            match outcome {
                Ok(()) => count.0 += 1,
                Err(_) if is_known => {}
                Err(error) => wrong.push(format!("{} over {protocol}: {error}", case.id)),
            }
        }
    }
    for ((suite, protocol), (passed, all)) in counts {
        println!("{suite} query evaluation over {protocol}: {passed} of {all} pass");
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn updates_have_the_same_results_over_http() {
    let Some(folder) = suites() else {
        return;
    };
    let server = Server::start().await;
    let known = known_failures();
    let mut wrong = Vec::new();
    let cases = manifest::read(&folder, &UPDATE_MANIFESTS);
    let cases: Vec<_> = cases.iter().filter(|case| case.kind == Kind::Update).collect();
    for case in &cases {
        match update(&server, &folder, case).await {
            Err(error) if !known.contains_key(case.id.as_str()) => {
                wrong.push(format!("{}: {error}", case.id));
            }
            _ => {}
        }
    }
    assert!(cases.len() > 90, "only {} cases", cases.len());
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

async fn update(server: &Server, folder: &Path, case: &manifest::Case) -> Result<(), String> {
    let load = |files: &manifest::Files| {
        let default = files.default.iter();
        let default = default.flat_map(|file| quads_of(folder, file, GraphName::DefaultGraph));
        let named = files.named.iter();
        let named = named.flat_map(|(graph, file)| quads_of(folder, file, NamedNodeRef::new(graph).unwrap()));
        default.chain(named).collect::<Vec<_>>()
    };
    let graphs = case.data.named.iter().map(|(graph, _)| graph.clone());
    server.replace(&graphs.collect(), &load(&case.data)).await;
    let text = format!("BASE <{}>\n{}", case.text, text_of(folder, &case.text));
    let response = server.post("/sparql", "application/sparql-update", text).await;
    if response.status() != StatusCode::OK {
        return Err(format!("{response:?}"));
    }
    let stored = server.get("/store", "application/n-quads").await;
    let (actual, expected) = (quads("application/n-quads", stored.body())?, load(&case.after));
    if compare::same_quads(actual.iter().map(Quad::as_ref), expected.iter().map(Quad::as_ref)) {
        Ok(())
    } else {
        Err(format!("{actual:?} is not {expected:?}"))
    }
}

/// Runs a case over both protocols.
async fn query(
    server: &Server,
    folder: &Path,
    case: &manifest::Case,
) -> [(&'static str, Result<(), String>); 2] {
    let text = format!("BASE <{}>\n{}", case.text, text_of(folder, &case.text));
    let algebra = spargebra::SparqlParser::new().parse_query(&text);
    let named = case.data.named.iter().cloned();
    // The graphs that the text names are documents here.
    let dataset = algebra.as_ref().ok().and_then(spargebra::Query::dataset);
    let from = dataset.into_iter().flat_map(|dataset| {
        let named = dataset.named.iter().flatten().chain(&dataset.default);
        named.map(|graph| (graph.as_str().to_owned(), graph.as_str().to_owned()))
    });
    let graphs: BTreeSet<_> = named.chain(from).collect();
    let mut quads = Vec::new();
    for file in &case.data.default {
        quads.extend(quads_of(folder, file, GraphName::DefaultGraph));
    }
    for (graph, file) in &graphs {
        quads.extend(quads_of(folder, file, NamedNodeRef::new(graph).unwrap()));
    }
    let existing = graphs.into_iter().map(|(graph, _)| graph).collect();
    server.replace(&existing, &quads).await;
    let expected = compare::read(folder, case.result.as_deref().unwrap());
    let check = |actual: Result<Answer, String>| {
        let actual = actual?;
        if compare::same(&actual, &expected) {
            Ok(())
        } else {
            Err(format!("{actual} is not {expected}"))
        }
    };
    let request = Request::post("/sparql")
        .header(header::CONTENT_TYPE, "application/sparql-query")
        .header(
            header::ACCEPT,
            "application/sparql-results+json, application/n-triples",
        );
    let response = server.send(request.body(text.clone()).unwrap()).await;
    let over_grpc = grpc::query(server.address, text).await;
    [("HTTP", check(answer(&response))), ("gRPC", check(over_grpc))]
}

pub(crate) fn answer(response: &Response<Bytes>) -> Result<Answer, String> {
    use oxigraph::sparql::results::{QueryResultsFormat, QueryResultsParser, SliceQueryResultsParserOutput};
    if response.status() != StatusCode::OK {
        return Err(format!("{response:?}"));
    }
    if content_type(response) == "application/n-triples" {
        let triples = quads("application/n-triples", response.body())?;
        let graph: Graph = triples.into_iter().map(Triple::from).collect();
        return Ok(Answer::Graph(Box::new(graph)));
    }
    let parser = QueryResultsParser::from_format(QueryResultsFormat::Json);
    let parsed = parser
        .for_slice(response.body())
        .map_err(|error| error.to_string())?;
    Ok(match parsed {
        SliceQueryResultsParserOutput::Boolean(answer) => Answer::Boolean(answer),
        SliceQueryResultsParserOutput::Solutions(rows) => {
            let row = |row: oxigraph::sparql::QuerySolution| {
                row.iter()
                    .map(|(name, term)| (name.as_str().to_owned(), term.clone()))
                    .collect()
            };
            let rows: Result<_, _> = rows.map(|solution| solution.map(row)).collect();
            Answer::Rows {
                rows: rows.map_err(|error| error.to_string())?,
                is_ordered: false,
            }
        }
    })
}
