//! Connections on which nobody has been let in: strangers get none of them for long, since the places are for callers.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;

use super::places::Keeper;

/// How long a connection may be without a caller who was let in.
pub(super) const STRANGER_MAX: Duration = Duration::from_secs(30);

/// Whether somebody was let in on a connection: an extension of its requests.
#[derive(Clone, Debug)]
pub(in crate::server) struct LetIn(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    is_set: AtomicBool,
    place: Keeper,
}

impl LetIn {
    /// Nobody was yet. Once somebody is, the connection keeps its place.
    pub(super) fn new(place: Keeper) -> Self {
        Self(Arc::new(Inner {
            is_set: AtomicBool::new(false),
            place,
        }))
    }

    /// Notes that somebody was.
    pub(in crate::server) fn set(&self) {
        if !self.is_set() && !self.0.is_set.swap(true, Ordering::Relaxed) {
            self.0.place.keep();
        }
    }

    pub(in crate::server) fn is_set(&self) -> bool {
        self.0.is_set.load(Ordering::Relaxed)
    }

    /// Returns what tells the connection from others, as long as this is there.
    pub(in crate::server) fn connection(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    #[cfg(test)]
    pub(in crate::server) fn of_nobody() -> Self {
        let cut = tokio_util::sync::CancellationToken::new();
        let place = super::places::Places::new(1, 1).take([127, 0, 0, 1].into(), &cut);
        Self::new(place.expect("the first place").keeper())
    }

    /// Is ready after a while, if nobody was let in by then.
    pub(super) async fn nobody_for(&self, time: Duration) {
        sleep(time).await;
        if self.is_set() {
            pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_time_of_strangers_ends_and_that_of_callers_does_not() {
        let time = Duration::from_millis(50);
        let let_in = LetIn::of_nobody();
        let_in.nobody_for(time).await;
        let_in.set();
        assert!(timeout(4 * time, let_in.nobody_for(time)).await.is_err());
    }
}
