//! The index against a set of quads, under random histories.

mod anew;
mod merges;
mod sight;

use std::collections::BTreeSet;

use oxigraph::model::{
    BaseDirection, BlankNode, GraphName, Literal, NamedNode, NamedOrBlankNode, Quad, Term, Triple, vocab::xsd,
};
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

fn iri(name: &str) -> NamedNode {
    NamedNode::new(format!("http://example.com/{name}")).unwrap()
}

fn subjects() -> Vec<NamedOrBlankNode> {
    vec![
        iri("a").into(),
        iri("b").into(),
        iri("c").into(),
        BlankNode::new("a").unwrap().into(),
    ]
}

/// Terms that are alike but not the same.
fn objects() -> Vec<Term> {
    let typed = |value: &str, datatype| Literal::new_typed_literal(value, datatype).into();
    let tagged = |value: &str, language| {
        Literal::new_language_tagged_literal(value, language)
            .unwrap()
            .into()
    };
    vec![
        iri("a").into(),
        BlankNode::new("a").unwrap().into(),
        Literal::new_simple_literal("http://example.com/a").into(),
        Literal::new_simple_literal("").into(),
        typed("1", xsd::INT),
        typed("01", xsd::INT),
        typed("1", xsd::INTEGER),
        tagged("1", "en"),
        tagged("1", "en-us"),
        Literal::new_directional_language_tagged_literal("1", "en", BaseDirection::Rtl)
            .unwrap()
            .into(),
        Literal::new_directional_language_tagged_literal("1", "en", BaseDirection::Ltr)
            .unwrap()
            .into(),
        Triple::new(iri("a"), iri("p"), Literal::new_typed_literal("01", xsd::INT)).into(),
        Triple::new(
            iri("a"),
            iri("p"),
            Triple::new(BlankNode::new("a").unwrap(), iri("q"), iri("a")),
        )
        .into(),
    ]
}

fn graphs() -> Vec<GraphName> {
    vec![
        GraphName::DefaultGraph,
        GraphName::DefaultGraph,
        iri("g").into(),
        iri("h").into(),
    ]
}

fn quad() -> impl Strategy<Value = Quad> {
    (
        select(subjects()),
        select(vec![iri("p"), iri("q")]),
        select(objects()),
        select(graphs()),
    )
        .prop_map(|(subject, predicate, object, graph)| Quad::new(subject, predicate, object, graph))
}

#[derive(Clone, Debug)]
enum Change {
    Insert(Quad),
    Remove(Quad),
    Create(NamedNode),
    Clear(NamedNode),
}

fn change() -> impl Strategy<Value = Change> {
    let graph = || select(vec![iri("g"), iri("h"), iri("empty")]);
    prop_oneof![
        6 => quad().prop_map(Change::Insert),
        3 => quad().prop_map(Change::Remove),
        1 => graph().prop_map(Change::Create),
        1 => graph().prop_map(Change::Clear),
    ]
}

/// Quads and named graphs, kept as simply as can be.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    quads: BTreeSet<String>,
    graphs: BTreeSet<String>,
}

impl Model {
    /// Does what a batch of these changes is to do.
    fn apply(&mut self, batch: &[Change]) {
        for change in batch {
            match change {
                Change::Remove(quad) => {
                    self.quads.remove(&quad.to_string());
                }
                Change::Clear(graph) => {
                    self.quads.retain(|quad| !quad.ends_with(&format!(" {graph}")));
                    self.graphs.remove(&graph.to_string());
                }
                Change::Insert(_) | Change::Create(_) => {}
            }
        }
        for change in batch {
            match change {
                Change::Insert(quad) => {
                    self.quads.insert(quad.to_string());
                    if !quad.graph_name.is_default_graph() {
                        self.graphs.insert(quad.graph_name.to_string());
                    }
                }
                Change::Create(graph) => {
                    self.graphs.insert(graph.to_string());
                }
                Change::Remove(_) | Change::Clear(_) => {}
            }
        }
    }

    fn of(snapshot: &Snapshot) -> Self {
        Self {
            quads: quads(snapshot, snapshot.quads(Pattern::all(GraphPattern::Any))),
            graphs: snapshot
                .named_graphs()
                .map(|graph| snapshot.term(graph).to_string())
                .collect(),
        }
    }
}

