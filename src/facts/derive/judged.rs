//! The checks of events, claims and observations that a change touches: those with a standing of their own, and those whose class
//! is stated.
//!
//! What is said of a node with a standing may have no statement: it holds if it is in the default graph. So that is where
//! such a node is if it counts, and one that does not count is among the statements.

use std::collections::HashMap;

use super::{
    Faults, ModelError,
    check::{self, FAULT_COUNT_MAX, node_text},
    class::{ClassCheck, Classes},
    error::{Cause, StatementFault},
    node::{Node, Nodes},
    property::{PROPERTIES, part},
};
use crate::{
    graph::{Snapshot, TermId},
    model::{
        fact::{Stance, Standing},
        vocabulary as iris,
    },
};

/// What is checked of the marks of a node as of those of a statement.
const MARKS: [usize; 6] = [
    part::STANCE,
    part::STANDING,
    part::BASIS,
    part::SOURCE,
    part::GENERATED_AT,
    part::INVALIDATED_AT,
];

/// A commit, as far as it is held to the classes of nodes.
pub(super) struct Touched<'a> {
    /// The nodes to look at, none of them a statement.
    pub(super) nodes: &'a [TermId],
    /// The nodes of `g:statements` that the commit touches, sorted.
    pub(super) statements: &'a [TermId],
    /// Whether what is missing may come with a later commit.
    pub(super) is_part: bool,
}

/// Checks those of the nodes that are of one of the classes and have a standing, or whose class is stated.
pub(super) fn check(nodes: &mut Nodes, snapshot: &Snapshot, touched: &Touched<'_>) -> Result<(), ModelError> {
    let mut found = Faults::default();
    // Their graphs may have come with the change.
    let graphs = [TermId::DEFAULT_GRAPH, nodes.statements];
    let classes = Classes::on(nodes, snapshot);
    for &id in touched.nodes {
        let stated = classes.stated(nodes, snapshot, id);
        let is_judged = |graph: &TermId| snapshot.count(nodes.judged(*graph, Some(id))) > 0;
        let judged: Vec<_> = graphs.into_iter().filter(is_judged).collect();
        let mut kinds = stated;
        if !judged.is_empty() {
            let said = classes.said(snapshot, graphs, id);
            kinds.iter_mut().zip(said).for_each(|(kind, said)| *kind |= said);
        }
        if !kinds.contains(&true) {
            continue;
        }
        let mut faults = Telling {
            snapshot,
            id,
            touched: touched.statements,
            faults: Vec::new(),
        };
        let places = match judged.as_slice() {
            [] => graphs.as_slice(),
            [graph] => {
                check_marks(nodes, *graph, &mut faults);
                judged.as_slice()
            }
            _ => {
                let message = "is said in the default graph and in g:statements: one is the node's";
                faults.tell(iris::STANDING, message.to_owned());
                &[]
            }
        };
        if !places.is_empty() {
            let mut check = ClassCheck {
                nodes,
                graphs: places,
                is_part: touched.is_part,
                faults: &mut faults,
            };
            check.check(kinds);
        }
        if !faults.faults.is_empty() {
            found.add(faults.faults);
        }
    }
    blame(nodes, snapshot, touched.statements, &mut found.faults);
    found.into_result()
}

/// Tells what is wrong with one node.
pub(super) struct Telling<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) id: TermId,
    touched: &'a [TermId],
    faults: Vec<StatementFault>,
}

impl Telling<'_> {
    pub(super) fn tell(&mut self, property: &'static str, message: String) {
        self.add(property, message, None);
    }

    /// As [`Self::tell`], of a statement that is the node's content, and is not put as such a one is.
    pub(super) fn tell_of(&mut self, content: TermId, property: &'static str, message: String) {
        let is_touched = self.touched.binary_search(&content).is_ok();
        let cause = is_touched.then(|| Cause {
            statement: node_text(self.snapshot, content),
            property: iris::STANDING,
        });
        self.add(property, message, cause);
    }

    fn add(&mut self, property: &'static str, message: String, cause: Option<Cause>) {
        if self.faults.len() < FAULT_COUNT_MAX {
            self.faults.push(StatementFault {
                node: node_text(self.snapshot, self.id),
                property,
                message,
                cause,
            });
        }
    }
}

/// Names the statements of the commit that the faults of nodes come from: one with the property, else one with the class,
/// else any about the node.
fn blame(nodes: &Nodes, snapshot: &Snapshot, touched: &[TermId], faults: &mut [StatementFault]) {
    let id = |iri: &str| snapshot.iri_id(iri).unwrap_or(TermId::MAX);
    let r#type = id(iris::TYPE);
    let mut about: HashMap<TermId, Vec<(TermId, TermId)>> =
        faults.iter().map(|fault| (id(&fault.node), Vec::new())).collect();
    if about.is_empty() {
        return;
    }
    for &statement in touched {
        let node = nodes.read(snapshot, statement, |_, _| {});
        if let Some([subject, predicate, _]) = node.triple()
            && let Some(about) = about.get_mut(&subject)
        {
            about.push((predicate, statement));
        }
    }
    for fault in faults.iter_mut().filter(|fault| fault.cause.is_none()) {
        let property = id(fault.property);
        let rank = |(predicate, _): &&(TermId, TermId)| (*predicate != property, *predicate != r#type);
        let cause = about
            .get(&id(&fault.node))
            .and_then(|about| about.iter().min_by_key(rank));
        fault.cause = cause.map(|(_, statement)| Cause {
            statement: node_text(snapshot, *statement),
            property: iris::OBJECT,
        });
    }
}

fn check_marks(nodes: &Nodes, graph: TermId, faults: &mut Telling<'_>) {
    let (id, snapshot) = (faults.id, faults.snapshot);
    let node = nodes.read_in(snapshot, graph, id, |part, value| {
        if MARKS.contains(&part)
            && let Err(message) = PROPERTIES[part].value.check(snapshot, value)
        {
            faults.tell(PROPERTIES[part].iri, message);
        }
    });
    for part in MARKS {
        // When it was recorded is not added to what is no statement.
        let is_optional = part == part::GENERATED_AT && node.counts[part] == 0;
        if let Err(message) = PROPERTIES[part].count.check(node.counts[part])
            && !is_optional
        {
            faults.tell(PROPERTIES[part].iri, message);
        }
    }
    let mut tell = |part: usize, message| faults.tell(PROPERTIES[part].iri, message);
    check::check_source(nodes, &node, &mut tell);
    check::check_acceptance(nodes, &node, &mut tell);
    check_place(nodes, &node, graph, &mut tell);
}

/// What counts is in the default graph, and nothing else of these nodes is.
fn check_place(nodes: &Nodes, node: &Node, graph: TermId, tell: &mut impl FnMut(usize, String)) {
    let (Some(stance), Some(standing)) = (nodes.stance(node), nodes.standing(node)) else {
        return;
    };
    let counts = matches!(standing, Standing::Accepted | Standing::Preferred)
        && !matches!(stance, Stance::Planned | Stance::Projected | Stance::Opinion)
        && node.is_live();
    match (counts, graph == TermId::DEFAULT_GRAPH) {
        (false, true) => tell(
            part::STANDING,
            "what is said of a node in the default graph holds: one that is not accepted, or retracted, \
             is said in g:statements"
                .to_owned(),
        ),
        (true, false) => tell(
            part::STANDING,
            "a node that is accepted is said in the default graph, where it holds".to_owned(),
        ),
        _ => {}
    }
}
