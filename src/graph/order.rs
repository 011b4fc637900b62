//! Sorted orders of quads, and ranges in them.
//!
//! Every triple pattern is a range of one of three orders: by subject, by predicate and object, or by object and subject.
//! The default graph has these three; named graphs have them twice, with the graph first and with the graph last.

use super::{
    snapshot::{GraphPattern, Pattern},
    term::{QuadIds, TermId},
};

/// For each place in a key, the place in a quad (subject, predicate, object, graph).
pub(super) type Order<const N: usize> = [usize; N];

/// The orders of the default graph.
pub(super) const DEFAULT_ORDERS: [Order<3>; 3] = [[0, 1, 2], [1, 2, 0], [2, 0, 1]];
/// The orders of named graphs.
pub(super) const NAMED_ORDERS: [Order<4>; 6] = [
    [3, 0, 1, 2],
    [3, 1, 2, 0],
    [3, 2, 0, 1],
    [0, 1, 2, 3],
    [1, 2, 0, 3],
    [2, 0, 1, 3],
];
/// The order of the default graph that begins with the predicate.
const BY_PREDICATE: usize = 1;
/// How many of the named orders have the graph first.
const GRAPH_FIRST_COUNT: usize = 3;

/// A key in a sorted order.
pub(super) type SortKey<const N: usize> = [u32; N];

/// Returns the key of a quad.
pub(super) fn sort_key<const N: usize>(order: &Order<N>, quad: [u32; 4]) -> SortKey<N> {
    order.map(|place| quad[place])
}

/// Returns the quad of a key; places that the order does not have are 0.
pub(super) fn quad_of<const N: usize>(order: &Order<N>, key: &SortKey<N>) -> QuadIds {
    let mut quad = [0; 4];
    for (&place, &number) in order.iter().zip(key) {
        quad[place] = number;
    }
    QuadIds::from_array(quad)
}

/// Returns a number that sorts as the key does.
pub(super) fn pack<const N: usize>(key: &SortKey<N>) -> u128 {
    key.iter()
        .fold(0, |packed, &number| packed << 32 | u128::from(number))
}

/// Returns the key of a number that [`pack`] made of four places.
#[expect(clippy::cast_possible_truncation, reason = "the quarters of a number")]
pub(super) fn unpack(packed: u128) -> SortKey<4> {
    [96, 64, 32, 0].map(|shift| (packed >> shift) as u32)
}

/// The keys from `low` to `high`, both included, in one of the orders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds<const N: usize> {
    /// Which order of [`DEFAULT_ORDERS`] or [`NAMED_ORDERS`].
    pub(super) order: usize,
    pub(super) low: u128,
    pub(super) high: u128,
}

impl<const N: usize> Bounds<N> {
    pub(super) fn new(order: usize, prefix: &[u32]) -> Self {
        let bound = |fill: u32| {
            pack(&std::array::from_fn::<_, N, _>(|place| {
                *prefix.get(place).unwrap_or(&fill)
            }))
        };
        Self {
            order,
            low: bound(0),
            high: bound(u32::MAX),
        }
    }

    /// Returns the bounds of what comes after a key, in the same order.
    fn after(self, key: &SortKey<N>) -> Self {
        Self {
            low: self.low.max(pack(key).saturating_add(1)),
            ..self
        }
    }
}

/// Returns how many keys at the beginning are as `is_among` says, after which none is. Mostly they are few: it gallops before it
/// bisects.
pub(super) fn count_while<const N: usize>(
    keys: &[SortKey<N>],
    is_among: impl Fn(&SortKey<N>) -> bool,
) -> usize {
    let mut step = 1;
    while step < keys.len() && is_among(&keys[step - 1]) {
        step *= 2;
    }
    let (known, limit) = (step / 2, step.min(keys.len()));
    known + keys[known..limit].partition_point(is_among)
}

