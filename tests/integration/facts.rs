use dossier::{
    model::iri::resolve,
    proto::v1::{self, ErrorReason, ListFactsRequest, Standing, term},
};

use crate::harness::{Server, check_fields};

async fn walk(server: &Server, request: &ListFactsRequest, page_size: i32) -> Vec<v1::Fact> {
    let mut facts = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = server
            .list(ListFactsRequest {
                page_size,
                page_token,
                ..request.clone()
            })
            .await
            .unwrap();
        assert!(page.facts.len() <= usize::try_from(page_size).unwrap());
        facts.extend(page.facts);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return facts;
        }
    }
}

fn iri(iri: &str) -> v1::Term {
    v1::Term {
        term: Some(term::Term::Iri(iri.into())),
    }
}

#[tokio::test]
async fn filters_choose_facts_and_pages_are_the_whole() {
    let server = Server::start().await;
    let all = walk(&server, &ListFactsRequest::default(), 10_000).await;
    let base = ListFactsRequest::default;
    let requests = [
        ListFactsRequest {
            subject: "e:KR".into(),
            ..base()
        },
        ListFactsRequest {
            predicate: "d:happenedOn".into(),
            ..base()
        },
        ListFactsRequest {
            object: Some(iri("e:gsomia")),
            ..base()
        },
        ListFactsRequest {
            subject: "e:KR".into(),
            predicate: "d:allyOf".into(),
            object: Some(iri("e:US")),
            ..base()
        },
        ListFactsRequest {
            source: "src:yonhap-aen20190822011700315".into(),
            ..base()
        },
        ListFactsRequest {
            source: "src:diplomat-2019-gsomia".into(),
            subject: "e:KR".into(),
            ..base()
        },
        ListFactsRequest {
            standings: vec![Standing::Preferred.into()],
            ..base()
        },
        ListFactsRequest {
            standings: vec![Standing::Accepted.into()],
            subject: "e:JP".into(),
            ..base()
        },
    ];
    for request in requests {
        let whole = walk(&server, &request, 10_000).await;
        let is = |iri: &str, wanted: &str| wanted.is_empty() || iri == resolve(wanted).unwrap();
        let expected = all.iter().filter(|fact| {
            is(&fact.subject, &request.subject)
                && is(&fact.predicate, &request.predicate)
                && (request.standings.is_empty() || request.standings.contains(&fact.standing))
                && (request.source.is_empty()
                    || fact.sources.iter().any(|source| is(&source.iri, &request.source)))
                && request
                    .object
                    .as_ref()
                    .is_none_or(|wanted| match (&fact.object, &wanted.term) {
                        (
                            Some(v1::Term {
                                term: Some(term::Term::Iri(found)),
                            }),
                            Some(term::Term::Iri(wanted)),
                        ) => is(found, wanted),
                        _ => false,
                    })
        });
        let mut expected: Vec<_> = expected.map(|fact| format!("{fact:?}")).collect();
        let mut found: Vec<_> = whole.iter().map(|fact| format!("{fact:?}")).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{request:?}");
        assert_eq!(walk(&server, &request, 1).await, whole, "{request:?}");
    }
    let small = walk(&server, &ListFactsRequest::default(), 7).await;
    assert_eq!(small, all);
}

