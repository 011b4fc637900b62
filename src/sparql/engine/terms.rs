//! The terms of one query by number: those of the graph, and those that the query makes.

use std::{
    cell::{Cell, Ref, RefCell},
    hash::BuildHasher as _,
};

use hashbrown::{DefaultHashBuilder, HashTable};
use oxigraph::model::{Literal, NamedNodeRef, NamedOrBlankNode, Term, TermRef, vocab::xsd};

use super::{
    super::{
        SparqlError,
        memory::{Account, Budget},
    },
    batch::UNBOUND,
};
use crate::{
    graph::{Snapshot, TermId, TermView},
    model::language::recommended_case,
};

/// The number of the first made term: above every number of a dictionary.
const MADE: u32 = 1 << 30;
/// Bytes that a made term takes beside its text, about.
const TERM_BYTES: usize = size_of::<Term>() + 16;

/// The terms of one query.
///
/// A term of the graph has its number in the dictionary, always, so that equality of numbers is equality of terms.
pub(super) struct Terms<'a> {
    pub(super) snapshot: &'a Snapshot,
    made: RefCell<Made>,
    hasher: DefaultHashBuilder,
    booleans: Cell<Option<[u32; 2]>>,
    /// Rises when numbers lose their meaning.
    generation: Cell<u32>,
    /// What went wrong where only "no value" could be said.
    failure: RefCell<Option<SparqlError>>,
}

struct Made {
    terms: Vec<Term>,
    numbers: HashTable<u32>,
    text_bytes: usize,
    account: Account,
}

impl<'a> Terms<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, budget: &Budget) -> Self {
        Self {
            snapshot,
            made: RefCell::new(Made {
                terms: Vec::new(),
                numbers: HashTable::new(),
                text_bytes: 0,
                account: budget.account(),
            }),
            hasher: DefaultHashBuilder::default(),
            booleans: Cell::new(None),
            generation: Cell::new(0),
            failure: RefCell::new(None),
        }
    }

    /// Returns the number of a term; makes it if it is new.
    pub(super) fn intern(&self, term: Term) -> Result<u32, SparqlError> {
        if let Some(id) = self.snapshot.id(term.as_ref()) {
            return Ok(id.get());
        }
        let hash = self.hasher.hash_one(&term);
        let mut made = self.made.borrow_mut();
        let Made {
            terms,
            numbers,
            text_bytes,
            account,
        } = &mut *made;
        if let Some(&index) = numbers.find(hash, |&index| terms[index as usize] == term) {
            return Ok(MADE + index);
        }
        *text_bytes += bytes_of(&term);
        account.set(*text_bytes + (terms.len() + 1) * TERM_BYTES)?;
        let index = u32::try_from(terms.len())
            .ok()
            .filter(|&index| index < MADE)
            .ok_or_else(|| SparqlError::Internal("a query made too many terms".to_owned()))?;
        terms.push(term);
        numbers.insert_unique(hash, index, |&index| self.hasher.hash_one(&terms[index as usize]));
        Ok(MADE + index)
    }

    /// Returns the number of a boolean.
    pub(super) fn boolean(&self, value: bool) -> Result<u32, SparqlError> {
        let numbers = if let Some(numbers) = self.booleans.get() {
            numbers
        } else {
            let numbers = [
                self.intern(Literal::from(false).into())?,
                self.intern(Literal::from(true).into())?,
            ];
            self.booleans.set(Some(numbers));
            numbers
        };
        Ok(numbers[usize::from(value)])
    }

    /// Returns how many terms were made so far.
    pub(super) fn made_count(&self) -> usize {
        self.made.borrow().terms.len()
    }

    /// Forgets the terms made after the first `count`: nobody may hold their numbers.
    pub(super) fn forget(&self, count: usize) {
        let mut made = self.made.borrow_mut();
        let Made {
            terms,
            numbers,
            text_bytes,
            ..
        } = &mut *made;
        if terms.len() <= count {
            return;
        }
        self.generation.set(self.generation.get().wrapping_add(1));
        for term in terms.drain(count..) {
            *text_bytes -= bytes_of(&term);
        }
        numbers.retain(|&mut index| (index as usize) < count);
        if self.booleans.get().is_some_and(|[a, b]| a.max(b) >= MADE) {
            self.booleans.set(None);
        }
    }

    /// Returns a number that is another one after [`Self::forget`] forgot something.
    pub(super) fn generation(&self) -> u32 {
        self.generation.get()
    }

    /// Returns the made terms, and what accounts for them.
    pub(super) fn into_made(self) -> (Vec<Term>, Account) {
        let made = self.made.into_inner();
        (made.terms, made.account)
    }

    /// Lends the made terms.
    pub(super) fn made(&self) -> MadeTerms<'_> {
        MadeTerms(Ref::map(self.made.borrow(), |made| &made.terms))
    }

    /// Returns the identifier in the graph's dictionary; `None` for a made term.
    pub(super) fn known(number: u32) -> Option<TermId> {
        (number != UNBOUND && number < MADE).then(|| TermId::new(number))
    }

    /// Returns a term.
    pub(super) fn term(&self, number: u32) -> Term {
        match Self::known(number) {
            Some(id) => self.snapshot.term(id),
            None => self.made.borrow().terms[(number - MADE) as usize].clone(),
        }
    }

    /// Looks at a term.
    pub(super) fn with<T>(&self, number: u32, look: impl FnOnce(View<'_>) -> T) -> T {
        if let Some(id) = Self::known(number) {
            return look(View::from_dictionary(self.snapshot.view(id)));
        }
        look(View::from_term(
            &self.made.borrow().terms[(number - MADE) as usize],
        ))
    }

    /// Returns the parts of a triple term.
    pub(super) fn triple(&self, number: u32) -> Result<Option<[u32; 3]>, SparqlError> {
        if let Some(id) = Self::known(number) {
            return Ok(match self.snapshot.view(id) {
                TermView::Triple {
                    subject,
                    predicate,
                    object,
                } => Some([subject.get(), predicate.get(), object.get()]),
                _ => None,
            });
        }
        let Term::Triple(triple) = self.term(number) else {
            return Ok(None);
        };
        let subject = match triple.subject {
            NamedOrBlankNode::NamedNode(node) => Term::from(node),
            NamedOrBlankNode::BlankNode(node) => node.into(),
        };
        Ok(Some([
            self.intern(subject)?,
            self.intern(triple.predicate.into())?,
            self.intern(triple.object)?,
        ]))
    }

    /// Remembers why there is no value.
    pub(super) fn fail(&self, error: SparqlError) {
        self.failure.borrow_mut().get_or_insert(error);
    }

    /// Fails with what [`Self::fail`] was told.
    pub(super) fn check(&self) -> Result<(), SparqlError> {
        self.failure.borrow_mut().take().map_or(Ok(()), Err)
    }
}

