//! Tests of the feed as a whole.

mod erased;
mod headers;
mod history;
mod long;
mod past;
mod slow;

use std::{cell::Cell, collections::HashSet, time::Duration};

use oxigraph::model::{GraphName, Literal, NamedNode, NamedOrBlankNode, Quad};
use proptest::prelude::*;

use super::*;
use crate::{
    graph::{Batch, GraphPattern, Pattern, Snapshot},
    knowledge::{CommitRequest, Settings, View},
    model::access::Access,
};

const SETTINGS: FeedSettings = FeedSettings {
    watcher_count_max: 3,
    stall_max: Duration::from_secs(10),
    diff_bytes_max: 1 << 20,
};

struct Base {
    feed: Feed,
    runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

impl Base {
    fn new(settings: FeedSettings) -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), settings)
    }

    fn in_dir(dir: tempfile::TempDir, settings: FeedSettings) -> Self {
        let knowledge = KnowledgeBase::open(Settings::new(dir.path())).unwrap();
        Self::of(knowledge, dir, settings)
    }

    fn of(knowledge: KnowledgeBase, dir: tempfile::TempDir, settings: FeedSettings) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            feed: Feed::new(knowledge, settings),
            runtime,
            _dir: dir,
        }
    }

    /// Goes on with a log that has no more than its newest records.
    fn compacted(self, revision_count: u64) -> Self {
        let Self { feed, _dir: dir, .. } = self;
        feed.knowledge().close();
        drop(feed);
        let settings = Settings {
            disk_free_bytes_min: 0,
            ..Settings::new(dir.path())
        };
        crate::knowledge::compact(&settings, revision_count)
            .unwrap()
            .unwrap();
        Self::in_dir(dir, SETTINGS)
    }

    fn commit(&self, fill: impl FnOnce(&mut Batch)) -> u64 {
        let mut batch = Batch::default();
        fill(&mut batch);
        let request = CommitRequest::<()>::new(Access::everything(), move |draft| {
            draft.apply(&batch);
            Ok(())
        });
        let committed = self.runtime.block_on(self.feed.knowledge().commit(request));
        committed.map_err(|_| ()).unwrap().revision
    }

    fn insert(&self, quads: &[Quad]) -> u64 {
        self.commit(|batch| quads.iter().for_each(|quad| batch.insert(quad.as_ref())))
    }

    fn watch(&self, start: Start, filter: Filter) -> Watcher {
        self.try_watch(start, filter).unwrap()
    }

    fn try_watch(&self, start: Start, filter: Filter) -> Result<Watcher, WatchError> {
        let access = Access::everything();
        let wanted = (filter, Output::Quads);
        let watch = self.feed.watch(&access, start, wanted, Duration::from_hours(1));
        self.runtime.block_on(watch)
    }

    /// Returns what a watcher gets until it has caught up: fragments as their revision, count and whether they are the last.
    fn until_checkpoint(&self, watcher: &mut Watcher) -> Vec<(u64, usize, bool)> {
        let mut parts: Vec<(u64, usize, bool)> = Vec::new();
        loop {
            match self.runtime.block_on(watcher.next()).unwrap() {
                Event::Commit(fragment) => {
                    let is_first = parts
                        .last()
                        .is_none_or(|&(revision, ..)| revision != fragment.revision);
                    assert_eq!(fragment.header.is_some(), is_first);
                    parts.push((fragment.revision, fragment.changes.len(), fragment.is_last));
                }
                Event::Snapshot(fragment) => {
                    parts.push((fragment.revision, fragment.changes.len(), fragment.is_last));
                }
                Event::Checkpoint(mark) => {
                    parts.push((mark.revision, 0, true));
                    return parts;
                }
            }
        }
    }
}

/// Returns the revision up to which nothing is missing with an event.
fn completed(event: &Event) -> Option<u64> {
    event.completes().map(|mark| mark.revision)
}

