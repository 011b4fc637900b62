//! What everybody who runs queries and updates shares: threads, parser, limits, and the list of what waits and runs.

use std::{
    borrow::Cow,
    io,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use oxigraph::model::Triple;
use tracing::trace_span;

use super::{
    Caller, CallerLimits, Completion, Explanation, GuardLimits, Interrupt, MemoryLimits, MemoryPool,
    Parameters, ParsedUpdate, Parser, PoolError, Query, QueryForm, QueryIdInUse, QueryPool, Row, RunLimits,
    RunningQuery, Sink, SparqlError, TextKind, Validation, explain_query, guard, parse_update,
    registry::{Entry, Place, Registry},
    run::run_watched,
    slow::{self, UpdateWatch, Watch},
    validate,
};
use crate::{
    auth::OpenQuery,
    graph::Snapshot,
    intake,
    model::access::Access,
    rdf::Memory,
    remote::RemoteSettings,
    request::{self, on_thread},
};

/// How queries and updates run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QuerySettings {
    /// Queries that run at once.
    pub running_count_max: usize,
    /// Queries that may wait for a thread; one more is refused.
    pub waiting_count_max: usize,
    /// Limits of a text.
    pub guard: GuardLimits,
    /// Time that a query or update may take, whatever its caller allows.
    pub timeout_max: Duration,
    /// Memory that they may take.
    pub memory: MemoryLimits,
    /// What each may come to.
    pub limits: RunLimits,
    /// A query or update that takes longer is logged; `None`: none is.
    pub slow_after: Option<Duration>,
    /// Bytes that the changes of one operation of an update may take.
    pub update_memory_bytes_max: u64,
    /// What SERVICE and LOAD may fetch.
    pub remote: RemoteSettings,
}

#[cfg(test)]
impl QuerySettings {
    /// One thread and the default limits.
    pub(super) fn small() -> Self {
        Self {
            running_count_max: 1,
            waiting_count_max: 1,
            guard: GuardLimits::default(),
            timeout_max: Duration::from_mins(1),
            memory: MemoryLimits::default(),
            limits: RunLimits::default(),
            slow_after: None,
            update_memory_bytes_max: 1 << 20,
            remote: RemoteSettings::default(),
        }
    }
}

/// A query or update is not admitted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AdmitError {
    /// Its id is that of another one.
    #[error(transparent)]
    IdInUse(#[from] QueryIdInUse),
    /// Its text is longer than one may be.
    #[error(transparent)]
    TooLong(SparqlError),
}

/// The front of this module for whoever speaks a protocol. Clones share all.
#[derive(Clone, Debug)]
pub struct Queries(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: QuerySettings,
    pool: QueryPool,
    parser: Parser,
    registry: Registry,
    memory: MemoryPool,
    /// What the documents of LOAD may take together.
    documents: Memory,
}

impl Queries {
    /// Starts the threads. Prefixes are pairs of a name without the colon and an IRI.
    pub fn start<'a>(
        settings: QuerySettings,
        prefixes: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> io::Result<Self> {
        Ok(Self(Arc::new(Shared {
            pool: QueryPool::start(settings.running_count_max, settings.waiting_count_max)?,
            parser: Parser::new(settings.guard, prefixes).with_remote(settings.remote.clone()),
            registry: Registry::default(),
            memory: MemoryPool::new(settings.memory),
            documents: Memory::new(settings.update_memory_bytes_max),
            settings,
        })))
    }

    /// Returns the settings.
    pub fn settings(&self) -> &QuerySettings {
        &self.0.settings
    }

    /// Admits a query or update: from now on it is listed, and can be cancelled. One that is too long is refused before it waits.
    ///
    /// It ends at the earliest of the `deadline` of the call, the caller's timeout and the server's maximum.
    pub fn admit(
        &self,
        caller: Caller,
        text: &str,
        deadline: Option<Instant>,
        limits: &CallerLimits,
    ) -> Result<Ticket, AdmitError> {
        let settings = &self.0.settings;
        guard::check_length(text, settings.guard).map_err(AdmitError::TooLong)?;
        let timeout = limits
            .timeout
            .map_or(settings.timeout_max, |timeout| timeout.min(settings.timeout_max));
        let end = Instant::now() + timeout;
        let end = deadline.map_or(end, |deadline| deadline.min(end));
        let parser = (!caller.access.is_admin()).then(|| self.0.parser.barred());
        let place = self.0.registry.admit(
            caller,
            text,
            Interrupt::new(Some(end))
                .with_memory(&self.0.memory)
                .with_limits(settings.limits.lowered(limits)),
        )?;
        Ok(Ticket {
            queries: self.clone(),
            place,
            parser,
            payment: None,
        })
    }

