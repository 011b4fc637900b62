//! The thread that writes the log anew, while the writer goes on.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Shared,
    clock::Clock,
    compact,
    erase::{self, ErasedView, Erasure},
    retention::Retention,
    writer::Message,
};
use crate::{
    log::{Log, LogError, LogReader, Rewrite, Rewritten},
    sync::{
        Niceness,
        atomic::{AtomicBool, Ordering},
        mpsc::SyncSender,
        thread,
        time::now,
    },
};

/// How often an idle writer looks for records that are too old.
const LOOK_INTERVAL: Duration = Duration::from_mins(1);
/// After a compaction so many times what it took passes before the next: a tenth of the time at most goes into them.
const REST_FACTOR: u32 = 10;
/// The pause after one that failed.
const FAILURE_PAUSE: Duration = Duration::from_mins(1);

/// How often it is told that the log waits for backups.
const WARNING_INTERVAL: Duration = Duration::from_mins(1);

/// A log that was written anew.
pub(super) struct Written {
    /// Nothing if there was nothing to do.
    outcome: Result<Option<Rewrite>, LogError>,
    took: Duration,
    /// What to do with it if it was for an erasure.
    erased: Option<ErasedView>,
}

/// What the writer knows of the log's rewrites.
pub(super) struct Rewrites {
    retention: Retention,
    queue: SyncSender<Message>,
    /// Tells the thread to stop, if one runs.
    is_over: Option<Arc<AtomicBool>>,
    /// No compaction before it.
    not_before: Instant,
    /// No warning that the log waits for backups before it.
    next_warning: Instant,
    /// Whether the log waited for backups when it was looked at last.
    waits_for_backups: bool,
    erasures: VecDeque<Erasure>,
}

impl Rewrites {
    pub(super) fn new(retention: Retention, queue: SyncSender<Message>) -> Self {
        Self {
            retention,
            queue,
            is_over: None,
            not_before: now(),
            // What backups there are is not told at once.
            next_warning: now() + WARNING_INTERVAL,
            waits_for_backups: false,
            erasures: VecDeque::new(),
        }
    }

    /// Returns how long the writer may wait for a message.
    pub(super) fn wait(&self) -> Option<Duration> {
        let looks = self.retention.age_max.is_some() || self.waits_for_backups;
        looks.then_some(LOOK_INTERVAL)
    }

    pub(super) fn is_running(&self) -> bool {
        self.is_over.is_some()
    }

    pub(super) fn stop(&mut self) {
        if let Some(is_over) = &self.is_over {
            is_over.store(true, Ordering::Relaxed);
        }
        // Who waits for them hears that nobody will.
        self.erasures.clear();
    }

    /// Has a rewrite for an erasure wait for its turn.
    pub(super) fn push(&mut self, erasure: Erasure) {
        self.erasures.push_back(erasure);
    }

    /// Tells whether something is to be erased as soon as there is room.
    pub(super) fn has_waiting_erasure(&self) -> bool {
        !self.erasures.is_empty()
    }

    /// Begins to write the log anew if there is a reason to, and room for the index that is made for it; tells whether it waits for room.
    pub(super) fn look_after_log(
        &mut self,
        log: &mut Log,
        clock: &Clock,
        shared: &Arc<Shared>,
        has_room: bool,
    ) -> bool {
        if self.is_running() {
            return false;
        }
        if self.has_waiting_erasure() && !has_room {
            return true;
        }
        if let Some(erasure) = self.erasures.pop_front() {
            self.erase(erasure, log, shared);
            return false;
        }
        now() >= self.not_before && self.compact(log, clock, shared, has_room)
    }

    fn erase(&mut self, erasure: Erasure, log: &mut Log, shared: &Arc<Shared>) {
        let shared = Arc::clone(shared);
        let rewrite = match log.rewrite() {
            Ok(rewrite) => rewrite,
            Err(error) => return erasure.fail(error),
        };
        let work = move |mut rewrite: Rewrite, _: &LogReader, is_over: &AtomicBool| match erase::write(
            &erasure,
            &shared,
            &mut rewrite,
            is_over,
        ) {
            Ok(view) => (Ok(Some(rewrite)), Some(erasure.with(view))),
            Err(error) => {
                erasure.fail(error);
                (Ok(None), None)
            }
        };
        if let Err(error) = self.start(rewrite, log.reader(), work) {
            tracing::error!(%error, "what is to be erased is still in the log");
        }
    }

