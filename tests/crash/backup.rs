//! Kills a process that backs up, or that restores: the backups before are whole, and no half of a restore is taken for one.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dossier::{
    backup::{BackupError, Place, Until, create, list, restore, verify},
    knowledge::{KnowledgeBase, OpenError},
};
use tempfile::TempDir;

use super::{Random, inserting, settings};

/// What a child is to do; unset in the parent.
const TASK: &str = "DOSSIER_CRASH_TEST_TASK";
/// The folder that it works in.
const FOLDER: &str = "DOSSIER_CRASH_TEST_FOLDER";
/// Kills of each test; `DOSSIER_BACKUP_KILLS=1000` is the long form.
const KILLS: &str = "DOSSIER_BACKUP_KILLS";
const KILL_COUNT: u64 = 20;
/// Commits of the history that is restored.
const COMMIT_COUNT: u64 = 300;

fn kill_count() -> u64 {
    env::var(KILLS).map_or(KILL_COUNT, |kills| kills.parse().unwrap())
}

fn place(folder: &Path) -> Place {
    Place::open(folder.join("backups").to_str().unwrap()).unwrap()
}

/// Starts this test again, as a process of its own.
fn spawn(test: &str, folder: &Path) -> (Child, impl Iterator<Item = String>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(TASK, test)
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines.map_while(Result::ok))
}

/// Lets the child go on for a random time, at most so long.
fn wait(random: &mut Random, most: Duration) {
    let until =
        Instant::now() + Duration::from_micros(random.below(u64::try_from(most.as_micros()).unwrap().max(1)));
    while Instant::now() < until {
        std::thread::yield_now();
    }
}

#[test]
fn a_killed_backup_leaves_those_before() {
    if env::var_os(TASK).is_some() {
        return back_up_for_ever(Path::new(&env::var_os(FOLDER).unwrap()));
    }
    let folder = TempDir::new().unwrap();
    let seed = getrandom::u64().unwrap();
    let mut random = Random(seed);
    let (mut promised, mut cut_off) = (0, 0);
    for kill in 0..kill_count() {
        let context = format!("seed {seed}, kill {kill}");
        let (mut child, mut lines) = spawn("backup::a_killed_backup_leaves_those_before", folder.path());
        let mut wanted = random.below(4);
        while wanted > 0 {
            let line = lines.next().expect("the child ended by itself");
            wanted -= u64::from(note(&line, &mut promised));
        }
        wait(&mut random, Duration::from_millis(60));
        child.kill().unwrap();
        child.wait().unwrap();
        lines.for_each(|line| {
            note(&line, &mut promised);
        });
        let place = place(folder.path());
        let verified = match verify(&place, &mut |_| true) {
            Ok(verified) => verified,
            Err(BackupError::None) if promised == 0 => continue,
            Err(error) => panic!("{context}: {error}"),
        };
        assert_eq!(verified.faults, [], "{context}");
        assert!(
            verified.record_count >= promised,
            "{context}: {promised} was promised"
        );
        let named = verified
            .backups
            .iter()
            .map(|backup| backup.files.len())
            .sum::<usize>();
        let there = fs::read_dir(folder.path().join("backups/records"))
            .unwrap()
            .count();
        cut_off += u64::from(there > named);
    }
    // The last one restores, and is of the log.
    let place = place(folder.path());
    let dir = folder.path().join("restored");
    let restored = restore(&place, &dir, Until::End, &mut |_| true).unwrap();
    assert!(restored.revision >= promised);
    let base = KnowledgeBase::open(settings(folder.path().join("data").as_os_str())).unwrap();
    create(&base, &place, &mut |_| true).unwrap();
    base.close();
    println!(
        "{} kills, revision {promised} promised, {} backups whole, {cut_off} cut off",
        kill_count(),
        list(&place).unwrap().len()
    );
    assert!(promised > 0 && cut_off > 0);
}

fn note(line: &str, promised: &mut u64) -> bool {
    let Some(revision) = line.strip_prefix("made ") else {
        return false;
    };
    *promised = revision.parse().unwrap();
    true
}

fn back_up_for_ever(folder: &Path) {
    let base = KnowledgeBase::open(settings(folder.join("data").as_os_str())).unwrap();
    let place = place(folder);
    let writer = base.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for number in writer.revision().. {
            runtime.block_on(writer.commit(inserting(number))).unwrap();
        }
    });
    loop {
        let made = create(&base, &place, &mut |_| true).unwrap();
        println!("made {}", made.revision);
    }
}

#[test]
fn a_killed_restore_is_not_taken_for_whole() {
    if env::var_os(TASK).is_some() {
        let folder = env::var_os(FOLDER).unwrap();
        let folder = Path::new(&folder);
        println!("begun");
        restore(&place(folder), &folder.join("restored"), Until::End, &mut |_| {
            true
        })
        .unwrap();
        println!("done");
        return;
    }
    let folder = TempDir::new().unwrap();
    let expected = make(folder.path());
    let dir = folder.path().join("restored");
    let begun_at = Instant::now();
    restore(&place(folder.path()), &dir, Until::End, &mut |_| true).unwrap();
    let longest = begun_at.elapsed() + Duration::from_millis(20);
    fs::remove_dir_all(&dir).unwrap();
    let seed = getrandom::u64().unwrap();
    let mut random = Random(seed);
    let (mut refused, mut whole) = (0, 0);
    for kill in 0..kill_count() {
        let context = format!("seed {seed}, kill {kill}");
        let (mut child, mut lines) = spawn("backup::a_killed_restore_is_not_taken_for_whole", folder.path());
        while lines.next().expect("the child ended by itself") != "begun" {}
        wait(&mut random, longest);
        child.kill().unwrap();
        child.wait().unwrap();
        // A directory in which nothing was begun has no trace of it.
        let has_begun = dir.join("restoring").exists() || dir.join("log.redb").exists();
        match has_begun.then(|| revision(dir.as_os_str())) {
            None => {}
            Some(Ok(revision)) => {
                assert_eq!(revision, expected, "{context}");
                whole += 1;
                fs::remove_dir_all(&dir).unwrap();
                continue;
            }
            Some(Err(error)) => {
                assert!(error.contains("was not finished"), "{context}: {error}");
                refused += 1;
            }
        }
        // What is left is not in the way, and now and then of the next kill.
        if kill % 4 == 3 {
            let restored = restore(&place(folder.path()), &dir, Until::End, &mut |_| true);
            let restored = restored.unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(restored.revision, expected, "{context}");
            assert_eq!(revision(dir.as_os_str()), Ok(expected), "{context}");
            fs::remove_dir_all(&dir).unwrap();
        }
    }
    println!(
        "{} kills: {refused} starts refused, {whole} were done before",
        kill_count()
    );
    assert!(refused > 0);
}

/// Opens what was restored, and verifies it.
fn revision(dir: &OsStr) -> Result<u64, String> {
    let base = KnowledgeBase::open(settings(dir)).map_err(|error: OpenError| error.to_string())?;
    base.verify().map_err(|error| error.to_string())?;
    let revision = base.revision();
    base.close();
    Ok(revision)
}

/// Makes backups of a history, and returns its last revision.
fn make(folder: &Path) -> u64 {
    let base = KnowledgeBase::open(settings(folder.join("data").as_os_str())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for number in 0..COMMIT_COUNT {
        runtime.block_on(base.commit(inserting(number))).unwrap();
        if number % 100 == 50 {
            create(&base, &place(folder), &mut |_| true).unwrap();
        }
    }
    let made = create(&base, &place(folder), &mut |_| true).unwrap();
    base.close();
    made.revision
}
