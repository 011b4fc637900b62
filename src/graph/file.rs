//! The snapshot file: a checksummed, versioned cache of one snapshot.
//!
//! Little-endian throughout: magic and version, epoch, note, then what is in all layers, as one (terms, the default graph's orders,
//! the named graphs' orders, graphs), each list with its length before it, and the XXH3 of all that. It is written as it is walked
//! over: no second index is made for it.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
    sync::Arc,
};

use xxhash_rust::xxh3::Xxh3;

use super::{
    Snapshot,
    dictionary::Segment,
    keys::SortedKeys,
    layer::{Layer, Run},
    order::{Bounds, DEFAULT_ORDERS, NAMED_ORDERS, SortKey},
    quads::{Scan, scan_default, scan_named},
    room::room,
};

const MAGIC: [u8; 8] = *b"DOSSIERG";
const VERSION: u32 = 1;
const BUFFER_BYTES: usize = 1 << 20;

/// Why a snapshot file cannot be used. None of these loses anything: the index is rebuilt from the log.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFileError {
    /// There is no file.
    #[error("there is no snapshot file")]
    Missing,
    /// The file cannot be read.
    #[error("the snapshot file cannot be read: {0}")]
    Io(#[source] io::Error),
    /// Another version wrote it.
    #[error("the snapshot file has another format version")]
    Version,
    /// It is damaged.
    #[error("the snapshot file is damaged")]
    Damaged,
}

/// Writes a snapshot with `note` (what the caller needs to know of it: revision, log hash), durably and all or nothing.
pub fn write_snapshot_file(path: &Path, snapshot: &Snapshot, note: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut to = Hashing::new(BufWriter::with_capacity(BUFFER_BYTES, File::create(&temporary)?));
    to.put(&MAGIC)?;
    to.put(&VERSION.to_le_bytes())?;
    to.put(&snapshot.epoch.to_le_bytes())?;
    to.put_list(note.len(), |to| to.put(note))?;
    to.put_terms(&snapshot.layers)?;
    for order in 0..DEFAULT_ORDERS.len() {
        to.put_scan(scan_default(&snapshot.layers, Bounds::new(order, &[])))?;
    }
    for order in 0..NAMED_ORDERS.len() {
        to.put_scan(scan_named(&snapshot.layers, Bounds::new(order, &[])))?;
    }
    let mut graphs: Vec<_> = snapshot.named_graphs().map(|graph| [graph.get()]).collect();
    graphs.sort_unstable();
    to.put_keys(graphs.len(), graphs.into_iter())?;
    let Hashing { mut inner, hash } = to;
    inner.write_all(&hash.digest128().to_le_bytes())?;
    let file = inner.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Reads a snapshot and its note.
pub fn read_snapshot_file(path: &Path) -> Result<(Snapshot, Vec<u8>), SnapshotFileError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SnapshotFileError::Missing,
        _ => SnapshotFileError::Io(error),
    })?;
    let size = file.metadata().map_err(SnapshotFileError::Io)?.len();
    let mut from = Hashing::new(BufReader::with_capacity(BUFFER_BYTES, file));
    from.read_snapshot(size).map_err(|error| match error {
        SnapshotFileError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            SnapshotFileError::Damaged
        }
        error => error,
    })
}

/// A reader or writer that hashes what goes through it.
struct Hashing<T> {
    inner: T,
    hash: Xxh3,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            hash: Xxh3::new(),
        }
    }
}

