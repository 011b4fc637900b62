//! How many rows a pattern is expected to make.

use oxigraph::model::Variable;
use spargebra::{
    algebra::{GraphPattern, PropertyPathExpression},
    term::{NamedNodePattern, TermPattern, TriplePattern},
};

use super::{
    Input, Planner,
    federation::SOLUTION_COUNT,
    join_order::{Element, Triple},
    scope,
};
use crate::{
    graph::{self, Pattern, TermId},
    sparql::engine::{
        batch::{Batch, Slot},
        place::{Place, QuadPlaces},
    },
};

/// Values that are sampled to learn how many distinct ones there are.
const SAMPLE_COUNT: u64 = 12;

impl<'a> Planner<'_, 'a> {
    /// Estimates how many rows an element makes of each row of an input.
    pub(super) fn fan(&self, element: &mut Element<'_>, input: &Input<'a>) -> f64 {
        match element {
            Element::Triple(triple) => self.triple_fan(triple, input),
            Element::Path { subject, object, .. } => {
                let is_bound = |end: &TermPattern| match end {
                    TermPattern::NamedNode(_) | TermPattern::Literal(_) => true,
                    _ => {
                        let mut is_bound = true;
                        scope::each_of_term(end, &mut |name| is_bound &= self.is_certain(&name, input));
                        is_bound
                    }
                };
                match (is_bound(subject), is_bound(object)) {
                    (true, true) => 0.9,
                    (true, false) | (false, true) => 20.0,
                    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
                    (false, false) => self.context.snapshot.quad_count() as f64 * 4.0,
                }
            }
            Element::Values { variables, bindings } => {
                #[expect(clippy::cast_precision_loss, reason = "an estimate")]
                let count = bindings.len() as f64;
                if variables.iter().any(|name| self.is_certain(name, input)) {
                    (count / 100.0).min(0.9)
                } else {
                    count
                }
            }
            // What binds the variable goes first.
            Element::Other(pattern)
                if matches!(&**pattern, GraphPattern::Service { name: NamedNodePattern::Variable(name), .. }
                    if !self.is_certain(name, input)) =>
            {
                f64::MAX
            }
            // On equal terms, patterns go first: they are known better.
            Element::Other(pattern) => 1.5 * self.rough(pattern, input),
        }
    }

    fn is_certain(&self, name: &Variable, input: &Input<'a>) -> bool {
        self.known_slot(name)
            .is_some_and(|slot| input.certain.contains(&slot))
    }

    fn triple_fan(&self, triple: &mut Triple, input: &Input<'a>) -> f64 {
        let Triple {
            places,
            count,
            distinct,
            ..
        } = triple;
        let mut fan = *count;
        let (mut seen, mut is_open) = (Vec::new(), false);
        places.each_slot(|slot| {
            if input.certain.contains(&slot) && !self.base.slots.contains(&slot) {
                if !seen.contains(&slot) {
                    seen.push(slot);
                    fan /= *distinct
                        .entry(slot)
                        .or_insert_with(|| self.distinct_count(places, slot, *count));
                }
            } else {
                is_open = true;
            }
        });
        if is_open { fan } else { fan.min(0.9) }
    }

    /// Estimates the number of distinct values that a slot takes: the mean of one over how often the value of a quad occurs,
    /// over quads drawn evenly, times the number of quads.
    fn distinct_count(&self, places: &QuadPlaces, slot: Slot, count: f64) -> f64 {
        let unit = Batch::unit(self.width());
        let Some(pattern) = places.pattern(self.context, unit.row(0)) else {
            return 1.0;
        };
        let Some(part) = places
            .parts
            .iter()
            .position(|place| matches!(place, Place::Slot(of) if *of == slot))
        else {
            return 1.0;
        };
        let pattern = self.context.largest(pattern);
        let quads = self.context.snapshot.quads(pattern);
        let total = quads.remaining();
        if total == 0 {
            return 1.0;
        }
        let mut quads = quads;
        let step = (total / SAMPLE_COUNT).max(1);
        let (mut sum, mut samples) = (0.0, 0.0_f64);
        while let Some(quad) = quads.next() {
            let value: TermId = [quad.subject, quad.predicate, quad.object][part];
            let mut bound = [pattern.subject, pattern.predicate, pattern.object];
            bound[part] = Some(value);
            let [subject, predicate, object] = bound;
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let occurrences = self.context.snapshot.count(Pattern {
                subject,
                predicate,
                object,
                graph: pattern.graph,
            }) as f64;
            sum += 1.0 / occurrences.max(1.0);
            samples += 1.0;
            if step > 1 && !quads.skip_some(step - 1) {
                break;
            }
        }
        (count * sum / samples.max(1.0)).max(1.0)
    }

    /// Estimates roughly how many rows a pattern makes of each row of an input.
    fn rough(&self, pattern: &GraphPattern, input: &Input<'a>) -> f64 {
        match pattern {
            GraphPattern::Bgp { patterns } if patterns.is_empty() => 1.0,
            GraphPattern::Bgp { patterns } => patterns
                .iter()
                .map(|pattern| self.rough_triple(pattern, input))
                .fold(f64::INFINITY, f64::min)
                .min(1e12),
            GraphPattern::Path {
                path,
                subject,
                object,
            } => match path {
                PropertyPathExpression::NamedNode(predicate) => self.rough_triple(
                    &TriplePattern {
                        subject: subject.clone(),
                        predicate: predicate.clone().into(),
                        object: object.clone(),
                    },
                    input,
                ),
                _ => 20.0,
            },
            GraphPattern::Join { left, right } => self.rough(left, input).min(self.rough(right, input)),
            GraphPattern::Union { left, right } => self.rough(left, input) + self.rough(right, input),
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            GraphPattern::Values { bindings, .. } => bindings.len() as f64,
            GraphPattern::Slice { inner, length, .. } => {
                #[expect(clippy::cast_precision_loss, reason = "an estimate")]
                let length = length.map_or(f64::INFINITY, |length| length as f64);
                self.rough(inner, input).min(length)
            }
            GraphPattern::Group { inner, variables, .. } => {
                if variables.is_empty() {
                    1.0
                } else {
                    self.rough(inner, input).sqrt()
                }
            }
            GraphPattern::LeftJoin { left: inner, .. }
            | GraphPattern::Lateral { left: inner, .. }
            | GraphPattern::Minus { left: inner, .. }
            | GraphPattern::Filter { inner, .. }
            | GraphPattern::Graph { inner, .. }
            | GraphPattern::Extend { inner, .. }
            | GraphPattern::OrderBy { inner, .. }
            | GraphPattern::Project { inner, .. }
            | GraphPattern::Distinct { inner }
            | GraphPattern::Reduced { inner } => self.rough(inner, input),
            GraphPattern::Service { .. } => SOLUTION_COUNT,
        }
    }

    fn rough_triple(&self, pattern: &TriplePattern, input: &Input<'a>) -> f64 {
        let id = |term: &TermPattern| match term {
            TermPattern::NamedNode(node) => Some(self.context.snapshot.iri_id(node.as_str())),
            TermPattern::Literal(literal) => Some(self.context.snapshot.id(literal.as_ref().into())),
            _ => None,
        };
        let predicate = match &pattern.predicate {
            NamedNodePattern::NamedNode(node) => Some(self.context.snapshot.iri_id(node.as_str())),
            NamedNodePattern::Variable(_) => None,
        };
        let (subject, object) = (id(&pattern.subject), id(&pattern.object));
        if [subject, predicate, object].contains(&Some(None)) {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let count = self.context.snapshot.count(Pattern {
            subject: subject.flatten(),
            predicate: predicate.flatten(),
            object: object.flatten(),
            graph: graph::GraphPattern::Any,
        }) as f64;
        let mut bound = 0;
        scope::each_of_triple(pattern, &mut |name| {
            bound += i32::from(self.is_certain(&name, input));
        });
        count / 30_f64.powi(bound)
    }
}
