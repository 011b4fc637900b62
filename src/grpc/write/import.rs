//! Imports: documents that come in chunks.

mod chunked;
mod conditions;
mod token;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};
use tonic::{Status, Streaming};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use self::{
    chunked::Chunked,
    conditions::{Conditions, Refused},
    token::Token,
};
use super::{MESSAGE_BYTES_MAX, REQUEST_ID_BYTES_MAX, compression};
use crate::{
    graph::Draft,
    grpc::{
        call::BrokenOff,
        convert::to_int64,
        status::{cancelled, internal, malformed, of_tonic, overloaded, sender_too_slow},
        validate::Violations,
    },
    intake::{DocumentPace, TooSlow},
    knowledge::{CommitError, CommitRequest, KnowledgeBase, Mark, RequestId},
    model::access::Access,
    places::{Place, Places},
    proto::v1::{self, import_request, import_response::Part},
    rdf::{self, Chunk, ChunkReader, Document, Format, ImportError, Memory, Parsed, Position},
    request::on_thread,
};

/// Chunks that wait for the parser.
const WAITING_CHUNK_COUNT_MAX: usize = 2;
/// How long an import waits for its caller to take what must be heard.
const DEAFNESS_MAX: Duration = Duration::from_mins(1);
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// Quads of a commit of an import in pieces, at least.
const QUADS_PER_COMMIT_DEFAULT: u64 = 100_000;
const QUADS_PER_COMMIT_MIN: i32 = 1_000;
const QUADS_PER_COMMIT_MAX: i32 = 1_000_000;

pub(super) type Answer = Result<v1::ImportResponse, Status>;

/// One import under way.
pub(super) struct Import {
    pub(super) access: Access,
    pub(super) knowledge: KnowledgeBase,
    pub(super) memory: Memory,
    pub(super) chunks: Streaming<v1::ImportRequest>,
    pub(super) broken_off: BrokenOff,
    pub(super) answers: mpsc::Sender<Answer>,
    pub(super) places: Places,
    /// From when its header is there.
    pub(super) place: Option<Place>,
    pub(super) pace: DocumentPace,
    /// Imports that had found no room in the memory before it began.
    pub(super) refused_count: u64,
}

/// Why nothing more comes of a caller.
enum End {
    TooSlow,
    Failed(Status),
}

impl From<End> for Status {
    fn from(end: End) -> Self {
        match end {
            End::TooSlow => sender_too_slow(None),
            End::Failed(status) => status,
        }
    }
}

struct Header {
    document: Document,
    request_id: String,
    message: String,
    fingerprint: Sha256,
    conditions: Conditions,
    /// Whether, and from where, it is committed in pieces.
    chunked: Option<Chunked>,
}

