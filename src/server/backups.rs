//! Backups by the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;

use crate::backup::{BackupError, Backups, list};

/// The pause after the place could not be read, or no backup was made: the first one of those that grow up to the interval.
const LOOK_PAUSE: Duration = Duration::from_mins(1);

/// Looks what backups there are, until it is known. Makes one again and again, the first one as soon as the newest that there is is
/// old enough, until the server drains. Without an interval it only looks, for the counts and for the retention of the log.
pub(super) async fn back_up(backups: Backups, every: Option<Duration>, drain: CancellationToken) {
    let known = until_known(|| age(backups.clone()), LOOK_PAUSE, &drain).await;
    let (Some(age), Some(every)) = (known, every) else {
        return;
    };
    let mut wait = every.saturating_sub(age);
    let mut pause = LOOK_PAUSE;
    loop {
        tokio::select! {
            () = drain.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        let Some(turn) = backups.turn() else {
            tracing::warn!("no backup now: another is being made or verified");
            wait = next_wait(false, every, &mut pause);
            continue;
        };
        let (backups, drain) = (backups.clone(), drain.clone());
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            // What it came to is logged and counted there.
            backups.create(&mut |_| !drain.is_cancelled()).is_ok()
        });
        let is_made = made.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the backup failed");
            false
        });
        wait = next_wait(is_made, every, &mut pause);
    }
}

/// Returns how long to wait for the next backup: the interval, or after one that was not made a pause, which the next one doubles.
fn next_wait(is_made: bool, every: Duration, pause: &mut Duration) -> Duration {
    if is_made {
        *pause = LOOK_PAUSE;
        return every;
    }
    let wait = every.min(*pause);
    *pause = wait.saturating_mul(2);
    wait
}

/// Looks again and again until something is known; nothing if the server drains.
async fn until_known<T, L: Future<Output = Option<T>>>(
    look: impl Fn() -> L,
    pause: Duration,
    drain: &CancellationToken,
) -> Option<T> {
    loop {
        if let Some(known) = look().await {
            return Some(known);
        }
        tokio::select! {
            () = drain.cancelled() => return None,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Returns how long ago the newest backup was made; for ever, if there is none. `None`: nobody can tell now.
async fn age(backups: Backups) -> Option<Duration> {
    let listing = backups.clone();
    let listed = tokio::task::spawn_blocking(move || {
        let listed = list(listing.place())?;
        let newest = listed.last().ok_or(BackupError::None)?;
        let is_of_log = listing.tell(newest)?;
        Ok::<_, BackupError>((newest.made_at_us, is_of_log))
    });
    match listed.await {
        Ok(Ok((_, false))) => {
            tracing::warn!(
                "the backups are not of this log, or it no longer reaches back to them: they cannot go on"
            );
            Some(Duration::MAX)
        }
        Ok(Ok((made_at_us, true))) => {
            let made_at = UNIX_EPOCH + Duration::from_micros(made_at_us);
            Some(SystemTime::now().duration_since(made_at).unwrap_or_default())
        }
        Ok(Err(BackupError::None)) => {
            backups.tell_none();
            Some(Duration::MAX)
        }
        Err(_) => None,
        Ok(Err(error)) => {
            backups.tell_unknown(&error);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::ready};

    use super::*;
    use crate::{
        backup::Place,
        knowledge::{KnowledgeBase, Settings},
    };

    #[tokio::test]
    async fn a_place_that_cannot_be_read_counts_as_a_backup_that_failed() {
        let folder = tempfile::tempdir().unwrap();
        let knowledge = KnowledgeBase::open(Settings {
            disk_free_bytes_min: 0,
            ..Settings::new(folder.path().join("data"))
        })
        .unwrap();
        let path = folder.path().join("backups");
        let backups = Backups::new(knowledge, Place::open(path.to_str().unwrap()).unwrap());
        assert_eq!(age(backups.clone()).await, Some(Duration::MAX));
        assert_eq!(backups.told().failure_count, 0);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::write(&path, "no folder").unwrap();
        assert_eq!(age(backups.clone()).await, None);
        assert_eq!(backups.told().failure_count, 1);
    }

    #[test]
    fn what_was_not_made_is_tried_again_soon_and_then_less_often() {
        let mut pause = LOOK_PAUSE;
        let mut minutes =
            |is_made, every| next_wait(is_made, Duration::from_mins(every), &mut pause).as_secs() / 60;
        let waits: Vec<_> = (0..5).map(|_| minutes(false, 10)).collect();
        assert_eq!(waits, [1, 2, 4, 8, 10]);
        assert_eq!(
            [true, false, false].map(|is_made| minutes(is_made, 10)),
            [10, 1, 2]
        );
    }

    #[tokio::test]
    async fn it_is_looked_again_until_it_is_known_or_the_server_drains() {
        let (looks, drain) = (Cell::new(0), CancellationToken::new());
        let look = || {
            looks.set(looks.get() + 1);
            ready((looks.get() == 3).then_some("known"))
        };
        assert_eq!(until_known(look, Duration::ZERO, &drain).await, Some("known"));
        assert_eq!(looks.get(), 3);
        let look = || {
            drain.cancel();
            ready(None::<()>)
        };
        assert_eq!(until_known(look, Duration::MAX, &drain).await, None);
    }
}
