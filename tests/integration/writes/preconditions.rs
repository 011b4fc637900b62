//! Preconditions of writes.

use dossier::proto::v1::{
    ErrorReason, Fact, Literal, Precondition, Quad, RetractFactsRequest, Term, UpdateRequest,
    WriteFactsRequest, precondition::Condition, term::Term as Kind,
};
use tonic::Code;

use super::{fact, iri, request, retract, retraction, state, write};
use crate::{
    harness::{Server, check_error, check_fields},
    sparql::insert,
    updates::{change, update},
};

fn one() -> Term {
    Term {
        term: Some(Kind::Literal(Literal {
            lexical_form: "1".into(),
            datatype: "xsd:integer".into(),
            ..Default::default()
        })),
    }
}

fn quad(object: Term, graph: &str) -> Quad {
    Quad {
        subject: Some(iri("e:a")),
        predicate: "e:p".into(),
        object: Some(object),
        graph: (!graph.is_empty()).then(|| iri(graph)),
    }
}

fn preconditions(conditions: &[Condition]) -> Vec<Precondition> {
    let conditions = conditions.iter().cloned().map(Some);
    conditions.map(|condition| Precondition { condition }).collect()
}

/// What holds after [`prepared`].
fn met() -> [Condition; 5] {
    [
        Condition::LiveFact("s:live".into()),
        Condition::AbsentFact("s:nobody".into()),
        Condition::PresentQuad(quad(one(), "")),
        Condition::AbsentQuad(quad(one(), "g:x")),
        Condition::AbsentQuad(quad(iri("e:never-heard-of"), "")),
    ]
}

async fn prepared() -> Server {
    let server = Server::start_empty().await;
    insert(&server, "e:a e:p 1 GRAPH g:x { _:b e:p e:c }").await;
    let named = |id: &str| Fact {
        id: id.into(),
        ..fact("e:a", "e:b")
    };
    write(&server, request([named("s:live"), named("s:dead")]))
        .await
        .unwrap();
    retract(&server, retraction(&["s:dead"])).await.unwrap();
    server
}

#[tokio::test]
async fn preconditions_are_looked_at_in_the_newest_state() {
    let server = prepared().await;
    let unmet = [
        Condition::LiveFact("s:dead".into()),
        Condition::LiveFact("s:nobody".into()),
        Condition::AbsentFact("s:live".into()),
        Condition::AbsentFact("s:dead".into()),
        Condition::PresentQuad(quad(one(), "g:x")),
        Condition::PresentQuad(quad(iri("e:never-heard-of"), "")),
        Condition::AbsentQuad(quad(one(), "")),
    ];
    let before = state(&server).await;
    for condition in unmet {
        let preconditions = preconditions(&[met().as_slice(), &[condition]].concat());
        let writing = WriteFactsRequest {
            preconditions: preconditions.clone(),
            ..request([fact("e:x", "e:y")])
        };
        let metadata = check_error(
            write(&server, writing).await,
            Code::Aborted,
            ErrorReason::PreconditionFailed,
        );
        assert_eq!(metadata["precondition"], met().len().to_string());
        let retracting = RetractFactsRequest {
            preconditions: preconditions.clone(),
            ..retraction(&["s:live"])
        };
        check_error(
            retract(&server, retracting).await,
            Code::Aborted,
            ErrorReason::PreconditionFailed,
        );
        let updating = UpdateRequest {
            preconditions: preconditions.clone(),
            ..change("CLEAR ALL")
        };
        check_error(
            update(&server, updating).await,
            Code::Aborted,
            ErrorReason::PreconditionFailed,
        );
    }
    assert_eq!(state(&server).await, before);
    let writing = WriteFactsRequest {
        preconditions: preconditions(&met()),
        ..request([fact("e:x", "e:y")])
    };
    write(&server, writing).await.unwrap();
    let retracting = RetractFactsRequest {
        preconditions: preconditions(&met()),
        ..retraction(&["s:live"])
    };
    retract(&server, retracting).await.unwrap();
}

#[tokio::test]
async fn an_update_has_preconditions_too() {
    let server = Server::start_empty().await;
    let updating = UpdateRequest {
        preconditions: preconditions(&[Condition::AbsentQuad(quad(one(), ""))]),
        request_id: "once".into(),
        ..change("INSERT DATA { e:a e:p 1 }")
    };
    let first = update(&server, updating.clone()).await.unwrap();
    // The same request is answered, whatever became of its preconditions; with others it is another request.
    assert_eq!(update(&server, updating.clone()).await.unwrap(), first);
    let other = UpdateRequest {
        preconditions: Vec::new(),
        ..updating.clone()
    };
    check_error(
        update(&server, other).await,
        Code::AlreadyExists,
        ErrorReason::RequestIdReused,
    );
    let anew = UpdateRequest {
        request_id: String::new(),
        ..updating
    };
    check_error(
        update(&server, anew).await,
        Code::Aborted,
        ErrorReason::PreconditionFailed,
    );
    let bad = UpdateRequest {
        preconditions: vec![Precondition::default(); 2],
        ..change("CLEAR ALL")
    };
    check_fields(
        update(&server, bad).await,
        ErrorReason::InvalidField,
        &["preconditions[0]", "preconditions[1]"],
    );
}

#[tokio::test]
async fn what_is_no_precondition_is_refused() {
    let server = Server::start_empty().await;
    let bad = [
        Condition::LiveFact(String::new()),
        Condition::PresentQuad(Quad::default()),
        Condition::AbsentQuad(Quad {
            subject: Some(one()),
            graph: Some(iri("nope:")),
            ..quad(one(), "")
        }),
    ];
    let mut preconditions = preconditions(&bad);
    preconditions.push(Precondition::default());
    let writing = WriteFactsRequest {
        preconditions,
        ..request([fact("e:x", "e:y")])
    };
    check_fields(
        write(&server, writing).await,
        ErrorReason::InvalidField,
        &[
            "preconditions[0].live_fact",
            "preconditions[1].present_quad.subject",
            "preconditions[1].present_quad.object",
            "preconditions[1].present_quad.predicate",
            "preconditions[2].absent_quad.graph.iri",
            "preconditions[2].absent_quad.subject",
            "preconditions[3]",
        ],
    );
    assert_eq!(state(&server).await, (0, 0));
}
