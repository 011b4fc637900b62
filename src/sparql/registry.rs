//! The queries and updates that wait or run: each under an id by which anybody may look at it and cancel it.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map},
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use sha2::{Digest as _, Sha256};

use super::{Interrupt, QueryForm, slow::SlowPlan};

/// Longer texts are hashed on the thread of their query, not where they are admitted.
const INLINE_HASH_BYTES_MAX: usize = 64 << 10;

/// Who asks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Caller {
    /// The method of the protocol, such as `Query` or `POST /sparql`.
    pub method: &'static str,
    /// The caller's name for the run; empty: the registry chooses one that cannot be guessed.
    pub query_id: String,
    /// The address that the call came from, if it is known.
    pub peer: Option<SocketAddr>,
}

/// A query or update of this id waits or runs already.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a query with the id {query_id} is waiting or running already")]
pub struct QueryIdInUse {
    /// The id.
    pub query_id: String,
}

/// A query or update as the list of them shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RunningQuery {
    /// Its id.
    pub query_id: String,
    /// The method that it was sent to.
    pub method: &'static str,
    /// It has, or had, a thread; else it waits for one.
    pub is_running: bool,
    /// It was cancelled or its time is over; it ends as soon as it looks.
    pub is_ending: bool,
    /// When it was admitted.
    pub admitted_at: SystemTime,
    /// The time since then.
    pub elapsed: Duration,
    /// The SHA-256 of its text; a long text has none until it runs.
    pub text_sha256: Option<TextHash>,
    /// Rows and triples that were found so far.
    pub row_count: u64,
    /// The revision that it reads, once that is known.
    pub revision: Option<u64>,
    /// The address that it came from, if it is known.
    pub peer: Option<SocketAddr>,
}

/// The SHA-256 of a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TextHash([u8; 32]);

impl TextHash {
    /// Hashes a text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }
}

impl fmt::Display for TextHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// All that wait or run. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry {
    entries: Arc<Mutex<HashMap<String, Arc<Entry>>>>,
    /// For ids where the system has no random numbers.
    number: Arc<AtomicU64>,
}

/// What is known of one.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) query_id: String,
    pub(super) method: &'static str,
    pub(super) peer: Option<SocketAddr>,
    pub(super) interrupt: Interrupt,
    admitted_at: SystemTime,
    pub(super) start: Instant,
    is_running: AtomicBool,
    /// Time that it waited for its thread.
    pub(super) waited: OnceLock<Duration>,
    pub(super) hash: OnceLock<TextHash>,
    pub(super) form: OnceLock<QueryForm>,
    pub(super) revision: OnceLock<u64>,
    pub(super) row_count: AtomicU64,
    pub(super) is_update: AtomicBool,
    /// The name of the reason that ended it, `OK` if none did.
    pub(super) outcome: OnceLock<Cow<'static, str>>,
    /// How it ran, if it was slow.
    pub(super) plan: OnceLock<SlowPlan>,
    /// Kept where the log has texts.
    pub(super) text: OnceLock<String>,
}

impl Registry {
    /// Returns how many run, and how many wait.
    pub(super) fn counts(&self) -> (u64, u64) {
        let entries = self.entries();
        let is_running = |entry: &&Arc<Entry>| entry.is_running.load(Ordering::Relaxed);
        let running = entries.values().filter(is_running).count() as u64;
        (running, entries.len() as u64 - running)
    }

    /// Lists one more, as waiting, until its place is dropped.
    pub(super) fn admit(
        &self,
        caller: Caller,
        text: &str,
        interrupt: Interrupt,
    ) -> Result<Place, QueryIdInUse> {
        let hash = OnceLock::new();
        if text.len() <= INLINE_HASH_BYTES_MAX {
            // It is empty: nobody else sets it.
            let _ = hash.set(TextHash::of(text));
        }
        let is_ours = caller.query_id.is_empty();
        let mut entry = Entry {
            query_id: caller.query_id,
            method: caller.method,
            peer: caller.peer,
            interrupt,
            admitted_at: SystemTime::now(),
            start: Instant::now(),
            is_running: AtomicBool::new(false),
            waited: OnceLock::new(),
            hash,
            form: OnceLock::new(),
            revision: OnceLock::new(),
            row_count: AtomicU64::new(0),
            is_update: AtomicBool::new(false),
            outcome: OnceLock::new(),
            plan: OnceLock::new(),
            text: OnceLock::new(),
        };
        let mut entries = self.entries();
        loop {
            if is_ours {
                entry.query_id = self.fresh_id();
            }
            match entries.entry(entry.query_id.clone()) {
                hash_map::Entry::Vacant(place) => {
                    let entry = Arc::clone(place.insert(Arc::new(entry)));
                    return Ok(Place {
                        registry: self.clone(),
                        entry,
                    });
                }
                hash_map::Entry::Occupied(_) if is_ours => {}
                hash_map::Entry::Occupied(taken) => {
                    return Err(QueryIdInUse {
                        query_id: taken.key().clone(),
                    });
                }
            }
        }
    }

