//! What terms are worth: numbers to add, keys to sort by.

use std::cmp::Ordering;

use oxigraph::model::{Literal, Term, vocab::xsd};
use oxsdatatypes::{
    Boolean, Date, DateTime, DayTimeDuration, Decimal, Double, Float, Integer, Time, YearMonthDuration,
};

use super::{
    super::SparqlError,
    batch::UNBOUND,
    terms::{Terms, View},
};

const XSD: &str = "http://www.w3.org/2001/XMLSchema#";

/// A number (XML Schema, part 2).
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Integer(Integer),
    Decimal(Decimal),
    Float(Float),
    Double(Double),
}

impl Number {
    pub(super) fn of(view: View<'_>) -> Option<Self> {
        let View::Typed { value, datatype } = view else {
            return None;
        };
        Some(match datatype.strip_prefix(XSD)? {
            "decimal" => Self::Decimal(value.parse().ok()?),
            "float" => Self::Float(value.parse().ok()?),
            "double" => Self::Double(value.parse().ok()?),
            "integer" | "int" | "long" | "short" | "byte" | "nonNegativeInteger" | "positiveInteger"
            | "nonPositiveInteger" | "negativeInteger" | "unsignedLong" | "unsignedInt" | "unsignedShort"
            | "unsignedByte" => Self::Integer(value.parse().ok()?),
            _ => return None,
        })
    }

    /// Adds as SPARQL's `+` does; `None` on overflow.
    pub(super) fn plus(self, other: Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Self::Integer(a.checked_add(b)?),
            (Self::Double(_), _) | (_, Self::Double(_)) => Self::Double(self.double() + other.double()),
            (Self::Float(_), _) | (_, Self::Float(_)) => Self::Float(self.float() + other.float()),
            (Self::Decimal(_), _) | (_, Self::Decimal(_)) => {
                Self::Decimal(self.decimal()?.checked_add(other.decimal()?)?)
            }
        })
    }

    /// Divides by a count, as AVG does.
    pub(super) fn over(self, count: i64) -> Option<Self> {
        let count = Integer::from(count);
        Some(match self {
            Self::Integer(sum) => Self::Decimal(Decimal::from(sum).checked_div(count)?),
            Self::Decimal(sum) => Self::Decimal(sum.checked_div(count)?),
            Self::Float(sum) => Self::Float(sum / Float::from(count)),
            Self::Double(sum) => Self::Double(sum / Double::from(count)),
        })
    }

    fn double(self) -> Double {
        match self {
            Self::Integer(value) => value.into(),
            Self::Decimal(value) => value.into(),
            Self::Float(value) => value.into(),
            Self::Double(value) => value,
        }
    }

    fn float(self) -> Float {
        match self {
            Self::Integer(value) => value.into(),
            Self::Decimal(value) => value.into(),
            Self::Float(value) => value,
            Self::Double(value) => value.into(),
        }
    }

    /// The exact value, if it is a decimal.
    fn decimal(self) -> Option<Decimal> {
        match self {
            Self::Integer(value) => Some(value.into()),
            Self::Decimal(value) => Some(value),
            Self::Float(value) => value.try_into().ok(),
            Self::Double(value) => value.try_into().ok(),
        }
    }

    pub(super) fn to_term(self) -> Term {
        match self {
            Self::Integer(value) => Literal::new_typed_literal(value.to_string(), xsd::INTEGER),
            Self::Decimal(value) => Literal::new_typed_literal(value.to_string(), xsd::DECIMAL),
            Self::Float(value) => Literal::new_typed_literal(value.to_string(), xsd::FLOAT),
            Self::Double(value) => Literal::new_typed_literal(value.to_string(), xsd::DOUBLE),
        }
        .into()
    }

    /// Compares values; `None` where one is NaN.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        if let (Self::Integer(a), Self::Integer(b)) = (self, other) {
            return Some(a.cmp(&b));
        }
        match (self, other) {
            // As SPARQL promotes them.
            (Self::Double(_), _) | (_, Self::Double(_)) => self.double().partial_cmp(&other.double()),
            (Self::Float(_), _) | (_, Self::Float(_)) => self.float().partial_cmp(&other.float()),
            _ => Some(self.decimal()?.cmp(&other.decimal()?)),
        }
    }

    /// Tells whether it is neither zero nor NaN.
    pub(super) fn is_true(self) -> bool {
        let value = f64::from(self.double());
        value != 0.0 && !value.is_nan()
    }

    /// Orders numbers; NaN is before all others.
    fn order(self, other: Self) -> Ordering {
        let key = |number: Self| f64::from(number.double());
        let (a, b) = (key(self), key(other));
        match a.partial_cmp(&b) {
            Some(Ordering::Equal) => match (self.decimal(), other.decimal()) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => Ordering::Equal,
            },
            Some(order) => order,
            None => b.is_nan().cmp(&a.is_nan()),
        }
    }
}

/// What a literal is worth, for the kinds that are compared most.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Number(Number),
    Date(Date),
    DateTime(DateTime),
}

impl Value {
    pub(super) fn of(view: View<'_>) -> Option<Self> {
        let View::Typed { value, datatype } = view else {
            return None;
        };
        match datatype.strip_prefix(XSD)? {
            "date" => value.parse().ok().map(Self::Date),
            "dateTime" => value.parse().ok().map(Self::DateTime),
            _ => Number::of(view).map(Self::Number),
        }
    }

