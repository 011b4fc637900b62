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

/// How long a connection may be without a caller who was let in.
pub(super) const STRANGER_MAX: Duration = Duration::from_secs(30);

/// Whether somebody was let in on a connection: an extension of its requests.
#[derive(Clone, Debug)]
pub(in crate::server) struct LetIn(Arc<AtomicBool>);

impl LetIn {
    pub(super) fn new(is_let_in: bool) -> Self {
        Self(Arc::new(AtomicBool::new(is_let_in)))
    }

    /// Notes that somebody was.
    pub(in crate::server) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
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
        let let_in = LetIn::new(false);
        let_in.nobody_for(time).await;
        let_in.set();
        assert!(timeout(4 * time, let_in.nobody_for(time)).await.is_err());
    }
}
