//! A document that arrives in chunks.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;

use super::broken_off;

/// What goes to the parser's thread. A channel that closes without `End` is a document that was broken off.
#[derive(Debug)]
pub enum Chunk {
    /// Bytes of the document.
    Bytes(Bytes),
    /// The document is whole.
    End,
}

/// Reads the chunks of a document as one stream of bytes. Blocks: not for an async thread.
#[derive(Debug)]
pub struct ChunkReader {
    chunks: mpsc::Receiver<Chunk>,
    current: Bytes,
    is_ended: bool,
    tells_waits: bool,
    has_told: bool,
}

impl ChunkReader {
    /// Returns a reader of what comes through a channel.
    pub fn new(chunks: mpsc::Receiver<Chunk>) -> Self {
        Self {
            chunks,
            current: Bytes::new(),
            is_ended: false,
            tells_waits: false,
            has_told: false,
        }
    }

    /// Fails with [`io::ErrorKind::WouldBlock`] once before each wait, for a reader that has something to do meanwhile.
    #[must_use]
    pub fn telling_waits(self) -> Self {
        Self {
            tells_waits: true,
            ..self
        }
    }
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.is_ended {
            if self.tells_waits && self.chunks.is_empty() && !std::mem::replace(&mut self.has_told, true) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let received = self.chunks.blocking_recv();
            self.has_told = false;
            match received {
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
