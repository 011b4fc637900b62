//! Views of earlier revisions: a newer view, from which the log's records are taken back.

use std::{
    sync::{Arc, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use super::{KnowledgeBase, View, WAITING_READ_COUNT_MAX};
use crate::{
    graph::{Draft, Replaced, Undo},
    log::{Change, LogError, LogReader},
    model::access::Access,
    sync::{Mutex, MutexGuard, task, time::sleep},
};

/// Views that are kept for the next read.
const KEPT_COUNT_MAX: usize = 16;
/// What the kept views may have undone together: so many times what one may.
const KEPT_CHANGE_FACTOR: u64 = 2;
/// Bytes of text that count as a change, where a commit has more of them than changes: what is taken back is held in memory.
const CHANGE_TEXT_BYTES: u64 = 512;
/// Changes that are taken back before it is looked how much memory they take.
const CHANGES_PER_LOOK: u64 = 1_000;
/// How long a view is kept that nobody reads: it holds layers of the index that were merged since.
const IDLE_MAX: Duration = Duration::from_mins(1);

/// Why the graph cannot be read as it was.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// There is no such revision yet.
    #[error("there is no revision {revision}: the newest one is {newest}")]
    NotThere {
        /// The revision that was asked for.
        revision: u64,
        /// The newest revision.
        newest: u64,
    },
    /// More was changed since than one read takes back.
    #[error("more than {change_count_max} changes, or as much text, were made since revision {revision}")]
    TooFarBack {
        /// The revision that was asked for.
        revision: u64,
        /// The limit.
        change_count_max: u64,
    },
    /// What was changed since takes more memory than it may.
    #[error("what was changed since revision {revision} takes more than {bytes_max} bytes of memory")]
    TooLarge {
        /// The revision that was asked for.
        revision: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// Views of earlier revisions that are being read take the memory that they may.
    #[error("views of earlier revisions that are being read take all their memory")]
    Busy,
    /// Too many reads wait for a view of an earlier revision.
    #[error("as many reads wait for the graph as it was as may")]
    Overloaded,
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A fault of ours.
    #[error("a thread that reads the log ended early: {0}")]
    Fault(#[from] task::JoinError),
}

/// Makes views of earlier revisions, one at a time, and keeps some.
pub(super) struct Past {
    change_count_max: u64,
    /// Bytes of the layers of all views together, and again of the way back to one that is being made.
    bytes_max: u64,
    /// Held while a view is made: who wants the same one finds it afterwards.
    pub(super) making: Arc<tokio::sync::Mutex<()>>,
    /// Places of the reads that wait for one.
    waiting: Semaphore,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The one that was read last comes last.
    views: Vec<PastView>,
    /// The layers that were made for views, as long as somebody has them.
    layers: Vec<Replaced>,
    /// Whether a task drops those that nobody reads.
    is_watched: bool,
}

#[derive(Clone)]
struct PastView {
    view: View,
    /// Changes that were taken back to make it.
    change_count: u64,
    read_at: Instant,
}

impl KnowledgeBase {
    /// Returns what somebody sees of the graph as it was at a revision, 1 or later.
    ///
    /// At once if it is the newest one or was read lately; else as long as it takes to read what was changed since, on a
    /// thread that may block.
    pub async fn read_at(&self, access: &Access, revision: u64) -> Result<View, PastError> {
        let whole = self.read_whole_at(revision).await?;
        Ok(whole.seen_by(access.reads()))
    }

    async fn read_whole_at(&self, revision: u64) -> Result<View, PastError> {
        let past = &self.inner.past;
        let newest = self.inner.shared.view.load().whole();
        if revision == newest.revision {
            return Ok(newest);
        }
        if revision > newest.revision {
            return Err(PastError::NotThere {
                revision,
                newest: newest.revision,
            });
        }
        let earliest = self.earliest_revision();
        if revision < earliest {
            return Err(LogError::Compacted { revision, earliest }.into());
        }
        if let Some(view) = past.find(revision) {
            return Ok(view);
        }
        let waiting = past.waiting.try_acquire();
        let _waiting = waiting.map_err(|_| PastError::Overloaded)?;
        let making = Arc::clone(&past.making).lock_owned().await;
        if let Some(view) = past.find(revision) {
            return Ok(view);
        }
        // Not the one from before the wait: it may have what was erased meanwhile, which would be kept with what is made of it.
        let newest = self.inner.shared.view.load().whole();
        let (past, log) = (Arc::clone(past), self.inner.log.clone());
        // It goes on if the caller goes away: what was read is kept for the next one.
        let made = task::spawn_blocking(move || {
            let _making = making;
            past.make(&log, newest, revision)
        });
        made.await?
    }
}

impl Past {
    pub(super) fn new(change_count_max: u64, bytes_max: u64) -> Arc<Self> {
        Arc::new(Self {
            change_count_max,
            bytes_max,
            making: Arc::default(),
            waiting: Semaphore::new(WAITING_READ_COUNT_MAX),
            kept: Mutex::default(),
        })
    }

    /// Drops all views, also the one that is being made: something was erased that they may have.
    pub(super) async fn forget(&self) {
        let _making = self.making.lock().await;
        self.kept().views.clear();
    }

    /// Drops the views that are kept for the next read: their memory is wanted.
    pub(super) fn give_way(&self) {
        self.kept().views.clear();
    }

    fn find(&self, revision: u64) -> Option<View> {
        let mut kept = self.kept();
        let at = kept
            .views
            .iter()
            .position(|past| past.view.revision == revision)?;
        let mut found = kept.views.remove(at);
        found.read_at = Instant::now();
        kept.views.push(found.clone());
        Some(found.view)
    }

    /// Takes back what came after a revision, from the nearest view on, and keeps what comes of it.
    fn make(self: &Arc<Self>, log: &LogReader, newest: View, revision: u64) -> Result<View, PastError> {
        let newest = PastView {
            view: newest,
            change_count: 0,
            read_at: Instant::now(),
        };
        let later = {
            let kept = self.kept();
            let later = kept.views.iter().filter(|past| past.view.revision > revision);
            let nearest = later.min_by_key(|past| past.view.revision);
            nearest.cloned().unwrap_or(newest)
        };
        let change_count = self.count(log, &later, revision)?;
        if !self.kept().make_room(self.bytes_max) {
            return Err(PastError::Busy);
        }
        let bytes_max = self.bytes_max;
        let too_large = || PastError::TooLarge { revision, bytes_max };
        let mut undo = Undo::default();
        let mut undone_count: u64 = 0;
        let records = log.records()?;
        for undone in (revision + 1..=later.view.revision).rev() {
            for change in records.get(undone)?.1 {
                undone_count += 1;
                if undone_count.is_multiple_of(CHANGES_PER_LOOK) && undo.memory_bytes() > bytes_max {
                    return Err(too_large());
                }
                match change? {
                    Change::DropGraph(graph) => undo.dropped_graph(graph.as_ref()),
                    Change::CreateGraph(graph) => undo.created_graph(graph.as_ref()),
                    Change::Remove(quad) => undo.removed(quad.as_ref()),
                    Change::Insert(quad) => undo.inserted(quad.as_ref()),
                }
            }
        }
        let mut draft = Draft::new(later.view.snapshot.clone());
        draft.apply(&undo.into_batch());
        let mut snapshot = draft.finish().1;
        if snapshot.memory_bytes_beside(&later.view.snapshot) > bytes_max {
            return Err(too_large());
        }
        if snapshot.term_count() > later.view.snapshot.term_count() {
            snapshot = snapshot.apart();
        }
        let layers = snapshot.replaced_by(&later.view.snapshot);
        self.kept().layers.extend(layers);
        let view = View::new(revision, snapshot);
        self.keep(PastView {
            view: view.clone(),
            change_count,
            read_at: Instant::now(),
        });
        Ok(view)
    }

    /// Counts what is to be taken back, with what a view has taken back already. Each commit counts as one change more, and as
    /// many as its text is long.
    fn count(&self, log: &LogReader, later: &PastView, revision: u64) -> Result<u64, PastError> {
        let mut change_count = later.change_count;
        log.headers(revision + 1..=later.view.revision, true, &mut |header| {
            let counts = header.counts;
            let changes = [
                counts.graphs_dropped,
                counts.graphs_created,
                counts.quads_removed,
                counts.quads_inserted,
            ];
            let changes = changes.into_iter().fold(0, u64::saturating_add);
            let count = changes.max(header.text_bytes / CHANGE_TEXT_BYTES);
            change_count = change_count.saturating_add(count).saturating_add(1);
            change_count <= self.change_count_max
        })?;
        if change_count <= self.change_count_max {
            Ok(change_count)
        } else {
            Err(PastError::TooFarBack {
                revision,
                change_count_max: self.change_count_max,
            })
        }
    }

    fn keep(self: &Arc<Self>, past: PastView) {
        let mut kept = self.kept();
        kept.views.push(past);
        let change_count_max = self.change_count_max.saturating_mul(KEPT_CHANGE_FACTOR);
        let mut change_count: u64 = kept.views.iter().map(|past| past.change_count).sum();
        while kept.views.len() > KEPT_COUNT_MAX || change_count > change_count_max {
            change_count -= kept.views.remove(0).change_count;
        }
        // One that is too large beside others in use is not kept either.
        kept.make_room(self.bytes_max);
        if !kept.is_watched {
            kept.is_watched = true;
            task::spawn(drop_idle(Arc::downgrade(self)));
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Drops views, the oldest first, until their layers take no more than they may; false if those that are being read do.
    fn make_room(&mut self, bytes_max: u64) -> bool {
        loop {
            self.layers.retain(|layer| layer.memory_bytes() > 0);
            let bytes: u64 = self.layers.iter().map(Replaced::memory_bytes).sum();
            if bytes <= bytes_max {
                return true;
            }
            if self.views.is_empty() {
                return false;
            }
            self.views.remove(0);
        }
    }
}

/// Drops views that nobody reads, until there are none.
async fn drop_idle(past: Weak<Past>) {
    loop {
        sleep(IDLE_MAX).await;
        let Some(past) = past.upgrade() else { return };
        let mut kept = past.kept();
        kept.views.retain(|past| past.read_at.elapsed() < IDLE_MAX);
        if kept.views.is_empty() {
            kept.is_watched = false;
            return;
        }
    }
}
