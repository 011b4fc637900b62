//! What every operator of one query shares.

use std::{cell::Cell, rc::Rc};

use oxigraph::model::NamedNode;

use super::{
    super::{Interrupt, SparqlError, memory::Budget},
    answers::Answers,
    terms::Terms,
};
use crate::{
    graph::{GraphPattern, Pattern, QuadIds, Quads, Snapshot, TermId},
    remote::{RemoteSettings, Target},
};

/// Units of work between two looks at the clock: some tens of microseconds.
const TICKS_PER_CHECK: u32 = 2_048;

/// What every operator of one query shares.
pub(super) struct Context<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) terms: Rc<Terms<'a>>,
    pub(super) interrupt: Interrupt,
    pub(super) budget: Budget,
    pub(super) graphs: Graphs,
    pub(super) remote: &'a RemoteSettings,
    /// What SERVICE came to, where nobody may be asked any more.
    pub(super) answers: Option<&'a Answers>,
    /// Cells of a row.
    pub(super) width: Cell<usize>,
    /// The plan is shown to somebody: operators say what they work on, and are timed.
    pub(super) is_explained: bool,
    ticks: Cell<u32>,
}

/// The graphs that a query sees.
#[derive(Clone, Debug, Default)]
pub(super) struct Graphs {
    /// The graphs whose union is the default graph, each once; `None`: the default graph of the snapshot.
    pub(super) default: Option<Rc<[TermId]>>,
    /// The named graphs, sorted; `None`: all.
    pub(super) named: Option<Rc<[TermId]>>,
}

impl Graphs {
    /// Graphs that the snapshot does not have are empty, and are left out.
    pub(super) fn new(
        snapshot: &Snapshot,
        default: Option<&[NamedNode]>,
        named: Option<&[NamedNode]>,
    ) -> Self {
        let ids = |names: &[NamedNode]| {
            let mut ids: Vec<_> = names
                .iter()
                .filter_map(|name| snapshot.iri_id(name.as_str()))
                .filter(|&graph| snapshot.contains_named_graph(graph))
                .collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        Self {
            default: default.map(|names| ids(names).into()),
            named: named.map(|names| ids(names).into()),
        }
    }

    pub(super) fn has_named(&self, graph: TermId) -> bool {
        self.named
            .as_ref()
            .is_none_or(|named| named.binary_search(&graph).is_ok())
    }
}

impl<'a> Context<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        graphs: Graphs,
        interrupt: Interrupt,
        remote: &'a RemoteSettings,
        is_explained: bool,
    ) -> Self {
        let budget = interrupt.budget();
        Self {
            snapshot,
            terms: Rc::new(Terms::new(snapshot, &budget)),
            interrupt,
            budget,
            graphs,
            remote,
            answers: None,
            width: Cell::new(1),
            is_explained,
            ticks: Cell::new(0),
        }
    }

    /// Counts a unit of work; fails if the work must stop.
    #[inline]
    pub(super) fn tick(&self) -> Result<(), SparqlError> {
        self.ticks.set(self.ticks.get() + 1);
        if self.ticks.get() >= TICKS_PER_CHECK {
            self.check()?;
        }
        Ok(())
    }

    /// Counts work on many things at once.
    pub(super) fn ticks(&self, count: usize) -> Result<(), SparqlError> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.ticks.set(self.ticks.get().saturating_add(count));
        if self.ticks.get() >= TICKS_PER_CHECK {
            self.check()?;
        }
        Ok(())
    }

    /// Fails if the work must stop. Reads the clock, and accounts for the units since the last time.
    #[cold]
    pub(super) fn check(&self) -> Result<(), SparqlError> {
        self.interrupt.spend(self.ticks.replace(0).into())
    }

    /// Returns the endpoint of a SERVICE, if it may be asked.
    pub(super) fn service(&self, endpoint: &str) -> Result<Target, SparqlError> {
        self.remote.service.target(endpoint).ok_or_else(|| {
            SparqlError::Unsupported(format!(
                "SERVICE <{endpoint}>, which --service-allow does not list,"
            ))
        })
    }

    /// Tells whether a term names a graph that the query sees.
    pub(super) fn is_named_graph(&self, graph: TermId) -> bool {
        self.graphs.has_named(graph) && self.snapshot.contains_named_graph(graph)
    }

    /// Returns the named graphs that the query sees, empty ones included.
    pub(super) fn named_graphs(&self) -> Vec<TermId> {
        self.snapshot
            .named_graphs()
            .filter(|&graph| self.graphs.has_named(graph))
            .collect()
    }

    /// Iterates over matching quads of the query's graphs, each once.
    pub(super) fn quads(&self, pattern: Pattern) -> Matches<'a> {
        let (graphs, is_union) = match (pattern.graph, &self.graphs) {
            (
                GraphPattern::Default,
                Graphs {
                    default: Some(graphs),
                    ..
                },
            ) => (Some(graphs), true),
            (
                GraphPattern::AnyNamed,
                Graphs {
                    named: Some(graphs), ..
                },
            ) => (Some(graphs), false),
            _ => (None, false),
        };
        Matches {
            snapshot: self.snapshot,
            pattern,
            quads: graphs.is_none().then(|| self.snapshot.quads(pattern)),
            graphs: graphs.map(|graphs| Several {
                graphs: Rc::clone(graphs),
                next: 0,
                is_union,
                skipped: 0,
                interrupt: self.interrupt.clone(),
            }),
        }
    }

    /// Counts matching quads: exactly in one graph, at most in a union or a choice of graphs.
    pub(super) fn count(&self, pattern: Pattern) -> u64 {
        match (pattern.graph, &self.graphs) {
            (
                GraphPattern::Default,
                Graphs {
                    default: Some(graphs),
                    ..
                },
            ) => {
                let in_graph = |&graph: &TermId| {
                    self.snapshot.count(Pattern {
                        graph: one_graph(graph),
                        ..pattern
                    })
                };
                graphs.iter().map(in_graph).sum()
            }
            _ => self.snapshot.count(pattern),
        }
    }

    /// Returns the pattern in that graph of a union where it has most matches.
    pub(super) fn largest(&self, pattern: Pattern) -> Pattern {
        let (GraphPattern::Default, Some(graphs)) = (pattern.graph, &self.graphs.default) else {
            return pattern;
        };
        let in_graph = |&graph: &TermId| Pattern {
            graph: one_graph(graph),
            ..pattern
        };
        graphs
            .iter()
            .map(in_graph)
            .max_by_key(|&pattern| self.snapshot.count(pattern))
            .unwrap_or(pattern)
    }

    /// Tells whether [`Self::count`] is exact.
    pub(super) fn counts_exactly(&self, graph: GraphPattern) -> bool {
        match graph {
            GraphPattern::Default => self
                .graphs
                .default
                .as_ref()
                .is_none_or(|graphs| graphs.len() <= 1),
            GraphPattern::AnyNamed => self.graphs.named.is_none(),
            GraphPattern::Named(_) | GraphPattern::Any => true,
        }
    }
}

