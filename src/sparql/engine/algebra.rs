//! Walks over expressions of the algebra.

use spargebra::algebra::Expression as Algebra;

/// Calls `look` with an expression and all in it, but not what EXISTS asks for.
pub(super) fn each(expression: &Algebra, look: &mut dyn FnMut(&Algebra)) {
    look(expression);
    match expression {
        Algebra::NamedNode(_)
        | Algebra::Literal(_)
        | Algebra::Variable(_)
        | Algebra::Bound(_)
        | Algebra::Exists(_) => {}
        Algebra::Or(a, b)
        | Algebra::And(a, b)
        | Algebra::Equal(a, b)
        | Algebra::SameTerm(a, b)
        | Algebra::Greater(a, b)
        | Algebra::GreaterOrEqual(a, b)
        | Algebra::Less(a, b)
        | Algebra::LessOrEqual(a, b)
        | Algebra::Add(a, b)
        | Algebra::Subtract(a, b)
        | Algebra::Multiply(a, b)
        | Algebra::Divide(a, b) => {
            each(a, look);
            each(b, look);
        }
        Algebra::UnaryPlus(a) | Algebra::UnaryMinus(a) | Algebra::Not(a) => each(a, look),
        Algebra::In(a, list) => {
            each(a, look);
            for item in list {
                each(item, look);
            }
        }
        Algebra::If(a, b, c) => {
            each(a, look);
            each(b, look);
            each(c, look);
        }
        Algebra::Coalesce(list) | Algebra::FunctionCall(_, list) => {
            for item in list {
                each(item, look);
            }
        }
    }
}

/// Returns an expression with `change` done to all parts, the inner ones first.
pub(super) fn map(expression: Algebra, change: &mut dyn FnMut(Algebra) -> Algebra) -> Algebra {
    let mut one = |part: Box<Algebra>| Box::new(map(*part, change));
    let mapped = match expression {
        leaf @ (Algebra::NamedNode(_)
        | Algebra::Literal(_)
        | Algebra::Variable(_)
        | Algebra::Bound(_)
        | Algebra::Exists(_)) => leaf,
        Algebra::Or(a, b) => Algebra::Or(one(a), one(b)),
        Algebra::And(a, b) => Algebra::And(one(a), one(b)),
        Algebra::Equal(a, b) => Algebra::Equal(one(a), one(b)),
        Algebra::SameTerm(a, b) => Algebra::SameTerm(one(a), one(b)),
        Algebra::Greater(a, b) => Algebra::Greater(one(a), one(b)),
        Algebra::GreaterOrEqual(a, b) => Algebra::GreaterOrEqual(one(a), one(b)),
        Algebra::Less(a, b) => Algebra::Less(one(a), one(b)),
        Algebra::LessOrEqual(a, b) => Algebra::LessOrEqual(one(a), one(b)),
        Algebra::Add(a, b) => Algebra::Add(one(a), one(b)),
        Algebra::Subtract(a, b) => Algebra::Subtract(one(a), one(b)),
        Algebra::Multiply(a, b) => Algebra::Multiply(one(a), one(b)),
        Algebra::Divide(a, b) => Algebra::Divide(one(a), one(b)),
        Algebra::UnaryPlus(a) => Algebra::UnaryPlus(one(a)),
        Algebra::UnaryMinus(a) => Algebra::UnaryMinus(one(a)),
        Algebra::Not(a) => Algebra::Not(one(a)),
        Algebra::If(a, b, c) => Algebra::If(one(a), one(b), one(c)),
        Algebra::In(a, list) => {
            let a = one(a);
            Algebra::In(a, list.into_iter().map(|item| map(item, change)).collect())
        }
        Algebra::Coalesce(list) => {
            Algebra::Coalesce(list.into_iter().map(|item| map(item, change)).collect())
        }
        Algebra::FunctionCall(function, list) => {
            Algebra::FunctionCall(function, list.into_iter().map(|item| map(item, change)).collect())
        }
    };
    change(mapped)
}
