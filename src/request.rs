//! The request at hand: its id for the log, and its span in a trace.
//!
//! A thread knows it as long as it works on the request. Who hands work to another thread or task hands it on: with [`on_thread`]
//! or [`on_task`].

use std::{
    cell::RefCell,
    pin::Pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tracing::{Span, span::EnteredSpan};

/// The header of requests and answers that has the id.
pub const HEADER: &str = "x-request-id";
/// Characters of an id that a caller may choose.
const ID_LENGTH_MAX: usize = 128;

thread_local! {
    static CURRENT: RefCell<Option<Request>> = const { RefCell::new(None) };
}

/// Tells the ids of this process from those of others.
static PROCESS: LazyLock<u32> = LazyLock::new(|| {
    // Where the system has no random numbers, that of the process still tells some apart.
    getrandom::u32().unwrap_or_else(|_| std::process::id())
});
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// One request. Clones are the same.
#[derive(Clone, Debug)]
pub struct Request(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: String,
    span: Span,
}

impl Request {
    /// Returns a request with its span in a trace, and its id.
    pub fn new(id: String, span: Span) -> Self {
        Self(Arc::new(Inner { id, span }))
    }

    /// Returns the id.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Returns the span in a trace; one that does nothing if the request is in none.
    pub fn span(&self) -> &Span {
        &self.0.span
    }

    /// Makes it the request that this thread works on, until the value is dropped.
    pub fn enter(&self) -> Working {
        Working {
            before: CURRENT.replace(Some(self.clone())),
            _span: (!self.0.span.is_disabled()).then(|| self.0.span.clone().entered()),
        }
    }

    /// Works on it wherever the future is polled.
    pub fn scope<F: Future>(&self, future: F) -> Scoped<F> {
        Scoped {
            request: self.clone(),
            future,
        }
    }
}

pin_project! {
    /// A future that is work on a request, as an `async` block is, but for the room: that would have it twice.
    #[derive(Debug)]
    pub struct Scoped<F> {
        request: Request,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let scoped = self.project();
        let _working = scoped.request.enter();
        scoped.future.poll(context)
    }
}

/// Work on a request that has begun.
#[derive(Debug)]
pub struct Working {
    before: Option<Request>,
    _span: Option<EnteredSpan>,
}

impl Drop for Working {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}

/// Returns the id that a caller chose, if it can be one, else one of our own.
///
/// Those of callers are 1 to 128 letters, digits and `-._:/+=@`: they go into the log as they are.
pub fn id(chosen: Option<&[u8]>) -> String {
    let is_fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:/+=@".contains(byte);
    chosen
        .filter(|id| (1..=ID_LENGTH_MAX).contains(&id.len()) && id.iter().all(is_fine))
        .and_then(|id| std::str::from_utf8(id).ok())
        .map_or_else(made_id, str::to_owned)
}

fn made_id() -> String {
    format!("{:08x}{:08x}", *PROCESS, NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Returns the request that this thread works on.
pub fn current() -> Option<Request> {
    CURRENT.with_borrow(Clone::clone)
}

/// Has a task go on with the request that this thread works on.
pub fn on_task<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let request = current();
    async move {
        match request {
            Some(request) => request.scope(work).await,
            None => work.await,
        }
    }
}

/// Has another thread go on with the request that this one works on.
pub fn on_thread<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let request = current();
    move || {
        let _working = request.as_ref().map(Request::enter);
        work()
    }
}

/// Returns the id of the request that this thread works on, else a new one.
pub fn current_id() -> String {
    CURRENT
        .with_borrow(|request| request.as_ref().map(|request| request.id().to_owned()))
        .unwrap_or_else(made_id)
}

/// Notes in the trace which revision a request reads or made.
pub fn note_revision(revision: u64) {
    // Of 64 bits without a sign OpenTelemetry would make a text.
    let revision = i64::try_from(revision).unwrap_or(i64::MAX);
    with_span(|span| {
        span.record("dossier.revision", revision);
    });
}

/// Notes in the trace which query or update a request runs.
pub fn note_query_id(query_id: &str) {
    with_span(|span| {
        span.record("dossier.query_id", query_id);
    });
}

fn with_span(note: impl FnOnce(&Span)) {
    CURRENT.with_borrow(|request| {
        if let Some(request) = request.as_ref().filter(|request| !request.span().is_disabled()) {
            note(request.span());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_choose_ids_that_can_stand_in_a_log() {
        let check = |chosen: &str, is_taken: bool| {
            assert_eq!(id(Some(chosen.as_bytes())) == chosen, is_taken, "{chosen}");
        };
        check("a", true);
        check("0f/A-b_c.d:e+f=@", true);
        check(&"x".repeat(ID_LENGTH_MAX), true);
        check(&"x".repeat(ID_LENGTH_MAX + 1), false);
        check("", false);
        check("two words", false);
        check("a\"b", false);
        check("é", false);
        check("a\nb", false);
        let (made, other) = (id(None), id(None));
        assert!(made.len() == 16 && made != other, "{made} {other}");
    }

    #[tokio::test]
    async fn a_thread_knows_what_it_works_on() {
        let request = |id: &str| Request::new(id.to_owned(), Span::none());
        assert!(current().is_none());
        let (outer, inner) = (request("outer"), request("inner"));
        outer
            .scope(async {
                let task = tokio::spawn(on_task(async {
                    tokio::task::yield_now().await;
                    current_id()
                }));
                assert_eq!(task.await.unwrap(), "outer");
                let thread = std::thread::spawn(on_thread(current_id));
                assert_eq!(thread.join().unwrap(), "outer");
                assert_eq!(current_id(), "outer");
                {
                    let _working = inner.enter();
                    assert_eq!(current_id(), "inner");
                }
                assert_eq!(current_id(), "outer");
            })
            .await;
        assert!(current().is_none());
        assert_ne!(current_id(), "outer");
    }
}
