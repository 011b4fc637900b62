//! Results as batches of protobuf.

use std::collections::HashMap;

use oxigraph::model::{BaseDirection, Term, Triple};
use rustc_hash::FxHashMap;

use super::convert::{term_to_proto, triple_to_proto};
use crate::{
    graph::{Snapshot, TermId, TermView},
    model::language::recommended_case,
    proto::v1::{self, query_response::Frame, term},
    sparql::{Cell, Row},
};

/// Bytes after which a batch is sent.
const BATCH_BYTES: usize = 128 << 10;
/// Rows after which a batch is sent.
const BATCH_ROW_COUNT: usize = 4_096;
/// Bytes that a cell takes besides its strings, about.
const CELL_BYTES: usize = 8;
/// Terms that a dictionary remembers, of those that a query made. Later ones are sent again with each use.
const MADE_TERM_COUNT_MAX: usize = 1 << 17;

/// Rows and triples of one stream on their way.
pub(super) enum Encoder {
    Plain { rows: Vec<v1::Row>, bytes: usize },
    Dictionary(Dictionary),
}

impl Encoder {
    pub(super) fn new(encoding: v1::RowEncoding) -> Self {
        match encoding {
            v1::RowEncoding::Unspecified | v1::RowEncoding::Plain => Self::Plain {
                rows: Vec::new(),
                bytes: 0,
            },
            v1::RowEncoding::Dictionary => Self::Dictionary(Dictionary::default()),
        }
    }

    /// Adds a row; true if the batch is full.
    pub(super) fn push(&mut self, row: &Row<'_>) -> bool {
        match self {
            Self::Plain { rows, bytes } => {
                let snapshot = row.snapshot();
                let terms = row.cells().map(|cell| {
                    let term = cell_to_proto(cell, snapshot);
                    *bytes += CELL_BYTES + string_bytes(&term);
                    term
                });
                rows.push(v1::Row {
                    terms: terms.collect(),
                });
                *bytes >= BATCH_BYTES || rows.len() >= BATCH_ROW_COUNT
            }
            Self::Dictionary(dictionary) => {
                dictionary.push(row);
                dictionary.bytes >= BATCH_BYTES || dictionary.row_count >= BATCH_ROW_COUNT
            }
        }
    }

    /// Takes the batch, if there is anything in it.
    pub(super) fn take(&mut self) -> Option<Frame> {
        match self {
            Self::Plain { rows, bytes } => {
                *bytes = 0;
                let rows = std::mem::take(rows);
                let row_count = i32::try_from(rows.len()).unwrap_or(i32::MAX);
                (row_count > 0).then(|| {
                    Frame::Rows(v1::RowBatch {
                        row_count,
                        rows,
                        ..Default::default()
                    })
                })
            }
            Self::Dictionary(dictionary) => dictionary.take(),
        }
    }
}

/// The terms that a stream has sent, and rows as their numbers.
#[derive(Default)]
pub(super) struct Dictionary {
    known: FxHashMap<TermId, u32>,
    made: HashMap<Term, u32>,
    term_count: u32,
    new_terms: Vec<v1::Term>,
    cells: Vec<u32>,
    row_count: usize,
    bytes: usize,
}

impl Dictionary {
    fn push(&mut self, row: &Row<'_>) {
        for cell in row.cells() {
            let number = match cell {
                Cell::Unbound => 0,
                Cell::Known(id) => self.number_of_known(row.snapshot(), id),
                Cell::Made(term) => self.number_of_made(term),
            };
            self.cells.push(number);
            self.bytes += 3;
        }
        self.row_count += 1;
    }

    fn number_of_known(&mut self, snapshot: &Snapshot, id: TermId) -> u32 {
        if let Some(number) = self.known.get(&id) {
            return *number;
        }
        let number = self.send(view_to_proto(snapshot, id));
        self.known.insert(id, number);
        number
    }

    fn number_of_made(&mut self, term: &Term) -> u32 {
        if let Some(number) = self.made.get(term) {
            return *number;
        }
        let number = self.send(term_to_proto(term.clone()));
        if self.made.len() < MADE_TERM_COUNT_MAX {
            self.made.insert(term.clone(), number);
        }
        number
    }

