//! Events, claims and figures: facts about nodes of their own.

use dossier::proto::v1::{self, ErrorReason, Fact, Literal, Stance, Standing, Term, term::Term as Kind};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{S, count, fact, iri, request, retract, retraction, state, write};
use crate::{
    harness::{Server, check_error},
    updates::{change, update},
};

fn about(subject: &str, predicate: &str, object: Term) -> Fact {
    Fact {
        predicate: predicate.into(),
        object: Some(object),
        ..fact(subject, "")
    }
}

fn number(lexical_form: &str) -> Term {
    literal(lexical_form, "xsd:decimal")
}

fn text(text: &str) -> Term {
    literal(text, "")
}

fn literal(lexical_form: &str, datatype: &str) -> Term {
    Term {
        term: Some(Kind::Literal(Literal {
            lexical_form: lexical_form.into(),
            datatype: datatype.into(),
            ..Literal::default()
        })),
    }
}

#[tokio::test]
async fn events_claims_and_figures_are_written_in_one_request() {
    let server = Server::start_empty().await;
    let content = Fact {
        id: "s:content".into(),
        stance: Stance::Attributed.into(),
        standing: Standing::Unconfirmed.into(),
        attributed_to: "e:kono".into(),
        ..about("e:KR", "d:violated", iri("e:agreement"))
    };
    let facts = [
        about("e:announcement", "rdf:type", iri("schema:Event")),
        about("e:announcement", "d:actor", iri("e:KR")),
        about("e:claim", "rdf:type", iri("schema:Claim")),
        about("e:claim", "d:speaker", iri("e:kono")),
        about("e:claim", "d:content", iri("s:content")),
        content,
        about("e:poll", "rdf:type", iri("schema:Observation")),
        about("e:poll", "schema:observationAbout", iri("e:gsomia")),
        about("e:poll", "schema:variableMeasured", iri("e:share")),
        about("e:poll", "schema:unitText", text("percent")),
        about("e:poll", "schema:value", number("54.9")),
    ];
    let written = write(&server, request(facts)).await.unwrap();
    assert_eq!(written.ids.len(), 11);
    let claim = "GRAPH g:statements { ?said rdf:subject e:claim ; rdf:predicate d:content ; rdf:object ?content .
        ?content rdf:subject e:KR ; d:stance d:Attributed ; d:standing d:Unconfirmed ; d:attributedTo e:kono }";
    assert_eq!(count(&server, claim).await, 1);
    let figure = "GRAPH g:statements { ?said rdf:subject e:poll ; rdf:object 54.9 }";
    assert_eq!(count(&server, figure).await, 1);
    // That it was said is a fact, its content is not.
    assert_eq!(count(&server, "e:KR d:violated ?what").await, 0);
}

