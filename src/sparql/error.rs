//! Why a query or an update fails.

use super::RunLimit;

/// Why a parameter cannot be bound.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParameterFault {
    /// The name of the parameter, as it was given.
    pub name: String,
    /// What is wrong.
    pub description: String,
}

/// Why a query or an update fails.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SparqlError {
    /// The text is past a limit of the guard.
    #[error("the SPARQL text is past the limit {limit} of {limit_value}")]
    TooComplex {
        /// The name of the limit.
        limit: &'static str,
        /// Its value.
        limit_value: u64,
    },
    /// A value that the query makes, or a regular expression, is past a limit.
    #[error("a value in the query is past the limit {limit} of {limit_value}")]
    ValueTooLarge {
        /// The name of the limit.
        limit: &'static str,
        /// Its value.
        limit_value: u64,
    },
    /// The text does not parse.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// The line, from 1.
        line: u64,
        /// The column in characters, from 1.
        column: u64,
        /// What is wrong there.
        message: String,
    },
    /// An update was sent as a query, or a query as an update.
    #[error("this is {actual}: send it to {method}")]
    WrongForm {
        /// What it is.
        actual: &'static str,
        /// The method that takes it.
        method: &'static str,
    },
    /// The text asks for what this server does not do.
    #[error("{0} is not supported by this server")]
    Unsupported(String),
    /// The text asks for what only administrators may.
    #[error("{0} is for administrators alone")]
    AdminOnly(&'static str),
    /// Parameters cannot be bound: all that is wrong with them.
    #[error("{}", listed(.0))]
    Parameters(Vec<ParameterFault>),
    /// It failed while it ran.
    #[error("{0}")]
    Evaluation(String),
    /// What SERVICE or LOAD needs did not come from elsewhere.
    #[error("{url} failed: {message}")]
    Remote {
        /// Where it should have come from.
        url: String,
        /// What is wrong.
        message: String,
    },
    /// An update changes more than there is memory for.
    #[error("the update changes more than fits into the graph's {memory_bytes_max} bytes of memory")]
    MemoryExceeded {
        /// Bytes that the graph may take.
        memory_bytes_max: u64,
    },
    /// A query takes more memory than one may.
    #[error("the query needs more than {memory_bytes_max} bytes of memory")]
    QueryMemoryExceeded {
        /// Bytes that one query may take.
        memory_bytes_max: u64,
    },
    /// A query or update comes to more than one may.
    #[error("more than {limit_value} {}, which is {}: {}", limit.unit(), limit.name(), limit.advice())]
    LimitExceeded {
        /// The limit.
        limit: RunLimit,
        /// Its value.
        limit_value: u64,
    },
    /// All queries together take as much memory as they may.
    #[error("the running queries take {memory_bytes_max} bytes of memory, which is all there is for them")]
    MemoryBusy {
        /// Bytes that all queries may take.
        memory_bytes_max: u64,
    },
    /// The deadline came first.
    #[error("the deadline passed before the end")]
    DeadlineExceeded,
    /// The caller went away.
    #[error("the caller cancelled")]
    Cancelled,
    /// Somebody cancelled the query by its id.
    #[error("the query was cancelled by its id")]
    QueryCancelled,
    /// A fault of ours. The text is for the log, not for the caller.
    #[error("internal error: {0}")]
    Internal(String),
}

impl SparqlError {
    /// Returns the name of the reason, as the protocols tell it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooComplex { .. } | Self::ValueTooLarge { .. } => "SPARQL_TOO_COMPLEX",
            Self::Syntax { .. } => "SPARQL_SYNTAX",
            Self::WrongForm { .. } => "SPARQL_WRONG_FORM",
            Self::Unsupported(_) => "SPARQL_UNSUPPORTED",
            Self::AdminOnly(_) => "ADMIN_ONLY",
            Self::Parameters(_) => "INVALID_PARAMETER",
            Self::Evaluation(_) => "SPARQL_EVALUATION",
            Self::Remote { .. } => "REMOTE_FAILED",
            Self::MemoryExceeded { .. } => "GRAPH_FULL",
            Self::QueryMemoryExceeded { .. } => "QUERY_MEMORY_EXCEEDED",
            Self::LimitExceeded { .. } => "QUERY_LIMIT_EXCEEDED",
            Self::MemoryBusy { .. } => "OVERLOADED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Cancelled => "CANCELLED",
            Self::QueryCancelled => "QUERY_CANCELLED",
            Self::Internal(_) => "INTERNAL",
        }
    }
}

fn listed(faults: &[ParameterFault]) -> String {
    let listed: Vec<_> = faults
        .iter()
        .map(|fault| format!("parameter {}: {}", fault.name, fault.description))
        .collect();
    listed.join("; ")
}
