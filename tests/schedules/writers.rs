//! Commits, what is acknowledged of them, and the views that show them.

use std::convert::Infallible;

use dossier::{
    graph::{Batch, Draft, GraphPattern, Pattern, Snapshot},
    knowledge::{CommitError, CommitRequest, RequestId, Writes},
    model::access::Access,
};
use futures::{FutureExt as _, future::join_all};
use oxigraph::model::{GraphName, Literal, Quad};

use crate::{Base, Seen, contents, explore, inserting, node, quad};

const WRITER_COUNT: u64 = 3;
const COMMIT_COUNT: u64 = 2;
const LAST: u64 = WRITER_COUNT * COMMIT_COUNT;

#[test]
fn what_is_acknowledged_is_in_the_log_and_to_be_read() {
    explore(|| async {
        let base = Base::new();
        let seen = Seen::default();
        let writers = (0..WRITER_COUNT).map(|writer| {
            let seen = seen.clone();
            base.spawn(async move |base: Base| {
                let mut acknowledged = Vec::new();
                for number in (1..=COMMIT_COUNT).map(|commit| writer * COMMIT_COUNT + commit) {
                    let committed = base.insert(quad(number)).await.unwrap();
                    let view = base.view();
                    assert!(view.revision >= committed.revision);
                    assert!(contents(&view).contains(&quad(number).to_string()));
                    seen.note(&view);
                    let (header, changes) = base.log().record(committed.revision).unwrap();
                    assert_eq!((header.counts.quads_inserted, changes.count()), (1, 1));
                    acknowledged.push(committed.revision);
                }
                assert!(acknowledged.is_sorted());
                acknowledged
            })
        });
        let writers: Vec<_> = writers.collect();
        let readers = (0..2).map(|_| {
            let seen = seen.clone();
            base.spawn(async move |base: Base| {
                let mut last = 0;
                while last < LAST {
                    let view = base.view();
                    assert!(view.revision >= last);
                    last = view.revision;
                    seen.note(&view);
                    shuttle::future::yield_now().await;
                }
            })
        });
        let readers: Vec<_> = readers.collect();
        // It is told of a revision when the view is there, and of the last one.
        let told = base.spawn(async move |base: Base| {
            let mut revisions = base.revisions();
            loop {
                let revision = *revisions.borrow_and_update();
                assert!(base.revision() >= revision);
                if revision == LAST {
                    break;
                }
                revisions.changed().await.unwrap();
            }
        });
        let waiting = base.spawn(async move |base: Base| {
            let view = base
                .read_at_least(&Access::everything(), LAST, None)
                .await
                .unwrap();
            assert_eq!(view.revision, LAST);
        });
        let mut acknowledged: Vec<_> = join_all(writers)
            .await
            .into_iter()
            .flat_map(Result::unwrap)
            .collect();
        acknowledged.sort_unstable();
        assert_eq!(acknowledged, (1..=LAST).collect::<Vec<_>>());
        for other in readers.into_iter().chain([told, waiting]) {
            other.await.unwrap();
        }
        assert_eq!(base.verify().unwrap().head.revision, LAST);
        seen.note(&base.view());
        let base = base.open_again();
        seen.note(&base.view());
    });
}

/// Each adds one to a counter that it has read, on the condition that nobody did since.
#[test]
fn of_those_who_expect_a_revision_one_wins() {
    explore(|| async {
        let base = Base::new();
        let writers = (0..WRITER_COUNT).map(|_| {
            base.spawn(async move |base: Base| {
                let mut won = Vec::new();
                while won.len() < 2 {
                    let expected = base.revision();
                    match base.commit(counting(&base, expected)).await {
                        Ok(committed) => {
                            assert_eq!(committed.revision, expected + 1);
                            won.push(committed.revision);
                        }
                        Err(CommitError::RevisionMismatch { revision }) => assert!(revision > expected),
                        Err(error) => panic!("{error:?}"),
                    }
                }
                won
            })
        });
        let writers: Vec<_> = writers.collect();
        let mut won: Vec<_> = join_all(writers)
            .await
            .into_iter()
            .flat_map(Result::unwrap)
            .collect();
        won.sort_unstable();
        assert_eq!(won, (1..=WRITER_COUNT * 2).collect::<Vec<_>>());
        assert_eq!(count(&base), WRITER_COUNT * 2);
        base.close();
    });
}

fn counting(base: &Base, expected: u64) -> CommitRequest<Infallible> {
    let batch = one_more(count(base));
    let mut request = CommitRequest::new(Access::everything(), move |draft: &mut Draft| {
        draft.apply(&batch);
        Ok(())
    });
    request.expected_revision = Some(expected);
    request
}

