//! Data directories of every format that was ever shipped: each opens, has its graph and its history, and goes on.
//!
//! They are in `tests/fixtures/format`, one folder a version, made by the code of their time. A new version needs one more:
//! `DOSSIER_MAKE_FORMAT_FIXTURE=1 cargo test --lib formats` makes it, and never changes one that is there.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::*;
use crate::{
    log::{FORMAT_VERSION, Log},
    model::access::GraphSet,
};

const MAKE: &str = "DOSSIER_MAKE_FORMAT_FIXTURE";
const FILES: [&str; 3] = ["log.redb", "snapshot", "high-water"];
const REFERENCE_DATE: &str = "2019-08-27";
/// What the fixtures were made of, by their messages: what is removed and what is inserted. Terms of every kind, graphs that came and went, statements and what holds by them.
const COMMITS: [(&str, &str, &str); 4] = [
    (
        "terms",
        "",
        "e:a d:p e:b , _:b0 , \"01\"^^xsd:int , \"日本\"@ja-JP , \"tab\\t\\\"quote\\\"\" . e:a d:q <<( e:a d:p e:b )>> . e:gone d:p 1 .
         g:one { e:c d:p 1 } _:g { e:c d:p 2 }",
    ),
    (
        "statement",
        "",
        "g:statements { s:1 rdf:subject e:a ; rdf:predicate d:r ; rdf:object e:d ; d:stance d:Asserted ;
         d:standing d:Accepted ; d:basis d:Stated ; prov:wasDerivedFrom src:a ; d:edtf \"2019-08/..\" }",
    ),
    ("drop", "e:a d:p e:b . e:gone d:p 1 . g:one { e:c d:p 1 }", "e:a d:p \"new\" ."),
    ("last", "", "e:z d:p \"last\" ."),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format")
}

fn settings_in(dir: &Path) -> Settings {
    Settings {
        disk_free_bytes_min: 0,
        reference_date: ReferenceDate::Fixed(REFERENCE_DATE.parse().unwrap()),
        ..Settings::new(dir)
    }
}

fn quads(text: &str) -> Vec<Quad> {
    let prefixes = "@prefix d: <https://w3id.org/dossier/ns#> . @prefix e: <https://w3id.org/dossier/e/> .
        @prefix s: <https://w3id.org/dossier/s/> . @prefix g: <https://w3id.org/dossier/g/> .
        @prefix src: <https://w3id.org/dossier/src/> . @prefix prov: <http://www.w3.org/ns/prov#> .
        @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
        @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . ";
    oxigraph::io::RdfParser::from_format(oxigraph::io::RdfFormat::TriG)
        .for_slice(format!("{prefixes}{text}").as_bytes())
        .map(|quad| quad.unwrap_or_else(|error| panic!("{text}: {error}")))
        .collect()
}

/// Makes the data of a fixture. Its snapshot file is older than its log, so that both are needed.
fn make(dir: &Path) {
    let snapshot = dir.join("snapshot");
    commit_to(dir, 0);
    let older = fs::read(&snapshot).unwrap();
    commit_to(dir, 1);
    let base = KnowledgeBase::open(settings_in(dir)).unwrap();
    assert_eq!(commit(&base, changing_nothing()).unwrap(), NO_CHANGE);
    base.close();
    // From version 2 on: a base record, and payloads from which something was erased.
    crate::knowledge::compact(&settings_in(dir), 2).unwrap().unwrap();
    let base = KnowledgeBase::open(settings_in(dir)).unwrap();
    let erased = runtime().block_on(base.erase(EraseRequest {
        entity: NamedNode::new_unchecked("https://w3id.org/dossier/e/gone"),
        author: String::new(),
        message: String::new(),
        validate_only: false,
        witness: None,
    }));
    assert_eq!(erased.unwrap().record_count, 2);
    base.close();
    fs::write(&snapshot, older).unwrap();
}

/// Commits all but the last, or the last.
fn commit_to(dir: &Path, part: usize) {
    let base = KnowledgeBase::open(settings_in(dir)).unwrap();
    let (first, last) = COMMITS.split_at(COMMITS.len() - 1);
    for &(message, remove, insert) in [first, last][part] {
        let mut batch = Batch::default();
        for quad in quads(remove) {
            batch.remove(quad.as_ref());
        }
        for quad in quads(insert) {
            batch.insert(quad.as_ref());
        }
        if message == "drop" {
            let graph = NamedNode::new_unchecked("https://w3id.org/dossier/g/one");
            batch.drop_graph(graph.as_ref().into());
        }
        let request = CommitRequest {
            author: "somebody".to_owned(),
            message: message.to_owned(),
            request_id: Some(request_id(message)),
            ..CommitRequest::new(
                access(message, FORMAT_VERSION),
                planning(move |draft| draft.apply(&batch)).plan,
            )
        };
        commit(&base, request).unwrap();
    }
    base.close();
}

