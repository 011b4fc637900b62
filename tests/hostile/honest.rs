//! An honest caller beside hostile ones.

use std::{
    fmt,
    time::{Duration, Instant},
};

use dossier::proto::v1::{GetEntityRequest, entity_service_client::EntityServiceClient};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

/// A caller who looks up one entity after another.
pub(crate) struct Honest(EntityServiceClient<InterceptedService<Channel, Bearer>>);

/// Shows a token, if there is one.
#[derive(Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

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
        Self::connect_with(url, None).await
    }

    /// As [`Self::connect`], with a token.
    pub(crate) async fn connect_with(url: &str, token: Option<&str>) -> Self {
        let bearer = Bearer(token.map(|token| format!("Bearer {token}").parse().unwrap()));
        let endpoint = Channel::from_shared(url.to_owned()).unwrap();
        // Who was attacking just now may still hold what it had.
        let began = Instant::now();
        loop {
            if let Ok(channel) = endpoint.connect().await {
                let honest = Self(EntityServiceClient::with_interceptor(channel, bearer.clone()));
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
