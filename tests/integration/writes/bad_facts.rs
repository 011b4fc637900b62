//! What `WriteFacts` refuses.

use dossier::proto::v1::{
    ErrorReason, Fact, Literal, Qualifier, Source, Stance, Standing, Term, TripleTerm, ValidTime,
    term::Term as Kind,
};

use super::{fact, iri, request, source, state, write};
use crate::harness::{Server, check_fields};

type Case = (Fact, ErrorReason, &'static [&'static str]);

/// Writes each fact behind a good one, and checks the paths of all that is wrong with it, and that nothing is written.
async fn check(cases: impl IntoIterator<Item = Case>) {
    let server = Server::start_empty().await;
    write(&server, request([base()])).await.unwrap();
    let before = state(&server).await;
    for (bad, reason, fields) in cases {
        let paths: Vec<_> = fields.iter().map(|field| format!("facts[1].{field}")).collect();
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        check_fields(write(&server, request([base(), bad])).await, reason, &paths);
    }
    assert_eq!(state(&server).await, before);
}

const INVALID: ErrorReason = ErrorReason::InvalidField;

fn base() -> Fact {
    fact("e:a", "e:b")
}

fn literal(datatype: &str) -> Term {
    Term {
        term: Some(Kind::Literal(Literal {
            datatype: datatype.into(),
            ..Default::default()
        })),
    }
}

fn blank() -> Term {
    Term {
        term: Some(Kind::BlankNode("b".into())),
    }
}

fn time(time: ValidTime) -> Fact {
    Fact {
        valid_time: Some(time),
        ..base()
    }
}

fn edtf(edtf: &str) -> Fact {
    time(ValidTime {
        edtf: edtf.into(),
        ..Default::default()
    })
}

fn located(iri: &str, locator: &str) -> Source {
    Source {
        iri: iri.into(),
        locator: locator.into(),
        ..source()
    }
}

fn qualifier(property: &str, value: Option<Term>) -> Fact {
    Fact {
        qualifiers: vec![Qualifier {
            property: property.into(),
            value,
        }],
        ..base()
    }
}

#[tokio::test]
async fn names_and_objects_are_checked() {
    let cases: [Case; 6] = [
        (
            Fact::default(),
            INVALID,
            &["subject", "predicate", "object", "sources"],
        ),
        (
            Fact {
                id: "nope:1".into(),
                ..base()
            },
            ErrorReason::UnknownPrefix,
            &["id"],
        ),
        (
            Fact {
                subject: "_:b".into(),
                object: Some(blank()),
                ..base()
            },
            INVALID,
            &["subject", "object.blank_node"],
        ),
        (
            Fact {
                predicate: "d:SomeValue".into(),
                object: Some(literal("<>")),
                ..base()
            },
            INVALID,
            &["predicate", "object.literal.datatype"],
        ),
        (
            Fact {
                object: Some(Term::default()),
                ..base()
            },
            INVALID,
            &["object"],
        ),
        (
            Fact {
                object: Some(Term {
                    term: Some(Kind::Triple(Box::new(TripleTerm {
                        subject: Some(Box::new(iri("e:a"))),
                        predicate: "e:p".into(),
                        object: Some(Box::new(iri("e:a"))),
                    }))),
                }),
                ..base()
            },
            INVALID,
            &["object.triple"],
        ),
    ];
    Box::pin(check(cases)).await;
}

#[tokio::test]
async fn judgements_are_checked() {
    let cases: [Case; 5] = [
        (
            Fact {
                standing: 9,
                stance: 9,
                basis: -1,
                ..base()
            },
            INVALID,
            &["stance", "standing", "basis"],
        ),
        (
            Fact {
                stance: Stance::Reported.into(),
                standing: Standing::Accepted.into(),
                ..base()
            },
            INVALID,
            &["standing"],
        ),
        (
            Fact {
                stance: Stance::Planned.into(),
                standing: Standing::Preferred.into(),
                ..base()
            },
            INVALID,
            &["standing"],
        ),
        (
            Fact {
                confidence: Some(1.5),
                ..base()
            },
            INVALID,
            &["confidence"],
        ),
        (
            Fact {
                confidence: Some(f64::NAN),
                attributed_to: "nobody".into(),
                ..base()
            },
            INVALID,
            &["confidence", "attributed_to"],
        ),
    ];
    Box::pin(check(cases)).await;
}

