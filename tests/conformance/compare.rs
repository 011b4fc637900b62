//! Compares results as the suites mean it: numbers by value, blank nodes by what is said of them.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::Path,
};

use oxigraph::{
    model::{
        BlankNode, Dataset, Graph, Literal, NamedNode, NamedNodeRef, NamedOrBlankNode, NamedOrBlankNodeRef,
        Quad, QuadRef, Term, TermRef, Triple, TripleRef, dataset::CanonicalizationAlgorithm, vocab::rdf,
    },
    sparql::results::{QueryResultsFormat, QueryResultsParser, SliceQueryResultsParserOutput},
};
use spareval::ExpressionTerm;

use crate::data::{graph_of, text_of};

const RS: &str = "http://www.w3.org/2001/sw/DataAccess/tests/result-set#";

/// A row: what is bound.
pub(crate) type Bindings = BTreeMap<String, Term>;

/// A result.
#[derive(Debug)]
pub(crate) enum Answer {
    Boolean(bool),
    Rows { rows: Vec<Bindings>, is_ordered: bool },
    Graph(Box<Graph>),
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(answer) => write!(formatter, "{answer}"),
            Self::Graph(graph) => graph
                .iter()
                .try_for_each(|triple| write!(formatter, "{triple} . ")),
            Self::Rows { rows, .. } => rows.iter().try_for_each(|row| {
                row.iter()
                    .try_for_each(|(name, term)| write!(formatter, "?{name} {term} "))?;
                formatter.write_str("; ")
            }),
        }
    }
}

/// Reads an expected result.
pub(crate) fn read(folder: &Path, iri: &str) -> Answer {
    let extension = iri.rsplit('.').next().unwrap_or_default();
    if let Some(format) =
        QueryResultsFormat::from_extension(extension).filter(|_| extension != "rdf" && extension != "ttl")
    {
        let text = text_of(folder, iri);
        return match QueryResultsParser::from_format(format)
            .for_slice(text.as_bytes())
            .unwrap()
        {
            SliceQueryResultsParserOutput::Boolean(answer) => Answer::Boolean(answer),
            SliceQueryResultsParserOutput::Solutions(solutions) => {
                let rows = solutions.map(|solution| {
                    let solution = solution.unwrap();
                    solution
                        .iter()
                        .map(|(name, term)| (name.as_str().to_owned(), term.clone()))
                        .collect()
                });
                Answer::Rows {
                    rows: rows.collect(),
                    is_ordered: false,
                }
            }
        };
    }
    of_graph(graph_of(folder, iri))
}

/// A graph may describe rows (the vocabulary of SPARQL 1.0's suite).
fn of_graph(graph: Graph) -> Answer {
    let rs = |local: &str| NamedNode::new_unchecked(format!("{RS}{local}"));
    let Some(set) = graph.subject_for_predicate_object(rdf::TYPE, rs("ResultSet").as_ref()) else {
        return Answer::Graph(Box::new(graph));
    };
    if let Some(TermRef::Literal(answer)) = graph.object_for_subject_predicate(set, rs("boolean").as_ref()) {
        return Answer::Boolean(answer.value() == "true");
    }
    let mut rows = Vec::new();
    for solution in graph.objects_for_subject_predicate(set, rs("solution").as_ref()) {
        let solution = node_of(solution);
        let mut row = Bindings::new();
        for binding in graph.objects_for_subject_predicate(&solution, rs("binding").as_ref()) {
            let binding = node_of(binding);
            let part = |local: &str| {
                graph
                    .object_for_subject_predicate(&binding, rs(local).as_ref())
                    .unwrap()
            };
            let TermRef::Literal(name) = part("variable") else {
                panic!("a variable without a name")
            };
            row.insert(name.value().to_owned(), part("value").into());
        }
        let index = graph.object_for_subject_predicate(&solution, rs("index").as_ref());
        let index: Option<u32> = match index {
            Some(TermRef::Literal(index)) => index.value().parse().ok(),
            _ => None,
        };
        rows.push((index, row));
    }
    rows.sort_by_key(|(index, _)| *index);
    let is_ordered = rows.iter().any(|(index, _)| index.is_some());
    Answer::Rows {
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        is_ordered,
    }
}

fn node_of(term: TermRef<'_>) -> NamedOrBlankNode {
    match term {
        TermRef::NamedNode(node) => node.into_owned().into(),
        TermRef::BlankNode(node) => node.into_owned().into(),
        other => panic!("{other} is no node"),
    }
}

/// Compares a result with the expected one.
pub(crate) fn same(actual: &Answer, expected: &Answer) -> bool {
    match (actual, expected) {
        (Answer::Boolean(actual), Answer::Boolean(expected)) => actual == expected,
        (Answer::Graph(actual), Answer::Graph(expected)) => {
            let dataset = |graph: &Graph| {
                let quads = graph
                    .iter()
                    .map(|triple| triple.in_graph(oxigraph::model::GraphNameRef::DefaultGraph));
                canonical(quads)
            };
            dataset(actual) == dataset(expected)
        }
        (
            Answer::Rows { rows: actual, .. },
            Answer::Rows {
                rows: expected,
                is_ordered,
            },
        ) => actual.len() == expected.len() && rows(actual, *is_ordered) == rows(expected, *is_ordered),
        _ => false,
    }
}

/// Compares data sets.
pub(crate) fn same_quads<'a>(
    actual: impl IntoIterator<Item = QuadRef<'a>>,
    expected: impl IntoIterator<Item = QuadRef<'a>>,
) -> bool {
    canonical(actual) == canonical(expected)
}

fn canonical<'a>(quads: impl IntoIterator<Item = QuadRef<'a>>) -> Dataset {
    let mut dataset: Dataset = quads
        .into_iter()
        .map(|quad| Quad {
            object: by_value(quad.object.into()),
            ..quad.into_owned()
        })
        .collect();
    dataset.canonicalize(CanonicalizationAlgorithm::Unstable);
    dataset
}

/// Rows as a graph: blank nodes are then compared as those of graphs are.
fn rows(rows: &[Bindings], is_ordered: bool) -> Dataset {
    let mut counts = HashMap::<Vec<(&String, Term)>, Vec<usize>>::new();
    for (index, row) in rows.iter().enumerate() {
        let row = row
            .iter()
            .map(|(name, term)| (name, by_value(term.clone())))
            .collect();
        counts
            .entry(row)
            .or_default()
            .push(if is_ordered { index } else { 0 });
    }
    let mut graph = Graph::new();
    for (row, places) in counts {
        let node = BlankNode::default();
        let mut say = |name: &str, value: TermRef<'_>| {
            let name = NamedNode::new_unchecked(format!("urn:row:{name}"));
            graph.insert(TripleRef::new(
                NamedOrBlankNodeRef::from(&node),
                NamedNodeRef::from(&name),
                value,
            ));
        };
        for (name, value) in &row {
            say(&format!("of:{name}"), value.as_ref());
        }
        say("places", Literal::from(format!("{places:?}")).as_ref().into());
    }
    canonical(
        graph
            .iter()
            .map(|triple| triple.in_graph(oxigraph::model::GraphNameRef::DefaultGraph)),
    )
}

fn by_value(term: Term) -> Term {
    match term {
        Term::Literal(_) => Term::from(ExpressionTerm::from(term)),
        Term::Triple(triple) => {
            let Triple {
                subject,
                predicate,
                object,
            } = *triple;
            Triple {
                subject,
                predicate,
                object: by_value(object),
            }
            .into()
        }
        other => other,
    }
}
