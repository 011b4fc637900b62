//! Rows on their way from operator to operator.

/// The place of a variable in every row of a query.
pub(super) type Slot = usize;

/// What an unbound slot holds. No term has this number.
pub(super) const UNBOUND: u32 = 0;

/// Rows that go from one operator to the next at once.
pub(super) const ROWS_MAX: usize = 1_024;
/// Cells of a batch: wide rows go in smaller numbers.
const CELLS_MAX: usize = 1 << 16;

/// Rows of term numbers, each as wide as the query has slots.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    width: usize,
    cells: Vec<u32>,
}

impl Batch {
    /// `width` is at least 1.
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            cells: Vec::new(),
        }
    }

    /// Returns a batch of one row that binds nothing.
    pub(super) fn unit(width: usize) -> Self {
        Self {
            width,
            cells: vec![UNBOUND; width],
        }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn len(&self) -> usize {
        self.cells.len().checked_div(self.width).unwrap_or(0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    pub(super) fn row(&self, index: usize) -> &[u32] {
        &self.cells[index * self.width..(index + 1) * self.width]
    }

    pub(super) fn row_mut(&mut self, index: usize) -> &mut [u32] {
        &mut self.cells[index * self.width..(index + 1) * self.width]
    }

    pub(super) fn rows(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.cells.chunks_exact(self.width.max(1))
    }

    pub(super) fn rows_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [u32]> {
        self.cells.chunks_exact_mut(self.width.max(1))
    }

    /// Adds a copy of a row and returns it.
    pub(super) fn push(&mut self, row: &[u32]) -> &mut [u32] {
        let start = self.cells.len();
        self.cells.extend_from_slice(row);
        &mut self.cells[start..]
    }

    /// Takes the last row away.
    pub(super) fn pop(&mut self) {
        self.cells.truncate(self.cells.len().saturating_sub(self.width));
    }

    /// Keeps the rows that `keep` says; an error ends it.
    pub(super) fn retain<E>(&mut self, mut keep: impl FnMut(&[u32]) -> Result<bool, E>) -> Result<(), E> {
        let (width, mut kept) = (self.width, 0);
        for index in 0..self.len() {
            let start = index * width;
            if keep(&self.cells[start..start + width])? {
                self.cells.copy_within(start..start + width, kept);
                kept += width;
            }
        }
        self.cells.truncate(kept);
        Ok(())
    }

    /// Keeps rows `from..to`.
    pub(super) fn slice(&mut self, from: usize, to: usize) {
        self.cells.truncate(to * self.width);
        self.cells.drain(..(from * self.width).min(self.cells.len()));
    }
}

/// Returns how many rows of a width go at once, of those that are wanted.
pub(super) fn rows_at_once(wanted: usize, width: usize) -> usize {
    wanted.min(ROWS_MAX).min(CELLS_MAX / width.max(1)).max(1)
}

/// Returns how many rows to ask of the operator below, which may yield less or more than one for each.
pub(super) fn rows_below(wanted: usize) -> usize {
    wanted.clamp(64, ROWS_MAX)
}
