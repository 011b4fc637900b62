//! Entities by an identifier, such as a country by its code.

use oxigraph::model::Term;

use super::{Budget, Reader, default_graph};
use crate::{
    graph::{TermId, TermView},
    model::fact::Entity,
};

/// Entities that are listed for one identifier.
pub const MATCH_COUNT_MAX: usize = 100;

/// An identifier to look up.
#[derive(Clone, Debug, PartialEq)]
pub struct Identifier {
    /// The identifier, exactly as it is recorded.
    pub value: Term,
    /// The IRI of the property that has it. `None`: `schema:identifier` and each of its subproperties.
    pub property: Option<String>,
}

/// The entities that have an identifier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identified {
    /// The entities, without facts, each with the IRI of the property that has the identifier; [`MATCH_COUNT_MAX`] at most.
    pub matches: Vec<(Entity, String)>,
    /// Whether there may be others: there are too many, or there was no more room or time for them.
    pub has_more: bool,
}

impl Reader<'_> {
    /// Returns the entities that have identifiers, in the order asked.
    pub fn identified(
        &self,
        identifiers: &[Identifier],
        languages: &[String],
        budget: &mut Budget,
    ) -> Vec<Identified> {
        // One look for all of them, however many subproperties somebody has recorded.
        let any = if identifiers.iter().any(|identifier| identifier.property.is_none()) {
            self.identifying(budget)
        } else {
            Vec::new()
        };
        let each = |identifier: &Identifier| match &identifier.property {
            Some(property) => {
                let property = self.snapshot.iri_id(property);
                self.with_identifier(&identifier.value, property.as_slice(), languages, budget)
            }
            None => self.with_identifier(&identifier.value, &any, languages, budget),
        };
        identifiers.iter().map(each).collect()
    }

    fn with_identifier(
        &self,
        value: &Term,
        properties: &[TermId],
        languages: &[String],
        budget: &mut Budget,
    ) -> Identified {
        let mut found = Identified::default();
        budget.step(1);
        let Some(value) = self.snapshot.id(value.as_ref()) else {
            return found;
        };
        for &property in properties {
            budget.step(1);
            for quad in self
                .snapshot
                .quads(default_graph(None, Some(property), Some(value)))
            {
                if found.matches.len() == MATCH_COUNT_MAX || budget.is_spent() {
                    found.has_more = true;
                    return found;
                }
                budget.step(1);
                if let (TermView::Iri(iri), Some(property)) =
                    (self.snapshot.view(quad.subject), self.node_text(property))
                {
                    let entity = self.names(quad.subject, iri, languages, budget);
                    found.matches.push((entity, property));
                }
            }
            if budget.is_spent() {
                found.has_more = true;
                return found;
            }
        }
        found
    }

    /// Returns the properties that identify, by their identifiers.
    fn identifying(&self, budget: &mut Budget) -> Vec<TermId> {
        let words = &self.words;
        let pattern = default_graph(None, Some(words.sub_property_of), Some(words.identifier));
        let mut properties = vec![words.identifier];
        for quad in self.snapshot.quads(pattern) {
            if budget.is_spent() {
                break;
            }
            budget.step(1);
            properties.push(quad.subject);
        }
        properties.sort_unstable();
        properties.dedup();
        properties
    }
}
