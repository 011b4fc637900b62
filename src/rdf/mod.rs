//! RDF documents in, batches out: strict parsers behind a guard, fresh blank nodes, and a memory limit.

mod blank;
mod chunks;
mod format;
mod guard;
mod jelly;
mod lines;
mod pieces;
mod statements;

use std::{
    cell::{Cell, RefCell},
    fmt,
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
};

use oxigraph::{
    io::{RdfFormat, RdfParseError, RdfParser, RdfSyntaxError},
    model::{GraphName, NamedNode, Quad},
};

pub use self::{
    chunks::{Chunk, ChunkReader, Waker},
    format::{DocumentWriter, Format},
    jelly::MEDIA_TYPE as JELLY_MEDIA_TYPE,
    pieces::{Cut, Piece, Position, read_pieces},
};

use crate::graph::Batch;
use guard::Guarded;
use jelly::JellyReader;

/// Bytes of stack that a thread needs to parse a document.
pub const STACK_BYTES: usize = 64 << 20;
/// Quads between two looks at memory and at who listens.
const CHECK_INTERVAL: u64 = 4_096;

/// Starts a thread that may parse: it has the stack for that.
pub fn start_thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_BYTES);
    // It begins once it is detached: glibc reads the memory of a thread that ends just then.
    let (detached, is_detached) = mpsc::channel::<()>();
    let started = thread.spawn(move || {
        let _ = is_detached.recv();
        work();
    });
    drop(started?);
    drop(detached);
    Ok(())
}

/// The compression of a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compression {
    /// None.
    None,
    /// gzip, of one member or several.
    Gzip,
    /// Zstandard, of one frame or several.
    Zstd,
}

/// How to read a document.
#[derive(Clone, Debug)]
pub struct Document {
    /// The format.
    pub format: Format,
    /// The compression.
    pub compression: Compression,
    /// Base of relative IRIs; without one they are faults.
    pub base_iri: Option<String>,
    /// The graph of triples that the document has in its default graph.
    pub default_graph: Option<NamedNode>,
    /// Refuses named graphs in the document.
    pub is_one_graph: bool,
}

/// Memory that imports may take together with the graph.
#[derive(Clone, Debug)]
pub struct Memory {
    graph_memory_bytes_max: u64,
    taken: Arc<AtomicU64>,
    refused_count: Arc<AtomicU64>,
}

impl Memory {
    /// Returns the memory below a limit, none of it taken.
    pub fn new(graph_memory_bytes_max: u64) -> Self {
        Self {
            graph_memory_bytes_max,
            taken: Arc::default(),
            refused_count: Arc::default(),
        }
    }

    /// Returns how many imports found no room beside others.
    pub fn refused_count(&self) -> u64 {
        self.refused_count.load(Ordering::Relaxed)
    }
}

/// A place in a document, counted from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// What is wrong with a document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DocumentError {
    /// What it is.
    pub message: String,
    /// Where, if that is known.
    pub place: Option<Place>,
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(Place { line, column }) => write!(f, "line {line}, column {column}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Why a document was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The document is at fault.
    #[error("{0}")]
    Document(DocumentError),
    /// It needs more memory than the graph may take.
    #[error("the document needs more than {graph_memory_bytes_max} bytes of memory")]
    Full {
        /// The limit.
        graph_memory_bytes_max: u64,
    },
    /// Whoever sent it broke off.
    #[error("the document was broken off")]
    BrokenOff,
    /// The server is at fault.
    #[error("{0}")]
    Fault(String),
}

impl ImportError {
    fn document(message: impl Into<String>) -> Self {
        Self::Document(DocumentError {
            message: message.into(),
            place: None,
        })
    }
}

/// Reads a whole document; blank nodes get fresh labels.
///
/// Needs a stack of [`STACK_BYTES`]. `graph_bytes` is what the graph takes already; `progress` hears now and then how many
/// quads were read and answers whether to go on, also while bytes come that make no quads.
pub fn read(
    document: &Document,
    bytes: impl Read,
    memory: &Memory,
    graph_bytes: u64,
    progress: impl FnMut(u64) -> bool,
) -> Result<Parsed, ImportError> {
    match document.compression {
        Compression::None => parse(document, bytes, memory, graph_bytes, progress),
        Compression::Gzip => {
            let inflated = flate2::read::MultiGzDecoder::new(bytes);
            parse(document, inflated, memory, graph_bytes, progress)
        }
        Compression::Zstd => {
            let inflated = zstd::Decoder::new(bytes).map_err(|error| of_io(&error, memory))?;
            parse(document, inflated, memory, graph_bytes, progress)
        }
    }
}

