//! Tests of the knowledge base as a whole.

mod answers;
mod compact;
mod derive;
mod erase;
mod formats;
mod loads;
mod long;
mod past;
mod priority;
mod replay;
mod requests;
mod streamed;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
};

use oxigraph::model::{GraphName, Literal, NamedNode, Quad};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::*;
use crate::{
    graph::{Batch, GraphPattern, Pattern, Snapshot},
    log::tests::{Faults, faulty},
};

const NOBODY: &str = "no error";

fn settings(dir: &TempDir) -> Settings {
    Settings {
        disk_free_bytes_min: 0,
        ..Settings::new(dir.path())
    }
}

fn open(dir: &TempDir) -> KnowledgeBase {
    KnowledgeBase::open(settings(dir)).unwrap()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap()
}

fn node(number: u64) -> NamedNode {
    NamedNode::new_unchecked(format!("http://example.com/{number}"))
}

fn quad(number: u64) -> Quad {
    Quad::new(
        node(number),
        node(0),
        Literal::from(number.to_string()),
        GraphName::DefaultGraph,
    )
}

fn inserting(numbers: impl IntoIterator<Item = u64>) -> CommitRequest<String> {
    let mut batch = Batch::default();
    for number in numbers {
        batch.insert(quad(number).as_ref());
    }
    planning(move |draft| draft.apply(&batch))
}

fn planning(plan: impl FnOnce(&mut Draft) + Send + 'static) -> CommitRequest<String> {
    CommitRequest::new(Access::everything(), move |draft| {
        plan(draft);
        Ok(())
    })
}

fn commit(base: &KnowledgeBase, request: CommitRequest<String>) -> Result<Committed, CommitError<String>> {
    runtime().block_on(base.commit(request))
}

/// All that a snapshot says, sorted.
fn contents(snapshot: &Snapshot) -> Vec<String> {
    let quads = snapshot
        .quads(Pattern::all(GraphPattern::Any))
        .map(|quad| snapshot.quad(quad).to_string());
    let graphs = snapshot
        .named_graphs()
        .map(|graph| format!("graph {}", snapshot.term(graph)));
    let mut all: Vec<String> = quads.chain(graphs).collect();
    all.sort();
    all
}

#[test]
fn a_commit_is_read_and_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    let committed = commit(&base, inserting(1..=3)).unwrap();
    assert_eq!(
        committed,
        Committed {
            revision: 1,
            quads_inserted: 3,
            quads_removed: 0,
            graphs_created: 0,
            graphs_dropped: 0,
        }
    );
    let before = contents(&base.read(&Access::everything()).snapshot);
    assert_eq!(before.len(), 3);
    base.close();
    base.close();
    assert!(matches!(commit(&base, inserting([9])), Err(CommitError::Closed)));
    let base = open(&dir);
    assert_eq!(base.revision(), 1);
    assert_eq!(contents(&base.read(&Access::everything()).snapshot), before);
}

#[test]
fn a_change_that_changes_nothing_makes_no_commit() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    commit(&base, inserting([1])).unwrap();
    let committed = commit(&base, inserting([1])).unwrap();
    assert_eq!(
        committed,
        Committed {
            revision: 1,
            quads_inserted: 0,
            quads_removed: 0,
            graphs_created: 0,
            graphs_dropped: 0,
        }
    );
    assert_eq!(base.append_count(), 1);
}

#[test]
fn a_validated_change_is_counted_and_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    let request = CommitRequest {
        validate_only: true,
        ..inserting([1, 2])
    };
    let committed = commit(&base, request).unwrap();
    assert_eq!(
        committed,
        Committed {
            revision: 0,
            quads_inserted: 2,
            quads_removed: 0,
            graphs_created: 0,
            graphs_dropped: 0,
        }
    );
    assert_eq!(base.read(&Access::everything()).snapshot.quad_count(), 0);
}

#[test]
fn a_plan_that_fails_or_panics_leaves_nothing_and_the_writer_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    let mut batch = Batch::default();
    batch.insert(quad(1).as_ref());
    let failing = CommitRequest::new(Access::everything(), move |draft: &mut Draft| {
        draft.apply(&batch);
        Err(NOBODY.to_owned())
    });
    assert!(matches!(commit(&base, failing), Err(CommitError::Plan(error)) if error == NOBODY));
    assert!(matches!(
        commit(&base, planning(|_| panic!("in a plan"))),
        Err(CommitError::PlanPanicked)
    ));
    assert_eq!(base.read(&Access::everything()).snapshot.quad_count(), 0);
    assert_eq!(commit(&base, inserting([2])).unwrap().revision, 1);
}

#[test]
fn an_expected_revision_is_compared_with_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    let expecting = |revision, number| CommitRequest {
        expected_revision: Some(revision),
        ..inserting([number])
    };
    assert_eq!(commit(&base, expecting(0, 1)).unwrap().revision, 1);
    for wrong in [0, 2] {
        let refused = commit(&base, expecting(wrong, 2));
        assert!(matches!(
            refused,
            Err(CommitError::RevisionMismatch { revision: 1 })
        ));
    }
    assert_eq!(commit(&base, expecting(1, 2)).unwrap().revision, 2);
}

