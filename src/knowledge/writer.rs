//! The writer's thread.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Shared, View, Writes,
    background::Job,
    clock::Clock,
    erase::{ErasedView, Erasure},
    group::{Done, Group},
    member::{Member, Refusal},
    open::replay,
    past::Past,
    rewrites::{Rewrites, Written},
    room::Room,
};
use crate::{
    graph::Merged,
    log::{Log, LogError, Rewritten},
    model::day::Day,
    sync::{
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, SendError, Sender},
        time::now,
    },
};

/// Commits after which the snapshot file is written, unless the graph is large: as many small ones are replayed in about half a second.
const FILE_COMMIT_COUNT_MIN: u64 = 10_000;
/// Quads of a large graph for each of those commits: they are replayed in some times what the file is read in.
const FILE_COMMIT_QUADS: u64 = 256;
/// Changed quads after which the snapshot file is written, unless the graph is large.
const FILE_QUAD_COUNT_MIN: u64 = 250_000;
/// The part of the graph that must have changed before the file is written: a file is the whole graph, so that bulk loads
/// would write it over and over. This way all files of a load together are at most five times the last one.
const FILE_QUAD_PART: u64 = 4;

/// How often a log is tried to be opened again that cannot be read since its disk was full.
const REOPEN_INTERVAL: Duration = Duration::from_secs(1);
/// How often the log says that it still cannot be.
const SAY_INTERVAL: Duration = Duration::from_mins(1);
/// Changed quads of one append that are a load, as those of an import in pieces or of some tens of writers who wait: merges that only
/// serve reads wait for its end.
const LOAD_QUAD_COUNT: u64 = 256;
/// How long after the last of them a load has ended.
pub(super) const LOAD_END: Duration = Duration::from_secs(1);

pub(super) enum Message {
    Commit(Box<dyn Member>),
    Merged(Merged),
    FileWritten,
    /// The log was written anew, beside the one that is in use.
    Rewritten(Box<Written>),
    /// Write the log anew, without what was erased.
    Erase(Erasure),
    /// The day may have turned, a record have grown too old, a log be free to be opened again, or a load have ended.
    LookAtDay,
    Close,
}

pub(super) struct Writer {
    pub(super) log: Log,
    pub(super) clock: Clock,
    /// The reference date when it was looked at last.
    pub(super) day: Day,
    pub(super) shared: Arc<Shared>,
    pub(super) view: View,
    pub(super) graph_memory_bytes_max: u64,
    pub(super) background: Sender<Job>,
    /// The revision of the last snapshot file that was asked for.
    pub(super) file_revision: u64,
    pub(super) changed_quad_count: u64,
    pub(super) room: Room,
    pub(super) past: Arc<Past>,
    /// When a load that is under way has ended, if nothing more comes.
    pub(super) load_end: Option<Instant>,
    /// When the log said last that it cannot be opened again, since it could not.
    pub(super) closed_said_at: Option<Instant>,
    pub(super) is_writing_file: bool,
    pub(super) rewrites: Rewrites,
}

impl Writer {
    /// Works until it is told to close.
    pub(super) fn run(mut self, queue: &Receiver<Message>) {
        self.look_after();
        let mut next = None;
        while let Some(message) = next.take().or_else(|| self.wait(queue)) {
            match message {
                Message::LookAtDay => {
                    self.look_after_readers();
                    self.turn();
                }
                Message::Commit(member) => next = self.commit(member, queue),
                Message::Merged(merged) => {
                    self.room.end_merge();
                    self.shared.merge_count.fetch_add(1, Ordering::Relaxed);
                    self.show(View {
                        snapshot: self.view.snapshot.with_merged(&merged),
                        ..self.view.clone()
                    });
                }
                Message::FileWritten => self.is_writing_file = false,
                Message::Rewritten(written) => self.adopt(*written),
                Message::Erase(erasure) => self.rewrites.push(erasure),
                Message::Close => break,
            }
            self.look_after();
        }
        self.write_file();
        self.rewrites.stop();
        // The thread that writes the log anew has a say until it has ended: its file goes before the lock does.
        while self.rewrites.is_running()
            && let Ok(message) = queue.recv()
        {
            self.refuse(message);
        }
        for message in queue.try_iter() {
            self.refuse(message);
        }
    }

