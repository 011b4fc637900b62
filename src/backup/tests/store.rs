//! Tests of backups in an object store: in one that is in memory, and changes an object only if it is as it was read.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use object_store::memory::InMemory;

use super::*;
use crate::backup::manifest::RECORDS;

fn place() -> Place {
    Place::of(Arc::new(InMemory::new()))
}

/// Commits so much that its backup has some files.
fn insert_much(base: &KnowledgeBase, number: u64) {
    let mut batch = Batch::default();
    for more in 0..4 {
        let mut text = String::new();
        for _ in 0..2_048 {
            text += &getrandom::u64().unwrap().to_string();
        }
        let mut quad = quad(number * 10 + more, 0);
        quad.object = Literal::from(text).into();
        batch.insert(quad.as_ref());
    }
    commit(base, move |draft| draft.apply(&batch));
}

/// Returns the files that no backup names.
fn left_over(place: &Place) -> Vec<String> {
    let named: Vec<_> = list(place)
        .unwrap()
        .into_iter()
        .flat_map(|backup| backup.files)
        .map(|file| file.name)
        .collect();
    let mut there = place.list(RECORDS).unwrap();
    there.retain(|name| !named.contains(name));
    there
}

#[test]
fn backups_in_a_store_are_restored() {
    let (folder, base, _) = beside();
    let place = place();
    assert!(matches!(list(&place), Err(BackupError::None)));
    insert(&base, 1..5);
    create(&base, &place, &mut always).unwrap();
    let earlier = contents(&base.read(&Access::everything()).snapshot);
    insert_much(&base, 7);
    let made = create(&base, &place, &mut always).unwrap();
    assert!(made.backup.unwrap().files.len() > 1);
    assert_eq!(create(&base, &place, &mut always).unwrap().backup, None);
    base.close();
    let verified = verify(&place, &mut always).unwrap();
    assert_eq!((verified.record_count, verified.faults), (2, vec![]));
    let dir = folder.path().join("restored");
    restore(&place, &dir, Until::Revision(1), &mut always).unwrap();
    let base = open(&dir);
    assert_eq!(contents(&base.read(&Access::everything()).snapshot), earlier);
    base.close();
    // What is gone, or another, is found as in a folder.
    let names = place.list(RECORDS).unwrap();
    place.remove(&names[0]).unwrap();
    place.put(&names[1], b"nonsense".to_vec()).unwrap();
    let faults = verify(&place, &mut always).unwrap().faults;
    let files: Vec<_> = faults.iter().map(|fault| fault.file.clone()).collect();
    assert_eq!(files, names[..2]);
}

/// Two knowledge bases that have one place by mistake.
#[test]
fn of_two_backups_at_once_one_stands() {
    let (_folders, one, _) = beside();
    let (_folder, other, _) = beside();
    for base in [&one, &other] {
        insert_much(base, 1);
        insert_much(base, 2);
    }
    // The one that began later is whole first, and clears up what the other has written by then.
    let place = place();
    let mut made = None;
    let overtaken = create(&one, &place, &mut |now| {
        if now.revision == 2 && made.is_none() {
            assert!(!place.list(RECORDS).unwrap().is_empty());
            made = Some(create(&other, &place, &mut always));
        }
        true
    });
    assert!(matches!(overtaken, Err(BackupError::Overtaken)), "{overtaken:?}");
    assert_eq!(made.unwrap().unwrap().revision, 2);
    assert_eq!(verify(&place, &mut always).unwrap().faults, []);
    assert_eq!(left_over(&place), [""; 0]);
    let again = create(&one, &place, &mut always);
    assert!(
        matches!(again, Err(BackupError::OtherHistory { revision: 2 })),
        "{again:?}"
    );

    // The one that began earlier is whole first. The other has seen its files, of which no backup told yet.
    let place = self::place();
    let (begun, has_begun) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let overtaken = thread::scope(|scope| {
        let mut later_channels = Some((begun, may_go));
        let mut later = None;
        let made = create(&one, &place, &mut |now| {
            if now.revision == 2
                && let Some((begun, may_go)) = later_channels.take()
            {
                later = Some(scope.spawn(|| {
                    create(&other, &place, &mut move |now| {
                        if now.revision == 2 {
                            begun.send(()).unwrap();
                            assert!(may_go.recv().is_err());
                        }
                        true
                    })
                }));
                has_begun.recv().unwrap();
            }
            true
        });
        made.unwrap();
        drop(go);
        later.unwrap().join().unwrap()
    });
    assert!(matches!(overtaken, Err(BackupError::Overtaken)), "{overtaken:?}");
    assert_eq!(verify(&place, &mut always).unwrap().faults, []);
    assert_eq!(left_over(&place), [""; 0]);
    for base in [one, other] {
        base.close();
    }
}

#[test]
fn a_backup_that_is_given_up_leaves_nothing() {
    let (_folder, base, _) = beside();
    let place = place();
    insert_much(&base, 1);
    let given_up = create(&base, &place, &mut |_| false);
    assert!(matches!(given_up, Err(BackupError::Over)), "{given_up:?}");
    assert_eq!(place.list(RECORDS).unwrap(), [""; 0]);
    // What was killed has not cleared up.
    place.put("records/1", b"left".to_vec()).unwrap();
    create(&base, &place, &mut always).unwrap();
    assert_eq!(left_over(&place), [""; 0]);
    base.close();
}

#[test]
fn what_is_no_place_is_refused() {
    for (url, why) in [
        ("", "it is empty"),
        ("file://x/y", "three slashes"),
        ("ftp://bucket/secret", "neither a directory nor an object store"),
        ("memory:///secret", "neither a directory nor an object store"),
        (
            "https://example.com/secret",
            "neither a directory nor an object store",
        ),
        ("s3://", "neither a directory nor an object store"),
        ("s3://bucket:port/secret", "it is no URL"),
        (
            "s3://key:secret@bucket/prefix",
            "credentials come from the environment",
        ),
        (
            "gs://secret@bucket/prefix",
            "credentials come from the environment",
        ),
        (
            "abfss://container:secret@account.dfs.core.windows.net/",
            "credentials come from the environment",
        ),
        (
            "s3://bucket/prefix?X-Amz-Credential=secret",
            "credentials come from the environment",
        ),
    ] {
        let error = Place::open(url).unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("secret"), "{url}: {error}");
    }
}
