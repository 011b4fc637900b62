//! `dossier info` and `dossier health`.

use std::{io::Write as _, time::Duration};

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use comfy_table::Cell;
use tokio::time::timeout;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{
    client::{Client, ServerArgs, connect},
    failure::Failure,
    output::{Json, Output, thousands},
    term::printable,
};
use crate::proto::v1::{CallerLimits, GetServerInfoResponse};

/// Whoever asks for health is asked how it went.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);

/// Arguments of `dossier info`.
#[derive(Args, Debug)]
pub(super) struct InfoArgs {
    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: InfoFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default)]
enum InfoFormat {
    /// For people
    #[default]
    Table,
    /// `GetServerInfoResponse` in protobuf's JSON mapping
    Json,
}

/// Tells about the server.
pub(super) async fn info(args: InfoArgs, server: &ServerArgs) -> Result<(), Failure> {
    let info = Client::connect(server).await?.info().await?;
    let mut output = Output::stdout();
    match args.output {
        InfoFormat::Json => Json::new()?.write(&mut output, "GetServerInfoResponse", &info)?,
        InfoFormat::Table => {
            output.table(&["SERVER", &server.server], state(&info))?;
            writeln!(output)?;
            if !info.data_sets.is_empty() {
                output.table(&["DATA SET", ""], data_sets(&info))?;
                writeln!(output)?;
            }
            output.table(&["LIMIT", ""], limits(&info))?;
            writeln!(output)?;
            if let Some(limits) = &info.caller_limits {
                output.table(&["YOUR LIMIT", "", "LEFT"], caller_limits(limits))?;
                writeln!(output)?;
            }
            let prefixes = info.prefixes.into_iter();
            let rows = prefixes.map(|prefix| vec![Cell::new(prefix.name), Cell::new(prefix.iri)]);
            output.table(&["PREFIX", "IRI"], rows.collect())?;
        }
    }
    Ok(output.flush()?)
}

/// Fails unless the server is ready.
///
/// Exits with 1 also where no server can be reached: container engines know 0 and 1 only.
pub(super) async fn health(server: &ServerArgs) -> Result<(), Failure> {
    let asking = async {
        // Health is told to everybody: a token that is at fault is no matter of it.
        let channel = connect(server).await?;
        let request = HealthCheckRequest {
            service: String::new(),
        };
        let answer = HealthClient::new(channel).check(request).await?;
        Ok::<_, Failure>(answer.into_inner().status())
    };
    let status = timeout(HEALTH_TIMEOUT, asking)
        .await
        .unwrap_or_else(|_| {
            let time = humantime::format_duration(HEALTH_TIMEOUT);
            let message = format!("the server at {} did not answer within {time}", server.server);
            Err(Failure::failed(message))
        })
        .map_err(Failure::into_failed)?;
    let mut output = Output::stdout();
    writeln!(output, "{}", status.as_str_name())?;
    output.flush()?;
    match status {
        ServingStatus::Serving => Ok(()),
        ServingStatus::Unknown | ServingStatus::NotServing | ServingStatus::ServiceUnknown => Err(
            Failure::failed(format!("the server at {} is not ready", server.server)),
        ),
    }
}

fn state(info: &GetServerInfoResponse) -> Vec<Vec<Cell>> {
    let uptime = Duration::from_secs(info.uptime_seconds.try_into().unwrap_or(0));
    rows([
        ("version", info.version.clone()),
        ("up for", humantime::format_duration(uptime).to_string()),
        ("revision", thousands(info.revision)),
        ("earliest revision", thousands(info.earliest_revision)),
        ("quads", thousands(info.quad_count)),
        ("named graphs", thousands(info.named_graph_count)),
        ("terms", thousands(info.term_count)),
        ("what holds on", reference_date(info)),
        ("graph memory", bytes(info.graph_memory_bytes)),
    ])
}

fn reference_date(info: &GetServerInfoResponse) -> String {
    if info.reference_date_is_today {
        format!("{} (today)", info.reference_date)
    } else {
        info.reference_date.clone()
    }
}

