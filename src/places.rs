//! Places that are few: whoever is slow with one has less time once others were refused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes a second that a reader takes who is not slow.
const PACE_BYTES: u64 = 1 << 20;

/// So many places. Clones are the same ones.
#[derive(Clone, Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    count_max: usize,
    refused_count: Arc<AtomicU64>,
}

/// All places are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there are {count_max} already")]
pub struct Full {
    /// The limit.
    pub count_max: usize,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    /// Those who were refused before.
    refused_count: u64,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// Returns so many places, none of them taken.
    pub fn new(count_max: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count_max)),
            count_max,
            refused_count: Arc::default(),
        }
    }

    /// Takes a place.
    pub fn take(&self) -> Result<Place, Full> {
        let refused_count = self.refused_count.load(Ordering::Relaxed);
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(Place {
                places: self.clone(),
                refused_count,
                _permit: permit,
            });
        }
        self.refused_count.fetch_add(1, Ordering::Relaxed);
        Err(Full {
            count_max: self.count_max,
        })
    }
}

impl Place {
    /// Tells whether others were refused since it was taken.
    pub fn is_wanted(&self) -> bool {
        self.places.refused_count.load(Ordering::Relaxed) != self.refused_count
    }

    /// Returns how long its reader may let something lie that is `held_up` behind its pace: `stall_max` for each, but for all of them together
    /// once others were refused.
    pub fn stall_max(&self, stall_max: Duration, held_up: Duration) -> Duration {
        if self.is_wanted() {
            stall_max.saturating_sub(held_up)
        } else {
            stall_max
        }
    }
}

/// Returns how far behind its pace, 1 MiB a second, a reader is that was so before it took some bytes after a while.
pub fn held_up(before: Duration, waited: Duration, bytes: u64) -> Duration {
    let time = Duration::from_micros(bytes.saturating_mul(1_000_000) / PACE_BYTES);
    (before + waited).saturating_sub(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_that_keep_pace_are_not_held_up() {
        let mut behind = Duration::ZERO;
        for _ in 0..1_000 {
            behind = held_up(behind, Duration::from_millis(200), 256 << 10);
        }
        assert_eq!(behind, Duration::ZERO);
        for count in 1..=10 {
            behind = held_up(behind, Duration::from_millis(350), 256 << 10);
            assert_eq!(behind, count * Duration::from_millis(100));
        }
        assert_eq!(held_up(behind, Duration::ZERO, 1 << 20), Duration::ZERO);
    }

    #[test]
    fn a_slow_reader_has_less_time_once_others_were_refused() {
        let [some, rest, stall_max] = [4, 6, 10].map(Duration::from_secs);
        let places = Places::new(2);
        let taken = [places.take().unwrap(), places.take().unwrap()];
        for place in &taken {
            assert_eq!(place.stall_max(stall_max, some), stall_max);
        }
        assert_eq!(places.take().err(), Some(Full { count_max: 2 }));
        for place in &taken {
            assert_eq!(place.stall_max(stall_max, some), rest);
        }
        assert_eq!(taken[0].stall_max(stall_max, 2 * stall_max), Duration::ZERO);
        drop(taken);
        assert_eq!(places.take().unwrap().stall_max(stall_max, some), stall_max);
    }
}
