//! Errors as gRPC statuses: the one place where a `tonic::Status` is made.
//!
//! Each carries `google.rpc.ErrorInfo` with a reason of [`ErrorReason`] under the domain `dossier`.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::{
    facts::{
        ModelError,
        write::{Fault, WriteError, WriteFault},
    },
    feed::{DiffError, FeedError, LogError},
    knowledge::{CommitError, RevisionNotReached},
    proto::v1::ErrorReason,
    rdf::{DocumentError, ImportError},
    sparql::{PoolError, QueryIdInUse, SparqlError},
};

const DOMAIN: &str = "dossier";
/// What a reader of the log is told meanwhile.
pub(super) const LOG_CLOSED: &str = "the log is being opened again";
/// Some groups of commits.
const OVERLOADED_RETRY_DELAY: Duration = Duration::from_millis(100);
/// Bytes of a message, and of one value of the metadata. A status travels in trailers, of which many clients take 8 KiB.
const TEXT_BYTES_MAX: usize = 512;
/// Bytes of all field violations.
const VIOLATION_BYTES_MAX: usize = 2_048;

/// Returns a status with an `ErrorInfo`.
pub fn status<const N: usize>(
    code: Code,
    reason: ErrorReason,
    message: impl Into<String>,
    metadata: [(&str, String); N],
) -> Status {
    Status::with_error_details(code, shortened(message.into()), error_info(reason, metadata))
}

/// Returns `INVALID_ARGUMENT` with all violations at once, as far as they fit into trailers; paths are such as
/// `facts[3].object.literal.datatype`.
pub fn invalid_fields(reason: ErrorReason, violations: Vec<FieldViolation>) -> Status {
    fields(Code::InvalidArgument, reason, [], violations)
}

/// Returns a status with violations of fields, as far as they fit into trailers.
fn fields<const N: usize>(
    code: Code,
    reason: ErrorReason,
    metadata: [(&str, String); N],
    violations: Vec<FieldViolation>,
) -> Status {
    let mut bytes = 0;
    let mut fitting = Vec::new();
    let count = violations.len();
    for violation in violations {
        let violation = FieldViolation::new(violation.field, shortened(violation.description));
        bytes += violation.field.len() + violation.description.len();
        if bytes > VIOLATION_BYTES_MAX && !fitting.is_empty() {
            let left = count - fitting.len();
            fitting.push(FieldViolation::new("", format!("and {left} more")));
            break;
        }
        fitting.push(violation);
    }
    let message = fitting
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.description))
        .collect::<Vec<_>>()
        .join("; ");
    let mut details = error_info(reason, metadata);
    details.set_bad_request(fitting);
    Status::with_error_details(code, shortened(message), details)
}

/// Cuts a text that is too long for a trailer, and shows that it was cut.
fn shortened(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    text
}

fn error_info<const N: usize>(reason: ErrorReason, metadata: [(&str, String); N]) -> ErrorDetails {
    let metadata: HashMap<String, String> = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), shortened(value)))
        .collect();
    let name = reason.as_str_name().trim_start_matches("ERROR_REASON_");
    ErrorDetails::with_error_info(name, DOMAIN, metadata)
}

/// Returns the name of the reason that a status carries.
pub fn reason_name(status: &Status) -> String {
    status
        .get_details_error_info()
        .map_or_else(|| format!("{:?}", status.code()), |info| info.reason)
}

/// Returns a status that asks to try again after a while.
fn retry(code: Code, reason: ErrorReason, message: &str, after: Duration) -> Status {
    let mut details = error_info(reason, []);
    details.set_retry_info(Some(after));
    Status::with_error_details(code, message, details)
}

/// Returns `NOT_FOUND` for an entity.
pub fn entity_not_found(iri: &str) -> Status {
    status(
        Code::NotFound,
        ErrorReason::EntityNotFound,
        format!("no triple of the default graph has the subject <{iri}>"),
        [("entity", iri.to_owned())],
    )
}

/// Returns `NOT_FOUND` for a statement.
pub fn fact_not_found(id: &str) -> Status {
    status(
        Code::NotFound,
        ErrorReason::FactNotFound,
        format!("no statement has the IRI <{id}>"),
        [("id", id.to_owned())],
    )
}

