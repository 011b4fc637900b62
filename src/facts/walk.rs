//! Walks over facts in index order, from any place, within a budget.

use oxigraph::model::{NamedNode, NamedOrBlankNode};

use super::{
    Budget, Cursor, FactPage, Reader, holding::Holding, inherit::Inherited, record::TimeView,
    statement::term_bytes, support::Next,
};
use crate::{
    graph::{Pattern, QuadIds, Quads, TermId},
    model::fact::{Basis, Fact, Stance, Standing, Statement},
};

/// Which facts of the triples that are walked over.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Leaves out labels, aliases and types.
    pub(super) without_names: bool,
    /// Only those from this source; a walk does not look at it.
    pub(super) source: Option<TermId>,
    /// Only those of these standings; empty: any.
    pub(super) standings: Vec<Option<Standing>>,
    /// Only those of these stances; empty: any.
    pub(super) stances: Vec<Option<Stance>>,
    /// Only those that rest on these; empty: any.
    pub(super) bases: Vec<Option<Basis>>,
    /// Only those that are attributed to this.
    pub(super) attributed_to: Option<TermId>,
    /// The IRI of the same.
    pub(super) attributed_to_iri: Option<String>,
}

/// One step of a walk.
enum Step {
    /// A fact, and the place right after it.
    Fact(Box<Fact>, Cursor),
    /// There are no more facts.
    End,
    /// The budget ran out; the walk can go on from here.
    Spent(Cursor),
}

/// A walk over the triples of a pattern.
struct Walk<'a> {
    reader: Reader<'a>,
    wanted: Wanted,
    quads: Quads<'a>,
    holding: Holding,
    current: Option<Current>,
    inherited: Inherited,
    last: Option<Cursor>,
}

#[derive(Clone, Copy)]
struct Current {
    quad: QuadIds,
    after: TermId,
    is_supported: bool,
}

impl<'a> Walk<'a> {
    fn new(
        reader: Reader<'a>,
        pattern: Pattern,
        wanted: Wanted,
        view: TimeView,
        after: Option<Cursor>,
    ) -> Self {
        let mut current = None;
        let quads = match after {
            None => reader.snapshot.quads(pattern),
            Some(cursor) => {
                let quad = cursor.quad();
                if cursor.statement != TermId::MAX.get() && reader.snapshot.contains(quad) {
                    let after = TermId::new(cursor.statement);
                    current = Some(Current {
                        quad,
                        after,
                        is_supported: cursor.is_supported,
                    });
                }
                reader.snapshot.quads_after(pattern, quad)
            }
        };
        Self {
            reader,
            wanted,
            quads,
            holding: Holding::present(view),
            current,
            inherited: Inherited::default(),
            last: after,
        }
    }

    fn next(&mut self, budget: &mut Budget) -> Step {
        loop {
            if let Some(current) = self.current {
                if let Some(step) = self.next_of(current, budget) {
                    return step;
                }
                continue;
            }
            if let (true, Some(last)) = (budget.is_spent(), self.last) {
                return Step::Spent(last);
            }
            let Some(quad) = self.quads.next() else {
                return Step::End;
            };
            budget.step(1);
            if self.wanted.without_names && self.reader.is_name(quad.predicate) {
                self.last = Some(Cursor::after_triple(quad));
            } else {
                self.current = Some(Current {
                    quad,
                    after: TermId::DEFAULT_GRAPH,
                    is_supported: false,
                });
            }
        }
    }

