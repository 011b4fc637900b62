//! The table.

mod chains;
mod cost;
mod documents;
mod functions;
mod nesting;
mod updates;

use crate::case::Case;

/// All cases.
pub(crate) const CASES: &[&[Case]] = &[
    nesting::CASES,
    chains::CASES,
    cost::CASES,
    functions::CASES,
    updates::CASES,
    documents::CASES,
];
