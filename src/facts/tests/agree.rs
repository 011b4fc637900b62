//! What the reads say of one graph agrees, whatever is plain, stated or given by a node.

use std::collections::BTreeSet;

use oxigraph::model::{NamedNode, Term};
use proptest::prelude::*;

use super::{verdict::view, *};
use crate::model::{
    fact::Statement,
    verdict::{Rule, Verdict},
};

const DAY: &str = "2019-08-27";
/// The last two are nodes with a standing of their own.
const SUBJECTS: [&str; 4] = ["e:a", "e:b", "e:accepted", "e:disputed"];
const PREDICATES: [&str; 2] = ["d:p", "d:q"];
const OBJECTS: [&str; 3] = ["e:x", "e:y", "d:SomeValue"];
const STANDINGS: [&str; 5] = ["Preferred", "Accepted", "Unconfirmed", "Disputed", "Rejected"];
const TIMES: [&str; 5] = [
    "",
    "; d:edtf \"2010-01-01/\"",
    "; d:edtf \"2019/..\" ; d:observedOn \"2019-03-01\"^^xsd:date",
    "; d:edtf \"2016/2018\"",
    "; d:edtf \"2019-08~/..\"",
];

/// Subject, predicate and object by index.
type Triple = [usize; 3];

#[derive(Clone, Debug)]
struct Said {
    triple: Triple,
    standing: usize,
    time: usize,
    is_negated: bool,
    disputes: Option<usize>,
}

fn triple() -> impl Strategy<Value = Triple> {
    [0..SUBJECTS.len(), 0..PREDICATES.len(), 0..OBJECTS.len()]
}

fn said() -> impl Strategy<Value = Said> {
    let disputes = prop::option::weighted(0.1, 0..8_usize);
    let negated = prop::bool::weighted(0.3);
    (triple(), 0..STANDINGS.len(), 0..TIMES.len(), negated, disputes).prop_map(
        |(triple, standing, time, is_negated, disputes)| Said {
            triple,
            standing,
            time,
            is_negated,
            disputes,
        },
    )
}

fn graph(said: &[Said], plain: &BTreeSet<Triple>, closed: &BTreeSet<[usize; 2]>) -> Snapshot {
    let mut text = String::from(
        "@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
        d:q a <http://www.w3.org/2002/07/owl#FunctionalProperty> .
        e:accepted a <http://schema.org/Event> ; d:standing d:Accepted ; d:stance d:Asserted .
        e:disputed a <http://schema.org/Claim> ; d:standing d:Disputed ; d:stance d:Attributed . ",
    );
    let names =
        |[subject, predicate, object]: Triple| [SUBJECTS[subject], PREDICATES[predicate], OBJECTS[object]];
    for triple in plain {
        let [subject, predicate, object] = names(*triple);
        write!(text, "{subject} {predicate} {object} . ").unwrap();
    }
    for [subject, predicate] in closed {
        write!(
            text,
            "{} d:closedFor {} . ",
            SUBJECTS[*subject], PREDICATES[*predicate]
        )
        .unwrap();
    }
    text.push_str("g:statements { ");
    for (index, one) in said.iter().enumerate() {
        let [subject, predicate, object] = names(one.triple);
        let negated = if one.is_negated { "; d:negated true" } else { "" };
        let disputes = one.disputes.map(|other| format!("; d:disputes s:{other}"));
        write!(
            text,
            "s:{index} rdf:subject {subject} ; rdf:predicate {predicate} ; rdf:object {object} ; d:stance d:Asserted ;
                d:standing d:{} ; d:basis d:Stated ; prov:wasDerivedFrom e:src {negated} {} {} . ",
            STANDINGS[one.standing],
            TIMES[one.time],
            disputes.unwrap_or_default(),
        )
        .unwrap();
    }
    text.push('}');
    let mut draft = Draft::new(snapshot(&text));
    derive::rederive(&mut draft, DAY.parse().unwrap(), derive::Scope::All);
    draft.finish().1
}

fn named(name: &str) -> String {
    match name.split_once(':').unwrap() {
        ("d", name) => iri(&format!("ns#{name}")),
        (_, name) => iri(&format!("e/{name}")),
    }
}

