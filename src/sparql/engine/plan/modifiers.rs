//! What is done with the solutions of a whole pattern: groups, order, slices.

use oxigraph::model::Variable;
use spargebra::{
    algebra::{AggregateExpression, AggregateFunction, Expression as Algebra, GraphPattern, OrderExpression},
    term::TermPattern,
};

use super::{
    Input, Planner, Slots,
    scope::{self, Names},
};
use crate::{
    graph,
    sparql::{
        SparqlError,
        engine::{
            group::{Aggregate, Function, Group},
            operator::Node,
            place::GraphPlace,
            simple::{Count, Slice},
            sort::{Sort, SortKey},
        },
    },
};

impl<'a> Planner<'_, 'a> {
    pub(super) fn compile_slice(
        &mut self,
        inner: &GraphPattern,
        start: usize,
        length: Option<usize>,
        input: Input<'a>,
    ) -> Result<Input<'a>, SparqlError> {
        let wanted = length.map(|length| start.saturating_add(length));
        let (limit, sort_limit) = (self.limit, self.sort_limit);
        if is_sort(inner) {
            self.sort_limit = wanted;
            self.limit = None;
        } else {
            self.limit = wanted;
        }
        let plan = self.alone(inner, input);
        (self.limit, self.sort_limit) = (limit, sort_limit);
        let mut plan = plan?;
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let estimate = wanted.map_or(plan.node.estimate(), |wanted| {
            plan.node.estimate().min(wanted as f64)
        });
        let slice = Slice {
            input: plan.node,
            start,
            length,
            base: self.base.clone(),
            passed: 0,
        };
        plan.node = Node::new(slice, estimate);
        Ok(plan)
    }

    pub(super) fn compile_order(
        &mut self,
        inner: &GraphPattern,
        keys: &[OrderExpression],
        input: Input<'a>,
    ) -> Result<Input<'a>, SparqlError> {
        let limit = self.sort_limit.take();
        let all = self.limit.take();
        let plan = self.alone(inner, input);
        self.limit = all;
        let mut plan = plan?;
        let mut sort_keys = Vec::new();
        for key in keys {
            let (expression, is_descending) = match key {
                OrderExpression::Asc(expression) => (expression, false),
                OrderExpression::Desc(expression) => (expression, true),
            };
            let (expression, on) = self.expression(plan, expression)?;
            plan = on;
            sort_keys.push(SortKey {
                expression,
                is_descending,
            });
        }
        self.holds_rows();
        let estimate = plan.node.estimate();
        plan.node = Node::new(
            Sort::new(plan.node, sort_keys, limit, self.base.clone()),
            estimate,
        );
        Ok(plan)
    }

    pub(super) fn compile_aggregates(
        &mut self,
        inner: &GraphPattern,
        keys: &[Variable],
        aggregates: &[(Variable, AggregateExpression)],
        input: Input<'a>,
    ) -> Result<Input<'a>, SparqlError> {
        self.makes_terms = true;
        if let Some(count) = self.count_of_index(inner, keys, aggregates)? {
            return Ok(count);
        }
        let limit = self.limit.take();
        let mut plan = self.alone(inner, input)?;
        // Blank nodes of a pattern are no part of a solution.
        let visible: Vec<_> = scope::variables(inner)
            .iter()
            .filter(|name| !name.as_str().starts_with("_:"))
            .map(|name| self.slot(name))
            .collect();
        let key_slots: Vec<_> = keys.iter().map(|name| self.slot(name)).collect();
        let mut compiled = Vec::new();
        for (variable, aggregate) in aggregates {
            let (function, expression, is_distinct) = match aggregate {
                AggregateExpression::CountSolutions { distinct } => (Function::Count, None, *distinct),
                AggregateExpression::FunctionCall { name, expr, distinct } => {
                    (function(name)?, Some(expr), *distinct)
                }
            };
            let expression = match expression {
                None => None,
                Some(expression) => {
                    let (expression, on) = self.expression(plan, expression)?;
                    plan = on;
                    Some(expression)
                }
            };
            compiled.push(Aggregate {
                slot: self.slot(variable),
                function,
                expression,
                is_distinct,
            });
        }
        self.holds_rows();
        self.limit = limit;
        let estimate = if keys.is_empty() {
            1.0
        } else {
            plan.node.estimate().sqrt()
        };
        let certain: Slots = key_slots
            .iter()
            .copied()
            .filter(|slot| plan.certain.contains(slot))
            .chain(self.base.slots.iter().copied())
            .collect();
        let mut possible: Slots = key_slots.iter().copied().collect();
        possible.extend(compiled.iter().map(|aggregate| aggregate.slot));
        possible.extend(self.base.slots.iter().copied());
        let group = Group::new(plan.node, key_slots, compiled, visible, self.base.clone());
        Ok(Input {
            node: Node::new(group, estimate),
            certain,
            possible,
            is_start: false,
        })
    }

    /// Counts one pattern from the index, if that is all that is asked for.
    fn count_of_index(
        &mut self,
        inner: &GraphPattern,
        keys: &[Variable],
        aggregates: &[(Variable, AggregateExpression)],
    ) -> Result<Option<Input<'a>>, SparqlError> {
        let GraphPattern::Bgp { patterns } = inner else {
            return Ok(None);
        };
        let [triple] = patterns.as_slice() else {
            return Ok(None);
        };
        let mut mentioned = Vec::new();
        scope::each_of_triple(triple, &mut |name| mentioned.push(name));
        let names: Names = mentioned.iter().cloned().collect();
        let has_triple_term = matches!(triple.subject, TermPattern::Triple(_))
            || matches!(triple.object, TermPattern::Triple(_));
        let is_count = |aggregate: &AggregateExpression| match aggregate {
            AggregateExpression::CountSolutions { distinct } => !distinct,
            AggregateExpression::FunctionCall {
                name: AggregateFunction::Count,
                expr: Algebra::Variable(variable),
                distinct: false,
            } => names.contains(variable),
            AggregateExpression::FunctionCall { .. } => false,
        };
        let is_plain = keys.is_empty()
            && !aggregates.is_empty()
            && names.len() == mentioned.len()
            && !has_triple_term
            && aggregates.iter().all(|(_, aggregate)| is_count(aggregate));
        if !is_plain {
            return Ok(None);
        }
        let graph = match self.graph {
            GraphPlace::Default => graph::GraphPattern::Default,
            GraphPlace::Named(graph) => graph::GraphPattern::Named(graph),
            GraphPlace::Slot(slot) if self.base.slots.contains(&slot) => graph::GraphPattern::Any,
            GraphPlace::Slot(_) => return Ok(None),
        };
        if !self.context.counts_exactly(graph) {
            return Ok(None);
        }
        let places = self.quad_places(triple)?;
        let slots: Vec<_> = aggregates.iter().map(|(name, _)| self.slot(name)).collect();
        let mut possible: Slots = slots.iter().copied().collect();
        possible.extend(self.base.slots.iter().copied());
        let count = Count::new(
            places,
            slots,
            self.detail(|shown| shown.triple(triple).to_string()),
            self.base.clone(),
        );
        Ok(Some(Input {
            node: Node::new(count, 1.0),
            certain: possible.clone(),
            possible,
            is_start: false,
        }))
    }
}

fn function(name: &AggregateFunction) -> Result<Function, SparqlError> {
    Ok(match name {
        AggregateFunction::Count => Function::Count,
        AggregateFunction::Sum => Function::Sum,
        AggregateFunction::Avg => Function::Avg,
        AggregateFunction::Min => Function::Min,
        AggregateFunction::Max => Function::Max,
        AggregateFunction::Sample => Function::Sample,
        AggregateFunction::GroupConcat { separator } => {
            Function::GroupConcat(separator.clone().unwrap_or_else(|| " ".to_owned()))
        }
        AggregateFunction::Custom(name) => {
            return Err(SparqlError::Unsupported(format!("the aggregate function {name}")));
        }
    })
}

fn is_sort(pattern: &GraphPattern) -> bool {
    match pattern {
        GraphPattern::OrderBy { .. } => true,
        GraphPattern::Project { inner, .. } => is_sort(inner),
        _ => false,
    }
}
