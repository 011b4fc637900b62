//! One watcher: where it stands, and what comes next.

mod look_up;
mod turn;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use self::turn::Turn;
use super::{
    Feed, FeedError, Filter, Output,
    details::{Details, fact_bytes},
    fact_scan::FactScan,
    filter::Sight,
    graphs::Keeping,
    past::Past,
    record::Record,
    scan::{GraphScan, LargeCommit, Step, fragments},
    standing::Standing,
    text::change_bytes,
};
use crate::{
    facts::FactChange,
    knowledge::{Mark, Streamed},
    log::{Change, Header},
    model::access::Access,
    sync::{task::spawn_blocking, time::sleep_until, watch},
};

/// Where a watcher begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// With the commit after this revision; it must have been reached.
    After(u64),
    /// With the earliest commit that the log has.
    Earliest,
    /// With the next commit.
    Now,
    /// With the graph as it is, then the commits after it.
    Snapshot,
}

/// What a watcher gets.
#[derive(Debug)]
pub enum Event {
    /// A part of the graph that it begins with.
    Snapshot(SnapshotFragment),
    /// A part of a commit, or all of it.
    Commit(Fragment),
    /// Nothing is missing up to this commit.
    Checkpoint(Mark),
}

/// A part of the graph of one revision.
#[derive(Debug)]
pub struct SnapshotFragment {
    /// The revision.
    pub revision: u64,
    /// The hash of its mark.
    pub hash: u64,
    /// Named graphs that exist, and quads, as creations and insertions.
    pub changes: Vec<Change>,
    /// Facts, where those were asked for.
    pub facts: Vec<FactChange>,
    /// Whether it is the last part.
    pub is_last: bool,
}

/// A part of one commit.
#[derive(Debug)]
pub struct Fragment {
    /// The commit's revision.
    pub revision: u64,
    /// The hash of its mark.
    pub hash: u64,
    /// Its header, in the first part.
    pub header: Option<Box<Header>>,
    /// Those of its changes that pass the filter, in the log's order.
    pub changes: Vec<Change>,
    /// Facts that it changed, where those were asked for.
    pub facts: Vec<FactChange>,
    /// Whether it is the last part.
    pub is_last: bool,
}

impl Event {
    /// Returns about the bytes of its text.
    pub(super) fn text_bytes(&self) -> usize {
        match self {
            Self::Checkpoint(_) => 0,
            Self::Commit(Fragment { changes, facts, .. })
            | Self::Snapshot(SnapshotFragment { changes, facts, .. }) => {
                let facts = facts.iter().map(|change| fact_bytes(&change.fact));
                changes.iter().map(change_bytes).sum::<usize>() + facts.sum::<usize>()
            }
        }
    }

    /// Returns the commit up to which nothing is missing with this; nothing in the middle.
    pub fn completes(&self) -> Option<Mark> {
        let (is_last, revision, hash) = match self {
            Self::Checkpoint(mark) => return Some(*mark),
            Self::Commit(fragment) => (fragment.is_last, fragment.revision, fragment.hash),
            Self::Snapshot(fragment) => (fragment.is_last, fragment.revision, fragment.hash),
        };
        is_last.then_some(Mark { revision, hash })
    }
}

/// What is being read in fragments.
enum Scan {
    Graph(Box<GraphScan>),
    Commit(Box<LargeCommit>),
    Facts(Box<FactScan>),
}

impl Scan {
    /// Tells whether it is of a commit of which nothing was given out so far.
    fn has_told_nothing(&self) -> bool {
        match self {
            Self::Graph(_) => false,
            Self::Commit(commit) => !commit.has_begun,
            Self::Facts(facts) => !facts.is_snapshot && facts.header.is_some(),
        }
    }
}

