//! SERVICE in an update: what the endpoints answer, before the writer has the update.
//!
//! A SERVICE that names its endpoint is evaluated by itself, whatever is around it and whatever the graph holds (SPARQL 1.1
//! Federated Query, section 2). So its solutions can be had beforehand, and the writer waits for no endpoint.

use std::collections::{HashMap, hash_map::Entry};

use oxigraph::model::{NamedNode, Term};
use rustc_hash::FxHashMap;
use spargebra::{
    GraphUpdateOperation, Update,
    algebra::{AggregateExpression, Expression, GraphPattern, OrderExpression},
    term::NamedNodePattern,
};

use super::{
    super::{Interrupt, SparqlError, memory::Account, update},
    algebra,
    batch::UNBOUND,
    context::{Context, Graphs},
    operator::Base,
    plan::Planner,
    service::{Question, Service, Solutions},
    terms::made_index,
};
use crate::{
    graph::Snapshot,
    remote::{RemoteSettings, Target},
};

/// What every SERVICE of an update came to.
#[derive(Debug, Default)]
pub(in crate::sparql) struct Answers(FxHashMap<Clause, Answer>);

/// A SERVICE. Where one is written twice, its endpoint is asked once.
#[derive(Debug, Eq, Hash, PartialEq)]
struct Clause {
    endpoint: String,
    /// The text that is sent.
    text: String,
    is_silent: bool,
}

/// Solutions on their way to the writer.
#[derive(Debug)]
struct Answer {
    target: Target,
    /// The distinct terms.
    terms: Vec<Term>,
    /// For each solution and variable the place of its term; `None`: unbound.
    cells: Vec<Option<u32>>,
    count: usize,
    /// Both are accounted for until they are dropped.
    _accounts: [Account; 2],
}

impl Answers {
    /// Asks what an update's SERVICEs ask, one after the other; nobody, if one of them must not be asked.
    ///
    /// Blocks as long as the endpoints take, within the deadline.
    pub(in crate::sparql) fn ask(
        update: &Update,
        remote: &RemoteSettings,
        interrupt: &Interrupt,
    ) -> Result<Self, SparqlError> {
        // Solutions get numbers as if there were no graph.
        let snapshot = Snapshot::default();
        let context = || Context::new(&snapshot, Graphs::default(), interrupt.clone(), remote, false);
        let naming = context();
        let mut questions = Vec::new();
        let (mut text_bytes, mut account) = (0, naming.budget.account());
        for operation in &update.operations {
            if let GraphUpdateOperation::DeleteInsert { pattern, .. } = operation {
                each_service(pattern, &mut |name, inner, is_silent| {
                    let endpoint = endpoint(name)?;
                    let target = naming.service(endpoint.as_str())?;
                    let question = Planner::new(&naming, None).question(inner, is_silent)?;
                    text_bytes += 2 * question.text.len();
                    account.set(text_bytes)?;
                    questions.push((Clause::of(endpoint, &question), question, target));
                    Ok(())
                })?;
            }
        }
        let mut answers = Self::default();
        for (clause, question, target) in questions {
            if let Entry::Vacant(place) = answers.0.entry(clause) {
                place.insert(Answer::ask(context(), &question, target)?);
            }
        }
        Ok(answers)
    }

    /// Returns the operator of a SERVICE, and how many solutions it has.
    pub(super) fn service(
        &self,
        planner: &Planner<'_, '_>,
        endpoint: &NamedNode,
        question: Question,
        base: Base,
    ) -> Result<(Service, f64), SparqlError> {
        let answer = self.0.get(&Clause::of(endpoint, &question));
        let answer = answer.ok_or_else(|| SparqlError::Unsupported("SERVICE".to_owned()))?;
        let solutions = answer.solutions(planner.context)?;
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let estimate = solutions.count as f64;
        let target = answer.target.clone();
        let detail = planner.detail_of_service(endpoint, &target, &question);
        let service = Service::new(question, target, base, detail).answered(solutions);
        Ok((service, estimate))
    }
}

/// Returns the endpoint of a SERVICE, if it is known before there is a row.
fn endpoint(name: &NamedNodePattern) -> Result<&NamedNode, SparqlError> {
    match name {
        NamedNodePattern::NamedNode(endpoint) => Ok(endpoint),
        NamedNodePattern::Variable(variable) => Err(SparqlError::Unsupported(format!(
            "SERVICE {variable} in an update, where an endpoint is asked before there are rows that could name it,"
        ))),
    }
}