/// Holds the writer inside a plan until it is told to go on.
fn hold(base: &KnowledgeBase, runtime: &Runtime) -> mpsc::Sender<()> {
    let (go, wait) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let request = planning(move |_| {
        begun.send(()).unwrap();
        let _ = wait.recv();
    });
    let base = base.clone();
    runtime.spawn(async move { base.commit(request).await });
    has_begun.recv().unwrap();
    go
}

#[test]
fn waiting_commits_share_one_fsync_and_have_dense_revisions() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::<Faults>::default();
    let base = open::open(
        settings(&dir),
        faulty(&faults),
        Clock::system(ReferenceDate::Today),
    )
    .unwrap();
    let runtime = runtime();
    let before = faults.sync_count.load(Ordering::SeqCst);
    let go = hold(&base, &runtime);
    let mut all = Box::pin(futures::future::join_all(
        (1..=100).map(|number| base.commit(inserting([number]))),
    ));
    // The first poll of each puts it into the queue.
    runtime.block_on(async { assert!(futures::poll!(&mut all).is_pending()) });
    go.send(()).unwrap();
    let mut revisions: Vec<u64> = runtime
        .block_on(all)
        .into_iter()
        .map(|committed| committed.unwrap().revision)
        .collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=100).collect::<Vec<_>>());
    assert_eq!(base.append_count(), 1);
    assert_eq!(faults.sync_count.load(Ordering::SeqCst) - before, 1);
    assert_eq!(base.read(&Access::everything()).snapshot.quad_count(), 100);
    assert_eq!(base.verify().unwrap().head.revision, 100);
}

#[test]
fn a_full_queue_sheds_and_a_caller_that_went_away_commits_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    let runtime = runtime();
    let go = hold(&base, &runtime);
    let has_run = Arc::new(AtomicBool::new(false));
    let runs = Arc::clone(&has_run);
    let mut gone = Box::pin(base.commit(planning(move |_| runs.store(true, Ordering::SeqCst))));
    let waiting = (1..WAITING_COMMIT_COUNT_MAX as u64).map(|number| base.commit(inserting([number])));
    let mut waiting = Box::pin(futures::future::join_all(waiting));
    runtime.block_on(async {
        assert!(futures::poll!(&mut gone).is_pending());
        assert!(futures::poll!(&mut waiting).is_pending());
        // The queue is at its limit; this is one past.
        assert!(matches!(
            base.commit(inserting([0])).await,
            Err(CommitError::Overloaded)
        ));
    });
    drop(gone);
    go.send(()).unwrap();
    assert!(
        runtime
            .block_on(waiting)
            .into_iter()
            .all(|committed| committed.is_ok())
    );
    assert!(!has_run.load(Ordering::SeqCst));
}

#[test]
fn a_read_waits_for_its_revision_but_not_past_its_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    let runtime = runtime();
    let (reached, committed) = runtime.block_on(async {
        let reading = base.wait_for(1, None);
        futures::join!(reading, base.commit(inserting([1])))
    });
    assert_eq!((reached.is_ok(), committed.unwrap().revision), (true, 1));
    let access = Access::everything();
    let at_once = base.read_at_least(&access, 1, Some(Instant::now()));
    assert_eq!(runtime.block_on(at_once).unwrap().revision, 1);
    let begun = Instant::now();
    let deadline = begun + Duration::from_millis(20);
    let missed = runtime.block_on(base.wait_for(2, Some(deadline))).unwrap_err();
    assert_eq!(
        missed,
        RevisionNotReached::Late {
            min_revision: 2,
            revision: 1
        }
    );
    assert!(begun.elapsed() < MIN_REVISION_WAIT_MAX);
    runtime.block_on(base.wait_for(2, None)).unwrap_err();
    assert!(begun.elapsed() >= MIN_REVISION_WAIT_MAX);
}

#[test]
fn so_many_reads_may_wait_for_their_revision() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    runtime().block_on(async {
        let reads = || (0..WAITING_READ_COUNT_MAX).map(|_| base.wait_for(1, None));
        let one_more = base.wait_for(1, None);
        let (reached, refused, committed) = futures::join!(
            futures::future::join_all(reads()),
            one_more,
            base.commit(inserting([1]))
        );
        assert!(reached.iter().all(Result::is_ok));
        assert_eq!(refused, Err(RevisionNotReached::Overloaded));
        committed.unwrap();
        // There is room again, and who need not wait needs none.
        let late = base.wait_for(2, Some(Instant::now())).await.unwrap_err();
        assert!(matches!(late, RevisionNotReached::Late { .. }), "{late}");
    });
}

