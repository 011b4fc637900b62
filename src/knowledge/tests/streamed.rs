//! Views of slow readers.

use super::*;

/// Commits a few quads more; all are small, so that they become one layer at once, and views of before have one of their own.
fn grow(base: &KnowledgeBase, turn: u64) {
    let batch = 1_000 * turn..1_000 * turn + 500;
    commit(base, inserting(batch)).unwrap();
}

/// Opens an empty one whose slow readers may hold so many bytes; returns it with readers of two views that are not the newest.
fn open_with(past_memory_bytes_max: u64) -> (TempDir, KnowledgeBase, [Streamed; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        past_memory_bytes_max,
        ..settings(&dir)
    };
    let base = KnowledgeBase::open(settings).unwrap();
    let readers = [1, 2].map(|turn| {
        grow(&base, turn);
        base.stream(base.read(&Access::everything()))
    });
    grow(&base, 3);
    (dir, base, readers)
}

#[test]
fn the_oldest_views_of_slow_readers_give_way_when_all_take_too_much() {
    let (_dir, base, [first, second]) = open_with(u64::MAX);
    let newest = base.read(&Access::everything()).snapshot;
    let second_bytes = second.view().snapshot.memory_bytes_beside(&newest);
    let bytes = newest.memory_bytes_of([&first.view().snapshot, &second.view().snapshot]);
    assert!(0 < second_bytes && second_bytes < bytes);
    base.close();
    for (bytes_max, give_way) in [
        (bytes, [false, false]),
        (bytes - 1, [true, false]),
        (second_bytes - 1, [true, true]),
    ] {
        let (_dir, base, mut readers) = open_with(bytes_max);
        for reader in &mut readers {
            reader.lingers();
        }
        assert_eq!(
            readers.each_ref().map(Streamed::gives_way),
            give_way,
            "{bytes_max}"
        );
        base.close();
    }
    // Those who are not slow, or gone, count for nothing.
    for is_gone in [false, true] {
        let (_dir, base, [mut first, mut second]) = open_with(bytes - 1);
        if is_gone {
            second.lingers();
            drop(second);
            assert!(!first.lingers());
        } else {
            assert!(!first.lingers() && !second.gives_way());
            // Now they do.
            assert!(!second.lingers() && first.gives_way());
        }
        base.close();
    }
}

#[test]
fn slow_readers_hold_nothing_while_the_writer_wants_the_room() {
    let (_dir, base, mut old) = open_with(u64::MAX);
    let mut newest = base.stream(base.read(&Access::everything()));
    let shared = &base.inner.shared;
    for is_wanted in [false, true] {
        shared.room_is_wanted.store(is_wanted, Ordering::Relaxed);
        for reader in &mut old {
            assert_eq!(reader.lingers(), is_wanted);
        }
        assert!(!newest.lingers());
    }
    base.close();
}
