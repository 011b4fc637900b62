//! The commit log: the truth of the knowledge base.
//!
//! Each record is a header and a payload. Headers are chained by hash, and hold a salted hash of their payload: a
//! change to either shows, and a payload can be erased without breaking the chain. The log never reads a view.
//!
//! It stands on `redb` with one fsync for each append. Quick repair is off: it would cost a second fsync and a write of
//! the allocator's state for each append, to save a walk of the file at the next start, where the whole log is read and
//! verified anyway.

mod answers;
mod append;
mod changes;
mod copy;
mod error;
mod format;
mod high_water;
mod line;
mod payload;
mod read;
mod record;
mod rewrite;
mod substitute;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod verify;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use redb::{Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase as _};

use self::{
    answers::NewAnswers,
    high_water::{Found, HighWater, Mark},
    read::Opened,
    record::GENESIS,
    tables::HEADERS,
};
pub use self::{
    answers::StoredAnswers,
    append::{ANSWER_AGE_MAX_US, Append, Entry},
    copy::{Chain, CopyError, Followed, NewLog, PayloadReader},
    error::{LogError, RecordFault},
    format::FORMAT_VERSION,
    payload::{Change, PayloadWriter},
    read::{Base, LogReader, RecordChanges, Records, StoredChunks, StoredRecord},
    record::{Counts, Digest, Header, RequestId},
    rewrite::{Rewrite, Rewritten},
    substitute::SubstituteKind,
    verify::Summary,
};
use crate::sync::{ArcSwapOption, atomic::AtomicU64};

/// The name of the log's file in its directory.
pub const LOG_FILE: &str = "log.redb";
/// The name of the folder in its directory in which a restore works until all is whole.
pub const RESTORING: &str = "restoring";
/// Bytes of the file that are kept in memory, half of them for pages not yet written.
const CACHE_BYTES: usize = 64 << 20;

/// The last record of a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// Its revision; 0 in an empty log.
    pub revision: u64,
    /// The hash of its header, which covers all records before.
    pub digest: Digest,
    /// When it was made, in microseconds since 1970.
    pub time_us: u64,
}

/// Opens the database file; another one than [`open_database`] lets tests put faults under the log.
pub(crate) type OpenDatabase = Box<dyn Fn(&Path) -> Result<Database, DatabaseError> + Send>;

/// The log, open for writing. One at a time has a data directory.
pub struct Log {
    dir: PathBuf,
    open_database: OpenDatabase,
    opened: Arc<ArcSwapOption<Opened>>,
    erasure_count: Arc<AtomicU64>,
    /// Files that were replaced, as long as somebody reads them.
    retired: Vec<Arc<Opened>>,
    head: Head,
    earliest: u64,
    retained_bytes: u64,
    /// What a rewrite that is under way is to take over beside records.
    answers: Weak<NewAnswers>,
    /// Answers that were refused with their append, and may be in the file.
    refused_answers: Vec<Header>,
    high_water: HighWater,
    failure: Option<Failure>,
    /// Whether the file was opened again since it failed for want of room.
    is_reopened: bool,
    disk_free_bytes_min: u64,
    // Unlocked when it is dropped, or when the process ends in any way.
    _lock: File,
}

/// Why the log takes no writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Failure {
    /// It can be opened again when there is room.
    DiskFull,
    /// Nobody knows what the disk holds: only a new start looks at all of it.
    Io,
}

impl Log {
    /// Opens the log of a data directory, or begins one, and verifies all of it.
    ///
    /// Writes are refused while the disk has less than `disk_free_bytes_min` left.
    pub fn open(dir: &Path, disk_free_bytes_min: u64) -> Result<Self, LogError> {
        Self::open_on(dir, disk_free_bytes_min, Box::new(open_database))
    }

