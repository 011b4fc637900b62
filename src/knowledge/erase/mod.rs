//! Erasure: an entity goes from the graph, in a commit, and then from the log, from the snapshot file and from memory.
//!
//! The log is written anew without what mentions the entity; headers, and with them the chain of hashes, stay as they were.
//! Whatever is cut short is done by erasing again.

mod mention;
mod mentions;

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, PoisonError},
};

use oxigraph::model::{NamedNode, NamedOrBlankNode};
use tokio::sync::oneshot;

use self::mention::{Nodes, names};
pub use self::mentions::{Mentioned, Mentions};
use super::{CommitError, CommitRequest, KnowledgeBase, Shared, View, compact, writer::Message};
use crate::{
    graph::{Batch, Draft},
    log::{Change, LogError, LogReader, Rewrite, Rewritten},
    model::access::{Access, Witness},
    sync::{
        Mutex,
        atomic::AtomicBool,
        task::{self, spawn_blocking},
    },
};

/// Copies before the writer is asked to wait: each is of what came during the one before.
const COPY_COUNT: usize = 2;

/// What to erase.
#[derive(Clone, Debug)]
pub struct EraseRequest {
    /// The entity.
    pub entity: NamedNode,
    /// Who erases it, for the log. May be empty.
    pub author: String,
    /// Why, for the log, where it stays: it must not name the entity. May be empty.
    pub message: String,
    /// Counts, and erases nothing.
    pub validate_only: bool,
    /// Is told of the commit, and of the erasure once it is done.
    pub witness: Option<Arc<dyn Witness>>,
}

/// What an erasure did, or would do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Erased {
    /// The revision of the commit that removed it; the newest one if the graph did not have it.
    pub revision: u64,
    /// Quads that were removed from the graph, what followed from them included.
    pub quads_removed: u64,
    /// Statements about it that went with it, in the graph or in the log.
    pub statement_count: u64,
    /// Records of the log that mentioned it, the base record included.
    pub record_count: u64,
    /// Records whose author, message or request id has its IRI, perhaps as the beginning of a longer one: those are in headers, and stay
    /// until the log is compacted; a request id for a day of commits longer, or until it is erased again.
    pub naming_header_count: u64,
    /// Bytes of the log's file before.
    pub log_bytes_before: u64,
    /// Bytes of the log's file now.
    pub log_bytes: u64,
    /// Where the log had it: copies of it that were made before have it still.
    pub mentions: Mentions,
}

