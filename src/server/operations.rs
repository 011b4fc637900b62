//! The listener for probes and scrapers: health and counts, over HTTP and gRPC, always in plain text.
//!
//! Kubernetes' probes speak no TLS and have no credentials. Nothing of the graph is to be had here.

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response};
use hyper::body::Incoming;
use tonic::body::Body;

use super::{
    connection::{Answers, LetIn},
    router::Router,
};

/// Answers probes and scrapers.
pub(super) struct Operations(pub(super) Arc<Router>);

impl Answers for Operations {
    async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        // Here everybody is.
        if let Some(let_in) = request.extensions().get::<LetIn>() {
            let_in.set();
        }
        self.0.operations(request).await
    }
}
