//! Room for what is built beside the index: merges, compactions, and the index that an erasure makes anew.
//!
//! With the layers that only readers of earlier revisions have it takes at most as much as the index may; what has no room waits.

use std::time::Duration;

use super::View;
use crate::graph::Replaced;

/// How often it is looked whether there is room for what waits.
const INTERVAL: Duration = Duration::from_millis(200);
/// The part of the index's memory that readers may have of small layers while all the room is taken: somebody mostly has some.
const SLACK_PART: u64 = 16;

/// What takes memory beside the index.
pub(super) struct Room {
    /// Bytes that the index may take, and as many that may be taken beside it.
    bytes_max: u64,
    /// About the bytes of the merge that is under way; 0: none is.
    merging_bytes: u64,
    replaced: Vec<Replaced>,
    /// Whether something waits for room.
    is_wanted: bool,
}

impl Room {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            merging_bytes: 0,
            replaced: Vec::new(),
            is_wanted: false,
        }
    }

    /// Notes the layers that a newer view does not have.
    pub(super) fn replace(&mut self, older: &View, newer: &View) {
        self.replaced.extend(older.snapshot.replaced_by(&newer.snapshot));
    }

    pub(super) fn is_merging(&self) -> bool {
        self.merging_bytes > 0
    }

    pub(super) fn begin_merge(&mut self, bytes: u64) {
        self.merging_bytes = bytes.max(1);
    }

    pub(super) fn end_merge(&mut self) {
        self.merging_bytes = 0;
    }

    /// Forgets what nobody has any more, and who waited: whoever still does says so again.
    pub(super) fn look(&mut self) {
        self.replaced.retain(|layer| layer.memory_bytes() > 0);
        self.is_wanted = false;
    }

    /// Notes that something waits for room.
    pub(super) fn want(&mut self) {
        self.is_wanted = true;
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// Returns how long the writer may wait for a message.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.is_wanted.then_some(INTERVAL)
    }

    /// Tells whether there is room for so many bytes beside `others`. There is if there is next to nothing else.
    pub(super) fn has(&self, bytes: u64, others: u64) -> bool {
        let replaced: u64 = self.replaced.iter().map(Replaced::memory_bytes).sum();
        self.fits(bytes, replaced + self.merging_bytes + others)
    }

    fn fits(&self, bytes: u64, taken: u64) -> bool {
        taken <= self.bytes_max / SLACK_PART || taken.saturating_add(bytes) <= self.bytes_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_as_much_as_the_index_may_take_or_for_one_thing() {
        let room = Room::new(1_600);
        for (bytes, taken, has_room) in [
            (1_600, 0, true),
            (1_600, 100, true),
            (1_600, 101, false),
            (1_499, 101, true),
            (u64::MAX, 100, true),
            (u64::MAX, 101, false),
            (0, 1_601, false),
        ] {
            assert_eq!(room.fits(bytes, taken), has_room, "{bytes} beside {taken}");
        }
    }

    #[test]
    fn a_merge_takes_room_until_it_ends() {
        let mut room = Room::new(1_600);
        assert!(room.has(1_600, 0) && !room.has(1_600, 1_600));
        room.begin_merge(800);
        assert!(room.is_merging() && room.has(800, 0) && !room.has(801, 0));
        room.end_merge();
        assert!(!room.is_merging() && room.has(1_600, 0));
    }
}
