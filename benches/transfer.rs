//! Documents in and out, end to end over gRPC and durable: quads a second, and how formats and modes compare.
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

use std::{error::Error, time::Instant};

use bytes::Bytes;
use dossier::{
    config::ServeSettings,
    proto::v1::{
        ExportRequest, ImportHeader, ImportMode, ImportRequest, export_response, import_request,
        import_response, write_service_client::WriteServiceClient,
    },
};
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::transport::{Channel, Endpoint};

type Failure = Box<dyn Error + Send + Sync>;

/// As the server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CHUNK_BYTES: usize = 1 << 18;

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
    for (name, format) in [
        ("export N-Quads", "nq"),
        ("export Jelly", "jelly"),
        ("export TriG", "trig"),
    ] {
        let (document, seconds) = server.export(format).await?;
        print(name, document.len(), seconds)?;
        if format == "jelly" {
            jelly = document;
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
    Ok(())
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

struct Server {
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
        let channel = Endpoint::from_shared(format!("http://{address}"))?
            .connect()
            .await?;
        let server = Self {
            channel,
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
    async fn export(&self, format: &str) -> Result<(Bytes, f64), Failure> {
        let request = ExportRequest {
            format: format.to_owned(),
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
