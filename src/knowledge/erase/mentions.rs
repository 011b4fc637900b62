//! What the log says, before an erasure, of where it finds what is erased.

use std::ops::RangeInclusive;

/// Which revisions mention what is erased, and of which the log cannot tell.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Mentions {
    /// Revisions whose records mention it, sorted.
    pub(super) records: Vec<u64>,
    /// Revisions from whose records something was erased before, sorted.
    pub(super) redacted: Vec<u64>,
    /// The revision of the base record: of it and of those before it only their graph is known. 0 if there is none.
    pub(super) base: u64,
}

/// Whether some revisions mention what is erased.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mentioned {
    /// One of them does.
    Surely,
    /// The log does not have all of them as they were.
    Possibly,
    /// None of them does.
    Nowhere,
}

impl Mentions {
    /// Tells whether some revisions mention it.
    pub fn within(&self, revisions: RangeInclusive<u64>) -> Mentioned {
        let has = |sorted: &[u64]| {
            let next = sorted.partition_point(|revision| revision < revisions.start());
            sorted
                .get(next)
                .is_some_and(|revision| revisions.contains(revision))
        };
        if has(&self.records) {
            Mentioned::Surely
        } else if has(&self.redacted) || *revisions.start() <= self.base {
            Mentioned::Possibly
        } else {
            Mentioned::Nowhere
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_looked_up() {
        let mentions = Mentions {
            records: vec![12, 20],
            redacted: vec![15],
            base: 10,
        };
        for (first, last, expected) in [
            (1, 9, Mentioned::Possibly),
            (1, 12, Mentioned::Surely),
            (10, 10, Mentioned::Possibly),
            (11, 11, Mentioned::Nowhere),
            (12, 12, Mentioned::Surely),
            (13, 14, Mentioned::Nowhere),
            (13, 15, Mentioned::Possibly),
            (13, 20, Mentioned::Surely),
            (21, 30, Mentioned::Nowhere),
        ] {
            assert_eq!(mentions.within(first..=last), expected, "{first} to {last}");
        }
        let nothing = Mentions::default();
        assert_eq!(nothing.within(1..=9), Mentioned::Nowhere);
    }
}
