//! Changes in identifiers.

use std::collections::BTreeSet;

use oxigraph::model::{GraphName, TermRef};

use super::{
    QuadIds, Snapshot, TermId,
    batch::graph_name,
    dictionary::{Segment, TermKey},
    keys::SortedKeys,
    layer::{Layer, Run},
};

/// Quads to remove and to insert in one snapshot, as its identifiers, without a copy of any term.
#[derive(Debug)]
pub struct Edit {
    snapshot: Snapshot,
    terms: Segment,
    inserted: Vec<[u32; 4]>,
    removed: Vec<[u32; 4]>,
}

impl Edit {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self {
            terms: Segment::new(snapshot.next_term()),
            snapshot,
            inserted: Vec::new(),
            removed: Vec::new(),
        }
    }

    /// Returns the identifier of a term, which comes to the dictionary if it is not there.
    pub fn id(&mut self, term: TermRef<'_>) -> TermId {
        TermId(number_in(&self.snapshot, &mut self.terms, term))
    }

    /// Inserts a quad, if it is not there. Its graph comes to exist.
    pub fn insert(&mut self, quad: QuadIds) {
        self.inserted.push(quad.to_array());
    }

    /// Removes a quad, if it is there and not inserted beside.
    pub fn remove(&mut self, quad: QuadIds) {
        self.removed.push(quad.to_array());
    }

    /// Returns the graphs that it is about, whether it changes something in them or not.
    pub(super) fn graphs(&self) -> Vec<GraphName> {
        let numbers: BTreeSet<u32> = self
            .inserted
            .iter()
            .chain(&self.removed)
            .map(|quad| quad[3])
            .collect();
        let name = |number: u32| match number.checked_sub(self.terms.first) {
            _ if number == TermId::DEFAULT_GRAPH.0 => GraphName::DefaultGraph,
            Some(index) => graph_name(Some(self.terms.view(index as usize, |_| ""))),
            None => graph_name(Some(self.snapshot.view(TermId(number)))),
        };
        numbers.into_iter().map(name).collect()
    }

    pub(super) fn into_layer(self) -> Layer {
        let Self {
            snapshot,
            mut terms,
            mut inserted,
            mut removed,
        } = self;
        for quads in [&mut inserted, &mut removed] {
            quads.sort_unstable();
            quads.dedup();
        }
        removed.retain(|quad| {
            inserted.binary_search(quad).is_err() && snapshot.contains(QuadIds::from_array(*quad))
        });
        inserted.retain(|quad| !snapshot.contains(QuadIds::from_array(*quad)));
        let mut created: Vec<_> = inserted.iter().map(|quad| [quad[3]]).collect();
        created.sort_unstable();
        created.dedup();
        created.retain(|&[graph]| {
            graph != TermId::DEFAULT_GRAPH.0 && !snapshot.contains_named_graph(TermId(graph))
        });
        terms.shrink_to_fit();
        let graphs = Run {
            added: SortedKeys::new(created),
            removed: SortedKeys::default(),
        };
        Layer::new(terms, &inserted, &removed, graphs)
    }
}

/// Returns the number of a term; it and its parts, which get lower numbers, are added where they are in neither.
fn number_in(snapshot: &Snapshot, terms: &mut Segment, term: TermRef<'_>) -> u32 {
    let Some(key) = TermKey::new(term, &mut |part| Some(number_in(snapshot, terms, part))) else {
        return 0; // Never: every part was numbered.
    };
    let key = key.as_key();
    snapshot
        .find(key)
        .unwrap_or_else(|| terms.get_or_push(key, key.hash()))
}
