//! Payloads: what a record changes, as N-Quads text, compressed, in chunks.
//!
//! The text is an N-Quads document (<https://www.w3.org/TR/n-quads/>): comments `# drop <g>` and `# create <g>` for graphs,
//! then the removed quads, then the inserted ones; the header's counts say where each part ends. What is stored is a random
//! salt and one zstd frame (RFC 8878).

use std::{
    cell::RefCell,
    io::{self, Write},
};

use oxigraph::model::{NamedOrBlankNode, NamedOrBlankNodeRef, Quad, QuadRef};
use sha2::{Digest as _, Sha256};
use zstd::{
    bulk::Compressor,
    stream::raw::{CParameter, Encoder, Operation as _},
};

use super::{
    error::LogError,
    line::put_quad,
    record::{Counts, Digest},
};

/// The fastest level of zstd: it is the writer's time that counts, and N-Quads shrink to a tenth even so.
const COMPRESSION_LEVEL: i32 = 1;
/// Text up to this size is compressed at once, with tables of its size; more of it is streamed.
pub(super) const WHOLE_TEXT_BYTES_MAX: usize = 128 << 10;
/// With its key and page header this fits into pages of 64 KiB, which the database allocates in powers of two.
pub(super) const CHUNK_BYTES: usize = (64 << 10) - 256;
pub(super) const SALT_BYTES: usize = 16;

/// One change of a record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// A named graph no longer exists.
    DropGraph(NamedOrBlankNode),
    /// A named graph came to exist.
    CreateGraph(NamedOrBlankNode),
    /// A quad is no longer there.
    Remove(Quad),
    /// A quad came to be there.
    Insert(Quad),
}

/// Takes the chunks of a payload in order.
pub(super) type PutChunk<'a> = Box<dyn FnMut(&[u8]) -> io::Result<()> + 'a>;

/// Writes the changes of one record: dropped graphs first, then created ones, removed quads, inserted quads.
pub struct PayloadWriter<'a> {
    text: Vec<u8>,
    text_bytes: u64,
    counts: Counts,
    target: Target<'a>,
}

enum Target<'a> {
    Whole(Sink<'a>),
    Streamed(zstd::Encoder<'static, Sink<'a>>),
    /// For the moment between the two.
    Moving,
}

/// What [`PayloadWriter::finish`] knows of a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Payload {
    pub(super) counts: Counts,
    /// Bytes as it is stored: salt and compressed text.
    pub(super) stored_bytes: u64,
    pub(super) text_bytes: u64,
    /// The hash of it as it is stored.
    pub(super) digest: Digest,
}

impl<'a> PayloadWriter<'a> {
    pub(super) fn new(put: PutChunk<'a>) -> io::Result<Self> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)?;
        let mut sink = Sink {
            put,
            chunk: Vec::with_capacity(1024),
            hash: Sha256::new(),
            bytes: 0,
        };
        sink.write_all(&salt)?;
        Ok(Self {
            text: Vec::new(),
            text_bytes: 0,
            counts: Counts::default(),
            target: Target::Whole(sink),
        })
    }

    /// Writes a change; those of a kind must come together, in the order of [`Change`]'s variants.
    pub fn change(&mut self, change: &Change) -> Result<(), LogError> {
        match change {
            Change::DropGraph(graph) => self.drop_graph(graph.as_ref()),
            Change::CreateGraph(graph) => self.create_graph(graph.as_ref()),
            Change::Remove(quad) => self.remove(quad.as_ref()),
            Change::Insert(quad) => self.insert(quad.as_ref()),
        }
    }

    /// Writes that a named graph no longer exists.
    pub fn drop_graph(&mut self, graph: NamedOrBlankNodeRef<'_>) -> Result<(), LogError> {
        self.counts.graphs_dropped += 1;
        self.line(format_args!("# drop {graph}"))
    }

    /// Writes that a named graph came to exist.
    pub fn create_graph(&mut self, graph: NamedOrBlankNodeRef<'_>) -> Result<(), LogError> {
        self.counts.graphs_created += 1;
        self.line(format_args!("# create {graph}"))
    }

    /// Writes that a quad is no longer there.
    pub fn remove(&mut self, quad: QuadRef<'_>) -> Result<(), LogError> {
        self.counts.quads_removed += 1;
        self.quad(quad)
    }

    /// Writes that a quad came to be there.
    pub fn insert(&mut self, quad: QuadRef<'_>) -> Result<(), LogError> {
        self.counts.quads_inserted += 1;
        self.quad(quad)
    }

