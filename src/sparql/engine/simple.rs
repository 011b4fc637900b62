//! Operators that look at one row after the other.

use std::rc::Rc;

use super::{
    super::SparqlError,
    batch::{Batch, ROWS_MAX, Slot, rows_at_once, rows_below},
    context::Context,
    expression::Expression,
    operator::{Base, Description, Node, Operator},
    place::QuadPlaces,
    row_set::RowSet,
};

/// Keeps rows for which a condition is true.
pub(super) struct Filter<'a> {
    pub(super) input: Node<'a>,
    pub(super) condition: Expression<'a>,
    pub(super) detail: String,
    /// No operator below keeps rows with made terms.
    pub(super) is_streaming: bool,
}

impl<'a> Operator<'a> for Filter<'a> {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.input.open(seed);
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        loop {
            let before = context.terms.made_count();
            let Some(mut batch) = self.input.next(context, rows_below(wanted))? else {
                return Ok(None);
            };
            let fetched = context.terms.made_count();
            batch.retain(|row| {
                context.tick()?;
                self.condition.test(context, row)
            })?;
            // Nobody holds what only the condition made.
            context.terms.forget(fetched);
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
            if self.is_streaming {
                context.terms.forget(before);
            }
        }
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: "Filter",
            detail: self.detail.clone(),
            children: vec![&self.input],
        }
    }
}

/// Binds a variable to the value of an expression; an error leaves it unbound.
pub(super) struct Extend<'a> {
    pub(super) input: Node<'a>,
    pub(super) slot: Slot,
    pub(super) expression: Expression<'a>,
    pub(super) detail: String,
}

impl<'a> Operator<'a> for Extend<'a> {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.input.open(seed);
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        let Some(mut batch) = self.input.next(context, wanted)? else {
            return Ok(None);
        };
        for row in batch.rows_mut() {
            context.tick()?;
            row[self.slot] = self.expression.value(context, row)?;
        }
        Ok(Some(batch))
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: "Extend",
            detail: self.detail.clone(),
            children: vec![&self.input],
        }
    }
}

/// Keeps the first of rows that bind the same.
pub(super) struct Distinct<'a> {
    pub(super) input: Node<'a>,
    pub(super) slots: Vec<Slot>,
    pub(super) base: Base,
    pub(super) seen: Option<RowSet>,
}

impl<'a> Operator<'a> for Distinct<'a> {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.input.open(&self.base.seed(seed));
        self.seen = None;
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        let Self {
            input, slots, seen, ..
        } = self;
        let seen = seen.get_or_insert_with(|| RowSet::new(slots.len(), &context.budget));
        let ticks = 1 + seen.ticks();
        while let Some(mut batch) = input.next(context, rows_below(wanted))? {
            batch.retain(|row| {
                context.ticks(ticks)?;
                Ok::<_, SparqlError>(seen.insert(slots.iter().map(|&slot| row[slot]))?.1)
            })?;
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: "Distinct",
            detail: String::new(),
            children: vec![&self.input],
        }
    }
}

/// Leaves out the first rows, and ends after some (OFFSET, LIMIT).
pub(super) struct Slice<'a> {
    pub(super) input: Node<'a>,
    pub(super) start: usize,
    pub(super) length: Option<usize>,
    pub(super) base: Base,
    pub(super) passed: usize,
}

impl<'a> Operator<'a> for Slice<'a> {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.input.open(&self.base.seed(seed));
        self.passed = 0;
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        let end = self
            .length
            .map_or(usize::MAX, |length| self.start.saturating_add(length));
        loop {
            if self.passed >= end {
                return Ok(None);
            }
            let wanted = if self.passed < self.start {
                self.start.saturating_add(wanted) - self.passed
            } else {
                wanted
            };
            let wanted = wanted.min(end - self.passed).min(ROWS_MAX);
            let Some(mut batch) = self.input.next(context, wanted)? else {
                return Ok(None);
            };
            let from = self.start.saturating_sub(self.passed).min(batch.len());
            let to = (end - self.passed).min(batch.len());
            self.passed = self.passed.saturating_add(batch.len());
            batch.slice(from, to.max(from));
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
    }

    fn describe(&self) -> Description<'_, 'a> {
        let length = self.length.map_or("all".to_owned(), |length| length.to_string());
        Description {
            operator: "Slice",
            detail: format!("from {}, {length}", self.start),
            children: vec![&self.input],
        }
    }
}

/// The rows of a VALUES block, or of anything else that is known beforehand.
pub(super) struct Values {
    slots: Vec<Slot>,
    /// As many for each row as there are slots.
    cells: Vec<u32>,
    row_count: usize,
    base: Base,
    seed: Rc<Batch>,
    at: usize,
}

impl Values {
    pub(super) fn new(slots: Vec<Slot>, cells: Vec<u32>, row_count: usize, base: Base) -> Self {
        Self {
            slots,
            cells,
            row_count,
            base,
            seed: Rc::default(),
            at: 0,
        }
    }
}

impl<'a> Operator<'a> for Values {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.seed = self.base.seed(seed);
        self.at = 0;
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        if self.seed.is_empty() {
            return Ok(None);
        }
        let wanted = rows_at_once(wanted, self.seed.width());
        let mut batch = Batch::new(self.seed.width());
        while self.at < self.row_count && batch.len() < wanted {
            context.tick()?;
            let cells = &self.cells[self.at * self.slots.len()..];
            self.at += 1;
            let seed = self.seed.row(0);
            let mut pairs = self.slots.iter().zip(cells);
            // The row that is continued may bind a variable already.
            if pairs.all(|(&slot, &cell)| cell == 0 || seed[slot] == 0 || seed[slot] == cell) {
                let row = batch.push(seed);
                for (&slot, &cell) in self.slots.iter().zip(cells) {
                    if cell != 0 {
                        row[slot] = cell;
                    }
                }
            }
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: "Values",
            detail: format!("{} rows", self.row_count),
            children: Vec::new(),
        }
    }
}

/// Counts the quads of one pattern, from the index, without walking over them.
pub(super) struct Count {
    places: QuadPlaces,
    /// Where the count goes.
    slots: Vec<Slot>,
    detail: String,
    base: Base,
    seed: Rc<Batch>,
    is_done: bool,
}

impl Count {
    pub(super) fn new(places: QuadPlaces, slots: Vec<Slot>, detail: String, base: Base) -> Self {
        Self {
            places,
            slots,
            detail,
            base,
            seed: Rc::default(),
            is_done: true,
        }
    }
}

impl<'a> Operator<'a> for Count {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.seed = self.base.seed(seed);
        self.is_done = false;
    }

    fn next(&mut self, context: &Context<'a>, _: usize) -> Result<Option<Batch>, SparqlError> {
        if std::mem::replace(&mut self.is_done, true) || self.seed.is_empty() {
            return Ok(None);
        }
        let mut batch = Batch::clone(&self.seed);
        let row = batch.row_mut(0);
        let count = self
            .places
            .pattern(context, row)
            .map_or(0, |pattern| context.count(pattern));
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let count = context
            .terms
            .intern(oxigraph::model::Literal::from(count).into())?;
        for &slot in &self.slots {
            row[slot] = count;
        }
        Ok(Some(batch))
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: "Count",
            detail: self.detail.clone(),
            children: Vec::new(),
        }
    }
}
