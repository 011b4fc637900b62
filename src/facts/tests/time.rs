//! Reads in time views against a naive oracle, over random statements.

use std::collections::BTreeSet;

use oxigraph::model::{Term, TermRef};
use proptest::prelude::*;

use super::*;
use crate::model::{
    day::Day,
    edtf::Bounds,
    fact::{Stance, UnixTime},
    truthy::{Evidence, supporting},
    validity::{Certainty, Validity},
    verdict::{Question, Rule, judge},
};

const DAY_SECONDS: i64 = 86_400;
const STANCES: [(&str, Stance); 3] = [
    ("Asserted", Stance::Asserted),
    ("Planned", Stance::Planned),
    ("Reported", Stance::Reported),
];
const STANDINGS: [(&str, Standing); 4] = [
    ("Preferred", Standing::Preferred),
    ("Accepted", Standing::Accepted),
    ("Unconfirmed", Standing::Unconfirmed),
    ("Disputed", Standing::Disputed),
];
const TIMES: [&str; 6] = [
    "",
    "1970-01-05/1970-01-10",
    "1970-01/..",
    "1970-01-08",
    "../1970-01-06",
    "1970-01-03?/",
];

/// A statement, all parts as indices and days since 1970-01-01.
#[derive(Clone, Debug)]
struct Said {
    subject: u8,
    predicate: u8,
    object: u8,
    stance: usize,
    standing: usize,
    is_negated: bool,
    time: usize,
    recorded: Option<i64>,
    /// Days after it was recorded.
    retracted: Option<i64>,
    source: u8,
    /// Another, which there may be or not.
    disputes: Option<usize>,
}

impl Said {
    fn is_known(&self, known_at: Option<i64>) -> bool {
        match known_at {
            None => self.retracted.is_none(),
            Some(known_at) => {
                self.recorded.is_none_or(|day| day <= known_at)
                    && self.retracted_on().is_none_or(|day| day > known_at)
            }
        }
    }

    fn retracted_on(&self) -> Option<i64> {
        self.retracted.map(|after| self.recorded.unwrap_or(0) + after)
    }

    fn evidence(&self, known_at: Option<i64>) -> Evidence<u8> {
        let bounds: Option<Bounds> =
            (!TIMES[self.time].is_empty()).then(|| TIMES[self.time].parse().unwrap());
        Evidence {
            object: self.object,
            stance: STANCES[self.stance].1,
            standing: STANDINGS[self.standing].1,
            negated: self.is_negated,
            is_some_value: false,
            validity: Validity::new(bounds, []),
            live: self.is_known(known_at),
            opposed: false,
        }
    }
}

fn statements() -> impl Strategy<Value = Vec<Said>> {
    let said = (
        (0..3u8, 0..2u8, 0..3u8),
        (
            0..STANCES.len(),
            0..STANDINGS.len(),
            prop::bool::weighted(0.2),
            0..TIMES.len(),
        ),
        (
            prop::option::weighted(0.8, 0..12i64),
            prop::option::weighted(0.3, 1..5i64),
            0..2u8,
            prop::option::weighted(0.3, 0..10_usize),
        ),
    )
        .prop_map(
            |((subject, predicate, object), (stance, standing, is_negated, time), rest)| Said {
                subject,
                predicate,
                object,
                stance,
                standing,
                is_negated,
                time,
                recorded: rest.0,
                retracted: rest.1,
                source: rest.2,
                disputes: rest.3,
            },
        );
    prop::collection::vec(said, 0..25)
}

fn day(number: i64) -> Day {
    Day::of_unix_seconds(number * DAY_SECONDS)
}

fn date_time(number: i64) -> String {
    format!(
        "\"{}T00:00:00Z\"^^<http://www.w3.org/2001/XMLSchema#dateTime>",
        day(number)
    )
}

