//! The checks of statement nodes that a change touches.

use std::cmp::Ordering;

use oxsdatatypes::DateTime;

use super::{
    class::Classes,
    error::StatementFault,
    node::{Node, Nodes, about},
    property::{self, PROPERTIES, part},
};
use crate::{
    graph::{Pattern, QuadIds, Snapshot, TermId},
    model::{
        day::Day,
        fact::{Stance, Standing},
        validity::Validity,
        vocabulary as iris,
    },
};

/// Faults of one node that are told.
pub(super) const FAULT_COUNT_MAX: usize = 20;

/// What is added to statements.
const ADDED: [usize; 3] = [part::VALID_FROM, part::VALID_UNTIL, part::GENERATED_AT];
/// What nothing but statements and nodes with a class have.
const MARKS: [usize; 6] = [
    part::STANCE,
    part::STANDING,
    part::BASIS,
    part::CONFIDENCE,
    part::NEGATED,
    part::OBSERVED_ON,
];

/// What must be added to a valid node.
#[derive(Clone, Copy, Default)]
pub(super) struct Missing {
    pub(super) generated_at: bool,
    pub(super) valid_from: Option<Day>,
    pub(super) valid_until: Option<Day>,
}

impl Missing {
    pub(super) fn is_any(&self) -> bool {
        self.generated_at || self.valid_from.is_some() || self.valid_until.is_some()
    }
}

/// Checks a node. Tells what it lacks that follows from the rest, or its faults. Nothing was recorded after `latest`.
pub(super) fn check(
    nodes: &mut Nodes,
    snapshot: &Snapshot,
    id: TermId,
    latest: Option<DateTime>,
) -> Result<(Node, Missing), Vec<StatementFault>> {
    let mut faults = Vec::new();
    let mut tell = |part: usize, message: String| {
        if faults.len() < FAULT_COUNT_MAX {
            faults.push((part, message));
        }
    };
    let node = nodes.read(snapshot, id, |part, value| {
        if let Err(message) = PROPERTIES[part].value.check(snapshot, value) {
            tell(part, message);
        }
    });
    let mut missing = Missing::default();
    if !node.is_statement() {
        return Ok((node, missing));
    }
    for (part, property) in PROPERTIES.iter().enumerate() {
        if let Err(message) = property.count.check(node.counts[part]) {
            tell(part, message);
        }
    }
    check_source(nodes, &node, &mut tell);
    check_acceptance(nodes, &node, &mut tell);
    check_validity(nodes, snapshot, &node, &mut missing, &mut tell);
    check_record(snapshot, &node, latest, &mut missing, &mut tell);
    if faults.is_empty() {
        return Ok((node, missing));
    }
    Err(faults
        .into_iter()
        .map(|(part, message)| StatementFault {
            node: node_text(snapshot, id),
            property: PROPERTIES[part].iri,
            message,
            cause: None,
        })
        .collect())
}

/// Returns what is left of a node that is no statement, if it was one: what is added to statements goes with them, and nothing else
/// may be left. A node that never was one has no marks of a statement, unless it has a class.
pub(super) fn remains(
    nodes: &mut Nodes,
    [base, now]: [&Snapshot; 2],
    id: TermId,
    node: &Node,
    is_part: bool,
) -> Result<Vec<QuadIds>, StatementFault> {
    let fault = |message: &str| StatementFault {
        node: node_text(now, id),
        property: iris::SUBJECT,
        message: message.to_owned(),
        cause: None,
    };
    let left = now.quads(about(nodes.statements, id));
    if nodes.read(base, id, |_, _| {}).is_statement() {
        let left: Vec<_> = left.collect();
        return if left.len() as u64 == node.count_of(&ADDED) {
            Ok(left)
        } else {
            Err(fault(
                "is gone, and other properties of the statement are left: a statement is deleted whole, or retracted",
            ))
        };
    }
    let is_marked = node.count_of(&MARKS) > 0;
    if is_marked && !is_part && !has_class(nodes, now, id) {
        return Err(fault(
            "is missing: only statements, and events, claims and observations with their class, have a d:standing and the like",
        ));
    }
    Ok(Vec::new())
}

