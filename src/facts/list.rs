//! Pages of entities and of facts.

use oxigraph::model::Term;

use super::{Budget, Cursor, Reader, default_graph, past, record::TimeView, stated::Listing, walk::Wanted};
use crate::{
    graph::{Pattern, QuadIds, TermView},
    model::fact::{Basis, Entity, Fact, Stance, Standing},
};

/// A page of entities, without facts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EntityPage {
    /// The entities.
    pub entities: Vec<Entity>,
    /// Where the page ends, if there may be more.
    pub end: Option<Cursor>,
}

/// A page of facts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FactPage {
    /// The facts.
    pub facts: Vec<Fact>,
    /// Where the page ends, if there may be more.
    pub end: Option<Cursor>,
}

/// Which facts to list: parts that are `None` or empty are open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FactFilter {
    /// The IRI of the subject.
    pub subject: Option<String>,
    /// The IRI of the predicate.
    pub predicate: Option<String>,
    /// The object.
    pub object: Option<Term>,
    /// The IRI of a source that a supporting statement was taken from.
    pub source: Option<String>,
    /// Standings; `None` is one that is not stated.
    pub standings: Vec<Option<Standing>>,
    /// Stances; `None` is one that is not stated.
    pub stances: Vec<Option<Stance>>,
    /// What they rest on; `None` is not stated.
    pub bases: Vec<Option<Basis>>,
    /// The IRI of whom the content is attributed to.
    pub attributed_to: Option<String>,
    /// Whether the default graph says what holds then; source, scope and sole source are not looked at if it does.
    pub is_present: bool,
    /// Which facts.
    pub scope: Scope,
    /// Only facts that would cease to hold if the source were withdrawn; if more is listed than what holds, those that have no other
    /// source.
    pub is_sole_source: bool,
}

/// Which facts a list is of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Scope {
    /// Those that hold: statements, and plain triples that hold by none.
    #[default]
    Holding,
    /// All that is known and not retracted, and plain triples.
    Live,
    /// Retracted statements too.
    All,
}

impl Reader<'_> {
    /// Returns a page of entities, of one type (an IRI) or all.
    pub fn entities(
        &self,
        r#type: Option<&str>,
        languages: &[String],
        size: usize,
        after: Option<Cursor>,
        budget: &mut Budget,
    ) -> EntityPage {
        let pattern = match r#type.map(|iri| self.snapshot.iri_id(iri)) {
            None => default_graph(None, None, None),
            Some(Some(id)) => default_graph(None, Some(self.words.r#type), Some(id)),
            Some(None) => return EntityPage::default(),
        };
        let mut page = EntityPage::default();
        let mut after = after;
        // The next subject is a seek away, however many triples the last one has.
        while let Some(quad) =
            self.first_after(pattern, after.map(|cursor| past(pattern, cursor.quad().subject)))
        {
            let id = quad.subject;
            if page.entities.len() == size || (budget.is_spent() && after.is_some()) {
                page.end = after;
                break;
            }
            budget.step(2);
            if let TermView::Iri(iri) = self.snapshot.view(id) {
                page.entities.push(self.names(id, iri, languages, budget));
            }
            after = Some(Cursor::after_triple(quad));
        }
        page
    }

    /// Returns a page of facts in a view. A page may be shorter than `size`, and even empty, and yet not the last one.
    pub fn facts(
        &self,
        filter: &FactFilter,
        view: TimeView,
        size: usize,
        after: Option<Cursor>,
        budget: &mut Budget,
    ) -> FactPage {
        let Some((pattern, wanted)) = self.resolve(filter) else {
            return FactPage::default();
        };
        if !filter.is_present {
            let listing = Listing {
                pattern,
                wanted,
                view,
                scope: filter.scope,
                with_stated_nodes: filter.scope != Scope::Holding,
                is_sole_source: filter.is_sole_source,
            };
            return self.facts_at(&listing, size, after, budget);
        }
        let mut page = FactPage {
            facts: Vec::new(),
            end: after,
        };
        if self.walk_facts(pattern, wanted, view, size, &mut page, budget) {
            page.end = None;
        }
        page
    }

    /// Returns a filter as identifiers. `None` if the graph lacks one of its terms: nothing matches then.
    fn resolve(&self, filter: &FactFilter) -> Option<(Pattern, Wanted)> {
        let id = |iri: &Option<String>| match iri {
            None => Some(None),
            Some(iri) => self.snapshot.iri_id(iri).map(Some),
        };
        let object = match &filter.object {
            None => None,
            Some(term) => Some(self.snapshot.id(term.as_ref())?),
        };
        let pattern = default_graph(id(&filter.subject)?, id(&filter.predicate)?, object);
        let wanted = Wanted {
            without_names: false,
            source: id(&filter.source)?,
            standings: filter.standings.clone(),
            stances: filter.stances.clone(),
            bases: filter.bases.clone(),
            attributed_to: id(&filter.attributed_to)?,
            attributed_to_iri: filter.attributed_to.clone(),
        };
        Some((pattern, wanted))
    }

    fn first_after(&self, pattern: Pattern, after: Option<QuadIds>) -> Option<QuadIds> {
        match after {
            Some(after) => self.snapshot.quads_after(pattern, after).next(),
            None => self.snapshot.quads(pattern).next(),
        }
    }
}
