//! The reference date: the day that the default graph was derived for, and what changes when it does.

use std::convert::Infallible;

use oxigraph::model::{Literal, NamedNodeRef, vocab::xsd};

use super::{
    Change, ModelError,
    group::{Group, Groups, Settled},
    node::Nodes,
    property::{self, part},
};
use crate::{
    graph::{Draft, Edit, GraphPattern, Pattern, QuadIds, Snapshot, TermId, TermView},
    model::{day::Day, edtf::Bounds, vocabulary as iris},
};

/// Which groups to derive anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// All of them, from nothing.
    All,
    /// Those that may turn between the recorded day and another.
    Since(Day),
}

/// Returns the day that the default graph was derived for: `g:derived d:referenceDate` in `g:meta`. `None` as long as there
/// are no statements.
pub fn reference_day(snapshot: &Snapshot) -> Option<Day> {
    let id = |iri| snapshot.iri_id(iri);
    let dates = Pattern {
        subject: Some(id(iris::DERIVED)?),
        predicate: Some(id(iris::REFERENCE_DATE)?),
        object: None,
        graph: GraphPattern::Named(id(iris::META)?),
    };
    let mut days = snapshot
        .quads(dates)
        .filter_map(|quad| property::day(snapshot.view(quad.object)));
    days.next()
}

/// Tells what to derive anew so that a graph is that of a day.
///
/// A graph with statements but without a recorded day is from before the server derived.
pub fn due(snapshot: &Snapshot, day: Day) -> Option<Scope> {
    let statements = snapshot.iri_id(iris::STATEMENTS)?;
    if snapshot.count(Pattern::all(GraphPattern::Named(statements))) == 0 {
        return None;
    }
    match reference_day(snapshot) {
        None => Some(Scope::All),
        Some(recorded) if recorded == day => None,
        Some(recorded) => Some(Scope::Since(recorded)),
    }
}

/// Derives a graph for a day, and records the day. Nothing is checked: what is there stays.
pub fn rederive(draft: &mut Draft, day: Day, scope: Scope) {
    let mut nodes = Nodes::on(draft.snapshot());
    if nodes.statements == TermId::MAX && nodes.derived == TermId::MAX {
        return;
    }
    let now = draft.snapshot().clone();
    let change = Change {
        base: now.clone(),
        now: now.clone(),
        changes: Draft::new(now).changes(),
        repeated: Vec::new(),
    };
    let groups = match scope {
        Scope::All => all(&nodes, &change.now),
        Scope::Since(recorded) => turning(&nodes, &change.now, recorded.min(day), recorded.max(day)),
    };
    let mut settled = Settled::default();
    // An error is about a change, and there is none.
    if change.settle(&mut nodes, &groups, day, &mut settled).is_err() {
        return;
    }
    let date = dates(&change.now, &nodes, day);
    draft.edit(|edit| {
        settled.write(edit, nodes.derived);
        date.write(edit);
    });
}

/// Returns every group of statements, and every one of a derived triple.
fn all(nodes: &Nodes, snapshot: &Snapshot) -> Vec<Group> {
    let mut groups = Groups::default();
    if nodes.statements != TermId::MAX {
        for quad in snapshot.quads(nodes.with(part::SUBJECT, None)) {
            groups.of_node(nodes, snapshot, quad.subject);
        }
    }
    let derived = Pattern::all(GraphPattern::Named(nodes.derived));
    snapshot.quads(derived).for_each(|quad| groups.push(quad));
    groups.sorted()
}

/// Returns the groups of the statements that may begin or end after `first` and not after `last`.
fn turning(nodes: &Nodes, snapshot: &Snapshot, first: Day, last: Day) -> Vec<Group> {
    let mut groups = Groups::default();
    let each = &mut |node| {
        groups.of_node(nodes, snapshot, node);
        Ok(())
    };
    let Ok(()) = each_turning::<Infallible>(nodes, snapshot, [first, last], each);
    groups.sorted()
}

