//! Errors as gRPC statuses: the one place where a `tonic::Status` is made.
//!
//! Errors of the parts below become statuses in one file for each part. Each carries `google.rpc.ErrorInfo` with a reason of [`ErrorReason`] under the domain `dossier`.

mod backup;
mod caller;
mod commit;
mod document;
mod feed;
mod sparql;

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::{intake::BYTES_MIN, proto::v1::ErrorReason, request};

pub use self::{
    backup::backup_not_configured,
    caller::{caller_limit_reached, credentials_reason, lapsed, unauthenticated},
    commit::of_model,
    document::{import_of_other_history, sender_too_slow},
    feed::{lapsed_after, reader_too_slow, revision_compacted, unavailable_after},
    sparql::{query_cancelled, query_not_found},
};

const DOMAIN: &str = "dossier";
/// What a reader of the log is told meanwhile.
pub(super) const LOG_CLOSED: &str = "the log is being opened again";
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
    let fitting = fitting(violations);
    let message = fitting
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.description))
        .collect::<Vec<_>>()
        .join("; ");
    let mut details = error_info(reason, metadata);
    details.set_bad_request(fitting);
    Status::with_error_details(code, shortened(message), details)
}

/// Returns as many violations as fit into trailers, and how many are left.
fn fitting(violations: Vec<FieldViolation>) -> Vec<FieldViolation> {
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
    fitting
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

/// Returns `NOT_FOUND` for a named graph.
pub fn graph_not_found(iri: &str) -> Status {
    status(
        Code::NotFound,
        ErrorReason::GraphNotFound,
        format!("there is no named graph <{iri}>"),
        [("graph", iri.to_owned())],
    )
}

/// Returns `PERMISSION_DENIED` for a caller to whom the policy gives nothing.
pub fn no_role() -> Status {
    status(
        Code::PermissionDenied,
        ErrorReason::NoRole,
        "the policy gives you no role",
        [],
    )
}

/// Returns `PERMISSION_DENIED` for what only administrators may do.
pub fn admin_only(what: &str) -> Status {
    status(
        Code::PermissionDenied,
        ErrorReason::AdminOnly,
        format!("{what} is for administrators alone"),
        [],
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

/// Returns `DEADLINE_EXCEEDED` for a caller who begins a request and goes on with it too slowly, or not at all.
pub fn request_stalled(stall_max: Duration) -> Status {
    status(
        Code::DeadlineExceeded,
        ErrorReason::DeadlineExceeded,
        format!(
            "less than {} KiB of the request, and not its rest, came in {} ms",
            BYTES_MIN >> 10,
            stall_max.as_millis()
        ),
        [],
    )
}

/// Returns `UNAVAILABLE` for a call that the server has no more time for, with the newest revision.
pub fn ended_at(message: &str, revision: Option<u64>) -> Status {
    let mut details = unavailable(message).get_error_details();
    if let (Some(revision), Some(mut info)) = (revision, details.error_info().cloned()) {
        info.metadata.insert("revision".to_owned(), revision.to_string());
        details.set_error_info(info.reason, info.domain, info.metadata);
    }
    Status::with_error_details(Code::Unavailable, message, details)
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

/// Returns `NOT_FOUND` for a revision that is not there.
pub fn revision_not_found(revision: u64, newest: u64) -> Status {
    status(
        Code::NotFound,
        ErrorReason::RevisionNotFound,
        format!("there is no revision {revision}: the newest one is {newest}"),
        [("revision", newest.to_string())],
    )
}

/// Returns `INVALID_ARGUMENT` for a message or call that breaks the rules of gRPC or of its method.
pub fn malformed(message: impl Into<String>) -> Status {
    status(Code::InvalidArgument, ErrorReason::MalformedMessage, message, [])
}

/// Returns `RESOURCE_EXHAUSTED` for a message that is larger than the server takes.
pub fn message_too_large(message: impl Into<String>) -> Status {
    status(Code::ResourceExhausted, ErrorReason::MessageTooLarge, message, [])
}

/// Returns `INTERNAL` with the id of the request. The cause goes to the log under that id, not to the caller.
pub fn internal(cause: &dyn std::fmt::Display) -> Status {
    let request_id = request::current_id();
    tracing::error!(id = request_id, %cause, "internal error");
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
        Code::OutOfRange | Code::ResourceExhausted => message_too_large(message),
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

/// Returns `RESOURCE_EXHAUSTED` for a graph that would not fit.
fn graph_full(graph_memory_bytes_max: u64) -> Status {
    status(
        Code::ResourceExhausted,
        ErrorReason::GraphFull,
        format!("the graph would take more than {graph_memory_bytes_max} bytes of memory"),
        [("graph_memory_bytes_max", graph_memory_bytes_max.to_string())],
    )
}
