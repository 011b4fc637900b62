//! A snapshot of which some graphs are to be seen, against one from which all else was removed.

use super::*;
use crate::model::access::{DEFAULT_UNIT, GraphSet};

/// Returns some of the graphs of the test, by the bits of a number.
fn set(bits: u8, by_prefix: bool) -> GraphSet {
    let mut set = GraphSet::default();
    if bits & 1 != 0 {
        set.add_default();
    }
    for (bit, name) in [(2, "g"), (4, "h"), (8, "empty")] {
        let name = iri(name);
        if bits & bit != 0 && by_prefix {
            set.add_prefix(name.as_str());
        } else if bits & bit != 0 {
            set.add(name.as_str());
        }
    }
    set
}

/// Removes what a set does not have, on the same dictionary.
fn filtered(whole: &Snapshot, set: &GraphSet) -> Snapshot {
    let mut batch = Batch::default();
    for quad in whole.quads(Pattern::all(GraphPattern::Any)) {
        let quad = whole.quad(quad);
        if !set.has(quad.graph_name.as_ref()) {
            batch.remove(quad.as_ref());
        }
    }
    for graph in whole.named_graphs() {
        if let Term::NamedNode(graph) = whole.term(graph)
            && !set.has_named(graph.as_str())
        {
            batch.drop_graph(graph.as_ref().into());
        }
    }
    let mut draft = Draft::new(whole.clone());
    draft.apply(&batch);
    draft.finish().1
}

fn check_same(seen: &Snapshot, filtered: &Snapshot, whole: &Snapshot) {
    assert_eq!(Model::of(seen), Model::of(filtered));
    assert_eq!(seen.quad_count(), filtered.quad_count());
    assert_eq!(seen.named_graph_count(), filtered.named_graph_count());
    let all: Vec<_> = whole.quads(Pattern::all(GraphPattern::Any)).collect();
    let mut graphs = vec![GraphPattern::Default, GraphPattern::AnyNamed, GraphPattern::Any];
    for name in ["g", "h", "empty", "never"] {
        let Some(id) = whole.iri_id(iri(name).as_str()) else {
            continue;
        };
        graphs.push(GraphPattern::Named(id));
        assert_eq!(
            seen.contains_named_graph(id),
            filtered.contains_named_graph(id),
            "{name}"
        );
    }
    assert!(!seen.contains_named_graph(TermId::DEFAULT_GRAPH));
    let mut after = None;
    loop {
        let next = seen.next_predicate(after);
        assert_eq!(next, filtered.next_predicate(after));
        let Some(next) = next else { break };
        after = Some(next.predicate);
    }
    for quad in &all {
        assert_eq!(seen.contains(*quad), filtered.contains(*quad), "{quad:?}");
    }
    for &graph in &graphs {
        for open in 0..8_u8 {
            for quad in all.iter().step_by(all.len().max(8) / 8) {
                let part = |bit, part| (open & bit == 0).then_some(part);
                let pattern = Pattern {
                    subject: part(1, quad.subject),
                    predicate: part(2, quad.predicate),
                    object: part(4, quad.object),
                    graph,
                };
                check_pattern(seen, filtered, pattern);
            }
        }
    }
}

fn check_pattern(seen: &Snapshot, filtered: &Snapshot, pattern: Pattern) {
    let expected: Vec<_> = filtered.quads(pattern).collect();
    assert_eq!(seen.quads(pattern).collect::<Vec<_>>(), expected, "{pattern:?}");
    assert_eq!(seen.count(pattern), expected.len() as u64, "{pattern:?}");
    for (at, quad) in expected.iter().enumerate().step_by(1 + expected.len() / 20) {
        let rest: Vec<_> = filtered.quads_after(pattern, *quad).collect();
        assert!(
            seen.quads_after(pattern, *quad).eq(rest),
            "{pattern:?} after {quad:?}"
        );
        let [mut left, mut of_filtered] = [seen.quads(pattern), filtered.quads(pattern)];
        for quads in [&mut left, &mut of_filtered] {
            quads.next();
        }
        assert_eq!(left.remaining(), expected.len() as u64 - 1);
        let is_left = left.skip_some(at as u64);
        assert_eq!(
            is_left,
            of_filtered.skip_some(at as u64),
            "{pattern:?} skips {at}"
        );
        assert!(left.clone().eq(of_filtered), "{pattern:?} skips {at}");
        if is_left && pattern.graph != GraphPattern::Any {
            assert!(
                left.eq(expected[1 + at..].iter().copied()),
                "{pattern:?} skips {at}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_not_seen_is_as_if_it_were_not_there(
        history in vec(vec(vec(change(), 0..24), 1..3), 1..8),
        bits in 0..16_u8,
        by_prefix: bool,
    ) {
        let whole = commit_all(&history, |_, _, _| {});
        let set = set(bits, by_prefix);
        let (seen, filtered) = (whole.seen_by(&set), filtered(&whole, &set));
        check_same(&seen, &filtered, &whole);
        // Nobody comes to see more by being looked at twice.
        let less = self::set(bits & 5, by_prefix);
        check_same(&seen.seen_by(&less), &self::filtered(&whole, &less), &whole);
        assert_eq!(seen.seen_by(&GraphSet::everything()).quad_count(), seen.quad_count());
        let widened = self::filtered(&filtered, &GraphSet::everything());
        assert_eq!(Model::of(&widened), Model::of(&seen.seen_by(&GraphSet::everything())));
        // Layers that are never merged.
        let mut stacked = Snapshot::default();
        for changes in history.iter().flatten() {
            let mut draft = Draft::new(stacked.clone());
            draft.apply(&batch(&stacked, changes));
            stacked = draft.finish().0.snapshot().clone();
        }
        check_same(&stacked.seen_by(&set), &self::filtered(&stacked, &set), &stacked);
    }
}

#[test]
fn many_graphs_are_seen_as_they_are() {
    let quad = |subject: usize, graph: usize| {
        Quad::new(
            iri(&format!("s{subject}")),
            iri("p"),
            iri(&format!("o{}", subject % 7)),
            iri(&format!("g{graph}")),
        )
    };
    let insert = |graphs: std::ops::Range<usize>| {
        let of_graph = |graph| (0..=graph % 40).map(move |subject| Change::Insert(quad(subject, graph)));
        vec![graphs.flat_map(of_graph).collect::<Vec<_>>()]
    };
    let whole = commit_all(&[insert(0..60), insert(60..100)], |_, _, _| {});
    let mut set = GraphSet::default();
    (0..100)
        .filter(|graph| graph % 3 != 0)
        .for_each(|graph| set.add(iri(&format!("g{graph}")).as_str()));
    check_same(&whole.seen_by(&set), &filtered(&whole, &set), &whole);
}

#[test]
fn the_default_graph_is_seen_with_its_four() {
    let insert = |graph: &str| {
        let graph = NamedNode::new_unchecked(graph);
        Change::Insert(Quad::new(iri("s"), iri("p"), iri("o"), graph))
    };
    let changes = DEFAULT_UNIT
        .map(insert)
        .into_iter()
        .chain([insert("http://example.com/g")]);
    let whole = commit_all(&[vec![changes.collect()]], |_, _, _| {});
    assert_eq!(whole.seen_by(&set(1, false)).named_graph_count(), 4);
    assert_eq!(whole.seen_by(&set(2, false)).named_graph_count(), 1);
    assert_eq!(whole.seen_by(&GraphSet::default()).quad_count(), 0);
}
