//! From text to algebra.

use oxigraph::model::NamedNode;
use spargebra::{GraphUpdateOperation, SparqlParser, SparqlSyntaxError, Update};

use super::{GuardLimits, SparqlError, guard};

/// Parses queries and updates under limits, with prefixes that need no declaration.
///
/// Parsing recurses: call it on a thread with a large stack.
#[derive(Clone, Debug)]
pub struct Parser {
    limits: GuardLimits,
    prefixes: Vec<(String, String)>,
}

impl Parser {
    /// Returns a parser. Prefixes are pairs of a name without the colon and an IRI; those that are no IRIs are left out.
    pub fn new<'a>(limits: GuardLimits, prefixes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let prefixes = prefixes
            .into_iter()
            .filter(|(_, iri)| NamedNode::new(*iri).is_ok())
            .map(|(name, iri)| (name.to_owned(), iri.to_owned()))
            .collect();
        Self { limits, prefixes }
    }

    /// Checks a text against the limits, in linear time and without recursion.
    pub fn guard(&self, text: &str) -> Result<(), SparqlError> {
        guard::scan(text, self.limits).map(|_| ())
    }

    /// Parses a query.
    pub(super) fn query(&self, text: &str) -> Result<spargebra::Query, SparqlError> {
        let findings = guard::scan(text, self.limits)?;
        match self.parser()?.parse_query(text) {
            Ok(_) if findings.has_service => Err(SparqlError::Unsupported("SERVICE".to_owned())),
            Ok(query) => Ok(query),
            // An empty update is valid: a query that is only a prologue stays a syntax error.
            Err(_)
                if self
                    .parser()?
                    .parse_update(text)
                    .is_ok_and(|update| !update.operations.is_empty()) =>
            {
                Err(SparqlError::WrongForm {
                    actual: "an update",
                    method: "Update",
                })
            }
            Err(error) => Err(syntax_error(text, &error)),
        }
    }

    /// Parses an update.
    pub(super) fn update(&self, text: &str) -> Result<Update, SparqlError> {
        let findings = guard::scan(text, self.limits)?;
        match self.parser()?.parse_update(text) {
            Ok(update) => {
                if findings.has_service {
                    return Err(SparqlError::Unsupported("SERVICE".to_owned()));
                }
                if update
                    .operations
                    .iter()
                    .any(|operation| matches!(operation, GraphUpdateOperation::Load { .. }))
                {
                    return Err(SparqlError::Unsupported("LOAD".to_owned()));
                }
                Ok(update)
            }
            Err(_) if self.parser()?.parse_query(text).is_ok() => Err(SparqlError::WrongForm {
                actual: "a query",
                method: "Query",
            }),
            Err(error) => Err(syntax_error(text, &error)),
        }
    }

    fn parser(&self) -> Result<SparqlParser, SparqlError> {
        self.prefixes
            .iter()
            .try_fold(SparqlParser::new(), |parser, (name, iri)| {
                parser
                    .with_prefix(name, iri)
                    .map_err(|error| SparqlError::Internal(error.to_string()))
            })
    }
}

/// Names of what the parser expected that are short enough to be of help.
const EXPECTED_COUNT_MAX: usize = 6;

/// The parser keeps the position in its message only: `error at 1:8: expected …`.
fn syntax_error(text: &str, error: &SparqlSyntaxError) -> SparqlError {
    let message = error.to_string();
    let parts = message.strip_prefix("error at ").and_then(|rest| {
        let (position, expected) = rest.split_once(": ")?;
        let (line, column) = position.split_once(':')?;
        Some((line.parse().ok()?, column.parse().ok()?, expected))
    });
    let Some((line, column, expected)) = parts else {
        return SparqlError::Syntax {
            line: 1,
            column: 1,
            message,
        };
    };
    SparqlError::Syntax {
        line: line as u64,
        column: column as u64,
        message: readable(expected, found(text, line, column)),
    }
}

