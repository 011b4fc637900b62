//! SERVICE: another server of ours, and hosts that are no good.

use std::time::{Duration, Instant};

use dossier::proto::v1::{CancelQueryRequest, ErrorReason, ListQueriesRequest, QueryLimits, QueryRequest};
use http::Request;
use tonic::Code;

use crate::{
    elsewhere::{Elsewhere, Reply},
    harness::{Server, check_error},
    http_client::send,
    sparql::{ask, client, insert, query},
};

const JSON: &str = "application/sparql-results+json";
pub(crate) const REPLIES: &[(&str, Reply)] = &[
    (
        "/good",
        Reply::Document(
            JSON,
            r#"{"head":{"vars":["a","b"]},"results":{"bindings":[
                {"a":{"type":"literal","value":"here"},"b":{"type":"bnode","value":"x"}},
                {"a":{"type":"literal","value":"there"},"b":{"type":"bnode","value":"x"}}]}}"#,
        ),
    ),
    (
        "/tsv",
        Reply::Document("text/tab-separated-values; charset=utf-8", "?a\t?b\n\"1\"\t2\n"),
    ),
    (
        "/unbound",
        Reply::Document(JSON, r#"{"head":{"vars":["a","b"]},"results":{"bindings":[{}]}}"#),
    ),
    ("/wide", Reply::Wide(100)),
    ("/boolean", Reply::Document(JSON, r#"{"head":{},"boolean":true}"#)),
    (
        "/broken",
        Reply::Document(JSON, r#"{"head":{"vars":["a"]},"results":{"bindings":[{"a""#),
    ),
    ("/html", Reply::Document("text/html", "<html>")),
    (
        "/moved",
        Reply::Status("307 Temporary Redirect\r\nLocation: /good"),
    ),
    ("/error", Reply::Status("500 Internal Server Error")),
    ("/large", Reply::Large(20_000)),
    ("/huge", Reply::Large(2 << 20)),
    ("/silent", Reply::Silence),
];

/// Starts a server that may ask one host.
pub(crate) async fn asking(allowed: &str, timeout: Duration) -> Server {
    Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.service_allow = vec![allowed.parse().unwrap()];
        settings.remote_timeout = timeout;
        settings.remote_bytes_max = 10_000;
    })
    .await
}

/// Returns the rows with nothing but the lexical forms.
pub(crate) async fn texts(server: &Server, text: &str) -> Vec<String> {
    let plain = |cell: &str| cell.split('|').next().unwrap_or_default().to_owned();
    let rows = query(server, ask(text)).await.unwrap().texts();
    let rows = rows
        .iter()
        .map(|row| row.split(' ').map(plain).collect::<Vec<_>>().join(" "));
    rows.collect()
}

#[tokio::test]
async fn one_server_asks_another() {
    let other = Server::start_empty().await;
    insert(
        &other,
        "e:a e:name 'A' . e:b e:name 'B' . e:b e:size 2 GRAPH g:x { e:c e:name 'C' }",
    )
    .await;
    let endpoint = format!("http://{}/sparql", other.address);
    let server = asking(&endpoint, Duration::from_secs(10)).await;
    insert(
        &server,
        &format!("e:a e:knows e:b . e:b e:knows e:a, e:c . e:a e:at <{endpoint}> . e:c e:at <{endpoint}>"),
    )
    .await;
    let check = async |text: &str, expected: &[&str]| {
        let text = text.replace("ENDPOINT", &format!("<{endpoint}>"));
        assert_eq!(texts(&server, &text).await, expected, "{text}");
    };
    let names = "SELECT ?n { SERVICE ENDPOINT { ?x e:name ?n } }";
    check(names, &["A", "B"]).await;
    check(
        "SELECT ?n { e:b e:knows ?x SERVICE ENDPOINT { ?x e:name ?n } }",
        &["A"],
    )
    .await;
    check(
        "SELECT ?n { SERVICE ENDPOINT { GRAPH ?g { ?x e:name ?n } } ?y e:knows ?x }",
        &["C"],
    )
    .await;
    check(
        "SELECT ?n ?s { ?y e:knows ?x SERVICE ENDPOINT { ?x e:name ?n OPTIONAL { ?x e:size ?s } FILTER(?n > 'A') } }",
        &["B 2"],
    )
    .await;
    check(
        "SELECT ?m { SERVICE ENDPOINT { SELECT (MAX(?n) AS ?m) { [] e:name ?n } } }",
        &["B"],
    )
    .await;
    check(
        "SELECT ?n { e:a e:at ?s . ?s ^e:at ?x . SERVICE ?s { ?x e:name ?n } }",
        &["A"],
    )
    .await;
    check(
        "SELECT ?n { VALUES ?s { ENDPOINT } SERVICE ?s { ?x e:name ?n } ?x e:knows e:a }",
        &["B"],
    )
    .await;
    check(
        "SELECT ?n { ?x e:knows ?y FILTER NOT EXISTS { SERVICE ENDPOINT { ?x e:size ?z } } BIND(1 AS ?n) }",
        &["1"],
    )
    .await;
    check(
        "SELECT ?n { ?x e:at ?s OPTIONAL { SERVICE ENDPOINT { ?x e:size 2 ; e:name ?n } } }",
        &["-", "-"],
    )
    .await;
    check("SELECT (COUNT(*) AS ?n) { SERVICE ENDPOINT {} }", &["1"]).await;
}

#[tokio::test]
async fn an_answer_has_terms_of_its_own() {
    let mut elsewhere = Elsewhere::start(REPLIES).await;
    let server = asking(&elsewhere.url("/"), Duration::from_secs(10)).await;
    insert(&server, "e:a e:p 'here'").await;
    let good = elsewhere.url("/good");
    let text = format!("SELECT ?s ?a {{ ?s e:p ?a SERVICE <{good}> {{ ?a e:q ?b }} }}");
    assert_eq!(query(&server, ask(&text)).await.unwrap().rows.len(), 1);
    let (path, asked) = elsewhere.requests.recv().await.unwrap();
    assert_eq!(path, "/good");
    assert!(asked.starts_with("SELECT ?a ?b WHERE"), "{asked}");
    // Labels mean the same within an answer, and nothing outside.
    let text = format!(
        "SELECT (COUNT(DISTINCT ?b) AS ?n) {{ {{ SERVICE <{good}> {{ ?a e:q ?b }} }} UNION {{ SERVICE <{good}> {{ ?a e:q ?b }} }} }}"
    );
    assert_eq!(texts(&server, &text).await, ["2"]);
    let tsv = elsewhere.url("/tsv");
    let text = format!("SELECT ?a ?b {{ SERVICE <{tsv}> {{ ?a e:q ?b }} }}");
    assert_eq!(texts(&server, &text).await, ["1 2"]);
}

#[tokio::test]
async fn what_fails_is_told_or_silent() {
    let elsewhere = Elsewhere::start(REPLIES).await;
    let server = asking(&elsewhere.url("/"), Duration::from_millis(300)).await;
    for (path, hint) in [
        ("/unbound", "unbound"),
        ("/wide", "100 variables"),
        ("/boolean", "boolean"),
        ("/broken", "do not parse"),
        ("/html", "text/html"),
        ("/moved", "redirects are not followed"),
        ("/error", "500"),
        ("/nothing", "404"),
        ("/large", "10000 bytes"),
        ("/silent", "within 300ms"),
    ] {
        let url = elsewhere.url(path);
        let text = format!("SELECT ?a ?b {{ SERVICE <{url}> {{ ?a e:q ?b }} }}");
        let outcome = query(&server, ask(&text)).await;
        let message = outcome.as_ref().unwrap_err().message().to_owned();
        assert!(message.contains(hint), "{path}: {message}");
        let metadata = check_error(outcome, Code::FailedPrecondition, ErrorReason::RemoteFailed);
        assert_eq!(metadata["url"], url);
        let text = text.replace("SERVICE", "VALUES ?c { 1 2 } SERVICE SILENT");
        assert_eq!(texts(&server, &text).await, ["- -", "- -"], "{path}");
    }
}

#[tokio::test]
async fn a_slow_host_does_not_hold_a_query_past_its_deadline() {
    let elsewhere = Elsewhere::start(REPLIES).await;
    let server = asking(&elsewhere.url("/"), Duration::from_secs(30)).await;
    let url = elsewhere.url("/silent");
    for silent in ["", "SILENT"] {
        let start = Instant::now();
        let request = QueryRequest {
            limits: Some(QueryLimits {
                timeout: Some(prost_types::Duration {
                    seconds: 0,
                    nanos: 200_000_000,
                }),
                ..Default::default()
            }),
            ..ask(&format!(
                "SELECT * {{ SERVICE {silent} <{url}> {{ ?a e:q ?b }} }}"
            ))
        };
        let outcome = query(&server, request).await;
        check_error(outcome, Code::DeadlineExceeded, ErrorReason::DeadlineExceeded);
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn nothing_is_asked_that_is_not_listed() {
    let mut elsewhere = Elsewhere::start(REPLIES).await;
    let server = asking(&elsewhere.url("/good"), Duration::from_secs(10)).await;
    let port = elsewhere.address.port();
    for service in [
        "<http://a/>".to_owned(),
        "SILENT <http://a/>".to_owned(),
        format!("SILENT <http://127.0.0.1:{port}/goods>"),
        format!("<http://127.0.0.1:{port}/good/../error>"),
        format!("<http://localhost:{port}/good>"),
        format!("<http://x@127.0.0.1:{port}/good>"),
    ] {
        for text in [
            format!("SELECT * {{ SERVICE {service} {{ ?s ?p ?o }} }}"),
            format!(
                "SELECT * {{ VALUES ?x {{ {0} }} SERVICE {1} ?x {{ ?s ?p ?o }} }}",
                service.trim_start_matches("SILENT "),
                if service.starts_with('S') { "SILENT" } else { "" }
            ),
        ] {
            let outcome = query(&server, ask(&text)).await;
            check_error(outcome, Code::InvalidArgument, ErrorReason::SparqlUnsupported);
        }
    }
    for text in [
        "SELECT * { SERVICE ?x { ?s ?p ?o } }",
        "SELECT * { VALUES ?x { 1 } SERVICE ?x { ?s ?p ?o } }",
    ] {
        let outcome = query(&server, ask(text)).await;
        check_error(outcome, Code::InvalidArgument, ErrorReason::SparqlEvaluation);
    }
    assert!(elsewhere.requests.try_recv().is_err());
    let info = server.info().await;
    assert_eq!(info.service_allowed, [elsewhere.url("/good")]);
    assert!(info.load_allowed.is_empty());
    assert_eq!(info.limits.unwrap().remote_bytes_max, 10_000);
}

#[tokio::test]
async fn a_query_that_waits_for_a_host_can_be_cancelled() {
    let mut elsewhere = Elsewhere::start(REPLIES).await;
    let server = asking(&elsewhere.url("/"), Duration::from_mins(1)).await;
    let start = Instant::now();
    let request = QueryRequest {
        query_id: "waits".into(),
        ..ask(&format!(
            "SELECT * {{ SERVICE <{}> {{ ?a e:q ?b }} }}",
            elsewhere.url("/silent")
        ))
    };
    let cancel = async {
        elsewhere.requests.recv().await.unwrap();
        let request = CancelQueryRequest {
            query_id: "waits".into(),
        };
        client(&server).cancel_query(request).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(query(&server, request), cancel);
    check_error(outcome, Code::Cancelled, ErrorReason::QueryCancelled);
    // Its thread is free too.
    let list = async || {
        client(&server)
            .list_queries(ListQueriesRequest {})
            .await
            .unwrap()
            .into_inner()
    };
    while !list().await.queries.is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20), "it still runs");
    }
}

#[tokio::test]
async fn what_is_sent_has_its_limit() {
    let elsewhere = Elsewhere::start(REPLIES).await;
    let server = asking(&elsewhere.url("/"), Duration::from_secs(10)).await;
    let text = format!(
        "PREFIX l: <http://example.org/{}> SELECT * {{ SERVICE SILENT <{}> {{ VALUES ?a {{ {} }} }} }}",
        "l".repeat(4_000),
        elsewhere.url("/good"),
        "l:a ".repeat(300)
    );
    let metadata = check_error(
        query(&server, ask(&text)).await,
        Code::InvalidArgument,
        ErrorReason::SparqlTooComplex,
    );
    assert_eq!(metadata["limit"], "service_bytes_max");
}

#[tokio::test]
async fn memory_is_no_matter_for_silence() {
    let elsewhere = Elsewhere::start(REPLIES).await;
    let server = Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.service_allow = vec![elsewhere.url("/").parse().unwrap()];
        settings.query_memory_bytes_max = 1 << 20;
    })
    .await;
    let huge = elsewhere.url("/huge");
    let text = format!("SELECT * {{ SERVICE SILENT <{huge}> {{ ?a e:q ?b }} }}");
    check_error(
        query(&server, ask(&text)).await,
        Code::ResourceExhausted,
        ErrorReason::QueryMemoryExceeded,
    );
}

#[tokio::test]
async fn a_failure_elsewhere_is_a_bad_gateway() {
    let elsewhere = Elsewhere::start(REPLIES).await;
    let server = asking(&elsewhere.url("/"), Duration::from_secs(10)).await;
    let url = elsewhere.url("/error");
    let request = Request::post("/sparql")
        .header("content-type", "application/sparql-query")
        .body(format!("SELECT * {{ SERVICE <{url}> {{ ?a ?b ?c }} }}"));
    let response = send(server.address, request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 502);
    let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(
        (&problem["reason"], &problem["url"]),
        (&"REMOTE_FAILED".into(), &url.into())
    );
}
