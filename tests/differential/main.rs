//! Our engine against the specification, evaluated as it is written; our graph against `oxigraph::store::Store`: random
//! quads, updates and queries, the same answers.
//!
//! The literals are in canonical form, which Oxigraph's store does not rewrite.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod generate;
mod reference;

use std::collections::BTreeMap;

use dossier::{
    graph::{Batch, Draft, GraphPattern, Pattern, Snapshot},
    sparql::{
        GuardLimits, Interrupt, Parameters, Parser, Query, QueryForm, Row, Sink, SparqlError, parse_update,
        run_query,
    },
};
use generate::{any_group, group, node, quad};
use oxigraph::{
    model::{GraphName, NamedOrBlankNode, Quad, Term, Triple},
    sparql::{QueryResults, SparqlEvaluator},
    store::Store,
};
use proptest::{prelude::*, sample::select};

fn any_query() -> impl Strategy<Value = String> {
    let form = select(vec![
        "SELECT *",
        "SELECT DISTINCT ?a ?b",
        "ASK",
        "SELECT (COUNT(*) AS ?n) (SUM(?c) AS ?s)",
    ]);
    (form, any_group()).prop_map(|(form, group)| format!("{form} {{ {group} }}"))
}

fn query() -> impl Strategy<Value = String> {
    let form = select(vec!["SELECT *", "ASK", "CONSTRUCT { ?a <http://ex/new> ?c }"]);
    (form, group()).prop_map(|(form, group)| format!("{form} {{ {group} }}"))
}

fn operation() -> impl Strategy<Value = String> {
    let graph = || (10..14_u8).prop_map(|number| format!("GRAPH {}", node(number)));
    let target = prop_oneof![
        graph(),
        select(vec!["DEFAULT", "NAMED", "ALL"]).prop_map(str::to_owned)
    ];
    let either = || prop_oneof![graph(), Just("DEFAULT".to_owned())];
    let data = |quad: &Quad| match &quad.graph_name {
        GraphName::DefaultGraph => format!("{} {} {}", quad.subject, quad.predicate, quad.object),
        graph => format!(
            "GRAPH {graph} {{ {} {} {} }}",
            quad.subject, quad.predicate, quad.object
        ),
    };
    prop_oneof![
        4 => quad().prop_map(move |quad| format!("INSERT DATA {{ {} }}", data(&quad))),
        2 => quad().prop_map(move |quad| format!("DELETE DATA {{ {} }}", data(&quad))),
        3 => group().prop_map(|group| format!(
            "DELETE {{ ?a ?p ?b }} INSERT {{ GRAPH <http://ex/12> {{ ?a <http://ex/7> ?c }} }} WHERE {{ {group} ?a ?p ?b }}"
        )),
        2 => group().prop_map(|group| format!(
            "WITH <http://ex/10> DELETE {{ ?a <http://ex/5> ?b }} INSERT {{ ?b <http://ex/6> ?a }} WHERE {{ {group} }}"
        )),
        1 => (select(vec!["CLEAR", "DROP"]), target).prop_map(|(verb, target)| format!("{verb} SILENT {target}")),
        1 => graph().prop_map(|graph| format!("CREATE SILENT {graph}")),
        1 => (select(vec!["ADD", "MOVE", "COPY"]), either(), either())
            .prop_map(|(verb, from, to)| format!("{verb} SILENT {from} TO {to}")),
    ]
}

/// Both, with the same quads.
struct Pair {
    ours: Snapshot,
    theirs: Store,
}

impl Pair {
    fn new(quads: &[Quad]) -> Self {
        let theirs = Store::new().unwrap();
        let mut batch = Batch::default();
        for quad in quads {
            batch.insert(quad.as_ref());
            theirs.insert(quad).unwrap();
        }
        let mut draft = Draft::new(Snapshot::default());
        draft.apply(&batch);
        Self {
            ours: draft.finish().1,
            theirs,
        }
    }

