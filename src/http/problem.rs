//! Errors as HTTP responses: the one place where an error gets its status code.
//!
//! The body is a problem (RFC 9457) with the reason that gRPC gives in its `ErrorInfo`, and that reason's metadata.

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Map, Value};

use super::body::Body;
use crate::{
    auth::{AuthError, CallerLimitReached, Lapse},
    facts::ModelError,
    feed::{FeedError, LogError, WatchError},
    intake::SENDER_TOO_SLOW,
    knowledge::{CommitError, RevisionNotReached, TERM_BYTES_MAX},
    proto::v1::ErrorReason,
    rdf::ImportError,
    request,
    sparql::{AdmitError, PoolError, QueryIdInUse, SparqlError},
};

/// Reasons that only HTTP has.
const NOT_FOUND: &str = "NOT_FOUND";
const METHOD_NOT_ALLOWED: &str = "METHOD_NOT_ALLOWED";
const NOT_ACCEPTABLE: &str = "NOT_ACCEPTABLE";
const UNSUPPORTED_MEDIA_TYPE: &str = "UNSUPPORTED_MEDIA_TYPE";
const ORIGIN_NOT_ALLOWED: &str = "ORIGIN_NOT_ALLOWED";
/// Why a request is refused that is sent to a name which is not this machine's.
pub const HOST_NOT_ALLOWED: &str = "HOST_NOT_ALLOWED";
const INVALID_REQUEST: &str = "INVALID_REQUEST";

/// Challenges: without an error where nothing was shown.
const NO_CREDENTIALS: &str = r#"Bearer realm="dossier""#;
const WRONG_CREDENTIALS: &str = r#"Bearer realm="dossier", error="invalid_token""#;

/// What a caller hears at the end of the server or the connection.
pub(super) const NO_MORE_TIME: &str = "the server, or this connection, has no more time for the request";

/// Why an answer is a problem: an extension of responses.
#[derive(Clone, Copy, Debug)]
pub struct Reason(pub &'static str);

/// An error response.
#[derive(Debug)]
pub(super) struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    reason: &'static str,
    detail: String,
    metadata: Vec<(&'static str, Value)>,
    retry_after_seconds: Option<u64>,
    allowed: Option<&'static str>,
    challenge: Option<&'static str>,
}

impl Problem {
    fn new(status: StatusCode, reason: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            status,
            reason,
            detail: detail.into(),
            metadata: Vec::new(),
            retry_after_seconds: None,
            allowed: None,
            challenge: None,
        }))
    }

    fn of(status: StatusCode, reason: ErrorReason, detail: impl Into<String>) -> Self {
        let name = reason.as_str_name().trim_start_matches("ERROR_REASON_");
        Self::new(status, name, detail)
    }

    fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.0.metadata.push((key, value.into()));
        self
    }

    fn retry(mut self) -> Self {
        self.0.retry_after_seconds = Some(1);
        self
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.0.status
    }

    pub(super) fn reason(&self) -> &'static str {
        self.0.reason
    }

    pub(super) fn detail(&self) -> &str {
        &self.0.detail
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let parts = *self.0;
        let mut members = Map::new();
        // `about:blank`: the title is the status code's (RFC 9457, section 4.2.1).
        members.insert("type".to_owned(), "about:blank".into());
        members.insert(
            "title".to_owned(),
            parts.status.canonical_reason().unwrap_or_default().into(),
        );
        members.insert("status".to_owned(), parts.status.as_u16().into());
        members.insert("detail".to_owned(), parts.detail.into());
        members.insert("reason".to_owned(), parts.reason.into());
        for (key, value) in parts.metadata {
            members.insert(key.to_owned(), value);
        }
        let mut body = Value::Object(members).to_string().into_bytes();
        body.push(b'\n');
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = parts.status;
        response.extensions_mut().insert(Reason(parts.reason));
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = parts.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(allowed) = parts.allowed {
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        if let Some(challenge) = parts.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

/// Returns 400 for a request that breaks the rules of its protocol.
pub(super) fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, INVALID_REQUEST, detail)
}

