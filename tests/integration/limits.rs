//! What the server and the caller let one query or update come to: rows, bytes, work and values.

use std::time::Duration;

use dossier::{
    config::ServeSettings,
    proto::v1::{
        self, ErrorReason, ExplainRequest, QueryLimits, QueryRequest, QueryResponse, query_response::Frame,
    },
};
use http::Request;
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::{
    harness::{Server, check_error, check_fields, sourced_fact},
    http::{UPDATE, check, check_status, get, post, query as over_http},
    http_client::send,
    sparql::{ask, client, insert, query},
    updates::{change, update},
};

const ALL: &str = "SELECT * { ?s ?p ?o }";
/// One row, without a graph.
const LONG_ROW: &str = "SELECT (REPLACE('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') AS ?x) {}";

async fn start(adjust: impl FnOnce(&mut ServeSettings)) -> Server {
    Server::start_with(|settings| {
        settings.load_shipped_data = false;
        adjust(settings);
    })
    .await
}

/// Checks an error of a limit: waiting does not help, and the message says what does.
#[track_caller]
fn check_limit<T: std::fmt::Debug>(outcome: Result<T, Status>, limit: &str, limit_value: i64) {
    let status = outcome.as_ref().expect_err("a call that must fail");
    assert!(status.get_details_retry_info().is_none(), "{status:?}");
    let message = status.message();
    assert!(
        message.contains(limit) && message.contains(&limit_value.to_string()),
        "{message}"
    );
    let metadata = check_error(outcome, Code::ResourceExhausted, ErrorReason::QueryLimitExceeded);
    assert_eq!(
        (metadata["limit"].as_str(), metadata["limit_value"].as_str()),
        (limit, limit_value.to_string().as_str())
    );
}

async fn check_http(server: &Server, request: Request<String>, limit: &str, limit_value: i64) {
    let problem = check(server, request, 507, "QUERY_LIMIT_EXCEEDED").await;
    assert_eq!(
        (&problem["limit"], &problem["limit_value"]),
        (&limit.into(), &limit_value.into())
    );
}

fn limited(text: &str, limits: QueryLimits) -> QueryRequest {
    QueryRequest {
        limits: Some(limits),
        ..ask(text)
    }
}

fn rows(row_count_max: i64) -> QueryLimits {
    QueryLimits {
        row_count_max,
        ..Default::default()
    }
}

fn work(work_max: i64) -> QueryLimits {
    QueryLimits {
        work_max,
        ..Default::default()
    }
}

fn bytes(result_bytes_max: i64) -> QueryLimits {
    QueryLimits {
        result_bytes_max,
        ..Default::default()
    }
}

async fn execute(server: &Server, text: &str, limits: QueryLimits) -> Result<v1::ExplainResponse, Status> {
    let request = ExplainRequest {
        query: text.into(),
        limits: Some(limits),
        execute: true,
        ..Default::default()
    };
    Ok(client(server).explain(request).await?.into_inner())
}

/// Returns the bytes of a result as the limit counts them.
async fn result_bytes(server: &Server, request: QueryRequest) -> Result<i64, Status> {
    let mut frames: Streaming<QueryResponse> = client(server).query(request).await?.into_inner();
    let mut bytes = 0;
    while let Some(response) = frames.message().await? {
        if !matches!(response.frame, Some(Frame::Complete(_))) {
            bytes += response.encoded_len();
        }
    }
    Ok(bytes.try_into().unwrap())
}

#[tokio::test]
async fn limits_of_one_query_are_told() {
    let server = start(|settings| {
        settings.query_row_count_max = 1;
        settings.query_result_bytes_max = 2_000;
        settings.query_work_max = 3;
        settings.literal_bytes_max = 4_000;
        settings.regex_text_bytes_max = 5_000;
        settings.regex_bytes_max = 6_000;
        settings.long_text_regex_bytes_max = 7_000;
    })
    .await;
    let limits = server.info().await.limits.unwrap();
    assert_eq!(
        [
            limits.query_row_count_max,
            limits.query_result_bytes_max,
            limits.query_work_max,
            limits.literal_bytes_max,
            limits.regex_text_bytes_max,
            limits.regex_bytes_max,
            limits.long_text_regex_bytes_max,
        ],
        [1, 2_000, 3, 4_000, 5_000, 6_000, 7_000]
    );
    assert_eq!(limits.term_bytes_max, 8 << 20);
}

