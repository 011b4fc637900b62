//! Graphs of revisions that are not the newest, for what the log alone does not tell.

use super::{Feed, FeedError, diff::DiffError};
use crate::{
    facts::Transition,
    graph::{Batch, Changes, Draft, Snapshot},
    log::{Change, LogError},
    model::access::Access,
};

/// The graph as it was at a revision.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) revision: u64,
    snapshot: Snapshot,
}

/// What a commit made of the graph before it.
pub(super) struct Made {
    pub(super) transition: Transition,
    pub(super) changes: Changes,
}

impl Past {
    /// Returns the graph of a published revision: the newest one, without what came since. Blocks; `is_over` is asked again and
    /// again whether to give up.
    pub(super) fn at(feed: &Feed, revision: u64, is_over: impl Fn() -> bool) -> Result<Self, FeedError> {
        // What is told of it is shared by all who watch, each of whom is told what it may read.
        let access = Access::everything();
        let view = feed.knowledge().read(&access);
        if revision == 0 {
            return Ok(Self {
                revision,
                snapshot: Snapshot::default(),
            });
        }
        let mut past = Self {
            revision: view.revision,
            snapshot: view.snapshot,
        };
        if revision != view.revision {
            let back =
                feed.diff(&access, view.revision, revision, is_over)
                    .map_err(|error| match error {
                        DiffError::Log(error) => error.into(),
                        DiffError::TooLarge { bytes_max } => FeedError::TooFarBack { bytes_max },
                        DiffError::Over => FeedError::Over,
                    })?;
            let mut batch = Batch::default();
            back.into_changes().for_each(|change| put(&mut batch, &change));
            past.apply(&batch);
            past.revision = revision;
        }
        Ok(past)
    }

    /// Goes on by the commit after it.
    pub(super) fn advance(
        &mut self,
        changes: impl Iterator<Item = Result<Change, LogError>>,
    ) -> Result<Made, LogError> {
        let mut batch = Batch::default();
        for change in changes {
            put(&mut batch, &change?);
        }
        let before = self.snapshot.clone();
        let changes = self.apply(&batch);
        self.revision += 1;
        Ok(Made {
            transition: Transition::new(before, self.snapshot.clone()),
            changes,
        })
    }

    fn apply(&mut self, batch: &Batch) -> Changes {
        let mut draft = Draft::new(self.snapshot.clone());
        draft.apply(batch);
        let (changes, snapshot) = draft.finish();
        self.snapshot = snapshot;
        while let Some(merge) = self.snapshot.due_merge() {
            self.snapshot = self.snapshot.with_merged(&merge.run());
        }
        changes
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
