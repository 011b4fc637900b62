//! Every method of every service, and every path of HTTP: what is tried with every fault of a credential.
//!
//! The methods are those that the server itself describes: one that is added is tried without a word here.

use std::{future::poll_fn, net::SocketAddr};

use bytes::Bytes;
use dossier::proto::v1;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use serde_json::Value;
use tonic::{
    Code, Status,
    body::Body,
    codegen::Service as _,
    transport::{Channel, Error},
};
use tonic_types::StatusExt as _;

use super::ErrorReason;
use crate::{harness::Server, http_client::send};

pub(super) const GRPC: &str = "application/grpc";
pub(super) const GRPC_WEB: &str = "application/grpc-web+proto";

/// The paths of HTTP, some that there are not, and one of gRPC.
const PATHS: [&str; 10] = [
    "/sparql",
    "/sparql/",
    "/sparql?query=ASK%7B%7D",
    "/store",
    "/store?default",
    "/store/graph",
    "/changes",
    "/metrics",
    "/nothing",
    "/dossier.v1.EntityService/GetEntity",
];
/// What gRPC-Web's layer would answer by itself.
const NEARLY_CALLS: [(Method, &str); 6] = [
    (Method::GET, GRPC_WEB),
    (Method::HEAD, "application/grpc-web"),
    (Method::PUT, "application/grpc-web-text"),
    (Method::OPTIONS, GRPC_WEB),
    (Method::POST, "application/grpc-web; charset=utf-8"),
    (Method::POST, "application/grpc-web+json"),
];
const HTTP_METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
    Method::OPTIONS,
];

/// The paths of all methods but those of health, and of one that there is not.
pub(super) fn methods() -> Vec<String> {
    let mut methods = service_methods();
    methods.extend(methods_of(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET));
    methods.extend(methods_of(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET));
    // What there is not must not be told from what there is.
    methods.push("/dossier.v1.NoService/NoMethod".to_owned());
    methods
}

/// The paths of the methods of `dossier.v1`, in order.
pub(super) fn service_methods() -> Vec<String> {
    let mut methods = methods_of(v1::FILE_DESCRIPTOR_SET);
    methods.sort_unstable();
    methods
}

fn methods_of(descriptors: &[u8]) -> Vec<String> {
    let set = prost_types::FileDescriptorSet::decode(descriptors).unwrap();
    let methods = set.file.into_iter().flat_map(|file| {
        let package = file.package().to_owned();
        file.service.into_iter().flat_map(move |service| {
            let name = format!("{package}.{}", service.name());
            let methods = service.method.into_iter();
            methods
                .map(move |method| format!("/{name}/{}", method.name()))
                .collect::<Vec<_>>()
        })
    });
    methods.collect()
}

/// The way to a server.
pub(super) struct Door {
    channel: Channel,
    /// Where HTTP/1.1 is spoken, a connection for each request. `None`: all goes over the channel.
    plain: Option<SocketAddr>,
}

impl Door {
    pub(super) fn of(server: &Server) -> Self {
        Self {
            channel: server.channel.clone(),
            plain: Some(server.address),
        }
    }

    /// Everything over one connection.
    pub(super) fn of_channel(channel: Channel) -> Self {
        Self { channel, plain: None }
    }

    async fn send(&self, request: Request<String>) -> Response<Bytes> {
        match self.plain {
            Some(address) => send(address, request).await.unwrap(),
            None => over(&self.channel, request).await.unwrap(),
        }
    }
}

/// Sends a request over HTTP/2 and waits for the whole answer.
pub(super) async fn over(channel: &Channel, request: Request<String>) -> Result<Response<Bytes>, Error> {
    let mut channel = channel.clone();
    poll_fn(|context| channel.poll_ready(context)).await?;
    let request = request.map(|body| Body::new(Full::new(Bytes::from(body))));
    let (parts, body) = channel.call(request).await?.into_parts();
    let body = body.collect().await.expect("a body that is not broken off");
    Ok(Response::from_parts(parts, body.to_bytes()))
}

/// Shows the same with every request.
pub(super) fn bearer(secret: &str) -> impl FnMut() -> Vec<HeaderValue> {
    let value = HeaderValue::from_str(&format!("Bearer {secret}")).unwrap();
    move || vec![value.clone()]
}

/// Calls every method and path, with what `show` returns as `authorization`, all of which must be denied. Returns how many there
/// were.
pub(super) async fn deny_all(
    door: &Door,
    reason: ErrorReason,
    mut show: impl FnMut() -> Vec<HeaderValue>,
) -> usize {
    let expected = reason.as_str_name().trim_start_matches("ERROR_REASON_");
    let methods = methods();
    for method in &methods {
        let check = |answer: &Response<Bytes>, how: &str| {
            // What is denied is denied at once: a status without a body.
            let status = Status::from_header_map(answer.headers()).expect(method);
            let info = status.get_details_error_info().expect(method);
            let outcome = (status.code(), info.reason.as_str());
            assert_eq!(outcome, (Code::Unauthenticated, expected), "{method} {how}");
            assert!(info.metadata.is_empty());
        };
        check(
            &over(&door.channel, call(method, GRPC, &show())).await.unwrap(),
            "over gRPC",
        );
        check(&door.send(call(method, GRPC_WEB, &show())).await, "from the web");
    }
    let requests = requests();
    let plain = requests.iter().map(|(method, path)| (method, *path, None));
    // What is nearly a call is none, and is denied as a request.
    let nearly = PATHS.into_iter().flat_map(|path| {
        let typed = NEARLY_CALLS.iter();
        typed.map(move |(method, media_type)| (method, path, Some(*media_type)))
    });
    let all: Vec<_> = plain.chain(nearly).collect();
    for &(method, path, media_type) in &all {
        let mut asked = request(method, path, &show());
        if let Some(media_type) = media_type {
            let media_type = HeaderValue::from_static(media_type);
            asked.headers_mut().insert(header::CONTENT_TYPE, media_type);
        }
        let answer = door.send(asked).await;
        assert_eq!(
            answer.status(),
            StatusCode::UNAUTHORIZED,
            "{method} {path} {media_type:?}"
        );
        let challenge = answer.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
        let is_missing = reason == ErrorReason::CredentialsMissing;
        assert_eq!(challenge.contains("invalid_token"), !is_missing);
        if method != Method::HEAD {
            let problem: Value = serde_json::from_slice(answer.body()).unwrap();
            assert_eq!(problem["reason"], expected, "{method} {path}");
        }
    }
    2 * methods.len() + all.len()
}

/// Returns the requests of HTTP that are tried: every method with every path.
pub(super) fn requests() -> Vec<(Method, &'static str)> {
    let with_path = |path| HTTP_METHODS.into_iter().map(move |method| (method, path));
    PATHS.into_iter().flat_map(with_path).collect()
}

/// Returns a request with an empty body.
pub(super) fn request(method: &Method, path: &str, authorization: &[HeaderValue]) -> Request<String> {
    with(Request::builder().method(method).uri(path), authorization, "")
}

/// Returns a call with an empty message.
pub(super) fn call(method: &str, media_type: &'static str, authorization: &[HeaderValue]) -> Request<String> {
    let request = Request::post(method)
        .header(header::CONTENT_TYPE, media_type)
        .header(header::TE, "trailers");
    with(request, authorization, "\0\0\0\0\0")
}

fn with(mut request: http::request::Builder, authorization: &[HeaderValue], body: &str) -> Request<String> {
    for value in authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    request.body(body.to_owned()).unwrap()
}