    /// Tells of a text that it is too long, if it is: that takes no thread.
    pub fn validate_length(&self, text: &str) -> Option<Validation> {
        let limits = self.0.settings.guard;
        let fault = guard::check_length(text, limits).err()?;
        Some(Validation::refused(text, limits, fault))
    }

    /// Returns what waits and runs, the oldest first: one's own, or all for an administrator.
    pub fn list(&self, access: &Access) -> Vec<RunningQuery> {
        self.0.registry.list(access)
    }

    /// Returns how many run, and how many wait.
    pub fn counts(&self) -> (u64, u64) {
        self.0.registry.counts()
    }

    /// Returns the bytes of memory that they take.
    pub fn memory_bytes(&self) -> u64 {
        self.0.memory.used_bytes()
    }

    /// Cancels a query or update of one's own, or of anybody for an administrator; false if none of this id waits or runs.
    ///
    /// An update whose commit is being written by then is not undone: its own answer tells.
    pub fn cancel(&self, access: &Access, query_id: &str) -> bool {
        self.0.registry.cancel(access, query_id)
    }
}

/// The right to run one query or update; the list shows it until this is dropped.
#[derive(Debug)]
pub struct Ticket {
    queries: Queries,
    place: Place,
    /// Its own, if it has a base IRI or a caller for whom nothing is fetched.
    parser: Option<Parser>,
    payment: Option<OpenQuery>,
}

impl Ticket {
    /// Returns the id: the caller's, or ours.
    pub fn query_id(&self) -> &str {
        &self.entry().query_id
    }

    /// Returns what its caller may do.
    pub fn access(&self) -> &Access {
        &self.entry().access
    }

    /// Returns when to stop.
    pub fn interrupt(&self) -> &Interrupt {
        &self.entry().interrupt
    }

    /// Returns it with a base for the relative IRIs of its text.
    #[must_use]
    pub fn with_base_iri(mut self, base_iri: &str) -> Self {
        self.parser = Some(self.parser().with_base_iri(base_iri));
        self
    }

    /// Has its caller pay for the time from the start of its work until this is dropped.
    #[must_use]
    pub fn paid_by(mut self, payment: OpenQuery) -> Self {
        self.payment = Some(payment);
        self
    }

    /// Runs `work` on a thread with a large stack, once one is free. Until it is done it holds what its request has taken.
    pub fn start(mut self, work: impl FnOnce(Self) + Send + 'static) -> Result<(), PoolError> {
        let queries = self.queries.clone();
        request::note_query_id(self.query_id());
        let wait = trace_span!("wait");
        let work = on_thread(move || {
            drop(wait);
            self.entry().begin();
            if let Some(payment) = &mut self.payment {
                payment.run();
            }
            work(self);
        });
        queries.0.pool.submit(intake::on_thread(work))
    }

    /// Runs a query: call it on the thread of [`Self::start`].
    pub fn run_query(
        &self,
        query: &Query,
        revision: u64,
        snapshot: &Snapshot,
        sink: &mut dyn Sink,
    ) -> Result<Completion, SparqlError> {
        let entry = self.entry();
        entry.hash(&query.text);
        // The first run is the only one.
        let _ = entry.revision.set(revision);
        request::note_revision(revision);
        // It may have waited past its end.
        entry.interrupt.check()?;
        let mut counted = Counted {
            sink,
            entry,
            row_count: 0,
        };
        let slow_after = self.queries.0.settings.slow_after;
        let watch = slow_after.map(|slow_after| Watch::of_query(entry, slow_after, &query.parameters));
        run_watched(
            self.parser(),
            query,
            snapshot,
            &entry.interrupt,
            &mut counted,
            watch,
        )
        .inspect_err(|error| self.end(error.name()))
    }

