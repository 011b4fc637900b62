//! The countries: every one has its names, codes and sources, and borders are there from both sides.

use std::collections::{HashMap, HashSet};

use oxigraph::model::{GraphName, NamedNode, NamedOrBlankNode, Quad, Term};

use super::{DERIVED, FILES, read};

const LANGUAGES_MIN: usize = 30;
const COUNTRIES: usize = 194;
const TERRITORIES: usize = 55;

#[test]
fn countries_have_names_and_codes() {
    let quads = read(&[&FILES[..], &[DERIVED]].concat());
    let mut languages: HashMap<&NamedOrBlankNode, HashSet<&str>> = HashMap::new();
    for quad in plain(&quads, "http://www.w3.org/2000/01/rdf-schema#label") {
        let Term::Literal(label) = &quad.object else {
            panic!("{quad}")
        };
        assert!(
            languages
                .entry(&quad.subject)
                .or_default()
                .insert(label.language().unwrap()),
            "{} has two labels in a language",
            quad.subject
        );
    }
    let codes: HashSet<_> = plain(&quads, &own("iso3166Alpha2"))
        .chain(plain(&quads, &own("userAssignedCode")))
        .map(|quad| &quad.subject)
        .collect();
    for (class, count) in [("Country", COUNTRIES), ("AdministrativeArea", TERRITORIES)] {
        let class = NamedNode::new(format!("http://schema.org/{class}")).unwrap();
        let members: Vec<_> = plain(&quads, "http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
            .filter(|quad| quad.object == class.clone().into())
            .map(|quad| &quad.subject)
            .collect();
        assert_eq!(members.len(), count, "{class}");
        for member in members {
            assert!(codes.contains(member), "{member} has no code");
            assert!(
                languages[member].len() >= LANGUAGES_MIN,
                "{member}: {:?}",
                languages[member]
            );
        }
    }
}

#[test]
fn borders_are_symmetric() {
    let quads = read(&[&FILES[..], &[DERIVED]].concat());
    let borders: HashSet<_> = plain(&quads, &own("borders"))
        .map(|quad| (quad.subject.to_string(), quad.object.to_string()))
        .collect();
    assert!(borders.len() > 600, "{} borders", borders.len());
    for (one, other) in &borders {
        assert!(
            borders.contains(&(other.clone(), one.clone())),
            "{one} borders {other}"
        );
    }
}

#[test]
fn every_statement_has_a_source_that_is_described() {
    let quads = read(&[&FILES[..], &[DERIVED]].concat());
    let in_graph = |name: &str, predicate: &str| -> Vec<&Quad> {
        let graph = NamedNode::new(format!("https://w3id.org/dossier/g/{name}")).unwrap();
        quads
            .iter()
            .filter(|quad| {
                quad.graph_name == GraphName::NamedNode(graph.clone()) && quad.predicate.as_str() == predicate
            })
            .collect()
    };
    let described: HashSet<_> = in_graph("sources", "http://www.w3.org/2000/01/rdf-schema#label")
        .iter()
        .map(|quad| quad.subject.to_string())
        .collect();
    let mut sources: HashMap<String, Vec<String>> = HashMap::new();
    for quad in in_graph("statements", "http://www.w3.org/ns/prov#wasDerivedFrom") {
        sources
            .entry(quad.subject.to_string())
            .or_default()
            .push(quad.object.to_string());
    }
    let statements = in_graph("statements", "http://www.w3.org/1999/02/22-rdf-syntax-ns#subject");
    assert!(statements.len() > 1300, "{} statements", statements.len());
    for statement in statements {
        let found = sources.get(&statement.subject.to_string());
        let found = found.unwrap_or_else(|| panic!("{} has no source", statement.subject));
        assert!(found.iter().all(|source| described.contains(source)), "{found:?}");
    }
}

fn own(name: &str) -> String {
    format!("https://w3id.org/dossier/ns#{name}")
}

/// Returns the quads of the default graph with a predicate.
fn plain<'a>(quads: &'a [Quad], predicate: &str) -> impl Iterator<Item = &'a Quad> {
    let predicate = predicate.to_owned();
    quads.iter().filter(move |quad| {
        quad.graph_name == GraphName::DefaultGraph && quad.predicate.as_str() == predicate
    })
}
