//! From a request to what answers it: gRPC, gRPC-Web or HTTP, and from the path of a call to its service.
//!
//! Every call goes through here: no boxes and no layers but those that its protocol and service need.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tonic::{
    body::Body,
    codec::CompressionEncoding,
    codegen::{BoxFuture, Service, StdError},
};
use tonic_health::{pb::health_server::HealthServer, server::HealthService};
use tonic_reflection::server::{Builder, Error};
use tonic_web::GrpcWebLayer;
use tower_http::cors::CorsLayer;
use tower_layer::Layer as _;

use super::{
    admission::{Admission, Place},
    admitted::held,
    connection::Answers,
    gate::{Gate, HEALTH_PATH},
    metrics::{self, Metrics},
};
use crate::{
    auth::Tenure,
    backup::Backups,
    config::ServeSettings,
    feed::{Feed, FeedSettings},
    grpc::{
        admin::AdminApi,
        call::{self, BrokenOff, Deadline, End, Ending, Lasting, Peer, Watched},
        change::ChangeApi,
        convert::to_int64,
        entity::EntityApi,
        fact::FactApi,
        read::Reads,
        request_body::RequestBodies,
        sparql::{PARAMETER_COUNT_MAX, SparqlApi},
        status::{admin_only, status, unavailable},
        write::WriteApi,
    },
    http::{self as api, HttpApi},
    intake::Intake,
    knowledge::KnowledgeBase,
    model::access::Access,
    proto::v1::{
        self, admin_service_server::AdminServiceServer, change_service_server::ChangeServiceServer,
        entity_service_server::EntityServiceServer, fact_service_server::FactServiceServer,
        sparql_service_server::SparqlServiceServer, write_service_server::WriteServiceServer,
    },
    rdf::Memory,
    remote::UrlPrefix,
    sparql::Queries,
};

/// The health service.
pub(super) type Health = HealthServer<HealthService>;

/// Bytes of a message to the services around ours, health and reflection: names.
pub(super) const SMALL_MESSAGE_BYTES_MAX: usize = 1 << 10;
/// The services whose health is told.
pub(super) const SERVICE_NAMES: [&str; 6] = [
    "dossier.v1.AdminService",
    "dossier.v1.ChangeService",
    "dossier.v1.EntityService",
    "dossier.v1.FactService",
    "dossier.v1.SparqlService",
    WRITE_SERVICE,
];
/// The service of writes, which may be refused while all others go on.
pub(super) const WRITE_SERVICE: &str = "dossier.v1.WriteService";

/// The services of `dossier.v1`; there once the knowledge base is open.
#[derive(Clone)]
pub(super) struct Services {
    admin: AdminServiceServer<AdminApi>,
    change: ChangeServiceServer<ChangeApi>,
    entity: EntityServiceServer<EntityApi>,
    fact: FactServiceServer<FactApi>,
    sparql: SparqlServiceServer<SparqlApi>,
    write: WriteServiceServer<WriteApi>,
    http: HttpApi,
    knowledge: KnowledgeBase,
}

macro_rules! configured {
    ($service:expr, $settings:expr) => {
        $service
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd)
            .max_decoding_message_size($settings.message_bytes_max)
    };
}

impl Services {
    /// Returns the services, and the feed that they share. Streams without an end of their own end once the server is draining.
    pub(super) fn new(
        knowledge: &KnowledgeBase,
        queries: &Queries,
        backups: Option<&Backups>,
        settings: &ServeSettings,
        intake: Intake,
        drain: CancellationToken,
    ) -> (Self, Feed) {
        let reads = Reads::new(knowledge.clone());
        let admin = AdminApi::new(
            knowledge.clone(),
            backups.cloned(),
            limits(settings),
            prefixes(&settings.service_allow),
            prefixes(&settings.load_allow),
        );
        let feed = Feed::new(
            knowledge.clone(),
            FeedSettings {
                watcher_count_max: settings.watcher_count_max,
                stall_max: settings.watch_stall_max,
                diff_bytes_max: settings.diff_memory_bytes_max,
            },
        );
        let change = ChangeApi::new(feed.clone(), drain.clone());
        let memory = Memory::new(settings.graph_memory_bytes_max);
        let write = WriteApi::new(knowledge.clone(), memory.clone(), settings.watch_stall_max);
        let http = HttpApi::new(
            feed.clone(),
            drain,
            queries.clone(),
            memory,
            settings.message_bytes_max,
            intake,
            &settings.cors_origins,
        );
        let sparql = SparqlApi::new(knowledge.clone(), queries.clone());
        let services = Self {
            admin: configured!(AdminServiceServer::new(admin), settings),
            change: configured!(ChangeServiceServer::new(change), settings),
            entity: configured!(EntityServiceServer::new(EntityApi::new(reads.clone())), settings),
            fact: configured!(FactServiceServer::new(FactApi::new(reads)), settings),
            sparql: configured!(SparqlServiceServer::new(sparql), settings),
            write: configured!(WriteServiceServer::new(write), settings),
            http,
            knowledge: knowledge.clone(),
        };
        (services, feed)
    }
}

