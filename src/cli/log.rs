//! `dossier log`.

use std::{io::Write as _, time::SystemTime};

use clap::{Args, ValueEnum};
use comfy_table::Cell;

use super::{
    client::{Client, ServerArgs},
    failure::Failure,
    output::{Json, Output, thousands},
    patch::{hash, one_line, time},
};
use crate::proto::v1::{ListRevisionsRequest, Revision};

/// Headers of one answer.
const PAGE_SIZE: i32 = 1_000;

/// Arguments of `dossier log`.
#[derive(Args, Debug)]
pub(super) struct LogArgs {
    /// Stop after so many commits
    #[arg(long, short = 'n', value_name = "COMMITS", default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,

    /// List the oldest first
    #[arg(long)]
    oldest_first: bool,

    /// Only commits of this time (UTC) or later, such as 2026-11-25 or 2026-11-25T08:30:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<SystemTime>,

    /// Only commits before this time (UTC)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<SystemTime>,

    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: LogFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default)]
enum LogFormat {
    /// For people
    #[default]
    Table,
    /// One `Revision` a line, in protobuf's JSON mapping
    Json,
}

/// Lists commits.
pub(super) async fn log(args: LogArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let mut request = ListRevisionsRequest {
        oldest_first: args.oldest_first,
        from_time: args.since.map(Into::into),
        until_time: args.until.map(Into::into),
        ..ListRevisionsRequest::default()
    };
    let mut output = Output::stdout();
    let mut left = args.limit;
    while left > 0 {
        request.page_size = i32::try_from(left).unwrap_or(PAGE_SIZE).min(PAGE_SIZE);
        let page = client.changes.list_revisions(request.clone()).await?.into_inner();
        left = left.saturating_sub(page.revisions.len() as u64);
        match args.output {
            LogFormat::Json => {
                let json = Json::new()?;
                for revision in &page.revisions {
                    writeln!(output, "{}", json.value("Revision", revision)?)?;
                }
            }
            LogFormat::Table => {
                let header = [
                    "REVISION", "TIME", "INSERTED", "REMOVED", "HASH", "AUTHOR", "MESSAGE",
                ];
                output.table(&header, page.revisions.iter().map(row).collect())?;
            }
        }
        output.flush()?;
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    Ok(())
}

fn row(revision: &Revision) -> Vec<Cell> {
    vec![
        Cell::new(revision.revision),
        Cell::new(time(revision)),
        Cell::new(thousands(revision.quads_inserted)),
        Cell::new(thousands(revision.quads_removed)),
        Cell::new(hash(revision)),
        Cell::new(one_line(&revision.author)),
        Cell::new(one_line(&revision.message)),
    ]
}

/// Reads a day, or a time with or without `T` and `Z`.
pub(super) fn moment(text: &str) -> Result<SystemTime, String> {
    let text = text.trim();
    humantime::parse_rfc3339_weak(text)
        .or_else(|_| humantime::parse_rfc3339_weak(&format!("{text} 00:00:00")))
        .map_err(|_| "expected a day or a time such as 2026-11-25 or 2026-11-25T08:30:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_read() {
        let check = |text: &str, seconds: Option<u64>| {
            let expected = seconds.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(moment(text).ok(), expected, "{text}");
        };
        check("1970-01-02", Some(86_400));
        check("1970-01-01T01:00:00Z", Some(3_600));
        check("1970-01-01 01:00:00", Some(3_600));
        check("yesterday", None);
        check("1970-13-01", None);
        check("", None);
    }
}
