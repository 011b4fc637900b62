//! Changes as protobuf.

use oxigraph::model::{GraphName, NamedOrBlankNode, Quad, Term};
use prost_types::Timestamp;

use crate::{
    feed::{Change, Event, FactChange, FactChangeKind, Fragment, Header, SnapshotFragment},
    grpc::convert::{term_to_proto, to_int64},
    knowledge::Mark,
    proto::v1::{self, watch_response::Frame},
};

/// Changes by their kind.
#[derive(Default)]
struct Sorted {
    dropped_graphs: Vec<v1::Term>,
    created_graphs: Vec<v1::Term>,
    removed: Vec<v1::Quad>,
    inserted: Vec<v1::Quad>,
}

impl From<Vec<Change>> for Sorted {
    fn from(changes: Vec<Change>) -> Self {
        let mut sorted = Self::default();
        for change in changes {
            match change {
                Change::DropGraph(graph) => sorted.dropped_graphs.push(node_to_proto(graph)),
                Change::CreateGraph(graph) => sorted.created_graphs.push(node_to_proto(graph)),
                Change::Remove(quad) => sorted.removed.push(quad_to_proto(quad)),
                Change::Insert(quad) => sorted.inserted.push(quad_to_proto(quad)),
            }
        }
        sorted
    }
}

pub(super) fn watch_response(event: Event) -> v1::WatchResponse {
    let frame = match event {
        Event::Commit(fragment) => Frame::Commit(commit_fragment(fragment)),
        Event::Snapshot(fragment) => Frame::Snapshot(snapshot_fragment(fragment)),
        Event::Checkpoint(mark) => Frame::Checkpoint(v1::Checkpoint {
            revision: to_int64(mark.revision),
            hash: hash_to_proto(mark),
        }),
    };
    v1::WatchResponse { frame: Some(frame) }
}

fn commit_fragment(fragment: Fragment) -> v1::CommitFragment {
    let sorted = Sorted::from(fragment.changes);
    v1::CommitFragment {
        revision: to_int64(fragment.revision),
        header: fragment.header.map(|header| revision_to_proto(*header)),
        dropped_graphs: sorted.dropped_graphs,
        created_graphs: sorted.created_graphs,
        removed: sorted.removed,
        inserted: sorted.inserted,
        is_last: fragment.is_last,
        facts: fragment.facts.into_iter().map(Into::into).collect(),
    }
}

impl From<FactChange> for v1::FactChange {
    fn from(change: FactChange) -> Self {
        let kind = match change.kind {
            FactChangeKind::Written => v1::FactChangeKind::Written,
            FactChangeKind::Retracted => v1::FactChangeKind::Retracted,
            FactChangeKind::Changed => v1::FactChangeKind::Changed,
            FactChangeKind::Removed => v1::FactChangeKind::Removed,
        };
        Self {
            kind: kind.into(),
            fact: Some(change.fact.into()),
        }
    }
}

fn snapshot_fragment(fragment: SnapshotFragment) -> v1::SnapshotFragment {
    let SnapshotFragment { revision, hash, .. } = fragment;
    let mark = fragment.is_last.then_some(Mark { revision, hash });
    let sorted = Sorted::from(fragment.changes);
    v1::SnapshotFragment {
        revision: to_int64(revision),
        hash: mark.map(hash_to_proto).unwrap_or_default(),
        graphs: sorted.created_graphs,
        quads: sorted.inserted,
        is_last: fragment.is_last,
        facts: fragment
            .facts
            .into_iter()
            .map(|change| change.fact.into())
            .collect(),
    }
}

pub(super) fn diff_fragment(changes: Vec<Change>, is_last: bool) -> v1::DiffRevisionsResponse {
    let sorted = Sorted::from(changes);
    v1::DiffRevisionsResponse {
        dropped_graphs: sorted.dropped_graphs,
        created_graphs: sorted.created_graphs,
        removed: sorted.removed,
        inserted: sorted.inserted,
        is_last,
    }
}

pub(super) fn revision_to_proto(header: Header) -> v1::Revision {
    let nanos = i32::try_from(header.time_us % 1_000_000).unwrap_or(0) * 1_000;
    v1::Revision {
        hash: hash_to_proto(Mark::of(&header)),
        revision: to_int64(header.revision),
        commit_time: Some(Timestamp {
            seconds: to_int64(header.time_us / 1_000_000),
            nanos,
        }),
        author: header.author,
        message: header.message,
        request_id: header
            .request_id
            .map(|request| request.name().to_owned())
            .unwrap_or_default(),
        quads_inserted: to_int64(header.counts.quads_inserted),
        quads_removed: to_int64(header.counts.quads_removed),
        graphs_created: to_int64(header.counts.graphs_created),
        graphs_dropped: to_int64(header.counts.graphs_dropped),
        is_redacted: header.is_redacted,
    }
}

fn hash_to_proto(mark: Mark) -> Vec<u8> {
    mark.hash_bytes().map(Vec::from).unwrap_or_default()
}

fn quad_to_proto(quad: Quad) -> v1::Quad {
    v1::Quad {
        subject: Some(node_to_proto(quad.subject)),
        predicate: quad.predicate.into_string(),
        object: Some(term_to_proto(quad.object)),
        graph: match quad.graph_name {
            GraphName::DefaultGraph => None,
            GraphName::NamedNode(node) => Some(term_to_proto(node.into())),
            GraphName::BlankNode(node) => Some(term_to_proto(node.into())),
        },
    }
}

fn node_to_proto(node: NamedOrBlankNode) -> v1::Term {
    term_to_proto(Term::from(node))
}
