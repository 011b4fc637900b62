//! The thread that writes the log anew, while the writer goes on.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::SyncSender,
    },
    thread,
    time::{Duration, Instant},
};

use super::{Shared, View, clock::Clock, compact, retention::Retention, writer::Message};
use crate::log::{Log, LogError, LogReader, Rewrite, Rewritten};

/// How often an idle writer looks for records that are too old.
const LOOK_INTERVAL: Duration = Duration::from_mins(1);
/// After a compaction so many times what it took passes before the next: a tenth of the time at most goes into them.
const REST_FACTOR: u32 = 10;
/// The pause after one that failed.
const FAILURE_PAUSE: Duration = Duration::from_mins(1);

/// A log that was written anew.
pub(super) struct Written {
    /// Nothing if there was nothing to do.
    outcome: Result<Option<Rewrite>, LogError>,
    took: Duration,
}

/// What the writer knows of the log's compactions.
pub(super) struct Rewrites {
    retention: Retention,
    queue: SyncSender<Message>,
    /// Tells the thread to stop, if one runs.
    is_over: Option<Arc<AtomicBool>>,
    not_before: Instant,
}

impl Rewrites {
    pub(super) fn new(retention: Retention, queue: SyncSender<Message>) -> Self {
        Self {
            retention,
            queue,
            is_over: None,
            not_before: Instant::now(),
        }
    }

    /// Returns how long the writer may wait for a message.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.retention.age_max.map(|_| LOOK_INTERVAL)
    }

    pub(super) fn is_running(&self) -> bool {
        self.is_over.is_some()
    }

    pub(super) fn stop(&self) {
        if let Some(is_over) = &self.is_over {
            is_over.store(true, Ordering::Relaxed);
        }
    }

    /// Begins to compact the log if that is due.
    pub(super) fn look_after_log(&mut self, log: &Log, clock: &Clock, shared: &Arc<Shared>) {
        if self.is_running() || Instant::now() < self.not_before {
            return;
        }
        let now_us = clock.now_us();
        let begun = match self.retention.is_due(log, now_us) {
            Ok(false) => return,
            Ok(true) => log.rewrite().and_then(|rewrite| {
                let (retention, shared) = (self.retention, Arc::clone(shared));
                self.start(rewrite, log.reader(), move |rewrite, log, is_over| {
                    compacted(&retention, now_us, &shared, rewrite, log, is_over)
                })
            }),
            Err(error) => Err(error),
        };
        if let Err(error) = begun {
            self.failed(&error);
        }
    }

    fn start(
        &mut self,
        mut rewrite: Rewrite,
        log: LogReader,
        work: impl FnOnce(&mut Rewrite, &LogReader, &AtomicBool) -> Result<bool, LogError> + Send + 'static,
    ) -> Result<(), LogError> {
        let is_over = Arc::new(AtomicBool::new(false));
        let (queue, over) = (self.queue.clone(), Arc::clone(&is_over));
        let thread = thread::Builder::new().name("dossier-rewrite".to_owned());
        let spawned = thread.spawn(move || {
            let begun_at = Instant::now();
            let worked = catch_unwind(AssertUnwindSafe(|| work(&mut rewrite, &log, &over)));
            let outcome = match worked {
                Ok(Ok(has_work)) => Ok(has_work.then_some(rewrite)),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(LogError::Io(std::io::Error::other("the thread panicked"))),
            };
            let took = begun_at.elapsed();
            // The writer waits for this, also at its end.
            let _ = queue.send(Message::Rewritten(Box::new(Written { outcome, took })));
        });
        spawned.map_err(LogError::Io)?;
        self.is_over = Some(is_over);
        Ok(())
    }

    /// Puts what was written in the log's place; returns what that did.
    pub(super) fn adopt(&mut self, written: Written, log: &mut Log) -> Option<Rewritten> {
        let took = written.took;
        self.is_over = None;
        self.not_before = Instant::now() + took * REST_FACTOR;
        let adopted = match written.outcome {
            Ok(Some(rewrite)) => log.adopt(rewrite),
            Ok(None) => return None,
            Err(error) => Err(error),
        };
        match adopted {
            Ok(rewritten) => {
                let Rewritten {
                    earliest,
                    bytes_before,
                    bytes,
                    ..
                } = rewritten;
                tracing::info!(earliest, bytes_before, bytes, ?took, "the log was compacted");
                Some(rewritten)
            }
            Err(error) => {
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

    fn failed(&mut self, error: &LogError) {
        tracing::warn!(%error, "the log was not compacted");
        self.not_before = Instant::now() + FAILURE_PAUSE;
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
    let view = View::clone(&shared.view.load());
    let Some(last) = retention.last_to_go(log, view.revision, now_us)? else {
        return Ok(false);
    };
    let newest = || shared.view.load().revision;
    compact::write(rewrite, log, &view, last, newest, is_over)?;
    Ok(true)
}
