//! What `WriteFacts` refuses because of other facts, sources, or limits.

use dossier::proto::v1::{
    ErrorReason, Fact, Precondition, Qualifier, Source, WriteFactsRequest, precondition::Condition,
};
use tonic::Code;

use super::{S, count, fact, iri, request, retract, retraction, source, state, write};
use crate::harness::{Server, check_error, check_fields};

#[tokio::test]
async fn facts_of_one_request_agree() {
    let server = Server::start_empty().await;
    let named = |id: &str, title: &str, revises: &str| Fact {
        id: id.into(),
        revises: revises.into(),
        sources: vec![Source {
            title: title.into(),
            ..source()
        }],
        ..fact("e:a", "e:b")
    };
    let outcome = write(
        &server,
        request([named("s:1", "A", "s:0"), named("s:1", "B", "s:0")]),
    )
    .await;
    check_fields(
        outcome,
        ErrorReason::InvalidField,
        &["facts[1].id", "facts[1].revises", "facts[1].sources[0].title"],
    );
    assert_eq!(state(&server).await, (0, 0));
}

#[tokio::test]
async fn requests_have_limits() {
    let server = Server::start_empty().await;
    let facts = |count: usize| (0..count).map(|number| fact(&format!("e:{number}"), "e:b"));
    let outcome = write(&server, request(facts(10_001))).await;
    check_fields(outcome, ErrorReason::InvalidField, &["facts"]);
    let outcome = write(&server, request([])).await;
    check_fields(outcome, ErrorReason::InvalidField, &["facts"]);
    let many = |sources: usize, qualifiers: usize, disputes: usize| Fact {
        sources: (0..sources)
            .map(|number| Source {
                iri: format!("src:{number}"),
                ..source()
            })
            .collect(),
        qualifiers: (0..qualifiers)
            .map(|number| Qualifier {
                property: "e:q".into(),
                value: Some(iri(&format!("e:{number}"))),
            })
            .collect(),
        disputes: vec!["s:1".into(); disputes],
        id: "s:1".into(),
        ..fact("e:a", "e:b")
    };
    let outcome = write(&server, request([many(101, 101, 101)])).await;
    check_fields(
        outcome,
        ErrorReason::InvalidField,
        &["facts[0].qualifiers", "facts[0].sources", "facts[0].disputes"],
    );
    let outcome = write(
        &server,
        WriteFactsRequest {
            preconditions: vec![Precondition::default(); 1_001],
            request_id: "x".repeat(129),
            message: "x".repeat(1_025),
            expected_revision: Some(-1),
            ..request([many(1, 0, 0)])
        },
    )
    .await;
    check_fields(
        outcome,
        ErrorReason::InvalidField,
        &["preconditions", "request_id", "message", "expected_revision"],
    );
    let outcome = retract(&server, retraction(&vec!["s:1"; 10_001])).await;
    check_fields(outcome, ErrorReason::InvalidField, &["ids"]);
    assert_eq!(state(&server).await, (0, 0));
    // Just at them.
    let absent = Precondition {
        condition: Some(Condition::AbsentFact("s:1".into())),
    };
    let at_limit = WriteFactsRequest {
        preconditions: vec![absent; 1_000],
        request_id: "x".repeat(128),
        message: "x".repeat(1_024),
        expected_revision: Some(0),
        ..request([many(100, 100, 100)])
    };
    write(&server, at_limit).await.unwrap();
    let written = write(&server, request(facts(10_000))).await.unwrap();
    let ids: Vec<_> = written.ids.iter().map(String::as_str).collect();
    let retracted = retract(&server, retraction(&ids)).await.unwrap();
    assert!(retracted.quads_inserted >= 10_000);
}

#[tokio::test]
async fn a_source_is_described_once() {
    let server = Server::start_empty().await;
    let untitled = || Fact {
        sources: vec![Source {
            iri: "src:a".into(),
            ..Default::default()
        }],
        ..fact("e:a", "e:b")
    };
    let outcome = write(&server, request([untitled()])).await;
    let metadata = check_error(outcome.clone(), Code::InvalidArgument, ErrorReason::SourceUnknown);
    assert_eq!(metadata["source"], "https://w3id.org/dossier/src/a");
    check_fields(outcome, ErrorReason::SourceUnknown, &["facts[0].sources[0].iri"]);
    assert_eq!(state(&server).await, (0, 0));
    // Another fact of the request brings the title.
    write(&server, request([untitled(), fact("e:a", "e:c")]))
        .await
        .unwrap();
    write(&server, request([untitled()])).await.unwrap();
    let renamed = Fact {
        sources: vec![Source {
            title: "B".into(),
            publisher: "e:b".into(),
            ..source()
        }],
        ..fact("e:a", "e:d")
    };
    write(&server, request([renamed])).await.unwrap();
    assert_eq!(
        count(&server, "GRAPH g:sources { src:a dcterms:title 'A' }").await,
        1
    );
    assert_eq!(count(&server, "GRAPH g:sources { ?s ?p ?o }").await, 1);
}

#[tokio::test]
async fn an_id_has_one_content() {
    let server = Server::start_empty().await;
    let named = |object: &str| Fact {
        id: "s:1".into(),
        confidence: Some(0.25),
        ..fact("e:a", object)
    };
    let first = write(&server, request([named("e:b")])).await.unwrap();
    let again = write(&server, request([named("e:b")])).await.unwrap();
    assert_eq!(
        (again.revision, again.quads_inserted, &again.ids),
        (first.revision, 0, &first.ids)
    );
    let before = state(&server).await;
    let others = [
        named("e:c"),
        Fact {
            negated: true,
            ..named("e:b")
        },
        Fact {
            confidence: None,
            ..named("e:b")
        },
        Fact {
            recorded_at: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
            ..named("e:b")
        },
    ];
    for other in others {
        let outcome = write(&server, request([fact("e:x", "e:y"), other])).await;
        let message = outcome.as_ref().unwrap_err().message().to_owned();
        assert!(
            message.contains("facts[1].id") && message.contains("`revises`"),
            "{message}"
        );
        let metadata = check_error(outcome, Code::AlreadyExists, ErrorReason::FactIdInUse);
        assert_eq!(metadata["id"], format!("{S}1"));
    }
    assert_eq!(state(&server).await, before);
    retract(&server, retraction(&["s:1"])).await.unwrap();
    let outcome = write(&server, request([named("e:b")])).await;
    check_error(outcome, Code::AlreadyExists, ErrorReason::FactIdInUse);
}
