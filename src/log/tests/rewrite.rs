//! Logs that were written anew: with a base record, and without what was erased.

use super::*;
use crate::log::{rewrite, tables::SUBSTITUTES};

/// The graph of a log of [`log_of`]: each record adds its own quad.
fn write_base(writer: &mut PayloadWriter<'_>, revision: u64) -> Result<(), LogError> {
    (1..=revision).try_for_each(|number| writer.insert(quad(number).as_ref()))
}

fn compact(log: &mut Log, revision: u64) -> Rewritten {
    let mut rewrite = log.rewrite().unwrap();
    rewrite
        .base(revision, 0, |writer| write_base(writer, revision))
        .unwrap();
    log.adopt(rewrite).unwrap()
}

fn changes(log: &Log, revision: u64) -> Result<Vec<Change>, LogError> {
    let mut changes = Vec::new();
    log.reader()
        .changes(revision, &mut |change| changes.push(change))?;
    Ok(changes)
}

fn check_compacted<T>(found: Result<T, LogError>, of: u64, is_earliest: u64) {
    match found {
        Err(LogError::Compacted { revision, earliest }) => {
            assert_eq!((revision, earliest), (of, is_earliest));
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("revision {of} is still there"),
    }
}

#[test]
fn a_base_record_takes_the_place_of_those_up_to_it_and_the_chain_goes_on() {
    let dir = log_of(5);
    let mut log = Log::open(dir.path(), 0).unwrap();
    let before = log.head();
    let header = log.reader().header(3).unwrap();
    assert_eq!(compact(&mut log, 3).earliest, 3);
    for is_reopened in [false, true] {
        if is_reopened {
            drop(log);
            log = Log::open(dir.path(), 0).unwrap();
        }
        assert_eq!(log.earliest(), 3);
        let reader = log.reader();
        assert_eq!(reader.earliest().unwrap(), 3);
        assert_eq!(reader.header(3).unwrap(), header);
        check_compacted(reader.header(2), 2, 3);
        check_compacted(changes(&log, 3), 3, 3);
        assert_eq!(changes(&log, 4).unwrap(), [Change::Insert(quad(4))]);
        let base = reader.records().unwrap().base().unwrap().unwrap();
        assert_eq!((base.header.revision, base.quad_count), (3, 3));
        let graph: Vec<_> = base.graph.map(Result::unwrap).collect();
        assert_eq!(graph, [1, 2, 3].map(|number| Change::Insert(quad(number))));
        let summary = reader.verify().unwrap();
        assert_eq!(
            (summary.earliest, summary.quads_inserted),
            (3, log.head().revision)
        );
        if is_reopened {
            append(&mut log, &[None]).unwrap();
            assert_eq!(log.reader().verify().unwrap().quads_inserted, 6);
        } else {
            assert_eq!(log.head(), before);
        }
    }
    // And once more, over the base record.
    compact(&mut log, 6);
    assert_eq!(log.reader().verify().unwrap().quads_inserted, 6);
    append(&mut log, &[None]).unwrap();
    drop(log);
    assert_eq!(Log::open(dir.path(), 0).unwrap().head().revision, 7);
}

#[test]
fn what_is_appended_while_a_log_is_written_anew_is_in_it() {
    let dir = log_of(2);
    let mut log = Log::open(dir.path(), 0).unwrap();
    let mut rewrite = log.rewrite().unwrap();
    rewrite.base(1, 0, |writer| write_base(writer, 1)).unwrap();
    append(&mut log, &[Some("meanwhile")]).unwrap();
    rewrite.copy(2).unwrap();
    append(&mut log, &[None]).unwrap();
    let mut answering = log.begin().unwrap();
    let request = RequestId {
        id: "in vain".to_owned(),
        fingerprint: [7; 32],
    };
    answering.answer(request, 1).unwrap();
    log.commit(answering).unwrap();
    let rewritten = log.adopt(rewrite).unwrap();
    assert!(rewritten.bytes > 0 && rewritten.bytes_before > 0);
    assert_eq!(log.reader().verify().unwrap().quads_inserted, 4);
    let request = log.begin().unwrap().request("meanwhile").unwrap();
    assert_eq!(request.map(|header| header.revision), Some(3));
    let request = log.reader().request("in vain").unwrap();
    assert_eq!(request.map(|header| header.revision), Some(4));
    drop(log);
    assert_eq!(Log::open(dir.path(), 0).unwrap().head().revision, 4);
}

#[test]
fn answers_that_are_erased_do_not_come_back_with_those_that_are_given_meanwhile() {
    let dir = log_of(1);
    let mut log = Log::open(dir.path(), 0).unwrap();
    let answer = |log: &mut Log, id: &str| {
        let request = RequestId {
            id: id.to_owned(),
            fingerprint: [7; 32],
        };
        let mut answering = log.begin().unwrap();
        answering.answer(request, 1).unwrap();
        log.commit(answering).unwrap();
    };
    let mut rewrite = log.rewrite().unwrap();
    answer(&mut log, "secret 1");
    rewrite
        .copy_if(1, &mut |_| true, |id| !id.starts_with("secret"))
        .unwrap();
    answer(&mut log, "secret 2");
    answer(&mut log, "other");
    let set = |log: &Log| log.reader().answers().unwrap().set;
    let count = log.reader().erasure_count();
    assert_eq!(set(&log), 0);
    log.adopt(rewrite).unwrap();
    // Whoever has copied answers must look again.
    assert!(log.reader().erasure_count() > count);
    let erased = set(&log);
    assert_ne!(erased, 0);
    compact(&mut log, 1);
    assert_eq!(set(&log), erased);
    let is_known = |id| log.reader().request(id).unwrap().is_some();
    assert_eq!(
        ["secret 1", "secret 2", "other"].map(is_known),
        [false, false, true]
    );
}

#[test]
fn requests_are_answered_after_their_records_are_gone_as_long_as_they_are_young() {
    let dir = log_of(1);
    let mut log = Log::open(dir.path(), 0).unwrap();
    append(&mut log, &[Some("old")]).unwrap();
    append(&mut log, &[None]).unwrap();
    let old = log.reader().request("old").unwrap().unwrap();
    let answers = |log: &mut Log| {
        let of_reader = log.reader().request("old").unwrap();
        assert_eq!(log.begin().unwrap().request("old").unwrap(), of_reader);
        of_reader
    };
    compact(&mut log, 3);
    let answer = answers(&mut log).unwrap();
    assert_eq!((answer.revision, answer.counts), (old.revision, old.counts));
    assert_eq!(answer.request_id, old.request_id);
    assert_eq!((answer.author.as_str(), answer.message.as_str()), ("", ""));
    // Over another base record, as long as it is young enough.
    append(&mut log, &[None]).unwrap();
    compact(&mut log, 4);
    assert!(answers(&mut log).is_some());
    let mut rewrite = log.rewrite().unwrap();
    let too_old = old.time_us + 1;
    rewrite.base(4, too_old, |writer| write_base(writer, 4)).unwrap();
    log.adopt(rewrite).unwrap();
    assert_eq!(answers(&mut log), None);
}

#[test]
fn what_is_erased_goes_and_the_chain_still_verifies() {
    let dir = log_of(4);
    let mut log = Log::open(dir.path(), 0).unwrap();
    let head = log.head();
    let secret = Change::Insert(quad(2));
    let mut rewrite = log.rewrite().unwrap();
    rewrite
        .copy_if(4, &mut |change| *change != secret, |_| true)
        .unwrap();
    let rewritten = log.adopt(rewrite).unwrap();
    assert_eq!((rewritten.redacted_count, rewritten.earliest), (1, 0));
    drop(log);
    let mut log = Log::open(dir.path(), 0).unwrap();
    assert_eq!(log.head(), head);
    assert_eq!(changes(&log, 2).unwrap(), []);
    assert_eq!(changes(&log, 3).unwrap(), [Change::Insert(quad(3))]);
    // The header is what it was: it tells of one quad.
    let header = log.reader().header(2).unwrap();
    assert_eq!((header.counts.quads_inserted, header.is_redacted), (1, true));
    let mut marked = Vec::new();
    let mut each = |header: Header| {
        marked.push(header.is_redacted);
        true
    };
    log.reader().headers(1..=4, false, &mut each).unwrap();
    assert_eq!(marked, [false, true, false, false]);
    let summary = log.reader().verify().unwrap();
    assert_eq!((summary.redacted_count, summary.quads_inserted), (1, 3));
    // A base record is redacted too.
    compact(&mut log, 3);
    let mut rewrite = log.rewrite().unwrap();
    let secret = Change::Insert(quad(3));
    rewrite
        .copy_if(4, &mut |change| *change != secret, |_| true)
        .unwrap();
    log.adopt(rewrite).unwrap();
    let base = log.reader().records().unwrap().base().unwrap().unwrap();
    let graph: Vec<_> = base.graph.map(Result::unwrap).collect();
    assert_eq!(graph, [1, 2].map(|number| Change::Insert(quad(number))));
    assert_eq!(log.reader().verify().unwrap().earliest, 3);
}

#[test]
fn a_rewrite_that_is_dropped_or_cut_short_never_was() {
    let dir = log_of(3);
    let mut log = Log::open(dir.path(), 0).unwrap();
    let staged = dir.path().join("log.redb.new");
    let mut rewrite = log.rewrite().unwrap();
    rewrite.base(2, 0, |writer| write_base(writer, 2)).unwrap();
    assert!(staged.exists());
    drop(rewrite);
    assert!(!staged.exists());
    // As a kill leaves it.
    fs::write(&staged, b"half a log").unwrap();
    drop(log);
    log = Log::open(dir.path(), 0).unwrap();
    assert!(!staged.exists());
    assert_eq!((log.earliest(), log.head().revision), (0, 3));
    let rewrite = log.rewrite().unwrap();
    fs::remove_file(&staged).unwrap();
    // What cannot take the log's place leaves it as it was.
    log.adopt(rewrite).expect_err("it was adopted");
    assert_eq!(append(&mut log, &[None]).unwrap().revision, 4);
    rewrite::remove_leftover(dir.path()).unwrap();
}

#[test]
fn a_reader_reads_on_in_the_log_that_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Log::open(dir.path(), 0).unwrap();
    for _ in 0..3 {
        append(&mut log, &[None]).unwrap();
    }
    let records = log.reader().records().unwrap();
    let (_, mut begun) = records.get(1).unwrap();
    compact(&mut log, 2);
    assert_eq!(begun.next().unwrap().unwrap(), Change::Insert(quad(1)));
    assert_eq!(records.get(2).unwrap().1.count(), 1);
    assert_eq!(log.retired.len(), 1);
    drop((records, begun));
    append(&mut log, &[None]).unwrap();
    assert!(log.retired.is_empty(), "the old file is still open");
}

