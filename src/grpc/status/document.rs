//! Statuses of RDF documents.

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{cancelled, error_info, graph_full, internal, shortened, status};
use crate::{
    intake::SENDER_TOO_SLOW,
    proto::v1::ErrorReason,
    rdf::{DocumentError, ImportError},
};

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

/// Returns `FAILED_PRECONDITION` for an import that would go on behind what the log does not have.
pub fn import_of_other_history(revision: u64) -> Status {
    status(
        Code::FailedPrecondition,
        ErrorReason::ImportOtherHistory,
        format!(
            "the log does not have the commit of the import's last piece, revision {revision}: begin it anew"
        ),
        [("revision", revision.to_string())],
    )
}

/// Returns `DEADLINE_EXCEEDED` for an import whose sender holds a place and brings little, with the token to go on with.
pub fn sender_too_slow(resume_token: Option<&str>) -> Status {
    let (code, reason) = (Code::DeadlineExceeded, ErrorReason::SenderTooSlow);
    match resume_token {
        None => status(code, reason, SENDER_TOO_SLOW, []),
        Some(token) => status(
            code,
            reason,
            SENDER_TOO_SLOW,
            [("resume_token", token.to_owned())],
        ),
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
