//! Binds parameters: terms in the place of variables, in the algebra and never in the text.
//!
//! The result is that of the same text with the term written wherever the variable stands, in subqueries too, and a variable
//! that the outermost SELECT names stays in the result, bound to the term. Where no term can be written: a column of VALUES
//! keeps the rows that the term is compatible with, `BOUND` is true, and `GROUP BY` groups by a constant. As in such a text,
//! a variable that only parameters shared no longer joins the two sides of a MINUS.

mod terms;

use std::collections::{BTreeMap, BTreeSet};

use oxigraph::model::{Term, Variable};
use spargebra::{
    GraphUpdateOperation, Query, Update,
    algebra::{AggregateExpression, GraphPattern, OrderExpression},
    term::GroundTerm,
};

use self::terms::{Place, byte_count, constant};
use super::{ParameterFault, SparqlError};

/// Terms for variables, by the variables' names without `?` or `$`.
pub type Parameters = BTreeMap<String, Term>;

/// Bytes of terms that take the places of variables: a long one may stand in many.
const BOUND_BYTES_MAX: usize = 16 << 20;

/// What an algebra names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Names {
    /// All variables; those that the parser made are among them.
    pub(super) variables: BTreeSet<String>,
    /// The graphs of its patterns and templates.
    pub(super) graphs: BTreeSet<String>,
    /// The targets of BIND and AS, which no parameter can be.
    pub(super) assigned: BTreeSet<String>,
}

/// Binds the parameters of a query.
pub(super) fn bind_query(query: &mut Query, parameters: &Parameters) -> Result<(), SparqlError> {
    bind(parameters, |binder| binder.query(query))
}

/// Binds the parameters of an update.
pub(super) fn bind_update(update: &mut Update, parameters: &Parameters) -> Result<(), SparqlError> {
    bind(parameters, |binder| binder.update(update))
}

/// Returns the names in what `walk` walks over, and changes nothing.
pub(super) fn names(walk: impl FnOnce(&mut Binder)) -> Names {
    let mut binder = Binder::default();
    walk(&mut binder);
    binder.names
}

fn bind(parameters: &Parameters, walk: impl FnOnce(&mut Binder)) -> Result<(), SparqlError> {
    if parameters.is_empty() {
        return Ok(());
    }
    let mut binder = Binder::default();
    for (name, term) in parameters {
        match GroundTerm::try_from(term.clone()) {
            Ok(term) => {
                binder.terms.insert(name.clone(), term);
            }
            Err(()) => binder.fault(name, "a blank node cannot be a parameter: it would be a variable"),
        }
    }
    walk(&mut binder);
    for name in parameters.keys() {
        if !binder.names.variables.contains(name) {
            let hint = if name.starts_with(['?', '$']) {
                ": write the name without `?` or `$`"
            } else {
                ""
            };
            binder.fault(name, &format!("the text has no such variable{hint}"));
        }
    }
    if binder.faults.is_empty() {
        Ok(())
    } else {
        Err(SparqlError::Parameters(binder.faults))
    }
}

/// Walks over an algebra, notes its variables, and puts terms in the place of some.
#[derive(Default)]
pub(super) struct Binder {
    terms: BTreeMap<String, GroundTerm>,
    names: Names,
    faults: Vec<ParameterFault>,
    bound_byte_count: usize,
}

impl Binder {
    pub(super) fn query(&mut self, query: &mut Query) {
        match query {
            Query::Select { pattern, .. } | Query::Describe { pattern, .. } => self.outermost(pattern),
            Query::Ask { pattern, .. } => self.pattern(pattern),
            Query::Construct {
                template, pattern, ..
            } => {
                self.triples(template);
                self.pattern(pattern);
            }
        }
    }

    pub(super) fn update(&mut self, update: &mut Update) {
        for operation in &mut update.operations {
            let GraphUpdateOperation::DeleteInsert {
                delete,
                insert,
                pattern,
                ..
            } = operation
            else {
                // The others have no variables.
                continue;
            };
            for quad in delete {
                self.ground_term(&mut quad.subject, Place::Subject);
                self.name(&mut quad.predicate, Place::Predicate);
                self.ground_term(&mut quad.object, Place::Any);
                self.graph_name(&mut quad.graph_name);
            }
            for quad in insert {
                self.term(&mut quad.subject, Place::Subject);
                self.name(&mut quad.predicate, Place::Predicate);
                self.term(&mut quad.object, Place::Any);
                self.graph_name(&mut quad.graph_name);
            }
            self.pattern(pattern);
        }
    }

    /// The pattern of a whole SELECT or DESCRIBE: what it projects stays bound.
    fn outermost(&mut self, pattern: &mut GraphPattern) {
        match pattern {
            GraphPattern::Slice { inner, .. }
            | GraphPattern::Distinct { inner }
            | GraphPattern::Reduced { inner } => self.outermost(inner),
            GraphPattern::Project { inner, variables } => {
                self.pattern(inner);
                // The order is made last: nothing may come between it and the projection.
                let unordered = match inner.as_mut() {
                    GraphPattern::OrderBy { inner, .. } => inner,
                    _ => inner,
                };
                // A key of GROUP BY is there already, and bound.
                let mut in_scope = BTreeSet::new();
                unordered.on_in_scope_variable(|variable| {
                    in_scope.insert(variable.clone());
                });
                for variable in variables.iter() {
                    if let Some(term) = self.visit(variable)
                        && !in_scope.contains(variable)
                    {
                        extend(unordered, variable, term);
                    }
                }
            }
            pattern => self.pattern(pattern),
        }
    }

