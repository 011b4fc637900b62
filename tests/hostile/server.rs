//! The server: a process of its own under a memory limit.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;

use crate::process::{self, wait_until_it_serves};

/// Memory that the process may take, whatever is asked of it.
pub(crate) const MEMORY_BYTES_MAX: u64 = 2 << 30;

/// Names a release build to attack, instead of the program that was built with this test.
const RELEASE: &str = "DOSSIER_HOSTILE_RELEASE";

/// Tells whether a release build is attacked: what is promised is asked of it, and less of one without optimisation.
pub(crate) fn is_release() -> bool {
    !cfg!(debug_assertions) || env::var_os(RELEASE).is_some()
}

fn program() -> PathBuf {
    env::var_os(RELEASE).map_or_else(|| env!("CARGO_BIN_EXE_dossier").into(), PathBuf::from)
}

/// Waits until no other test of this process attacks: they measure, and would be in each other's way.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running server; it ends with this.
pub(crate) struct Server {
    child: Child,
    url: String,
    _limit: Option<MemoryGroup>,
    /// Held so that it stays.
    folder: Option<TempDir>,
}

/// Bytes of memory that a process takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    /// The most since the last [`Server::forget_peak`].
    pub(crate) peak: u64,
}

impl Server {
    /// Starts an empty server on a free port and waits until it says that it serves.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_with(flags, None)
    }

    /// As [`Self::start`], with at most so many file descriptors.
    pub(crate) fn start_with(flags: &[&str], descriptor_count_max: Option<u32>) -> Self {
        let folder = TempDir::new().unwrap();
        let mut server = Self::start_in(folder.path(), flags, descriptor_count_max);
        server.folder = Some(folder);
        server
    }

    /// As [`Self::start_with`], on the data of a folder.
    pub(crate) fn start_in(folder: &Path, flags: &[&str], descriptor_count_max: Option<u32>) -> Self {
        let limit = MemoryGroup::make();
        // Joins the group, then becomes the server: all of its memory counts.
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                r#"echo $$ >"$0"; [ "$1" = 0 ] || ulimit -n "$1"; shift; exec "$@""#,
            ])
            .arg(
                limit
                    .as_ref()
                    .map_or(PathBuf::from("/dev/null"), |group| group.0.join("cgroup.procs")),
            )
            .arg(descriptor_count_max.unwrap_or(0).to_string())
            .arg(program());
        // The settings of whoever runs this are not its.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("DOSSIER_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args([
                "serve",
                "--no-shipped-data",
                "--listen",
                "127.0.0.1:0",
                "--data-dir",
            ])
            .arg(folder.join("data"))
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (url, _, mut log) = wait_until_it_serves(&mut child);
        // What it says later must not block it, and is of interest if it dies.
        std::thread::spawn(move || {
            let mut said = String::new();
            while log
                .by_ref()
                .take(4_096)
                .read_to_string(&mut said)
                .is_ok_and(|count| count > 0)
            {
                eprint!("{said}");
                said.clear();
            }
        });
        Self {
            child,
            url,
            _limit: limit,
            folder: None,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.url.trim_start_matches("http://").parse().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns one of its counts, by name and labels; `None` as long as there is none.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let line = answer.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        process::signal(&self.child, name);
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Returns how it ended, if it has.
    pub(crate) fn end(&mut self) -> Option<String> {
        self.child.try_wait().unwrap().map(|status| status.to_string())
    }

    /// Returns the memory of the process as the kernel counts it; `None` where the kernel does not tell, or of a process that ended.
    pub(crate) fn memory(&self) -> Option<Memory> {
        let status = fs::read_to_string(self.proc("status")).ok()?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim()
                .strip_suffix(" kB")?
                .parse::<u64>()
                .ok()
                .map(|count| count << 10)
        };
        Some(Memory {
            now: bytes("VmRSS:")?,
            peak: bytes("VmHWM:")?,
        })
    }

    /// Returns the processor time that the process has had, all threads together; `None` where the kernel does not tell.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        processor_time(&self.proc("stat"))
    }

    /// Counts the peak of memory from here.
    pub(crate) fn forget_peak(&self) {
        if let Ok(mut file) = fs::OpenOptions::new().write(true).open(self.proc("clear_refs")) {
            // Where it is not allowed the peak is that of the whole run: stricter.
            let _ = file.write_all(b"5");
        }
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(file)
    }
}

/// Returns the processor time that this process has had, callers and attackers.
pub(crate) fn own_processor_time() -> Option<Duration> {
    processor_time(Path::new("/proc/self/stat"))
}

fn processor_time(stat: &Path) -> Option<Duration> {
    let stat = fs::read_to_string(stat).ok()?;
    // The name, in brackets, may hold spaces. User and system time are the 14th and 15th field, in hundredths.
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let hundredths: Option<u64> = fields
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().ok())
        .sum();
    Some(Duration::from_millis(hundredths? * 10))
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A control group with a memory limit: the kernel kills a server that goes past it.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    /// Makes one, of either version; `None` where this process may not.
    fn make() -> Option<Self> {
        // A server that follows another starts before that one has gone.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("dossier-hostile-{}-{number}", std::process::id());
        [
            ("/sys/fs/cgroup", "memory.max"),
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        ]
        .into_iter()
        .find_map(|(parent, limit)| {
            let group = Self(Path::new(parent).join(&name));
            fs::create_dir(&group.0).ok()?;
            // Not created if it is not there: then this is no such group.
            let mut limit = fs::OpenOptions::new()
                .write(true)
                .open(group.0.join(limit))
                .ok()?;
            limit.write_all(MEMORY_BYTES_MAX.to_string().as_bytes()).ok()?;
            Some(group)
        })
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
