//! Runs one query into a sink.

use std::time::{Duration, Instant};

use oxigraph::model::{NamedNode, Term, Triple};
use tracing::trace_span;

use super::{
    Interrupt, Parameters, Parser, RunLimit, SparqlError,
    engine::{self, Run},
    slow::Watch,
};
use crate::graph::{Snapshot, TermId};

/// A query and what it is to see.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Query {
    /// The text.
    pub text: String,
    /// Terms for variables of the text.
    pub parameters: Parameters,
    /// The graphs whose union is the default graph; if these or `named_graphs` are given, they replace the text's own.
    pub default_graphs: Vec<NamedNode>,
    /// The named graphs that GRAPH sees.
    pub named_graphs: Vec<NamedNode>,
    /// Ends the result after this many rows or triples.
    pub row_count_max: Option<u64>,
}

/// The form of a query.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QueryForm {
    /// Rows.
    Select,
    /// A boolean.
    Ask,
    /// Triples by a template.
    Construct,
    /// Triples about resources.
    Describe,
}

/// Where a result goes. An error ends the run with it.
pub trait Sink {
    /// Takes the form and the variables; first, always.
    fn header(&mut self, form: QueryForm, variables: &[&str]) -> Result<(), SparqlError>;
    /// Takes a row of a SELECT.
    fn row(&mut self, row: Row<'_>) -> Result<(), SparqlError>;
    /// Takes a triple of a CONSTRUCT or DESCRIBE.
    fn triple(&mut self, triple: &Triple) -> Result<(), SparqlError>;
    /// Takes the answer of an ASK.
    fn boolean(&mut self, answer: bool) -> Result<(), SparqlError>;
}

/// Hands on as many rows and triples as a result may have.
pub(super) struct Limited<'s> {
    sink: &'s mut dyn Sink,
    row_count: u64,
    row_count_max: u64,
}

impl<'s> Limited<'s> {
    pub(super) fn new(sink: &'s mut dyn Sink, row_count_max: u64) -> Self {
        Self {
            sink,
            row_count: 0,
            row_count_max,
        }
    }

    fn count(&mut self) -> Result<(), SparqlError> {
        if self.row_count >= self.row_count_max {
            return Err(SparqlError::LimitExceeded {
                limit: RunLimit::RowCount,
                limit_value: self.row_count_max,
            });
        }
        self.row_count += 1;
        Ok(())
    }
}

impl Sink for Limited<'_> {
    fn header(&mut self, form: QueryForm, variables: &[&str]) -> Result<(), SparqlError> {
        self.sink.header(form, variables)
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), SparqlError> {
        self.count()?;
        self.sink.row(row)
    }

    fn triple(&mut self, triple: &Triple) -> Result<(), SparqlError> {
        self.count()?;
        self.sink.triple(triple)
    }

    fn boolean(&mut self, answer: bool) -> Result<(), SparqlError> {
        self.sink.boolean(answer)
    }
}

/// A row of a SELECT.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    snapshot: &'a Snapshot,
    /// Terms that the query made.
    made: &'a [Term],
    /// Numbers of terms, more than are selected.
    numbers: &'a [u32],
    /// Where the number of each variable is; nowhere if no pattern binds it.
    columns: &'a [Option<usize>],
}

/// A cell of a row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cell<'a> {
    /// The variable is unbound.
    Unbound,
    /// A term of the graph.
    Known(TermId),
    /// A term that the query made.
    Made(&'a Term),
}

impl<'a> Row<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        made: &'a [Term],
        numbers: &'a [u32],
        columns: &'a [Option<usize>],
    ) -> Self {
        Self {
            snapshot,
            made,
            numbers,
            columns,
        }
    }

    /// Returns the snapshot that knows the identifiers.
    pub fn snapshot(&self) -> &'a Snapshot {
        self.snapshot
    }

    /// Iterates over the cells, one for each variable.
    pub fn cells(&self) -> impl Iterator<Item = Cell<'a>> + use<'a> {
        let Self {
            made,
            numbers,
            columns,
            ..
        } = *self;
        columns
            .iter()
            .map(move |column| match column.map(|column| numbers[column]) {
                None | Some(0) => Cell::Unbound,
                Some(number) => engine::made_term(made, number)
                    .map_or_else(|| Cell::Known(TermId::new(number)), Cell::Made),
            })
    }

    /// Returns the row as terms.
    pub fn terms(&self) -> Vec<Option<Term>> {
        self.cells()
            .map(|cell| match cell {
                Cell::Unbound => None,
                Cell::Known(id) => Some(self.snapshot.term(id)),
                Cell::Made(term) => Some(term.clone()),
            })
            .collect()
    }
}

/// What a whole result came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Completion {
    /// Rows or triples; 1 for ASK.
    pub row_count: u64,
    /// The time that it took.
    pub elapsed: Duration,
    /// `row_count_max` ended it: there may or may not be more.
    pub is_limited: bool,
}

/// Parses, plans and evaluates a query. Recurses: call it on a thread with a large stack.
///
/// An interrupt that strikes is an error, whatever was sent before.
pub fn run_query(
    parser: &Parser,
    query: &Query,
    snapshot: &Snapshot,
    interrupt: &Interrupt,
    sink: &mut dyn Sink,
) -> Result<Completion, SparqlError> {
    run_watched(parser, query, snapshot, interrupt, sink, None)
}

/// Runs a query, and keeps its plan if it turns out slow.
pub(super) fn run_watched(
    parser: &Parser,
    query: &Query,
    snapshot: &Snapshot,
    interrupt: &Interrupt,
    sink: &mut dyn Sink,
    watch: Option<Watch<'_>>,
) -> Result<Completion, SparqlError> {
    let start = Instant::now();
    let parsed = trace_span!("parse").in_scope(|| parser.query(&query.text, &query.parameters))?;
    interrupt.check()?;
    let (default_graphs, named_graphs) = graphs(query, &parsed);
    let run = Run {
        snapshot,
        default_graphs: default_graphs.as_deref(),
        named_graphs: named_graphs.as_deref(),
        interrupt,
        remote: parser.remote(),
        answers: None,
        row_count_max: query.row_count_max.unwrap_or(u64::MAX),
        is_explained: false,
        watch,
    };
    let outcome = run.run(&parsed, sink)?;
    Ok(Completion {
        row_count: outcome.row_count,
        elapsed: start.elapsed(),
        is_limited: outcome.is_limited,
    })
}

/// Returns the form of a query.
pub(super) fn form_of(query: &spargebra::Query) -> QueryForm {
    match query {
        spargebra::Query::Select { .. } => QueryForm::Select,
        spargebra::Query::Ask { .. } => QueryForm::Ask,
        spargebra::Query::Construct { .. } => QueryForm::Construct,
        spargebra::Query::Describe { .. } => QueryForm::Describe,
    }
}

/// Returns the graphs of the request, else those of the text (SPARQL 1.1 Protocol, section 2.1.4).
pub(super) fn graphs(
    query: &Query,
    parsed: &spargebra::Query,
) -> (Option<Vec<NamedNode>>, Option<Vec<NamedNode>>) {
    match parsed.dataset() {
        _ if !query.default_graphs.is_empty() || !query.named_graphs.is_empty() => (
            Some(query.default_graphs.clone()),
            Some(query.named_graphs.clone()),
        ),
        Some(dataset) => (Some(dataset.default.clone()), dataset.named.clone()),
        None => (None, None),
    }
}

#[cfg(test)]
mod tests;
