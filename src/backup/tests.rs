//! Tests of backups in a folder; `store` has those in an object store, `shared` those in a folder of two servers.

mod answers;
mod formats;
mod long;
mod retention;
mod shared;
mod store;

use std::{collections::BTreeMap, fs, path::Path};

use oxigraph::model::{GraphName, Literal, NamedNode, NamedOrBlankNode, Quad};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{graph_hash::GraphHash, *};
use crate::{
    graph::{Batch, Draft, GraphPattern, Pattern, Snapshot},
    knowledge::{CommitRequest, EraseRequest, Erased, Settings, View, compact},
    model::access::Access,
};

fn open(dir: &Path) -> KnowledgeBase {
    KnowledgeBase::open(Settings {
        disk_free_bytes_min: 0,
        ..Settings::new(dir)
    })
    .unwrap()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap()
}

fn commit(base: &KnowledgeBase, plan: impl FnOnce(&mut Draft) + Send + 'static) {
    let request = CommitRequest::<String>::new(Access::everything(), move |draft| {
        plan(draft);
        Ok(())
    });
    runtime().block_on(base.commit(request)).unwrap();
}

fn quad(number: u64, graph: u64) -> Quad {
    let node = |number: u64| NamedNode::new_unchecked(format!("http://example.com/{number}"));
    let graph = match graph {
        0 => GraphName::DefaultGraph,
        number => node(1_000 + number).into(),
    };
    Quad::new(node(number), node(0), Literal::from(number.to_string()), graph)
}

fn insert(base: &KnowledgeBase, numbers: impl IntoIterator<Item = u64>) {
    let mut batch = Batch::default();
    for number in numbers {
        batch.insert(quad(number, 0).as_ref());
    }
    commit(base, move |draft| draft.apply(&batch));
}

/// Inserts quads in a request that has a name, or asks again what it answered; returns the revision.
fn named(base: &KnowledgeBase, id: &str, numbers: impl IntoIterator<Item = u64>) -> u64 {
    let mut batch = Batch::default();
    for number in numbers {
        batch.insert(quad(number, 0).as_ref());
    }
    let mut request = CommitRequest::<String>::new(Access::everything(), move |draft| {
        draft.apply(&batch);
        Ok(())
    });
    request.request_id = Some(crate::log::RequestId {
        id: id.to_owned(),
        fingerprint: [7; 32],
    });
    runtime().block_on(base.commit(request)).unwrap().revision
}

fn erase(base: &KnowledgeBase, number: u64) -> Erased {
    let request = EraseRequest {
        entity: NamedNode::new_unchecked(format!("http://example.com/{number}")),
        author: String::new(),
        message: String::new(),
        validate_only: false,
        witness: None,
    };
    runtime().block_on(base.erase(request)).unwrap()
}

/// All that a snapshot says, sorted.
fn contents(snapshot: &Snapshot) -> Vec<String> {
    let quads = snapshot.quads(Pattern::all(GraphPattern::Any));
    let quads = quads.map(|quad| snapshot.quad(quad).to_string());
    let graphs = snapshot
        .named_graphs()
        .map(|graph| format!("graph {}", snapshot.term(graph)));
    let mut all: Vec<_> = quads.chain(graphs).collect();
    all.sort();
    all
}

fn always(_: Progress) -> bool {
    true
}

/// A knowledge base of some commits, and a place beside it.
fn beside() -> (TempDir, KnowledgeBase, Place) {
    let folder = tempfile::tempdir().unwrap();
    let base = open(&folder.path().join("data"));
    let place = Place::open(folder.path().join("backups").to_str().unwrap()).unwrap();
    (folder, base, place)
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if !path.ends_with("lock") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u64),
    Remove(u64, u64),
    Drop(u64),
    Create(u64),
    Restart,
    Backup,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..20_u64, 0..4_u64).prop_map(|(number, graph)| Step::Insert(number, graph)),
        3 => (0..20_u64, 0..4_u64).prop_map(|(number, graph)| Step::Remove(number, graph)),
        1 => (1..4_u64).prop_map(Step::Drop),
        1 => (1..4_u64).prop_map(Step::Create),
        1 => Just(Step::Restart),
        2 => Just(Step::Backup),
    ]
}

