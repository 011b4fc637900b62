//! The shipped data set: it parses, and our own engine answers the questions in `data/questions` as is written there.
//!
//! The derived triples are those of `data/derived.trig`, which a script derives. Shapes and times are checked by other scripts.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod countries;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use dossier::{
    facts::derive::{self, derive},
    graph::{Batch, GraphPattern, Pattern, Snapshot},
    model::{prefixes::PREFIXES, vocabulary as iris},
    sparql::{GuardLimits, Interrupt, Parser, Query, QueryForm, Row, Sink, SparqlError, run_query},
};
use oxigraph::{
    io::{RdfFormat, RdfParser},
    model::{Quad, Term, Triple, Variable},
    sparql::results::{QueryResultsFormat, QueryResultsSerializer},
};

/// Those that the server loads.
const FILES: [&str; 5] = [
    "vocabulary.ttl",
    "japan-korea-2019.trig",
    "world.trig",
    "countries.trig",
    "country-names.ttl",
];
/// What follows from them, and is loaded with them nowhere.
const DERIVED: &str = "derived.trig";
const REFERENCE_DATE: &str = "2019-08-27";
const QUESTION_COUNT_MIN: usize = 52;

#[test]
fn the_questions_are_answered() {
    let snapshot = load(&FILES);
    let mut questions: Vec<_> = fs::read_dir(data().join("questions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rq"))
        .collect();
    questions.sort();
    assert!(
        questions.len() >= QUESTION_COUNT_MIN,
        "{} questions",
        questions.len()
    );
    let answers = thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(move || {
            questions
                .into_iter()
                .map(|path| (answer(&snapshot, &path), path))
                .collect::<Vec<_>>()
        })
        .unwrap()
        .join()
        .unwrap();
    for (answer, path) in answers {
        let expected = fs::read_to_string(path.with_extension("csv")).unwrap();
        assert_eq!(answer, expected.lines().collect::<Vec<_>>(), "{}", path.display());
    }
}

#[test]
fn the_server_derives_what_the_script_derives() {
    let snapshot = load(&FILES);
    let scripted = load(&[DERIVED]);
    let triples = |snapshot: &Snapshot, graph: GraphPattern| -> BTreeSet<String> {
        let quads = snapshot
            .quads(Pattern::all(graph))
            .map(|quad| snapshot.quad(quad));
        quads
            .map(|quad| format!("{} {} {}", quad.subject, quad.predicate, quad.object))
            .collect()
    };
    let derived = |snapshot: &Snapshot| GraphPattern::Named(snapshot.iri_id(iris::DERIVED).unwrap());
    let expected = triples(&scripted, derived(&scripted));
    assert!(expected.len() > 100, "{} derived triples", expected.len());
    assert_eq!(triples(&snapshot, derived(&snapshot)), expected);
    assert!(expected.is_subset(&triples(&snapshot, GraphPattern::Default)));
    assert_eq!(triples(&scripted, GraphPattern::Default), expected);
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
}

/// Returns what files say, and what follows from it on the reference date.
fn load(files: &[&str]) -> Snapshot {
    let mut batch = Batch::default();
    for quad in read(files) {
        batch.insert(quad.as_ref());
    }
    // 2026-11-30: after all that the data has on record.
    let mut draft = derive::draft(Snapshot::default()).at(1_795_996_800_000_000);
    draft.apply(&batch);
    if files.contains(&"japan-korea-2019.trig") {
        derive(&mut draft, REFERENCE_DATE.parse().unwrap()).unwrap();
    }
    draft.finish().1
}

/// Returns what files say.
fn read(files: &[&str]) -> Vec<Quad> {
    let mut quads = Vec::new();
    for file in files {
        let extension = Path::new(file)
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap();
        let text = fs::read(data().join(file)).unwrap();
        for quad in RdfParser::from_format(RdfFormat::from_extension(extension).unwrap()).for_slice(&text) {
            quads.push(quad.unwrap_or_else(|error| panic!("{file}: {error}")));
        }
    }
    quads
}

/// Returns the lines of an answer: rows sorted by their text unless the query has an ORDER BY.
fn answer(snapshot: &Snapshot, path: &Path) -> Vec<String> {
    let query = Query {
        text: fs::read_to_string(path).unwrap(),
        ..Query::default()
    };
    let parser = Parser::new(GuardLimits::default(), PREFIXES);
    let interrupt = Interrupt::new(Some(Instant::now() + Duration::from_mins(1)));
    let mut answer = Answer::default();
    run_query(&parser, &query, snapshot, &interrupt, &mut answer)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let is_ordered = query
        .text
        .lines()
        .any(|line| line.trim_start().to_uppercase().starts_with("ORDER BY"));
    answer.into_lines(is_ordered)
}

#[derive(Default)]
struct Answer {
    variables: Vec<Variable>,
    rows: Vec<Vec<Option<Term>>>,
    boolean: Option<bool>,
}

impl Answer {
    fn into_lines(self, is_ordered: bool) -> Vec<String> {
        if let Some(boolean) = self.boolean {
            return vec![boolean.to_string()];
        }
        let csv = QueryResultsSerializer::from_format(QueryResultsFormat::Csv);
        let mut writer = csv
            .serialize_solutions_to_writer(Vec::new(), self.variables.clone())
            .unwrap();
        for row in &self.rows {
            let bound = self.variables.iter().zip(row);
            let bound = bound.filter_map(|(name, term)| Some((name.as_ref(), term.as_ref()?.as_ref())));
            writer.serialize(bound).unwrap();
        }
        let text = String::from_utf8(writer.finish().unwrap()).unwrap();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        if !is_ordered {
            lines[1..].sort();
        }
        lines
    }
}

impl Sink for Answer {
    fn header(&mut self, form: QueryForm, variables: &[&str]) -> Result<(), SparqlError> {
        assert!(
            matches!(form, QueryForm::Select | QueryForm::Ask),
            "questions are SELECT or ASK queries"
        );
        self.variables = variables
            .iter()
            .map(|name| Variable::new_unchecked(*name))
            .collect();
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), SparqlError> {
        self.rows.push(row.terms());
        Ok(())
    }

    fn triple(&mut self, triple: &Triple) -> Result<(), SparqlError> {
        panic!("a question answered the triple {triple}")
    }

    fn boolean(&mut self, answer: bool) -> Result<(), SparqlError> {
        self.boolean = Some(answer);
        Ok(())
    }
}