impl Import {
    /// Imports what comes; returns the last word.
    pub(super) async fn run(mut self) -> Result<Part, Status> {
        let mut header = match self.next().await? {
            Some(import_request::Part::Header(header)) => check_header(header, self.access.subject())?,
            _ => return Err(malformed("the first message of an import must be its header")),
        };
        if let Some(graph) = &header.document.default_graph {
            CommitError::<ImportError>::unless_granted(&self.access, Some(graph.as_ref().into()))?;
        }
        // Whoever says nothing takes no place.
        let place = self.places.take();
        self.place = Some(place.map_err(|_| overloaded("the server runs as many imports as it takes"))?);
        if let Some(chunked) = header.chunked {
            return self.run_chunked(header, chunked).await;
        }
        let (sender, chunks) = mpsc::channel(WAITING_CHUNK_COUNT_MAX);
        let quads_read = Arc::new(AtomicU64::new(0));
        let mut parsed = self.parse(header.document.clone(), chunks, Arc::clone(&quads_read))?;
        let Some(outcome) = self.feed(&mut header, sender, &mut parsed, &quads_read).await? else {
            return Ok(Part::Aborted(v1::ImportAborted::default()));
        };
        let parsed = outcome?;
        let quads_read = parsed.quad_count;
        if self.broken_off.is_set() || self.answers.is_closed() {
            return Err(cancelled());
        }
        let answers = self.answers;
        let Conditions {
            preconditions,
            expected_revision,
            validate_only,
        } = header.conditions;
        let plan = move |draft: &mut Draft| {
            // It has waited for its turn: its caller's deadline may have passed.
            if answers.is_closed() {
                return Err(Refused::Import(ImportError::BrokenOff));
            }
            conditions::check(draft, &preconditions)?;
            // Whole: what it takes of the memory counts until it is applied.
            let parsed = parsed;
            draft.apply(&parsed.batch);
            Ok(())
        };
        let mut request = CommitRequest::new(self.access, plan);
        request.message = header.message;
        request.expected_revision = expected_revision;
        request.validate_only = validate_only;
        request.request_id = (!header.request_id.is_empty()).then(|| RequestId {
            id: header.request_id,
            fingerprint: header.fingerprint.finalize().into(),
        });
        let committed = self.knowledge.commit(request).await?;
        Ok(Part::Complete(v1::ImportComplete {
            revision: to_int64(committed.revision),
            quads_read: to_int64(quads_read),
            quads_inserted: to_int64(committed.quads_inserted),
        }))
    }

    async fn next(&mut self) -> Result<Option<import_request::Part>, End> {
        let (place, memory, refused_count) = (&self.place, &self.memory, self.refused_count);
        let is_wanted =
            || place.as_ref().is_some_and(Place::is_wanted) || memory.refused_count() != refused_count;
        let message = self.pace.wait(is_wanted, self.chunks.message()).await;
        let message = message
            .map_err(|TooSlow| End::TooSlow)?
            .map_err(|status| End::Failed(of_tonic(&status)))?;
        if self.broken_off.is_set() {
            return Err(End::Failed(cancelled()));
        }
        match message {
            None => Ok(None),
            Some(v1::ImportRequest { part: Some(part) }) => {
                if let import_request::Part::Chunk(chunk) = &part {
                    self.pace.came(chunk.len() as u64);
                }
                Ok(Some(part))
            }
            Some(v1::ImportRequest { part: None }) => Err(End::Failed(malformed(
                "a message of an import must be a header, a chunk or an abort",
            ))),
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
        rdf::start_thread("import", on_thread(work)).map_err(|error| internal(&error))?;
        Ok(parsed)
    }

    /// Passes chunks on until the parser is done, with the document or because of it. `None`: the caller aborts.
    async fn feed(
        &mut self,
        header: &mut Header,
        sender: mpsc::Sender<Chunk>,
        parsed: &mut oneshot::Receiver<Result<Parsed, ImportError>>,
        quads_read: &AtomicU64,
    ) -> Result<Option<Result<Parsed, ImportError>>, Status> {
        let mut bytes_received: u64 = 0;
        let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
        let mut sender = Some(sender);
        loop {
            tokio::select! {
                outcome = &mut *parsed => {
                    let outcome = outcome.map_err(|_| internal(&"the import thread panicked"))?;
                    return Ok(Some(outcome));
                }
                part = self.next(), if sender.is_some() => match (part?, &sender) {
                    (Some(import_request::Part::Chunk(chunk)), Some(to_parser)) => {
                        bytes_received += chunk.len() as u64;
                        if !header.request_id.is_empty() {
                            header.fingerprint.update(&chunk);
                        }
                        // An error says that the parser is done already: its outcome tells why.
                        let _ = to_parser.send(Chunk::Bytes(chunk)).await;
                    }
                    (Some(import_request::Part::Header(_)), _) => {
                        return Err(malformed("an import has one header"));
                    }
                    (Some(import_request::Part::Abort(_)), _) => return Ok(None),
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
            part: Some(Part::Progress(progress)),
        }));
    }
}

fn check_header(header: v1::ImportHeader, subject: &str) -> Result<Header, Status> {
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
    let conditions = Conditions::read(&header, &mut violations);
    let Some(format) = format else {
        return Err(crate::grpc::entity::invalid(violations));
    };
    let document = Document {
        format,
        compression,
        base_iri,
        default_graph,
        is_one_graph: false,
    };
    let chunked = check_mode(&header, subject, &document, &mut violations)?;
    violations.finish()?;
    let mut fingerprint = Sha256::new();
    if !header.preconditions.is_empty() {
        // No compression has this number: what follows is not that of a request without them.
        fingerprint.update([u8::MAX]);
        fingerprint.update((header.preconditions.len() as u64).to_be_bytes());
        for precondition in &header.preconditions {
            fingerprint.update(precondition.encode_length_delimited_to_vec());
        }
    }
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
        document,
        request_id: header.request_id,
        message: header.message,
        fingerprint,
        conditions,
        chunked,
    })
}