/// The made terms, lent.
pub(super) struct MadeTerms<'t>(Ref<'t, Vec<Term>>);

impl MadeTerms<'_> {
    pub(super) fn as_slice(&self) -> &[Term] {
        &self.0
    }
}

/// Returns the made term of a number, if it is one.
pub(crate) fn made_term(made: &[Term], number: u32) -> Option<&Term> {
    made_index(number).and_then(|index| made.get(index))
}

/// Returns the place of a made term among the made ones.
pub(super) fn made_index(number: u32) -> Option<usize> {
    number.checked_sub(MADE).map(|index| index as usize)
}

fn bytes_of(term: &Term) -> usize {
    match term {
        Term::NamedNode(node) => node.as_str().len(),
        Term::BlankNode(_) => 32,
        Term::Literal(literal) => {
            literal.value().len() + literal.datatype().as_str().len() + literal.language().map_or(0, str::len)
        }
        Term::Triple(triple) => bytes_of(&triple.object) + 2 * TERM_BYTES,
    }
}

/// A term that is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum View<'t> {
    Iri(&'t str),
    BlankNode(&'t str),
    String(&'t str),
    Typed {
        value: &'t str,
        datatype: &'t str,
    },
    Language {
        value: &'t str,
        language: &'t str,
        has_direction: bool,
    },
    Triple,
}

impl<'t> View<'t> {
    fn from_dictionary(view: TermView<'t>) -> Self {
        match view {
            TermView::Iri(iri) => Self::Iri(iri),
            TermView::BlankNode(label) => Self::BlankNode(label),
            TermView::String(value) => Self::String(value),
            TermView::Typed { value, datatype } => Self::Typed { value, datatype },
            TermView::Language {
                value,
                language,
                direction,
            } => Self::Language {
                value,
                language,
                has_direction: direction.is_some(),
            },
            TermView::Triple { .. } => Self::Triple,
        }
    }

    fn from_term(term: &'t Term) -> Self {
        match term.as_ref() {
            TermRef::NamedNode(node) => Self::Iri(node.as_str()),
            TermRef::BlankNode(node) => Self::BlankNode(node.as_str()),
            TermRef::Triple(_) => Self::Triple,
            TermRef::Literal(literal) => {
                let value = literal.value();
                match (literal.language(), literal.datatype()) {
                    (Some(language), _) => Self::Language {
                        value,
                        language,
                        has_direction: literal.direction().is_some(),
                    },
                    (None, xsd::STRING) => Self::String(value),
                    (None, datatype) => Self::Typed {
                        value,
                        datatype: NamedNodeRef::as_str(datatype),
                    },
                }
            }
        }
    }

    /// Returns what STR gives: the lexical form of a literal, an IRI's text.
    pub(super) fn text(self) -> Option<&'t str> {
        match self {
            Self::Iri(value)
            | Self::String(value)
            | Self::Typed { value, .. }
            | Self::Language { value, .. } => Some(value),
            Self::BlankNode(_) | Self::Triple => None,
        }
    }

    /// Returns what LANG gives.
    pub(super) fn language(self) -> Option<std::borrow::Cow<'t, str>> {
        match self {
            Self::Language { language, .. } => Some(recommended_case(language)),
            Self::String(_) | Self::Typed { .. } => Some("".into()),
            Self::Iri(_) | Self::BlankNode(_) | Self::Triple => None,
        }
    }
}
