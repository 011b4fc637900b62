//! What a restored knowledge base answers to requests that come again.

use super::*;
use crate::log::{Chain, LogReader};

/// Tells of some requests whether a log knows them, and by which revisions.
fn known<const N: usize>(log: &LogReader, ids: [&str; N]) -> [Option<u64>; N] {
    ids.map(|id| log.request(id).unwrap().map(|answer| answer.revision))
}

/// Restores and opens what was restored.
fn restored(folder: &TempDir, place: &Place, until: Until) -> KnowledgeBase {
    let dir = folder.path().join(format!("{until:?}"));
    restore(place, &dir, until, &mut always).unwrap();
    open(&dir)
}

/// Two requests with an answer that has no record, at revision 2: of one it is gone, the other never had one.
fn compacted() -> (TempDir, KnowledgeBase, Place) {
    let (folder, base, place) = beside();
    named(&base, "gone", [1]);
    named(&base, "base", [2]);
    named(&base, "nothing", [1]);
    base.close();
    let data = folder.path().join("data");
    let settings = Settings {
        disk_free_bytes_min: 0,
        ..Settings::new(&data)
    };
    compact(&settings, 0).unwrap().unwrap();
    let base = open(&data);
    assert_eq!(base.earliest_revision(), 2);
    (folder, base, place)
}

#[test]
fn requests_without_records_are_answered_after_a_restore_as_before() {
    let (folder, base, place) = compacted();
    insert(&base, [3]);
    create(&base, &place, &mut always).unwrap();
    insert(&base, [4]);
    // At the revision with which the next backup begins, and at one in its midst.
    assert_eq!(named(&base, "at 4", [1]), 4);
    insert(&base, [5]);
    assert_eq!(named(&base, "at 5", [1]), 5);
    insert(&base, [6]);
    create(&base, &place, &mut always).unwrap();
    // Given after the backup of that revision: the next one has it.
    assert_eq!(named(&base, "at 6", [1]), 6);
    insert(&base, [7]);
    create(&base, &place, &mut always).unwrap();
    let time_us = base.log().header(4).unwrap().time_us;
    base.close();
    assert_eq!(verify(&place, &mut always).unwrap().faults, []);
    let ids = ["gone", "base", "nothing", "at 4", "at 5", "at 6"];
    let base = restored(&folder, &place, Until::End);
    let all = [1, 2, 2, 4, 5, 6].map(Some);
    assert_eq!(known(base.log(), ids), all);
    // Applied again it would insert what is new.
    assert_eq!(ids.map(|id| named(&base, id, [99])), [1, 2, 2, 4, 5, 6]);
    assert_eq!(base.read(&Access::everything()).snapshot.quad_count(), 7);
    base.close();
    for revision in 2..=7 {
        let base = restored(&folder, &place, Until::Revision(revision));
        let then = all.map(|answer| answer.filter(|&answer| answer <= revision));
        assert_eq!(known(base.log(), ids), then, "{revision}");
        base.close();
    }
    let base = restored(&folder, &place, Until::Time(time_us));
    let revisions = known(base.log(), ids).map(|answer| answer.unwrap_or(0));
    assert!(
        revisions.iter().all(|&answer| answer <= base.revision()),
        "{revisions:?}"
    );
    assert_eq!(revisions[..3], [1, 2, 2]);
    base.close();
}

#[test]
fn answers_go_on_in_backups_of_what_was_restored() {
    let (folder, base, place) = compacted();
    create(&base, &place, &mut always).unwrap();
    base.close();
    let base = restored(&folder, &place, Until::End);
    named(&base, "later", [1]);
    insert(&base, [3]);
    create(&base, &place, &mut always).unwrap();
    base.close();
    let base = restored(&folder, &place, Until::Revision(3));
    assert_eq!(
        known(base.log(), ["gone", "nothing", "later"]),
        [1, 2, 2].map(Some)
    );
    base.close();
}

#[test]
fn what_was_erased_from_answers_does_not_come_back_with_a_backup() {
    let (folder, base, place) = compacted();
    // Nothing but the id of the request has it.
    named(&base, "sync http://example.com/777", [1]);
    create(&base, &place, &mut always).unwrap();
    let erased = erase(&base, 777);
    assert_eq!((erased.record_count, erased.quads_removed), (0, 0));
    named(&base, "later", [1]);
    for number in [3, 4] {
        insert(&base, [number]);
        create(&base, &place, &mut always).unwrap();
    }
    base.close();
    let ids = ["gone", "nothing", "later", "sync http://example.com/777"];
    for revision in 2..=4 {
        let base = restored(&folder, &place, Until::Revision(revision));
        let expected = [Some(1), Some(2), Some(2), None];
        assert_eq!(known(base.log(), ids), expected, "{revision}");
        base.close();
    }
}

#[test]
fn what_is_erased_from_answers_while_a_backup_is_made_is_not_in_it() {
    let (folder, base, place) = compacted();
    named(&base, "sync http://example.com/777", [1]);
    let mut is_erased = false;
    let mut watch = |progress: Progress| {
        // All answers were read.
        if progress.revision == progress.last_revision && !is_erased {
            is_erased = true;
            erase(&base, 777);
        }
        true
    };
    create(&base, &place, &mut watch).unwrap();
    assert!(is_erased);
    base.close();
    let base = restored(&folder, &place, Until::End);
    let ids = ["gone", "nothing", "sync http://example.com/777"];
    assert_eq!(known(base.log(), ids), [Some(1), Some(2), None]);
    base.close();
}

#[test]
fn an_answer_of_a_later_revision_is_a_damage() {
    let (_folder, base, place) = beside();
    insert(&base, [1]);
    named(&base, "nothing", [1]);
    let answer = base.log().request("nothing").unwrap().unwrap();
    base.close();
    for revision in [0, 1] {
        let mut writer = records::Writer::new(&place, 1, 1).unwrap();
        writer.answer(&answer).unwrap();
        writer.end_answers().unwrap();
        let mut backup = Backup {
            made_at_us: 0,
            first_revision: 1,
            head: Chain::default().head(),
            quad_count: 0,
            named_graph_count: 0,
            graph_hash: String::new(),
            answer_set: Some(0),
            files: writer.finish().unwrap(),
        };
        backup.head.revision = revision;
        let read = records::Reader::new(&place, &backup).answer();
        match revision {
            0 => assert!(matches!(read, Err(BackupError::Damaged { .. })), "{read:?}"),
            _ => assert_eq!(read.unwrap(), Some(answer.clone())),
        }
    }
}
