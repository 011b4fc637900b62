//! Unpublished changes on top of a snapshot.

use std::sync::Arc;

use oxigraph::model::GraphName;

use super::{
    Batch, Changes, Edit, QuadIds, Snapshot, TermId,
    dictionary::Segment,
    keys::SortedKeys,
    layer::{Layer, Run},
    order::pack,
};
use crate::model::access::{GraphSet, graph_label};

/// A snapshot under construction: batches are applied one after the other, each sees those before it.
#[derive(Debug)]
pub struct Draft {
    base: Snapshot,
    current: Snapshot,
    commit_time_us: u64,
    watched: Option<TermId>,
    repeated: Vec<[u32; 4]>,
    /// Whether something was removed: only then can a quad of the base be inserted anew.
    has_removed: bool,
    restriction: Option<Restriction>,
    is_part: bool,
}

/// What whoever plans may see and change.
#[derive(Debug)]
struct Restriction {
    reads: Arc<GraphSet>,
    writes: GraphSet,
    /// What is to be seen of the current snapshot.
    seen: Snapshot,
    /// Graphs that were to be changed and may not be: the first of them.
    denied: Option<String>,
}

impl Draft {
    /// Begins on top of a snapshot.
    pub fn new(base: Snapshot) -> Self {
        Self {
            current: base.clone(),
            base,
            commit_time_us: 0,
            watched: None,
            repeated: Vec::new(),
            has_removed: false,
            restriction: None,
            is_part: false,
        }
    }

    /// Begins on top of a snapshot, and remembers the repeated quads of a named graph, beside those of the default graph.
    pub fn watching(base: Snapshot, graph: Option<TermId>) -> Self {
        Self {
            watched: graph,
            ..Self::new(base)
        }
    }

    /// Says that other commits go on with what this one says.
    pub fn set_part(&mut self) {
        self.is_part = true;
    }

    /// Tells whether other commits go on with what this one says: what it lacks may be in them.
    pub fn is_part(&self) -> bool {
        self.is_part
    }

    /// Returns the snapshot that it began with.
    pub fn base(&self) -> &Snapshot {
        &self.base
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

    /// From now on shows no more than `reads` has, and notes what is changed that `writes` does not have, until
    /// [`Self::lift`].
    pub fn restrict(&mut self, reads: &Arc<GraphSet>, writes: &GraphSet) {
        if reads.is_everything() && writes.is_everything() {
            return;
        }
        self.restriction = Some(Restriction {
            reads: Arc::clone(reads),
            writes: writes.clone(),
            seen: self.current.seen_by(reads),
            denied: None,
        });
    }

    /// Shows everything again. Fails with the name of a graph that was to be changed and may not be: then the draft is to
    /// be dropped.
    pub fn lift(&mut self) -> Result<(), String> {
        match self.restriction.take().and_then(|restriction| restriction.denied) {
            None => Ok(()),
            Some(graph) => Err(graph),
        }
    }

    /// Returns the snapshot with all that was applied so far, or what is to be seen of it.
    pub fn snapshot(&self) -> &Snapshot {
        match &self.restriction {
            None => &self.current,
            Some(restriction) => &restriction.seen,
        }
    }

    /// Applies a batch.
    pub fn apply(&mut self, batch: &Batch) {
        if let Some(restriction) = &mut self.restriction {
            // All that it names, not only what it changes: that something is there already is not to be told.
            restriction.note(batch.graphs());
        }
        let Effect { layer, repeated } = effective(&self.current, batch);
        let is_watched = |quad: &[u32; 4]| {
            quad[3] == TermId::DEFAULT_GRAPH.0 || self.watched.is_some_and(|graph| graph.0 == quad[3])
        };
        self.repeated.extend(repeated.into_iter().filter(is_watched));
        if self.has_removed {
            let anew = layer.inserted().filter(|quad| self.base.contains(*quad));
            let anew = anew.map(QuadIds::to_array).filter(is_watched);
            self.repeated.extend(anew);
        }
        self.push(layer);
    }

    /// Applies a change in identifiers, which nothing remembers as repeated.
    pub fn edit(&mut self, change: impl FnOnce(&mut Edit)) {
        let mut edit = Edit::new(self.current.clone());
        change(&mut edit);
        if let Some(restriction) = &mut self.restriction {
            restriction.note(edit.graphs());
        }
        self.push(edit.into_layer());
    }

    fn push(&mut self, layer: Layer) {
        if !layer.is_void() {
            self.has_removed |= layer.removed_count() > 0;
            self.current = self.current.with_layer(layer).compacted(self.base.layers.len());
            if let Some(restriction) = &mut self.restriction {
                restriction.seen = self.current.seen_by(&restriction.reads);
            }
        }
    }

    /// Iterates over quads that batches inserted although the base had them: of the default graph, and of the graph that is
    /// watched. One may come more than once, and may have been removed afterwards.
    pub fn repeated(&self) -> impl Iterator<Item = QuadIds> + '_ {
        self.repeated.iter().map(|quad| QuadIds::from_array(*quad))
    }

