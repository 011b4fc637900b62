//! Stops operators that fetch no quads.
//!
//! A product of two groups, a sort or an aggregate runs in the evaluator over rows that it has already, and asks nobody whether
//! to go on. But each row is cells of ours, and copying one is code of ours: there the clock is looked at, and past the
//! deadline the evaluator is left by unwinding. It holds nothing but memory.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use super::{Interrupt, SparqlError};

/// Copied cells between two looks at the clock: some tens of microseconds.
const TICKS_PER_CHECK: u32 = 4_096;

thread_local! {
    static TICKS: Cell<u32> = const { Cell::new(0) };
    static INTERRUPT: RefCell<Option<Interrupt>> = const { RefCell::new(None) };
}

/// What unwinding carries.
struct Struck;

/// Runs `work` and leaves it when the interrupt strikes.
pub(super) fn run<T>(
    interrupt: &Interrupt,
    work: impl FnOnce() -> Result<T, SparqlError>,
) -> Result<T, SparqlError> {
    INTERRUPT.set(Some(interrupt.clone()));
    let outcome = catch_unwind(AssertUnwindSafe(work));
    INTERRUPT.set(None);
    match outcome {
        Ok(outcome) => outcome,
        Err(cause) if cause.is::<Struck>() => Err(interrupt.check().err().unwrap_or(SparqlError::Cancelled)),
        Err(cause) => resume_unwind(cause),
    }
}

/// Counts a copied cell.
pub(super) fn tick() {
    let ticks = TICKS.get().wrapping_add(1);
    TICKS.set(ticks);
    if ticks.is_multiple_of(TICKS_PER_CHECK) {
        look();
    }
}

#[cold]
fn look() {
    let has_struck = INTERRUPT.with_borrow(|interrupt| {
        interrupt
            .as_ref()
            .is_some_and(|interrupt| interrupt.check().is_err())
    });
    if has_struck {
        // Not a panic: no hook runs and nothing is printed.
        resume_unwind(Box::new(Struck));
    }
}
