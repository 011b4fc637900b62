//! Answers to requests that have no record.

use super::*;

#[test]
fn answers_to_requests_that_changed_nothing_go_after_a_day() {
    let dir = log_of(1);
    let mut log = Log::open(dir.path(), 0).unwrap();
    let begun_us = log.head().time_us;
    let answered = |log: &mut Log, id: &str, after_us: u64| {
        let mut append = log.begin().unwrap();
        let request = entry(Some(id)).request_id.unwrap();
        append.answer(request, begun_us + after_us).unwrap();
        log.commit(append).unwrap();
        ["a", "b", "c", "d"].map(|id| log.reader().request(id).unwrap().is_some())
    };
    answered(&mut log, "a", 0);
    answered(&mut log, "b", 1);
    let all = [true, true, true, false];
    assert_eq!(answered(&mut log, "c", ANSWER_AGE_MAX_US), all);
    let younger = [false, true, true, true];
    assert_eq!(answered(&mut log, "d", ANSWER_AGE_MAX_US + 1), younger);
    drop(log);
    let mut log = Log::open(dir.path(), 0).unwrap();
    let younger = [false, false, true, true];
    assert_eq!(answered(&mut log, "e", ANSWER_AGE_MAX_US + 2), younger);
}

#[test]
fn a_refused_answer_that_reached_the_disk_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::<Faults>::default();
    let mut log = Log::open_on(dir.path(), 0, faulty(&faults)).unwrap();
    append(&mut log, &[None]).unwrap();
    let answer = |log: &mut Log, ids: &[&str]| {
        let mut append = log.begin().unwrap();
        for id in ids {
            let request = entry(Some(id)).request_id.unwrap();
            append.answer(request, 1_566_864_000_000_000).unwrap();
        }
        log.commit(append)
    };
    answer(&mut log, &["before"]).unwrap();
    faults.sync_broken.store(true, Ordering::SeqCst);
    let refused = answer(&mut log, &["a", "b"]);
    assert!(matches!(refused, Err(LogError::DiskFull)), "{refused:?}");
    faults.sync_broken.store(false, Ordering::SeqCst);
    let append = log.begin().unwrap();
    let revision = |id| append.request(id).unwrap().map(|answer| answer.revision);
    assert_eq!(
        [revision("a"), revision("b"), revision("before")],
        [None, None, Some(1)]
    );
}

#[test]
fn a_refused_answer_that_a_rewrite_has_copied_does_not_stay() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::<Faults>::default();
    let mut log = Log::open_on(dir.path(), 0, faulty(&faults)).unwrap();
    append(&mut log, &[None]).unwrap();
    let mut rewrite = log.rewrite().unwrap();
    faults.sync_broken.store(true, Ordering::SeqCst);
    let mut append = log.begin().unwrap();
    for id in ["refused", "again"] {
        let request = entry(Some(id)).request_id.unwrap();
        append.answer(request, 1_566_864_000_000_000).unwrap();
    }
    let refused = log.commit(append);
    assert!(matches!(refused, Err(LogError::DiskFull)), "{refused:?}");
    faults.sync_broken.store(false, Ordering::SeqCst);
    log.reopen_for_readers().unwrap();
    // It is there to be read, and nobody has taken it back.
    assert!(log.reader().request("refused").unwrap().is_some());
    rewrite.copy(1).unwrap();
    let mut append = log.begin().unwrap();
    let request = entry(Some("again")).request_id.unwrap();
    append.answer(request, 1_566_864_000_000_000).unwrap();
    log.commit(append).unwrap();
    log.adopt(rewrite).unwrap();
    let known = |id| log.reader().request(id).unwrap().is_some();
    assert_eq!([known("refused"), known("again")], [false, true]);
}
