//! How a query runs: the tree of its operators, with what each came to if it was run.

use std::time::{Duration, Instant};

use oxigraph::model::GraphName;
use serde_json::{Deserializer, Value};
use spareval::{QueryEvaluator, QueryExplanation, QueryResults};

use super::{
    Interrupt, Parser, Query, QueryForm, SparqlError,
    dataset::{Dataset, Output},
    run::{failure, form_of, graphs},
    watch,
};
use crate::graph::Snapshot;

/// One operator of a plan.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PlanNode {
    /// What it does, such as `QuadPattern` or `Join`.
    pub operator: String,
    /// To what: patterns, expressions, keys.
    pub detail: String,
    /// Rows that the planner expects of it, if it has an opinion.
    pub row_count_estimate: Option<u64>,
    /// Rows that came of it, if the query was run.
    pub row_count: Option<u64>,
    /// Time in it and in those below, if the query was run.
    pub elapsed: Option<Duration>,
    /// Where its rows come from.
    pub children: Vec<PlanNode>,
}

/// How a query runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explanation {
    /// The form of the query.
    pub form: QueryForm,
    /// The operator on top of all.
    pub plan: PlanNode,
    /// Time to parse and plan it.
    pub planning: Duration,
    /// Time to run it, if it was run.
    pub elapsed: Option<Duration>,
    /// Rows or triples of the result, 1 for ASK, if it was run.
    pub row_count: Option<u64>,
    /// `row_count_max` ended the run.
    pub is_limited: bool,
}

/// Explains a query; runs it too, to count rows and time, if `with_execution`. Recurses: call it on a thread with a large
/// stack.
pub fn explain_query(
    parser: &Parser,
    query: &Query,
    snapshot: &Snapshot,
    with_execution: bool,
    interrupt: &Interrupt,
) -> Result<Explanation, SparqlError> {
    let start = Instant::now();
    let parsed = parser.query(&query.text, &query.parameters)?;
    interrupt.check()?;
    let form = form_of(&parsed);
    let parsing = start.elapsed();
    let (default_graphs, named_graphs) = graphs(query, &parsed);
    // The plan does not depend on the data, and the engine tells it only of a query that it has begun to run.
    let nothing = Snapshot::default();
    let snapshot = if with_execution { snapshot } else { &nothing };
    let dataset = Dataset::new(
        snapshot,
        default_graphs.as_deref(),
        Output::Terms,
        interrupt.clone(),
    );
    let evaluator = QueryEvaluator::new()
        .with_cancellation_token(interrupt.token())
        .compute_statistics();
    let mut prepared = evaluator.prepare(&parsed);
    prepared
        .dataset_mut()
        .set_default_graph(vec![GraphName::DefaultGraph]);
    if let Some(mut graphs) = named_graphs {
        graphs.sort_unstable();
        graphs.dedup();
        prepared
            .dataset_mut()
            .set_available_named_graphs(graphs.into_iter().map(Into::into).collect());
    }
    let row_count_max = query.row_count_max.unwrap_or(u64::MAX);
    watch::run(interrupt, || {
        let begin = Instant::now();
        let (results, explanation) = prepared.explain(dataset);
        let results = results.map_err(|error| failure(&error, interrupt))?;
        let mut counted = (0, false);
        if with_execution {
            counted = count(results, row_count_max, interrupt)?;
        }
        let whole = begin.elapsed();
        let (planning, plan) = read(&explanation, with_execution)?;
        Ok(Explanation {
            form,
            plan,
            planning: parsing + planning,
            elapsed: with_execution.then(|| whole.saturating_sub(planning)),
            row_count: with_execution.then_some(counted.0),
            is_limited: counted.1,
        })
    })
}

/// Counts a result; true with it if the limit ended it.
fn count(
    results: QueryResults<'_>,
    row_count_max: u64,
    interrupt: &Interrupt,
) -> Result<(u64, bool), SparqlError> {
    let outcomes: Box<dyn Iterator<Item = Result<(), _>>> = match results {
        QueryResults::Boolean(_) => {
            interrupt.check()?;
            return Ok((1, false));
        }
        QueryResults::Solutions(solutions) => Box::new(solutions.map(|solution| solution.map(drop))),
        QueryResults::Graph(triples) => Box::new(triples.map(|triple| triple.map(drop))),
    };
    let mut row_count = 0;
    for outcome in outcomes {
        outcome.map_err(|error| failure(&error, interrupt))?;
        interrupt.check()?;
        row_count += 1;
        if row_count >= row_count_max {
            return Ok((row_count, true));
        }
    }
    // The iterators below may have ended early.
    interrupt.check()?;
    Ok((row_count, false))
}

