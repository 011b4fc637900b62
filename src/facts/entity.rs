//! One entity.

use super::{
    Budget, Cursor, Reader, default_graph,
    walk::{Step, Walk, Wanted},
};
use crate::{
    graph::{TermId, TermView},
    model::{
        fact::{Entity, Text},
        language,
    },
};

impl Reader<'_> {
    /// Returns an entity with a page of up to `size` facts and where the page ends, if there are more. `None` if no triple
    /// of the default graph has the IRI as subject.
    ///
    /// Labels and aliases are those in one of the language ranges (all, if there are none) and those without a language.
    pub fn entity(
        &self,
        iri: &str,
        languages: &[String],
        size: usize,
        after: Option<Cursor>,
        budget: &mut Budget,
    ) -> Option<(Entity, Option<Cursor>)> {
        let id = self.snapshot.iri_id(iri)?;
        let pattern = default_graph(Some(id), None, None);
        self.snapshot.quads(pattern).next()?;
        let mut entity = self.names(id, iri, languages, budget);
        let wanted = Wanted {
            without_names: true,
            ..Wanted::default()
        };
        let mut walk = Walk::new(*self, pattern, wanted, after);
        let mut last = after;
        loop {
            match walk.next(budget) {
                Step::End => return Some((entity, None)),
                Step::Spent(cursor) => return Some((entity, Some(cursor))),
                Step::Fact(..) if entity.facts.len() == size => return Some((entity, last)),
                Step::Fact(fact, cursor) => {
                    entity.facts.push(*fact);
                    last = Some(cursor);
                }
            }
        }
    }

    /// Returns an entity without facts.
    pub(super) fn names(&self, id: TermId, iri: &str, languages: &[String], budget: &mut Budget) -> Entity {
        budget.text(iri.len());
        Entity {
            iri: iri.to_owned(),
            labels: self.texts(id, self.words.label, languages, budget),
            aliases: self.texts(id, self.words.alt_label, languages, budget),
            types: self
                .snapshot
                .quads(default_graph(Some(id), Some(self.words.r#type), None))
                .filter_map(|quad| {
                    budget.step(1);
                    self.node_text(quad.object)
                })
                .collect(),
            facts: Vec::new(),
        }
    }

    fn texts(&self, id: TermId, property: TermId, languages: &[String], budget: &mut Budget) -> Vec<Text> {
        let quads = self.snapshot.quads(default_graph(Some(id), Some(property), None));
        let texts = quads.filter_map(|quad| {
            budget.step(1);
            let (text, language) = match self.snapshot.view(quad.object) {
                TermView::String(value) | TermView::Typed { value, .. } => (value, ""),
                TermView::Language { value, language, .. } => (value, language),
                _ => return None,
            };
            let is_wanted = language.is_empty()
                || languages.is_empty()
                || languages.iter().any(|range| language::in_range(language, range));
            budget.text(if is_wanted { text.len() } else { 0 });
            is_wanted.then(|| Text {
                text: text.to_owned(),
                language: language.to_owned(),
            })
        });
        texts.collect()
    }
}
