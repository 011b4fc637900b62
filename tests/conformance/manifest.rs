//! Reads manifests.

use std::path::Path;

use oxigraph::model::{
    Graph, NamedNodeRef, NamedOrBlankNode, NamedOrBlankNodeRef, Term, TermRef, vocab::rdf,
};

use crate::data::{BASE, graph_of};

pub(crate) const MF: &str = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#";
const QT: &str = "http://www.w3.org/2001/sw/DataAccess/tests/test-query#";
pub(crate) const UT: &str = "http://www.w3.org/2009/sparql/tests/test-update#";

/// What a case wants to see.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Query,
    Update,
    Syntax { is_update: bool, is_valid: bool },
}

impl Kind {
    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::Query => "query evaluation",
            Self::Update => "update evaluation",
            Self::Syntax { .. } => "syntax",
        }
    }
}

/// Files by their IRI: the default graph, and named graphs by name.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) default: Vec<String>,
    pub(crate) named: Vec<(String, String)>,
}

/// One case.
#[derive(Debug)]
pub(crate) struct Case {
    /// The folder and the local name.
    pub(crate) id: String,
    pub(crate) kind: Kind,
    /// The IRI of the query or update.
    pub(crate) text: String,
    pub(crate) data: Files,
    /// The IRI of the expected result of a query.
    pub(crate) result: Option<String>,
    /// The expected graphs after an update.
    pub(crate) after: Files,
    /// Endpoints by their IRI, and the IRI of what each has.
    pub(crate) services: Vec<(String, String)>,
}

/// Reads all cases of some manifests and of those that they include.
pub(crate) fn read(folder: &Path, manifests: &[&str]) -> Vec<Case> {
    let mut cases = Vec::new();
    for manifest in manifests {
        read_one(folder, &format!("{BASE}{manifest}"), &mut cases);
    }
    cases
}

fn read_one(folder: &Path, iri: &str, cases: &mut Vec<Case>) {
    let graph = graph_of(folder, iri);
    let include = name(MF, "include");
    for list in graph
        .triples_for_predicate(include.as_ref())
        .map(|triple| triple.object)
    {
        for item in items(&graph, list) {
            read_one(folder, &iri_of(&item), cases);
        }
    }
    let entries = name(MF, "entries");
    for list in graph
        .triples_for_predicate(entries.as_ref())
        .map(|triple| triple.object)
    {
        for item in items(&graph, list) {
            let Term::NamedNode(node) = item else {
                panic!("{iri}: an entry is no IRI")
            };
            cases.extend(case(&graph, iri, node.as_ref()));
        }
    }
}

fn case(graph: &Graph, manifest: &str, node: NamedNodeRef<'_>) -> Option<Case> {
    let kind = graph
        .objects_for_subject_predicate(node, rdf::TYPE)
        .find_map(kind_of)?;
    let action = object(graph, node.into(), &name(MF, "action"))?;
    let parts = |object: Option<&Term>| match object {
        Some(Term::BlankNode(node)) => Some(NamedOrBlankNode::from(node.clone())),
        _ => None,
    };
    let (text, data, services) = match parts(Some(&action)) {
        None => (iri_of(&action), Files::default(), Vec::new()),
        Some(action) => {
            let text = [name(QT, "query"), name(UT, "request")];
            let text = text
                .iter()
                .find_map(|property| object(graph, action.as_ref(), property));
            (
                iri_of(&text.unwrap_or_else(|| panic!("{node}: no text"))),
                files(graph, action.as_ref()),
                services(graph, action.as_ref()),
            )
        }
    };
    let result = object(graph, node.into(), &name(MF, "result"));
    let after = parts(result.as_ref())
        .map(|after| files(graph, after.as_ref()))
        .unwrap_or_default();
    let folder = manifest
        .trim_start_matches(BASE)
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    let local = node.as_str().rsplit(['#', '/']).next().unwrap_or_default();
    Some(Case {
        id: format!("{folder}/{local}"),
        kind,
        text,
        data,
        result: result
            .filter(|result| matches!(result, Term::NamedNode(_)))
            .map(|result| iri_of(&result)),
        after,
        services,
    })
}

