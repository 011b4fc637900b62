//! Terms, triples and expressions, in which variables stand.

use oxigraph::model::NamedNode;
use spargebra::{
    algebra::{Expression, Function},
    term::{
        GraphNamePattern, GroundTerm, GroundTermPattern, GroundTriple, GroundTriplePattern, NamedNodePattern,
        TermPattern, TriplePattern,
    },
};

use super::Binder;

/// Where a variable stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// Where any term may stand.
    Any,
    Subject,
    Predicate,
    GraphName,
    Service,
}

impl Binder {
    pub(super) fn triples(&mut self, triples: &mut [TriplePattern]) {
        for triple in triples {
            self.triple(triple);
        }
    }

    fn triple(&mut self, triple: &mut TriplePattern) {
        self.term(&mut triple.subject, Place::Subject);
        self.name(&mut triple.predicate, Place::Predicate);
        self.term(&mut triple.object, Place::Any);
    }

    pub(super) fn term(&mut self, term: &mut TermPattern, place: Place) {
        match term {
            TermPattern::Variable(variable) => {
                if let Some(bound) = self.visit_at(variable, place) {
                    *term = GroundTermPattern::from(bound).into();
                }
            }
            TermPattern::Triple(triple) => self.triple(triple),
            TermPattern::NamedNode(_) | TermPattern::BlankNode(_) | TermPattern::Literal(_) => {}
        }
    }

    pub(super) fn ground_term(&mut self, term: &mut GroundTermPattern, place: Place) {
        match term {
            GroundTermPattern::Variable(variable) => {
                if let Some(bound) = self.visit_at(variable, place) {
                    *term = bound.into();
                }
            }
            GroundTermPattern::Triple(triple) => {
                let GroundTriplePattern {
                    subject,
                    predicate,
                    object,
                } = triple.as_mut();
                self.ground_term(subject, Place::Subject);
                self.name(predicate, Place::Predicate);
                self.ground_term(object, Place::Any);
            }
            GroundTermPattern::NamedNode(_) | GroundTermPattern::Literal(_) => {}
        }
    }

    pub(super) fn name(&mut self, name: &mut NamedNodePattern, place: Place) {
        if let NamedNodePattern::Variable(variable) = name
            && let Some(GroundTerm::NamedNode(bound)) = self.visit_at(variable, place)
        {
            *name = bound.into();
        }
        if let (NamedNodePattern::NamedNode(name), Place::GraphName) = (name, place) {
            self.names.graphs.insert(name.as_str().to_owned());
        }
    }

    pub(super) fn graph_name(&mut self, name: &mut GraphNamePattern) {
        match name {
            GraphNamePattern::Variable(variable) => {
                if let Some(GroundTerm::NamedNode(bound)) = self.visit_at(variable, Place::GraphName) {
                    *name = bound.into();
                }
            }
            GraphNamePattern::NamedNode(name) => {
                self.names.graphs.insert(name.as_str().to_owned());
            }
            GraphNamePattern::DefaultGraph => {}
        }
    }

    pub(super) fn expression(&mut self, expression: &mut Expression) {
        match expression {
            Expression::NamedNode(_) | Expression::Literal(_) => {}
            Expression::Variable(variable) => {
                if let Some(term) = self.visit(variable) {
                    *expression = constant(term);
                }
            }
            Expression::Bound(variable) => {
                if self.visit(variable).is_some() {
                    *expression = Expression::Literal(true.into());
                }
            }
            Expression::Or(left, right)
            | Expression::And(left, right)
            | Expression::Equal(left, right)
            | Expression::SameTerm(left, right)
            | Expression::Greater(left, right)
            | Expression::GreaterOrEqual(left, right)
            | Expression::Less(left, right)
            | Expression::LessOrEqual(left, right)
            | Expression::Add(left, right)
            | Expression::Subtract(left, right)
            | Expression::Multiply(left, right)
            | Expression::Divide(left, right) => {
                self.expression(left);
                self.expression(right);
            }
            Expression::UnaryPlus(inner) | Expression::UnaryMinus(inner) | Expression::Not(inner) => {
                self.expression(inner);
            }
            Expression::If(condition, yes, no) => {
                self.expression(condition);
                self.expression(yes);
                self.expression(no);
            }
            Expression::In(left, list) => {
                self.expression(left);
                self.expressions(list);
            }
            Expression::Coalesce(list) | Expression::FunctionCall(_, list) => self.expressions(list),
            Expression::Exists(pattern) => self.pattern(pattern),
        }
    }

    fn expressions(&mut self, list: &mut [Expression]) {
        for expression in list {
            self.expression(expression);
        }
    }
}

/// Returns the expression whose value is a term.
pub(super) fn constant(term: GroundTerm) -> Expression {
    match term {
        GroundTerm::NamedNode(node) => node.into(),
        GroundTerm::Literal(literal) => literal.into(),
        GroundTerm::Triple(triple) => {
            let GroundTriple {
                subject,
                predicate,
                object,
            } = *triple;
            let parts = vec![subject.into(), predicate.into(), constant(object)];
            Expression::FunctionCall(Function::Triple, parts)
        }
    }
}

/// Returns the bytes of the texts of a term.
pub(super) fn byte_count(term: &GroundTerm) -> usize {
    let iri = |node: &NamedNode| node.as_str().len();
    match term {
        GroundTerm::NamedNode(node) => iri(node),
        GroundTerm::Literal(literal) => literal.value().len() + literal.datatype().as_str().len(),
        GroundTerm::Triple(triple) => {
            iri(&triple.subject) + iri(&triple.predicate) + byte_count(&triple.object)
        }
    }
}
