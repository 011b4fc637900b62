//! The memory that queries may take, one by one and together.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::SparqlError;

/// How much memory queries may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MemoryLimits {
    /// Bytes for one query.
    pub query_bytes_max: u64,
    /// Bytes for all queries together.
    pub all_bytes_max: u64,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            query_bytes_max: 256 << 20,
            all_bytes_max: 1 << 30,
        }
    }
}

/// The memory that all queries share.
#[derive(Clone, Debug, Default)]
pub struct MemoryPool {
    limits: MemoryLimits,
    used: Arc<AtomicU64>,
}

impl MemoryPool {
    /// Returns a pool that nobody uses yet.
    pub fn new(limits: MemoryLimits) -> Self {
        Self {
            limits,
            used: Arc::default(),
        }
    }

    /// Returns the limits.
    pub fn limits(&self) -> MemoryLimits {
        self.limits
    }

    /// Returns the bytes that all running queries account for.
    pub fn used_bytes(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Opens the account of one query.
    pub(super) fn budget(&self) -> Budget {
        Budget(Arc::new(QueryBudget {
            pool: self.clone(),
            used: AtomicU64::new(0),
        }))
    }
}

/// What one query has taken; clones share it.
#[derive(Clone)]
pub(super) struct Budget(Arc<QueryBudget>);

struct QueryBudget {
    pool: MemoryPool,
    used: AtomicU64,
}

impl fmt::Debug for Budget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Budget").field(&self.0.used).finish()
    }
}

impl Budget {
    fn take(&self, bytes: u64) -> Result<(), SparqlError> {
        let QueryBudget { pool, used } = &*self.0;
        let MemoryLimits {
            query_bytes_max,
            all_bytes_max,
        } = pool.limits;
        if used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > query_bytes_max {
            used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(SparqlError::QueryMemoryExceeded {
                memory_bytes_max: query_bytes_max,
            });
        }
        if pool
            .used
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes)
            > all_bytes_max
        {
            self.give_back(bytes);
            return Err(SparqlError::MemoryBusy {
                memory_bytes_max: all_bytes_max,
            });
        }
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
        self.0.pool.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Opens an account for one thing that grows.
    pub(super) fn account(&self) -> Account {
        Account {
            budget: self.clone(),
            bytes: 0,
        }
    }
}

/// The bytes of one thing; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Account {
    budget: Budget,
    bytes: u64,
}

/// Accounts grow by steps of this many bytes, so that counting costs little.
const STEP_BYTES: u64 = 1 << 14;

impl Account {
    /// Says that the thing has this many bytes now; fails where that is too much.
    pub(super) fn set(&mut self, bytes: usize) -> Result<(), SparqlError> {
        let bytes = bytes as u64;
        if bytes > self.bytes {
            let more = (bytes - self.bytes).next_multiple_of(STEP_BYTES);
            self.budget.take(more)?;
            self.bytes += more;
        } else if bytes == 0 {
            self.clear();
        }
        Ok(())
    }

    /// Says that the thing is empty.
    pub(super) fn clear(&mut self) {
        self.budget.give_back(self.bytes);
        self.bytes = 0;
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_stop_at_both_limits_and_give_back() {
        let pool = MemoryPool::new(MemoryLimits {
            query_bytes_max: 4 * STEP_BYTES,
            all_bytes_max: 5 * STEP_BYTES,
        });
        let budget = pool.budget();
        let mut account = budget.account();
        let step = usize::try_from(STEP_BYTES).unwrap();
        account.set(4 * step).unwrap();
        assert_eq!(
            account.set(4 * step + 1),
            Err(SparqlError::QueryMemoryExceeded {
                memory_bytes_max: 4 * STEP_BYTES
            })
        );
        let mut other = pool.budget().account();
        other.set(1).unwrap();
        assert_eq!(
            other.set(step + 1),
            Err(SparqlError::MemoryBusy {
                memory_bytes_max: 5 * STEP_BYTES
            })
        );
        assert_eq!(pool.used_bytes(), 5 * STEP_BYTES);
        drop((account, other));
        assert_eq!(pool.used_bytes(), 0);
    }
}
