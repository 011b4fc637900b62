//! Unpublished changes on top of a snapshot.

use std::sync::Arc;

use super::{
    Batch, QuadIds, Snapshot, TermId,
    dictionary::Segment,
    layer::{Layer, Run},
    order::{DEFAULT_ORDERS, NAMED_ORDERS, quad_of},
};

/// A snapshot under construction: batches are applied one after the other, each sees those before it.
#[derive(Debug)]
pub struct Draft {
    base: Snapshot,
    current: Snapshot,
    commit_time_us: u64,
}

impl Draft {
    /// Begins on top of a snapshot.
    pub fn new(base: Snapshot) -> Self {
        Self {
            current: base.clone(),
            base,
            commit_time_us: 0,
        }
    }

    /// Sets the time of the commit that it becomes.
    #[must_use]
    pub fn at(self, commit_time_us: u64) -> Self {
        Self {
            commit_time_us,
            ..self
        }
    }

    /// Returns the time of the commit that it becomes, in microseconds since 1970; 0 if it becomes none.
    pub fn commit_time_us(&self) -> u64 {
        self.commit_time_us
    }

    /// Returns the snapshot with all that was applied so far.
    pub fn snapshot(&self) -> &Snapshot {
        &self.current
    }

    /// Applies a batch.
    pub fn apply(&mut self, batch: &Batch) {
        let layer = effective(&self.current, batch);
        if !layer.is_void() {
            self.current = self
                .current
                .with_layer(layer)
                .compacted(self.base.layers.len(), usize::MAX);
        }
    }

    /// Ends: what changed, and the snapshot with it.
    pub fn finish(self) -> (Changes, Snapshot) {
        let Self { base, current, .. } = self;
        let layer = current.folded(base.layers.len());
        if layer.is_void() {
            return (
                Changes {
                    layer,
                    snapshot: base.clone(),
                },
                base,
            );
        }
        let layers = base.layers.iter().cloned().chain([Arc::clone(&layer)]).collect();
        let snapshot = Snapshot {
            layers,
            epoch: base.epoch,
        };
        (
            Changes {
                layer,
                snapshot: snapshot.clone(),
            },
            snapshot.promptly_compacted(),
        )
    }
}

/// The effective difference between two snapshots: nothing in it was so before.
#[derive(Debug)]
pub struct Changes {
    layer: Arc<Layer>,
    snapshot: Snapshot,
}

impl Changes {
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

    /// Iterates over inserted quads, the default graph's first.
    pub fn inserted(&self) -> impl Iterator<Item = QuadIds> + '_ {
        quads(&self.layer.default[0].added, &self.layer.named[0].added)
    }

    /// Iterates over removed quads, the default graph's first.
    pub fn removed(&self) -> impl Iterator<Item = QuadIds> + '_ {
        quads(&self.layer.default[0].removed, &self.layer.named[0].removed)
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

fn quads<'a>(default: &'a [[u32; 3]], named: &'a [[u32; 4]]) -> impl Iterator<Item = QuadIds> + 'a {
    let default = default.iter().map(|key| quad_of(&DEFAULT_ORDERS[0], key));
    default.chain(named.iter().map(|key| quad_of(&NAMED_ORDERS[0], key)))
}

/// Returns what a batch changes in a snapshot.
fn effective(snapshot: &Snapshot, batch: &Batch) -> Layer {
    let (terms, numbers) = adopt_terms(snapshot, &batch.terms);
    let adopt = |quads: &[[u32; 4]]| {
        let mut quads: Vec<_> = quads
            .iter()
            .map(|quad| quad.map(|local| numbers[local as usize]))
            .collect();
        quads.sort_unstable();
        quads.dedup();
        quads
    };
    let mut inserted = adopt(&batch.inserted);
    let mut removed = adopt(&batch.removed);
    let graphs = effective_graphs(snapshot, batch, &numbers, &inserted);
    removed.retain(|quad| {
        inserted.binary_search(quad).is_err() && snapshot.contains(QuadIds::from_array(*quad))
    });
    if snapshot.quad_count() > 0 {
        inserted.retain(|quad| !snapshot.contains(QuadIds::from_array(*quad)));
    }
    Layer::new(terms, &inserted, &removed, graphs)
}

/// Returns the terms that are new to the snapshot, and the snapshot's number for each number of the batch.
fn adopt_terms(snapshot: &Snapshot, local: &Segment) -> (Segment, Vec<u32>) {
    let mut terms = Segment::new(snapshot.next_term());
    let mut numbers = Vec::with_capacity(local.len() + 1);
    numbers.push(TermId::DEFAULT_GRAPH.0);
    for index in 0..local.len() {
        // The parts of a term come before it.
        let key = local.key(index).renumbered(|part| numbers[part as usize]);
        let key = key.as_key();
        numbers.push(
            snapshot
                .find(key)
                .unwrap_or_else(|| terms.get_or_push(key, key.hash())),
        );
    }
    terms.shrink_to_fit();
    (terms, numbers)
}

/// Returns the named graphs that come to exist and that are dropped; `inserted` are all quads to insert, there or not.
fn effective_graphs(snapshot: &Snapshot, batch: &Batch, numbers: &[u32], inserted: &[[u32; 4]]) -> Run<1> {
    let sorted = |graphs: &mut dyn Iterator<Item = u32>| {
        let mut graphs: Vec<_> = graphs.map(|graph| [graph]).collect();
        graphs.sort_unstable();
        graphs.dedup();
        graphs
    };
    let mut last = TermId::DEFAULT_GRAPH.0;
    let mut filled = inserted.iter().map(|quad| quad[3]).filter(|&graph| {
        let is_next = graph != TermId::DEFAULT_GRAPH.0 && graph != last;
        last = graph;
        is_next
    });
    let created = batch.created.iter().map(|&local| numbers[local as usize]);
    let wanted = sorted(&mut (&mut filled).chain(created));
    let mut dropped = sorted(&mut batch.dropped.iter().map(|&local| numbers[local as usize]));
    let exists = |graph: &[u32; 1]| snapshot.contains_named_graph(TermId(graph[0]));
    dropped.retain(|graph| exists(graph) && wanted.binary_search(graph).is_err());
    let mut created = wanted;
    created.retain(|graph| !exists(graph));
    Run {
        added: created,
        removed: dropped,
    }
}
