//! Files of the suites, by the IRIs that the manifests know them under.

use std::{fs, path::Path};

use oxigraph::{
    io::{RdfFormat, RdfParser},
    model::{Graph, GraphName, Quad},
};

/// Stands for the folder of the suites.
pub(crate) const BASE: &str = "http://example.org/w3c/";

/// Reads a text.
pub(crate) fn text_of(folder: &Path, iri: &str) -> String {
    let path = folder.join(
        iri.strip_prefix(BASE)
            .unwrap_or_else(|| panic!("{iri} is not in the suites")),
    );
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads quads into a graph, or those of a data set as they are.
pub(crate) fn quads_of(folder: &Path, iri: &str, graph: impl Into<GraphName>) -> Vec<Quad> {
    let format = iri
        .rsplit('.')
        .next()
        .and_then(RdfFormat::from_extension)
        .unwrap_or_else(|| panic!("{iri}: no format"));
    let parser = RdfParser::from_format(format)
        .with_base_iri(iri)
        .unwrap()
        .with_default_graph(graph)
        .rename_blank_nodes();
    parser
        .for_slice(text_of(folder, iri).as_bytes())
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{iri}: {error}"))
}

/// Reads a graph.
pub(crate) fn graph_of(folder: &Path, iri: &str) -> Graph {
    quads_of(folder, iri, GraphName::DefaultGraph)
        .into_iter()
        .map(oxigraph::model::Triple::from)
        .collect()
}
