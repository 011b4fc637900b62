//! Writing the log anew, into a file beside it that then takes its place: for compaction and erasure.
//!
//! The new file is whole and synced before it gets the log's name, so that whoever starts after a crash finds the old log or
//! the new one. Nothing of the old file is left: neither pages that the database keeps for later, nor what was in them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{Database, Durability, ReadableTable as _, WriteTransaction};
use sha2::{Digest as _, Sha256};

use super::{
    Change, LOG_FILE, Log, LogReader, Records,
    answers::{self, Answers, NewAnswers},
    changes::check_payload,
    error::{LogError, RecordFault},
    open_and_prepare_at,
    payload::{Payload, PayloadWriter},
    read::Opened,
    record::{Digest, Header, RequestId, digest},
    substitute::{Substitute, SubstituteKind},
    sync_dir,
    tables::{self, ANSWERS, HEADERS, PAYLOADS, REQUESTS, SUBSTITUTES},
};
use crate::sync::atomic::Ordering;

/// Bytes that are copied in one transaction.
const TRANSACTION_BYTES: u64 = 32 << 20;

/// A log on its way to take the place of another, on which writing goes on meanwhile. Dropped, it never was.
pub struct Rewrite {
    source: LogReader,
    /// Nothing once it has taken the other's place.
    file: Option<StagedFile>,
    /// The last record that is in it, and the hash of its header.
    last: Option<(u64, Digest)>,
    earliest: u64,
    retained_bytes: u64,
    redacted_count: u64,
    /// Answers that were left out as their ids may not stay.
    forgotten_count: u64,
    answers: Arc<NewAnswers>,
    /// Which ids of requests may stay in answers without records; all, if nothing is erased.
    keeps_id: Option<KeepsId>,
}

type KeepsId = Box<dyn Fn(&str) -> bool + Send>;

/// Copies one record into the new log.
type CopyRecord<'a> =
    dyn FnMut(&mut Rewrite, &Records, &WriteTransaction, u64) -> Result<Payload, LogError> + 'a;

struct StagedFile {
    path: PathBuf,
    database: Database,
}

impl Drop for Rewrite {
    fn drop(&mut self) {
        if let Some(StagedFile { path, database }) = self.file.take() {
            drop(database);
            // What is left the next start removes.
            let _ = fs::remove_file(path);
        }
    }
}

/// What a rewrite did to the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rewritten {
    /// The earliest revision whose graph the log has now.
    pub earliest: u64,
    /// Records from whose payloads something was erased, by this rewrite.
    pub redacted_count: u64,
    /// Bytes of the file before.
    pub bytes_before: u64,
    /// Bytes of the file now.
    pub bytes: u64,
}

impl Log {
    /// Begins to write the log anew, from a reader of it on any thread.
    ///
    /// Fails with [`LogError::DiskFull`] unless there is room for a file of the size of the log's.
    pub fn rewrite(&mut self) -> Result<Rewrite, LogError> {
        if self.failure.is_some() {
            return Err(LogError::Unavailable);
        }
        let free = fs4::available_space(&self.dir).map_err(LogError::from_io)?;
        let size = fs::metadata(self.dir.join(LOG_FILE))
            .map_err(LogError::from_io)?
            .len();
        if free < self.disk_free_bytes_min.saturating_add(size) {
            return Err(LogError::DiskFull);
        }
        remove_leftover(&self.dir).map_err(LogError::from_io)?;
        let path = staged_path(&self.dir);
        let database = open_and_prepare_at(&self.dir, &path, &self.open_database)?;
        let answers = Arc::default();
        self.answers = Arc::downgrade(&answers);
        Ok(Rewrite {
            source: self.reader(),
            file: Some(StagedFile { path, database }),
            last: None,
            earliest: 0,
            retained_bytes: 0,
            redacted_count: 0,
            forgotten_count: 0,
            answers,
            keeps_id: None,
        })
    }

