//! Counts and probes.

use std::net::SocketAddr;

use dossier::{
    proto::v1::{self, ErrorReason},
    server::{Listeners, serve},
};
use http::{Request, StatusCode};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    harness::{Server, check_error, complete, connect, settings},
    http_client::send,
};

async fn get(address: SocketAddr, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(String::new()).unwrap();
    let (parts, body) = send(address, request).await.unwrap().into_parts();
    (parts.status, String::from_utf8(body.to_vec()).unwrap())
}

/// Returns the value of a sample.
#[track_caller]
fn sample(text: &str, name: &str) -> i64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = line.unwrap_or_else(|| panic!("no {name} in:\n{text}"));
    value.parse().unwrap()
}

pub(crate) async fn scrape(address: SocketAddr) -> String {
    let (status, text) = get(address, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.ends_with("# EOF\n"), "{text}");
    text
}

#[tokio::test]
async fn what_alerts_look_for_is_there_from_the_start() {
    let server = Server::start_empty().await;
    let text = scrape(server.address).await;
    // The first of each must be seen as one more.
    for (name, reasons) in [
        (
            "errors",
            &[
                "DISK_FULL",
                "LOG_UNAVAILABLE",
                "GRAPH_FULL",
                "INTERNAL",
                "OVERLOADED",
            ][..],
        ),
        (
            "denials",
            &[
                "CREDENTIALS_INVALID",
                "NO_ROLE",
                "GRAPH_NOT_GRANTED",
                "HOST_NOT_ALLOWED",
                "ORIGIN_NOT_ALLOWED",
                "HTTP 403",
            ],
        ),
        ("cut_connections", &["control_frames", "slow_reader", "stranger"]),
    ] {
        for reason in reasons {
            assert_eq!(
                sample(&text, &format!("dossier_{name}_total{{reason=\"{reason}\"}}")),
                0
            );
        }
    }
}

#[tokio::test]
async fn what_is_done_is_counted() {
    let server = Server::start().await;
    server.entity("e:KR").await.unwrap();
    server.entity("e:JP").await.unwrap();
    check_error(
        server.entity("e:nobody").await,
        Code::NotFound,
        ErrorReason::EntityNotFound,
    );
    let mut sparql = v1::sparql_service_client::SparqlServiceClient::new(server.channel.clone());
    let query = |query: &str| v1::QueryRequest {
        query: query.into(),
        ..Default::default()
    };
    let mut frames = sparql
        .query(query("SELECT * { ?s ?p ?o } LIMIT 10"))
        .await
        .unwrap()
        .into_inner();
    while frames.message().await.unwrap().is_some() {}
    // Cancelled by the client, who has seen one frame.
    let mut left = sparql
        .query(query("SELECT * { ?a ?b ?c . ?d ?e ?f }"))
        .await
        .unwrap()
        .into_inner();
    assert!(left.message().await.unwrap().is_some());
    drop(left);
    let update = v1::UpdateRequest {
        update: "INSERT DATA { e:a e:b 1 }".into(),
        ..Default::default()
    };
    sparql.update(update).await.unwrap();
    get(server.address, "/store?graph=https://example.org/none").await;
    get(server.address, "/secret-of-a-caller").await;

    let handled = |method: &str, code: &str| {
        let (service, name) = method.split_once('/').unwrap();
        format!(
            "grpc_server_handled_total{{grpc_service=\"dossier.v1.{service}\",grpc_method=\"{name}\",grpc_code=\"{code}\"}}"
        )
    };
    let cancelled = handled("SparqlService/Query", "Cancelled");
    let text = loop {
        let text = scrape(server.address).await;
        // The server hears of the cancellation a little later.
        if text.contains(&cancelled) {
            break text;
        }
    };
    assert_eq!(sample(&text, &cancelled), 1);
    assert_eq!(sample(&text, &handled("SparqlService/Query", "OK")), 1);
    assert_eq!(sample(&text, &handled("EntityService/GetEntity", "OK")), 2);
    assert_eq!(sample(&text, &handled("EntityService/GetEntity", "NotFound")), 1);
    assert_eq!(sample(&text, &handled("FactService/CheckFact", "OK")), 0);
    assert_eq!(
        sample(&text, "dossier_errors_total{reason=\"ENTITY_NOT_FOUND\"}"),
        1
    );
    assert_eq!(
        sample(&text, "dossier_errors_total{reason=\"GRAPH_NOT_FOUND\"}"),
        1
    );
    for (name, max) in [
        ("dossier_calls_running", 1_024),
        ("dossier_requests_memory_bytes", 256 << 20),
        ("dossier_answers_memory_bytes", 256 << 20),
    ] {
        assert_eq!(sample(&text, &format!("{name}_max")), max);
        assert!((0..max).contains(&sample(&text, name)), "{text}");
    }
    assert_eq!(sample(&text, "dossier_watchers_lag_revisions"), 0);
    assert_eq!(sample(&text, "dossier_jwks_fetch_failures_total"), 0);
    assert_eq!(sample(&text, "dossier_audit_failures_total"), 0);
    let labels = "{grpc_service=\"dossier.v1.EntityService\",grpc_method=\"GetEntity\"}";
    assert_eq!(sample(&text, &format!("grpc_server_started_total{labels}")), 3);
    assert_eq!(
        sample(&text, &format!("grpc_server_handling_seconds_count{labels}")),
        3
    );
    let http = |method: &str, route: &str, status: &str| {
        format!(
            "http_server_request_duration_seconds_count{{http_request_method=\"{method}\",http_route=\"{route}\",\
             http_response_status_code=\"{status}\"}}"
        )
    };
    assert_eq!(sample(&text, &http("GET", "/store", "404")), 1);
    assert_eq!(sample(&text, &http("GET", "/unknown", "404")), 1);
    assert!(!text.contains("secret"), "{text}");
    let info = server.info().await;
    assert_eq!(sample(&text, "dossier_revision"), info.revision);
    assert_eq!(sample(&text, "dossier_quads"), info.quad_count);
    assert!(sample(&text, "dossier_log_append_seconds_count") >= 2);
    assert!(sample(&text, "dossier_log_file_bytes") > 0);
    assert!(sample(&text, "dossier_connections") >= 1);
    assert_eq!(sample(&text, "dossier_ready"), 1);
    assert!(sample(&text, "process_resident_memory_bytes") > 0);
    server.stop().await;
}

