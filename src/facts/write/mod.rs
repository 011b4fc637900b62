//! Writes facts: statements and sources as quads, on the draft of a commit.
//!
//! What can be told from a fact alone is checked where it comes from. What depends on the graph is checked here, in the state that
//! the commit meets.

mod content;
mod precondition;
mod state;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use oxigraph::model::{Literal, NamedNode, NamedNodeRef, NamedOrBlankNode, Quad, Term};

use super::time::date_time;
use crate::{
    graph::{Batch, Draft},
    model::{
        fact::{Basis, Stance, Standing, UnixTime},
        vocabulary,
    },
};
pub use content::OWN_PROPERTIES;
pub use precondition::{Precondition, check as check_preconditions};
use state::State;

/// A fact to write, valid in itself.
#[derive(Clone, Debug, PartialEq)]
pub struct NewFact {
    /// The IRI of the statement.
    pub id: NamedNode,
    /// The subject.
    pub subject: NamedNode,
    /// The predicate.
    pub predicate: NamedNode,
    /// The object: an IRI or a literal.
    pub object: Term,
    /// The editorial verdict.
    pub standing: Standing,
    /// How the source put it.
    pub stance: Stance,
    /// What it rests on.
    pub basis: Basis,
    /// Whether the triple is denied.
    pub is_negated: bool,
    /// From 0 to 1.
    pub confidence: Option<f64>,
    /// Whose words it is.
    pub attributed_to: Option<NamedNode>,
    /// When it holds, as EDTF of level 1.
    pub edtf: Option<String>,
    /// The earliest possible first day, `YYYY-MM-DD`.
    pub valid_from: Option<String>,
    /// The day after the latest possible last day, `YYYY-MM-DD`.
    pub valid_until: Option<String>,
    /// The day on which the source says so, `YYYY-MM-DD`.
    pub observed_on: Option<String>,
    /// Any other property.
    pub qualifiers: Vec<(NamedNode, Term)>,
    /// The documents that it was taken from. A locator is the only source's.
    pub sources: Vec<NewSource>,
    /// When it was recorded; `None`: when it is committed.
    pub recorded_at: Option<UnixTime>,
    /// The statements that it disputes.
    pub disputes: Vec<NamedNode>,
    /// The live statement that it replaces, of the same subject and predicate.
    pub revises: Option<NamedNode>,
}

/// A document that a fact was taken from.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSource {
    /// Its IRI.
    pub iri: NamedNode,
    /// Its title; empty if the graph must know it.
    pub title: String,
    /// Its publisher, an IRI or a name.
    pub publisher: Option<Term>,
    /// The place in the source; empty for none.
    pub locator: String,
}

/// Why facts cannot be written to the graph as it is: all that is wrong at once, at least one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct WriteError(pub Vec<WriteFault>);

/// One thing that is wrong with a write.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field}: {fault}")]
pub struct WriteFault {
    /// The path of the field, such as `facts[3].revises`.
    pub field: String,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong with a write.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// No statement has this IRI.
    #[error("there is no statement <{id}>")]
    NotFound {
        /// The IRI.
        id: String,
    },
    /// The statement was retracted before.
    #[error("the statement <{id}> was retracted before")]
    Retracted {
        /// Its IRI.
        id: String,
    },
    /// Another statement has the IRI of a fact.
    #[error(
        "<{id}> says something else: write the fact with another id or none; if it is a new version, with `revises` = <{id}>"
    )]
    OtherContent {
        /// The IRI.
        id: String,
    },
    /// Something else than a statement has the IRI of a fact.
    #[error("<{id}> is an entity or an event, and no statement: write the fact with another id or none")]
    OtherNode {
        /// The IRI.
        id: String,
    },
    /// A fact is to replace a statement of another subject or predicate.
    #[error(
        "the statement <{id}> has another subject or predicate: a new version says something else of the same"
    )]
    OtherFact {
        /// The IRI of the statement.
        id: String,
    },
    /// A retracted statement has the IRI of a fact.
    #[error("the statement <{id}> was retracted: write the fact with another id or none")]
    RetractedId {
        /// The IRI.
        id: String,
    },
    /// The source is not known and has no title.
    #[error("the source <{iri}> is not known: give its title, so that it can be recorded")]
    UnknownSource {
        /// Its IRI.
        iri: String,
    },
    /// A precondition is not met.
    #[error("not met: {found}")]
    Precondition {
        /// Its index, from 0.
        index: usize,
        /// How it is instead.
        found: String,
    },
}

