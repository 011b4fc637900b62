use std::time::{Duration, Instant};

use dossier::proto::v1::ErrorReason;
use tokio::io::AsyncReadExt as _;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_client::ServerReflectionClient};

use crate::{
    harness::{Server, check_error},
    http::{SUM, query},
    http_client::send,
    operations::scrape,
};

#[tokio::test]
async fn what_is_committed_is_there_after_a_restart() {
    let server = Server::start().await;
    let text = "<http://e.com/s> <http://e.com/p> \"01\"^^<http://www.w3.org/2001/XMLSchema#int> .";
    let revision = server.import_text("nt", text).await.unwrap().revision;
    let (kr, count) = (
        server.entity("e:KR").await.unwrap(),
        server.info().await.quad_count,
    );
    let folder = server.stop().await;
    let server = Server::start_in(folder, |_| {}).await;
    let info = server.info().await;
    assert_eq!((info.revision, info.quad_count), (revision, count));
    let again = server.entity("e:KR").await.unwrap();
    assert_eq!((again.iri, again.facts.len()), (kr.iri, kr.facts.len()));
}

#[tokio::test]
async fn health_follows_the_life_of_the_server() {
    let server = Server::start_empty().await;
    for service in ["", "dossier.v1.EntityService", "dossier.v1.WriteService"] {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        let answer = server.health().check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let request = HealthCheckRequest {
        service: String::new(),
    };
    let mut states = server.health().watch(request).await.unwrap().into_inner();
    assert_eq!(
        states.message().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );
    server.shutdown.send(()).unwrap();
    assert_eq!(
        states.message().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    check_error(
        states.message().await,
        Code::Unavailable,
        ErrorReason::Unavailable,
    );
    server.served.await.unwrap().unwrap();
}

/// It has no end of its own, and would hold up the drain.
#[tokio::test]
async fn reflection_is_told_of_the_shutdown_and_not_waited_for() {
    let server = Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.drain_timeout = Duration::from_hours(1);
        settings.connections.request_stall_max = Duration::from_hours(1);
    })
    .await;
    let (_questions, asked) = tokio::sync::mpsc::channel::<ServerReflectionRequest>(1);
    let asked = tokio_stream::wrappers::ReceiverStream::new(asked);
    let answers = ServerReflectionClient::new(server.channel.clone())
        .server_reflection_info(asked)
        .await;
    server.shutdown.send(()).unwrap();
    let told = answers.unwrap().into_inner().message().await;
    check_error(told, Code::Unavailable, ErrorReason::Unavailable);
    server.served.await.unwrap().unwrap();
}

/// Its task waits for the caller otherwise, for as long as the connection is there.
#[tokio::test]
async fn reflection_does_not_wait_for_who_is_silent() {
    let server = Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.connections.request_stall_max = Duration::from_millis(100);
    })
    .await;
    let (_questions, asked) = tokio::sync::mpsc::channel::<ServerReflectionRequest>(1);
    let asked = tokio_stream::wrappers::ReceiverStream::new(asked);
    let answers = ServerReflectionClient::new(server.channel.clone())
        .server_reflection_info(asked)
        .await;
    assert!(answers.unwrap().into_inner().message().await.unwrap().is_none());
}

#[tokio::test]
async fn requests_over_http_are_told_of_the_end() {
    let server = Server::start_with(|settings| {
        settings.drain_timeout = Duration::from_secs(4);
        settings.query_timeout_max = Duration::from_hours(1);
        settings.query_work_max = i64::MAX as u64;
    })
    .await;
    let revision = server.info().await.revision;
    let answer = tokio::spawn(send(server.address, query(SUM, "*/*")));
    while !scrape(server.address)
        .await
        .contains("dossier_queries_running 1\n")
    {}
    server.shutdown.send(()).unwrap();
    let answer = answer.await.unwrap().unwrap();
    let problem: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(
        (&problem["reason"], &problem["revision"]),
        (&"UNAVAILABLE".into(), &revision.into())
    );
    server.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_ends_on_time_with_an_open_stream_and_a_silent_socket() {
    let server = Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.drain_timeout = Duration::from_millis(300);
    })
    .await;
    let mut silent = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let (sender, parts) = tokio::sync::mpsc::channel(1);
    let answers = server
        .writes()
        .import(tokio_stream::wrappers::ReceiverStream::new(parts))
        .await
        .unwrap();
    let started_at = Instant::now();
    server.shutdown.send(()).unwrap();
    server.served.await.unwrap().unwrap();
    assert!(
        started_at.elapsed() < Duration::from_secs(3),
        "{:?}",
        started_at.elapsed()
    );
    assert!(answers.into_inner().message().await.is_err());
    assert_eq!(silent.read(&mut [0; 8]).await.unwrap_or(0), 0);
    drop(sender);
}
