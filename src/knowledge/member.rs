//! One waiting commit, whatever its error type.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tokio::sync::oneshot;

use super::{CommitError, CommitRequest, Committed, Plan};
use crate::{
    facts::ModelError,
    graph::Draft,
    log::{Entry, LogError, RequestId},
    model::access::{Access, Changed, Witness},
};

/// What the writer needs to know of a commit besides its plan.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) access: Access,
    pub(super) request_id: Option<RequestId>,
    pub(super) expected_revision: Option<u64>,
    pub(super) validate_only: bool,
    message: String,
    author: String,
}

impl Terms {
    /// Returns the terms of a commit that the server makes by itself.
    pub(super) fn of_server(message: String) -> Self {
        Self {
            access: Access::everything(),
            request_id: None,
            expected_revision: None,
            validate_only: false,
            message,
            author: "dossier".to_owned(),
        }
    }

    pub(super) fn into_entry(self, time_us: u64) -> Entry {
        Entry {
            time_us,
            author: self.author,
            message: self.message,
            request_id: self.request_id,
        }
    }
}

/// Why the writer refuses a commit.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// The plan itself failed: the member knows how.
    Plan,
    Model(Box<ModelError>),
    NotGranted {
        graph: String,
    },
    RevisionMismatch {
        revision: u64,
    },
    RequestIdReused {
        request_id: String,
        revision: u64,
    },
    GraphFull {
        graph_memory_bytes_max: u64,
    },
    TermTooLarge {
        term_bytes: u64,
    },
    DiskFull,
    LogUnavailable,
    Closed,
}

impl From<&LogError> for Refusal {
    fn from(error: &LogError) -> Self {
        if matches!(error, LogError::DiskFull) {
            Self::DiskFull
        } else {
            Self::LogUnavailable
        }
    }
}

/// A commit that waits for the writer.
pub(super) trait Member: Send {
    /// Takes what the writer needs to know, once.
    fn take_terms(&mut self) -> Option<Terms>;
    /// Tells whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// Runs the plan, once. Tells whether it succeeded.
    fn plan(&mut self, draft: &mut Draft) -> bool;
    /// Sends the answer.
    fn answer(self: Box<Self>, outcome: Result<Committed, Refusal>);
}

pub(super) struct Pending<E> {
    plan: Option<Plan<E>>,
    failure: Option<CommitError<E>>,
    witness: Option<Arc<dyn Witness>>,
    terms: Option<Terms>,
    reply: oneshot::Sender<Result<Committed, CommitError<E>>>,
}

impl<E> Pending<E> {
    pub(super) fn new(
        request: CommitRequest<E>,
        reply: oneshot::Sender<Result<Committed, CommitError<E>>>,
    ) -> Self {
        let CommitRequest {
            plan,
            request_id,
            expected_revision,
            validate_only,
            message,
            author,
            access,
        } = request;
        // What is only validated makes no commit.
        let witness = access.witness().filter(|_| !validate_only).cloned();
        let request_id = request_id.map(|request| request.of(access.subject()));
        let terms = Terms {
            access,
            request_id,
            expected_revision,
            validate_only,
            message,
            author,
        };
        Self {
            plan: Some(plan),
            failure: None,
            witness,
            terms: Some(terms),
            reply,
        }
    }
}

impl<E: Send> Member for Pending<E> {
    fn take_terms(&mut self) -> Option<Terms> {
        self.terms.take()
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn plan(&mut self, draft: &mut Draft) -> bool {
        let Some(plan) = self.plan.take() else {
            return false;
        };
        // The draft is dropped if the plan panics, so that nobody sees it half done.
        match catch_unwind(AssertUnwindSafe(|| plan(draft))) {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => self.failure = Some(CommitError::Plan(error)),
            Err(_) => {
                tracing::error!("the plan of a commit panicked");
                self.failure = Some(CommitError::PlanPanicked);
            }
        }
        false
    }

    fn answer(self: Box<Self>, outcome: Result<Committed, Refusal>) {
        let Self {
            failure,
            reply,
            witness,
            ..
        } = *self;
        // Before its answer: whoever has one is in the audit log.
        if let (Ok(committed), Some(witness)) = (&outcome, witness) {
            let changed = Changed {
                quads_inserted: committed.quads_inserted,
                quads_removed: committed.quads_removed,
                graphs_created: committed.graphs_created,
                graphs_dropped: committed.graphs_dropped,
            };
            // What changed nothing made no commit.
            if changed != Changed::default() {
                witness.committed(committed.revision, changed);
            }
        }
        let answer = outcome.map_err(|refusal| match refusal {
            Refusal::Plan => failure.unwrap_or(CommitError::PlanPanicked),
            Refusal::Model(error) => CommitError::Model(error),
            Refusal::NotGranted { graph } => CommitError::NotGranted { graph },
            Refusal::RevisionMismatch { revision } => CommitError::RevisionMismatch { revision },
            Refusal::RequestIdReused { request_id, revision } => {
                CommitError::RequestIdReused { request_id, revision }
            }
            Refusal::GraphFull {
                graph_memory_bytes_max,
            } => CommitError::GraphFull {
                graph_memory_bytes_max,
            },
            Refusal::TermTooLarge { term_bytes } => CommitError::TermTooLarge { term_bytes },
            Refusal::DiskFull => CommitError::DiskFull,
            Refusal::LogUnavailable => CommitError::LogUnavailable,
            Refusal::Closed => CommitError::Closed,
        });
        // Nobody may wait for it any more.
        let _ = reply.send(answer);
    }
}
