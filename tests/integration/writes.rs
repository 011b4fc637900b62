//! `WriteService.WriteFacts` and `RetractFacts`.

mod bad_facts;
mod concurrency;
mod conflicts;
mod counters;
mod nodes;
mod preconditions;
mod reified;
mod round_trip;
mod serial;
mod truthy;

use dossier::proto::v1::{
    self, Basis, ErrorReason, Fact, RetractFactsRequest, RetractFactsResponse, Source, Stance, ValidTime,
    WriteFactsRequest, WriteFactsResponse, term,
};
use tonic::{Code, Status};

use crate::{
    harness::{Server, check_error, check_fields},
    sparql::{ask, query},
};

pub(crate) const S: &str = "https://w3id.org/dossier/s/";

pub(crate) fn iri(iri: &str) -> v1::Term {
    v1::Term {
        term: Some(term::Term::Iri(iri.into())),
    }
}

pub(crate) fn source() -> Source {
    Source {
        iri: "src:a".into(),
        title: "A".into(),
        ..Default::default()
    }
}

/// Returns a fact that can be written anywhere.
pub(crate) fn fact(subject: &str, object: &str) -> Fact {
    Fact {
        subject: subject.into(),
        predicate: "e:p".into(),
        object: Some(iri(object)),
        sources: vec![source()],
        ..Default::default()
    }
}

pub(crate) fn request(facts: impl IntoIterator<Item = Fact>) -> WriteFactsRequest {
    WriteFactsRequest {
        facts: facts.into_iter().collect(),
        ..Default::default()
    }
}

pub(crate) async fn write(server: &Server, request: WriteFactsRequest) -> Result<WriteFactsResponse, Status> {
    Ok(server.writes().write_facts(request).await?.into_inner())
}

pub(crate) async fn retract(
    server: &Server,
    request: RetractFactsRequest,
) -> Result<RetractFactsResponse, Status> {
    Ok(server.writes().retract_facts(request).await?.into_inner())
}

pub(crate) fn retraction(ids: &[&str]) -> RetractFactsRequest {
    RetractFactsRequest {
        ids: ids.iter().map(|&id| id.to_owned()).collect(),
        ..Default::default()
    }
}

/// Asks a query for one literal, and returns its text.
async fn text(server: &Server, pattern: &str) -> String {
    let answer = query(server, ask(&format!("SELECT (STR(?x) AS ?y) {{ {pattern} }}"))).await;
    let rows = answer.unwrap().rows;
    assert_eq!(rows.len(), 1, "{pattern}: {rows:?}");
    match &rows[0][0].term {
        Some(term::Term::Literal(literal)) => literal.lexical_form.clone(),
        other => panic!("{pattern}: {other:?}"),
    }
}

async fn count(server: &Server, pattern: &str) -> u64 {
    let counted = text(server, &format!("{{ SELECT (COUNT(*) AS ?x) {{ {pattern} }} }}")).await;
    counted.parse().unwrap()
}

/// Returns what nothing may have changed: all quads, and the revision.
async fn state(server: &Server) -> (u64, i64) {
    let quads = count(server, "GRAPH ?g { ?s ?p ?o }").await + count(server, "?s ?p ?o").await;
    (quads, server.info().await.revision)
}

#[tokio::test]
async fn a_fact_is_a_statement_with_its_source() {
    let server = Server::start_empty().await;
    let fact = Fact {
        id: "s:1".into(),
        valid_time: Some(ValidTime {
            edtf: "2019-07/..".into(),
            observed_on: "2019-08-27".into(),
            ..Default::default()
        }),
        sources: vec![Source {
            publisher: "The Diplomat".into(),
            locator: "P3".into(),
            ..source()
        }],
        confidence: Some(0.5),
        ..fact("e:a", "e:b")
    };
    let written = write(&server, request([fact])).await.unwrap();
    assert_eq!(written.ids, [format!("{S}1")]);
    let expected = "s:1 rdf:subject e:a ; rdf:predicate e:p ; rdf:object e:b ; d:standing d:Accepted ; d:stance d:Asserted ;
        d:basis d:Stated ; d:edtf '2019-07/..' ; d:validFrom '2019-07-01'^^xsd:date ; d:observedOn '2019-08-27'^^xsd:date ;
        prov:wasDerivedFrom src:a ; d:locator 'P3' ; d:confidence 0.5 ; prov:generatedAtTime ?time";
    let asked = format!(
        "GRAPH g:statements {{ {expected} }} GRAPH g:sources {{ src:a dcterms:title 'A' ; dcterms:publisher 'The Diplomat' }}
        FILTER(DATATYPE(?time) = xsd:dateTime) BIND(1 AS ?x)"
    );
    assert_eq!(text(&server, &asked).await, "1");
    assert_eq!(count(&server, "GRAPH g:statements { s:1 ?p ?o }").await, 13);
    assert_eq!(count(&server, "GRAPH g:sources { ?s ?p ?o }").await, 2);
    assert_eq!(written.quads_removed, 0);
    assert!(written.quads_inserted >= 15);
}

