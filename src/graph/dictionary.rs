//! The term dictionary: each distinct term once, numbered densely, in segments of consecutive numbers.

use std::{
    borrow::Cow,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::LazyLock,
};

use hashbrown::HashTable;
use oxigraph::model::{BaseDirection, LiteralRef, TermRef, vocab::xsd};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    room::{room, text_room},
    term::{TermId, TermView},
};

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

    pub(super) const fn text_len(self) -> usize {
        self.text.len()
    }

    /// Calls `each` for the numbers in it: of a datatype, a language tag, or the parts of a triple.
    pub(super) fn for_parts(self, each: impl FnMut(u32)) {
        match self.kind.tag() {
            Kind::TYPED.. => [self.kind.suffix()].into_iter().for_each(each),
            _ if self.kind == Kind::TRIPLE => parse_triple(self.text).into_iter().for_each(each),
            _ => {}
        }
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

    /// Returns the key of a triple term by its parts.
    pub(super) fn triple(parts: [u32; 3]) -> Self {
        Self {
            kind: Kind::TRIPLE,
            text: triple_text(parts).into(),
        }
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
    terms: Terms,
    /// Indices of terms by hash.
    table: HashTable<u32>,
}

/// Kinds and texts of terms.
#[derive(Clone, Debug, Default)]
struct Terms {
    text: String,
    places: Vec<Place>,
}

/// Where the text of a term ends and what kind it is: together, so that a look-up meets one line of memory, not two.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// A `u64` in halves: whole it would be padded to 16 bytes.
    end: [u32; 2],
    kind: Kind,
}

impl Place {
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a number")]
    const fn new(end: u64, kind: Kind) -> Self {
        Self {
            end: [end as u32, (end >> 32) as u32],
            kind,
        }
    }

    const fn end(self) -> u64 {
        self.end[0] as u64 | (self.end[1] as u64) << 32
    }
}

impl Terms {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an end is a place in a text in memory"
    )]
    fn key(&self, index: usize) -> Key<'_> {
        let start = if index == 0 {
            0
        } else {
            self.places[index - 1].end()
        };
        let place = self.places[index];
        Key {
            kind: place.kind,
            text: &self.text[start as usize..place.end() as usize],
        }
    }

    fn hash(&self, index: u32) -> u64 {
        self.key(index as usize).hash()
    }
}

impl Segment {
    pub(super) fn new(first: u32) -> Self {
        Self {
            first,
            ..Self::default()
        }
    }

    /// Returns an empty segment with room for terms.
    pub(super) fn with_capacity(first: u32, len: usize, text_len: usize) -> Self {
        Self {
            first,
            terms: Terms {
                text: text_room(text_len),
                places: room(len),
            },
            table: HashTable::with_capacity(len),
        }
    }

    /// Returns a segment from what [`Self::parts`] gave; `None` if the parts do not fit together.
    pub(super) fn from_parts(first: u32, text: String, ends: &[u64], kinds: &[u32]) -> Option<Self> {
        let mut start = 0;
        for &end in ends {
            if end < start || !usize::try_from(end).is_ok_and(|end| text.is_char_boundary(end)) {
                return None;
            }
            start = end;
        }
        if ends.len() != kinds.len() || usize::try_from(start) != Ok(text.len()) {
            return None;
        }
        let mut places = room(ends.len());
        let parts = ends.iter().zip(kinds);
        places.extend(parts.map(|(&end, &kind)| Place::new(end, Kind(kind))));
        let mut segment = Self {
            first,
            terms: Terms { text, places },
            table: HashTable::new(),
        };
        segment.index_from(0);
        Some(segment)
    }

    /// Returns text, ends and kinds.
    pub(super) fn parts(&self) -> (&str, impl Iterator<Item = u64>, impl Iterator<Item = u32>) {
        let places = &self.terms.places;
        (
            &self.terms.text,
            places.iter().map(|place| place.end()),
            places.iter().map(|place| place.kind.0),
        )
    }

    pub(super) fn len(&self) -> usize {
        self.terms.places.len()
    }

    /// Returns the number after the last term's.
    pub(super) fn end(&self) -> u32 {
        u32::try_from(self.len()).map_or(u32::MAX, |len| self.first.saturating_add(len))
    }

    /// Returns the bytes of its longest text.
    pub(super) fn longest(&self) -> u64 {
        let mut start = 0;
        let lengths = self.terms.places.iter().map(|place| {
            let end = place.end();
            end - std::mem::replace(&mut start, end)
        });
        lengths.max().unwrap_or(0)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.terms.text.capacity()
            + self.terms.places.capacity() * size_of::<Place>()
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
        let Self { first, terms, table } = self;
        terms.text.push_str(key.text);
        terms.places.push(Place::new(terms.text.len() as u64, key.kind));
        table.insert_unique(hash, number - *first, |&index| terms.hash(index));
        number
    }

    /// Returns the terms of this segment and of the one that follows it.
    pub(super) fn followed_by(&self, next: &Self) -> Self {
        let len = self.len();
        // Each at once as large as it becomes: a dictionary takes most of the time of a merge.
        let mut text = text_room(self.terms.text.len() + next.terms.text.len());
        text.push_str(&self.terms.text);
        let offset = text.len() as u64;
        text.push_str(&next.terms.text);
        let mut places = room(len + next.len());
        places.extend_from_slice(&self.terms.places);
        let moved = next.terms.places.iter();
        places.extend(moved.map(|place| Place::new(place.end() + offset, place.kind)));
        let mut segment = Self {
            first: self.first,
            terms: Terms { text, places },
            table: self.table.clone(),
        };
        segment.index_from(len);
        segment
    }

    fn index_from(&mut self, from: usize) {
        let Self { terms, table, .. } = self;
        let hash = |&index: &u32| terms.hash(index);
        table.reserve(terms.places.len() - from, hash);
        for index in (from..terms.places.len()).filter_map(|index| u32::try_from(index).ok()) {
            table.insert_unique(hash(&index), index, hash);
        }
    }

    pub(super) fn shrink_to_fit(&mut self) {
        let Self { terms, table, .. } = self;
        terms.text.shrink_to_fit();
        terms.places.shrink_to_fit();
        table.shrink_to_fit(|&index| terms.hash(index));
    }

    /// Returns a term by its place in the segment.
    pub(super) fn key(&self, index: usize) -> Key<'_> {
        self.terms.key(index)
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
