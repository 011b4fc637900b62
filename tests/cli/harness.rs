//! A server of its own process, and commands against it.

use std::{
    env,
    io::{BufRead as _, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::process::{signal, wait_until_it_serves};

/// A running server; it ends with this.
pub(crate) struct Server {
    child: Child,
    url: String,
    /// What it said before it served.
    said: String,
    folder: TempDir,
    log: Mutex<mpsc::Receiver<String>>,
}

/// What a command wrote, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Server {
    /// Starts a server on a free port and waits until it says that it serves.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_in(TempDir::new().unwrap(), flags)
    }

    /// Starts one with its data in `data` of a folder.
    pub(crate) fn start_in(folder: TempDir, flags: &[&str]) -> Self {
        Self::start_with(folder, flags, &[])
    }

    /// Starts one with these variables of the environment, too.
    pub(crate) fn start_with(folder: TempDir, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::start_by(command(), folder, flags, variables)
    }

    /// Starts one by a command that becomes the binary.
    pub(crate) fn start_by(
        command: Command,
        folder: TempDir,
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        // What it says later must not block it.
        let (lines, later) = mpsc::channel();
        Self::begin(command, folder, flags, variables, later, move |line| {
            lines.send(line).ok()
        })
    }

    /// Starts one whose log nobody reads.
    pub(crate) fn start_unread(flags: &[&str]) -> Self {
        // Who sends a line waits for whoever takes it.
        let (lines, later) = mpsc::sync_channel(0);
        Self::begin(
            command(),
            TempDir::new().unwrap(),
            flags,
            &[],
            later,
            move |line| lines.send(line).ok(),
        )
    }

    fn begin(
        mut command: Command,
        folder: TempDir,
        flags: &[&str],
        variables: &[(&str, &str)],
        later: mpsc::Receiver<String>,
        listen: impl FnMut(String) -> Option<()> + Send + 'static,
    ) -> Self {
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path().join("data"))
            // The day of the shipped data; flags may say another.
            .env("DOSSIER_AS_OF", "2019-08-27")
            .args(flags)
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (url, said, log) = wait_until_it_serves(&mut child);
        std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(listen));
        Self {
            child,
            url,
            said,
            folder,
            log: Mutex::new(later),
        }
    }

    /// Waits for a line of the log that has this in it.
    pub(crate) fn logged(&self, part: &str) -> String {
        let log = self.log.lock().unwrap();
        log.iter().find(|line| line.contains(part)).expect(part)
    }

    /// Returns all that it has said up to a line of the log that has this in it.
    pub(crate) fn said_until(&self, part: &str) -> String {
        let log = self.log.lock().unwrap();
        let mut said = self.said.clone();
        loop {
            let line = log.recv().expect(part);
            said += &line;
            if line.contains(part) {
                return said;
            }
        }
    }

    /// Has it read files anew.
    pub(crate) fn hang_up(&self) {
        signal(&self.child, "HUP");
    }

    /// Ends it with SIGTERM, and returns what it said since it was last listened to.
    pub(crate) fn stop_and_listen(mut self) -> String {
        self.terminate();
        self.log.lock().unwrap().iter().collect()
    }

    /// Runs a command against this server.
    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> Ran {
        dossier(&[arguments, &["--server", &self.url]].concat(), input)
    }

    /// Returns the body of an answer over HTTP.
    pub(crate) fn get(&self, path: &str) -> String {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// Returns where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, and returns the folder of its data.
    pub(crate) fn kill(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.folder, TempDir::new().unwrap())
    }

    /// Ends it with SIGTERM, which it must obey with success; returns the time that it took.
    pub(crate) fn stop_within(mut self, time: Duration) -> Duration {
        let began = Instant::now();
        signal(&self.child, "TERM");
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return began.elapsed();
            }
            assert!(began.elapsed() < time, "it does not end");
            std::thread::yield_now();
        }
    }

    /// Ends it with SIGTERM, which it must obey with success.
    pub(crate) fn stop(mut self) {
        self.terminate();
    }

    fn terminate(&mut self) {
        signal(&self.child, "TERM");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ran {
    /// Returns standard output of a command that succeeded.
    pub(crate) fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// Returns standard error of a command that failed with this code and said this.
    pub(crate) fn failed(self, code: i32, said: &str) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.contains(said), "{said}: {self:?}");
        self.stderr
    }
}

/// Runs a command with this standard input.
pub(crate) fn dossier(arguments: &[&str], input: &str) -> Ran {
    dossier_with(&[], arguments, input)
}

/// Runs a command with these variables too.
pub(crate) fn dossier_with(variables: &[(&str, &str)], arguments: &[&str], input: &str) -> Ran {
    let mut child = command()
        .envs(variables.iter().copied())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Returns the binary without the settings of whoever runs the tests.
pub(crate) fn command() -> Command {
    without_settings(Command::new(env!("CARGO_BIN_EXE_dossier")))
}

/// Returns a shell that sets a limit (`ulimit`) and becomes the binary; nothing if that may not be set here.
pub(crate) fn limited(limit: &str) -> Option<Command> {
    let shell = |then: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit {limit} && {then}")]);
        shell
    };
    if !shell("true").status().unwrap().success() {
        return None;
    }
    let mut command = shell("exec \"$0\" \"$@\"");
    command.arg(env!("CARGO_BIN_EXE_dossier"));
    Some(without_settings(command))
}

fn without_settings(mut command: Command) -> Command {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("DOSSIER_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
}
