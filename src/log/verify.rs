//! Verification of the whole log.

use redb::{ReadTransaction, ReadableTable as _};
use sha2::{Digest as _, Sha256};

use super::{
    Head,
    error::{LogError, RecordFault},
    record::{GENESIS, Header},
    tables::{self, HEADERS, PAYLOADS},
};

/// What a verified log holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Summary {
    /// The last record.
    pub head: Head,
    /// Bytes of all payloads as they are stored.
    pub payload_bytes: u64,
    /// Quads that all records removed.
    pub quads_removed: u64,
    /// Quads that all records inserted.
    pub quads_inserted: u64,
}

/// Checks every record: revisions dense from 1, each header chained to the one before, each payload as its header says.
pub(super) fn verify(transaction: &ReadTransaction) -> Result<Summary, LogError> {
    let headers = transaction.open_table(HEADERS).map_err(LogError::from_redb)?;
    let payloads = transaction.open_table(PAYLOADS).map_err(LogError::from_redb)?;
    let mut summary = Summary {
        head: Head {
            revision: 0,
            digest: GENESIS,
            time_us: 0,
        },
        payload_bytes: 0,
        quads_removed: 0,
        quads_inserted: 0,
    };
    for entry in headers.iter().map_err(LogError::from_redb)? {
        let (found, bytes) = entry.map_err(LogError::from_redb)?;
        let revision = summary.head.revision + 1;
        let broken = |fault| Err(LogError::DamagedRecord { revision, fault });
        if found.value() != revision {
            return broken(RecordFault::Missing);
        }
        let (header, digest) = tables::decode(revision, bytes.value())?;
        if header.previous != summary.head.digest {
            return broken(RecordFault::Chain);
        }
        if !payload_is_sound(&payloads, &header)? {
            return broken(RecordFault::Payload);
        }
        summary.head = Head {
            revision,
            digest,
            time_us: header.time_us,
        };
        summary.payload_bytes += header.payload_bytes;
        summary.quads_removed = summary.quads_removed.saturating_add(header.counts.quads_removed);
        summary.quads_inserted = summary
            .quads_inserted
            .saturating_add(header.counts.quads_inserted);
    }
    Ok(summary)
}

fn payload_is_sound(
    payloads: &redb::ReadOnlyTable<(u64, u32), &'static [u8]>,
    header: &Header,
) -> Result<bool, LogError> {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    for (position, entry) in tables::chunks(payloads, header.revision)?.enumerate() {
        let (key, chunk) = entry.map_err(LogError::from_redb)?;
        if u64::from(key.value().1) != position as u64 {
            return Ok(false);
        }
        hash.update(chunk.value());
        bytes += chunk.value().len() as u64;
    }
    Ok(bytes == header.payload_bytes && header.payload_digest == <[u8; 32]>::from(hash.finalize()))
}
