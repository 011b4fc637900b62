//! Statuses of watches and differences.

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{LOG_CLOSED, cancelled, internal, lapsed, status, unavailable};
use crate::{
    auth::Lapse,
    feed::{DiffError, FeedError, LogError, WatchError},
    knowledge::Mark,
    proto::v1::{ErrorReason, WatchStart},
};

/// Returns `RESOURCE_EXHAUSTED` for one watcher too many.
fn too_many_watchers(watcher_count_max: usize) -> Status {
    status(
        Code::ResourceExhausted,
        ErrorReason::TooManyWatchers,
        format!("there are {watcher_count_max} watches already"),
        [("watcher_count_max", watcher_count_max.to_string())],
    )
}

/// Returns `RESOURCE_EXHAUSTED` for a reader that takes too long, with what a watch resumes after.
pub fn reader_too_slow(after: Option<Mark>) -> Status {
    with_commit(
        &status(
            Code::ResourceExhausted,
            ErrorReason::ReaderTooSlow,
            "the reader took too long to take a frame",
            [],
        ),
        after,
    )
}

/// As [`unavailable`], with what a watch resumes after.
pub fn unavailable_after(message: &str, after: Option<Mark>) -> Status {
    with_commit(&unavailable(message), after)
}

/// As [`lapsed`], with what a watch resumes after.
pub fn lapsed_after(lapse: Lapse, after: Option<Mark>) -> Status {
    with_commit(&lapsed(lapse), after)
}

fn with_commit(status: &Status, after: Option<Mark>) -> Status {
    let mut details = status.get_error_details();
    if let (Some(mark), Some(mut info)) = (after, details.error_info().cloned()) {
        info.metadata
            .insert("after_revision".to_owned(), mark.revision.to_string());
        if let Some(hash) = mark.hash_text() {
            info.metadata.insert("after_hash".to_owned(), hash);
        }
        details.set_error_info(info.reason, info.domain, info.metadata);
    }
    Status::with_error_details(status.code(), status.message(), details)
}

fn diff_too_large(error: &dyn std::error::Error, bytes_max: u64) -> Status {
    status(
        Code::ResourceExhausted,
        ErrorReason::DiffTooLarge,
        error.to_string(),
        [("diff_bytes_max", bytes_max.to_string())],
    )
}

/// Returns `OUT_OF_RANGE` for a revision that the log no longer has.
pub fn revision_compacted(revision: u64, earliest: u64) -> Status {
    status(
        Code::OutOfRange,
        ErrorReason::RevisionCompacted,
        format!(
            "revision {revision} is no longer in the log: revision {earliest} is the earliest that can be read"
        ),
        [
            ("revision", revision.to_string()),
            ("earliest_revision", earliest.to_string()),
        ],
    )
}

impl From<FeedError> for Status {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Closed | FeedError::Erased => unavailable(&error.to_string()),
            FeedError::Over => cancelled(),
            FeedError::NotReached(error) => error.into(),
            FeedError::OtherHistory { revision } => status(
                Code::FailedPrecondition,
                ErrorReason::WatchOtherHistory,
                error.to_string(),
                [
                    ("revision", revision.to_string()),
                    ("position", WatchStart::Snapshot.as_str_name().to_owned()),
                ],
            ),
            FeedError::TooFarBack { bytes_max } => diff_too_large(&error, bytes_max),
            FeedError::Log(LogError::Unavailable) => unavailable(LOG_CLOSED),
            FeedError::Log(LogError::Compacted { revision, earliest }) => {
                revision_compacted(revision, earliest)
            }
            FeedError::Log(_) | FeedError::Fault(_) => internal(&error),
        }
    }
}

impl From<WatchError> for Status {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::Full(full) => too_many_watchers(full.count_max),
            WatchError::Feed(error) => error.into(),
        }
    }
}

impl From<DiffError> for Status {
    fn from(error: DiffError) -> Self {
        match error {
            DiffError::TooLarge { bytes_max } => diff_too_large(&error, bytes_max),
            DiffError::Erased => unavailable(&error.to_string()),
            DiffError::Over => cancelled(),
            DiffError::Log(LogError::Unavailable) => unavailable(LOG_CLOSED),
            DiffError::Log(LogError::Compacted { revision, earliest }) => {
                revision_compacted(revision, earliest)
            }
            DiffError::Log(_) => internal(&error),
        }
    }
}
