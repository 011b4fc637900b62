//! A group of commits: planned one on top of the other, appended with one fsync.

use std::time::{Duration, Instant};

use oxigraph::model::NamedOrBlankNode;

use super::{
    Committed, TERM_BYTES_MAX, View, Writes,
    clock::Clock,
    member::{Member, Refusal, Terms},
};
use crate::{
    facts::derive,
    graph::{Changes, Draft, Snapshot},
    log::{Append, Entry, Head, Header, Log, LogError, PayloadWriter, RequestId},
    model::day::Day,
};

/// Members of one group. More only wait longer for the first one's answer.
const MEMBER_COUNT_MAX: usize = 256;
/// Changed quads after which a group takes no more members, so that small commits do not wait for many large ones.
const CHANGED_QUAD_COUNT_MAX: u64 = 100_000;

/// Commits on their way, and the snapshot that they lead to.
pub(super) struct Group<'log> {
    log: &'log mut Log,
    graph_memory_bytes_max: u64,
    tip: Snapshot,
    clock: &'log Clock,
    /// The reference date, one for all of the group.
    day: Day,
    append: Option<Append>,
    failure: Option<Refusal>,
    /// What an error of the log says of commits to come.
    writes: Option<Writes>,
    members: Vec<(Box<dyn Member>, Outcome)>,
    changed_quad_count: u64,
}

struct Outcome {
    answer: Result<Committed, Refusal>,
    /// It was planned on top of records that are not durable yet: it stands and falls with them.
    depends: bool,
}

/// What a group came to.
pub(super) struct Done {
    pub(super) members: Vec<(Box<dyn Member>, Result<Committed, Refusal>)>,
    /// The new view, if anything changed.
    pub(super) view: Option<View>,
    pub(super) commit_count: u64,
    pub(super) changed_quad_count: u64,
    /// The reference date.
    pub(super) day: Day,
    /// The time that the append took, if there was one.
    pub(super) append_time: Option<Duration>,
    /// Whether there can be more, as far as the group has found out.
    pub(super) writes: Option<Writes>,
}

