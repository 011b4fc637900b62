//! What tells a log that has some commits from one that does not.

use std::{fmt, num::ParseIntError, str::FromStr};

use super::KnowledgeBase;
use crate::{
    log::{Header, LogError},
    sync::task::spawn_blocking,
};

/// Digits of a hash in the text of a mark.
const HASH_DIGIT_COUNT: usize = 16;

/// A commit of one log: all before it is there where it is. The default is of every log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Mark {
    /// Its revision.
    pub revision: u64,
    /// The beginning of the hash of its record, which covers all records before.
    pub hash: u64,
}

impl Mark {
    /// Returns the mark of the commit with this header.
    pub fn of(header: &Header) -> Self {
        let hash = header.digest.first_chunk();
        Self {
            revision: header.revision,
            hash: hash.copied().map_or(0, u64::from_be_bytes),
        }
    }

    /// Returns the hash as callers are told it; nothing of revision 0, which all logs have.
    pub fn hash_bytes(self) -> Option<[u8; 8]> {
        (self.revision > 0).then(|| self.hash.to_be_bytes())
    }

    /// Returns the hash in hexadecimal digits; nothing of revision 0.
    pub fn hash_text(self) -> Option<String> {
        (self.revision > 0).then(|| format!("{:016x}", self.hash))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.revision)?;
        match self.hash_text() {
            Some(hash) => write!(formatter, "-{hash}"),
            None => Ok(()),
        }
    }
}

/// A commit that somebody has, who may know its hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Known {
    /// Its revision.
    pub revision: u64,
    /// The hash of its mark.
    pub hash: Option<u64>,
}

/// A text that names no commit.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("neither a revision nor a revision with its hash, such as 7 or 7-0123456789abcdef")]
pub struct NoCommit;

impl From<ParseIntError> for NoCommit {
    fn from(_: ParseIntError) -> Self {
        Self
    }
}

impl FromStr for Known {
    type Err = NoCommit;

    /// Reads what [`Mark`] writes, or a revision alone.
    fn from_str(text: &str) -> Result<Self, NoCommit> {
        let (revision, hash) = match text.split_once('-') {
            None => (text, None),
            // A sign is no digit.
            Some((revision, hash)) if hash.len() == HASH_DIGIT_COUNT && !hash.starts_with('+') => {
                (revision, Some(u64::from_str_radix(hash, 16)?))
            }
            Some(_) => return Err(NoCommit),
        };
        Ok(Self {
            revision: revision.parse()?,
            hash,
        })
    }
}

impl KnowledgeBase {
    /// Returns the mark of a published revision; of the earliest one if that is later.
    pub async fn mark(&self, revision: u64) -> Result<Mark, LogError> {
        match self.mark_of(revision).await {
            Err(LogError::Compacted { earliest, .. }) => self.mark_of(earliest).await,
            found => found,
        }
    }

    /// Tells whether the log has a commit. It fails if the log no longer reaches back so far.
    pub async fn has(&self, mark: Mark) -> Result<bool, LogError> {
        Ok(mark.revision <= self.revision() && self.mark_of(mark.revision).await? == mark)
    }

    /// Returns the mark of a published revision, which is not compacted away unless it is 0.
    pub async fn mark_of(&self, revision: u64) -> Result<Mark, LogError> {
        if revision == 0 {
            return Ok(Mark::default());
        }
        let log = self.log().clone();
        let read = spawn_blocking(move || log.header(revision)).await;
        // A thread that ended early, which nothing makes it do.
        let header = read.map_err(|error| LogError::Io(std::io::Error::other(error)))??;
        Ok(Mark::of(&header))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_is_written_and_nothing_else_is() {
        let mark = |revision, hash| Mark { revision, hash }.to_string();
        assert_eq!(mark(7, 0x9f), "7-000000000000009f");
        assert_eq!(mark(0, 0), "0");
        let read = |text: &str| text.parse::<Known>().map(|known| (known.revision, known.hash));
        assert_eq!(read("7-000000000000009f"), Ok((7, Some(0x9f))));
        assert_eq!(read(&mark(u64::MAX, u64::MAX)), Ok((u64::MAX, Some(u64::MAX))));
        assert_eq!((read("7"), read("0")), (Ok((7, None)), Ok((0, None))));
        for wrong in [
            "",
            "x",
            "-1",
            "7-",
            "7-9f",
            "7-000000000000009",
            "7-00000000000009fx",
            "7-+00000000000009f",
            "7-000000000000009f0",
            "-000000000000009f",
            "18446744073709551616",
        ] {
            assert_eq!(read(wrong), Err(NoCommit), "{wrong}");
        }
    }
}
