//! What a call costs, side by side with a bare tonic echo of as many bytes, and one of the same message, in one run.
//!
//! ```text
//! cargo bench --bench grpc                                 # 1,000,000 quads, 1, 8 and 64 callers
//! cargo bench --bench grpc -- --quads 100000 --statements 10000 --seconds 2   # a quick look
//! benches/oxigraph_server.py                               # with Oxigraph's own server on the same graph beside it
//! ```
//!
//! Server and clients share this machine's cores, so rates are those of the pair. The ratio to the echo is what can be
//! compared between machines.

use std::{
    error::Error,
    io::Write as _,
    net::SocketAddr,
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
        BatchGetEntitiesRequest, GetEntityRequest, GetEntityResponse, ImportHeader, ImportRequest,
        QueryRequest, RowEncoding, entity_service_client::EntityServiceClient, import_request,
        query_response, sparql_service_client::SparqlServiceClient, write_service_client::WriteServiceClient,
    },
};
use prost::{Message as _, bytes::Bytes};
use tokio::{sync::oneshot, task::JoinSet};
use tonic::transport::{Channel, Endpoint};

mod echo;
mod facts;
#[path = "../examples/generate/graph.rs"]
mod generate;
mod oxigraph;
mod server;

type Failure = Box<dyn Error + Send + Sync>;

/// As the server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Connections that the callers share.
const CONNECTION_COUNT: usize = 8;
const CALLER_COUNTS: [usize; 3] = [1, 8, 64];
/// Turns that calls and the echoes beside them take.
const ROUND_COUNT: u32 = 8;
const BATCH_ENTITY_COUNT: usize = 100;
const SYNC_COUNT: usize = 500;

fn main() -> Result<(), Failure> {
    let mut quad_count = 1_000_000;
    let mut time = Duration::from_secs(3);
    let mut statement_count = 1_000_000;
    let mut oxigraph = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quads" => quad_count = arguments.next().ok_or("--quads takes a number")?.parse()?,
            "--statements" => {
                statement_count = arguments.next().ok_or("--statements takes a number")?.parse()?;
            }
            "--seconds" => {
                time = Duration::from_secs(arguments.next().ok_or("--seconds takes a number")?.parse()?);
            }
            "--oxigraph" => oxigraph = Some(arguments.next().ok_or("--oxigraph takes an address")?.parse()?),
            "--bench" => {} // From cargo.
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(quad_count, statement_count, time, oxigraph))
}

async fn run(
    quad_count: u64,
    statement_count: u64,
    time: Duration,
    oxigraph: Option<SocketAddr>,
) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let settings = ServeSettings {
        data_dir: folder.path().to_owned(),
        load_shipped_data: false,
        ..ServeSettings::default()
    };
    let (address, stop, server) = server::start(settings).await?;
    let channels = connect(address).await?;
    wait_until_ready(&channels[0]).await?;
    load(&channels[0], quad_count).await?;

    let entity_count = generate::entity_count(quad_count);
    let entity = move |turn: usize| generate::entity_iri(turn as u64 * 7_919_333 % entity_count);
    let echoes = Echoes::start(&channels[0], entity(1)).await?;
    println!(
        "an entity's answer has {} bytes; an echo answers as many, and one answers that message\n",
        echoes.size
    );
    println!(
        "{:<24} {:>8} {:>12} {:>10} {:>10}  of echo, of its message",
        "call", "callers", "calls/s", "p50 µs", "p99 µs"
    );
    for caller_count in CALLER_COUNTS {
        let get = move |channel, turn| get_entity(channel, entity(turn));
        let echo = echoes
            .measure_beside("GetEntity", &channels, caller_count, time, entity, get)
            .await?;
        let against = &[echo];
        measure(
            "BatchGetEntities(100)",
            &channels,
            caller_count,
            time,
            against,
            move |channel, turn| {
                batch_get(
                    channel,
                    (0..BATCH_ENTITY_COUNT)
                        .map(|at| entity(turn * BATCH_ENTITY_COUNT + at))
                        .collect(),
                )
            },
        )
        .await?;
        measure(
            "SPARQL point query",
            &channels,
            caller_count,
            time,
            against,
            move |channel, turn| point_query(channel, entity(turn)),
        )
        .await?;
        if let Some(address) = oxigraph {
            let connections = oxigraph::connect(address, caller_count).await?;
            measure(
                "Oxigraph's point query",
                &connections,
                caller_count,
                time,
                against,
                move |connection, turn| oxigraph::query(connection, point_query_text(&entity(turn))),
            )
            .await?;
        }
    }
    print_sync_time(folder.path())?;
    // Writes last: they change what the others read.
    for caller_count in CALLER_COUNTS {
        let write = move |channel, turn| facts::write(channel, entity(turn), turn);
        measure("WriteFacts(1)", &channels, caller_count, time, &[], write).await?;
    }
    if statement_count > 0 {
        verdicts(&channels, &echoes, statement_count, entity_count, time).await?;
    }
    println!();
    for encoding in [RowEncoding::Plain, RowEncoding::Dictionary] {
        stream(&channels[0], encoding).await?;
    }
    // A receiver that is gone has stopped already.
    let _ = stop.send(());
    server.await?
}

