//! Values that are made of files, and made anew when the files change: certificates, tokens, policies.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

type Make<T, E> = Box<dyn Fn() -> Result<T, E> + Send + Sync>;

/// A value that is made of files.
pub(super) struct Fresh<T, E> {
    /// What it is, for the log: `the TLS certificates`.
    what: &'static str,
    paths: Vec<PathBuf>,
    make: Make<T, E>,
    value: Arc<ArcSwap<T>>,
    /// Marked whenever the value is another.
    renewed: watch::Sender<()>,
    seen: Mutex<Vec<Option<Seen>>>,
}

/// What tells a file from the one before it.
#[derive(Debug, Eq, PartialEq)]
struct Seen {
    length: u64,
    modified: Option<SystemTime>,
    path: PathBuf,
}

impl<T, E> Fresh<T, E>
where
    T: Send + Sync + 'static,
    E: std::fmt::Display + 'static,
{
    /// Makes the value for the first time. `make` reads the files at `paths`, and may block.
    pub(super) fn load(
        what: &'static str,
        paths: Vec<PathBuf>,
        make: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        // Looked at first: what changes meanwhile is seen to have changed.
        let seen = Mutex::new(look(&paths));
        let value = Arc::new(ArcSwap::from_pointee(make()?));
        Ok(Self {
            what,
            paths,
            make: Box::new(make),
            value,
            renewed: watch::Sender::default(),
            seen,
        })
    }

    /// Marks `renewed` whenever the value is another.
    pub(super) fn telling(mut self, renewed: &watch::Sender<()>) -> Self {
        self.renewed = renewed.clone();
        self
    }

    /// Returns where the newest value is.
    pub(super) fn value(&self) -> Arc<ArcSwap<T>> {
        Arc::clone(&self.value)
    }

    /// Makes the value anew whenever a file has changed, and on SIGHUP. If that cannot be done it is told, and what was before
    /// stays.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // Without signals there are still the ticks.
        let mut hang_ups = signal(SignalKind::hangup()).ok();
        loop {
            let is_told = tokio::select! {
                _ = ticks.tick() => false,
                () = received(&mut hang_ups) => true,
            };
            let this = Arc::clone(&self);
            // Files may be on a network.
            let _ = tokio::task::spawn_blocking(move || this.refresh(is_told)).await;
        }
    }

    /// Makes the value anew if a file has changed, or in any case.
    pub(super) fn refresh(&self, in_any_case: bool) {
        let now = look(&self.paths);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now && !in_any_case {
            return;
        }
        *seen = now;
        match (self.make)() {
            Ok(value) => {
                self.value.store(Arc::new(value));
                self.renewed.send_replace(());
                tracing::info!("{} were read anew", self.what);
            }
            Err(error) => {
                tracing::error!(%error, "{} cannot be read anew: what was before stays", self.what);
            }
        }
    }
}

/// Waits for the next signal; for ever where there are none.
pub(super) async fn received(signals: &mut Option<Signal>) {
    match signals {
        Some(signals) => drop(signals.recv().await),
        None => std::future::pending().await,
    }
}

/// Looks at the files. A mounted secret of Kubernetes is a link that is put elsewhere, so the path behind it counts.
fn look(paths: &[PathBuf]) -> Vec<Option<Seen>> {
    let seen = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some(Seen {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            path: fs::canonicalize(path).ok()?,
        })
    };
    paths.iter().map(|path| seen(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        let read = {
            let path = path.clone();
            move || {
                fs::read_to_string(&path)
                    .map_err(|error| error.to_string())?
                    .parse::<u32>()
                    .map_err(|error| error.to_string())
            }
        };
        assert!(Fresh::load("numbers", vec![path.clone()], read.clone()).is_err());
        fs::write(&path, "1").unwrap();
        let fresh = Fresh::load("numbers", vec![path.clone()], read).unwrap();
        let check = |expected: u32| {
            fresh.refresh(false);
            assert_eq!(**fresh.value().load(), expected);
        };
        check(1);
        for faulty in ["", "none"] {
            fs::write(&path, faulty).unwrap();
            check(1);
        }
        fs::remove_file(&path).unwrap();
        check(1);
        fs::write(&path, "22").unwrap();
        check(22);
        // Told to, it reads also what looks the same.
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "33").unwrap();
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(modified)
            .unwrap();
        check(22);
        fresh.refresh(true);
        check(33);
    }
}
