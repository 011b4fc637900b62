//! Queries that wait and run: the list of them, and how they are cancelled.

use std::time::{Duration, Instant};

use dossier::proto::v1::{
    self, CancelQueryRequest, ErrorReason, ListQueriesRequest, QueryRequest, QueryResponse, QueryState,
    RunningQuery, UpdateRequest,
};
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status, Streaming};

use crate::{
    harness::{Server, check_error, check_fields},
    sparql::{ENDLESS, ask, client, insert, query},
};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn named(query_id: &str, text: &str) -> QueryRequest {
    QueryRequest {
        query_id: query_id.into(),
        ..ask(text)
    }
}

async fn open(server: &Server, request: QueryRequest) -> Result<Streaming<QueryResponse>, Status> {
    Ok(client(server).query(request).await?.into_inner())
}

async fn list(server: &Server) -> Vec<RunningQuery> {
    let answer = client(server).list_queries(ListQueriesRequest {}).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!(answer.query_count, i64::try_from(answer.queries.len()).unwrap());
    answer.queries
}

async fn cancel(server: &Server, query_id: &str) -> Result<v1::CancelQueryResponse, Status> {
    let request = CancelQueryRequest {
        query_id: query_id.into(),
    };
    Ok(client(server).cancel_query(request).await?.into_inner())
}

/// Asks until the list is as expected.
async fn until(server: &Server, expected: impl Fn(&[RunningQuery]) -> bool) -> Vec<RunningQuery> {
    let start = Instant::now();
    loop {
        let listed = list(server).await;
        if expected(&listed) {
            return listed;
        }
        assert!(start.elapsed() < PATIENCE, "{listed:?}");
    }
}

/// Reads to the error that ends the stream.
async fn error(mut stream: Streaming<QueryResponse>) -> Result<(), Status> {
    while stream.message().await?.is_some() {}
    Ok(())
}

#[tokio::test]
async fn the_list_has_what_waits_and_runs() {
    let server = Server::start_with(|settings| settings.query_concurrency_max = 1).await;
    assert_eq!(list(&server).await, []);
    let running = open(&server, named("first", ENDLESS)).await.unwrap();
    until(&server, |listed| {
        listed.iter().any(|query| query.state() == QueryState::Running)
    })
    .await;
    let waiting = open(&server, ask("ASK {}")).await.unwrap();
    let listed = list(&server).await;
    let [first, second] = &listed[..] else {
        panic!("{listed:?}");
    };
    assert_eq!(
        (first.query_id.as_str(), first.method.as_str()),
        ("first", "Query")
    );
    assert_eq!((first.revision, first.row_count), (Some(1), 0));
    let hash: Vec<String> = Sha256::digest(ENDLESS)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(first.text_sha256, hash.concat());
    assert!(first.start_time.is_some() && first.elapsed.is_some());
    assert!(first.peer.starts_with("127.0.0.1:"), "{first:?}");
    assert_eq!((second.state(), second.revision), (QueryState::Waiting, None));
    assert!(second.query_id.len() == 16 && second.elapsed.unwrap().seconds <= first.elapsed.unwrap().seconds);
    drop((running, waiting));
    until(&server, <[_]>::is_empty).await;
}

#[tokio::test]
async fn rows_are_counted_as_they_come() {
    let server = Server::start_empty().await;
    let triples: Vec<_> = (0..30_000).map(|number| format!("e:s e:p {number} .")).collect();
    insert(&server, &triples.concat()).await;
    let mut stream = open(&server, named("rows", "SELECT * { ?s ?p ?o . ?a ?b ?c }"))
        .await
        .unwrap();
    for _ in 0..3 {
        stream.message().await.unwrap();
    }
    let listed = list(&server).await;
    assert!(listed[0].row_count > 0, "{listed:?}");
    assert_eq!(cancel(&server, "rows").await.unwrap(), v1::CancelQueryResponse {});
    check_error(error(stream).await, Code::Cancelled, ErrorReason::QueryCancelled);
}

