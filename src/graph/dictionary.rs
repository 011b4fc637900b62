//! The term dictionary: each distinct term once, numbered densely, in segments of consecutive numbers.

use std::{
    borrow::Cow,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::LazyLock,
};

use hashbrown::HashTable;
use oxigraph::model::{BaseDirection, LiteralRef, TermRef, vocab::xsd};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::term::{TermId, TermView};

/// Terms that a dictionary can hold: a kind has 29 bits for the number of a datatype or language tag.
pub(super) const TERM_COUNT_MAX: u32 = (1 << 29) - 1;

// Drawn once a process, so that nobody can choose terms whose hashes collide.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());

/// What a term is beside its text: a tag in the low three bits, and for typed literals and language-tagged strings above
/// them the number of the datatype or of the language tag (kept as a string).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Kind(u32);

impl Kind {
    const IRI: Self = Self(0);
    const BLANK_NODE: Self = Self(1);
    const STRING: Self = Self(2);
    const TRIPLE: Self = Self(3);
    const TYPED: u32 = 4;
    const LANGUAGE: u32 = 5;
    const LANGUAGE_LTR: u32 = 6;
    const LANGUAGE_RTL: u32 = 7;

    const fn suffixed(tag: u32, suffix: u32) -> Self {
        Self(suffix << 3 | tag)
    }

    const fn suffix(self) -> u32 {
        self.0 >> 3
    }

    const fn tag(self) -> u32 {
        self.0 & 7
    }
}

/// A term as kind and text: what the dictionary compares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Key<'a> {
    kind: Kind,
    text: &'a str,
}

impl<'a> Key<'a> {
    pub(super) const fn iri(text: &'a str) -> Self {
        Self {
            kind: Kind::IRI,
            text,
        }
    }

    pub(super) fn hash(self) -> u64 {
        xxh3_64_with_seed(self.text.as_bytes(), *SEED ^ u64::from(self.kind.0))
    }

    /// Returns the key with the numbers in it replaced, for moving a term from one dictionary to another.
    pub(super) fn renumbered(self, number: impl Fn(u32) -> u32) -> TermKey<'a> {
        let Self { kind, text } = self;
        match kind.tag() {
            Kind::TYPED.. => TermKey {
                kind: Kind::suffixed(kind.tag(), number(kind.suffix())),
                text: text.into(),
            },
            _ if kind == Kind::TRIPLE => TermKey {
                kind,
                text: triple_text(parse_triple(text).map(number)).into(),
            },
            _ => TermKey {
                kind,
                text: text.into(),
            },
        }
    }
}

/// A key that owns its text where it had to be made.
pub(super) struct TermKey<'a> {
    kind: Kind,
    text: Cow<'a, str>,
}

impl<'a> TermKey<'a> {
    /// Returns the key of a term, whose parts `number` numbers first. `None` if it could not number one of them.
    pub(super) fn new(term: TermRef<'a>, number: &mut dyn FnMut(TermRef<'_>) -> Option<u32>) -> Option<Self> {
        let (kind, text) = match term {
            TermRef::NamedNode(node) => (Kind::IRI, node.as_str()),
            TermRef::BlankNode(node) => (Kind::BLANK_NODE, node.as_str()),
            TermRef::Literal(literal) => {
                let kind = if let Some(language) = literal.language() {
                    let tag = match literal.direction() {
                        None => Kind::LANGUAGE,
                        Some(BaseDirection::Ltr) => Kind::LANGUAGE_LTR,
                        Some(BaseDirection::Rtl) => Kind::LANGUAGE_RTL,
                    };
                    Kind::suffixed(tag, number_language(language, number)?)
                } else if literal.datatype() == xsd::STRING {
                    Kind::STRING
                } else {
                    Kind::suffixed(Kind::TYPED, number(literal.datatype().into())?)
                };
                (kind, literal.value())
            }
            TermRef::Triple(triple) => {
                let parts = [
                    number(triple.subject.as_ref().into())?,
                    number(triple.predicate.as_ref().into())?,
                    number(triple.object.as_ref())?,
                ];
                return Some(Self {
                    kind: Kind::TRIPLE,
                    text: triple_text(parts).into(),
                });
            }
        };
        Some(Self {
            kind,
            text: text.into(),
        })
    }

    pub(super) fn as_key(&self) -> Key<'_> {
        Key {
            kind: self.kind,
            text: &self.text,
        }
    }
}

