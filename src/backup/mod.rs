//! Backups: copies of the log, from which the knowledge base is restored as it was at any revision or time.
//!
//! A place has a manifest and files of records. Each backup adds the records since the one before, as the log has them: their
//! chain of hashes proves that none is missing or changed. The knowledge base goes on meanwhile.

mod create;
mod graph_hash;
mod holding;
mod manifest;
mod place;
mod records;
mod restore;
#[cfg(test)]
mod tests;
mod verify;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::{
    create::{Made, create},
    holding::{Holding, holding},
    manifest::{Backup, BackupFile},
    place::Place,
    restore::{Restored, Until, restore},
    verify::{Fault, Verified, list, verify},
};
use crate::{
    knowledge::{KnowledgeBase, OpenError},
    log::{LogError, RecordFault},
};

/// Is told how far it is, and says whether to go on.
pub type Watch<'a> = dyn FnMut(Progress) -> bool + 'a;

/// How far a backup is, or a restore, or a look at one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    /// The record that was read last.
    pub revision: u64,
    /// The first one that is read.
    pub first_revision: u64,
    /// The last one that will be, as far as it is known.
    pub last_revision: u64,
}

/// Why there is no backup, or none can be restored. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The text does not say where backups are.
    #[error("that is no place for backups: {0}")]
    NoPlace(String),
    /// A file of the place cannot be read or written.
    #[error("the backup cannot be read or written, at {file}: {error}")]
    Place {
        /// The file within the place.
        file: String,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// Another writes to the place, or has written since this one began.
    #[error(
        "another server backs up to the same place: this backup was given up. Give each server a place of its own"
    )]
    Overtaken,
    /// There is no backup.
    #[error("there is no backup")]
    None,
    /// A file is not as it was written.
    #[error("the backup is damaged: {file}: {what}")]
    Damaged {
        /// The file within the place.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// A newer version of this program has written the backup.
    #[error("the backup has format {found}, and this program knows formats up to {newest}: take a newer one")]
    NewerFormat {
        /// The format of the backup.
        found: u64,
        /// The newest one that is known.
        newest: u64,
    },
    /// The log does not go on where the last backup ended.
    #[error(
        "the backups are of another history: revision {revision} of the log is not the one that was backed up. Nothing was \
         changed. Back up to another place"
    )]
    OtherHistory {
        /// The revision that differs, or that the log does not have.
        revision: u64,
    },
    /// Something was erased that the backups before have.
    #[error(
        "something was erased from the log that the backups before this one still have: they cannot go on. Nothing was \
         changed. Back up to another place, and remove this one when it is no longer needed"
    )]
    Erased {
        /// The newest revision.
        revision: u64,
    },
    /// Something was erased since this one began.
    #[error("something was erased from the log while the backup was made")]
    ErasedMeanwhile,
    /// The backups do not go so far.
    #[error("there is no revision {revision} in the backups: they have {earliest} to {newest}")]
    NotCovered {
        /// The revision that was asked for.
        revision: u64,
        /// The earliest one in the backups.
        earliest: u64,
        /// The newest one in the backups.
        newest: u64,
    },
    /// Nothing was there at the time.
    #[error("all revisions in the backups were committed later")]
    NothingThen,
    /// There are files already.
    #[error("{} is not empty: it has `{found}`. Nothing was changed", .dir.display())]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
        /// One of them.
        found: String,
    },
    /// What was restored is not the graph that was backed up.
    #[error("the records up to revision {revision} do not make the graph that was backed up")]
    OtherGraph {
        /// The revision.
        revision: u64,
    },
    /// The log cannot be read or written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The restored knowledge base cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A file of the restored knowledge base cannot be written.
    #[error("a file cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// Its caller has given up.
    #[error("it was given up")]
    Over,
}

/// The backups of a knowledge base in one place, one at a time. Clones are the same.
#[derive(Clone)]
pub struct Backups(Arc<Inner>);

struct Inner {
    knowledge: KnowledgeBase,
    place: Place,
    turn: Arc<Semaphore>,
    told: Mutex<Told>,
}

/// What there is to tell of the backups that this process made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// When the last one was whole.
    pub succeeded_at: Option<SystemTime>,
    /// The revision that the place has since.
    pub revision: u64,
    /// How many have failed, and how often nobody could tell what backups there are.
    pub failure_count: u64,
}

impl Backups {
    /// Returns the backups in a place.
    pub fn new(knowledge: KnowledgeBase, place: Place) -> Self {
        Self(Arc::new(Inner {
            knowledge,
            place,
            turn: Arc::new(Semaphore::new(1)),
            told: Mutex::default(),
        }))
    }

    /// Returns where they are.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Returns leave to make or verify one; nothing while another has it.
    pub fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.turn).try_acquire_owned().ok()
    }

    /// Makes a backup. Blocks; whoever calls it has its [`Self::turn`].
    pub fn create(&self, watch: &mut Watch<'_>) -> Result<Made, BackupError> {
        // Until it is told what there is: a first backup is followed by others, too.
        let _held = self.0.knowledge.hold_log();
        let made = create(&self.0.knowledge, &self.0.place, watch);
        match &made {
            Ok(made) => {
                let mut told = self.lock();
                told.succeeded_at = Some(SystemTime::now());
                told.revision = made.revision;
                drop(told);
                self.0.knowledge.tell_backed_up(made.revision);
                let backup = made.backup.as_ref();
                tracing::info!(
                    revision = made.revision,
                    records = backup.map_or(0, Backup::record_count),
                    bytes = backup.map_or(0, Backup::bytes),
                    "backed up"
                );
            }
            // Nothing is wrong with it: its caller has gone, or the server drains.
            Err(BackupError::Over) => tracing::info!("the backup was given up"),
            Err(error) => {
                self.lock().failure_count += 1;
                tracing::error!(%error, "the backup failed");
            }
        }
        made
    }

    /// Takes down that there is no backup: the first one begins where the log does.
    pub fn tell_none(&self) {
        if self.lock().succeeded_at.is_none() {
            self.0.knowledge.tell_backed_up(u64::MAX);
        }
    }

    /// Takes down a backup that was there before this process; tells whether it is of this log. Of another, it has nothing of this one.
    /// An error says that nobody can tell now.
    pub fn tell(&self, newest: &Backup) -> Result<bool, LogError> {
        let head = newest.head;
        let is_of_log = match self.0.knowledge.log().header(head.revision) {
            Ok(header) => header.digest == head.digest,
            Err(
                LogError::Compacted { .. }
                | LogError::DamagedRecord {
                    fault: RecordFault::Missing,
                    ..
                },
            ) => false,
            Err(error) => return Err(error),
        };
        let mut told = self.lock();
        if is_of_log && told.succeeded_at.is_none() {
            self.0.knowledge.tell_backed_up(head.revision);
            told.succeeded_at = Some(SystemTime::UNIX_EPOCH + Duration::from_micros(newest.made_at_us));
            told.revision = head.revision;
        }
        Ok(is_of_log)
    }

    /// Takes down that the place could not be read, which would have failed a backup too.
    pub fn tell_unknown(&self, error: &BackupError) {
        self.lock().failure_count += 1;
        tracing::error!(%error, "nobody can tell what backups there are");
    }

    /// Returns what there is to tell.
    pub fn told(&self) -> Told {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
