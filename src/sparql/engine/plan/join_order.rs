//! The order of joins, by the index's exact counts.
//!
//! Always next is what is expected to make the fewest rows of each row so far. How many that are is known exactly where only
//! constants are bound; for a variable that is bound it is the count over the number of distinct values, which some samples of
//! the range tell.

use std::borrow::Cow;

use oxigraph::model::Variable;
use rustc_hash::FxHashMap;
use spargebra::{
    algebra::{Expression as Algebra, GraphPattern, PropertyPathExpression},
    term::{GroundTerm, TermPattern, TriplePattern},
};

use super::{
    Input, Planner, conjuncts,
    scope::{self, Names},
};
use crate::sparql::{
    SparqlError,
    engine::{
        batch::{Batch, Slot},
        join::Kind,
        operator::Node,
        path::{Path, PathScan},
        place::{Place, QuadPlaces},
        scan::Scan,
    },
};

/// Left rows from which on a table may pay.
const TABLE_ROW_COUNT_MIN: f64 = 1_000.0;
/// IRIs of a filter that are looked up one by one.
const VALUES_COUNT_MAX: usize = 64;
/// A look-up in the index takes about as long as this many rows take to be read into a table.
const LOOK_UP_WORTH: f64 = 4.0;

/// A part of a group, to be joined.
pub(super) enum Element<'p> {
    Triple(Box<Triple>),
    Path {
        subject: TermPattern,
        path: PropertyPathExpression,
        object: TermPattern,
    },
    Values {
        variables: &'p [Variable],
        bindings: &'p [Vec<Option<GroundTerm>>],
    },
    Other(Cow<'p, GraphPattern>),
}

/// A triple pattern and what is known of it.
pub(super) struct Triple {
    pattern: TriplePattern,
    pub(super) places: QuadPlaces,
    pub(super) count: f64,
    /// The number of distinct values of a slot.
    pub(super) distinct: FxHashMap<Slot, f64>,
}

impl Element<'_> {
    fn add_names(&self, names: &mut Names) {
        match self {
            Self::Triple(triple) => scope::each_of_triple(&triple.pattern, &mut |name| {
                names.insert(name);
            }),
            Self::Path { subject, object, .. } => {
                for end in [subject, object] {
                    scope::each_of_term(end, &mut |name| {
                        names.insert(name);
                    });
                }
            }
            Self::Values { variables, .. } => names.extend(variables.iter().cloned()),
            Self::Other(pattern) => names.extend(scope::variables(pattern)),
        }
    }
}

