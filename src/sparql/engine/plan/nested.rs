//! Patterns in patterns: OPTIONAL, UNION, MINUS, EXISTS, LATERAL, GRAPH.

use oxigraph::model::Variable;
use spargebra::{
    algebra::{Expression as Algebra, GraphPattern},
    term::NamedNodePattern,
};

use super::{Input, Planner, conjuncts, scope};
use crate::sparql::{
    SparqlError,
    engine::{
        join::Kind,
        operator::{Node, Nothing},
        place::GraphPlace,
        seeded::{EachGraph, EachRow, Exists, Optional, Union, Verdict},
    },
};

impl<'a> Planner<'_, 'a> {
    pub(super) fn compile_graph(
        &mut self,
        name: &NamedNodePattern,
        inner: &GraphPattern,
        input: Input<'a>,
    ) -> Result<Input<'a>, SparqlError> {
        let outer = self.graph;
        let variable = match name {
            NamedNodePattern::NamedNode(name) => {
                let graph = self.context.snapshot.iri_id(name.as_str());
                let Some(graph) = graph.filter(|&graph| self.context.is_named_graph(graph)) else {
                    let variables = scope::variables(inner);
                    let slots: Vec<_> = variables.iter().map(|name| self.slot(name)).collect();
                    let mut input = input;
                    input.possible.extend(slots.iter().copied());
                    input.certain.extend(slots);
                    input.node = Node::new(Nothing, 0.0);
                    input.is_start = false;
                    return Ok(input);
                };
                self.graph = GraphPlace::Named(graph);
                let plan = self.compile(inner, input);
                self.graph = outer;
                return plan;
            }
            NamedNodePattern::Variable(variable) => variable,
        };
        let slot = self.slot(variable);
        if is_plain(inner, variable) {
            self.graph = GraphPlace::Slot(slot);
            let plan = self.compile(inner, input);
            self.graph = outer;
            return plan.map(|mut plan| {
                plan.possible.insert(slot);
                plan.certain.insert(slot);
                plan
            });
        }
        let for_exists = std::mem::take(&mut self.is_for_exists);
        let graph = self.hidden_slot("graph");
        self.graph = GraphPlace::Slot(graph);
        self.base.slots.push(graph);
        self.base.shared.push(graph);
        self.graph_slots.insert(graph);
        let mut seed = Self::seed_of(&input);
        seed.certain.insert(graph);
        seed.possible.insert(graph);
        let plan = self.compile(inner, seed);
        self.base.slots.pop();
        self.base.shared.pop();
        self.graph = outer;
        self.is_for_exists = for_exists;
        self.holds_rows();
        let mut plan = plan?;
        plan.possible.insert(slot);
        plan.certain.insert(slot);
        let estimate = plan.node.estimate();
        plan.node = Node::new(EachGraph::new(input.node, plan.node, graph, slot), estimate);
        plan.is_start = false;
        Ok(plan)
    }

    /// Plans the right side for one row of the left side after the other (SPARQL-dev SEP 0006).
    pub(super) fn compile_lateral(
        &mut self,
        left: &GraphPattern,
        right: &GraphPattern,
        input: Input<'a>,
    ) -> Result<Input<'a>, SparqlError> {
        let input = self.alone(left, input)?;
        let base = self.base.clone();
        self.base.slots = input.possible.iter().copied().collect();
        self.base.shared = input.certain.iter().copied().collect();
        let mut seed = Self::seed_of(&input);
        seed.is_start = true;
        let plan = self.alone(right, seed);
        self.base = base;
        self.holds_rows();
        let mut plan = plan?;
        plan.certain.extend(&input.certain);
        plan.possible.extend(&input.possible);
        let estimate = plan.node.estimate();
        plan.node = Node::new(EachRow::new(input.node, plan.node), estimate);
        Ok(plan)
    }

    pub(super) fn compile_minus(
        &mut self,
        left: &GraphPattern,
        right: &GraphPattern,
        input: Input<'a>,
    ) -> Result<Input<'a>, SparqlError> {
        let for_exists = std::mem::take(&mut self.is_for_exists);
        let input = self.compile(left, input)?;
        let on_left = scope::variables(left);
        let on_right = scope::variables(right);
        let outcome = if self.is_looked_up(left, right, &input) {
            self.anti_join(input, right)
        } else if on_right.iter().any(|name| on_left.contains(name)) {
            let start = self.start();
            let right = self.compile(right, start)?;
            Ok(self.joined(input, right, Kind::Minus))
        } else {
            Ok(input)
        };
        self.is_for_exists = for_exists;
        outcome
    }

    pub(super) fn compile_union(
        &mut self,
        pattern: &GraphPattern,
        input: Input<'a>,
    ) -> Result<Input<'a>, SparqlError> {
        let mut patterns = Vec::new();
        branches(pattern, &mut patterns);
        let mut plans = Vec::new();
        for pattern in patterns {
            let seed = Self::seed_of(&input);
            plans.push(self.compile(pattern, seed)?);
        }
        self.holds_rows();
        let estimate = plans.iter().map(|plan| plan.node.estimate()).sum();
        let mut certain = plans.first().map(|plan| plan.certain.clone()).unwrap_or_default();
        let mut possible = input.possible.clone();
        for plan in &plans {
            certain.retain(|slot| plan.certain.contains(slot));
            possible.extend(&plan.possible);
        }
        let plans = plans.into_iter().map(|plan| plan.node).collect();
        Ok(Input {
            node: Node::new(Union::new(input.node, plans), estimate),
            certain,
            possible,
            is_start: false,
        })
    }

    pub(super) fn compile_left_join<'p>(
        &mut self,
        left: &'p GraphPattern,
        right: &GraphPattern,
        condition: Option<&Algebra>,
        early: Vec<&'p Algebra>,
        input: Input<'a>,
    ) -> Result<Input<'a>, SparqlError> {
        let for_exists = std::mem::take(&mut self.is_for_exists);
        let input = if early.is_empty() {
            self.compile(left, input)?
        } else {
            self.compile_group(left, early, input)?
        };
        let seed = Self::seed_of(&input);
        let limit = self.limit.take();
        let mut plan = if self.is_seedable(right, &input) {
            self.compile(
                right,
                Input {
                    is_start: false,
                    ..seed
                },
            )?
        } else {
            self.compile_beside(
                right,
                Input {
                    is_start: false,
                    ..seed
                },
            )?
        };
        for condition in condition.into_iter().flat_map(conjuncts) {
            plan = self.filter(plan, condition)?;
        }
        self.limit = limit;
        self.is_for_exists = for_exists;
        self.holds_rows();
        let number = self.hidden_slot("row");
        let estimate = input.node.estimate().max(plan.node.estimate());
        let mut possible = plan.possible;
        possible.extend(&input.possible);
        Ok(Input {
            node: Node::new(Optional::new(input.node, plan.node, number), estimate),
            certain: input.certain,
            possible,
            is_start: false,
        })
    }

    /// Tells whether MINUS may look for a solution of its right side for each row of its left side: a variable that both
    /// bind for certain says that they share one, and nothing else comes between.
    fn is_looked_up(&self, left: &GraphPattern, right: &GraphPattern, input: &Input<'a>) -> bool {
        let (certain_left, certain_right) = (scope::certain(left), scope::certain(right));
        let outer = self.names_of(input);
        let variables = scope::variables(right);
        let mut shared = variables.iter().filter(|name| outer.contains(*name)).peekable();
        shared.peek().is_some()
            && shared.all(|name| certain_left.contains(name) && certain_right.contains(name))
            && scope::is_seedable(right, &outer, &scope::Names::default())
    }

    /// Keeps the rows for which a pattern has no solution.
    fn anti_join(&mut self, input: Input<'a>, pattern: &GraphPattern) -> Result<Input<'a>, SparqlError> {
        let substituted = std::mem::take(&mut self.substituted);
        let outcome = self.look_for(input, pattern, Verdict::Drop);
        self.substituted = substituted;
        outcome
    }

    /// Plans EXISTS on top of an input.
    pub(super) fn exists(
        &mut self,
        input: Input<'a>,
        pattern: &GraphPattern,
        verdict: Verdict,
    ) -> Result<Input<'a>, SparqlError> {
        let outer = std::mem::replace(&mut self.substituted, input.possible.clone());
        let plan = self.look_for(input, pattern, verdict);
        self.substituted = outer;
        plan
    }

    /// Looks for a solution of a pattern for each row.
    fn look_for(
        &mut self,
        input: Input<'a>,
        pattern: &GraphPattern,
        verdict: Verdict,
    ) -> Result<Input<'a>, SparqlError> {
        let mut seed = Self::seed_of(&input);
        seed.is_start = false;
        let limit = self.limit.take();
        let for_exists = std::mem::replace(&mut self.is_for_exists, true);
        let plan = self.compile(pattern, seed);
        self.is_for_exists = for_exists;
        self.limit = limit;
        let plan = plan?;
        self.holds_rows();
        let number = self.hidden_slot("row");
        let estimate = input.node.estimate();
        let mut input = input;
        if let Verdict::Write(slot) = verdict {
            self.makes_terms = true;
            input.certain.insert(slot);
            input.possible.insert(slot);
        }
        input.node = Node::new(Exists::new(input.node, plan.node, number, verdict), estimate);
        input.is_start = false;
        Ok(input)
    }
}

fn branches<'p>(pattern: &'p GraphPattern, found: &mut Vec<&'p GraphPattern>) {
    let mut waiting = vec![pattern];
    while let Some(pattern) = waiting.pop() {
        match pattern {
            GraphPattern::Union { left, right } => waiting.extend([&**right, &**left]),
            other => found.push(other),
        }
    }
}

fn is_plain(pattern: &GraphPattern, graph: &Variable) -> bool {
    match pattern {
        GraphPattern::Bgp { patterns } => !patterns.is_empty(),
        GraphPattern::Filter { expr, inner } => {
            !scope::of_expression(expr).contains(graph) && !scope::has_exists(expr) && is_plain(inner, graph)
        }
        GraphPattern::Join { left, right } | GraphPattern::Union { left, right } => {
            is_plain(left, graph) && is_plain(right, graph)
        }
        GraphPattern::LeftJoin {
            left,
            right,
            expression,
        } => {
            is_plain(left, graph)
                && is_plain(right, graph)
                && !scope::variables(right).contains(graph)
                && expression.as_ref().is_none_or(|expression| {
                    !scope::of_expression(expression).contains(graph) && !scope::has_exists(expression)
                })
        }
        _ => false,
    }
}
