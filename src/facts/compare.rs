//! Comparisons: what is stated of one subject and predicate, object by object.

use std::collections::HashSet;

use oxigraph::model::Term;

use super::{
    Budget, Reader,
    check::triple,
    conflicts::Sign,
    default_graph,
    group::{Group, Groups},
    inherit::is_inherited,
    record::TimeView,
    statement::term_bytes,
};
use crate::{
    graph::TermId,
    model::{
        fact::{Fact, Source, Standing},
        truthy::Evidence,
        verdict::{Question, Rule, bystanders, judge},
    },
};

/// What is stated of one subject and predicate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// One for each object, and each that is denied, as far as there was room.
    pub groups: Vec<ObjectGroup>,
    /// By what the facts conflict; `None` if they do not.
    pub sign: Option<Sign>,
    /// Facts for which there was no room.
    pub omitted_fact_count: usize,
}

/// What is stated of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectGroup {
    /// The object.
    pub object: Term,
    /// Whether it is denied.
    pub is_negated: bool,
    /// Why the verdict on the triple is what it is.
    pub rule: Rule,
    /// The facts.
    pub facts: Vec<Fact>,
    /// Their sources, each once.
    pub sources: Vec<Source>,
}

/// All that is known of a subject and a predicate.
struct Known<'a> {
    pair: [TermId; 2],
    group: &'a Group,
    /// The evidence of the group, then what the subject gives its facts.
    evidence: Vec<Evidence<TermId>>,
    /// The indices of the evidence, by object.
    order: Vec<usize>,
    /// Objects of plain triples, sorted.
    plain: Vec<TermId>,
}

/// Returns by what a node makes a conflict of its facts.
fn of_node(one: &Evidence<TermId>) -> Option<Sign> {
    match one.standing {
        Standing::Disputed if one.live => Some(Sign::Disputed),
        Standing::Rejected if one.live => Some(Sign::Rejected),
        _ => None,
    }
}

impl Known<'_> {
    /// Returns each object with whether it is denied, sorted.
    fn sides(&self) -> Vec<(TermId, bool)> {
        let stated = self.evidence.iter().map(|one| (one.object, one.negated));
        let plain = self.plain.iter().map(|object| (*object, false));
        let mut sides: Vec<_> = stated.chain(plain).collect();
        sides.sort_unstable();
        sides.dedup();
        sides
    }

    /// Returns the indices of the evidence about an object.
    fn about(&self, object: TermId) -> &[usize] {
        let start = self
            .order
            .partition_point(|at| self.evidence[*at].object < object);
        let rest = &self.order[start..];
        &rest[..rest.partition_point(|at| self.evidence[*at].object == object)]
    }

    /// Returns the statements of one side.
    fn statements(&self, (object, is_negated): (TermId, bool)) -> impl Iterator<Item = usize> + '_ {
        let about = self.about(object).iter().copied();
        about.filter(move |at| *at < self.group.evidence.len() && self.evidence[*at].negated == is_negated)
    }

    fn is_plain(&self, object: TermId) -> bool {
        self.plain.binary_search(&object).is_ok()
    }

    /// Tells whether one side is a fact of its own: what no statement says is plain, or given by the subject, and what is plain may
    /// hold by no statement.
    fn has_own_fact(&self, side: (TermId, bool)) -> bool {
        let (object, is_negated) = side;
        let is_plain = !is_negated && self.is_plain(object) && !self.group.has(object);
        is_plain || self.statements(side).next().is_none()
    }

    fn fact_count(&self, side: (TermId, bool)) -> usize {
        self.statements(side).count() + usize::from(self.has_own_fact(side))
    }
}

