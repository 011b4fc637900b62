//! Which backups have what was erased from the log.

use super::{Backup, BackupError, Place, manifest::Manifest};
use crate::knowledge::{Mentioned, Mentions};

/// The backups of a place that have what was erased, or may have it; the oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Holding {
    /// Those whose records mention it.
    pub sure: Vec<Backup>,
    /// Those of whose records the log cannot tell any more.
    pub possible: Vec<Backup>,
}

/// Returns which backups of a place have what was erased: by what the log said of the revisions that they cover, so that none
/// has to be read.
///
/// Blocks.
pub fn holding(place: &Place, mentions: &Mentions) -> Result<Holding, BackupError> {
    let mut holding = Holding::default();
    for backup in Manifest::read(place)?.unwrap_or_default().backups {
        match mentions.within(backup.first_revision..=backup.head.revision) {
            Mentioned::Surely => holding.sure.push(backup),
            Mentioned::Possibly => holding.possible.push(backup),
            Mentioned::Nowhere => {}
        }
    }
    Ok(holding)
}
