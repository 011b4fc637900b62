//! Headers, as they are listed to who may read some graphs.

use super::*;
use crate::{knowledge::Retention, model::access::GraphSet};

const ALL: Listing = Listing {
    after: None,
    newest_first: true,
    from_us: 0,
    until_us: u64::MAX,
    count_max: 10,
};

#[test]
fn a_reader_of_some_graphs_lists_a_compacted_log_to_its_end() {
    let base = Base::new(SETTINGS);
    for number in 0..6 {
        base.insert(&[quad(number, 0, 7 + number % 2)]);
    }
    let base = base.compacted(3);
    let mut reads = GraphSet::default();
    reads.add(node(7).as_str());
    let access = Access::new("r", reads, GraphSet::default(), false);
    let list = |newest_first| {
        let listing = Listing { newest_first, ..ALL };
        let page = base.feed.headers(&access, listing, || false).unwrap();
        assert_eq!(page.next_after, None);
        let revisions = page.headers.iter().map(|header| header.revision);
        revisions.collect::<Vec<_>>()
    };
    // What revision 3 changed, the base record does not tell.
    assert_eq!(list(true), [5]);
    assert_eq!(list(false), [5]);
    assert_eq!(base.feed.header(&access, 3, || false).unwrap(), None);
    assert!(base.feed.header(&access, 5, || false).unwrap().is_some());
    assert!(base.feed.header(&access, 2, || false).is_err());
    // A page token may say anything.
    for newest_first in [false, true] {
        let listing = Listing {
            after: Some(u64::MAX),
            newest_first,
            ..ALL
        };
        let page = base.feed.headers(&access, listing, || false).unwrap();
        assert_eq!(page.headers.len(), usize::from(newest_first));
    }
}

/// As it is in the moment in which the compacted log is there, and nobody was told so far.
#[test]
fn a_page_that_goes_on_misses_no_commit_that_was_compacted_away_just_now() {
    let base = Base::new(SETTINGS);
    for number in 0..6 {
        base.insert(&[quad(number, 0, 7)]);
    }
    let base = base.compacted(3);
    let mut reads = GraphSet::default();
    reads.add(node(7).as_str());
    let restricted = Access::new("r", reads, GraphSet::default(), false);
    for access in [Access::everything(), restricted] {
        let listed = |after, low, high| {
            let listing = Listing {
                after,
                newest_first: false,
                ..ALL
            };
            base.feed.listed(&access, listing, (low, high), &|| false)
        };
        for high in [2, 6] {
            let page = listed(Some(1), 2, high);
            assert!(
                matches!(
                    page,
                    Err(FeedError::Log(LogError::Compacted {
                        revision: 2,
                        earliest: 3
                    }))
                ),
                "{page:?}"
            );
        }
        let revisions =
            |page: HeaderPage| -> Vec<_> { page.headers.iter().map(|header| header.revision).collect() };
        assert_eq!(revisions(listed(Some(3), 4, 6).unwrap()), [4, 5, 6]);
        let rest = listed(Some(2), 3, 6);
        let whole = revisions(listed(None, 2, 6).unwrap());
        if access.reads().is_everything() {
            assert_eq!(revisions(rest.unwrap()), [3, 4, 5, 6]);
            assert_eq!(whole, [3, 4, 5, 6]);
        } else {
            // Nobody knows any more whether they could see what the third changed.
            assert!(
                matches!(
                    rest,
                    Err(FeedError::Log(LogError::Compacted {
                        revision: 3,
                        earliest: 3
                    }))
                ),
                "{rest:?}"
            );
            assert_eq!(whole, [4, 5, 6]);
        }
    }
}

#[test]
fn what_nobody_waits_for_is_given_up() {
    let base = Base::new(SETTINGS);
    base.insert(
        &(0..2 * CHANGES_PER_LOOK)
            .map(|o| quad(1, o, 0))
            .collect::<Vec<_>>(),
    );
    base.insert(&[quad(2, 1, 0)]);
    // Nothing of it may be seen.
    let access = Access::new("r", GraphSet::default(), GraphSet::default(), false);
    for is_over in [false, true] {
        let looks = Cell::new(0);
        let look = || {
            looks.set(looks.get() + 1);
            is_over
        };
        let check = |is_given_up: bool| {
            assert_eq!(is_given_up, is_over);
            assert!(looks.take() > 0);
        };
        let header = base.feed.header(&access, 1, look);
        check(matches!(header, Err(FeedError::Over)));
        let page = base.feed.headers(&access, ALL, look);
        check(matches!(page, Err(FeedError::Over)));
        let past = Past::at(&base.feed, 1, &look);
        check(matches!(past, Err(FeedError::Over)));
    }
    let waiting = Waiting::default();
    let is_over = waiting.is_over();
    assert!(!is_over());
    drop(waiting);
    assert!(is_over());
}

#[test]
fn a_listing_is_of_one_state_of_the_log_and_every_commit_counts() {
    let dir = tempfile::tempdir().unwrap();
    let knowledge = KnowledgeBase::open(Settings {
        disk_free_bytes_min: 0,
        retention: Retention {
            bytes_max: Some(1),
            revision_count_min: 1,
            waits_for_backups: true,
            ..Retention::default()
        },
        ..Settings::new(dir.path())
    });
    let base = Base::of(knowledge.unwrap(), dir, SETTINGS);
    let count = CHANGES_PER_LOOK / 2 + 10;
    for object in 0..count {
        base.insert(&[quad(1, object, 0)]);
    }
    let knowledge = base.feed.knowledge();
    // Nothing of it may be seen.
    let access = Access::new("r", GraphSet::default(), GraphSet::default(), false);
    let (looks, more) = (Cell::new(0), Cell::new(0));
    let look = || {
        looks.set(looks.get() + 1);
        // The log is compacted beyond where the listing is.
        knowledge.tell_backed_up(u64::MAX);
        while knowledge.earliest_revision() < count as u64 {
            more.set(more.get() + 1);
            base.insert(&[quad(2, more.get(), 0)]);
        }
        false
    };
    let listing = Listing {
        newest_first: false,
        ..ALL
    };
    let page = base.feed.headers(&access, listing, look).unwrap();
    assert_eq!((page.headers.len(), page.next_after), (0, None));
    assert_eq!(looks.get(), 1);
}
