//! Reads a triple pattern from the index, for each row.

use std::rc::Rc;

use super::{
    super::SparqlError,
    batch::{Batch, rows_at_once, rows_below},
    context::{Context, Matches},
    operator::{Description, Node, Operator},
    place::QuadPlaces,
};

/// Continues each row with every quad that matches: one look-up a row.
pub(super) struct Scan<'a> {
    input: Node<'a>,
    places: QuadPlaces,
    detail: String,
    /// One match a row is enough: nobody looks at what it binds.
    first_only: bool,
    rows: Batch,
    at: usize,
    matches: Option<Matches<'a>>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(input: Node<'a>, places: QuadPlaces, detail: String, first_only: bool) -> Self {
        Self {
            input,
            places,
            detail,
            first_only,
            rows: Batch::default(),
            at: 0,
            matches: None,
        }
    }

    /// Moves to the next row that may match; false if the input has ended.
    fn advance(&mut self, context: &Context<'a>, wanted: usize) -> Result<bool, SparqlError> {
        loop {
            while self.at < self.rows.len() {
                context.tick()?;
                if let Some(pattern) = self.places.pattern(context, self.rows.row(self.at)) {
                    self.matches = Some(context.quads(pattern));
                    return Ok(true);
                }
                self.at += 1;
            }
            let Some(rows) = self.input.next(context, rows_below(wanted))? else {
                return Ok(false);
            };
            (self.rows, self.at) = (rows, 0);
        }
    }
}

impl<'a> Operator<'a> for Scan<'a> {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.input.open(seed);
        self.rows = Batch::default();
        self.at = 0;
        self.matches = None;
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        let width = context.width.get();
        let wanted = rows_at_once(wanted, width);
        let mut out = Batch::new(width);
        loop {
            let Some(matches) = &mut self.matches else {
                if self.advance(context, wanted)? {
                    continue;
                }
                return Ok((!out.is_empty()).then_some(out));
            };
            let row = self.rows.row(self.at);
            let mut is_done = true;
            for quad in matches {
                context.tick()?;
                if !self.places.bind(context, out.push(row), quad)? {
                    out.pop();
                    continue;
                }
                if self.first_only {
                    break;
                }
                if out.len() >= wanted {
                    is_done = false;
                    break;
                }
            }
            if is_done {
                self.matches = None;
                self.at += 1;
            }
            if out.len() >= wanted {
                return Ok(Some(out));
            }
        }
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: "Scan",
            detail: self.detail.clone(),
            children: vec![&self.input],
        }
    }
}
