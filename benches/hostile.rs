//! How long after its deadline a query still holds its caller, and its thread.
//!
//! ```text
//! cargo bench --bench hostile                    # 1,000 queries, two at once, 100 ms each
//! cargo bench --bench hostile -- --queries 200
//! ```
//!
//! The server has as many threads for queries as there are callers. Each caller sends a query that does not end and, as soon
//! as that was answered, a query of a few microseconds: when its answer comes, the thread is free.

use std::{
    error::Error,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dossier::{
    config::ServeSettings,
    proto::v1::{
        ImportHeader, ImportRequest, QueryLimits, QueryRequest, import_request, query_response::Frame,
        sparql_service_client::SparqlServiceClient, write_service_client::WriteServiceClient,
    },
};
use tokio::{sync::oneshot, task::JoinSet};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

#[path = "../examples/generate/graph.rs"]
mod generate;
mod server;

type Failure = Box<dyn Error + Send + Sync>;

const CALLER_COUNT: usize = 2;
const QUAD_COUNT: u64 = 100_000;
const TIME_MAX: Duration = Duration::from_millis(100);
const POINT_QUERY: &str = "ASK { <http://example.org/e/1> ?p ?o }";

/// Heads and groups of queries that do not end; each of the ones with each of the others.
const HEADS: [&str; 8] = [
    "SELECT (COUNT(*) AS ?n) { BODY }",
    "SELECT * { BODY } ORDER BY ?c DESC(?f)",
    "SELECT DISTINCT ?a ?f ?c { BODY }",
    "SELECT ?a ?d (COUNT(*) AS ?n) { BODY } GROUP BY ?a ?d HAVING (?n > 1000000)",
    "SELECT * { BODY } LIMIT 1 OFFSET 1000000000000",
    "SELECT (COUNT(DISTINCT CONCAT(STR(?c), STR(?f))) AS ?n) { BODY }",
    "SELECT (GROUP_CONCAT(?c) AS ?x) { BODY }",
    "CONSTRUCT { ?a ?b ?f } { BODY }",
];
const BODIES: [&str; 8] = [
    "?a ?b ?c . ?d ?e ?f",
    "?a ?b ?c . ?d ?e ?f . ?g ?h ?i",
    "{ ?a ?b ?c } { ?d ?e ?f } FILTER(STR(?c) != STR(?f))",
    "?a ?b ?c OPTIONAL { ?d ?e ?f }",
    "?a ?b ?c . ?d ?e ?f MINUS { ?a ?b ?x . ?d ?e ?f }",
    "?a ?b ?c . ?d ?e ?f FILTER NOT EXISTS { ?x ?y ?z . ?u ?v ?w FILTER(?x = ?u && ?a = ?z) }",
    "?a (<http://example.org/p/partOf>|^<http://example.org/p/partOf>)* ?c . ?d ?e ?f",
    "{ ?a ?b ?c } UNION { ?c ?b ?a } ?d ?e ?f",
];

fn main() -> Result<(), Failure> {
    let mut query_count = 1_000;
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--queries" => query_count = arguments.next().ok_or("--queries takes a number")?.parse()?,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(query_count))
}

/// What was measured of one query, past its deadline.
struct Overshoot {
    query: usize,
    code: Code,
    caller: Duration,
    thread: Duration,
}

async fn run(query_count: usize) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let (channel, stop) = start(folder.path()).await?;
    load(&channel).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..CALLER_COUNT {
        let (channel, next) = (channel.clone(), Arc::clone(&next));
        callers.spawn(async move {
            let mut measured = Vec::new();
            loop {
                let query = next.fetch_add(1, Ordering::Relaxed);
                if query >= query_count {
                    return Ok::<_, Failure>(measured);
                }
                measured.push(measure(&channel, query).await?);
            }
        });
    }
    let mut measured = Vec::new();
    while let Some(caller) = callers.join_next().await {
        measured.extend(caller??);
    }
    report(&measured);
    // An error says that the server has ended already.
    let _ = stop.send(());
    Ok(())
}