    /// Explains a query, and runs it too if `with_execution`: call it on the thread of [`Self::start`].
    pub fn explain_query(
        &self,
        query: &Query,
        revision: u64,
        snapshot: &Snapshot,
        with_execution: bool,
    ) -> Result<Explanation, SparqlError> {
        let entry = self.entry();
        entry.hash(&query.text);
        // It is explained once.
        let _ = entry.revision.set(revision);
        let explaining = || {
            entry.interrupt.check()?;
            explain_query(self.parser(), query, snapshot, with_execution, &entry.interrupt)
        };
        let explanation = explaining().inspect_err(|error| self.end(error.name()))?;
        // Nor has it another form.
        let _ = entry.form.set(explanation.form);
        entry
            .row_count
            .store(explanation.row_count.unwrap_or(0), Ordering::Relaxed);
        self.end("OK");
        Ok(explanation)
    }

    /// Tells what a text is: call it on the thread of [`Self::start`].
    pub fn validate(&self, text: &str, expected: Option<TextKind>) -> Validation {
        self.entry().hash(text);
        let validation = validate(self.parser(), text, expected);
        self.end("OK");
        validation
    }

    /// Parses an update, binds its parameters and fetches what it needs from elsewhere: call it on the thread of [`Self::start`].
    pub fn parse_update(&self, text: &str, parameters: &Parameters) -> Result<ParsedUpdate, SparqlError> {
        let entry = self.entry();
        entry.hash(text);
        entry.is_update.store(true, Ordering::Relaxed);
        let parsing = || {
            entry.interrupt.check()?;
            let mut update = parse_update(self.parser(), text, parameters)?;
            let remote = self.parser().remote();
            update.fetch(remote, &entry.interrupt, &self.queries.0.documents)?;
            Ok::<_, SparqlError>(match self.queries.0.settings.slow_after {
                Some(slow_after) => update.watched(UpdateWatch {
                    entry: Arc::clone(&self.place.entry),
                    slow_after,
                    parameters: parameters.clone(),
                }),
                None => update,
            })
        };
        parsing().inspect_err(|error| self.end(error.name()))
    }

    /// Notes that the update was committed, at this revision and with so many changes.
    pub fn committed(&self, revision: u64, change_count: u64) {
        // It is committed once.
        let _ = self.entry().revision.set(revision);
        request::note_revision(revision);
        self.entry().row_count.store(change_count, Ordering::Relaxed);
        self.end("OK");
    }

    /// Notes how it ended: `OK`, or the name of the reason. The first word counts.
    pub fn end(&self, outcome: impl Into<Cow<'static, str>>) {
        let _ = self.entry().outcome.set(outcome.into());
    }

    fn parser(&self) -> &Parser {
        self.parser.as_ref().unwrap_or(&self.queries.0.parser)
    }

    fn entry(&self) -> &Entry {
        &self.place.entry
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(slow_after) = self.queries.0.settings.slow_after {
            slow::log(self.entry(), slow_after);
        }
    }
}

/// Counts what passes, for the list.
struct Counted<'a> {
    sink: &'a mut dyn Sink,
    entry: &'a Entry,
    row_count: u64,
}

impl Counted<'_> {
    fn count(&mut self) {
        self.row_count += 1;
        // Nobody else writes it.
        self.entry.row_count.store(self.row_count, Ordering::Relaxed);
    }
}

impl Sink for Counted<'_> {
    fn header(&mut self, form: QueryForm, variables: &[&str]) -> Result<(), SparqlError> {
        // A query has one header.
        let _ = self.entry.form.set(form);
        self.sink.header(form, variables)
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), SparqlError> {
        self.count();
        self.sink.row(row)
    }

    fn triple(&mut self, triple: &Triple) -> Result<(), SparqlError> {
        self.count();
        self.sink.triple(triple)
    }

    fn boolean(&mut self, answer: bool) -> Result<(), SparqlError> {
        self.count();
        self.sink.boolean(answer)
    }
}
