//! The order of a whole knowledge base in a document.

use std::iter;

use crate::{
    graph::{GraphPattern, Pattern, QuadIds, Snapshot, TermId},
    model::vocabulary as iris,
};

/// Returns the quads of a document: all of them in an order in which it may be read in pieces, or those of a pattern.
pub fn document(
    snapshot: &Snapshot,
    pattern: Pattern,
    has_pieces: bool,
) -> Box<dyn Iterator<Item = QuadIds> + '_> {
    if has_pieces && pattern == Pattern::all(GraphPattern::Any) {
        Box::new(in_pieces(snapshot))
    } else {
        Box::new(snapshot.quads(pattern))
    }
}

/// Returns all quads, in an order in which a reader may commit them in pieces that end between subjects: first the statements, then
/// what holds, each subject with what of it is derived, then the other graphs.
///
/// A triple that came before the statements, or without its derived quad, would be plain for good.
fn in_pieces(snapshot: &Snapshot) -> impl Iterator<Item = QuadIds> + '_ {
    let [statements, derived] =
        [iris::STATEMENTS, iris::DERIVED].map(|iri| snapshot.iri_id(iri).unwrap_or(TermId::MAX));
    let of = |graph| snapshot.quads(Pattern::all(graph));
    let mut plain = of(GraphPattern::Default).peekable();
    let mut follows = of(GraphPattern::Named(derived)).peekable();
    // Both are in the order of their subjects.
    let holds = iter::from_fn(move || {
        let subject = plain.peek().map(|quad| quad.subject);
        let is_next = |quad: &QuadIds| subject.is_none_or(|subject| quad.subject < subject);
        follows.next_if(is_next).or_else(|| plain.next())
    });
    let others = of(GraphPattern::AnyNamed);
    let others = others.filter(move |quad| quad.graph != statements && quad.graph != derived);
    of(GraphPattern::Named(statements)).chain(holds).chain(others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::tests::snapshot;

    #[test]
    fn statements_come_first_and_subjects_are_whole() {
        let snapshot = snapshot(
            "e:a e:p 1 , 2 . e:b e:p 1 . e:c e:p 1 . g:derived { e:a e:p 2 . e:c e:p 1 . e:d e:p 9 }
            g:statements { s:1 e:p 1 . s:2 e:p 2 } g:other { e:a e:p 1 }",
        );
        let quads: Vec<_> = in_pieces(&snapshot).collect();
        let mut all: Vec<_> = snapshot.quads(Pattern::all(GraphPattern::Any)).collect();
        assert_eq!(quads.len(), all.len());
        let graphs: Vec<_> = quads
            .iter()
            .map(|quad| snapshot.quad(*quad).graph_name.to_string())
            .collect();
        let place = |name: &str| {
            let is_it = |graph: &String| graph.contains(name);
            let first = graphs.iter().position(is_it).unwrap();
            first..=graphs.iter().rposition(is_it).unwrap()
        };
        assert_eq!((place("g/statements"), place("g/other")), (0..=1, 9..=9));
        // No subject of what holds comes twice.
        let mut subjects: Vec<_> = quads[2..9].iter().map(|quad| quad.subject).collect();
        subjects.dedup();
        assert_eq!(subjects.len(), 4);
        let mut quads = quads;
        quads.sort_unstable();
        all.sort_unstable();
        assert_eq!(quads, all);
    }
}
