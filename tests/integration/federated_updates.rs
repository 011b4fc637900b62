//! SERVICE in an update: asked before the update has its turn to write.

use std::time::{Duration, Instant};

use dossier::proto::v1::{CancelQueryRequest, ErrorReason, QueryLimits, UpdateRequest};
use tonic::Code;

use crate::{
    elsewhere::Elsewhere,
    federation::{REPLIES, asking, texts},
    harness::{Server, check_error},
    parameters::iri,
    sparql::{client, insert},
    updates::{change, update},
};

const ALL: &str = "SELECT ?o { ?s ?p ?o }";

#[tokio::test]
async fn an_update_writes_what_another_server_knows() {
    let other = Server::start_empty().await;
    insert(&other, "e:a e:name 'A' . e:b e:name 'B' . e:b e:size 2").await;
    let endpoint = format!("http://{}/sparql", other.address);
    let server = asking(&endpoint, Duration::from_secs(10)).await;
    let check = async |text: &str, inserted: i64, names: &[&str]| {
        let text = text.replace("ENDPOINT", &format!("<{endpoint}>"));
        let outcome = update(&server, change(&text)).await.unwrap();
        assert_eq!(outcome.quads_inserted, inserted, "{text}");
        let found = texts(&server, "SELECT ?n { ?x e:called ?n } ORDER BY ?n").await;
        assert_eq!(found, names, "{text}");
    };
    // A later operation's SERVICE meets what an earlier one wrote.
    check(
        "INSERT DATA { e:a e:knows e:b } ;
         INSERT { ?x e:called ?n } WHERE { ?y e:knows ?x SERVICE ENDPOINT { ?x e:name ?n } } ;
         INSERT { ?x e:size ?s } WHERE { ?x e:called 'B' SERVICE ENDPOINT { ?x e:size ?s } }",
        3,
        &["B"],
    )
    .await;
    check(
        "INSERT { ?x e:called ?n } WHERE { SERVICE ENDPOINT { ?x e:name ?n } FILTER NOT EXISTS { SERVICE ENDPOINT { ?x e:size ?z } } }",
        1,
        &["A", "B"],
    )
    .await;
    check(
        "DELETE { ?x e:called ?n } WHERE { ?x e:called ?n MINUS { SERVICE ENDPOINT { ?x e:size ?z FILTER(?z > 1) } } }",
        0,
        &["B"],
    )
    .await;
    check(
        "DELETE { ?x e:called ?n } WHERE { ?x e:called ?n OPTIONAL { SERVICE ENDPOINT { SELECT ?x { ?x e:size 3 } } } }",
        0,
        &[],
    )
    .await;
    // A parameter names the endpoint beforehand.
    let mut request = change("INSERT { ?x e:called ?n } WHERE { SERVICE ?at { ?x e:name ?n } }");
    request.parameters.insert("at".to_owned(), iri(&endpoint));
    assert_eq!(update(&server, request).await.unwrap().quads_inserted, 2);
}

#[tokio::test]
async fn blank_nodes_of_two_services_are_not_the_same() {
    let mut elsewhere = Elsewhere::start(REPLIES).await;
    let server = asking(&elsewhere.url("/"), Duration::from_secs(10)).await;
    let good = elsewhere.url("/good");
    let text = format!(
        "INSERT {{ ?b e:p ?a }} WHERE {{ {{ SERVICE <{good}> {{ ?a e:q ?b }} }} UNION {{ SERVICE <{good}> {{ ?a e:q ?b }} }} }}"
    );
    assert_eq!(update(&server, change(&text)).await.unwrap().quads_inserted, 4);
    let nodes = "SELECT (COUNT(DISTINCT ?b) AS ?n) { ?b e:p ?a }";
    assert_eq!(texts(&server, nodes).await, ["2"]);
    // Both are the same question.
    assert!(elsewhere.requests.recv().await.is_some());
    assert!(elsewhere.requests.try_recv().is_err());
}

