//! The connection to the server.

use std::{
    env,
    error::Error as _,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::{failure::Failure, term::Prefixes};
use crate::proto::v1::{
    GetServerInfoRequest, GetServerInfoResponse, admin_service_client::AdminServiceClient,
    change_service_client::ChangeServiceClient, entity_service_client::EntityServiceClient,
    fact_service_client::FactServiceClient, sparql_service_client::SparqlServiceClient,
    write_service_client::WriteServiceClient,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An answer comes in one message, and a page of facts with long texts can be large.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Which server.
#[derive(Args, Clone, Debug)]
pub(super) struct ServerArgs {
    /// Address of the server
    #[arg(
        long,
        global = true,
        env = "DOSSIER_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:50051",
        value_parser = server_url
    )]
    pub(super) server: String,

    /// Authorities that the server's certificate may be of, in PEM, instead of those of the web
    #[arg(long, global = true, env = "DOSSIER_CA", value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Certificate for a server that asks for one, in PEM
    #[arg(
        long,
        global = true,
        env = "DOSSIER_CLIENT_CERT",
        value_name = "FILE",
        requires = "client_key"
    )]
    client_cert: Option<PathBuf>,

    /// Private key of the certificate, in PEM
    #[arg(
        long,
        global = true,
        env = "DOSSIER_CLIENT_KEY",
        value_name = "FILE",
        requires = "client_cert"
    )]
    client_key: Option<PathBuf>,

    /// File with the token that shows who calls; without it, the variable `DOSSIER_TOKEN` has it
    #[arg(long, global = true, env = "DOSSIER_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Send the token to another machine without TLS: for networks where nobody else reads
    #[arg(long, global = true, env = "DOSSIER_PLAIN_TOKEN", value_parser = clap::builder::BoolishValueParser::new())]
    plain_token: bool,
}

/// The variable with a token. There is no flag for it: others on a machine see the arguments of a process.
const TOKEN_VARIABLE: &str = "DOSSIER_TOKEN";

/// A connection on which each call shows who makes it.
pub(super) type Connection = InterceptedService<Channel, Bearer>;

/// Shows a token with each call, if there is one.
#[derive(Clone)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Bearer").finish_non_exhaustive()
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

impl Bearer {
    /// Finds the token of a command.
    fn of(args: &ServerArgs) -> Result<Self, Failure> {
        let (place, token) = match &args.token_file {
            Some(path) => {
                let text = fs::read_to_string(path)
                    .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
                (path.display().to_string(), text)
            }
            None => match env::var(TOKEN_VARIABLE) {
                Ok(token) => (TOKEN_VARIABLE.to_owned(), token),
                Err(_) => return Ok(Self(None)),
            },
        };
        let mut value = format!("Bearer {}", token.trim())
            .parse::<MetadataValue<Ascii>>()
            .ok()
            .filter(|_| !token.trim().is_empty())
            .ok_or_else(|| Failure::usage(format!("{place} has no token")))?;
        value.set_sensitive(true);
        if !args.plain_token && !is_private(&args.server) {
            return Err(Failure::usage(format!(
                "a token is not sent to {} in plain text: whoever reads it on its way has it",
                args.server
            ))
            .hint("use https://, and --ca for an authority of your own; or --plain-token where nobody else reads"));
        }
        Ok(Self(Some(value)))
    }
}

/// Tells whether nobody reads what is sent to a server: over TLS, or on this machine.
fn is_private(server: &str) -> bool {
    let uri: http::Uri = match server.parse() {
        Ok(uri) => uri,
        Err(_) => return false,
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    uri.scheme_str() == Some("https")
        || host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Clients of all services on one connection.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) admin: AdminServiceClient<Connection>,
    pub(super) changes: ChangeServiceClient<Connection>,
    pub(super) entities: EntityServiceClient<Connection>,
    pub(super) facts: FactServiceClient<Connection>,
    pub(super) sparql: SparqlServiceClient<Connection>,
    pub(super) writes: WriteServiceClient<Connection>,
}

