use std::{collections::BTreeSet, io::Read as _, time::Duration};

use bytes::Bytes;
use dossier::{
    auth::Tokens,
    proto::v1::{self, sparql_service_client::SparqlServiceClient},
};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use oxigraph::{
    io::{RdfFormat, RdfParser},
    sparql::results::{QueryResultsFormat, QueryResultsParser, SliceQueryResultsParserOutput},
};
use prost::Message as _;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{harness::Server, http_client::send};

const TURTLE: &str = "text/turtle";
pub(crate) const UPDATE: &str = "application/sparql-update";
/// Some 70 million rows.
const PRODUCT: &str = "SELECT * { ?a ?b ?c . ?d ?e ?f }";
/// As many, and one answer.
pub(crate) const SUM: &str = "SELECT (SUM(STRLEN(CONCAT(STR(?a), STR(?d)))) AS ?n) { ?a ?b ?c . ?d ?e ?f }";

pub(crate) fn get(path: &str) -> Request<String> {
    with_method(Method::GET, path)
}

fn with_method(method: Method, path: &str) -> Request<String> {
    Request::builder()
        .method(method)
        .uri(path)
        .body(String::new())
        .unwrap()
}

pub(crate) fn post(path: &str, content_type: &str, body: &str) -> Request<String> {
    Request::post(path)
        .header(header::CONTENT_TYPE, content_type)
        .body(body.to_owned())
        .unwrap()
}

pub(crate) fn query(text: &str, accept: &str) -> Request<String> {
    let mut request = post("/sparql", "application/sparql-query", text);
    request
        .headers_mut()
        .insert(header::ACCEPT, accept.parse().unwrap());
    request
}

fn put(path: &str, document: &str) -> Request<String> {
    let mut request = post(path, TURTLE, document);
    *request.method_mut() = Method::PUT;
    request
}

fn content_type(response: &Response<Bytes>) -> &str {
    response.headers()[header::CONTENT_TYPE].to_str().unwrap()
}

fn count(response: &Response<Bytes>, wanted: char) -> usize {
    std::str::from_utf8(response.body())
        .unwrap()
        .matches(wanted)
        .count()
}