    /// Compares values of one kind. `Some(None)` where one is NaN.
    #[expect(clippy::option_option, reason = "another kind, no order, an order")]
    pub(super) fn compare(self, other: Self) -> Option<Option<Ordering>> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Some(a.compare(b)),
            // The engine tells an error from what is not so.
            (Self::Date(a), Self::Date(b)) => a.partial_cmp(&b).map(Some),
            (Self::DateTime(a), Self::DateTime(b)) => a.partial_cmp(&b).map(Some),
            _ => None,
        }
    }
}

/// Where a term stands in ORDER BY (SPARQL 1.1 Query, section 15.1); a total order that agrees with `<` where that is defined.
#[derive(Clone, Debug)]
pub(super) enum Key {
    Unbound,
    BlankNode(Box<str>),
    Iri(Box<str>),
    Boolean(bool),
    Number(Number),
    /// Moments, dates, times and durations in seconds or months, of one kind each.
    Moment(u8, Decimal),
    /// Strings, with or without a language.
    Text(Box<str>, Box<str>),
    Other(Box<str>, Box<str>),
    Triple(Box<[Self; 3]>),
}

impl Key {
    pub(super) fn of(terms: &Terms<'_>, number: u32) -> Result<Self, SparqlError> {
        if number == UNBOUND {
            return Ok(Self::Unbound);
        }
        if let Some([subject, predicate, object]) = terms.triple(number)? {
            return Ok(Self::Triple(Box::new([
                Self::of(terms, subject)?,
                Self::of(terms, predicate)?,
                Self::of(terms, object)?,
            ])));
        }
        Ok(terms.with(number, |view| match view {
            View::BlankNode(label) => Self::BlankNode(label.into()),
            View::Iri(iri) => Self::Iri(iri.into()),
            View::String(value) => Self::Text(value.into(), "".into()),
            View::Language { value, language, .. } => Self::Text(value.into(), language.into()),
            View::Typed { value, datatype } => Number::of(view)
                .map(Self::Number)
                .or_else(|| Self::of_literal(value, datatype))
                .unwrap_or_else(|| Self::Other(value.into(), datatype.into())),
            View::Triple => Self::Unbound,
        }))
    }

    fn of_literal(value: &str, datatype: &str) -> Option<Self> {
        match datatype.strip_prefix(XSD)? {
            "boolean" => Some(Self::Boolean(value.parse::<Boolean>().ok()?.into())),
            "dateTime" => Self::moment(0, value.parse().ok()?),
            "date" => Self::moment(1, value.parse::<Date>().ok()?.try_into().ok()?),
            "dayTimeDuration" => {
                let duration: DayTimeDuration = value.parse().ok()?;
                Some(Self::Moment(3, duration.as_seconds()))
            }
            "yearMonthDuration" => {
                let duration: YearMonthDuration = value.parse().ok()?;
                Some(Self::Moment(
                    4,
                    (12 * duration.years() + duration.months()).into(),
                ))
            }
            "time" => {
                let time: Time = value.parse().ok()?;
                let midnight = if time.timezone_offset().is_some() {
                    "00:00:00Z"
                } else {
                    "00:00:00"
                };
                let since = time.checked_sub(midnight.parse::<Time>().ok()?)?;
                Some(Self::Moment(2, since.as_seconds()))
            }
            _ => None,
        }
    }

    fn moment(kind: u8, moment: DateTime) -> Option<Self> {
        // Without a time zone it is taken for one in UTC: the order is total then.
        let epoch = if moment.timezone_offset().is_some() {
            "1970-01-01T00:00:00Z"
        } else {
            "1970-01-01T00:00:00"
        };
        let since = moment.checked_sub(epoch.parse::<DateTime>().ok()?)?;
        Some(Self::Moment(kind, since.as_seconds()))
    }

    /// Returns the bytes that it takes.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::BlankNode(text) | Self::Iri(text) => text.len(),
                Self::Text(text, more) | Self::Other(text, more) => text.len() + more.len(),
                Self::Triple(parts) => parts.iter().map(Self::memory_bytes).sum(),
                Self::Unbound | Self::Boolean(_) | Self::Number(_) | Self::Moment(..) => 0,
            }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Unbound => 0,
            Self::BlankNode(_) => 1,
            Self::Iri(_) => 2,
            Self::Boolean(_) => 3,
            Self::Number(_) => 4,
            Self::Moment(..) => 5,
            Self::Text(..) => 6,
            Self::Other(..) => 7,
            Self::Triple(_) => 8,
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::BlankNode(a), Self::BlankNode(b)) | (Self::Iri(a), Self::Iri(b)) => a.cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.order(*b),
            (Self::Moment(kind, a), Self::Moment(other_kind, b)) => (kind, a).cmp(&(other_kind, b)),
            (Self::Text(a, language), Self::Text(b, other_language)) => {
                (a, language).cmp(&(b, other_language))
            }
            (Self::Other(a, datatype), Self::Other(b, other_datatype)) => {
                (datatype, a).cmp(&(other_datatype, b))
            }
            (Self::Triple(a), Self::Triple(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}
