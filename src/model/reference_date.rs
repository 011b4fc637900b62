//! The reference date of a knowledge base: the day for which its default graph says what holds.

use std::{fmt, str::FromStr};

use super::day::Day;

/// Which day rules.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ReferenceDate {
    /// The day that it is, in UTC.
    #[default]
    Today,
    /// A day that stays.
    Fixed(Day),
}

/// A text is no reference date.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected `today`, or a date from 0001-01-01 to 9999-12-31 such as 2019-08-27")]
pub struct ReferenceDateError;

impl FromStr for ReferenceDate {
    type Err = ReferenceDateError;

    fn from_str(text: &str) -> Result<Self, ReferenceDateError> {
        if text == "today" {
            return Ok(Self::Today);
        }
        // No time zone: a `Day` would not look at it.
        let day: Option<Day> = text.parse().ok().filter(|_| text.len() == "2019-08-27".len());
        day.filter(|day| (1..=9999).contains(&day.date().0))
            .map(Self::Fixed)
            .ok_or(ReferenceDateError)
    }
}

impl fmt::Display for ReferenceDate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Today => formatter.write_str("today"),
            Self::Fixed(day) => day.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_today_or_a_date() {
        assert_eq!("today".parse(), Ok(ReferenceDate::Today));
        for text in ["0001-01-01", "2019-08-27", "2020-02-29", "9999-12-31"] {
            let date: ReferenceDate = text.parse().unwrap();
            assert_eq!(date.to_string(), text);
            assert_eq!(date, ReferenceDate::Fixed(text.parse().unwrap()));
        }
        for text in [
            "",
            "Today",
            "tomorrow",
            "2019",
            "2019-02-29",
            "2019-08-27Z",
            "0000-12-31",
            "-0001-01-01",
            "10000-01-01",
            " 2019-08-27",
        ] {
            assert_eq!(text.parse::<ReferenceDate>(), Err(ReferenceDateError), "{text}");
        }
    }
}