/// Returns the paths of the fields that an error names.
fn paths(status: &Status) -> Vec<String> {
    let request = status.get_details_bad_request().unwrap();
    request
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

/// A claim and what it says, with ids.
fn claim() -> Vec<Fact> {
    let named = |id: &str, fact| Fact {
        id: id.into(),
        ..fact
    };
    let content = Fact {
        stance: Stance::Attributed.into(),
        ..about("e:KR", "d:violated", iri("e:agreement"))
    };
    vec![
        named("s:claim", about("e:claim", "rdf:type", iri("schema:Claim"))),
        named("s:speaker", about("e:claim", "d:speaker", iri("e:kono"))),
        named("s:link", about("e:claim", "d:content", iri("s:content"))),
        named("s:content", content),
    ]
}

#[tokio::test]
async fn nodes_that_are_not_of_their_class_are_refused() {
    let server = Server::start_empty().await;
    let refuse = async |facts: Vec<Fact>, property: &str, fields: &[&str]| {
        let before = state(&server).await;
        let outcome = write(&server, request(facts)).await;
        assert_eq!(paths(outcome.as_ref().unwrap_err()), fields);
        let metadata = check_error(outcome, Code::InvalidArgument, ErrorReason::StatementInvalid);
        assert!(metadata["property"].ends_with(property), "{metadata:?}");
        assert_eq!(state(&server).await, before);
    };
    // An end before its start.
    let event = about("e:raid", "rdf:type", iri("schema:Event"));
    let time = about("e:raid", "d:edtf", text("2019-08-31/2019-08-01"));
    refuse(vec![event, time], "edtf", &["facts[1].object"]).await;
    // No content; no speaker; a content that somebody states as so.
    let whole = claim();
    let silent = vec![whole[0].clone(), whole[1].clone()];
    refuse(silent, "content", &["facts[0].object"]).await;
    let nobody = vec![whole[2].clone(), whole[3].clone(), whole[0].clone()];
    refuse(nobody, "speaker", &["facts[2].object"]).await;
    let mut reported = claim();
    reported[3].stance = Stance::Reported.into();
    refuse(reported, "content", &["facts[3].standing"]).await;
    // A figure of nothing, with a word for a number.
    let figure = vec![
        about("e:poll", "rdf:type", iri("schema:Observation")),
        about("e:poll", "schema:value", text("most")),
        about("e:poll", "schema:unitText", text("percent")),
        about("e:poll", "schema:observationAbout", iri("e:gsomia")),
    ];
    refuse(
        figure,
        "variableMeasured",
        &["facts[0].object", "facts[1].object"],
    )
    .await;

    // In several requests, the class last.
    write(&server, request(whole[1..].to_vec())).await.unwrap();
    write(&server, request([whole[0].clone()])).await.unwrap();
    let other = about("e:claim", "d:speaker", iri("e:moon"));
    refuse(vec![other.clone()], "speaker", &["facts[0].object"]).await;
    let revised = Fact {
        revises: "s:speaker".into(),
        ..other
    };
    let validated = v1::WriteFactsRequest {
        validate_only: true,
        ..request([revised])
    };
    write(&server, validated).await.unwrap();
    let outcome = retract(&server, retraction(&["s:content", "s:speaker"])).await;
    assert_eq!(paths(outcome.as_ref().unwrap_err()), ["ids[1]"]);
    check_error(outcome, Code::InvalidArgument, ErrorReason::StatementInvalid);
    // An update is held to the same.
    let metadata = check_error(
        update(
            &server,
            change("DELETE WHERE { GRAPH g:statements { s:link ?p ?o } }"),
        )
        .await,
        Code::InvalidArgument,
        ErrorReason::StatementInvalid,
    );
    assert_eq!(metadata["node"], "https://w3id.org/dossier/e/claim");
    let all = ["s:claim", "s:speaker", "s:link", "s:content"];
    retract(&server, retraction(&all)).await.unwrap();
}

#[tokio::test]
async fn what_the_commit_finds_is_told_of_its_field() {
    let server = Server::start_empty().await;
    // Recorded at a time that is still to come.
    let early = "PREFIX d: <https://w3id.org/dossier/ns#> PREFIX e: <https://w3id.org/dossier/e/>
        PREFIX s: <https://w3id.org/dossier/s/> PREFIX prov: <http://www.w3.org/ns/prov#>
        PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
        GRAPH <https://w3id.org/dossier/g/statements> {
            s:early rdf:subject e:a ; rdf:predicate e:p ; rdf:object e:b ; d:stance d:Asserted ; d:standing d:Accepted ;
                d:basis d:Stated ; prov:wasDerivedFrom e:source ; prov:generatedAtTime '2099-01-01T00:00:00Z'^^xsd:dateTime }";
    let outcome = server.import_text("trig", early).await;
    let metadata = check_error(outcome, Code::InvalidArgument, ErrorReason::StatementInvalid);
    assert_eq!(metadata["node"], format!("{S}early"));

    // What a claim says is not accepted because somebody writes it so.
    let content = Fact {
        predicate: "d:content".into(),
        ..fact("e:claim", "s:said")
    };
    write(&server, request([content])).await.unwrap();
    let said = Fact {
        id: "s:said".into(),
        ..fact("e:a", "e:b")
    };
    let outcome = write(&server, request([fact("e:a", "e:e"), said])).await;
    assert_eq!(paths(outcome.as_ref().unwrap_err()), ["facts[1].standing"]);
    check_error(outcome, Code::FailedPrecondition, ErrorReason::ClaimContent);
}