/// The graph: plain triples, statements, and triples that are derived for a day that is never asked for.
fn graph(said: &[Said], plain: &BTreeSet<[u8; 3]>, derived: &BTreeSet<[u8; 3]>) -> Snapshot {
    let mut text = String::new();
    let triple =
        |[subject, predicate, object]: [u8; 3]| format!("e:s{subject} e:p{predicate} e:o{object} . ");
    for all in [plain, derived] {
        text.extend(all.iter().map(|ids| triple(*ids)));
    }
    text.push_str("g:derived { ");
    text.extend(derived.difference(plain).map(|ids| triple(*ids)));
    text.push_str("} g:statements { ");
    for (index, one) in said.iter().enumerate() {
        write!(
            text,
            "s:{index} rdf:subject e:s{} ; rdf:predicate e:p{} ; rdf:object e:o{} ; d:stance d:{} ; d:standing d:{} ;
            prov:wasDerivedFrom e:src{} ",
            one.subject, one.predicate, one.object, STANCES[one.stance].0, STANDINGS[one.standing].0, one.source,
        )
        .unwrap();
        if one.is_negated {
            text.push_str("; d:negated true ");
        }
        if !TIMES[one.time].is_empty() {
            write!(text, "; d:edtf \"{}\" ", TIMES[one.time]).unwrap();
        }
        if let Some(disputed) = one.disputes {
            write!(text, "; d:disputes s:{disputed} ").unwrap();
        }
        if let Some(recorded) = one.recorded {
            write!(text, "; prov:generatedAtTime {} ", date_time(recorded)).unwrap();
        }
        if let Some(retracted) = one.retracted_on() {
            write!(text, "; prov:invalidatedAtTime {} ", date_time(retracted)).unwrap();
        }
        text.push_str(". ");
    }
    text.push('}');
    snapshot(&text)
}

/// What the oracle holds for true: the triple and the statement, if there is one.
type Row = ([u8; 3], Option<usize>);

/// Each statement that the rule derives something by, and each plain triple of which there is none.
fn oracle(said: &[Said], plain: &BTreeSet<[u8; 3]>, on: Day, known_at: Option<i64>) -> BTreeSet<Row> {
    let mut rows = BTreeSet::new();
    for subject in 0..3 {
        for predicate in 0..2 {
            let (indices, group): (Vec<_>, Vec<_>) = said
                .iter()
                .enumerate()
                .filter(|(_, one)| (one.subject, one.predicate) == (subject, predicate))
                .map(|(index, one)| (index, one.evidence(known_at)))
                .unzip();
            let reasons = supporting(&group, on);
            rows.extend(reasons.map(|at| ([subject, predicate, group[at].object], Some(indices[at]))));
        }
    }
    for triple in plain {
        if rows.iter().all(|row| row.0 != *triple) {
            rows.insert((*triple, None));
        }
    }
    rows
}

fn number(term: &str) -> u8 {
    term.rsplit(['s', 'p', 'o'])
        .next()
        .unwrap()
        .trim_end_matches('>')
        .parse()
        .unwrap()
}

fn rows(facts: &[Fact]) -> Vec<Row> {
    facts
        .iter()
        .map(|fact| {
            let triple = [
                number(&fact.subject.to_string()),
                number(&fact.predicate.to_string()),
                number(&fact.object.to_string()),
            ];
            let statement = fact.statement.as_ref();
            let index = statement.map(|one| one.id.rsplit('/').next().unwrap().parse().unwrap());
            (triple, index)
        })
        .collect()
}

fn pick<T: Clone>(
    filter: &FactFilter,
    change: impl FnOnce(&mut FactFilter, T),
    value: Option<T>,
) -> FactFilter {
    let mut filter = filter.clone();
    if let Some(value) = value {
        change(&mut filter, value);
    }
    filter
}

