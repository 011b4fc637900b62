//! Bodies of responses: whole, or a stream that is broken, never short, when something fails late.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::{Frame, SizeHint};
use tokio::{
    runtime::Handle,
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    time::{Sleep, sleep_until, timeout_at},
};

use super::{
    Ending,
    problem::{Problem, ended_at, internal},
    revision_header,
};
use crate::{
    auth::Tenure,
    sparql::{Interrupt, SparqlError},
};

/// Chunks that wait for the reader; with more the work waits.
const WAITING_CHUNK_COUNT_MAX: usize = 4;
/// How long an error waits for a slow reader, if there is no deadline.
const FAILURE_WAIT_MAX: Duration = Duration::from_mins(1);

/// The body of a response.
#[derive(Debug, Default)]
pub struct Body(Kind);

#[derive(Debug, Default)]
enum Kind {
    #[default]
    Empty,
    Whole(Bytes),
    Stream(ChunkStream),
    Events(EventStream),
}

/// A body ends before it is whole: the connection or stream is reset, so that nobody takes it for whole.
#[derive(Debug, thiserror::Error)]
#[error("the result was broken off: {detail}")]
pub struct BrokenOff {
    reason: &'static str,
    detail: String,
}

impl BrokenOff {
    /// Returns the reason of the error that came too late to be the response.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl From<Problem> for BrokenOff {
    fn from(problem: Problem) -> Self {
        Self {
            reason: problem.reason(),
            detail: problem.detail().to_owned(),
        }
    }
}

impl Body {
    /// Returns events as they come, then the last one, if it has anything in it.
    pub(super) fn events(events: mpsc::Receiver<Vec<Bytes>>, last: oneshot::Receiver<Bytes>) -> Self {
        Self(Kind::Events(EventStream {
            events,
            last: Some(last),
        }))
    }

    /// Breaks a stream off that has an end of its own, once its caller may not have it any more, or `ending` leaves no more time
    /// for it. Events see to that themselves.
    pub(super) fn end_with(&mut self, tenure: Option<Tenure>, ending: Option<Ending>) {
        if let Kind::Stream(stream) = &mut self.0
            && (tenure.is_some() || ending.is_some())
        {
            stream.over = Some(Over(Box::pin(async {
                tokio::select! {
                    lapse = Tenure::over(tenure) => Problem::from(lapse).into(),
                    () = Ending::of_call(ending) => ended_at(None).into(),
                }
            })));
        }
    }
}

/// Until a stream must be broken off, and why.
struct Over(Pin<Box<dyn Future<Output = BrokenOff> + Send>>);

impl fmt::Debug for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Over").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct EventStream {
    events: mpsc::Receiver<Vec<Bytes>>,
    last: Option<oneshot::Receiver<Bytes>>,
}

impl EventStream {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(events) = ready!(self.events.poll_recv(context)) {
            return Poll::Ready(Some(Ok(Frame::data(events.concat().into()))));
        }
        let Some(last) = &mut self.last else {
            return Poll::Ready(None);
        };
        let last = ready!(Pin::new(last).poll(context));
        self.last = None;
        Poll::Ready(match last {
            Ok(last) => (!last.is_empty()).then(|| Ok(Frame::data(last))),
            Err(_) => Some(Err(internal(&"the feed ended without its last word").into())),
        })
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Kind::Whole(bytes.into()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Kind::Stream(stream) => stream.poll_frame(context),
            Kind::Events(stream) => stream.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Stream(stream) => stream.is_ended,
            Kind::Events(stream) => stream.last.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(_) | Kind::Events(_) => SizeHint::default(),
        }
    }
}

