//! One entity.

use super::{
    Budget, Cursor, FactPage, Part, Reader, Scope, TimeView, default_graph, group::Groups, stated::Listing,
    walk::Wanted,
};
use crate::{
    graph::{Pattern, QuadIds, TermId, TermView},
    model::{
        fact::{Entity, Text},
        language,
    },
};

/// What is asked of an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityQuery {
    /// Language ranges of labels and aliases; empty: all.
    pub languages: Vec<String>,
    /// The time to read at.
    pub view: TimeView,
    /// Whether the default graph says what holds then.
    pub is_present: bool,
    /// Which facts; what is more than those that hold is not in the default graph.
    pub scope: Scope,
    /// How many facts at most. `None`: no facts, and no work for them.
    pub size: Option<usize>,
    /// Languages of the labels in facts, by preference; empty: no labels.
    pub label_languages: Vec<String>,
}

impl EntityQuery {
    /// Returns the list of the facts about the entity, which a pattern matches.
    fn listing(&self, pattern: Pattern) -> Listing {
        Listing {
            pattern,
            wanted: Wanted {
                without_names: true,
                ..Wanted::default()
            },
            view: self.view,
            scope: self.scope,
            with_stated_nodes: true,
            is_sole_source: false,
        }
    }
}

impl Reader<'_> {
    /// Returns an entity with a page of facts and where the page ends, if there are more. `None` if no triple of the default
    /// graph has the IRI as subject, nor a statement, nor is it an event, a claim or an observation among the statements.
    ///
    /// Labels and aliases are those in one of the languages and those without a language.
    pub fn entity(
        &self,
        iri: &str,
        query: &EntityQuery,
        after: Option<Cursor>,
        budget: &mut Budget,
    ) -> Option<(Entity, Option<Cursor>)> {
        let id = self.snapshot.iri_id(iri)?;
        let (mut entity, end) = if query.is_present && query.scope == Scope::Holding {
            self.present_entity(id, iri, query, after, budget)?
        } else {
            self.entity_at(id, iri, query, after, budget)?
        };
        self.add_labels(&mut entity.facts, &query.label_languages, budget);
        Some((entity, end))
    }

    fn present_entity(
        &self,
        id: TermId,
        iri: &str,
        query: &EntityQuery,
        after: Option<Cursor>,
        budget: &mut Budget,
    ) -> Option<(Entity, Option<Cursor>)> {
        let pattern = default_graph(Some(id), None, None);
        let is_stated = self.is_stated_node(id);
        if self.snapshot.count(pattern) == 0 && !is_stated && !self.is_spoken_of(id) {
            return None;
        }
        let mut entity = self.names(id, iri, &query.languages, budget);
        if is_stated {
            self.stated_names(&mut entity, id, &query.languages, budget);
        }
        let Some(size) = query.size else {
            return Some((entity, None));
        };
        let listing = query.listing(pattern);
        let mut page = FactPage {
            facts: Vec::new(),
            end: after,
        };
        let is_done = after.is_some_and(|cursor| cursor.part != Part::Triples)
            || self.walk_facts(
                pattern,
                listing.wanted.clone(),
                query.view,
                size,
                &mut page,
                budget,
            );
        if is_done && (!is_stated || self.node_facts(&listing, Part::StatedNodes, size, &mut page, budget)) {
            page.end = None;
        }
        entity.facts = page.facts;
        Some((entity, page.end))
    }

    fn entity_at(
        &self,
        id: TermId,
        iri: &str,
        query: &EntityQuery,
        after: Option<Cursor>,
        budget: &mut Budget,
    ) -> Option<(Entity, Option<Cursor>)> {
        let pattern = default_graph(Some(id), None, None);
        let is_stated = self.is_stated_node(id);
        if self.snapshot.count(pattern) == 0 && !is_stated && !self.is_spoken_of(id) {
            return None;
        }
        let mut entity = Entity {
            iri: iri.to_owned(),
            ..Entity::default()
        };
        let mut groups = Groups::new(*self, query.view, None);
        for object in self.objects_at(&mut groups, [id, self.words.label], budget) {
            entity.labels.extend(self.text(object, &query.languages, budget));
        }
        for object in self.objects_at(&mut groups, [id, self.words.alt_label], budget) {
            entity.aliases.extend(self.text(object, &query.languages, budget));
        }
        for object in self.objects_at(&mut groups, [id, self.words.r#type], budget) {
            entity.types.extend(self.node_text(object));
        }
        if is_stated {
            self.stated_names(&mut entity, id, &query.languages, budget);
        }
        let Some(size) = query.size else {
            return Some((entity, None));
        };
        let listing = query.listing(pattern);
        let page = self.facts_at(&listing, size, after, budget);
        entity.facts = page.facts;
        Some((entity, page.end))
    }

    /// Tells whether a statement has something as subject.
    fn is_spoken_of(&self, id: TermId) -> bool {
        self.has_any(self.in_statements(None, Some(self.words.subject), Some(id)))
    }

    /// Returns an entity without facts.
    pub(super) fn names(&self, id: TermId, iri: &str, languages: &[String], budget: &mut Budget) -> Entity {
        budget.text(iri.len());
        let mut entity = Entity {
            iri: iri.to_owned(),
            ..Entity::default()
        };
        let names = [self.words.label, self.words.alt_label, self.words.r#type];
        self.with_properties(default_graph(Some(id), None, None), names, |_, quad| {
            self.take_name(&mut entity, quad, languages, budget);
        });
        entity
    }

    /// Adds the names that a node has among the statements.
    fn stated_names(&self, entity: &mut Entity, node: TermId, languages: &[String], budget: &mut Budget) {
        for quad in self.statement_quads(node) {
            self.take_name(entity, quad, languages, budget);
        }
    }

    fn take_name(&self, entity: &mut Entity, quad: QuadIds, languages: &[String], budget: &mut Budget) {
        budget.step(1);
        if quad.predicate == self.words.label {
            entity.labels.extend(self.text(quad.object, languages, budget));
        } else if quad.predicate == self.words.alt_label {
            entity.aliases.extend(self.text(quad.object, languages, budget));
        } else if quad.predicate == self.words.r#type {
            entity.types.extend(self.node_text(quad.object));
        }
    }

    /// Returns the labels of a term.
    pub(super) fn labels(&self, id: TermId, languages: &[String], budget: &mut Budget) -> Vec<Text> {
        let labels = self
            .snapshot
            .quads(default_graph(Some(id), Some(self.words.label), None));
        let mut take = |quad: QuadIds| {
            budget.step(1);
            self.text(quad.object, languages, budget)
        };
        labels.filter_map(&mut take).collect()
    }

    /// Returns a label or alias, if it is a text in one of the languages.
    fn text(&self, id: TermId, languages: &[String], budget: &mut Budget) -> Option<Text> {
        let (text, language) = match self.snapshot.view(id) {
            TermView::String(value) | TermView::Typed { value, .. } => (value, ""),
            TermView::Language { value, language, .. } => (value, language),
            TermView::Iri(_) | TermView::BlankNode(_) | TermView::Triple { .. } => return None,
        };
        let is_wanted = language.is_empty()
            || languages.is_empty()
            || languages.iter().any(|range| language::in_range(language, range));
        budget.text(if is_wanted { text.len() } else { 0 });
        is_wanted.then(|| Text {
            text: text.to_owned(),
            language: language.to_owned(),
        })
    }
}
