//! Documents on their way in: who may send them, and how much of what is none.

use dossier::{
    auth::Tokens,
    proto::v1::{
        self, ErrorReason, import_request::Part, import_response::Part as Answer,
        write_service_client::WriteServiceClient,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{Code, Request, Status, Streaming};

use crate::{
    harness::{Server, check_error, header},
    http::post,
    http_client::send,
};

const POLICY: &str = "[roles.mine]\nwrite = [\"http://ex/mine\"]\n";

/// Begins an import, sends some parts and keeps the stream open.
async fn begin(
    server: &Server,
    bearer: &str,
    parts: Vec<Part>,
) -> Result<Streaming<v1::ImportResponse>, Status> {
    use tokio_stream::StreamExt as _;
    let parts = tokio_stream::iter(parts).map(|part| v1::ImportRequest { part: Some(part) });
    let mut request = Request::new(parts.chain(tokio_stream::pending()));
    let value = format!("Bearer {bearer}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    let mut client = WriteServiceClient::new(server.channel.clone());
    Ok(client.import(request).await?.into_inner())
}

/// Sends the head of a request whose body never comes, and returns the status.
async fn status(server: &Server, bearer: &str, line: &str, media_type: &str) -> String {
    let head = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {bearer}\r\nContent-Type: {media_type}\r\n\
         Content-Length: 10\r\n\r\n"
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    String::from_utf8(status[9..].to_vec()).unwrap()
}

#[tokio::test]
async fn who_may_not_write_takes_no_place() {
    let mut tokens = Tokens::default();
    let [reader, mine] = ["read", "mine"].map(|role| {
        let made = tokens.create(role, &[role.to_owned()], 0, None).unwrap();
        made.secret().to_owned()
    });
    let server = Server::start_guarded(&tokens, POLICY).await;
    let refused = check_error(
        begin(&server, &reader, Vec::new()).await,
        Code::PermissionDenied,
        ErrorReason::GraphNotGranted,
    );
    assert_eq!(refused["graph"], "any graph");
    for (default_graph, is_let_in) in [("http://ex/other", false), ("http://ex/mine", true), ("", true)] {
        let header = v1::ImportHeader {
            default_graph: default_graph.to_owned(),
            ..header("nt")
        };
        let parts = vec![Part::Header(header), Part::Abort(v1::ImportAbort::default())];
        let mut answers = begin(&server, &mine, parts).await.unwrap();
        let mut answer = answers.message().await;
        while matches!(
            &answer,
            Ok(Some(v1::ImportResponse {
                part: Some(Answer::Progress(_))
            }))
        ) {
            answer = answers.message().await;
        }
        if is_let_in {
            let part = answer.unwrap().unwrap().part;
            assert!(matches!(part, Some(Answer::Aborted(_))), "{part:?}");
        } else {
            let refused = check_error(answer, Code::PermissionDenied, ErrorReason::GraphNotGranted);
            assert_eq!(refused["graph"], format!("<{default_graph}>"));
        }
    }
    let turtle = "text/turtle";
    for (bearer, line, media_type) in [
        (&reader, "PUT /store?graph=http://ex/mine", turtle),
        (&reader, "POST /store?default", turtle),
        (&reader, "POST /store", turtle),
        (&reader, "POST /store", "application/n-quads"),
        (&mine, "PUT /store?graph=http://ex/other", turtle),
        (&mine, "PUT /store?default", turtle),
        (&mine, "POST /store", turtle),
    ] {
        assert_eq!(
            status(&server, bearer, line, media_type).await,
            "403",
            "{line} {media_type}"
        );
    }
}

#[tokio::test]
async fn what_stands_around_parts_is_bounded() {
    let server = Server::start_empty().await;
    let put = async |before: usize| {
        let part = "--b\r\nContent-Type: text/turtle\r\n\r\n<http://ex/s> <http://ex/p> 1 .\r\n--b--\r\n";
        let body = format!("{}\r\n{part}", "x".repeat(before));
        let request = post("/store?default", "multipart/form-data; boundary=b", &body);
        send(server.address, request).await.unwrap().status().as_u16()
    };
    assert_eq!(put(1_000).await, 204);
    assert_eq!(put(1 << 20).await, 400);
}
