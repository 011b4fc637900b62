//! Values that are made of files, and made anew when the files change: certificates, tokens, policies.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often the log says that they still cannot be read.
const SAY_INTERVAL: Duration = Duration::from_mins(1);

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
    /// How many of all such values are not what their files are now.
    stale: Gauge,
    state: Mutex<State>,
}

struct State {
    /// What the value was made of.
    seen: Vec<Option<Seen>>,
    /// What the log said last of why it cannot be made anew, and when.
    fault: Option<(String, Instant)>,
}

/// What tells a file from the one before it.
#[derive(Debug, Eq, PartialEq)]
struct Seen {
    length: u64,
    modified: (i64, i64),
    /// Also when its owner and mode last changed: it may be readable since.
    changed: (i64, i64),
    inode: u64,
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
        let state = State {
            seen: look(&paths),
            fault: None,
        };
        let value = Arc::new(ArcSwap::from_pointee(make()?));
        Ok(Self {
            what,
            paths,
            make: Box::new(make),
            value,
            renewed: watch::Sender::default(),
            stale: Gauge::default(),
            state: Mutex::new(state),
        })
    }

    /// Marks `renewed` whenever the value is another, and counts it in `stale` as long as it cannot be made anew.
    pub(super) fn telling(mut self, renewed: &watch::Sender<()>, stale: &Gauge) -> Self {
        (self.renewed, self.stale) = (renewed.clone(), stale.clone());
        self
    }

    /// Returns where the newest value is.
    pub(super) fn value(&self) -> Arc<ArcSwap<T>> {
        Arc::clone(&self.value)
    }

    /// Makes the value anew whenever a file has changed, and on SIGHUP. If that cannot be done it is told, what was before
    /// stays, and it is tried again with each look: what was in the way need not be seen in the files.
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
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.seen == now && !in_any_case {
            // What is there again is what the value was made of.
            self.set_fault(&mut state, None);
            return;
        }
        match (self.make)() {
            Ok(value) => {
                state.seen = now;
                self.set_fault(&mut state, None);
                self.value.store(Arc::new(value));
                self.renewed.send_replace(());
                tracing::info!("{} were read anew", self.what);
            }
            Err(error) => self.set_fault(&mut state, Some(error.to_string())),
        }
    }

    fn set_fault(&self, state: &mut State, fault: Option<String>) {
        match (&fault, &state.fault) {
            (Some(fault), Some((said, at))) if fault == said && at.elapsed() < SAY_INTERVAL => return,
            (Some(_), None) => _ = self.stale.inc(),
            (None, Some(_)) => _ = self.stale.dec(),
            _ => {}
        }
        if let Some(error) = &fault {
            tracing::error!(%error, "{} cannot be read anew: what was before stays", self.what);
        }
        state.fault = fault.map(|fault| (fault, Instant::now()));
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
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            path: fs::canonicalize(path).ok()?,
        })
    };
    paths.iter().map(|path| seen(path)).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        os::unix::fs::PermissionsExt as _,
        sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    };

    use super::*;

    /// Changes a file until it is seen to be another: the clock of its file system may tick some hundred times a second.
    fn change(path: &Path, change: impl Fn()) {
        let paths = [path.to_owned()];
        let before = look(&paths);
        while look(&paths) == before {
            change();
        }
    }

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
        // As long, and as old by what others can set.
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        change(&path, || {
            fs::write(&path, "33").unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(modified).unwrap();
        });
        check(33);
    }

    #[test]
    fn what_could_not_be_read_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        fs::write(&path, "all").unwrap();
        let in_the_way = Arc::new(AtomicBool::new(false));
        let read_count = Arc::new(AtomicUsize::new(0));
        let read = {
            let (path, in_the_way, read_count) =
                (path.clone(), Arc::clone(&in_the_way), Arc::clone(&read_count));
            move || {
                read_count.fetch_add(1, Relaxed);
                if in_the_way.load(Relaxed) {
                    return Err(io::Error::from(io::ErrorKind::PermissionDenied));
                }
                fs::read_to_string(&path)
            }
        };
        let (renewed, stale) = (watch::Sender::default(), Gauge::default());
        let fresh = Fresh::load("tokens", vec![path.clone()], read).unwrap();
        let fresh = fresh.telling(&renewed, &stale);
        let check = |expected: &str, reads: usize, is_stale: i64| {
            fresh.refresh(false);
            assert_eq!(**fresh.value().load(), expected);
            assert_eq!(read_count.load(Relaxed), reads);
            assert_eq!(stale.get(), is_stale);
        };
        check("all", 1, 0);
        // One is taken back, in a file that cannot be read yet.
        in_the_way.store(true, Relaxed);
        fs::write(&path, "fewer").unwrap();
        check("all", 2, 1);
        check("all", 3, 1);
        // Nothing of the file changes with what was in the way.
        in_the_way.store(false, Relaxed);
        let told = renewed.subscribe();
        check("fewer", 4, 0);
        assert!(told.has_changed().unwrap());
        check("fewer", 4, 0);
        // Another mode or owner is looked at, too.
        change(&path, || {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        });
        check("fewer", 5, 0);
        // What is taken away and comes back as it was is not stale.
        let away = folder.path().join("away");
        fs::rename(&path, &away).unwrap();
        check("fewer", 6, 1);
        fs::rename(&away, &path).unwrap();
        change(&path, || {
            fs::rename(&path, &away).unwrap();
            fs::rename(&away, &path).unwrap();
        });
        check("fewer", 7, 0);
        // Told to, it reads what looks the same.
        fresh.refresh(true);
        check("fewer", 8, 0);
    }
}
