//! `dossier erase`.

use std::io::Write as _;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};

use super::{
    backup::rfc3339_of,
    client::{Client, ServerArgs},
    failure::Failure,
    output::{Json, Output, thousands},
};
use crate::proto::v1::{BackupsHolding, EraseEntityRequest, EraseEntityResponse};

/// Arguments of `dossier erase`.
#[derive(Args, Debug)]
pub(super) struct EraseArgs {
    /// The entity: an IRI or a prefixed name
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Erase it; without this it is only told what would be
    #[arg(long)]
    yes: bool,

    /// Why, for the log, where it stays; it must not name the entity
    #[arg(long, short, value_name = "TEXT", default_value = "")]
    message: String,

    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: EraseFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default)]
enum EraseFormat {
    /// For people
    #[default]
    Text,
    /// `EraseEntityResponse` in protobuf's JSON mapping
    Json,
}

/// Erases an entity, or tells what that would do.
pub(super) async fn erase(args: EraseArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let request = EraseEntityRequest {
        entity: args.entity,
        message: args.message,
        validate_only: !args.yes,
    };
    let answer = client.admin.erase_entity(request).await?.into_inner();
    let mut output = Output::stdout();
    match args.output {
        EraseFormat::Json => Json::new()?.write(&mut output, "EraseEntityResponse", &answer)?,
        EraseFormat::Text => tell(&mut output, &answer, args.yes)?,
    }
    Ok(output.flush()?)
}

fn tell(output: &mut Output, answer: &EraseEntityResponse, is_done: bool) -> std::io::Result<()> {
    let verb = if is_done { "erased" } else { "would erase" };
    writeln!(
        output,
        "{verb} {} quads with {} statements, and what {} commits of the log have of them",
        thousands(answer.quads_removed),
        thousands(answer.statement_count),
        thousands(answer.commit_count)
    )?;
    if answer.naming_commit_count > 0 {
        writeln!(
            output,
            "{} commits have its IRI in author, message or request id: that stays until the log is compacted beyond them",
            thousands(answer.naming_commit_count)
        )?;
    }
    if is_done {
        let bytes = |count: i64| ByteSize(count.try_into().unwrap_or(0));
        writeln!(
            output,
            "revision {}; the log had {}, and has {}",
            answer.revision,
            bytes(answer.log_bytes_before),
            bytes(answer.log_bytes)
        )?;
    }
    tell_backups(output, answer.backups.as_ref())?;
    if !is_done {
        writeln!(output, "nothing was done: --yes does it, for good")?;
    }
    Ok(())
}

fn tell_backups(output: &mut Output, backups: Option<&BackupsHolding>) -> std::io::Result<()> {
    let Some(backups) = backups else {
        return writeln!(
            output,
            "the server has no place for backups: those that were made before this may hold it"
        );
    };
    if !backups.fault.is_empty() {
        return writeln!(
            output,
            "any backup that was made before this may hold it: {}",
            backups.fault
        );
    }
    for file in &backups.left_over_files {
        writeln!(
            output,
            "a backup that was cut off, or is being made, may have left it in {file}"
        )?;
    }
    if backups.holding_count + backups.possibly_holding_count == 0 {
        return writeln!(output, "no backup of the server's place holds it");
    }
    writeln!(
        output,
        "{} backups hold it, and {} may: make a new one in another place, and delete these",
        thousands(backups.holding_count),
        thousands(backups.possibly_holding_count)
    )?;
    let holding = backups.holding.iter().map(|backup| (backup, "holds it"));
    let possibly = backups
        .possibly_holding
        .iter()
        .map(|backup| (backup, "may hold it"));
    for (backup, what) in holding.chain(possibly) {
        writeln!(
            output,
            "  revisions {} to {}, made {}: {what}",
            backup.first_revision,
            backup.last_revision,
            rfc3339_of(backup.made_at)
        )?;
    }
    Ok(())
}
