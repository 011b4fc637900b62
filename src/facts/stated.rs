//! Lists in a time view: the plain triples that hold by no statement, then facts about nodes, then statements.

use super::{
    Budget, Cursor, FactPage, Part, Reader, Scope, group::Groups, holding::Holding, inherit::Inherited,
    record::TimeView, walk::Wanted,
};
use crate::{
    graph::{Pattern, QuadIds, TermId},
    model::fact::{Fact, Standing},
};

/// A list of facts in a time view.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    /// Of triples, in the default graph.
    pub(super) pattern: Pattern,
    pub(super) wanted: Wanted,
    pub(super) view: TimeView,
    pub(super) scope: Scope,
    /// Whether facts about nodes among the statements are wanted, of which none holds.
    pub(super) with_stated_nodes: bool,
    /// Only what no longer holds once the source is withdrawn; if more is listed than what holds, only what has no other source.
    pub(super) is_sole_source: bool,
}

impl Reader<'_> {
    pub(super) fn facts_at(
        &self,
        listing: &Listing,
        size: usize,
        after: Option<Cursor>,
        budget: &mut Budget,
    ) -> FactPage {
        let mut page = FactPage {
            facts: Vec::new(),
            end: after,
        };
        let takes_plain = listing.wanted.takes_plain();
        let first = after.map_or(Part::Triples, |cursor| cursor.part);
        let parts = [
            (Part::Triples, takes_plain),
            (Part::Nodes, !takes_plain),
            (Part::StatedNodes, listing.with_stated_nodes),
            (Part::Statements, true),
        ];
        for (part, is_wanted) in parts {
            let is_done = !is_wanted
                || part < first
                || match part {
                    Part::Triples => self.plain_facts(listing, size, &mut page, budget),
                    Part::Nodes | Part::StatedNodes => {
                        self.node_facts(listing, part, size, &mut page, budget)
                    }
                    Part::Statements => self.stated_facts(listing, size, &mut page, budget),
                };
            if !is_done {
                return page;
            }
        }
        page.end = None;
        page
    }

    /// Adds plain triples to a page. Tells whether there are no more.
    fn plain_facts(&self, listing: &Listing, size: usize, page: &mut FactPage, budget: &mut Budget) -> bool {
        let pattern = listing.pattern;
        let quads = match page.end {
            None => self.snapshot.quads(pattern),
            Some(cursor) => self.snapshot.quads_after(pattern, cursor.quad()),
        };
        let mut holding = Holding::at(listing.view);
        let mut inherited = Inherited::default();
        for quad in quads {
            if budget.is_spent() && page.end.is_some() {
                return false;
            }
            budget.step(2);
            let is_left_out = self.is_derived(quad)
                || (listing.wanted.without_names && self.is_name(quad.predicate))
                || holding.has(self, quad, budget);
            let inherited = inherited.by(self, quad, budget);
            let is_known = inherited.is_none_or(|node| node.is_known_at(listing.view.known_at));
            if !is_left_out && is_known && listing.wanted.is_plain(inherited) {
                if page.facts.len() == size {
                    return false;
                }
                let fact = self.fact(quad, inherited.cloned(), true, budget);
                page.facts.extend(fact.map(|fact| *fact));
            }
            page.end = Some(Cursor::after_triple(quad));
        }
        true
    }

    /// Adds statements to a page. Tells whether there are no more.
    fn stated_facts(&self, listing: &Listing, size: usize, page: &mut FactPage, budget: &mut Budget) -> bool {
        let after = page.end.filter(|cursor| cursor.part == Part::Statements);
        let pattern = self.scan(listing, after);
        let quads = match after {
            None => self.snapshot.quads(pattern),
            Some(cursor) => {
                let graph = self.words.statements;
                self.snapshot.quads_after(
                    pattern,
                    QuadIds {
                        graph,
                        ..cursor.quad()
                    },
                )
            }
        };
        let mut groups = Groups::new(*self, listing.view, listing.wanted.source);
        for quad in quads {
            if budget.is_spent() && page.end.is_some() {
                return false;
            }
            budget.step(2);
            if let Some(fact) = self.stated_fact(listing, quad, &mut groups, budget) {
                if page.facts.len() == size {
                    return false;
                }
                page.facts.push(fact);
            }
            page.end = Some(Cursor {
                part: Part::Statements,
                ..Cursor::within(quad, TermId::DEFAULT_GRAPH, false)
            });
        }
        true
    }

    /// Returns the quads of statements to go through: the fewest in which all that are wanted are found. Later pages go
    /// on with those of the first.
    fn scan(&self, listing: &Listing, after: Option<Cursor>) -> Pattern {
        let (words, wanted) = (&self.words, &listing.wanted);
        let standing = match wanted.standings.as_slice() {
            [Some(standing)] => Some(self.standing_id(*standing)),
            _ => None,
        };
        let bound = [
            (words.subject, listing.pattern.subject),
            (words.object, listing.pattern.object),
            (words.predicate, listing.pattern.predicate),
            (words.derived_from, wanted.source),
            (words.attributed_to, wanted.attributed_to),
            (words.standing, standing),
        ];
        let patterns = bound
            .into_iter()
            .filter(|(_, value)| value.is_some())
            .map(|(property, value)| self.in_statements(None, Some(property), value));
        let whole = self.in_statements(None, Some(words.subject), None);
        match after {
            Some(cursor) => patterns
                .into_iter()
                .find(|pattern| pattern.predicate == Some(cursor.quad().predicate))
                .unwrap_or(whole),
            None => patterns
                .min_by_key(|pattern| self.snapshot.count(*pattern))
                .unwrap_or(whole),
        }
    }

    /// Returns the fact of the statement that a quad belongs to, if it is wanted.
    fn stated_fact(
        &self,
        listing: &Listing,
        quad: QuadIds,
        groups: &mut Groups<'_>,
        budget: &mut Budget,
    ) -> Option<Fact> {
        let (wanted, pattern) = (&listing.wanted, &listing.pattern);
        let record = self.record(quad.subject, wanted.source, budget)?;
        let [subject, predicate, object] = record.triple;
        let fits = |wanted: Option<TermId>, value| wanted.is_none_or(|wanted| wanted == value);
        // A node with two subjects is met twice.
        let is_met_again = quad.predicate == self.words.subject && quad.object != subject;
        let is_wanted = fits(pattern.subject, subject)
            && fits(pattern.predicate, predicate)
            && fits(pattern.object, object)
            && !is_met_again
            && !(wanted.without_names && self.is_name(predicate))
            && wanted.is_standing(record.standing)
            && (wanted.source.is_none() || record.has_source);
        let is_known = record.is_known(&listing.view);
        let is_in_scope = is_known || (listing.scope == Scope::All && record.is_recorded(&listing.view));
        if !is_wanted || !is_in_scope {
            return None;
        }
        let holds = groups.holds(&record, budget);
        if listing.scope == Scope::Holding && !holds {
            return None;
        }
        let triple = QuadIds {
            subject,
            predicate,
            object,
            graph: TermId::DEFAULT_GRAPH,
        };
        let mut is_lost = || match listing.scope {
            Scope::Holding => !self.is_plain(triple) && groups.of(subject, predicate, budget).falls(object),
            Scope::Live | Scope::All => !record.has_other_source,
        };
        if listing.is_sole_source && !is_lost() {
            return None;
        }
        self.statement_fact(quad.subject, triple, is_known, holds, budget)
            .filter(|fact| {
                fact.statement
                    .as_deref()
                    .is_some_and(|statement| wanted.is_statement(statement))
            })
    }

    /// Returns the fact of a statement.
    pub(super) fn statement_fact(
        &self,
        id: TermId,
        triple: QuadIds,
        is_known: bool,
        holds: bool,
        budget: &mut Budget,
    ) -> Option<Fact> {
        let mut statement = self.any_statement(id, budget)?;
        if is_known {
            // What is known later does not show.
            statement.retracted_at = None;
            statement.is_retracted = false;
        }
        self.fact(triple, Some(statement), holds, budget)
            .map(|fact| *fact)
    }

    pub(super) fn standing_id(&self, standing: Standing) -> TermId {
        let words = &self.words;
        match standing {
            Standing::Preferred => words.preferred,
            Standing::Accepted => words.accepted,
            Standing::Unconfirmed => words.unconfirmed,
            Standing::Disputed => words.disputed,
            Standing::Rejected => words.rejected,
        }
    }
}
