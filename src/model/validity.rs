//! When a statement holds: its EDTF time, and the days on which its source says so.
//!
//! A fact in the world begins and ends on certain days, which a statement knows more or less well. Two things are asked:
//!
//! - **Is it presumed to hold?** ([`Validity::is_presumed_at`]) Yes from the last day on which it can begin up to the first on
//!   which it can be over. The truthy rule asks this, for a graph of triples has to take a side. An unknown start is the
//!   first day of observation; an unknown end is presumed not to have come.
//! - **Does it certainly hold?** ([`Validity::holds_at`]) A verdict asks this, and has a third answer: on a day in the
//!   uncertainty of the start or the end it is [`Certainty::Uncertain`], and so it is after the day on which it was last
//!   known to hold, if its end is not known.
//!
//! What is certain is presumed; what is certainly not is not.
//!
//! - No time and no observation: it always holds.
//! - No time, but observed: neither start nor end is known.
//! - It certainly holds from the first day of observation to the last: it begins no later and ends no earlier. `2019/..`
//!   observed on 2019-03-01 holds in June. An observation outside its time says nothing ([`Validity::excludes`]).
//! - A date marked `?` has the days that are written, and every one of them is uncertain: the day itself in `2019-08-02?/..`, of
//!   which the plain rule knows that it holds. Days before and after are what they are without the mark.
//! - One marked `~` or `%` is an estimate: what is uncertain reaches one unit of its precision further to both sides, so that
//!   `1984~` may be in 1985 ([`Date::reach`]). What is presumed goes by the days that are written.
//! - With an unknown end, it is last known on the last day of observation, or on that on which it begins, if that is one day:
//!   of `2016/` no day is known.

use std::fmt;

use super::day::Day;
use super::edtf::{Bounds, Date, Edge};

/// When a statement holds, as far as it is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    start: Edge,
    end: Edge,
    /// The first and the last day of observation.
    observed: Option<(Day, Day)>,
}

/// Whether a statement holds on a day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Certainty {
    /// It does.
    Certainly,
    /// It does not: its time excludes the day.
    CertainlyNot,
    /// It cannot be told.
    Uncertain(Uncertainty),
}

/// Why it cannot be told whether a statement holds on a day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Uncertainty {
    /// It begins about then: `2019-07/..` on 2019-07-01.
    Start(Date),
    /// It ends about then: `2016/2019` on 2019-06-01.
    End(Date),
    /// Its start is not known, and this is the first day on which it is known to hold.
    FirstKnown(Day),
    /// Its end is not known, and this is the last day on which it is known to hold.
    LastKnown(Day),
    /// No day is known on which it holds: `/2019` without an observation.
    NeverKnown,
}

impl Validity {
    /// Of a statement without any time: it always holds.
    pub const ALWAYS: Self = Self {
        start: Edge::Open,
        end: Edge::Open,
        observed: None,
    };

    /// Returns the validity by an EDTF time, if there is one, and the days of observation.
    pub fn new(bounds: Option<Bounds>, observed_on: impl IntoIterator<Item = Day>) -> Self {
        let inside = observed_on
            .into_iter()
            .filter(|day| bounds.is_none_or(|bounds| !Self::excludes(bounds, *day)));
        let observed = inside.fold(None, |days, day| match days {
            None => Some((day, day)),
            Some((first, last)) => Some((day.min(first), day.max(last))),
        });
        match bounds {
            Some(Bounds { start, end }) => Self { start, end, observed },
            None if observed.is_some() => Self {
                start: Edge::Unknown,
                end: Edge::Unknown,
                observed,
            },
            None => Self::ALWAYS,
        }
    }

    /// Tells whether an EDTF time says that it does not hold on a day, which so cannot be one of observation.
    pub fn excludes(bounds: Bounds, day: Day) -> bool {
        let is_before = bounds.start.date().is_some_and(|date| day < date.reach().0);
        is_before || bounds.end.date().is_some_and(|date| day > date.reach().1)
    }

    /// Returns the first day on which it is presumed to hold and the first on which it no longer is, `None` for no bound;
    /// or `None` if there is no day between them.
    pub(super) fn presumed(&self) -> Option<(Option<Day>, Option<Day>)> {
        let (first, last) = self.observed.unzip();
        let from = match self.start {
            Edge::Open => None,
            Edge::Date(date) => Some(first.map_or(date.last, |first| first.min(date.last))),
            Edge::Unknown => Some(first?),
        };
        let until = self
            .end
            .date()
            .map(|date| date.first.max(last.unwrap_or(date.first)).next());
        let is_empty = from.zip(until).is_some_and(|(from, until)| from >= until);
        (!is_empty).then_some((from, until))
    }

