//! How a query runs: the tree of its operators, with what each came to if it was run.

use std::time::{Duration, Instant};

use oxigraph::model::Triple;

use super::{
    Interrupt, Parser, Query, QueryForm, Row, Sink, SparqlError,
    engine::Run,
    run::{form_of, graphs},
};
use crate::graph::Snapshot;

/// One operator of a plan.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PlanNode {
    /// What it does, such as `Scan` or `HashJoin`.
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
    /// Units of work that it came to, if it was run.
    pub work: Option<u64>,
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
    let (default_graphs, named_graphs) = graphs(query, &parsed);
    let run = Run {
        snapshot,
        default_graphs: default_graphs.as_deref(),
        named_graphs: named_graphs.as_deref(),
        interrupt,
        remote: parser.remote(),
        answers: None,
        row_count_max: query.row_count_max.unwrap_or(u64::MAX),
        is_explained: true,
        watch: None,
    };
    if !with_execution {
        let plan = run.explain(&parsed)?;
        return Ok(Explanation {
            form,
            plan,
            planning: start.elapsed(),
            elapsed: None,
            row_count: None,
            work: None,
            is_limited: false,
        });
    }
    let outcome = run.run(&parsed, &mut Nowhere)?;
    let planning = outcome.planned_at.duration_since(start);
    Ok(Explanation {
        form,
        plan: outcome.plan.unwrap_or_default(),
        planning,
        elapsed: Some(start.elapsed().saturating_sub(planning)),
        row_count: Some(outcome.row_count),
        work: Some(interrupt.work()),
        is_limited: outcome.is_limited,
    })
}

/// Takes a result and forgets it.
struct Nowhere;

impl Sink for Nowhere {
    fn header(&mut self, _: QueryForm, _: &[&str]) -> Result<(), SparqlError> {
        Ok(())
    }

    fn row(&mut self, _: Row<'_>) -> Result<(), SparqlError> {
        Ok(())
    }

    fn triple(&mut self, _: &Triple) -> Result<(), SparqlError> {
        Ok(())
    }

    fn boolean(&mut self, _: bool) -> Result<(), SparqlError> {
        Ok(())
    }
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
        for expected in ["Sort", "Filter", "Scan"] {
            assert!(
                operators.iter().any(|operator| operator == expected),
                "{operators:?}"
            );
        }
        let mut scan = &explanation.plan;
        while scan.operator != "Scan" {
            scan = &scan.children[0];
        }
        assert_eq!((scan.row_count_estimate, scan.row_count), (Some(2), Some(2)));
        assert!(scan.detail.starts_with("?s <http://ex/p> ?o"), "{scan:?}");
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
