//! Places of every version that was ever shipped: each is verified and restored, and goes on.
//!
//! They are in `tests/fixtures/backup`, one folder a version, made by the code of their time. A new version needs one more:
//! `DOSSIER_MAKE_FORMAT_FIXTURE=1 cargo test --lib formats` makes it, and never changes one that is there.

use std::{env, path::PathBuf};

use super::{manifest::VERSION, *};

const MAKE: &str = "DOSSIER_MAKE_FORMAT_FIXTURE";
/// The last revision of a fixture; each revision inserts the quad of its number, under that name.
const LAST: u64 = 4;
/// The revision of the base record.
const BASE: u64 = 2;

fn folder(version: u64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/backup/v{version}"))
}

/// Makes a fixture: a log that was compacted, with two backups.
fn make(to: &Path) {
    let data = tempfile::tempdir().unwrap();
    let place = Place::open(to.to_str().unwrap()).unwrap();
    let base = open(data.path());
    assert_eq!(named(&base, "1", [1]), 1);
    // It is there already.
    assert_eq!(named(&base, "nothing", [1]), 1);
    assert_eq!(named(&base, "2", [2]), BASE);
    base.close();
    let settings = Settings {
        disk_free_bytes_min: 0,
        ..Settings::new(data.path())
    };
    compact(&settings, 0).unwrap().unwrap();
    let base = open(data.path());
    for number in BASE + 1..=LAST {
        assert_eq!(named(&base, &number.to_string(), [number]), number);
        create(&base, &place, &mut always).unwrap();
    }
    base.close();
    fs::remove_file(to.join("lock")).unwrap();
}

/// Copies a fixture, so that something may be added.
fn copied(version: u64, to: &Path) -> Place {
    let fixture = folder(version);
    for file in files(&fixture) {
        let copy = to.join(file.strip_prefix(&fixture).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(file, copy).unwrap();
    }
    Place::open(to.to_str().unwrap()).unwrap()
}

fn restored(place: &Place, dir: &Path) -> KnowledgeBase {
    assert_eq!(verify(place, &mut always).unwrap().faults, []);
    restore(place, dir, Until::End, &mut always).unwrap();
    open(dir)
}

fn check(version: u64) {
    let folder = tempfile::tempdir().unwrap();
    let place = copied(version, &folder.path().join("place"));
    let base = restored(&place, &folder.path().join("restored"));
    assert_eq!(base.read(&Access::everything()).snapshot.quad_count(), LAST);
    assert_eq!((base.earliest_revision(), base.revision()), (BASE, LAST));
    for number in BASE..=LAST {
        assert_eq!(named(&base, &number.to_string(), [99]), number);
    }
    if version >= 2 {
        assert_eq!(["1", "nothing"].map(|id| named(&base, id, [99])), [1, 1]);
    }
    // It goes on, and has the answers from then on.
    assert_eq!(named(&base, "nothing, later", [LAST]), LAST);
    insert(&base, [LAST + 1]);
    create(&base, &place, &mut always).unwrap();
    base.close();
    let base = restored(&place, &folder.path().join("later"));
    assert_eq!(named(&base, "nothing, later", [99]), LAST);
    assert_eq!(base.revision(), LAST + 1);
    base.close();
}

#[test]
fn every_version_that_was_ever_shipped_is_restored_and_goes_on() {
    if env::var_os(MAKE).is_some() && !folder(VERSION).exists() {
        make(&folder(VERSION));
    }
    for version in 1..=VERSION {
        assert!(
            folder(version).exists(),
            "version {version} has no fixture: {MAKE} makes one"
        );
        check(version);
    }
}
