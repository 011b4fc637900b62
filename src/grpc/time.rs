//! The time that a read looks at, as requests give it and responses say it.

use prost_types::Timestamp;

use super::{read::Reads, validate::Violations};
use crate::{
    facts::TimeView,
    knowledge::View,
    model::{
        day::Day,
        edtf::{Bounds, Edge, Precision},
        fact::UnixTime,
    },
    proto::v1::{self, ErrorReason},
};

/// Years of a date in a request are from the negative of this on.
const YEAR_MAX: i32 = 9999;
/// The seconds of 0001-01-01T00:00:00Z and of 9999-12-31T23:59:59Z.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// When a read looks, as it was asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct When {
    pub(super) min_revision: u64,
    /// 0: the newest.
    pub(super) at_revision: u64,
    pub(super) as_of: Option<Day>,
    pub(super) known_at: Option<UnixTime>,
}

/// When a read looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    pub(super) view: TimeView,
    /// Whether the default graph says what holds.
    pub(super) is_present: bool,
}

impl Time {
    /// Returns what decides on the pages of a request, for their tokens: where they go through the default graph they cannot go on
    /// elsewhere, when its day has turned.
    pub(super) fn seal(&self, asked: &When) -> String {
        format!("{} {}", asked.seal(), self.is_present)
    }

    pub(super) fn as_of(&self) -> Option<v1::Date> {
        date(self.view.day)
    }
}

impl When {
    /// Returns what the request asked for, for page tokens.
    pub(super) fn seal(&self) -> String {
        format!("{:?} {:?} {}", self.as_of, self.known_at, self.at_revision)
    }

    /// Returns the time in a knowledge base.
    pub(super) fn on(&self, reads: &Reads, view: &View) -> Time {
        let derived_for = reads.reference_day(view);
        let day = self.as_of.unwrap_or(derived_for);
        Time {
            view: TimeView {
                day,
                known_at: self.known_at,
            },
            is_present: day == derived_for && self.known_at.is_none(),
        }
    }
}

impl Violations {
    /// Checks the options of a read.
    pub(super) fn when(&mut self, read: Option<&v1::ReadOptions>) -> When {
        let Some(read) = read else {
            return When::default();
        };
        if read.at_revision != 0 && read.min_revision != 0 {
            self.invalid("read.at_revision", "either this or min_revision");
        }
        When {
            min_revision: self.min_revision("read.min_revision", read.min_revision),
            at_revision: self.min_revision("read.at_revision", read.at_revision),
            as_of: self.day("read.as_of", read.as_of.as_ref()),
            known_at: read.known_at.as_ref().and_then(|time| {
                let is_valid =
                    TIMESTAMP_SECONDS.contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
                if !is_valid {
                    self.invalid("read.known_at", "must be a time from year 1 to 9999");
                }
                is_valid.then_some(UnixTime {
                    seconds: time.seconds,
                    nanos: time.nanos,
                })
            }),
        }
    }

    /// Checks a date that may be left out.
    pub(super) fn day(&mut self, field: &str, date: Option<&v1::Date>) -> Option<Day> {
        let &v1::Date { year, month, day } = date?;
        let small = |number: i32| u8::try_from(number).ok();
        let found = (-YEAR_MAX..=YEAR_MAX)
            .contains(&year)
            .then(|| Day::new(year.into(), small(month)?, small(day)?))
            .flatten();
        if found.is_none() {
            self.add(
                ErrorReason::InvalidDate,
                field,
                format!("{year:04}-{month:02}-{day:02} is not a date from year -{YEAR_MAX} to {YEAR_MAX}"),
            );
        }
        found
    }
}

/// Returns a day as protobuf has it; `None` if its year does not fit.
pub(super) fn date(day: Day) -> Option<v1::Date> {
    let (year, month, day) = day.date();
    Some(v1::Date {
        year: i32::try_from(year).ok()?,
        month: month.into(),
        day: day.into(),
    })
}

/// Fills in what follows from an EDTF text; nothing, if it is none.
pub(super) fn fill_bounds(time: &mut v1::ValidTime) {
    let Ok(bounds) = time.edtf.parse::<Bounds>() else {
        return;
    };
    time.earliest_start = bounds.earliest_start().and_then(date);
    time.latest_start = bounds.latest_start().and_then(date);
    time.earliest_end = bounds.earliest_end().and_then(date);
    time.latest_end = bounds.latest_end().and_then(date);
    let dates = || {
        [bounds.start, bounds.end]
            .into_iter()
            .filter_map(|edge| edge.date().copied())
    };
    time.approximate = dates().any(|date| date.approximate);
    time.uncertain = dates().any(|date| date.uncertain);
    time.start_edge = edge(bounds.start).into();
    time.end_edge = edge(bounds.end).into();
}

fn edge(edge: Edge) -> v1::TimeEdge {
    match edge {
        Edge::Open => v1::TimeEdge::Open,
        Edge::Unknown => v1::TimeEdge::Unknown,
        Edge::Date(_) => v1::TimeEdge::Known,
    }
}

impl From<Precision> for v1::DatePrecision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Century => Self::Century,
            Precision::Decade => Self::Decade,
            Precision::Year => Self::Year,
            Precision::Season => Self::Season,
            Precision::Month => Self::Month,
            Precision::Day => Self::Day,
        }
    }
}

/// Returns a time as protobuf has it.
pub(super) fn timestamp(time: UnixTime) -> Timestamp {
    Timestamp {
        seconds: time.seconds,
        nanos: time.nanos,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The day turns from the one that was asked for, or to it.
    #[test]
    fn pages_of_another_way_have_other_tokens() {
        let day: Day = "2019-08-27".parse().unwrap();
        let asked = When {
            as_of: Some(day),
            ..When::default()
        };
        let time = |is_present| Time {
            view: TimeView { day, known_at: None },
            is_present,
        };
        assert_eq!(time(true).seal(&asked), time(true).seal(&asked));
        assert_ne!(time(true).seal(&asked), time(false).seal(&asked));
    }
}
