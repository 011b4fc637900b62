//! Statements as RDF 1.2 annotations, in and out.

use dossier::proto::v1::ImportHeader;
use http::{Request, header};

use super::count;
use crate::{
    harness::Server,
    http::{check, check_status, get, post},
};

const STATEMENTS: &str = "/store?graph=https://w3id.org/dossier/g/statements";

async fn read(server: &Server, path: &str, accept: &str) -> String {
    let mut request: Request<String> = get(path);
    request
        .headers_mut()
        .insert(header::ACCEPT, accept.parse().unwrap());
    let response = check_status(server, request, 200).await;
    String::from_utf8(response.into_body().to_vec()).unwrap()
}

/// Returns the lines of a graph in N-Triples, sorted.
async fn lines(server: &Server, path: &str) -> Vec<String> {
    let text = read(server, path, "application/n-triples").await;
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Shows what differs, of thousands of lines.
fn check_same(found: &[String], expected: &[String]) {
    let without = |some: &[String], others: &[String]| {
        let some = some.iter().filter(|line| !others.contains(line));
        some.cloned().collect::<Vec<_>>()
    };
    assert_eq!(without(found, expected), without(expected, found));
}

#[tokio::test]
async fn statements_survive_the_way_out_and_in() {
    let shipped = Server::start().await;
    let reified = format!("{STATEMENTS}&statements=reified");
    let plain = lines(&shipped, STATEMENTS).await;
    let written = lines(&shipped, &reified).await;
    let reifiers = written.iter().filter(|line| line.contains("#reifies> <<( "));
    let statements = plain.iter().filter(|line| line.contains("-syntax-ns#subject>"));
    let (reifiers, statements) = (reifiers.count(), statements.count());
    assert!(reifiers > 100);
    assert_eq!(
        (reifiers, written.len()),
        (statements, plain.len() - 2 * statements)
    );
    let sources = read(
        &shipped,
        "/store?graph=https://w3id.org/dossier/g/sources",
        "text/turtle",
    )
    .await;
    for (media_type, format) in [("text/turtle", "ttl"), ("application/n-triples", "nt")] {
        let document = read(&shipped, &reified, media_type).await;
        let server = Server::start_empty().await;
        let put = post(
            "/store?graph=https://w3id.org/dossier/g/sources",
            "text/turtle",
            &sources,
        );
        check_status(&server, put, 201).await;
        let header = ImportHeader {
            format: format.into(),
            default_graph: "g:statements".into(),
            ..ImportHeader::default()
        };
        let imported = server.import(header, document.as_bytes()).await.unwrap();
        assert_eq!(imported.quads_read, i64::try_from(written.len()).unwrap());
        check_same(&lines(&server, STATEMENTS).await, &plain);
        check_same(&lines(&server, &reified).await, &written);
    }
    check(
        &shipped,
        get(&format!("{STATEMENTS}&statements=odd")),
        400,
        "INVALID_REQUEST",
    )
    .await;
}

#[tokio::test]
async fn annotations_are_taken_as_statements() {
    let server = Server::start_empty().await;
    let prefixes = "PREFIX d: <https://w3id.org/dossier/ns#> PREFIX e: <https://w3id.org/dossier/e/>
        PREFIX s: <https://w3id.org/dossier/s/> PREFIX src: <https://w3id.org/dossier/src/>
        PREFIX prov: <http://www.w3.org/ns/prov#> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>";
    let said = "d:standing d:Accepted ; d:stance d:Asserted ; d:basis d:Stated ; prov:wasDerivedFrom src:a ; d:locator 'P3' ;
        prov:generatedAtTime '2019-08-27T00:00:00Z'^^xsd:dateTime";
    let annotated = format!("{prefixes} e:a e:p e:b ~ s:1 {{| {said} |}} ; e:q e:c .");
    server.import_text("ttl", &annotated).await.unwrap();
    let reified = format!("{prefixes} << e:a e:p e:c ~ s:2 >> {said} .");
    check_status(&server, post("/store?default", "text/turtle", &reified), 204).await;
    let statements =
        "GRAPH g:statements { ?s rdf:subject e:a ; rdf:predicate e:p ; rdf:object ?o ; d:locator 'P3' }";
    assert_eq!(count(&server, statements).await, 2);
    assert_eq!(count(&server, "GRAPH g:statements { ?s ?p ?o }").await, 2 * 9);
    // What is not annotated stays where it was.
    assert_eq!(count(&server, "e:a e:q e:c").await, 1);
    assert_eq!(count(&server, "?s d:standing ?o").await, 0);
    // With a source alone, it is said as WriteFacts has it unless told otherwise.
    let sourced = format!("{prefixes} e:a e:p e:d {{| prov:wasDerivedFrom src:a |}}, e:e .");
    server.import_text("ttl", &sourced).await.unwrap();
    let said = "GRAPH g:statements { ?s rdf:object e:d ; d:stance d:Asserted ; d:standing d:Accepted ; d:basis d:Stated }";
    assert_eq!(count(&server, said).await, 1);
    assert_eq!(count(&server, "GRAPH g:derived { e:a e:p e:d }").await, 1);
    assert_eq!(count(&server, "GRAPH g:derived { e:a e:p e:e }").await, 0);
}
