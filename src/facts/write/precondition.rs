//! What must be so before a write.

use oxigraph::model::{NamedNode, Quad};

use super::{Fault, State, WriteError, WriteFault};
use crate::graph::{QuadIds, Snapshot, TermId};

/// What must be so, in the state that a write meets.
#[derive(Clone, Debug, PartialEq)]
pub enum Precondition {
    /// A statement that is there and was not retracted.
    LiveFact(NamedNode),
    /// An IRI that no statement has.
    AbsentFact(NamedNode),
    /// A quad that is there.
    PresentQuad(Quad),
    /// A quad that is not there.
    AbsentQuad(Quad),
}

/// Checks preconditions: all that are not met are told at once.
pub fn check(snapshot: &Snapshot, preconditions: &[Precondition]) -> Result<(), WriteError> {
    let state = State::new(snapshot);
    let unmet = preconditions
        .iter()
        .enumerate()
        .filter_map(|(index, precondition)| {
            let found = unmet(&state, precondition)?;
            Some(WriteFault {
                field: format!("preconditions[{index}]"),
                fault: Fault::Precondition { index, found },
            })
        });
    let unmet: Vec<_> = unmet.collect();
    if unmet.is_empty() {
        Ok(())
    } else {
        Err(WriteError(unmet))
    }
}

/// Returns how it is instead, if a precondition is not met.
fn unmet(state: &State<'_>, precondition: &Precondition) -> Option<String> {
    match precondition {
        Precondition::LiveFact(id) => state.check_live(id).err().map(|fault| fault.to_string()),
        Precondition::AbsentFact(id) => state
            .is_statement(id)
            .then(|| format!("there is a statement {id}")),
        Precondition::PresentQuad(quad) => {
            (!contains(state.snapshot, quad)).then(|| format!("the quad is not there: {quad}"))
        }
        Precondition::AbsentQuad(quad) => {
            contains(state.snapshot, quad).then(|| format!("the quad is there: {quad}"))
        }
    }
}

fn contains(snapshot: &Snapshot, quad: &Quad) -> bool {
    let quad = quad.as_ref();
    let graph = match quad.graph_name {
        oxigraph::model::GraphNameRef::DefaultGraph => Some(TermId::DEFAULT_GRAPH),
        oxigraph::model::GraphNameRef::NamedNode(node) => snapshot.id(node.into()),
        oxigraph::model::GraphNameRef::BlankNode(node) => snapshot.id(node.into()),
    };
    let ids = || {
        Some(QuadIds {
            subject: snapshot.id(quad.subject.into())?,
            predicate: snapshot.id(quad.predicate.into())?,
            object: snapshot.id(quad.object)?,
            graph: graph?,
        })
    };
    ids().is_some_and(|ids| snapshot.contains(ids))
}
