//! Our index and engine against Oxigraph's own store: random updates and queries must come to the same.
//!
//! The store rewrites literals to their canonical form, so the terms here are canonical already. Exactness has tests of
//! its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, sync::LazyLock};

use dossier::{
    graph::{Draft, GraphPattern, Pattern, Snapshot},
    sparql::{
        Completion, GuardLimits, Interrupt, Parser, Query, QueryForm, Row, Sink, SparqlError, parse_update,
        run_query,
    },
};
use oxigraph::{
    model::{Term, Triple},
    sparql::{QueryResults, SparqlEvaluator},
    store::Store,
};
use proptest::{collection::vec, prelude::*, sample::select};

const SUBJECTS: [&str; 3] = ["ex:a", "ex:b", "ex:c"];
const PREDICATES: [&str; 3] = ["ex:p", "ex:q", "ex:r"];
const OBJECTS: [&str; 9] = [
    "ex:a",
    "ex:b",
    "ex:c",
    "1",
    "2",
    "1.5",
    "\"x\"",
    "\"x\"@en",
    "\"2019-08-27\"^^xsd:date",
];
const GRAPHS: [&str; 3] = ["", "ex:g", "ex:h"];
const PREFIXES: [(&str, &str); 2] = [
    ("ex", "http://example.com/"),
    ("xsd", "http://www.w3.org/2001/XMLSchema#"),
];

static PARSER: LazyLock<Parser> = LazyLock::new(|| Parser::new(GuardLimits::default(), PREFIXES));

fn quad() -> impl Strategy<Value = String> {
    (
        select(&SUBJECTS[..]),
        select(&PREDICATES[..]),
        select(&OBJECTS[..]),
        select(&GRAPHS[..]),
    )
        .prop_map(|(subject, predicate, object, graph)| {
            let triple = format!("{subject} {predicate} {object}");
            if graph.is_empty() {
                triple
            } else {
                format!("GRAPH {graph} {{ {triple} }}")
            }
        })
}

/// A term or one of three variables.
fn slot(terms: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop_oneof![select(&["?x", "?y", "?z"][..]), select(terms)]
}

fn pattern() -> impl Strategy<Value = String> {
    (
        slot(&SUBJECTS),
        slot(&PREDICATES),
        slot(&OBJECTS),
        select(&["", "ex:g", "ex:h", "?g"][..]),
    )
        .prop_map(|(subject, predicate, object, graph)| {
            let triple = format!("{subject} {predicate} {object}");
            if graph.is_empty() {
                format!("{triple} .")
            } else {
                format!("GRAPH {graph} {{ {triple} }}")
            }
        })
}

fn group() -> impl Strategy<Value = String> {
    let plain = vec(pattern(), 1..4).prop_map(|patterns| patterns.join(" "));
    (plain, pattern(), 0..9_u8).prop_map(|(group, other, kind)| match kind {
        0 => format!("{group} OPTIONAL {{ {other} }}"),
        1 => format!("{{ {group} }} UNION {{ {other} }}"),
        2 => format!("{group} MINUS {{ {other} }}"),
        3 => format!("{group} FILTER NOT EXISTS {{ {other} }}"),
        4 => format!("{group} FILTER(?x = ?y || ?z < 2)"),
        5 => format!("{group} BIND(STR(?x) AS ?s) VALUES ?y {{ 1 ex:a \"x\"@en }}"),
        6 => format!("?x (ex:p|^ex:q)+ ?y . {group}"),
        _ => group,
    })
}

fn query() -> impl Strategy<Value = String> {
    (group(), 0..7_u8).prop_map(|(group, kind)| match kind {
        0 => format!("ASK {{ {group} }}"),
        1 => format!("SELECT DISTINCT ?x ?z WHERE {{ {group} }}"),
        2 => format!("SELECT ?x (COUNT(*) AS ?n) (MAX(?z) AS ?m) WHERE {{ {group} }} GROUP BY ?x"),
        3 => format!("CONSTRUCT {{ ?x ex:made ?y }} WHERE {{ {group} }}"),
        4 => format!("SELECT * FROM ex:g FROM NAMED ex:h WHERE {{ {group} }}"),
        _ => format!("SELECT * WHERE {{ {group} }} ORDER BY ?x ?y"),
    })
}

