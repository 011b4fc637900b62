//! How an object store is spoken to: by the HTTP client, and the TLS, that the server has anyway.

use std::{env, fs, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use object_store::{
    ClientConfigKey, ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
        HttpService,
    },
};
use ureq::{
    Agent, Error, Timeout,
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

/// The time of one request, from the look-up of the host to the last byte: at least 140 KB a second.
const REQUEST_TIME: Duration = Duration::from_mins(2);
/// The time in which a host must be connected to, if the environment says no other.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Bytes of one answer: files have 16 MiB, manifests some hundred bytes for each file.
const ANSWER_BYTES_MAX: u64 = 1 << 30;
/// A file of certificates that are trusted instead of those that are built in, as for other programs.
const ROOTS: &str = "SSL_CERT_FILE";

/// Why a store gave no answer, or which answer nothing can be done with. Nothing of it is a secret, or tells where the store is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// Another status than one that says how it is.
    #[error("the store answers with HTTP status {status}{}", in_brackets(.code.as_deref()))]
    Status {
        /// The status.
        status: u16,
        /// The store's own word for it.
        code: Option<String>,
    },
    /// Where a machine's own credentials would be.
    #[error("the environment has no credentials for the store, and the machine gives none: {0}")]
    Machine(Box<Self>),
    #[error("the store's host has no address")]
    Host,
    #[error("the store cannot be connected to: {0}")]
    Connection(io::ErrorKind),
    #[error("the connection to the store broke: {0}")]
    Broken(io::ErrorKind),
    #[error("the store did not answer in time")]
    Time,
    #[error(
        "TLS with the store fails: SSL_CERT_FILE names a file of certificates, if it has one that is not publicly trusted"
    )]
    Tls,
    #[error(
        "the store is to be asked without TLS, and the environment does not allow it: see AWS_ALLOW_HTTP, AZURE_ALLOW_HTTP"
    )]
    PlainText,
    #[error("the proxy that the environment names does not connect to the store")]
    Proxy,
    #[error("what answers is no object store")]
    Nonsense,
}

fn in_brackets(code: Option<&str>) -> String {
    code.map_or_else(String::new, |code| format!(" ({code})"))
}

impl Fault {
    /// Tells whether the store says that it knows no such request.
    pub(super) fn is_unsupported(&self) -> bool {
        matches!(self, Self::Status { status: 501, .. })
    }
}

/// Makes clients.
#[derive(Debug)]
pub(super) struct Connector {
    roots: RootCerts,
}

impl Connector {
    /// Reads which certificates are trusted.
    pub(super) fn new() -> Result<Self, String> {
        let Some(path) = env::var_os(ROOTS).filter(|path| !path.is_empty()) else {
            return Ok(Self {
                roots: RootCerts::WebPki,
            });
        };
        let pem = fs::read(path).map_err(|error| format!("{ROOTS}: {error}"))?;
        let mut roots = Vec::new();
        for item in parse_pem(&pem) {
            if let PemItem::Certificate(root) = item.map_err(|error| format!("{ROOTS}: {error}"))? {
                roots.push(root);
            }
        }
        if roots.is_empty() {
            return Err(format!("{ROOTS}: there is no certificate in it"));
        }
        Ok(Self {
            roots: RootCerts::Specific(Arc::new(roots)),
        })
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let option = |key| options.get_config_value(&key);
        let may_be_plain = option(ClientConfigKey::AllowHttp).is_some_and(|value| {
            ["1", "true", "on", "yes", "y"].contains(&value.to_ascii_lowercase().as_str())
        });
        let connect_time = option(ClientConfigKey::ConnectTimeout)
            .and_then(|value| humantime::parse_duration(&value).ok())
            .map_or(CONNECT_TIME, |time| time.min(REQUEST_TIME));
        // A proxy, and what goes past it, is of the environment too: HTTPS_PROXY, NO_PROXY.
        let config = Agent::config_builder()
            .timeout_global(Some(REQUEST_TIME))
            .timeout_resolve(Some(connect_time))
            .timeout_connect(Some(connect_time))
            .https_only(!may_be_plain)
            .http_status_as_error(false)
            .max_redirects(0)
            // Bytes are taken as they are.
            .accept_encoding("")
            .user_agent(concat!("dossier/", env!("CARGO_PKG_VERSION")))
            // One that was left idle breaks when it is used, and not all may be repeated.
            .max_idle_connections(0)
            .tls_config(TlsConfig::builder().root_certs(self.roots.clone()).build())
            .build();
        Ok(HttpClient::new(Client(Agent::new_with_config(config))))
    }
}

/// Asks on the thread that calls, and blocks it: `store.rs` gives each piece of work one of its own.
#[derive(Debug)]
struct Client(Agent);

#[async_trait]
impl HttpService for Client {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_machine = is_machine(request.uri().host().unwrap_or_default());
        let fault = |(kind, fault)| match fault {
            fault if is_machine => HttpError::new(kind, Fault::Machine(Box::new(fault))),
            fault => HttpError::new(kind, fault),
        };
        let body = std::mem::replace(request.body_mut(), HttpRequestBody::empty());
        let body = body.collect().await?.to_bytes();
        let answer = if body.is_empty() && request.method().is_safe() {
            self.0.run(request.map(|_| ()))
        } else {
            self.0.run(request.map(|_| &body[..]))
        };
        let mut answer = answer.map_err(|error| fault(of_client(error)))?;
        let read = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec();
        let read = read.map_err(|error| fault(of_client(error)))?;
        match of_status(answer.status().as_u16(), &read, is_machine) {
            Some(of_status) => Err(fault(of_status)),
            None => Ok(answer.map(|_| read.into())),
        }
    }
}