    /// Puts a rewritten log in the place of this one, with the records that came meanwhile. When this returns, a crash does
    /// not bring the old one back.
    ///
    /// After an error the log is as it was; if that cannot be told, it takes no writes.
    pub fn adopt(&mut self, mut rewrite: Rewrite) -> Result<Rewritten, LogError> {
        if self.failure.is_some() {
            return Err(LogError::Unavailable);
        }
        rewrite.copy(self.head.revision)?;
        rewrite.put_new_answers()?;
        if rewrite.last.map(|(_, digest)| digest) != Some(self.head.digest) {
            return Err(LogError::DamagedRecord {
                revision: self.head.revision,
                fault: RecordFault::Chain,
            });
        }
        let path = self.dir.join(LOG_FILE);
        let size = |path: &Path| {
            fs::metadata(path)
                .map(|file| file.len())
                .map_err(LogError::from_io)
        };
        let bytes_before = size(&path)?;
        let Some(file) = &rewrite.file else {
            return Err(LogError::Unavailable);
        };
        let bytes = size(&file.path)?;
        fs::rename(&file.path, &path).map_err(LogError::from_io)?;
        let is_erasure = rewrite.redacted_count + rewrite.forgotten_count > 0;
        // Twice: who has read the new file knows that it may be another, and who has read the old one forgets it.
        self.erasure_count
            .fetch_add(u64::from(is_erasure), Ordering::Release);
        // From here on it has the log's name: it must not be removed.
        if let Some(StagedFile { database, .. }) = rewrite.file.take() {
            let old = self.opened.swap(Some(Arc::new(Opened::new(database))));
            self.retired.extend(old);
            self.retired.retain_mut(Opened::is_read);
        }
        self.erasure_count
            .fetch_add(u64::from(is_erasure), Ordering::Release);
        (self.earliest, self.retained_bytes) = (rewrite.earliest, rewrite.retained_bytes);
        // A full disk would heal; which of two files has the name would not.
        sync_dir(&self.dir).map_err(|error| self.failed(LogError::Io(error)))?;
        Ok(Rewritten {
            earliest: rewrite.earliest,
            redacted_count: rewrite.redacted_count,
            bytes_before,
            bytes,
        })
    }
}

