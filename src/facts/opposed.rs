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

/// Statements that contradict one and are told.
const OPPOSING_COUNT_MAX: usize = 100;

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
        let disputing = disputing.map(|(record, _)| record);
        let mut opposing: Vec<_> = disputing.take(OPPOSING_COUNT_MAX).collect();
        if let Some(record) = self.record(statement, None, budget) {
            let [subject, predicate, _] = record.triple;
            let group = groups.of(subject, predicate, budget);
            let certain = self.certain_values(predicate, group, view.day);
            let mut refined = Refined::of(*self);
            if let Some(at) = certain.iter().find(|at| group.records[**at].id == statement) {
                for &other in others_than(&certain, group, *at) {
                    if opposing.len() >= OPPOSING_COUNT_MAX || budget.is_overdue() {
                        break;
                    }
                    if !refined.relate([&group.records[*at], &group.records[other]], budget) {
                        opposing.push(group.records[other]);
                    }
                }
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
            if budget.is_overdue() {
                break;
            }
            if object.is_none_or(|object| evidence[at].object == object) && !evidence[at].opposed {
                let mut others = others_than(&certain, group, at).map(|other| &group.records[*other]);
                evidence[at].opposed =
                    others.any(|other| !refined.relate([&group.records[at], other], budget));
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

    /// Returns the places of the statements that certainly hold on a day, by their objects, if their property can have one value only.
    fn certain_values(&self, predicate: TermId, group: &Group, day: Day) -> Vec<usize> {
        if group.records.len() < 2 || !self.is_functional(predicate) {
            return Vec::new();
        }
        let holding = truthy::supporting(&group.evidence, day);
        let mut certain: Vec<_> = holding
            .filter(|at| is_certain(&group.evidence[*at], day))
            .collect();
        certain.sort_by_key(|at| group.evidence[*at].object);
        certain
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
        let refine =
            |one: usize, other: usize| refined.relate([&group.records[one], &group.records[other]], budget);
        let pair = match on {
            Some(day) => truthy::differing_on(&group.evidence, day, refine),
            None => truthy::differing(&group.evidence, refine),
        };
        pair.map(|[one, other]| group.records[one].id.min(group.records[other].id))
    }
}

/// Returns those of the places, in the order of their objects, that have another object than one.
fn others_than<'a>(certain: &'a [usize], group: &Group, at: usize) -> impl Iterator<Item = &'a usize> {
    let object = |at: usize| group.evidence[at].object;
    let own = object(at);
    let from = certain.partition_point(|other| object(*other) < own);
    let to = certain.partition_point(|other| object(*other) <= own);
    certain[..from].iter().chain(&certain[to..])
}

/// What statements make more precise or replace; each is looked at once.
struct Refined<'a> {
    reader: Reader<'a>,
    known: BTreeMap<TermId, Earlier>,
}

/// What one statement makes more precise or replaces, by steps.
#[derive(Default)]
struct Earlier {
    statements: BTreeSet<TermId>,
    /// Those of them that it replaces, by steps.
    versions: BTreeSet<TermId>,
    /// The objects that are made more precise.
    objects: BTreeSet<TermId>,
}

impl<'a> Refined<'a> {
    fn of(reader: Reader<'a>) -> Self {
        Self {
            reader,
            known: BTreeMap::new(),
        }
    }

    /// Tells whether two statements need not contradict each other: one makes the other more precise or replaces it, be it that itself, an
    /// earlier version of it, or what else says the same; or their objects are one value in other words.
    fn relate(&mut self, [one, other]: [&Record; 2], budget: &mut Budget) -> bool {
        budget.step(1);
        self.look_at(one.id, budget);
        self.look_at(other.id, budget);
        let (Some(of_one), Some(of_other)) = (self.known.get(&one.id), self.known.get(&other.id)) else {
            return false;
        };
        let reaches = |earlier: &Earlier, later: &Record, of_later: &Earlier| {
            earlier.statements.contains(&later.id)
                || earlier.objects.contains(&later.triple[2])
                || !earlier.statements.is_disjoint(&of_later.versions)
        };
        let value = |record: &Record| self.reader.value(record.triple[2]);
        reaches(of_one, other, of_other)
            || reaches(of_other, one, of_one)
            || value(one).is_some_and(|value_of_one| value(other) == Some(value_of_one))
    }

    fn look_at(&mut self, statement: TermId, budget: &mut Budget) {
        let reader = self.reader;
        self.known
            .entry(statement)
            .or_insert_with(|| Earlier::of(reader, statement, budget));
    }
}

impl Earlier {
    fn of(reader: Reader<'_>, statement: TermId, budget: &mut Budget) -> Self {
        let mut earlier = Self::default();
        // A version of a version is one, too.
        let mut open = vec![(statement, true)];
        while let Some((next, is_version)) = open.pop() {
            for property in [reader.words.refines, reader.words.revision_of] {
                for quad in reader
                    .snapshot
                    .quads(reader.in_statements(Some(next), Some(property), None))
                {
                    budget.step(1);
                    open.extend(earlier.add(reader, quad, is_version));
                }
            }
        }
        earlier
    }

    /// Adds what a statement makes more precise or replaces, if it is new; then it is to be looked at, and so is whether it is a version.
    fn add(&mut self, reader: Reader<'_>, quad: QuadIds, is_of_version: bool) -> Option<(TermId, bool)> {
        let statement = quad.object;
        if self.statements.len() >= REFINED_COUNT_MAX || !self.statements.insert(statement) {
            return None;
        }
        let is_version = is_of_version && quad.predicate == reader.words.revision_of;
        if is_version {
            self.versions.insert(statement);
        } else if quad.predicate == reader.words.refines
            && let Some(triple) = reader.triple_of(statement, None)
        {
            self.objects.insert(triple[2]);
        }
        Some((statement, is_version))
    }
}

/// Returns what stands at one end of quads, but a statement itself.
fn others(quads: Quads<'_>, but: TermId, end: fn(QuadIds) -> TermId) -> impl Iterator<Item = TermId> {
    quads.map(end).filter(move |id| *id != but)
}
