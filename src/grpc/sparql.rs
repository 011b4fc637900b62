//! `SparqlService`.

mod check;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::Extensions;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use super::{
    convert::to_int64,
    query_stream::{self, FrameSink, Frames, QueryStream},
    read::deadline,
    status::internal,
};
use crate::{
    knowledge::{CommitRequest, KnowledgeBase, View},
    model::prefixes::PREFIXES,
    proto::v1::{self, query_response::Frame, sparql_service_server::SparqlService},
    sparql::{GuardLimits, Interrupt, Parser, QueryPool, SparqlError, parse_update, run_query},
};
use check::{CheckedQuery, check_query, check_update};

/// Answers `SparqlService`.
pub struct SparqlApi {
    knowledge: KnowledgeBase,
    pool: Arc<QueryPool>,
    parser: Parser,
    parameter_bytes_max: usize,
    timeout_max: Duration,
    memory_bytes_max: u64,
}

impl SparqlApi {
    /// Runs queries on the threads of `pool`, each at most for `timeout_max`; an update's changes take at most
    /// `memory_bytes_max`.
    pub fn new(
        knowledge: KnowledgeBase,
        pool: Arc<QueryPool>,
        limits: GuardLimits,
        timeout_max: Duration,
        memory_bytes_max: u64,
    ) -> Self {
        Self {
            knowledge,
            pool,
            parser: Parser::new(limits, PREFIXES),
            parameter_bytes_max: limits.byte_count_max,
            timeout_max,
            memory_bytes_max,
        }
    }

    /// The earliest of the caller's deadline, its limit and the server's maximum.
    fn interrupt(&self, extensions: &Extensions, timeout: Option<Duration>) -> Interrupt {
        let timeout = timeout.map_or(self.timeout_max, |timeout| timeout.min(self.timeout_max));
        let end = Instant::now() + timeout;
        Interrupt::new(Some(
            deadline(extensions).map_or(end, |deadline| deadline.min(end)),
        ))
    }
}

#[tonic::async_trait]
impl SparqlService for SparqlApi {
    type QueryStream = QueryStream;

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<QueryStream>, Status> {
        let (_, extensions, request) = request.into_parts();
        let checked = check_query(request, self.parameter_bytes_max)?;
        let interrupt = self.interrupt(&extensions, checked.timeout);
        let view = match checked.min_revision {
            0 => self.knowledge.read(),
            revision => {
                self.knowledge
                    .read_at_least(revision, interrupt.deadline())
                    .await?
            }
        };
        let (frames, stream) = query_stream::open(&interrupt);
        let parser = self.parser.clone();
        self.pool
            .submit(move || run(&parser, &checked, &view, &interrupt, frames))?;
        Ok(Response::new(stream))
    }

    async fn update(
        &self,
        request: Request<v1::UpdateRequest>,
    ) -> Result<Response<v1::UpdateResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let checked = check_update(request, self.parameter_bytes_max)?;
        let interrupt = self.interrupt(&extensions, checked.timeout);
        // The caller's end ends the work, as far as it has not been done.
        let _cancel = CancelOnDrop(interrupt.clone());
        let (parsed, parsing) = oneshot::channel();
        let parser = self.parser.clone();
        let (text, parameters) = (checked.text, checked.parameters);
        self.pool.submit(move || {
            // An error says that the caller has gone.
            let _ = parsed.send(parse_update(&parser, &text, &parameters));
        })?;
        let update = parsing
            .await
            .map_err(|_| internal(&"parsing an update panicked"))??;
        let mut commit = CommitRequest::new(update.plan(interrupt, self.memory_bytes_max));
        commit.expected_revision = checked.expected_revision;
        commit.validate_only = checked.validate_only;
        commit.message = checked.message;
        commit.request_id = checked.request_id;
        let committed = self.knowledge.commit(commit).await?;
        Ok(Response::new(v1::UpdateResponse {
            revision: to_int64(committed.revision),
            quads_inserted: to_int64(committed.quads_inserted),
            quads_removed: to_int64(committed.quads_removed),
        }))
    }
}

/// Cancels when its call is over, done or broken off.
struct CancelOnDrop(Interrupt);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Runs a query on its thread.
fn run(parser: &Parser, checked: &CheckedQuery, view: &View, interrupt: &Interrupt, frames: Frames) {
    let header = v1::QueryHeader {
        query_id: checked.query_id.clone(),
        revision: to_int64(view.revision),
        ..Default::default()
    };
    let outcome = send(parser, checked, view, interrupt, &frames, header);
    tracing::debug!(query_id = checked.query_id, failed = outcome.is_err(), "query");
    if let Err(error) = outcome {
        frames.fail(error);
    }
}

fn send(
    parser: &Parser,
    checked: &CheckedQuery,
    view: &View,
    interrupt: &Interrupt,
    frames: &Frames,
    header: v1::QueryHeader,
) -> Result<(), SparqlError> {
    let mut sink = FrameSink::new(frames, header, checked.encoding);
    let completion = run_query(parser, &checked.query, &view.snapshot, interrupt, &mut sink)?;
    sink.flush()?;
    let limit = if completion.is_limited {
        v1::QueryLimit::RowCount
    } else {
        v1::QueryLimit::Unspecified
    };
    frames.send(Frame::Complete(v1::QueryComplete {
        row_count: to_int64(completion.row_count),
        elapsed: prost_types::Duration::try_from(completion.elapsed).ok(),
        limit_reached: limit.into(),
    }))
}
