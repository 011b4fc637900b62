//! The truthy rule: which statements hold on a day, and so which objects a subject has by a predicate.
//!
//! A triple `s p o` holds if a statement of it does. One holds if it *counts*, which is when
//!
//! - it is live: not retracted;
//! - its stance is not planned, projected or opinion;
//! - its standing is preferred or accepted;
//! - it is not negated, and its object is known;
//! - the day is in the time in which it is presumed to hold ([`Validity::is_presumed_at`]);
//!
//! and if either it is preferred or no preferred sibling, a statement of the same subject and predicate, counts. So a
//! preferred statement hides the accepted ones, those of the same object too, as long as it counts itself and no longer.

use super::day::Day;
use super::fact::{Stance, Standing};
use super::validity::Validity;

mod differing;

pub use differing::{differing, differing_on};

/// What decides whether a statement counts.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is said or not, in any combination"
)]
pub struct Evidence<O> {
    /// The object, or what stands for it.
    pub object: O,
    /// How the source put it.
    pub stance: Stance,
    /// The editorial verdict.
    pub standing: Standing,
    /// Whether it denies the triple.
    pub negated: bool,
    /// Whether the object is `d:SomeValue`: there is one, which is not known.
    pub is_some_value: bool,
    /// When it holds.
    pub validity: Validity,
    /// Whether it was not retracted.
    pub live: bool,
    /// Whether another statement, which is accepted and certainly holds on the day, contradicts it: verdicts look at that, the rule does
    /// not.
    pub opposed: bool,
}

impl<O> Evidence<O> {
    /// Tells whether it is taken as a fact, be it that the triple holds or that it does not: live, preferred or accepted, and
    /// more than a plan, an expectation or a judgement.
    pub fn is_accepted(&self) -> bool {
        self.live
            && matches!(self.standing, Standing::Preferred | Standing::Accepted)
            && !matches!(self.stance, Stance::Planned | Stance::Projected | Stance::Opinion)
    }

    /// Tells whether it can count on a day that is in its time.
    fn can_count(&self) -> bool {
        self.is_accepted() && !self.negated && !self.is_some_value
    }

    /// Tells whether it counts on a day, its siblings aside.
    pub fn counts(&self, day: Day) -> bool {
        self.can_count() && self.validity.is_presumed_at(day)
    }
}

/// Tells whether a preferred statement counts on a day, and so hides the accepted ones.
fn hides_accepted<O>(statements: &[Evidence<O>], day: Day) -> bool {
    statements
        .iter()
        .any(|statement| statement.standing == Standing::Preferred && statement.counts(day))
}

/// Returns the indices of the statements that hold on a day, in their order.
///
/// The statements are those of one subject and predicate, all of them. The objects of those returned hold by them.
pub fn supporting<O>(statements: &[Evidence<O>], day: Day) -> impl Iterator<Item = usize> {
    let standing = if hides_accepted(statements, day) {
        Standing::Preferred
    } else {
        Standing::Accepted
    };
    statements
        .iter()
        .enumerate()
        .filter(move |(_, statement)| statement.standing == standing && statement.counts(day))
        .map(|(index, _)| index)
}

/// Returns the objects that hold on a day, sorted, each once.
pub fn objects<O: Copy + Ord>(statements: &[Evidence<O>], day: Day) -> Vec<O> {
    let mut objects: Vec<_> = supporting(statements, day)
        .map(|index| statements[index].object)
        .collect();
    objects.sort_unstable();
    objects.dedup();
    objects
}

#[cfg(test)]
pub(super) mod tests;
