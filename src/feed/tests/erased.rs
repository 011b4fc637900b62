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
fn what_waits_for_a_reader_is_not_told_after_an_erasure() {
    let base = Base::new(SETTINGS);
    let watcher = base.watch(Start::After(0), Filter::default());
    // It reads for the first one, so that that finds all at hand.
    let mut other = base.watch(Start::After(0), Filter::default());
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let told = |event: Event| match event {
        Event::Commit(fragment) => (fragment.revision, fragment.changes.len()),
        other => (other.completes().unwrap().revision, 0),
    };
    let following = follow(watcher, sender, std::future::pending(), told);
    let mut following = std::pin::pin!(following);
    let mut go_on = || base.runtime.block_on(async { futures::poll!(&mut following) });
    assert!(go_on().is_pending());
    assert_eq!(receiver.try_recv().unwrap(), [(0, 0)]);
    for entity in [1, 2] {
        base.insert(&[quad(entity, 0, 0)]);
        while completed(&next(&base, &mut other).unwrap()) != Some(entity as u64) {}
        assert!(go_on().is_pending());
    }
    erase(&base, 2);
    assert_eq!(receiver.try_recv().unwrap(), [(1, 1)]);
    let end = base.runtime.block_on(following);
    assert!(matches!(end.reason, EndReason::Erased), "{end:?}");
    assert_eq!(end.resume_after.map(|mark| mark.revision), Some(1));
    assert!(receiver.try_recv().is_err(), "what was erased was told");
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
