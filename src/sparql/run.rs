//! Runs one query into a sink.

use std::time::{Duration, Instant};

use oxigraph::model::{NamedNode, Term, Triple};
use spareval::{QueryEvaluationError, QueryEvaluator, QueryResults};

use super::{
    Interrupt, Parameters, Parser, SparqlError,
    dataset::{Dataset, Output, RowTag},
    watch,
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

/// A row of a SELECT.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    snapshot: &'a Snapshot,
    tag: RowTag,
    values: &'a [Option<Term>],
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
    /// Returns the snapshot that knows the identifiers.
    pub fn snapshot(&self) -> &'a Snapshot {
        self.snapshot
    }

    /// Iterates over the cells, one for each variable.
    pub fn cells(&self) -> impl Iterator<Item = Cell<'a>> + use<'a> {
        let tag = self.tag;
        self.values.iter().map(move |value| match value {
            None => Cell::Unbound,
            Some(term) => tag.id(term).map_or(Cell::Made(term), Cell::Known),
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
    let start = Instant::now();
    let parsed = parser.query(&query.text, &query.parameters)?;
    interrupt.check()?;
    let tag = RowTag::random();
    let form = form_of(&parsed);
    let output = match form {
        QueryForm::Select => Output::Tagged(tag),
        QueryForm::Ask | QueryForm::Construct | QueryForm::Describe => Output::Terms,
    };
    let (default_graphs, named_graphs) = graphs(query, &parsed);
    let dataset = Dataset::new(snapshot, default_graphs.as_deref(), output, interrupt.clone());
    let evaluator = QueryEvaluator::new().with_cancellation_token(interrupt.token());
    let mut prepared = evaluator.prepare(&parsed);
    // The data set makes the union itself: without duplicates.
    prepared
        .dataset_mut()
        .set_default_graph(vec![oxigraph::model::GraphName::DefaultGraph]);
    if let Some(mut graphs) = named_graphs {
        graphs.sort_unstable();
        graphs.dedup();
        prepared
            .dataset_mut()
            .set_available_named_graphs(graphs.into_iter().map(Into::into).collect());
    }
    let mut run = Run {
        interrupt,
        sink,
        row_count: 0,
        row_count_max: query.row_count_max.unwrap_or(u64::MAX),
    };
    let is_limited = watch::run(interrupt, || {
        let results = prepared
            .execute(dataset)
            .map_err(|error| failure(&error, interrupt))?;
        run.drain(form, results, snapshot, tag)
    })?;
    Ok(Completion {
        row_count: run.row_count,
        elapsed: start.elapsed(),
        is_limited,
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

/// Turns an error of the evaluator into ours.
pub(super) fn failure(error: &QueryEvaluationError, interrupt: &Interrupt) -> SparqlError {
    match interrupt.check() {
        Err(cause) => cause,
        Ok(()) => SparqlError::Evaluation(error.to_string()),
    }
}

struct Run<'a> {
    interrupt: &'a Interrupt,
    sink: &'a mut dyn Sink,
    row_count: u64,
    row_count_max: u64,
}

impl Run<'_> {
    /// Sends all; true if the row limit ended it.
    fn drain(
        &mut self,
        form: QueryForm,
        results: QueryResults<'_>,
        snapshot: &Snapshot,
        tag: RowTag,
    ) -> Result<bool, SparqlError> {
        match results {
            QueryResults::Solutions(mut solutions) => {
                let variables: Vec<String> = solutions
                    .variables()
                    .iter()
                    .map(|name| name.as_str().to_owned())
                    .collect();
                let variables: Vec<&str> = variables.iter().map(String::as_str).collect();
                self.sink.header(form, &variables)?;
                self.drain_rows(
                    || solutions.next(),
                    |sink, solution| {
                        sink.row(Row {
                            snapshot,
                            tag,
                            values: solution.values(),
                        })
                    },
                )
            }
            QueryResults::Graph(mut triples) => {
                self.sink.header(form, &[])?;
                self.drain_rows(|| triples.next(), |sink, triple| sink.triple(triple))
            }
            QueryResults::Boolean(answer) => {
                self.interrupt.check()?;
                self.row_count = 1;
                self.sink.header(form, &[])?;
                self.sink.boolean(answer)?;
                Ok(false)
            }
        }
    }

    fn drain_rows<T>(
        &mut self,
        mut next: impl FnMut() -> Option<Result<T, QueryEvaluationError>>,
        mut send: impl FnMut(&mut dyn Sink, &T) -> Result<(), SparqlError>,
    ) -> Result<bool, SparqlError> {
        while self.row_count < self.row_count_max {
            let Some(item) = next() else {
                // The iterators below may have ended early.
                self.interrupt.check()?;
                return Ok(false);
            };
            let item = item.map_err(|error| failure(&error, self.interrupt))?;
            // A row may come of an operator that ended early: NOT EXISTS, MINUS, COUNT.
            self.interrupt.check()?;
            send(self.sink, &item)?;
            self.row_count += 1;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
