//! What a caller may do, by the policy.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Caller, Policy};
use crate::model::access::Access;

/// Says what callers may do. Clones ask the same policy.
#[derive(Clone, Debug, Default)]
pub struct Authorizer {
    policy: Arc<ArcSwap<Policy>>,
}

impl Authorizer {
    /// Returns one that asks the newest policy each time.
    pub fn new(policy: Arc<ArcSwap<Policy>>) -> Self {
        Self { policy }
    }

    /// Returns what a caller may do; `None`: nothing.
    pub fn access(&self, caller: &Caller) -> Option<Access> {
        self.policy.load().access(caller)
    }
}