/// Returns `UNAVAILABLE` for a server that starts or shuts down.
pub fn unavailable(message: &str) -> Status {
    retry(
        Code::Unavailable,
        ErrorReason::Unavailable,
        message,
        Duration::from_secs(1),
    )
}

/// Returns `RESOURCE_EXHAUSTED` for a server that has as much to do as it takes.
pub fn overloaded(message: &str) -> Status {
    retry(
        Code::ResourceExhausted,
        ErrorReason::Overloaded,
        message,
        Duration::from_secs(1),
    )
}

/// Returns `DEADLINE_EXCEEDED`.
pub fn deadline_exceeded() -> Status {
    status(
        Code::DeadlineExceeded,
        ErrorReason::DeadlineExceeded,
        "the deadline has passed",
        [],
    )
}

/// Returns `CANCELLED`.
pub fn cancelled() -> Status {
    status(
        Code::Cancelled,
        ErrorReason::Cancelled,
        "the caller went away",
        [],
    )
}

/// Returns `CANCELLED` for a query that somebody cancelled by its id.
pub fn query_cancelled() -> Status {
    let message = SparqlError::QueryCancelled.to_string();
    status(Code::Cancelled, ErrorReason::QueryCancelled, message, [])
}

/// Returns `NOT_FOUND` for a query that neither waits nor runs.
pub fn query_not_found(query_id: &str) -> Status {
    status(
        Code::NotFound,
        ErrorReason::QueryNotFound,
        format!("no query or update with the id {query_id} is waiting or running"),
        [("query_id", query_id.to_owned())],
    )
}

/// Returns `NOT_FOUND` for a revision that is not there.
pub fn revision_not_found(revision: u64, newest: u64) -> Status {
    status(
        Code::NotFound,
        ErrorReason::RevisionNotFound,
        format!("there is no revision {revision}: the newest one is {newest}"),
        [("revision", newest.to_string())],
    )
}

/// Returns `RESOURCE_EXHAUSTED` for one watcher too many.
pub fn too_many_watchers(watcher_count_max: usize) -> Status {
    status(
        Code::ResourceExhausted,
        ErrorReason::TooManyWatchers,
        format!("there are {watcher_count_max} watches already"),
        [("watcher_count_max", watcher_count_max.to_string())],
    )
}

/// Returns `RESOURCE_EXHAUSTED` for a reader that takes too long, with what a watch resumes after.
pub fn reader_too_slow(after_revision: Option<u64>) -> Status {
    with_revision(
        &status(
            Code::ResourceExhausted,
            ErrorReason::ReaderTooSlow,
            "the reader took too long to take a frame",
            [],
        ),
        after_revision,
    )
}

/// As [`unavailable`], with what a watch resumes after.
pub fn unavailable_after(message: &str, after_revision: Option<u64>) -> Status {
    with_revision(&unavailable(message), after_revision)
}

fn with_revision(status: &Status, after_revision: Option<u64>) -> Status {
    let mut details = status.get_error_details();
    if let (Some(revision), Some(mut info)) = (after_revision, details.error_info().cloned()) {
        info.metadata
            .insert("after_revision".to_owned(), revision.to_string());
        details.set_error_info(info.reason, info.domain, info.metadata);
    }
    Status::with_error_details(status.code(), status.message(), details)
}

/// Returns `INVALID_ARGUMENT` for a message or call that breaks the rules of gRPC or of its method.
pub fn malformed(message: impl Into<String>) -> Status {
    status(Code::InvalidArgument, ErrorReason::MalformedMessage, message, [])
}

/// Returns `INTERNAL` with a request id. The cause goes to the log under that id, not to the caller.
pub fn internal(cause: &dyn std::fmt::Display) -> Status {
    let request_id = getrandom::u64()
        .map(|number| format!("{number:016x}"))
        .unwrap_or_default();
    tracing::error!(request_id, %cause, "internal error");
    status(
        Code::Internal,
        ErrorReason::Internal,
        format!("internal error; request id {request_id}"),
        [("request_id", request_id)],
    )
}

