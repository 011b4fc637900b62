//! The pace of documents, of which few are received at once.

use std::{pin::pin, time::Duration};

use tokio::time::{Instant, timeout};

use super::BYTES_MIN;

/// Bytes that a document brings for each second for which it is waited for, past the time that each has, once its place is wanted.
const WANTED_BYTES_PER_SECOND: u64 = 64 << 10;
/// What a caller hears whose document did not come in time.
pub const SENDER_TOO_SLOW: &str = "less than 16 KiB of the document, and not its rest, came in the time for that, or less than 64 KiB a second while \
    others wanted its place";
/// How often it is looked whether a place is wanted.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The pace of a document, whose sender has a place that others may want: it has a time for each 16 KiB, or for the rest, in which it
/// is waited for, and once others want the place that time in all, and a second for each 64 KiB.
#[derive(Debug)]
pub struct DocumentPace {
    time: Duration,
    /// For how long it was waited for, since 16 KiB came and in all.
    waited: Duration,
    waited_in_all: Duration,
    byte_count: u64,
    byte_count_in_all: u64,
}

/// A document did not come at its pace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooSlow;

/// A time for which a sender is waited for, which counts as soon as it is over or given up.
struct Wait<'pace> {
    pace: &'pace mut DocumentPace,
    began_at: Instant,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.pace.was_waited_for(self.began_at.elapsed());
    }
}

impl DocumentPace {
    /// Gives a sender so much time.
    pub const fn new(time: Duration) -> Self {
        Self {
            time,
            waited: Duration::ZERO,
            waited_in_all: Duration::ZERO,
            byte_count: 0,
            byte_count_in_all: 0,
        }
    }

    /// Counts what has come.
    pub const fn came(&mut self, byte_count: u64) {
        self.byte_count_in_all = self.byte_count_in_all.saturating_add(byte_count);
        self.byte_count = self.byte_count.saturating_add(byte_count);
        if self.byte_count >= BYTES_MIN {
            self.byte_count = 0;
            self.waited = Duration::ZERO;
        }
    }

    /// Waits for what the sender does next, as long as it may take. Time in which nobody waits for it is none of its.
    pub async fn wait<T>(
        &mut self,
        is_wanted: impl Fn() -> bool,
        next: impl Future<Output = T>,
    ) -> Result<T, TooSlow> {
        let mut next = pin!(next);
        loop {
            let left = self.left(is_wanted());
            let wait = Wait {
                pace: self,
                began_at: Instant::now(),
            };
            let came = timeout(left.min(LOOK_INTERVAL), &mut next).await;
            drop(wait);
            match came {
                Ok(next) => return Ok(next),
                Err(_) if left <= LOOK_INTERVAL => return Err(TooSlow),
                Err(_) => {}
            }
        }
    }

    fn was_waited_for(&mut self, time: Duration) {
        self.waited += time;
        self.waited_in_all += time;
    }

    fn left(&self, is_wanted: bool) -> Duration {
        let left = self.time.saturating_sub(self.waited);
        if !is_wanted {
            return left;
        }
        let brought = Duration::from_secs(self.byte_count_in_all / WANTED_BYTES_PER_SECOND);
        let in_all = self.time.saturating_add(brought);
        left.min(in_all.saturating_sub(self.waited_in_all))
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures::FutureExt as _;

    use super::*;

    const TIME: Duration = Duration::from_mins(1);

    /// Returns what is left after pieces, each of so many bytes after so many seconds.
    fn left(pieces: &[(u64, u64)], is_wanted: bool) -> u64 {
        let mut pace = DocumentPace::new(TIME);
        for &(seconds, byte_count) in pieces {
            pace.was_waited_for(Duration::from_secs(seconds));
            pace.came(byte_count);
        }
        pace.left(is_wanted).as_secs()
    }

    #[test]
    fn a_document_has_a_time_for_each_16_kib_and_less_once_its_place_is_wanted() {
        let a_second = WANTED_BYTES_PER_SECOND;
        for (pieces, free, wanted) in [
            (&[][..], 60, 60),
            (&[(59, 0)], 1, 1),
            (&[(61, 0)], 0, 0),
            (&[(50, BYTES_MIN)], 60, 10),
            (&[(50, BYTES_MIN - 1)], 10, 10),
            // In however many pieces.
            (&[(20, 1), (20, BYTES_MIN - 2)], 20, 20),
            (&[(20, 1), (20, BYTES_MIN - 1)], 60, 20),
            // It goes on for as long as enough comes, and what came before helps.
            (&[(50, BYTES_MIN), (50, BYTES_MIN), (50, BYTES_MIN)], 60, 0),
            (&[(50, 49 * a_second), (50, 49 * a_second)], 60, 58),
            (&[(1, 200 * a_second), (50, BYTES_MIN), (50, BYTES_MIN)], 60, 60),
        ] {
            assert_eq!(
                (left(pieces, false), left(pieces, true)),
                (free, wanted),
                "{pieces:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_there_needs_no_time_and_a_wait_that_is_given_up_counts() {
        let mut pace = DocumentPace::new(Duration::ZERO);
        assert_eq!(pace.wait(|| false, ready(1)).await, Ok(1));
        assert_eq!(pace.wait(|| false, pending::<()>()).await, Err(TooSlow));
        let mut pace = DocumentPace::new(TIME);
        assert_eq!(pace.wait(|| true, pending::<()>()).now_or_never(), None);
        assert!(pace.waited > Duration::ZERO && pace.waited_in_all == pace.waited);
    }
}