    fn compact(&mut self, log: &mut Log, clock: &Clock, shared: &Arc<Shared>, has_room: bool) -> bool {
        let now_us = clock.now_us();
        let is_due = self.retention.is_due(log, now_us);
        let waits =
            matches!(is_due, Ok(true)) && self.retention.last_max(shared.backed_up()) <= log.earliest();
        self.waits_for_backups = waits;
        shared.set_waits_for_backup(waits);
        let begun = match is_due {
            Ok(false) => return false,
            Ok(true) if waits => {
                self.warn_of_backups(log.earliest());
                return false;
            }
            Ok(true) if !has_room => return true,
            Ok(true) => log.rewrite().and_then(|rewrite| {
                let (retention, shared) = (self.retention, Arc::clone(shared));
                let work = move |mut rewrite: Rewrite, log: &LogReader, is_over: &AtomicBool| {
                    let compacted = compacted(&retention, now_us, &shared, &mut rewrite, log, is_over);
                    (compacted.map(|has_work| has_work.then_some(rewrite)), None)
                };
                self.start(rewrite, log.reader(), work)
            }),
            Err(error) => Err(error),
        };
        if let Err(error) = begun {
            self.failed(&error);
        }
        false
    }

    fn start(
        &mut self,
        rewrite: Rewrite,
        log: LogReader,
        work: impl FnOnce(
            Rewrite,
            &LogReader,
            &AtomicBool,
        ) -> (Result<Option<Rewrite>, LogError>, Option<ErasedView>)
        + Send
        + 'static,
    ) -> Result<(), LogError> {
        let is_over = Arc::new(AtomicBool::new(false));
        let (queue, over) = (self.queue.clone(), Arc::clone(&is_over));
        let thread = thread::Builder::new().name("dossier-rewrite".to_owned());
        let spawned = thread.spawn(move || {
            Niceness::Background.set();
            let begun_at = now();
            let worked = catch_unwind(AssertUnwindSafe(|| work(rewrite, &log, &over)));
            let (outcome, erased) = worked.unwrap_or_else(|_| {
                let panicked = std::io::Error::other("the thread panicked");
                (Err(LogError::Io(panicked)), None)
            });
            let took = now() - begun_at;
            let written = Written {
                outcome,
                took,
                erased,
            };
            // The writer waits for this, also at its end.
            let _ = queue.send(Message::Rewritten(Box::new(written)));
        });
        spawned.map_err(LogError::Io)?;
        self.is_over = Some(is_over);
        Ok(())
    }

    /// Puts what was written in the log's place; returns what that did, and what is to be done for an erasure.
    pub(super) fn adopt(
        &mut self,
        written: Written,
        log: &mut Log,
    ) -> Option<(Rewritten, Option<ErasedView>)> {
        let Written {
            outcome,
            took,
            erased,
        } = written;
        self.is_over = None;
        self.not_before = self.not_before.max(now() + took * REST_FACTOR);
        let adopted = match outcome {
            Ok(Some(rewrite)) => log.adopt(rewrite),
            Ok(None) => return None,
            Err(error) => Err(error),
        };
        match (adopted, erased) {
            (Ok(rewritten), erased) => {
                let Rewritten {
                    earliest,
                    redacted_count,
                    bytes_before,
                    bytes,
                } = rewritten;
                tracing::info!(
                    earliest,
                    redacted_count,
                    bytes_before,
                    bytes,
                    ?took,
                    "the log was written anew"
                );
                Some((rewritten, erased))
            }
            (Err(error), Some(erased)) => {
                erased.fail(error);
                None
            }
            (Err(error), None) => {
                self.failed(&error);
                None
            }
        }
    }

    /// Drops what was written: the writer has ended.
    pub(super) fn end(&mut self, written: Written) {
        drop(written);
        self.is_over = None;
    }

    fn warn_of_backups(&mut self, earliest: u64) {
        self.waits_for_backups = true;
        if now() >= self.next_warning {
            tracing::warn!(
                earliest,
                "the log is beyond its limits, and stays until it is backed up"
            );
            self.next_warning = now() + WARNING_INTERVAL;
        }
    }

    fn failed(&mut self, error: &LogError) {
        tracing::warn!(%error, "the log was not compacted");
        self.not_before = now() + FAILURE_PAUSE;
    }
}

/// Writes a compacted log; tells whether there was anything to compact.
fn compacted(
    retention: &Retention,
    now_us: u64,
    shared: &Shared,
    rewrite: &mut Rewrite,
    log: &LogReader,
    is_over: &AtomicBool,
) -> Result<bool, LogError> {
    let view = shared.view.load().whole();
    let Some(last) = retention.last_to_go(log, (view.revision, shared.backed_up()), now_us)? else {
        return Ok(false);
    };
    let newest = || shared.view.load().revision();
    compact::write(rewrite, log, &view, last, newest, is_over)?;
    Ok(true)
}