    fn send(&mut self, term: v1::Term) -> u32 {
        self.bytes += CELL_BYTES + string_bytes(&term);
        self.new_terms.push(term);
        self.term_count += 1;
        self.term_count
    }

    fn take(&mut self) -> Option<Frame> {
        self.bytes = 0;
        let row_count = i32::try_from(std::mem::take(&mut self.row_count)).unwrap_or(i32::MAX);
        let batch = v1::RowBatch {
            row_count,
            rows: Vec::new(),
            new_terms: std::mem::take(&mut self.new_terms),
            cells: std::mem::take(&mut self.cells),
        };
        (row_count > 0).then_some(Frame::Rows(batch))
    }
}

/// Triples on their way.
#[derive(Default)]
pub(super) struct Triples {
    triples: Vec<v1::TripleTerm>,
    bytes: usize,
}

impl Triples {
    /// Adds a triple; true if the batch is full.
    pub(super) fn push(&mut self, triple: &Triple) -> bool {
        let triple = triple_to_proto(triple.clone());
        let part = |term: &Option<Box<v1::Term>>| term.as_deref().map_or(0, string_bytes);
        self.bytes += 3 * CELL_BYTES + part(&triple.subject) + triple.predicate.len() + part(&triple.object);
        self.triples.push(triple);
        self.bytes >= BATCH_BYTES || self.triples.len() >= BATCH_ROW_COUNT
    }

    /// Takes the batch, if there is anything in it.
    pub(super) fn take(&mut self) -> Option<Frame> {
        self.bytes = 0;
        let triples = std::mem::take(&mut self.triples);
        (!triples.is_empty()).then_some(Frame::Triples(v1::TripleBatch { triples }))
    }
}

fn cell_to_proto(cell: Cell<'_>, snapshot: &Snapshot) -> v1::Term {
    match cell {
        Cell::Unbound => v1::Term { term: None },
        Cell::Known(id) => view_to_proto(snapshot, id),
        Cell::Made(term) => term_to_proto(term.clone()),
    }
}

/// Converts a term straight from the dictionary of the graph.
fn view_to_proto(snapshot: &Snapshot, id: TermId) -> v1::Term {
    let literal = |value: &str, datatype: &str| v1::Literal {
        lexical_form: value.to_owned(),
        datatype: datatype.to_owned(),
        ..Default::default()
    };
    let kind = match snapshot.view(id) {
        TermView::Iri(iri) => term::Term::Iri(iri.to_owned()),
        TermView::BlankNode(label) => term::Term::BlankNode(label.to_owned()),
        TermView::String(value) => term::Term::Literal(literal(value, "")),
        TermView::Typed { value, datatype } => term::Term::Literal(literal(value, datatype)),
        TermView::Language {
            value,
            language,
            direction,
        } => {
            let direction = match direction {
                None => v1::Direction::Unspecified,
                Some(BaseDirection::Ltr) => v1::Direction::Ltr,
                Some(BaseDirection::Rtl) => v1::Direction::Rtl,
            };
            term::Term::Literal(v1::Literal {
                lexical_form: value.to_owned(),
                datatype: String::new(),
                language: recommended_case(language).into_owned(),
                direction: direction.into(),
            })
        }
        TermView::Triple { .. } => return term_to_proto(snapshot.term(id)),
    };
    v1::Term { term: Some(kind) }
}

fn string_bytes(term: &v1::Term) -> usize {
    match &term.term {
        None => 0,
        Some(term::Term::Iri(text) | term::Term::BlankNode(text)) => text.len(),
        Some(term::Term::Literal(literal)) => {
            literal.lexical_form.len() + literal.datatype.len() + literal.language.len()
        }
        Some(term::Term::Triple(triple)) => {
            let part = |term: &Option<Box<v1::Term>>| term.as_deref().map_or(0, string_bytes);
            part(&triple.subject) + triple.predicate.len() + part(&triple.object)
        }
    }
}
