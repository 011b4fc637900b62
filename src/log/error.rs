//! What can go wrong with the log.

use std::{io, path::PathBuf};

/// Why the log cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another process has the data directory open.
    #[error("the data directory {} is in use by another process: stop that one first", .dir.display())]
    InUse {
        /// The data directory.
        dir: PathBuf,
    },
    /// The disk has no room for a write.
    #[error("the disk is full")]
    DiskFull,
    /// Reading or writing failed; the log takes no writes until it is opened again.
    #[error("the log cannot be read or written: {0}")]
    Io(#[source] io::Error),
    /// An earlier failure: the log takes no writes until it is opened again.
    #[error("the log takes no writes since an I/O error: restart the server once the disk is sound")]
    Unavailable,
    /// A newer version of this program has written the log.
    #[error(
        "the log has format {found}, and this version of Dossier knows formats 1 to {newest}: a newer version has written it. \
         Nothing was changed. Start that version or a later one, or restore a backup that was made before it"
    )]
    NewerFormat {
        /// The format of the log.
        found: u64,
        /// The newest one that is known.
        newest: u64,
    },
    /// A restore into the data directory was cut off.
    #[error("a restore into this data directory was not finished: run it again")]
    RestoreUnfinished,
    /// The file is not as it was written.
    #[error("the log is damaged: {0}. {ADVICE}")]
    Damaged(String),
    /// A record is not as it was written.
    #[error("the log is damaged at revision {revision}: {fault}. {ADVICE}")]
    DamagedRecord {
        /// The record.
        revision: u64,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// The record is gone: the log was compacted.
    #[error(
        "revision {revision} is no longer in the log: revision {earliest} is the earliest that can be read"
    )]
    Compacted {
        /// The revision that was asked for.
        revision: u64,
        /// The earliest one whose graph is known; changes are from the next one on.
        earliest: u64,
    },
    /// The log lacks records that were acknowledged.
    #[error(
        "the log ends at revision {revision}, but revision {mark} was acknowledged ({witness} says so): records were lost. \
         {ADVICE}. To go on without the lost records instead, delete the files `high-water` and `snapshot`"
    )]
    LostTail {
        /// The last revision of the log.
        revision: u64,
        /// The revision that was acknowledged.
        mark: u64,
        /// Which file knows of it.
        witness: &'static str,
    },
    /// The log has another history than the high-water file has seen.
    #[error(
        "revision {revision} of the log is not the one that was acknowledged: the log file was replaced. {ADVICE}. \
         To go on with this log, delete the files `high-water` and `snapshot`"
    )]
    OtherHistory {
        /// The revision that differs.
        revision: u64,
    },
    /// The high-water file cannot be read.
    #[error(
        "the file `high-water` is damaged, so that nobody can tell whether the log is whole. {ADVICE}. \
         If you are sure that the log is whole, delete the file"
    )]
    HighWaterDamaged,
}

const ADVICE: &str = "Nothing was changed. Copy the data directory away, then restore it whole from a backup";

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecordFault {
    /// Its header is not there.
    #[error("its header is missing")]
    Missing,
    /// Its header does not decode.
    #[error("its header cannot be read")]
    Header,
    /// It does not follow the record before it.
    #[error("its header does not match the record before it")]
    Chain,
    /// Its payload is not what the header says.
    #[error("its payload does not match its header")]
    Payload,
    /// The whole graph that stands in the place of its payload is not as it was written.
    #[error("the whole graph that is kept there does not match its hash")]
    Base,
    /// What is said of the payload in its place does not decode.
    #[error("what stands in the place of its payload cannot be read")]
    Substitute,
    /// Its payload is sound, but does not parse.
    #[error("its payload cannot be parsed")]
    Text,
}

impl LogError {
    /// Sorts an I/O error: a full disk heals, others do not.
    pub(super) fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::DiskFull
            }
            _ => Self::Io(error),
        }
    }

    /// Sorts an error of the embedded database.
    pub(super) fn from_redb(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::Io(error) => Self::from_io(error),
            redb::Error::Corrupted(what) => Self::Damaged(what),
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => Self::Unavailable,
            other => Self::Io(io::Error::other(other)),
        }
    }
}
