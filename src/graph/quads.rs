//! Iteration over quads, across layers.

use std::{slice, sync::Arc};

use super::{
    chosen::{Chosen, cut},
    layer::{Layer, Run},
    order::{Bounds, DEFAULT_ORDERS, NAMED_ORDERS, Order, Place, SortKey, pack, quad_of},
    term::QuadIds,
};

/// Matching quads of a snapshot, borrowed from it.
#[derive(Clone, Debug)]
pub struct Quads<'a>(Scans<'a>);

#[derive(Clone, Debug)]
enum Scans<'a> {
    Default(Scan<'a, 3>),
    Named(Scan<'a, 4>),
    Both(Scan<'a, 3>, Scan<'a, 4>),
    /// Those of some graphs alone.
    Chosen(Option<Scan<'a, 3>>, Option<Box<Chosen<'a>>>),
}

impl<'a> Quads<'a> {
    pub(super) fn new(layers: &'a [Arc<Layer>], place: Place) -> Self {
        Self(match place {
            Place::Default(bounds) => Scans::Default(scan_default(layers, bounds)),
            Place::Named(bounds) => Scans::Named(scan_named(layers, bounds)),
            Place::Both(default, named) => {
                Scans::Both(scan_default(layers, default), scan_named(layers, named))
            }
        })
    }

    /// Iterates over the default graph, if there are bounds for it, and over those named graphs alone that come with bounds.
    pub(super) fn chosen(
        layers: &'a [Arc<Layer>],
        default: Option<Bounds<3>>,
        named: Option<(Bounds<4>, &'a [u32])>,
    ) -> Self {
        let default = default.map(|bounds| scan_default(layers, bounds));
        Self(match (default, named) {
            (Some(default), None) => Scans::Default(default),
            (None, Some((bounds, &[graph]))) => Scans::Named(scan_named(layers, bounds.in_graph(graph))),
            (default, named) => {
                let chosen = |(bounds, graphs)| Box::new(Chosen::new(layers, bounds, graphs));
                Scans::Chosen(default, named.map(chosen))
            }
        })
    }

    /// Returns how many quads are left, exactly, without walking over many of them.
    pub fn remaining(&self) -> u64 {
        match &self.0 {
            Scans::Default(scan) => scan.remaining(),
            Scans::Named(scan) => scan.remaining(),
            Scans::Both(default, named) => default.remaining() + named.remaining(),
            Scans::Chosen(default, named) => {
                default.as_ref().map_or(0, Scan::remaining)
                    + named.as_ref().map_or(0, |named| named.remaining())
            }
        }
    }
}

impl Quads<'_> {
    /// Leaves out some quads, for a sample: `count`, or fewer where that would take long or another part of them begins.
    /// False if none is left.
    pub fn skip_some(&mut self, count: u64) -> bool {
        match &mut self.0 {
            Scans::Default(scan) => scan.skip_some(count),
            Scans::Named(scan) => scan.skip_some(count),
            Scans::Both(default, named) => default.skip_some(count) || named.skip_some(count),
            Scans::Chosen(default, named) => {
                default.as_mut().is_some_and(|default| default.skip_some(count))
                    || named.as_mut().is_some_and(|named| named.skip_some(count))
            }
        }
    }
}

impl Iterator for Quads<'_> {
    type Item = QuadIds;

    fn next(&mut self) -> Option<QuadIds> {
        match &mut self.0 {
            Scans::Default(scan) => scan.next(),
            Scans::Named(scan) => scan.next(),
            Scans::Both(default, named) => default.next().or_else(|| named.next()),
            Scans::Chosen(default, named) => {
                let default = default.as_mut().and_then(Scan::next);
                default.or_else(|| named.as_mut()?.next())
            }
        }
    }
}

pub(super) fn scan_default(layers: &[Arc<Layer>], bounds: Bounds<3>) -> Scan<'_, 3> {
    Scan::new(layers, bounds, &DEFAULT_ORDERS[bounds.order], |layer| {
        &layer.default[bounds.order]
    })
}

pub(super) fn scan_named(layers: &[Arc<Layer>], bounds: Bounds<4>) -> Scan<'_, 4> {
    Scan::new(layers, bounds, &NAMED_ORDERS[bounds.order], |layer| {
        &layer.named[bounds.order]
    })
}

/// The keys of one range.
#[derive(Clone, Debug)]
pub(super) struct Scan<'a, const N: usize> {
    order: &'static Order<N>,
    keys: Keys<'a, N>,
}

