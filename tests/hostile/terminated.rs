//! SIGTERM in the middle of everything: nothing that was acknowledged is lost, and everybody is told where to go on.
//!
//! `DOSSIER_TERMINATIONS=100` does it so often, instead of three times.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dossier::proto::v1::{
    ExportRequest, QueryRequest, UpdateRequest, WatchRequest, WatchResponse,
    change_service_client::ChangeServiceClient, query_response, sparql_service_client::SparqlServiceClient,
    watch_request::Start, watch_response, write_service_client::WriteServiceClient,
};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_types::StatusExt as _;

use crate::{
    load,
    server::{Server, turn},
    transport::Transport,
};

const WRITER_COUNT: u64 = 8;
const WATCHER_COUNT: usize = 3;
/// The limit of the server, and what a busy machine takes besides.
const EXIT_MAX: Duration = Duration::from_secs(9);
const FLAGS: [&str; 3] = [
    "--drain-timeout=6s",
    "--log-format=text",
    "--query-timeout-max=60s",
];
/// Commits before the signal comes.
const COMMIT_COUNT: u64 = 40;

/// What every writer was told: by the revision, what it has written.
type Acknowledged = BTreeMap<u64, String>;

#[test]
fn sigterm_loses_nothing_and_tells_everybody() {
    let _turn = turn();
    let count = std::env::var("DOSSIER_TERMINATIONS");
    let count: u64 = count.map_or(3, |count| count.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let folder = TempDir::new().unwrap();
    let mut acknowledged = Acknowledged::new();
    let mut worst = Duration::ZERO;
    for round in 0..count {
        let server = Server::start_in(folder.path(), &FLAGS, None);
        if round == 0 {
            runtime.block_on(async { load(&Transport::grpc(server.url()).await).await });
        }
        let (took, told) = runtime.block_on(terminate(server, round, &mut acknowledged));
        worst = worst.max(took);
        println!("round {round}: ended after {took:?}; {told:?}");
    }
    let server = Server::start_in(folder.path(), &FLAGS, None);
    let lost = runtime.block_on(lost(server.url(), &acknowledged));
    println!(
        "{} commits acknowledged, {lost} lost; {worst:?} at worst",
        acknowledged.len()
    );
    assert_eq!(lost, 0, "of {}", acknowledged.len());
}

/// How those were told who had a stream.
#[derive(Debug, Default)]
struct Told {
    watches: usize,
    queries: usize,
    exports: usize,
}

/// Runs everything at once, ends the server in the middle, and checks what everybody was told.
async fn terminate(mut server: Server, round: u64, acknowledged: &mut Acknowledged) -> (Duration, Told) {
    let channel = connect(server.url()).await;
    let committed = Arc::new(AtomicU64::new(0));
    let mut writers = JoinSet::new();
    for writer in 0..WRITER_COUNT {
        let (channel, committed) = (connect(server.url()).await, Arc::clone(&committed));
        writers.spawn(write(channel, format!("{round}-{writer}"), committed));
    }
    let mut watchers = JoinSet::new();
    for _ in 0..WATCHER_COUNT {
        watchers.spawn(watch(channel.clone()));
    }
    // Neither ends by itself: nobody reads on.
    let mut query = endless_query(&channel).await;
    let mut export = endless_export(&channel).await;
    while committed.load(Ordering::Acquire) < COMMIT_COUNT {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    server.signal("TERM");
    let mut told = Told::default();
    while let Some(watched) = watchers.join_next().await {
        let (seen, resume_after) = watched.unwrap();
        assert_eq!(seen, resume_after, "a watcher goes on after what it has seen");
        told.watches += 1;
    }
    let status = end_of(&mut query).await;
    check_end(&status);
    told.queries += 1;
    let status = end_of(&mut export).await;
    check_end(&status);
    told.exports += 1;
    while let Some(written) = writers.join_next().await {
        for (revision, triple) in written.unwrap() {
            let other = acknowledged.insert(revision, triple);
            assert_eq!(other, None, "revision {revision} was acknowledged twice");
        }
    }
    let ended = server.wait();
    let took = began.elapsed();
    assert!(ended.success(), "{ended}");
    assert!(took < EXIT_MAX, "ended after {took:?}");
    (took, told)
}

async fn connect(url: &str) -> Channel {
    Channel::from_shared(url.to_owned())
        .unwrap()
        .connect()
        .await
        .unwrap()
}

/// Writes one triple after another until the server says no more; returns what was acknowledged.
async fn write(channel: Channel, name: String, committed: Arc<AtomicU64>) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    let mut sparql = SparqlServiceClient::new(channel);
    for number in 0.. {
        let triple = format!("<w:{name}> <w:n> {number}");
        let request = UpdateRequest {
            update: format!("INSERT DATA {{ {triple} }}"),
            ..Default::default()
        };
        match sparql.update(request).await {
            Ok(answer) => {
                let revision = answer.into_inner().revision.try_into().unwrap();
                acknowledged.insert(revision, triple);
                committed.fetch_add(1, Ordering::AcqRel);
            }
            Err(status) => {
                // The server says so, or has gone between two calls.
                let codes = [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::Internal];
                assert!(codes.contains(&status.code()), "{status:?}");
                break;
            }
        }
    }
    acknowledged
}

/// Watches until the server ends it; returns the last revision that it has seen whole, and where it is told to go on.
async fn watch(channel: Channel) -> (u64, u64) {
    let request = WatchRequest {
        start: Some(Start::AfterRevision(0)),
        ..Default::default()
    };
    let mut changes = ChangeServiceClient::new(channel);
    let mut stream = changes.watch(request).await.unwrap().into_inner();
    let mut seen = 0;
    loop {
        match stream.message().await {
            Ok(Some(response)) => seen = completes(&response).unwrap_or(seen),
            Ok(None) => unreachable!("a watch has no end"),
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                let info = status.get_details_error_info().unwrap();
                return (seen, info.metadata["after_revision"].parse().unwrap());
            }
        }
    }
}

