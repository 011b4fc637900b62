//! From algebra to operators.
//!
//! A pattern is put on top of an input, whose rows it continues: that is how joins, OPTIONAL and EXISTS look things up row
//! by row. A pattern that must not see the rows before it ([`is_seedable`](scope::is_seedable)) is planned alone and joined by
//! a table.

mod details;
mod estimate;
mod expressions;
mod federation;
mod join_order;
mod modifiers;
mod nested;
mod places;
pub(super) mod scope;

use oxigraph::model::Variable;
use oxiri::Iri;
use rustc_hash::{FxHashMap, FxHashSet};
use spargebra::{
    algebra::{Expression as Algebra, GraphPattern},
    term::NamedNodePattern,
};

use super::{
    super::{Parameters, SparqlError},
    batch::{Slot, UNBOUND},
    context::Context,
    expression::Expression,
    join::{HashJoin, Kind},
    operator::{Base, Node, Seed},
    place::GraphPlace,
    seeded::Verdict,
    simple::{Distinct, Extend, Filter},
    table::{JoinSlots, RightSide},
};
use scope::Names;

pub(super) type Slots = FxHashSet<Slot>;

/// A plan so far: rows, and what they bind.
pub(super) struct Input<'a> {
    pub(super) node: Node<'a>,
    /// Bound in every row.
    pub(super) certain: Slots,
    /// Bound in some rows.
    pub(super) possible: Slots,
    /// Nothing but the seed, which binds nothing that a pattern could meet.
    pub(super) is_start: bool,
}

/// Plans one query.
pub(super) struct Planner<'c, 'a> {
    pub(super) context: &'c Context<'a>,
    names: Vec<Variable>,
    scope: FxHashMap<Variable, Slot>,
    pub(super) graph: GraphPlace,
    pub(super) base: Base,
    base_iri: Option<Iri<String>>,
    /// What NOW is for the whole query, once it was asked for.
    now: Option<Algebra>,
    /// Inside EXISTS: what the row outside may bind.
    pub(super) substituted: Slots,
    /// The plan that is made next only has to find one solution.
    pub(super) is_for_exists: bool,
    /// Rows that are wanted of the sort that is planned next.
    sort_limit: Option<usize>,
    /// Where GRAPH with a variable is at.
    graph_slots: Slots,
    /// Rows that are wanted of all.
    pub(super) limit: Option<usize>,
    /// The parameters, if operators must not say what is confidential.
    pub(super) hidden: Option<&'c Parameters>,
    makes_terms: bool,
    keeps_terms: bool,
}

impl<'c, 'a> Planner<'c, 'a> {
    pub(super) fn new(context: &'c Context<'a>, base_iri: Option<Iri<String>>) -> Self {
        Self {
            context,
            names: Vec::new(),
            scope: FxHashMap::default(),
            graph: GraphPlace::Default,
            base: Base::default(),
            base_iri,
            now: None,
            substituted: Slots::default(),
            is_for_exists: false,
            sort_limit: None,
            graph_slots: Slots::default(),
            limit: None,
            hidden: None,
            makes_terms: false,
            keeps_terms: false,
        }
    }

