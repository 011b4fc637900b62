//! Documents in and out, end to end over gRPC and durable: quads a second, and how formats, packings and modes compare; and what reads
//! take beside an import.
//!
//! ```text
//! cargo bench --bench transfer
//! cargo bench --bench transfer -- --quads 10000000
//! ```
//!
//! Server and client are one process and share this machine's cores. `memory` is the most that the process has taken so far, the document
//! and all that it holds included.

#[path = "../examples/generate/graph.rs"]
mod generate;
mod server;

use std::{
    error::Error,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use dossier::{
    config::ServeSettings,
    proto::v1::{
        Compression, ExportRequest, GetEntityRequest, ImportHeader, ImportMode, ImportRequest,
        entity_service_client::EntityServiceClient, export_response, import_request, import_response,
        write_service_client::WriteServiceClient,
    },
};
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::transport::{Channel, Endpoint};

type Failure = Box<dyn Error + Send + Sync>;

/// As the server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CHUNK_BYTES: usize = 1 << 18;
/// How long is read beside nothing.
const ALONE_TIME: Duration = Duration::from_secs(3);

fn main() -> Result<(), Failure> {
    let mut quad_count = 1_000_000;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quads" => quad_count = arguments.next().ok_or("--quads takes a number")?.parse()?,
            "--bench" => {} // From cargo.
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(quad_count))
}

async fn run(quad_count: u64) -> Result<(), Failure> {
    let mut n_quads = Vec::new();
    generate::write_graph(&mut n_quads, quad_count, 1)?;
    println!(
        "{:<28} {:>10} {:>8} {:>12} {:>10} {:>10}",
        "transfer", "quads", "MB", "quads/s", "of N-Quads", "memory MB"
    );
    let n_quads = Bytes::from(n_quads);
    let mut first = None;
    let mut print = |name: &str, bytes: usize, seconds: f64| -> Result<(), Failure> {
        let rate = per_second(quad_count, seconds);
        let first = *first.get_or_insert(rate);
        println!(
            "{name:<28} {quad_count:>10} {:>8} {rate:>12.0} {:>10.2} {:>10}",
            bytes / 1_000_000,
            rate / first,
            memory_mb()?
        );
        Ok(())
    };
    let server = Server::start().await?;
    print(
        "import N-Quads",
        n_quads.len(),
        server.import("nq", ImportMode::Unspecified, &n_quads).await?,
    )?;
    let mut jelly = Bytes::new();
    let mut packed = Vec::new();
    for (name, format, compression) in [
        ("export N-Quads", "nq", Compression::Unspecified),
        ("export Jelly", "jelly", Compression::Unspecified),
        ("export TriG", "trig", Compression::Unspecified),
        ("export N-Quads, gzip", "nq", Compression::Gzip),
        ("export N-Quads, zstd", "nq", Compression::Zstd),
    ] {
        let (document, seconds) = server.export(format, compression).await?;
        print(name, document.len(), seconds)?;
        if format == "jelly" {
            jelly = document;
        } else if compression != Compression::Unspecified {
            packed.push((compression, document));
        }
    }
    server.stop().await?;
    for (name, format, mode, document) in [
        ("import Jelly", "jelly", ImportMode::Unspecified, &jelly),
        ("import N-Quads in pieces", "nq", ImportMode::Chunked, &n_quads),
        ("import Jelly in pieces", "jelly", ImportMode::Chunked, &jelly),
    ] {
        let server = Server::start().await?;
        print(name, document.len(), server.import(format, mode, document).await?)?;
        server.stop().await?;
    }
    for (compression, document) in packed {
        let server = Server::start().await?;
        let header = ImportHeader {
            format: "nq".to_owned(),
            compression: compression.into(),
            ..ImportHeader::default()
        };
        let name = match compression {
            Compression::Gzip => "import N-Quads, gzip",
            _ => "import N-Quads, zstd",
        };
        print(name, document.len(), server.import_as(header, &document).await?)?;
        server.stop().await?;
    }
    reads_beside_imports(&n_quads, quad_count).await
}

