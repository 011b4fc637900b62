//! Reading the log: headers, and records one after another, at the reader's own pace.

use std::{
    io::{self, Cursor, Read},
    ops::{Deref, RangeInclusive},
    sync::Arc,
};

use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase as _, ReadableTable};

use super::{
    changes::{Changes, Verified},
    error::{LogError, RecordFault},
    payload::{Change, Payload},
    record::{Digest, Header},
    substitute::{Substitute, SubstituteKind, base_revision, last_redacted, stored_payload, substitute},
    tables::{self, ANSWERS, ChunkReader, HEADERS, PAYLOADS, REQUESTS, SUBSTITUTES},
    verify::{self, Summary},
};
use crate::sync::{
    ArcSwapOption,
    atomic::{AtomicU64, Ordering},
};

/// The database file of a log, and who reads it.
pub(super) struct Opened {
    pub(super) database: Database,
    readers: Arc<()>,
}

impl Opened {
    pub(super) fn new(database: Database) -> Self {
        Self {
            database,
            readers: Arc::new(()),
        }
    }

    /// Tells whether anybody reads it, or is about to: whoever has taken it is not yet among the readers. One that is still in use
    /// may be taken at any time.
    pub(super) fn is_read(this: &mut Arc<Self>) -> bool {
        let untaken = Arc::get_mut(this);
        untaken.is_none_or(|this| Arc::get_mut(&mut this.readers).is_none())
    }
}

/// One state of the log. A file that has been replaced stays open as long as there is one of it.
pub(super) struct Reading {
    transaction: ReadTransaction,
    pub(super) reader: Arc<()>,
}

impl Deref for Reading {
    type Target = ReadTransaction;

    fn deref(&self) -> &ReadTransaction {
        &self.transaction
    }
}

/// Reads the log, also while it is written.
#[derive(Clone)]
pub struct LogReader {
    pub(super) opened: Arc<ArcSwapOption<Opened>>,
    pub(super) erasure_count: Arc<AtomicU64>,
}

/// The changes of one record: dropped graphs, created graphs, removed quads, inserted quads.
///
/// A payload that is not what it was when the log was opened is [`LogError::DamagedRecord`]: a short one before any of it is told, a
/// long one in the end.
///
/// Decoded as they are taken; until it is dropped it holds the log as it was, unless it is read at leisure, and about a megabyte. If the log is closed
/// meanwhile, which it does not hold up, the next one may be [`LogError::Unavailable`].
pub struct RecordChanges {
    revision: u64,
    changes: Changes<'static>,
    _reader: Option<Arc<()>>,
}

impl Iterator for RecordChanges {
    type Item = Result<Change, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let change = self.changes.next()?;
        Some(change.map_err(|error| from_payload(error, self.revision)))
    }
}

/// The chunks of one payload as a stream of bytes, each read when it is due, in the state that the log has then.
struct ChunksAtLeisure {
    log: LogReader,
    revision: u64,
    /// The hash of the payload.
    digest: Digest,
    /// The next chunk.
    position: u32,
    chunk: Cursor<Vec<u8>>,
}

impl ChunksAtLeisure {
    fn new(log: LogReader, revision: u64, digest: Digest) -> Self {
        Self {
            log,
            revision,
            digest,
            position: 0,
            chunk: Cursor::default(),
        }
    }
}

impl Read for ChunksAtLeisure {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read_bytes = self.chunk.read(out)?;
            if read_bytes > 0 || out.is_empty() {
                return Ok(read_bytes);
            }
            let chunk = self.log.chunk(self.revision, self.position, self.digest);
            let Some(chunk) = chunk.map_err(io::Error::other)? else {
                return Ok(0);
            };
            self.chunk = Cursor::new(chunk);
            self.position += 1;
        }
    }
}

