//! Records as they are stored: taken out for a copy of the log, followed along their chain, and put into a new one.

use std::{
    io::{self, Read},
    path::Path,
};

use redb::{Database, Durability, WriteTransaction};
use sha2::{Digest as _, Sha256};

use super::{
    Head, OpenDatabase,
    answers::Answers,
    changes::Changes,
    error::{LogError, RecordFault},
    open_and_prepare, open_database,
    payload::{CHUNK_BYTES, Change, Payload},
    record::{Counts, Digest, GENESIS, Header},
    substitute::{Substitute, SubstituteKind, stored_payload},
    tables::{self, HEADERS, PAYLOADS, REQUESTS, SUBSTITUTES},
};

/// Stored bytes after which a new log is committed: what is not yet committed is kept in memory.
const COMMIT_BYTES: u64 = 128 << 20;
/// What an answer to a request counts for.
const ANSWER_BYTES: u64 = 1 << 10;

/// Why a record was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The log, or the record.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Where the record is read from.
    #[error(transparent)]
    Source(#[from] io::Error),
}

/// A chain of records that is followed from one to the next.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    head: Head,
}

impl Default for Chain {
    /// Begins before the first record.
    fn default() -> Self {
        Self::after(Head {
            revision: 0,
            digest: GENESIS,
            time_us: 0,
        })
    }
}

impl Chain {
    /// Begins after a record.
    pub fn after(head: Head) -> Self {
        Self { head }
    }

    /// Returns the last record.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Goes on with a record, if it is the next one: its header, and what is said of its payload if that is another than the
    /// header tells of. The first may be a base record.
    pub fn follow(&mut self, header: &[u8], substitute: Option<&[u8]>) -> Result<Followed, LogError> {
        let revision = self.head.revision + 1;
        let fault = |revision, fault| LogError::DamagedRecord { revision, fault };
        let substitute = match substitute {
            Some(bytes) => {
                let decoded = Substitute::decode(bytes);
                Some(decoded.ok_or_else(|| fault(revision, RecordFault::Substitute))?)
            }
            None => None,
        };
        let is_base = substitute.is_some_and(|substitute| substitute.kind == SubstituteKind::Base);
        let is_first = is_base && self.head.revision == 0;
        let revision = match Header::decode(header) {
            Some(header) if is_first => header.revision,
            _ => revision,
        };
        let header = tables::decode(revision, header)?;
        let is_next = header.previous == self.head.digest && header.time_us >= self.head.time_us && !is_base;
        if !is_next && !is_first {
            return Err(fault(revision, RecordFault::Chain));
        }
        self.head = Head {
            revision,
            digest: header.digest,
            time_us: header.time_us,
        };
        Ok(Followed {
            payload: stored_payload(&header, substitute),
            header,
        })
    }
}

/// A record of a chain.
#[derive(Clone, Debug)]
pub struct Followed {
    /// Its header.
    pub header: Header,
    payload: Payload,
}

impl Followed {
    /// Returns how much its payload changes; that of a base record makes the whole graph.
    pub fn counts(&self) -> Counts {
        self.payload.counts
    }

    fn damaged(&self, fault: RecordFault) -> LogError {
        LogError::DamagedRecord {
            revision: self.header.revision,
            fault,
        }
    }
}