proptest! {
    #[test]
    fn reads_agree_with_the_oracle(
        said in statements(),
        plain in prop::collection::btree_set([0..3u8, 0..2u8, 0..3u8], 0..6),
        derived in prop::collection::btree_set([0..3u8, 0..2u8, 0..3u8], 0..6),
        on in -2..14i64,
        known_at in prop::option::of(-1..16i64),
        subject in prop::option::of(0..3u8),
        source in prop::option::weighted(0.3, 0..2u8),
        (size, steps) in (1..6usize, prop_oneof![Just(1u32), Just(15), Just(u32::MAX)]),
    ) {
        let snapshot = graph(&said, &plain, &derived);
        let reader = Lookup::default().on(&snapshot);
        let view = TimeView {
            day: day(on),
            known_at: known_at.map(|day| UnixTime { seconds: day * DAY_SECONDS, nanos: 0 }),
        };
        let filter = FactFilter::default();
        let filter = pick(&filter, |filter, number| filter.subject = Some(iri(&format!("e/s{number}"))), subject);
        let filter = pick(&filter, |filter, number| filter.source = Some(iri(&format!("e/src{number}"))), source);
        let found = rows(&walk(&reader, &filter, view, size, steps));
        let whole = oracle(&said, &plain, day(on), known_at);
        let expected: BTreeSet<_> = whole
            .iter()
            .filter(|(triple, index)| {
                subject.is_none_or(|subject| triple[0] == subject)
                    && source.is_none_or(|source| index.is_some_and(|index| said[index].source == source))
            })
            .copied()
            .collect();
        prop_assert_eq!(found.len(), expected.len(), "{:?}", found);
        prop_assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), expected.clone());

        // What falls with a source is what the oracle no longer holds without its statements.
        if let Some(source) = source {
            let filter = FactFilter { is_sole_source: true, ..filter };
            let found: BTreeSet<_> = rows(&walk(&reader, &filter, view, size, steps)).into_iter().map(|row| row.0).collect();
            let others: Vec<_> = said.iter().filter(|one| one.source != source).cloned().collect();
            let fallen: BTreeSet<_> = expected
                .iter()
                .map(|row| row.0)
                .filter(|triple| !holds(&others, &plain, *triple, day(on), known_at))
                .collect();
            prop_assert_eq!(found, fallen);
        }
    }

    #[test]
    fn checks_agree_with_the_oracle(
        said in statements(),
        plain in prop::collection::btree_set([0..3u8, 0..2u8, 0..3u8], 0..6),
        [subject, predicate, object] in [0..3u8, 0..2u8, 0..4u8],
        on in -2..14i64,
        known_at in prop::option::of(-1..16i64),
    ) {
        let snapshot = graph(&said, &plain, &BTreeSet::new());
        let reader = Lookup::default().on(&snapshot);
        let view = TimeView {
            day: day(on),
            known_at: known_at.map(|day| UnixTime { seconds: day * DAY_SECONDS, nanos: 0 }),
        };
        let names = [iri(&format!("e/s{subject}")), iri(&format!("e/p{predicate}"))];
        let term: Term = oxigraph::model::NamedNode::new_unchecked(iri(&format!("e/o{object}"))).into();
        let found = reader.check(
            names.each_ref().map(String::as_str),
            TermRef::from(&term),
            &view,
            &mut Budget::page(),
        );
        let opposing = |index: usize| -> Vec<usize> {
            let opposes = |other: usize| {
                let one = said[other].evidence(known_at);
                let is_certain = one.is_accepted() && one.validity.holds_at(day(on)) == Certainty::Certainly;
                said[other].disputes == Some(index) && other != index && is_certain
            };
            (0..said.len()).filter(|other| opposes(*other)).collect()
        };
        let of_pair = |index: &usize| (said[*index].subject, said[*index].predicate) == (subject, predicate);
        let indices: Vec<_> = (0..said.len()).filter(of_pair).collect();
        let evidence = |index: &usize| Evidence { opposed: !opposing(*index).is_empty(), ..said[*index].evidence(known_at) };
        let group: Vec<_> = indices.iter().map(evidence).collect();
        let expected = judge(&Question {
            statements: &group,
            object,
            day: day(on),
            plain: plain.contains(&[subject, predicate, object]),
            closed: false,
        });
        prop_assert_eq!(found.rule, expected.rule);
        let mut deciding: BTreeSet<_> = expected.statements.iter().map(|at| indices[*at]).collect();
        if expected.rule == Rule::Opposed {
            deciding.extend(deciding.clone().into_iter().flat_map(&opposing));
        }
        let decided: Vec<_> = rows(&found.evidence).into_iter().filter_map(|row| row.1).collect();
        prop_assert_eq!(decided.len(), deciding.len());
        prop_assert_eq!(&decided.into_iter().collect::<BTreeSet<_>>(), &deciding);
        let reasons = oracle(&said, &plain, day(on), known_at);
        // That a triple is plain is a reason too, but where one of those that decided is what it holds by.
        let triple = [subject, predicate, object];
        let is_plain_a_reason = plain.contains(&triple)
            && match expected.rule {
                Rule::Plain => true,
                Rule::Contradicted => !deciding.iter().any(|index| reasons.contains(&(triple, Some(*index)))),
                _ => false,
            };
        let found_rows = rows(&found.evidence);
        prop_assert_eq!(found_rows.iter().filter(|row| row.1.is_none()).count(), usize::from(is_plain_a_reason));
        let holding = found_rows.into_iter().map(|row| row.1.is_none() || reasons.contains(&row));
        prop_assert!(found.evidence.iter().map(|fact| fact.holds).eq(holding));
        prop_assert!(found.evidence.is_sorted_by_key(|fact| !fact.holds), "those that hold come first");
    }
}

fn holds(said: &[Said], plain: &BTreeSet<[u8; 3]>, triple: [u8; 3], on: Day, known_at: Option<i64>) -> bool {
    let group: Vec<_> = said
        .iter()
        .filter(|one| [one.subject, one.predicate] == triple[..2])
        .map(|one| one.evidence(known_at))
        .collect();
    plain.contains(&triple) || supporting(&group, on).any(|index| group[index].object == triple[2])
}
