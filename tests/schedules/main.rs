//! Runs the writer, its views and the watchers under many schedules: at each point where threads meet (`src/sync.rs`) Shuttle
//! decides who goes on. Whoever waits for ever is found, too, as a deadlock: no timer wakes anybody.
//!
//! Each test begins with a new data directory, in memory where there is such a folder, and has real files and a real log.
#![expect(clippy::unwrap_used, clippy::panic, reason = "all of this is a test")]

mod rewrites;
mod watchers;
mod writers;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    env,
    ops::Deref,
    path::Path,
    sync::{Arc, Mutex},
};

use dossier::{
    graph::{Batch, GraphPattern, Pattern},
    knowledge::{CommitError, CommitRequest, Committed, KnowledgeBase, Settings, View},
    model::{access::Access, day::Day, reference_date::ReferenceDate},
};
use oxigraph::model::{GraphName, Literal, NamedNode, Quad};
use shuttle::{
    Config, FailurePersistence, Runner,
    future::{JoinHandle, block_on},
    scheduler::{PctScheduler, RandomScheduler},
};

/// Schedules of each test; the long form: `DOSSIER_SCHEDULES=100000`.
const SCHEDULES: &str = "DOSSIER_SCHEDULES";
const SCHEDULE_COUNT: u64 = 1_000;
/// The seed to begin with: that of a failure repeats it.
const SEED: &str = "DOSSIER_SCHEDULES_SEED";
/// Schedules of one seed.
const SEED_SCHEDULE_COUNT: u64 = 10;
/// Times that the scheduler lets another one go first, where it goes by priorities.
const DEPTH: usize = 4;
const STACK_BYTES: usize = 1 << 20;

/// Runs a test under the schedules of one seed after the other: those of even ones go from thread to thread at random, those of
/// odd ones by priorities that change a few times (probabilistic concurrency testing).
fn explore<F: Future<Output = ()>>(test: impl Fn() -> F + Copy + Send + Sync + 'static) {
    let number = |name, default| env::var(name).map_or(default, |number| number.parse().unwrap());
    let first = number(SEED, 0);
    let count = number(SCHEDULES, SCHEDULE_COUNT).div_ceil(SEED_SCHEDULE_COUNT);
    for seed in first..first + count {
        let _told = Told(seed);
        let run = move || block_on(test());
        let mut config = Config::new();
        config.stack_size = STACK_BYTES;
        config.failure_persistence = FailurePersistence::None;
        config.silence_warnings = true;
        let schedules = usize::try_from(SEED_SCHEDULE_COUNT).unwrap();
        if seed % 2 == 0 {
            Runner::new(RandomScheduler::new_from_seed(seed, schedules), config).run(run);
        } else {
            Runner::new(PctScheduler::new_from_seed(seed, DEPTH, schedules), config).run(run);
        }
    }
}

/// Tells the seed of a failure.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("again with {SEED}={} {SCHEDULES}={SEED_SCHEDULE_COUNT}", self.0);
        }
    }
}

/// A knowledge base and its data directory.
#[derive(Clone)]
struct Base {
    base: KnowledgeBase,
    dir: Arc<tempfile::TempDir>,
}

impl Deref for Base {
    type Target = KnowledgeBase;

    fn deref(&self) -> &KnowledgeBase {
        &self.base
    }
}

impl Base {
    fn new() -> Self {
        Self::with(|settings| settings)
    }

    fn with(set: impl FnOnce(Settings) -> Settings) -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let dir = Arc::new(dir.unwrap());
        let base = KnowledgeBase::open(set(settings(dir.path()))).unwrap();
        Self { base, dir }
    }

    /// Opens the same data again, without what was in memory.
    fn open_again(self) -> Self {
        self.close();
        drop(self.base);
        let base = KnowledgeBase::open(settings(self.dir.path())).unwrap();
        Self { base, dir: self.dir }
    }

    async fn insert(&self, quad: Quad) -> Result<Committed, CommitError<Infallible>> {
        self.commit(inserting(&quad)).await
    }

    fn view(&self) -> View {
        self.read(&Access::everything())
    }

    /// Spawns something to do with it.
    fn spawn<F: Future<Output: Send + 'static> + Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> F,
    ) -> JoinHandle<F::Output> {
        shuttle::future::spawn(work(self.clone()))
    }
}

fn settings(dir: &Path) -> Settings {
    Settings {
        disk_free_bytes_min: 0,
        // So that no run is like no other because of its day.
        reference_date: ReferenceDate::Fixed(Day::of_unix_seconds(0)),
        ..Settings::new(dir)
    }
}

fn inserting(quad: &Quad) -> CommitRequest<Infallible> {
    let mut batch = Batch::default();
    batch.insert(quad.as_ref());
    CommitRequest::new(Access::everything(), move |draft| {
        draft.apply(&batch);
        Ok(())
    })
}

fn node(name: impl std::fmt::Display) -> NamedNode {
    NamedNode::new_unchecked(format!("http://example.com/{name}"))
}

fn quad(number: u64) -> Quad {
    Quad::new(
        node(number),
        node("p"),
        Literal::from(number.to_string()),
        GraphName::DefaultGraph,
    )
}

/// All that a view has, sorted.
fn contents(view: &View) -> Vec<String> {
    let quads = view.snapshot.quads(Pattern::all(GraphPattern::Any));
    let mut quads: Vec<_> = quads.map(|quad| view.snapshot.quad(quad).to_string()).collect();
    quads.sort();
    quads
}

/// What views of each revision had: all the same.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<u64, Contents>>>);

type Contents = Vec<String>;

impl Seen {
    fn note(&self, view: &View) {
        let found = contents(view);
        // No point at which anybody else goes on while it is locked.
        let mut seen = self.0.lock().unwrap();
        let before = seen.entry(view.revision).or_insert_with(|| found.clone());
        assert_eq!(*before, found);
    }
}
