//! The bytes of a connection, both ways, and what is watched on their way.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::frames::{Flood, Frames};

/// How long the peer may take to close a connection that the server has closed.
const LINGER_MAX: Duration = Duration::from_secs(1);

/// Why the server cut a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Cut {
    /// Control frames without end.
    #[error(transparent)]
    Flood(#[from] Flood),
    /// What was sent is not taken.
    #[error("it takes nothing that is sent")]
    Stalled,
}

impl Cut {
    /// Returns its name in metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Flood(_) => "control_frames",
            Self::Stalled => "slow_reader",
        }
    }
}

/// A connection whose first bytes were read already.
pub(super) struct Wire<R, W> {
    reader: R,
    writer: W,
    first: Vec<u8>,
    first_read: usize,
    /// Those of HTTP/2, after the preface.
    frames: Option<Frames>,
    stall_max: Duration,
    /// Runs while the peer takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
    is_stalled: bool,
    /// Set when the server ends the connection in good order.
    is_ending: Arc<AtomicBool>,
    /// Runs once all was sent, if it is.
    linger: Option<Pin<Box<Sleep>>>,
    /// Set before the error that ends the connection: h2 keeps no more of it than its text.
    cut: Arc<OnceLock<Cut>>,
}

impl<R, W> Wire<R, W> {
    /// `first`: what was read of the reader; with `is_http2` the preface. The peer must take something of what is sent within `stall_max`.
    pub(super) fn new(reader: R, writer: W, first: Vec<u8>, is_http2: bool, stall_max: Duration) -> Self {
        Self {
            reader,
            writer,
            first,
            first_read: 0,
            frames: is_http2.then(|| Frames::new(Instant::now())),
            stall_max,
            stall: None,
            is_stalled: false,
            is_ending: Arc::default(),
            linger: None,
            cut: Arc::default(),
        }
    }

    /// Returns where it will be said why the server cut the connection, if it does.
    pub(super) fn cut(&self) -> Arc<OnceLock<Cut>> {
        Arc::clone(&self.cut)
    }

    /// Returns what is to be set when the server ends the connection in good order: then the peer is waited for.
    pub(super) fn is_ending(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_ending)
    }

    fn error(&self, kind: io::ErrorKind, cut: Cut) -> io::Error {
        // The first reason is the one.
        let _ = self.cut.set(cut);
        io::Error::new(kind, cut)
    }

    /// Looks at what came of an attempt to send: the time runs from the first that was in vain.
    fn watched<T>(&mut self, context: &mut Context<'_>, attempt: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if attempt.is_ready() {
            self.is_stalled = false;
            return attempt;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(self.stall_max)));
        if !self.is_stalled {
            self.is_stalled = true;
            stall.as_mut().reset(tokio::time::Instant::now() + self.stall_max);
        }
        ready!(stall.as_mut().poll(context));
        Poll::Ready(Err(self.error(io::ErrorKind::TimedOut, Cut::Stalled)))
    }

    fn sent(&mut self, attempt: &Poll<io::Result<usize>>) {
        if let (Poll::Ready(Ok(count)), Some(frames)) = (attempt, &mut self.frames) {
            frames.sent(*count);
        }
    }
}

impl<R: AsyncRead + Unpin, W: Unpin> AsyncRead for Wire<R, W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let first = this.first.get(this.first_read..).unwrap_or_default();
        if !first.is_empty() {
            let count = first.len().min(buffer.remaining());
            buffer.put_slice(&first[..count]);
            this.first_read += count;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.reader).poll_read(context, buffer))?;
        if let Some(frames) = &mut this.frames
            && let Err(flood) = frames.received(&buffer.filled()[before..])
        {
            // With an error nothing is read.
            buffer.set_filled(before);
            return Poll::Ready(Err(self.error(io::ErrorKind::Other, flood.into())));
        }
        Poll::Ready(Ok(()))
    }
}

impl<R: AsyncRead + Unpin, W> Wire<R, W> {
    /// Reads what nobody reads any more, until the peer has closed or its time is over: were the connection closed with bytes unread,
    /// or a byte to come after that, the peer's system would throw away what the peer has not read yet, the last word among it.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER_MAX)));
        if linger.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let mut bytes = [0; 4_096];
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.reader).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> AsyncWrite for Wire<R, W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.writer).poll_write(context, bytes);
        self.sent(&attempt);
        self.watched(context, attempt)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.writer).poll_write_vectored(context, slices);
        self.sent(&attempt);
        self.watched(context, attempt)
    }

    fn is_write_vectored(&self) -> bool {
        self.writer.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let attempt = Pin::new(&mut self.writer).poll_flush(context);
        self.watched(context, attempt)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            let attempt = Pin::new(&mut self.writer).poll_shutdown(context);
            ready!(self.watched(context, attempt))?;
        }
        if !self.is_ending.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        self.poll_linger(context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[tokio::test]
    async fn what_was_read_comes_first_and_a_flood_is_an_error() {
        let (near, mut far) = duplex(1 << 20);
        let (reader, writer) = split(near);
        let mut wire = Wire::new(reader, writer, b"first".to_vec(), true, Duration::from_secs(1));
        let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        far.write_all(&ping).await.unwrap();
        let mut read = [0; 5];
        wire.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"first");
        let mut read = [0; 17];
        wire.read_exact(&mut read).await.unwrap();
        assert_eq!(read, ping);
        far.write_all(&ping.repeat(20_000)).await.unwrap();
        assert!(wire.cut().get().is_none());
        wire.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(wire.cut().get(), Some(&Cut::Flood(Flood)));
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_an_error() {
        const STALL_MAX: Duration = Duration::from_secs(1);
        let (near, mut far) = duplex(10);
        let (reader, writer) = split(near);
        let mut wire = Wire::new(reader, writer, Vec::new(), false, STALL_MAX);
        // Whoever takes a byte now and then is slow, but reads.
        let slow = tokio::spawn(async move {
            for _ in 0..30 {
                tokio::time::sleep(STALL_MAX / 20).await;
                far.read_u8().await.unwrap();
            }
            far
        });
        wire.write_all(&[0; 40]).await.unwrap();
        let _far = slow.await.unwrap();
        let began = Instant::now();
        wire.write_all(&[0; 1]).await.unwrap_err();
        assert_eq!(wire.cut().get(), Some(&Cut::Stalled));
        assert!(began.elapsed() >= STALL_MAX);
    }

    #[tokio::test]
    async fn a_peer_that_still_sends_gets_all_that_was_sent() {
        const COUNT: usize = 8 << 20;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let near = listener.accept().await.unwrap().0;
        far.write_all(b"not read").await.unwrap();
        let sent = tokio::spawn(async move {
            let (reader, writer) = near.into_split();
            let mut wire = Wire::new(reader, writer, Vec::new(), true, Duration::from_secs(20));
            wire.write_all(&vec![1; COUNT]).await.unwrap();
            wire.is_ending().store(true, Ordering::Release);
            wire.shutdown().await.unwrap();
        });
        let (mut read, mut bytes) = (0, vec![0; 64 << 10]);
        while read < COUNT {
            read += far.read(&mut bytes).await.unwrap();
            far.write_all(b"more").await.unwrap();
        }
        assert_eq!(far.read(&mut bytes).await.unwrap(), 0);
        drop(far);
        sent.await.unwrap();
    }
}
