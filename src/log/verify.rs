//! Verification of the whole log.

use redb::{ReadTransaction, ReadableTable as _};
use sha2::{Digest as _, Sha256};

use super::{
    Head,
    error::{LogError, RecordFault},
    payload::Payload,
    record::GENESIS,
    substitute::{self, SubstituteKind, stored_payload},
    tables::{self, HEADERS, PAYLOADS, SUBSTITUTES},
};

/// What a verified log holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Summary {
    /// The last record.
    pub head: Head,
    /// The earliest revision whose graph the log has: that of its base record, or 0.
    pub earliest: u64,
    /// Bytes of all payloads as they are stored.
    pub payload_bytes: u64,
    /// Bytes of the payloads after the base record: what retention by size counts.
    pub retained_bytes: u64,
    /// Quads that all records removed.
    pub quads_removed: u64,
    /// Quads that all records inserted, those of the base record included.
    pub quads_inserted: u64,
    /// Records from whose payloads something was erased.
    pub redacted_count: u64,
}

/// Checks every record: revisions dense from 1 or from the base record, each header chained to the one before, each payload as
/// its header says, or what stands in its place.
pub(super) fn verify(transaction: &ReadTransaction) -> Result<Summary, LogError> {
    let headers = transaction.open_table(HEADERS).map_err(LogError::from_redb)?;
    let payloads = transaction.open_table(PAYLOADS).map_err(LogError::from_redb)?;
    let substitutes = transaction.open_table(SUBSTITUTES).map_err(LogError::from_redb)?;
    let base = substitute::base_revision(&substitutes)?;
    let mut summary = Summary {
        head: Head {
            // A base record stands in the place of all before it, too.
            revision: base.map_or(0, |base| base - 1),
            digest: GENESIS,
            time_us: 0,
        },
        earliest: base.unwrap_or(0),
        payload_bytes: 0,
        retained_bytes: 0,
        quads_removed: 0,
        quads_inserted: 0,
        redacted_count: 0,
    };
    for entry in headers.iter().map_err(LogError::from_redb)? {
        let (found, bytes) = entry.map_err(LogError::from_redb)?;
        let revision = summary.head.revision + 1;
        let broken = |fault| Err(LogError::DamagedRecord { revision, fault });
        if found.value() != revision {
            return broken(RecordFault::Missing);
        }
        let header = tables::decode(revision, bytes.value())?;
        let is_base = base == Some(revision);
        if !is_base && header.previous != summary.head.digest {
            return broken(RecordFault::Chain);
        }
        let substitute = substitute::substitute(&substitutes, revision)?;
        let payload = stored_payload(&header, substitute);
        if !payload_is_sound(&payloads, revision, &payload)? {
            return broken(if is_base {
                RecordFault::Base
            } else {
                RecordFault::Payload
            });
        }
        summary.head = Head {
            revision,
            digest: header.digest,
            time_us: header.time_us,
        };
        summary.payload_bytes += payload.stored_bytes;
        if !is_base {
            summary.retained_bytes += payload.stored_bytes;
        }
        let is_redacted = substitute.is_some_and(|found| found.kind == SubstituteKind::Redacted);
        summary.redacted_count += u64::from(is_redacted);
        summary.quads_removed = summary.quads_removed.saturating_add(payload.counts.quads_removed);
        summary.quads_inserted = summary
            .quads_inserted
            .saturating_add(payload.counts.quads_inserted);
    }
    match base {
        Some(revision) if summary.head.revision < revision => Err(LogError::DamagedRecord {
            revision,
            fault: RecordFault::Missing,
        }),
        _ => Ok(summary),
    }
}

fn payload_is_sound(
    payloads: &redb::ReadOnlyTable<(u64, u32), &'static [u8]>,
    revision: u64,
    payload: &Payload,
) -> Result<bool, LogError> {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    for (position, entry) in tables::chunks(payloads, revision)?.enumerate() {
        let (key, chunk) = entry.map_err(LogError::from_redb)?;
        if u64::from(key.value().1) != position as u64 {
            return Ok(false);
        }
        hash.update(chunk.value());
        bytes += chunk.value().len() as u64;
    }
    Ok(bytes == payload.stored_bytes && payload.digest == <[u8; 32]>::from(hash.finalize()))
}
