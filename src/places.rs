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
    /// How far its reader is behind its pace.
    behind: Duration,
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
                behind: Duration::ZERO,
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

    /// Notes that its reader took some bytes after a while: its pace is 1 MiB a second.
    pub fn took(&mut self, waited: Duration, bytes: u64) {
        let time = Duration::from_micros(bytes.saturating_mul(1_000_000) / PACE_BYTES);
        self.behind = (self.behind + waited).saturating_sub(time);
    }

    /// Returns how long its reader may let something lie: `stall_max`, less how far it is behind its pace once others were refused.
    pub fn stall_max(&self, stall_max: Duration) -> Duration {
        if self.is_wanted() {
            stall_max.saturating_sub(self.behind)
        } else {
            stall_max
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_that_keep_pace_are_not_behind() {
        let mut place = Places::new(1).take().unwrap();
        for _ in 0..1_000 {
            place.took(Duration::from_millis(200), 256 << 10);
        }
        assert_eq!(place.behind, Duration::ZERO);
        for count in 1..=10 {
            place.took(Duration::from_millis(350), 256 << 10);
            assert_eq!(place.behind, count * Duration::from_millis(100));
        }
        place.took(Duration::ZERO, 1 << 20);
        assert_eq!(place.behind, Duration::ZERO);
    }

    #[test]
    fn a_slow_reader_has_less_time_once_others_were_refused() {
        let [some, rest, stall_max] = [4, 6, 10].map(Duration::from_secs);
        let places = Places::new(2);
        let take = || {
            let mut place = places.take()?;
            place.took(some, 0);
            Ok(place)
        };
        let mut taken = [take().unwrap(), take().unwrap()];
        for place in &taken {
            assert_eq!(place.stall_max(stall_max), stall_max);
        }
        assert_eq!(places.take().err(), Some(Full { count_max: 2 }));
        for place in &taken {
            assert_eq!(place.stall_max(stall_max), rest);
        }
        taken[0].took(stall_max + rest, 0);
        assert_eq!(taken[0].stall_max(stall_max), Duration::ZERO);
        drop(taken);
        let place: Result<Place, Full> = take();
        assert_eq!(place.unwrap().stall_max(stall_max), stall_max);
    }
}
