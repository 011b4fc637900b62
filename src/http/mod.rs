//! HTTP beside gRPC, on the same port: the SPARQL 1.1 Protocol with a service description at `/sparql`, the Graph Store
//! Protocol at `/store`, the change feed at `/changes`, and health at `/healthz` and `/readyz`.
//!
//! The guard, the limits and the reasons of errors are those of gRPC. A 200 is held until the first bytes of the result are
//! there, so that most errors have their own status; one that comes later breaks the body off.

mod body;
mod changes;
pub mod cors;
mod description;
mod negotiate;
mod parts;
mod problem;
mod protocol;
mod results;
mod sparql;
mod store;
mod upload;

use std::{
    future::{pending, poll_fn},
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Instant,
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header, request::Parts,
    uri::Authority,
};
use hyper::body::Incoming;
use oxigraph::model::NamedNode;
use tokio_util::sync::CancellationToken;

pub use body::{Body, BrokenOff};
pub use problem::{HOST_NOT_ALLOWED, Reason};
use problem::{
    Problem, ended_at, internal, invalid, method_not_allowed, no_role, no_such_path, origin_not_allowed,
    unavailable,
};

use crate::{
    auth::{Account, AuthError, CallerLimitReached, Tenure},
    feed::Feed,
    intake::Intake,
    knowledge::{KnowledgeBase, Writes},
    model::access::Access,
    places::Places,
    rdf::Memory,
    sparql::{Caller, CallerLimits, Interrupt, Queries, Ticket},
};

/// The revision that was read or made.
const REVISION: HeaderName = HeaderName::from_static("dossier-revision");
/// Documents that are read at once.
const UPLOAD_COUNT_MAX: usize = 4;
const SPARQL_PATH: &str = "/sparql";
const STORE_PATH: &str = "/store";
const CHANGES_PATH: &str = "/changes";
const LIVE_PATH: &str = "/healthz";
const READY_PATH: &str = "/readyz";

/// Answers HTTP. Clones are the same one.
#[derive(Clone)]
pub struct HttpApi(Arc<Inner>);

struct Inner {
    knowledge: KnowledgeBase,
    feed: Feed,
    drain: CancellationToken,
    queries: Queries,
    memory: Memory,
    body_bytes_max: usize,
    intake: Intake,
    uploads: Places,
    origins: Vec<String>,
}

impl Inner {
    /// Admits work on a thread with a large stack. `text` is that of a query or update.
    fn admit(&self, method: &'static str, parts: &Parts, text: &str) -> Result<Ticket, Problem> {
        let caller = Caller {
            access: access(parts)?,
            method,
            query_id: String::new(),
            peer: parts.extensions.get::<Peer>().map(|peer| peer.0),
        };
        let ticket = self.queries.admit(caller, text, None, &CallerLimits::default())?;
        match parts.extensions.get::<Arc<Account>>() {
            Some(account) => Ok(ticket.paid_by(account.begin_query()?)),
            None => Ok(ticket),
        }
    }

    /// Returns when work ends that needs no thread.
    fn interrupt(&self) -> Interrupt {
        Interrupt::new(Some(Instant::now() + self.queries.settings().timeout_max))
    }

    fn memory_bytes_max(&self) -> u64 {
        self.queries.settings().update_memory_bytes_max
    }
}

/// Returns what whoever sends a request may do. Where nobody has said so, it is nothing.
fn access(parts: &Parts) -> Result<Access, Problem> {
    parts.extensions.get::<Access>().cloned().ok_or_else(no_role)
}

/// Where a request comes from: an extension of requests.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// When a request must end although it could go on: an extension of requests.
#[derive(Clone, Debug)]
pub struct Ending {
    /// For a stream without an end of its own.
    pub stream: CancellationToken,
    /// For every request.
    pub call: CancellationToken,
}

impl Ending {
    /// Is ready once every request must end.
    async fn of_call(ending: Option<Self>) {
        match ending {
            Some(ending) => ending.call.cancelled().await,
            None => pending().await,
        }
    }
}

impl HttpApi {
    /// Answers for a knowledge base. Documents take of `memory`; a body with a query or update has at most `body_bytes_max`,
    /// and comes in as `intake` says; pages of `origins` may write. The feed's streams end once `drain` is cancelled.
    pub fn new(
        feed: Feed,
        drain: CancellationToken,
        queries: Queries,
        memory: Memory,
        body_bytes_max: usize,
        intake: Intake,
        origins: &[String],
    ) -> Self {
        Self(Arc::new(Inner {
            knowledge: feed.knowledge().clone(),
            feed,
            drain,
            queries,
            memory,
            body_bytes_max,
            intake,
            uploads: Places::new(UPLOAD_COUNT_MAX),
            origins: origins.to_vec(),
        }))
    }
}

