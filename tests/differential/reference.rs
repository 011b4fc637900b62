//! SPARQL as its specification has it (SPARQL 1.1 Query, section 18): from the bottom up, every set of solutions whole.
//!
//! Slow and plain on purpose. Expressions are computed by Oxigraph's engine.

use std::collections::{BTreeMap, BTreeSet};

use oxigraph::model::{GraphName, Literal, NamedNode, NamedOrBlankNode, Quad, Term, Variable};
use spareval::QueryEvaluator;
use spargebra::{
    Query,
    algebra::{
        AggregateExpression, AggregateFunction, Expression, GraphPattern, PropertyPathExpression as Path,
    },
    term::{GroundTerm, NamedNodePattern, TermPattern, TriplePattern},
};
use sparopt::algebra::GraphPattern as Optimizable;

/// A solution.
pub(crate) type Solution = BTreeMap<Variable, Term>;

/// Returns the solutions of a query's pattern.
pub(crate) fn solutions(quads: &[Quad], query: &Query) -> Vec<Solution> {
    let (Query::Select { pattern, .. } | Query::Ask { pattern, .. }) = query else {
        unreachable!("only SELECT and ASK are asked");
    };
    let graph = Graph {
        quads,
        name: GraphName::DefaultGraph,
    };
    graph.eval(pattern)
}

/// The data set, and which of its graphs is active.
struct Graph<'q> {
    quads: &'q [Quad],
    name: GraphName,
}

