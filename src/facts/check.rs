//! Verdicts: whether a triple is so in a time view.

use std::collections::HashSet;

use oxigraph::model::TermRef;

use super::{
    Budget, Reader,
    group::{Group, Groups},
    inherit::is_inherited,
    record::TimeView,
};
use crate::{
    graph::{QuadIds, TermId},
    model::{
        fact::Fact,
        truthy::Evidence,
        value::Value,
        verdict::{Judgement, Question, Rule, Verdict, judge},
        vocabulary as iris,
    },
};

/// Facts that are given as evidence.
const EVIDENCE_COUNT_MAX: usize = 100;

/// The answer to whether a triple is so.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// Why it is so, and thereby the verdict.
    pub rule: Rule,
    /// The facts that decided.
    pub evidence: Vec<Fact>,
}

/// A judgement, with what it was made of.
pub(super) struct Judged {
    judgement: Judgement,
    is_plain: bool,
    /// What the subject gives its facts. In the judgement they come after the statements.
    inherited: Vec<Evidence<TermId>>,
}

impl Reader<'_> {
    /// Tells whether a triple is so in a view.
    pub fn check(
        &self,
        [subject, predicate]: [&str; 2],
        object: TermRef<'_>,
        view: &TimeView,
        budget: &mut Budget,
    ) -> Checked {
        let ids = self.snapshot.iri_id(subject).zip(self.snapshot.iri_id(predicate));
        let Some((subject, predicate)) = ids else {
            return Checked {
                rule: Rule::NothingRecorded,
                evidence: Vec::new(),
            };
        };
        let is_some_value = matches!(object, TermRef::NamedNode(name) if name.as_str() == iris::SOME_VALUE);
        let mut groups = Groups::new(*self, *view, None);
        let object = self.recorded_as(object, [subject, predicate], &mut groups, budget);
        let triple = triple(subject, predicate, object);
        // That all objects are recorded does not say that there is none.
        let closing = if is_some_value {
            None
        } else {
            self.closing([subject, predicate], &mut groups, budget)
        };
        let judged = self.judged(triple, closing.is_some(), &mut groups, budget);
        let mut evidence = self.evidence_of(triple, &judged, &mut groups, budget);
        if let (Rule::NotAmongAll, Some(closing)) = (judged.judgement.rule, &closing) {
            let closing_triple = self.closing_triple([subject, predicate]);
            evidence.extend(self.evidence_of(closing_triple, closing, &mut groups, budget));
        }
        evidence.truncate(EVIDENCE_COUNT_MAX);
        Checked {
            rule: judged.judgement.rule,
            evidence,
        }
    }

    /// Returns the object that is asked about: itself if it is recorded of a subject and a predicate, else one that is, of the same value;
    /// of those one that holds, if one does.
    fn recorded_as(
        &self,
        object: TermRef<'_>,
        [subject, predicate]: [TermId; 2],
        groups: &mut Groups<'_>,
        budget: &mut Budget,
    ) -> TermId {
        // An object that no quad has differs from all others all the same.
        let asked = self.snapshot.id(object).unwrap_or(TermId::MAX);
        let TermRef::Literal(literal) = object else {
            return asked;
        };
        let Some(value) = Value::of(literal) else {
            return asked;
        };
        if self.snapshot.contains(triple(subject, predicate, asked)) {
            return asked;
        }
        let group = groups.of(subject, predicate, budget);
        let stated = group.records.iter().map(|record| record.triple[2]);
        let mut same: Option<(TermId, bool)> = None;
        for recorded in stated.chain(self.objects(subject, predicate)) {
            if recorded == asked || budget.is_overdue() {
                return asked;
            }
            budget.step(1);
            if same.is_none_or(|(_, holds)| !holds) && self.value(recorded) == Some(value) {
                let holds = group.has(recorded) || self.is_plain(triple(subject, predicate, recorded));
                if same.is_none() || holds {
                    same = Some((recorded, holds));
                }
            }
        }
        same.map_or(asked, |(recorded, _)| recorded)
    }

    /// Judges a triple by all that is known of its subject and predicate.
    fn judged(&self, triple: QuadIds, closed: bool, groups: &mut Groups<'_>, budget: &mut Budget) -> Judged {
        let view = groups.view;
        let pair = [triple.subject, triple.predicate];
        let group = groups.of(triple.subject, triple.predicate, budget);
        let inherited = self.inherited_evidence(pair, group, &view, budget);
        let is_plain = self.is_plain(triple);
        let judgement = judge(&Question {
            statements: &self.with_opposed(
                (triple.predicate, group),
                &inherited,
                Some(triple.object),
                &view,
                budget,
            ),
            object: triple.object,
            day: view.day,
            plain: is_plain && !is_inherited(triple.object, &inherited),
            closed,
        });
        Judged {
            judgement,
            is_plain,
            inherited,
        }
    }

    /// Returns the facts that decided.
    fn evidence_of(
        &self,
        triple: QuadIds,
        judged: &Judged,
        groups: &mut Groups<'_>,
        budget: &mut Budget,
    ) -> Vec<Fact> {
        let group = groups.of(triple.subject, triple.predicate, budget);
        let mut evidence = Vec::new();
        let holds_by = |index: &usize| {
            let record = group.records.get(*index);
            record.is_some_and(|record| record.triple[2] == triple.object && group.holds(record.id))
        };
        let is_plain_a_reason = match judged.judgement.rule {
            Rule::Plain => true,
            // Where one of those that decided is what it holds by, it is no fact of its own.
            Rule::Contradicted => !judged.judgement.statements.iter().any(holds_by),
            _ => false,
        };
        if judged.is_plain && is_plain_a_reason {
            evidence.extend(self.plain_fact(triple, budget));
        }
        // Those that hold come first.
        let is_idle = |index: &usize| {
            group
                .records
                .get(*index)
                .is_some_and(|record| !group.holds(record.id))
        };
        let mut statements = judged.judgement.statements.clone();
        statements.sort_by_key(is_idle);
        for index in statements.into_iter().take(EVIDENCE_COUNT_MAX) {
            let at = index.checked_sub(group.evidence.len());
            if let Some(inherited) = at.and_then(|at| judged.inherited.get(at)) {
                let triple = QuadIds {
                    object: inherited.object,
                    ..triple
                };
                let fact = self.plain_fact(triple, budget);
                evidence.extend(fact.filter(|fact| !evidence.contains(fact)));
                continue;
            }
            evidence.extend(self.group_fact(group, index, budget));
        }
        if judged.judgement.rule == Rule::Opposed {
            self.add_opposing(&mut evidence, groups, budget);
        }
        evidence
    }

    /// Adds the statements that contradict some on the day, each once; there is as much room for them as for those that they contradict.
    fn add_opposing(&self, evidence: &mut Vec<Fact>, groups: &mut Groups<'_>, budget: &mut Budget) {
        evidence.truncate(EVIDENCE_COUNT_MAX / 2);
        let ids = evidence.iter().filter_map(|fact| fact.statement.as_deref());
        let opposed: Vec<_> = ids.filter_map(|one| self.snapshot.iri_id(&one.id)).collect();
        let mut seen: HashSet<_> = opposed.iter().copied().collect();
        for id in opposed {
            for record in self.opposing(id, groups, budget) {
                if evidence.len() >= EVIDENCE_COUNT_MAX || budget.is_overdue() {
                    break;
                }
                if seen.insert(record.id) {
                    let holds = groups.holds(&record, budget);
                    let [subject, predicate, object] = record.triple;
                    let quad = triple(subject, predicate, object);
                    evidence.extend(self.statement_fact(record.id, quad, true, holds, budget));
                }
            }
        }
        evidence.sort_by_key(|fact| !fact.holds);
    }

    /// Returns one statement, whole, retracted or not, as it was known. `None` if there is none, or was none then.
    pub fn statement_of(&self, id: &str, view: &TimeView, budget: &mut Budget) -> Option<Fact> {
        let id = self.snapshot.iri_id(id)?;
        let record = self.record(id, None, budget)?;
        if !record.is_recorded(view) {
            return None;
        }
        let mut groups = Groups::new(*self, *view, None);
        let [subject, predicate, object] = record.triple;
        let is_known = record.is_known(view);
        let holds = groups.holds(&record, budget);
        self.statement_fact(id, triple(subject, predicate, object), is_known, holds, budget)
    }

    /// Returns why every object that a subject has by a predicate is recorded; `None` if that is not certainly so.
    pub(super) fn closing(
        &self,
        pair: [TermId; 2],
        groups: &mut Groups<'_>,
        budget: &mut Budget,
    ) -> Option<Judged> {
        if self.words.closed_for == TermId::MAX {
            return None;
        }
        let judged = self.judged(self.closing_triple(pair), false, groups, budget);
        (judged.judgement.verdict() == Verdict::True).then_some(judged)
    }

    fn closing_triple(&self, [subject, predicate]: [TermId; 2]) -> QuadIds {
        triple(subject, self.words.closed_for, predicate)
    }

    /// Returns the fact of a triple without a statement, with what it inherits.
    pub(super) fn plain_fact(&self, triple: QuadIds, budget: &mut Budget) -> Option<Fact> {
        let inherited = self.inherited_by(triple, budget);
        let holds = self.snapshot.contains(triple);
        self.fact(triple, inherited, holds, budget).map(|fact| *fact)
    }

    pub(super) fn group_fact(&self, group: &Group, index: usize, budget: &mut Budget) -> Option<Fact> {
        let record = &group.records[index];
        let [subject, predicate, object] = record.triple;
        let holds = group.holds(record.id);
        self.statement_fact(record.id, triple(subject, predicate, object), true, holds, budget)
    }
}

pub(super) fn triple(subject: TermId, predicate: TermId, object: TermId) -> QuadIds {
    QuadIds {
        subject,
        predicate,
        object,
        graph: TermId::DEFAULT_GRAPH,
    }
}
