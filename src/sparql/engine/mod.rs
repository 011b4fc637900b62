//! The engine: plans and operators on term numbers.
//!
//! Oxigraph's crates parse queries and compute expressions; joins, paths, groups, sorts and everything else that may take
//! long or much memory is here, where each row that is made looks at the clock and each row that is kept is accounted for.
//!
//! A [`plan::Planner`] makes operators of the algebra. Rows go through them in [`batch::Batch`]es of term numbers; what a
//! query makes itself has numbers too ([`terms::Terms`]). The deadline, the memory and the graphs that a query may see are in
//! the [`context::Context`], which no operator can do without.

mod algebra;
mod answers;
mod batch;
mod changes;
mod context;
mod expression;
mod functions;
mod group;
mod join;
mod operator;
mod path;
mod pipe;
mod place;
mod plan;
mod row_set;
mod scan;
mod seeded;
mod service;
mod simple;
mod sort;
mod table;
mod template;
mod terms;
#[cfg(test)]
mod tests;
mod value;

use std::{rc::Rc, time::Instant};

use oxigraph::model::{NamedNode, Quad, Triple, Variable};
use oxiri::Iri;
use rustc_hash::FxHashSet;
use spargebra::{Query as Parsed, algebra::GraphPattern, term::TriplePattern};

use super::{
    Interrupt, Parameters, SparqlError,
    explain::PlanNode,
    run::{Limited, QueryForm, Row, Sink},
    slow::Watch,
};
use crate::{
    graph::{GraphPattern as Graph, Pattern, Snapshot, TermId},
    remote::RemoteSettings,
};
pub(super) use answers::Answers;
use batch::{Batch, ROWS_MAX, Slot};
pub(super) use changes::Change;
use context::{Context, Graphs};
use operator::Node;
use plan::{Planner, scope};
use row_set::RowSet;
use template::{Nodes, Template};
use terms::Terms;
pub(super) use terms::made_term;

/// Rows of the first batch: the first row should not wait for many others.
const FIRST_ROWS: usize = 64;
/// Terms that CONSTRUCT makes before it forgets them, and what it has sent.
const MADE_TERM_COUNT_MAX: usize = 1 << 16;
/// Triples that CONSTRUCT remembers, not to send them again by the same part of the template.
const SENT_TRIPLE_COUNT_MAX: usize = 1 << 20;

/// What a query sees and how it is run.
pub(super) struct Run<'r> {
    pub(super) snapshot: &'r Snapshot,
    pub(super) default_graphs: Option<&'r [NamedNode]>,
    pub(super) named_graphs: Option<&'r [NamedNode]>,
    pub(super) interrupt: &'r Interrupt,
    /// What SERVICE may ask.
    pub(super) remote: &'r RemoteSettings,
    /// What SERVICE came to, if all was asked before.
    pub(super) answers: Option<&'r Answers>,
    /// Ends the result after this many rows or triples, unless the limit of the interrupt is lower: that is an error.
    pub(super) row_count_max: u64,
    /// The plan is for somebody to see: operators say what they work on, and are timed.
    pub(super) is_explained: bool,
    /// Keeps the plan of what turns out slow.
    pub(super) watch: Option<Watch<'r>>,
}

/// What a run came to.
pub(super) struct Outcome {
    /// Rows or triples; 1 for ASK.
    pub(super) row_count: u64,
    /// The row limit ended it.
    pub(super) is_limited: bool,
    /// The plan, if it is explained.
    pub(super) plan: Option<PlanNode>,
    pub(super) planned_at: Instant,
}

