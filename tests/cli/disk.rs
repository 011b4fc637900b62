//! A disk that is full.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::harness::Server;

/// A small file system in memory; it goes with this.
struct Disk(PathBuf);

impl Disk {
    /// Mounts it, if this process may.
    fn mount(path: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "dossier-test"])
            .arg(path)
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| Self(path.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the server that ends may still hold it.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let folder = TempDir::new().unwrap();
    let Some(_disk) = Disk::mount(&folder.path().join("data"), "120m") else {
        eprintln!("NOT RUN: only root may mount the file system that this test fills");
        return;
    };
    let server = Server::start_in(folder, &[]);
    let write = |number: u32| server.run(&["update", &format!("INSERT DATA {{ e:a e:b {number} }}")], "");
    write(1).succeeded();
    assert_eq!(server.get("/readyz"), "ok\n");

    // What is left is less than the server keeps free.
    let ballast = server.folder().join("data/ballast");
    fs::write(&ballast, vec![0; 60 << 20]).unwrap();
    let before = server.run(&["info", "--output", "json"], "").succeeded();
    for number in 2..5 {
        write(number).failed(1, "error[DISK_FULL]");
    }
    assert!(server.get("/readyz").starts_with("ok, but the disk is full"));
    assert!(server.get("/metrics").contains("\ndossier_writable 0\n"));
    // Reads go on.
    server.run(&["get", "e:KR"], "").succeeded();
    let revision = |info: &str| serde_json::from_str::<serde_json::Value>(info).unwrap()["revision"].clone();
    let after = server.run(&["info", "--output", "json"], "").succeeded();
    assert_eq!(revision(&after), revision(&before));

    fs::remove_file(&ballast).unwrap();
    write(5).succeeded();
    assert_eq!(server.get("/readyz"), "ok\n");
    let found = server
        .run(
            &["query", "SELECT ?n { e:a e:b ?n } ORDER BY ?n", "--output", "csv"],
            "",
        )
        .succeeded();
    assert_eq!(found.lines().collect::<Vec<_>>(), ["n", "1", "5"]);
    server.stop();
}

#[test]
fn a_sync_that_fails_ends_writes_until_the_next_start() {
    let server = Server::start(&[]);
    let write = |server: &Server, number: u32| {
        server.run(&["update", &format!("INSERT DATA {{ e:a e:b {number} }}")], "")
    };
    write(&server, 1).succeeded();
    // From now on every sync of this process fails, as on a disk that dies.
    let tracer = Command::new("strace")
        .args(["--follow-forks", "--quiet=all", "-e", "trace=fsync,fdatasync"])
        .args([
            "-e",
            "inject=fsync,fdatasync:error=EIO",
            "--attach",
            &server.pid().to_string(),
        ])
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut tracer) = tracer else {
        eprintln!("NOT RUN: there is no strace, which makes syncs fail");
        return;
    };
    // Attaching takes a moment, in which writes still succeed.
    let mut acknowledged = 1;
    loop {
        let ran = write(&server, acknowledged + 1);
        if ran.stderr.contains("error[LOG_UNAVAILABLE]") {
            break;
        }
        ran.succeeded();
        acknowledged += 1;
    }
    write(&server, acknowledged + 2).failed(3, "error[LOG_UNAVAILABLE]");
    assert!(
        server
            .get("/readyz")
            .contains("until the server is started again")
    );
    let ask = |server: &Server| {
        server
            .run(
                &["query", "SELECT ?n { e:a e:b ?n } ORDER BY ?n", "--output", "csv"],
                "",
            )
            .succeeded()
    };
    let numbers = (1..=acknowledged).map(|number| number.to_string());
    let expected: Vec<_> = std::iter::once("n".to_owned()).chain(numbers).collect();
    // Nothing is shown that is not durable.
    assert_eq!(ask(&server).lines().collect::<Vec<_>>(), expected);

    tracer.kill().unwrap();
    tracer.wait().unwrap();
    let server = Server::start_in(server.kill(), &[]);
    let found = ask(&server);
    // What was refused may have reached the disk or not; what was acknowledged is there.
    assert_eq!(found.lines().take(expected.len()).collect::<Vec<_>>(), expected);
    write(&server, 1_000).succeeded();
    server.stop();
}
