//! The graphs that watchers keep where they had all there was: from there on nothing has to be taken back.
//!
//! Those who stood at the same revision share one. There is one limit of what all of them take beside the newest graph, whose layers
//! are merged while they keep the old ones; the oldest go first.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, Weak},
};

use crate::{
    graph::Snapshot,
    sync::{Mutex, MutexGuard},
};

/// By revision.
#[derive(Debug, Default)]
pub(super) struct Graphs(Mutex<BTreeMap<u64, Graph>>);

#[derive(Debug)]
struct Graph {
    snapshot: Snapshot,
    users: Weak<()>,
}

/// Has a graph kept until it is dropped, or until all take too much.
#[derive(Debug)]
pub(super) struct Keeping {
    /// The revision of the graph.
    pub(super) revision: u64,
    user: Arc<()>,
}

impl Graphs {
    /// Keeps the newest graph.
    pub(super) fn keep(&self, revision: u64, newest: &Snapshot) -> Keeping {
        let mut graphs = self.lock();
        let shared = graphs.get(&revision);
        // After an erasure it is another one, of the same revision.
        let shared = shared.filter(|graph| graph.snapshot.epoch() == newest.epoch());
        let user = shared.and_then(|graph| graph.users.upgrade()).unwrap_or_default();
        // The layers of the newest are the ones to share, also if they were merged since.
        let graph = Graph {
            snapshot: newest.clone(),
            users: Arc::downgrade(&user),
        };
        graphs.insert(revision, graph);
        Keeping { revision, user }
    }

    /// Returns a graph, if it is still there.
    pub(super) fn get(&self, keeping: &Keeping) -> Option<Snapshot> {
        let graphs = self.lock();
        let graph = graphs.get(&keeping.revision)?;
        let is_this = graph.users.as_ptr() == Arc::as_ptr(&keeping.user);
        is_this.then(|| graph.snapshot.clone())
    }

    /// Lets go of those that nobody needs, that are from before an erasure, and of the oldest as long as all take more beside the newest
    /// graph than they may.
    pub(super) fn limit(&self, newest: &Snapshot, bytes_max: u64) {
        let mut graphs = self.lock();
        graphs.retain(|_, graph| graph.users.strong_count() > 0 && graph.snapshot.epoch() == newest.epoch());
        let newest_first = graphs.values().rev().map(|graph| &graph.snapshot);
        let fitting_count = newest.fitting_count(newest_first, bytes_max);
        while graphs.len() > fitting_count {
            graphs.pop_first();
        }
    }

    /// Returns how many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Graph>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use oxigraph::model::{GraphName, NamedNode, Quad};

    use super::*;
    use crate::graph::{Batch, Draft};

    fn with_quad(snapshot: &Snapshot, number: u64) -> Snapshot {
        let node = NamedNode::new_unchecked(format!("http://example.com/{number}"));
        let mut batch = Batch::default();
        batch.insert(Quad::new(node.clone(), node.clone(), node, GraphName::DefaultGraph).as_ref());
        let mut draft = Draft::new(snapshot.clone());
        draft.apply(&batch);
        draft.finish().1
    }

    #[test]
    fn the_oldest_go_while_all_take_too_much_beside_the_newest() {
        let graphs = Graphs::default();
        let first = with_quad(&Snapshot::default(), 1);
        // Of the same epoch as the others, and without their layers.
        let newest = with_quad(&first, 2);
        let apart = |number| with_quad(&with_quad(&first, 100), number);
        let old = [apart(3), apart(4)];
        let [one, two] = [0, 1].map(|index| graphs.keep(index as u64, &old[index]));
        let again = graphs.keep(1, &old[1]);
        let all = newest.memory_bytes_of(&old);
        assert!(all > 0);
        let is_there = |keeping: &Keeping| graphs.get(keeping).is_some();
        graphs.limit(&newest, all);
        assert!(is_there(&one) && is_there(&two) && is_there(&again));
        graphs.limit(&newest, all - 1);
        assert!(!is_there(&one) && is_there(&two) && is_there(&again));
        drop(two);
        graphs.limit(&newest, all);
        assert!(is_there(&again));
        drop(again);
        graphs.limit(&newest, all);
        assert_eq!(graphs.count(), 0);
    }

    #[test]
    fn a_graph_from_before_an_erasure_is_not_shared_and_goes() {
        let graphs = Graphs::default();
        let before = with_quad(&Snapshot::default(), 1);
        let after = before.clone().apart();
        let older = graphs.keep(1, &before);
        let newer = graphs.keep(1, &after);
        assert!(graphs.get(&older).is_none());
        assert_eq!(graphs.get(&newer).map(|graph| graph.epoch()), Some(after.epoch()));
        graphs.limit(&before, u64::MAX);
        assert_eq!(graphs.count(), 0);
    }
}
