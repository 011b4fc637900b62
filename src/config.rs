//! The settings of the server: flags, `DOSSIER_*` variables of the environment, a file, and what they must satisfy.
//!
//! All of it is read and checked before a port opens. Each setting is defined once, as a flag.

mod auth;
mod check;
mod connections;
mod file;
mod layers;
mod memory;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr as _,
    time::Duration,
};

use bytesize::ByteSize;
use clap::{
    Args, ValueEnum,
    builder::{BoolishValueParser, NonEmptyStringValueParser, TypedValueParser as _},
};

pub use auth::{AuditPlace, AuthSettings, JwksPlace, JwtIncomplete, JwtParts};
pub use check::SettingsError;
pub use connections::ConnectionSettings;
pub use file::FileError;
pub use layers::{Layers, LayersError, Setting, SettingValue, Source};

use crate::{model::reference_date::ReferenceDate, remote::UrlPrefix};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What `dossier serve` is told: where to listen, where to keep data, and its limits.
///
/// [`Default`] is what `serve` without flags does. [`ServeSettings::validate`] must pass before they are used.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ServeSettings {
    /// File of settings, in TOML: its keys are the names of these flags, without the dashes
    ///
    /// What the command line or the environment say goes before it.
    #[arg(long, env = "DOSSIER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Address and port to listen on; port 0 takes a free one
    #[arg(
        long,
        env = "DOSSIER_LISTEN",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:50051"
    )]
    pub listen: SocketAddr,

    /// Address and port for probes and scrapers: health and `/metrics` in plain text, and nothing of the graph
    ///
    /// With it `/metrics` is no longer on the other port. Any address may be given, without --insecure.
    #[arg(long, env = "DOSSIER_OPERATIONS_LISTEN", value_name = "ADDRESS:PORT")]
    pub operations_listen: Option<SocketAddr>,

    /// Certificate of the server, with those between it and its authority, in PEM: callers must speak TLS
    ///
    /// The file and that of the key are read anew when they change.
    #[arg(long, env = "DOSSIER_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Private key of the certificate, in PEM
    #[arg(long, env = "DOSSIER_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Authorities of clients, in PEM: who has no certificate of theirs is turned away
    #[arg(
        long,
        env = "DOSSIER_TLS_CLIENT_CA",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_client_ca: Option<PathBuf>,

    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "a doc comment would become the help of the whole command"
    )]
    pub auth: AuthSettings,

    /// Let tokens travel in plain text, on other addresses than loopback: something in front speaks TLS, or it is the inside of a
    /// container whose port is published on loopback alone
    #[arg(long, env = "DOSSIER_PLAIN_TOKENS", value_parser = BoolishValueParser::new())]
    pub plain_tokens: bool,

    /// Listen on other addresses than loopback although nothing authenticates callers, or their tokens travel in plain text
    #[arg(long, env = "DOSSIER_INSECURE", value_parser = BoolishValueParser::new())]
    pub insecure: bool,

    /// Directory of the commit log and the snapshot files; made if it is missing
    #[arg(long, env = "DOSSIER_DATA_DIR", value_name = "DIR", default_value = "dossier-data",
        value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
    pub data_dir: PathBuf,

    /// Directory for backups, made if it is missing, or the URL (s3, gs or az) of a prefix in an object store
    ///
    /// Only this setting says it, never a caller. An object store's credentials and endpoint come from the environment.
    #[arg(long, env = "DOSSIER_BACKUP_TO", value_name = "PLACE", value_parser = NonEmptyStringValueParser::new())]
    pub backup_to: Option<String>,

    /// Make a backup again and again after so long, such as 1h
    #[arg(long, env = "DOSSIER_BACKUP_EVERY", value_name = "DURATION", value_parser = duration, requires = "backup_to")]
    pub backup_every: Option<Duration>,

    /// Start an empty knowledge base empty, without the data set that the server ships
    #[arg(long = "no-shipped-data", env = "DOSSIER_SHIPPED_DATA", action = clap::ArgAction::SetFalse,
        value_parser = BoolishValueParser::new())]
    pub load_shipped_data: bool,

    /// Day for which the default graph says what holds: `today`, in UTC, or a date that stays, such as 2019-08-27
    #[arg(long = "as-of", env = "DOSSIER_AS_OF", value_name = "DATE", value_parser = ReferenceDate::from_str,
        default_value_t = ReferenceDate::Today)]
    pub reference_date: ReferenceDate,

    /// Memory that the graph index may take; a write that needs more is refused
    ///
    /// Merges and large updates take up to as much again for a moment. Sizes are in bytes or with a unit: `2GiB`, `512MiB`, `1.5GB`. Default: half of the memory of the container or,
    /// outside of one, of the machine; 4GiB where that cannot be learned.
    #[arg(long = "graph-memory-max", env = "DOSSIER_GRAPH_MEMORY_MAX", value_name = "SIZE", value_parser = byte_size,
        default_value_t = memory::default_graph_memory_bytes_max(), hide_default_value = true)]
    pub graph_memory_bytes_max: u64,

    /// Time that a query or update may take, whatever deadline its caller sets
    #[arg(long = "query-timeout-max", env = "DOSSIER_QUERY_TIMEOUT_MAX", value_name = "DURATION",
        value_parser = duration, default_value = "60s")]
    pub query_timeout_max: Duration,

    /// Length of a SPARQL text
    #[arg(long = "query-size-max", env = "DOSSIER_QUERY_SIZE_MAX", value_name = "SIZE", value_parser = byte_count,
        default_value = "1MiB")]
    pub query_bytes_max: usize,

    /// Levels of nesting (braces, brackets, parentheses) in a SPARQL text
    #[arg(
        long,
        env = "DOSSIER_QUERY_NESTING_MAX",
        value_name = "LEVELS",
        default_value_t = 100
    )]
    pub query_nesting_max: usize,

    /// Operators of expressions and paths in one query, or one operation of an update
    #[arg(
        long = "query-operators-max",
        env = "DOSSIER_QUERY_OPERATORS_MAX",
        value_name = "OPERATORS",
        default_value_t = 2_000
    )]
    pub query_operator_count_max: usize,

    /// Clauses (UNION, OPTIONAL, MINUS, FILTER, BIND, GRAPH, VALUES, SELECT, EXISTS) in one query or operation
    #[arg(
        long = "query-clauses-max",
        env = "DOSSIER_QUERY_CLAUSES_MAX",
        value_name = "CLAUSES",
        default_value_t = 500
    )]
    pub query_clause_count_max: usize,

    /// Triple patterns and steps of paths in one query or operation: the time to plan them grows faster than their number
    #[arg(
        long = "query-patterns-max",
        env = "DOSSIER_QUERY_PATTERNS_MAX",
        value_name = "PATTERNS",
        default_value_t = 150
    )]
    pub query_pattern_count_max: usize,

    /// Open brackets that are read twice (after `!`, of REGEX, SUBSTR, REPLACE, `GROUP_CONCAT`): each doubles the time
    #[arg(
        long,
        env = "DOSSIER_QUERY_AMBIGUITY_MAX",
        value_name = "BRACKETS",
        default_value_t = 8
    )]
    pub query_ambiguity_max: usize,

    /// Length of an IRI in a SPARQL text
    #[arg(long = "query-iri-size-max", env = "DOSSIER_QUERY_IRI_SIZE_MAX", value_name = "SIZE", value_parser = byte_count,
        default_value = "8KiB")]
    pub query_iri_bytes_max: usize,

    /// Memory that one query or update may take while it runs, within that of all
    #[arg(long = "query-memory-max", env = "DOSSIER_QUERY_MEMORY_MAX", value_name = "SIZE", value_parser = byte_size,
        default_value = "256MiB")]
    pub query_memory_bytes_max: u64,

    /// Memory that all queries and updates together may take while they run
    ///
    /// Default: a quarter of the memory of the container or, outside of one, of the machine; 2GiB where that cannot be learned.
    #[arg(long = "queries-memory-max", env = "DOSSIER_QUERIES_MEMORY_MAX", value_name = "SIZE", value_parser = byte_size,
        default_value_t = memory::default_queries_memory_bytes_max(), hide_default_value = true)]
    pub queries_memory_bytes_max: u64,

    /// Rows or triples of one query's result; one more is an error, unless the caller has asked for no more than these
    ///
    /// The default is more than the default time has room for.
    #[arg(
        long,
        env = "DOSSIER_QUERY_ROW_COUNT_MAX",
        value_name = "ROWS",
        default_value_t = 1_000_000_000
    )]
    pub query_row_count_max: u64,

    /// Size of one query's result as it is sent, before compression; one byte more is an error
    ///
    /// The default is more than the default time has room for.
    #[arg(long = "query-result-size-max", env = "DOSSIER_QUERY_RESULT_SIZE_MAX", value_name = "SIZE",
        value_parser = byte_size, default_value = "16GiB")]
    pub query_result_bytes_max: u64,

    /// Work of one query or update: about one unit for each row that an operator makes; `dossier explain --execute` tells it
    ///
    /// The default is more than a thread does in the default time. A lower limit refuses dear queries by what they cost,
    /// however busy the machine is.
    #[arg(
        long,
        env = "DOSSIER_QUERY_WORK_MAX",
        value_name = "UNITS",
        default_value_t = 10_000_000_000
    )]
    pub query_work_max: u64,

    /// Size of a literal that CONCAT, REPLACE or `GROUP_CONCAT` make
    #[arg(long = "literal-size-max", env = "DOSSIER_LITERAL_SIZE_MAX", value_name = "SIZE", value_parser = byte_count,
        default_value = "8MiB")]
    pub literal_bytes_max: usize,

    /// Size of a text that REGEX or REPLACE search
    ///
    /// A search is not interrupted: its time grows with this and with the size of the regular expression.
    #[arg(long = "regex-text-size-max", env = "DOSSIER_REGEX_TEXT_SIZE_MAX", value_name = "SIZE",
        value_parser = byte_count, default_value = "1MiB")]
    pub regex_text_bytes_max: usize,

    /// Size of a compiled regular expression for texts of at most 4 KiB
    #[arg(long = "regex-size-max", env = "DOSSIER_REGEX_SIZE_MAX", value_name = "SIZE", value_parser = byte_count,
        default_value = "256KiB")]
    pub regex_bytes_max: usize,

    /// Size of a compiled regular expression for longer texts
    #[arg(long = "long-text-regex-size-max", env = "DOSSIER_LONG_TEXT_REGEX_SIZE_MAX", value_name = "SIZE",
        value_parser = byte_count, default_value = "64KiB")]
    pub long_text_regex_bytes_max: usize,

    /// Queries that run at once; eight times as many wait, and one more is refused
    #[arg(
        long,
        env = "DOSSIER_QUERY_CONCURRENCY_MAX",
        value_name = "QUERIES",
        default_value_t = 32
    )]
    pub query_concurrency_max: usize,

    /// Size of one gRPC message that the server takes
    #[arg(long = "message-size-max", env = "DOSSIER_MESSAGE_SIZE_MAX", value_name = "SIZE", value_parser = byte_count,
        default_value = "16MiB")]
    pub message_bytes_max: usize,

    /// Connections at once
    #[arg(
        long = "connections-max",
        env = "DOSSIER_CONNECTIONS_MAX",
        value_name = "CONNECTIONS",
        default_value_t = 1024
    )]
    pub connection_count_max: usize,

    /// Streams (calls) at once on one connection
    #[arg(
        long = "streams-max",
        env = "DOSSIER_STREAMS_MAX",
        value_name = "STREAMS",
        default_value_t = 100
    )]
    pub stream_count_max: u32,

    /// What one connection and one address may take.
    #[command(flatten)]
    pub connections: ConnectionSettings,

    /// Origins whose web pages may call from browsers (CORS), such as `https://example.org`; `*` is any
    ///
    /// Give it again for each, or separate them with commas. Without it browsers let no other page call.
    #[arg(long = "cors-origin", env = "DOSSIER_CORS_ORIGINS", value_name = "ORIGIN", value_delimiter = ',',
        value_parser = origin)]
    pub cors_origins: Vec<String>,

    /// SPARQL endpoints that SERVICE may ask: URLs, or prefixes of some, such as `https://example.org/sparql`
    ///
    /// A URL matches if scheme, host and port are the same and its path is this one or below it. Give it again for each, or
    /// separate them with commas. Without it SERVICE is refused. Hosts with private addresses are asked only if the prefix
    /// has the address itself, or `localhost`.
    #[arg(long = "service-allow", env = "DOSSIER_SERVICE_ALLOW", value_name = "URL_PREFIX", value_delimiter = ',',
        value_parser = UrlPrefix::from_str)]
    pub service_allow: Vec<UrlPrefix>,

    /// Documents that LOAD may read: URLs, or prefixes of some, as of --service-allow
    #[arg(long = "load-allow", env = "DOSSIER_LOAD_ALLOW", value_name = "URL_PREFIX", value_delimiter = ',',
        value_parser = UrlPrefix::from_str)]
    pub load_allow: Vec<UrlPrefix>,

    /// Time that one answer to SERVICE or LOAD may take, within that of its query or update
    #[arg(long, env = "DOSSIER_REMOTE_TIMEOUT", value_name = "DURATION", value_parser = duration,
        default_value = "10s")]
    pub remote_timeout: Duration,

    /// Size of one answer to SERVICE or LOAD, decompressed
    #[arg(long = "remote-size-max", env = "DOSSIER_REMOTE_SIZE_MAX", value_name = "SIZE", value_parser = byte_count,
        default_value = "16MiB")]
    pub remote_bytes_max: usize,

    /// Milliseconds past which a query or update is logged as slow; 0 logs none
    #[arg(
        long,
        env = "DOSSIER_SLOW_QUERY_MS",
        value_name = "MILLISECONDS",
        default_value_t = 1_000
    )]
    pub slow_query_ms: u64,

    /// Watches of changes at once; one more is refused
    #[arg(
        long = "watchers-max",
        env = "DOSSIER_WATCHERS_MAX",
        value_name = "WATCHES",
        default_value_t = 1_000
    )]
    pub watcher_count_max: usize,

    /// Time that the reader of a watch or a difference may leave a frame lying before it is ended
    #[arg(long, env = "DOSSIER_WATCH_STALL_MAX", value_name = "DURATION", value_parser = duration,
        default_value = "30s")]
    pub watch_stall_max: Duration,

    /// Memory that the difference of two revisions may take, of which two are computed at once; and all views of earlier revisions
    ///
    /// Default: 256MiB, or an eighth of the memory of the container or the machine if that is less.
    #[arg(long = "diff-memory-max", env = "DOSSIER_DIFF_MEMORY_MAX", value_name = "SIZE", value_parser = byte_size,
        default_value_t = memory::default_passing_bytes_max(), hide_default_value = true)]
    pub diff_memory_bytes_max: u64,

    /// Changes that a read of an earlier revision may take back, each commit counting as one more
    ///
    /// A commit with more text than 512 bytes for each change counts as so many changes as it has times 512 bytes.
    /// A million take about two seconds the first time, and 200 MB for as long as somebody reads there.
    #[arg(
        long = "past-changes-max",
        env = "DOSSIER_PAST_CHANGES_MAX",
        value_name = "CHANGES",
        default_value_t = 1_000_000
    )]
    pub past_change_count_max: u64,
    /// Age of commits beyond which the log is compacted: the graph as it was takes their place; unset keeps them
    ///
    /// It is done when the oldest is a quarter older. Watches, differences and reads of the past reach back no further.
    #[arg(long, env = "DOSSIER_LOG_RETENTION_AGE", value_name = "DURATION", value_parser = duration)]
    pub log_retention_age: Option<Duration>,

    /// Size of all commits in the log beyond which the oldest are compacted; unset keeps them
    ///
    /// It is done when there is a quarter more. The graph that takes their place is not counted.
    #[arg(long = "log-retention-size", env = "DOSSIER_LOG_RETENTION_SIZE", value_name = "SIZE", value_parser = byte_size)]
    pub log_retention_bytes: Option<u64>,

    /// The newest commits, which are never compacted
    #[arg(
        long = "log-retention-commits-min",
        env = "DOSSIER_LOG_RETENTION_COMMITS_MIN",
        value_name = "COMMITS",
        default_value_t = 1_000
    )]
    pub log_retention_commit_count_min: u64,

    /// Time that the server has to end when it is told to, most of it for running calls
    ///
    /// Docker kills after 10 s.
    #[arg(long, env = "DOSSIER_DRAIN_TIMEOUT", value_name = "DURATION", value_parser = duration,
        default_value = "8s")]
    pub drain_timeout: Duration,

    /// Collector of traces (OTLP over gRPC), such as `http://127.0.0.1:4317`; without it no spans are made
    #[arg(long, env = "DOSSIER_OTLP_ENDPOINT", value_name = "URL", value_parser = UrlPrefix::from_str)]
    pub otlp_endpoint: Option<UrlPrefix>,

    /// Headers for the collector, a line `name: value` each, such as its token
    #[arg(
        long,
        env = "DOSSIER_OTLP_HEADERS_FILE",
        value_name = "FILE",
        requires = "otlp_endpoint"
    )]
    pub otlp_headers_file: Option<PathBuf>,

    /// One in so many calls is traced; a call with a `traceparent` as that says
    #[arg(
        long,
        env = "DOSSIER_OTLP_SAMPLE_ONE_IN",
        value_name = "CALLS",
        default_value_t = 1
    )]
    pub otlp_sample_one_in: u64,

    /// Form of the log on standard error
    #[arg(
        long,
        env = "DOSSIER_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub log_format: LogFormat,

    /// What is logged, such as `warn`, or `info,dossier::server=debug`; `RUST_LOG` is read where nothing says it
    #[arg(long, env = "DOSSIER_LOG", value_name = "FILTER", value_parser = log_filter, default_value = "")]
    pub log_filter: String,
}

