//! The graph as one query sees it.

use std::{cell::Cell, convert::Infallible, rc::Rc};

use oxigraph::model::{BlankNode, NamedNode, Term};
use spareval::{ExpressionTerm, InternalQuad, QueryableDataset};

use super::{Interrupt, watch};
use crate::graph::{GraphPattern, Pattern, QuadIds, Quads, Snapshot, TermId, TermView};

/// Quads and look-ups between two looks at the clock: some tens of microseconds.
const TICKS_PER_CHECK: u32 = 256;

/// A term of the graph or one that a query made.
///
/// A term that the snapshot has is always an identifier, so that equality is equality of terms.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(super) enum InternalTerm {
    Id(TermId),
    Made(Rc<Term>),
}

impl Clone for InternalTerm {
    /// Every operator that makes rows of rows comes through here: see [`watch`].
    fn clone(&self) -> Self {
        watch::tick();
        match self {
            Self::Id(id) => Self::Id(*id),
            Self::Made(term) => Self::Made(Rc::clone(term)),
        }
    }
}

/// How terms of the graph leave the evaluator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Output {
    /// As terms.
    Terms,
    /// As blank nodes that hold this tag and the identifier: rows reach the sink without a copy of any string.
    Tagged(RowTag),
}

/// A random number that no blank node of the data has, in the upper 96 bits of a blank node's number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct RowTag(u128);

impl RowTag {
    pub(super) fn random() -> Self {
        // The engine draws its blank nodes at random.
        let number = BlankNode::default().as_ref().unique_id().unwrap_or_default();
        Self(number & !u128::from(u32::MAX))
    }

    fn dress(self, id: TermId) -> Term {
        BlankNode::new_from_unique_id(self.0 | u128::from(id.get())).into()
    }

    /// Returns the identifier that a term holds, if it was dressed.
    pub(super) fn id(self, term: &Term) -> Option<TermId> {
        let Term::BlankNode(node) = term else {
            return None;
        };
        let number = node.as_ref().unique_id()?;
        let id = u32::try_from(number & u128::from(u32::MAX)).ok()?;
        (number & !u128::from(u32::MAX) == self.0).then_some(TermId::new(id))
    }
}

/// The data set of one query: a snapshot, the graphs that make up its default graph, and when to stop.
pub(super) struct Dataset<'a> {
    snapshot: &'a Snapshot,
    /// The graphs whose union is the default graph, each once.
    default_graphs: Rc<[TermId]>,
    output: Output,
    interrupt: Interrupt,
    ticks: Rc<Cell<u32>>,
}

impl<'a> Dataset<'a> {
    /// `default_graphs`: `None` is the default graph of the snapshot.
    pub(super) fn new(
        snapshot: &'a Snapshot,
        default_graphs: Option<&[NamedNode]>,
        output: Output,
        interrupt: Interrupt,
    ) -> Self {
        let default_graphs = match default_graphs {
            None => vec![TermId::DEFAULT_GRAPH],
            Some(graphs) => {
                let mut ids: Vec<_> = graphs
                    .iter()
                    .filter_map(|graph| snapshot.iri_id(graph.as_str()))
                    .collect();
                ids.sort_unstable();
                ids.dedup();
                ids
            }
        };
        Self {
            snapshot,
            default_graphs: default_graphs.into(),
            output,
            interrupt,
            ticks: Rc::default(),
        }
    }

    fn scan(&self, pattern: Pattern, graphs: Graphs) -> Scan<'a> {
        Scan {
            quads: None,
            pattern,
            graphs,
            next_graph: 0,
            snapshot: self.snapshot,
            interrupt: self.interrupt.clone(),
            ticks: Rc::clone(&self.ticks),
        }
    }

    fn internal(&self, term: Term) -> InternalTerm {
        match self.snapshot.id(term.as_ref()) {
            Some(id) => InternalTerm::Id(id),
            None => InternalTerm::Made(Rc::new(term)),
        }
    }
}