    /// Goes on with a triple: to its next statement, or past it.
    fn next_of(&mut self, mut current: Current, budget: &mut Budget) -> Option<Step> {
        match self
            .holding
            .next(&self.reader, current.quad, current.after, budget)
        {
            Next::Statement(id) => {
                current.after = id;
                let quads = self.holding.quads(id);
                if let Some(statement) = self.reader.statement(id, quads, budget) {
                    current.is_supported = true;
                    self.current = Some(current);
                    let cursor = Cursor::within(current.quad, id, true);
                    self.last = Some(cursor);
                    return self
                        .wanted
                        .is_statement(&statement)
                        .then(|| self.reader.fact(current.quad, Some(statement), true, budget))
                        .flatten()
                        .map(|fact| Step::Fact(fact, cursor));
                }
                self.current = Some(current);
                let cursor = Cursor::within(current.quad, id, current.is_supported);
                self.last = Some(cursor);
                budget.is_spent().then_some(Step::Spent(cursor))
            }
            Next::Spent(after) => {
                let cursor = Cursor::within(current.quad, after, current.is_supported);
                self.current = Some(Current { after, ..current });
                Some(Step::Spent(cursor))
            }
            Next::End => {
                self.current = None;
                let cursor = Cursor::after_triple(current.quad);
                self.last = Some(cursor);
                if current.is_supported {
                    return None;
                }
                let inherited = self.inherited.by(&self.reader, current.quad, budget);
                if !self.wanted.is_plain(inherited) {
                    return None;
                }
                let fact = self.reader.fact(current.quad, inherited.cloned(), true, budget)?;
                Some(Step::Fact(fact, cursor))
            }
        }
    }
}

impl Wanted {
    /// Tells whether plain triples are wanted.
    pub(super) fn takes_plain(&self) -> bool {
        self.source.is_none()
            && self.attributed_to.is_none()
            && (self.stances.is_empty() || self.stances.contains(&None))
            && (self.bases.is_empty() || self.bases.contains(&None))
            && self.is_standing(Some(Standing::Accepted))
    }

    /// Tells whether a fact without a statement is wanted, with what it inherits; its source aside.
    pub(super) fn is_plain(&self, inherited: Option<&Statement>) -> bool {
        inherited.map_or_else(|| self.takes_plain(), |statement| self.is_statement(statement))
    }

    /// Tells whether a statement is wanted, as to what it says of itself; its sources aside.
    pub(super) fn is_statement(&self, statement: &Statement) -> bool {
        self.is_standing(statement.standing)
            && (self.stances.is_empty() || self.stances.contains(&statement.stance))
            && (self.bases.is_empty() || self.bases.contains(&statement.basis))
            && (self.attributed_to_iri.is_none() || self.attributed_to_iri == statement.attributed_to)
    }

    pub(super) fn is_standing(&self, standing: Option<Standing>) -> bool {
        self.standings.is_empty() || self.standings.contains(&standing)
    }
}

impl Reader<'_> {
    /// Adds the facts of the triples of a pattern to a page, in the view of which they are in the default graph. Tells whether there
    /// are no more.
    pub(super) fn walk_facts(
        &self,
        pattern: Pattern,
        wanted: Wanted,
        view: TimeView,
        size: usize,
        page: &mut FactPage,
        budget: &mut Budget,
    ) -> bool {
        let mut walk = Walk::new(*self, pattern, wanted, view, page.end);
        loop {
            match walk.next(budget) {
                Step::End => return true,
                Step::Spent(cursor) => {
                    page.end = Some(cursor);
                    return false;
                }
                Step::Fact(..) if page.facts.len() == size => return false,
                Step::Fact(fact, cursor) => {
                    page.facts.push(*fact);
                    page.end = Some(cursor);
                }
            }
        }
    }

    pub(super) fn is_name(&self, predicate: TermId) -> bool {
        let words = &self.words;
        predicate == words.label || predicate == words.alt_label || predicate == words.r#type
    }

    /// Returns a fact with its terms. `None` never happens: subjects and predicates are what RDF lets them be.
    pub(super) fn fact(
        &self,
        quad: QuadIds,
        statement: Option<Statement>,
        holds: bool,
        budget: &mut Budget,
    ) -> Option<Box<Fact>> {
        let subject = NamedOrBlankNode::try_from(self.snapshot.term(quad.subject)).ok()?;
        let predicate = NamedNode::try_from(self.snapshot.term(quad.predicate)).ok()?;
        let object = self.snapshot.term(quad.object);
        budget.text(64 + predicate.as_str().len() + term_bytes(&object));
        if let NamedOrBlankNode::NamedNode(subject) = &subject {
            budget.text(subject.as_str().len());
        }
        Some(Box::new(Fact {
            subject,
            predicate,
            object,
            statement: statement.map(Box::new),
            holds,
            labels: None,
        }))
    }
}