    pub(super) fn finish(mut self) -> io::Result<Payload> {
        let mut sink = match self.target {
            Target::Whole(mut sink) => {
                self.text_bytes = self.text.len() as u64;
                sink.write_all(&compress(&self.text)?)?;
                sink
            }
            Target::Streamed(mut encoder) => {
                self.text_bytes += self.text.len() as u64;
                encoder.write_all(&self.text)?;
                encoder.finish()?
            }
            Target::Moving => return Err(io::Error::other("an earlier write failed")),
        };
        sink.put_chunk()?;
        Ok(Payload {
            counts: self.counts,
            stored_bytes: sink.bytes,
            text_bytes: self.text_bytes,
            digest: sink.hash.finalize().into(),
        })
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) -> Result<(), LogError> {
        writeln!(self.text, "{line}").map_err(LogError::from_io)?;
        self.end_line()
    }

    fn quad(&mut self, quad: QuadRef<'_>) -> Result<(), LogError> {
        put_quad(&mut self.text, quad).map_err(LogError::from_io)?;
        self.end_line()
    }

    fn end_line(&mut self) -> Result<(), LogError> {
        if self.text.len() > WHOLE_TEXT_BYTES_MAX {
            self.stream().map_err(LogError::from_io)?;
        }
        Ok(())
    }

    /// Hands the text so far to the streaming encoder, which is begun when the text first grows large.
    fn stream(&mut self) -> io::Result<()> {
        let (mut encoder, taken) = match std::mem::replace(&mut self.target, Target::Moving) {
            Target::Whole(sink) => {
                let (encoder, taken) = begin(&self.text)?;
                (zstd::Encoder::with_encoder(sink, encoder), taken)
            }
            Target::Streamed(encoder) => (encoder, 0),
            Target::Moving => return Err(io::Error::other("an earlier write failed")),
        };
        encoder.write_all(&self.text[taken..])?;
        self.text_bytes += self.text.len() as u64;
        self.text.clear();
        self.target = Target::Streamed(encoder);
        Ok(())
    }
}

thread_local! {
    /// Kept: to make one takes as long as to compress a small text.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// Compresses a text at once.
fn compress(text: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(Compressor::new(COMPRESSION_LEVEL)?),
        };
        compressor.compress(text)
    })
}

/// Begins to compress a text that is large; returns with what, and how much of it that has taken. Nothing comes out yet.
fn begin(text: &[u8]) -> io::Result<(Encoder<'static>, usize)> {
    let mut encoder = Encoder::new(COMPRESSION_LEVEL)?;
    // Beside the writer, which makes the text.
    encoder.set_parameter(CParameter::NbWorkers(1))?;
    // Its thread is made now. Where there may be no more threads the writer compresses.
    match encoder.run_on_buffers(text, &mut []) {
        Ok(begun) => Ok((encoder, begun.bytes_read)),
        Err(_) => Ok((Encoder::new(COMPRESSION_LEVEL)?, 0)),
    }
}

/// Cuts what is written into chunks, and hashes it.
struct Sink<'a> {
    put: PutChunk<'a>,
    chunk: Vec<u8>,
    hash: Sha256,
    bytes: u64,
}