/// The records of one state of the log.
pub struct Records {
    headers: ReadOnlyTable<u64, &'static [u8]>,
    payloads: ReadOnlyTable<(u64, u32), &'static [u8]>,
    substitutes: ReadOnlyTable<u64, &'static [u8]>,
    base: Option<u64>,
    reader: Arc<()>,
}

/// The base record: the graph of one revision, whole, in the place of all records up to it.
pub struct Base {
    /// The header of the last record that it stands for, as that was committed.
    pub header: Header,
    /// Quads in the graph.
    pub quad_count: u64,
    /// The graph, as created graphs and inserted quads.
    pub graph: RecordChanges,
}

/// A record as it is stored, for copies of the log.
pub struct StoredRecord {
    /// The header, encoded: [`Header::decode`] reads it, and the next one holds its hash.
    pub header: Vec<u8>,
    /// What is said of the payload, if it is not the one that the header tells of.
    pub substitute: Option<Vec<u8>>,
    /// The payload, salt and compressed text, in its chunks.
    pub chunks: StoredChunks,
}

/// The chunks of a stored payload.
pub struct StoredChunks {
    chunks: redb::Range<'static, (u64, u32), &'static [u8]>,
    _reader: Arc<()>,
}

impl Iterator for StoredChunks {
    type Item = Result<Vec<u8>, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let chunk = self.chunks.next()?;
        Some(
            chunk
                .map(|(_, bytes)| bytes.value().to_vec())
                .map_err(LogError::from_redb),
        )
    }
}

impl Records {
    /// Returns the earliest revision whose graph can be had: that of the base record; 0 if there is none.
    ///
    /// Records are there from the next one on.
    pub fn earliest(&self) -> u64 {
        self.base.unwrap_or(0)
    }

    /// Returns the header of a record and its changes.
    pub fn get(&self, revision: u64) -> Result<(Header, RecordChanges), LogError> {
        self.check(revision, self.earliest() + 1)?;
        self.changes(revision)
            .map(|(header, _, changes)| (header, changes))
    }

    /// Returns the base record, if there is one.
    pub fn base(&self) -> Result<Option<Base>, LogError> {
        let Some(revision) = self.base else {
            return Ok(None);
        };
        let (header, payload, graph) = self.changes(revision)?;
        Ok(Some(Base {
            header,
            quad_count: payload.counts.quads_inserted,
            graph,
        }))
    }

    /// Returns a record as it is stored; also the base record, which is the first.
    pub fn stored(&self, revision: u64) -> Result<StoredRecord, LogError> {
        self.check(revision, self.earliest())?;
        let bytes = self.headers.get(revision).map_err(LogError::from_redb)?;
        let bytes = bytes.ok_or(LogError::DamagedRecord {
            revision,
            fault: RecordFault::Missing,
        })?;
        let substitute = self.substitutes.get(revision).map_err(LogError::from_redb)?;
        Ok(StoredRecord {
            header: bytes.value().to_vec(),
            substitute: substitute.map(|bytes| bytes.value().to_vec()),
            chunks: StoredChunks {
                chunks: tables::chunks(&self.payloads, revision)?,
                _reader: Arc::clone(&self.reader),
            },
        })
    }

    /// Returns the hash of the header of a record, or of the base record.
    pub fn digest(&self, revision: u64) -> Result<Digest, LogError> {
        self.check(revision, self.earliest())?;
        tables::header(&self.headers, revision).map(|header| header.digest)
    }

    /// Returns the header of a record, and what is stored as its payload.
    pub(super) fn payload(&self, revision: u64) -> Result<(Header, Payload), LogError> {
        let mut header = tables::header(&self.headers, revision)?;
        let substitute = substitute(&self.substitutes, revision)?;
        header.is_redacted = is_redacted(substitute);
        let payload = stored_payload(&header, substitute);
        Ok((header, payload))
    }

