//! Records as watchers share them.

use std::sync::Arc;

use crate::log::{Change, Header, LogError, LogReader};

/// Text up to this size is decoded whole and shared; more of it, each watcher reads in fragments.
pub(super) const WHOLE_TEXT_BYTES_MAX: u64 = 512 << 10;
/// Records that are read at once, and about the bytes of their text.
const RUN_RECORD_COUNT_MAX: usize = 256;
const RUN_TEXT_BYTES_MAX: u64 = 512 << 10;
/// What a decoded change takes beside its text, about.
const CHANGE_BYTES: u64 = 300;

/// One commit of the log.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) header: Header,
    /// What it changes; nothing if that is to be read in fragments.
    pub(super) changes: Option<Vec<Change>>,
}

impl Record {
    /// Returns the bytes that it takes in memory, about.
    pub(super) fn memory_bytes(&self) -> u64 {
        let changes = self.changes.as_ref().map_or(0, Vec::len) as u64;
        let text_bytes = if changes == 0 { 0 } else { self.header.text_bytes };
        2 * text_bytes + CHANGE_BYTES * (changes + 1)
    }
}

/// Reads records from one revision to another, or as many as are read at once.
pub(super) fn read_run(log: &LogReader, from: u64, to: u64) -> Result<Vec<Arc<Record>>, LogError> {
    let mut run = Vec::new();
    let mut text_bytes = 0;
    let records = log.records()?;
    for revision in from..=to {
        let (header, changes) = records.get(revision)?;
        let is_whole = header.text_bytes <= WHOLE_TEXT_BYTES_MAX;
        if is_whole {
            text_bytes += header.text_bytes;
        }
        let changes = if is_whole {
            Some(changes.collect::<Result<_, _>>()?)
        } else {
            None
        };
        run.push(Arc::new(Record { header, changes }));
        if run.len() == RUN_RECORD_COUNT_MAX || text_bytes >= RUN_TEXT_BYTES_MAX {
            break;
        }
    }
    Ok(run)
}
