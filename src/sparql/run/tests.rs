use std::sync::mpsc;

use super::*;
use crate::sparql::tests::{graph, numbers, parser, repeated};
use crate::sparql::{GuardLimits, RunLimits};

/// Debug builds take more of it than the stacks of query threads promise.
const STACK_BYTES: usize = 256 << 20;

#[derive(Default)]
struct Collector {
    form: Option<QueryForm>,
    variables: Vec<String>,
    rows: Vec<Vec<String>>,
    triples: Vec<String>,
    boolean: Option<bool>,
}

impl Sink for Collector {
    fn header(&mut self, form: QueryForm, variables: &[&str]) -> Result<(), SparqlError> {
        self.form = Some(form);
        self.variables = variables.iter().map(|&name| name.to_owned()).collect();
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), SparqlError> {
        let shown = |term: Option<Term>| term.map_or_else(|| "-".to_owned(), |term| term.to_string());
        self.rows.push(row.terms().into_iter().map(shown).collect());
        Ok(())
    }

    fn triple(&mut self, triple: &Triple) -> Result<(), SparqlError> {
        self.triples.push(triple.to_string());
        Ok(())
    }

    fn boolean(&mut self, answer: bool) -> Result<(), SparqlError> {
        self.boolean = Some(answer);
        Ok(())
    }
}

fn ask(snapshot: &Snapshot, query: &Query) -> (Result<Completion, SparqlError>, Collector) {
    ask_under(snapshot, query, &Interrupt::new(None))
}

fn ask_under(
    snapshot: &Snapshot,
    query: &Query,
    interrupt: &Interrupt,
) -> (Result<Completion, SparqlError>, Collector) {
    let mut collector = Collector::default();
    let outcome = run_query(&parser(), query, snapshot, interrupt, &mut collector);
    (outcome, collector)
}

fn query(text: &str) -> Query {
    Query {
        text: text.to_owned(),
        ..Query::default()
    }
}

fn check(snapshot: &Snapshot, asked: &Query, expected: &[&str]) {
    let (outcome, collector) = ask(snapshot, asked);
    assert_eq!(
        outcome.unwrap().row_count,
        expected.len() as u64,
        "{}",
        asked.text
    );
    let mut rows: Vec<String> = collector
        .rows
        .iter()
        .map(|row| row.join(" "))
        .chain(collector.triples)
        .collect();
    rows.sort();
    assert_eq!(rows, expected, "{}", asked.text);
}

const GRAPHS: &str = "ex:a ex:p 1 . ex:g { ex:a ex:p 2 , 3 } ex:h { ex:a ex:p 3 , 4 } ex:i { ex:a ex:p 5 }";

#[test]
fn terms_come_out_as_they_went_in_and_compare_by_value() {
    let snapshot = graph(
        "ex:a ex:p \"01\"^^xsd:int , \"1.0\"^^xsd:decimal , \"a\"@en-US , \"1\"^^xsd:boolean , <<( ex:a ex:p \"01\"^^xsd:int )>> .",
    );
    check(
        &snapshot,
        &query("SELECT ?o { ex:a ex:p ?o }"),
        &[
            "\"01\"^^<http://www.w3.org/2001/XMLSchema#int>",
            "\"1\"^^<http://www.w3.org/2001/XMLSchema#boolean>",
            "\"1.0\"^^<http://www.w3.org/2001/XMLSchema#decimal>",
            "\"a\"@en-us",
            "<<( <http://ex/a> <http://ex/p> \"01\"^^<http://www.w3.org/2001/XMLSchema#int> )>>",
        ],
    );
    check(
        &snapshot,
        &query("SELECT ?o { ex:a ex:p ?o FILTER(?o = 1) }"),
        &[
            "\"01\"^^<http://www.w3.org/2001/XMLSchema#int>",
            "\"1.0\"^^<http://www.w3.org/2001/XMLSchema#decimal>",
        ],
    );
    check(
        &snapshot,
        &query("SELECT (?o + 1 AS ?x) { ex:a ex:p ?o FILTER(DATATYPE(?o) = xsd:decimal) }"),
        &["\"2\"^^<http://www.w3.org/2001/XMLSchema#decimal>"],
    );
    check(
        &snapshot,
        &query("SELECT ?o { ex:a ex:p ?o , \"01\"^^xsd:int FILTER(LANG(?o) = 'en-US') }"),
        &["\"a\"@en-us"],
    );
    check(
        &snapshot,
        &query("SELECT ?o ?n { VALUES ?o { 'new' } OPTIONAL { ex:a ex:none ?n } }"),
        &["\"new\" -"],
    );
}

