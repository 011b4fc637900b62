//! What a request is let in with: who makes it, and what it takes of that caller's account.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderName, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use tonic::{Status, body::Body};

use super::{audit::AuditedRequest, metrics::Metrics};
use crate::{
    auth::{Account, AuthError, CallerLimitReached, OpenRequest},
    grpc::status::{caller_limit_reached, credentials_reason as reason_of, unauthenticated},
    http as api,
    proto::v1::ErrorReason,
};

/// What is left to the caller, in the headers of answers.
const REQUESTS_LEFT: HeaderName = HeaderName::from_static("dossier-requests-left");
const QUERY_SECONDS_LEFT: HeaderName = HeaderName::from_static("dossier-query-seconds-left");

/// Why a request is not let in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    /// Who makes it is not known.
    Stranger(AuthError),
    /// Its caller has had what one may have.
    TooMuch(CallerLimitReached),
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        Self::Stranger(error)
    }
}

impl From<CallerLimitReached> for Refusal {
    fn from(reached: CallerLimitReached) -> Self {
        Self::TooMuch(reached)
    }
}

impl Refusal {
    /// Returns what the caller hears.
    pub(super) fn reason(self) -> &'static str {
        let reason = match self {
            Self::Stranger(error) => reason_of(error),
            Self::TooMuch(_) => ErrorReason::CallerLimitReached,
        };
        reason.as_str_name().trim_start_matches("ERROR_REASON_")
    }

    /// Returns what the operator hears.
    pub(super) fn cause(self) -> &'static str {
        match self {
            Self::Stranger(error) => error.cause(),
            Self::TooMuch(reached) => reached.limit.name(),
        }
    }

    /// Returns the answer over gRPC.
    pub(super) fn over_grpc(self) -> Response<Body> {
        match self {
            Self::Stranger(error) => unauthenticated(error).into_http(),
            Self::TooMuch(reached) => caller_limit_reached(reached).into_http(),
        }
    }

    /// Returns the answer over HTTP.
    pub(super) fn over_http(self) -> Response<Body> {
        let response = match self {
            Self::Stranger(error) => api::unauthenticated(error),
            Self::TooMuch(reached) => api::caller_limit_reached(reached),
        };
        response.map(Body::new)
    }
}

/// A request that was let in.
#[derive(Default)]
pub(super) struct Admitted {
    /// None where callers have no limits, and for health.
    open: Option<(Arc<Account>, OpenRequest)>,
    /// None for health.
    denials: Option<Denials>,
}

/// Is told of what a caller who was let in may not do. Clones are the same one.
#[derive(Clone)]
pub(super) struct Denials {
    metrics: Metrics,
    /// None without an audit log.
    audited: Option<Arc<AuditedRequest>>,
}

impl Denials {
    /// Counts a denial, and tells the audit log of it, if there is one.
    pub(super) fn tell(&self, reason: &str) {
        self.metrics.denied(reason);
        if let Some(request) = &self.audited {
            request.denied(reason);
        }
    }
}

impl Admitted {
    /// Takes a request of an account.
    pub(super) fn of(account: Arc<Account>) -> Result<Self, CallerLimitReached> {
        let open = account.begin_request()?;
        Ok(Self {
            open: Some((account, open)),
            ..Self::default()
        })
    }

    /// Has a denial counted, and the audit log hear of it, if there is one.
    pub(super) fn told(mut self, metrics: &Metrics, audited: Option<Arc<AuditedRequest>>) -> Self {
        let metrics = metrics.clone();
        self.denials = Some(Denials { metrics, audited });
        self
    }

    /// Returns who is told of a denial that a call of gRPC ends with; one of HTTP is told of by itself.
    pub(super) fn denials(&self) -> Option<Denials> {
        self.denials.clone()
    }

    /// Says in an answer what is left, and ends the request with the answer's end.
    pub(super) fn answered(self, mut response: Response<Body>) -> Response<Body> {
        if response.status() == StatusCode::FORBIDDEN
            && let Some(denials) = &self.denials
        {
            let reason = response.extensions().get::<api::Reason>();
            denials.tell(reason.map_or("HTTP 403", |reason| reason.0));
        }
        let Some((account, open)) = self.open else {
            return response;
        };
        let left = account.left();
        let headers = response.headers_mut();
        for (name, left) in [
            (REQUESTS_LEFT, left.requests),
            (QUERY_SECONDS_LEFT, left.query_seconds),
        ] {
            if let Some(left) = left {
                headers.insert(name, left.into());
            }
        }
        if response.body().is_end_stream() {
            return response;
        }
        response.map(|body| held(body, open))
    }
}

/// Returns an answer that holds something until it has ended.
pub(super) fn held<T: Send + Unpin + 'static>(body: Body, held: T) -> Body {
    Body::new(Held { body, _held: held })
}

struct Held<T> {
    body: Body,
    _held: T,
}

impl<T: Unpin> http_body::Body for Held<T> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
