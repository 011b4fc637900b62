//! The bodies of requests on their way in: a caller who is too slow is not waited for, and all together take so much memory.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use tokio::time::{Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, codegen::StdError};

use super::status::{cancelled, internal, message_too_large, overloaded, request_stalled};
use crate::intake::{self, FULL, Intake, Pace};

/// What lies before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

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

    /// Receives a body of one message, until it is whole. The room for it is taken of what the request at hand holds.
    pub async fn whole<B>(&self, body: B) -> Result<Full<Bytes>, Status>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
        B::Error: Into<StdError>,
    {
        let mut frames = self.received(body);
        let mut bytes_left = self.message_bytes_max.saturating_add(PREFIX_BYTES as u64);
        let mut body = intake::Body::default();
        while let Some(frame) = frames.frame().await {
            // A trailer is no data.
            let Ok(data) = frame.map_err(status_of)?.into_data() else {
                continue;
            };
            bytes_left = bytes_left
                .checked_sub(data.len() as u64)
                .ok_or_else(|| message_too_large("the message has more bytes than the server takes"))?;
            if body.bytes().is_empty() && frames.is_end_stream() {
                // As most come: it is passed on as it is.
                return if intake::take(data.len() as u64) {
                    Ok(Full::new(data))
                } else {
                    Err(overloaded(FULL))
                };
            }
            let head: &[u8] = if body.bytes().is_empty() {
                &data
            } else {
                body.bytes()
            };
            let bytes_expected = announced(head);
            if !body.add(&data, bytes_expected) {
                return Err(overloaded(FULL));
            }
        }
        Ok(Full::new(Vec::from(body).into()))
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
            answered: None,
        }
    }
}

/// Returns how many bytes a message and what lies before it should have, by that.
fn announced(head: &[u8]) -> u64 {
    let length = head
        .get(1..PREFIX_BYTES)
        .and_then(|length| length.try_into().ok());
    length.map_or(u64::MAX, |length| {
        PREFIX_BYTES as u64 + u64::from(u32::from_be_bytes(length))
    })
}

/// Returns the error of a body that is received.
fn status_of(error: StdError) -> Status {
    match error.downcast::<Status>() {
        Ok(status) => *status,
        Err(error) => internal(&error),
    }
}

/// A body that is received. Its errors are statuses.
pub struct Received<B> {
    body: B,
    pace: Pace,
    /// There once the caller was waited for.
    stall: Option<Pin<Box<Sleep>>>,
    /// None where nobody waits for it after the answer.
    answered: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl<B> Received<B> {
    /// Gives the caller so much time for a message, or less if it has less anyway.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.pace = Pace::new(self.pace.time().min(time));
        self
    }

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
            self.pace
                .came(frame.data_ref().map_or(0, |data| data.remaining() as u64));
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
    use futures::{Stream, StreamExt as _};
    use http_body_util::{Full, StreamBody};
    use tonic::{Code, body::Body};

    use super::*;
    use crate::intake::FREE_BYTES;

    const STALL_MAX: Duration = Duration::from_millis(100);
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
            .map(|body| usize::try_from(body.size_hint().exact().unwrap()).unwrap())
            .map_err(|status| status.code())
    }

    #[tokio::test]
    async fn bodies_take_memory_unless_their_messages_are_small() {
        let bodies = bodies(STALL_MAX, 10);
        let held = bodies.intake.hold();
        let work = async {
            bodies.whole(Full::new(piece(FREE_BYTES + 6))).await.unwrap();
            let taken = bodies.intake.bytes();
            (taken, whole(&bodies, Full::new(piece(FREE_BYTES + 9))).await)
        };
        assert_eq!(held.during(work).await, (6, Err(Code::ResourceExhausted)));
        assert_eq!(bodies.intake.bytes(), 0);
        let mut small = bodies.receive_small(Full::new(piece(FREE_BYTES + 11)));
        assert!(small.frame().await.unwrap().is_ok() && bodies.intake.bytes() == 0);
    }

    #[tokio::test]
    async fn a_message_in_one_frame_is_not_copied() {
        let bodies = bodies(STALL_MAX, 10);
        let data = piece(1_000);
        let at = data.as_ptr();
        let mut body = bodies.whole(Full::new(data)).await.unwrap();
        let received = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((received.as_ptr(), received.len()), (at, 1_000));
    }

    /// What is left of a buffer in which many frames came would hold it all.
    #[tokio::test]
    async fn a_message_in_small_frames_is_copied_into_what_it_takes() {
        const BODY_BYTES: u32 = 100_000;
        let bodies = bodies(STALL_MAX, u64::MAX);
        let mut message = vec![7; BODY_BYTES as usize];
        message[0] = 0;
        message[1..PREFIX_BYTES].copy_from_slice(&(BODY_BYTES - 5).to_be_bytes());
        let frames = Bytes::from(message.clone());
        let pieces = (0..frames.len()).map(move |at| Ok(frames.slice(at..=at)));
        let work = async {
            let body = bodies
                .whole(streamed(futures::stream::iter(pieces)))
                .await
                .unwrap();
            (body, bodies.intake.bytes())
        };
        let (mut body, taken) = bodies.intake.hold().during(work).await;
        assert_eq!(taken, u64::from(BODY_BYTES) - FREE_BYTES);
        let received = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(received, message);
        assert!(received.is_unique());
    }

    #[tokio::test]
    async fn a_message_is_no_larger_than_it_may_be() {
        let bodies = bodies(STALL_MAX, u64::MAX);
        let most = MESSAGE_BYTES_MAX + PREFIX_BYTES as u64;
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
        let patient = self::bodies(Duration::from_hours(1), 10);
        let mut silent = patient
            .receive_small(streamed(futures::stream::pending()))
            .within(STALL_MAX);
        let status = status_of(silent.frame().await.unwrap().unwrap_err());
        assert_eq!(status.code(), Code::DeadlineExceeded);
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