impl Client {
    pub(super) async fn connect(args: &ServerArgs) -> Result<Self, Failure> {
        let channel = channel(args).await?;
        Ok(Self {
            admin: AdminServiceClient::new(channel.clone()),
            changes: ChangeServiceClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX),
            entities: EntityServiceClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX),
            facts: FactServiceClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX),
            sparql: SparqlServiceClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX),
            writes: WriteServiceClient::new(channel),
        })
    }

    pub(super) async fn info(&mut self) -> Result<GetServerInfoResponse, Failure> {
        Ok(self
            .admin
            .get_server_info(GetServerInfoRequest {})
            .await?
            .into_inner())
    }

    pub(super) async fn prefixes(&mut self) -> Result<Prefixes, Failure> {
        Ok(Prefixes::new(self.info().await?.prefixes))
    }
}

/// Connects, or says why not.
async fn channel(args: &ServerArgs) -> Result<Connection, Failure> {
    let bearer = Bearer::of(args)?;
    Ok(InterceptedService::new(connect(args).await?, bearer))
}

/// Connects as somebody who shows nothing, or says why not.
pub(super) async fn connect(args: &ServerArgs) -> Result<Channel, Failure> {
    let mut endpoint = Endpoint::from_shared(args.server.clone())
        .map_err(|error| Failure::usage(format!("--server {}: {error}", args.server)))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        // A server that went away without a word is noticed also while a long query is silent.
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(8 << 20);
    if args.server.starts_with("https://") {
        endpoint = endpoint.tls_config(tls(args)?).map_err(|error| {
            Failure::usage(format!("the certificates cannot be used: {}", innermost(&error)))
        })?;
    }
    endpoint.connect().await.map_err(|error| {
        let cause = innermost(&error);
        Failure::unreachable(format!("cannot reach the server at {}: {cause}", args.server))
            .hint("start it with `dossier serve`, or say where it is with --server (DOSSIER_SERVER)")
    })
}

fn tls(args: &ServerArgs) -> Result<ClientTlsConfig, Failure> {
    let read = |path: &Path| {
        fs::read(path).map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
    };
    let mut config = match &args.ca {
        Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?)),
        None => ClientTlsConfig::new().with_webpki_roots(),
    };
    if let (Some(certificate), Some(key)) = (&args.client_cert, &args.client_key) {
        config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(config)
}

/// The innermost error is the system's; those around it say "transport error".
fn innermost(error: &tonic::transport::Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(|cause| cause.source()) {
        cause = Some(inner);
    }
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}

/// Reads the address of a server; the scheme may be left out.
fn server_url(text: &str) -> Result<String, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    if scheme != "http" && scheme != "https" {
        return Err(format!(
            "only http:// and https:// are supported, not {scheme}://"
        ));
    }
    let uri: http::Uri = format!("{scheme}://{rest}")
        .parse()
        .map_err(|_| "expected a URL such as http://127.0.0.1:50051".to_owned())?;
    if uri.port().is_none() {
        return Err(format!(
            "the port is missing, as in {scheme}://{}:50051",
            uri.host().unwrap_or("127.0.0.1")
        ));
    }
    Ok(uri.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_sent_only_where_nobody_reads_them() {
        for server in [
            "https://kg.example:443/",
            "http://127.0.0.1:1/",
            "http://[::1]:1/",
            "http://localhost:1/",
        ] {
            assert!(is_private(server), "{server}");
        }
        for server in [
            "http://kg.example:80/",
            "http://10.0.0.1:1/",
            "http://localhost.evil.example:1/",
        ] {
            assert!(!is_private(server), "{server}");
        }
    }

    #[test]
    fn the_scheme_may_be_left_out_and_the_port_not() {
        let check = |text: &str, expected: Result<&str, &str>| match (server_url(text), expected) {
            (Ok(url), Ok(expected)) => assert_eq!(url, expected),
            (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
            (result, expected) => panic!("{text}: {result:?}, not {expected:?}"),
        };
        check("http://127.0.0.1:50051", Ok("http://127.0.0.1:50051/"));
        check("localhost:1", Ok("http://localhost:1/"));
        check("[::1]:50051", Ok("http://[::1]:50051/"));
        check("https://kg.example:443", Ok("https://kg.example:443/"));
        check("ftp://kg.example:443", Err("not ftp"));
        check("http://kg.example", Err("http://kg.example:50051"));
        check("kg.example:port", Err("the port is missing"));
        check("", Err("expected a URL"));
    }
}