/// Checks status and reason of a problem, and returns it.
pub(crate) async fn check(server: &Server, request: Request<String>, status: u16, reason: &str) -> Value {
    let shown = format!("{request:?}");
    let response = send(server.address, request).await.unwrap();
    assert_eq!(content_type(&response), "application/problem+json", "{shown}");
    let problem: Value = serde_json::from_slice(response.body()).unwrap();
    let code = response.status().as_u16();
    assert_eq!(
        (code, &problem["reason"]),
        (status, &Value::from(reason)),
        "{shown}: {problem}"
    );
    assert_eq!(problem["status"], code);
    assert!(!problem["detail"].as_str().unwrap().is_empty());
    if status == 503 {
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
    problem
}

/// Checks the status alone.
pub(crate) async fn check_status(server: &Server, request: Request<String>, status: u16) -> Response<Bytes> {
    let shown = format!("{request:?}");
    let response = send(server.address, request).await.unwrap();
    assert_eq!(
        response.status().as_u16(),
        status,
        "{shown}: {:?}",
        response.body()
    );
    response
}

#[tokio::test]
async fn rows_and_booleans_come_in_every_format() {
    let server = Server::start().await;
    let formats = [
        ("application/sparql-results+json", QueryResultsFormat::Json),
        ("application/sparql-results+xml", QueryResultsFormat::Xml),
        ("text/csv", QueryResultsFormat::Csv),
        ("text/tab-separated-values", QueryResultsFormat::Tsv),
    ];
    let rows =
        "SELECT ?s ?o { ?s d:standing ?x . OPTIONAL { ?s ?never ?o . FILTER(false) } } ORDER BY ?s LIMIT 20";
    for (name, format) in formats {
        let response = check_status(&server, query(rows, name), 200).await;
        assert!(content_type(&response).starts_with(name));
        assert_eq!(response.headers()["dossier-revision"], "1");
        let parser = QueryResultsParser::from_format(format);
        if format != QueryResultsFormat::Csv {
            let SliceQueryResultsParserOutput::Solutions(solutions) =
                parser.clone().for_slice(response.body()).unwrap()
            else {
                panic!("{name}: no rows");
            };
            assert_eq!(solutions.variables().len(), 2);
            assert!(solutions.map(Result::unwrap).all(|row| row.get("o").is_none()));
        }
        let response = check_status(&server, query("ASK { e:KR ?p ?o }", name), 200).await;
        let text = std::str::from_utf8(response.body()).unwrap();
        assert!(text.contains("true"), "{name}: {text}");
    }
}

#[tokio::test]
async fn triples_come_in_every_format() {
    let server = Server::start().await;
    let formats = [
        (TURTLE, RdfFormat::Turtle),
        ("application/n-triples", RdfFormat::NTriples),
        ("application/n-quads", RdfFormat::NQuads),
        ("application/trig", RdfFormat::TriG),
        ("application/rdf+xml", RdfFormat::RdfXml),
        (
            "application/ld+json",
            RdfFormat::from_media_type("application/ld+json").unwrap(),
        ),
    ];
    let mut results = BTreeSet::new();
    for (name, format) in formats {
        let text = "CONSTRUCT { ?s rdfs:label ?o } WHERE { ?s rdfs:label ?o }";
        let response = check_status(&server, query(text, name), 200).await;
        assert!(content_type(&response).starts_with(name));
        let quads: BTreeSet<_> = RdfParser::from_format(format)
            .for_slice(response.body())
            .map(|quad| quad.unwrap().to_string())
            .collect();
        assert!(!quads.is_empty());
        results.insert(quads);
        check_status(&server, query("DESCRIBE e:KR", name), 200).await;
    }
    assert_eq!(results.len(), 1, "formats differ");
}

#[tokio::test]
async fn every_error_has_its_status() {
    let server = Server::start_with(|settings| {
        settings.message_bytes_max = 64 << 10;
        settings.query_bytes_max = 32 << 10;
        settings.query_timeout_max = Duration::from_millis(400);
    })
    .await;
    let server = &server;
    let problem = check(
        server,
        query("SELECT * WHERE {\n  ?s ?p }", "*/*"),
        400,
        "SPARQL_SYNTAX",
    )
    .await;
    assert_eq!((&problem["line"], &problem["column"]), (&2.into(), &9.into()));
    check(server, query("CLEAR ALL", "*/*"), 400, "SPARQL_WRONG_FORM").await;
    check(
        server,
        post("/sparql", UPDATE, "ASK {}"),
        400,
        "SPARQL_WRONG_FORM",
    )
    .await;
    check(
        server,
        post("/sparql", UPDATE, "LOAD <http://a/>"),
        400,
        "SPARQL_UNSUPPORTED",
    )
    .await;
    check(
        server,
        post("/sparql", UPDATE, "DROP GRAPH <http://a/>"),
        400,
        "SPARQL_EVALUATION",
    )
    .await;
    let deep = format!("ASK {}", "{".repeat(200));
    check(server, query(&deep, "*/*"), 400, "SPARQL_TOO_COMPLEX").await;
    check(
        server,
        query(&" ".repeat(65 << 10), "*/*"),
        413,
        "MESSAGE_TOO_LARGE",
    )
    .await;
    check(server, query("SELECT * {}", "text/html"), 406, "NOT_ACCEPTABLE").await;
    check(server, query("ASK {}", TURTLE), 406, "NOT_ACCEPTABLE").await;
    check(
        server,
        query("CONSTRUCT {} {}", "text/csv"),
        406,
        "NOT_ACCEPTABLE",
    )
    .await;
    check(server, query(SUM, "*/*"), 504, "DEADLINE_EXCEEDED").await;
    check(
        server,
        post("/sparql", "text/plain", "ASK {}"),
        415,
        "UNSUPPORTED_MEDIA_TYPE",
    )
    .await;
    check(server, get("/sparql?update=CLEAR+ALL"), 400, "INVALID_REQUEST").await;
    check(
        server,
        get("/sparql?query=ASK%7B%7D&default-graph-uri=a"),
        400,
        "INVALID_IRI",
    )
    .await;
    check(
        server,
        get("/sparql?query=ASK%7B%7D&min-revision=99"),
        412,
        "REVISION_NOT_REACHED",
    )
    .await;
    check(
        server,
        with_method(Method::PUT, "/sparql"),
        405,
        "METHOD_NOT_ALLOWED",
    )
    .await;
    check(server, get("/nothing"), 404, "NOT_FOUND").await;
    check(server, get("/storehouse"), 404, "NOT_FOUND").await;
    check(server, get("/store?graph=http://a/g"), 404, "GRAPH_NOT_FOUND").await;
    check(server, get("/store?graph=g"), 400, "INVALID_IRI").await;
    check(
        server,
        get("/store?default&graph=http://a/g"),
        400,
        "INVALID_REQUEST",
    )
    .await;
    check(server, put("/store", ""), 400, "INVALID_REQUEST").await;
    check(
        server,
        with_method(Method::PATCH, "/store?default"),
        405,
        "METHOD_NOT_ALLOWED",
    )
    .await;
    let problem = check(
        server,
        put("/store?default", "<http://a> <b> .\n"),
        400,
        "RDF_SYNTAX",
    )
    .await;
    assert_eq!(problem["line"], 1);
    let bomb = post("/store?default", "application/rdf+xml", "<!DOCTYPE a><a/>");
    check(server, bomb, 400, "RDF_SYNTAX").await;
    let quads = post("/store?default", "application/n-quads", "");
    check(server, quads, 415, "UNSUPPORTED_MEDIA_TYPE").await;
    let named = r#"{"@id": "http://a/g", "@graph": [{"@id": "http://a/s", "http://a/p": 1}]}"#;
    check(
        server,
        post("/store?default", "application/ld+json", named),
        400,
        "RDF_SYNTAX",
    )
    .await;
    check(
        server,
        post("/store?default", "text/html", ""),
        415,
        "UNSUPPORTED_MEDIA_TYPE",
    )
    .await;
}

#[tokio::test]
async fn one_query_more_than_may_wait_is_refused() {
    let server = Server::start_with(|settings| settings.query_concurrency_max = 1).await;
    let address = server.address;
    let busy: Vec<_> = (0..9)
        .map(|_| tokio::spawn(send(address, query(SUM, "*/*"))))
        .collect();
    loop {
        let response = send(address, query("ASK {}", "*/*"));
        // One that waits has been taken.
        match tokio::time::timeout(Duration::from_millis(200), response).await {
            Ok(Ok(response)) if response.status() == StatusCode::SERVICE_UNAVAILABLE => break,
            Ok(Err(error)) => panic!("{error}"),
            Ok(Ok(_)) | Err(_) => {}
        }
    }
    check(&server, query("ASK {}", "*/*"), 503, "OVERLOADED").await;
    for query in busy {
        query.abort();
    }
}

#[tokio::test]
async fn a_late_error_breaks_the_body() {
    let server = Server::start_with(|settings| settings.query_timeout_max = Duration::from_secs(1)).await;
    for accept in [
        "text/csv",
        "application/sparql-results+json",
        "text/tab-separated-values",
    ] {
        assert!(
            send(server.address, query(PRODUCT, accept)).await.is_err(),
            "{accept} ended as if it were whole"
        );
    }
    // Their status was 200 by then: what counts them is the reason.
    let metrics = check_status(&server, get("/metrics"), 200).await;
    let metrics = String::from_utf8_lossy(metrics.body());
    let counted = "dossier_errors_total{reason=\"DEADLINE_EXCEEDED\"} 3\n";
    assert!(metrics.contains(counted), "{metrics}");
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /sparql HTTP/1.1\r\nHost: localhost\r\nAccept: text/csv\r\nContent-Type: application/sparql-query\r\n\
         Content-Length: {}\r\n\r\n{PRODUCT}",
        PRODUCT.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    // The connection may be reset or closed.
    let _ = stream.read_to_end(&mut received).await;
    assert!(received.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(!is_whole(&received), "the body has an end");
}

/// Tells whether a chunked response has its last chunk (RFC 9112, section 7.1). Its last bytes do not tell: a row may end with 0.
fn is_whole(response: &[u8]) -> bool {
    let find = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).position(|window| window == text);
    let Some(head) = find(response, b"\r\n\r\n") else {
        return false;
    };
    let mut rest = &response[head + 4..];
    while let Some(line) = find(rest, b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return true;
        }
        // What was cut off has fewer bytes than its chunk.
        let Some(next) = rest.get(line + 2 + size + 2..) else {
            return false;
        };
        rest = next;
    }
    false
}

