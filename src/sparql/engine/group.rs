//! GROUP BY and aggregates (SPARQL 1.1 Query, section 18.5).

use std::rc::Rc;

use oxigraph::model::{Literal, Term};
use rustc_hash::FxHashSet;

use super::{
    super::{SparqlError, memory::Account},
    batch::{Batch, ROWS_MAX, Slot, UNBOUND, rows_at_once},
    context::Context,
    expression::Expression,
    operator::{Base, Description, Node, Operator},
    row_set::RowSet,
    terms::View,
    value::{Key, Number},
};

/// An aggregate function.
#[derive(Clone, Debug)]
pub(super) enum Function {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    Sample,
    GroupConcat(String),
}

/// An aggregate and where its value goes.
pub(super) struct Aggregate<'a> {
    pub(super) slot: Slot,
    pub(super) function: Function,
    /// `None`: the solutions themselves, COUNT(*).
    pub(super) expression: Option<Expression<'a>>,
    pub(super) is_distinct: bool,
}

impl Aggregate<'_> {
    /// Tells whether it keeps numbers of terms that its expression makes.
    fn holds_terms(&self) -> bool {
        self.is_distinct || matches!(self.function, Function::Min | Function::Max | Function::Sample)
    }
}

/// Groups rows by slots.
pub(super) struct Group<'a> {
    input: Node<'a>,
    keys: Vec<Slot>,
    aggregates: Vec<Aggregate<'a>>,
    /// The slots that tell solutions apart.
    visible: Vec<Slot>,
    base: Base,
    seed: Rc<Batch>,
    groups: Option<Groups>,
    at: usize,
}

struct Groups {
    keys: RowSet,
    /// For each group as many as there are aggregates.
    accumulators: Vec<Accumulator>,
    text_bytes: usize,
    account: Account,
}

enum Accumulator {
    Count(i64),
    /// `None` after an error.
    Sum(Option<Number>),
    Avg(Option<Number>, i64),
    Extreme(Option<(Key, u32)>),
    Sample(u32),
    Concat(Option<String>),
    /// An element was an error.
    Failed,
}

impl<'a> Group<'a> {
    pub(super) fn new(
        input: Node<'a>,
        keys: Vec<Slot>,
        aggregates: Vec<Aggregate<'a>>,
        visible: Vec<Slot>,
        base: Base,
    ) -> Self {
        Self {
            input,
            keys,
            aggregates,
            visible,
            base,
            seed: Rc::default(),
            groups: None,
            at: 0,
        }
    }

    fn gather(&mut self, context: &Context<'a>) -> Result<Groups, SparqlError> {
        let mut groups = Groups {
            keys: RowSet::new(self.keys.len(), &context.budget),
            accumulators: Vec::new(),
            text_bytes: 0,
            account: context.budget.account(),
        };
        let mut seen: Vec<_> = self
            .aggregates
            .iter()
            .map(|aggregate| Seen::new(aggregate, &self.visible, context))
            .collect();
        let begin = |groups: &mut Groups| {
            groups.accumulators.extend(
                self.aggregates
                    .iter()
                    .map(|aggregate| Accumulator::new(&aggregate.function)),
            );
        };
        if self.keys.is_empty() {
            groups.keys.insert(std::iter::empty())?;
            begin(&mut groups);
        }
        let ticks = 1 + groups.keys.ticks();
        let holds_terms = self.aggregates.iter().any(Aggregate::holds_terms);
        while let Some(batch) = self.input.next(context, ROWS_MAX)? {
            let fetched = context.terms.made_count();
            for row in batch.rows() {
                context.ticks(ticks)?;
                let (group, is_new) = groups.keys.insert(self.keys.iter().map(|&slot| row[slot]))?;
                if is_new {
                    begin(&mut groups);
                }
                for (index, (aggregate, seen)) in self.aggregates.iter().zip(&mut seen).enumerate() {
                    let place = group as usize * self.aggregates.len() + index;
                    groups.add(context, aggregate, seen, place, group, row)?;
                }
            }
            let bytes = groups.memory_bytes();
            groups.account.set(bytes)?;
            if !holds_terms {
                context.terms.forget(fetched);
            }
        }
        Ok(groups)
    }
}

/// The elements that a DISTINCT aggregate has met.
enum Seen {
    All,
    Terms(FxHashSet<(u32, u32)>, Account),
    Rows(Vec<Slot>, RowSet),
}

impl Seen {
    fn new(aggregate: &Aggregate<'_>, visible: &[Slot], context: &Context<'_>) -> Self {
        match (aggregate.is_distinct, &aggregate.expression) {
            (false, _) => Self::All,
            (true, Some(_)) => Self::Terms(FxHashSet::default(), context.budget.account()),
            (true, None) => Self::Rows(visible.to_vec(), RowSet::new(visible.len() + 1, &context.budget)),
        }
    }

    fn is_new(
        &mut self,
        context: &Context<'_>,
        group: u32,
        value: u32,
        row: &[u32],
    ) -> Result<bool, SparqlError> {
        match self {
            Self::All => Ok(true),
            Self::Terms(terms, account) => {
                let is_new = terms.insert((group, value));
                account.set(terms.capacity() * size_of::<(u32, u32, u8)>())?;
                Ok(is_new)
            }
            Self::Rows(slots, rows) => {
                context.ticks(rows.ticks())?;
                let cells = std::iter::once(group).chain(slots.iter().map(|&slot| row[slot]));
                Ok(rows.insert(cells)?.1)
            }
        }
    }
}

