//! ORDER BY: keys once, and with LIMIT no more rows than it takes.

use std::{cmp::Ordering, rc::Rc};

use rustc_hash::FxHashMap;

use super::{
    super::{SparqlError, memory::Account},
    batch::{Batch, ROWS_MAX, rows_at_once},
    context::Context,
    expression::Expression,
    operator::{Base, Description, Node, Operator},
    value::Key,
};

/// Rows that are sorted at once, between two looks at the clock.
const RUN_LEN: usize = 2_048;
/// Rows that are gathered before the superfluous ones are thrown away, at least.
const GATHERED_COUNT_MIN: usize = 8_192;

/// One key of ORDER BY.
pub(super) struct SortKey<'a> {
    pub(super) expression: Expression<'a>,
    pub(super) is_descending: bool,
}

/// Sorts rows.
pub(super) struct Sort<'a> {
    input: Node<'a>,
    keys: Vec<SortKey<'a>>,
    /// How many rows are wanted at most.
    limit: Option<usize>,
    base: Base,
    sorted: Option<Sorted>,
}

struct Sorted {
    rows: Batch,
    order: Vec<u32>,
    at: usize,
    _account: Account,
}

/// Rows and their keys as term numbers.
struct Gathered {
    rows: Batch,
    keys: Vec<u32>,
    account: Account,
}

impl<'a> Sort<'a> {
    pub(super) fn new(input: Node<'a>, keys: Vec<SortKey<'a>>, limit: Option<usize>, base: Base) -> Self {
        Self {
            input,
            keys,
            limit,
            base,
            sorted: None,
        }
    }

    fn gather(&mut self, context: &Context<'a>) -> Result<Sorted, SparqlError> {
        let mut gathered = Gathered {
            rows: Batch::new(context.width.get()),
            keys: Vec::new(),
            account: context.budget.account(),
        };
        while let Some(batch) = self.input.next(context, ROWS_MAX)? {
            for row in batch.rows() {
                context.ticks(self.keys.len())?;
                for key in &self.keys {
                    gathered.keys.push(key.expression.value(context, row)?);
                }
                gathered.rows.push(row);
            }
            let cells = gathered.rows.len() * gathered.rows.width() + gathered.keys.len();
            // A vector that grows has twice what it holds, for a moment.
            gathered.account.set(2 * cells * size_of::<u32>())?;
            if let Some(limit) = self.limit
                && gathered.rows.len() >= limit.saturating_mul(2).max(GATHERED_COUNT_MIN)
            {
                let mut order = self.order(context, &gathered)?;
                order.truncate(limit);
                // As they came, so that equal ones stay in order.
                order.sort_unstable();
                gathered.keep(&order, self.keys.len());
            }
        }
        let mut order = self.order(context, &gathered)?;
        if let Some(limit) = self.limit {
            order.truncate(limit);
        }
        Ok(Sorted {
            rows: gathered.rows,
            order,
            at: 0,
            _account: gathered.account,
        })
    }

    /// Returns the numbers of the rows in order.
    #[expect(clippy::cast_possible_truncation, reason = "memory ends before 2^32 rows")]
    fn order(&self, context: &Context<'a>, gathered: &Gathered) -> Result<Vec<u32>, SparqlError> {
        let key_count = self.keys.len();
        let mut account = context.budget.account();
        account.set((gathered.keys.len() + 2 * gathered.rows.len()) * size_of::<u32>())?;
        let ranks = ranks(context, &gathered.keys, key_count)?;
        let mut order: Vec<u32> = (0..gathered.rows.len() as u32).collect();
        let ranks_of = |index: u32| &ranks[index as usize * key_count..][..key_count];
        sort(context, &mut order, key_count, |&a, &b| {
            for ((key, a), b) in self.keys.iter().zip(ranks_of(a)).zip(ranks_of(b)) {
                let order = a.cmp(b);
                if order.is_ne() {
                    return if key.is_descending { order.reverse() } else { order };
                }
            }
            a.cmp(&b)
        })?;
        Ok(order)
    }
}

