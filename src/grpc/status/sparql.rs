//! Statuses of queries and updates.

use tonic::{Code, Status};
use tonic_types::FieldViolation;

use super::{
    admin_only, cancelled, deadline_exceeded, graph_full, internal, invalid_fields, overloaded, status,
    unavailable,
};
use crate::{
    proto::v1::ErrorReason,
    sparql::{AdmitError, PoolError, QueryIdInUse, SparqlError},
};

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
            SparqlError::AdminOnly(what) => admin_only(what),
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

impl From<AdmitError> for Status {
    fn from(error: AdmitError) -> Self {
        match error {
            AdmitError::IdInUse(error) => error.into(),
            AdmitError::TooLong(error) => error.into(),
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
