//! Tests of how the index is kept while much is written, and after it.

use super::*;
use crate::knowledge::writer::LOAD_END;

#[test]
fn once_a_load_has_ended_the_index_is_merged_for_reads() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    let view = || base.read(&Access::everything());
    // Too large to merge while a commit waits, and the first is more than twice the second.
    commit(&base, inserting(0..30_000)).unwrap();
    let start = Instant::now();
    commit(&base, inserting(30_000..42_000)).unwrap();
    // Views are published anew when they are merged.
    let mut views = base.revisions();
    let merged = runtime().block_on(async {
        let merged = views.wait_for(|_| view().snapshot.due_merge().is_none());
        let merged = tokio::time::timeout(Duration::from_mins(1), merged).await;
        merged.map(|revision| *revision.unwrap())
    });
    assert_eq!(merged, Ok(2));
    assert!(
        start.elapsed() >= LOAD_END,
        "it did not wait for the end of the load"
    );
    assert_eq!(view().snapshot.quad_count(), 42_000);
}

#[test]
fn merges_wait_for_readers_of_earlier_revisions() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    commit(&base, inserting(0..54_000)).unwrap();
    let graph_bytes = base.read(&Access::everything()).snapshot.memory_bytes();
    base.close();
    let dir = tempfile::tempdir().unwrap();
    let base = KnowledgeBase::open(Settings {
        graph_memory_bytes_max: graph_bytes / 5 * 6,
        ..settings(&dir)
    })
    .unwrap();
    let merged = |count| {
        let mut views = base.revisions();
        runtime().block_on(async {
            let merged = views.wait_for(|_| base.merge_count() >= count);
            tokio::time::timeout(Duration::from_mins(1), merged)
                .await
                .unwrap()
                .unwrap();
        });
    };
    commit(&base, inserting(0..30_000)).unwrap();
    let reader = base.read(&Access::everything());
    commit(&base, inserting(30_000..42_000)).unwrap();
    merged(1);
    let start = Instant::now();
    commit(&base, inserting(42_000..54_000)).unwrap();
    // What the reader has, and the next merge, take more than the index may. Small commits are none of a load.
    let mut number = 54_000;
    while start.elapsed() < LOAD_END + Duration::from_secs(2) {
        commit(&base, inserting([number])).unwrap();
        number += 1;
        assert_eq!(base.merge_count(), 1);
    }
    assert!(base.read(&Access::everything()).snapshot.due_merge().is_some());
    drop(reader);
    merged(2);
}
