//! Statuses of commits: what a write breaks, and why there is none.

use std::{convert::Infallible, time::Duration};

use tonic::{Code, Status};
use tonic_types::{FieldViolation, StatusExt as _};

use super::{
    LOG_CLOSED, fields, fitting, graph_full, internal, overloaded, retry, revision_compacted,
    revision_not_found, status, unavailable,
};
use crate::{
    facts::{
        ModelError,
        write::{Fault, WriteError, WriteFault},
    },
    feed::LogError,
    knowledge::{CommitError, EraseError, PastError, RevisionNotReached, TERM_BYTES_MAX},
    proto::v1::ErrorReason,
};

/// Some groups of commits.
const OVERLOADED_RETRY_DELAY: Duration = Duration::from_millis(100);

impl From<RevisionNotReached> for Status {
    fn from(error: RevisionNotReached) -> Self {
        match error {
            RevisionNotReached::Late {
                min_revision,
                revision,
            } => status(
                Code::FailedPrecondition,
                ErrorReason::RevisionNotReached,
                error.to_string(),
                [
                    ("min_revision", min_revision.to_string()),
                    ("revision", revision.to_string()),
                ],
            ),
            RevisionNotReached::Overloaded => overloaded(&error.to_string()),
        }
    }
}

impl From<PastError> for Status {
    fn from(error: PastError) -> Self {
        match error {
            PastError::NotThere { revision, newest } => revision_not_found(revision, newest),
            PastError::TooFarBack {
                revision,
                change_count_max,
            } => status(
                Code::ResourceExhausted,
                ErrorReason::RevisionTooFarBack,
                error.to_string(),
                [
                    ("at_revision", revision.to_string()),
                    ("past_change_count_max", change_count_max.to_string()),
                ],
            ),
            PastError::TooLarge { revision, bytes_max } => status(
                Code::ResourceExhausted,
                ErrorReason::RevisionTooFarBack,
                error.to_string(),
                [
                    ("at_revision", revision.to_string()),
                    ("diff_bytes_max", bytes_max.to_string()),
                ],
            ),
            PastError::Busy | PastError::Overloaded => overloaded(&error.to_string()),
            PastError::Log(LogError::Unavailable) => unavailable(LOG_CLOSED),
            PastError::Log(LogError::Compacted { revision, earliest }) => {
                revision_compacted(revision, earliest)
            }
            PastError::Log(_) | PastError::Fault(_) => internal(&error),
        }
    }
}

impl<E> From<CommitError<E>> for Status
where
    Self: From<E>,
{
    fn from(error: CommitError<E>) -> Self {
        match error.into_plan_error() {
            Ok(error) => Self::from(error),
            Err(error) => of_commit(error),
        }
    }
}

/// Returns the status of a commit whose plan is not at fault.
fn of_commit(error: CommitError<Infallible>) -> Status {
    let message = error.to_string();
    match error {
        CommitError::Plan(never) => match never {},
        CommitError::PlanPanicked => internal(&message),
        CommitError::Model(error) => model(*error),
        CommitError::NotGranted { graph } => status(
            Code::PermissionDenied,
            ErrorReason::GraphNotGranted,
            message,
            [("graph", graph)],
        ),
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
        } => graph_full(graph_memory_bytes_max),
        CommitError::TermTooLarge { term_bytes } => status(
            Code::InvalidArgument,
            ErrorReason::TermTooLarge,
            message,
            [
                ("term_bytes", term_bytes.to_string()),
                ("term_bytes_max", TERM_BYTES_MAX.to_string()),
            ],
        ),
        CommitError::DiskFull => status(Code::ResourceExhausted, ErrorReason::DiskFull, message, []),
        CommitError::LogUnavailable => status(Code::Unavailable, ErrorReason::LogUnavailable, message, []),
        CommitError::Closed => unavailable(&message),
        CommitError::Overloaded => retry(
            Code::ResourceExhausted,
            ErrorReason::Overloaded,
            &message,
            OVERLOADED_RETRY_DELAY,
        ),
    }
}

impl From<EraseError> for Status {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::Commit(error) => of_commit(error),
            EraseError::Closed | EraseError::Incomplete(LogError::Unavailable) => {
                unavailable(&error.to_string())
            }
            EraseError::Log(LogError::Unavailable) => unavailable(LOG_CLOSED),
            EraseError::Incomplete(LogError::DiskFull) => status(
                Code::ResourceExhausted,
                ErrorReason::DiskFull,
                error.to_string(),
                [],
            ),
            EraseError::Incomplete(_) | EraseError::Log(_) | EraseError::Fault(_) => internal(&error),
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
            Fault::OtherContent { id } | Fault::OtherNode { id } | Fault::RetractedId { id } => {
                of_id(Code::AlreadyExists, ErrorReason::FactIdInUse, id)
            }
            Fault::OtherFact { id } => of_id(Code::InvalidArgument, ErrorReason::InvalidField, id),
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

/// Returns the status of a change that breaks the fact model, with the fields that it came from as far as they are known.
pub fn of_model(error: ModelError, violations: Vec<FieldViolation>) -> Status {
    let status = model(error);
    if violations.is_empty() {
        return status;
    }
    let mut details = status.get_error_details();
    details.set_bad_request(fitting(violations));
    Status::with_error_details(status.code(), status.message(), details)
}

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
            ..
        } => status(
            Code::FailedPrecondition,
            ErrorReason::ClaimContent,
            message,
            [("triple", triple), ("statement", statement), ("claim", claim)],
        ),
    }
}

#[cfg(test)]
mod tests {
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
        let cases: [Case; 10] = [
            (
                CommitError::Plan(PlanFault),
                Code::InvalidArgument,
                "SPARQL_SYNTAX",
                &[],
            ),
            (
                CommitError::NotGranted {
                    graph: "<http://example.com/g>".to_owned(),
                },
                Code::PermissionDenied,
                "GRAPH_NOT_GRANTED",
                &[("graph", "<http://example.com/g>")],
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
            (
                CommitError::TermTooLarge {
                    term_bytes: 9_000_000,
                },
                Code::InvalidArgument,
                "TERM_TOO_LARGE",
                &[("term_bytes", "9000000"), ("term_bytes_max", "8388608")],
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
        let status = RevisionNotReached::Late {
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