#[tokio::test]
async fn several_statements_are_several_facts() {
    let server = Server::start_empty().await;
    let statement = |id: &str, more: &str| {
        format!(
            "s:{id} rdf:subject e:a ; rdf:predicate d:p ; rdf:object e:b ; d:standing d:Accepted ; d:stance d:Asserted ;
            d:basis d:Stated ; prov:wasDerivedFrom e:source {more} . "
        )
    };
    let text = format!(
        "@prefix d: <https://w3id.org/dossier/ns#> . @prefix e: <https://w3id.org/dossier/e/> .
        @prefix xsd: <http://www.w3.org/2001/XMLSchema#> . @prefix s: <https://w3id.org/dossier/s/> . @prefix g: <https://w3id.org/dossier/g/> .
        @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . @prefix prov: <http://www.w3.org/ns/prov#> .
        e:a d:p e:b, e:c .
        g:statements {{ {} {} {} {} }}",
        statement("one", "; d:confidence 0.5 ; d:edtf \"2018/..\" ; d:q \"x\"@en-US ; d:disputes s:two"),
        statement("two", "; d:observedOn \"2019-08-01\"^^xsd:date, \"2019-08-02\"^^xsd:date"),
        statement(
            "gone",
            "; prov:generatedAtTime \"2019-08-27T00:00:00Z\"^^xsd:dateTime ;
            prov:invalidatedAtTime \"2020-01-01T00:00:00Z\"^^xsd:dateTime"
        ),
        statement("denied", "; d:negated true"),
    );
    server.import_text("trig", &text).await.unwrap();
    let request = ListFactsRequest {
        subject: "e:a".into(),
        ..Default::default()
    };
    let facts = walk(&server, &request, 100).await;
    let ids: Vec<_> = facts
        .iter()
        .map(|fact| fact.id.rsplit('/').next().unwrap_or_default())
        .collect();
    assert_eq!(ids, ["one", "two", ""]);
    let one = &facts[0];
    assert_eq!(one.confidence, Some(0.5));
    assert_eq!(one.valid_time.as_ref().unwrap().edtf, "2018/..");
    assert_eq!(one.disputes, ["https://w3id.org/dossier/s/two"]);
    let Some(term::Term::Literal(literal)) = one.qualifiers[0].value.clone().unwrap().term else {
        panic!("{one:?}");
    };
    assert_eq!((one.qualifiers.len(), literal.language.as_str()), (1, "en-US"));
    // What does not fit its field is not lost.
    let two = &facts[1];
    assert_eq!(
        two.valid_time.as_ref().unwrap().observed_on.len() + two.qualifiers.len(),
        "2019-08-01".len() + 1
    );
    assert!(two.recorded_at.is_some());
    assert_eq!(walk(&server, &request, 1).await, facts);
}

#[tokio::test]
async fn bad_filters_are_refused() {
    let server = Server::start().await;
    let request = ListFactsRequest {
        subject: "<>".into(),
        predicate: "nope:p".into(),
        object: Some(v1::Term {
            term: Some(term::Term::Literal(v1::Literal {
                datatype: "nope:t".into(),
                ..Default::default()
            })),
        }),
        source: "no iri".into(),
        standings: vec![1, 99],
        page_size: 10_001,
        ..Default::default()
    };
    check_fields(
        server.list(request).await,
        ErrorReason::InvalidIri,
        &[
            "subject",
            "predicate",
            "object.literal.datatype",
            "source",
            "standings[1]",
            "page_size",
        ],
    );
    let request = ListFactsRequest {
        object: Some(v1::Term::default()),
        ..Default::default()
    };
    check_fields(server.list(request).await, ErrorReason::InvalidField, &["object"]);
    let first = ListFactsRequest {
        page_size: 1,
        ..Default::default()
    };
    let token = server.list(first.clone()).await.unwrap().next_page_token;
    let alien = ListFactsRequest {
        subject: "e:KR".into(),
        page_token: token.clone(),
        ..first.clone()
    };
    check_fields(
        server.list(alien).await,
        ErrorReason::InvalidPageToken,
        &["page_token"],
    );
    let damaged = ListFactsRequest {
        page_token: format!("{token}A"),
        ..first
    };
    check_fields(
        server.list(damaged).await,
        ErrorReason::InvalidPageToken,
        &["page_token"],
    );
}

/// Whoever passes a fact on finds in its sources what their licences ask for.
#[tokio::test]
async fn sources_of_a_fact_have_licence_and_attribution() {
    let server = Server::start().await;
    let request = v1::ListFactsRequest {
        subject: "e:FR".into(),
        predicate: "d:capital".into(),
        ..v1::ListFactsRequest::default()
    };
    let facts = server.list(request).await.unwrap().facts;
    let sources: Vec<_> = facts.iter().flat_map(|fact| &fact.sources).collect();
    assert_eq!((facts.len(), sources.len()), (1, 2));
    for source in sources {
        assert_eq!(source.license, "https://creativecommons.org/licenses/by/4.0/");
        assert_eq!(
            source.attribution,
            "Contains data from GeoNames (www.geonames.org), CC BY 4.0"
        );
    }
}
