use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing_subscriber::fmt::MakeWriter;

use oxigraph::model::{NamedNode, Term};

use super::*;
use crate::{
    graph::Draft,
    sparql::{
        Caller, CallerLimits, Interrupt, Parameters, Queries, Query, QuerySettings, Row, Sink, SparqlError,
        Ticket,
        tests::{graph, numbers},
    },
};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

struct Nowhere;

impl Sink for Nowhere {
    fn header(&mut self, _: QueryForm, _: &[&str]) -> Result<(), SparqlError> {
        Ok(())
    }

    fn row(&mut self, _: Row<'_>) -> Result<(), SparqlError> {
        Ok(())
    }

    fn triple(&mut self, _: &oxigraph::model::Triple) -> Result<(), SparqlError> {
        Ok(())
    }

    fn boolean(&mut self, _: bool) -> Result<(), SparqlError> {
        Ok(())
    }
}

/// Cancels its query once that runs.
struct Cancels(Interrupt);

impl Sink for Cancels {
    fn header(&mut self, _: QueryForm, _: &[&str]) -> Result<(), SparqlError> {
        self.0.cancel_by_request();
        Ok(())
    }

    fn row(&mut self, _: Row<'_>) -> Result<(), SparqlError> {
        Ok(())
    }

    fn triple(&mut self, _: &oxigraph::model::Triple) -> Result<(), SparqlError> {
        Ok(())
    }

    fn boolean(&mut self, _: bool) -> Result<(), SparqlError> {
        Ok(())
    }
}

fn logged(level: tracing::Level, slow_after: Option<Duration>, work: impl FnOnce(Ticket)) -> String {
    let settings = QuerySettings {
        slow_after,
        ..QuerySettings::small()
    };
    let queries = Queries::start(settings, [("ex", "http://ex/")]).unwrap();
    let caller = Caller {
        access: crate::model::access::Access::everything(),
        method: "Query",
        query_id: "mine".to_owned(),
        peer: None,
    };
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        work(
            queries
                .admit(caller, "ASK {}", None, &CallerLimits::default())
                .unwrap(),
        );
    });
    String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
}

fn ask(ticket: &Ticket, text: &str) -> Result<(), SparqlError> {
    let query = Query {
        text: text.to_owned(),
        ..Query::default()
    };
    let outcome = ticket.run_query(&query, 7, &graph("ex:a ex:p 1 , 2 ."), &mut Nowhere);
    outcome.map(drop)
}

fn check(log: &str, expected: &[&str]) {
    for part in expected {
        assert!(log.contains(part), "{part}: {log}");
    }
}

#[test]
fn slow_queries_are_logged_without_their_text() {
    let always = Some(Duration::ZERO);
    let select = |ticket: Ticket| {
        ask(&ticket, "SELECT * { ?s ?p ?o }").unwrap();
        ticket.end("OK");
    };
    let log = logged(tracing::Level::INFO, always, select);
    check(
        &log,
        &[
            "WARN",
            "slow query",
            "query_id=\"mine\"",
            "form=\"SELECT\"",
            "row_count=2",
            "revision=7",
            "outcome=\"OK\"",
            "text_sha256=",
        ],
    );
    assert!(!log.contains("SELECT *"), "{log}");
    let log = logged(tracing::Level::DEBUG, always, select);
    check(&log, &["DEBUG", "SELECT * { ?s ?p ?o }"]);
    let hour = Some(Duration::from_hours(1));
    for slow_after in [None, hour] {
        assert_eq!(logged(tracing::Level::INFO, slow_after, select), "");
    }
}

/// Returns what is logged of a query with parameters, over `?s ex:p 1 , 2`.
fn plan_of(level: tracing::Level, text: &str, parameters: &[(&str, Term)]) -> String {
    let parameters = parameters
        .iter()
        .map(|(name, term)| ((*name).to_owned(), term.clone()));
    let query = Query {
        text: text.to_owned(),
        parameters: parameters.collect(),
        ..Query::default()
    };
    let log = logged(level, Some(Duration::ZERO), |ticket| {
        let snapshot = graph("ex:a ex:p 1 , 2 .");
        ticket.run_query(&query, 7, &snapshot, &mut Nowhere).unwrap();
    });
    log.replace('\\', "")
}

