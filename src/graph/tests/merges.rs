//! Tests of which layers are merged, and when.

use super::*;
use crate::graph::{
    dictionary::Segment,
    layer::{Layer, Run},
};

/// Returns a snapshot with so many new quads on top.
fn with_quads(snapshot: &Snapshot, count: u32) -> Snapshot {
    let first = u32::try_from(snapshot.quad_count()).unwrap();
    let quads: Vec<_> = (first..first + count)
        .map(|number| [number + 1, 1, 1, 0])
        .collect();
    snapshot.with_layer(Layer::new(Segment::new(1), &quads, &[], Run::default()))
}

fn weights(snapshot: &Snapshot) -> Vec<usize> {
    snapshot.layers.iter().map(|layer| layer.weight()).collect()
}

#[test]
fn a_load_merges_each_quad_a_few_times_and_leaves_few_layers() {
    let mut snapshot = Snapshot::default();
    let mut merged_count = 0;
    for piece in 1..=256_u32 {
        snapshot = with_quads(&snapshot, 10);
        while let Some(merge) = snapshot.due_merge_loading() {
            let merged = snapshot.with_merged(&merge.run());
            let new = merged.layers.iter().filter(|layer| !snapshot.has_layer(layer));
            merged_count += new.map(|layer| layer.weight()).sum::<usize>();
            snapshot = merged;
        }
        assert_eq!(snapshot.quad_count(), u64::from(piece) * 10);
        assert_eq!(snapshot.layers.len(), piece.count_ones() as usize);
    }
    // Once for each time that the graph doubles.
    assert_eq!(merged_count, 8 * 2_560);
}

#[test]
fn what_another_snapshot_has_is_not_merged_beside_it() {
    // During a load the newest graph has layers whose merge a read would want.
    let mut newest = Snapshot::default();
    for count in [40_000, 2_000, 1_000] {
        newest = with_quads(&newest, count);
    }
    assert!(newest.due_merge().is_some());
    let merged = newest.clone().merged_beside(&newest, u64::MAX);
    assert_eq!(merged.memory_bytes_beside(&newest), 0);
    // What is put on top of it is merged, and with it only if there is much of it.
    let mut past = newest.clone();
    for _ in 0..20 {
        past = with_quads(&past, 10).merged_beside(&newest, u64::MAX);
    }
    assert_eq!(past.quad_count(), 43_200);
    assert!(past.layers.len() <= 4, "{:?}", weights(&past));
    let is_shared = |past: &Snapshot| {
        past.layers
            .iter()
            .map(|layer| newest.has_layer(layer))
            .collect::<Vec<_>>()
    };
    assert_eq!(is_shared(&past), [true, true, true, false]);
    past = with_quads(&past, 400).merged_beside(&newest, u64::MAX);
    assert_eq!(is_shared(&past), [true, false]);
}

proptest! {
    #[test]
    fn each_layer_outweighs_the_next_as_it_should(counts in vec(1..500_u32, 1..80)) {
        let mut snapshot = Snapshot::default();
        let is_as_it_should = |snapshot: &Snapshot, ratio: usize| {
            weights(snapshot).windows(2).all(|pair| pair[0] >= ratio * pair[1])
        };
        for count in &counts {
            snapshot = with_quads(&snapshot, *count);
            while let Some(merge) = snapshot.due_merge_loading() {
                snapshot = snapshot.with_merged(&merge.run());
            }
            prop_assert!(is_as_it_should(&snapshot, 2), "{:?}", weights(&snapshot));
        }
        // When the load has ended, reads have their way.
        while let Some(merge) = snapshot.due_merge() {
            snapshot = snapshot.with_merged(&merge.run());
        }
        prop_assert!(is_as_it_should(&snapshot, 16), "{:?}", weights(&snapshot));
        prop_assert_eq!(snapshot.quad_count(), u64::from(counts.iter().sum::<u32>()));
        let subjects: Vec<_> = snapshot.quads(Pattern::all(GraphPattern::Default)).map(|quad| quad.subject.get()).collect();
        prop_assert!(subjects.iter().copied().eq(1..=counts.iter().sum::<u32>()));
    }
}