#[test]
fn a_body_is_whole_with_its_last_chunk() {
    let response = |body: &str| is_whole(format!("HTTP/1.1 200 OK\r\n\r\n{body}").as_bytes());
    assert!(response("3\r\n0\r\n\r\n0\r\n\r\n"));
    assert!(!response("3\r\n0\r\n\r\n"));
    assert!(!response("5\r\n1,0\r\n\r\n"));
    assert!(!response("ff\r\n1,0\r\n\r\n"));
}

#[tokio::test]
async fn updates_and_graphs_are_commits() {
    let server = Server::start_empty().await;
    let server = &server;
    let response = check_status(server, put("/store?graph=http://a/g", "<s> <p> 1, 2 ."), 201).await;
    assert_eq!(response.headers()["dossier-revision"], "1");
    check_status(server, put("/store?graph=http://a/g", "<s> <p> 2, 3 ."), 204).await;
    assert_eq!(server.info().await.revision, 2);
    check_status(
        server,
        post("/store?graph=http://a/g", TURTLE, "<s> <p> 4 ."),
        204,
    )
    .await;
    let graph = check_status(server, get("/store?graph=http://a/g"), 200).await;
    assert_eq!(count(&graph, ','), 2, "{graph:?}");
    let head = check_status(server, with_method(Method::HEAD, "/store?graph=http://a/g"), 200).await;
    assert_eq!(
        head.headers()[header::CONTENT_LENGTH],
        graph.headers()[header::CONTENT_LENGTH]
    );
    assert!(head.body().is_empty());
    let moved = "INSERT { GRAPH <http://a/h> { ?s ?p ?o } } WHERE { ?s ?p ?o }";
    let using = "/sparql?using-graph-uri=http://a/g";
    let response = check_status(server, post(using, UPDATE, moved), 200).await;
    let answer: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(
        (&answer["revision"], &answer["quads_inserted"]),
        (&4.into(), &3.into())
    );
    let conflict = format!("WITH <http://a/g> {moved}");
    check(server, post(using, UPDATE, &conflict), 400, "INVALID_REQUEST").await;
    let response = check_status(server, post("/store", TURTLE, "<> <p> 1 ."), 201).await;
    let location = response.headers()[header::LOCATION].to_str().unwrap();
    let path = location
        .strip_prefix(&format!("http://{}", server.address))
        .unwrap();
    assert_eq!(path.len(), "/store/".len() + 16);
    check_status(server, get(path), 200).await;
    check_status(server, get(&format!("/store?graph={location}")), 200).await;
    check_status(server, with_method(Method::DELETE, path), 204).await;
    check(server, with_method(Method::DELETE, path), 404, "GRAPH_NOT_FOUND").await;
    let quads = check_status(server, get("/store"), 200).await;
    assert_eq!(count(&quads, '\n'), 6);
    check_status(
        server,
        with_method(Method::DELETE, "/store?graph=http://a/h"),
        204,
    )
    .await;
    let quads = String::from_utf8(quads.body().to_vec()).unwrap();
    check_status(server, post("/store", "application/n-quads", &quads), 204).await;
    check_status(server, get("/store?graph=http://a/h"), 200).await;
    check_status(server, put("/store?graph=http://a/empty", ""), 201).await;
    check_status(server, get("/store?graph=http://a/empty"), 200).await;
}

