//! What the server counts, as Prometheus reads it (`OpenMetrics`).
//!
//! Calls have the names of the gRPC ecosystem (`grpc_server_handled_total`, …), so that its dashboards work. They are
//! counted where they end: a stream with its last frame.

mod call;

use std::{collections::HashMap, sync::Arc, time::Instant};

use http::{HeaderMap, HeaderValue};
use prometheus_client::{
    collector::Collector,
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use prost::Message as _;
use tonic::Code;
use tracing::Span;

use self::call::Kind;
pub(super) use self::call::{Call, cut};
use crate::{
    proto::v1::FILE_DESCRIPTOR_SET,
    request::{self, Request},
};

/// Media type of the answer to a scrape.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds: lookups take some tenths of a millisecond, queries up to a minute.
const SECONDS: [f64; 16] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0,
];

/// The beginnings of paths.
const ROUTES: [&str; 5] = ["sparql", "store", "changes", "healthz", "readyz"];

/// Why callers are denied something, as far as it is told apart before it happens.
const DENIALS: [&str; 12] = [
    "ADMIN_ONLY",
    "CALLER_LIMIT_REACHED",
    "CREDENTIALS_EXPIRED",
    "CREDENTIALS_INVALID",
    "CREDENTIALS_MISSING",
    "CREDENTIALS_NOT_YET_VALID",
    "CREDENTIALS_UNVERIFIABLE",
    "GRAPH_NOT_GRANTED",
    "HOST_NOT_ALLOWED",
    "HTTP 403",
    "NO_ROLE",
    "ORIGIN_NOT_ALLOWED",
];
/// Why connections are cut.
const CUTS: [&str; 3] = ["control_frames", "slow_reader", "stranger"];

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
    accept_failures: Counter,
    cut_connections: Family<Labels<1>, Counter>,
    cut_streams: Counter,
    audit_failures: Counter,
    stale_files: Gauge,
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
        let requests = Family::<Labels<3>, Histogram>::new_with_constructor(histogram);
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
        let errors = by_reason(
            &mut registry,
            "dossier_errors",
            "Errors answered over gRPC and HTTP, by their reason",
            reasons(),
        );
        let denials = by_reason(
            &mut registry,
            "dossier_denials",
            "Calls and requests denied for who their caller is, for what it may not do, or for its limits",
            DENIALS.map(str::to_owned),
        );
        registry.register_with_unit(
            "http_server_request_duration",
            "Time from the beginning of an HTTP request to the end of its answer",
            Unit::Seconds,
            requests.clone(),
        );
        let connections = gauge(&mut registry, "dossier_connections", "Connections that are open");
        let refused_connections = counter(
            &mut registry,
            "dossier_refused_connections",
            "Connections closed at once, because there were as many as may be",
        );
        let accept_failures = counter(
            &mut registry,
            "dossier_accept_failures",
            "Times that no connection could be accepted, such as for want of file descriptors",
        );
        let cut_connections = by_reason(
            &mut registry,
            "dossier_cut_connections",
            "Connections cut for what their peer did, by reason",
            CUTS.map(str::to_owned),
        );
        let cut_streams = counter(
            &mut registry,
            "dossier_cut_streams",
            "Streams cut because their reader took nothing",
        );
        let audit_failures = counter(
            &mut registry,
            "dossier_audit_failures",
            "Lines that could not be written to the audit log",
        );
        let stale_files = gauge(
            &mut registry,
            "dossier_stale_files",
            "Of tokens, policy, keys of JWTs and TLS, how many have changed and cannot be read anew",
        );
        registry.register_collector(Box::new(state));
        let method = |labels: Labels<2>, is_stream: bool| {
            Arc::new(Method {
                started: started.get_or_create_owned(&labels),
                seconds: seconds.get_or_create_owned(&labels),
                ok: handled.get_or_create_owned(&with_code(&labels, Code::Ok)),
                labels,
                is_stream,
            })
        };
        let methods = methods().map(|(service, name, is_stream)| {
            let path = format!("/{service}/{name}");
            (path, method(labels(service, name), is_stream))
        });
        let methods = methods.collect();
        let unknown = method(labels("unknown".to_owned(), "unknown".to_owned()), false);
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
            accept_failures,
            cut_connections,
            cut_streams,
            audit_failures,
            stale_files,
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

    /// Counts that no connection could be accepted.
    pub(super) fn accept_failure(&self) {
        self.0.accept_failures.inc();
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

    /// Counts an error; `reason` is one of those that callers are told.
    fn error(&self, reason: &str) {
        let labels = [("reason", reason.to_owned())];
        self.0.errors.get_or_create(&labels).inc();
    }

    /// Returns the count of lines that could not be written to the audit log.
    pub(super) fn audit_failures(&self) -> Counter {
        self.0.audit_failures.clone()
    }

    /// Returns the count of files that have changed and cannot be read anew.
    pub(super) fn stale_files(&self) -> &Gauge {
        &self.0.stale_files
    }

    /// Begins to count a call of gRPC.
    pub(super) fn call(&self, path: &str, headers: &HeaderMap) -> Call {
        let method = self.0.methods.get(path).unwrap_or(&self.0.unknown);
        method.started.inc();
        Call {
            metrics: self.clone(),
            request: Request::new(request::id(chosen_id(headers)), Span::none()),
            kind: Some(Kind::Grpc(Arc::clone(method))),
            started_at: Instant::now(),
            denials: None,
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
            kind: Some(Kind::Http {
                method: method.to_owned(),
                route,
                status: None,
            }),
            started_at: Instant::now(),
            denials: None,
        }
    }
}

fn chosen_id(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(request::HEADER).map(HeaderValue::as_bytes)
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

fn labels(service: String, method: String) -> Labels<2> {
    [("grpc_service", service), ("grpc_method", method)]
}

fn with_code(labels: &Labels<2>, code: Code) -> Labels<3> {
    let [service, method] = labels.clone();
    let code = match code {
        Code::Ok => "OK".to_owned(),
        code => format!("{code:?}"),
    };
    [service, method, ("grpc_code", code)]
}

/// Counts by reason, from 0 on: a rate is seen from the second sample on, and alerts must see the first of each.
fn by_reason(
    registry: &mut Registry,
    name: &str,
    help: &str,
    reasons: impl IntoIterator<Item = String>,
) -> Family<Labels<1>, Counter> {
    let counts = Family::default();
    registry.register(name, help, Family::clone(&counts));
    for reason in reasons {
        let _: Counter = counts.get_or_create_owned(&[("reason", reason)]);
    }
    counts
}

/// The reasons of errors.
fn reasons() -> impl Iterator<Item = String> {
    let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET);
    let enums = set
        .into_iter()
        .flat_map(|set| set.file)
        .flat_map(|file| file.enum_type);
    let reasons = enums.filter(|of| of.name() == "ErrorReason");
    reasons.flat_map(|of| of.value).filter_map(|value| {
        let name = value.name().strip_prefix("ERROR_REASON_")?;
        (name != "UNSPECIFIED").then(|| name.to_owned())
    })
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
