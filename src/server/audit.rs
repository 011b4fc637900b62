//! The audit log: who wrote what, and who was denied what. One JSON object a line; no secret and nothing of the graph is in it.

use std::{
    fs::{self, File},
    io::{self, Write},
    net::SocketAddr,
    path::Path,
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
    writer: Mutex<Box<dyn Write + Send>>,
    denials: Mutex<Denials>,
    /// Lines that could not be written.
    failures: Counter,
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
        let writer: Box<dyn Write + Send> = match place {
            None => return Ok(Self(None)),
            Some(AuditPlace::Stderr) => Box::new(io::stderr()),
            Some(AuditPlace::File(path)) => Box::new(File::options().create(true).append(true).open(path)?),
        };
        Ok(Self(Some(Arc::new(Sink {
            writer: Mutex::new(writer),
            denials: Mutex::default(),
            failures,
        }))))
    }

    /// Looks whether the log could be opened, and makes no file.
    pub(super) fn check(place: Option<&AuditPlace>) -> io::Result<()> {
        let Some(AuditPlace::File(path)) = place else {
            return Ok(());
        };
        match File::options().append(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                fs::read_dir(folder.unwrap_or(Path::new("."))).map(drop)
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
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writer.write_all(text.as_bytes()).and_then(|()| writer.flush()) {
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
}