fn node(number: usize) -> NamedNode {
    NamedNode::new_unchecked(format!("http://example.com/{number}"))
}

fn quad(subject: usize, object: usize, graph: usize) -> Quad {
    let graph = if graph == 0 {
        GraphName::DefaultGraph
    } else {
        node(graph).into()
    };
    Quad::new(node(subject), node(0), Literal::from(object.to_string()), graph)
}

fn quads(view: &View) -> HashSet<Quad> {
    let snapshot: &Snapshot = &view.snapshot;
    let all = snapshot.quads(Pattern::all(GraphPattern::Any));
    all.map(|quad| snapshot.quad(quad)).collect()
}

fn graphs(view: &View) -> HashSet<NamedOrBlankNode> {
    let names = view.snapshot.named_graphs();
    names
        .map(|graph| match view.snapshot.term(graph) {
            oxigraph::model::Term::NamedNode(node) => node.into(),
            other => panic!("{other}"),
        })
        .collect()
}

#[test]
fn the_lag_is_that_of_the_slowest_watcher() {
    let base = Base::new(SETTINGS);
    assert_eq!(base.feed.lag(), 0);
    base.insert(&[quad(1, 0, 0)]);
    let mut quick = base.watch(Start::After(0), Filter::default());
    let mut slow = base.watch(Start::After(0), Filter::default());
    assert_eq!(base.feed.lag(), 1);
    base.until_checkpoint(&mut quick);
    assert_eq!(base.feed.lag(), 1);
    base.until_checkpoint(&mut slow);
    assert_eq!(base.feed.lag(), 0);
    for number in 2..5 {
        base.insert(&[quad(number, 0, 0)]);
    }
    assert_eq!(base.feed.lag(), 3);
    drop(quick);
    assert_eq!(base.feed.lag(), 3);
    drop(slow);
    assert_eq!(base.feed.lag(), 0);
}

#[test]
fn a_watcher_behind_the_earliest_revision_ends_with_it() {
    let base = Base::new(SETTINGS);
    for number in 0..5 {
        base.insert(&[quad(number, 0, 0)]);
    }
    let base = base.compacted(2);
    let behind = base.try_watch(Start::After(2), Filter::default());
    assert!(matches!(
        behind.err(),
        Some(WatchError::Feed(FeedError::Log(LogError::Compacted {
            revision: 2,
            earliest: 3
        })))
    ));
    let mut earliest = base.watch(Start::Earliest, Filter::default());
    let parts = base.until_checkpoint(&mut earliest);
    assert_eq!(parts, [(4, 1, true), (5, 1, true), (5, 0, true)]);
}

#[test]
fn commits_come_in_order_and_in_fragments_with_the_last_one_marked() {
    let base = Base::new(SETTINGS);
    let many: Vec<_> = (0..FRAGMENT_CHANGE_COUNT_MAX).map(|o| quad(1, o, 0)).collect();
    base.insert(&many);
    base.insert(&[quad(2, 1, 0)]);
    // One more than a fragment takes.
    base.insert(
        &(0..=FRAGMENT_CHANGE_COUNT_MAX)
            .map(|o| quad(3, o, 0))
            .collect::<Vec<_>>(),
    );
    // Too large to be shared.
    let large: Vec<_> = (0..20_000).map(|o| quad(4, o, 0)).collect();
    base.insert(&large);
    let header = base
        .feed
        .header(&Access::everything(), 4, || false)
        .unwrap()
        .unwrap();
    assert!(header.text_bytes > record::WHOLE_TEXT_BYTES_MAX);
    let mut expected = vec![(1, 1000, true), (2, 1, true), (3, 1000, false), (3, 1, true)];
    expected.extend((1..=20).map(|part| (4, 1000, part == 20)));
    expected.push((4, 0, true));
    let mut watcher = base.watch(Start::After(0), Filter::default());
    assert_eq!(base.until_checkpoint(&mut watcher), expected);
    let mut later = base.watch(Start::After(3), Filter::default());
    assert_eq!(base.until_checkpoint(&mut later), expected[4..]);
    let mut now = base.watch(Start::Now, Filter::default());
    assert_eq!(base.until_checkpoint(&mut now), [(4, 0, true)]);
    base.insert(&[quad(5, 1, 0)]);
    for watcher in [&mut watcher, &mut later, &mut now] {
        let event = base.runtime.block_on(watcher.next()).unwrap();
        assert_eq!(completed(&event), Some(5));
    }
}

