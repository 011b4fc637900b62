//! Merges of layers.

use std::sync::Arc;

use super::{Snapshot, layer::Layer};

/// Two layers are merged as soon as the older one is not this many times the newer one's weight: reads meet few layers.
const WEIGHT_RATIO: usize = 16;
/// The same while much is written: each quad is merged a few times only, whatever the graph's size.
const WEIGHT_RATIO_LOADING: usize = 2;
/// Merges up to this weight are done while a commit waits (some milliseconds), larger ones in the background.
const PROMPT_WEIGHT_MAX: usize = 1 << 16;

impl Snapshot {
    /// Merges the newest layers, but none of the `keep` oldest: small ones as reads want it, large ones as a load does.
    pub(super) fn compacted(self, keep: usize) -> Self {
        self.merged_while(keep, |older, newer| {
            let ratio = if is_small(older, newer) {
                WEIGHT_RATIO
            } else {
                WEIGHT_RATIO_LOADING
            };
            is_below(ratio, older, newer)
        })
    }

    /// Merges the newest layers as far as a waiting commit bears.
    pub(super) fn promptly_compacted(self) -> Self {
        self.merged_while(0, |older, newer| {
            is_small(older, newer) && is_below(WEIGHT_RATIO, older, newer)
        })
    }

    fn merged_while(self, keep: usize, is_due: impl Fn(&Layer, &Layer) -> bool) -> Self {
        let mut layers = self.layers.to_vec();
        while let [.., older, newer] = &layers[keep..]
            && is_due(older, newer)
        {
            let merged = Arc::new(older.merged(newer));
            layers.truncate(layers.len() - 2);
            layers.push(merged);
        }
        Self {
            layers: layers.into(),
            ..self
        }
    }

    /// Returns the layers from the `from`th as one.
    pub(super) fn folded(&self, from: usize) -> Arc<Layer> {
        match &self.layers[from.min(self.layers.len())..] {
            [] => Arc::new(Layer::empty(self.next_term())),
            [layer] => Arc::clone(layer),
            // From the newest, whose layers are small, to the oldest.
            [layers @ .., last] => layers
                .iter()
                .rev()
                .fold(Arc::clone(last), |newer, older| Arc::new(older.merged(&newer))),
        }
    }

    /// Returns two adjacent layers whose merge is due and too large to do while a commit waits, if there are such.
    pub fn due_merge(&self) -> Option<Merge> {
        self.merge_below(WEIGHT_RATIO)
    }

    /// As [`Self::due_merge`], while much is written: only merges that the quads that came since the last ones are worth.
    pub fn due_merge_loading(&self) -> Option<Merge> {
        self.merge_below(WEIGHT_RATIO_LOADING)
    }

    fn merge_below(&self, ratio: usize) -> Option<Merge> {
        self.merge_if(|older, newer| is_below(ratio, older, newer))
    }

    fn merge_if(&self, is_due: impl Fn(&Arc<Layer>, &Arc<Layer>) -> bool) -> Option<Merge> {
        let mut pairs = self.layers.windows(2).rev();
        let pair = pairs.find(|pair| is_due(&pair[0], &pair[1]))?;
        Some(Merge {
            older: Arc::clone(&pair[0]),
            newer: Arc::clone(&pair[1]),
        })
    }

    /// Returns the same quads after the merges that are due, of layers of another snapshot only those that what came on top of it is
    /// worth; but for one that would have it take more than some bytes beside that snapshot.
    #[must_use]
    pub fn merged_beside(mut self, other: &Self, bytes_max: u64) -> Self {
        let is_due =
            |older: &Arc<Layer>, newer: &Arc<Layer>| match (other.has_layer(older), other.has_layer(newer)) {
                (true, true) => false,
                (true, false) => is_below(WEIGHT_RATIO_LOADING, older, newer),
                (false, _) => is_below(WEIGHT_RATIO, older, newer),
            };
        while let Some(merge) = self.merge_if(is_due) {
            let pair = [&merge.older, &merge.newer].into_iter();
            let shared = pair.filter(|layer| other.has_layer(layer));
            let added: u64 = shared.map(|layer| layer.memory_bytes() as u64).sum();
            if self.memory_bytes_beside(other).saturating_add(added) > bytes_max {
                break;
            }
            self = self.with_merged(&merge.run());
        }
        self
    }

    /// Returns the same quads with the two layers of a merge replaced by its outcome; unchanged if they are gone.
    #[must_use]
    pub fn with_merged(&self, merged: &Merged) -> Self {
        let is_pair = |pair: &[Arc<Layer>]| {
            Arc::ptr_eq(&pair[0], &merged.merge.older) && Arc::ptr_eq(&pair[1], &merged.merge.newer)
        };
        let Some(at) = self.layers.windows(2).position(is_pair) else {
            return self.clone();
        };
        let mut layers = self.layers.to_vec();
        layers.splice(at..at + 2, [Arc::clone(&merged.layer)]);
        Self {
            layers: layers.into(),
            epoch: self.epoch,
            sight: self.sight.clone(),
        }
    }
}

fn is_small(older: &Layer, newer: &Layer) -> bool {
    older.weight() + newer.weight() <= PROMPT_WEIGHT_MAX
}

fn is_below(ratio: usize, older: &Layer, newer: &Layer) -> bool {
    older.weight() < ratio * newer.weight().max(1)
}

/// A merge of two layers that is due.
#[derive(Debug)]
pub struct Merge {
    older: Arc<Layer>,
    newer: Arc<Layer>,
}

impl Merge {
    /// Returns about the bytes that its outcome takes, and those of the two layers.
    pub fn memory_bytes(&self) -> u64 {
        (self.older.memory_bytes() + self.newer.memory_bytes()) as u64
    }

    /// Does the work, on any thread: it takes time in proportion to the layers.
    pub fn run(self) -> Merged {
        Merged {
            layer: Arc::new(self.older.merged(&self.newer)),
            merge: self,
        }
    }
}

/// A merge of two layers that is done, for [`Snapshot::with_merged`].
#[derive(Debug)]
pub struct Merged {
    merge: Merge,
    layer: Arc<Layer>,
}
