//! The stream of one query: from its thread to its caller.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use oxigraph::model::Triple;
use prost::Message as _;
use tokio::{
    runtime::Handle,
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    time::{Sleep, sleep_until, timeout_at},
};
use tokio_stream::Stream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;

use super::{
    rows::{Encoder, Triples},
    status::{deadline_exceeded, internal, query_cancelled},
};
use crate::{
    proto::v1::{self, query_response::Frame},
    sparql::{Interrupt, QueryForm, Row, RunLimit, Sink, SparqlError},
};

/// Frames that wait for the reader; with more the query waits.
const WAITING_FRAME_COUNT_MAX: usize = 4;
/// Rows do not wait longer for more rows to go with them.
const BATCH_WAIT_MAX: Duration = Duration::from_millis(10);

/// How long an error waits for a slow reader, if there is no deadline.
const FAILURE_WAIT_MAX: Duration = Duration::from_mins(1);

type Answer = Result<v1::QueryResponse, Status>;

/// Opens a stream: the end that writes and the one that reads.
pub(super) fn open(interrupt: &Interrupt) -> (Frames, QueryStream) {
    let (sender, receiver) = mpsc::channel(WAITING_FRAME_COUNT_MAX);
    let (done, is_done) = oneshot::channel::<()>();
    tokio::spawn(watch(sender.clone(), interrupt.clone(), is_done));
    let frames = Frames {
        sender,
        runtime: Handle::current(),
        interrupt: interrupt.clone(),
        _done: done,
    };
    let end = interrupt
        .deadline()
        .map(|deadline| Box::pin(sleep_until(deadline.into())));
    (
        frames,
        QueryStream {
            receiver,
            end,
            cancelled: Box::pin(interrupt.cancelled_by_request()),
            is_ended: false,
        },
    )
}

/// Strikes when the reader has gone or the deadline has come, whatever the query is at.
async fn watch(sender: mpsc::Sender<Answer>, interrupt: Interrupt, is_done: oneshot::Receiver<()>) {
    let deadline = async {
        match interrupt.deadline() {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = is_done => {}
        () = sender.closed() => interrupt.cancel(),
        () = deadline => {
            // It strikes when it looks at the clock.
            let _ = interrupt.check();
        }
    }
}

/// The end of a stream that the query writes to, on its own thread.
pub(super) struct Frames {
    sender: mpsc::Sender<Answer>,
    runtime: Handle,
    interrupt: Interrupt,
    /// Dropped at the end: then nobody watches any more.
    _done: oneshot::Sender<()>,
}

impl Frames {
    /// Sends a frame; waits for a slow reader, but not past the deadline.
    pub(super) fn send(&self, frame: Frame) -> Result<(), SparqlError> {
        self.send_response(v1::QueryResponse { frame: Some(frame) })
    }

    fn send_response(&self, response: v1::QueryResponse) -> Result<(), SparqlError> {
        let answer = match self.sender.try_send(Ok(response)) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(SparqlError::Cancelled),
            Err(TrySendError::Full(answer)) => answer,
        };
        let sent = async {
            match self.interrupt.deadline() {
                None => self.sender.send(answer).await,
                Some(deadline) => timeout_at(deadline.into(), self.sender.send(answer))
                    .await
                    .map_err(|_| SparqlError::DeadlineExceeded)?,
            }
            .map_err(|_| SparqlError::Cancelled)
        };
        self.runtime.block_on(async {
            tokio::select! {
                sent = sent => sent,
                () = self.interrupt.cancelled_by_request() => Err(SparqlError::QueryCancelled),
            }
        })
    }

    /// Ends the stream with an error.
    pub(super) fn fail(self, error: SparqlError) {
        if error == SparqlError::QueryCancelled {
            // The reader's end knows it itself.
            return;
        }
        let status = Err(Status::from(error));
        // The reader's end knows the deadline itself.
        let deadline = self
            .interrupt
            .deadline()
            .unwrap_or_else(|| Instant::now() + FAILURE_WAIT_MAX);
        let send = async { timeout_at(deadline.into(), self.sender.send(status)).await };
        // A reader that has gone needs no status.
        let _ = self.runtime.block_on(send);
    }
}

