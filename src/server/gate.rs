//! The gate that every request passes: who makes it, and what that caller may do.

use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderValue, Request, header};
use tokio::sync::watch;

use super::{
    admitted::{Admitted, Refusal},
    audit::{self, Audit, AuditedRequest, Denial},
    connection::LetIn,
    metrics::Metrics,
    sparing::Sparing,
};
use crate::{
    auth::{Accounts, AuthError, Authenticator, Authorizer, Caller, ClientName, Presented, Shown, Tenure},
    grpc::call::Peer,
    http as api,
    model::access::Access,
};

/// Where the methods of health are.
pub(super) const HEALTH_PATH: &str = "/grpc.health.v1.Health/";

/// What is asked of those who make requests.
pub(super) struct Gate {
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) authorizer: Authorizer,
    /// Marked whenever tokens, keys or the policy were read anew.
    pub(super) renewed: watch::Receiver<()>,
    pub(super) accounts: Accounts,
    pub(super) audit: Audit,
    pub(super) metrics: Metrics,
    pub(super) log: Sparing,
    /// Whether others see to it under which names the server is reached.
    pub(super) takes_any_host: bool,
}

impl Gate {
    /// Learns who makes a request and what that caller may do, and hands both on with it: every request of every protocol passes
    /// here. Only health is told to strangers, and to whoever has had enough. Its [`Tenure`] goes with it.
    pub(super) async fn admit<B>(&self, request: &mut Request<B>) -> Result<Admitted, Refusal> {
        let path = request.uri().path();
        if path.starts_with(HEALTH_PATH) || api::is_health(path) {
            return Ok(Admitted::default());
        }
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        let denied = |caller: Option<&Caller>, refusal: Refusal| {
            self.tell(Denial {
                caller,
                peer,
                path: audit::cut(path),
                reason: refusal.reason(),
                cause: refusal.cause(),
            });
            refusal
        };
        let shown = self.identify(request.headers(), request.extensions()).await;
        let shown = shown.map_err(|error| denied(None, error.into()))?;
        if let Some(let_in) = request.extensions().get::<LetIn>() {
            let_in.set();
        }
        let caller = Arc::clone(shown.caller());
        let account = self.accounts.of(&caller, peer.map(|peer| peer.ip()));
        let admitted = account.clone().map(Admitted::of).transpose();
        let admitted = admitted.map_err(|reached| denied(Some(&caller), reached.into()))?;
        let audited = self.audit.request(&caller, peer, path);
        let access = self.authorizer.access(&caller).map(|access| match &audited {
            Some(request) => access.before(Arc::<AuditedRequest>::clone(request)),
            None => access,
        });
        let extensions = request.extensions_mut();
        if let Some(access) = access {
            if !self.authenticator.is_open() {
                let certificate = extensions.get::<Arc<ClientName>>().cloned();
                extensions.insert(self.tenure(shown, certificate, access.clone()));
            }
            extensions.insert(access);
        }
        if let Some(account) = account {
            extensions.insert(account);
        }
        extensions.insert(caller);
        Ok(admitted.unwrap_or_default().told(&self.metrics, audited))
    }

    /// Tells whether a browser's request is refused for the name that it is sent to: where nobody is asked, a page that gives this
    /// machine a name of its own would be answered.
    pub(super) fn refuses_host<B>(&self, request: &Request<B>) -> bool {
        if self.takes_any_host || !self.authenticator.is_open() || api::cors::is_sent_to_this_machine(request)
        {
            return false;
        }
        self.tell(Denial {
            caller: None,
            peer: request.extensions().get::<Peer>().map(|peer| peer.0),
            path: audit::cut(request.uri().path()),
            reason: api::HOST_NOT_ALLOWED,
            cause: "sent to a name that is not this machine's",
        });
        true
    }

    fn tell(&self, denial: Denial<'_>) {
        let Denial {
            peer, path, cause, ..
        } = denial;
        self.log
            .say(|others| tracing::info!(cause, ?peer, path, others, "refused a request"));
        self.metrics.denied(denial.reason);
        self.audit.denied(denial);
    }

    fn tenure(&self, shown: Shown, certificate: Option<Arc<ClientName>>, access: Access) -> Tenure {
        let (authenticator, authorizer) = (Arc::clone(&self.authenticator), self.authorizer.clone());
        let renewed = self.renewed.clone();
        Tenure::new(authenticator, authorizer, shown, certificate, access, renewed)
    }

    async fn identify(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Shown, AuthError> {
        let presented = Presented {
            authorization: authorization(headers)?,
            certificate: extensions.get::<Arc<ClientName>>(),
        };
        self.authenticator.identify(presented).await
    }
}

/// Returns the header that shows who calls. With two of them it is not known which one was checked elsewhere.
fn authorization(headers: &HeaderMap) -> Result<Option<&[u8]>, AuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(_), Some(_)) => Err(AuthError::Invalid("several headers authorization")),
        (value, _) => Ok(value.map(HeaderValue::as_bytes)),
    }
}