#[test]
fn large_texts_make_more_fragments() {
    let base = Base::new(SETTINGS);
    let text = |index: usize| Literal::from(format!("{index}{}", "x".repeat(FRAGMENT_BYTES_MAX / 2)));
    let long: Vec<_> = (0..3)
        .map(|index| Quad::new(node(1), node(0), text(index), GraphName::DefaultGraph))
        .collect();
    base.insert(&long);
    let mut watcher = base.watch(Start::After(0), Filter::default());
    let expected = [(1, 2, false), (1, 1, true), (1, 0, true)];
    assert_eq!(base.until_checkpoint(&mut watcher), expected);
    // As does the name of a graph, which is in every quad of it, and that of a datatype.
    let name = NamedNode::new_unchecked(format!(
        "http://example.com/{}",
        "x".repeat(FRAGMENT_BYTES_MAX / 2)
    ));
    base.commit(|batch| {
        for object in 0..3 {
            batch.insert(Quad::new(node(1), node(0), node(object), name.clone()).as_ref());
        }
    });
    base.commit(|batch| {
        for object in 0..3 {
            let literal = Literal::new_typed_literal(object.to_string(), name.clone());
            batch.insert(Quad::new(node(1), node(0), literal, GraphName::DefaultGraph).as_ref());
        }
    });
    let mut watcher = base.watch(Start::After(1), Filter::default());
    let expected = [
        // The graph came to exist.
        (2, 2, false),
        (2, 2, true),
        (3, 2, false),
        (3, 1, true),
        (3, 0, true),
    ];
    assert_eq!(base.until_checkpoint(&mut watcher), expected);
}

#[test]
fn a_filter_lets_only_its_quads_pass() {
    let base = Base::new(SETTINGS);
    base.insert(&[quad(1, 1, 0), quad(2, 1, 0), quad(1, 1, 7), quad(1, 1, 8)]);
    base.insert(&[quad(2, 2, 0)]);
    base.insert(&(0..20_000).map(|o| quad(3 + o % 2, o, 0)).collect::<Vec<_>>());
    base.commit(|batch| batch.create_graph(node(7).as_ref().into()));
    base.commit(|batch| batch.create_graph(node(9).as_ref().into()));
    let check = |filter: &Filter, expected: &[(u64, usize)], in_graph: usize| {
        let mut watcher = base.watch(Start::After(0), filter.clone());
        let mut counts: Vec<(u64, usize)> = Vec::new();
        for (revision, count, _) in base.until_checkpoint(&mut watcher) {
            match counts.last_mut() {
                Some(last) if last.0 == revision => last.1 += count,
                _ if count > 0 => counts.push((revision, count)),
                _ => {}
            }
        }
        assert_eq!(counts, expected, "{filter:?}");
        let mut watcher = base.watch(Start::Snapshot, filter.clone());
        let parts = base.until_checkpoint(&mut watcher);
        let sum: usize = parts.iter().map(|part| part.1).sum();
        assert_eq!(sum, in_graph, "{filter:?}");
        assert_eq!(parts.iter().filter(|part| part.2).count(), 2, "{filter:?}");
    };
    let names = |numbers: &[usize]| numbers.iter().map(|&number| node(number)).collect();
    let subjects = |numbers| Filter {
        subjects: names(numbers),
        ..Filter::default()
    };
    // Named graphs come to exist with their first quad.
    check(&Filter::default(), &[(1, 6), (2, 1), (3, 20_000), (4, 1)], 20_008);
    check(&subjects(&[1]), &[(1, 3)], 3);
    check(&subjects(&[1, 2]), &[(1, 4), (2, 1)], 5);
    check(&subjects(&[3]), &[(3, 10_000)], 10_000);
    check(&subjects(&[99]), &[], 0);
    let predicates = |numbers| Filter {
        predicates: names(numbers),
        ..subjects(&[2])
    };
    check(&predicates(&[0, 5]), &[(1, 1), (2, 1)], 2);
    check(&predicates(&[5]), &[], 0);
    let graphs = |numbers, default_graph| Filter {
        graphs: names(numbers),
        default_graph,
        ..Filter::default()
    };
    check(&graphs(&[7], false), &[(1, 2)], 2);
    check(&graphs(&[9], false), &[(4, 1)], 1);
    check(
        &graphs(&[7, 9, 10], true),
        &[(1, 4), (2, 1), (3, 20_000), (4, 1)],
        20_006,
    );
}

