//! The tables of the log's database.

use std::io::{self, Read};

use redb::{AccessGuard, Range, ReadOnlyTable, ReadableTable, TableDefinition};

use super::{
    error::{LogError, RecordFault},
    record::Header,
};

/// What the log says of itself.
pub(super) const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
/// Headers by revision. Never changed once written.
pub(super) const HEADERS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("headers");
/// Chunks of payloads by revision and position. Apart, so that a payload can go while the chain stays.
pub(super) const PAYLOADS: TableDefinition<'static, (u64, u32), &[u8]> = TableDefinition::new("payloads");
/// Revisions by request id.
pub(super) const REQUESTS: TableDefinition<'static, &str, u64> = TableDefinition::new("requests");

/// What stands in the place of payloads, by revision. The first may be the base.
pub(super) const SUBSTITUTES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("substitutes");
/// Headers of records that are gone, without author and message, by request id: who asks again gets the same answer. Also
/// of records that never were, since nothing was changed.
pub(super) const ANSWERS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("answers");
/// The request ids among them of which there never was a record, by time: nothing else makes these go.
pub(super) const NO_CHANGES: TableDefinition<'static, (u64, &str), ()> = TableDefinition::new("no_changes");

/// Reads the header of a revision.
pub(super) fn header(
    headers: &impl ReadableTable<u64, &'static [u8]>,
    revision: u64,
) -> Result<Header, LogError> {
    let bytes = headers.get(revision).map_err(LogError::from_redb)?;
    let bytes = bytes.ok_or(LogError::DamagedRecord {
        revision,
        fault: RecordFault::Missing,
    })?;
    decode(revision, bytes.value())
}

/// Decodes the header that stands at a revision.
pub(super) fn decode(revision: u64, bytes: &[u8]) -> Result<Header, LogError> {
    match Header::decode(bytes) {
        Some(header) if header.revision == revision => Ok(header),
        _ => Err(LogError::DamagedRecord {
            revision,
            fault: RecordFault::Header,
        }),
    }
}

/// Reads the header of the record that a request made, also of one that is gone.
pub(super) fn request(
    requests: &impl ReadableTable<&'static str, u64>,
    headers: &impl ReadableTable<u64, &'static [u8]>,
    answers: &impl ReadableTable<&'static str, &'static [u8]>,
    id: &str,
) -> Result<Option<Header>, LogError> {
    if let Some(revision) = requests.get(id).map_err(LogError::from_redb)? {
        return header(headers, revision.value()).map(Some);
    }
    let Some(bytes) = answers.get(id).map_err(LogError::from_redb)? else {
        return Ok(None);
    };
    decode_answer(bytes.value()).map(Some)
}

/// Decodes an answer to a request.
pub(super) fn decode_answer(bytes: &[u8]) -> Result<Header, LogError> {
    Header::decode(bytes).ok_or_else(|| LogError::Damaged("an answer to a request cannot be read".to_owned()))
}

/// The last header; nothing in an empty log.
pub(super) fn last_header(
    headers: &impl ReadableTable<u64, &'static [u8]>,
) -> Result<Option<Header>, LogError> {
    let last = headers.last().map_err(LogError::from_redb)?;
    last.map(|(revision, bytes)| decode(revision.value(), bytes.value()))
        .transpose()
}

/// The chunks of one payload; they keep their transaction alive.
pub(super) fn chunks(
    payloads: &ReadOnlyTable<(u64, u32), &'static [u8]>,
    revision: u64,
) -> Result<Range<'static, (u64, u32), &'static [u8]>, LogError> {
    payloads
        .range((revision, 0)..=(revision, u32::MAX))
        .map_err(LogError::from_redb)
}

/// The chunks of one payload as a stream of bytes.
pub(super) struct ChunkReader<'t> {
    chunks: Range<'t, (u64, u32), &'static [u8]>,
    chunk: Option<AccessGuard<'t, &'static [u8]>>,
    read_bytes: usize,
}

impl<'t> ChunkReader<'t> {
    pub(super) fn new(chunks: Range<'t, (u64, u32), &'static [u8]>) -> Self {
        Self {
            chunks,
            chunk: None,
            read_bytes: 0,
        }
    }
}

impl Read for ChunkReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(chunk) = &self.chunk {
                let rest = &chunk.value()[self.read_bytes..];
                if !rest.is_empty() {
                    let len = rest.len().min(out.len());
                    out[..len].copy_from_slice(&rest[..len]);
                    self.read_bytes += len;
                    return Ok(len);
                }
            }
            match self.chunks.next() {
                Some(Ok((_, chunk))) => (self.chunk, self.read_bytes) = (Some(chunk), 0),
                Some(Err(error)) => return Err(into_io(error)),
                None => return Ok(0),
            }
        }
    }
}

/// An error of the database inside a stream; an I/O error stays what it is.
pub(super) fn into_io(error: impl Into<redb::Error>) -> io::Error {
    match error.into() {
        redb::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}
