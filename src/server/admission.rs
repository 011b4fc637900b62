//! Which calls run: those that are many and short up to a number, and whoever asks for health or administers always.
//!
//! Queries, watches, imports and exports have limits of their own, where their threads and their memory are. What waits for its
//! message is bounded by connections and their streams, and by how long a caller may be silent.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tonic::Status;

use crate::grpc::status::overloaded;

/// What stays possible when nothing else is: to see what the server does, and to cancel it. Queries wait for threads.
const NOT_COUNTED: [&str; 4] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.",
    "/dossier.v1.AdminService/",
    "/dossier.v1.SparqlService/",
];

/// The calls that run: those whose request has arrived, and which are not answered. Clones are the same ones.
#[derive(Clone, Debug)]
pub(super) struct Admission(Arc<Calls>);

#[derive(Debug)]
struct Calls {
    count: AtomicUsize,
    count_max: usize,
}

impl Admission {
    pub(super) fn new(count_max: usize) -> Self {
        let count = AtomicUsize::new(0);
        Self(Arc::new(Calls { count, count_max }))
    }

    /// Returns the place of a call that has begun, for it to take once its request is whole. A caller who sends headers and no
    /// message costs others nothing. `None`: it needs none. `is_stream`: something else counts it.
    pub(super) fn place(&self, path: &str, is_stream: bool) -> Option<Arc<Place>> {
        if is_stream || NOT_COUNTED.iter().any(|prefix| path.starts_with(prefix)) {
            return None;
        }
        Some(Arc::new(Place {
            calls: Arc::clone(&self.0),
            is_taken: AtomicBool::new(false),
        }))
    }

    /// Returns how many run.
    pub(super) fn count(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Returns how many may run.
    pub(super) fn count_max(&self) -> usize {
        self.0.count_max
    }
}

/// The place of a call, which is free again once this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    calls: Arc<Calls>,
    is_taken: AtomicBool,
}

impl Place {
    /// Lets the call begin, or refuses it at once.
    pub(super) fn take(&self) -> Result<(), Status> {
        if self.is_taken.swap(true, Ordering::Relaxed)
            || self.calls.count.fetch_add(1, Ordering::Relaxed) < self.calls.count_max
        {
            return Ok(());
        }
        Err(overloaded("the server runs as many calls as it takes"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // One that was refused was counted too.
        if self.is_taken.load(Ordering::Relaxed) {
            self.calls.count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::StatusExt as _;

    use super::*;

    const LOOKUP: &str = "/dossier.v1.EntityService/GetEntity";

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
}
