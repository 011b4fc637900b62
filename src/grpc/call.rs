//! What lies around every call: its deadline, faults of ours, and errors of tonic's own.

use std::{
    convert::Infallible,
    future::{pending, poll_fn},
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Extensions, HeaderMap, Response};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Sleep, sleep_until, timeout_at};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, body::Body};

use super::status::{deadline_exceeded, ended_at, internal, lapsed, malformed, no_role, of_tonic};
use crate::{
    auth::{Lapse, Tenure},
    knowledge::KnowledgeBase,
    model::access::Access,
};

const TIMEOUT: &str = "grpc-timeout";
/// The longest time that `grpc-timeout` can say is 99,999,999 hours; what is past this many seconds is no deadline.
const TIMEOUT_SECONDS_MAX: u64 = 10 * 365 * 24 * 60 * 60;

/// When the caller stops to wait: an extension of requests that have a deadline.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Instant);

/// Where the call comes from: an extension of requests.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// When the call must end although it could go on: an extension of requests.
#[derive(Clone, Debug)]
pub struct Ending {
    /// For a stream without an end of its own: the server drains, or the connection is old.
    pub stream: CancellationToken,
    /// For every call.
    pub call: CancellationToken,
}

/// What the answer of a call is, for its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lasting {
    /// One message, or a stream that knows itself of its end.
    Itself,
    /// A stream that comes to an end.
    Stream,
    /// A stream without an end of its own, which has its say before it is ended.
    Endless,
}

/// What a call is told at its [`Ending`], and what it needs for that.
#[derive(Clone)]
pub struct End {
    ending: Ending,
    knowledge: Option<KnowledgeBase>,
    lasting: Lasting,
}

impl End {
    /// Of a call that reads or writes `knowledge`.
    pub fn new(ending: &Ending, knowledge: Option<KnowledgeBase>, lasting: Lasting) -> Self {
        Self {
            ending: ending.clone(),
            knowledge,
            lasting,
        }
    }

    /// Returns the token of an answer that is a stream.
    fn token(&self) -> Option<&CancellationToken> {
        match self.lasting {
            Lasting::Itself => None,
            Lasting::Stream => Some(&self.ending.call),
            Lasting::Endless => Some(&self.ending.stream),
        }
    }

    /// A caller who begins anew reads no less than what it has read if it asks for this revision.
    fn status(&self) -> Status {
        let revision = self.knowledge.as_ref().map(KnowledgeBase::revision);
        ended_at(
            "the server, or this connection, has no more time for the call",
            revision,
        )
    }
}

/// Whether the caller broke off its side of a stream: an extension of requests whose body is a [`Watched`].
///
/// tonic shows a stream that was reset as one that has ended.
#[derive(Clone, Debug, Default)]
pub struct BrokenOff(Arc<AtomicBool>);

impl BrokenOff {
    /// Tells whether the caller broke off.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Returns what whoever calls may do. Where nobody has said so, it is nothing.
pub fn access(extensions: &Extensions) -> Result<Access, Status> {
    extensions.get::<Access>().cloned().ok_or_else(no_role)
}

/// Runs a call under the deadline of its headers and until its end, and puts right what comes out. A stream ends with its
/// `tenure`, unless it sees to that itself.
pub async fn answer(
    call: impl Future<Output = Result<Response<Body>, Infallible>>,
    deadline: Option<Instant>,
    end: Option<End>,
    tenure: Option<Tenure>,
) -> Response<Body> {
    let mut lapse = tenure.map(|tenure| -> Lapsing { Box::pin(Tenure::over(Some(tenure))) });
    let call = async {
        let mut call = pin!(without_panics(call));
        if end.is_none() && lapse.is_none() {
            return call.await;
        }
        tokio::select! {
            biased;
            response = &mut call => response,
            status = ended(end.as_ref()) => status.into_http(),
            lapse = over(&mut lapse) => lapsed(lapse).into_http(),
        }
    };
    let response = match deadline {
        None => call.await,
        Some(deadline) => match timeout_at(deadline.into(), call).await {
            Ok(response) => response,
            Err(_) => return deadline_exceeded().into_http(),
        },
    };
    let end = end.and_then(|end| Some((Box::pin(end.token()?.clone().cancelled_owned()), end)));
    with_our_errors(response).map(|body| {
        if body.is_end_stream() || (deadline.is_none() && end.is_none() && lapse.is_none()) {
            return body;
        }
        Body::new(Bounded {
            body,
            deadline: deadline.map(|deadline| Box::pin(sleep_until(deadline.into()))),
            end,
            lapse,
            is_ended: false,
        })
    })
}

/// Until a tenure is over.
type Lapsing = Pin<Box<dyn Future<Output = Lapse> + Send>>;

async fn ended(end: Option<&End>) -> Status {
    match end {
        Some(end) => {
            end.ending.call.cancelled().await;
            end.status()
        }
        None => pending().await,
    }
}

async fn over(lapse: &mut Option<Lapsing>) -> Lapse {
    match lapse {
        Some(lapse) => lapse.await,
        None => pending().await,
    }
}

/// Returns the deadline that headers set (`grpc-timeout`), `None` without one.
pub fn deadline_of(headers: &HeaderMap) -> Result<Option<Instant>, Status> {
    let Some(value) = headers.get(TIMEOUT) else {
        return Ok(None);
    };
    let timeout = value.to_str().ok().and_then(parse_timeout);
    let timeout = timeout.ok_or_else(|| malformed("the header grpc-timeout is malformed"))?;
    Ok((timeout.as_secs() < TIMEOUT_SECONDS_MAX).then(|| Instant::now() + timeout))
}

/// Parses 1 to 8 digits and a unit (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>, Timeout).
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(value * 60 * 60),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

/// Answers a panic with `INTERNAL`; the panic's message is on standard error by then.
async fn without_panics(call: impl Future<Output = Result<Response<Body>, Infallible>>) -> Response<Body> {
    let mut call = pin!(call);
    let polled = poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Ok(response))) => Poll::Ready(response),
            Err(_) => Poll::Ready(internal(&"a handler panicked").into_http()),
        },
    );
    polled.await
}

