//! The description of the service (SPARQL 1.1 Service Description).

use oxigraph::{
    io::RdfFormat,
    model::{BlankNode, NamedNode, Quad, Triple, vocab::rdf},
    sparql::results::QueryResultsFormat,
};

const SD: &str = "http://www.w3.org/ns/sparql-service-description#";
const LANGUAGES: [&str; 2] = ["SPARQL11Query", "SPARQL11Update"];
const RESULTS: [QueryResultsFormat; 4] = [
    QueryResultsFormat::Json,
    QueryResultsFormat::Xml,
    QueryResultsFormat::Csv,
    QueryResultsFormat::Tsv,
];
const DOCUMENTS: [RdfFormat; 5] = [
    RdfFormat::Turtle,
    RdfFormat::NTriples,
    RdfFormat::RdfXml,
    RdfFormat::TriG,
    RdfFormat::NQuads,
];
const JSON_LD: &str = "http://www.w3.org/ns/formats/JSON-LD";

/// Describes the service at `endpoint`.
pub(super) fn of(endpoint: &NamedNode) -> Vec<Quad> {
    let sd = |name: &str| NamedNode::new_unchecked(format!("{SD}{name}"));
    let (service, dataset, graph) = (BlankNode::default(), BlankNode::default(), BlankNode::default());
    let mut triples = vec![
        Triple::new(service.clone(), rdf::TYPE, sd("Service")),
        Triple::new(service.clone(), sd("endpoint"), endpoint.clone()),
        Triple::new(service.clone(), sd("feature"), sd("EmptyGraphs")),
        Triple::new(service.clone(), sd("defaultDataset"), dataset.clone()),
        Triple::new(dataset.clone(), rdf::TYPE, sd("Dataset")),
        Triple::new(dataset, sd("defaultGraph"), graph.clone()),
        Triple::new(graph, rdf::TYPE, sd("Graph")),
    ];
    let languages = LANGUAGES.map(|name| Triple::new(service.clone(), sd("supportedLanguage"), sd(name)));
    triples.extend(languages);
    let documents = DOCUMENTS.iter().map(|format| format.iri()).chain([JSON_LD]);
    for iri in documents {
        let format = NamedNode::new_unchecked(iri);
        triples.push(Triple::new(service.clone(), sd("resultFormat"), format.clone()));
        triples.push(Triple::new(service.clone(), sd("inputFormat"), format));
    }
    triples.extend(RESULTS.iter().map(|format| {
        Triple::new(
            service.clone(),
            sd("resultFormat"),
            NamedNode::new_unchecked(format.iri()),
        )
    }));
    let quad = |triple: Triple| triple.in_graph(oxigraph::model::GraphName::DefaultGraph);
    triples.into_iter().map(quad).collect()
}