    pub(crate) fn open_on(
        dir: &Path,
        disk_free_bytes_min: u64,
        open_database: OpenDatabase,
    ) -> Result<Self, LogError> {
        fs::create_dir_all(dir).map_err(LogError::from_io)?;
        let lock = lock(dir)?;
        if dir.join(RESTORING).is_dir() && !dir.join(LOG_FILE).exists() {
            return Err(LogError::RestoreUnfinished);
        }
        let (mut high_water, found) = HighWater::open(&dir.join("high-water")).map_err(LogError::from_io)?;
        let database = open_and_prepare(dir, &open_database)?;
        rewrite::remove_leftover(dir).map_err(LogError::from_io)?;
        sync_dir(dir).map_err(LogError::from_io)?;
        let Summary {
            head,
            earliest,
            retained_bytes,
            ..
        } = {
            let transaction = database.begin_read().map_err(LogError::from_redb)?;
            let summary = verify::verify(&transaction)?;
            check_high_water(&transaction, summary.head, found)?;
            summary
        };
        let mark = Mark {
            revision: head.revision,
            digest: head.digest,
        };
        if found != Found::Mark(mark) {
            high_water.write(mark).map_err(LogError::from_io)?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            open_database,
            opened: Arc::new(ArcSwapOption::from_pointee(Opened::new(database))),
            erasure_count: Arc::default(),
            retired: Vec::new(),
            head,
            earliest,
            retained_bytes,
            answers: Weak::new(),
            refused_answers: Vec::new(),
            high_water,
            failure: None,
            is_reopened: false,
            disk_free_bytes_min,
            _lock: lock,
        })
    }

    /// Returns the last record.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Returns a reader, for any thread.
    pub fn reader(&self) -> LogReader {
        LogReader {
            opened: Arc::clone(&self.opened),
            erasure_count: Arc::clone(&self.erasure_count),
        }
    }

    /// Returns the earliest revision whose graph the log has: that of its base record, or 0.
    pub fn earliest(&self) -> u64 {
        self.earliest
    }

    /// Returns the bytes of the payloads after the base record, as they are stored.
    pub fn retained_bytes(&self) -> u64 {
        self.retained_bytes
    }

    /// Tells whether an append failed for want of room. Until [`Self::reopen_for_readers`] has done it, or the next one has begun, what
    /// is read may fail as well.
    pub fn waits_for_room(&self) -> bool {
        self.failure == Some(Failure::DiskFull)
    }

    /// Tells whether what is read may fail, after an append that failed for want of room.
    pub fn is_unreadable(&self) -> bool {
        self.waits_for_room() && !self.is_reopened
    }

    /// Opens the file again, if what is read may fail. It cannot be done while somebody still reads the one that failed.
    pub fn reopen_for_readers(&mut self) -> Result<(), LogError> {
        if self.is_unreadable() {
            self.open_again()?;
        }
        Ok(())
    }

    /// Begins to append.
    ///
    /// Fails with [`LogError::DiskFull`] while there is no room, and with [`LogError::Unavailable`] after an I/O error.
    pub fn begin(&mut self) -> Result<Append, LogError> {
        if self.failure == Some(Failure::Io) {
            return Err(LogError::Unavailable);
        }
        let free = fs4::available_space(&self.dir).map_err(LogError::from_io)?;
        if free < self.disk_free_bytes_min {
            return Err(LogError::DiskFull);
        }
        if self.failure == Some(Failure::DiskFull) {
            self.reopen().map_err(|error| self.failed(error))?;
            self.failure = None;
        }
        self.begin_unchecked().map_err(|error| self.failed(error))
    }

    /// Writes an append durably. When this returns, a crash loses nothing of it.
    ///
    /// After an error none of its records is in the log as far as this process goes, and [`Self::begin`] says whether
    /// there can be more. They may be in the file, whole: if the process ends before it has taken them back, the next start
    /// finds them.
    pub fn commit(&mut self, mut append: Append) -> Result<Head, LogError> {
        let payload_bytes = append.payload_bytes();
        let answers = append.take_answers();
        self.head = match append.commit() {
            Ok(head) => head,
            Err(error) => {
                if let Some(rewriting) = self.answers.upgrade() {
                    rewriting.refuse(&answers);
                }
                self.refused_answers.extend(answers);
                return Err(self.failed(error));
            }
        };
        if let Some(rewriting) = self.answers.upgrade() {
            rewriting.add(answers);
        }
        self.retained_bytes += payload_bytes;
        Ok(self.head)
    }

    /// Gives up an append after an error in it; returns the error to report.
    pub fn abandon(&mut self, append: Append, error: LogError) -> LogError {
        drop(append);
        self.failed(error)
    }

    /// Writes the last record's revision and hash into the high-water file, durably.
    pub fn mark(&mut self) -> Result<(), LogError> {
        self.retired.retain_mut(Opened::is_read);
        let mark = Mark {
            revision: self.head.revision,
            digest: self.head.digest,
        };
        self.high_water
            .write(mark)
            .map_err(|error| self.failed(LogError::from_io(error)))
    }

    fn begin_unchecked(&self) -> Result<Append, LogError> {
        let opened = self.opened.load_full().ok_or(LogError::Unavailable)?;
        let transaction = opened.database.begin_write().map_err(LogError::from_redb)?;
        Append::new(transaction, self.head)
    }

    /// Remembers an error: the database refuses all that comes after one.
    fn failed(&mut self, error: LogError) -> LogError {
        self.failure = match (&error, self.failure) {
            (LogError::DiskFull, None) => Some(Failure::DiskFull),
            (LogError::DiskFull, before) => before,
            _ => Some(Failure::Io),
        };
        self.is_reopened = false;
        error
    }

    /// Opens the database again. An append that failed may be in it whole; it was refused, so it goes.
    fn reopen(&mut self) -> Result<(), LogError> {
        self.reopen_for_readers()?;
        let opened = self.opened.load_full().ok_or(LogError::Unavailable)?;
        let found = {
            let transaction = opened.database.begin_read().map_err(LogError::from_redb)?;
            let headers = transaction.open_table(HEADERS).map_err(LogError::from_redb)?;
            tables::last_header(&headers)?.map_or(0, |header| header.revision)
        };
        if found < self.head.revision {
            return Err(LogError::LostTail {
                revision: found,
                mark: self.head.revision,
                witness: "the running server",
            });
        }
        if found > self.head.revision || !self.refused_answers.is_empty() {
            let append = self.begin_unchecked()?;
            append.remove_above(self.head.revision)?;
            append.remove_answers(&self.refused_answers)?;
            append.commit()?;
            self.refused_answers.clear();
        }
        Ok(())
    }

    fn open_again(&mut self) -> Result<(), LogError> {
        drop(self.opened.swap(None));
        let database = open_and_prepare(&self.dir, &self.open_database).map_err(|error| match error {
            // Somebody still reads the old one: the next attempt may find it closed.
            LogError::InUse { .. } => LogError::DiskFull,
            error => error,
        })?;
        self.opened.store(Some(Arc::new(Opened::new(database))));
        self.is_reopened = true;
        Ok(())
    }
}

