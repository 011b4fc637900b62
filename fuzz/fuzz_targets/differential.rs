//! A small graph and a query, both built of the input: our engine's answer is the one of the specification.
#![no_main]

#[path = "../../tests/differential/reference.rs"]
mod reference;

use std::collections::BTreeMap;

use dossier::{
    graph::{Batch, Draft, Snapshot},
    sparql::{QueryForm, Row, Sink, SparqlError, run_query},
};
use dossier_fuzz::{interrupt, parser, query, run};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use oxigraph::model::{GraphName, Literal, NamedNode, Quad, Term, Triple};

const QUAD_COUNT_MAX: usize = 12;
/// Groups in groups.
const DEPTH_MAX: usize = 3;
/// Patterns of a query: the reference makes the product of those that share no variable.
const PATTERN_COUNT_MAX: usize = 5;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut maker = Maker {
        bytes: Unstructured::new(bytes),
        pattern_count: 0,
    };
    let (Ok(quads), Ok(text)) = (maker.quads(), maker.query()) else {
        return;
    };
    let Some(specified) = specified(&quads, &text) else {
        return;
    };
    run(|| {
        let mut batch = Batch::default();
        for quad in &quads {
            batch.insert(quad.as_ref());
        }
        let mut draft = Draft::new(Snapshot::default());
        draft.apply(&batch);
        let ours = ours(&draft.finish().1, &text);
        assert!(
            ours == specified,
            "{quads:?}\n{text}\nours: {ours:?}\nspecified: {specified:?}"
        );
    });
});

/// Makes graphs and queries of bytes.
struct Maker<'b> {
    bytes: Unstructured<'b>,
    pattern_count: usize,
}

fn node(number: u8) -> NamedNode {
    NamedNode::new_unchecked(format!("http://ex/{number}"))
}

