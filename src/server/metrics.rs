//! What the server counts, as Prometheus reads it (`OpenMetrics`).
//!
//! Calls have the names of the gRPC ecosystem (`grpc_server_handled_total`, …), so that its dashboards work. They are
//! counted where they end: a stream with its last frame.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use prometheus_client::{
    collector::Collector,
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use prost::Message as _;
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt as _;
use tracing::Span;

use crate::{
    http as api,
    proto::v1::FILE_DESCRIPTOR_SET,
    request::{self, Request},
    telemetry,
};

/// Media type of the answer to a scrape.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds: lookups take some tenths of a millisecond, queries up to a minute.
const SECONDS: [f64; 16] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0,
];

/// The beginnings of paths.
const ROUTES: [&str; 5] = ["sparql", "store", "changes", "healthz", "readyz"];

/// What probes and scrapers ask is in no trace.
const HEALTH_SERVICE: &str = "grpc.health.v1.Health";
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

type Labels<const N: usize> = [(&'static str, String); N];

/// The counts of a server. Clones are the same ones.
#[derive(Clone)]
pub(super) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    methods: HashMap<String, Arc<Method>>,
    unknown: Arc<Method>,
    handled: Family<Labels<3>, Counter>,
    errors: Family<Labels<1>, Counter>,
    denials: Family<Labels<1>, Counter>,
    requests: Family<Labels<3>, Histogram>,
    connections: Gauge,
    refused_connections: Counter,
    cut_connections: Family<Labels<1>, Counter>,
    cut_streams: Counter,
    audit_failures: Counter,
}

/// One method of gRPC.
struct Method {
    labels: Labels<2>,
    started: Counter,
    seconds: Histogram,
    ok: Counter,
    is_stream: bool,
}

impl Metrics {
    /// Begins to count. `state` tells what is looked up at each scrape.
    pub(super) fn new(state: impl Collector) -> Self {
        let mut registry = Registry::default();
        let started = Family::<Labels<2>, Counter>::default();
        let handled = Family::<Labels<3>, Counter>::default();
        let seconds = Family::<Labels<2>, Histogram>::new_with_constructor(histogram);
        let errors = Family::<Labels<1>, Counter>::default();
        let requests = Family::<Labels<3>, Histogram>::new_with_constructor(histogram);
        let (connections, refused_connections) = (Gauge::default(), Counter::default());
        registry.register("grpc_server_started", "gRPC calls begun", started.clone());
        registry.register(
            "grpc_server_handled",
            "gRPC calls ended, by status code",
            handled.clone(),
        );
        registry.register_with_unit(
            "grpc_server_handling",
            "Time from the beginning of a gRPC call to its end, of a stream to its last frame",
            Unit::Seconds,
            seconds.clone(),
        );
        registry.register(
            "dossier_errors",
            "Errors answered over gRPC and HTTP, by their reason",
            errors.clone(),
        );
        let denials = Family::<Labels<1>, Counter>::default();
        registry.register(
            "dossier_denials",
            "Calls and requests denied for who their caller is, for what it may not do, or for its limits",
            denials.clone(),
        );
        registry.register_with_unit(
            "http_server_request_duration",
            "Time from the beginning of an HTTP request to the end of its answer",
            Unit::Seconds,
            requests.clone(),
        );
        registry.register(
            "dossier_connections",
            "Connections that are open",
            connections.clone(),
        );
        registry.register(
            "dossier_refused_connections",
            "Connections closed at once, because there were as many as may be",
            refused_connections.clone(),
        );
        let cut_connections = Family::<Labels<1>, Counter>::default();
        registry.register(
            "dossier_cut_connections",
            "Connections cut for what their peer did, by reason",
            cut_connections.clone(),
        );
        let cut_streams = Counter::default();
        registry.register(
            "dossier_cut_streams",
            "Streams cut because their reader took nothing",
            cut_streams.clone(),
        );
        let audit_failures = Counter::default();
        registry.register(
            "dossier_audit_failures",
            "Lines that could not be written to the audit log",
            audit_failures.clone(),
        );
        registry.register_collector(Box::new(state));
        let method = |service: &str, method: &str, is_stream: bool| {
            let labels = [
                ("grpc_service", service.to_owned()),
                ("grpc_method", method.to_owned()),
            ];
            Arc::new(Method {
                started: started.get_or_create_owned(&labels),
                seconds: seconds.get_or_create_owned(&labels),
                ok: handled.get_or_create_owned(&with_code(&labels, Code::Ok)),
                labels,
                is_stream,
            })
        };
        let methods = methods()
            .map(|(service, name, is_stream)| {
                (format!("/{service}/{name}"), method(&service, &name, is_stream))
            })
            .collect();
        let unknown = method("unknown", "unknown", false);
        Self(Arc::new(Inner {
            registry,
            methods,
            unknown,
            handled,
            errors,
            denials,
            requests,
            connections,
            refused_connections,
            cut_connections,
            cut_streams,
            audit_failures,
        }))
    }

    /// Returns all counts as text.
    pub(super) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }

    /// Counts a connection that is open until the value is dropped.
    pub(super) fn connection(&self) -> OpenConnection {
        self.0.connections.inc();
        OpenConnection(self.clone())
    }

    /// Counts a connection that was refused.
    pub(super) fn refused_connection(&self) {
        self.0.refused_connections.inc();
    }

    /// Counts a connection that was cut; `reason` is one of few.
    pub(super) fn cut_connection(&self, reason: &'static str) {
        let labels = [("reason", reason.to_owned())];
        self.0.cut_connections.get_or_create(&labels).inc();
    }

    /// Counts a stream that was cut.
    pub(super) fn cut_stream(&self) {
        self.0.cut_streams.inc();
    }

    /// Counts a call or request that was denied; `reason` is one of those that callers are told.
    pub(super) fn denied(&self, reason: &str) {
        let labels = [("reason", reason.to_owned())];
        self.0.denials.get_or_create(&labels).inc();
    }

    /// Returns the count of lines that could not be written to the audit log.
    pub(super) fn audit_failures(&self) -> Counter {
        self.0.audit_failures.clone()
    }

    /// Begins to count a call of gRPC.
    pub(super) fn call(&self, path: &str, headers: &HeaderMap) -> Call {
        let method = self.0.methods.get(path).unwrap_or(&self.0.unknown);
        method.started.inc();
        Call {
            metrics: self.clone(),
            request: Request::new(request::id(chosen_id(headers)), Span::none()),
            kind: Kind::Grpc(Arc::clone(method)),
            started_at: Instant::now(),
        }
    }

    /// Begins to count a request of HTTP.
    pub(super) fn request(&self, method: &http::Method, path: &str, headers: &HeaderMap) -> Call {
        // Nothing that a caller makes up becomes a label.
        let method = match method.as_str() {
            known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS") => known,
            _ => "_OTHER",
        };
        let first = path.split('/').nth(1).filter(|name| ROUTES.contains(name));
        let route = format!("/{}", first.unwrap_or("unknown"));
        Call {
            metrics: self.clone(),
            request: Request::new(request::id(chosen_id(headers)), Span::none()),
            kind: Kind::Http {
                method: method.to_owned(),
                route,
                status: StatusCode::OK,
            },
            started_at: Instant::now(),
        }
    }
}

