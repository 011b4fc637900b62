//! Page tokens: where a page ended, sealed with what it was a page of.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use xxhash_rust::xxh3::xxh3_64;

use crate::facts::{Cursor, Part};

const VERSION: u8 = 2;
const SUPPORTED: u8 = 1;
/// The parts of a list, by their numbers in the bits above.
const PARTS: [Part; 4] = [Part::Triples, Part::Nodes, Part::StatedNodes, Part::Statements];
/// Version and flags, four identifiers, and a checksum over them, the epoch and the filter.
const LENGTH: usize = 2 + 4 * 4 + 8;
/// Version, revision and checksum.
const REVISION_LENGTH: usize = 1 + 8 + 8;

/// Returns the token of a page of a filter (its hash) that ended at a cursor.
pub(super) fn encode(cursor: Cursor, epoch: u64, filter: u64) -> String {
    let mut bytes = [0; LENGTH];
    bytes[0] = VERSION;
    bytes[1] = u8::from(cursor.is_supported) * SUPPORTED + ((cursor.part as u8) << 1);
    let [subject, predicate, object] = cursor.triple;
    let numbers = [subject, predicate, object, cursor.statement];
    for (place, number) in bytes[2..18].chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    let checksum = checksum(&bytes[..18], epoch, filter);
    bytes[18..].copy_from_slice(&checksum);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns where the page of a token ended; `None` if the token is damaged or of another epoch or filter.
pub(super) fn decode(token: &str, epoch: u64, filter: u64) -> Option<Cursor> {
    let bytes: [u8; LENGTH] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
    if bytes[0] != VERSION || bytes[18..] != checksum(&bytes[..18], epoch, filter) {
        return None;
    }
    let mut numbers = [0; 4];
    for (number, place) in numbers.iter_mut().zip(bytes[2..18].chunks_exact(4)) {
        *number = u32::from_be_bytes(place.try_into().ok()?);
    }
    let [subject, predicate, object, statement] = numbers;
    Some(Cursor {
        triple: [subject, predicate, object],
        statement,
        is_supported: bytes[1] & SUPPORTED != 0,
        part: *PARTS.get(usize::from(bytes[1] >> 1))?,
    })
}

/// Returns the token of a page of a listing of commits (its hash) that ended at a revision.
pub(super) fn encode_revision(revision: u64, filter: u64) -> String {
    let mut bytes = [0; REVISION_LENGTH];
    bytes[0] = VERSION;
    bytes[1..9].copy_from_slice(&revision.to_be_bytes());
    // Revisions mean the same after a restart.
    let checksum = checksum(&bytes[..9], 0, filter);
    bytes[9..].copy_from_slice(&checksum);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns where the page of a token ended; `None` if the token is damaged or of another listing.
pub(super) fn decode_revision(token: &str, filter: u64) -> Option<u64> {
    let bytes: [u8; REVISION_LENGTH] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
    if bytes[0] != VERSION || bytes[9..] != checksum(&bytes[..9], 0, filter) {
        return None;
    }
    Some(u64::from_be_bytes(bytes[1..9].try_into().ok()?))
}

/// Returns the hash of a filter: of everything in the request that decides what is on the pages.
pub(super) fn filter(kind: &str, parts: &[&str]) -> u64 {
    let mut text = kind.to_owned();
    for part in parts {
        text.push('\0');
        text.push_str(part);
    }
    xxh3_64(text.as_bytes())
}

fn checksum(bytes: &[u8], epoch: u64, filter: u64) -> [u8; 8] {
    let mut sealed = bytes.to_vec();
    sealed.extend(epoch.to_be_bytes());
    sealed.extend(filter.to_be_bytes());
    xxh3_64(&sealed).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURSOR: Cursor = Cursor {
        triple: [1, 2, u32::MAX],
        statement: 4,
        is_supported: true,
        part: Part::Triples,
    };

    #[test]
    fn tokens_say_where_the_page_ended() {
        assert_eq!(decode(&encode(CURSOR, 7, 8), 7, 8), Some(CURSOR));
        for part in PARTS {
            let other = Cursor {
                is_supported: false,
                part,
                ..CURSOR
            };
            assert_eq!(decode(&encode(other, 7, 8), 7, 8), Some(other));
        }
    }

    #[test]
    fn alien_and_damaged_tokens_are_refused() {
        let token = encode(CURSOR, 7, 8);
        assert_eq!(decode(&token, 6, 8), None);
        assert_eq!(decode(&token, 7, 9), None);
        assert_eq!(decode("", 7, 8), None);
        assert_eq!(decode(&token[1..], 7, 8), None);
        for index in 0..token.len() {
            let mut damaged = token.clone().into_bytes();
            damaged[index] = if damaged[index] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).unwrap();
            // The last character has bits that say nothing; strict decoding refuses them too.
            assert!(damaged == token || decode(&damaged, 7, 8).is_none(), "{index}");
        }
    }

    #[test]
    fn tokens_of_revisions_are_of_their_listing() {
        let token = encode_revision(7, 8);
        assert_eq!(decode_revision(&token, 8), Some(7));
        assert_eq!(decode_revision(&token, 9), None);
        assert_eq!(decode_revision(&token[1..], 8), None);
        assert_eq!(decode_revision(&encode(CURSOR, 0, 8), 8), None);
    }

    #[test]
    fn filters_differ_by_each_part() {
        assert_ne!(filter("facts", &["a", ""]), filter("facts", &["", "a"]));
        assert_ne!(filter("facts", &["a"]), filter("entity", &["a"]));
    }
}
