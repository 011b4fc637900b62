//! Statuses of backups.

use tonic::{Code, Status};

use super::{LOG_CLOSED, cancelled, internal, revision_compacted, status, unavailable};
use crate::{backup::BackupError, feed::LogError, proto::v1::ErrorReason};

/// Returns `FAILED_PRECONDITION` for a server that has no place for backups.
pub fn backup_not_configured() -> Status {
    status(
        Code::FailedPrecondition,
        ErrorReason::BackupNotConfigured,
        "the server has no place for backups: start it with --backup-to",
        [],
    )
}

impl From<BackupError> for Status {
    fn from(error: BackupError) -> Self {
        let message = error.to_string();
        match error {
            BackupError::None => status(Code::NotFound, ErrorReason::BackupNotFound, message, []),
            BackupError::Damaged { file, .. } => status(
                Code::DataLoss,
                ErrorReason::BackupDamaged,
                message,
                [("file", file)],
            ),
            BackupError::NewerFormat { found, .. } => status(
                Code::FailedPrecondition,
                ErrorReason::BackupNewerFormat,
                message,
                [("format", found.to_string())],
            ),
            BackupError::OtherHistory { revision } | BackupError::Erased { revision } => status(
                Code::FailedPrecondition,
                ErrorReason::BackupOtherHistory,
                message,
                [("revision", revision.to_string())],
            ),
            BackupError::Overtaken => status(Code::Aborted, ErrorReason::BackupOvertaken, message, []),
            BackupError::Place { file, .. } => status(
                Code::Unavailable,
                ErrorReason::BackupUnreachable,
                message,
                [("file", file)],
            ),
            BackupError::Over => cancelled(),
            BackupError::Log(LogError::Compacted { revision, earliest }) => {
                revision_compacted(revision, earliest)
            }
            BackupError::Log(LogError::Unavailable) => unavailable(LOG_CLOSED),
            // The rest is begun anew, or what only a restore, or the start of a server, comes to.
            BackupError::ErasedMeanwhile
            | BackupError::Log(_)
            | BackupError::NoPlace(_)
            | BackupError::NotCovered { .. }
            | BackupError::NothingThen
            | BackupError::NotEmpty { .. }
            | BackupError::OtherGraph { .. }
            | BackupError::Open(_)
            | BackupError::Io(_) => internal(&message),
        }
    }
}
