//! Erasure: what is erased is nowhere any more, and all else is as it was.

use std::io::Read as _;

use oxigraph::io::{RdfFormat, RdfParser};

use super::*;
use crate::log::Change;

const SECRET: &str = "https://w3id.org/dossier/e/somebody";
/// What only the qualifiers of statements about it say.
const QUALIFIER: &str = "where they live";
/// The beginning of a zstd frame (RFC 8878, section 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

fn parse(text: &str) -> Vec<Quad> {
    let prefixes = "@prefix d: <https://w3id.org/dossier/ns#> . @prefix e: <https://w3id.org/dossier/e/> .
        @prefix s: <https://w3id.org/dossier/s/> . @prefix g: <https://w3id.org/dossier/g/> .
        @prefix src: <https://w3id.org/dossier/src/> . @prefix prov: <http://www.w3.org/ns/prov#> .
        @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . ";
    RdfParser::from_format(RdfFormat::TriG)
        .for_slice(format!("{prefixes}{text}").as_bytes())
        .map(|quad| quad.unwrap_or_else(|error| panic!("{text}: {error}")))
        .collect()
}

fn statement(id: &str, triple: [&str; 3], more: &str) -> String {
    let [subject, predicate, object] = triple;
    format!(
        "g:statements {{ s:{id} rdf:subject {subject} ; rdf:predicate {predicate} ; rdf:object {object} ; d:stance d:Asserted ;
        d:standing d:Accepted ; d:basis d:Stated ; prov:wasDerivedFrom src:a {more} }} "
    )
}

fn changing(remove: &str, insert: &str) -> CommitRequest<String> {
    let mut batch = Batch::default();
    for quad in parse(remove) {
        batch.remove(quad.as_ref());
    }
    for quad in parse(insert) {
        batch.insert(quad.as_ref());
    }
    planning(move |draft| draft.apply(&batch))
}

fn erase(base: &KnowledgeBase, validate_only: bool) -> Result<Erased, EraseError> {
    runtime().block_on(base.erase(EraseRequest {
        entity: NamedNode::new_unchecked(SECRET),
        author: "somebody else".to_owned(),
        message: "by request".to_owned(),
        validate_only,
        witness: None,
    }))
}

/// A base with the entity in every place; returns how many of its quads mention it or a statement about it.
fn filled(dir: &TempDir) -> (KnowledgeBase, u64) {
    let base = open(dir);
    let about = statement(
        "1",
        ["e:somebody", "d:p", "e:b"],
        &format!("; d:locator \"{QUALIFIER}\""),
    ) + &statement("2", ["e:b", "d:p", "e:somebody"], "");
    for (remove, insert) in [
        (
            "",
            "e:a d:p e:b , 1 . e:somebody d:p 1 . e:a d:q e:somebody ; e:somebody 2 .",
        ),
        (
            "e:somebody d:p 1 .",
            "e:a d:q <<( e:somebody d:p 3 )>> . e:somebody { e:a d:p 4 }",
        ),
        ("", &about),
        // It is about it in the log only.
        (
            "",
            &statement(
                "3",
                ["e:somebody", "d:r", "e:b"],
                &format!("; d:locator \"{QUALIFIER} now\""),
            ),
        ),
        (
            "g:statements { s:3 rdf:subject e:somebody }",
            "g:statements { s:3 rdf:subject e:c }",
        ),
        ("", &statement("4", ["e:a", "d:r", "e:b"], "")),
    ] {
        commit(&base, changing(remove, insert)).unwrap();
    }
    let view = base.read(&Access::everything());
    let marks = [SECRET, "/s/1>", "/s/2>", "/s/3>"];
    let quads = contents(&view.snapshot);
    let about = quads
        .iter()
        .filter(|quad| !quad.starts_with("graph ") && marks.iter().any(|mark| quad.contains(mark)));
    // What follows from statement 3 names neither.
    let count = about.count() as u64 + 2;
    (base, count)
}

