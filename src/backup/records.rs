//! Records as a stream, cut into files.
//!
//! A stream begins with eight bytes and a version. Then come the answers to requests that have no record, each with its length
//! before it (four bytes, little-endian), and a length of 0; version 1 has none of that. Then comes record after record, as the log has
//! it: its header, what is said of its payload if that is another than the header tells of, each with its length before it, and its
//! payload. A file is whole in memory for a moment, so that its hash is known before anything of it is used.

use std::io::{self, Cursor, Read, Write};

use super::{Backup, BackupError, BackupFile, Place, manifest::sha256};
use crate::log::{
    Chain, Change, CopyError, Followed, Header, LogError, PayloadReader, StoredChunks, StoredRecord,
};

const MAGIC: [u8; 8] = *b"DOSSIERR";
const VERSION: u32 = 2;
/// The version without answers.
const UNANSWERED_VERSION: u32 = 1;
/// Bytes of a file; few in tests, so that there are many.
pub(super) const FILE_BYTES: usize = if cfg!(test) { 32 << 10 } else { 16 << 20 };
/// Bytes of a header: author and message are limited to far less.
const HEADER_BYTES_MAX: usize = 16 << 20;

/// Writes the stream of one backup.
pub(super) struct Writer<'a> {
    place: &'a Place,
    /// What the names begin with: the first and the last revision, and the attempt.
    name: String,
    buffer: Vec<u8>,
    files: Vec<BackupFile>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        place: &'a Place,
        first_revision: u64,
        last_revision: u64,
    ) -> Result<Self, BackupError> {
        let mut buffer = MAGIC.to_vec();
        buffer.extend(VERSION.to_le_bytes());
        Ok(Self {
            place,
            name: place.new_name(first_revision, last_revision)?,
            buffer,
            files: Vec::new(),
        })
    }

    /// Writes an answer to a request. All come before the records.
    pub(super) fn answer(&mut self, answer: &Header) -> Result<(), BackupError> {
        self.put_bytes(&answer.encode()).map_err(from_io)
    }

    /// Writes that there are no more answers.
    pub(super) fn end_answers(&mut self) -> Result<(), BackupError> {
        self.put_bytes(&[]).map_err(from_io)
    }

    /// Copies a record, if it is the next one of the chain and its payload is sound. Calls `each` for its changes, if it is
    /// to be read.
    pub(super) fn record(
        &mut self,
        record: StoredRecord,
        chain: &mut Chain,
        each: Option<&mut dyn FnMut(Change)>,
    ) -> Result<Followed, BackupError> {
        let followed = chain.follow(&record.header, record.substitute.as_deref())?;
        let copied = self.copy(&followed, record, each);
        copied.map_err(from_copy)?;
        Ok(followed)
    }

    fn copy(
        &mut self,
        followed: &Followed,
        record: StoredRecord,
        each: Option<&mut dyn FnMut(Change)>,
    ) -> Result<(), CopyError> {
        self.put_bytes(&record.header)?;
        self.put_bytes(&record.substitute.unwrap_or_default())?;
        let source = Chunks {
            left: record.chunks,
            chunk: Cursor::default(),
        };
        let mut payload = PayloadReader::new(followed, Tee { source, copy: self });
        if let Some(each) = each {
            payload.changes(followed, each)?;
        }
        payload.finish(followed)
    }

    /// Writes bytes with their length before them.
    fn put_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.write_all(&length.to_le_bytes())?;
        self.write_all(bytes)
    }

    /// Returns how many files it has written.
    pub(super) fn file_count(&self) -> usize {
        self.files.len()
    }

    /// Writes what is left; returns all files.
    pub(super) fn finish(&mut self) -> Result<Vec<BackupFile>, BackupError> {
        if !self.buffer.is_empty() {
            self.put()?;
        }
        Ok(self.files.clone())
    }

    /// Removes what was written, as far as that goes: no manifest names it, and none will.
    pub(super) fn give_up(self) {
        for file in &self.files {
            if self.place.remove(&file.name).is_err() {
                return;
            }
        }
    }

    fn put(&mut self) -> Result<(), BackupError> {
        let bytes = std::mem::take(&mut self.buffer);
        let file = BackupFile {
            name: format!("{}.{:06}", self.name, self.files.len()),
            bytes: bytes.len() as u64,
            sha256: sha256(&bytes),
        };
        self.place.put(&file.name, bytes)?;
        self.files.push(file);
        Ok(())
    }
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(FILE_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.buffer.len() == FILE_BYTES {
            self.put().map_err(into_io)?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The chunks of a payload as a stream.
struct Chunks {
    left: StoredChunks,
    chunk: Cursor<Vec<u8>>,
}

impl Read for Chunks {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.chunk.read(out)?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            match self.left.next() {
                Some(chunk) => self.chunk = Cursor::new(chunk.map_err(|error| into_io(error.into()))?),
                None => return Ok(0),
            }
        }
    }
}

/// Copies what is read.
struct Tee<'a, 'b> {
    source: Chunks,
    copy: &'a mut Writer<'b>,
}

impl Read for Tee<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(out)?;
        self.copy.write_all(&out[..count])?;
        Ok(count)
    }
}

