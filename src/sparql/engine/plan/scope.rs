//! Which variables a pattern binds, and whether it may be evaluated row by row.

use oxigraph::model::Variable;
use rustc_hash::FxHashSet;
use spargebra::{
    algebra::{Expression, GraphPattern},
    term::{NamedNodePattern, TermPattern, TriplePattern},
};

use crate::sparql::engine::algebra;

/// Names of variables; blank nodes of a pattern are variables too.
pub(in crate::sparql::engine) type Names = FxHashSet<Variable>;

/// Returns the variable that stands for a blank node of a pattern.
pub(in crate::sparql::engine) fn blank_node(label: &str) -> Variable {
    Variable::new_unchecked(format!("_:{label}"))
}

pub(in crate::sparql::engine) fn each_of_term(term: &TermPattern, look: &mut dyn FnMut(Variable)) {
    match term {
        TermPattern::Variable(variable) => look(variable.clone()),
        TermPattern::BlankNode(node) => look(blank_node(node.as_str())),
        TermPattern::Triple(triple) => each_of_triple(triple, look),
        TermPattern::NamedNode(_) | TermPattern::Literal(_) => {}
    }
}

pub(in crate::sparql::engine) fn each_of_triple(triple: &TriplePattern, look: &mut dyn FnMut(Variable)) {
    each_of_term(&triple.subject, look);
    each_of_name(&triple.predicate, look);
    each_of_term(&triple.object, look);
}

fn each_of_name(name: &NamedNodePattern, look: &mut dyn FnMut(Variable)) {
    if let NamedNodePattern::Variable(variable) = name {
        look(variable.clone());
    }
}

/// Returns the variables that a pattern may bind.
pub(in crate::sparql::engine) fn variables(pattern: &GraphPattern) -> Names {
    let mut names = Names::default();
    add_variables(pattern, &mut names);
    names
}

fn add_variables(pattern: &GraphPattern, names: &mut Names) {
    match pattern {
        GraphPattern::Bgp { patterns } => {
            for triple in patterns {
                each_of_triple(triple, &mut |name| {
                    names.insert(name);
                });
            }
        }
        GraphPattern::Path { subject, object, .. } => {
            for end in [subject, object] {
                each_of_term(end, &mut |name| {
                    names.insert(name);
                });
            }
        }
        GraphPattern::Join { left, right }
        | GraphPattern::LeftJoin { left, right, .. }
        | GraphPattern::Lateral { left, right }
        | GraphPattern::Union { left, right } => {
            add_variables(left, names);
            add_variables(right, names);
        }
        GraphPattern::Graph { name, inner } | GraphPattern::Service { name, inner, .. } => {
            each_of_name(name, &mut |name| {
                names.insert(name);
            });
            add_variables(inner, names);
        }
        GraphPattern::Extend { inner, variable, .. } => {
            add_variables(inner, names);
            names.insert(variable.clone());
        }
        GraphPattern::Minus { left: inner, .. }
        | GraphPattern::Filter { inner, .. }
        | GraphPattern::OrderBy { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner }
        | GraphPattern::Slice { inner, .. } => add_variables(inner, names),
        GraphPattern::Values { variables, .. } | GraphPattern::Project { variables, .. } => {
            names.extend(variables.iter().cloned());
        }
        GraphPattern::Group {
            variables,
            aggregates,
            ..
        } => {
            names.extend(variables.iter().cloned());
            names.extend(aggregates.iter().map(|(variable, _)| variable.clone()));
        }
    }
}

/// Returns the variables that every solution of a pattern binds.
pub(in crate::sparql::engine) fn certain(pattern: &GraphPattern) -> Names {
    match pattern {
        GraphPattern::Bgp { .. } | GraphPattern::Path { .. } => variables(pattern),
        GraphPattern::Join { left, right } | GraphPattern::Lateral { left, right } => {
            let mut names = certain(left);
            names.extend(certain(right));
            names
        }
        GraphPattern::Union { left, right } => {
            let right = certain(right);
            certain(left)
                .into_iter()
                .filter(|name| right.contains(name))
                .collect()
        }
        GraphPattern::Graph { name, inner } => {
            let mut names = certain(inner);
            each_of_name(name, &mut |name| {
                names.insert(name);
            });
            names
        }
        GraphPattern::LeftJoin { left: inner, .. }
        | GraphPattern::Minus { left: inner, .. }
        | GraphPattern::Extend { inner, .. }
        | GraphPattern::Filter { inner, .. }
        | GraphPattern::OrderBy { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner }
        | GraphPattern::Slice { inner, .. } => certain(inner),
        GraphPattern::Values { variables, bindings } => variables
            .iter()
            .enumerate()
            .filter(|&(index, _)| bindings.iter().all(|row| row[index].is_some()))
            .map(|(_, name)| name.clone())
            .collect(),
        GraphPattern::Project { inner, variables } | GraphPattern::Group { inner, variables, .. } => {
            let names = certain(inner);
            variables
                .iter()
                .filter(|name| names.contains(name))
                .cloned()
                .collect()
        }
        GraphPattern::Service { .. } => Names::default(),
    }
}