#[test]
fn a_large_commit_without_anything_wanted_is_no_silence() {
    let base = Base::new(SETTINGS);
    base.insert(&(0..200_000).map(|o| quad(1, o, 0)).collect::<Vec<_>>());
    let filter = Filter {
        subjects: [node(2)].into_iter().collect(),
        ..Filter::default()
    };
    let wanted = (filter, Output::Quads);
    let access = Access::everything();
    let interval = Duration::from_millis(1);
    let watch = base.feed.watch(&access, Start::After(0), wanted, interval);
    let mut watcher = base.runtime.block_on(watch).unwrap();
    let mut before = 0;
    while completed(&base.runtime.block_on(watcher.next()).unwrap()) == Some(0) {
        before += 1;
    }
    // One for each step of its reading; none if it were silent.
    assert!(before > 5, "{before}");
    assert_eq!(watcher.resume_after().map(|mark| mark.revision), Some(1));
}

#[test]
fn watchers_are_limited() {
    let base = Base::new(SETTINGS);
    let mut watchers: Vec<_> = (0..3)
        .map(|_| base.watch(Start::Now, Filter::default()))
        .collect();
    let watch = || base.try_watch(Start::Now, Filter::default());
    let full = Full { count_max: 3 };
    assert!(matches!(watch(), Err(WatchError::Full(refused)) if refused == full));
    watchers.pop();
    assert!(watch().is_ok());
}

#[test]
fn a_reader_that_takes_nothing_is_ended_where_it_can_resume() {
    let base = Base::new(FeedSettings {
        stall_max: Duration::from_millis(20),
        ..SETTINGS
    });
    for object in 0..200 {
        base.insert(&[quad(1, object, 0)]);
    }
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let watcher = base.watch(Start::After(1), Filter::default());
    let end = base
        .runtime
        .block_on(follow(watcher, sender, std::future::pending(), |event| {
            completed(&event)
        }));
    assert!(matches!(end.reason, EndReason::TooSlow), "{end:?}");
    let last = 1 + follow::BATCH_EVENT_COUNT_MAX as u64;
    assert_eq!(end.resume_after.map(|mark| mark.revision), Some(last));
    // What it can resume after is what it still gets.
    assert_eq!(receiver.blocking_recv(), Some((2..=last).map(Some).collect()));
    assert_eq!(receiver.blocking_recv(), None);
}