fn change(base: &KnowledgeBase, step: &Step) {
    let mut batch = Batch::default();
    let graph = |number| {
        NamedOrBlankNode::from(NamedNode::new_unchecked(format!(
            "http://example.com/{}",
            1_000 + number
        )))
    };
    match *step {
        Step::Insert(number, graph) => batch.insert(quad(number, graph).as_ref()),
        Step::Remove(number, graph) => batch.remove(quad(number, graph).as_ref()),
        Step::Create(number) => batch.create_graph(graph(number).as_ref()),
        Step::Drop(number) => {
            for of_graph in 0..20 {
                batch.remove(quad(of_graph, number).as_ref());
            }
            batch.drop_graph(graph(number).as_ref());
        }
        Step::Restart | Step::Backup => return,
    }
    commit(base, move |draft| draft.apply(&batch));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn every_revision_is_restored_as_it_was(steps in prop::collection::vec(step(), 1..25)) {
        let (folder, mut base, place) = beside();
        let mut expected = BTreeMap::new();
        for step in steps.iter().chain([&Step::Insert(99, 0), &Step::Backup]) {
            match step {
                Step::Restart => {
                    base.close();
                    base = open(&folder.path().join("data"));
                }
                Step::Backup if base.revision() > 0 => {
                    create(&base, &place, &mut always).unwrap();
                }
                step => change(&base, step),
            }
            let View { revision, snapshot, .. } = base.read(&Access::everything());
            if revision > 0 {
                expected.entry(revision).or_insert_with(|| contents(&snapshot));
            }
        }
        let verified = verify(&place, &mut always).unwrap();
        prop_assert_eq!(verified.faults, []);
        prop_assert_eq!(verified.record_count, base.revision());
        base.close();
        for (revision, expected) in expected {
            let dir = folder.path().join(format!("restored {revision}"));
            let restored = restore(&place, &dir, Until::Revision(revision), &mut always).unwrap();
            prop_assert_eq!(restored.revision, revision);
            let base = open(&dir);
            prop_assert_eq!(base.revision(), revision);
            prop_assert_eq!(contents(&base.read(&Access::everything()).snapshot), expected);
            base.close();
        }
    }
}

#[test]
fn a_restored_log_goes_on_and_is_backed_up_again() {
    let (folder, base, place) = beside();
    for number in 1..=5 {
        insert(&base, [number]);
    }
    let made = create(&base, &place, &mut always).unwrap();
    assert_eq!((made.revision, made.backup.unwrap().first_revision), (5, 1));
    // Nothing new is no backup.
    assert_eq!(create(&base, &place, &mut always).unwrap().backup, None);
    assert_eq!(named(&base, "once", [50]), 6);
    create(&base, &place, &mut always).unwrap();
    base.close();
    let dir = folder.path().join("restored");
    restore(&place, &dir, Until::End, &mut always).unwrap();
    let base = open(&dir);
    // Done once, before the backup.
    assert_eq!(named(&base, "once", [50]), 6);
    insert(&base, [8]);
    base.verify().unwrap();
    let made = create(&base, &place, &mut always).unwrap().backup.unwrap();
    assert_eq!((made.first_revision, made.head.revision), (7, 7));
    assert_eq!(verify(&place, &mut always).unwrap().faults, []);
    base.close();
}

#[test]
fn another_history_is_not_mixed_in() {
    let (folder, base, place) = beside();
    for number in 1..=3 {
        insert(&base, [number]);
    }
    create(&base, &place, &mut always).unwrap();
    base.close();
    let dir = folder.path().join("earlier");
    restore(&place, &dir, Until::Revision(2), &mut always).unwrap();
    let base = open(&dir);
    let other = |base: &KnowledgeBase| {
        let made = create(base, &place, &mut always);
        assert!(
            matches!(made, Err(BackupError::OtherHistory { revision: 3 })),
            "{made:?}"
        );
    };
    other(&base);
    insert(&base, [4]);
    other(&base);
    assert_eq!(list(&place).unwrap().len(), 1);
    base.close();
}

#[test]
fn a_time_is_restored() {
    let (folder, base, place) = beside();
    for number in 1..=4 {
        insert(&base, [number]);
    }
    create(&base, &place, &mut always).unwrap();
    let times: Vec<_> = (1..=4)
        .map(|revision| base.log().header(revision).unwrap().time_us)
        .collect();
    base.close();
    for (number, time_us) in times.iter().enumerate() {
        // Commits of one microsecond are one time.
        let last = times.iter().rposition(|time| time == time_us).unwrap() as u64 + 1;
        let dir = folder.path().join(format!("at {number}"));
        let restored = restore(&place, &dir, Until::Time(*time_us), &mut always).unwrap();
        assert_eq!((restored.revision, restored.time_us), (last, *time_us));
    }
    let dir = folder.path().join("before");
    let restored = restore(&place, &dir, Until::Time(times[0] - 1), &mut always);
    assert!(matches!(restored, Err(BackupError::NothingThen)), "{restored:?}");
    // Nothing is left in the way of the next one.
    restore(&place, &dir, Until::End, &mut always).unwrap();
}

