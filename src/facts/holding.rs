//! By which statements triples hold.
//!
//! A statement holds on a day if it is itself a reason why its triple does: the truthy rule ([`truthy`]) derives the triple by it.
//! Its own time decides, not that of another statement of the triple; nor does it hold because the triple is plain. A plain triple
//! of which no statement holds is a fact of its own.

use super::{
    Budget, Reader,
    record::{Record, TimeView},
    support::{Next, Support, next_about, next_listed},
};
use crate::{
    graph::{Pattern, QuadIds, TermId},
    model::{
        fact::Standing,
        truthy::{self, Evidence},
    },
};

/// Finds the statements by which triples hold; fastest if consecutive triples have the same subject.
#[derive(Debug)]
pub(super) struct Holding {
    view: TimeView,
    subject: Option<TermId>,
    /// Predicate, object and statement of each one about the subject that holds, sorted. `None`: there are too many to list.
    listed: Option<Vec<[TermId; 3]>>,
    /// Whether a preferred statement counts, of the last subject and predicate with too many.
    preferred: Option<([TermId; 2], bool)>,
    /// All statements, whether they hold or not, where the default graph has what holds.
    all: Option<Support>,
}

impl Holding {
    pub(super) fn at(view: TimeView) -> Self {
        Self {
            view,
            subject: None,
            listed: None,
            preferred: None,
            all: None,
        }
    }

    /// Finds those of triples of the default graph in the view that it is for.
    pub(super) fn present(view: TimeView) -> Self {
        Self {
            all: Some(Support::default()),
            ..Self::at(view)
        }
    }

    /// Returns the first statement by which a triple holds with an identifier above `after`.
    pub(super) fn next(
        &mut self,
        reader: &Reader<'_>,
        quad: QuadIds,
        mut after: TermId,
        budget: &mut Budget,
    ) -> Next {
        // Most triples have no statement, or are derived and have one: then it need not be read to know that they hold by it.
        match self.all.as_mut().and_then(|all| all.about(reader, quad, budget)) {
            Some(([], _)) => return Next::End,
            Some(([[.., id]], true)) => {
                return if after < *id {
                    Next::Statement(*id)
                } else {
                    Next::End
                };
            }
            _ => {}
        }
        if let Some(listed) = self.listed(reader, quad.subject, budget) {
            return next_listed(listed, quad, after);
        }
        loop {
            match next_about(reader, quad, after, budget, Budget::is_spent) {
                Next::Statement(id) if !self.is_reason(reader, id, budget) => after = id,
                found => return found,
            }
        }
    }

    /// Returns what a statement about the last subject says, if that was read.
    pub(super) fn quads(&self, statement: TermId) -> Option<&[QuadIds]> {
        self.all.as_ref()?.quads(statement)
    }

    /// Tells whether a triple holds by a statement.
    pub(super) fn has(&mut self, reader: &Reader<'_>, quad: QuadIds, budget: &mut Budget) -> bool {
        if self.listed(reader, quad.subject, budget).is_some() {
            return self.next(reader, quad, TermId::DEFAULT_GRAPH, budget) != Next::End;
        }
        let mut after = TermId::DEFAULT_GRAPH;
        while let Next::Statement(id) = next_about(reader, quad, after, budget, Budget::is_overdue) {
            if self.is_reason(reader, id, budget) {
                return true;
            }
            after = id;
        }
        false
    }

    /// Tells whether a statement of a triple holds.
    pub(super) fn is_by(
        &mut self,
        reader: &Reader<'_>,
        statement: TermId,
        [subject, predicate, object]: [TermId; 3],
        budget: &mut Budget,
    ) -> bool {
        match self.listed(reader, subject, budget) {
            Some(listed) => listed.binary_search(&[predicate, object, statement]).is_ok(),
            None => self.is_reason(reader, statement, budget),
        }
    }

