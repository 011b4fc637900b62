//! A hash of a graph that does not depend on the order of its quads.

use std::fmt::Write as _;

use oxigraph::model::{NamedOrBlankNodeRef, QuadRef};
use sha2::{Digest as _, Sha256};

use crate::{
    graph::{GraphPattern, Pattern, Snapshot},
    log::Change,
};

/// The sum, modulo 2²⁵⁶, of the SHA-256 of each quad as a line of N-Quads without its end, and of `# graph NAME` for each
/// named graph; blank nodes have the labels of the knowledge base. With it, how many there are.
///
/// What a commit changes is added and taken away, so that it is kept up without the graph.
#[derive(Clone, Debug, Default)]
pub(super) struct GraphHash {
    /// The least significant first.
    sum: [u64; 4],
    pub(super) quad_count: u64,
    pub(super) named_graph_count: u64,
    /// Kept for its room.
    line: String,
}

impl GraphHash {
    /// Returns a hash that was written with [`Self::to_hex`].
    pub(super) fn from_hex(hex: &str, quad_count: u64, named_graph_count: u64) -> Option<Self> {
        let mut sum = [0; 4];
        if hex.len() != 64 || !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        for (limb, digits) in sum.iter_mut().rev().zip(hex.as_bytes().chunks(16)) {
            *limb = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self {
            sum,
            quad_count,
            named_graph_count,
            line: String::new(),
        })
    }

    /// Returns the hash of a snapshot. Calls `each` now and then, which says whether to go on.
    pub(super) fn of(snapshot: &Snapshot, each: &mut dyn FnMut() -> bool) -> Option<Self> {
        let mut hash = Self::default();
        for (number, quad) in snapshot.quads(Pattern::all(GraphPattern::Any)).enumerate() {
            snapshot.with_quad(quad, |quad| hash.add_quad(quad));
            if number % 10_000 == 0 && !each() {
                return None;
            }
        }
        for graph in snapshot.named_graphs() {
            let name = snapshot.term(graph);
            hash.line(format_args!("# graph {name}"), true);
            hash.named_graph_count += 1;
        }
        Some(hash)
    }

    /// Goes on with a change.
    pub(super) fn change(&mut self, change: &Change) {
        match change {
            Change::Insert(quad) => self.add_quad(quad.as_ref()),
            Change::Remove(quad) => {
                self.line(format_args!("{quad} ."), false);
                self.quad_count = self.quad_count.wrapping_sub(1);
            }
            Change::CreateGraph(graph) => {
                self.graph(graph.as_ref(), true);
                self.named_graph_count += 1;
            }
            Change::DropGraph(graph) => {
                self.graph(graph.as_ref(), false);
                self.named_graph_count = self.named_graph_count.wrapping_sub(1);
            }
        }
    }

    pub(super) fn to_hex(&self) -> String {
        self.sum.iter().rev().fold(String::new(), |mut hex, limb| {
            // Never fails on a string.
            let _ = write!(hex, "{limb:016x}");
            hex
        })
    }

    fn add_quad(&mut self, quad: QuadRef<'_>) {
        self.line(format_args!("{quad} ."), true);
        self.quad_count += 1;
    }

    fn graph(&mut self, graph: NamedOrBlankNodeRef<'_>, is_added: bool) {
        self.line(format_args!("# graph {graph}"), is_added);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>, is_added: bool) {
        self.line.clear();
        let _ = self.line.write_fmt(line);
        let digest: [u8; 32] = Sha256::digest(self.line.as_bytes()).into();
        let mut carry = false;
        for (limb, bytes) in self.sum.iter_mut().zip(digest.as_chunks::<8>().0) {
            let term = u64::from_le_bytes(*bytes);
            let (first, second);
            if is_added {
                (*limb, first) = limb.overflowing_add(term);
                (*limb, second) = limb.overflowing_add(u64::from(carry));
            } else {
                (*limb, first) = limb.overflowing_sub(term);
                (*limb, second) = limb.overflowing_sub(u64::from(carry));
            }
            carry = first || second;
        }
    }
}