#[tokio::test]
async fn documents_may_be_compressed() {
    let server = Server::start_empty().await;
    let mut packed = Vec::new();
    flate2::read::GzEncoder::new(&b"<s> <p> <o> ."[..], flate2::Compression::fast())
        .read_to_end(&mut packed)
        .unwrap();
    let head = format!(
        "PUT /store?graph=http://a/g HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/turtle\r\n\
         Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&packed).await.unwrap();
    let mut received = String::new();
    stream.read_to_string(&mut received).await.unwrap();
    assert!(received.starts_with("HTTP/1.1 201"), "{received}");
    // A document that ends early is not taken.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = head
        .replace("/g ", "/h ")
        .replace("Content-Encoding: gzip\r\n", "");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"<s> <p> <o> .").await.unwrap();
    drop(stream);
    check(&server, get("/store?graph=http://a/h"), 404, "GRAPH_NOT_FOUND").await;
}

#[tokio::test]
async fn one_port_serves_every_protocol() {
    let server = Server::start_empty().await;
    assert_eq!(server.info().await.revision, 0);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            check_status(&server, get(path), 200).await.body().as_ref(),
            b"ok\n"
        );
        check(
            &server,
            with_method(Method::DELETE, path),
            405,
            "METHOD_NOT_ALLOWED",
        )
        .await;
    }
    // HTTP/2.
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    for (method, length) in [(Method::GET, 26), (Method::HEAD, 0)] {
        let url = format!("http://{}/sparql?query=ASK%7B%7D", server.address);
        let request = Request::builder().method(method).uri(url);
        let response = client
            .send_request(request.body(Empty::<Bytes>::new()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "26");
        assert_eq!(response.collect().await.unwrap().to_bytes().len(), length);
    }
    // gRPC-Web: a frame of an empty message, and one of trailers after the answer's.
    let path = "/dossier.v1.AdminService/GetServerInfo";
    let request = post(path, "application/grpc-web+proto", "\0\0\0\0\0");
    let response = check_status(&server, request, 200).await;
    let body = response.body();
    let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
    let info = v1::GetServerInfoResponse::decode(&body[5..5 + length]).unwrap();
    assert!(!info.version.is_empty());
    let trailers = &body[5 + length..];
    assert_eq!(trailers[0], 0x80);
    assert!(String::from_utf8_lossy(trailers).contains("grpc-status:0"));
}

