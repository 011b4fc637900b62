use proptest::{prelude::*, sample::select};

use super::*;
use crate::{
    graph::{Draft, GraphPattern as Graphs, Pattern, Snapshot},
    sparql::{
        Interrupt, Query as Asked, QueryForm, Row, Sink, parse_update, run_query,
        tests::{graph, parser},
    },
};

#[derive(Debug, Default, Eq, PartialEq)]
struct Collector {
    variables: Vec<String>,
    rows: Vec<String>,
}

impl Sink for Collector {
    fn header(&mut self, _: QueryForm, variables: &[&str]) -> Result<(), SparqlError> {
        self.variables = variables.iter().map(|&name| name.to_owned()).collect();
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), SparqlError> {
        self.rows.push(format!("{:?}", row.terms()));
        Ok(())
    }

    fn triple(&mut self, triple: &oxigraph::model::Triple) -> Result<(), SparqlError> {
        self.rows.push(triple.to_string());
        Ok(())
    }

    fn boolean(&mut self, answer: bool) -> Result<(), SparqlError> {
        self.rows.push(answer.to_string());
        Ok(())
    }
}

fn answer(snapshot: &Snapshot, text: &str, parameters: Parameters) -> Result<Collector, SparqlError> {
    let query = Asked {
        text: text.to_owned(),
        parameters,
        ..Asked::default()
    };
    let mut collector = Collector::default();
    run_query(&parser(), &query, snapshot, &Interrupt::new(None), &mut collector)?;
    if !text.contains("ORDER BY") {
        collector.rows.sort();
    }
    Ok(collector)
}

fn change(snapshot: &Snapshot, text: &str, parameters: &Parameters) -> Result<Vec<String>, SparqlError> {
    let mut draft = Draft::new(snapshot.clone());
    let update = parse_update(&parser(), text, parameters)?;
    update.plan(Interrupt::new(None), u64::MAX)(&mut draft)?;
    let snapshot = draft.finish().1;
    let quads = snapshot.quads(Pattern::all(Graphs::Any));
    let mut quads: Vec<String> = quads.map(|quad| snapshot.quad(quad).to_string()).collect();
    quads.sort();
    Ok(quads)
}

fn parameters(pairs: &[(&str, &str)]) -> Parameters {
    let pairs = pairs.iter();
    pairs
        .map(|&(name, term)| (name.to_owned(), term.parse().unwrap()))
        .collect()
}

