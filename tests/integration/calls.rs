use dossier::proto::v1::{self, ErrorReason};
use tonic::{Code, Request, Status, codegen::http::uri::PathAndQuery};
use tonic_health::pb::HealthCheckRequest;
use tonic_prost::ProstCodec;

use crate::{
    harness::{Server, check_error, connect},
    intake::hold_writer,
    operations::scrape,
    writes::{fact, request},
};

/// Calls any path with any message.
async fn call<M: prost::Message + Default + 'static>(
    server: &Server,
    path: &'static str,
    message: M,
) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(server.channel.clone());
    client.ready().await.unwrap();
    let codec = ProstCodec::<M, v1::GetServerInfoResponse>::default();
    client
        .unary(Request::new(message), PathAndQuery::from_static(path), codec)
        .await
        .map(|_| ())
}

#[tokio::test]
async fn unknown_methods_are_unimplemented() {
    let server = Server::start_empty().await;
    for path in [
        "/dossier.v1.EntityService/Nope",
        "/dossier.v2.Other/Get",
        "/nonsense",
    ] {
        let outcome = call(&server, path, v1::GetServerInfoRequest {}).await;
        check_error(outcome, Code::Unimplemented, ErrorReason::Unimplemented);
    }
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused() {
    let server = Server::start_empty().await;
    // Field 1 of ImportHeader is a text as well; field 2, a number, is a message in GetEntityRequest.
    let alien = v1::ImportHeader {
        compression: 1,
        ..Default::default()
    };
    let outcome = call(&server, "/dossier.v1.EntityService/GetEntity", alien).await;
    check_error(outcome, Code::InvalidArgument, ErrorReason::MalformedMessage);
}

#[tokio::test]
async fn oversized_messages_are_refused() {
    let server = Server::start_with(|settings| settings.message_bytes_max = 64 << 10).await;
    let request = |bytes: usize| v1::GetEntityRequest {
        // Tag and length take four bytes.
        entity: format!("e:{}", "x".repeat(bytes - 2 - 4)),
        ..Default::default()
    };
    let most = server.entities().get_entity(request(64 << 10)).await;
    check_error(most, Code::NotFound, ErrorReason::EntityNotFound);
    let outcome = server.entities().get_entity(request((64 << 10) + 1)).await;
    check_error(outcome, Code::ResourceExhausted, ErrorReason::MessageTooLarge);
    let parts = vec![
        v1::import_request::Part::Header(crate::harness::header("nt")),
        v1::import_request::Part::Chunk(vec![b'#'; 65 << 10].into()),
    ];
    check_error(
        server.import_parts(parts).await,
        Code::ResourceExhausted,
        ErrorReason::MessageTooLarge,
    );
}

/// Health is told to strangers.
#[tokio::test]
async fn messages_about_health_are_small() {
    let server = Server::start_empty().await;
    let check = |bytes: usize| {
        // Tag and length take three bytes.
        let service = "x".repeat(bytes - 3);
        let mut health = server.health();
        async move { health.check(HealthCheckRequest { service }).await }
    };
    check_error(check(1 << 10).await, Code::NotFound, ErrorReason::Unimplemented);
    let outcome = check((1 << 10) + 1).await;
    check_error(outcome, Code::ResourceExhausted, ErrorReason::MessageTooLarge);
}

#[tokio::test]
async fn malformed_deadlines_are_refused() {
    let server = Server::start_empty().await;
    let mut request = Request::new(v1::GetServerInfoRequest {});
    request
        .metadata_mut()
        .insert("grpc-timeout", "soon".parse().unwrap());
    let outcome = server.admin().get_server_info(request).await;
    check_error(outcome, Code::InvalidArgument, ErrorReason::MalformedMessage);
}

#[tokio::test]
async fn deadlines_bind_streams_too() {
    let server = Server::start_empty().await;
    let (sender, parts) = tokio::sync::mpsc::channel::<v1::ImportRequest>(1);
    let mut request = Request::new(tokio_stream::wrappers::ReceiverStream::new(parts));
    request
        .metadata_mut()
        .insert("grpc-timeout", "100m".parse().unwrap());
    let answers = server.writes().import(request).await;
    let outcome = match answers {
        Ok(answers) => crate::harness::complete(answers.into_inner()).await,
        Err(status) => Err(status),
    };
    check_error(outcome, Code::DeadlineExceeded, ErrorReason::DeadlineExceeded);
    drop(sender);
}

#[tokio::test]
async fn one_connection_too_many_is_refused() {
    let server = Server::start_with(|settings| {
        settings.connection_count_max = 1;
        settings.load_shipped_data = false;
    })
    .await;
    let endpoint = tonic::transport::Channel::from_shared(format!("http://{}", server.address)).unwrap();
    let refused = match endpoint.connect().await {
        Err(_) => true,
        Ok(channel) => v1::admin_service_client::AdminServiceClient::new(channel)
            .get_server_info(v1::GetServerInfoRequest {})
            .await
            .is_err(),
    };
    assert!(refused);
    server.info().await;
}

#[tokio::test]
async fn calls_beyond_the_stream_limit_wait_for_their_turn() {
    let server = Server::start_with(|settings| {
        settings.stream_count_max = 1;
        settings.load_shipped_data = false;
    })
    .await;
    let channel = connect(server.address).await;
    // A client knows the limit once it has heard from the server.
    let mut first = v1::admin_service_client::AdminServiceClient::new(channel.clone());
    first.get_server_info(v1::GetServerInfoRequest {}).await.unwrap();
    let calls = (0..20).map(|_| {
        let mut client = v1::admin_service_client::AdminServiceClient::new(channel.clone());
        async move { client.get_server_info(v1::GetServerInfoRequest {}).await }
    });
    for outcome in futures::future::join_all(calls).await {
        outcome.unwrap();
    }
}

#[tokio::test]
async fn calls_whose_message_has_not_come_take_no_place() {
    let server = Server::start_with(|settings| settings.connections.call_count_max = 1).await;
    // Headers, from several connections, and never a message.
    let mut open = Vec::new();
    for _ in 0..3 {
        let channel = connect(server.address).await;
        open.extend((0..50).map(|_| {
            let mut client = tonic::client::Grpc::new(channel.clone());
            tokio::spawn(async move {
                client.ready().await.unwrap();
                let path = PathAndQuery::from_static("/dossier.v1.EntityService/GetEntity");
                let codec = ProstCodec::<v1::GetEntityRequest, v1::GetEntityResponse>::default();
                let nothing = Request::new(tokio_stream::pending());
                client.client_streaming(nothing, path, codec).await
            })
        }));
    }
    let begun =
        "grpc_server_started_total{grpc_service=\"dossier.v1.EntityService\",grpc_method=\"GetEntity\"} 150";
    while !scrape(server.address).await.contains(begun) {}
    server.entity("e:KR").await.unwrap();
    assert!(open.iter().all(|call| !call.is_finished()));
    // One that has arrived does, until it is answered.
    let holding = hold_writer(&server).await;
    let mut writes = server.writes();
    let writing = tokio::spawn(async move { writes.write_facts(request([fact("e:a", "e:b")])).await });
    let refused = loop {
        if let Err(status) = server.entity("e:KR").await {
            break status;
        }
    };
    check_error::<()>(Err(refused), Code::ResourceExhausted, ErrorReason::Overloaded);
    holding.abort();
    writing.await.unwrap().unwrap();
    server.entity("e:KR").await.unwrap();
}
