//! From a request to what answers it: gRPC, gRPC-Web or HTTP.
//!
//! Every call goes through here: no boxes and no layers but those that its protocol and service need.

mod grpc;

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tonic::{
    body::Body,
    codegen::{BoxFuture, Service},
};
use tonic_health::{pb::health_server::HealthServer, server::HealthService};
use tonic_reflection::server::{Builder, Error};
use tonic_web::GrpcWebLayer;
use tower_http::cors::CorsLayer;
use tower_layer::Layer as _;

use self::grpc::unimplemented;
use super::{
    connection::Answers,
    gate::{Gate, HEALTH_PATH},
    metrics::{self, Metrics},
    services::Services,
    strangers::Strangers,
};
use crate::{
    config::ServeSettings,
    grpc::{
        admission::Admission,
        call::{Ending, Peer},
        request_body::RequestBodies,
    },
    http as api,
    intake::Intake,
    model::access::Access,
    proto::v1,
};

/// The health service.
pub(super) type Health = HealthServer<HealthService>;

/// Bytes of a message to the services around ours, health and reflection: names.
pub(super) const SMALL_MESSAGE_BYTES_MAX: usize = 1 << 10;
const METRICS_PATH: &str = "/metrics";
/// The media types of gRPC-Web, as `tonic-web` has them: to all others it answers itself.
const GRPC_WEB_TYPES: [&[u8]; 4] = [
    b"application/grpc-web",
    b"application/grpc-web+proto",
    b"application/grpc-web-text",
    b"application/grpc-web-text+proto",
];

/// Answers every call.
pub(super) struct Router {
    services: Arc<OnceCell<Services>>,
    health: Health,
    reflect: Box<Reflect>,
    reflect_alpha: Box<Reflect>,
    cors: Option<CorsLayer>,
    gate: Gate,
    strangers: Strangers,
    admission: Admission,
    bodies: RequestBodies,
    metrics: Metrics,
    /// Whether the counts are to be had here, and not on a listener of their own.
    has_metrics: bool,
    drain: CancellationToken,
}

/// The protocol of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Protocol {
    Grpc,
    GrpcWeb,
    Http,
}

type Answer = BoxFuture<Response<Body>, Infallible>;
type Reflect = dyn Fn(Request<Body>) -> Answer + Send + Sync;

impl Answers for Router {
    async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        match &self.cors {
            // Browsers do not speak gRPC itself.
            Some(cors) if protocol(&request) != Protocol::Grpc => {
                cors.layer(Shared(Arc::clone(self))).call(request).await
            }
            _ => self.without_cors(request).await,
        }
    }
}