/// Each with the text that must have the same result, `TERM` being the term: where any term may stand.
const ANYWHERE: &[(&str, &str)] = &[
    (
        "SELECT ?s ?x { ?s ex:p ?x }",
        "SELECT ?s (TERM AS ?x) { ?s ex:p TERM }",
    ),
    (
        "SELECT * { ?s ?p ?x }",
        "SELECT ?p ?s (TERM AS ?x) { ?s ?p TERM }",
    ),
    (
        "SELECT DISTINCT ?x { ?s ?p ?x } LIMIT 1",
        "SELECT DISTINCT (TERM AS ?x) { ?s ?p TERM } LIMIT 1",
    ),
    (
        "SELECT ?s { ?s ex:p ?x . ?s ex:q ?x }",
        "SELECT ?s { ?s ex:p TERM . ?s ex:q TERM }",
    ),
    (
        "SELECT ?s ?x { ?s (ex:p|ex:q)+ ?x }",
        "SELECT ?s (TERM AS ?x) { ?s (ex:p|ex:q)+ TERM }",
    ),
    (
        "SELECT ?o { ?x (^ex:p|ex:q)* ?o }",
        "SELECT ?o { TERM (^ex:p|ex:q)* ?o }",
    ),
    (
        "SELECT ?s ?o { ?s ex:p ?o FILTER(?o = ?x || ?o IN (?x, 1)) }",
        "SELECT ?s ?o { ?s ex:p ?o FILTER(?o = TERM || ?o IN (TERM, 1)) }",
    ),
    (
        "SELECT ?s ?o { ?s ex:p ?o FILTER(?o != ?x && BOUND(?x)) }",
        "SELECT ?s ?o { ?s ex:p ?o FILTER(?o != TERM) }",
    ),
    (
        "SELECT ?s ?l { ?s ex:p ?o BIND(COALESCE(?o + ?x, STR(?x), ?x) AS ?l) }",
        "SELECT ?s ?l { ?s ex:p ?o BIND(COALESCE(?o + TERM, STR(TERM), TERM) AS ?l) }",
    ),
    (
        "SELECT ?o (IF(?o < ?x, 1, ?x) AS ?l) { ?s ex:p ?o }",
        "SELECT ?o (IF(?o < TERM, 1, TERM) AS ?l) { ?s ex:p ?o }",
    ),
    (
        "SELECT ?s ?o ?x { ?s ex:p ?o } ORDER BY (?o = ?x) ?x ?o ?s",
        "SELECT ?s ?o (TERM AS ?x) { ?s ex:p ?o } ORDER BY (?o = TERM) TERM_KEY ?o ?s",
    ),
    (
        "SELECT ?x (COUNT(*) AS ?n) { ?s ?p ?x } GROUP BY ?x",
        "SELECT ?x (COUNT(*) AS ?n) { ?s ?p TERM } GROUP BY (TERM AS ?x)",
    ),
    (
        "SELECT (COUNT(?x) AS ?n) (SAMPLE(?x) AS ?m) { ?s ex:none ?o }",
        "SELECT (COUNT(TERM) AS ?n) (SAMPLE(TERM) AS ?m) { ?s ex:none ?o }",
    ),
    (
        "SELECT ?s (COUNT(?x) AS ?n) (MAX(?x) AS ?m) { ?s ex:p ?o } GROUP BY ?s HAVING(MIN(?o) < ?x || ?x = 1)",
        "SELECT ?s (COUNT(TERM) AS ?n) (MAX(TERM) AS ?m) { ?s ex:p ?o } GROUP BY ?s HAVING(MIN(?o) < TERM || TERM = 1)",
    ),
    (
        "SELECT ?x ?p (COUNT(DISTINCT ?s) AS ?n) { ?s ?p ?x } GROUP BY ?p ?x ORDER BY ?p",
        "SELECT (TERM AS ?x) ?p (COUNT(DISTINCT ?s) AS ?n) { ?s ?p TERM } GROUP BY ?p ORDER BY ?p",
    ),
    (
        "SELECT ?s ?x { ?s ex:p ?x OPTIONAL { ?s ex:q ?o FILTER(?o != ?x) } }",
        "SELECT ?s (TERM AS ?x) { ?s ex:p TERM OPTIONAL { ?s ex:q ?o FILTER(?o != TERM) } }",
    ),
    (
        "SELECT ?s ?x { { ?s ex:p ?x } UNION { ?s ex:q ?o } }",
        "SELECT ?s (TERM AS ?x) { { ?s ex:p TERM } UNION { ?s ex:q ?o } }",
    ),
    (
        "SELECT ?s { ?s ex:p ?x MINUS { ?s ex:q ?x } }",
        "SELECT ?s { ?s ex:p TERM MINUS { ?s ex:q TERM } }",
    ),
    (
        "SELECT ?s { ?s ex:p ?o FILTER EXISTS { ?s ex:q ?x } }",
        "SELECT ?s { ?s ex:p ?o FILTER EXISTS { ?s ex:q TERM } }",
    ),
    (
        "SELECT ?s { ?s ex:p ?o FILTER NOT EXISTS { { SELECT ?s ?x { ?s ex:q ?x } } } }",
        "SELECT ?s { ?s ex:p ?o FILTER NOT EXISTS { { SELECT ?s { ?s ex:q TERM } } } }",
    ),
    (
        "SELECT ?s ?x { ?s ex:q ?o { SELECT ?s ?x { ?s ex:p ?x } } }",
        "SELECT ?s (TERM AS ?x) { ?s ex:q ?o { SELECT ?s { ?s ex:p TERM } } }",
    ),
    (
        "SELECT ?s ?x ?n { ?s ex:q ?x { SELECT ?x (COUNT(*) AS ?n) { ?t ex:p ?x } GROUP BY ?x } }",
        "SELECT ?s (TERM AS ?x) ?n { ?s ex:q TERM { SELECT (COUNT(*) AS ?n) { ?t ex:p TERM } GROUP BY (1 AS ?k) } }",
    ),
    (
        "SELECT ?s ?n { ?s ex:q ?o { SELECT (COUNT(*) AS ?n) { ?t ex:p ?x } } }",
        "SELECT ?s ?n { ?s ex:q ?o { SELECT (COUNT(*) AS ?n) { ?t ex:p TERM } } }",
    ),
    (
        "SELECT ?s ?x { ?s ex:p ?x VALUES ?x { 1 ex:b \"a\" 2 } }",
        "SELECT ?s (TERM AS ?x) { ?s ex:p TERM FILTER(TERM IN (1, ex:b, \"a\", 2)) }",
    ),
    (
        "SELECT ?s ?x { ?s ex:p ?x VALUES (?x ?s) { (1 ex:a) (UNDEF ex:b) (ex:b UNDEF) } }",
        "SELECT ?s (TERM AS ?x) { ?s ex:p TERM { { FILTER(sameTerm(TERM, 1)) VALUES ?s { ex:a } } UNION { VALUES ?s { ex:b } } UNION { FILTER(sameTerm(TERM, ex:b)) } } }",
    ),
    (
        "SELECT ?s { ?s ex:p ?x } VALUES ?x { UNDEF }",
        "SELECT ?s { ?s ex:p TERM }",
    ),
    (
        "SELECT ?s { ?s ex:t <<( ex:a ex:p ?x )>> }",
        "SELECT ?s { ?s ex:t <<( ex:a ex:p TERM )>> }",
    ),
    (
        "SELECT ?g ?x { GRAPH ?g { ?s ?p ?x } }",
        "SELECT ?g (TERM AS ?x) { GRAPH ?g { ?s ?p TERM } }",
    ),
    (
        "CONSTRUCT { ?s ex:new ?x } { ?s ex:p ?x }",
        "CONSTRUCT { ?s ex:new TERM } { ?s ex:p TERM }",
    ),
    (
        "CONSTRUCT { ?s ex:new <<( ex:a ex:b ?x )>> } { ?s ex:p ?x }",
        "CONSTRUCT { ?s ex:new <<( ex:a ex:b TERM )>> } { ?s ex:p TERM }",
    ),
    (
        "SELECT ?s ?x { ?s ex:p ?o OPTIONAL { SELECT ?x { ?t ex:q ?x } LIMIT 1 } }",
        "SELECT ?s (TERM AS ?x) { ?s ex:p ?o OPTIONAL { SELECT (1 AS ?k) { ?t ex:q TERM } LIMIT 1 } }",
    ),
    (
        "SELECT ?s ?l { ?s ex:p ?o LATERAL { SELECT ?l { ?s ex:q ?l FILTER(?l != ?x) } } }",
        "SELECT ?s ?l { ?s ex:p ?o LATERAL { SELECT ?l { ?s ex:q ?l FILTER(?l != TERM) } } }",
    ),
    (
        "SELECT REDUCED ?x ?n { { SELECT ?s (COUNT(?x) AS ?n) { ?s ex:p ?o } GROUP BY ?s } } ORDER BY ?n OFFSET 1",
        "SELECT REDUCED (TERM AS ?x) ?n { { SELECT ?s (COUNT(TERM) AS ?n) { ?s ex:p ?o } GROUP BY ?s } } ORDER BY ?n OFFSET 1",
    ),
    (
        "SELECT ?x (GROUP_CONCAT(STR(?x)) AS ?l) { ?s ?p ?x } GROUP BY ?x HAVING(EXISTS { ?t ex:q ?x }) ORDER BY ?x",
        "SELECT ?x (GROUP_CONCAT(STR(TERM)) AS ?l) { ?s ?p TERM } GROUP BY (TERM AS ?x) HAVING(EXISTS { ?t ex:q TERM }) ORDER BY ?x",
    ),
    (
        "ASK { ?s ex:p ?x FILTER(?s != ?x) }",
        "ASK { ?s ex:p TERM FILTER(?s != TERM) }",
    ),
];