impl Rewrite {
    /// Begins with a base record: the graph as it was after a record, which `write` writes as created graphs and inserted
    /// quads. It stands for that record and all before it.
    ///
    /// Requests that made one of these are answered as before if they came at `answers_from_us` or later.
    pub fn base(
        &mut self,
        revision: u64,
        answers_from_us: u64,
        write: impl FnOnce(&mut PayloadWriter<'_>) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let source = self.source.records()?;
        let (header, _) = source.payload(revision)?;
        let transaction = self.begin()?;
        let payload = write_payload(&transaction, revision, write)?;
        put_substitute(&transaction, revision, SubstituteKind::Base, payload)?;
        self.put_header(&transaction, &header)?;
        let is_young = |answer: &Header| answer.time_us >= answers_from_us;
        copy_answers(&self.source, &transaction, revision, &is_young)?;
        answers::copy_set(&*self.source.begin()?, &transaction)?;
        transaction.commit().map_err(LogError::from_redb)?;
        self.earliest = revision;
        Ok(())
    }

    /// Copies records as they are, up to one.
    ///
    /// A base record is copied too, and the answers to requests without records.
    pub fn copy(&mut self, to: u64) -> Result<(), LogError> {
        self.copy_with(to, &mut Self::copy_record)
    }

    /// Copies records up to one as [`Self::copy`] does, without the changes that `keeps` denies. Answers without records to requests
    /// whose ids `keeps_id` denies are left out, also those that are given until it takes the log's place.
    pub fn copy_if(
        &mut self,
        to: u64,
        keeps: &mut dyn FnMut(&Change) -> bool,
        keeps_id: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<(), LogError> {
        self.keeps_id = Some(Box::new(keeps_id));
        self.copy_with(to, &mut |rewrite, source, transaction, revision| {
            rewrite.copy_record_if(source, transaction, revision, keeps)
        })
    }

    fn keeps_answer(&self, answer: &Header) -> bool {
        let request = answer.request_id.as_ref();
        let keeps = |request: &RequestId| self.keeps_id.as_ref().is_none_or(|keeps| keeps(&request.id));
        request.is_none_or(keeps)
    }

    fn copy_with(&mut self, to: u64, copy: &mut CopyRecord<'_>) -> Result<(), LogError> {
        let source = self.source.records()?;
        let mut transaction = self.begin()?;
        if self.last.is_none() {
            self.earliest = source.earliest();
            let keeps = |answer: &Header| self.keeps_answer(answer);
            self.forgotten_count += copy_answers(&self.source, &transaction, 0, &keeps)?;
            match self.keeps_id {
                Some(_) => answers::begin_set(&transaction)?,
                None => answers::copy_set(&*self.source.begin()?, &transaction)?,
            }
        }
        let first = self.last.map_or(self.earliest.max(1), |(last, _)| last + 1);
        let mut bytes = 0;
        for revision in first..=to {
            let payload = copy(self, &source, &transaction, revision)?;
            if revision > self.earliest {
                self.retained_bytes += payload.stored_bytes;
            }
            bytes += payload.stored_bytes;
            if bytes >= TRANSACTION_BYTES {
                transaction.commit().map_err(LogError::from_redb)?;
                transaction = self.begin()?;
                bytes = 0;
            }
        }
        transaction.commit().map_err(LogError::from_redb)
    }

    /// Copies one record as it is; returns its payload.
    fn copy_record(
        &mut self,
        source: &Records,
        transaction: &WriteTransaction,
        revision: u64,
    ) -> Result<Payload, LogError> {
        let (header, payload) = source.payload(revision)?;
        let stored = source.stored(revision)?;
        let mut payloads = transaction.open_table(PAYLOADS).map_err(LogError::from_redb)?;
        let mut hash = Sha256::new();
        for (position, chunk) in (0_u32..).zip(stored.chunks) {
            let chunk = chunk?;
            hash.update(&chunk);
            payloads
                .insert((revision, position), chunk.as_slice())
                .map_err(LogError::from_redb)?;
        }
        // What is not as it was must not be in a new file, where nobody knows that it ever was sound.
        check_payload(revision, hash, payload.digest)?;
        if let Some(bytes) = stored.substitute {
            let mut substitutes = transaction.open_table(SUBSTITUTES).map_err(LogError::from_redb)?;
            substitutes
                .insert(revision, bytes.as_slice())
                .map_err(LogError::from_redb)?;
        }
        self.put_header(transaction, &header)?;
        Ok(payload)
    }

    /// Copies one record without some changes; returns its payload.
    fn copy_record_if(
        &mut self,
        source: &Records,
        transaction: &WriteTransaction,
        revision: u64,
        keeps: &mut dyn FnMut(&Change) -> bool,
    ) -> Result<Payload, LogError> {
        let (header, _, changes) = source.changes(revision)?;
        let mut is_whole = true;
        for change in changes {
            if !keeps(&change?) {
                is_whole = false;
                break;
            }
        }
        if is_whole {
            return self.copy_record(source, transaction, revision);
        }
        let payload = write_payload(transaction, revision, |writer| {
            for change in source.changes(revision)?.2 {
                let change = change?;
                if keeps(&change) {
                    writer.change(&change)?;
                }
            }
            Ok(())
        })?;
        let kind = if revision == self.earliest {
            SubstituteKind::Base
        } else {
            SubstituteKind::Redacted
        };
        put_substitute(transaction, revision, kind, payload)?;
        self.put_header(transaction, &header)?;
        self.redacted_count += 1;
        Ok(payload)
    }

    /// Puts down the answers without records that were given since it began; those that were refused may have been copied, and go.
    fn put_new_answers(&mut self) -> Result<(), LogError> {
        let [mut answers, refused] = self.answers.take();
        let count = answers.len();
        answers.retain(|answer| self.keeps_answer(answer));
        self.forgotten_count += (count - answers.len()) as u64;
        if answers.is_empty() && refused.is_empty() {
            return Ok(());
        }
        let transaction = self.begin()?;
        let mut table = Answers::open(&transaction)?;
        refused.iter().try_for_each(|answer| table.remove(answer))?;
        answers.iter().try_for_each(|answer| table.put(answer))?;
        drop(table);
        transaction.commit().map_err(LogError::from_redb)
    }

    fn put_header(&mut self, transaction: &WriteTransaction, header: &Header) -> Result<(), LogError> {
        let bytes = header.encode();
        let mut headers = transaction.open_table(HEADERS).map_err(LogError::from_redb)?;
        headers
            .insert(header.revision, bytes.as_slice())
            .map_err(LogError::from_redb)?;
        if let Some(request) = &header.request_id {
            let mut requests = transaction.open_table(REQUESTS).map_err(LogError::from_redb)?;
            requests
                .insert(request.id.as_str(), header.revision)
                .map_err(LogError::from_redb)?;
        }
        self.last = Some((header.revision, digest(&bytes)));
        Ok(())
    }

    fn begin(&self) -> Result<WriteTransaction, LogError> {
        let file = self.file.as_ref().ok_or(LogError::Unavailable)?;
        let mut transaction = file.database.begin_write().map_err(LogError::from_redb)?;
        transaction
            .set_durability(Durability::Immediate)
            .map_err(LogError::from_redb)?;
        Ok(transaction)
    }
}

fn write_payload(
    transaction: &WriteTransaction,
    revision: u64,
    write: impl FnOnce(&mut PayloadWriter<'_>) -> Result<(), LogError>,
) -> Result<Payload, LogError> {
    let mut payloads = transaction.open_table(PAYLOADS).map_err(LogError::from_redb)?;
    let mut position = 0_u32;
    let mut writer = PayloadWriter::new(Box::new(|chunk: &[u8]| {
        payloads
            .insert((revision, position), chunk)
            .map_err(tables::into_io)?;
        position += 1;
        Ok(())
    }))
    .map_err(LogError::from_io)?;
    write(&mut writer)?;
    writer.finish().map_err(LogError::from_io)
}

fn put_substitute(
    transaction: &WriteTransaction,
    revision: u64,
    kind: SubstituteKind,
    payload: Payload,
) -> Result<(), LogError> {
    let mut substitutes = transaction.open_table(SUBSTITUTES).map_err(LogError::from_redb)?;
    let bytes = Substitute { kind, payload }.encode();
    substitutes
        .insert(revision, bytes.as_slice())
        .map_err(LogError::from_redb)?;
    Ok(())
}

/// Copies the answers to requests whose records are gone, and those of the records before a base record, as far as `keeps` says;
/// returns how many it left out.
fn copy_answers(
    source: &LogReader,
    transaction: &WriteTransaction,
    base: u64,
    keeps: &dyn Fn(&Header) -> bool,
) -> Result<u64, LogError> {
    let mut answers = Answers::open(transaction)?;
    let mut left_out_count = 0;
    let mut put = |header: Header| -> Result<(), LogError> {
        if !keeps(&header) {
            left_out_count += 1;
            return Ok(());
        }
        answers.put(&header.into_answer())
    };
    let reading = source.begin()?;
    let older = reading.open_table(ANSWERS).map_err(LogError::from_redb)?;
    for entry in older.iter().map_err(LogError::from_redb)? {
        let (_, bytes) = entry.map_err(LogError::from_redb)?;
        if let Some(header) = Header::decode(bytes.value()) {
            put(header)?;
        }
    }
    let headers = reading.open_table(HEADERS).map_err(LogError::from_redb)?;
    for entry in headers.range(..base).map_err(LogError::from_redb)? {
        let (revision, bytes) = entry.map_err(LogError::from_redb)?;
        put(tables::decode(revision.value(), bytes.value())?)?;
    }
    Ok(left_out_count)
}

fn staged_path(dir: &Path) -> PathBuf {
    dir.join(format!("{LOG_FILE}.new"))
}

/// Removes what a rewrite left that was cut short.
pub(super) fn remove_leftover(dir: &Path) -> io::Result<()> {
    match fs::remove_file(staged_path(dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
