//! How much one query or update may make, besides its time and memory.

use std::time::Duration;

/// What one query or update may come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RunLimits {
    /// Rows or triples of a result.
    pub row_count_max: u64,
    /// Bytes of a result, as it is encoded for its caller.
    pub result_bytes_max: u64,
    /// Units of work: about one for each row that an operator makes.
    pub work_max: u64,
    /// The values that it makes.
    pub values: ValueLimits,
}

impl Default for RunLimits {
    /// More than the default time limit has room for: in a minute a stream sends at most some 350 million rows, or 12 GB of short
    /// terms, and a thread does some 2 billion units of work.
    fn default() -> Self {
        Self {
            row_count_max: 1_000_000_000,
            result_bytes_max: 16 << 30,
            work_max: 10_000_000_000,
            values: ValueLimits::default(),
        }
    }
}

/// How large the values are that functions make and read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ValueLimits {
    /// Bytes of a literal that a query makes.
    pub literal_bytes_max: usize,
    /// Bytes of a text that a regular expression searches.
    pub regex_text_bytes_max: usize,
    /// Bytes of a compiled regular expression for short texts.
    pub regex_bytes_max: usize,
    /// Bytes of a compiled regular expression for others: time grows with the product.
    pub long_text_regex_bytes_max: usize,
}

impl Default for ValueLimits {
    fn default() -> Self {
        Self {
            literal_bytes_max: 8 << 20,
            regex_text_bytes_max: 1 << 20,
            regex_bytes_max: 256 << 10,
            long_text_regex_bytes_max: 64 << 10,
        }
    }
}

/// What a caller allows its own query or update; larger values than the server's count for nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CallerLimits {
    /// Time that it may take.
    pub timeout: Option<Duration>,
    /// Bytes of a result.
    pub result_bytes_max: Option<u64>,
    /// Units of work.
    pub work_max: Option<u64>,
}

impl RunLimits {
    /// Returns the limits that hold for a caller.
    pub(super) fn lowered(self, caller: &CallerLimits) -> Self {
        let lower = |ours: u64, theirs: Option<u64>| theirs.map_or(ours, |theirs| theirs.min(ours));
        Self {
            result_bytes_max: lower(self.result_bytes_max, caller.result_bytes_max),
            work_max: lower(self.work_max, caller.work_max),
            ..self
        }
    }
}

/// A limit that a query or update can pass while it runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RunLimit {
    /// [`RunLimits::row_count_max`].
    RowCount,
    /// [`RunLimits::result_bytes_max`].
    ResultBytes,
    /// [`RunLimits::work_max`].
    Work,
}

impl RunLimit {
    /// Returns its name, as the protocols tell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::RowCount => "query_row_count_max",
            Self::ResultBytes => "query_result_bytes_max",
            Self::Work => "query_work_max",
        }
    }

    /// Returns what it counts.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::RowCount => "rows or triples of result",
            Self::ResultBytes => "bytes of result",
            Self::Work => "units of work",
        }
    }

    /// Returns how to stay within it.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::RowCount => "ask in parts, with LIMIT or by the values of a variable",
            Self::ResultBytes => {
                "select fewer variables, or ask in parts, with LIMIT or by the values of a variable"
            }
            Self::Work => "make its patterns more selective, or ask in parts, by the values of a variable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_only_lower_limits() {
        let server = RunLimits {
            result_bytes_max: 10,
            work_max: 10,
            ..RunLimits::default()
        };
        for (theirs, lowered) in [(None, 10), (Some(9), 9), (Some(10), 10), (Some(11), 10)] {
            let caller = CallerLimits {
                result_bytes_max: theirs,
                work_max: theirs,
                ..CallerLimits::default()
            };
            let expected = RunLimits {
                result_bytes_max: lowered,
                work_max: lowered,
                ..server
            };
            assert_eq!(server.lowered(&caller), expected, "{theirs:?}");
        }
    }
}