    fn pattern(&mut self, pattern: &mut GraphPattern) {
        match pattern {
            GraphPattern::Bgp { patterns } => self.triples(patterns),
            GraphPattern::Path { subject, object, .. } => {
                // Paths go backwards too: any term may be an end.
                self.term(subject, Place::Any);
                self.term(object, Place::Any);
            }
            GraphPattern::Join { left, right }
            | GraphPattern::Lateral { left, right }
            | GraphPattern::Union { left, right }
            | GraphPattern::Minus { left, right } => {
                self.pattern(left);
                self.pattern(right);
            }
            GraphPattern::LeftJoin {
                left,
                right,
                expression,
            } => {
                self.pattern(left);
                self.pattern(right);
                if let Some(expression) = expression {
                    self.expression(expression);
                }
            }
            GraphPattern::Filter { expr, inner } => {
                self.expression(expr);
                self.pattern(inner);
            }
            GraphPattern::Graph { name, inner } => {
                self.name(name, Place::GraphName);
                self.pattern(inner);
            }
            GraphPattern::Service { name, inner, .. } => {
                self.name(name, Place::Service);
                self.pattern(inner);
            }
            GraphPattern::Extend {
                inner,
                variable,
                expression,
            } => {
                self.assigned(variable);
                self.expression(expression);
                self.pattern(inner);
            }
            GraphPattern::Values { variables, bindings } => self.values(variables, bindings),
            GraphPattern::OrderBy { inner, expression } => {
                for OrderExpression::Asc(key) | OrderExpression::Desc(key) in expression {
                    self.expression(key);
                }
                self.pattern(inner);
            }
            GraphPattern::Project { inner, variables } => {
                // Around it the term stands in the variable's place.
                variables.retain(|variable| self.visit(variable).is_none());
                self.pattern(inner);
            }
            GraphPattern::Distinct { inner }
            | GraphPattern::Reduced { inner }
            | GraphPattern::Slice { inner, .. } => self.pattern(inner),
            GraphPattern::Group {
                inner,
                variables,
                aggregates,
            } => self.group(inner, variables, aggregates),
        }
    }

    fn values(&mut self, variables: &mut Vec<Variable>, bindings: &mut Vec<Vec<Option<GroundTerm>>>) {
        let columns: Vec<_> = variables.iter().map(|variable| self.visit(variable)).collect();
        bindings.retain(|row| {
            let mut cells = row.iter().zip(&columns);
            cells.all(|cell| !matches!(cell, (Some(cell), Some(term)) if cell != term))
        });
        for (index, _) in columns
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, term)| term.is_some())
        {
            variables.remove(index);
            for row in bindings.iter_mut() {
                row.remove(index);
            }
        }
    }

    fn group(
        &mut self,
        inner: &mut GraphPattern,
        keys: &[Variable],
        aggregates: &mut [(Variable, AggregateExpression)],
    ) {
        self.pattern(inner);
        for (variable, aggregate) in aggregates {
            self.assigned(variable);
            if let AggregateExpression::FunctionCall { expr, .. } = aggregate {
                self.expression(expr);
            }
        }
        // A key less could make a group of nothing.
        for key in keys {
            if let Some(term) = self.visit(key) {
                extend(inner, key, term);
            }
        }
    }

    /// Notes the target of an assignment.
    fn assigned(&mut self, variable: &Variable) {
        if self.visit(variable).is_some() {
            self.fault(
                variable.as_str(),
                "the text assigns this variable with BIND or AS: it cannot be a parameter",
            );
        }
        self.names.assigned.insert(variable.as_str().to_owned());
    }

    /// Notes a variable; returns the term for it where it can stand.
    fn visit_at(&mut self, variable: &Variable, place: Place) -> Option<GroundTerm> {
        let term = self.visit(variable)?;
        let kind = match &term {
            GroundTerm::NamedNode(_) => return Some(term),
            GroundTerm::Literal(_) => "a literal",
            GroundTerm::Triple(_) => "a triple term",
        };
        let place = match place {
            Place::Any => return Some(term),
            Place::Subject => "a subject",
            Place::Predicate => "a predicate",
            Place::GraphName => "the name of a graph",
            Place::Service => "the name of a service",
        };
        self.fault(
            variable.as_str(),
            &format!("{kind} cannot be {place}, where the variable stands: an IRI can"),
        );
        None
    }

    /// Notes a variable and returns the term for it.
    fn visit(&mut self, variable: &Variable) -> Option<GroundTerm> {
        let name = variable.as_str();
        if !self.names.variables.contains(name) {
            self.names.variables.insert(name.to_owned());
        }
        let term = self.terms.get(name)?;
        self.bound_byte_count += byte_count(term);
        if self.bound_byte_count > BOUND_BYTES_MAX {
            self.fault(
                name,
                &format!("the terms take more than {BOUND_BYTES_MAX} bytes in all their places"),
            );
            return None;
        }
        self.terms.get(name).cloned()
    }

    fn fault(&mut self, name: &str, description: &str) {
        let fault = ParameterFault {
            name: name.to_owned(),
            description: description.to_owned(),
        };
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

fn extend(pattern: &mut GraphPattern, variable: &Variable, term: GroundTerm) {
    *pattern = GraphPattern::Extend {
        inner: Box::new(std::mem::take(pattern)),
        variable: variable.clone(),
        expression: constant(term),
    };
}

#[cfg(test)]
mod tests;
