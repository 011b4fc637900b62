//! Traces: a span for each call, and for what a query does, sent to a collector over OTLP.
//!
//! Spans have the names that OpenTelemetry gives to those of gRPC and HTTP. They are of the least level of `tracing`, so that
//! without a collector nothing is made of them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use http::HeaderMap;
use opentelemetry::{
    propagation::{Extractor, TextMapPropagator as _},
    trace::{TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider},
};
use tonic::{
    Code,
    metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue},
    transport::{ClientTlsConfig, Endpoint},
};
use tracing::{Span, Subscriber, field::Empty, trace_span};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::config::ServeSettings;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long spans gather before they are sent.
const EXPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Spans that wait to be sent; more are dropped, so that a collector that is away costs no memory.
const WAITING_SPAN_COUNT_MAX: usize = 8_192;

/// Why there can be no traces.
#[derive(thiserror::Error, Debug)]
pub enum TraceError {
    /// The address of the collector cannot be used.
    #[error("--otlp-endpoint: {0}")]
    Endpoint(#[from] tonic::transport::Error),
    /// The exporter cannot be made.
    #[error("--otlp-endpoint: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// The file of headers cannot be read.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// A line of the file is no header. It is not shown: it may be a secret.
    #[error("{path}:{line}: expected `name: value`, with a name in lower case", path = path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
}

/// Where spans go.
#[derive(Clone, Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Returns where spans go, if the settings say so: call it within a runtime of Tokio.
    ///
    /// It does not wait for the collector, nor does it fail if there is none.
    pub fn new(settings: &ServeSettings) -> Result<Option<Self>, TraceError> {
        let Some(endpoint) = settings.otlp_endpoint.as_ref().map(ToString::to_string) else {
            return Ok(None);
        };
        let is_tls = endpoint.starts_with("https:");
        let mut endpoint = Endpoint::from_shared(endpoint)?
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(EXPORT_TIMEOUT);
        if is_tls {
            endpoint = endpoint.tls_config(ClientTlsConfig::new().with_webpki_roots())?;
        }
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_channel(endpoint.connect_lazy())
            .with_metadata(headers(settings)?)
            .with_timeout(EXPORT_TIMEOUT)
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(WAITING_SPAN_COUNT_MAX)
            .with_scheduled_delay(EXPORT_INTERVAL)
            .build();
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(batches)
            .build();
        #[expect(clippy::cast_precision_loss, reason = "a share of calls need not be exact")]
        let share = 1.0 / settings.otlp_sample_one_in.max(1) as f64;
        let resource = Resource::builder()
            .with_service_name(env!("CARGO_PKG_NAME"))
            .with_attribute(opentelemetry::KeyValue::new(
                "service.version",
                env!("CARGO_PKG_VERSION"),
            ))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            // A caller that traces has decided; else we do.
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share))))
            .with_resource(resource)
            .build();
        let tracer = provider.tracer(env!("CARGO_PKG_NAME"));
        Ok(Some(Self { provider, tracer }))
    }

    /// Returns the layer that makes spans of OpenTelemetry of those of `tracing`.
    pub(super) fn layer<S>(&self) -> OpenTelemetryLayer<S, SdkTracer>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.tracer.clone())
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
    }

    /// Sends what waits, for at most this time, on a thread that may block.
    pub fn shut_down(&self, timeout: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(timeout) {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

/// Returns the headers for the collector.
pub(super) fn headers(settings: &ServeSettings) -> Result<MetadataMap, TraceError> {
    match &settings.otlp_headers_file {
        Some(path) => read_headers(path),
        None => Ok(MetadataMap::new()),
    }
}

/// Reads headers, a line each; empty lines and those that begin with `#` say nothing.
fn read_headers(path: &Path) -> Result<MetadataMap, TraceError> {
    let text = fs::read_to_string(path).map_err(|error| TraceError::File {
        path: path.to_owned(),
        error,
    })?;
    let mut headers = MetadataMap::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let header = line.split_once(':').and_then(|(name, value)| {
            let name: MetadataKey<Ascii> = name.trim().parse().ok()?;
            let mut value: MetadataValue<Ascii> = value.trim().parse().ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        let (name, value) = header.ok_or_else(|| TraceError::Header {
            path: path.to_owned(),
            line: index + 1,
        })?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Begins the span of a call of gRPC, within the trace that the caller's headers name (W3C Trace Context); one that does
/// nothing if there are no traces.
pub fn rpc_span(service: &str, method: &str, request_id: &str, headers: &HeaderMap) -> Span {
    let span = trace_span!(
        "rpc",
        otel.name = format_args!("{service}/{method}"),
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = Empty,
        dossier.request_id = request_id,
        dossier.revision = Empty,
        dossier.query_id = Empty,
    );
    within(&span, headers);
    span
}

/// Notes how a call of gRPC ended.
pub fn end_rpc_span(span: &Span, code: Code) {
    if span.is_disabled() {
        return;
    }
    span.record("rpc.grpc.status_code", i32::from(code));
    // Those that are the server's fault, by OpenTelemetry's conventions for gRPC.
    if matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    ) {
        span.record("otel.status_code", "ERROR");
    }
}

/// Begins the span of a request of HTTP, as [`rpc_span`] does.
pub fn http_span(method: &str, route: &str, request_id: &str, headers: &HeaderMap) -> Span {
    let span = trace_span!(
        "http",
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        dossier.request_id = request_id,
        dossier.revision = Empty,
        dossier.query_id = Empty,
    );
    within(&span, headers);
    span
}

/// Notes how a request of HTTP ended.
pub fn end_http_span(span: &Span, status: u16) {
    if span.is_disabled() {
        return;
    }
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// Puts a span into the trace that headers name.
fn within(span: &Span, headers: &HeaderMap) {
    if span.is_disabled() {
        return;
    }
    let parent = TraceContextPropagator::new().extract(&Headers(headers));
    if parent.span().span_context().is_valid() {
        // There is no layer to tell if nothing but the log takes spans.
        let _ = span.set_parent(parent);
    }
}

struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_never_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headers");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            read_headers(&path)
        };
        let found = read("# to the collector\n\nauthorization: Basic canary\nx-tenant:a\n").unwrap();
        assert_eq!(found.get("authorization").unwrap(), "Basic canary");
        assert_eq!(found.get("x-tenant").unwrap(), "a");
        assert!(!format!("{found:?}").contains("canary"), "{found:?}");
        for text in ["canary\n", "a b: canary\n", "a: canary\u{7f}\n"] {
            let told = read(text).unwrap_err().to_string();
            assert!(told.contains("headers:1: ") && !told.contains("canary"), "{told}");
        }
        fs::remove_file(&path).unwrap();
        assert!(read_headers(&path).is_err());
    }
}
