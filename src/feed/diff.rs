//! What differs between two revisions.

use std::collections::{HashMap, hash_map::Entry};

use oxigraph::model::{NamedOrBlankNode, Quad};

use super::{
    CHANGES_PER_LOOK,
    filter::Sight,
    text::{node_bytes, quad_bytes},
};
use crate::log::{Change, LogError, LogReader};

/// What a quad takes in the map beside its text, about.
const QUAD_BYTES: u64 = 320;

/// The effective difference of two revisions, in no particular order.
#[derive(Debug, Default)]
pub struct Diff {
    changes: HashMap<Quad, bool>,
    graphs: HashMap<NamedOrBlankNode, bool>,
    bytes: u64,
    /// How often something had been erased from the log that it was read from.
    erasure_count: u64,
}

/// Why a difference was not computed.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// It takes more memory than it may.
    #[error("the difference takes more than {bytes_max} bytes of memory")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// Something was erased from the log in between: what was read before and after is of no one state.
    #[error("something was erased from the revisions that are compared")]
    Erased,
    /// Its caller has given up.
    #[error("the difference was given up")]
    Over,
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Diff {
    /// Folds the records between two revisions. If `from` is the newer one, it is what it takes to go back.
    pub(super) fn between(
        log: &LogReader,
        from: u64,
        to: u64,
        sight: &Sight,
        bytes_max: u64,
        is_over: impl Fn() -> bool,
    ) -> Result<Self, DiffError> {
        let is_back = from > to;
        let (older, newer) = if is_back { (to, from) } else { (from, to) };
        let earliest = log.earliest()?;
        if older < earliest {
            let revision = older;
            return Err(LogError::Compacted { revision, earliest }.into());
        }
        let mut diff = Self {
            erasure_count: log.erasure_count(),
            ..Self::default()
        };
        let mut change_count: usize = 0;
        for revision in older + 1..=newer {
            for change in log.record(revision)?.1 {
                let change = change?;
                if sight.has(&change) {
                    diff.fold(change);
                }
                if diff.bytes > bytes_max {
                    return Err(DiffError::TooLarge { bytes_max });
                }
                change_count += 1;
                if change_count.is_multiple_of(CHANGES_PER_LOOK) && is_over() {
                    return Err(DiffError::Over);
                }
            }
            if is_over() {
                return Err(DiffError::Over);
            }
        }
        if log.erasure_count() != diff.erasure_count {
            return Err(DiffError::Erased);
        }
        if is_back {
            diff.changes
                .values_mut()
                .for_each(|inserted| *inserted = !*inserted);
            diff.graphs.values_mut().for_each(|created| *created = !*created);
        }
        Ok(diff)
    }

    /// Returns the log's count of erasures as it was: if it is another one, this must not be told any more.
    pub fn erasure_count(&self) -> u64 {
        self.erasure_count
    }

    /// Returns what to do to get from one revision to the other.
    pub fn into_changes(self) -> impl Iterator<Item = Change> {
        let graphs = self.graphs.into_iter().map(|(graph, created)| {
            if created {
                Change::CreateGraph(graph)
            } else {
                Change::DropGraph(graph)
            }
        });
        let quads = self.changes.into_iter().map(|(quad, inserted)| {
            if inserted {
                Change::Insert(quad)
            } else {
                Change::Remove(quad)
            }
        });
        graphs.chain(quads)
    }

    /// Every record is effective: what it says of a quad takes back what was last said of it, if anything was.
    fn fold(&mut self, change: Change) {
        match change {
            Change::Insert(quad) => self.fold_quad(quad, true),
            Change::Remove(quad) => self.fold_quad(quad, false),
            Change::CreateGraph(graph) => self.fold_graph(graph, true),
            Change::DropGraph(graph) => self.fold_graph(graph, false),
        }
    }

    fn fold_quad(&mut self, quad: Quad, inserted: bool) {
        let bytes = memory_bytes(&quad);
        match self.changes.entry(quad) {
            Entry::Vacant(entry) => {
                entry.insert(inserted);
                self.bytes += bytes;
            }
            Entry::Occupied(entry) => {
                entry.remove();
                self.bytes -= bytes;
            }
        }
    }

    fn fold_graph(&mut self, graph: NamedOrBlankNode, created: bool) {
        let bytes = QUAD_BYTES + node_bytes(graph.as_ref()) as u64;
        match self.graphs.entry(graph) {
            Entry::Vacant(entry) => {
                entry.insert(created);
                self.bytes += bytes;
            }
            Entry::Occupied(entry) => {
                entry.remove();
                self.bytes -= bytes;
            }
        }
    }
}

/// Returns what a quad takes in the map.
fn memory_bytes(quad: &Quad) -> u64 {
    let terms = if quad.object.is_triple() { 2 } else { 1 };
    terms * QUAD_BYTES + quad_bytes(quad) as u64
}