/// Object, statement and whether it holds.
type Row = (String, Option<String>, bool);

fn rows<'a>(facts: impl IntoIterator<Item = &'a Fact>) -> BTreeSet<Row> {
    let id = |statement: &Statement| statement.id.clone();
    let row = |fact: &Fact| {
        let id = fact.statement.as_deref().map(id).filter(|id| !id.is_empty());
        (fact.object.to_string(), id, fact.holds)
    };
    facts.into_iter().map(row).collect()
}

proptest! {
    #[test]
    fn reads_agree_with_each_other(
        said in prop::collection::vec(said(), 0..8),
        plain in prop::collection::btree_set(triple(), 0..8),
        closed in prop::collection::btree_set([0..SUBJECTS.len(), 0..PREDICATES.len()], 0..2),
    ) {
        let snapshot = graph(&said, &plain, &closed);
        let reader = Lookup::default().on(&snapshot);
        let view = view(DAY);
        let budget = &mut Budget::page();
        let conflicts = reader.conflicts(&ConflictFilter::default(), &view, 1_000, None, budget).conflicts;
        for (subject, predicate) in SUBJECTS.iter().flat_map(|one| PREDICATES.map(|other| (*one, other))) {
            let pair = [named(subject), named(predicate)];
            let names = pair.each_ref().map(String::as_str);
            let compared = reader.compare(names, &view, budget);
            let of_pair: Vec<_> = conflicts
                .iter()
                .filter(|one| one.subject.to_string() == format!("<{}>", pair[0]) && one.predicate.as_ref().is_some_and(|one| one.as_str() == pair[1]))
                .collect();
            prop_assert!(of_pair.len() < 2, "a conflict is listed once");

            // What the subject's own standing makes of its facts is no conflict of statements.
            if subject != "e:disputed" || compared.groups.is_empty() {
                prop_assert_eq!(compared.sign, of_pair.first().map(|one| one.sign));
            }
            prop_assert!(compared.sign.is_some() || of_pair.is_empty());

            let filter = FactFilter {
                subject: Some(pair[0].clone()),
                predicate: Some(pair[1].clone()),
                ..FactFilter::default()
            };
            let list = |is_present, scope| {
                let filter = FactFilter { is_present, scope, ..filter.clone() };
                walk(&reader, &filter, view, 100, u32::MAX)
            };
            let live = list(false, Scope::Live);
            let compared_facts = compared.groups.iter().flat_map(|group| &group.facts);
            prop_assert_eq!(rows(compared_facts), rows(&live));
            prop_assert_eq!(rows(&live).len(), live.len(), "a fact is listed once");
            let holding: BTreeSet<_> = rows(&live).into_iter().filter(|row| row.2).collect();
            prop_assert_eq!(&rows(&list(false, Scope::Holding)), &holding);
            prop_assert_eq!(&rows(&list(true, Scope::Holding)), &holding, "by the default graph");

            for object in OBJECTS {
                let term: Term = NamedNode::new_unchecked(named(object)).into();
                let checked = reader.check(names, term.as_ref(), &view, budget);
                for group in compared.groups.iter().filter(|group| group.object == term) {
                    prop_assert_eq!(group.rule, checked.rule, "{} {} {}", subject, predicate, object);
                }
                prop_assert!(checked.rule != Rule::Opposed || rows(&checked.evidence).len() > 1, "{:?}", checked);
                match checked.rule.verdict() {
                    Verdict::Disputed => prop_assert!(compared.sign.is_some(), "{:?}", checked),
                    Verdict::True if object != "d:SomeValue" => {
                        prop_assert!(holding.iter().any(|row| row.0 == term.to_string()), "{:?}", checked);
                    }
                    _ => {}
                }
                if !matches!(checked.rule, Rule::NotAmongAll | Rule::Opposed) {
                    // A node gives its facts something of their own, which is no fact of the list where a statement says them.
                    let all = rows(&live);
                    let is_known = |row: &Row| row.1.is_none() || all.contains(row);
                    prop_assert!(rows(&checked.evidence).iter().all(is_known), "{:?}", checked);
                }
            }
        }
    }
}