#[test]
fn a_difference_is_limited_and_can_be_given_up() {
    let base = Base::new(FeedSettings {
        diff_bytes_max: 1_000_000,
        ..SETTINGS
    });
    base.insert(&[quad(1, 1, 0)]);
    base.insert(&(0..3_000).map(|o| quad(2, o, 0)).collect::<Vec<_>>());
    assert!(base.feed.diff(&Access::everything(), 0, 1, || false).is_ok());
    assert!(matches!(
        base.feed.diff(&Access::everything(), 0, 2, || false),
        Err(DiffError::TooLarge { bytes_max: 1_000_000 })
    ));
    let looks = Cell::new(0);
    let given_up = base.feed.diff(&Access::everything(), 0, 2, || {
        looks.set(looks.get() + 1);
        looks.get() == 2
    });
    assert!(matches!(given_up, Err(DiffError::Over)));
    let places: Vec<_> = (0..DIFF_COUNT_MAX)
        .map(|_| base.feed.diff_place().unwrap())
        .collect();
    assert!(base.feed.diff_place().is_err());
    // From now on others want it.
    assert!(places.iter().all(Place::is_wanted));
    drop(places);
    assert!(!base.feed.diff_place().unwrap().is_wanted());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Every commit inserts and removes some of a few quads, and creates and drops graphs.
    #[test]
    fn differences_and_watchers_agree_with_the_graphs(
        commits in prop::collection::vec(
            (prop::collection::vec((0..3_usize, 0..3_usize, 0..3_usize, any::<bool>()), 0..6), 0..6_usize),
            1..12,
        ),
    ) {
        let base = Base::new(SETTINGS);
        let mut views = vec![base.feed.knowledge().read(&Access::everything())];
        let mut snapshot = base.watch(Start::Snapshot, Filter::default());
        for (changes, graph) in commits {
            let before = base.feed.revision();
            let revision = base.commit(|batch| {
                for (subject, object, graph, inserted) in changes {
                    let quad = quad(subject, object, graph);
                    if inserted {
                        batch.insert(quad.as_ref());
                    } else {
                        batch.remove(quad.as_ref());
                    }
                }
                if graph > 3 {
                    batch.create_graph(node(graph).as_ref().into());
                }
            });
            if revision > before {
                views.push(base.feed.knowledge().read(&Access::everything()));
            }
        }
        for (from, older) in views.iter().enumerate() {
            for (to, newer) in views.iter().enumerate() {
                let diff = base.feed.diff(&Access::everything(), from as u64, to as u64, || false).unwrap();
                let (mut all, mut names) = (quads(older), graphs(older));
                let mut count = 0;
                for change in diff.into_changes() {
                    count += 1;
                    prop_assert!(apply(change, &mut all, &mut names));
                }
                prop_assert_eq!(&all, &quads(newer));
                prop_assert_eq!(&names, &graphs(newer));
                let changed = quads(older).symmetric_difference(&quads(newer)).count()
                    + graphs(older).symmetric_difference(&graphs(newer)).count();
                prop_assert_eq!(count, changed);
            }
        }
        // From nothing, and from a graph.
        let mut all = HashSet::new();
        let mut names = HashSet::new();
        let mut from_nothing = base.watch(Start::After(0), Filter::default());
        for watcher in [&mut snapshot, &mut from_nothing] {
            all.clear();
            names.clear();
            loop {
                let changes = match base.runtime.block_on(watcher.next()).unwrap() {
                    Event::Snapshot(fragment) => fragment.changes,
                    Event::Commit(fragment) => fragment.changes,
                    Event::Checkpoint(mark) if mark.revision == base.feed.revision() => break,
                    Event::Checkpoint(_) => continue,
                };
                for change in changes {
                    prop_assert!(apply(change, &mut all, &mut names));
                }
            }
            let last = views.last().unwrap();
            prop_assert_eq!(&all, &quads(last));
            prop_assert_eq!(&names, &graphs(last));
        }
    }
}

/// Tells whether the change changed anything: all of them must.
fn apply(change: Change, quads: &mut HashSet<Quad>, graphs: &mut HashSet<NamedOrBlankNode>) -> bool {
    match change {
        Change::Insert(quad) => quads.insert(quad),
        Change::Remove(quad) => quads.remove(&quad),
        Change::CreateGraph(graph) => graphs.insert(graph),
        Change::DropGraph(graph) => graphs.remove(&graph),
    }
}
