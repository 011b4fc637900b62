//! Where backups are kept: files by name, each written whole and durably.

mod client;
mod folder;
mod store;

use std::{
    fs::File,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use self::{folder::Folder, store::Store};
use super::{BackupError, manifest::RECORDS};

/// What a file was when it was read. A folder does not tell.
pub(super) type Version = object_store::UpdateVersion;

/// A folder, or a prefix in a bucket of an object store. Clones are the same.
#[derive(Clone, Debug)]
pub struct Place {
    kind: Kind,
    manifest: Arc<Mutex<()>>,
}

#[derive(Clone, Debug)]
enum Kind {
    Folder(Folder),
    Store(Store),
}

impl From<Kind> for Place {
    fn from(kind: Kind) -> Self {
        Self {
            kind,
            manifest: Arc::default(),
        }
    }
}

impl Place {
    /// Reads where a place is: a path, a URL of the scheme `file`, or the URL of an object store, whose credentials and endpoint
    /// the environment has.
    pub fn open(text: &str) -> Result<Self, BackupError> {
        let folder = match text.split_once("://") {
            None if text.is_empty() => return Err(BackupError::NoPlace("it is empty".to_owned())),
            None => text,
            Some(("file", path)) if path.starts_with('/') => path,
            Some(("file", _)) => {
                let what = "a file URL has three slashes, as in file:///var/backups";
                return Err(BackupError::NoPlace(what.to_owned()));
            }
            Some(_) => return Ok(Kind::Store(Store::open(text)?).into()),
        };
        Ok(Kind::Folder(Folder::new(folder)).into())
    }

    /// Returns a place in a store, at its root.
    #[cfg(test)]
    pub(super) fn of(store: std::sync::Arc<dyn object_store::ObjectStore>) -> Self {
        Kind::Store(Store::new(store, object_store::path::Path::default())).into()
    }

    /// Has the manifest stay as it is, as far as clones of the place go, until what is returned is dropped.
    pub(super) fn hold_manifest(&self) -> MutexGuard<'_, ()> {
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a file whole: when this returns, a crash loses nothing of it, and until then there is the one before, or none.
    pub(super) fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), BackupError> {
        match &self.kind {
            Kind::Folder(folder) => folder.put(name, &bytes),
            Kind::Store(store) => store.put(name, bytes),
        }
    }

    /// Keeps others from writing until what is returned is dropped: [`BackupError::Overtaken`] if another writes. An object store has
    /// no locks.
    pub(super) fn lock(&self) -> Result<Option<File>, BackupError> {
        match &self.kind {
            Kind::Folder(folder) => folder.lock(),
            Kind::Store(_) => Ok(None),
        }
    }

    /// Writes a file in the place of that one, or where there was none: [`BackupError::Overtaken`] if another is there.
    ///
    /// A folder does not look: it is locked.
    pub(super) fn replace(
        &self,
        name: &str,
        before: Option<&Version>,
        bytes: Vec<u8>,
    ) -> Result<(), BackupError> {
        match &self.kind {
            Kind::Folder(folder) => folder.put(name, &bytes),
            Kind::Store(store) => store.replace(name, before, bytes),
        }
    }

    /// Reads a file; nothing if it is not there.
    pub(super) fn get(&self, name: &str) -> Result<Option<(Vec<u8>, Version)>, BackupError> {
        match &self.kind {
            Kind::Folder(folder) => Ok(folder.get(name)?.map(|bytes| (bytes, NO_VERSION))),
            Kind::Store(store) => store.get(name),
        }
    }

    /// Returns the names of the files below a folder, unfinished ones too.
    pub(super) fn list(&self, below: &str) -> Result<Vec<String>, BackupError> {
        match &self.kind {
            Kind::Folder(folder) => folder.list(below),
            Kind::Store(store) => store.list(below),
        }
    }

    /// Removes a file.
    pub(super) fn remove(&self, name: &str) -> Result<(), BackupError> {
        match &self.kind {
            Kind::Folder(folder) => folder.remove(name),
            Kind::Store(store) => store.remove(name),
        }
    }

    /// Tells whether others may write there at the same time.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.kind, Kind::Store(_))
    }

    /// Returns what the names of the files of a backup begin with: in a shared place, what no other attempt has.
    pub(super) fn new_name(&self, first_revision: u64, last_revision: u64) -> Result<String, BackupError> {
        let name = format!("{RECORDS}/{first_revision:020}-{last_revision:020}");
        match &self.kind {
            Kind::Folder(_) => Ok(name),
            Kind::Store(_) => {
                let attempt = getrandom::u64().map_err(std::io::Error::from)?;
                Ok(format!("{name}-{attempt:020}"))
            }
        }
    }
}

const NO_VERSION: Version = Version {
    e_tag: None,
    version: None,
};
