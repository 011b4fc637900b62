//! The streams of one connection of HTTP/2: how many there are, and whether their readers take what they get.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Response, header};
use http_body::{Body as _, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, body::Body};

use crate::{
    grpc::status::overloaded,
    server::metrics::{Metrics, cut},
};

/// What a reader gets at once, and must take before it gets more: what h2 holds of an answer does not grow with it.
const PIECE_BYTES_MAX: usize = 16 << 10;
/// What a reader has for a piece while too much is lying.
const HURRY: Duration = Duration::from_secs(1);

tokio::task_local! {
    /// The answer of a stream, for the task that has it.
    static HANDED: Handed;
}

/// Cuts the stream once it is cancelled, if something is lying: an extension of responses.
#[derive(Clone, Debug)]
pub(in crate::server) struct GivesWay(pub(in crate::server) CancellationToken);

/// What was handed over of an answer.
#[derive(Default)]
struct Handed {
    /// Some for one that may have to give way.
    gives_way: RefCell<Option<Pin<Box<WaitForCancellationFutureOwned>>>>,
    /// Grows with each frame.
    count: Cell<u64>,
    /// Whether the next frame was not asked for: h2 has no room for the last one.
    is_lying: Cell<bool>,
}

/// The memory of what is handed over and not taken, of all streams of all connections.
#[derive(Debug)]
pub(in crate::server) struct Lying {
    bytes: AtomicU64,
    bytes_max: u64,
}

impl Lying {
    pub(super) const fn new(bytes_max: u64) -> Self {
        Self {
            bytes: AtomicU64::new(0),
            bytes_max,
        }
    }

    /// Returns the memory.
    pub(in crate::server) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the memory that there may be.
    pub(in crate::server) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Tells whether there is so much that readers must be quick.
    fn is_much(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.bytes_max / 2
    }
}

/// Runs the streams of one connection. Clones are the same one.
#[derive(Clone)]
pub(super) struct Streams(Arc<Inner>);

struct Inner {
    stall_max: Duration,
    lying: Arc<Lying>,
    metrics: Metrics,
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Streams {
    /// A stream whose reader leaves a piece lying for `stall_max` is cut; sooner when much is lying.
    pub(super) fn new(stall_max: Duration, lying: Arc<Lying>, metrics: Metrics) -> Self {
        Self(Arc::new(Inner {
            stall_max,
            lying,
            metrics,
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }))
    }

    /// Is ready once there was no stream for `idle_max`, and at most for twice as long.
    pub(super) async fn idle(&self, idle_max: Duration) {
        let counts = || {
            let ended = self.0.ended.load(Ordering::Relaxed);
            (self.0.begun.load(Ordering::Relaxed), ended)
        };
        let mut before = None;
        loop {
            sleep(idle_max).await;
            let (begun, ended) = counts();
            if begun == ended && before == Some(begun) {
                return;
            }
            before = Some(begun);
        }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        let open = Open(self.clone());
        tokio::spawn(HANDED.scope(Handed::default(), async move {
            let Inner {
                stall_max,
                lying,
                metrics,
                ..
            } = &*open.0.0;
            if attended(stream, *stall_max, lying).await.is_none() {
                metrics.cut_stream();
                tracing::debug!("cut a stream whose reader takes nothing");
            }
        }));
    }
}

/// A stream that has begun; it has ended when this is dropped.
struct Open(Streams);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs a stream; `None`: its reader left something lying for too long. What is dropped then is reset.
async fn attended<F: Future>(stream: F, stall_max: Duration, lying: &Lying) -> Option<F::Output> {
    let mut stream = pin!(stream);
    let mut tick: Option<Pin<Box<Sleep>>> = None;
    let (mut count, mut since) = (0, Instant::now());
    let attending = poll_fn(|context| {
        if let Poll::Ready(output) = stream.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        let handed = HANDED.with(|handed| handed.is_lying.get().then(|| handed.count.get()));
        let Some(handed) = handed else {
            return Poll::Pending;
        };
        let must_go = HANDED.with(|handed| {
            let mut gives_way = handed.gives_way.borrow_mut();
            let gives_way = gives_way.as_mut();
            gives_way.is_some_and(|token| token.as_mut().poll(context).is_ready())
        });
        if must_go {
            return Poll::Ready(None);
        }
        let period = stall_max.min(HURRY);
        let tick = tick.get_or_insert_with(|| Box::pin(sleep(period)));
        if handed != count {
            (count, since) = (handed, Instant::now());
            tick.as_mut().reset(since + period);
        }
        while tick.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if now - since >= stall_max || lying.is_much() {
                return Poll::Ready(None);
            }
            tick.as_mut().reset(now + period);
        }
        Poll::Pending
    });
    attending.await
}

