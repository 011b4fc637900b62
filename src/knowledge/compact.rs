//! Compaction: a base record, the graph of one revision, takes the place of the records up to it.
//!
//! The graph of that revision is the newest one with the records after it taken back. It is written to a file beside the log by a
//! thread of its own; the writer only copies what came meanwhile, and puts the file in the log's place.

use oxigraph::model::NamedOrBlankNode;

use super::{BATCH_CHANGE_COUNT, OpenError, Settings, View, open};
use crate::{
    graph::{Draft, GraphPattern, Pattern, Snapshot, Undo},
    log::{ANSWER_AGE_MAX_US, Change, Log, LogError, LogReader, PayloadWriter, Records, Rewrite, Rewritten},
    sync::atomic::{AtomicBool, Ordering},
};

/// Quads after which it is asked whether to stop.
const QUADS_PER_LOOK: usize = 4_096;
/// Copies before the writer is asked to wait: each is of what came during the one before.
const COPY_COUNT: usize = 3;

/// Writes a log whose base record is that of a revision, up to the newest record that is published.
///
/// `view` is any view of that revision or later.
pub(super) fn write(
    rewrite: &mut Rewrite,
    log: &LogReader,
    view: &View,
    revision: u64,
    newest: impl Fn() -> u64,
    is_over: &AtomicBool,
) -> Result<(), LogError> {
    let time_us = log.header(view.revision)?.time_us;
    let graph = graph_at(&log.records()?, view, revision, is_over)?;
    rewrite.base(revision, time_us.saturating_sub(ANSWER_AGE_MAX_US), |writer| {
        write_graph(writer, &graph, is_over)
    })?;
    drop(graph);
    for _ in 0..COPY_COUNT {
        check(is_over)?;
        rewrite.copy(newest())?;
    }
    Ok(())
}

/// Returns the graph as it was at a revision, without what came after it.
fn graph_at(
    records: &Records,
    view: &View,
    revision: u64,
    is_over: &AtomicBool,
) -> Result<Snapshot, LogError> {
    let mut draft = Draft::new(view.snapshot.clone());
    let mut undo = Undo::default();
    let mut count = 0;
    for undone in (revision + 1..=view.revision).rev() {
        check(is_over)?;
        for change in records.get(undone)?.1 {
            match change? {
                Change::DropGraph(graph) => undo.dropped_graph(graph.as_ref()),
                Change::CreateGraph(graph) => undo.created_graph(graph.as_ref()),
                Change::Remove(quad) => undo.removed(quad.as_ref()),
                Change::Insert(quad) => undo.inserted(quad.as_ref()),
            }
            count += 1;
        }
        // Between records only: within one a graph may be created before its quads are told of.
        if count >= BATCH_CHANGE_COUNT {
            draft.apply(&std::mem::take(&mut undo).into_batch());
            count = 0;
        }
    }
    draft.apply(&undo.into_batch());
    Ok(draft.finish().1)
}

fn write_graph(
    writer: &mut PayloadWriter<'_>,
    graph: &Snapshot,
    is_over: &AtomicBool,
) -> Result<(), LogError> {
    for name in graph.named_graphs() {
        if let Ok(name) = NamedOrBlankNode::try_from(graph.term(name)) {
            writer.create_graph(name.as_ref())?;
        }
    }
    for (index, quad) in graph.quads(Pattern::all(GraphPattern::Any)).enumerate() {
        if index % QUADS_PER_LOOK == 0 {
            check(is_over)?;
        }
        graph.with_quad(quad, |quad| writer.insert(quad))?;
    }
    Ok(())
}

/// Fails if the work is to stop.
pub(super) fn check(is_over: &AtomicBool) -> Result<(), LogError> {
    if is_over.load(Ordering::Relaxed) {
        Err(LogError::Unavailable)
    } else {
        Ok(())
    }
}

/// Compacts the log of a data directory that nothing else has open, but for its newest records.
///
/// Returns nothing if there is nothing to compact. Blocks.
pub fn compact(settings: &Settings, revision_count_min: u64) -> Result<Option<Rewritten>, OpenError> {
    let mut log = Log::open(&settings.data_dir, settings.disk_free_bytes_min)?;
    let head = log.head().revision;
    let last = head.saturating_sub(revision_count_min);
    if last <= log.earliest() {
        return Ok(None);
    }
    let reader = log.reader();
    let mut view = open::read_file(&settings.data_dir.join("snapshot"), &log)?;
    open::replay(&reader, &mut view, head)?;
    let mut rewrite = log.rewrite()?;
    let never = AtomicBool::new(false);
    write(&mut rewrite, &reader, &view, last, || head, &never)?;
    Ok(Some(log.adopt(rewrite)?))
}
