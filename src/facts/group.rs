//! What holds in a time view: the statements of one subject and predicate decide together.

use std::{cell::OnceCell, collections::HashMap};

use super::{
    Budget, Reader,
    conflicts::Sign,
    default_graph,
    record::{Record, TimeView},
};
use crate::{
    graph::{Pattern, QuadIds, TermId},
    model::truthy::{self, Evidence},
};

/// Records that are remembered within one page.
const REMEMBERED_COUNT_MAX: usize = 200_000;

/// The known statements of one subject and predicate.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) records: Vec<Record>,
    pub(super) evidence: Vec<Evidence<TermId>>,
    /// Those that hold, sorted.
    holding: Vec<TermId>,
    /// The objects that hold by them, sorted.
    objects: Vec<TermId>,
    /// Those objects that hold without the statements that have the withdrawn source alone, sorted.
    remaining: Vec<TermId>,
    /// The first sign of a conflict among them, once it was looked for.
    pub(super) first_sign: OnceCell<Option<(Sign, TermId)>>,
}

impl Group {
    fn new(records: Vec<Record>, view: &TimeView) -> Self {
        let (records, evidence): (Vec<_>, Vec<_>) = records
            .into_iter()
            .filter_map(|record| Some((record, record.evidence(view)?)))
            .unzip();
        let remaining: Vec<_> = records
            .iter()
            .zip(&evidence)
            .filter(|(record, _)| !record.has_source || record.has_other_source)
            .map(|(_, evidence)| *evidence)
            .collect();
        let mut holding: Vec<_> = truthy::supporting(&evidence, view.day)
            .map(|at| records[at].id)
            .collect();
        holding.sort_unstable();
        Self {
            holding,
            objects: truthy::objects(&evidence, view.day),
            remaining: truthy::objects(&remaining, view.day),
            first_sign: OnceCell::new(),
            records,
            evidence,
        }
    }

    /// Tells whether a statement holds.
    pub(super) fn holds(&self, statement: TermId) -> bool {
        self.holding.binary_search(&statement).is_ok()
    }

    /// Tells whether an object holds by a statement.
    pub(super) fn has(&self, object: TermId) -> bool {
        self.objects.binary_search(&object).is_ok()
    }

    /// Tells whether an object holds by a statement, and no longer does once the source is withdrawn.
    pub(super) fn falls(&self, object: TermId) -> bool {
        self.has(object) && self.remaining.binary_search(&object).is_err()
    }

    pub(super) fn objects(&self) -> &[TermId] {
        &self.objects
    }
}

/// Reads groups, each once.
pub(super) struct Groups<'a> {
    reader: Reader<'a>,
    pub(super) view: TimeView,
    /// The source that may be withdrawn.
    pub(super) source: Option<TermId>,
    known: HashMap<[TermId; 2], Group>,
    record_count: usize,
}

impl<'a> Groups<'a> {
    pub(super) fn new(reader: Reader<'a>, view: TimeView, source: Option<TermId>) -> Self {
        Self {
            reader,
            view,
            source,
            known: HashMap::new(),
            record_count: 0,
        }
    }

    pub(super) fn of(&mut self, subject: TermId, predicate: TermId, budget: &mut Budget) -> &Group {
        let key = [subject, predicate];
        if !self.known.contains_key(&key) && self.record_count > REMEMBERED_COUNT_MAX {
            self.known.clear();
            self.record_count = 0;
        }
        let (reader, view, source, record_count) =
            (self.reader, self.view, self.source, &mut self.record_count);
        self.known.entry(key).or_insert_with(|| {
            let records = reader.records(subject, predicate, source, budget);
            // One without records takes room too.
            *record_count += records.len().max(1);
            let known = records.into_iter().filter(|record| record.is_known(&view));
            Group::new(known.collect(), &view)
        })
    }

    /// Tells whether a statement holds in the view.
    pub(super) fn holds(&mut self, record: &Record, budget: &mut Budget) -> bool {
        let [subject, predicate, _] = record.triple;
        self.of(subject, predicate, budget).holds(record.id)
    }
}

impl Reader<'_> {
    /// Tells whether a triple is in the default graph by itself, not because it is derived.
    pub(super) fn is_plain(&self, quad: QuadIds) -> bool {
        self.snapshot.contains(quad) && !self.is_derived(quad)
    }

    pub(super) fn is_derived(&self, quad: QuadIds) -> bool {
        self.snapshot.contains(QuadIds {
            graph: self.words.derived,
            ..quad
        })
    }

    /// Matches what says that statements have a subject, or what says that they have a predicate, whichever is less; with the other part
    /// that those of both have, as property and value.
    pub(super) fn fewest_of(&self, [subject, predicate]: [TermId; 2]) -> (Pattern, (TermId, TermId)) {
        let words = &self.words;
        let by_subject = self.in_statements(None, Some(words.subject), Some(subject));
        let by_predicate = self.in_statements(None, Some(words.predicate), Some(predicate));
        if self.snapshot.count(by_subject) <= self.snapshot.count(by_predicate) {
            (by_subject, (words.predicate, predicate))
        } else {
            (by_predicate, (words.subject, subject))
        }
    }

    /// Returns all statements of a subject and a predicate, by their identifiers.
    pub(super) fn records(
        &self,
        subject: TermId,
        predicate: TermId,
        source: Option<TermId>,
        budget: &mut Budget,
    ) -> Vec<Record> {
        let (pattern, other) = self.fewest_of([subject, predicate]);
        let mut records = Vec::new();
        for quad in self.snapshot.quads(pattern) {
            if budget.is_overdue() {
                break;
            }
            budget.step(1);
            let is_of_group = self.snapshot.contains(QuadIds {
                subject: quad.subject,
                predicate: other.0,
                object: other.1,
                graph: self.words.statements,
            });
            if !is_of_group {
                continue;
            }
            let record = self.record(quad.subject, source, budget);
            records.extend(record.filter(|record| record.triple[..2] == [subject, predicate]));
        }
        records
    }

    /// Returns the objects of a subject and predicate that hold in a view, plainly or by statements.
    pub(super) fn objects_at(
        &self,
        groups: &mut Groups<'_>,
        [subject, predicate]: [TermId; 2],
        budget: &mut Budget,
    ) -> Vec<TermId> {
        let pattern = default_graph(Some(subject), Some(predicate), None);
        let plain = self
            .snapshot
            .quads(pattern)
            .filter(|quad| !self.is_derived(*quad));
        let mut objects: Vec<_> = plain.map(|quad| quad.object).collect();
        objects.extend(groups.of(subject, predicate, budget).objects());
        objects.sort_unstable();
        objects.dedup();
        objects
    }
}
