//! Requests that changed nothing are answered as before, whatever was changed since.

use super::*;

/// Returns a request that removes a quad.
fn removing(id: &str, number: u64) -> CommitRequest<String> {
    let mut batch = Batch::default();
    batch.remove(quad(number).as_ref());
    CommitRequest {
        request_id: Some(RequestId {
            id: id.to_owned(),
            fingerprint: [u8::try_from(number).unwrap(); 32],
        }),
        ..planning(move |draft| draft.apply(&batch))
    }
}

#[test]
fn a_request_that_changed_nothing_does_not_change_what_came_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut base = open(&dir);
    commit(&base, inserting([2])).unwrap();
    // What is only validated is not remembered.
    let validated = CommitRequest {
        validate_only: true,
        ..removing("r", 7)
    };
    commit(&base, validated).unwrap();
    let first = commit(&base, removing("r", 1)).unwrap();
    assert_eq!((first.revision, first.quads_removed), (1, 0));
    commit(&base, inserting([1])).unwrap();
    for round in 0..3 {
        assert_eq!(commit(&base, removing("r", 1)).unwrap(), first, "{round}");
        let reused = commit(&base, removing("r", 2));
        assert!(
            matches!(reused, Err(CommitError::RequestIdReused { revision: 1, .. })),
            "{round}: {reused:?}"
        );
        base.close();
        if round == 1 {
            crate::knowledge::compact(&settings(&dir), 0).unwrap().unwrap();
        }
        base = open(&dir);
    }
    assert_eq!(base.revision(), 2);
    assert_eq!(contents(&base.read(&Access::everything()).snapshot).len(), 2);
}