/// Returns the word or sign at a place, both counted from 1; `None` at the end of the text.
fn found(text: &str, line: usize, column: usize) -> Option<&str> {
    let line = text.split('\n').nth(line.saturating_sub(1))?;
    let (start, first) = line.char_indices().nth(column.saturating_sub(1))?;
    let rest = &line[start..];
    let end = rest
        .find(|character: char| !character.is_alphanumeric())
        .filter(|end| *end > 0);
    Some(
        &rest[..end.unwrap_or(if first.is_alphanumeric() {
            rest.len()
        } else {
            first.len_utf8()
        })],
    )
}

/// Returns what is wrong, and what was expected if that is all of it and short: the parser also lists classes of
/// characters, of which a list without them would mislead.
fn readable(expected: &str, found: Option<&str>) -> String {
    let names = expected
        .trim_start_matches("expected ")
        .trim_start_matches("one of ");
    if names.contains("Prefix not found") {
        return "the prefix is not declared, and the server has none of this name".to_owned();
    }
    // Words with spaces between them are said of the meaning, not of the grammar.
    if let Some(said) = names
        .split(", ")
        .find(|name| name.contains(' ') && !name.contains(['[', '"']))
    {
        return said.to_owned();
    }
    let unexpected = match found.map(str::trim) {
        None => "unexpected end".to_owned(),
        Some("") => "unexpected space".to_owned(),
        Some(found) => format!("unexpected `{found}`"),
    };
    if names.contains('[') || names.split(", ").count() > EXPECTED_COUNT_MAX {
        return unexpected;
    }
    format!("{unexpected}, expected {names}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parser() -> Parser {
        Parser::new(GuardLimits::default(), [("ex", "http://example.com/")])
    }

    #[test]
    fn syntax_errors_have_a_position() {
        let check = |text: &str, expected: (u64, u64), part: &str| {
            let error = parser().query(text).unwrap_err();
            let SparqlError::Syntax {
                line,
                column,
                message,
            } = error
            else {
                panic!("{text}: {error:?}");
            };
            assert_eq!((line, column), expected, "{text}: {message}");
            assert!(message.contains(part), "{text}: {message}");
            assert!(!message.contains(['[', '\n']), "{message}");
        };
        check("SELECT * WHERE {\n  ?s ?p }", (2, 10), "unexpected end");
        check("SELECT", (1, 7), "unexpected end");
        check("SELECT * WHRE {}", (1, 16), "unexpected `}`");
        check("# 한국\nSELECT * WHERE { ?한국 nope:a ?o }", (2, 28), "prefix");
        check("", (1, 1), "unexpected end");
        check("SELECT ?a (1 AS ?a) WHERE {}", (1, 29), "Duplicated variable");
    }

    #[test]
    fn forms_are_told_apart() {
        assert_eq!(
            parser().query("INSERT DATA { ex:a ex:b ex:c }"),
            Err(SparqlError::WrongForm {
                actual: "an update",
                method: "Update"
            })
        );
        assert_eq!(
            parser().update("ASK {}").unwrap_err(),
            SparqlError::WrongForm {
                actual: "a query",
                method: "Query"
            }
        );
        assert!(parser().query("SELECT * { ex:a ex:b ?c }").is_ok());
        assert!(parser().update("DELETE DATA { ex:a ex:b ex:c }").is_ok());
    }

    #[test]
    fn what_reaches_out_is_refused() {
        let unsupported = |what: &str| SparqlError::Unsupported(what.to_owned());
        let service = "SELECT * { SERVICE SILENT <http://a/> { ?s ?p ?o } }";
        assert_eq!(parser().query(service).unwrap_err(), unsupported("SERVICE"));
        let update = "INSERT { ?s ?p ?o } WHERE { service ?x { ?s ?p ?o } }";
        assert_eq!(parser().update(update).unwrap_err(), unsupported("SERVICE"));
        assert_eq!(
            parser().update("LOAD SILENT <http://a/>").unwrap_err(),
            unsupported("LOAD")
        );
        assert!(
            parser()
                .query("SELECT ?service { ?service ex:service 'SERVICE' } # SERVICE")
                .is_ok()
        );
    }
}