    fn listed(
        &mut self,
        reader: &Reader<'_>,
        subject: TermId,
        budget: &mut Budget,
    ) -> Option<&Vec<[TermId; 3]>> {
        if self.subject != Some(subject) {
            self.subject = Some(subject);
            self.listed = list(reader, subject, &self.view, budget);
        }
        self.listed.as_ref()
    }

    fn is_reason(&mut self, reader: &Reader<'_>, statement: TermId, budget: &mut Budget) -> bool {
        let Some(record) = reader.record(statement, None, budget) else {
            return false;
        };
        let day = self.view.day;
        match record.evidence(&self.view).filter(|one| one.counts(day)) {
            Some(one) => one.standing == Standing::Preferred || !self.has_preferred(reader, &record, budget),
            None => false,
        }
    }

    /// Tells whether a preferred statement of the same subject and predicate counts.
    fn has_preferred(&mut self, reader: &Reader<'_>, record: &Record, budget: &mut Budget) -> bool {
        let pair = [record.triple[0], record.triple[1]];
        match self.preferred {
            Some((last, has_preferred)) if last == pair => has_preferred,
            _ => {
                let has_preferred = reader.has_preferred(pair, &self.view, budget);
                self.preferred = Some((pair, has_preferred));
                has_preferred
            }
        }
    }
}

/// Returns what holds of a subject, by predicate, object and statement; `None` if that is too many or too long.
fn list(
    reader: &Reader<'_>,
    subject: TermId,
    view: &TimeView,
    budget: &mut Budget,
) -> Option<Vec<[TermId; 3]>> {
    let mut stated: Vec<(TermId, TermId, Evidence<TermId>)> = Vec::new();
    for quad in reader.few_about(subject)? {
        if budget.is_overdue() {
            return None;
        }
        let Some(record) = reader.record(quad.subject, None, budget) else {
            continue;
        };
        let evidence = record.evidence(view).filter(|one| one.counts(view.day));
        if let Some(evidence) = evidence.filter(|_| record.triple[0] == subject) {
            stated.push((record.triple[1], record.id, evidence));
        }
    }
    stated.sort_unstable_by_key(|(predicate, id, _)| (*predicate, *id));
    let mut listed = Vec::with_capacity(stated.len());
    for group in stated.chunk_by(|one, other| one.0 == other.0) {
        let evidence: Vec<_> = group.iter().map(|(_, _, evidence)| *evidence).collect();
        let reasons = truthy::supporting(&evidence, view.day);
        listed.extend(reasons.map(|at| [group[at].0, evidence[at].object, group[at].1]));
    }
    listed.sort_unstable();
    Some(listed)
}

impl Reader<'_> {
    /// Tells whether a preferred statement of a subject and a predicate counts in a view, and so hides those that are accepted.
    pub(super) fn has_preferred(
        &self,
        [subject, predicate]: [TermId; 2],
        view: &TimeView,
        budget: &mut Budget,
    ) -> bool {
        let words = &self.words;
        let parts = [
            (words.subject, subject),
            (words.predicate, predicate),
            (words.standing, words.preferred),
        ];
        let patterns = parts.map(|(property, value)| self.in_statements(None, Some(property), Some(value)));
        let fewest = |pattern: &Pattern| self.snapshot.count(*pattern);
        let Some(fewest) = patterns.into_iter().min_by_key(fewest) else {
            return false;
        };
        for quad in self.snapshot.quads(fewest) {
            if budget.is_overdue() {
                break;
            }
            budget.step(1);
            let says = |(property, value): (TermId, TermId)| {
                self.snapshot.contains(QuadIds {
                    predicate: property,
                    object: value,
                    ..quad
                })
            };
            if parts.into_iter().all(says)
                && self.record(quad.subject, None, budget).is_some_and(|record| {
                    record.triple[..2] == [subject, predicate]
                        && record
                            .evidence(view)
                            .is_some_and(|one| one.standing == Standing::Preferred && one.counts(view.day))
                })
            {
                return true;
            }
        }
        false
    }
}
