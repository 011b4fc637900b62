//! Who may call: where tokens and keys are, and what the logs of it go to.

use std::{path::PathBuf, str::FromStr as _, time::Duration};

use clap::{
    Args,
    builder::{NonEmptyStringValueParser, TypedValueParser as _},
};

use super::duration;
use crate::remote::Target;

const MINUTE: Duration = Duration::from_mins(1);

/// What shows who calls. Without any of it, and without `--tls-client-ca`, nobody is asked.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct AuthSettings {
    /// File of the tokens that `dossier token` makes: callers must show one, or another credential that is accepted
    ///
    /// Read anew when it changes.
    #[arg(long = "auth-tokens", env = "DOSSIER_AUTH_TOKENS", value_name = "FILE")]
    pub tokens: Option<PathBuf>,

    /// Roles that a client's certificate brings: `read`, `write`, `metrics` or `admin`; give it again for each, or separate them with commas
    #[arg(
        long = "auth-certificate-role",
        env = "DOSSIER_AUTH_CERTIFICATE_ROLES",
        value_name = "ROLE",
        value_delimiter = ',',
        requires = "tls_client_ca"
    )]
    pub certificate_roles: Vec<String>,
    /// Policy: which roles there are, what each may do, and who has which; `dossier policy check` reads one as the server does
    ///
    /// Read anew when it changes. Without it there are the roles read, write, metrics and admin. It needs something that shows who calls.
    #[arg(long = "auth-policy", env = "DOSSIER_AUTH_POLICY", value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// Keys of the issuer of JWTs (JWKS): a file, or a URL with https, or with http on this machine
    ///
    /// A file is read anew when it changes. Callers must show a JWT, or another credential that is accepted.
    #[arg(long = "auth-jwks", env = "DOSSIER_AUTH_JWKS", value_name = "FILE|URL", value_parser = JwksPlace::parse)]
    pub jwks: Option<JwksPlace>,

    /// Issuer of JWTs, as `iss` has it
    #[arg(long = "auth-jwt-issuer", env = "DOSSIER_AUTH_JWT_ISSUER", value_name = "ISSUER",
        value_parser = NonEmptyStringValueParser::new())]
    pub jwt_issuer: Option<String>,

    /// What JWTs for this server have in `aud`
    #[arg(long = "auth-jwt-audience", env = "DOSSIER_AUTH_JWT_AUDIENCE", value_name = "AUDIENCE",
        value_parser = NonEmptyStringValueParser::new())]
    pub jwt_audience: Option<String>,

    /// Claim of JWTs with the names of roles, an array or a text with blanks between them; dots go into objects
    #[arg(
        long = "auth-jwt-roles-claim",
        env = "DOSSIER_AUTH_JWT_ROLES_CLAIM",
        value_name = "CLAIM",
        default_value = "roles"
    )]
    pub jwt_roles_claim: String,

    /// Age at which the keys of a URL are fetched anew; for a key that is not there they are fetched at most every ten seconds
    #[arg(long = "auth-jwks-refresh", env = "DOSSIER_AUTH_JWKS_REFRESH", value_name = "DURATION",
        value_parser = duration, default_value = "5m")]
    pub jwks_refresh: Duration,

    /// Age from which the keys of a URL are no longer trusted: if it cannot be reached for so long, JWTs are refused
    #[arg(long = "auth-jwks-age-max", env = "DOSSIER_AUTH_JWKS_AGE_MAX", value_name = "DURATION",
        value_parser = duration, default_value = "1h")]
    pub jwks_age_max: Duration,

    /// Requests that one caller may make in a minute; 0 is no limit
    ///
    /// Callers are told apart by who they are, or by their address (IPv6: one /64) where nobody is asked.
    #[arg(
        long = "caller-requests-per-minute",
        env = "DOSSIER_CALLER_REQUESTS_PER_MINUTE",
        value_name = "REQUESTS",
        default_value_t = 0
    )]
    pub caller_requests_per_minute: u32,

    /// Seconds for which one caller's queries and updates may run in a minute, such as 60; 0 is no limit
    #[arg(
        long = "caller-query-seconds-per-minute",
        env = "DOSSIER_CALLER_QUERY_SECONDS_PER_MINUTE",
        value_name = "SECONDS",
        default_value_t = 0
    )]
    pub caller_query_seconds_per_minute: u32,

    /// Requests (calls, streams) that one caller may have at once; 0 is no limit
    #[arg(
        long = "caller-streams-max",
        env = "DOSSIER_CALLER_STREAMS_MAX",
        value_name = "STREAMS",
        default_value_t = 0
    )]
    pub caller_stream_count_max: u32,

    /// Queries and updates that one caller may have at once, those that wait included; 0 is no limit
    #[arg(
        long = "caller-queries-max",
        env = "DOSSIER_CALLER_QUERIES_MAX",
        value_name = "QUERIES",
        default_value_t = 0
    )]
    pub caller_query_count_max: u32,

    /// File to which who wrote what and who was denied what is added, one JSON object a line; or `stderr`
    #[arg(long, env = "DOSSIER_AUDIT_LOG", value_name = "FILE|stderr",
        value_parser = NonEmptyStringValueParser::new().map(AuditPlace::of))]
    pub audit_log: Option<AuditPlace>,
}

/// Where the audit log goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AuditPlace {
    /// Standard error.
    Stderr,
    /// A file.
    File(PathBuf),
}

impl AuditPlace {
    fn of(text: String) -> Self {
        if text == "stderr" {
            Self::Stderr
        } else {
            Self::File(PathBuf::from(text))
        }
    }
}

/// Where a key set is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum JwksPlace {
    /// A file.
    File(PathBuf),
    /// A URL.
    Url(Box<Target>),
}

impl JwksPlace {
    fn parse(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            let target = Target::from_str(text).map_err(|fault| fault.to_string())?;
            return Ok(Self::Url(Box::new(target)));
        }
        Ok(Self::File(PathBuf::from(text)))
    }
}

/// What is believed of JWTs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JwtParts<'s> {
    /// Where the keys are.
    pub jwks: &'s JwksPlace,
    /// `iss`.
    pub issuer: &'s str,
    /// In `aud`.
    pub audience: &'s str,
}

impl AuthSettings {
    /// Tells whether callers must show a token of some kind.
    pub fn has_bearers(&self) -> bool {
        self.tokens.is_some() || self.jwks.is_some()
    }

    /// Returns what is believed of JWTs; an error if it is not whole.
    pub fn jwt(&self) -> Result<Option<JwtParts<'_>>, JwtIncomplete> {
        match (&self.jwks, &self.jwt_issuer, &self.jwt_audience) {
            (None, None, None) => Ok(None),
            (Some(jwks), Some(issuer), Some(audience)) => Ok(Some(JwtParts {
                jwks,
                issuer,
                audience,
            })),
            _ => Err(JwtIncomplete),
        }
    }
}

/// Some of what JWTs are known by is not set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "--auth-jwks, --auth-jwt-issuer and --auth-jwt-audience go together: keys alone would let in tokens for others"
)]
pub struct JwtIncomplete;

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            tokens: None,
            certificate_roles: Vec::new(),
            policy: None,
            jwks: None,
            jwt_issuer: None,
            jwt_audience: None,
            jwt_roles_claim: "roles".to_owned(),
            jwks_refresh: 5 * MINUTE,
            jwks_age_max: 60 * MINUTE,
            caller_requests_per_minute: 0,
            caller_query_seconds_per_minute: 0,
            caller_stream_count_max: 0,
            caller_query_count_max: 0,
            audit_log: None,
        }
    }
}
