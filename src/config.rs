//! The settings of the server: flags, `DOSSIER_*` variables of the environment, and what they must satisfy.
//!
//! All of it is read and checked before a port opens.

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

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What `dossier serve` is told: where to listen, where to keep data, and its limits.
///
/// [`Default`] is what `serve` without flags does. [`ServeSettings::validate`] must pass before they are used.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ServeSettings {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(
        long,
        env = "DOSSIER_LISTEN",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:50051"
    )]
    pub listen: SocketAddr,

    /// Listen on other addresses than loopback although nothing authenticates callers
    #[arg(long, env = "DOSSIER_INSECURE", value_parser = BoolishValueParser::new())]
    pub insecure: bool,

    /// Directory of the commit log and the snapshot files; made if it is missing
    #[arg(long, env = "DOSSIER_DATA_DIR", value_name = "DIR", default_value = "dossier-data",
        value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
    pub data_dir: PathBuf,

    /// Start an empty knowledge base empty, without the data set that the server ships
    #[arg(long = "no-shipped-data", env = "DOSSIER_SHIPPED_DATA", action = clap::ArgAction::SetFalse,
        value_parser = BoolishValueParser::new())]
    pub load_shipped_data: bool,

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

    /// Origins whose web pages may call from browsers (CORS), such as `https://example.org`; `*` is any
    ///
    /// Give it again for each, or separate them with commas. Without it browsers let no other page call.
    #[arg(long = "cors-origin", env = "DOSSIER_CORS_ORIGINS", value_name = "ORIGIN", value_delimiter = ',',
        value_parser = origin)]
    pub cors_origins: Vec<String>,

    /// Time that running calls get to finish when the server is told to stop
    #[arg(long, env = "DOSSIER_DRAIN_TIMEOUT", value_name = "DURATION", value_parser = duration,
        default_value = "10s")]
    pub drain_timeout: Duration,

    /// Form of the log on standard error
    #[arg(
        long,
        env = "DOSSIER_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub log_format: LogFormat,
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

/// Why settings cannot be used.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// The address can be reached by others, and nothing would tell callers apart.
    #[error(
        "refusing to listen on {0}: it can be reached from other machines, and the server does not authenticate \
         callers, so anybody there could read and change everything"
    )]
    Exposed(SocketAddr),
    /// A limit is outside of what can work.
    #[error("--{flag} must be from {min} to {max}, not {value}")]
    OutOfRange {
        /// The flag, without the dashes.
        flag: &'static str,
        /// The least value, with its unit.
        min: String,
        /// The greatest value, with its unit.
        max: String,
        /// The value that was given, with its unit.
        value: String,
    },
    /// A query of the allowed length would not fit into a message.
    #[error(
        "--query-size-max ({query}) must be less than --message-size-max ({message}): a query travels in a message"
    )]
    QueryLargerThanMessage {
        /// The limit of queries.
        query: ByteSize,
        /// The limit of messages.
        message: ByteSize,
    },
}

impl SettingsError {
    /// Returns what the operator can do about it, if there is something to say beyond the message.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Exposed(_) => Some(
                "listen on 127.0.0.1, or pass --insecure (DOSSIER_INSECURE=true) if something else keeps strangers away \
                 from this port, such as a container's network or a proxy",
            ),
            Self::OutOfRange { .. } | Self::QueryLargerThanMessage { .. } => None,
        }
    }
}

impl ServeSettings {
    /// Checks what the types alone cannot say.
    pub fn validate(&self) -> Result<(), SettingsError> {
        if !self.listen.ip().to_canonical().is_loopback() && !self.insecure {
            return Err(SettingsError::Exposed(self.listen));
        }
        let sizes = [
            (
                "graph-memory-max",
                self.graph_memory_bytes_max,
                MIB as u64,
                u64::MAX,
            ),
            (
                "query-size-max",
                self.query_bytes_max as u64,
                KIB as u64,
                (64 * MIB) as u64,
            ),
            (
                "message-size-max",
                self.message_bytes_max as u64,
                (64 * KIB) as u64,
                (1024 * MIB) as u64,
            ),
        ];
        for (flag, value, min, max) in sizes {
            in_range(flag, value, min, max, |bytes| ByteSize(bytes).to_string())?;
        }
        let counts = [
            ("query-nesting-max", self.query_nesting_max as u64, 1, 1_000),
            (
                "query-concurrency-max",
                self.query_concurrency_max as u64,
                1,
                10_000,
            ),
            ("connections-max", self.connection_count_max as u64, 1, 1_000_000),
            ("streams-max", u64::from(self.stream_count_max), 1, 1_000_000),
        ];
        for (flag, value, min, max) in counts {
            in_range(flag, value, min, max, |count| count.to_string())?;
        }
        let durations = [
            (
                "query-timeout-max",
                self.query_timeout_max,
                Duration::from_millis(1),
            ),
            ("drain-timeout", self.drain_timeout, Duration::ZERO),
        ];
        let day = Duration::from_hours(24);
        for (flag, value, min) in durations {
            in_range(flag, value, min, day, |time| {
                humantime::format_duration(time).to_string()
            })?;
        }
        if self.query_bytes_max >= self.message_bytes_max {
            return Err(SettingsError::QueryLargerThanMessage {
                query: ByteSize(self.query_bytes_max as u64),
                message: ByteSize(self.message_bytes_max as u64),
            });
        }
        Ok(())
    }
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)),
            insecure: false,
            data_dir: PathBuf::from("dossier-data"),
            load_shipped_data: true,
            graph_memory_bytes_max: memory::default_graph_memory_bytes_max(),
            query_timeout_max: Duration::from_mins(1),
            query_bytes_max: MIB,
            query_nesting_max: 100,
            query_concurrency_max: 32,
            message_bytes_max: 16 * MIB,
            connection_count_max: 1024,
            stream_count_max: 100,
            cors_origins: Vec::new(),
            drain_timeout: Duration::from_secs(10),
            log_format: LogFormat::Text,
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

fn byte_count(text: &str) -> Result<usize, String> {
    usize::try_from(byte_size(text)?).map_err(|_| "more than this machine can address".to_owned())
}

fn in_range<T: PartialOrd + Copy>(
    flag: &'static str,
    value: T,
    min: T,
    max: T,
    show: impl Fn(T) -> String,
) -> Result<(), SettingsError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(SettingsError::OutOfRange {
        flag,
        min: show(min),
        max: show(max),
        value: show(value),
    })
}

#[cfg(test)]
mod tests;