#[test]
fn what_is_not_there_is_not_restored() {
    let (folder, base, place) = beside();
    let dir = folder.path().join("restored");
    let restored = restore(&place, &dir, Until::End, &mut always);
    assert!(matches!(restored, Err(BackupError::None)), "{restored:?}");
    assert!(matches!(verify(&place, &mut always), Err(BackupError::None)));
    insert(&base, [1]);
    create(&base, &place, &mut always).unwrap();
    base.close();
    for revision in [0, 2] {
        let restored = restore(&place, &dir, Until::Revision(revision), &mut always);
        assert!(
            matches!(restored, Err(BackupError::NotCovered { newest: 1, .. })),
            "{restored:?}"
        );
    }
    assert!(!dir.exists());
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("mine"), "precious").unwrap();
    let restored = restore(&place, &dir, Until::End, &mut always);
    assert!(
        matches!(&restored, Err(BackupError::NotEmpty { found, .. }) if found == "mine"),
        "{restored:?}"
    );
    assert_eq!(files(&dir).len(), 1);
    // A knowledge base is never overwritten, also not by itself.
    let data = folder.path().join("data");
    let restored = restore(&place, &data, Until::End, &mut always);
    assert!(
        matches!(restored, Err(BackupError::NotEmpty { .. })),
        "{restored:?}"
    );
}

#[test]
fn a_directory_in_use_is_left_alone() {
    let (folder, base, place) = beside();
    insert(&base, [1]);
    create(&base, &place, &mut always).unwrap();
    let dir = folder.path().join("data");
    let restored = restore(&place, &dir, Until::End, &mut always);
    assert!(
        matches!(restored, Err(BackupError::NotEmpty { .. })),
        "{restored:?}"
    );
    let dir = folder.path().join("taken");
    fs::create_dir(&dir).unwrap();
    let _taken = crate::log::lock(&dir).unwrap();
    let restored = restore(&place, &dir, Until::End, &mut always);
    assert!(
        matches!(restored, Err(BackupError::Log(LogError::InUse { .. }))),
        "{restored:?}"
    );
}

#[test]
fn a_backup_that_was_cut_off_leaves_those_before() {
    let (folder, base, place) = beside();
    insert(&base, 1..=100);
    create(&base, &place, &mut always).unwrap();
    let before = fs::read(folder.path().join("backups/manifest.json")).unwrap();
    insert(&base, 101..=200);
    let made = create(&base, &place, &mut |_| false);
    assert!(matches!(made, Err(BackupError::Over)), "{made:?}");
    // As if it had come further.
    for name in ["00000000000000000002-00000000000000000002.000000", "x.unfinished"] {
        fs::write(folder.path().join("backups/records").join(name), "half").unwrap();
    }
    assert_eq!(
        fs::read(folder.path().join("backups/manifest.json")).unwrap(),
        before
    );
    assert_eq!(verify(&place, &mut always).unwrap().faults, []);
    let dir = folder.path().join("restored");
    assert_eq!(
        restore(&place, &dir, Until::End, &mut always).unwrap().revision,
        1
    );
    create(&base, &place, &mut always).unwrap();
    assert_eq!(verify(&place, &mut always).unwrap().record_count, 2);
    assert_eq!(files(&folder.path().join("backups")).len(), 3);
}

#[test]
fn a_restore_that_was_cut_off_is_begun_anew() {
    let (folder, base, place) = beside();
    insert(&base, 1..=100);
    create(&base, &place, &mut always).unwrap();
    base.close();
    let whole = folder.path().join("whole");
    restore(&place, &whole, Until::End, &mut always).unwrap();
    // At any point of the way into its place.
    for moved in 0..3 {
        let dir = folder.path().join(format!("cut {moved}"));
        let restoring = dir.join(crate::log::RESTORING);
        fs::create_dir_all(&restoring).unwrap();
        for (number, name) in ["snapshot", "high-water", "log.redb"].into_iter().enumerate() {
            let to = if number < moved { &dir } else { &restoring };
            fs::copy(whole.join(name), to.join(name)).unwrap();
        }
        let opened = KnowledgeBase::open(Settings::new(&dir));
        assert!(
            matches!(
                opened,
                Err(crate::knowledge::OpenError::Log(LogError::RestoreUnfinished))
            ),
            "{moved}"
        );
        let restored = restore(&place, &dir, Until::End, &mut always).unwrap();
        assert_eq!(restored.revision, 1);
        open(&dir).close();
    }
    // All was moved, but what it was moved from is still there.
    fs::create_dir(whole.join(crate::log::RESTORING)).unwrap();
    open(&whole).close();
}

