//! Requests for facts: bad times, parts, labels, conflicts, identifiers.

use dossier::proto::v1::{
    self, CheckFactRequest, Date, ErrorReason, GetFactRequest, ListFactsRequest, ReadOptions,
    entity_identifier::Value,
};
use prost_types::Timestamp;

use crate::{
    harness::{Server, check_fields},
    verdicts::{REFERENCE, at, date, name},
};

#[tokio::test]
async fn bad_times_are_refused() {
    let server = Server::start().await;
    let read = |as_of: Option<Date>, known_at: Option<Timestamp>| ListFactsRequest {
        read: Some(ReadOptions {
            min_revision: 0,
            as_of,
            known_at,
            ..ReadOptions::default()
        }),
        ..ListFactsRequest::default()
    };
    for text in ["2019-02-30", "2019-13-01", "0-0-0", "10000-01-01", "2019-01-257"] {
        check_fields(
            server.list(read(Some(date(text)), None)).await,
            ErrorReason::InvalidDate,
            &["read.as_of"],
        );
    }
    assert!(server.list(read(Some(date("9999-12-31")), None)).await.is_ok());
    for (seconds, nanos) in [
        (253_402_300_800, 0),
        (-62_135_596_801, 0),
        (0, -1),
        (0, 1_000_000_000),
    ] {
        let known_at = Some(Timestamp { seconds, nanos });
        check_fields(
            server.list(read(None, known_at)).await,
            ErrorReason::InvalidField,
            &["read.known_at"],
        );
    }
    for (seconds, nanos) in [(253_402_300_799, 999_999_999), (-62_135_596_800, 0)] {
        assert!(
            server
                .list(read(None, Some(Timestamp { seconds, nanos })))
                .await
                .is_ok()
        );
    }
    let sole = |source: &str, scope: v1::FactScope| ListFactsRequest {
        source: source.into(),
        sole_source: true,
        scope: scope.into(),
        ..ListFactsRequest::default()
    };
    check_fields(
        server.list(sole("", v1::FactScope::Holding)).await,
        ErrorReason::InvalidField,
        &["sole_source"],
    );
    for scope in [v1::FactScope::Live, v1::FactScope::All] {
        assert!(server.list(sole("e:KR", scope)).await.is_ok());
    }
    let unknown = ListFactsRequest {
        scope: 9,
        stances: vec![99],
        bases: vec![99],
        ..ListFactsRequest::default()
    };
    check_fields(
        server.list(unknown).await,
        ErrorReason::InvalidField,
        &["stances[0]", "bases[0]", "scope"],
    );
    let nothing = server.facts().check_fact(CheckFactRequest::default()).await;
    check_fields(
        nothing,
        ErrorReason::InvalidField,
        &["subject", "predicate", "object"],
    );
}

#[tokio::test]
async fn entities_have_the_parts_that_are_asked_for() {
    let server = Server::start().await;
    let get = async |paths: &[&str]| {
        let request = v1::GetEntityRequest {
            entity: "e:KR".into(),
            read_mask: Some(prost_types::FieldMask {
                paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            }),
            ..v1::GetEntityRequest::default()
        };
        let answer = server.entities().get_entity(request).await?;
        Ok::<_, tonic::Status>(answer.into_inner().entity.unwrap())
    };
    let parts = |entity: &v1::Entity| {
        [
            !entity.labels.is_empty(),
            !entity.aliases.is_empty(),
            !entity.types.is_empty(),
            !entity.facts.is_empty(),
        ]
    };
    assert_eq!(parts(&get(&[]).await.unwrap()), [true; 4]);
    assert_eq!(
        parts(&get(&["labels"]).await.unwrap()),
        [true, false, false, false]
    );
    assert_eq!(
        parts(&get(&["aliases", "types"]).await.unwrap()),
        [false, true, true, false]
    );
    assert_eq!(
        parts(&get(&["facts"]).await.unwrap()),
        [false, false, false, true]
    );
    check_fields(
        get(&["labels", "facts.id", ""]).await,
        ErrorReason::InvalidField,
        &["read_mask.paths[1]", "read_mask.paths[2]"],
    );
}

#[tokio::test]
async fn facts_have_labels_in_the_languages_that_are_preferred() {
    let server = Server::start().await;
    let labels = async |languages: &[&str]| {
        let request = GetFactRequest {
            id: "s:F48".into(),
            label_languages: languages.iter().map(|tag| (*tag).to_owned()).collect(),
            ..GetFactRequest::default()
        };
        let fact = server.facts().get_fact(request).await?.into_inner().fact.unwrap();
        let text =
            |label: Option<v1::LangString>| label.map(|label| format!("{} @{}", label.text, label.language));
        Ok::<_, tonic::Status>([
            text(fact.subject_label),
            text(fact.predicate_label),
            text(fact.object_label),
        ])
    };
    assert_eq!(labels(&[]).await.unwrap(), [None, None, None]);
    let [_, predicate, object] = labels(&["ja", "en"]).await.unwrap();
    assert_eq!(object.as_deref(), Some("アメリカ合衆国 @ja"));
    assert_eq!(predicate.as_deref(), Some("party @en"));
    let [.., object] = labels(&["en", "ja"]).await.unwrap();
    assert_eq!(object.as_deref(), Some("United States @en"));
    assert_eq!(labels(&["tlh"]).await.unwrap()[2], None);
    check_fields(
        labels(&["en_US"]).await,
        ErrorReason::InvalidField,
        &["label_languages[0]"],
    );
}

