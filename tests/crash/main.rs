//! Kills a process that commits, or cuts the power of its disk, at random moments, and looks whether every acknowledged commit is
//! there afterwards.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this is a test"
)]

mod backup;
mod bits;
mod power;
#[path = "../process/mod.rs"]
mod process;
mod server;
mod watcher;

use std::{
    env,
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dossier::{
    graph::{Batch, Pattern},
    knowledge::{CommitRequest, EraseRequest, KnowledgeBase, RequestId, Settings, View},
    model::access::Access,
};
use oxigraph::model::{GraphName, Literal, NamedNode, Quad};

/// Makes the child compact its log again and again.
const COMPACTS: &str = "DOSSIER_CRASH_TEST_COMPACTS";
/// Makes the child erase an entity again and again.
const ERASES: &str = "DOSSIER_CRASH_TEST_ERASES";
/// The entity.
const SECRET: &str = "http://example.com/secret";
/// Where the child finds its data directory; unset in the parent.
const DATA_DIR: &str = "DOSSIER_CRASH_TEST_DATA_DIR";
/// Kills of the long form: `DOSSIER_KILLS=1000`.
const KILLS: &str = "DOSSIER_KILLS";
const KILL_COUNT: u64 = 100;
/// From this many on, the kills must have met what is rare too.
const LONG_KILL_COUNT: u64 = 1_000;
const WRITER_COUNT: u64 = 8;
/// Acknowledged commits that are sent again after a kill, the newest.
const REPEAT_COUNT: usize = 40;

#[test]
fn every_acknowledged_commit_survives_a_kill() {
    match env::var_os(DATA_DIR) {
        Some(dir) => commit_for_ever(&dir),
        None => {
            kill_again_and_again(None);
        }
    }
}

/// The log is written anew while commits go on, and put in the place of the old one: whatever moment the kill meets.
#[test]
fn every_acknowledged_commit_survives_a_kill_while_the_log_is_compacted() {
    let dir = kill_again_and_again(Some(COMPACTS));
    let base = KnowledgeBase::open(settings(dir.path().as_os_str())).unwrap();
    let earliest = base.earliest_revision();
    println!("the log begins at revision {earliest}");
    assert!(
        earliest > 100,
        "the log was compacted up to revision {earliest} only"
    );
    base.close();
}

/// Whatever moment the kill meets, erasing again leaves nothing.
#[test]
fn every_acknowledged_commit_survives_a_kill_while_something_is_erased() {
    let dir = kill_again_and_again(Some(ERASES));
    let base = KnowledgeBase::open(settings(dir.path().as_os_str())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(base.erase(erasing())).unwrap();
    let redacted_count = base.verify().unwrap().redacted_count;
    println!("{redacted_count} records were redacted");
    assert!(redacted_count > 10, "{redacted_count} records were redacted only");
    let records = base.log().records().unwrap();
    for revision in 1..=base.revision() {
        for change in records.get(revision).unwrap().1 {
            let change = format!("{:?}", change.unwrap());
            assert!(!change.contains(SECRET), "revision {revision}: {change}");
        }
    }
    assert!(base.read(&Access::everything()).snapshot.iri_id(SECRET).is_none());
    drop(records);
    base.close();
    let snapshot = std::fs::read(dir.path().join("snapshot")).unwrap();
    let mut windows = snapshot.windows(SECRET.len());
    assert!(!windows.any(|window| window == SECRET.as_bytes()));
}

/// Returns the data in the end.
fn kill_again_and_again(also: Option<&str>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let seed = getrandom::u64().unwrap();
    let mut random = Random(seed);
    let mut acknowledged = Vec::new();
    let kill_count = env::var(KILLS).map_or(KILL_COUNT, |kills| kills.parse().unwrap());
    let (mut opening, mut rewrite_count) = (Vec::new(), 0);
    for kill in 0..kill_count {
        let mut child = spawn(dir.path().as_os_str(), |child| {
            if let Some(also) = also {
                child.env(also, "yes");
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Some die before their first acknowledgement, while they open.
        let mut wanted = random.below(60);
        while wanted > 0 {
            let line = lines.next().expect("the child ended by itself").unwrap();
            wanted -= u64::from(note(&line, &mut acknowledged));
        }
        for _ in 0..random.below(2_000) {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            note(&line.unwrap(), &mut acknowledged);
        }
        rewrite_count += u64::from(dir.path().join("log.redb.new").exists());
        opening.push(check(
            dir.path().as_os_str(),
            &acknowledged,
            &format!("seed {seed}, kill {kill}"),
        ));
    }
    opening.sort_unstable();
    println!(
        "{kill_count} kills, {rewrite_count} of them while the log was written anew, {} commits, none lost; open again after {:?} \
         (median), {:?} (worst)",
        acknowledged.len(),
        opening[opening.len() / 2],
        opening[opening.len() - 1]
    );
    assert!(
        rewrite_count > 0 || also.is_none() || kill_count < LONG_KILL_COUNT,
        "no kill met a log that is written anew"
    );
    assert!(
        acknowledged.len() > 500,
        "only {} commits were acknowledged",
        acknowledged.len()
    );
    dir
}

fn erasing() -> EraseRequest {
    EraseRequest {
        entity: NamedNode::new_unchecked(SECRET),
        author: String::new(),
        message: String::new(),
        validate_only: false,
        witness: None,
    }
}

/// Starts a process that commits; `adjust` says what else it is to have.
fn spawn(dir: &OsStr, adjust: impl FnOnce(&mut Command)) -> Child {
    let mut child = Command::new(env::current_exe().unwrap());
    child
        .args([
            "--exact",
            "every_acknowledged_commit_survives_a_kill",
            "--nocapture",
        ])
        .env(DATA_DIR, dir)
        .stdout(Stdio::piped());
    adjust(&mut child);
    child.spawn().unwrap()
}

/// Takes down an acknowledgement: its revision, and the number of the commit.
fn note(line: &str, acknowledged: &mut Vec<(u64, u64)>) -> bool {
    let Some((revision, number)) = line.strip_prefix("ack ").and_then(|ack| ack.split_once(' ')) else {
        return false;
    };
    acknowledged.push((revision.parse().unwrap(), number.parse().unwrap()));
    true
}

/// Opens the knowledge base and looks whether all that was acknowledged is there; returns the time that it took to open.
fn check(dir: &OsStr, acknowledged: &[(u64, u64)], context: &str) -> Duration {
    let begun_at = Instant::now();
    let base = KnowledgeBase::open(settings(dir)).unwrap_or_else(|error| panic!("{context}: {error}"));
    let opening = begun_at.elapsed();
    let View {
        revision, snapshot, ..
    } = base.read(&Access::everything());
    for &(acknowledged, number) in acknowledged {
        assert!(
            acknowledged <= revision,
            "{context}: revision {acknowledged} is lost, the last is {revision}"
        );
        let found = snapshot.iri_id(subject(number).as_str()).map(|id| {
            snapshot.count(Pattern {
                subject: Some(id),
                ..Pattern::all(dossier::graph::GraphPattern::Default)
            })
        });
        assert_eq!(
            found,
            Some(quad_count(number)),
            "{context}: commit {number} is not whole"
        );
    }
    check_repeats(&base, acknowledged, context);
    let summary = base.verify().unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(summary.head.revision, revision, "{context}");
    assert_eq!(
        summary.quads_inserted - summary.quads_removed,
        snapshot.quad_count(),
        "{context}"
    );
    base.close();
    opening
}

/// Sends the newest of the acknowledged commits again: each has its first answer, and nothing is applied twice.
fn check_repeats(base: &KnowledgeBase, acknowledged: &[(u64, u64)], context: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let before = base.revision();
    for &(revision, number) in acknowledged.iter().rev().take(REPEAT_COUNT) {
        let again = runtime.block_on(base.commit(named(number)));
        let again = again.unwrap_or_else(|error| panic!("{context}: commit {number}: {error}"));
        assert_eq!(
            (again.revision, again.quads_inserted),
            (revision, quad_count(number)),
            "{context}: commit {number} is not known by its id"
        );
    }
    assert_eq!(base.revision(), before, "{context}");
}

fn commit_for_ever(dir: &OsStr) {
    let mut settings = settings(dir);
    if env::var_os(COMPACTS).is_some() {
        settings.retention.bytes_max = Some(1);
        settings.retention.revision_count_min = 8;
    }
    let base = KnowledgeBase::open(settings).unwrap();
    let first = base.revision() * WRITER_COUNT * 1000;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let writers = (0..WRITER_COUNT).map(|writer| {
            let base = base.clone();
            async move {
                for number in (first + writer..).step_by(usize::try_from(WRITER_COUNT).unwrap()) {
                    let committed = base.commit(named(number)).await.unwrap();
                    println!("ack {} {number}", committed.revision);
                }
            }
        });
        let eraser = async {
            for number in 0_u64.. {
                if env::var_os(ERASES).is_none() {
                    break;
                }
                base.commit(inserting_secret(number)).await.unwrap();
                base.erase(erasing()).await.unwrap();
            }
        };
        futures::future::join(futures::future::join_all(writers), eraser).await;
    });
}

fn settings(dir: &OsStr) -> Settings {
    Settings {
        disk_free_bytes_min: 0,
        ..Settings::new(dir)
    }
}

fn inserting(number: u64) -> CommitRequest<String> {
    let mut batch = Batch::default();
    for object in 0..quad_count(number) {
        let predicate = NamedNode::new_unchecked("http://example.com/p");
        let object = Literal::from(object.to_string());
        batch.insert(Quad::new(subject(number), predicate, object, GraphName::DefaultGraph).as_ref());
    }
    CommitRequest::new(Access::everything(), move |draft| {
        draft.apply(&batch);
        Ok(())
    })
}

/// One that has an id.
fn named(number: u64) -> CommitRequest<String> {
    let mut request = inserting(number);
    request.request_id = Some(RequestId {
        id: format!("commit {number}"),
        fingerprint: [7; 32],
    });
    request
}

fn inserting_secret(number: u64) -> CommitRequest<String> {
    let mut batch = Batch::default();
    let predicate = NamedNode::new_unchecked("http://example.com/p");
    let object = Literal::from(number.to_string());
    let subject = NamedNode::new_unchecked(SECRET);
    batch.insert(Quad::new(subject, predicate, object, GraphName::DefaultGraph).as_ref());
    CommitRequest::new(Access::everything(), move |draft| {
        draft.apply(&batch);
        Ok(())
    })
}

fn subject(number: u64) -> NamedNode {
    NamedNode::new_unchecked(format!("http://example.com/{number}"))
}

fn quad_count(number: u64) -> u64 {
    number % 7 + 1
}

/// Knuth's linear congruential generator.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
