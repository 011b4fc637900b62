//! Long terms, which the log has with escapes: up to six times as long.

use super::*;
use crate::log::{Entry, Log};

fn quad_with(text: &str, count: u64) -> Quad {
    Quad {
        object: Literal::from(text.repeat(usize::try_from(count).unwrap())).into(),
        ..quad(1)
    }
}

fn inserting_quad(quad: Quad) -> CommitRequest<String> {
    planning(move |draft| {
        let mut batch = Batch::default();
        batch.insert(quad.as_ref());
        draft.apply(&batch);
    })
}

#[test]
fn a_term_is_as_long_as_it_may_be_and_comes_back_by_replay() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    commit(&base, inserting_quad(quad_with("\u{1}", TERM_BYTES_MAX))).unwrap();
    let too_long = quad_with("a", TERM_BYTES_MAX + 1);
    let graph = NamedNode::new_unchecked(format!("http://example.com/{}", "g".repeat(8 << 20)));
    let creating = move |draft: &mut Draft| {
        let mut batch = Batch::default();
        batch.create_graph(graph.as_ref().into());
        draft.apply(&batch);
    };
    for (request, expected) in [
        (inserting_quad(too_long.clone()), TERM_BYTES_MAX + 1),
        (planning(creating), TERM_BYTES_MAX + 19),
    ] {
        let refused = commit(&base, request);
        assert!(
            matches!(refused, Err(CommitError::TermTooLarge { term_bytes }) if term_bytes == expected),
            "{:?}",
            refused.map_err(|error| error.to_string())
        );
    }
    // What changes nothing is not refused.
    let removing = planning(move |draft| {
        let mut batch = Batch::default();
        batch.remove(too_long.as_ref());
        draft.apply(&batch);
    });
    assert_eq!(commit(&base, removing).unwrap().revision, 1);
    let before = contents(&base.read(&Access::everything()).snapshot);
    base.close();
    fs::remove_file(dir.path().join("snapshot")).unwrap();
    let base = open(&dir);
    assert_eq!(base.revision(), 1);
    assert!(contents(&base.read(&Access::everything()).snapshot) == before);
}

/// Older versions took terms of any length in.
#[test]
fn a_log_with_longer_terms_is_read_and_something_is_erased_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let quads = [quad_with("a", 17 << 20), quad_with("\"", 9 << 20), quad(2)];
    let mut log = Log::open(dir.path(), 0).unwrap();
    for quad in &quads {
        let mut append = log.begin().unwrap();
        append
            .record(Entry::default(), |writer| writer.insert(quad.as_ref()))
            .unwrap();
        log.commit(append).unwrap();
    }
    log.mark().unwrap();
    drop(log);
    let base = open(&dir);
    assert_eq!(base.revision(), 3);
    let erased = runtime().block_on(base.erase(EraseRequest {
        entity: node(2),
        author: String::new(),
        message: String::new(),
        validate_only: false,
        witness: None,
    }));
    assert_eq!(erased.unwrap().quads_removed, 1);
    // What is there already may be written again.
    let again = commit(&base, inserting_quad(quads[0].clone())).unwrap();
    assert_eq!(again.quads_inserted, 0);
    base.close();
    crate::knowledge::compact(&settings(&dir), 0).unwrap().unwrap();
    fs::remove_file(dir.path().join("snapshot")).unwrap();
    let base = open(&dir);
    let mut expected: Vec<_> = quads[..2].iter().map(ToString::to_string).collect();
    expected.sort();
    assert!(contents(&base.read(&Access::everything()).snapshot) == expected);
}