/// Tells whether a class of a node is said anywhere.
fn has_class(nodes: &mut Nodes, snapshot: &Snapshot, id: TermId) -> bool {
    let Some(r#type) = snapshot.iri_id(iris::TYPE) else {
        return false;
    };
    let is_said = [TermId::DEFAULT_GRAPH, nodes.statements]
        .into_iter()
        .any(|graph| {
            let said = Pattern {
                predicate: Some(r#type),
                ..about(graph, id)
            };
            snapshot.count(said) > 0
        });
    is_said
        || Classes::on(nodes, snapshot)
            .stated(nodes, snapshot, id)
            .contains(&true)
}

/// What is inferred may have no source; all else has one.
pub(super) fn check_source(nodes: &Nodes, node: &Node, tell: &mut impl FnMut(usize, String)) {
    let is_inferred = node.only(part::BASIS) == Some(nodes.inferred);
    if node.counts[part::SOURCE] == 0 && !is_inferred {
        tell(
            part::SOURCE,
            "a source is missing, which only what is inferred (d:basis d:Inferred) may lack".to_owned(),
        );
    }
}

/// Only what a source asserts is accepted.
pub(super) fn check_acceptance(nodes: &Nodes, node: &Node, tell: &mut impl FnMut(usize, String)) {
    let is_accepted = matches!(
        nodes.standing(node),
        Some(Standing::Accepted | Standing::Preferred)
    );
    if is_accepted
        && nodes
            .stance(node)
            .is_some_and(|stance| stance != Stance::Asserted)
    {
        tell(
            part::STANDING,
            "only what a source asserts (d:stance d:Asserted) is accepted or preferred".to_owned(),
        );
    }
}

/// `d:edtf` rules: the dates are those of its bounds, and so its start is before its end; what was observed is inside.
fn check_validity(
    nodes: &mut Nodes,
    snapshot: &Snapshot,
    node: &Node,
    missing: &mut Missing,
    tell: &mut impl FnMut(usize, String),
) {
    let bounds = nodes.bounds(snapshot, node);
    if node.counts[part::EDTF] > 1 || (node.counts[part::EDTF] == 1 && bounds.is_none()) {
        return;
    }
    let observed = node.observed.into_iter().flat_map(|(first, last)| [first, last]);
    let outside = |day: &Day| bounds.is_some_and(|bounds| Validity::excludes(bounds, *day));
    if let Some(day) = observed.into_iter().find(outside) {
        tell(
            part::OBSERVED_ON,
            format!("{day} is outside of d:edtf, which says that it did not hold then"),
        );
    }
    let expected = [
        (part::VALID_FROM, bounds.and_then(|bounds| bounds.valid_from())),
        (part::VALID_UNTIL, bounds.and_then(|bounds| bounds.valid_until())),
    ];
    for (part, expected) in expected {
        let Some(id) = node.only(part) else {
            if node.counts[part] == 0 {
                match part {
                    part::VALID_FROM => missing.valid_from = expected,
                    _ => missing.valid_until = expected,
                }
            }
            continue;
        };
        let Some(found) = property::day(snapshot.view(id)) else {
            continue;
        };
        match expected {
            Some(expected) if expected == found => {}
            Some(expected) => tell(part, format!("{found} is not {expected}, as d:edtf has it")),
            None if bounds.is_some() => tell(part, format!("{found} is given, and d:edtf has no such date")),
            None => tell(part, "d:edtf is missing, which says when it holds".to_owned()),
        }
    }
}

/// A statement is recorded before it is retracted, and neither in the future.
fn check_record(
    snapshot: &Snapshot,
    node: &Node,
    latest: Option<DateTime>,
    missing: &mut Missing,
    tell: &mut impl FnMut(usize, String),
) {
    missing.generated_at = node.counts[part::GENERATED_AT] == 0;
    let time = |part| {
        node.only(part)
            .and_then(|id| property::date_time(snapshot.view(id)))
    };
    if missing.generated_at && !node.is_live() {
        tell(
            part::GENERATED_AT,
            "is missing, and the statement is retracted: only of a live one is it the time of the commit"
                .to_owned(),
        );
    }
    for part in [part::GENERATED_AT, part::INVALIDATED_AT] {
        let is_future = |time: &DateTime| {
            latest.is_some_and(|latest| time.partial_cmp(&latest) == Some(Ordering::Greater))
        };
        if let Some(time) = time(part).filter(is_future) {
            tell(part, format!("{time} is in the future"));
        }
    }
    if let (Some(generated), Some(invalidated)) = (time(part::GENERATED_AT), time(part::INVALIDATED_AT))
        && invalidated.partial_cmp(&generated) == Some(Ordering::Less)
    {
        tell(
            part::INVALIDATED_AT,
            format!("{invalidated} is before {generated}, when it was generated"),
        );
    }
}

/// Returns an IRI, or a blank node's label after `_:`.
pub(super) fn node_text(snapshot: &Snapshot, id: TermId) -> String {
    match snapshot.term(id) {
        oxigraph::model::Term::NamedNode(node) => node.into_string(),
        other => other.to_string(),
    }
}
