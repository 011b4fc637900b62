//! Templates of CONSTRUCT and of updates: triples and quads out of solutions.

use oxigraph::model::{BlankNode, GraphName, NamedOrBlankNode, Quad, Term, Triple};
use spargebra::term::{
    GraphNamePattern, GroundQuadPattern, GroundTerm, GroundTermPattern, GroundTriplePattern,
    NamedNodePattern, QuadPattern, TermPattern, TriplePattern,
};

use super::{
    batch::{Slot, UNBOUND},
    plan::Planner,
    terms::Terms,
};

/// Returns a term without variables.
pub(super) fn ground(term: &GroundTerm) -> Term {
    match term {
        GroundTerm::NamedNode(node) => node.clone().into(),
        GroundTerm::Literal(literal) => literal.clone().into(),
        GroundTerm::Triple(triple) => Triple {
            subject: triple.subject.clone().into(),
            predicate: triple.predicate.clone(),
            object: ground(&triple.object),
        }
        .into(),
    }
}

/// A place of a template.
enum Part {
    Term(Term),
    Slot(Slot),
    /// A fresh blank node for each solution, by its place in the list.
    BlankNode(usize),
    Triple(Box<[Self; 3]>),
    /// A variable that no solution binds.
    Never,
}

/// Makes a triple, in a graph, of each solution.
pub(super) struct Template {
    parts: [Part; 3],
    /// `None` is the default graph.
    graph: Option<Part>,
}

/// The blank nodes of templates.
#[derive(Default)]
pub(super) struct Nodes {
    labels: Vec<String>,
    fresh: Vec<Option<BlankNode>>,
}

impl Nodes {
    /// Begins another solution.
    pub(super) fn begin(&mut self) {
        self.fresh.clear();
        self.fresh.resize(self.labels.len(), None);
    }

    fn place(&mut self, label: &str) -> usize {
        self.labels
            .iter()
            .position(|known| known == label)
            .unwrap_or_else(|| {
                self.labels.push(label.to_owned());
                self.labels.len() - 1
            })
    }
}

impl Template {
    pub(super) fn of_triple(planner: &Planner<'_, '_>, triple: &TriplePattern, nodes: &mut Nodes) -> Self {
        Self {
            parts: triple_parts(planner, triple, nodes),
            graph: None,
        }
    }

    pub(super) fn of_quad(planner: &Planner<'_, '_>, quad: &QuadPattern, nodes: &mut Nodes) -> Self {
        Self {
            parts: [
                term_part(planner, &quad.subject, nodes),
                name_part(planner, &quad.predicate),
                term_part(planner, &quad.object, nodes),
            ],
            graph: graph_part(planner, &quad.graph_name),
        }
    }

    pub(super) fn of_ground_quad(planner: &Planner<'_, '_>, quad: &GroundQuadPattern) -> Self {
        Self {
            parts: [
                ground_part(planner, &quad.subject),
                name_part(planner, &quad.predicate),
                ground_part(planner, &quad.object),
            ],
            graph: graph_part(planner, &quad.graph_name),
        }
    }

    /// Tells whether two solutions with the same numbers make the same triple.
    pub(super) fn is_plain(&self) -> bool {
        self.parts
            .iter()
            .all(|part| matches!(part, Part::Term(_) | Part::Slot(_)))
    }

    /// Returns the numbers of what a solution puts in.
    pub(super) fn numbers<'r>(&'r self, row: &'r [u32]) -> impl Iterator<Item = u32> + Clone + 'r {
        self.parts.iter().map(|part| match part {
            Part::Slot(slot) => row[*slot],
            _ => UNBOUND,
        })
    }

    /// Returns the triple of a solution, if it is one.
    pub(super) fn triple(&self, terms: &Terms<'_>, row: &[u32], nodes: &mut Nodes) -> Option<Triple> {
        make_triple(&self.parts, terms, row, nodes)
    }

