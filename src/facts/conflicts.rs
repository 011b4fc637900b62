//! Where statements conflict, across the graph.

use std::collections::HashSet;

use oxigraph::model::{NamedNode, NamedOrBlankNode, Term};

use super::{
    Budget, Cursor, Part, Reader,
    check::triple,
    default_graph,
    group::{Group, Groups},
    opposed::{Known, may_hold},
    record::{Record, TimeView},
};
use crate::{
    graph::{Pattern, QuadIds, TermId},
    model::{
        day::Day,
        fact::{Fact, Standing},
        truthy::Evidence,
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
    /// By what it conflicts.
    pub sign: Sign,
}

/// By what statements conflict, in the order in which it is looked for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Sign {
    /// One has the standing disputed.
    Disputed,
    /// One has the standing rejected.
    Rejected,
    /// One disputes another, of whatever subject and predicate.
    Disputes,
    /// Another, of whatever subject and predicate, disputes one.
    DisputedByOne,
    /// One denies what another says.
    Denies,
    /// One has another value than one with which it holds, of a property that can have one only.
    Differs,
}

impl Sign {
    /// Tells whether it is the standing itself, which nodes have too that are no statements.
    fn is_standing(self) -> bool {
        matches!(self, Self::Disputed | Self::Rejected)
    }

    /// Returns the statement that is looked at for a quad with the sign.
    fn statement(self, quad: QuadIds) -> TermId {
        if self == Self::DisputedByOne {
            quad.object
        } else {
            quad.subject
        }
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
        let patterns = self.signs(subject, budget);
        let resumed = after.and_then(|cursor| {
            patterns
                .iter()
                .position(|(sign, pattern)| cursor.is_in(*sign, *pattern))
        });
        for &(sign, pattern) in &patterns[resumed.unwrap_or(0)..] {
            budget.step(1);
            if budget.is_overdue() {
                return page;
            }
            let graph = self.words.statements;
            let quads = match page.end.filter(|cursor| cursor.is_in(sign, pattern)) {
                Some(cursor) => self.snapshot.quads_after(
                    pattern,
                    QuadIds {
                        graph,
                        ..cursor.quad()
                    },
                ),
                None => self.snapshot.quads(pattern),
            };
            for quad in quads {
                if budget.is_spent() && page.end.is_some() {
                    return page;
                }
                budget.step(2);
                let is_sought = |found| subject.is_none_or(|subject| found == subject);
                let conflict = match self.record(sign.statement(quad), source, budget) {
                    Some(record) if record.is_known(view) && is_sought(record.triple[0]) => {
                        self.conflict(&record, (sign, quad), filter.on, &mut groups, budget)
                    }
                    None if sign.is_standing() && is_sought(quad.subject) => {
                        self.node_conflict((sign, quad.subject), source, view, budget)
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
                    ..Cursor::within(quad, TermId::new(sign as u32), false)
                });
            }
        }
        page.end = None;
        page
    }