    pub(super) fn changes(&self, revision: u64) -> Result<(Header, Payload, RecordChanges), LogError> {
        let (header, payload) = self.payload(revision)?;
        let stored = ChunkReader::new(tables::chunks(&self.payloads, revision)?);
        let stored = Verified::new(stored, revision, &payload);
        let changes = Changes::new(stored, payload.counts, payload.text_bytes)
            .map_err(|error| from_payload(error, revision))?;
        let changes = RecordChanges {
            revision,
            changes,
            _reader: Some(Arc::clone(&self.reader)),
        };
        Ok((header, payload, changes))
    }

    fn check(&self, revision: u64, least: u64) -> Result<(), LogError> {
        match self.base {
            Some(earliest) if revision < least => Err(LogError::Compacted { revision, earliest }),
            _ => Ok(()),
        }
    }
}

impl LogReader {
    /// Verifies the whole log as it is now: every header, every payload, the chain.
    pub fn verify(&self) -> Result<Summary, LogError> {
        verify::verify(&*self.begin()?)
    }

    /// Returns a number that goes up when something is erased from the log. Who keeps what was read forgets it then.
    pub fn erasure_count(&self) -> u64 {
        self.erasure_count.load(Ordering::Acquire)
    }

    /// Returns the earliest revision whose graph can be had: that of the base record; 0 if there is none.
    ///
    /// Records are there from the next one on, the base record's header besides.
    pub fn earliest(&self) -> Result<u64, LogError> {
        let reading = self.begin()?;
        let substitutes = reading.open_table(SUBSTITUTES).map_err(LogError::from_redb)?;
        Ok(base_revision(&substitutes)?.unwrap_or(0))
    }

    /// Returns the last revision from whose record something was erased, after the base record; 0 if there is none. A graph of
    /// an earlier revision that was kept elsewhere may have it still, and the record that removed it no longer does so.
    pub fn last_redacted(&self) -> Result<u64, LogError> {
        let reading = self.begin()?;
        let substitutes = reading.open_table(SUBSTITUTES).map_err(LogError::from_redb)?;
        last_redacted(&substitutes)
    }

    /// Returns the header of a revision.
    pub fn header(&self, revision: u64) -> Result<Header, LogError> {
        let reading = self.begin()?;
        let substitutes = reading.open_table(SUBSTITUTES).map_err(LogError::from_redb)?;
        match base_revision(&substitutes)? {
            Some(earliest) if revision < earliest => Err(LogError::Compacted { revision, earliest }),
            _ => {
                let headers = reading.open_table(HEADERS).map_err(LogError::from_redb)?;
                let mut header = tables::header(&headers, revision)?;
                header.is_redacted = is_redacted(substitute(&substitutes, revision)?);
                Ok(header)
            }
        }
    }

    /// Returns the record that a request made. Of one that was compacted away it has neither author nor message.
    pub fn request(&self, id: &str) -> Result<Option<Header>, LogError> {
        let reading = self.begin()?;
        let requests = reading.open_table(REQUESTS).map_err(LogError::from_redb)?;
        let headers = reading.open_table(HEADERS).map_err(LogError::from_redb)?;
        let answers = reading.open_table(ANSWERS).map_err(LogError::from_redb)?;
        tables::request(&requests, &headers, &answers, id)
    }

    /// Calls `each` for every change of a record: dropped graphs, created graphs, removed quads, inserted quads.
    pub fn changes(&self, revision: u64, each: &mut dyn FnMut(Change)) -> Result<Header, LogError> {
        let (header, changes) = self.record(revision)?;
        for change in changes {
            each(change?);
        }
        Ok(header)
    }

    /// Returns the records of the log as it is now.
    pub fn records(&self) -> Result<Records, LogError> {
        let reading = self.begin()?;
        let substitutes = reading.open_table(SUBSTITUTES).map_err(LogError::from_redb)?;
        Ok(Records {
            headers: reading.open_table(HEADERS).map_err(LogError::from_redb)?,
            payloads: reading.open_table(PAYLOADS).map_err(LogError::from_redb)?,
            base: base_revision(&substitutes)?,
            substitutes,
            reader: reading.reader,
        })
    }

