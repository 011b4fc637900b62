//! Faults that the commit finds in statements, as faults of the fields that they came from.

use tonic::Status;
use tonic_types::FieldViolation;

use crate::{
    facts::{ModelError, StatementFault, write::WriteError},
    grpc::status::of_model,
    knowledge::CommitError,
    model::vocabulary as iris,
};

/// The statements that a request is about, in its order.
pub(super) enum Places {
    /// The ids of facts, and of the statements that they revise.
    Facts(Vec<(String, Option<String>)>),
    /// The ids of statements to retract.
    Ids(Vec<String>),
}

impl Places {
    /// Returns the status of an error of a commit; what is wrong with a statement is told with the path of its field.
    pub(super) fn status(&self, error: CommitError<WriteError>) -> Status {
        match error {
            CommitError::Model(error) => {
                let violations = self.violations(&error);
                of_model(*error, violations)
            }
            error => error.into(),
        }
    }

    fn violations(&self, error: &ModelError) -> Vec<FieldViolation> {
        match error {
            ModelError::StatementInvalid { faults, .. } => {
                let placed = |fault: &StatementFault| {
                    let (node, property) = match &fault.cause {
                        Some(cause) => (&cause.statement, cause.property),
                        None => (&fault.node, fault.property),
                    };
                    let field = self.field(node, field_of(property))?;
                    let description = format!("{} <{}>: {}", fault.node, fault.property, fault.message);
                    Some(FieldViolation::new(field, description))
                };
                faults.iter().filter_map(placed).collect()
            }
            ModelError::ClaimContent { statement, link, .. } => {
                let link = link.as_deref().and_then(|link| self.field(link, "object"));
                link.or_else(|| self.field(statement, "standing"))
                    .map(|field| FieldViolation::new(field, error.to_string()))
                    .into_iter()
                    .collect()
            }
            ModelError::DerivedTriple { .. } | ModelError::DerivedGraph { .. } => Vec::new(),
        }
    }

    /// Returns the path of a field of what wrote a node.
    fn field(&self, node: &str, name: &str) -> Option<String> {
        match self {
            Self::Ids(ids) => {
                let index = ids.iter().position(|id| id == node)?;
                Some(format!("ids[{index}]"))
            }
            Self::Facts(facts) => {
                if let Some(index) = facts.iter().position(|(id, _)| id == node) {
                    return Some(format!("facts[{index}].{name}"));
                }
                let revises = |(_, old): &(String, Option<String>)| old.as_deref() == Some(node);
                let index = facts.iter().position(revises)?;
                Some(format!("facts[{index}].revises"))
            }
        }
    }
}

/// Returns the field that a property of a statement comes from.
fn field_of(property: &str) -> &'static str {
    match property {
        iris::SUBJECT => "subject",
        iris::PREDICATE => "predicate",
        iris::OBJECT => "object",
        iris::STANCE => "stance",
        iris::STANDING => "standing",
        iris::BASIS => "basis",
        iris::DERIVED_FROM => "sources",
        iris::CONFIDENCE => "confidence",
        iris::NEGATED => "negated",
        iris::EDTF => "valid_time.edtf",
        iris::OBSERVED_ON => "valid_time.observed_on",
        iris::VALID_FROM => "valid_time.valid_from",
        iris::VALID_UNTIL => "valid_time.valid_until",
        iris::GENERATED_AT => "recorded_at",
        _ => "qualifiers",
    }
}
