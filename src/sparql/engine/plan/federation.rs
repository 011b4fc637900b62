//! SERVICE: what is sent, and how its answer is joined.

use std::fmt::{self, Write as _};

use oxigraph::model::{NamedNode, Variable};
use spargebra::{Query, algebra::GraphPattern, term::NamedNodePattern};

use super::{Input, Planner, scope};
use crate::{
    remote::Target,
    sparql::{
        SparqlError,
        engine::{
            operator::Node,
            service::{EachService, Question, Service, unbound},
        },
    },
};

/// Solutions that an endpoint is expected to have.
pub(super) const SOLUTION_COUNT: f64 = 1_000.0;
/// Bytes of the text that is sent, in which no IRI is abbreviated.
const TEXT_BYTES_MAX: usize = 1 << 20;

impl<'a> Planner<'_, 'a> {
    /// Plans a SERVICE: alone if it names its endpoint, else on top of the rows that do.
    pub(super) fn compile_service(
        &mut self,
        name: &NamedNodePattern,
        inner: &GraphPattern,
        is_silent: bool,
        mut input: Input<'a>,
    ) -> Result<Input<'a>, SparqlError> {
        // What comes has terms that live as long as the plan.
        self.makes_terms = true;
        self.holds_rows();
        let question = self.question(inner, is_silent)?;
        let slots = question.slots.clone();
        if !is_silent {
            let certain = question.certain.iter().filter_map(|name| self.known_slot(name));
            input.certain.extend(certain);
        }
        match name {
            NamedNodePattern::NamedNode(endpoint) => {
                let base = self.base.clone();
                let (service, estimate) = if let Some(answers) = self.context.answers {
                    answers.service(self, endpoint, question, base)?
                } else {
                    let target = self.context.service(endpoint.as_str())?;
                    let detail = self.detail_of_service(endpoint, &target, &question);
                    (Service::new(question, target, base, detail), SOLUTION_COUNT)
                };
                input.node = Node::new(service, estimate);
            }
            NamedNodePattern::Variable(variable) => {
                let slot = self
                    .known_slot(variable)
                    .filter(|slot| input.possible.contains(slot))
                    .ok_or_else(unbound)?;
                let estimate = input.node.estimate() * SOLUTION_COUNT;
                let detail = self.detail(|shown| shown.each_service(&question.text));
                input.node = Node::new(EachService::new(input.node, question, slot, detail), estimate);
                input.certain.insert(slot);
            }
        }
        input.possible.extend(slots);
        input.is_start = false;
        Ok(input)
    }

    pub(in crate::sparql::engine) fn detail_of_service(
        &self,
        endpoint: &NamedNode,
        target: &Target,
        question: &Question,
    ) -> String {
        self.detail(|shown| shown.service(endpoint, target, &question.text))
    }

    /// Returns what a SERVICE asks its endpoint: the same, whatever is around it.
    pub(in crate::sparql::engine) fn question(
        &mut self,
        inner: &GraphPattern,
        is_silent: bool,
    ) -> Result<Question, SparqlError> {
        let variables = visible(inner);
        let pattern = GraphPattern::Project {
            inner: Box::new(grouped(inner.clone())),
            variables: variables.clone(),
        };
        let query = Query::Select {
            dataset: None,
            pattern,
            base_iri: None,
        };
        let mut certain: Vec<_> = scope::certain(inner).into_iter().filter(is_named).collect();
        certain.sort_unstable();
        let mut text = Text(String::new());
        write!(text, "{query}").map_err(|_| SparqlError::ValueTooLarge {
            limit: "service_bytes_max",
            limit_value: TEXT_BYTES_MAX as u64,
        })?;
        Ok(Question {
            text: text.0,
            slots: variables.iter().map(|name| self.slot(name)).collect(),
            variables,
            certain: if is_silent { Vec::new() } else { certain },
            is_silent,
        })
    }
}

/// A text that ends at its limit.
struct Text(String);

impl fmt::Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.0.len() + part.len() > TEXT_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(part);
        Ok(())
    }
}

fn is_named(variable: &Variable) -> bool {
    !variable.as_str().starts_with("_:")
}

fn visible(pattern: &GraphPattern) -> Vec<Variable> {
    let mut variables: Vec<_> = scope::variables(pattern).into_iter().filter(is_named).collect();
    variables.sort_unstable();
    variables
}

