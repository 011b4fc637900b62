//! Graphs of revisions that are not the newest, for what the log alone does not tell.
//!
//! Such a graph shares what it can with the newest one. What it takes beside it has a limit, as does a commit that it goes on by.

use super::{CHANGES_PER_LOOK, Feed, FeedError, diff::DiffError, graphs::Keeping};
use crate::{
    facts::Transition,
    graph::{Batch, Changes, Draft, Snapshot},
    log::{Change, LogError},
    model::access::Access,
};

/// The graph as it was at a revision.
pub(super) struct Past {
    pub(super) revision: u64,
    snapshot: Snapshot,
    feed: Feed,
}

/// What a commit made of the graph before it.
pub(super) struct Made {
    pub(super) transition: Transition,
    pub(super) changes: Changes,
}

impl Past {
    /// Returns the graph of a published revision: the newest one, without what came since. Blocks; `is_over` is asked again and
    /// again whether to give up.
    pub(super) fn at(feed: &Feed, revision: u64, is_over: &dyn Fn() -> bool) -> Result<Self, FeedError> {
        // What is told of it is shared by all who watch, each of whom is told what it may read.
        let access = Access::everything();
        let mut past = Self::newest_of(feed);
        if revision == 0 {
            past.snapshot = Snapshot::default();
        } else if revision != past.revision {
            let back = feed
                .diff(&access, past.revision, revision, is_over)
                .map_err(|error| match error {
                    DiffError::Log(error) => error.into(),
                    DiffError::TooLarge { bytes_max } => FeedError::TooFarBack { bytes_max },
                    DiffError::Erased => FeedError::Erased,
                    DiffError::Over => FeedError::Over,
                })?;
            let mut batch = Batch::default();
            back.into_changes().for_each(|change| put(&mut batch, &change));
            past.apply(&batch);
            past.check()?;
        }
        past.revision = revision;
        Ok(past)
    }

    /// Returns the graph that a watcher keeps, if it is still there.
    pub(super) fn kept(feed: &Feed, keeping: &Keeping) -> Option<Self> {
        Some(Self {
            revision: keeping.revision,
            snapshot: feed.0.graphs.get(keeping)?,
            feed: feed.clone(),
        })
    }

    /// Has the graph kept, which is the newest one.
    pub(super) fn keep(&self) -> Keeping {
        self.feed.0.graphs.keep(self.revision, &self.snapshot)
    }

    /// Returns the newest graph.
    pub(super) fn newest_of(feed: &Feed) -> Self {
        let view = feed.knowledge().read(&Access::everything());
        Self {
            revision: view.revision,
            snapshot: view.snapshot,
            feed: feed.clone(),
        }
    }

    /// Goes on to a later revision, by commits that are few and small; from the newest one if that takes too much. `is_over` is as
    /// for [`Self::at`].
    pub(super) fn forward_to(mut self, revision: u64, is_over: &dyn Fn() -> bool) -> Result<Self, FeedError> {
        while self.revision < revision {
            let (_, changes) = self.feed.knowledge().log().record(self.revision + 1)?;
            self.advance(changes, is_over)?;
        }
        match self.check() {
            Ok(()) => Ok(self),
            Err(_) => Self::at(&self.feed, revision, is_over),
        }
    }

    /// Goes on by the commit after it. `is_over` is as for [`Self::at`].
    pub(super) fn advance(
        &mut self,
        changes: impl Iterator<Item = Result<Change, LogError>>,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Made, FeedError> {
        let mut batch = Batch::default();
        for (index, change) in changes.enumerate() {
            put(&mut batch, &change?);
            if index.is_multiple_of(CHANGES_PER_LOOK) {
                self.check_bytes(batch.memory_bytes())?;
                if is_over() {
                    return Err(FeedError::Over);
                }
            }
        }
        let before = self.snapshot.clone();
        let changes = self.apply(&batch);
        self.revision += 1;
        let transition = Transition::new(before, self.snapshot.clone());
        if self.check().is_err() {
            // Much of it may be in the newest graph by now, or again.
            *self = Self::at(&self.feed, self.revision, is_over)?;
        }
        Ok(Made { transition, changes })
    }

    fn apply(&mut self, batch: &Batch) -> Changes {
        let mut draft = Draft::new(self.snapshot.clone());
        draft.apply(batch);
        let (changes, snapshot) = draft.finish();
        self.snapshot = snapshot.merged_beside(&self.newest(), self.bytes_max());
        changes
    }

    fn newest(&self) -> Snapshot {
        self.feed.knowledge().read(&Access::everything()).snapshot
    }

    fn bytes_max(&self) -> u64 {
        self.feed.settings().diff_bytes_max
    }

    /// Fails if it takes more beside the newest graph than it may.
    fn check(&self) -> Result<(), FeedError> {
        self.check_bytes(self.snapshot.memory_bytes_beside(&self.newest()))
    }

    /// Fails if something of a commit takes more than it may.
    pub(super) fn check_bytes(&self, bytes: u64) -> Result<(), FeedError> {
        let bytes_max = self.bytes_max();
        if bytes > bytes_max {
            return Err(FeedError::TooFarBack { bytes_max });
        }
        Ok(())
    }
}

fn put(batch: &mut Batch, change: &Change) {
    match change {
        Change::Insert(quad) => batch.insert(quad.as_ref()),
        Change::Remove(quad) => batch.remove(quad.as_ref()),
        Change::CreateGraph(graph) => batch.create_graph(graph.as_ref()),
        Change::DropGraph(graph) => batch.drop_graph(graph.as_ref()),
    }
}
