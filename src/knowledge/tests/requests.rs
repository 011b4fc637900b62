//! Requests that have a name: whose it is, and what answers one that comes again.

use sha2::{Digest as _, Sha256};

use super::*;
use crate::model::access::GraphSet;

#[test]
fn a_request_id_answers_the_first_answer_again_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let named = |fingerprint| CommitRequest {
        request_id: Some(RequestId {
            id: "r".to_owned(),
            fingerprint: [fingerprint; 32],
        }),
        ..inserting([1, 2])
    };
    let base = open(&dir);
    let first = commit(&base, named(1)).unwrap();
    commit(&base, inserting([3])).unwrap();
    assert_eq!(commit(&base, named(1)).unwrap(), first);
    base.close();
    let base = open(&dir);
    assert_eq!(commit(&base, named(1)).unwrap(), first);
    let reused = commit(&base, named(2));
    assert!(
        matches!(reused, Err(CommitError::RequestIdReused { request_id, revision: 1 }) if request_id == "r")
    );
    assert_eq!(base.revision(), 2);
}

#[test]
fn requests_are_answered_after_their_records_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let request = || CommitRequest {
        request_id: Some(RequestId {
            id: "r".to_owned(),
            fingerprint: [1; 32],
        }),
        ..inserting([1, 2])
    };
    let base = open(&dir);
    let first = commit(&base, request()).unwrap();
    commit(&base, inserting([3])).unwrap();
    base.close();
    crate::knowledge::compact(&settings(&dir), 0).unwrap().unwrap();
    let base = open(&dir);
    assert_eq!(commit(&base, request()).unwrap(), first);
    let other = CommitRequest {
        request_id: Some(RequestId {
            id: "r".to_owned(),
            fingerprint: [2; 32],
        }),
        ..inserting([9])
    };
    assert!(matches!(
        commit(&base, other),
        Err(CommitError::RequestIdReused { revision: 1, .. })
    ));
}

/// Returns a request of a subject, named `r`.
fn of_subject(subject: &str, fingerprint: [u8; 32], number: u64) -> CommitRequest<String> {
    let access = Access::new(subject, GraphSet::everything(), GraphSet::everything(), false);
    CommitRequest {
        request_id: Some(RequestId {
            id: "r".to_owned(),
            fingerprint,
        }),
        ..CommitRequest::new(access, inserting([number]).plan)
    }
}

#[test]
fn names_of_requests_are_each_subjects_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut base = open(&dir);
    // The same request under the same name, and another one.
    let subjects = ["token:a", "token:b", "jwt:a"];
    for (subject, fingerprint) in subjects.into_iter().zip([[1; 32], [1; 32], [2; 32]]) {
        let number = base.revision() + 1;
        let made = commit(&base, of_subject(subject, fingerprint, number)).unwrap();
        assert_eq!((made.revision, made.quads_inserted), (number, 1), "{subject}");
    }
    for is_compacted in [false, true] {
        for (index, subject) in subjects.into_iter().enumerate() {
            let own = [[1; 32], [1; 32], [2; 32]][index];
            let again = commit(&base, of_subject(subject, own, 9)).unwrap();
            assert_eq!(again.revision, index as u64 + 1, "{subject}");
            let reused = commit(&base, of_subject(subject, [9; 32], 9));
            assert!(
                matches!(
                    &reused,
                    Err(CommitError::RequestIdReused { request_id, revision })
                        if request_id == "r" && *revision == index as u64 + 1
                ),
                "{subject}: {reused:?}"
            );
        }
        base.close();
        if !is_compacted {
            crate::knowledge::compact(&settings(&dir), 0).unwrap().unwrap();
        }
        base = open(&dir);
    }
    assert_eq!(base.revision(), 3);
}

#[test]
fn names_in_older_records_answer_who_gave_them_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    // As they were written before they were each subject's own.
    let mut fingerprint = Sha256::new_with_prefix([1; 32]);
    fingerprint.update("token:a");
    let older = CommitRequest {
        request_id: Some(RequestId {
            id: "r".to_owned(),
            fingerprint: fingerprint.finalize().into(),
        }),
        ..inserting([1])
    };
    let first = commit(&base, older).unwrap();
    base.close();
    let base = open(&dir);
    assert_eq!(commit(&base, of_subject("token:a", [1; 32], 2)).unwrap(), first);
    assert_eq!(
        commit(&base, of_subject("token:b", [1; 32], 3)).unwrap().revision,
        2
    );
    let header = base.log().header(2).unwrap();
    assert_eq!(header.request_id.unwrap().name(), "r");
}

#[test]
fn a_full_disk_refuses_requests_that_have_names_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::<Faults>::default();
    let clock = Clock::system(ReferenceDate::Today);
    let base = open::open(settings(&dir), faulty(&faults), clock).unwrap();
    let named = |number: u64| CommitRequest {
        request_id: Some(RequestId {
            id: format!("r{number}"),
            fingerprint: [7; 32],
        }),
        ..inserting([number])
    };
    commit(&base, named(1)).unwrap();
    faults.disk_full.store(true, Ordering::SeqCst);
    for round in 0..3 {
        let refused = commit(&base, named(2));
        assert!(
            matches!(refused, Err(CommitError::DiskFull)),
            "{round}: {refused:?}"
        );
        assert_eq!(*base.writes().borrow(), Writes::DiskFull, "{round}");
    }
    faults.disk_full.store(false, Ordering::SeqCst);
    assert_eq!(commit(&base, named(2)).unwrap().revision, 2);
    assert_eq!(*base.writes().borrow(), Writes::Open);
    assert_eq!(commit(&base, named(1)).unwrap().revision, 1);
    assert_eq!(base.verify().unwrap().quads_inserted, 2);
}

#[test]
fn a_log_is_opened_again_after_a_full_disk_without_a_write() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::<Faults>::default();
    let clock = Clock::system(ReferenceDate::Today);
    let (opens, open_database) = (Arc::new(AtomicU64::new(0)), faulty(&faults));
    let counted = Arc::clone(&opens);
    let counting = Box::new(move |path: &std::path::Path| {
        counted.fetch_add(1, Ordering::SeqCst);
        open_database(path)
    });
    let base = open::open(settings(&dir), counting, clock).unwrap();
    commit(&base, inserting([1])).unwrap();
    faults.disk_full.store(true, Ordering::SeqCst);
    commit(&base, inserting([2])).unwrap_err();
    faults.disk_full.store(false, Ordering::SeqCst);
    let start = Instant::now();
    while opens.load(Ordering::SeqCst) < 2 {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it is not opened again"
        );
        std::thread::yield_now();
    }
    assert_eq!(*base.writes().borrow(), Writes::DiskFull);
    assert_eq!(commit(&base, inserting([2])).unwrap().revision, 2);
    assert_eq!(opens.load(Ordering::SeqCst), 2);
    assert_eq!(base.verify().unwrap().quads_inserted, 2);
}