/// Puts filters into a group of their own where the text of the algebra would have them in the group around.
fn grouped(pattern: GraphPattern) -> GraphPattern {
    let inside = |pattern: Box<GraphPattern>| Box::new(grouped(*pattern));
    let alone = |pattern: Box<GraphPattern>| {
        Box::new(match grouped(*pattern) {
            filter @ GraphPattern::Filter { .. } => GraphPattern::Project {
                variables: visible(&filter),
                inner: Box::new(filter),
            },
            other => other,
        })
    };
    match pattern {
        GraphPattern::Join { left, right } => GraphPattern::Join {
            left: alone(left),
            right: inside(right),
        },
        GraphPattern::LeftJoin {
            left,
            right,
            expression,
        } => GraphPattern::LeftJoin {
            left: alone(left),
            right: alone(right),
            expression,
        },
        GraphPattern::Lateral { left, right } => GraphPattern::Lateral {
            left: alone(left),
            right: inside(right),
        },
        GraphPattern::Minus { left, right } => GraphPattern::Minus {
            left: alone(left),
            right: inside(right),
        },
        GraphPattern::Extend {
            inner,
            variable,
            expression,
        } => GraphPattern::Extend {
            inner: alone(inner),
            variable,
            expression,
        },
        GraphPattern::Union { left, right } => GraphPattern::Union {
            left: inside(left),
            right: inside(right),
        },
        GraphPattern::Filter { expr, inner } => GraphPattern::Filter {
            expr,
            inner: inside(inner),
        },
        GraphPattern::Graph { name, inner } => GraphPattern::Graph {
            name,
            inner: inside(inner),
        },
        GraphPattern::Service { name, inner, silent } => GraphPattern::Service {
            name,
            inner: inside(inner),
            silent,
        },
        GraphPattern::Project { inner, variables } => GraphPattern::Project {
            inner: inside(inner),
            variables,
        },
        GraphPattern::Distinct { inner } => GraphPattern::Distinct { inner: inside(inner) },
        GraphPattern::Reduced { inner } => GraphPattern::Reduced { inner: inside(inner) },
        GraphPattern::OrderBy { inner, expression } => GraphPattern::OrderBy {
            inner: inside(inner),
            expression,
        },
        GraphPattern::Slice { inner, start, length } => GraphPattern::Slice {
            inner: inside(inner),
            start,
            length,
        },
        GraphPattern::Group {
            inner,
            variables,
            aggregates,
        } => GraphPattern::Group {
            inner: inside(inner),
            variables,
            aggregates,
        },
        leaf @ (GraphPattern::Bgp { .. } | GraphPattern::Path { .. } | GraphPattern::Values { .. }) => leaf,
    }
}

#[cfg(test)]
mod tests {
    use spargebra::SparqlParser;

    use super::*;

    #[test]
    fn filters_keep_their_group_in_the_text() {
        let check = |text: &str, is_changed: bool| {
            let Ok(Query::Select { pattern, .. }) = SparqlParser::new().parse_query(text) else {
                panic!("{text}");
            };
            let query = |pattern| Query::Select {
                dataset: None,
                pattern,
                base_iri: None,
            };
            let sent = query(grouped(pattern.clone()));
            assert_eq!(sent != query(pattern), is_changed, "{text}");
            let read = SparqlParser::new().parse_query(&sent.to_string());
            assert_eq!(read.unwrap(), sent, "{text}");
        };
        check("SELECT ?a { ?a <e:p> ?b FILTER(?b > 1) }", false);
        check("SELECT ?a { { ?a <e:p> ?b FILTER(?b > ?c) } ?c <e:q> ?a }", true);
        check(
            "SELECT ?a { { ?a <e:p> ?b FILTER(?b > 1) } OPTIONAL { { ?a <e:q> ?c FILTER(?b > 2) } } }",
            true,
        );
        check(
            "SELECT ?a { ?a <e:p> ?b OPTIONAL { ?a <e:q> ?c FILTER(?b > 2) } }",
            false,
        );
        check(
            "SELECT ?a { { ?a <e:p> ?b } UNION { ?a <e:q>/<e:r>* ?b } ?b <e:s> 'a\\n\"'@en }",
            false,
        );
    }
}
