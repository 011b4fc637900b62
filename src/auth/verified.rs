//! JWTs that were verified before: a signature costs more than a lookup, and callers show the same token with each call.
//!
//! A token is known by its SHA-256, and only as long as the keys are those that verified it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{AuthError, KeySet, Shown, token::Hash};

/// Tokens that are kept at hand. With one more all are forgotten: each is verified once more, and no more.
const COUNT_MAX: usize = 4_096;

/// The tokens.
#[derive(Debug, Default)]
pub(super) struct Verified(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The keys that have verified them.
    keys: Option<Arc<KeySet>>,
    shown: HashMap<Hash, Shown>,
}

impl State {
    /// Forgets what other keys have verified.
    fn hold_to(&mut self, keys: &Arc<KeySet>) {
        if !self.keys.as_ref().is_some_and(|known| Arc::ptr_eq(known, keys)) {
            self.shown.clear();
            self.keys = Some(Arc::clone(keys));
        }
    }
}

impl Verified {
    /// Returns what a token of a hash has shown, if these keys have verified it; an error once its time is over.
    pub(super) fn find(&self, keys: &Arc<KeySet>, hash: &Hash, now: u64) -> Option<Result<Shown, AuthError>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.hold_to(keys);
        let shown = state.shown.get(hash)?;
        if shown.expires_at().is_some_and(|expires_at| now >= expires_at) {
            state.shown.remove(hash);
            return Some(Err(AuthError::Expired));
        }
        Some(Ok(shown.clone()))
    }

    /// Keeps what a token has shown, which these keys have verified.
    pub(super) fn keep(&self, keys: &Arc<KeySet>, hash: Hash, shown: Shown) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.hold_to(keys);
        if state.shown.len() >= COUNT_MAX {
            state.shown.clear();
        }
        state.shown.insert(hash, shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Caller, Credential, tenure::Evidence};

    fn shown(expires_at: u64) -> Shown {
        let caller = Caller {
            subject: "s".to_owned(),
            roles: Vec::new(),
            credential: Credential::Jwt,
        };
        let hash = [0; 32];
        let expires_at = Some(expires_at);
        Shown {
            caller: Arc::new(caller),
            evidence: Evidence::Token { hash, expires_at },
        }
    }

    #[test]
    fn a_token_is_kept_until_its_end_and_under_its_keys() {
        let verified = Verified::default();
        let (keys, others) = (Arc::<KeySet>::default(), Arc::<KeySet>::default());
        let hash = [1; 32];
        assert_eq!(verified.find(&keys, &hash, 0), None);
        verified.keep(&keys, hash, shown(10));
        assert_eq!(verified.find(&keys, &hash, 9), Some(Ok(shown(10))));
        assert_eq!(verified.find(&keys, &[2; 32], 9), None);
        assert_eq!(verified.find(&keys, &hash, 10), Some(Err(AuthError::Expired)));
        verified.keep(&keys, hash, shown(10));
        // The same keys, read anew, may have been others in between.
        assert_eq!(verified.find(&others, &hash, 9), None);
        assert_eq!(verified.find(&keys, &hash, 9), None);
    }

    #[test]
    fn so_many_are_kept_and_no_more() {
        let verified = Verified::default();
        let keys = Arc::<KeySet>::default();
        let count = || verified.0.lock().unwrap().shown.len();
        for number in 0..COUNT_MAX {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&number.to_le_bytes());
            verified.keep(&keys, hash, shown(10));
        }
        assert_eq!(count(), COUNT_MAX);
        verified.keep(&keys, [7; 32], shown(10));
        assert_eq!(count(), 1);
    }
}
