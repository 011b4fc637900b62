//! What settings must satisfy.

use std::{net::SocketAddr, time::Duration};

use bytesize::ByteSize;

use super::{JwtIncomplete, KIB, MIB, ServeSettings, memory};

/// Why settings cannot be used.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// The address can be reached by others, and nothing would tell callers apart.
    #[error(
        "refusing to listen on {0}: it can be reached from other machines, and the server does not authenticate \
         callers, so anybody there could read and change everything"
    )]
    Exposed(SocketAddr),
    /// Tokens would travel where others can read them.
    #[error(
        "refusing to listen on {0} without TLS: it can be reached from other machines, and whoever reads the tokens of callers \
         on their way has them"
    )]
    PlainTokens(SocketAddr),
    /// There is a policy for callers whom nobody would tell apart: all of them could do everything.
    #[error(
        "--auth-policy would hold for nobody: the server does not authenticate callers, so each may do everything"
    )]
    PolicyForNobody,
    /// What JWTs are known by is not whole.
    #[error(transparent)]
    Jwt(#[from] JwtIncomplete),
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
    /// Returns the flags that are at fault, without the dashes.
    pub fn flags(&self) -> Vec<&'static str> {
        match self {
            Self::Exposed(_) | Self::PlainTokens(_) => vec!["listen"],
            Self::PolicyForNobody => vec!["auth-policy"],
            Self::Jwt(_) => vec!["auth-jwks", "auth-jwt-issuer", "auth-jwt-audience"],
            Self::OutOfRange { flag, .. } => vec![flag],
            Self::QueryLargerThanMessage { .. } => vec!["query-size-max", "message-size-max"],
        }
    }

    /// Returns what the operator can do about it, if there is something to say beyond the message.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Exposed(_) => Some(
                "listen on 127.0.0.1, ask for tokens with --auth-tokens or --auth-jwks or for certificates with --tls-client-ca, \
                 or pass --insecure (DOSSIER_INSECURE=true) if something else keeps strangers away from this port, such as a \
                 container's network or a proxy",
            ),
            Self::PlainTokens(_) => Some(
                "set --tls-cert and --tls-key, or pass --plain-tokens (DOSSIER_PLAIN_TOKENS=true) if a proxy in front speaks TLS, or \
                 the port is published on loopback alone",
            ),
            Self::PolicyForNobody => Some(
                "ask for tokens with --auth-tokens or --auth-jwks, or for certificates with --tls-client-ca",
            ),
            Self::Jwt(_) | Self::OutOfRange { .. } | Self::QueryLargerThanMessage { .. } => None,
        }
    }
}

