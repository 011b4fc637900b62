//! Cuts the power of a disk under a process that commits: a file system in a file, which is shut down at once with what it has not
//! written, and mounted again.

use std::{
    ffi::OsStr,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use dossier::knowledge::KnowledgeBase;
use tempfile::TempDir;

use super::{COMPACTS, ERASES, Random, check, note, settings, spawn};

/// Rounds of the long form: `DOSSIER_POWER_LOSS_ROUNDS=300`.
const ROUNDS: &str = "DOSSIER_POWER_LOSS_ROUNDS";
const ROUND_COUNT: u64 = 5;
/// From this many on, the losses must have met what is rare too.
const LONG_ROUND_COUNT: u64 = 300;
const CONTROL_COUNT: u64 = 3;
/// Makes every sync do nothing.
const EAT_MY_DATA: &str = "libeatmydata.so";
const CUT_POWER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crash/cut_power.py");

/// A file system in a file; it goes with this.
struct Disk {
    folder: TempDir,
    mounted: PathBuf,
}

impl Disk {
    /// Makes and mounts it, if this process may.
    fn new() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let image = folder.path().join("image");
        File::create(&image).unwrap().set_len(256 << 20).unwrap();
        let mounted = folder.path().join("mounted");
        std::fs::create_dir(&mounted).unwrap();
        let disk = Self { folder, mounted };
        let is_made = run(Command::new("mkfs.ext4").arg("-q").arg(&image));
        (is_made && disk.mount()).then_some(disk)
    }

    fn mount(&self) -> bool {
        let image = self.folder.path().join("image");
        run(Command::new("mount")
            .args(["-o", "loop"])
            .arg(image)
            .arg(&self.mounted))
    }

    fn unmount(&self) -> bool {
        run(Command::new("umount").arg(&self.mounted))
    }

    fn cut_power(&self) {
        assert!(run(Command::new("python3").arg(CUT_POWER).arg(&self.mounted)));
    }

    fn data(&self) -> PathBuf {
        self.mounted.join("data")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.unmount();
    }
}

fn run(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Has a process commit for a while, cuts the power, and mounts the disk again. Takes down all that was acknowledged. `also` is what
/// the process does besides.
fn lose_power(
    disk: &Disk,
    random: &mut Random,
    (is_synced, also): (bool, Option<&str>),
    acknowledged: &mut Vec<(u64, u64)>,
) {
    let preload = if is_synced { "" } else { EAT_MY_DATA };
    let data = disk.data();
    let mut child = spawn(data.as_os_str(), |child| {
        child.env("LD_PRELOAD", preload).stderr(Stdio::null());
        if let Some(also) = also {
            child.env(also, "yes");
        }
    });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut wanted = 1 + random.below(60);
    while wanted > 0 {
        let line = lines.next().expect("the child ended by itself").unwrap();
        wanted -= u64::from(note(&line, acknowledged));
    }
    // A machine that loses its power does nothing after it. This kernel goes on, and a sync that meets the shutdown half way can
    // still succeed; so the process stops first, wherever it is, and acknowledges nothing more.
    let pid = child.id().to_string();
    assert!(run(Command::new("kill").args(["-STOP", &pid])));
    disk.cut_power();
    child.kill().unwrap();
    child.wait().unwrap();
    for line in lines {
        note(&line.unwrap(), acknowledged);
    }
    assert!(disk.unmount() && disk.mount());
}

fn is_all_there(data: &Path, acknowledged: &[(u64, u64)]) -> bool {
    let last = acknowledged.iter().map(|(revision, _)| *revision).max();
    KnowledgeBase::open(settings(data.as_os_str())).is_ok_and(|base| {
        let is_all_there = Some(base.revision()) >= last;
        base.close();
        is_all_there
    })
}

#[test]
fn every_acknowledged_commit_survives_a_loss_of_power() {
    let seed = getrandom::u64().unwrap();
    let mut random = Random(seed);
    // A log that is written anew gets its name, and its folder is synced.
    for also in [None, Some(COMPACTS), Some(ERASES)] {
        if !lose_power_again_and_again(&mut random, also, &format!("seed {seed}, {also:?}")) {
            eprintln!("NOT RUN: only root may mount the file system whose power is cut");
            return;
        }
    }

    // Without syncs the same losses are seen: else this would prove nothing.
    if !run(Command::new("true").env("LD_PRELOAD", EAT_MY_DATA)) || !is_there(EAT_MY_DATA) {
        eprintln!("NOT RUN: there is no {EAT_MY_DATA}, which leaves syncs out");
        return;
    }
    let lost = (0..CONTROL_COUNT).filter(|_| {
        let disk = Disk::new().unwrap();
        let mut acknowledged = Vec::new();
        lose_power(&disk, &mut random, (false, None), &mut acknowledged);
        !is_all_there(&disk.data(), &acknowledged)
    });
    assert!(lost.count() > 0, "nothing was lost without syncs");
}

/// Tells whether it could be tried.
fn lose_power_again_and_again(random: &mut Random, also: Option<&str>, context: &str) -> bool {
    let Some(disk) = Disk::new() else {
        return false;
    };
    let rounds = std::env::var(ROUNDS).map_or(ROUND_COUNT, |rounds| rounds.parse().unwrap());
    let (mut acknowledged, mut rewrite_count) = (Vec::new(), 0);
    for round in 0..rounds {
        lose_power(&disk, random, (true, also), &mut acknowledged);
        rewrite_count += u64::from(disk.data().join("log.redb.new").exists());
        check(
            disk.data().as_os_str(),
            &acknowledged,
            &format!("{context}, loss {round}"),
        );
    }
    assert!(acknowledged.len() as u64 > 3 * rounds);
    println!(
        "{rounds} losses of power, {rewrite_count} of them while the log was written anew, {} commits, none lost",
        acknowledged.len()
    );
    assert!(
        rewrite_count > 0 || also.is_none() || rounds < LONG_ROUND_COUNT,
        "no loss met a log that is written anew"
    );
    true
}

/// Tells whether the loader finds a library: it only warns about one that it does not.
fn is_there(library: &str) -> bool {
    let output = Command::new("true")
        .env("LD_PRELOAD", OsStr::new(library))
        .output();
    output.is_ok_and(|output| output.stderr.is_empty())
}
