//! Which commits a watcher has: what tells one history from another.

use super::*;
use crate::model::access::GraphSet;

fn reach(base: &Base, known: Known) -> Result<(), FeedError> {
    base.runtime.block_on(base.feed.reach(known, None))
}

fn known(mark: Mark) -> Known {
    Known {
        revision: mark.revision,
        hash: Some(mark.hash),
    }
}

/// Returns what a watcher is told to resume after, until it has caught up.
fn told(base: &Base, start: Start, output: Output) -> Vec<Mark> {
    let access = Access::everything();
    let wanted = (Filter::default(), output);
    let watch = base.feed.watch(&access, start, wanted, Duration::from_hours(1));
    let mut watcher = base.runtime.block_on(watch).unwrap();
    let mut told = Vec::from_iter(watcher.resume_after());
    loop {
        let event = base.runtime.block_on(watcher.next()).unwrap();
        told.extend(event.completes());
        if let Event::Checkpoint(mark) = event {
            assert_eq!(watcher.resume_after(), Some(mark));
            return told;
        }
    }
}

#[test]
fn every_mark_that_is_told_is_that_of_the_log() {
    let base = Base::new(FeedSettings {
        diff_bytes_max: 64 << 20,
        ..SETTINGS
    });
    let marks = |base: &Base, revisions: &[u64]| -> Vec<_> {
        let mark = |&revision: &u64| match revision {
            0 => Mark::default(),
            revision => Mark::of(&base.feed.log().header(revision).unwrap()),
        };
        revisions.iter().map(mark).collect()
    };
    assert_eq!(told(&base, Start::Now, Output::Quads), marks(&base, &[0, 0]));
    base.insert(&[quad(1, 0, 0)]);
    // Too large to be shared.
    base.insert(&(0..20_000).map(|o| quad(2, o, 0)).collect::<Vec<_>>());
    base.insert(&[quad(3, 0, 0)]);
    for output in [Output::Quads, Output::Facts] {
        let check = |start, revisions: &[u64]| {
            assert_eq!(told(&base, start, output), marks(&base, revisions), "{start:?}");
        };
        check(Start::After(0), &[0, 1, 2, 3, 3]);
        check(Start::After(1), &[1, 2, 3, 3]);
        check(Start::Earliest, &[0, 1, 2, 3, 3]);
        check(Start::Now, &[3, 3]);
        check(Start::Snapshot, &[3, 3]);
    }
    // A reader of other graphs is told the same, be it of commits that it may not see.
    let access = Access::new("r", GraphSet::default(), GraphSet::default(), false);
    let wanted = (Filter::default(), Output::Quads);
    let watch = base
        .feed
        .watch(&access, Start::After(0), wanted, Duration::from_hours(1));
    let mut watcher = base.runtime.block_on(watch).unwrap();
    let event = base.runtime.block_on(watcher.next()).unwrap();
    assert_eq!(Vec::from_iter(event.completes()), marks(&base, &[3]));
    let base = base.compacted(1);
    assert_eq!(
        told(&base, Start::Earliest, Output::Quads),
        marks(&base, &[2, 3, 3])
    );
}

#[test]
fn a_watcher_of_another_history_is_refused_where_it_stands() {
    let base = Base::new(SETTINGS);
    let other = Base::new(SETTINGS);
    for number in 0..3 {
        base.insert(&[quad(number, 0, 0)]);
        other.insert(&[quad(number, 0, 0)]);
    }
    let of = |base: &Base, revision| known(Mark::of(&base.feed.log().header(revision).unwrap()));
    for revision in 1..=3 {
        reach(&base, of(&base, revision)).unwrap();
        let refused = reach(&base, of(&other, revision)).unwrap_err();
        assert!(
            matches!(refused, FeedError::OtherHistory { revision: at } if at == revision),
            "{refused}"
        );
        reach(&base, Known { revision, hash: None }).unwrap();
    }
    // Newer than all: with a hash it was there once, and nothing is waited for.
    let hash = Some(7);
    let refused = reach(&base, Known { revision: 4, hash }).unwrap_err();
    assert!(
        matches!(refused, FeedError::OtherHistory { revision: 4 }),
        "{refused}"
    );
    let refused = reach(
        &base,
        Known {
            revision: 4,
            hash: None,
        },
    )
    .unwrap_err();
    assert!(matches!(refused, FeedError::NotReached(_)), "{refused}");
    let base = base.compacted(1);
    let earliest = base.feed.knowledge().earliest_revision();
    assert_eq!(earliest, 2);
    reach(&base, of(&base, 2)).unwrap();
    for (revision, hash) in [(1, Some(7)), (0, None), (0, Some(0))] {
        let refused = reach(&base, Known { revision, hash }).unwrap_err();
        let is_compacted = matches!(
            refused,
            FeedError::Log(LogError::Compacted { revision: at, earliest: 2 }) if at == revision
        );
        assert!(is_compacted, "{refused}");
    }
}
