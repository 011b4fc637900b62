//! The log of slow queries: what took long, how it ran and ended, and never its text, except where everything is logged.

mod plan;

use std::{sync::atomic::Ordering, thread, time::Duration};

use super::{QueryForm, registry::Entry};
pub(super) use plan::{SlowPlan, UpdateWatch, Watch};

/// Logs a query or update that has ended, if it took `slow_after` or longer.
pub(super) fn log(entry: &Entry, slow_after: Duration) {
    let elapsed = entry.elapsed();
    if elapsed < slow_after {
        return;
    }
    let outcome = match (entry.outcome.get(), entry.interrupt.check()) {
        (Some(outcome), _) => outcome.as_ref(),
        (None, _) if thread::panicking() => "PANICKED",
        // It never ran, or its caller went away while it did.
        (None, Err(cause)) => cause.name(),
        (None, Ok(())) => "UNKNOWN",
    };
    let form = match entry.form.get() {
        Some(QueryForm::Select) => "SELECT",
        Some(QueryForm::Ask) => "ASK",
        Some(QueryForm::Construct) => "CONSTRUCT",
        Some(QueryForm::Describe) => "DESCRIBE",
        None if entry.is_update.load(Ordering::Relaxed) => "UPDATE",
        None => "",
    };
    let waited = entry.waited.get().copied().unwrap_or(elapsed);
    let plan = entry.plan.get();
    tracing::warn!(
        query_id = entry.query_id,
        method = entry.method,
        form,
        text_sha256 = entry.hash.get().map(tracing::field::display),
        elapsed_ms = milliseconds(elapsed),
        waited_ms = milliseconds(waited),
        row_count = entry.row_count.load(Ordering::Relaxed),
        revision = entry.revision.get(),
        outcome,
        plan = plan.map(|plan| plan.shape.as_str()),
        "slow query"
    );
    if let Some(text) = entry.text.get() {
        let plan = plan.and_then(|plan| plan.whole.as_deref());
        tracing::debug!(query_id = entry.query_id, text, plan, "text of a slow query");
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
