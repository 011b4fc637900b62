//! Terms as people read them, and as the serializers of RDF want them.

use std::{borrow::Cow, str::FromStr as _};

use oxigraph::model::{
    BaseDirection, BlankNode, Literal, NamedNode, NamedOrBlankNode, Term, Triple, vocab::xsd,
};

use super::failure::Failure;
use crate::proto::v1::{self, Direction, term::Term as Kind};

/// The prefixes of the server.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefixes(Vec<(String, String)>);

impl Prefixes {
    pub(super) fn new(prefixes: Vec<v1::Prefix>) -> Self {
        Self(
            prefixes
                .into_iter()
                .map(|prefix| (prefix.name, prefix.iri))
                .collect(),
        )
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, iri)| (name.as_str(), iri.as_str()))
    }

    /// Returns `prefix:name` if a prefix fits and the rest can be read back as a name, else `<iri>`.
    pub(super) fn shorten(&self, iri: &str) -> String {
        self.iter()
            .filter_map(|(name, start)| Some((name, start, iri.strip_prefix(start)?)))
            .filter(|(_, _, local)| is_simple_local(local))
            .max_by_key(|(_, start, _)| start.len())
            .map_or_else(
                || format!("<{}>", printable(iri)),
                |(name, _, local)| format!("{name}:{local}"),
            )
    }

    /// Returns the IRI that a prefixed name stands for.
    pub(super) fn expand(&self, name: &str) -> Option<String> {
        let (prefix, local) = name.split_once(':')?;
        let (_, iri) = self.iter().find(|(known, _)| *known == prefix)?;
        Some(format!("{iri}{local}"))
    }

    /// Returns a term for a table: IRIs short, literals as their text with the language or an uncommon datatype behind it.
    pub(super) fn show(&self, term: &v1::Term) -> String {
        match &term.term {
            None => String::new(),
            Some(Kind::Iri(iri)) => self.shorten(iri),
            Some(Kind::BlankNode(label)) => format!("_:{}", printable(label)),
            Some(Kind::Literal(literal)) => self.show_literal(literal),
            Some(Kind::Triple(triple)) => {
                let show = |term: Option<&v1::Term>| term.map(|term| self.show(term)).unwrap_or_default();
                let (subject, object) = (show(triple.subject.as_deref()), show(triple.object.as_deref()));
                format!("<<( {subject} {} {object} )>>", self.shorten(&triple.predicate))
            }
        }
    }

    fn show_literal(&self, literal: &v1::Literal) -> String {
        let text = printable(&literal.lexical_form);
        if !literal.language.is_empty() {
            let direction = match literal.direction() {
                Direction::Unspecified => "",
                Direction::Ltr => "--ltr",
                Direction::Rtl => "--rtl",
            };
            return format!("{text} @{}{direction}", literal.language);
        }
        // The text says what it is.
        let common = [
            "",
            "string",
            "boolean",
            "integer",
            "decimal",
            "double",
            "date",
            "dateTime",
            "gYear",
            "gYearMonth",
        ];
        let local = literal.datatype.strip_prefix("http://www.w3.org/2001/XMLSchema#");
        if local.is_some_and(|local| common.contains(&local)) || literal.datatype.is_empty() {
            return text.into_owned();
        }
        format!("{text} ^^{}", self.shorten(&literal.datatype))
    }
}

