use std::collections::{BTreeMap, BTreeSet};

use oxigraph::io::{RdfFormat, RdfParser};
use oxigraph::model::{GraphName, NamedNode, NamedOrBlankNode, Quad, Term};
use proptest::prelude::*;

use super::*;
use crate::model::edtf::Bounds;
use crate::model::validity::tests::{day, days, validities, validity};
use crate::model::vocabulary;

pub(in crate::model) fn evidence() -> impl Strategy<Value = Evidence<u8>> {
    let stance = prop_oneof![
        6 => Just(Stance::Asserted),
        1 => Just(Stance::Attributed),
        1 => Just(Stance::Reported),
        1 => Just(Stance::Planned),
        1 => Just(Stance::Projected),
        1 => Just(Stance::Opinion),
    ];
    let standing = prop_oneof![
        2 => Just(Standing::Preferred),
        6 => Just(Standing::Accepted),
        1 => Just(Standing::Unconfirmed),
        1 => Just(Standing::Disputed),
        1 => Just(Standing::Rejected),
    ];
    let flags = (
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.1),
    );
    (0u8..3, stance, standing, flags, validities()).prop_map(
        |(object, stance, standing, (negated, is_some_value, live, opposed), validity)| Evidence {
            // Some value is the same object in every statement, and no other.
            object: if is_some_value { u8::MAX } else { object },
            stance,
            standing,
            negated,
            is_some_value,
            validity,
            live,
            opposed,
        },
    )
}

pub(in crate::model) fn statements() -> impl Strategy<Value = Vec<Evidence<u8>>> {
    prop::collection::vec(evidence(), 0..6)
}

fn stated(object: u8, standing: Standing, time: &str) -> Evidence<u8> {
    Evidence {
        object,
        stance: Stance::Asserted,
        standing,
        negated: false,
        is_some_value: false,
        validity: validity(time),
        live: true,
        opposed: false,
    }
}

/// Returns the objects that hold, each once for every statement by which it does.
fn holding(statements: &[Evidence<u8>], day: Day) -> Vec<(u8, usize)> {
    let mut holding: Vec<_> = supporting(statements, day)
        .map(|index| (statements[index].object, index))
        .collect();
    holding.sort_unstable();
    holding
}

fn check(statements: &[Evidence<u8>], on: &str, expected: &[(u8, usize)]) {
    assert_eq!(holding(statements, day(on)), expected, "on {on}");
}

fn objects(statements: &[Evidence<u8>], day: Day) -> BTreeSet<u8> {
    let objects = super::objects(statements, day);
    assert!(objects.is_sorted_by(|one, next| one < next), "each once");
    objects.into_iter().collect()
}

#[test]
fn a_preferred_statement_hides_accepted_ones_while_it_counts() {
    let statements = [
        stated(1, Standing::Accepted, "@2019-08-27"),
        stated(1, Standing::Preferred, "2017-08-03/2019-09-11"),
        stated(2, Standing::Preferred, "2019-09-11/2019-12-31"),
    ];
    check(&statements, "2017-08-02", &[]);
    check(&statements, "2019-08-27", &[(1, 1)]);
    check(&statements, "2019-09-11", &[(1, 1), (2, 2)]);
    check(&statements, "2019-09-12", &[(2, 2)]);
    check(&statements, "2020-01-01", &[(1, 0)]);
}

#[test]
fn what_does_not_count_supports_nothing() {
    let accepted = stated(1, Standing::Accepted, "");
    check(&[accepted], "2019-08-27", &[(1, 0)]);
    check(&[], "2019-08-27", &[]);
    for stance in [Stance::Planned, Stance::Projected, Stance::Opinion] {
        check(&[Evidence { stance, ..accepted }], "2019-08-27", &[]);
    }
    for stance in [Stance::Attributed, Stance::Reported] {
        check(&[Evidence { stance, ..accepted }], "2019-08-27", &[(1, 0)]);
    }
    for standing in [Standing::Unconfirmed, Standing::Disputed, Standing::Rejected] {
        check(&[Evidence { standing, ..accepted }], "2019-08-27", &[]);
    }
    check(
        &[Evidence {
            negated: true,
            ..accepted
        }],
        "2019-08-27",
        &[],
    );
    check(
        &[Evidence {
            is_some_value: true,
            ..accepted
        }],
        "2019-08-27",
        &[],
    );
    check(
        &[Evidence {
            live: false,
            ..accepted
        }],
        "2019-08-27",
        &[],
    );
}

