//! The change feed: what was committed, in order, each commit once, for watchers that go at their own pace.
//!
//! A watcher reads the log itself, woken by the revision that the writer publishes: the writer knows of none, and a slow
//! one holds up nobody. Those that are up to date share what one of them has read.

mod details;
mod diff;
mod fact_scan;
mod filter;
mod follow;
mod graphs;
mod headers;
mod past;
mod record;
mod ring;
mod scan;
mod standing;
#[cfg(test)]
mod tests;
mod text;
mod waiting;
mod watcher;

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use self::filter::Sight;
use self::{
    details::{Details, Kept},
    graphs::Graphs,
    past::Past,
    record::Record,
    ring::Ring,
    standing::Standings,
};
pub use self::{
    diff::{Diff, DiffError},
    filter::{Filter, Output},
    follow::{End, EndReason, follow},
    headers::{HeaderPage, Listing},
    scan::fragments,
    waiting::Waiting,
    watcher::{Event, Fragment, SnapshotFragment, Start, Watcher},
};
pub use crate::{
    facts::{FactChange, FactChangeKind},
    log::{Change, Header, LogError},
};
use crate::{
    knowledge::{KnowledgeBase, Known, Mark, RevisionNotReached},
    log::LogReader,
    model::access::Access,
    places::{Full, Place, Places},
    sync::{Mutex, MutexGuard, task},
};

/// Differences that are computed at once.
const DIFF_COUNT_MAX: usize = 2;
/// Watchers that have a graph of the past at once; others wait for a place.
const PAST_COUNT_MAX: usize = 4;
/// Changes of one fragment, and about the bytes of their text: with room to spare in a message of 4 MiB, which clients
/// take by default.
const FRAGMENT_CHANGE_COUNT_MAX: usize = 1_000;
const FRAGMENT_BYTES_MAX: usize = 256 << 10;
/// Changes after which it is asked whether to give up.
const CHANGES_PER_LOOK: usize = 1_000;

/// The limits of the feed.
#[derive(Clone, Copy, Debug)]
pub struct FeedSettings {
    /// Watchers at once.
    pub watcher_count_max: usize,
    /// How long a watcher may leave a frame lying before it is ended.
    pub stall_max: Duration,
    /// Bytes of memory of one difference.
    pub diff_bytes_max: u64,
}

/// The feed of a knowledge base. Clones are the same one.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    knowledge: KnowledgeBase,
    settings: FeedSettings,
    watchers: Arc<Semaphore>,
    standings: Arc<Standings>,
    diffs: Places,
    ring: Mutex<Ring>,
    /// Held while the newest records are read, so that one reads them for all.
    filling: tokio::sync::Mutex<()>,
    details: Mutex<Kept>,
    /// Held while details of the newest records are read, likewise.
    detailing: tokio::sync::Mutex<()>,
    pasts: Arc<Semaphore>,
    /// Has as many owners more as there are watchers that wait for one of these.
    past_waiters: Arc<()>,
    graphs: Graphs,
}

/// Why the feed cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The revision after which a watch is to begin was not there in time.
    #[error(transparent)]
    NotReached(#[from] RevisionNotReached),
    /// The commit after which a watch is to begin is not in the log: the log was restored to an earlier revision, or is another one.
    #[error(
        "the log does not have the commit that is at revision {revision} where the watch began: its history is another one, \
         begin anew with the whole graph"
    )]
    OtherHistory {
        /// The revision.
        revision: u64,
    },
    /// The knowledge base is closed.
    #[error("the knowledge base is shutting down")]
    Closed,
    /// Something was erased from the log while a watch was in the middle of what may have it.
    #[error("something was erased from what is being told")]
    Erased,
    /// Nobody waits for what is read.
    #[error("the reading was given up")]
    Over,
    /// To read the graph of a revision, or what a commit makes of it, takes more memory than it may.
    #[error(
        "the graph of that revision takes more than {bytes_max} bytes of memory beside the newest one, or its commit does"
    )]
    TooFarBack {
        /// The limit.
        bytes_max: u64,
    },
    /// A fault of ours.
    #[error("a thread of the change feed ended early: {0}")]
    Fault(#[from] task::JoinError),
}

