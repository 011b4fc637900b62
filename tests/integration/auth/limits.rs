//! How much one caller may ask for.

use std::time::Duration;

use dossier::{
    auth::Tokens,
    proto::v1::{
        CallerLimits, ErrorReason, GetServerInfoRequest, QueryRequest, WatchRequest,
        admin_service_client::AdminServiceClient, change_service_client::ChangeServiceClient,
        sparql_service_client::SparqlServiceClient,
    },
};
use http::StatusCode;
use tempfile::TempDir;
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt as _;

use super::{now_seconds, write_tokens};
use crate::{
    harness::{Server, check_error},
    http_client::send,
};

/// A server that knows the callers `a` and `b`.
struct Asked {
    server: Server,
    tokens: [String; 2],
    _folder: TempDir,
}

impl Asked {
    async fn start(adjust: impl FnOnce(&mut dossier::config::AuthSettings)) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("tokens.json");
        let mut tokens = Tokens::default();
        let made = ["a", "b"].map(|name| {
            let made = tokens
                .create(name, &["read".to_owned()], now_seconds(), None)
                .unwrap();
            format!("Bearer {}", made.secret())
        });
        write_tokens(&path, &tokens);
        let server = Server::start_with(|settings| {
            settings.auth.tokens = Some(path);
            adjust(&mut settings.auth);
        })
        .await;
        Self {
            server,
            tokens: made,
            _folder: folder,
        }
    }

    fn by<T>(&self, caller: usize, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let token = self.tokens[caller].parse().unwrap();
        request.metadata_mut().insert("authorization", token);
        request
    }

    async fn info(&self, caller: usize) -> Result<Response<Option<CallerLimits>>, Status> {
        let mut admin = AdminServiceClient::new(self.server.channel.clone());
        let answer = admin
            .get_server_info(self.by(caller, GetServerInfoRequest {}))
            .await?;
        Ok(answer.map(|info| info.caller_limits))
    }

    /// Runs a query to its end.
    async fn query(&self, caller: usize, query: &str, timeout: Duration) -> Result<(), Status> {
        let mut request = self.by(
            caller,
            QueryRequest {
                query: query.to_owned(),
                ..Default::default()
            },
        );
        request.set_timeout(timeout);
        let mut sparql = SparqlServiceClient::new(self.server.channel.clone());
        let mut frames = sparql.query(request).await?.into_inner();
        while frames.message().await?.is_some() {}
        Ok(())
    }
}

fn left<T>(answer: &Response<T>, name: &str) -> u32 {
    answer
        .metadata()
        .get(name)
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_caller_has_so_many_requests_in_a_minute() {
    let asked = Asked::start(|auth| auth.caller_requests_per_minute = 5).await;
    for expected in (0..5).rev() {
        let answer = asked.info(0).await.unwrap();
        assert_eq!(left(&answer, "dossier-requests-left"), expected);
        assert!(answer.metadata().get("dossier-query-seconds-left").is_none());
    }
    let status = asked.info(0).await.unwrap_err();
    let wait = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(
        wait > Duration::from_secs(5) && wait < Duration::from_secs(13),
        "{wait:?}"
    );
    let metadata = check_error(
        Err::<(), _>(status),
        Code::ResourceExhausted,
        ErrorReason::CallerLimitReached,
    );
    assert_eq!(metadata["limit"], "caller_requests_per_minute");
    assert_eq!(metadata["limit_value"], "5");
    let request = http::Request::get("/sparql?query=ASK%7B%7D").header("authorization", &asked.tokens[0]);
    let response = send(asked.server.address, request.body(String::new()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((5..=13).contains(&wait), "{wait}");
    // Health is told without end, and others have their own.
    for _ in 0..10 {
        let check = tonic_health::pb::HealthCheckRequest::default();
        asked.server.health().check(check).await.unwrap();
    }
    asked.info(1).await.unwrap();
}

#[tokio::test]
async fn callers_are_told_their_limits() {
    let asked = Asked::start(|auth| {
        auth.caller_requests_per_minute = 100;
        auth.caller_query_count_max = 3;
    })
    .await;
    asked.info(0).await.unwrap();
    let told = |requests_left| CallerLimits {
        requests_per_minute: 100,
        query_seconds_per_minute: 0,
        stream_count_max: 0,
        query_count_max: 3,
        requests_left: Some(requests_left),
        query_seconds_left: None,
    };
    let limits = asked.info(0).await.unwrap().into_inner();
    // Some may have come in meanwhile.
    assert!([told(98), told(99)].map(Some).contains(&limits), "{limits:?}");
    assert_eq!(asked.info(1).await.unwrap().into_inner(), Some(told(99)));
    let without = Asked::start(|_| {}).await;
    assert_eq!(without.info(0).await.unwrap().into_inner(), None);
}

#[tokio::test]
async fn the_time_of_queries_is_what_a_caller_has_in_a_minute() {
    let asked = Asked::start(|auth| auth.caller_query_seconds_per_minute = 1).await;
    let dear = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . FILTER(?c = ?f && ?f = ?i) }";
    let timed_out = asked.query(0, dear, Duration::from_millis(1_500)).await;
    assert_eq!(timed_out.unwrap_err().code(), Code::DeadlineExceeded);
    let refused = loop {
        // It is paid for as soon as its thread has noticed the deadline.
        if let Err(status) = asked.query(0, "ASK {}", Duration::from_secs(10)).await {
            break status;
        }
    };
    let metadata = check_error(
        Err::<(), _>(refused),
        Code::ResourceExhausted,
        ErrorReason::CallerLimitReached,
    );
    assert_eq!(metadata["limit"], "caller_query_seconds_per_minute");
    // Lookups go on, and say that nothing is left; others have their own.
    let answer = asked.info(0).await.unwrap();
    assert_eq!(left(&answer, "dossier-query-seconds-left"), 0);
    asked.query(1, "ASK {}", Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_caller_has_so_many_streams_at_once() {
    let asked = Asked::start(|auth| auth.caller_stream_count_max = 2).await;
    let watch = || async {
        let mut changes = ChangeServiceClient::new(asked.server.channel.clone());
        changes.watch(asked.by(0, WatchRequest::default())).await
    };
    let (first, _second) = (watch().await.unwrap(), watch().await.unwrap());
    let metadata = check_error(
        watch().await,
        Code::ResourceExhausted,
        ErrorReason::CallerLimitReached,
    );
    assert_eq!(metadata["limit"], "caller_stream_count_max");
    asked.info(1).await.unwrap();
    drop(first);
    while asked.info(0).await.is_err() {
        tokio::task::yield_now().await;
    }
}
