//! Where statements conflict, across the graph.

use std::collections::HashSet;

use oxigraph::model::{NamedNode, NamedOrBlankNode, Term};

use super::{
    Budget, Cursor, Part, Reader,
    check::triple,
    group::{Group, Groups},
    record::{Record, TimeView},
};
use crate::{
    graph::{Pattern, QuadIds, TermId},
    model::{
        day::Day,
        fact::{Fact, Standing},
        truthy::Evidence,
        validity::Certainty,
    },
};

/// Facts that are given for one conflict.
const FACT_COUNT_MAX: usize = 100;

/// Where to look for conflicts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConflictFilter {
    /// The IRI of the subject.
    pub subject: Option<String>,
    /// The IRI of a source that one of the statements was taken from.
    pub source: Option<String>,
    /// Only of what may hold on this day.
    pub on: Option<Day>,
}

/// A page of conflicts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConflictPage {
    /// The conflicts.
    pub conflicts: Vec<Conflict>,
    /// Where the page ends, if there may be more.
    pub end: Option<Cursor>,
}

/// A subject and a predicate of which the statements conflict, or an event, claim or observation that is disputed or rejected itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// The subject.
    pub subject: NamedOrBlankNode,
    /// The predicate; `None` if all of the subject is in question.
    pub predicate: Option<NamedNode>,
    /// What is stated, the first hundred.
    pub facts: Vec<Fact>,
}

/// The signs of conflicts, in the order in which they are gone through.
const SIGNS: [Sign; 4] = [Sign::Disputed, Sign::Rejected, Sign::Disputes, Sign::Denies];

/// By what a statement makes a conflict.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Sign {
    Disputed,
    Rejected,
    Disputes,
    Denies,
}

impl Sign {
    /// Tells whether it is the standing itself, which nodes have too that are no statements.
    fn is_standing(self) -> bool {
        matches!(self, Self::Disputed | Self::Rejected)
    }
}

