//! Fetches for a query or an update: within its deadline and its memory.

use std::sync::Arc;

use super::{
    Interrupt, SparqlError,
    memory::{Account, Budget},
};
use crate::remote::{Answer, FetchError, FetchLimits, Request, Target, Watch};

/// Fetches a URL. The body counts as taken until the account is dropped.
pub(super) fn fetch(
    target: &Target,
    request: Request<'_>,
    limits: FetchLimits,
    interrupt: &Interrupt,
    budget: &Budget,
) -> Result<(Answer, Account), SparqlError> {
    let mut account = budget.account();
    let mut too_much = None;
    let stop = interrupt.clone();
    let watch = Watch {
        deadline: interrupt.deadline(),
        is_stopped: Arc::new(move || stop.check().is_err()),
    };
    let fetched = target.fetch(request, limits, &watch, &mut |bytes| match account.set(bytes) {
        Ok(()) => true,
        Err(error) => {
            too_much = Some(error);
            false
        }
    });
    interrupt.check()?;
    match fetched {
        Ok(answer) => Ok((answer, account)),
        Err(error) => Err(too_much.unwrap_or_else(|| failed(target, &error))),
    }
}

fn failed(target: &Target, error: &FetchError) -> SparqlError {
    SparqlError::Remote {
        url: target.to_string(),
        message: error.to_string(),
    }
}
