//! The audit log: who wrote what, and who was denied what. One JSON object a line; no secret and nothing of the graph is in it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write},
    net::SocketAddr,
    path::Path,
    process,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use prometheus_client::metrics::counter::Counter;
use serde_json::{Map, Value};

use crate::{
    auth::Caller,
    config::AuditPlace,
    model::access::{Changed, Witness},
};

/// Denials in a second that are told one by one; of those above it only how many there were.
const DENIALS_PER_SECOND_MAX: u64 = 100;
const TEXT_BYTES_MAX: usize = 256;

/// The audit log of a server. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Audit(Option<Arc<Sink>>);

struct Sink {
    lines: Mutex<Lines>,
    denials: Mutex<Denials>,
    /// Lines that could not be written.
    failures: Counter,
}

/// Where lines go.
struct Lines {
    to: Box<dyn Write + Send>,
    /// Whether there is a part of a line at the end, for want of room: the next one must not be put behind it.
    is_torn: bool,
}

impl Lines {
    fn write(&mut self, line: &str) -> io::Result<()> {
        let text = format!("{}{line}\n", if self.is_torn { "\n" } else { "" });
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let written = match self.to.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.is_torn = rest[written - 1] != b'\n';
            rest = &rest[written..];
        }
        self.to.flush()
    }
}

/// Tells whether a file ends within a line. Whoever may not read it is not told.
fn is_torn(path: &Path) -> bool {
    let last = || {
        let mut last = [0];
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        Ok::<_, io::Error>(last)
    };
    path.is_file() && last().is_ok_and(|last| last != [b'\n'])
}

#[derive(Default)]
struct Denials {
    second: u64,
    count: u64,
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

/// Why somebody was denied something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Denial<'d> {
    /// Who it was, if that is known.
    pub(super) caller: Option<&'d Caller>,
    pub(super) peer: Option<SocketAddr>,
    /// The path of the call or request.
    pub(super) path: &'d str,
    /// What the caller heard.
    pub(super) reason: &'d str,
    /// What the operator hears.
    pub(super) cause: &'d str,
}

impl Audit {
    /// Opens the log, to add to what is there. Lines that cannot be written are counted.
    pub(super) fn open(place: Option<&AuditPlace>, failures: Counter) -> io::Result<Self> {
        let lines = match place {
            None => return Ok(Self(None)),
            Some(AuditPlace::Stderr) => Lines {
                to: Box::new(io::stderr()),
                is_torn: false,
            },
            Some(AuditPlace::File(path)) => Lines {
                to: Box::new(File::options().create(true).append(true).open(path)?),
                is_torn: is_torn(path),
            },
        };
        Ok(Self::to(lines, failures))
    }

    fn to(lines: Lines, failures: Counter) -> Self {
        Self(Some(Arc::new(Sink {
            lines: Mutex::new(lines),
            denials: Mutex::default(),
            failures,
        })))
    }

    /// Looks whether the log could be opened, and makes none.
    pub(super) fn check(place: Option<&AuditPlace>) -> io::Result<()> {
        let Some(AuditPlace::File(path)) = place else {
            return Ok(());
        };
        match File::options().append(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // One of this name a server might have opened by the time it is removed.
                let mut name = path.file_name().ok_or(error)?.to_owned();
                name.push(format!(".check-{}", process::id()));
                let other = path.with_file_name(name);
                File::create_new(&other)?;
                fs::remove_file(&other)
            }
            opened => opened.map(drop),
        }
    }

    /// Tells of a denial.
    pub(super) fn denied(&self, denial: Denial<'_>) {
        let Some(sink) = &self.0 else {
            return;
        };
        let Some(passed_over) = sink.admit_denial(seconds()) else {
            return;
        };
        let mut line = line("denial", denial.caller, denial.peer, denial.path);
        line.insert("reason".to_owned(), denial.reason.into());
        line.insert("cause".to_owned(), denial.cause.into());
        if passed_over > 0 {
            line.insert("denials_passed_over".to_owned(), passed_over.into());
        }
        sink.write(line);
    }

    /// Returns what tells of a request that was let in; `None` without a log.
    pub(super) fn request(
        &self,
        caller: &Arc<Caller>,
        peer: Option<SocketAddr>,
        path: &str,
    ) -> Option<Arc<AuditedRequest>> {
        self.0.as_ref()?;
        Some(Arc::new(AuditedRequest {
            audit: self.clone(),
            caller: Arc::clone(caller),
            peer,
            path: path.to_owned(),
        }))
    }

    fn write(&self, line: Map<String, Value>) {
        if let Some(sink) = &self.0 {
            sink.write(line);
        }
    }
}

/// A request that was let in: it may commit, or be denied what it asks for.
#[derive(Debug)]
pub(super) struct AuditedRequest {
    audit: Audit,
    caller: Arc<Caller>,
    peer: Option<SocketAddr>,
    path: String,
}

impl AuditedRequest {
    /// Tells of what its caller may not do.
    pub(super) fn denied(&self, reason: &str) {
        self.audit.denied(Denial {
            caller: Some(&self.caller),
            peer: self.peer,
            path: &self.path,
            reason,
            cause: "not permitted",
        });
    }
}