/// Why an entity was not erased, or not everywhere.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// It cannot be removed from the graph; nothing was done.
    #[error(transparent)]
    Commit(#[from] CommitError<Infallible>),
    /// It is no longer in the graph, but still in the log or the snapshot file.
    #[error("it was removed from the graph, but not from the files: {0}; erase it again")]
    Incomplete(#[source] LogError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(LogError),
    /// The knowledge base is closed.
    #[error("the knowledge base is shutting down")]
    Closed,
    /// A fault of ours.
    #[error("a thread that erases ended early: {0}")]
    Fault(#[from] task::JoinError),
}

/// A request to write the log anew without some nodes.
pub(super) struct Erasure {
    nodes: Nodes,
    entity: NamedNode,
    /// Records up to this one are looked at.
    up_to: u64,
    reply: Reply,
}

type Reply = oneshot::Sender<Result<Rewritten, LogError>>;

impl Erasure {
    /// Says that it failed.
    pub(super) fn fail(self, error: LogError) {
        // Nobody may wait for it any more.
        let _ = self.reply.send(Err(error));
    }

    /// Goes on with the graph as it was indexed anew.
    pub(super) fn with(self, view: View) -> ErasedView {
        ErasedView {
            view,
            reply: self.reply,
        }
    }
}

/// A view whose dictionary does not have what was erased, for the writer to put in the place of its own.
pub(super) struct ErasedView {
    pub(super) view: View,
    reply: Reply,
}

impl ErasedView {
    /// Says that it failed.
    pub(super) fn fail(self, error: LogError) {
        let _ = self.reply.send(Err(error));
    }

    /// Says that all is done.
    pub(super) fn succeed(self, rewritten: Rewritten) {
        let _ = self.reply.send(Ok(rewritten));
    }
}

/// What is in the log.
#[derive(Default)]
struct Found {
    record_count: u64,
    naming_header_count: u64,
    mentions: Mentions,
}

/// What a commit found.
#[derive(Default)]
struct Removed {
    nodes: Option<Nodes>,
    revision: u64,
    quad_count: u64,
}

impl KnowledgeBase {
    /// Erases an entity: every quad that mentions it, and the statements about it with all that is said of them.
    ///
    /// Returns when it is nowhere in the data directory any more. One at a time. Reads go on; commits too,
    /// but for the time in which the dictionary is looked through. If the caller goes away, it goes on.
    pub async fn erase(&self, request: EraseRequest) -> Result<Erased, EraseError> {
        let base = self.clone();
        task::spawn(async move { base.erase_all(request).await }).await?
    }

    async fn erase_all(self, request: EraseRequest) -> Result<Erased, EraseError> {
        let _turn = self.inner.erasing.lock().await;
        let mut nodes = Nodes::new(request.entity.clone().into());
        let mut quads_removed = 0;
        let mut revision;
        loop {
            let looked_at = self.revision();
            nodes = self.grown(nodes, 1, looked_at).await?.0;
            let removed = self.remove(nodes, &request).await?;
            nodes = removed
                .nodes
                .unwrap_or_else(|| Nodes::new(request.entity.clone().into()));
            revision = removed.revision;
            quads_removed += removed.quad_count;
            if request.validate_only {
                break;
            }
            // What came in between may have been about it.
            let (grown, has_grown) = self.grown(nodes, looked_at + 1, revision).await?;
            nodes = grown;
            if !has_grown {
                break;
            }
        }
        let statement_count = nodes.len() as u64 - 1;
        let found = self.find(nodes.clone(), request.entity.clone(), revision).await?;
        let mut erased = Erased {
            revision,
            quads_removed,
            statement_count,
            record_count: found.record_count,
            naming_header_count: found.naming_header_count,
            log_bytes_before: 0,
            log_bytes: 0,
            mentions: found.mentions,
        };
        if !request.validate_only && revision > 0 {
            let rewritten = self.rewrite(nodes, request.entity.clone(), revision).await?;
            erased.log_bytes_before = rewritten.bytes_before;
            erased.log_bytes = rewritten.bytes;
            if let Some(witness) = &request.witness {
                witness.erased(erased.revision, erased.record_count);
            }
        }
        Ok(erased)
    }

    /// Adds to the nodes the statements about them that some records tell of; tells whether there were any.
    async fn grown(&self, mut nodes: Nodes, from: u64, to: u64) -> Result<(Nodes, bool), EraseError> {
        let log = self.inner.log.clone();
        spawn_blocking(move || {
            let mut has_grown = false;
            loop {
                let mut grows = false;
                each_change(&log, from, to, &mut |_, change| grows |= nodes.grow_by(change))?;
                has_grown |= grows;
                if !grows {
                    return Ok((nodes, has_grown));
                }
            }
        })
        .await?
        .map_err(EraseError::Log)
    }

    /// Removes from the graph what mentions the nodes, in a commit if there is anything.
    async fn remove(&self, nodes: Nodes, request: &EraseRequest) -> Result<Removed, EraseError> {
        let found = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&found);
        let access = match &request.witness {
            Some(witness) => Access::everything().before(Arc::clone(witness)),
            None => Access::everything(),
        };
        let commit = CommitRequest {
            author: request.author.clone(),
            message: request.message.clone(),
            validate_only: request.validate_only,
            ..CommitRequest::new(access, move |draft: &mut Draft| {
                let nodes = remove_from(draft, nodes);
                *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(nodes);
                Ok(())
            })
        };
        let committed = self.commit(commit).await?;
        let nodes = found.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Removed {
            nodes,
            revision: committed.revision,
            quad_count: committed.quads_removed,
        })
    }

    /// Finds the records that mention the nodes, and those whose headers name the entity.
    async fn find(&self, nodes: Nodes, entity: NamedNode, to: u64) -> Result<Found, EraseError> {
        let log = self.inner.log.clone();
        spawn_blocking(move || {
            let mut mentioning = BTreeSet::new();
            each_change(&log, 1, to, &mut |revision, change| {
                if nodes.are_mentioned(change) {
                    mentioning.insert(revision);
                }
            })?;
            let mut found = Found {
                record_count: mentioning.len() as u64,
                ..Found::default()
            };
            let base = log.earliest()?;
            // What the base record has is of some revision up to its own.
            mentioning.retain(|&revision| revision > base);
            found.mentions.records.extend(mentioning);
            found.mentions.base = base;
            log.headers(1..=to, false, &mut |header| {
                if header.is_redacted {
                    found.mentions.redacted.push(header.revision);
                }
                let request_id = header.request_id.map(|request| request.id).unwrap_or_default();
                let texts = [header.author, header.message, request_id];
                // It is a warning: one that names another by a longer IRI is told of too.
                let has_iri = texts.iter().any(|text| text.contains(entity.as_str()));
                found.naming_header_count += u64::from(has_iri);
                true
            })?;
            Ok(found)
        })
        .await?
        .map_err(EraseError::Log)
    }

    /// Has the log written anew without the nodes, and the snapshot file.
    async fn rewrite(&self, nodes: Nodes, entity: NamedNode, up_to: u64) -> Result<Rewritten, EraseError> {
        let (reply, answer) = oneshot::channel();
        let message = Message::Erase(Erasure {
            nodes,
            entity,
            up_to,
            reply,
        });
        let queue = self.inner.queue.clone();
        spawn_blocking(move || queue.send(message))
            .await?
            .map_err(|_| EraseError::Closed)?;
        let rewritten = answer.await.map_err(|_| EraseError::Closed)?;
        self.inner.past.forget().await;
        rewritten.map_err(EraseError::Incomplete)
    }
}