/// Opens a response whose body is made on a thread of its own: the end that writes and the one that answers.
///
/// The caller's end cancels the work.
pub(super) fn open(interrupt: &Interrupt) -> (Chunks, Reply) {
    let (sender, receiver) = mpsc::channel(WAITING_CHUNK_COUNT_MAX);
    let (head, answer) = oneshot::channel();
    let chunks = Chunks {
        head: Some(head),
        sender,
        runtime: Handle::current(),
        interrupt: interrupt.clone(),
    };
    let stream = ChunkStream {
        receiver,
        end: interrupt
            .deadline()
            .map(|deadline| Box::pin(sleep_until(deadline.into()))),
        over: None,
        cancel: CancelOnDrop(interrupt.clone()),
        is_ended: false,
    };
    (chunks, Reply { answer, stream })
}

/// Cancels when its call is over, done or broken off.
#[derive(Debug)]
pub(super) struct CancelOnDrop(pub(super) Interrupt);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What is known once the first bytes are there.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) content_type: String,
    pub(super) revision: u64,
}

#[derive(Debug)]
enum Part {
    Bytes(Bytes),
    End,
    Failed(BrokenOff),
}

/// Either the whole body or the beginning of a stream.
type Answer = Result<(Head, Option<Vec<u8>>), Problem>;

/// The end of a response that the work writes to, on its own thread.
pub(super) struct Chunks {
    head: Option<oneshot::Sender<Answer>>,
    sender: mpsc::Sender<Part>,
    runtime: Handle,
    interrupt: Interrupt,
}

impl Chunks {
    /// Sends some bytes; the first ones send the status 200 with the head. Waits for a slow reader, but not past the deadline.
    pub(super) fn send(&mut self, bytes: Vec<u8>, head: impl FnOnce() -> Head) -> Result<(), SparqlError> {
        if let Some(sender) = self.head.take() {
            sender
                .send(Ok((head(), None)))
                .map_err(|_| SparqlError::Cancelled)?;
        }
        self.part(Part::Bytes(bytes.into()))
    }

    /// Sends the last bytes.
    pub(super) fn finish(mut self, bytes: Vec<u8>, head: impl FnOnce() -> Head) {
        let outcome = match self.head.take() {
            Some(sender) => sender
                .send(Ok((head(), Some(bytes))))
                .map_err(|_| SparqlError::Cancelled),
            None => self
                .part(Part::Bytes(bytes.into()))
                .and_then(|()| self.part(Part::End)),
        };
        if let Err(error) = outcome {
            self.fail(error.into());
        }
    }

    /// Ends with an error: as the response, or by breaking the body off if that has begun.
    pub(super) fn fail(mut self, problem: Problem) {
        // A reader that has gone needs no error.
        if let Some(sender) = self.head.take() {
            let _ = sender.send(Err(problem));
            return;
        }
        let end = self
            .interrupt
            .deadline()
            .unwrap_or_else(|| Instant::now() + FAILURE_WAIT_MAX);
        tracing::debug!(error = problem.detail(), "a result is broken off");
        let send = self.sender.send(Part::Failed(problem.into()));
        let _ = self
            .runtime
            .block_on(async { timeout_at(end.into(), send).await });
    }

    fn part(&self, part: Part) -> Result<(), SparqlError> {
        let part = match self.sender.try_send(part) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(SparqlError::Cancelled),
            Err(TrySendError::Full(part)) => part,
        };
        let sending = self.sender.send(part);
        let sent = match self.interrupt.deadline() {
            None => self.runtime.block_on(sending),
            Some(deadline) => self
                .runtime
                .block_on(async { timeout_at(deadline.into(), sending).await })
                .map_err(|_| SparqlError::DeadlineExceeded)?,
        };
        sent.map_err(|_| SparqlError::Cancelled)
    }
}

/// The end of a response that the caller waits for.
pub(super) struct Reply {
    answer: oneshot::Receiver<Answer>,
    stream: ChunkStream,
}

