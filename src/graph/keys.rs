//! Sorted keys, and a search in them that meets few lines of memory.

use std::ops::Deref;

use super::order::{Bounds, SortKey, count_while, pack};

/// A fence is the first of so many keys.
const STRIDE: usize = 64;
/// Keys from which on they have fences: fewer stay in the processor's cache.
const FENCED_COUNT_MIN: usize = 16 * STRIDE;

/// Distinct keys in their order.
#[derive(Clone, Debug)]
pub(super) struct SortedKeys<const N: usize> {
    keys: Vec<SortKey<N>>,
    /// The fences of the keys, then the fences of those, until they are few.
    fences: Vec<Vec<SortKey<N>>>,
}

impl<const N: usize> Default for SortedKeys<N> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl<const N: usize> SortedKeys<N> {
    /// Takes keys that are sorted and distinct.
    pub(super) fn new(keys: Vec<SortKey<N>>) -> Self {
        let mut fences: Vec<Vec<_>> = Vec::new();
        loop {
            let below = fences.last().unwrap_or(&keys);
            if below.len() < FENCED_COUNT_MIN {
                return Self { keys, fences };
            }
            let fence = below.iter().copied().step_by(STRIDE).collect();
            fences.push(fence);
        }
    }

    /// Returns the place of the first key that is not below a bound.
    pub(super) fn place_of(&self, bound: u128) -> usize {
        let levels = self.fences.iter().rev().chain([&self.keys]);
        let place = levels.fold(None, |place: Option<usize>, level| {
            // It comes after the last fence below the bound, and is at the next one at the latest.
            let within = place.map_or(0..level.len(), |place| {
                place.saturating_sub(1) * STRIDE..(place * STRIDE).min(level.len())
            });
            let below = level[within.clone()].partition_point(|key| pack(key) < bound);
            Some(within.start + below)
        });
        place.unwrap_or(0)
    }

    /// Returns the keys within bounds.
    pub(super) fn within(&self, bounds: &Bounds<N>) -> &[SortKey<N>] {
        let rest = &self.keys[self.place_of(bounds.low)..];
        &rest[..count_while(rest, |key| pack(key) <= bounds.high)]
    }

    pub(super) fn has(&self, key: &SortKey<N>) -> bool {
        self.keys.get(self.place_of(pack(key))) == Some(key)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let count = self.keys.capacity() + self.fences.iter().map(Vec::capacity).sum::<usize>();
        count * size_of::<SortKey<N>>()
    }
}

impl<const N: usize> Deref for SortedKeys<N> {
    type Target = [SortKey<N>];

    fn deref(&self) -> &Self::Target {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_within_bounds_are_those_of_a_linear_scan() {
        let keys = (0..5).flat_map(|a| (0..4).flat_map(move |b| (0..3).map(move |c| [a, b, 2 * c])));
        let keys = SortedKeys::new(keys.collect());
        for prefix in [
            &[][..],
            &[0],
            &[2],
            &[4],
            &[9],
            &[2, 0],
            &[2, 3],
            &[2, 3, 2],
            &[2, 3, 3],
            &[4, 3, 4],
        ] {
            let expected: Vec<_> = keys.iter().filter(|key| key.starts_with(prefix)).collect();
            let within = keys.within(&Bounds::new(0, prefix));
            assert_eq!(within.iter().collect::<Vec<_>>(), expected, "{prefix:?}");
        }
    }

    #[test]
    fn fences_find_every_place() {
        // None, one and two levels of fences, whole and with a rest.
        let fenced = u32::try_from(FENCED_COUNT_MIN).unwrap();
        let stride = u32::try_from(STRIDE).unwrap();
        for (count, level_count) in [
            (0, 0),
            (fenced - 1, 0),
            (fenced, 1),
            (fenced + 1, 1),
            (fenced * stride, 2),
            (fenced * stride + 1, 2),
        ] {
            let keys = SortedKeys::new((0..count).map(|number| [2 * number + 1]).collect());
            assert_eq!(keys.fences.len(), level_count, "{count}");
            for number in 0..count {
                let key = 2 * number + 1;
                let place = number as usize;
                assert_eq!(keys.place_of(u128::from(key - 1)), place, "{count}");
                assert_eq!(keys.place_of(u128::from(key)), place, "{count}");
                assert!(keys.has(&[key]) && !keys.has(&[key - 1]), "{count}");
            }
            assert_eq!(keys.place_of(u128::MAX), count as usize);
        }
    }
}