proptest! {
    #[test]
    fn the_order_of_statements_does_not_matter(
        (statements, shuffled) in statements().prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle())),
        day in days(),
    ) {
        prop_assert_eq!(objects(&statements, day), objects(&shuffled, day));
    }

    #[test]
    fn what_holds_is_supported_by_statements_that_count(statements in statements(), day in days()) {
        for (object, index) in holding(&statements, day) {
            let statement = &statements[index];
            prop_assert_eq!(statement.object, object);
            prop_assert!(statement.counts(day) && statement.live && !statement.negated && !statement.is_some_value);
        }
        // One that counts is among them, or hidden.
        let held: BTreeSet<_> = supporting(&statements, day).collect();
        for (index, statement) in statements.iter().enumerate() {
            let hidden = statement.standing == Standing::Accepted && hides_accepted(&statements, day);
            prop_assert_eq!(held.contains(&index), statement.counts(day) && !hidden);
        }
    }

    #[test]
    fn statements_that_do_not_count_change_nothing(statements in statements(), day in days()) {
        let counting: Vec<_> = statements.iter().filter(|statement| statement.counts(day)).copied().collect();
        prop_assert_eq!(objects(&statements, day), objects(&counting, day));
    }

    #[test]
    fn values_differ_if_two_hold_on_one_day(statements in statements()) {
        let every_day = (10_900..12_500).map(|number| Day::of_unix_seconds(number * 86_400));
        let is_double = |day: &Day| objects(&statements, *day).len() > 1;
        let found = differing(&statements, |_, _| false);
        prop_assert_eq!(found.is_some(), every_day.clone().any(|day| is_double(&day)));
        if let Some(pair) = found {
            let [one, other] = pair.map(|index| statements[index].object);
            prop_assert!(one != other);
            let both = |day: &Day| pair.iter().all(|index| supporting(&statements, *day).any(|at| at == *index));
            prop_assert!(every_day.clone().any(|day| both(&day)));
        }
        for day in every_day.step_by(50) {
            prop_assert_eq!(differing_on(&statements, day, |_, _| false).is_some(), is_double(&day));
        }
        prop_assert_eq!(differing(&statements, |_, _| true), None);
    }

    #[test]
    fn accepted_statements_never_take_an_object_away(statements in statements(), more in evidence(), day in days()) {
        let mut added = statements.clone();
        added.push(more);
        if more.standing != Standing::Preferred {
            prop_assert!(objects(&statements, day).is_subset(&objects(&added, day)));
        } else if more.counts(day) {
            prop_assert!(objects(&added, day).contains(&more.object));
        }
    }
}

const SHIPPED: [&str; 3] = [
    include_str!("../../../data/japan-korea-2019.trig"),
    include_str!("../../../data/world.trig"),
    include_str!("../../../data/countries.trig"),
];

type Node = BTreeMap<String, Vec<Term>>;
type Key = (NamedOrBlankNode, Term);

/// Every EDTF text of the shipped data is read.
#[test]
fn the_shipped_times_are_read() {
    let times: Vec<_> = SHIPPED
        .into_iter()
        .flat_map(quads)
        .filter(|quad| quad.predicate.as_str() == vocabulary::EDTF)
        .map(|quad| lexical(&quad.object).parse::<Bounds>().unwrap())
        .collect();
    assert!(times.len() >= 30, "{}", times.len());
}

