//! Restoring a knowledge base, as it was at a revision or a time.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::{
    Backup, BackupError, Place, Progress, Watch,
    graph_hash::GraphHash,
    manifest::Manifest,
    records::{Reader, from_copy},
};
use crate::{
    knowledge,
    log::{Head, Header, LOG_FILE, NewLog, RESTORING, lock},
};

/// The files of a data directory, in the order in which they are moved to it: the log comes last, and with it the whole.
const FILES: [&str; 3] = ["snapshot", "high-water", LOG_FILE];
/// What may be in a directory that counts as empty: the lock of a data directory, and what file systems put there.
const NO_MATTER: [&str; 2] = ["lock", "lost+found"];

/// How far to restore.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Until {
    /// All there is.
    End,
    /// To a revision.
    Revision(u64),
    /// To the last revision of a time, in microseconds since 1970, or before.
    Time(u64),
}

impl Until {
    /// Tells whether a record, or the answer to a request, is there then.
    fn has(self, header: &Header) -> bool {
        match self {
            Self::End => true,
            Self::Revision(revision) => header.revision <= revision,
            Self::Time(time_us) => header.time_us <= time_us,
        }
    }

    /// Tells whether more may be there than what a backup ends with.
    fn is_past(self, head: Head) -> bool {
        match self {
            Self::End => true,
            Self::Revision(revision) => head.revision <= revision,
            Self::Time(time_us) => head.time_us <= time_us,
        }
    }
}

/// What was restored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Restored {
    /// The last revision.
    pub revision: u64,
    /// When it was committed, in microseconds since 1970.
    pub time_us: u64,
    /// Quads of the graph.
    pub quad_count: u64,
}

/// Restores a knowledge base into an empty directory, which is made if it is not there.
///
/// Blocks. Nothing is in its place before all of it is written and checked: each file by its hash, each record by the chain,
/// the graph by its count and, at the end of a backup, by its hash. What is cut off is begun anew by the next restore.
pub fn restore(
    place: &Place,
    dir: &Path,
    until: Until,
    watch: &mut Watch<'_>,
) -> Result<Restored, BackupError> {
    let manifest = Manifest::read(place)?.ok_or(BackupError::None)?;
    let (Some(first), Some(last)) = (manifest.backups.first(), manifest.backups.last()) else {
        return Err(BackupError::None);
    };
    let (earliest, newest) = (first.first_revision, last.head.revision);
    match until {
        Until::Revision(revision) if !(earliest..=newest).contains(&revision) => {
            return Err(BackupError::NotCovered {
                revision,
                earliest,
                newest,
            });
        }
        _ => {}
    }
    fs::create_dir_all(dir)?;
    // Before the lock, which would be a file in a directory of something else.
    check_empty(dir)?;
    let _lock = lock(dir)?;
    if check_empty(dir)? {
        for name in FILES {
            remove(&dir.join(name))?;
        }
    }
    let folder = dir.join(RESTORING);
    remove(&folder)?;
    fs::create_dir(&folder)?;
    sync(dir)?;
    let target = match until {
        Until::Revision(revision) => revision,
        _ => newest,
    };
    let written = write(place, &manifest.backups, &folder, until, &mut |revision| {
        watch(Progress {
            revision,
            first_revision: earliest,
            last_revision: target,
        })
    });
    let restored = written.and_then(|written| check(&folder, &manifest.backups, &written));
    let restored = restored.inspect_err(|_| {
        // The error is what matters; what is left is removed by the next restore, and no server takes it for whole.
        let _ = remove(&folder);
    })?;
    for name in FILES {
        fs::rename(folder.join(name), dir.join(name))?;
        sync(dir)?;
    }
    remove(&folder)?;
    sync(dir)?;
    Ok(restored)
}

/// What the records say that was written.
struct Written {
    last: Header,
    quad_count: u64,
}

fn write(
    place: &Place,
    backups: &[Backup],
    folder: &Path,
    until: Until,
    each: &mut dyn FnMut(u64) -> bool,
) -> Result<Written, BackupError> {
    let mut log = NewLog::begin(folder)?;
    let mut written: Option<Written> = None;
    let answered_from = first_answering(backups, until);
    'backups: for (index, backup) in backups.iter().enumerate() {
        let mut reader = Reader::new(place, backup);
        while let Some(answer) = reader.answer()? {
            if index >= answered_from && until.has(&answer) {
                log.answer(&answer)?;
            }
        }
        while let Some(stored) = reader.record()? {
            if Header::decode(&stored.header).is_some_and(|header| !until.has(&header)) {
                break 'backups;
            }
            let added = log.record(&stored.header, stored.substitute.as_deref(), &mut reader);
            let record = added.map_err(|error| reader.fault(from_copy(error)))?;
            let before = written.map_or(0, |written| written.quad_count);
            let counts = record.counts();
            written = Some(Written {
                quad_count: (before + counts.quads_inserted).saturating_sub(counts.quads_removed),
                last: record.header,
            });
            if !each(log.head().revision) {
                return Err(BackupError::Over);
            }
        }
        let head = log.head();
        if head != backup.head {
            return Err(BackupError::Damaged {
                file: backup
                    .files
                    .last()
                    .map(|file| file.name.clone())
                    .unwrap_or_default(),
                what: "its last record is not the one that the manifest says".to_owned(),
            });
        }
    }
    log.finish()?;
    written.ok_or(BackupError::NothingThen)
}

/// Returns the first backup that has answers which nobody had forgotten by then: those with the same set add to each other.
fn first_answering(backups: &[Backup], until: Until) -> usize {
    let past = backups
        .iter()
        .take_while(|backup| until.is_past(backup.head))
        .count();
    let reached = &backups[..backups.len().min(past + 1)];
    let set = reached.last().and_then(|backup| backup.answer_set);
    let other = reached.iter().rposition(|backup| backup.answer_set != set);
    other.map_or(0, |other| other + 1)
}

/// Builds the index of what was written, by replay, and looks whether it is the graph that was backed up.
fn check(folder: &Path, backups: &[Backup], written: &Written) -> Result<Restored, BackupError> {
    let revision = written.last.revision;
    let view = knowledge::reindex(folder)?;
    let other = BackupError::OtherGraph { revision };
    if view.revision != revision || view.snapshot.quad_count() != written.quad_count {
        return Err(other);
    }
    if let Some(backup) = backups.iter().find(|backup| backup.head.revision == revision) {
        let graph = GraphHash::of(&view.snapshot, &mut || true);
        if graph.is_none_or(|graph| !backup.is_of(&graph)) {
            return Err(other);
        }
    }
    Ok(Restored {
        revision,
        time_us: written.last.time_us,
        quad_count: written.quad_count,
    })
}

/// Looks whether there is nothing but what a restore that was cut off has left; tells whether there is that.
fn check_empty(dir: &Path) -> Result<bool, BackupError> {
    let is_unfinished = dir.join(RESTORING).is_dir() && !dir.join(LOG_FILE).exists();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let is_left = is_unfinished && (name == RESTORING || FILES.iter().any(|file| name == **file));
        if !is_left && !NO_MATTER.iter().any(|other| name == **other) {
            return Err(BackupError::NotEmpty {
                dir: dir.to_owned(),
                found: name.to_string_lossy().into_owned(),
            });
        }
    }
    Ok(is_unfinished)
}

/// Removes a file or a folder, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