impl Drop for Log {
    /// Closes the file: readers that are left must not keep it from the next one to open it.
    fn drop(&mut self) {
        self.opened.store(None);
    }
}

/// Opens the database file of the log, or makes it; verifies the checksum of every page.
pub(crate) fn open_database(path: &Path) -> Result<Database, DatabaseError> {
    builder().create(path)
}

/// The settings of the database.
pub(crate) fn builder() -> Builder {
    let mut builder = Database::builder();
    // Without the check a file that was altered from outside can panic inside the database.
    builder
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true);
    builder
}

fn open_and_prepare(dir: &Path, open_database: &OpenDatabase) -> Result<Database, LogError> {
    open_and_prepare_at(dir, &dir.join(LOG_FILE), open_database)
}

fn open_and_prepare_at(dir: &Path, path: &Path, open_database: &OpenDatabase) -> Result<Database, LogError> {
    let database = open_database(path).map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => LogError::InUse { dir: dir.to_owned() },
        DatabaseError::Storage(redb::StorageError::Io(error))
            if error.kind() == io::ErrorKind::InvalidData =>
        {
            LogError::Damaged(format!("`log.redb`: {error}"))
        }
        error => LogError::from_redb(error),
    })?;
    format::prepare(&database)?;
    Ok(database)
}

/// Takes a data directory for this process, for as long as the file is open.
pub fn lock(dir: &Path) -> Result<File, LogError> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(LogError::from_io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(LogError::from_io(error)),
    }
}

fn check_high_water(transaction: &ReadTransaction, head: Head, found: Found) -> Result<(), LogError> {
    let mark = match found {
        // The first start, or the file was deleted by someone who was told to.
        Found::Nothing => return Ok(()),
        Found::Damage => return Err(LogError::HighWaterDamaged),
        Found::Mark(mark) => mark,
    };
    if head.revision < mark.revision {
        return Err(LogError::LostTail {
            revision: head.revision,
            mark: mark.revision,
            witness: "the file `high-water`",
        });
    }
    let digest = if mark.revision == 0 {
        GENESIS
    } else {
        let headers = transaction.open_table(HEADERS).map_err(LogError::from_redb)?;
        tables::header(&headers, mark.revision)?.digest
    };
    if digest == mark.digest {
        Ok(())
    } else {
        Err(LogError::OtherHistory {
            revision: mark.revision,
        })
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
