//! The bodies of requests on their way in: a caller who is too slow is not waited for, and all together take so much memory.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, Collected};
use tokio::time::{Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, codegen::StdError};

use super::status::{cancelled, internal, message_too_large, overloaded, request_stalled};
use crate::intake::{self, FULL, Intake, Pace};

/// What lies before a message: whether it is compressed, and its length.
const PREFIX_BYTES: u64 = 5;

/// Receives bodies.
#[derive(Clone, Debug)]
pub struct RequestBodies {
    intake: Intake,
    message_bytes_max: u64,
}

impl RequestBodies {
    /// Receives under rules; a message may have so many bytes.
    pub fn new(intake: Intake, message_bytes_max: u64) -> Self {
        // What never fits is no matter of waiting.
        let message_bytes_max = message_bytes_max.min(intake.request_bytes_max());
        Self {
            intake,
            message_bytes_max,
        }
    }

    /// Returns the rules.
    pub const fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Receives a body of one message, until it is whole. Its bytes are taken of what the request at hand holds.
    pub async fn whole<B>(&self, body: B) -> Result<Collected<Bytes>, Status>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
        B::Error: Into<StdError>,
    {
        let mut body = self.received(body);
        body.bytes_left = Some(self.message_bytes_max + PREFIX_BYTES);
        let collected = body.collect().await;
        collected.map_err(|error| match error.downcast::<Status>() {
            Ok(status) => *status,
            Err(error) => internal(&error),
        })
    }

    /// Receives a body whose messages are small, however many they are: nobody needs a place, and no memory of all is taken. So
    /// strangers can take none.
    pub fn receive_small<B>(&self, body: B) -> Received<B> {
        self.received(body)
    }

    fn received<B>(&self, body: B) -> Received<B> {
        Received {
            body,
            pace: self.intake.pace(),
            stall: None,
            bytes_left: None,
            answered: None,
        }
    }
}