impl<W: Write> Hashing<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }

    fn put_list(&mut self, len: usize, items: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.put(&(len as u64).to_le_bytes())?;
        items(self)
    }

    /// Puts the terms of all layers, which are numbered on from one to the next.
    fn put_terms(&mut self, layers: &[Arc<Layer>]) -> io::Result<()> {
        let texts = || layers.iter().map(|layer| layer.terms.parts().0);
        let len = layers.iter().map(|layer| layer.terms.len()).sum();
        self.put_list(texts().map(str::len).sum(), |to| {
            texts().try_for_each(|text| to.put(text.as_bytes()))
        })?;
        self.put_list(len, |to| {
            let mut before = 0;
            for layer in layers {
                let (text, mut ends, _) = layer.terms.parts();
                ends.try_for_each(|end| to.put(&(before + end).to_le_bytes()))?;
                before += text.len() as u64;
            }
            Ok(())
        })?;
        self.put_list(len, |to| {
            let mut kinds = layers.iter().flat_map(|layer| layer.terms.parts().2);
            kinds.try_for_each(|kind| to.put(&kind.to_le_bytes()))
        })
    }

    fn put_scan<const N: usize>(&mut self, mut keys: Scan<'_, N>) -> io::Result<()> {
        let len = usize::try_from(keys.remaining()).map_err(io::Error::other)?;
        self.put_keys(len, std::iter::from_fn(|| keys.next_key().copied()))
    }

    fn put_keys<const N: usize>(
        &mut self,
        len: usize,
        mut keys: impl Iterator<Item = SortKey<N>>,
    ) -> io::Result<()> {
        self.put_list(len, |to| {
            let mut bytes = Vec::with_capacity(BUFFER_BYTES);
            loop {
                let some = keys.by_ref().take(BUFFER_BYTES / size_of::<SortKey<N>>());
                bytes.clear();
                bytes.extend(some.flatten().flat_map(u32::to_le_bytes));
                if bytes.is_empty() {
                    return Ok(());
                }
                to.put(&bytes)?;
            }
        })
    }
}

impl<R: Read> Hashing<R> {
    fn read_snapshot(&mut self, size: u64) -> Result<(Snapshot, Vec<u8>), SnapshotFileError> {
        if self.take_array::<8>()? != MAGIC {
            return Err(SnapshotFileError::Damaged);
        }
        if self.take_array()? != VERSION.to_le_bytes() {
            return Err(SnapshotFileError::Version);
        }
        let epoch = u64::from_le_bytes(self.take_array()?);
        let note = self.take_bytes(1, size)?;
        let text = String::from_utf8(self.take_bytes(1, size)?).map_err(|_| SnapshotFileError::Damaged)?;
        let ends = numbers(&self.take_bytes(8, size)?, u64::from_le_bytes);
        let kinds = numbers(&self.take_bytes(4, size)?, u32::from_le_bytes);
        let mut layer = Layer::empty(1);
        for run in &mut layer.default {
            *run = self.take_run(size)?;
        }
        for run in &mut layer.named {
            *run = self.take_run(size)?;
        }
        layer.graphs = self.take_run(size)?;
        let digest = self.hash.digest128();
        if u128::from_le_bytes(self.take_array()?) != digest {
            return Err(SnapshotFileError::Damaged);
        }
        layer.terms = Segment::from_parts(1, text, &ends, &kinds).ok_or(SnapshotFileError::Damaged)?;
        Ok((
            Snapshot {
                layers: [Arc::new(layer)].into(),
                epoch,
                sight: None,
            },
            note,
        ))
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotFileError> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes).map_err(SnapshotFileError::Io)?;
        self.hash.update(&bytes);
        Ok(bytes)
    }

    /// Reads a list of items of so many bytes. A length that the file cannot hold is damage, not an allocation.
    fn take_bytes(&mut self, item_bytes: u64, size: u64) -> Result<Vec<u8>, SnapshotFileError> {
        let len = u64::from_le_bytes(self.take_array()?).checked_mul(item_bytes);
        let len = len
            .filter(|len| *len <= size)
            .and_then(|len| usize::try_from(len).ok());
        let len = len.ok_or(SnapshotFileError::Damaged)?;
        let mut bytes = room(len);
        bytes.resize(len, 0);
        self.inner.read_exact(&mut bytes).map_err(SnapshotFileError::Io)?;
        self.hash.update(&bytes);
        Ok(bytes)
    }

    fn take_run<const N: usize>(&mut self, size: u64) -> Result<Run<N>, SnapshotFileError> {
        let bytes = self.take_bytes(4 * N as u64, size)?;
        let key = |bytes: &[u8]| {
            let mut numbers = bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|bytes| u32::from_le_bytes(*bytes));
            std::array::from_fn(|_| numbers.next().unwrap_or(0))
        };
        let mut added = room(bytes.len() / (4 * N));
        added.extend(bytes.chunks_exact(4 * N).map(key));
        Ok(Run {
            added: SortedKeys::new(added),
            removed: SortedKeys::default(),
        })
    }
}

fn numbers<const N: usize, T>(bytes: &[u8], number: fn([u8; N]) -> T) -> Vec<T> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(|bytes| number(*bytes))
        .collect()
}