fn prefixes(allowed: &[UrlPrefix]) -> Vec<String> {
    allowed.iter().map(ToString::to_string).collect()
}

fn to_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn limits(settings: &ServeSettings) -> v1::Limits {
    v1::Limits {
        query_bytes_max: to_int64(settings.query_bytes_max as u64),
        query_timeout_ms_max: to_ms(settings.query_timeout_max),
        concurrent_query_count_max: to_int64(settings.query_concurrency_max as u64),
        message_bytes_max: to_int64(settings.message_bytes_max as u64),
        graph_memory_bytes_max: to_int64(settings.graph_memory_bytes_max),
        connection_count_max: to_int64(settings.connection_count_max as u64),
        stream_count_max: i64::from(settings.stream_count_max),
        query_nesting_max: to_int64(settings.query_nesting_max as u64),
        query_operator_count_max: to_int64(settings.query_operator_count_max as u64),
        query_clause_count_max: to_int64(settings.query_clause_count_max as u64),
        query_pattern_count_max: to_int64(settings.query_pattern_count_max as u64),
        query_ambiguity_max: to_int64(settings.query_ambiguity_max as u64),
        query_iri_bytes_max: to_int64(settings.query_iri_bytes_max as u64),
        query_memory_bytes_max: to_int64(
            settings
                .query_memory_bytes_max
                .min(settings.queries_memory_bytes_max),
        ),
        queries_memory_bytes_max: to_int64(settings.queries_memory_bytes_max),
        query_parameter_count_max: to_int64(PARAMETER_COUNT_MAX as u64),
        slow_query_ms: to_int64(settings.slow_query_ms),
        remote_timeout_ms: to_ms(settings.remote_timeout),
        remote_bytes_max: to_int64(settings.remote_bytes_max as u64),
        query_row_count_max: to_int64(settings.query_row_count_max),
        query_result_bytes_max: to_int64(settings.query_result_bytes_max),
        query_work_max: to_int64(settings.query_work_max),
        literal_bytes_max: to_int64(settings.literal_bytes_max as u64),
        regex_text_bytes_max: to_int64(settings.regex_text_bytes_max as u64),
        regex_bytes_max: to_int64(settings.regex_bytes_max as u64),
        long_text_regex_bytes_max: to_int64(settings.long_text_regex_bytes_max as u64),
        watcher_count_max: to_int64(settings.watcher_count_max as u64),
        watch_stall_ms_max: to_ms(settings.watch_stall_max),
        diff_bytes_max: to_int64(settings.diff_memory_bytes_max),
        past_change_count_max: to_int64(settings.past_change_count_max),
        log_retention_age_ms: settings
            .log_retention_age
            .map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
        log_retention_bytes: to_int64(settings.log_retention_bytes.unwrap_or(0)),
        log_retention_revision_count_min: to_int64(settings.log_retention_commit_count_min),
        connection_per_address_count_max: to_int64(settings.connections.per_address_count_max as u64),
        call_count_max: to_int64(settings.connections.call_count_max as u64),
        request_stall_ms_max: to_ms(settings.connections.request_stall_max),
        answer_stall_ms_max: to_ms(settings.connections.answer_stall_max),
    }
}

const METRICS_PATH: &str = "/metrics";
const IMPORT_PATH: &str = "/dossier.v1.WriteService/Import";
const WATCH_PATH: &str = "/dossier.v1.ChangeService/Watch";
const REFLECTION_PATH: &str = "/grpc.reflection.";
const REFLECTION: &str = "grpc.reflection.v1.ServerReflection";
const REFLECTION_ALPHA: &str = "grpc.reflection.v1alpha.ServerReflection";
const ADMIN_PATH: &str = "/dossier.v1.AdminService/";
const SERVER_INFO_PATH: &str = "/dossier.v1.AdminService/GetServerInfo";

