//! Where backups are kept: files by name, each written whole and durably.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::BackupError;

/// The end of the name of a file that is being written.
const UNFINISHED: &str = ".unfinished";

/// A folder.
#[derive(Clone, Debug)]
pub struct Place {
    folder: PathBuf,
}

impl Place {
    /// Reads where a place is: a path, or a URL of the scheme `file`.
    pub fn open(text: &str) -> Result<Self, BackupError> {
        let folder = match text.split_once("://") {
            None if text.is_empty() => Err("it is empty".to_owned()),
            None => Ok(text),
            Some(("file", path)) if path.starts_with('/') => Ok(path),
            Some(("file", _)) => Err("a file URL has three slashes, as in file:///var/backups".to_owned()),
            Some((scheme, _)) => Err(format!(
                "there is no {scheme}:// yet: give a directory, such as one that is mounted"
            )),
        };
        Ok(Self {
            folder: folder.map_err(BackupError::NoPlace)?.into(),
        })
    }

    /// Writes a file whole: when this returns, a crash loses nothing of it, and until then there is the one before, or none.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
        put(&self.folder.join(name), bytes).map_err(|error| fault(name, error))
    }

    /// Reads a file; nothing if it is not there.
    pub(super) fn get(&self, name: &str) -> Result<Option<Vec<u8>>, BackupError> {
        match fs::read(self.folder.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fault(name, error)),
        }
    }

    /// Returns the names of the files below a folder, unfinished ones too.
    pub(super) fn list(&self, below: &str) -> Result<Vec<String>, BackupError> {
        let names = list(&self.folder.join(below)).map_err(|error| fault(below, error))?;
        Ok(names.into_iter().map(|name| format!("{below}/{name}")).collect())
    }

    /// Removes a file.
    pub(super) fn remove(&self, name: &str) -> Result<(), BackupError> {
        fs::remove_file(self.folder.join(name)).map_err(|error| fault(name, error))
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
