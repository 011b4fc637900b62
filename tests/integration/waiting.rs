//! Whoever waits keeps out nobody whose answer is at hand.

use dossier::proto::v1::{self, ErrorReason, ReadOptions};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::{
    harness::{Server, check_error, connect},
    intake::{hold_writer, metrics},
    writes::{fact, request},
};

const CALL_COUNT_MAX: usize = 8;
/// Far ahead.
const MIN_REVISION: i64 = 1_000_000;

async fn start() -> Server {
    Server::start_with(|settings| settings.connections.call_count_max = CALL_COUNT_MAX).await
}

/// Waits for a revision that does not come.
async fn wait_for_revision(server: &Server) -> impl Future<Output = Result<(), Status>> + Send + 'static {
    let channel = connect(server.address).await;
    let mut entities = v1::entity_service_client::EntityServiceClient::new(channel);
    let request = v1::GetEntityRequest {
        entity: "e:KR".into(),
        read: Some(ReadOptions {
            min_revision: MIN_REVISION,
            ..Default::default()
        }),
        ..Default::default()
    };
    async move { entities.get_entity(request).await.map(drop) }
}

#[tokio::test]
async fn who_waits_for_a_revision_keeps_no_lookup_out() {
    let server = start().await;
    let mut waiting = JoinSet::new();
    for _ in 0..2 * CALL_COUNT_MAX {
        waiting.spawn(wait_for_revision(&server).await);
    }
    let mut count = 0;
    let waited = loop {
        server.entity("e:KR").await.unwrap();
        count += 1;
        if let Some(waited) = waiting.try_join_next() {
            break waited;
        }
    };
    assert!(count > 10, "{count} lookups in a second");
    for outcome in [waited.unwrap()].into_iter().chain(waiting.join_all().await) {
        check_error(outcome, Code::FailedPrecondition, ErrorReason::RevisionNotReached);
    }
}

#[tokio::test]
async fn writes_that_wait_keep_no_lookup_out() {
    let server = start().await;
    let holding = hold_writer(&server).await;
    let mut writing = JoinSet::new();
    for number in 0..2 * CALL_COUNT_MAX {
        let mut writes = server.writes();
        let written = request([fact("e:a", &format!("e:b{number}"))]);
        writing.spawn(async move { writes.write_facts(written).await });
    }
    // A quarter is left to lookups.
    let write_count_max = CALL_COUNT_MAX * 3 / 4;
    for _ in write_count_max..2 * CALL_COUNT_MAX {
        let refused = writing.join_next().await.unwrap().unwrap();
        check_error(refused, Code::ResourceExhausted, ErrorReason::Overloaded);
    }
    let running = format!("dossier_calls_running {write_count_max}\n");
    assert!(metrics(&server).await.contains(&running));
    for _ in 0..100 {
        server.entity("e:KR").await.unwrap();
    }
    assert_eq!(writing.len(), write_count_max);
    holding.abort();
    while let Some(written) = writing.join_next().await {
        written.unwrap().unwrap();
    }
}
