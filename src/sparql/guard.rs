//! Bounds a SPARQL text before any recursive parser sees it.
//!
//! One linear scan counts what makes the parser, the planner or the evaluator recurse or go back and forth. It knows
//! strings, comments, IRIs, variables and prefixed names, so that nothing in them counts. Where the grammar is ambiguous
//! without context (`<` opens an IRI or compares) it counts what the text could mean at worst.

mod limits;
mod scanner;

use super::SparqlError;
pub use limits::{GuardFigures, GuardLimits};
use scanner::Scanner;

/// What the scan found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Findings {
    /// The keyword SERVICE stands somewhere.
    pub(super) has_service: bool,
}

/// Scans a text.
pub(super) fn scan(text: &str, limits: GuardLimits) -> Result<Findings, SparqlError> {
    measure(text, limits).1
}

/// Fails for a text that is longer than one may be.
pub(super) fn check_length(text: &str, limits: GuardLimits) -> Result<(), SparqlError> {
    within("query_bytes_max", text.len(), limits.byte_count_max, &mut 0)
}

/// Scans a text and tells what it comes to, as far as the limits let the scan come.
pub(super) fn measure(text: &str, limits: GuardLimits) -> (GuardFigures, Result<Findings, SparqlError>) {
    let mut scanner = Scanner::new(text, limits);
    let outcome = scanner.run();
    (scanner.figures, outcome.map(|()| scanner.findings))
}

/// Notes a figure and fails if it is past its limit.
fn within(limit: &'static str, value: usize, max: usize, largest: &mut usize) -> Result<(), SparqlError> {
    *largest = value.max(*largest);
    if value > max {
        return Err(SparqlError::TooComplex {
            limit,
            limit_value: max as u64,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
