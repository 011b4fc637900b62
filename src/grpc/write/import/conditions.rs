//! What must be so when a document that is imported whole is committed.

use tonic::Status;

use crate::{
    facts::write::{Precondition, WriteError, check_preconditions},
    graph::Draft,
    grpc::{validate::Violations, write::check},
    proto::v1,
    rdf::ImportError,
};

const IN_PIECES: &str = "an import in pieces is several commits";

/// What an import asks for beside its document.
#[derive(Default)]
pub(super) struct Conditions {
    pub(super) preconditions: Vec<Precondition>,
    pub(super) expected_revision: Option<u64>,
    pub(super) validate_only: bool,
}

impl Conditions {
    /// Reads those of a header; what is wrong goes to `violations`. In pieces there are none.
    pub(super) fn read(header: &v1::ImportHeader, violations: &mut Violations) -> Self {
        if header.mode() == v1::ImportMode::Chunked {
            for (field, is_set) in [
                ("header.preconditions", !header.preconditions.is_empty()),
                ("header.expected_revision", header.expected_revision.is_some()),
                ("header.validate_only", header.validate_only),
            ] {
                if is_set {
                    violations.invalid(field, IN_PIECES);
                }
            }
            return Self::default();
        }
        let preconditions = &header.preconditions;
        Self {
            preconditions: check::check_preconditions(violations, "header.preconditions", preconditions),
            expected_revision: header
                .expected_revision
                .map(|revision| violations.min_revision("header.expected_revision", revision)),
            validate_only: header.validate_only,
        }
    }
}

/// Fails if not all preconditions are met.
pub(super) fn check(draft: &Draft, preconditions: &[Precondition]) -> Result<(), Refused> {
    check_preconditions(draft.snapshot(), preconditions).map_err(|mut error| {
        for fault in &mut error.0 {
            fault.field = format!("header.{}", fault.field);
        }
        Refused::Precondition(error)
    })
}

/// Why a document was not applied.
pub(super) enum Refused {
    Precondition(WriteError),
    Import(ImportError),
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Precondition(error) => error.into(),
            Refused::Import(error) => error.into(),
        }
    }
}