/// The files of TLS, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of clients; without them no client needs a certificate.
    pub client_authorities: Option<PathBuf>,
}

impl ServeSettings {
    /// Returns the files of TLS, if callers are to speak it.
    pub fn tls_files(&self) -> Option<TlsFiles> {
        Some(TlsFiles {
            certificate: self.tls_cert.clone()?,
            key: self.tls_key.clone()?,
            client_authorities: self.tls_client_ca.clone(),
        })
    }
}

/// The form of the log.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text an event
    #[default]
    Text,
    /// One JSON object an event
    Json,
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            config: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)),
            operations_listen: None,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            auth: AuthSettings::default(),
            plain_tokens: false,
            insecure: false,
            data_dir: PathBuf::from("dossier-data"),
            backup_to: None,
            backup_every: None,
            load_shipped_data: true,
            reference_date: ReferenceDate::Today,
            graph_memory_bytes_max: memory::default_graph_memory_bytes_max(),
            query_timeout_max: Duration::from_mins(1),
            query_bytes_max: MIB,
            query_nesting_max: 100,
            query_operator_count_max: 2_000,
            query_clause_count_max: 500,
            query_pattern_count_max: 150,
            query_ambiguity_max: 8,
            query_iri_bytes_max: 8 * KIB,
            query_memory_bytes_max: 256 * MIB as u64,
            queries_memory_bytes_max: memory::default_queries_memory_bytes_max(),
            query_row_count_max: 1_000_000_000,
            query_result_bytes_max: 16 * 1024 * MIB as u64,
            query_work_max: 10_000_000_000,
            literal_bytes_max: 8 * MIB,
            regex_text_bytes_max: MIB,
            regex_bytes_max: 256 * KIB,
            long_text_regex_bytes_max: 64 * KIB,
            query_concurrency_max: 32,
            message_bytes_max: 16 * MIB,
            connection_count_max: 1024,
            stream_count_max: 100,
            connections: ConnectionSettings::default(),
            cors_origins: Vec::new(),
            service_allow: Vec::new(),
            load_allow: Vec::new(),
            remote_timeout: Duration::from_secs(10),
            remote_bytes_max: 16 * MIB,
            slow_query_ms: 1_000,
            watcher_count_max: 1_000,
            watch_stall_max: Duration::from_secs(30),
            diff_memory_bytes_max: memory::default_passing_bytes_max(),
            past_change_count_max: 1_000_000,
            log_retention_age: None,
            log_retention_bytes: None,
            log_retention_commit_count_min: 1_000,
            drain_timeout: Duration::from_secs(8),
            otlp_endpoint: None,
            otlp_headers_file: None,
            otlp_sample_one_in: 1,
            log_format: LogFormat::Text,
            log_filter: String::new(),
        }
    }
}