#[tokio::test]
async fn sources_are_checked() {
    let cases: [Case; 3] = [
        (
            Fact {
                sources: vec![],
                ..base()
            },
            INVALID,
            &["sources"],
        ),
        (
            Fact {
                sources: vec![located("src:a", "P1"), located("src:b", ""), located("src:a", "")],
                ..base()
            },
            INVALID,
            &["sources[0].locator", "sources[2].iri"],
        ),
        (
            Fact {
                sources: vec![located("", "")],
                ..base()
            },
            INVALID,
            &["sources[0].iri"],
        ),
    ];
    Box::pin(check(cases)).await;
}

#[tokio::test]
async fn times_are_checked() {
    let cases: [Case; 10] = [
        (edtf("2019-13"), ErrorReason::InvalidEdtf, &["valid_time.edtf"]),
        (edtf("2020/2019"), ErrorReason::InvalidEdtf, &["valid_time.edtf"]),
        (edtf("in May"), ErrorReason::InvalidEdtf, &["valid_time.edtf"]),
        (
            time(ValidTime {
                edtf: "2019".into(),
                valid_from: "2019-01-02".into(),
                valid_until: "2019-12-31".into(),
                ..Default::default()
            }),
            INVALID,
            &["valid_time.valid_from", "valid_time.valid_until"],
        ),
        (
            time(ValidTime {
                observed_on: "2019-02-29".into(),
                ..Default::default()
            }),
            INVALID,
            &["valid_time.observed_on"],
        ),
        (
            time(ValidTime {
                edtf: "2016/2018".into(),
                observed_on: "2019-08-27".into(),
                ..Default::default()
            }),
            INVALID,
            &["valid_time.observed_on"],
        ),
        (
            time(ValidTime {
                valid_from: "2019-01-01".into(),
                ..Default::default()
            }),
            INVALID,
            &["valid_time.valid_from"],
        ),
        (
            Fact {
                retracted_at: Some(prost_types::Timestamp::default()),
                ..base()
            },
            INVALID,
            &["retracted_at"],
        ),
        (
            Fact {
                recorded_at: Some(prost_types::Timestamp {
                    seconds: 253_402_300_799,
                    nanos: 0,
                }),
                ..base()
            },
            INVALID,
            &["recorded_at"],
        ),
        (
            Fact {
                recorded_at: Some(prost_types::Timestamp {
                    seconds: 0,
                    nanos: -1,
                }),
                ..base()
            },
            INVALID,
            &["recorded_at"],
        ),
    ];
    Box::pin(check(cases)).await;
}

#[tokio::test]
async fn other_properties_are_checked() {
    let cases: [Case; 4] = [
        (
            qualifier("d:standing", Some(iri("d:Accepted"))),
            INVALID,
            &["qualifiers[0].property"],
        ),
        (
            qualifier("rdf:subject", None),
            INVALID,
            &["qualifiers[0].property", "qualifiers[0].value"],
        ),
        (qualifier("e:q", Some(blank())), INVALID, &["qualifiers[0].value"]),
        (
            Fact {
                disputes: vec!["s:1".into(), "1".into()],
                revises: "1".into(),
                ..base()
            },
            ErrorReason::InvalidIri,
            &["disputes[1]", "revises"],
        ),
    ];
    Box::pin(check(cases)).await;
}

#[tokio::test]
async fn violations_of_all_facts_are_told_at_once() {
    let server = Server::start_empty().await;
    let outcome = write(&server, request([edtf("2020/2019"), base(), edtf("in May")])).await;
    let message = outcome.as_ref().unwrap_err().message().to_owned();
    assert!(
        message.contains("column 6") && message.contains("column 1"),
        "{message}"
    );
    check_fields(
        outcome,
        ErrorReason::InvalidEdtf,
        &["facts[0].valid_time.edtf", "facts[2].valid_time.edtf"],
    );
    assert_eq!(state(&server).await, (0, 0));
}
