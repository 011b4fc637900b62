//! The turns of watchers that want a graph of the past, for which there are few places.

use std::{pin::Pin, sync::Arc};

use tokio::sync::{AcquireError, OwnedSemaphorePermit};

use crate::feed::{Feed, FeedError};

/// Where a watcher stands among those that wait for a place. Whoever drops it stands at the end again.
pub(super) struct Turn {
    place: Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>,
    _waits: Arc<()>,
}

impl Turn {
    pub(super) fn new(feed: &Feed) -> Self {
        Self {
            place: Box::pin(Arc::clone(&feed.0.pasts).acquire_owned()),
            _waits: Arc::clone(&feed.0.past_waiters),
        }
    }

    /// Waits for the place, once. What is dropped before goes on when it is called again.
    pub(super) async fn place(&mut self) -> Result<OwnedSemaphorePermit, FeedError> {
        self.place.as_mut().await.map_err(|_| FeedError::Closed)
    }
}
