//! What the server tells of itself beside its counts: the log on standard error, and traces.

mod line;
mod stderr;
mod trace;

use std::io::{self, IsTerminal as _};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::filter_fn,
    fmt,
    layer::SubscriberExt as _,
    registry::{LookupSpan, Registry},
    util::{SubscriberInitExt as _, TryInitError},
};

use crate::config::{LogFormat, ServeSettings};
use line::WithRequestId;
pub use stderr::lost_line_count;
use stderr::{End, Lines};
pub use trace::{TraceError, Traces, end_http_span, end_rpc_span, http_span, rpc_span};

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
    /// The thread that writes the log cannot be started.
    #[error("the log cannot be started: {0}")]
    Thread(#[from] io::Error),
    /// There can be no traces.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The process logs already.
    #[error("the log is set up already")]
    AlreadySet,
}

/// What has been started. The end of the log is waited for when this is dropped, though not for long.
#[derive(Debug)]
pub struct Telemetry {
    /// None unless the settings say where they go.
    pub traces: Option<Traces>,
    _log: End,
}

/// Starts to log to standard error what the settings say, else what `RUST_LOG` does, else from `info` up, and to send traces if
/// the settings say where: call it within a runtime of Tokio.
pub fn init(settings: &ServeSettings) -> Result<Telemetry, TelemetryError> {
    let lines = Lines::to(io::stderr())?;
    let end = lines.end();
    Ok(Telemetry {
        traces: start(settings, lines)?,
        _log: end,
    })
}

fn start(settings: &ServeSettings, lines: Lines) -> Result<Option<Traces>, TelemetryError> {
    let filter = filter(&settings.log_filter, std::env::var("RUST_LOG").ok())?;
    let Some(traces) = Traces::new(settings)? else {
        // Spans of traces are of the least level: what nobody takes costs nothing.
        let log = tracing_subscriber::registry().with(filter);
        let format = log_layer(settings.log_format, lines);
        log.with(format).try_init().map_err(already_set)?;
        return Ok(None);
    };
    let spans = traces.layer::<Registry>().with_filter(filter_fn(|metadata| {
        metadata.is_span() && metadata.target().starts_with("dossier")
    }));
    let registry = tracing_subscriber::registry().with(spans);
    let log = log_layer(settings.log_format, lines).with_filter(filter);
    registry.with(log).try_init().map_err(already_set)?;
    Ok(Some(traces))
}

/// Reads the files that settings name for traces.
pub fn check_files(settings: &ServeSettings) -> Result<(), TelemetryError> {
    Ok(trace::headers(settings).map(drop)?)
}

fn already_set(_: TryInitError) -> TelemetryError {
    TelemetryError::AlreadySet
}

fn log_layer<S: Subscriber + for<'s> LookupSpan<'s>>(
    format: LogFormat,
    lines: Lines,
) -> Box<dyn Layer<S> + Send + Sync> {
    let colors =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match format {
        LogFormat::Text => {
            let text = fmt::format().with_ansi(colors).with_target(false);
            let layer = fmt::layer().with_writer(lines).with_ansi(colors);
            Box::new(layer.event_format(WithRequestId::text(text)))
        }
        LogFormat::Json => {
            let json = fmt::format().json().flatten_event(true);
            let layer = fmt::layer().json().with_writer(lines);
            Box::new(layer.event_format(WithRequestId::json(json)))
        }
    }
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
