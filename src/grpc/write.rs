//! `WriteService`.

pub(super) mod check;
mod export;
mod fact;
mod facts;
mod faults;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use export::{Export, Exports};

use super::{
    call::{BrokenOff, access},
    convert::to_int64,
    read::deadline,
    status::{cancelled, deadline_exceeded, internal, malformed, of_tonic, overloaded},
    validate::Violations,
};
use crate::{
    graph::Draft,
    knowledge::{CommitRequest, KnowledgeBase, RequestId},
    model::access::Access,
    proto::v1::{self, import_request, import_response, write_service_server::WriteService},
    rdf::{self, Chunk, ChunkReader, Compression, Document, Format, ImportError, Memory, Parsed},
};

/// Imports at once.
const IMPORT_COUNT_MAX: usize = 4;
/// Chunks that wait for the parser.
const WAITING_CHUNK_COUNT_MAX: usize = 2;
/// How long an import waits for its caller's next message: its place is wanted by others.
const SILENCE_MAX: Duration = Duration::from_mins(1);
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// Bytes of the id that makes a write idempotent.
pub(super) const REQUEST_ID_BYTES_MAX: usize = 128;
/// Bytes of the reason that a write gives.
pub(super) const MESSAGE_BYTES_MAX: usize = 1_024;

type Answer = Result<v1::ImportResponse, Status>;

/// Answers `WriteService`.
pub struct WriteApi {
    knowledge: KnowledgeBase,
    memory: Memory,
    imports: Arc<Semaphore>,
    exports: Exports,
}

impl WriteApi {
    /// Writes to a knowledge base; imports take of `memory`; who reads an export may let a chunk lie for `stall_max`.
    pub fn new(knowledge: KnowledgeBase, memory: Memory, stall_max: Duration) -> Self {
        Self {
            knowledge,
            memory,
            imports: Arc::new(Semaphore::new(IMPORT_COUNT_MAX)),
            exports: Exports::new(stall_max),
        }
    }
}

#[tonic::async_trait]
impl WriteService for WriteApi {
    type ImportStream = ReceiverStream<Answer>;
    type ExportStream = ReceiverStream<export::Answer>;

