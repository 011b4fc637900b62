//! What the graph says already.

use oxigraph::model::NamedNode;

use super::Fault;
use crate::{
    facts::{default_graph, statement::unix_time},
    graph::{GraphPattern, Pattern, QuadIds, Snapshot, TermId, TermView},
    model::{fact::UnixTime, vocabulary},
};

/// The graph that a write meets.
pub(super) struct State<'a> {
    pub(super) snapshot: &'a Snapshot,
    statements: Option<TermId>,
    sources: Option<TermId>,
    subject: Option<TermId>,
    predicate: Option<TermId>,
    invalidated_at: Option<TermId>,
}

impl<'a> State<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            statements: snapshot.iri_id(vocabulary::STATEMENTS),
            sources: snapshot.iri_id(vocabulary::SOURCES),
            subject: snapshot.iri_id(vocabulary::SUBJECT),
            predicate: snapshot.iri_id(vocabulary::PREDICATE),
            invalidated_at: snapshot.iri_id(vocabulary::INVALIDATED_AT),
        }
    }

    /// Tells whether a statement, live or not, has this IRI.
    pub(super) fn is_statement(&self, id: &NamedNode) -> bool {
        self.has(self.statements, id, self.subject)
    }

    /// Tells whether an IRI is that of an entity or an event: the default graph has its class or its standing.
    pub(super) fn is_other_node(&self, id: &NamedNode) -> bool {
        let Some(subject) = self.snapshot.iri_id(id.as_str()) else {
            return false;
        };
        [vocabulary::TYPE, vocabulary::STANDING]
            .into_iter()
            .any(|property| {
                let property = self.snapshot.iri_id(property);
                property.is_some_and(|property| {
                    self.snapshot
                        .count(default_graph(Some(subject), Some(property), None))
                        > 0
                })
            })
    }

    /// Tells whether a statement has a subject and a predicate.
    pub(super) fn is_about(&self, id: &NamedNode, triple: [&NamedNode; 2]) -> bool {
        let parts = [self.subject, self.predicate].into_iter().zip(triple);
        parts.into_iter().all(|(property, iri)| {
            let value = self.snapshot.iri_id(iri.as_str());
            property.zip(value).is_some_and(|(property, value)| {
                let is_it = |quad: QuadIds| quad.predicate == property && quad.object == value;
                self.statement(id).any(is_it)
            })
        })
    }

    pub(super) fn is_retracted(&self, id: &NamedNode) -> bool {
        self.has(self.statements, id, self.invalidated_at)
    }

    /// Tells whether the source is described.
    pub(super) fn is_source(&self, iri: &NamedNode) -> bool {
        let pattern = self
            .sources
            .zip(self.snapshot.iri_id(iri.as_str()))
            .map(|(graph, subject)| pattern(graph, subject, None));
        pattern.is_some_and(|pattern| self.snapshot.count(pattern) > 0)
    }

    pub(super) fn check_live(&self, id: &NamedNode) -> Result<(), Fault> {
        let iri = || id.as_str().to_owned();
        if !self.is_statement(id) {
            return Err(Fault::NotFound { id: iri() });
        }
        if self.is_retracted(id) {
            return Err(Fault::Retracted { id: iri() });
        }
        Ok(())
    }

    /// Returns when a statement was recorded, if it tells.
    pub(super) fn recorded_at(&self, id: &NamedNode) -> Option<UnixTime> {
        let generated_at = self.snapshot.iri_id(vocabulary::GENERATED_AT)?;
        let recorded = self.statement(id).find(|quad| quad.predicate == generated_at)?;
        match self.snapshot.view(recorded.object) {
            TermView::Typed { value, .. } => unix_time(value),
            _ => None,
        }
    }

    /// Iterates over the quads of a statement node.
    pub(super) fn statement(&self, id: &NamedNode) -> impl Iterator<Item = QuadIds> + '_ {
        let pattern = self
            .statements
            .zip(self.snapshot.iri_id(id.as_str()))
            .map(|(graph, subject)| pattern(graph, subject, None));
        pattern
            .into_iter()
            .flat_map(|pattern| self.snapshot.quads(pattern))
    }

    fn has(&self, graph: Option<TermId>, subject: &NamedNode, predicate: Option<TermId>) -> bool {
        let (Some(graph), Some(subject), Some(_)) =
            (graph, self.snapshot.iri_id(subject.as_str()), predicate)
        else {
            return false;
        };
        self.snapshot.count(pattern(graph, subject, predicate)) > 0
    }
}

const fn pattern(graph: TermId, subject: TermId, predicate: Option<TermId>) -> Pattern {
    Pattern {
        subject: Some(subject),
        predicate,
        object: None,
        graph: GraphPattern::Named(graph),
    }
}
