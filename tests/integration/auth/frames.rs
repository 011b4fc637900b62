//! Calls as they come over HTTP/2, frame by frame.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use dossier::{auth::Tokens, proto::v1};
use http::{HeaderMap, Request, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::{net::TcpStream, sync::mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Status};

use super::{
    streams::{Guarded, token},
    write_tokens,
};
use crate::harness::Server;

const UPDATE_PATH: &str = "/dossier.v1.SparqlService/Update";
const TIME: Duration = Duration::from_secs(10);

type Piece = Result<Frame<Bytes>, Infallible>;
type Body = StreamBody<UnboundedReceiverStream<Piece>>;
type Answer = hyper::Result<Response<Incoming>>;

/// A connection on which requests are made of frames.
struct Connection {
    client: SendRequest<Body>,
    url: String,
}

impl Connection {
    async fn to(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        let url = format!("http://{}{UPDATE_PATH}", server.address);
        Self { client, url }
    }

    /// Makes an update; its body comes through the sender.
    fn update(
        &mut self,
        headers: HeaderMap,
    ) -> (mpsc::UnboundedSender<Piece>, impl Future<Output = Answer> + use<>) {
        let (frames, body) = mpsc::unbounded_channel();
        let body = StreamBody::new(UnboundedReceiverStream::new(body));
        let mut request = Request::post(&self.url).body(body).unwrap();
        *request.headers_mut() = headers;
        (frames, self.client.send_request(request))
    }
}

/// An update as a message with what lies before it.
fn message() -> Bytes {
    let update = "INSERT DATA { e:frame e:by e:frame }".to_owned();
    let message = v1::UpdateRequest {
        update,
        ..Default::default()
    }
    .encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], &message].concat().into()
}

async fn revision_of(server: &Server) -> i64 {
    server.info().await.revision
}

fn headers(content_type: Option<&str>, bearer: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
    }
    if let Some(bearer) = bearer {
        headers.insert(header::AUTHORIZATION, format!("Bearer {bearer}").parse().unwrap());
    }
    headers
}

#[tokio::test]
async fn a_request_that_comes_slowly_needs_its_credential_until_it_is_whole() {
    let mut tokens = Tokens::default();
    let [gone, stays] = ["gone", "stays"].map(|name| token(&mut tokens, name, "write", None));
    let mut guarded = Guarded::start("", tokens).await;
    let mut connection = Connection::to(&guarded.server).await;
    let message = message();
    let begin = |connection: &mut Connection, bearer: &str| {
        let (frames, answer) = connection.update(headers(Some("application/grpc"), Some(bearer)));
        frames.send(Ok(Frame::data(message.slice(..20)))).unwrap();
        (frames, tokio::spawn(answer))
    };
    let (_never_whole, refused) = begin(&mut connection, &gone);
    let (frames, answered) = begin(&mut connection, &stays);
    // By now the others have begun.
    let (frames_of_one_more, one_more) = begin(&mut connection, &stays);
    frames_of_one_more
        .send(Ok(Frame::data(message.slice(20..))))
        .unwrap();
    drop(frames_of_one_more);
    one_more.await.unwrap().unwrap();
    guarded.tokens.revoke("gone");
    write_tokens(&guarded.folder.path().join("tokens.json"), &guarded.tokens);
    let refused = tokio::time::timeout(TIME, refused)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let status = Status::from_header_map(refused.headers()).unwrap();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    frames.send(Ok(Frame::data(message.slice(20..)))).unwrap();
    drop(frames);
    let answered = answered.await.unwrap().unwrap().collect().await.unwrap();
    let status = Status::from_header_map(answered.trailers().unwrap()).unwrap();
    assert_eq!(status.code(), Code::Ok, "{status:?}");
}

#[tokio::test]
async fn what_a_page_of_any_origin_may_send_is_no_call() {
    let server = Server::start().await;
    let mut connection = Connection::to(&server).await;
    let (message, revision) = (message(), revision_of(&server).await);
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/grpcs"),
    ] {
        let (frames, answer) = connection.update(headers(content_type, None));
        frames.send(Ok(Frame::data(message.clone()))).unwrap();
        drop(frames);
        assert_eq!(answer.await.unwrap().status(), 415, "{content_type:?}");
    }
    assert_eq!(revision_of(&server).await, revision);
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc;x=y",
    ] {
        let (frames, answer) = connection.update(headers(Some(content_type), None));
        frames.send(Ok(Frame::data(message.clone()))).unwrap();
        drop(frames);
        assert_eq!(answer.await.unwrap().status(), 200, "{content_type}");
    }
    assert!(revision_of(&server).await > revision);
}
