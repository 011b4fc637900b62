//! From a SPARQL Update to changes of a draft.

use std::collections::HashMap;

use oxigraph::model::{
    BlankNode, GraphName, NamedNode, NamedOrBlankNode, NamedOrBlankNodeRef, Quad, Term, Triple,
};
use spargebra::{
    GraphUpdateOperation, Update,
    algebra::{GraphTarget, QueryDataset},
    term::{self, GroundQuad, GroundTerm, GroundTriple},
};

use super::{
    Interrupt, Parameters, Parser, SparqlError,
    engine::{Answers, Change, Run},
    load,
    slow::UpdateWatch,
};
use crate::{
    graph::{Batch, Draft, GraphPattern, Pattern, Snapshot, TermId},
    intake,
    rdf::{Memory, Parsed},
    remote::RemoteSettings,
};

/// An update that was parsed.
#[derive(Debug)]
pub struct ParsedUpdate {
    update: Update,
    /// What its LOADs read; `None` for a silent one that failed.
    documents: Vec<Option<Parsed>>,
    /// What its SERVICEs came to.
    answers: Answers,
    watch: Option<UpdateWatch>,
}

/// Parses an update and binds its parameters. Recurses: call it on a thread with a large stack.
pub fn parse_update(
    parser: &Parser,
    text: &str,
    parameters: &Parameters,
) -> Result<ParsedUpdate, SparqlError> {
    Ok(ParsedUpdate {
        update: parser.update(text, parameters)?,
        documents: Vec::new(),
        answers: Answers::default(),
        watch: None,
    })
}

/// A request names graphs for an update whose text names some itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the update has USING or WITH: its request must not name graphs too")]
pub struct UsingConflict;

impl ParsedUpdate {
    /// Returns the update with the graphs that its patterns see; fails where the text has USING, USING NAMED or WITH
    /// (SPARQL 1.1 Protocol, section 2.2.3).
    pub fn using(mut self, default: &[NamedNode], named: &[NamedNode]) -> Result<Self, UsingConflict> {
        for operation in &mut self.update.operations {
            if let GraphUpdateOperation::DeleteInsert { using, .. } = operation {
                if using.is_some() {
                    return Err(UsingConflict);
                }
                *using = Some(QueryDataset {
                    default: default.to_vec(),
                    named: Some(named.to_vec()),
                });
            }
        }
        Ok(self)
    }

    /// Asks what its SERVICEs ask, and reads the documents of its LOADs, so that no host elsewhere holds up the writer. Without
    /// it, the plan of a SERVICE or LOAD fails.
    pub(super) fn fetch(
        &mut self,
        remote: &RemoteSettings,
        interrupt: &Interrupt,
        memory: &Memory,
    ) -> Result<(), SparqlError> {
        // An endpoint that is not listed is found before anything is sent.
        self.answers = Answers::ask(&self.update, remote, interrupt)?;
        self.documents = load::documents(&self.update, remote, interrupt, memory)?;
        Ok(())
    }

    /// Returns the update, which keeps the plan of the first operation that turns out slow.
    pub(super) fn watched(self, watch: UpdateWatch) -> Self {
        Self {
            watch: Some(watch),
            ..self
        }
    }

    /// Returns the plan: all operations one after the other, each on top of those before it.
    ///
    /// Evaluation recurses: the plan needs a large stack. One that fails leaves the draft half changed: drop it. It fails
    /// where the changes of one operation take more than `memory_bytes_max`, each occurrence counted. Until it has run, or is dropped, it
    /// holds what the request at hand has taken.
    pub fn plan(
        self,
        interrupt: Interrupt,
        memory_bytes_max: u64,
    ) -> impl FnOnce(&mut Draft) -> Result<(), SparqlError> + Send + 'static {
        let kept = intake::keep();
        move |draft| {
            let _kept = kept;
            // It goes before what is held for it.
            let update = self;
            apply(&update, draft, &interrupt, memory_bytes_max)
        }
    }
}

