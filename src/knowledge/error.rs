//! What can go wrong with the knowledge base.

use std::convert::Infallible;

use oxigraph::model::GraphNameRef;

use super::TERM_BYTES_MAX;
use crate::{
    facts::ModelError,
    log::LogError,
    model::access::{Access, graph_label},
};

/// Why a knowledge base cannot be opened. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The log refuses.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The snapshot file cannot be written.
    #[error("the snapshot file cannot be written: {0}")]
    SnapshotFile(#[source] std::io::Error),
    /// A thread cannot be started.
    #[error("a thread cannot be started: {0}")]
    Thread(#[source] std::io::Error),
}

/// Why a commit was not made.
#[derive(Debug, thiserror::Error)]
pub enum CommitError<E> {
    /// The plan failed.
    #[error("{0}")]
    Plan(E),
    /// The plan panicked: a fault of ours.
    #[error("the change could not be planned")]
    PlanPanicked,
    /// It would leave statements, or what follows from them, not as the fact model has them.
    #[error(transparent)]
    Model(Box<ModelError>),
    /// It would change a graph that its caller may not.
    #[error("you may not change {graph}")]
    NotGranted {
        /// The graph: an IRI in `<` and `>`, a blank node, or `the default graph`; `any graph` where it may change none.
        graph: String,
    },
    /// Another revision is the newest one.
    #[error("the newest revision is {revision}")]
    RevisionMismatch {
        /// The newest revision.
        revision: u64,
    },
    /// The request id was used for another request.
    #[error("the request id {request_id:?} was used for another request, at revision {revision}")]
    RequestIdReused {
        /// The request id.
        request_id: String,
        /// The revision of the other request.
        revision: u64,
    },
    /// The graph index would take more memory than it may.
    #[error("the graph would take more than {graph_memory_bytes_max} bytes of memory")]
    GraphFull {
        /// The limit.
        graph_memory_bytes_max: u64,
    },
    /// It brings a term that is too long.
    #[error("a term has {term_bytes} bytes, and may have {TERM_BYTES_MAX} (term_bytes_max)")]
    TermTooLarge {
        /// Its bytes, as UTF-8.
        term_bytes: u64,
    },
    /// The disk is full. Where it filled up in the middle of the write, a start before there is room may find the write whole.
    #[error(
        "the disk is full: the write is refused, and reads go on; if the server is started again before there is room, it may be there"
    )]
    DiskFull,
    /// The log reported an I/O error, now or before.
    #[error("the log takes no writes since an I/O error: the server must be started again; reads go on")]
    LogUnavailable,
    /// The knowledge base is closed.
    #[error("the knowledge base is shutting down")]
    Closed,
    /// Too many commits wait.
    #[error("too many commits are waiting")]
    Overloaded,
}

impl<E> CommitError<E> {
    /// Fails for a caller who may change no graph at all, or not the one that a write names beforehand: so that it need not be
    /// received to be refused.
    pub fn unless_granted(access: &Access, graph: Option<GraphNameRef<'_>>) -> Result<(), Self> {
        let graph = match graph {
            Some(graph) if !access.writes().has(graph) => graph_label(graph),
            None if access.writes().is_empty() => "any graph".to_owned(),
            _ => return Ok(()),
        };
        Err(Self::NotGranted { graph })
    }

    /// Returns the plan's own error, or any other one without the plan's type.
    pub fn into_plan_error(self) -> Result<E, CommitError<Infallible>> {
        Err(match self {
            Self::Plan(error) => return Ok(error),
            Self::PlanPanicked => CommitError::PlanPanicked,
            Self::Model(error) => CommitError::Model(error),
            Self::NotGranted { graph } => CommitError::NotGranted { graph },
            Self::RevisionMismatch { revision } => CommitError::RevisionMismatch { revision },
            Self::RequestIdReused { request_id, revision } => {
                CommitError::RequestIdReused { request_id, revision }
            }
            Self::GraphFull {
                graph_memory_bytes_max,
            } => CommitError::GraphFull {
                graph_memory_bytes_max,
            },
            Self::TermTooLarge { term_bytes } => CommitError::TermTooLarge { term_bytes },
            Self::DiskFull => CommitError::DiskFull,
            Self::LogUnavailable => CommitError::LogUnavailable,
            Self::Closed => CommitError::Closed,
            Self::Overloaded => CommitError::Overloaded,
        })
    }
}

/// Why a read does not have the revision that it asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RevisionNotReached {
    /// It did not come in time.
    #[error("revision {min_revision} was not reached in time: the newest one is {revision}")]
    Late {
        /// The revision that was asked for.
        min_revision: u64,
        /// The newest revision.
        revision: u64,
    },
    /// Too many reads wait for one.
    #[error("as many reads wait for their revision as may")]
    Overloaded,
}