    /// Returns the signs of conflicts with the quads in which each is found, in the order in which they are gone through.
    fn signs(&self, subject: Option<TermId>, budget: &mut Budget) -> Vec<(Sign, Pattern)> {
        let words = &self.words;
        let with = |property, value| self.in_statements(None, Some(property), value);
        let mut signs = vec![
            (Sign::Disputed, with(words.standing, Some(words.disputed))),
            (Sign::Rejected, with(words.standing, Some(words.rejected))),
            (Sign::Disputes, with(words.disputes, None)),
            (Sign::DisputedByOne, with(words.disputes, None)),
            (Sign::Denies, with(words.negated, None)),
        ];
        if subject.is_some() {
            signs.push((Sign::Differs, with(words.subject, subject)));
        } else if words.functional_property != TermId::MAX {
            let class = Some(words.functional_property);
            let functional = self
                .snapshot
                .quads(default_graph(None, Some(words.r#type), class));
            signs.extend(functional.map(|quad| {
                budget.step(1);
                (Sign::Differs, with(words.predicate, Some(quad.subject)))
            }));
        }
        signs
    }

    /// Returns the conflict that a statement makes by a quad, if no other statement of the group is met before that makes it too, nor
    /// this one by another quad.
    fn conflict(
        &self,
        record: &Record,
        (sign, quad): (Sign, QuadIds),
        on: Option<Day>,
        groups: &mut Groups<'_>,
        budget: &mut Budget,
    ) -> Option<Conflict> {
        let [subject, predicate, _] = record.triple;
        let source = groups.source;
        let view = groups.view;
        if sign == Sign::Differs && !self.is_functional(predicate) {
            return None;
        }
        let group = groups.of(subject, predicate, budget);
        if self.first_sign([subject, predicate], group, on, &view, budget) != Some((sign, record.id)) {
            return None;
        }
        if !self.is_first(record.id, (sign, quad), on, &view, budget) {
            return None;
        }
        let disputing = match sign {
            Sign::DisputedByOne => self.all_disputing(group, source, on, &view, budget),
            _ => Vec::new(),
        };
        if source.is_some() && !group.on(on).chain(&disputing).any(|record| record.has_source) {
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
        }
        let room = FACT_COUNT_MAX.saturating_sub(facts.len());
        for record in disputing.iter().take(room) {
            let [subject, predicate, object] = record.triple;
            let quad = triple(subject, predicate, object);
            let holds = groups.holds(record, budget);
            facts.extend(self.statement_fact(record.id, quad, true, holds, budget));
        }
        facts.truncate(FACT_COUNT_MAX);
        let Term::NamedNode(predicate) = self.snapshot.term(predicate) else {
            return None;
        };
        Some(Conflict {
            subject: NamedOrBlankNode::try_from(self.snapshot.term(subject)).ok()?,
            predicate: Some(predicate),
            facts,
            sign,
        })
    }

    /// Tells whether no other quad than this one is met before that gives a statement the sign.
    fn is_first(
        &self,
        statement: TermId,
        (sign, quad): (Sign, QuadIds),
        on: Option<Day>,
        view: &TimeView,
        budget: &mut Budget,
    ) -> bool {
        let is_on = |(_, one): &Known| may_hold(one, on);
        let (first, other) = match sign {
            Sign::Disputes => (self.disputed(statement, view, budget).find(is_on), quad.object),
            Sign::DisputedByOne => {
                let mut disputing = self.disputing(statement, view, None, budget);
                (disputing.find(is_on), quad.subject)
            }
            Sign::Disputed | Sign::Rejected | Sign::Denies | Sign::Differs => return true,
        };
        first.is_some_and(|(first, _)| first.id == other)
    }

    /// Returns the statements that dispute some of a group, each once.
    fn all_disputing(
        &self,
        group: &Group,
        source: Option<TermId>,
        on: Option<Day>,
        view: &TimeView,
        budget: &mut Budget,
    ) -> Vec<Record> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        for record in group.on(on) {
            let disputing = self.disputing(record.id, view, source, budget);
            let disputing = disputing.filter(|(_, one)| may_hold(one, on));
            found.extend(disputing.map(|(one, _)| one).filter(|one| seen.insert(one.id)));
        }
        found
    }

    /// Returns the conflict that a node makes by its own standing, if it is an event, a claim or an observation.
    fn node_conflict(
        &self,
        (sign, node): (Sign, TermId),
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
        for quad in self.statement_quads(node) {
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
            sign,
        })
    }

    /// Returns the first sign of a conflict in the group of a subject and a predicate, and whose it is; `None` if its statements
    /// agree, with each other and with what holds without any; all of them, or those that may hold on a day. It is looked for once.
    pub(super) fn first_sign(
        &self,
        [subject, predicate]: [TermId; 2],
        group: &Group,
        on: Option<Day>,
        view: &TimeView,
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
                let sign = match record.standing {
                    Some(Standing::Disputed) => Sign::Disputed,
                    Some(Standing::Rejected) => Sign::Rejected,
                    _ => {
                        let may_hold = |(_, one): (_, Evidence<TermId>)| may_hold(&one, on);
                        if self.disputed(record.id, view, budget).any(may_hold) {
                            Sign::Disputes
                        } else if self.disputing(record.id, view, None, budget).any(may_hold) {
                            Sign::DisputedByOne
                        } else if record.is_negated && is_asserted(record) {
                            Sign::Denies
                        } else {
                            return None;
                        }
                    }
                };
                Some((sign, record.id))
            });
            let first = signs.min();
            first.or_else(|| Some((Sign::Differs, self.differing(predicate, group, on, budget)?)))
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
        let records = self.records.iter().zip(&self.evidence);
        records
            .filter(move |(_, one)| may_hold(one, day))
            .map(|(record, _)| record)
    }
}

impl Cursor {
    /// Tells whether a cursor within statements is among the quads of a pattern, gone through for a sign.
    fn is_in(&self, sign: Sign, pattern: Pattern) -> bool {
        let quad = self.quad();
        self.part == Part::Statements
            && self.statement == sign as u32
            && pattern.predicate == Some(quad.predicate)
            && pattern.object.is_none_or(|object| object == quad.object)
    }
}