/// Why nobody watches.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// There are as many watchers as may be.
    #[error(transparent)]
    Full(#[from] Full),
    /// It cannot begin.
    #[error(transparent)]
    Feed(#[from] FeedError),
}

impl Feed {
    /// Returns the feed of a knowledge base.
    pub fn new(knowledge: KnowledgeBase, settings: FeedSettings) -> Self {
        let next = knowledge.revision() + 1;
        Self(Arc::new(Inner {
            knowledge,
            settings,
            watchers: Arc::new(Semaphore::new(settings.watcher_count_max)),
            standings: Arc::default(),
            diffs: Places::new(DIFF_COUNT_MAX),
            ring: Mutex::new(Ring::new(next)),
            filling: tokio::sync::Mutex::default(),
            details: Mutex::default(),
            detailing: tokio::sync::Mutex::default(),
            pasts: Arc::new(Semaphore::new(PAST_COUNT_MAX)),
            past_waiters: Arc::default(),
            graphs: Graphs::default(),
        }))
    }

    /// Returns its limits.
    pub fn settings(&self) -> &FeedSettings {
        &self.0.settings
    }

    /// Returns the newest revision that may be told of.
    pub fn revision(&self) -> u64 {
        self.0.knowledge.revision()
    }

    /// Fails if the log does not reach back to a revision: neither its graph nor what changed after it is known.
    pub fn check_retained(&self, revision: u64) -> Result<(), FeedError> {
        let earliest = self.0.knowledge.earliest_revision();
        if revision < earliest {
            return Err(LogError::Compacted { revision, earliest }.into());
        }
        Ok(())
    }

    /// Returns the knowledge base.
    pub fn knowledge(&self) -> &KnowledgeBase {
        &self.0.knowledge
    }

    /// Returns how many watch.
    pub fn watcher_count(&self) -> usize {
        self.0.settings.watcher_count_max - self.0.watchers.available_permits()
    }

    /// Returns how many revisions the slowest watcher has not taken yet; 0 if nobody watches.
    pub fn lag(&self) -> u64 {
        let slowest = self.0.standings.slowest();
        slowest.map_or(0, |revision| self.revision().saturating_sub(revision))
    }

    /// Waits for the commit after which a watch is to begin, as [`KnowledgeBase::wait_for`] does. Fails if it is no longer in the log, or
    /// not the one that the watcher has.
    pub async fn reach(&self, known: Known, deadline: Option<Instant>) -> Result<(), FeedError> {
        let Known { revision, hash } = known;
        let knowledge = self.knowledge();
        let Some(hash) = hash else {
            knowledge.wait_for(revision, deadline).await?;
            return self.check_retained(revision);
        };
        self.check_retained(revision)?;
        // Nobody is told of a commit before it is there: it need not be waited for.
        if knowledge.has(Mark { revision, hash }).await? {
            Ok(())
        } else {
            Err(FeedError::OtherHistory { revision })
        }
    }

    /// Begins to watch what a caller may read. `checkpoint_interval`: the longest silence.
    pub async fn watch(
        &self,
        access: &Access,
        start: Start,
        wanted: (Filter, Output),
        checkpoint_interval: Duration,
    ) -> Result<Watcher, WatchError> {
        let place = Arc::clone(&self.0.watchers)
            .try_acquire_owned()
            .map_err(|_| Full {
                count_max: self.0.settings.watcher_count_max,
            })?;
        Ok(Watcher::new(self.clone(), access, start, wanted, checkpoint_interval, place).await?)
    }

    /// Takes a place for a difference.
    pub fn diff_place(&self) -> Result<Place, Full> {
        self.0.diffs.take()
    }

    /// Returns a number that goes up when something is erased: what was read before must not be told any more.
    pub fn erasure_count(&self) -> u64 {
        self.log().erasure_count()
    }

    /// Computes what differs between two revisions, of what a caller may read. Blocks; `is_over` is asked again and again
    /// whether to give up.
    pub fn diff(
        &self,
        access: &Access,
        from: u64,
        to: u64,
        is_over: impl Fn() -> bool,
    ) -> Result<Diff, DiffError> {
        let sight = Sight(Arc::clone(access.reads()));
        Diff::between(
            self.log(),
            from,
            to,
            &sight,
            self.0.settings.diff_bytes_max,
            is_over,
        )
    }

    fn log(&self) -> &LogReader {
        self.0.knowledge.log()
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // What is in it is whole at any time.
        let mut ring = self.0.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.forget_erased(self.log().erasure_count());
        ring
    }

    /// Lets go of graphs that watchers keep, as far as they take more than they may.
    fn limit_graphs(&self) {
        let newest = self.0.knowledge.read(&Access::everything()).snapshot;
        self.0.graphs.limit(&newest, self.settings().diff_bytes_max);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What is in it is whole at any time.
        let mut kept = self.0.details.lock().unwrap_or_else(PoisonError::into_inner);
        kept.forget_erased(self.log().erasure_count());
        kept
    }

    /// Returns the details of consecutive records, read once for all watchers. They must be whole and among the newest.
    /// `erasure_count`: how often something had been erased when they were read.
    async fn details(&self, run: &[Arc<Record>], erasure_count: u64) -> Result<Vec<Arc<Details>>, FeedError> {
        let Some(first) = run.first().map(|record| record.header.revision) else {
            return Ok(Vec::new());
        };
        let known = || -> Vec<_> {
            let kept = self.kept();
            let revisions = (first..).take(run.len());
            revisions.map_while(|revision| kept.get(revision)).collect()
        };
        let found = known();
        if !found.is_empty() {
            return Ok(found);
        }
        let _detailing = self.0.detailing.lock().await;
        let found = known();
        if !found.is_empty() {
            return Ok(found);
        }
        let (feed, run) = (self.clone(), run.to_vec());
        let waiting = Waiting::default();
        let is_over = waiting.is_over();
        let read = move || Details::of_run(&mut Past::at(&feed, first - 1, &is_over)?, &run, &is_over);
        let details = task::spawn_blocking(read).await??;
        let mut kept = self.kept();
        // What was read before something was erased is not kept.
        if kept.erasure_count() == erasure_count {
            kept.put(first, &details);
        }
        drop(kept);
        Ok(details)
    }

    /// Returns some records from a revision on, of those up to `to`; at least one.
    async fn records(&self, from: u64, to: u64) -> Result<Vec<Arc<Record>>, FeedError> {
        if let Some(run) = self.ring().run(from) {
            return Ok(run);
        }
        if from < self.ring().next() {
            return self.read(from, to).await;
        }
        let _filling = self.0.filling.lock().await;
        if let Some(run) = self.ring().run(from) {
            return Ok(run);
        }
        let erasure_count = self.log().erasure_count();
        let run = self.read(from, to).await?;
        let mut ring = self.ring();
        // What was read before something was erased is not kept.
        if ring.erasure_count() == erasure_count {
            ring.extend(from, &run);
        }
        drop(ring);
        Ok(run)
    }

    async fn read(&self, from: u64, to: u64) -> Result<Vec<Arc<Record>>, FeedError> {
        let log = self.log().clone();
        Ok(task::spawn_blocking(move || record::read_run(&log, from, to)).await??)
    }
}