impl Graph<'_> {
    /// Returns the triples of the active graph, each once.
    fn triples(&self) -> Vec<(Term, NamedNode, Term)> {
        let of_graph = self.quads.iter().filter(|quad| quad.graph_name == self.name);
        let by_name: BTreeMap<_, _> = of_graph
            .map(|quad| {
                let subject = match &quad.subject {
                    NamedOrBlankNode::NamedNode(node) => Term::from(node.clone()),
                    NamedOrBlankNode::BlankNode(node) => node.clone().into(),
                };
                let triple = (subject, quad.predicate.clone(), quad.object.clone());
                (quad.to_string(), triple)
            })
            .collect();
        by_name.into_values().collect()
    }

    #[expect(
        clippy::too_many_lines,
        reason = "the specification's cases, one after the other"
    )]
    fn eval(&self, pattern: &GraphPattern) -> Vec<Solution> {
        match pattern {
            GraphPattern::Bgp { patterns } => patterns.iter().fold(vec![Solution::new()], |found, triple| {
                join(&found, &self.matches(triple))
            }),
            GraphPattern::Path {
                subject,
                path,
                object,
            } => self.path_solutions(subject, path, object),
            GraphPattern::Join { left, right } => join(&self.eval(left), &self.eval(right)),
            GraphPattern::LeftJoin {
                left,
                right,
                expression,
            } => {
                let right = self.eval(right);
                let mut found = Vec::new();
                for solution in self.eval(left) {
                    let mut joined = join(std::slice::from_ref(&solution), &right);
                    joined.retain(|joined| {
                        expression
                            .as_ref()
                            .is_none_or(|expression| self.is_true(expression, joined))
                    });
                    if joined.is_empty() {
                        found.push(solution);
                    }
                    found.extend(joined);
                }
                found
            }
            GraphPattern::Filter { expr, inner } => {
                let mut found = self.eval(inner);
                found.retain(|solution| self.is_true(expr, solution));
                found
            }
            GraphPattern::Union { left, right } => {
                let mut found = self.eval(left);
                found.extend(self.eval(right));
                found
            }
            GraphPattern::Graph { name, inner } => self.in_graphs(name, inner),
            GraphPattern::Extend {
                inner,
                variable,
                expression,
            } => {
                let mut found = self.eval(inner);
                for solution in &mut found {
                    if let Some(value) = self.value(expression, solution) {
                        solution.insert(variable.clone(), value);
                    }
                }
                found
            }
            GraphPattern::Minus { left, right } => {
                let right = self.eval(right);
                let mut found = self.eval(left);
                found.retain(|a| {
                    !right
                        .iter()
                        .any(|b| compatible(a, b) && a.keys().any(|name| b.contains_key(name)))
                });
                found
            }
            GraphPattern::Values { variables, bindings } => bindings
                .iter()
                .map(|row| {
                    let bound = variables.iter().cloned().zip(row);
                    bound
                        .filter_map(|(name, term)| Some((name, ground(term.as_ref()?))))
                        .collect()
                })
                .collect(),
            GraphPattern::Project { inner, variables } => {
                let mut found = self.eval(inner);
                for solution in &mut found {
                    solution.retain(|name, _| variables.contains(name));
                }
                found
            }
            GraphPattern::Distinct { inner } => {
                let mut seen = BTreeSet::new();
                let mut found = self.eval(inner);
                found.retain(|solution| seen.insert(format!("{solution:?}")));
                found
            }
            GraphPattern::Group {
                inner,
                variables,
                aggregates,
            } => self.group(inner, variables, aggregates),
            GraphPattern::OrderBy { inner, expression } => {
                use spargebra::algebra::OrderExpression as O;
                let mut found = self.eval(inner);
                let keys = |s: &Solution| -> Vec<Option<String>> {
                    expression
                        .iter()
                        .map(|e| {
                            let (O::Asc(e) | O::Desc(e)) = e;
                            self.value(e, s).map(|t| t.to_string())
                        })
                        .collect()
                };
                let mut keyed: Vec<_> = found.drain(..).map(|s| (keys(&s), s)).collect();
                keyed.sort_by(|a, b| {
                    for (i, e) in expression.iter().enumerate() {
                        let mut c = a.0[i].cmp(&b.0[i]);
                        if matches!(e, O::Desc(_)) {
                            c = c.reverse();
                        }
                        if c.is_ne() {
                            return c;
                        }
                    }
                    std::cmp::Ordering::Equal
                });
                keyed.into_iter().map(|p| p.1).collect()
            }
            GraphPattern::Slice { inner, start, length } => self
                .eval(inner)
                .into_iter()
                .skip(*start)
                .take(length.unwrap_or(usize::MAX))
                .collect(),
            GraphPattern::Reduced { inner } => self.eval(inner),
            GraphPattern::Lateral { left, right } => {
                let mut found = Vec::new();
                for s in self.eval(left) {
                    let r = self.eval(&substituted(right, &s));
                    found.extend(join(std::slice::from_ref(&s), &r));
                }
                found
            }
            GraphPattern::Service { .. } => unreachable!("not asked: SERVICE"),
        }
    }

    fn in_graphs(&self, name: &NamedNodePattern, inner: &GraphPattern) -> Vec<Solution> {
        let mut names: Vec<GraphName> = self.quads.iter().map(|quad| quad.graph_name.clone()).collect();
        names.sort_by_key(ToString::to_string);
        names.dedup();
        let mut found = Vec::new();
        for graph in names {
            let GraphName::NamedNode(node) = &graph else {
                continue;
            };
            let bound = match name {
                NamedNodePattern::NamedNode(name) if name != node => continue,
                NamedNodePattern::NamedNode(_) => Solution::new(),
                NamedNodePattern::Variable(variable) => {
                    Solution::from([(variable.clone(), node.clone().into())])
                }
            };
            let graph = Self {
                quads: self.quads,
                name: graph,
            };
            found.extend(join(&graph.eval(inner), &[bound]));
        }
        found
    }

    fn group(
        &self,
        inner: &GraphPattern,
        keys: &[Variable],
        aggregates: &[(Variable, AggregateExpression)],
    ) -> Vec<Solution> {
        let mut groups = BTreeMap::<String, Vec<Solution>>::new();
        let key_of = |solution: &Solution| -> Solution {
            let bound = keys
                .iter()
                .filter_map(|key| Some((key.clone(), solution.get(key)?.clone())));
            bound.collect()
        };
        if keys.is_empty() {
            groups.insert(format!("{:?}", Solution::new()), Vec::new());
        }
        for solution in self.eval(inner) {
            let key = format!("{:?}", key_of(&solution));
            groups.entry(key).or_default().push(solution);
        }
        let grouped = groups.into_values().map(|members| {
            let mut solution = members.first().map(key_of).unwrap_or_default();
            for (name, aggregate) in aggregates {
                if let Some(value) = self.aggregate(aggregate, &members) {
                    solution.insert(name.clone(), value);
                }
            }
            solution
        });
        grouped.collect()
    }

    #[expect(
        clippy::too_many_lines,
        reason = "the specification's cases, one after the other"
    )]
    fn aggregate(&self, aggregate: &AggregateExpression, members: &[Solution]) -> Option<Term> {
        let count = |count: usize| Literal::from(i64::try_from(count).unwrap()).into();
        match aggregate {
            AggregateExpression::CountSolutions { distinct: false } => Some(count(members.len())),
            AggregateExpression::CountSolutions { distinct: true } => {
                let distinct: BTreeSet<_> = members
                    .iter()
                    .map(|member| {
                        // Blank nodes of a pattern are no part of a solution.
                        let named = member.iter().filter(|(name, _)| !name.as_str().starts_with("_:"));
                        format!("{:?}", named.collect::<Vec<_>>())
                    })
                    .collect();
                Some(count(distinct.len()))
            }
            AggregateExpression::FunctionCall {
                name: AggregateFunction::Count,
                expr,
                distinct,
            } => {
                let mut values: Vec<_> = members
                    .iter()
                    .filter_map(|member| Some(self.value(expr, member)?.to_string()))
                    .collect();
                values.sort();
                if *distinct {
                    values.dedup();
                }
                Some(count(values.len()))
            }
            AggregateExpression::FunctionCall {
                name: AggregateFunction::Sum,
                expr,
                distinct: false,
            } => members
                .iter()
                .try_fold(Literal::from(0_i64).into(), |sum: Term, member| {
                    let value = self.value(expr, member)?;
                    let (a, b) = (Variable::new_unchecked("a"), Variable::new_unchecked("b"));
                    let bound = Solution::from([(a.clone(), sum), (b.clone(), value)]);
                    self.value(&Expression::Add(Box::new(a.into()), Box::new(b.into())), &bound)
                }),
            AggregateExpression::FunctionCall { name, expr, distinct } => {
                let mut values: Vec<Option<Term>> = members.iter().map(|m| self.value(expr, m)).collect();
                if values.iter().any(Option::is_none) {
                    return None;
                }
                if *distinct {
                    let mut seen = BTreeSet::new();
                    values.retain(|v| seen.insert(v.as_ref().unwrap().to_string()));
                }
                let values: Vec<Term> = values.into_iter().flatten().collect();
                let (va, vb) = (Variable::new_unchecked("a"), Variable::new_unchecked("b"));
                let op = |e: Expression, a: Term, b: Term| {
                    self.value(&e, &Solution::from([(va.clone(), a), (vb.clone(), b)]))
                };
                match name {
                    AggregateFunction::Sum => {
                        values
                            .into_iter()
                            .try_fold(Literal::from(0_i64).into(), |s: Term, v| {
                                op(
                                    Expression::Add(Box::new(va.clone().into()), Box::new(vb.clone().into())),
                                    s,
                                    v,
                                )
                            })
                    }
                    AggregateFunction::Avg => {
                        let n = values.len();
                        if n == 0 {
                            return Some(Literal::from(0_i64).into());
                        }
                        let sum =
                            values
                                .into_iter()
                                .try_fold(Literal::from(0_i64).into(), |s: Term, v| {
                                    op(
                                        Expression::Add(
                                            Box::new(va.clone().into()),
                                            Box::new(vb.clone().into()),
                                        ),
                                        s,
                                        v,
                                    )
                                })?;
                        op(
                            Expression::Divide(Box::new(va.clone().into()), Box::new(vb.clone().into())),
                            sum,
                            count(n),
                        )
                    }
                    AggregateFunction::Min | AggregateFunction::Max => {
                        let rank = |t: &Term| match t {
                            Term::BlankNode(_) => (0, 0, String::new()),
                            Term::NamedNode(n) => (1, 0, n.as_str().to_owned()),
                            Term::Literal(l) if l.datatype() == oxigraph::model::vocab::xsd::INTEGER => {
                                (2, l.value().parse::<i64>().unwrap(), String::new())
                            }
                            Term::Literal(l) => {
                                (3, 0, format!("{}\0{}", l.value(), l.language().unwrap_or("")))
                            }
                            Term::Triple(_) => (9, 0, String::new()),
                        };
                        if matches!(name, AggregateFunction::Min) {
                            values.into_iter().min_by_key(rank)
                        } else {
                            values.into_iter().max_by_key(rank)
                        }
                    }
                    _ => unreachable!("not asked: {name}"),
                }
            }
        }
    }

    fn matches(&self, pattern: &TriplePattern) -> Vec<Solution> {
        let mut found = Vec::new();
        for (subject, predicate, object) in self.triples() {
            let mut solution = Solution::new();
            let predicate_pattern = match &pattern.predicate {
                NamedNodePattern::NamedNode(node) => TermPattern::NamedNode(node.clone()),
                NamedNodePattern::Variable(variable) => TermPattern::Variable(variable.clone()),
            };
            if bind(&mut solution, &pattern.subject, &subject)
                && bind(&mut solution, &predicate_pattern, &predicate.into())
                && bind(&mut solution, &pattern.object, &object)
            {
                found.push(solution);
            }
        }
        found
    }

    fn path_solutions(&self, subject: &TermPattern, path: &Path, object: &TermPattern) -> Vec<Solution> {
        let named = |end: &TermPattern| match end {
            TermPattern::NamedNode(node) => Some(Term::from(node.clone())),
            TermPattern::Literal(literal) => Some(literal.clone().into()),
            _ => None,
        };
        let mut nodes = BTreeMap::new();
        for (subject, _, object) in self.triples() {
            nodes.insert(subject.to_string(), subject);
            nodes.insert(object.to_string(), object);
        }
        for end in [subject, object].into_iter().filter_map(named) {
            nodes.insert(end.to_string(), end);
        }
        let nodes: Vec<Term> = nodes.into_values().collect();
        let mut found = Vec::new();
        for (start, end) in self.pairs(path, &nodes) {
            let mut solution = Solution::new();
            if bind(&mut solution, subject, &start) && bind(&mut solution, object, &end) {
                found.push(solution);
            }
        }
        found
    }

    /// Returns the pairs that a path connects (section 18.4).
    fn pairs(&self, path: &Path, nodes: &[Term]) -> Vec<(Term, Term)> {
        match path {
            Path::NamedNode(node) => self.steps(|predicate| predicate == node),
            Path::NegatedPropertySet(without) => self.steps(|predicate| !without.contains(predicate)),
            Path::Reverse(path) => {
                let pairs = self.pairs(path, nodes).into_iter();
                pairs.map(|(start, end)| (end, start)).collect()
            }
            Path::Alternative(first, second) => {
                let mut pairs = self.pairs(first, nodes);
                pairs.extend(self.pairs(second, nodes));
                pairs
            }
            Path::Sequence(first, second) => {
                let (first, second) = (self.pairs(first, nodes), self.pairs(second, nodes));
                let mut pairs = Vec::new();
                for (start, middle) in &first {
                    let ends = second.iter().filter(|(from, _)| from == middle);
                    pairs.extend(ends.map(|(_, end)| (start.clone(), end.clone())));
                }
                pairs
            }
            Path::ZeroOrOne(path) => {
                let mut pairs = self.pairs(path, nodes);
                pairs.extend(nodes.iter().map(|node| (node.clone(), node.clone())));
                distinct(pairs)
            }
            Path::OneOrMore(path) => closed(distinct(self.pairs(path, nodes))),
            Path::ZeroOrMore(path) => {
                let mut pairs = closed(distinct(self.pairs(path, nodes)));
                pairs.extend(nodes.iter().map(|node| (node.clone(), node.clone())));
                distinct(pairs)
            }
        }
    }

    fn steps(&self, is_step: impl Fn(&NamedNode) -> bool) -> Vec<(Term, Term)> {
        let triples = self.triples().into_iter();
        triples
            .filter(|(_, predicate, _)| is_step(predicate))
            .map(|(subject, _, object)| (subject, object))
            .collect()
    }

    fn is_true(&self, expression: &Expression, solution: &Solution) -> bool {
        let both = Expression::If(
            Box::new(expression.clone()),
            Box::new(Literal::from(true).into()),
            Box::new(Literal::from(false).into()),
        );
        self.value(&both, solution) == Some(Literal::from(true).into())
    }

    fn value(&self, expression: &Expression, solution: &Solution) -> Option<Term> {
        if let Expression::Variable(variable) = expression {
            return solution.get(variable).cloned();
        }
        let expression = self.without_exists(expression, solution);
        let pattern = GraphPattern::Filter {
            expr: expression,
            inner: Box::new(GraphPattern::Values {
                variables: Vec::new(),
                bindings: Vec::new(),
            }),
        };
        let Optimizable::Filter { expression, .. } = Optimizable::from(&pattern) else {
            unreachable!("a filter stays one");
        };
        QueryEvaluator::new().evaluate_expression(
            &expression,
            solution.iter().map(|(name, term)| (name, term.clone())),
        )
    }

    /// Replaces EXISTS by its value (section 18.6).
    fn without_exists(&self, expression: &Expression, solution: &Solution) -> Expression {
        let one = |part: &Expression| Box::new(self.without_exists(part, solution));
        match expression {
            Expression::Exists(pattern) => {
                Literal::from(!self.eval(&substituted(pattern, solution)).is_empty()).into()
            }
            Expression::Not(inner) => Expression::Not(one(inner)),
            Expression::And(a, b) => Expression::And(one(a), one(b)),
            Expression::Or(a, b) => Expression::Or(one(a), one(b)),
            Expression::If(a, b, c) => Expression::If(one(a), one(b), one(c)),
            other => other.clone(),
        }
    }
}

