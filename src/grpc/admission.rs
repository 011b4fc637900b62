//! Which calls run: those that are many and short up to a number, and whoever asks for health or administers always.
//!
//! Who waits for a revision runs not, and writes, which may wait for one another, leave a quarter of the places to lookups: so whoever
//! waits keeps out nobody whose answer is at hand. Queries, watches, imports and exports have limits of their own, where their threads
//! and their memory are. What waits for its message is bounded by connections and their streams, and by how long a caller may be silent.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
};

use tonic::Status;

use super::status::overloaded;

/// What stays possible when nothing else is: to see what the server does, and to cancel it. Queries wait for threads.
const NOT_COUNTED: [&str; 4] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.",
    "/dossier.v1.AdminService/",
    "/dossier.v1.SparqlService/",
];
const WRITES: &str = "/dossier.v1.WriteService/";

/// The calls that run: those whose request has arrived, and which are not answered. Clones are the same ones.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Calls>);

#[derive(Debug)]
struct Calls {
    all: Count,
    /// Of them.
    writes: Count,
}

/// How many there are.
#[derive(Debug)]
struct Count {
    now: AtomicUsize,
    max: usize,
}

impl Count {
    fn new(max: usize) -> Self {
        let now = AtomicUsize::new(0);
        Self { now, max }
    }

    /// Counts one more; false if there are as many as may be.
    fn add(&self) -> bool {
        let add = |now| (now < self.max).then_some(now + 1);
        self.now
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .is_ok()
    }

    fn subtract(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    /// So many may run; of them three quarters may be writes, and one always.
    pub fn new(count_max: usize) -> Self {
        let write_count_max = count_max.saturating_mul(3) / 4;
        Self(Arc::new(Calls {
            all: Count::new(count_max),
            writes: Count::new(write_count_max.max(1)),
        }))
    }

    /// Returns the place of a call that has begun, for it to take once its request is whole. A caller who sends headers and no
    /// message costs others nothing. `None`: it needs none. `is_stream`: something else counts it.
    pub fn place(&self, path: &str, is_stream: bool) -> Option<Arc<Place>> {
        if is_stream || NOT_COUNTED.iter().any(|prefix| path.starts_with(prefix)) {
            return None;
        }
        Some(Arc::new(Place {
            calls: Arc::clone(&self.0),
            is_write: path.starts_with(WRITES),
            is_taken: AtomicBool::new(false),
        }))
    }

    /// Returns how many run.
    pub fn count(&self) -> usize {
        self.0.all.now.load(Ordering::Relaxed)
    }

    /// Returns how many may run.
    pub fn count_max(&self) -> usize {
        self.0.all.max
    }
}

/// The place of a call, an extension of its request. It is free again once this is dropped.
#[derive(Debug)]
pub struct Place {
    calls: Arc<Calls>,
    is_write: bool,
    is_taken: AtomicBool,
}

impl Place {
    /// Lets the call begin, or refuses it at once.
    pub fn take(&self) -> Result<(), Status> {
        if self.is_taken.load(Ordering::Relaxed) {
            return Ok(());
        }
        if self.is_write && !self.calls.writes.add() {
            return Err(overloaded("the server runs as many writes as it takes"));
        }
        if !self.calls.all.add() {
            if self.is_write {
                self.calls.writes.subtract();
            }
            return Err(overloaded("the server runs as many calls as it takes"));
        }
        self.is_taken.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Awaits what the call cannot go on without, and has no place meanwhile. It may find none afterwards.
    pub async fn wait<T>(&self, waiting: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let mut waiting = pin!(waiting);
        let at_once = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context))).await;
        if let Poll::Ready(done) = at_once {
            return done;
        }
        self.leave();
        let done = waiting.await?;
        self.take()?;
        Ok(done)
    }

    fn leave(&self) {
        if self.is_taken.swap(false, Ordering::Relaxed) {
            self.calls.all.subtract();
            if self.is_write {
                self.calls.writes.subtract();
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tonic::Code;
    use tonic_types::StatusExt as _;

    use super::*;

    const LOOKUP: &str = "/dossier.v1.EntityService/GetEntity";
    const WRITE: &str = "/dossier.v1.WriteService/WriteFacts";

    #[test]
    fn one_call_too_many_is_refused_but_not_who_looks_after_the_server() {
        let admission = Admission::new(2);
        let place = || admission.place(LOOKUP, false).unwrap();
        // However many have begun, only those that have arrived count.
        let waiting: Vec<_> = (0..10).map(|_| place()).collect();
        let (first, second) = (place(), place());
        first.take().unwrap();
        second.take().unwrap();
        assert_eq!(admission.count(), 2);
        let refused = waiting[0].take().unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(refused.get_details_error_info().unwrap().reason, "OVERLOADED");
        assert!(refused.get_details_retry_info().is_some());
        drop(waiting);
        assert_eq!(admission.count(), 2);
        for path in [
            "/grpc.health.v1.Health/Check",
            "/dossier.v1.AdminService/GetServerInfo",
            "/dossier.v1.SparqlService/CancelQuery",
        ] {
            assert!(admission.place(path, false).is_none(), "{path}");
        }
        assert!(admission.place("/dossier.v1.ChangeService/Watch", true).is_none());
        drop(first);
        place().take().unwrap();
        drop(second);
        assert_eq!(admission.count(), 0);
    }

    #[test]
    fn writes_leave_places_to_lookups() {
        for (count_max, write_count_max) in [(1, 1), (2, 1), (8, 6), (1_024, 768)] {
            let admission = Admission::new(count_max);
            let begin = |path| {
                let place = admission.place(path, false).unwrap();
                place.take().ok().map(|()| place)
            };
            let mut taken: Vec<_> = std::iter::from_fn(|| begin(WRITE)).collect();
            assert_eq!(taken.len(), write_count_max);
            taken.extend(std::iter::from_fn(|| begin(LOOKUP)));
            assert_eq!((taken.len(), admission.count()), (count_max, count_max));
            // Who is refused for all is not counted among the writes.
            taken.swap_remove(0);
            taken.extend(begin(LOOKUP));
            assert!(begin(WRITE).is_none());
            drop(taken);
            assert_eq!(admission.count(), 0);
            let writes: Vec<_> = std::iter::from_fn(|| begin(WRITE)).collect();
            assert_eq!(writes.len(), write_count_max);
        }
    }

    #[tokio::test]
    async fn who_waits_has_no_place() {
        let admission = Admission::new(1);
        let place = || admission.place(LOOKUP, false).unwrap();
        let waiter = place();
        waiter.take().unwrap();
        let at_once = waiter.wait(async { Ok::<_, Status>(admission.count()) });
        assert_eq!(at_once.await.unwrap(), 1);
        let waiting = async |other: Option<Arc<Place>>| {
            let (done, wait) = oneshot::channel::<usize>();
            let going_on = async {
                let count = admission.count();
                if let Some(other) = &other {
                    other.take().unwrap();
                }
                done.send(count).unwrap();
            };
            let wait = async { Ok::<_, Status>(wait.await.unwrap()) };
            tokio::join!(waiter.wait(wait), going_on).0
        };
        assert_eq!(waiting(None).await.unwrap(), 0);
        assert_eq!(admission.count(), 1);
        let other = place();
        let refused = waiting(Some(Arc::clone(&other))).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        drop((waiter, other));
        assert_eq!(admission.count(), 0);
    }
}
