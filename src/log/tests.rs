//! Tests of the log as a whole.

mod answers;
mod leisure;
mod rewrite;

use std::{
    io,
    ops::Bound,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use oxigraph::model::{GraphName, Literal, NamedNode, Quad};
use redb::{BackendError, ReadableTable as _, StorageBackend, backends::FileBackend};
use tempfile::TempDir;

use super::{tables::PAYLOADS, *};

/// The real file, with a switch that makes writes fail.
#[derive(Debug)]
pub(crate) struct FaultyFile {
    file: FileBackend,
    faults: Arc<Faults>,
}

/// What goes wrong with a [`FaultyFile`], and what it counts.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) disk_full: AtomicBool,
    pub(crate) broken: AtomicBool,
    pub(crate) sync_broken: AtomicBool,
    pub(crate) sync_count: AtomicU64,
}

impl Faults {
    fn check_write(&self) -> io::Result<()> {
        if self.disk_full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if self.broken.load(Ordering::SeqCst) {
            Err(io::Error::other("the disk is broken"))
        } else {
            Ok(())
        }
    }
}

pub(crate) fn faulty(faults: &Arc<Faults>) -> OpenDatabase {
    let faults = Arc::clone(faults);
    Box::new(move |path| {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        builder().create_with_backend(FaultyFile {
            file: FileBackend::new(file)?,
            faults: Arc::clone(&faults),
        })
    })
}

impl StorageBackend for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.faults.sync_count.fetch_add(1, Ordering::SeqCst);
        if self.faults.sync_broken.load(Ordering::SeqCst) {
            // What was written may be on the disk all the same.
            self.file.sync_data()?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.faults.check_write()?;
        self.file.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }
    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }
    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }
    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }
    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

fn quad(number: u64) -> Quad {
    let node = NamedNode::new_unchecked("http://example.com/a");
    Quad::new(
        node.clone(),
        node,
        Literal::from(number.to_string()),
        GraphName::DefaultGraph,
    )
}

fn entry(request: Option<&str>) -> Entry {
    let request_id = request.map(|id| RequestId {
        id: id.to_owned(),
        fingerprint: [7; 32],
    });
    Entry {
        author: "a".to_owned(),
        message: "m".to_owned(),
        request_id,
        // A time in 2019.
        time_us: 1_566_864_000_000_000,
    }
}

fn append(log: &mut Log, requests: &[Option<&str>]) -> Result<Head, LogError> {
    let mut append = log.begin()?;
    for request in requests {
        let number = append.head().revision + 1;
        if let Err(error) = append.record(entry(*request), |writer| writer.insert(quad(number).as_ref())) {
            return Err(log.abandon(append, error));
        }
    }
    log.commit(append)?;
    log.mark()?;
    Ok(log.head())
}

fn log_of(record_count: usize) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Log::open(dir.path(), 0).unwrap();
    for _ in 0..record_count {
        append(&mut log, &[None]).unwrap();
    }
    dir
}

