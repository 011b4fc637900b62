//! A document that arrives in chunks.

use std::{
    io::{self, Read},
    sync::Arc,
};

use bytes::{Buf as _, Bytes};
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc},
};

use super::broken_off;

/// What goes to the parser's thread. A channel that closes without `End` is a document that was broken off.
#[derive(Debug)]
pub enum Chunk {
    /// Bytes of the document.
    Bytes(Bytes),
    /// The document is whole.
    End,
}

/// Wakes who waits for a chunk: there is something else to do meanwhile. Clones wake the same one.
#[derive(Clone, Debug, Default)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// Wakes it, now or as soon as it waits.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// Reads the chunks of a document as one stream of bytes. Blocks: not for an async thread.
#[derive(Debug)]
pub struct ChunkReader {
    chunks: mpsc::Receiver<Chunk>,
    current: Bytes,
    is_ended: bool,
    waker: Option<(Waker, Handle)>,
}

impl ChunkReader {
    /// Returns a reader of what comes through a channel.
    pub fn new(chunks: mpsc::Receiver<Chunk>) -> Self {
        Self {
            chunks,
            current: Bytes::new(),
            is_ended: false,
            waker: None,
        }
    }

    /// Fails with [`io::ErrorKind::WouldBlock`] when it is woken while it waits. `runtime` is that of who sends the chunks.
    #[must_use]
    pub fn woken_by(self, waker: &Waker, runtime: Handle) -> Self {
        Self {
            waker: Some((waker.clone(), runtime)),
            ..self
        }
    }

    fn receive(&mut self) -> io::Result<Option<Chunk>> {
        let Some((waker, runtime)) = &self.waker else {
            return Ok(self.chunks.blocking_recv());
        };
        let chunks = &mut self.chunks;
        runtime.block_on(async {
            tokio::select! {
                biased;
                chunk = chunks.recv() => Ok(chunk),
                () = waker.0.notified() => Err(io::ErrorKind::WouldBlock.into()),
            }
        })
    }
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.is_ended {
            match self.receive()? {
                Some(Chunk::Bytes(chunk)) => self.current = chunk,
                Some(Chunk::End) => self.is_ended = true,
                None => return Err(broken_off()),
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn who_waits_for_a_chunk_is_woken_and_goes_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (sender, chunks) = mpsc::channel(2);
        let waker = Waker::default();
        let mut reader = ChunkReader::new(chunks).woken_by(&waker, runtime.handle().clone());
        let send = |chunk| sender.try_send(chunk).unwrap();
        let mut text = Vec::new();
        // What is there comes first.
        send(Chunk::Bytes(Bytes::from_static(b"one ")));
        waker.wake();
        for waker in [None, Some(waker)] {
            if let Some(waker) = waker {
                thread::spawn(move || waker.wake());
            }
            let woken = reader.read_to_end(&mut text).unwrap_err();
            assert_eq!(woken.kind(), io::ErrorKind::WouldBlock);
            assert_eq!(text, b"one ");
        }
        send(Chunk::Bytes(Bytes::from_static(b"two")));
        send(Chunk::End);
        reader.read_to_end(&mut text).unwrap();
        assert_eq!(text, b"one two");
    }
}
