//! `dossier rebuild`.

use std::{io::Write as _, path::PathBuf, str::FromStr as _};

use clap::{
    Args,
    builder::{NonEmptyStringValueParser, TypedValueParser as _},
};

use super::{
    failure::Failure,
    output::{Output, thousands},
};
use crate::{
    knowledge::{LOG_FILE, Settings, rebuild},
    model::reference_date::ReferenceDate,
};

/// Arguments of `dossier rebuild`.
#[derive(Args, Debug)]
pub(super) struct RebuildArgs {
    /// Directory of the knowledge base, which no server must have open
    #[arg(long, env = "DOSSIER_DATA_DIR", value_name = "DIR", default_value = "dossier-data",
        value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
    data_dir: PathBuf,

    /// Day to derive for, if none is recorded: `today` or a date
    #[arg(long = "as-of", env = "DOSSIER_AS_OF", value_name = "DATE", value_parser = ReferenceDate::from_str,
        default_value_t = ReferenceDate::Today)]
    reference_date: ReferenceDate,

    /// Write nothing: only tell what differs
    #[arg(long)]
    check: bool,
}

/// Recomputes index and derivation; fails if something differed.
pub(super) fn run(args: &RebuildArgs) -> Result<(), Failure> {
    if !args.data_dir.join(LOG_FILE).exists() {
        return Err(Failure::failed(format!(
            "there is no knowledge base in {}",
            args.data_dir.display()
        )));
    }
    let settings = Settings {
        reference_date: args.reference_date,
        disk_free_bytes_min: if args.check {
            0
        } else {
            Settings::new(&args.data_dir).disk_free_bytes_min
        },
        ..Settings::new(&args.data_dir)
    };
    let rebuilt = rebuild(&settings, args.check).map_err(|error| Failure::failed(error.to_string()))?;
    let count = thousands(i64::try_from(rebuilt.difference_count).unwrap_or(i64::MAX));
    let mut output = Output::stdout();
    for difference in &rebuilt.differences {
        writeln!(output, "{difference}")?;
    }
    if rebuilt.difference_count > rebuilt.differences.len() as u64 {
        writeln!(output, "…")?;
    }
    writeln!(
        output,
        "revision {}: {} quads, {count} differences",
        rebuilt.revision, rebuilt.quad_count
    )?;
    if let Some(revision) = rebuilt.corrected_at {
        writeln!(output, "corrected at revision {revision}")?;
    }
    output.flush()?;
    if rebuilt.difference_count == 0 {
        Ok(())
    } else {
        Err(Failure::failed(format!("{count} differences were found")))
    }
}