fn number_language(language: &str, number: &mut dyn FnMut(TermRef<'_>) -> Option<u32>) -> Option<u32> {
    let simple = LiteralRef::new_simple_literal;
    if language.bytes().any(|byte| byte.is_ascii_uppercase()) {
        number(simple(&language.to_ascii_lowercase()).into())
    } else {
        number(simple(language).into())
    }
}

fn triple_text([subject, predicate, object]: [u32; 3]) -> String {
    format!("{subject} {predicate} {object}")
}

fn parse_triple(text: &str) -> [u32; 3] {
    let mut numbers = text.split(' ').map(|number| number.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

/// Consecutively numbered terms.
#[derive(Clone, Debug, Default)]
pub(super) struct Segment {
    /// The number of the first term.
    pub(super) first: u32,
    text: String,
    /// Where each term's text ends.
    ends: Vec<u64>,
    kinds: Vec<Kind>,
    /// Indices of terms by hash.
    table: HashTable<u32>,
}

impl Segment {
    pub(super) fn new(first: u32) -> Self {
        Self {
            first,
            ..Self::default()
        }
    }

    /// Returns a segment from what [`Self::parts`] gave; `None` if the parts do not fit together.
    pub(super) fn from_parts(first: u32, text: String, ends: Vec<u64>, kinds: Vec<u32>) -> Option<Self> {
        let mut start = 0;
        for &end in &ends {
            if end < start || !usize::try_from(end).is_ok_and(|end| text.is_char_boundary(end)) {
                return None;
            }
            start = end;
        }
        let fits = ends.len() == kinds.len() && usize::try_from(start) == Ok(text.len());
        let mut segment = Self {
            first,
            text,
            ends,
            kinds: kinds.into_iter().map(Kind).collect(),
            table: HashTable::new(),
        };
        fits.then(|| {
            segment.index_from(0);
            segment
        })
    }

    /// Returns text, ends and kinds.
    pub(super) fn parts(&self) -> (&str, &[u64], impl Iterator<Item = u32>) {
        (&self.text, &self.ends, self.kinds.iter().map(|kind| kind.0))
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns the number after the last term's.
    pub(super) fn end(&self) -> u32 {
        u32::try_from(self.len()).map_or(u32::MAX, |len| self.first.saturating_add(len))
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.text.capacity()
            + self.ends.capacity() * size_of::<u64>()
            + self.kinds.capacity() * size_of::<Kind>()
            + self.table.allocation_size()
    }

    /// Returns the number of a term.
    pub(super) fn get(&self, key: Key<'_>, hash: u64) -> Option<u32> {
        let found = self.table.find(hash, |&index| self.key(index as usize) == key);
        found.map(|index| self.first + index)
    }

    /// Returns the number of a term, which is added if it is not there.
    pub(super) fn get_or_push(&mut self, key: Key<'_>, hash: u64) -> u32 {
        self.get(key, hash).unwrap_or_else(|| self.push(key, hash))
    }

    /// Adds a term that is not there and returns its number.
    pub(super) fn push(&mut self, key: Key<'_>, hash: u64) -> u32 {
        let number = self.end();
        self.text.push_str(key.text);
        self.ends.push(self.text.len() as u64);
        self.kinds.push(key.kind);
        let Self {
            text,
            ends,
            kinds,
            table,
            first,
        } = self;
        table.insert_unique(hash, number - *first, |&index| {
            key_at(text, ends, kinds, index as usize).hash()
        });
        number
    }

    /// Adds the terms of the segment that follows this one.
    pub(super) fn append(&mut self, next: &Self) {
        let (offset, len) = (self.text.len() as u64, self.len());
        self.text.push_str(&next.text);
        self.ends.extend(next.ends.iter().map(|end| end + offset));
        self.kinds.extend_from_slice(&next.kinds);
        self.index_from(len);
    }

    fn index_from(&mut self, from: usize) {
        let Self {
            text,
            ends,
            kinds,
            table,
            ..
        } = self;
        let hash = |&index: &u32| key_at(text, ends, kinds, index as usize).hash();
        table.reserve(ends.len() - from, hash);
        for index in (from..ends.len()).filter_map(|index| u32::try_from(index).ok()) {
            table.insert_unique(hash(&index), index, hash);
        }
    }

    pub(super) fn shrink_to_fit(&mut self) {
        let Self {
            text,
            ends,
            kinds,
            table,
            ..
        } = self;
        text.shrink_to_fit();
        ends.shrink_to_fit();
        kinds.shrink_to_fit();
        table.shrink_to_fit(|&index| key_at(text, ends, kinds, index as usize).hash());
    }

    /// Returns a term by its place in the segment.
    pub(super) fn key(&self, index: usize) -> Key<'_> {
        key_at(&self.text, &self.ends, &self.kinds, index)
    }

    /// Returns a term by its place in the segment; `text_of` gives the text of a datatype or language tag by number.
    pub(super) fn view<'a>(&'a self, index: usize, text_of: impl FnOnce(u32) -> &'a str) -> TermView<'a> {
        let Key { kind, text } = self.key(index);
        match kind.tag() {
            0 => TermView::Iri(text),
            1 => TermView::BlankNode(text),
            2 => TermView::String(text),
            3 => {
                let [subject, predicate, object] = parse_triple(text).map(TermId);
                TermView::Triple {
                    subject,
                    predicate,
                    object,
                }
            }
            Kind::TYPED => TermView::Typed {
                value: text,
                datatype: text_of(kind.suffix()),
            },
            tag => TermView::Language {
                value: text,
                language: text_of(kind.suffix()),
                direction: match tag {
                    Kind::LANGUAGE_LTR => Some(BaseDirection::Ltr),
                    Kind::LANGUAGE_RTL => Some(BaseDirection::Rtl),
                    _ => None,
                },
            },
        }
    }

    /// Returns the text of a term by its place in the segment.
    pub(super) fn text(&self, index: usize) -> &str {
        self.key(index).text
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "an end is a place in a text in memory"
)]
fn key_at<'a>(text: &'a str, ends: &[u64], kinds: &[Kind], index: usize) -> Key<'a> {
    let start = if index == 0 { 0 } else { ends[index - 1] };
    Key {
        kind: kinds[index],
        text: &text[start as usize..ends[index] as usize],
    }
}
