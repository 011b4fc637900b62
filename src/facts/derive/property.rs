//! What a statement node may say: the one table of its checks. `data/shapes.ttl` says it in SHACL.

use std::str::FromStr as _;

use oxigraph::model::vocab::xsd;
use oxsdatatypes::DateTime;

use crate::{
    graph::{Snapshot, TermId, TermView},
    model::{day::Day, edtf::Bounds, vocabulary as iris},
};

/// A property with what is checked of it.
pub(super) struct Property {
    pub(super) iri: &'static str,
    pub(super) count: Count,
    pub(super) value: Value,
}

/// How many values a statement has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    One,
    AtMostOne,
    Any,
}

impl Count {
    /// Checks how many values there are; says what is wrong.
    pub(super) fn check(self, count: u32) -> Result<(), String> {
        match (self, count) {
            (Self::Any, _) | (Self::One | Self::AtMostOne, 1) | (Self::AtMostOne, 0) => Ok(()),
            (Self::One, 0) => Err("is missing".to_owned()),
            (Self::One | Self::AtMostOne, count) => Err(format!("there is one value at most, not {count}")),
        }
    }
}

/// Which values a property has.
#[derive(Clone, Copy)]
pub(super) enum Value {
    /// An IRI or a blank node, and not `d:SomeValue`: only an object may be unknown.
    Known,
    /// An IRI, and not `d:SomeValue`.
    KnownIri,
    Iri,
    Term,
    /// One of these IRIs.
    Word(&'static [&'static str]),
    /// A number from 0 to 1.
    Fraction,
    Boolean,
    /// An `xsd:string` that is EDTF of level 1.
    Edtf,
    Date,
    DateTime,
    /// An `xsd:string`.
    Text,
    /// An `xsd:integer` or an `xsd:decimal`.
    Number,
}

const STANCES: [&str; 6] = [
    iris::ASSERTED,
    iris::ATTRIBUTED,
    iris::REPORTED,
    iris::PLANNED,
    iris::PROJECTED,
    iris::OPINION,
];
const STANDINGS: [&str; 5] = [
    iris::PREFERRED,
    iris::ACCEPTED,
    iris::UNCONFIRMED,
    iris::DISPUTED,
    iris::REJECTED,
];
const BASES: [&str; 3] = [iris::STATED, iris::INFERRED, iris::BACKGROUND];

pub(super) const PROPERTY_COUNT: usize = 15;

/// The properties that are checked; a statement may have others, of any value. [`part`] has the indices.
pub(super) const PROPERTIES: [Property; PROPERTY_COUNT] = {
    use Count::{Any, AtMostOne, One};
    [
        property(iris::SUBJECT, One, Value::Known),
        property(iris::PREDICATE, One, Value::KnownIri),
        property(iris::OBJECT, One, Value::Term),
        property(iris::STANCE, One, Value::Word(&STANCES)),
        property(iris::STANDING, One, Value::Word(&STANDINGS)),
        property(iris::BASIS, One, Value::Word(&BASES)),
        property(iris::DERIVED_FROM, Any, Value::Iri),
        property(iris::CONFIDENCE, AtMostOne, Value::Fraction),
        property(iris::NEGATED, AtMostOne, Value::Boolean),
        property(iris::EDTF, AtMostOne, Value::Edtf),
        property(iris::OBSERVED_ON, Any, Value::Date),
        property(iris::VALID_FROM, AtMostOne, Value::Date),
        property(iris::VALID_UNTIL, AtMostOne, Value::Date),
        property(iris::GENERATED_AT, AtMostOne, Value::DateTime),
        property(iris::INVALIDATED_AT, AtMostOne, Value::DateTime),
    ]
};

/// The places of the properties in [`PROPERTIES`].
pub(super) mod part {
    pub(in super::super) const SUBJECT: usize = 0;
    pub(in super::super) const PREDICATE: usize = 1;
    pub(in super::super) const OBJECT: usize = 2;
    pub(in super::super) const STANCE: usize = 3;
    pub(in super::super) const STANDING: usize = 4;
    pub(in super::super) const BASIS: usize = 5;
    pub(in super::super) const SOURCE: usize = 6;
    pub(in super::super) const CONFIDENCE: usize = 7;
    pub(in super::super) const NEGATED: usize = 8;
    pub(in super::super) const EDTF: usize = 9;
    pub(in super::super) const OBSERVED_ON: usize = 10;
    pub(in super::super) const VALID_FROM: usize = 11;
    pub(in super::super) const VALID_UNTIL: usize = 12;
    pub(in super::super) const GENERATED_AT: usize = 13;
    pub(in super::super) const INVALIDATED_AT: usize = 14;
}