fn one_graph(graph: TermId) -> GraphPattern {
    if graph == TermId::DEFAULT_GRAPH {
        GraphPattern::Default
    } else {
        GraphPattern::Named(graph)
    }
}

/// Matching quads of the graphs that a query sees.
pub(super) struct Matches<'a> {
    snapshot: &'a Snapshot,
    pattern: Pattern,
    quads: Option<Quads<'a>>,
    /// The graphs, where not all of a kind are looked at.
    graphs: Option<Several>,
}

/// Graphs, one after the other.
struct Several {
    graphs: Rc<[TermId]>,
    next: usize,
    /// They are one graph: a triple of several comes once.
    is_union: bool,
    /// Repeated triples, which nobody sees.
    skipped: usize,
    interrupt: Interrupt,
}

impl Several {
    /// Tells whether an earlier graph of the union has the triple.
    fn is_repeated(&self, snapshot: &Snapshot, quad: QuadIds) -> bool {
        self.is_union
            && self.graphs[..self.next.saturating_sub(1)]
                .iter()
                .any(|&graph| snapshot.contains(QuadIds { graph, ..quad }))
    }

    /// Counts a repeated triple; true if the work must stop.
    fn skip(&mut self) -> bool {
        self.skipped += 1;
        self.skipped.is_multiple_of(TICKS_PER_CHECK as usize)
            && self.interrupt.spend(TICKS_PER_CHECK.into()).is_err()
    }
}

impl Iterator for Matches<'_> {
    type Item = QuadIds;

    #[inline]
    fn next(&mut self) -> Option<QuadIds> {
        loop {
            if let Some(quads) = &mut self.quads {
                match (quads.next(), &mut self.graphs) {
                    (None, None) => return None,
                    (None, Some(_)) => self.quads = None,
                    (Some(quad), None) => return Some(quad),
                    (Some(quad), Some(several)) => {
                        if !several.is_repeated(self.snapshot, quad) {
                            return Some(quad);
                        }
                        // Whoever asked looks at the clock, too.
                        if several.skip() {
                            return None;
                        }
                    }
                }
            } else {
                let several = self.graphs.as_mut()?;
                let &graph = several.graphs.get(several.next)?;
                several.next += 1;
                self.quads = Some(self.snapshot.quads(Pattern {
                    graph: one_graph(graph),
                    ..self.pattern
                }));
            }
        }
    }
}