/// Changes a table of a closed log behind its back.
fn tamper(dir: &TempDir, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(dir.path().join("log.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

fn check_refused(dir: &TempDir, expected: &str) {
    let error = Log::open(dir.path(), 0).err().expect("the log opens").to_string();
    assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    assert!(error.contains("backup"), "{error:?} does not say what to do");
}

#[test]
fn records_are_there_after_the_log_is_opened_again() {
    let dir = log_of(3);
    let mut log = Log::open(dir.path(), 0).unwrap();
    let head = append(&mut log, &[None, Some("r"), None]).unwrap();
    assert_eq!(head.revision, 6);
    drop(log);
    let log = Log::open(dir.path(), 0).unwrap();
    assert_eq!(log.head(), head);
    let mut changes = Vec::new();
    let header = log
        .reader()
        .changes(5, &mut |change| changes.push(change))
        .unwrap();
    assert_eq!(changes, [Change::Insert(quad(5))]);
    assert_eq!((header.author.as_str(), header.message.as_str()), ("a", "m"));
    let summary = log.reader().verify().unwrap();
    assert_eq!((summary.head, summary.quads_inserted), (head, 6));
}

#[test]
fn headers_are_listed_in_both_orders_until_enough() {
    let dir = log_of(4);
    let log = Log::open(dir.path(), 0).unwrap();
    let list = |revisions, newest_first, count: usize| {
        let mut found = Vec::new();
        let mut each = |header: Header| {
            found.push(header.revision);
            found.len() < count
        };
        log.reader().headers(revisions, newest_first, &mut each).unwrap();
        found
    };
    assert_eq!(list(2..=4, false, 9), [2, 3, 4]);
    assert_eq!(list(2..=4, true, 2), [4, 3]);
    assert!(list(5..=9, false, 9).is_empty());
}

#[test]
fn the_changes_of_a_record_are_taken_one_by_one_while_the_log_goes_on() {
    let dir = log_of(2);
    let mut log = Log::open(dir.path(), 0).unwrap();
    let (header, mut changes) = log.reader().record(2).unwrap();
    append(&mut log, &[None]).unwrap();
    assert_eq!(header.revision, 2);
    assert_eq!(changes.next().unwrap().unwrap(), Change::Insert(quad(2)));
    assert!(changes.next().is_none());
}

#[test]
fn a_request_is_found_in_the_log_and_in_the_append_itself() {
    let dir = log_of(1);
    let mut log = Log::open(dir.path(), 0).unwrap();
    append(&mut log, &[Some("one")]).unwrap();
    let mut append = log.begin().unwrap();
    append.record(entry(Some("two")), |_| Ok(())).unwrap();
    let revision = |id| append.request(id).unwrap().map(|header| header.revision);
    assert_eq!(
        [revision("one"), revision("two"), revision("three")],
        [Some(2), Some(3), None]
    );
}

#[test]
fn an_append_that_is_dropped_never_was() {
    let dir = log_of(1);
    let mut log = Log::open(dir.path(), 0).unwrap();
    let mut dropped = log.begin().unwrap();
    dropped.record(entry(Some("r")), |_| Ok(())).unwrap();
    drop(dropped);
    assert_eq!(log.begin().unwrap().request("r").unwrap(), None);
    assert_eq!(append(&mut log, &[None]).unwrap().revision, 2);
}

#[test]
fn two_cannot_have_one_data_directory() {
    let dir = log_of(1);
    let _log = Log::open(dir.path(), 0).unwrap();
    assert!(matches!(Log::open(dir.path(), 0), Err(LogError::InUse { .. })));
}

#[test]
fn a_payload_with_a_flipped_bit_is_refused() {
    let dir = log_of(3);
    tamper(&dir, |transaction| {
        let mut payloads = transaction.open_table(PAYLOADS).unwrap();
        let mut bytes = payloads.get((2, 0)).unwrap().unwrap().value().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        payloads.insert((2, 0), bytes.as_slice()).unwrap();
    });
    check_refused(
        &dir,
        "damaged at revision 2: its payload does not match its header",
    );
}

#[test]
fn a_header_with_a_flipped_bit_is_refused() {
    let dir = log_of(3);
    tamper(&dir, |transaction| {
        let mut headers = transaction.open_table(HEADERS).unwrap();
        let mut bytes = headers.get(2).unwrap().unwrap().value().to_vec();
        // In the commit time: it still decodes, and only the next record tells.
        bytes[10] ^= 1;
        headers.insert(2, bytes.as_slice()).unwrap();
    });
    check_refused(
        &dir,
        "damaged at revision 3: its header does not match the record before it",
    );
}

#[test]
fn a_missing_header_is_refused() {
    let dir = log_of(3);
    tamper(&dir, |transaction| {
        transaction.open_table(HEADERS).unwrap().remove(2).unwrap();
    });
    check_refused(&dir, "damaged at revision 2: its header is missing");
}

#[test]
fn a_header_that_does_not_decode_is_refused() {
    let dir = log_of(3);
    tamper(&dir, |transaction| {
        transaction
            .open_table(HEADERS)
            .unwrap()
            .insert(2, [9].as_slice())
            .unwrap();
    });
    check_refused(&dir, "damaged at revision 2: its header cannot be read");
}

#[test]
fn a_log_of_a_newer_format_is_refused_and_left_as_it_is() {
    let dir = log_of(1);
    let set = |version| {
        tamper(&dir, |transaction| {
            let mut meta = transaction.open_table(tables::META).unwrap();
            meta.insert("format", version).unwrap();
        });
    };
    set(FORMAT_VERSION + 1);
    let newer = FORMAT_VERSION + 1;
    check_refused(
        &dir,
        &format!("the log has format {newer}, and this version of Dossier knows"),
    );
    check_refused(&dir, "Start that version or a later one");
    set(FORMAT_VERSION);
    assert_eq!(Log::open(dir.path(), 0).unwrap().head().revision, 1);
}

#[test]
fn a_log_that_lost_its_last_record_is_refused() {
    let dir = log_of(3);
    tamper(&dir, |transaction| {
        transaction.open_table(HEADERS).unwrap().remove(3).unwrap();
    });
    check_refused(&dir, "ends at revision 2, but revision 3 was acknowledged");
}

#[test]
fn a_log_whose_file_is_gone_is_refused() {
    let dir = log_of(3);
    fs::remove_file(dir.path().join("log.redb")).unwrap();
    check_refused(&dir, "ends at revision 0, but revision 3 was acknowledged");
}

#[test]
fn another_log_of_the_same_length_is_refused() {
    let (dir, other) = (log_of(3), log_of(3));
    fs::copy(other.path().join("log.redb"), dir.path().join("log.redb")).unwrap();
    check_refused(&dir, "revision 3 of the log is not the one that was acknowledged");
}

#[test]
fn a_damaged_high_water_file_is_refused_and_a_deleted_one_is_not() {
    let dir = log_of(3);
    fs::write(dir.path().join("high-water"), [1; 100]).unwrap();
    check_refused(&dir, "`high-water` is damaged");
    fs::remove_file(dir.path().join("high-water")).unwrap();
    assert_eq!(Log::open(dir.path(), 0).unwrap().head().revision, 3);
}

#[test]
fn a_truncated_file_is_refused() {
    let dir = log_of(50);
    let path = dir.path().join("log.redb");
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    assert!(Log::open(dir.path(), 0).is_err());
}

#[test]
fn a_file_with_a_flipped_byte_never_opens_as_another_log() {
    let dir = log_of(20);
    let path = dir.path().join("log.redb");
    let head = Log::open(dir.path(), 0).unwrap().head();
    let sound = fs::read(&path).unwrap();
    for at in (0..sound.len()).step_by(sound.len() / 40 + 1) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        if let Ok(log) = Log::open(dir.path(), 0) {
            assert_eq!(log.head(), head, "byte {at}");
        }
    }
}

#[test]
fn a_full_disk_refuses_a_write_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::<Faults>::default();
    let mut log = Log::open_on(dir.path(), 0, faulty(&faults)).unwrap();
    append(&mut log, &[None]).unwrap();
    faults.disk_full.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        assert!(matches!(append(&mut log, &[Some("r")]), Err(LogError::DiskFull)));
    }
    faults.disk_full.store(false, Ordering::SeqCst);
    assert_eq!(append(&mut log, &[Some("r")]).unwrap().revision, 2);
    assert_eq!(log.reader().verify().unwrap().head, log.head());
}

