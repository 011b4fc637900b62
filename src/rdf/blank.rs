//! Blank nodes of a document get labels of their own, which only its salt and their labels make.

use oxigraph::model::{BlankNode, GraphName, NamedOrBlankNode, Quad, Term, Triple};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Returns the node for a label in a document of some salt.
pub(super) fn node(label: &str, salt: u64) -> BlankNode {
    BlankNode::new_from_unique_id(xxh3_128_with_seed(label.as_bytes(), salt))
}

/// Returns a quad with all blank nodes relabelled.
pub(super) fn relabelled(mut quad: Quad, salt: u64) -> Quad {
    if let NamedOrBlankNode::BlankNode(old) = &quad.subject {
        quad.subject = node(old.as_str(), salt).into();
    }
    if let GraphName::BlankNode(old) = &quad.graph_name {
        quad.graph_name = node(old.as_str(), salt).into();
    }
    relabel(&mut quad.object, salt);
    quad
}

fn relabel(term: &mut Term, salt: u64) {
    match term {
        Term::BlankNode(old) => *old = node(old.as_str(), salt),
        Term::Triple(triple) => relabel_triple(triple, salt),
        Term::NamedNode(_) | Term::Literal(_) => {}
    }
}

/// As deep as the guard lets documents nest.
fn relabel_triple(triple: &mut Triple, salt: u64) {
    if let NamedOrBlankNode::BlankNode(old) = &triple.subject {
        triple.subject = node(old.as_str(), salt).into();
    }
    relabel(&mut triple.object, salt);
}
