//! A folder: what is written is synced, and gets its name when it is whole.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::backup::BackupError;

/// The file that whoever writes has locked. It stays.
const LOCK: &str = "lock";
/// The end of the name of a file that is being written.
const UNFINISHED: &str = ".unfinished";

/// A folder.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: &str) -> Self {
        Self(path.into())
    }

    /// Writes a file whole: when this returns, a crash loses nothing of it, and until then there is the one before, or none.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
        put(&self.0.join(name), bytes).map_err(|error| fault(name, error))
    }

    /// Locks the folder against others, in this process or another, until what is returned is dropped: [`BackupError::Overtaken`] if
    /// another has it. Where the file system knows no locks there is none.
    pub(super) fn lock(&self) -> Result<Option<File>, BackupError> {
        let open = || {
            fs::create_dir_all(&self.0)?;
            File::create(self.0.join(LOCK))
        };
        let file = open().map_err(|error| fault(LOCK, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(BackupError::Overtaken),
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "the folder of backups cannot be locked");
                Ok(None)
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Result<Option<Vec<u8>>, BackupError> {
        match fs::read(self.0.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fault(name, error)),
        }
    }

    pub(super) fn list(&self, below: &str) -> Result<Vec<String>, BackupError> {
        let names = list(&self.0.join(below)).map_err(|error| fault(below, error))?;
        Ok(names.into_iter().map(|name| format!("{below}/{name}")).collect())
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), BackupError> {
        fs::remove_file(self.0.join(name)).map_err(|error| fault(name, error))
    }
}

fn fault(name: &str, error: io::Error) -> BackupError {
    BackupError::Place {
        file: name.to_owned(),
        error,
    }
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    if !folder.is_dir() {
        fs::create_dir_all(folder)?;
        // The folders that were made, durably; the topmost one's own folder is the operator's.
        for made in folder.ancestors().skip(1).take(2).filter(|made| made.is_dir()) {
            sync(made)?;
        }
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&unfinished, path)?;
    sync(folder)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn list(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
