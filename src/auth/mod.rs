//! Who is calling, and how much each may ask for.
//!
//! Every request is made by a [`Caller`], whom the server learns in one place (`server/gate.rs`) from what the request
//! [presents](Presented), and hands on as an extension of the request, an `Arc<Caller>`. Nothing here knows of gRPC, of HTTP, or
//! of the graph, and nothing but the policy reads files or fetches URLs: the server does.
//!
//! No credential is kept, logged or told: of a token there is its SHA-256, of a JWT what it claims.

mod authorizer;
mod certificate;
mod claims;
mod der;
mod jwt;
mod key_cache;
mod keys;
mod limits;
mod policy;
mod tenure;
mod token;
mod verified;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;

use keys::Key;
use tenure::Evidence;
use verified::Verified;

pub use authorizer::Authorizer;
pub use certificate::ClientName;
pub use claims::Claims;
pub use jwt::JwtSettings;
pub use key_cache::{KeyCache, KeyTimes};
pub use keys::{KeySet, KeySetFault};
pub use limits::{
    Account, Accounts, CallerLimit, CallerLimitReached, CallerLimits, Left, OpenQuery, OpenRequest, network,
};
pub use policy::{Policy, PolicyError};
pub use tenure::{Lapse, Shown, Tenure};
pub use token::{NewToken, TokenRecord, Tokens, TokensFault};

/// Bytes of the name of a caller.
const SUBJECT_BYTES_MAX: usize = 256;
/// Bytes of a JWT that is kept at hand once it is verified: those that are kept have 16 MiB together.
const KEPT_TOKEN_BYTES_MAX: usize = 4 << 10;
/// The scheme of the header `authorization` (RFC 6750), in lower case.
const BEARER: &[u8] = b"bearer ";

/// Who makes a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// Who it is: the name of a token, `sub` of a JWT, the name in a certificate. It tells callers apart only together with the
    /// kind of the credential.
    pub subject: String,
    /// The names of the roles that the credential brings. What they allow is not said here.
    pub roles: Vec<String>,
    /// What shows who it is.
    pub credential: Credential,
}

/// What shows who a caller is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Credential {
    /// Nothing: the server asks nobody. It listens on loopback alone, or was told to be insecure.
    None,
    /// A token that this server's operator made.
    Token,
    /// A JSON Web Token (RFC 7519).
    Jwt,
    /// A certificate of the connection.
    Certificate,
}

impl Credential {
    /// Returns its name, for logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Token => "token",
            Self::Jwt => "jwt",
            Self::Certificate => "certificate",
        }
    }
}

impl Caller {
    /// Returns whoever calls a server that asks nobody.
    pub fn anonymous() -> Self {
        Self {
            subject: "anonymous".to_owned(),
            roles: Vec::new(),
            credential: Credential::None,
        }
    }

    /// Returns whom the log names as the author of what this caller commits; empty if nothing shows who it is.
    pub fn author(&self) -> &str {
        match self.credential {
            Credential::None => "",
            Credential::Token | Credential::Jwt | Credential::Certificate => &self.subject,
        }
    }
}

/// Why a request is not answered: who makes it is not known. The caller hears the kind alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AuthError {
    /// It shows no credential.
    #[error("the request has no credentials")]
    Missing,
    /// It shows what is none, or none of this server's. The cause is for the operator.
    #[error("the credentials are not valid")]
    Invalid(&'static str),
    /// The time of the credential is over.
    #[error("the credentials have expired")]
    Expired,
    /// The time of the credential has not begun.
    #[error("the credentials are not valid yet")]
    NotYetValid,
    /// The keys that would tell are not to be had now.
    #[error("credentials of this kind cannot be checked at the moment")]
    Unverifiable,
}

impl AuthError {
    /// Returns the cause, for the operator alone.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Invalid(cause) => cause,
            Self::Missing => "no credentials",
            Self::Expired => "expired",
            Self::NotYetValid => "not valid yet",
            Self::Unverifiable => "no key that would tell is to be had",
        }
    }
}

/// What a request shows of who makes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'r> {
    /// The header `authorization`.
    pub authorization: Option<&'r [u8]>,
    /// The certificate of the connection, which was checked when it began.
    pub certificate: Option<&'r Arc<ClientName>>,
}

/// Tells who calls.
#[derive(Debug)]
pub struct Authenticator {
    tokens: Option<Arc<ArcSwap<Tokens>>>,
    jwt: Option<(JwtSettings, Keys)>,
    verified: Verified,
    /// The roles that a certificate brings, if certificates are accepted.
    certificate_roles: Option<Vec<String>>,
    anonymous: Arc<Caller>,
}

/// Where the keys of JWTs come from.
#[derive(Clone, Debug)]
pub enum Keys {
    /// A file, or another place that always has an answer.
    Local(Arc<ArcSwap<KeySet>>),
    /// A URL.
    Remote(Arc<KeyCache>),
}

impl Keys {
    /// Returns the keys that are at hand.
    fn current(&self) -> Option<Arc<KeySet>> {
        match self {
            Self::Local(keys) => Some(keys.load_full()),
            Self::Remote(cache) => cache.current(),
        }
    }

    /// Tells whether a key is still one of them; an error if that is not known.
    fn have(&self, key: &Key) -> Result<bool, AuthError> {
        match self {
            Self::Local(keys) => Ok(keys.load().has(key)),
            Self::Remote(cache) => cache.has(key).ok_or(AuthError::Unverifiable),
        }
    }
}

