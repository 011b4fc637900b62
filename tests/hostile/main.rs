//! Sends what is made to break a server to one server process, and looks that it stays alive, small and healthy.
//!
//! Every case goes over gRPC and over HTTP, but for two of three of those that are stopped at the deadline: only over gRPC.
//!
//! `DOSSIER_HOSTILE_SERVER` names a server that runs already (`target.rs`).
//!
//! `DOSSIER_HOSTILE=name,name` runs only the cases whose names contain one of these. With `--nocapture` it prints what came of each.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod attacks;
mod case;
mod cases;
mod frames;
mod graph;
mod health;
mod honest;
mod http;
mod memory;
mod overload;
#[path = "../process/mod.rs"]
mod process;
mod server;
mod siege;
mod strangers;
mod target;
mod terminated;
mod transport;

use std::{
    borrow::Cow,
    collections::HashSet,
    time::{Duration, Instant},
};

use case::{Case, Expected, Kind, Outcome};
use server::MEMORY_BYTES_MAX;
use target::Target;
use transport::Transport;

/// The server's limit for every query and update.
const DEADLINE: Duration = Duration::from_millis(600);
/// How long after the deadline a request may still be answered, or keep its thread. What is not optimised parses a megabyte in a
/// second, and nothing interrupts the parser.
const OVERSHOOT_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1_500 } else { 500 });
/// What one request may add to the memory of the server.
const CASE_MEMORY_BYTES_MAX: u64 = 512 << 20;
/// What all of them may leave behind.
const LEFT_BYTES_MAX: u64 = 256 << 20;
/// The same where other programs have the processors meanwhile.
const BUSY_OVERSHOOT_MAX: Duration = Duration::from_secs(3);
/// How long an update that is planned takes to be committed, which nothing breaks off.
const COMMIT_MAX: Duration = Duration::from_secs(3);
/// Of so many cases that are stopped at the deadline one is sent over HTTP too.
const DEAR_PER_HTTP: usize = 3;
/// Far more than anything takes; a server that is busy for longer is given up.
const PATIENCE: Duration = Duration::from_mins(1);
/// One thread for queries: the next one tells when it is free.
const FLAGS: [&str; 8] = [
    "--query-timeout-max=600ms",
    "--query-concurrency-max=1",
    "--graph-memory-max=256MiB",
    "--drain-timeout=1s",
    "--log-format=text",
    "--query-size-max=1MiB",
    "--query-row-count-max=1000000",
    "--query-result-size-max=32MiB",
];

#[test]
fn hostile_requests_do_no_harm() {
    let _turn = server::turn();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut run = Run::start(&runtime);
    println!(
        "{:<44} {:>4} {:>9} {:>9} {:>9}  outcome",
        "case", "by", "answer ms", "thread ms", "peak MiB"
    );
    let (mut count, mut dear_count) = (0, 0);
    for case in chosen() {
        let outcome = run.case(&runtime, case, Protocol::Grpc);
        count += 1;
        // Those that take their whole time over HTTP too are many: a part of them, and all that end otherwise.
        let is_dear = case::DEADLINE.is_met_by(&outcome) && case.kind != Kind::Stalled;
        dear_count += usize::from(is_dear);
        if !is_dear || dear_count.is_multiple_of(DEAR_PER_HTTP) {
            let _ = run.case(&runtime, case, Protocol::Http);
            count += 1;
        }
    }
    let faults = run.finish();
    assert!(faults.is_empty(), "of {count} requests:\n{}", faults.join("\n"));
}

#[test]
fn the_table_is_large_and_its_names_are_unique() {
    let mut names = HashSet::new();
    for case in cases::CASES.iter().copied().flatten() {
        assert!(names.insert(case.name), "{} twice", case.name);
        assert!(!case.expected.is_empty(), "{} can never pass", case.name);
    }
    assert!(names.len() >= 60, "{} cases are few", names.len());
}

/// The cases that this run is about.
fn chosen() -> Vec<&'static Case> {
    let chosen = std::env::var("DOSSIER_HOSTILE");
    let is_chosen = |case: &&Case| match &chosen {
        Err(_) => true,
        Ok(names) => names.split(',').any(|name| case.name.contains(name)),
    };
    cases::CASES.iter().copied().flatten().filter(is_chosen).collect()
}

/// How a case is sent.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    Grpc,
    Http,
}

