//! Days of the proleptic Gregorian calendar, without a time zone.
//!
//! No calendar library of the usual ones counts past the year 9999 by default, and EDTF has years of any length; hence
//! these few lines.

use std::fmt;
use std::str::FromStr;

/// A day, as the number of days since 1970-01-01. Years are astronomical: 0 is the year before 1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Day(i64);

/// The last year that days are told apart in; a later one counts as this, an earlier one than its negative as that.
pub const YEAR_MAX: i64 = 10_000_000_000_000_000;

const SECONDS: i64 = 86_400;
const DAYS_OF_ERA: i64 = 146_097;
const YEARS_OF_ERA: i64 = 400;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

impl Day {
    /// Returns the day of a date; `None` if there is no such day. Years beyond [`YEAR_MAX`] are brought into range.
    pub fn new(year: i64, month: u8, day: u8) -> Option<Self> {
        ((1..=12).contains(&month) && day >= 1 && day <= days_in(year, month))
            .then(|| Self::counted(year, month, day))
    }

    /// Returns the first day of a month. Months out of 1 to 12 are those of the years around.
    pub(super) fn first_of(year: i64, month: i64) -> Self {
        let months = month - 1;
        let month = u8::try_from(months.rem_euclid(12) + 1).unwrap_or(1);
        Self::counted(year.saturating_add(months.div_euclid(12)), month, 1)
    }

    /// Counts days from the first of March, so that the leap day is the last of its year.
    fn counted(year: i64, month: u8, day: u8) -> Self {
        let (month, day) = (i64::from(month), i64::from(day));
        let year = year.clamp(-YEAR_MAX, YEAR_MAX) - i64::from(month <= 2);
        let year_of_era = year.rem_euclid(YEARS_OF_ERA);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Self(year.div_euclid(YEARS_OF_ERA) * DAYS_OF_ERA + day_of_era - EPOCH)
    }

    /// Returns the day in UTC of a time in seconds since 1970-01-01T00:00:00Z.
    pub fn of_unix_seconds(seconds: i64) -> Self {
        Self(seconds.div_euclid(SECONDS))
    }

    /// Returns the number of days since 1970-01-01, negative before.
    pub fn since_epoch(self) -> i64 {
        self.0
    }

    /// Returns the day after.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns the day before.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Returns year, month and day.
    pub fn date(self) -> (i64, u8, u8) {
        let days = self.0.saturating_add(EPOCH);
        let day_of_era = days.rem_euclid(DAYS_OF_ERA);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let months = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * months + 2) / 5 + 1;
        let month = (months + 2) % 12 + 1;
        let year = days.div_euclid(DAYS_OF_ERA) * YEARS_OF_ERA + year_of_era + i64::from(month <= 2);
        let small = |value: i64| u8::try_from(value).unwrap_or(1);
        (year, small(month), small(day))
    }
}

/// Returns the number of days in a month from 1 to 12.
pub(super) fn days_in(year: i64, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Writes the lexical form of `xsd:date`: `2019-08-27`, `-0044-03-15`, `170000-01-01`.
impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        let sign = if year < 0 { "-" } else { "" };
        write!(formatter, "{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs())
    }
}

/// A text is not the lexical form of an `xsd:date`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not a date such as 2019-08-27")]
pub struct DayError(pub String);

/// Reads an `xsd:date`; a time zone after it is not looked at.
impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        read(text).ok_or_else(|| DayError(text.to_owned()))
    }
}

fn read(text: &str) -> Option<Day> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let date = without_zone(rest);
    let (date, day) = date.rsplit_once('-')?;
    let (year, month) = date.rsplit_once('-')?;
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(day, 2) || !digits(month, 2) || year.len() < 4 || !digits(year, year.len()) {
        return None;
    }
    if year.len() > 4 && year.starts_with('0') {
        return None;
    }
    let year: i64 = year.parse().unwrap_or(i64::MAX);
    let year = if negative { -year } else { year };
    Day::new(year, month.parse().ok()?, day.parse().ok()?)
}

/// Cuts off `Z`, `+09:00` or `-05:00`.
fn without_zone(text: &str) -> &str {
    if let Some(date) = text.strip_suffix('Z') {
        return date;
    }
    match text.len().checked_sub(6).and_then(|at| text.split_at_checked(at)) {
        Some((date, zone))
            if matches!(zone.as_bytes(), [b'+' | b'-', a, b, b':', c, d]
                if [a, b, c, d].iter().all(|digit| digit.is_ascii_digit())) =>
        {
            date
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: i64) {
        let day: Day = text.parse().unwrap();
        assert_eq!(day.since_epoch(), expected, "{text}");
        assert_eq!(day.to_string(), text);
    }

    #[test]
    fn days_are_counted_from_1970() {
        check("1970-01-01", 0);
        check("1969-12-31", -1);
        check("2000-02-29", 11_016);
        check("2019-08-27", 18_135);
        check("1582-10-15", -141_427);
        check("0000-01-01", -719_528);
        check("-0001-12-31", -719_529);
        check("9999-12-31", 2_932_896);
        check("10000-01-01", 2_932_897);
    }

    #[test]
    fn texts_that_are_no_date_are_refused() {
        for text in [
            "",
            "2019",
            "2019-08",
            "2019-8-27",
            "2019-13-01",
            "2019-00-01",
            "2019-02-29",
            "1900-02-29",
            "2019-08-00",
            "2019-08-32",
            "19-08-27",
            "02019-08-27",
            "+2019-08-27",
            "2019-08-27T",
            "2019-08-27+9:00",
            "２019-08-27",
        ] {
            assert_eq!(text.parse::<Day>(), Err(DayError(text.to_owned())));
        }
    }

    #[test]
    fn zones_are_not_looked_at() {
        for text in ["2019-08-27Z", "2019-08-27+09:00", "2019-08-27-05:00"] {
            assert_eq!(text.parse(), "2019-08-27".parse::<Day>());
        }
    }

    #[test]
    fn seconds_fall_into_their_day_of_utc() {
        assert_eq!(Day::of_unix_seconds(-1).to_string(), "1969-12-31");
        assert_eq!(Day::of_unix_seconds(86_399).to_string(), "1970-01-01");
        assert_eq!(Day::of_unix_seconds(86_400).to_string(), "1970-01-02");
        assert!(Day::of_unix_seconds(i64::MIN) < Day::of_unix_seconds(i64::MAX));
    }

    #[test]
    fn years_past_the_range_are_brought_into_it() {
        assert_eq!(Day::new(i64::MAX, 12, 31), Day::new(YEAR_MAX, 12, 31));
        assert_eq!(Day::new(i64::MIN, 1, 1), Day::new(-YEAR_MAX, 1, 1));
        assert_eq!(Day::new(YEAR_MAX, 12, 31).unwrap().date(), (YEAR_MAX, 12, 31));
        assert_eq!(Day(i64::MAX).next(), Day(i64::MAX));
        assert_eq!(
            "99999999999999999999-01-01".parse(),
            Ok(Day::new(YEAR_MAX, 1, 1).unwrap())
        );
    }

    proptest! {
        #[test]
        fn dates_survive_the_round_trip(number in -4_000_000_000i64..4_000_000_000) {
            let day = Day(number);
            let (year, month, of_month) = day.date();
            prop_assert_eq!(Day::new(year, month, of_month), Some(day));
            prop_assert_eq!(day.to_string().parse(), Ok(day));
            prop_assert!(day.date() < day.next().date());
            prop_assert_eq!(day.next().previous(), day);
        }
    }
}
