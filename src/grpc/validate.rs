//! Checks requests: all that is wrong with one is reported at once, with the paths of the fields.

use oxigraph::model::NamedNode;
use tonic::Status;

use super::{page_token, status::invalid_fields};
use crate::{
    facts::{Cursor, Scope},
    model::{
        iri::{self, NameError},
        language,
    },
    proto::v1::{ErrorReason, FactScope},
};

/// Violations that are kept of one request: a small message must not make a large list.
const VIOLATION_COUNT_MAX: usize = 1_000;
/// Languages in one request.
const LANGUAGE_COUNT_MAX: usize = 100;

/// One thing that is wrong with a request.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The reason of the status, should this be the first violation.
    pub reason: ErrorReason,
    /// The path of the field.
    pub field: String,
    /// What is wrong.
    pub description: String,
}

/// All that is wrong with a request.
#[derive(Debug, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Ends with an `INVALID_ARGUMENT` if anything is wrong. Its reason is that of the first violation.
    pub fn finish(self) -> Result<(), Status> {
        if self.0.is_empty() {
            return Ok(());
        }
        let (reason, violations) = self.into_parts();
        Err(invalid_fields(
            reason,
            violations.into_iter().map(Into::into).collect(),
        ))
    }

    pub(super) fn into_parts(self) -> (ErrorReason, Vec<Violation>) {
        let reason = self
            .0
            .first()
            .map_or(ErrorReason::InvalidField, |violation| violation.reason);
        (reason, self.0)
    }

    /// Reads a scope, with the one that is meant if none is said.
    pub(super) fn scope(&mut self, number: i32, unset: Scope) -> Scope {
        match FactScope::try_from(number) {
            Ok(FactScope::Unspecified) => unset,
            Ok(FactScope::Holding) => Scope::Holding,
            Ok(FactScope::Live) => Scope::Live,
            Ok(FactScope::All) => Scope::All,
            Err(_) => {
                self.invalid("scope", format!("{number} is not a scope"));
                unset
            }
        }
    }

    /// Adds a violation of the general kind.
    pub fn invalid(&mut self, field: &str, description: impl Into<String>) {
        self.add(ErrorReason::InvalidField, field, description);
    }

    /// Adds a violation, unless there are as many as are kept.
    pub fn add(&mut self, reason: ErrorReason, field: &str, description: impl Into<String>) {
        if self.0.len() == VIOLATION_COUNT_MAX {
            return;
        }
        self.0.push(Violation {
            reason,
            field: field.to_owned(),
            description: description.into(),
        });
    }

    /// Resolves a required IRI or prefixed name.
    pub fn name(&mut self, field: &str, text: &str) -> Option<NamedNode> {
        if text.is_empty() {
            self.invalid(field, "required");
            return None;
        }
        match iri::resolve(text) {
            Ok(iri) => Some(NamedNode::new_unchecked(iri.into_owned())),
            Err(error) => {
                let reason = match error {
                    NameError::InvalidIri { .. } => ErrorReason::InvalidIri,
                    NameError::UnknownPrefix { .. } => ErrorReason::UnknownPrefix,
                };
                self.add(reason, field, error.to_string());
                None
            }
        }
    }

    /// Resolves an IRI or prefixed name that may be left empty.
    pub fn optional_name(&mut self, field: &str, text: &str) -> Option<String> {
        if text.is_empty() {
            None
        } else {
            self.name(field, text).map(NamedNode::into_string)
        }
    }

    /// Returns a page size: from 1 to `max`, and `default` for 0.
    pub fn page_size(&mut self, size: i32, default: usize, max: usize) -> usize {
        match usize::try_from(size) {
            Ok(0) => default,
            Ok(size) if size <= max => size,
            _ => {
                self.invalid("page_size", format!("must be from 0 to {max}, not {size}"));
                default
            }
        }
    }

    /// Checks language ranges.
    pub fn languages(&mut self, languages: &[String]) {
        self.language_ranges("languages", languages);
    }

    /// Checks language ranges of a field.
    pub fn language_ranges(&mut self, field: &str, languages: &[String]) {
        if languages.len() > LANGUAGE_COUNT_MAX {
            self.invalid(
                field,
                format!("at most {LANGUAGE_COUNT_MAX}, not {}", languages.len()),
            );
            return;
        }
        for (index, tag) in languages.iter().enumerate() {
            if !language::is_well_formed(tag) {
                self.invalid(
                    &format!("{field}[{index}]"),
                    format!("`{tag}` is not a language tag (BCP 47)"),
                );
            }
        }
    }

    /// Checks the length of a text, in bytes.
    pub fn text(&mut self, field: &str, text: &str, bytes_max: usize) {
        if text.len() > bytes_max {
            self.invalid(field, format!("at most {bytes_max} bytes, not {}", text.len()));
        }
    }

    /// Checks a `min_revision` and returns it.
    pub fn min_revision(&mut self, field: &str, revision: i64) -> u64 {
        u64::try_from(revision).unwrap_or_else(|_| {
            self.invalid(field, format!("must not be negative: {revision}"));
            0
        })
    }

    /// Adds that the page token cannot be used.
    pub fn page_token(&mut self) {
        self.add(
            ErrorReason::InvalidPageToken,
            "page_token",
            "damaged, from before the server was last started, or of another request",
        );
    }

    /// Reads a page token; an empty one is the first page.
    pub fn cursor(&mut self, token: &str, epoch: u64, filter: u64) -> Option<Cursor> {
        if token.is_empty() {
            return None;
        }
        let cursor = page_token::decode(token, epoch, filter);
        if cursor.is_none() {
            self.page_token();
        }
        cursor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_violations_are_kept() {
        for (count, kept) in [(999, 999), (1_000, 1_000), (1_001, 1_000)] {
            let mut violations = Violations::default();
            for number in 0..count {
                violations.invalid(&format!("facts[{number}]"), "required");
            }
            assert_eq!(violations.into_parts().1.len(), kept);
        }
    }
}