/// Follows the log.
pub struct Watcher {
    feed: Feed,
    filter: Arc<Filter>,
    output: Output,
    sight: Sight,
    revisions: watch::Receiver<u64>,
    /// All up to it was given out or does not pass the filter.
    position: Mark,
    standing: Standing,
    run: VecDeque<Arc<Record>>,
    /// How often something had been erased from the log, at the least, when what is at hand was read.
    erasure_count: u64,
    ready: VecDeque<Event>,
    scan: Option<Scan>,
    /// The graph that it begins with, as long as it is being told.
    begins_with: Option<Streamed>,
    /// The graph at `position`, while the watcher is far behind, and its place.
    past: Option<(Past, OwnedSemaphorePermit)>,
    /// The graph where it had all there was, if it needs one: from there on nothing has to be taken back.
    kept: Option<Keeping>,
    /// Its turn for that place, while it waits for one, also while it tells that it is still there.
    turn: Option<Turn>,
    /// How long the reader had no room in the large commit that was begun last.
    held_up: Duration,
    /// Whether it has been told that it has all there is.
    has_caught_up: bool,
    checkpoint_interval: Duration,
    told_at: Instant,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    /// Begins a watch.
    pub(super) async fn new(
        feed: Feed,
        access: &Access,
        start: Start,
        (filter, output): (Filter, Output),
        checkpoint_interval: Duration,
        place: OwnedSemaphorePermit,
    ) -> Result<Self, FeedError> {
        let knowledge = feed.knowledge().clone();
        let revisions = feed.knowledge().revisions();
        let erasure_count = feed.log().erasure_count();
        let (sight, filter, output) = Sight::of(access, filter, output);
        let filter = Arc::new(filter);
        let mut begins_with = None;
        let (position, scan) = match start {
            Start::After(revision) => {
                feed.check_retained(revision)?;
                (knowledge.mark_of(revision).await?, None)
            }
            Start::Earliest => (knowledge.mark(knowledge.earliest_revision()).await?, None),
            Start::Now => (knowledge.mark_of(knowledge.revision()).await?, None),
            Start::Snapshot => {
                let view = knowledge.read(access);
                let mark = knowledge.mark_of(view.revision).await?;
                let (snapshot, filter) = (view.snapshot.seen_by(&sight.0), Arc::clone(&filter));
                begins_with = Some(knowledge.stream(view));
                let scan = match output {
                    Output::Quads => Scan::Graph(Box::new(GraphScan::new(snapshot, filter))),
                    Output::Facts => Scan::Facts(Box::new(FactScan::of_graph(mark, snapshot, filter))),
                };
                (mark, Some(scan))
            }
        };
        Ok(Self {
            standing: feed.0.standings.begin(position.revision),
            feed,
            filter,
            output,
            sight,
            revisions,
            position,
            run: VecDeque::new(),
            erasure_count,
            ready: VecDeque::new(),
            scan,
            begins_with,
            past: None,
            turn: None,
            kept: None,
            held_up: Duration::ZERO,
            has_caught_up: false,
            checkpoint_interval,
            told_at: Instant::now(),
            _place: place,
        })
    }

    /// Returns the feed.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Returns the commit that it could resume after, if it has been given nothing yet; none if it begins with a graph.
    pub fn resume_after(&self) -> Option<Mark> {
        self.scan.is_none().then_some(self.position)
    }

    /// Waits for what comes next. A call that is dropped ends the watcher: what it was at may be lost.
    pub async fn next(&mut self) -> Result<Event, FeedError> {
        let event = self.find().await?;
        self.told_at = Instant::now();
        Ok(event)
    }

    /// Tells whether something was erased since what it has told last was read: that may have it.
    pub(super) fn is_outdated(&self) -> bool {
        self.erasure_count != self.feed.log().erasure_count()
    }

