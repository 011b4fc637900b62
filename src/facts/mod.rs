//! Facts: reads entities and facts, with the statements that support them, out of a snapshot.
//!
//! Only identifiers are compared; terms are copied out once a fact is to be answered. Every read works within a
//! [`Budget`], so that a page is a bounded piece of work whatever the graph holds.

mod budget;
mod changes;
mod check;
mod compare;
mod conflicts;
mod data_set;
pub mod derive;
mod entity;
mod group;
mod history;
mod holding;
mod identifier;
mod inherit;
mod label;
mod list;
mod moment;
mod node;
mod opposed;
mod record;
mod reified;
mod schema;
mod stated;
mod statement;
mod support;
#[cfg(test)]
mod tests;
mod time;
mod timeline;
mod walk;
mod whole;
mod words;
pub mod write;

use crate::graph::{GraphPattern, Pattern, QuadIds, Snapshot, TermId};

pub use budget::Budget;
pub use changes::{AllFacts, FactChange, FactChangeKind, FactChanges, Origin, Transition};
pub use check::Checked;
pub use compare::{Comparison, ObjectGroup};
pub use conflicts::{Conflict, ConflictFilter, ConflictPage, Sign};
pub use derive::{ModelError, StatementFault, reference_day};
pub use entity::EntityQuery;
pub use history::Versions;
pub use identifier::{Identified, Identifier, MATCH_COUNT_MAX};
pub use list::{EntityPage, FactFilter, FactPage, Scope};
pub use moment::{Moment, MomentKind, Span, TimelinePage};
pub use record::TimeView;
pub use reified::Reified;
pub use schema::{SchemaPage, SchemaTerm};
pub use whole::document;
pub use words::Lookup;

use words::Words;

/// Where a page ends: the next one begins right after it. Means something only within one [`Reader::epoch`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cursor {
    /// Subject, predicate and object of the last triple, as identifiers.
    pub triple: [u32; 3],
    /// The last statement about that triple; `u32::MAX` once the triple is done with.
    pub statement: u32,
    /// Whether a statement that supports the triple was seen.
    pub is_supported: bool,
    /// Which part of the list the pages have come to.
    pub part: Part,
}

/// The parts of a list, in their order.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// Triples of the default graph.
    #[default]
    Triples,
    /// Triples of the default graph about nodes with a standing, where plain ones are not wanted.
    Nodes,
    /// What is said among the statements about nodes with a standing.
    StatedNodes,
    /// Statements. The cursor's triple is a quad of their graph.
    Statements,
}

impl Cursor {
    fn after_triple(quad: QuadIds) -> Self {
        Self::within(quad, TermId::MAX, false)
    }

    fn within(quad: QuadIds, statement: TermId, is_supported: bool) -> Self {
        Self {
            triple: [quad.subject.get(), quad.predicate.get(), quad.object.get()],
            statement: statement.get(),
            is_supported,
            part: Part::Triples,
        }
    }

    fn quad(self) -> QuadIds {
        let [subject, predicate, object] = self.triple.map(TermId::new);
        QuadIds {
            subject,
            predicate,
            object,
            graph: TermId::DEFAULT_GRAPH,
        }
    }
}

/// Reads facts from one snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    snapshot: &'a Snapshot,
    words: Words,
}

impl Reader<'_> {
    /// Returns the epoch that cursors belong to.
    pub fn epoch(&self) -> u64 {
        self.snapshot.epoch()
    }
}

const fn default_graph(
    subject: Option<TermId>,
    predicate: Option<TermId>,
    object: Option<TermId>,
) -> Pattern {
    Pattern {
        subject,
        predicate,
        object,
        graph: GraphPattern::Default,
    }
}

/// Returns what comes after all quads of a subject, in the order of a pattern whose open parts end with the subject, or
/// begin with it.
fn past(pattern: Pattern, subject: TermId) -> QuadIds {
    QuadIds {
        subject,
        predicate: pattern.predicate.unwrap_or(TermId::MAX),
        object: pattern.object.unwrap_or(TermId::MAX),
        graph: match pattern.graph {
            GraphPattern::Named(graph) => graph,
            _ => TermId::DEFAULT_GRAPH,
        },
    }
}