#[tokio::test]
async fn probes_have_a_listener_of_their_own() {
    let folder = TempDir::new().unwrap();
    let [calls, operations] = [
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    ];
    let (address, probes) = (calls.local_addr().unwrap(), operations.local_addr().unwrap());
    let listeners = Listeners {
        calls,
        operations: Some(operations),
    };
    let (shutdown, stop) = oneshot::channel::<()>();
    let served = tokio::spawn(serve(settings(folder.path()), listeners, async {
        let _ = stop.await;
    }));
    let mut health = HealthClient::new(connect(probes).await);
    let mut states = health
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    while states.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}

    assert_eq!(get(probes, "/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
    assert_eq!(get(probes, "/readyz").await.0, StatusCode::OK);
    assert_eq!(sample(&scrape(probes).await, "dossier_ready"), 1);
    // Nothing of the graph here, and no counts there.
    assert_eq!(get(probes, "/store?default").await.0, StatusCode::NOT_FOUND);
    assert_eq!(
        get(probes, "/sparql?query=ASK%20%7B%7D").await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(get(address, "/metrics").await.0, StatusCode::NOT_FOUND);
    let mut entities = v1::entity_service_client::EntityServiceClient::new(connect(probes).await);
    let request = v1::GetEntityRequest {
        entity: "e:KR".into(),
        ..Default::default()
    };
    let outcome = entities.get_entity(request).await;
    check_error(outcome, Code::Unimplemented, ErrorReason::Unimplemented);

    // Probes hear that the server drains, for as long as a call holds it up.
    let (parts, stream) = mpsc::channel::<v1::ImportRequest>(1);
    let mut writes = v1::write_service_client::WriteServiceClient::new(connect(address).await);
    let imported = writes.import(ReceiverStream::new(stream)).await;
    shutdown.send(()).unwrap();
    while states.message().await.unwrap().unwrap().status() != ServingStatus::NotServing {}
    while get(probes, "/readyz").await.0 != StatusCode::SERVICE_UNAVAILABLE {}
    for service in ["", "dossier.v1.EntityService", "dossier.v1.WriteService"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::NotServing, "{service}");
    }
    drop(parts);
    assert!(complete(imported.unwrap().into_inner()).await.is_err());
    served.await.unwrap().unwrap();
}
