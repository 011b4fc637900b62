//! Exports: a graph as a document, in chunks.

use std::{
    io::{self, Write},
    pin::pin,
    time::{Duration, Instant},
};

use bytes::Bytes;
use oxigraph::model::{GraphNameRef, QuadRef};
use tokio::{runtime::Handle, sync::mpsc, time::timeout};
use tonic::Status;

use crate::{
    facts::{Reified, document},
    graph::{GraphPattern, Pattern, Snapshot},
    grpc::{
        convert::to_int64,
        status::{cancelled, graph_not_found, internal, overloaded, reader_too_slow},
        validate::Violations,
    },
    knowledge::{KnowledgeBase, Streamed, View},
    model::prefixes::PREFIXES,
    places::{Place, Places},
    proto::v1::{self, export_request::Scope, export_response::Part},
    rdf::{Compression, DocumentWriter, Format},
    request::on_thread,
};

/// Exports at once.
const EXPORT_COUNT_MAX: usize = 2;
/// Bytes of a chunk.
const CHUNK_BYTES: usize = 256 << 10;
/// After so long it is looked whether others want the place of a slow reader.
const PATIENCE: Duration = Duration::from_secs(1);
/// Chunks that wait for their reader.
const WAITING_CHUNK_COUNT_MAX: usize = 4;

pub(super) type Answer = Result<v1::ExportResponse, Status>;

/// The exports under way.
pub(super) struct Exports {
    knowledge: KnowledgeBase,
    places: Places,
    stall_max: Duration,
}

/// What to export, and how.
pub(super) struct Export {
    format: Format,
    compression: Compression,
    scope: Option<Scope>,
    is_reified: bool,
    is_grouped: bool,
    pub(super) min_revision: u64,
}

impl Exports {
    /// A reader may let a chunk lie for `stall_max`, and be that far behind its pace once others were refused; less if what it reads takes too
    /// much memory beside the newest graph.
    pub(super) fn new(knowledge: KnowledgeBase, stall_max: Duration) -> Self {
        Self {
            knowledge,
            places: Places::new(EXPORT_COUNT_MAX),
            stall_max,
        }
    }

    /// Begins to export a view.
    pub(super) fn start(&self, export: Export, view: View) -> Result<mpsc::Receiver<Answer>, Status> {
        let place = self
            .places
            .take()
            .map_err(|_| overloaded("the server runs as many exports as it takes"))?;
        let pattern = export.pattern(&view.snapshot)?;
        let (answers, stream) = mpsc::channel(WAITING_CHUNK_COUNT_MAX);
        let mut out = Out {
            answers,
            handle: Handle::current(),
            place,
            stall_max: self.stall_max,
            streamed: self.knowledge.stream(view.clone()),
            buffer: Vec::new(),
            byte_count: 0,
            fault: None,
        };
        tokio::task::spawn_blocking(on_thread(move || {
            let header = v1::ExportHeader {
                revision: to_int64(view.revision),
                quad_count: to_int64(view.snapshot.count(pattern)),
                media_type: export.format.media_type().to_owned(),
            };
            let written = out
                .send(Part::Header(header))
                .and_then(|()| export.write(&view.snapshot, pattern, &mut out));
            let written =
                written.map_err(|error| out.fault.take().unwrap_or_else(|| export.unwritable(&error)));
            drop(view);
            out.end(written);
        }));
        Ok(stream)
    }
}

impl Export {
    /// Reads a request.
    pub(super) fn read(request: v1::ExportRequest) -> Result<Self, Status> {
        let mut violations = Violations::default();
        let format = Format::named(&request.format);
        match format {
            None => violations.invalid(
                "format",
                format!("`{}` is no format that the server writes", request.format),
            ),
            Some(format) if request.scope.is_none() && !format.holds_graphs() => violations.invalid(
                "format",
                format!(
                    "{} holds one graph only: ask for one, or for nq, trig, jsonld or jelly",
                    format.name()
                ),
            ),
            Some(_) => {}
        }
        if request.grouped && format.is_some_and(|format| format != Format::Jelly) {
            violations.invalid("grouped", "only a Jelly stream is grouped");
        }
        let compression = super::compression("compression", request.compression, &mut violations);
        let min_revision = violations.min_revision("min_revision", request.min_revision);
        let scope = match request.scope {
            Some(Scope::Graph(name)) => violations
                .name("graph", &name)
                .map(|graph| Scope::Graph(graph.into_string())),
            Some(Scope::DefaultGraph(true)) => Some(Scope::DefaultGraph(true)),
            Some(Scope::DefaultGraph(false)) => {
                violations.invalid("default_graph", "must be true, or another scope, or none");
                None
            }
            None => None,
        };
        let Some(format) = format else {
            return Err(crate::grpc::entity::invalid(violations));
        };
        violations.finish()?;
        Ok(Self {
            format,
            compression,
            scope,
            is_reified: request.reified_statements,
            is_grouped: request.grouped,
            min_revision,
        })
    }

    /// Returns the status of a graph that the format cannot hold, such as triple terms in JSON-LD.
    fn unwritable(&self, error: &io::Error) -> Status {
        let mut violations = Violations::default();
        let name = self.format.name();
        violations.invalid(
            "format",
            format!("the graph cannot be written as {name}: {error}"),
        );
        crate::grpc::entity::invalid(violations)
    }

