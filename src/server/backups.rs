//! Backups by the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;

use crate::backup::{BackupError, Backups, list};

/// Makes a backup again and again, the first one as soon as the newest that there is is old enough, until the server drains.
/// Without an interval it only looks what there is, for the counts.
pub(super) async fn back_up(backups: Backups, every: Option<Duration>, drain: CancellationToken) {
    let age = age(&backups).await;
    let Some(every) = every else { return };
    let mut wait = every.saturating_sub(age);
    loop {
        tokio::select! {
            () = drain.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = every;
        let Some(turn) = backups.turn() else {
            tracing::warn!("no backup now: another is being made or verified");
            continue;
        };
        let (backups, drain) = (backups.clone(), drain.clone());
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            // What it came to is logged and counted there.
            let _ = backups.create(&mut |_| !drain.is_cancelled());
        });
        if let Err(error) = made.await {
            tracing::error!(%error, "the backup failed");
        }
    }
}

/// Returns how long ago the newest backup was made; for ever, if there is none.
async fn age(backups: &Backups) -> Duration {
    let listing = backups.clone();
    let listed = tokio::task::spawn_blocking(move || {
        let listed = list(listing.place())?;
        let newest = listed.last().ok_or(BackupError::None)?;
        let is_of_log = listing.tell(newest);
        Ok::<_, BackupError>((newest.made_at_us, is_of_log))
    });
    match listed.await {
        Ok(Ok((_, false))) => {
            tracing::warn!(
                "the backups are not of this log, or it no longer reaches back to them: they cannot go on"
            );
            Duration::MAX
        }
        Ok(Ok((made_at_us, true))) => {
            let made_at = UNIX_EPOCH + Duration::from_micros(made_at_us);
            SystemTime::now().duration_since(made_at).unwrap_or_default()
        }
        Ok(Err(BackupError::None)) => {
            backups.tell_none();
            Duration::MAX
        }
        Err(_) => Duration::MAX,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the backups cannot be listed");
            Duration::MAX
        }
    }
}