    /// Returns the header of a record and its changes.
    pub fn record(&self, revision: u64) -> Result<(Header, RecordChanges), LogError> {
        self.records()?.get(revision)
    }

    /// Returns the header of a record and its changes, for who takes them slowly: in between it holds nothing of the log, so that the
    /// disk's room is used again that later appends leave.
    ///
    /// The next change is [`LogError::Compacted`] if the record is gone meanwhile, and [`LogError::Unavailable`] if something was
    /// erased from it.
    pub fn record_at_leisure(&self, revision: u64) -> Result<(Header, RecordChanges), LogError> {
        let records = self.records()?;
        records.check(revision, records.earliest() + 1)?;
        let (header, payload) = records.payload(revision)?;
        let chunks = ChunksAtLeisure::new(self.clone(), revision, payload.digest);
        let chunks = Verified::new(chunks, revision, &payload);
        let changes = Changes::new(chunks, payload.counts, payload.text_bytes)
            .map_err(|error| from_payload(error, revision))?;
        let changes = RecordChanges {
            revision,
            changes,
            _reader: None,
        };
        Ok((header, changes))
    }

    /// Returns a chunk of a record whose payload has this hash, or none after the last one.
    fn chunk(&self, revision: u64, position: u32, digest: Digest) -> Result<Option<Vec<u8>>, LogError> {
        let records = self.records()?;
        records.check(revision, records.earliest() + 1)?;
        if records.payload(revision)?.1.digest != digest {
            return Err(LogError::Unavailable);
        }
        let chunk = records.payloads.get((revision, position));
        Ok(chunk
            .map_err(LogError::from_redb)?
            .map(|chunk| chunk.value().to_vec()))
    }

    /// Calls `each` for the headers of some revisions, the oldest first or the newest first, until it says false. Those that
    /// were compacted away are left out.
    pub fn headers(
        &self,
        revisions: RangeInclusive<u64>,
        newest_first: bool,
        each: &mut dyn FnMut(Header) -> bool,
    ) -> Result<(), LogError> {
        let reading = self.begin()?;
        let headers = reading.open_table(HEADERS).map_err(LogError::from_redb)?;
        let substitutes = reading.open_table(SUBSTITUTES).map_err(LogError::from_redb)?;
        let mut range = ReadableTable::range(&headers, revisions).map_err(LogError::from_redb)?;
        while let Some(entry) = if newest_first {
            range.next_back()
        } else {
            range.next()
        } {
            let (revision, bytes) = entry.map_err(LogError::from_redb)?;
            let mut header = tables::decode(revision.value(), bytes.value())?;
            header.is_redacted = is_redacted(substitute(&substitutes, revision.value())?);
            if !each(header) {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn begin(&self) -> Result<Reading, LogError> {
        let opened = self.opened.load_full().ok_or(LogError::Unavailable)?;
        Ok(Reading {
            reader: Arc::clone(&opened.readers),
            transaction: opened.database.begin_read().map_err(LogError::from_redb)?,
        })
    }
}

fn is_redacted(substitute: Option<Substitute>) -> bool {
    substitute.is_some_and(|substitute| substitute.kind == SubstituteKind::Redacted)
}

fn from_payload(error: io::Error, revision: u64) -> LogError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => LogError::DamagedRecord {
            revision,
            fault: RecordFault::Text,
        },
        // The database's own or ours, on its way through the decoders.
        _ => match error.downcast::<redb::Error>() {
            Ok(error) => LogError::from_redb(error),
            Err(error) => error.downcast::<LogError>().unwrap_or_else(|error| {
                // Neither the database's nor the system's: what cannot be unpacked.
                if error.kind() == io::ErrorKind::Other && error.raw_os_error().is_none() {
                    LogError::DamagedRecord {
                        revision,
                        fault: RecordFault::Text,
                    }
                } else {
                    LogError::from_io(error)
                }
            }),
        },
    }
}