impl Run<'_> {
    fn context(&self) -> Context<'_> {
        self.context_of(self.interrupt.clone(), self.is_explained)
    }

    fn context_of(&self, interrupt: Interrupt, is_explained: bool) -> Context<'_> {
        let graphs = Graphs::new(self.snapshot, self.default_graphs, self.named_graphs);
        let mut context = Context::new(self.snapshot, graphs, interrupt, self.remote, is_explained);
        context.answers = self.answers;
        context
    }

    /// Plans a query without running it.
    pub(super) fn explain(&self, query: &Parsed) -> Result<PlanNode, SparqlError> {
        let (pattern, base_iri) = parts(query);
        explained(&self.context(), pattern, base_iri, self.limit(query), None)
    }

    /// Returns how many rows are wanted of a query's pattern.
    fn limit(&self, query: &Parsed) -> Option<usize> {
        match query {
            Parsed::Ask { .. } => Some(1),
            Parsed::Select { .. } => usize::try_from(self.row_count_max)
                .ok()
                .filter(|&limit| limit < usize::MAX),
            Parsed::Construct { .. } | Parsed::Describe { .. } => None,
        }
    }

    /// Returns how a pattern ran, if that was slow.
    fn slow_plan(&self, rows: &Rows<'_, '_>) -> Option<PlanNode> {
        let watch = self.watch.as_ref()?;
        watch.is_slow().then(|| rows.root.explain())
    }

    /// Keeps the plan of a pattern that was slow. Its rows are gone by now, and so is its memory.
    fn keep_plan(
        &self,
        ran: Option<&PlanNode>,
        pattern: &GraphPattern,
        base_iri: Option<&Iri<String>>,
        limit: Option<usize>,
    ) {
        if let (Some(watch), Some(ran)) = (&self.watch, ran) {
            watch.keep(ran, |deadline, hidden| {
                let context = self.context_of(self.interrupt.afresh(deadline), true);
                explained(&context, pattern, base_iri.cloned(), limit, hidden)
            });
        }
    }

    /// Plans and runs a query.
    pub(super) fn run(&self, query: &Parsed, sink: &mut dyn Sink) -> Result<Outcome, SparqlError> {
        let mut slow = None;
        let sink = &mut Limited::new(sink, self.interrupt.limits().row_count_max);
        let outcome = self.run_once(query, sink, &mut slow);
        let (pattern, base_iri) = parts(query);
        self.keep_plan(slow.as_ref(), pattern, base_iri.as_ref(), self.limit(query));
        outcome
    }

    fn run_once(
        &self,
        query: &Parsed,
        sink: &mut dyn Sink,
        slow: &mut Option<PlanNode>,
    ) -> Result<Outcome, SparqlError> {
        let context = self.context();
        let (pattern, base_iri) = parts(query);
        let mut planner = Planner::new(&context, base_iri);
        planner.limit = self.limit(query);
        let plan = tracing::trace_span!("plan").in_scope(|| planner.plan(pattern))?;
        let mut rows = Rows::new(&context, plan.node);
        let planned_at = Instant::now();
        let running = tracing::trace_span!("run").entered();
        let outcome = match query {
            Parsed::Select { .. } => self.select(&context, &planner, pattern, &mut rows, sink),
            Parsed::Ask { .. } => ask(&mut rows, sink),
            Parsed::Construct { template, .. } => {
                self.construct(&context, &planner, template, &mut rows, sink)
            }
            Parsed::Describe { .. } => self.describe(&context, &planner, pattern, &mut rows, sink),
        };
        drop(running);
        *slow = self.slow_plan(&rows);
        let (row_count, is_limited) = outcome?;
        Ok(Outcome {
            row_count,
            is_limited,
            plan: self.is_explained.then(|| rows.root.explain()),
            planned_at,
        })
    }

    fn select(
        &self,
        context: &Context<'_>,
        planner: &Planner<'_, '_>,
        pattern: &GraphPattern,
        rows: &mut Rows<'_, '_>,
        sink: &mut dyn Sink,
    ) -> Result<(u64, bool), SparqlError> {
        let variables = selected(pattern);
        let names: Vec<_> = variables.iter().map(Variable::as_str).collect();
        let columns: Vec<_> = variables
            .iter()
            .map(|variable| planner.known_slot(variable))
            .collect();
        sink.header(QueryForm::Select, &names)?;
        let made_count = context.terms.made_count();
        let mut row_count = 0;
        while row_count < self.row_count_max {
            let wanted = usize::try_from(self.row_count_max - row_count).unwrap_or(usize::MAX);
            let Some(batch) = rows.next(wanted)? else {
                return Ok((row_count, false));
            };
            {
                let made = context.terms.made();
                for cells in batch.rows() {
                    if row_count >= self.row_count_max {
                        return Ok((row_count, true));
                    }
                    sink.row(Row::new(context.snapshot, made.as_slice(), cells, &columns))?;
                    row_count += 1;
                }
            }
            if planner.is_streaming() {
                context.terms.forget(made_count);
            }
        }
        Ok((row_count, true))
    }

    fn construct(
        &self,
        context: &Context<'_>,
        planner: &Planner<'_, '_>,
        template: &[TriplePattern],
        rows: &mut Rows<'_, '_>,
        sink: &mut dyn Sink,
    ) -> Result<(u64, bool), SparqlError> {
        let mut nodes = Nodes::default();
        let templates: Vec<_> = template
            .iter()
            .map(|triple| Template::of_triple(planner, triple, &mut nodes))
            .collect();
        sink.header(QueryForm::Construct, &[])?;
        let made_count = context.terms.made_count();
        let sent_set = || RowSet::new(4, &context.budget);
        let mut sent = sent_set();
        let mut triple_count = 0;
        while let Some(batch) = rows.next(ROWS_MAX)? {
            for row in batch.rows() {
                nodes.begin();
                for (number, template) in (0..).zip(&templates) {
                    context.tick()?;
                    if template.is_plain() {
                        if sent.len() >= SENT_TRIPLE_COUNT_MAX {
                            sent = sent_set();
                        }
                        let key = std::iter::once(number).chain(template.numbers(row));
                        if !sent.insert(key)?.1 {
                            continue;
                        }
                    }
                    let Some(triple) = template.triple(&context.terms, row, &mut nodes) else {
                        continue;
                    };
                    if triple_count >= self.row_count_max {
                        return Ok((triple_count, true));
                    }
                    sink.triple(&triple)?;
                    triple_count += 1;
                }
            }
            if planner.is_streaming() && context.terms.made_count() > made_count + MADE_TERM_COUNT_MAX {
                sent = sent_set();
                context.terms.forget(made_count);
            }
        }
        Ok((triple_count, false))
    }

    /// Describes resources: the triples about them in the default graph, and about blank nodes in these.
    fn describe(
        &self,
        context: &Context<'_>,
        planner: &Planner<'_, '_>,
        pattern: &GraphPattern,
        rows: &mut Rows<'_, '_>,
        sink: &mut dyn Sink,
    ) -> Result<(u64, bool), SparqlError> {
        let slots: Vec<Slot> = selected(pattern)
            .iter()
            .filter_map(|variable| planner.known_slot(variable))
            .collect();
        sink.header(QueryForm::Describe, &[])?;
        let mut account = context.budget.account();
        let mut described = FxHashSet::<TermId>::default();
        let mut waiting = Vec::new();
        let mut triple_count = 0;
        while let Some(batch) = rows.next(ROWS_MAX)? {
            for row in batch.rows() {
                waiting.extend(slots.iter().filter_map(|&slot| Terms::known(row[slot])));
                while let Some(subject) = waiting.pop() {
                    context.tick()?;
                    if !described.insert(subject) {
                        continue;
                    }
                    account.set((described.capacity() + waiting.capacity()) * 2 * size_of::<TermId>())?;
                    let pattern = Pattern {
                        subject: Some(subject),
                        predicate: None,
                        object: None,
                        graph: Graph::Default,
                    };
                    for quad in context.quads(pattern) {
                        context.tick()?;
                        let Quad {
                            subject,
                            predicate,
                            object,
                            ..
                        } = context.snapshot.quad(quad);
                        if object.is_blank_node() {
                            waiting.push(quad.object);
                        }
                        if triple_count >= self.row_count_max {
                            return Ok((triple_count, true));
                        }
                        sink.triple(&Triple {
                            subject,
                            predicate,
                            object,
                        })?;
                        triple_count += 1;
                    }
                }
            }
        }
        Ok((triple_count, false))
    }
}