#[test]
fn the_plan_of_a_slow_query_is_logged_without_what_is_confidential() {
    let secret: Term = NamedNode::new_unchecked("http://ex/secret").into();
    let check_plan = |text: &str, parameters: &[(&str, Term)], expected: &str| {
        let log = plan_of(tracing::Level::INFO, text, parameters);
        check(&log, &[&format!("plan=\"{expected}\"")]);
        assert!(!log.contains("secret"), "{log}");
    };
    check_plan(
        "SELECT ?o { ?s ex:p ?o FILTER(?o > 1 && STR(?o) != 'secret') } ORDER BY ?o LIMIT 10",
        &[],
        "Slice[1] from 0, 10 > TopSort[1] the first 10 > Filter[1] !(STR(?o) = \"…\") > Filter[1] (?o > \"…\") > Scan[2] ?s <http://ex/p> ?o",
    );
    check_plan("ASK { ex:secret ex:p ?o }", &[], "Scan[0] <…> <http://ex/p> ?o");
    check_plan(
        "ASK { ?s ex:p 'secret' ; a ex:Class }",
        &[],
        "Scan[0] ?s <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://ex/Class> > Scan[0] ?s <http://ex/p> \"…\"",
    );
    check_plan(
        "SELECT * { ?s ?p ?o FILTER NOT EXISTS { ?s ex:p+ 'secret' } }",
        &[],
        "NotExists[2] for each row > (Scan[2] ?s ?p ?o | Path[0] ?s (<http://ex/p>)+ \"…\")",
    );
    check_plan(
        "SELECT * { ?s ?p ?o BIND(ex:secret AS ?x) ?s a ?c }",
        &[("p", secret.clone()), ("c", secret.clone())],
        "Extend[0] ?p = <…> > Extend[0] ?c = <…> > Scan[0] ?s <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <…> > Extend[0] ?x = <…> > Scan[0] ?s <…> ?o",
    );
}

#[test]
fn the_whole_plan_of_a_slow_query_is_logged_where_its_text_is() {
    let log = plan_of(tracing::Level::DEBUG, "ASK { ?s ex:p 2 }", &[]);
    check(
        &log,
        &[
            "Scan[1] ?s <http://ex/p> \"…\"",
            "Scan[1] ?s <http://ex/p> \"2\"^^<",
        ],
    );
}

#[test]
fn the_plan_of_a_query_past_its_end_is_logged() {
    let log = logged(tracing::Level::INFO, Some(Duration::ZERO), |ticket| {
        let endless = "SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i FILTER(?c + ?f + ?i < 0) }";
        let query = Query {
            text: endless.to_owned(),
            ..Query::default()
        };
        let mut sink = Cancels(ticket.interrupt().clone());
        let outcome = ticket.run_query(&query, 7, &numbers(), &mut sink);
        assert_eq!(outcome.unwrap_err(), SparqlError::QueryCancelled);
    });
    check(&log, &["outcome=\"QUERY_CANCELLED\"", "plan=\"", "Scan"]);
}

#[test]
fn the_plan_of_a_slow_update_is_logged() {
    let log = logged(tracing::Level::INFO, Some(Duration::ZERO), |ticket| {
        let text = "CLEAR DEFAULT ; DELETE { ?s ex:p 'secret' } WHERE { ?s ex:p 'secret' }";
        let update = ticket.parse_update(text, &Parameters::default()).unwrap();
        let mut draft = Draft::new(graph("ex:a ex:p 1 ."));
        update.plan(ticket.interrupt().clone(), u64::MAX)(&mut draft).unwrap();
        ticket.committed(9, 1);
    });
    check(&log, &["plan=\"Scan[0] ?s <http://ex/p> \\\"…\\\"\""]);
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn the_log_tells_how_it_ended() {
    let outcome = |expected: &str, work: &dyn Fn(Ticket)| {
        let log = logged(tracing::Level::INFO, Some(Duration::ZERO), work);
        check(&log, &[&format!("outcome=\"{expected}\"")]);
    };
    outcome("SPARQL_SYNTAX", &|ticket| {
        assert!(ask(&ticket, "SELECT").is_err());
    });
    outcome("QUERY_CANCELLED", &|ticket| {
        ticket.interrupt().cancel_by_request();
    });
    outcome("CANCELLED", &|ticket| ticket.interrupt().cancel());
    outcome("UNKNOWN", &drop);
    outcome("SPARQL_UNSUPPORTED", &|ticket| {
        let update = ticket.parse_update("LOAD <http://ex/>", &Parameters::default());
        assert!(update.is_err());
    });
    let log = logged(tracing::Level::INFO, Some(Duration::ZERO), |ticket| {
        ticket.parse_update("CLEAR ALL", &Parameters::default()).unwrap();
        ticket.committed(9, 3);
    });
    check(
        &log,
        &["form=\"UPDATE\"", "revision=9", "row_count=3", "outcome=\"OK\""],
    );
}
