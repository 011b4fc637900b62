//! `SparqlService`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::Extensions;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use super::{
    convert::to_int64,
    query_stream::{self, FrameSink, Frames, QueryStream},
    read::deadline,
    status::internal,
    validate::Violations,
    write::{MESSAGE_BYTES_MAX, REQUEST_ID_BYTES_MAX},
};
use crate::{
    knowledge::{CommitRequest, KnowledgeBase, RequestId, View},
    model::prefixes::PREFIXES,
    proto::v1::{self, query_response::Frame, sparql_service_server::SparqlService},
    sparql::{GuardLimits, Interrupt, Parser, Query, QueryPool, SparqlError, parse_update, run_query},
};

const QUERY_ID_BYTES_MAX: usize = 128;
/// Graphs in one request.
const GRAPH_COUNT_MAX: usize = 1_000;

/// Answers `SparqlService`.
pub struct SparqlApi {
    knowledge: KnowledgeBase,
    pool: Arc<QueryPool>,
    parser: Parser,
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
        let checked = check_query(request)?;
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
        let expected_revision = check_update(&request)?;
        let interrupt = self.interrupt(&extensions, None);
        // The caller's end ends the work, as far as it has not been done.
        let _cancel = CancelOnDrop(interrupt.clone());
        let fingerprint = fingerprint(&request);
        let v1::UpdateRequest {
            update,
            request_id: id,
            validate_only,
            message,
            ..
        } = request;
        let (parsed, parsing) = oneshot::channel();
        let parser = self.parser.clone();
        self.pool.submit(move || {
            // An error says that the caller has gone.
            let _ = parsed.send(parse_update(&parser, &update));
        })?;
        let update = parsing
            .await
            .map_err(|_| internal(&"parsing an update panicked"))??;
        let mut commit = CommitRequest::new(update.plan(interrupt, self.memory_bytes_max));
        commit.expected_revision = expected_revision;
        commit.validate_only = validate_only;
        commit.message = message;
        commit.request_id = (!id.is_empty()).then_some(RequestId { id, fingerprint });
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

struct CheckedQuery {
    query: Query,
    query_id: String,
    min_revision: u64,
    timeout: Option<Duration>,
    encoding: v1::RowEncoding,
}

fn check_query(request: v1::QueryRequest) -> Result<CheckedQuery, Status> {
    let mut violations = Violations::default();
    let mut graphs = |field: &str, names: &[String]| {
        if names.len() > GRAPH_COUNT_MAX {
            violations.invalid(field, format!("at most {GRAPH_COUNT_MAX}, not {}", names.len()));
            return Vec::new();
        }
        let names = names.iter().enumerate();
        names
            .filter_map(|(index, name)| violations.name(&format!("{field}[{index}]"), name))
            .collect()
    };
    let default_graphs = graphs("default_graphs", &request.default_graphs);
    let named_graphs = graphs("named_graphs", &request.named_graphs);
    let min_revision = violations.min_revision("min_revision", request.min_revision);
    violations.text("query_id", &request.query_id, QUERY_ID_BYTES_MAX);
    let encoding = v1::RowEncoding::try_from(request.row_encoding).unwrap_or_else(|_| {
        violations.invalid(
            "row_encoding",
            format!("{} is no row encoding", request.row_encoding),
        );
        v1::RowEncoding::Unspecified
    });
    let limits = request.limits.unwrap_or_default();
    let row_count_max = u64::try_from(limits.row_count_max).unwrap_or_else(|_| {
        violations.invalid(
            "limits.row_count_max",
            format!("must not be negative: {}", limits.row_count_max),
        );
        0
    });
    let timeout = limits.timeout.and_then(|timeout| {
        let valid = Duration::try_from(timeout)
            .ok()
            .filter(|timeout| !timeout.is_zero());
        if valid.is_none() {
            violations.invalid("limits.timeout", "must be positive");
        }
        valid
    });
    violations.finish()?;
    Ok(CheckedQuery {
        query: Query {
            text: request.query,
            default_graphs,
            named_graphs,
            row_count_max: (row_count_max > 0).then_some(row_count_max),
        },
        query_id: query_id(request.query_id),
        min_revision,
        timeout,
        encoding,
    })
}

/// Returns the caller's name for a run, else one of ours.
fn query_id(given: String) -> String {
    if given.is_empty() {
        getrandom::u64()
            .map(|number| format!("{number:016x}"))
            .unwrap_or_default()
    } else {
        given
    }
}

fn check_update(request: &v1::UpdateRequest) -> Result<Option<u64>, Status> {
    let mut violations = Violations::default();
    violations.text("request_id", &request.request_id, REQUEST_ID_BYTES_MAX);
    violations.text("message", &request.message, MESSAGE_BYTES_MAX);
    let expected_revision = request
        .expected_revision
        .map(|revision| violations.min_revision("expected_revision", revision));
    violations.finish()?;
    Ok(expected_revision)
}

/// Lengths apart, so that no two updates have the same bytes.
fn fingerprint(request: &v1::UpdateRequest) -> [u8; 32] {
    let mut fingerprint = Sha256::new();
    for part in [&request.update, &request.message] {
        fingerprint.update((part.len() as u64).to_be_bytes());
        fingerprint.update(part);
    }
    fingerprint.finalize().into()
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
