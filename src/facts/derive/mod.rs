//! Derives the triples that hold from the statements, in the same commit that changes a statement.
//!
//! The default graph is plain triples and derived ones; `g:derived` has exactly those derived triples that are not plain.
//! Only *groups*, the statements of one subject and predicate, that a change touches are looked at: the work is in
//! proportion to the change and to the groups.

mod check;
mod claim;
mod class;
mod error;
mod group;
mod judged;
mod node;
mod property;
#[cfg(test)]
mod tests;
mod turn;

use oxigraph::model::{Literal, NamedNodeRef, TermRef, vocab::xsd};
use oxsdatatypes::DateTime;

use self::{
    check::Missing,
    class::Classes,
    group::{Group, Groups, Settled},
    node::Nodes,
    property::part,
};
pub use self::{
    error::{Cause, ModelError, StatementFault},
    turn::{Scope, due, rederive, reference_day},
};
pub(super) use self::{property::boolean, turn::turned};
use super::time::date_time;
use crate::{
    graph::{Changes, Draft, QuadIds, Snapshot, TermId},
    model::{day::Day, fact::UnixTime, vocabulary as iris},
};

/// Invalid nodes whose faults are told.
const FAULTY_NODE_COUNT_MAX: u64 = 20;
/// How far the clock of one who recorded something may be ahead of ours: five minutes.
const CLOCK_DIFFERENCE_US: u64 = 300_000_000;

/// Begins a draft that [`derive()`] can end.
pub fn draft(base: Snapshot) -> Draft {
    let derived = base.iri_id(iris::DERIVED);
    Draft::watching(base, derived)
}

/// Checks what a draft did to statements, and brings the default graph and `g:derived` into line with them, on the reference
/// date. A graph that was derived for another is brought to it first, by [`rederive`].
pub fn derive(draft: &mut Draft, day: Day) -> Result<(), ModelError> {
    let mut nodes = Nodes::on(draft.snapshot());
    let is_plain = nodes.has_none(draft.base()) && nodes.has_none(draft.snapshot());
    if is_plain && draft.snapshot().count(nodes.judged(TermId::DEFAULT_GRAPH, None)) == 0 {
        return Ok(());
    }
    let changes = draft.changes();
    let mut repeated: Vec<_> = draft.repeated().collect();
    repeated.sort_unstable();
    repeated.dedup();
    let change = Change {
        base: draft.base().clone(),
        now: draft.snapshot().clone(),
        changes,
        repeated,
    };
    let mut settled = Settled::default();
    let touched = change.touched_nodes(&nodes);
    let time = date_time(UnixTime::from_micros(draft.commit_time_us()));
    let Checked { missing, remains } = change.check(
        &mut nodes,
        &touched,
        latest(draft.commit_time_us()),
        draft.is_part(),
    )?;
    let groups = change.touched_groups(&nodes, &touched);
    change.settle(&mut nodes, &groups, day, &mut settled)?;
    claim::check(&change, &nodes)?;
    let date = turn::reference_quads(&change, &nodes, day)?;
    let judged = change.touched_judged(&nodes, &touched, &groups, &settled);
    draft.edit(|edit| {
        settled.write(edit, nodes.derived);
        for (node, missing) in missing {
            complete(edit, &nodes, node, missing, &time);
        }
        for quad in remains {
            edit.remove(quad);
        }
        date.write(edit);
    });
    let touched = judged::Touched {
        nodes: &judged,
        statements: &touched,
        is_part: draft.is_part(),
    };
    judged::check(&mut nodes, draft.snapshot(), &touched)
}

/// Returns the latest time at which something can have been recorded elsewhere, in a commit of a time (0: of none).
fn latest(commit_time_us: u64) -> Option<DateTime> {
    let latest = UnixTime::from_micros(commit_time_us.checked_add(CLOCK_DIFFERENCE_US)?);
    (commit_time_us > 0).then(|| date_time(latest).value().parse().ok())?
}

fn graph_name(iri: &str) -> TermRef<'_> {
    NamedNodeRef::new_unchecked(iri).into()
}

/// Adds what a statement lacks that follows from the rest; `time` is that of the commit.
fn complete(edit: &mut crate::graph::Edit, nodes: &Nodes, node: TermId, missing: Missing, time: &Literal) {
    let mut add = |part: usize, literal: &Literal| {
        let quad = QuadIds {
            subject: node,
            predicate: edit.id(NamedNodeRef::new_unchecked(property::PROPERTIES[part].iri).into()),
            object: edit.id(TermRef::from(literal.as_ref())),
            graph: nodes.statements,
        };
        edit.insert(quad);
    };
    if missing.generated_at {
        add(part::GENERATED_AT, time);
    }
    for (part, day) in [
        (part::VALID_FROM, missing.valid_from),
        (part::VALID_UNTIL, missing.valid_until),
    ] {
        if let Some(day) = day {
            add(part, &Literal::new_typed_literal(day.to_string(), xsd::DATE));
        }
    }
}

/// Faults of nodes, those of the first of them.
#[derive(Default)]
struct Faults {
    faults: Vec<StatementFault>,
    node_count: u64,
}

impl Faults {
    /// Adds those of one node.
    fn add(&mut self, faults: Vec<StatementFault>) {
        if self.node_count < FAULTY_NODE_COUNT_MAX {
            self.faults.extend(faults);
        }
        self.node_count += 1;
    }