fn parse(
    document: &Document,
    bytes: impl Read,
    memory: &Memory,
    graph_bytes: u64,
    progress: impl FnMut(u64) -> bool,
) -> Result<Parsed, ImportError> {
    let progress = Progress {
        hear: RefCell::new(progress),
        count: Cell::new(0),
    };
    let mut share = Share::new(memory);
    let mut batch = Batch::default();
    let bytes = Inflated::new(bytes, document, memory, &progress.count);
    let bytes = Wanted {
        inner: bytes,
        progress: &progress,
    };
    let mut take = |quad: Result<Quad, ImportError>| {
        batch.insert(quad?.as_ref());
        let count = progress.count.get() + 1;
        progress.count.set(count);
        if count.is_multiple_of(CHECK_INTERVAL) {
            share.set(batch.memory_bytes(), graph_bytes)?;
            if !progress.goes_on() {
                return Err(ImportError::BrokenOff);
            }
        }
        Ok(())
    };
    let salt = getrandom::u64().map_err(|error| ImportError::Fault(error.to_string()))?;
    match document.format {
        Format::Text(format) if lines::are_statements(format) => {
            let bytes = (bytes, &Waker::default());
            lines::read(document, format, bytes, memory, (salt, 0), |block| {
                batch.append(block.batch);
                progress.count.set(progress.count.get() + block.quad_count);
                share.set(batch.memory_bytes(), graph_bytes)
            })?;
        }
        Format::Text(format) => {
            let bytes = Guarded::new(bytes, format, Share::new(memory), graph_bytes);
            let parser = parser(document, format)?.rename_blank_nodes();
            let quads = parser.for_reader(bytes);
            quads
                .map(|quad| quad.map_err(|error| of_parser(error, memory)))
                .try_for_each(&mut take)?;
        }
        Format::Jelly => {
            JellyReader::new(bytes, salt)
                .map(|quad| in_place(quad.map_err(|fault| of_jelly(&fault, memory))?, document))
                .try_for_each(take)?;
        }
    }
    statements::gather(&mut batch);
    share.set(batch.memory_bytes(), graph_bytes)?;
    if progress.goes_on() {
        Ok(Parsed {
            batch,
            quad_count: progress.count.get(),
            _share: share,
        })
    } else {
        Err(ImportError::BrokenOff)
    }
}

/// Returns a parser of a document in one of the W3C's formats.
fn parser(document: &Document, format: RdfFormat) -> Result<RdfParser, ImportError> {
    let mut parser = RdfParser::from_format(format);
    if let Some(base) = &document.base_iri {
        parser = parser
            .with_base_iri(base)
            .map_err(|error| ImportError::document(error.to_string()))?;
    }
    if let Some(graph) = &document.default_graph {
        parser = parser.with_default_graph(graph.clone());
    }
    if document.is_one_graph {
        parser = parser.without_named_graphs();
    }
    Ok(parser)
}

/// Puts a quad where the document is to go.
fn in_place(quad: Quad, document: &Document) -> Result<Quad, ImportError> {
    match (&quad.graph_name, &document.default_graph) {
        (GraphName::DefaultGraph, Some(graph)) => Ok(Quad {
            graph_name: graph.clone().into(),
            ..quad
        }),
        (GraphName::NamedNode(_) | GraphName::BlankNode(_), _) if document.is_one_graph => {
            Err(ImportError::document(format!(
                "the named graph {} in a document that is one graph",
                quad.graph_name
            )))
        }
        _ => Ok(quad),
    }
}

/// How many quads were read, and who hears of it.
struct Progress<F> {
    hear: RefCell<F>,
    count: Cell<u64>,
}

impl<F: FnMut(u64) -> bool> Progress<F> {
    fn goes_on(&self) -> bool {
        (self.hear.borrow_mut())(self.count.get())
    }
}

/// A reader that fails when nobody wants the document any more.
struct Wanted<'p, R, F> {
    inner: R,
    progress: &'p Progress<F>,
}

impl<R: Read, F: FnMut(u64) -> bool> Read for Wanted<'_, R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.progress.goes_on() {
            self.inner.read(buffer)
        } else {
            Err(broken_off())
        }
    }
}

