//! Asks the server for its health all the time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// The longest that an answer should take.
pub(crate) const LATE: Duration = Duration::from_millis(100);
const INTERVAL: Duration = Duration::from_millis(20);

/// A thread that asks on a connection of its own.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

/// What the answers were like.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) answers: u64,
    /// Calls that failed, or were answered otherwise than with SERVING.
    pub(crate) failures: u64,
    /// Answers that took longer than [`LATE`].
    pub(crate) late: u64,
    /// The longest that an answer took.
    pub(crate) worst: Duration,
}

impl Watch {
    pub(crate) fn start(url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let endpoint = Channel::from_shared(url.to_owned()).unwrap();
        let watched = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(ask(endpoint, &watched))
        });
        Self { stop, thread }
    }

    pub(crate) fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

impl Seen {
    /// Tells whether all is well. One answer in a thousand may be late, but not by much: other programs want the processors too.
    pub(crate) fn is_well(&self) -> bool {
        let is_prompt = self.late * 1_000 <= self.answers && self.worst < 10 * LATE;
        self.answers > 0 && self.failures == 0 && is_prompt
    }
}

async fn ask(endpoint: Endpoint, stop: &AtomicBool) -> Seen {
    let mut client = HealthClient::new(endpoint.connect().await.unwrap());
    let mut seen = Seen::default();
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !stop.load(Ordering::Acquire) {
        ticks.tick().await;
        let asked = Instant::now();
        let answer = client.check(HealthCheckRequest::default()).await;
        let elapsed = asked.elapsed();
        seen.worst = seen.worst.max(elapsed);
        seen.late += u64::from(elapsed > LATE);
        match answer {
            Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => seen.answers += 1,
            other => {
                if seen.failures == 0 {
                    println!("asked for its health: {other:?} after {elapsed:?}");
                }
                seen.failures += 1;
            }
        }
    }
    seen
}
