//! What tests of queries and of updates share.

use oxigraph::io::{RdfFormat, RdfParser};

use super::{GuardLimits, Parser};
use crate::graph::{Batch, Draft, Snapshot};

pub(super) fn parser() -> Parser {
    Parser::new(
        GuardLimits::default(),
        [("ex", "http://ex/"), ("xsd", "http://www.w3.org/2001/XMLSchema#")],
    )
}

pub(super) fn graph(trig: &str) -> Snapshot {
    let mut batch = Batch::default();
    let trig = format!("PREFIX ex: <http://ex/> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> {trig}");
    for quad in RdfParser::from_format(RdfFormat::TriG).for_slice(trig.as_bytes()) {
        batch.insert(quad.unwrap().as_ref());
    }
    let mut draft = Draft::new(Snapshot::default());
    draft.apply(&batch);
    draft.finish().1
}

/// Many triples, whose product with itself is larger than anyone can wait for.
pub(super) fn numbers() -> Snapshot {
    graph(&repeated(2_000, |number| {
        format!("ex:s{number} ex:p {number} . ")
    }))
}

pub(super) fn repeated(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).map(piece).collect::<Vec<_>>().concat()
}
