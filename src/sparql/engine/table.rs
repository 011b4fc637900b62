//! Rows in memory, found by some of their cells.

use std::rc::Rc;

use hashbrown::HashTable;

use super::{
    super::{SparqlError, memory::Account},
    batch::{Batch, ROWS_MAX, Slot, UNBOUND},
    context::Context,
    operator::{Base, Node},
    row_set::hash,
};

/// Ends a chain of rows with the same key.
const END: u32 = u32::MAX;

/// Rows in memory, found by the slots that are bound on both sides of a join.
pub(super) struct Table {
    /// The slots that rows are kept with.
    slots: Vec<Slot>,
    /// Places of the key in a kept row.
    key_places: Vec<usize>,
    /// Slots that may be unbound on either side.
    check_places: Vec<usize>,
    cells: Vec<u32>,
    heads: HashTable<u32>,
    /// For each row the one before it with the same key.
    next: Vec<u32>,
    row_count: usize,
    account: Account,
}

/// What a join compares.
#[derive(Clone, Debug, Default)]
pub(super) struct JoinSlots {
    /// Bound on both sides, in every row.
    pub(super) keys: Vec<Slot>,
    /// Shared, but maybe unbound.
    pub(super) checks: Vec<Slot>,
    /// All that the right side may bind.
    pub(super) right: Vec<Slot>,
}

impl Table {
    /// Reads all rows of the right side.
    pub(super) fn build<'a>(
        context: &Context<'a>,
        right: &mut Node<'a>,
        join: &JoinSlots,
        seed: &Rc<Batch>,
    ) -> Result<Self, SparqlError> {
        let place_of = |slot: &Slot| join.right.iter().position(|right| right == slot);
        let mut table = Self {
            slots: join.right.clone(),
            key_places: join.keys.iter().filter_map(place_of).collect(),
            check_places: join.checks.iter().filter_map(place_of).collect(),
            cells: Vec::new(),
            heads: HashTable::new(),
            next: Vec::new(),
            row_count: 0,
            account: context.budget.account(),
        };
        right.open(seed);
        while let Some(batch) = right.next(context, ROWS_MAX)? {
            context.ticks(batch.len())?;
            for row in batch.rows() {
                table.push(row);
            }
            table.account.set(table.memory_bytes())?;
        }
        Ok(table)
    }

    fn memory_bytes(&self) -> usize {
        (self.cells.capacity() + self.next.capacity()) * size_of::<u32>() + self.heads.allocation_size()
    }

    #[expect(clippy::cast_possible_truncation, reason = "memory ends before 2^32 rows")]
    fn push(&mut self, row: &[u32]) {
        let index = self.row_count as u32;
        self.row_count += 1;
        self.cells.extend(self.slots.iter().map(|&slot| row[slot]));
        if self.key_places.is_empty() {
            return;
        }
        let Self {
            slots,
            key_places,
            cells,
            heads,
            next,
            ..
        } = self;
        let width = slots.len();
        let key = |index: u32| {
            key_places
                .iter()
                .map(move |&place| place + index as usize * width)
        };
        let hash_of = |index: u32, cells: &[u32]| hash(key(index).map(|at| cells[at]));
        let same = |other: &u32| key(*other).zip(key(index)).all(|(a, b)| cells[a] == cells[b]);
        match heads.entry(hash_of(index, cells), same, |&other| hash_of(other, cells)) {
            hashbrown::hash_table::Entry::Occupied(mut head) => {
                next.push(*head.get());
                *head.get_mut() = index;
            }
            hashbrown::hash_table::Entry::Vacant(head) => {
                next.push(END);
                head.insert(index);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.row_count == 0
    }

    /// Returns the first row that may go with a row of the left side.
    #[expect(clippy::cast_possible_truncation, reason = "memory ends before 2^32 rows")]
    pub(super) fn first(&self, left: &[u32]) -> Cursor {
        if self.key_places.is_empty() {
            return Cursor(self.row_count as u32);
        }
        let width = self.slots.len();
        let hash = hash(self.key_places.iter().map(|&place| left[self.slots[place]]));
        let found = self.heads.find(hash, |&index| {
            self.key_places
                .iter()
                .all(|&place| self.cells[index as usize * width + place] == left[self.slots[place]])
        });
        Cursor(found.map_or(0, |index| index + 1))
    }

    /// Moves on and returns a row that may go with the left row.
    pub(super) fn next(&self, cursor: &mut Cursor) -> Option<u32> {
        let index = cursor.0.checked_sub(1)?;
        cursor.0 = if self.key_places.is_empty() {
            index
        } else {
            match self.next[index as usize] {
                END => 0,
                next => next + 1,
            }
        };
        Some(index)
    }

    fn cells_of(&self, index: u32) -> &[u32] {
        let width = self.slots.len();
        &self.cells[index as usize * width..][..width]
    }

    /// Tells whether a row goes with a left row: no variable is bound to two terms.
    pub(super) fn is_compatible(&self, index: u32, left: &[u32]) -> bool {
        let cells = self.cells_of(index);
        self.check_places.iter().all(|&place| {
            let (a, b) = (cells[place], left[self.slots[place]]);
            a == b || a == UNBOUND || b == UNBOUND
        })
    }

    /// Tells whether both rows bind a variable.
    pub(super) fn shares(&self, index: u32, left: &[u32]) -> bool {
        let cells = self.cells_of(index);
        !self.key_places.is_empty()
            || self
                .check_places
                .iter()
                .any(|&place| cells[place] != UNBOUND && left[self.slots[place]] != UNBOUND)
    }

    /// Puts what a row binds into a left row.
    pub(super) fn merge(&self, index: u32, left: &mut [u32]) {
        for (&slot, &cell) in self.slots.iter().zip(self.cells_of(index)) {
            if cell != UNBOUND {
                left[slot] = cell;
            }
        }
    }
}

/// Where a look-up in a table is: one more than the next row, or 0 at the end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor(u32);

/// The right side of a join, and its table once it was read.
pub(super) struct RightSide<'a> {
    pub(super) node: Node<'a>,
    pub(super) join: JoinSlots,
    pub(super) base: Base,
    seed: Rc<Batch>,
    table: Option<Rc<Table>>,
}

impl<'a> RightSide<'a> {
    pub(super) fn new(node: Node<'a>, join: JoinSlots, base: Base) -> Self {
        Self {
            node,
            join,
            base,
            seed: Rc::default(),
            table: None,
        }
    }

    pub(super) fn open(&mut self, seed: &Rc<Batch>) {
        if !self.base.is_fixed() || self.table.is_none() {
            self.table = None;
            self.seed = self.base.seed(seed);
        }
    }

    pub(super) fn table(&mut self, context: &Context<'a>) -> Result<Rc<Table>, SparqlError> {
        if let Some(table) = &self.table {
            return Ok(Rc::clone(table));
        }
        let table = Rc::new(Table::build(context, &mut self.node, &self.join, &self.seed)?);
        self.table = Some(Rc::clone(&table));
        Ok(table)
    }
}
