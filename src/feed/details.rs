//! What the graph says of a commit: the facts that it changed, and where the subjects of its quads come from.

use std::{collections::VecDeque, sync::Arc};

use oxigraph::model::NamedOrBlankNode;
use rustc_hash::FxHashMap;

use super::{FeedError, Filter, past::Past, record::Record};
use crate::{
    facts::{FactChange, Origin},
    log::Change,
    model::fact::{Fact, Statement},
};

/// Bytes of the details that are kept, about, and of how many commits.
const KEPT_BYTES_MAX: usize = 32 << 20;
const KEPT_COUNT_MAX: usize = 2_048;

/// What the graph says of one commit.
#[derive(Debug)]
pub(super) struct Details {
    /// `None`: they take more than they may.
    pub(super) facts: Option<Vec<FactChange>>,
    origins: FxHashMap<NamedOrBlankNode, Origin>,
    bytes: usize,
}

impl Details {
    /// Reads the details of some commits, of which the first comes after a graph; they must be whole. Blocks; `is_over` says
    /// whether to give up.
    pub(super) fn of_run(
        past: &mut Past,
        run: &[Arc<Record>],
        is_over: &dyn Fn() -> bool,
    ) -> Result<Vec<Arc<Self>>, FeedError> {
        run.iter().map(|record| Self::of(past, record, is_over)).collect()
    }

    fn of(past: &mut Past, record: &Record, is_over: &dyn Fn() -> bool) -> Result<Arc<Self>, FeedError> {
        let changes = record.changes.iter().flatten();
        let made = past.advance(changes.clone().cloned().map(Ok), is_over)?;
        let mut origins = FxHashMap::default();
        for change in changes {
            let (Change::Insert(quad) | Change::Remove(quad)) = change else {
                continue;
            };
            if !origins.contains_key(&quad.subject)
                && let Some(id) = made.transition.after().id(quad.subject.as_ref().into())
            {
                origins.insert(quad.subject.clone(), made.transition.origin(id));
            }
        }
        let origin_bytes = |origin: &Origin| {
            let texts = origin.sources.iter().chain(&origin.types);
            100 + texts.map(|text| 24 + text.len()).sum::<usize>()
        };
        let bytes_of_origins = origins.values().map(origin_bytes).sum::<usize>();
        let (mut facts, mut bytes) = (Some(Vec::new()), bytes_of_origins);
        // Where the recorded day is far from the one before, a small commit has to do with very many.
        let mut go_on = |gathered_bytes| {
            if is_over() {
                return Err(FeedError::Over);
            }
            past.check_bytes(gathered_bytes)
        };
        let found = match made.transition.into_facts(&made.changes, &mut go_on) {
            Ok(found) => Some(found),
            Err(FeedError::TooFarBack { .. }) => {
                facts = None;
                None
            }
            Err(error) => return Err(error),
        };
        for change in found.into_iter().flatten() {
            if is_over() {
                return Err(FeedError::Over);
            }
            let Some(change) = change else { continue };
            bytes += 500 + fact_bytes(&change.fact) + origin_bytes(&change.origin);
            if past.check_bytes(bytes as u64).is_err() {
                // Who watches quads needs none of them.
                (facts, bytes) = (None, bytes_of_origins);
                break;
            }
            facts.get_or_insert_default().push(change);
        }
        Ok(Arc::new(Self {
            facts,
            origins,
            bytes,
        }))
    }

    /// Tells whether a quad, or a graph, passes a filter.
    pub(super) fn pass(&self, filter: &Filter, change: &Change) -> bool {
        let has_origin = |subject| {
            self.origins
                .get(subject)
                .is_some_and(|origin| filter.passes_origin(origin))
        };
        filter.passes(change)
            && match change {
                Change::Insert(quad) | Change::Remove(quad) => {
                    !filter.has_origins() || has_origin(&quad.subject)
                }
                Change::DropGraph(_) | Change::CreateGraph(_) => true,
            }
    }
}

/// The details of the newest commits that somebody asked for, read once for all watchers.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// How often something had been erased from the log when they were read.
    erasure_count: u64,
    newest: VecDeque<(u64, Arc<Details>)>,
    bytes: usize,
}

impl Kept {
    /// Forgets all if something was erased since they were read; they may have it still.
    pub(super) fn forget_erased(&mut self, erasure_count: u64) {
        if self.erasure_count != erasure_count {
            *self = Self {
                erasure_count,
                ..Self::default()
            };
        }
    }

    /// Returns how often something had been erased when they were read.
    pub(super) fn erasure_count(&self) -> u64 {
        self.erasure_count
    }

    pub(super) fn get(&self, revision: u64) -> Option<Arc<Details>> {
        let at = self
            .newest
            .binary_search_by_key(&revision, |(revision, _)| *revision);
        at.ok().map(|at| Arc::clone(&self.newest[at].1))
    }

    /// Puts in the details of consecutive commits, the first of which is `from`; keeps the newest.
    pub(super) fn put(&mut self, from: u64, run: &[Arc<Details>]) {
        for (revision, details) in (from..).zip(run) {
            if self.newest.back().is_some_and(|(last, _)| *last >= revision) {
                continue;
            }
            self.bytes += details.bytes;
            self.newest.push_back((revision, Arc::clone(details)));
        }
        while (self.bytes > KEPT_BYTES_MAX || self.newest.len() > KEPT_COUNT_MAX)
            && let Some((_, details)) = self.newest.pop_front()
        {
            self.bytes -= details.bytes;
        }
    }
}

/// Returns about the bytes of a fact's text.
pub(super) fn fact_bytes(fact: &Fact) -> usize {
    let statement = fact.statement.as_deref();
    64 + fact.subject.to_string().len()
        + fact.predicate.as_str().len()
        + fact.object.to_string().len()
        + statement.map_or(0, statement_bytes)
}

fn statement_bytes(statement: &Statement) -> usize {
    let qualifiers = &statement.qualifiers;
    let sources = statement.sources.iter().map(|source| {
        source.iri.len()
            + source.title.len()
            + source.publisher.len()
            + source.locator.len()
            + source.attribution.len()
            + source.license.len()
    });
    let texts = statement
        .attributed_to
        .iter()
        .chain(&statement.revises)
        .chain(&statement.disputes);
    statement.id.len()
        + 100
        + qualifiers
            .iter()
            .map(|(property, value)| property.len() + value.to_string().len())
            .sum::<usize>()
        + sources.sum::<usize>()
        + texts.map(String::len).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_once_and_within_bounds() {
        let details = |bytes| {
            Arc::new(Details {
                facts: None,
                origins: FxHashMap::default(),
                bytes,
            })
        };
        let mut kept = Kept::default();
        kept.put(5, &[details(1), details(1)]);
        kept.put(6, &[details(7), details(1)]);
        assert_eq!(kept.bytes, 3);
        assert!(kept.get(4).is_none() && kept.get(5).is_some() && kept.get(7).is_some());
        assert!(kept.get(8).is_none());
        for revision in 8..8 + KEPT_COUNT_MAX as u64 {
            kept.put(revision, &[details(1)]);
        }
        assert!(kept.get(7).is_none() && kept.get(8).is_some());
        kept.put(1_000_000, &[details(KEPT_BYTES_MAX)]);
        assert_eq!((kept.newest.len(), kept.bytes), (1, KEPT_BYTES_MAX));
    }
}