#[test]
fn a_log_that_is_being_read_as_it_is_opened_again_waits_and_is_not_broken() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::<Faults>::default();
    let mut log = Log::open_on(dir.path(), 0, faulty(&faults)).unwrap();
    append(&mut log, &[None]).unwrap();
    // As who begins to read has it, for a moment.
    let reading = log.opened.load_full();
    faults.disk_full.store(true, Ordering::SeqCst);
    append(&mut log, &[None]).unwrap_err();
    faults.disk_full.store(false, Ordering::SeqCst);
    assert!(matches!(append(&mut log, &[None]), Err(LogError::DiskFull)));
    assert!(log.is_unreadable() && log.reader().header(1).is_err());
    drop(reading);
    log.reopen_for_readers().unwrap();
    assert!(!log.is_unreadable() && log.reader().header(1).is_ok());
    // From now on nobody who reads is in the way.
    let _reading = log.opened.load_full();
    assert_eq!(append(&mut log, &[None]).unwrap().revision, 2);
    assert_eq!(log.reader().verify().unwrap().head, log.head());
}

#[test]
fn a_refused_append_that_reached_the_disk_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::<Faults>::default();
    let mut log = Log::open_on(dir.path(), 0, faulty(&faults)).unwrap();
    append(&mut log, &[None]).unwrap();
    faults.sync_broken.store(true, Ordering::SeqCst);
    assert!(matches!(
        append(&mut log, &[Some("r"), None]),
        Err(LogError::DiskFull)
    ));
    faults.sync_broken.store(false, Ordering::SeqCst);
    assert_eq!(log.begin().unwrap().request("r").unwrap(), None);
    assert_eq!(append(&mut log, &[None]).unwrap().revision, 2);
    assert_eq!(log.reader().verify().unwrap().quads_inserted, 2);
}

#[test]
fn an_io_error_stops_writes_until_the_log_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::<Faults>::default();
    let mut log = Log::open_on(dir.path(), 0, faulty(&faults)).unwrap();
    append(&mut log, &[None]).unwrap();
    faults.broken.store(true, Ordering::SeqCst);
    assert!(matches!(append(&mut log, &[None]), Err(LogError::Io(_))));
    faults.broken.store(false, Ordering::SeqCst);
    assert!(matches!(append(&mut log, &[None]), Err(LogError::Unavailable)));
    drop(log);
    let mut log = Log::open(dir.path(), 0).unwrap();
    assert_eq!(append(&mut log, &[None]).unwrap().revision, 2);
}

#[test]
fn a_disk_with_too_little_room_left_refuses_a_write() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Log::open(dir.path(), u64::MAX).unwrap();
    assert!(matches!(log.begin(), Err(LogError::DiskFull)));
}