    /// Returns the quad of a solution, if it is one.
    pub(super) fn quad(&self, terms: &Terms<'_>, row: &[u32], nodes: &mut Nodes) -> Option<Quad> {
        let graph = match &self.graph {
            None => GraphName::DefaultGraph,
            Some(part) => match make(part, terms, row, nodes)? {
                Term::NamedNode(node) => node.into(),
                Term::BlankNode(node) => node.into(),
                Term::Literal(_) | Term::Triple(_) => return None,
            },
        };
        Some(self.triple(terms, row, nodes)?.in_graph(graph))
    }
}

fn make_triple(parts: &[Part; 3], terms: &Terms<'_>, row: &[u32], nodes: &mut Nodes) -> Option<Triple> {
    let [subject, predicate, object] = parts;
    let subject: NamedOrBlankNode = match make(subject, terms, row, nodes)? {
        Term::NamedNode(node) => node.into(),
        Term::BlankNode(node) => node.into(),
        Term::Literal(_) | Term::Triple(_) => return None,
    };
    let Term::NamedNode(predicate) = make(predicate, terms, row, nodes)? else {
        return None;
    };
    Some(Triple {
        subject,
        predicate,
        object: make(object, terms, row, nodes)?,
    })
}

fn make(part: &Part, terms: &Terms<'_>, row: &[u32], nodes: &mut Nodes) -> Option<Term> {
    match part {
        Part::Term(term) => Some(term.clone()),
        Part::Slot(slot) => (row[*slot] != UNBOUND).then(|| terms.term(row[*slot])),
        Part::BlankNode(place) => Some(nodes.fresh[*place].get_or_insert_default().clone().into()),
        Part::Triple(parts) => make_triple(parts, terms, row, nodes).map(Into::into),
        Part::Never => None,
    }
}

fn triple_parts(planner: &Planner<'_, '_>, triple: &TriplePattern, nodes: &mut Nodes) -> [Part; 3] {
    [
        term_part(planner, &triple.subject, nodes),
        name_part(planner, &triple.predicate),
        term_part(planner, &triple.object, nodes),
    ]
}

fn variable_part(planner: &Planner<'_, '_>, variable: &oxigraph::model::Variable) -> Part {
    planner.known_slot(variable).map_or(Part::Never, Part::Slot)
}

fn term_part(planner: &Planner<'_, '_>, term: &TermPattern, nodes: &mut Nodes) -> Part {
    match term {
        TermPattern::NamedNode(node) => Part::Term(node.clone().into()),
        TermPattern::Literal(literal) => Part::Term(literal.clone().into()),
        TermPattern::BlankNode(node) => Part::BlankNode(nodes.place(node.as_str())),
        TermPattern::Triple(triple) => Part::Triple(Box::new(triple_parts(planner, triple, nodes))),
        TermPattern::Variable(variable) => variable_part(planner, variable),
    }
}

fn name_part(planner: &Planner<'_, '_>, name: &NamedNodePattern) -> Part {
    match name {
        NamedNodePattern::NamedNode(node) => Part::Term(node.clone().into()),
        NamedNodePattern::Variable(variable) => variable_part(planner, variable),
    }
}

fn graph_part(planner: &Planner<'_, '_>, name: &GraphNamePattern) -> Option<Part> {
    match name {
        GraphNamePattern::DefaultGraph => None,
        GraphNamePattern::NamedNode(node) => Some(Part::Term(node.clone().into())),
        GraphNamePattern::Variable(variable) => Some(variable_part(planner, variable)),
    }
}

fn ground_part(planner: &Planner<'_, '_>, term: &GroundTermPattern) -> Part {
    match term {
        GroundTermPattern::NamedNode(node) => Part::Term(node.clone().into()),
        GroundTermPattern::Literal(literal) => Part::Term(literal.clone().into()),
        GroundTermPattern::Variable(variable) => variable_part(planner, variable),
        GroundTermPattern::Triple(triple) => {
            let GroundTriplePattern {
                subject,
                predicate,
                object,
            } = triple.as_ref();
            Part::Triple(Box::new([
                ground_part(planner, subject),
                name_part(planner, predicate),
                ground_part(planner, object),
            ]))
        }
    }
}