/// Calls `each` for what the base record has and what records changed, with their revisions.
fn each_change(
    log: &LogReader,
    from: u64,
    to: u64,
    each: &mut dyn FnMut(u64, &Change),
) -> Result<(), LogError> {
    let records = log.records()?;
    let earliest = records.earliest();
    if let Some(base) = records.base()?
        && (from..=to).contains(&base.header.revision)
    {
        for change in base.graph {
            each(base.header.revision, &change?);
        }
    }
    for revision in from.max(earliest + 1)..=to {
        for change in records.get(revision)?.1 {
            each(revision, &change?);
        }
    }
    Ok(())
}

/// Removes what mentions the nodes; returns them with the statements about them in the graph.
fn remove_from(draft: &mut Draft, mut nodes: Nodes) -> Nodes {
    let graph = draft.snapshot().clone();
    nodes.grow_in(&graph);
    let mut batch = Batch::default();
    for quad in nodes.quads_in(&graph) {
        batch.remove(graph.quad(quad).as_ref());
    }
    for name in nodes.graphs_in(&graph) {
        batch.drop_graph(NamedOrBlankNode::as_ref(&name));
    }
    draft.apply(&batch);
    nodes
}

/// Writes a log without what mentions some nodes, and makes an index whose dictionary does not have them either.
pub(super) fn write(
    erasure: &Erasure,
    shared: &Shared,
    rewrite: &mut Rewrite,
    is_over: &AtomicBool,
) -> Result<View, LogError> {
    let mut keeps = |change: &Change| !erasure.nodes.are_mentioned(change);
    // Without a record an id is worth nothing but its answer.
    let entity = erasure.entity.clone();
    let keeps_id = move |id: &str| !names(id, entity.as_str());
    rewrite.copy_if(erasure.up_to, &mut keeps, keeps_id)?;
    compact::check(is_over)?;
    let view = shared.view.load().whole();
    let view = View::new(view.revision, view.snapshot.anew(|| compact::check(is_over))?);
    for _ in 0..COPY_COUNT {
        compact::check(is_over)?;
        rewrite.copy(shared.view.load().revision())?;
    }
    Ok(view)
}
