//! Where what shows who calls is read from: the file of tokens, the keys of JWTs.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use super::fresh::{Fresh, received};
use crate::{
    auth::{
        Accounts, Authenticator, Authorizer, CallerLimits, JwtSettings, KeyCache, KeySet, KeySetFault,
        KeyTimes, Keys, Policy, PolicyError, Tokens, TokensFault,
    },
    config::{JwksPlace, JwtIncomplete, ServeSettings},
    remote::{FetchLimits, Request, Target, Watch},
};

const TOKENS_BYTES_MAX: u64 = 64 << 20;
const KEYS_BYTES_MAX: u64 = 1 << 20;
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const KEYS_MEDIA_TYPES: &str = "application/jwk-set+json, application/json";

/// Returns the accounts of callers.
pub(super) fn accounts(settings: &ServeSettings) -> Accounts {
    let auth = &settings.auth;
    Accounts::new(CallerLimits {
        requests_per_minute: auth.caller_requests_per_minute,
        query_seconds_per_minute: auth.caller_query_seconds_per_minute,
        stream_count_max: auth.caller_stream_count_max,
        query_count_max: auth.caller_query_count_max,
    })
}

/// Why nobody could be known.
#[derive(Debug, thiserror::Error)]
pub enum CallersError {
    /// A file cannot be read.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A file is larger than what is read of one.
    #[error("{path}: it is larger than {bytes_max} bytes", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What is read.
        bytes_max: u64,
    },
    /// There is no file of tokens yet.
    #[error(
        "{path}: there is no such file; `dossier token create --tokens {path} --name NAME --role ROLE` makes it, with a token",
        path = path.display()
    )]
    NoTokens {
        /// The file.
        path: PathBuf,
    },
    /// The file of tokens is none.
    #[error("{path}: {fault}", path = path.display())]
    Tokens {
        /// The file.
        path: PathBuf,
        /// Why not.
        fault: TokensFault,
    },
    /// The file of keys is none.
    #[error("{path}: {fault}", path = path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// Why not.
        fault: KeySetFault,
    },
    /// The policy is none; the message says where.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// What JWTs are known by is not whole.
    #[error(transparent)]
    Jwt(#[from] JwtIncomplete),
}

/// What callers are known by.
pub(super) struct Callers {
    policy: Option<Arc<Fresh<Policy, CallersError>>>,
    tokens: Option<Arc<Fresh<Tokens, CallersError>>>,
    keys: Option<(JwtSettings, Place)>,
    /// The roles that a certificate brings, if clients must have one.
    certificate_roles: Option<Vec<String>>,
    /// Marked whenever one of these was read anew.
    renewed: watch::Sender<()>,
}

enum Place {
    File(Arc<Fresh<KeySet, CallersError>>),
    Url(Arc<KeyCache>),
}

impl Callers {
    /// Reads the files. Keys of a URL are fetched later: what is there need not be up before this server. `stale` counts what
    /// cannot be read anew.
    pub(super) fn load(settings: &ServeSettings, stale: &Gauge) -> Result<Self, CallersError> {
        let auth = &settings.auth;
        let renewed = watch::Sender::default();
        let policy = match auth.policy.clone() {
            None => None,
            Some(path) => {
                let paths = vec![path.clone()];
                let read = move || Ok(Policy::read(&path)?);
                Some(Arc::new(
                    Fresh::load("the policy", paths, read)?.telling(&renewed, stale),
                ))
            }
        };
        let tokens = match auth.tokens.clone() {
            None => None,
            Some(path) => {
                let paths = vec![path.clone()];
                let tokens = Fresh::load("the tokens", paths, move || tokens(&path))?;
                Some(Arc::new(tokens.telling(&renewed, stale)))
            }
        };
        let keys = match auth.jwt()? {
            None => None,
            Some(jwt) => {
                let claims = JwtSettings {
                    issuer: jwt.issuer.to_owned(),
                    audience: jwt.audience.to_owned(),
                    roles_claim: auth.jwt_roles_claim.clone(),
                };
                let place = match jwt.jwks.clone() {
                    JwksPlace::File(path) => {
                        let paths = vec![path.clone()];
                        let keys = Fresh::load("the keys of JWTs", paths, move || keys(&path))?;
                        Place::File(Arc::new(keys.telling(&renewed, stale)))
                    }
                    JwksPlace::Url(target) => {
                        let times = KeyTimes {
                            refresh_after: auth.jwks_refresh,
                            expire_after: auth.jwks_age_max,
                        };
                        let keys = KeyCache::telling(renewed.clone(), times, move || fetch(&target));
                        Place::Url(Arc::new(keys))
                    }
                };
                Some((claims, place))
            }
        };
        Ok(Self {
            policy,
            tokens,
            keys,
            certificate_roles: settings
                .tls_client_ca
                .as_ref()
                .map(|_| auth.certificate_roles.clone()),
            renewed,
        })
    }

