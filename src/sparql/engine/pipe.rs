//! Expressions that Oxigraph's engine computes.
//!
//! The engine compiles an expression only as a part of a query. So here is a query of one pattern and one BIND: the pattern
//! "matches" the row at hand whenever a solution is asked for, and the solution has the value.

use std::{
    cell::{Cell as StdCell, RefCell},
    convert::Infallible,
    rc::Rc,
};

use oxigraph::model::{Literal, NamedNode, Term, Variable};
use oxiri::Iri;
use rustc_hash::FxHashMap;
use spareval::{
    ExpressionTerm, InternalQuad, QueryEvaluator, QueryResults, QuerySolutionIter, QueryableDataset,
};
use spargebra::{
    Query,
    algebra::{Expression as Algebra, GraphPattern},
    term::{NamedNodePattern, TermPattern, TriplePattern},
};

use super::{
    super::SparqlError,
    batch::{Slot, UNBOUND},
    context::Context,
    expression::{Derived, DerivedTerm},
    functions::{self, Functions},
    terms::{Terms, View},
};

/// Values that the pattern can carry; the others are called for by number.
const CARRIED_COUNT: usize = 4;
/// Values that are remembered by the term that they were computed from.
const REMEMBERED_COUNT_MAX: usize = 1 << 16;
/// Values after which it shows whether remembering them pays.
const TRIED_COUNT: usize = 2_048;
/// The work of an expression: that of any, and that of a long one by its text.
const TICKS_MIN: usize = 16;
const BYTES_PER_TICK: usize = 64;
/// Stands where the pattern carries nothing.
const NOTHING: &str = "dossier:nothing";

/// What an expression is computed from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct PipeInput {
    pub(super) slot: Slot,
    /// The engine gets this instead of the term.
    pub(super) derived: Option<Derived>,
}

/// A value on its way into the engine.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Carried {
    Term(u32),
    Derived(Derived, u32),
}

impl Carried {
    fn number(self) -> u32 {
        match self {
            Self::Term(number) | Self::Derived(_, number) => number,
        }
    }
}

/// An expression that the engine computes.
pub(super) struct Pipe<'a> {
    /// Its variables are those of [`variable`].
    expression: Algebra,
    inputs: Vec<PipeInput>,
    base_iri: Option<Iri<String>>,
    terms: Rc<Terms<'a>>,
    functions: Functions,
    /// Work, in ticks.
    weight: usize,
    /// Compiled once for each choice of inputs that are bound.
    variants: RefCell<Vec<(u8, Variant<'a>)>>,
    /// Values by input, where there is one input and the same value each time.
    remembered: Option<RefCell<Remembered>>,
    generation: StdCell<u32>,
}

#[derive(Default)]
struct Remembered {
    values: FxHashMap<u32, u32>,
    /// Values that were there when they were asked for, and that were not.
    hit_count: usize,
    miss_count: usize,
}

impl Remembered {
    /// Tells whether remembering has not paid.
    fn is_useless(&self) -> bool {
        self.miss_count >= TRIED_COUNT && self.hit_count < self.miss_count / 4
    }
}

struct Variant<'a> {
    row: Rc<RowAtHand>,
    solutions: QuerySolutionIter<'a>,
}

struct RowAtHand {
    carried: StdCell<[Carried; CARRIED_COUNT]>,
    is_ready: StdCell<bool>,
    /// The number of the value.
    value: StdCell<u32>,
}

/// Returns the name that an input has in the expression.
pub(super) fn variable(index: usize) -> Variable {
    Variable::new_unchecked(format!("v{index}"))
}

impl<'a> Pipe<'a> {
    /// `expression` names its inputs by [`variable`].
    pub(super) fn new(
        context: &Context<'a>,
        expression: Algebra,
        inputs: Vec<PipeInput>,
        base_iri: Option<Iri<String>>,
    ) -> Self {
        let is_pure = functions::is_pure(&expression);
        let functions = Functions::new(&context.interrupt);
        let expression = functions::rewritten(expression, CARRIED_COUNT);
        Self {
            remembered: (inputs.len() == 1 && is_pure).then(RefCell::default),
            weight: TICKS_MIN + expression.to_string().len() / BYTES_PER_TICK,
            expression,
            inputs,
            base_iri,
            terms: Rc::clone(&context.terms),
            functions,
            variants: RefCell::default(),
            generation: StdCell::new(0),
        }
    }

