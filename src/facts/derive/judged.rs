//! The checks of events, claims and observations with a standing of their own that a change touches.
//!
//! What is said of them has no statement: it holds if it is in the default graph. So that is where a node is that counts, and
//! one that does not count is among the statements.

use super::{
    Faults, ModelError,
    check::{self, FAULT_COUNT_MAX, node_text},
    error::StatementFault,
    node::{Node, Nodes, about},
    property::{Count, PROPERTIES, Property, Value, part, property},
};
use crate::{
    graph::{QuadIds, Snapshot, TermId},
    model::{
        fact::{Stance, Standing},
        vocabulary as iris,
    },
};

/// What is checked of the marks of a node as of those of a statement.
const MARKS: [usize; 7] = [
    part::STANCE,
    part::STANDING,
    part::BASIS,
    part::SOURCE,
    part::EDTF,
    part::GENERATED_AT,
    part::INVALIDATED_AT,
];

/// A class of nodes, with what its nodes have.
struct Kind {
    class: &'static str,
    properties: &'static [Property],
}

const KINDS: [Kind; 3] = [
    Kind {
        class: iris::EVENT,
        properties: &[
            property(iris::ACTOR, Count::Any, Value::Iri),
            property(iris::FOLLOWS, Count::Any, Value::Iri),
        ],
    },
    Kind {
        class: iris::CLAIM,
        properties: &[
            property(iris::SPEAKER, Count::One, Value::Iri),
            property(iris::CONTENT, Count::One, Value::Iri),
        ],
    },
    Kind {
        class: iris::OBSERVATION,
        properties: &[
            property(iris::OBSERVATION_ABOUT, Count::One, Value::Iri),
            property(iris::VARIABLE_MEASURED, Count::One, Value::Iri),
            property(iris::UNIT_TEXT, Count::One, Value::Text),
            property(iris::OBSERVATION_DATE, Count::AtMostOne, Value::Date),
            property(iris::VALUE, Count::AtMostOne, Value::Number),
            property(iris::MIN_VALUE, Count::AtMostOne, Value::Number),
            property(iris::MAX_VALUE, Count::AtMostOne, Value::Number),
        ],
    },
];

/// Checks those of the nodes, none of them a statement, that have a standing and are of one of the classes.
pub(super) fn check(nodes: &Nodes, snapshot: &Snapshot, touched: &[TermId]) -> Result<(), ModelError> {
    let mut found = Faults::default();
    // Their graphs may have come with the change.
    let r#type = snapshot.iri_id(iris::TYPE).unwrap_or(TermId::MAX);
    let classes = KINDS
        .each_ref()
        .map(|kind| snapshot.iri_id(kind.class).unwrap_or(TermId::MAX));
    let graphs = [TermId::DEFAULT_GRAPH, nodes.statements];
    for &id in touched {
        let is_judged = |graph: &TermId| snapshot.count(nodes.judged(*graph, Some(id))) > 0;
        let is_of = |class: TermId| {
            graphs.iter().any(|&graph| {
                snapshot.contains(QuadIds {
                    subject: id,
                    predicate: r#type,
                    object: class,
                    graph,
                })
            })
        };
        let judged: Vec<_> = graphs.into_iter().filter(is_judged).collect();
        if judged.is_empty() {
            continue;
        }
        let kinds: Vec<_> = KINDS
            .iter()
            .zip(classes)
            .filter(|(_, class)| is_of(*class))
            .map(|(kind, _)| kind)
            .collect();
        let mut faults = Telling {
            snapshot,
            id,
            faults: Vec::new(),
        };
        match judged.as_slice() {
            _ if kinds.is_empty() => {}
            &[graph] => check_node(nodes, snapshot, graph, &kinds, &mut faults),
            _ => faults.tell(
                iris::STANDING,
                "is said in the default graph and in g:statements: one is the node's".to_owned(),
            ),
        }
        if !faults.faults.is_empty() {
            found.add(faults.faults);
        }
    }
    found.into_result()
}

struct Telling<'a> {
    snapshot: &'a Snapshot,
    id: TermId,
    faults: Vec<StatementFault>,
}

impl Telling<'_> {
    fn tell(&mut self, property: &'static str, message: String) {
        if self.faults.len() < FAULT_COUNT_MAX {
            self.faults.push(StatementFault {
                node: node_text(self.snapshot, self.id),
                property,
                message,
            });
        }
    }
}

fn check_node(nodes: &Nodes, snapshot: &Snapshot, graph: TermId, kinds: &[&Kind], faults: &mut Telling<'_>) {
    let id = faults.id;
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
    for kind in kinds {
        for property in kind.properties {
            let mut count = 0;
            for value in values(snapshot, graph, id, property.iri) {
                count += 1;
                if let Err(message) = property.value.check(snapshot, value) {
                    faults.tell(property.iri, message);
                }
            }
            if let Err(message) = property.count.check(count) {
                faults.tell(property.iri, message);
            }
        }
        match kind.class {
            iris::CLAIM => check_claim(nodes, snapshot, graph, faults),
            iris::OBSERVATION => check_figure(snapshot, graph, faults),
            _ => {}
        }
    }
}

fn values<'a>(
    snapshot: &'a Snapshot,
    graph: TermId,
    node: TermId,
    property: &str,
) -> impl Iterator<Item = TermId> + use<'a> {
    let mut pattern = about(graph, node);
    pattern.predicate = Some(snapshot.iri_id(property).unwrap_or(TermId::MAX));
    snapshot.quads(pattern).map(|quad| quad.object)
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

/// A claim's content is what somebody else says, and is not accepted.
fn check_claim(nodes: &Nodes, snapshot: &Snapshot, graph: TermId, faults: &mut Telling<'_>) {
    for content in values(snapshot, graph, faults.id, iris::CONTENT) {
        let node = nodes.read(snapshot, content, |_, _| {});
        let is_content = node.is_statement()
            && nodes.stance(&node) == Some(Stance::Attributed)
            && matches!(
                nodes.standing(&node),
                Some(Standing::Unconfirmed | Standing::Disputed | Standing::Rejected)
            );
        if !is_content {
            let content = snapshot.term(content);
            let message = format!("{content} is no statement that is attributed and not accepted");
            faults.tell(iris::CONTENT, message);
        }
    }
}

/// A figure has a value or bounds, not both.
fn check_figure(snapshot: &Snapshot, graph: TermId, faults: &mut Telling<'_>) {
    let has = |property| values(snapshot, graph, faults.id, property).next().is_some();
    let has_bounds = has(iris::MIN_VALUE) || has(iris::MAX_VALUE);
    match (has(iris::VALUE), has_bounds) {
        (true, true) => faults.tell(
            iris::VALUE,
            "is there beside a schema:minValue or a schema:maxValue: it is one or the other".to_owned(),
        ),
        (false, false) => faults.tell(
            iris::VALUE,
            "is missing, and so are schema:minValue and schema:maxValue".to_owned(),
        ),
        _ => {}
    }
}
