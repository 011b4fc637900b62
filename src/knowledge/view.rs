//! What a read sees.

use std::sync::{Arc, PoisonError};

use crate::{
    facts,
    graph::Snapshot,
    model::{access::GraphSet, day::Day},
    sync::Mutex,
};

/// Sets of graphs for which a view is kept at hand.
const SEEN_COUNT_MAX: usize = 64;

/// What a read sees: those graphs of one revision that its caller may read, as if there were no others.
///
/// There is no way to one but through a caller's [`Access`](crate::model::access::Access).
#[derive(Clone, Debug)]
pub struct View {
    /// The revision.
    pub revision: u64,
    /// The graph as it is at that revision.
    pub snapshot: Snapshot,
    /// The day that its default graph was derived for; without statements there is none.
    pub(super) reference_day: Option<Day>,
}

impl View {
    /// Returns the view of all graphs.
    pub(super) fn new(revision: u64, snapshot: Snapshot) -> Self {
        Self {
            reference_day: facts::reference_day(&snapshot),
            revision,
            snapshot,
        }
    }

    /// Returns what somebody sees of it who may read these graphs.
    pub(super) fn seen_by(&self, graphs: &GraphSet) -> Self {
        if graphs.is_everything() {
            return self.clone();
        }
        Self::new(self.revision, self.snapshot.seen_by(graphs))
    }
}

/// A view that was published, and what some callers see of it.
#[derive(Debug)]
pub(super) struct Published {
    whole: View,
    seen: Mutex<Vec<(Arc<GraphSet>, View)>>,
}

impl Published {
    pub(super) fn new(whole: View) -> Self {
        Self {
            whole,
            seen: Mutex::default(),
        }
    }

    pub(super) fn revision(&self) -> u64 {
        self.whole.revision
    }

    /// Returns the view of all graphs.
    pub(super) fn whole(&self) -> View {
        self.whole.clone()
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        self.whole.snapshot.memory_bytes()
    }

    /// Returns what somebody sees who may read these graphs.
    pub(super) fn seen_by(&self, graphs: &Arc<GraphSet>) -> View {
        if graphs.is_everything() {
            return self.whole.clone();
        }
        let known = || {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let mut same = seen.iter().filter(|(of, _)| Arc::ptr_eq(of, graphs));
            same.next().map(|(_, view)| view.clone())
        };
        if let Some(view) = known() {
            return view;
        }
        // Not under the lock: where graphs are known by how their names begin, all of them are looked at.
        let view = self.whole.seen_by(graphs);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < SEEN_COUNT_MAX {
            seen.push((Arc::clone(graphs), view.clone()));
        }
        view
    }
}