/// Where only an IRI may stand.
const FOR_IRIS: &[(&str, &str)] = &[
    (
        "SELECT ?x ?o { ?x ex:p ?o }",
        "SELECT (TERM AS ?x) ?o { TERM ex:p ?o }",
    ),
    (
        "SELECT ?s ?x { ?s ?x ?o }",
        "SELECT ?s (TERM AS ?x) { ?s TERM ?o }",
    ),
    (
        "SELECT ?x ?o { GRAPH ?x { ?s ?p ?o } }",
        "SELECT (TERM AS ?x) ?o { GRAPH TERM { ?s ?p ?o } }",
    ),
    (
        "SELECT ?s { ?s ex:t <<( ?x ?p ?o )>> }",
        "SELECT ?s { ?s ex:t <<( TERM ?p ?o )>> }",
    ),
    ("DESCRIBE ?x", "DESCRIBE TERM"),
    (
        "DESCRIBE ?x ?o { ?x ex:p ?o }",
        "DESCRIBE TERM ?o { TERM ex:p ?o }",
    ),
    (
        "CONSTRUCT { ?x ?x ?x } { ?s ex:p ?o }",
        "CONSTRUCT { TERM TERM TERM } { ?s ex:p ?o }",
    ),
];

const UPDATES: &[(&str, &str)] = &[
    (
        "DELETE { ?s ex:p ?x } INSERT { ?s ex:new ?x } WHERE { ?s ex:p ?x }",
        "DELETE { ?s ex:p TERM } INSERT { ?s ex:new TERM } WHERE { ?s ex:p TERM }",
    ),
    ("DELETE WHERE { ?s ?p ?x }", "DELETE WHERE { ?s ?p TERM }"),
    (
        "INSERT { ex:new ex:p ?x } WHERE {}",
        "INSERT { ex:new ex:p TERM } WHERE {}",
    ),
    (
        "INSERT { ex:new ex:p <<( ex:a ex:b ?x )>> } WHERE {} ; DELETE { ex:a ex:t <<( ex:a ex:p ?x )>> } WHERE {}",
        "INSERT { ex:new ex:p <<( ex:a ex:b TERM )>> } WHERE {} ; DELETE { ex:a ex:t <<( ex:a ex:p TERM )>> } WHERE {}",
    ),
];

