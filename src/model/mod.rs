//! The domain's vocabulary: names, facts and what is known about them. Pure: no input or output, nothing of ours imported.

pub mod access;
pub mod day;
pub mod edtf;
pub mod fact;
pub mod iri;
pub mod language;
pub mod prefixes;
pub mod reference_date;
pub mod truthy;
pub mod validity;
pub mod value;
pub mod verdict;
pub mod vocabulary;