impl Authenticator {
    /// Returns one that asks nobody, until it is told what shows who calls.
    pub fn open() -> Self {
        Self {
            tokens: None,
            jwt: None,
            verified: Verified::default(),
            certificate_roles: None,
            anonymous: Arc::new(Caller::anonymous()),
        }
    }

    /// Accepts tokens.
    #[must_use]
    pub fn with_tokens(mut self, tokens: Arc<ArcSwap<Tokens>>) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Accepts JWTs.
    #[must_use]
    pub fn with_jwt(mut self, settings: JwtSettings, keys: Keys) -> Self {
        self.jwt = Some((settings, keys));
        self
    }

    /// Accepts certificates of connections, which bring these roles.
    #[must_use]
    pub fn with_certificates(mut self, roles: Vec<String>) -> Self {
        self.certificate_roles = Some(roles);
        self
    }

    /// Tells whether nobody is asked.
    pub fn is_open(&self) -> bool {
        self.tokens.is_none() && self.jwt.is_none() && self.certificate_roles.is_none()
    }

    /// Returns who calls, and how that is known. It waits only where the key of a JWT must be fetched.
    ///
    /// What a header shows counts, and a certificate without one: a fault of the first is not made good by the second.
    pub async fn identify(&self, presented: Presented<'_>) -> Result<Shown, AuthError> {
        if self.is_open() {
            return Ok(Shown {
                caller: Arc::clone(&self.anonymous),
                evidence: Evidence::None,
            });
        }
        if let Some(name) = presented.certificate {
            // Without it there would be no connection, whatever else is shown.
            name.confirm(now_seconds())?;
        }
        if let Some(authorization) = presented.authorization {
            return self.bearer(token_of(authorization)?).await;
        }
        if let (Some(roles), Some(name)) = (&self.certificate_roles, presented.certificate) {
            let caller = name.caller(now_seconds())?;
            let caller = Caller {
                roles: roles.clone(),
                ..Caller::clone(&caller)
            };
            return Ok(Shown {
                caller: Arc::new(caller),
                evidence: Evidence::Certificate(Arc::clone(name)),
            });
        }
        Err(AuthError::Missing)
    }

    /// Asks again what somebody has shown who was let in before.
    fn confirm(&self, shown: &Shown) -> Result<Shown, AuthError> {
        let now = now_seconds();
        match (&shown.evidence, &self.tokens, &self.jwt) {
            (Evidence::None, ..) => {}
            (Evidence::Certificate(name), ..) => drop(name.caller(now)?),
            (Evidence::Token { hash, .. }, Some(tokens), _) => return tokens.load().find(*hash, now),
            (Evidence::Jwt { key, expires_at }, _, Some((_, keys))) => {
                if now >= *expires_at {
                    return Err(AuthError::Expired);
                }
                if !keys.have(key)? {
                    return Err(AuthError::Invalid("the key of the JWT was taken back"));
                }
            }
            (Evidence::Token { .. } | Evidence::Jwt { .. }, ..) => {
                return Err(AuthError::Invalid("credentials of this kind are not accepted"));
            }
        }
        Ok(shown.clone())
    }

    async fn bearer(&self, token: &str) -> Result<Shown, AuthError> {
        if token::is_token(token) {
            let Some(tokens) = &self.tokens else {
                return Err(AuthError::Invalid("tokens are not accepted"));
            };
            return tokens.load().identify(token, now_seconds());
        }
        let Some((settings, keys)) = &self.jwt else {
            return Err(AuthError::Invalid("neither a token nor a JWT that is accepted"));
        };
        let hash = token::hash_of(token);
        if let Some(keys) = keys.current()
            && let Some(shown) = self.verified.find(&keys, &hash, now_seconds())
        {
            return shown;
        }
        let jwt = jwt::Jwt::parse(token)?;
        let (claims, key) = match keys {
            Keys::Local(keys) => jwt.verify(&keys.load())?,
            Keys::Remote(cache) => cache.verify(&jwt).await?,
        };
        let (caller, expires_at) = claims.caller(settings, now_seconds())?;
        let shown = Shown {
            caller: Arc::new(caller),
            evidence: Evidence::Jwt {
                key: Arc::clone(&key),
                expires_at,
            },
        };
        // Others may have come meanwhile.
        if token.len() <= KEPT_TOKEN_BYTES_MAX
            && let Some(keys) = keys.current()
            && keys.has(&key)
        {
            self.verified.keep(&keys, hash, shown.clone());
        }
        Ok(shown)
    }
}

/// Returns the token of a header `authorization`.
fn token_of(authorization: &[u8]) -> Result<&str, AuthError> {
    let (scheme, token) = authorization
        .split_at_checked(BEARER.len())
        .ok_or(AuthError::Invalid("the header authorization has no token"))?;
    if !scheme.eq_ignore_ascii_case(BEARER) {
        return Err(AuthError::Invalid("another scheme than Bearer"));
    }
    let token = std::str::from_utf8(token).map_err(|_| AuthError::Invalid("the token is no text"))?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(is_token) {
        return Err(AuthError::Invalid("the token has characters that none has"));
    }
    Ok(token)
}

/// Tells whether a text can name a caller: a line of a log has it as it is.
fn is_subject(text: &str) -> bool {
    !text.is_empty() && text.len() <= SUBJECT_BYTES_MAX && !text.chars().any(char::is_control)
}

/// Returns the time in seconds since 1970. Without a clock that is right nothing is valid.
fn now_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(u64::MAX, |time| time.as_secs())
}

#[cfg(test)]
mod tests;
