//! The W3C suite of SERVICE: its endpoints are graphs of one server, which asks itself.

use std::{collections::BTreeSet, path::Path};

use bytes::Bytes;
use http::{Request, header};
use oxigraph::model::{GraphName, NamedNode, NamedNodeRef, Quad, Term};

use crate::{
    compare,
    data::{quads_of, text_of},
    manifest::{self, Case},
    suites,
    wire::{self, Server},
};

const MANIFEST: &str = "sparql11/service/manifest.ttl";
const CASE_COUNT: usize = 7;
/// An endpoint of the suite that nobody is at.
const NOBODY: &str = "http://invalid.endpoint.org/sparql";

#[tokio::test]
async fn the_service_suite_passes() {
    let Some(folder) = suites() else {
        println!("not run: the W3C test suites are not here (DOSSIER_W3C_TESTS names their folder)");
        return;
    };
    let server = Server::start().await;
    let cases = manifest::read(&folder, &[MANIFEST]);
    assert_eq!(cases.len(), CASE_COUNT);
    let mut wrong = Vec::new();
    for case in &cases {
        if let Err(error) = run(&server, &folder, case).await {
            wrong.push(format!("{}: {error}", case.id));
        }
    }
    println!("{MANIFEST}: {} of {CASE_COUNT} pass", CASE_COUNT - wrong.len());
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

async fn run(server: &Server, folder: &Path, case: &Case) -> Result<(), String> {
    // The endpoints by their names in the suite, and where they are.
    let mut endpoints = vec![(NOBODY.to_owned(), format!("http://{}/nobody", server.address))];
    let mut quads = Vec::new();
    for (number, (endpoint, file)) in case.services.iter().enumerate() {
        let graph = format!("urn:service:{number}");
        quads.extend(quads_of(folder, file, NamedNodeRef::new(&graph).unwrap()));
        let here = format!("http://{}/sparql?default-graph-uri={graph}", server.address);
        endpoints.push((endpoint.clone(), here));
    }
    for file in &case.data.default {
        quads.extend(quads_of(folder, file, GraphName::DefaultGraph));
    }
    for Quad { object, .. } in &mut quads {
        let here = endpoints
            .iter()
            .find(|(name, _)| matches!(object, Term::NamedNode(node) if node.as_str() == name));
        if let Some((_, here)) = here {
            *object = NamedNode::new(here).unwrap().into();
        }
    }
    server.replace(&BTreeSet::new(), &quads).await;
    let text = format!("BASE <{}>\n{}", case.text, text_of(folder, &case.text));
    let text = endpoints
        .iter()
        .fold(text, |text, (name, here)| text.replace(name, here));
    let request = Request::post("/sparql")
        .header(header::CONTENT_TYPE, "application/sparql-query")
        .header(header::ACCEPT, "application/sparql-results+json");
    let response = server.send(request.body(text).unwrap()).await;
    let response = response.map(|body| {
        let body = String::from_utf8(body.to_vec()).unwrap();
        let there = endpoints
            .iter()
            .fold(body, |body, (name, here)| body.replace(here, name));
        Bytes::from(there)
    });
    let actual = wire::answer(&response)?;
    let expected = compare::read(folder, case.result.as_deref().unwrap());
    if compare::same(&actual, &expected) {
        Ok(())
    } else {
        Err(format!("{actual} is not {expected}"))
    }
}
