//! Which calls begin: those that are many and short up to a number, and whoever asks for health or administers always.
//!
//! Queries, watches, imports and exports have limits of their own, where their threads and their memory are.

use std::sync::atomic::{AtomicUsize, Ordering};

use tonic::Status;

use crate::grpc::status::overloaded;

/// What stays possible when nothing else is: to see what the server does, and to cancel it. Queries wait for threads.
const NOT_COUNTED: [&str; 4] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.",
    "/dossier.v1.AdminService/",
    "/dossier.v1.SparqlService/",
];

/// The calls that run.
#[derive(Debug)]
pub(super) struct Admission {
    count: AtomicUsize,
    count_max: usize,
}

impl Admission {
    pub(super) const fn new(count_max: usize) -> Self {
        Self {
            count: AtomicUsize::new(0),
            count_max,
        }
    }

    /// Lets a call begin, or refuses it at once; `is_stream`: something else counts it.
    pub(super) fn enter(&self, path: &str, is_stream: bool) -> Result<Option<Entered<'_>>, Status> {
        if is_stream || NOT_COUNTED.iter().any(|prefix| path.starts_with(prefix)) {
            return Ok(None);
        }
        let entered = Entered(self);
        if self.count.fetch_add(1, Ordering::Relaxed) < self.count_max {
            return Ok(Some(entered));
        }
        // Dropped, it counts no more.
        Err(overloaded("the server runs as many calls as it takes"))
    }

    /// Returns how many run.
    #[cfg(test)]
    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

/// A call that runs, until this is dropped.
#[derive(Debug)]
pub(super) struct Entered<'a>(&'a Admission);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
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
        let first = admission.enter(LOOKUP, false).unwrap();
        let _second = admission.enter(LOOKUP, false).unwrap();
        let refused = admission.enter(LOOKUP, false).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(refused.get_details_error_info().unwrap().reason, "OVERLOADED");
        assert!(refused.get_details_retry_info().is_some());
        assert_eq!(admission.count(), 2);
        for path in [
            "/grpc.health.v1.Health/Check",
            "/dossier.v1.AdminService/GetServerInfo",
            "/dossier.v1.SparqlService/CancelQuery",
        ] {
            assert!(admission.enter(path, false).unwrap().is_none(), "{path}");
        }
        assert!(admission.enter("/dossier.v1.ChangeService/Watch", true).is_ok());
        drop(first);
        assert!(admission.enter(LOOKUP, false).unwrap().is_some());
    }
}