    /// Returns the number of the value.
    pub(super) fn value(&self, context: &Context<'_>, row: &[u32]) -> Result<u32, SparqlError> {
        let generation = self.terms.generation();
        if self.generation.replace(generation) != generation {
            // Numbers of made terms mean something else now, those of constants too.
            self.variants.borrow_mut().clear();
            if let Some(remembered) = &self.remembered {
                remembered.borrow_mut().values.clear();
            }
        }
        let Some(remembered) = &self.remembered else {
            return self.compute(context, row);
        };
        let input = row[self.inputs[0].slot];
        {
            let mut remembered = remembered.borrow_mut();
            if let Some(&value) = remembered.values.get(&input) {
                remembered.hit_count += 1;
                return Ok(value);
            }
            remembered.miss_count += 1;
        }
        let value = self.compute(context, row)?;
        let mut remembered = remembered.borrow_mut();
        if remembered.values.len() < REMEMBERED_COUNT_MAX && !remembered.is_useless() {
            remembered.values.insert(input, value);
        }
        Ok(value)
    }

    fn compute(&self, context: &Context<'_>, row: &[u32]) -> Result<u32, SparqlError> {
        context.ticks(self.weight)?;
        let mut carried = [Carried::Term(UNBOUND); CARRIED_COUNT];
        let mut mask = 0_u8;
        for (index, (input, carried)) in self.inputs.iter().zip(&mut carried).enumerate() {
            let number = row[input.slot];
            if number != UNBOUND && self.has_value(*input, number) {
                mask |= 1 << index;
                *carried = match input.derived {
                    None => Carried::Term(number),
                    Some(derived) => Carried::Derived(derived, number),
                };
            }
        }
        if let Some(called) = self.inputs.get(CARRIED_COUNT..) {
            functions::set_called(called.iter().map(|input| self.called(*input, row[input.slot])));
        }
        let mut variants = self.variants.borrow_mut();
        let index = if let Some(index) = variants.iter().position(|(of, _)| *of == mask) {
            index
        } else {
            variants.push((mask, self.variant(mask)?));
            variants.len() - 1
        };
        let Variant { row, solutions } = &mut variants[index].1;
        functions::begin_row();
        row.carried.set(carried);
        row.is_ready.set(true);
        row.value.set(UNBOUND);
        solutions
            .next()
            .ok_or_else(|| SparqlError::Internal("an expression has no solution".to_owned()))?
            .map_err(|error| SparqlError::Evaluation(error.to_string()))?;
        self.terms.check()?;
        self.functions.check()?;
        Ok(row.value.get())
    }

    fn has_value(&self, input: PipeInput, number: u32) -> bool {
        input.derived.is_none_or(|derived| {
            self.terms.with(number, |view| match derived {
                Derived::Str => view.text().is_some(),
                Derived::Lang | Derived::Datatype => {
                    !matches!(view, View::Iri(_) | View::BlankNode(_) | View::Triple)
                }
            })
        })
    }

    /// Returns the value of an input that the pattern does not carry.
    fn called(&self, input: PipeInput, number: u32) -> Option<Term> {
        if number == UNBOUND {
            return None;
        }
        match input.derived {
            None => Some(self.terms.term(number)),
            Some(derived) => self
                .terms
                .with(number, |view| derived.of(view))
                .map(DerivedTerm::into_term),
        }
    }

    /// Compiles the expression for inputs of which those of the mask are bound.
    fn variant(&self, mask: u8) -> Result<Variant<'a>, SparqlError> {
        let carried = |index: usize| (mask & 1 << index != 0).then(|| variable(index));
        let nothing = || NamedNode::new_unchecked(NOTHING);
        let node =
            |index| carried(index).map_or_else(|| TermPattern::NamedNode(nothing()), TermPattern::Variable);
        let name = |index| {
            carried(index).map_or_else(
                || NamedNodePattern::NamedNode(nothing()),
                NamedNodePattern::Variable,
            )
        };
        let result = Variable::new_unchecked("value");
        let query = Query::Select {
            dataset: None,
            pattern: GraphPattern::Project {
                inner: Box::new(GraphPattern::Extend {
                    inner: Box::new(GraphPattern::Graph {
                        name: name(3),
                        inner: Box::new(GraphPattern::Bgp {
                            patterns: vec![TriplePattern {
                                subject: node(0),
                                predicate: name(1),
                                object: node(2),
                            }],
                        }),
                    }),
                    variable: result.clone(),
                    expression: self.expression.clone(),
                }),
                variables: vec![result],
            },
            base_iri: self.base_iri.clone(),
        };
        let row = Rc::new(RowAtHand {
            carried: StdCell::new([Carried::Term(UNBOUND); CARRIED_COUNT]),
            is_ready: StdCell::new(false),
            value: StdCell::new(UNBOUND),
        });
        let engine = Engine {
            terms: Rc::clone(&self.terms),
            row: Rc::clone(&row),
        };
        let evaluator = self
            .functions
            .registered(QueryEvaluator::new().without_optimizations(), &self.expression);
        let results = evaluator
            .prepare(&query)
            .execute(engine)
            .map_err(|error| SparqlError::Evaluation(error.to_string()))?;
        let QueryResults::Solutions(solutions) = results else {
            return Err(SparqlError::Internal("an expression has no solutions".to_owned()));
        };
        Ok(Variant { row, solutions })
    }
}

