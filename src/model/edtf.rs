//! Times of EDTF level 1 and sets of level 2 (Extended Date/Time Format, <https://www.loc.gov/standards/datetime/>, ISO 8601-2), and the days
//! that they can mean.
//!
//! | Form | Example | Days |
//! |---|---|---|
//! | year, month, day | `2016`, `2019-07`, `2019-08-02` | all of the year or month; the day |
//! | date and time | `2019-08-22T18:20:00+09:00` | the day as written, wherever that is |
//! | year before 0 | `-0043` | 44 BC: there is a year 0, the one before 1 |
//! | year of more than four digits | `Y170000`, `Y-170000` | |
//! | season | `2019-21` to `2019-24` | spring from March, summer from June, autumn from September, winter from December into the next February |
//! | unspecified digits | `201X`, `20XX`, `2004-XX`, `1985-04-XX`, `1985-XX-XX` | every one that fits |
//! | uncertain, approximate, both | `1984?`, `2004-06~`, `2004-06-11%` | those of the date without the mark |
//! | interval | `2004-06-11/2005` | from its first date to its last day, which is inside |
//! | open start or end | `../2019`, `2019/..`, `../..` | stated to have none |
//! | unknown start or end | `/2019`, `2019/` | not known |
//! | one of a set (level 2) | `[2016,2018]`, `[2016..2018-03,2019]` | from the first day of all its dates to the last |
//! | all of a set (level 2) | `{2016,2017,2018}`, `{2016..2018}` | those of the interval from its first date to its last |
//!
//! A single date is an interval from itself to itself: `2016` begins some day in 2016 and ends some day in 2016.
//! Seasons are meteorological ones of the northern hemisphere, as in other readers of EDTF. In one thing this reads more
//! than level 1: a side of an interval may have unspecified digits.
//!
//! A set of which one is meant, `[2016,2018]`, is a date that is uncertain from its first day to its last. A day between two of its
//! dates is not told from one of them: that is less than it says, and never more. A set of which all are meant is read if
//! each of its dates begins where the one before ends. Others, `{2016,2018}`, are refused: a statement has one interval, so that what holds on
//! a day is plain to see. What was so at several times is stated for each of them.

mod parse;
#[cfg(test)]
mod tests;

use std::str::FromStr;

use super::day::Day;

/// The days at which a time can begin and end.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Bounds {
    /// When it begins.
    pub start: Edge,
    /// When it ends. Its last day is inside.
    pub end: Edge,
}

/// A start or an end.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Edge {
    /// Stated to have none: `..`.
    Open,
    /// Not known: empty.
    Unknown,
    /// A date.
    Date(Date),
}

/// A date as it is written, and the days that it can mean.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Date {
    /// The first day that it can mean.
    pub first: Day,
    /// The last day that it can mean.
    pub last: Day,
    /// What of it is given; of a set, what of its least precise date is.
    pub precision: Precision,
    /// Marked `?` or `%`: the source is not sure of it.
    pub uncertain: bool,
    /// Marked `~` or `%`: it is an estimate.
    pub approximate: bool,
}

/// What of a date is given.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Precision {
    /// `20XX`.
    Century,
    /// `201X`.
    Decade,
    /// `2016`, `2016-XX`, `2016-XX-XX`.
    Year,
    /// `2016-21`.
    Season,
    /// `2016-11`, `2016-11-XX`.
    Month,
    /// `2016-11-23`, or a time on it.
    Day,
}

