//! LOAD, from hosts good and bad.

use std::time::{Duration, Instant};

use dossier::proto::v1::{ErrorReason, QueryLimits, UpdateRequest};
use tonic::Code;

use crate::{
    elsewhere::{Elsewhere, Reply},
    harness::{Server, check_error},
    sparql::{ask, insert, query},
    updates::{change, update},
};

const TURTLE: &str = "<#a> <http://ex/p> _:x . _:x <http://ex/p> 1 .";
const REPLIES: &[(&str, Reply)] = &[
    ("/a", Reply::Document("text/turtle; charset=utf-8", TURTLE)),
    ("/a.ttl", Reply::Document("text/plain", TURTLE)),
    (
        "/a.nq",
        Reply::Document(
            "application/n-quads",
            "<http://ex/a> <http://ex/p> <http://ex/b> <http://ex/g> .\n",
        ),
    ),
    ("/html.ttl/", Reply::Document("text/html", "<html>")),
    ("/broken", Reply::Document("text/turtle", "<a> <b> ")),
    (
        "/entities",
        Reply::Document("application/rdf+xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"),
    ),
    ("/moved", Reply::Status("302 Found\r\nLocation: /a")),
    ("/error", Reply::Status("503 Service Unavailable")),
    ("/large", Reply::Large(20_000)),
    ("/silent", Reply::Silence),
];

/// Starts a server that may load from one host.
async fn loading(allowed: &str, timeout: Duration) -> Server {
    Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.load_allow = vec![allowed.parse().unwrap()];
        settings.remote_timeout = timeout;
        settings.remote_bytes_max = 10_000;
    })
    .await
}

async fn counts(server: &Server, pattern: &str) -> usize {
    let text = format!("SELECT * {{ {pattern} }}");
    query(server, ask(&text)).await.unwrap().rows.len()
}

#[tokio::test]
async fn documents_are_loaded_in_their_order() {
    let elsewhere = Elsewhere::start(REPLIES).await;
    let server = loading(&elsewhere.url("/"), Duration::from_secs(10)).await;
    let check = async |text: &str, inserted: i64, removed: i64| {
        let text = text.replace("URL", &elsewhere.url(""));
        let outcome = update(&server, change(&text)).await.unwrap();
        assert_eq!(
            (outcome.quads_inserted, outcome.quads_removed),
            (inserted, removed),
            "{text}"
        );
    };
    check("LOAD <URL/a>", 2, 0).await;
    // Relative IRIs are of the document; its blank nodes are others each time.
    assert_eq!(
        counts(&server, &format!("<{}> ?p ?o", elsewhere.url("/a#a"))).await,
        1
    );
    check("LOAD <URL/a#fragment>", 2, 0).await;
    check("LOAD <URL/a.ttl> INTO GRAPH <http://ex/g>", 2, 0).await;
    assert_eq!(counts(&server, "GRAPH <http://ex/g> { ?s ?p ?o }").await, 2);
    check(
        "CLEAR ALL; LOAD <URL/a>; DELETE WHERE { ?s ?p 1 }; LOAD SILENT <URL/error>",
        1,
        6,
    )
    .await;
    check("LOAD <URL/a>; CLEAR ALL", 0, 1).await;
}

#[tokio::test]
async fn what_does_not_come_is_told_or_silent() {
    let elsewhere = Elsewhere::start(REPLIES).await;
    let server = loading(&elsewhere.url("/"), Duration::from_millis(300)).await;
    insert(&server, "e:a e:p 1").await;
    for (path, hint) in [
        ("/a.nq", "raph"),
        ("/html.ttl/", "text/html"),
        ("/broken", "line 1"),
        ("/entities", "document type"),
        ("/moved", "redirects are not followed"),
        ("/error", "503"),
        ("/nothing", "404"),
        ("/large", "10000 bytes"),
        ("/silent", "within 300ms"),
    ] {
        let url = elsewhere.url(path);
        let text = format!("CLEAR ALL; LOAD <{url}> ");
        let outcome = update(&server, change(&text)).await;
        let message = outcome.as_ref().unwrap_err().message().to_owned();
        assert!(message.contains(hint), "{path}: {message}");
        let metadata = check_error(outcome, Code::FailedPrecondition, ErrorReason::RemoteFailed);
        assert_eq!(metadata["url"], url);
        assert_eq!(counts(&server, "?s ?p ?o").await, 1);
        let text = format!("LOAD SILENT <{url}>");
        assert_eq!(
            update(&server, change(&text)).await.unwrap().quads_inserted,
            0,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_slow_host_holds_up_nobody() {
    let mut elsewhere = Elsewhere::start(REPLIES).await;
    let server = loading(&elsewhere.url("/"), Duration::from_secs(30)).await;
    let start = Instant::now();
    let request = UpdateRequest {
        limits: Some(QueryLimits {
            timeout: Some(prost_types::Duration { seconds: 3, nanos: 0 }),
            ..Default::default()
        }),
        ..change(&format!("LOAD SILENT <{}>", elsewhere.url("/silent")))
    };
    let slow = update(&server, request);
    let others = async {
        elsewhere.requests.recv().await.unwrap();
        insert(&server, "e:a e:p 1").await;
        assert!(start.elapsed() < Duration::from_secs(3), "the writer waited");
    };
    let (outcome, ()) = tokio::join!(slow, others);
    check_error(outcome, Code::DeadlineExceeded, ErrorReason::DeadlineExceeded);
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn nothing_is_loaded_that_is_not_listed() {
    let mut elsewhere = Elsewhere::start(REPLIES).await;
    let server = loading(&elsewhere.url("/a"), Duration::from_secs(10)).await;
    let port = elsewhere.address.port();
    for source in [
        "<http://a/>".to_owned(),
        "SILENT <http://a/>".to_owned(),
        "SILENT <file:///etc/passwd>".to_owned(),
        format!("<http://127.0.0.1:{port}/a.ttl>"),
        format!("SILENT <http://localhost:{port}/a>"),
    ] {
        // Nothing is fetched of the others either.
        let text = format!("LOAD <http://127.0.0.1:{port}/a>; LOAD {source}");
        let outcome = update(&server, change(&text)).await;
        check_error(outcome, Code::InvalidArgument, ErrorReason::SparqlUnsupported);
    }
    assert!(elsewhere.requests.try_recv().is_err());
    assert_eq!(server.info().await.load_allowed, [elsewhere.url("/a")]);
}
