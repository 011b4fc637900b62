//! What facts about an event, a claim or an observation inherit from it.
//!
//! Such a node carries stance, standing, basis and sources itself, in the default graph or, while it is only planned or expected,
//! among the statements. They are those of every fact about it that no statement states. Its time is its own: that an event
//! of 2019 has an actor is so on any day.

use super::{Budget, Reader, default_graph, record::TimeView};
use crate::{
    graph::{QuadIds, TermId},
    model::{
        fact::{Stance, Statement},
        truthy::Evidence,
        validity::Validity,
    },
};

impl Reader<'_> {
    /// Returns what a node says of the facts about it, as a statement without an id; `None` if it has no standing.
    pub(super) fn inherited(&self, node: TermId, budget: &mut Budget) -> Option<Statement> {
        let words = &self.words;
        budget.step(1);
        let has_standing = |pattern| self.snapshot.count(pattern) > 0;
        if !has_standing(default_graph(Some(node), Some(words.standing), None))
            && !has_standing(self.in_statements(Some(node), Some(words.standing), None))
        {
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

    /// Returns what a triple that no statement states inherits from its subject.
    pub(super) fn inherited_by(&self, quad: QuadIds, budget: &mut Budget) -> Option<Statement> {
        if self.is_of_node(quad.predicate) {
            return None;
        }
        self.inherited(quad.subject, budget)
    }

    /// Tells whether a node was taken from a source.
    pub(super) fn is_node_from(&self, node: TermId, source: TermId) -> bool {
        self.objects(node, self.words.derived_from)
            .any(|found| found == source)
    }

    /// Returns the facts that a node with a standing has by a property without a statement, as evidence for its objects.
    pub(super) fn inherited_evidence(
        &self,
        [subject, predicate]: [TermId; 2],
        view: &TimeView,
        budget: &mut Budget,
    ) -> Vec<Evidence<TermId>> {
        // A statement says what it says of its own triple.
        if self.is_of_node(predicate) || self.triple_of(subject, None).is_some() {
            return Vec::new();
        }
        let Some(statement) = self.inherited(subject, budget) else {
            return Vec::new();
        };
        let is_recorded = view.known_at.is_none_or(|known_at| {
            statement
                .recorded_at
                .is_none_or(|recorded_at| recorded_at <= known_at)
        });
        let is_retracted = match (view.known_at, statement.retracted_at) {
            (Some(known_at), Some(retracted_at)) => retracted_at <= known_at,
            _ => statement.is_retracted,
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
            live: is_recorded && !is_retracted,
        };
        let plain = self
            .snapshot
            .quads(default_graph(Some(subject), Some(predicate), None));
        let plain = plain.filter(|quad| !self.is_derived(*quad));
        let stated = self
            .snapshot
            .quads(self.in_statements(Some(subject), Some(predicate), None));
        let mut found = Vec::new();
        for quad in plain.chain(stated) {
            if budget.is_overdue() {
                break;
            }
            budget.step(1);
            found.push(evidence(quad.object));
        }
        found
    }
}
