//! The log of slow queries: what took long, how it ended, and never its text, except where everything is logged.

use std::{sync::atomic::Ordering, thread, time::Duration};

use super::{QueryForm, registry::Entry};

/// Logs a query or update that has ended, if it took `slow_after` or longer.
pub(super) fn log(entry: &Entry, slow_after: Duration) {
    let elapsed = entry.elapsed();
    if elapsed < slow_after {
        return;
    }
    let outcome = match (entry.outcome.get(), entry.interrupt.check()) {
        (Some(outcome), _) => outcome.as_ref(),
        (None, _) if thread::panicking() => "PANICKED",
        // It never ran, or its caller went away while it did.
        (None, Err(cause)) => cause.name(),
        (None, Ok(())) => "UNKNOWN",
    };
    let form = match entry.form.get() {
        Some(QueryForm::Select) => "SELECT",
        Some(QueryForm::Ask) => "ASK",
        Some(QueryForm::Construct) => "CONSTRUCT",
        Some(QueryForm::Describe) => "DESCRIBE",
        None if entry.is_update.load(Ordering::Relaxed) => "UPDATE",
        None => "",
    };
    let waited = entry.waited.get().copied().unwrap_or(elapsed);
    tracing::warn!(
        query_id = entry.query_id,
        method = entry.method,
        form,
        text_sha256 = entry.hash.get().map(tracing::field::display),
        elapsed_ms = milliseconds(elapsed),
        waited_ms = milliseconds(waited),
        row_count = entry.row_count.load(Ordering::Relaxed),
        revision = entry.revision.get(),
        outcome,
        "slow query"
    );
    if let Some(text) = entry.text.get() {
        tracing::debug!(query_id = entry.query_id, text, "text of a slow query");
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::sparql::{
        Caller, Parameters, Queries, Query, QuerySettings, Row, Sink, SparqlError, Ticket, tests::graph,
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

    fn logged(level: tracing::Level, slow_after: Option<Duration>, work: impl FnOnce(Ticket)) -> String {
        let settings = QuerySettings {
            slow_after,
            ..QuerySettings::small()
        };
        let queries = Queries::start(settings, [("ex", "http://ex/")]).unwrap();
        let caller = Caller {
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
            work(queries.admit(caller, "ASK {}", None, None).unwrap());
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
        assert!(!log.contains("?s"), "{log}");
        let log = logged(tracing::Level::DEBUG, always, select);
        check(&log, &["DEBUG", "SELECT * { ?s ?p ?o }"]);
        let hour = Some(Duration::from_hours(1));
        for slow_after in [None, hour] {
            assert_eq!(logged(tracing::Level::INFO, slow_after, select), "");
        }
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
}