/// A body that is received. Its errors are statuses.
pub struct Received<B> {
    body: B,
    pace: Pace,
    /// There once the caller was waited for.
    stall: Option<Pin<Box<Sleep>>>,
    /// What may come yet, of memory that all share. None where it is little.
    bytes_left: Option<u64>,
    /// None where nobody waits for it after the answer.
    answered: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl<B> Received<B> {
    /// Breaks off once the answer has ended: who still waits for questions then would keep the stream open.
    #[must_use]
    pub fn until(mut self, answered: CancellationToken) -> Self {
        self.answered = Some(Box::pin(answered.cancelled_owned()));
        self
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        let deadline = self.pace.deadline();
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if stall.deadline() != deadline {
            stall.as_mut().reset(deadline);
        }
        stall
            .as_mut()
            .poll(context)
            .map(|()| request_stalled(self.pace.time()))
    }

    /// Counts what has come.
    fn take(&mut self, byte_count: u64) -> Result<(), Status> {
        self.pace.came(byte_count);
        let Some(bytes_left) = &mut self.bytes_left else {
            return Ok(());
        };
        *bytes_left = bytes_left
            .checked_sub(byte_count)
            .ok_or_else(|| message_too_large("the message has more bytes than the server takes"))?;
        if intake::take(byte_count) {
            Ok(())
        } else {
            Err(overloaded(FULL))
        }
    }
}

impl<B> http_body::Body for Received<B>
where
    B: http_body::Body + Unpin,
    B::Error: Into<StdError>,
{
    type Data = B::Data;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, StdError>>> {
        let Poll::Ready(polled) = Pin::new(&mut self.body).poll_frame(context) else {
            if let Some(answered) = &mut self.answered
                && answered.as_mut().poll(context).is_ready()
            {
                return Poll::Ready(Some(Err(cancelled().into())));
            }
            let status = ready!(self.wait(context));
            return Poll::Ready(Some(Err(status.into())));
        };
        Poll::Ready(polled.map(|frame| {
            // Whoever breaks off makes no fault of ours.
            let frame = frame.map_err(|_| StdError::from(cancelled()))?;
            self.take(frame.data_ref().map_or(0, |data| data.remaining() as u64))?;
            Ok(frame)
        }))
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
    use std::time::Duration;

    use futures::{Stream, StreamExt as _};
    use http_body_util::{Full, StreamBody};
    use tonic::{Code, body::Body};

    use super::*;

    const STALL_MAX: Duration = Duration::from_millis(100);
    const FREE_BYTES: u64 = 64 << 10;
    const MESSAGE_BYTES_MAX: u64 = 1 << 20;

    fn bodies(stall_max: Duration, bytes_max: u64) -> RequestBodies {
        RequestBodies::new(Intake::new(stall_max, bytes_max), MESSAGE_BYTES_MAX)
    }

    fn piece(len: u64) -> Bytes {
        Bytes::from(vec![0; usize::try_from(len).unwrap()])
    }

    fn streamed(pieces: impl Stream<Item = Result<Bytes, Status>> + Send + 'static) -> Body {
        Body::new(StreamBody::new(pieces.map(|piece| piece.map(Frame::data))))
    }

    /// Receives a body; returns how many bytes it has.
    async fn whole<B>(bodies: &RequestBodies, body: B) -> Result<usize, Code>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
        B::Error: Into<StdError>,
    {
        let received = bodies.intake.hold().during(bodies.whole(body)).await;
        received
            .map(|body| body.to_bytes().len())
            .map_err(|status| status.code())
    }

    #[tokio::test]
    async fn bodies_take_memory_unless_their_messages_are_small() {
        let bodies = bodies(STALL_MAX, 10);
        let held = bodies.intake.hold();
        let work = async {
            bodies.whole(Full::new(piece(FREE_BYTES + 6))).await.unwrap();
            let taken = bodies.intake.bytes();
            (taken, whole(&bodies, Full::new(piece(FREE_BYTES + 5))).await)
        };
        assert_eq!(held.during(work).await, (6, Err(Code::ResourceExhausted)));
        assert_eq!(bodies.intake.bytes(), 0);
        let mut small = bodies.receive_small(Full::new(piece(FREE_BYTES + 11)));
        assert!(small.frame().await.unwrap().is_ok() && bodies.intake.bytes() == 0);
    }

    #[tokio::test]
    async fn a_message_is_no_larger_than_it_may_be() {
        let bodies = bodies(STALL_MAX, u64::MAX);
        let most = MESSAGE_BYTES_MAX + PREFIX_BYTES;
        assert_eq!(
            whole(&bodies, Full::new(piece(most))).await,
            Ok(usize::try_from(most).unwrap())
        );
        let more = whole(&bodies, Full::new(piece(most + 1))).await;
        assert_eq!(more, Err(Code::ResourceExhausted));
    }

    #[tokio::test]
    async fn silence_and_breaking_off_are_statuses() {
        let bodies = bodies(STALL_MAX, 10);
        let first = futures::stream::iter([Ok(Bytes::from_static(b"x"))]);
        let silent = whole(&bodies, streamed(first.clone().chain(futures::stream::pending()))).await;
        assert_eq!(silent, Err(Code::DeadlineExceeded));
        let broken_off = futures::stream::iter([Err(Status::unknown("reset"))]);
        assert_eq!(
            whole(&bodies, streamed(first.clone().chain(broken_off))).await,
            Err(Code::Cancelled)
        );
        assert_eq!(whole(&bodies, streamed(first)).await, Ok(1));
    }

    #[tokio::test]
    async fn who_lets_bytes_trickle_is_not_waited_for() {
        let time = Duration::from_millis(500);
        let bodies = bodies(time, u64::MAX);
        let received = async |piece_bytes: u64| {
            let pieces = futures::stream::repeat(piece(piece_bytes))
                .take(20)
                .then(move |piece| async move {
                    tokio::time::sleep(time / 10).await;
                    Ok(piece)
                });
            whole(&bodies, streamed(pieces)).await
        };
        assert_eq!(received(1).await, Err(Code::DeadlineExceeded));
        let piece_bytes = intake::BYTES_MIN;
        assert_eq!(
            received(piece_bytes).await,
            Ok(20 * usize::try_from(piece_bytes).unwrap())
        );
    }
}
