//! What the fuzz targets share: a thread like the server's, a parser, and a small graph.

use std::time::{Duration, Instant};

use dossier::{
    graph::{Draft, Snapshot},
    rdf::{self, Compression, Document, Memory},
    sparql::{GuardLimits, Interrupt, Parser, Query, QueryForm, Row, Sink, SparqlError},
};
use oxigraph::{io::RdfFormat, model::Triple};

/// The stack of a query thread (`src/sparql/pool.rs`).
const STACK_BYTES: usize = 256 << 20;
/// The deadline of a query or update.
pub const TIME_MAX: Duration = Duration::from_secs(1);
/// How long after it one may still run.
const OVERSHOOT_MAX: Duration = Duration::from_secs(1);

const GRAPH: &str = "
@prefix : <http://example.org/> .
:a :p :b, :c ; :q 1, 2.5, 1e3, true, 'text'@en, '2026-11-24'^^<http://www.w3.org/2001/XMLSchema#date> .
:b :p :c, :a ; :q 'aaaaaaaaaaaaaaaa', 9223372036854775807, 'P1Y'^^<http://www.w3.org/2001/XMLSchema#duration> .
:c :p :a ; :q <<( :a :p :b )>>, ( 1 2 3 ), [ :q [] ] .
:g { :a :p :b . :b :q 'in a graph' }
";

/// Runs work on a thread like a query's, and checks that it ends in time.
pub fn run(work: impl FnOnce() + Send) {
    let start = Instant::now();
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .expect("a thread");
    });
    let elapsed = start.elapsed();
    assert!(elapsed < TIME_MAX + OVERSHOOT_MAX, "it took {elapsed:?}");
}

/// Returns a parser as the server has it.
pub fn parser() -> Parser {
    Parser::new(GuardLimits::default(), [("ex", "http://example.org/")])
}

/// Returns an interrupt that strikes after [`TIME_MAX`].
pub fn interrupt() -> Interrupt {
    Interrupt::new(Some(Instant::now() + TIME_MAX))
}

/// Returns a query of this text.
pub fn query(text: &str) -> Query {
    Query {
        text: text.to_owned(),
        ..Query::default()
    }
}

/// Returns a small graph with terms of all kinds.
pub fn graph() -> Snapshot {
    let document = Document {
        format: RdfFormat::TriG,
        compression: Compression::None,
        base_iri: None,
        default_graph: None,
        is_one_graph: false,
    };
    let read = rdf::read(&document, GRAPH.as_bytes(), &Memory::new(1 << 30), 0, |_| true);
    let mut draft = Draft::new(Snapshot::default());
    draft.apply(&read.expect("a right document").batch);
    draft.finish().1
}

/// Takes a result and looks at every cell.
pub struct Discard;

impl Sink for Discard {
    fn header(&mut self, _: QueryForm, _: &[&str]) -> Result<(), SparqlError> {
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), SparqlError> {
        std::hint::black_box(row.terms());
        Ok(())
    }

    fn triple(&mut self, triple: &Triple) -> Result<(), SparqlError> {
        std::hint::black_box(triple.to_string());
        Ok(())
    }

    fn boolean(&mut self, _: bool) -> Result<(), SparqlError> {
        Ok(())
    }
}
