//! The rule on drafts: what is refused, what is added, and that increments come to what is derived from nothing.

use std::collections::BTreeSet;

use oxigraph::{
    io::{RdfFormat, RdfParser},
    model::Quad,
};
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::graph::{Batch, GraphPattern, Pattern};

mod class;

const PREFIXES: &str = "@prefix d: <https://w3id.org/dossier/ns#> . @prefix e: <https://w3id.org/dossier/e/> .
    @prefix s: <https://w3id.org/dossier/s/> . @prefix g: <https://w3id.org/dossier/g/> .
    @prefix src: <https://w3id.org/dossier/src/> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
    @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . @prefix prov: <http://www.w3.org/ns/prov#> . ";

fn quads(text: &str) -> Vec<Quad> {
    RdfParser::from_format(RdfFormat::TriG)
        .for_slice(format!("{PREFIXES}{text}").as_bytes())
        .map(|quad| quad.unwrap_or_else(|error| panic!("{text}: {error}")))
        .collect()
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

/// 2019-08-27T12:00:00Z.
const NOON_US: u64 = 1_566_907_200_000_000;

fn commit_on(base: &Snapshot, on: Day, remove: &[Quad], insert: &[Quad]) -> Result<Snapshot, ModelError> {
    let mut batch = Batch::default();
    for quad in remove {
        batch.remove(quad.as_ref());
    }
    for quad in insert {
        batch.insert(quad.as_ref());
    }
    let mut draft = draft(base.clone()).at(NOON_US);
    draft.apply(&batch);
    derive(&mut draft, on)?;
    Ok(draft.finish().1)
}

fn commit(base: &Snapshot, remove: &str, insert: &str) -> Result<Snapshot, ModelError> {
    commit_on(base, day("2019-08-27"), &quads(remove), &quads(insert))
}

/// All quads, or those of one graph.
fn contents(snapshot: &Snapshot) -> BTreeSet<String> {
    snapshot
        .quads(Pattern::all(GraphPattern::Any))
        .map(|quad| snapshot.quad(quad).to_string())
        .collect()
}

fn has(snapshot: &Snapshot, text: &str) -> bool {
    quads(text)
        .iter()
        .all(|quad| contents(snapshot).contains(&quad.to_string()))
}

/// A statement in `g:statements`, with what is said beside.
fn statement(id: &str, triple: &str, standing: &str, more: &str) -> String {
    let [subject, predicate, object]: [&str; 3] = triple.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let stance = if matches!(standing, "Accepted" | "Preferred") {
        "Asserted"
    } else {
        "Attributed"
    };
    format!(
        "g:statements {{ s:{id} rdf:subject {subject} ; rdf:predicate {predicate} ; rdf:object {object} ;
        d:stance d:{stance} ; d:standing d:{standing} ; d:basis d:Stated ; prov:wasDerivedFrom src:a {more} . }} "
    )
}

fn accepted() -> Snapshot {
    commit(
        &Snapshot::default(),
        "",
        &statement("1", "e:a d:p e:b", "Accepted", ""),
    )
    .unwrap()
}