impl ServeSettings {
    /// Checks what the types alone cannot say.
    pub fn validate(&self) -> Result<(), SettingsError> {
        if self.asks_nobody() && !self.insecure {
            return Err(SettingsError::Exposed(self.listen));
        }
        if self.has_plain_tokens() && !self.insecure && !self.plain_tokens {
            return Err(SettingsError::PlainTokens(self.listen));
        }
        self.auth.jwt()?;
        if self.auth.policy.is_some() && !self.knows_callers() {
            return Err(SettingsError::PolicyForNobody);
        }
        for (flag, value, min, max) in self.sizes().into_iter().chain(self.connections.sizes()) {
            in_range(flag, value, min, max, |bytes| ByteSize(bytes).to_string())?;
        }
        for (flag, value, min, max) in self.counts().into_iter().chain(self.connections.counts()) {
            in_range(flag, value, min, max, |count| count.to_string())?;
        }
        let durations = [
            (
                "query-timeout-max",
                self.query_timeout_max,
                Duration::from_millis(1),
            ),
            ("remote-timeout", self.remote_timeout, Duration::from_millis(1)),
            ("watch-stall-max", self.watch_stall_max, Duration::from_millis(1)),
            (
                "auth-jwks-refresh",
                self.auth.jwks_refresh,
                Duration::from_millis(100),
            ),
            (
                "auth-jwks-age-max",
                self.auth.jwks_age_max,
                Duration::from_millis(100),
            ),
            ("drain-timeout", self.drain_timeout, Duration::ZERO),
        ];
        let day = Duration::from_hours(24);
        for (flag, value, min) in durations.into_iter().chain(self.connections.durations()) {
            in_range(flag, value, min, day, |time| {
                humantime::format_duration(time).to_string()
            })?;
        }
        if let Some(age) = self.log_retention_age {
            let (min, max) = (Duration::from_secs(1), Duration::from_hours(24 * 36_525));
            in_range("log-retention-age", age, min, max, |time| {
                humantime::format_duration(time).to_string()
            })?;
        }
        if let Some(every) = self.backup_every {
            let (min, max) = (Duration::from_secs(1), Duration::from_hours(24 * 366));
            in_range("backup-every", every, min, max, |time| {
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

    /// Returns what is dangerous about them, though they may be used.
    pub fn danger(&self) -> Option<&'static str> {
        if self.asks_nobody() {
            Some(
                "INSECURE: whoever reaches this address may read and change everything; nobody is asked who they are",
            )
        } else if self.has_plain_tokens() {
            Some(
                "INSECURE: tokens travel in plain text; whoever reads along on the way to this address has them",
            )
        } else {
            None
        }
    }

    /// Tells whether others can reach the server, and nothing tells callers apart.
    fn asks_nobody(&self) -> bool {
        self.is_exposed() && !self.knows_callers()
    }

    /// Tells whether tokens travel to the server where others can read them.
    fn has_plain_tokens(&self) -> bool {
        self.is_exposed() && self.auth.has_bearers() && self.tls_cert.is_none()
    }

    fn is_exposed(&self) -> bool {
        !self.listen.ip().to_canonical().is_loopback()
    }

    fn knows_callers(&self) -> bool {
        self.auth.has_bearers() || self.tls_client_ca.is_some()
    }

    /// Returns limits in bytes, each with its flag, its least and its greatest value.
    fn sizes(&self) -> impl IntoIterator<Item = (&'static str, u64, u64, u64)> {
        [
            (
                "graph-memory-max",
                self.graph_memory_bytes_max,
                MIB as u64,
                u64::MAX,
            ),
            (
                "diff-memory-max",
                self.diff_memory_bytes_max,
                MIB as u64,
                i64::MAX as u64,
            ),
            (
                "log-retention-size",
                self.log_retention_bytes.unwrap_or(MIB as u64),
                MIB as u64,
                i64::MAX as u64,
            ),
            (
                "query-memory-max",
                self.query_memory_bytes_max,
                memory::QUERIES_BYTES_MIN,
                u64::MAX,
            ),
            (
                "queries-memory-max",
                self.queries_memory_bytes_max,
                memory::QUERIES_BYTES_MIN,
                u64::MAX,
            ),
            (
                "query-result-size-max",
                self.query_result_bytes_max,
                KIB as u64,
                i64::MAX as u64,
            ),
            (
                "literal-size-max",
                self.literal_bytes_max as u64,
                KIB as u64,
                (256 * MIB) as u64,
            ),
            (
                "regex-text-size-max",
                self.regex_text_bytes_max as u64,
                KIB as u64,
                (64 * MIB) as u64,
            ),
            (
                "regex-size-max",
                self.regex_bytes_max as u64,
                (4 * KIB) as u64,
                (16 * MIB) as u64,
            ),
            (
                "long-text-regex-size-max",
                self.long_text_regex_bytes_max as u64,
                (4 * KIB) as u64,
                (16 * MIB) as u64,
            ),
            (
                "query-iri-size-max",
                self.query_iri_bytes_max as u64,
                256,
                (64 * KIB) as u64,
            ),
            (
                "query-size-max",
                self.query_bytes_max as u64,
                KIB as u64,
                (64 * MIB) as u64,
            ),
            (
                "remote-size-max",
                self.remote_bytes_max as u64,
                KIB as u64,
                (1024 * MIB) as u64,
            ),
            (
                "message-size-max",
                self.message_bytes_max as u64,
                (64 * KIB) as u64,
                (1024 * MIB) as u64,
            ),
        ]
    }

    /// Returns other limits, each with its flag, its least and its greatest value.
    fn counts(&self) -> impl IntoIterator<Item = (&'static str, u64, u64, u64)> {
        [
            ("query-nesting-max", self.query_nesting_max as u64, 1, 1_000),
            (
                "query-operators-max",
                self.query_operator_count_max as u64,
                1,
                4_000,
            ),
            ("query-clauses-max", self.query_clause_count_max as u64, 1, 1_000),
            ("query-patterns-max", self.query_pattern_count_max as u64, 1, 500),
            (
                "query-row-count-max",
                self.query_row_count_max,
                1,
                i64::MAX as u64,
            ),
            (
                "log-retention-commits-min",
                self.log_retention_commit_count_min,
                1,
                i64::MAX as u64,
            ),
            ("query-work-max", self.query_work_max, 1, i64::MAX as u64),
            ("query-ambiguity-max", self.query_ambiguity_max as u64, 1, 14),
            (
                "query-concurrency-max",
                self.query_concurrency_max as u64,
                1,
                10_000,
            ),
            ("connections-max", self.connection_count_max as u64, 1, 1_000_000),
            ("otlp-sample-one-in", self.otlp_sample_one_in, 1, 1_000_000_000),
            ("watchers-max", self.watcher_count_max as u64, 1, 1_000_000),
            ("past-changes-max", self.past_change_count_max, 0, i64::MAX as u64),
            ("streams-max", u64::from(self.stream_count_max), 1, 1_000_000),
        ]
    }
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
