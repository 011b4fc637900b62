//! Documents that are committed in pieces.

use std::{
    cell::{Cell, RefCell},
    fmt::Write as _,
    io::Read,
};

use xxhash_rust::xxh3::xxh3_64;

use super::{
    CHECK_INTERVAL, Compression, Document, Format, ImportError, Memory, Progress, Share, Waker, Wanted,
    in_place, jelly::JellyReader, lines, of_jelly, statements,
};
use crate::graph::Batch;

/// How far a document has been read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Position {
    /// Bytes of the document.
    pub bytes: u64,
    /// Its line breaks.
    pub lines: u64,
    /// Its quads, each occurrence counted.
    pub quads: u64,
    /// A hash of all that.
    pub hash: u64,
}

/// Consecutive quads of a document. Its memory counts as taken until it is dropped.
#[derive(Debug)]
pub struct Piece {
    /// Its quads. Reifiers with a `d:standing` are statement nodes.
    pub batch: Batch,
    /// Where it begins.
    pub start: Position,
    /// Where it ends.
    pub end: Position,
    _share: Share,
}

/// How to read a document in pieces.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// What the labels of blank nodes are made of.
    pub salt: u64,
    /// Where to go on.
    pub from: Position,
    /// A piece ends after so many quads, as soon as it may.
    pub quads_min: u64,
}

impl Format {
    /// Tells whether a document can be read in pieces: N-Triples, N-Quads and Jelly.
    pub fn has_pieces(self) -> bool {
        match self {
            Self::Jelly => true,
            Self::Text(format) => lines::are_statements(format),
        }
    }
}

impl Document {
    /// Tells whether it can be read in pieces: not if it is compressed.
    pub fn has_pieces(&self) -> bool {
        self.compression == Compression::None && self.format.has_pieces()
    }

    /// Returns the byte with which a document goes on from a position: Jelly begins anew, since what comes later rests on what
    /// came before.
    pub fn resumes_at(&self, position: Position) -> u64 {
        match self.format {
            Format::Jelly => 0,
            Format::Text(_) => position.bytes,
        }
    }
}

/// Reads a document from [`Document::resumes_at`] on and hands on its pieces, which are the same however often it is begun
/// anew; `take` says whether to go on. A piece does not end between two quads of one subject. N-Triples and N-Quads may come of a
/// reader that `waker` wakes: then no piece is held back while more is waited for.
///
/// Needs a stack of [`super::STACK_BYTES`]. `graph_bytes` and `progress` are as for [`super::read`].
pub fn read_pieces(
    document: &Document,
    (bytes, waker): (impl Read, &Waker),
    (memory, graph_bytes): (&Memory, u64),
    cut: Cut,
    progress: impl FnMut(u64) -> bool,
    take: impl FnMut(Piece) -> bool,
) -> Result<(), ImportError> {
    let progress = Progress {
        hear: RefCell::new(progress),
        count: Cell::new(cut.from.quads),
    };
    let mut pieces = Pieces {
        memory,
        graph_bytes,
        quads_min: cut.quads_min,
        batch: Batch::default(),
        share: Share::new(memory),
        start: cut.from,
        end: cut.from,
        take,
    };
    let bytes = Wanted {
        inner: bytes,
        progress: &progress,
    };
    match document.format {
        Format::Text(format) => {
            lines::read(
                document,
                format,
                (bytes, waker),
                memory,
                (cut.salt, cut.from.lines),
                |block| {
                    pieces.batch.append(block.batch);
                    let end = &mut pieces.end;
                    end.bytes += block.byte_count;
                    end.lines += block.line_count;
                    end.quads += block.quad_count;
                    end.hash = mix(end.hash, block.hash);
                    progress.count.set(end.quads);
                    pieces.look()
                },
            )?;
        }
        Format::Jelly => {
            let mut number = 0;
            let mut subject = None;
            let mut line = String::new();
            for quad in JellyReader::new(bytes, cut.salt) {
                let quad = in_place(quad.map_err(|fault| of_jelly(&fault, memory))?, document)?;
                number += 1;
                if number <= cut.from.quads {
                    continue;
                }
                let is_other = subject.as_ref() != Some(&quad.subject);
                if is_other && pieces.is_full() {
                    pieces.hand_on()?;
                }
                pieces.batch.insert(quad.as_ref());
                pieces.end.quads = number;
                line.clear();
                // Never fails on a string.
                let _ = write!(line, "{quad}");
                pieces.end.hash = mix(pieces.end.hash, xxh3_64(line.as_bytes()));
                progress.count.set(number);
                if is_other {
                    subject = Some(quad.subject);
                }
                if number.is_multiple_of(CHECK_INTERVAL) {
                    pieces.account()?;
                }
            }
            if number < cut.from.quads {
                return Err(ImportError::document(format!(
                    "it has {number} quads, of which {} were imported already: it is another document",
                    cut.from.quads
                )));
            }
        }
    }
    if pieces.start != pieces.end {
        pieces.hand_on()?;
    }
    Ok(())
}

/// The piece that is being read.
struct Pieces<'m, T> {
    memory: &'m Memory,
    graph_bytes: u64,
    quads_min: u64,
    batch: Batch,
    share: Share,
    start: Position,
    end: Position,
    take: T,
}

impl<T: FnMut(Piece) -> bool> Pieces<'_, T> {
    fn is_full(&self) -> bool {
        self.end.quads - self.start.quads >= self.quads_min
    }

    fn account(&mut self) -> Result<(), ImportError> {
        self.share.set(self.batch.memory_bytes(), self.graph_bytes)
    }

    fn look(&mut self) -> Result<(), ImportError> {
        self.account()?;
        if self.is_full() { self.hand_on() } else { Ok(()) }
    }

    fn hand_on(&mut self) -> Result<(), ImportError> {
        let mut batch = std::mem::take(&mut self.batch);
        if statements::has_annotated(&batch) {
            return Err(ImportError::document(
                "in pieces it cannot be told whether a triple with a reifier that has a d:standing is there too: import the document \
                 whole, or write the statement nodes in g:statements"
                    .to_owned(),
            ));
        }
        statements::gather_in_piece(&mut batch);
        let mut share = std::mem::replace(&mut self.share, Share::new(self.memory));
        share.set(batch.memory_bytes(), self.graph_bytes)?;
        let piece = Piece {
            batch,
            start: std::mem::replace(&mut self.start, self.end),
            end: self.end,
            _share: share,
        };
        if (self.take)(piece) {
            Ok(())
        } else {
            Err(ImportError::BrokenOff)
        }
    }
}

fn mix(hash: u64, next: u64) -> u64 {
    (hash ^ next).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}
