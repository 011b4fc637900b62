//! An honest caller beside hostile ones.

use std::{
    fmt,
    time::{Duration, Instant},
};

use dossier::proto::v1::{GetEntityRequest, entity_service_client::EntityServiceClient};
use tonic::transport::Channel;

/// A caller who looks up one entity after another.
pub(crate) struct Honest(EntityServiceClient<Channel>);

/// How calls went.
#[derive(Debug, Default)]
pub(crate) struct Fared {
    pub(crate) count: usize,
    pub(crate) failures: usize,
    /// In order.
    latencies: Vec<Duration>,
}

impl Honest {
    pub(crate) async fn connect(url: &str) -> Self {
        let endpoint = Channel::from_shared(url.to_owned()).unwrap();
        // Who was attacking just now may still hold what it had.
        let began = Instant::now();
        loop {
            if let Ok(channel) = endpoint.connect().await {
                let honest = Self(EntityServiceClient::new(channel));
                if honest.call_for(Duration::ZERO).await.failures == 0 {
                    return honest;
                }
            }
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "no honest caller gets through"
            );
        }
    }

    /// Calls for a while, at least once.
    pub(crate) async fn call_for(&self, time: Duration) -> Fared {
        let mut fared = Fared::default();
        let began = Instant::now();
        loop {
            let request = GetEntityRequest {
                entity: "<http://example.org/e/1>".to_owned(),
                ..Default::default()
            };
            let called = Instant::now();
            let answer = self.0.clone().get_entity(request).await;
            fared.latencies.push(called.elapsed());
            fared.count += 1;
            if let Err(status) = answer {
                if fared.failures == 0 {
                    println!("{status}");
                }
                fared.failures += 1;
            }
            if began.elapsed() >= time {
                fared.latencies.sort_unstable();
                return fared;
            }
        }
    }
}

impl Fared {
    /// Returns the time within which 99 of 100 were answered.
    pub(crate) fn p99(&self) -> Duration {
        self.latencies[(self.count - 1) * 99 / 100]
    }
}

impl fmt::Display for Fared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} calls, {} failed, p50 {:?}, p99 {:?}",
            self.count,
            self.failures,
            self.latencies[(self.count - 1) / 2],
            self.p99()
        )
    }
}
