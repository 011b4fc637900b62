use oxigraph::model::Term;

use super::*;
use crate::sparql::{
    MemoryLimits, MemoryPool, Query, Row, RunLimits, Sink, ValueLimits,
    explain::explain_query,
    run::run_query,
    tests::{graph, numbers, parser, repeated},
};

/// Counts what comes.
#[derive(Default)]
struct Counter {
    row_count: u64,
    last: Vec<Option<Term>>,
}

impl Sink for Counter {
    fn header(&mut self, _: QueryForm, _: &[&str]) -> Result<(), SparqlError> {
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), SparqlError> {
        self.row_count += 1;
        self.last = row.terms();
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

/// Names the first column.
#[derive(Default)]
struct Names(Vec<String>);

impl Sink for Names {
    fn header(&mut self, _: QueryForm, _: &[&str]) -> Result<(), SparqlError> {
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), SparqlError> {
        let term = row.terms().remove(0).unwrap();
        self.0.push(match term {
            Term::BlankNode(_) => "blank".to_owned(),
            Term::NamedNode(node) => node.into_string(),
            Term::Literal(literal) => {
                format!("{}{}", literal.value(), literal.language().map_or("", |_| "@"))
            }
            Term::Triple(_) => "triple".to_owned(),
        });
        Ok(())
    }

    fn triple(&mut self, _: &Triple) -> Result<(), SparqlError> {
        Ok(())
    }

    fn boolean(&mut self, _: bool) -> Result<(), SparqlError> {
        Ok(())
    }
}

fn query(text: &str) -> Query {
    Query {
        text: text.to_owned(),
        ..Query::default()
    }
}

/// Runs a query with so much memory; afterwards nothing of it is taken.
fn run_within(snapshot: &Snapshot, text: &str, query_bytes_max: u64) -> Result<Counter, SparqlError> {
    let pool = MemoryPool::new(MemoryLimits {
        query_bytes_max,
        ..MemoryLimits::default()
    });
    let interrupt = Interrupt::new(None).with_memory(&pool);
    let mut counter = Counter::default();
    let outcome = run_query(&parser(), &query(text), snapshot, &interrupt, &mut counter);
    assert_eq!(pool.used_bytes(), 0, "{text}");
    outcome.map(|_| counter)
}

/// Returns the operators of a plan, from the top, those of right sides in brackets.
fn operators(snapshot: &Snapshot, text: &str) -> String {
    fn shown(node: &PlanNode) -> String {
        let children: Vec<_> = node.children.iter().map(shown).collect();
        match children.as_slice() {
            [] => node.operator.clone(),
            [one] => format!("{} {one}", node.operator),
            [first, rest @ ..] => format!("{} {first} [{}]", node.operator, rest.join(", ")),
        }
    }
    let interrupt = Interrupt::new(None);
    let explanation = explain_query(&parser(), &query(text), snapshot, false, &interrupt).unwrap();
    shown(&explanation.plan)
}

/// 3,000 things with a kind, a parent and a name; ten kinds.
fn things() -> Snapshot {
    graph(&repeated(3_000, |number| {
        format!(
            "ex:t{number} a ex:kind{} ; ex:parent ex:t{} ; ex:name 'name {number}' . ",
            number % 10,
            (number * 7 + 1) % 3_000
        )
    }))
}

#[test]
fn what_keeps_rows_is_bounded_and_what_does_not_is_not() {
    const LITTLE: u64 = 2 << 20;
    let snapshot = numbers();
    for text in [
        "SELECT * { ?a ?b ?c . ?d ?e ?f } ORDER BY ?c",
        "SELECT DISTINCT ?c ?f { ?a ?b ?c . ?d ?e ?f }",
        "SELECT ?c ?f (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f } GROUP BY ?c ?f",
        "SELECT (COUNT(DISTINCT ?x) AS ?n) { ?a ?b ?c . ?d ?e ?f BIND(CONCAT(STR(?c), '-', STR(?f)) AS ?x) }",
        "SELECT (GROUP_CONCAT(?x) AS ?n) { ?a ?b ?c . ?d ?e ?f BIND(CONCAT(STR(?c), '-', STR(?f)) AS ?x) }",
    ] {
        let outcome = run_within(&snapshot, text, LITTLE).map(|counter| counter.row_count);
        let exceeded = SparqlError::QueryMemoryExceeded {
            memory_bytes_max: LITTLE,
        };
        assert_eq!(outcome, Err(exceeded), "{text}");
    }
    for (text, row_count) in [
        ("SELECT * { ?a ?b ?c . ?d ?e ?f } LIMIT 200000", 200_000),
        (
            "SELECT ?x { ?a ?b ?c . VALUES ?f { 1 2 3 4 5 6 7 8 9 } BIND(CONCAT(STR(?a), STR(?f)) AS ?x) }",
            18_000,
        ),
        (
            "SELECT * { ?a ?b ?c . VALUES ?f { 1 2 3 4 5 6 7 8 9 } } ORDER BY DESC(?c) ?f LIMIT 3",
            3,
        ),
        (
            "SELECT (COUNT(*) AS ?n) (MAX(?c) AS ?m) { ?a ?b ?c . VALUES ?f { 1 2 3 4 5 6 7 8 9 } }",
            1,
        ),
    ] {
        let counter = run_within(&snapshot, text, LITTLE).unwrap();
        assert_eq!(counter.row_count, row_count, "{text}");
    }
}

#[test]
fn alternatives_of_a_path_that_lead_to_the_same_nodes_take_no_memory() {
    let snapshot = graph(&repeated(20_000, |number| format!("ex:hub ex:p {number} . ")));
    for path in ["ex:p", "ex:p|^ex:p", "!ex:q/^!ex:q/!ex:q"] {
        let many = vec![path; 40].join("|");
        let counted = |path: &str| {
            let text = format!("SELECT * {{ ex:hub ({path})? ?b }}");
            run_within(&snapshot, &text, 4 << 20).unwrap().row_count
        };
        assert_eq!((counted(path), counted(&many)), (20_001, 20_001), "{path}");
    }
}

#[test]
fn all_queries_together_are_bounded() {
    let snapshot = numbers();
    let pool = MemoryPool::new(MemoryLimits {
        query_bytes_max: 1 << 30,
        all_bytes_max: 1 << 20,
    });
    let interrupt = Interrupt::new(None).with_memory(&pool);
    let text = "SELECT DISTINCT ?c ?f { ?a ?b ?c . ?d ?e ?f }";
    let outcome = run_query(
        &parser(),
        &query(text),
        &snapshot,
        &interrupt,
        &mut Counter::default(),
    );
    assert_eq!(
        outcome,
        Err(SparqlError::MemoryBusy {
            memory_bytes_max: 1 << 20
        })
    );
    assert_eq!(pool.used_bytes(), 0);
}

#[test]
fn joins_begin_where_there_is_least_and_use_tables_for_much() {
    let snapshot = things();
    for (text, expected) in [
        // The last pattern has one quad.
        (
            "SELECT * { ?a a ?k . ?a ex:parent ?b . ?b ex:name 'name 7' }",
            "Scan Scan Scan",
        ),
        (
            "SELECT * { ?a ex:parent ?b . ?b ex:name ?n }",
            "HashJoin Scan [Scan]",
        ),
        (
            "SELECT * { ?a ex:parent ?b . ?b ex:name ?n } LIMIT 5",
            "Slice Scan Scan",
        ),
        (
            "SELECT * { ?a ex:name ?n OPTIONAL { ?a ex:none ?x } }",
            "LeftJoin Scan [HashJoin Scan]",
        ),
        (
            "SELECT * { ex:t1 ex:name ?n OPTIONAL { ex:t1 ex:parent ?x } }",
            "LeftJoin Scan [Scan]",
        ),
        ("SELECT (COUNT(*) AS ?n) { ?a ex:name ?b }", "Extend Count"),
        ("SELECT (COUNT(*) AS ?n) { ?a ex:name ?a }", "Extend Group Scan"),
        (
            "SELECT * { ?a ex:name ?n } ORDER BY ?n LIMIT 2",
            "Slice TopSort Scan",
        ),
        (
            "SELECT * { ?a ex:name ?n FILTER NOT EXISTS { ?a ex:parent ex:t1 } }",
            "NotExists Scan [HashSemiJoin Scan]",
        ),
    ] {
        assert_eq!(operators(&snapshot, text), expected, "{text}");
    }
}

#[test]
fn tables_and_look_ups_find_the_same() {
    let snapshot = things();
    for (text, expected) in [
        ("SELECT * { ?a ex:parent ?b . ?b ex:name ?n }", 3_000),
        (
            "SELECT * { ?a ex:parent ?b . ?b ex:name ?n FILTER(?n = 'name 7') }",
            1,
        ),
        (
            "SELECT * { ?a ex:parent ?b . ?b ex:parent ?c . ?c a ex:kind3 }",
            300,
        ),
        (
            "SELECT * { ?a a ?k OPTIONAL { ?a ex:parent ?b . ?b a ?k } FILTER(!BOUND(?b)) }",
            3_000,
        ),
        (
            "SELECT * { ?a a ?k FILTER EXISTS { ?a ex:parent ?b . ?b a ex:kind1 } }",
            300,
        ),
        (
            "SELECT * { ?a a ?k MINUS { ?a ex:parent ?b . ?b a ex:kind1 } }",
            2_700,
        ),
        (
            "SELECT ?a { ?a ex:parent ?b LATERAL { SELECT * { ?b a ?k } LIMIT 1 } }",
            3_000,
        ),
    ] {
        let counter = run_within(&snapshot, text, 256 << 20).unwrap();
        assert_eq!(counter.row_count, expected, "{text}");
    }
}

#[test]
fn made_terms_are_forgotten_only_when_nobody_holds_them() {
    let snapshot = numbers();
    let last = |text: &str| {
        let counter = run_within(&snapshot, text, 1 << 20).unwrap();
        let last = counter
            .last
            .into_iter()
            .map(|term| term.map_or_else(String::new, |term| term.to_string()));
        (counter.row_count, last.collect::<Vec<_>>().join(" "))
    };
    assert_eq!(
        last("SELECT ?x { ?a ?b ?c BIND(CONCAT('n', STR(?c)) AS ?x) FILTER(STRLEN(?x) > 4) } OFFSET 999"),
        (1, "\"n1999\"".to_owned())
    );
    assert_eq!(
        last(
            "SELECT ?y { ?a ?b ?c FILTER(?c < 20) BIND(?c + 5000 AS ?x) . ?d ?e ?f FILTER(?f = ?x - 5000) BIND(STR(?x) AS ?y) } OFFSET 19"
        ),
        (1, "\"5019\"".to_owned())
    );
    assert_eq!(
        last(
            "SELECT ?y { { SELECT DISTINCT ?x { ?a ?b ?c BIND(STRLEN(STR(?c)) + 100 AS ?x) } } BIND(?x = 103 AS ?y) } ORDER BY ?y"
        ),
        (
            4,
            "\"true\"^^<http://www.w3.org/2001/XMLSchema#boolean>".to_owned()
        )
    );
}

#[test]
fn values_have_limits() {
    let snapshot = graph(&format!("ex:a ex:p '{}' .", "a".repeat(3 << 20)));
    for (text, limit) in [
        (
            "SELECT * { ?s ?p ?o BIND(CONCAT(?o, ?o, ?o) AS ?x) }",
            "literal_bytes_max",
        ),
        (
            "SELECT * { ?s ?p ?o BIND(REPLACE(STRAFTER(?o, 'aaa'), 'x', 'y') AS ?x) }",
            "regex_text_bytes_max",
        ),
        (
            &format!(
                "SELECT * {{ ?s ?p ?o BIND(REPLACE(SUBSTR(?o, 1, 1000000), 'a{{100}}', '{}') AS ?x) }}",
                "0".repeat(900)
            ),
            "literal_bytes_max",
        ),
        (
            "SELECT * { ?s ?p ?o FILTER REGEX('a', '(\\\\w{1,500}){1,500}') }",
            "regex_bytes_max",
        ),
        (
            "SELECT (GROUP_CONCAT(?o) AS ?x) { ?s ?p ?o . VALUES ?n { 1 2 3 } }",
            "literal_bytes_max",
        ),
    ] {
        let outcome = run_within(&snapshot, text, 256 << 20).map(|counter| counter.row_count);
        assert!(
            matches!(outcome, Err(SparqlError::ValueTooLarge { limit: actual, .. }) if actual == limit),
            "{text}: {outcome:?}"
        );
    }
}

#[test]
fn values_are_tried_at_their_limits_and_one_past() {
    const PATTERN: &str = "(ab|cd){20}e";
    /// The least size that the pattern fits into.
    fn compiled_bytes() -> usize {
        let fits = |&size: &usize| {
            let mut builder = regex::RegexBuilder::new(PATTERN);
            builder.size_limit(size).build().is_ok()
        };
        let sizes: Vec<usize> = (1..1 << 20).collect();
        sizes[sizes.partition_point(|size| !fits(size))]
    }
    let regex_bytes = compiled_bytes();
    let snapshot = graph(&format!(
        "ex:a ex:p '{}' ; ex:long '{}' .",
        "a".repeat(1_000),
        "b".repeat(5_000)
    ));
    let with = |limit: &str, value| {
        let mut values = ValueLimits::default();
        *match limit {
            "literal_bytes_max" => &mut values.literal_bytes_max,
            "regex_text_bytes_max" => &mut values.regex_text_bytes_max,
            "regex_bytes_max" => &mut values.regex_bytes_max,
            _ => &mut values.long_text_regex_bytes_max,
        } = value;
        Interrupt::new(None).with_limits(RunLimits {
            values,
            ..RunLimits::default()
        })
    };
    for (text, limit, value) in [
        ("BIND(CONCAT(?o, ?o) AS ?x)", "literal_bytes_max", 2_000),
        ("BIND(REPLACE(?o, 'a', 'bc') AS ?x)", "literal_bytes_max", 2_000),
        (
            "BIND(REPLACE(?o, '^.*$', '$0$0$0') AS ?x)",
            "literal_bytes_max",
            3_000,
        ),
        ("BIND(REPLACE(?o, '^a', 'b') AS ?x)", "literal_bytes_max", 1_000),
        ("FILTER REGEX(?o, '^a')", "regex_text_bytes_max", 1_000),
        ("BIND(REPLACE(?o, '^a', '') AS ?x)", "regex_text_bytes_max", 1_000),
        (
            &format!("FILTER(!REGEX(?o, '{PATTERN}'))"),
            "regex_bytes_max",
            regex_bytes,
        ),
        (
            &format!("?s ex:long ?l FILTER(!REGEX(?l, '{PATTERN}'))"),
            "long_text_regex_bytes_max",
            regex_bytes,
        ),
        (
            "{ SELECT (GROUP_CONCAT(?v ; separator = '') AS ?x) { ?s ex:p ?v . VALUES ?n { 1 2 } } }",
            "literal_bytes_max",
            2_000,
        ),
    ] {
        let text = format!("SELECT * {{ ?s ex:p ?o . {text} }}");
        let run = |interrupt| {
            let mut counter = Counter::default();
            let outcome = run_query(&parser(), &query(&text), &snapshot, &interrupt, &mut counter);
            outcome.map(|_| counter.row_count)
        };
        assert_eq!(run(with(limit, value)), Ok(1), "{text}");
        let limit_value = value as u64 - 1;
        let exceeded = SparqlError::ValueTooLarge { limit, limit_value };
        assert_eq!(run(with(limit, value - 1)), Err(exceeded), "{text}");
    }
}

#[test]
fn sorting_is_by_value_and_total() {
    let snapshot = graph(
        "ex:a ex:p 10 , 9.5 , 1e1 , '9' , 'a'@en , 'a' , true , ex:b , _:n , '2020-01-02'^^xsd:date , '2020-01-01'^^xsd:date , 'x'^^ex:t , 'NaN'^^xsd:double .",
    );
    let text = "SELECT ?o { ?s ?p ?o } ORDER BY ?o";
    let mut names = Names::default();
    run_query(
        &parser(),
        &query(text),
        &snapshot,
        &Interrupt::new(None),
        &mut names,
    )
    .unwrap();
    assert_eq!(names.0.len(), 13);
    let mut sorted = names.0;
    // 10 and 1e1 are equal.
    sorted.dedup_by(|a, b| a == "10" && b == "1e1" || a == "1e1" && b == "10");
    let expected = [
        "blank",
        "http://ex/b",
        "true",
        "NaN",
        "9.5",
        "10",
        "2020-01-01",
        "2020-01-02",
        "9",
        "a",
        "a@",
        "x",
    ];
    let shown: Vec<_> = sorted
        .iter()
        .map(|name| if name == "1e1" { "10" } else { name })
        .collect();
    assert_eq!(shown, expected);
}

#[test]
fn exists_sees_the_row_outside_and_no_more() {
    let snapshot = graph("ex:a ex:p 1 . ex:b ex:q 2 .");
    for (text, expected) in [
        (
            "SELECT * { ?x ex:p ?v FILTER EXISTS { ?x ex:p ?y . { ?z ex:q ?w FILTER(!BOUND(?y)) } } }",
            1,
        ),
        (
            "SELECT * { ?x ex:p ?v FILTER EXISTS { ?x ex:p ?y . { ?z ex:q ?w FILTER(?w > ?y) } } }",
            0,
        ),
        (
            "SELECT * { ?x ex:p ?v FILTER EXISTS { { ?z ex:q ?w FILTER(?w > ?v) } } }",
            1,
        ),
        (
            "SELECT * { ?x ex:p ?v FILTER EXISTS { VALUES ?y { ex:absent } ?y ex:q? ?z } }",
            0,
        ),
    ] {
        assert_eq!(
            run_within(&snapshot, text, 1 << 20).unwrap().row_count,
            expected,
            "{text}"
        );
    }
}

#[test]
fn lateral_and_minus_compare_what_is_bound_around_them() {
    let snapshot = graph("ex:a ex:p 1 ; ex:q 2 . ex:b ex:r 7 , 8 . ex:c ex:s 8 , 9 .");
    for (text, expected) in [
        (
            "SELECT * { ?a ex:p 1 OPTIONAL { ?a ex:none ?v } LATERAL { { SELECT DISTINCT ?v { ?x ex:r ?v } } { SELECT DISTINCT ?v { ?y ex:s ?v } } } }",
            1,
        ),
        (
            "SELECT * { ?a ex:p ?b LATERAL { { ?a ex:p ?c } MINUS { ?a ex:q ?d } } }",
            0,
        ),
        // A filter on a variable that is bound around it does not bind it anew.
        (
            "SELECT * { ?x ex:s ?v LATERAL { ?y ex:r ?w FILTER(?x = ex:c) } }",
            4,
        ),
        (
            "SELECT * { ?x ex:s ?v LATERAL { ?y ex:r ?w FILTER(?x = ex:b) } }",
            0,
        ),
        (
            "SELECT * { ?x ex:r ?v LATERAL { ?x ?p ?w FILTER(?x IN (ex:b, ex:c)) } }",
            4,
        ),
        ("SELECT * { ?a ex:p ?b MINUS { ?a ex:q ?d } }", 0),
        ("SELECT * { ?a ex:p ?b MINUS { ?c ex:q ?d } }", 1),
    ] {
        assert_eq!(
            run_within(&snapshot, text, 1 << 20).unwrap().row_count,
            expected,
            "{text}"
        );
    }
}

#[test]
fn terms_stay_exact_in_triple_terms_and_blank_nodes_are_fresh() {
    let snapshot = graph(
        "ex:r ex:reifies <<( ex:a ex:p \"01\"^^xsd:int )>> . ex:a ex:p \"01\"^^xsd:int . _:x ex:secret 1 . ex:b ex:name 'x' . ex:c ex:name 'x' .",
    );
    for (text, expected) in [
        (
            "SELECT * { ?s ex:p ?o BIND(<<( ?s ex:p ?o )>> AS ?t) ?r ex:reifies ?t }",
            1,
        ),
        (
            "SELECT * { ?r ex:reifies ?t BIND(OBJECT(?t) AS ?o) ?s ex:p ?o }",
            1,
        ),
        ("SELECT * { BIND(BNODE('x') AS ?b) ?b ex:secret ?o }", 0),
        ("SELECT DISTINCT ?b { ?s ex:name ?n BIND(BNODE(?n) AS ?b) }", 2),
        (
            "SELECT * { ?s ex:name ?n FILTER(SAMETERM(BNODE(?n), BNODE('x'))) }",
            2,
        ),
        ("SELECT * { ?s ?p ?o FILTER(?s = ex:b) }", 1),
        (
            "SELECT * { ?s ?p ?o FILTER(?s IN (ex:b, ex:c, ex:b, ex:none)) }",
            2,
        ),
    ] {
        assert_eq!(
            run_within(&snapshot, text, 1 << 20).unwrap().row_count,
            expected,
            "{text}"
        );
    }
}

#[test]
fn graphs_that_are_named_are_looked_at_alone() {
    let snapshot = graph("ex:g { ex:a ex:p 1 , 2 } ex:h { ex:a ex:p 2 , 3 } ex:i { ex:a ex:p 4 }");
    let named = |name: &str| NamedNode::new_unchecked(format!("http://ex/{name}"));
    let asked = Query {
        default_graphs: vec![named("g"), named("h"), named("g")],
        named_graphs: vec![named("i"), named("none")],
        ..query("SELECT * { { ?s ?p ?o } UNION { GRAPH ?g { ?s ?p ?o } } }")
    };
    let mut counter = Counter::default();
    run_query(&parser(), &asked, &snapshot, &Interrupt::new(None), &mut counter).unwrap();
    assert_eq!(counter.row_count, 4);
}

#[test]
fn a_long_way_to_the_first_match_is_left_in_time() {
    let same = repeated(30_000, |number| format!("ex:s{number} ex:p {number} . "));
    let snapshot = graph(&format!("ex:g {{ {same} }} ex:h {{ {same} }}"));
    let interrupt = Interrupt::new(None);
    interrupt.cancel();
    let asked = Query {
        default_graphs: ["g", "h"]
            .map(|name| NamedNode::new_unchecked(format!("http://ex/{name}")))
            .to_vec(),
        ..query("SELECT (COUNT(*) AS ?n) { ?s ?p ?o }")
    };
    let outcome = run_query(&parser(), &asked, &snapshot, &interrupt, &mut Counter::default());
    assert_eq!(outcome, Err(SparqlError::Cancelled));
}
