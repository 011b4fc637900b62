//! `SparqlService`.

mod check;
mod explain;
mod list;

use std::{future::pending, sync::Arc, time::Instant};

use http::Extensions;
use tokio::{sync::oneshot, time::sleep_until};
use tonic::{Request, Response, Status};

use super::{
    call::{Peer, access},
    convert::to_int64,
    query_stream::{self, FrameSink, Frames, QueryStream},
    read::deadline,
    status::{internal, query_not_found, reason_name},
};
use crate::{
    auth::Account,
    facts::write::{WriteError, check_preconditions},
    graph::Draft,
    knowledge::{CommitRequest, Committed, KnowledgeBase, View},
    model::access::Access,
    proto::v1::{self, query_response::Frame, sparql_service_server::SparqlService},
    sparql::{Caller, CallerLimits, Interrupt, ParsedUpdate, Queries, SparqlError, Ticket},
};
pub use check::PARAMETER_COUNT_MAX;
use check::{
    CheckedCommit, CheckedQuery, check_cancel, check_explain, check_query, check_update, check_validate,
};

/// Answers `SparqlService`.
pub struct SparqlApi {
    knowledge: KnowledgeBase,
    queries: Queries,
}

impl SparqlApi {
    /// Runs queries and updates of a knowledge base.
    pub fn new(knowledge: KnowledgeBase, queries: Queries) -> Self {
        Self { knowledge, queries }
    }

    fn parameter_bytes_max(&self) -> usize {
        self.queries.settings().guard.byte_count_max
    }

    /// Returns what the caller sees.
    async fn view(&self, checked: &CheckedQuery, ticket: &Ticket) -> Result<View, Status> {
        let (access, interrupt) = (ticket.access(), ticket.interrupt());
        let deadline = interrupt.deadline();
        if checked.at_revision != 0 {
            let reading = self.knowledge.read_at(access, checked.at_revision);
            return tokio::select! {
                view = reading => Ok(view?),
                () = over(deadline) => Err(SparqlError::DeadlineExceeded.into()),
                () = interrupt.cancelled_by_request() => Err(SparqlError::QueryCancelled.into()),
            };
        }
        if checked.min_revision == 0 {
            return Ok(self.knowledge.read(access));
        }
        let reading = self
            .knowledge
            .read_at_least(access, checked.min_revision, deadline);
        Ok(reading.await?)
    }

    async fn commit(
        &self,
        access: Access,
        checked: CheckedCommit,
        update: ParsedUpdate,
        interrupt: Interrupt,
    ) -> Result<Committed, Status> {
        let memory_bytes_max = self.queries.settings().update_memory_bytes_max;
        let preconditions = checked.preconditions;
        let plan = update.plan(interrupt, memory_bytes_max);
        let mut commit = CommitRequest::new(access, move |draft: &mut Draft| {
            check_preconditions(draft.snapshot(), &preconditions).map_err(Refused::Precondition)?;
            plan(draft).map_err(Refused::Update)
        });
        commit.expected_revision = checked.expected_revision;
        commit.validate_only = checked.validate_only;
        commit.message = checked.message;
        commit.request_id = checked.request_id;
        Ok(self.knowledge.commit(commit).await?)
    }
}

#[tonic::async_trait]
impl SparqlService for SparqlApi {
    type QueryStream = QueryStream;

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<QueryStream>, Status> {
        let (_, extensions, request) = request.into_parts();
        let mut checked = check_query(request, self.parameter_bytes_max())?;
        let caller = caller("Query", &mut checked.query_id, &extensions)?;
        let (text, deadline) = (&checked.query.text, deadline(&extensions));
        let ticket = self.queries.admit(caller, text, deadline, &checked.limits)?;
        let ticket = paid(ticket, &extensions)?;
        let view = self.view(&checked, &ticket).await?;
        let (frames, stream) = query_stream::open(ticket.interrupt());
        ticket.start(move |ticket| run(ticket, &checked, &view, frames))?;
        Ok(Response::new(stream))
    }