/// Reads a size in bytes: `2GiB`, `512MiB`, `1.5GB` or a plain number of bytes.
pub fn byte_size(text: &str) -> Result<u64, String> {
    match ByteSize::from_str(text.trim()) {
        // The parser saturates.
        Ok(ByteSize(u64::MAX)) | Err(_) => {
            Err("expected a size such as 2GiB, 512MiB, or a number of bytes".to_owned())
        }
        Ok(ByteSize(bytes)) => Ok(bytes),
    }
}

/// Reads a duration with its unit: `60s`, `500ms`, `1m 30s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim())
        .map_err(|_| "expected a duration with its unit, such as 60s, 500ms or 2m".to_owned())
}

/// Reads an origin (RFC 6454, section 6.2), or `*`.
fn origin(text: &str) -> Result<String, String> {
    let host = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.trim().strip_prefix(scheme));
    let is_host = host.is_some_and(|host| {
        !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
    });
    if is_host || text.trim() == "*" {
        Ok(text.trim().to_owned())
    } else {
        Err("expected an origin without a path, such as https://example.org, or *".to_owned())
    }
}

/// Checks what is to be logged.
fn log_filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text)
        .map(|_| text.trim().to_owned())
        .map_err(|error| error.to_string())
}

fn byte_count(text: &str) -> Result<usize, String> {
    usize::try_from(byte_size(text)?).map_err(|_| "more than this machine can address".to_owned())
}

#[cfg(test)]
mod tests;