    /// Returns what tells what callers may do.
    pub(super) fn authorizer(&self) -> Authorizer {
        match &self.policy {
            None => Authorizer::default(),
            Some(policy) => Authorizer::new(policy.value()),
        }
    }

    /// Marks whenever tokens, keys, the policy, or what else callers are known by were read anew.
    pub(super) fn renewed(&self) -> &watch::Sender<()> {
        &self.renewed
    }

    /// Returns where the keys of JWTs come from, if they are those of a URL.
    pub(super) fn key_cache(&self) -> Option<Arc<KeyCache>> {
        match &self.keys {
            Some((_, Place::Url(cache))) => Some(Arc::clone(cache)),
            _ => None,
        }
    }

    /// Returns what tells who calls.
    pub(super) fn authenticator(&self) -> Authenticator {
        let mut authenticator = Authenticator::open();
        if let Some(tokens) = &self.tokens {
            authenticator = authenticator.with_tokens(tokens.value());
        }
        if let Some((claims, place)) = &self.keys {
            let keys = match place {
                Place::File(keys) => Keys::Local(keys.value()),
                Place::Url(cache) => Keys::Remote(Arc::clone(cache)),
            };
            authenticator = authenticator.with_jwt(claims.clone(), keys);
        }
        if let Some(roles) = &self.certificate_roles {
            authenticator = authenticator.with_certificates(roles.clone());
        }
        authenticator
    }

    /// Keeps what callers are known by as new as it is elsewhere.
    pub(super) fn keep_fresh(&self, keepers: &mut JoinSet<()>) {
        if let Some(policy) = &self.policy {
            keepers.spawn(Arc::clone(policy).keep());
        }
        if let Some(tokens) = &self.tokens {
            keepers.spawn(Arc::clone(tokens).keep());
        }
        match &self.keys {
            Some((_, Place::File(keys))) => drop(keepers.spawn(Arc::clone(keys).keep())),
            Some((_, Place::Url(cache))) => {
                keepers.spawn(Arc::clone(cache).keep());
                keepers.spawn(fetch_on_hang_up(Arc::clone(cache)));
            }
            None => {}
        }
    }
}

async fn fetch_on_hang_up(cache: Arc<KeyCache>) {
    let mut hang_ups = signal(SignalKind::hangup()).ok();
    loop {
        received(&mut hang_ups).await;
        cache.refresh().await;
    }
}

fn tokens(path: &Path) -> Result<Tokens, CallersError> {
    let text = read(path, TOKENS_BYTES_MAX).map_err(|error| match error {
        CallersError::File { path, error } if error.kind() == io::ErrorKind::NotFound => {
            CallersError::NoTokens { path }
        }
        error => error,
    })?;
    let text = String::from_utf8_lossy(&text);
    Tokens::parse(&text).map_err(|fault| CallersError::Tokens {
        path: path.to_owned(),
        fault,
    })
}

fn keys(path: &Path) -> Result<KeySet, CallersError> {
    KeySet::parse(&read(path, KEYS_BYTES_MAX)?).map_err(|fault| CallersError::Keys {
        path: path.to_owned(),
        fault,
    })
}

fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, CallersError> {
    let in_file = |error| CallersError::File {
        path: path.to_owned(),
        error,
    };
    if fs::metadata(path).map_err(in_file)?.len() > bytes_max {
        return Err(CallersError::TooLarge {
            path: path.to_owned(),
            bytes_max,
        });
    }
    fs::read(path).map_err(in_file)
}

fn fetch(target: &Target) -> Result<Vec<u8>, String> {
    let request = Request::Get {
        accept: KEYS_MEDIA_TYPES,
    };
    let limits = FetchLimits {
        timeout: FETCH_TIMEOUT,
        body_bytes_max: usize::try_from(KEYS_BYTES_MAX).unwrap_or(usize::MAX),
    };
    let watch = Watch {
        deadline: None,
        is_stopped: Arc::new(|| false),
    };
    let answer = target.fetch(request, limits, &watch, &mut |_| true);
    answer
        .map(|answer| answer.body)
        .map_err(|error| format!("{}: {error}", target.without_query()))
}