impl<'a> QueryableDataset<'a> for Dataset<'a> {
    type InternalTerm = InternalTerm;
    type Error = Infallible;

    fn internal_quads_for_pattern(
        &self,
        subject: Option<&InternalTerm>,
        predicate: Option<&InternalTerm>,
        object: Option<&InternalTerm>,
        graph_name: Option<Option<&InternalTerm>>,
    ) -> impl Iterator<Item = Result<InternalQuad<InternalTerm>, Infallible>> + use<'a> {
        let pattern = |graph| {
            Some(Pattern {
                subject: bound(subject)?,
                predicate: bound(predicate)?,
                object: bound(object)?,
                graph,
            })
        };
        let scan = match graph_name {
            None => pattern(GraphPattern::AnyNamed).map(|pattern| self.scan(pattern, Graphs::OfPattern)),
            Some(None) => pattern(GraphPattern::Default)
                .map(|pattern| self.scan(pattern, Graphs::Union(Rc::clone(&self.default_graphs)))),
            Some(Some(InternalTerm::Id(graph))) => {
                pattern(GraphPattern::Named(*graph)).map(|pattern| self.scan(pattern, Graphs::OfPattern))
            }
            Some(Some(InternalTerm::Made(_))) => None,
        };
        scan.into_iter().flatten()
    }

    fn internal_named_graphs(&self) -> impl Iterator<Item = Result<InternalTerm, Infallible>> + use<'a> {
        self.snapshot
            .named_graphs()
            .map(|graph| Ok(InternalTerm::Id(graph)))
    }

    fn contains_internal_graph_name(&self, graph_name: &InternalTerm) -> Result<bool, Infallible> {
        Ok(match graph_name {
            InternalTerm::Id(graph) => self.snapshot.contains_named_graph(*graph),
            InternalTerm::Made(_) => false,
        })
    }

    fn internalize_term(&self, term: Term) -> Result<InternalTerm, Infallible> {
        Ok(self.internal(term))
    }

    fn externalize_term(&self, term: InternalTerm) -> Result<Term, Infallible> {
        Ok(match (term, self.output) {
            (InternalTerm::Id(id), Output::Tagged(tag)) => tag.dress(id),
            (InternalTerm::Id(id), Output::Terms) => self.snapshot.term(id),
            (InternalTerm::Made(term), _) => Rc::unwrap_or_clone(term),
        })
    }

    fn externalize_expression_term(&self, term: InternalTerm) -> Result<ExpressionTerm, Infallible> {
        // Filters over constants only fetch no quads: this is where they meet the clock.
        has_to_stop(&self.interrupt, &self.ticks);
        Ok(match term {
            InternalTerm::Id(id) => match self.snapshot.view(id) {
                TermView::String(value) => ExpressionTerm::StringLiteral(value.to_owned()),
                TermView::Typed { value, datatype } => {
                    typed(value, datatype).unwrap_or_else(|| self.snapshot.term(id).into())
                }
                _ => self.snapshot.term(id).into(),
            },
            InternalTerm::Made(term) => Rc::unwrap_or_clone(term).into(),
        })
    }
}

/// Parses the literals that filters meet most, without a copy. The rest, ill-typed ones too, goes through a term.
fn typed(value: &str, datatype: &str) -> Option<ExpressionTerm> {
    Some(
        match datatype.strip_prefix("http://www.w3.org/2001/XMLSchema#")? {
            "integer" | "int" | "long" | "nonNegativeInteger" => {
                ExpressionTerm::IntegerLiteral(value.parse().ok()?)
            }
            "decimal" => ExpressionTerm::DecimalLiteral(value.parse().ok()?),
            "double" => ExpressionTerm::DoubleLiteral(value.parse().ok()?),
            "boolean" => ExpressionTerm::BooleanLiteral(value.parse().ok()?),
            "dateTime" => ExpressionTerm::DateTimeLiteral(value.parse().ok()?),
            "date" => ExpressionTerm::DateLiteral(value.parse().ok()?),
            _ => return None,
        },
    )
}

/// Returns the identifier of a bound part; `None` if the snapshot does not have the term.
#[expect(clippy::option_option, reason = "unknown, unbound, bound")]
fn bound(term: Option<&InternalTerm>) -> Option<Option<TermId>> {
    match term {
        None => Some(None),
        Some(InternalTerm::Id(id)) => Some(Some(*id)),
        Some(InternalTerm::Made(_)) => None,
    }
}

fn has_to_stop(interrupt: &Interrupt, ticks: &Cell<u32>) -> bool {
    ticks.set(ticks.get().wrapping_add(1));
    if ticks.get().is_multiple_of(TICKS_PER_CHECK) {
        return interrupt.check().is_err();
    }
    interrupt.has_struck()
}

enum Graphs {
    /// Those of the pattern.
    OfPattern,
    /// One after the other, as one graph.
    Union(Rc<[TermId]>),
}

/// Matching quads; ends when the interrupt strikes.
struct Scan<'a> {
    snapshot: &'a Snapshot,
    pattern: Pattern,
    graphs: Graphs,
    next_graph: usize,
    quads: Option<Quads<'a>>,
    interrupt: Interrupt,
    ticks: Rc<Cell<u32>>,
}

impl<'a> Scan<'a> {
    fn next_quads(&mut self) -> Option<Quads<'a>> {
        let graph = match &self.graphs {
            Graphs::OfPattern => (self.next_graph == 0).then_some(self.pattern.graph),
            Graphs::Union(graphs) => graphs.get(self.next_graph).map(|&graph| {
                if graph == TermId::DEFAULT_GRAPH {
                    GraphPattern::Default
                } else {
                    GraphPattern::Named(graph)
                }
            }),
        }?;
        self.next_graph += 1;
        Some(self.snapshot.quads(Pattern {
            graph,
            ..self.pattern
        }))
    }

    /// Tells whether an earlier graph of the union has the triple.
    fn is_repeated(&self, quad: QuadIds) -> bool {
        let Graphs::Union(graphs) = &self.graphs else {
            return false;
        };
        graphs[..self.next_graph.saturating_sub(1)]
            .iter()
            .any(|&graph| self.snapshot.contains(QuadIds { graph, ..quad }))
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<InternalQuad<InternalTerm>, Infallible>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if has_to_stop(&self.interrupt, &self.ticks) {
                return None;
            }
            if self.quads.is_none() {
                self.quads = Some(self.next_quads()?);
            }
            let Some(quad) = self.quads.as_mut().and_then(Iterator::next) else {
                self.quads = None;
                continue;
            };
            if self.is_repeated(quad) {
                continue;
            }
            return Some(Ok(InternalQuad {
                subject: InternalTerm::Id(quad.subject),
                predicate: InternalTerm::Id(quad.predicate),
                object: InternalTerm::Id(quad.object),
                graph_name: (quad.graph != TermId::DEFAULT_GRAPH).then_some(InternalTerm::Id(quad.graph)),
            }));
        }
    }
}
