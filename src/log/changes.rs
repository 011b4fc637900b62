//! Reading payloads back, some lines at a time.

use std::{
    io::{self, BufRead, BufReader, Cursor, Read},
    vec,
};

use oxigraph::{
    io::{RdfFormat, RdfParser},
    model::{BlankNode, NamedNode, NamedOrBlankNode, Quad},
};
use sha2::{Digest as _, Sha256};

use super::{
    error::{LogError, RecordFault},
    payload::{Change, Payload, SALT_BYTES, WHOLE_TEXT_BYTES_MAX},
    record::{Counts, Digest},
};

/// Bytes of whole lines that are parsed at once: no fewer, and as many as the last line has.
const LINES_BYTES: usize = 32 << 10;

/// A stored payload that fails in its end if it is not what is said of it: the file may have changed since the log was opened, and the
/// database does not look again.
pub(super) struct Verified<R> {
    inner: R,
    revision: u64,
    /// Nothing once it was compared.
    hash: Option<Sha256>,
    digest: Digest,
}

impl<R> Verified<R> {
    pub(super) fn new(inner: R, revision: u64, payload: &Payload) -> Self {
        Self {
            inner,
            revision,
            hash: Some(Sha256::new()),
            digest: payload.digest,
        }
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        if let Some(hash) = &mut self.hash {
            hash.update(&out[..count]);
        }
        if count == 0
            && !out.is_empty()
            && let Some(hash) = self.hash.take()
        {
            check_payload(self.revision, hash, self.digest).map_err(io::Error::other)?;
        }
        Ok(count)
    }
}

/// Fails if a payload is not what is said of it.
pub(super) fn check_payload(revision: u64, hash: Sha256, digest: Digest) -> Result<(), LogError> {
    if digest == <Digest>::from(hash.finalize()) {
        Ok(())
    } else {
        Err(LogError::DamagedRecord {
            revision,
            fault: RecordFault::Payload,
        })
    }
}

/// Reads a stored payload, change by change, in the order of writing.
///
/// Fails with `InvalidData` if it does not hold just what the counts say; nothing comes after an error.
pub(super) struct Changes<'a> {
    /// What is left of the text; nothing once its end has come, or an error.
    text: Option<Box<dyn BufRead + Send + 'a>>,
    lines: Vec<u8>,
    /// Those of the lines that were read last.
    quads: vec::IntoIter<Quad>,
    counts: Counts,
    dropped_count: u64,
    created_count: u64,
    quad_count: u64,
}

impl<'a> Changes<'a> {
    pub(super) fn new(
        mut stored: impl Read + Send + 'a,
        counts: Counts,
        text_bytes: u64,
    ) -> io::Result<Self> {
        stored.read_exact(&mut [0; SALT_BYTES])?;
        let text: Box<dyn BufRead + Send + 'a> = match usize::try_from(text_bytes) {
            Ok(capacity) if capacity <= WHOLE_TEXT_BYTES_MAX => {
                let mut frame = Vec::new();
                stored.read_to_end(&mut frame)?;
                Box::new(Cursor::new(zstd::bulk::decompress(&frame, capacity)?))
            }
            _ => Box::new(BufReader::with_capacity(
                WHOLE_TEXT_BYTES_MAX,
                zstd::Decoder::new(stored)?,
            )),
        };
        Ok(Self {
            text: Some(text),
            lines: Vec::new(),
            quads: Vec::new().into_iter(),
            counts,
            dropped_count: 0,
            created_count: 0,
            quad_count: 0,
        })
    }

    fn read(&mut self) -> io::Result<Option<Change>> {
        loop {
            if let Some(quad) = self.quads.next() {
                self.quad_count += 1;
                return Ok(Some(if self.quad_count <= self.counts.quads_removed {
                    Change::Remove(quad)
                } else {
                    Change::Insert(quad)
                }));
            }
            let Some(mut text) = self.text.take() else {
                return Ok(None);
            };
            if self.dropped_count < self.counts.graphs_dropped {
                self.dropped_count += 1;
                let graph = read_graph(&mut text, "# drop ")?;
                self.text = Some(text);
                return Ok(Some(Change::DropGraph(graph)));
            }
            if self.created_count < self.counts.graphs_created {
                self.created_count += 1;
                let graph = read_graph(&mut text, "# create ")?;
                self.text = Some(text);
                return Ok(Some(Change::CreateGraph(graph)));
            }
            if !self.read_quads(&mut text)? {
                return if self.counts.quads_removed.checked_add(self.counts.quads_inserted)
                    == Some(self.quad_count)
                {
                    Ok(None)
                } else {
                    Err(invalid("other counts than the header's"))
                };
            }
            self.text = Some(text);
        }
    }

    /// Reads the quads of some lines; tells whether there are any lines.
    ///
    /// By lines: a parser that reads by itself has an end to its buffer, and with it to what a term may be.
    fn read_quads(&mut self, text: &mut impl BufRead) -> io::Result<bool> {
        self.lines.clear();
        // A long line is not held for the short ones behind it.
        self.lines.shrink_to(2 * LINES_BYTES);
        while self.lines.len() < LINES_BYTES && text.read_until(b'\n', &mut self.lines)? > 0 {}
        if self.lines.is_empty() {
            return Ok(false);
        }
        // Lenient: what was once taken in is read again, also where a parser of today would object to an IRI.
        let parser = RdfParser::from_format(RdfFormat::NQuads).lenient();
        let quads: Result<Vec<_>, _> = parser.for_slice(&self.lines).collect();
        let quads = quads.map_err(|error| invalid(&error.to_string()))?;
        self.quads = quads.into_iter();
        Ok(true)
    }
}

impl Iterator for Changes<'_> {
    type Item = io::Result<Change>;

    fn next(&mut self) -> Option<io::Result<Change>> {
        self.read().transpose()
    }
}

fn read_graph(text: &mut impl BufRead, before: &str) -> io::Result<NamedOrBlankNode> {
    let mut line = String::new();
    text.read_line(&mut line)?;
    let graph = line
        .trim_end_matches('\n')
        .strip_prefix(before)
        .ok_or_else(|| invalid("no graph line"))?;
    if let Some(iri) = graph.strip_prefix('<').and_then(|graph| graph.strip_suffix('>')) {
        Ok(NamedNode::new_unchecked(iri).into())
    } else if let Some(label) = graph.strip_prefix("_:") {
        BlankNode::new(label)
            .map(Into::into)
            .map_err(|error| invalid(&error.to_string()))
    } else {
        Err(invalid("no graph name"))
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
