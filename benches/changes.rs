//! What watchers cost writers: single-fact updates by 64 callers, with 0 to 1,000 watchers of every commit beside them; and by 8 callers,
//! with up to 100 that begin to watch and then read nothing.
//!
//! ```text
//! cargo bench --bench changes
//! cargo bench --bench changes -- --seconds 2
//! ```
//!
//! Server, writers and watchers share this machine's cores: what is lost is theirs to share, not what a writer waits for.

mod server;

use std::{
    error::Error,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dossier::{
    config::ServeSettings,
    proto::v1::{
        UpdateRequest, WatchRequest, WatchResponse, change_service_client::ChangeServiceClient,
        sparql_service_client::SparqlServiceClient, watch_request::Start, watch_response::Frame,
    },
};
use tokio::task::JoinSet;
use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};

type Failure = Box<dyn Error + Send + Sync>;

/// As the server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Who writes and watches.
#[derive(Clone, Copy)]
struct Load {
    writer_count: usize,
    watcher_count: usize,
    /// Whether the watchers read nothing but what they begin with.
    are_slow: bool,
}

const WATCHER_COUNTS: [usize; 4] = [0, 1, 100, 1_000];
const SLOW_WATCHER_COUNTS: [usize; 3] = [0, 1, 100];
/// A connection takes as many streams.
const WATCHERS_PER_CONNECTION: usize = 100;
const CONNECTION_COUNT: usize = 8;

fn main() -> Result<(), Failure> {
    let mut time = Duration::from_secs(3);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => {
                time = Duration::from_secs(arguments.next().ok_or("--seconds takes a number")?.parse()?);
            }
            "--bench" => {} // From cargo.
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(time))
}

async fn run(time: Duration) -> Result<(), Failure> {
    println!(
        "{:>8} {:>12} {:>12} {:>16} {:>10}",
        "watchers", "commits/s", "of none", "commits told/s", "lag ms"
    );
    let mut alone = None;
    for watcher_count in WATCHER_COUNTS {
        let load = Load {
            writer_count: 64,
            watcher_count,
            are_slow: false,
        };
        let (commits, told, lag) = measure(load, time).await?;
        let alone = *alone.get_or_insert(commits);
        println!(
            "{watcher_count:>8} {commits:>12.0} {:>12.2} {told:>16.0} {:>10.1}",
            commits / alone,
            lag.as_secs_f64() * 1e3
        );
    }
    println!("\n{:>8} {:>12} {:>12}", "slow", "commits/s", "of none");
    let mut alone = None;
    for watcher_count in SLOW_WATCHER_COUNTS {
        let load = Load {
            writer_count: 8,
            watcher_count,
            are_slow: true,
        };
        let (commits, ..) = measure(load, time).await?;
        let alone = *alone.get_or_insert(commits);
        println!("{watcher_count:>8} {commits:>12.0} {:>12.2}", commits / alone);
    }
    Ok(())
}

/// Returns commits a second, commits told a second, and how long the watchers took to get the last one; those that are slow are told of
/// nothing and not waited for.
async fn measure(load: Load, time: Duration) -> Result<(f64, f64, Duration), Failure> {
    let Load {
        writer_count,
        watcher_count,
        are_slow,
    } = load;
    let folder = tempfile::tempdir()?;
    let settings = ServeSettings {
        data_dir: folder.path().join("data"),
        load_shipped_data: false,
        ..ServeSettings::default()
    };
    let (address, stop, server) = server::start(settings).await?;
    let channel = connect(address).await?;
    while update(&channel, "INSERT DATA { e:a e:p 0 }").await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let told_count = Arc::new(AtomicU64::new(0));
    let mut watchers = JoinSet::new();
    let mut slow = Vec::new();
    let last = Arc::new(AtomicI64::new(i64::MAX));
    for first in (0..watcher_count).step_by(WATCHERS_PER_CONNECTION) {
        let channel = connect(address).await?;
        for _ in first..watcher_count.min(first + WATCHERS_PER_CONNECTION) {
            if are_slow {
                let mut stream = begin(channel.clone()).await?;
                stream.message().await?;
                slow.push(stream);
            } else {
                let told = watch(channel.clone(), Arc::clone(&told_count), Arc::clone(&last));
                watchers.spawn(told);
            }
        }
    }
    while told_count.load(Ordering::Relaxed) < watchers.len() as u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    let is_over = Arc::new(AtomicBool::new(false));
    let started_at = Instant::now();
    let mut writers = JoinSet::new();
    let mut channels = Vec::new();
    for _ in 0..CONNECTION_COUNT {
        channels.push(connect(address).await?);
    }
    for writer in 0..writer_count {
        let (channel, is_over) = (channels[writer % CONNECTION_COUNT].clone(), Arc::clone(&is_over));
        writers.spawn(async move {
            let mut revision = 0;
            let mut number = 0;
            while !is_over.load(Ordering::Relaxed) {
                let text = format!("INSERT DATA {{ e:w{writer} e:p {number} }}");
                revision = update(&channel, &text).await?;
                number += 1;
            }
            Ok::<_, Failure>(revision)
        });
    }
    tokio::time::sleep(time).await;
    is_over.store(true, Ordering::Relaxed);
    let mut newest = 0;
    while let Some(writer) = writers.join_next().await {
        newest = newest.max(writer??);
    }
    let elapsed = started_at.elapsed();
    let told = told_count.load(Ordering::Relaxed);
    last.store(newest, Ordering::Relaxed);
    // Those that have got it already learn of it with one more.
    update(&channel, "INSERT DATA { e:a e:p 1 }").await?;
    let written_at = Instant::now();
    while let Some(watcher) = watchers.join_next().await {
        watcher??;
    }
    let lag = written_at.elapsed();
    drop(slow);
    let _ = stop.send(());
    server.await??;
    let seconds = elapsed.as_secs_f64();
    let (commits, told) = (u32::try_from(newest)?, u32::try_from(told)?);
    Ok((f64::from(commits) / seconds, f64::from(told) / seconds, lag))
}

async fn begin(channel: Channel) -> Result<Streaming<WatchResponse>, Failure> {
    let request = WatchRequest {
        start: Some(Start::AfterRevision(0)),
        ..WatchRequest::default()
    };
    Ok(ChangeServiceClient::new(channel)
        .watch(request)
        .await?
        .into_inner())
}

/// Reads commits until the last one has come.
async fn watch(channel: Channel, told_count: Arc<AtomicU64>, last: Arc<AtomicI64>) -> Result<(), Failure> {
    let mut stream = begin(channel).await?;
    while let Some(response) = stream.message().await? {
        if let Some(Frame::Commit(commit)) = response.frame {
            told_count.fetch_add(1, Ordering::Relaxed);
            if commit.revision >= last.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }
    Err("a watch ended".into())
}

async fn update(channel: &Channel, text: &str) -> Result<i64, Failure> {
    let request = UpdateRequest {
        update: text.to_owned(),
        ..UpdateRequest::default()
    };
    let answer = SparqlServiceClient::new(channel.clone()).update(request).await?;
    Ok(answer.into_inner().revision)
}

async fn connect(address: SocketAddr) -> Result<Channel, Failure> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?
        .tcp_nodelay(true)
        .connect()
        .await?)
}
