//! Which backups have what was erased from the log.

use super::{Backup, BackupError, Place, create::left_over, manifest::Manifest};
use crate::knowledge::{Mentioned, Mentions};

/// The backups of a place that have what was erased, or may have it; the oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Holding {
    /// Those whose records mention it.
    pub sure: Vec<Backup>,
    /// Those of whose records the log cannot tell any more.
    pub possible: Vec<Backup>,
    /// Files that no backup has: one that was cut off has left them, or is being made. They may have it too.
    pub left_over: Vec<String>,
}

/// Returns which backups of a place have what was erased: by what the log said of the revisions that they cover, so that none
/// has to be read.
///
/// Blocks.
pub fn holding(place: &Place, mentions: &Mentions) -> Result<Holding, BackupError> {
    let manifest = {
        // One whose records were read before the erasure is there by now, or will not be.
        let _held = place.hold_manifest();
        Manifest::read(place)?.unwrap_or_default()
    };
    let mut holding = Holding {
        left_over: left_over(place, &manifest)?,
        ..Holding::default()
    };
    for backup in manifest.backups {
        match mentions.within(backup.first_revision..=backup.head.revision) {
            Mentioned::Surely => holding.sure.push(backup),
            Mentioned::Possibly => holding.possible.push(backup),
            Mentioned::Nowhere => {}
        }
    }
    Ok(holding)
}
