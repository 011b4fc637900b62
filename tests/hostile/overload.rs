//! Four times as many queries as the server can answer, from four times as many callers as it has room for: what it does it still does,
//! and the others hear at once, as often as they ask again.
//!
//! `DOSSIER_OVERLOAD_SECONDS=60` is the long form. What is asked of a release build is what is promised; a build without optimisation, on
//! processors that it shares with its callers, is held to less.

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
    server::{Server, is_release, turn},
    transport::Transport,
};

/// Threads for queries; eight times as many wait.
const FLAGS: [&str; 2] = ["--query-concurrency-max=2", "--log-format=text"];
const CAPACITY: usize = 2 + 8 * 2;
/// Two steps in the dense part of the graph.
const QUERY: &str = "SELECT (COUNT(*) AS ?n) { <d:1> <d:p> ?x . ?x <d:p> ?y }";

/// What is asked of a server with too many callers.
struct Bounds {
    /// Of the peak.
    goodput_min: f64,
    /// How often queries are sent, in peaks.
    sent_min: f64,
    /// What the server takes for a rejection, as it counts itself: a bound of its histogram, in seconds.
    rejection_seconds_max: &'static str,
    /// Of rejections.
    quick_share_min: f64,
    /// What a caller sees of one, beside 63 others and the server on the same processors.
    seen_rejection_max: Duration,
}

impl Bounds {
    fn of_build() -> Self {
        if is_release() {
            Self {
                goodput_min: 0.9,
                sent_min: 3.5,
                rejection_seconds_max: "0.005",
                quick_share_min: 0.99,
                seen_rejection_max: Duration::from_millis(50),
            }
        } else {
            Self {
                goodput_min: 0.5,
                sent_min: 2.0,
                rejection_seconds_max: "0.05",
                quick_share_min: 0.9,
                seen_rejection_max: Duration::from_millis(250),
            }
        }
    }
}

/// What the server counts of queries.
#[derive(Clone, Copy)]
struct Counts {
    rejected: f64,
    /// Those that took no longer than a rejection may.
    quick: f64,
}

impl Counts {
    fn of(server: &Server, bounds: &Bounds) -> Self {
        let method = r#"grpc_service="dossier.v1.SparqlService",grpc_method="Query""#;
        let count = |name: &str| server.metric(name).unwrap_or_default();
        Self {
            rejected: count(&format!(
                r#"grpc_server_handled_total{{{method},grpc_code="ResourceExhausted"}}"#
            )),
            quick: count(&format!(
                r#"grpc_server_handling_seconds_bucket{{le="{}",{method}}}"#,
                bounds.rejection_seconds_max
            )),
        }
    }

    /// Returns which share of the rejections since then were quick. Queries are in it too if they were as quick: few, where many wait.
    fn quick_share_since(self, before: Self) -> f64 {
        (self.quick - before.quick) / (self.rejected - before.rejected)
    }
}

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
        self.rate(self.answered)
    }

    /// Returns how many queries a second were sent.
    fn sent(&self) -> f64 {
        self.rate(self.answered + self.rejections.len())
    }

    fn rate(&self, count: usize) -> f64 {
        f64::from(u32::try_from(count).unwrap()) / self.time.as_secs_f64()
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
            "{:.1} queries a second of {:.1} that were sent, {} rejections, p99 {:?}",
            self.goodput(),
            self.sent(),
            self.rejections.len(),
            self.rejection_p99()
        )
    }
}

#[test]
fn four_times_the_capacity_costs_no_goodput() {
    let _turn = turn();
    let bounds = Bounds::of_build();
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
    let watch = health::Watch::start(server.url());
    // Whoever looks things up does so in both.
    let (peak, _) = runtime.block_on(async {
        let peak = call(server.url(), CAPACITY, Duration::ZERO, time);
        tokio::join!(peak, honest.call_for(time))
    });
    println!("with {CAPACITY} callers: {peak}");
    // Three callers are refused for each that is let in, and come back once in the time that this one is answered in.
    let pause = Duration::from_secs_f64(f64::from(u32::try_from(CAPACITY).unwrap()) / peak.goodput());
    let before = Counts::of(&server, &bounds);
    let (over, lookups) = runtime.block_on(async {
        let over = call(server.url(), 4 * CAPACITY, pause, time);
        tokio::join!(over, honest.call_for(time))
    });
    let health = watch.stop();
    let quick = Counts::of(&server, &bounds).quick_share_since(before);
    println!(
        "with {} callers: {over}, by the server's clock {:.2} % within {} s\nlookups meanwhile: {lookups}\n\
         health: {health:?}",
        4 * CAPACITY,
        100.0 * quick,
        bounds.rejection_seconds_max
    );
    assert!(
        over.sent() >= bounds.sent_min * peak.goodput(),
        "{over}, after {peak}"
    );
    assert!(
        over.goodput() >= bounds.goodput_min * peak.goodput(),
        "{over}, after {peak}"
    );
    assert!(quick >= bounds.quick_share_min, "{over}");
    assert!(over.rejection_p99() <= bounds.seen_rejection_max, "{over}");
    assert!(
        lookups.failures == 0 && health.failures == 0,
        "{lookups}, {health:?}"
    );
}

/// Has so many callers send one query after another; who is rejected does not wait as long as it was told, but only for a moment.
async fn call(url: &str, caller_count: usize, pause: Duration, time: Duration) -> Load {
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
            one_caller(channel, pause, time).await
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

async fn one_caller(channel: Channel, pause: Duration, time: Duration) -> Load {
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
                assert!(delay >= pause, "{delay:?}");
                tokio::time::sleep(pause).await;
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
