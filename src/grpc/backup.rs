//! Backups, of `AdminService`.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{
    convert::to_int64,
    page_token,
    status::{backup_not_configured, internal, overloaded},
    time::timestamp,
    validate::Violations,
};
use crate::{
    backup::{self, Backup, BackupError, Backups, Fault, Made, Progress, Verified},
    knowledge::Mentions,
    model::fact::UnixTime,
    proto::v1::{self, create_backup_response, verify_backup_response},
    request::on_thread,
};

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;
/// How often a caller is told how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
/// Answers that wait for their reader; progress that finds no room is left out.
const WAITING_ANSWER_COUNT_MAX: usize = 4;

pub(super) type Answers<T> = ReceiverStream<Result<T, Status>>;

/// Begins a backup; it is given up if its caller goes away.
pub(super) fn create(backups: Option<&Backups>) -> Result<Answers<v1::CreateBackupResponse>, Status> {
    use create_backup_response::Part;
    let answer = |part| v1::CreateBackupResponse { part: Some(part) };
    run(
        backups,
        |backups, watch| backups.create(watch),
        move |progress: v1::BackupProgress| answer(Part::Progress(progress)),
        move |made: Made| answer(Part::Made(made.into())),
    )
}

/// Begins to verify all backups.
pub(super) fn verify(backups: Option<&Backups>) -> Result<Answers<v1::VerifyBackupResponse>, Status> {
    use verify_backup_response::Part;
    let answer = |part| v1::VerifyBackupResponse { part: Some(part) };
    run(
        backups,
        |backups, watch| backup::verify(backups.place(), watch),
        move |progress: v1::BackupProgress| answer(Part::Progress(progress)),
        move |verified: Verified| answer(Part::Verified(verified.into())),
    )
}

/// Lists backups, the newest first.
pub(super) async fn list(
    backups: Option<&Backups>,
    request: v1::ListBackupsRequest,
) -> Result<v1::ListBackupsResponse, Status> {
    let mut violations = Violations::default();
    let size = violations.page_size(request.page_size, PAGE_DEFAULT, PAGE_MAX);
    let filter = page_token::filter("backups", &[]);
    let token = &request.page_token;
    let before = page_token::decode_revision(token, filter);
    if before.is_none() && !token.is_empty() {
        violations.page_token();
    }
    violations.finish()?;
    let place = backups.ok_or_else(backup_not_configured)?.place().clone();
    let listed = tokio::task::spawn_blocking(move || match backup::list(&place) {
        Err(BackupError::None) => Ok(Vec::new()),
        listed => listed,
    });
    let listed = listed.await.map_err(|error| internal(&error))??;
    let is_left = |backup: &&Backup| before.is_none_or(|before| backup.head.revision < before);
    let mut left = listed.iter().rev().filter(is_left).peekable();
    let page: Vec<_> = left.by_ref().take(size).collect();
    let end = page.last().filter(|_| left.peek().is_some());
    Ok(v1::ListBackupsResponse {
        next_page_token: end
            .map(|end| page_token::encode_revision(end.head.revision, filter))
            .unwrap_or_default(),
        backups: page.into_iter().map(Into::into).collect(),
    })
}

/// Returns which backups have what was erased; nothing without a place. A place that cannot be read is told of: the erasure is done.
pub(super) async fn holding(backups: Option<&Backups>, mentions: Mentions) -> Option<v1::BackupsHolding> {
    let place = backups?.place().clone();
    let found = tokio::task::spawn_blocking(move || backup::holding(&place, &mentions));
    let found = match found.await {
        Ok(found) => found.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    Some(match found {
        Ok(found) => v1::BackupsHolding {
            holding: newest(&found.sure),
            holding_count: to_int64(found.sure.len() as u64),
            possibly_holding: newest(&found.possible),
            possibly_holding_count: to_int64(found.possible.len() as u64),
            left_over_files: found.left_over.into_iter().take(PAGE_MAX).collect(),
            fault: String::new(),
        },
        Err(fault) => {
            tracing::warn!(fault, "which backups hold what was erased is not known");
            v1::BackupsHolding {
                fault,
                ..Default::default()
            }
        }
    })
}

/// Returns backups of one answer, the newest first.
fn newest(backups: &[Backup]) -> Vec<v1::Backup> {
    backups.iter().rev().take(PAGE_MAX).map(Into::into).collect()
}

/// Runs a work on a thread that may block, and tells how far it is.
fn run<T: Send + 'static, Done: 'static>(
    backups: Option<&Backups>,
    work: impl FnOnce(&Backups, &mut backup::Watch<'_>) -> Result<Done, BackupError> + Send + 'static,
    progress: impl Fn(v1::BackupProgress) -> T + Send + 'static,
    done: impl FnOnce(Done) -> T + Send + 'static,
) -> Result<Answers<T>, Status> {
    let backups = backups.ok_or_else(backup_not_configured)?.clone();
    let turn = backups
        .turn()
        .ok_or_else(|| overloaded("a backup is being made or verified: one goes at a time"))?;
    let (answers, stream) = mpsc::channel(WAITING_ANSWER_COUNT_MAX);
    tokio::task::spawn_blocking(on_thread(move || {
        let mut told_at = Instant::now();
        let mut watch = |now: Progress| {
            if told_at.elapsed() >= PROGRESS_INTERVAL {
                told_at = Instant::now();
                // A reader that is behind is told the next time.
                let _ = answers.try_send(Ok(progress(now.into())));
            }
            !answers.is_closed()
        };
        let last = work(&backups, &mut watch).map(done).map_err(Status::from);
        drop(turn);
        // An error says that nobody listens any more.
        let _ = answers.blocking_send(last);
    }));
    Ok(ReceiverStream::new(stream))
}

/// Returns a time of the log, in microseconds since 1970.
fn timestamp_of_us(time_us: u64) -> prost_types::Timestamp {
    timestamp(UnixTime {
        seconds: to_int64(time_us / 1_000_000),
        nanos: i32::try_from(time_us % 1_000_000).unwrap_or(0) * 1_000,
    })
}

impl From<Progress> for v1::BackupProgress {
    fn from(progress: Progress) -> Self {
        Self {
            revision: to_int64(progress.revision),
            first_revision: to_int64(progress.first_revision),
            last_revision: to_int64(progress.last_revision),
        }
    }
}

impl From<Made> for v1::BackupMade {
    fn from(made: Made) -> Self {
        Self {
            revision: to_int64(made.revision),
            backup: made.backup.as_ref().map(Into::into),
        }
    }
}

impl From<&Backup> for v1::Backup {
    fn from(backup: &Backup) -> Self {
        Self {
            made_at: Some(timestamp_of_us(backup.made_at_us)),
            first_revision: to_int64(backup.first_revision),
            last_revision: to_int64(backup.head.revision),
            last_commit_time: Some(timestamp_of_us(backup.head.time_us)),
            bytes: to_int64(backup.bytes()),
            file_count: to_int64(backup.files.len() as u64),
            quad_count: to_int64(backup.quad_count),
            named_graph_count: to_int64(backup.named_graph_count),
            graph_hash: backup.graph_hash.clone(),
        }
    }
}

impl From<Verified> for v1::BackupVerified {
    fn from(verified: Verified) -> Self {
        Self {
            backup_count: to_int64(verified.backups.len() as u64),
            record_count: to_int64(verified.record_count),
            bytes: to_int64(verified.bytes),
            faults: verified.faults.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Fault> for v1::BackupFault {
    fn from(fault: Fault) -> Self {
        Self {
            file: fault.file,
            fault: fault.what,
        }
    }
}
