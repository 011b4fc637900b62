//! Times as `xsd:dateTime`.

use oxigraph::model::{Literal, vocab::xsd};

use crate::model::{day::Day, fact::UnixTime};

const MICROS: u64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;

impl UnixTime {
    /// Returns the time that so many microseconds after 1970 are.
    pub(super) fn from_micros(micros: u64) -> Self {
        Self {
            seconds: i64::try_from(micros / MICROS).unwrap_or(i64::MAX),
            nanos: i32::try_from(micros % MICROS * 1_000).unwrap_or(0),
        }
    }
}

/// Returns a time of the years 1 to 9999 as `xsd:dateTime`, in UTC, without zeros at the end.
pub(super) fn date_time(time: UnixTime) -> Literal {
    let second = time.seconds.rem_euclid(DAY_SECONDS);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let mut text = format!(
        "{}T{hour:02}:{minute:02}:{second:02}",
        Day::of_unix_seconds(time.seconds)
    );
    if time.nanos > 0 {
        text.push_str(format!(".{:09}", time.nanos).trim_end_matches('0'));
    }
    text.push('Z');
    Literal::new_typed_literal(text, xsd::DATE_TIME)
}
