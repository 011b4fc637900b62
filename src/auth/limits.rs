//! How much each caller may ask for, and what is left of it.
//!
//! Requests and the time of queries come from buckets: full they hold what a minute allows, and they fill evenly. A query is paid
//! for when it ends, so a bucket may owe; the next query waits until it owes nothing. That is how the Wikidata Query Service does
//! it, with 60 seconds of processing in a minute.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Caller, Credential};

const MINUTE: Duration = Duration::from_mins(1);
/// With more accounts than these, those that owe nothing and are not in use are forgotten.
const ACCOUNT_COUNT_MAX: usize = 10_000;
/// Where most of them owe something, they are looked through no more often.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What one caller may ask for; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CallerLimits {
    /// Requests in a minute.
    pub requests_per_minute: u32,
    /// Seconds in a minute in which its queries and updates run.
    pub query_seconds_per_minute: u32,
    /// Requests at once.
    pub stream_count_max: u32,
    /// Queries and updates at once, those that wait included.
    pub query_count_max: u32,
}

/// A caller has asked for more than it may.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a caller may have {limit_value} {} and no more", .limit.what())]
pub struct CallerLimitReached {
    /// Which limit.
    pub limit: CallerLimit,
    /// Its value.
    pub limit_value: u32,
    /// When to try again.
    pub retry_after: Duration,
}

/// A limit of callers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallerLimit {
    /// Requests in a minute.
    RequestsPerMinute,
    /// Time of queries.
    QuerySecondsPerMinute,
    /// Requests at once.
    StreamCount,
    /// Queries at once.
    QueryCount,
}

impl CallerLimit {
    /// Returns its name in metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::RequestsPerMinute => "caller_requests_per_minute",
            Self::QuerySecondsPerMinute => "caller_query_seconds_per_minute",
            Self::StreamCount => "caller_stream_count_max",
            Self::QueryCount => "caller_query_count_max",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::RequestsPerMinute => "requests in a minute",
            Self::QuerySecondsPerMinute => "seconds of queries in a minute",
            Self::StreamCount => "requests at once",
            Self::QueryCount => "queries at once",
        }
    }
}

/// What is left to a caller; `None` where there is no limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Left {
    /// Requests.
    pub requests: Option<u32>,
    /// Seconds of queries.
    pub query_seconds: Option<u32>,
}

/// The accounts of all callers. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    limits: CallerLimits,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    accounts: HashMap<Key, Arc<Account>>,
    /// When to look again for accounts that owe nothing; at once if it is not said.
    not_before: Option<Instant>,
}

/// Where nobody is asked who they are, those of one network are one caller.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Key {
    Known(Credential, String),
    Address(Option<IpAddr>),
    /// All for whom there is no room.
    Others,
}

impl Accounts {
    /// Returns accounts with these limits.
    pub fn new(limits: CallerLimits) -> Self {
        Self {
            limits,
            known: Arc::default(),
        }
    }

    /// Returns the account of a caller, `None` if there are no limits.
    pub fn of(&self, caller: &Caller, peer: Option<IpAddr>) -> Option<Arc<Account>> {
        if self.limits == CallerLimits::default() {
            return None;
        }
        let mut key = match caller.credential {
            Credential::None => Key::Address(peer.map(network)),
            credential => Key::Known(credential, caller.subject.clone()),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.accounts.contains_key(&key) && !known.has_room(Instant::now()) {
            key = Key::Others;
        }
        let account = known.accounts.entry(key);
        Some(Arc::clone(account.or_insert_with(|| {
            Arc::new(Account::new(self.limits, Instant::now()))
        })))
    }
}

impl Known {
    /// Tells whether there is room for one more account, and makes some if it can.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.accounts.len() < ACCOUNT_COUNT_MAX {
            return true;
        }
        // All callers wait meanwhile.
        if self.not_before.is_none_or(|not_before| now >= not_before) {
            self.accounts.retain(|_, account| !account.is_idle(now));
            let is_worth_it = self.accounts.len() <= ACCOUNT_COUNT_MAX / 2;
            self.not_before = (!is_worth_it).then(|| now + LOOK_INTERVAL);
        }
        self.accounts.len() < ACCOUNT_COUNT_MAX
    }
}

/// Returns what counts as one address: whoever has one of IPv6 has the 2⁶⁴ of its network.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// What one caller has asked for.
#[derive(Debug)]
pub struct Account {
    limits: CallerLimits,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    requests: Bucket,
    query_seconds: Bucket,
    stream_count: u32,
    query_count: u32,
}

impl Account {
    fn new(limits: CallerLimits, now: Instant) -> Self {
        Self {
            limits,
            state: Mutex::new(State {
                requests: Bucket::full(limits.requests_per_minute, now),
                query_seconds: Bucket::full(limits.query_seconds_per_minute, now),
                stream_count: 0,
                query_count: 0,
            }),
        }
    }

