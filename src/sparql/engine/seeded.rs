//! Operators that open another plan with the rows at hand: OPTIONAL, EXISTS, UNION, GRAPH.

use std::rc::Rc;

use super::{
    super::SparqlError,
    batch::{Batch, ROWS_MAX, Slot, UNBOUND, rows_below},
    context::Context,
    operator::{Description, Node, Operator},
    terms::Terms,
};
use crate::graph::TermId;

/// Rows on their way through another plan, told apart by a number in a slot of its own.
struct Numbered<'a> {
    plan: Node<'a>,
    slot: Slot,
    rows: Rc<Batch>,
    is_matched: Vec<bool>,
}

impl<'a> Numbered<'a> {
    fn new(plan: Node<'a>, slot: Slot) -> Self {
        Self {
            plan,
            slot,
            rows: Rc::default(),
            is_matched: Vec::new(),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a batch is small")]
    fn begin(&mut self, mut rows: Batch) {
        for (index, row) in rows.rows_mut().enumerate() {
            row[self.slot] = index as u32 + 1;
        }
        self.is_matched = vec![false; rows.len()];
        self.rows = Rc::new(rows);
        self.plan.open(&self.rows);
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        let batch = self.plan.next(context, wanted)?;
        for row in batch.iter().flat_map(Batch::rows) {
            if let Some(index) = (row[self.slot] as usize).checked_sub(1) {
                self.is_matched[index] = true;
            }
        }
        Ok(batch)
    }

    fn select(&self, matched: bool) -> Batch {
        let mut out = Batch::new(self.rows.width());
        for (row, _) in self
            .rows
            .rows()
            .zip(&self.is_matched)
            .filter(|&(_, &is)| is == matched)
        {
            out.push(row);
        }
        out
    }
}

/// OPTIONAL: continues each row by another plan, or leaves it as it is.
pub(super) struct Optional<'a> {
    input: Node<'a>,
    right: Numbered<'a>,
    is_running: bool,
}

impl<'a> Optional<'a> {
    pub(super) fn new(input: Node<'a>, right: Node<'a>, number: Slot) -> Self {
        Self {
            input,
            right: Numbered::new(right, number),
            is_running: false,
        }
    }
}

impl<'a> Operator<'a> for Optional<'a> {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.input.open(seed);
        self.is_running = false;
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        loop {
            if self.is_running {
                if let Some(batch) = self.right.next(context, wanted)? {
                    return Ok(Some(batch));
                }
                self.is_running = false;
                let unmatched = self.right.select(false);
                if !unmatched.is_empty() {
                    return Ok(Some(unmatched));
                }
            }
            let Some(rows) = self.input.next(context, rows_below(wanted))? else {
                return Ok(None);
            };
            self.right.begin(rows);
            self.is_running = true;
        }
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: "LeftJoin",
            detail: "the right side for each row".to_owned(),
            children: vec![&self.input, &self.right.plan],
        }
    }
}

/// What EXISTS does with a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// Keeps it if there is a solution.
    Keep,
    /// Keeps it if there is none.
    Drop,
    /// Writes a boolean into a slot.
    Write(Slot),
}

/// EXISTS: looks for a solution of another plan for each row.
pub(super) struct Exists<'a> {
    input: Node<'a>,
    right: Numbered<'a>,
    verdict: Verdict,
}

impl<'a> Exists<'a> {
    pub(super) fn new(input: Node<'a>, right: Node<'a>, number: Slot, verdict: Verdict) -> Self {
        Self {
            input,
            right: Numbered::new(right, number),
            verdict,
        }
    }
}

impl<'a> Operator<'a> for Exists<'a> {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.input.open(seed);
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        loop {
            let Some(rows) = self.input.next(context, rows_below(wanted))? else {
                return Ok(None);
            };
            self.right.begin(rows);
            while self.right.is_matched.contains(&false) && self.right.next(context, ROWS_MAX)?.is_some() {}
            let out = match self.verdict {
                Verdict::Keep => self.right.select(true),
                Verdict::Drop => self.right.select(false),
                Verdict::Write(slot) => {
                    let mut rows = Batch::clone(&self.right.rows);
                    for (row, &is_matched) in rows.rows_mut().zip(&self.right.is_matched) {
                        row[slot] = context.terms.boolean(is_matched)?;
                    }
                    rows
                }
            };
            if !out.is_empty() {
                return Ok(Some(out));
            }
        }
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: match self.verdict {
                Verdict::Keep => "Exists",
                Verdict::Drop => "NotExists",
                Verdict::Write(_) => "WriteExists",
            },
            detail: "for each row".to_owned(),
            children: vec![&self.input, &self.right.plan],
        }
    }
}

/// UNION: continues the rows by one plan after the other.
pub(super) struct Union<'a> {
    input: Node<'a>,
    branches: Vec<Node<'a>>,
    rows: Rc<Batch>,
    next_branch: usize,
}

impl<'a> Union<'a> {
    pub(super) fn new(input: Node<'a>, branches: Vec<Node<'a>>) -> Self {
        Self {
            input,
            next_branch: branches.len() + 1,
            branches,
            rows: Rc::default(),
        }
    }
}

