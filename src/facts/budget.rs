//! How much work one page may take.

/// Steps (quads looked at, roughly) below which a read may run on an async thread: some tens of microseconds.
const INLINE_STEPS: u32 = 1_000;
/// Steps of a page on a blocking thread: some tens of milliseconds.
const PAGE_STEPS: u32 = 500_000;
/// Bytes of text after which a page ends, so that it stays below the 4 MiB that gRPC clients take by default.
const PAGE_BYTES: usize = 2 << 20;

/// What is left of the work that one page may take. A page that runs out of it ends early, with a cursor.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Whether the work can be begun anew elsewhere, with more steps.
    is_inline: bool,
    steps: u32,
    bytes: usize,
}

impl Budget {
    /// Returns the budget of a read on an async thread.
    pub fn inline() -> Self {
        Self {
            is_inline: true,
            steps: INLINE_STEPS,
            bytes: PAGE_BYTES,
        }
    }

    /// Returns the budget of a read on a thread that may block.
    pub fn page() -> Self {
        Self {
            is_inline: false,
            steps: PAGE_STEPS,
            bytes: PAGE_BYTES,
        }
    }

    /// Returns a budget of exactly so many steps.
    #[cfg(test)]
    pub(super) fn of_steps(steps: u32) -> Self {
        Self {
            is_inline: false,
            steps,
            bytes: PAGE_BYTES,
        }
    }

    /// Takes the cost of some steps.
    pub(super) fn step(&mut self, count: u32) {
        self.steps = self.steps.saturating_sub(count);
    }

    /// Takes the cost of text that goes into the answer.
    pub(super) fn text(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Tells whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.steps == 0 || self.bytes == 0
    }

    /// Tells whether there is no room for more text.
    pub(super) fn is_out_of_text(&self) -> bool {
        self.bytes == 0
    }

    /// Tells whether to stop at once, in the middle: the read will be begun anew with more steps.
    pub(super) fn is_overdue(&self) -> bool {
        self.is_inline && self.steps == 0
    }

    /// Tells whether the steps ran out, as opposed to the bytes.
    pub fn is_out_of_steps(&self) -> bool {
        self.steps == 0
    }
}