impl<'log> Group<'log> {
    pub(super) fn new(
        log: &'log mut Log,
        clock: &'log Clock,
        tip: Snapshot,
        graph_memory_bytes_max: u64,
    ) -> Self {
        Self {
            day: clock.day(),
            clock,
            log,
            graph_memory_bytes_max,
            tip,
            append: None,
            failure: None,
            writes: None,
            members: Vec::new(),
            changed_quad_count: 0,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.members.len() >= MEMBER_COUNT_MAX
            || self.changed_quad_count >= CHANGED_QUAD_COUNT_MAX
            || self.failure.is_some()
    }

    /// Brings the graph to the reference date, if it was derived for another, in a commit of its own.
    pub(super) fn turn(&mut self) {
        let Some(scope) = derive::due(&self.tip, self.day) else {
            return;
        };
        self.rederive(self.day, scope, format!("what holds on {}", self.day));
    }

    /// Derives groups of statements anew, in a commit of its own.
    pub(super) fn rederive(&mut self, day: Day, scope: derive::Scope, message: String) {
        let mut draft = Draft::new(self.tip.clone());
        derive::rederive(&mut draft, day, scope);
        let (changes, snapshot) = draft.finish();
        let entry = Terms::of_server(message).into_entry(self.time_us());
        match self.append(entry, &changes) {
            Ok(header) => {
                let (inserted, removed) = (changes.inserted_count(), changes.removed_count());
                tracing::info!(%day, revision = header.revision, inserted, removed, "derived what holds");
                self.tip = snapshot;
                self.changed_quad_count += inserted + removed;
            }
            Err(refusal) => tracing::error!(?refusal, %day, "what holds could not be derived"),
        }
    }

    /// Plans a commit on top of those before it.
    pub(super) fn add(&mut self, mut member: Box<dyn Member>) {
        if member.is_abandoned() {
            return;
        }
        let Some(terms) = member.take_terms() else {
            return;
        };
        let answer = self.plan(member.as_mut(), terms);
        let depends = self.append.is_some() || self.failure.is_some();
        self.members.push((member, Outcome { answer, depends }));
    }

    fn plan(&mut self, member: &mut dyn Member, terms: Terms) -> Result<Committed, Refusal> {
        if let Some(first) = self.first_answer(&terms)? {
            return Ok(first);
        }
        let revision = self.revision();
        if terms
            .expected_revision
            .is_some_and(|expected| expected != revision)
        {
            return Err(Refusal::RevisionMismatch { revision });
        }
        let time_us = self.time_us();
        let mut draft = derive::draft(self.tip.clone()).at(time_us);
        let access = &terms.access;
        draft.restrict(access.reads(), access.writes());
        let is_planned = member.plan(&mut draft);
        // What follows from the change is the server's doing, which sees all.
        if let Err(graph) = draft.lift() {
            return Err(Refusal::NotGranted { graph });
        }
        if !is_planned {
            return Err(Refusal::Plan);
        }
        derive::derive(&mut draft, self.day).map_err(|error| Refusal::Model(Box::new(error)))?;
        let (changes, snapshot) = draft.finish();
        let adds = changes.inserted_count() > 0 || changes.created_graphs().next().is_some();
        let term_bytes = changes.longest_term();
        if term_bytes > TERM_BYTES_MAX && adds {
            return Err(Refusal::TermTooLarge { term_bytes });
        }
        let memory_bytes = snapshot.memory_bytes();
        // What only removes always passes: it is the way out of a full graph.
        if memory_bytes > self.graph_memory_bytes_max && memory_bytes > self.tip.memory_bytes() && adds {
            return Err(Refusal::GraphFull {
                graph_memory_bytes_max: self.graph_memory_bytes_max,
            });
        }
        let committed = Committed {
            revision,
            quads_inserted: changes.inserted_count(),
            quads_removed: changes.removed_count(),
            graphs_created: changes.created_graphs().count() as u64,
            graphs_dropped: changes.dropped_graphs().count() as u64,
        };
        if terms.validate_only {
            return Ok(committed);
        }
        if changes.is_empty() {
            // It has no record, and is remembered all the same: sent again later, it could change something.
            if let Some(request) = terms.request_id {
                self.write(|append| append.answer(request, time_us))?;
            }
            return Ok(committed);
        }
        let header = self.append(terms.into_entry(time_us), &changes)?;
        self.tip = snapshot;
        self.changed_quad_count += committed.quads_inserted + committed.quads_removed;
        Ok(Committed {
            revision: header.revision,
            ..committed
        })
    }

    /// Returns the answer that a request had before, if there was one.
    fn first_answer(&mut self, terms: &Terms) -> Result<Option<Committed>, Refusal> {
        let Some(request) = &terms.request_id else {
            return Ok(None);
        };
        // Only an append opens a log again that the disk had no room for, and says that it still has none.
        let known = if self.append.is_some() || self.log.waits_for_room() {
            self.write(|append| known(request, |id| append.request(id)))?
        } else {
            let reader = self.log.reader();
            known(request, |id| reader.request(id)).map_err(|error| self.fail(error))?
        };
        match known {
            None => Ok(None),
            Some(header) if is_the_same(&header, request) => Ok(Some(Committed {
                revision: header.revision,
                quads_inserted: header.counts.quads_inserted,
                quads_removed: header.counts.quads_removed,
                graphs_created: header.counts.graphs_created,
                graphs_dropped: header.counts.graphs_dropped,
            })),
            Some(header) => Err(Refusal::RequestIdReused {
                request_id: request.name().to_owned(),
                revision: header.revision,
            }),
        }
    }

    fn append(&mut self, entry: Entry, changes: &Changes) -> Result<Header, Refusal> {
        self.write(|append| append.record(entry, |writer| write_changes(writer, changes)))
    }

    /// Adds something to the append, which begins with it if there is none.
    fn write<T>(&mut self, add: impl FnOnce(&mut Append) -> Result<T, LogError>) -> Result<T, Refusal> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let mut append = match self.append.take() {
            Some(append) => append,
            None => self.log.begin().map_err(|error| {
                self.writes = Some(state_after(&error));
                refusal(&error)
            })?,
        };
        match add(&mut append) {
            Ok(added) => {
                self.append = Some(append);
                Ok(added)
            }
            Err(error) => {
                self.append = Some(append);
                Err(self.fail(error))
            }
        }
    }

