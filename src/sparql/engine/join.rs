//! Joins with a table of the right side.

use std::rc::Rc;

use super::{
    super::SparqlError,
    batch::{Batch, rows_at_once, rows_below},
    context::Context,
    operator::{Description, Node, Operator},
    table::{Cursor, RightSide, Table},
};

/// What becomes of a left row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// It is continued with each row that goes with it.
    Inner,
    /// It stays if no row goes with it and shares a variable with it (MINUS).
    Minus,
    /// It stays if a row goes with it (EXISTS).
    Semi,
}

/// Joins each row with a table of the right side, which is read once.
pub(super) struct HashJoin<'a> {
    left: Node<'a>,
    right: RightSide<'a>,
    kind: Kind,
    detail: String,
    rows: Batch,
    at: usize,
    cursor: Cursor,
    is_matched: bool,
}

impl<'a> HashJoin<'a> {
    pub(super) fn new(left: Node<'a>, right: RightSide<'a>, kind: Kind, detail: String) -> Self {
        Self {
            left,
            right,
            kind,
            detail,
            rows: Batch::default(),
            at: 0,
            cursor: Cursor::default(),
            is_matched: false,
        }
    }

    /// Continues the row at hand; true when it is done, false when `out` is full.
    fn continue_row(
        &mut self,
        context: &Context<'a>,
        table: &Table,
        out: &mut Batch,
        wanted: usize,
    ) -> Result<bool, SparqlError> {
        let left = self.rows.row(self.at);
        while let Some(index) = table.next(&mut self.cursor) {
            context.tick()?;
            if !table.is_compatible(index, left) {
                continue;
            }
            match self.kind {
                Kind::Inner => table.merge(index, out.push(left)),
                Kind::Minus if !table.shares(index, left) => continue,
                Kind::Minus | Kind::Semi => {
                    self.is_matched = true;
                    break;
                }
            }
            if out.len() >= wanted {
                return Ok(false);
            }
        }
        let stays = match self.kind {
            Kind::Inner => false,
            Kind::Minus => !self.is_matched,
            Kind::Semi => self.is_matched,
        };
        if stays {
            out.push(left);
        }
        Ok(true)
    }

    fn begin_row(&mut self, table: &Table) {
        self.is_matched = false;
        self.cursor = if self.at < self.rows.len() {
            table.first(self.rows.row(self.at))
        } else {
            Cursor::default()
        };
    }
}

impl<'a> Operator<'a> for HashJoin<'a> {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.left.open(seed);
        self.right.open(seed);
        self.rows = Batch::default();
        self.at = 0;
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        let width = context.width.get();
        let wanted = rows_at_once(wanted, width);
        let mut out = Batch::new(width);
        loop {
            if self.at >= self.rows.len() {
                let Some(rows) = self.left.next(context, rows_below(wanted))? else {
                    return Ok((!out.is_empty()).then_some(out));
                };
                (self.rows, self.at) = (rows, 0);
                let table = self.right.table(context)?;
                self.begin_row(&table);
            }
            let table = self.right.table(context)?;
            if table.is_empty() && matches!(self.kind, Kind::Inner | Kind::Semi) {
                return Ok(None);
            }
            while self.at < self.rows.len() {
                context.tick()?;
                if !self.continue_row(context, &table, &mut out, wanted)? {
                    return Ok(Some(out));
                }
                self.at += 1;
                self.begin_row(&table);
                if out.len() >= wanted {
                    return Ok(Some(out));
                }
            }
        }
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: match self.kind {
                Kind::Inner => "HashJoin",
                Kind::Minus => "Minus",
                Kind::Semi => "HashSemiJoin",
            },
            detail: self.detail.clone(),
            children: vec![&self.left, &self.right.node],
        }
    }
}