/// The rule makes of the shipped statements what the shipped file of derived triples has, and the days that they have.
#[test]
fn the_shipped_data_is_derived_as_it_is_shipped() {
    let nodes = statement_nodes(SHIPPED);
    let mut by_property: BTreeMap<String, (Key, Vec<Evidence<Term>>)> = BTreeMap::new();
    for node in nodes.values() {
        let text = |iri: &str| node.get(iri).map(|values| lexical(&values[0]));
        let bounds = text(vocabulary::EDTF).map(|edtf| edtf.parse::<Bounds>().unwrap());
        let Some(Term::NamedNode(subject)) = node.get(vocabulary::SUBJECT).map(|values| &values[0]) else {
            continue;
        };
        let shown = |day: Option<Day>| day.map(|day| day.to_string());
        assert_eq!(
            shown(bounds.and_then(|bounds| bounds.valid_from())),
            text(vocabulary::VALID_FROM)
        );
        assert_eq!(
            shown(bounds.and_then(|bounds| bounds.valid_until())),
            text(vocabulary::VALID_UNTIL)
        );
        let key = (subject.clone().into(), node[vocabulary::PREDICATE][0].clone());
        by_property
            .entry(format!("{key:?}"))
            .or_insert_with(|| (key, Vec::new()))
            .1
            .push(read(node));
    }
    assert!(by_property.len() > 80);

    let derived: BTreeSet<String> = by_property
        .values()
        .flat_map(|((subject, predicate), statements)| {
            supporting(statements, day("2019-08-27"))
                .map(move |index| format!("{subject} {predicate} {}", statements[index].object))
        })
        .collect();
    let shipped: BTreeSet<String> = quads(include_str!("../../../data/derived.trig"))
        .map(|quad| format!("{} {} {}", quad.subject, quad.predicate, quad.object))
        .collect();
    assert_eq!(derived, shipped);
}

fn quads(text: &'static str) -> impl Iterator<Item = Quad> {
    RdfParser::from_format(RdfFormat::TriG)
        .for_reader(text.as_bytes())
        .map(Result::unwrap)
}

fn statement_nodes(texts: [&'static str; 3]) -> BTreeMap<String, Node> {
    let graph = GraphName::from(NamedNode::new(vocabulary::STATEMENTS).unwrap());
    let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
    for quad in texts
        .into_iter()
        .flat_map(quads)
        .filter(|quad| quad.graph_name == graph)
    {
        let node = nodes.entry(quad.subject.to_string()).or_default();
        node.entry(quad.predicate.into_string())
            .or_default()
            .push(quad.object);
    }
    nodes
}

fn lexical(term: &Term) -> String {
    match term {
        Term::NamedNode(node) => node.as_str().to_owned(),
        Term::Literal(literal) => literal.value().to_owned(),
        other => other.to_string(),
    }
}

fn read(node: &Node) -> Evidence<Term> {
    let values = |iri: &str| node.get(iri).into_iter().flatten().map(lexical);
    let object = node[vocabulary::OBJECT][0].clone();
    Evidence {
        stance: match values(vocabulary::STANCE).next().unwrap().as_str() {
            vocabulary::ASSERTED => Stance::Asserted,
            vocabulary::ATTRIBUTED => Stance::Attributed,
            vocabulary::REPORTED => Stance::Reported,
            vocabulary::PLANNED => Stance::Planned,
            vocabulary::PROJECTED => Stance::Projected,
            vocabulary::OPINION => Stance::Opinion,
            other => panic!("{other}"),
        },
        standing: match values(vocabulary::STANDING).next().unwrap().as_str() {
            vocabulary::PREFERRED => Standing::Preferred,
            vocabulary::ACCEPTED => Standing::Accepted,
            vocabulary::UNCONFIRMED => Standing::Unconfirmed,
            vocabulary::DISPUTED => Standing::Disputed,
            vocabulary::REJECTED => Standing::Rejected,
            other => panic!("{other}"),
        },
        negated: values(vocabulary::NEGATED).next().as_deref() == Some("true"),
        is_some_value: lexical(&object) == vocabulary::SOME_VALUE,
        object,
        validity: Validity::new(
            values(vocabulary::EDTF).next().map(|edtf| edtf.parse().unwrap()),
            values(vocabulary::OBSERVED_ON).map(|text| day(&text)),
        ),
        live: !node.contains_key(vocabulary::INVALIDATED_AT),
        opposed: false,
    }
}