/// Returns the files that have a text, as it is or compressed.
fn files_with(dir: &TempDir, text: &str) -> Vec<String> {
    let has = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let has_packed = |bytes: &[u8]| {
        let begins = bytes
            .windows(4)
            .enumerate()
            .filter(|(_, window)| *window == ZSTD_MAGIC);
        begins.into_iter().any(|(at, _)| {
            let mut unpacked = Vec::new();
            // What follows the frame is no frame: an error, after all of it.
            if let Ok(mut decoder) = zstd::Decoder::new(&bytes[at..]) {
                let _ = decoder.read_to_end(&mut unpacked);
            }
            has(&unpacked)
        })
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let bytes = fs::read(entry.path()).unwrap();
        if has(&bytes) || has_packed(&bytes) {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_erased_is_in_no_file_and_all_else_is_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (base, count) = filled(&dir);
    let before = contents(&base.read(&Access::everything()).snapshot);
    base.close();
    // Else nothing would be proved.
    for text in [SECRET, QUALIFIER] {
        assert_eq!(files_with(&dir, text), ["log.redb", "snapshot"]);
    }
    let base = open(&dir);
    let digest = base.log().header(6).unwrap().digest;
    let erased = erase(&base, false).unwrap();
    assert_eq!((erased.revision, erased.statement_count), (7, 3));
    assert_eq!(erased.quads_removed, count);
    // All but the last, and the commit that removed it.
    assert_eq!((erased.record_count, erased.naming_header_count), (6, 0));
    assert!(erased.log_bytes > 0 && erased.log_bytes_before > 0);
    for is_first in [true, false] {
        let base = if is_first { base.clone() } else { open(&dir) };
        let after = contents(&base.read(&Access::everything()).snapshot);
        assert!(after.iter().all(|quad| before.contains(quad)), "{after:#?}");
        assert!(
            !after
                .iter()
                .any(|quad| quad.contains("somebody") || quad.contains(QUALIFIER))
        );
        let left = ["<https://w3id.org/dossier/s/4>", "<https://w3id.org/dossier/e/a>"];
        assert!(
            left.iter()
                .all(|left| after.iter().any(|quad| quad.starts_with(left)))
        );
        assert!(
            base.read(&Access::everything()).snapshot.iri_id(SECRET).is_none(),
            "it is in the dictionary"
        );
        let summary = base.verify().unwrap();
        assert_eq!(summary.redacted_count, 6);
        assert_eq!(
            summary.quads_inserted - summary.quads_removed,
            base.read(&Access::everything()).snapshot.quad_count()
        );
        assert_eq!(base.log().header(6).unwrap().digest, digest);
        base.close();
        for text in [SECRET, QUALIFIER] {
            assert!(files_with(&dir, text).is_empty(), "{:?}", files_with(&dir, text));
        }
    }
    let rebuilt = rebuild(&settings(&dir), true).unwrap();
    assert_eq!(rebuilt.difference_count, 0, "{:?}", rebuilt.differences);
    // Again: there is nothing more.
    let base = open(&dir);
    let again = erase(&base, false).unwrap();
    assert_eq!(
        (again.revision, again.quads_removed, again.record_count),
        (7, 0, 0)
    );
    // And it may come again.
    commit(&base, changing("", "e:somebody d:p 5 .")).unwrap();
    base.close();
    assert_eq!(files_with(&dir, SECRET), ["log.redb", "snapshot"]);
}

#[test]
fn what_would_be_erased_is_counted_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (base, count) = filled(&dir);
    let before = contents(&base.read(&Access::everything()).snapshot);
    let would = erase(&base, true).unwrap();
    assert_eq!(
        (would.revision, would.quads_removed, would.statement_count),
        (6, count, 3)
    );
    assert_eq!((would.record_count, would.log_bytes), (5, 0));
    assert_eq!(contents(&base.read(&Access::everything()).snapshot), before);
    assert_eq!(base.verify().unwrap().redacted_count, 0);
}

#[test]
fn it_goes_from_a_compacted_log_too_and_from_what_is_kept_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    filled(&dir).0.close();
    crate::knowledge::compact(&settings(&dir), 2).unwrap().unwrap();
    let base = open(&dir);
    let records = |base: &KnowledgeBase| {
        let records = base.log().records().unwrap();
        let graph = records.base().unwrap().unwrap().graph;
        let later =
            (records.earliest() + 1..=base.revision()).flat_map(|revision| records.get(revision).unwrap().1);
        let all: Vec<Change> = graph.chain(later).map(Result::unwrap).collect();
        format!("{all:?}")
    };
    assert!(records(&base).contains(SECRET) && records(&base).contains(QUALIFIER));
    let past = runtime()
        .block_on(base.read_at(&Access::everything(), 5))
        .unwrap();
    assert!(contents(&past.snapshot).iter().any(|quad| quad.contains(SECRET)));
    let erased = erase(&base, false).unwrap();
    assert!(erased.record_count > 1);
    assert!(!records(&base).contains(SECRET) && !records(&base).contains(QUALIFIER));
    let past = runtime()
        .block_on(base.read_at(&Access::everything(), 5))
        .unwrap();
    assert!(!contents(&past.snapshot).iter().any(|quad| quad.contains(SECRET)));
    assert!(base.log().erasure_count() > 0);
    base.close();
    for text in [SECRET, QUALIFIER] {
        assert!(files_with(&dir, text).is_empty(), "{:?}", files_with(&dir, text));
    }
}

