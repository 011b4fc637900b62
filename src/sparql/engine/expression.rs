//! Expressions on rows.
//!
//! What filters meet most is computed here, on term numbers; everything else goes through the SPARQL engine
//! ([`Pipe`](super::pipe::Pipe)). No value and an error are the same: [`UNBOUND`].

use oxigraph::model::{
    Literal, NamedNode, NamedOrBlankNode, Term, Triple,
    vocab::{rdf, xsd},
};

use super::{
    super::SparqlError,
    batch::{Slot, UNBOUND},
    context::Context,
    pipe::Pipe,
    terms::{Terms, View},
    value::{Number, Value},
};

/// An expression, ready to be computed.
pub(super) enum Expression<'a> {
    Constant(u32),
    Slot(Slot),
    Bound(Slot),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
    SameTerm(Box<Self>, Box<Self>),
    /// Two terms, what the right one is worth if it is always the same, and the whole for those that are not compared here.
    Compare(Comparison, Box<Self>, Box<Self>, Option<Value>, Box<Pipe<'a>>),
    Derived(Derived, Slot),
    /// TRIPLE: exactly of the terms, which the engine would take for their values.
    Triple(Box<[Self; 3]>),
    /// SUBJECT, PREDICATE or OBJECT, by its place.
    PartOf(Box<Self>, usize),
    Pipe(Box<Pipe<'a>>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What can be told of a term exactly as it is written, which the engine would tell of its value.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Derived {
    Str,
    Lang,
    Datatype,
}

impl Derived {
    /// Computes it; `None` is an error.
    pub(super) fn of(self, view: View<'_>) -> Option<DerivedTerm> {
        match self {
            Self::Str => view.text().map(|text| DerivedTerm::Text(text.to_owned())),
            Self::Lang => view
                .language()
                .map(|language| DerivedTerm::Text(language.into_owned())),
            Self::Datatype => match view {
                View::String(_) => Some(DerivedTerm::Iri(xsd::STRING.into_owned())),
                View::Typed { datatype, .. } => Some(DerivedTerm::Iri(NamedNode::new_unchecked(datatype))),
                View::Language {
                    has_direction: true, ..
                } => Some(DerivedTerm::Iri(rdf::DIR_LANG_STRING.into_owned())),
                View::Language { .. } => Some(DerivedTerm::Iri(rdf::LANG_STRING.into_owned())),
                View::Iri(_) | View::BlankNode(_) | View::Triple => None,
            },
        }
    }
}

/// The value of a [`Derived`].
pub(super) enum DerivedTerm {
    Text(String),
    Iri(NamedNode),
}

impl DerivedTerm {
    pub(super) fn into_term(self) -> Term {
        match self {
            Self::Text(text) => Literal::new_simple_literal(text).into(),
            Self::Iri(iri) => iri.into(),
        }
    }
}

impl Expression<'_> {
    /// Returns the number of the value, [`UNBOUND`] for an error.
    pub(super) fn value(&self, context: &Context<'_>, row: &[u32]) -> Result<u32, SparqlError> {
        match self {
            Self::Constant(number) => Ok(*number),
            Self::Slot(slot) => Ok(row[*slot]),
            Self::Pipe(pipe) => pipe.value(context, row),
            Self::Derived(derived, slot) => {
                let number = row[*slot];
                if number == UNBOUND {
                    return Ok(UNBOUND);
                }
                match context.terms.with(number, |view| derived.of(view)) {
                    None => Ok(UNBOUND),
                    Some(derived) => context.terms.intern(derived.into_term()),
                }
            }
            Self::Triple(parts) => {
                let mut terms = Vec::with_capacity(3);
                for part in parts.iter() {
                    let number = part.value(context, row)?;
                    if number == UNBOUND {
                        return Ok(UNBOUND);
                    }
                    terms.push(context.terms.term(number));
                }
                let Ok([subject, predicate, object]) = <[Term; 3]>::try_from(terms) else {
                    return Ok(UNBOUND);
                };
                let subject: NamedOrBlankNode = match subject {
                    Term::NamedNode(node) => node.into(),
                    Term::BlankNode(node) => node.into(),
                    Term::Literal(_) | Term::Triple(_) => return Ok(UNBOUND),
                };
                let Term::NamedNode(predicate) = predicate else {
                    return Ok(UNBOUND);
                };
                context
                    .terms
                    .intern(Triple::new(subject, predicate, object).into())
            }
            Self::PartOf(triple, place) => {
                let number = triple.value(context, row)?;
                if number == UNBOUND {
                    return Ok(UNBOUND);
                }
                Ok(context
                    .terms
                    .triple(number)?
                    .map_or(UNBOUND, |parts| parts[*place]))
            }
            _ => match self.truth(context, row)? {
                Some(truth) => context.terms.boolean(truth),
                None => Ok(UNBOUND),
            },
        }
    }

    /// Tells whether the effective boolean value is true (SPARQL 1.1 Query, section 17.2.2).
    pub(super) fn test(&self, context: &Context<'_>, row: &[u32]) -> Result<bool, SparqlError> {
        Ok(self.truth(context, row)? == Some(true))
    }

    fn truth(&self, context: &Context<'_>, row: &[u32]) -> Result<Option<bool>, SparqlError> {
        match self {
            Self::Bound(slot) => Ok(Some(row[*slot] != UNBOUND)),
            Self::Not(inner) => Ok(inner.truth(context, row)?.map(|truth| !truth)),
            Self::And(parts) => Self::all(parts, context, row, true),
            Self::Or(parts) => Self::all(parts, context, row, false),
            Self::SameTerm(left, right) => {
                let (left, right) = (left.value(context, row)?, right.value(context, row)?);
                Ok((left != UNBOUND && right != UNBOUND).then_some(left == right))
            }
            Self::Compare(comparison, left, right, fixed, whole) => {
                let (left, right) = (left.value(context, row)?, right.value(context, row)?);
                if left == UNBOUND || right == UNBOUND {
                    return Ok(None);
                }
                match compare(&context.terms, *comparison, left, right, *fixed) {
                    Some(truth) => Ok(Some(truth)),
                    None => truth_of(context, whole.value(context, row)?),
                }
            }
            Self::Constant(_)
            | Self::Slot(_)
            | Self::Derived(..)
            | Self::Triple(_)
            | Self::PartOf(..)
            | Self::Pipe(_) => truth_of(context, self.value(context, row)?),
        }
    }

    /// AND (`neutral` is true) or OR of all: errors count unless one part decides.
    fn all(
        parts: &[Self],
        context: &Context<'_>,
        row: &[u32],
        neutral: bool,
    ) -> Result<Option<bool>, SparqlError> {
        let mut truth = Some(neutral);
        for part in parts {
            // There may be as many as a list has.
            context.tick()?;
            match part.truth(context, row)? {
                Some(is) if is == neutral => {}
                Some(is) => return Ok(Some(is)),
                None => truth = None,
            }
        }
        Ok(truth)
    }
}

