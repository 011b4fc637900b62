//! Statements that contradict others: they dispute them, or have another value of a property that can have one only.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Budget, Reader,
    check::triple,
    group::{Group, Groups},
    record::{Record, TimeView},
};
use crate::{
    graph::{QuadIds, Quads, TermId},
    model::{
        day::Day,
        truthy::{self, Evidence},
        validity::Certainty,
    },
};

/// Statements that one makes more precise, by steps, that are looked at.
const REFINED_COUNT_MAX: usize = 100;

/// A known statement, and what it is to the rule.
pub(super) type Known = (Record, Evidence<TermId>);

/// Tells whether a time does not exclude a day, should one be given.
pub(super) fn may_hold(one: &Evidence<TermId>, on: Option<Day>) -> bool {
    on.is_none_or(|day| one.validity.holds_at(day) != Certainty::CertainlyNot)
}

/// Tells whether a statement says something that decides on a day.
fn is_certain(one: &Evidence<TermId>, day: Day) -> bool {
    one.is_accepted() && one.validity.holds_at(day) == Certainty::Certainly
}

impl Reader<'_> {
    /// Iterates over the known statements that dispute one, by their identifiers.
    pub(super) fn disputing<'a>(
        &'a self,
        statement: TermId,
        view: &'a TimeView,
        source: Option<TermId>,
        budget: &'a mut Budget,
    ) -> impl Iterator<Item = Known> {
        let pattern = self.in_statements(None, Some(self.words.disputes), Some(statement));
        let others = others(self.snapshot.quads(pattern), statement, |quad| quad.subject);
        self.known_among(others, view, source, budget)
    }

    /// Iterates over the known statements that one disputes, by their identifiers.
    pub(super) fn disputed<'a>(
        &'a self,
        statement: TermId,
        view: &'a TimeView,
        budget: &'a mut Budget,
    ) -> impl Iterator<Item = Known> {
        let pattern = self.in_statements(Some(statement), Some(self.words.disputes), None);
        let others = others(self.snapshot.quads(pattern), statement, |quad| quad.object);
        self.known_among(others, view, None, budget)
    }

    fn known_among<'a>(
        &'a self,
        ids: impl Iterator<Item = TermId> + 'a,
        view: &'a TimeView,
        source: Option<TermId>,
        budget: &'a mut Budget,
    ) -> impl Iterator<Item = Known> {
        ids.map_while(move |id| {
            budget.step(1);
            (!budget.is_overdue()).then(|| self.record(id, source, budget))
        })
        .flatten()
        .filter_map(move |record| Some((record, record.evidence(view)?)))
        .filter(|(_, one)| one.live)
    }

    /// Returns the statements that contradict one on the day of a view: accepted and certain, they dispute it or have another value.
    pub(super) fn opposing(
        &self,
        statement: TermId,
        groups: &mut Groups<'_>,
        budget: &mut Budget,
    ) -> Vec<Record> {
        let view = groups.view;
        let disputing = self.disputing(statement, &view, None, budget);
        let disputing = disputing.filter(|(_, one)| is_certain(one, view.day));
        let mut opposing: Vec<_> = disputing.map(|(record, _)| record).collect();
        if let Some(record) = self.record(statement, None, budget) {
            let [subject, predicate, _] = record.triple;
            let group = groups.of(subject, predicate, budget);
            let certain = self.certain_values(predicate, group, view.day);
            let mut refined = Refined::of(*self);
            if let Some(at) = certain.iter().find(|at| group.records[**at].id == statement) {
                let others = certain
                    .iter()
                    .filter(|other| group.differ(*at, **other, &mut refined, budget));
                opposing.extend(others.map(|other| group.records[*other]));
            }
        }
        opposing
    }

    /// Returns what a group and its subject say, with what is contradicted of that which decides on an object; `None`: on any.
    pub(super) fn with_opposed(
        &self,
        (predicate, group): (TermId, &Group),
        inherited: &[Evidence<TermId>],
        object: Option<TermId>,
        view: &TimeView,
        budget: &mut Budget,
    ) -> Vec<Evidence<TermId>> {
        let mut evidence = [&group.evidence[..], inherited].concat();
        if self.words.disputes != TermId::MAX {
            for (record, one) in group.records.iter().zip(&mut evidence) {
                let is_asked = object.is_none_or(|object| one.object == object || one.is_some_value);
                if is_asked && is_certain(one, view.day) {
                    let mut disputing = self.disputing(record.id, view, None, budget);
                    one.opposed = disputing.any(|(_, one)| is_certain(&one, view.day));
                }
            }
        }
        let certain = self.certain_values(predicate, group, view.day);
        let mut refined = Refined::of(*self);
        for &at in &certain {
            if object.is_none_or(|object| evidence[at].object == object) && !evidence[at].opposed {
                let mut others = certain.iter();
                evidence[at].opposed = others.any(|other| group.differ(at, *other, &mut refined, budget));
            }
        }
        evidence
    }

    /// Tells whether a property can have one value only.
    pub(super) fn is_functional(&self, predicate: TermId) -> bool {
        let class = self.words.functional_property;
        class != TermId::MAX
            && self
                .snapshot
                .contains(triple(predicate, self.words.r#type, class))
    }

    /// Returns the places of the statements that certainly hold on a day, if their property can have one value only.
    fn certain_values(&self, predicate: TermId, group: &Group, day: Day) -> Vec<usize> {
        if group.records.len() < 2 || !self.is_functional(predicate) {
            return Vec::new();
        }
        let holding = truthy::supporting(&group.evidence, day);
        holding
            .filter(|at| is_certain(&group.evidence[*at], day))
            .collect()
    }

    /// Returns a statement that holds on a day, or on any, together with one of another value, where the property can have one only.
    pub(super) fn differing(
        &self,
        predicate: TermId,
        group: &Group,
        on: Option<Day>,
        budget: &mut Budget,
    ) -> Option<TermId> {
        if group.records.len() < 2 || !self.is_functional(predicate) {
            return None;
        }
        let mut refined = Refined::of(*self);
        let refine = |one: usize, other: usize| {
            refined.relate([group.records[one].id, group.records[other].id], budget)
        };
        let pair = match on {
            Some(day) => truthy::differing_on(&group.evidence, day, refine),
            None => truthy::differing(&group.evidence, refine),
        };
        pair.map(|[one, other]| group.records[one].id.min(group.records[other].id))
    }
}

impl Group {
    /// Tells whether two statements have values that differ.
    fn differ(&self, one: usize, other: usize, refined: &mut Refined<'_>, budget: &mut Budget) -> bool {
        budget.step(1);
        self.evidence[one].object != self.evidence[other].object
            && !refined.relate([one, other].map(|at| self.records[at].id), budget)
    }
}

/// Which statements others make more precise or replace, by steps; each is looked at once.
struct Refined<'a> {
    reader: Reader<'a>,
    known: BTreeMap<TermId, BTreeSet<TermId>>,
}

