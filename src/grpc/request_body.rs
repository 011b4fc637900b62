//! The bodies of requests on their way in: a caller who is too slow is not waited for, and all together take so much memory.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf as _;
use http_body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, codegen::StdError};

use super::status::{cancelled, overloaded, request_stalled};
use crate::intake::{FULL, Held, Intake, Pace};

/// Receives bodies.
#[derive(Clone, Debug)]
pub struct RequestBodies(Intake);

impl RequestBodies {
    /// Receives under rules.
    pub const fn new(intake: Intake) -> Self {
        Self(intake)
    }

    /// Returns the rules.
    pub const fn intake(&self) -> &Intake {
        &self.0
    }

    /// Receives a body under these rules. Once all of it is there `admit` says whether the call may run.
    pub fn receive<B, A>(&self, body: B, admit: A) -> Received<B, A>
    where
        A: FnOnce() -> Result<(), Status>,
    {
        self.received(body, admit, Some(self.0.hold()))
    }

    /// Receives a body whose messages are small, however many they are: nobody needs a place, and no memory of all is taken. So
    /// strangers can take none.
    pub fn receive_small<B>(&self, body: B) -> Received<B, Always> {
        self.received(body, || Ok(()), None)
    }

    fn received<B, A>(&self, body: B, admit: A, held: Option<Held>) -> Received<B, A> {
        Received {
            body,
            admit: Some(admit),
            pace: self.0.pace(),
            stall: None,
            held,
            answered: None,
        }
    }
}

/// Lets every call in.
pub type Always = fn() -> Result<(), Status>;

