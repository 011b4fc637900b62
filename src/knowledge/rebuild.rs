//! Recomputes everything that follows from the log, and tells what differs.

use std::{fmt, path::Path};

use super::{
    OpenError, Settings, View,
    background::note,
    clock::Clock,
    group::{Done, Group},
    open::{read_file, replay},
};
use crate::{
    facts::derive,
    graph::{Draft, GraphPattern, Pattern, Snapshot, write_snapshot_file},
    log::Log,
};

/// Differences that are told one by one; all are counted.
pub const DIFFERENCE_COUNT_MAX: usize = 100;

/// What a rebuild came to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rebuilt {
    /// The newest revision, before a correction.
    pub revision: u64,
    /// Quads in the graph.
    pub quad_count: u64,
    /// The first differences.
    pub differences: Vec<Difference>,
    /// The number of all.
    pub difference_count: u64,
    /// The revision of the correction, if one was committed.
    pub corrected_at: Option<u64>,
}

/// What is not as it should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// What it should follow from.
    pub layer: Layer,
    /// Whether it should be there, and is not; else it is there and should not.
    pub is_missing: bool,
    /// The quad as N-Quads has it, without the full stop, or the name of a graph.
    pub what: String,
}

/// What a difference is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Layer {
    /// The snapshot file, which follows from the log.
    Index,
    /// The default graph, `g:derived` and the reference date, which follow from the statements.
    Derivation,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layer = match self.layer {
            Layer::Index => "index",
            Layer::Derivation => "derivation",
        };
        let sign = if self.is_missing { "missing" } else { "too much" };
        write!(formatter, "{layer}: {sign}: {}", self.what)
    }
}

impl Rebuilt {
    fn tell(&mut self, layer: Layer, is_missing: bool, what: impl FnOnce() -> String) {
        self.difference_count += 1;
        if self.differences.len() < DIFFERENCE_COUNT_MAX {
            self.differences.push(Difference {
                layer,
                is_missing,
                what: what(),
            });
        }
    }
}

/// Recomputes the index from the log, and what holds from the statements. Unless it is only to check, writes the snapshot
/// file anew and commits what was wrong.
///
/// Blocks. Fails while something else has the data directory.
pub fn rebuild(settings: &Settings, only_check: bool) -> Result<Rebuilt, OpenError> {
    let clock = Clock::system(settings.reference_date);
    let mut log = Log::open(&settings.data_dir, settings.disk_free_bytes_min)?;
    let path = settings.data_dir.join("snapshot");
    let kept = read_file(&path, &log)?;
    let mut rebuilt = Rebuilt::default();
    let mut view = View::new(0, Snapshot::default());
    replay(&log.reader(), &mut view, kept.revision)?;
    compare(&kept.snapshot, &view.snapshot, false, &mut rebuilt);
    compare(&view.snapshot, &kept.snapshot, true, &mut rebuilt);
    drop(kept);
    replay(&log.reader(), &mut view, log.head().revision)?;
    rebuilt.revision = view.revision;
    rebuilt.quad_count = view.snapshot.quad_count();
    let day = view.reference_day.unwrap_or_else(|| clock.day());
    let mut draft = Draft::new(view.snapshot.clone());
    derive::rederive(&mut draft, day, derive::Scope::All);
    let changes = draft.changes();
    for (is_missing, quads) in [
        (true, changes.inserted().collect::<Vec<_>>()),
        (false, changes.removed().collect()),
    ] {
        for quad in quads {
            rebuilt.tell(Layer::Derivation, is_missing, || {
                changes.snapshot().quad(quad).to_string()
            });
        }
    }
    if only_check {
        return Ok(rebuilt);
    }
    let mut group = Group::new(&mut log, &clock, view.snapshot.clone(), u64::MAX);
    if !changes.is_empty() {
        group.rederive(day, derive::Scope::All, "rebuilt what holds".to_owned());
    }
    let Done { view: corrected, .. } = group.finish();
    if let Some(corrected) = corrected {
        rebuilt.corrected_at = Some(corrected.revision);
        view = corrected;
        log.mark()?;
    }
    let head = log.head();
    if head.revision > 0 {
        let note = note(head.revision, &head.digest);
        write_snapshot_file(&path, &view.snapshot, &note).map_err(OpenError::SnapshotFile)?;
    }
    Ok(rebuilt)
}

/// Builds the index of a log that has none, by replay, and writes the snapshot file.
///
/// Blocks. Fails while something else has the data directory.
pub fn reindex(data_dir: &Path) -> Result<View, OpenError> {
    let log = Log::open(data_dir, 0)?;
    let mut view = View::new(0, Snapshot::default());
    replay(&log.reader(), &mut view, log.head().revision)?;
    let note = note(log.head().revision, &log.head().digest);
    write_snapshot_file(&data_dir.join("snapshot"), &view.snapshot, &note)
        .map_err(OpenError::SnapshotFile)?;
    Ok(view)
}

/// Tells what one snapshot has and the other has not. Their dictionaries differ.
fn compare(has: &Snapshot, other: &Snapshot, is_missing: bool, rebuilt: &mut Rebuilt) {
    for ids in has.quads(Pattern::all(GraphPattern::Any)) {
        let quad = has.quad(ids);
        let graph = match &quad.graph_name {
            oxigraph::model::GraphName::DefaultGraph => Some(GraphPattern::Default),
            oxigraph::model::GraphName::NamedNode(node) => {
                other.id(node.as_ref().into()).map(GraphPattern::Named)
            }
            oxigraph::model::GraphName::BlankNode(node) => {
                other.id(node.as_ref().into()).map(GraphPattern::Named)
            }
        };
        let parts = (
            other.id(quad.subject.as_ref().into()),
            other.id(quad.predicate.as_ref().into()),
            other.id(quad.object.as_ref()),
            graph,
        );
        let is_there = match parts {
            (Some(subject), Some(predicate), Some(object), Some(graph)) => {
                let pattern = Pattern {
                    subject: Some(subject),
                    predicate: Some(predicate),
                    object: Some(object),
                    graph,
                };
                other.count(pattern) > 0
            }
            _ => false,
        };
        if !is_there {
            rebuilt.tell(Layer::Index, is_missing, || quad.to_string());
        }
    }
    for graph in has.named_graphs() {
        let name = has.term(graph);
        let is_there = other
            .id(name.as_ref())
            .is_some_and(|graph| other.contains_named_graph(graph));
        if !is_there {
            rebuilt.tell(Layer::Index, is_missing, || format!("the graph {name}"));
        }
    }
}
