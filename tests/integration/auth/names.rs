//! What two callers name the same is not the same.

use dossier::{
    auth::Tokens,
    proto::v1::{
        self, import_request::Part, sparql_service_client::SparqlServiceClient,
        write_service_client::WriteServiceClient,
    },
};

use super::by;
use crate::harness::{Server, complete, sourced_fact};

/// A server, and the tokens of two who may write the default graph.
async fn start() -> (Server, [String; 2]) {
    let mut tokens = Tokens::default();
    let secrets = ["one", "two"].map(|name| {
        let made = tokens.create(name, &["write".to_owned()], 0, None);
        made.unwrap().secret().to_owned()
    });
    (Server::start_guarded(&tokens, "").await, secrets)
}

#[tokio::test]
async fn facts_of_the_same_request_of_two_callers_have_ids_of_their_own() {
    let (server, [one, two]) = start().await;
    let request = v1::WriteFactsRequest {
        facts: vec![sourced_fact()],
        request_id: "once".to_owned(),
        ..Default::default()
    };
    let write = async |bearer: &str| {
        let mut writes = WriteServiceClient::new(server.channel.clone());
        let written = writes.write_facts(by(bearer, request.clone())).await;
        written.unwrap().into_inner()
    };
    let (first, second) = (write(&one).await, write(&two).await);
    assert_ne!(first.ids, second.ids);
    assert_ne!(first.revision, second.revision);
    assert_eq!(write(&one).await, first);
    assert_eq!(write(&two).await, second);
}

#[tokio::test]
async fn blank_nodes_of_imports_in_pieces_of_two_callers_are_not_the_same() {
    let (server, [one, two]) = start().await;
    let import = async |bearer: &str, number: u8| {
        let header = v1::ImportHeader {
            format: "nt".to_owned(),
            mode: v1::ImportMode::Chunked.into(),
            request_id: "once".to_owned(),
            ..Default::default()
        };
        let chunk = format!("_:a <http://ex/p> \"{number}\" .\n").into_bytes();
        let parts = [Part::Header(header), Part::Chunk(chunk.into())];
        let parts = parts.map(|part| v1::ImportRequest { part: Some(part) });
        let mut writes = WriteServiceClient::new(server.channel.clone());
        let parts = by(bearer, tokio_stream::iter(parts));
        complete(writes.import(parts).await.unwrap().into_inner())
            .await
            .unwrap()
    };
    import(&one, 1).await;
    assert_eq!(import(&two, 2).await.quads_inserted, 1);
    import(&one, 1).await;
    let query = v1::QueryRequest {
        query: r#"ASK { { ?a <http://ex/p> "1", "2" } UNION { ?a <http://ex/p> "1" . ?b <http://ex/p> "1" FILTER(?a != ?b) } }"#
            .to_owned(),
        ..Default::default()
    };
    let mut sparql = SparqlServiceClient::new(server.channel.clone());
    let mut frames = sparql.query(by(&one, query)).await.unwrap().into_inner();
    while let Some(frame) = frames.message().await.unwrap() {
        if let Some(v1::query_response::Frame::Boolean(answer)) = frame.frame {
            assert!(
                !answer,
                "two callers share a blank node, or one import was done twice"
            );
            return;
        }
    }
    panic!("no answer");
}