/// Returns the text with what could command a terminal replaced. Line feeds and tabs stay.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    let commands = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    if text.contains(commands) {
        Cow::Owned(text.replace(commands, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Reads a term, the value of `flag`: N-Triples, numbers and booleans as in Turtle, and prefixed names, also of a datatype.
pub(super) fn parse(flag: &str, text: &str, prefixes: &Prefixes) -> Result<v1::Term, Failure> {
    let text = text.trim();
    let full = match text.rsplit_once("^^") {
        Some((value, datatype)) if value.ends_with('"') && !datatype.starts_with('<') => {
            let iri = prefixes.expand(datatype).ok_or_else(|| {
                Failure::usage(format!(
                    "{flag}: the datatype {datatype} is no prefixed name of the server"
                ))
                .hint("`dossier info` lists the prefixes; a whole IRI stands in <>")
            })?;
            format!("{value}^^<{iri}>")
        }
        _ => text.to_owned(),
    };
    if let Ok(term) = Term::from_str(&full) {
        return Ok(to_proto(term));
    }
    if text.contains(':') && !text.contains(char::is_whitespace) && !text.starts_with(['"', '<', '_']) {
        // The server knows its prefixes, and says what is wrong with an IRI.
        return Ok(v1::Term {
            term: Some(Kind::Iri(text.to_owned())),
        });
    }
    Err(Failure::usage(format!("{flag}: not a term: {text}")).hint(
        "a text stands in double quotes inside of the shell's: '\"Seoul\"@en'; a name has a prefix: e:seoul",
    ))
}

/// Returns the term, or None where a row has none.
///
/// IRIs and labels are taken as the server wrote them.
pub(super) fn from_proto(term: v1::Term) -> Option<Term> {
    Some(match term.term? {
        Kind::Iri(iri) => NamedNode::new_unchecked(iri).into(),
        Kind::BlankNode(label) => BlankNode::new_unchecked(label).into(),
        Kind::Literal(literal) => literal_from_proto(literal).into(),
        Kind::Triple(triple) => Term::Triple(Box::new(triple_from_proto(*triple)?)),
    })
}

/// Returns the triple; None if it lacks a subject or an object, or the subject is a literal.
pub(super) fn triple_from_proto(triple: v1::TripleTerm) -> Option<Triple> {
    let subject = NamedOrBlankNode::try_from(from_proto(*triple.subject?)?).ok()?;
    let object = from_proto(*triple.object?)?;
    Some(Triple::new(
        subject,
        NamedNode::new_unchecked(triple.predicate),
        object,
    ))
}

fn literal_from_proto(literal: v1::Literal) -> Literal {
    let direction = match literal.direction() {
        Direction::Unspecified => None,
        Direction::Ltr => Some(BaseDirection::Ltr),
        Direction::Rtl => Some(BaseDirection::Rtl),
    };
    let text = literal.lexical_form;
    match (literal.language.is_empty(), direction) {
        (false, Some(direction)) => {
            Literal::new_directional_language_tagged_literal_unchecked(text, literal.language, direction)
        }
        (false, None) => Literal::new_language_tagged_literal_unchecked(text, literal.language),
        (true, _) if literal.datatype.is_empty() => Literal::new_simple_literal(text),
        (true, _) => Literal::new_typed_literal(text, NamedNode::new_unchecked(literal.datatype)),
    }
}

/// Returns the term for a request.
pub(super) fn to_proto(term: Term) -> v1::Term {
    let kind = match term {
        Term::NamedNode(node) => Kind::Iri(node.into_string()),
        Term::BlankNode(node) => Kind::BlankNode(node.into_string()),
        Term::Literal(literal) => Kind::Literal(literal_to_proto(&literal)),
        Term::Triple(triple) => Kind::Triple(Box::new(v1::TripleTerm {
            subject: Some(Box::new(to_proto(triple.subject.into()))),
            predicate: triple.predicate.into_string(),
            object: Some(Box::new(to_proto(triple.object))),
        })),
    };
    v1::Term { term: Some(kind) }
}

fn literal_to_proto(literal: &Literal) -> v1::Literal {
    let direction = match literal.direction() {
        None => Direction::Unspecified,
        Some(BaseDirection::Ltr) => Direction::Ltr,
        Some(BaseDirection::Rtl) => Direction::Rtl,
    };
    let implied = literal.language().is_some() || literal.datatype() == xsd::STRING;
    v1::Literal {
        lexical_form: literal.value().to_owned(),
        datatype: if implied {
            String::new()
        } else {
            literal.datatype().as_str().to_owned()
        },
        language: literal.language().unwrap_or_default().to_owned(),
        direction: direction.into(),
    }
}

/// Whether a name needs no escapes in Turtle (`PN_LOCAL`, <https://www.w3.org/TR/turtle/#grammar-production-PN_LOCAL>).
fn is_simple_local(local: &str) -> bool {
    let inside = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '.');
    !local.is_empty() && local.chars().all(inside) && !local.starts_with(['-', '.']) && !local.ends_with('.')
}

#[cfg(test)]
mod tests;
