//! The accept loop and the life of a connection.

use std::{io::Cursor, net::SocketAddr, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt as _, join},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::router::Router;
use crate::{config::ServeSettings, grpc::call::Peer};

/// What every HTTP/2 client sends first (RFC 9113 section 3.4).
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// After a failed accept, such as for want of file descriptors: without a pause it would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Room for a stream of chunks without waiting for the window at each.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
const HEADER_BYTES_MAX: u32 = 16 << 10;
const SEND_BUFFER_BYTES: usize = 1 << 20;

/// Accepts connections and serves them.
pub(super) struct Connections {
    router: Arc<Router>,
    http: http2::Builder<TokioExecutor>,
    places: Arc<Semaphore>,
    tracker: TaskTracker,
    drain: CancellationToken,
    stop: CancellationToken,
}

impl Connections {
    /// `drain` ends accepting and asks connections to end; `stop` cuts them.
    pub(super) fn new(
        settings: &ServeSettings,
        router: Router,
        tracker: TaskTracker,
        drain: CancellationToken,
        stop: CancellationToken,
    ) -> Self {
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .max_concurrent_streams(settings.stream_count_max)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEADER_BYTES_MAX)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
        let places = Arc::new(Semaphore::new(settings.connection_count_max));
        Self {
            router: Arc::new(router),
            http,
            places,
            tracker,
            drain,
            stop,
        }
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
                        tracing::warn!(%peer, "refused a connection: there are as many as may be");
                        continue;
                    };
                    let served = self.serve(stream, peer);
                    self.tracker.spawn(async move {
                        served.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr) -> impl Future<Output = ()> + use<> {
        let (router, http) = (Arc::clone(&self.router), self.http.clone());
        let (drain, stop) = (self.drain.clone(), self.stop.clone());
        async move {
            tokio::select! {
                () = converse(stream, peer, router, http, drain) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Arc<Router>,
    http: http2::Builder<TokioExecutor>,
    drain: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let (mut reader, writer) = stream.into_split();
    // Hyper waits for a preface for ever, and a drain would wait with it.
    let mut preface = [0; PREFACE.len()];
    let read = tokio::select! {
        read = timeout(PREFACE_TIMEOUT, reader.read_exact(&mut preface)) => read,
        () = drain.cancelled() => return,
    };
    if !matches!(read, Ok(Ok(_))) || preface != PREFACE {
        tracing::debug!("closed a connection that does not begin as HTTP/2 does");
        return;
    }
    let io = TokioIo::new(join(Cursor::new(preface).chain(reader), writer));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let router = Arc::clone(&router);
        request.extensions_mut().insert(Peer(peer));
        async move { router.call(request).await }
    });
    let mut connection = std::pin::pin!(http.serve_connection(io, service));
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = drain.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended with an error");
    }
}
