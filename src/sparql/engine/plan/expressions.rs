//! Expressions: what is computed here, and what the engine computes.

use oxigraph::model::{Literal, Variable, vocab::xsd};
use spargebra::algebra::{Expression as Algebra, Function};

use super::{Input, Planner, conjuncts};
use crate::sparql::{
    SparqlError,
    engine::{
        algebra,
        batch::UNBOUND,
        expression::{Comparison, Derived, Expression},
        pipe::{self, Pipe, PipeInput},
        seeded::Verdict,
        value::Value,
    },
};

impl<'a> Planner<'_, 'a> {
    /// Compiles an expression; EXISTS in it is computed by an operator on the input.
    pub(super) fn expression(
        &mut self,
        mut input: Input<'a>,
        expression: &Algebra,
    ) -> Result<(Expression<'a>, Input<'a>), SparqlError> {
        let mut patterns = Vec::new();
        let mut expression = algebra::map(expression.clone(), &mut |part| match part {
            Algebra::Exists(pattern) => {
                let name = Variable::new_unchecked(format!("#exists{}", patterns.len()));
                patterns.push((pattern, name.clone()));
                name.into()
            }
            Algebra::FunctionCall(Function::Now, _) => self.now.get_or_insert_with(now).clone(),
            other => other,
        });
        for (pattern, name) in patterns {
            // A name of its own for each.
            let unique = Variable::new_unchecked(format!("#exists-{}", self.names.len()));
            let slot = self.slot(&unique);
            expression = algebra::map(expression, &mut |part| match part {
                Algebra::Variable(variable) if variable == name => unique.clone().into(),
                other => other,
            });
            input = self.exists(input, &pattern, Verdict::Write(slot))?;
        }
        Ok((self.native(&expression)?, input))
    }

    /// Compiles what is computed here, and leaves the rest to the engine.
    fn native(&self, expression: &Algebra) -> Result<Expression<'a>, SparqlError> {
        // A list after IN may have a hundred thousand values.
        self.context.check()?;
        let both = |left: &Algebra, right: &Algebra| {
            Ok::<_, SparqlError>((Box::new(self.native(left)?), Box::new(self.native(right)?)))
        };
        let compare = |comparison, left: &Algebra, right: &Algebra| {
            if !is_simple(left) || !is_simple(right) {
                return Ok(Expression::Pipe(Box::new(self.pipe(expression))));
            }
            let (left, right) = both(left, right)?;
            let whole = Box::new(self.pipe(expression));
            let fixed = match &*right {
                Expression::Constant(number) if *number != UNBOUND => {
                    self.context.terms.with(*number, Value::of)
                }
                _ => None,
            };
            Ok(Expression::Compare(comparison, left, right, fixed, whole))
        };
        match expression {
            Algebra::NamedNode(node) => Ok(Expression::Constant(
                self.context.terms.intern(node.clone().into())?,
            )),
            Algebra::Literal(literal) => Ok(Expression::Constant(
                self.context.terms.intern(literal.clone().into())?,
            )),
            Algebra::Variable(variable) => Ok(self
                .known_slot(variable)
                .map_or(Expression::Constant(UNBOUND), Expression::Slot)),
            Algebra::Bound(variable) => match self.known_slot(variable) {
                Some(slot) => Ok(Expression::Bound(slot)),
                None => Ok(Expression::Constant(self.context.terms.boolean(false)?)),
            },
            Algebra::Not(inner) => Ok(Expression::Not(Box::new(self.native(inner)?))),
            Algebra::And(..) => {
                let parts = conjuncts(expression);
                Ok(Expression::And(
                    parts
                        .into_iter()
                        .map(|part| self.native(part))
                        .collect::<Result<_, _>>()?,
                ))
            }
            Algebra::Or(..) => {
                let parts = disjuncts(expression);
                Ok(Expression::Or(
                    parts
                        .into_iter()
                        .map(|part| self.native(part))
                        .collect::<Result<_, _>>()?,
                ))
            }
            Algebra::SameTerm(left, right) if is_simple(left) && is_simple(right) => {
                let (left, right) = both(left, right)?;
                Ok(Expression::SameTerm(left, right))
            }
            Algebra::Equal(left, right) => compare(Comparison::Equal, left, right),
            Algebra::Less(left, right) => compare(Comparison::Less, left, right),
            Algebra::LessOrEqual(left, right) => compare(Comparison::LessOrEqual, left, right),
            Algebra::Greater(left, right) => compare(Comparison::Greater, left, right),
            Algebra::GreaterOrEqual(left, right) => compare(Comparison::GreaterOrEqual, left, right),
            Algebra::In(left, list) if is_simple(left) && !list.is_empty() => {
                let parts = list
                    .iter()
                    .map(|item| self.native(&Algebra::Equal(left.clone(), Box::new(item.clone()))));
                Ok(Expression::Or(parts.collect::<Result<_, _>>()?))
            }
            Algebra::FunctionCall(function, arguments) => {
                if let (Some(derived), [Algebra::Variable(variable)]) =
                    (derived(function), arguments.as_slice())
                {
                    return Ok(self
                        .known_slot(variable)
                        .map_or(Expression::Constant(UNBOUND), |slot| {
                            Expression::Derived(derived, slot)
                        }));
                }
                match (function, arguments.as_slice()) {
                    (Function::Triple, [subject, predicate, object]) => {
                        let parts = [
                            self.native(subject)?,
                            self.native(predicate)?,
                            self.native(object)?,
                        ];
                        Ok(Expression::Triple(Box::new(parts)))
                    }
                    (Function::Subject, [triple]) => self.part_of(triple, 0),
                    (Function::Predicate, [triple]) => self.part_of(triple, 1),
                    (Function::Object, [triple]) => self.part_of(triple, 2),
                    _ => Ok(Expression::Pipe(Box::new(self.pipe(expression)))),
                }
            }
            _ => Ok(Expression::Pipe(Box::new(self.pipe(expression)))),
        }
    }

    fn part_of(&self, triple: &Algebra, place: usize) -> Result<Expression<'a>, SparqlError> {
        Ok(Expression::PartOf(Box::new(self.native(triple)?), place))
    }

    /// Hands an expression to the engine: its variables become inputs.
    fn pipe(&self, expression: &Algebra) -> Pipe<'a> {
        let mark = |derived| match derived {
            Derived::Str => "#str-",
            Derived::Lang => "#lang-",
            Derived::Datatype => "#datatype-",
        };
        let marked = algebra::map(expression.clone(), &mut |part| match part {
            Algebra::FunctionCall(function, arguments) => match (derived(&function), arguments.as_slice()) {
                (Some(derived), [Algebra::Variable(variable)]) => {
                    Variable::new_unchecked(format!("{}{}", mark(derived), variable.as_str())).into()
                }
                _ => Algebra::FunctionCall(function, arguments),
            },
            other => other,
        });
        let mut inputs = Vec::<PipeInput>::new();
        let mut input = |variable: Variable| {
            let all = [Derived::Str, Derived::Lang, Derived::Datatype];
            let found = all
                .into_iter()
                .find_map(|derived| Some((derived, variable.as_str().strip_prefix(mark(derived))?)));
            let (derived, name) = match found {
                Some((derived, name)) => (Some(derived), Variable::new_unchecked(name)),
                None => (None, variable.clone()),
            };
            // A variable that nothing binds keeps a name that nothing binds.
            let Some(slot) = self.known_slot(&name) else {
                return Variable::new_unchecked("unbound");
            };
            let input = PipeInput { slot, derived };
            let index = inputs
                .iter()
                .position(|known| *known == input)
                .unwrap_or_else(|| {
                    inputs.push(input);
                    inputs.len() - 1
                });
            pipe::variable(index)
        };
        let expression = algebra::map(marked, &mut |part| match part {
            Algebra::Variable(variable) => Algebra::Variable(input(variable)),
            Algebra::Bound(variable) => Algebra::Bound(input(variable)),
            other => other,
        });
        Pipe::new(self.context, expression, inputs, self.base_iri.clone())
    }
}

/// Returns the moment (SPARQL 1.1 Query, section 17.4.5.1).
fn now() -> Algebra {
    let now = oxsdatatypes::DateTime::now().to_string();
    Literal::new_typed_literal(now, xsd::DATE_TIME).into()
}

fn derived(function: &Function) -> Option<Derived> {
    match function {
        Function::Str => Some(Derived::Str),
        Function::Lang => Some(Derived::Lang),
        Function::Datatype => Some(Derived::Datatype),
        _ => None,
    }
}

fn is_simple(expression: &Algebra) -> bool {
    matches!(
        expression,
        Algebra::Variable(_) | Algebra::NamedNode(_) | Algebra::Literal(_)
    )
}

fn disjuncts(expression: &Algebra) -> Vec<&Algebra> {
    let (mut waiting, mut parts) = (vec![expression], Vec::new());
    while let Some(part) = waiting.pop() {
        match part {
            Algebra::Or(left, right) => waiting.extend([&**right, &**left]),
            other => parts.push(other),
        }
    }
    parts
}
