//! How long a caller is waited for who sends: it has a time for each 16 KiB, so that who lets bytes trickle keeps nothing open.

use std::time::Duration;

use tokio::time::Instant;

/// What must come within the time, unless it is the rest.
pub const BYTES_MIN: u64 = 16 << 10;

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
    fn who_brings_enough_has_the_time_again() {
        let mut pace = Pace::new(Duration::from_hours(1));
        let first = pace.deadline();
        pace.came(BYTES_MIN - 1);
        assert_eq!(pace.deadline(), first);
        pace.came(1);
        assert!(pace.deadline() > first);
    }
}
