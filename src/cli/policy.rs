//! `dossier policy`.

use std::{io::Write as _, path::PathBuf};

use clap::{
    Args, Subcommand,
    builder::{NonEmptyStringValueParser, TypedValueParser as _},
};

use super::{failure::Failure, output::Output};
use crate::auth::Policy;

/// Arguments of `dossier policy`.
#[derive(Args, Debug)]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Subcommand, Debug)]
enum PolicyCommand {
    /// Read a policy file as the server would, and say what is wrong with it, or what somebody may do
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
}

const CHECK_EXAMPLES: &str = "\
Examples:
  dossier policy check policy.toml
  dossier policy check policy.toml --explain jwt:alice --role read";

/// Arguments of `dossier policy check`.
#[derive(Args, Debug)]
struct CheckArgs {
    /// The file
    #[arg(value_name = "FILE", value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
    file: PathBuf,

    /// Say what somebody may do: token:NAME, jwt:SUBJECT or certificate:NAME
    #[arg(long, value_name = "SUBJECT")]
    explain: Option<String>,

    /// A role that the credential brings; may be repeated
    #[arg(long, value_name = "ROLE", requires = "explain")]
    role: Vec<String>,
}

/// Checks a policy file; fails if the server would refuse it.
pub(super) fn run(args: &PolicyArgs) -> Result<(), Failure> {
    let PolicyCommand::Check(args) = &args.command;
    let policy = Policy::read(&args.file).map_err(|error| Failure::failed(error.to_string()))?;
    let mut output = Output::stdout();
    match &args.explain {
        None => {
            let (role_count, subject_count) = policy.counts();
            writeln!(output, "{role_count} roles, {subject_count} subjects")?;
        }
        Some(subject) => {
            for line in policy.explain(subject, &args.role) {
                writeln!(output, "{line}")?;
            }
        }
    }
    output.flush()?;
    Ok(())
}
