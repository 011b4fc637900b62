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