fn request_id(message: &str) -> RequestId {
    RequestId {
        id: format!("request {message}"),
        fingerprint: [7; 32],
    }
}

/// Who makes a commit: from version 2 on, one is of a subject, whose request ids are its own.
fn access(message: &str, version: u64) -> Access {
    if version >= 2 && message == "statement" {
        let everything = GraphSet::everything;
        Access::new("token:a", everything(), everything(), false)
    } else {
        Access::everything()
    }
}

/// What a request got that changed nothing.
const NO_CHANGE: Committed = Committed {
    revision: COMMITS.len() as u64,
    graphs_created: 0,
    graphs_dropped: 0,
    quads_inserted: 0,
    quads_removed: 0,
};

/// Returns a request that changes nothing, if it is remembered or nothing is there.
fn changing_nothing() -> CommitRequest<String> {
    let mut batch = Batch::default();
    batch.remove(quad(1).as_ref());
    CommitRequest {
        request_id: Some(request_id("nothing")),
        ..planning(move |draft| draft.apply(&batch))
    }
}

/// Makes the fixture of the version of this code, unless there is one.
fn make_fixture() {
    let fixture = folder().join(format!("v{FORMAT_VERSION}"));
    if fixture.exists() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    make(dir.path());
    fs::create_dir_all(&fixture).unwrap();
    for file in FILES {
        let bytes = fs::read(dir.path().join(file)).unwrap();
        let packed = zstd::bulk::compress(&bytes, 19).unwrap();
        fs::write(fixture.join(format!("{file}.zst")), packed).unwrap();
    }
    let base = KnowledgeBase::open(settings_in(dir.path())).unwrap();
    fs::write(
        fixture.join("graph.txt"),
        contents(&base.read(&Access::everything()).snapshot).join("\n"),
    )
    .unwrap();
}

/// Unpacks a fixture.
fn unpacked(fixture: &Path) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in FILES {
        let packed = fs::File::open(fixture.join(format!("{file}.zst"))).unwrap();
        fs::write(dir.path().join(file), zstd::decode_all(packed).unwrap()).unwrap();
    }
    dir
}

fn check(fixture: &Path, version: u64) {
    let expected = fs::read_to_string(fixture.join("graph.txt")).unwrap();
    let dir = unpacked(fixture);
    let log = Log::open(dir.path(), 0).unwrap();
    let read = open::read_file(&dir.path().join("snapshot"), &log).unwrap();
    // One that cannot be read is made anew, with a warning only.
    assert_eq!(
        read.revision,
        COMMITS.len() as u64 - 1,
        "the snapshot file was not read"
    );
    drop(log);
    for is_first in [true, false] {
        let base = KnowledgeBase::open(settings_in(dir.path())).unwrap();
        let added = u64::from(!is_first);
        let View {
            revision, snapshot, ..
        } = base.read(&Access::everything());
        let mut found = contents(&snapshot);
        found.retain(|quad| is_first || *quad != self::quad(1).to_string());
        assert_eq!(found.join("\n"), expected, "{}", fixture.display());
        assert_eq!(revision, COMMITS.len() as u64 + added);
        assert_eq!(base.verify().unwrap().head.revision, revision);
        for (index, (message, ..)) in COMMITS.into_iter().enumerate() {
            if index as u64 + 1 >= base.earliest_revision() {
                let header = base.log().header(index as u64 + 1).unwrap();
                assert_eq!(
                    (header.author.as_str(), header.message.as_str()),
                    ("somebody", message)
                );
            }
            // Who sends a request of that time again gets the answer of that time.
            let again = CommitRequest {
                request_id: Some(request_id(message)),
                ..CommitRequest::new(access(message, version), inserting([99]).plan)
            };
            assert_eq!(commit(&base, again).unwrap().revision, index as u64 + 1);
        }
        if is_first {
            assert_eq!(commit(&base, inserting([1])).unwrap().revision, revision + 1);
        }
        if version >= 2 {
            assert_eq!(commit(&base, changing_nothing()).unwrap(), NO_CHANGE);
        }
        base.close();
        // The second time the log alone must do.
        let _ = fs::remove_file(dir.path().join("snapshot"));
    }
    let rebuilt = rebuild(&settings_in(dir.path()), true).unwrap();
    assert_eq!(rebuilt.difference_count, 0, "{:?}", rebuilt.differences);
}

#[test]
fn every_format_that_was_ever_shipped_opens_and_goes_on() {
    if env::var_os(MAKE).is_some() {
        make_fixture();
    }
    for version in 1..=FORMAT_VERSION {
        let fixture = folder().join(format!("v{version}"));
        assert!(
            fixture.exists(),
            "version {version} has no fixture: {MAKE} makes one"
        );
        check(&fixture, version);
    }
}