/// A document that is read. Its memory counts as taken until it is dropped: keep it until the batch is applied.
#[derive(Debug)]
pub struct Parsed {
    /// Its quads. Reifiers with a `d:standing` are statement nodes.
    pub batch: Batch,
    /// The quads that it has, each occurrence counted.
    pub quad_count: u64,
    _share: Share,
}

/// What one import takes of the memory; given back when it ends.
#[derive(Debug)]
struct Share {
    memory: Memory,
    bytes: u64,
}

impl Share {
    fn new(memory: &Memory) -> Self {
        Self {
            memory: memory.clone(),
            bytes: 0,
        }
    }

    fn set(&mut self, bytes: u64, graph_bytes: u64) -> Result<(), ImportError> {
        let given_back = self.bytes.saturating_sub(bytes);
        self.memory.taken.fetch_sub(given_back, Ordering::Relaxed);
        let added = bytes.saturating_sub(self.bytes);
        self.bytes = bytes;
        let others_and_this = self.memory.taken.fetch_add(added, Ordering::Relaxed) + added;
        let graph_memory_bytes_max = self.memory.graph_memory_bytes_max;
        if others_and_this.saturating_add(graph_bytes) > graph_memory_bytes_max {
            let has_others = others_and_this > bytes;
            self.memory
                .refused_count
                .fetch_add(u64::from(has_others), Ordering::Relaxed);
            return Err(ImportError::Full {
                graph_memory_bytes_max,
            });
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Marks errors of ours on their way through the parser.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("the document needs more than the graph's memory")]
    Full,
    #[error("the document was broken off")]
    BrokenOff,
    #[error("{0}")]
    Refused(DocumentError),
}

/// Returns the error with which a reader says that the sender broke off, as opposed to the end.
pub fn broken_off() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, ReadError::BrokenOff)
}

fn of_parser(error: RdfParseError, memory: &Memory) -> ImportError {
    match error {
        RdfParseError::Io(error) => of_io(&error, memory),
        RdfParseError::Syntax(error) => ImportError::Document(DocumentError {
            place: place_of(&error),
            message: error.to_string(),
        }),
    }
}

fn place_of(error: &RdfSyntaxError) -> Option<Place> {
    error.location().map(|range| Place {
        line: range.start.line + 1,
        column: range.start.column + 1,
    })
}

fn of_jelly(fault: &jelly::Fault, memory: &Memory) -> ImportError {
    match fault {
        jelly::Fault::Io(error) => of_io(error, memory),
        jelly::Fault::Stream { .. } => ImportError::document(fault.to_string()),
    }
}

fn of_io(error: &io::Error, memory: &Memory) -> ImportError {
    let mut source = error
        .get_ref()
        .map(|source| source as &(dyn std::error::Error + 'static));
    while let Some(error) = source {
        match error.downcast_ref::<ReadError>() {
            Some(ReadError::Full) => {
                return ImportError::Full {
                    graph_memory_bytes_max: memory.graph_memory_bytes_max,
                };
            }
            Some(ReadError::BrokenOff) => return ImportError::BrokenOff,
            Some(ReadError::Refused(error)) => return ImportError::Document(error.clone()),
            None => {}
        }
        // An error of I/O inside of one shows what it holds, not itself.
        source = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    // What is left comes of bytes that are not what they were said to be: a truncated gzip, bad UTF-8.
    ImportError::document(error.to_string())
}

/// A document that stops at the memory limit, however much a few bytes inflate to. Of lines, whose quads are accounted for as they are
/// read, that is the text in which there is no quad.
struct Inflated<'c, R> {
    inner: R,
    left: u64,
    bytes_max: u64,
    quad_count: &'c Cell<u64>,
    quad_count_then: u64,
    are_lines: bool,
}

impl<'c, R> Inflated<'c, R> {
    /// Reads a document; what is not compressed has no limit here.
    fn new(inner: R, document: &Document, memory: &Memory, quad_count: &'c Cell<u64>) -> Self {
        let bytes_max = match document.compression {
            Compression::None => u64::MAX,
            Compression::Gzip | Compression::Zstd => memory.graph_memory_bytes_max,
        };
        Self {
            inner,
            left: bytes_max,
            bytes_max,
            quad_count,
            quad_count_then: 0,
            are_lines: matches!(document.format, Format::Text(format) if lines::are_statements(format)),
        }
    }
}

impl<R: Read> Read for Inflated<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.are_lines && self.quad_count.get() != self.quad_count_then {
            self.quad_count_then = self.quad_count.get();
            self.left = self.bytes_max;
        }
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::new(io::ErrorKind::QuotaExceeded, ReadError::Full))?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