    /// Answers what comes after the end.
    fn refuse(&mut self, message: Message) {
        match message {
            Message::Commit(member) => member.answer(Err(Refusal::Closed)),
            Message::Rewritten(written) => self.rewrites.end(*written),
            // Who waits for an erasure hears that nobody will do it.
            Message::Erase(_)
            | Message::Merged(_)
            | Message::FileWritten
            | Message::LookAtDay
            | Message::Close => {}
        }
    }

    /// Puts a log that was written anew in the place of the one that is in use.
    fn adopt(&mut self, written: Written) {
        let Some((rewritten, erased)) = self.rewrites.adopt(written, &mut self.log) else {
            return;
        };
        self.shared.earliest.send_replace(rewritten.earliest);
        if let Some(erased) = erased {
            self.forget(erased, rewritten);
        } else if self.file_revision < rewritten.earliest {
            // A file that is older than the log reaches back is of no use.
            self.write_file();
        }
    }

    /// Puts an index without what was erased in the place of the view's and of the snapshot file's.
    fn forget(&mut self, mut erased: ErasedView, rewritten: Rewritten) {
        let head = self.log.head();
        if let Err(error) = replay(&self.log.reader(), &mut erased.view, head.revision) {
            tracing::error!(%error, "what was erased is still in memory and in the snapshot file");
            let error = std::io::Error::other(error);
            return erased.fail(LogError::Io(error));
        }
        self.show(erased.view.clone());
        self.file_revision = head.revision;
        self.changed_quad_count = 0;
        self.is_writing_file = true;
        if let Err(SendError(Job::WriteErased(erased, ..))) =
            self.background.send(Job::WriteErased(erased, head, rewritten))
        {
            erased.fail(LogError::Unavailable);
        }
    }