#[test]
fn without_room_for_another_log_none_is_begun() {
    let dir = log_of(1);
    let mut log = Log::open(dir.path(), u64::MAX).unwrap();
    assert!(matches!(log.rewrite(), Err(LogError::DiskFull)));
    assert!(!dir.path().join("log.redb.new").exists());
}

#[test]
fn a_base_record_with_a_flipped_bit_is_refused() {
    let base = || {
        let dir = log_of(4);
        compact(&mut Log::open(dir.path(), 0).unwrap(), 2);
        dir
    };
    let dir = base();
    tamper(&dir, |transaction| {
        let mut payloads = transaction.open_table(PAYLOADS).unwrap();
        let mut bytes = payloads.get((2, 0)).unwrap().unwrap().value().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        payloads.insert((2, 0), bytes.as_slice()).unwrap();
    });
    check_refused(
        &dir,
        "damaged at revision 2: the whole graph that is kept there does not match its hash",
    );
    let dir = base();
    tamper(&dir, |transaction| {
        let mut substitutes = transaction.open_table(SUBSTITUTES).unwrap();
        substitutes.insert(2, [1, 9].as_slice()).unwrap();
    });
    check_refused(
        &dir,
        "damaged at revision 2: what stands in the place of its payload cannot be read",
    );
    // A log without what it begins with is none.
    let dir = base();
    tamper(&dir, |transaction| {
        transaction.open_table(SUBSTITUTES).unwrap().remove(2).unwrap();
    });
    check_refused(&dir, "damaged at revision 1: its header is missing");
    let dir = base();
    tamper(&dir, |transaction| {
        let mut headers = transaction.open_table(HEADERS).unwrap();
        let mut bytes = headers.get(2).unwrap().unwrap().value().to_vec();
        bytes[10] ^= 1;
        headers.insert(2, bytes.as_slice()).unwrap();
    });
    check_refused(
        &dir,
        "damaged at revision 3: its header does not match the record before it",
    );
}

