//! A snapshot of the graph: a stack of layers.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::Arc,
};

use oxigraph::model::{BlankNode, GraphName, NamedNode, NamedOrBlankNode, Quad, Term, TermRef, Triple};
use rustc_hash::FxHashSet;

use super::{
    dictionary::{Key, Segment, TERM_COUNT_MAX, TermKey},
    layer::Layer,
    order::{DEFAULT_ORDERS, NAMED_ORDERS, Place, sort_key},
    quads::Quads,
    sight::Sight,
    term::{QuadIds, TermId, TermView},
};

/// The quads of one moment: free to clone, never changes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The oldest first; the newest word on a quad holds.
    pub(super) layers: Arc<[Arc<Layer>]>,
    pub(super) epoch: u64,
    /// The graphs that are to be seen; `None`: all.
    pub(super) sight: Option<Arc<Sight>>,
}

/// Which quads: every part that is `None` is open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pattern {
    /// The subject.
    pub subject: Option<TermId>,
    /// The predicate.
    pub predicate: Option<TermId>,
    /// The object.
    pub object: Option<TermId>,
    /// The graphs.
    pub graph: GraphPattern,
}

/// Which graphs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GraphPattern {
    /// The default graph.
    Default,
    /// One named graph.
    Named(TermId),
    /// All named graphs.
    AnyNamed,
    /// The default graph, then all named graphs.
    Any,
}

impl Pattern {
    /// Matches every quad of some graphs.
    pub const fn all(graph: GraphPattern) -> Self {
        Self {
            subject: None,
            predicate: None,
            object: None,
            graph,
        }
    }
}

impl Default for Snapshot {
    /// Returns an empty graph with a dictionary of its own.
    fn default() -> Self {
        Self {
            layers: Arc::default(),
            epoch: RandomState::new().build_hasher().finish(),
            sight: None,
        }
    }
}

impl Snapshot {
    /// Returns the number of quads in the default graph and all named graphs.
    pub fn quad_count(&self) -> u64 {
        if self.sight.is_some() {
            return self.count(Pattern::all(GraphPattern::Any));
        }
        let sum = |count: fn(&Layer) -> usize| self.layers.iter().map(|layer| count(layer)).sum::<usize>();
        (sum(Layer::inserted_count) - sum(Layer::removed_count)) as u64
    }

    /// Returns the number of terms in the dictionary, datatypes and language tags included; those of all graphs, whichever
    /// are to be seen.
    pub fn term_count(&self) -> u64 {
        u64::from(self.next_term() - 1)
    }

    /// Returns the bytes that the index takes in memory, by the capacity of its parts; `u64::MAX` if the dictionary is full.
    /// Those of all graphs, whichever are to be seen.
    pub fn memory_bytes(&self) -> u64 {
        if self.next_term() > TERM_COUNT_MAX {
            return u64::MAX;
        }
        self.layers.iter().map(|layer| layer.memory_bytes() as u64).sum()
    }

    /// Returns the number of layers, which reads look into one after the other.
    pub fn layer_count(&self) -> u64 {
        self.layers.len() as u64
    }

    /// Returns the bytes that the index takes in memory beside that of another snapshot: those of the layers that only this one has.
    pub fn memory_bytes_beside(&self, other: &Self) -> u64 {
        other.memory_bytes_of([self])
    }

    /// Returns the bytes that others take in memory beside this one, all together: those of the layers that only they have.
    pub fn memory_bytes_of<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> u64 {
        self.added_memory_bytes(others).sum()
    }