/// What the engine takes for a data set.
struct Engine<'a> {
    terms: Rc<Terms<'a>>,
    row: Rc<RowAtHand>,
}

impl Engine<'_> {
    fn interned(&self, term: Term) -> Carried {
        Carried::Term(self.terms.intern(term).unwrap_or_else(|error| {
            self.terms.fail(error);
            UNBOUND
        }))
    }
}

impl<'a> QueryableDataset<'a> for Engine<'a> {
    type InternalTerm = Carried;
    type Error = Infallible;

    fn internal_quads_for_pattern(
        &self,
        subject: Option<&Carried>,
        predicate: Option<&Carried>,
        object: Option<&Carried>,
        graph_name: Option<Option<&Carried>>,
    ) -> impl Iterator<Item = Result<InternalQuad<Carried>, Infallible>> + use<'a> {
        let row = Rc::clone(&self.row);
        let fixed = [subject, predicate, object, graph_name.flatten()].map(Option::<&Carried>::copied);
        std::iter::from_fn(move || {
            let carried = row.carried.get();
            let at = |index: usize| fixed[index].unwrap_or(carried[index]);
            row.is_ready.replace(false).then(|| {
                Ok(InternalQuad {
                    subject: at(0),
                    predicate: at(1),
                    object: at(2),
                    graph_name: Some(at(3)),
                })
            })
        })
    }

    fn internalize_term(&self, term: Term) -> Result<Carried, Infallible> {
        Ok(self.interned(term))
    }

    fn externalize_term(&self, term: Carried) -> Result<Term, Infallible> {
        // Only the value leaves the engine, and it is taken here.
        let number = match term {
            Carried::Term(number) => number,
            Carried::Derived(derived, number) => self
                .terms
                .with(number, |view| derived.of(view))
                .map(DerivedTerm::into_term)
                .map_or(Carried::Term(UNBOUND), |term| self.interned(term))
                .number(),
        };
        self.row.value.set(number);
        Ok(Literal::new_simple_literal(String::new()).into())
    }

    fn externalize_expression_term(&self, term: Carried) -> Result<ExpressionTerm, Infallible> {
        Ok(match term {
            Carried::Term(number) => {
                let plain = self.terms.with(number, |view| match view {
                    View::String(value) => Some(ExpressionTerm::StringLiteral(value.to_owned())),
                    View::Iri(iri) => Some(ExpressionTerm::NamedNode(NamedNode::new_unchecked(iri))),
                    View::Typed { value, datatype } => typed(value, datatype),
                    _ => None,
                });
                plain.unwrap_or_else(|| self.terms.term(number).into())
            }
            Carried::Derived(derived, number) => match self.terms.with(number, |view| derived.of(view)) {
                Some(DerivedTerm::Iri(iri)) => ExpressionTerm::NamedNode(iri),
                Some(DerivedTerm::Text(text)) => ExpressionTerm::StringLiteral(text),
                None => ExpressionTerm::StringLiteral(String::new()),
            },
        })
    }

    fn internalize_expression_term(&self, term: ExpressionTerm) -> Result<Carried, Infallible> {
        if let ExpressionTerm::BooleanLiteral(value) = term {
            let number = self.terms.boolean(value.into()).unwrap_or_else(|error| {
                self.terms.fail(error);
                UNBOUND
            });
            return Ok(Carried::Term(number));
        }
        Ok(self.interned(term.into()))
    }
}

/// Parses the literals that expressions meet most, without a copy. The rest, ill-typed ones too, goes through a term.
fn typed(value: &str, datatype: &str) -> Option<ExpressionTerm> {
    Some(
        match datatype.strip_prefix("http://www.w3.org/2001/XMLSchema#")? {
            "integer" | "int" | "long" => ExpressionTerm::IntegerLiteral(value.parse().ok()?),
            "decimal" => ExpressionTerm::DecimalLiteral(value.parse().ok()?),
            "double" => ExpressionTerm::DoubleLiteral(value.parse().ok()?),
            "boolean" => ExpressionTerm::BooleanLiteral(value.parse().ok()?),
            "dateTime" => ExpressionTerm::DateTimeLiteral(value.parse().ok()?),
            "date" => ExpressionTerm::DateLiteral(value.parse().ok()?),
            _ => return None,
        },
    )
}
