//! When to stop, and how much memory and work to take until then.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio_util::sync::{CancellationToken as Request, WaitForCancellationFutureOwned};

use super::{
    RunLimit, RunLimits, SparqlError,
    memory::{Budget, MemoryPool},
};

const DEADLINE: u8 = 1;
const CANCELLED: u8 = 2;
const CANCELLED_BY_REQUEST: u8 = 3;
const WORKED: u8 = 4;

/// The deadline, the limits and the cancellation of one query or update; clones share them.
#[derive(Clone)]
pub struct Interrupt {
    deadline: Option<Instant>,
    budget: Budget,
    limits: RunLimits,
    /// Units of work that were counted.
    work: Arc<AtomicU64>,
    /// 0 or the cause that struck first.
    cause: Arc<AtomicU8>,
    /// Wakes those who wait for a cancellation by request.
    request: Request,
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Interrupt")
            .field("deadline", &self.deadline)
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}

impl Interrupt {
    /// Returns an interrupt that strikes at `deadline`, if there is one.
    pub fn new(deadline: Option<Instant>) -> Self {
        Self {
            deadline,
            budget: MemoryPool::default().budget(),
            limits: RunLimits::default(),
            work: Arc::default(),
            cause: Arc::default(),
            request: Request::new(),
        }
    }

    /// Returns the interrupt with the memory that the work shares with others.
    #[must_use]
    pub fn with_memory(self, memory: &MemoryPool) -> Self {
        Self {
            budget: memory.budget(),
            ..self
        }
    }

    /// Returns one that has not struck, for what comes after the work, with its memory and limits.
    #[must_use]
    pub(super) fn afresh(&self, deadline: Instant) -> Self {
        Self {
            budget: self.budget.clone(),
            limits: self.limits,
            ..Self::new(Some(deadline))
        }
    }

    /// Returns the interrupt with what the work may come to.
    #[must_use]
    pub fn with_limits(self, limits: RunLimits) -> Self {
        Self { limits, ..self }
    }

    /// Returns what the work may come to.
    pub fn limits(&self) -> &RunLimits {
        &self.limits
    }

    /// Returns the deadline.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Stops the work: its result is no longer wanted.
    pub fn cancel(&self) {
        self.strike(CANCELLED);
    }

    /// Stops the work because somebody asked for it.
    pub fn cancel_by_request(&self) {
        self.strike(CANCELLED_BY_REQUEST);
        if self.cause.load(Ordering::Acquire) == CANCELLED_BY_REQUEST {
            self.request.cancel();
        }
    }

    /// Returns a future that is ready once the work was stopped by request, unless something else stopped it first.
    pub fn cancelled_by_request(&self) -> WaitForCancellationFutureOwned {
        self.request.clone().cancelled_owned()
    }

    /// Fails if the work must stop. Reads the clock.
    pub fn check(&self) -> Result<(), SparqlError> {
        if !self.has_struck() && self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            self.strike(DEADLINE);
        }
        match self.cause.load(Ordering::Acquire) {
            0 => Ok(()),
            DEADLINE => Err(SparqlError::DeadlineExceeded),
            CANCELLED_BY_REQUEST => Err(SparqlError::QueryCancelled),
            WORKED => Err(SparqlError::LimitExceeded {
                limit: RunLimit::Work,
                limit_value: self.limits.work_max,
            }),
            _ => Err(SparqlError::Cancelled),
        }
    }

    /// Counts units of work; fails if it is too much, or if the work must stop. Reads the clock.
    pub(super) fn spend(&self, units: u64) -> Result<(), SparqlError> {
        let before = self.work.fetch_add(units, Ordering::Relaxed);
        if before.saturating_add(units) > self.limits.work_max {
            self.strike(WORKED);
        }
        self.check()
    }

    /// Returns the units of work that were counted so far.
    pub(super) fn work(&self) -> u64 {
        self.work.load(Ordering::Relaxed)
    }

    /// Tells whether it was seen to strike: cheap, does not read the clock.
    pub fn has_struck(&self) -> bool {
        self.cause.load(Ordering::Acquire) != 0
    }

    /// Returns the memory that the work takes: all of its parts share it.
    pub(super) fn budget(&self) -> Budget {
        self.budget.clone()
    }

    fn strike(&self, cause: u8) {
        // Only the first cause counts.
        let _ = self
            .cause
            .compare_exchange(0, cause, Ordering::AcqRel, Ordering::Acquire);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_counts() {
        let interrupt = Interrupt::new(Some(Instant::now()));
        assert!(!interrupt.has_struck());
        assert_eq!(interrupt.check(), Err(SparqlError::DeadlineExceeded));
        interrupt.cancel();
        assert_eq!(interrupt.check(), Err(SparqlError::DeadlineExceeded));
        let interrupt = Interrupt::new(None);
        assert_eq!(interrupt.check(), Ok(()));
        interrupt.clone().cancel();
        assert!(interrupt.has_struck());
        assert_eq!(interrupt.check(), Err(SparqlError::Cancelled));
    }

    #[test]
    fn work_is_bounded_for_all_clones_together() {
        let interrupt = Interrupt::new(None).with_limits(RunLimits {
            work_max: 10,
            ..RunLimits::default()
        });
        let clone = interrupt.clone();
        assert_eq!(clone.spend(4), Ok(()));
        assert_eq!(interrupt.spend(6), Ok(()));
        let exceeded = Err(SparqlError::LimitExceeded {
            limit: RunLimit::Work,
            limit_value: 10,
        });
        assert_eq!(clone.spend(1), exceeded);
        assert_eq!(interrupt.check(), exceeded);
        assert_eq!(interrupt.work(), 11);
    }
}