#[tokio::test]
async fn labels_are_to_be_had_wherever_facts_are() {
    let server = Server::start().await;
    let languages = || vec!["ko".to_owned()];
    let subject = |facts: &[v1::Fact]| facts[0].subject_label.clone().unwrap().text;
    let history = v1::ListFactHistoryRequest {
        subject: "e:gsomia".into(),
        predicate: "d:endsOn".into(),
        label_languages: languages(),
        ..v1::ListFactHistoryRequest::default()
    };
    let history = server
        .facts()
        .list_fact_history(history)
        .await
        .unwrap()
        .into_inner();
    let compared = v1::CompareFactsRequest {
        subject: "e:gsomia".into(),
        predicate: "d:endsOn".into(),
        label_languages: languages(),
        ..v1::CompareFactsRequest::default()
    };
    let compared = server.facts().compare_facts(compared).await.unwrap().into_inner();
    let conflicts = v1::ListConflictsRequest {
        subject: "e:gsomia".into(),
        label_languages: languages(),
        ..v1::ListConflictsRequest::default()
    };
    let conflicts = server
        .facts()
        .list_conflicts(conflicts)
        .await
        .unwrap()
        .into_inner();
    let name = subject(&history.facts);
    assert!(!name.is_ascii(), "{name}");
    assert_eq!(subject(&compared.groups[0].facts), name);
    assert_eq!(subject(&conflicts.conflicts[0].facts), name);
    let timeline = async |languages: Vec<String>| {
        let request = v1::GetTimelineRequest {
            entity: "e:kr-jp-dispute".into(),
            label_languages: languages,
            ..v1::GetTimelineRequest::default()
        };
        let timeline = server.facts().get_timeline(request).await?.into_inner();
        Ok::<_, tonic::Status>(timeline.entries.last().unwrap().event_label.clone())
    };
    assert_eq!(timeline(languages()).await.unwrap(), "화이트리스트 제외");
    assert!(
        timeline(Vec::new())
            .await
            .unwrap()
            .starts_with("removal of South Korea")
    );
    check_fields(
        timeline(vec!["not one".into()]).await,
        ErrorReason::InvalidField,
        &["label_languages[0]"],
    );
}

#[tokio::test]
async fn conflicts_are_listed_once() {
    let server = Server::start().await;
    let list = async |subject: &str, source: &str, page_size: i32| {
        let mut request = v1::ListConflictsRequest {
            subject: subject.into(),
            source: source.into(),
            page_size,
            read: Some(at(REFERENCE, Some(REFERENCE))),
            ..v1::ListConflictsRequest::default()
        };
        let mut found = Vec::new();
        loop {
            let page = server
                .facts()
                .list_conflicts(request.clone())
                .await
                .unwrap()
                .into_inner();
            assert!(page.conflicts.len() <= usize::try_from(page_size).unwrap());
            found.extend(page.conflicts);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return found;
            }
        }
    };
    let whole = list("", "", 1_000).await;
    let key = |conflict: &v1::Conflict| format!("{} {}", conflict.subject, conflict.predicate);
    let mut keys: Vec<_> = whole.iter().map(key).collect();
    keys.sort();
    let count = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), count);
    assert!(
        keys.iter()
            .any(|key| key.ends_with("e/KR https://w3id.org/dossier/ns#understands"))
    );
    let ends = whole
        .iter()
        .find(|conflict| conflict.predicate.ends_with("#endsOn"))
        .unwrap();
    assert_eq!(ends.facts.len(), 4);
    assert_eq!(list("", "", 1).await, whole);
    let of_gsomia = list("e:gsomia", "", 1).await;
    assert!(!of_gsomia.is_empty() && of_gsomia.len() < whole.len());
    assert!(
        of_gsomia
            .iter()
            .all(|conflict| name(&conflict.subject) == "gsomia")
    );
    let of_source = list("", "src:taiwan-news-2019-08-07", 10).await;
    assert!(
        of_source
            .iter()
            .any(|conflict| conflict.predicate.ends_with("#endsOn"))
    );
    assert!(list("e:nobody", "", 10).await.is_empty());
}

fn identifier(text: &str, property: &str) -> v1::EntityIdentifier {
    v1::EntityIdentifier {
        value: Some(Value::Text(text.into())),
        property: property.into(),
    }
}

fn lookup(identifiers: Vec<v1::EntityIdentifier>) -> v1::LookupEntitiesRequest {
    v1::LookupEntitiesRequest {
        identifiers,
        ..v1::LookupEntitiesRequest::default()
    }
}

