//! `dossier backup` and `dossier restore`.

use std::{
    io::Write as _,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use bytesize::ByteSize;
use clap::{
    Args, Subcommand, ValueEnum,
    builder::{NonEmptyStringValueParser, TypedValueParser as _},
};
use comfy_table::Cell;
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    client::{Client, ServerArgs},
    failure::Failure,
    log::moment,
    output::{Json, Output, thousands},
    update::quads,
};
use crate::{
    backup::{self, BackupError, Place, Progress, Until},
    proto::v1::{
        Backup, BackupFault, BackupProgress, CreateBackupRequest, ListBackupsRequest, VerifyBackupRequest,
        create_backup_response, verify_backup_response,
    },
};

/// Backups of one answer.
const PAGE_SIZE: i32 = 1_000;

/// Arguments of `dossier backup`.
#[derive(Args, Debug)]
pub(super) struct BackupArgs {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Have the server back up what was committed since its last backup; the default
    Create,
    /// List the backups, the newest first
    List {
        #[command(flatten)]
        from: From,

        /// Form of the output
        #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
        output: Format,
    },
    /// Read all backups, and tell what is damaged: exit code 1 if anything is
    Verify {
        #[command(flatten)]
        from: From,
    },
}

#[derive(Args, Debug)]
struct From {
    /// Directory or object store of the backups, to be read without the server. Default: what the server is told with --backup-to
    #[arg(long, value_name = "PLACE")]
    from: Option<String>,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default)]
enum Format {
    /// For people
    #[default]
    Table,
    /// One `Backup` a line, in protobuf's JSON mapping
    Json,
}

/// Arguments of `dossier restore`.
#[derive(Args, Debug)]
pub(super) struct RestoreArgs {
    /// Directory of the backups, or the URL (s3, gs or az) of a prefix in an object store
    #[arg(long, value_name = "PLACE")]
    from: String,

    /// Directory to restore into: it must be empty, or not be there
    #[arg(long, env = "DOSSIER_DATA_DIR", value_name = "DIR",
        value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
    data_dir: PathBuf,

    /// The last revision to restore. Default: all
    #[arg(long, value_name = "REVISION", conflicts_with = "time", value_parser = clap::value_parser!(u64).range(1..))]
    revision: Option<u64>,

    /// Restore what was committed by this time (UTC), such as 2026-11-25 or 2026-11-25T08:30:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    time: Option<SystemTime>,
}

/// Makes, lists or verifies backups.
pub(super) async fn backup(args: BackupArgs, server: &ServerArgs) -> Result<(), Failure> {
    match args.action.unwrap_or(Action::Create) {
        Action::Create => create(server).await,
        Action::List { from, output } => list(from, output, server).await,
        Action::Verify { from } => verify(from, server).await,
    }
}

/// Restores a knowledge base from backups, without a server.
pub(super) async fn restore(args: RestoreArgs) -> Result<(), Failure> {
    let until = match (args.revision, args.time) {
        (Some(revision), _) => Until::Revision(revision),
        (None, Some(time)) => Until::Time(unix_us(time)),
        (None, None) => Until::End,
    };
    let data_dir = args.data_dir.clone();
    let restored = offline(&args.from, move |place, watch| {
        backup::restore(&place, &data_dir, until, watch)
    });
    let restored = restored.await?;
    let mut output = Output::stdout();
    writeln!(
        output,
        "restored revision {} of {} into {}: {}",
        restored.revision,
        rfc3339(restored.time_us),
        args.data_dir.display(),
        quads(i64::try_from(restored.quad_count).unwrap_or(i64::MAX))
    )?;
    output.flush()?;
    Ok(())
}

async fn create(server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let mut answers = client
        .admin
        .create_backup(CreateBackupRequest {})
        .await?
        .into_inner();
    let progress = progress_bar();
    let made = loop {
        let answer = answers.message().await?;
        match answer.and_then(|answer| answer.part) {
            Some(create_backup_response::Part::Progress(now)) => show(&progress, of_proto(now)),
            Some(create_backup_response::Part::Made(made)) => break made,
            None => return Err(cut_short()),
        }
    };
    progress.finish_and_clear();
    let mut output = Output::stdout();
    match made.backup {
        None => writeln!(
            output,
            "nothing was committed since the last backup: it has revision {}",
            made.revision
        )?,
        Some(backup) => writeln!(
            output,
            "backed up revisions {} to {}: {} in {} files",
            backup.first_revision,
            backup.last_revision,
            size(backup.bytes),
            thousands(backup.file_count)
        )?,
    }
    output.flush()?;
    Ok(())
}

async fn list(from: From, format: Format, server: &ServerArgs) -> Result<(), Failure> {
    let backups = match from.from {
        Some(from) => {
            let mut listed = offline(&from, |place, _| backup::list(&place)).await?;
            listed.reverse();
            listed.iter().map(Into::into).collect()
        }
        None => listed(&mut Client::connect(server).await?).await?,
    };
    let mut output = Output::stdout();
    match format {
        Format::Json => {
            let json = Json::new()?;
            for backup in &backups {
                writeln!(output, "{}", json.value("Backup", backup)?)?;
            }
        }
        Format::Table => {
            let rows = backups.iter().map(|backup| {
                vec![
                    Cell::new(rfc3339_of(backup.made_at)),
                    Cell::new(format!("{} to {}", backup.first_revision, backup.last_revision)),
                    Cell::new(rfc3339_of(backup.last_commit_time)),
                    Cell::new(thousands(backup.quad_count)),
                    Cell::new(size(backup.bytes)),
                ]
            });
            output.table(
                &["MADE", "REVISIONS", "LAST COMMIT", "QUADS", "SIZE"],
                rows.collect(),
            )?;
        }
    }
    output.flush()?;
    Ok(())
}