/// Writes facts onto a draft. After an error the draft is as it was.
pub fn write_facts(
    draft: &mut Draft,
    facts: &[NewFact],
    preconditions: &[Precondition],
) -> Result<(), WriteError> {
    precondition::check(draft.snapshot(), preconditions)?;
    let state = State::new(draft.snapshot());
    let now = UnixTime::from_micros(draft.commit_time_us());
    let written: HashSet<_> = facts.iter().map(|fact| fact.id.as_str()).collect();
    let titled: HashSet<_> = facts
        .iter()
        .flat_map(|fact| &fact.sources)
        .filter(|source| !source.title.is_empty())
        .map(|source| source.iri.as_str())
        .collect();
    let mut faults = Vec::new();
    let mut batch = Batch::default();
    let mut ends: HashMap<&NamedNode, UnixTime> = HashMap::new();
    for (index, fact) in facts.iter().enumerate() {
        let mut fault = |field: &str, fault| {
            faults.push(WriteFault {
                field: format!("facts[{index}].{field}"),
                fault,
            });
        };
        let id = || fact.id.as_str().to_owned();
        let recorded_at = fact.recorded_at.unwrap_or(now);
        // Not only statements: an event has its properties there too.
        if state.statement(&fact.id).next().is_some() {
            if !content::is_same(&state, fact) {
                fault("id", Fault::OtherContent { id: id() });
            } else if state.is_retracted(&fact.id) {
                fault("id", Fault::RetractedId { id: id() });
            }
            continue;
        }
        if state.is_other_node(&fact.id) {
            fault("id", Fault::OtherNode { id: id() });
        }
        for (at, source) in fact.sources.iter().enumerate() {
            if !state.is_source(&source.iri) && !titled.contains(source.iri.as_str()) {
                let iri = source.iri.as_str().to_owned();
                fault(&format!("sources[{at}].iri"), Fault::UnknownSource { iri });
            }
        }
        for (at, disputed) in fact.disputes.iter().enumerate() {
            if !state.is_statement(disputed) && !written.contains(disputed.as_str()) {
                let id = disputed.as_str().to_owned();
                fault(&format!("disputes[{at}]"), Fault::NotFound { id });
            }
        }
        if let Some(old) = &fact.revises {
            if let Err(reason) = state.check_live(old) {
                fault("revises", reason);
            } else if !state.is_about(old, [&fact.subject, &fact.predicate]) {
                let id = old.as_str().to_owned();
                fault("revises", Fault::OtherFact { id });
            }
            ends.entry(old)
                .and_modify(|end| *end = recorded_at.min(*end))
                .or_insert(recorded_at);
        }
        describe_sources(&state, fact, &mut batch);
        let quad = statement_quad(&fact.id, vocabulary::GENERATED_AT, date_time(recorded_at).into());
        batch.insert(quad.as_ref());
        for (property, value) in content::of(fact) {
            batch.insert(statement_quad(&fact.id, property.as_str(), value).as_ref());
        }
    }
    if !faults.is_empty() {
        return Err(WriteError(faults));
    }
    // The new version is known from when it was recorded, and the old one until then.
    for (old, end) in ends {
        batch.insert(invalidation(&state, old, end).as_ref());
    }
    draft.apply(&batch);
    Ok(())
}

/// Retracts statements on a draft. After an error the draft is as it was.
pub fn retract_facts(
    draft: &mut Draft,
    ids: &[NamedNode],
    preconditions: &[Precondition],
) -> Result<(), WriteError> {
    precondition::check(draft.snapshot(), preconditions)?;
    let state = State::new(draft.snapshot());
    let now = UnixTime::from_micros(draft.commit_time_us());
    let mut faults = Vec::new();
    let mut batch = Batch::default();
    for (index, id) in ids.iter().enumerate() {
        if let Err(fault) = state.check_live(id) {
            faults.push(WriteFault {
                field: format!("ids[{index}]"),
                fault,
            });
        }
        batch.insert(invalidation(&state, id, now).as_ref());
    }
    if !faults.is_empty() {
        return Err(WriteError(faults));
    }
    draft.apply(&batch);
    Ok(())
}

/// Returns the end of a statement, which is not before it was recorded.
fn invalidation(state: &State<'_>, id: &NamedNode, end: UnixTime) -> Quad {
    let end = state
        .recorded_at(id)
        .map_or(end, |recorded_at| end.max(recorded_at));
    statement_quad(id, vocabulary::INVALIDATED_AT, date_time(end).into())
}

/// Adds what the graph does not know of a fact's sources.
fn describe_sources(state: &State<'_>, fact: &NewFact, batch: &mut Batch) {
    for source in &fact.sources {
        if state.is_source(&source.iri) || source.title.is_empty() {
            continue;
        }
        let title = Literal::new_simple_literal(&source.title);
        let described = [
            Some((vocabulary::TITLE, title.into())),
            source
                .publisher
                .clone()
                .map(|publisher| (vocabulary::PUBLISHER, publisher)),
        ];
        for (property, value) in described.into_iter().flatten() {
            batch.insert(quad(&source.iri, property, value, vocabulary::SOURCES).as_ref());
        }
    }
}

fn statement_quad(id: &NamedNode, property: &str, value: Term) -> Quad {
    quad(id, property, value, vocabulary::STATEMENTS)
}

fn quad(subject: &NamedNode, property: &str, value: Term, graph: &str) -> Quad {
    Quad {
        subject: NamedOrBlankNode::NamedNode(subject.clone()),
        predicate: NamedNode::new_unchecked(property),
        object: value,
        graph_name: NamedNodeRef::new_unchecked(graph).into_owned().into(),
    }
}