    /// Gives up the append: none of the group is written.
    fn fail(&mut self, error: LogError) -> Refusal {
        let error = match self.append.take() {
            Some(append) => self.log.abandon(append, error),
            None => error,
        };
        self.writes = Some(state_after(&error));
        let refusal = refusal(&error);
        self.failure = Some(refusal.clone());
        refusal
    }

    fn revision(&self) -> u64 {
        self.head().revision
    }

    /// Returns the time of the next record. The wall clock may stand still or step back; the log's goes on, so that a time
    /// tells any two commits apart.
    fn time_us(&self) -> u64 {
        self.clock.now_us().max(self.head().time_us + 1)
    }

    fn head(&self) -> Head {
        self.append.as_ref().map_or_else(|| self.log.head(), Append::head)
    }

    /// Makes the records durable.
    pub(super) fn finish(mut self) -> Done {
        let mut done = Done {
            members: Vec::new(),
            view: None,
            commit_count: 0,
            changed_quad_count: 0,
            day: self.day,
            append_time: None,
            writes: None,
        };
        if let Some(append) = self.append.take() {
            let commit_count = append.record_count();
            let begun_at = Instant::now();
            let appended = self.log.commit(append);
            done.append_time = Some(begun_at.elapsed());
            match appended {
                Ok(head) => {
                    done.view = (commit_count > 0).then(|| View::new(head.revision, self.tip));
                    done.commit_count = commit_count;
                    done.writes = Some(Writes::Open);
                    done.changed_quad_count = self.changed_quad_count;
                }
                Err(error) => {
                    self.writes = Some(state_after(&error));
                    self.failure = Some(refusal(&error));
                }
            }
        }
        let failure = self.failure;
        done.writes = done.writes.or(self.writes);
        done.members = self
            .members
            .into_iter()
            .map(|(member, outcome)| match &failure {
                Some(failure) if outcome.depends => (member, Err(failure.clone())),
                _ => (member, outcome.answer),
            })
            .collect();
        done
    }
}

/// Returns the record that a request made, or another one of its subject with the same name.
fn known(
    request: &RequestId,
    made_by: impl Fn(&str) -> Result<Option<Header>, LogError>,
) -> Result<Option<Header>, LogError> {
    if let Some(header) = made_by(&request.id)? {
        return Ok(Some(header));
    }
    if request.name() == request.id {
        return Ok(None);
    }
    // Older records do not say whose a name is: they answer the same request of the same subject, and tell nobody else.
    let older = made_by(request.name())?;
    Ok(older.filter(|header| is_the_same(header, request)))
}

/// Tells whether a record of a name was made by this request of it.
fn is_the_same(header: &Header, request: &RequestId) -> bool {
    let made_it = header.request_id.as_ref();
    made_it.is_some_and(|made_it| made_it.fingerprint == request.fingerprint)
}

fn state_after(error: &LogError) -> Writes {
    match error {
        LogError::DiskFull => Writes::DiskFull,
        _ => Writes::LogUnavailable,
    }
}

fn refusal(error: &LogError) -> Refusal {
    tracing::error!(%error, "a commit was refused");
    Refusal::from(error)
}

fn write_changes(writer: &mut PayloadWriter<'_>, changes: &Changes) -> Result<(), LogError> {
    let snapshot = changes.snapshot();
    let graph = |id| NamedOrBlankNode::try_from(snapshot.term(id)).ok();
    for dropped in changes.dropped_graphs().filter_map(graph) {
        writer.drop_graph(dropped.as_ref())?;
    }
    for created in changes.created_graphs().filter_map(graph) {
        writer.create_graph(created.as_ref())?;
    }
    for quad in changes.removed() {
        snapshot.with_quad(quad, |quad| writer.remove(quad))?;
    }
    for quad in changes.inserted() {
        snapshot.with_quad(quad, |quad| writer.insert(quad))?;
    }
    Ok(())
}