/// Returns 400 for what is no IRI.
pub(super) fn invalid_iri(parameter: &str, text: &str) -> Problem {
    Problem::of(
        StatusCode::BAD_REQUEST,
        ErrorReason::InvalidIri,
        format!("{parameter}: `{text}` is not an absolute IRI"),
    )
}

/// Returns 404 for a path.
pub(super) fn no_such_path(path: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        NOT_FOUND,
        format!(
            "there is nothing at {path}: HTTP is answered at /sparql, /store, /changes, /healthz and /readyz"
        ),
    )
}

/// Returns 404 for a graph.
pub(super) fn graph_not_found(graph: &str) -> Problem {
    Problem::of(
        StatusCode::NOT_FOUND,
        ErrorReason::GraphNotFound,
        format!("there is no graph <{graph}>"),
    )
    .with("graph", graph)
}

/// Returns 403 for a caller to whom the policy gives nothing.
pub(super) fn no_role() -> Problem {
    let detail = "the policy gives you no role";
    Problem::of(StatusCode::FORBIDDEN, ErrorReason::NoRole, detail)
}

/// Returns 403 for a caller who may not see what the server counts.
pub(super) fn metrics_denied() -> Problem {
    let detail = "/metrics is for administrators and for callers with the role metrics";
    Problem::of(StatusCode::FORBIDDEN, ErrorReason::AdminOnly, detail)
}

/// Returns 403 for a web page of an origin that the settings do not name.
pub(super) fn origin_not_allowed() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        ORIGIN_NOT_ALLOWED,
        "web pages of this origin may not send to this server: see --cors-origin",
    )
}

/// Returns 403 for a request that is sent to a name which is not this machine's.
pub(super) fn host_not_allowed() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        HOST_NOT_ALLOWED,
        "this server asks nobody who they are, and answers browsers under its address or `localhost` alone: see --insecure",
    )
}

/// Returns 401 with a challenge (RFC 6750, section 3). What is wrong with credentials is not told.
pub(super) fn unauthenticated(error: AuthError) -> Problem {
    let (reason, challenge) = match error {
        AuthError::Missing => (ErrorReason::CredentialsMissing, NO_CREDENTIALS),
        AuthError::Invalid(_) => (ErrorReason::CredentialsInvalid, WRONG_CREDENTIALS),
        AuthError::Expired => (ErrorReason::CredentialsExpired, WRONG_CREDENTIALS),
        AuthError::NotYetValid => (ErrorReason::CredentialsNotYetValid, WRONG_CREDENTIALS),
        AuthError::Unverifiable => (ErrorReason::CredentialsUnverifiable, WRONG_CREDENTIALS),
    };
    let mut problem = Problem::of(StatusCode::UNAUTHORIZED, reason, error.to_string());
    problem.0.challenge = Some(challenge);
    problem
}

impl From<Lapse> for Problem {
    fn from(lapse: Lapse) -> Self {
        match lapse {
            Lapse::Credentials(error) => unauthenticated(error),
            Lapse::NoRole => no_role(),
            Lapse::AccessReduced => Self::of(
                StatusCode::FORBIDDEN,
                ErrorReason::AccessReduced,
                lapse.to_string(),
            ),
        }
    }
}

impl From<CallerLimitReached> for Problem {
    /// 429 (RFC 6585, section 4).
    fn from(reached: CallerLimitReached) -> Self {
        let mut problem = Self::of(
            StatusCode::TOO_MANY_REQUESTS,
            ErrorReason::CallerLimitReached,
            reached.to_string(),
        )
        .with("limit", reached.limit.name())
        .with("limit_value", reached.limit_value);
        problem.0.retry_after_seconds = Some(reached.retry_after.as_secs() + 1);
        problem
    }
}

/// Returns 405 with the methods that there are.
pub(super) fn method_not_allowed(method: &Method, allowed: &'static str) -> Problem {
    let mut problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        METHOD_NOT_ALLOWED,
        format!("{method} is not a method of this resource: it has {allowed}"),
    );
    problem.0.allowed = Some(allowed);
    problem
}

/// Returns 406 with the media types that there are.
pub(super) fn not_acceptable(offered: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        NOT_ACCEPTABLE,
        format!("none of the media types of Accept can be served; there are {offered}"),
    )
}

