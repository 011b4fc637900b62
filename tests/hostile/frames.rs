//! HTTP/2 by hand (RFC 9113), for what no client library sends.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADER_BYTES: usize = 9;
/// Far more than the server takes to react.
const PATIENCE: Duration = Duration::from_secs(20);

/// Returns a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Returns the header block of a gRPC call: HPACK (RFC 7541) without tables and without Huffman.
pub(crate) fn call(path: &str) -> Vec<u8> {
    // `:method: POST` and `:scheme: http` are in the static table.
    let mut block = vec![0x83, 0x86];
    for (name, value) in [
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        block.extend(literal(name, value));
    }
    block
}

/// Returns a header that is not indexed.
pub(crate) fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0x00];
    for text in [name, value] {
        // Lengths of 127 and more take further bytes.
        bytes.push(u8::try_from(text.len()).ok().filter(|&len| len < 127).unwrap());
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// Returns a message of gRPC, uncompressed.
pub(crate) fn message(bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![0];
    message.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    message.extend(bytes);
    message
}

/// A connection that keeps no rules of its own.
pub(crate) struct Raw {
    stream: TcpStream,
    /// The next stream of this client.
    next: u32,
}

impl Raw {
    /// Connects, and says nothing.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::on(TcpStream::connect(address)?)
    }

    fn on(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, next: 1 })
    }

    /// Connects and begins as clients do, with settings: numbers and values.
    pub(crate) fn begin(address: SocketAddr, settings: &[(u16, u32)]) -> io::Result<Self> {
        Self::connect(address)?.begun(settings)
    }

    /// Connects from another address of this machine and begins.
    pub(crate) fn begin_from(source: SocketAddr, address: SocketAddr) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind(source)?;
            socket.connect(address).await?.into_std()
        })?;
        stream.set_nonblocking(false)?;
        Self::on(stream)?.begun(&[])
    }

    fn begun(mut self, settings: &[(u16, u32)]) -> io::Result<Self> {
        let mut payload = Vec::new();
        for (number, value) in settings {
            payload.extend(number.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        self.send(PREFACE)?;
        self.send(&frame(SETTINGS, 0, 0, &payload))?;
        Ok(self)
    }

    /// Takes what the server sends and throws it away, as long as there is something.
    pub(crate) fn ignore_answers(&self) -> io::Result<()> {
        let mut stream = self.stream.try_clone()?;
        std::thread::spawn(move || {
            let mut bytes = vec![0; 64 << 10];
            while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
        });
        Ok(())
    }

    /// Sends bytes; an error also if nothing of them is taken for a while.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// What nobody takes is given up after so long.
    pub(crate) fn give_up_after(&self, time: Duration) -> io::Result<()> {
        self.stream.set_write_timeout(Some(time))
    }

    /// Returns the next stream.
    pub(crate) fn stream(&mut self) -> u32 {
        let stream = self.next;
        self.next += 2;
        stream
    }

    /// Sends a call with its message and returns its stream.
    pub(crate) fn call(&mut self, path: &str, bytes: &[u8]) -> io::Result<u32> {
        let stream = self.stream();
        let mut frames = frame(HEADERS, END_HEADERS, stream, &call(path));
        frames.extend(frame(DATA, END_STREAM, stream, &message(bytes)));
        self.send(&frames)?;
        Ok(stream)
    }

    /// Returns the kind and the stream of the next frame; `None` at the end.
    pub(crate) fn receive(&mut self) -> io::Result<Option<(u8, u32, Vec<u8>)>> {
        let mut header = [0; HEADER_BYTES];
        match self.stream.read_exact(&mut header) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
            // Whether it was closed with an error or without.
            Err(_) => return Ok(None),
            Ok(()) => {}
        }
        let [a, b, c, kind, _, stream @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload)?;
        Ok(Some((kind, u32::from_be_bytes(stream), payload)))
    }

    /// Waits for the end of the connection.
    pub(crate) fn is_closed(&mut self) -> io::Result<bool> {
        while self.receive()?.is_some() {}
        Ok(true)
    }
}
