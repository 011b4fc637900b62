//! Values of literals: numbers, truth values, dates and times, which can be written in more than one way.
//!
//! Two literals have the same value if SPARQL's `=` says so (SPARQL 1.1 Query, 17.3).

use std::str::FromStr;

use oxigraph::model::{LiteralRef, NamedNodeRef, vocab::xsd};
use oxsdatatypes::{Date, DateTime, Decimal, Double, Float, Time};

/// Whole numbers of all sizes.
const INTEGERS: [NamedNodeRef<'_>; 13] = [
    xsd::INTEGER,
    xsd::LONG,
    xsd::INT,
    xsd::SHORT,
    xsd::BYTE,
    xsd::NON_NEGATIVE_INTEGER,
    xsd::POSITIVE_INTEGER,
    xsd::NON_POSITIVE_INTEGER,
    xsd::NEGATIVE_INTEGER,
    xsd::UNSIGNED_LONG,
    xsd::UNSIGNED_INT,
    xsd::UNSIGNED_SHORT,
    xsd::UNSIGNED_BYTE,
];

/// The value of a literal.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// A whole number or a decimal one.
    Decimal(Decimal),
    /// A binary fraction.
    Double(Double),
    /// True or false.
    Boolean(bool),
    /// A day with a time.
    DateTime(DateTime),
    /// A day.
    Date(Date),
    /// A time of day.
    Time(Time),
}

impl Value {
    /// Reads a literal; `None` if its datatype is another, it is none of its datatype's, or larger than what is computed with.
    pub fn of(literal: LiteralRef<'_>) -> Option<Self> {
        let datatype = literal.datatype();
        if datatype == xsd::DECIMAL || INTEGERS.contains(&datatype) {
            read(literal, Self::Decimal)
        } else if datatype == xsd::DOUBLE {
            read(literal, Self::Double)
        } else if datatype == xsd::FLOAT {
            read(literal, |value: Float| Self::Double(value.into()))
        } else if datatype == xsd::BOOLEAN {
            match literal.value() {
                "true" | "1" => Some(Self::Boolean(true)),
                "false" | "0" => Some(Self::Boolean(false)),
                _ => None,
            }
        } else if datatype == xsd::DATE_TIME || datatype == xsd::DATE_TIME_STAMP {
            read(literal, Self::DateTime)
        } else if datatype == xsd::DATE {
            read(literal, Self::Date)
        } else if datatype == xsd::TIME {
            read(literal, Self::Time)
        } else {
            None
        }
    }
}

fn read<T: FromStr>(literal: LiteralRef<'_>, value: impl FnOnce(T) -> Value) -> Option<Value> {
    literal.value().parse().ok().map(value)
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Decimal(one), Self::Decimal(other)) => one == other,
            (Self::Double(one), Self::Double(other)) => one == other,
            (Self::Decimal(decimal), Self::Double(double))
            | (Self::Double(double), Self::Decimal(decimal)) => Double::from(*decimal) == *double,
            (Self::Boolean(one), Self::Boolean(other)) => one == other,
            (Self::DateTime(one), Self::DateTime(other)) => one == other,
            (Self::Date(one), Self::Date(other)) => one == other,
            (Self::Time(one), Self::Time(other)) => one == other,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[lexical form, name of the datatype]`.
    fn is_same(pair: [[&str; 2]; 2]) -> bool {
        let [one, other] = pair.map(|[text, name]| {
            let datatype = format!("http://www.w3.org/2001/XMLSchema#{name}");
            Value::of(LiteralRef::new_typed_literal(
                text,
                NamedNodeRef::new_unchecked(&datatype),
            ))
        });
        one.is_some() && one == other
    }

    #[test]
    fn values_are_the_same_in_other_words() {
        for pair in [
            [["3", "integer"], ["03", "integer"]],
            [["3", "integer"], ["+3.0", "decimal"]],
            [["3", "unsignedByte"], ["3", "long"]],
            [["59.0", "decimal"], ["5.9e1", "double"]],
            [["0.5", "float"], ["0.5", "double"]],
            [["1", "boolean"], ["true", "boolean"]],
            [
                ["2019-08-22T18:20:00+09:00", "dateTime"],
                ["2019-08-22T09:20:00Z", "dateTime"],
            ],
            [
                ["2019-08-22T09:20:00.0Z", "dateTimeStamp"],
                ["2019-08-22T09:20:00Z", "dateTime"],
            ],
            [["2019-08-22Z", "date"], ["2019-08-22+00:00", "date"]],
            [["10:00:00.0", "time"], ["10:00:00", "time"]],
        ] {
            assert!(is_same(pair), "{pair:?}");
        }
    }

    #[test]
    fn other_values_and_what_has_none_differ() {
        for pair in [
            [["3", "integer"], ["4", "integer"]],
            [["0.1", "float"], ["0.1", "double"]],
            [["NaN", "double"], ["NaN", "double"]],
            [["1", "integer"], ["1", "boolean"]],
            [["three", "integer"], ["three", "integer"]],
            [["3", "string"], ["3", "string"]],
            [["2019-08-22", "date"], ["2019-08-22T00:00:00", "dateTime"]],
            [
                ["2019-08-22T09:20:00Z", "dateTime"],
                ["2019-08-22T09:20:01Z", "dateTime"],
            ],
        ] {
            assert!(!is_same(pair), "{pair:?}");
        }
    }
}
