//! Requests over HTTP/1.1, each on a connection of its own.

use std::{borrow::Cow, error::Error as _, io};

use bytes::Bytes;
use dossier::rdf::Format;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tonic::Code;

use crate::{
    case::{BROKEN_OFF, CUT_OFF, Kind, Outcome},
    transport::gzip,
};

/// Formats whose answers have a line for each row or triple. A boolean has one line, too.
const ACCEPT: &str = "text/tab-separated-values, application/n-triples";
/// The status of each reason, and the code that gRPC has for it.
const REASONS: [(&str, StatusCode, Code); 14] = [
    ("SPARQL_SYNTAX", StatusCode::BAD_REQUEST, Code::InvalidArgument),
    (
        "SPARQL_TOO_COMPLEX",
        StatusCode::BAD_REQUEST,
        Code::InvalidArgument,
    ),
    (
        "SPARQL_UNSUPPORTED",
        StatusCode::BAD_REQUEST,
        Code::InvalidArgument,
    ),
    (
        "SPARQL_EVALUATION",
        StatusCode::BAD_REQUEST,
        Code::InvalidArgument,
    ),
    (
        "SPARQL_WRONG_FORM",
        StatusCode::BAD_REQUEST,
        Code::InvalidArgument,
    ),
    ("INVALID_REQUEST", StatusCode::BAD_REQUEST, Code::InvalidArgument),
    ("TERM_TOO_LARGE", StatusCode::BAD_REQUEST, Code::InvalidArgument),
    ("RDF_SYNTAX", StatusCode::BAD_REQUEST, Code::InvalidArgument),
    (
        "DEADLINE_EXCEEDED",
        StatusCode::GATEWAY_TIMEOUT,
        Code::DeadlineExceeded,
    ),
    (
        "GRAPH_FULL",
        StatusCode::INSUFFICIENT_STORAGE,
        Code::ResourceExhausted,
    ),
    (
        "QUERY_MEMORY_EXCEEDED",
        StatusCode::INSUFFICIENT_STORAGE,
        Code::ResourceExhausted,
    ),
    (
        "QUERY_LIMIT_EXCEEDED",
        StatusCode::INSUFFICIENT_STORAGE,
        Code::ResourceExhausted,
    ),
    (
        "MESSAGE_TOO_LARGE",
        StatusCode::PAYLOAD_TOO_LARGE,
        Code::ResourceExhausted,
    ),
    ("OVERLOADED", StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
];

/// Sends a request and reads its whole answer; `pause` stands between the first bytes and the others.
pub(crate) async fn send(
    authority: &str,
    kind: Kind,
    text: Cow<'static, [u8]>,
    pause: impl Future<Output = ()>,
) -> Outcome {
    let (path, content_type, is_gzip) = match kind {
        Kind::Query | Kind::Stalled => ("/sparql", "application/sparql-query", false),
        Kind::Update | Kind::Plan => ("/sparql", "application/sparql-update", false),
        Kind::Import(format) => (store(format), media_type(format), false),
        Kind::Gzip(format) => (store(format), media_type(format), true),
    };
    let body = if is_gzip { gzip(&text) } else { text.into_owned() };
    let mut request = Request::post(path)
        .header(header::HOST, authority)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::ACCEPT, ACCEPT);
    if is_gzip {
        request = request.header(header::CONTENT_ENCODING, "gzip");
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let stream = TcpStream::connect(authority).await.unwrap();
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let answer = match client.send_request(request).await {
        Ok(response) => read(kind, response, pause).await,
        Err(error) if is_cut_off(&error) => Err((Code::Unknown, CUT_OFF.to_owned())),
        Err(error) => Err((Code::Unknown, format!("no response: {error:?}"))),
    };
    connection.abort();
    answer
}

fn is_cut_off(error: &hyper::Error) -> bool {
    let source = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
        )
    })
}

async fn read(kind: Kind, response: Response<Incoming>, pause: impl Future<Output = ()>) -> Outcome {
    let (head, mut body) = response.into_parts();
    let is_result = kind.is_query() && head.status == StatusCode::OK;
    let mut bytes = Vec::new();
    let mut line_count = 0;
    let mut pause = Some(pause);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err((Code::Unknown, BROKEN_OFF.to_owned()));
        };
        let chunk = frame.data_ref().map_or(&[][..], |chunk| chunk);
        line_count += chunk.split(|&byte| byte == b'\n').skip(1).count() as u64;
        // A flood is counted, not kept.
        if !is_result || bytes.is_empty() {
            bytes.extend_from_slice(chunk);
        }
        if let Some(pause) = pause.take() {
            pause.await;
        }
    }
    match head.status {
        StatusCode::OK if kind.is_query() => {
            let is_table = head.headers[header::CONTENT_TYPE] == "text/tab-separated-values; charset=utf-8";
            Ok(Some(match (is_table, line_count) {
                (false, triples) => triples,
                // A boolean is one word.
                (true, 0) => 1,
                (true, lines) => lines - 1,
            }))
        }
        StatusCode::OK => {
            let done: Value = serde_json::from_slice(&bytes).unwrap();
            let count = |name: &str| done[name].as_u64().unwrap();
            Ok(Some(count("quads_inserted") + count("quads_removed")))
        }
        // Nobody says how many quads a document had.
        StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(None),
        status => Err(problem(status, &bytes)),
    }
}

/// Returns the code and reason that gRPC has for a problem; others than its own for one with a wrong status.
fn problem(status: StatusCode, body: &[u8]) -> (Code, String) {
    let Ok(problem) = serde_json::from_slice::<Value>(body) else {
        return (Code::Unknown, format!("{status} without a problem"));
    };
    let reason = problem["reason"].as_str().unwrap_or_default();
    match REASONS.iter().find(|(name, ..)| *name == reason) {
        Some((_, right, code)) if *right == status && problem["status"] == status.as_u16() => {
            (*code, reason.to_owned())
        }
        _ => (Code::Unknown, format!("{status} with {problem}")),
    }
}

fn media_type(format: &str) -> &'static str {
    Format::named(format).unwrap().media_type()
}

/// Where a document goes: those with graphs to all graphs, others to the default graph.
fn store(format: &str) -> &'static str {
    match format {
        "nq" | "trig" => "/store",
        _ => "/store?default",
    }
}