/// Returns the salt of an import with a name. Where nobody is asked who they are, names are those of all, and so are salts.
fn salt_of(seal: u64, subject: &str) -> u64 {
    if subject.is_empty() {
        seal
    } else {
        xxh3_64_with_seed(subject.as_bytes(), seal)
    }
}

/// Reads how a document is committed.
fn check_mode(
    header: &v1::ImportHeader,
    subject: &str,
    document: &Document,
    violations: &mut Violations,
) -> Result<Option<Chunked>, Status> {
    match v1::ImportMode::try_from(header.mode) {
        Ok(v1::ImportMode::Unspecified) => {
            if !header.resume_token.is_empty() {
                violations.invalid("header.resume_token", "only an import in pieces is resumed");
            }
            if header.quads_per_commit != 0 {
                violations.invalid(
                    "header.quads_per_commit",
                    "only an import in pieces has several commits",
                );
            }
            return Ok(None);
        }
        Ok(v1::ImportMode::Chunked) => {}
        Err(_) => {
            violations.invalid("header.mode", format!("{} is no mode", header.mode));
            return Ok(None);
        }
    }
    if !document.has_pieces() {
        violations.invalid(
            "header.mode",
            format!(
                "{} cannot be committed in pieces: N-Triples, N-Quads and Jelly can, not compressed",
                document.format.name()
            ),
        );
    }
    let quads_min = match header.quads_per_commit {
        0 => QUADS_PER_COMMIT_DEFAULT,
        count if (QUADS_PER_COMMIT_MIN..=QUADS_PER_COMMIT_MAX).contains(&count) => {
            u64::from(count.unsigned_abs())
        }
        count => {
            let range = format!("from {QUADS_PER_COMMIT_MIN} to {QUADS_PER_COMMIT_MAX}, not {count}");
            violations.invalid("header.quads_per_commit", range);
            QUADS_PER_COMMIT_DEFAULT
        }
    };
    let parts = [
        document.format.media_type(),
        &header.base_iri,
        &header.default_graph,
        &header.request_id,
    ];
    let seal = xxh3_64(format!("{parts:?} {quads_min}").as_bytes());
    let token = if header.resume_token.is_empty() {
        let salt = if header.request_id.is_empty() {
            getrandom::u64().map_err(|error| internal(&error))?
        } else {
            // With the same name it is the same import of its subject, also before its first token.
            salt_of(seal, subject)
        };
        Token {
            salt,
            position: Position::default(),
            seal,
            mark: Mark::default(),
        }
    } else {
        let token = Token::decode(&header.resume_token).filter(|token| token.seal == seal);
        if token.is_none() {
            violations.invalid("header.resume_token", "not a token of an import with this header");
        }
        token.unwrap_or(Token {
            salt: 0,
            position: Position::default(),
            seal,
            mark: Mark::default(),
        })
    };
    Ok(Some(Chunked { token, quads_min }))
}
