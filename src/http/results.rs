//! Results as documents: rows, booleans and triples, in the format that the caller accepts.

use std::{
    cell::RefCell,
    io::{self, Write},
    rc::Rc,
    time::{Duration, Instant},
};

use oxigraph::{
    model::{Quad, Term, Triple, Variable},
    sparql::results::{QueryResultsSerializer, WriterSolutionsSerializer},
};

use super::{
    body::{Chunks, Head},
    negotiate::{Accept, Chosen},
    problem::{Problem, internal, not_serializable},
};
use crate::{
    knowledge::View,
    model::prefixes::PREFIXES,
    rdf::{DocumentWriter, Format},
    sparql::{Interrupt, Query, QueryForm, Row, RunLimit, Sink, SparqlError, Ticket},
};

/// Bytes that go out together. What is smaller as a whole goes out whole: an error before its end has its own status.
const CHUNK_BYTES: usize = 64 << 10;
/// Bytes do not wait longer for more bytes to go with them.
const CHUNK_WAIT_MAX: Duration = Duration::from_millis(500);

/// Runs a query on its thread.
pub(super) fn run(ticket: Ticket, query: &Query, view: &View, accept: Accept, chunks: Chunks) {
    let mut sink = ResultSink {
        accept,
        document: Document::new(chunks, view.revision, ticket.interrupt()),
        writing: Writing::Nothing,
        problem: None,
    };
    let outcome = ticket
        .run_query(query, view.revision, &view.snapshot, &mut sink)
        .and_then(|_| sink.end_document());
    ticket.end(outcome.as_ref().map_or_else(SparqlError::name, |()| "OK"));
    // It is off the list before the caller has the last word.
    drop(ticket);
    match outcome {
        Ok(()) => sink.document.finish(),
        Err(error) => {
            let problem = sink.problem.unwrap_or_else(|| error.into());
            sink.document.chunks.fail(problem);
        }
    }
}

/// The bytes that a serialiser has written and that have not been sent.
#[derive(Clone, Default)]
struct Buffer(Rc<RefCell<Vec<u8>>>);

impl Buffer {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.borrow_mut())
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A document on its way out.
pub(super) struct Document {
    buffer: Buffer,
    chunks: Chunks,
    content_type: String,
    revision: u64,
    sent_at: Instant,
    sent_bytes: u64,
    bytes_max: u64,
}

impl Document {
    /// It has as many bytes as the interrupt allows.
    pub(super) fn new(chunks: Chunks, revision: u64, interrupt: &Interrupt) -> Self {
        Self {
            buffer: Buffer::default(),
            chunks,
            content_type: String::new(),
            revision,
            sent_at: Instant::now(),
            sent_bytes: 0,
            bytes_max: interrupt.limits().result_bytes_max,
        }
    }

    /// Fails if there is more than it may have.
    fn check(&self) -> Result<(), SparqlError> {
        let waiting_bytes = self.buffer.0.borrow().len() as u64;
        if self.sent_bytes + waiting_bytes > self.bytes_max {
            return Err(SparqlError::LimitExceeded {
                limit: RunLimit::ResultBytes,
                limit_value: self.bytes_max,
            });
        }
        Ok(())
    }

    /// Sends what there is, if it is enough or has waited long enough.
    fn flush(&mut self) -> Result<(), SparqlError> {
        self.check()?;
        let byte_count = self.buffer.0.borrow().len();
        if byte_count < CHUNK_BYTES && (byte_count == 0 || self.sent_at.elapsed() < CHUNK_WAIT_MAX) {
            return Ok(());
        }
        self.sent_at = Instant::now();
        self.sent_bytes += byte_count as u64;
        let (content_type, revision) = (&self.content_type, self.revision);
        self.chunks.send(self.buffer.take(), || Head {
            content_type: content_type.clone(),
            revision,
        })
    }

    fn finish(self) {
        let (content_type, revision) = (self.content_type, self.revision);
        self.chunks.finish(self.buffer.take(), || Head {
            content_type,
            revision,
        });
    }

    /// Writes quads to the end, unless the ticket's interrupt strikes.
    pub(super) fn quads(
        mut self,
        (format, content_type): Chosen<Format>,
        of_quads: bool,
        quads: impl Iterator<Item = Quad>,
        ticket: &Ticket,
    ) {
        self.content_type = content_type;
        let outcome: Result<(), Problem> = (|| {
            let mut writer = writer(format, of_quads, self.buffer.clone())?;
            for quad in quads {
                ticket.interrupt().check()?;
                writer
                    .quad(quad.as_ref())
                    .map_err(|error| not_serializable(format.name(), &error))?;
                self.flush()?;
            }
            writer.finish().map_err(|error| internal(&error))?;
            Ok(self.check()?)
        })();
        match outcome {
            Ok(()) => {
                ticket.end("OK");
                self.finish();
            }
            Err(problem) => {
                ticket.end(problem.reason());
                self.chunks.fail(problem);
            }
        }
    }
}