const UPDATES_FOR_IRIS: &[(&str, &str)] = &[
    (
        "INSERT { GRAPH ?x { ?x ?x 1 } } WHERE {}",
        "INSERT { GRAPH TERM { TERM TERM 1 } } WHERE {}",
    ),
    (
        "DELETE { GRAPH ?x { ?s ?p ?o } } WHERE { GRAPH ?x { ?s ?p ?o } }",
        "DELETE { GRAPH TERM { ?s ?p ?o } } WHERE { GRAPH TERM { ?s ?p ?o } }",
    ),
];

fn literal(text: &str, term: &str) -> String {
    // A lone IRI or literal is no key of ORDER BY.
    text.replace("TERM_KEY", "(1)").replace("TERM", term)
}

fn check(snapshot: &Snapshot, (bound, text): (&str, &str), term: &str) {
    let found = answer(snapshot, bound, parameters(&[("x", term)]));
    let expected = answer(snapshot, &literal(text, term), Parameters::default());
    let (found, expected) = (found.unwrap(), expected.unwrap());
    assert_eq!(found.rows, expected.rows, "{bound} with {term}");
    assert_eq!(found.variables, expected.variables, "{bound}");
}

fn check_update(snapshot: &Snapshot, (bound, text): (&str, &str), term: &str) {
    let found = change(snapshot, bound, &parameters(&[("x", term)]));
    let expected = change(snapshot, &literal(text, term), &Parameters::default());
    assert_eq!(found.unwrap(), expected.unwrap(), "{bound} with {term}");
}

