//! What the log alone does not tell of a commit, looked up in the graph of its revision.

use std::{sync::Arc, time::Duration};

use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{Event, Fragment, Scan, SnapshotFragment, Turn, Watcher};
use crate::{
    facts::FactChange,
    feed::{
        FeedError, Output, Waiting,
        details::Details,
        fact_scan::{FactScan, FactStep, fact_fragments},
        past::Past,
        record::Record,
        scan::LargeCommit,
    },
    knowledge::{Mark, Streamed},
    sync::{task::spawn_blocking, time::sleep_until},
};

/// Commits behind the newest up to which a watcher shares with others what the graph says of them; one that is further behind
/// goes on from a graph of its own.
const NEAR_COUNT_MAX: u64 = 1_024;

impl Watcher {
    /// Tells whether what it wants is not in the log alone.
    pub(super) fn needs_graph(&self) -> bool {
        self.output == Output::Facts || self.filter.has_origins()
    }

    /// Takes some of the records at hand together with what the graph says of them. Waits for a place no longer than `due`.
    pub(super) async fn look_up(&mut self, due: Instant) -> Result<(), FeedError> {
        self.feed.limit_graphs();
        let whole = self.run.iter().take_while(|record| record.changes.is_some());
        let whole: Vec<_> = whole.cloned().collect();
        let is_near = self.past.is_none() && self.feed.revision() - self.position.revision <= NEAR_COUNT_MAX;
        if is_near && !whole.is_empty() {
            match self.feed.details(&whole, self.erasure_count).await {
                // A large commit came after these, which need not be taken back.
                Err(FeedError::TooFarBack { .. }) if self.kept_graph().is_some() => {}
                details => {
                    self.turn = None;
                    return self.take_run(&details?);
                }
            }
        }
        let Some((mut past, place)) = self.past_at(due).await? else {
            return Ok(());
        };
        if whole.is_empty() {
            return self.begin_on(past, place).await;
        }
        let waiting = Waiting::default();
        let is_over = waiting.is_over();
        let (past, details) = spawn_blocking(move || {
            let details = Details::of_run(&mut past, &whole, &is_over);
            (past, details)
        })
        .await?;
        self.take_run(&details?)?;
        self.past = Some((past, place));
        Ok(())
    }

    /// Returns the graph where it stands. `None`: all places are taken, until `due` at least.
    async fn past_at(&mut self, due: Instant) -> Result<Option<(Past, OwnedSemaphorePermit)>, FeedError> {
        if let Some(past) = self.past.take() {
            return Ok(Some(past));
        }
        let turn = self.turn.get_or_insert_with(|| Turn::new(&self.feed));
        let place = tokio::select! {
            place = turn.place() => place?,
            () = sleep_until(due) => return Ok(None),
        };
        self.turn = None;
        let (feed, position) = (self.feed.clone(), self.position.revision);
        let kept = self.kept_graph().filter(|kept| {
            let later_count = position.checked_sub(kept.revision);
            later_count.is_some_and(|count| count <= NEAR_COUNT_MAX)
        });
        self.kept = None;
        let waiting = Waiting::default();
        let is_over = waiting.is_over();
        let past = spawn_blocking(move || match kept {
            Some(kept) => kept.forward_to(position, &is_over),
            None => Past::at(&feed, position, &is_over),
        });
        Ok(Some((past.await??, place)))
    }

    /// Returns the graph that it keeps, if that did not take too much.
    fn kept_graph(&self) -> Option<Past> {
        let kept = self.kept.as_ref();
        kept.and_then(|keeping| Past::kept(&self.feed, keeping))
    }

    /// Keeps the graph where it stands, if that is the newest one. What it takes beside the newest is little until much came since.
    pub(super) fn keep_newest(&mut self) {
        if self.needs_graph() {
            let newest = Past::newest_of(&self.feed);
            if newest.revision == self.position.revision {
                self.kept = Some(newest.keep());
            }
        }
    }

    /// Begins to read a commit that is large, on the graph before it.
    async fn begin_on(&mut self, mut past: Past, place: OwnedSemaphorePermit) -> Result<(), FeedError> {
        let Some(record) = self.run.pop_front() else {
            return Ok(());
        };
        let (log, revision) = (self.feed.log().clone(), record.header.revision);
        let (filter, sight, output) = (Arc::clone(&self.filter), self.sight.clone(), self.output);
        let waiting = Waiting::default();
        let is_over = waiting.is_over();
        let (past, scan) = spawn_blocking(move || {
            let (header, changes) = log.record(revision)?;
            let made = past.advance(changes, &is_over)?;
            let scan = match output {
                Output::Facts => {
                    let mut go_on = |gathered_bytes| {
                        if is_over() {
                            return Err(FeedError::Over);
                        }
                        past.check_bytes(gathered_bytes)
                    };
                    let facts = made.transition.into_facts(&made.changes, &mut go_on)?;
                    Scan::Facts(Box::new(FactScan::of_commit(
                        sight.header(&header),
                        facts,
                        filter,
                    )))
                }
                Output::Quads => {
                    let (header, changes) = log.record_at_leisure(revision)?;
                    let transition = Some(made.transition);
                    let commit = LargeCommit::new(&header, changes, filter, sight, transition);
                    Scan::Commit(Box::new(commit))
                }
            };
            Ok::<_, FeedError>((past, scan))
        })
        .await??;
        self.past = Some((past, place));
        self.scan = Some(scan);
        self.held_up = Duration::ZERO;
        Ok(())
    }

