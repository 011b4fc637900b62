//! Opening: the snapshot file, what the log has beyond it, and the threads.

use std::{path::Path, sync::Arc};

use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::Semaphore;

use super::{
    BATCH_BYTES, BATCH_CHANGE_COUNT, Inner, KnowledgeBase, OpenError, Settings, Shared, View,
    WAITING_COMMIT_COUNT_MAX, WAITING_READ_COUNT_MAX, Writes,
    background::{self, Finished, Finishing},
    clock::Clock,
    past::Past,
    rewrites::Rewrites,
    room::Room,
    streamed::SlowReaders,
    view::Published,
    writer::Writer,
};
use crate::{
    graph::{Batch, Draft, Snapshot, SnapshotFileError, read_snapshot_file},
    log::{Change, Log, LogError, LogReader, OpenDatabase},
    sync::{
        ArcSwap, Niceness,
        atomic::{AtomicBool, AtomicU64},
        mpsc, thread, watch,
    },
};

/// Buckets of the times to append to the log: one fsync takes some tenths of a millisecond, a group of large commits seconds.
const APPEND_SECONDS: [f64; 12] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0,
];
/// Plans run SPARQL, whose evaluator recurses: as much as a query thread has. Memory is taken only as deep as it goes.
const WRITER_STACK_BYTES: usize = 256 << 20;

pub(super) fn open(
    settings: Settings,
    open_database: OpenDatabase,
    clock: Clock,
) -> Result<KnowledgeBase, OpenError> {
    let Settings {
        data_dir,
        graph_memory_bytes_max,
        disk_free_bytes_min,
        reference_date: _,
        past_change_count_max,
        past_memory_bytes_max,
        retention,
    } = settings;
    let log = Log::open_on(&data_dir, disk_free_bytes_min, open_database)?;
    let reader = log.reader();
    let file = data_dir.join("snapshot");
    let mut view = read_file(&file, &log)?;
    let file_revision = view.revision;
    let changed_quad_count = replay(&reader, &mut view, log.head().revision)?;
    let shared = Arc::new(Shared {
        revision: watch::Sender::new(view.revision),
        view: ArcSwap::from_pointee(Published::new(view.clone())),
        append_count: AtomicU64::new(0),
        merge_count: AtomicU64::new(0),
        append_times: Histogram::new(APPEND_SECONDS),
        writes: watch::Sender::new(Writes::Open),
        earliest: watch::Sender::new(log.earliest()),
        backed_up: AtomicU64::new(0),
        held: AtomicU64::new(u64::MAX),
        waits_for_backup: AtomicBool::new(false),
        room_is_wanted: AtomicBool::new(false),
    });
    let past = Past::new(past_change_count_max, past_memory_bytes_max);
    let (queue, messages) = mpsc::sync_channel(WAITING_COMMIT_COUNT_MAX);
    let (jobs, waiting_jobs) = mpsc::channel();
    let mut writer = Writer {
        log,
        day: clock.day(),
        clock: clock.clone(),
        shared: Arc::clone(&shared),
        view,
        graph_memory_bytes_max,
        background: jobs,
        file_revision,
        changed_quad_count,
        room: Room::new(graph_memory_bytes_max),
        past: Arc::clone(&past),
        load_end: None,
        closed_said_at: None,
        is_writing_file: false,
        rewrites: Rewrites::new(retention, queue.clone()),
    };
    writer.turn();
    let finished = Arc::new(Finished::default());
    let finishing = Finishing(Arc::clone(&finished));
    let ending = Ending(Arc::clone(&shared));
    let writer_thread = spawn("dossier-writer", WRITER_STACK_BYTES, move || {
        // Dropped last, and by a panic too.
        let _ending = ending;
        writer.run(&messages);
    })?;
    let answers = queue.clone();
    spawn("dossier-background", 2 << 20, move || {
        Niceness::Background.set();
        background::run(&file, &waiting_jobs, &answers);
        // The writer holds the lock of the data directory: it is free when the writer's thread has ended.
        let _ = writer_thread.join();
        drop(finishing);
    })?;
    Ok(KnowledgeBase {
        inner: Arc::new(Inner {
            clock,
            shared,
            queue,
            log: reader,
            past,
            slow: SlowReaders::new(past_memory_bytes_max),
            waiting: Semaphore::new(WAITING_READ_COUNT_MAX),
            finished,
            erasing: tokio::sync::Mutex::default(),
        }),
    })
}

