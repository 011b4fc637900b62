//! Reads of earlier revisions.

use dossier::proto::v1::{self, ErrorReason, ReadOptions};
use tonic::Code;

use crate::{
    harness::{Server, check_error, check_fields},
    sparql::{ask, query},
};

fn at(at_revision: u64) -> ReadOptions {
    ReadOptions {
        at_revision: i64::try_from(at_revision).unwrap(),
        ..ReadOptions::default()
    }
}

fn get(read: ReadOptions) -> v1::GetEntityRequest {
    v1::GetEntityRequest {
        entity: "e:one".into(),
        read: Some(read),
        page_size: 2,
        ..Default::default()
    }
}

/// Three revisions of one entity: two facts, five, none.
async fn history() -> Server {
    let server = Server::start_empty().await;
    let update = |text: &str| v1::UpdateRequest {
        update: format!("PREFIX e: <https://w3id.org/dossier/e/> {text}"),
        ..Default::default()
    };
    let mut sparql = v1::sparql_service_client::SparqlServiceClient::new(server.channel.clone());
    for (text, revision) in [
        ("INSERT DATA { e:one e:p 1, 2 }", 1),
        ("INSERT DATA { e:one e:p 3, 4, 5 }", 2),
        ("DELETE WHERE { e:one e:p ?o }", 3),
    ] {
        let done = sparql.update(update(text)).await.unwrap().into_inner();
        assert_eq!(done.revision, revision);
    }
    server
}

#[tokio::test]
async fn entities_and_facts_are_read_as_they_were() {
    let server = history().await;
    let mut entities = server.entities();
    for (revision, fact_count) in [(1, 2), (2, 5), (1, 2)] {
        let mut objects = Vec::new();
        let mut request = get(at(revision));
        loop {
            let answer = entities.get_entity(request.clone()).await.unwrap().into_inner();
            assert_eq!(answer.revision, i64::try_from(revision).unwrap());
            let entity = answer.entity.unwrap();
            objects.extend(entity.facts);
            if entity.next_page_token.is_empty() {
                break;
            }
            request.page_token = entity.next_page_token;
        }
        assert_eq!(objects.len(), fact_count, "{revision}");
    }
    let outcome = entities.get_entity(get(ReadOptions::default())).await;
    check_error(outcome, Code::NotFound, ErrorReason::EntityNotFound);
    let listed = entities
        .list_predicates(v1::ListPredicatesRequest {
            read: Some(at(2)),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!((listed.revision, listed.predicates[0].triple_count), (2, 5));
    let facts = server
        .list(v1::ListFactsRequest {
            subject: "e:one".into(),
            read: Some(at(1)),
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!((facts.revision, facts.facts.len()), (1, 2));
}

#[tokio::test]
async fn a_page_token_is_of_its_revision() {
    let server = history().await;
    let mut entities = server.entities();
    let first = entities.get_entity(get(at(2))).await.unwrap().into_inner();
    let page_token = first.entity.unwrap().next_page_token;
    assert_ne!(page_token, "");
    for read in [at(1), ReadOptions::default()] {
        let request = v1::GetEntityRequest {
            page_token: page_token.clone(),
            ..get(read)
        };
        check_fields(
            entities.get_entity(request).await,
            ErrorReason::InvalidPageToken,
            &["page_token"],
        );
    }
}

#[tokio::test]
async fn queries_are_asked_of_an_earlier_revision() {
    let server = history().await;
    let request = |at_revision| v1::QueryRequest {
        at_revision,
        ..ask("ASK { ?s ?p 4 }")
    };
    for (revision, expected) in [(1, false), (2, true), (3, false)] {
        let answer = query(&server, request(revision)).await.unwrap();
        assert_eq!(
            (answer.header.revision, answer.boolean),
            (revision, Some(expected))
        );
    }
    let outcome = query(&server, request(9)).await;
    check_error(outcome, Code::NotFound, ErrorReason::RevisionNotFound);
    let both = v1::QueryRequest {
        min_revision: 1,
        ..request(1)
    };
    check_fields(
        query(&server, both).await,
        ErrorReason::InvalidField,
        &["at_revision"],
    );
}

#[tokio::test]
async fn revisions_that_cannot_be_read_are_refused() {
    let server = history().await;
    let mut entities = server.entities();
    let outcome = entities.get_entity(get(at(4))).await;
    let metadata = check_error(outcome, Code::NotFound, ErrorReason::RevisionNotFound);
    assert_eq!(metadata["revision"], "3");
    let negative = ReadOptions {
        at_revision: -1,
        ..ReadOptions::default()
    };
    check_fields(
        entities.get_entity(get(negative)).await,
        ErrorReason::InvalidField,
        &["read.at_revision"],
    );
    let both = ReadOptions {
        min_revision: 1,
        ..at(1)
    };
    check_fields(
        entities.get_entity(get(both)).await,
        ErrorReason::InvalidField,
        &["read.at_revision"],
    );
    let folder = server.stop().await;
    // The last commit removed five quads.
    let server = Server::start_in(folder, |settings| {
        settings.load_shipped_data = false;
        settings.past_change_count_max = 6;
    })
    .await;
    let mut entities = server.entities();
    entities.get_entity(get(at(2))).await.unwrap();
    let outcome = entities.get_entity(get(at(1))).await;
    let metadata = check_error(outcome, Code::ResourceExhausted, ErrorReason::RevisionTooFarBack);
    assert_eq!(
        (
            metadata["at_revision"].as_str(),
            metadata["past_change_count_max"].as_str()
        ),
        ("1", "6")
    );
    assert_eq!(server.info().await.limits.unwrap().past_change_count_max, 6);
}
