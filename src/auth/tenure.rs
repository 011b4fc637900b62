//! How long what a request showed holds: a stream may go on for longer.

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{sync::watch, time::sleep};

use super::{AuthError, Authenticator, Authorizer, Caller, ClientName, keys::Key, now_seconds, token::Hash};
use crate::model::access::Access;

/// However far away the end is, clocks are set and keys grow old meanwhile.
const LOOK_INTERVAL_MAX: Duration = Duration::from_mins(1);

/// Who makes a request, and by what that is known. No secret is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    pub(super) caller: Arc<Caller>,
    pub(super) evidence: Evidence,
}

/// What is needed to ask again.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Evidence {
    /// Nobody is asked.
    None,
    /// A token.
    Token { hash: Hash, expires_at: Option<u64> },
    /// The key that has signed a JWT.
    Jwt { key: Arc<Key>, expires_at: u64 },
    /// A certificate, whose roles are those of the settings.
    Certificate(Arc<ClientName>),
}

impl Shown {
    /// Returns who makes the request.
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// Returns from when it holds no longer, in seconds since 1970.
    pub(super) fn expires_at(&self) -> Option<u64> {
        match &self.evidence {
            Evidence::None => None,
            Evidence::Token { expires_at, .. } => *expires_at,
            Evidence::Jwt { expires_at, .. } => Some(*expires_at),
            Evidence::Certificate(name) => Some(name.expires_at()),
        }
    }
}

/// Why a stream that was let in may not go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Lapse {
    /// Its credential is good no longer.
    #[error(transparent)]
    Credentials(#[from] AuthError),
    /// Its caller may do nothing any more.
    #[error("the policy gives you no role any more")]
    NoRole,
    /// Its caller may do less than when it began.
    #[error("the policy gives you less than when the call began: begin it again")]
    AccessReduced,
}

impl Lapse {
    /// Returns what the operator hears.
    fn cause(self) -> &'static str {
        match self {
            Self::Credentials(error) => error.cause(),
            Self::NoRole => "no role any more",
            Self::AccessReduced => "less access than when the call began",
        }
    }
}

/// How long a stream may go on: as long as its caller would be let in again, with no less to be had.
#[derive(Clone, Debug)]
pub struct Tenure {
    authenticator: Arc<Authenticator>,
    authorizer: Authorizer,
    shown: Shown,
    /// What the connection was made with, also where something else shows who calls.
    certificate: Option<Arc<ClientName>>,
    access: Access,
    /// Marked whenever tokens, keys or the policy were read anew.
    renewed: watch::Receiver<()>,
}

impl Tenure {
    /// Returns the tenure of a caller that was let in with an access.
    pub fn new(
        authenticator: Arc<Authenticator>,
        authorizer: Authorizer,
        shown: Shown,
        certificate: Option<Arc<ClientName>>,
        access: Access,
        renewed: watch::Receiver<()>,
    ) -> Self {
        Self {
            authenticator,
            authorizer,
            shown,
            certificate,
            access,
            renewed,
        }
    }

    /// Waits until the stream may not go on, and returns why. Without a tenure that is never.
    pub async fn over(tenure: Option<Self>) -> Lapse {
        let Some(mut tenure) = tenure else {
            return pending().await;
        };
        // What was read anew by now is seen by the first look.
        tenure.renewed.mark_unchanged();
        loop {
            if let Err(lapse) = tenure.check() {
                let subject = tenure.shown.caller.subject.as_str();
                let cause = lapse.cause();
                tracing::info!(subject, cause, "ending a call");
                if let Some(witness) = tenure.access.witness() {
                    witness.lapsed(cause);
                }
                return lapse;
            }
            tokio::select! {
                () = sleep(tenure.time()) => {}
                () = renewal(&mut tenure.renewed) => {}
            }
        }
    }

    fn check(&mut self) -> Result<(), Lapse> {
        if let Some(certificate) = &self.certificate {
            certificate.confirm(now_seconds())?;
        }
        self.shown = self.authenticator.confirm(&self.shown)?;
        let access = self.authorizer.access(&self.shown.caller);
        let access = access.ok_or(Lapse::NoRole)?;
        if access.covers(&self.access) {
            Ok(())
        } else {
            Err(Lapse::AccessReduced)
        }
    }

    /// Returns when to look again at the latest.
    fn time(&self) -> Duration {
        let certificate = self.certificate.as_ref().map(|name| name.expires_at());
        let first = self.shown.expires_at().into_iter().chain(certificate).min();
        let end = first.and_then(|seconds| {
            let end = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
            // What has ended since it was looked at is looked at at once.
            Some(end.duration_since(SystemTime::now()).unwrap_or_default())
        });
        let end = end.unwrap_or(LOOK_INTERVAL_MAX);
        end.clamp(Duration::from_millis(1), LOOK_INTERVAL_MAX)
    }
}

async fn renewal(renewed: &mut watch::Receiver<()>) {
    if renewed.changed().await.is_err() {
        // Nothing is read anew any more.
        pending::<()>().await;
    }
}
