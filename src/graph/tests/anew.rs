//! Tests of graphs that are indexed anew.

use std::convert::Infallible;

use super::*;

/// Returns a graph as it is when its quads are inserted into an empty one.
fn built(graph: &Snapshot) -> Snapshot {
    let mut batch = Batch::default();
    for name in graph.named_graphs() {
        let name = NamedOrBlankNode::try_from(graph.term(name)).unwrap();
        batch.create_graph(name.as_ref());
    }
    for quad in graph.quads(Pattern::all(GraphPattern::Any)) {
        batch.insert(graph.quad(quad).as_ref());
    }
    let mut draft = Draft::new(Snapshot::default());
    draft.apply(&batch);
    draft.finish().1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_graph_that_is_indexed_anew_is_the_same_without_what_is_not_in_it(
        history in vec(vec(vec(change(), 0..12), 1..2), 1..8)
    ) {
        let mut stacked = Snapshot::default();
        for changes in history.iter().flatten() {
            let mut draft = Draft::new(stacked.clone());
            draft.apply(&batch(&stacked, changes));
            stacked = draft.finish().0.snapshot().clone();
        }
        let anew = stacked.anew(|| Ok::<_, Infallible>(())).unwrap();
        assert_eq!(Model::of(&anew), Model::of(&stacked));
        assert_eq!(anew.term_count(), built(&stacked).term_count());
        assert_ne!(anew.epoch(), stacked.epoch());
        check_patterns(&anew);
        // What comes on top finds the terms.
        let more = batch(&anew, history.last().unwrap().last().unwrap());
        let mut draft = Draft::new(anew);
        draft.apply(&more);
        check_patterns(&draft.finish().1);
    }
}

#[test]
fn indexing_anew_ends_where_it_is_told_to() {
    assert_eq!(Snapshot::default().anew(|| Err(7)).unwrap_err(), 7);
}
