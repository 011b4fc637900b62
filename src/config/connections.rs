//! The settings of connections: how many, how long, and how patient the server is with them.

use std::time::Duration;

use clap::Args;

use super::{MIB, byte_size, duration, memory};

/// What one connection, one address and all of them may take.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Connections at once from one address; of IPv6 from one network of 64 bits
    ///
    /// Behind a proxy all connections come from its address.
    #[arg(
        long = "connections-per-address-max",
        env = "DOSSIER_CONNECTIONS_PER_ADDRESS_MAX",
        value_name = "CONNECTIONS",
        default_value_t = 512
    )]
    pub per_address_count_max: usize,

    /// Time that a new connection has for its TLS handshake, and again for what HTTP/2 begins with
    #[arg(long, env = "DOSSIER_HANDSHAKE_TIMEOUT", value_name = "DURATION", value_parser = duration,
        default_value = "10s")]
    pub handshake_timeout: Duration,

    /// Time without a call after which a connection is closed, with a GOAWAY; it may take up to twice as long
    #[arg(long = "connection-idle-max", env = "DOSSIER_CONNECTION_IDLE_MAX", value_name = "DURATION",
        value_parser = duration, default_value = "30m")]
    pub idle_max: Duration,

    /// Age at which a connection gets a GOAWAY, so that clients spread out anew; give or take a tenth
    #[arg(long = "connection-age-max", env = "DOSSIER_CONNECTION_AGE_MAX", value_name = "DURATION",
        value_parser = duration, default_value = "12h")]
    pub age_max: Duration,

    /// Time that calls get to end after a GOAWAY for age; then streams end with UNAVAILABLE
    #[arg(long = "connection-age-grace", env = "DOSSIER_CONNECTION_AGE_GRACE", value_name = "DURATION",
        value_parser = duration, default_value = "1m")]
    pub age_grace: Duration,

    /// Time that a caller may leave 16 KiB of an answer lying before the stream, or its connection, is cut
    #[arg(long, env = "DOSSIER_ANSWER_STALL_MAX", value_name = "DURATION", value_parser = duration,
        default_value = "1m")]
    pub answer_stall_max: Duration,

    /// Time that a caller has for each 16 KiB of a request, or for its rest
    #[arg(long, env = "DOSSIER_REQUEST_STALL_MAX", value_name = "DURATION", value_parser = duration,
        default_value = "30s")]
    pub request_stall_max: Duration,

    /// Memory of answers that their callers have not read, all together; with half of it taken callers must read within a second
    ///
    /// Default: 256MiB, or an eighth of the memory of the container or the machine if that is less.
    #[arg(long = "answer-memory-max", env = "DOSSIER_ANSWER_MEMORY_MAX", value_name = "SIZE", value_parser = byte_size,
        default_value_t = memory::default_passing_bytes_max(), hide_default_value = true)]
    pub answer_memory_bytes_max: u64,

    /// Memory of requests that are received, wait or are worked on, all together, beyond 4 KiB of each
    ///
    /// Default: 256MiB, or an eighth of the memory of the container or the machine if that is less.
    #[arg(long = "request-memory-max", env = "DOSSIER_REQUEST_MEMORY_MAX", value_name = "SIZE", value_parser = byte_size,
        default_value_t = memory::default_passing_bytes_max(), hide_default_value = true)]
    pub request_memory_bytes_max: u64,

    /// Calls that have arrived and are not answered, without queries, streams, and calls of health and of administration; one
    /// more is refused
    ///
    /// Three quarters of them may be writes. Whoever waits for a revision is not counted. Two processors do 12,000 durable writes a
    /// second and more lookups, so no lookup that is let in waits for much longer than a tenth of a second.
    #[arg(
        long = "calls-max",
        env = "DOSSIER_CALLS_MAX",
        value_name = "CALLS",
        default_value_t = 1_024
    )]
    pub call_count_max: usize,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            per_address_count_max: 512,
            handshake_timeout: Duration::from_secs(10),
            idle_max: Duration::from_mins(30),
            age_max: Duration::from_hours(12),
            age_grace: Duration::from_mins(1),
            answer_stall_max: Duration::from_mins(1),
            request_stall_max: Duration::from_secs(30),
            answer_memory_bytes_max: memory::default_passing_bytes_max(),
            request_memory_bytes_max: memory::default_passing_bytes_max(),
            call_count_max: 1_024,
        }
    }
}

impl ConnectionSettings {
    /// Returns sizes, each with its flag, its least and its greatest value.
    pub(super) fn sizes(&self) -> [(&'static str, u64, u64, u64); 2] {
        let least = MIB as u64;
        [
            (
                "answer-memory-max",
                self.answer_memory_bytes_max,
                least,
                i64::MAX as u64,
            ),
            (
                "request-memory-max",
                self.request_memory_bytes_max,
                least,
                i64::MAX as u64,
            ),
        ]
    }

    /// Returns counts, each with its flag, its least and its greatest value.
    pub(super) fn counts(&self) -> [(&'static str, u64, u64, u64); 2] {
        [
            (
                "connections-per-address-max",
                self.per_address_count_max as u64,
                1,
                1_000_000,
            ),
            ("calls-max", self.call_count_max as u64, 1, 1_000_000),
        ]
    }

    /// Returns times, each with its flag and its least value.
    pub(super) fn durations(&self) -> [(&'static str, Duration, Duration); 6] {
        let least = Duration::from_millis(1);
        [
            ("handshake-timeout", self.handshake_timeout, least),
            ("connection-idle-max", self.idle_max, least),
            ("connection-age-max", self.age_max, least),
            ("connection-age-grace", self.age_grace, Duration::ZERO),
            ("answer-stall-max", self.answer_stall_max, least),
            ("request-stall-max", self.request_stall_max, least),
        ]
    }
}
