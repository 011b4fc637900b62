//! What was erased is not told any more, also not by who has read it before.

use super::*;
use crate::knowledge::EraseRequest;

fn erase(base: &Base, entity: usize) {
    let erased = base.feed.knowledge().erase(EraseRequest {
        entity: node(entity),
        author: String::new(),
        message: String::new(),
        validate_only: false,
        witness: None,
    });
    assert!(base.runtime.block_on(erased).unwrap().record_count > 0);
}

fn next(base: &Base, watcher: &mut Watcher) -> Result<Event, FeedError> {
    base.runtime.block_on(watcher.next())
}

#[test]
fn commits_that_are_at_hand_are_read_again() {
    let base = Base::new(SETTINGS);
    for object in 0..5 {
        base.insert(&[quad(1, object, 0), quad(2, object, 0)]);
    }
    let mut watcher = base.watch(Start::After(0), Filter::default());
    assert_eq!(completed(&next(&base, &mut watcher).unwrap()), Some(1));
    assert_eq!(completed(&watcher.at_hand().unwrap()), Some(2));
    erase(&base, 1);
    assert!(watcher.at_hand().is_none());
    for revision in 3..=5 {
        let Event::Commit(fragment) = next(&base, &mut watcher).unwrap() else {
            panic!("it is a commit");
        };
        assert_eq!(fragment.revision, revision);
        assert!(fragment.header.unwrap().is_redacted);
        assert_eq!(fragment.changes.len(), 1);
    }
}

#[test]
fn a_graph_or_a_commit_that_is_told_in_part_ends() {
    let base = Base::new(SETTINGS);
    let some: Vec<_> = (0..2 * FRAGMENT_CHANGE_COUNT_MAX)
        .map(|o| quad(1 + o % 2, o, 0))
        .collect();
    let many: Vec<_> = (0..20_000).map(|o| quad(3 + o % 2, o, 0)).collect();
    base.insert(&some);
    base.insert(&many);
    for (start, entity) in [(Start::After(0), 1), (Start::After(1), 3), (Start::Snapshot, 4)] {
        let mut watcher = base.watch(start, Filter::default());
        assert_eq!(completed(&next(&base, &mut watcher).unwrap()), None);
        erase(&base, entity);
        let ended = next(&base, &mut watcher);
        assert!(matches!(ended, Err(FeedError::Erased)), "{start:?}: {ended:?}");
    }
}

#[test]
fn what_is_read_while_it_is_erased_is_not_told() {
    let base = Base::new(SETTINGS);
    let some: Vec<_> = (0..2 * FRAGMENT_CHANGE_COUNT_MAX)
        .map(|o| quad(1 + o % 2, o, 0))
        .collect();
    let many: Vec<_> = (0..20_000).map(|o| quad(3 + o % 2, o, 0)).collect();
    base.insert(&some);
    base.insert(&many);
    for (start, entity) in [(Start::After(1), 3), (Start::Snapshot, 4)] {
        let mut watcher = base.watch(start, Filter::default());
        assert_eq!(completed(&next(&base, &mut watcher).unwrap()), None);
        let reading = watcher.next();
        let mut reading = std::pin::pin!(reading);
        // The step is taken on a thread of its own, which nobody waits for until it is erased.
        let begun = base.runtime.block_on(async { futures::poll!(&mut reading) });
        erase(&base, entity);
        if begun.is_pending() {
            let told = base.runtime.block_on(reading);
            assert!(matches!(told, Err(FeedError::Erased)), "{start:?}: {told:?}");
        }
    }
}

#[test]
fn a_difference_is_of_one_state_and_is_not_told_after_an_erasure() {
    let base = Base::new(SETTINGS);
    for object in 0..4 {
        base.insert(&[quad(1, object, 0), quad(2, object, 0)]);
    }
    let newest = base.feed.revision();
    let looks = Cell::new(0);
    let is_over = || {
        looks.set(looks.get() + 1);
        if looks.get() == 2 {
            erase(&base, 1);
        }
        false
    };
    let diff = base.feed.diff(&Access::everything(), 0, newest, is_over);
    assert!(matches!(diff, Err(DiffError::Erased)), "{diff:?}");
    let diff = base
        .feed
        .diff(&Access::everything(), 0, newest, || false)
        .unwrap();
    assert_eq!(diff.erasure_count(), base.feed.erasure_count());
    erase(&base, 2);
    assert_ne!(diff.erasure_count(), base.feed.erasure_count());
}
