//! What a text is, without running it: for editors, at every key stroke.

use std::collections::{BTreeSet, HashSet};

use spargebra::{
    GraphUpdateOperation, Query, Update,
    algebra::{GraphPattern, GraphTarget, QueryDataset},
    term::GraphName,
};

use super::{
    GuardFigures, GuardLimits, Parameters, Parser, QueryForm, SparqlError, guard,
    parameters::{self, Names},
    run::form_of,
};

/// Whether a text is a query or an update.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TextKind {
    /// A query.
    Query,
    /// An update.
    Update,
}

/// What a text is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Validation {
    /// Why it cannot be run, if so; the rest is then empty, but for the figures.
    pub fault: Option<SparqlError>,
    /// What it is.
    pub kind: Option<TextKind>,
    /// The form of a query.
    pub form: Option<QueryForm>,
    /// The variables of a SELECT's rows, in order.
    pub result_variables: Vec<String>,
    /// All variables, sorted.
    pub variables: Vec<String>,
    /// The variables that can be parameters: those that nothing assigns.
    pub parameters: Vec<String>,
    /// The graphs that it names, sorted.
    pub graphs: Vec<String>,
    /// What the text comes to.
    pub figures: GuardFigures,
    /// Under which limits.
    pub limits: GuardLimits,
}

/// Tells what a text is. Recurses: call it on a thread with a large stack.
///
/// Without an `expected` kind it may be either; a fault is then that of the kind whose parser gets farther.
pub fn validate(parser: &Parser, text: &str, expected: Option<TextKind>) -> Validation {
    let mut validation = Validation::of(text, parser.limits());
    match parse(parser, text, expected) {
        Ok(Parsed::Query(query)) => validation.describe_query(*query, text),
        Ok(Parsed::Update(update)) => validation.describe_update(update, text),
        Err(fault) => validation.fault = Some(fault),
    }
    validation
}

enum Parsed {
    Query(Box<Query>),
    Update(Update),
}

fn parse(parser: &Parser, text: &str, expected: Option<TextKind>) -> Result<Parsed, SparqlError> {
    let none = Parameters::default();
    let query = || {
        parser
            .query(text, &none)
            .map(|query| Parsed::Query(Box::new(query)))
    };
    let update = || parser.update(text, &none).map(Parsed::Update);
    match expected {
        Some(TextKind::Query) => query(),
        Some(TextKind::Update) => update(),
        None => match query() {
            Err(SparqlError::WrongForm { .. }) => update(),
            Err(as_query @ SparqlError::Syntax { .. }) => match update() {
                Err(as_update) if place(&as_update) > place(&as_query) => Err(as_update),
                _ => Err(as_query),
            },
            outcome => outcome,
        },
    }
}

/// Returns line and column of a syntax error; other faults come before all places.
fn place(error: &SparqlError) -> Option<(u64, u64)> {
    match error {
        SparqlError::Syntax { line, column, .. } => Some((*line, *column)),
        _ => None,
    }
}

impl Validation {
    fn of(text: &str, limits: GuardLimits) -> Self {
        Self {
            fault: None,
            kind: None,
            form: None,
            result_variables: Vec::new(),
            variables: Vec::new(),
            parameters: Vec::new(),
            graphs: Vec::new(),
            figures: guard::measure(text, limits).0,
            limits,
        }
    }

    /// Returns that of a text which cannot be run.
    pub(super) fn refused(text: &str, limits: GuardLimits, fault: SparqlError) -> Self {
        Self {
            fault: Some(fault),
            ..Self::of(text, limits)
        }
    }

    fn describe_query(&mut self, mut query: Query, text: &str) {
        self.kind = Some(TextKind::Query);
        self.form = Some(form_of(&query));
        if let Query::Select { pattern, .. } = &query {
            self.result_variables = projected(pattern);
        }
        let mut names = parameters::names(|binder| binder.query(&mut query));
        add_dataset(&mut names.graphs, query.dataset());
        self.take(names, text);
    }

    fn describe_update(&mut self, mut update: Update, text: &str) {
        self.kind = Some(TextKind::Update);
        let mut names = parameters::names(|binder| binder.update(&mut update));
        for operation in &update.operations {
            add_graphs(&mut names.graphs, operation);
        }
        self.take(names, text);
    }

    fn take(&mut self, names: Names, text: &str) {
        // The parser makes variables of its own.
        let written = written(text);
        let written = |name: &String| written.contains(name.as_str());
        self.variables = names.variables.into_iter().filter(written).collect();
        let parameters = self.variables.iter();
        self.parameters = parameters
            .filter(|name| !names.assigned.contains(*name))
            .cloned()
            .collect();
        self.graphs = names.graphs.into_iter().collect();
    }
}

/// Returns the variables of the rows.
fn projected(pattern: &GraphPattern) -> Vec<String> {
    match pattern {
        GraphPattern::Slice { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner } => projected(inner),
        GraphPattern::Project { variables, .. } => variables
            .iter()
            .map(|variable| variable.as_str().to_owned())
            .collect(),
        _ => Vec::new(),
    }
}

