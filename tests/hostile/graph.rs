//! The graph that the requests meet.

use std::fmt::Write as _;

#[path = "../../examples/generate/graph.rs"]
mod generate;

/// Nodes `<d:0>`, `<d:1>`, ... of which each has an edge `<d:p>` to each other.
pub(crate) const DENSE_NODE_COUNT: u64 = 200;
/// Quads about ordinary entities.
const ORDINARY_QUAD_COUNT: u64 = 22_000;
/// Nodes with a long text, `<d:text>`.
const TEXT_COUNT: u64 = 20;
const TEXT_BYTES: usize = 100_000;
/// The quads of the whole graph.
pub(crate) const QUAD_COUNT: u64 =
    DENSE_NODE_COUNT * (DENSE_NODE_COUNT - 1) + ORDINARY_QUAD_COUNT + TEXT_COUNT;

/// Returns the graph as N-Quads.
pub(crate) fn document() -> String {
    let mut ordinary = Vec::new();
    generate::write_graph(&mut ordinary, ORDINARY_QUAD_COUNT, 1).unwrap();
    let mut document = String::from_utf8(ordinary).unwrap();
    for from in 0..DENSE_NODE_COUNT {
        for to in (0..DENSE_NODE_COUNT).filter(|&to| to != from) {
            writeln!(document, "<d:{from}> <d:p> <d:{to}> .").unwrap();
        }
    }
    let text = "a".repeat(TEXT_BYTES);
    for node in 0..TEXT_COUNT {
        writeln!(document, "<d:{node}> <d:text> \"{text}{node}\" .").unwrap();
    }
    document
}
