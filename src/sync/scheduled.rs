//! The same with scheduling points, under [Shuttle](https://docs.rs/shuttle).
//!
//! Threads and blocking locks are Shuttle's. Tokio's and arc-swap's types are their own, each call a step that nothing
//! interrupts, with a point before it: their projects check them, we check what we make of them. Time stands still but for
//! [`time::now`], and no timer fires: whoever waits must be woken.

use std::{ops::Deref, sync::Arc, time::Duration};

use arc_swap::{Guard, RefCnt};
pub use shuttle::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread,
};

/// Lets the scheduler decide who goes on.
fn point() {
    shuttle::thread::sleep(Duration::ZERO);
}

/// An [`arc_swap::ArcSwapAny`].
#[derive(Debug)]
pub struct ArcSwapAny<T: RefCnt>(arc_swap::ArcSwapAny<T>);

/// An [`arc_swap::ArcSwap`].
pub type ArcSwap<T> = ArcSwapAny<Arc<T>>;
/// An [`arc_swap::ArcSwapOption`].
pub type ArcSwapOption<T> = ArcSwapAny<Option<Arc<T>>>;

impl<T> ArcSwap<T> {
    /// Holds a value.
    pub fn from_pointee(value: T) -> Self {
        Self(arc_swap::ArcSwapAny::new(Arc::new(value)))
    }
}

impl<T> ArcSwapOption<T> {
    /// Holds a value.
    pub fn from_pointee(value: T) -> Self {
        Self(arc_swap::ArcSwapAny::new(Some(Arc::new(value))))
    }
}

impl<T: RefCnt> ArcSwapAny<T> {
    /// Borrows what it holds now. Until that is used, it may hold something else.
    pub fn load(&self) -> Guard<T> {
        point();
        let loaded = self.0.load();
        point();
        loaded
    }

    /// Returns what it holds now. Until that is used, it may hold something else.
    pub fn load_full(&self) -> T {
        point();
        let loaded = self.0.load_full();
        point();
        loaded
    }

    /// Has it hold something else.
    pub fn store(&self, value: T) {
        point();
        self.0.store(value);
    }

    /// Has it hold something else; returns what it held.
    pub fn swap(&self, value: T) -> T {
        point();
        self.0.swap(value)
    }
}

/// Queues of threads.
pub mod mpsc {
    pub use shuttle::sync::mpsc::{
        RecvError, RecvTimeoutError, SendError, Sender, SyncSender, TryIter, TryRecvError, TrySendError,
    };

    use super::{Deref, Duration};

    /// A receiver that drops with itself what it did not receive, as std's does and Shuttle's does not.
    #[derive(Debug)]
    pub struct Receiver<T>(shuttle::sync::mpsc::Receiver<T>);

    impl<T> Deref for Receiver<T> {
        type Target = shuttle::sync::mpsc::Receiver<T>;

        fn deref(&self) -> &Self::Target {
            &self.0
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                self.0.try_iter().for_each(drop);
            }
        }
    }

    /// Returns a queue without bounds.
    pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = shuttle::sync::mpsc::channel();
        (sender, Receiver(receiver))
    }

    /// Returns a queue with a bound.
    pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
        let (sender, receiver) = shuttle::sync::mpsc::sync_channel(bound);
        (sender, Receiver(receiver))
    }

    impl<T> Receiver<T> {
        /// Waits for a message, and never for nothing.
        pub fn recv_timeout(&self, _: Duration) -> Result<T, RecvTimeoutError> {
            self.0.recv().map_err(|_| RecvTimeoutError::Disconnected)
        }
    }
}

/// Tasks.
pub mod task {
    pub use shuttle::future::{JoinError, JoinHandle, spawn};

    /// Has a thread do work that blocks.
    pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        spawn(async move { work() })
    }
}

/// Timers that do not fire.
pub mod time {
    use std::{
        future::pending,
        sync::OnceLock,
        time::{Duration, Instant},
    };

    use tokio::time::error::Elapsed;

    static BEGINNING: OnceLock<Instant> = OnceLock::new();

    /// Returns a time that goes forward with the schedule, so that a schedule can be repeated.
    pub fn now() -> Instant {
        let steps = shuttle::current::context_switches() as u64;
        *BEGINNING.get_or_init(Instant::now) + Duration::from_micros(steps)
    }

    /// Waits for ever.
    pub async fn sleep(_: Duration) {
        pending::<()>().await;
    }

    /// Waits for ever.
    pub async fn sleep_until(_: tokio::time::Instant) {
        pending::<()>().await;
    }

    /// Waits for the future.
    pub async fn timeout<F: Future>(_: Duration, future: F) -> Result<F::Output, Elapsed> {
        Ok(future.await)
    }

    /// Waits for the future.
    pub async fn timeout_at<F: Future>(_: tokio::time::Instant, future: F) -> Result<F::Output, Elapsed> {
        Ok(future.await)
    }
}

/// A value whose changes can be waited for.
pub mod watch {
    pub use tokio::sync::watch::{Ref, error};

    use super::point;

    /// A [`tokio::sync::watch::Sender`].
    #[derive(Debug)]
    pub struct Sender<T>(tokio::sync::watch::Sender<T>);

    /// A [`tokio::sync::watch::Receiver`].
    #[derive(Clone, Debug)]
    pub struct Receiver<T>(tokio::sync::watch::Receiver<T>);

    impl<T> Sender<T> {
        /// Holds a value.
        pub fn new(value: T) -> Self {
            Self(tokio::sync::watch::Sender::new(value))
        }

        /// Has it hold another one, and wakes those that wait; returns the one before.
        pub fn send_replace(&self, value: T) -> T {
            point();
            self.0.send_replace(value)
        }

        /// Changes it, and wakes those that wait if `change` says so.
        pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
            point();
            self.0.send_if_modified(change)
        }

        /// Returns a receiver to whom the value is known.
        pub fn subscribe(&self) -> Receiver<T> {
            point();
            Receiver(self.0.subscribe())
        }

        /// Borrows the value.
        pub fn borrow(&self) -> Ref<'_, T> {
            point();
            self.0.borrow()
        }
    }

    impl<T> Receiver<T> {
        /// Borrows the value.
        pub fn borrow(&self) -> Ref<'_, T> {
            point();
            self.0.borrow()
        }

        /// Borrows the value, which is known from then on.
        pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
            point();
            self.0.borrow_and_update()
        }

        /// Waits for a value that is not known.
        pub async fn changed(&mut self) -> Result<(), error::RecvError> {
            point();
            self.0.changed().await
        }

        /// Waits for a value.
        pub async fn wait_for(
            &mut self,
            is_it: impl FnMut(&T) -> bool,
        ) -> Result<Ref<'_, T>, error::RecvError> {
            point();
            self.0.wait_for(is_it).await
        }
    }
}
