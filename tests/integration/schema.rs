//! The classes and predicates in use.

use std::collections::BTreeMap;

use dossier::proto::v1::{self, ErrorReason};

use crate::harness::{Server, check_fields};

async fn classes(server: &Server, page_size: i32) -> BTreeMap<String, i64> {
    let mut request = v1::ListClassesRequest {
        page_size,
        ..v1::ListClassesRequest::default()
    };
    let mut found = BTreeMap::new();
    loop {
        let page = server
            .entities()
            .list_classes(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert!(page.classes.len() <= page_size.try_into().unwrap());
        for class in page.classes {
            assert!(found.insert(class.iri, class.instance_count).is_none());
        }
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

async fn predicates(server: &Server, page_size: i32) -> BTreeMap<String, i64> {
    let mut request = v1::ListPredicatesRequest {
        page_size,
        ..v1::ListPredicatesRequest::default()
    };
    let mut found = BTreeMap::new();
    loop {
        let page = server
            .entities()
            .list_predicates(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert!(page.predicates.len() <= page_size.try_into().unwrap());
        for predicate in page.predicates {
            assert!(found.insert(predicate.iri, predicate.triple_count).is_none());
        }
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

/// Asks SPARQL for the same.
async fn counted(server: &Server, pattern: &str) -> BTreeMap<String, i64> {
    let mut client = v1::sparql_service_client::SparqlServiceClient::new(server.channel.clone());
    let request = v1::QueryRequest {
        query: format!(
            "SELECT ?of (STR(COUNT(*)) AS ?count) {{ {pattern} FILTER(isIRI(?of)) }} GROUP BY ?of"
        ),
        ..v1::QueryRequest::default()
    };
    let mut frames = client.query(request).await.unwrap().into_inner();
    let mut found = BTreeMap::new();
    while let Some(message) = frames.message().await.unwrap() {
        let Some(v1::query_response::Frame::Rows(batch)) = message.frame else {
            continue;
        };
        for row in batch.rows {
            let mut terms = row.terms.into_iter().map(|term| term.term.unwrap());
            let (Some(v1::term::Term::Iri(of)), Some(v1::term::Term::Literal(count))) =
                (terms.next(), terms.next())
            else {
                panic!("not an IRI and a count");
            };
            found.insert(of, count.lexical_form.parse().unwrap());
        }
    }
    found
}

#[tokio::test]
async fn classes_and_predicates_are_counted_exactly() {
    let server = Server::start().await;
    let (of_class, of_predicate) = ("?s a ?of", "?s ?of ?o");
    for page_size in [1, 7, 1_000] {
        assert_eq!(
            classes(&server, page_size).await,
            counted(&server, of_class).await
        );
        assert_eq!(
            predicates(&server, page_size).await,
            counted(&server, of_predicate).await
        );
    }
    // Through several layers of the index, and with some that have gone.
    let more = "<http://e.com/a> a <http://e.com/C>, _:b ; <http://e.com/p> 1, 2 .
        <http://e.com/b> a <http://e.com/D> ; <http://e.com/q> 1 .";
    server.import_text("ttl", more).await.unwrap();
    let mut sparql = v1::sparql_service_client::SparqlServiceClient::new(server.channel.clone());
    let update = v1::UpdateRequest {
        update: "DELETE WHERE { <http://e.com/b> ?p ?o }".into(),
        ..v1::UpdateRequest::default()
    };
    assert_eq!(sparql.update(update).await.unwrap().into_inner().quads_removed, 2);
    for page_size in [1, 1_000] {
        assert_eq!(
            classes(&server, page_size).await,
            counted(&server, of_class).await
        );
        assert_eq!(
            predicates(&server, page_size).await,
            counted(&server, of_predicate).await
        );
    }
    let classes = classes(&server, 1_000).await;
    assert_eq!(classes["http://e.com/C"], 1);
    assert!(!classes.contains_key("http://e.com/D"));
    assert!(classes.len() > 10, "{classes:?}");
}

#[tokio::test]
async fn labels_come_in_the_languages_asked_for() {
    let server = Server::start().await;
    let request = v1::ListPredicatesRequest {
        languages: vec!["en".into()],
        page_size: 1_000,
        ..v1::ListPredicatesRequest::default()
    };
    let page = server
        .entities()
        .list_predicates(request)
        .await
        .unwrap()
        .into_inner();
    let capital = page
        .predicates
        .iter()
        .find(|one| one.iri.ends_with("ns#capital"))
        .unwrap();
    assert_eq!(capital.labels[0].text, "capital");
    assert_eq!(page.revision, server.info().await.revision);
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let server = Server::start_empty().await;
    let request = v1::ListClassesRequest {
        page_size: 1_001,
        languages: vec!["not a language".into()],
        ..v1::ListClassesRequest::default()
    };
    let outcome = server.entities().list_classes(request).await;
    check_fields(outcome, ErrorReason::InvalidField, &["page_size", "languages[0]"]);
    // A token is of its own list.
    server
        .import_text("ttl", "<http://e.com/a> a <http://e.com/C>, <http://e.com/D> .")
        .await
        .unwrap();
    let request = v1::ListClassesRequest {
        page_size: 1,
        ..v1::ListClassesRequest::default()
    };
    let page = server
        .entities()
        .list_classes(request)
        .await
        .unwrap()
        .into_inner();
    assert!(!page.next_page_token.is_empty());
    let request = v1::ListPredicatesRequest {
        page_token: page.next_page_token,
        ..v1::ListPredicatesRequest::default()
    };
    let outcome = server.entities().list_predicates(request).await;
    check_fields(outcome, ErrorReason::InvalidPageToken, &["page_token"]);
}
