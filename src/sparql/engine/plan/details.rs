//! What operators say that they work on.

use oxigraph::model::{Literal, NamedNode, Term, vocab::rdf};
use spargebra::{
    algebra::Expression as Algebra,
    term::{NamedNodePattern, TermPattern, TriplePattern},
};

use super::Planner;
use crate::{
    remote::Target,
    sparql::{Parameters, engine::algebra},
};

impl Planner<'_, '_> {
    /// Says what an operator works on, if anybody wants to know.
    pub(super) fn detail(&self, of: impl FnOnce(Shown<'_>) -> String) -> String {
        if self.context.is_explained {
            of(Shown { hidden: self.hidden })
        } else {
            String::new()
        }
    }
}

/// What may be shown: everything, or else variables, predicates, classes and functions that are no parameters.
#[derive(Clone, Copy)]
pub(super) struct Shown<'p> {
    /// The parameters, if not everything is shown.
    hidden: Option<&'p Parameters>,
}

impl Shown<'_> {
    pub(super) fn triple(self, pattern: &TriplePattern) -> TriplePattern {
        let is_class =
            matches!(&pattern.predicate, NamedNodePattern::NamedNode(node) if node.as_ref() == rdf::TYPE);
        TriplePattern {
            subject: self.term(&pattern.subject),
            predicate: self.predicate(&pattern.predicate),
            object: match &pattern.object {
                TermPattern::NamedNode(class) if is_class => self.name(class).into(),
                object => self.term(object),
            },
        }
    }

    pub(super) fn term(self, term: &TermPattern) -> TermPattern {
        match term {
            TermPattern::NamedNode(_) if self.hidden.is_some() => some_iri().into(),
            TermPattern::Literal(_) if self.hidden.is_some() => some_literal().into(),
            TermPattern::Triple(triple) => TermPattern::Triple(Box::new(self.triple(triple))),
            shown => shown.clone(),
        }
    }

    pub(super) fn expression(self, expression: &Algebra) -> Algebra {
        if self.hidden.is_none() {
            return expression.clone();
        }
        algebra::map(expression.clone(), &mut |part| match part {
            Algebra::NamedNode(_) => some_iri().into(),
            Algebra::Literal(_) => some_literal().into(),
            // An operator of its own.
            Algebra::Exists(_) => Algebra::Exists(Box::default()),
            part => part,
        })
    }

    /// Says what is sent to an endpoint. What comes after `?` in its URL may be a key.
    pub(super) fn service(self, endpoint: &NamedNode, target: &Target, text: &str) -> String {
        if self.hidden.is_some() {
            let name = self.name(endpoint);
            let end = name.as_str().find(['?', '#']);
            end.map_or_else(
                || name.to_string(),
                |end| format!("<{}?…>", &name.as_str()[..end]),
            )
        } else {
            format!("{target}: {text}")
        }
    }

    /// Says what is sent to endpoints that the rows name.
    pub(super) fn each_service(self, text: &str) -> String {
        let endpoints = "each endpoint that the rows name";
        if self.hidden.is_some() {
            endpoints.to_owned()
        } else {
            format!("{endpoints}: {text}")
        }
    }

    fn predicate(self, predicate: &NamedNodePattern) -> NamedNodePattern {
        match predicate {
            NamedNodePattern::NamedNode(name) => self.name(name).into(),
            NamedNodePattern::Variable(_) => predicate.clone(),
        }
    }

    /// Shows an IRI that is no parameter.
    fn name(self, name: &NamedNode) -> NamedNode {
        let is_parameter = |term: &Term| matches!(term, Term::NamedNode(node) if node == name);
        match self.hidden {
            Some(parameters) if parameters.values().any(is_parameter) => some_iri(),
            _ => name.clone(),
        }
    }
}

fn some_iri() -> NamedNode {
    NamedNode::new_unchecked("…")
}

fn some_literal() -> Literal {
    "…".into()
}