    /// Returns all, the oldest first.
    pub(super) fn list(&self) -> Vec<RunningQuery> {
        let entries: Vec<_> = self.entries().values().map(Arc::clone).collect();
        let mut listed: Vec<_> = entries.iter().map(|entry| entry.show()).collect();
        listed.sort_by(|one, other| {
            let order = other.elapsed.cmp(&one.elapsed);
            order.then_with(|| one.query_id.cmp(&other.query_id))
        });
        listed
    }

    /// Cancels one; false if there is none of this id.
    pub(super) fn cancel(&self, query_id: &str) -> bool {
        let entry = self.entries().get(query_id).map(Arc::clone);
        entry.is_some_and(|entry| {
            entry.interrupt.cancel_by_request();
            true
        })
    }

    fn fresh_id(&self) -> String {
        let number = getrandom::u64().unwrap_or_else(|_| self.number.fetch_add(1, Ordering::Relaxed));
        format!("{number:016x}")
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Notes that it has its thread.
    pub(super) fn begin(&self) {
        // A second beginning is none.
        let _ = self.waited.set(self.start.elapsed());
        self.is_running.store(true, Ordering::Relaxed);
    }

    pub(super) fn hash(&self, text: &str) {
        self.hash.get_or_init(|| TextHash::of(text));
        if tracing::enabled!(tracing::Level::DEBUG) {
            self.text.get_or_init(|| text.to_owned());
        }
    }

    fn show(&self) -> RunningQuery {
        RunningQuery {
            query_id: self.query_id.clone(),
            method: self.method,
            is_running: self.is_running.load(Ordering::Relaxed),
            is_ending: self.interrupt.check().is_err(),
            admitted_at: self.admitted_at,
            elapsed: self.elapsed(),
            text_sha256: self.hash.get().copied(),
            row_count: self.row_count.load(Ordering::Relaxed),
            revision: self.revision.get().copied(),
            peer: self.peer,
        }
    }
}

/// A place in the list; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    registry: Registry,
    pub(super) entry: Arc<Entry>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.entries().remove(&self.entry.query_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sparql::SparqlError;

    fn caller(query_id: &str) -> Caller {
        Caller {
            method: "Query",
            query_id: query_id.to_owned(),
            peer: None,
        }
    }

    #[test]
    fn an_id_is_in_use_until_its_place_is_free() {
        let registry = Registry::default();
        let admit = |query_id: &str| registry.admit(caller(query_id), "ASK {}", Interrupt::new(None));
        let place = admit("mine").unwrap();
        assert_eq!(admit("mine").unwrap_err().query_id, "mine");
        let ours: Vec<_> = (0..100).map(|_| admit("").unwrap()).collect();
        assert_eq!(registry.list().len(), 101);
        drop((place, ours));
        assert!(registry.list().is_empty());
        admit("mine").unwrap();
    }

    #[test]
    fn the_list_tells_the_state_and_not_the_text() {
        let registry = Registry::default();
        let place = registry
            .admit(caller("a"), "ASK {}", Interrupt::new(None))
            .unwrap();
        let long = "x".repeat(INLINE_HASH_BYTES_MAX + 1);
        let second = registry.admit(caller("b"), &long, Interrupt::new(None)).unwrap();
        place.entry.begin();
        place.entry.row_count.store(7, Ordering::Relaxed);
        let [first, other] = &registry.list()[..] else {
            panic!("{registry:?}");
        };
        assert_eq!(
            (first.query_id.as_str(), first.is_running, first.row_count),
            ("a", true, 7)
        );
        assert_eq!(
            first.text_sha256.unwrap().to_string(),
            TextHash::of("ASK {}").to_string()
        );
        assert_eq!((other.is_running, other.text_sha256), (false, None));
        second.entry.hash(&long);
        assert_eq!(registry.list()[1].text_sha256, Some(TextHash::of(&long)));
    }

    #[test]
    fn cancelling_strikes_and_tells_why() {
        let registry = Registry::default();
        let interrupt = Interrupt::new(None);
        let place = registry.admit(caller("a"), "", interrupt.clone()).unwrap();
        assert!(!registry.cancel("b"));
        assert_eq!(interrupt.check(), Ok(()));
        assert!(registry.cancel("a") && registry.cancel("a"));
        assert_eq!(interrupt.check(), Err(SparqlError::QueryCancelled));
        drop(place);
        assert!(!registry.cancel("a"));
    }
}