#[tokio::test]
async fn a_cancelled_query_ends_wherever_it_is() {
    let server = Server::start_with(|settings| settings.query_concurrency_max = 1).await;
    let running = open(&server, named("running", ENDLESS)).await.unwrap();
    until(&server, |listed| listed[0].state() == QueryState::Running).await;
    let waiting = open(&server, named("waiting", "ASK {}")).await.unwrap();
    let start = Instant::now();
    for (id, stream) in [("waiting", waiting), ("running", running)] {
        cancel(&server, id).await.unwrap();
        check_error(error(stream).await, Code::Cancelled, ErrorReason::QueryCancelled);
    }
    assert!(start.elapsed() < PATIENCE);
    until(&server, <[_]>::is_empty).await;
    // The thread is free, and so are the ids.
    query(&server, named("running", "ASK {}")).await.unwrap();
    let metadata = check_error(
        cancel(&server, "running").await,
        Code::NotFound,
        ErrorReason::QueryNotFound,
    );
    assert_eq!(metadata["query_id"], "running");
    for id in ["", &"x".repeat(129)] {
        check_fields(
            cancel(&server, id).await,
            ErrorReason::InvalidField,
            &["query_id"],
        );
    }
    let longest = cancel(&server, &"x".repeat(128)).await;
    check_error(longest, Code::NotFound, ErrorReason::QueryNotFound);
}

#[tokio::test]
async fn a_query_that_waits_for_its_reader_can_be_cancelled() {
    let server = Server::start_empty().await;
    let triples: Vec<_> = (0..2_000).map(|number| format!("e:s e:p {number} .")).collect();
    insert(&server, &triples.concat()).await;
    // Nobody reads: the windows and the channel fill up.
    let stream = open(&server, named("slow", "SELECT * { ?s ?p ?o . ?a ?b ?c }"))
        .await
        .unwrap();
    let mut counts = Vec::new();
    until(&server, |listed| listed[0].row_count > 10_000).await;
    // It stands still.
    while counts.len() < 50 {
        let count = list(&server).await[0].row_count;
        counts.retain(|&before| before == count);
        counts.push(count);
    }
    cancel(&server, "slow").await.unwrap();
    until(&server, <[_]>::is_empty).await;
    check_error(error(stream).await, Code::Cancelled, ErrorReason::QueryCancelled);
}

#[tokio::test]
async fn an_id_belongs_to_one_query_at_a_time() {
    let server = Server::start_empty().await;
    insert(&server, "e:a e:p 1, 2, 3").await;
    let endless = "SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?n ?o . ?q ?r ?s . ?t ?u ?v . ?w ?x ?y . ?A ?B ?C . ?D ?E ?F . ?G ?H ?I . ?J ?K ?L . ?M ?N ?O }";
    let stream = open(&server, named("mine", endless)).await.unwrap();
    let metadata = check_error(
        open(&server, named("mine", "ASK {}")).await,
        Code::AlreadyExists,
        ErrorReason::QueryIdInUse,
    );
    assert_eq!(metadata["query_id"], "mine");
    let update = UpdateRequest {
        update: "CLEAR ALL".into(),
        query_id: "mine".into(),
        ..Default::default()
    };
    let outcome = client(&server).update(update).await;
    check_error(outcome, Code::AlreadyExists, ErrorReason::QueryIdInUse);
    drop(stream);
    until(&server, <[_]>::is_empty).await;
}

#[tokio::test]
async fn an_update_is_listed_and_cancelled_too() {
    let server = Server::start_empty().await;
    let triples: Vec<_> = (0..2_000)
        .map(|number| format!("e:s{number} e:p {number} ."))
        .collect();
    let before = insert(&server, &triples.concat()).await.revision;
    let request = UpdateRequest {
        update: format!("INSERT {{ e:a e:n ?n }} WHERE {{ {ENDLESS} }}"),
        query_id: "update".into(),
        ..Default::default()
    };
    let mut sparql = client(&server);
    let update = tokio::spawn(async move { sparql.update(request).await });
    let listed = until(&server, |listed| !listed.is_empty()).await;
    assert_eq!(
        (listed[0].query_id.as_str(), listed[0].method.as_str()),
        ("update", "Update")
    );
    cancel(&server, "update").await.unwrap();
    check_error(
        update.await.unwrap(),
        Code::Cancelled,
        ErrorReason::QueryCancelled,
    );
    until(&server, <[_]>::is_empty).await;
    assert_eq!(server.info().await.revision, before);
}