#[test]
fn a_statement_that_holds_comes_to_both_graphs_with_what_it_lacks() {
    let more = "; d:edtf \"2019-08/..\"";
    let observed = format!("{more} ; d:observedOn \"2019-08-27\"^^xsd:date");
    let observed = statement("1", "e:a d:p e:b", "Accepted", &observed);
    let observed = commit(&Snapshot::default(), "", &observed).unwrap();
    assert!(has(&observed, "e:a d:p e:b . g:derived { e:a d:p e:b }"));
    let text = statement("1", "e:a d:p e:b", "Accepted", more);
    let early = commit(&Snapshot::default(), "", &text).unwrap();
    assert!(
        !has(&early, "e:a d:p e:b ."),
        "it may begin as late as on the 31st"
    );
    assert!(has(
        &early,
        "g:statements { s:1 d:validFrom \"2019-08-01\"^^xsd:date ;
        prov:generatedAtTime \"2019-08-27T12:00:00Z\"^^xsd:dateTime . }
        g:meta { g:derived d:referenceDate \"2019-08-27\"^^xsd:date . }"
    ));
    assert_eq!(reference_day(&early), Some(day("2019-08-27")));
    let late = commit_on(&Snapshot::default(), day("2019-09-01"), &[], &quads(&text)).unwrap();
    assert!(has(&late, "e:a d:p e:b . g:derived { e:a d:p e:b }"));
    // Retracting it ends the triple.
    let retracted = "g:statements { s:1 prov:invalidatedAtTime \"2019-08-27T12:00:00Z\"^^xsd:dateTime }";
    let after = commit_on(&late, day("2019-09-01"), &[], &quads(retracted)).unwrap();
    assert!(!has(&after, "e:a d:p e:b .") && !has(&after, "g:derived { e:a d:p e:b }"));
}

#[test]
fn plain_stays_plain_and_derived_becomes_plain() {
    let triple = "e:a d:p e:b .";
    let derived = "g:derived { e:a d:p e:b }";
    let text = statement("1", "e:a d:p e:b", "Accepted", "");
    // Plain first, then stated.
    let plain = commit(&Snapshot::default(), "", triple).unwrap();
    let stated = commit(&plain, "", &text).unwrap();
    assert!(has(&stated, triple) && !has(&stated, derived));
    // Removed, it stays by its statement.
    let removed = commit(&stated, triple, "").unwrap();
    assert!(has(&removed, triple) && has(&removed, derived));
    // Inserted again, it is plain.
    let again = commit(&removed, "", triple).unwrap();
    assert!(has(&again, triple) && !has(&again, derived));
    // And outlives the statement.
    let unstated = commit(
        &again,
        &format!("{text} g:statements {{ s:1 prov:generatedAtTime \"2019-08-27T12:00:00Z\"^^xsd:dateTime }}"),
        "",
    )
    .unwrap();
    assert!(has(&unstated, triple));
    // With its statement goes what is derived.
    let generated = "g:statements { s:1 prov:generatedAtTime \"2019-08-27T12:00:00Z\"^^xsd:dateTime }";
    let gone = commit(&removed, &format!("{text} {generated}"), "").unwrap();
    assert!(!has(&gone, triple) && !has(&gone, derived));
}

#[test]
fn a_preferred_sibling_hides_accepted_ones() {
    let base = accepted();
    let both = commit(&base, "", &statement("2", "e:a d:p e:c", "Preferred", "")).unwrap();
    assert!(!has(&both, "e:a d:p e:b .") && has(&both, "e:a d:p e:c . g:derived { e:a d:p e:c }"));
}

#[test]
fn derived_triples_and_their_graph_are_not_written_to() {
    let base = accepted();
    let (triple, derived) = ("e:a d:p e:b .", "g:derived { e:a d:p e:b }");
    let name =
        "<https://w3id.org/dossier/e/a> <https://w3id.org/dossier/ns#p> <https://w3id.org/dossier/e/b>";
    let deleted = ModelError::DerivedTriple {
        triple: name.to_owned(),
    };
    assert_eq!(commit(&base, triple, "").unwrap_err(), deleted);
    assert_eq!(
        commit(&base, &format!("{triple} {derived}"), "").unwrap_err(),
        deleted
    );
    let written = |remove: &str, insert: &str| {
        let refused = commit(&base, remove, insert);
        assert!(
            matches!(refused, Err(ModelError::DerivedGraph { .. })),
            "{refused:?}"
        );
    };
    written(derived, "");
    written("", "g:derived { e:a d:p e:c }");
    written("", "e:a d:p e:c . g:derived { e:a d:p e:c }");
    written(
        "",
        "g:meta { g:derived d:referenceDate \"2020-01-01\"^^xsd:date }",
    );
    // What follows anyway is no difference, and the day comes back.
    assert_eq!(contents(&commit(&base, "", derived).unwrap()), contents(&base));
    let date = "g:meta { g:derived d:referenceDate \"2019-08-27\"^^xsd:date }";
    assert_eq!(contents(&commit(&base, date, "").unwrap()), contents(&base));
}

#[test]
fn an_export_is_imported_again_and_all_can_be_cleared() {
    let base = commit(
        &accepted(),
        "",
        &format!("e:x d:q e:y . {}", statement("2", "e:x d:q e:z", "Accepted", "")),
    )
    .unwrap();
    let export: Vec<_> = base
        .quads(Pattern::all(GraphPattern::Any))
        .map(|quad| base.quad(quad))
        .collect();
    let on = day("2019-08-27");
    for target in [&Snapshot::default(), &base] {
        let imported = commit_on(target, on, &[], &export).unwrap();
        assert_eq!(contents(&imported), contents(&base));
    }
    let cleared = commit_on(&base, on, &export, &[]).unwrap();
    assert_eq!(contents(&cleared), BTreeSet::new());
}

#[test]
fn what_is_only_claimed_does_not_come_to_hold() {
    let claimed = format!(
        "e:claim d:content s:1 . {}",
        statement("1", "e:a d:p e:b", "Unconfirmed", "; d:attributedTo e:x")
    );
    let base = commit(&Snapshot::default(), "", &claimed).unwrap();
    let refuse = |remove: &str, insert: &str| match commit(&base, remove, insert) {
        Err(ModelError::ClaimContent { statement, claim, .. }) => {
            assert_eq!(statement, "https://w3id.org/dossier/s/1");
            assert_eq!(claim, "https://w3id.org/dossier/e/claim");
        }
        other => panic!("{other:?}"),
    };
    refuse("", "e:a d:p e:b .");
    refuse(
        "g:statements { s:1 d:standing d:Unconfirmed ; d:stance d:Attributed }",
        "g:statements { s:1 d:standing d:Accepted ; d:stance d:Asserted }",
    );
    // Another statement of it may be accepted, and another triple inserted.
    let other = commit(&base, "", &statement("2", "e:a d:p e:b", "Accepted", "")).unwrap();
    assert!(has(&other, "e:a d:p e:b . g:derived { e:a d:p e:b }"));
    commit(&base, "", "e:a d:p e:c .").unwrap();
    // Who says that it is not so claims nothing of it.
    let denied = format!(
        "e:claim d:content s:1 . {}",
        statement(
            "1",
            "e:a d:p e:b",
            "Unconfirmed",
            "; d:attributedTo e:x ; d:negated true"
        )
    );
    let base = commit(&Snapshot::default(), "", &denied).unwrap();
    commit(&base, "", "e:a d:p e:b .").unwrap();
}

#[test]
fn what_holds_does_not_become_a_claim() {
    let accepted = statement("2", "e:a d:p e:b", "Accepted", "");
    let base = commit(&Snapshot::default(), "", &accepted).unwrap();
    let refuse = |base: &Snapshot, insert: &str| match commit(base, "", insert) {
        Err(ModelError::ClaimContent { statement, claim, .. }) => {
            assert_eq!(statement, "https://w3id.org/dossier/s/2");
            assert_eq!(claim, "https://w3id.org/dossier/e/claim");
        }
        other => panic!("{other:?}"),
    };
    let plainly = "e:claim d:content s:2 .";
    let stated = statement("3", "e:claim d:content s:2", "Accepted", "");
    for claim in [plainly, &stated] {
        refuse(&base, claim);
        // In one commit with it, too.
        refuse(&Snapshot::default(), &format!("{claim} {accepted}"));
    }
    // A claim that is not accepted itself claims nothing.
    commit(
        &base,
        "",
        &statement("4", "e:claim d:content s:2", "Unconfirmed", ""),
    )
    .unwrap();
}

/// Who may write that graph may not see the statement, nor have a say in it.
#[test]
fn what_another_graph_says_is_no_claim() {
    let elsewhere = "e:drafts { e:claim d:content s:1 }";
    commit(&accepted(), "", elsewhere).unwrap();
    let unconfirmed = statement("1", "e:a d:p e:b", "Unconfirmed", "");
    for more in ["", "e:other d:content s:2 ."] {
        let base = commit(
            &Snapshot::default(),
            "",
            &format!("{elsewhere} {unconfirmed} {more}"),
        )
        .unwrap();
        commit(&base, "", "e:a d:p e:b .").unwrap();
        commit(
            &base,
            "g:statements { s:1 d:standing d:Unconfirmed ; d:stance d:Attributed }",
            "g:statements { s:1 d:standing d:Accepted ; d:stance d:Asserted }",
        )
        .unwrap();
    }
}

#[test]
fn only_what_is_accepted_excuses_a_claim() {
    let claimed = format!(
        "e:claim d:content s:1 . {}",
        statement("1", "e:a d:p e:b", "Unconfirmed", "")
    );
    let base = commit(&Snapshot::default(), "", &claimed).unwrap();
    for (standing, more) in [
        ("Rejected", ""),
        ("Unconfirmed", ""),
        ("Accepted", "; d:negated true"),
    ] {
        let other = commit(&base, "", &statement("2", "e:a d:p e:b", standing, more)).unwrap();
        let inserted = commit(&other, "", "e:a d:p e:b .");
        assert!(
            matches!(inserted, Err(ModelError::ClaimContent { .. })),
            "{standing} {more}"
        );
    }
    // Found by the claims, too, where they are fewer than what is stated of the subject.
    let mut many = String::new();
    for number in 10..20 {
        many += &statement(
            &number.to_string(),
            &format!("e:a d:p e:o{number}"),
            "Accepted",
            "",
        );
    }
    let base = commit(&base, "", &many).unwrap();
    let inserted = commit(&base, "", "e:a d:p e:b .");
    assert!(matches!(inserted, Err(ModelError::ClaimContent { .. })));
    commit(&base, "", "e:a d:p e:c .").unwrap();
}

/// Checks the properties of the faults of a statement, changed by a removal and an insertion.
#[track_caller]
fn check_faults(remove: &str, insert: &str, properties: &[&str]) {
    let more = "; d:edtf \"2019-08-01/2019-08-31\" ; d:validFrom \"2019-08-01\"^^xsd:date ; d:validUntil \"2019-09-01\"^^xsd:date";
    let base = commit(
        &Snapshot::default(),
        "",
        &statement("1", "e:a d:p e:b", "Accepted", more),
    )
    .unwrap();
    let of = |text: &str| format!("g:statements {{ {text} }}");
    match commit(&base, &of(remove), &of(insert)) {
        Err(ModelError::StatementInvalid {
            faults,
            node_count: 1,
        }) => {
            let found: Vec<_> = faults
                .iter()
                .map(|fault| fault.property.rsplit(['#', '/']).next().unwrap())
                .collect();
            assert_eq!(found, properties, "{faults:?}");
            assert!(
                faults
                    .iter()
                    .all(|fault| fault.node == "https://w3id.org/dossier/s/1")
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn invalid_statements_are_refused_with_all_faults() {
    check_faults("s:1 rdf:object e:b", "", &["object"]);
    check_faults("", "s:1 rdf:object e:c", &["object"]);
    check_faults("s:1 rdf:subject e:a", "s:1 rdf:subject d:SomeValue", &["subject"]);
    check_faults("s:1 rdf:predicate d:p", "s:1 rdf:predicate \"p\"", &["predicate"]);
    check_faults(
        "s:1 d:standing d:Accepted",
        "s:1 d:standing d:Maybe",
        &["standing"],
    );
    check_faults(
        "s:1 d:stance d:Asserted",
        "s:1 d:stance d:Reported",
        &["standing"],
    );
    check_faults("s:1 d:basis d:Stated", "", &["basis"]);
    check_faults("s:1 prov:wasDerivedFrom src:a", "", &["wasDerivedFrom"]);
    check_faults("", "s:1 prov:wasDerivedFrom \"a\"", &["wasDerivedFrom"]);
    for confidence in ["1.5", "-0.1", "\"1\"", "\"NaN\"^^xsd:double"] {
        check_faults("", &format!("s:1 d:confidence {confidence}"), &["confidence"]);
    }
    check_faults("", "s:1 d:negated \"yes\"", &["negated"]);
    check_faults("", "s:1 d:observedOn \"yesterday\"", &["observedOn"]);
    let edtf = "s:1 d:edtf \"2019-08-01/2019-08-31\"";
    check_faults(edtf, "s:1 d:edtf \"last summer\"", &["edtf"]);
    check_faults(edtf, "s:1 d:edtf \"2019-08-31/2019-08-01\"", &["edtf"]);
    check_faults(edtf, "s:1 d:edtf \"2019-08-01/..\"", &["validUntil"]);
    check_faults(edtf, "", &["validFrom", "validUntil"]);
    check_faults(
        "",
        &format!("{edtf} ; d:observedOn \"2019-09-01\"^^xsd:date"),
        &["observedOn"],
    );
    let generated = "s:1 prov:generatedAtTime \"2019-08-27T12:00:00Z\"^^xsd:dateTime";
    let invalidated = "s:1 prov:invalidatedAtTime \"2019-08-27T11:59:59Z\"^^xsd:dateTime";
    check_faults("", invalidated, &["invalidatedAtTime"]);
    check_faults(generated, invalidated, &["generatedAtTime"]);
    check_faults(
        generated,
        &generated.replace("27T12:00:00", "27T12:05:01"),
        &["generatedAtTime"],
    );
    let future = "s:1 prov:invalidatedAtTime \"2099-01-01T00:00:00Z\"^^xsd:dateTime";
    check_faults("", future, &["invalidatedAtTime"]);
    check_faults("", "s:1 d:confidence 2 ; d:negated 2", &["confidence", "negated"]);
}

#[test]
fn the_edges_of_what_is_valid_pass() {
    for more in [
        "; d:confidence 0",
        "; d:confidence 1.0",
        "; d:confidence 1e0",
        "; d:negated false",
    ] {
        commit(
            &Snapshot::default(),
            "",
            &statement("1", "e:a d:p e:b", "Accepted", more),
        )
        .unwrap();
    }
    let inferred = statement("1", "_:a d:p 5", "Accepted", "")
        .replace("d:Stated", "d:Inferred")
        .replace("prov:wasDerivedFrom src:a", "d:locator \"P1\"");
    commit(&Snapshot::default(), "", &inferred).unwrap();
    // A node that is no statement, and rdf:subject elsewhere.
    commit(
        &Snapshot::default(),
        "",
        "g:statements { e:x d:note 1 } e:y rdf:subject e:x .",
    )
    .unwrap();
    // One with a class has marks, wherever that is said.
    for class in ["e:x a e:Plan .", "g:statements { e:x a e:Plan }"] {
        let text = format!("g:statements {{ e:x d:standing d:Unconfirmed }} {class}");
        commit(&Snapshot::default(), "", &text).unwrap();
    }
}

#[test]
fn a_statement_goes_whole() {
    let whole = statement("1", "e:a d:p e:b", "Accepted", "; d:edtf \"2016/2018\"; d:note 1");
    let before = commit(&Snapshot::default(), "", &whole).unwrap();
    // The reference date is told elsewhere.
    let left = |snapshot: &Snapshot| snapshot.quad_count() - 1;
    assert!(left(&before) > 11, "times and what is derived are added");
    // With what was inserted goes what was added.
    let after = commit(&before, &whole, "").unwrap();
    assert_eq!(left(&after), 0);
    // Something of it is left, or comes without it.
    let fault = |outcome: Result<Snapshot, ModelError>| match outcome {
        Err(ModelError::StatementInvalid { faults, .. }) => faults[0].property,
        other => panic!("{other:?}"),
    };
    let without_note = statement("1", "e:a d:p e:b", "Accepted", "; d:edtf \"2016/2018\"");
    assert_eq!(fault(commit(&before, &without_note, "")), iris::SUBJECT);
    let triple = "g:statements { s:1 rdf:subject e:a ; rdf:predicate d:p ; rdf:object e:b }";
    assert_eq!(fault(commit(&before, triple, "")), iris::SUBJECT);
    for mark in ["d:standing d:Accepted", "d:negated true", "d:confidence 0.5"] {
        let stump = format!("g:statements {{ s:2 {mark} }}");
        assert_eq!(fault(commit(&before, "", &stump)), iris::SUBJECT, "{mark}");
    }
}

#[test]
fn faults_of_twenty_nodes_are_told() {
    for (count, told) in [(1, 1), (20, 20), (21, 20)] {
        let text: String = (0..count)
            .map(|number| statement(&number.to_string(), "e:a d:p e:b", "Accepted", "; d:confidence 2"))
            .collect();
        match commit(&Snapshot::default(), "", &text) {
            Err(ModelError::StatementInvalid { faults, node_count }) => {
                assert_eq!((faults.len(), node_count), (told, count));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    State(u8, usize, usize, usize, usize),
    Retract(u8),
    Erase(u8),
    Insert(usize, usize),
    Delete(usize, usize),
    Restand(u8, usize),
    /// Writes the derived graph.
    Tamper(usize, usize, bool),
    Turn(usize),
}

const SUBJECTS: [&str; 2] = ["e:a", "e:b"];
const OBJECTS: [&str; 3] = ["e:x", "e:y", "d:SomeValue"];
const STANDINGS: [&str; 4] = ["Preferred", "Accepted", "Unconfirmed", "Disputed"];
/// Those at odd places come with an observation.
const TIMES: [&str; 7] = [
    "",
    "2019-08/..",
    "2019/2020-02",
    "/2019-10",
    "2020-01-15",
    "../2019",
    "../2019-08-27",
];
const DAYS: [&str; 5] = [
    "2019-08-27",
    "2019-08-30",
    "2019-09-01",
    "2020-01-15",
    "2020-06-01",
];

fn step() -> impl Strategy<Value = Step> {
    let triple = || (0..SUBJECTS.len(), 0..2_usize);
    prop_oneof![
        6 => (0..6_u8, triple(), 0..OBJECTS.len(), 0..STANDINGS.len(), 0..TIMES.len())
            .prop_map(|(id, (subject, _), object, standing, time)| Step::State(id, subject, object, standing, time)),
        2 => (0..6_u8).prop_map(Step::Retract),
        1 => (0..6_u8).prop_map(Step::Erase),
        2 => triple().prop_map(|(subject, object)| Step::Insert(subject, object)),
        3 => triple().prop_map(|(subject, object)| Step::Delete(subject, object)),
        2 => (0..6_u8, 0..STANDINGS.len()).prop_map(|(id, standing)| Step::Restand(id, standing)),
        1 => (triple(), any::<bool>()).prop_map(|((subject, object), inserts)| Step::Tamper(subject, object, inserts)),
        1 => select((0..DAYS.len()).collect::<Vec<_>>()).prop_map(Step::Turn),
    ]
}

/// Returns what steps remove and insert; statements are removed as they are now.
fn change(snapshot: &Snapshot, steps: &[Step]) -> (Vec<Quad>, Vec<Quad>) {
    let (mut remove, mut insert) = (Vec::new(), Vec::new());
    let node = |id: u8| {
        let subject = snapshot.iri_id(&format!("https://w3id.org/dossier/s/{id}"));
        let quads = subject.into_iter().flat_map(|subject| {
            snapshot.quads(Pattern {
                subject: Some(subject),
                ..Pattern::all(GraphPattern::Any)
            })
        });
        quads.map(|quad| snapshot.quad(quad)).collect::<Vec<_>>()
    };
    for step in steps {
        match *step {
            Step::State(id, subject, object, standing, time) => {
                remove.extend(node(id));
                let triple = format!("{} d:p {}", SUBJECTS[subject], OBJECTS[object]);
                let mut more = String::new();
                if !TIMES[time].is_empty() {
                    more = format!("; d:edtf \"{}\"", TIMES[time]);
                }
                if time % 2 == 1 {
                    more += "; d:observedOn \"2019-08-30\"^^xsd:date";
                }
                insert.extend(quads(&statement(
                    &id.to_string(),
                    &triple,
                    STANDINGS[standing],
                    &more,
                )));
            }
            Step::Retract(id) => insert.extend(
                quads(&format!(
                    "g:statements {{ s:{id} prov:invalidatedAtTime \"2019-08-27T12:00:00Z\"^^xsd:dateTime }}"
                ))
                .into_iter()
                .filter(|_| !node(id).is_empty()),
            ),
            Step::Erase(id) => remove.extend(node(id)),
            Step::Restand(id, standing) if !node(id).is_empty() => {
                let is_standing = |quad: &Quad| quad.predicate.as_str().ends_with("standing");
                remove.extend(node(id).into_iter().filter(is_standing));
                insert.extend(quads(&format!(
                    "g:statements {{ s:{id} d:standing d:{} }}",
                    STANDINGS[standing]
                )));
            }
            Step::Insert(subject, object) => {
                insert.extend(quads(&format!("{} d:p {} .", SUBJECTS[subject], OBJECTS[object])));
            }
            Step::Delete(subject, object) => {
                remove.extend(quads(&format!("{} d:p {} .", SUBJECTS[subject], OBJECTS[object])));
            }
            Step::Tamper(subject, object, inserts) => {
                let quads = quads(&format!(
                    "g:derived {{ {} d:p {} }}",
                    SUBJECTS[subject], OBJECTS[object]
                ));
                if inserts {
                    insert.extend(quads);
                } else {
                    remove.extend(quads);
                }
            }
            Step::Turn(_) | Step::Restand(..) => {}
        }
    }
    (remove, insert)
}

/// Derives from nothing: what holds by the statements alone, and the plain triples.
fn check_whole(snapshot: &Snapshot, on: Day) {
    let mut draft = Draft::new(snapshot.clone());
    rederive(&mut draft, on, Scope::All);
    let again = draft.finish().1;
    assert_eq!(
        contents(&again),
        contents(snapshot),
        "increments differ from the whole"
    );
    let mut nodes = Nodes::on(snapshot);
    // The rule itself, as simply as can be: every node of the graph, every group.
    let mut groups = std::collections::BTreeMap::<_, Vec<_>>::new();
    let all = Pattern::all(GraphPattern::Named(nodes.statements));
    for id in snapshot
        .quads(all)
        .map(|quad| quad.subject)
        .collect::<BTreeSet<_>>()
    {
        let node = nodes.read(snapshot, id, |_, _| {});
        if let (Some([subject, predicate, _]), Some(evidence)) =
            (node.triple(), nodes.evidence(snapshot, &node))
        {
            groups.entry((subject, predicate)).or_default().push(evidence);
        }
    }
    let holding: BTreeSet<_> = groups
        .iter()
        .flat_map(|(&(subject, predicate), evidence)| {
            let objects = crate::model::truthy::objects(evidence, on);
            objects
                .into_iter()
                .map(move |object| [subject, predicate, object])
        })
        .collect();
    let of = |graph| {
        let quads = snapshot.quads(Pattern::all(graph));
        quads
            .map(|quad| [quad.subject, quad.predicate, quad.object])
            .collect::<BTreeSet<_>>()
    };
    let (default, derived) = (of(GraphPattern::Default), of(GraphPattern::Named(nodes.derived)));
    assert!(holding.is_subset(&default) && derived.is_subset(&holding));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn increments_come_to_the_whole(history in vec(vec(step(), 1..5), 1..14)) {
        let mut on = day(DAYS[0]);
        let mut snapshot = Snapshot::default();
        // Plain triples, by what is known of them: inserted plainly, and not removed since.
        let mut plain = BTreeSet::new();
        for steps in history {
            if let Some(Step::Turn(to)) = steps.iter().find(|step| matches!(step, Step::Turn(_))) {
                on = day(DAYS[*to]);
                if let Some(scope) = due(&snapshot, on) {
                    let mut draft = Draft::new(snapshot);
                    rederive(&mut draft, on, scope);
                    snapshot = draft.finish().1;
                    check_whole(&snapshot, on);
                }
            }
            let (remove, insert) = change(&snapshot, &steps);
            let before = contents(&snapshot);
            if let Ok(after) = commit_on(&snapshot, on, &remove, &insert) {
                let is_default = |quad: &&Quad| quad.graph_name.is_default_graph();
                let tampers: BTreeSet<_> = insert.iter().filter(|quad| quad.graph_name.to_string().ends_with("derived>"))
                    .map(|quad| format!("{} {} {}", quad.subject, quad.predicate, quad.object)).collect();
                for quad in remove.iter().filter(is_default) { plain.remove(&quad.to_string()); }
                for quad in insert.iter().filter(is_default) {
                    if !tampers.contains(&quad.to_string()) { plain.insert(quad.to_string()); }
                }
                snapshot = after;
                check_whole(&snapshot, on);
                let now = contents(&snapshot);
                for triple in &plain {
                    prop_assert!(now.contains(triple), "a plain triple has gone: {triple}");
                    let derived = format!("{triple} <https://w3id.org/dossier/g/derived>");
                    prop_assert!(!now.contains(&derived), "a plain triple is derived: {triple}");
                }
            } else {
                prop_assert_eq!(contents(&snapshot), before, "a refused change changed something");
            }
        }
    }
}
