//! Reads of entities, comparisons, histories and timelines against a naive oracle, over random histories of writes.

mod oracle;

use std::collections::{BTreeMap, BTreeSet};

use oxigraph::model::{GraphName, Literal, NamedNode, Quad, Term};
use proptest::prelude::*;

use self::oracle::{At, DATE, DATES, MARKS, Oracle, Row, Said, TIMES, Triple};
use super::*;
use crate::{
    facts::{
        derive::{derive, draft},
        write::{NewFact, NewSource, retract_facts, write_facts},
    },
    model::{
        day::Day,
        fact::{Basis, UnixTime},
    },
};

const DAY_SECONDS: i64 = 86_400;
/// The day that the default graph is for.
const TODAY: i64 = 35;
const NODE_COUNT: u8 = 3;

/// One commit, a day after the one before.
#[derive(Clone, Debug)]
enum Step {
    Write(Words),
    /// Replaces one of the live statements.
    Revise(usize, Words),
    Retract(usize),
}

/// What is to be said; it was recorded elsewhere some days before, if it says so.
#[derive(Clone, Debug)]
struct Words {
    triple: Triple,
    marks: usize,
    is_negated: bool,
    time: usize,
    days_before: Option<i64>,
    disputes: Option<usize>,
}

fn triple() -> impl Strategy<Value = Triple> {
    (0..NODE_COUNT, 0..=DATE, 0..NODE_COUNT)
        .prop_map(|(subject, predicate, object)| [subject, predicate, object])
}

