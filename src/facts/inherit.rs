//! What facts about an event, a claim or an observation inherit from it.
//!
//! Such a node carries stance, standing, basis and sources itself, in the default graph or, while it is only planned or expected,
//! among the statements. They are those of every fact about it without a statement. Its time is its own: that an event
//! of 2019 has an actor is so on any day.

use std::collections::HashSet;

use super::{Budget, Reader, default_graph, group::Group, record::TimeView};
use crate::{
    graph::{Pattern, QuadIds, TermId},
    model::{
        fact::{Stance, Statement, UnixTime},
        truthy::Evidence,
        validity::Validity,
    },
};

/// Tells whether a triple is as its subject says, going by what the subject gives: it is not plain then.
pub(super) fn is_inherited(object: TermId, inherited: &[Evidence<TermId>]) -> bool {
    inherited.iter().any(|evidence| evidence.object == object)
}

/// What the facts about the last node that was asked for inherit: facts about one node follow each other.
#[derive(Debug, Default)]
pub(super) struct Inherited(Option<(TermId, Option<Statement>)>);

impl Inherited {
    /// Returns what a fact without a statement inherits from its subject.
    pub(super) fn by(
        &mut self,
        reader: &Reader<'_>,
        quad: QuadIds,
        budget: &mut Budget,
    ) -> Option<&Statement> {
        if reader.is_of_node(quad.predicate) {
            return None;
        }
        if self.0.as_ref().is_none_or(|(node, _)| *node != quad.subject) {
            self.0 = Some((quad.subject, reader.inherited(quad.subject, budget)));
        }
        self.0.as_ref().and_then(|(_, statement)| statement.as_ref())
    }
}

impl Statement {
    /// Tells whether it was recorded and not yet retracted by then; `None` is now.
    pub(super) fn is_known_at(&self, known_at: Option<UnixTime>) -> bool {
        let is_recorded = known_at
            .is_none_or(|known_at| self.recorded_at.is_none_or(|recorded_at| recorded_at <= known_at));
        let is_retracted = match (known_at, self.retracted_at) {
            (Some(known_at), Some(retracted_at)) => retracted_at <= known_at,
            _ => self.is_retracted,
        };
        is_recorded && !is_retracted
    }
}

impl Reader<'_> {
    /// Returns what a node says of the facts about it, as a statement without an id; `None` if it is no event, claim or
    /// observation with one standing. A statement says what it says of its own triple.
    pub(super) fn inherited(&self, node: TermId, budget: &mut Budget) -> Option<Statement> {
        let words = &self.words;
        budget.step(1);
        let mut standings = self.objects(node, words.standing);
        if standings.next().is_none() || standings.next().is_some() {
            return None;
        }
        budget.step(2);
        let is_kind = |class| [words.event, words.claim, words.observation].contains(&class);
        if self.is_statement(node) || !self.objects(node, words.r#type).any(is_kind) {
            return None;
        }
        let mut statement = Statement::default();
        let mut locators = Vec::new();
        for property in self.of_node() {
            for object in self.objects(node, property) {
                budget.step(1);
                let quad = QuadIds {
                    subject: node,
                    predicate: property,
                    object,
                    graph: TermId::DEFAULT_GRAPH,
                };
                if property == words.locator {
                    locators.push(quad);
                } else {
                    statement.is_retracted |= property == words.invalidated_at;
                    self.fill(&mut statement, quad, budget);
                }
            }
        }
        self.place_locators(&mut statement, &locators, budget);
        Some(statement)
    }

    /// Tells whether a property says something of the facts about its subject, and is none of them.
    pub(super) fn is_of_node(&self, property: TermId) -> bool {
        self.of_node().contains(&property)
    }

    fn of_node(&self) -> [TermId; 9] {
        let words = &self.words;
        [
            words.standing,
            words.stance,
            words.basis,
            words.confidence,
            words.attributed_to,
            words.derived_from,
            words.locator,
            words.generated_at,
            words.invalidated_at,
        ]
    }

    /// Returns what a fact without a statement inherits from its subject.
    pub(super) fn inherited_by(&self, quad: QuadIds, budget: &mut Budget) -> Option<Statement> {
        Inherited::default().by(self, quad, budget).cloned()
    }

    /// Tells whether a node is a statement.
    pub(super) fn is_statement(&self, node: TermId) -> bool {
        self.has_any(self.in_statements(Some(node), Some(self.words.subject), None))
    }

    /// Tells whether a node with a standing is among the statements, as what is only planned or expected is.
    pub(super) fn is_stated_node(&self, node: TermId) -> bool {
        self.has_any(self.in_statements(Some(node), Some(self.words.standing), None))
            && !self.is_statement(node)
    }

    pub(super) fn has_any(&self, pattern: Pattern) -> bool {
        self.snapshot.count(pattern) > 0
    }

    /// Tells whether a node was recorded and not yet retracted, as far as it says so.
    pub(super) fn is_node_known(&self, node: TermId, view: &TimeView) -> bool {
        let time = |property| self.objects(node, property).next();
        let retracted = time(self.words.invalidated_at);
        let times = Statement {
            recorded_at: time(self.words.generated_at).and_then(|id| self.time(id)),
            retracted_at: retracted.and_then(|id| self.time(id)),
            is_retracted: retracted.is_some(),
            ..Statement::default()
        };
        times.is_known_at(view.known_at)
    }

    /// Tells whether a node was taken from a source.
    pub(super) fn is_node_from(&self, node: TermId, source: TermId) -> bool {
        self.objects(node, self.words.derived_from)
            .any(|found| found == source)
    }

    /// Returns the facts that a node with a standing has by a property, as evidence: for the objects that are plain and hold by no
    /// statement of a group, and for those among the statements that no statement of it says.
    pub(super) fn inherited_evidence(
        &self,
        [subject, predicate]: [TermId; 2],
        group: &Group,
        view: &TimeView,
        budget: &mut Budget,
    ) -> Vec<Evidence<TermId>> {
        if self.is_of_node(predicate) {
            return Vec::new();
        }
        let Some(statement) = self.inherited(subject, budget) else {
            return Vec::new();
        };
        let Some(standing) = statement.standing else {
            return Vec::new();
        };
        let evidence = |object| Evidence {
            object,
            stance: statement.stance.unwrap_or(Stance::Asserted),
            standing,
            negated: false,
            is_some_value: object == self.words.some_value,
            validity: Validity::new(None, []),
            live: statement.is_known_at(view.known_at),
            opposed: false,
        };
        let plain = self
            .snapshot
            .quads(default_graph(Some(subject), Some(predicate), None));
        let plain = plain.filter(|quad| !self.is_derived(*quad) && !group.has(quad.object));
        let planned = self
            .snapshot
            .quads(self.in_statements(Some(subject), Some(predicate), None));
        let stated = group.evidence.iter().filter(|evidence| !evidence.negated);
        let stated: HashSet<_> = stated.map(|evidence| evidence.object).collect();
        let planned = planned.filter(|quad| !stated.contains(&quad.object));
        let mut found = Vec::new();
        for quad in plain.chain(planned) {
            if budget.is_overdue() {
                break;
            }
            budget.step(1);
            found.push(evidence(quad.object));
        }
        found
    }
}
