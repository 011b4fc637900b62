//! The newest records, decoded once for all watchers that are up to date.

use std::{collections::VecDeque, sync::Arc};

use super::record::Record;

/// Bytes of the records that are kept, about. Two or three records where schedules are tested, so that watchers fall behind.
const RING_BYTES_MAX: u64 = if cfg!(feature = "schedules") {
    2 << 10
} else {
    32 << 20
};
/// Records that a watcher takes at once: it holds no more while it is slow.
const RUN_RECORD_COUNT_MAX: usize = 64;
const RUN_BYTES_MAX: u64 = 512 << 10;

/// Consecutive records, the last of which is before `next`.
#[derive(Debug)]
pub(super) struct Ring {
    records: VecDeque<Arc<Record>>,
    bytes: u64,
    next: u64,
    /// How often something had been erased from the log when the first one was read.
    erasure_count: u64,
}

impl Ring {
    /// Returns an empty ring that goes on at a revision.
    pub(super) fn new(next: u64) -> Self {
        Self {
            records: VecDeque::new(),
            bytes: 0,
            next,
            erasure_count: 0,
        }
    }

    /// Forgets its records if something was erased since they were read; they may have it still.
    pub(super) fn forget_erased(&mut self, erasure_count: u64) {
        if self.erasure_count != erasure_count {
            *self = Self {
                erasure_count,
                ..Self::new(self.next)
            };
        }
    }

    /// Returns how often something had been erased when its records were read.
    pub(super) fn erasure_count(&self) -> u64 {
        self.erasure_count
    }

    /// Returns the revision after its last one.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Returns some records from a revision on, if it is there.
    pub(super) fn run(&self, from: u64) -> Option<Vec<Arc<Record>>> {
        let back = usize::try_from(self.next.checked_sub(from)?).ok()?;
        let at = self.records.len().checked_sub(back)?;
        let mut bytes = 0;
        let run: Vec<_> = self
            .records
            .range(at..)
            .take(RUN_RECORD_COUNT_MAX)
            .take_while(|record| {
                let fits = bytes < RUN_BYTES_MAX;
                bytes += record.memory_bytes();
                fits
            })
            .cloned()
            .collect();
        (!run.is_empty()).then_some(run)
    }

    /// Puts records behind its last one; if some are missing in between, it begins anew with them. Keeps the newest.
    pub(super) fn extend(&mut self, from: u64, run: &[Arc<Record>]) {
        if from != self.next {
            *self = Self {
                erasure_count: self.erasure_count,
                ..Self::new(from)
            };
        }
        for record in run {
            self.bytes += record.memory_bytes();
            self.records.push_back(Arc::clone(record));
            self.next += 1;
        }
        while self.bytes > RING_BYTES_MAX
            && let Some(record) = self.records.pop_front()
        {
            self.bytes -= record.memory_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Counts, Header};

    fn record(revision: u64, text_bytes: u64) -> Arc<Record> {
        Arc::new(Record {
            header: Header {
                revision,
                time_us: 0,
                author: String::new(),
                message: String::new(),
                request_id: None,
                counts: Counts::default(),
                payload_bytes: 0,
                text_bytes,
                payload_digest: [0; 32],
                previous: [0; 32],
                digest: [0; 32],
                is_redacted: false,
            },
            changes: Some(vec![crate::log::Change::DropGraph(
                oxigraph::model::BlankNode::new_unchecked("b").into(),
            )]),
        })
    }

    fn revisions(run: Option<Vec<Arc<Record>>>) -> Option<Vec<u64>> {
        run.map(|run| run.iter().map(|record| record.header.revision).collect())
    }

    #[test]
    fn the_newest_are_kept_without_gaps_and_within_the_bytes() {
        let mut ring = Ring::new(5);
        assert_eq!(revisions(ring.run(5)), None);
        ring.extend(5, &[record(5, 1), record(6, 1)]);
        assert_eq!(revisions(ring.run(5)), Some(vec![5, 6]));
        assert_eq!(revisions(ring.run(6)), Some(vec![6]));
        assert_eq!(revisions(ring.run(4)), None);
        assert_eq!(revisions(ring.run(7)), None);
        assert_eq!(ring.next(), 7);
        // Two were not read: the ring is of those that follow.
        ring.extend(9, &[record(9, 1)]);
        assert_eq!(revisions(ring.run(6)), None);
        assert_eq!(revisions(ring.run(9)), Some(vec![9]));
        for revision in 10..200 {
            ring.extend(revision, &[record(revision, 256 << 10)]);
            assert!(ring.bytes <= RING_BYTES_MAX);
        }
        assert!(ring.records.len() > 50);
        assert_eq!(ring.next(), 200);
        let run = revisions(ring.run(190)).unwrap();
        assert!(run.len() < 3, "{run:?}");
    }
}