fn quads(snapshot: &Snapshot, quads: impl Iterator<Item = QuadIds>) -> BTreeSet<String> {
    quads.map(|quad| snapshot.quad(quad).to_string()).collect()
}

fn batch(snapshot: &Snapshot, changes: &[Change]) -> Batch {
    let mut batch = Batch::default();
    for change in changes {
        match change {
            Change::Insert(quad) => batch.insert(quad.as_ref()),
            Change::Remove(quad) => batch.remove(quad.as_ref()),
            Change::Create(graph) => batch.create_graph(graph.as_ref().into()),
            Change::Clear(graph) => {
                let graph_id = snapshot.iri_id(graph.as_str());
                for quad in graph_id
                    .into_iter()
                    .flat_map(|id| snapshot.quads(Pattern::all(GraphPattern::Named(id))))
                {
                    batch.remove(snapshot.quad(quad).as_ref());
                }
                batch.drop_graph(graph.as_ref().into());
            }
        }
    }
    batch
}

/// Checks every pattern over the terms of the test: quads, count, order and going on after each quad.
fn check_patterns(snapshot: &Snapshot) {
    let all: Vec<QuadIds> = snapshot.quads(Pattern::all(GraphPattern::Any)).collect();
    assert_eq!(all.len() as u64, snapshot.quad_count());
    assert!(all.iter().all(|quad| snapshot.contains(*quad)));
    let ids = |term: Option<Term>| term.as_ref().and_then(|term| snapshot.id(term.as_ref()));
    let graphs = [GraphPattern::Default, GraphPattern::AnyNamed, GraphPattern::Any]
        .into_iter()
        .chain(snapshot.iri_id("http://example.com/g").map(GraphPattern::Named));
    for graph in graphs {
        for subject in [
            None,
            Some(iri("a").into()),
            Some(BlankNode::new("a").unwrap().into()),
        ]
        .map(ids)
        {
            for predicate in [None, ids(Some(iri("p").into()))] {
                for object in [None, ids(Some(iri("a").into())), ids(Some(objects()[5].clone()))] {
                    check_pattern(
                        snapshot,
                        &all,
                        Pattern {
                            subject,
                            predicate,
                            object,
                            graph,
                        },
                    );
                }
            }
        }
    }
}

fn check_pattern(snapshot: &Snapshot, all: &[QuadIds], pattern: Pattern) {
    let matches = |quad: &QuadIds| {
        let open = |part: Option<TermId>, id| part.is_none_or(|part| part == id);
        let graph = match pattern.graph {
            GraphPattern::Default => quad.graph == TermId::DEFAULT_GRAPH,
            GraphPattern::Named(graph) => quad.graph == graph,
            GraphPattern::AnyNamed => quad.graph != TermId::DEFAULT_GRAPH,
            GraphPattern::Any => true,
        };
        let triple = open(pattern.subject, quad.subject) && open(pattern.predicate, quad.predicate);
        triple && open(pattern.object, quad.object) && graph
    };
    let expected: BTreeSet<QuadIds> = all.iter().copied().filter(matches).collect();
    let found: Vec<QuadIds> = snapshot.quads(pattern).collect();
    assert_eq!(
        found.iter().copied().collect::<BTreeSet<_>>(),
        expected,
        "{pattern:?}"
    );
    assert_eq!(found.len(), expected.len(), "{pattern:?} gives a quad twice");
    assert_eq!(snapshot.count(pattern), expected.len() as u64, "{pattern:?}");
    if pattern.graph != GraphPattern::Any {
        for (index, quad) in found.iter().enumerate() {
            let rest: Vec<_> = snapshot.quads_after(pattern, *quad).collect();
            assert_eq!(rest, found[index + 1..], "{pattern:?} after {quad:?}");
        }
    }
}

