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
}

impl ChunkReader {
    /// Returns a reader of what comes through a channel.
    pub fn new(chunks: mpsc::Receiver<Chunk>) -> Self {
        Self {
            chunks,
            current: Bytes::new(),
            is_ended: false,
        }
    }
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.is_ended {
            match self.chunks.blocking_recv() {
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