    /// Plans a pattern by itself.
    pub(super) fn plan(&mut self, pattern: &GraphPattern) -> Result<Input<'a>, SparqlError> {
        let start = self.start();
        let plan = self.compile(pattern, start)?;
        self.context.width.set(self.names.len().max(1));
        Ok(plan)
    }

    /// Tells whether no operator keeps rows with made terms longer than a batch.
    pub(super) fn is_streaming(&self) -> bool {
        !self.keeps_terms
    }

    /// Returns the slot of a variable.
    pub(super) fn slot(&mut self, variable: &Variable) -> Slot {
        if let Some(&slot) = self.scope.get(variable) {
            return slot;
        }
        let slot = self.hidden(variable);
        self.scope.insert(variable.clone(), slot);
        slot
    }

    /// Returns the slot of a variable, if any pattern so far has it.
    pub(super) fn known_slot(&self, variable: &Variable) -> Option<Slot> {
        self.scope.get(variable).copied()
    }

    fn hidden(&mut self, variable: &Variable) -> Slot {
        self.names.push(variable.clone());
        self.names.len() - 1
    }

    /// Returns how many slots there are so far, at least 1.
    pub(super) fn width(&self) -> usize {
        self.names.len().max(1)
    }

    pub(super) fn hidden_slot(&mut self, name: &str) -> Slot {
        self.hidden(&Variable::new_unchecked(name))
    }

    pub(super) fn start(&self) -> Input<'a> {
        Input {
            node: Node::new(Seed::new(), 1.0),
            certain: self.base.shared.iter().copied().collect(),
            possible: self.base.slots.iter().copied().collect(),
            is_start: true,
        }
    }

    /// Returns the leaf of a plan that is opened with the rows of an input.
    fn seed_of(input: &Input<'a>) -> Input<'a> {
        Input {
            node: Node::new(Seed::new(), input.node.estimate()),
            certain: input.certain.clone(),
            possible: input.possible.clone(),
            is_start: input.is_start,
        }
    }

    /// An operator that holds rows for more than one call is about to be put on top.
    pub(super) fn holds_rows(&mut self) {
        self.keeps_terms |= self.makes_terms;
    }

    /// Returns the names of what an input may bind.
    pub(super) fn names_of(&self, input: &Input<'a>) -> Names {
        self.scope
            .iter()
            .filter(|(_, slot)| input.possible.contains(slot))
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn substituted_names(&self) -> Names {
        self.scope
            .iter()
            .filter(|(_, slot)| self.substituted.contains(slot))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Puts a pattern on top of an input.
    pub(super) fn compile(
        &mut self,
        pattern: &GraphPattern,
        input: Input<'a>,
    ) -> Result<Input<'a>, SparqlError> {
        self.context.check()?;
        let is_seedable = || match pattern {
            // The parts of a group are looked at one by one.
            GraphPattern::Join { .. } => true,
            GraphPattern::Filter { .. } => self.is_filter_seedable(pattern, &input),
            // The rows name the endpoints.
            GraphPattern::Service { name, .. } => matches!(name, NamedNodePattern::Variable(_)),
            _ => self.is_seedable(pattern, &input),
        };
        if input.is_start || is_seedable() {
            self.compile_on(pattern, input)
        } else {
            self.compile_beside(pattern, input)
        }
    }

    /// Tells whether the filters around a group see no more than what is in it.
    fn is_filter_seedable(&self, pattern: &GraphPattern, input: &Input<'a>) -> bool {
        let outer = self.names_of(input);
        let mut pattern = pattern;
        while let GraphPattern::Filter { expr, inner } = pattern {
            if !scope::sees_no_more(expr, inner, &outer, &self.substituted_names()) {
                return false;
            }
            pattern = inner;
        }
        true
    }

    pub(super) fn is_seedable(&self, pattern: &GraphPattern, input: &Input<'a>) -> bool {
        scope::is_seedable(pattern, &self.names_of(input), &self.substituted_names())
    }

    /// Plans a pattern alone and joins it by a table.
    fn compile_beside(&mut self, pattern: &GraphPattern, input: Input<'a>) -> Result<Input<'a>, SparqlError> {
        let for_exists = std::mem::take(&mut self.is_for_exists);
        let limit = self.limit.take();
        let start = self.start();
        let right = self.compile(pattern, start)?;
        self.is_for_exists = for_exists;
        self.limit = limit;
        Ok(self.joined(input, right, Kind::Inner))
    }

    /// Joins an input with a plan of its own.
    pub(super) fn joined(&mut self, left: Input<'a>, right: Input<'a>, kind: Kind) -> Input<'a> {
        self.holds_rows();
        // What is bound around both sides is equal on both, and the graph that GRAPH is at is no variable.
        let own = |slot: &&Slot| match kind {
            Kind::Minus => !self.graph_slots.contains(slot),
            Kind::Inner | Kind::Semi => !self.base.shared.contains(slot),
        };
        let is_key = |slot: &&Slot| left.certain.contains(slot) && right.certain.contains(slot);
        let shared = || {
            right
                .possible
                .iter()
                .filter(own)
                .filter(|slot| left.possible.contains(slot))
        };
        let join = JoinSlots {
            keys: shared().filter(is_key).copied().collect(),
            checks: shared().filter(|slot| !is_key(slot)).copied().collect(),
            right: right.possible.iter().filter(own).copied().collect(),
        };
        let detail = self.detail(|_| format!("on {}", self.names_of_slots(&join.keys)));
        let selectivity = if join.keys.is_empty() {
            1.0
        } else {
            1.0 / right.node.estimate().max(10.0)
        };
        let estimate = match kind {
            Kind::Inner => left.node.estimate() * right.node.estimate() * selectivity,
            Kind::Minus | Kind::Semi => left.node.estimate(),
        };
        let side = RightSide::new(right.node, join, self.base.clone());
        let mut joined = Input {
            node: Node::new(HashJoin::new(left.node, side, kind, detail), estimate),
            certain: left.certain,
            possible: left.possible,
            is_start: false,
        };
        if kind == Kind::Inner {
            joined.certain.extend(right.certain);
            joined.possible.extend(right.possible);
        }
        joined
    }

    pub(super) fn names_of_slots(&self, slots: &[Slot]) -> String {
        let names: Vec<_> = slots.iter().map(|&slot| self.names[slot].to_string()).collect();
        names.join(" ")
    }

    /// Puts a pattern on top of an input that it may see.
    fn compile_on(&mut self, pattern: &GraphPattern, input: Input<'a>) -> Result<Input<'a>, SparqlError> {
        match pattern {
            GraphPattern::Bgp { .. }
            | GraphPattern::Path { .. }
            | GraphPattern::Join { .. }
            | GraphPattern::Filter { .. }
            | GraphPattern::Values { .. } => self.compile_group(pattern, Vec::new(), input),
            GraphPattern::LeftJoin {
                left,
                right,
                expression,
            } => self.compile_left_join(left, right, expression.as_ref(), Vec::new(), input),
            GraphPattern::Union { .. } => self.compile_union(pattern, input),
            GraphPattern::Graph { name, inner } => self.compile_graph(name, inner, input),
            GraphPattern::Extend {
                inner,
                variable,
                expression,
            } => {
                let for_exists = std::mem::take(&mut self.is_for_exists);
                let input = self.compile(inner, input)?;
                self.is_for_exists = for_exists;
                self.extend(input, variable, expression)
            }
            GraphPattern::Minus { left, right } => self.compile_minus(left, right, input),
            GraphPattern::Lateral { left, right } => self.compile_lateral(left, right, input),
            GraphPattern::Project { inner, variables } => self.compile_project(inner, variables, input),
            GraphPattern::Distinct { inner } | GraphPattern::Reduced { inner } => {
                let slots = scope::variables(inner);
                let limit = self.limit.take();
                let mut input = self.alone(inner, input)?;
                self.limit = limit;
                self.holds_rows();
                let mut slots: Vec<_> = slots.iter().map(|name| self.slot(name)).collect();
                slots.sort_unstable();
                let estimate = input.node.estimate();
                let distinct = Distinct {
                    input: input.node,
                    slots,
                    base: self.base.clone(),
                    seen: None,
                };
                input.node = Node::new(distinct, estimate);
                Ok(input)
            }
            GraphPattern::Slice { inner, start, length } => self.compile_slice(inner, *start, *length, input),
            GraphPattern::OrderBy { inner, expression } => self.compile_order(inner, expression, input),
            GraphPattern::Group {
                inner,
                variables,
                aggregates,
            } => self.compile_aggregates(inner, variables, aggregates, input),
            GraphPattern::Service { name, inner, silent } => {
                self.compile_service(name, inner, *silent, input)
            }
        }
    }

    /// Compiles what an operator reads to the end, or looks at as a whole.
    fn alone(&mut self, pattern: &GraphPattern, input: Input<'a>) -> Result<Input<'a>, SparqlError> {
        let for_exists = std::mem::take(&mut self.is_for_exists);
        let mut input = self.compile(pattern, input)?;
        self.is_for_exists = for_exists;
        input.is_start = false;
        Ok(input)
    }

    fn compile_project(
        &mut self,
        inner: &GraphPattern,
        variables: &[Variable],
        input: Input<'a>,
    ) -> Result<Input<'a>, SparqlError> {
        let mut inside = FxHashMap::default();
        for variable in variables {
            inside.insert(variable.clone(), self.slot(variable));
        }
        let (certain, possible) = (input.certain.clone(), input.possible.clone());
        let outside = std::mem::replace(&mut self.scope, inside);
        let plan = self.compile(inner, input);
        self.scope = outside;
        let mut plan = plan?;
        let selected: Slots = variables.iter().map(|variable| self.slot(variable)).collect();
        plan.certain
            .retain(|slot| selected.contains(slot) || certain.contains(slot));
        plan.possible
            .retain(|slot| selected.contains(slot) || possible.contains(slot));
        Ok(plan)
    }

    /// Puts a filter on top of an input.
    pub(super) fn filter(&mut self, input: Input<'a>, condition: &Algebra) -> Result<Input<'a>, SparqlError> {
        match condition {
            Algebra::Exists(pattern) => return self.exists(input, pattern, Verdict::Keep),
            Algebra::Not(inner) => {
                if let Algebra::Exists(pattern) = &**inner {
                    return self.exists(input, pattern, Verdict::Drop);
                }
            }
            _ => {}
        }
        let (expression, mut input) = self.expression(input, condition)?;
        let estimate = input.node.estimate() / 2.0;
        let filter = Filter {
            input: input.node,
            condition: expression,
            detail: self.detail(|shown| shown.expression(condition).to_string()),
            is_streaming: self.is_streaming(),
        };
        input.node = Node::new(filter, estimate);
        input.is_start = false;
        Ok(input)
    }

    fn extend(
        &mut self,
        input: Input<'a>,
        variable: &Variable,
        expression: &Algebra,
    ) -> Result<Input<'a>, SparqlError> {
        let (compiled, mut input) = self.expression(input, expression)?;
        let slot = self.slot(variable);
        input.possible.insert(slot);
        let is_certain = match &compiled {
            Expression::Slot(slot) => input.certain.contains(slot),
            Expression::Constant(number) => *number != UNBOUND,
            _ => {
                self.makes_terms = true;
                false
            }
        };
        if is_certain {
            input.certain.insert(slot);
        }
        let estimate = input.node.estimate();
        let extend = Extend {
            input: input.node,
            slot,
            expression: compiled,
            detail: self.detail(|shown| format!("{variable} = {}", shown.expression(expression))),
        };
        input.node = Node::new(extend, estimate);
        input.is_start = false;
        Ok(input)
    }
}

pub(super) fn conjuncts(expression: &Algebra) -> Vec<&Algebra> {
    let (mut waiting, mut parts) = (vec![expression], Vec::new());
    while let Some(part) = waiting.pop() {
        match part {
            Algebra::And(left, right) => waiting.extend([&**right, &**left]),
            other => parts.push(other),
        }
    }
    parts
}
