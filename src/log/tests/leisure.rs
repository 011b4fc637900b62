//! Large records, which are read slowly.

use super::*;

/// Returns a log whose first record is of some megabytes, however they are compressed, and how many quads that has.
fn log_of_much() -> (TempDir, Log, usize) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Log::open(dir.path(), 0).unwrap();
    let mut append = log.begin().unwrap();
    // Random words.
    let (mut word, count) = (1_u64, 100_000);
    let write = |writer: &mut PayloadWriter<'_>| {
        (0..count).try_for_each(|_| {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            writer.insert(quad(word).as_ref())
        })
    };
    append.record(entry(None), write).unwrap();
    log.commit(append).unwrap();
    log.mark().unwrap();
    (dir, log, count)
}

#[test]
fn a_reader_in_the_middle_of_a_record_does_not_hold_up_the_log() {
    let (dir, log, count) = log_of_much();
    let (_, mut changes) = log.reader().record(1).unwrap();
    assert!(changes.next().unwrap().is_ok());
    drop(log);
    let log = Log::open(dir.path(), 0).unwrap();
    let read = log.reader().changes(1, &mut |_| ()).unwrap();
    assert_eq!(read.counts.quads_inserted, count as u64);
    let error = changes
        .find_map(Result::err)
        .expect("it read on in a closed file");
    assert!(matches!(error, LogError::Unavailable), "{error}");
    assert!(changes.next().is_none());
}

#[test]
fn who_reads_a_record_at_leisure_does_not_make_the_log_grow() {
    let grown = |reads: bool, is_at_leisure: bool| {
        let (dir, mut log, count) = log_of_much();
        let mut changes = reads.then(|| {
            let reader = log.reader();
            let read = if is_at_leisure {
                reader.record_at_leisure(1)
            } else {
                reader.record(1)
            };
            read.unwrap().1
        });
        assert!(changes.iter_mut().all(|changes| changes.next().unwrap().is_ok()));
        for _ in 0..500 {
            append(&mut log, &[None]).unwrap();
        }
        let read_count = changes.map(|changes| changes.map(Result::unwrap).count());
        assert!(read_count.is_none_or(|read| read == count - 1));
        fs::metadata(dir.path().join(LOG_FILE)).unwrap().len()
    };
    let alone = grown(false, false);
    assert_eq!(grown(true, true), alone);
    assert!(grown(true, false) > alone, "or nothing is gained by it");
}

#[test]
fn who_reads_a_record_at_leisure_hears_that_it_is_gone() {
    let (_dir, mut log, count) = log_of_much();
    append(&mut log, &[None, None]).unwrap();
    let rewritten = |log: &mut Log, base: Option<u64>, erases: bool| {
        let mut rewrite = log.rewrite().unwrap();
        if let Some(base) = base {
            rewrite.base(base, 0, |_| Ok(())).unwrap();
        }
        let mut keeps =
            |change: &Change| !erases || *change != Change::Insert(quad(6_364_136_223_846_793_006));
        rewrite.copy_if(3, &mut keeps, |_| true).unwrap();
        log.adopt(rewrite).unwrap()
    };
    let begun = |log: &Log| {
        let (_, mut changes) = log.reader().record_at_leisure(1).unwrap();
        assert!(changes.next().unwrap().is_ok());
        changes
    };
    // It is as it was.
    let changes = begun(&log);
    rewritten(&mut log, None, false);
    assert_eq!(changes.map(Result::unwrap).count(), count - 1);
    let mut changes = begun(&log);
    assert_eq!(rewritten(&mut log, None, true).redacted_count, 1);
    let error = changes.find_map(Result::err);
    assert!(matches!(error, Some(LogError::Unavailable)), "{error:?}");
    let mut changes = begun(&log);
    assert_eq!(rewritten(&mut log, Some(2), false).earliest, 2);
    let error = changes.find_map(Result::err);
    let is_gone = |error| matches!(error, Some(LogError::Compacted { earliest: 2, .. }));
    assert!(is_gone(error));
    assert!(is_gone(log.reader().record_at_leisure(2).err()));
    assert!(log.reader().record_at_leisure(3).is_ok());
}