fn quads() -> impl Strategy<Value = String> {
    let quad = (
        select(&["ex:a", "ex:b"][..]),
        select(&["ex:p", "ex:q", "ex:t"][..]),
        select(
            &[
                "ex:a",
                "ex:b",
                "1",
                "2",
                "\"a\"",
                "<<( ex:a ex:p 1 )>>",
                "<<( ex:a ex:p ex:b )>>",
            ][..],
        ),
        select(&["", "ex:a", "ex:b"][..]),
    );
    let quad = quad.prop_map(|(subject, predicate, object, graph)| {
        format!("{graph} {{ {subject} {predicate} {object} }}\n")
    });
    proptest::collection::vec(quad, 0..12).prop_map(|quads| quads.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_bound_text_means_what_the_written_one_means(data in quads(), term in select(&[
        "<http://ex/a>", "<http://ex/b>", "<http://ex/none>",
        "\"1\"^^<http://www.w3.org/2001/XMLSchema#integer>", "\"a\"", "\"a\"@en",
        "<<( <http://ex/a> <http://ex/p> \"1\"^^<http://www.w3.org/2001/XMLSchema#integer> )>>",
    ][..])) {
        let snapshot = graph(&data);
        for &shape in ANYWHERE {
            check(&snapshot, shape, term);
        }
        for &shape in UPDATES {
            check_update(&snapshot, shape, term);
        }
        if term.starts_with("<http") {
            for &shape in FOR_IRIS {
                check(&snapshot, shape, term);
            }
            for &shape in UPDATES_FOR_IRIS {
                check_update(&snapshot, shape, term);
            }
        }
    }
}

fn check_faults(bound: Result<(), SparqlError>, expected: &[(&str, &str)]) {
    let Err(SparqlError::Parameters(faults)) = bound else {
        panic!("{bound:?}");
    };
    assert_eq!(faults.len(), expected.len(), "{faults:?}");
    for (fault, (name, description)) in faults.iter().zip(expected) {
        assert_eq!(fault.name, *name);
        assert!(fault.description.contains(description), "{fault:?}");
    }
}

#[test]
fn what_cannot_be_bound_is_told_by_name_and_place() {
    let check = |text: &str, pairs: &[(&str, &str)], expected: &[(&str, &str)]| {
        let outcome = parser().query(text, &parameters(pairs));
        check_faults(outcome.map(drop), expected);
    };
    let pattern = "SELECT * { ?x ?y ?z GRAPH ?g { ?z ?y ?x } }";
    check(pattern, &[("w", "1")], &[("w", "no such variable")]);
    check(pattern, &[("?x", "1")], &[("?x", "without `?`")]);
    check(pattern, &[("x", "_:b")], &[("x", "blank node")]);
    check(
        pattern,
        &[("x", "<<( <http://ex/a> <http://ex/b> _:b )>>")],
        &[("x", "blank node")],
    );
    check(
        pattern,
        &[("g", "\"a\""), ("x", "\"a\""), ("y", "\"a\"")],
        &[
            ("x", "a literal cannot be a subject"),
            ("y", "a literal cannot be a predicate"),
            ("g", "a literal cannot be the name of a graph"),
        ],
    );
    let triple = "<<( <http://ex/a> <http://ex/b> 1 )>>".replace('1', "\"1\"");
    check(
        pattern,
        &[("x", &triple)],
        &[("x", "a triple term cannot be a subject")],
    );
    for text in [
        "SELECT * { BIND(1 AS ?x) }",
        "SELECT (1 AS ?x) {}",
        "SELECT (COUNT(*) AS ?x) {}",
        "SELECT ?x { ?s ?p ?o } GROUP BY (STR(?s) AS ?x)",
        "ASK { ?x ?p ?o { SELECT (1 AS ?x) {} } }",
    ] {
        check(text, &[("x", "<http://ex/a>")], &[("x", "assigns")]);
    }
    let update = "INSERT { ?x ex:p 1 } WHERE {} ; DELETE WHERE { ?s ?y ?o }";
    let outcome = parser().update(
        update,
        &parameters(&[("x", "\"a\""), ("y", "\"a\""), ("z", "\"a\"")]),
    );
    let expected = [("x", "subject"), ("y", "predicate"), ("z", "no such")];
    // A pattern that is its own template is told once.
    check_faults(outcome.map(drop), &expected);
    let data = parser().update("INSERT DATA { ex:a ex:b 1 }", &parameters(&[("x", "\"a\"")]));
    check_faults(data.map(drop), &[("x", "no such")]);
}

#[test]
fn a_term_is_never_read_as_sparql() {
    let snapshot = graph("ex:a ex:p \"x\" . ex:b ex:p \"\\\" } # ?y\" .");
    let text = "SELECT ?s { ?s ex:p ?x }";
    let found = answer(&snapshot, text, parameters(&[("x", "\"\\\" } # ?y\"")])).unwrap();
    assert_eq!(found.rows.len(), 1);
    assert!(found.rows[0].contains("http://ex/b"), "{found:?}");
}

#[test]
fn terms_are_bounded_in_all_their_places() {
    let places = |count: usize| format!("SELECT * {{ FILTER(1 IN ({})) }}", vec!["?x"; count].join(","));
    let term = Term::from(oxigraph::model::Literal::new_simple_literal("a".repeat(1 << 20)));
    let bound = Parameters::from([("x".to_owned(), term)]);
    assert!(parser().query(&places(15), &bound).is_ok());
    check_faults(
        parser().query(&places(16), &bound).map(drop),
        &[("x", "bytes in all their places")],
    );
}

#[test]
fn a_service_is_named_by_an_iri() {
    let bound = |term: &str| {
        let text = "SELECT * { SERVICE ?x { ?s ?p ?x } }";
        let mut query = spargebra::SparqlParser::new().parse_query(text).unwrap();
        bind_query(&mut query, &parameters(&[("x", term)])).map(|()| query.to_string())
    };
    let named = bound("<http://ex/a>").unwrap();
    assert!(
        named.contains("SERVICE <http://ex/a> { ?s ?p <http://ex/a>"),
        "{named}"
    );
    check_faults(
        bound("\"a\"").map(drop),
        &[("x", "a literal cannot be the name of a service")],
    );
}