#[tokio::test]
async fn what_is_left_out_has_a_default() {
    let server = Server::start_empty().await;
    let check = async |fact: Fact, expected: &str| {
        let written = write(&server, request([fact])).await.unwrap();
        let id = &written.ids[0];
        assert!(id.starts_with(S) && id.len() == S.len() + 32, "{id}");
        assert_eq!(
            count(&server, &format!("GRAPH g:statements {{ <{id}> {expected} }}")).await,
            1
        );
    };
    let asserted = "d:stance d:Asserted ; d:standing d:Accepted ; d:basis d:Stated";
    check(fact("e:a", "e:b"), asserted).await;
    let planned = Fact {
        stance: Stance::Planned.into(),
        ..fact("e:a", "e:c")
    };
    check(planned, "d:stance d:Planned ; d:standing d:Unconfirmed").await;
    let inferred = Fact {
        basis: Basis::Inferred.into(),
        sources: vec![],
        qualifiers: vec![v1::Qualifier {
            property: "d:inferredPart".into(),
            value: Some(v1::Term {
                term: Some(term::Term::Literal(v1::Literal {
                    lexical_form: "all of it".into(),
                    ..Default::default()
                })),
            }),
        }],
        ..fact("e:a", "e:d")
    };
    check(inferred, "d:basis d:Inferred ; d:inferredPart 'all of it'").await;
    let unknown = Fact {
        object: Some(iri("d:SomeValue")),
        ..fact("e:a", "")
    };
    check(unknown, "rdf:object d:SomeValue").await;
}

#[tokio::test]
async fn a_revision_takes_the_place_of_a_live_statement() {
    let server = Server::start_empty().await;
    let old = Fact {
        id: "s:old".into(),
        ..fact("e:a", "e:b")
    };
    write(&server, request([old])).await.unwrap();
    let new = |id: &str, revises: &str| Fact {
        id: id.into(),
        revises: revises.into(),
        ..fact("e:a", "e:c")
    };
    let outcome = write(&server, request([new("s:new", "s:nobody")])).await;
    let metadata = check_error(outcome, Code::NotFound, ErrorReason::FactNotFound);
    assert_eq!(metadata["id"], format!("{S}nobody"));
    let written = write(&server, request([new("s:new", "s:old")])).await.unwrap();
    let found = "GRAPH g:statements { s:new prov:wasRevisionOf s:old ; prov:generatedAtTime ?time .
        s:old prov:invalidatedAtTime ?time }";
    assert_eq!(count(&server, found).await, 1);
    // The same again changes nothing; another one comes too late.
    let again = write(&server, request([new("s:new", "s:old")])).await.unwrap();
    assert_eq!(again.revision, written.revision);
    let before = state(&server).await;
    let outcome = write(&server, request([new("s:late", "s:old")])).await;
    let metadata = check_error(
        outcome,
        Code::FailedPrecondition,
        ErrorReason::FactAlreadyRetracted,
    );
    assert_eq!(metadata["id"], format!("{S}old"));
    let disputing = Fact {
        disputes: vec!["s:new".into(), "s:nobody".into()],
        ..fact("e:a", "e:d")
    };
    let outcome = write(&server, request([disputing])).await;
    check_error(outcome, Code::NotFound, ErrorReason::FactNotFound);
    assert_eq!(state(&server).await, before);
}