/// An answer that is handed over in pieces.
pub(super) struct Pieces {
    body: Body,
    is_grpc: bool,
    /// What is left of a frame.
    rest: Bytes,
    lying: Arc<Lying>,
    /// What this answer has of what is lying.
    bytes: u64,
    is_ended: bool,
}

impl Pieces {
    /// Hands a response over in pieces.
    pub(super) fn of(response: Response<Body>, lying: Arc<Lying>) -> Response<Self> {
        let media_type = response.headers().get(header::CONTENT_TYPE);
        let is_grpc = media_type.is_some_and(|value| value == "application/grpc");
        if let Some(GivesWay(token)) = response.extensions().get() {
            let token = Box::pin(token.clone().cancelled_owned());
            let _ = HANDED.try_with(|handed| handed.gives_way.replace(Some(token)));
        }
        response.map(|body| Self {
            body,
            is_grpc,
            rest: Bytes::new(),
            lying,
            bytes: 0,
            is_ended: false,
        })
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_ended {
            return Poll::Ready(None);
        }
        if self.rest.is_empty() {
            self.hold(0);
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
            if !self.hold(self.rest.len()) {
                return Poll::Ready(Some(self.refused()));
            }
        } else {
            // The piece before was taken.
            self.hold(self.rest.len());
        }
        let piece = self.rest.split_to(PIECE_BYTES_MAX.min(self.rest.len()));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    /// Counts so many bytes for this answer; false if there are more than may be.
    fn hold(&mut self, byte_count: usize) -> bool {
        let bytes = byte_count as u64;
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes <= before {
            if bytes < before {
                self.lying.bytes.fetch_sub(before - bytes, Ordering::Relaxed);
            }
            return true;
        }
        let added = bytes - before;
        self.lying.bytes.fetch_add(added, Ordering::Relaxed) + added <= self.lying.bytes_max
    }

    /// Ends the answer before it is whole.
    fn refused(&mut self) -> Result<Frame<Bytes>, Status> {
        self.is_ended = true;
        self.rest = Bytes::new();
        self.hold(0);
        let status = overloaded("answers that are not read take as much memory as they may");
        cut(std::mem::replace(&mut self.body, Body::empty()), &status);
        if !self.is_grpc {
            return Err(status);
        }
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers)?;
        Ok(Frame::trailers(trailers))
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        self.hold(0);
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = self.poll(context);
        let is_lying = matches!(polled, Poll::Ready(Some(Ok(_))));
        // Over HTTP/1 the connection itself stalls.
        let _ = HANDED.try_with(|handed| {
            handed.is_lying.set(is_lying);
            handed.count.set(handed.count.get() + u64::from(is_lying));
        });
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.is_ended || (self.rest.is_empty() && self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() {
            self.body.size_hint()
        } else {
            SizeHint::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use http_body_util::{BodyExt as _, Full};

    use super::*;
    use crate::server::state::State;

    const STALL_MAX: Duration = Duration::from_millis(200);

    fn much() -> Arc<Lying> {
        Arc::new(Lying::new(1 << 30))
    }

    fn answer(len: usize, lying: &Arc<Lying>) -> Pieces {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
        let mut response = Response::new(Body::new(Full::from(bytes)));
        let media_type = header::HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        Pieces::of(response, Arc::clone(lying)).into_body()
    }

    #[tokio::test]
    async fn pieces_are_the_whole() {
        for len in [0, 1, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1, 5 * PIECE_BYTES_MAX] {
            let lying = much();
            let mut body = answer(len, &lying);
            assert_eq!(body.size_hint().exact(), Some(len as u64));
            let mut all = Vec::new();
            while let Some(frame) = body.frame().await {
                let data = frame.unwrap().into_data().unwrap();
                assert!(data.len() <= PIECE_BYTES_MAX);
                all.extend_from_slice(&data);
            }
            let whole: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
            assert!(all == whole, "{len}");
            assert_eq!(lying.bytes.load(Ordering::Relaxed), 0);
        }
    }

    /// Takes pieces with `pause` before each; returns how long that took, or `None` if it was cut.
    async fn read(len: usize, pause: Duration) -> Option<Duration> {
        let (began, lying) = (Instant::now(), Lying::new(u64::MAX));
        let stream = async move {
            let mut body = answer(len, &much());
            while body.frame().await.is_some() {
                // As h2, which asks for the next frame once it has room.
                sleep(pause).await;
            }
        };
        let attending = HANDED.scope(Handed::default(), attended(stream, STALL_MAX, &lying));
        attending.await.map(|()| began.elapsed())
    }

    #[tokio::test]
    async fn who_leaves_a_piece_lying_is_cut() {
        let slow = STALL_MAX / 2;
        let taken = read(3 * PIECE_BYTES_MAX, slow).await;
        assert!(taken >= Some(3 * slow), "{taken:?}");
        assert_eq!(read(1, 20 * STALL_MAX).await, None);
    }

    #[tokio::test]
    async fn answers_that_lie_take_so_much_together() {
        let lying = Arc::new(Lying::new(100_000));
        let (mut first, mut second) = (answer(60_000, &lying), answer(60_000, &lying));
        assert!(first.frame().await.unwrap().unwrap().is_data());
        let refused = second.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(refused["grpc-status"], "8");
        // Whoever counts the answer has heard why: it was dropped with that.
        assert!(second.body.is_end_stream());
        assert!(second.frame().await.is_none());
        drop(first);
        assert_eq!(lying.bytes.load(Ordering::Relaxed), 0);
        // Where more than half is taken nobody has the whole time.
        let _first = answer(60_000, &lying).frame().await;
        let mut body = answer(60_000, &lying);
        let stream = async {
            body.frame().await;
            std::future::pending::<()>().await;
        };
        let attending = HANDED.scope(
            Handed::default(),
            attended(stream, Duration::from_hours(1), &lying),
        );
        assert_eq!(attending.await, None);
    }

    #[tokio::test]
    async fn who_waits_for_an_answer_is_not_slow() {
        let lying = Lying::new(u64::MAX);
        let stream = async {
            sleep(2 * STALL_MAX).await;
            answer(1, &much()).frame().await.is_some()
        };
        let attending = HANDED.scope(Handed::default(), attended(stream, STALL_MAX, &lying));
        assert_eq!(attending.await, Some(true));
    }

    #[tokio::test]
    async fn a_connection_is_idle_once_its_streams_have_ended() {
        let state = State::new(Arc::default(), PathBuf::new(), 0);
        let streams = Streams::new(STALL_MAX, much(), Metrics::new(state));
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        streams.execute(async move {
            let _ = ended.await;
        });
        let idle = streams.idle(STALL_MAX);
        assert!(tokio::time::timeout(3 * STALL_MAX, idle).await.is_err());
        end.send(()).unwrap();
        let began = Instant::now();
        streams.idle(STALL_MAX).await;
        assert!(began.elapsed() >= STALL_MAX);
    }
}