impl Reader<'_> {
    /// Returns a page of conflicts, each once. A page may be shorter than `size`, and even empty, and yet not the last one.
    pub fn conflicts(
        &self,
        filter: &ConflictFilter,
        view: &TimeView,
        size: usize,
        after: Option<Cursor>,
        budget: &mut Budget,
    ) -> ConflictPage {
        let mut page = ConflictPage {
            conflicts: Vec::new(),
            end: after,
        };
        let id = |iri: &Option<String>| match iri {
            None => Some(None),
            Some(iri) => self.snapshot.iri_id(iri).map(Some),
        };
        let (Some(subject), Some(source)) = (id(&filter.subject), id(&filter.source)) else {
            return ConflictPage::default();
        };
        let mut groups = Groups::new(*self, *view, source);
        let patterns = SIGNS.map(|sign| (sign, self.with_sign(sign)));
        let resumed =
            after.and_then(|cursor| patterns.iter().position(|(_, pattern)| cursor.is_in(*pattern)));
        for (sign, pattern) in &patterns[resumed.unwrap_or(0)..] {
            let graph = self.words.statements;
            let quads = match page.end.filter(|cursor| cursor.is_in(*pattern)) {
                Some(cursor) => self.snapshot.quads_after(
                    *pattern,
                    QuadIds {
                        graph,
                        ..cursor.quad()
                    },
                ),
                None => self.snapshot.quads(*pattern),
            };
            for quad in quads {
                if budget.is_spent() && page.end.is_some() {
                    return page;
                }
                budget.step(2);
                let is_sought = |found| subject.is_none_or(|subject| found == subject);
                let conflict = match self.record(quad.subject, source, budget) {
                    Some(record) if record.is_known(view) && is_sought(record.triple[0]) => {
                        self.conflict(&record, *sign, filter.on, &mut groups, budget)
                    }
                    None if sign.is_standing() && is_sought(quad.subject) => {
                        self.node_conflict(quad.subject, source, view, budget)
                    }
                    Some(_) | None => None,
                };
                if let Some(conflict) = conflict {
                    if page.conflicts.len() == size {
                        return page;
                    }
                    page.conflicts.push(conflict);
                }
                page.end = Some(Cursor {
                    part: Part::Statements,
                    ..Cursor::within(quad, TermId::DEFAULT_GRAPH, false)
                });
            }
        }
        page.end = None;
        page
    }

    fn with_sign(&self, sign: Sign) -> Pattern {
        let words = &self.words;
        match sign {
            Sign::Disputed => self.in_statements(None, Some(words.standing), Some(words.disputed)),
            Sign::Rejected => self.in_statements(None, Some(words.standing), Some(words.rejected)),
            Sign::Disputes => self.in_statements(None, Some(words.disputes), None),
            Sign::Denies => self.in_statements(None, Some(words.negated), None),
        }
    }

    /// Returns the conflict that a statement makes, if no other statement of the group is met before that makes it too.
    fn conflict(
        &self,
        record: &Record,
        sign: Sign,
        on: Option<Day>,
        groups: &mut Groups<'_>,
        budget: &mut Budget,
    ) -> Option<Conflict> {
        let [subject, predicate, _] = record.triple;
        let source = groups.source;
        let group = groups.of(subject, predicate, budget);
        if self.first_sign([subject, predicate], group, on, budget) != Some((sign, record.id)) {
            return None;
        }
        if source.is_some() && !group.on(on).any(|record| record.has_source) {
            return None;
        }
        let mut facts: Vec<Fact> = Vec::new();
        for record in group.on(on).take(FACT_COUNT_MAX) {
            let [subject, predicate, object] = record.triple;
            let quad = triple(subject, predicate, object);
            let holds = group.holds(record.id);
            facts.extend(self.statement_fact(record.id, quad, true, holds, budget));
        }
        if sign == Sign::Denies {
            facts.extend(self.denied_facts([subject, predicate], group, on, budget));
            facts.truncate(FACT_COUNT_MAX);
        }
        let Term::NamedNode(predicate) = self.snapshot.term(predicate) else {
            return None;
        };
        Some(Conflict {
            subject: NamedOrBlankNode::try_from(self.snapshot.term(subject)).ok()?,
            predicate: Some(predicate),
            facts,
        })
    }

    /// Returns the conflict that a node makes by its own standing, if it is an event, a claim or an observation.
    fn node_conflict(
        &self,
        node: TermId,
        source: Option<TermId>,
        view: &TimeView,
        budget: &mut Budget,
    ) -> Option<Conflict> {
        let is_from = source.is_none_or(|source| self.is_node_from(node, source));
        let statement = self.inherited(node, budget)?;
        if !is_from || !statement.is_known_at(view.known_at) {
            return None;
        }
        let mut facts: Vec<Fact> = Vec::new();
        for quad in self.snapshot.quads(self.in_statements(Some(node), None, None)) {
            if facts.len() == FACT_COUNT_MAX || budget.is_overdue() {
                break;
            }
            budget.step(1);
            if self.is_name(quad.predicate) || self.is_of_node(quad.predicate) {
                continue;
            }
            let about = triple(quad.subject, quad.predicate, quad.object);
            let holds = self.snapshot.contains(about);
            let fact = self.fact(about, Some(statement.clone()), holds, budget);
            facts.extend(fact.map(|fact| *fact));
        }
        (!facts.is_empty()).then_some(Conflict {
            subject: NamedOrBlankNode::try_from(self.snapshot.term(node)).ok()?,
            predicate: None,
            facts,
        })
    }

    /// Returns the first sign of a conflict in the group of a subject and a predicate, and whose it is; `None` if its statements
    /// agree, with each other and with what holds without any; all of them, or those that may hold on a day. It is looked for once.
    pub(super) fn first_sign(
        &self,
        [subject, predicate]: [TermId; 2],
        group: &Group,
        on: Option<Day>,
        budget: &mut Budget,
    ) -> Option<(Sign, TermId)> {
        *group.first_sign.get_or_init(|| {
            let is_assertion = |record: &&Record| !record.is_negated;
            let asserted = group.on(on).filter(is_assertion);
            let asserted: HashSet<_> = asserted.map(|record| record.triple[2]).collect();
            let is_asserted = |record: &Record| {
                if record.is_some_value {
                    !asserted.is_empty() || self.unstated([subject, predicate]).next().is_some()
                } else {
                    asserted.contains(&record.triple[2]) || self.is_unstated(record.triple)
                }
            };
            let signs = group.on(on).filter_map(|record| {
                budget.step(1);
                let disputes = || self.in_statements(Some(record.id), Some(self.words.disputes), None);
                let sign = match record.standing {
                    Some(Standing::Disputed) => Sign::Disputed,
                    Some(Standing::Rejected) => Sign::Rejected,
                    _ if self.snapshot.count(disputes()) > 0 => Sign::Disputes,
                    _ if record.is_negated && is_asserted(record) => Sign::Denies,
                    _ => return None,
                };
                Some((sign, record.id))
            });
            signs.min()
        })
    }

    /// Tells whether a triple is there by itself: plainly, or as a property of a planned node among the statements.
    fn is_unstated(&self, [subject, predicate, object]: [TermId; 3]) -> bool {
        let quad = triple(subject, predicate, object);
        let of_node = QuadIds {
            graph: self.words.statements,
            ..quad
        };
        self.is_plain(quad) || (self.snapshot.contains(of_node) && self.triple_of(subject, None).is_none())
    }

    /// Returns the objects that a subject has by a predicate by itself.
    fn unstated(&self, [subject, predicate]: [TermId; 2]) -> impl Iterator<Item = TermId> + '_ {
        let objects = self.objects(subject, predicate);
        objects.filter(move |object| self.is_unstated([subject, predicate, *object]))
    }

    /// Returns the facts of their own, which hold by no statement, that statements deny.
    fn denied_facts(
        &self,
        pair: [TermId; 2],
        group: &Group,
        on: Option<Day>,
        budget: &mut Budget,
    ) -> Vec<Fact> {
        let denials = || group.on(on).filter(|record| record.is_negated);
        let mut objects: Vec<_> = denials()
            .map(|record| record.triple[2])
            .filter(|object| self.is_unstated([pair[0], pair[1], *object]))
            .take(FACT_COUNT_MAX)
            .collect();
        if denials().any(|record| record.is_some_value) {
            objects.extend(self.unstated(pair).take(FACT_COUNT_MAX));
        }
        objects.sort_unstable();
        objects.dedup();
        let facts = objects.into_iter().filter(|object| !group.has(*object));
        let facts = facts.filter_map(|object| self.plain_fact(triple(pair[0], pair[1], object), budget));
        facts.take(FACT_COUNT_MAX).collect()
    }
}

impl Group {
    /// Iterates over the statements, or those of which the time does not exclude a day.
    fn on(&self, day: Option<Day>) -> impl Iterator<Item = &Record> {
        let may_hold = move |one: &Evidence<TermId>| {
            day.is_none_or(|day| one.validity.holds_at(day) != Certainty::CertainlyNot)
        };
        let records = self.records.iter().zip(&self.evidence);
        records
            .filter(move |(_, one)| may_hold(one))
            .map(|(record, _)| record)
    }
}

impl Cursor {
    /// Tells whether a cursor within statements is among the quads of a pattern.
    fn is_in(&self, pattern: Pattern) -> bool {
        let quad = self.quad();
        self.part == Part::Statements
            && pattern.predicate == Some(quad.predicate)
            && pattern.object.is_none_or(|object| object == quad.object)
    }
}
