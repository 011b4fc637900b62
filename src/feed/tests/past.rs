//! Watches that need the graph of a revision: what it takes, and who has a place for it.

use super::*;

fn facts(base: &Base, start: Start) -> Watcher {
    watching(base, start, (Filter::default(), Output::Facts))
}

fn watching(base: &Base, start: Start, wanted: (Filter, Output)) -> Watcher {
    let access = Access::everything();
    let watch = base.feed.watch(&access, start, wanted, Duration::from_hours(1));
    base.runtime.block_on(watch).unwrap()
}

fn next(base: &Base, watcher: &mut Watcher) -> Result<Event, FeedError> {
    base.runtime.block_on(watcher.next())
}

/// Commits more text than is shared among watchers.
fn insert_many(base: &Base, subject: usize) {
    base.insert(&(0..20_000).map(|o| quad(subject, o, 0)).collect::<Vec<_>>());
}

#[test]
fn what_a_graph_and_a_commit_take_is_limited() {
    let base = Base::new(FeedSettings {
        diff_bytes_max: 200_000,
        ..SETTINGS
    });
    for subject in 1..=40 {
        base.insert(&(0..200).map(|o| quad(subject, o, 0)).collect::<Vec<_>>());
    }
    let is_too_much =
        |told: &Result<Event, FeedError>| matches!(told, Err(FeedError::TooFarBack { bytes_max: 200_000 }));
    // The first commits make little; all of them make more than it may take, and so does the way back from the newest.
    let mut watcher = facts(&base, Start::After(0));
    let mut count = 0;
    let end = loop {
        match next(&base, &mut watcher) {
            Ok(_) => count += 1,
            end => break end,
        }
    };
    assert!(is_too_much(&end), "{end:?}");
    assert!(count < 40, "{count}");
    // Near the newest it takes little beside that.
    let mut near = facts(&base, Start::After(38));
    for revision in [39, 40, 40] {
        assert_eq!(completed(&next(&base, &mut near).unwrap()), Some(revision));
    }
    insert_many(&base, 50);
    let end = next(&base, &mut near);
    assert!(is_too_much(&end), "{end:?}");
}

#[test]
fn a_large_commit_need_not_be_taken_back_by_who_was_up_to_date() {
    let base = Base::new(FeedSettings {
        // To take the commit back takes more, and to take it over takes less.
        diff_bytes_max: 4 << 20,
        ..SETTINGS
    });
    base.insert(&[quad(1, 0, 0)]);
    let mut watchers = [facts(&base, Start::After(0)), facts(&base, Start::After(0))];
    for watcher in &mut watchers {
        for revision in [1, 1] {
            assert_eq!(completed(&next(&base, watcher).unwrap()), Some(revision));
        }
    }
    let [at_once, behind_others] = &mut watchers;
    insert_many(&base, 2);
    let mut parts = 0;
    while completed(&next(&base, at_once).unwrap()) != Some(2) {
        parts += 1;
    }
    assert!(parts > 1);
    base.insert(&[quad(1, 1, 0)]);
    insert_many(&base, 3);
    // It is two large commits behind, with a small one between them.
    for revision in 2..=4 {
        while completed(&next(&base, behind_others).unwrap()) != Some(revision) {}
    }
    // A small one before the large one.
    for revision in 3..=4 {
        while completed(&next(&base, at_once).unwrap()) != Some(revision) {}
    }
    // Who was not there has to take it back.
    let end = next(&base, &mut facts(&base, Start::After(3)));
    assert!(matches!(end, Err(FeedError::TooFarBack { .. })), "{end:?}");
}

#[test]
fn graphs_that_watchers_keep_are_limited_once_their_layers_are_merged() {
    let bytes_max = 200_000;
    let base = Base::new(FeedSettings {
        diff_bytes_max: bytes_max,
        ..SETTINGS
    });
    let kind = NamedNode::new_unchecked("http://example.com/kind");
    let is_of_kind = Quad {
        predicate: oxigraph::model::vocab::rdf::TYPE.into_owned(),
        object: kind.clone().into(),
        ..quad(2, 0, 0)
    };
    let quads = (0..5_000).map(|o| quad(1, o, 0)).chain([is_of_kind]);
    base.insert(&quads.collect::<Vec<_>>());
    let filter = Filter {
        types: [kind].into_iter().collect(),
        ..Filter::default()
    };
    let mut watcher = watching(&base, Start::Now, (filter, Output::Quads));
    assert_eq!(completed(&next(&base, &mut watcher).unwrap()), Some(1));
    assert_eq!(base.feed.0.graphs.count(), 1);
    let newest = || base.feed.knowledge().read(&Access::everything()).snapshot;
    let kept = newest();
    // Enough to be merged with what is there, and little to take back.
    base.insert(&(5_000..5_350).map(|o| quad(2, o, 0)).collect::<Vec<_>>());
    assert!(
        kept.memory_bytes_beside(&newest()) > bytes_max,
        "nothing is merged"
    );
    let told = completed(&next(&base, &mut watcher).unwrap());
    assert_eq!(base.feed.0.graphs.count(), 0);
    assert_eq!(told, Some(2));
    // It is told the rest all the same, and keeps the newest again.
    let waits = base
        .runtime
        .block_on(async { futures::poll!(std::pin::pin!(watcher.next())) });
    assert!(waits.is_pending());
    assert_eq!(base.feed.0.graphs.count(), 1);
}