#[test]
fn every_flipped_bit_is_found_and_named() {
    let (folder, base, place) = beside();
    for number in 1..=20 {
        insert(&base, [number]);
        if number % 7 == 0 {
            create(&base, &place, &mut always).unwrap();
        }
    }
    create(&base, &place, &mut always).unwrap();
    base.close();
    let backups = folder.path().join("backups");
    for path in files(&backups) {
        let whole = fs::read(&path).unwrap();
        let name = path.strip_prefix(&backups).unwrap().to_str().unwrap();
        // Of the manifest every byte, as it is no hash that covers a flip of its own.
        let every = if name == "manifest.json" {
            1
        } else {
            whole.len() / 40
        };
        for at in (0..whole.len()).step_by(every.max(1)) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(&path, &flipped).unwrap();
            match verify(&place, &mut always) {
                Ok(verified) => {
                    let named: Vec<_> = verified.faults.iter().map(|fault| fault.file.as_str()).collect();
                    assert_eq!(named, [name], "byte {at}");
                }
                // A flip can make a newer version of the number.
                Err(BackupError::NewerFormat { .. }) => assert_eq!(name, "manifest.json"),
                Err(error) => panic!("byte {at} of {name}: {error}"),
            }
            if at % 16 == 0 || name != "manifest.json" {
                let dir = folder.path().join("never");
                let restored = restore(&place, &dir, Until::End, &mut always);
                assert!(restored.is_err(), "byte {at} of {name}");
                assert!(!dir.join("log.redb").exists(), "byte {at} of {name}");
            }
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let verified = verify(&place, &mut always).unwrap();
        assert_eq!(verified.faults[0].file, name);
        if name != "manifest.json" {
            fs::remove_file(&path).unwrap();
            let verified = verify(&place, &mut always).unwrap();
            assert_eq!(verified.faults[0].what, "it is missing");
        }
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(verify(&place, &mut always).unwrap().faults, []);
}

#[test]
fn all_damaged_files_are_named() {
    let (folder, base, place) = beside();
    for number in 1..=3 {
        insert(&base, [number]);
        create(&base, &place, &mut always).unwrap();
    }
    base.close();
    let records = files(&folder.path().join("backups/records"));
    for path in [&records[0], &records[2]] {
        fs::write(path, "nonsense").unwrap();
    }
    let faults = verify(&place, &mut always).unwrap().faults;
    let named: Vec<_> = faults.iter().map(|fault| fault.file.as_str()).collect();
    assert_eq!(
        named,
        [0, 2].map(|number: usize| format!(
            "records/{}",
            records[number].file_name().unwrap().to_str().unwrap()
        ))
    );
}

#[test]
fn records_of_many_files_come_back() {
    let (folder, base, place) = beside();
    let mut random = 1_u64;
    let mut letter = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from((random >> 33) % 26).unwrap())
    };
    let mut batch = Batch::default();
    for number in 0..40 {
        let text: String = (0..8_000).map(|_| letter()).collect();
        let object = Literal::from(text).into();
        batch.insert(
            Quad {
                object,
                ..quad(number, 0)
            }
            .as_ref(),
        );
    }
    commit(&base, move |draft| draft.apply(&batch));
    insert(&base, [1]);
    let made = create(&base, &place, &mut always).unwrap().backup.unwrap();
    assert!(made.files.len() > 1, "{}", made.bytes());
    assert_eq!(made.files[0].bytes, records::FILE_BYTES as u64);
    let expected = contents(&base.read(&Access::everything()).snapshot);
    base.close();
    let dir = folder.path().join("restored");
    restore(&place, &dir, Until::End, &mut always).unwrap();
    let base = open(&dir);
    assert_eq!(contents(&base.read(&Access::everything()).snapshot), expected);
    base.close();
}

#[test]
fn the_hash_of_a_graph_does_not_depend_on_the_way_to_it() {
    let insert = |number| crate::log::Change::Insert(quad(number, number % 3));
    let remove = |number| crate::log::Change::Remove(quad(number, number % 3));
    let hash = |changes: &[crate::log::Change]| {
        let mut hash = GraphHash::default();
        for change in changes {
            hash.change(change);
        }
        hash
    };
    let one = hash(&[insert(1), insert(2), insert(3), remove(2)]);
    let other = hash(&[insert(3), insert(1)]);
    assert_eq!((one.to_hex(), one.quad_count), (other.to_hex(), 2));
    assert_ne!(one.to_hex(), hash(&[insert(3), insert(2)]).to_hex());
    let hex = one.to_hex();
    assert_eq!(GraphHash::from_hex(&hex, 2, 0).unwrap().to_hex(), hex);
    assert!(GraphHash::from_hex(&hex[1..], 2, 0).is_none());
    assert_eq!(hash(&[insert(1), remove(1)]).to_hex(), "0".repeat(64));
}