/// Answers every call.
pub(super) struct Router {
    services: Arc<OnceCell<Services>>,
    health: Health,
    reflect: Box<Reflect>,
    reflect_alpha: Box<Reflect>,
    cors: Option<CorsLayer>,
    gate: Gate,
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
            admission: Admission::new(settings.connections.call_count_max),
            bodies: RequestBodies::new(Intake::new(
                settings.connections.request_stall_max,
                settings.connections.request_memory_bytes_max,
            )),
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
        match protocol(&request) {
            Protocol::Http if path == METRICS_PATH => Ok(self.scrape(&request)),
            Protocol::Http if api::is_health(path) => Ok(Box::pin(self.http(request)).await),
            Protocol::Http => Ok(text(
                StatusCode::NOT_FOUND,
                "there are /healthz, /readyz and /metrics\n",
            )),
            _ if path.starts_with(HEALTH_PATH) => self.grpc(request).await,
            _ => Ok(unimplemented(path).into_http()),
        }
    }

    async fn without_cors(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        match protocol(&request) {
            Protocol::Grpc => self.grpc(request).await,
            Protocol::GrpcWeb => {
                let inner = Shared(Arc::clone(self));
                GrpcWebLayer::new().layer(inner).call(request).await
            }
            Protocol::Http if self.has_metrics && request.uri().path() == METRICS_PATH => {
                let mut request = request;
                Ok(match self.gate.admit(&mut request, false).await {
                    Ok(admitted) => admitted.answered(match request.extensions().get::<Access>() {
                        Some(access) if access.may_scrape() => self.scrape(&request),
                        // They are about all graphs and all callers.
                        Some(_) => api::metrics_denied().map(Body::new),
                        None => api::nothing_allowed().map(Body::new),
                    }),
                    Err(refusal) => refusal.over_http(),
                })
            }
            // A call of gRPC that waits would take as much memory as a document that is read.
            Protocol::Http => Ok(Box::pin(self.http(request)).await),
        }
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
        let admitting = self.gate.admit(&mut request, true);
        let admitted = match call.request().scope(admitting).await {
            Ok(admitted) => admitted,
            Err(refusal) => return call.answered(refusal.over_http()),
        };
        let call = call.traced(request.headers());
        let working = call.request().clone();
        let http = self.services.get().map(|services| &services.http);
        let answering = api::answer(http, self.drain.is_cancelled(), request);
        let response = working.scope(answering).await;
        admitted.answered(call.answered(response.map(Body::new)))
    }

    /// Answers one call. Everything that is not a response is one with a status.
    async fn grpc<B>(&self, mut request: Request<B>) -> Result<Response<Body>, Infallible>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<StdError> + Send + 'static,
    {
        let path = request.uri().path();
        let log = tracing::enabled!(tracing::Level::DEBUG).then(|| (Instant::now(), path.to_owned()));
        let counted = self.metrics.call(path, request.headers());
        let place = self.admission.place(path, counted.is_stream());
        // A watch knows itself of its end, and where to go on.
        let lasting = if !counted.is_stream() || path == WATCH_PATH {
            Lasting::Itself
        } else if path.starts_with(HEALTH_PATH) || path.starts_with(REFLECTION_PATH) {
            Lasting::Endless
        } else {
            Lasting::Stream
        };
        let admitting = self.gate.admit(&mut request, counted.is_stream());
        let admitted = match counted.request().scope(admitting).await {
            Ok(admitted) => admitted,
            Err(refusal) => return Ok(counted.answered(refusal.over_grpc())),
        };
        let counted = counted.traced(request.headers());
        let working = counted.request().clone();
        let deadline = match call::deadline_of(request.headers()) {
            Ok(deadline) => deadline,
            Err(status) => return Ok(counted.answered(status.into_http())),
        };
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(Deadline(deadline));
        }
        let knowledge = self.services.get().map(|services| services.knowledge.clone());
        let extensions = request.extensions();
        let end = extensions
            .get::<Ending>()
            .map(|ending| End::new(ending, knowledge, lasting));
        let tenure = extensions.get::<Tenure>().filter(|_| lasting != Lasting::Itself);
        let tenure = tenure.cloned();
        let answering =
            async { call::answer(self.dispatch(request, place.clone()), deadline, end, tenure).await };
        let response = working.scope(answering).await;
        if let Some((started_at, path)) = log {
            let _working = working.enter();
            let code = response
                .headers()
                .get(tonic::Status::GRPC_STATUS)
                .and_then(|code| code.to_str().ok());
            let elapsed_us = started_at.elapsed().as_micros();
            tracing::debug!(path, status = code.unwrap_or("0"), %elapsed_us, "call");
        }
        Ok(admitted.answered(counted.answered(response)))
    }

    /// Hands a call to its service; it takes its place, if it needs one, once its request is whole.
    fn dispatch<B>(&self, mut request: Request<B>, place: Option<Arc<Place>>) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<StdError> + Send + 'static,
    {
        let path = request.uri().path();
        let service = path
            .strip_prefix('/')
            .and_then(|path| path.split_once('/'))
            .map_or("", |(service, _)| service);
        let is_import = path == IMPORT_PATH;
        if service == "grpc.health.v1.Health" {
            let request = request.map(|body| self.bodies.receive_small(body));
            return self.health.clone().call(request);
        }
        let mut names = SERVICE_NAMES.into_iter().chain([REFLECTION, REFLECTION_ALPHA]);
        let Some(service) = names.find(|&name| name == service) else {
            return answer(unimplemented(path));
        };
        if let Err(denied) = may_call(&request) {
            return answer(denied);
        }
        let reflect = match service {
            REFLECTION => Some(&self.reflect),
            REFLECTION_ALPHA => Some(&self.reflect_alpha),
            _ => None,
        };
        if let Some(reflect) = reflect {
            let answered = CancellationToken::new();
            let body = |body| self.bodies.receive_small(body).until(answered.clone());
            let answering = reflect(request.map(|request| Body::new(body(request))));
            let guard = answered.drop_guard();
            return Box::pin(async move { Ok(answering.await?.map(|body| held(body, guard))) });
        }
        let Some(services) = self.services.get() else {
            return answer(unavailable("the server is starting: the log is being replayed"));
        };
        if is_import {
            // It waits for its caller as long as it finds right, and keeps no more than some chunks.
            let broken_off = BrokenOff::default();
            request.extensions_mut().insert(broken_off.clone());
            let request = request.map(|body| Watched::new(body, broken_off));
            return services.write.clone().call(request);
        }
        let admit = move || place.map_or(Ok(()), |place| place.take());
        let request = request.map(|body| self.bodies.receive(body, admit));
        match service {
            "dossier.v1.EntityService" => services.entity.clone().call(request),
            "dossier.v1.FactService" => services.fact.clone().call(request),
            "dossier.v1.SparqlService" => services.sparql.clone().call(request),
            "dossier.v1.ChangeService" => services.change.clone().call(request),
            "dossier.v1.AdminService" => services.admin.clone().call(request),
            _ => services.write.clone().call(request),
        }
    }
}