impl Reply {
    /// Waits for the first bytes, or for the error before them.
    pub(super) async fn response(self) -> Result<Response<Body>, Problem> {
        let interrupt = self.stream.cancel.0.clone();
        let waiting = async {
            match interrupt.deadline() {
                None => Ok(self.answer.await),
                Some(deadline) => timeout_at(deadline.into(), self.answer)
                    .await
                    .map_err(|_| SparqlError::DeadlineExceeded),
            }
        };
        let answer = tokio::select! {
            answer = waiting => answer?,
            () = interrupt.cancelled_by_request() => return Err(SparqlError::QueryCancelled.into()),
        };
        let (head, bytes) = answer.map_err(|_| internal(&"a result ended before it began"))??;
        let body = match bytes {
            Some(bytes) => bytes.into(),
            None => Body(Kind::Stream(self.stream)),
        };
        let mut response = Response::new(body);
        let content_type = HeaderValue::try_from(head.content_type).map_err(|error| internal(&error))?;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, content_type);
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        revision_header(headers, head.revision);
        Ok(response)
    }
}

/// The chunks of a body: an error at the deadline and when it is over, whatever the work is at, and if they end without a last word.
#[derive(Debug)]
struct ChunkStream {
    receiver: mpsc::Receiver<Part>,
    end: Option<Pin<Box<Sleep>>>,
    over: Option<Over>,
    cancel: CancelOnDrop,
    is_ended: bool,
}

impl ChunkStream {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.is_ended {
            return Poll::Ready(None);
        }
        if self
            .end
            .as_mut()
            .is_some_and(|end| end.as_mut().poll(context).is_ready())
        {
            return self.broken(Problem::from(SparqlError::DeadlineExceeded).into());
        }
        if let Some(Over(over)) = &mut self.over
            && let Poll::Ready(why) = over.as_mut().poll(context)
        {
            return self.broken(why);
        }
        match std::task::ready!(self.receiver.poll_recv(context)) {
            Some(Part::Bytes(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Some(Part::End) => {
                self.is_ended = true;
                Poll::Ready(None)
            }
            Some(Part::Failed(why)) => self.broken(why),
            None => self.broken(internal(&"the thread of a result is gone").into()),
        }
    }

    fn broken(&mut self, why: BrokenOff) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.is_ended = true;
        self.receiver.close();
        Poll::Ready(Some(Err(why)))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::http::problem::NO_MORE_TIME;

    fn head() -> Head {
        Head {
            content_type: "text/csv".to_owned(),
            revision: 1,
        }
    }

    #[tokio::test]
    async fn a_body_without_a_last_word_is_broken() {
        let (mut chunks, reply) = open(&Interrupt::new(None));
        chunks.send(b"a\n".to_vec(), head).unwrap();
        drop(chunks);
        let body = reply.response().await.unwrap().into_body();
        assert!(body.collect().await.is_err());
    }

    #[tokio::test]
    async fn a_body_is_broken_off_when_there_is_no_more_time() {
        let (mut chunks, reply) = open(&Interrupt::new(None));
        chunks.send(b"a\n".to_vec(), head).unwrap();
        let mut body = reply.response().await.unwrap().into_body();
        let ending = Ending {
            stream: CancellationToken::new(),
            call: CancellationToken::new(),
        };
        body.end_with(None, Some(ending.clone()));
        ending.stream.cancel();
        assert!(body.frame().await.unwrap().unwrap().is_data());
        ending.call.cancel();
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(error.to_string().contains(NO_MORE_TIME), "{error}");
    }

    #[tokio::test]
    async fn an_error_before_the_first_bytes_is_the_response() {
        let (chunks, reply) = open(&Interrupt::new(None));
        chunks.fail(SparqlError::DeadlineExceeded.into());
        let problem = reply.response().await.unwrap_err();
        assert_eq!(problem.status(), http::StatusCode::GATEWAY_TIMEOUT);
    }

    #[tokio::test]
    async fn what_is_whole_at_once_has_its_length() {
        let (chunks, reply) = open(&Interrupt::new(None));
        chunks.finish(b"a\n".to_vec(), head);
        let body = reply.response().await.unwrap().into_body();
        assert_eq!(http_body::Body::size_hint(&body).exact(), Some(2));
        assert_eq!(body.collect().await.unwrap().to_bytes().as_ref(), b"a\n");
    }
}
