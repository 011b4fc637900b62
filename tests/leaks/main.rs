//! What a restricted caller is told, against a graph from which all that it may not read is absent: not one answer, count,
//! estimate or error may differ.
//!
//! `DOSSIER_LEAK_QUERIES=10000` is the long form.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../differential/generate.rs"]
mod generate;
#[expect(dead_code, reason = "those are the integration tests' own")]
#[path = "../integration/harness.rs"]
mod harness;
#[path = "../integration/http_client.rs"]
mod http_client;
mod queries;
mod statements;
mod wire;

use std::env;

use dossier::{
    facts::derive,
    graph::{Batch, Draft, Snapshot},
    model::access::GraphSet,
    sparql::{
        Explanation, GuardLimits, Interrupt, Parameters, Parser, Query, QueryForm, Row, Sink, SparqlError,
        explain_query, parse_update, run_query,
    },
};
use generate::{node, quad};
use oxigraph::model::{Quad, Triple};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// Queries of one run; more by `DOSSIER_LEAK_QUERIES`.
const QUERIES: &str = "DOSSIER_LEAK_QUERIES";
const QUERY_COUNT: u32 = 1_500;

fn query_count() -> u32 {
    env::var(QUERIES).map_or(QUERY_COUNT, |count| count.parse().unwrap())
}

/// Returns some of the graphs that there may be, by the bits of a number.
fn graph_set(bits: u8) -> GraphSet {
    let mut set = GraphSet::default();
    if bits & 1 != 0 {
        set.add_default();
    }
    for graph in 10..13_u8 {
        if bits & (2 << (graph - 10)) != 0 {
            set.add(node(graph).as_str());
        }
    }
    set
}

fn snapshot(commits: &[Vec<Quad>]) -> Snapshot {
    commits.iter().fold(Snapshot::default(), |before, quads| {
        let mut batch = Batch::default();
        for quad in quads {
            batch.insert(quad.as_ref());
        }
        let mut draft = Draft::new(before);
        draft.apply(&batch);
        draft.finish().1
    })
}

/// A result, in the order that it came in.
#[derive(Default)]
struct Shown(Vec<String>);

impl Sink for Shown {
    fn header(&mut self, form: QueryForm, variables: &[&str]) -> Result<(), SparqlError> {
        self.0.push(format!("{form:?} {variables:?}"));
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), SparqlError> {
        self.0.push(format!("{:?}", row.terms()));
        Ok(())
    }

    fn triple(&mut self, triple: &Triple) -> Result<(), SparqlError> {
        self.0.push(triple.to_string());
        Ok(())
    }

    fn boolean(&mut self, answer: bool) -> Result<(), SparqlError> {
        self.0.push(answer.to_string());
        Ok(())
    }
}

fn parser() -> Parser {
    Parser::new(GuardLimits::default(), [])
}

fn answer(snapshot: &Snapshot, text: &str) -> Result<Vec<String>, SparqlError> {
    let mut shown = Shown::default();
    let query = Query {
        text: text.to_owned(),
        ..Query::default()
    };
    run_query(&parser(), &query, snapshot, &Interrupt::new(None), &mut shown)?;
    Ok(shown.0)
}

/// Returns the plan with all of its estimates, and the work and rows of its run.
fn explanation(snapshot: &Snapshot, text: &str) -> Result<String, SparqlError> {
    let query = Query {
        text: text.to_owned(),
        ..Query::default()
    };
    let explained = explain_query(&parser(), &query, snapshot, true, &Interrupt::new(None))?;
    Ok(without_times(&explained))
}

fn without_times(explained: &Explanation) -> String {
    let text = format!("{explained:#?}");
    let has_no_time = |line: &&str| {
        let line = line.trim();
        !line.starts_with("planning")
            && !line.starts_with("elapsed")
            && !line.starts_with(|c: char| c.is_ascii_digit())
    };
    alike(&text.lines().filter(has_no_time).collect::<Vec<_>>().join("\n"))
}

/// Gives the variables and blank nodes that the parser makes up, each time anew, one name.
fn alike(text: &str) -> String {
    let made_up = regex::Regex::new(r"(\?|_:)[0-9a-f]{24,32}").unwrap();
    made_up.replace_all(text, "${1}made").into_owned()
}

fn sorted(answer: Result<Vec<String>, SparqlError>) -> Result<Vec<String>, SparqlError> {
    answer.map(|mut lines| {
        lines.sort();
        lines
    })
}

/// Runs `check` on as many random inputs as are asked for, the same each time.
fn run<S: Strategy>(count: u32, strategy: &S, mut check: impl FnMut(S::Value)) {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for _ in 0..count {
        check(strategy.new_tree(&mut runner).unwrap().current());
    }
}