/// Looks up, and returns the entities and properties for each identifier.
async fn look_up(
    server: &Server,
    identifiers: Vec<v1::EntityIdentifier>,
) -> Result<Vec<Vec<(String, String)>>, tonic::Status> {
    let answer = server
        .entities()
        .lookup_entities(lookup(identifiers))
        .await?
        .into_inner();
    let found = |result: v1::IdentifierResult| {
        assert!(!result.has_more);
        let matches = result.matches.into_iter();
        matches
            .map(|found| (found.entity.unwrap().iri, found.property))
            .collect()
    };
    Ok(answer.results.into_iter().map(found).collect())
}

#[tokio::test]
async fn entities_are_looked_up_by_identifiers() {
    let server = Server::start().await;
    let kr = |property: &str| {
        let property = format!("https://w3id.org/dossier/ns#{property}");
        vec![("https://w3id.org/dossier/e/KR".to_owned(), property)]
    };
    let asked = vec![
        identifier("KR", ""),
        identifier("KOR", ""),
        identifier("410", "d:iso3166Numeric"),
        identifier("KR", "d:iso3166Alpha3"),
        identifier("no such code", ""),
    ];
    let expected = [
        kr("iso3166Alpha2"),
        kr("iso3166Alpha3"),
        kr("iso3166Numeric"),
        vec![],
        vec![],
    ];
    assert_eq!(look_up(&server, asked).await.unwrap(), expected);
    let kosovo = look_up(&server, vec![identifier("XK", "")]).await.unwrap();
    assert_eq!(kosovo[0][0].1, "https://w3id.org/dossier/ns#userAssignedCode");
    // More than an async thread takes.
    let many = vec![identifier("KR", ""); 1_000];
    assert_eq!(
        look_up(&server, many).await.unwrap(),
        vec![kr("iso3166Alpha2"); 1_000]
    );
}

#[tokio::test]
async fn identifiers_are_terms_too() {
    let server = Server::start_empty().await;
    let numbered = (0..101).map(|n| format!("<http://e.com/{n:03}> <http://schema.org/identifier> 7 .\n"));
    let numbered = numbered.collect::<Vec<_>>().concat();
    let same = "<http://e.com/a> <http://e.com/same> <http://f.org/b> .\n";
    server
        .import_text("ttl", &format!("{numbered}{same}"))
        .await
        .unwrap();
    let term = |term: v1::term::Term, property: &str| v1::EntityIdentifier {
        value: Some(Value::Term(v1::Term { term: Some(term) })),
        property: property.into(),
    };
    let literal = |text: &str| {
        v1::term::Term::Literal(v1::Literal {
            lexical_form: text.into(),
            datatype: "http://www.w3.org/2001/XMLSchema#integer".into(),
            ..v1::Literal::default()
        })
    };
    let asked = vec![
        term(literal("7"), ""),
        identifier("7", ""),
        term(v1::term::Term::Iri("http://f.org/b".into()), "http://e.com/same"),
    ];
    let answer = server
        .entities()
        .lookup_entities(lookup(asked))
        .await
        .unwrap()
        .into_inner();
    let found: Vec<_> = answer
        .results
        .iter()
        .map(|one| (one.matches.len(), one.has_more))
        .collect();
    assert_eq!(found, [(100, true), (0, false), (1, false)]);
}

#[tokio::test]
async fn bad_lookups_are_refused() {
    let server = Server::start_empty().await;
    let check = async |identifiers: Vec<v1::EntityIdentifier>, reason, fields: &[&str]| {
        check_fields(look_up(&server, identifiers).await, reason, fields);
    };
    check(Vec::new(), ErrorReason::InvalidField, &["identifiers"]).await;
    check(
        vec![identifier("KR", ""); 1_001],
        ErrorReason::InvalidField,
        &["identifiers"],
    )
    .await;
    let long = "x".repeat(2_048);
    look_up(&server, vec![identifier(&long, "")]).await.unwrap();
    let longer = identifier(&format!("{long}x"), "");
    let blank_node = v1::EntityIdentifier {
        value: Some(Value::Term(v1::Term {
            term: Some(v1::term::Term::BlankNode("b".into())),
        })),
        property: String::new(),
    };
    let asked = vec![
        identifier("", ""),
        longer,
        blank_node,
        v1::EntityIdentifier::default(),
    ];
    let fields = [
        "identifiers[0]",
        "identifiers[1].text",
        "identifiers[2].term",
        "identifiers[3]",
    ];
    check(asked, ErrorReason::InvalidField, &fields).await;
    check(
        vec![identifier("KR", "nope:x")],
        ErrorReason::UnknownPrefix,
        &["identifiers[0].property"],
    )
    .await;
    let mut timed = lookup(vec![identifier("KR", "")]);
    timed.read = Some(v1::ReadOptions {
        as_of: Some(v1::Date {
            year: 2019,
            month: 1,
            day: 1,
        }),
        ..v1::ReadOptions::default()
    });
    check_fields(
        server.entities().lookup_entities(timed).await,
        ErrorReason::InvalidField,
        &["read"],
    );
}
