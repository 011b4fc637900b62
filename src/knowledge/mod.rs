//! The knowledge base: the log and its views behind two verbs, commit and read.
//!
//! One thread writes. Waiting commits are planned one on top of another on unpublished snapshots, appended to the log
//! with one fsync, then published; each is acknowledged only after the fsync. Reads take the newest [`View`] and never
//! wait for a writer. Neither is to be had without an [`Access`]: a read sees the graphs that it allows, a commit changes
//! those alone.

mod background;
mod clock;
mod compact;
mod erase;
mod error;
mod group;
mod mark;
mod member;
mod open;
mod past;
mod rebuild;
mod retention;
mod rewrites;
mod room;
mod streamed;
#[cfg(test)]
mod tests;
mod view;
mod writer;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::{Semaphore, oneshot};

pub use self::compact::compact;
pub use self::erase::{EraseError, EraseRequest, Erased, Mentioned, Mentions};
pub use self::error::{CommitError, OpenError, RevisionNotReached};
pub use self::mark::{Known, Mark, NoCommit};
pub use self::past::PastError;
pub use self::rebuild::{DIFFERENCE_COUNT_MAX, Difference, Layer, Rebuilt, rebuild, reindex};
pub use self::retention::Retention;
pub use self::streamed::Streamed;
pub use self::view::View;
use self::{
    background::Finished, clock::Clock, member::Pending, past::Past, streamed::SlowReaders, view::Published,
    writer::Message,
};
pub use crate::log::{LOG_FILE, RequestId, Rewritten};
use crate::{
    graph::Draft,
    log::{LogError, LogReader, Summary},
    model::{access::Access, day::Day, reference_date::ReferenceDate},
    sync::{
        ArcSwap,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError},
        time::timeout_at,
        watch,
    },
};

/// Commits that may wait for the writer; one more is refused.
pub const WAITING_COMMIT_COUNT_MAX: usize = 1024;
/// Bytes of a term, as UTF-8: an IRI, a label, a tag, or what a literal says. A commit that brings a longer one is refused. In the log
/// it may be six times as long.
pub const TERM_BYTES_MAX: u64 = 8 << 20;
/// Changes that are put into an index at once, and about their bytes: enough for it to work in bulk, few enough that what is held
/// beside it is little.
const BATCH_CHANGE_COUNT: usize = 100_000;
const BATCH_BYTES: u64 = 16 << 20;
/// Reads that may wait for their revision; one more is refused. Of those that wait for the graph as it was, as many.
pub const WAITING_READ_COUNT_MAX: usize = 128;
/// How long a read waits for its revision.
pub const MIN_REVISION_WAIT_MAX: Duration = Duration::from_secs(1);
/// How long [`KnowledgeBase::close`] waits for the threads. Nothing is lost beyond it: the snapshot file is a cache.
pub const CLOSE_WAIT_MAX: Duration = Duration::from_secs(30);

/// Where a knowledge base is and how much it may hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The folder of its files; made if it is not there.
    pub data_dir: PathBuf,
    /// Bytes of memory that the graph index may take; a commit that would take it past them is refused.
    pub graph_memory_bytes_max: u64,
    /// Bytes that must stay free on the disk; with less, commits are refused.
    pub disk_free_bytes_min: u64,
    /// The day for which the default graph says what holds.
    pub reference_date: ReferenceDate,
    /// Changes that a read of an earlier revision may take back; each commit counts as one more, and as many as its text is long.
    pub past_change_count_max: u64,
    /// Bytes of memory that views of earlier revisions may take together, again the way back to one that is being made, and again
    /// what slow readers hold beside the newest view.
    pub past_memory_bytes_max: u64,
    /// How much of the log is kept.
    pub retention: Retention,
}

impl Settings {
    /// Returns settings for a folder: 4 GiB of memory, 64 MiB of free disk, what holds today, a million changes or 256 MiB back, and all of
    /// the log.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            graph_memory_bytes_max: 4 << 30,
            disk_free_bytes_min: 64 << 20,
            reference_date: ReferenceDate::Today,
            past_change_count_max: 1_000_000,
            past_memory_bytes_max: 256 << 20,
            retention: Retention::default(),
        }
    }
}

/// Whether there can be commits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Writes {
    /// There can.
    Open,
    /// The disk is full: there can again as soon as there is room.
    DiskFull,
    /// The log takes none after an I/O error, until the next start.
    LogUnavailable,
    /// The writer has ended.
    Ended,
}

/// What a caller puts on a draft; it runs on the writer's thread, which has a large stack. It sees of the draft what the
/// caller may read.
pub type Plan<E> = Box<dyn FnOnce(&mut Draft) -> Result<(), E> + Send>;

/// A change to commit.
pub struct CommitRequest<E> {
    /// Makes the change, on the newest state.
    pub plan: Plan<E>,
    /// Makes the commit idempotent: the same id with the same fingerprint answers the first answer again.
    pub request_id: Option<RequestId>,
    /// Commits only if this is the newest revision.
    pub expected_revision: Option<u64>,
    /// Plans and counts, and commits nothing.
    pub validate_only: bool,
    /// Why, for the log. May be empty.
    pub message: String,
    /// Who, for the log. May be empty.
    pub author: String,
    /// What its caller may read and change.
    access: Access,
}

