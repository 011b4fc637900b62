//! How much work one page may take.

use std::time::Instant;

/// Steps (quads looked at, roughly) below which a read may run on an async thread: some tens of microseconds.
const INLINE_STEPS: u32 = 1_000;
/// Steps of a page on a blocking thread: some tens of milliseconds.
const PAGE_STEPS: u32 = 500_000;
/// Bytes of text after which a page ends, so that it stays below the 4 MiB that gRPC clients take by default.
const PAGE_BYTES: usize = 2 << 20;
/// Steps after which the clock is looked at: a fraction of a millisecond.
const CLOCK_STEPS: u32 = 1_000;

/// What is left of the work that one page may take. A page that runs out of it ends early, with a cursor.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Whether the work can be begun anew elsewhere, with more steps.
    is_inline: bool,
    steps: u32,
    bytes: usize,
    /// When nobody waits for the answer any more.
    deadline: Option<Instant>,
    /// Steps until the clock is looked at.
    clock_steps: u32,
    is_late: bool,
}

impl Budget {
    /// Returns the budget of a read on an async thread.
    pub fn inline() -> Self {
        Self {
            is_inline: true,
            ..Self::of(INLINE_STEPS)
        }
    }

    /// Returns the budget of a read on a thread that may block.
    pub fn page() -> Self {
        Self::of(PAGE_STEPS)
    }

    /// Returns a budget of exactly so many steps.
    #[cfg(test)]
    pub(super) fn of_steps(steps: u32) -> Self {
        Self::of(steps)
    }

    const fn of(steps: u32) -> Self {
        Self {
            is_inline: false,
            steps,
            bytes: PAGE_BYTES,
            deadline: None,
            clock_steps: CLOCK_STEPS,
            is_late: false,
        }
    }

    /// Returns the budget with a time at which the work is to stop, `None` for no such time.
    #[must_use]
    pub fn until(self, deadline: Option<Instant>) -> Self {
        Self { deadline, ..self }
    }

    /// Takes the cost of some steps.
    pub(super) fn step(&mut self, count: u32) {
        self.steps = self.steps.saturating_sub(count);
        self.clock_steps = self.clock_steps.saturating_sub(count);
        if self.clock_steps == 0 {
            self.clock_steps = CLOCK_STEPS;
            self.is_late |= self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        }
    }

    /// Takes the cost of text that goes into the answer.
    pub(super) fn text(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Tells whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.is_late || self.steps == 0 || self.bytes == 0
    }

    /// Tells whether there is no room for more text.
    pub(super) fn is_out_of_text(&self) -> bool {
        self.bytes == 0
    }

    /// Tells whether to stop at once, in the middle: the read will be begun anew with more steps, or nobody waits for it.
    pub(super) fn is_overdue(&self) -> bool {
        self.is_late || (self.is_inline && self.steps == 0)
    }

    /// Tells whether the deadline has passed, so that what was read is not the answer.
    pub fn is_late(&self) -> bool {
        self.is_late
    }

    /// Tells whether the steps ran out, as opposed to the bytes.
    pub fn is_out_of_steps(&self) -> bool {
        self.steps == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_at_the_deadline() {
        let mut budget = Budget::page().until(Some(Instant::now()));
        budget.step(CLOCK_STEPS - 1);
        assert!(!budget.is_late(), "the clock is not looked at for each step");
        budget.step(1);
        assert!(budget.is_late() && budget.is_overdue() && budget.is_spent());
        let mut budget = Budget::page();
        budget.step(CLOCK_STEPS);
        assert!(!budget.is_late() && !budget.is_overdue());
    }
}