/// Reads a stored payload, and looks in the end whether it was what its header says.
pub struct PayloadReader<R> {
    inner: io::Take<R>,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read + Send> PayloadReader<R> {
    /// Begins to read the payload of a record, which comes next in `inner`.
    pub fn new(record: &Followed, inner: R) -> Self {
        Self {
            inner: inner.take(record.payload.stored_bytes),
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    /// Calls `each` for every change.
    pub fn changes(&mut self, record: &Followed, each: &mut dyn FnMut(Change)) -> Result<(), CopyError> {
        let fault = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                record.damaged(RecordFault::Text).into()
            }
            _ => CopyError::Source(error),
        };
        for change in Changes::new(self, record.payload.counts, record.payload.text_bytes).map_err(fault)? {
            each(change.map_err(fault)?);
        }
        Ok(())
    }

    /// Reads what is left, and compares the whole with what is said of it.
    pub fn finish(mut self, record: &Followed) -> Result<(), CopyError> {
        io::copy(&mut self, &mut io::sink())?;
        let digest: Digest = self.hash.finalize().into();
        if self.bytes == record.payload.stored_bytes && digest == record.payload.digest {
            return Ok(());
        }
        Err(record.damaged(RecordFault::Payload).into())
    }
}

impl<R: Read> Read for PayloadReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.hash.update(&out[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

/// A log under construction from stored records, in a folder that nothing else uses.
pub struct NewLog {
    database: Database,
    /// There but for the moment in which one is committed.
    transaction: Option<WriteTransaction>,
    chain: Chain,
    uncommitted_bytes: u64,
}

impl NewLog {
    /// Begins a log in an empty folder.
    pub fn begin(dir: &Path) -> Result<Self, LogError> {
        let open: OpenDatabase = Box::new(open_database);
        let database = open_and_prepare(dir, &open)?;
        Ok(Self {
            transaction: Some(begin_write(&database)?),
            database,
            chain: Chain::default(),
            uncommitted_bytes: 0,
        })
    }

    /// Returns the last record.
    pub fn head(&self) -> Head {
        self.chain.head()
    }

    /// Adds the next record: what [`Chain::follow`] takes, and its payload, which comes next in `source`. All is checked.
    pub fn record(
        &mut self,
        header: &[u8],
        substitute: Option<&[u8]>,
        source: impl Read + Send,
    ) -> Result<Followed, CopyError> {
        let record = self.chain.follow(header, substitute)?;
        self.put_header(&record.header, header, substitute)?;
        let mut payload = PayloadReader::new(&record, source);
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        for position in 0.. {
            chunk.clear();
            (&mut payload).take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
            if chunk.is_empty() {
                break;
            }
            self.put_chunk((record.header.revision, position), &chunk)?;
        }
        payload.finish(&record)?;
        self.count(record.payload.stored_bytes)?;
        Ok(record)
    }

    /// Adds the answer to a request that has no record in it, in the place of one to an older request of that name.
    pub fn answer(&mut self, answer: &Header) -> Result<(), LogError> {
        Answers::open(self.transaction()?)?.put(answer)?;
        self.count(ANSWER_BYTES)
    }

    /// Commits what there is if it is much, with more bytes.
    fn count(&mut self, bytes: u64) -> Result<(), LogError> {
        self.uncommitted_bytes += bytes;
        if self.uncommitted_bytes >= COMMIT_BYTES {
            self.commit()?;
            self.transaction = Some(begin_write(&self.database)?);
        }
        Ok(())
    }

    /// Writes all of it durably; returns the last record.
    pub fn finish(mut self) -> Result<Head, LogError> {
        self.commit()?;
        Ok(self.chain.head())
    }

    fn put_header(
        &self,
        header: &Header,
        header_bytes: &[u8],
        substitute: Option<&[u8]>,
    ) -> Result<(), LogError> {
        let transaction = self.transaction()?;
        let mut headers = transaction.open_table(HEADERS).map_err(LogError::from_redb)?;
        headers
            .insert(header.revision, header_bytes)
            .map_err(LogError::from_redb)?;
        if let Some(substitute) = substitute {
            let substitutes = transaction.open_table(SUBSTITUTES);
            substitutes
                .map_err(LogError::from_redb)?
                .insert(header.revision, substitute)
                .map_err(LogError::from_redb)?;
        }
        let Some(request) = &header.request_id else {
            return Ok(());
        };
        let mut requests = transaction.open_table(REQUESTS).map_err(LogError::from_redb)?;
        requests
            .insert(request.id.as_str(), header.revision)
            .map_err(LogError::from_redb)?;
        Ok(())
    }

    fn put_chunk(&self, key: (u64, u32), chunk: &[u8]) -> Result<(), LogError> {
        let payloads = self.transaction()?.open_table(PAYLOADS);
        payloads
            .map_err(LogError::from_redb)?
            .insert(key, chunk)
            .map_err(LogError::from_redb)?;
        Ok(())
    }

    fn transaction(&self) -> Result<&WriteTransaction, LogError> {
        self.transaction.as_ref().ok_or(LogError::Unavailable)
    }

    fn commit(&mut self) -> Result<(), LogError> {
        let transaction = self.transaction.take().ok_or(LogError::Unavailable)?;
        transaction.commit().map_err(LogError::from_redb)?;
        self.uncommitted_bytes = 0;
        Ok(())
    }
}

fn begin_write(database: &Database) -> Result<WriteTransaction, LogError> {
    let mut transaction = database.begin_write().map_err(LogError::from_redb)?;
    transaction
        .set_durability(Durability::Immediate)
        .map_err(LogError::from_redb)?;
    Ok(transaction)
}
