//! Where threads and tasks meet: what the log, the knowledge base and the feed use of std's, Tokio's and arc-swap's.
//!
//! With the feature `schedules`, which is for `tests/schedules` alone, a scheduler decides at each of them who goes on.

#[cfg(all(feature = "schedules", not(debug_assertions)))]
compile_error!("the feature `schedules` is for tests: what is built with it does not run by itself");

mod priority;
#[cfg(feature = "schedules")]
mod scheduled;

pub use priority::Niceness;
#[cfg(feature = "schedules")]
pub use scheduled::{
    ArcSwap, ArcSwapOption, Condvar, Mutex, MutexGuard, atomic, mpsc, task, thread, time, watch,
};
#[cfg(not(feature = "schedules"))]
pub use {
    arc_swap::{ArcSwap, ArcSwapOption},
    std::{
        sync::{Condvar, Mutex, MutexGuard, atomic, mpsc},
        thread,
    },
    tokio::{sync::watch, task},
};

/// Tokio's timers, and std's clock.
#[cfg(not(feature = "schedules"))]
pub mod time {
    pub use tokio::time::{sleep, sleep_until, timeout, timeout_at};

    /// Returns the time of the clock that only goes forward.
    #[inline]
    pub fn now() -> std::time::Instant {
        std::time::Instant::now()
    }
}