/// The server, and what was seen of it.
struct Run {
    server: Target,
    grpc: Transport,
    http: Transport,
    health: health::Watch,
    /// Memory before the first case.
    memory_at_start: Option<u64>,
    peak: u64,
    faults: Vec<String>,
}

impl Run {
    fn start(runtime: &tokio::runtime::Runtime) -> Self {
        let server = Target::start(&FLAGS);
        let grpc = runtime.block_on(async {
            let grpc = Transport::grpc(server.url()).await;
            if matches!(server, Target::Ours(_)) {
                load(&grpc).await;
            } else {
                assert!(restore(&grpc).await, "the graph cannot be dropped");
            }
            grpc
        });
        Self {
            health: health::Watch::start(server.url()),
            memory_at_start: server.memory().map(|memory| memory.now),
            http: Transport::http(server.url()),
            server,
            grpc,
            peak: 0,
            faults: Vec::new(),
        }
    }

    /// Runs a case and takes down what is wrong with what comes of it.
    fn case(&mut self, runtime: &tokio::runtime::Runtime, case: &Case, protocol: Protocol) -> Outcome {
        let way = match protocol {
            Protocol::Grpc => &self.grpc,
            Protocol::Http => &self.http,
        };
        self.server.forget_peak();
        let before = self.server.memory();
        let had = self.server.processor_time();
        let measured = runtime.block_on(measure(way, &self.grpc, case));
        let after = self.server.memory();
        let work = had.and_then(|had| Some(self.server.processor_time()?.saturating_sub(had)));
        let peak = after.map_or(0, |memory| memory.peak);
        self.peak = self.peak.max(peak);
        println!(
            "{:<44} {:>4} {:>9} {:>9} {:>9}  {}",
            case.name,
            format!("{protocol:?}"),
            measured.answered.as_millis(),
            measured
                .freed
                .map_or_else(|| "never".to_owned(), |freed| freed.as_millis().to_string()),
            peak >> 20,
            shown(&measured.outcome),
        );
        let mut fault = |what: String| self.faults.push(format!("{} by {protocol:?}: {what}", case.name));
        if let Some(end) = self.server.end() {
            fault(format!("the server died: {end}"));
            self.restart(runtime);
            return measured.outcome;
        }
        if !case
            .expected
            .iter()
            .any(|expected| expected.is_met_by(&measured.outcome))
        {
            let outcome = shown(&measured.outcome);
            fault(format!("{outcome}, expected one of {:?}", case.expected));
        }
        let late_by = if measured.changed {
            COMMIT_MAX
        } else {
            OVERSHOOT_MAX
        };
        // A machine that does other things too makes it late: what it has worked counts, within reason.
        let is_late = |at: Duration, end: Duration| {
            at > end + late_by
                && (work.is_none_or(|work| work > end + late_by) || at > end + BUSY_OVERSHOOT_MAX)
        };
        // Documents have no deadline, and whoever stalls is answered late.
        let is_document = matches!(case.kind, Kind::Import(_) | Kind::Gzip(_));
        if !is_document && case.kind != Kind::Stalled && is_late(measured.answered, DEADLINE) {
            fault(format!("answered after {:?}", measured.answered));
        }
        let busy_at_most = if is_document { measured.answered } else { DEADLINE };
        match measured.freed {
            None => fault("no request after it was answered".to_owned()),
            Some(freed) if is_late(freed, busy_at_most) => {
                fault(format!("its thread was busy for {freed:?}"));
            }
            Some(_) => {}
        }
        let added = before.map_or(0, |before| peak.saturating_sub(before.now));
        if added > CASE_MEMORY_BYTES_MAX {
            fault(format!("took {} MiB", added >> 20));
        }
        let is_whole = !measured.changed || runtime.block_on(restore(&self.grpc));
        if measured.freed.is_none() || !is_whole {
            self.restart(runtime);
        }
        measured.outcome
    }

    /// Begins anew, so that the other cases are tried too.
    fn restart(&mut self, runtime: &tokio::runtime::Runtime) {
        let faults = std::mem::take(&mut self.faults);
        let peak = self.peak;
        let dead = std::mem::replace(self, Self::start(runtime));
        dead.health.stop();
        self.faults = faults;
        self.peak = peak;
    }