fn with_our_errors(mut response: Response<Body>) -> Response<Body> {
    if !response.headers().contains_key(Status::GRPC_STATUS) {
        return response;
    }
    let status = response.extensions_mut().remove::<Status>();
    match status.or_else(|| Status::from_header_map(response.headers())) {
        Some(status) if status.details().is_empty() => of_tonic(&status).into_http(),
        _ => response,
    }
}

/// A response that ends with `DEADLINE_EXCEEDED` at the deadline, with `UNAVAILABLE` at its end, or with its tenure, whatever has
/// come by then.
struct Bounded {
    body: Body,
    deadline: Option<Pin<Box<Sleep>>>,
    end: Option<(Pin<Box<WaitForCancellationFutureOwned>>, End)>,
    lapse: Option<Lapsing>,
    is_ended: bool,
}

impl Bounded {
    /// Returns how the call ends, if it must.
    fn status(&mut self, context: &mut Context<'_>) -> Option<Status> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            return Some(deadline_exceeded());
        }
        if let Some(lapse) = &mut self.lapse
            && let Poll::Ready(lapse) = lapse.as_mut().poll(context)
        {
            return Some(lapsed(lapse));
        }
        self.ended(context, Lasting::Stream)
    }

    /// Returns how a stream of one kind ends, if its end has come.
    fn ended(&mut self, context: &mut Context<'_>, lasting: Lasting) -> Option<Status> {
        let (token, end) = self.end.as_mut().filter(|(_, end)| end.lasting == lasting)?;
        token.as_mut().poll(context).is_ready().then(|| end.status())
    }

    fn end_with(&mut self, status: &Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.is_ended = true;
        self.body = Body::empty();
        let mut trailers = HeaderMap::new();
        let ended = status.add_header(&mut trailers);
        Poll::Ready(Some(ended.map(|()| Frame::trailers(trailers))))
    }
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_ended {
            return Poll::Ready(None);
        }
        if let Some(status) = self.status(context) {
            return self.end_with(&status);
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_pending()
            && let Some(status) = self.ended(context, Lasting::Endless)
        {
            return self.end_with(&status);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.is_ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// A request body that remembers whether it was broken off.
pub struct Watched<B> {
    body: B,
    broken_off: BrokenOff,
}

impl<B> Watched<B> {
    /// Watches a body.
    pub fn new(body: B, broken_off: BrokenOff) -> Self {
        Self { body, broken_off }
    }
}

impl<B: http_body::Body + Unpin> http_body::Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(Some(Err(_)))) {
            self.broken_off.0.store(true, Ordering::Release);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Duration>) {
        assert_eq!(parse_timeout(text), expected, "{text}");
    }

    async fn code_of(
        call: impl Future<Output = Result<Response<Body>, Infallible>>,
        deadline: Option<Instant>,
    ) -> tonic::Code {
        let response = answer(call, deadline, None, None).await;
        let status = Status::from_header_map(response.headers()).unwrap();
        assert!(!status.details().is_empty());
        status.code()
    }

    #[tokio::test]
    async fn deadlines_and_panics_end_calls() {
        let soon = Some(Instant::now() + Duration::from_millis(5));
        assert_eq!(
            code_of(std::future::pending(), soon).await,
            tonic::Code::DeadlineExceeded
        );
        assert_eq!(
            code_of(async { panic!("a fault") }, None).await,
            tonic::Code::Internal
        );
        let of_tonic = async { Ok(Status::out_of_range("too large").into_http()) };
        assert_eq!(code_of(of_tonic, None).await, tonic::Code::ResourceExhausted);
    }

    #[test]
    fn timeouts_are_parsed() {
        check("1H", Some(Duration::from_hours(1)));
        check("2M", Some(Duration::from_mins(2)));
        check("3S", Some(Duration::from_secs(3)));
        check("4m", Some(Duration::from_millis(4)));
        check("5u", Some(Duration::from_micros(5)));
        check("99999999n", Some(Duration::from_nanos(99_999_999)));
        for text in [
            "",
            "S",
            "1",
            "1s",
            "-1S",
            "+1S",
            "1.5S",
            "123456789S",
            "1 S",
            "１S",
        ] {
            check(text, None);
        }
    }
}
