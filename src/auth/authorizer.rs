//! What a caller may do.

use super::{Caller, Credential};
use crate::model::access::Access;

/// Says what callers may do.
#[derive(Debug)]
pub struct Authorizer {
    /// Where nobody is asked who they are, everybody may do this.
    everybody: Access,
}

impl Default for Authorizer {
    /// Returns one that knows nobody.
    fn default() -> Self {
        Self {
            everybody: Access::everything(),
        }
    }
}

impl Authorizer {
    /// Returns what a caller may do; `None`: nothing.
    pub fn access(&self, caller: &Caller) -> Option<Access> {
        (caller.credential == Credential::None).then(|| self.everybody.clone())
    }
}
