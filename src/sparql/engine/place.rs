//! Places of patterns, and how they meet rows and quads.

use std::rc::Rc;

use super::{
    super::SparqlError,
    batch::{Slot, UNBOUND},
    context::Context,
    terms::Terms,
};
use crate::graph::{GraphPattern, Pattern, QuadIds, TermId};

/// What stands in a place of a triple pattern.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Term(u32),
    Slot(Slot),
    /// A triple term with a variable in it.
    Triple(Rc<[Self; 3]>),
}

/// Where a pattern looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum GraphPlace {
    Default,
    Named(TermId),
    /// The named graph of a slot; where it is unbound, every one.
    Slot(Slot),
}

/// A place for one row.
enum Met {
    Open,
    Bound(TermId),
    /// No quad has it.
    Never,
}

impl Place {
    fn meet(&self, context: &Context<'_>, row: &[u32]) -> Met {
        let number = match self {
            Self::Term(number) => *number,
            Self::Slot(slot) => row[*slot],
            Self::Triple(parts) => {
                let mut ids = [TermId::DEFAULT_GRAPH; 3];
                for (part, id) in parts.iter().zip(&mut ids) {
                    match part.meet(context, row) {
                        Met::Bound(bound) => *id = bound,
                        other => return other,
                    }
                }
                return context.snapshot.triple_id(ids).map_or(Met::Never, Met::Bound);
            }
        };
        if number == UNBOUND {
            Met::Open
        } else {
            Terms::known(number).map_or(Met::Never, Met::Bound)
        }
    }

    /// Returns the number that stands here, if there is one.
    pub(super) fn number(&self, row: &[u32]) -> Option<u32> {
        match self {
            Self::Term(number) => Some(*number),
            Self::Slot(slot) => Some(row[*slot]).filter(|&number| number != UNBOUND),
            Self::Triple(_) => None,
        }
    }

    /// Puts a term in the place; false if another is there.
    pub(super) fn bind(
        &self,
        context: &Context<'_>,
        row: &mut [u32],
        number: u32,
    ) -> Result<bool, SparqlError> {
        Ok(match self {
            Self::Term(term) => *term == number,
            Self::Slot(slot) => {
                let cell = &mut row[*slot];
                if *cell == UNBOUND {
                    *cell = number;
                }
                *cell == number
            }
            Self::Triple(places) => {
                let Some(parts) = context.terms.triple(number)? else {
                    return Ok(false);
                };
                for (place, part) in places.iter().zip(parts) {
                    if !place.bind(context, row, part)? {
                        return Ok(false);
                    }
                }
                true
            }
        })
    }

    /// Calls `look` with each slot.
    pub(super) fn each_slot(&self, look: &mut impl FnMut(Slot)) {
        match self {
            Self::Term(_) => {}
            Self::Slot(slot) => look(*slot),
            Self::Triple(parts) => parts.iter().for_each(|part| part.each_slot(look)),
        }
    }
}

impl GraphPlace {
    /// Returns the graphs for a row; `None` if there are none.
    pub(super) fn meet(self, context: &Context<'_>, row: &[u32]) -> Option<GraphPattern> {
        match self {
            Self::Default => Some(GraphPattern::Default),
            Self::Named(graph) => Some(GraphPattern::Named(graph)),
            Self::Slot(slot) if row[slot] == UNBOUND => Some(GraphPattern::AnyNamed),
            Self::Slot(slot) => {
                let graph = Terms::known(row[slot])?;
                context
                    .graphs
                    .has_named(graph)
                    .then_some(GraphPattern::Named(graph))
            }
        }
    }
}

/// A triple pattern and where it looks.
#[derive(Clone, Debug)]
pub(super) struct QuadPlaces {
    /// Subject, predicate, object.
    pub(super) parts: [Place; 3],
    pub(super) graph: GraphPlace,
}

impl QuadPlaces {
    /// Returns the pattern for a row; `None` if no quad can match.
    pub(super) fn pattern(&self, context: &Context<'_>, row: &[u32]) -> Option<Pattern> {
        let graph = self.graph.meet(context, row)?;
        let mut bound = [None; 3];
        for (place, bound) in self.parts.iter().zip(&mut bound) {
            match place.meet(context, row) {
                Met::Open => {}
                Met::Bound(id) => *bound = Some(id),
                Met::Never => return None,
            }
        }
        let [subject, predicate, object] = bound;
        Some(Pattern {
            subject,
            predicate,
            object,
            graph,
        })
    }

    /// Binds the open places to a matching quad; false if it does not match after all.
    #[inline]
    pub(super) fn bind(
        &self,
        context: &Context<'_>,
        row: &mut [u32],
        quad: QuadIds,
    ) -> Result<bool, SparqlError> {
        let ids = [quad.subject, quad.predicate, quad.object];
        for (place, id) in self.parts.iter().zip(ids) {
            let fits = match place {
                Place::Term(_) => true,
                Place::Slot(slot) => {
                    let cell = &mut row[*slot];
                    if *cell == UNBOUND {
                        *cell = id.get();
                    }
                    *cell == id.get()
                }
                Place::Triple(_) => place.bind(context, row, id.get())?,
            };
            if !fits {
                return Ok(false);
            }
        }
        if let GraphPlace::Slot(slot) = self.graph {
            let cell = &mut row[slot];
            if *cell == UNBOUND {
                *cell = quad.graph.get();
            }
            return Ok(*cell == quad.graph.get());
        }
        Ok(true)
    }

    /// Calls `look` with each slot.
    pub(super) fn each_slot(&self, mut look: impl FnMut(Slot)) {
        self.parts.iter().for_each(|part| part.each_slot(&mut look));
        if let GraphPlace::Slot(slot) = self.graph {
            look(slot);
        }
    }
}
