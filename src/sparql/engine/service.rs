//! SERVICE: solutions that another endpoint has (SPARQL 1.1 Federated Query).

use std::{collections::HashMap, rc::Rc};

use oxigraph::{
    model::{Term, Variable},
    sparql::results::{QueryResultsFormat, QueryResultsParser, SliceQueryResultsParserOutput},
};
use rustc_hash::FxHashMap;

use super::{
    super::{SparqlError, memory::Account, remote, update},
    batch::{Batch, Slot, UNBOUND, rows_at_once, rows_below},
    context::Context,
    operator::{Base, Description, Node, Operator},
};
use crate::remote::{Request, Target};

/// Endpoints that one SERVICE with a variable asks.
const ENDPOINT_COUNT_MAX: usize = 16;
/// Variables that an endpoint may add to those that it was asked for: each takes room in every row.
const ADDED_VARIABLE_COUNT_MAX: usize = 64;
/// The formats that are read. The parser of the XML format is slow on hostile input, and every endpoint has JSON.
const ACCEPT: &str = "application/sparql-results+json, text/tab-separated-values;q=0.5";

/// What an endpoint is asked, and where its answer goes.
pub(super) struct Question {
    /// A SELECT of the variables.
    pub(super) text: String,
    pub(super) variables: Vec<Variable>,
    /// One for each variable.
    pub(super) slots: Vec<Slot>,
    /// Variables that each solution must bind.
    pub(super) certain: Vec<Variable>,
    /// A failure is one solution that binds nothing (section 4).
    pub(super) is_silent: bool,
}

/// Solutions that came from an endpoint.
pub(super) struct Solutions {
    /// As many for each as there are slots.
    pub(super) cells: Vec<u32>,
    pub(super) count: usize,
    pub(super) account: Account,
}

impl Question {
    pub(super) fn ask(&self, context: &Context<'_>, target: &Target) -> Result<Solutions, SparqlError> {
        match self.solutions(context, target) {
            Err(SparqlError::Remote { .. }) if self.is_silent => Ok(Solutions {
                cells: vec![UNBOUND; self.slots.len()],
                count: 1,
                account: context.budget.account(),
            }),
            outcome => outcome,
        }
    }

    fn solutions(&self, context: &Context<'_>, target: &Target) -> Result<Solutions, SparqlError> {
        let request = Request::Post {
            accept: ACCEPT,
            content_type: "application/sparql-query",
            body: &self.text,
        };
        let limits = context.remote.limits;
        let (answer, _body) = remote::fetch(target, request, limits, &context.interrupt, &context.budget)?;
        let fault = |message: String| SparqlError::Remote {
            url: target.to_string(),
            message,
        };
        let syntax = |error: &dyn std::fmt::Display| fault(format!("its results do not parse: {error}"));
        let media_type = answer.media_type.unwrap_or_default();
        let format = QueryResultsFormat::from_media_type(&media_type)
            .filter(|format| matches!(format, QueryResultsFormat::Json | QueryResultsFormat::Tsv))
            .ok_or_else(|| {
                fault(format!(
                    "it sent no SPARQL results in JSON or TSV but `{media_type}`"
                ))
            })?;
        let parser = QueryResultsParser::from_format(format);
        let parsed = parser.for_slice(&answer.body).map_err(|error| syntax(&error))?;
        let SliceQueryResultsParserOutput::Solutions(rows) = parsed else {
            return Err(fault("it answered a SELECT with a boolean".to_owned()));
        };
        if rows.variables().len() > self.slots.len() + ADDED_VARIABLE_COUNT_MAX {
            return Err(fault(format!(
                "its results have {} variables, of which {} were asked for",
                rows.variables().len(),
                self.slots.len()
            )));
        }
        let mut solutions = Solutions {
            cells: Vec::new(),
            count: 0,
            account: context.budget.account(),
        };
        let mut nodes = HashMap::new();
        for row in rows {
            context.ticks(1 + self.slots.len())?;
            let row = row.map_err(|error| syntax(&error))?;
            if let Some(name) = self.certain.iter().find(|&name| row.get(name).is_none()) {
                return Err(fault(format!("a solution of its leaves {name} unbound")));
            }
            for variable in &self.variables {
                let term: Option<&Term> = row.get(variable);
                solutions.cells.push(match term {
                    Some(term) => context.terms.intern(update::fresh_term(term, &mut nodes))?,
                    None => UNBOUND,
                });
            }
            solutions.count += 1;
            solutions
                .account
                .set(solutions.cells.capacity() * size_of::<u32>())?;
        }
        // The text may have been long, and the rows few.
        context.check()?;
        Ok(solutions)
    }