#[test]
fn queries_of_a_restricted_caller_are_those_of_a_filtered_graph() {
    let cases = (
        prop::collection::vec(prop::collection::vec(quad(), 0..30), 1..4),
        0..16_u8,
        queries::query(),
    );
    let mut found_count = 0;
    run(query_count(), &cases, |(commits, bits, text)| {
        let set = graph_set(bits);
        let keep = |quads: &[Quad], is_seen| {
            let kept = quads
                .iter()
                .filter(|quad| set.has(quad.graph_name.as_ref()) == is_seen);
            kept.cloned().collect::<Vec<_>>()
        };
        // What is hidden came in between: the same rows.
        let filtered = snapshot(&commits.iter().map(|quads| keep(quads, true)).collect::<Vec<_>>());
        let seen = snapshot(&commits).seen_by(&set);
        let expected = sorted(answer(&filtered, &text));
        assert_eq!(sorted(answer(&seen, &text)), expected, "{bits:b} {text}");
        // What is hidden came last, so that terms are numbered alike: also the same order, plan, estimates and work.
        let all: Vec<_> = commits.concat();
        let seen = snapshot(&[keep(&all, true), keep(&all, false)]).seen_by(&set);
        let filtered = snapshot(&[keep(&all, true)]);
        let expected = answer(&filtered, &text);
        found_count += usize::from(expected.as_ref().is_ok_and(|lines| lines.len() > 1));
        assert_eq!(answer(&seen, &text), expected, "{bits:b} {text}");
        assert_eq!(
            explanation(&seen, &text),
            explanation(&filtered, &text),
            "{bits:b} {text}"
        );
    });
    // Most answers say something.
    assert!(found_count > query_count() as usize / 3, "{found_count}");
}

/// What follows from a change is the server's doing, which sees all: it may not be seen to.
#[test]
fn commits_of_a_restricted_caller_are_those_on_a_filtered_graph() {
    let day = "2026-11-30".parse().unwrap();
    let cases = (statements::held(), 0..16_u8, statements::change());
    let (mut refused_count, mut granted_count) = (0, 0);
    run(query_count(), &cases, |(quads, bits, text)| {
        let set = std::sync::Arc::new(graph_set(bits));
        let visible: Vec<_> = quads
            .iter()
            .filter(|quad| set.has(quad.graph_name.as_ref()))
            .cloned()
            .collect();
        let hidden = quads
            .iter()
            .filter(|quad| !set.has(quad.graph_name.as_ref()))
            .cloned()
            .collect();
        let commit = |commits: &[Vec<Quad>]| {
            let mut draft = derive::draft(snapshot(commits));
            draft.restrict(&set, &set);
            let update = parse_update(&parser(), &text, &Parameters::default()).unwrap();
            update.plan(Interrupt::new(None), u64::MAX)(&mut draft).unwrap();
            draft.lift().map_err(|graph| format!("not granted: {graph}"))?;
            derive::derive(&mut draft, day).map_err(|error| format!("{error:?}"))?;
            let mut seen = queries::quads(&draft.finish().1.seen_by(&set));
            seen.sort();
            Ok::<_, String>(seen)
        };
        let expected = commit(std::slice::from_ref(&visible));
        assert_eq!(commit(&[visible, hidden]), expected, "{bits:b} {text}");
        match expected {
            Ok(_) => granted_count += 1,
            Err(error) => refused_count += usize::from(error.contains("ClaimContent")),
        }
    });
    let least = query_count() as usize / 200;
    assert!(
        refused_count > least && granted_count > least,
        "{refused_count} {granted_count}"
    );
}

#[test]
fn updates_of_a_restricted_caller_see_a_filtered_graph() {
    let cases = (prop::collection::vec(quad(), 0..40), 0..16_u8, queries::update());
    run(query_count() / 5, &cases, |(quads, bits, text)| {
        let set = std::sync::Arc::new(graph_set(bits));
        let plan = |draft: &mut Draft| {
            let update = parse_update(&parser(), &text, &Parameters::default())?;
            update.plan(Interrupt::new(None), u64::MAX)(draft)
        };
        let visible: Vec<_> = quads
            .iter()
            .filter(|quad| set.has(quad.graph_name.as_ref()))
            .cloned()
            .collect();
        let hidden: Vec<_> = quads
            .iter()
            .filter(|quad| !set.has(quad.graph_name.as_ref()))
            .cloned()
            .collect();
        let (whole, filtered) = (snapshot(&[visible.clone(), hidden]), snapshot(&[visible]));
        let mut draft = Draft::new(whole);
        draft.restrict(&set, &set);
        let planned = plan(&mut draft);
        let granted = draft.lift();
        let mut expected = Draft::new(filtered);
        // What may not be changed is no less denied where it is not there.
        expected.restrict(&set, &set);
        assert_eq!(planned, plan(&mut expected), "{bits:b} {text}");
        assert_eq!(granted, expected.lift(), "{bits:b} {text}");
        if granted.is_ok() && planned.is_ok() {
            let [mut left, mut right] =
                [draft, expected].map(|draft| queries::quads(&draft.finish().1.seen_by(&set)));
            left.sort();
            right.sort();
            assert_eq!(left, right, "{bits:b} {text}");
        }
    });
}
