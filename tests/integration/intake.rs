//! What requests hold of the server's memory while they wait: it is counted, or it is little.

use std::{
    fmt::Debug,
    pin::Pin,
    time::{Duration, Instant},
};

use dossier::proto::v1::{
    self, ErrorReason, ExplainRequest, Fact, ValidateRequest, import_request::Part, term::Term,
};
use http::Method;
use tokio::{task::JoinHandle, time::timeout};
use tonic::{Code, Status, Streaming, codec::CompressionEncoding};

use crate::{
    harness::{Server, check_error, complete, header},
    http::{UPDATE, check, check_status, get, post, query as over_http},
    http_client::send,
    sparql::{ENDLESS, ask, client, query},
    updates::{change, update},
    writes::{fact, request},
};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
const TEXT_BYTES_MAX: usize = 1 << 10;
/// What a chunk of an import may have.
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// Returns a server all of whose threads are busy, with the query that makes it so.
async fn busy(query_bytes_max: usize) -> (Server, Streaming<v1::QueryResponse>) {
    let server = Server::start_with(|settings| {
        settings.query_concurrency_max = 1;
        settings.query_bytes_max = query_bytes_max;
    })
    .await;
    let busy = client(&server).query(ask(ENDLESS)).await.unwrap().into_inner();
    (server, busy)
}

/// Returns a text of so many bytes.
fn text(begin: &str, byte_count: usize) -> String {
    format!("{begin} #{}", "x".repeat(byte_count - begin.len() - 2))
}

pub(crate) async fn metrics(server: &Server) -> String {
    let metrics = check_status(server, get("/metrics"), 200).await.into_body();
    String::from_utf8(metrics.into()).unwrap()
}

async fn requests_bytes(server: &Server) -> u64 {
    let metrics = metrics(server).await;
    let mut lines = metrics.lines();
    let count = lines.find_map(|line| line.strip_prefix("dossier_requests_memory_bytes "));
    count.unwrap().parse().unwrap()
}

/// Looks until requests take as much as they are to.
async fn until(server: &Server, expected: impl Fn(u64) -> bool) {
    let start = Instant::now();
    loop {
        let bytes = requests_bytes(server).await;
        if expected(bytes) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{bytes} bytes");
    }
}

/// A call that somebody waits for.
type Caller = Pin<Box<dyn Future<Output = ()> + Send>>;

#[tokio::test]
async fn texts_that_wait_for_a_thread_are_counted() {
    const TEXT_BYTES: usize = 600 << 10;
    let (server, busy) = busy(1 << 20).await;
    let long = text("ASK {}", TEXT_BYTES);
    let streamed = client(&server).query(ask(&long)).await.unwrap().into_inner();
    until(&server, |bytes| bytes > TEXT_BYTES as u64).await;
    let alone = requests_bytes(&server).await;
    let posted = tokio::spawn(send(server.address, over_http(&long, "*/*")));
    until(&server, |bytes| bytes > alone + TEXT_BYTES as u64 / 2).await;
    drop(busy);
    assert_eq!(
        timeout(PATIENCE, posted)
            .await
            .unwrap()
            .unwrap()
            .unwrap()
            .status(),
        200
    );
    drop(streamed);
    until(&server, |bytes| bytes == 0).await;
}

/// Has the writer do something that ends with the task.
pub(crate) async fn hold_writer(server: &Server) -> JoinHandle<()> {
    /// Far more than it takes to change nothing.
    const SHORT: Duration = Duration::from_millis(200);
    let (mut sparql, endless) = (
        client(server),
        format!("INSERT {{ e:a e:n ?n }} WHERE {{ {ENDLESS} }}"),
    );
    let holding = tokio::spawn(async move {
        let held = sparql.update(change(&endless)).await;
        panic!("the writer is held up no more: {held:?}");
    });
    while timeout(SHORT, update(server, change(""))).await.is_ok() {
        assert!(!holding.is_finished());
    }
    holding
}

