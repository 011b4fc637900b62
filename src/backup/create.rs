//! Making a backup of a knowledge base that goes on.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{
    Backup, BackupError, Place, Progress, Watch,
    graph_hash::GraphHash,
    manifest::{Manifest, RECORDS, hex},
    records::Writer,
};
use crate::{
    knowledge::{KnowledgeBase, View},
    log::{Chain, Head, Records},
    model::access::Access,
};

/// Records after which it is told how far it is.
const RECORDS_PER_LOOK: u64 = 256;

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The revision that the place covers now.
    pub revision: u64,
    /// The new backup; nothing if nothing was committed since the one before.
    pub backup: Option<Backup>,
}

/// Copies the records since the last backup of a place, up to the revision that is the newest now.
///
/// Blocks. The manifest is written last: a backup that is cut off, anywhere, leaves those before it as they were.
pub fn create(knowledge: &KnowledgeBase, place: &Place, watch: &mut Watch<'_>) -> Result<Made, BackupError> {
    let made_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut manifest = Manifest::read(place)?.unwrap_or_default();
    let (view, records) = consistent(knowledge)?;
    let before = manifest.backups.last();
    let (mut chain, first_revision) = match before {
        Some(before) => {
            check_history(&records, before.head, view.revision)?;
            (Chain::after(before.head), before.head.revision + 1)
        }
        // The base record stands for those before it.
        None => (Chain::default(), records.earliest().max(1)),
    };
    if first_revision > view.revision {
        return Ok(Made {
            revision: view.revision,
            backup: None,
        });
    }
    remove_left_over(place, &manifest)?;
    let mut graph = before.and_then(Backup::graph);
    let mut quad_count = before.map_or(0, |before| before.quad_count);
    let mut writer = Writer::new(place, first_revision, view.revision);
    for revision in first_revision..=view.revision {
        let record = records.stored(revision)?;
        let followed = match &mut graph {
            Some(graph) => {
                let mut each = |change| graph.change(&change);
                writer.record(record, &mut chain, Some(&mut each))?
            }
            None => writer.record(record, &mut chain, None)?,
        };
        let counts = followed.counts();
        quad_count = (quad_count + counts.quads_inserted).saturating_sub(counts.quads_removed);
        if revision % RECORDS_PER_LOOK == 0 || revision == view.revision {
            let progress = Progress {
                revision,
                first_revision,
                last_revision: view.revision,
            };
            if !watch(progress) {
                return Err(BackupError::Over);
            }
        }
    }
    if quad_count != view.snapshot.quad_count() {
        return Err(BackupError::Erased {
            revision: view.revision,
        });
    }
    let files = writer.finish()?;
    let mut go_on = || {
        watch(Progress {
            revision: view.revision,
            first_revision,
            last_revision: view.revision,
        })
    };
    let graph = match graph {
        Some(graph) => graph,
        None => GraphHash::of(&view.snapshot, &mut go_on).ok_or(BackupError::Over)?,
    };
    let backup = Backup {
        made_at_us: u64::try_from(made_at.as_micros()).unwrap_or(u64::MAX),
        first_revision,
        head: chain.head(),
        quad_count: graph.quad_count,
        named_graph_count: graph.named_graph_count,
        graph_hash: graph.to_hex(),
        files,
    };
    if manifest.backups.is_empty() {
        manifest.log = hex(&records.digest(first_revision)?);
    }
    manifest.backups.push(backup.clone());
    manifest.write(place)?;
    Ok(Made {
        revision: view.revision,
        backup: Some(backup),
    })
}

/// Returns a view, and the records that make it: nothing was erased between the one and the other.
fn consistent(knowledge: &KnowledgeBase) -> Result<(View, Records), BackupError> {
    loop {
        let erasure_count = knowledge.log().erasure_count();
        let read = (knowledge.read(&Access::everything()), knowledge.log().records()?);
        if knowledge.log().erasure_count() == erasure_count {
            return Ok(read);
        }
    }
}

/// Looks whether the log goes on where a backup ended.
fn check_history(records: &Records, before: Head, newest: u64) -> Result<(), BackupError> {
    let is_other = before.revision > newest || records.digest(before.revision)? != before.digest;
    if is_other {
        return Err(BackupError::OtherHistory {
            revision: before.revision,
        });
    }
    Ok(())
}

/// Removes what a backup that was cut off has left.
fn remove_left_over(place: &Place, manifest: &Manifest) -> Result<(), BackupError> {
    let files = manifest.backups.iter().flat_map(|backup| &backup.files);
    let named: std::collections::HashSet<_> = files.map(|file| file.name.as_str()).collect();
    for name in place.list(RECORDS)? {
        if !named.contains(name.as_str()) {
            place.remove(&name)?;
        }
    }
    Ok(())
}