/// Returns each data set's title, its licences, what is said of its rights, and what is to be named.
fn data_sets(info: &GetServerInfoResponse) -> Vec<Vec<Cell>> {
    let sets = info.data_sets.iter().flat_map(|set| {
        let title = if set.title.is_empty() {
            &set.iri
        } else {
            &set.title
        };
        let version = [&set.version, &set.issued, &set.created];
        let version = version.into_iter().find(|text| !text.is_empty()).cloned();
        let licenses = set.licenses.iter().map(|license| format!("licence {license}"));
        let rights = (!set.rights.is_empty()).then(|| set.rights.clone());
        let texts = version
            .into_iter()
            .chain(licenses)
            .chain(rights)
            .chain(set.attributions.iter().cloned());
        let mut texts: Vec<_> = texts.collect();
        if texts.is_empty() {
            texts.push(String::new());
        }
        let titles = std::iter::once(title.as_str()).chain(std::iter::repeat(""));
        titles
            .zip(texts)
            .map(|(title, text)| vec![Cell::new(printable(title)), Cell::new(printable(&text))])
            .collect::<Vec<_>>()
    });
    sets.collect()
}

fn limits(info: &GetServerInfoResponse) -> Vec<Vec<Cell>> {
    let limits = info.limits.unwrap_or_default();
    let timeout = Duration::from_millis(limits.query_timeout_ms_max.try_into().unwrap_or(0));
    rows([
        ("query size", bytes(limits.query_bytes_max)),
        ("query nesting", thousands(limits.query_nesting_max)),
        ("query operators", thousands(limits.query_operator_count_max)),
        ("query clauses", thousands(limits.query_clause_count_max)),
        ("query patterns", thousands(limits.query_pattern_count_max)),
        ("query brackets read twice", thousands(limits.query_ambiguity_max)),
        ("query IRI size", bytes(limits.query_iri_bytes_max)),
        ("query parameters", thousands(limits.query_parameter_count_max)),
        ("query memory", bytes(limits.query_memory_bytes_max)),
        ("memory of all queries", bytes(limits.queries_memory_bytes_max)),
        ("query time", humantime::format_duration(timeout).to_string()),
        ("query result rows", thousands(limits.query_row_count_max)),
        ("query result size", bytes(limits.query_result_bytes_max)),
        ("query work", thousands(limits.query_work_max)),
        ("literal size", bytes(limits.literal_bytes_max)),
        ("term size", bytes(limits.term_bytes_max)),
        ("text of REGEX", bytes(limits.regex_text_bytes_max)),
        ("compiled REGEX", bytes(limits.regex_bytes_max)),
        (
            "compiled REGEX, long text",
            bytes(limits.long_text_regex_bytes_max),
        ),
        ("queries at once", thousands(limits.concurrent_query_count_max)),
        ("answer to SERVICE or LOAD", bytes(limits.remote_bytes_max)),
        ("watches at once", thousands(limits.watcher_count_max)),
        ("memory of a difference", bytes(limits.diff_bytes_max)),
        ("changes taken back", thousands(limits.past_change_count_max)),
        ("message size", bytes(limits.message_bytes_max)),
        ("graph memory", bytes(limits.graph_memory_bytes_max)),
        ("connections", thousands(limits.connection_count_max)),
        ("streams a connection", thousands(limits.stream_count_max)),
    ])
}

fn caller_limits(limits: &CallerLimits) -> Vec<Vec<Cell>> {
    let rows = [
        (
            "requests a minute",
            limits.requests_per_minute,
            limits.requests_left,
        ),
        (
            "seconds of queries a minute",
            limits.query_seconds_per_minute,
            limits.query_seconds_left,
        ),
        ("requests at once", limits.stream_count_max, None),
        ("queries at once", limits.query_count_max, None),
    ];
    let set = rows.into_iter().filter(|(_, limit, _)| *limit > 0);
    set.map(|(name, limit, left)| {
        let left = left.map_or_else(String::new, thousands);
        [name.to_owned(), thousands(limit), left].map(Cell::new).to_vec()
    })
    .collect()
}

fn rows<const N: usize>(rows: [(&str, String); N]) -> Vec<Vec<Cell>> {
    rows.into_iter()
        .map(|(name, value)| vec![Cell::new(name), Cell::new(value)])
        .collect()
}

fn bytes(count: i64) -> String {
    count
        .try_into()
        .map_or_else(|_| "?".to_owned(), |count| ByteSize(count).to_string())
}
