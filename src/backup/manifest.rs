//! The manifest: which backups there are, of what, in which files.
//!
//! It is written last, in one piece: what it does not name is not there.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{BackupError, Place, graph_hash::GraphHash, place::Version};
use crate::log::{Digest, Head};

/// The name of its file.
pub(super) const MANIFEST: &str = "manifest.json";
/// The folder of the files with records.
pub(super) const RECORDS: &str = "records";
const FORMAT: &str = "dossier-backup";
/// The version of this form, of the files' too: 2 has answers to requests, 1 had none. `tests/fixtures/backup` has a place of each.
pub(super) const VERSION: u64 = 2;
/// What the checksum is computed with in its own place.
const NO_CHECKSUM: &str = "";

/// What a place has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Manifest {
    /// The hash of the header of the first record: tells the logs of knowledge bases apart.
    pub(super) log: String,
    /// The oldest first; each goes on where the one before ended.
    pub(super) backups: Vec<Backup>,
    /// What its file was when it was read; nothing if there was none.
    read: Option<Version>,
}

/// One backup: the records since the one before.
#[derive(Clone, Debug, PartialEq)]
pub struct Backup {
    /// When it was begun, in microseconds since 1970.
    pub made_at_us: u64,
    /// The first record in it.
    pub first_revision: u64,
    /// The last one, and its hash and time: with those before, it restores to this and all earlier ones.
    pub head: Head,
    /// Quads of the graph at the last record.
    pub quad_count: u64,
    /// Named graphs of the graph at the last record.
    pub named_graph_count: u64,
    /// The hash of the graph at the last record, in hexadecimal digits.
    pub graph_hash: String,
    /// The set of answers to requests that it adds to, after the backups before that have the same; nothing where it has none.
    pub answer_set: Option<u64>,
    /// Its files, in order.
    pub files: Vec<BackupFile>,
}

/// A file of a backup: a piece of its records.
#[derive(Clone, Debug, PartialEq)]
pub struct BackupFile {
    /// Its name within the place.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

impl Backup {
    /// Returns the bytes of its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Returns the number of its records.
    pub fn record_count(&self) -> u64 {
        (self.head.revision + 1).saturating_sub(self.first_revision)
    }

    /// Tells whether this is the graph at the last record.
    pub(super) fn is_of(&self, graph: &GraphHash) -> bool {
        (graph.quad_count, graph.named_graph_count) == (self.quad_count, self.named_graph_count)
            && graph.to_hex() == self.graph_hash
    }

    /// Returns the hash of the graph, to go on with.
    pub(super) fn graph(&self) -> Option<GraphHash> {
        GraphHash::from_hex(&self.graph_hash, self.quad_count, self.named_graph_count)
    }
}

impl Manifest {
    /// Reads the manifest of a place; nothing if there is none.
    pub(super) fn read(place: &Place) -> Result<Option<Self>, BackupError> {
        let Some((bytes, version)) = place.get(MANIFEST)? else {
            return Ok(None);
        };
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| damaged("it is no JSON"))?;
        if value["format"] != FORMAT {
            return Err(damaged("it is no manifest of backups"));
        }
        match value["version"].as_u64() {
            Some(1..=VERSION) => {}
            Some(found) if found > VERSION => {
                return Err(BackupError::NewerFormat {
                    found,
                    newest: VERSION,
                });
            }
            _ => return Err(damaged("it has no version")),
        }
        let mut manifest =
            Self::from_value(&value).ok_or_else(|| damaged("a field is missing, or is another"))?;
        // To the byte: whatever was changed shows.
        if manifest.to_bytes() != bytes {
            return Err(damaged("it does not match its checksum"));
        }
        manifest.read = Some(version);
        Ok(Some(manifest))
    }

    /// Writes it in the place of the one that was read; [`BackupError::Overtaken`] if another is there.
    pub(super) fn write(&self, place: &Place) -> Result<(), BackupError> {
        place.replace(MANIFEST, self.read.as_ref(), self.to_bytes())
    }

    fn to_bytes(&self) -> Vec<u8> {
        let checksum = sha256(self.text(NO_CHECKSUM).as_bytes());
        self.text(&checksum).into_bytes()
    }

    /// Keys are in the order of the alphabet, whatever else the parser is built for.
    fn text(&self, checksum: &str) -> String {
        let value = json!({
            "backups": self.backups.iter().map(Backup::to_value).collect::<Vec<_>>(),
            "checksum": checksum,
            "format": FORMAT,
            "log": self.log,
            "version": self.version(),
        });
        format!("{value:#}\n")
    }

    /// Returns the first version that knows all that it says.
    fn version(&self) -> u64 {
        let has_answers = self.backups.iter().any(|backup| backup.answer_set.is_some());
        if has_answers { VERSION } else { 1 }
    }

    fn from_value(value: &Value) -> Option<Self> {
        let backups = value["backups"].as_array()?;
        Some(Self {
            log: text(value, "log")?,
            backups: backups.iter().map(Backup::from_value).collect::<Option<_>>()?,
            read: None,
        })
    }
}

impl Backup {
    fn to_value(&self) -> Value {
        let file = |file: &BackupFile| {
            json!({
                "bytes": file.bytes,
                "name": file.name,
                "sha256": file.sha256,
            })
        };
        let mut value = json!({
            "files": self.files.iter().map(file).collect::<Vec<_>>(),
            "first_revision": self.first_revision,
            "graph_hash": self.graph_hash,
            "last_hash": hex(&self.head.digest),
            "last_revision": self.head.revision,
            "last_time_us": self.head.time_us,
            "made_at_us": self.made_at_us,
            "named_graph_count": self.named_graph_count,
            "quad_count": self.quad_count,
        });
        if let Some(set) = self.answer_set {
            value["answer_set"] = set.into();
        }
        value
    }

    fn from_value(value: &Value) -> Option<Self> {
        let number = |name: &str| value[name].as_u64();
        let file = |value: &Value| {
            Some(BackupFile {
                name: text(value, "name").filter(|name| is_ours(name))?,
                bytes: value["bytes"].as_u64()?,
                sha256: text(value, "sha256")?,
            })
        };
        Some(Self {
            made_at_us: number("made_at_us")?,
            first_revision: number("first_revision")?,
            head: Head {
                revision: number("last_revision")?,
                digest: from_hex(&text(value, "last_hash")?)?,
                time_us: number("last_time_us")?,
            },
            quad_count: number("quad_count")?,
            named_graph_count: number("named_graph_count")?,
            graph_hash: text(value, "graph_hash")?,
            answer_set: number("answer_set"),
            files: value["files"]
                .as_array()?
                .iter()
                .map(file)
                .collect::<Option<_>>()?,
        })
    }
}

/// Tells whether a name is one of a file that a backup may have.
fn is_ours(name: &str) -> bool {
    let rest = name.strip_prefix(RECORDS).and_then(|rest| rest.strip_prefix('/'));
    rest.is_some_and(|rest| {
        rest.bytes()
            .all(|byte| byte.is_ascii_digit() || b"-.".contains(&byte))
    })
}

/// Returns a hash in hexadecimal digits.
pub(super) fn hex(digest: &Digest) -> String {
    digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Never fails on a string.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Returns the SHA-256 of bytes in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes).into())
}

fn from_hex(hex: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(digest)
}

fn text(value: &Value, name: &str) -> Option<String> {
    value[name].as_str().map(str::to_owned)
}

fn damaged(what: &str) -> BackupError {
    BackupError::Damaged {
        file: MANIFEST.to_owned(),
        what: what.to_owned(),
    }
}