    /// Returns what changed so far.
    pub fn changes(&mut self) -> Changes {
        let layer = self.current.folded(self.base.layers.len());
        if self.current.layers.len() > self.base.layers.len() + 1 {
            let layers = self.base.layers.iter().cloned().chain([Arc::clone(&layer)]);
            self.current.layers = layers.collect();
        }
        Changes::new(layer, self.current.clone())
    }

    /// Ends: what changed, and the snapshot with it.
    pub fn finish(mut self) -> (Changes, Snapshot) {
        let changes = self.changes();
        let snapshot = if changes.is_empty() {
            self.base
        } else {
            self.current.promptly_compacted()
        };
        (changes, snapshot)
    }
}

impl Restriction {
    fn note(&mut self, graphs: Vec<GraphName>) {
        let is_denied = |graph: &GraphName| !self.writes.has(graph.as_ref());
        let label = |graph: GraphName| graph_label(graph.as_ref());
        if self.denied.is_none() {
            self.denied = graphs.into_iter().filter(is_denied).map(label).min();
        }
    }
}

/// What a batch does to a snapshot, and the quads to insert that are there already.
struct Effect {
    layer: Layer,
    repeated: Vec<[u32; 4]>,
}

/// Returns what a batch changes in a snapshot.
fn effective(snapshot: &Snapshot, batch: &Batch) -> Effect {
    let (terms, numbers) = adopt_terms(snapshot, &batch.terms);
    let adopt = |quads: &[[u32; 4]]| {
        let mut quads: Vec<_> = quads
            .iter()
            .map(|quad| quad.map(|local| numbers[local as usize]))
            .collect();
        quads.sort_unstable_by_key(pack);
        quads.dedup();
        quads
    };
    let mut inserted = adopt(&batch.inserted);
    let mut removed = adopt(&batch.removed);
    let graphs = effective_graphs(snapshot, batch, &numbers, &inserted);
    removed.retain(|quad| {
        inserted.binary_search(quad).is_err() && snapshot.contains(QuadIds::from_array(*quad))
    });
    let mut repeated = Vec::new();
    let first_new = snapshot.next_term();
    if first_new > 1 {
        // What has a new term is new: most of what is imported needs no look.
        let is_there = |quad: &mut [u32; 4]| {
            quad.iter().all(|&term| term < first_new) && snapshot.contains(QuadIds::from_array(*quad))
        };
        repeated.extend(inserted.extract_if(.., is_there));
    }
    Effect {
        layer: Layer::new(terms, &inserted, &removed, graphs),
        repeated,
    }
}

/// Returns the terms that are new to the snapshot, and the snapshot's number for each number of the batch.
fn adopt_terms(snapshot: &Snapshot, local: &Segment) -> (Segment, Vec<u32>) {
    if snapshot.next_term() == local.first {
        // The first of all: every number stays.
        return (local.clone(), (0..local.end()).collect());
    }
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
        added: SortedKeys::new(created),
        removed: SortedKeys::new(dropped),
    }
}