impl<'a> Operator<'a> for Union<'a> {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.input.open(seed);
        self.next_branch = self.branches.len() + 1;
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        loop {
            // One more than the branch that runs.
            if let Some(branch) = self
                .next_branch
                .checked_sub(1)
                .and_then(|index| self.branches.get_mut(index))
            {
                if let Some(batch) = branch.next(context, wanted)? {
                    return Ok(Some(batch));
                }
            } else {
                let Some(rows) = self.input.next(context, ROWS_MAX)? else {
                    return Ok(None);
                };
                self.rows = Rc::new(rows);
                self.next_branch = 0;
            }
            context.tick()?;
            if let Some(branch) = self.branches.get_mut(self.next_branch) {
                branch.open(&self.rows);
            }
            self.next_branch += 1;
        }
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: "Union",
            detail: String::new(),
            children: std::iter::once(&self.input).chain(&self.branches).collect(),
        }
    }
}

/// GRAPH with a variable: runs a plan in one named graph after the other.
pub(super) struct EachGraph<'a> {
    input: Node<'a>,
    plan: Node<'a>,
    /// Where the plan finds its graph.
    graph: Slot,
    /// The variable.
    variable: Slot,
    rows: Batch,
    /// The graphs that are left for these rows.
    graphs: Vec<u32>,
    is_running: bool,
}

impl<'a> EachGraph<'a> {
    pub(super) fn new(input: Node<'a>, plan: Node<'a>, graph: Slot, variable: Slot) -> Self {
        Self {
            input,
            plan,
            graph,
            variable,
            rows: Batch::default(),
            graphs: Vec::new(),
            is_running: false,
        }
    }

    /// Opens the plan in the next graph; false if there is none.
    fn open_next(&mut self, context: &Context<'a>) -> Result<bool, SparqlError> {
        while let Some(graph) = self.graphs.pop() {
            context.tick()?;
            let mut rows = Batch::new(self.rows.width());
            for row in self.rows.rows() {
                if row[self.variable] == UNBOUND || row[self.variable] == graph {
                    rows.push(row)[self.graph] = graph;
                }
            }
            if !rows.is_empty() {
                self.plan.open(&Rc::new(rows));
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Binds the variable; rows that bound it to something else inside go.
    fn bind(&self, batch: &mut Batch) -> Result<(), SparqlError> {
        let (graph, variable) = (self.graph, self.variable);
        batch.retain(|row| Ok::<_, SparqlError>(row[variable] == UNBOUND || row[variable] == row[graph]))?;
        for row in batch.rows_mut() {
            row[variable] = row[graph];
        }
        Ok(())
    }
}

impl<'a> Operator<'a> for EachGraph<'a> {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.input.open(seed);
        self.graphs.clear();
        self.is_running = false;
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        loop {
            if self.is_running {
                if let Some(mut batch) = self.plan.next(context, wanted)? {
                    self.bind(&mut batch)?;
                    if !batch.is_empty() {
                        return Ok(Some(batch));
                    }
                    continue;
                }
                self.is_running = self.open_next(context)?;
                continue;
            }
            let Some(rows) = self.input.next(context, ROWS_MAX)? else {
                return Ok(None);
            };
            // Mostly the rows know their graphs already.
            self.graphs = if rows.rows().all(|row| row[self.variable] != UNBOUND) {
                let mut graphs: Vec<u32> = rows.rows().map(|row| row[self.variable]).collect();
                graphs.sort_unstable();
                graphs.dedup();
                graphs.retain(|&graph| Terms::known(graph).is_some_and(|id| context.is_named_graph(id)));
                graphs
            } else {
                context.named_graphs().into_iter().map(TermId::get).collect()
            };
            self.rows = rows;
            self.is_running = self.open_next(context)?;
        }
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: "Graph",
            detail: "one named graph after the other".to_owned(),
            children: vec![&self.input, &self.plan],
        }
    }
}

/// LATERAL: runs a plan for one row after the other.
pub(super) struct EachRow<'a> {
    input: Node<'a>,
    plan: Node<'a>,
    rows: Batch,
    at: usize,
    is_running: bool,
}

impl<'a> EachRow<'a> {
    pub(super) fn new(input: Node<'a>, plan: Node<'a>) -> Self {
        Self {
            input,
            plan,
            rows: Batch::default(),
            at: 0,
            is_running: false,
        }
    }
}

impl<'a> Operator<'a> for EachRow<'a> {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.input.open(seed);
        (self.rows, self.at, self.is_running) = (Batch::default(), 0, false);
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        loop {
            context.tick()?;
            if self.is_running {
                if let Some(batch) = self.plan.next(context, wanted)? {
                    return Ok(Some(batch));
                }
                self.is_running = false;
            }
            if self.at >= self.rows.len() {
                let Some(rows) = self.input.next(context, rows_below(wanted))? else {
                    return Ok(None);
                };
                (self.rows, self.at) = (rows, 0);
            }
            let mut row = Batch::new(self.rows.width());
            row.push(self.rows.row(self.at));
            self.at += 1;
            self.plan.open(&Rc::new(row));
            self.is_running = true;
        }
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: "Lateral",
            detail: "for each row".to_owned(),
            children: vec![&self.input, &self.plan],
        }
    }
}
