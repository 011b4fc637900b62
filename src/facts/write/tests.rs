use oxigraph::model::vocab::xsd;

use super::*;
use crate::graph::{GraphPattern, Pattern, Snapshot};

const TIME_US: u64 = 1_566_864_000_250_000;

fn node(name: &str) -> NamedNode {
    NamedNode::new_unchecked(format!("http://example.com/{name}"))
}

fn fact(id: &str) -> NewFact {
    NewFact {
        id: node(id),
        subject: node("s"),
        predicate: node("p"),
        object: node("o").into(),
        standing: Standing::Accepted,
        stance: Stance::Asserted,
        basis: Basis::Inferred,
        is_negated: false,
        confidence: None,
        attributed_to: None,
        edtf: None,
        valid_from: None,
        valid_until: None,
        observed_on: None,
        qualifiers: Vec::new(),
        sources: Vec::new(),
        recorded_at: None,
        disputes: Vec::new(),
        revises: None,
    }
}

/// Writes facts onto a snapshot, and returns it with them.
fn write(snapshot: Snapshot, facts: &[NewFact]) -> Result<Snapshot, WriteError> {
    let mut draft = Draft::new(snapshot).at(TIME_US);
    write_facts(&mut draft, facts, &[])?;
    Ok(draft.finish().1)
}

fn faults(error: WriteError) -> Vec<(String, Fault)> {
    let faults = error.0.into_iter();
    faults.map(|fault| (fault.field, fault.fault)).collect()
}

#[test]
fn times_are_written_without_zeros_at_the_end() {
    let check = |seconds, nanos, expected: &str| {
        assert_eq!(date_time(UnixTime { seconds, nanos }).value(), expected);
    };
    check(0, 0, "1970-01-01T00:00:00Z");
    check(86_399, 999_999_000, "1970-01-01T23:59:59.999999Z");
    check(1_566_907_501, 500_000_000, "2019-08-27T12:05:01.5Z");
    check(1_566_864_000, 250_000_000, "2019-08-27T00:00:00.25Z");
    check(1_566_950_399, 1, "2019-08-27T23:59:59.000000001Z");
    check(-1, 0, "1969-12-31T23:59:59Z");
    check(-62_135_596_800, 0, "0001-01-01T00:00:00Z");
    let time = UnixTime::from_micros(TIME_US);
    assert_eq!((time.seconds, time.nanos), (1_566_864_000, 250_000_000));
}

#[test]
fn a_fact_is_written_at_the_time_of_the_commit() {
    let snapshot = write(Snapshot::default(), &[fact("1")]).unwrap();
    let times = |property| {
        let pattern = Pattern {
            predicate: Some(snapshot.iri_id(property)?),
            ..Pattern::all(GraphPattern::AnyNamed)
        };
        let quads = snapshot.quads(pattern);
        Some(
            quads
                .map(|quad| snapshot.quad(quad).to_string())
                .collect::<Vec<_>>(),
        )
    };
    let expected = "<http://example.com/1> <http://www.w3.org/ns/prov#generatedAtTime> \
         \"2019-08-27T00:00:00.25Z\"^^<http://www.w3.org/2001/XMLSchema#dateTime> <https://w3id.org/dossier/g/statements>";
    assert_eq!(times(vocabulary::GENERATED_AT).unwrap(), [expected]);
    assert_eq!(times(vocabulary::INVALIDATED_AT), None);
}

#[test]
fn what_follows_or_says_nothing_is_not_compared() {
    // As another hand may have written it: a negation that is none, another form of the number, no days.
    let statement = |id: &str, confidence: &str| {
        let mut batch = Batch::default();
        let wanted = NewFact {
            confidence: None,
            edtf: Some("2019".to_owned()),
            ..fact(id)
        };
        for (property, value) in content::of(&wanted) {
            batch.insert(statement_quad(&wanted.id, property.as_str(), value).as_ref());
        }
        let literal = |value: &str, datatype: NamedNodeRef<'_>| -> Term {
            Literal::new_typed_literal(value, datatype).into()
        };
        let said = [
            (vocabulary::NEGATED, literal("false", xsd::BOOLEAN)),
            (vocabulary::CONFIDENCE, literal(confidence, xsd::DOUBLE)),
            (
                vocabulary::GENERATED_AT,
                literal("2019-08-27T09:00:00+09:00", xsd::DATE_TIME),
            ),
        ];
        for (property, value) in said {
            batch.insert(statement_quad(&wanted.id, property, value).as_ref());
        }
        let mut draft = Draft::new(Snapshot::default());
        draft.apply(&batch);
        draft.finish().1
    };
    let same = NewFact {
        confidence: Some(0.5),
        edtf: Some("2019".to_owned()),
        valid_from: Some("2019-01-01".to_owned()),
        valid_until: Some("2020-01-01".to_owned()),
        ..fact("1")
    };
    let before = statement("1", "5.0E-1");
    let after = write(before.clone(), std::slice::from_ref(&same)).unwrap();
    assert_eq!(after.quad_count(), before.quad_count());
    let outcome = write(statement("1", "0.6"), &[same]);
    let id = node("1").into_string();
    assert_eq!(
        faults(outcome.unwrap_err()),
        [("facts[0].id".to_owned(), Fault::OtherContent { id })]
    );
}

