//! `WriteService`.

pub(super) mod check;
mod export;
mod fact;
mod facts;
mod faults;
mod import;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use export::{Export, Exports};

use super::{
    call::{BrokenOff, access},
    read::deadline,
    status::cancelled,
    validate::Violations,
};
use crate::{
    intake::DocumentPace,
    knowledge::{CommitError, KnowledgeBase},
    places::Places,
    proto::v1::{self, write_service_server::WriteService},
    rdf::{Compression, ImportError, Memory},
    request::on_task,
};

/// Bytes of a message of an import: a chunk of 1 MiB, its tag and its length. An import keeps some of them, which no budget counts.
pub const IMPORT_MESSAGE_BYTES_MAX: usize = (1 << 20) + 4;
/// Imports at once.
const IMPORT_COUNT_MAX: usize = 4;
/// Bytes of the id that makes a write idempotent.
pub(super) const REQUEST_ID_BYTES_MAX: usize = 128;
/// Bytes of the reason that a write gives.
pub(super) const MESSAGE_BYTES_MAX: usize = 1_024;

/// Answers `WriteService`.
pub struct WriteApi {
    knowledge: KnowledgeBase,
    memory: Memory,
    imports: Places,
    document_time: Duration,
    exports: Exports,
}

impl WriteApi {
    /// Writes to a knowledge base; imports take of `memory`, and their documents have `document_time` for each 16 KiB; who reads an
    /// export may let a chunk lie for `stall_max`.
    pub fn new(
        knowledge: KnowledgeBase,
        memory: Memory,
        document_time: Duration,
        stall_max: Duration,
    ) -> Self {
        Self {
            exports: Exports::new(knowledge.clone(), stall_max),
            knowledge,
            memory,
            imports: Places::new(IMPORT_COUNT_MAX),
            document_time,
        }
    }
}

#[tonic::async_trait]
impl WriteService for WriteApi {
    type ImportStream = ReceiverStream<import::Answer>;
    type ExportStream = ReceiverStream<export::Answer>;

    async fn import(
        &self,
        request: Request<Streaming<v1::ImportRequest>>,
    ) -> Result<Response<Self::ImportStream>, Status> {
        let access = access(request.extensions())?;
        CommitError::<ImportError>::unless_granted(&access, None)?;
        let broken_off = request
            .extensions()
            .get::<BrokenOff>()
            .cloned()
            .unwrap_or_default();
        let (answers, stream) = mpsc::channel(4);
        let import = import::Import {
            access,
            knowledge: self.knowledge.clone(),
            memory: self.memory.clone(),
            chunks: request.into_inner(),
            broken_off,
            answers: answers.clone(),
            places: self.imports.clone(),
            place: None,
            pace: DocumentPace::new(self.document_time),
            refused_count: self.memory.refused_count(),
        };
        tokio::spawn(on_task(async move {
            let gone = answers.clone();
            let outcome = tokio::select! {
                outcome = import.run() => outcome,
                () = gone.closed() => Err(cancelled()),
            };
            let answer = outcome.map(|part| v1::ImportResponse { part: Some(part) });
            // Its place is free before a slow reader has taken the last word. An error says that nobody listens any more.
            let _ = answers.send(answer).await;
        }));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn export(
        &self,
        request: Request<v1::ExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let (_, extensions, request) = request.into_parts();
        let access = access(&extensions)?;
        let export = Export::read(request)?;
        let deadline = deadline(&extensions);
        let view = self
            .knowledge
            .read_at_least(&access, export.min_revision, deadline)
            .await?;
        let stream = self.exports.start(export, view)?;
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