async fn listed(client: &mut Client) -> Result<Vec<Backup>, Failure> {
    let mut backups = Vec::new();
    let mut request = ListBackupsRequest {
        page_size: PAGE_SIZE,
        page_token: String::new(),
    };
    loop {
        let page = client.admin.list_backups(request.clone()).await?.into_inner();
        backups.extend(page.backups);
        if page.next_page_token.is_empty() {
            return Ok(backups);
        }
        request.page_token = page.next_page_token;
    }
}

async fn verify(from: From, server: &ServerArgs) -> Result<(), Failure> {
    let verified = match from.from {
        Some(from) => offline(&from, |place, watch| backup::verify(&place, watch))
            .await?
            .into(),
        None => verified(server).await?,
    };
    let mut output = Output::stdout();
    for BackupFault { file, fault } in &verified.faults {
        writeln!(output, "{file}: {fault}")?;
    }
    if verified.faults.is_empty() {
        writeln!(
            output,
            "{} backups, {} revisions, {}: all sound",
            thousands(verified.backup_count),
            thousands(verified.record_count),
            size(verified.bytes)
        )?;
    }
    output.flush()?;
    match verified.faults.len() {
        0 => Ok(()),
        1 => Err(Failure::failed("a file of the backups is damaged")),
        count => Err(Failure::failed(format!(
            "{count} files of the backups are damaged"
        ))),
    }
}

async fn verified(server: &ServerArgs) -> Result<crate::proto::v1::BackupVerified, Failure> {
    let mut client = Client::connect(server).await?;
    let mut answers = client
        .admin
        .verify_backup(VerifyBackupRequest {})
        .await?
        .into_inner();
    let progress = progress_bar();
    loop {
        let answer = answers.message().await?;
        match answer.and_then(|answer| answer.part) {
            Some(verify_backup_response::Part::Progress(now)) => show(&progress, of_proto(now)),
            Some(verify_backup_response::Part::Verified(verified)) => {
                progress.finish_and_clear();
                return Ok(verified);
            }
            None => return Err(cut_short()),
        }
    }
}

/// Works on a place from here, with a bar.
async fn offline<T: Send + 'static>(
    from: &str,
    work: impl FnOnce(Place, &mut backup::Watch<'_>) -> Result<T, BackupError> + Send + 'static,
) -> Result<T, Failure> {
    let place = Place::open(from).map_err(|error| Failure::usage(format!("--from {from}: {error}")))?;
    let progress = progress_bar();
    let bar = progress.clone();
    let done = tokio::task::spawn_blocking(move || {
        work(place, &mut |now| {
            show(&bar, now);
            true
        })
    });
    let done = done.await.map_err(|error| Failure::failed(error.to_string()))?;
    progress.finish_and_clear();
    done.map_err(|error| {
        let failure = Failure::failed(error.to_string());
        match error {
            BackupError::NotEmpty { .. } => failure.hint("give a directory that is empty, or is not there"),
            BackupError::Damaged { .. } => {
                failure.hint("`dossier backup verify` lists all that is damaged; earlier revisions may be whole: --revision")
            }
            BackupError::NotCovered { .. } => failure.hint("`dossier backup list` lists what there is"),
            _ => failure,
        }
    })
}

/// Returns a bar over records on standard error; it shows itself on terminals only.
fn progress_bar() -> ProgressBar {
    let progress = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{bar:32} revision {msg}  {elapsed} (left: {eta})") {
        progress.set_style(style.progress_chars("━╸─"));
    }
    progress.enable_steady_tick(Duration::from_millis(100));
    progress
}

fn show(progress: &ProgressBar, now: Progress) {
    progress.set_length((now.last_revision + 1).saturating_sub(now.first_revision));
    progress.set_position((now.revision + 1).saturating_sub(now.first_revision));
    progress.set_message(format!("{} of {}", now.revision, now.last_revision));
}

fn of_proto(progress: BackupProgress) -> Progress {
    let number = |number: i64| u64::try_from(number).unwrap_or_default();
    Progress {
        revision: number(progress.revision),
        first_revision: number(progress.first_revision),
        last_revision: number(progress.last_revision),
    }
}

fn cut_short() -> Failure {
    Failure::failed("the server ended without saying that it is done")
}

fn size(bytes: i64) -> String {
    ByteSize(u64::try_from(bytes).unwrap_or_default()).to_string()
}

fn unix_us(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn rfc3339(time_us: u64) -> String {
    humantime::format_rfc3339_micros(SystemTime::UNIX_EPOCH + Duration::from_micros(time_us)).to_string()
}

pub(super) fn rfc3339_of(time: Option<prost_types::Timestamp>) -> String {
    time.and_then(|time| SystemTime::try_from(time).ok())
        .map(|time| humantime::format_rfc3339_seconds(time).to_string())
        .unwrap_or_default()
}
