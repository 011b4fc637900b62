//! What a caller may do.

use super::{Caller, Credential};
use crate::model::access::{Access, GraphSet};

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
    /// Returns what a caller may do; `None`: nothing. The roles are `read` and `write`, of all graphs, and `admin`.
    pub fn access(&self, caller: &Caller) -> Option<Access> {
        if caller.credential == Credential::None {
            return Some(self.everybody.clone());
        }
        let has = |role: &str| caller.roles.iter().any(|name| name == role);
        let (all, none) = (GraphSet::everything(), GraphSet::default());
        let writes = if has("write") { all.clone() } else { none };
        if !has("admin") && !has("write") && !has("read") {
            return None;
        }
        // The same name by another credential is another caller.
        let subject = format!("{}:{}", caller.credential.name(), caller.subject);
        Some(Access::new(subject, all, writes, has("admin")).by(&caller.subject))
    }
}