/// Returns a status that tonic made itself as one of ours; ours stay as they are.
///
/// tonic answers an oversized message with `OUT_OF_RANGE`, bytes that are no message with `INTERNAL`, and none has details.
pub fn of_tonic(status: &Status) -> Status {
    if !status.details().is_empty() {
        return status.clone();
    }
    let message = status.message().to_owned();
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => {
            self::status(Code::ResourceExhausted, ErrorReason::MessageTooLarge, message, [])
        }
        Code::Unimplemented => self::status(Code::Unimplemented, ErrorReason::Unimplemented, message, []),
        Code::Cancelled => cancelled(),
        Code::DeadlineExceeded => deadline_exceeded(),
        Code::Internal | Code::InvalidArgument => malformed(message),
        Code::Unavailable => unavailable(&message),
        // A health check of a service that there is not: `grpc.health.v1` says NOT_FOUND.
        Code::NotFound => self::status(Code::NotFound, ErrorReason::Unimplemented, message, []),
        code => internal(&format!("{code:?}: {message}")),
    }
}

impl From<RevisionNotReached> for Status {
    fn from(error: RevisionNotReached) -> Self {
        status(
            Code::FailedPrecondition,
            ErrorReason::RevisionNotReached,
            error.to_string(),
            [
                ("min_revision", error.min_revision.to_string()),
                ("revision", error.revision.to_string()),
            ],
        )
    }
}

impl From<FeedError> for Status {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Closed => unavailable(&error.to_string()),
            FeedError::Log(LogError::Unavailable) => unavailable(LOG_CLOSED),
            FeedError::Log(_) | FeedError::Fault(_) => internal(&error),
        }
    }
}

impl From<DiffError> for Status {
    fn from(error: DiffError) -> Self {
        match error {
            DiffError::TooLarge { bytes_max } => status(
                Code::ResourceExhausted,
                ErrorReason::DiffTooLarge,
                error.to_string(),
                [("diff_bytes_max", bytes_max.to_string())],
            ),
            DiffError::Over => cancelled(),
            DiffError::Log(LogError::Unavailable) => unavailable(LOG_CLOSED),
            DiffError::Log(_) => internal(&error),
        }
    }
}

impl<E> From<CommitError<E>> for Status
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
            CommitError::RevisionMismatch { revision } => status(
                Code::Aborted,
                ErrorReason::RevisionMismatch,
                message,
                [("revision", revision.to_string())],
            ),
            CommitError::RequestIdReused { request_id, revision } => status(
                Code::AlreadyExists,
                ErrorReason::RequestIdReused,
                message,
                [("request_id", request_id), ("revision", revision.to_string())],
            ),
            CommitError::GraphFull {
                graph_memory_bytes_max,
            } => status(
                Code::ResourceExhausted,
                ErrorReason::GraphFull,
                message,
                [("graph_memory_bytes_max", graph_memory_bytes_max.to_string())],
            ),
            CommitError::DiskFull => status(Code::ResourceExhausted, ErrorReason::DiskFull, message, []),
            CommitError::LogUnavailable => {
                status(Code::Unavailable, ErrorReason::LogUnavailable, message, [])
            }
            CommitError::Closed => unavailable(&message),
            CommitError::Overloaded => retry(
                Code::ResourceExhausted,
                ErrorReason::Overloaded,
                &message,
                OVERLOADED_RETRY_DELAY,
            ),
        }
    }
}

impl From<WriteError> for Status {
    /// The first fault gives code and reason; all are told.
    fn from(error: WriteError) -> Self {
        let violation = |fault: &WriteFault| FieldViolation::new(&fault.field, fault.fault.to_string());
        let violations = error.0.iter().map(violation).collect();
        let Some(WriteFault { fault, .. }) = error.0.into_iter().next() else {
            return internal(&"a write failed without a fault");
        };
        let of_id = |code, reason, id| (code, reason, ("id", id));
        let (code, reason, metadata) = match fault {
            Fault::NotFound { id } => of_id(Code::NotFound, ErrorReason::FactNotFound, id),
            Fault::Retracted { id } => of_id(Code::FailedPrecondition, ErrorReason::FactAlreadyRetracted, id),
            Fault::OtherContent { id } | Fault::RetractedId { id } => {
                of_id(Code::AlreadyExists, ErrorReason::FactIdInUse, id)
            }
            Fault::UnknownSource { iri } => {
                (Code::InvalidArgument, ErrorReason::SourceUnknown, ("source", iri))
            }
            Fault::Precondition { index, .. } => (
                Code::Aborted,
                ErrorReason::PreconditionFailed,
                ("precondition", index.to_string()),
            ),
        };
        fields(code, reason, [metadata], violations)
    }
}

