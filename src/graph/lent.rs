//! Quads with their terms as the dictionary holds them, not copied.

use oxigraph::model::{BlankNodeRef, GraphNameRef, NamedNodeRef, NamedOrBlankNodeRef, QuadRef, Term};

use super::{QuadIds, Snapshot, TermId, TermView};

impl Snapshot {
    /// Lends a quad with its terms. Only a triple term is copied.
    pub fn with_quad<T>(&self, quad: QuadIds, take: impl FnOnce(QuadRef<'_>) -> T) -> T {
        let triple: Term;
        let object = if let Some(object) = self.view(quad.object).to_simple_term() {
            object
        } else {
            triple = self.term(quad.object);
            triple.as_ref()
        };
        take(QuadRef {
            subject: self.node_ref(quad.subject),
            predicate: self.iri_ref(quad.predicate),
            object,
            graph_name: match quad.graph {
                TermId::DEFAULT_GRAPH => GraphNameRef::DefaultGraph,
                graph => self.node_ref(graph).into(),
            },
        })
    }

    /// Returns a subject or graph name.
    pub(super) fn node_ref(&self, id: TermId) -> NamedOrBlankNodeRef<'_> {
        match self.view(id) {
            TermView::BlankNode(label) => BlankNodeRef::new_unchecked(label).into(),
            _ => self.iri_ref(id).into(),
        }
    }

    pub(super) fn iri_ref(&self, id: TermId) -> NamedNodeRef<'_> {
        let (terms, index) = self.place(id.0);
        NamedNodeRef::new_unchecked(terms.text(index))
    }
}