impl<'a> Planner<'_, 'a> {
    /// Puts a group of patterns and filters on top of an input.
    pub(super) fn compile_group<'p>(
        &mut self,
        pattern: &'p GraphPattern,
        mut filters: Vec<&'p Algebra>,
        mut input: Input<'a>,
    ) -> Result<Input<'a>, SparqlError> {
        let mut elements = Vec::new();
        let mut pattern = pattern;
        while let GraphPattern::Filter { expr, inner } = pattern {
            filters.extend(conjuncts(expr));
            pattern = inner;
        }
        if let GraphPattern::LeftJoin {
            left,
            right,
            expression,
        } = pattern
            && !filters.is_empty()
            && (input.is_start || self.is_seedable(pattern, &input))
        {
            // What is bound on the left is bound for good.
            let (early, late): (Vec<_>, Vec<_>) =
                filters.into_iter().partition(|filter| is_local(filter, left));
            let for_exists = std::mem::take(&mut self.is_for_exists);
            input = self.compile_left_join(left, right, expression.as_ref(), early, input)?;
            for filter in late {
                input = self.filter(input, filter)?;
            }
            self.is_for_exists = for_exists;
            return Ok(input);
        }
        self.flatten(pattern, &mut elements, &mut filters)?;
        let certain = scope::certain(pattern);
        filters.retain(|filter| {
            let values = values_of(filter, &certain);
            let stays = values.is_none();
            elements.extend(values.map(|values| Element::Other(Cow::Owned(values))));
            stays
        });
        // The dear ones last.
        filters.sort_by_key(|filter| scope::has_exists(filter));
        let for_exists = std::mem::take(&mut self.is_for_exists);
        self.apply_ready(&mut filters, &elements, &mut input)?;
        while !elements.is_empty() {
            self.context.check()?;
            let mut best = (0, f64::INFINITY);
            for (index, element) in elements.iter_mut().enumerate() {
                let fan = self.fan(element, &input);
                if fan < best.1 {
                    best = (index, fan);
                }
            }
            let element = elements.remove(best.0);
            self.is_for_exists = for_exists && elements.is_empty() && filters.is_empty();
            input = self.append(element, best.1, input)?;
            self.is_for_exists = false;
            self.apply_ready(&mut filters, &elements, &mut input)?;
        }
        self.is_for_exists = for_exists;
        Ok(input)
    }

    /// Applies the filters that nothing which is still to come can change.
    fn apply_ready(
        &mut self,
        filters: &mut Vec<&Algebra>,
        elements: &[Element<'_>],
        input: &mut Input<'a>,
    ) -> Result<(), SparqlError> {
        if filters.is_empty() {
            return Ok(());
        }
        let mut to_come = Names::default();
        for element in elements {
            element.add_names(&mut to_come);
        }
        let mut waiting = Vec::new();
        for filter in std::mem::take(filters) {
            let is_ready = scope::of_expression(filter).iter().all(|name| {
                !to_come.contains(name)
                    || self
                        .known_slot(name)
                        .is_some_and(|slot| input.certain.contains(&slot))
            });
            if is_ready {
                let on = std::mem::replace(input, self.start());
                *input = self.filter(on, filter)?;
            } else {
                waiting.push(filter);
            }
        }
        *filters = waiting;
        Ok(())
    }

    /// Takes joins apart.
    fn flatten<'p>(
        &mut self,
        pattern: &'p GraphPattern,
        elements: &mut Vec<Element<'p>>,
        filters: &mut Vec<&'p Algebra>,
    ) -> Result<(), SparqlError> {
        match pattern {
            GraphPattern::Join { left, right } => {
                self.flatten(left, elements, filters)?;
                self.flatten(right, elements, filters)?;
            }
            GraphPattern::Bgp { patterns } => {
                for pattern in patterns {
                    elements.push(self.triple(pattern.clone())?);
                }
            }
            GraphPattern::Path {
                subject,
                path,
                object,
            } => {
                self.flatten_path(subject.clone(), path.clone(), object.clone(), elements)?;
            }
            GraphPattern::Values { variables, bindings } => {
                elements.push(Element::Values { variables, bindings });
            }
            // A filter of a group inside may wait for the group outside where it sees the same there.
            GraphPattern::Filter { expr, inner } if is_local(expr, inner) => {
                filters.extend(conjuncts(expr));
                self.flatten(inner, elements, filters)?;
            }
            other => elements.push(Element::Other(Cow::Borrowed(other))),
        }
        Ok(())
    }

    /// Takes a path apart into patterns, as far as it is no closure (SPARQL 1.1 Query, section 18.2.2.4).
    fn flatten_path(
        &mut self,
        subject: TermPattern,
        path: PropertyPathExpression,
        object: TermPattern,
        elements: &mut Vec<Element<'_>>,
    ) -> Result<(), SparqlError> {
        match path {
            PropertyPathExpression::NamedNode(predicate) => {
                elements.push(self.triple(TriplePattern {
                    subject,
                    predicate: predicate.into(),
                    object,
                })?);
            }
            PropertyPathExpression::Reverse(path) => {
                self.flatten_path(object, *path, subject, elements)?;
            }
            PropertyPathExpression::Sequence(first, second) => {
                let slot = self.hidden_slot("step");
                let middle = Variable::new_unchecked(format!("#step{slot}"));
                self.flatten_path(subject, *first, middle.clone().into(), elements)?;
                self.flatten_path(middle.into(), *second, object, elements)?;
            }
            PropertyPathExpression::Alternative(first, second) => {
                let branch = |path: Box<PropertyPathExpression>| {
                    Box::new(GraphPattern::Path {
                        subject: subject.clone(),
                        path: *path,
                        object: object.clone(),
                    })
                };
                elements.push(Element::Other(Cow::Owned(GraphPattern::Union {
                    left: branch(first),
                    right: branch(second),
                })));
            }
            path => elements.push(Element::Path {
                subject,
                path,
                object,
            }),
        }
        Ok(())
    }

    fn triple<'p>(&mut self, pattern: TriplePattern) -> Result<Element<'p>, SparqlError> {
        let places = self.quad_places(&pattern)?;
        let unit = Batch::unit(self.width());
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let count = places
            .pattern(self.context, unit.row(0))
            .map_or(0.0, |pattern| self.context.count(pattern) as f64);
        Ok(Element::Triple(Box::new(Triple {
            pattern,
            places,
            count,
            distinct: FxHashMap::default(),
        })))
    }

    /// Joins an element to an input.
    fn append(&mut self, element: Element<'_>, fan: f64, input: Input<'a>) -> Result<Input<'a>, SparqlError> {
        match element {
            Element::Triple(triple) => Ok(self.append_triple(*triple, fan, input)),
            Element::Path {
                subject,
                path,
                object,
            } => self.append_path(&subject, &path, &object, fan, input),
            Element::Values { variables, bindings } => {
                let values = self.values(variables, bindings)?;
                if input.is_start {
                    return Ok(values);
                }
                let kind = if self.is_for_exists {
                    Kind::Semi
                } else {
                    Kind::Inner
                };
                Ok(self.joined(input, values, kind))
            }
            Element::Other(pattern) => self.compile(&pattern, input),
        }
    }

    fn append_triple(&mut self, triple: Triple, fan: f64, mut input: Input<'a>) -> Input<'a> {
        let Triple {
            pattern,
            places,
            count,
            ..
        } = triple;
        let detail = self.detail(|shown| shown.triple(&pattern).to_string());
        let left_count = input.node.estimate();
        let estimate = left_count * fan;
        let mut slots = Vec::new();
        places.each_slot(|slot| slots.push(slot));
        let is_keyed = slots
            .iter()
            .any(|slot| input.certain.contains(slot) && !self.base.slots.contains(slot));
        // With a limit, most rows are never asked for.
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let looked_up = self
            .limit
            .map_or(left_count, |limit| left_count.min(16.0 * limit as f64));
        let pays = looked_up > TABLE_ROW_COUNT_MIN && count < LOOK_UP_WORTH * looked_up;
        let has_triple_term = places.parts.iter().any(|place| matches!(place, Place::Triple(_)));
        if is_keyed && pays && !has_triple_term {
            let start = self.start();
            let mut right = start;
            right.node = Node::new(Scan::new(right.node, places, detail, false), count);
            right.certain.extend(slots.iter().copied());
            right.possible.extend(slots);
            let kind = if self.is_for_exists {
                Kind::Semi
            } else {
                Kind::Inner
            };
            return self.joined(input, right, kind);
        }
        self.holds_rows();
        input.certain.extend(slots.iter().copied());
        input.possible.extend(slots);
        let scan = Scan::new(input.node, places, detail, self.is_for_exists);
        input.node = Node::new(scan, estimate);
        input.is_start = false;
        input
    }

    fn append_path(
        &mut self,
        subject: &TermPattern,
        path: &PropertyPathExpression,
        object: &TermPattern,
        fan: f64,
        mut input: Input<'a>,
    ) -> Result<Input<'a>, SparqlError> {
        self.holds_rows();
        let detail = self.detail(|shown| format!("{} {path} {}", shown.term(subject), shown.term(object)));
        let subject = self.term_place(subject)?;
        let object = self.term_place(object)?;
        let path = self.path(path)?;
        let estimate = input.node.estimate() * fan;
        let mut slots = Vec::new();
        subject.each_slot(&mut |slot| slots.push(slot));
        object.each_slot(&mut |slot| slots.push(slot));
        input.certain.extend(slots.iter().copied());
        input.possible.extend(slots);
        let are_named = [&subject, &object].map(|place| match place {
            Place::Term(_) => true,
            Place::Slot(slot) => self.substituted.contains(slot),
            Place::Triple(_) => false,
        });
        let scan = PathScan::new(input.node, subject, path, object, self.graph, are_named, detail);
        input.node = Node::new(scan, estimate);
        input.is_start = false;
        Ok(input)
    }

    fn path(&self, path: &PropertyPathExpression) -> Result<Path, SparqlError> {
        let boxed = |path: &PropertyPathExpression| self.path(path).map(Box::new);
        Ok(match path {
            PropertyPathExpression::NamedNode(node) => {
                Path::Predicate(self.context.terms.intern(node.clone().into())?)
            }
            PropertyPathExpression::Reverse(path) => Path::Reverse(boxed(path)?),
            PropertyPathExpression::Sequence(first, second) => Path::Sequence(boxed(first)?, boxed(second)?),
            PropertyPathExpression::Alternative(first, second) => {
                Path::Alternative(boxed(first)?, boxed(second)?)
            }
            PropertyPathExpression::ZeroOrMore(path) => Path::ZeroOrMore(boxed(path)?),
            PropertyPathExpression::OneOrMore(path) => Path::OneOrMore(boxed(path)?),
            PropertyPathExpression::ZeroOrOne(path) => Path::ZeroOrOne(boxed(path)?),
            PropertyPathExpression::NegatedPropertySet(nodes) => Path::NegatedSet(
                nodes
                    .iter()
                    .map(|node| self.context.terms.intern(node.clone().into()))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }
}

/// Returns a filter that says which IRIs a variable may be as a pattern that binds it to them.
fn values_of(filter: &Algebra, certain: &Names) -> Option<GraphPattern> {
    let (variable, nodes) = match filter {
        Algebra::Equal(left, right) | Algebra::SameTerm(left, right) => match (&**left, &**right) {
            (Algebra::Variable(variable), node @ Algebra::NamedNode(_))
            | (node @ Algebra::NamedNode(_), Algebra::Variable(variable)) => {
                (variable, std::slice::from_ref(node))
            }
            _ => return None,
        },
        Algebra::In(left, list) => match &**left {
            Algebra::Variable(variable) => (variable, list.as_slice()),
            _ => return None,
        },
        _ => return None,
    };
    let mut bindings: Vec<Vec<Option<GroundTerm>>> = Vec::new();
    for node in nodes {
        let Algebra::NamedNode(node) = node else {
            return None;
        };
        let row = vec![Some(GroundTerm::NamedNode(node.clone()))];
        // Each once: a filter does not multiply.
        if !bindings.contains(&row) {
            bindings.push(row);
        }
    }
    (certain.contains(variable) && bindings.len() <= VALUES_COUNT_MAX).then(|| GraphPattern::Values {
        variables: vec![variable.clone()],
        bindings,
    })
}

/// Tells whether a filter sees the same in the group around its own.
fn is_local(filter: &Algebra, inner: &GraphPattern) -> bool {
    if scope::has_exists(filter) {
        return false;
    }
    let certain = scope::certain(inner);
    scope::of_expression(filter)
        .iter()
        .all(|name| certain.contains(name))
}