/// Prints the time in which the disk makes 4 KiB at the end of a file durable: no commit of one caller alone is faster.
fn print_sync_time(folder: &Path) -> Result<(), Failure> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut times = Vec::new();
    for _ in 0..SYNC_COUNT {
        file.write_all(&[0; 4 << 10])?;
        let start = Instant::now();
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    println!(
        "one fsync: {} µs p50, {} µs p99",
        times[SYNC_COUNT / 2].as_micros(),
        times[SYNC_COUNT * 99 / 100].as_micros()
    );
    Ok(())
}

/// An echo of as many bytes as an entity's answer has, and one of that message. They stop when this is dropped.
struct Echoes {
    size: usize,
    of_bytes: Vec<Channel>,
    of_message: Vec<Channel>,
    _stop: [oneshot::Sender<()>; 2],
}

impl Echoes {
    async fn start(channel: &Channel, entity: String) -> Result<Self, Failure> {
        let request = GetEntityRequest {
            entity,
            ..GetEntityRequest::default()
        };
        let mut client = EntityServiceClient::new(channel.clone());
        let message = client.get_entity(request).await?.into_inner();
        let size = message.encoded_len();
        let (bytes_address, stop_bytes) = echo::start(Bytes::from(vec![b'x'; size])).await?;
        let (message_address, stop_message) = echo::start(message).await?;
        Ok(Self {
            size,
            of_bytes: connect(bytes_address).await?,
            of_message: connect(message_address).await?,
            _stop: [stop_bytes, stop_message],
        })
    }

    /// Measures calls and both echoes in turn, a little of each at a time: a machine is not as fast from one second to the next. Returns the
    /// echoes of bytes a second.
    async fn measure_beside<F>(
        &self,
        name: &str,
        channels: &[Channel],
        caller_count: usize,
        time: Duration,
        entity: impl Fn(usize) -> String + Copy + Send + 'static,
        call: impl Fn(Channel, usize) -> F + Clone + Send + 'static,
    ) -> Result<f64, Failure>
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let of_bytes = move |channel, turn| echo::call::<Bytes>(channel, entity(turn));
        let of_message = move |channel, turn| echo::call::<GetEntityResponse>(channel, entity(turn));
        let [mut bytes, mut messages, mut calls] = [(); 3].map(|()| Calls::default());
        for _ in 0..ROUND_COUNT {
            let time = time / ROUND_COUNT;
            bytes.run(&self.of_bytes, caller_count, time, of_bytes).await?;
            messages
                .run(&self.of_message, caller_count, time, of_message)
                .await?;
            calls.run(channels, caller_count, time, call.clone()).await?;
        }
        let bytes = bytes.print("echo", caller_count, &[]);
        let messages = messages.print("echo of the message", caller_count, &[bytes]);
        calls.print(name, caller_count, &[bytes, messages]);
        Ok(bytes)
    }
}

