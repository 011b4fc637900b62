//! Layers: what one or more commits added and removed, with the terms that they brought.

use std::{array, panic::resume_unwind, thread};

use super::{
    dictionary::Segment,
    keys::SortedKeys,
    order::{Bounds, DEFAULT_ORDERS, NAMED_ORDERS, Order, SortKey, count_while, pack, quad_of, sort_key},
    room::room,
    term::{QuadIds, TermId},
};

/// Quads from which on each order is sorted on a thread of its own.
const SORTED_APART_COUNT_MIN: usize = 1 << 18;

/// What came and what went in one sorted order. No key is in both, and relative to the layers below nothing is said twice.
#[derive(Clone, Debug)]
pub(super) struct Run<const N: usize> {
    pub(super) added: SortedKeys<N>,
    pub(super) removed: SortedKeys<N>,
}

impl<const N: usize> Default for Run<N> {
    fn default() -> Self {
        Self {
            added: SortedKeys::default(),
            removed: SortedKeys::default(),
        }
    }
}

impl<const N: usize> Run<N> {
    fn sorted(order: &Order<N>, added: &[[u32; 4]], removed: &[[u32; 4]]) -> Self {
        let sorted = |quads: &[[u32; 4]]| {
            let mut keys = room(quads.len());
            keys.extend(quads.iter().map(|&quad| sort_key(order, quad)));
            keys.sort_unstable_by_key(pack);
            SortedKeys::new(keys)
        };
        Self {
            added: sorted(added),
            removed: sorted(removed),
        }
    }

    /// Returns what this run and then a newer one did.
    fn merged(&self, newer: &Self) -> Self {
        Self {
            added: SortedKeys::new(union_less(
                &self.added,
                &newer.removed,
                &newer.added,
                &self.removed,
            )),
            removed: SortedKeys::new(union_less(
                &self.removed,
                &newer.added,
                &newer.removed,
                &self.added,
            )),
        }
    }

    /// Tells what the run says of a key: added, removed, or nothing.
    pub(super) fn says(&self, key: &SortKey<N>) -> Option<bool> {
        if self.added.has(key) {
            Some(true)
        } else if self.removed.has(key) {
            Some(false)
        } else {
            None
        }
    }

    fn memory_bytes(&self) -> usize {
        self.added.memory_bytes() + self.removed.memory_bytes()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// Returns quads in each of some orders.
fn sorted<const N: usize, const K: usize>(
    orders: &'static [Order<N>; K],
    added: &[[u32; 4]],
    removed: &[[u32; 4]],
) -> [Run<N>; K] {
    if added.len() + removed.len() < SORTED_APART_COUNT_MIN {
        return orders.each_ref().map(|order| Run::sorted(order, added, removed));
    }
    thread::scope(|scope| {
        let threads = orders.each_ref().map(|order| {
            let sort = move || Run::sorted(order, added, removed);
            (order, thread::Builder::new().spawn_scoped(scope, sort))
        });
        threads.map(|(order, thread)| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            // Where there may be no more threads this one sorts.
            Err(_) => Run::sorted(order, added, removed),
        })
    })
}

/// Returns the sorted union of `old` without `old_less` and `new` without `new_less`; all are sorted, `old` and `new` disjoint.
fn union_less<const N: usize>(
    old: &[SortKey<N>],
    old_less: &[SortKey<N>],
    new: &[SortKey<N>],
    new_less: &[SortKey<N>],
) -> Vec<SortKey<N>> {
    if old_less.is_empty() && new_less.is_empty() {
        return union(old, new);
    }
    let mut union = room(old.len() + new.len());
    let mut old = Less {
        keys: old,
        less: old_less,
    };
    let mut new = Less {
        keys: new,
        less: new_less,
    };
    let (mut next_old, mut next_new) = (old.next(), new.next());
    loop {
        match (next_old, next_new) {
            (Some(key), other) if other.is_none_or(|other| pack(&key) < pack(&other)) => {
                union.push(key);
                next_old = old.next();
            }
            (_, Some(key)) => {
                union.push(key);
                next_new = new.next();
            }
            (_, None) => break,
        }
    }
    union.shrink_to_fit();
    union
}

/// Returns the sorted union of disjoint sorted keys, which is copied run by run: what comes together mostly belongs together.
fn union<'a, const N: usize>(mut one: &'a [SortKey<N>], mut other: &'a [SortKey<N>]) -> Vec<SortKey<N>> {
    let mut union = room(one.len() + other.len());
    while let Some(first) = other.first().map(pack) {
        let (run, rest) = one.split_at(count_while(one, |key| pack(key) < first));
        union.extend_from_slice(run);
        (one, other) = (other, rest);
    }
    union.extend_from_slice(one);
    union
}

/// Sorted keys without others.
struct Less<'a, const N: usize> {
    keys: &'a [SortKey<N>],
    less: &'a [SortKey<N>],
}