/// Builds a snapshot, one commit a history entry, as the knowledge base does.
fn commit_all(
    history: &[Vec<Vec<Change>>],
    mut each: impl FnMut(&Snapshot, &Changes, &Snapshot),
) -> Snapshot {
    history.iter().fold(Snapshot::default(), |before, batches| {
        let mut draft = Draft::new(before.clone());
        for changes in batches {
            let batch = batch(draft.snapshot(), changes);
            draft.apply(&batch);
        }
        let (changes, after) = draft.finish();
        each(&before, &changes, &after);
        after
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn histories_leave_what_they_say(history in vec(vec(vec(change(), 0..12), 1..4), 1..12)) {
        let mut model = Model::default();
        let mut entries = history.iter();
        let end = commit_all(&history, |before, changes, after| {
            let was = model.clone();
            entries.next().unwrap().iter().for_each(|batch| model.apply(batch));
            assert_eq!(Model::of(after), model);
            assert_eq!(Model::of(before), was, "a snapshot changed");
            // The difference is effective and exact.
            let dictionary = changes.snapshot();
            let expected = |from: &Model, to: &Model| to.quads.difference(&from.quads).cloned().collect::<BTreeSet<_>>();
            assert_eq!(quads(dictionary, changes.inserted()), expected(&was, &model));
            assert_eq!(quads(dictionary, changes.removed()), expected(&model, &was));
            assert_eq!(changes.inserted_count(), expected(&was, &model).len() as u64);
            assert_eq!(changes.removed_count(), expected(&model, &was).len() as u64);
            let graphs = |ids: Vec<TermId>| {
                ids.into_iter().map(|id| dictionary.term(id).to_string()).collect::<BTreeSet<_>>()
            };
            assert_eq!(graphs(changes.created_graphs().collect()), &model.graphs - &was.graphs);
            assert_eq!(graphs(changes.dropped_graphs().collect()), &was.graphs - &model.graphs);
            assert_eq!(changes.is_empty(), was == model);
        });
        assert_eq!(end.named_graph_count(), model.graphs.len() as u64);
        check_patterns(&end);
    }

    #[test]
    fn merges_and_files_change_nothing(history in vec(vec(vec(change(), 0..12), 1..2), 1..8)) {
        // Layers that are never merged, however small.
        let mut stacked = Snapshot::default();
        for changes in history.iter().flatten() {
            let mut draft = Draft::new(stacked.clone());
            draft.apply(&batch(&stacked, changes));
            stacked = draft.finish().0.snapshot().clone();
        }
        check_patterns(&stacked);
        let model = Model::of(&stacked);
        let mut merged = stacked.clone();
        while let Some(merge) = merged.due_merge() {
            let merge = merge.run();
            merged = merged.with_merged(&merge);
            assert_eq!(Model::of(&merged), model);
            assert_eq!(Model::of(&merged.with_merged(&merge)), model, "a merge is put in twice");
        }
        check_patterns(&merged);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("graph");
        write_snapshot_file(&path, &stacked, b"note").unwrap();
        let (read, note) = read_snapshot_file(&path).unwrap();
        assert_eq!((Model::of(&read), note), (model, b"note".to_vec()));
        assert_eq!(read.epoch(), stacked.epoch());
        for quad in stacked.quads(Pattern::all(GraphPattern::Any)) {
            assert_eq!(read.quad(quad), stacked.quad(quad), "an identifier means another term");
            assert_eq!(read.with_quad(quad, |lent| lent.to_string()), read.quad(quad).to_string());
        }
        check_patterns(&read);
    }
}

#[test]
fn damaged_files_are_refused() {
    let snapshot = commit_all(
        &[vec![
            objects()
                .into_iter()
                .map(|object| Change::Insert(Quad::new(iri("s"), iri("p"), object, iri("g"))))
                .collect(),
        ]],
        |_, _, _| {},
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    assert!(matches!(
        read_snapshot_file(&path),
        Err(SnapshotFileError::Missing)
    ));
    write_snapshot_file(&path, &snapshot, b"note").unwrap();
    let whole = std::fs::read(&path).unwrap();
    for index in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[index] ^= 0x10;
        std::fs::write(&path, damaged).unwrap();
        let error = read_snapshot_file(&path).expect_err("a flipped bit is seen");
        assert!(
            matches!(error, SnapshotFileError::Damaged | SnapshotFileError::Version),
            "at {index}: {error}"
        );
        std::fs::write(&path, &whole[..index]).unwrap();
        assert!(
            matches!(read_snapshot_file(&path), Err(SnapshotFileError::Damaged)),
            "cut at {index}"
        );
    }
}

#[test]
fn memory_grows_with_what_is_held() {
    let empty = Snapshot::default().memory_bytes();
    let some = commit_all(
        &[vec![vec![Change::Insert(Quad::new(
            iri("s"),
            iri("p"),
            iri("o"),
            GraphName::DefaultGraph,
        ))]]],
        |_, _, _| {},
    );
    assert_eq!(empty, 0);
    assert!(some.memory_bytes() > 100, "{}", some.memory_bytes());
}

#[test]
fn a_draft_remembers_what_is_inserted_again() {
    let quad = |subject: &str, graph: GraphName| Quad::new(iri(subject), iri("p"), iri("o"), graph);
    let all = |subject: &str| {
        [
            quad(subject, GraphName::DefaultGraph),
            quad(subject, iri("g").into()),
            quad(subject, iri("h").into()),
        ]
    };
    let insert = |quads: &[Quad]| quads.iter().cloned().map(Change::Insert).collect::<Vec<_>>();
    let base = commit_all(&[vec![insert(&all("a"))]], |_, _, _| {});
    let mut draft = Draft::watching(base.clone(), base.iri_id("http://example.com/g"));
    // Inserted again, inserted after a removal, and not there before.
    let [default, in_g, in_h] = all("a");
    let mut apply = |changes: &[Change]| {
        let batch = batch(draft.snapshot(), changes);
        draft.apply(&batch);
    };
    apply(&insert(&[default.clone(), in_h.clone()]));
    apply(&[Change::Remove(in_g.clone()), Change::Remove(in_h.clone())]);
    apply(&insert(&[in_g.clone(), in_h]));
    apply(&insert(&all("b")));
    let repeated = |draft: &Draft| quads(draft.snapshot(), draft.repeated());
    assert_eq!(
        repeated(&draft),
        BTreeSet::from([default.to_string(), in_g.to_string()])
    );
    let changes = draft.changes();
    assert_eq!(changes.inserted_count(), 3);
    let graph = |name: &str| {
        changes
            .snapshot()
            .iri_id(&format!("http://example.com/{name}"))
            .unwrap()
    };
    for id in [TermId::DEFAULT_GRAPH, graph("g"), graph("h")] {
        assert_eq!(changes.inserted_in(id).count(), 1);
        assert_eq!(changes.removed_in(id).count(), 0);
        assert!(changes.inserted_in(id).all(|quad| quad.graph == id));
    }
}

#[test]
fn an_edit_is_a_batch_in_identifiers() {
    let quad = |subject: &str, graph: GraphName| Quad::new(iri(subject), iri("p"), iri("o"), graph);
    let changes = |subject: &str| {
        vec![
            Change::Insert(quad(subject, GraphName::DefaultGraph)),
            Change::Insert(quad(subject, iri("g").into())),
        ]
    };
    let base = commit_all(&[vec![changes("a")]], |_, _, _| {});
    let ids = base.quads(Pattern::all(GraphPattern::Any)).collect::<Vec<_>>();
    let mut draft = Draft::new(base.clone());
    draft.edit(|edit| {
        let object = edit.id(objects()[5].as_ref());
        assert_eq!(edit.id(objects()[5].as_ref()), object);
        let graph = edit.id(iri("new").as_ref().into());
        for &quad in &ids {
            edit.insert(QuadIds { object, ..quad });
            edit.insert(QuadIds { graph, ..quad });
            // There already, and removed beside: it stays.
            edit.insert(quad);
            edit.remove(quad);
        }
    });
    draft.edit(|edit| edit.remove(ids[0]));
    draft.edit(|_| {});
    let (changes, after) = draft.finish();
    assert_eq!((changes.inserted_count(), changes.removed_count()), (3, 1));
    assert_eq!(changes.created_graphs().count(), 1);
    assert_eq!(after.quad_count(), 4);
    assert_eq!(after.named_graph_count(), 2);
    check_patterns(&after);
}
