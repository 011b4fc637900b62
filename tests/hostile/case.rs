//! What a hostile request is, and what may come of it. Nothing here knows a transport.

use std::borrow::Cow;

use tonic::Code;

/// A hostile request.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) text: Text,
    /// What may come of it: any of these.
    pub(crate) expected: &'static [Expected],
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Query,
    /// A query whose reader takes the first frame and then nothing until the query's thread is free again.
    Stalled,
    Update,
    /// An update that is planned and not committed, where there is such a thing.
    Plan,
    /// A document of this format.
    Import(&'static str),
    /// A document of this format, compressed with gzip.
    Gzip(&'static str),
}

impl Kind {
    pub(crate) const fn is_query(self) -> bool {
        matches!(self, Self::Query | Self::Stalled)
    }

    pub(crate) const fn is_update(self) -> bool {
        matches!(self, Self::Update | Self::Plan)
    }
}

pub(crate) enum Text {
    Is(&'static str),
    Made(fn() -> String),
    Bytes(fn() -> Vec<u8>),
}

impl Text {
    pub(crate) fn bytes(&self) -> Cow<'static, [u8]> {
        match self {
            Self::Is(text) => Cow::Borrowed(text.as_bytes()),
            Self::Made(make) => Cow::Owned(make().into_bytes()),
            Self::Bytes(make) => Cow::Owned(make()),
        }
    }
}

/// What may come of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Expected {
    /// A whole answer.
    Answer,
    /// A whole answer of so many rows, triples or changed quads.
    Count(u64),
    /// A whole answer that tells no count: HTTP's of a document.
    Untold,
    /// An error of this code and reason.
    Error(Code, &'static str),
}

/// Rows, triples or changed quads if they are told; or the error's code and reason.
pub(crate) type Outcome = Result<Option<u64>, (Code, String)>;

/// The reason of an answer that begins and is broken off, which does not say why.
pub(crate) const BROKEN_OFF: &str = "broken off";
/// The reason where the server closes before it has the whole request: its answer is lost if that takes too long.
pub(crate) const CUT_OFF: &str = "cut off";
/// What can end an answer that has begun.
const LATE: [Expected; 3] = [DEADLINE, MEMORY, LIMIT];

impl Expected {
    pub(crate) fn is_met_by(self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Answer, Ok(_)) | (Self::Untold, Ok(None)) => true,
            (Self::Count(expected), Ok(count)) => count.is_none_or(|count| expected == count),
            (refused, Err((_, reason))) if reason == CUT_OFF => refused == TOO_LARGE,
            (late, Err((_, reason))) if reason == BROKEN_OFF => LATE.contains(&late),
            (Self::Error(code, reason), Err((actual, actual_reason))) => {
                (code, reason) == (*actual, actual_reason.as_str())
            }
            _ => false,
        }
    }
}

pub(crate) const fn query(name: &'static str, text: Text, expected: &'static [Expected]) -> Case {
    case(name, Kind::Query, text, expected)
}

pub(crate) const fn case(name: &'static str, kind: Kind, text: Text, expected: &'static [Expected]) -> Case {
    Case {
        name,
        kind,
        text,
        expected,
    }
}

pub(crate) const SYNTAX: Expected = Expected::Error(Code::InvalidArgument, "SPARQL_SYNTAX");
pub(crate) const TOO_COMPLEX: Expected = Expected::Error(Code::InvalidArgument, "SPARQL_TOO_COMPLEX");
pub(crate) const UNSUPPORTED: Expected = Expected::Error(Code::InvalidArgument, "SPARQL_UNSUPPORTED");
pub(crate) const EVALUATION: Expected = Expected::Error(Code::InvalidArgument, "SPARQL_EVALUATION");
pub(crate) const WRONG_FORM: Expected = Expected::Error(Code::InvalidArgument, "SPARQL_WRONG_FORM");
pub(crate) const MALFORMED: Expected = Expected::Error(Code::InvalidArgument, "MALFORMED_MESSAGE");
/// [`MALFORMED`] in words of HTTP.
pub(crate) const INVALID: Expected = Expected::Error(Code::InvalidArgument, "INVALID_REQUEST");
pub(crate) const DOCUMENT: Expected = Expected::Error(Code::InvalidArgument, "RDF_SYNTAX");
pub(crate) const TERM: Expected = Expected::Error(Code::InvalidArgument, "TERM_TOO_LARGE");
pub(crate) const DEADLINE: Expected = Expected::Error(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
pub(crate) const GRAPH_FULL: Expected = Expected::Error(Code::ResourceExhausted, "GRAPH_FULL");
pub(crate) const TOO_LARGE: Expected = Expected::Error(Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
/// The memory of one query is bounded.
pub(crate) const MEMORY: Expected = Expected::Error(Code::ResourceExhausted, "QUERY_MEMORY_EXCEEDED");
/// So are the rows and the bytes of its result.
pub(crate) const LIMIT: Expected = Expected::Error(Code::ResourceExhausted, "QUERY_LIMIT_EXCEEDED");

/// Refused before anything of it runs.
pub(crate) const REFUSED: &[Expected] = &[TOO_COMPLEX];
/// More than any server can do in a second.
pub(crate) const ENDLESS: &[Expected] = &[DEADLINE, MEMORY, LIMIT];
/// A fast server may answer it, or it may be refused.
pub(crate) const BOUNDED: &[Expected] = &[Expected::Answer, DEADLINE, MEMORY, LIMIT, TOO_COMPLEX];
/// It must be answered.
pub(crate) const ANSWERED: &[Expected] = &[Expected::Answer];
