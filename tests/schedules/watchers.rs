//! Watchers: each at its own pace, on the ring of the newest records or on the log. The ring holds two or three records here.

use std::time::Duration;

use dossier::{
    feed::{EndReason, Event, Feed, FeedSettings, Filter, Output, Start, Watcher, follow},
    knowledge::KnowledgeBase,
    log::Change,
    model::access::Access,
};
use futures::future::join_all;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Base, contents, explore, quad};

const WRITER_COUNT: u64 = 2;
const COMMIT_COUNT: u64 = 4;
const LAST: u64 = WRITER_COUNT * COMMIT_COUNT;

pub(crate) fn feed(base: &KnowledgeBase) -> Feed {
    let settings = FeedSettings {
        watcher_count_max: 10,
        stall_max: Duration::from_secs(10),
        diff_bytes_max: 1 << 20,
    };
    Feed::new(base.clone(), settings)
}

pub(crate) async fn watch(feed: &Feed, start: Start, output: Output) -> Watcher {
    let wanted = (Filter::default(), output);
    let silence_max = Duration::from_hours(1);
    feed.watch(&Access::everything(), start, wanted, silence_max)
        .await
        .unwrap()
}

fn write(base: &Base) -> Vec<shuttle::future::JoinHandle<()>> {
    let writers = (0..WRITER_COUNT).map(|writer| {
        base.spawn(async move |base: Base| {
            for number in (1..=COMMIT_COUNT).map(|commit| writer * COMMIT_COUNT + commit) {
                base.insert(quad(number)).await.unwrap();
            }
        })
    });
    writers.collect()
}

/// Takes what a watcher gets up to the last revision, or so many commits; returns the revision after which it began, and what it has
/// then of the graph.
async fn take(mut watcher: Watcher, feed: Feed, count_max: usize) -> (u64, Vec<String>) {
    let mut next = watcher.resume_after().map(|mark| mark.revision + 1);
    let first = next.unwrap_or(0);
    let (mut quads, mut count) = (Vec::new(), 0);
    while next != Some(LAST + 1) && count < count_max {
        let event = watcher.next().await.unwrap();
        let changes = match event {
            Event::Snapshot(part) => {
                assert_eq!(next, None);
                assert!(part.is_last);
                next = Some(part.revision + 1);
                part.changes
            }
            Event::Commit(part) => {
                assert_eq!(Some(part.revision), next);
                assert!(part.is_last && part.header.unwrap().revision == part.revision);
                assert_eq!(part.changes.len() + part.facts.len(), 1);
                // It is not told of what the log may still take back.
                assert!(part.revision <= feed.revision());
                next = Some(part.revision + 1);
                count += 1;
                part.changes
            }
            Event::Checkpoint(mark) => {
                assert_eq!(Some(mark.revision + 1), next);
                Vec::new()
            }
        };
        quads.extend(changes.into_iter().map(|change| match change {
            Change::Insert(quad) => quad.to_string(),
            other => panic!("{other:?}"),
        }));
    }
    quads.sort();
    (first, quads)
}

#[test]
fn a_watcher_gets_every_commit_once_in_order() {
    explore(|| async {
        let base = Base::new();
        let feed = feed(&base);
        let writers = write(&base);
        let watchers = [Start::After(0), Start::After(0), Start::Now, Start::Snapshot].map(|start| {
            let feed = feed.clone();
            shuttle::future::spawn(async move {
                take(watch(&feed, start, Output::Quads).await, feed, usize::MAX).await
            })
        });
        let facts = {
            let feed = feed.clone();
            shuttle::future::spawn(async move {
                take(
                    watch(&feed, Start::Earliest, Output::Facts).await,
                    feed,
                    usize::MAX,
                )
                .await
            })
        };
        // Two that go away in the middle of it.
        let gone = [1, 3].map(|count| {
            let feed = feed.clone();
            shuttle::future::spawn(async move {
                take(watch(&feed, Start::After(0), Output::Quads).await, feed, count).await
            })
        });
        for done in writers {
            done.await.unwrap();
        }
        let all = contents(&base.view());
        for taken in join_all(watchers).await {
            let (first, quads) = taken.unwrap();
            let has_all = first <= 1;
            assert!(!has_all || quads == all);
            assert!(quads.iter().all(|quad| all.contains(quad)));
            assert_eq!(
                quads.len() as u64,
                if first == 0 { LAST } else { LAST + 1 - first }
            );
        }
        for taken in gone {
            taken.await.unwrap();
        }
        facts.await.unwrap();
        assert_eq!(feed.watcher_count(), 0);
        base.close();
    });
}

/// What is handed over, and what it can resume after, is all there is, whether the reader goes away or the server shuts down.
#[test]
fn a_reader_that_resumes_misses_nothing() {
    explore(|| async {
        let base = Base::new();
        let feed = feed(&base);
        let writers = write(&base);
        let drain = CancellationToken::new();
        let (sender, mut receiver) = mpsc::channel(1);
        let following = {
            let (feed, drain) = (feed.clone(), drain.clone());
            let convert = |event: Event| {
                matches!(event, Event::Commit(_))
                    .then(|| event.completes())
                    .flatten()
                    .map(|mark| mark.revision)
            };
            shuttle::future::spawn(async move {
                follow(
                    watch(&feed, Start::After(0), Output::Quads).await,
                    sender,
                    drain.cancelled_owned(),
                    convert,
                )
                .await
            })
        };
        let reading = shuttle::future::spawn(async move {
            let mut got = Vec::new();
            while let Some(batch) = receiver.recv().await {
                got.extend(batch.into_iter().flatten());
                shuttle::future::yield_now().await;
            }
            got
        });
        let draining = shuttle::future::spawn(async move {
            // The scheduler decides how long.
            for _ in 0..20 {
                shuttle::future::yield_now().await;
            }
            drain.cancel();
        });
        draining.await.unwrap();
        let end = following.await.unwrap();
        assert!(matches!(end.reason, EndReason::Stopped), "{end:?}");
        let mut got = reading.await.unwrap();
        let resume_after = end.resume_after.unwrap().revision;
        assert_eq!(got.last().copied().unwrap_or(0), resume_after);
        for done in writers {
            done.await.unwrap();
        }
        let mut again = watch(&feed, Start::After(resume_after), Output::Quads).await;
        while got.last() != Some(&LAST) {
            if let Event::Commit(part) = again.next().await.unwrap() {
                got.push(part.revision);
            }
        }
        assert_eq!(got, (1..=LAST).collect::<Vec<_>>());
        base.close();
    });
}
