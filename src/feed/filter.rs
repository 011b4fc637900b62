//! Which changes a watcher wants.

use oxigraph::model::{GraphNameRef, NamedNode, NamedOrBlankNodeRef, QuadRef};
use rustc_hash::FxHashSet;

use crate::log::Change;

/// Which quads: each part that is empty is open, all others must fit.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The subject is one of these.
    pub subjects: FxHashSet<NamedNode>,
    /// The predicate is one of these.
    pub predicates: FxHashSet<NamedNode>,
    /// The graph is one of these, or the default graph where [`Self::default_graph`] says so.
    pub graphs: FxHashSet<NamedNode>,
    /// The default graph.
    pub default_graph: bool,
}

impl Filter {
    /// Tells whether a change passes. That a graph came to exist or was dropped passes where all of its quads would.
    pub fn passes(&self, change: &Change) -> bool {
        match change {
            Change::Remove(quad) | Change::Insert(quad) => self.passes_quad(quad.as_ref()),
            Change::DropGraph(graph) | Change::CreateGraph(graph) => {
                self.has_whole_graphs() && self.passes_graph(graph.as_ref().into())
            }
        }
    }

    /// Tells whether it asks for no subjects and no predicates.
    pub(super) fn has_whole_graphs(&self) -> bool {
        self.subjects.is_empty() && self.predicates.is_empty()
    }

    /// Tells whether it asks for no graphs.
    pub(super) fn has_all_graphs(&self) -> bool {
        self.graphs.is_empty() && !self.default_graph
    }

    fn passes_quad(&self, quad: QuadRef<'_>) -> bool {
        let has_subject = || match quad.subject {
            NamedOrBlankNodeRef::NamedNode(node) => self.subjects.contains(&node.into_owned()),
            NamedOrBlankNodeRef::BlankNode(_) => false,
        };
        (self.subjects.is_empty() || has_subject())
            && (self.predicates.is_empty() || self.predicates.contains(&quad.predicate.into_owned()))
            && self.passes_graph(quad.graph_name)
    }

    fn passes_graph(&self, graph: GraphNameRef<'_>) -> bool {
        self.has_all_graphs()
            || match graph {
                GraphNameRef::DefaultGraph => self.default_graph,
                GraphNameRef::NamedNode(node) => self.graphs.contains(&node.into_owned()),
                GraphNameRef::BlankNode(_) => false,
            }
    }
}