impl<E> CommitRequest<E> {
    /// Returns a request with a plan and nothing else. Whoever makes it is its author.
    pub fn new(access: Access, plan: impl FnOnce(&mut Draft) -> Result<(), E> + Send + 'static) -> Self {
        Self {
            plan: Box::new(plan),
            request_id: None,
            expected_revision: None,
            validate_only: false,
            message: String::new(),
            author: access.author().to_owned(),
            access,
        }
    }
}

/// What a commit did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Committed {
    /// Its revision; the newest one if it changed nothing or was only validated.
    pub revision: u64,
    /// Quads that are there now and were not before, exactly.
    pub quads_inserted: u64,
    /// Quads that were there before and are not now, exactly.
    pub quads_removed: u64,
    /// Named graphs that came to exist.
    pub graphs_created: u64,
    /// Named graphs that no longer exist.
    pub graphs_dropped: u64,
}

/// The knowledge base. Clones are the same one.
#[derive(Clone)]
pub struct KnowledgeBase {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    shared: Arc<Shared>,
    queue: SyncSender<Message>,
    log: LogReader,
    past: Arc<Past>,
    slow: SlowReaders,
    /// Places of the reads that wait for their revision.
    waiting: Semaphore,
    finished: Arc<Finished>,
    /// Held by the one that erases.
    erasing: tokio::sync::Mutex<()>,
}

impl Drop for Inner {
    /// Lets the threads end, which nobody waits for: [`KnowledgeBase::close`] does.
    fn drop(&mut self) {
        let _ = self.queue.send(Message::Close);
    }
}

/// What the writer shows to readers.
struct Shared {
    view: ArcSwap<Published>,
    revision: watch::Sender<u64>,
    append_count: AtomicU64,
    /// Merges of layers that no commit waited for.
    merge_count: AtomicU64,
    /// In seconds: the append of a group, its fsync included.
    append_times: Histogram,
    writes: watch::Sender<Writes>,
    /// The earliest revision that the log has.
    earliest: watch::Sender<u64>,
    /// The revision up to which backups have the log, as far as that was told; `u64::MAX` if none is waited for.
    backed_up: AtomicU64,
    /// The newest revision when the backup began that is being made; `u64::MAX` if none is.
    held: AtomicU64,
    /// Whether records that are beyond the retention's limits stay until they are backed up.
    waits_for_backup: AtomicBool,
    /// Whether what the writer builds beside the index waits for room that readers have.
    room_is_wanted: AtomicBool,
}

/// Has records stay, until it is dropped.
pub struct Held(Arc<Shared>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.store(u64::MAX, Ordering::SeqCst);
    }
}

impl Shared {
    fn set_waits_for_backup(&self, waits: bool) {
        self.waits_for_backup.store(waits, Ordering::Relaxed);
    }

    /// Returns the revision whose later records stay, where backups are waited for.
    fn backed_up(&self) -> u64 {
        let (backed_up, held) = (&self.backed_up, &self.held);
        backed_up.load(Ordering::SeqCst).min(held.load(Ordering::SeqCst))
    }

    fn set_writes(&self, writes: Writes) {
        let change = |now: &mut Writes| std::mem::replace(now, writes) != writes;
        self.writes.send_if_modified(change);
    }

    fn publish(&self, view: View) {
        let revision = view.revision;
        // The view first: who is woken by the revision must find it.
        self.view.store(Arc::new(Published::new(view)));
        self.revision.send_replace(revision);
    }
}

impl KnowledgeBase {
    /// Opens a knowledge base, or begins one: verifies the log, reads the snapshot file, replays what is newer.
    ///
    /// Blocks while it does. An error says what to do about it.
    pub fn open(settings: Settings) -> Result<Self, OpenError> {
        let clock = Clock::system(settings.reference_date);
        open::open(settings, Box::new(crate::log::open_database), clock)
    }

    /// Returns what somebody sees of the newest revision, without waiting.
    pub fn read(&self, access: &Access) -> View {
        self.inner.shared.view.load().seen_by(access.reads())
    }

    /// Returns the newest revision that is to be read.
    pub fn revision(&self) -> u64 {
        self.inner.shared.view.load().revision()
    }

    /// Returns the bytes that the graph index takes in memory.
    pub fn graph_memory_bytes(&self) -> u64 {
        self.inner.shared.view.load().memory_bytes()
    }

    /// Returns the number of merges of the graph index that were done beside commits.
    pub fn merge_count(&self) -> u64 {
        self.inner.shared.merge_count.load(Ordering::Relaxed)
    }

    /// Returns the day that the default graph of a view was derived for; without statements, the one that would rule now.
    pub fn reference_day(&self, view: &View) -> Day {
        view.reference_day.unwrap_or_else(|| self.inner.clock.day())
    }

    /// Tells whether the reference date goes with the calendar.
    pub fn is_of_today(&self) -> bool {
        self.inner.clock.is_today()
    }