    /// Commits a member and those that wait behind it; returns the message that ended the group, if one did.
    fn commit(&mut self, first: Box<dyn Member>, queue: &Receiver<Message>) -> Option<Message> {
        let mut group = Group::new(
            &mut self.log,
            &self.clock,
            self.view.snapshot.clone(),
            self.graph_memory_bytes_max,
        );
        group.turn();
        group.add(first);
        let mut next = None;
        while !group.is_full() {
            match queue.try_recv() {
                Ok(Message::Commit(member)) => group.add(member),
                Ok(other) => {
                    next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        let done = group.finish();
        self.publish(done);
        next
    }

    /// Brings the graph to the reference date. What fails is tried again with the next commit.
    pub(super) fn turn(&mut self) {
        let mut group = Group::new(
            &mut self.log,
            &self.clock,
            self.view.snapshot.clone(),
            self.graph_memory_bytes_max,
        );
        group.turn();
        let done = group.finish();
        self.publish(done);
    }

    /// Opens a log again that its readers find closed, since no write may come that does it.
    fn look_after_readers(&mut self) {
        let Err(error) = self.log.reopen_for_readers() else {
            self.closed_said_at = None;
            return;
        };
        let now = now();
        if self
            .closed_said_at
            .is_none_or(|said_at| now >= said_at + SAY_INTERVAL)
        {
            self.closed_said_at = Some(now);
            tracing::warn!(%error, "the log cannot be read until it can be opened again");
        }
    }

    /// Waits for a message, for the end of the day, for records to grow old, and for the end of a load.
    fn wait(&self, queue: &Receiver<Message>) -> Option<Message> {
        let reopens = self.log.is_unreadable().then_some(REOPEN_INTERVAL);
        let load = self.load_end.map(|end| end.saturating_duration_since(now()));
        let waits = [
            self.clock.wait(self.day),
            self.rewrites.wait(),
            reopens,
            load,
            self.room.wait(),
        ];
        let Some(wait) = waits.into_iter().flatten().min() else {
            return queue.recv().ok();
        };
        match queue.recv_timeout(wait) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => Some(Message::LookAtDay),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Shows what a group came to, and answers its members.
    fn publish(&mut self, done: Done) {
        let Done {
            members,
            view,
            commit_count,
            changed_quad_count,
            day,
            append_time,
            writes,
        } = done;
        self.day = day;
        if let Some(writes) = writes {
            self.shared.set_writes(writes);
        }
        if let Some(time) = append_time {
            self.shared.append_times.observe(time.as_secs_f64());
            self.shared.append_count.fetch_add(1, Ordering::Relaxed);
        }
        if changed_quad_count >= LOAD_QUAD_COUNT {
            self.load_end = Some(now() + LOAD_END);
        }
        if let Some(view) = view {
            self.changed_quad_count += changed_quad_count;
            self.show(view);
        }
        for (member, answer) in members {
            member.answer(answer);
        }
        // After the answers: nobody waits for this fsync, unless the next commit is there already.
        if commit_count > 0
            && let Err(error) = self.log.mark()
        {
            tracing::error!(%error, "the high-water file cannot be written: no more writes");
            self.shared.set_writes(Writes::LogUnavailable);
        }
    }

    /// Has readers see another view from now on.
    fn show(&mut self, view: View) {
        self.room.replace(&self.view, &view);
        self.view = view;
        self.shared.publish(self.view.clone());
    }

    /// Begins what is due in the background, as far as there is room for it.
    fn look_after(&mut self) {
        self.load_end = self.load_end.filter(|end| now() < *end);
        self.room.look();
        // As much as is taken back of it, or as an erasure makes anew.
        let index_bytes = self.view.snapshot.memory_bytes();
        let has_room = self.room.has(index_bytes, 0);
        let (log, clock, shared) = (&mut self.log, &self.clock, &self.shared);
        if self.rewrites.look_after_log(log, clock, shared, has_room) {
            self.room.want();
        }
        // An erasure that waits for room is next: merges would take it again and again.
        let waits_for_room = self.rewrites.has_waiting_erasure() && !self.rewrites.is_running();
        if !self.room.is_merging() && !waits_for_room {
            self.look_after_merges(index_bytes);
        }
        let is_wanted = self.room.is_wanted();
        self.shared.room_is_wanted.store(is_wanted, Ordering::Relaxed);
        if is_wanted {
            // What is kept for the next read of the past has layers that were merged.
            self.past.give_way();
        }
        self.look_after_file();
    }

    fn look_after_merges(&mut self, index_bytes: u64) {
        let due = match self.load_end {
            None => self.view.snapshot.due_merge(),
            Some(_) => self.view.snapshot.due_merge_loading(),
        };
        let Some(merge) = due else { return };
        let bytes = merge.memory_bytes();
        let others = if self.rewrites.is_running() {
            index_bytes
        } else {
            0
        };
        if !self.room.has(bytes, others) {
            self.room.want();
        } else if self.background.send(Job::Merge(merge)).is_ok() {
            self.room.begin_merge(bytes);
        }
    }

    fn look_after_file(&mut self) {
        let commit_count = self.view.revision - self.file_revision;
        let size = self.view.snapshot.quad_count();
        if !self.is_writing_file
            && (commit_count >= FILE_COMMIT_COUNT_MIN.max(size / FILE_COMMIT_QUADS)
                || self.changed_quad_count >= FILE_QUAD_COUNT_MIN.max(size / FILE_QUAD_PART))
        {
            self.write_file();
        }
    }

    fn write_file(&mut self) {
        let head = self.log.head();
        if head.revision > self.file_revision {
            self.is_writing_file = self
                .background
                .send(Job::WriteFile(self.view.clone(), head))
                .is_ok();
            self.file_revision = head.revision;
            self.changed_quad_count = 0;
        }
    }
}
