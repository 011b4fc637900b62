//! `dossier update`.

use std::{io::Write as _, time::Duration};

use clap::{Args, ValueEnum};

use super::{
    bind::BindArgs,
    client::{Client, ServerArgs},
    failure::Failure,
    output::{Json, Output, thousands},
    text::TextArgs,
};
use crate::{
    config,
    proto::v1::{QueryLimits, UpdateRequest, UpdateResponse},
};

/// Arguments of `dossier update`.
#[derive(Args, Debug)]
pub(super) struct UpdateArgs {
    #[command(flatten)]
    text: TextArgs,

    #[command(flatten)]
    bind: BindArgs,

    /// Fail if the update takes longer, such as 500ms or 2m
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    timeout: Option<Duration>,

    /// Only tell what the update would do
    #[arg(long)]
    dry_run: bool,

    /// Refuse the update unless this is the newest revision
    #[arg(long, value_name = "REVISION")]
    expected_revision: Option<i64>,

    /// Name that makes the update safe to repeat: with the same name it is done once
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,

    /// Name of this run, for `dossier queries` and logs; the server chooses one if it is left out
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    query_id: String,

    /// Why, for the log
    #[arg(
        long,
        short,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    message: String,

    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: UpdateFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default)]
enum UpdateFormat {
    /// One line for people
    #[default]
    Text,
    /// `UpdateResponse` in protobuf's JSON mapping
    Json,
}

/// Runs a SPARQL update.
pub(super) async fn update(args: UpdateArgs, server: &ServerArgs) -> Result<(), Failure> {
    let text = args.text.read("update")?;
    let timeout = args.timeout.map(prost_types::Duration::try_from).transpose();
    let mut client = Client::connect(server).await?;
    let parameters = args.bind.parameters(&mut client).await?;
    let request = UpdateRequest {
        update: text.text.clone(),
        parameters,
        limits: Some(QueryLimits {
            timeout: timeout.map_err(|_| Failure::usage("--timeout is too long"))?,
            ..Default::default()
        }),
        request_id: args.request_id,
        expected_revision: args.expected_revision,
        validate_only: args.dry_run,
        message: args.message,
        query_id: args.query_id,
        preconditions: Vec::new(),
    };
    let answer = client.sparql.update(request).await;
    let answer = answer
        .map_err(|status| Failure::in_text(&status, text.source()))?
        .into_inner();
    let mut output = Output::stdout();
    match args.output {
        UpdateFormat::Json => Json::new()?.write(&mut output, "UpdateResponse", &answer)?,
        UpdateFormat::Text => writeln!(output, "{}", summary(&answer, args.dry_run))?,
    }
    Ok(output.flush()?)
}

/// Returns what a write did, in a line.
pub(super) fn summary(answer: &UpdateResponse, dry_run: bool) -> String {
    let inserted = quads(answer.quads_inserted);
    let removed = quads(answer.quads_removed);
    match (dry_run, answer.quads_inserted, answer.quads_removed) {
        (true, ..) => format!(
            "would insert {inserted} and remove {removed}; revision {} stays the newest",
            answer.revision
        ),
        (false, 0, 0) => format!("nothing changed; revision {} stays the newest", answer.revision),
        (false, ..) => format!(
            "revision {}: {inserted} inserted, {removed} removed",
            answer.revision
        ),
    }
}

/// Returns `1 quad`, `1,234 quads`.
pub(super) fn quads(count: i64) -> String {
    format!("{} quad{}", thousands(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_say_what_happened() {
        let check = |(quads_inserted, quads_removed, dry_run), expected: &str| {
            let answer = UpdateResponse {
                revision: 7,
                quads_inserted,
                quads_removed,
            };
            assert_eq!(summary(&answer, dry_run), expected);
        };
        check(
            (1, 2000, false),
            "revision 7: 1 quad inserted, 2,000 quads removed",
        );
        check((0, 0, false), "nothing changed; revision 7 stays the newest");
        check(
            (3, 0, true),
            "would insert 3 quads and remove 0 quads; revision 7 stays the newest",
        );
    }
}