fn truth_of(context: &Context<'_>, number: u32) -> Result<Option<bool>, SparqlError> {
    if number == UNBOUND {
        return Ok(None);
    }
    if number == context.terms.boolean(true)? {
        return Ok(Some(true));
    }
    if number == context.terms.boolean(false)? {
        return Ok(Some(false));
    }
    Ok(context.terms.with(number, |view| match view {
        View::String(value) => Some(!value.is_empty()),
        View::Typed { value, datatype } if datatype == xsd::BOOLEAN.as_str() => match value {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            // Ill-typed: an error since SPARQL 1.2.
            _ => None,
        },
        View::Typed { .. } => Number::of(view).map(Number::is_true),
        _ => None,
    }))
}

/// Compares terms of which the outcome is plain; `None`: ask the engine.
fn compare(
    terms: &Terms<'_>,
    comparison: Comparison,
    left: u32,
    right: u32,
    fixed: Option<Value>,
) -> Option<bool> {
    terms.with(left, |a| {
        terms.with(right, |b| {
            if let Some(b_value) = fixed.or_else(|| Value::of(b))
                && let Some(a_value) = Value::of(a)
                && let Some(order) = a_value.compare(b_value)
            {
                return Some(order.is_some_and(|order| comparison.holds(order)));
            }
            match (a, b) {
                (View::String(a), View::String(b)) => Some(comparison.holds(a.cmp(b))),
                (View::Iri(_) | View::BlankNode(_), _) | (_, View::Iri(_) | View::BlankNode(_))
                    if comparison == Comparison::Equal =>
                {
                    Some(left == right)
                }
                _ => None,
            }
        })
    })
}

impl Comparison {
    fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}
