//! The log of the server: structured events on standard error.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::LogFormat;

/// What is logged where neither `DOSSIER_LOG` nor `RUST_LOG` says.
const DEFAULT_FILTER: &str = "info";

/// Why logging cannot start.
#[derive(thiserror::Error, Debug)]
pub enum TelemetryError {
    /// A filter in the environment does not parse.
    #[error("{variable}={filter}: {cause}")]
    Filter {
        /// The variable of the environment.
        variable: &'static str,
        /// Its value.
        filter: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The process logs already.
    #[error("the log is set up already")]
    AlreadySet,
}

/// Starts to log to standard error, with the filter of `DOSSIER_LOG`, else of `RUST_LOG`, else from `info` up.
pub fn init(format: LogFormat) -> Result<(), TelemetryError> {
    let filter = filter(|variable| std::env::var(variable).ok())?;
    let registry = tracing_subscriber::registry().with(filter);
    let colors =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let result = match format {
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

fn filter(variable: impl Fn(&str) -> Option<String>) -> Result<EnvFilter, TelemetryError> {
    let set = ["DOSSIER_LOG", "RUST_LOG"]
        .into_iter()
        .find_map(|name| Some((name, variable(name).filter(|value| !value.trim().is_empty())?)));
    let Some((variable, filter)) = set else {
        return Ok(EnvFilter::new(DEFAULT_FILTER));
    };
    EnvFilter::try_new(&filter).map_err(|error| TelemetryError::Filter {
        variable,
        filter,
        cause: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_comes_from_the_environment() {
        let check = |environment: &[(&str, &str)], expected: Result<&str, &str>| {
            let variable = |name: &str| {
                environment
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value).to_owned())
            };
            match (filter(variable), expected) {
                (Ok(filter), Ok(expected)) => assert_eq!(filter.to_string(), expected),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (result, expected) => panic!("{environment:?}: {result:?}, not {expected:?}"),
            }
        };
        check(&[], Ok("info"));
        check(&[("DOSSIER_LOG", "")], Ok("info"));
        check(&[("RUST_LOG", "warn")], Ok("warn"));
        check(&[("RUST_LOG", "warn"), ("DOSSIER_LOG", "debug")], Ok("debug"));
        check(
            &[("DOSSIER_LOG", "dossier=loud")],
            Err("DOSSIER_LOG=dossier=loud"),
        );
    }
}