    /// Begins a request, which ends when the value is dropped.
    pub fn begin_request(self: &Arc<Self>) -> Result<OpenRequest, CallerLimitReached> {
        self.request_at(Instant::now())?;
        Ok(OpenRequest(Arc::clone(self)))
    }

    fn request_at(&self, now: Instant) -> Result<(), CallerLimitReached> {
        let limits = self.limits;
        let mut state = self.state();
        if limits.stream_count_max > 0 && state.stream_count >= limits.stream_count_max {
            return Err(CallerLimitReached {
                limit: CallerLimit::StreamCount,
                limit_value: limits.stream_count_max,
                retry_after: Duration::from_secs(1),
            });
        }
        if let Err(retry_after) = state.requests.owes_less_than(1.0, now) {
            return Err(CallerLimitReached {
                limit: CallerLimit::RequestsPerMinute,
                limit_value: limits.requests_per_minute,
                retry_after,
            });
        }
        state.requests.take(1.0);
        state.stream_count += 1;
        Ok(())
    }

    /// Begins a query, which ends when the value is dropped.
    pub fn begin_query(self: &Arc<Self>) -> Result<OpenQuery, CallerLimitReached> {
        self.query_at(Instant::now())?;
        Ok(OpenQuery {
            account: Arc::clone(self),
            running_since: None,
        })
    }

    fn query_at(&self, now: Instant) -> Result<(), CallerLimitReached> {
        let limits = self.limits;
        let mut state = self.state();
        if limits.query_count_max > 0 && state.query_count >= limits.query_count_max {
            return Err(CallerLimitReached {
                limit: CallerLimit::QueryCount,
                limit_value: limits.query_count_max,
                retry_after: Duration::from_secs(1),
            });
        }
        if let Err(retry_after) = state.query_seconds.owes_less_than(0.0, now) {
            return Err(CallerLimitReached {
                limit: CallerLimit::QuerySecondsPerMinute,
                limit_value: limits.query_seconds_per_minute,
                retry_after,
            });
        }
        state.query_count += 1;
        Ok(())
    }

    fn end_query(&self, took: Duration) {
        let mut state = self.state();
        state.query_count = state.query_count.saturating_sub(1);
        state.query_seconds.take(took.as_secs_f64());
    }

    /// Returns what its caller may ask for.
    pub fn limits(&self) -> CallerLimits {
        self.limits
    }

    /// Returns what is left.
    pub fn left(&self) -> Left {
        let now = Instant::now();
        let mut state = self.state();
        Left {
            requests: state.requests.left(now),
            query_seconds: state.query_seconds.left(now),
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.stream_count == 0
            && state.query_count == 0
            && state.requests.is_full(now)
            && state.query_seconds.is_full(now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way.
#[derive(Debug)]
pub struct OpenRequest(Arc<Account>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.stream_count = state.stream_count.saturating_sub(1);
    }
}

/// A query that waits or runs.
#[derive(Debug)]
pub struct OpenQuery {
    account: Arc<Account>,
    running_since: Option<Instant>,
}

impl OpenQuery {
    /// From now on it costs: it has a thread.
    pub fn run(&mut self) {
        self.running_since = Some(Instant::now());
    }
}

impl Drop for OpenQuery {
    fn drop(&mut self) {
        let took = self.running_since.map(|since| since.elapsed());
        self.account.end_query(took.unwrap_or_default());
    }
}

/// What a minute allows, filled evenly. Without a limit it is always full.
#[derive(Debug)]
struct Bucket {
    size: u32,
    level: f64,
    filled_at: Instant,
}

impl Bucket {
    fn full(size: u32, now: Instant) -> Self {
        Self {
            size,
            level: f64::from(size),
            filled_at: now,
        }
    }

    fn fill(&mut self, now: Instant) {
        let size = f64::from(self.size);
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.level = (self.level + elapsed * size / MINUTE.as_secs_f64()).min(size);
        self.filled_at = now;
    }

    /// Tells whether at least so much is left, above nothing; else how long it takes until there is.
    fn owes_less_than(&mut self, least: f64, now: Instant) -> Result<(), Duration> {
        self.fill(now);
        let is_enough = if least > 0.0 {
            self.level >= least
        } else {
            self.level > 0.0
        };
        if self.size == 0 || is_enough {
            return Ok(());
        }
        // A little more, so that who waits so long finds enough.
        let missing = least - self.level + 0.001;
        let seconds = missing * MINUTE.as_secs_f64() / f64::from(self.size);
        Err(Duration::from_secs_f64(seconds.clamp(0.001, 3600.0)))
    }

    fn take(&mut self, amount: f64) {
        if self.size > 0 {
            self.level -= amount;
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to the size, which is a whole number of 32 bits"
    )]
    fn left(&mut self, now: Instant) -> Option<u32> {
        self.fill(now);
        (self.size > 0).then(|| self.level.max(0.0) as u32)
    }

    fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.level >= f64::from(self.size)
    }
}

#[cfg(test)]
mod tests;