    async fn update(
        &self,
        request: Request<v1::UpdateRequest>,
    ) -> Result<Response<v1::UpdateResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let mut checked = check_update(request, self.parameter_bytes_max())?;
        let caller = caller("Update", &mut checked.query_id, &extensions)?;
        let (text, deadline) = (&checked.text, deadline(&extensions));
        let ticket = self.queries.admit(caller, text, deadline, &checked.limits)?;
        let ticket = paid(ticket, &extensions)?;
        let interrupt = ticket.interrupt().clone();
        // The caller's end ends the work, as far as it has not been done.
        let _cancel = CancelOnDrop(interrupt.clone());
        // Held to the end: until then the update is listed.
        let (text, parameters) = (checked.text, checked.parameters);
        let parsing = on_thread(ticket, move |ticket| ticket.parse_update(&text, &parameters));
        let (ticket, update) = parsing.await?;
        let committed = self
            .commit(ticket.access().clone(), checked.commit, update?, interrupt)
            .await
            .inspect_err(|status| ticket.end(reason_name(status)))?;
        ticket.committed(
            committed.revision,
            committed.quads_inserted + committed.quads_removed,
        );
        Ok(Response::new(v1::UpdateResponse {
            revision: to_int64(committed.revision),
            quads_inserted: to_int64(committed.quads_inserted),
            quads_removed: to_int64(committed.quads_removed),
        }))
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let (mut checked, execute) = check_explain(request, self.parameter_bytes_max())?;
        let caller = caller("Explain", &mut checked.query_id, &extensions)?;
        let (text, deadline) = (&checked.query.text, deadline(&extensions));
        let ticket = self.queries.admit(caller, text, deadline, &checked.limits)?;
        let ticket = paid(ticket, &extensions)?;
        let _cancel = CancelOnDrop(ticket.interrupt().clone());
        let view = self.view(&checked, &ticket).await?;
        let explaining = on_thread(ticket, move |ticket| {
            let (revision, snapshot) = (view.revision, &view.snapshot);
            let explained = ticket.explain_query(&checked.query, revision, snapshot, execute)?;
            // A deep plan is taken apart where the stack is large.
            Ok::<_, SparqlError>(explain::explanation(explained, ticket.query_id(), revision))
        });
        let (_ticket, explanation) = explaining.await?;
        Ok(Response::new(explanation?))
    }

    async fn validate(
        &self,
        request: Request<v1::ValidateRequest>,
    ) -> Result<Response<v1::ValidateResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let (text, expected) = check_validate(request)?;
        let caller = caller("Validate", &mut String::new(), &extensions)?;
        if let Some(refused) = self.queries.validate_length(&text) {
            return Ok(Response::new(explain::validation(refused)));
        }
        let (limits, deadline) = (CallerLimits::default(), deadline(&extensions));
        let ticket = self.queries.admit(caller, &text, deadline, &limits)?;
        let ticket = paid(ticket, &extensions)?;
        let validating = on_thread(ticket, move |ticket| ticket.validate(&text, expected));
        let (_ticket, validation) = validating.await?;
        Ok(Response::new(explain::validation(validation)))
    }

    async fn list_queries(
        &self,
        request: Request<v1::ListQueriesRequest>,
    ) -> Result<Response<v1::ListQueriesResponse>, Status> {
        let access = access(request.extensions())?;
        Ok(Response::new(list::response(self.queries.list(&access))))
    }

    async fn cancel_query(
        &self,
        request: Request<v1::CancelQueryRequest>,
    ) -> Result<Response<v1::CancelQueryResponse>, Status> {
        let access = access(request.extensions())?;
        let query_id = check_cancel(request.into_inner())?;
        if self.queries.cancel(&access, &query_id) {
            Ok(Response::new(v1::CancelQueryResponse {}))
        } else {
            Err(query_not_found(&query_id))
        }
    }
}

/// Has the caller's account pay for the time of a query, if it has one.
fn paid(ticket: Ticket, extensions: &Extensions) -> Result<Ticket, Status> {
    match extensions.get::<Arc<Account>>() {
        Some(account) => Ok(ticket.paid_by(account.begin_query()?)),
        None => Ok(ticket),
    }
}

/// Why an update was not planned.
enum Refused {
    Precondition(WriteError),
    Update(SparqlError),
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Precondition(error) => error.into(),
            Refused::Update(error) => error.into(),
        }
    }
}

/// Works on a thread with a large stack and gives the ticket back.
async fn on_thread<T: Send + 'static>(
    ticket: Ticket,
    work: impl FnOnce(&Ticket) -> T + Send + 'static,
) -> Result<(Ticket, T), Status> {
    let interrupt = ticket.interrupt().clone();
    let (sender, done) = oneshot::channel();
    ticket.start(move |ticket| {
        let outcome = work(&ticket);
        // An error says that the caller has gone.
        let _ = sender.send((ticket, outcome));
    })?;
    tokio::select! {
        done = done => done.map_err(|_| internal(&"a query thread panicked")),
        () = interrupt.cancelled_by_request() => Err(SparqlError::QueryCancelled.into()),
    }
}

/// Until a deadline, if there is one.
async fn over(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

/// Cancels when its call is over, done or broken off.
struct CancelOnDrop(Interrupt);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn caller(method: &'static str, query_id: &mut String, extensions: &Extensions) -> Result<Caller, Status> {
    Ok(Caller {
        access: access(extensions)?,
        method,
        query_id: std::mem::take(query_id),
        peer: extensions.get::<Peer>().map(|peer| peer.0),
    })
}

/// Runs a query on its thread.
fn run(ticket: Ticket, checked: &CheckedQuery, view: &View, frames: Frames) {
    let outcome = send(&ticket, checked, view, &frames);
    ticket.end(outcome.as_ref().map_or_else(SparqlError::name, |_| "OK"));
    // Its id is free before the caller has the last word: it may be the caller's next.
    drop(ticket);
    if let Err(error) = outcome.and_then(|complete| frames.send(Frame::Complete(complete))) {
        frames.fail(error);
    }
}

/// Sends all but the last frame, and returns that.
fn send(
    ticket: &Ticket,
    checked: &CheckedQuery,
    view: &View,
    frames: &Frames,
) -> Result<v1::QueryComplete, SparqlError> {
    let header = v1::QueryHeader {
        query_id: ticket.query_id().to_owned(),
        revision: to_int64(view.revision),
        ..Default::default()
    };
    let mut sink = FrameSink::new(frames, header, checked.encoding);
    let completion = ticket.run_query(&checked.query, view.revision, &view.snapshot, &mut sink)?;
    sink.flush()?;
    let limit = if completion.is_limited {
        v1::QueryLimit::RowCount
    } else {
        v1::QueryLimit::Unspecified
    };
    Ok(v1::QueryComplete {
        row_count: to_int64(completion.row_count),
        elapsed: prost_types::Duration::try_from(completion.elapsed).ok(),
        limit_reached: limit.into(),
    })
}
