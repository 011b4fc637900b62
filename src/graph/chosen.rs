//! Iteration over the quads of some named graphs, as if there were no others.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use super::{
    layer::Layer,
    order::{Bounds, NAMED_ORDERS, SortKey, pack, quad_of, sort_key, unpack},
    quads::{Scan, scan_named},
    term::QuadIds,
};

/// A range of all graphs that has at most so many quads for each graph is walked over, and the others are left out.
const WALKED_PER_GRAPH_MAX: usize = 8;
/// With more slices than this, a sample leaves out no more than [`SKIP_COUNT_MAX`] quads at once.
const SLICE_COUNT_MAX: usize = 4_096;
const SKIP_COUNT_MAX: u64 = 64;

/// Matching quads of some graphs, in the order that has the graph last.
#[derive(Clone, Debug)]
pub(super) enum Chosen<'a> {
    /// Graph by graph, merged.
    Merged(Merged<'a>),
    /// All graphs, of which the others are left out.
    Walked { scan: Scan<'a, 4>, graphs: &'a [u32] },
}

/// One scan for each graph.
#[derive(Clone, Debug)]
pub(super) struct Merged<'a> {
    scans: Vec<Scan<'a, 4>>,
    /// The next key of each scan that has one, with the graph last, and which scan it is; `None`: not looked at yet.
    heads: Option<BinaryHeap<Reverse<(u128, usize)>>>,
    /// Which of the orders that have the graph last.
    order: usize,
}

impl<'a> Chosen<'a> {
    /// Chooses the sorted `graphs` out of bounds of all.
    pub(super) fn new(layers: &'a [Arc<Layer>], bounds: Bounds<4>, graphs: &'a [u32]) -> Self {
        let scan = scan_named(layers, bounds);
        if scan.remaining() <= (WALKED_PER_GRAPH_MAX * graphs.len()) as u64 {
            return Self::Walked { scan, graphs };
        }
        let in_graph = |&graph: &u32| scan_named(layers, bounds.in_graph(graph));
        Self::Merged(Merged {
            scans: graphs.iter().map(in_graph).collect(),
            heads: None,
            order: bounds.order,
        })
    }

    pub(super) fn remaining(&self) -> u64 {
        match self {
            Self::Merged(merged) => {
                let heads = merged.heads.as_ref().map_or(0, BinaryHeap::len) as u64;
                heads + merged.scans.iter().map(Scan::remaining).sum::<u64>()
            }
            Self::Walked { .. } => {
                let mut rest = self.clone();
                std::iter::from_fn(|| rest.next()).count() as u64
            }
        }
    }

    pub(super) fn next(&mut self) -> Option<QuadIds> {
        match self {
            Self::Merged(merged) => merged.next(),
            Self::Walked { scan, graphs } => loop {
                let quad = scan.next()?;
                if graphs.binary_search(&quad.graph.get()).is_ok() {
                    return Some(quad);
                }
            },
        }
    }

    pub(super) fn skip_some(&mut self, count: u64) -> bool {
        match self {
            Self::Merged(merged) => merged.skip_some(count),
            Self::Walked { .. } => {
                let is_left = (0..count).all(|_| self.next().is_some());
                is_left && self.clone().next().is_some()
            }
        }
    }
}

impl Merged<'_> {
    /// Takes the next key of a scan.
    fn take(&mut self, scan: usize) -> Option<Reverse<(u128, usize)>> {
        let quad = self.scans[scan].next()?;
        Some(Reverse((
            pack(&sort_key(&NAMED_ORDERS[self.order], quad.to_array())),
            scan,
        )))
    }

    fn heads(&mut self) -> BinaryHeap<Reverse<(u128, usize)>> {
        match self.heads.take() {
            Some(heads) => heads,
            None => (0..self.scans.len()).filter_map(|scan| self.take(scan)).collect(),
        }
    }

    fn next(&mut self) -> Option<QuadIds> {
        let mut heads = self.heads();
        let first = heads.pop();
        if let Some(Reverse((_, scan))) = first {
            heads.extend(self.take(scan));
        }
        self.heads = Some(heads);
        first.map(|Reverse((key, _))| quad_of(&NAMED_ORDERS[self.order], &unpack(key)))
    }

    fn skip_some(&mut self, count: u64) -> bool {
        let mut heads = self.heads().into_vec();
        heads.sort_unstable_by_key(|head| head.0);
        let keys: Vec<_> = heads
            .iter()
            .map(|head| unpack(head.0.0.rotate_right(32)))
            .collect();
        let mut slices: Vec<_> = self.scans.iter().flat_map(Scan::slices).collect();
        slices.push((&keys, true));
        if slices.len() > SLICE_COUNT_MAX {
            self.heads = Some(heads.into());
            return (0..count.min(SKIP_COUNT_MAX)).all(|_| self.next().is_some())
                && self.clone().next().is_some();
        }
        // The scans have the graph first.
        let graph_last = |key: &SortKey<4>| pack(key).rotate_left(32);
        let Some(bound) = cut(&slices, count, graph_last) else {
            (self.scans, self.heads) = (Vec::new(), None);
            return false;
        };
        for scan in &mut self.scans {
            scan.skip_to(bound, graph_last);
        }
        let kept = heads.partition_point(|head| head.0.0 < bound);
        let passed: Vec<_> = heads.drain(..kept).collect();
        heads.extend(passed.into_iter().filter_map(|head| self.take(head.0.1)));
        self.heads = Some(heads.into());
        true
    }
}

/// Returns the key before which there are `count` keys, of what sorted slices add and remove; `None` if there are no more
/// than that.
pub(super) fn cut<const N: usize>(
    slices: &[(&[SortKey<N>], bool)],
    count: u64,
    key: impl Fn(&SortKey<N>) -> u128,
) -> Option<u128> {
    // What is before a window is left out, what is behind it is not.
    let mut windows: Vec<_> = slices.iter().map(|(keys, _)| 0..keys.len()).collect();
    let mut middles = Vec::with_capacity(slices.len());
    loop {
        middles.clear();
        let open = slices
            .iter()
            .zip(&windows)
            .filter(|(_, window)| !window.is_empty());
        middles.extend(open.map(|((keys, _), window)| {
            let middle = window.start + window.len() / 2;
            (key(&keys[middle]), window.len())
        }));
        // The median of medians, so that a good part is out each time.
        middles.sort_unstable();
        let half = middles.iter().map(|(_, len)| len).sum::<usize>() / 2;
        let mut sum = 0;
        let median = middles.iter().find(|(_, len)| {
            sum += len;
            sum > half
        });
        let Some(&(pivot, _)) = median else {
            break;
        };
        let up_to = |(window, (keys, _)): (&std::ops::Range<usize>, &(&[SortKey<N>], bool))| {
            window.start + keys[window.clone()].partition_point(|of| key(of) <= pivot)
        };
        let ends: Vec<_> = windows.iter().zip(slices).map(up_to).collect();
        let sum = |added| {
            let of_kind = ends
                .iter()
                .zip(slices)
                .filter(|(_, (_, is_added))| *is_added == added);
            of_kind.map(|(&end, _)| end as u64).sum::<u64>()
        };
        let is_out = sum(true) - sum(false) <= count;
        for ((window, (keys, _)), end) in windows.iter_mut().zip(slices).zip(ends) {
            if is_out {
                window.start = end;
            } else {
                window.end = window.start + keys[window.clone()].partition_point(|of| key(of) < pivot);
            }
        }
    }
    let first_kept = slices
        .iter()
        .zip(&windows)
        .filter_map(|((keys, _), window)| keys.get(window.start));
    first_kept.map(key).min()
}
