//! Sends what is made to break a server to one server process, and looks that it stays alive, small and healthy.
//!
//! `DOSSIER_HOSTILE=name,name` runs only the cases whose names contain one of these. With `--nocapture` it prints what came of each.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod case;
mod cases;
mod graph;
mod health;
mod server;
mod transport;

use std::{
    borrow::Cow,
    collections::HashSet,
    time::{Duration, Instant},
};

use case::{Case, Expected, Kind, Outcome};
use server::{MEMORY_BYTES_MAX, Server};
use transport::Transport;

/// The server's limit for every query and update.
const DEADLINE: Duration = Duration::from_millis(600);
/// How long after the deadline a request may still be answered, or keep its thread.
const OVERSHOOT_MAX: Duration = Duration::from_millis(500);
/// What one request may add to the memory of the server.
const CASE_MEMORY_BYTES_MAX: u64 = 512 << 20;
/// What all of them may leave behind.
const LEFT_BYTES_MAX: u64 = 256 << 20;
/// Far more than anything takes; a server that is busy for longer is given up.
const PATIENCE: Duration = Duration::from_secs(15);
/// One thread for queries: the next one tells when it is free.
const FLAGS: [&str; 6] = [
    "--query-timeout-max=600ms",
    "--query-concurrency-max=1",
    "--graph-memory-max=256MiB",
    "--drain-timeout=1s",
    "--log-format=text",
    "--query-size-max=1MiB",
];

#[test]
fn hostile_requests_do_no_harm() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut run = Run::start(&runtime);
    println!(
        "{:<44} {:>9} {:>9} {:>9}  outcome",
        "case", "answer ms", "thread ms", "peak MiB"
    );
    let mut count = 0;
    for case in chosen() {
        run.case(&runtime, case);
        count += 1;
    }
    let faults = run.finish();
    assert!(faults.is_empty(), "of {count} cases:\n{}", faults.join("\n"));
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

/// The server, and what was seen of it.
struct Run {
    server: Server,
    transport: Transport,
    health: health::Watch,
    /// Memory before the first case.
    memory_at_start: Option<u64>,
    peak: u64,
    faults: Vec<String>,
}

impl Run {
    fn start(runtime: &tokio::runtime::Runtime) -> Self {
        let server = Server::start(&FLAGS);
        let transport = runtime.block_on(async {
            let transport = Transport::grpc(server.url()).await;
            let document = Cow::Owned(graph::document().into_bytes());
            let imported = transport.send(Kind::Import("nq"), document, async {}).await;
            assert_eq!(imported, Ok(graph::QUAD_COUNT));
            transport
        });
        Self {
            health: health::Watch::start(server.url()),
            memory_at_start: server.memory().map(|memory| memory.now),
            server,
            transport,
            peak: 0,
            faults: Vec::new(),
        }
    }

    /// Runs a case and takes down what is wrong with what comes of it.
    fn case(&mut self, runtime: &tokio::runtime::Runtime, case: &Case) {
        self.server.forget_peak();
        let before = self.server.memory();
        let measured = runtime.block_on(measure(&self.transport, case));
        let after = self.server.memory();
        let peak = after.map_or(0, |memory| memory.peak);
        self.peak = self.peak.max(peak);
        println!(
            "{:<44} {:>9} {:>9} {:>9}  {}",
            case.name,
            measured.answered.as_millis(),
            measured
                .freed
                .map_or_else(|| "never".to_owned(), |freed| freed.as_millis().to_string()),
            peak >> 20,
            shown(&measured.outcome),
        );
        let mut fault = |what: String| self.faults.push(format!("{}: {what}", case.name));
        if let Some(end) = self.server.end() {
            fault(format!("the server died: {end}"));
            self.restart(runtime);
            return;
        }
        if !case
            .expected
            .iter()
            .any(|expected| expected.is_met_by(&measured.outcome))
        {
            let outcome = shown(&measured.outcome);
            fault(format!("{outcome}, expected one of {:?}", case.expected));
        }
        // Documents have no deadline, and whoever stalls is answered late.
        let is_document = matches!(case.kind, Kind::Import(_) | Kind::Gzip(_));
        if !is_document && case.kind != Kind::Stalled && measured.answered > DEADLINE + OVERSHOOT_MAX {
            fault(format!("answered after {:?}", measured.answered));
        }
        let busy_at_most = if is_document { measured.answered } else { DEADLINE };
        match measured.freed {
            None => fault("no request after it was answered".to_owned()),
            Some(freed) if freed > busy_at_most + OVERSHOOT_MAX => {
                fault(format!("its thread was busy for {freed:?}"));
            }
            Some(_) => {}
        }
        let added = before.map_or(0, |before| peak.saturating_sub(before.now));
        if added > CASE_MEMORY_BYTES_MAX {
            fault(format!("took {} MiB", added >> 20));
        }
        if measured.freed.is_none() {
            self.restart(runtime);
        }
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
    /// When its thread was free; `None`: not within [`PATIENCE`], or the server has gone.
    freed: Option<Duration>,
}

async fn measure(transport: &Transport, case: &Case) -> Measured {
    let text = case.text.bytes();
    let sent = Instant::now();
    let mut freed = None;
    let pause = async {
        if case.kind == Kind::Stalled {
            freed = free(transport, case.kind, sent).await;
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, transport.send(case.kind, text, pause)).await;
    let answered = sent.elapsed();
    if freed.is_none() {
        freed = free(transport, case.kind, sent).await;
    }
    Measured {
        outcome: outcome.unwrap_or_else(|_| Err((tonic::Code::Unknown, "no answer".to_owned()))),
        answered,
        freed,
    }
}

/// Waits until the next query, or update, is answered rightly; returns how long that is after `since`.
async fn free(transport: &Transport, kind: Kind, since: Instant) -> Option<Duration> {
    let (kind, text) = match kind {
        Kind::Update | Kind::Plan => (Kind::Plan, "DELETE DATA { <d:0> <d:p> <d:1> }"),
        _ => (Kind::Query, "ASK { <d:0> <d:p> <d:1> }"),
    };
    while since.elapsed() < PATIENCE {
        let probe = transport.send(kind, Cow::Borrowed(text.as_bytes()), async {});
        match tokio::time::timeout(PATIENCE, probe).await {
            Ok(outcome) if Expected::Count(1).is_met_by(&outcome) => return Some(since.elapsed()),
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
        Ok(count) => format!("answered, {count}"),
        Err((code, reason)) => format!("{code:?} {reason}"),
    }
}
