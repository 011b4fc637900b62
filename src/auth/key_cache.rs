//! Keys of a URL: fetched when they are old, and when a JWT names one that is not there.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, Semaphore, watch};

use super::{
    AuthError, Claims, KeySet,
    jwt::{Jwt, Unverified},
    keys::Key,
};

/// The least time between two fetches.
const FETCH_INTERVAL_MIN: Duration = Duration::from_secs(10);

/// Requests that wait for keys; one more is told at once that it cannot be known. Nobody is known yet who waits, and what has come of
/// a body meanwhile, up to a window of HTTP/2, is counted nowhere.
const WAITING_COUNT_MAX: usize = 32;

/// Fetches the key set, on a thread that may block; an error says why it cannot be had.
type Fetch = dyn Fn() -> Result<Vec<u8>, String> + Send + Sync;

/// What a JWT claims, and the key that has signed it.
type Verified = (Claims, Arc<Key>);

/// How old keys may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyTimes {
    /// The age at which they are fetched anew.
    pub refresh_after: Duration,
    /// The age from which they verify nothing: an issuer that takes a key back is heard by then.
    pub expire_after: Duration,
}

/// Keys of a URL.
pub struct KeyCache {
    times: KeyTimes,
    fetch: Arc<Fetch>,
    cached: RwLock<Option<Cached>>,
    /// When the last fetch began. Held while one goes on: there is one at a time, and others wait for it.
    fetched_at: Mutex<Option<Instant>>,
    waiting: Semaphore,
    failure_count: AtomicU64,
    /// Marked whenever they have been fetched.
    renewed: watch::Sender<()>,
}

#[derive(Clone)]
struct Cached {
    keys: Arc<KeySet>,
    at: Instant,
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCache")
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}

impl KeyCache {
    /// Returns an empty one.
    pub fn new(times: KeyTimes, fetch: impl Fn() -> Result<Vec<u8>, String> + Send + Sync + 'static) -> Self {
        Self::telling(watch::Sender::default(), times, fetch)
    }

    /// Returns an empty one that marks `renewed` whenever keys have been fetched.
    pub fn telling(
        renewed: watch::Sender<()>,
        times: KeyTimes,
        fetch: impl Fn() -> Result<Vec<u8>, String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            times,
            fetch: Arc::new(fetch),
            cached: RwLock::new(None),
            fetched_at: Mutex::new(None),
            waiting: Semaphore::new(WAITING_COUNT_MAX),
            failure_count: AtomicU64::new(0),
            renewed,
        }
    }

    /// Fetches the keys whenever they are old, so that callers need not wait.
    pub async fn keep(self: Arc<Self>) {
        let step = self.fetch_interval();
        let mut ticks = tokio::time::interval(step);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let is_due = self
                .cached()
                .is_none_or(|cached| cached.at.elapsed() + step > self.times.refresh_after);
            if is_due {
                self.fetch(false).await;
            }
        }
    }

    /// Fetches the keys now, because the operator says so, however new they are.
    pub async fn refresh(self: &Arc<Self>) {
        self.fetch(true).await;
    }

    /// Returns how many fetches have failed.
    pub fn failure_count(&self) -> u64 {
        self.failure_count.load(Ordering::Relaxed)
    }

    /// Tells whether a key is still one of them; `None`: there are no keys that are not too old.
    pub(super) fn has(&self, key: &Key) -> Option<bool> {
        Some(self.fresh()?.keys.has(key))
    }

    /// Returns the keys, if they are not too old.
    pub(super) fn current(&self) -> Option<Arc<KeySet>> {
        Some(self.fresh()?.keys)
    }

    /// Returns what a JWT claims, and its key. Whatever ids strangers make up, a fetch is no more frequent than [`FETCH_INTERVAL_MIN`].
    pub(super) async fn verify(self: &Arc<Self>, jwt: &Jwt<'_>) -> Result<Verified, AuthError> {
        match self.verify_now(jwt) {
            Some(Err(Unverified::UnknownKey)) | None => {}
            Some(verified) => return Ok(verified?),
        }
        // While it is locked a fetch is under way.
        let was_fetched = self.fetched_at.try_lock().is_ok_and(|at| self.is_recent(*at));
        if !was_fetched {
            let _place = self.waiting.try_acquire().map_err(|_| AuthError::Unverifiable)?;
            self.fetch(false).await;
        }
        Ok(self.verify_now(jwt).ok_or(AuthError::Unverifiable)??)
    }

    /// `None`: there are no keys that are not too old.
    fn verify_now(&self, jwt: &Jwt<'_>) -> Option<Result<Verified, Unverified>> {
        Some(jwt.verify(&self.fresh()?.keys))
    }

    /// Returns the keys that are not too old.
    fn fresh(&self) -> Option<Cached> {
        self.cached()
            .filter(|cached| cached.at.elapsed() < self.times.expire_after)
    }

    fn cached(&self) -> Option<Cached> {
        self.cached.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fetch_interval(&self) -> Duration {
        FETCH_INTERVAL_MIN.min(self.times.refresh_after)
    }

    fn is_recent(&self, fetched_at: Option<Instant>) -> bool {
        fetched_at.is_some_and(|at| at.elapsed() < self.fetch_interval())
    }

    /// Fetches the keys, unless that was done a moment ago, or in any case. Whoever goes away meanwhile stops nothing: else strangers
    /// could keep the keys old.
    async fn fetch(self: &Arc<Self>, in_any_case: bool) {
        let this = Arc::clone(self);
        // A panic of it has been told.
        let _ = tokio::spawn(async move { this.fetch_once(in_any_case).await }).await;
    }

    /// What cannot be had is told, and what was before stays until it is too old.
    async fn fetch_once(&self, in_any_case: bool) {
        let mut fetched_at = self.fetched_at.lock().await;
        if self.is_recent(*fetched_at) && !in_any_case {
            return;
        }
        let now = Instant::now();
        *fetched_at = Some(now);
        let fetch = Arc::clone(&self.fetch);
        let fetched =
            tokio::task::spawn_blocking(move || KeySet::parse(&fetch()?).map_err(|fault| fault.to_string()));
        match fetched.await.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(keys) => {
                let keys = Arc::new(keys);
                // Their age counts from before they were asked for.
                *self.cached.write().unwrap_or_else(PoisonError::into_inner) = Some(Cached { keys, at: now });
                self.renewed.send_replace(());
            }
            Err(error) => {
                self.failure_count.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(error, "the keys of JWTs cannot be fetched");
            }
        }
    }
}