/// Returns a writer that knows the server's prefixes.
fn writer(format: Format, of_quads: bool, buffer: Buffer) -> Result<DocumentWriter<Buffer>, Problem> {
    let prefixes = PREFIXES.iter().map(|(name, iri)| (*name, *iri));
    DocumentWriter::new(format, of_quads, prefixes, buffer).map_err(|error| internal(&error))
}

enum Writing {
    Nothing,
    Rows {
        variables: Vec<Variable>,
        serializer: Box<WriterSolutionsSerializer<Buffer>>,
    },
    Triples {
        name: &'static str,
        writer: Box<DocumentWriter<Buffer>>,
    },
}

/// Sends a result as a document.
struct ResultSink {
    accept: Accept,
    document: Document,
    writing: Writing,
    /// Why the sink ended the run.
    problem: Option<Problem>,
}

impl ResultSink {
    /// Ends the run with a problem of HTTP's own.
    fn end<T>(&mut self, outcome: Result<T, Problem>) -> Result<T, SparqlError> {
        outcome.map_err(|problem| {
            self.problem = Some(problem);
            SparqlError::Cancelled
        })
    }

    /// Writes what follows the last row or triple.
    fn end_document(&mut self) -> Result<(), SparqlError> {
        let finished = match std::mem::replace(&mut self.writing, Writing::Nothing) {
            Writing::Nothing => Ok(()),
            Writing::Rows { serializer, .. } => serializer.finish().map(|_| ()),
            Writing::Triples { writer, .. } => writer.finish().map(|_| ()),
        };
        self.end(finished.map_err(|error| internal(&error)))?;
        self.document.check()
    }
}

impl Sink for ResultSink {
    fn header(&mut self, form: QueryForm, variables: &[&str]) -> Result<(), SparqlError> {
        match form {
            QueryForm::Select => {
                let chosen = self.accept.results();
                let (format, content_type) = self.end(chosen)?;
                self.document.content_type = content_type;
                let variables: Vec<_> = variables
                    .iter()
                    .map(|&name| Variable::new_unchecked(name))
                    .collect();
                let serializer = QueryResultsSerializer::from_format(format)
                    .serialize_solutions_to_writer(self.document.buffer.clone(), variables.clone())
                    .map_err(|error| internal(&error));
                self.writing = Writing::Rows {
                    variables,
                    serializer: Box::new(self.end(serializer)?),
                };
            }
            QueryForm::Ask => {}
            QueryForm::Construct | QueryForm::Describe => {
                let chosen = self.accept.triples();
                let (format, content_type) = self.end(chosen)?;
                self.document.content_type = content_type;
                let writer = writer(format, false, self.document.buffer.clone());
                self.writing = Writing::Triples {
                    name: format.name(),
                    writer: Box::new(self.end(writer)?),
                };
            }
        }
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), SparqlError> {
        let Writing::Rows {
            variables,
            serializer,
        } = &mut self.writing
        else {
            return Err(SparqlError::Internal("a row without variables".to_owned()));
        };
        let terms: Vec<Option<Term>> = row.terms();
        let cells = variables.iter().zip(&terms);
        let written = serializer
            .serialize(cells.filter_map(|(variable, term)| Some((variable, term.as_ref()?))))
            .map_err(|error| internal(&error));
        self.end(written)?;
        self.document.flush()
    }

    fn triple(&mut self, triple: &Triple) -> Result<(), SparqlError> {
        let Writing::Triples { name, writer } = &mut self.writing else {
            return Err(SparqlError::Internal("a triple without a format".to_owned()));
        };
        let name = *name;
        let written = writer
            .triple(triple.as_ref())
            .map_err(|error| not_serializable(name, &error));
        self.end(written)?;
        self.document.flush()
    }

    fn boolean(&mut self, answer: bool) -> Result<(), SparqlError> {
        let chosen = self.accept.results();
        let (format, content_type) = self.end(chosen)?;
        self.document.content_type = content_type;
        let written = QueryResultsSerializer::from_format(format)
            .serialize_boolean_to_writer(self.document.buffer.clone(), answer)
            .map_err(|error| internal(&error));
        self.end(written).map(|_| ())
    }
}
