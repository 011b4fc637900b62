//! Places of patterns, and rows that a text gives.

use oxigraph::model::Variable;
use spargebra::term::{GroundTerm, NamedNodePattern, TermPattern, TriplePattern};

use super::{Input, Planner, scope};
use crate::sparql::{
    SparqlError,
    engine::{
        batch::UNBOUND,
        operator::Node,
        place::{Place, QuadPlaces},
        simple::Values,
        template,
    },
};

impl<'a> Planner<'_, 'a> {
    /// Returns the places of a triple pattern.
    pub(super) fn quad_places(&mut self, triple: &TriplePattern) -> Result<QuadPlaces, SparqlError> {
        Ok(QuadPlaces {
            parts: self.triple_places(triple)?,
            graph: self.graph,
        })
    }

    fn triple_places(&mut self, triple: &TriplePattern) -> Result<[Place; 3], SparqlError> {
        Ok([
            self.term_place(&triple.subject)?,
            self.name_place(&triple.predicate)?,
            self.term_place(&triple.object)?,
        ])
    }

    pub(super) fn term_place(&mut self, term: &TermPattern) -> Result<Place, SparqlError> {
        let terms = &self.context.terms;
        Ok(match term {
            TermPattern::NamedNode(node) => Place::Term(terms.intern(node.clone().into())?),
            TermPattern::Literal(literal) => Place::Term(terms.intern(literal.clone().into())?),
            TermPattern::BlankNode(node) => Place::Slot(self.slot(&scope::blank_node(node.as_str()))),
            TermPattern::Variable(variable) => Place::Slot(self.slot(variable)),
            TermPattern::Triple(triple) => Place::Triple(self.triple_places(triple)?.into()),
        })
    }

    fn name_place(&mut self, name: &NamedNodePattern) -> Result<Place, SparqlError> {
        Ok(match name {
            NamedNodePattern::NamedNode(node) => Place::Term(self.context.terms.intern(node.clone().into())?),
            NamedNodePattern::Variable(variable) => Place::Slot(self.slot(variable)),
        })
    }

    /// Plans a VALUES block.
    pub(super) fn values(
        &mut self,
        variables: &[Variable],
        bindings: &[Vec<Option<GroundTerm>>],
    ) -> Result<Input<'a>, SparqlError> {
        let slots: Vec<_> = variables.iter().map(|variable| self.slot(variable)).collect();
        let mut cells = Vec::with_capacity(slots.len() * bindings.len());
        for term in bindings.iter().flatten() {
            self.context.tick()?;
            cells.push(match term {
                None => UNBOUND,
                Some(term) => self.context.terms.intern(template::ground(term))?,
            });
        }
        let base = self.base.slots.iter().copied();
        let certain = slots
            .iter()
            .enumerate()
            .filter(|(index, _)| bindings.iter().all(|row| row[*index].is_some()))
            .map(|(_, &slot)| slot)
            .chain(base.clone())
            .collect();
        let possible = slots.iter().copied().chain(base).collect();
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let estimate = bindings.len() as f64;
        let values = Values::new(slots, cells, bindings.len(), self.base.clone());
        Ok(Input {
            node: Node::new(values, estimate),
            certain,
            possible,
            is_start: false,
        })
    }
}