/// Returns the status of a change that breaks the fact model.
fn model(error: ModelError) -> Status {
    let message = error.to_string();
    match error {
        ModelError::StatementInvalid { faults, .. } => {
            let first = faults.into_iter().next();
            let (node, property) =
                first.map_or_else(Default::default, |fault| (fault.node, fault.property.to_owned()));
            status(
                Code::InvalidArgument,
                ErrorReason::StatementInvalid,
                message,
                [("node", node), ("property", property)],
            )
        }
        ModelError::DerivedTriple { triple } => status(
            Code::FailedPrecondition,
            ErrorReason::DerivedTriple,
            message,
            [("triple", triple)],
        ),
        ModelError::DerivedGraph { quad } => status(
            Code::FailedPrecondition,
            ErrorReason::DerivedGraph,
            message,
            [("quad", quad)],
        ),
        ModelError::ClaimContent {
            triple,
            statement,
            claim,
        } => status(
            Code::FailedPrecondition,
            ErrorReason::ClaimContent,
            message,
            [("triple", triple), ("statement", statement), ("claim", claim)],
        ),
    }
}

impl From<SparqlError> for Status {
    fn from(error: SparqlError) -> Self {
        let message = error.to_string();
        let invalid = |reason| status(Code::InvalidArgument, reason, message.clone(), []);
        match error {
            SparqlError::TooComplex { limit, limit_value }
            | SparqlError::ValueTooLarge { limit, limit_value } => status(
                Code::InvalidArgument,
                ErrorReason::SparqlTooComplex,
                message,
                [
                    ("limit", limit.to_owned()),
                    ("limit_value", limit_value.to_string()),
                ],
            ),
            SparqlError::Syntax { line, column, .. } => status(
                Code::InvalidArgument,
                ErrorReason::SparqlSyntax,
                message,
                [("line", line.to_string()), ("column", column.to_string())],
            ),
            SparqlError::WrongForm { .. } => invalid(ErrorReason::SparqlWrongForm),
            SparqlError::Unsupported(_) => invalid(ErrorReason::SparqlUnsupported),
            SparqlError::Parameters(faults) => invalid_fields(
                ErrorReason::InvalidParameter,
                faults
                    .into_iter()
                    .map(|fault| {
                        FieldViolation::new(format!("parameters[{}]", fault.name), fault.description)
                    })
                    .collect(),
            ),
            SparqlError::Evaluation(_) => invalid(ErrorReason::SparqlEvaluation),
            // Not UNAVAILABLE: that is this server.
            SparqlError::Remote { url, .. } => status(
                Code::FailedPrecondition,
                ErrorReason::RemoteFailed,
                message,
                [("url", url)],
            ),
            SparqlError::MemoryExceeded { memory_bytes_max } => graph_full(memory_bytes_max),
            SparqlError::QueryMemoryExceeded { memory_bytes_max } => status(
                Code::ResourceExhausted,
                ErrorReason::QueryMemoryExceeded,
                message,
                [("query_memory_bytes_max", memory_bytes_max.to_string())],
            ),
            SparqlError::LimitExceeded { limit, limit_value } => status(
                Code::ResourceExhausted,
                ErrorReason::QueryLimitExceeded,
                message,
                [
                    ("limit", limit.name().to_owned()),
                    ("limit_value", limit_value.to_string()),
                ],
            ),
            SparqlError::MemoryBusy { .. } => overloaded(&message),
            SparqlError::DeadlineExceeded => deadline_exceeded(),
            SparqlError::Cancelled => cancelled(),
            SparqlError::QueryCancelled => query_cancelled(),
            SparqlError::Internal(cause) => internal(&cause),
        }
    }
}

impl From<QueryIdInUse> for Status {
    fn from(error: QueryIdInUse) -> Self {
        status(
            Code::AlreadyExists,
            ErrorReason::QueryIdInUse,
            error.to_string(),
            [("query_id", error.query_id)],
        )
    }
}

impl From<PoolError> for Status {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Overloaded { .. } => overloaded(&error.to_string()),
            PoolError::Closed => unavailable(&error.to_string()),
        }
    }
}