#[test]
fn places_are_told_apart() {
    assert!(Place::open("/var/backups").is_ok());
    assert!(Place::open("file:///var/backups").is_ok());
    for text in ["", "file://backups", "ftp://bucket/backups"] {
        assert!(
            matches!(Place::open(text), Err(BackupError::NoPlace(_))),
            "{text}"
        );
    }
}

#[test]
fn a_compacted_log_is_backed_up_from_its_base_on() {
    let (folder, base, place) = beside();
    let data = folder.path().join("data");
    let settings = Settings {
        disk_free_bytes_min: 0,
        ..Settings::new(&data)
    };
    for number in 1..=10 {
        insert(&base, [number]);
    }
    base.close();
    compact(&settings, 4).unwrap().unwrap();
    let base = open(&data);
    assert_eq!(base.earliest_revision(), 6);
    let made = create(&base, &place, &mut always).unwrap().backup.unwrap();
    assert_eq!(
        (made.first_revision, made.head.revision, made.quad_count),
        (6, 10, 10)
    );
    insert(&base, [11]);
    create(&base, &place, &mut always).unwrap();
    let verified = verify(&place, &mut always).unwrap();
    assert_eq!((verified.record_count, verified.faults), (6, vec![]));
    for revision in 6..=11 {
        let dir = folder.path().join(format!("restored {revision}"));
        let restored = restore(&place, &dir, Until::Revision(revision), &mut always).unwrap();
        assert_eq!((restored.revision, restored.quad_count), (revision, revision));
        let base = open(&dir);
        assert_eq!((base.earliest_revision(), base.revision()), (6, revision));
        assert_eq!(base.read(&Access::everything()).snapshot.quad_count(), revision);
        base.verify().unwrap();
        base.close();
    }
    let restored = restore(
        &place,
        &folder.path().join("none"),
        Until::Revision(5),
        &mut always,
    );
    assert!(
        matches!(restored, Err(BackupError::NotCovered { earliest: 6, .. })),
        "{restored:?}"
    );
    // Past the last backup: what came in between is gone.
    for number in 12..=20 {
        insert(&base, [number]);
    }
    base.close();
    compact(&settings, 2).unwrap().unwrap();
    let base = open(&data);
    let made = create(&base, &place, &mut always);
    assert!(
        matches!(
            made,
            Err(BackupError::Log(LogError::Compacted { earliest: 18, .. }))
        ),
        "{made:?}"
    );
    base.close();
}

#[test]
fn backups_do_not_go_on_past_an_erasure() {
    let (folder, base, place) = beside();
    for number in 1..=3 {
        insert(&base, [number]);
    }
    create(&base, &place, &mut always).unwrap();
    erase(&base, 2);
    let made = create(&base, &place, &mut always);
    assert!(matches!(made, Err(BackupError::Erased { .. })), "{made:?}");
    assert_eq!(list(&place).unwrap().len(), 1);
    assert_eq!(verify(&place, &mut always).unwrap().faults, []);
    // Anew, without what was erased.
    let place = Place::open(folder.path().join("anew").to_str().unwrap()).unwrap();
    create(&base, &place, &mut always).unwrap();
    assert_eq!(verify(&place, &mut always).unwrap().faults, []);
    let expected = contents(&base.read(&Access::everything()).snapshot);
    assert_eq!(expected.len(), 2);
    base.close();
    let dir = folder.path().join("restored");
    restore(&place, &dir, Until::End, &mut always).unwrap();
    let base = open(&dir);
    assert_eq!(contents(&base.read(&Access::everything()).snapshot), expected);
    base.verify().unwrap();
    base.close();
}

/// It is in no quad: nothing but its name was there.
#[test]
fn backups_do_not_go_on_past_the_erasure_of_an_empty_graph() {
    let (_folder, base, place) = beside();
    insert(&base, [1]);
    change(&base, &Step::Create(2));
    create(&base, &place, &mut always).unwrap();
    assert_eq!(erase(&base, 1_002).record_count, 2);
    let made = create(&base, &place, &mut always);
    assert!(matches!(made, Err(BackupError::Erased { .. })), "{made:?}");
    base.close();
}