impl Clause {
    fn of(endpoint: &NamedNode, question: &Question) -> Self {
        Self {
            endpoint: endpoint.as_str().to_owned(),
            text: question.text.clone(),
            is_silent: question.is_silent,
        }
    }
}

impl Answer {
    fn ask(context: Context<'_>, question: &Question, target: Target) -> Result<Self, SparqlError> {
        let Solutions {
            cells,
            count,
            mut account,
        } = question.ask(&context, &target)?;
        account.set((cells.capacity() + cells.len()) * size_of::<Option<u32>>())?;
        let place = |cell: u32| made_index(cell).and_then(|index| u32::try_from(index).ok());
        let cells: Vec<_> = cells.into_iter().map(place).collect();
        let terms = std::rc::Rc::into_inner(context.terms)
            .ok_or_else(|| SparqlError::Internal("the terms of a SERVICE are in use".to_owned()))?;
        let (terms, terms_account) = terms.into_made();
        Ok(Self {
            target,
            terms,
            cells,
            count,
            _accounts: [account, terms_account],
        })
    }

    /// Returns the solutions as numbers of a run. Their blank nodes are new ones: two SERVICEs share none.
    fn solutions(&self, context: &Context<'_>) -> Result<Solutions, SparqlError> {
        let mut nodes = HashMap::new();
        let mut numbers = Vec::with_capacity(self.terms.len());
        for term in &self.terms {
            context.tick()?;
            numbers.push(context.terms.intern(update::fresh_term(term, &mut nodes))?);
        }
        let mut account = context.budget.account();
        account.set(self.cells.len() * size_of::<u32>())?;
        context.ticks(self.cells.len())?;
        let number = |&place: &Option<u32>| place.map_or(UNBOUND, |place| numbers[place as usize]);
        Ok(Solutions {
            cells: self.cells.iter().map(number).collect(),
            count: self.count,
            account,
        })
    }
}

type Look<'l> = dyn FnMut(&NamedNodePattern, &GraphPattern, bool) -> Result<(), SparqlError> + 'l;

/// Calls `look` with each SERVICE of a pattern, those in EXISTS included, but not with those that an endpoint is to ask.
fn each_service(pattern: &GraphPattern, look: &mut Look<'_>) -> Result<(), SparqlError> {
    match pattern {
        GraphPattern::Service { name, inner, silent } => look(name, inner, *silent),
        GraphPattern::Bgp { .. } | GraphPattern::Path { .. } | GraphPattern::Values { .. } => Ok(()),
        GraphPattern::Join { left, right }
        | GraphPattern::Lateral { left, right }
        | GraphPattern::Union { left, right }
        | GraphPattern::Minus { left, right } => {
            each_service(left, look)?;
            each_service(right, look)
        }
        GraphPattern::LeftJoin {
            left,
            right,
            expression,
        } => {
            each_service(left, look)?;
            each_service(right, look)?;
            in_expressions(expression, look)
        }
        GraphPattern::Filter {
            expr: expression,
            inner,
        }
        | GraphPattern::Extend {
            inner, expression, ..
        } => {
            each_service(inner, look)?;
            in_expressions([expression], look)
        }
        GraphPattern::OrderBy { inner, expression } => {
            each_service(inner, look)?;
            let keys = expression.iter().map(|key| match key {
                OrderExpression::Asc(key) | OrderExpression::Desc(key) => key,
            });
            in_expressions(keys, look)
        }
        GraphPattern::Group {
            inner, aggregates, ..
        } => {
            each_service(inner, look)?;
            let expressions = aggregates.iter().filter_map(|(_, aggregate)| match aggregate {
                AggregateExpression::FunctionCall { expr, .. } => Some(expr),
                AggregateExpression::CountSolutions { .. } => None,
            });
            in_expressions(expressions, look)
        }
        GraphPattern::Graph { inner, .. }
        | GraphPattern::Project { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner }
        | GraphPattern::Slice { inner, .. } => each_service(inner, look),
    }
}

fn in_expressions<'e>(
    expressions: impl IntoIterator<Item = &'e Expression>,
    look: &mut Look<'_>,
) -> Result<(), SparqlError> {
    let mut outcome = Ok(());
    for expression in expressions {
        algebra::each(expression, &mut |part| {
            if let Expression::Exists(pattern) = part
                && outcome.is_ok()
            {
                outcome = each_service(pattern, look);
            }
        });
    }
    outcome
}