impl Router {
    /// Once it is draining, it is no longer ready.
    pub(super) fn new(
        services: Arc<OnceCell<Services>>,
        health: Health,
        settings: &ServeSettings,
        has_metrics: bool,
        metrics: Metrics,
        drain: CancellationToken,
        gate: Gate,
    ) -> Result<Self, Error> {
        let builder = || {
            Builder::configure()
                .register_encoded_file_descriptor_set(v1::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let reflection = builder().build_v1()?;
        let reflection = reflection.max_decoding_message_size(SMALL_MESSAGE_BYTES_MAX);
        let alpha = builder().build_v1alpha()?;
        let alpha = alpha.max_decoding_message_size(SMALL_MESSAGE_BYTES_MAX);
        Ok(Self {
            services,
            health,
            reflect: Box::new(move |request| reflection.clone().call(request)),
            reflect_alpha: Box::new(move |request| alpha.clone().call(request)),
            cors: api::cors::layer(&settings.cors_origins),
            gate,
            strangers: Strangers::default(),
            admission: Admission::new(settings.connections.call_count_max),
            bodies: RequestBodies::new(
                Intake::new(
                    settings.connections.request_stall_max,
                    settings.connections.request_memory_bytes_max,
                ),
                settings.message_bytes_max as u64,
            ),
            metrics,
            has_metrics,
            drain,
        })
    }

    /// Returns the rules for requests that come in, which are those of all protocols.
    pub(super) fn intake(&self) -> Intake {
        self.bodies.intake().clone()
    }

    /// Returns the calls that run.
    pub(super) fn admission(&self) -> Admission {
        self.admission.clone()
    }

    /// Answers a probe or a scraper: nothing but health and counts.
    pub(super) async fn operations(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let path = request.uri().path();
        let is_head = request.method() == Method::HEAD;
        let response = match protocol(&request) {
            Protocol::Http if path == METRICS_PATH => self.scrape(&request),
            Protocol::Http if api::is_health(path) => Box::pin(self.http(request)).await,
            Protocol::Http => text(
                StatusCode::NOT_FOUND,
                "there are /healthz, /readyz and /metrics\n",
            ),
            _ if path.starts_with(HEALTH_PATH) => return self.grpc(request).await,
            _ => unimplemented(path).into_http(),
        };
        Ok(as_asked(response, is_head))
    }

    async fn without_cors(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let is_head = request.method() == Method::HEAD;
        let response = match protocol(&request) {
            Protocol::Grpc => return self.grpc(request).await,
            _ if self.gate.refuses_host(&request) => {
                let call = self
                    .metrics
                    .request(request.method(), request.uri().path(), request.headers());
                call.answered(api::host_not_allowed().map(Body::new))
            }
            Protocol::GrpcWeb => {
                let inner = Shared(Arc::clone(self));
                return GrpcWebLayer::new().layer(inner).call(request).await;
            }
            Protocol::Http if self.has_metrics && request.uri().path() == METRICS_PATH => {
                let mut request = request;
                match self.gate.admit(&mut request).await {
                    Ok(admitted) => admitted.answered(match request.extensions().get::<Access>() {
                        Some(access) if access.may_scrape() => self.scrape(&request),
                        // They are about all graphs and all callers.
                        Some(_) => api::metrics_denied().map(Body::new),
                        None => api::nothing_allowed().map(Body::new),
                    }),
                    Err(refusal) => refusal.over_http(),
                }
            }
            // A call of gRPC that waits would take as much memory as a document that is read.
            Protocol::Http => Box::pin(self.http(request)).await,
        };
        Ok(as_asked(response, is_head))
    }

    /// Answers with the counts.
    fn scrape(&self, request: &Request<Incoming>) -> Response<Body> {
        if request.method() != Method::GET {
            return text(StatusCode::METHOD_NOT_ALLOWED, "the counts are read with GET\n");
        }
        match self.metrics.text() {
            Ok(counts) => {
                let mut response = text(StatusCode::OK, counts);
                let media_type = HeaderValue::from_static(metrics::MEDIA_TYPE);
                response.headers_mut().insert(header::CONTENT_TYPE, media_type);
                response
            }
            Err(_) => text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the counts cannot be written\n",
            ),
        }
    }

    async fn http(&self, mut request: Request<Incoming>) -> Response<Body> {
        if let Some(&Peer(peer)) = request.extensions().get::<Peer>() {
            request.extensions_mut().insert(api::Peer(peer));
        }
        if let Some(Ending { stream, call }) = request.extensions().get::<Ending>().cloned() {
            request.extensions_mut().insert(api::Ending { stream, call });
        }
        let call = self
            .metrics
            .request(request.method(), request.uri().path(), request.headers());
        let admitting = self.gate.admit(&mut request);
        let admitted = match call.request().scope(admitting).await {
            Ok(admitted) => admitted,
            Err(refusal) => return call.answered(refusal.over_http()),
        };
        let call = call.traced(request.headers());
        if is_of_method(request.uri().path()) {
            // As gRPC over HTTP/2 wants it, where the type of a request is another one.
            let response = text(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "calls of gRPC come over HTTP/2 as application/grpc, or as application/grpc-web\n",
            );
            return admitted.answered(call.answered(response));
        }
        let working = call.request().clone();
        let http = self.services.get().map(|services| &services.http);
        let answering = api::answer(http, self.drain.is_cancelled(), request);
        let response = working.scope(answering).await;
        admitted.answered(call.answered(response.map(Body::new)))
    }
}

/// The router, for layers around it.
#[derive(Clone)]
struct Shared(Arc<Router>);

impl Service<Request<Incoming>> for Shared {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Answer {
        let router = Arc::clone(&self.0);
        Box::pin(async move { router.without_cors(request).await })
    }
}

/// gRPC that came as gRPC-Web.
impl Service<Request<Body>> for Shared {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let router = Arc::clone(&self.0);
        Box::pin(async move { router.grpc(request).await })
    }
}

/// Tells protocols apart by the media type of the body. What is not gRPC-Web as its layer takes it is HTTP, which passes the gate. A page of any origin can send one without such a type, and with no more to
/// ask for than what a browser adds by itself: that is no gRPC.
fn protocol(request: &Request<Incoming>) -> Protocol {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.map_or(&b""[..], |value| value.as_bytes());
    let rest = content_type.strip_prefix(b"application/grpc");
    let is_grpc = rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')));
    if request.method() == Method::POST && GRPC_WEB_TYPES.contains(&content_type) {
        Protocol::GrpcWeb
    } else if request.version() == Version::HTTP_2 && is_grpc {
        Protocol::Grpc
    } else {
        Protocol::Http
    }
}

/// Tells whether a path is one of gRPC's.
fn is_of_method(path: &str) -> bool {
    path.starts_with("/dossier.v1.") || path.starts_with("/grpc.")
}

/// HTTP/1 leaves out the body of an answer to HEAD, HTTP/2 does not.
fn as_asked(response: Response<Body>, is_head: bool) -> Response<Body> {
    if is_head {
        api::without_body(response)
    } else {
        response
    }
}

fn text(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::from(text.into())));
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}
