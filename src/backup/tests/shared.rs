//! Tests of a folder that two servers have by mistake.

use super::*;

/// Two knowledge bases that have one folder by mistake.
#[test]
fn a_folder_is_of_one_knowledge_base_and_of_one_backup_at_a_time() {
    let (_folders, one, place) = beside();
    let (_folder, other, _) = beside();
    for base in [&one, &other] {
        insert(base, 1..3);
    }
    let made = create(&one, &place, &mut |_| {
        let second = create(&other, &place, &mut always);
        assert!(matches!(second, Err(BackupError::Overtaken)), "{second:?}");
        true
    });
    assert_eq!(made.unwrap().revision, 1);
    assert_eq!(verify(&place, &mut always).unwrap().faults, []);
    // The lock went with the backup; whose the folder is, is known.
    let again = create(&other, &place, &mut always);
    assert!(
        matches!(again, Err(BackupError::OtherHistory { revision: 1 })),
        "{again:?}"
    );
    insert(&one, 3..4);
    assert_eq!(create(&one, &place, &mut always).unwrap().revision, 2);
}