impl Maker<'_> {
    fn one(&mut self, of: &[&'static str]) -> Result<&'static str> {
        self.bytes.choose(of).copied()
    }

    fn number(&mut self, from: u8, to: u8) -> Result<u8> {
        self.bytes.int_in_range(from..=to)
    }

    fn quads(&mut self) -> Result<Vec<Quad>> {
        let count = self.bytes.int_in_range(0..=QUAD_COUNT_MAX)?;
        (0..count).map(|_| self.quad()).collect()
    }

    fn quad(&mut self) -> Result<Quad> {
        let (subject, predicate) = (self.number(0, 4)?, self.number(5, 7)?);
        let graph = match self.number(8, 12)? {
            number @ 10.. => node(number).into(),
            _ => GraphName::DefaultGraph,
        };
        Ok(Quad::new(node(subject), node(predicate), self.object()?, graph))
    }

    fn object(&mut self) -> Result<Term> {
        Ok(match self.number(0, 13)? {
            number @ 0..=4 => node(number).into(),
            number @ 5..=9 => Literal::from(i64::from(number) - 6).into(),
            10 => Literal::from("a").into(),
            11 => Literal::from("b").into(),
            12 => Literal::new_language_tagged_literal_unchecked("a", "en").into(),
            _ => Literal::from(true).into(),
        })
    }

    /// A place of a pattern: often a variable, else a term.
    fn place(&mut self, term: impl FnOnce(&mut Self) -> Result<String>) -> Result<String> {
        match self.one(&["?a", "?b", "?c", "?d", "", "", ""])? {
            "" => term(self),
            variable => Ok(variable.to_owned()),
        }
    }

    fn resource(&mut self) -> Result<String> {
        Ok(node(self.number(0, 4)?).to_string())
    }

    fn predicate(&mut self) -> Result<String> {
        Ok(node(self.number(5, 7)?).to_string())
    }

    fn pattern(&mut self) -> Result<String> {
        self.pattern_count += 1;
        let subject = self.place(Self::resource)?;
        let verb = if self.bytes.ratio(1, 3)? {
            self.path(2)?
        } else {
            self.place(Self::predicate)?
        };
        let object = self.place(|maker| Ok(maker.object()?.to_string()))?;
        Ok(format!("{subject} {verb} {object} . "))
    }

    fn path(&mut self, depth: usize) -> Result<String> {
        if depth == 0 {
            return self.predicate();
        }
        Ok(match self.number(0, 8)? {
            0 => format!("({}/{})", self.path(depth - 1)?, self.path(depth - 1)?),
            1 => format!("({}|{})", self.path(depth - 1)?, self.path(depth - 1)?),
            2 => format!("^({})", self.path(depth - 1)?),
            3 => format!("({})*", self.path(depth - 1)?),
            4 => format!("({})+", self.path(depth - 1)?),
            5 => format!("({})?", self.path(depth - 1)?),
            6 => format!("!({}|^{})", self.predicate()?, self.predicate()?),
            _ => self.predicate()?,
        })
    }

    fn expression(&mut self, depth: usize) -> Result<String> {
        if depth == 0 || self.bytes.ratio(1, 3)? {
            return match self.one(&["?a", "?b", "?c", "?d", "1", "0", "'a'", "'a'@en", "true", ""])? {
                "" => self.resource(),
                leaf => Ok(leaf.to_owned()),
            };
        }
        let operator = self.one(&[
            "=", "!=", "<", ">=", "&&", "||", "+", "-", "*", "IN", "IF", "BOUND", "!", "STR", "",
        ])?;
        Ok(match operator {
            "IN" => format!(
                "({} IN ({}, {}))",
                self.expression(depth - 1)?,
                self.expression(depth - 1)?,
                self.expression(depth - 1)?
            ),
            "IF" => format!(
                "IF({}, {}, {})",
                self.expression(depth - 1)?,
                self.expression(depth - 1)?,
                self.expression(depth - 1)?
            ),
            "BOUND" => format!("BOUND({})", self.one(&["?a", "?b", "?c", "?d"])?),
            "!" => format!("(!{})", self.expression(depth - 1)?),
            "STR" | "" => {
                let function = self.one(&[
                    "STR",
                    "LANG",
                    "isIRI",
                    "isLITERAL",
                    "STRLEN",
                    "DATATYPE",
                    "COALESCE",
                    "sameTerm",
                ])?;
                let value = self.expression(depth - 1)?;
                match function {
                    "COALESCE" | "sameTerm" => {
                        format!("{function}({value}, {})", self.expression(depth - 1)?)
                    }
                    _ => format!("{function}({value})"),
                }
            }
            infix => format!(
                "({} {infix} {})",
                self.expression(depth - 1)?,
                self.expression(depth - 1)?
            ),
        })
    }

    fn group(&mut self, depth: usize) -> Result<String> {
        if depth == 0 || self.pattern_count >= PATTERN_COUNT_MAX {
            return self.leaf();
        }
        let left = self.group(depth - 1)?;
        let depth = depth - 1;
        Ok(match self.number(0, 15)? {
            0 => format!("{left} {{ {} }} ", self.group(depth)?),
            1 | 2 => format!("{left} OPTIONAL {{ {} }} ", self.group(depth)?),
            3 => format!("{{ {left} }} UNION {{ {} }} ", self.group(depth)?),
            4 => format!("{left} MINUS {{ {} }} ", self.group(depth)?),
            // What is to be put in place of a variable is plain there.
            5 => format!(
                "{left} FILTER {}EXISTS {{ {} }} ",
                self.one(&["", "NOT "])?,
                self.pattern()?
            ),
            6 | 7 => format!("{left} FILTER({}) ", self.expression(2)?),
            8 => format!("GRAPH ?g {{ {left} }} "),
            9 => format!("GRAPH {} {{ {left} }} ", node(self.number(9, 12)?)),
            10 => format!(
                "{{ SELECT {} {{ {left} }} }} ",
                self.one(&["?a ?c", "DISTINCT ?b", "?d"])?
            ),
            11 => format!(
                "{{ SELECT ?a (COUNT(*) AS ?n) (COUNT(DISTINCT ?b) AS ?m) {{ {left} }} GROUP BY ?a }} "
            ),
            12 => format!("{{ {left} }} BIND({} AS ?e) ", self.expression(2)?),
            13 => format!(
                "{left} OPTIONAL {{ {} FILTER({}) }} ",
                self.group(depth)?,
                self.expression(2)?
            ),
            14 => format!("{left} {} ", self.group(depth)?),
            _ => left,
        })
    }

    fn leaf(&mut self) -> Result<String> {
        Ok(match self.number(0, 7)? {
            0 => self
                .one(&[
                    "VALUES (?a ?b) { (<http://ex/1> UNDEF) (<http://ex/2> <http://ex/3>) (UNDEF 1) } ",
                    "VALUES ?c { 1 2 'a' <http://ex/2> } ",
                    "BIND(1 AS ?f) ",
                    "",
                ])?
                .to_owned(),
            1 if self.pattern_count < PATTERN_COUNT_MAX => self.pattern()? + &self.pattern()?,
            _ => self.pattern()?,
        })
    }

    fn query(&mut self) -> Result<String> {
        let form = self.one(&[
            "SELECT *",
            "SELECT *",
            "SELECT DISTINCT ?a ?b",
            "ASK",
            "SELECT (COUNT(*) AS ?n)",
        ])?;
        Ok(format!("{form} {{ {} }}", self.group(DEPTH_MAX)?))
    }
}

/// A result as a sorted list of rows, or one boolean.
#[derive(Default)]
struct Shown {
    variables: Vec<String>,
    lines: Vec<String>,
}

impl Shown {
    fn row(&mut self, bound: &BTreeMap<&str, String>) {
        self.lines.push(format!("{bound:?}"));
    }
}

impl Sink for Shown {
    fn header(&mut self, _: QueryForm, variables: &[&str]) -> std::result::Result<(), SparqlError> {
        self.variables = variables.iter().map(|&name| name.to_owned()).collect();
        Ok(())
    }

    fn row(&mut self, row: Row<'_>) -> std::result::Result<(), SparqlError> {
        let variables = self.variables.clone();
        let cells = variables.iter().map(String::as_str).zip(row.terms());
        Shown::row(
            self,
            &cells
                .filter_map(|(name, term)| Some((name, term?.to_string())))
                .collect(),
        );
        Ok(())
    }

    fn triple(&mut self, _: &Triple) -> std::result::Result<(), SparqlError> {
        Ok(())
    }

    fn boolean(&mut self, answer: bool) -> std::result::Result<(), SparqlError> {
        self.lines.push(answer.to_string());
        Ok(())
    }
}

fn ours(snapshot: &Snapshot, text: &str) -> Vec<String> {
    let mut shown = Shown::default();
    let outcome = run_query(&parser(), &query(text), snapshot, &interrupt(), &mut shown);
    outcome.unwrap_or_else(|error| panic!("{text}: {error}"));
    shown.lines.sort();
    shown.lines
}

/// The answer as the specification has it; `None` if the text is no query after all.
fn specified(quads: &[Quad], text: &str) -> Option<Vec<String>> {
    let query = spargebra::SparqlParser::new().parse_query(text).ok()?;
    let solutions = reference::solutions(quads, &query);
    if matches!(query, spargebra::Query::Ask { .. }) {
        return Some(vec![(!solutions.is_empty()).to_string()]);
    }
    let mut shown = Shown::default();
    for solution in &solutions {
        let cells = solution
            .iter()
            .filter(|(name, _)| !name.as_str().starts_with("_:"));
        shown.row(
            &cells
                .map(|(name, term)| (name.as_str(), term.to_string()))
                .collect(),
        );
    }
    shown.lines.sort();
    Some(shown.lines)
}