/// Returns the revision that is whole with a frame.
fn completes(response: &WatchResponse) -> Option<u64> {
    match response.frame.as_ref()? {
        watch_response::Frame::Commit(commit) if commit.is_last => commit.revision.try_into().ok(),
        watch_response::Frame::Checkpoint(checkpoint) => checkpoint.revision.try_into().ok(),
        _ => None,
    }
}

async fn endless_query(channel: &Channel) -> Streaming<dossier::proto::v1::QueryResponse> {
    let request = QueryRequest {
        query: "SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }".to_owned(),
        ..Default::default()
    };
    let mut sparql = SparqlServiceClient::new(channel.clone());
    let mut frames = sparql.query(request).await.unwrap().into_inner();
    let first = frames.message().await.unwrap().unwrap().frame;
    assert!(matches!(first, Some(query_response::Frame::Header(_))));
    frames
}

async fn endless_export(channel: &Channel) -> Streaming<dossier::proto::v1::ExportResponse> {
    let request = ExportRequest {
        format: "nq".to_owned(),
        ..Default::default()
    };
    let mut writes = WriteServiceClient::new(channel.clone());
    let mut parts = writes.export(request).await.unwrap().into_inner();
    parts.message().await.unwrap().unwrap();
    parts
}

/// Reads nothing until the server must have had enough, and then the rest; returns how it ended.
async fn end_of<T>(stream: &mut Streaming<T>) -> Result<(), Status> {
    while stream.message().await?.is_some() {}
    Ok(())
}

/// A stream ends whole, or says that it does not, and which revision not to fall behind.
fn check_end(end: &Result<(), Status>) {
    if let Err(status) = end {
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        let info = status.get_details_error_info().unwrap();
        assert!(info.metadata["revision"].parse::<u64>().unwrap() > 0);
    }
}

/// Counts what was acknowledged and is not there.
async fn lost(url: &str, acknowledged: &Acknowledged) -> usize {
    let transport = Transport::grpc(url).await;
    let mut lost = 0;
    for (revision, triple) in acknowledged {
        let query = format!("SELECT * {{ {triple} }}").into_bytes();
        let found = transport.send(crate::case::Kind::Query, query.into(), async {});
        let found = found.await.unwrap();
        if found != Some(1) {
            println!("revision {revision}, {triple}: {found:?}");
            lost += 1;
        }
    }
    lost
}
