//! Keeps what somebody only claims out of the default graph.
//!
//! A claim is said in the default graph or in `g:statements`, as all that the rule looks at: who may write one of another graph
//! neither learns of statements nor has a say in them.

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
        check_content(snapshot, nodes, content, Link { claim, by: Some(id) })?;
    }
    match (claim_of(snapshot, nodes, id), node.triple()) {
        (Some(claim), Some(triple)) => Err(refusal(snapshot, triple, id, Link { claim, by: None })),
        _ => Ok(()),
    }
}

/// What makes a statement the content of a claim.
#[derive(Clone, Copy)]
struct Link {
    claim: TermId,
    /// The statement that says so, if it is not plain.
    by: Option<TermId>,
}

/// Refuses that a claim gets an accepted statement as its content.
fn check_content(snapshot: &Snapshot, nodes: &Nodes, content: TermId, link: Link) -> Result<(), ModelError> {
    let node = nodes.read(snapshot, content, |_, _| {});
    match node.triple() {
        Some(triple) if node.is_live() && is_accepted(nodes, &node) => {
            Err(refusal(snapshot, triple, content, link))
        }
        _ => Ok(()),
    }
}

/// Refuses claims of what is accepted, and plain triples of which nothing accepted is stated, and that somebody claims.
pub(super) fn check(change: &Change, nodes: &Nodes) -> Result<(), ModelError> {
    let snapshot = &change.now;
    let claim_count = count(snapshot, nodes);
    if claim_count == 0 {
        return Ok(());
    }
    let [plain, said] =
        [TermId::DEFAULT_GRAPH, nodes.statements].map(|graph| change.changes.inserted_in(graph));
    for quad in plain.chain(said) {
        if quad.predicate == nodes.content {
            let link = Link {
                claim: quad.subject,
                by: None,
            };
            check_content(snapshot, nodes, quad.object, link)?;
        }
    }
    let inserted = change.changes.inserted_in(TermId::DEFAULT_GRAPH);
    let mut triples: Vec<_> = inserted
        .map(|quad| [quad.subject, quad.predicate, quad.object])
        .collect();
    triples.sort_unstable();
    // What is claimed is found by the claims, or by the statements about the subjects, whichever are fewer.
    let about = |subject| nodes.with(part::SUBJECT, Some(subject));
    let subjects: Vec<_> = triples
        .chunk_by(|a, b| a[0] == b[0])
        .map(|triples| triples[0][0])
        .collect();
    let about_count: u64 = subjects
        .iter()
        .map(|subject| snapshot.count(about(*subject)))
        .sum();
    if claim_count <= about_count {
        for quad in contents(snapshot, nodes, None) {
            check_claimed(snapshot, nodes, quad.object, &triples)?;
        }
    } else {
        for quad in subjects
            .into_iter()
            .flat_map(|subject| snapshot.quads(about(subject)))
        {
            check_claimed(snapshot, nodes, quad.subject, &triples)?;
        }
    }
    Ok(())
}

/// Refuses inserted triples of which a statement is the content of a claim.
fn check_claimed(
    snapshot: &Snapshot,
    nodes: &Nodes,
    statement: TermId,
    inserted: &[[TermId; 3]],
) -> Result<(), ModelError> {
    let Some(claim) = claim_of(snapshot, nodes, statement) else {
        return Ok(());
    };
    let node = nodes.read(snapshot, statement, |_, _| {});
    match node.triple() {
        Some(triple)
            if node.is_live()
                && !is_accepted(nodes, &node)
                // Who says that it is not so claims nothing of it.
                && !node.is_negated(snapshot)
                && inserted.binary_search(&triple).is_ok()
                && !has_accepted(snapshot, nodes, triple) =>
        {
            Err(refusal(snapshot, triple, statement, Link { claim, by: None }))
        }
        _ => Ok(()),
    }
}

