//! The accept loop and the life of a connection.

mod descriptors;
mod frames;
mod places;
mod stranger;
mod streams;
mod wire;

use std::{
    convert::Infallible,
    future::pending,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::body::Body;

pub(super) use self::descriptors::Shares;
pub(super) use self::stranger::LetIn;
pub(super) use self::streams::{GivesWay, Lying};
use self::{
    descriptors::Spare,
    places::Places,
    stranger::STRANGER_MAX,
    streams::{Pieces, Streams},
    wire::Wire,
};
use super::{
    metrics::Metrics,
    sparing::Sparing,
    tls::{HandshakeError, Tls},
};
use crate::{
    auth::ClientName,
    config::{ConnectionSettings, ServeSettings},
    grpc::call::{Ending, Peer},
};

/// What every HTTP/2 client sends first (RFC 9113 section 3.4).
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
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
/// How long a stream that was told to end may take to say so.
const LAST_WORD_MAX: Duration = Duration::from_secs(1);

/// Answers requests.
pub(super) trait Answers: Send + Sync + 'static {
    /// Answers one request.
    fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send;
}

/// The steps in which a server ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Shutdown {
    /// Nothing new is accepted: connections are asked to end, and streams without an end of their own do.
    pub(super) drain: CancellationToken,
    /// Calls that still run end with `UNAVAILABLE`.
    pub(super) closing: CancellationToken,
    /// Connections are cut.
    pub(super) stop: CancellationToken,
}

/// Accepts connections and serves them.
pub(super) struct Connections<A> {
    shared: Arc<Shared<A>>,
    tls: Option<(Arc<Tls>, watch::Receiver<()>)>,
    places: Places,
    tracker: TaskTracker,
    stop: CancellationToken,
}

/// What all connections share.
struct Shared<A> {
    answers: Arc<A>,
    settings: ConnectionSettings,
    stream_count_max: u32,
    lying: Arc<Lying>,
    metrics: Metrics,
    log: Sparing,
    drain: CancellationToken,
    closing: CancellationToken,
}

impl<A: Answers> Connections<A> {
    /// There may be `count_max` connections. They are known to `tracker`, and end as `end` says.
    pub(super) fn new(
        count_max: usize,
        settings: &ServeSettings,
        answers: Arc<A>,
        metrics: Metrics,
        tracker: TaskTracker,
        end: Shutdown,
    ) -> Self {
        let Shutdown { drain, closing, stop } = end;
        Self {
            places: Places::new(count_max, settings.connections.per_address_count_max),
            shared: Arc::new(Shared {
                answers,
                settings: settings.connections.clone(),
                stream_count_max: settings.stream_count_max,
                lying: Arc::new(Lying::new(settings.connections.answer_memory_bytes_max)),
                metrics,
                log: Sparing::default(),
                drain,
                closing,
            }),
            tls: None,
            tracker,
            stop,
        }
    }

    /// Returns the memory of answers that their readers have not taken.
    pub(super) fn lying(&self) -> Arc<Lying> {
        Arc::clone(&self.shared.lying)
    }

    /// Speaks TLS, and nothing but TLS. `renewed` is marked when the certificates were read anew.
    pub(super) fn with_tls(mut self, tls: Option<Arc<Tls>>, renewed: watch::Receiver<()>) -> Self {
        self.tls = tls.map(|tls| (tls, renewed));
        self
    }