    /// Lets others have its place, if they wait for one, and keeps no graph: the reader has had no room for some time. In the middle of
    /// a commit the graph is still needed. Tells whether it may go on: the graph that it begins with may take too much beside the newest.
    pub(in crate::feed) fn give_way(&mut self) -> bool {
        self.kept = None;
        if self.scan.is_none() && self.others_wait() {
            self.past = None;
            self.turn = None;
        }
        !self.begins_with.as_mut().is_some_and(Streamed::lingers)
    }

    /// Tells whether it has to give way to others: its reader was slow, and the graph that it begins with took too much since.
    pub(in crate::feed) fn gives_way(&self) -> bool {
        self.begins_with.as_ref().is_some_and(Streamed::gives_way)
    }

    /// Returns how long the reader may leave a frame lying; in the middle of a commit for which others wait, all of its frames.
    pub(in crate::feed) fn stall_max(&self) -> Duration {
        let stall_max = self.feed.settings().stall_max;
        if self.scan.is_some() && self.past.is_some() && self.others_wait() {
            stall_max.saturating_sub(self.held_up)
        } else {
            stall_max
        }
    }

    /// Takes down how long the reader had no room.
    pub(in crate::feed) fn was_held_up(&mut self, time: Duration) {
        self.held_up += time;
    }

    fn others_wait(&self) -> bool {
        Arc::strong_count(&self.feed.0.past_waiters) > 1 + usize::from(self.turn.is_some())
    }

    /// Makes events of the first records at hand, of which the details are known.
    fn take_run(&mut self, details: &[Arc<Details>]) -> Result<(), FeedError> {
        for details in details {
            let Some(record) = self.run.pop_front() else {
                break;
            };
            match (self.output, &details.facts) {
                (Output::Quads, _) => self.make_ready(&record, Some(details)),
                (Output::Facts, Some(facts)) => self.make_facts_ready(&record, facts),
                (Output::Facts, None) => {
                    let bytes_max = self.feed.settings().diff_bytes_max;
                    return Err(FeedError::TooFarBack { bytes_max });
                }
            }
        }
        Ok(())
    }

    fn make_facts_ready(&mut self, record: &Record, facts: &[FactChange]) {
        self.position = Mark::of(&record.header);
        let Mark { revision, hash } = self.position;
        let passing = facts.iter().filter(|change| self.filter.passes_fact(change));
        let header = self.sight.header(&record.header);
        let is_redacted = header.is_redacted;
        let mut header = Some(Box::new(header));
        let mut fragments = fact_fragments(passing.cloned().collect());
        if fragments.is_empty() && is_redacted {
            fragments.push((Vec::new(), true));
        }
        for (facts, is_last) in fragments {
            self.ready.push_back(Event::Commit(Fragment {
                revision,
                hash,
                header: header.take(),
                changes: Vec::new(),
                facts,
                is_last,
            }));
        }
    }

    /// Reads on in facts.
    pub(super) async fn go_on_with_facts(
        &mut self,
        mut scan: Box<FactScan>,
    ) -> Result<Option<Event>, FeedError> {
        let (mut scan, step) = spawn_blocking(move || {
            let step = scan.step();
            (scan, step)
        })
        .await?;
        let (mark, is_snapshot) = (scan.mark, scan.is_snapshot);
        let FactStep::Found { facts, is_last } = step else {
            self.scan = Some(Scan::Facts(scan));
            return Ok(None);
        };
        let header = scan.header.take();
        if is_last {
            self.position = mark;
        } else {
            self.scan = Some(Scan::Facts(scan));
        }
        if is_snapshot {
            return Ok(Some(Event::Snapshot(SnapshotFragment {
                revision: mark.revision,
                hash: mark.hash,
                changes: Vec::new(),
                facts,
                is_last,
            })));
        }
        // A commit that changed no fact that is wanted is left out, unless something was erased from it.
        let is_redacted = header.as_ref().is_some_and(|header| header.is_redacted);
        Ok(
            (!facts.is_empty() || is_redacted).then_some(Event::Commit(Fragment {
                revision: mark.revision,
                hash: mark.hash,
                header,
                changes: Vec::new(),
                facts,
                is_last,
            })),
        )
    }
}