fn apply(
    parsed: &ParsedUpdate,
    draft: &mut Draft,
    interrupt: &Interrupt,
    memory_bytes_max: u64,
) -> Result<(), SparqlError> {
    let limits = (interrupt, memory_bytes_max);
    let mut documents = parsed.documents.iter();
    for operation in &parsed.update.operations {
        interrupt.check()?;
        let mut batch = Batch::default();
        match operation {
            GraphUpdateOperation::InsertData { data } => insert_data(data, &mut batch),
            GraphUpdateOperation::DeleteData { data } => {
                for quad in data {
                    batch.remove(ground_quad(quad).as_ref());
                }
            }
            GraphUpdateOperation::DeleteInsert {
                delete,
                insert,
                using,
                pattern,
            } => {
                // The writer asks nobody.
                let remote = RemoteSettings::default();
                let run = Run {
                    snapshot: draft.snapshot(),
                    default_graphs: using.as_ref().map(|using| using.default.as_slice()),
                    named_graphs: using.as_ref().and_then(|using| using.named.as_deref()),
                    interrupt,
                    remote: &remote,
                    answers: Some(&parsed.answers),
                    row_count_max: u64::MAX,
                    is_explained: false,
                    watch: parsed.watch.as_ref().map(UpdateWatch::operation),
                };
                let base_iri = parsed.update.base_iri.as_ref();
                run.changes(pattern, base_iri, delete, insert, |change| {
                    if batch.memory_bytes() > memory_bytes_max {
                        return Err(SparqlError::MemoryExceeded { memory_bytes_max });
                    }
                    match change {
                        Change::Delete(quad) => batch.remove(quad.as_ref()),
                        Change::Insert(quad) => batch.insert(quad.as_ref()),
                    }
                    Ok(())
                })?;
            }
            GraphUpdateOperation::Clear { silent, graph } => {
                empty(draft.snapshot(), graph, *silent, false, limits, &mut batch)?;
            }
            GraphUpdateOperation::Drop { silent, graph } => {
                empty(draft.snapshot(), graph, *silent, true, limits, &mut batch)?;
            }
            GraphUpdateOperation::Create { silent, graph } => {
                create(draft.snapshot(), graph, *silent, &mut batch)?;
            }
            GraphUpdateOperation::Load { .. } => {
                let document = documents
                    .next()
                    .ok_or_else(|| SparqlError::Unsupported("LOAD".to_owned()))?;
                if let Some(document) = document {
                    draft.apply(&document.batch);
                }
            }
        }
        // An iterator may have ended early: then the batch is not whole.
        interrupt.check()?;
        draft.apply(&batch);
    }
    Ok(())
}

/// Inserts quads, their blank nodes under fresh labels.
fn insert_data(data: &[term::Quad], batch: &mut Batch) {
    let mut nodes = HashMap::new();
    for quad in data {
        let quad = Quad {
            subject: fresh_subject(&quad.subject, &mut nodes),
            predicate: quad.predicate.clone(),
            object: fresh_term(&quad.object, &mut nodes),
            graph_name: graph_name(&quad.graph_name),
        };
        batch.insert(quad.as_ref());
    }
}

type Nodes = HashMap<BlankNode, BlankNode>;

fn fresh_subject(subject: &NamedOrBlankNode, nodes: &mut Nodes) -> NamedOrBlankNode {
    match subject {
        NamedOrBlankNode::NamedNode(node) => node.clone().into(),
        NamedOrBlankNode::BlankNode(node) => nodes.entry(node.clone()).or_default().clone().into(),
    }
}

pub(super) fn fresh_term(term: &Term, nodes: &mut Nodes) -> Term {
    match term {
        Term::BlankNode(node) => nodes.entry(node.clone()).or_default().clone().into(),
        Term::Triple(triple) => Triple {
            subject: fresh_subject(&triple.subject, nodes),
            predicate: triple.predicate.clone(),
            object: fresh_term(&triple.object, nodes),
        }
        .into(),
        Term::NamedNode(_) | Term::Literal(_) => term.clone(),
    }
}

