//! A disk that is full.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use dossier::{
    graph::{Batch, Draft},
    knowledge::{CommitError, CommitRequest, Committed, KnowledgeBase, Settings, Writes},
    model::access::Access,
};
use oxigraph::model::{GraphName, Literal, NamedNode, Quad};
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

/// Commits quads, each with a text that does not compress.
fn commit(
    base: &KnowledgeBase,
    numbers: std::ops::Range<u64>,
    text_bytes: usize,
) -> Result<Committed, CommitError<String>> {
    let mut batch = Batch::default();
    let node = |number: u64| NamedNode::new_unchecked(format!("http://example.com/{number}"));
    let mut random: u64 = 1;
    for number in numbers {
        let text: String = (0..text_bytes)
            .map(|_| {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(number);
                char::from(b'0' + u8::try_from(random >> 58).unwrap())
            })
            .collect();
        let quad = Quad::new(
            node(number),
            node(0),
            Literal::from(text),
            GraphName::DefaultGraph,
        );
        batch.insert(quad.as_ref());
    }
    let request = CommitRequest::new(Access::everything(), move |draft: &mut Draft| {
        draft.apply(&batch);
        Ok(())
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(base.commit(request))
}

/// No room is kept free here, so that the write itself meets the end of the disk.
#[test]
fn a_disk_that_fills_up_in_the_middle_of_a_write_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let Some(_disk) = Disk::mount(&data, "32m") else {
        eprintln!("NOT RUN: only root may mount the file system that this test fills");
        return;
    };
    let ballast = data.join("ballast");
    fs::write(&ballast, vec![0; 12 << 20]).unwrap();
    let settings = Settings {
        disk_free_bytes_min: 0,
        ..Settings::new(&data)
    };
    let base = KnowledgeBase::open(settings.clone()).unwrap();
    let count = |base: &KnowledgeBase| base.read(&Access::everything()).snapshot.quad_count();
    for number in 1..=10 {
        commit(&base, number..number + 1, 10).unwrap();
    }
    for _ in 0..3 {
        let refused = commit(&base, 100..4_100, 10_000);
        assert!(matches!(refused, Err(CommitError::DiskFull)), "{refused:?}");
        assert_eq!(*base.writes().borrow(), Writes::DiskFull);
        assert_eq!((base.revision(), count(&base)), (10, 10));
    }
    fs::remove_file(&ballast).unwrap();
    assert_eq!(commit(&base, 11..12, 10).unwrap().revision, 11);
    assert_eq!(*base.writes().borrow(), Writes::Open);
    base.close();
    let base = KnowledgeBase::open(settings).unwrap();
    assert_eq!((base.revision(), count(&base)), (11, 11));
    assert_eq!(base.verify().unwrap().quads_inserted, 11);
    base.close();
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
