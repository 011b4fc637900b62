//! What mentions an entity.

use std::collections::HashSet;

use oxigraph::model::{
    BlankNodeRef, GraphNameRef, NamedNodeRef, NamedOrBlankNode, NamedOrBlankNodeRef, QuadRef, TermRef,
    vocab::rdf,
};

use crate::{
    graph::{GraphPattern, Pattern, QuadIds, Snapshot, TermId, TermView},
    log::Change,
};

/// What relates a statement or reifier to what it is about.
const ABOUT: [NamedNodeRef<'static>; 4] = [
    rdf::SUBJECT,
    rdf::PREDICATE,
    rdf::OBJECT,
    NamedNodeRef::new_unchecked("http://www.w3.org/1999/02/22-rdf-syntax-ns#reifies"),
];

/// The nodes to erase: an entity, and the statements about it, and about these.
#[derive(Clone, Debug)]
pub(super) struct Nodes(HashSet<NamedOrBlankNode>);

impl Nodes {
    pub(super) fn new(entity: NamedOrBlankNode) -> Self {
        Self([entity].into())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn has(&self, node: NamedOrBlankNodeRef<'_>) -> bool {
        self.0.contains(&node.into_owned())
    }

    fn has_iri(&self, iri: NamedNodeRef<'_>) -> bool {
        self.has(iri.into())
    }

    fn has_blank(&self, node: BlankNodeRef<'_>) -> bool {
        self.has(node.into())
    }

    /// Tells whether a term is one of the nodes, or has one in it: as a part of a triple term, or as a datatype.
    fn are_in(&self, term: TermRef<'_>) -> bool {
        match term {
            TermRef::NamedNode(node) => self.has_iri(node),
            TermRef::BlankNode(node) => self.has_blank(node),
            TermRef::Literal(literal) => self.has_iri(literal.datatype()),
            TermRef::Triple(triple) => {
                self.has(triple.subject.as_ref())
                    || self.has_iri(triple.predicate.as_ref())
                    || self.are_in(triple.object.as_ref())
            }
        }
    }

    /// Tells whether a quad mentions one of the nodes.
    fn are_in_quad(&self, quad: QuadRef<'_>) -> bool {
        self.has(quad.subject)
            || self.has_iri(quad.predicate)
            || self.are_in(quad.object)
            || match quad.graph_name {
                GraphNameRef::DefaultGraph => false,
                GraphNameRef::NamedNode(node) => self.has_iri(node),
                GraphNameRef::BlankNode(node) => self.has_blank(node),
            }
    }

    /// Tells whether a change mentions one of the nodes.
    pub(super) fn are_mentioned(&self, change: &Change) -> bool {
        match change {
            Change::DropGraph(graph) | Change::CreateGraph(graph) => self.has(graph.as_ref()),
            Change::Remove(quad) | Change::Insert(quad) => self.are_in_quad(quad.as_ref()),
        }
    }

    /// Adds the statement that a change makes about one of the nodes, if it does; tells whether it is a new one.
    pub(super) fn grow_by(&mut self, change: &Change) -> bool {
        let (Change::Remove(quad) | Change::Insert(quad)) = change else {
            return false;
        };
        ABOUT.contains(&quad.predicate.as_ref())
            && self.are_in(quad.object.as_ref())
            && self.0.insert(quad.subject.clone())
    }

    /// Adds the statements in a graph about the nodes.
    pub(super) fn grow_in(&mut self, graph: &Snapshot) {
        loop {
            let count = self.0.len();
            let about: Vec<_> = ABOUT
                .iter()
                .filter_map(|predicate| graph.iri_id(predicate.as_str()))
                .collect();
            let objects = self.terms_in(graph);
            for &predicate in &about {
                for &object in &objects {
                    let pattern = Pattern {
                        predicate: Some(predicate),
                        object: Some(object),
                        ..Pattern::all(GraphPattern::Any)
                    };
                    for quad in graph.quads(pattern) {
                        self.0.insert(graph.quad(quad).subject);
                    }
                }
            }
            if self.0.len() == count {
                return;
            }
        }
    }

    /// Returns the quads of a graph that mention one of the nodes, each once.
    pub(super) fn quads_in(&self, graph: &Snapshot) -> Vec<QuadIds> {
        let any = Pattern::all(GraphPattern::Any);
        let mut quads = Vec::new();
        for id in self.terms_in(graph) {
            let some = Some(id);
            for pattern in [
                Pattern { subject: some, ..any },
                Pattern {
                    predicate: some,
                    ..any
                },
                Pattern { object: some, ..any },
                Pattern::all(GraphPattern::Named(id)),
            ] {
                quads.extend(graph.quads(pattern));
            }
        }
        quads.sort_unstable();
        quads.dedup();
        quads
    }

    /// Returns those of the nodes that are named graphs.
    pub(super) fn graphs_in(&self, graph: &Snapshot) -> Vec<NamedOrBlankNode> {
        let is_graph = |node: &&NamedOrBlankNode| {
            graph
                .id(node.as_ref().into())
                .is_some_and(|id| graph.contains_named_graph(id))
        };
        self.0.iter().filter(is_graph).cloned().collect()
    }

    /// Returns the terms that are one of the nodes, or have one in them. Looks at the whole dictionary.
    fn terms_in(&self, graph: &Snapshot) -> Vec<TermId> {
        let ids = self.0.iter().filter_map(|node| graph.id(node.as_ref().into()));
        let mut found: HashSet<TermId> = ids.collect();
        if found.is_empty() {
            return Vec::new();
        }
        let last = u32::try_from(graph.term_count()).unwrap_or(u32::MAX);
        // The parts of a term come before it.
        for number in 1..=last {
            let id = TermId::new(number);
            let is_in = match graph.view(id) {
                TermView::Triple {
                    subject,
                    predicate,
                    object,
                } => [subject, predicate, object]
                    .iter()
                    .any(|part| found.contains(part)),
                TermView::Typed { datatype, .. } => self.has_iri(NamedNodeRef::new_unchecked(datatype)),
                _ => false,
            };
            if is_in {
                found.insert(id);
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable();
        found
    }
}

/// Tells whether a text names an IRI: longer ones that begin with it are others.
pub(super) fn names(text: &str, iri: &str) -> bool {
    text.match_indices(iri).any(|(at, _)| {
        let mut rest = text[at + iri.len()..].chars();
        match rest.next() {
            Some('-' | '_' | '~' | '%') => false,
            // As in a path; at the end of a sentence nothing goes on.
            Some('.' | '/' | '#' | '?') => !rest.next().is_some_and(char::is_alphanumeric),
            next => !next.is_some_and(char::is_alphanumeric),
        }
    })
}

#[cfg(test)]
mod tests {
    use oxigraph::{
        io::{RdfFormat, RdfParser},
        model::{NamedNode, Quad},
    };

    use super::*;
    use crate::graph::{Batch, Draft};

    fn quads(text: &str) -> Vec<Quad> {
        let prefixes = "PREFIX e: <http://e/> PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> ";
        RdfParser::from_format(RdfFormat::TriG)
            .for_slice(format!("{prefixes}{text}").as_bytes())
            .map(|quad| quad.unwrap_or_else(|error| panic!("{text}: {error}")))
            .collect()
    }

    /// Checks what goes with `e:x`, in a graph and in a log alike.
    fn check(goes: &str, stays: &str) {
        let (goes, stays) = (quads(goes), quads(stays));
        let entity = NamedNode::new_unchecked("http://e/x");
        let mut batch = Batch::default();
        for quad in goes.iter().chain(&stays) {
            batch.insert(quad.as_ref());
        }
        let mut draft = Draft::new(Snapshot::default());
        draft.apply(&batch);
        let graph = draft.finish().1;
        let mut nodes = Nodes::new(entity.clone().into());
        nodes.grow_in(&graph);
        let mut found: Vec<_> = nodes
            .quads_in(&graph)
            .into_iter()
            .map(|quad| graph.quad(quad).to_string())
            .collect();
        let mut expected: Vec<_> = goes.iter().map(ToString::to_string).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        let changes: Vec<_> = goes.into_iter().chain(stays).map(Change::Insert).collect();
        let mut of_log = Nodes::new(entity.into());
        loop {
            let known = of_log.len();
            for change in &changes {
                of_log.grow_by(change);
            }
            if of_log.len() == known {
                break;
            }
        }
        assert_eq!(of_log.0, nodes.0);
        let mentioned = changes.iter().filter(|change| of_log.are_mentioned(change));
        assert_eq!(mentioned.count(), expected.len());
    }

    #[test]
    fn every_place_of_a_quad_is_looked_at() {
        check(
            "e:x e:p 1 . e:a e:x 1 . e:a e:p e:x , \"1\"^^e:x , <<( e:a e:p <<( e:x e:p 1 )>> )>> , <<( e:a e:p \"1\"^^e:x )>> .
             e:x { e:a e:p 1 } e:g { e:a e:p e:x }",
            "e:a e:p e:xx , \"http://e/x\" , <<( e:a e:p e:y )>> . e:y { e:a e:p 1 }",
        );
    }

    #[test]
    fn statements_go_with_what_is_said_of_them_and_with_statements_about_them() {
        check(
            "e:g { e:s1 rdf:subject e:x ; rdf:object 1 ; e:q \"a\" . e:s2 rdf:object e:s1 ; e:q 2 . e:claim e:content e:s1 }
             e:r rdf:reifies <<( e:x e:p 1 )>> ; e:q 1 .",
            "e:g { e:s3 rdf:subject e:y ; rdf:object 1 ; e:q 3 } e:r2 rdf:reifies <<( e:y e:p 1 )>> ; e:q 1 .",
        );
    }

    #[test]
    fn a_text_names_an_iri_where_it_ends() {
        for text in [
            "http://e/x",
            "sync http://e/x 1",
            "<http://e/x>",
            "of http://e/x.",
            "http://e/xy, http://e/x:1",
        ] {
            assert!(names(text, "http://e/x"), "{text}");
        }
        for text in [
            "",
            "http://e/y",
            "http://e/xy 1",
            "http://e/x-1",
            "http://e/x/1",
            "http://e/x#a",
            "http://e/xé",
        ] {
            assert!(!names(text, "http://e/x"), "{text}");
        }
    }

    #[test]
    fn what_is_unknown_is_mentioned_nowhere() {
        check("", "e:a e:p 1 .");
    }
}