fn chosen_id(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(request::HEADER).map(HeaderValue::as_bytes)
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

fn with_code(labels: &Labels<2>, code: Code) -> Labels<3> {
    let [service, method] = labels.clone();
    let code = match code {
        Code::Ok => "OK".to_owned(),
        code => format!("{code:?}"),
    };
    [service, method, ("grpc_code", code)]
}

/// The methods that the server has: service, name, and whether it answers with a stream.
fn methods() -> impl Iterator<Item = (String, String, bool)> {
    let sets = [
        FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    sets.into_iter()
        .filter_map(|bytes| prost_types::FileDescriptorSet::decode(bytes).ok())
        .flat_map(|set| set.file)
        .flat_map(|file| {
            let package = file.package.unwrap_or_default();
            file.service.into_iter().flat_map(move |service| {
                let service_name = format!("{package}.{}", service.name());
                let methods = service.method.into_iter();
                methods.map(move |method| {
                    let name = method.name().to_owned();
                    (service_name.clone(), name, method.server_streaming())
                })
            })
        })
}

/// A connection that is open until this is dropped.
pub(super) struct OpenConnection(Metrics);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.0.connections.dec();
    }
}

/// A call or request that has begun.
pub(super) struct Call {
    metrics: Metrics,
    request: Request,
    kind: Kind,
    started_at: Instant,
}

