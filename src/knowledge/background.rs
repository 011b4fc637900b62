//! The thread for work that no commit should wait for: merges of the index, the snapshot file.

use std::{
    fs, io,
    path::Path,
    sync::PoisonError,
    time::{Duration, Instant},
};

use super::{View, erase::ErasedView, writer::Message};
use crate::{
    graph::{Merge, write_snapshot_file},
    log::{Digest, Head, LogError, Rewritten},
    sync::{
        Condvar, Mutex,
        mpsc::{Receiver, SyncSender},
    },
};

/// Bytes of the note: a revision and the hash of its header.
const NOTE_BYTES: usize = 40;

pub(super) enum Job {
    Merge(Merge),
    /// The view and the log's head at its revision.
    WriteFile(View, Head),
    /// The same, with nothing left of the file that was there.
    WriteErased(ErasedView, Head, Rewritten),
}

/// Says to any number of waiting callers that the threads have ended.
#[derive(Default)]
pub(super) struct Finished {
    is: Mutex<bool>,
    changed: Condvar,
}

impl Finished {
    fn set(&self) {
        *self.is.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    pub(super) fn wait(&self, wait_max: Duration) {
        let deadline = Instant::now() + wait_max;
        let mut is = self.is.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!("the threads of the knowledge base did not end in time");
                return;
            }
            is = self
                .changed
                .wait_timeout(is, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// Tells [`Finished`] when it is dropped, so that a panic does too.
pub(super) struct Finishing(pub(super) std::sync::Arc<Finished>);

impl Drop for Finishing {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// Works until the writer has ended.
pub(super) fn run(path: &Path, jobs: &Receiver<Job>, queue: &SyncSender<Message>) {
    while let Ok(job) = jobs.recv() {
        let message = match job {
            Job::Merge(merge) => Message::Merged(merge.run()),
            Job::WriteFile(view, head) => {
                write_file(path, &view, head);
                Message::FileWritten
            }
            Job::WriteErased(erased, head, rewritten) => {
                match remove_file(path) {
                    Ok(()) => {
                        write_file(path, &erased.view, head);
                        erased.succeed(rewritten);
                    }
                    Err(error) => erased.fail(LogError::Io(error)),
                }
                Message::FileWritten
            }
        };
        // The writer may have ended; then nobody needs it.
        let _ = queue.send(message);
    }
}

fn write_file(path: &Path, view: &View, head: Head) {
    if let Err(error) = write_snapshot_file(path, &view.snapshot, &note(head.revision, &head.digest)) {
        tracing::warn!(%error, "the snapshot file cannot be written: the next start takes longer");
    }
}

/// Removes the snapshot file, durably, and one that was not finished.
fn remove_file(path: &Path) -> io::Result<()> {
    for path in [path, &path.with_extension("tmp")] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Returns what the snapshot file says about itself.
pub(super) fn note(revision: u64, digest: &Digest) -> Vec<u8> {
    [revision.to_le_bytes().as_slice(), digest].concat()
}

/// Reads a note.
pub(super) fn read_note(note: &[u8]) -> Option<(u64, Digest)> {
    let note: &[u8; NOTE_BYTES] = note.try_into().ok()?;
    let (revision, digest) = note.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*revision), digest.try_into().ok()?))
}
