//! A body in parts, on its way to the parser of parts, which keeps all that it is given until it has found a part in it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Body;
use tokio_stream::Stream;

/// What is no data of a part (what stands before the first, boundaries, headers), of all parts together.
const OTHER_BYTES_MAX: usize = 64 << 10;

type StdError = Box<dyn std::error::Error + Send + Sync>;

/// Why a body in parts is not read further.
#[derive(Debug, thiserror::Error)]
#[error("boundaries, headers and what stands before them have more than {OTHER_BYTES_MAX} bytes")]
struct TooMuchAround;

/// The bytes that the parser of parts was given and has not handed on. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    bytes: AtomicUsize,
    /// Whether the parser was told to wait since it handed something on.
    is_held_up: AtomicBool,
}

impl Kept {
    /// Counts data, or the beginning of a part, that the parser has handed on.
    pub(super) fn handed_on(&self, byte_count: usize) {
        self.0.bytes.fetch_sub(byte_count, Ordering::Relaxed);
        self.0.is_held_up.store(false, Ordering::Relaxed);
    }
}

/// The data of a body. While the parser keeps more than it may it gets nothing, so that it looks at what it has; if it finds
/// nothing to hand on there, this ends with an error.
pub(super) struct Fed<B> {
    pub(super) body: B,
    pub(super) kept: Kept,
}

impl<B: Body<Data = Bytes> + Unpin> Stream for Fed<B>
where
    B::Error: Into<StdError>,
{
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Inner { bytes, is_held_up } = &*self.kept.0;
        if bytes.load(Ordering::Relaxed) > OTHER_BYTES_MAX {
            if is_held_up.swap(true, Ordering::Relaxed) {
                return Poll::Ready(Some(Err(TooMuchAround.into())));
            }
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)) else {
                return Poll::Ready(None);
            };
            // A trailer is no data.
            if let Ok(data) = frame.map_err(Into::into)?.into_data() {
                self.kept.0.bytes.fetch_add(data.len(), Ordering::Relaxed);
                return Poll::Ready(Some(Ok(data)));
            }
        }
    }
}

/// Returns why parts cannot be read: the parser does not tell what it heard from the body.
pub(super) fn why(error: &multer::Error) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    /// Returns the bytes of the data of all parts, or the error, of a body that comes at once in frames of some bytes; and the
    /// most that the parser kept.
    async fn read(body: Vec<u8>, frame_bytes: usize) -> (Result<usize, String>, usize) {
        let kept = Kept::default();
        let frames: Vec<_> = body.chunks(frame_bytes).map(Bytes::copy_from_slice).collect();
        let frames = frames
            .into_iter()
            .map(|data| Ok::<_, StdError>(Frame::data(data)));
        let body = StreamBody::new(stream::iter(frames));
        let fed = Fed {
            body,
            kept: kept.clone(),
        };
        let mut parts = multer::Multipart::new(fed, "b");
        let (mut data_bytes, mut most) = (0, 0);
        let mut note = |byte_count| {
            most = most.max(kept.0.bytes.load(Ordering::Relaxed));
            kept.handed_on(byte_count);
        };
        let outcome = async {
            while let Some(mut part) = parts.next_field().await? {
                note(0);
                while let Some(data) = part.chunk().await? {
                    note(data.len());
                    data_bytes += data.len();
                }
            }
            Ok::<_, multer::Error>(())
        };
        let outcome = outcome.await.map_err(|error| why(&error));
        note(0);
        (outcome.map(|()| data_bytes), most)
    }

    fn body(before: usize, header_bytes: usize, data: &[u8], part_count: usize) -> Vec<u8> {
        let mut body = vec![b'x'; before];
        for _ in 0..part_count {
            body.extend_from_slice(b"\r\n--b\r\nx: ");
            body.extend(vec![b'y'; header_bytes]);
            body.extend_from_slice(b"\r\n\r\n");
            body.extend_from_slice(data);
        }
        body.extend_from_slice(b"\r\n--b--\r\n");
        body
    }

    #[tokio::test]
    async fn data_of_parts_may_be_large_and_nothing_else() {
        let (large, small) = (vec![b'z'; 1 << 20], b"z");
        for (before, header_bytes, data, part_count, is_read) in [
            (0, 10, &large[..], 3, true),
            (0, 10, &small[..], 100, true),
            (0, 500, &large[..1_000], 100, true),
            (OTHER_BYTES_MAX - 100, 10, &large, 1, true),
            (10, OTHER_BYTES_MAX - 100, &large, 1, true),
            (1 << 20, 10, small, 1, false),
            (0, 1 << 20, small, 1, false),
            (0, 1_000, &large[..100 << 10], 100, false),
        ] {
            let whole = body(before, header_bytes, data, part_count);
            for frame_bytes in [1_000, 16 << 10, 400 << 10] {
                let (outcome, most) = read(whole.clone(), frame_bytes).await;
                let shown = (before, header_bytes, data.len(), part_count, frame_bytes);
                // A frame is always taken as a whole, so the limit is not a sharp one.
                if is_read {
                    assert_eq!(outcome, Ok(data.len() * part_count), "{shown:?}");
                } else {
                    assert_eq!(outcome, Err(TooMuchAround.to_string()), "{shown:?}");
                }
                assert!(most <= OTHER_BYTES_MAX + frame_bytes, "{shown:?}: {most}");
            }
        }
    }
}
