//! Entities by an identifier, such as a country by its code.

use oxigraph::model::LiteralRef;

use super::{Budget, Cursor, Reader, default_graph};
use crate::{
    graph::{TermId, TermView},
    model::fact::Entity,
};

/// A page of entities with an identifier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IdentifierPage {
    /// The entities, without facts, each with the IRI of the property that has the identifier.
    pub entities: Vec<(Entity, String)>,
    /// Where the page ends, if there may be more.
    pub end: Option<Cursor>,
}

impl Reader<'_> {
    /// Returns a page of the entities that have an identifier, by a property or by any that is a subproperty of
    /// `schema:identifier`.
    pub fn identified(
        &self,
        value: &str,
        property: Option<&str>,
        languages: &[String],
        size: usize,
        after: Option<Cursor>,
        budget: &mut Budget,
    ) -> IdentifierPage {
        let mut page = IdentifierPage {
            entities: Vec::new(),
            end: after,
        };
        let Some(value) = self.snapshot.id(LiteralRef::new_simple_literal(value).into()) else {
            return IdentifierPage::default();
        };
        for property in self.identifying(property) {
            let pattern = default_graph(None, Some(property), Some(value));
            let quads = match after {
                Some(cursor) if cursor.quad().predicate > property => continue,
                Some(cursor) if cursor.quad().predicate == property => {
                    self.snapshot.quads_after(pattern, cursor.quad())
                }
                _ => self.snapshot.quads(pattern),
            };
            for quad in quads {
                if page.entities.len() == size || (budget.is_spent() && !page.entities.is_empty()) {
                    return page;
                }
                budget.step(2);
                if let (TermView::Iri(iri), Some(property)) =
                    (self.snapshot.view(quad.subject), self.node_text(property))
                {
                    let entity = self.names(quad.subject, iri, languages, budget);
                    page.entities.push((entity, property));
                }
                page.end = Some(Cursor::after_triple(quad));
            }
        }
        page.end = None;
        page
    }

    /// Returns the properties to look at, by their identifiers.
    fn identifying(&self, property: Option<&str>) -> Vec<TermId> {
        if let Some(property) = property {
            return self.snapshot.iri_id(property).into_iter().collect();
        }
        let words = &self.words;
        let pattern = default_graph(None, Some(words.sub_property_of), Some(words.identifier));
        let mut properties: Vec<_> = self.snapshot.quads(pattern).map(|quad| quad.subject).collect();
        properties.push(words.identifier);
        properties.sort_unstable();
        properties.dedup();
        properties
    }
}
