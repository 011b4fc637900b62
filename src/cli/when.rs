//! The time that a command reads at.

use clap::Args;
use prost_types::Timestamp;

use super::failure::Failure;
use crate::proto::v1::{Date, ReadOptions};

/// When to read.
#[derive(Args, Clone, Debug)]
pub(super) struct WhenArgs {
    /// What holds on this day. Default: the reference date of the knowledge base
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = date)]
    as_of: Option<Date>,

    /// What was known at this time: a date, or a date and time such as `2019-08-27T09:00:00Z`. Default: now
    #[arg(long, value_name = "TIME", value_parser = time)]
    known_at: Option<Timestamp>,

    /// Read at least as fresh as this revision
    #[arg(long, value_name = "REVISION", default_value_t = 0, hide_default_value = true)]
    min_revision: i64,

    /// Read the graph as it was at this revision
    #[arg(
        long,
        value_name = "REVISION",
        default_value_t = 0,
        hide_default_value = true,
        conflicts_with = "min_revision"
    )]
    at_revision: i64,
}

impl WhenArgs {
    pub(super) fn options(&self) -> ReadOptions {
        ReadOptions {
            min_revision: self.min_revision,
            as_of: self.as_of,
            known_at: self.known_at,
            at_revision: self.at_revision,
        }
    }
}

/// Reads a date. Whether the calendar has it, the server knows.
pub(super) fn date(text: &str) -> Result<Date, String> {
    let fault = || format!("`{text}` is not a date such as 2019-08-27");
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let parts: Vec<i32> = rest
        .split('-')
        .map(|part| {
            part.bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| part.parse().ok())
                .flatten()
        })
        .collect::<Option<_>>()
        .ok_or_else(fault)?;
    let [year, month, day] = <[i32; 3]>::try_from(parts).map_err(|_| fault())?;
    Ok(Date {
        year: sign * year,
        month,
        day,
    })
}

/// Reads a time; a date alone is its first second in UTC.
fn time(text: &str) -> Result<Timestamp, String> {
    let whole = if text.contains(['T', 't', ' ']) {
        text.to_owned()
    } else {
        format!("{text}T00:00:00Z")
    };
    whole
        .parse()
        .map_err(|_| format!("`{text}` is not a time such as 2019-08-27 or 2019-08-27T09:00:00Z"))
}

/// Returns a date as `YYYY-MM-DD`; empty if there is none.
pub(super) fn show(date: Option<Date>) -> String {
    date.map_or_else(String::new, |date| {
        let sign = if date.year < 0 { "-" } else { "" };
        let year = date.year.unsigned_abs();
        format!("{sign}{year:04}-{:02}-{:02}", date.month, date.day)
    })
}

/// Returns the failure of a request without what it must have.
pub(super) fn missing(what: &str) -> Failure {
    Failure::failed(format!("the server's answer has no {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read() {
        for text in ["2019-08-27", "-0044-03-15", "0000-01-01"] {
            assert_eq!(show(Some(date(text).unwrap())), text);
        }
        for text in [
            "",
            "2019",
            "2019-08",
            "today",
            "2019-08-27-01",
            "2019-+8-27",
            "--1-1-1",
        ] {
            assert!(date(text).is_err(), "{text}");
        }
        assert_eq!(time("1970-01-02").unwrap().seconds, 86_400);
        assert_eq!(time("1970-01-01T09:00:00+09:00").unwrap().seconds, 0);
        assert!(time("yesterday").is_err());
    }
}