    /// Returns what comes next if it is at hand.
    pub(super) fn at_hand(&mut self) -> Option<Event> {
        if self.is_outdated() {
            return None;
        }
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.scan.is_some() || self.needs_graph() {
                return None;
            }
            let record = self.run.pop_front_if(|record| record.changes.is_some())?;
            self.make_ready(&record, None);
        }
    }

    /// Forgets what was read before something was erased: it may have it still. Fails if that is in the middle of a graph or of
    /// a commit, of which a part was given out.
    fn forget_erased(&mut self) -> Result<(), FeedError> {
        let erasure_count = self.feed.log().erasure_count();
        if self.erasure_count == erasure_count {
            return Ok(());
        }
        if self.scan.is_some() || !self.ready.is_empty() {
            return Err(FeedError::Erased);
        }
        self.erasure_count = erasure_count;
        self.run.clear();
        self.past = None;
        self.turn = None;
        self.kept = None;
        Ok(())
    }

    async fn find(&mut self) -> Result<Event, FeedError> {
        loop {
            self.forget_erased()?;
            self.standing.set(self.position.revision);
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            let due = self.told_at + self.checkpoint_interval;
            if Instant::now() >= due && self.scan.as_ref().is_none_or(Scan::has_told_nothing) {
                return Ok(Event::Checkpoint(self.position));
            }
            if let Some(scan) = self.scan.take() {
                let event = self.go_on(scan).await;
                if self.scan.is_none() {
                    self.begins_with = None;
                }
                // It may have been erased while it was read.
                if !matches!(event, Ok(None)) && self.is_outdated() {
                    return Err(FeedError::Erased);
                }
                if let Some(event) = event? {
                    return Ok(event);
                }
                continue;
            }
            if let Some(event) = self.at_hand() {
                return Ok(event);
            }
            if let Some(record) = self.run.front() {
                let revision = record.header.revision;
                let begun = if self.needs_graph() {
                    self.look_up(due).await
                } else {
                    self.run.pop_front();
                    self.begin(revision).await
                };
                // What was erased while it was looked for is forgotten, and looked for again.
                if !self.is_outdated() {
                    begun?;
                }
                continue;
            }
            let newest = *self.revisions.borrow_and_update();
            if self.position.revision < newest {
                let next = self.position.revision + 1;
                self.run = self.feed.records(next, newest).await?.into();
                continue;
            }
            self.past = None;
            self.keep_newest();
            if !self.has_caught_up {
                self.has_caught_up = true;
                return Ok(Event::Checkpoint(self.position));
            }
            tokio::select! {
                changed = self.revisions.changed() => changed.map_err(|_| FeedError::Closed)?,
                () = sleep_until(due) => {}
            }
        }
    }

    /// Begins to read a commit that is large.
    async fn begin(&mut self, revision: u64) -> Result<(), FeedError> {
        let log = self.feed.log().clone();
        let (header, changes) = spawn_blocking(move || log.record_at_leisure(revision)).await??;
        let (filter, sight) = (Arc::clone(&self.filter), self.sight.clone());
        let commit = LargeCommit::new(&header, changes, filter, sight, None);
        self.scan = Some(Scan::Commit(Box::new(commit)));
        Ok(())
    }

    /// Makes events of a commit that is at hand. `details`: what the graph says of it, where the filter asks for that.
    fn make_ready(&mut self, record: &Record, details: Option<&Details>) {
        self.position = Mark::of(&record.header);
        let Mark { revision, hash } = self.position;
        let changes = record.changes.iter().flatten();
        let passing = changes.filter(|change| {
            self.sight.has(change)
                && match details {
                    Some(details) => details.pass(&self.filter, change),
                    None => self.filter.passes(change),
                }
        });
        let header = self.sight.header(&record.header);
        let is_redacted = header.is_redacted;
        let mut header = Some(Box::new(header));
        for (changes, is_last) in fragments(passing.cloned()) {
            // Of one from which something was erased the header tells, so that a copy can see that it lacks something.
            if changes.is_empty() && !is_redacted {
                break;
            }
            self.ready.push_back(Event::Commit(Fragment {
                revision,
                hash,
                header: header.take(),
                changes,
                facts: Vec::new(),
                is_last,
            }));
        }
    }

    /// Reads on in what is read in fragments.
    async fn go_on(&mut self, scan: Scan) -> Result<Option<Event>, FeedError> {
        match scan {
            Scan::Graph(mut graph) => {
                let (graph, step) = spawn_blocking(move || {
                    let step = graph.step();
                    (graph, step)
                })
                .await?;
                let Step::Found { changes, is_last } = step else {
                    return Ok(None);
                };
                let Mark { revision, hash } = self.position;
                if !is_last {
                    self.scan = Some(Scan::Graph(graph));
                    if changes.is_empty() {
                        return Ok(None);
                    }
                }
                Ok(Some(Event::Snapshot(SnapshotFragment {
                    revision,
                    hash,
                    changes,
                    facts: Vec::new(),
                    is_last,
                })))
            }
            Scan::Facts(facts) => self.go_on_with_facts(facts).await,
            Scan::Commit(mut commit) => {
                let (mut commit, step) = spawn_blocking(move || {
                    let step = commit.step();
                    (commit, step)
                })
                .await?;
                let mark = Mark::of(&commit.header);
                let (changes, is_last) = match step? {
                    Step::Found { changes, is_last } => (changes, is_last),
                    Step::Nothing => {
                        self.scan = Some(Scan::Commit(commit));
                        return Ok(None);
                    }
                    Step::Ended if commit.header.is_redacted && !commit.has_begun => (Vec::new(), true),
                    Step::Ended => {
                        self.position = mark;
                        return Ok(None);
                    }
                };
                let header = (!commit.has_begun).then(|| Box::new(commit.header.clone()));
                commit.has_begun = true;
                if is_last {
                    self.position = mark;
                } else {
                    self.scan = Some(Scan::Commit(commit));
                }
                Ok(Some(Event::Commit(Fragment {
                    revision: mark.revision,
                    hash: mark.hash,
                    header,
                    changes,
                    facts: Vec::new(),
                    is_last,
                })))
            }
        }
    }
}
