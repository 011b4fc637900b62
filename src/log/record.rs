//! Headers of records, and how they are written.

use sha2::{Digest as _, Sha256};

use super::payload::Payload;

/// A SHA-256 hash.
pub type Digest = [u8; 32];

/// What the first record has as the hash of the record before it.
pub(super) const GENESIS: Digest = [0; 32];

/// The version of the header's layout, its first byte.
const VERSION: u8 = 1;

/// A client's name for a request, and what tells it from other requests of that name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestId {
    /// The name that the client gave, marked as its subject's own where callers are told apart ([`Self::of`]).
    pub id: String,
    /// A hash of all that the request asks for.
    pub fingerprint: Digest,
}

/// What an id of a subject's own begins with, before the hash of the subject.
const OWN_MARK: char = '\0';
/// Bytes of the hash of a subject in an id.
const SUBJECT_HASH_BYTES: usize = 16;

impl RequestId {
    /// Returns the request as one of its subject: what others name the same is another, and tells nothing of it. Where nobody is
    /// asked who they are, the subject is empty, and names are those of all.
    #[must_use]
    pub fn of(self, subject: &str) -> Self {
        if subject.is_empty() {
            return self;
        }
        let mut hash = [0; SUBJECT_HASH_BYTES];
        hash.copy_from_slice(&Sha256::digest(subject)[..SUBJECT_HASH_BYTES]);
        let mut fingerprint = Sha256::new_with_prefix(self.fingerprint);
        fingerprint.update(subject);
        Self {
            id: format!("{OWN_MARK}{:032x}{}", u128::from_be_bytes(hash), self.id),
            fingerprint: fingerprint.finalize().into(),
        }
    }

    /// Returns the name that the client gave, without the subject's mark.
    pub fn name(&self) -> &str {
        let own = self.id.strip_prefix(OWN_MARK);
        own.and_then(|own| own.get(2 * SUBJECT_HASH_BYTES..))
            .unwrap_or(&self.id)
    }
}

/// How much a record changes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Named graphs that no longer exist.
    pub graphs_dropped: u64,
    /// Named graphs that came to exist.
    pub graphs_created: u64,
    /// Quads that are no longer there.
    pub quads_removed: u64,
    /// Quads that came to be there.
    pub quads_inserted: u64,
}

/// A record without its payload: who changed how much, when and why, and the hashes that chain the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// The revision that the record makes; dense, from 1.
    pub revision: u64,
    /// Microseconds since 1970 (UTC); never less than the record's before.
    pub time_us: u64,
    /// Who made the change. May be empty.
    pub author: String,
    /// Why. May be empty.
    pub message: String,
    /// The request that made it, if it was named.
    pub request_id: Option<RequestId>,
    /// How much the payload changes.
    pub counts: Counts,
    /// Bytes of the payload as it is stored: salt and compressed text.
    pub payload_bytes: u64,
    /// Bytes of the payload's text.
    pub text_bytes: u64,
    /// The hash of the payload as it is stored. The salt keeps what was erased from being guessed.
    pub payload_digest: Digest,
    /// The hash of the header before, or zeros for the first.
    pub previous: Digest,
    /// The hash of this header, which the next one has as `previous`: it covers all records before. Not a part of the encoded header;
    /// of an answer to a request it says nothing.
    pub digest: Digest,
    /// Whether something was erased from the payload since: there is less in it than is said here. Not a part of the encoded
    /// header; [`super::LogReader`] fills it in.
    pub is_redacted: bool,
}

impl Header {
    /// Returns the answer to a request whose record is gone.
    pub(super) fn into_answer(self) -> Self {
        Self {
            author: String::new(),
            message: String::new(),
            ..self
        }
    }

    /// Returns the answer to a request that changed nothing, and so has no record, at a revision.
    pub(super) fn of_no_change(request: RequestId, revision: u64, time_us: u64) -> Self {
        Self {
            revision,
            time_us,
            author: String::new(),
            message: String::new(),
            request_id: Some(request),
            counts: Counts::default(),
            payload_bytes: 0,
            text_bytes: 0,
            payload_digest: GENESIS,
            previous: GENESIS,
            digest: GENESIS,
            is_redacted: false,
        }
    }

    /// Tells whether it is the answer to a request that changed nothing. A record has a payload, be it only salt.
    pub fn is_of_no_change(&self) -> bool {
        self.payload_bytes == 0
    }

