//! Term identifiers, and terms as the index holds them.

use oxigraph::model::{BaseDirection, BlankNodeRef, LiteralRef, NamedNodeRef, TermRef};

/// The number of a term in the dictionary of one snapshot and of all later ones.
///
/// Dense from 1; 0 is the default graph, which is no term.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TermId(pub(super) u32);

impl TermId {
    /// Stands for the default graph where a graph name is expected.
    pub const DEFAULT_GRAPH: Self = Self(0);
    /// Greater than every term: for seeking past all quads with a common beginning.
    pub const MAX: Self = Self(u32::MAX);

    /// Returns the number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Returns the identifier of a number that [`Self::get`] gave.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }
}

/// A quad as identifiers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct QuadIds {
    /// The subject.
    pub subject: TermId,
    /// The predicate.
    pub predicate: TermId,
    /// The object.
    pub object: TermId,
    /// The graph name, or [`TermId::DEFAULT_GRAPH`].
    pub graph: TermId,
}

impl QuadIds {
    pub(super) const fn to_array(self) -> [u32; 4] {
        [self.subject.0, self.predicate.0, self.object.0, self.graph.0]
    }

    pub(super) const fn from_array([subject, predicate, object, graph]: [u32; 4]) -> Self {
        Self {
            subject: TermId(subject),
            predicate: TermId(predicate),
            object: TermId(object),
            graph: TermId(graph),
        }
    }
}

/// A term borrowed from the dictionary. Language tags are in lower case, as the SPARQL engine has them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TermView<'a> {
    /// An IRI.
    Iri(&'a str),
    /// A blank node's label, without `_:`.
    BlankNode(&'a str),
    /// An `xsd:string`.
    String(&'a str),
    /// A literal with another datatype, its lexical form as it was written.
    Typed {
        /// The lexical form.
        value: &'a str,
        /// The datatype IRI.
        datatype: &'a str,
    },
    /// A language-tagged string.
    Language {
        /// The text.
        value: &'a str,
        /// The language tag.
        language: &'a str,
        /// The base direction (RDF 1.2).
        direction: Option<BaseDirection>,
    },
    /// A triple term (RDF 1.2).
    Triple {
        /// The subject.
        subject: TermId,
        /// The predicate.
        predicate: TermId,
        /// The object.
        object: TermId,
    },
}

impl<'a> TermView<'a> {
    /// Returns the term; `None` for a triple term, whose parts the dictionary has.
    pub(super) fn to_simple_term(self) -> Option<TermRef<'a>> {
        Some(match self {
            Self::Iri(iri) => NamedNodeRef::new_unchecked(iri).into(),
            Self::BlankNode(label) => BlankNodeRef::new_unchecked(label).into(),
            Self::String(value) => LiteralRef::new_simple_literal(value).into(),
            Self::Typed { value, datatype } => {
                LiteralRef::new_typed_literal(value, NamedNodeRef::new_unchecked(datatype)).into()
            }
            Self::Language {
                value,
                language,
                direction: None,
            } => LiteralRef::new_language_tagged_literal_unchecked(value, language).into(),
            Self::Language {
                value,
                language,
                direction: Some(direction),
            } => LiteralRef::new_directional_language_tagged_literal_unchecked(value, language, direction)
                .into(),
            Self::Triple { .. } => return None,
        })
    }
}
