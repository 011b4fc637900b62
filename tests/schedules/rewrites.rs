//! The log is written anew and put in the place of the old one, while it is written and read.

use std::{
    convert::Infallible,
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use dossier::{
    feed::{DiffError, Event, Feed, FeedError, Output, Start},
    graph::Batch,
    knowledge::{CommitRequest, EraseRequest, PastError, Retention, Settings},
    log::{Change, LogError},
    model::access::Access,
};

use crate::{
    Base, contents, explore, node, quad,
    watchers::{feed, watch},
};

const COMMIT_COUNT: u64 = 8;
/// Records that are kept.
const KEPT_COUNT: u64 = 2;

/// Schedules in which something happened. Nobody else goes on when it is counted.
struct Count(AtomicU64);

impl Count {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    fn add(&self, happened: bool) {
        self.0.fetch_add(u64::from(happened), Ordering::Relaxed);
    }

    /// Fails if it never happened: the test would show nothing.
    fn check(&self, what: &str) {
        assert!(self.0.load(Ordering::Relaxed) > 0, "{what}: in no schedule");
    }
}

/// Lets others go on between what is read.
fn pause() {
    shuttle::thread::sleep(std::time::Duration::ZERO);
}

/// Opens one whose log is compacted again and again.
fn compacting() -> Base {
    Base::with(|settings| Settings {
        retention: Retention {
            bytes_max: Some(1),
            revision_count_min: KEPT_COUNT,
            ..Retention::default()
        },
        ..settings
    })
}

/// Reads all records of one state of the log; returns the revisions.
fn read_all(base: &Base) -> Vec<u64> {
    let published = base.revision();
    let records = base.log().records().unwrap();
    let mut revisions = Vec::new();
    for revision in records.earliest() + 1..=published {
        pause();
        let (header, changes) = records.get(revision).unwrap();
        assert_eq!(header.revision, revision);
        pause();
        for change in changes {
            change.unwrap();
        }
        revisions.push(revision);
    }
    revisions
}

#[test]
fn readers_see_no_hole_while_the_log_is_compacted() {
    static COMPACTED: Count = Count::new();
    static WENT_ON: Count = Count::new();
    static TOO_SLOW: Count = Count::new();
    explore(|| async {
        let base = compacting();
        let feed = feed(&base);
        let writing = base.spawn(async move |base: Base| {
            for number in 1..=COMMIT_COUNT {
                assert_eq!(base.insert(quad(number)).await.unwrap().revision, number);
            }
            // Otherwise it may have been compacted after all commits.
            WENT_ON.add(base.earliest_revision() > 0);
        });
        let reading = base.spawn(async move |base: Base| {
            while base.revision() < COMMIT_COUNT {
                read_all(&base);
                shuttle::future::yield_now().await;
            }
        });
        let watching = shuttle::future::spawn(async move {
            let mut watcher = watch(&feed, Start::Earliest, Output::Quads).await;
            let mut next = watcher.resume_after().unwrap().revision + 1;
            while next <= COMMIT_COUNT {
                match watcher.next().await {
                    Ok(Event::Commit(part)) => {
                        assert_eq!(part.revision, next);
                        next += 1;
                    }
                    Ok(Event::Checkpoint(mark)) => assert_eq!(mark.revision + 1, next),
                    Ok(other) => panic!("{other:?}"),
                    // It was too slow: it is told so, and begins anew.
                    Err(FeedError::Log(LogError::Compacted { earliest, .. })) => {
                        assert!(earliest >= next);
                        TOO_SLOW.add(true);
                        watcher = watch(&feed, Start::Earliest, Output::Quads).await;
                        next = watcher.resume_after().unwrap().revision + 1;
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
        });
        let looking_back = base.spawn(async move |base: Base| {
            while base.revision() < COMMIT_COUNT {
                let revision = (base.revision() / 2).max(1);
                match base.read_at(&Access::everything(), revision).await {
                    Ok(view) => assert_eq!(contents(&view).len() as u64, revision),
                    Err(PastError::Log(LogError::Compacted { .. }) | PastError::NotThere { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
                shuttle::future::yield_now().await;
            }
        });
        for done in [writing, reading, watching, looking_back] {
            done.await.unwrap();
        }
        assert!(base.earliest_revision() <= COMMIT_COUNT - KEPT_COUNT);
        COMPACTED.add(base.earliest_revision() > 0);
        let before = contents(&base.view());
        assert_eq!(before.len() as u64, COMMIT_COUNT);
        base.verify().unwrap();
        let base = base.open_again();
        assert_eq!((base.revision(), contents(&base.view())), (COMMIT_COUNT, before));
        base.close();
    });
    COMPACTED.check("the log is compacted");
    WENT_ON.check("commits go on after that");
    TOO_SLOW.check("a watcher hears that what it wants is gone");
}

/// Each commit brings one quad and takes the one before it away: what differs between two revisions is the last quad of each, however
/// many commits are in between.
#[test]
fn differences_are_those_of_two_revisions_while_the_log_is_compacted() {
    static MEANWHILE: Count = Count::new();
    static TOO_LATE: Count = Count::new();
    static COMPARED: Count = Count::new();
    explore(|| async {
        let base = compacting();
        let feed = feed(&base);
        let writing = base.spawn(async move |base: Base| {
            for number in 1..=COMMIT_COUNT {
                let mut batch = Batch::default();
                batch.insert(quad(number).as_ref());
                batch.remove(quad(number - 1).as_ref());
                let request = CommitRequest::<Infallible>::new(Access::everything(), move |draft| {
                    draft.apply(&batch);
                    Ok(())
                });
                assert_eq!(base.commit(request).await.unwrap().revision, number);
            }
        });
        let comparing = base.spawn(async move |base: Base| {
            while base.revision() < COMMIT_COUNT {
                let (from, to) = (base.earliest_revision(), base.revision());
                pause();
                for (from, to) in [(from, to), (to, from)] {
                    let compared = feed.diff(&Access::everything(), from, to, || {
                        pause();
                        false
                    });
                    let was_compacted = base.earliest_revision() > from.min(to);
                    match compared {
                        Ok(diff) => {
                            let found: Vec<_> = diff.into_changes().collect();
                            let gone = (from > 0 && from != to).then(|| Change::Remove(quad(from)));
                            let come = (to > 0 && from != to).then(|| Change::Insert(quad(to)));
                            let expected: Vec<_> = gone.into_iter().chain(come).collect();
                            assert_eq!(found.len(), expected.len(), "{from} to {to}: {found:?}");
                            assert!(expected.iter().all(|change| found.contains(change)), "{found:?}");
                            MEANWHILE.add(was_compacted);
                            COMPARED.add(from.abs_diff(to) > 1);
                        }
                        Err(DiffError::Log(LogError::Compacted { earliest, .. })) => {
                            assert!(earliest > from.min(to));
                            TOO_LATE.add(true);
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                }
                shuttle::future::yield_now().await;
            }
        });
        for done in [writing, comparing] {
            done.await.unwrap();
        }
        base.close();
    });
    COMPARED.check("revisions with others between them are compared");
    MEANWHILE.check("the log is compacted while they are");
    TOO_LATE.check("one of them is gone");
}

/// Takes what a watcher gets from the first revision to a last one; returns as text what it asked for after something was erased.
async fn tell(feed: &Feed, output: Output, last: u64, is_erased: &AtomicBool) -> String {
    let mut watcher = watch(feed, Start::After(0), output).await;
    let (mut next, mut told) = (1, String::new());
    while next <= last {
        let is_afterwards = is_erased.load(Ordering::Relaxed);
        let event = match watcher.next().await {
            Ok(event) => event,
            // In the middle of something that was erased it is to begin again.
            Err(FeedError::Erased) => {
                watcher = watch(feed, Start::After(next - 1), output).await;
                continue;
            }
            Err(error) => panic!("{error:?}"),
        };
        match event {
            Event::Commit(part) => {
                // Where no facts are left, facts have nothing to tell.
                assert!(part.revision == next || part.revision > next && output == Output::Facts);
                if is_afterwards {
                    write!(told, "{:?} {:?}", part.changes, part.facts).unwrap();
                }
                next = part.revision + 1;
            }
            Event::Checkpoint(mark) => assert!(mark.revision + 1 == next || output == Output::Facts),
            Event::Snapshot(_) => panic!("it asked for none"),
        }
    }
    told
}

#[test]
fn what_is_erased_is_told_to_nobody_afterwards() {
    static TOLD: Count = Count::new();
    explore(|| async {
        let base = Base::new();
        let feed = feed(&base);
        let secret = node(1);
        base.insert(quad(1)).await.unwrap();
        base.insert(quad(2)).await.unwrap();
        let is_erased = Arc::new(AtomicBool::new(false));
        let watching = [Output::Quads, Output::Facts].map(|output| {
            let (feed, is_erased) = (feed.clone(), Arc::clone(&is_erased));
            shuttle::future::spawn(async move { tell(&feed, output, 6, &is_erased).await })
        });
        let erasing = base.spawn(async move |base: Base| {
            let request = EraseRequest {
                entity: secret,
                author: String::new(),
                message: String::new(),
                validate_only: false,
                witness: None,
            };
            let erased = base.erase(request).await.unwrap();
            assert_eq!((erased.quads_removed, erased.record_count), (1, 2));
        });
        let writing = base.spawn(async move |base: Base| {
            base.insert(quad(3)).await.unwrap();
            base.insert(quad(4)).await.unwrap();
        });
        let reading = base.spawn(async move |base: Base| {
            while base.revision() < 5 {
                assert!(read_all(&base).len() >= 2);
                // What it finds is kept, unless it is erased meanwhile.
                let view = base.read_at(&Access::everything(), 1).await.unwrap();
                assert!(contents(&view).len() <= 1);
                shuttle::future::yield_now().await;
            }
        });
        erasing.await.unwrap();
        is_erased.store(true, Ordering::Relaxed);
        // Of what begins now nothing has it.
        let view = base.read_at(&Access::everything(), 1).await.unwrap();
        assert_eq!(contents(&view), Vec::<String>::new());
        for done in [writing, reading] {
            done.await.unwrap();
        }
        base.insert(quad(5)).await.unwrap();
        for done in watching {
            let told = done.await.unwrap();
            assert!(!told.contains(node(1).as_str()), "{told}");
            TOLD.add(!told.is_empty());
        }
        for output in [Output::Quads, Output::Facts] {
            let told = tell(&feed, output, 6, &is_erased).await;
            assert!(!told.contains(node(1).as_str()), "{told}");
        }
        let expected = [2, 3, 4, 5].map(|number| quad(number).to_string());
        assert_eq!(contents(&base.view()), expected);
        let base = base.open_again();
        assert_eq!(contents(&base.view()), expected);
        base.close();
    });
    TOLD.check("a watcher is told something afterwards");
}
