//! Facts that are read in fragments: of a commit, or of the graph that a watch begins with.

use std::sync::Arc;

use super::{FRAGMENT_BYTES_MAX, FRAGMENT_CHANGE_COUNT_MAX, Filter, details::fact_bytes};
use crate::{
    facts::{AllFacts, FactChange, FactChanges},
    graph::{Snapshot, TermId},
    knowledge::Mark,
    log::Header,
};

/// Places that one step looks at.
const STEP_COUNT_MAX: usize = 5_000;

/// Where facts come from.
enum Place {
    All(Box<AllFacts>),
    Commit(Box<FactChanges>),
}

/// Facts on their way.
pub(super) struct FactScan {
    /// The commit, or that of the graph.
    pub(super) mark: Mark,
    /// The header of the commit, until its first fragment takes it.
    pub(super) header: Option<Box<Header>>,
    pub(super) is_snapshot: bool,
    place: Place,
    filter: Arc<Filter>,
    buffer: Vec<FactChange>,
    bytes: usize,
}

/// What a step came to.
pub(super) enum FactStep {
    /// Facts, and whether they are the last ones; of nothing there is one that is empty.
    Found { facts: Vec<FactChange>, is_last: bool },
    /// Nothing so far.
    Nothing,
}

impl FactScan {
    /// Reads all facts of a graph.
    pub(super) fn of_graph(mark: Mark, snapshot: Snapshot, filter: Arc<Filter>) -> Self {
        let ids = |names: &rustc_hash::FxHashSet<oxigraph::model::NamedNode>| -> Option<Vec<TermId>> {
            let ids = names.iter().filter_map(|name| snapshot.iri_id(name.as_str()));
            (!names.is_empty()).then(|| ids.collect())
        };
        let (subjects, predicates) = (ids(&filter.subjects), ids(&filter.predicates));
        let all = AllFacts::new(snapshot, subjects.as_deref(), predicates.as_deref());
        Self {
            mark,
            header: None,
            is_snapshot: true,
            place: Place::All(Box::new(all)),
            filter,
            buffer: Vec::new(),
            bytes: 0,
        }
    }

    /// Reads the facts that a commit changed.
    pub(super) fn of_commit(header: Header, facts: FactChanges, filter: Arc<Filter>) -> Self {
        Self {
            mark: Mark::of(&header),
            header: Some(Box::new(header)),
            is_snapshot: false,
            place: Place::Commit(Box::new(facts)),
            filter,
            buffer: Vec::new(),
            bytes: 0,
        }
    }

    /// Reads on. Blocks. A fragment is given out when it is known whether another one follows.
    pub(super) fn step(&mut self) -> FactStep {
        for _ in 0..STEP_COUNT_MAX {
            let found = match &mut self.place {
                Place::All(facts) => facts.next(),
                Place::Commit(facts) => facts.next(),
            };
            let Some(found) = found else {
                return FactStep::Found {
                    facts: std::mem::take(&mut self.buffer),
                    is_last: true,
                };
            };
            let Some(change) = found.filter(|change| self.filter.passes_fact(change)) else {
                continue;
            };
            let is_full = self.buffer.len() >= FRAGMENT_CHANGE_COUNT_MAX || self.bytes >= FRAGMENT_BYTES_MAX;
            let full = is_full.then(|| {
                self.bytes = 0;
                std::mem::take(&mut self.buffer)
            });
            self.bytes += fact_bytes(&change.fact);
            self.buffer.push(change);
            if let Some(facts) = full {
                return FactStep::Found {
                    facts,
                    is_last: false,
                };
            }
        }
        FactStep::Nothing
    }
}

/// Cuts facts into fragments, each with whether it is the last; of nothing there is none.
pub(super) fn fact_fragments(facts: Vec<FactChange>) -> Vec<(Vec<FactChange>, bool)> {
    let mut fragments: Vec<(Vec<FactChange>, bool)> = Vec::new();
    let mut bytes = 0;
    for change in facts {
        bytes += fact_bytes(&change.fact);
        match fragments.last_mut() {
            Some((last, _)) if last.len() < FRAGMENT_CHANGE_COUNT_MAX && bytes <= FRAGMENT_BYTES_MAX => {
                last.push(change);
            }
            _ => {
                bytes = fact_bytes(&change.fact);
                fragments.push((vec![change], false));
            }
        }
    }
    if let Some((_, is_last)) = fragments.last_mut() {
        *is_last = true;
    }
    fragments
}