fn ground(term: &GroundTerm) -> Term {
    match term {
        GroundTerm::NamedNode(node) => node.clone().into(),
        GroundTerm::Literal(literal) => literal.clone().into(),
        GroundTerm::Triple(_) => unreachable!("not asked: triple terms"),
    }
}

fn bind(solution: &mut Solution, place: &TermPattern, term: &Term) -> bool {
    let variable = match place {
        TermPattern::NamedNode(node) => return *term == Term::from(node.clone()),
        TermPattern::Literal(literal) => return *term == Term::from(literal.clone()),
        TermPattern::Variable(variable) => variable.clone(),
        TermPattern::BlankNode(node) => Variable::new_unchecked(format!("_:{}", node.as_str())),
        TermPattern::Triple(_) => unreachable!("not asked: triple terms"),
    };
    *solution.entry(variable).or_insert_with(|| term.clone()) == *term
}

fn compatible(a: &Solution, b: &Solution) -> bool {
    a.iter()
        .all(|(name, term)| b.get(name).is_none_or(|other| other == term))
}

fn join(left: &[Solution], right: &[Solution]) -> Vec<Solution> {
    let mut found = Vec::new();
    for a in left {
        for b in right.iter().filter(|b| compatible(a, b)) {
            let mut joined = a.clone();
            joined.extend(b.clone());
            found.push(joined);
        }
    }
    found
}