/// Tells whether a host is where the machine itself is asked for credentials.
fn is_machine(host: &str) -> bool {
    host.starts_with("169.254.") || host == "metadata.google.internal" || host == "[fd00:ec2::254]"
}

/// Returns the statuses that are faults: `object_store` acts on the others, and would tell these with all that the store says.
fn of_status(status: u16, body: &[u8], is_machine: bool) -> Option<(HttpErrorKind, Fault)> {
    let code = code_of(body);
    let kind = match (status, code.as_deref()) {
        // Nobody could tell a bucket that is not there from one without backups.
        (404, Some("NoSuchBucket" | "ContainerNotFound")) | (501, _) => HttpErrorKind::Unknown,
        (200..300, _) | (403, None) | (304 | 404 | 409 | 412, Some(_)) => return None,
        (304 | 401 | 404 | 409 | 412, None) if !is_machine => return None,
        // That is repeated.
        (408 | 429 | 500.., _) => HttpErrorKind::Request,
        _ => HttpErrorKind::Unknown,
    };
    Some((kind, Fault::Status { status, code }))
}

/// Returns the store's word for an error, as S3, Google and Azure have it in their XML.
fn code_of(body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let (_, rest) = body.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_word = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word.then(|| code.to_owned())
}

fn of_client(error: Error) -> (HttpErrorKind, Fault) {
    match error {
        Error::HostNotFound => (HttpErrorKind::Connect, Fault::Host),
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
            (HttpErrorKind::Connect, Fault::Connection(io::ErrorKind::TimedOut))
        }
        Error::Timeout(_) => (HttpErrorKind::Timeout, Fault::Time),
        Error::Io(error) => match error.kind() {
            kind @ (io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable) => (HttpErrorKind::Connect, Fault::Connection(kind)),
            // That is how the TLS library tells its own.
            io::ErrorKind::InvalidData => (HttpErrorKind::Unknown, Fault::Tls),
            kind => (HttpErrorKind::Interrupted, Fault::Broken(kind)),
        },
        Error::ConnectionFailed => (
            HttpErrorKind::Connect,
            Fault::Connection(io::ErrorKind::NotConnected),
        ),
        Error::Tls(_) | Error::Rustls(_) => (HttpErrorKind::Unknown, Fault::Tls),
        Error::RequireHttpsOnly(_) => (HttpErrorKind::Unknown, Fault::PlainText),
        Error::ConnectProxyFailed(_) | Error::InvalidProxyUrl => (HttpErrorKind::Unknown, Fault::Proxy),
        _ => (HttpErrorKind::Unknown, Fault::Nonsense),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_by_status_and_code() {
        let xml = |code: &str| {
            format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Key>secret</Key></Error>")
        };
        for (status, body, expected) in [
            (200, String::new(), None),
            (206, xml("Odd"), None),
            (304, String::new(), None),
            (404, xml("NoSuchKey"), None),
            (404, xml("BlobNotFound"), None),
            (404, xml("NoSuchBucket"), Some((false, " 404 (NoSuchBucket)"))),
            (
                404,
                xml("ContainerNotFound"),
                Some((false, " 404 (ContainerNotFound)")),
            ),
            (409, xml("ConditionalRequestConflict"), None),
            (412, xml("PreconditionFailed"), None),
            (401, String::new(), None),
            (403, "not in XML".to_owned(), None),
            (
                403,
                xml("InvalidAccessKeyId"),
                Some((false, " 403 (InvalidAccessKeyId)")),
            ),
            (400, xml("ExpiredToken"), Some((false, " 400 (ExpiredToken)"))),
            (400, xml("what: secret"), Some((false, " 400"))),
            (301, String::new(), Some((false, " 301"))),
            (429, String::new(), Some((true, " 429"))),
            (500, xml("InternalError"), Some((true, " 500 (InternalError)"))),
            (503, xml("SlowDown"), Some((true, " 503 (SlowDown)"))),
            (501, xml("NotImplemented"), Some((false, " 501 (NotImplemented)"))),
        ] {
            let found = of_status(status, body.as_bytes(), false);
            let found = found.map(|(kind, fault)| (kind == HttpErrorKind::Request, fault.to_string()));
            match (&found, expected) {
                (None, None) => {}
                (Some((is_repeated, told)), Some((expected, end))) => {
                    assert_eq!(*is_repeated, expected, "{status} {body}");
                    assert!(told.ends_with(end) && !told.contains("secret"), "{told}");
                }
                _ => panic!("{status} {body}: {found:?}"),
            }
        }
        assert!(of_status(501, b"", false).unwrap().1.is_unsupported());
        // A machine without credentials has no such page.
        assert!(of_status(404, b"not found", true).is_some());
        assert!(of_status(200, b"{}", true).is_none());
    }

    #[test]
    fn a_machine_is_asked_for_credentials_at_its_own_addresses() {
        for (host, expected) in [
            ("169.254.169.254", true),
            ("169.254.170.2", true),
            ("metadata.google.internal", true),
            ("s3.eu-north-1.amazonaws.com", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(is_machine(host), expected, "{host}");
        }
    }
}