/// Says that the writer has ended, when it is dropped.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.writes.send_replace(Writes::Ended);
    }
}

fn spawn(
    name: &str,
    stack_bytes: usize,
    work: impl FnOnce() + Send + 'static,
) -> Result<thread::JoinHandle<()>, OpenError> {
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .stack_size(stack_bytes);
    thread.spawn(work).map_err(OpenError::Thread)
}

/// Reads the snapshot file if it is of this log; else the view is empty, and all of the log is replayed.
pub(super) fn read_file(path: &Path, log: &Log) -> Result<View, OpenError> {
    let empty = View::new(0, Snapshot::default());
    let (snapshot, note) = match read_snapshot_file(path) {
        Ok(read) => read,
        Err(SnapshotFileError::Missing) => return Ok(empty),
        Err(error) => {
            tracing::warn!(%error, "the graph is rebuilt from the log");
            return Ok(empty);
        }
    };
    let Some((revision, digest)) = background::read_note(&note) else {
        tracing::warn!("the snapshot file has an unknown note: the graph is rebuilt from the log");
        return Ok(empty);
    };
    let head = log.head();
    if revision > head.revision {
        let witness = "the file `snapshot`";
        return Err(LogError::LostTail {
            revision: head.revision,
            mark: revision,
            witness,
        }
        .into());
    }
    if revision < log.earliest() {
        tracing::warn!(
            "the snapshot file is older than the log reaches back: the graph is rebuilt from the base record"
        );
        return Ok(empty);
    }
    if revision < log.reader().last_redacted()? {
        tracing::warn!(
            "the snapshot file is from before something was erased from the log: the graph is rebuilt from the log"
        );
        return Ok(empty);
    }
    if revision == 0 || log.reader().header(revision)?.digest != digest {
        tracing::warn!("the snapshot file is of another log: the graph is rebuilt from this one");
        return Ok(empty);
    }
    Ok(View::new(revision, snapshot))
}

/// Applies the records up to a revision, from the base record on if the view is older than it; returns the number of quads that
/// they change.
pub(super) fn replay(log: &LogReader, view: &mut View, to: u64) -> Result<u64, OpenError> {
    let mut changed_quad_count = 0;
    if view.revision < to
        && let Some(base) = log.records()?.base()?
        && view.revision < base.header.revision
    {
        *view = View::new(base.header.revision, applied(&Snapshot::default(), base.graph)?);
        changed_quad_count += base.quad_count;
    }
    while view.revision < to {
        let (header, changes) = log.record(view.revision + 1)?;
        *view = View::new(header.revision, applied(&view.snapshot, changes)?);
        changed_quad_count += header.counts.quads_inserted + header.counts.quads_removed;
    }
    Ok(changed_quad_count)
}

/// Returns a snapshot with changes applied.
fn applied(
    snapshot: &Snapshot,
    changes: impl Iterator<Item = Result<Change, LogError>>,
) -> Result<Snapshot, LogError> {
    let mut draft = Draft::new(snapshot.clone());
    let mut batch = Batch::default();
    let mut batch_count = 0;
    // Dropped last: a graph must be empty by then.
    let mut dropped = Vec::new();
    for change in changes {
        match change? {
            Change::DropGraph(graph) => dropped.push(graph),
            Change::CreateGraph(graph) => batch.create_graph(graph.as_ref()),
            Change::Remove(quad) => batch.remove(quad.as_ref()),
            Change::Insert(quad) => batch.insert(quad.as_ref()),
        }
        batch_count += 1;
        if batch_count == BATCH_CHANGE_COUNT || batch.memory_bytes() > BATCH_BYTES {
            draft.apply(&std::mem::take(&mut batch));
            batch_count = 0;
        }
    }
    for graph in dropped {
        batch.drop_graph(graph.as_ref());
    }
    draft.apply(&batch);
    let mut snapshot = draft.finish().1;
    // The rest of the merges is for reads, which are not yet.
    while let Some(merge) = snapshot.due_merge_loading() {
        snapshot = snapshot.with_merged(&merge.run());
    }
    Ok(snapshot)
}