#[test]
fn all_faults_are_told_at_once() {
    let source = NewSource {
        iri: node("source"),
        title: String::new(),
        publisher: None,
        locator: String::new(),
    };
    let bad = NewFact {
        sources: vec![source],
        disputes: vec![node("1"), node("2"), node("3")],
        revises: Some(node("1")),
        ..fact("2")
    };
    let outcome = write(Snapshot::default(), &[fact("1"), bad]);
    let id = |id: &str| node(id).into_string();
    let expected = [
        (
            "facts[1].sources[0].iri",
            Fault::UnknownSource { iri: id("source") },
        ),
        ("facts[1].disputes[2]", Fault::NotFound { id: id("3") }),
        // What the same request writes is not there yet.
        ("facts[1].revises", Fault::NotFound { id: id("1") }),
    ];
    assert_eq!(
        faults(outcome.unwrap_err()),
        expected.map(|(field, fault)| (field.to_owned(), fault))
    );
}

#[test]
fn the_id_of_an_event_is_in_use() {
    let mut batch = Batch::default();
    batch.insert(
        statement_quad(
            &node("1"),
            vocabulary::LABEL,
            Literal::new_simple_literal("x").into(),
        )
        .as_ref(),
    );
    let mut draft = Draft::new(Snapshot::default());
    draft.apply(&batch);
    let snapshot = draft.finish().1;
    let id = node("1").into_string();
    let outcome = write(snapshot.clone(), &[fact("1")]);
    assert_eq!(
        faults(outcome.unwrap_err()),
        [("facts[0].id".to_owned(), Fault::OtherContent { id: id.clone() })]
    );
    // It is no statement, so nothing revises it.
    let revising = NewFact {
        revises: Some(node("1")),
        ..fact("2")
    };
    assert_eq!(
        faults(write(snapshot, &[revising]).unwrap_err()),
        [("facts[0].revises".to_owned(), Fault::NotFound { id })]
    );
}

#[test]
fn the_id_of_an_entity_is_in_use() {
    let with = |property: &str| {
        let quad = Quad::new(
            node("1"),
            NamedNode::new_unchecked(property),
            node("2"),
            oxigraph::model::GraphName::DefaultGraph,
        );
        let mut batch = Batch::default();
        batch.insert(quad.as_ref());
        let mut draft = Draft::new(Snapshot::default());
        draft.apply(&batch);
        draft.finish().1
    };
    for property in [vocabulary::TYPE, vocabulary::STANDING] {
        let id = node("1").into_string();
        assert_eq!(
            faults(write(with(property), &[fact("1")]).unwrap_err()),
            [("facts[0].id".to_owned(), Fault::OtherNode { id })]
        );
    }
    // Something may be said of a statement before it is written.
    write(with("http://example.com/says"), &[fact("1")]).unwrap();
}

#[test]
fn a_version_says_something_of_the_same() {
    let before = write(Snapshot::default(), &[fact("1")]).unwrap();
    let version = NewFact {
        revises: Some(node("1")),
        ..fact("2")
    };
    write(before.clone(), std::slice::from_ref(&version)).unwrap();
    let of_other_subject = NewFact {
        subject: node("other"),
        ..version.clone()
    };
    let of_other_predicate = NewFact {
        predicate: node("other"),
        ..version
    };
    let id = node("1").into_string();
    for other in [of_other_subject, of_other_predicate] {
        let outcome = write(before.clone(), &[other]);
        assert_eq!(
            faults(outcome.unwrap_err()),
            [("facts[0].revises".to_owned(), Fault::OtherFact { id: id.clone() })]
        );
    }
}

/// A backdated version takes the old one's place from the time that it was recorded at: at no time both are known.
#[test]
fn an_old_version_ends_when_the_new_one_was_recorded() {
    let second = |seconds| UnixTime { seconds, nanos: 0 };
    let check = |old: i64, new: &[Option<i64>], expected: &str| {
        let old = NewFact {
            recorded_at: Some(second(old)),
            ..fact("old")
        };
        let before = write(Snapshot::default(), &[old]).unwrap();
        let versions = new.iter().enumerate().map(|(index, recorded_at)| NewFact {
            recorded_at: recorded_at.map(second),
            revises: Some(node("old")),
            ..fact(&format!("new{index}"))
        });
        let after = write(before, &versions.collect::<Vec<_>>()).unwrap();
        let ends = after.quads(Pattern {
            predicate: after.iri_id(vocabulary::INVALIDATED_AT),
            ..Pattern::all(GraphPattern::AnyNamed)
        });
        let ends: Vec<_> = ends.map(|quad| after.term(quad.object)).collect();
        let end = Literal::new_typed_literal(expected, xsd::DATE_TIME);
        assert_eq!(ends, [Term::from(end)], "{new:?}");
    };
    check(0, &[Some(86_400)], "1970-01-02T00:00:00Z");
    check(0, &[None], "2019-08-27T00:00:00.25Z");
    // It is not over before it was recorded.
    check(86_400, &[Some(0)], "1970-01-02T00:00:00Z");
    // The first of several takes its place.
    check(0, &[None, Some(86_400), Some(172_800)], "1970-01-02T00:00:00Z");
}
