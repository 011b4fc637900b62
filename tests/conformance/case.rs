//! Runs one case.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use dossier::{
    graph::{Batch, Draft, GraphPattern, Pattern, Snapshot},
    sparql::{
        GuardLimits, Interrupt, Parameters, Parser, Query, QueryForm, Row, Sink, SparqlError, parse_update,
        run_query,
    },
};
use oxigraph::model::{Graph, GraphName, NamedNode, Quad, Term, Triple};

use crate::{
    compare::{self, Answer, Bindings},
    data::{quads_of, text_of},
    manifest::{Case, Files, Kind},
};

/// A case that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Says why a case fails.
pub(crate) fn run(case: &Case, folder: &Path) -> Result<(), String> {
    let text = format!("BASE <{}>\n{}", case.text, text_of(folder, &case.text));
    let outcome = match case.kind {
        Kind::Syntax { is_update, is_valid } => return syntax(&text, is_update, is_valid),
        Kind::Query => query(case, folder, text),
        Kind::Update => update(case, folder, &text),
    };
    outcome.map_err(|error| error.lines().take(12).collect::<Vec<_>>().join("\n    "))
}

fn parser() -> Parser {
    Parser::new(GuardLimits::default(), [])
}

fn interrupt() -> Interrupt {
    Interrupt::new(Some(Instant::now() + TIMEOUT))
}

fn syntax(text: &str, is_update: bool, is_valid: bool) -> Result<(), String> {
    let outcome = if is_update {
        parse_update(&parser(), text, &Parameters::default()).map(|_| ())
    } else {
        let query = Query {
            text: text.to_owned(),
            ..Query::default()
        };
        run_query(
            &parser(),
            &query,
            &Snapshot::default(),
            &interrupt(),
            &mut Collector::default(),
        )
        .map(|_| ())
    };
    // What parses and then is refused is valid.
    let is_parsed = !matches!(
        outcome,
        Err(SparqlError::Syntax { .. } | SparqlError::WrongForm { .. } | SparqlError::TooComplex { .. })
    );
    if is_parsed == is_valid {
        Ok(())
    } else {
        Err(format!("{outcome:?}"))
    }
}

fn query(case: &Case, folder: &Path, text: String) -> Result<(), String> {
    let mut snapshot = load(folder, &case.data, None);
    if let Ok(parsed) = spargebra::SparqlParser::new().parse_query(&text)
        && let Some(dataset) = parsed.dataset()
    {
        // The graphs that the text names are documents here.
        let named = dataset.named.iter().flatten().chain(&dataset.default);
        let named: BTreeSet<_> = named.map(|graph| graph.as_str().to_owned()).collect();
        let named = named.into_iter().map(|graph| (graph.clone(), graph)).collect();
        snapshot = load(
            folder,
            &Files {
                default: Vec::new(),
                named,
            },
            Some(snapshot),
        );
    }
    let mut collector = Collector::default();
    let query = Query {
        text,
        ..Query::default()
    };
    run_query(&parser(), &query, &snapshot, &interrupt(), &mut collector)
        .map_err(|error| error.to_string())?;
    let actual = collector.answer();
    let expected = compare::read(folder, case.result.as_deref().ok_or("no result")?);
    if compare::same(&actual, &expected) {
        Ok(())
    } else {
        Err(format!("{actual} is not {expected}"))
    }
}

fn update(case: &Case, folder: &Path, text: &str) -> Result<(), String> {
    let snapshot = load(folder, &case.data, None);
    let mut draft = Draft::new(snapshot);
    let update = parse_update(&parser(), text, &Parameters::default()).map_err(|error| error.to_string())?;
    update.plan(interrupt(), u64::MAX)(&mut draft).map_err(|error| error.to_string())?;
    let (_, actual) = draft.finish();
    let expected = load(folder, &case.after, None);
    let (actual, expected) = (quads(&actual), quads(&expected));
    let (refs, expected_refs) = (actual.iter().map(Quad::as_ref), expected.iter().map(Quad::as_ref));
    if compare::same_quads(refs, expected_refs) {
        Ok(())
    } else {
        let shown = |quads: &[Quad]| {
            quads
                .iter()
                .map(|quad| quad.to_string() + " . ")
                .collect::<String>()
        };
        Err(format!("{} is not {}", shown(&actual), shown(&expected)))
    }
}

fn quads(snapshot: &Snapshot) -> Vec<Quad> {
    snapshot
        .quads(Pattern::all(GraphPattern::Any))
        .map(|quad| snapshot.quad(quad))
        .collect()
}

fn load(folder: &Path, files: &Files, onto: Option<Snapshot>) -> Snapshot {
    let mut batch = Batch::default();
    let default = files.default.iter().map(|file| (GraphName::DefaultGraph, file));
    let named = files.named.iter().map(|(name, file)| {
        let name = NamedNode::new_unchecked(name);
        batch.create_graph(name.as_ref().into());
        (name.into(), file)
    });
    let files: Vec<(GraphName, &String)> = named.collect::<Vec<_>>().into_iter().chain(default).collect();
    for (graph, file) in files {
        for quad in quads_of(folder, file, graph) {
            batch.insert(quad.as_ref());
        }
    }
    let mut draft = Draft::new(onto.unwrap_or_default());
    draft.apply(&batch);
    draft.finish().1
}

/// Collects a result.
#[derive(Default)]
struct Collector {
    form: Option<QueryForm>,
    variables: Vec<String>,
    rows: Vec<Bindings>,
    graph: Graph,
    boolean: bool,
}

impl Collector {
    fn answer(self) -> Answer {
        match self.form.unwrap() {
            QueryForm::Select => Answer::Rows {
                rows: self.rows,
                is_ordered: false,
            },
            QueryForm::Ask => Answer::Boolean(self.boolean),
            QueryForm::Construct | QueryForm::Describe => Answer::Graph(Box::new(self.graph)),
        }
    }
}

impl Sink for Collector {
    fn header(&mut self, form: QueryForm, variables: &[&str]) -> Result<(), SparqlError> {
        self.form = Some(form);
        self.variables = variables.iter().map(|&name| name.to_owned()).collect();
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), SparqlError> {
        let terms: Vec<Option<Term>> = row.terms();
        assert_eq!(terms.len(), self.variables.len());
        let bound = self.variables.iter().cloned().zip(terms);
        self.rows
            .push(bound.filter_map(|(name, term)| Some((name, term?))).collect());
        Ok(())
    }

    fn triple(&mut self, triple: &Triple) -> Result<(), SparqlError> {
        self.graph.insert(triple);
        Ok(())
    }

    fn boolean(&mut self, answer: bool) -> Result<(), SparqlError> {
        self.boolean = answer;
        Ok(())
    }
}