impl Groups {
    fn add(
        &mut self,
        context: &Context<'_>,
        aggregate: &Aggregate<'_>,
        seen: &mut Seen,
        place: usize,
        group: u32,
        row: &[u32],
    ) -> Result<(), SparqlError> {
        let value = match &aggregate.expression {
            None => UNBOUND,
            Some(expression) => {
                let value = expression.value(context, row)?;
                if value == UNBOUND {
                    // COUNT and SAMPLE leave errors out; other aggregates of them are errors.
                    if !matches!(aggregate.function, Function::Count | Function::Sample) {
                        self.accumulators[place] = Accumulator::Failed;
                    }
                    return Ok(());
                }
                value
            }
        };
        if !seen.is_new(context, group, value, row)? {
            return Ok(());
        }
        let grown = self.accumulators[place].add(context, &aggregate.function, value)?;
        if grown > 0 {
            self.text_bytes += grown;
            self.account.set(self.memory_bytes())?;
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.accumulators.capacity() * size_of::<Accumulator>() + 2 * self.text_bytes
    }
}

impl Accumulator {
    fn new(function: &Function) -> Self {
        let zero = || Some(Number::Integer(0.into()));
        match function {
            Function::Count => Self::Count(0),
            Function::Sum => Self::Sum(zero()),
            Function::Avg => Self::Avg(zero(), 0),
            Function::Min | Function::Max => Self::Extreme(None),
            Function::Sample => Self::Sample(UNBOUND),
            Function::GroupConcat(_) => Self::Concat(None),
        }
    }

    /// Adds an element; returns the bytes by which it has grown.
    fn add(&mut self, context: &Context<'_>, function: &Function, value: u32) -> Result<usize, SparqlError> {
        let number = || context.terms.with(value, Number::of);
        match self {
            Self::Count(count) => *count += 1,
            Self::Sum(sum) => *sum = sum.and_then(|sum| sum.plus(number()?)),
            Self::Avg(sum, count) => {
                *sum = sum.and_then(|sum| sum.plus(number()?));
                *count += 1;
            }
            Self::Extreme(Some((_, best))) if *best == value => {}
            Self::Extreme(best) => {
                let key = Key::of(&context.terms, value)?;
                let is_better = best.as_ref().is_none_or(|(best, _)| match function {
                    Function::Min => key < *best,
                    _ => key > *best,
                });
                if is_better {
                    let before = best.as_ref().map_or(0, |(key, _)| key.memory_bytes());
                    let grown = key.memory_bytes().saturating_sub(before);
                    *best = Some((key, value));
                    return Ok(grown);
                }
            }
            Self::Sample(sample) => {
                if *sample == UNBOUND {
                    *sample = value;
                }
            }
            Self::Concat(text) => {
                let Function::GroupConcat(separator) = function else {
                    return Ok(0);
                };
                let grown = context.terms.with(value, |view| concat(text, separator, view));
                let Some(grown) = grown else {
                    *self = Self::Failed;
                    return Ok(0);
                };
                let bytes_max = context.interrupt.limits().values.literal_bytes_max;
                if text.as_ref().is_some_and(|text| text.len() > bytes_max) {
                    return Err(SparqlError::ValueTooLarge {
                        limit: "literal_bytes_max",
                        limit_value: bytes_max as u64,
                    });
                }
                return Ok(grown);
            }
            Self::Failed => {}
        }
        Ok(0)
    }

    fn finish(&self, context: &Context<'_>) -> Result<u32, SparqlError> {
        let term: Option<Term> = match self {
            Self::Count(count) => Some(Literal::from(*count).into()),
            Self::Sum(sum) | Self::Avg(sum, 0) => sum.map(Number::to_term),
            Self::Avg(sum, count) => sum.and_then(|sum| sum.over(*count)).map(Number::to_term),
            Self::Extreme(best) => return Ok(best.as_ref().map_or(UNBOUND, |(_, value)| *value)),
            Self::Sample(sample) => return Ok(*sample),
            Self::Concat(text) => {
                Some(Literal::new_simple_literal(text.as_deref().unwrap_or_default()).into())
            }
            Self::Failed => None,
        };
        term.map_or(Ok(UNBOUND), |term| context.terms.intern(term))
    }
}

/// Appends an element; `None` if it has no text.
fn concat(text: &mut Option<String>, separator: &str, view: View<'_>) -> Option<usize> {
    let more = view.text()?;
    match text {
        None => {
            *text = Some(more.to_owned());
            Some(more.len())
        }
        Some(text) => {
            text.push_str(separator);
            text.push_str(more);
            Some(separator.len() + more.len())
        }
    }
}

impl<'a> Operator<'a> for Group<'a> {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.seed = self.base.seed(seed);
        self.input.open(&self.seed);
        self.groups = None;
        self.at = 0;
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        if self.groups.is_none() {
            self.groups = Some(self.gather(context)?);
        }
        let Some(groups) = &self.groups else {
            return Ok(None);
        };
        let width = self.seed.width();
        let end = groups.keys.len().min(self.at + rows_at_once(wanted, width));
        let mut batch = Batch::new(width);
        for group in self.at..end {
            context.tick()?;
            let row = batch.push(self.seed.row(0));
            for (&slot, &cell) in self.keys.iter().zip(groups.keys.row(group)) {
                row[slot] = cell;
            }
            let accumulators = &groups.accumulators[group * self.aggregates.len()..];
            for (aggregate, accumulator) in self.aggregates.iter().zip(accumulators) {
                row[aggregate.slot] = accumulator.finish(context)?;
            }
        }
        self.at = end;
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: "Group",
            detail: format!("{} keys, {} aggregates", self.keys.len(), self.aggregates.len()),
            children: vec![&self.input],
        }
    }
}