/// Calls `each` for the statements that may begin or end between two days, in whatever order, until it fails; for all of them, if there
/// are no days.
pub(in crate::facts) fn turned<E>(
    snapshot: &Snapshot,
    days: Option<(Day, Day)>,
    each: &mut dyn FnMut(TermId) -> Result<(), E>,
) -> Result<(), E> {
    let nodes = Nodes::on(snapshot);
    if nodes.statements == TermId::MAX {
        return Ok(());
    }
    match days {
        Some((one, other)) => each_turning(&nodes, snapshot, [one.min(other), one.max(other)], each),
        None => snapshot
            .quads(nodes.with(part::SUBJECT, None))
            .try_for_each(|quad| each(quad.subject)),
    }
}

fn each_turning<E>(
    nodes: &Nodes,
    snapshot: &Snapshot,
    [first, last]: [Day; 2],
    each: &mut dyn FnMut(TermId) -> Result<(), E>,
) -> Result<(), E> {
    let is_between = |day: Option<Day>| day.is_some_and(|day| first < day && day <= last);
    for part in [part::EDTF, part::OBSERVED_ON] {
        let pattern = nodes.with(part, None);
        let mut next = snapshot.quads(pattern).next();
        while let Some(quad) = next {
            let view = snapshot.view(quad.object);
            let may_turn = match view {
                TermView::String(text) if part == part::EDTF => text.parse().is_ok_and(|bounds: Bounds| {
                    is_between(bounds.latest_start()) || is_between(bounds.earliest_end())
                }),
                // It begins no later, and is over no earlier than on the day after.
                _ => property::day(view)
                    .is_some_and(|day| is_between(Some(day)) || is_between(Some(day.next()))),
            };
            if may_turn {
                for quad in snapshot.quads(nodes.with(part, Some(quad.object))) {
                    each(quad.subject)?;
                }
            }
            // Each text once, however many statements have it.
            let past = QuadIds {
                subject: TermId::MAX,
                ..quad
            };
            next = snapshot.quads_after(pattern, past).next();
        }
    }
    Ok(())
}

/// The recorded day that is to be, and those that are not.
#[derive(Debug, Default)]
pub(super) struct Dates {
    day: Option<Day>,
    wrong: Vec<QuadIds>,
}

impl Dates {
    pub(super) fn write(&self, edit: &mut Edit) {
        self.wrong.iter().for_each(|quad| edit.remove(*quad));
        if let Some(day) = self.day {
            let literal = Literal::new_typed_literal(day.to_string(), xsd::DATE);
            let quad = QuadIds {
                subject: edit.id(super::graph_name(iris::DERIVED)),
                predicate: edit.id(NamedNodeRef::new_unchecked(iris::REFERENCE_DATE).into()),
                object: edit.id(literal.as_ref().into()),
                graph: edit.id(super::graph_name(iris::META)),
            };
            edit.insert(quad);
        }
    }
}

/// Returns what must change in `g:meta` so that it has the day, and no other.
fn dates(snapshot: &Snapshot, nodes: &Nodes, day: Day) -> Dates {
    let has_statements = nodes.statements != TermId::MAX
        && snapshot.count(Pattern::all(GraphPattern::Named(nodes.statements))) > 0;
    if !has_statements {
        return Dates::default();
    }
    let wrong =
        recorded(snapshot, nodes).filter(|quad| property::day(snapshot.view(quad.object)) != Some(day));
    Dates {
        day: Some(day),
        wrong: wrong.collect(),
    }
}

fn recorded<'a>(snapshot: &'a Snapshot, nodes: &Nodes) -> impl Iterator<Item = QuadIds> + use<'a> {
    snapshot.quads(Pattern {
        subject: Some(nodes.derived),
        predicate: Some(nodes.reference_date),
        object: None,
        graph: GraphPattern::Named(nodes.meta),
    })
}

/// Returns what must change in `g:meta` after a change, which must not have put another day there.
pub(super) fn reference_quads(change: &Change, nodes: &Nodes, day: Day) -> Result<Dates, ModelError> {
    let dates = dates(&change.now, nodes, day);
    match dates.wrong.iter().find(|quad| !change.base.contains(**quad)) {
        Some(quad) => Err(ModelError::DerivedGraph {
            quad: change.text(*quad),
        }),
        None => Ok(dates),
    }
}