#[tokio::test]
async fn terms_are_limited_whatever_brings_them() {
    let server = start(|settings| settings.query_bytes_max = 16 << 20).await;
    let bytes_max = usize::try_from(server.info().await.limits.unwrap().term_bytes_max).unwrap();
    let text = "a".repeat(bytes_max);
    let line = |text: &str| format!("<http://e.com/a> <http://e.com/p> \"{text}\" .");
    let check_refused = |outcome| {
        let metadata = check_error(outcome, Code::InvalidArgument, ErrorReason::TermTooLarge);
        let told = [&metadata["term_bytes"], &metadata["term_bytes_max"]];
        assert_eq!(told, [&(bytes_max + 1).to_string(), &bytes_max.to_string()]);
    };
    server.import_text("nt", &line(&text)).await.unwrap();
    let text = text + "b";
    for format in ["nt", "ttl"] {
        check_refused(server.import_text(format, &line(&text)).await.map(drop));
    }
    let object = v1::Term {
        term: Some(v1::term::Term::Literal(v1::Literal {
            lexical_form: text.clone(),
            ..Default::default()
        })),
    };
    let by_parameter = v1::UpdateRequest {
        parameters: [("o".to_owned(), object.clone())].into(),
        ..change("INSERT { <http://e.com/b> <http://e.com/p> ?o } WHERE {}")
    };
    check_refused(update(&server, by_parameter).await.map(drop));
    let fact = v1::WriteFactsRequest {
        facts: vec![v1::Fact {
            object: Some(object),
            ..sourced_fact()
        }],
        ..Default::default()
    };
    check_refused(server.writes().write_facts(fact).await.map(drop));
    let put = Request::put("/store?default")
        .header("content-type", "text/turtle")
        .body(line(&text))
        .unwrap();
    let problem = check(&server, put, 400, "TERM_TOO_LARGE").await;
    assert_eq!(problem["term_bytes_max"], bytes_max);
    assert_eq!(server.info().await.quad_count, 1);
}

