//! How many bytes the text of changes takes, about.

use oxigraph::model::{GraphNameRef, NamedOrBlankNodeRef, Quad, Term};

use crate::log::Change;

/// Returns the bytes of all texts in a change.
pub(super) fn change_bytes(change: &Change) -> usize {
    match change {
        Change::Remove(quad) | Change::Insert(quad) => quad_bytes(quad),
        Change::DropGraph(graph) | Change::CreateGraph(graph) => node_bytes(graph.as_ref()),
    }
}

pub(super) fn quad_bytes(quad: &Quad) -> usize {
    let graph = match quad.graph_name.as_ref() {
        GraphNameRef::DefaultGraph => 0,
        GraphNameRef::NamedNode(node) => node.as_str().len(),
        GraphNameRef::BlankNode(node) => node.as_str().len(),
    };
    node_bytes(quad.subject.as_ref()) + quad.predicate.as_str().len() + term_bytes(&quad.object) + graph
}

pub(super) fn node_bytes(node: NamedOrBlankNodeRef<'_>) -> usize {
    match node {
        NamedOrBlankNodeRef::NamedNode(node) => node.as_str().len(),
        NamedOrBlankNodeRef::BlankNode(node) => node.as_str().len(),
    }
}

fn term_bytes(term: &Term) -> usize {
    match term {
        Term::NamedNode(node) => node.as_str().len(),
        Term::BlankNode(node) => node.as_str().len(),
        Term::Literal(literal) => {
            let language = literal.language().map_or(0, str::len);
            literal.value().len() + literal.datatype().as_str().len() + language
        }
        Term::Triple(triple) => {
            let subject = node_bytes(triple.subject.as_ref());
            subject + triple.predicate.as_str().len() + term_bytes(&triple.object)
        }
    }
}