impl<const N: usize> Less<'_, N> {
    fn next(&mut self) -> Option<SortKey<N>> {
        while let Some((&key, rest)) = self.keys.split_first() {
            self.keys = rest;
            while let Some((less, others)) = self.less.split_first()
                && pack(less) < pack(&key)
            {
                self.less = others;
            }
            if self.less.first() != Some(&key) {
                return Some(key);
            }
        }
        None
    }
}

/// Changes to the graph, whole: every order says the same.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// The terms that came with it.
    pub(super) terms: Segment,
    /// The default graph, in [`DEFAULT_ORDERS`].
    pub(super) default: [Run<3>; 3],
    /// Named graphs, in [`NAMED_ORDERS`].
    pub(super) named: [Run<4>; 6],
    /// The named graphs that came to exist or were dropped.
    pub(super) graphs: Run<1>,
}

impl Layer {
    /// Returns a layer without quads.
    pub(super) fn empty(first_term: u32) -> Self {
        Self {
            terms: Segment::new(first_term),
            default: array::from_fn(|_| Run::default()),
            named: array::from_fn(|_| Run::default()),
            graphs: Run::default(),
        }
    }

    /// Returns a layer of distinct, effective quads.
    pub(super) fn new(terms: Segment, added: &[[u32; 4]], removed: &[[u32; 4]], graphs: Run<1>) -> Self {
        let split = |quads: &[[u32; 4]]| quads.iter().partition::<Vec<_>, _>(|quad| quad[3] == 0);
        let (default_added, named_added) = split(added);
        let (default_removed, named_removed) = split(removed);
        Self {
            terms,
            default: sorted(&DEFAULT_ORDERS, &default_added, &default_removed),
            named: sorted(&NAMED_ORDERS, &named_added, &named_removed),
            graphs,
        }
    }

    /// Returns what this layer and then a newer one, right above it, did.
    pub(super) fn merged(&self, newer: &Self) -> Self {
        Self {
            terms: self.terms.followed_by(&newer.terms),
            default: array::from_fn(|order| self.default[order].merged(&newer.default[order])),
            named: array::from_fn(|order| self.named[order].merged(&newer.named[order])),
            graphs: self.graphs.merged(&newer.graphs),
        }
    }

    /// Iterates over inserted quads, the default graph's first.
    pub(super) fn inserted(&self) -> impl Iterator<Item = QuadIds> + '_ {
        quads(&self.default[0].added, &self.named[0].added)
    }

    /// Iterates over removed quads, the default graph's first.
    pub(super) fn removed(&self) -> impl Iterator<Item = QuadIds> + '_ {
        quads(&self.default[0].removed, &self.named[0].removed)
    }

    /// Iterates over the inserted quads of one graph, by subject.
    pub(super) fn inserted_in(&self, graph: TermId) -> impl Iterator<Item = QuadIds> + '_ {
        quads_in(graph, &self.default[0].added, &self.named[0].added)
    }

    /// Iterates over the removed quads of one graph, by subject.
    pub(super) fn removed_in(&self, graph: TermId) -> impl Iterator<Item = QuadIds> + '_ {
        quads_in(graph, &self.default[0].removed, &self.named[0].removed)
    }

    pub(super) fn inserted_count(&self) -> usize {
        self.default[0].added.len() + self.named[0].added.len()
    }

    pub(super) fn removed_count(&self) -> usize {
        self.default[0].removed.len() + self.named[0].removed.len()
    }

    /// Tells whether it says nothing of quads and graphs. It may still have terms.
    pub(super) fn is_void(&self) -> bool {
        self.default[0].is_empty() && self.named[0].is_empty() && self.graphs.is_empty()
    }

    /// Returns what a merge of the layer costs: quads and terms.
    pub(super) fn weight(&self) -> usize {
        self.inserted_count() + self.removed_count() + self.terms.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.terms.memory_bytes()
            + self.default.iter().map(Run::memory_bytes).sum::<usize>()
            + self.named.iter().map(Run::memory_bytes).sum::<usize>()
            + self.graphs.memory_bytes()
    }
}

fn quads<'a>(default: &'a [[u32; 3]], named: &'a [[u32; 4]]) -> impl Iterator<Item = QuadIds> + 'a {
    let default = default.iter().map(|key| quad_of(&DEFAULT_ORDERS[0], key));
    default.chain(named.iter().map(|key| quad_of(&NAMED_ORDERS[0], key)))
}

fn quads_in<'a>(
    graph: TermId,
    default: &'a [[u32; 3]],
    named: &'a SortedKeys<4>,
) -> impl Iterator<Item = QuadIds> + 'a {
    if graph == TermId::DEFAULT_GRAPH {
        quads(default, &[])
    } else {
        quads(&[], named.within(&Bounds::new(0, &[graph.get()])))
    }
}