fn one_more(before: u64) -> Batch {
    let of = |count: u64| {
        Quad::new(
            node("counter"),
            node("p"),
            Literal::from(count.to_string()),
            GraphName::DefaultGraph,
        )
    };
    let mut batch = Batch::default();
    if before > 0 {
        batch.remove(of(before).as_ref());
    }
    batch.insert(of(before + 1).as_ref());
    batch
}

/// All send the same requests at once, each of which adds one to a counter, and one under a name that others use for something else.
#[test]
fn a_request_that_several_send_at_once_is_committed_once() {
    explore(|| async {
        let base = Base::new();
        let writers = (0..WRITER_COUNT).map(|writer| {
            base.spawn(async move |base: Base| {
                let mut answers = Vec::new();
                for number in 1..=COMMIT_COUNT {
                    answers.push(base.commit(naming(number, 0)).await.unwrap());
                }
                let contested = base.commit(naming(COMMIT_COUNT + 1, writer)).await;
                (answers, contested)
            })
        });
        let writers: Vec<_> = writers.collect();
        let mut told = Vec::new();
        for writer in writers {
            told.push(writer.await.unwrap());
        }
        let revisions: Vec<_> = told[0].0.iter().map(|committed| committed.revision).collect();
        assert!(revisions.is_sorted_by(|one, next| one < next));
        let won: Vec<_> = told
            .iter()
            .filter_map(|(_, contested)| contested.as_ref().ok())
            .collect();
        assert_eq!(won.len(), 1);
        for (answers, contested) in &told {
            assert_eq!(*answers, told[0].0);
            match contested {
                Ok(_) => {}
                Err(CommitError::RequestIdReused { revision, .. }) => assert_eq!(*revision, won[0].revision),
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(
            (count(&base), base.revision()),
            (COMMIT_COUNT + 1, COMMIT_COUNT + 1)
        );
        let base = base.open_again();
        for (number, answer) in (1..).zip(&told[0].0) {
            assert_eq!(base.commit(naming(number, 0)).await.unwrap(), *answer);
        }
        assert_eq!(
            (count(&base), base.revision()),
            (COMMIT_COUNT + 1, COMMIT_COUNT + 1)
        );
        base.close();
    });
}

/// Adds one to what the draft has, under a name.
fn naming(number: u64, body: u64) -> CommitRequest<Infallible> {
    let mut request = CommitRequest::new(Access::everything(), |draft: &mut Draft| {
        draft.apply(&one_more(count_in(draft.snapshot())));
        Ok(())
    });
    let mut fingerprint = [0; 32];
    fingerprint[..8].copy_from_slice(&body.to_le_bytes());
    request.request_id = Some(RequestId {
        id: format!("request {number}"),
        fingerprint,
    });
    request
}

fn count(base: &Base) -> u64 {
    count_in(&base.view().snapshot)
}

fn count_in(snapshot: &Snapshot) -> u64 {
    let quads = snapshot.quads(Pattern::all(GraphPattern::Any));
    let counts: Vec<u64> = quads
        .map(|quad| match snapshot.quad(quad).object {
            oxigraph::model::Term::Literal(count) => count.value().parse().unwrap(),
            other => panic!("{other}"),
        })
        .collect();
    assert!(counts.len() <= 1, "{counts:?}");
    counts.first().copied().unwrap_or(0)
}

/// Some are acknowledged, others are told that it is closed; what is in the log in the end is what was acknowledged.
#[test]
fn who_waits_when_it_is_closed_is_answered() {
    explore(|| async {
        let base = Base::new();
        let writers = (0..WRITER_COUNT).map(|writer| {
            base.spawn(async move |base: Base| {
                let mut acknowledged = Vec::new();
                for number in (1..=COMMIT_COUNT).map(|commit| writer * COMMIT_COUNT + commit) {
                    match base.insert(quad(number)).await {
                        Ok(_) => acknowledged.push(quad(number).to_string()),
                        Err(error) => assert!(matches!(error, CommitError::Closed), "{error:?}"),
                    }
                }
                acknowledged
            })
        });
        let writers: Vec<_> = writers.collect();
        // Goes away before it is answered: it may be there or not.
        let gone =
            base.spawn(async move |base: Base| base.commit(inserting(&quad(0))).now_or_never().is_some());
        let closers: Vec<_> = (0..2)
            .map(|_| base.spawn(async move |base: Base| base.close()))
            .collect();
        for closer in closers {
            closer.await.unwrap();
        }
        let acknowledged: Vec<_> = join_all(writers)
            .await
            .into_iter()
            .flat_map(Result::unwrap)
            .collect();
        gone.await.unwrap();
        assert_eq!(*base.writes().borrow(), Writes::Ended);
        let base = base.open_again();
        let view = base.view();
        let mut expected = acknowledged;
        let mut found = contents(&view);
        assert_eq!(view.revision, found.len() as u64);
        found.retain(|found| *found != quad(0).to_string());
        expected.sort();
        assert_eq!(found, expected);
        // It ends by itself when nobody has it any more.
        drop(base);
    });
}
