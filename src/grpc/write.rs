//! `WriteService`.

pub(super) mod check;
mod export;
mod fact;
mod facts;
mod faults;
mod import;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use export::{Export, Exports};

use super::{
    call::{BrokenOff, access},
    read::deadline,
    status::{cancelled, overloaded},
    validate::Violations,
};
use crate::{
    knowledge::{CommitError, KnowledgeBase},
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
    type ImportStream = ReceiverStream<import::Answer>;
    type ExportStream = ReceiverStream<export::Answer>;

    async fn import(
        &self,
        request: Request<Streaming<v1::ImportRequest>>,
    ) -> Result<Response<Self::ImportStream>, Status> {
        let access = access(request.extensions())?;
        CommitError::<ImportError>::unless_granted(&access, None)?;
        let permit = Arc::clone(&self.imports)
            .try_acquire_owned()
            .map_err(|_| overloaded("the server runs as many imports as it takes"))?;
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
            heard_at: Instant::now(),
        };
        tokio::spawn(on_task(async move {
            let gone = answers.clone();
            let outcome = tokio::select! {
                outcome = import.run() => outcome,
                () = gone.closed() => Err(cancelled()),
            };
            let answer = outcome.map(|part| v1::ImportResponse { part: Some(part) });
            // The place is free before a slow reader has taken the last word.
            drop(permit);
            // An error says that nobody listens any more.
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
