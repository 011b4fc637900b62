//! The clock of the writer, which tests set.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::model::{day::Day, reference_date::ReferenceDate};

const DAY_SECONDS: u64 = 86_400;
/// The longest wait for the end of the day: the clock may be set meanwhile, or the machine sleep.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// Tells the time and the reference date.
#[derive(Clone)]
pub(super) struct Clock {
    now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    reference_date: ReferenceDate,
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Clock")
            .field("reference_date", &self.reference_date)
            .finish_non_exhaustive()
    }
}

impl Clock {
    pub(super) fn system(reference_date: ReferenceDate) -> Self {
        Self::new(reference_date, SystemTime::now)
    }

    pub(super) fn new(
        reference_date: ReferenceDate,
        now: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Self {
        Self {
            now: Arc::new(now),
            reference_date,
        }
    }

    fn since_epoch(&self) -> Duration {
        (self.now)().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    /// Returns the reference date.
    pub(super) fn day(&self) -> Day {
        match self.reference_date {
            ReferenceDate::Fixed(day) => day,
            ReferenceDate::Today => day_of(self.since_epoch()),
        }
    }

    /// Returns the time, in microseconds since 1970.
    pub(super) fn now_us(&self) -> u64 {
        u64::try_from(self.since_epoch().as_micros()).unwrap_or(u64::MAX)
    }

    /// Tells whether the reference date is the day that it is.
    pub(super) fn is_today(&self) -> bool {
        self.reference_date == ReferenceDate::Today
    }

    /// Returns how long to wait before looking at the day again, after it was `looked_at`; `None` if it stays.
    pub(super) fn wait(&self, looked_at: Day) -> Option<Duration> {
        match self.reference_date {
            ReferenceDate::Fixed(_) => None,
            ReferenceDate::Today => {
                let since = self.since_epoch();
                if day_of(since) != looked_at {
                    return Some(Duration::ZERO);
                }
                let next = Duration::from_secs((since.as_secs() / DAY_SECONDS + 1) * DAY_SECONDS);
                Some(next.saturating_sub(since).min(WAIT_MAX))
            }
        }
    }
}

fn day_of(since_epoch: Duration) -> Day {
    Day::of_unix_seconds(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_ends_with_the_day() {
        let at = |seconds| {
            Clock::new(ReferenceDate::Today, move || {
                UNIX_EPOCH + Duration::from_secs(seconds)
            })
        };
        let (first, second) = (Day::of_unix_seconds(0), Day::of_unix_seconds(86_400));
        assert_eq!(at(DAY_SECONDS - 1).wait(first), Some(Duration::from_secs(1)));
        assert_eq!(at(DAY_SECONDS).wait(second), Some(WAIT_MAX));
        // It has turned since.
        assert_eq!(at(DAY_SECONDS).wait(first), Some(Duration::ZERO));
        assert_eq!(at(DAY_SECONDS - 1).day().to_string(), "1970-01-01");
        assert_eq!(at(DAY_SECONDS).day().to_string(), "1970-01-02");
        let fixed = ReferenceDate::Fixed(first);
        assert_eq!(Clock::system(fixed).wait(second), None);
        assert_eq!(Clock::system(fixed).day().to_string(), "1970-01-01");
    }
}
