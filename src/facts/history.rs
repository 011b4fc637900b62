//! Every version of a fact that was recorded.

use std::collections::HashSet;

use oxigraph::model::Term;

use super::{
    Budget, Cursor, FactPage, Reader,
    check::triple,
    group::Groups,
    record::{Record, TimeView},
};
use crate::graph::TermId;

/// Which versions.
#[derive(Clone, Debug, PartialEq)]
pub enum Versions {
    /// Those that this statement replaces and that replace it.
    Of(String),
    /// All statements of a subject and a predicate, and of an object if there is one.
    About(String, String, Option<Term>),
}

impl Reader<'_> {
    /// Returns a page of versions in the order of recording; those without a time come first. `None` if `after` is no version or
    /// there is no such statement.
    pub fn history(
        &self,
        versions: &Versions,
        view: &TimeView,
        size: usize,
        after: Option<Cursor>,
        budget: &mut Budget,
    ) -> Option<FactPage> {
        let mut records = match versions {
            Versions::Of(id) => self.chain(id, budget)?,
            Versions::About(subject, predicate, object) => {
                self.about([subject, predicate], object.as_ref(), budget)
            }
        };
        records.retain(|record| record.is_recorded(view));
        records.sort_by_key(|record| (record.recorded_at, record.id));
        let start = match after {
            None => 0,
            Some(cursor) => {
                1 + records
                    .iter()
                    .position(|record| record.id.get() == cursor.statement)?
            }
        };
        let mut groups = Groups::new(*self, *view, None);
        let mut page = FactPage {
            facts: Vec::new(),
            end: after,
        };
        for record in &records[start..] {
            if page.facts.len() == size || (budget.is_spent() && !page.facts.is_empty()) {
                return Some(page);
            }
            let [subject, predicate, object] = record.triple;
            let is_known = record.is_known(view);
            let holds = groups.holds(record, budget);
            let quad = triple(subject, predicate, object);
            page.facts
                .extend(self.statement_fact(record.id, quad, is_known, holds, budget));
            page.end = Some(Cursor::within(quad, record.id, false));
        }
        page.end = None;
        Some(page)
    }

    /// Returns the versions that a statement is linked with, however they branch or come round.
    fn chain(&self, id: &str, budget: &mut Budget) -> Option<Vec<Record>> {
        let first = self.snapshot.iri_id(id)?;
        let mut records = vec![self.record(first, None, budget)?];
        let mut seen = HashSet::from([first]);
        let mut next = 0;
        while next < records.len() {
            let id = records[next].id;
            next += 1;
            let revision_of = Some(self.words.revision_of);
            let older = self
                .snapshot
                .quads(self.in_statements(Some(id), revision_of, None));
            let newer = self
                .snapshot
                .quads(self.in_statements(None, revision_of, Some(id)));
            let linked = older
                .map(|quad| quad.object)
                .chain(newer.map(|quad| quad.subject));
            for id in linked {
                if budget.is_overdue() {
                    return Some(records);
                }
                budget.step(1);
                if seen.insert(id) {
                    records.extend(self.record(id, None, budget));
                }
            }
        }
        Some(records)
    }

    fn about(
        &self,
        [subject, predicate]: [&String; 2],
        object: Option<&Term>,
        budget: &mut Budget,
    ) -> Vec<Record> {
        let ids = self.snapshot.iri_id(subject).zip(self.snapshot.iri_id(predicate));
        let Some((subject, predicate)) = ids else {
            return Vec::new();
        };
        let object = object.map(|term| self.snapshot.id(term.as_ref()).unwrap_or(TermId::MAX));
        let mut records = self.records(subject, predicate, None, budget);
        records.retain(|record| object.is_none_or(|object| record.triple[2] == object));
        records
    }
}