/// Returns what stands after `?` or `$` anywhere in a text.
fn written(text: &str) -> HashSet<&str> {
    let after = |(at, _): (usize, &str)| {
        let rest = &text[at + 1..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c.is_ascii());
        &rest[..end.unwrap_or(rest.len())]
    };
    text.match_indices(['?', '$']).map(after).collect()
}

fn add_dataset(graphs: &mut BTreeSet<String>, dataset: Option<&QueryDataset>) {
    let Some(dataset) = dataset else {
        return;
    };
    let named = dataset.named.iter().flatten();
    graphs.extend(
        dataset
            .default
            .iter()
            .chain(named)
            .map(|graph| graph.as_str().to_owned()),
    );
}

/// Adds the graphs that an operation names outside of its patterns.
fn add_graphs(graphs: &mut BTreeSet<String>, operation: &GraphUpdateOperation) {
    let mut add = |name: &GraphName| {
        if let GraphName::NamedNode(graph) = name {
            graphs.insert(graph.as_str().to_owned());
        }
    };
    match operation {
        GraphUpdateOperation::InsertData { data } => data.iter().for_each(|quad| add(&quad.graph_name)),
        GraphUpdateOperation::DeleteData { data } => data.iter().for_each(|quad| add(&quad.graph_name)),
        GraphUpdateOperation::DeleteInsert { using, .. } => add_dataset(graphs, using.as_ref()),
        GraphUpdateOperation::Load { destination, .. } => add(destination),
        GraphUpdateOperation::Clear { graph, .. } | GraphUpdateOperation::Drop { graph, .. } => {
            if let GraphTarget::NamedNode(graph) = graph {
                graphs.insert(graph.as_str().to_owned());
            }
        }
        GraphUpdateOperation::Create { graph, .. } => {
            graphs.insert(graph.as_str().to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sparql::tests::parser;

    fn check(text: &str, expected: &str) {
        let found = validate(&parser(), text, None);
        assert_eq!(found.fault, None, "{text}");
        let shown = format!(
            "{:?} {:?} | {} | {} | {} | {}",
            found.kind.unwrap(),
            found.form,
            found.result_variables.join(" "),
            found.variables.join(" "),
            found.parameters.join(" "),
            found.graphs.join(" "),
        );
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn valid_texts_are_described() {
        check(
            "SELECT ?y (COUNT(*) AS ?n) FROM ex:d FROM NAMED ex:n { GRAPH ex:g { ?x $y <http://ex/?no> } } GROUP BY ?y ORDER BY ?n",
            "Query Some(Select) | y n | n x y | x y | http://ex/d http://ex/g http://ex/n",
        );
        check(
            "ASK { ?s ex:p/ex:q [] BIND(1 AS ?b) }",
            "Query Some(Ask) |  | b s | s | ",
        );
        check(
            "SELECT * { ?b ?a 1 } LIMIT 1",
            "Query Some(Select) | a b | a b | a b | ",
        );
        check("DESCRIBE ex:a", "Query Some(Describe) |  |  |  | ");
        check(
            "INSERT DATA { GRAPH ex:a { ex:a ex:b 1 } } ; DELETE { GRAPH ex:b { ?s ?p 1 } } USING ex:c WHERE { GRAPH ex:d { ?s ?p ?o } } ; CLEAR GRAPH ex:e ; CREATE GRAPH ex:f",
            "Update None |  | o p s | o p s | http://ex/a http://ex/b http://ex/c http://ex/d http://ex/e http://ex/f",
        );
    }

    #[test]
    fn faults_are_those_of_the_likelier_kind() {
        let fault =
            |text: &str, expected: Option<TextKind>| validate(&parser(), text, expected).fault.unwrap();
        let at = |text: &str| place(&fault(text, None)).unwrap();
        assert_eq!(at("SELECT * {\n ?s ?p }"), (2, 8));
        assert_eq!(at("CLEAR DEFAULT ;\n INSERT DATA { ?x"), (2, 18));
        assert_eq!(at(""), (1, 1));
        let wrong = fault("CLEAR ALL", Some(TextKind::Query));
        assert!(matches!(wrong, SparqlError::WrongForm { .. }), "{wrong:?}");
        let wrong = fault("ASK {}", Some(TextKind::Update));
        assert!(matches!(wrong, SparqlError::WrongForm { .. }), "{wrong:?}");
        assert_eq!(
            validate(&parser(), "", Some(TextKind::Update)).kind,
            Some(TextKind::Update)
        );
        let service = fault("ASK { SERVICE ex:s {} }", None);
        assert_eq!(service, SparqlError::Unsupported("SERVICE".to_owned()));
    }

    #[test]
    fn a_text_past_a_limit_has_its_figures() {
        let found = validate(&parser(), &"{".repeat(1_000), None);
        assert!(matches!(found.fault, Some(SparqlError::TooComplex { .. })));
        assert_eq!((found.figures.nesting, found.limits.nesting_max), (101, 100));
    }
}