async fn measure(channel: &Channel, query: usize) -> Result<Overshoot, Failure> {
    let sent = Instant::now();
    let code = ask(channel, text(query), Some(TIME_MAX))
        .await
        .err()
        .map_or(Code::Ok, |status| status.code());
    let caller = sent.elapsed();
    ask(channel, POINT_QUERY.to_owned(), None).await?;
    Ok(Overshoot {
        query,
        code,
        caller: caller.saturating_sub(TIME_MAX),
        thread: sent.elapsed().saturating_sub(TIME_MAX),
    })
}

fn text(query: usize) -> String {
    let head = HEADS[query % HEADS.len()];
    head.replace("BODY", BODIES[query / HEADS.len() % BODIES.len()])
}

async fn ask(channel: &Channel, query: String, timeout: Option<Duration>) -> Result<(), Status> {
    let request = QueryRequest {
        query,
        limits: timeout.map(|timeout| QueryLimits {
            timeout: prost_types::Duration::try_from(timeout).ok(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut client = SparqlServiceClient::new(channel.clone()).max_decoding_message_size(usize::MAX);
    let mut frames = client.query(request).await?.into_inner();
    while let Some(frame) = frames.message().await? {
        if let Some(Frame::Complete(_)) = frame.frame {
            return Ok(());
        }
    }
    Err(Status::data_loss("a result without its end"))
}

fn report(measured: &[Overshoot]) {
    let count_of = |code| measured.iter().filter(|overshoot| overshoot.code == code).count();
    println!(
        "{} queries of {TIME_MAX:?}, {CALLER_COUNT} at once: {} past their deadline, {} out of memory, {} answered, {} else",
        measured.len(),
        count_of(Code::DeadlineExceeded),
        count_of(Code::ResourceExhausted),
        count_of(Code::Ok),
        measured.len()
            - count_of(Code::DeadlineExceeded)
            - count_of(Code::ResourceExhausted)
            - count_of(Code::Ok),
    );
    println!(
        "{:<18} {:>9} {:>9} {:>9} {:>9}",
        "past it, ms", "p50", "p90", "p99", "worst"
    );
    let callers = measured.iter().map(|overshoot| overshoot.caller).collect();
    let threads = measured.iter().map(|overshoot| overshoot.thread).collect();
    for (name, mut times) in [("caller waits", callers), ("thread is busy", threads)] {
        let times: &mut Vec<Duration> = &mut times;
        times.sort_unstable();
        let at = |percent: usize| {
            let time = times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
            time.map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        println!(
            "{name:<18} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
            at(50),
            at(90),
            at(99),
            at(100)
        );
    }
    let mut slowest: Vec<_> = measured.iter().collect();
    slowest.sort_by_key(|overshoot| std::cmp::Reverse(overshoot.thread));
    for overshoot in slowest.iter().take(5) {
        println!("{:>7.0?}  {}", overshoot.thread, text(overshoot.query));
    }
}

async fn start(folder: &Path) -> Result<(Channel, oneshot::Sender<()>), Failure> {
    let settings = ServeSettings {
        data_dir: folder.join("data"),
        load_shipped_data: false,
        query_concurrency_max: CALLER_COUNT,
        ..ServeSettings::default()
    };
    let (address, stop, _) = server::start(settings).await?;
    let channel = Endpoint::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    while ask(&channel, POINT_QUERY.to_owned(), None)
        .await
        .is_err_and(|status| status.code() == Code::Unavailable)
    {
        tokio::task::yield_now().await;
    }
    Ok((channel, stop))
}

async fn load(channel: &Channel) -> Result<(), Failure> {
    let mut document = Vec::new();
    generate::write_graph(&mut document, QUAD_COUNT, 1)?;
    let header = ImportHeader {
        format: "nq".to_owned(),
        ..Default::default()
    };
    let chunks = document
        .chunks(1 << 20)
        .map(|chunk| import_request::Part::Chunk(chunk.to_vec().into()));
    let parts: Vec<_> = std::iter::once(import_request::Part::Header(header))
        .chain(chunks)
        .map(|part| ImportRequest { part: Some(part) })
        .collect();
    let mut writes = WriteServiceClient::new(channel.clone());
    let mut answers = writes.import(tokio_stream::iter(parts)).await?.into_inner();
    while answers.message().await?.is_some() {}
    Ok(())
}
