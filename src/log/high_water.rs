//! The high-water file: how far the log was known to reach, kept outside it.
//!
//! Two slots are written in turn and in place, so that a torn write leaves the other one and a full disk cannot stop it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use xxhash_rust::xxh3::xxh3_64;

use super::record::{Digest, GENESIS};

const MAGIC: &[u8; 8] = b"dossierM";
/// Far enough apart that no disk writes both at once.
const SLOT_BYTES: u64 = 4096;
const MARK_BYTES: usize = 56;

/// A revision and the hash of its header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Mark {
    pub(super) revision: u64,
    pub(super) digest: Digest,
}

/// What the file says when it is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// There was no file; there is one now.
    Nothing,
    /// The highest mark of the file.
    Mark(Mark),
    /// Neither slot can be read.
    Damage,
}

#[derive(Debug)]
pub(super) struct HighWater {
    file: File,
    next_slot: u64,
}

impl HighWater {
    /// Opens the file, or makes one that says revision 0.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Found)> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // Zeros alone: a first start that ended before its first mark.
        if bytes.iter().all(|byte| *byte == 0) {
            file.set_len(2 * SLOT_BYTES)?;
            let mut this = Self { file, next_slot: 0 };
            // Both slots, so that the disk has room for both from now on.
            this.write(Mark {
                revision: 0,
                digest: GENESIS,
            })?;
            this.write(Mark {
                revision: 0,
                digest: GENESIS,
            })?;
            this.file.sync_all()?;
            return Ok((this, Found::Nothing));
        }
        let (first, second) = bytes.split_at(bytes.len().min(4096));
        let (first, second) = (decode(first), decode(second));
        let newer_is_first = first.map(|mark| mark.revision) >= second.map(|mark| mark.revision);
        let newest = if newer_is_first { first } else { second };
        let this = Self {
            file,
            next_slot: u64::from(newer_is_first),
        };
        Ok((this, newest.map_or(Found::Damage, Found::Mark)))
    }

    /// Writes a mark over the older one, durably.
    pub(super) fn write(&mut self, mark: Mark) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.next_slot * SLOT_BYTES))?;
        self.file.write_all(&encode(mark))?;
        self.file.sync_data()?;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }
}

fn encode(mark: Mark) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&mark.revision.to_le_bytes());
    bytes[16..48].copy_from_slice(&mark.digest);
    let checksum = xxh3_64(&bytes[..48]);
    bytes[48..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode(slot: &[u8]) -> Option<Mark> {
    let (bytes, _) = slot.split_first_chunk::<MARK_BYTES>()?;
    let revision = u64::from_le_bytes(bytes[8..16].try_into().ok()?);
    let mark = Mark {
        revision,
        digest: bytes[16..48].try_into().ok()?,
    };
    (encode(mark) == *bytes).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(revision: u64) -> Mark {
        Mark {
            revision,
            digest: [u8::try_from(revision).unwrap(); 32],
        }
    }

    #[test]
    fn a_first_start_that_was_cut_short_is_begun_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        std::fs::write(&path, [0; 100]).unwrap();
        assert_eq!(HighWater::open(&path).unwrap().1, Found::Nothing);
        assert!(matches!(
            HighWater::open(&path).unwrap().1,
            Found::Mark(Mark { revision: 0, .. })
        ));
    }

    #[test]
    fn the_highest_mark_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        assert_eq!(HighWater::open(&path).unwrap().1, Found::Nothing);
        for revision in 1..=5 {
            let (mut file, found) = HighWater::open(&path).unwrap();
            let before = Mark {
                revision: revision - 1,
                digest: mark(revision - 1).digest,
            };
            assert_eq!(found, Found::Mark(before));
            file.write(mark(revision)).unwrap();
        }
    }

    #[test]
    fn a_torn_write_leaves_the_mark_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        let (mut file, _) = HighWater::open(&path).unwrap();
        file.write(mark(1)).unwrap();
        file.write(mark(2)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let newest = bytes.chunks(4096).position(|slot| slot[8] == 2).unwrap();
        bytes[newest * 4096 + 20] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(HighWater::open(&path).unwrap().1, Found::Mark(mark(1)));
        bytes[(1 - newest) * 4096 + 50] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(HighWater::open(&path).unwrap().1, Found::Damage);
    }
}
