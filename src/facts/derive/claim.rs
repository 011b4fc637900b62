//! Keeps what somebody only claims out of the default graph.

use super::{
    Change, ModelError,
    node::{Node, Nodes},
    property::part,
};
use crate::{
    graph::{GraphPattern, Pattern, QuadIds, Snapshot, TermId},
    model::fact::Standing,
};

/// Refuses a touched statement that is a claim's content and accepted, or that makes a claim's content of one that is.
pub(super) fn check_statement(
    snapshot: &Snapshot,
    nodes: &Nodes,
    id: TermId,
    node: &Node,
) -> Result<(), ModelError> {
    if nodes.content == TermId::MAX || !node.is_live() || !is_accepted(nodes, node) {
        return Ok(());
    }
    if let Some([claim, _, content]) = node.triple().filter(|triple| triple[1] == nodes.content) {
        check_content(snapshot, nodes, claim, content)?;
    }
    match (claim_of(snapshot, nodes, id), node.triple()) {
        (Some(claim), Some(triple)) => Err(refusal(snapshot, triple, id, claim)),
        _ => Ok(()),
    }
}

/// Refuses that a claim gets an accepted statement as its content.
fn check_content(
    snapshot: &Snapshot,
    nodes: &Nodes,
    claim: TermId,
    content: TermId,
) -> Result<(), ModelError> {
    let node = nodes.read(snapshot, content, |_, _| {});
    match node.triple() {
        Some(triple) if node.is_live() && is_accepted(nodes, &node) => {
            Err(refusal(snapshot, triple, content, claim))
        }
        _ => Ok(()),
    }
}

/// Refuses claims of what is accepted, and plain triples of which nothing is stated but that somebody claims them.
pub(super) fn check(change: &Change, nodes: &Nodes) -> Result<(), ModelError> {
    let snapshot = &change.now;
    let is_unknown = |id: TermId| id == TermId::MAX;
    let claims = Pattern {
        predicate: Some(nodes.content),
        ..Pattern::all(GraphPattern::Any)
    };
    if is_unknown(nodes.content) || snapshot.count(claims) == 0 {
        return Ok(());
    }
    for quad in change.changes.inserted() {
        if quad.predicate == nodes.content {
            check_content(snapshot, nodes, quad.subject, quad.object)?;
        }
    }
    let mut known = None;
    for triple in change.changes.inserted_in(TermId::DEFAULT_GRAPH) {
        // Sorted by subject: most have no statements at all.
        let has_statements = match known {
            Some((subject, has)) if subject == triple.subject => has,
            _ => snapshot.count(nodes.with(part::SUBJECT, Some(triple.subject))) > 0,
        };
        known = Some((triple.subject, has_statements));
        if has_statements {
            check_triple(snapshot, nodes, triple)?;
        }
    }
    Ok(())
}

fn check_triple(snapshot: &Snapshot, nodes: &Nodes, triple: QuadIds) -> Result<(), ModelError> {
    let by_subject = nodes.with(part::SUBJECT, Some(triple.subject));
    let by_object = nodes.with(part::OBJECT, Some(triple.object));
    let pattern = if snapshot.count(by_subject) <= snapshot.count(by_object) {
        by_subject
    } else {
        by_object
    };
    let mut claimed = None;
    for quad in snapshot.quads(pattern) {
        let id = quad.subject;
        let is_about = nodes.says(snapshot, id, part::SUBJECT, triple.subject)
            && nodes.says(snapshot, id, part::PREDICATE, triple.predicate)
            && nodes.says(snapshot, id, part::OBJECT, triple.object);
        if !is_about {
            continue;
        }
        let node = nodes.read(snapshot, id, |_, _| {});
        if !node.is_live() {
            continue;
        }
        match claim_of(snapshot, nodes, id).filter(|_| !is_accepted(nodes, &node)) {
            Some(claim) => claimed = Some((id, claim)),
            None => return Ok(()),
        }
    }
    match claimed {
        Some((statement, claim)) => {
            let triple = [triple.subject, triple.predicate, triple.object];
            Err(refusal(snapshot, triple, statement, claim))
        }
        None => Ok(()),
    }
}

fn is_accepted(nodes: &Nodes, node: &Node) -> bool {
    matches!(
        nodes.standing(node),
        Some(Standing::Accepted | Standing::Preferred)
    )
}

/// Returns a claim whose content a statement is.
fn claim_of(snapshot: &Snapshot, nodes: &Nodes, statement: TermId) -> Option<TermId> {
    let claims = Pattern {
        predicate: Some(nodes.content),
        object: Some(statement),
        ..Pattern::all(GraphPattern::Any)
    };
    snapshot.quads(claims).next().map(|quad| quad.subject)
}

fn refusal(snapshot: &Snapshot, triple: [TermId; 3], statement: TermId, claim: TermId) -> ModelError {
    let [subject, predicate, object] = triple.map(|id| snapshot.term(id));
    ModelError::ClaimContent {
        triple: format!("{subject} {predicate} {object}"),
        statement: super::check::node_text(snapshot, statement),
        claim: super::check::node_text(snapshot, claim),
    }
}