impl Witness for AuditedRequest {
    fn committed(&self, revision: u64, changed: Changed) {
        let mut line = line("write", Some(&self.caller), self.peer, &self.path);
        line.insert("revision".to_owned(), revision.into());
        for (name, count) in [
            ("quads_inserted", changed.quads_inserted),
            ("quads_removed", changed.quads_removed),
            ("graphs_created", changed.graphs_created),
            ("graphs_dropped", changed.graphs_dropped),
        ] {
            line.insert(name.to_owned(), count.into());
        }
        self.audit.write(line);
    }

    fn erased(&self, revision: u64, record_count: u64) {
        let mut line = line("erasure", Some(&self.caller), self.peer, &self.path);
        line.insert("revision".to_owned(), revision.into());
        line.insert("record_count".to_owned(), record_count.into());
        self.audit.write(line);
    }

    fn lapsed(&self, cause: &str) {
        let mut line = line("lapse", Some(&self.caller), self.peer, &self.path);
        line.insert("cause".to_owned(), cause.into());
        self.audit.write(line);
    }
}

impl Sink {
    fn write(&self, line: Map<String, Value>) {
        let text = Value::Object(line).to_string();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = lines.write(&text) {
            self.failures.inc();
            tracing::error!(%error, "the audit log cannot be written");
        }
    }

    /// Returns how many were passed over before, or `None` if this one is to be passed over too: a flood of denials must not fill
    /// the disk.
    fn admit_denial(&self, second: u64) -> Option<u64> {
        let mut denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        let mut passed_over = 0;
        if denials.second != second {
            passed_over = denials.count.saturating_sub(DENIALS_PER_SECOND_MAX);
            *denials = Denials { second, count: 0 };
        }
        denials.count += 1;
        (denials.count <= DENIALS_PER_SECOND_MAX).then_some(passed_over)
    }
}

fn line(event: &str, caller: Option<&Caller>, peer: Option<SocketAddr>, path: &str) -> Map<String, Value> {
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let mut line = Map::new();
    line.insert("time".to_owned(), time.into());
    line.insert("event".to_owned(), event.into());
    line.insert(
        "subject".to_owned(),
        caller.map(|caller| caller.subject.clone()).into(),
    );
    let credential = caller.map(|caller| caller.credential.name());
    line.insert("credential".to_owned(), credential.into());
    line.insert("peer".to_owned(), peer.map(|peer| peer.to_string()).into());
    // Without the query of a URL, which could have what it is about.
    line.insert("method".to_owned(), cut(path).into());
    line
}

/// Returns as much of a path as is told: a stranger may have made it up.
pub(super) fn cut(path: &str) -> &str {
    &path[..path.floor_char_boundary(TEXT_BYTES_MAX)]
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    use std::{
        path::PathBuf,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[test]
    fn a_flood_of_denials_is_counted_and_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let audit = Audit::open(Some(&AuditPlace::File(path)), Counter::default()).unwrap();
        let sink = audit.0.unwrap();
        let told = (0..1_000).filter(|_| sink.admit_denial(1) == Some(0)).count();
        assert_eq!(told, 100);
        assert_eq!(sink.admit_denial(2), Some(900));
        assert_eq!(sink.admit_denial(2), Some(0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let failures = Counter::default();
        let full = AuditPlace::File("/dev/full".into());
        let audit = Audit::open(Some(&full), failures.clone()).unwrap();
        let caller = Arc::new(Caller::anonymous());
        let request = audit.request(&caller, None, "/").unwrap();
        request.committed(1, Changed::default());
        request.denied("NO_ROLE");
        assert_eq!(failures.get(), 2);
    }

    /// Takes bytes as long as there is room, as a disk does.
    struct Disk {
        path: PathBuf,
        room: Arc<AtomicUsize>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.room.load(Ordering::Relaxed).min(bytes.len());
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room.fetch_sub(room, Ordering::Relaxed);
            let mut file = File::options().create(true).append(true).open(&self.path)?;
            file.write(&bytes[..room])
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_written_in_part_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (path, failures) = (folder.path().join("audit"), Counter::default());
        let room = Arc::new(AtomicUsize::new(0));
        let disk = Disk {
            path: path.clone(),
            room: Arc::clone(&room),
        };
        let lines = Lines {
            to: Box::new(disk),
            is_torn: false,
        };
        let audit = Audit::to(lines, failures.clone());
        let caller = Arc::new(Caller::anonymous());
        let revisions = |audit: &Audit, rooms: &[usize]| {
            let request = audit.request(&caller, None, "/").unwrap();
            for (revision, &bytes) in (1..).zip(rooms) {
                room.store(bytes, Ordering::Relaxed);
                request.committed(revision, Changed::default());
            }
            let text = fs::read_to_string(&path).unwrap();
            let whole = text
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            (
                whole
                    .map(|line| line["revision"].as_u64().unwrap())
                    .collect::<Vec<_>>(),
                text.lines().count(),
            )
        };
        // Nothing, a part, the end of that line alone, a part again, then there is room.
        let rooms = [1_000, 0, 1_000, 10, 0, 1, 20, 1_000, 1_000];
        assert_eq!(revisions(&audit, &rooms), (vec![1, 3, 8, 9], 6));
        assert_eq!(failures.get(), 5);
        // Another process goes on behind such a part.
        revisions(&audit, &[10]);
        let audit = Audit::open(Some(&AuditPlace::File(path.clone())), failures).unwrap();
        assert_eq!(revisions(&audit, &[1, 1]), (vec![1, 3, 8, 9, 1, 2], 9));
    }
}