#[tokio::test]
async fn pages_of_named_origins_may_call() {
    let server =
        Server::start_with(|settings| settings.cors_origins = vec!["https://a.example".to_owned()]).await;
    let preflight = |origin: &str, path: &str| {
        Request::options(path)
            .header(header::ORIGIN, origin)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "content-type,x-grpc-web")
            .body(String::new())
            .unwrap()
    };
    let allowed = header::ACCESS_CONTROL_ALLOW_ORIGIN;
    for path in ["/sparql", "/dossier.v1.AdminService/GetServerInfo"] {
        let response = check_status(&server, preflight("https://a.example", path), 200).await;
        assert_eq!(response.headers()[&allowed], "https://a.example");
        assert_eq!(
            response.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS],
            "content-type,x-grpc-web"
        );
        let response = check_status(&server, preflight("https://b.example", path), 200).await;
        assert!(!response.headers().contains_key(&allowed));
    }
    let mut request = query("ASK {}", "*/*");
    request
        .headers_mut()
        .insert(header::ORIGIN, "https://a.example".parse().unwrap());
    let response = check_status(&server, request.clone(), 200).await;
    assert_eq!(response.headers()[&allowed], "https://a.example");
    // A form needs no preflight: the server itself refuses it.
    let closed = Server::start_empty().await;
    check(&closed, request.clone(), 403, "ORIGIN_NOT_ALLOWED").await;
    let own = format!("http://{}", closed.address);
    request.headers_mut().insert(header::ORIGIN, own.parse().unwrap());
    let response = check_status(&closed, request, 200).await;
    assert!(!response.headers().contains_key(&allowed));
}