#[derive(Clone, Debug)]
enum Keys<'a, const N: usize> {
    /// One layer alone has keys in the range: by far the most common case.
    One(slice::Iter<'a, SortKey<N>>),
    /// What each layer added and removed, the newest first.
    Merged(Vec<(&'a [SortKey<N>], &'a [SortKey<N>])>),
}

impl<'a, const N: usize> Scan<'a, N> {
    fn new(
        layers: &'a [Arc<Layer>],
        bounds: Bounds<N>,
        order: &'static Order<N>,
        run: impl Fn(&'a Layer) -> &'a Run<N>,
    ) -> Self {
        let in_range = |layer: &'a Arc<Layer>| {
            let run = run(layer);
            (run.added.within(&bounds), run.removed.within(&bounds))
        };
        let keys = if let [layer] = layers {
            Keys::One(in_range(layer).0.iter())
        } else {
            let mut touched = layers
                .iter()
                .rev()
                .map(in_range)
                .filter(|(added, removed)| !added.is_empty() || !removed.is_empty());
            match (touched.next(), touched.next()) {
                (None, _) => Keys::One([].iter()),
                (Some((added, _)), None) => Keys::One(added.iter()),
                (Some(first), Some(second)) => {
                    Keys::Merged([first, second].into_iter().chain(touched).collect())
                }
            }
        };
        Self { order, keys }
    }

    pub(super) fn remaining(&self) -> u64 {
        match &self.keys {
            Keys::One(keys) => keys.len() as u64,
            Keys::Merged(layers) => {
                let sum = |count: fn(&(&[_], &[_])) -> usize| layers.iter().map(count).sum::<usize>();
                (sum(|(added, _)| added.len()) - sum(|(_, removed)| removed.len())) as u64
            }
        }
    }

    fn skip_some(&mut self, count: u64) -> bool {
        match &mut self.keys {
            Keys::One(keys) => {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                *keys = keys.as_slice().get(count..).unwrap_or_default().iter();
                !keys.as_slice().is_empty()
            }
            Keys::Merged(_) => {
                if let Some(bound) = cut(&self.slices().collect::<Vec<_>>(), count, pack) {
                    self.skip_to(bound, pack);
                    true
                } else {
                    self.keys = Keys::One([].iter());
                    false
                }
            }
        }
    }

    /// Iterates over what the layers have, each with whether it was added.
    pub(super) fn slices(&self) -> impl Iterator<Item = (&'a [SortKey<N>], bool)> + '_ {
        let (one, merged) = match &self.keys {
            Keys::One(keys) => (Some((keys.as_slice(), true)), &[][..]),
            Keys::Merged(layers) => (None, layers.as_slice()),
        };
        let merged = merged
            .iter()
            .flat_map(|&(added, removed)| [(added, true), (removed, false)]);
        one.into_iter().chain(merged)
    }

    /// Leaves out the keys before a bound, in an order that is that of the range.
    pub(super) fn skip_to(&mut self, bound: u128, key: impl Fn(&SortKey<N>) -> u128) {
        let rest = |keys: &mut &'a [SortKey<N>]| *keys = &keys[keys.partition_point(|of| key(of) < bound)..];
        match &mut self.keys {
            Keys::One(keys) => {
                let mut left = keys.as_slice();
                rest(&mut left);
                *keys = left.iter();
            }
            Keys::Merged(layers) => {
                for (added, removed) in layers {
                    rest(added);
                    rest(removed);
                }
            }
        }
    }

    pub(super) fn next(&mut self) -> Option<QuadIds> {
        self.next_key().map(|key| quad_of(self.order, key))
    }

    pub(super) fn next_key(&mut self) -> Option<&'a SortKey<N>> {
        match &mut self.keys {
            Keys::One(keys) => keys.next(),
            Keys::Merged(layers) => next_merged(layers),
        }
    }
}

/// Returns the next key that the newest layer to speak of it has added.
fn next_merged<'a, const N: usize>(
    layers: &mut [(&'a [SortKey<N>], &'a [SortKey<N>])],
) -> Option<&'a SortKey<N>> {
    loop {
        // Of equal keys the newest layer's comes first, and `min_by_key` gives the first.
        let (key, is_added) = layers
            .iter()
            .flat_map(|(added, removed)| {
                [
                    added.first().map(|key| (key, true)),
                    removed.first().map(|key| (key, false)),
                ]
            })
            .flatten()
            .min_by_key(|(key, _)| pack(key))?;
        for (added, removed) in layers.iter_mut() {
            for keys in [added, removed] {
                if let Some((first, rest)) = keys.split_first()
                    && first == key
                {
                    *keys = rest;
                }
            }
        }
        if is_added {
            return Some(key);
        }
    }
}
