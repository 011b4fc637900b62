//! Looking whether backups are whole.

use super::{
    Backup, BackupError, Place, Progress, Watch,
    graph_hash::GraphHash,
    manifest::{Manifest, hex},
    records::{Reader, from_copy, read_file},
};
use crate::log::{Chain, PayloadReader};

/// What was found.
#[derive(Debug, Default)]
pub struct Verified {
    /// The backups of the place.
    pub backups: Vec<Backup>,
    /// Records that were read.
    pub record_count: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// What is not as it was written.
    pub faults: Vec<Fault>,
}

/// A file that is not as it was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Its name within the place.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

/// Returns the backups of a place; [`BackupError::None`] if there are none.
pub fn list(place: &Place) -> Result<Vec<Backup>, BackupError> {
    let manifest = Manifest::read(place)?.ok_or(BackupError::None)?;
    Ok(manifest.backups)
}

/// Reads all backups of a place: the hash of each file, the chain of the records, their payloads, and the graph that they
/// make, by its count and its hash at the end of each backup.
///
/// Blocks. All damaged files are told; what follows from the records only if every file is sound.
pub fn verify(place: &Place, watch: &mut Watch<'_>) -> Result<Verified, BackupError> {
    let mut verified = Verified::default();
    let manifest = match Manifest::read(place) {
        Ok(manifest) => manifest.ok_or(BackupError::None)?,
        Err(BackupError::Damaged { file, what }) => {
            verified.faults.push(Fault { file, what });
            return Ok(verified);
        }
        Err(error) => return Err(error),
    };
    let mut replay = Replay {
        place,
        log: &manifest.log,
        chain: Chain::default(),
        graph: GraphHash::default(),
        record_count: 0,
    };
    let first_revision = manifest.backups.first().map_or(1, |backup| backup.first_revision);
    let last_revision = manifest.backups.last().map_or(0, |backup| backup.head.revision);
    for backup in &manifest.backups {
        let outcome = if verified.faults.is_empty() {
            replay.backup(backup, &mut |revision| {
                watch(Progress {
                    revision,
                    first_revision,
                    last_revision,
                })
            })
        } else {
            Ok(())
        };
        match outcome {
            Ok(()) => {}
            Err(BackupError::Damaged { file, what }) => verified.faults.push(Fault { file, what }),
            Err(error) => return Err(error),
        }
        // What comes after a fault cannot be followed, but its files can be looked at.
        if !verified.faults.is_empty() {
            for file in &backup.files {
                if let Err(BackupError::Damaged { file, what }) = read_file(place, file) {
                    let fault = Fault { file, what };
                    if !verified.faults.contains(&fault) {
                        verified.faults.push(fault);
                    }
                }
            }
        }
        verified.bytes += backup.bytes();
    }
    verified.record_count = replay.record_count;
    verified.backups = manifest.backups;
    Ok(verified)
}

/// Follows the records through all backups.
struct Replay<'a> {
    place: &'a Place,
    log: &'a str,
    chain: Chain,
    graph: GraphHash,
    record_count: u64,
}

impl Replay<'_> {
    fn backup(&mut self, backup: &Backup, each: &mut dyn FnMut(u64) -> bool) -> Result<(), BackupError> {
        let mut reader = Reader::new(self.place, backup);
        while let Some(stored) = reader.record()? {
            let is_first = self.chain.head().revision == 0;
            let record = self.chain.follow(&stored.header, stored.substitute.as_deref());
            let record = record.map_err(|error| reader.fault(error.into()))?;
            if is_first && hex(&self.chain.head().digest) != self.log {
                return Err(damaged(backup, "its first record is of another log"));
            }
            let graph = &mut self.graph;
            let mut payload = PayloadReader::new(&record, &mut reader);
            let read = payload
                .changes(&record, &mut |change| graph.change(&change))
                .and_then(|()| payload.finish(&record));
            read.map_err(|error| reader.fault(from_copy(error)))?;
            self.record_count += 1;
            if !each(record.header.revision) {
                return Err(BackupError::Over);
            }
        }
        if self.chain.head() != backup.head {
            return Err(damaged(
                backup,
                "its last record is not the one that the manifest says",
            ));
        }
        let graph = &self.graph;
        if (graph.quad_count, graph.named_graph_count) != (backup.quad_count, backup.named_graph_count) {
            return Err(damaged(
                backup,
                &format!(
                    "its records make a graph of {} quads and {} named graphs, and the manifest says {} and {}",
                    graph.quad_count, graph.named_graph_count, backup.quad_count, backup.named_graph_count
                ),
            ));
        }
        if graph.to_hex() != backup.graph_hash {
            return Err(damaged(
                backup,
                "its records make another graph than was backed up",
            ));
        }
        Ok(())
    }
}

/// What is wrong with a backup as a whole is told of its last file.
fn damaged(backup: &Backup, what: &str) -> BackupError {
    BackupError::Damaged {
        file: backup
            .files
            .last()
            .map(|file| file.name.clone())
            .unwrap_or_default(),
        what: what.to_owned(),
    }
}