fn ground_quad(quad: &GroundQuad) -> Quad {
    Quad {
        subject: quad.subject.clone().into(),
        predicate: quad.predicate.clone(),
        object: ground_term(&quad.object),
        graph_name: graph_name(&quad.graph_name),
    }
}

fn ground_term(term: &GroundTerm) -> Term {
    match term {
        GroundTerm::NamedNode(node) => node.clone().into(),
        GroundTerm::Literal(literal) => literal.clone().into(),
        GroundTerm::Triple(triple) => {
            let GroundTriple {
                subject,
                predicate,
                object,
            } = triple.as_ref();
            Triple {
                subject: subject.clone().into(),
                predicate: predicate.clone(),
                object: ground_term(object),
            }
            .into()
        }
    }
}

fn graph_name(name: &term::GraphName) -> GraphName {
    match name {
        term::GraphName::NamedNode(node) => node.clone().into(),
        term::GraphName::DefaultGraph => GraphName::DefaultGraph,
    }
}

/// Clears or drops graphs (SPARQL 1.1 Update, sections 3.1.3 and 3.2.2).
fn empty(
    snapshot: &Snapshot,
    target: &GraphTarget,
    silent: bool,
    drop: bool,
    (interrupt, memory_bytes_max): (&Interrupt, u64),
    batch: &mut Batch,
) -> Result<(), SparqlError> {
    let pattern = match target {
        GraphTarget::DefaultGraph => GraphPattern::Default,
        GraphTarget::NamedGraphs => GraphPattern::AnyNamed,
        GraphTarget::AllGraphs => GraphPattern::Any,
        GraphTarget::NamedNode(graph) => match existing(snapshot, graph) {
            Some(id) => GraphPattern::Named(id),
            None if silent => return Ok(()),
            None => {
                return Err(SparqlError::Evaluation(format!(
                    "the graph {graph} does not exist"
                )));
            }
        },
    };
    let mut work = 0;
    for quad in snapshot.quads(Pattern::all(pattern)) {
        if work == 1024 {
            interrupt.spend(std::mem::take(&mut work))?;
            if batch.memory_bytes() > memory_bytes_max {
                return Err(SparqlError::MemoryExceeded { memory_bytes_max });
            }
        }
        work += 1;
        batch.remove(snapshot.quad(quad).as_ref());
    }
    interrupt.spend(work)?;
    if drop {
        match pattern {
            GraphPattern::Default => {}
            GraphPattern::Named(graph) => drop_graph(snapshot, graph, batch),
            GraphPattern::AnyNamed | GraphPattern::Any => {
                for graph in snapshot.named_graphs() {
                    drop_graph(snapshot, graph, batch);
                }
            }
        }
    }
    Ok(())
}

fn drop_graph(snapshot: &Snapshot, graph: TermId, batch: &mut Batch) {
    match snapshot.term(graph) {
        Term::NamedNode(node) => batch.drop_graph(node.as_ref().into()),
        Term::BlankNode(node) => batch.drop_graph(node.as_ref().into()),
        // No graph has such a name.
        Term::Literal(_) | Term::Triple(_) => {}
    }
}

fn create(
    snapshot: &Snapshot,
    graph: &NamedNode,
    silent: bool,
    batch: &mut Batch,
) -> Result<(), SparqlError> {
    if existing(snapshot, graph).is_none() {
        batch.create_graph(NamedOrBlankNodeRef::from(graph.as_ref()));
    } else if !silent {
        return Err(SparqlError::Evaluation(format!(
            "the graph {graph} exists already"
        )));
    }
    Ok(())
}

fn existing(snapshot: &Snapshot, graph: &NamedNode) -> Option<TermId> {
    snapshot
        .iri_id(graph.as_str())
        .filter(|&id| snapshot.contains_named_graph(id))
}

#[cfg(test)]
mod tests;
