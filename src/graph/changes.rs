//! What a draft changed.

use std::sync::Arc;

use super::{QuadIds, Snapshot, TermId, layer::Layer};

/// The effective difference between two snapshots: nothing in it was so before.
#[derive(Debug)]
pub struct Changes {
    layer: Arc<Layer>,
    snapshot: Snapshot,
}

impl Changes {
    pub(super) fn new(layer: Arc<Layer>, snapshot: Snapshot) -> Self {
        Self { layer, snapshot }
    }

    /// Tells whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.layer.is_void()
    }

    /// Returns the number of quads that are there now and were not before.
    pub fn inserted_count(&self) -> u64 {
        self.layer.inserted_count() as u64
    }

    /// Returns the number of quads that were there before and are not now.
    pub fn removed_count(&self) -> u64 {
        self.layer.removed_count() as u64
    }

    /// Returns a snapshot whose dictionary has every term of the difference.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Returns the bytes of the longest term that is new, as UTF-8.
    pub fn longest_term(&self) -> u64 {
        self.layer.terms.longest()
    }

    /// Iterates over inserted quads, the default graph's first.
    pub fn inserted(&self) -> impl Iterator<Item = QuadIds> + '_ {
        self.layer.inserted()
    }

    /// Iterates over removed quads, the default graph's first.
    pub fn removed(&self) -> impl Iterator<Item = QuadIds> + '_ {
        self.layer.removed()
    }

    /// Iterates over the inserted quads of one graph, sorted by subject, predicate and object.
    pub fn inserted_in(&self, graph: TermId) -> impl Iterator<Item = QuadIds> + '_ {
        self.layer.inserted_in(graph)
    }

    /// Iterates over the removed quads of one graph, sorted by subject, predicate and object.
    pub fn removed_in(&self, graph: TermId) -> impl Iterator<Item = QuadIds> + '_ {
        self.layer.removed_in(graph)
    }

    /// Iterates over named graphs that came to exist.
    pub fn created_graphs(&self) -> impl Iterator<Item = TermId> + '_ {
        self.layer.graphs.added.iter().map(|&[graph]| TermId(graph))
    }

    /// Iterates over named graphs that no longer exist.
    pub fn dropped_graphs(&self) -> impl Iterator<Item = TermId> + '_ {
        self.layer.graphs.removed.iter().map(|&[graph]| TermId(graph))
    }
}