    /// Continues a row by a solution, if they bind nothing to two terms.
    fn join(&self, solutions: &Solutions, index: usize, row: &[u32], out: &mut Batch) {
        let cells = &solutions.cells[index * self.slots.len()..];
        let pairs = || self.slots.iter().zip(cells);
        if pairs().any(|(&slot, &cell)| cell != UNBOUND && row[slot] != UNBOUND && row[slot] != cell) {
            return;
        }
        let row = out.push(row);
        for (&slot, &cell) in pairs().filter(|&(_, &cell)| cell != UNBOUND) {
            row[slot] = cell;
        }
    }
}

/// SERVICE with an IRI: asks once, however often it is opened.
pub(super) struct Service {
    question: Question,
    target: Target,
    base: Base,
    detail: String,
    seed: Rc<Batch>,
    solutions: Option<Solutions>,
    at: usize,
}

impl Service {
    pub(super) fn new(question: Question, target: Target, base: Base, detail: String) -> Self {
        Self {
            question,
            target,
            base,
            detail,
            seed: Rc::default(),
            solutions: None,
            at: 0,
        }
    }

    /// Returns it with its solutions, so that it asks nobody.
    pub(super) fn answered(self, solutions: Solutions) -> Self {
        Self {
            solutions: Some(solutions),
            ..self
        }
    }
}

impl<'a> Operator<'a> for Service {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.seed = self.base.seed(seed);
        self.at = 0;
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        let solutions = match &mut self.solutions {
            Some(solutions) => solutions,
            none => none.insert(self.question.ask(context, &self.target)?),
        };
        let width = self.seed.width();
        let mut out = Batch::new(width);
        while self.at < solutions.count && !self.seed.is_empty() && out.len() < rows_at_once(wanted, width) {
            context.tick()?;
            self.question.join(solutions, self.at, self.seed.row(0), &mut out);
            self.at += 1;
        }
        Ok((!out.is_empty()).then_some(out))
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: "Service",
            detail: self.detail.clone(),
            children: Vec::new(),
        }
    }
}

/// SERVICE with a variable: asks each endpoint that the rows name, once.
pub(super) struct EachService<'a> {
    input: Node<'a>,
    question: Question,
    /// The variable.
    endpoint: Slot,
    detail: String,
    solutions: FxHashMap<u32, Rc<Solutions>>,
    rows: Batch,
    at: usize,
    next_solution: usize,
}

impl<'a> EachService<'a> {
    pub(super) fn new(input: Node<'a>, question: Question, endpoint: Slot, detail: String) -> Self {
        Self {
            input,
            question,
            endpoint,
            detail,
            solutions: FxHashMap::default(),
            rows: Batch::default(),
            at: 0,
            next_solution: 0,
        }
    }

    fn solutions(&mut self, context: &Context<'a>, endpoint: u32) -> Result<Rc<Solutions>, SparqlError> {
        if let Some(solutions) = self.solutions.get(&endpoint) {
            return Ok(Rc::clone(solutions));
        }
        if endpoint == UNBOUND {
            return Err(unbound());
        }
        let Term::NamedNode(name) = context.terms.term(endpoint) else {
            return Err(SparqlError::Evaluation(
                "the variable of a SERVICE is bound to what is no IRI".to_owned(),
            ));
        };
        let target = context.service(name.as_str())?;
        if self.solutions.len() >= ENDPOINT_COUNT_MAX {
            return Err(SparqlError::Evaluation(format!(
                "a SERVICE with a variable asks at most {ENDPOINT_COUNT_MAX} endpoints"
            )));
        }
        let solutions = Rc::new(self.question.ask(context, &target)?);
        self.solutions.insert(endpoint, Rc::clone(&solutions));
        Ok(solutions)
    }
}

/// Returns the error of a SERVICE whose variable has no value.
pub(super) fn unbound() -> SparqlError {
    SparqlError::Evaluation("nothing in the group of a SERVICE with a variable binds that".to_owned())
}

impl<'a> Operator<'a> for EachService<'a> {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.input.open(seed);
        (self.rows, self.at, self.next_solution) = (Batch::default(), 0, 0);
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        let width = context.width.get();
        let wanted = rows_at_once(wanted, width);
        let mut out = Batch::new(width);
        while out.len() < wanted {
            if self.at >= self.rows.len() {
                let Some(rows) = self.input.next(context, rows_below(wanted))? else {
                    break;
                };
                (self.rows, self.at) = (rows, 0);
                continue;
            }
            let solutions = self.solutions(context, self.rows.row(self.at)[self.endpoint])?;
            while self.next_solution < solutions.count && out.len() < wanted {
                context.tick()?;
                let row = self.rows.row(self.at);
                self.question.join(&solutions, self.next_solution, row, &mut out);
                self.next_solution += 1;
            }
            if self.next_solution >= solutions.count {
                self.at += 1;
                self.next_solution = 0;
            }
        }
        Ok((!out.is_empty()).then_some(out))
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: "Service",
            detail: self.detail.clone(),
            children: vec![&self.input],
        }
    }
}
