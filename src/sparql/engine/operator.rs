//! Operators: what a plan is made of.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use super::{
    super::{SparqlError, explain::PlanNode},
    batch::{Batch, Slot},
    context::Context,
};

/// A step of a plan, which makes rows.
///
/// An operator is opened with rows at its leaf, the seed: what it makes are continuations of these. It can be opened again.
pub(super) trait Operator<'a> {
    /// Starts afresh.
    fn open(&mut self, seed: &Rc<Batch>);

    /// Returns more rows, one at least and about as many as are wanted; `None` at the end.
    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError>;

    /// Returns its name, what it does, and what is below it.
    fn describe(&self) -> Description<'_, 'a>;
}

/// How an operator describes itself.
pub(super) struct Description<'o, 'a> {
    pub(super) operator: &'static str,
    pub(super) detail: String,
    pub(super) children: Vec<&'o Node<'a>>,
}

/// An operator in a plan, and what it came to.
pub(super) struct Node<'a> {
    operator: Box<dyn Operator<'a> + 'a>,
    /// Rows that the planner expects.
    estimate: f64,
    row_count: u64,
    /// If somebody wants to see it.
    elapsed: Option<Duration>,
    was_run: bool,
}

impl<'a> Node<'a> {
    pub(super) fn new(operator: impl Operator<'a> + 'a, estimate: f64) -> Self {
        Self {
            operator: Box::new(operator),
            estimate,
            row_count: 0,
            elapsed: None,
            was_run: false,
        }
    }

    pub(super) fn estimate(&self) -> f64 {
        self.estimate
    }

    pub(super) fn open(&mut self, seed: &Rc<Batch>) {
        self.operator.open(seed);
    }

    pub(super) fn next(
        &mut self,
        context: &Context<'a>,
        wanted: usize,
    ) -> Result<Option<Batch>, SparqlError> {
        self.was_run = true;
        let batch = if context.is_explained {
            let start = Instant::now();
            let batch = self.operator.next(context, wanted);
            *self.elapsed.get_or_insert_default() += start.elapsed();
            batch
        } else {
            self.operator.next(context, wanted)
        };
        if let Ok(Some(batch)) = &batch {
            self.row_count += batch.len() as u64;
        }
        batch
    }

    /// Describes the plan from here down.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate; the cast saturates"
    )]
    pub(super) fn explain(&self) -> PlanNode {
        let Description {
            operator,
            detail,
            children,
        } = self.operator.describe();
        PlanNode {
            operator: operator.to_owned(),
            detail,
            row_count_estimate: Some(self.estimate.ceil() as u64),
            row_count: self.was_run.then_some(self.row_count),
            elapsed: self.elapsed,
            children: children
                .into_iter()
                .map(Node::explain)
                .filter(|child| child.operator != SEED)
                .collect(),
        }
    }
}

/// The name of the leaf, which says nothing to a reader of a plan.
const SEED: &str = "Seed";

/// The leaf of a plan: gives back the rows that it was opened with.
pub(super) struct Seed {
    batch: Rc<Batch>,
    at: usize,
}

impl Seed {
    pub(super) fn new() -> Self {
        Self {
            batch: Rc::default(),
            at: 0,
        }
    }
}

impl<'a> Operator<'a> for Seed {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.batch = Rc::clone(seed);
        self.at = 0;
    }

    fn next(&mut self, _: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        let end = self.batch.len().min(self.at.saturating_add(wanted.max(1)));
        if self.at >= end {
            return Ok(None);
        }
        let mut batch = Batch::new(self.batch.width());
        for index in self.at..end {
            batch.push(self.batch.row(index));
        }
        self.at = end;
        Ok(Some(batch))
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: SEED,
            detail: String::new(),
            children: Vec::new(),
        }
    }
}

/// Makes nothing.
pub(super) struct Nothing;

impl<'a> Operator<'a> for Nothing {
    fn open(&mut self, _: &Rc<Batch>) {}

    fn next(&mut self, _: &Context<'a>, _: usize) -> Result<Option<Batch>, SparqlError> {
        Ok(None)
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: "Nothing",
            detail: String::new(),
            children: Vec::new(),
        }
    }
}

/// What a part of a plan starts from that is no continuation of the rows around it: nothing, or the graph that GRAPH is at.
#[derive(Clone, Debug, Default)]
pub(super) struct Base {
    /// Slots that are taken over from the rows around.
    pub(super) slots: Vec<Slot>,
    /// Those of them that every row binds, and that are no variables or the same on both sides of every join.
    pub(super) shared: Vec<Slot>,
}

impl Base {
    /// Returns the seed for a part that stands on its own.
    pub(super) fn seed(&self, seed: &Batch) -> Rc<Batch> {
        let mut base = Batch::unit(seed.width());
        if !seed.is_empty() {
            for &slot in &self.slots {
                base.row_mut(0)[slot] = seed.row(0)[slot];
            }
        }
        Rc::new(base)
    }

    /// Tells whether the part is the same each time.
    pub(super) fn is_fixed(&self) -> bool {
        self.slots.is_empty()
    }
}