#[tokio::test]
async fn a_retraction_ends_a_statement_and_keeps_it() {
    let server = Server::start_empty().await;
    let facts = ["s:1", "s:2"].map(|id| Fact {
        id: id.into(),
        ..fact("e:a", "e:b")
    });
    write(&server, request(facts)).await.unwrap();
    let before = state(&server).await;
    let outcome = retract(&server, retraction(&["s:1", "s:nobody", "s:none"])).await;
    let message = outcome.as_ref().unwrap_err().message().to_owned();
    assert!(
        message.contains("ids[1]") && message.contains("ids[2]"),
        "{message}"
    );
    let metadata = check_error(outcome, Code::NotFound, ErrorReason::FactNotFound);
    assert_eq!(metadata["id"], format!("{S}nobody"));
    let outcome = retract(&server, retraction(&["s:1", "s:1", "x", ""])).await;
    check_fields(
        outcome,
        ErrorReason::InvalidField,
        &["ids[1]", "ids[2]", "ids[3]"],
    );
    let validated = RetractFactsRequest {
        validate_only: true,
        ..retraction(&["s:1"])
    };
    let validated = retract(&server, validated).await.unwrap();
    assert!(validated.quads_inserted >= 1);
    assert_eq!(state(&server).await, before);
    let retracted = retract(&server, retraction(&["s:1"])).await.unwrap();
    assert_eq!(retracted.revision, before.1 + 1);
    let ended =
        "GRAPH g:statements { s:1 rdf:object e:b ; prov:generatedAtTime ?from ; prov:invalidatedAtTime ?to }
        FILTER(?from < ?to)";
    assert_eq!(count(&server, ended).await, 1);
    let outcome = retract(&server, retraction(&["s:2", "s:1"])).await;
    let metadata = check_error(
        outcome,
        Code::FailedPrecondition,
        ErrorReason::FactAlreadyRetracted,
    );
    assert_eq!(metadata["id"], format!("{S}1"));
    assert_eq!(
        count(&server, "GRAPH g:statements { ?s prov:invalidatedAtTime ?to }").await,
        1
    );
}

#[tokio::test]
async fn a_request_id_makes_a_write_idempotent_over_a_restart() {
    let server = Server::start_empty().await;
    let writing = || WriteFactsRequest {
        request_id: "once".into(),
        ..request([fact("e:a", "e:b"), fact("e:a", "e:c")])
    };
    let retracting = |ids: &[String]| RetractFactsRequest {
        ids: ids.to_vec(),
        request_id: "end".into(),
        ..Default::default()
    };
    let validated = WriteFactsRequest {
        validate_only: true,
        ..writing()
    };
    let validated = write(&server, validated).await.unwrap();
    let first = write(&server, writing()).await.unwrap();
    assert_eq!(
        (&validated.ids, validated.quads_inserted),
        (&first.ids, first.quads_inserted)
    );
    let ended = retract(&server, retracting(&first.ids[..1])).await.unwrap();
    let expected = state(&server).await;
    let folder = server.stop().await;
    let server = Server::start_in(folder, |settings| settings.load_shipped_data = false).await;
    assert_eq!(write(&server, writing()).await.unwrap(), first);
    assert_eq!(
        retract(&server, retracting(&first.ids[..1])).await.unwrap(),
        ended
    );
    for outcome in [
        write(
            &server,
            WriteFactsRequest {
                message: "other".into(),
                ..writing()
            },
        )
        .await
        .map(|_| ()),
        retract(&server, retracting(&first.ids)).await.map(|_| ()),
        retract(
            &server,
            RetractFactsRequest {
                request_id: "once".into(),
                ..retraction(&[&first.ids[1]])
            },
        )
        .await
        .map(|_| ()),
    ] {
        check_error(outcome, Code::AlreadyExists, ErrorReason::RequestIdReused);
    }
    // Without one, the same facts are stated anew.
    let expected_revision = Some(expected.1 - 1);
    let stale = WriteFactsRequest {
        request_id: String::new(),
        expected_revision,
        ..writing()
    };
    check_error(
        write(&server, stale).await,
        Code::Aborted,
        ErrorReason::RevisionMismatch,
    );
    assert_eq!(state(&server).await, expected);
    let anew = WriteFactsRequest {
        request_id: String::new(),
        ..writing()
    };
    let anew = write(&server, anew).await.unwrap();
    assert!(anew.ids.iter().all(|id| !first.ids.contains(id)));
}
