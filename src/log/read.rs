//! Reading records one after another, at the reader's own pace.

use std::{io, ops::RangeInclusive};

use redb::{ReadOnlyTable, ReadableTable};

use super::{
    LogReader,
    error::{LogError, RecordFault},
    payload::{Change, Changes},
    record::Header,
    tables::{self, ChunkReader, HEADERS, PAYLOADS},
};

/// The changes of one record: dropped graphs, created graphs, removed quads, inserted quads.
///
/// Decoded as they are taken; until it is dropped it holds the log as it was, and about a megabyte. If the log is closed
/// meanwhile, which it does not hold up, the next one may be [`LogError::Unavailable`].
pub struct RecordChanges {
    revision: u64,
    changes: Changes<'static>,
}

impl Iterator for RecordChanges {
    type Item = Result<Change, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let change = self.changes.next()?;
        Some(change.map_err(|error| from_payload(error, self.revision)))
    }
}

/// The records of one state of the log.
pub struct Records {
    headers: ReadOnlyTable<u64, &'static [u8]>,
    payloads: ReadOnlyTable<(u64, u32), &'static [u8]>,
}

impl Records {
    /// Returns the header of a record and its changes.
    pub fn get(&self, revision: u64) -> Result<(Header, RecordChanges), LogError> {
        let (header, _) = tables::header(&self.headers, revision)?;
        let stored = ChunkReader::new(tables::chunks(&self.payloads, revision)?);
        let changes = Changes::new(stored, header.counts, header.text_bytes)
            .map_err(|error| from_payload(error, revision))?;
        Ok((header, RecordChanges { revision, changes }))
    }
}

impl LogReader {
    /// Returns the records of the log as it is now.
    pub fn records(&self) -> Result<Records, LogError> {
        let transaction = self.begin()?;
        Ok(Records {
            headers: transaction.open_table(HEADERS).map_err(LogError::from_redb)?,
            payloads: transaction.open_table(PAYLOADS).map_err(LogError::from_redb)?,
        })
    }

    /// Returns the header of a record and its changes.
    pub fn record(&self, revision: u64) -> Result<(Header, RecordChanges), LogError> {
        self.records()?.get(revision)
    }

    /// Calls `each` for the headers of some revisions, the oldest first or the newest first, until it says false.
    pub fn headers(
        &self,
        revisions: RangeInclusive<u64>,
        newest_first: bool,
        each: &mut dyn FnMut(Header) -> bool,
    ) -> Result<(), LogError> {
        let headers = self.begin()?.open_table(HEADERS).map_err(LogError::from_redb)?;
        let mut range = ReadableTable::range(&headers, revisions).map_err(LogError::from_redb)?;
        while let Some(entry) = if newest_first {
            range.next_back()
        } else {
            range.next()
        } {
            let (revision, bytes) = entry.map_err(LogError::from_redb)?;
            if !each(tables::decode(revision.value(), bytes.value())?.0) {
                break;
            }
        }
        Ok(())
    }
}

fn from_payload(error: io::Error, revision: u64) -> LogError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => LogError::DamagedRecord {
            revision,
            fault: RecordFault::Text,
        },
        // The database's own, on its way through the decoders.
        _ => match error.downcast::<redb::Error>() {
            Ok(error) => LogError::from_redb(error),
            Err(error) => LogError::from_io(error),
        },
    }
}
