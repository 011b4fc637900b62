//! What the retention of the log leaves to backups.

use super::*;
use crate::knowledge::Retention;

/// Opens a knowledge base that keeps no more of its log than it must.
fn greedy(dir: &Path) -> KnowledgeBase {
    KnowledgeBase::open(Settings {
        disk_free_bytes_min: 0,
        retention: Retention {
            bytes_max: Some(1),
            revision_count_min: 2,
            waits_for_backups: true,
            ..Retention::default()
        },
        ..Settings::new(dir)
    })
    .unwrap()
}

/// Commits until the log is compacted as far as a revision.
fn compact_to(base: &KnowledgeBase, revision: u64) {
    while base.earliest_revision() < revision {
        insert(base, [base.revision() + 1]);
    }
}

#[test]
fn records_after_the_revision_of_a_first_backup_stay_while_it_is_made() {
    for is_whole in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let base = greedy(&folder.path().join("data"));
        let place = Place::open(folder.path().join("backups").to_str().unwrap()).unwrap();
        insert(&base, [1]);
        let backups = Backups::new(base.clone(), place);
        backups.tell_none();
        let mut watch = |_: Progress| {
            for _ in 0..20 {
                insert(&base, [base.revision() + 1]);
            }
            compact_to(&base, 1);
            is_whole
        };
        let made = backups.create(&mut watch);
        assert_eq!(made.is_ok(), is_whole, "{made:?}");
        // One that was given up is none that failed.
        assert_eq!(backups.told().failure_count, 0);
        if is_whole {
            assert_eq!((made.unwrap().revision, base.earliest_revision()), (1, 1));
            let next = backups.create(&mut always).unwrap();
            assert_eq!(next.backup.unwrap().first_revision, 2);
        } else {
            // There is none: nothing waits for the next one.
            compact_to(&base, 2);
        }
        base.close();
    }
}

#[test]
fn backups_of_another_history_let_no_record_go() {
    let (folder, base, place) = beside();
    for number in 1..=9 {
        insert(&base, [number]);
    }
    create(&base, &place, &mut always).unwrap();
    let newest = list(&place).unwrap().pop().unwrap();
    // The one that they are of, also where it went on.
    insert(&base, [10]);
    let backups = Backups::new(base.clone(), place.clone());
    assert!(backups.tell(&newest).unwrap());
    assert_eq!(backups.told().revision, 9);
    base.close();
    // A log that cannot be read is not another one.
    let told = backups.tell(&newest);
    assert!(matches!(told, Err(LogError::Unavailable)), "{told:?}");
    for revision in [3, 12] {
        let dir = folder.path().join(format!("earlier {revision}"));
        restore(&place, &dir, Until::Revision(3), &mut always).unwrap();
        let base = open(&dir);
        while base.revision() < revision {
            insert(&base, [20 + base.revision()]);
        }
        let backups = Backups::new(base.clone(), place.clone());
        assert!(!backups.tell(&newest).unwrap(), "{revision}");
        assert_eq!(backups.told().revision, 0);
        base.close();
    }
}

/// Commits records that make several files, beside those of the quads of 1.
fn insert_files(base: &KnowledgeBase, count: u64) {
    for number in 0..count {
        let mut batch = Batch::default();
        let text: String = (0..500).map(|_| getrandom::u64().unwrap().to_string()).collect();
        for subject in [1, 2] {
            let mut quad = quad(subject, 0);
            quad.object = Literal::from(format!("{number} {text}")).into();
            batch.insert(quad.as_ref());
        }
        commit(base, move |draft| draft.apply(&batch));
    }
}

/// The first record after which a backup tells how far it is.
const FIRST_LOOK: u64 = 256;

#[test]
fn a_backup_goes_on_when_the_log_is_compacted_and_begins_anew_when_something_is_erased() {
    let count = FIRST_LOOK + 44;
    for is_erasure in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let base = greedy(&folder.path().join("data"));
        let place = Place::open(folder.path().join("backups").to_str().unwrap()).unwrap();
        insert_files(&base, count);
        let backups = Backups::new(base.clone(), place.clone());
        let mut looks = 0;
        let mut watch = |progress: Progress| {
            looks += 1;
            if progress.revision > FIRST_LOOK || (is_erasure && looks > 1) {
                return true;
            }
            if is_erasure {
                assert_eq!(erase(&base, 1).quads_removed, count);
            } else {
                backups.tell_none();
                compact_to(&base, count);
            }
            true
        };
        let made = backups.create(&mut watch).unwrap().backup.unwrap();
        assert!(looks > 1 && made.files.len() > 10, "{looks}");
        let expected = if is_erasure {
            // The last one is the erasure's own.
            (count + 1, count)
        } else {
            (count, 2 * count)
        };
        assert_eq!((made.head.revision, made.quad_count), expected);
        let verified = verify(&place, &mut always).unwrap();
        assert_eq!((verified.record_count, verified.faults), (expected.0, vec![]));
        let files = fs::read_dir(folder.path().join("backups/records"))
            .unwrap()
            .count();
        assert_eq!(files, made.files.len(), "what was read before is still there");
        base.close();
    }
}

#[test]
fn what_is_erased_while_a_manifest_is_due_is_in_no_backup() {
    let (folder, base, place) = beside();
    for number in 1..=3 {
        insert(&base, [number]);
    }
    let mut erased = None;
    let mut looks = 0;
    let mut watch = |progress: Progress| {
        // After all records, and while the graph is hashed.
        looks += u64::from(progress.revision == progress.last_revision);
        if looks == 2 && erased.is_none() {
            erased = Some(erase(&base, 2));
        }
        true
    };
    let made = create(&base, &place, &mut watch).unwrap().backup.unwrap();
    assert_eq!((made.head.revision, made.quad_count), (4, 2));
    fs::write(folder.path().join("backups/records/cut-off"), b"a part").unwrap();
    let held = holding(&place, &erased.unwrap().mentions).unwrap();
    // Of the log it is known that it had it.
    assert_eq!(held.possible.len() + held.sure.len(), 1);
    assert_eq!(held.left_over, ["records/cut-off"]);
    base.close();
}