fn words() -> impl Strategy<Value = Words> {
    let marks = prop_oneof![2 => 0..2_usize, 1 => 0..MARKS.len()];
    let said = (triple(), marks, prop::bool::weighted(0.2), 0..TIMES.len());
    let days_before = prop::option::weighted(0.3, 0..4_i64);
    let disputes = prop::option::weighted(0.2, any::<usize>());
    (said, days_before, disputes).prop_map(|((triple, marks, is_negated, time), days_before, disputes)| {
        Words {
            triple,
            marks,
            is_negated,
            time,
            days_before,
            disputes,
        }
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => words().prop_map(Step::Write),
        2 => (any::<usize>(), words()).prop_map(|(old, words)| Step::Revise(old, words)),
        1 => any::<usize>().prop_map(Step::Retract),
    ];
    prop::collection::vec(step, 0..14)
}

fn node(name: &str) -> NamedNode {
    NamedNode::new_unchecked(iri(name))
}

fn predicate(number: u8) -> NamedNode {
    let own = ["e/p0", "e/p1", "ns#edtf"];
    node(own[usize::from(number)])
}

fn object([_, predicate, object]: Triple) -> Term {
    if predicate == DATE {
        Literal::new_simple_literal(DATES[usize::from(object)].0).into()
    } else {
        node(&format!("e/n{object}")).into()
    }
}

fn number(text: &str) -> usize {
    let digits = text
        .trim_end_matches('>')
        .rsplit(|one: char| !one.is_ascii_digit())
        .next();
    digits.unwrap().parse().unwrap()
}

/// The graph, and what the oracle knows of it.
#[derive(Default)]
struct History {
    snapshot: Snapshot,
    oracle: Oracle,
    day: i64,
}

impl History {
    fn of(plain: &BTreeSet<Triple>, steps: &[Step]) -> Self {
        let mut history = Self::default();
        history.commit(|draft| {
            let mut batch = Batch::default();
            for &[subject, property, value] in plain {
                let subject = node(&format!("e/n{subject}"));
                let quad = Quad::new(
                    subject,
                    predicate(property),
                    object([0, property, value]),
                    GraphName::DefaultGraph,
                );
                batch.insert(quad.as_ref());
            }
            draft.apply(&batch);
        });
        history.oracle.plain.clone_from(plain);
        for step in steps {
            history.go_on(step);
        }
        history
    }

    fn commit(&mut self, plan: impl FnOnce(&mut Draft)) {
        self.day += 1;
        let time_us = u64::try_from(self.day * DAY_SECONDS).unwrap() * 1_000_000;
        let mut draft = draft(self.snapshot.clone()).at(time_us);
        plan(&mut draft);
        derive(&mut draft, day(TODAY)).unwrap();
        self.snapshot = draft.finish().1;
    }

    fn live(&self, choice: usize) -> Option<usize> {
        let live = |index: &usize| self.oracle.said[*index].retracted.is_none();
        let live: Vec<_> = (0..self.oracle.said.len()).filter(live).collect();
        (!live.is_empty()).then(|| live[choice % live.len()])
    }

    fn go_on(&mut self, step: &Step) {
        match step {
            Step::Write(words) => self.say(words, None),
            Step::Revise(choice, words) => {
                if let Some(old) = self.live(*choice) {
                    // A version is of the same subject and predicate.
                    let [subject, property, _] = self.oracle.said[old].triple;
                    let triple = [subject, property, words.triple[2]];
                    self.say(&Words { triple, ..*words }, Some(old));
                }
            }
            Step::Retract(choice) => {
                if let Some(index) = self.live(*choice) {
                    self.commit(|draft| retract_facts(draft, &[node(&format!("s/{index}"))], &[]).unwrap());
                    let said = &mut self.oracle.said[index];
                    said.retracted = Some(self.day.max(said.recorded));
                }
            }
        }
    }

    fn say(&mut self, words: &Words, old: Option<usize>) {
        let recorded = self.day + 1 - words.days_before.unwrap_or(0);
        let index = self.oracle.said.len();
        let target = words.disputes.filter(|_| index > 0).map(|choice| choice % index);
        let statement = target.map(|index| node(&format!("s/{index}")));
        let fact = NewFact {
            disputes: statement.into_iter().collect(),
            ..new_fact(index, words, recorded, old)
        };
        self.commit(|draft| write_facts(draft, &[fact], &[]).unwrap());
        if let Some(old) = old {
            let said = &mut self.oracle.said[old];
            said.retracted = Some(recorded.max(said.recorded));
        }
        self.oracle.said.push(Said {
            triple: words.triple,
            marks: words.marks,
            is_negated: words.is_negated,
            time: words.time,
            recorded,
            retracted: None,
            revises: old,
            disputes: target,
        });
    }
}

fn new_fact(index: usize, words: &Words, recorded: i64, old: Option<usize>) -> NewFact {
    let time = &TIMES[words.time];
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    NewFact {
        id: node(&format!("s/{index}")),
        subject: node(&format!("e/n{}", words.triple[0])),
        predicate: predicate(words.triple[1]),
        object: object(words.triple),
        standing: MARKS[words.marks].1,
        stance: MARKS[words.marks].0,
        basis: Basis::Stated,
        is_negated: words.is_negated,
        confidence: None,
        attributed_to: None,
        edtf: text(time.edtf),
        valid_from: None,
        valid_until: None,
        observed_on: text(time.observed),
        qualifiers: Vec::new(),
        sources: vec![NewSource {
            iri: node("src/a"),
            title: "A".to_owned(),
            publisher: None,
            locator: String::new(),
        }],
        recorded_at: words.days_before.map(|_| UnixTime {
            seconds: recorded * DAY_SECONDS,
            nanos: 0,
        }),
        disputes: Vec::new(),
        revises: old.map(|old| node(&format!("s/{old}"))),
    }
}

fn day(number: i64) -> Day {
    Day::of_unix_seconds(number * DAY_SECONDS)
}

fn read_triple(fact: &Fact) -> Triple {
    let property = fact.predicate.as_str();
    let property = if property.ends_with("edtf") {
        DATE
    } else {
        u8::try_from(number(property)).unwrap()
    };
    let object = match &fact.object {
        Term::Literal(literal) => DATES
            .iter()
            .position(|(text, _)| *text == literal.value())
            .unwrap(),
        other => number(&other.to_string()),
    };
    let subject = number(&fact.subject.to_string());
    [
        u8::try_from(subject).unwrap(),
        property,
        u8::try_from(object).unwrap(),
    ]
}

fn row(fact: &Fact) -> Row {
    let index = fact.statement.as_ref().map(|statement| number(&statement.id));
    (read_triple(fact), index, fact.holds)
}

/// Gathers pages; nothing comes twice.
fn gather<T: Ord>(mut next: impl FnMut(Option<Cursor>) -> (Vec<T>, Option<Cursor>)) -> BTreeSet<T> {
    let mut all = BTreeSet::new();
    let mut after = None;
    loop {
        let (page, end) = next(after);
        for one in page {
            assert!(all.insert(one), "what is listed is listed once");
        }
        assert!(end.is_none() || end != after, "a page must come further");
        after = end;
        if after.is_none() {
            return all;
        }
    }
}

fn versions(
    reader: &Reader<'_>,
    versions: &Versions,
    view: &TimeView,
    size: usize,
) -> BTreeSet<(i64, Row, bool)> {
    let mut last = i64::MIN;
    gather(|after| {
        let page = reader
            .history(versions, view, size, after, &mut Budget::page())
            .unwrap_or_default();
        let version = |fact: &Fact| {
            let statement = fact.statement.as_ref().unwrap();
            let recorded = statement.recorded_at.unwrap().seconds / DAY_SECONDS;
            assert!(last <= recorded, "versions come as they were recorded");
            assert_eq!(statement.is_retracted, statement.retracted_at.is_some());
            last = recorded;
            (recorded, row(fact), statement.is_retracted)
        };
        (page.facts.iter().map(version).collect(), page.end)
    })
}

/// A history, and when it is read.
#[derive(Clone, Debug)]
struct Case {
    plain: BTreeSet<Triple>,
    steps: Vec<Step>,
    as_of: Option<i64>,
    known_at: Option<i64>,
    /// Of pages.
    size: usize,
}

fn case() -> impl Strategy<Value = Case> {
    let when = (prop::option::of(-2..95_i64), prop::option::of(-4..16_i64));
    let plain = prop::collection::btree_set(triple(), 0..4);
    (plain, steps(), when, 1..5_usize).prop_map(|(plain, steps, (as_of, known_at), size)| Case {
        plain,
        steps,
        as_of,
        known_at,
        size,
    })
}

impl Case {
    fn history(&self) -> History {
        History::of(&self.plain, &self.steps)
    }

    fn at(&self) -> At {
        At {
            day: self.as_of.unwrap_or(TODAY),
            known: self.known_at,
        }
    }

    fn view(&self) -> TimeView {
        TimeView {
            day: day(self.at().day),
            known_at: self.known_at.map(|day| UnixTime {
                seconds: day * DAY_SECONDS,
                nanos: 0,
            }),
        }
    }
}

fn name(subject: u8) -> String {
    iri(&format!("e/n{subject}"))
}

/// Returns an entry of a timeline, after a look at its fact.
fn entry(moment: &Moment, oracle: &Oracle, at: At) -> (&'static str, usize, (i64, i64)) {
    let date = (moment.date.first.since_epoch(), moment.date.last.since_epoch());
    let fact = moment.fact.as_ref().map(row);
    if let Some((triple, index, holds)) = fact {
        let is_known = index.is_none_or(|index| oracle.said[index].is_known(at));
        assert!(is_known, "{fact:?}");
        let is_so = index.map_or_else(|| oracle.plain.contains(&triple), |index| oracle.holds(index, at));
        assert_eq!(holds, is_so, "{fact:?}");
    }
    let statement = || fact.and_then(|fact| fact.1).unwrap();
    match moment.kind {
        MomentKind::Event => ("event", number(moment.event.as_deref().unwrap()), date),
        MomentKind::FactStart => ("start", statement(), date),
        MomentKind::FactEnd => ("end", statement(), date),
    }
}

proptest! {
    #[test]
    fn entities_agree_with_the_oracle(case in case()) {
        let History { snapshot, oracle, .. } = case.history();
        let reader = Lookup::default().on(&snapshot);
        for subject in 0..NODE_COUNT {
            let mut query = EntityQuery {
                languages: Vec::new(),
                view: case.view(),
                is_present: case.as_of.is_none() && case.known_at.is_none(),
                scope: Scope::Holding,
                size: Some(case.size),
                label_languages: Vec::new(),
            };
            let found = gather(|after| {
                let found = reader.entity(&name(subject), &query, after, &mut Budget::page());
                let (entity, end) = found.unwrap_or_default();
                (entity.facts.iter().map(row).collect(), end)
            });
            prop_assert_eq!(&found, &oracle.entity(subject, case.at()));
            query.is_present = false;
            let found = reader.entity(&name(subject), &query, None, &mut Budget::page());
            let is_said = oracle.said.iter().any(|said| said.triple[0] == subject);
            prop_assert_eq!(found.is_some(), is_said || case.plain.iter().any(|triple| triple[0] == subject));
        }
    }

    #[test]
    fn timelines_agree_with_the_oracle(case in case()) {
        let History { snapshot, oracle, .. } = case.history();
        let reader = Lookup::default().on(&snapshot);
        for subject in 0..NODE_COUNT {
            let found = gather(|after| {
                let budget = &mut Budget::page();
                let page = reader.timeline(&name(subject), Span::default(), &case.view(), case.size, after, budget);
                let page = page.unwrap_or_default();
                (page.entries.iter().map(|moment| entry(moment, &oracle, case.at())).collect(), page.end)
            });
            prop_assert_eq!(found, oracle.timeline(subject, case.at()));
        }
    }

    #[test]
    fn histories_agree_with_the_oracle(case in case()) {
        let History { snapshot, oracle, .. } = case.history();
        let reader = Lookup::default().on(&snapshot);
        for (subject, property) in (0..NODE_COUNT).flat_map(|subject| (0..=DATE).map(move |property| (subject, property))) {
            let about = Versions::About(name(subject), predicate(property).into_string(), None);
            let found = versions(&reader, &about, &case.view(), case.size);
            prop_assert_eq!(found, oracle.about([subject, property], case.at()));
        }
        for index in 0..oracle.said.len() {
            let of = Versions::Of(iri(&format!("s/{index}")));
            let found = versions(&reader, &of, &case.view(), case.size);
            prop_assert_eq!(found, oracle.chain(index, case.at()));
        }
    }

    #[test]
    fn comparisons_agree_with_the_oracle(case in case()) {
        let History { snapshot, oracle, .. } = case.history();
        let reader = Lookup::default().on(&snapshot);
        for (subject, property) in (0..NODE_COUNT).flat_map(|subject| (0..=DATE).map(move |property| (subject, property))) {
            let pair = [name(subject), predicate(property).into_string()];
            let names = pair.each_ref().map(String::as_str);
            let compared = reader.compare(names, &case.view(), &mut Budget::page());
            let group = |group: &ObjectGroup| {
                let rows: BTreeSet<_> = group.facts.iter().map(row).collect();
                let side = (read_triple(&group.facts[0])[2], group.is_negated);
                (side, (group.rule.verdict(), rows))
            };
            let groups: BTreeMap<_, _> = compared.groups.iter().map(group).collect();
            prop_assert_eq!(groups.len(), compared.groups.len());
            prop_assert_eq!(groups, oracle.compare([subject, property], case.at()));
            prop_assert_eq!(compared.sign.is_some(), oracle.conflicts([subject, property], case.at()));
        }
    }
}