    /// Returns what somebody sees of at least a revision, waiting as [`Self::wait_for`] does.
    pub async fn read_at_least(
        &self,
        access: &Access,
        min_revision: u64,
        deadline: Option<Instant>,
    ) -> Result<View, RevisionNotReached> {
        self.wait_for(min_revision, deadline).await?;
        Ok(self.read(access))
    }

    /// Waits for a revision: not at all if it is there, or if [`WAITING_READ_COUNT_MAX`] wait already; else up to
    /// [`MIN_REVISION_WAIT_MAX`] and the deadline.
    pub async fn wait_for(
        &self,
        min_revision: u64,
        deadline: Option<Instant>,
    ) -> Result<(), RevisionNotReached> {
        if self.revision() >= min_revision {
            return Ok(());
        }
        let place = self.inner.waiting.try_acquire();
        let _place = place.map_err(|_| RevisionNotReached::Overloaded)?;
        let last = Instant::now() + MIN_REVISION_WAIT_MAX;
        let last = deadline.map_or(last, |deadline| deadline.min(last));
        let mut revisions = self.inner.shared.revision.subscribe();
        let reached = revisions.wait_for(|revision| *revision >= min_revision);
        // Whether it came in time or not is seen in the view.
        let _ = timeout_at(last.into(), reached).await;
        let revision = self.revision();
        if revision >= min_revision {
            Ok(())
        } else {
            Err(RevisionNotReached::Late {
                min_revision,
                revision,
            })
        }
    }

    /// Commits a change; returns when it is durable and to be read.
    ///
    /// A change that changes nothing makes no commit. A caller that goes away before its plan has begun commits nothing;
    /// after that the commit goes on.
    pub async fn commit<E: Send + 'static>(
        &self,
        request: CommitRequest<E>,
    ) -> Result<Committed, CommitError<E>> {
        let (reply, answer) = oneshot::channel();
        let pending = Box::new(Pending::new(request, reply));
        match self.inner.queue.try_send(Message::Commit(pending)) {
            Ok(()) => answer.await.unwrap_or(Err(CommitError::Closed)),
            Err(TrySendError::Full(_)) => Err(CommitError::Overloaded),
            Err(TrySendError::Disconnected(_)) => Err(CommitError::Closed),
        }
    }

    /// Verifies the whole log: every header, every payload, the chain. Blocks; commits go on.
    pub fn verify(&self) -> Result<Summary, LogError> {
        self.inner.log.verify()
    }

    /// Returns a reader of the log. Revisions beyond the view's may be taken back: they are not to be told of.
    pub fn log(&self) -> &LogReader {
        &self.inner.log
    }

    /// Returns the newest revision as it goes up; [`Self::read`] has reached what it says.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.inner.shared.revision.subscribe()
    }

    /// Returns the earliest revision whose graph is known, as it goes up; 0 unless the log was compacted. What changed is known
    /// from the next one on.
    pub fn earliest_revisions(&self) -> watch::Receiver<u64> {
        self.inner.shared.earliest.subscribe()
    }

    /// Returns the earliest revision whose graph is known now.
    pub fn earliest_revision(&self) -> u64 {
        *self.inner.shared.earliest.borrow()
    }

    /// Tells whether there can be commits, and when that changes.
    pub fn writes(&self) -> watch::Receiver<Writes> {
        self.inner.shared.writes.subscribe()
    }

    /// Has the records after the newest one stay while a backup is made, if the retention waits for backups. One at a time.
    pub fn hold_log(&self) -> Held {
        let shared = &self.inner.shared;
        // A compaction that has not seen this goes no further than what is the newest after it.
        shared.held.store(self.revision(), Ordering::SeqCst);
        Held(Arc::clone(shared))
    }

    /// Tells up to which revision the log is backed up: records after it stay if the retention waits for backups. `u64::MAX`: no
    /// backup is waited for. Until it is told, all records stay.
    pub fn tell_backed_up(&self, revision: u64) {
        let backed_up = &self.inner.shared.backed_up;
        backed_up.store(revision, Ordering::SeqCst);
        // Some of it may go now. A writer that has too much to do to be told looks without.
        let _ = self.inner.queue.try_send(Message::LookAtDay);
    }

    /// Tells whether the log is beyond the limits of its retention, and stays so until it is backed up.
    pub fn waits_for_backup(&self) -> bool {
        self.inner.shared.waits_for_backup.load(Ordering::Relaxed)
    }

    /// Returns the times that it took to append to the log, in seconds.
    pub fn append_times(&self) -> &Histogram {
        &self.inner.shared.append_times
    }

    /// Returns how often the log was appended to, one fsync each, since it was opened.
    pub fn append_count(&self) -> u64 {
        self.inner.shared.append_count.load(Ordering::Relaxed)
    }

    /// Finishes waiting commits, writes the snapshot file, and gives the data directory free.
    ///
    /// Blocks, at most [`CLOSE_WAIT_MAX`]. Commits afterwards fail with [`CommitError::Closed`]; reads go on.
    pub fn close(&self) {
        // An error says that the writer has ended already.
        let _ = self.inner.queue.send(Message::Close);
        self.inner.finished.wait(CLOSE_WAIT_MAX);
    }
}
