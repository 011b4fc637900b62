//! Which changes a watcher wants.

use std::sync::Arc;

use oxigraph::model::{GraphNameRef, NamedNode, NamedOrBlankNodeRef, QuadRef};
use rustc_hash::FxHashSet;

use crate::{
    facts::{FactChange, Origin},
    log::{Change, Counts, Header},
    model::access::{Access, GraphSet},
};

/// What a watcher gets of a commit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Output {
    /// The quads that it removed and inserted.
    #[default]
    Quads,
    /// The facts that it changed.
    Facts,
}

/// Which quads, or facts: each part that is empty is open, all others must fit.
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
    /// The subject, or the fact, was taken from one of these sources, before the commit or after it.
    pub sources: FxHashSet<NamedNode>,
    /// The subject is of one of these types, before the commit or after it.
    pub types: FxHashSet<NamedNode>,
}

impl Filter {
    /// Tells whether a change passes, as far as it says so itself. That a graph came to exist or was dropped passes where all of its quads would.
    pub fn passes(&self, change: &Change) -> bool {
        match change {
            Change::Remove(quad) | Change::Insert(quad) => self.passes_quad(quad.as_ref()),
            Change::DropGraph(graph) | Change::CreateGraph(graph) => {
                self.has_whole_graphs() && self.passes_graph(graph.as_ref().into())
            }
        }
    }

    /// Tells whether it asks for what only the graph says: sources or types.
    pub(super) fn has_origins(&self) -> bool {
        !self.sources.is_empty() || !self.types.is_empty()
    }

    /// Tells whether something of an origin passes.
    pub(super) fn passes_origin(&self, origin: &Origin) -> bool {
        let has_any = |wanted: &FxHashSet<NamedNode>, found: &[String]| {
            wanted.is_empty()
                || wanted
                    .iter()
                    .any(|node| found.iter().any(|iri| iri == node.as_str()))
        };
        has_any(&self.sources, &origin.sources) && has_any(&self.types, &origin.types)
    }

    /// Tells whether a fact passes; graphs are not looked at.
    pub(super) fn passes_fact(&self, change: &FactChange) -> bool {
        let fact = &change.fact;
        (self.subjects.is_empty() || self.has_subject(fact.subject.as_ref()))
            && (self.predicates.is_empty() || self.predicates.contains(&fact.predicate))
            && self.passes_origin(&change.origin)
    }

    /// Tells whether it asks for whole graphs.
    pub(super) fn has_whole_graphs(&self) -> bool {
        self.subjects.is_empty() && self.predicates.is_empty() && !self.has_origins()
    }

    /// Tells whether it asks for no graphs.
    pub(super) fn has_all_graphs(&self) -> bool {
        self.graphs.is_empty() && !self.default_graph
    }

    fn has_subject(&self, subject: NamedOrBlankNodeRef<'_>) -> bool {
        match subject {
            NamedOrBlankNodeRef::NamedNode(node) => self.subjects.contains(&node.into_owned()),
            NamedOrBlankNodeRef::BlankNode(_) => false,
        }
    }

    fn passes_quad(&self, quad: QuadRef<'_>) -> bool {
        (self.subjects.is_empty() || self.has_subject(quad.subject))
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

/// What a reader may read of the log.
#[derive(Clone, Debug)]
pub(super) struct Sight(pub(super) Arc<GraphSet>);

impl Sight {
    /// Returns what a caller may read of what it wants. Facts, sources and types are all in the default graph: who may not
    /// read that wants what is not there.
    pub(super) fn of(access: &Access, filter: Filter, output: Output) -> (Self, Filter, Output) {
        let wants_default = output == Output::Facts || filter.has_origins();
        if wants_default && !access.reads().has_default() {
            return (Self(Arc::default()), Filter::default(), Output::Quads);
        }
        (Self(Arc::clone(access.reads())), filter, output)
    }

    /// Tells whether a change may be read.
    pub(super) fn has(&self, change: &Change) -> bool {
        self.0.is_everything()
            || match change {
                Change::Remove(quad) | Change::Insert(quad) => self.0.has(quad.graph_name.as_ref()),
                Change::DropGraph(graph) | Change::CreateGraph(graph) => self.0.has(graph.as_ref().into()),
            }
    }

    /// Returns what is told of a commit: counts and sizes, its request id, and that something was
    /// erased from it, only to whoever may read all of it.
    ///
    /// The hash is told to all. It is of the rest of the header too, but nobody can find that out by guessing: it is also of the payload's
    /// hash, and so of random bytes that no answer has.
    pub(super) fn header(&self, header: &Header) -> Header {
        if self.0.is_everything() {
            return header.clone();
        }
        Header {
            revision: header.revision,
            time_us: header.time_us,
            author: header.author.clone(),
            message: header.message.clone(),
            request_id: None,
            counts: Counts::default(),
            payload_bytes: 0,
            text_bytes: 0,
            payload_digest: [0; 32],
            previous: [0; 32],
            digest: header.digest,
            is_redacted: false,
        }
    }
}