#[tokio::test]
async fn the_server_limits_rows() {
    let server = start(|settings| settings.query_row_count_max = 3).await;
    insert(&server, "e:a e:p 1, 2, 3").await;
    let construct = "CONSTRUCT WHERE { ?s ?p ?o }";
    let dictionary = |text| QueryRequest {
        row_encoding: v1::RowEncoding::Dictionary.into(),
        ..ask(text)
    };
    for request in [ask(ALL), ask(construct), ask("DESCRIBE e:a"), dictionary(ALL)] {
        let complete = query(&server, request).await.unwrap().complete;
        assert_eq!(
            (complete.row_count, complete.limit_reached()),
            (3, v1::QueryLimit::Unspecified)
        );
    }
    check_status(&server, over_http(ALL, "*/*"), 200).await;
    check_status(&server, over_http(construct, "*/*"), 200).await;
    assert_eq!(execute(&server, ALL, rows(0)).await.unwrap().row_count, Some(3));

    insert(&server, "e:a e:p 4").await;
    for request in [
        ask(ALL),
        ask(construct),
        ask("DESCRIBE e:a"),
        dictionary(ALL),
        limited(ALL, rows(4)),
    ] {
        check_limit(query(&server, request).await, "query_row_count_max", 3);
    }
    for text in [ALL, construct] {
        check_http(&server, over_http(text, "*/*"), "query_row_count_max", 3).await;
    }
    let explained = execute(&server, ALL, rows(0)).await;
    check_limit(explained, "query_row_count_max", 3);
    // Who asks for no more than there may be gets it.
    for row_count_max in [2, 3] {
        let complete = query(&server, limited(ALL, rows(row_count_max)))
            .await
            .unwrap()
            .complete;
        assert_eq!(
            (complete.row_count, complete.limit_reached()),
            (row_count_max, v1::QueryLimit::RowCount)
        );
        let explained = execute(&server, ALL, rows(row_count_max)).await.unwrap();
        assert_eq!(explained.limit_reached(), v1::QueryLimit::RowCount);
    }
    query(&server, ask("SELECT * { ?s ?p ?o } LIMIT 3"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_result_past_its_rows_is_never_short() {
    const ROW_COUNT_MAX: u64 = 50_000;
    let server = Server::start_with(|settings| settings.query_row_count_max = ROW_COUNT_MAX).await;
    let product = "SELECT * { ?a ?b ?c . ?d ?e ?f }";
    check_limit(query(&server, ask(product)).await, "query_row_count_max", 50_000);
    // By then the status is sent.
    for accept in ["text/csv", "application/sparql-results+json"] {
        let outcome = send(server.address, over_http(product, accept)).await;
        assert!(outcome.is_err(), "{accept} ended as if it were whole");
    }
}

#[tokio::test]
async fn bytes_of_a_result_are_limited() {
    let open = start(|_| {}).await;
    let request = || QueryRequest {
        query_id: "mine".into(),
        ..ask(LONG_ROW)
    };
    let max = result_bytes(&open, request()).await.unwrap();
    assert!(max > 1_600, "{max}");
    // The caller's limit.
    for (result_bytes_max, fits) in [(max, true), (max - 1, false)] {
        let request = QueryRequest {
            limits: Some(bytes(result_bytes_max)),
            ..request()
        };
        let outcome = query(&open, request).await;
        if fits {
            assert_eq!(outcome.unwrap().rows.len(), 1);
        } else {
            check_limit(outcome, "query_result_bytes_max", result_bytes_max);
        }
    }
    // The server's, which a caller cannot raise.
    for (result_bytes_max, fits) in [(max, true), (max - 1, false)] {
        let server =
            start(|settings| settings.query_result_bytes_max = result_bytes_max.unsigned_abs()).await;
        let raised = QueryRequest {
            limits: Some(bytes(max + 1)),
            ..request()
        };
        for request in [request(), raised] {
            let outcome = query(&server, request).await;
            if fits {
                outcome.unwrap();
            } else {
                check_limit(outcome, "query_result_bytes_max", result_bytes_max);
            }
        }
        // Explain sends no rows.
        execute(&server, LONG_ROW, bytes(0)).await.unwrap();
    }
}

#[tokio::test]
async fn bytes_of_a_body_are_limited() {
    let open = start(|_| {}).await;
    let construct = "CONSTRUCT { e:a e:p ?x } { BIND(REPLACE('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'a', '012345678901234567890123456789012345678901234') AS ?x) }";
    let put = || {
        post(
            "/store?default",
            "application/n-triples",
            &format!("<e:a> <e:p> \"{}\" .\n", "a".repeat(2_000)),
        )
    };
    check_status(&open, put(), 204).await;
    let requests = || {
        [
            over_http(LONG_ROW, "text/csv"),
            over_http(LONG_ROW, "application/sparql-results+json"),
            over_http(LONG_ROW, "application/sparql-results+xml"),
            over_http(construct, "application/n-triples"),
            over_http(construct, "text/turtle"),
            over_http(construct, "application/ld+json"),
            get("/store?default"),
        ]
    };
    for index in 0..requests().len() {
        let request = || requests()[index].clone();
        let whole = check_status(&open, request(), 200).await.into_body();
        for (bytes_max, fits) in [(whole.len(), true), (whole.len() - 1, false)] {
            let server = start(|settings| settings.query_result_bytes_max = bytes_max as u64).await;
            check_status(&server, put(), 204).await;
            if fits {
                assert_eq!(check_status(&server, request(), 200).await.into_body(), whole);
            } else {
                let limit_value = bytes_max.try_into().unwrap();
                check_http(&server, request(), "query_result_bytes_max", limit_value).await;
            }
        }
    }
}

#[tokio::test]
async fn a_body_past_its_bytes_has_no_end() {
    let server = Server::start_with(|settings| settings.query_result_bytes_max = 300_000).await;
    let product = "SELECT * { ?a ?b ?c . ?d ?e ?f }";
    for accept in ["text/csv", "application/sparql-results+json"] {
        let outcome = send(server.address, over_http(product, accept)).await;
        assert!(outcome.is_err(), "{accept} ended as if it were whole");
    }
    check_limit(
        query(&server, ask(product)).await,
        "query_result_bytes_max",
        300_000,
    );
}

#[tokio::test]
async fn bodies_over_http_come_in_as_messages_do() {
    let server = start(|settings| {
        settings.query_timeout_max = Duration::from_hours(1);
        settings.connections.request_stall_max = Duration::from_millis(200);
        settings.connections.request_memory_bytes_max = 100_000;
    })
    .await;
    let query = |bytes: usize| over_http(&format!("ASK {{}} #{}", "x".repeat(bytes)), "*/*");
    check_status(&server, query(65_000), 200).await;
    check(&server, query(110_000), 503, "OVERLOADED").await;
    check_status(&server, query(65_000), 200).await;

    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /sparql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sparql-query\r\nContent-Length: 9\r\n\r\n";
    stream
        .write_all(format!("{head}ASK {{").as_bytes())
        .await
        .unwrap();
    let mut status = [0; 12];
    let answered = stream.read_exact(&mut status);
    timeout(Duration::from_mins(1), answered).await.unwrap().unwrap();
    assert_eq!(&status, b"HTTP/1.1 408");
}

#[tokio::test]
async fn work_of_a_query_is_limited() {
    let data: Vec<_> = (0..100).map(|number| format!("e:a e:p {number}")).collect();
    let data = data.join(" . ");
    let text = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f FILTER(?c < ?f) }";
    let open = start(|_| {}).await;
    insert(&open, &data).await;
    let max = execute(&open, text, work(0)).await.unwrap().work.unwrap();
    assert!(max > 10_000, "{max}");
    for work_max in [max, max + 1] {
        query(&open, limited(text, work(work_max))).await.unwrap();
        assert_eq!(
            execute(&open, text, work(work_max)).await.unwrap().work,
            Some(max)
        );
    }
    check_limit(
        query(&open, limited(text, work(max - 1))).await,
        "query_work_max",
        max - 1,
    );
    let explained = execute(&open, text, work(max - 1)).await;
    check_limit(explained, "query_work_max", max - 1);
    for (work_max, fits) in [(max, true), (max - 1, false)] {
        let server = start(|settings| settings.query_work_max = work_max.unsigned_abs()).await;
        insert(&server, &data).await;
        if fits {
            query(&server, ask(text)).await.unwrap();
            check_status(&server, over_http(text, "*/*"), 200).await;
            execute(&server, text, work(0)).await.unwrap();
        } else {
            for request in [ask(text), limited(text, work(max))] {
                check_limit(query(&server, request).await, "query_work_max", work_max);
            }
            check_http(&server, over_http(text, "*/*"), "query_work_max", work_max).await;
            let explained = execute(&server, text, work(0)).await;
            check_limit(explained, "query_work_max", work_max);
        }
    }
}

#[tokio::test]
async fn work_of_an_update_is_limited() {
    let server = start(|settings| settings.query_work_max = 3).await;
    insert(&server, "e:a e:p 1, 2, 3, 4").await;
    check_limit(update(&server, change("CLEAR ALL")).await, "query_work_max", 3);
    check_http(&server, post("/sparql", UPDATE, "CLEAR ALL"), "query_work_max", 3).await;
    assert_eq!(server.info().await.quad_count, 4);
    update(&server, change("DELETE DATA { e:a e:p 4 }"))
        .await
        .unwrap();
    let by_caller = v1::UpdateRequest {
        limits: Some(work(2)),
        ..change("CLEAR ALL")
    };
    check_limit(update(&server, by_caller).await, "query_work_max", 2);
    assert_eq!(
        update(&server, change("CLEAR ALL")).await.unwrap().quads_removed,
        3
    );
}

#[tokio::test]
async fn limits_of_a_caller_are_checked() {
    let server = start(|_| {}).await;
    let negative = QueryLimits {
        row_count_max: -1,
        result_bytes_max: -1,
        work_max: -1,
        timeout: None,
    };
    let fields = [
        "limits.row_count_max",
        "limits.result_bytes_max",
        "limits.work_max",
    ];
    let outcome = query(&server, limited("ASK {}", negative)).await;
    check_fields(outcome, ErrorReason::InvalidField, &fields);
    let with_result = v1::UpdateRequest {
        limits: Some(bytes(1)),
        ..change("CLEAR ALL")
    };
    let fields = ["limits.result_bytes_max"];
    check_fields(
        update(&server, with_result).await,
        ErrorReason::InvalidField,
        &fields,
    );
}

#[tokio::test]
async fn values_are_limited_as_the_settings_say() {
    let server = start(|settings| {
        settings.literal_bytes_max = 1_600;
        settings.regex_text_bytes_max = 1_024;
        settings.regex_bytes_max = 4 << 10;
        settings.long_text_regex_bytes_max = 4 << 10;
    })
    .await;
    let text = |bytes: usize| format!("ASK {{ FILTER REGEX('{}', 'a$') }}", "a".repeat(bytes));
    query(&server, ask(LONG_ROW)).await.unwrap();
    query(&server, ask(&text(1_024))).await.unwrap();
    let too_long = LONG_ROW.replacen("AS ?x", "AS ?y", 1).replacen("'aa", "'baa", 1);
    let large = "ASK { FILTER REGEX('a', '(a{1,100}){1,10}') }";
    for (text, limit, value) in [
        (too_long.as_str(), "literal_bytes_max", "1600"),
        (&text(1_025), "regex_text_bytes_max", "1024"),
        (large, "regex_bytes_max", "4096"),
    ] {
        let metadata = check_error(
            query(&server, ask(text)).await,
            Code::InvalidArgument,
            ErrorReason::SparqlTooComplex,
        );
        assert_eq!(
            (metadata["limit"].as_str(), metadata["limit_value"].as_str()),
            (limit, value)
        );
        let problem = check(&server, over_http(text, "*/*"), 400, "SPARQL_TOO_COMPLEX").await;
        assert_eq!(problem["limit"], limit);
    }
}
