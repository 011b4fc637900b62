//! The way back over changes.

use oxigraph::model::{NamedOrBlankNodeRef, QuadRef};

use super::Batch;

/// Changes to take back, told from the newest to the oldest, each an effective one.
#[derive(Debug, Default)]
pub struct Undo {
    /// Its dictionary numbers the terms; its changes are put in at the end.
    batch: Batch,
    /// Quads, and whether they are to be there.
    quads: Vec<([u32; 4], bool)>,
    /// Named graphs, and whether they are to exist.
    graphs: Vec<(u32, bool)>,
}

impl Undo {
    /// Takes back that a quad was inserted.
    pub fn inserted(&mut self, quad: QuadRef<'_>) {
        let quad = self.batch.number_quad(quad);
        self.quads.push((quad, false));
    }

    /// Takes back that a quad was removed.
    pub fn removed(&mut self, quad: QuadRef<'_>) {
        let quad = self.batch.number_quad(quad);
        self.quads.push((quad, true));
    }

    /// Takes back that a named graph was created.
    pub fn created_graph(&mut self, graph: NamedOrBlankNodeRef<'_>) {
        let graph = self.batch.number(graph.into());
        self.graphs.push((graph.get(), false));
    }

    /// Takes back that a named graph was dropped.
    pub fn dropped_graph(&mut self, graph: NamedOrBlankNodeRef<'_>) {
        let graph = self.batch.number(graph.into());
        self.graphs.push((graph.get(), true));
    }

    /// Returns the bytes that they take in memory.
    pub fn memory_bytes(&self) -> u64 {
        let quads = self.quads.capacity() * size_of::<([u32; 4], bool)>();
        let graphs = self.graphs.capacity() * size_of::<(u32, bool)>();
        self.batch.memory_bytes() + (quads + graphs) as u64
    }

    /// Returns what goes back over all of them at once: what the oldest change says holds.
    pub fn into_batch(self) -> Batch {
        let mut batch = self.batch;
        (batch.inserted, batch.removed) = parted(self.quads);
        (batch.created, batch.dropped) = parted(self.graphs);
        batch
    }
}

/// Returns what is to be there and what is not, by the last word on each.
fn parted<T: Copy + Ord>(mut words: Vec<(T, bool)>) -> (Vec<T>, Vec<T>) {
    // Stable: the words on one stay in their order.
    words.sort_by_key(|(what, _)| *what);
    let (mut there, mut gone) = (Vec::new(), Vec::new());
    for words in words.chunk_by(|one, other| one.0 == other.0) {
        match words.last() {
            Some(&(what, true)) => there.push(what),
            Some(&(what, false)) => gone.push(what),
            None => {}
        }
    }
    (there, gone)
}