/// Prints how long one caller's lookups take, one after the other: alone, and while another graph is imported.
async fn reads_beside_imports(n_quads: &Bytes, quad_count: u64) -> Result<(), Failure> {
    let mut other = Vec::new();
    generate::write_graph(&mut other, quad_count, 2)?;
    let other = Bytes::from(other);
    println!(
        "\n{:<28} {:>10} {:>10} {:>10} {:>10}",
        "GetEntity", "calls", "p50 ms", "p99 ms", "worst ms"
    );
    for (name, mode) in [
        ("alone", None),
        ("beside an import", Some(ImportMode::Unspecified)),
        ("beside an import in pieces", Some(ImportMode::Chunked)),
    ] {
        let server = Server::start().await?;
        server.import("nq", ImportMode::Unspecified, n_quads).await?;
        let is_over = Arc::new(AtomicBool::new(false));
        let reading = {
            // On a connection of its own.
            let (channel, is_over) = (server.connect().await?, Arc::clone(&is_over));
            tokio::spawn(read(channel, generate::entity_count(quad_count), is_over))
        };
        match mode {
            None => tokio::time::sleep(ALONE_TIME).await,
            Some(mode) => _ = server.import("nq", mode, &other).await?,
        }
        is_over.store(true, Ordering::Relaxed);
        let mut times = reading.await??;
        times.sort_unstable();
        let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1e3;
        println!(
            "{name:<28} {:>10} {:>10.2} {:>10.2} {:>10.2}",
            times.len(),
            at(50),
            at(99),
            at(100)
        );
        server.stop().await?;
    }
    Ok(())
}

/// Looks entities up until it is over; returns how long each took.
async fn read(
    channel: Channel,
    entity_count: u64,
    is_over: Arc<AtomicBool>,
) -> Result<Vec<Duration>, Failure> {
    let mut entities = EntityServiceClient::new(channel);
    let mut times = Vec::new();
    while !is_over.load(Ordering::Relaxed) || times.is_empty() {
        let request = GetEntityRequest {
            entity: generate::entity_iri(times.len() as u64 * 7_919_333 % entity_count),
            ..GetEntityRequest::default()
        };
        let begun_at = Instant::now();
        entities.get_entity(request).await?;
        times.push(begun_at.elapsed());
    }
    Ok(times)
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more digits")]
fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

/// Returns the most memory that this process has taken.
fn memory_mb() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.ok_or("no VmHWM")?.parse::<u64>()? / 1_000)
}

async fn connect(address: SocketAddr) -> Result<Channel, Failure> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?
        .tcp_nodelay(true)
        .connect()
        .await?)
}

struct Server {
    address: SocketAddr,
    channel: Channel,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Failure>>,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let settings = ServeSettings {
            data_dir: folder.path().join("data"),
            load_shipped_data: false,
            ..ServeSettings::default()
        };
        let (address, stop, task) = server::start(settings).await?;
        let server = Self {
            address,
            channel: connect(address).await?,
            stop,
            task,
            _folder: folder,
        };
        // Calls are refused until it serves.
        while server
            .import("nq", ImportMode::Unspecified, &Bytes::new())
            .await
            .is_err()
        {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        Ok(server)
    }

    async fn stop(self) -> Result<(), Failure> {
        let _ = self.stop.send(());
        drop(self.channel);
        self.task.await?
    }

    async fn connect(&self) -> Result<Channel, Failure> {
        connect(self.address).await
    }

    fn client(&self) -> WriteServiceClient<Channel> {
        WriteServiceClient::new(self.channel.clone()).max_decoding_message_size(16 << 20)
    }

    /// Imports a document; returns the seconds until it was durable.
    async fn import(&self, format: &str, mode: ImportMode, document: &Bytes) -> Result<f64, Failure> {
        let header = ImportHeader {
            format: format.to_owned(),
            mode: mode.into(),
            ..ImportHeader::default()
        };
        self.import_as(header, document).await
    }

    /// As [`Self::import`], by a header.
    async fn import_as(&self, header: ImportHeader, document: &Bytes) -> Result<f64, Failure> {
        let document = document.clone();
        let chunks = (0..document.len()).step_by(CHUNK_BYTES).map(move |start| {
            let end = document.len().min(start + CHUNK_BYTES);
            import_request::Part::Chunk(document.slice(start..end))
        });
        let parts = std::iter::once(import_request::Part::Header(header)).chain(chunks);
        let requests = tokio_stream::iter(parts.map(|part| ImportRequest { part: Some(part) }));
        let start = Instant::now();
        let mut answers = self.client().import(requests).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            if let Some(import_response::Part::Complete(_)) = answer.part {
                return Ok(start.elapsed().as_secs_f64());
            }
        }
        Err("the import did not complete".into())
    }

    /// Exports everything; returns the document and the seconds that it took.
    async fn export(&self, format: &str, compression: Compression) -> Result<(Bytes, f64), Failure> {
        let request = ExportRequest {
            format: format.to_owned(),
            compression: compression.into(),
            ..ExportRequest::default()
        };
        let start = Instant::now();
        let mut parts = self.client().export(request).await?.into_inner();
        let mut document = Vec::new();
        while let Some(message) = parts.message().await? {
            match message.part {
                Some(export_response::Part::Chunk(chunk)) => document.extend_from_slice(&chunk),
                Some(export_response::Part::Complete(_)) => {
                    return Ok((document.into(), start.elapsed().as_secs_f64()));
                }
                _ => {}
            }
        }
        Err("the export did not complete".into())
    }
}