enum Kind {
    Grpc(Arc<Method>),
    Http {
        method: String,
        route: String,
        status: StatusCode,
    },
}

impl Call {
    /// Tells whether the answer is a stream.
    pub(super) fn is_stream(&self) -> bool {
        matches!(&self.kind, Kind::Grpc(method) if method.is_stream)
    }

    /// Begins its span in a trace, that of its caller if the headers name one. Only of who was let in: strangers must cause no
    /// traces.
    pub(super) fn traced(mut self, headers: &HeaderMap) -> Self {
        let id = self.request.id();
        let span = match &self.kind {
            Kind::Grpc(method) => {
                let [(_, service), (_, name)] = &method.labels;
                // Probes would bury the rest.
                if service == HEALTH_SERVICE {
                    return self;
                }
                telemetry::rpc_span(service, name, id, headers)
            }
            Kind::Http { route, .. } if PROBES.contains(&route.as_str()) => return self,
            Kind::Http { method, route, .. } => telemetry::http_span(method, route, id, headers),
        };
        self.request = Request::new(id.to_owned(), span);
        self
    }

    /// Returns the request that is counted.
    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    /// Names the request in its answer, and counts it when the answer ends, or when nobody waits for its end any more.
    pub(super) fn answered(mut self, mut response: Response<Body>) -> Response<Body> {
        if let Ok(id) = HeaderValue::from_str(self.request.id()) {
            response.headers_mut().insert(request::HEADER, id);
        }
        if let Kind::Http { status, .. } = &mut self.kind {
            *status = response.status();
            if let Some(reason) = response.extensions().get::<api::Reason>() {
                let labels = [("reason", reason.0.to_owned())];
                self.metrics.0.errors.get_or_create(&labels).inc();
            }
        }
        // An error of gRPC has no body: its status is in the headers.
        if response.headers().contains_key(Status::GRPC_STATUS) {
            self.end(Some(response.headers()));
            return response;
        }
        if response.body().is_end_stream() {
            self.end(None);
            return response;
        }
        response.map(|body| {
            Body::new(Counted {
                body,
                request: self.request.clone(),
                call: Some(self),
            })
        })
    }

    /// `end`: the headers or trailers of gRPC.
    fn end(self, end: Option<&HeaderMap>) {
        let seconds = self.started_at.elapsed().as_secs_f64();
        let counts = &self.metrics.0;
        match self.kind {
            Kind::Grpc(method) => {
                method.seconds.observe(seconds);
                let code = match end.map(|end| end.get(Status::GRPC_STATUS).map(HeaderValue::as_bytes)) {
                    Some(Some(b"0")) => {
                        method.ok.inc();
                        Code::Ok
                    }
                    // Who goes away before the end has cancelled.
                    None => {
                        let labels = with_code(&method.labels, Code::Cancelled);
                        counts.handled.get_or_create(&labels).inc();
                        Code::Cancelled
                    }
                    Some(_) => {
                        let status = end.and_then(Status::from_header_map);
                        let code = status.as_ref().map_or(Code::Unknown, Status::code);
                        counts
                            .handled
                            .get_or_create(&with_code(&method.labels, code))
                            .inc();
                        if let Some(info) = status.and_then(|status| status.get_details_error_info()) {
                            counts.errors.get_or_create(&[("reason", info.reason)]).inc();
                        }
                        code
                    }
                };
                telemetry::end_rpc_span(self.request.span(), code);
            }
            Kind::Http {
                method,
                route,
                status,
            } => {
                let labels = [
                    ("http_request_method", method),
                    ("http_route", route),
                    ("http_response_status_code", status.as_str().to_owned()),
                ];
                counts.requests.get_or_create(&labels).observe(seconds);
                telemetry::end_http_span(self.request.span(), status.as_u16());
            }
        }
    }
}

/// An answer on its way out.
struct Counted {
    body: Body,
    request: Request,
    call: Option<Call>,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let _working = self.request.enter();
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref()
                    && let Some(call) = self.call.take()
                {
                    call.end(Some(trailers));
                }
            }
            Poll::Ready(None) => drop(self.call.take().map(|call| call.end(None))),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            call.end(None);
        }
    }
}