/// Tells whether a live statement asserts a triple and is accepted.
fn has_accepted(snapshot: &Snapshot, nodes: &Nodes, triple: [TermId; 3]) -> bool {
    let [by_subject, by_object] = [(part::SUBJECT, triple[0]), (part::OBJECT, triple[2])]
        .map(|(part, value)| nodes.with(part, Some(value)));
    let pattern = if snapshot.count(by_subject) <= snapshot.count(by_object) {
        by_subject
    } else {
        by_object
    };
    snapshot.quads(pattern).any(|quad| {
        let node = nodes.read(snapshot, quad.subject, |_, _| {});
        node.triple() == Some(triple)
            && node.is_live()
            && is_accepted(nodes, &node)
            && !node.is_negated(snapshot)
    })
}

fn is_accepted(nodes: &Nodes, node: &Node) -> bool {
    matches!(
        nodes.standing(node),
        Some(Standing::Accepted | Standing::Preferred)
    )
}

/// Returns the claims whose content is one of the statements, which are sorted, as it is said or stated.
pub(super) fn claims_of(snapshot: &Snapshot, nodes: &Nodes, statements: &[TermId]) -> Vec<TermId> {
    if nodes.content == TermId::MAX {
        return Vec::new();
    }
    let is_one = |content: TermId| statements.binary_search(&content).is_ok();
    let mut found: Vec<_> = if count(snapshot, nodes) <= statements.len() as u64 {
        let claims = contents(snapshot, nodes, None).filter(|quad| is_one(quad.object));
        claims.map(|quad| quad.subject).collect()
    } else {
        let claims = statements
            .iter()
            .flat_map(|statement| contents(snapshot, nodes, Some(*statement)));
        claims.map(|quad| quad.subject).collect()
    };
    let linking = nodes.with(part::PREDICATE, Some(nodes.content));
    let mut add = |link: TermId| {
        let triple = nodes.read(snapshot, link, |_, _| {}).triple();
        found.extend(
            triple
                .filter(|[_, _, content]| is_one(*content))
                .map(|[claim, ..]| claim),
        );
    };
    match snapshot.count(linking) {
        0 => {}
        count if count <= statements.len() as u64 => {
            snapshot.quads(linking).for_each(|quad| add(quad.subject));
        }
        _ => statements
            .iter()
            .flat_map(|statement| snapshot.quads(nodes.with(part::OBJECT, Some(*statement))))
            .filter(|quad| nodes.says(snapshot, quad.subject, part::PREDICATE, nodes.content))
            .for_each(|quad| add(quad.subject)),
    }
    found
}

/// Returns a claim whose content a statement is.
fn claim_of(snapshot: &Snapshot, nodes: &Nodes, statement: TermId) -> Option<TermId> {
    let mut claims = contents(snapshot, nodes, Some(statement));
    claims.next().map(|quad| quad.subject)
}

/// Counts what says that claims have contents.
fn count(snapshot: &Snapshot, nodes: &Nodes) -> u64 {
    if nodes.content == TermId::MAX {
        return 0;
    }
    let patterns = patterns(nodes, None);
    patterns.into_iter().map(|pattern| snapshot.count(pattern)).sum()
}

/// Returns what says that claims have contents: all of it, or that of one statement.
fn contents<'a>(
    snapshot: &'a Snapshot,
    nodes: &Nodes,
    statement: Option<TermId>,
) -> impl Iterator<Item = QuadIds> + use<'a> {
    let patterns = patterns(nodes, statement);
    patterns
        .into_iter()
        .flat_map(move |pattern| snapshot.quads(pattern))
}

fn patterns(nodes: &Nodes, statement: Option<TermId>) -> [Pattern; 2] {
    [GraphPattern::Default, GraphPattern::Named(nodes.statements)].map(|graph| Pattern {
        predicate: Some(nodes.content),
        object: statement,
        ..Pattern::all(graph)
    })
}

fn refusal(snapshot: &Snapshot, triple: [TermId; 3], statement: TermId, link: Link) -> ModelError {
    let [subject, predicate, object] = triple.map(|id| snapshot.term(id));
    let text = |id| super::check::node_text(snapshot, id);
    ModelError::ClaimContent {
        triple: format!("{subject} {predicate} {object}"),
        statement: text(statement),
        claim: text(link.claim),
        link: link.by.map(text),
    }
}