impl Reader<'_> {
    /// Compares what is known of a subject and a predicate in a view.
    pub fn compare(
        &self,
        [subject, predicate]: [&str; 2],
        view: &TimeView,
        budget: &mut Budget,
    ) -> Comparison {
        let mut comparison = Comparison::default();
        let ids = self.snapshot.iri_id(subject).zip(self.snapshot.iri_id(predicate));
        let Some((subject, predicate)) = ids else {
            return comparison;
        };
        let pair = [subject, predicate];
        let mut groups = Groups::new(*self, *view, None);
        let closed = self.closing(pair, &mut groups, budget).is_some();
        let group = groups.of(subject, predicate, budget);
        let inherited = self.inherited_evidence(pair, group, view, budget);
        let first = self.first_sign(pair, group, None, view, budget);
        comparison.sign = first
            .map(|(sign, _)| sign)
            .or_else(|| inherited.iter().find_map(of_node));
        let known = self.known(pair, group, &inherited, view, budget);
        let of_all = bystanders(&known.evidence, view.day);
        for side in known.sides() {
            let about = known.about(side.0);
            budget.step(u32::try_from(about.len()).unwrap_or(u32::MAX).max(1));
            if budget.is_overdue() {
                break;
            }
            if budget.is_out_of_text() {
                comparison.omitted_fact_count += known.fact_count(side);
                continue;
            }
            let own = about.iter().map(|at| &known.evidence[*at]);
            let question = Question {
                statements: &own.chain(&of_all).copied().collect::<Vec<_>>(),
                object: side.0,
                day: view.day,
                plain: known.is_plain(side.0) && !is_inherited(side.0, &inherited),
                closed: closed && side.0 != self.words.some_value,
            };
            let rule = judge(&question).rule;
            let (group, omitted) = self.object_group(&known, side, rule, budget);
            comparison.groups.push(group);
            comparison.omitted_fact_count += omitted;
        }
        comparison
    }

    fn known<'a>(
        &self,
        pair: [TermId; 2],
        group: &'a Group,
        inherited: &[Evidence<TermId>],
        view: &TimeView,
        budget: &mut Budget,
    ) -> Known<'a> {
        let evidence = self.with_opposed((pair[1], group), inherited, None, view, budget);
        let mut order: Vec<_> = (0..evidence.len()).collect();
        order.sort_by_key(|at| evidence[*at].object);
        let mut plain = Vec::new();
        for quad in self
            .snapshot
            .quads(default_graph(Some(pair[0]), Some(pair[1]), None))
        {
            if budget.is_overdue() {
                break;
            }
            budget.step(1);
            if !self.is_derived(quad) {
                plain.push(quad.object);
            }
        }
        plain.sort_unstable();
        Known {
            pair,
            group,
            evidence,
            order,
            plain,
        }
    }

    /// Returns what is stated of an object, or what denies it, and how many facts there was no room for.
    fn object_group(
        &self,
        known: &Known<'_>,
        side: (TermId, bool),
        rule: Rule,
        budget: &mut Budget,
    ) -> (ObjectGroup, usize) {
        let (object, is_negated) = side;
        let mut group = ObjectGroup {
            object: self.snapshot.term(object),
            is_negated,
            rule,
            facts: Vec::new(),
            sources: Vec::new(),
        };
        budget.text(term_bytes(&group.object));
        let mut statement_count = 0;
        for at in known.statements(side) {
            statement_count += 1;
            if !budget.is_out_of_text() {
                group.facts.extend(self.group_fact(known.group, at, budget));
            }
        }
        let omitted = statement_count - group.facts.len();
        if known.has_own_fact(side) {
            let [subject, predicate] = known.pair;
            group
                .facts
                .extend(self.plain_fact(triple(subject, predicate, object), budget));
        }
        let mut seen = HashSet::new();
        let statements = group.facts.iter().filter_map(|fact| fact.statement.as_deref());
        for source in statements.flat_map(|statement| &statement.sources) {
            if seen.insert(source.iri.as_str()) {
                budget.text(source.iri.len() + source.title.len() + source.publisher.len());
                budget.text(source.attribution.len() + source.license.len());
                group.sources.push(Source {
                    locator: String::new(),
                    ..source.clone()
                });
            }
        }
        (group, omitted)
    }
}