/// A body that is received. Its errors are statuses.
pub struct Received<B, A> {
    body: B,
    /// None once it was asked.
    admit: Option<A>,
    pace: Pace,
    /// There once the caller was waited for.
    stall: Option<Pin<Box<Sleep>>>,
    /// None where it is little.
    held: Option<Held>,
    /// None where nobody waits for it after the answer.
    answered: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl<B, A> Received<B, A> {
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
}

impl<B, A> http_body::Body for Received<B, A>
where
    B: http_body::Body + Unpin,
    B::Error: Into<StdError>,
    A: FnOnce() -> Result<(), Status> + Unpin,
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
        // Trailers are the last frame.
        let is_whole = match &polled {
            None => true,
            Some(frame) => frame.as_ref().is_ok_and(Frame::is_trailers),
        };
        if is_whole
            && let Some(admit) = self.admit.take()
            && let Err(refused) = admit()
        {
            return Poll::Ready(Some(Err(refused.into())));
        }
        Poll::Ready(polled.map(|frame| {
            // Whoever breaks off makes no fault of ours.
            let frame = frame.map_err(|_| StdError::from(cancelled()))?;
            let byte_count = frame.data_ref().map_or(0, |data| data.remaining() as u64);
            self.pace.came(byte_count);
            if self.held.as_mut().is_none_or(|held| held.take(byte_count)) {
                Ok(frame)
            } else {
                Err(overloaded(FULL).into())
            }
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

    use futures::StreamExt as _;
    use http_body_util::{BodyExt as _, Full};
    use tonic::{Code, body::Body};

    use super::*;

    const STALL_MAX: Duration = Duration::from_millis(100);
    const FREE_BYTES: u64 = 64 << 10;
    const ADMITTED: Always = || Ok(());

    fn bodies(stall_max: Duration, bytes_max: u64) -> RequestBodies {
        RequestBodies::new(Intake::new(stall_max, bytes_max))
    }

    fn full(len: u64) -> Full<bytes::Bytes> {
        Full::from(vec![0; usize::try_from(len).unwrap()])
    }

    async fn code<B, A>(body: &mut Received<B, A>) -> Option<Code>
    where
        B: http_body::Body + Unpin,
        B::Error: Into<StdError>,
        A: FnOnce() -> Result<(), Status> + Unpin,
    {
        let error = body.frame().await.unwrap().err()?;
        Some(error.downcast::<Status>().unwrap().code())
    }

    #[tokio::test]
    async fn bodies_take_memory_unless_their_messages_are_small() {
        let bodies = bodies(STALL_MAX, 10);
        let mut first = bodies.receive(full(FREE_BYTES + 6), ADMITTED);
        assert_eq!((code(&mut first).await, bodies.0.bytes()), (None, 6));
        let mut second = bodies.receive(full(FREE_BYTES + 5), ADMITTED);
        assert_eq!(code(&mut second).await, Some(Code::ResourceExhausted));
        drop((first, second));
        assert_eq!(bodies.0.bytes(), 0);
        let mut small = bodies.receive_small(full(FREE_BYTES + 11));
        assert_eq!((code(&mut small).await, bodies.0.bytes()), (None, 0));
    }

    #[tokio::test]
    async fn silence_and_breaking_off_are_statuses() {
        let bodies = bodies(STALL_MAX, 10);
        let (sender, body) = tokio::sync::mpsc::channel::<Result<Frame<bytes::Bytes>, Status>>(1);
        let stream = tokio_stream::wrappers::ReceiverStream::new(body);
        let mut body = bodies.receive(Body::new(http_body_util::StreamBody::new(stream)), ADMITTED);
        sender
            .send(Ok(Frame::data(bytes::Bytes::from_static(b"x"))))
            .await
            .unwrap();
        assert_eq!(code(&mut body).await, None);
        sender.send(Err(Status::unknown("reset"))).await.unwrap();
        assert_eq!(code(&mut body).await, Some(Code::Cancelled));
        assert_eq!(code(&mut body).await, Some(Code::DeadlineExceeded));
    }

    #[tokio::test]
    async fn who_lets_bytes_trickle_is_not_waited_for() {
        let time = Duration::from_millis(500);
        let bodies = bodies(time, u64::MAX);
        let received = async |piece_bytes: u64| {
            let piece = bytes::Bytes::from(vec![0; usize::try_from(piece_bytes).unwrap()]);
            let pieces = futures::stream::repeat(piece)
                .take(20)
                .then(move |piece| async move {
                    tokio::time::sleep(time / 10).await;
                    Ok::<_, Status>(Frame::data(piece))
                });
            let body = http_body_util::StreamBody::new(pieces);
            let mut body = bodies.receive(Body::new(body), ADMITTED);
            let mut count = 0;
            while let Some(frame) = body.frame().await {
                match frame {
                    Ok(_) => count += 1,
                    Err(error) => return (count, Some(error.downcast::<Status>().unwrap().code())),
                }
            }
            (count, None)
        };
        let (count, end) = received(1).await;
        assert!(
            count < 20 && end == Some(Code::DeadlineExceeded),
            "{count} {end:?}"
        );
        assert_eq!(received(crate::intake::BYTES_MIN).await, (20, None));
    }

    #[tokio::test]
    async fn a_call_is_let_in_once_its_request_is_whole() {
        let bodies = bodies(STALL_MAX, 10);
        for is_let_in in [true, false] {
            let (sender, body) = tokio::sync::mpsc::channel::<Result<Frame<bytes::Bytes>, Status>>(1);
            let stream = tokio_stream::wrappers::ReceiverStream::new(body);
            let asked = std::cell::Cell::new(0);
            let admit = || {
                asked.set(asked.get() + 1);
                if is_let_in {
                    Ok(())
                } else {
                    Err(overloaded("no place"))
                }
            };
            let mut body = bodies.receive(Body::new(http_body_util::StreamBody::new(stream)), admit);
            let data = Frame::data(bytes::Bytes::from_static(b"x"));
            sender.send(Ok(data)).await.unwrap();
            assert_eq!((code(&mut body).await, asked.get()), (None, 0));
            drop(sender);
            match body.frame().await {
                None => assert!(is_let_in),
                Some(frame) => {
                    let status = frame.unwrap_err().downcast::<Status>().unwrap();
                    assert_eq!((is_let_in, status.code()), (false, Code::ResourceExhausted));
                }
            }
            assert!(body.frame().await.is_none());
            assert_eq!(asked.get(), 1);
        }
    }
}