    /// Returns what it says of its payload.
    pub(super) fn payload(&self) -> Payload {
        Payload {
            counts: self.counts,
            stored_bytes: self.payload_bytes,
            text_bytes: self.text_bytes,
            digest: self.payload_digest,
        }
    }

    /// Returns the bytes that are stored and hashed.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(192 + self.author.len() + self.message.len());
        bytes.push(VERSION);
        let counts = self.counts;
        for number in [
            self.revision,
            self.time_us,
            counts.graphs_dropped,
            counts.graphs_created,
            counts.quads_removed,
            counts.quads_inserted,
            self.payload_bytes,
            self.text_bytes,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.payload_digest);
        bytes.extend_from_slice(&self.previous);
        put_text(&mut bytes, &self.author);
        put_text(&mut bytes, &self.message);
        if let Some(request) = &self.request_id {
            put_text(&mut bytes, &request.id);
            bytes.extend_from_slice(&request.fingerprint);
        }
        bytes
    }

    /// Reads what [`Self::encode`] wrote, to the last byte; nothing if it is anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&version, mut rest) = bytes.split_first()?;
        if version != VERSION {
            return None;
        }
        let rest = &mut rest;
        let revision = take_number(rest)?;
        let time_us = take_number(rest)?;
        let counts = Counts {
            graphs_dropped: take_number(rest)?,
            graphs_created: take_number(rest)?,
            quads_removed: take_number(rest)?,
            quads_inserted: take_number(rest)?,
        };
        let payload_bytes = take_number(rest)?;
        let text_bytes = take_number(rest)?;
        let payload_digest = take(rest)?;
        let previous = take(rest)?;
        let author = take_text(rest)?;
        let message = take_text(rest)?;
        let request_id = if rest.is_empty() {
            None
        } else {
            Some(RequestId {
                id: take_text(rest)?,
                fingerprint: take(rest)?,
            })
        };
        rest.is_empty().then_some(Self {
            revision,
            time_us,
            author,
            message,
            request_id,
            counts,
            payload_bytes,
            text_bytes,
            payload_digest,
            previous,
            digest: digest(bytes),
            is_redacted: false,
        })
    }
}

/// Returns the hash that chains an encoded header to the next.
pub(super) fn digest(header: &[u8]) -> Digest {
    Sha256::digest(header).into()
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    take(rest).map(u64::from_le_bytes)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let len = usize::try_from(take_number(rest)?).ok()?;
    let (text, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers() -> impl Strategy<Value = Header> {
        let numbers = any::<[u64; 8]>();
        let digests = any::<(Digest, Digest)>();
        let request = proptest::option::of((".{0,20}", any::<Digest>()));
        (numbers, digests, ".{0,40}", ".{0,40}", request).prop_map(
            |(numbers, (payload_digest, previous), author, message, request)| {
                let [
                    revision,
                    time_us,
                    dropped,
                    created,
                    removed,
                    inserted,
                    payload_bytes,
                    text_bytes,
                ] = numbers;
                let header = Header {
                    revision,
                    time_us,
                    author,
                    message,
                    request_id: request.map(|(id, fingerprint)| RequestId { id, fingerprint }),
                    counts: Counts {
                        graphs_dropped: dropped,
                        graphs_created: created,
                        quads_removed: removed,
                        quads_inserted: inserted,
                    },
                    payload_bytes,
                    text_bytes,
                    payload_digest,
                    previous,
                    digest: GENESIS,
                    is_redacted: false,
                };
                Header {
                    digest: digest(&header.encode()),
                    ..header
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_header_comes_back_as_it_was(header in headers()) {
            let bytes = header.encode();
            prop_assert_eq!(Header::decode(&bytes), Some(header));
        }

        #[test]
        fn a_header_with_other_bytes_is_another_header(header in headers(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let bytes = header.encode();
            let mut flipped = bytes.clone();
            flipped[at.index(bytes.len())] ^= 1 << bit;
            prop_assert_ne!(Header::decode(&flipped), Some(header));
            prop_assert_ne!(digest(&flipped), digest(&bytes));
        }

        #[test]
        fn a_header_cut_short_or_with_more_is_refused(header in headers(), at in any::<prop::sample::Index>()) {
            let header = Header { request_id: None, ..header };
            let mut bytes = header.encode();
            prop_assert_eq!(Header::decode(&bytes[..at.index(bytes.len())]), None);
            bytes.push(0);
            prop_assert_eq!(Header::decode(&bytes), None);
        }
    }
}
