//! Watchers whose readers are slow with the graph that they begin with.

use super::*;

/// Returns a base whose slow readers may hold so many bytes, and a watcher in the middle of a graph that is not the newest.
fn in_the_middle(past_memory_bytes_max: u64) -> (Base, Watcher) {
    let dir = tempfile::tempdir().unwrap();
    let knowledge = KnowledgeBase::open(Settings {
        past_memory_bytes_max,
        ..Settings::new(dir.path())
    });
    let base = Base::of(knowledge.unwrap(), dir, SETTINGS);
    let insert = |subject| {
        base.insert(
            &(0..2_000)
                .map(|object| quad(subject, object, 0))
                .collect::<Vec<_>>(),
        )
    };
    insert(1);
    let mut watcher = base.watch(Start::Snapshot, Filter::default());
    let first = base.runtime.block_on(watcher.next()).unwrap();
    assert!(matches!(
        first,
        Event::Snapshot(SnapshotFragment { is_last: false, .. })
    ));
    // Both are one layer now.
    insert(2);
    (base, watcher)
}

/// Sends what a watcher has to a reader who takes nothing.
fn end_of(base: &Base, watcher: Watcher) -> End {
    let (sender, _receiver) = tokio::sync::mpsc::channel(1);
    let sending = follow(watcher, sender, std::future::pending(), |_| ());
    base.runtime.block_on(sending)
}

#[test]
fn a_slow_reader_gives_way_once_the_graph_that_it_begins_with_takes_too_much() {
    let (base, mut watcher) = in_the_middle(0);
    assert!(!watcher.gives_way());
    assert!(!watcher.give_way());
    assert!(watcher.gives_way());
    let end = end_of(&base, watcher);
    assert!(matches!(end.reason, EndReason::TooSlow), "{end:?}");
    assert_eq!(end.resume_after, None);

    let (base, mut watcher) = in_the_middle(1 << 30);
    assert!(watcher.give_way());
    // It goes on, and with the commits after that graph.
    let parts = base.until_checkpoint(&mut watcher);
    let quads = |revision| {
        parts
            .iter()
            .filter(|part| part.0 == revision)
            .map(|part| part.1)
            .sum::<usize>()
    };
    assert_eq!((quads(1), quads(2)), (1_000, 2_000));
    drop(base);

    // Once it has all of that graph it holds nothing.
    let (base, mut watcher) = in_the_middle(0);
    base.until_checkpoint(&mut watcher);
    assert!(watcher.give_way());
}