impl<'a> Refined<'a> {
    fn of(reader: Reader<'a>) -> Self {
        Self {
            reader,
            known: BTreeMap::new(),
        }
    }

    /// Tells whether one of two statements makes the other more precise or replaces it.
    fn relate(&mut self, [one, other]: [TermId; 2], budget: &mut Budget) -> bool {
        self.by(one, budget).contains(&other) || self.by(other, budget).contains(&one)
    }

    fn by(&mut self, statement: TermId, budget: &mut Budget) -> &BTreeSet<TermId> {
        let reader = self.reader;
        self.known.entry(statement).or_insert_with(|| {
            let (mut found, mut open) = (BTreeSet::new(), vec![statement]);
            while let Some(next) = open.pop() {
                for property in [reader.words.refines, reader.words.revision_of] {
                    for quad in reader
                        .snapshot
                        .quads(reader.in_statements(Some(next), Some(property), None))
                    {
                        budget.step(1);
                        if found.len() < REFINED_COUNT_MAX && found.insert(quad.object) {
                            open.push(quad.object);
                        }
                    }
                }
            }
            found
        })
    }
}

/// Returns what stands at one end of quads, but a statement itself.
fn others(quads: Quads<'_>, but: TermId, end: fn(QuadIds) -> TermId) -> impl Iterator<Item = TermId> {
    quads.map(end).filter(move |id| *id != but)
}
