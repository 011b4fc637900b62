//! Distinct rows, numbered in the order in which they came.

use std::hash::BuildHasher as _;

use hashbrown::{HashTable, hash_table::Entry};
use rustc_hash::FxBuildHasher;

use super::super::{
    SparqlError,
    memory::{Account, Budget},
};

/// Cells that are hashed in a unit of work.
const CELLS_PER_TICK: usize = 16;

/// Distinct rows of one width.
pub(super) struct RowSet {
    width: usize,
    cells: Vec<u32>,
    numbers: HashTable<u32>,
    count: usize,
    account: Account,
}

impl RowSet {
    pub(super) fn new(width: usize, budget: &Budget) -> Self {
        Self {
            width,
            cells: Vec::new(),
            numbers: HashTable::new(),
            count: 0,
            account: budget.account(),
        }
    }

    /// Returns the work of hashing a row besides that of any row, in ticks: it may have ten thousand cells.
    pub(super) fn ticks(&self) -> usize {
        self.width / CELLS_PER_TICK
    }

    /// Returns the number of a row, and whether it is new.
    #[expect(clippy::cast_possible_truncation, reason = "memory ends before 2^32 rows")]
    pub(super) fn insert(
        &mut self,
        row: impl Iterator<Item = u32> + Clone,
    ) -> Result<(u32, bool), SparqlError> {
        let Self {
            width,
            cells,
            numbers,
            ..
        } = self;
        let cells_of = |number: u32, cells: &Vec<u32>| {
            let start = number as usize * *width;
            start..(start + *width).min(cells.len())
        };
        let entry = numbers.entry(
            hash(row.clone()),
            |&number| cells[cells_of(number, cells)].iter().copied().eq(row.clone()),
            |&number| hash(cells[cells_of(number, cells)].iter().copied()),
        );
        match entry {
            Entry::Occupied(entry) => Ok((*entry.get(), false)),
            Entry::Vacant(entry) => {
                let number = self.count as u32;
                entry.insert(number);
                self.count += 1;
                cells.extend(row);
                let bytes = self.cells.capacity() * size_of::<u32>() + self.numbers.allocation_size();
                self.account.set(bytes)?;
                Ok((number, true))
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn row(&self, number: usize) -> &[u32] {
        &self.cells[number * self.width..(number + 1) * self.width]
    }
}

/// Hashes cells: mixed well enough for numbers that nobody chooses.
pub(super) fn hash(row: impl Iterator<Item = u32>) -> u64 {
    row.fold(0, |hash, cell| FxBuildHasher.hash_one((hash, cell)))
}