/// Entities and verdicts among so many statements, beside the echoes.
async fn verdicts(
    channels: &[Channel],
    echoes: &Echoes,
    statement_count: u64,
    entity_count: u64,
    time: Duration,
) -> Result<(), Failure> {
    let subject = move |number: u64| generate::entity_iri(number % entity_count);
    facts::load_statements(&channels[0], statement_count, subject).await?;
    let start = Instant::now();
    wait_until_idle().await?;
    println!(
        "\nwith {statement_count} statements, {:.0} s after they were loaded:",
        start.elapsed().as_secs_f64()
    );
    let entity = move |turn: usize| subject(turn as u64 * 7_919_333);
    let of_facts = Echoes::start(&channels[0], entity(1)).await?;
    println!(
        "an entity's answer, with its stated facts, has {} bytes; so have those of the next echoes",
        of_facts.size
    );
    for caller_count in CALLER_COUNTS {
        let get = move |channel, turn| get_entity(channel, entity(turn));
        of_facts
            .measure_beside("GetEntity with facts", channels, caller_count, time, entity, get)
            .await?;
    }
    drop(of_facts);
    println!("and with the first echoes again:");
    for caller_count in CALLER_COUNTS {
        let check = move |channel, turn: usize| {
            let number = turn as u64 * 7_919_333 % statement_count;
            facts::check(channel, number, subject(number))
        };
        echoes
            .measure_beside("CheckFact", channels, caller_count, time, entity, check)
            .await?;
    }
    Ok(())
}

/// Waits until this process needs less than a tenth of a processor: what a load leaves to be done in the background is paid by
/// whichever call is measured first.
async fn wait_until_idle() -> Result<(), Failure> {
    const TICKS_A_SECOND: u64 = 100;
    let mut before = processor_ticks()?;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = processor_ticks()?;
        if now - before < TICKS_A_SECOND / 10 {
            return Ok(());
        }
        before = now;
    }
}

/// Returns the processor time of this process (`proc_pid_stat(5)`: utime and stime).
fn processor_ticks() -> Result<u64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let times: Result<Vec<u64>, _> = after_name.split(' ').skip(11).take(2).map(str::parse).collect();
    Ok(times?.iter().sum())
}

async fn connect(address: SocketAddr) -> Result<Vec<Channel>, Failure> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    let mut channels = Vec::new();
    for _ in 0..CONNECTION_COUNT {
        channels.push(endpoint.connect().await?);
    }
    Ok(channels)
}

async fn wait_until_ready(channel: &Channel) -> Result<(), Failure> {
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    };
    let mut health = HealthClient::new(channel.clone())
        .watch(HealthCheckRequest::default())
        .await?
        .into_inner();
    while let Some(answer) = health.message().await? {
        if answer.status() == ServingStatus::Serving {
            return Ok(());
        }
    }
    Err("the server stopped before it was ready".into())
}

async fn load(channel: &Channel, quad_count: u64) -> Result<(), Failure> {
    let mut document = Vec::new();
    generate::write_graph(&mut document, quad_count, 1)?;
    let document = bytes::Bytes::from(document);
    let header = ImportHeader {
        format: "nq".to_owned(),
        ..ImportHeader::default()
    };
    let chunks = (0..document.len()).step_by(1 << 20).map({
        let document = document.clone();
        move |start| import_request::Part::Chunk(document.slice(start..document.len().min(start + (1 << 20))))
    });
    let parts = std::iter::once(import_request::Part::Header(header)).chain(chunks);
    let requests = tokio_stream::iter(
        parts
            .map(|part| ImportRequest { part: Some(part) })
            .collect::<Vec<_>>(),
    );
    let start = Instant::now();
    let mut answers = WriteServiceClient::new(channel.clone())
        .import(requests)
        .await?
        .into_inner();
    while answers.message().await?.is_some() {}
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "load: {quad_count} quads, {} MB in {seconds:.2} s, durable: {:.0} quads/s",
        document.len() / 1_000_000,
        per_second(quad_count, seconds)
    );
    Ok(())
}

async fn get_entity(channel: Channel, entity: String) -> Result<(), Failure> {
    let request = GetEntityRequest {
        entity,
        ..GetEntityRequest::default()
    };
    EntityServiceClient::new(channel).get_entity(request).await?;
    Ok(())
}

async fn batch_get(channel: Channel, entities: Vec<String>) -> Result<(), Failure> {
    let request = BatchGetEntitiesRequest {
        entities,
        ..BatchGetEntitiesRequest::default()
    };
    let answer = EntityServiceClient::new(channel)
        .batch_get_entities(request)
        .await?
        .into_inner();
    if answer.entities.len() == BATCH_ENTITY_COUNT {
        Ok(())
    } else {
        Err("entities are missing".into())
    }
}

