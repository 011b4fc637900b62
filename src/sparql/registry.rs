//! The queries and updates that wait or run: each under an id by which whoever sent it may look at it and cancel it, and
//! whoever administers.

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
use crate::model::access::Access;

/// Longer texts are hashed on the thread of their query, not where they are admitted.
const INLINE_HASH_BYTES_MAX: usize = 64 << 10;

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What it may do.
    pub access: Access,
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
    entries: Arc<Mutex<Entries>>,
    /// For ids where the system has no random numbers.
    number: Arc<AtomicU64>,
}

/// By whose they are, and their ids: nobody learns which ids others have.
type Entries = HashMap<(String, String), Arc<Entry>>;

/// What is known of one.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) access: Access,
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
            access: caller.access,
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
            match entries.entry(entry.key()) {
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
                        query_id: taken.key().1.clone(),
                    });
                }
            }
        }
    }

    /// Returns those that somebody may look at, the oldest first.
    pub(super) fn list(&self, access: &Access) -> Vec<RunningQuery> {
        let entries: Vec<_> = self.entries().values().map(Arc::clone).collect();
        let is_shown = |entry: &&Arc<Entry>| access.is_admin() || entry.access.subject() == access.subject();
        let mut listed: Vec<_> = entries
            .iter()
            .filter(is_shown)
            .map(|entry| entry.show())
            .collect();
        listed.sort_by(|one, other| {
            let order = other.elapsed.cmp(&one.elapsed);
            order.then_with(|| one.query_id.cmp(&other.query_id))
        });
        listed
    }

    /// Cancels one's own, or else, for an administrator, all of this id; false if there is none.
    pub(super) fn cancel(&self, access: &Access, query_id: &str) -> bool {
        let own = (access.subject().to_owned(), query_id.to_owned());
        let entries = self.entries();
        let cancelled: Vec<_> = match entries.get(&own) {
            Some(entry) => vec![Arc::clone(entry)],
            None if access.is_admin() => {
                let all = entries.values().filter(|entry| entry.query_id == query_id);
                all.map(Arc::clone).collect()
            }
            None => Vec::new(),
        };
        drop(entries);
        for entry in &cancelled {
            entry.interrupt.cancel_by_request();
        }
        !cancelled.is_empty()
    }

    fn fresh_id(&self) -> String {
        let number = getrandom::u64().unwrap_or_else(|_| self.number.fetch_add(1, Ordering::Relaxed));
        format!("{number:016x}")
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn key(&self) -> (String, String) {
        (self.access.subject().to_owned(), self.query_id.clone())
    }

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
        self.registry.entries().remove(&self.entry.key());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::access::GraphSet, sparql::SparqlError};

    fn caller(query_id: &str) -> Caller {
        Caller {
            access: Access::everything(),
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
        assert_eq!(registry.list(&Access::everything()).len(), 101);
        drop((place, ours));
        assert!(registry.list(&Access::everything()).is_empty());
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
        let [first, other] = &registry.list(&Access::everything())[..] else {
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
        assert_eq!(
            registry.list(&Access::everything())[1].text_sha256,
            Some(TextHash::of(&long))
        );
    }

    #[test]
    fn cancelling_strikes_and_tells_why() {
        let registry = Registry::default();
        let interrupt = Interrupt::new(None);
        let place = registry.admit(caller("a"), "", interrupt.clone()).unwrap();
        assert!(!registry.cancel(&Access::everything(), "b"));
        assert_eq!(interrupt.check(), Ok(()));
        assert!(registry.cancel(&Access::everything(), "a") && registry.cancel(&Access::everything(), "a"));
        assert_eq!(interrupt.check(), Err(SparqlError::QueryCancelled));
        drop(place);
        assert!(!registry.cancel(&Access::everything(), "a"));
    }

    #[test]
    fn nobody_learns_of_the_queries_of_others() {
        let registry = Registry::default();
        let access = |subject: &str, is_admin| {
            Access::new(subject, GraphSet::default(), GraphSet::default(), is_admin)
        };
        let (one, other, admin) = (
            access("one", false),
            access("other", false),
            access("admin", true),
        );
        let enter = |access: &Access, query_id: &str, interrupt: &Interrupt| {
            let access = access.clone();
            registry.admit(
                Caller {
                    access,
                    ..caller(query_id)
                },
                "ASK {}",
                interrupt.clone(),
            )
        };
        let interrupts = [(); 2].map(|()| Interrupt::new(None));
        let places = [
            enter(&one, "a", &interrupts[0]),
            enter(&other, "a", &interrupts[1]),
        ]
        .map(Result::unwrap);
        assert!(enter(&one, "a", &interrupts[0]).is_err());
        assert_eq!(
            [&one, &other, &admin].map(|access| registry.list(access).len()),
            [1, 1, 2]
        );
        assert!(!registry.cancel(&access("third", false), "a"));
        assert!(registry.cancel(&one, "a"));
        assert!(interrupts[0].check().is_err() && interrupts[1].check().is_ok());
        assert!(registry.cancel(&admin, "a") && interrupts[1].check().is_err());
        drop(places);
        assert!(registry.list(&admin).is_empty());
    }
}