    /// Tells whether it is presumed to hold on a day.
    pub fn is_presumed_at(&self, day: Day) -> bool {
        self.presumed().is_some_and(|(from, until)| {
            from.is_none_or(|from| from <= day) && until.is_none_or(|until| day < until)
        })
    }

    /// Tells whether it holds on a day.
    pub fn holds_at(&self, day: Day) -> Certainty {
        let (start, end) = (self.has_begun(day), self.has_not_ended(day));
        match (start, end) {
            (Certainty::CertainlyNot, _) | (_, Certainty::CertainlyNot) => Certainty::CertainlyNot,
            (Certainty::Uncertain(why), _) | (_, Certainty::Uncertain(why)) => Certainty::Uncertain(why),
            (Certainty::Certainly, Certainty::Certainly) => Certainty::Certainly,
        }
    }

    fn has_begun(&self, day: Day) -> Certainty {
        let first = self.observed.map(|(first, _)| first);
        if first.is_some_and(|first| first <= day) {
            return Certainty::Certainly;
        }
        match (self.start, first) {
            (Edge::Date(date), _) if day < date.reach().0 => Certainty::CertainlyNot,
            (Edge::Date(date), _)
                if day < date.reach().1 || (day == date.reach().1 && date.is_qualified()) =>
            {
                let last = first.map_or(date.last, |first| first.clamp(date.first, date.last));
                Certainty::Uncertain(Uncertainty::Start(Date { last, ..date }))
            }
            (Edge::Unknown, Some(first)) => Certainty::Uncertain(Uncertainty::FirstKnown(first)),
            (Edge::Unknown, None) => Certainty::Uncertain(Uncertainty::NeverKnown),
            _ => Certainty::Certainly,
        }
    }

    fn has_not_ended(&self, day: Day) -> Certainty {
        let last = self.observed.map(|(_, last)| last);
        if last.is_some_and(|last| day <= last) {
            return Certainty::Certainly;
        }
        match (self.end, self.last_known()) {
            (Edge::Date(date), _) if day > date.reach().1 => Certainty::CertainlyNot,
            (Edge::Date(date), _)
                if day > date.reach().0 || (day == date.reach().0 && date.is_qualified()) =>
            {
                let first = last.map_or(date.first, |last| last.clamp(date.first, date.last));
                Certainty::Uncertain(Uncertainty::End(Date { first, ..date }))
            }
            (Edge::Unknown, Some(last)) if day > last => Certainty::Uncertain(Uncertainty::LastKnown(last)),
            (Edge::Unknown, None) => Certainty::Uncertain(Uncertainty::NeverKnown),
            _ => Certainty::Certainly,
        }
    }

    fn last_known(&self) -> Option<Day> {
        let observed = self.observed.map(|(_, last)| last);
        let start = self.start.date();
        let start = start.filter(|date| date.first == date.last && !date.is_qualified());
        observed.max(start.map(|date| date.last))
    }
}

impl Uncertainty {
    /// Orders reasons by what they tell: the greatest is given, where several apply. The last day known counts most.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        match *self {
            Self::NeverKnown => (0, 0, None),
            Self::FirstKnown(day) => (1, -day.since_epoch(), None),
            Self::End(date) => (2, 0, Some(date)),
            Self::Start(date) => (3, 0, Some(date)),
            Self::LastKnown(day) => (4, day.since_epoch(), None),
        }
    }
}

/// Writes the reason as an English phrase: `last known on 2019-08-27`.
impl fmt::Display for Uncertainty {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(date) => write!(formatter, "begins {}", Span(date)),
            Self::End(date) => write!(formatter, "ends {}", Span(date)),
            Self::FirstKnown(day) => write!(formatter, "first known on {day}"),
            Self::LastKnown(day) => write!(formatter, "last known on {day}"),
            Self::NeverKnown => formatter.write_str("no day is known on which it holds"),
        }
    }
}

struct Span<'a>(&'a Date);

impl fmt::Display for Span<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Date { first, last, .. } = self.0;
        formatter.write_str(match (self.0.uncertain, self.0.approximate) {
            (true, true) => "perhaps about ",
            (true, false) => "perhaps ",
            (false, true) => "about ",
            (false, false) => "",
        })?;
        if first == last {
            write!(formatter, "on {first}")
        } else {
            write!(formatter, "some day from {first} to {last}")
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