pub(super) const fn property(iri: &'static str, count: Count, value: Value) -> Property {
    Property { iri, count, value }
}

impl Value {
    /// Checks a value; says what it should be if it is something else.
    pub(super) fn check(self, snapshot: &Snapshot, id: TermId) -> Result<(), String> {
        let view = snapshot.view(id);
        let is_known = !matches!(view, TermView::Iri(iris::SOME_VALUE));
        let expected = match (self, view) {
            (Self::Term, _) | (Self::Iri, TermView::Iri(_)) | (Self::Text, TermView::String(_)) => {
                return Ok(());
            }
            (Self::Known | Self::KnownIri, TermView::Iri(_)) | (Self::Known, TermView::BlankNode(_))
                if is_known =>
            {
                return Ok(());
            }
            (Self::Known, _) => "an IRI or a blank node, and known".to_owned(),
            (Self::KnownIri, _) => "an IRI, and known".to_owned(),
            (Self::Iri, _) => "an IRI".to_owned(),
            (Self::Word(words), TermView::Iri(iri)) if words.contains(&iri) => return Ok(()),
            (Self::Word(words), _) => format!("one of {}", listed(words)),
            (Self::Fraction, _) if fraction(view).is_some() => return Ok(()),
            (Self::Fraction, _) => "a number from 0 to 1".to_owned(),
            (Self::Text, _) => "an xsd:string".to_owned(),
            (Self::Number, TermView::Typed { datatype, .. })
                if [xsd::INTEGER, xsd::DECIMAL]
                    .iter()
                    .any(|number| number.as_str() == datatype) =>
            {
                return Ok(());
            }
            (Self::Number, _) => "an xsd:integer or an xsd:decimal".to_owned(),
            (Self::Boolean, _) if boolean(view).is_some() => return Ok(()),
            (Self::Boolean, _) => "an xsd:boolean".to_owned(),
            (Self::Edtf, TermView::String(text)) => match text.parse::<Bounds>() {
                Ok(_) => return Ok(()),
                Err(error) => {
                    return Err(format!(
                        "`{text}` is no EDTF of level 1, nor a set of it: {error}"
                    ));
                }
            },
            (Self::Edtf, _) => "EDTF of level 1, as an xsd:string".to_owned(),
            (Self::Date, _) if day(view).is_some() => return Ok(()),
            (Self::Date, _) => "an xsd:date".to_owned(),
            (Self::DateTime, _) if date_time(view).is_some() => return Ok(()),
            (Self::DateTime, _) => "an xsd:dateTime".to_owned(),
        };
        Err(format!("{} is not {expected}", snapshot.term(id)))
    }
}

/// Returns the names of words, without their namespace.
fn listed(words: &[&str]) -> String {
    let names = words
        .iter()
        .map(|word| format!("d:{}", word.rsplit('#').next().unwrap_or(word)));
    names.collect::<Vec<_>>().join(", ")
}

fn typed<'a>(view: TermView<'a>, expected: oxigraph::model::NamedNodeRef<'_>) -> Option<&'a str> {
    match view {
        TermView::Typed { value, datatype } if datatype == expected.as_str() => Some(value),
        _ => None,
    }
}

/// Returns a day of an `xsd:date`.
pub(super) fn day(view: TermView<'_>) -> Option<Day> {
    typed(view, xsd::DATE)?.parse().ok()
}

/// Returns a time of an `xsd:dateTime`.
pub(super) fn date_time(view: TermView<'_>) -> Option<DateTime> {
    DateTime::from_str(typed(view, xsd::DATE_TIME)?).ok()
}

/// Returns an `xsd:boolean`.
pub(in crate::facts) fn boolean(view: TermView<'_>) -> Option<bool> {
    match typed(view, xsd::BOOLEAN)? {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn fraction(view: TermView<'_>) -> Option<f64> {
    let TermView::Typed { value, datatype } = view else {
        return None;
    };
    let is_number = [xsd::DECIMAL, xsd::DOUBLE, xsd::FLOAT, xsd::INTEGER]
        .iter()
        .any(|number| number.as_str() == datatype);
    let number: f64 = value.parse().ok().filter(|_| is_number)?;
    (0.0..=1.0).contains(&number).then_some(number)
}
