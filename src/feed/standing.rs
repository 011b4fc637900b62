//! Where watchers stand: how far behind the slowest one is.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

use crate::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

/// The revisions at which watchers stand.
#[derive(Debug, Default)]
pub(super) struct Standings(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    next_id: u64,
    revisions: HashMap<u64, Arc<AtomicU64>>,
}

impl Standings {
    /// Begins to know of a watcher, until the value is dropped.
    pub(super) fn begin(self: &Arc<Self>, revision: u64) -> Standing {
        let place = Arc::new(AtomicU64::new(revision));
        let mut known = self.known();
        let id = known.next_id;
        known.next_id += 1;
        known.revisions.insert(id, Arc::clone(&place));
        Standing {
            standings: Arc::clone(self),
            id,
            revision: place,
        }
    }

    /// Returns where the slowest watcher stands.
    pub(super) fn slowest(&self) -> Option<u64> {
        let known = self.known();
        let revisions = known.revisions.values();
        revisions.map(|revision| revision.load(Ordering::Relaxed)).min()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // What is in it is whole at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where one watcher stands.
#[derive(Debug)]
pub(super) struct Standing {
    standings: Arc<Standings>,
    id: u64,
    revision: Arc<AtomicU64>,
}

impl Standing {
    /// Says that all up to a revision was taken, or is not wanted.
    pub(super) fn set(&self, revision: u64) {
        self.revision.store(revision, Ordering::Relaxed);
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.standings.known().revisions.remove(&self.id);
    }
}