#[test]
fn who_does_not_read_gives_way() {
    let base = Base::new(FeedSettings {
        watcher_count_max: 5,
        diff_bytes_max: 64 << 20,
        ..SETTINGS
    });
    insert_many(&base, 1);
    for object in 0..3 {
        base.insert(&[quad(2, object, 0)]);
    }
    let mut holding: Vec<_> = (0..PAST_COUNT_MAX)
        .map(|_| facts(&base, Start::After(0)))
        .collect();
    for watcher in &mut holding {
        assert_eq!(completed(&next(&base, watcher).unwrap()), None);
    }
    let mut last = facts(&base, Start::After(0));
    let stall_max = base.feed.settings().stall_max;
    base.runtime.block_on(async {
        let mut waiting = std::pin::pin!(last.next());
        let first = &mut holding[0];
        first.was_held_up(Duration::from_secs(9));
        assert_eq!(first.stall_max(), stall_max, "nobody waits");
        while first.stall_max() == stall_max {
            assert!(futures::poll!(&mut waiting).is_pending());
            tokio::task::yield_now().await;
        }
        assert_eq!(first.stall_max() + Duration::from_secs(9), stall_max);
        // In the middle of a commit it keeps its place.
        first.give_way();
        assert!(futures::poll!(&mut waiting).is_pending());
        while completed(&first.next().await.unwrap()) != Some(1) {}
        assert_eq!(first.stall_max(), stall_max);
        first.give_way();
        assert!(completed(&waiting.await.unwrap()).is_none());
        // And goes on where it was.
        for revision in 2..=4 {
            assert_eq!(completed(&first.next().await.unwrap()), Some(revision));
        }
    });
}

#[test]
fn who_tells_that_it_is_there_keeps_its_turn() {
    let base = Base::new(FeedSettings {
        watcher_count_max: PAST_COUNT_MAX + 2,
        diff_bytes_max: 64 << 20,
        ..SETTINGS
    });
    insert_many(&base, 1);
    let mut holding: Vec<_> = (0..PAST_COUNT_MAX)
        .map(|_| facts(&base, Start::After(0)))
        .collect();
    for watcher in &mut holding {
        assert_eq!(completed(&next(&base, watcher).unwrap()), None);
    }
    let wanted = (Filter::default(), Output::Facts);
    let everything = Access::everything();
    let interval = Duration::from_millis(1);
    let watch = base.feed.watch(&everything, Start::After(0), wanted, interval);
    let mut first = base.runtime.block_on(watch).unwrap();
    let mut second = facts(&base, Start::After(0));
    base.runtime.block_on(async {
        let waiter_count = || Arc::strong_count(&base.feed.0.past_waiters) - 1;
        // It waits for a place, and says now and then that it is there.
        for _ in 0..1_000 {
            assert_eq!(completed(&first.next().await.unwrap()), Some(0));
            if waiter_count() > 0 {
                break;
            }
        }
        assert_eq!(waiter_count(), 1, "it does not keep its turn");
        let mut waiting = std::pin::pin!(second.next());
        while waiter_count() < 2 {
            assert!(futures::poll!(&mut waiting).is_pending());
            tokio::task::yield_now().await;
        }
        assert_eq!(completed(&first.next().await.unwrap()), Some(0));
        drop(holding.pop());
        for _ in 0..1_000 {
            match first.next().await.unwrap() {
                Event::Commit(part) => return assert_eq!(part.revision, 1),
                event => assert_eq!(completed(&event), Some(0)),
            }
            assert!(futures::poll!(&mut waiting).is_pending());
        }
        panic!("the other one has the place");
    });
}

#[test]
fn what_is_told_of_a_small_commit_is_limited() {
    let base = Base::new(SETTINGS);
    let kind = NamedNode::new_unchecked(format!("http://example.com/{}", "k".repeat(100_000)));
    base.insert(&[Quad::new(
        node(1),
        oxigraph::model::vocab::rdf::TYPE,
        kind.clone(),
        GraphName::DefaultGraph,
    )]);
    let mut watcher = facts(&base, Start::After(1));
    // Each is told with what its subject is.
    base.insert(&(0..5).map(|o| quad(1, o, 0)).collect::<Vec<_>>());
    for revision in [2, 2] {
        let told = completed(&next(&base, &mut watcher).unwrap());
        assert_eq!(told, Some(revision));
    }
    base.insert(&(5..25).map(|o| quad(1, o, 0)).collect::<Vec<_>>());
    let end = next(&base, &mut watcher);
    assert!(matches!(end, Err(FeedError::TooFarBack { .. })), "{end:?}");
    // Quads by their type are told all the same.
    let filter = Filter {
        types: [kind].into_iter().collect(),
        ..Filter::default()
    };
    let mut watcher = watching(&base, Start::After(2), (filter, Output::Quads));
    assert_eq!(completed(&next(&base, &mut watcher).unwrap()), Some(3));
}

#[test]
fn the_facts_of_a_commit_are_given_up_when_nobody_waits() {
    let base = Base::new(SETTINGS);
    base.insert(&[quad(1, 0, 0), quad(1, 1, 0)]);
    let run = record::read_run(base.feed.log(), 1, 1).unwrap();
    // Once as the graph goes on by it, then for each fact.
    for look_count in 0..4_usize {
        let left = Cell::new(look_count);
        let is_over = || left.replace(left.get().saturating_sub(1)) == 0;
        let mut past = Past::at(&base.feed, 0, &|| false).unwrap();
        let details = details::Details::of_run(&mut past, &run, &is_over);
        match details {
            Err(FeedError::Over) => assert!(look_count < 3),
            details => assert_eq!(
                (look_count, details.unwrap()[0].facts.as_ref().unwrap().len()),
                (3, 2)
            ),
        }
    }
}