    async fn import(
        &self,
        request: Request<Streaming<v1::ImportRequest>>,
    ) -> Result<Response<Self::ImportStream>, Status> {
        let access = access(request.extensions())?;
        let permit = Arc::clone(&self.imports)
            .try_acquire_owned()
            .map_err(|_| overloaded("the server runs as many imports as it takes"))?;
        let broken_off = request
            .extensions()
            .get::<BrokenOff>()
            .cloned()
            .unwrap_or_default();
        let (answers, stream) = mpsc::channel(4);
        let import = Import {
            access,
            knowledge: self.knowledge.clone(),
            memory: self.memory.clone(),
            chunks: request.into_inner(),
            broken_off,
            answers: answers.clone(),
            heard_at: Instant::now(),
        };
        tokio::spawn(async move {
            let gone = answers.clone();
            let outcome = tokio::select! {
                outcome = import.run() => outcome,
                () = gone.closed() => Err(cancelled()),
            };
            let answer = outcome.map(|complete| v1::ImportResponse {
                part: Some(import_response::Part::Complete(complete)),
            });
            // The place is free before a slow reader has taken the last word.
            drop(permit);
            // An error says that nobody listens any more.
            let _ = answers.send(answer).await;
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn export(
        &self,
        request: Request<v1::ExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let (_, extensions, request) = request.into_parts();
        let access = access(&extensions)?;
        let export = Export::read(request)?;
        let place = self.exports.place()?;
        let deadline = deadline(&extensions);
        let view = self
            .knowledge
            .read_at_least(&access, export.min_revision, deadline)
            .await?;
        let stream = self.exports.start(place, export, view)?;
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn write_facts(
        &self,
        request: Request<v1::WriteFactsRequest>,
    ) -> Result<Response<v1::WriteFactsResponse>, Status> {
        let access = access(request.extensions())?;
        let written = facts::write(&self.knowledge, access, request.into_inner()).await?;
        Ok(Response::new(written))
    }

    async fn retract_facts(
        &self,
        request: Request<v1::RetractFactsRequest>,
    ) -> Result<Response<v1::RetractFactsResponse>, Status> {
        let access = access(request.extensions())?;
        let retracted = facts::retract(&self.knowledge, access, request.into_inner()).await?;
        Ok(Response::new(retracted))
    }
}

/// One import under way.
struct Import {
    access: Access,
    knowledge: KnowledgeBase,
    memory: Memory,
    chunks: Streaming<v1::ImportRequest>,
    broken_off: BrokenOff,
    answers: mpsc::Sender<Answer>,
    /// When the caller said something last, or was last kept waiting.
    heard_at: Instant,
}

struct Header {
    document: Document,
    request_id: String,
    message: String,
    fingerprint: Sha256,
}

impl Import {
    async fn run(mut self) -> Result<v1::ImportComplete, Status> {
        let mut header = match self.next().await? {
            Some(import_request::Part::Header(header)) => check_header(header)?,
            _ => return Err(malformed("the first message of an import must be its header")),
        };
        let (sender, chunks) = mpsc::channel(WAITING_CHUNK_COUNT_MAX);
        let quads_read = Arc::new(AtomicU64::new(0));
        let mut parsed = self.parse(header.document.clone(), chunks, Arc::clone(&quads_read))?;
        let outcome = self.feed(&mut header, sender, &mut parsed, &quads_read).await?;
        let parsed = outcome?;
        let quads_read = parsed.quad_count;
        if self.broken_off.is_set() || self.answers.is_closed() {
            return Err(cancelled());
        }
        let answers = self.answers;
        let plan = move |draft: &mut Draft| {
            // It has waited for its turn: its caller's deadline may have passed.
            if answers.is_closed() {
                return Err(ImportError::BrokenOff);
            }
            draft.apply(&parsed.batch);
            Ok(())
        };
        let mut request = CommitRequest::new(self.access, plan);
        request.message = header.message;
        request.request_id = (!header.request_id.is_empty()).then(|| RequestId {
            id: header.request_id,
            fingerprint: header.fingerprint.finalize().into(),
        });
        let committed = self.knowledge.commit(request).await?;
        Ok(v1::ImportComplete {
            revision: to_int64(committed.revision),
            quads_read: to_int64(quads_read),
            quads_inserted: to_int64(committed.quads_inserted),
        })
    }

    async fn next(&mut self) -> Result<Option<import_request::Part>, Status> {
        // A point in time, not a span: callers drop this future and begin anew.
        let message = timeout_at(self.heard_at + SILENCE_MAX, self.chunks.message()).await;
        let message = message
            .map_err(|_| deadline_exceeded())?
            .map_err(|status| of_tonic(&status))?;
        self.heard_at = Instant::now();
        if self.broken_off.is_set() {
            return Err(cancelled());
        }
        match message {
            None => Ok(None),
            Some(v1::ImportRequest { part: Some(part) }) => Ok(Some(part)),
            Some(v1::ImportRequest { part: None }) => {
                Err(malformed("a message of an import must be a header or a chunk"))
            }
        }
    }

    /// Starts the thread that parses what comes through `chunks`.
    fn parse(
        &self,
        document: Document,
        chunks: mpsc::Receiver<Chunk>,
        quads_read: Arc<AtomicU64>,
    ) -> Result<oneshot::Receiver<Result<Parsed, ImportError>>, Status> {
        let (done, parsed) = oneshot::channel();
        let memory = self.memory.clone();
        let graph_bytes = self.knowledge.graph_memory_bytes();
        let answers = self.answers.clone();
        let work = move || {
            let progress = |count| {
                quads_read.store(count, Ordering::Relaxed);
                !answers.is_closed()
            };
            let chunks = ChunkReader::new(chunks);
            // An error says that the caller has gone.
            let _ = done.send(rdf::read(&document, chunks, &memory, graph_bytes, progress));
        };
        std::thread::Builder::new()
            .name("import".to_owned())
            .stack_size(rdf::STACK_BYTES)
            .spawn(work)
            .map_err(|error| internal(&error))?;
        Ok(parsed)
    }

    /// Passes chunks on until the parser is done, with the document or because of it.
    async fn feed(
        &mut self,
        header: &mut Header,
        sender: mpsc::Sender<Chunk>,
        parsed: &mut oneshot::Receiver<Result<Parsed, ImportError>>,
        quads_read: &AtomicU64,
    ) -> Result<Result<Parsed, ImportError>, Status> {
        let mut bytes_received: u64 = 0;
        let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
        let mut sender = Some(sender);
        loop {
            tokio::select! {
                outcome = &mut *parsed => {
                    return outcome.map_err(|_| internal(&"the import thread panicked"));
                }
                part = self.next(), if sender.is_some() => match (part?, &sender) {
                    (Some(import_request::Part::Chunk(chunk)), Some(to_parser)) => {
                        bytes_received += chunk.len() as u64;
                        if !header.request_id.is_empty() {
                            header.fingerprint.update(&chunk);
                        }
                        // An error says that the parser is done already: its outcome tells why.
                        let _ = to_parser.send(Chunk::Bytes(chunk)).await;
                        self.heard_at = Instant::now();
                    }
                    (Some(import_request::Part::Header(_)), _) => {
                        return Err(malformed("an import has one header"));
                    }
                    (_, to_parser) => {
                        if let Some(to_parser) = to_parser {
                            let _ = to_parser.send(Chunk::End).await;
                        }
                        sender = None;
                    }
                },
                _ = ticks.tick() => self.report(bytes_received, quads_read.load(Ordering::Relaxed)),
            }
        }
    }

    fn report(&self, bytes_received: u64, quads_read: u64) {
        let progress = v1::ImportProgress {
            bytes_received: to_int64(bytes_received),
            quads_read: to_int64(quads_read),
        };
        // Nobody waits for progress: a caller that does not listen misses some.
        let _ = self.answers.try_send(Ok(v1::ImportResponse {
            part: Some(import_response::Part::Progress(progress)),
        }));
    }
}

/// Reads a compression.
fn compression(field: &str, number: i32, violations: &mut Violations) -> Compression {
    match v1::Compression::try_from(number) {
        Ok(v1::Compression::Unspecified) => Compression::None,
        Ok(v1::Compression::Gzip) => Compression::Gzip,
        Ok(v1::Compression::Zstd) => Compression::Zstd,
        Err(_) => {
            violations.invalid(field, format!("{number} is no compression"));
            Compression::None
        }
    }
}

fn check_header(header: v1::ImportHeader) -> Result<Header, Status> {
    let mut violations = Violations::default();
    let format = Format::named(&header.format);
    if format.is_none() {
        violations.invalid(
            "header.format",
            format!("`{}` is no format that the server reads", header.format),
        );
    }
    let compression = compression("header.compression", header.compression, &mut violations);
    let base_iri = violations.optional_name("header.base_iri", &header.base_iri);
    let default_graph = match header.default_graph.as_str() {
        "" => None,
        name => violations.name("header.default_graph", name),
    };
    violations.text("header.request_id", &header.request_id, REQUEST_ID_BYTES_MAX);
    violations.text("header.message", &header.message, MESSAGE_BYTES_MAX);
    let Some(format) = format else {
        return Err(super::entity::invalid(violations));
    };
    violations.finish()?;
    let mut fingerprint = Sha256::new();
    // Lengths and kinds apart, so that no two requests have the same bytes.
    let parts = [
        format.media_type(),
        &header.base_iri,
        &header.default_graph,
        &header.message,
    ];
    fingerprint.update([u8::try_from(header.compression).unwrap_or_default()]);
    for part in parts {
        fingerprint.update((part.len() as u64).to_be_bytes());
        fingerprint.update(part);
    }
    Ok(Header {
        document: Document {
            format,
            compression,
            base_iri,
            default_graph,
            is_one_graph: false,
        },
        request_id: header.request_id,
        message: header.message,
        fingerprint,
    })
}