#[tokio::test]
async fn pages_reach_no_server_by_a_name_of_their_own() {
    let server = Server::start_empty().await;
    let name = format!("evil.example:{}", server.address.port());
    // To the browser it is the same origin.
    let named = |mut request: Request<String>| {
        let headers = request.headers_mut();
        headers.insert(header::HOST, name.parse().unwrap());
        headers.insert(header::ORIGIN, format!("http://{name}").parse().unwrap());
        request
    };
    let info = "/dossier.v1.AdminService/GetServerInfo";
    for request in [
        get("/sparql?query=ASK%7B%7D"),
        query("ASK {}", "*/*"),
        put("/store?default", ""),
        get("/metrics"),
        post(info, "application/grpc-web+proto", "\0\0\0\0\0"),
    ] {
        check(&server, named(request), 403, "HOST_NOT_ALLOWED").await;
    }
    let metrics = check_status(&server, get("/metrics"), 200).await;
    let metrics = String::from_utf8_lossy(metrics.body());
    assert!(
        metrics.contains("dossier_denials_total{reason=\"HOST_NOT_ALLOWED\"} 5"),
        "{metrics}"
    );
    let insecure = Server::start_with(|settings| settings.insecure = true).await;
    check_status(&insecure, named(query("ASK {}", "*/*")), 200).await;
    let guarded = Server::start_guarded(&Tokens::default(), "").await;
    check(
        &guarded,
        named(query("ASK {}", "*/*")),
        401,
        "CREDENTIALS_MISSING",
    )
    .await;
}

#[tokio::test]
async fn the_default_graph_is_put_and_emptied() {
    let server = Server::start_empty().await;
    check_status(&server, get("/store?default"), 200).await;
    check_status(
        &server,
        put("/store?default", "<http://a/s> <http://a/p> 1 ."),
        204,
    )
    .await;
    let ask = "/sparql?query=ASK%7B%3Chttp://a/s%3E+%3Fp+1%7D";
    let response = check_status(&server, get(ask), 200).await;
    assert!(String::from_utf8_lossy(response.body()).contains("true"));
    check_status(&server, with_method(Method::DELETE, "/store?default"), 204).await;
    assert_eq!(server.info().await.revision, 2);
    let nothing = check_status(&server, get("/sparql?query=ASK%7B%3Fs+%3Fp+%3Fo%7D"), 200).await;
    assert!(String::from_utf8_lossy(nothing.body()).contains("false"));
}

#[tokio::test]
async fn queries_over_http_are_listed_and_cancelled_by_id() {
    let server = Server::start().await;
    let running = tokio::spawn(send(server.address, query(SUM, "*/*")));
    let mut client = SparqlServiceClient::new(server.channel.clone());
    let listed = loop {
        let response = client.list_queries(v1::ListQueriesRequest::default()).await;
        if let Some(listed) = response.unwrap().into_inner().queries.pop() {
            break listed;
        }
    };
    assert_eq!(listed.method, "Query over HTTP");
    assert!(listed.peer.starts_with("127.0.0.1:"), "{listed:?}");
    let request = v1::CancelQueryRequest {
        query_id: listed.query_id,
    };
    client.cancel_query(request).await.unwrap();
    let response = running.await.unwrap().unwrap();
    let problem: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(problem["reason"], "QUERY_CANCELLED");
}
