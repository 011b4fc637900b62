//! The accept loop and the life of a connection.

use std::{convert::Infallible, io::Cursor, net::SocketAddr, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, join},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::body::Body;

use super::{metrics::Metrics, tls::Tls};
use crate::{config::ServeSettings, grpc::call::Peer};

/// What every HTTP/2 client sends first (RFC 9113 section 3.4).
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// Also how long an HTTP/1 connection may stay open between requests.
const HTTP1_HEADER_TIMEOUT: Duration = Duration::from_secs(30);
const HTTP1_HEADER_COUNT_MAX: usize = 64;
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// After a failed accept, such as for want of file descriptors: without a pause it would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Room for a stream of chunks without waiting for the window at each.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
const HEADER_BYTES_MAX: u32 = 16 << 10;
const SEND_BUFFER_BYTES: usize = 1 << 20;
const HTTP1_BUFFER_BYTES: usize = 64 << 10;

/// Answers requests.
pub(super) trait Answers: Send + Sync + 'static {
    /// Answers one request.
    fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send;
}

/// Accepts connections and serves them.
pub(super) struct Connections<A> {
    answers: Arc<A>,
    metrics: Metrics,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    tls: Option<Arc<Tls>>,
    places: Arc<Semaphore>,
    tracker: TaskTracker,
    drain: CancellationToken,
    stop: CancellationToken,
}

impl<A: Answers> Connections<A> {
    /// `drain` ends accepting and asks connections to end; `stop` cuts them.
    pub(super) fn new(
        settings: &ServeSettings,
        answers: Arc<A>,
        metrics: Metrics,
        tracker: TaskTracker,
        drain: CancellationToken,
        stop: CancellationToken,
    ) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(HTTP1_HEADER_TIMEOUT)
            .max_headers(HTTP1_HEADER_COUNT_MAX)
            .max_header_size(HEADER_BYTES_MAX as usize)
            .max_buf_size(HTTP1_BUFFER_BYTES);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(settings.stream_count_max)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEADER_BYTES_MAX)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
        let places = Arc::new(Semaphore::new(settings.connection_count_max));
        Self {
            answers,
            metrics,
            http1,
            http2,
            tls: None,
            places,
            tracker,
            drain,
            stop,
        }
    }

    /// Speaks TLS, and nothing but TLS.
    pub(super) fn with_tls(mut self, tls: Option<Arc<Tls>>) -> Self {
        self.tls = tls;
        self
    }

    /// Accepts until the drain begins. One connection too many is closed at once.
    pub(super) async fn accept(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.drain.cancelled() => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                        self.metrics.refused_connection();
                        tracing::warn!(%peer, "refused a connection: there are as many as may be");
                        continue;
                    };
                    let open = self.metrics.connection();
                    let served = self.serve(stream, peer);
                    self.tracker.spawn(async move {
                        served.await;
                        drop((place, open));
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr) -> impl Future<Output = ()> + use<A> {
        let conversation = Conversation {
            peer,
            answers: Arc::clone(&self.answers),
            http1: self.http1.clone(),
            http2: self.http2.clone(),
            drain: self.drain.clone(),
        };
        let (stop, drain) = (self.stop.clone(), self.drain.clone());
        let acceptor = self.tls.as_ref().map(|tls| tls.acceptor());
        let converse = async move {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "cannot set TCP_NODELAY");
            }
            let Some(acceptor) = acceptor else {
                let (reader, writer) = stream.into_split();
                return conversation.run(reader, writer).await;
            };
            let shaken = tokio::select! {
                shaken = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)) => shaken,
                () = drain.cancelled() => return,
            };
            match shaken {
                Ok(Ok(stream)) => {
                    let (reader, writer) = tokio::io::split(stream);
                    conversation.run(reader, writer).await;
                }
                Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
            }
        };
        async move {
            tokio::select! {
                () = converse => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

/// One connection.
struct Conversation<A> {
    peer: SocketAddr,
    answers: Arc<A>,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    drain: CancellationToken,
}

impl<A: Answers> Conversation<A> {
    async fn run<R, W>(self, mut reader: R, writer: W)
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        // Hyper waits for the first bytes for ever, and a drain would wait with it.
        let mut first = Vec::with_capacity(PREFACE.len());
        let begun = tokio::select! {
            begun = timeout(PREFACE_TIMEOUT, begin(&mut reader, &mut first)) => begun,
            () = self.drain.cancelled() => return,
        };
        let Ok(Some(is_http2)) = begun else {
            tracing::debug!("closed a connection that did not begin");
            return;
        };
        let io = TokioIo::new(join(Cursor::new(first).chain(reader), writer));
        let (answers, peer) = (self.answers, self.peer);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let answers = Arc::clone(&answers);
            request.extensions_mut().insert(Peer(peer));
            async move { answers.answer(request).await }
        });
        // The two kinds of connection have the same methods and no trait in common.
        macro_rules! until_drained {
            ($connection:expr) => {{
                let mut connection = std::pin::pin!($connection);
                tokio::select! {
                    ended = &mut connection => ended,
                    () = self.drain.cancelled() => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                }
            }};
        }
        let ended = if is_http2 {
            until_drained!(self.http2.serve_connection(io, service))
        } else {
            until_drained!(self.http1.serve_connection(io, service))
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended with an error");
        }
    }
}

/// Reads as far as it takes to tell HTTP/2 from HTTP/1; `None` if the connection ends before.
async fn begin(reader: &mut (impl AsyncRead + Unpin), first: &mut Vec<u8>) -> Option<bool> {
    loop {
        if !PREFACE.starts_with(first) {
            return Some(false);
        }
        if first.len() == PREFACE.len() {
            return Some(true);
        }
        let left = (PREFACE.len() - first.len()) as u64;
        match (&mut *reader).take(left).read_buf(first).await {
            Ok(count) if count > 0 => {}
            _ => return None,
        }
    }
}