/// Fails for a caller who may do nothing, and for one who is no administrator if the method is for them: all of
/// `AdminService` but what it tells of the server.
fn may_call<B>(request: &Request<B>) -> Result<(), tonic::Status> {
    let access = call::access(request.extensions())?;
    let path = request.uri().path();
    if path.starts_with(ADMIN_PATH) && path != SERVER_INFO_PATH && !access.is_admin() {
        return Err(admin_only(path));
    }
    Ok(())
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

/// Tells protocols apart: by the media type of the body, then by the path.
fn protocol(request: &Request<Incoming>) -> Protocol {
    let is_http2 = request.version() == Version::HTTP_2;
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.map_or(&b""[..], |value| value.as_bytes());
    if content_type.starts_with(b"application/grpc-web") {
        Protocol::GrpcWeb
    } else if is_http2 && content_type.starts_with(b"application/grpc") {
        Protocol::Grpc
    } else if is_http2 && request.method() == Method::POST && !api::has_path(request.uri().path()) {
        // tonic says what is wrong with it.
        Protocol::Grpc
    } else {
        Protocol::Http
    }
}

fn text(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::from(text.into())));
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

fn unimplemented(path: &str) -> tonic::Status {
    let message = format!("there is no method {path}");
    status(
        tonic::Code::Unimplemented,
        v1::ErrorReason::Unimplemented,
        message,
        [],
    )
}

fn answer(status: tonic::Status) -> Answer {
    Box::pin(async move { Ok(status.into_http()) })
}