fn distinct(pairs: Vec<(Term, Term)>) -> Vec<(Term, Term)> {
    let by_name = pairs
        .into_iter()
        .map(|pair| ((pair.0.to_string(), pair.1.to_string()), pair));
    by_name.collect::<BTreeMap<_, _>>().into_values().collect()
}

fn closed(mut pairs: Vec<(Term, Term)>) -> Vec<(Term, Term)> {
    loop {
        let count = pairs.len();
        let mut longer = pairs.clone();
        for (start, middle) in &pairs {
            let ends = pairs.iter().filter(|(from, _)| from == middle);
            longer.extend(ends.map(|(_, end)| (start.clone(), end.clone())));
        }
        pairs = distinct(longer);
        if pairs.len() == count {
            return pairs;
        }
    }
}

/// Returns a pattern with terms in place of the variables of a solution.
fn substituted(pattern: &GraphPattern, solution: &Solution) -> GraphPattern {
    let inside = |pattern: &GraphPattern| Box::new(substituted(pattern, solution));
    let term = |place: &TermPattern| match place {
        TermPattern::Variable(variable) => match solution.get(variable) {
            Some(Term::NamedNode(node)) => node.clone().into(),
            Some(Term::Literal(literal)) => literal.clone().into(),
            _ => place.clone(),
        },
        _ => place.clone(),
    };
    let never = || GraphPattern::Values {
        variables: Vec::new(),
        bindings: Vec::new(),
    };
    let name = |place: &NamedNodePattern| match place {
        NamedNodePattern::Variable(variable) => match solution.get(variable) {
            Some(Term::NamedNode(node)) => Some(node.clone().into()),
            Some(_) => None,
            None => Some(place.clone()),
        },
        NamedNodePattern::NamedNode(_) => Some(place.clone()),
    };
    let expression = |expression: &Expression| substituted_expression(expression, solution);
    match pattern {
        GraphPattern::Bgp { patterns } => {
            let mut substituted = Vec::new();
            for triple in patterns {
                let Some(predicate) = name(&triple.predicate) else {
                    return never();
                };
                substituted.push(TriplePattern {
                    subject: term(&triple.subject),
                    predicate,
                    object: term(&triple.object),
                });
            }
            GraphPattern::Bgp {
                patterns: substituted,
            }
        }
        GraphPattern::Path {
            subject,
            path,
            object,
        } => GraphPattern::Path {
            subject: term(subject),
            path: path.clone(),
            object: term(object),
        },
        GraphPattern::Join { left, right } => GraphPattern::Join {
            left: inside(left),
            right: inside(right),
        },
        GraphPattern::LeftJoin {
            left,
            right,
            expression: condition,
        } => GraphPattern::LeftJoin {
            left: inside(left),
            right: inside(right),
            expression: condition.as_ref().map(expression),
        },
        GraphPattern::Filter { expr, inner } => GraphPattern::Filter {
            expr: expression(expr),
            inner: inside(inner),
        },
        GraphPattern::Union { left, right } => GraphPattern::Union {
            left: inside(left),
            right: inside(right),
        },
        GraphPattern::Graph { name: graph, inner } => match name(graph) {
            Some(name) => GraphPattern::Graph {
                name,
                inner: inside(inner),
            },
            None => never(),
        },
        other => unreachable!("not asked inside EXISTS: {other}"),
    }
}

fn substituted_expression(expression: &Expression, solution: &Solution) -> Expression {
    let one = |part: &Expression| Box::new(substituted_expression(part, solution));
    let all = |parts: &[Expression]| parts.iter().map(|part| *one(part)).collect();
    match expression {
        Expression::Variable(variable) => match solution.get(variable) {
            Some(Term::NamedNode(node)) => node.clone().into(),
            Some(Term::Literal(literal)) => literal.clone().into(),
            _ => expression.clone(),
        },
        Expression::Bound(variable) if solution.contains_key(variable) => Literal::from(true).into(),
        Expression::Exists(pattern) => Expression::Exists(Box::new(substituted(pattern, solution))),
        Expression::Not(inner) => Expression::Not(one(inner)),
        Expression::And(a, b) => Expression::And(one(a), one(b)),
        Expression::Or(a, b) => Expression::Or(one(a), one(b)),
        Expression::Equal(a, b) => Expression::Equal(one(a), one(b)),
        Expression::Greater(a, b) => Expression::Greater(one(a), one(b)),
        Expression::In(a, list) => Expression::In(one(a), all(list)),
        Expression::FunctionCall(function, list) => Expression::FunctionCall(function.clone(), all(list)),
        other => other.clone(),
    }
}
