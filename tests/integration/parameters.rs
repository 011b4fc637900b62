//! Parameters of queries and updates.

use dossier::proto::v1::{self, ErrorReason, QueryRequest, UpdateRequest, term::Term as Kind};
use tonic::Code;

use crate::{
    harness::{Server, check_error, check_fields},
    sparql::{ask, client, insert, query},
};

pub(crate) fn iri(name: &str) -> v1::Term {
    v1::Term {
        term: Some(Kind::Iri(name.into())),
    }
}

fn text(value: &str) -> v1::Term {
    let literal = v1::Literal {
        lexical_form: value.into(),
        ..Default::default()
    };
    v1::Term {
        term: Some(Kind::Literal(literal)),
    }
}

fn bound(query: &str, parameters: &[(&str, v1::Term)]) -> QueryRequest {
    QueryRequest {
        parameters: map(parameters),
        ..ask(query)
    }
}

fn map(parameters: &[(&str, v1::Term)]) -> std::collections::HashMap<String, v1::Term> {
    let parameters = parameters.iter().cloned();
    parameters.map(|(name, term)| (name.to_owned(), term)).collect()
}

#[tokio::test]
async fn terms_take_the_places_of_variables() {
    let server = Server::start_empty().await;
    insert(&server, "e:a e:p 'x' . e:b e:p 'x' , 'y' . e:a e:q e:b").await;
    let entity = "https://w3id.org/dossier/e/";
    let check = async |asked: &str, parameters: &[(&str, v1::Term)], expected: &[&str]| {
        let answer = query(&server, bound(asked, parameters)).await.unwrap();
        assert_eq!(answer.texts(), expected, "{asked}");
    };
    let (a, x) = (format!("<{entity}a>"), "x|||0");
    check(
        "SELECT ?s { ?s e:p ?o }",
        &[("o", text("y"))],
        &[&format!("<{entity}b>")],
    )
    .await;
    check(
        "SELECT ?s ?o { ?s e:p ?o }",
        &[("s", iri("e:a"))],
        &[&format!("{a} {x}")],
    )
    .await;
    check(
        "SELECT ?s ?o { ?s ?p ?o } ORDER BY ?o",
        &[("p", iri("e:p")), ("s", iri("e:b"))],
        &[&format!("<{entity}b> {x}"), &format!("<{entity}b> y|||0")],
    )
    .await;
    // Never read as SPARQL.
    check("SELECT ?s { ?s e:p ?o }", &[("o", text("x' } #"))], &[]).await;
    let update = UpdateRequest {
        update: "DELETE { ?s e:p ?o } INSERT { ?s e:p ?new } WHERE { ?s e:p ?o }".into(),
        parameters: map(&[("s", iri("e:b")), ("new", text("'"))]),
        ..Default::default()
    };
    let answer = client(&server).update(update).await.unwrap().into_inner();
    assert_eq!((answer.quads_inserted, answer.quads_removed), (1, 2));
    check("SELECT ?o { e:b e:p ?o }", &[], &["'|||0"]).await;
}

#[tokio::test]
async fn what_cannot_be_bound_is_refused_with_its_name() {
    let server = Server::start_empty().await;
    let node = v1::Term {
        term: Some(Kind::BlankNode("b".into())),
    };
    let check = async |parameters: &[(&str, v1::Term)], reason, fields: &[&str]| {
        let asked = "SELECT * { ?s ?p ?o GRAPH ?g { ?o ?p ?s } BIND(1 AS ?n) }";
        check_fields(query(&server, bound(asked, parameters)).await, reason, fields);
        let update = UpdateRequest {
            update: "INSERT { ?s ?p ?o GRAPH ?g { ?o ?p ?s } } WHERE { BIND(1 AS ?n) }".into(),
            parameters: map(parameters),
            ..Default::default()
        };
        check_fields(client(&server).update(update).await, reason, fields);
    };
    let unbound = ErrorReason::InvalidParameter;
    check(&[("none", text("a"))], unbound, &["parameters[none]"]).await;
    check(&[("?s", iri("e:a"))], unbound, &["parameters[?s]"]).await;
    check(&[("o", node)], unbound, &["parameters[o]"]).await;
    check(&[("n", text("a"))], unbound, &["parameters[n]"]).await;
    check(
        &[("p", text("a")), ("s", text("a"))],
        unbound,
        &["parameters[s]", "parameters[p]"],
    )
    .await;
    check(&[("g", text("a"))], unbound, &["parameters[g]"]).await;
    check(
        &[("s", iri("nope:a"))],
        ErrorReason::UnknownPrefix,
        &["parameters[s].iri"],
    )
    .await;
    check(
        &[("o", v1::Term::default()), ("s", iri(""))],
        ErrorReason::InvalidField,
        &["parameters[o]", "parameters[s].iri"],
    )
    .await;
}

#[tokio::test]
async fn parameters_are_limited() {
    let server = Server::start_with(|settings| settings.query_bytes_max = 4_096).await;
    let many = |count: usize| {
        let pairs = (0..count).map(|number| (format!("v{number}"), text("a")));
        let variables: Vec<_> = (0..count).map(|number| format!("?v{number}")).collect();
        QueryRequest {
            parameters: pairs.collect(),
            ..ask(&format!("SELECT * {{ VALUES ({}) {{}} }}", variables.join(" ")))
        }
    };
    query(&server, many(100)).await.unwrap();
    check_fields(
        query(&server, many(101)).await,
        ErrorReason::InvalidField,
        &["parameters"],
    );
    // The rest are the name and what protobuf takes.
    let long = |bytes: usize| bound("ASK { ?s ?p ?o }", &[("o", text(&"x".repeat(bytes)))]);
    query(&server, long(4_096 - 7)).await.unwrap();
    check_fields(
        query(&server, long(4_096 - 6)).await,
        ErrorReason::InvalidField,
        &["parameters"],
    );
}

#[tokio::test]
async fn an_idempotent_update_is_known_by_its_parameters_too() {
    let server = Server::start_empty().await;
    let request = |value: &str| UpdateRequest {
        update: "INSERT { e:a e:p ?o } WHERE {}".into(),
        parameters: map(&[("o", text(value))]),
        request_id: "once".into(),
        ..Default::default()
    };
    let first = client(&server).update(request("x")).await.unwrap().into_inner();
    let again = client(&server).update(request("x")).await.unwrap().into_inner();
    assert_eq!(first, again);
    let outcome = client(&server).update(request("y")).await;
    check_error(outcome, Code::AlreadyExists, ErrorReason::RequestIdReused);
}

#[tokio::test]
async fn a_caller_limits_its_update() {
    let server = Server::start_empty().await;
    let triples = (0..2_000)
        .map(|number| format!("e:s{number} e:p {number} ."))
        .collect::<Vec<_>>();
    insert(&server, &triples.concat()).await;
    let request = |row_count_max, nanos| UpdateRequest {
        update: "INSERT { e:a e:n ?n } WHERE { SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } }"
            .into(),
        limits: Some(v1::QueryLimits {
            row_count_max,
            timeout: Some(prost_types::Duration { seconds: 0, nanos }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let outcome = client(&server).update(request(0, 200_000_000)).await;
    check_error(outcome, Code::DeadlineExceeded, ErrorReason::DeadlineExceeded);
    check_fields(
        client(&server).update(request(1, 0)).await,
        ErrorReason::InvalidField,
        &["limits.row_count_max", "limits.timeout"],
    );
}