impl Bounds<4> {
    /// Returns the graph, if the order has it first: then all keys have the same.
    pub(super) fn graph(&self) -> Option<u32> {
        (self.order < GRAPH_FIRST_COUNT).then(|| unpack(self.high)[0])
    }

    /// Returns the same keys with one graph alone, in the order that has it first and all else alike.
    pub(super) fn in_graph(self, graph: u32) -> Self {
        if self.order < GRAPH_FIRST_COUNT {
            return self;
        }
        let [low_graph, high_graph] = [self.low, self.high].map(|key| unpack(key)[3]);
        let first = u128::from(graph) << 96;
        Self {
            order: self.order - GRAPH_FIRST_COUNT,
            low: first + (self.low >> 32) + u128::from(graph < low_graph),
            high: (first + (self.high >> 32)).saturating_sub(u128::from(graph > high_graph)),
        }
    }
}

/// Where the quads of a pattern are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Default(Bounds<3>),
    Named(Bounds<4>),
    Both(Bounds<3>, Bounds<4>),
}

impl Place {
    pub(super) fn of(pattern: Pattern) -> Self {
        let number = |part: Option<super::TermId>| part.map(super::TermId::get);
        let (order, parts) = match (
            number(pattern.subject),
            number(pattern.predicate),
            number(pattern.object),
        ) {
            (Some(subject), None, Some(object)) => (2, [Some(object), Some(subject), None]),
            (Some(subject), predicate, object) => (0, [Some(subject), predicate, object]),
            (None, Some(predicate), object) => (1, [Some(predicate), object, None]),
            (None, None, Some(object)) => (2, [Some(object), None, None]),
            (None, None, None) => (0, [None; 3]),
        };
        let mut prefix = [0; 4];
        let mut len = 0;
        let graph = if let GraphPattern::Named(graph) = pattern.graph {
            Some(graph.get())
        } else {
            None
        };
        for number in graph.into_iter().chain(parts.into_iter().flatten()) {
            prefix[len] = number;
            len += 1;
        }
        let prefix = &prefix[..len];
        match pattern.graph {
            GraphPattern::Default => Self::Default(Bounds::new(order, prefix)),
            GraphPattern::Named(_) => Self::Named(Bounds::new(order, prefix)),
            GraphPattern::AnyNamed => Self::Named(Bounds::new(order + GRAPH_FIRST_COUNT, prefix)),
            GraphPattern::Any => Self::Both(
                Bounds::new(order, prefix),
                Bounds::new(order + GRAPH_FIRST_COUNT, prefix),
            ),
        }
    }

    /// Returns the place of the quads of the default graph by predicate, those after one alone.
    pub(super) fn by_predicate(after: Option<TermId>) -> Self {
        let all = Bounds::new(BY_PREDICATE, &[]);
        Self::Default(match after {
            Some(predicate) => all.after(&[predicate.get(), u32::MAX, u32::MAX]),
            None => all,
        })
    }

    /// Returns the places of what comes after a quad, in the same orders.
    pub(super) fn after(self, quad: QuadIds) -> Self {
        let quad = quad.to_array();
        let in_default = |bounds: Bounds<3>| bounds.after(&sort_key(&DEFAULT_ORDERS[bounds.order], quad));
        let in_named = |bounds: Bounds<4>| bounds.after(&sort_key(&NAMED_ORDERS[bounds.order], quad));
        match self {
            Self::Default(bounds) => Self::Default(in_default(bounds)),
            Self::Named(bounds) => Self::Named(in_named(bounds)),
            Self::Both(default, named) => Self::Both(in_default(default), in_named(named)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_its_quad_are_each_other() {
        let quad = [1, 2, 3, 4];
        for order in &NAMED_ORDERS {
            assert_eq!(quad_of(order, &sort_key(order, quad)).to_array(), quad);
        }
        for order in &DEFAULT_ORDERS {
            assert_eq!(quad_of(order, &sort_key(order, quad)).to_array(), [1, 2, 3, 0]);
        }
    }
}
