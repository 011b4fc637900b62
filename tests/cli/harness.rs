//! A server of the real binary, and tables of commands to run against it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    thread,
};

use tempfile::TempDir;

/// Returns the command, without the settings of whoever runs the tests.
pub(crate) fn dossier() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dossier"));
    command.env_remove("DOSSIER_SERVER").env("NO_COLOR", "1");
    command
}

/// A command, and what it should do.
pub(crate) struct Case<'a> {
    args: &'a [&'a str],
    exit_code: i32,
    stdin: &'a str,
    out: &'a str,
    err: &'a str,
}

impl<'a> Case<'a> {
    pub(crate) fn new(args: &'a [&'a str], exit_code: i32) -> Self {
        Self {
            args,
            exit_code,
            stdin: "",
            out: "",
            err: "",
        }
    }

    pub(crate) fn stdin(self, stdin: &'a str) -> Self {
        Self { stdin, ..self }
    }

    pub(crate) fn out(self, out: &'a str) -> Self {
        Self { out, ..self }
    }

    pub(crate) fn err(self, err: &'a str) -> Self {
        Self { err, ..self }
    }
}

/// A server in a process of its own, killed at the end.
pub(crate) struct Server {
    pub(crate) url: String,
    dir: TempDir,
    child: Child,
}

impl Server {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (child, url) = spawn(&dir);
        Self { url, dir, child }
    }

    pub(crate) fn restart(&mut self) {
        (self.child, self.url) = spawn(&self.dir);
    }

    /// Sends SIGTERM, and returns the exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap().code()
    }

    /// Runs the commands one after the other, and tells of all that do something else.
    pub(crate) fn check(&self, cases: &[Case<'_>]) {
        let faults: Vec<_> = cases.iter().filter_map(|case| self.fault(case)).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    fn fault(&self, case: &Case<'_>) -> Option<String> {
        let mut child = dossier()
            .args(["--server", &self.url])
            .args(case.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input may have gone.
        let _ = child.stdin.take().unwrap().write_all(case.stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        let code = output.status.code();
        let quiet = case.exit_code != 0 || err.is_empty();
        let fits = code == Some(case.exit_code) && out.contains(case.out) && err.contains(case.err) && quiet;
        (!fits).then(|| format!("{:?}: exit code {code:?}\n{out}{err}", case.args))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &TempDir) -> (Child, String) {
    let mut child = dossier()
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let url = lines
        .find_map(|line| {
            let rest = line.strip_prefix("Dossier listens on ")?;
            Some(rest.split_whitespace().next()?.trim_end_matches('.').to_owned())
        })
        .expect("the server ended without an address");
    // A pipe that nobody reads would stop the server.
    thread::spawn(move || lines.for_each(drop));
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("the server ended: {status}");
        }
        let health = dossier().args(["--server", &url, "health"]).output().unwrap();
        if health.status.success() && health.stdout == b"SERVING\n" {
            return (child, url);
        }
    }
}