fn graph_full(graph_memory_bytes_max: u64) -> Status {
    status(
        Code::ResourceExhausted,
        ErrorReason::GraphFull,
        format!("the graph would take more than {graph_memory_bytes_max} bytes of memory"),
        [("graph_memory_bytes_max", graph_memory_bytes_max.to_string())],
    )
}

impl From<ImportError> for Status {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Document(error) => document(&error),
            ImportError::Full {
                graph_memory_bytes_max,
            } => graph_full(graph_memory_bytes_max),
            ImportError::BrokenOff => cancelled(),
            ImportError::Fault(cause) => internal(&cause),
        }
    }
}

fn document(error: &DocumentError) -> Status {
    let mut details = error_info(ErrorReason::RdfSyntax, []);
    if let (Some(place), Some(info)) = (error.place, details.error_info()) {
        let mut info = info.clone();
        info.metadata.insert("line".to_owned(), place.line.to_string());
        info.metadata
            .insert("column".to_owned(), place.column.to_string());
        details.set_error_info(info.reason, info.domain, info.metadata);
    }
    Status::with_error_details(Code::InvalidArgument, shortened(error.to_string()), details)
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    type Case = (
        CommitError<PlanFault>,
        Code,
        &'static str,
        &'static [(&'static str, &'static str)],
    );

    struct PlanFault;

    impl From<PlanFault> for Status {
        fn from(_: PlanFault) -> Self {
            status(Code::InvalidArgument, ErrorReason::SparqlSyntax, "a fault", [])
        }
    }

    fn check(found: &Status, code: Code, reason: &str, metadata: &[(&str, &str)]) {
        let info = found.get_details_error_info().unwrap();
        let mut pairs: Vec<_> = info
            .metadata
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        pairs.sort_unstable();
        assert_eq!(
            (found.code(), info.reason.as_str(), pairs.as_slice()),
            (code, reason, metadata)
        );
        assert!(!found.message().is_empty());
    }

    #[test]
    fn every_commit_error_has_its_status() {
        let cases: [Case; 8] = [
            (
                CommitError::Plan(PlanFault),
                Code::InvalidArgument,
                "SPARQL_SYNTAX",
                &[],
            ),
            (
                CommitError::RevisionMismatch { revision: 7 },
                Code::Aborted,
                "REVISION_MISMATCH",
                &[("revision", "7")],
            ),
            (
                CommitError::RequestIdReused {
                    request_id: "r".to_owned(),
                    revision: 7,
                },
                Code::AlreadyExists,
                "REQUEST_ID_REUSED",
                &[("request_id", "r"), ("revision", "7")],
            ),
            (
                CommitError::GraphFull {
                    graph_memory_bytes_max: 5,
                },
                Code::ResourceExhausted,
                "GRAPH_FULL",
                &[("graph_memory_bytes_max", "5")],
            ),
            (CommitError::DiskFull, Code::ResourceExhausted, "DISK_FULL", &[]),
            (
                CommitError::LogUnavailable,
                Code::Unavailable,
                "LOG_UNAVAILABLE",
                &[],
            ),
            (CommitError::Closed, Code::Unavailable, "UNAVAILABLE", &[]),
            (
                CommitError::Overloaded,
                Code::ResourceExhausted,
                "OVERLOADED",
                &[],
            ),
        ];
        for (error, code, reason, metadata) in cases {
            check(&error.into(), code, reason, metadata);
        }
        let panicked = Status::from(CommitError::<PlanFault>::PlanPanicked);
        let info = panicked.get_details_error_info().unwrap();
        assert_eq!(
            (panicked.code(), info.reason.as_str()),
            (Code::Internal, "INTERNAL")
        );
        assert!(panicked.message().contains(&info.metadata["request_id"]));
        let overloaded = Status::from(CommitError::<PlanFault>::Overloaded);
        assert_eq!(
            overloaded.get_details_retry_info().unwrap().retry_delay,
            Some(OVERLOADED_RETRY_DELAY)
        );
    }

    #[test]
    fn a_revision_not_reached_says_both_revisions() {
        let status = RevisionNotReached {
            min_revision: 9,
            revision: 8,
        }
        .into();
        let metadata = [("min_revision", "9"), ("revision", "8")];
        check(
            &status,
            Code::FailedPrecondition,
            "REVISION_NOT_REACHED",
            &metadata,
        );
    }
}