/// Reads the explanation of the engine, which is JSON: the time that it planned, and the plan.
fn read(explanation: &QueryExplanation, with_execution: bool) -> Result<(Duration, PlanNode), SparqlError> {
    let fault = |cause: &dyn std::fmt::Display| SparqlError::Internal(format!("an explanation: {cause}"));
    let mut json = Vec::new();
    explanation
        .write_in_json(&mut json)
        .map_err(|error| fault(&error))?;
    let mut reader = Deserializer::from_slice(&json);
    // It is as deep as the query, which the guard has bounded, and this thread's stack is large.
    reader.disable_recursion_limit();
    let value: Value = reader
        .into_iter()
        .next()
        .ok_or_else(|| fault(&"empty"))?
        .map_err(|error| fault(&error))?;
    let planning = seconds(&value["planning duration in seconds"]).unwrap_or_default();
    Ok((planning, node(&value["plan"], with_execution)))
}

fn node(value: &Value, with_execution: bool) -> PlanNode {
    let label = value["name"].as_str().unwrap_or_default();
    // `Join(HashBuildLeftProbeRight, keys = ?x)`
    let (operator, detail) = match label.split_once('(') {
        Some((operator, rest)) => (operator, rest.strip_suffix(')').unwrap_or(rest)),
        None => (label, ""),
    };
    let children = value["children"].as_array().map_or(&[][..], Vec::as_slice);
    PlanNode {
        operator: operator.to_owned(),
        detail: detail.to_owned(),
        row_count_estimate: None,
        row_count: value["number of results"].as_u64().filter(|_| with_execution),
        elapsed: seconds(&value["duration in seconds"]).filter(|_| with_execution),
        children: children.iter().map(|child| node(child, with_execution)).collect(),
    }
}

fn seconds(value: &Value) -> Option<Duration> {
    Duration::try_from_secs_f64(value.as_f64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sparql::tests::{graph, parser};

    fn explain(text: &str, with_execution: bool) -> Explanation {
        let query = Query {
            text: text.to_owned(),
            ..Query::default()
        };
        let snapshot = graph("ex:a ex:p 1 , 2 ; ex:q 3 .");
        let interrupt = Interrupt::new(None);
        explain_query(&parser(), &query, &snapshot, with_execution, &interrupt).unwrap()
    }

    fn operators(node: &PlanNode) -> Vec<String> {
        let below = node.children.iter().flat_map(operators);
        [node.operator.clone()].into_iter().chain(below).collect()
    }

    #[test]
    fn a_plan_that_was_run_has_counts() {
        let explanation = explain("SELECT ?o { ?s ex:p ?o FILTER(?o > 1) } ORDER BY ?o", true);
        assert_eq!(
            (explanation.form, explanation.row_count),
            (QueryForm::Select, Some(1))
        );
        assert!(explanation.elapsed.is_some());
        let operators = operators(&explanation.plan);
        for expected in ["Project", "Sort", "Filter", "QuadPattern"] {
            assert!(
                operators.iter().any(|operator| operator == expected),
                "{operators:?}"
            );
        }
        let mut leaf = &explanation.plan;
        while let Some(child) = leaf.children.first() {
            leaf = child;
        }
        assert_eq!((leaf.operator.as_str(), leaf.row_count), ("QuadPattern", Some(2)));
        assert!(leaf.detail.starts_with("?s <http://ex/p> ?o"), "{leaf:?}");
        let explanation = explain("ASK { ?s ex:none ?o }", true);
        assert_eq!(
            (explanation.form, explanation.row_count),
            (QueryForm::Ask, Some(1))
        );
    }

    #[test]
    fn a_plan_alone_has_none_and_takes_no_time() {
        let endless = "SELECT * { ?a ?b ?c . ?d ?e ?f } ORDER BY ?a";
        let planned = explain(endless, false);
        let run = explain(endless, true);
        assert_eq!(operators(&planned.plan), operators(&run.plan));
        assert_eq!((planned.row_count, planned.elapsed), (None, None));
        assert_eq!((planned.plan.row_count, planned.plan.elapsed), (None, None));
        assert_eq!(run.row_count, Some(9));
    }

    #[test]
    fn deep_plans_are_explained() {
        let deep = format!(
            "SELECT * {{ {} }}",
            "OPTIONAL { ?s ?p ?o FILTER EXISTS { ?s ex:q ?o } } ".repeat(70)
        );
        let thread = std::thread::Builder::new().stack_size(256 << 20);
        let explain = move || operators(&explain(&deep, false).plan).len();
        assert!(thread.spawn(explain).unwrap().join().unwrap() > 140);
    }
}
