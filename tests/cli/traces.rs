//! Traces, sent to a real receiver of OTLP, and the ids of requests.

use std::{
    collections::HashMap,
    sync::mpsc,
    time::{Duration, Instant},
};

use dossier::proto::v1::{
    GetEntityRequest, QueryRequest, entity_service_client::EntityServiceClient,
    sparql_service_client::SparqlServiceClient,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::{Span, span::SpanKind},
};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};

use crate::harness::{Server, dossier};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT_ID: &str = "b7ad6b7169203331";
/// How long spans may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

struct Collector(mpsc::Sender<(ExportTraceServiceRequest, Option<String>)>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let header = request.metadata().get("authorization");
        let header = header.map(|value| value.to_str().unwrap().to_owned());
        self.0.send((request.into_inner(), header)).unwrap();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Returns the address of a collector, and what it receives.
pub(crate) fn collector(
    runtime: &Runtime,
) -> (
    String,
    mpsc::Receiver<(ExportTraceServiceRequest, Option<String>)>,
) {
    let (sender, receiver) = mpsc::channel();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = TraceServiceServer::new(Collector(sender));
    let server = tonic::transport::Server::builder().add_service(service);
    runtime.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (url, receiver)
}

/// A request of a caller that traces, and names it.
fn traced<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    let parent = format!("00-{TRACE_ID}-{PARENT_ID}-01");
    metadata.insert("traceparent", parent.parse().unwrap());
    metadata.insert("x-request-id", "my-request".parse().unwrap());
    request
}

