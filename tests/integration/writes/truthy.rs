//! What holds after a write, in the same commit.

use dossier::proto::v1::{Fact, RetractFactsRequest, Stance, Standing, ValidTime, WriteFactsRequest};

use super::{count, fact, request, retract, retraction, write};
use crate::harness::Server;

/// Tells whether `e:a e:p` has each of these objects in the default graph.
async fn holding(server: &Server, objects: &[&str]) -> Vec<bool> {
    let mut held = Vec::new();
    for object in objects {
        held.push(count(server, &format!("e:a e:p {object}")).await == 1);
    }
    held
}

fn named(id: &str, object: &str) -> Fact {
    Fact {
        id: id.into(),
        ..fact("e:a", object)
    }
}

#[tokio::test]
async fn a_fact_holds_until_it_is_retracted() {
    let server = Server::start_empty().await;
    let first = write(&server, request([named("s:1", "e:b")])).await.unwrap();
    assert_eq!(holding(&server, &["e:b"]).await, [true]);
    assert_eq!(count(&server, "GRAPH g:derived { e:a e:p e:b }").await, 1);
    // A second statement of the same keeps it when the first one goes.
    write(&server, request([named("s:2", "e:b")])).await.unwrap();
    retract(&server, retraction(&["s:1"])).await.unwrap();
    assert_eq!(holding(&server, &["e:b"]).await, [true]);
    let ending = retraction(&["s:2"]);
    let validated = RetractFactsRequest {
        validate_only: true,
        ..ending.clone()
    };
    let validated = retract(&server, validated).await.unwrap();
    assert_eq!(holding(&server, &["e:b"]).await, [true]);
    let ended = retract(&server, ending).await.unwrap();
    assert_eq!(ended.quads_removed, validated.quads_removed);
    assert_eq!(ended.quads_removed, 2, "the triple, and that it is derived");
    assert_eq!(holding(&server, &["e:b"]).await, [false]);
    assert_eq!(ended.revision, first.revision + 3);
}

#[tokio::test]
async fn a_revision_changes_what_holds_at_once() {
    let server = Server::start_empty().await;
    write(&server, request([named("s:1", "e:b")])).await.unwrap();
    let new = Fact {
        revises: "s:1".into(),
        ..named("s:2", "e:c")
    };
    write(&server, request([new])).await.unwrap();
    assert_eq!(holding(&server, &["e:b", "e:c"]).await, [false, true]);
    // No longer accepted: nothing holds, and both are kept.
    let disputed = Fact {
        revises: "s:2".into(),
        standing: Standing::Disputed.into(),
        ..named("s:3", "e:c")
    };
    write(&server, request([disputed])).await.unwrap();
    assert_eq!(holding(&server, &["e:b", "e:c"]).await, [false, false]);
    assert_eq!(
        count(&server, "GRAPH g:statements { ?s rdf:subject e:a }").await,
        3
    );
}

#[tokio::test]
async fn only_what_the_rule_lets_hold_holds() {
    let server = Server::start_empty().await;
    let during = |edtf: &str| {
        Some(ValidTime {
            edtf: edtf.into(),
            ..ValidTime::default()
        })
    };
    let facts = [
        Fact {
            stance: Stance::Planned.into(),
            ..named("s:planned", "e:planned")
        },
        Fact {
            standing: Standing::Unconfirmed.into(),
            ..named("s:unconfirmed", "e:unconfirmed")
        },
        Fact {
            negated: true,
            ..named("s:negated", "e:negated")
        },
        Fact {
            valid_time: during("1990/2000"),
            ..named("s:over", "e:over")
        },
        Fact {
            valid_time: during("9990/.."),
            ..named("s:later", "e:later")
        },
        named("s:unknown", "d:SomeValue"),
        Fact {
            valid_time: during("1990/.."),
            ..named("s:since", "e:since")
        },
    ];
    write(&server, request(facts)).await.unwrap();
    let objects = [
        "e:planned",
        "e:unconfirmed",
        "e:negated",
        "e:over",
        "e:later",
        "d:SomeValue",
        "e:since",
    ];
    assert_eq!(
        holding(&server, &objects).await,
        [false, false, false, false, false, false, true]
    );
    // Preferred hides accepted.
    let preferred = Fact {
        standing: Standing::Preferred.into(),
        ..named("s:preferred", "e:preferred")
    };
    let preferred = write(&server, request([preferred])).await.unwrap();
    assert_eq!(holding(&server, &["e:since", "e:preferred"]).await, [false, true]);
    retract(&server, retraction(&["s:preferred"])).await.unwrap();
    assert_eq!(holding(&server, &["e:since", "e:preferred"]).await, [true, false]);
    let again = WriteFactsRequest {
        expected_revision: Some(preferred.revision + 1),
        ..request([named("s:again", "e:since")])
    };
    write(&server, again).await.unwrap();
}
