//! One call or request: counted once, when its answer ends, or when nobody waits for it any more.

use std::{
    cell::RefCell,
    error::Error as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt as _;

use super::{HEALTH_SERVICE, Method, Metrics, PROBES, with_code};
use crate::{
    grpc::status::reason_name,
    http as api,
    request::{self, Request},
    server::admitted::Denials,
    telemetry,
};

/// The status of requests whose caller went away before there was one, as proxies have it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Why a stream ends whose caller may not have it any more, where it is not for the credential.
const LAPSES: [&str; 2] = ["NO_ROLE", "ACCESS_REDUCED"];

/// A call or request that has begun.
pub(in crate::server) struct Call {
    pub(super) metrics: Metrics,
    pub(super) request: Request,
    /// None once it is counted.
    pub(super) kind: Option<Kind>,
    pub(super) started_at: Instant,
    /// There once it was let in.
    pub(super) denials: Option<Denials>,
}

pub(super) enum Kind {
    Grpc(Arc<Method>),
    Http {
        method: String,
        route: String,
        /// None until there is an answer.
        status: Option<StatusCode>,
    },
}

thread_local! {
    /// With which status the answer ends that this thread is dropping.
    static CUT: RefCell<Option<Status>> = const { RefCell::new(None) };
}

/// Drops an answer that ends with this status, although not by its own word.
pub(in crate::server) fn cut(answer: Body, status: &Status) {
    CUT.set(Some(status.clone()));
    drop(answer);
    CUT.set(None);
}

impl Call {
    /// Tells whether the answer is a stream.
    pub(in crate::server) fn is_stream(&self) -> bool {
        matches!(&self.kind, Some(Kind::Grpc(method)) if method.is_stream)
    }

    /// Begins its span in a trace, that of its caller if the headers name one. Only of who was let in: strangers must cause no
    /// traces.
    pub(in crate::server) fn traced(mut self, headers: &HeaderMap) -> Self {
        let id = self.request.id();
        let span = match &self.kind {
            Some(Kind::Grpc(method)) => {
                let [(_, service), (_, name)] = &method.labels;
                // Probes would bury the rest.
                if service == HEALTH_SERVICE {
                    return self;
                }
                telemetry::rpc_span(service, name, id, headers)
            }
            Some(Kind::Http { method, route, .. }) if !PROBES.contains(&route.as_str()) => {
                telemetry::http_span(method, route, id, headers)
            }
            _ => return self,
        };
        self.request = Request::new(id.to_owned(), span);
        self
    }

    /// Has somebody told if its answer denies what was asked for.
    pub(in crate::server) fn told(mut self, denials: Option<Denials>) -> Self {
        self.denials = denials;
        self
    }

    /// Returns the request that is counted.
    pub(in crate::server) fn request(&self) -> &Request {
        &self.request
    }

    /// Names the request in its answer, and counts it when the answer ends, or when nobody waits for its end any more.
    pub(in crate::server) fn answered(mut self, mut response: Response<Body>) -> Response<Body> {
        if let Ok(id) = HeaderValue::from_str(self.request.id()) {
            response.headers_mut().insert(request::HEADER, id);
        }
        if let Some(Kind::Http { status, .. }) = &mut self.kind {
            *status = Some(response.status());
            if let Some(reason) = response.extensions().get::<api::Reason>() {
                self.metrics.error(reason.0);
            }
        }
        // An error of gRPC has no body: its status is in the headers.
        if response.headers().contains_key(Status::GRPC_STATUS) {
            self.count(End::Headers(response.headers()));
            return response;
        }
        if response.body().is_end_stream() {
            self.count(End::Silent);
            return response;
        }
        response.map(|body| {
            Body::new(Counted {
                body,
                request: self.request.clone(),
                call: self,
            })
        })
    }

    /// Counts it, unless that is done.
    fn count(&mut self, end: End<'_>) {
        let Some(kind) = self.kind.take() else {
            return;
        };
        let seconds = self.started_at.elapsed().as_secs_f64();
        match kind {
            Kind::Grpc(method) => {
                method.seconds.observe(seconds);
                let code = self.count_status(&method, end);
                telemetry::end_rpc_span(self.request.span(), code);
            }
            Kind::Http {
                method,
                route,
                status,
            } => {
                if let End::Status(status) = end {
                    self.metrics.error(&broken_off(status));
                }
                let status = status.map_or(CLIENT_CLOSED_REQUEST, |status| status.as_u16());
                let labels = [
                    ("http_request_method", method),
                    ("http_route", route),
                    ("http_response_status_code", status.to_string()),
                ];
                self.metrics.0.requests.get_or_create(&labels).observe(seconds);
                telemetry::end_http_span(self.request.span(), status);
            }
        }
    }

    /// Counts how a call of gRPC ended.
    fn count_status(&self, method: &Method, end: End<'_>) -> Code {
        let status = match end {
            End::Headers(headers) | End::Trailers(headers) => {
                if headers.get(Status::GRPC_STATUS).is_some_and(|code| code == "0") {
                    method.ok.inc();
                    return Code::Ok;
                }
                Status::from_header_map(headers).unwrap_or_else(|| Status::unknown(""))
            }
            // Who goes away before the end has cancelled.
            End::Silent => Status::cancelled(""),
            End::Status(status) => status.clone(),
        };
        let code = status.code();
        let handled = &self.metrics.0.handled;
        handled.get_or_create(&with_code(&method.labels, code)).inc();
        if let Some(info) = status.get_details_error_info() {
            self.metrics.error(&info.reason);
        }
        if code == Code::PermissionDenied
            && let Some(denials) = &self.denials
        {
            let reason = reason_name(&status);
            // That a stream ends with what let it in is told as that.
            if !matches!(end, End::Trailers(_)) || !LAPSES.contains(&reason.as_str()) {
                denials.tell(&reason);
            }
        }
        code
    }
}

impl Drop for Call {
    /// Whoever waited for the answer, or for its end, has gone; unless somebody else has ended it.
    fn drop(&mut self) {
        let cut = CUT.take();
        self.count(cut.as_ref().map_or(End::Silent, End::Status));
    }
}

/// How an answer ended.
#[derive(Clone, Copy)]
enum End<'e> {
    /// With the status of gRPC in the headers, before anything else.
    Headers(&'e HeaderMap),
    /// With the status of gRPC after all else.
    Trailers(&'e HeaderMap),
    /// Over HTTP; or without a word.
    Silent,
    /// Broken off.
    Status(&'e Status),
}

/// Returns the reason of what broke a body off.
fn broken_off(status: &Status) -> String {
    let source = status.source();
    match source.and_then(|error| error.downcast_ref::<api::BrokenOff>()) {
        Some(broken_off) => broken_off.reason().to_owned(),
        None => reason_name(status),
    }
}

/// An answer on its way out.
struct Counted {
    body: Body,
    request: Request,
    call: Call,
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
                if let Some(trailers) = frame.trailers_ref() {
                    self.call.count(End::Trailers(trailers));
                }
            }
            Poll::Ready(Some(Err(status))) => self.call.count(End::Status(status)),
            Poll::Ready(None) => self.call.count(End::Silent),
            Poll::Pending => {}
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use http::Method;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;
    use crate::{grpc::status::overloaded, server::state::State};

    const INFO: &str = "/dossier.v1.AdminService/GetServerInfo";

    fn metrics() -> Metrics {
        Metrics::new(State::new(Arc::default(), PathBuf::new(), 0))
    }

    #[track_caller]
    fn check(metrics: &Metrics, expected: &[(&str, u64)]) {
        let text = metrics.text().unwrap();
        for (counted, count) in expected {
            assert!(
                text.contains(&format!("{counted} {count}\n")),
                "{counted} {count} in {text}"
            );
        }
    }

    /// Returns an answer that goes on for ever, after one frame.
    fn endless() -> Response<Body> {
        use futures::StreamExt as _;
        let data = Ok::<_, Status>(Frame::data(Bytes::from_static(b"x")));
        let frames = futures::stream::iter([data]).chain(futures::stream::pending());
        Response::new(Body::new(StreamBody::new(frames)))
    }

    #[tokio::test]
    async fn who_goes_away_has_cancelled() {
        let metrics = metrics();
        let call = || metrics.call(INFO, &HeaderMap::new());
        let request = || metrics.request(&Method::GET, "/sparql", &HeaderMap::new());
        drop((call(), request()));
        for answer in [call().answered(endless()), request().answered(endless())] {
            let mut body = answer.into_body();
            assert!(body.frame().await.unwrap().unwrap().is_data());
        }
        let method = r#"grpc_service="dossier.v1.AdminService",grpc_method="GetServerInfo""#;
        let route = r#"http_request_method="GET",http_route="/sparql""#;
        let durations = "http_server_request_duration_seconds_count";
        check(
            &metrics,
            &[
                (&format!("grpc_server_started_total{{{method}}}"), 2),
                (
                    &format!("grpc_server_handled_total{{{method},grpc_code=\"Cancelled\"}}"),
                    2,
                ),
                (&format!("grpc_server_handling_seconds_count{{{method}}}"), 2),
                (
                    &format!("{durations}{{{route},http_response_status_code=\"499\"}}"),
                    1,
                ),
                (
                    &format!("{durations}{{{route},http_response_status_code=\"200\"}}"),
                    1,
                ),
            ],
        );
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_has_the_reason() {
        let metrics = metrics();
        let status = overloaded("too much");
        let answers = [
            metrics.call(INFO, &HeaderMap::new()).answered(endless()),
            metrics
                .request(&Method::GET, "/sparql", &HeaderMap::new())
                .answered(endless()),
        ];
        for answer in answers {
            cut(answer.into_body(), &status);
        }
        drop(metrics.call(INFO, &HeaderMap::new()));
        let handled =
            r#"grpc_server_handled_total{grpc_service="dossier.v1.AdminService",grpc_method="GetServerInfo""#;
        check(
            &metrics,
            &[
                (r#"dossier_errors_total{reason="OVERLOADED"}"#, 2),
                (&format!("{handled},grpc_code=\"ResourceExhausted\"}}"), 1),
                (&format!("{handled},grpc_code=\"Cancelled\"}}"), 1),
            ],
        );
    }
}
