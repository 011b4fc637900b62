//! Writes that break the fact model, over both protocols, and the reference date.

use dossier::proto::v1::ErrorReason;
use http::{Request, header};
use serde_json::Value;
use tonic::Code;

use crate::{
    harness::{Server, check_error},
    http_client::send,
    sparql::{ask, insert, query},
    updates::{change, update},
};

const STATEMENTS: &str = "GRAPH g:statements {
    s:one rdf:subject e:a ; rdf:predicate d:p ; rdf:object e:b ; d:stance d:Asserted ; d:standing d:Accepted ;
        d:basis d:Stated ; prov:wasDerivedFrom src:a ; d:edtf \"2019-08-01/..\" .
    s:said rdf:subject e:a ; rdf:predicate d:p ; rdf:object e:c ; d:stance d:Attributed ; d:standing d:Unconfirmed ;
        d:basis d:Stated ; prov:wasDerivedFrom src:a ; d:attributedTo e:x . } e:claim d:content s:said .";

async fn count(server: &Server) -> usize {
    let everything = "SELECT * { { ?s ?p ?o } UNION { GRAPH ?g { ?s ?p ?o } } }";
    query(server, ask(everything)).await.unwrap().rows.len()
}

async fn is_so(server: &Server, pattern: &str) -> bool {
    let select = format!("SELECT * {{ {pattern} }}");
    !query(server, ask(&select)).await.unwrap().rows.is_empty()
}

/// Checks an update over gRPC and over HTTP: the reason, one entry of the metadata, and that nothing was written.
async fn check(server: &Server, text: &str, reason: ErrorReason, key: &str, value: &str) {
    let before = count(server).await;
    let code = match reason {
        ErrorReason::StatementInvalid => Code::InvalidArgument,
        _ => Code::FailedPrecondition,
    };
    let metadata = check_error(update(server, change(text)).await, code, reason);
    assert_eq!(metadata[key], value, "{text}: {metadata:?}");
    let prefixes = "PREFIX d: <https://w3id.org/dossier/ns#> PREFIX e: <https://w3id.org/dossier/e/>
        PREFIX s: <https://w3id.org/dossier/s/> PREFIX g: <https://w3id.org/dossier/g/>
        PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>";
    let request = Request::post("/sparql")
        .header(header::CONTENT_TYPE, "application/sparql-update")
        .body(format!("{prefixes} {text}"))
        .unwrap();
    let response = send(server.address, request).await.unwrap();
    let status = if code == Code::InvalidArgument { 400 } else { 409 };
    let problem: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(response.status().as_u16(), status, "{text}: {problem}");
    assert_eq!(
        format!("ERROR_REASON_{}", problem["reason"].as_str().unwrap()),
        reason.as_str_name()
    );
    assert_eq!(problem[key], value);
    assert_eq!(count(server).await, before, "{text}");
}

#[tokio::test]
async fn writes_that_break_the_model_are_refused_over_both_protocols() {
    let server = Server::start_empty().await;
    insert(&server, STATEMENTS).await;
    let invalid = async |insert: &str, delete: &str, property: &str| {
        let text = format!(
            "DELETE DATA {{ GRAPH g:statements {{ {delete} }} }} ; INSERT DATA {{ GRAPH g:statements {{ {insert} }} }}"
        );
        check(
            &server,
            &text,
            ErrorReason::StatementInvalid,
            "property",
            property,
        )
        .await;
    };
    let rdf = |name: &str| format!("http://www.w3.org/1999/02/22-rdf-syntax-ns#{name}");
    let own = |name: &str| format!("https://w3id.org/dossier/ns#{name}");
    invalid("s:one rdf:object e:c", "", &rdf("object")).await;
    invalid("", "s:one rdf:predicate d:p", &rdf("predicate")).await;
    invalid("s:one d:confidence 1.5", "", &own("confidence")).await;
    invalid(
        "s:one d:standing d:Maybe",
        "s:one d:standing d:Accepted",
        &own("standing"),
    )
    .await;
    let edtf = "s:one d:edtf \"2019-08-01/..\"";
    invalid("s:one d:edtf \"2019-08-01/2019-07-01\"", edtf, &own("edtf")).await;
    invalid("s:one d:edtf \"in August\"", edtf, &own("edtf")).await;
    invalid("", edtf, &own("validFrom")).await;
    let triple =
        "<https://w3id.org/dossier/e/a> <https://w3id.org/dossier/ns#p> <https://w3id.org/dossier/e/b>";
    let derived = ErrorReason::DerivedTriple;
    check(&server, "DELETE DATA { e:a d:p e:b }", derived, "triple", triple).await;
    check(&server, "DELETE WHERE { e:a ?p ?o }", derived, "triple", triple).await;
    check(&server, "CLEAR DEFAULT", derived, "triple", triple).await;
    let graph = ErrorReason::DerivedGraph;
    check(&server, "CLEAR GRAPH g:derived", graph, "quad", triple).await;
    let other =
        "<https://w3id.org/dossier/e/a> <https://w3id.org/dossier/ns#p> <https://w3id.org/dossier/e/d>";
    check(
        &server,
        "INSERT DATA { GRAPH g:derived { e:a d:p e:d } }",
        graph,
        "quad",
        other,
    )
    .await;
    let claim = "https://w3id.org/dossier/e/claim";
    check(
        &server,
        "INSERT DATA { e:a d:p e:c }",
        ErrorReason::ClaimContent,
        "claim",
        claim,
    )
    .await;
    // The Graph Store Protocol, and an import.
    let request = Request::delete("/store?default").body(String::new()).unwrap();
    assert_eq!(send(server.address, request).await.unwrap().status(), 409);
    let document = "@prefix d: <https://w3id.org/dossier/ns#> . <https://w3id.org/dossier/g/statements> {
        <https://w3id.org/dossier/s/one> d:confidence 2 }";
    check_error(
        server.import_text("trig", document).await,
        Code::InvalidArgument,
        ErrorReason::StatementInvalid,
    );
    // All of it may go.
    update(&server, change("CLEAR ALL")).await.unwrap();
    assert_eq!(count(&server).await, 0);
}

#[tokio::test]
async fn the_reference_date_rules_and_can_be_changed_at_a_start() {
    let server = Server::start_empty().await;
    insert(&server, STATEMENTS).await;
    assert!(is_so(&server, "e:a d:p e:b . GRAPH g:derived { e:a d:p e:b }").await);
    let info = server.info().await;
    assert_eq!(
        (info.reference_date.as_str(), info.reference_date_is_today),
        ("2019-08-27", false)
    );
    let folder = server.stop().await;
    let on = |date: &'static str| {
        move |settings: &mut dossier::config::ServeSettings| {
            settings.load_shipped_data = false;
            settings.reference_date = date.parse().unwrap();
        }
    };
    let server = Server::start_in(folder, on("2019-07-31")).await;
    let info = server.info().await;
    assert_eq!((info.reference_date.as_str(), info.revision), ("2019-07-31", 2));
    assert!(!is_so(&server, "e:a d:p e:b").await);
    let folder = server.stop().await;
    let server = Server::start_in(folder, on("today")).await;
    assert!(server.info().await.reference_date_is_today);
    assert!(is_so(&server, "e:a d:p e:b").await);
}