/// Returns 406 for a graph that the chosen format cannot hold.
pub(super) fn not_serializable(format: &str, error: &std::io::Error) -> Problem {
    Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        NOT_ACCEPTABLE,
        format!("the result cannot be written as {format}: {error}"),
    )
}

/// Returns 415.
pub(super) fn unsupported_media_type(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_MEDIA_TYPE, detail)
}

/// Returns 413.
pub(super) fn too_large(bytes_max: usize) -> Problem {
    Problem::of(
        StatusCode::PAYLOAD_TOO_LARGE,
        ErrorReason::MessageTooLarge,
        format!("the body is larger than {bytes_max} bytes"),
    )
}

/// Returns 408 for a body that does not come.
pub(super) fn body_timeout() -> Problem {
    Problem::of(
        StatusCode::REQUEST_TIMEOUT,
        ErrorReason::DeadlineExceeded,
        "the rest of the body did not come in time",
    )
}

/// Returns 408 for a document that does not come in time.
pub(super) fn sender_too_slow() -> Problem {
    Problem::of(
        StatusCode::REQUEST_TIMEOUT,
        ErrorReason::SenderTooSlow,
        SENDER_TOO_SLOW,
    )
}

/// Returns 503 for a server that starts or shuts down.
pub(super) fn unavailable(detail: impl Into<String>) -> Problem {
    Problem::of(StatusCode::SERVICE_UNAVAILABLE, ErrorReason::Unavailable, detail).retry()
}

/// Returns 503 for a request that the server has no more time for, with the newest revision.
pub(super) fn ended_at(revision: Option<u64>) -> Problem {
    let problem = unavailable(NO_MORE_TIME);
    match revision {
        Some(revision) => problem.with("revision", revision),
        None => problem,
    }
}

/// Returns 503 for a server that has as much to do as it takes.
pub(super) fn overloaded(detail: impl Into<String>) -> Problem {
    Problem::of(StatusCode::SERVICE_UNAVAILABLE, ErrorReason::Overloaded, detail).retry()
}

/// Returns 503 for one watch too many.
fn too_many_watchers(watcher_count_max: usize) -> Problem {
    Problem::of(
        StatusCode::SERVICE_UNAVAILABLE,
        ErrorReason::TooManyWatchers,
        format!("there are {watcher_count_max} watches already"),
    )
    .with("watcher_count_max", watcher_count_max)
    .retry()
}

/// Returns 408 for a reader that takes too long; it has had its 200.
pub(super) fn reader_too_slow() -> Problem {
    Problem::of(
        StatusCode::REQUEST_TIMEOUT,
        ErrorReason::ReaderTooSlow,
        "the reader took too long to take an event",
    )
}

impl From<FeedError> for Problem {
    fn from(error: FeedError) -> Self {
        of_feed(&error)
    }
}

impl From<WatchError> for Problem {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::Full(full) => too_many_watchers(full.count_max),
            WatchError::Feed(error) => error.into(),
        }
    }
}

/// Returns the problem of a feed that cannot be read: 410 for a commit that the log no longer has, or has not at all. Browsers, which try
/// again by themselves when a connection breaks, do not after another status than 200.
pub(super) fn of_feed(error: &FeedError) -> Problem {
    match error {
        FeedError::Log(LogError::Compacted { earliest, .. }) => Problem::of(
            StatusCode::GONE,
            ErrorReason::RevisionCompacted,
            error.to_string(),
        )
        .with("earliest_revision", *earliest),
        FeedError::OtherHistory { revision } => Problem::of(
            StatusCode::GONE,
            ErrorReason::WatchOtherHistory,
            error.to_string(),
        )
        .with("revision", *revision),
        FeedError::NotReached(error) => (*error).into(),
        FeedError::Log(LogError::Unavailable) => unavailable("the log is being opened again"),
        FeedError::Closed | FeedError::Erased | FeedError::Over => unavailable(error.to_string()),
        FeedError::TooFarBack { bytes_max } => Problem::of(
            StatusCode::INSUFFICIENT_STORAGE,
            ErrorReason::DiffTooLarge,
            error.to_string(),
        )
        .with("diff_bytes_max", *bytes_max),
        FeedError::Log(_) | FeedError::Fault(_) => internal(error),
    }
}

