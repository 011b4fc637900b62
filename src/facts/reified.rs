//! Statement nodes as RDF 1.2 writes them.

use oxigraph::model::{NamedNode, NamedOrBlankNode, Quad, Term, Triple};

use crate::{
    graph::{GraphPattern, Pattern, QuadIds, Snapshot, TermId},
    model::vocabulary,
};

/// Writes statement nodes as reifiers: `s:1 rdf:reifies <<( s p o )>>` in the place of `rdf:subject`, `rdf:predicate` and
/// `rdf:object`. What is imported that way becomes the same statement nodes.
#[derive(Clone, Copy, Debug)]
pub struct Reified<'a> {
    snapshot: &'a Snapshot,
    /// The graph of statements, and the three properties. `None` if the graph has none of them.
    words: Option<(TermId, [TermId; 3])>,
}

impl<'a> Reified<'a> {
    /// Writes what is in a snapshot.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let word = |iri| snapshot.iri_id(iri);
        let words = || {
            let properties = [
                word(vocabulary::SUBJECT)?,
                word(vocabulary::PREDICATE)?,
                word(vocabulary::OBJECT)?,
            ];
            Some((word(vocabulary::STATEMENTS)?, properties))
        };
        Self {
            snapshot,
            words: words(),
        }
    }

    /// Returns what is written for a quad: nothing for the second and third part of a statement's triple.
    pub fn quad(&self, ids: QuadIds) -> Option<Quad> {
        let quad = self.snapshot.quad(ids);
        let Some((statements, properties)) = self.words else {
            return Some(quad);
        };
        if ids.graph != statements || !properties.contains(&ids.predicate) {
            return Some(quad);
        }
        let Some(triple) = self.triple(ids.subject) else {
            return Some(quad);
        };
        (ids.predicate == properties[0]).then(|| Quad {
            predicate: NamedNode::new_unchecked(vocabulary::REIFIES),
            object: triple.into(),
            ..quad
        })
    }

    /// Returns the triple of a statement; `None` if it is not just one.
    fn triple(&self, statement: TermId) -> Option<Triple> {
        let (statements, [subject, predicate, object]) = self.words?;
        let only = |property| {
            let mut quads = self.snapshot.quads(Pattern {
                subject: Some(statement),
                predicate: Some(property),
                object: None,
                graph: GraphPattern::Named(statements),
            });
            let first = quads.next()?;
            quads.next().is_none().then(|| self.snapshot.term(first.object))
        };
        let subject = NamedOrBlankNode::try_from(only(subject)?).ok()?;
        let Term::NamedNode(predicate) = only(predicate)? else {
            return None;
        };
        Some(Triple::new(subject, predicate, only(object)?))
    }
}
