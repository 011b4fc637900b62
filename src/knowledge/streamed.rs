//! Views that are sent to readers, some of whom are slow.
//!
//! What slow ones hold beside the newest view has a limit, which they share; without room for what the writer builds they hold
//! nothing. Those that began first give way.

use std::{
    cmp::Reverse,
    sync::{Arc, PoisonError, Weak},
};

use super::{KnowledgeBase, View};
use crate::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

/// A view on its way to a reader.
pub struct Streamed {
    knowledge: KnowledgeBase,
    held: Arc<Held>,
    is_slow: bool,
}

struct Held {
    view: View,
    gives_way: AtomicBool,
}

/// Views of those who were slow.
pub(super) struct SlowReaders {
    /// Bytes that they take beside the newest view, all together.
    bytes_max: u64,
    held: Mutex<Vec<Weak<Held>>>,
}

impl KnowledgeBase {
    /// Begins to send a view to a reader.
    pub fn stream(&self, view: View) -> Streamed {
        let gives_way = AtomicBool::new(false);
        Streamed {
            knowledge: self.clone(),
            held: Arc::new(Held { view, gives_way }),
            is_slow: false,
        }
    }
}

impl Streamed {
    /// Returns the view.
    pub fn view(&self) -> &View {
        &self.held.view
    }

    /// Says that its reader is slow: from now on it may have to give way. Tells whether it has to now.
    pub fn lingers(&mut self) -> bool {
        let inner = &self.knowledge.inner;
        if !std::mem::replace(&mut self.is_slow, true) {
            inner.slow.lock().push(Arc::downgrade(&self.held));
        }
        let newest = inner.shared.view.load().whole();
        let has_room = !inner.shared.room_is_wanted.load(Ordering::Relaxed);
        inner.slow.limit(&newest, has_room);
        self.gives_way()
    }

    /// Tells whether it has to give way: what slow readers hold took too much, and it began before others.
    pub fn gives_way(&self) -> bool {
        self.held.gives_way.load(Ordering::Relaxed)
    }
}

impl SlowReaders {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            held: Mutex::default(),
        }
    }

    /// Has those give way that began first, as long as all take more beside the newest view than they may.
    fn limit(&self, newest: &View, has_room: bool) {
        let mut held = self.lock();
        let mut all: Vec<_> = held.iter().filter_map(Weak::upgrade).collect();
        all.retain(|held| !held.gives_way.load(Ordering::Relaxed));
        all.sort_by_key(|held| Reverse(held.view.revision));
        let bytes_max = if has_room { self.bytes_max } else { 0 };
        let snapshots = all.iter().map(|held| &held.view.snapshot);
        let fitting_count = newest.snapshot.fitting_count(snapshots, bytes_max);
        for gone in all.drain(fitting_count..) {
            gone.gives_way.store(true, Ordering::Relaxed);
        }
        *held = all.iter().map(Arc::downgrade).collect();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Held>>> {
        // What is in it is whole at any time.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
