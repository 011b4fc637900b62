//! Analytic SPARQL in process, on the made-up graph.
//!
//! ```text
//! cargo bench --bench sparql                     # 1,000,000 quads
//! cargo bench --bench sparql -- --quads 100000
//! ```

use std::{
    error::Error,
    time::{Duration, Instant},
};

use dossier::{
    graph::{Batch, Draft, Snapshot},
    sparql::{GuardLimits, Interrupt, Parser, Query, QueryForm, Row, Sink, SparqlError, run_query},
};
use oxigraph::{
    io::{RdfFormat, RdfParser},
    model::Triple,
};

#[path = "../examples/generate/graph.rs"]
mod generate;

const RUN_COUNT: usize = 5;
const TIMEOUT: Duration = Duration::from_mins(1);
/// As the server gives its query threads.
const STACK_BYTES: usize = 256 << 20;

/// What is asked, and how.
const QUERIES: [(&str, &str); 20] = [
    ("an entity", "SELECT ?p ?o { e:77 ?p ?o }"),
    ("count all", "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"),
    (
        "count a predicate",
        "SELECT (COUNT(?s) AS ?n) { ?s p:population ?o }",
    ),
    (
        "join of two predicates",
        "SELECT (COUNT(*) AS ?n) { ?a p:partOf ?b . ?b p:locatedIn ?c }",
    ),
    (
        "join of three predicates",
        "SELECT (COUNT(*) AS ?n) { ?a p:partOf ?b . ?b p:locatedIn ?c . ?c p:successorOf ?d }",
    ),
    (
        "selective pattern last",
        "SELECT ?a ?t { ?a a ?t . ?a p:partOf ?b . ?b rdfs:label 'Entity 77'@en }",
    ),
    (
        "triangle",
        "SELECT ?a ?b ?c { ?a p:partOf ?b . ?b p:locatedIn ?c . ?c p:successorOf ?a }",
    ),
    (
        "filter on a date",
        "SELECT (COUNT(*) AS ?n) { ?a p:foundedOn ?d FILTER(?d <= '1950-01-01'^^xsd:date) }",
    ),
    (
        "as of a day",
        "SELECT ?a ?b { ?a p:partOf ?b ; a t:3 ; p:foundedOn ?d . OPTIONAL { ?b p:foundedOn ?e } FILTER(?d <= '1950-01-01'^^xsd:date && (!BOUND(?e) || ?e > '1950-01-01'^^xsd:date)) }",
    ),
    (
        "group by type",
        "SELECT ?t (COUNT(*) AS ?n) { ?a a ?t } GROUP BY ?t",
    ),
    (
        "group by predicate",
        "SELECT ?p (COUNT(*) AS ?n) { ?s ?p ?o } GROUP BY ?p",
    ),
    (
        "average by type",
        "SELECT ?t (AVG(?n) AS ?m) { ?a a ?t ; p:population ?n } GROUP BY ?t",
    ),
    (
        "NOT EXISTS",
        "SELECT (COUNT(*) AS ?n) { ?a p:partOf ?b FILTER NOT EXISTS { ?a p:active true } }",
    ),
    (
        "MINUS",
        "SELECT (COUNT(*) AS ?n) { ?a p:partOf ?b MINUS { ?a p:active true } }",
    ),
    (
        "OPTIONAL",
        "SELECT (COUNT(*) AS ?n) { ?a a t:3 OPTIONAL { ?a p:partOf ?b . ?b p:population ?m FILTER(?m > 5000000) } }",
    ),
    ("distinct", "SELECT (COUNT(DISTINCT ?b) AS ?n) { ?a p:partOf ?b }"),
    (
        "top ten",
        "SELECT ?a ?n { ?a p:population ?n } ORDER BY DESC(?n) LIMIT 10",
    ),
    ("sort all", "SELECT ?a ?n { ?a p:population ?n } ORDER BY ?n"),
    ("path", "SELECT (COUNT(*) AS ?n) { e:77 p:partOf* ?a }"),
    (
        "search in labels",
        "SELECT (COUNT(*) AS ?n) { ?a rdfs:label ?l FILTER(CONTAINS(LCASE(STR(?l)), 'entity 77')) }",
    ),
];

const PROLOGUE: &str = "PREFIX e: <http://example.org/e/> PREFIX p: <http://example.org/p/> \
    PREFIX t: <http://example.org/type/> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> \
    PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> ";

fn main() -> Result<(), Box<dyn Error>> {
    let mut quad_count = 1_000_000;
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quads" => quad_count = arguments.next().ok_or("--quads takes a number")?.parse()?,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let snapshot = load(quad_count)?;
    let run = move || {
        for (name, text) in QUERIES {
            ask(name, text, &snapshot);
        }
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(run)?;
    thread.join().map_err(|_| "a query panicked")?;
    Ok(())
}

fn ask(name: &str, text: &str, snapshot: &Snapshot) {
    let parser = Parser::new(GuardLimits::default(), []);
    let query = Query {
        text: format!("{PROLOGUE}{text}"),
        ..Query::default()
    };
    let mut times = Vec::new();
    let mut shown = Shown::default();
    for _ in 0..RUN_COUNT {
        shown = Shown::default();
        let interrupt = Interrupt::new(Some(Instant::now() + TIMEOUT));
        let start = Instant::now();
        let outcome = run_query(&parser, &query, snapshot, &interrupt, &mut shown);
        times.push(start.elapsed());
        if let Err(error) = outcome {
            println!("{name:>26}: {error}");
            return;
        }
    }
    times.sort_unstable();
    println!(
        "{name:>26}: {:>9.2} ms; {} rows, the first: {}",
        times[RUN_COUNT / 2].as_secs_f64() * 1e3,
        shown.row_count,
        shown.first
    );
}

#[derive(Default)]
struct Shown {
    row_count: u64,
    first: String,
}

impl Sink for Shown {
    fn header(&mut self, _: QueryForm, _: &[&str]) -> Result<(), SparqlError> {
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), SparqlError> {
        if self.row_count == 0 {
            let cells = row.terms().into_iter().map(|term| match term {
                Some(term) => term.to_string(),
                None => "-".to_owned(),
            });
            self.first = cells.collect::<Vec<_>>().join(" ").chars().take(60).collect();
        }
        self.row_count += 1;
        Ok(())
    }

    fn triple(&mut self, _: &Triple) -> Result<(), SparqlError> {
        self.row_count += 1;
        Ok(())
    }

    fn boolean(&mut self, _: bool) -> Result<(), SparqlError> {
        Ok(())
    }
}

fn load(quad_count: u64) -> Result<Snapshot, Box<dyn Error>> {
    let mut document = Vec::new();
    generate::write_graph(&mut document, quad_count, 1)?;
    let mut batch = Batch::default();
    for quad in RdfParser::from_format(RdfFormat::NQuads).for_slice(&document) {
        batch.insert(quad?.as_ref());
    }
    let mut draft = Draft::new(Snapshot::default());
    draft.apply(&batch);
    Ok(draft.finish().1)
}
