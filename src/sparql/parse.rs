//! From text to algebra.

use std::sync::Arc;

use oxigraph::model::NamedNode;
use spargebra::{GraphUpdateOperation, SparqlParser, Update};

use super::{GuardLimits, Parameters, SparqlError, guard, load, parameters, syntax};
use crate::remote::RemoteSettings;

/// Parses queries and updates under limits, with prefixes that need no declaration.
///
/// Parsing recurses: call it on a thread with a large stack.
#[derive(Clone, Debug)]
pub struct Parser {
    limits: GuardLimits,
    prefixes: Vec<(String, String)>,
    base_iri: Option<String>,
    remote: Arc<RemoteSettings>,
    /// Whoever sent the text may have nothing fetched.
    is_barred: bool,
}

impl Parser {
    /// Returns a parser. Prefixes are pairs of a name without the colon and an IRI; those that are no IRIs are left out.
    pub fn new<'a>(limits: GuardLimits, prefixes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let prefixes = prefixes
            .into_iter()
            .filter(|(_, iri)| NamedNode::new(*iri).is_ok())
            .map(|(name, iri)| (name.to_owned(), iri.to_owned()))
            .collect();
        Self {
            limits,
            prefixes,
            base_iri: None,
            remote: Arc::default(),
            is_barred: false,
        }
    }

    /// Returns the parser with a base for the relative IRIs of texts that declare none (SPARQL 1.1 Query, section 4.1.1.2).
    /// What is no IRI is no base.
    #[must_use]
    pub fn with_base_iri(&self, base_iri: &str) -> Self {
        Self {
            base_iri: NamedNode::new(base_iri).is_ok().then(|| base_iri.to_owned()),
            ..self.clone()
        }
    }

    /// Returns the parser with what SERVICE and LOAD may fetch: without it nothing.
    #[must_use]
    pub fn with_remote(&self, remote: RemoteSettings) -> Self {
        Self {
            remote: Arc::new(remote),
            ..self.clone()
        }
    }

    /// Returns the parser for somebody for whom nothing is fetched: SERVICE and LOAD are theirs who administer.
    #[must_use]
    pub(super) fn barred(&self) -> Self {
        Self {
            is_barred: true,
            ..self.with_remote(RemoteSettings::default())
        }
    }

    /// Returns what SERVICE and LOAD may fetch.
    pub(super) fn remote(&self) -> &RemoteSettings {
        &self.remote
    }

    /// Returns the limits of a text.
    pub fn limits(&self) -> GuardLimits {
        self.limits
    }

    /// Parses a query and binds its parameters.
    pub(super) fn query(&self, text: &str, parameters: &Parameters) -> Result<spargebra::Query, SparqlError> {
        let mut query = self.unbound_query(text)?;
        parameters::bind_query(&mut query, parameters)?;
        Ok(query)
    }

    /// Parses an update and binds its parameters.
    pub(super) fn update(&self, text: &str, parameters: &Parameters) -> Result<Update, SparqlError> {
        let mut update = self.unbound_update(text)?;
        parameters::bind_update(&mut update, parameters)?;
        Ok(update)
    }

    fn unbound_query(&self, text: &str) -> Result<spargebra::Query, SparqlError> {
        let findings = guard::scan(text, self.limits)?;
        match self.parser()?.parse_query(text) {
            Ok(_) if findings.has_service && self.is_barred => Err(SparqlError::AdminOnly("SERVICE")),
            Ok(_) if findings.has_service && self.remote.service.is_empty() => {
                Err(SparqlError::Unsupported("SERVICE".to_owned()))
            }
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
            Err(error) => Err(syntax::describe(text, &error, &|text| {
                self.parser().ok()?.parse_query(text).err()
            })),
        }
    }

    fn unbound_update(&self, text: &str) -> Result<Update, SparqlError> {
        let findings = guard::scan(text, self.limits)?;
        match self.parser()?.parse_update(text) {
            Ok(_) if findings.has_service && self.is_barred => Err(SparqlError::AdminOnly("SERVICE")),
            Ok(_) if findings.has_service && self.remote.service.is_empty() => {
                Err(SparqlError::Unsupported("SERVICE".to_owned()))
            }
            Ok(update) => {
                for operation in &update.operations {
                    if let GraphUpdateOperation::Load { source, .. } = operation {
                        if self.is_barred {
                            return Err(SparqlError::AdminOnly("LOAD"));
                        }
                        load::target(&self.remote, source)?;
                    }
                }
                Ok(update)
            }
            Err(_) if self.parser()?.parse_query(text).is_ok() => Err(SparqlError::WrongForm {
                actual: "a query",
                method: "Query",
            }),
            Err(error) => Err(syntax::describe(text, &error, &|text| {
                self.parser().ok()?.parse_update(text).err()
            })),
        }
    }

    fn parser(&self) -> Result<SparqlParser, SparqlError> {
        let fault = |error: oxiri::IriParseError| SparqlError::Internal(error.to_string());
        let mut parser = SparqlParser::new();
        if let Some(base_iri) = &self.base_iri {
            parser = parser.with_base_iri(base_iri).map_err(fault)?;
        }
        self.prefixes.iter().try_fold(parser, |parser, (name, iri)| {
            parser.with_prefix(name, iri).map_err(fault)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parser() -> Parser {
        Parser::new(GuardLimits::default(), [("ex", "http://example.com/")])
    }

    fn query(text: &str) -> Result<spargebra::Query, SparqlError> {
        parser().query(text, &Parameters::default())
    }

    fn update(text: &str) -> Result<Update, SparqlError> {
        parser().update(text, &Parameters::default())
    }

    #[test]
    fn syntax_errors_have_their_place_and_name_what_is_there() {
        let check = |text: &str, expected: (u64, u64, &str)| {
            let error = query(text).unwrap_err();
            let SparqlError::Syntax {
                line,
                column,
                message,
            } = &error
            else {
                panic!("{text}: {error:?}");
            };
            assert_eq!((*line, *column, message.as_str()), expected, "{text}");
        };
        check("SELECT * WHERE {\n  ?s ?p }", (2, 9, "unexpected `}`"));
        check("SELECT", (1, 7, "unexpected end of the text"));
        check("", (1, 1, "unexpected end of the text"));
        check("SELECT * WHERE { ?s ?p ?o", (1, 26, "unexpected end of the text"));
        check("SELEKT * WHERE { ?s ?p ?o }", (1, 1, "unexpected `SELEKT`"));
        check(
            "SELECT ?s WHERE { ?s ?p ?o } ORDER BI ?s",
            (1, 36, "unexpected `BI`"),
        );
        check(
            "SELECT * WHERE { ?s ?p ?o FILTRE(?o > 1) }",
            (1, 27, "unexpected `FILTRE`"),
        );
        check("SELECT * WHERE { ?s ?p ?o ?x }", (1, 27, "unexpected `?x`"));
        check(
            "# 한국\nSELECT * WHERE { ?한국 nope:a ?o }",
            (2, 22, "unexpected `nope:a`: prefix not found"),
        );
        check(
            "SELECT * WHERE { ?s <a b> ?o }",
            (1, 21, "unexpected `<a b>`: IRI parsing failed"),
        );
        check("ASK { { ?s ?p ?o } } }", (1, 22, "unexpected `}`"));
    }

    #[test]
    fn relative_iris_need_a_base() {
        let text = "ASK { <a> ?p ?o }";
        let based = |base: &str, text: &str| parser().with_base_iri(base).unbound_query(text);
        assert!(query(text).is_err());
        assert!(based("nothing", text).is_err());
        assert_eq!(
            based("http://example.com/", text).unwrap(),
            based("http://example.com/", "ASK { <http://example.com/a> ?p ?o }").unwrap()
        );
    }

    #[test]
    fn forms_are_told_apart() {
        assert_eq!(
            query("INSERT DATA { ex:a ex:b ex:c }"),
            Err(SparqlError::WrongForm {
                actual: "an update",
                method: "Update"
            })
        );
        assert_eq!(
            update("ASK {}").unwrap_err(),
            SparqlError::WrongForm {
                actual: "a query",
                method: "Query"
            }
        );
        assert!(query("SELECT * { ex:a ex:b ?c }").is_ok());
        assert!(update("DELETE DATA { ex:a ex:b ex:c }").is_ok());
    }

    #[test]
    fn what_reaches_out_is_refused() {
        let unsupported = |what: &str| SparqlError::Unsupported(what.to_owned());
        let service = "SELECT * { SERVICE SILENT <http://a/> { ?s ?p ?o } }";
        assert_eq!(query(service).unwrap_err(), unsupported("SERVICE"));
        let text = "INSERT { ?s ?p ?o } WHERE { service ?x { ?s ?p ?o } }";
        assert_eq!(update(text).unwrap_err(), unsupported("SERVICE"));
        assert_eq!(
            update("LOAD SILENT <http://a/>").unwrap_err(),
            unsupported("LOAD")
        );
        assert!(query("SELECT ?service { ?service ex:service 'SERVICE' } # SERVICE").is_ok());
    }
}