    /// Applies an update to both; they succeed or fail together, and our counts are those of the difference.
    fn update(&mut self, text: &str) {
        let before = our_quads(&self.ours);
        let mut draft = Draft::new(self.ours.clone());
        let ours = parse_update(&parser(), text, &Parameters::default())
            .and_then(|update| update.plan(Interrupt::new(None), u64::MAX)(&mut draft));
        let theirs = SparqlEvaluator::new()
            .parse_update(text)
            .unwrap()
            .on_store(&self.theirs)
            .execute();
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}: {ours:?}");
        if ours.is_ok() {
            let (changes, after) = draft.finish();
            self.ours = after;
            let after = our_quads(&self.ours);
            let missing =
                |from: &[String], of: &[String]| of.iter().filter(|quad| !from.contains(quad)).count() as u64;
            assert_eq!(changes.inserted_count(), missing(&before, &after), "{text}");
            assert_eq!(changes.removed_count(), missing(&after, &before), "{text}");
        }
    }

    fn check_same(&self) {
        let mut theirs: Vec<String> = self.theirs.iter().map(|quad| quad.unwrap().to_string()).collect();
        theirs.sort();
        assert_eq!(our_quads(&self.ours), theirs);
        assert_eq!(self.ours.quad_count(), theirs.len() as u64);
        let mut graphs: Vec<Term> = self
            .ours
            .named_graphs()
            .map(|graph| self.ours.term(graph))
            .collect();
        let named = |graph: NamedOrBlankNode| Term::from(graph);
        let mut their_graphs: Vec<Term> = self
            .theirs
            .named_graphs()
            .map(|graph| named(graph.unwrap()))
            .collect();
        graphs.sort_by_key(ToString::to_string);
        their_graphs.sort_by_key(ToString::to_string);
        assert_eq!(graphs, their_graphs);
    }
}

fn our_quads(snapshot: &Snapshot) -> Vec<String> {
    let quads = snapshot.quads(Pattern::all(GraphPattern::Any));
    let mut quads: Vec<String> = quads.map(|quad| snapshot.quad(quad).to_string()).collect();
    quads.sort();
    quads
}

fn parser() -> Parser {
    Parser::new(GuardLimits::default(), [])
}

/// A result as a sorted list of rows, triples or one boolean.
#[derive(Default)]
struct Shown {
    variables: Vec<String>,
    lines: Vec<String>,
}

impl Shown {
    fn row(&mut self, bound: &BTreeMap<&str, String>) {
        self.lines.push(format!("{bound:?}"));
    }
}

impl Sink for Shown {
    fn header(&mut self, _: QueryForm, variables: &[&str]) -> Result<(), SparqlError> {
        self.variables = variables.iter().map(|&name| name.to_owned()).collect();
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), SparqlError> {
        let variables = self.variables.clone();
        let cells = variables.iter().map(String::as_str).zip(row.terms());
        Shown::row(
            self,
            &cells
                .filter_map(|(name, term)| Some((name, term?.to_string())))
                .collect(),
        );
        Ok(())
    }

    fn triple(&mut self, triple: &Triple) -> Result<(), SparqlError> {
        self.lines.push(triple.to_string());
        Ok(())
    }

    fn boolean(&mut self, answer: bool) -> Result<(), SparqlError> {
        self.lines.push(answer.to_string());
        Ok(())
    }
}

fn ours(snapshot: &Snapshot, text: &str) -> Vec<String> {
    let mut shown = Shown::default();
    let query = Query {
        text: text.to_owned(),
        ..Query::default()
    };
    run_query(&parser(), &query, snapshot, &Interrupt::new(None), &mut shown).unwrap();
    shown.lines.sort();
    shown.lines
}

/// The answer as the specification has it; `None` if the text is no query after all.
fn specified(quads: &[Quad], text: &str) -> Option<Vec<String>> {
    let query = spargebra::SparqlParser::new().parse_query(text).ok()?;
    let solutions = reference::solutions(quads, &query);
    if matches!(query, spargebra::Query::Ask { .. }) {
        return Some(vec![(!solutions.is_empty()).to_string()]);
    }
    let mut shown = Shown::default();
    for solution in &solutions {
        let cells = solution
            .iter()
            .filter(|(name, _)| !name.as_str().starts_with("_:"));
        shown.row(
            &cells
                .map(|(name, term)| (name.as_str(), term.to_string()))
                .collect(),
        );
    }
    shown.lines.sort();
    Some(shown.lines)
}

fn theirs(store: &Store, text: &str) -> Vec<String> {
    let mut shown = Shown::default();
    match SparqlEvaluator::new()
        .parse_query(text)
        .unwrap()
        .on_store(store)
        .execute()
        .unwrap()
    {
        QueryResults::Boolean(answer) => shown.lines.push(answer.to_string()),
        QueryResults::Graph(triples) => shown
            .lines
            .extend(triples.map(|triple| triple.unwrap().to_string())),
        QueryResults::Solutions(solutions) => {
            for solution in solutions {
                let solution = solution.unwrap();
                shown.row(
                    &solution
                        .iter()
                        .map(|(name, term)| (name.as_str(), term.to_string()))
                        .collect(),
                );
            }
        }
    }
    shown.lines.sort();
    shown.lines
}

