//! From a request to an operation (SPARQL 1.1 Protocol, section 2).

use http::Method;
use oxigraph::model::NamedNode;

use super::problem::{Problem, invalid, invalid_iri, method_not_allowed, unsupported_media_type};

/// Graphs in one request.
const GRAPH_COUNT_MAX: usize = 1_000;
const FORM: &str = "application/x-www-form-urlencoded";
const QUERY: &str = "application/sparql-query";
const UPDATE: &str = "application/sparql-update";

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// To run a query.
    Query {
        text: String,
        graphs: Graphs,
        min_revision: u64,
    },
    /// To run an update.
    Update { text: String, using: Graphs },
    /// To describe the service: a GET without parameters (SPARQL 1.1 Service Description, section 2).
    Describe,
}

/// The graphs that a request chooses; none of either: it does not choose.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Graphs {
    pub(super) default: Vec<NamedNode>,
    pub(super) named: Vec<NamedNode>,
}

impl Graphs {
    pub(super) fn is_empty(&self) -> bool {
        self.default.is_empty() && self.named.is_empty()
    }

    fn push(into: &mut Vec<NamedNode>, name: &str, value: &str) -> Result<(), Problem> {
        if into.len() >= GRAPH_COUNT_MAX {
            return Err(invalid(format!("more than {GRAPH_COUNT_MAX} of {name}")));
        }
        into.push(NamedNode::new(value).map_err(|_| invalid_iri(name, value))?);
        Ok(())
    }
}

/// A body and its media type.
pub(super) struct Content {
    pub(super) media_type: String,
    pub(super) bytes: Vec<u8>,
}

/// The parameters of a request. Those that the protocol does not have are ignored: clients send some.
#[derive(Default)]
struct Parameters {
    queries: Vec<String>,
    updates: Vec<String>,
    graphs: Graphs,
    using: Graphs,
    min_revision: u64,
}

/// Reads a request; `content` is there for a POST.
pub(super) fn operation(
    method: &Method,
    query: Option<&str>,
    content: Option<Content>,
) -> Result<Operation, Problem> {
    let mut parameters = Parameters::default();
    parameters.read(query.unwrap_or_default().as_bytes())?;
    match (method, content) {
        (&Method::GET | &Method::HEAD, _) => {
            if !parameters.updates.is_empty() {
                return Err(invalid("an update must be sent with POST"));
            }
            if query.unwrap_or_default().is_empty() {
                return Ok(Operation::Describe);
            }
        }
        (&Method::POST, Some(Content { media_type, bytes })) => match media_type.as_str() {
            FORM => parameters.read(&bytes)?,
            QUERY => parameters.queries.push(text_of(bytes)?),
            UPDATE => parameters.updates.push(text_of(bytes)?),
            other => {
                return Err(unsupported_media_type(format!(
                    "`{other}` is not {QUERY}, {UPDATE} or {FORM}"
                )));
            }
        },
        _ => return Err(method_not_allowed(method, "GET, HEAD, POST, OPTIONS")),
    }
    parameters.operation()
}

fn text_of(bytes: Vec<u8>) -> Result<String, Problem> {
    String::from_utf8(bytes).map_err(|_| invalid("the body is not UTF-8"))
}

impl Parameters {
    fn read(&mut self, text: &[u8]) -> Result<(), Problem> {
        for (name, value) in form_urlencoded::parse(text) {
            match &*name {
                "query" => self.queries.push(value.into_owned()),
                "update" => self.updates.push(value.into_owned()),
                "default-graph-uri" => Graphs::push(&mut self.graphs.default, &name, &value)?,
                "named-graph-uri" => Graphs::push(&mut self.graphs.named, &name, &value)?,
                "using-graph-uri" => Graphs::push(&mut self.using.default, &name, &value)?,
                "using-named-graph-uri" => Graphs::push(&mut self.using.named, &name, &value)?,
                "min-revision" => {
                    self.min_revision = value
                        .parse()
                        .map_err(|_| invalid(format!("min-revision: `{value}` is not a revision")))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn operation(mut self) -> Result<Operation, Problem> {
        match (self.queries.len(), self.updates.len()) {
            (1, 0) if self.using.is_empty() => Ok(Operation::Query {
                text: self.queries.swap_remove(0),
                graphs: self.graphs,
                min_revision: self.min_revision,
            }),
            (1, 0) => Err(invalid(
                "using-graph-uri and using-named-graph-uri are for updates",
            )),
            (0, 1) if self.graphs.is_empty() => Ok(Operation::Update {
                text: self.updates.swap_remove(0),
                using: self.using,
            }),
            (0, 1) => Err(invalid("default-graph-uri and named-graph-uri are for queries")),
            (0, 0) => Err(invalid("there is neither a `query` nor an `update`")),
            (queries, updates) => Err(invalid(format!(
                "one query or one update a request, not {queries} and {updates}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn query(text: &str) -> Operation {
        Operation::Query {
            text: text.to_owned(),
            graphs: Graphs::default(),
            min_revision: 0,
        }
    }

    #[test]
    fn the_three_ways_to_query() {
        let get = operation(&Method::GET, Some("query=ASK%20%7B%7D&format=json"), None);
        assert_eq!(get.unwrap(), query("ASK {}"));
        for (media_type, body) in [(FORM, "query=ASK+%7B%7D"), (QUERY, "ASK {}")] {
            let content = Content {
                media_type: media_type.to_owned(),
                bytes: body.into(),
            };
            let post = operation(&Method::POST, None, Some(content));
            assert_eq!(post.unwrap(), query("ASK {}"), "{media_type}");
        }
        assert_eq!(operation(&Method::GET, None, None).unwrap(), Operation::Describe);
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        let check = |query: &str, status: StatusCode| {
            let problem = operation(&Method::GET, Some(query), None).unwrap_err();
            assert_eq!(problem.status(), status, "{query}");
        };
        for query in [
            "update=CLEAR+ALL",
            "default-graph-uri=http://a/",
            "query=a&query=b",
            "query=a&default-graph-uri=relative",
            "query=a&using-graph-uri=http://a/",
            "query=a&min-revision=-1",
        ] {
            check(query, StatusCode::BAD_REQUEST);
        }
        let problem = operation(&Method::PUT, Some("query=a"), None).unwrap_err();
        assert_eq!(problem.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
