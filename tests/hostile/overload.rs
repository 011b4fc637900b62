//! Four times as many callers as the server has room for: what it does it still does, and the others hear at once.
//!
//! `DOSSIER_OVERLOAD_SECONDS=60` is the long form.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use dossier::proto::v1::{QueryRequest, query_response::Frame, sparql_service_client::SparqlServiceClient};
use tokio::{sync::Barrier, task::JoinSet};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;

use crate::{
    health,
    honest::Honest,
    load,
    server::{Server, turn},
    transport::Transport,
};

/// Threads for queries; eight times as many wait.
const FLAGS: [&str; 2] = ["--query-concurrency-max=2", "--log-format=text"];
const CAPACITY: usize = 2 + 8 * 2;
/// Two steps in the dense part of the graph.
const QUERY: &str = "SELECT (COUNT(*) AS ?n) { <d:1> <d:p> ?x . ?x <d:p> ?y }";
/// Generous: callers and server share the processors.
const GOODPUT_MIN: f64 = 0.5;
const REJECTION_MAX: Duration = Duration::from_millis(250);

/// How callers fared.
#[derive(Default)]
struct Load {
    time: Duration,
    answered: usize,
    /// In order.
    rejections: Vec<Duration>,
}

impl Load {
    fn goodput(&self) -> f64 {
        f64::from(u32::try_from(self.answered).unwrap()) / self.time.as_secs_f64()
    }

    fn rejection_p99(&self) -> Duration {
        let last = self.rejections.len().saturating_sub(1);
        self.rejections.get(last * 99 / 100).copied().unwrap_or_default()
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} queries a second, {} rejections, p99 {:?}",
            self.goodput(),
            self.rejections.len(),
            self.rejection_p99()
        )
    }
}

#[test]
fn four_times_the_capacity_costs_no_goodput() {
    let _turn = turn();
    let seconds = std::env::var("DOSSIER_OVERLOAD_SECONDS");
    let time = Duration::from_secs(seconds.map_or(2, |seconds| seconds.parse().unwrap()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let server = Server::start(&FLAGS);
    runtime.block_on(async { load(&Transport::grpc(server.url()).await).await });
    let honest = runtime.block_on(Honest::connect(server.url()));
    let peak = runtime.block_on(call(server.url(), CAPACITY, time));
    println!("with {CAPACITY} callers: {peak}");
    let watch = health::Watch::start(server.url());
    let (over, lookups) = runtime.block_on(async {
        let over = call(server.url(), 4 * CAPACITY, time);
        tokio::join!(over, honest.call_for(time))
    });
    let health = watch.stop();
    println!(
        "with {} callers: {over}\nlookups meanwhile: {lookups}\nhealth: {health:?}",
        4 * CAPACITY
    );
    assert!(!over.rejections.is_empty(), "all were let in");
    assert!(
        over.goodput() >= GOODPUT_MIN * peak.goodput(),
        "{over}, after {peak}"
    );
    assert!(over.rejection_p99() <= REJECTION_MAX, "{over}");
    assert!(
        lookups.failures == 0 && health.failures == 0,
        "{lookups}, {health:?}"
    );
}

/// Has so many callers send one query after another; who is rejected waits as long as it was told.
async fn call(url: &str, caller_count: usize, time: Duration) -> Load {
    let channels: Vec<Channel> = {
        let mut channels = Vec::new();
        for _ in 0..4 {
            let endpoint = Channel::from_shared(url.to_owned()).unwrap();
            channels.push(endpoint.connect().await.unwrap());
        }
        channels
    };
    let all = Arc::new(Barrier::new(caller_count));
    let mut callers = JoinSet::new();
    for caller in 0..caller_count {
        let (channel, all) = (channels[caller % channels.len()].clone(), Arc::clone(&all));
        callers.spawn(async move {
            all.wait().await;
            one_caller(channel, time).await
        });
    }
    let mut load = Load {
        time,
        ..Load::default()
    };
    while let Some(caller) = callers.join_next().await {
        let caller = caller.unwrap();
        load.answered += caller.answered;
        load.rejections.extend(caller.rejections);
    }
    load.rejections.sort_unstable();
    load
}

async fn one_caller(channel: Channel, time: Duration) -> Load {
    let mut sparql = SparqlServiceClient::new(channel);
    let (began, mut load) = (Instant::now(), Load::default());
    while began.elapsed() < time {
        let asked = Instant::now();
        match ask(&mut sparql).await {
            // What is answered after the end counts for nobody.
            Ok(()) => load.answered += usize::from(began.elapsed() <= time),
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                load.rejections.push(asked.elapsed());
                let delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
                tokio::time::sleep(delay.min(time.saturating_sub(began.elapsed()))).await;
            }
        }
    }
    load
}

async fn ask(sparql: &mut SparqlServiceClient<Channel>) -> Result<(), Status> {
    let request = QueryRequest {
        query: QUERY.to_owned(),
        ..Default::default()
    };
    let mut frames = sparql.query(request).await?.into_inner();
    while let Some(response) = frames.message().await? {
        if matches!(response.frame, Some(Frame::Complete(_))) {
            return Ok(());
        }
    }
    Err(Status::data_loss("a result without its end"))
}