#[tokio::test]
async fn what_waits_for_the_writer_is_counted_when_its_caller_has_gone() {
    const TEXT_BYTES: usize = 600 << 10;
    let server = Server::start_with(|settings| settings.query_concurrency_max = 1).await;
    let holding = hold_writer(&server).await;
    let object = v1::Literal {
        lexical_form: "x".repeat(TEXT_BYTES),
        ..Default::default()
    };
    let long_fact = Fact {
        object: Some(v1::Term {
            term: Some(Term::Literal(object)),
        }),
        ..fact("e:a", "e:b")
    };
    let long_update = text("INSERT DATA { e:a e:b 1 }", TEXT_BYTES);
    let (mut writes, mut sparql) = (server.writes(), client(&server));
    let posted = send(server.address, post("/sparql", UPDATE, &long_update));
    let long_update = change(&long_update);
    let callers: [(Caller, _); 3] = [
        (
            Box::pin(async move { drop(writes.write_facts(request([long_fact])).await) }),
            r#"grpc_method="WriteFacts",grpc_code="Cancelled""#,
        ),
        (
            Box::pin(async move { drop(sparql.update(long_update).await) }),
            r#"grpc_method="Update",grpc_code="Cancelled""#,
        ),
        (
            Box::pin(async move { drop(posted.await) }),
            r#"http_response_status_code="499""#,
        ),
    ];
    let mut held_bytes = requests_bytes(&server).await;
    for (caller, gone) in callers {
        let caller = tokio::spawn(caller);
        held_bytes += TEXT_BYTES as u64;
        until(&server, |bytes| bytes > held_bytes).await;
        // The one thread has parsed what came before.
        query(&server, ask("ASK {}")).await.unwrap();
        caller.abort();
        let start = Instant::now();
        while !metrics(&server).await.contains(gone) {
            assert!(start.elapsed() < PATIENCE, "{gone}");
        }
        let bytes = requests_bytes(&server).await;
        assert!(bytes > held_bytes, "{gone}: {bytes} bytes");
    }
    holding.abort();
    until(&server, |bytes| bytes == 0).await;
}

#[tokio::test]
async fn texts_past_their_limit_wait_for_no_thread() {
    async fn check_refused<T: Debug>(outcome: impl Future<Output = Result<T, Status>>) {
        let outcome = timeout(PATIENCE, outcome).await.expect("an answer at once");
        let metadata = check_error(outcome, Code::InvalidArgument, ErrorReason::SparqlTooComplex);
        assert_eq!(metadata["limit"], "query_bytes_max");
    }
    let (server, _busy) = busy(TEXT_BYTES_MAX).await;
    let [long, long_update] = ["ASK {}", "CLEAR ALL"].map(|begin| text(begin, TEXT_BYTES_MAX + 1));
    check_refused(query(&server, ask(&long))).await;
    check_refused(update(&server, change(&long_update))).await;
    let explain = ExplainRequest {
        query: long.clone(),
        ..Default::default()
    };
    check_refused(async { client(&server).explain(explain).await }).await;
    // No error there: it tells what a text is.
    let validate = ValidateRequest {
        text: long.clone(),
        ..Default::default()
    };
    let validated = async { client(&server).validate(validate).await };
    let validated = timeout(PATIENCE, validated).await.expect("an answer at once");
    let validated = validated.unwrap().into_inner();
    let reason = validated.fault.as_ref().unwrap().reason.as_str();
    assert_eq!((validated.valid, reason), (false, "SPARQL_TOO_COMPLEX"));
    let bytes = &validated.figures[0];
    assert_eq!(
        (bytes.limit.as_str(), bytes.value),
        ("query_bytes_max", i64::try_from(long.len()).unwrap())
    );
    let mut by_get = get(&format!("/sparql?query={}", "x".repeat(TEXT_BYTES_MAX + 1)));
    *by_get.method_mut() = Method::GET;
    for request in [
        by_get,
        over_http(&long, "*/*"),
        post("/sparql", UPDATE, &long_update),
    ] {
        let refused = check(&server, request, 400, "SPARQL_TOO_COMPLEX");
        let problem = timeout(PATIENCE, refused).await.expect("an answer at once");
        assert_eq!(problem["limit"], "query_bytes_max");
    }
}

#[tokio::test]
async fn a_text_of_the_limit_is_taken() {
    let server = Server::start_with(|settings| settings.query_bytes_max = TEXT_BYTES_MAX).await;
    let most = text("ASK {}", TEXT_BYTES_MAX);
    assert_eq!(query(&server, ask(&most)).await.unwrap().boolean, Some(true));
    check_status(&server, over_http(&most, "*/*"), 200).await;
}

#[tokio::test]
async fn a_chunk_of_an_import_is_no_larger_than_it_may_be() {
    let server = Server::start_empty().await;
    for encoding in [None, Some(CompressionEncoding::Gzip)] {
        let import = async |byte_count: usize| {
            let mut document = vec![b'#'; byte_count];
            document.push(b'\n');
            let (chunk, rest) = document.split_at(byte_count);
            let parts = [
                Part::Header(header("nt")),
                Part::Chunk(chunk.to_vec().into()),
                Part::Chunk(rest.to_vec().into()),
            ];
            let messages = parts.map(|part| v1::ImportRequest { part: Some(part) });
            let mut writes = server.writes();
            if let Some(encoding) = encoding {
                writes = writes.send_compressed(encoding);
            }
            complete(writes.import(tokio_stream::iter(messages)).await?.into_inner()).await
        };
        import(CHUNK_BYTES_MAX).await.unwrap();
        check_error(
            import(CHUNK_BYTES_MAX + 1).await,
            Code::ResourceExhausted,
            ErrorReason::MessageTooLarge,
        );
    }
}
