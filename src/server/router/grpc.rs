//! Calls of gRPC: from the path of a call to its service.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio_util::sync::CancellationToken;
use tonic::{
    body::Body,
    codegen::{Service as _, StdError},
};

use super::Router;
use crate::{
    auth::Tenure,
    grpc::{
        admission::Place,
        call::{self, BrokenOff, Deadline, End, Ending, Lasting, Watched},
        status::{admin_only, lapsed, status, unavailable},
    },
    proto::v1,
    server::{admitted::held, connection::GivesWay, gate::HEALTH_PATH, services::SERVICE_NAMES},
};

const IMPORT_PATH: &str = "/dossier.v1.WriteService/Import";
const WATCH_PATH: &str = "/dossier.v1.ChangeService/Watch";
const REFLECTION_PATH: &str = "/grpc.reflection.";
const REFLECTION: &str = "grpc.reflection.v1.ServerReflection";
const REFLECTION_ALPHA: &str = "grpc.reflection.v1alpha.ServerReflection";
const ADMIN_PATH: &str = "/dossier.v1.AdminService/";
/// The time that a message about health has to come: strangers may be silent for no longer.
const HEALTH_MESSAGE_MAX: Duration = Duration::from_secs(5);
const SERVER_INFO_PATH: &str = "/dossier.v1.AdminService/GetServerInfo";

impl Router {
    /// Answers one call. Everything that is not a response is one with a status.
    pub(super) async fn grpc<B>(&self, mut request: Request<B>) -> Result<Response<Body>, Infallible>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<StdError> + Send + 'static,
    {
        let path = request.uri().path();
        let log = tracing::enabled!(tracing::Level::DEBUG).then(|| (Instant::now(), path.to_owned()));
        let counted = self.metrics.call(path, request.headers());
        let is_health = path.starts_with(HEALTH_PATH);
        let place = self.admission.place(path, counted.is_stream());
        // A watch knows itself of its end, and where to go on.
        let lasting = if !counted.is_stream() || path == WATCH_PATH {
            Lasting::Itself
        } else if is_health || path.starts_with(REFLECTION_PATH) {
            Lasting::Endless
        } else {
            Lasting::Stream
        };
        let admitting = self.gate.admit(&mut request);
        let admitted = match counted.request().scope(admitting).await {
            Ok(admitted) => admitted,
            Err(refusal) => return Ok(counted.answered(refusal.over_grpc())),
        };
        let counted = counted.traced(request.headers()).told(admitted.denials());
        let working = counted.request().clone();
        let deadline = match call::deadline_of(request.headers()) {
            Ok(deadline) => deadline,
            Err(status) => return Ok(counted.answered(status.into_http())),
        };
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(Deadline(deadline));
        }
        // Held to the answer, whatever a handler makes of the extensions.
        if let Some(place) = &place {
            request.extensions_mut().insert(Arc::clone(place));
        }
        let stranger = if is_health {
            self.strangers.begin(request.extensions_mut())
        } else {
            None
        };
        let knowledge = self.services.get().map(|services| services.knowledge.clone());
        let extensions = request.extensions();
        let end = extensions
            .get::<Ending>()
            .map(|ending| End::new(ending, knowledge, lasting));
        let tenure = extensions.get::<Tenure>().filter(|_| lasting != Lasting::Itself);
        let tenure = tenure.cloned();
        // Boxed, as each of what lies around it would have room for it again.
        let dispatched = Box::pin(self.dispatch(request));
        let answering = async { call::answer(dispatched, deadline, end, tenure).await };
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
        let response = admitted.answered(counted.answered(response));
        let Some(stranger) = stranger else {
            return Ok(response);
        };
        let gives_way = GivesWay(stranger.gives_way());
        let mut response = response.map(|body| held(body, stranger));
        response.extensions_mut().insert(gives_way);
        Ok(response)
    }

    /// Hands a call to its service.
    async fn dispatch<B>(&self, mut request: Request<B>) -> Result<Response<Body>, Infallible>
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
            let request = request.map(|body| self.bodies.receive_small(body).within(HEALTH_MESSAGE_MAX));
            let answering = self.health.clone().call(request);
            return answering.await;
        }
        let mut names = SERVICE_NAMES.into_iter().chain([REFLECTION, REFLECTION_ALPHA]);
        let Some(service) = names.find(|&name| name == service) else {
            return Ok(unimplemented(path).into_http());
        };
        if let Err(denied) = may_call(&request) {
            return Ok(denied.into_http());
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
            return Ok(answering.await?.map(|body| held(body, guard)));
        }
        let Some(services) = self.services.get() else {
            let starting = unavailable("the server is starting: the log is being replayed");
            return Ok(starting.into_http());
        };
        if is_import {
            // It waits for its caller as long as it finds right, and keeps no more than some chunks.
            let broken_off = BrokenOff::default();
            request.extensions_mut().insert(broken_off.clone());
            let request = request.map(|body| Watched::new(body, broken_off));
            let answering = services.import.clone().call(request);
            return answering.await;
        }
        let working = async {
            let request = match self.receive(request).await {
                Ok(request) => request,
                Err(refused) => return Ok(refused.into_http()),
            };
            let answering = match service {
                "dossier.v1.EntityService" => services.entity.clone().call(request),
                "dossier.v1.FactService" => services.fact.clone().call(request),
                "dossier.v1.SparqlService" => services.sparql.clone().call(request),
                "dossier.v1.ChangeService" => services.change.clone().call(request),
                "dossier.v1.AdminService" => services.admin.clone().call(request),
                _ => services.write.clone().call(request),
            };
            answering.await
        };
        self.bodies.intake().hold().during(working).await
    }

    /// Receives a request until it is whole, if its caller may make it as long as that takes. Then it takes its place, if it
    /// needs one.
    async fn receive<B>(&self, request: Request<B>) -> Result<Request<Full<Bytes>>, tonic::Status>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
        B::Error: Into<StdError>,
    {
        let (parts, body) = request.into_parts();
        let tenure = parts.extensions.get::<Tenure>().cloned();
        let body = tokio::select! {
            biased;
            body = self.bodies.whole(body) => body?,
            lapse = Tenure::over(tenure) => return Err(lapsed(lapse)),
        };
        if let Some(place) = parts.extensions.get::<Arc<Place>>() {
            place.take()?;
        }
        Ok(Request::from_parts(parts, body))
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

pub(super) fn unimplemented(path: &str) -> tonic::Status {
    let message = format!("there is no method {path}");
    status(
        tonic::Code::Unimplemented,
        v1::ErrorReason::Unimplemented,
        message,
        [],
    )
}
