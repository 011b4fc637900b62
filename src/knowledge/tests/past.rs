//! Earlier revisions are read as they were.

use std::collections::BTreeMap;

use oxigraph::model::{GraphName, Literal, Quad};
use proptest::prelude::*;

use super::{
    commit, contents, inserting, node, open, planning, quad,
    replay::{run, steps},
    runtime, settings,
};
use crate::{
    graph::Batch,
    knowledge::{KnowledgeBase, PastError, Settings, View, WAITING_READ_COUNT_MAX},
    model::access::Access,
};

fn limited(dir: &tempfile::TempDir, past_change_count_max: u64) -> KnowledgeBase {
    KnowledgeBase::open(Settings {
        past_change_count_max,
        ..settings(dir)
    })
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_revision_is_read_as_it_was(
        commits in prop::collection::vec(steps(), 1..16),
        restart_at in 0..16_usize,
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..30),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut base = open(&dir);
        let runtime = runtime();
        let mut expected = BTreeMap::new();
        for (number, steps) in commits.into_iter().enumerate() {
            if number == restart_at {
                base.close();
                base = open(&dir);
            }
            commit(&base, planning(move |draft| run(draft, &steps))).unwrap();
            let View { revision, snapshot, .. } = base.read(&Access::everything());
            if revision > 0 {
                expected.entry(revision).or_insert_with(|| contents(&snapshot));
            }
        }
        let newest = base.read(&Access::everything());
        for index in order {
            if newest.revision == 0 {
                break;
            }
            // Views that are kept are begun with, and were begun with by others.
            let revision = index.index(expected.len()) as u64 + 1;
            let view = runtime.block_on(base.read_at(&Access::everything(), revision)).unwrap();
            prop_assert_eq!(view.revision, revision);
            prop_assert_eq!(view.snapshot.epoch(), newest.snapshot.epoch());
            prop_assert_eq!(&contents(&view.snapshot), &expected[&revision]);
            let quads = expected[&revision].iter().filter(|what| !what.starts_with("graph "));
            prop_assert_eq!(view.snapshot.quad_count(), quads.count() as u64);
        }
        base.close();
    }
}

#[test]
fn as_much_is_taken_back_as_may_be() {
    let dir = tempfile::tempdir().unwrap();
    // Two commits, one with three quads and one with one: six.
    for (change_count_max, is_refused) in [(6, false), (5, true)] {
        let base = limited(&dir, change_count_max);
        if base.revision() == 0 {
            commit(&base, inserting([1])).unwrap();
            commit(&base, inserting(2..=4)).unwrap();
            commit(&base, inserting([5])).unwrap();
        }
        let runtime = runtime();
        let past = runtime.block_on(base.read_at(&Access::everything(), 1));
        match past {
            Ok(view) => {
                assert!(!is_refused);
                assert_eq!(contents(&view.snapshot).len(), 1);
            }
            Err(PastError::TooFarBack { revision: 1, .. }) => {
                assert!(is_refused);
                // A step on the way does not bring it nearer.
                runtime.block_on(base.read_at(&Access::everything(), 2)).unwrap();
                let past = runtime.block_on(base.read_at(&Access::everything(), 1));
                assert!(matches!(past, Err(PastError::TooFarBack { .. })), "{past:?}");
            }
            Err(error) => panic!("{error}"),
        }
        base.close();
    }
}

#[test]
fn long_texts_count_as_more_changes() {
    let dir = tempfile::tempdir().unwrap();
    let base = limited(&dir, 10);
    commit(&base, inserting([1])).unwrap();
    let long = Quad::new(
        node(2),
        node(0),
        Literal::from("x".repeat(6_000)),
        GraphName::DefaultGraph,
    );
    commit(
        &base,
        planning(move |draft| {
            let mut batch = Batch::default();
            batch.insert(long.as_ref());
            draft.apply(&batch);
        }),
    )
    .unwrap();
    commit(&base, inserting([3])).unwrap();
    let runtime = runtime();
    let read = |revision| runtime.block_on(base.read_at(&Access::everything(), revision));
    assert_eq!(read(2).unwrap().snapshot.quad_count(), 2);
    // One change, and the text of eleven.
    assert!(matches!(read(1), Err(PastError::TooFarBack { revision: 1, .. })));
}