#[test]
fn commits_go_on_while_something_is_erased() {
    let dir = tempfile::tempdir().unwrap();
    let (base, _) = filled(&dir);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 0;
            while !is_done.load(Ordering::SeqCst) {
                number += 1;
                commit(&base, inserting([number])).unwrap();
            }
            number
        });
        for _ in 0..3 {
            erase(&base, false).unwrap();
        }
        is_done.store(true, Ordering::SeqCst);
        let written = writer.join().unwrap();
        let view = base.read(&Access::everything());
        for number in 1..=written {
            assert!(
                view.snapshot.iri_id(node(number).as_str()).is_some(),
                "commit {number} is lost"
            );
        }
    });
    let expected = contents(&base.read(&Access::everything()).snapshot);
    base.close();
    fs::remove_file(dir.path().join("snapshot")).unwrap();
    let base = open(&dir);
    assert_eq!(contents(&base.read(&Access::everything()).snapshot), expected);
}

#[test]
fn a_source_goes_only_if_no_statement_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    let text = statement("1", ["e:a", "d:p", "e:b"], "").replace("src:a", "e:somebody");
    commit(&base, changing("", &text)).unwrap();
    let error = erase(&base, false).unwrap_err();
    assert!(
        matches!(error, EraseError::Commit(CommitError::Model(_))),
        "{error}"
    );
    assert_eq!(base.revision(), 1);
    commit(
        &base,
        changing("", "g:statements { s:1 prov:wasDerivedFrom src:b }"),
    )
    .unwrap();
    erase(&base, false).unwrap();
    let left = contents(&base.read(&Access::everything()).snapshot);
    assert!(!left.iter().any(|quad| quad.contains(SECRET)));
    assert!(left.iter().any(|quad| quad.contains("/s/1>")));
}

/// A kill after the log was written anew, and before the snapshot file was, leaves the old one beside it.
#[test]
fn a_snapshot_file_from_before_brings_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    let (base, _) = filled(&dir);
    base.close();
    let file = dir.path().join("snapshot");
    let before = fs::read(&file).unwrap();
    let base = open(&dir);
    erase(&base, false).unwrap();
    let after = contents(&base.read(&Access::everything()).snapshot);
    base.close();
    fs::write(&file, before).unwrap();
    let base = open(&dir);
    assert_eq!(contents(&base.read(&Access::everything()).snapshot), after);
}

#[test]
fn headers_that_name_it_are_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    let naming = CommitRequest {
        message: format!("all about {SECRET}"),
        ..changing("", "e:somebody d:p 1 .")
    };
    commit(&base, naming).unwrap();
    commit(&base, inserting([1])).unwrap();
    let erased = erase(&base, false).unwrap();
    assert_eq!((erased.revision, erased.naming_header_count), (3, 1));
    base.close();
    assert_eq!(files_with(&dir, SECRET), ["log.redb"]);
    crate::knowledge::compact(&settings(&dir), 1).unwrap().unwrap();
    assert!(files_with(&dir, SECRET).is_empty());
}

#[test]
fn ids_of_requests_that_name_it_go_with_their_records() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    let named = |id: &str, number| CommitRequest {
        request_id: Some(RequestId {
            id: id.to_owned(),
            fingerprint: [1; 32],
        }),
        ..inserting([number])
    };
    commit(&base, named(&format!("about {SECRET}"), 1)).unwrap();
    // One that changes nothing.
    commit(&base, named(&format!("again about {SECRET}"), 1)).unwrap();
    let other = commit(&base, named("other", 2)).unwrap();
    // Of another entity, whose name is longer.
    let longer = format!("about {SECRET}-else");
    let of_longer = commit(&base, named(&longer, 3)).unwrap();
    commit(&base, changing("", "e:somebody d:p 1 .")).unwrap();
    // That of the longer name has the shorter one.
    assert_eq!(erase(&base, false).unwrap().naming_header_count, 2);
    base.close();
    crate::knowledge::compact(&settings(&dir), 0).unwrap().unwrap();
    // The id has come to be kept without its record.
    assert_eq!(files_with(&dir, SECRET), ["log.redb"]);
    let base = open(&dir);
    assert_eq!(erase(&base, false).unwrap().naming_header_count, 0);
    assert_eq!(commit(&base, named("other", 2)).unwrap(), other);
    assert_eq!(commit(&base, named(&longer, 3)).unwrap(), of_longer);
    base.close();
    assert!(files_with(&dir, &format!("again about {SECRET}")).is_empty());
    // Nothing of its length: what is left is the longer name.
    let log = fs::read(dir.path().join("log.redb")).unwrap();
    let mut found = log.windows(SECRET.len() + 1);
    assert!(found.all(|window| !window.starts_with(SECRET.as_bytes()) || window.ends_with(b"-")));
}
