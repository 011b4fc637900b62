//! Lists facts about nodes with a standing of their own: events, claims and observations.
//!
//! Those that hold are in the default graph; those that are only planned or expected are among the statements, where
//! nothing but the node itself leads to them.

use super::{Budget, Cursor, FactPage, Part, Reader, holding::Holding, inherit::Inherited, stated::Listing};
use crate::{
    graph::{GraphPattern, Pattern, QuadIds, Quads, TermId},
    model::fact::Fact,
};

/// What to go through to find the facts about nodes.
enum Scan {
    /// These quads.
    Quads(Pattern),
    /// All quads of the subjects of these, of which each is met once.
    Subjects(Pattern),
}

/// Where facts are added.
struct Adding<'a> {
    listing: &'a Listing,
    part: Part,
    graph: GraphPattern,
    inherited: Inherited,
    holding: Holding,
    size: usize,
    page: &'a mut FactPage,
}

impl Reader<'_> {
    /// Adds facts about nodes to a page: those of the default graph as [`Part::Nodes`], those among the statements as
    /// [`Part::StatedNodes`]. Tells whether there are no more.
    pub(super) fn node_facts(
        &self,
        listing: &Listing,
        part: Part,
        size: usize,
        page: &mut FactPage,
        budget: &mut Budget,
    ) -> bool {
        let after = page.end.filter(|cursor| cursor.part == part).map(Cursor::quad);
        let mut adding = Adding {
            listing,
            part,
            graph: match part {
                Part::StatedNodes => GraphPattern::Named(self.words.statements),
                _ => GraphPattern::Default,
            },
            inherited: Inherited::default(),
            holding: Holding::at(listing.view),
            size,
            page,
        };
        match self.node_scan(listing, adding.graph) {
            Scan::Quads(pattern) => self.add_quads(pattern, after, &mut adding, budget),
            Scan::Subjects(pattern) => self.add_subjects(pattern, after, &mut adding, budget),
        }
    }

    /// Returns what finds all facts that are wanted: the same for each page of a list.
    fn node_scan(&self, listing: &Listing, graph: GraphPattern) -> Scan {
        let (words, wanted) = (&self.words, &listing.wanted);
        let Pattern {
            subject,
            predicate,
            object,
            ..
        } = listing.pattern;
        let is_about = subject.or(predicate).or(object).is_some();
        match (is_about, wanted.source, wanted.attributed_to) {
            (false, Some(source), _) => Scan::Subjects(Pattern {
                predicate: Some(words.derived_from),
                object: Some(source),
                ..Pattern::all(graph)
            }),
            (false, None, Some(speaker)) => Scan::Subjects(Pattern {
                predicate: Some(words.attributed_to),
                object: Some(speaker),
                ..Pattern::all(graph)
            }),
            _ => Scan::Quads(Pattern {
                graph,
                ..listing.pattern
            }),
        }
    }

    fn add_subjects(
        &self,
        pattern: Pattern,
        after: Option<QuadIds>,
        adding: &mut Adding<'_>,
        budget: &mut Budget,
    ) -> bool {
        let graph = adding.graph;
        let of = |subject| Pattern {
            subject: Some(subject),
            ..Pattern::all(graph)
        };
        if let Some(after) = after
            && !self.add_quads(of(after.subject), Some(after), adding, budget)
        {
            return false;
        }
        let past = after.map(|after| super::past(pattern, after.subject));
        for found in self.quads_from(pattern, past) {
            if budget.is_spent() && adding.page.end.is_some() {
                return false;
            }
            // The statements of a source are many, and nothing is listed of them here.
            if self.is_statement(found.subject) {
                budget.step(2);
            } else if !self.add_quads(of(found.subject), None, adding, budget) {
                return false;
            }
            adding.come_to(QuadIds {
                predicate: TermId::MAX,
                object: TermId::MAX,
                ..found
            });
        }
        true
    }

    fn add_quads(
        &self,
        pattern: Pattern,
        after: Option<QuadIds>,
        adding: &mut Adding<'_>,
        budget: &mut Budget,
    ) -> bool {
        for quad in self.quads_from(pattern, after) {
            if budget.is_spent() && adding.page.end.is_some() {
                return false;
            }
            budget.step(2);
            if let Some(fact) = self.node_fact(quad, adding, budget) {
                if adding.page.facts.len() == adding.size {
                    return false;
                }
                adding.page.facts.push(fact);
            }
            adding.come_to(quad);
        }
        true
    }

    /// Returns the fact of a quad about a node, if it is wanted.
    fn node_fact(&self, quad: QuadIds, adding: &mut Adding<'_>, budget: &mut Budget) -> Option<Fact> {
        let Listing {
            pattern,
            wanted,
            view,
            ..
        } = adding.listing;
        let is_open = |wanted: Option<TermId>, value| wanted.is_none_or(|wanted| wanted == value);
        let is_about = is_open(pattern.predicate, quad.predicate) && is_open(pattern.object, quad.object);
        // What it is called, and that it is an event, is no news of its source.
        let without_names = wanted.without_names || pattern.predicate.is_none();
        if !is_about || (without_names && self.is_name(quad.predicate)) {
            return None;
        }
        let statement = adding.inherited.by(self, quad, budget)?;
        let is_sole = || statement.sources.len() == 1;
        let is_wanted = wanted.is_statement(statement)
            && statement.is_known_at(view.known_at)
            && wanted
                .source
                .is_none_or(|source| self.is_node_from(quad.subject, source))
            && (!adding.listing.is_sole_source || is_sole());
        let statement = is_wanted.then(|| statement.clone())?;
        let triple = QuadIds {
            graph: TermId::DEFAULT_GRAPH,
            ..quad
        };
        let holds = adding.part == Part::Nodes;
        // What holds by a statement is told with the statement.
        if holds && (self.is_derived(triple) || adding.holding.has(self, triple, budget)) {
            return None;
        }
        self.fact(triple, Some(statement), holds, budget)
            .map(|fact| *fact)
    }

    fn quads_from(&self, pattern: Pattern, after: Option<QuadIds>) -> Quads<'_> {
        let graph = match pattern.graph {
            GraphPattern::Named(graph) => graph,
            _ => TermId::DEFAULT_GRAPH,
        };
        match after {
            Some(after) => self.snapshot.quads_after(pattern, QuadIds { graph, ..after }),
            None => self.snapshot.quads(pattern),
        }
    }
}

impl Adding<'_> {
    fn come_to(&mut self, quad: QuadIds) {
        self.page.end = Some(Cursor {
            part: self.part,
            ..Cursor::after_triple(quad)
        });
    }
}
