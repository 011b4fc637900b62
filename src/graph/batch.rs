//! Changes before they meet a snapshot.

use oxigraph::model::{BlankNode, GraphName, GraphNameRef, NamedNode, NamedOrBlankNodeRef, QuadRef, TermRef};
use rustc_hash::FxHashSet;

use super::{
    dictionary::{Segment, TermKey},
    term::{QuadIds, TermId, TermView},
};

/// Quads to remove and to insert, with a dictionary of their own: built anywhere, applied later to any snapshot.
///
/// Removals and drops come first: a quad that is both removed and inserted is there afterwards.
#[derive(Debug)]
pub struct Batch {
    pub(super) terms: Segment,
    pub(super) inserted: Vec<[u32; 4]>,
    pub(super) removed: Vec<[u32; 4]>,
    pub(super) created: Vec<u32>,
    pub(super) dropped: Vec<u32>,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            // 0 is the default graph here too.
            terms: Segment::new(1),
            inserted: Vec::new(),
            removed: Vec::new(),
            created: Vec::new(),
            dropped: Vec::new(),
        }
    }
}

impl Batch {
    /// Adds a quad to insert. Its graph comes to exist.
    pub fn insert(&mut self, quad: QuadRef<'_>) {
        let quad = self.number_quad(quad);
        self.inserted.push(quad);
    }

    /// Adds all that is in another batch.
    pub fn append(&mut self, other: Self) {
        if self.terms.len() == 0 {
            *self = other;
            return;
        }
        let mut numbers = Vec::with_capacity(other.terms.len() + 1);
        numbers.push(TermId::DEFAULT_GRAPH.0);
        for index in 0..other.terms.len() {
            // The parts of a term come before it.
            let key = other.terms.key(index).renumbered(|part| numbers[part as usize]);
            let key = key.as_key();
            numbers.push(self.terms.get_or_push(key, key.hash()));
        }
        let adopt = |quad: [u32; 4]| quad.map(|local| numbers[local as usize]);
        self.inserted.extend(other.inserted.into_iter().map(adopt));
        self.removed.extend(other.removed.into_iter().map(adopt));
        let adopt = |local: u32| numbers[local as usize];
        self.created.extend(other.created.into_iter().map(adopt));
        self.dropped.extend(other.dropped.into_iter().map(adopt));
    }

    /// Adds a quad to remove.
    pub fn remove(&mut self, quad: QuadRef<'_>) {
        let quad = self.number_quad(quad);
        self.removed.push(quad);
    }

    /// Adds a named graph to create, empty.
    pub fn create_graph(&mut self, graph: NamedOrBlankNodeRef<'_>) {
        let graph = self.number_term(graph.into());
        self.created.push(graph);
    }

    /// Adds a named graph to drop: it does not exist afterwards, unless it is created or quads are inserted into it. Its
    /// quads must be removed beside.
    pub fn drop_graph(&mut self, graph: NamedOrBlankNodeRef<'_>) {
        let graph = self.number_term(graph.into());
        self.dropped.push(graph);
    }

    /// Tells whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.inserted.is_empty()
            && self.removed.is_empty()
            && self.created.is_empty()
            && self.dropped.is_empty()
    }

    /// Returns the graphs that it is about, whether it changes something in them or not.
    pub(super) fn graphs(&self) -> Vec<GraphName> {
        let quads = self.inserted.iter().chain(&self.removed).map(|quad| quad[3]);
        let graphs = quads.chain(self.created.iter().chain(&self.dropped).copied());
        let numbers: FxHashSet<u32> = graphs.collect();
        let name = |number| graph_name((number != 0).then(|| self.view(TermId(number))));
        numbers.into_iter().map(name).collect()
    }

    /// Returns the number of quads to insert and to remove, each occurrence counted.
    pub fn quad_count(&self) -> u64 {
        (self.inserted.len() + self.removed.len()) as u64
    }

    /// Returns the bytes that it takes in memory.
    pub fn memory_bytes(&self) -> u64 {
        let quads = (self.inserted.capacity() + self.removed.capacity()) * size_of::<[u32; 4]>();
        let graphs = (self.created.capacity() + self.dropped.capacity()) * size_of::<u32>();
        (self.terms.memory_bytes() + quads + graphs) as u64
    }

    /// Returns the number that a term has in this batch, if it is there. It means nothing elsewhere.
    pub fn number_of(&self, term: TermRef<'_>) -> Option<TermId> {
        number_of_in(&self.terms, term).map(TermId)
    }

    /// Returns the number that a term has in this batch, to which it is added.
    pub fn number(&mut self, term: TermRef<'_>) -> TermId {
        TermId(number_in(&mut self.terms, term))
    }

    /// Returns the term of a number in this batch.
    pub fn view(&self, id: TermId) -> TermView<'_> {
        let index = |number: u32| (number - self.terms.first) as usize;
        self.terms
            .view(index(id.0), |suffix| self.terms.text(index(suffix)))
    }

    /// Iterates over the quads to insert, in numbers of this batch.
    pub fn inserted(&self) -> impl Iterator<Item = QuadIds> + '_ {
        self.inserted.iter().map(|quad| QuadIds::from_array(*quad))
    }

    /// Puts other quads, in numbers of this batch, in the place of those to insert.
    pub fn set_inserted(&mut self, quads: Vec<QuadIds>) {
        self.inserted = quads.into_iter().map(QuadIds::to_array).collect();
    }

    pub(super) fn number_quad(&mut self, quad: QuadRef<'_>) -> [u32; 4] {
        [
            self.number_term(quad.subject.into()),
            self.number_term(quad.predicate.into()),
            self.number_term(quad.object),
            match quad.graph_name {
                GraphNameRef::DefaultGraph => 0,
                GraphNameRef::NamedNode(graph) => self.number_term(graph.into()),
                GraphNameRef::BlankNode(graph) => self.number_term(graph.into()),
            },
        ]
    }

    fn number_term(&mut self, term: TermRef<'_>) -> u32 {
        number_in(&mut self.terms, term)
    }
}

/// Returns the number of a term; it and its parts, which get lower numbers, are added where they are not there.
fn number_in(terms: &mut Segment, term: TermRef<'_>) -> u32 {
    let Some(key) = TermKey::new(term, &mut |part| Some(number_in(terms, part))) else {
        return 0; // Never: every part was numbered.
    };
    let key = key.as_key();
    terms.get_or_push(key, key.hash())
}

fn number_of_in(terms: &Segment, term: TermRef<'_>) -> Option<u32> {
    let key = TermKey::new(term, &mut |part| number_of_in(terms, part))?;
    let key = key.as_key();
    terms.get(key, key.hash())
}

/// Returns the graph of a name; the default graph without one.
pub(super) fn graph_name(name: Option<TermView<'_>>) -> GraphName {
    match name {
        Some(TermView::Iri(iri)) => NamedNode::new_unchecked(iri).into(),
        Some(TermView::BlankNode(label)) => BlankNode::new_unchecked(label).into(),
        _ => GraphName::DefaultGraph,
    }
}