impl Gathered {
    fn keep(&mut self, order: &[u32], key_count: usize) {
        let mut rows = Batch::new(self.rows.width());
        let mut keys = Vec::with_capacity(order.len() * key_count);
        for &index in order {
            rows.push(self.rows.row(index as usize));
            keys.extend_from_slice(&self.keys[index as usize * key_count..][..key_count]);
        }
        (self.rows, self.keys) = (rows, keys);
    }
}

/// Replaces terms by their ranks: each distinct term is decoded once.
#[expect(clippy::cast_possible_truncation, reason = "memory ends before 2^32 rows")]
fn ranks(context: &Context<'_>, numbers: &[u32], key_count: usize) -> Result<Vec<u32>, SparqlError> {
    let mut ranks = vec![0; numbers.len()];
    for column in 0..key_count {
        let mut account = context.budget.account();
        let mut places = FxHashMap::<u32, u32>::default();
        let mut keys = Vec::new();
        let mut key_bytes = 0;
        for &number in numbers.iter().skip(column).step_by(key_count) {
            context.tick()?;
            if let std::collections::hash_map::Entry::Vacant(place) = places.entry(number) {
                place.insert(keys.len() as u32);
                let key = Key::of(&context.terms, number)?;
                key_bytes += key.memory_bytes() + 16;
                keys.push(key);
                account.set(key_bytes)?;
            }
        }
        let mut order: Vec<u32> = (0..keys.len() as u32).collect();
        sort(context, &mut order, 1, |&a, &b| {
            keys[a as usize].cmp(&keys[b as usize])
        })?;
        let mut rank_of = vec![0; keys.len()];
        let mut rank = 0;
        for (position, &index) in order.iter().enumerate() {
            let is_equal = position > 0 && keys[order[position - 1] as usize] == keys[index as usize];
            rank += u32::from(!is_equal);
            rank_of[index as usize] = rank;
        }
        for (rank, number) in ranks.iter_mut().zip(numbers).skip(column).step_by(key_count) {
            *rank = rank_of[places[number] as usize];
        }
    }
    Ok(ranks)
}

/// Sorts by merging sorted runs, so that it can be interrupted; a comparison is so many ticks at most.
fn sort<T: Copy>(
    context: &Context<'_>,
    items: &mut Vec<T>,
    ticks: usize,
    compare: impl Fn(&T, &T) -> Ordering,
) -> Result<(), SparqlError> {
    let mut len = (RUN_LEN / ticks.max(1)).max(2);
    for run in items.chunks_mut(len) {
        context.ticks(run.len() * ticks)?;
        run.sort_by(&compare);
    }
    let mut merged = Vec::with_capacity(if items.len() > len { items.len() } else { 0 });
    while len < items.len() {
        merged.clear();
        for pair in items.chunks(2 * len) {
            let (mut left, mut right) = pair.split_at(len.min(pair.len()));
            while let (Some(a), Some(b)) = (left.first(), right.first()) {
                context.ticks(ticks)?;
                if compare(a, b).is_le() {
                    merged.push(*a);
                    left = &left[1..];
                } else {
                    merged.push(*b);
                    right = &right[1..];
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(items, &mut merged);
        len *= 2;
    }
    Ok(())
}

impl<'a> Operator<'a> for Sort<'a> {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.input.open(&self.base.seed(seed));
        self.sorted = None;
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        if self.sorted.is_none() {
            self.sorted = Some(self.gather(context)?);
        }
        let Some(sorted) = &mut self.sorted else {
            return Ok(None);
        };
        let end = sorted
            .order
            .len()
            .min(sorted.at + rows_at_once(wanted, sorted.rows.width()));
        context.ticks(end - sorted.at)?;
        let mut batch = Batch::new(sorted.rows.width());
        for &index in &sorted.order[sorted.at..end] {
            batch.push(sorted.rows.row(index as usize));
        }
        sorted.at = end;
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: if self.limit.is_some() { "TopSort" } else { "Sort" },
            detail: self
                .limit
                .map(|limit| format!("the first {limit}"))
                .unwrap_or_default(),
            children: vec![&self.input],
        }
    }
}