impl Sink<'_> {
    fn put_chunk(&mut self) -> io::Result<()> {
        (self.put)(&self.chunk)?;
        self.hash.update(&self.chunk);
        self.bytes += self.chunk.len() as u64;
        self.chunk.clear();
        Ok(())
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() == CHUNK_BYTES {
            self.put_chunk()?;
        }
        let len = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use oxigraph::model::{
        BlankNode, GraphName, GraphNameRef, Literal, NamedNode, NamedNodeRef, Term, Triple,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::log::changes::Changes;

    fn write(changes: &[Change]) -> (Vec<Vec<u8>>, Payload) {
        let mut chunks = Vec::new();
        let mut writer = PayloadWriter::new(Box::new(|chunk: &[u8]| {
            chunks.push(chunk.to_vec());
            Ok(())
        }))
        .unwrap();
        for change in changes {
            writer.change(change).unwrap();
        }
        let payload = writer.finish().unwrap();
        (chunks, payload)
    }

    fn check_round_trip(changes: &[Change]) -> usize {
        let (chunks, payload) = write(changes);
        let stored = chunks.concat();
        assert_eq!(payload.stored_bytes, stored.len() as u64);
        assert_eq!(payload.digest, <Digest>::from(Sha256::digest(&stored)));
        let back: Vec<_> = Changes::new(stored.as_slice(), payload.counts, payload.text_bytes)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(back, changes);
        chunks.len()
    }

    fn quad(number: usize, object: impl Into<Term>, graph: impl Into<GraphName>) -> Quad {
        let subject = NamedNode::new_unchecked(format!("http://example.com/{number}"));
        Quad::new(
            subject,
            NamedNode::new_unchecked("http://example.com/p"),
            object,
            graph,
        )
    }

    #[test]
    fn every_kind_of_term_comes_back_as_it_was() {
        let graph = NamedNode::new_unchecked("http://example.com/g");
        let blank = BlankNode::new_unchecked("b0");
        let int = NamedNodeRef::new_unchecked("http://www.w3.org/2001/XMLSchema#int");
        let triple = Triple::new(graph.clone(), graph.clone(), Literal::from("in\n\"side\"\\"));
        let objects: [Term; 8] = [
            graph.clone().into(),
            blank.clone().into(),
            Literal::from("tab\t, line\r\n, quote\", 대한민국, \u{7f}\u{0}").into(),
            Literal::new_typed_literal("01", int).into(),
            Literal::new_language_tagged_literal("日本", "ja-jp")
                .unwrap()
                .into(),
            Literal::new_directional_language_tagged_literal_unchecked(
                "a",
                "ar",
                oxigraph::model::BaseDirection::Rtl,
            )
            .into(),
            triple.into(),
            NamedNode::new_unchecked("http://example.com/a b{}").into(),
        ];
        let mut changes = vec![
            Change::DropGraph(graph.clone().into()),
            Change::CreateGraph(blank.clone().into()),
            Change::Remove(quad(0, graph.clone(), GraphName::DefaultGraph)),
            Change::Remove(quad(0, graph.clone(), blank)),
        ];
        changes.extend(
            objects
                .into_iter()
                .map(|object| Change::Insert(quad(1, object, graph.clone()))),
        );
        assert_eq!(check_round_trip(&changes), 1);
    }

    #[test]
    fn a_large_payload_is_streamed_in_chunks() {
        // Random words, so that it does not shrink into one chunk.
        let mut word = 1_u64;
        let changes: Vec<Change> = (0..20_000)
            .map(|number| {
                word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                Change::Insert(quad(
                    number,
                    Literal::from(format!("{word:x}")),
                    GraphNameRef::DefaultGraph.into_owned(),
                ))
            })
            .collect();
        assert!(check_round_trip(&changes) > 1);
    }

    /// None of them is written any more: a log that is older may have them.
    #[test]
    fn a_term_comes_back_however_long_it_is() {
        let literal = |text: &str, count: usize| Literal::from(text.repeat(count));
        let graph = NamedNode::new_unchecked(format!("http://example.com/{}", "g".repeat(17 << 20)));
        let objects: [Term; 4] = [
            literal("a", 17 << 20).into(),
            literal("\"", 9 << 20).into(),
            literal("\u{1}", 3 << 20).into(),
            graph.clone().into(),
        ];
        let mut changes = vec![Change::CreateGraph(graph.clone().into())];
        changes.extend(
            objects
                .into_iter()
                .flat_map(|object| [object, Literal::from("short").into()])
                .enumerate()
                .map(|(number, object)| Change::Insert(quad(number, object, GraphName::DefaultGraph))),
        );
        check_round_trip(&changes);
    }

    #[test]
    fn nothing_at_all_is_a_payload_too() {
        assert_eq!(check_round_trip(&[]), 1);
    }

    #[test]
    fn two_payloads_of_one_text_have_different_hashes() {
        let changes = [Change::Insert(quad(
            0,
            Literal::from("secret"),
            GraphName::DefaultGraph,
        ))];
        assert_ne!(write(&changes).1.digest, write(&changes).1.digest);
    }

    #[test]
    fn other_counts_are_refused() {
        let (chunks, payload) = write(&[Change::Insert(quad(
            0,
            Literal::from("a"),
            GraphName::DefaultGraph,
        ))]);
        let counts = Counts {
            quads_inserted: 2,
            ..payload.counts
        };
        let stored = chunks.concat();
        let mut changes = Changes::new(stored.as_slice(), counts, payload.text_bytes).unwrap();
        assert!(changes.next().unwrap().is_ok());
        assert_eq!(
            changes.next().unwrap().unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        assert!(changes.next().is_none());
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was(texts in prop::collection::vec(any::<String>(), 0..20), removed in 0..20_usize) {
            let changes: Vec<Change> = texts
                .into_iter()
                .enumerate()
                .map(|(number, text)| {
                    let quad = quad(number, Literal::from(text), GraphName::DefaultGraph);
                    if number < removed { Change::Remove(quad) } else { Change::Insert(quad) }
                })
                .collect();
            check_round_trip(&changes);
        }
    }
}