#[test]
fn a_full_graph_takes_no_more_quads_but_gives_some_up() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    commit(&base, inserting(1..=100)).unwrap();
    let request = CommitRequest {
        validate_only: true,
        ..inserting([101])
    };
    commit(&base, request).unwrap();
    let graph_memory_bytes_max = base.read(&Access::everything()).snapshot.memory_bytes();
    base.close();
    let base = KnowledgeBase::open(Settings {
        graph_memory_bytes_max: 1,
        ..settings(&dir)
    })
    .unwrap();
    let full = commit(&base, inserting([101]));
    assert!(
        matches!(
            full,
            Err(CommitError::GraphFull {
                graph_memory_bytes_max: 1
            })
        ),
        "{full:?}"
    );
    let mut batch = Batch::default();
    batch.remove(quad(1).as_ref());
    let removed = commit(&base, planning(move |draft| draft.apply(&batch))).unwrap();
    assert_eq!((removed.revision, removed.quads_removed), (2, 1));
    base.close();
    let roomy = Settings {
        graph_memory_bytes_max: graph_memory_bytes_max * 2,
        ..settings(&dir)
    };
    let base = KnowledgeBase::open(roomy).unwrap();
    assert_eq!(commit(&base, inserting([101])).unwrap().revision, 3);
}

#[test]
fn a_full_disk_refuses_commits_reads_go_on_and_it_heals() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::<Faults>::default();
    let base = open::open(
        settings(&dir),
        faulty(&faults),
        Clock::system(ReferenceDate::Today),
    )
    .unwrap();
    commit(&base, inserting([1])).unwrap();
    faults.disk_full.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        assert!(matches!(
            commit(&base, inserting([2])),
            Err(CommitError::DiskFull)
        ));
        assert_eq!(
            (
                base.revision(),
                base.read(&Access::everything()).snapshot.quad_count()
            ),
            (1, 1)
        );
        assert_eq!(*base.writes().borrow(), Writes::DiskFull);
    }
    faults.disk_full.store(false, Ordering::SeqCst);
    assert_eq!(commit(&base, inserting([2])).unwrap().revision, 2);
    assert_eq!(*base.writes().borrow(), Writes::Open);
    assert_eq!(base.verify().unwrap().quads_inserted, 2);
}

#[test]
fn an_io_error_ends_commits_until_the_next_start_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::<Faults>::default();
    let base = open::open(
        settings(&dir),
        faulty(&faults),
        Clock::system(ReferenceDate::Today),
    )
    .unwrap();
    commit(&base, inserting([1])).unwrap();
    faults.broken.store(true, Ordering::SeqCst);
    assert!(matches!(
        commit(&base, inserting([2])),
        Err(CommitError::LogUnavailable)
    ));
    faults.broken.store(false, Ordering::SeqCst);
    assert!(matches!(
        commit(&base, inserting([2])),
        Err(CommitError::LogUnavailable)
    ));
    assert_eq!(base.read(&Access::everything()).snapshot.quad_count(), 1);
    assert_eq!(*base.writes().borrow(), Writes::LogUnavailable);
    base.close();
    assert_eq!(*base.writes().borrow(), Writes::Ended);
    assert_eq!(commit(&open(&dir), inserting([2])).unwrap().revision, 2);
}

#[test]
fn a_snapshot_file_ahead_of_the_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    commit(&base, inserting([1])).unwrap();
    base.close();
    fs::remove_file(dir.path().join("log.redb")).unwrap();
    fs::remove_file(dir.path().join("high-water")).unwrap();
    let error = KnowledgeBase::open(settings(&dir)).err().unwrap().to_string();
    assert!(
        error.contains("ends at revision 0, but revision 1 was acknowledged"),
        "{error}"
    );
    assert!(error.contains("backup"), "{error}");
}

#[test]
fn many_small_commits_are_merged_and_written_to_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    let runtime = runtime();
    let numbers = (0..20).map(|group| group * 50..(group + 1) * 50);
    for group in numbers {
        let commits = group.map(|number| base.commit(inserting(number * 10..number * 10 + 10)));
        for committed in runtime.block_on(futures::future::join_all(commits)) {
            committed.unwrap();
        }
    }
    let before = contents(&base.read(&Access::everything()).snapshot);
    assert_eq!((base.revision(), before.len()), (1000, 10_000));
    base.close();
    assert!(dir.path().join("snapshot").exists());
    assert_eq!(contents(&open(&dir).read(&Access::everything()).snapshot), before);
}

#[test]
fn a_plan_knows_the_time_of_its_commit() {
    let dir = TempDir::new().unwrap();
    let knowledge = open(&dir);
    let mut last = 0;
    for number in 0..3 {
        let (sender, seen) = mpsc::channel();
        let mut request = CommitRequest::<&str>::new(Access::everything(), move |draft| {
            let mut batch = Batch::default();
            batch.insert(quad(number).as_ref());
            draft.apply(&batch);
            sender.send(draft.commit_time_us()).map_err(|_| NOBODY)
        });
        let id = format!("r{number}");
        request.request_id = Some(crate::log::RequestId {
            id: id.clone(),
            fingerprint: [0; 32],
        });
        runtime().block_on(knowledge.commit(request)).unwrap();
        let header = knowledge.inner.log.request(&id).unwrap().unwrap();
        assert_eq!(seen.recv().unwrap(), header.time_us);
        assert!(header.time_us > 1_700_000_000_000_000 && header.time_us > last);
        last = header.time_us;
    }
}