/// A record but for its payload, as [`Chain::follow`] takes it.
pub(super) struct Stored {
    pub(super) header: Vec<u8>,
    pub(super) substitute: Option<Vec<u8>>,
}

/// Reads the stream of one backup, file by file; each is checked before anything of it is read.
pub(super) struct Reader<'a> {
    place: &'a Place,
    left: std::slice::Iter<'a, BackupFile>,
    file: Cursor<Vec<u8>>,
    /// The file that is read.
    name: &'a str,
    has_begun: bool,
    /// Whether answers come next.
    is_at_answers: bool,
    last_revision: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(place: &'a Place, backup: &'a Backup) -> Self {
        Self {
            place,
            left: backup.files.iter(),
            file: Cursor::default(),
            name: "",
            has_begun: false,
            is_at_answers: false,
            last_revision: backup.head.revision,
        }
    }

    /// Returns the next answer to a request; nothing where records begin.
    pub(super) fn answer(&mut self) -> Result<Option<Header>, BackupError> {
        self.read_answer().map_err(|error| self.fault(from_io(error)))
    }

    /// Returns the next record but for its payload, which comes next; nothing at the end. Answers that are left are passed over.
    pub(super) fn record(&mut self) -> Result<Option<Stored>, BackupError> {
        while self.answer()?.is_some() {}
        self.read_record().map_err(|error| self.fault(from_io(error)))
    }

    /// Returns an error of a record as one of the file that it is in.
    pub(super) fn fault(&self, error: BackupError) -> BackupError {
        match error {
            BackupError::Log(error @ LogError::DamagedRecord { .. }) => self.damaged(&error.to_string()),
            BackupError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.damaged("it ends within a record")
            }
            error => error,
        }
    }

    fn read_answer(&mut self) -> io::Result<Option<Header>> {
        if !self.has_begun {
            self.has_begun = true;
            let (mut magic, mut version) = ([0; 8], [0; 4]);
            self.read_exact(&mut magic)?;
            self.read_exact(&mut version)?;
            self.is_at_answers = match u32::from_le_bytes(version) {
                VERSION if magic == MAGIC => true,
                UNANSWERED_VERSION if magic == MAGIC => false,
                _ => return Err(into_io(self.damaged("it does not begin as records do"))),
            };
        }
        if !self.is_at_answers {
            return Ok(None);
        }
        let mut length = [0; 4];
        self.read_exact(&mut length)?;
        let bytes = self.read_bytes(length)?;
        if bytes.is_empty() {
            self.is_at_answers = false;
            return Ok(None);
        }
        let answer = Header::decode(&bytes).filter(|answer| answer.request_id.is_some());
        let answer = answer.filter(|answer| answer.revision <= self.last_revision);
        let answer = answer.ok_or_else(|| into_io(self.damaged("an answer to a request cannot be read")))?;
        Ok(Some(answer))
    }

    fn read_record(&mut self) -> io::Result<Option<Stored>> {
        let mut length = [0; 4];
        // The end may only come before a record.
        if self.read(&mut length[..1])? == 0 {
            return Ok(None);
        }
        self.read_exact(&mut length[1..])?;
        let header = self.read_bytes(length)?;
        self.read_exact(&mut length)?;
        let substitute = self.read_bytes(length)?;
        Ok(Some(Stored {
            header,
            substitute: (!substitute.is_empty()).then_some(substitute),
        }))
    }

    fn read_bytes(&mut self, length: [u8; 4]) -> io::Result<Vec<u8>> {
        let length = u32::from_le_bytes(length) as usize;
        if length > HEADER_BYTES_MAX {
            return Err(into_io(self.damaged("a header is too long")));
        }
        let mut bytes = vec![0; length];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn damaged(&self, what: &str) -> BackupError {
        BackupError::Damaged {
            file: self.name.to_owned(),
            what: what.to_owned(),
        }
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.file.read(out)?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            let Some(next) = self.left.next() else {
                return Ok(0);
            };
            self.name = &next.name;
            self.file = Cursor::new(read_file(self.place, next).map_err(into_io)?);
        }
    }
}

/// Reads a file, if it is as it was written.
pub(super) fn read_file(place: &Place, file: &BackupFile) -> Result<Vec<u8>, BackupError> {
    let damaged = |what: String| BackupError::Damaged {
        file: file.name.clone(),
        what,
    };
    let (bytes, _) = place
        .get(&file.name)?
        .ok_or_else(|| damaged("it is missing".to_owned()))?;
    if bytes.len() as u64 != file.bytes {
        return Err(damaged(format!(
            "it has {} bytes, not {}",
            bytes.len(),
            file.bytes
        )));
    }
    if sha256(&bytes) != file.sha256 {
        return Err(damaged(
            "it is not what was written: its hash is another".to_owned(),
        ));
    }
    Ok(bytes)
}

/// An error of ours on its way through a stream.
fn into_io(error: BackupError) -> io::Error {
    match error {
        BackupError::Io(error) => error,
        error => io::Error::other(error),
    }
}

fn from_io(error: io::Error) -> BackupError {
    match error.downcast::<BackupError>() {
        Ok(error) => error,
        Err(error) => BackupError::Io(error),
    }
}

pub(super) fn from_copy(error: CopyError) -> BackupError {
    match error {
        CopyError::Log(error) => error.into(),
        CopyError::Source(error) => from_io(error),
    }
}