/// Flips a bit of a payload, or flips it back. The salt is no part of the text: only the hash tells.
fn flip(log: &Log, revision: u64) {
    let opened = log.opened.load_full().unwrap();
    let transaction = opened.database.begin_write().unwrap();
    let mut payloads = transaction.open_table(PAYLOADS).unwrap();
    let mut bytes = payloads.get((revision, 0)).unwrap().unwrap().value().to_vec();
    bytes[0] ^= 1;
    payloads.insert((revision, 0), bytes.as_slice()).unwrap();
    drop(payloads);
    transaction.commit().unwrap();
}

#[test]
fn a_payload_that_rots_while_the_log_is_open_is_not_told_and_not_written_anew() {
    let dir = log_of(4);
    let mut log = Log::open(dir.path(), 0).unwrap();
    let mut append = log.begin().unwrap();
    let write = |writer: &mut PayloadWriter<'_>| {
        (5..20_000).try_for_each(|number| writer.insert(quad(number).as_ref()))
    };
    append.record(entry(None), write).unwrap();
    let streamed = log.commit(append).unwrap().revision;
    for of in [2, streamed] {
        flip(&log, of);
        let at_leisure = || {
            log.reader()
                .record_at_leisure(of)?
                .1
                .try_for_each(|change| change.map(drop))
        };
        let mut found = vec![changes(&log, of).err(), at_leisure().err()];
        let secret = Change::Insert(quad(of));
        let mut copied = log.rewrite().unwrap();
        found.push(copied.copy(streamed).err());
        drop(copied);
        let mut erased = log.rewrite().unwrap();
        found.push(
            erased
                .copy_if(streamed, &mut |change| *change != secret, |_| true)
                .err(),
        );
        for error in found {
            let is_named = matches!(
                error,
                Some(LogError::DamagedRecord { revision, fault: RecordFault::Payload }) if revision == of
            );
            assert!(is_named, "{of}: {error:?}");
        }
        drop(erased);
        flip(&log, of);
        assert!(log.reader().verify().is_ok());
    }
}