/// Answers a request; there is no `api` yet while the server starts, and none to wait for once it `is_draining`.
pub async fn answer(api: Option<&HttpApi>, is_draining: bool, request: Request<Incoming>) -> Response<Body> {
    let log =
        tracing::enabled!(tracing::Level::DEBUG).then(|| (Instant::now(), request.uri().path().to_owned()));
    let tenure = request.extensions().get::<Tenure>().cloned();
    let ending = request.extensions().get::<Ending>().cloned();
    let ended = Ending::of_call(ending.clone());
    let mut answering = pin!(async {
        tokio::select! {
            biased;
            response = dispatch(api, is_draining, request) => response,
            () = ended => Err(ended_at(api.map(|HttpApi(api)| api.knowledge.revision()))),
        }
    });
    // The panic's message is on standard error by then.
    let outcome =
        poll_fn(
            |context| match catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context))) {
                Ok(polled) => polled,
                Err(_) => Poll::Ready(Err(internal(&"a handler panicked"))),
            },
        );
    let mut response = outcome.await.unwrap_or_else(Problem::into_response);
    response.body_mut().end_with(tenure, ending);
    if let Some((started_at, path)) = log {
        let status = response.status().as_u16();
        let elapsed_us = started_at.elapsed().as_micros();
        tracing::debug!(path, status, %elapsed_us, "request");
    }
    response
}

/// Returns an answer as HEAD is to get it: without its body, but with its length (RFC 9110 section 9.3.2).
pub fn without_body<B: http_body::Body + Default>(mut response: Response<B>) -> Response<B> {
    if let Some(length) = response.body().size_hint().exact()
        && length > 0
    {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, length.into());
    }
    *response.body_mut() = B::default();
    response
}

/// Answers a request of nobody that is known.
pub fn unauthenticated(error: AuthError) -> Response<Body> {
    problem::unauthenticated(error).into_response()
}

/// Answers a request of a caller that has had what one may have.
pub fn caller_limit_reached(reached: CallerLimitReached) -> Response<Body> {
    Problem::from(reached).into_response()
}

/// Returns 403 for a caller who may not see what the server counts.
pub fn metrics_denied() -> Response<Body> {
    problem::metrics_denied().into_response()
}

/// Returns 403 for a caller to whom the policy gives nothing.
pub fn nothing_allowed() -> Response<Body> {
    no_role().into_response()
}

/// Returns 403 for a request that is sent to a name which is not this machine's.
pub fn host_not_allowed() -> Response<Body> {
    problem::host_not_allowed().into_response()
}

/// Tells whether a path is one of HTTP's.
fn has_path(path: &str) -> bool {
    let under = |root: &str| {
        path.strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    under(SPARQL_PATH) || under(STORE_PATH) || path == CHANGES_PATH || is_health(path)
}

/// Tells whether a path is one of health.
pub fn is_health(path: &str) -> bool {
    path == LIVE_PATH || path == READY_PATH
}

async fn dispatch(
    api: Option<&HttpApi>,
    is_draining: bool,
    request: Request<Incoming>,
) -> Result<Response<Body>, Problem> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    if !has_path(path) {
        return Err(no_such_path(path));
    }
    if is_health(path) {
        let writes = api.map_or(Writes::Open, |HttpApi(api)| *api.knowledge.writes().borrow());
        let why_not = match (path, api, is_draining) {
            (LIVE_PATH, ..) | (_, Some(_), false) => None,
            (_, _, true) => Some("the server is shutting down"),
            (_, None, false) => Some("the server is starting: the log is being replayed"),
        };
        return health(&parts.method, why_not, writes);
    }
    let Some(HttpApi(api)) = api else {
        return Err(unavailable("the server is starting: the log is being replayed"));
    };
    if parts.method == Method::OPTIONS {
        return Ok(no_content());
    }
    if !cors::may_send(&parts, &api.origins) {
        return Err(origin_not_allowed());
    }
    access(&parts)?;
    match path {
        SPARQL_PATH | "/sparql/" => sparql::answer(api, &parts, body).await,
        CHANGES_PATH => changes::answer(api, &parts).await,
        path if path.starts_with(STORE_PATH) => store::answer(api, &parts, body).await,
        path => Err(no_such_path(path)),
    }
}

fn health(method: &Method, why_not: Option<&'static str>, writes: Writes) -> Result<Response<Body>, Problem> {
    if method != Method::GET && method != Method::HEAD {
        return Err(method_not_allowed(method, "GET, HEAD"));
    }
    if let Some(why_not) = why_not {
        return Err(unavailable(why_not));
    }
    let text = match writes {
        Writes::Open => "ok\n",
        Writes::DiskFull => "ok, but the disk is full: writes are refused until there is room\n",
        Writes::LogUnavailable | Writes::Ended => {
            "ok, but writes are refused until the server is started again: its log has the cause\n"
        }
    };
    let mut response = Response::new(Body::from(text.as_bytes().to_vec()));
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    Ok(response)
}

fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn revision_header(headers: &mut HeaderMap, revision: u64) {
    headers.insert(REVISION, revision.into());
}

/// Returns the host and port that a request is sent to, as its caller knows them.
fn authority<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    // What is no text is no host either.
    let host = || Some(headers.get(header::HOST)?.to_str().unwrap_or_default());
    uri.authority().map(Authority::as_str).or_else(host)
}

/// Returns the IRI of what a request is about, without the parameters, as its caller knows it.
fn resource(parts: &Parts, path: &str) -> Result<NamedNode, Problem> {
    let scheme = parts.uri.scheme_str().unwrap_or("http");
    let authority =
        authority(&parts.uri, &parts.headers).ok_or_else(|| invalid("the request names no host"))?;
    NamedNode::new(format!("{scheme}://{authority}{path}"))
        .map_err(|_| invalid(format!("`{authority}{path}` makes no IRI")))
}