#[test]
fn what_is_to_come_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    commit(&base, inserting([1])).unwrap();
    let runtime = runtime();
    assert_eq!(
        runtime
            .block_on(base.read_at(&Access::everything(), 1))
            .unwrap()
            .revision,
        1
    );
    let past = runtime.block_on(base.read_at(&Access::everything(), 2));
    assert!(
        matches!(
            past,
            Err(PastError::NotThere {
                revision: 2,
                newest: 1
            })
        ),
        "{past:?}"
    );
}

#[test]
fn many_readers_of_the_past_and_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    for number in 1..=40 {
        commit(&base, inserting([number])).unwrap();
    }
    let runtime = runtime();
    let readers: Vec<_> = (0..8_u64)
        .map(|reader| {
            let base = base.clone();
            runtime.spawn(async move {
                for step in 0..40 {
                    let revision = (reader * 7 + step * 11) % 40 + 1;
                    let view = base.read_at(&Access::everything(), revision).await.unwrap();
                    assert_eq!(view.snapshot.quad_count(), revision);
                }
            })
        })
        .collect();
    let mut batch = Batch::default();
    for number in 1..=40 {
        batch.remove(quad(number).as_ref());
    }
    commit(&base, planning(move |draft| draft.apply(&batch))).unwrap();
    for reader in readers {
        runtime.block_on(reader).unwrap();
    }
    assert_eq!(base.read(&Access::everything()).snapshot.quad_count(), 0);
}

#[test]
fn so_many_reads_may_wait_for_the_graph_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    for number in 1..=3 {
        commit(&base, inserting([number])).unwrap();
    }
    let access = Access::everything();
    runtime().block_on(async {
        // One is being made.
        let making = base.inner.past.making.lock().await;
        let reads = (0..WAITING_READ_COUNT_MAX).map(|_| base.read_at(&access, 1));
        let go_on = async {
            let refused = base.read_at(&access, 2).await;
            drop(making);
            refused
        };
        let (reads, refused) = futures::join!(futures::future::join_all(reads), go_on);
        assert!(reads.into_iter().all(|view| view.unwrap().revision == 1));
        assert!(matches!(refused, Err(PastError::Overloaded)));
        assert_eq!(base.read_at(&access, 2).await.unwrap().revision, 2);
    });
}

#[test]
fn views_take_as_much_memory_as_they_may() {
    const COMMIT_COUNT: u64 = 5;
    let dir = tempfile::tempdir().unwrap();
    let open_with = |past_memory_bytes_max| {
        let settings = Settings {
            past_memory_bytes_max,
            ..settings(&dir)
        };
        KnowledgeBase::open(settings).unwrap()
    };
    let access = Access::everything();
    let runtime = runtime();
    let base = open_with(64 << 20);
    for turn in 1..=COMMIT_COUNT {
        // Few terms and six orders of quads: the way back takes less than the view.
        let mut batch = Batch::default();
        for number in 0..1_000 {
            let subject = node(100 + number / 100);
            let quad = Quad::new(subject, node(turn), node(number % 100), node(0));
            batch.insert(quad.as_ref());
        }
        commit(&base, planning(move |draft| draft.apply(&batch))).unwrap();
    }
    for revision in (1..COMMIT_COUNT).rev() {
        runtime.block_on(base.read_at(&access, revision)).unwrap();
    }
    let newest = base.read(&access).snapshot;
    let last = runtime.block_on(base.read_at(&access, COMMIT_COUNT - 1)).unwrap();
    let view_bytes = last.snapshot.memory_bytes_beside(&newest);
    drop((newest, last));
    base.close();
    // One of them takes more.
    let base = open_with(10 << 10);
    let refused = runtime.block_on(base.read_at(&access, COMMIT_COUNT - 1));
    assert!(matches!(refused, Err(PastError::TooLarge { .. })));
    base.close();
    // Two that are being read do; one that nobody reads gives way.
    let base = open_with(view_bytes * 3 / 2);
    let at = |revision| runtime.block_on(base.read_at(&access, COMMIT_COUNT - revision));
    at(1).unwrap();
    at(2).unwrap();
    let read = [at(1).unwrap(), at(2).unwrap()];
    let refused = at(3).err();
    assert!(
        matches!(refused, Some(PastError::Busy)),
        "{refused:?}, {view_bytes} bytes each"
    );
    drop(read);
    at(1).unwrap();
    base.close();
}
