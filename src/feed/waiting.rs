//! Who waits for what a thread reads.

use std::sync::Arc;

/// Lives as long as somebody waits.
#[derive(Debug, Default)]
pub struct Waiting(Arc<()>);

impl Waiting {
    /// Returns what says to a thread whether nobody waits any more.
    pub fn is_over(&self) -> impl Fn() -> bool + Send + 'static {
        let waiting = Arc::downgrade(&self.0);
        move || waiting.strong_count() == 0
    }
}
