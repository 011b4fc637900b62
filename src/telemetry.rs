//! The log of the server: structured events on standard error.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::{LogFormat, ServeSettings};

/// What is logged where neither the settings nor `RUST_LOG` say.
///
/// h2 warns at what any stranger sends, once for each frame: what becomes of the connection we say ourselves.
const DEFAULT_FILTER: &str = "h2=error,info";

/// Why logging cannot start.
#[derive(thiserror::Error, Debug)]
pub enum TelemetryError {
    /// A filter does not parse.
    #[error("RUST_LOG={filter}: {cause}")]
    Filter {
        /// What it is.
        filter: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The process logs already.
    #[error("the log is set up already")]
    AlreadySet,
}

/// Starts to log to standard error what the settings say, else what `RUST_LOG` does, else from `info` up.
pub fn init(settings: &ServeSettings) -> Result<(), TelemetryError> {
    let filter = filter(&settings.log_filter, std::env::var("RUST_LOG").ok())?;
    let registry = tracing_subscriber::registry().with(filter);
    let colors =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let result = match settings.log_format {
        LogFormat::Text => registry
            .with(
                fmt::layer()
                    .with_writer(io::stderr)
                    .with_ansi(colors)
                    .with_target(false),
            )
            .try_init(),
        LogFormat::Json => registry
            .with(fmt::layer().json().flatten_event(true).with_writer(io::stderr))
            .try_init(),
    };
    result.map_err(|_| TelemetryError::AlreadySet)
}

/// Returns what is logged; blank is not said.
fn filter(setting: &str, rust_log: Option<String>) -> Result<EnvFilter, TelemetryError> {
    let filter = [setting.to_owned(), rust_log.unwrap_or_default()]
        .into_iter()
        .find(|filter| !filter.trim().is_empty())
        .unwrap_or_else(|| DEFAULT_FILTER.to_owned());
    EnvFilter::try_new(&filter).map_err(|error| TelemetryError::Filter {
        filter,
        cause: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_say_what_is_logged_before_the_environment() {
        let check = |setting: &str, rust_log: Option<&str>, expected: Result<&str, &str>| match (
            filter(setting, rust_log.map(str::to_owned)),
            expected,
        ) {
            (Ok(filter), Ok(expected)) => assert_eq!(filter.to_string(), expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (result, expected) => panic!("{setting}, {rust_log:?}: {result:?}, not {expected:?}"),
        };
        check("", None, Ok(DEFAULT_FILTER));
        check("", Some(" "), Ok(DEFAULT_FILTER));
        check("", Some("warn"), Ok("warn"));
        check("debug", Some("warn"), Ok("debug"));
        check("", Some("dossier=loud"), Err("RUST_LOG=dossier=loud"));
    }
}