    /// Accepts until the drain begins. One connection too many is closed at once, or takes the place of a stranger.
    pub(super) async fn accept(self, listener: TcpListener) {
        let Shared {
            metrics, log, drain, ..
        } = &*self.shared;
        let mut spare = Spare::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = drain.cancelled() => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let cut = self.stop.child_token();
                    let place = match self.places.take(peer.ip(), &cut) {
                        Ok(place) => place,
                        Err(full) => {
                            metrics.refused_connection();
                            log.say(|others| tracing::warn!(%peer, others, "refused a connection: {full}"));
                            continue;
                        }
                    };
                    if place.has_cut() {
                        metrics.cut_connection("stranger");
                    }
                    let open = metrics.connection();
                    let served = self.serve(stream, peer, LetIn::new(place.keeper()), cut);
                    self.tracker.spawn(async move {
                        served.await;
                        drop((place, open));
                    });
                }
                Err(error) => {
                    metrics.accept_failure();
                    log.say(|others| tracing::warn!(%error, others, "cannot accept a connection"));
                    spare.turn_away(&listener, &error).await;
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        let_in: LetIn,
        cut: CancellationToken,
    ) -> impl Future<Output = ()> + use<A> {
        let shared = Arc::clone(&self.shared);
        let tls = self.tls.as_ref();
        let tls = tls.map(|(tls, renewed)| (tls.handshake(), renewed.clone()));
        let converse = async move {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "cannot set TCP_NODELAY");
            }
            let Some((handshake, renewed)) = tls else {
                let (reader, writer) = stream.into_split();
                return shared.converse(peer, let_in, None, reader, writer).await;
            };
            let shaken = tokio::select! {
                shaken = timeout(shared.settings.handshake_timeout, handshake.shake(stream)) => shaken,
                () = shared.drain.cancelled() => return,
            };
            match shaken {
                Ok(Ok((stream, name))) => {
                    let client = name.map(|name| Client { name, renewed });
                    if client.is_some() {
                        // Whoever has a certificate is no stranger.
                        let_in.set();
                    }
                    let (reader, writer) = tokio::io::split(stream);
                    shared.converse(peer, let_in, client, reader, writer).await;
                }
                // It is no stranger's: somebody has to make it anew.
                Ok(Err(error @ HandshakeError::Certificate)) => {
                    let log = &shared.log;
                    log.say(|others| tracing::info!(%peer, others, "refused a client: {error}"));
                }
                Ok(Err(HandshakeError::Io(error))) => {
                    tracing::debug!(%peer, %error, "a TLS handshake failed");
                }
                Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
            }
        };
        async move {
            tokio::select! {
                () = converse => {}
                () = cut.cancelled() => {}
            }
        }
    }
}