/// Returns 500 with the id of the request. The cause goes to the log under that id, not to the caller.
pub(super) fn internal(cause: &dyn std::fmt::Display) -> Problem {
    let request_id = request::current_id();
    tracing::error!(id = request_id, %cause, "internal error");
    Problem::of(
        StatusCode::INTERNAL_SERVER_ERROR,
        ErrorReason::Internal,
        format!("internal error; request id {request_id}"),
    )
    .with("request_id", request_id)
}

fn graph_full(graph_memory_bytes_max: u64) -> Problem {
    Problem::of(
        StatusCode::INSUFFICIENT_STORAGE,
        ErrorReason::GraphFull,
        format!("the graph would take more than {graph_memory_bytes_max} bytes of memory"),
    )
    .with("graph_memory_bytes_max", graph_memory_bytes_max)
}

impl From<SparqlError> for Problem {
    fn from(error: SparqlError) -> Self {
        let message = error.to_string();
        let invalid = |reason| Self::of(StatusCode::BAD_REQUEST, reason, message.clone());
        match error {
            SparqlError::TooComplex { limit, limit_value }
            | SparqlError::ValueTooLarge { limit, limit_value } => invalid(ErrorReason::SparqlTooComplex)
                .with("limit", limit)
                .with("limit_value", limit_value),
            SparqlError::Syntax { line, column, .. } => invalid(ErrorReason::SparqlSyntax)
                .with("line", line)
                .with("column", column),
            SparqlError::WrongForm { actual, .. } => Self::of(
                StatusCode::BAD_REQUEST,
                ErrorReason::SparqlWrongForm,
                format!("this is {actual}: send a query as `query`, an update as `update`"),
            ),
            SparqlError::Unsupported(_) => invalid(ErrorReason::SparqlUnsupported),
            SparqlError::AdminOnly(_) => Self::of(StatusCode::FORBIDDEN, ErrorReason::AdminOnly, message),
            SparqlError::Evaluation(_) => invalid(ErrorReason::SparqlEvaluation),
            // No request has parameters.
            SparqlError::Parameters(_) => invalid(ErrorReason::InvalidParameter),
            SparqlError::Remote { url, .. } => {
                Self::of(StatusCode::BAD_GATEWAY, ErrorReason::RemoteFailed, message).with("url", url)
            }
            SparqlError::MemoryExceeded { memory_bytes_max } => graph_full(memory_bytes_max),
            SparqlError::QueryMemoryExceeded { memory_bytes_max } => Self::of(
                StatusCode::INSUFFICIENT_STORAGE,
                ErrorReason::QueryMemoryExceeded,
                message,
            )
            .with("query_memory_bytes_max", memory_bytes_max),
            SparqlError::LimitExceeded { limit, limit_value } => Self::of(
                StatusCode::INSUFFICIENT_STORAGE,
                ErrorReason::QueryLimitExceeded,
                message,
            )
            .with("limit", limit.name())
            .with("limit_value", limit_value),
            SparqlError::MemoryBusy { .. } => overloaded(message),
            SparqlError::QueryCancelled => Self::of(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorReason::QueryCancelled,
                message,
            ),
            SparqlError::DeadlineExceeded => Self::of(
                StatusCode::GATEWAY_TIMEOUT,
                ErrorReason::DeadlineExceeded,
                message,
            ),
            SparqlError::Cancelled => {
                Self::of(StatusCode::SERVICE_UNAVAILABLE, ErrorReason::Cancelled, message)
            }
            SparqlError::Internal(cause) => internal(&cause),
        }
    }
}

impl From<AdmitError> for Problem {
    fn from(error: AdmitError) -> Self {
        match error {
            AdmitError::IdInUse(error) => error.into(),
            AdmitError::TooLong(error) => error.into(),
        }
    }
}

impl From<QueryIdInUse> for Problem {
    fn from(error: QueryIdInUse) -> Self {
        Self::of(StatusCode::CONFLICT, ErrorReason::QueryIdInUse, error.to_string())
            .with("query_id", error.query_id)
    }
}

