//! Layers that the newest snapshot no longer has.

use std::sync::Weak;

use super::{Snapshot, layer::Layer};

/// A layer that is no longer in the newest snapshot: it takes memory for as long as an older one is read.
#[derive(Debug)]
pub struct Replaced(Weak<Layer>);

impl Replaced {
    /// Returns the bytes that it takes; 0 once nobody has it.
    pub fn memory_bytes(&self) -> u64 {
        self.0.upgrade().map_or(0, |layer| layer.memory_bytes() as u64)
    }
}

impl Snapshot {
    /// Returns the layers that a newer snapshot does not have.
    pub fn replaced_by(&self, newer: &Self) -> impl Iterator<Item = Replaced> {
        let gone = self.layers.iter().filter(|layer| !newer.has_layer(layer));
        gone.map(|layer| Replaced(std::sync::Arc::downgrade(layer)))
    }
}

#[cfg(test)]
mod tests {
    use oxigraph::model::{GraphName, NamedNode, Quad};

    use super::*;
    use crate::graph::{Batch, Draft};

    fn inserted(snapshot: Snapshot, subject: &str) -> Snapshot {
        let part = |text: &str| NamedNode::new_unchecked(text);
        let quad = Quad::new(part(subject), part("p:"), part("o:"), GraphName::DefaultGraph);
        let mut batch = Batch::default();
        batch.insert(quad.as_ref());
        let mut draft = Draft::new(snapshot);
        draft.apply(&batch);
        draft.finish().1
    }

    #[test]
    fn replaced_layers_take_memory_as_long_as_an_older_snapshot_is_read() {
        let older = inserted(Snapshot::default(), "s:1");
        let kept = older.replaced_by(&older).count();
        assert_eq!(kept, 0);
        // Both are small: they become one layer at once.
        let newer = inserted(older.clone(), "s:2");
        let replaced: Vec<_> = older.replaced_by(&newer).collect();
        let bytes = || replaced.iter().map(Replaced::memory_bytes).sum::<u64>();
        assert_eq!(bytes(), older.memory_bytes());
        drop(newer);
        assert_eq!(bytes(), older.memory_bytes());
        drop(older);
        assert_eq!(bytes(), 0);
    }
}
