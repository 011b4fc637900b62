//! Resume tokens: which import it is, and how far it has come.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{knowledge::Mark, rdf::Position};

const VERSION: u8 = 2;
/// Version, salt, position, seal, mark, and a checksum over them.
const LENGTH: usize = 1 + 8 * 9;
/// Not a secret: it tells damage, and tokens of other kinds.
const SEED: u64 = 0x1149_0127;

/// What a token says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Token {
    /// What the labels of blank nodes are made of.
    pub(super) salt: u64,
    /// All before it is committed.
    pub(super) position: Position,
    /// A hash of what the header asks for.
    pub(super) seal: u64,
    /// The commit of the last piece: a log without it does not have what is before the position.
    pub(super) mark: Mark,
}

impl Token {
    pub(super) fn encode(self) -> String {
        let position = self.position;
        let numbers = [
            self.salt,
            position.bytes,
            position.lines,
            position.quads,
            position.hash,
            self.seal,
            self.mark.revision,
            self.mark.hash,
        ];
        let mut bytes = vec![VERSION];
        for number in numbers {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&xxh3_64_with_seed(&bytes, SEED).to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Returns what a token says; `None` if it is damaged, or none of ours.
    pub(super) fn decode(token: &str) -> Option<Self> {
        let bytes: [u8; LENGTH] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
        let (said, checksum) = bytes.split_at(LENGTH - 8);
        if bytes[0] != VERSION || checksum != xxh3_64_with_seed(said, SEED).to_be_bytes() {
            return None;
        }
        let mut numbers = said[1..].chunks_exact(8).map(|bytes| {
            let bytes: [u8; 8] = bytes.try_into().unwrap_or_default();
            u64::from_be_bytes(bytes)
        });
        let mut next = || numbers.next().unwrap_or_default();
        let token = Self {
            salt: next(),
            position: Position {
                bytes: next(),
                lines: next(),
                quads: next(),
                hash: next(),
            },
            seal: next(),
            mark: Mark {
                revision: next(),
                hash: next(),
            },
        };
        // No document is that long, and what comes next is added to these.
        let Position {
            bytes, lines, quads, ..
        } = token.position;
        let is_possible = [bytes, lines, quads]
            .iter()
            .all(|&number| i64::try_from(number).is_ok());
        is_possible.then_some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_and_damage_is_told() {
        let token = Token {
            salt: 1,
            position: Position {
                bytes: i64::MAX.unsigned_abs(),
                lines: 3,
                quads: 4,
                hash: 5,
            },
            seal: 6,
            mark: Mark { revision: 7, hash: 8 },
        };
        let text = token.encode();
        assert_eq!(Token::decode(&text), Some(token));
        for index in 0..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[index] = if damaged[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(Token::decode(&String::from_utf8(damaged).unwrap()), None);
        }
        assert_eq!(Token::decode(""), None);
        let position = Position {
            bytes: i64::MAX.unsigned_abs() + 1,
            ..token.position
        };
        assert_eq!(Token::decode(&Token { position, ..token }.encode()), None);
    }
}
