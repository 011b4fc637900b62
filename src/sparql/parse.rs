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
            Err(error) => Err(syntax_error(&error)),
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
            Err(error) => Err(syntax_error(&error)),
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

/// The parser keeps the position in its message only: `error at 1:8: expected …`.
fn syntax_error(error: &SparqlSyntaxError) -> SparqlError {
    let text = error.to_string();
    let parts = text.strip_prefix("error at ").and_then(|rest| {
        let (position, message) = rest.split_once(": ")?;
        let (line, column) = position.split_once(':')?;
        Some((line.parse().ok()?, column.parse().ok()?, readable(message)))
    });
    let (line, column, message) = parts.unwrap_or((1, 1, text));
    SparqlError::Syntax {
        line,
        column,
        message,
    }
}

/// Returns what the parser expected, without the classes of characters that it lists among names.
fn readable(message: &str) -> String {
    if message.contains("Prefix not found") {
        return "the prefix is not declared, and the server has none of this name".to_owned();
    }
    let expected = message
        .trim_start_matches("expected ")
        .trim_start_matches("one of ");
    let names: Vec<_> = expected
        .split(", ")
        .filter(|name| !name.contains(['[', ']']))
        .collect();
    match names.as_slice() {
        [] => "unexpected character".to_owned(),
        [name] => format!("expected {name}"),
        names => format!("expected one of {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parser() -> Parser {
        Parser::new(GuardLimits::default(), [("ex", "http://example.com/")])
    }

    #[test]
    fn syntax_errors_have_a_position() {
        let check = |text: &str, expected: (u64, u64)| {
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
            assert!(!message.contains(['[', '\n']), "{message}");
        };
        check("SELECT * WHERE {\n  ?s ?p }", (2, 10));
        check("SELECT", (1, 7));
        check("# 한국\nSELECT * WHERE { ?한국 nope:a ?o }", (2, 28));
        check("", (1, 1));
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