fn kind_of(kind: TermRef<'_>) -> Option<Kind> {
    let TermRef::NamedNode(kind) = kind else {
        return None;
    };
    let syntax = |is_update, is_valid| Kind::Syntax { is_update, is_valid };
    Some(match kind.as_str().rsplit('#').next()? {
        "QueryEvaluationTest" => Kind::Query,
        "UpdateEvaluationTest" => Kind::Update,
        "PositiveSyntaxTest" | "PositiveSyntaxTest11" => syntax(false, true),
        "NegativeSyntaxTest" | "NegativeSyntaxTest11" => syntax(false, false),
        "PositiveUpdateSyntaxTest" | "PositiveUpdateSyntaxTest11" => syntax(true, true),
        "NegativeUpdateSyntaxTest" | "NegativeUpdateSyntaxTest11" => syntax(true, false),
        _ => return None,
    })
}

fn files(graph: &Graph, node: NamedOrBlankNodeRef<'_>) -> Files {
    let mut files = Files::default();
    for namespace in [QT, UT] {
        let data = name(namespace, "data");
        files.default.extend(
            graph
                .objects_for_subject_predicate(node, data.as_ref())
                .map(|data| iri_of(&data.into())),
        );
        let graph_data = name(namespace, "graphData");
        for data in graph.objects_for_subject_predicate(node, graph_data.as_ref()) {
            let file = match data {
                TermRef::NamedNode(iri) => (iri.as_str().to_owned(), iri.as_str().to_owned()),
                TermRef::BlankNode(node) => {
                    let file = object(graph, node.into(), &name(UT, "graph"));
                    let label = object(
                        graph,
                        node.into(),
                        &oxigraph::model::vocab::rdfs::LABEL.into_owned(),
                    );
                    let Some(Term::Literal(label)) = label else {
                        panic!("a graph without a name")
                    };
                    (label.value().to_owned(), iri_of(&file.unwrap()))
                }
                other => panic!("{other} is no graph"),
            };
            files.named.push(file);
        }
    }
    files
}

fn services(graph: &Graph, action: NamedOrBlankNodeRef<'_>) -> Vec<(String, String)> {
    let data = name(QT, "serviceData");
    let services = graph.objects_for_subject_predicate(action, data.as_ref());
    services
        .map(|service| {
            let TermRef::BlankNode(service) = service else {
                panic!("{service} is no service")
            };
            let part = |local: &str| iri_of(&object(graph, service.into(), &name(QT, local)).unwrap());
            (part("endpoint"), part("data"))
        })
        .collect()
}

pub(crate) fn items(graph: &Graph, list: TermRef<'_>) -> Vec<Term> {
    let mut items = Vec::new();
    let mut rest: Term = list.into();
    while let Term::BlankNode(node) = &rest {
        let node = NamedOrBlankNode::from(node.clone());
        items.extend(object(graph, node.as_ref(), &rdf::FIRST.into_owned()));
        rest = object(graph, node.as_ref(), &rdf::REST.into_owned()).unwrap();
    }
    items
}

pub(crate) fn object(
    graph: &Graph,
    subject: NamedOrBlankNodeRef<'_>,
    property: &oxigraph::model::NamedNode,
) -> Option<Term> {
    graph
        .object_for_subject_predicate(subject, property.as_ref())
        .map(Into::into)
}

fn iri_of(term: &Term) -> String {
    match term {
        Term::NamedNode(node) => node.as_str().to_owned(),
        other => panic!("{other} is no IRI"),
    }
}

pub(crate) fn name(namespace: &str, local: &str) -> oxigraph::model::NamedNode {
    oxigraph::model::NamedNode::new_unchecked(format!("{namespace}{local}"))
}