/// Returns the variables of an expression, those of EXISTS included.
pub(in crate::sparql::engine) fn of_expression(expression: &Expression) -> Names {
    let mut names = Names::default();
    algebra::each(expression, &mut |part| match part {
        Expression::Variable(variable) | Expression::Bound(variable) => {
            names.insert(variable.clone());
        }
        Expression::Exists(pattern) => all_of(pattern, &mut names),
        _ => {}
    });
    names
}

/// Adds every variable that a pattern mentions, in filters too.
fn all_of(pattern: &GraphPattern, names: &mut Names) {
    add_variables(pattern, names);
    match pattern {
        GraphPattern::Filter { expr, inner } => {
            names.extend(of_expression(expr));
            all_of(inner, names);
        }
        GraphPattern::LeftJoin {
            left,
            right,
            expression,
        } => {
            names.extend(expression.iter().flat_map(of_expression));
            all_of(left, names);
            all_of(right, names);
        }
        GraphPattern::Extend {
            inner, expression, ..
        } => {
            names.extend(of_expression(expression));
            all_of(inner, names);
        }
        GraphPattern::Join { left, right }
        | GraphPattern::Union { left, right }
        | GraphPattern::Lateral { left, right }
        | GraphPattern::Minus { left, right } => {
            all_of(left, names);
            all_of(right, names);
        }
        GraphPattern::Graph { inner, .. } => all_of(inner, names),
        _ => {}
    }
}

/// Tells whether EXISTS stands in an expression.
pub(in crate::sparql::engine) fn has_exists(expression: &Expression) -> bool {
    let mut has = false;
    algebra::each(expression, &mut |part| {
        has |= matches!(part, Expression::Exists(_));
    });
    has
}

/// Tells whether an expression over a pattern mentions nothing that is bound outside and maybe not inside.
pub(in crate::sparql::engine) fn sees_no_more(
    expression: &Expression,
    inner: &GraphPattern,
    outer: &Names,
    substituted: &Names,
) -> bool {
    let mut foreign = of_expression(expression);
    foreign.retain(|name| outer.contains(name) && !substituted.contains(name));
    if foreign.is_empty() {
        return true;
    }
    let inside = certain(inner);
    foreign.iter().all(|name| inside.contains(name))
}

/// Tells whether a pattern has the same solutions when the variables in `outer` are bound beforehand, row by row, as when it
/// is evaluated by itself and joined afterwards.
///
/// `substituted`: as EXISTS has it, filters see what is bound outside (SPARQL 1.1 Query, section 18.6).
pub(in crate::sparql::engine) fn is_seedable(
    pattern: &GraphPattern,
    outer: &Names,
    substituted: &Names,
) -> bool {
    match pattern {
        GraphPattern::Bgp { .. } | GraphPattern::Path { .. } | GraphPattern::Values { .. } => true,
        GraphPattern::Join { left, right } | GraphPattern::Union { left, right } => {
            is_seedable(left, outer, substituted) && is_seedable(right, outer, substituted)
        }
        GraphPattern::LeftJoin {
            left,
            right,
            expression,
        } => {
            let inside = certain(left);
            let is_well_designed = variables(right)
                .iter()
                .all(|name| !outer.contains(name) || substituted.contains(name) || inside.contains(name));
            is_well_designed
                && is_seedable(left, outer, substituted)
                && is_seedable(right, outer, substituted)
                && expression
                    .as_ref()
                    .is_none_or(|expression| sees_no_more(expression, left, outer, substituted))
        }
        GraphPattern::Minus { left, right } => {
            let inside = certain(left);
            variables(right)
                .iter()
                .all(|name| !outer.contains(name) || inside.contains(name))
                && is_seedable(left, outer, substituted)
        }
        GraphPattern::Filter { expr, inner } => {
            is_seedable(inner, outer, substituted) && sees_no_more(expr, inner, outer, substituted)
        }
        GraphPattern::Extend {
            inner,
            variable,
            expression,
        } => {
            !outer.contains(variable)
                && is_seedable(inner, outer, substituted)
                && sees_no_more(expression, inner, outer, substituted)
        }
        GraphPattern::Graph { inner, .. } => is_seedable(inner, outer, substituted),
        GraphPattern::Project { inner, variables } => {
            let outer = variables
                .iter()
                .filter(|name| outer.contains(name))
                .cloned()
                .collect();
            is_seedable(inner, &outer, substituted)
        }
        GraphPattern::Lateral { .. }
        | GraphPattern::OrderBy { .. }
        | GraphPattern::Distinct { .. }
        | GraphPattern::Reduced { .. }
        | GraphPattern::Slice { .. }
        | GraphPattern::Group { .. }
        | GraphPattern::Service { .. } => false,
    }
}
