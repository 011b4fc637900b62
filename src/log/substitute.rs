//! What stands in the place of a record's payload.

use redb::ReadableTable;

use super::{
    error::{LogError, RecordFault},
    payload::Payload,
    record::{Counts, Digest, Header},
};

/// The version of the layout, its first byte.
const VERSION: u8 = 1;
const BYTES: usize = 2 + 6 * 8 + 32;

/// Why a payload is not the one that the header tells of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SubstituteKind {
    /// It is the whole graph as it was after the record: the records before it are gone, and so is what it changed.
    Base,
    /// What was erased is missing from it.
    Redacted,
}

/// A payload in the place of the one that the header tells of. The header stays as it was, so that the chain goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Substitute {
    pub(super) kind: SubstituteKind,
    pub(super) payload: Payload,
}

impl Substitute {
    pub(super) fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[0] = VERSION;
        bytes[1] = match self.kind {
            SubstituteKind::Base => 1,
            SubstituteKind::Redacted => 2,
        };
        let Payload {
            counts,
            stored_bytes,
            text_bytes,
            digest,
        } = self.payload;
        let numbers = [
            counts.graphs_dropped,
            counts.graphs_created,
            counts.quads_removed,
            counts.quads_inserted,
            stored_bytes,
            text_bytes,
        ];
        for (place, number) in bytes[2..].as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        bytes[BYTES - 32..].copy_from_slice(&digest);
        bytes
    }

    /// Reads what [`Self::encode`] wrote; nothing if it is anything else.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let kind = match bytes[..2] {
            [VERSION, 1] => SubstituteKind::Base,
            [VERSION, 2] => SubstituteKind::Redacted,
            _ => return None,
        };
        let (numbers, _) = bytes[2..BYTES - 32].as_chunks::<8>();
        let number = |index: usize| numbers.get(index).copied().map(u64::from_le_bytes);
        let digest: &Digest = bytes.last_chunk()?;
        let payload = Payload {
            counts: Counts {
                graphs_dropped: number(0)?,
                graphs_created: number(1)?,
                quads_removed: number(2)?,
                quads_inserted: number(3)?,
            },
            stored_bytes: number(4)?,
            text_bytes: number(5)?,
            digest: *digest,
        };
        Some(Self { kind, payload })
    }
}

/// Returns what stands in the place of a record's payload, if anything does.
pub(super) fn substitute(
    substitutes: &impl ReadableTable<u64, &'static [u8]>,
    revision: u64,
) -> Result<Option<Substitute>, LogError> {
    let Some(bytes) = substitutes.get(revision).map_err(LogError::from_redb)? else {
        return Ok(None);
    };
    let damaged = LogError::DamagedRecord {
        revision,
        fault: RecordFault::Substitute,
    };
    Substitute::decode(bytes.value()).map(Some).ok_or(damaged)
}

/// Returns the base record's revision; nothing if the log has all records from the first on.
pub(super) fn base_revision(
    substitutes: &impl ReadableTable<u64, &'static [u8]>,
) -> Result<Option<u64>, LogError> {
    let first = substitutes.first().map_err(LogError::from_redb)?;
    let Some(revision) = first.map(|(revision, _)| revision.value()) else {
        return Ok(None);
    };
    let found = substitute(substitutes, revision)?;
    Ok(found
        .filter(|found| found.kind == SubstituteKind::Base)
        .map(|_| revision))
}

/// Returns the last revision from whose record something was erased, after the base record; 0 if there is none.
pub(super) fn last_redacted(substitutes: &impl ReadableTable<u64, &'static [u8]>) -> Result<u64, LogError> {
    let last = substitutes.last().map_err(LogError::from_redb)?;
    let Some(revision) = last.map(|(revision, _)| revision.value()) else {
        return Ok(0);
    };
    let found = substitute(substitutes, revision)?;
    let is_redacted = found.is_some_and(|found| found.kind == SubstituteKind::Redacted);
    Ok(if is_redacted { revision } else { 0 })
}

/// Returns what is stored as a record's payload.
pub(super) fn stored_payload(header: &Header, substitute: Option<Substitute>) -> Payload {
    substitute.map_or_else(|| header.payload(), |substitute| substitute.payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_substitute_comes_back_as_it_was(numbers in any::<[u64; 6]>(), digest in any::<Digest>(), is_base in any::<bool>()) {
            let substitute = Substitute {
                kind: if is_base { SubstituteKind::Base } else { SubstituteKind::Redacted },
                payload: Payload {
                    counts: Counts {
                        graphs_dropped: numbers[0],
                        graphs_created: numbers[1],
                        quads_removed: numbers[2],
                        quads_inserted: numbers[3],
                    },
                    stored_bytes: numbers[4],
                    text_bytes: numbers[5],
                    digest,
                },
            };
            let bytes = substitute.encode();
            prop_assert_eq!(Substitute::decode(&bytes), Some(substitute));
            prop_assert_eq!(Substitute::decode(&bytes[1..]), None);
        }
    }
}