#[tokio::test]
async fn a_failure_changes_nothing_unless_it_is_silent() {
    let elsewhere = Elsewhere::start(REPLIES).await;
    let server = asking(&elsewhere.url("/"), Duration::from_millis(300)).await;
    insert(&server, "e:a e:p 1").await;
    for (path, hint) in [
        ("/unbound", "unbound"),
        ("/boolean", "boolean"),
        ("/broken", "do not parse"),
        ("/moved", "redirects are not followed"),
        ("/error", "500"),
        ("/large", "10000 bytes"),
        ("/silent", "within 300ms"),
    ] {
        let url = elsewhere.url(path);
        let text = format!(
            "CLEAR ALL ; INSERT {{ e:b e:p ?o }} WHERE {{ VALUES ?o {{ 1 2 }} SERVICE <{url}> {{ ?a e:q ?b }} }}"
        );
        let outcome = update(&server, change(&text)).await;
        let message = outcome.as_ref().unwrap_err().message().to_owned();
        assert!(message.contains(hint), "{path}: {message}");
        let metadata = check_error(outcome, Code::FailedPrecondition, ErrorReason::RemoteFailed);
        assert_eq!(metadata["url"], url);
        assert_eq!(texts(&server, ALL).await, ["1"], "{path}");
        // One solution that binds nothing.
        let text = text
            .replace("CLEAR ALL ;", "")
            .replace("SERVICE", "SERVICE SILENT");
        let outcome = update(&server, change(&text)).await.unwrap();
        assert_eq!(outcome.quads_inserted, 2, "{path}");
        update(&server, change("DELETE WHERE { e:b ?p ?o }"))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_slow_endpoint_holds_up_nobody() {
    let mut elsewhere = Elsewhere::start(REPLIES).await;
    let server = asking(&elsewhere.url("/"), Duration::from_mins(1)).await;
    let text = format!(
        "INSERT {{ ?a e:p ?b }} WHERE {{ SERVICE SILENT <{}> {{ ?a e:q ?b }} }}",
        elsewhere.url("/silent")
    );
    let slow = UpdateRequest {
        query_id: "waits".into(),
        ..change(&text)
    };
    let others = async {
        elsewhere.requests.recv().await.unwrap();
        // It commits, and only then the other one ends.
        insert(&server, "e:a e:p 1").await;
        let request = CancelQueryRequest {
            query_id: "waits".into(),
        };
        client(&server).cancel_query(request).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(update(&server, slow), others);
    check_error(outcome, Code::Cancelled, ErrorReason::QueryCancelled);
    assert_eq!(texts(&server, ALL).await, ["1"]);
    let start = Instant::now();
    let late = UpdateRequest {
        limits: Some(QueryLimits {
            timeout: Some(prost_types::Duration {
                seconds: 0,
                nanos: 200_000_000,
            }),
            ..Default::default()
        }),
        ..change(&text)
    };
    let outcome = update(&server, late).await;
    check_error(outcome, Code::DeadlineExceeded, ErrorReason::DeadlineExceeded);
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn nothing_is_asked_if_one_endpoint_is_not_listed() {
    let mut elsewhere = Elsewhere::start(REPLIES).await;
    let server = asking(&elsewhere.url("/good"), Duration::from_secs(10)).await;
    let good = elsewhere.url("/good");
    for (second, hint) in [
        ("SERVICE <http://a/>", "--service-allow"),
        ("SERVICE SILENT <http://a/>", "--service-allow"),
        ("SERVICE ?s", "SERVICE ?s in an update"),
        ("SERVICE SILENT ?s", "SERVICE ?s in an update"),
    ] {
        let text = format!(
            "INSERT {{ ?a e:p ?b }} WHERE {{ SERVICE <{good}> {{ ?a e:q ?b }} }} ;
             INSERT {{ ?a e:p ?b }} WHERE {{ VALUES ?s {{ <{good}> }} FILTER NOT EXISTS {{ {second} {{ ?a e:q ?b }} }} }}"
        );
        let outcome = update(&server, change(&text)).await;
        let message = outcome.as_ref().unwrap_err().message().to_owned();
        assert!(message.contains(hint), "{message}");
        check_error(outcome, Code::InvalidArgument, ErrorReason::SparqlUnsupported);
    }
    assert!(elsewhere.requests.try_recv().is_err());
    assert!(texts(&server, ALL).await.is_empty());
}

#[tokio::test]
async fn all_answers_share_the_memory_of_the_update() {
    let other = Server::start_empty().await;
    let numbers: Vec<_> = (0..3_000).map(|number| format!("e:n{number}")).collect();
    insert(&other, &format!("e:a e:p {}", numbers.join(", "))).await;
    let endpoint = format!("http://{}/sparql", other.address);
    let server = Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.service_allow = vec![endpoint.parse().unwrap()];
        settings.query_memory_bytes_max = 2 << 20;
    })
    .await;
    let services = |count: usize| {
        let service = |number| format!("{{ SERVICE <{endpoint}> {{ ?s e:p ?o FILTER(?o != {number}) }} }}");
        let services: Vec<_> = (0..count).map(service).collect();
        change(&format!(
            "INSERT {{ ?s e:p ?o }} WHERE {{ {} }}",
            services.join(" UNION ")
        ))
    };
    check_error(
        update(&server, services(10)).await,
        Code::ResourceExhausted,
        ErrorReason::QueryMemoryExceeded,
    );
    assert!(texts(&server, ALL).await.is_empty());
    assert_eq!(update(&server, services(1)).await.unwrap().quads_inserted, 3_000);
}