/// The end of a stream that the caller reads: it ends with `DEADLINE_EXCEEDED` at the deadline and with `CANCELLED` when the
/// query was cancelled by its id, whatever the query is at.
pub struct QueryStream {
    receiver: mpsc::Receiver<Answer>,
    end: Option<Pin<Box<Sleep>>>,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    is_ended: bool,
}

impl Stream for QueryStream {
    type Item = Answer;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Answer>> {
        if self.is_ended {
            return Poll::Ready(None);
        }
        if self
            .end
            .as_mut()
            .is_some_and(|end| end.as_mut().poll(context).is_ready())
        {
            self.is_ended = true;
            self.receiver.close();
            return Poll::Ready(Some(Err(deadline_exceeded())));
        }
        if self.cancelled.as_mut().poll(context).is_ready() {
            self.is_ended = true;
            self.receiver.close();
            return Poll::Ready(Some(Err(query_cancelled())));
        }
        let answer = std::task::ready!(self.receiver.poll_recv(context));
        match &answer {
            Some(
                Ok(v1::QueryResponse {
                    frame: Some(Frame::Complete(_)),
                })
                | Err(_),
            ) => self.is_ended = true,
            Some(Ok(_)) => {}
            // Its thread is gone without a last word: a short result must not look whole.
            None => {
                self.is_ended = true;
                return Poll::Ready(Some(Err(internal(&"a query ended without its last frame"))));
            }
        }
        Poll::Ready(answer)
    }
}

/// Sends a result as frames.
pub(super) struct FrameSink<'a> {
    frames: &'a Frames,
    header: v1::QueryHeader,
    rows: Encoder,
    triples: Triples,
    sent_at: Option<Instant>,
    /// Bytes of the frames that were sent.
    sent_bytes: u64,
}

impl<'a> FrameSink<'a> {
    /// `header`: its form and variables are filled in.
    pub(super) fn new(frames: &'a Frames, header: v1::QueryHeader, encoding: v1::RowEncoding) -> Self {
        Self {
            frames,
            header,
            rows: Encoder::new(encoding),
            triples: Triples::default(),
            sent_at: None,
            sent_bytes: 0,
        }
    }

    /// Sends what is left.
    pub(super) fn flush(&mut self) -> Result<(), SparqlError> {
        let frame = self.rows.take().or_else(|| self.triples.take());
        self.sent_at = Some(Instant::now());
        frame.map_or(Ok(()), |frame| self.send(frame))
    }

    /// Sends a frame, unless the result is too large with it.
    fn send(&mut self, frame: Frame) -> Result<(), SparqlError> {
        let response = v1::QueryResponse { frame: Some(frame) };
        self.sent_bytes += response.encoded_len() as u64;
        let limit_value = self.frames.interrupt.limits().result_bytes_max;
        if self.sent_bytes > limit_value {
            return Err(SparqlError::LimitExceeded {
                limit: RunLimit::ResultBytes,
                limit_value,
            });
        }
        self.frames.send_response(response)
    }

    /// The first row goes at once, the others together.
    fn is_due(&self) -> bool {
        self.sent_at
            .is_none_or(|sent_at| sent_at.elapsed() >= BATCH_WAIT_MAX)
    }
}

impl Sink for FrameSink<'_> {
    fn header(&mut self, form: QueryForm, variables: &[&str]) -> Result<(), SparqlError> {
        let mut header = std::mem::take(&mut self.header);
        header.set_form(form.into());
        header.variables = variables.iter().map(|&name| name.to_owned()).collect();
        self.send(Frame::Header(header))
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), SparqlError> {
        if self.rows.push(&row) || self.is_due() {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn triple(&mut self, triple: &Triple) -> Result<(), SparqlError> {
        if self.triples.push(triple) || self.is_due() {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn boolean(&mut self, answer: bool) -> Result<(), SparqlError> {
        self.send(Frame::Boolean(answer))
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn a_stream_without_a_last_word_ends_with_an_error() {
        let (frames, mut stream) = open(&Interrupt::new(None));
        frames.send(Frame::Boolean(true)).unwrap();
        drop(frames);
        assert!(stream.next().await.unwrap().is_ok());
        assert_eq!(stream.next().await.unwrap().unwrap_err().code(), Code::Internal);
        assert!(stream.next().await.is_none());
    }
}
