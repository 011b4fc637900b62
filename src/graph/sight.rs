//! Which graphs of a snapshot are to be seen.
//!
//! A snapshot with a sight answers as one in which all other quads are absent. It differs in two ways that tell nothing of
//! them: identifiers go on being those of the whole dictionary, so that equal identifiers are equal terms, and the order of
//! quads follows them.

use std::sync::Arc;

use super::{
    Snapshot, TermId, TermView,
    layer::Layer,
    order::{Bounds, Place},
    quads::Quads,
};
use crate::model::access::GraphSet;

/// The graphs that are to be seen.
#[derive(Debug)]
pub(super) struct Sight {
    has_default: bool,
    /// Named graphs that exist, sorted.
    graphs: Box<[u32]>,
}

impl Sight {
    /// Returns what a set has of the graphs of a snapshot.
    fn new(snapshot: &Snapshot, set: &GraphSet) -> Self {
        let mut graphs: Vec<_> = if let Some(names) = set.names() {
            names
                .filter_map(|name| snapshot.iri_id(name))
                .filter(|&graph| snapshot.contains_named_graph(graph))
                .map(TermId::get)
                .collect()
        } else {
            let is_seen = |graph: &TermId| match snapshot.view(*graph) {
                TermView::Iri(iri) => set.has_named(iri),
                _ => set.is_everything(),
            };
            snapshot.named_graphs().filter(is_seen).map(TermId::get).collect()
        };
        graphs.sort_unstable();
        Self {
            has_default: set.has_default() && snapshot.has_default_graph(),
            graphs: graphs.into(),
        }
    }

    pub(super) fn has(&self, graph: TermId) -> bool {
        if graph == TermId::DEFAULT_GRAPH {
            self.has_default
        } else {
            self.graphs.binary_search(&graph.get()).is_ok()
        }
    }

    /// Returns the named graphs, sorted.
    pub(super) fn graphs(&self) -> &[u32] {
        &self.graphs
    }

    /// Returns the quads of a place that are to be seen.
    pub(super) fn quads<'a>(&'a self, layers: &'a [Arc<Layer>], place: Place) -> Quads<'a> {
        match place {
            Place::Default(bounds) => Quads::chosen(layers, self.default(bounds), None),
            Place::Named(bounds) => Quads::chosen(layers, None, self.named(bounds)),
            Place::Both(default, named) => Quads::chosen(layers, self.default(default), self.named(named)),
        }
    }

    fn default(&self, bounds: Bounds<3>) -> Option<Bounds<3>> {
        self.has_default.then_some(bounds)
    }

    /// Returns the bounds and the graphs to look at in them, if there are any.
    fn named(&self, bounds: Bounds<4>) -> Option<(Bounds<4>, &[u32])> {
        let graphs = match bounds.graph() {
            None => &*self.graphs,
            Some(graph) => match self.graphs.binary_search(&graph) {
                Ok(at) => &self.graphs[at..=at],
                Err(_) => &[],
            },
        };
        (!graphs.is_empty()).then_some((bounds, graphs))
    }
}

impl Snapshot {
    /// Returns the snapshot as it is for somebody who sees these graphs alone: as if nothing else were there.
    #[must_use]
    pub fn seen_by(&self, set: &GraphSet) -> Self {
        if set.is_everything() {
            return self.clone();
        }
        Self {
            sight: Some(Arc::new(Sight::new(self, set))),
            ..self.clone()
        }
    }

    /// Tells whether the default graph is to be seen.
    pub fn has_default_graph(&self) -> bool {
        self.sight
            .as_ref()
            .is_none_or(|sight| sight.has(TermId::DEFAULT_GRAPH))
    }

    /// Tells whether all graphs are to be seen.
    pub fn is_whole(&self) -> bool {
        self.sight.is_none()
    }
}
