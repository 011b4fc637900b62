//! What the log says of strangers, who can cause it as often as they like.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Says what strangers can cause at any rate once a second, and how many others there were.
#[derive(Debug)]
pub(super) struct Sparing {
    began: Instant,
    /// Milliseconds after it began when it may say something again.
    next_ms: AtomicU64,
    unsaid: AtomicU64,
}

impl Default for Sparing {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            next_ms: AtomicU64::new(0),
            unsaid: AtomicU64::new(0),
        }
    }
}

impl Sparing {
    /// Calls `say` with how many were not said since the last time, or counts one more.
    pub(super) fn say(&self, say: impl FnOnce(u64)) {
        let since = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (now, next) = (since(self.began.elapsed()), self.next_ms.load(Ordering::Relaxed));
        let mine = now >= next
            && self
                .next_ms
                .compare_exchange(
                    next,
                    now + since(LOG_INTERVAL),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok();
        if mine {
            say(self.unsaid.swap(0, Ordering::Relaxed));
        } else {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_counted() {
        let sparing = Sparing::default();
        let mut said = Vec::new();
        for _ in 0..100 {
            sparing.say(|others| said.push(others));
        }
        assert_eq!(said, [0]);
        sparing.next_ms.store(0, Ordering::Relaxed);
        sparing.say(|others| said.push(others));
        assert_eq!(said, [0, 99]);
    }
}