    /// Returns how many of others, the first ones, take no more than so many bytes of memory beside this one, all together.
    pub fn fitting_count<'a>(&self, others: impl IntoIterator<Item = &'a Self>, bytes_max: u64) -> usize {
        let mut left = bytes_max;
        let fits = |bytes: u64| left.checked_sub(bytes).map(|rest| left = rest);
        self.added_memory_bytes(others).map_while(fits).count()
    }

    /// Returns of each of others the bytes of the layers that neither this one has nor those before it.
    fn added_memory_bytes<'a>(
        &self,
        others: impl IntoIterator<Item = &'a Self>,
    ) -> impl Iterator<Item = u64> {
        let mut known: FxHashSet<_> = self.layers.iter().map(Arc::as_ptr).collect();
        others.into_iter().map(move |other| {
            let layers = other.layers.iter();
            let new = layers.filter(|layer| known.insert(Arc::as_ptr(layer)));
            new.map(|layer| layer.memory_bytes() as u64).sum()
        })
    }

    pub(super) fn has_layer(&self, layer: &Arc<Layer>) -> bool {
        self.layers.iter().any(|own| Arc::ptr_eq(own, layer))
    }

    /// Returns a random number that was drawn when the dictionary was begun: identifiers of one epoch mean the same term.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the same quads in an epoch of their own: identifiers that others give to new terms mean nothing here.
    #[must_use]
    pub fn apart(self) -> Self {
        Self {
            epoch: Self::default().epoch,
            ..self
        }
    }

    /// Returns the identifier of a term, if any quad ever had it, in whichever graph: that there is one must tell a caller
    /// nothing. Terms are compared exactly, language tags without case.
    pub fn id(&self, term: TermRef<'_>) -> Option<TermId> {
        self.number(term).map(TermId)
    }

    /// Returns the identifier of an IRI.
    pub fn iri_id(&self, iri: &str) -> Option<TermId> {
        self.find(Key::iri(iri)).map(TermId)
    }

    /// Returns the identifier of a triple term (RDF 1.2) by its parts.
    pub fn triple_id(&self, parts: [TermId; 3]) -> Option<TermId> {
        self.find(TermKey::triple(parts.map(TermId::get)).as_key())
            .map(TermId)
    }

    fn number(&self, term: TermRef<'_>) -> Option<u32> {
        TermKey::new(term, &mut |part| self.number(part)).and_then(|key| self.find(key.as_key()))
    }

    pub(super) fn find(&self, key: Key<'_>) -> Option<u32> {
        let hash = key.hash();
        self.layers.iter().find_map(|layer| layer.terms.get(key, hash))
    }

    /// Returns a term. The identifier must come from this snapshot or an earlier one.
    pub fn term(&self, id: TermId) -> Term {
        match self.view(id) {
            TermView::Triple {
                subject,
                predicate,
                object,
            } => Triple::new(self.node(subject), self.iri(predicate), self.term(object)).into(),
            view => match view.to_simple_term() {
                Some(term) => term.into_owned(),
                None => BlankNode::default().into(),
            },
        }
    }

    /// Returns a term without copying it. The identifier must come from this snapshot or an earlier one.
    pub fn view(&self, id: TermId) -> TermView<'_> {
        let (terms, index) = self.place(id.0);
        terms.view(index, |suffix| {
            let (terms, index) = self.place(suffix);
            terms.text(index)
        })
    }

    pub(super) fn key(&self, number: u32) -> Key<'_> {
        let (terms, index) = self.place(number);
        terms.key(index)
    }

    pub(super) fn place(&self, number: u32) -> (&Segment, usize) {
        let layer = match &*self.layers {
            [layer] => layer,
            layers => {
                &layers[layers
                    .partition_point(|layer| layer.terms.first <= number)
                    .saturating_sub(1)]
            }
        };
        (&layer.terms, (number - layer.terms.first) as usize)
    }

    /// Returns a quad with its terms.
    pub fn quad(&self, quad: QuadIds) -> Quad {
        let graph = if quad.graph == TermId::DEFAULT_GRAPH {
            GraphName::DefaultGraph
        } else {
            self.node(quad.graph).into()
        };
        Quad::new(
            self.node(quad.subject),
            self.iri(quad.predicate),
            self.term(quad.object),
            graph,
        )
    }

    /// Returns a subject or graph name.
    fn node(&self, id: TermId) -> NamedOrBlankNode {
        self.node_ref(id).into_owned()
    }

    fn iri(&self, id: TermId) -> NamedNode {
        self.iri_ref(id).into_owned()
    }

    /// Tells whether a quad is there.
    pub fn contains(&self, quad: QuadIds) -> bool {
        if self.sight.as_ref().is_some_and(|sight| !sight.has(quad.graph)) {
            return false;
        }
        let quad = quad.to_array();
        let said = self.layers.iter().rev().find_map(|layer| {
            if quad[3] == TermId::DEFAULT_GRAPH.0 {
                layer.default[0].says(&sort_key(&DEFAULT_ORDERS[0], quad))
            } else {
                layer.named[0].says(&sort_key(&NAMED_ORDERS[0], quad))
            }
        });
        said.unwrap_or(false)
    }

    /// Iterates over matching quads, in an order that depends on nothing but which parts of the pattern are open.
    pub fn quads(&self, pattern: Pattern) -> Quads<'_> {
        self.scan(Place::of(pattern))
    }

    /// As [`Self::quads`], but only those after `after` in that order; `after` need not be there and may hold [`TermId::MAX`]
    /// where the pattern is open. Where it is not, `after` must repeat it.
    ///
    /// With [`GraphPattern::Any`], `after` goes for the default graph and for named graphs alike.
    pub fn quads_after(&self, pattern: Pattern, after: QuadIds) -> Quads<'_> {
        self.scan(Place::of(pattern).after(after))
    }

    /// Returns the first quad of the default graph whose predicate comes after one, or the first of all. The order of
    /// predicates is that of their identifiers.
    pub fn next_predicate(&self, after: Option<TermId>) -> Option<QuadIds> {
        self.scan(Place::by_predicate(after)).next()
    }

    fn scan(&self, place: Place) -> Quads<'_> {
        match &self.sight {
            None => Quads::new(&self.layers, place),
            Some(sight) => sight.quads(&self.layers, place),
        }
    }

    /// Counts matching quads exactly, in time that does not depend on how many they are.
    pub fn count(&self, pattern: Pattern) -> u64 {
        self.quads(pattern).remaining()
    }

    /// Iterates over the named graphs, empty ones included, in no particular order.
    pub fn named_graphs(&self) -> impl Iterator<Item = TermId> + '_ {
        let newer = |index: usize| &self.layers[index + 1..];
        let whole = self.sight.is_none().then(|| {
            self.layers.iter().enumerate().flat_map(move |(index, layer)| {
                let still = move |graph: &&[u32; 1]| {
                    newer(index)
                        .iter()
                        .all(|newer| newer.graphs.says(graph).is_none())
                };
                let added = layer.graphs.added.iter();
                added.filter(still).map(|&[graph]| graph)
            })
        });
        let seen = self.sight.iter().flat_map(|sight| sight.graphs().iter().copied());
        whole.into_iter().flatten().chain(seen).map(TermId)
    }

    /// Returns the number of named graphs, empty ones included.
    pub fn named_graph_count(&self) -> u64 {
        if let Some(sight) = &self.sight {
            return sight.graphs().len() as u64;
        }
        let sum = |count: fn(&Layer) -> usize| self.layers.iter().map(|layer| count(layer)).sum::<usize>();
        (sum(|layer| layer.graphs.added.len()) - sum(|layer| layer.graphs.removed.len())) as u64
    }

    /// Tells whether a named graph exists. A graph exists from its first quad or CREATE until it is dropped.
    pub fn contains_named_graph(&self, graph: TermId) -> bool {
        if let Some(sight) = &self.sight {
            return graph != TermId::DEFAULT_GRAPH && sight.has(graph);
        }
        self.layers
            .iter()
            .rev()
            .find_map(|layer| layer.graphs.says(&[graph.0]))
            .unwrap_or(false)
    }

    /// Returns the number that the next new term gets.
    pub(super) fn next_term(&self) -> u32 {
        self.layers.last().map_or(1, |layer| layer.terms.end())
    }

    /// Returns the snapshot with a layer on top.
    pub(super) fn with_layer(&self, layer: Layer) -> Self {
        let layers = self.layers.iter().cloned().chain([Arc::new(layer)]).collect();
        Self {
            layers,
            epoch: self.epoch,
            sight: self.sight.clone(),
        }
    }
}