impl<A: Answers> Shared<A> {
    /// Serves one connection to its end.
    async fn converse<R, W>(
        self: Arc<Self>,
        peer: SocketAddr,
        let_in: LetIn,
        client: Option<Client>,
        mut reader: R,
        writer: W,
    ) where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        // Hyper waits for the first bytes for ever, and a drain would wait with it.
        let mut first = Vec::with_capacity(PREFACE.len());
        let begun = tokio::select! {
            begun = timeout(self.settings.handshake_timeout, begin(&mut reader, &mut first)) => begun,
            () = self.drain.cancelled() => return,
        };
        let Ok(Some(is_http2)) = begun else {
            tracing::debug!(%peer, "closed a connection that did not begin");
            return;
        };
        let wire = Wire::new(reader, writer, first, is_http2, self.settings.answer_stall_max);
        let (cut, is_ending) = (wire.cut(), wire.is_ending());
        let io = TokioIo::new(wire);
        let ending = Ending {
            stream: self.drain.child_token(),
            call: self.closing.child_token(),
        };
        let name = client.as_ref().map(|client| Arc::clone(&client.name));
        let shared = Arc::clone(&self);
        let (to_end, to_let_in) = (ending.clone(), let_in.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            let answers = Arc::clone(&shared.answers);
            let lying = Arc::clone(&shared.lying);
            request.extensions_mut().insert(Peer(peer));
            request.extensions_mut().insert(to_end.clone());
            request.extensions_mut().insert(to_let_in.clone());
            if let Some(name) = &name {
                request.extensions_mut().insert(Arc::clone(name));
            }
            async move {
                // Boxed, as whatever moves the stream's task would move it.
                let answering = Box::pin(answers.answer(request));
                Ok::<_, Infallible>(Pieces::of(answering.await?, lying))
            }
        });
        // The two kinds of connection have the same methods and no trait in common.
        macro_rules! until_over {
            ($connection:expr, $idle:expr) => {{
                let mut connection = std::pin::pin!($connection);
                let over = tokio::select! {
                    ended = &mut connection => Err(ended),
                    () = self.drain.cancelled() => Ok(Over::Drain),
                    () = sleep(with_jitter(self.settings.age_max)) => Ok(Over::Age),
                    () = $idle => Ok(Over::Idle),
                    () = Client::taken_back(client) => Ok(Over::TakenBack),
                    () = let_in.nobody_for(STRANGER_MAX.min(self.settings.idle_max)) => Ok(Over::Stranger),
                };
                match over {
                    Err(ended) => ended,
                    Ok(over) => {
                        is_ending.store(true, Ordering::Release);
                        connection.as_mut().graceful_shutdown();
                        tokio::select! {
                            ended = &mut connection => ended,
                            () = self.grace(over, &ending, &let_in) => {
                                tracing::debug!(%peer, ?over, "cut a connection that was to end");
                                return;
                            }
                        }
                    }
                }
            }};
        }
        let ended = if is_http2 {
            let streams = Streams::new(
                self.settings.answer_stall_max,
                Arc::clone(&self.lying),
                self.metrics.clone(),
            );
            let connection = self.http2(streams.clone()).serve_connection(io, service);
            until_over!(connection, streams.idle(self.settings.idle_max))
        } else {
            // Between requests it has its own time-out.
            until_over!(Self::http1().serve_connection(io, service), pending())
        };
        if let Some(cut) = cut.get() {
            self.metrics.cut_connection(cut.name());
            self.log
                .say(|others| tracing::warn!(%peer, others, "cut a connection: {cut}"));
        } else if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection ended with an error");
        }
    }

    /// Is ready once a connection that was told to end has had its time.
    ///
    /// Streams without an end of their own hear of it at once, all others at the end.
    async fn grace(&self, over: Over, ending: &Ending, let_in: &LetIn) {
        match over {
            // Whoever drains tells streams, and cuts.
            Over::Drain => pending().await,
            Over::Idle => return sleep(self.settings.answer_stall_max).await,
            Over::Stranger => {
                ending.stream.cancel();
                sleep(self.settings.handshake_timeout).await;
                // The first call may have been on its way.
                if !let_in.is_set() {
                    return;
                }
            }
            Over::TakenBack => {
                // Streams say themselves why they end.
                sleep(LAST_WORD_MAX).await;
                ending.stream.cancel();
            }
            Over::Age => ending.stream.cancel(),
        }
        sleep(self.settings.age_grace).await;
        ending.call.cancel();
        sleep(LAST_WORD_MAX).await;
    }

    fn http1() -> http1::Builder {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(HTTP1_HEADER_TIMEOUT)
            .max_headers(HTTP1_HEADER_COUNT_MAX)
            .max_header_size(HEADER_BYTES_MAX as usize)
            .max_buf_size(HTTP1_BUFFER_BYTES);
        http1
    }

    fn http2(&self, streams: Streams) -> http2::Builder<Streams> {
        let mut http2 = http2::Builder::new(streams);
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.stream_count_max)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEADER_BYTES_MAX)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
        http2
    }
}

/// Why a connection is to end.
#[derive(Clone, Copy, Debug)]
enum Over {
    /// The server shuts down.
    Drain,
    /// It is old.
    Age,
    /// Nobody calls.
    Idle,
    /// Nobody was let in.
    Stranger,
    /// The authority of the client's certificate is one of clients no longer.
    TakenBack,
}

/// A client with a certificate.
struct Client {
    name: Arc<ClientName>,
    /// Marked when the authorities of clients were read anew.
    renewed: watch::Receiver<()>,
}

impl Client {
    /// Is ready once the authority of a client's certificate is one of clients no longer.
    async fn taken_back(client: Option<Self>) {
        let Some(Self { name, mut renewed }) = client else {
            return pending().await;
        };
        while name.is_ours() {
            if renewed.changed().await.is_err() {
                // Nothing is read anew any more.
                return pending().await;
            }
        }
    }
}

/// Returns a time give or take a tenth, so that what began together does not end together.
fn with_jitter(time: Duration) -> Duration {
    // Without a random number it is longest.
    let share = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    time.mul_f64(0.9 + 0.2 * share)
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