#[test]
fn a_path_of_no_length_starts_at_nodes_of_the_graph_in_exists() {
    // The path is two patterns that share a variable: the second one is empty at no IRI that only the first one names.
    let quads = [Quad::new(node(0), node(5), node(0), GraphName::DefaultGraph)];
    let pair = Pair::new(&quads);
    for (start, expected) in [
        ("<http://ex/1>", "false"),
        ("<http://ex/0>", "true"),
        ("?a", "false"),
    ] {
        let text = format!(
            "ASK {{ VALUES ?a {{ <http://ex/1> 2 }} FILTER EXISTS {{ {start} <http://ex/6>?/<http://ex/7>? ?b }} }}"
        );
        assert_eq!(specified(&quads, &text).unwrap(), [expected], "{text}");
        assert_eq!(ours(&pair.ours, &text), [expected], "{text}");
    }
    let text = "ASK { VALUES ?a { <http://ex/1> } FILTER EXISTS { ?a <http://ex/6>? ?b } }";
    assert_eq!(specified(&quads, text).unwrap(), ["true"]);
    assert_eq!(ours(&pair.ours, text), ["true"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn queries_have_the_answers_of_the_specification(
        quads in prop::collection::vec(quad(), 0..45),
        text in any_query(),
    ) {
        let pair = Pair::new(&quads);
        if let Some(specified) = specified(&quads, &text) {
            prop_assert_eq!(ours(&pair.ours, &text), specified, "{}", text);
        }
    }

    #[test]
    fn queries_have_the_same_answers(quads in prop::collection::vec(quad(), 0..40), text in query()) {
        let pair = Pair::new(&quads);
        prop_assert_eq!(ours(&pair.ours, &text), theirs(&pair.theirs, &text), "{}", text);
    }

    #[test]
    fn updates_leave_the_same_quads(
        quads in prop::collection::vec(quad(), 0..20),
        operations in prop::collection::vec(operation(), 1..8),
    ) {
        let mut pair = Pair::new(&quads);
        pair.check_same();
        for operation in &operations {
            pair.update(operation);
            pair.check_same();
        }
        // As one request, all or nothing, the outcome is the same.
        let mut once = Pair::new(&quads);
        once.update(&operations.join(" ;\n"));
        once.check_same();
        prop_assert_eq!(our_quads(&once.ours), our_quads(&pair.ours));
    }

    #[test]
    fn counts_of_patterns_are_exact(
        quads in prop::collection::vec(quad(), 0..40),
        removed in prop::collection::vec(quad(), 0..20),
        (subject, predicate, object) in (any::<bool>(), any::<bool>(), any::<bool>()),
        asked in quad(),
    ) {
        let mut pair = Pair::new(&quads);
        let mut batch = Batch::default();
        for quad in removed.iter().chain(quads.iter().step_by(3)) {
            batch.remove(quad.as_ref());
            pair.theirs.remove(quad).unwrap();
        }
        let mut draft = Draft::new(pair.ours.clone());
        draft.apply(&batch);
        pair.ours = draft.finish().1;
        let matching = |quad: &Quad| {
            (!subject || quad.subject == asked.subject)
                && (!predicate || quad.predicate == asked.predicate)
                && (!object || quad.object == asked.object)
        };
        let expected = |in_graph: &dyn Fn(&Quad) -> bool| {
            let quads = pair.theirs.iter().map(Result::unwrap);
            quads.filter(|quad| matching(quad) && in_graph(quad)).count() as u64
        };
        let id = |term: Term| pair.ours.id(term.as_ref());
        let parts = (id(asked.subject.clone().into()), id(asked.predicate.clone().into()), id(asked.object.clone()));
        let is_known = (!subject || parts.0.is_some()) && (!predicate || parts.1.is_some()) && (!object || parts.2.is_some());
        let count = |graph| if is_known {
            pair.ours.count(Pattern {
                subject: parts.0.filter(|_| subject),
                predicate: parts.1.filter(|_| predicate),
                object: parts.2.filter(|_| object),
                graph,
            })
        } else {
            0
        };
        prop_assert_eq!(count(GraphPattern::Any), expected(&|_| true));
        prop_assert_eq!(count(GraphPattern::Default), expected(&|quad| quad.graph_name.is_default_graph()));
        prop_assert_eq!(count(GraphPattern::AnyNamed), expected(&|quad| !quad.graph_name.is_default_graph()));
        let named = pair.ours.iri_id("http://ex/11").map_or(0, |graph| count(GraphPattern::Named(graph)));
        prop_assert_eq!(named, expected(&|quad| quad.graph_name == node(11).into()));
    }
}