    /// Returns all that was wrong.
    fn finish(mut self) -> Vec<String> {
        let left_max = self.memory_at_start.map(|start| start + LEFT_BYTES_MAX);
        let since = Instant::now();
        // Memory is given back in the background.
        let left = loop {
            let left = self.server.memory().map(|memory| memory.now);
            if left <= left_max || since.elapsed() > PATIENCE {
                break left;
            }
            std::thread::yield_now();
        };
        let seen = self.health.stop();
        let mib =
            |bytes: Option<u64>| bytes.map_or_else(|| "?".to_owned(), |bytes| (bytes >> 20).to_string());
        println!(
            "memory: {} MiB at the start, {} MiB at most, {} MiB at the end; health: {seen:?}",
            mib(self.memory_at_start),
            self.peak >> 20,
            mib(left)
        );
        if left > left_max {
            self.faults.push(format!("{} MiB of memory are left", mib(left)));
        }
        if self.peak > MEMORY_BYTES_MAX {
            self.faults.push(format!("it took {} MiB", self.peak >> 20));
        }
        if !seen.is_well() {
            self.faults.push(format!("health: {seen:?}"));
        }
        if let Some(end) = self.server.end() {
            self.faults.push(format!("the server died: {end}"));
        }
        self.faults
    }
}

/// What came of a case, and when, counted from when it was sent.
struct Measured {
    outcome: Outcome,
    answered: Duration,
    /// Whether the graph is another than before, if it is an update.
    changed: bool,
    /// When its thread was free; `None`: not within [`PATIENCE`], or the server has gone.
    freed: Option<Duration>,
}

/// Imports the graph into an empty server.
async fn load(grpc: &Transport) {
    let document = Cow::Owned(graph::document().into_bytes());
    let imported = grpc.send(Kind::Import("nq"), document, async {}).await;
    assert_eq!(imported, Ok(Some(graph::QUAD_COUNT)));
}

/// Brings the graph back to what it was; false if that takes longer than the server's limit.
async fn restore(grpc: &Transport) -> bool {
    let emptied = grpc
        .send(Kind::Update, Cow::Borrowed(b"DROP ALL"), async {})
        .await;
    if emptied.is_ok() {
        load(grpc).await;
    }
    emptied.is_ok()
}

/// Sends a case one way; `grpc` tells when its thread is free.
async fn measure(way: &Transport, grpc: &Transport, case: &Case) -> Measured {
    let text = case.text.bytes();
    let sent = Instant::now();
    let mut freed = None;
    let pause = async {
        if case.kind == Kind::Stalled {
            freed = free(grpc, case.kind, sent, Expected::Count(1)).await;
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, way.send(case.kind, text, pause)).await;
    let answered = sent.elapsed();
    let outcome = outcome.unwrap_or_else(|_| Err((tonic::Code::Unknown, "no answer".to_owned())));
    // HTTP has no way to leave an update at its plan.
    let is_committed = case.kind == Kind::Update || (case.kind == Kind::Plan && !way.can_plan());
    let changed = is_committed && matches!(outcome, Ok(Some(count)) if count > 0);
    if freed.is_none() {
        let right = if changed {
            Expected::Answer
        } else {
            Expected::Count(1)
        };
        freed = free(grpc, case.kind, sent, right).await;
    }
    Measured {
        outcome,
        answered,
        changed,
        freed,
    }
}

/// Waits until the next query, or update, is answered rightly; returns how long that is after `since`.
async fn free(grpc: &Transport, kind: Kind, since: Instant, right: Expected) -> Option<Duration> {
    let (kind, text) = if kind.is_update() {
        (Kind::Plan, "DELETE DATA { <d:0> <d:p> <d:1> }")
    } else {
        (Kind::Query, "ASK { <d:0> <d:p> <d:1> }")
    };
    while since.elapsed() < PATIENCE {
        let probe = grpc.send(kind, Cow::Borrowed(text.as_bytes()), async {});
        match tokio::time::timeout(PATIENCE, probe).await {
            Ok(outcome) if right.is_met_by(&outcome) => return Some(since.elapsed()),
            // The thread is busy: it waited in the queue until its own deadline.
            Ok(outcome) if case::DEADLINE.is_met_by(&outcome) => {}
            // Wrong, or the server has gone.
            _ => return None,
        }
    }
    None
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Ok(None) => "answered".to_owned(),
        Ok(Some(count)) => format!("answered, {count}"),
        Err((code, reason)) => format!("{code:?} {reason}"),
    }
}