    fn pattern(&self, snapshot: &Snapshot) -> Result<Pattern, Status> {
        let graphs = match &self.scope {
            None => GraphPattern::Any,
            Some(Scope::DefaultGraph(_)) => GraphPattern::Default,
            Some(Scope::Graph(iri)) => snapshot
                .iri_id(iri)
                .filter(|&graph| snapshot.contains_named_graph(graph))
                .map(GraphPattern::Named)
                .ok_or_else(|| graph_not_found(iri))?,
        };
        Ok(Pattern::all(graphs))
    }

    /// Writes the document; returns the number of its quads.
    fn write(&self, snapshot: &Snapshot, pattern: Pattern, out: &mut Out) -> io::Result<u64> {
        match self.compression {
            Compression::None => self
                .write_quads(snapshot, pattern, &mut *out)
                .map(|(count, _)| count),
            Compression::Gzip => {
                let packed = flate2::write::GzEncoder::new(&mut *out, flate2::Compression::default());
                let (count, packed) = self.write_quads(snapshot, pattern, packed)?;
                packed.finish()?;
                Ok(count)
            }
            Compression::Zstd => {
                let packed = zstd::Encoder::new(&mut *out, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                let (count, packed) = self.write_quads(snapshot, pattern, packed)?;
                packed.finish()?;
                Ok(count)
            }
        }
    }

    fn write_quads<W: Write>(&self, snapshot: &Snapshot, pattern: Pattern, out: W) -> io::Result<(u64, W)> {
        let prefixes = PREFIXES.iter().map(|(name, iri)| (*name, *iri));
        let is_one_graph = self.scope.is_some();
        let mut writer = if self.is_grouped {
            DocumentWriter::grouped_jelly(!is_one_graph, out)
        } else {
            DocumentWriter::new(self.format, !is_one_graph, prefixes, out).map_err(io::Error::other)?
        };
        let reified = self.is_reified.then(|| Reified::new(snapshot));
        let mut count = 0;
        let mut put = |quad: QuadRef<'_>| {
            writer.quad(QuadRef {
                graph_name: if is_one_graph {
                    GraphNameRef::DefaultGraph
                } else {
                    quad.graph_name
                },
                ..quad
            })
        };
        for ids in document(snapshot, pattern, self.format.has_pieces()) {
            match reified.as_ref().map(|reified| reified.quad(ids)) {
                None => snapshot.with_quad(ids, &mut put)?,
                Some(Some(quad)) => put(quad.as_ref())?,
                Some(None) => continue,
            }
            count += 1;
        }
        Ok((count, writer.finish()?))
    }
}

/// Where the document goes: chunks, to a reader that may be gone or slow.
struct Out {
    answers: mpsc::Sender<Answer>,
    handle: Handle,
    place: Place,
    stall_max: Duration,
    streamed: Streamed,
    buffer: Vec<u8>,
    byte_count: u64,
    /// Why nothing more is sent.
    fault: Option<Status>,
}

impl Out {
    fn send(&mut self, part: Part) -> io::Result<()> {
        let bytes = match &part {
            Part::Chunk(chunk) => chunk.len() as u64,
            _ => 0,
        };
        let answer = Ok(v1::ExportResponse { part: Some(part) });
        let began = Instant::now();
        let Self {
            answers,
            place,
            streamed,
            ..
        } = self;
        let stall_max = self.stall_max;
        let sending = async {
            if streamed.gives_way() {
                return Err(reader_too_slow(None));
            }
            let mut sending = pin!(answers.send(answer));
            loop {
                let left = place.stall_max(stall_max);
                let left = left.saturating_sub(began.elapsed());
                match timeout(left.min(PATIENCE), &mut sending).await {
                    Ok(sent) => return sent.map_err(|_| cancelled()),
                    Err(_) if left <= PATIENCE || streamed.lingers() => return Err(reader_too_slow(None)),
                    Err(_) => {}
                }
            }
        };
        let sent = self.handle.block_on(sending);
        self.place.took(began.elapsed(), bytes);
        sent.map_err(|fault| {
            self.fault = Some(fault);
            io::ErrorKind::BrokenPipe.into()
        })
    }

    fn send_buffer(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.byte_count += self.buffer.len() as u64;
        let chunk = Bytes::from(std::mem::take(&mut self.buffer));
        self.send(Part::Chunk(chunk))
    }

    /// Says the last word: how many quads were written, or why no more. A reader that is too slow for the rest may be in time for
    /// it.
    fn end(mut self, written: Result<u64, Status>) {
        let last = written.and_then(|quad_count| {
            let sent = self.send_buffer();
            sent.map_err(|error| self.fault.take().unwrap_or_else(|| internal(&error)))?;
            Ok(Part::Complete(v1::ExportComplete {
                quads_written: to_int64(quad_count),
                bytes_written: to_int64(self.byte_count),
            }))
        });
        let answer = last.map(|part| v1::ExportResponse { part: Some(part) });
        let (answers, stall_max) = (self.answers, self.stall_max);
        // They are free before a slow reader has taken the last word.
        drop((self.place, self.streamed));
        // An error says that nobody listens any more.
        let _ = self.handle.block_on(timeout(stall_max, answers.send(answer)));
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact(CHUNK_BYTES);
        }
        let count = bytes.len().min(CHUNK_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.buffer.len() == CHUNK_BYTES {
            self.send_buffer()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