fn update() -> impl Strategy<Value = String> {
    let data = || vec(quad(), 1..8).prop_map(|quads| quads.join(" . "));
    let graph = || select(&["DEFAULT", "NAMED", "ALL", "GRAPH ex:g", "GRAPH ex:h"][..]);
    let place = || select(&["DEFAULT", "GRAPH ex:g", "GRAPH ex:h"][..]);
    prop_oneof![
        5 => data().prop_map(|data| format!("INSERT DATA {{ {data} }}")),
        2 => data().prop_map(|data| format!("DELETE DATA {{ {data} }}")),
        2 => pattern().prop_map(|pattern| format!("DELETE WHERE {{ {} }}", pattern.trim_end_matches('.'))),
        2 => group().prop_map(|group| {
            format!("DELETE {{ ?x ex:p ?z }} INSERT {{ GRAPH ex:h {{ ?x ex:r ?y }} }} WHERE {{ {group} }}")
        }),
        1 => group().prop_map(|group| format!("WITH ex:g INSERT {{ ?x ex:q ?y }} USING ex:h WHERE {{ {group} }}")),
        1 => graph().prop_map(|graph| format!("CLEAR SILENT {graph}")),
        1 => graph().prop_map(|graph| format!("DROP SILENT {graph}")),
        1 => Just("CREATE SILENT GRAPH ex:g".to_owned()),
        1 => (select(&["ADD", "MOVE", "COPY"][..]), place(), place())
            .prop_map(|(verb, from, to)| format!("{verb} SILENT {from} TO {to}")),
    ]
}

fn evaluator() -> SparqlEvaluator {
    PREFIXES
        .iter()
        .fold(SparqlEvaluator::new(), |evaluator, (name, iri)| {
            evaluator.with_prefix(*name, *iri).unwrap()
        })
}

/// Every quad and named graph, as text.
fn content(snapshot: &Snapshot) -> BTreeSet<String> {
    let quads = snapshot
        .quads(Pattern::all(GraphPattern::Any))
        .map(|quad| snapshot.quad(quad).to_string());
    let graphs = snapshot
        .named_graphs()
        .map(|graph| format!("graph {}", snapshot.term(graph)));
    quads.chain(graphs).collect()
}

fn store_content(store: &Store) -> BTreeSet<String> {
    let quads = store.iter().map(|quad| quad.unwrap().to_string());
    let graphs = store
        .named_graphs()
        .map(|graph| format!("graph {}", graph.unwrap()));
    quads.chain(graphs).collect()
}

/// Rows as text, in order or sorted.
#[derive(Default)]
struct Rows {
    variables: Vec<String>,
    rows: Vec<String>,
}

impl Rows {
    fn push(&mut self, values: impl Iterator<Item = Option<Term>>) {
        let cells = values.map(|value| value.map_or_else(|| "-".to_owned(), |term| term.to_string()));
        self.rows.push(cells.collect::<Vec<_>>().join(" "));
    }

    fn sorted(mut self) -> Vec<String> {
        self.rows.sort();
        self.rows
    }
}

impl Sink for Rows {
    fn header(&mut self, _: QueryForm, variables: &[&str]) -> Result<(), SparqlError> {
        self.variables = variables.iter().map(|&name| name.to_owned()).collect();
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), SparqlError> {
        self.push(row.terms().into_iter());
        Ok(())
    }

    fn triple(&mut self, triple: &Triple) -> Result<(), SparqlError> {
        self.rows.push(triple.to_string());
        Ok(())
    }

    fn boolean(&mut self, answer: bool) -> Result<(), SparqlError> {
        self.rows.push(answer.to_string());
        Ok(())
    }
}

fn ours(snapshot: &Snapshot, text: &str) -> Result<(Rows, Completion), SparqlError> {
    let query = Query {
        text: text.to_owned(),
        ..Query::default()
    };
    let mut rows = Rows::default();
    let completion = run_query(&PARSER, &query, snapshot, &Interrupt::new(None), &mut rows)?;
    Ok((rows, completion))
}