    fn into_result(self) -> Result<(), ModelError> {
        let Self { faults, node_count } = self;
        if node_count == 0 {
            Ok(())
        } else {
            Err(ModelError::StatementInvalid { faults, node_count })
        }
    }
}

/// What follows from touched nodes that are valid.
#[derive(Default)]
struct Checked {
    /// What statements lack.
    missing: Vec<(TermId, Missing)>,
    /// What is left of statements that were deleted.
    remains: Vec<QuadIds>,
}

/// A change to judge: what was, what is, and the difference.
struct Change {
    base: Snapshot,
    now: Snapshot,
    changes: Changes,
    /// Quads of the default graph and of `g:derived` that were inserted although they were there, sorted.
    repeated: Vec<QuadIds>,
}

impl Change {
    /// Nodes of `g:statements` of which a quad came or went, sorted.
    fn touched_nodes(&self, nodes: &Nodes) -> Vec<TermId> {
        let inserted = self.changes.inserted_in(nodes.statements);
        let mut touched: Vec<_> = inserted.map(|quad| quad.subject).collect();
        touched.dedup();
        touched.extend(self.changes.removed_in(nodes.statements).map(|quad| quad.subject));
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// Checks touched nodes. Nothing in them was recorded after `latest`; of a part, what is missing may come with a later commit.
    fn check(
        &self,
        nodes: &mut Nodes,
        touched: &[TermId],
        latest: Option<DateTime>,
        is_part: bool,
    ) -> Result<Checked, ModelError> {
        let mut checked = Checked::default();
        let mut found = Faults::default();
        let mut claimed = Ok(());
        for &id in touched {
            match check::check(nodes, &self.now, id, latest) {
                Ok((node, missing)) => {
                    if missing.is_any() {
                        checked.missing.push((id, missing));
                    }
                    if !node.is_statement() {
                        match check::remains(nodes, [&self.base, &self.now], id, &node, is_part) {
                            Ok(remains) => checked.remains.extend(remains),
                            Err(fault) => found.add(vec![fault]),
                        }
                    }
                    claimed = claimed.and_then(|()| claim::check_statement(&self.now, nodes, id, &node));
                }
                Err(faults) => found.add(faults),
            }
        }
        // Faults of statements first: all of them are told.
        found.into_result().and(claimed).map(|()| checked)
    }

    /// Nodes of which what is said may be another than before, statements aside, if they have a standing or a class is stated
    /// of one; sorted. Few have a standing, so that a load of many subjects looks at those that have.
    fn touched_judged(
        &self,
        nodes: &Nodes,
        touched: &[TermId],
        groups: &[Group],
        settled: &Settled,
    ) -> Vec<TermId> {
        let default = TermId::DEFAULT_GRAPH;
        let quads = self.changes.inserted_in(default);
        let quads = quads.chain(self.changes.removed_in(default));
        let mut subjects: Vec<_> = quads.map(|quad| quad.subject).collect();
        subjects.dedup();
        subjects.sort_unstable();
        subjects.dedup();
        let judged = [default, nodes.statements].map(|graph| nodes.judged(graph, None));
        let classes = Classes::on(nodes, &self.now);
        let judged_count: u64 = judged.iter().map(|judged| self.now.count(*judged)).sum();
        let held_count = judged_count + classes.stated_count();
        if held_count < subjects.len() as u64 {
            let judged = judged.into_iter().flat_map(|judged| self.now.quads(judged));
            let stated = classes.stated_nodes(nodes, &self.now);
            subjects = judged
                .map(|quad| quad.subject)
                .chain(stated)
                .filter(|node| subjects.binary_search(node).is_ok())
                .collect();
        }
        // A standing that comes to hold is not there yet.
        subjects.extend(settled.changed().map(|quad| quad.subject));
        subjects.extend(touched);
        if held_count > 0 {
            subjects.extend(groups.iter().map(|group| group.subject));
        }
        // A claim is as good as its content.
        subjects.extend(claim::claims_of(&self.now, nodes, touched));
        subjects.sort_unstable();
        subjects.dedup();
        subjects.retain(|&node| !nodes.is_statement(&self.now, node));
        subjects
    }

    /// Groups whose triples may be others than before, sorted.
    fn touched_groups(&self, nodes: &Nodes, touched: &[TermId]) -> Vec<Group> {
        let mut groups = Groups::default();
        for &node in touched {
            groups.of_node(nodes, &self.base, node);
            groups.of_node(nodes, &self.now, node);
        }
        let is_derived = |quad: &QuadIds| {
            let derived = QuadIds {
                graph: nodes.derived,
                ..*quad
            };
            self.base.contains(derived) || self.now.contains(derived)
        };
        let default = TermId::DEFAULT_GRAPH;
        let plain = self
            .changes
            .inserted_in(default)
            .chain(self.repeated.iter().copied().filter(|quad| quad.graph == default))
            .filter(is_derived)
            .chain(self.changes.removed_in(default))
            .chain(self.changes.inserted_in(nodes.derived))
            .chain(self.changes.removed_in(nodes.derived));
        plain.for_each(|quad| groups.push(quad));
        groups.sorted()
    }
}