fn attributes(span: &Span) -> HashMap<&str, &Value> {
    span.attributes
        .iter()
        .filter_map(|pair| Some((pair.key.as_str(), pair.value.as_ref()?.value.as_ref()?)))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[test]
fn spans_go_to_a_collector_in_the_trace_of_their_caller() {
    let runtime = Runtime::new().unwrap();
    let (collector, received) = collector(&runtime);
    let folder = tempfile::tempdir().unwrap();
    let headers = folder.path().join("headers");
    std::fs::write(&headers, "authorization: Basic abc\n").unwrap();
    let server = Server::start(&[
        "--otlp-endpoint",
        &collector,
        "--otlp-headers-file",
        headers.to_str().unwrap(),
    ]);
    let url = server.url().to_owned();
    runtime.block_on(async {
        let mut entities = EntityServiceClient::connect(url.clone()).await.unwrap();
        let get = |entity: &str| {
            traced(GetEntityRequest {
                entity: entity.to_owned(),
                ..GetEntityRequest::default()
            })
        };
        let answer = entities.get_entity(get("e:KR")).await.unwrap();
        assert_eq!(answer.metadata().get("x-request-id").unwrap(), "my-request");
        let missing = entities.get_entity(get("e:nobody")).await.unwrap_err();
        assert_eq!(missing.code(), Code::NotFound);
        assert_eq!(missing.metadata().get("x-request-id").unwrap(), "my-request");
        let mut sparql = SparqlServiceClient::connect(url).await.unwrap();
        let mut rows = sparql
            .query(traced(QueryRequest {
                query: "ASK { e:KR a schema:Country }".to_owned(),
                query_id: "my-query".to_owned(),
                ..QueryRequest::default()
            }))
            .await
            .unwrap()
            .into_inner();
        while rows.message().await.unwrap().is_some() {}
    });
    // What waits is sent at the end.
    server.stop();

    let mut spans: Vec<Span> = Vec::new();
    while spans.len() < 7 {
        let (export, header) = received.recv_timeout(PATIENCE).expect("not all spans have come");
        assert_eq!(header.as_deref(), Some("Basic abc"));
        for resource in export.resource_spans {
            let service = resource.resource.unwrap().attributes;
            assert!(service.iter().any(|pair| pair.key == "service.name"));
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    let find = |name: &str, code: i64| {
        let is_it = |span: &&Span| {
            span.name == name && attributes(span)["rpc.grpc.status_code"] == &Value::IntValue(code)
        };
        spans
            .iter()
            .find(is_it)
            .unwrap_or_else(|| panic!("{name} {code}: {spans:?}"))
    };
    let text = |text: &str| Value::StringValue(text.to_owned());
    let got = find("dossier.v1.EntityService/GetEntity", 0);
    find(
        "dossier.v1.EntityService/GetEntity",
        i64::from(i32::from(Code::NotFound)),
    );
    let query = find("dossier.v1.SparqlService/Query", 0);
    for span in [got, query] {
        assert_eq!(hex(&span.trace_id), TRACE_ID);
        assert_eq!(hex(&span.parent_span_id), PARENT_ID);
        assert_eq!(span.kind(), SpanKind::Server);
        let attributes = attributes(span);
        assert_eq!(attributes["rpc.system"], &text("grpc"));
        assert_eq!(attributes["dossier.request_id"], &text("my-request"));
        assert_eq!(attributes["dossier.revision"], &Value::IntValue(1));
    }
    assert_eq!(attributes(query)["dossier.query_id"], &text("my-query"));
    for child in ["wait", "parse", "plan", "run"] {
        let span = spans.iter().find(|span| span.name == child);
        let span = span.unwrap_or_else(|| panic!("{child}: {spans:?}"));
        assert_eq!(hex(&span.trace_id), TRACE_ID, "{child}");
        assert_eq!(span.parent_span_id, query.span_id, "{child}");
    }
}

#[test]
fn a_collector_that_is_away_holds_up_nothing() {
    // Nobody can listen on port 0.
    let server = Server::start(&["--otlp-endpoint", "http://127.0.0.1:0"]);
    server.run(&["get", "e:KR"], "").succeeded();
    server.stop();
}

#[test]
fn a_collector_that_does_not_answer_gets_none_of_the_time_after_the_limit() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::start(&[
        "--otlp-endpoint",
        &url,
        "--otlp-sample-one-in",
        "1",
        "--drain-timeout",
        "2s",
    ]);
    server.run(&["get", "e:KR"], "").succeeded();
    let told_at = Instant::now();
    server.stop();
    let took = told_at.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn lines_of_the_log_have_the_id_of_their_request() {
    let server = Server::start(&["--slow-query-ms", "1"]);
    let url = server.url().to_owned();
    let pairs = "SELECT (COUNT(*) AS ?n) { ?a a ?b . ?c a ?d }";
    Runtime::new().unwrap().block_on(async {
        let mut sparql = SparqlServiceClient::connect(url).await.unwrap();
        let query = QueryRequest {
            query: pairs.to_owned(),
            ..QueryRequest::default()
        };
        let mut rows = sparql.query(traced(query)).await.unwrap().into_inner();
        while rows.message().await.unwrap().is_some() {}
    });
    let line = server.logged("slow query");
    assert!(line.ends_with(" request_id=my-request"), "{line}");
}

#[test]
fn strangers_cause_no_traces() {
    let runtime = Runtime::new().unwrap();
    let (collector, received) = collector(&runtime);
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens.json");
    let tokens = tokens.to_str().unwrap();
    let create = [
        "token", "create", "--tokens", tokens, "--name", "a", "--role", "read",
    ];
    let bearer = format!("Bearer {}", dossier(&create, "").succeeded().trim());
    let server = Server::start(&["--auth-tokens", tokens, "--otlp-endpoint", &collector]);
    let url = server.url().to_owned();
    runtime.block_on(async {
        let mut entities = EntityServiceClient::connect(url).await.unwrap();
        for bearer in [None, Some("Bearer dossier_nonsense"), Some(bearer.as_str())] {
            let mut request = traced(GetEntityRequest {
                entity: "e:KR".to_owned(),
                ..GetEntityRequest::default()
            });
            if let Some(bearer) = bearer {
                request
                    .metadata_mut()
                    .insert("authorization", bearer.parse().unwrap());
            }
            let _ = entities.get_entity(request).await;
        }
    });
    server.get("/sparql?query=ASK%7B%7D");
    // What waits is sent at the end.
    server.stop();
    let exports = received.try_iter().flat_map(|(export, _)| export.resource_spans);
    let spans = exports.flat_map(|resource| resource.scope_spans);
    let spans: Vec<_> = spans.flat_map(|scope| scope.spans).collect();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["dossier.v1.EntityService/GetEntity"]);
}
