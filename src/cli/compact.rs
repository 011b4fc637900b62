//! `dossier compact`.

use std::{io::Write as _, path::PathBuf};

use bytesize::ByteSize;
use clap::{
    Args,
    builder::{NonEmptyStringValueParser, TypedValueParser as _},
};

use super::{failure::Failure, output::Output};
use crate::knowledge::{LOG_FILE, Settings, compact};

/// Arguments of `dossier compact`.
#[derive(Args, Debug)]
pub(super) struct CompactArgs {
    /// Directory of the knowledge base, which no server must have open
    #[arg(long, env = "DOSSIER_DATA_DIR", value_name = "DIR", default_value = "dossier-data",
        value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
    data_dir: PathBuf,

    /// The newest commits, which stay
    #[arg(long, value_name = "COMMITS", default_value_t = 1_000)]
    keep_commits: u64,
}

/// Puts the graph in the place of older commits.
pub(super) fn run(args: &CompactArgs) -> Result<(), Failure> {
    if !args.data_dir.join(LOG_FILE).exists() {
        return Err(Failure::failed(format!(
            "there is no knowledge base in {}",
            args.data_dir.display()
        )));
    }
    let compacted = compact(&Settings::new(&args.data_dir), args.keep_commits)
        .map_err(|error| Failure::failed(error.to_string()))?;
    let mut output = Output::stdout();
    match compacted {
        Some(done) => writeln!(
            output,
            "the log begins with the graph of revision {}: {} were {}",
            done.earliest,
            ByteSize(done.bytes),
            ByteSize(done.bytes_before)
        )?,
        None => writeln!(output, "there is nothing to compact")?,
    }
    Ok(output.flush()?)
}