/// Plans a pattern to be looked at.
fn explained(
    context: &Context<'_>,
    pattern: &GraphPattern,
    base_iri: Option<Iri<String>>,
    limit: Option<usize>,
    hidden: Option<&Parameters>,
) -> Result<PlanNode, SparqlError> {
    let mut planner = Planner::new(context, base_iri);
    (planner.limit, planner.hidden) = (limit, hidden);
    Ok(planner.plan(pattern)?.node.explain())
}

fn ask(rows: &mut Rows<'_, '_>, sink: &mut dyn Sink) -> Result<(u64, bool), SparqlError> {
    let answer = rows.next(1)?.is_some();
    sink.header(QueryForm::Ask, &[])?;
    sink.boolean(answer)?;
    Ok((1, false))
}

/// The rows of a plan.
struct Rows<'c, 'a> {
    context: &'c Context<'a>,
    root: Node<'a>,
    at_once: usize,
}

impl<'c, 'a> Rows<'c, 'a> {
    fn new(context: &'c Context<'a>, mut root: Node<'a>) -> Self {
        root.open(&Rc::new(Batch::unit(context.width.get())));
        Self {
            context,
            root,
            at_once: FIRST_ROWS,
        }
    }

    fn next(&mut self, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        let at_once = self.at_once;
        self.at_once = (2 * at_once).min(ROWS_MAX);
        let batch = self.root.next(self.context, wanted.min(at_once))?;
        self.context.check()?;
        Ok(batch)
    }
}

fn parts(query: &Parsed) -> (&GraphPattern, Option<Iri<String>>) {
    match query {
        Parsed::Select {
            pattern, base_iri, ..
        }
        | Parsed::Construct {
            pattern, base_iri, ..
        }
        | Parsed::Describe {
            pattern, base_iri, ..
        }
        | Parsed::Ask {
            pattern, base_iri, ..
        } => (pattern, base_iri.clone()),
    }
}

/// Returns the variables of a SELECT, in order.
fn selected(pattern: &GraphPattern) -> Vec<Variable> {
    match pattern {
        GraphPattern::Project { variables, .. } => variables.clone(),
        GraphPattern::Slice { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner }
        | GraphPattern::OrderBy { inner, .. } => selected(inner),
        other => {
            let mut variables: Vec<_> = scope::variables(other)
                .into_iter()
                .filter(|variable| !variable.as_str().starts_with("_:"))
                .collect();
            variables.sort_unstable();
            variables
        }
    }
}