fn theirs(store: &Store, text: &str, variables: &[String]) -> Vec<String> {
    let mut rows = Rows::default();
    match evaluator()
        .parse_query(text)
        .unwrap()
        .on_store(store)
        .execute()
        .unwrap()
    {
        QueryResults::Boolean(answer) => rows.rows.push(answer.to_string()),
        QueryResults::Graph(triples) => rows
            .rows
            .extend(triples.map(|triple| triple.unwrap().to_string())),
        QueryResults::Solutions(solutions) => {
            for solution in solutions.map(Result::unwrap) {
                rows.push(variables.iter().map(|name| solution.get(name.as_str()).cloned()));
            }
        }
    }
    rows.sorted()
}

fn apply(snapshot: &Snapshot, text: &str) -> Snapshot {
    let update = parse_update(&PARSER, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut draft = Draft::new(snapshot.clone());
    update.plan(Interrupt::new(None))(&mut draft).unwrap_or_else(|error| panic!("{text}: {error}"));
    let (changes, after) = draft.finish();
    let (before_content, after_content) = (content(snapshot), content(&after));
    let quads =
        |content: &BTreeSet<String>| content.iter().filter(|line| !line.starts_with("graph ")).count() as u64;
    let gone: BTreeSet<_> = before_content.difference(&after_content).cloned().collect();
    let come: BTreeSet<_> = after_content.difference(&before_content).cloned().collect();
    assert_eq!(
        (changes.removed_count(), changes.inserted_count()),
        (quads(&gone), quads(&come)),
        "{text}"
    );
    after
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn updates_and_queries_agree(updates in vec(update(), 1..8), queries in vec(query(), 1..5)) {
        let store = Store::new().unwrap();
        let mut snapshot = Snapshot::default();
        for text in &updates {
            evaluator().parse_update(text).unwrap().on_store(&store).execute().unwrap();
            snapshot = apply(&snapshot, text);
            prop_assert_eq!(content(&snapshot), store_content(&store), "after {}", text);
        }
        for text in &queries {
            let (rows, completion) = ours(&snapshot, text).unwrap();
            prop_assert_eq!(completion.row_count, rows.rows.len() as u64);
            let variables = rows.variables.clone();
            // Several FROM or a union of graphs give each row once here, and more often there.
            prop_assert_eq!(rows.sorted(), theirs(&store, text, &variables), "{} on {:#?}", text, content(&snapshot));
        }
    }
}

#[test]
fn terms_come_out_as_they_went_in() {
    let snapshot = apply(
        &Snapshot::default(),
        "INSERT DATA { ex:s ex:p \"01\"^^xsd:int , 1 , 1.0 , \"1\"^^xsd:byte , \"+1\"^^xsd:integer , \"a\"@en-US , \"TRUE\"^^xsd:boolean }",
    );
    let check = |text: &str, expected: &[&str]| {
        let mut expected: Vec<_> = expected.iter().map(|&line| line.to_owned()).collect();
        expected.sort();
        assert_eq!(ours(&snapshot, text).unwrap().0.sorted(), expected, "{text}");
    };
    let xsd =
        |value: &str, datatype: &str| format!("\"{value}\"^^<http://www.w3.org/2001/XMLSchema#{datatype}>");
    let ones = [
        xsd("01", "int"),
        xsd("1", "integer"),
        xsd("1.0", "decimal"),
        xsd("1", "byte"),
        xsd("+1", "integer"),
    ];
    let ones: Vec<_> = ones.iter().map(String::as_str).collect();
    // SPARQL compares by value and gives back what was written, whatever is done between.
    check("SELECT ?o WHERE { ?s ?p ?o FILTER(?o = 1) }", &ones);
    check(
        "SELECT ?x WHERE { ?s ?p ?o FILTER(?o = 1) BIND(?o AS ?x) }",
        &ones,
    );
    check("SELECT ?o WHERE { ?s ?p ?o FILTER(?o = 1) } GROUP BY ?o", &ones);
    check(
        "SELECT DISTINCT ?x WHERE { { SELECT (?o AS ?x) WHERE { ?s ?p ?o FILTER(?o = 1) } ORDER BY ?o } }",
        &ones,
    );
    // A pattern matches terms.
    check(
        "SELECT ?o WHERE { ?s ?p \"01\"^^xsd:int BIND(1 AS ?o) }",
        &[&xsd("1", "integer")],
    );
    check("SELECT ?s WHERE { ?s ?p \"001\"^^xsd:int }", &[]);
    check(
        "SELECT ?s WHERE { ?s ?p \"a\"@EN-us }",
        &["<http://example.com/s>"],
    );
}