impl From<PoolError> for Problem {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Overloaded { .. } => overloaded(error.to_string()),
            PoolError::Closed => unavailable(error.to_string()),
        }
    }
}

impl From<RevisionNotReached> for Problem {
    fn from(error: RevisionNotReached) -> Self {
        match error {
            RevisionNotReached::Late {
                min_revision,
                revision,
            } => Self::of(
                StatusCode::PRECONDITION_FAILED,
                ErrorReason::RevisionNotReached,
                error.to_string(),
            )
            .with("min_revision", min_revision)
            .with("revision", revision),
            RevisionNotReached::Overloaded => overloaded(error.to_string()),
        }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Document(error) => {
                let problem = Self::of(StatusCode::BAD_REQUEST, ErrorReason::RdfSyntax, error.to_string());
                match error.place {
                    Some(place) => problem.with("line", place.line).with("column", place.column),
                    None => problem,
                }
            }
            ImportError::Full {
                graph_memory_bytes_max,
            } => graph_full(graph_memory_bytes_max),
            ImportError::BrokenOff => Self::of(
                StatusCode::BAD_REQUEST,
                ErrorReason::Cancelled,
                "the body was broken off",
            ),
            ImportError::Fault(cause) => internal(&cause),
        }
    }
}

/// Returns the problem of a change that breaks the fact model.
fn model(error: ModelError) -> Problem {
    let message = error.to_string();
    let conflict = |reason| Problem::of(StatusCode::CONFLICT, reason, message.clone());
    match error {
        ModelError::StatementInvalid { faults, .. } => {
            let problem = Problem::of(StatusCode::BAD_REQUEST, ErrorReason::StatementInvalid, message);
            match faults.into_iter().next() {
                Some(fault) => problem.with("node", fault.node).with("property", fault.property),
                None => problem,
            }
        }
        ModelError::DerivedTriple { triple } => conflict(ErrorReason::DerivedTriple).with("triple", triple),
        ModelError::DerivedGraph { quad } => conflict(ErrorReason::DerivedGraph).with("quad", quad),
        ModelError::ClaimContent {
            triple,
            statement,
            claim,
            ..
        } => conflict(ErrorReason::ClaimContent)
            .with("triple", triple)
            .with("statement", statement)
            .with("claim", claim),
    }
}

impl<E> From<CommitError<E>> for Problem
where
    Self: From<E>,
{
    fn from(error: CommitError<E>) -> Self {
        let error = match error.into_plan_error() {
            Ok(error) => return Self::from(error),
            Err(error) => error,
        };
        let message = error.to_string();
        match error {
            CommitError::Plan(never) => match never {},
            CommitError::PlanPanicked => internal(&message),
            CommitError::Model(error) => model(*error),
            CommitError::NotGranted { graph } => {
                Self::of(StatusCode::FORBIDDEN, ErrorReason::GraphNotGranted, message).with("graph", graph)
            }
            CommitError::RevisionMismatch { revision } => Self::of(
                StatusCode::PRECONDITION_FAILED,
                ErrorReason::RevisionMismatch,
                message,
            )
            .with("revision", revision),
            CommitError::RequestIdReused { request_id, revision } => {
                Self::of(StatusCode::CONFLICT, ErrorReason::RequestIdReused, message)
                    .with("request_id", request_id)
                    .with("revision", revision)
            }
            CommitError::GraphFull {
                graph_memory_bytes_max,
            } => graph_full(graph_memory_bytes_max),
            CommitError::TermTooLarge { term_bytes } => {
                Self::of(StatusCode::BAD_REQUEST, ErrorReason::TermTooLarge, message)
                    .with("term_bytes", term_bytes)
                    .with("term_bytes_max", TERM_BYTES_MAX)
            }
            CommitError::DiskFull => {
                Self::of(StatusCode::INSUFFICIENT_STORAGE, ErrorReason::DiskFull, message)
            }
            CommitError::LogUnavailable => Self::of(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorReason::LogUnavailable,
                message,
            ),
            CommitError::Closed => unavailable(message),
            CommitError::Overloaded => overloaded(message),
        }
    }
}
