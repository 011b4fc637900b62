//! Flips bits of the files of a knowledge base: each flip is found and named, or changes nothing.

use std::{fs, path::Path};

use dossier::{
    graph::{GraphPattern, Pattern},
    knowledge::{KnowledgeBase, View, compact},
    model::access::Access,
};
use oxigraph::model::Quad;
use tempfile::TempDir;

use super::{Random, inserting, settings};

/// Flips in each file; `DOSSIER_BIT_FLIPS=1000` is the long form.
const FLIPS: &str = "DOSSIER_BIT_FLIPS";
const FLIP_COUNT: u64 = 60;
const COMMIT_COUNT: u64 = 200;

#[test]
fn a_flipped_bit_is_found_or_changes_nothing() {
    flip(|_| {});
}

/// Most of the log is the graph as it was, then.
#[test]
fn a_flipped_bit_of_a_compacted_log_is_found_or_changes_nothing() {
    flip(|whole| {
        let compacted = compact(&settings(whole.as_os_str()), 10).unwrap().unwrap();
        assert_eq!(compacted.earliest, COMMIT_COUNT - 10);
    });
}

fn flip(prepare: impl FnOnce(&Path)) {
    let folder = TempDir::new().unwrap();
    let whole = folder.path().join("whole");
    let expected = make(&whole);
    prepare(&whole);
    let flips = std::env::var(FLIPS).map_or(FLIP_COUNT, |flips| flips.parse().unwrap());
    let seed = getrandom::u64().unwrap();
    let mut random = Random(seed);
    let mut refused = Vec::new();
    for file in ["log.redb", "snapshot", "high-water"] {
        for flip in 0..flips {
            let copy = TempDir::new().unwrap();
            for entry in fs::read_dir(&whole).unwrap() {
                let path = entry.unwrap().path();
                fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
            }
            let path = copy.path().join(file);
            let mut bytes = fs::read(&path).unwrap();
            let at = random.below(bytes.len() as u64);
            let bit = random.below(8);
            bytes[usize::try_from(at).unwrap()] ^= 1 << bit;
            fs::write(&path, bytes).unwrap();
            let context = format!("seed {seed}, flip {flip}: bit {bit} of byte {at} of {file}");
            match read(copy.path(), &context) {
                Ok(found) => assert!(found == expected, "{context}: another graph is served"),
                // A file that follows from the log is made anew.
                Err(error) => {
                    assert_ne!(file, "snapshot", "{context}: {error}");
                    assert!(error.len() > 20, "{context}: {error}");
                    refused.push(file);
                }
            }
        }
    }
    // Free pages of the log are of no matter, and the mark of the high water is there twice.
    assert!(refused.contains(&"log.redb"), "{refused:?}");
    println!(
        "3 files, {flips} flips each: {} starts refused, no other graph served",
        refused.len()
    );
}

/// Makes a knowledge base of some commits, with all its files, and returns its graph.
fn make(folder: &Path) -> (u64, Vec<Quad>) {
    let base = KnowledgeBase::open(settings(folder.as_os_str())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for number in 0..COMMIT_COUNT {
        runtime.block_on(base.commit(inserting(number))).unwrap();
    }
    base.close();
    assert!(folder.join("snapshot").exists());
    read(folder, "unharmed").unwrap()
}

/// Opens a knowledge base, reads all of it and verifies its log, on a thread whose panic is a failure.
fn read(folder: &Path, context: &str) -> Result<(u64, Vec<Quad>), String> {
    let folder = folder.to_owned();
    let read = std::thread::spawn(move || {
        let base = KnowledgeBase::open(settings(folder.as_os_str())).map_err(|error| error.to_string())?;
        let verified = base.verify().map_err(|error| error.to_string());
        let View {
            revision, snapshot, ..
        } = base.read(&Access::everything());
        let quads = snapshot.quads(Pattern::all(GraphPattern::Any));
        let mut quads: Vec<_> = quads.map(|quad| snapshot.quad(quad)).collect();
        quads.sort_by_cached_key(ToString::to_string);
        base.close();
        verified.map(|_| (revision, quads))
    });
    read.join().unwrap_or_else(|_| panic!("{context}: a panic"))
}