async fn point_query(channel: Channel, entity: String) -> Result<(), Failure> {
    let request = QueryRequest {
        query: point_query_text(&entity),
        ..QueryRequest::default()
    };
    let mut frames = SparqlServiceClient::new(channel)
        .query(request)
        .await?
        .into_inner();
    while frames.message().await?.is_some() {}
    Ok(())
}

fn point_query_text(entity: &str) -> String {
    format!("SELECT ?p ?o WHERE {{ <{entity}> ?p ?o }}")
}

/// Calls for some time from so many callers, prints the line of the table, and returns the calls a second.
async fn measure<C: Clone + Send + 'static, F>(
    name: &str,
    channels: &[C],
    caller_count: usize,
    time: Duration,
    echoes: &[f64],
    call: impl Fn(C, usize) -> F + Clone + Send + 'static,
) -> Result<f64, Failure>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let mut calls = Calls::default();
    calls.run(channels, caller_count, time, call).await?;
    Ok(calls.print(name, caller_count, echoes))
}

/// What calls of a kind took.
#[derive(Default)]
struct Calls {
    turn: Arc<AtomicUsize>,
    latencies: Vec<Duration>,
    time: Duration,
}

impl Calls {
    /// Calls for some time from so many callers.
    async fn run<C: Clone + Send + 'static, F>(
        &mut self,
        channels: &[C],
        caller_count: usize,
        time: Duration,
        call: impl Fn(C, usize) -> F + Clone + Send + 'static,
    ) -> Result<(), Failure>
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let start = Instant::now();
        let mut callers = JoinSet::new();
        for caller in 0..caller_count {
            let (channel, call, turn) = (
                channels[caller % channels.len()].clone(),
                call.clone(),
                Arc::clone(&self.turn),
            );
            callers.spawn(async move {
                let mut latencies = Vec::new();
                while start.elapsed() < time {
                    let sent = Instant::now();
                    call(channel.clone(), turn.fetch_add(1, Ordering::Relaxed)).await?;
                    latencies.push(sent.elapsed());
                }
                Ok::<_, Failure>(latencies)
            });
        }
        while let Some(caller) = callers.join_next().await {
            self.latencies.append(&mut caller??);
        }
        self.time += start.elapsed();
        Ok(())
    }

    /// Prints the line of the table, and returns the calls a second.
    fn print(mut self, name: &str, caller_count: usize, echoes: &[f64]) -> f64 {
        let rate = per_second(self.latencies.len() as u64, self.time.as_secs_f64());
        self.latencies.sort_unstable();
        let micros = |share: usize| self.latencies[(self.latencies.len() - 1) * share / 100].as_micros();
        let ratios = echoes.iter().map(|echo| format!("{:.2}", rate / echo));
        println!(
            "{name:<24} {caller_count:>8} {rate:>12.0} {:>10} {:>10}  {}",
            micros(50),
            micros(99),
            ratios.collect::<Vec<_>>().join(" ")
        );
        rate
    }
}

async fn stream(channel: &Channel, encoding: RowEncoding) -> Result<(), Failure> {
    let query = "SELECT ?s ?p ?o WHERE { ?s ?p ?o }".to_owned();
    let request = QueryRequest {
        query,
        row_encoding: encoding.into(),
        ..QueryRequest::default()
    };
    let start = Instant::now();
    let client = SparqlServiceClient::new(channel.clone()).max_decoding_message_size(usize::MAX);
    let mut frames = { client }.query(request).await?.into_inner();
    let (mut row_count, mut byte_count) = (0, 0);
    while let Some(frame) = frames.message().await? {
        byte_count += frame.encoded_len();
        if let Some(query_response::Frame::Rows(rows)) = frame.frame {
            row_count += u64::from(rows.row_count.unsigned_abs());
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "stream, {}: {row_count} rows of 3, {} MB in {seconds:.2} s: {:.0} rows/s",
        encoding.as_str_name(),
        byte_count / 1_000_000,
        per_second(row_count, seconds)
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}
