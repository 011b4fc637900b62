//! A stream whose last word comes after all frames that wait.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    vec,
};

use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::Status;

use crate::grpc::status::internal;

/// Frames, which come several at once, then how it ended.
pub struct Frames<T> {
    receiver: mpsc::Receiver<Vec<T>>,
    batch: vec::IntoIter<T>,
    told: Option<oneshot::Receiver<Result<(), Status>>>,
}

impl<T> Frames<T> {
    pub(super) fn new(receiver: mpsc::Receiver<Vec<T>>, told: oneshot::Receiver<Result<(), Status>>) -> Self {
        Self {
            receiver,
            batch: Vec::new().into_iter(),
            told: Some(told),
        }
    }
}

impl<T: Unpin> Stream for Frames<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(frame) = self.batch.next() {
                return Poll::Ready(Some(Ok(frame)));
            }
            match ready!(self.receiver.poll_recv(context)) {
                Some(batch) => self.batch = batch.into_iter(),
                None => break,
            }
        }
        let Some(told) = &mut self.told else {
            return Poll::Ready(None);
        };
        let outcome = ready!(Pin::new(told).poll(context));
        self.told = None;
        Poll::Ready(match outcome {
            Ok(Ok(())) => None,
            Ok(Err(status)) => Some(Err(status)),
            // Its task is gone without a last word.
            Err(_) => Some(Err(internal(&"a stream of changes ended without its last word"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn the_last_word_comes_last_and_must_come() {
        for (word, code) in [
            (Some(Ok(())), None),
            (Some(Err(Status::unavailable("x"))), Some(Code::Unavailable)),
            (None, Some(Code::Internal)),
        ] {
            let (sender, receiver) = mpsc::channel(1);
            let (tell, told) = oneshot::channel();
            let mut frames = Frames::new(receiver, told);
            sender.try_send(vec![6, 7]).unwrap();
            if let Some(word) = word {
                tell.send(word).unwrap();
            } else {
                drop(tell);
            }
            drop(sender);
            assert_eq!(frames.next().await.unwrap().unwrap(), 6);
            assert_eq!(frames.next().await.unwrap().unwrap(), 7);
            assert_eq!(frames.next().await.map(|end| end.unwrap_err().code()), code);
            assert!(frames.next().await.is_none());
        }
    }
}