#[test]
fn graphs_of_the_request_replace_those_of_the_text() {
    let snapshot = graph(GRAPHS);
    let integer = |value: u8| format!("\"{value}\"^^<http://www.w3.org/2001/XMLSchema#integer>");
    let check = |text: &str, default: &[&str], named: &[&str], expected: &[u8]| {
        let nodes = |names: &[&str]| names.iter().map(|name| NamedNode::new_unchecked(*name)).collect();
        let asked = Query {
            default_graphs: nodes(default),
            named_graphs: nodes(named),
            ..query(text)
        };
        let expected: Vec<String> = expected.iter().map(|value| integer(*value)).collect();
        check(
            &snapshot,
            &asked,
            &expected.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    };
    let (g, h) = ("http://ex/g", "http://ex/h");
    check("SELECT ?o { ?s ?p ?o }", &[], &[], &[1]);
    // A triple of two graphs of the union is there once.
    check(
        "SELECT ?o FROM ex:g FROM ex:h FROM ex:g { ?s ?p ?o }",
        &[],
        &[],
        &[2, 3, 4],
    );
    check("SELECT ?o FROM ex:none FROM ex:i { ?s ?p ?o }", &[], &[], &[5]);
    check("SELECT ?o FROM NAMED ex:g { ?s ?p ?o }", &[], &[], &[]);
    check(
        "SELECT ?o FROM NAMED ex:g { GRAPH ?g { ?s ?p ?o } }",
        &[],
        &[],
        &[2, 3],
    );
    check("SELECT ?o { GRAPH ?g { ?s ?p ?o } }", &[], &[], &[2, 3, 3, 4, 5]);
    check("SELECT ?o FROM ex:i { ?s ?p ?o }", &[g, h], &[], &[2, 3, 4]);
    check(
        "SELECT ?o FROM NAMED ex:i { GRAPH ?g { ?s ?p ?o } }",
        &[],
        &[h, h],
        &[3, 4],
    );
    check("SELECT ?o { GRAPH ?g { ?s ?p ?o } }", &[g], &[], &[]);
    check("SELECT ?o { ?s ?p ?o }", &[], &[h], &[]);
    check(
        "SELECT ?o { ex:a ex:p ?o . ex:a ex:p 3 }",
        &[g, h],
        &[],
        &[2, 3, 4],
    );
}

#[test]
fn each_form_has_its_result() {
    let snapshot = graph("ex:a ex:p [ ex:q 1 ] . ex:b ex:p 2 . ex:g { ex:a ex:p 3 }");
    let (outcome, collector) = ask(&snapshot, &query("ASK { ex:b ex:p 2 }"));
    assert_eq!(
        (collector.form, collector.boolean),
        (Some(QueryForm::Ask), Some(true))
    );
    assert_eq!(outcome.unwrap().row_count, 1);
    let (_, collector) = ask(&snapshot, &query("SELECT ?x (1 AS ?y) ?z { }"));
    assert_eq!(
        (collector.form, collector.variables.join(" ")),
        (Some(QueryForm::Select), "x y z".to_owned())
    );
    let (outcome, collector) = ask(&snapshot, &query("DESCRIBE ex:a"));
    // With what is said of the blank node.
    assert_eq!(
        (collector.form, outcome.unwrap().row_count),
        (Some(QueryForm::Describe), 2)
    );
    let (_, collector) = ask(&snapshot, &query("CONSTRUCT { ?s a ex:C } { ?s ex:p|ex:q ?o }"));
    assert_eq!(collector.form, Some(QueryForm::Construct));
    check(
        &snapshot,
        &query("CONSTRUCT { ex:x a ex:C } { ?s ?p ?o }"),
        &["<http://ex/x> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://ex/C>"],
    );
}

#[test]
fn the_callers_row_limit_is_told() {
    let snapshot = graph("ex:a ex:p 1 , 2 , 3 .");
    let check = |row_count_max: u64, expected: (u64, bool)| {
        let asked = Query {
            row_count_max: Some(row_count_max),
            ..query("SELECT * { ?s ?p ?o }")
        };
        let completion = ask(&snapshot, &asked).0.unwrap();
        assert_eq!((completion.row_count, completion.is_limited), expected);
    };
    check(2, (2, true));
    check(3, (3, true));
    check(4, (3, false));
}

fn within(limits: RunLimits) -> Interrupt {
    Interrupt::new(None).with_limits(limits)
}

#[test]
fn the_servers_row_limit_is_an_error_unless_the_callers_is_no_larger() {
    let snapshot = graph("ex:a ex:p 1 , 2 , 3 .");
    let check = |text: &str, caller: Option<u64>, server: u64, expected: Option<bool>| {
        let asked = Query {
            row_count_max: caller,
            ..query(text)
        };
        let interrupt = within(RunLimits {
            row_count_max: server,
            ..RunLimits::default()
        });
        let (outcome, collector) = ask_under(&snapshot, &asked, &interrupt);
        let expected = expected.ok_or(SparqlError::LimitExceeded {
            limit: RunLimit::RowCount,
            limit_value: server,
        });
        let found = outcome.map(|completion| completion.is_limited);
        assert_eq!(found, expected, "{text} {caller:?} {server}");
        assert!(collector.rows.len().max(collector.triples.len()) <= 3);
    };
    for text in [
        "SELECT * { ?s ?p ?o }",
        "SELECT * { ?s ?p ?o } ORDER BY ?o",
        "CONSTRUCT WHERE { ?s ?p ?o }",
        "DESCRIBE ex:a",
    ] {
        check(text, None, 3, Some(false));
        check(text, None, 2, None);
        check(text, Some(2), 2, Some(true));
        check(text, Some(1), 2, Some(true));
        check(text, Some(3), 2, None);
        check(text, Some(4), 3, Some(false));
    }
    check("ASK { ?s ?p ?o }", None, 1, Some(false));
}

#[test]
fn work_is_an_error_one_past_its_limit() {
    let snapshot = numbers();
    for text in [
        "SELECT * { ?a ?b ?c }",
        "SELECT ?a { ?a ?b ?c FILTER(STRLEN(STR(?c)) > 1) } ORDER BY ?c",
        "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?c . ?d ex:p ?f }",
        "SELECT DISTINCT ?a { ?a ex:p+ ?c }",
        "CONSTRUCT { ?c ?b ?a } { ?a ?b ?c }",
        "DESCRIBE ?a { ?a ?b ?c }",
        "ASK { ?a ?b ?c FILTER(?c > 1000) }",
        "SELECT * FROM ex:g FROM ex:h { ?a ?b ?c }",
    ] {
        let run = |work_max| {
            let interrupt = within(RunLimits {
                work_max,
                ..RunLimits::default()
            });
            let outcome = ask_under(&snapshot, &query(text), &interrupt).0;
            (outcome.map(|completion| completion.row_count), interrupt.work())
        };
        let (counted, work) = run(u64::MAX);
        assert!(counted.is_ok() && work > 0, "{text}: {counted:?} {work}");
        assert_eq!(run(work), (counted, work), "{text}");
        let exceeded = SparqlError::LimitExceeded {
            limit: RunLimit::Work,
            limit_value: work - 1,
        };
        assert_eq!(run(work - 1).0, Err(exceeded), "{text}");
    }
}

#[test]
fn a_deadline_is_an_error_and_never_a_short_result() {
    let snapshot = numbers();
    let product = "?a ?b ?c . ?d ?e ?f . ?g ?h ?i";
    for text in [
        format!("SELECT * {{ {product} }}"),
        format!("SELECT (COUNT(*) AS ?n) {{ {product} }}"),
        format!("SELECT DISTINCT ?a {{ {product} }} ORDER BY ?a"),
        format!("ASK {{ {product} FILTER(?c + ?f + ?i < 0) }}"),
        format!("CONSTRUCT {{ ?a ?b ?f }} {{ {product} }}"),
        format!("SELECT * {{ {product} }} ORDER BY ?c ?f ?i"),
        format!("SELECT ?c (COUNT(DISTINCT ?f) AS ?n) {{ {product} }} GROUP BY ?c"),
        "SELECT * { { SELECT * { ?a ?b ?c } } { SELECT * { ?d ?e ?f . ?g ?h ?i } } FILTER(?c + ?f + ?i < 0) }".to_owned(),
        format!("SELECT * {{ ?a ?b ?c MINUS {{ ?a ?b ?c . {product} FILTER(?c + ?f + ?i < 0) }} }}"),
        format!("SELECT * {{ ?a ?b ?c FILTER NOT EXISTS {{ {product} FILTER(?c + ?f + ?i < 0) }} }}"),
    ] {
        let start = Instant::now();
        let interrupt = Interrupt::new(Some(start + Duration::from_millis(100)));
        let (outcome, _) = ask_under(&snapshot, &query(&text), &interrupt);
        assert_eq!(outcome, Err(SparqlError::DeadlineExceeded), "{text}");
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{text}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn a_cancelled_query_ends_from_another_thread() {
    let snapshot = numbers();
    let interrupt = Interrupt::new(None);
    let (ended, end) = mpsc::channel();
    let running = interrupt.clone();
    let thread = std::thread::spawn(move || {
        let text = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }";
        ended
            .send(ask_under(&snapshot, &query(text), &running).0)
            .unwrap();
    });
    interrupt.cancel();
    assert_eq!(end.recv().unwrap(), Err(SparqlError::Cancelled));
    thread.join().unwrap();
}

/// What the guard lets through must neither abort the process nor take long.
#[test]
fn texts_at_the_limits_of_the_guard_run() {
    let filter = |inner: String| format!("SELECT * {{ ?s ?p ?o FILTER({inner}) }}");
    let nested = |open: &str, inner: &str, close: &str, count: usize| {
        open.repeat(count) + inner + &close.repeat(count)
    };
    let texts = [
        nested("SELECT * {", "?s ?p ?o", "}", 1),
        format!("SELECT * {}", nested("{", "?s ?p ?o", "}", 100)),
        filter(nested("(", "1", ")", 98)),
        filter(nested("IF(1, 1, ", "1", ")", 98)),
        filter("1 || ".repeat(1_999) + "1"),
        filter("1 && ".repeat(1_999) + "1"),
        filter("?o + ".repeat(1_999) + "1 > 0"),
        filter("!".repeat(1_999) + "?o"),
        filter(nested("!(", "1", ")", 8)),
        format!("SELECT * {{ ?s {}ex:p ?o }}", "ex:p/".repeat(150)),
        format!("SELECT * {{ ?s {}ex:p ?o }}", "ex:p|".repeat(1_999)),
        format!("SELECT * {{ {}{{}} }}", "{ ?s ?p ?o } UNION ".repeat(499)),
        format!("SELECT * {{ {} }}", "OPTIONAL { ?s ?p ?o } ".repeat(150)),
        format!(
            "SELECT * {{ {} }}",
            repeated(450, |number| format!("BIND({number} AS ?b{number})"))
        ),
        format!(
            "SELECT * {{ {} }}",
            repeated(150, |number| format!("?s{number} ex:p ?s{} . ", number + 1))
        ),
        format!("SELECT * {{ ?s ?p {} }}", nested("(", "1", ")", 98)),
        format!("SELECT * {{ ?s ?p {} }}", nested("[ ?p ", "1", "]", 98)),
        format!(
            "SELECT * {{ {} }}",
            nested("FILTER EXISTS { ?s ?p ?o . ", "", "}", 98)
        ),
        format!(
            "SELECT * {{ {} }}",
            nested("{ SELECT * { ", "?s ?p ?o", "} }", 49)
        ),
        format!("SELECT * {{ ?s ?p {} }}", nested("<<( ?s ?p ", "?o", ")>>", 49)),
    ];
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let run = move || {
        let snapshot = graph("ex:a ex:p 1 , ex:a .");
        for text in texts {
            let interrupt = Interrupt::new(Some(Instant::now() + Duration::from_secs(20)));
            let start = Instant::now();
            let (outcome, _) = ask_under(&snapshot, &query(&text), &interrupt);
            println!("{:?} {}", start.elapsed(), &text[..text.len().min(60)]);
            assert!(outcome.is_ok(), "{outcome:?}: {}", &text[..text.len().min(200)]);
        }
    };
    thread.spawn(run).unwrap().join().unwrap();
}

/// The greatest values that the server's settings take: slow perhaps, but no abort.
#[test]
fn the_largest_limits_that_can_be_set_do_not_kill() {
    let limits = GuardLimits {
        nesting_max: 1_000,
        operator_count_max: 4_000,
        clause_count_max: 1_000,
        pattern_count_max: 500,
        ..GuardLimits::default()
    };
    let texts = [
        format!("ASK {{ FILTER({}true) }}", "?x || ".repeat(4_000)),
        format!("SELECT ({}1 AS ?y) {{}}", "?x + ".repeat(4_000)),
        format!("ASK {{ FILTER({}?x) }}", "!".repeat(4_000)),
        format!("ASK {{ ?s {}ex:p ?o }}", "ex:p|".repeat(4_000)),
        format!("ASK {{ {}{{}} }}", "{ ?s ?p ?o } UNION ".repeat(1_000)),
        format!("ASK {{ {} }}", "OPTIONAL { } ".repeat(1_000)),
        format!("ASK {{ FILTER({}1{}) }}", "(".repeat(998), ")".repeat(998)),
        format!("ASK {{ FILTER({}1{}) }}", "IF(1,".repeat(998), ",1)".repeat(998)),
        format!("ASK {{ {}{} }}", "FILTER EXISTS { ".repeat(498), " }".repeat(498)),
        format!(
            "ASK {{ {}?s ?p ?o{} }}",
            "{ SELECT * { ".repeat(499),
            " } }".repeat(499)
        ),
    ];
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let run = move || {
        let snapshot = graph("ex:a ex:p 1 , ex:a .");
        let parser = Parser::new(limits, [("ex", "http://ex/")]);
        for text in texts {
            let interrupt = Interrupt::new(Some(Instant::now() + Duration::from_secs(1)));
            let start = Instant::now();
            let mut collector = Collector::default();
            let outcome = run_query(&parser, &query(&text), &snapshot, &interrupt, &mut collector);
            println!(
                "{:?} {outcome:?} {}",
                start.elapsed(),
                &text[..text.len().min(60)]
            );
            let refused = matches!(
                outcome,
                Err(SparqlError::TooComplex { .. } | SparqlError::Syntax { .. })
            );
            assert!(!refused, "{outcome:?}: {}", &text[..text.len().min(200)]);
        }
    };
    thread.spawn(run).unwrap().join().unwrap();
}
