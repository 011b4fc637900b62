//! `dossier write` and `dossier retract`.

mod fact;
mod file;

use std::{io::Write as _, path::PathBuf};

use clap::{Args, ValueEnum};

use super::{
    client::{Client, ServerArgs},
    failure::Failure,
    output::{Json, Output},
    update::summary,
};
use crate::proto::v1::{RetractFactsRequest, UpdateResponse, WriteFactsRequest};
use fact::FactArgs;

/// Arguments of `dossier write`.
#[derive(Args, Debug)]
pub(super) struct WriteArgs {
    #[command(flatten)]
    fact: FactArgs,

    /// File of facts as `dossier facts --output json` writes them, one after the other or in an array; `-`: standard input
    #[arg(long, short, value_name = "FILE", conflicts_with = "FactArgs")]
    file: Option<PathBuf>,

    #[command(flatten)]
    commit: CommitArgs,
}

/// Arguments of `dossier retract`.
#[derive(Args, Debug)]
pub(super) struct RetractArgs {
    /// Statements to retract: IRIs or prefixed names such as `s:F01`
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,

    #[command(flatten)]
    commit: CommitArgs,
}

/// How a write is committed.
#[derive(Args, Debug)]
struct CommitArgs {
    /// Only check, and tell what it would do
    #[arg(long, visible_alias = "dry-run")]
    validate_only: bool,

    /// Refuse the write unless this is the newest revision
    #[arg(long, value_name = "REVISION")]
    expected_revision: Option<i64>,

    /// Name that makes the write safe to repeat: with the same name it is done once
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,

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
    output: WriteFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default)]
enum WriteFormat {
    /// For people: the statements, then what changed
    #[default]
    Text,
    /// The response in protobuf's JSON mapping
    Json,
}

/// Writes facts.
pub(super) async fn write(args: WriteArgs, server: &ServerArgs) -> Result<(), Failure> {
    let from_file = args.file.as_deref().map(file::read).transpose()?;
    let mut client = Client::connect(server).await?;
    let prefixes = client.prefixes().await?;
    let facts = match from_file {
        Some(facts) => facts,
        None => vec![args.fact.into_fact(&prefixes)?],
    };
    let commit = args.commit;
    let request = WriteFactsRequest {
        facts,
        preconditions: Vec::new(),
        request_id: commit.request_id,
        expected_revision: commit.expected_revision,
        validate_only: commit.validate_only,
        message: commit.message,
    };
    let answer = client.writes.write_facts(request).await?.into_inner();
    let mut output = Output::stdout();
    match commit.output {
        WriteFormat::Json => Json::new()?.write(&mut output, "WriteFactsResponse", &answer)?,
        WriteFormat::Text => {
            // Those that were only made up to be checked are nobody's.
            if !commit.validate_only {
                for id in &answer.ids {
                    writeln!(output, "{}", prefixes.shorten(id))?;
                }
            }
            let counts = [answer.revision, answer.quads_inserted, answer.quads_removed];
            tell(&mut output, counts, commit.validate_only)?;
        }
    }
    Ok(output.flush()?)
}

/// Retracts statements.
pub(super) async fn retract(args: RetractArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let commit = args.commit;
    let request = RetractFactsRequest {
        ids: args.ids,
        preconditions: Vec::new(),
        request_id: commit.request_id,
        expected_revision: commit.expected_revision,
        validate_only: commit.validate_only,
        message: commit.message,
    };
    let answer = client.writes.retract_facts(request).await?.into_inner();
    let mut output = Output::stdout();
    match commit.output {
        WriteFormat::Json => Json::new()?.write(&mut output, "RetractFactsResponse", &answer)?,
        WriteFormat::Text => {
            let counts = [answer.revision, answer.quads_inserted, answer.quads_removed];
            tell(&mut output, counts, commit.validate_only)?;
        }
    }
    Ok(output.flush()?)
}

/// Tells revision, quads inserted and quads removed, as `dossier update` does.
fn tell(
    output: &mut Output,
    [revision, quads_inserted, quads_removed]: [i64; 3],
    validate_only: bool,
) -> std::io::Result<()> {
    let changed = UpdateResponse {
        revision,
        quads_inserted,
        quads_removed,
    };
    writeln!(output, "{}", summary(&changed, validate_only))
}