/// Why a text is no such EDTF, and where.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("column {column}: {reason}")]
pub struct EdtfError {
    /// The first character that cannot be, counted from 1.
    pub column: usize,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Reason {
    /// The text is empty.
    #[error("there is no date")]
    Empty,
    /// `19-08-27`.
    #[error("a year has four digits, of which the last or the last two may be X")]
    Year,
    /// `-0000`.
    #[error("the year 0 has no sign")]
    NegativeZero,
    /// `Y2019`.
    #[error("Y begins a year of more than four digits, the first of them not 0")]
    LongYear,
    /// `2019-8`, `2019-13`.
    #[error("a month is 01 to 12 or XX, a season 21 to 24")]
    Month,
    /// `2019-02-29`.
    #[error("the month has no such day; a day has two digits or is XX")]
    Day,
    /// `201X-08`, `2019-XX-01`.
    #[error("nothing but XX follows what is not specified")]
    AfterUnspecified,
    /// `2019-08-22T18`.
    #[error("a time is hh:mm:ss, with Z, +hh, -hh, +hh:mm or -hh:mm after it or nothing")]
    Time,
    /// `2019-08-22T18:20:00/..`.
    #[error("an interval is of dates without times")]
    TimeInInterval,
    /// `2019-08-27 `.
    #[error("the date goes on with what does not belong to it")]
    Trailing,
    /// `2019/2020/2021`.
    #[error("an interval has one /")]
    SecondSlash,
    /// `2019/2018`.
    #[error("the interval ends before it starts")]
    EndBeforeStart,
    /// `[2016,..2018]`.
    #[error(
        "a set in [ ] or {{ }} is of dates without times, and of ranges such as 2016..2018, with commas between"
    )]
    Set,
    /// `{2016,2018}`.
    #[error(
        "what was so at times that do not follow each other is stated for each of them by itself; [ ] is one of a set"
    )]
    AllOf,
    /// `/`.
    #[error("an interval of which neither start nor end is known says nothing")]
    NothingKnown,
}

impl FromStr for Bounds {
    type Err = EdtfError;

    fn from_str(text: &str) -> Result<Self, EdtfError> {
        parse::bounds(text)
    }
}

impl Bounds {
    /// Returns the first day on which it can begin; `None` if it is open or not known.
    pub fn earliest_start(&self) -> Option<Day> {
        self.start.date().map(|date| date.first)
    }

    /// Returns the last day on which it can begin; `None` if it is open or not known.
    pub fn latest_start(&self) -> Option<Day> {
        self.start.date().map(|date| date.last)
    }

    /// Returns the first day on which it can be over; `None` if it is open or not known.
    pub fn earliest_end(&self) -> Option<Day> {
        self.end.date().map(|date| date.first.next())
    }

    /// Returns the day on which it is over at the latest; `None` if it is open or not known.
    pub fn latest_end(&self) -> Option<Day> {
        self.end.date().map(|date| date.last.next())
    }

    /// Returns `d:validFrom`, the earliest possible first day.
    pub fn valid_from(&self) -> Option<Day> {
        self.earliest_start()
    }

    /// Returns `d:validUntil`, the day after the latest possible last day.
    pub fn valid_until(&self) -> Option<Day> {
        self.latest_end()
    }
}

impl Edge {
    /// Returns the date; `None` if it is open or not known.
    pub fn date(&self) -> Option<&Date> {
        match self {
            Self::Date(date) => Some(date),
            Self::Open | Self::Unknown => None,
        }
    }
}

impl Date {
    /// Tells whether it is marked as uncertain or approximate.
    pub fn is_qualified(&self) -> bool {
        self.uncertain || self.approximate
    }

    /// Returns the first and the last day that it can be in truth: an estimate may be off by one unit of its precision.
    pub fn reach(&self) -> (Day, Day) {
        let months = match self.precision {
            _ if !self.approximate => return (self.first, self.last),
            Precision::Day => return (self.first.previous(), self.last.next()),
            Precision::Month => 1,
            Precision::Season => 3,
            Precision::Year => 12,
            Precision::Decade => 120,
            Precision::Century => 1_200,
        };
        let (year, month, _) = self.first.date();
        let (next_year, next_month, _) = self.last.next().date();
        let last = Day::first_of(next_year, i64::from(next_month) + months).previous();
        (Day::first_of(year, i64::from(month) - months), last)
    }

    /// Tells whether it can mean a day.
    pub fn can_be(&self, day: Day) -> bool {
        (self.first..=self.last).contains(&day)
    }
}
