//! What requests may take on their way in: each caller has a time for each 16 KiB, so that who lets bytes trickle keeps nothing
//! open, and all together take so much memory.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// What must come within the time, unless it is the rest.
pub const BYTES_MIN: u64 = 16 << 10;

/// What a request may have without taking of the memory of all: most are smaller.
const FREE_BYTES: u64 = 64 << 10;
/// What a caller hears for whom no memory is left.
pub const FULL: &str = "requests that are being received take as much memory as they may";

tokio::task_local! {
    static HELD: RefCell<Held>;
}

/// Takes room for what the request at hand takes more; false if there is none. Where nothing is held there is always room.
pub fn take(byte_count: u64) -> bool {
    HELD.try_with(|held| held.borrow_mut().take(byte_count))
        .unwrap_or(true)
}

/// Returns what the request at hand may take if it is alone.
pub fn request_bytes_max() -> u64 {
    HELD.try_with(|held| held.borrow().shared.request_bytes_max())
        .unwrap_or(u64::MAX)
}

/// The rules for requests that are being received. Clones share the memory.
#[derive(Clone, Debug)]
pub struct Intake(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stall_max: Duration,
    bytes_max: u64,
    bytes: AtomicU64,
}

impl Shared {
    const fn request_bytes_max(&self) -> u64 {
        self.bytes_max.saturating_add(FREE_BYTES)
    }
}

impl Intake {
    /// A caller has `stall_max` for 16 KiB, or for the rest; requests that are not answered yet may take `bytes_max`.
    pub fn new(stall_max: Duration, bytes_max: u64) -> Self {
        Self(Arc::new(Shared {
            stall_max,
            bytes_max,
            bytes: AtomicU64::new(0),
        }))
    }

    /// Returns the pace of one more caller.
    pub fn pace(&self) -> Pace {
        Pace::new(self.0.stall_max)
    }

    /// Returns what one more request holds, which is nothing yet.
    pub fn hold(&self) -> Held {
        Held {
            shared: Arc::clone(&self.0),
            received_bytes: 0,
            counted_bytes: 0,
        }
    }

    /// Returns the memory that requests take.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Returns the memory that requests may take.
    pub fn bytes_max(&self) -> u64 {
        self.0.bytes_max
    }

    /// Returns what one request may take if it is alone.
    pub fn request_bytes_max(&self) -> u64 {
        self.0.request_bytes_max()
    }
}

/// What one request takes, until this is dropped.
#[derive(Debug)]
pub struct Held {
    shared: Arc<Shared>,
    received_bytes: u64,
    counted_bytes: u64,
}

impl Held {
    /// Holds it while the request is worked on, for [`take`].
    pub async fn during<F: Future>(self, work: F) -> F::Output {
        HELD.scope(RefCell::new(self), work).await
    }

    /// Takes room for what has come; false if there is none.
    pub fn take(&mut self, byte_count: u64) -> bool {
        self.received_bytes = self.received_bytes.saturating_add(byte_count);
        let more = self
            .received_bytes
            .saturating_sub(FREE_BYTES)
            .saturating_sub(self.counted_bytes);
        if more == 0 {
            return true;
        }
        let taken = self.shared.bytes.fetch_add(more, Ordering::Relaxed);
        self.counted_bytes += more;
        taken.saturating_add(more) <= self.shared.bytes_max
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.counted_bytes > 0 {
            self.shared.bytes.fetch_sub(self.counted_bytes, Ordering::Relaxed);
        }
    }
}

/// The pace of one caller.
#[derive(Debug)]
pub struct Pace {
    time: Duration,
    /// None until the caller is waited for.
    deadline: Option<Instant>,
    byte_count: u64,
}

impl Pace {
    /// Gives a caller so much time.
    pub const fn new(time: Duration) -> Self {
        Self {
            time,
            deadline: None,
            byte_count: 0,
        }
    }

    /// Returns the time that the caller has.
    pub const fn time(&self) -> Duration {
        self.time
    }

    /// Returns until when it is waited for.
    pub fn deadline(&mut self) -> Instant {
        *self.deadline.get_or_insert_with(|| Instant::now() + self.time)
    }

    /// Counts what has come.
    pub const fn came(&mut self, byte_count: u64) {
        self.byte_count = self.byte_count.saturating_add(byte_count);
        if self.byte_count >= BYTES_MIN {
            self.byte_count = 0;
            self.deadline = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_take_memory_together_until_they_are_dropped() {
        let intake = Intake::new(Duration::ZERO, 10);
        let taken = |byte_count| {
            let mut held = intake.hold();
            let fits = held.take(1) && held.take(byte_count - 1);
            (held, fits, intake.bytes())
        };
        assert!(matches!(taken(FREE_BYTES), (_, true, 0)));
        let (first, fits, bytes) = taken(FREE_BYTES + 6);
        assert_eq!((fits, bytes), (true, 6));
        assert!(matches!(taken(FREE_BYTES + 5), (_, false, 11)));
        let (third, fits, bytes) = taken(FREE_BYTES + 4);
        assert_eq!((fits, bytes), (true, 10));
        drop((first, third));
        assert_eq!(intake.bytes(), 0);
    }

    #[test]
    fn who_brings_enough_has_the_time_again() {
        let mut pace = Pace::new(Duration::from_hours(1));
        let first = pace.deadline();
        pace.came(BYTES_MIN - 1);
        assert_eq!(pace.deadline(), first);
        pace.came(1);
        assert!(pace.deadline() > first);
    }
}
