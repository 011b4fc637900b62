//! What tells a log that has some commits from one that does not.

use super::KnowledgeBase;
use crate::{log::LogError, sync::task::spawn_blocking};

/// A commit of one log: all before it is there where it is. The default is of every log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Mark {
    /// Its revision.
    pub revision: u64,
    /// The beginning of the hash of its record, which covers all records before.
    pub hash: u64,
}

impl KnowledgeBase {
    /// Returns the mark of a published revision; of the earliest one if that is later.
    pub async fn mark(&self, revision: u64) -> Result<Mark, LogError> {
        match self.mark_of(revision).await {
            Err(LogError::Compacted { earliest, .. }) => self.mark_of(earliest).await,
            found => found,
        }
    }

    /// Tells whether the log has a commit. It fails if the log no longer reaches back so far.
    pub async fn has(&self, mark: Mark) -> Result<bool, LogError> {
        Ok(mark.revision <= self.revision() && self.mark_of(mark.revision).await? == mark)
    }

    async fn mark_of(&self, revision: u64) -> Result<Mark, LogError> {
        if revision == 0 {
            return Ok(Mark::default());
        }
        let log = self.log().clone();
        let read = spawn_blocking(move || log.header(revision)).await;
        // A thread that ended early, which nothing makes it do.
        let (_, digest) = read.map_err(|error| LogError::Io(std::io::Error::other(error)))??;
        let hash = digest.first_chunk().copied().map_or(0, u64::from_be_bytes);
        Ok(Mark { revision, hash })
    }
}
