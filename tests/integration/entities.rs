use dossier::proto::v1::{self, ErrorReason, GetEntityRequest, ListEntitiesRequest};
use tonic::Code;

use crate::harness::{Server, check_error, check_fields, sourced_fact};

fn get(entity: &str) -> GetEntityRequest {
    GetEntityRequest {
        entity: entity.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_entity_has_names_types_and_facts() {
    let server = Server::start().await;
    let entity = server.entity("e:KR").await.unwrap();
    assert_eq!(entity.iri, "https://w3id.org/dossier/e/KR");
    assert!(
        entity
            .labels
            .iter()
            .any(|label| label.text == "대한민국" && label.language == "ko")
    );
    assert!(entity.aliases.iter().any(|alias| alias.text == "ROK"));
    assert_eq!(entity.types, ["http://schema.org/Country"]);
    assert!(
        entity
            .facts
            .iter()
            .all(|fact| fact.subject == entity.iri && fact.object.is_some())
    );
    let decided = entity
        .facts
        .iter()
        .find(|fact| fact.predicate.ends_with("decidedToEnd"))
        .unwrap();
    assert!(decided.id.starts_with("https://w3id.org/dossier/s/"));
    assert_eq!(decided.stance(), v1::Stance::Asserted);
    assert_eq!(decided.sources[0].publisher, "The Diplomat");
    assert!(!decided.sources[0].locator.is_empty());
    assert!(decided.recorded_at.is_some());
    let code = entity
        .facts
        .iter()
        .find(|fact| fact.predicate.ends_with("iso3166Alpha2"))
        .unwrap();
    assert_eq!(
        (code.id.as_str(), code.standing(), code.sources.len()),
        ("", v1::Standing::Accepted, 0)
    );
    assert_eq!(entity.next_page_token, "");
    assert_eq!(
        server.entity("https://w3id.org/dossier/e/KR").await.unwrap(),
        entity
    );
}

#[tokio::test]
async fn languages_choose_labels() {
    let server = Server::start().await;
    let request = GetEntityRequest {
        languages: vec!["ko".into()],
        ..get("e:KR")
    };
    let entity = server
        .entities()
        .get_entity(request)
        .await
        .unwrap()
        .into_inner()
        .entity
        .unwrap();
    assert!(
        entity
            .labels
            .iter()
            .chain(&entity.aliases)
            .all(|label| label.language == "ko")
    );
    assert_eq!(entity.labels.len(), 1);
}

#[tokio::test]
async fn bad_entity_requests_are_refused() {
    let server = Server::start().await;
    let mut client = server.entities();
    let outcome = client.get_entity(get("e:XX")).await;
    let metadata = check_error(outcome, Code::NotFound, ErrorReason::EntityNotFound);
    assert_eq!(metadata["entity"], "https://w3id.org/dossier/e/XX");
    check_fields(
        client.get_entity(get("<>")).await,
        ErrorReason::InvalidIri,
        &["entity"],
    );
    check_fields(
        client.get_entity(get("nope:KR")).await,
        ErrorReason::UnknownPrefix,
        &["entity"],
    );
    check_fields(
        client.get_entity(get("")).await,
        ErrorReason::InvalidField,
        &["entity"],
    );
    let request = GetEntityRequest {
        page_size: -1,
        languages: vec!["en".into(), "no_tag".into()],
        read: Some(v1::ReadOptions {
            min_revision: -1,
            ..v1::ReadOptions::default()
        }),
        ..get("<>")
    };
    check_fields(
        client.get_entity(request).await,
        ErrorReason::InvalidIri,
        &["entity", "page_size", "languages[1]", "read.min_revision"],
    );
    let request = |page_size| GetEntityRequest {
        page_size,
        ..get("e:KR")
    };
    assert!(client.get_entity(request(10_000)).await.is_ok());
    check_fields(
        client.get_entity(request(10_001)).await,
        ErrorReason::InvalidField,
        &["page_size"],
    );
    let request = |count| GetEntityRequest {
        languages: vec!["en".into(); count],
        ..get("e:KR")
    };
    assert!(client.get_entity(request(100)).await.is_ok());
    check_fields(
        client.get_entity(request(101)).await,
        ErrorReason::InvalidField,
        &["languages"],
    );
    let request = GetEntityRequest {
        page_token: "bogus".into(),
        ..get("e:KR")
    };
    check_fields(
        client.get_entity(request).await,
        ErrorReason::InvalidPageToken,
        &["page_token"],
    );
}

#[tokio::test]
async fn pages_of_an_entity_are_its_facts() {
    let server = Server::start().await;
    let whole = server.entity("e:KR").await.unwrap();
    let mut client = server.entities();
    let mut facts = Vec::new();
    let mut token = String::new();
    loop {
        let request = GetEntityRequest {
            page_size: 1,
            page_token: token,
            ..get("e:KR")
        };
        let page = client
            .get_entity(request)
            .await
            .unwrap()
            .into_inner()
            .entity
            .unwrap();
        assert_eq!((page.facts.len(), &page.labels), (1, &whole.labels));
        facts.extend(page.facts);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        let alien = GetEntityRequest {
            page_token: token.clone(),
            ..get("e:JP")
        };
        check_fields(
            client.get_entity(alien).await,
            ErrorReason::InvalidPageToken,
            &["page_token"],
        );
    }
    assert_eq!(facts, whole.facts);
}

#[tokio::test]
async fn batches_list_what_is_missing() {
    let server = Server::start().await;
    let mut client = server.entities();
    let request = |entities: &[&str]| v1::BatchGetEntitiesRequest {
        entities: entities.iter().map(|&entity| entity.into()).collect(),
        page_size: 2,
        ..Default::default()
    };
    let batch = client
        .batch_get_entities(request(&["e:KR", "e:XX", "e:JP"]))
        .await
        .unwrap()
        .into_inner();
    let iris: Vec<_> = batch.entities.iter().map(|entity| entity.iri.as_str()).collect();
    assert_eq!(
        iris,
        ["https://w3id.org/dossier/e/KR", "https://w3id.org/dossier/e/JP"]
    );
    assert_eq!((batch.missing, batch.revision), (vec!["e:XX".to_owned()], 1));
    // The token goes on in GetEntity.
    let kr = &batch.entities[0];
    assert_eq!(kr.facts.len(), 2);
    let rest = GetEntityRequest {
        page_token: kr.next_page_token.clone(),
        ..get("e:KR")
    };
    let rest = client
        .get_entity(rest)
        .await
        .unwrap()
        .into_inner()
        .entity
        .unwrap();
    let whole = server.entity("e:KR").await.unwrap();
    assert_eq!([kr.facts.clone(), rest.facts].concat(), whole.facts);

    let many = |count| request(&vec!["e:KR"; count]);
    assert_eq!(
        client
            .batch_get_entities(many(1_000))
            .await
            .unwrap()
            .into_inner()
            .entities
            .len(),
        1_000
    );
    check_fields(
        client.batch_get_entities(many(1_001)).await,
        ErrorReason::InvalidField,
        &["entities"],
    );
    check_fields(
        client.batch_get_entities(many(0)).await,
        ErrorReason::InvalidField,
        &["entities"],
    );
    let outcome = client
        .batch_get_entities(request(&["e:KR", "nope:a", "<>"]))
        .await;
    check_fields(
        outcome,
        ErrorReason::UnknownPrefix,
        &["entities[1]", "entities[2]"],
    );
}

/// What is disputed, reported or planned of an entity is there for whoever asks, and makes an entity.
#[tokio::test]
async fn an_entity_has_what_is_only_stated_of_it_if_asked_for() {
    let server = Server::start().await;
    let mut client = server.entities();
    let scoped = |entity: &str, scope: v1::FactScope, page_size| GetEntityRequest {
        scope: scope.into(),
        page_size,
        ..get(entity)
    };
    let holding = server.entity("e:IL").await.unwrap();
    let capital = |facts: &[v1::Fact]| {
        let capitals = facts.iter().filter(|fact| fact.predicate.ends_with("#capital"));
        let mut standings: Vec<_> = capitals
            .map(|fact| (fact.standing(), fact.negated, fact.holds))
            .collect();
        standings.sort_unstable();
        standings
    };
    assert_eq!(capital(&holding.facts), []);
    let disputed = v1::Standing::Disputed;
    let both = [(disputed, false, false), (disputed, true, false)];
    for scope in [v1::FactScope::Live, v1::FactScope::All] {
        let answer = client
            .get_entity(scoped("e:IL", scope, 0))
            .await
            .unwrap()
            .into_inner();
        let live = answer.entity.unwrap();
        assert_eq!(capital(&live.facts), both);
        assert!(holding.facts.iter().all(|fact| live.facts.contains(fact)));
        assert_eq!((&live.labels, &live.types), (&holding.labels, &holding.types));
    }
    let said = client
        .get_entity(scoped("e:IL", v1::FactScope::Holding, 0))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(said.entity.unwrap(), holding);
    let request = v1::BatchGetEntitiesRequest {
        entities: vec!["e:IL".into()],
        scope: v1::FactScope::Live.into(),
        ..v1::BatchGetEntitiesRequest::default()
    };
    let batch = client.batch_get_entities(request).await.unwrap().into_inner();
    assert_eq!(capital(&batch.entities[0].facts), both);

    // A token is of its scope.
    let page = client
        .get_entity(scoped("e:IL", v1::FactScope::Live, 1))
        .await
        .unwrap()
        .into_inner();
    let page_token = page.entity.unwrap().next_page_token;
    let go_on = |scope| GetEntityRequest {
        page_token: page_token.clone(),
        ..scoped("e:IL", scope, 1)
    };
    assert!(client.get_entity(go_on(v1::FactScope::Live)).await.is_ok());
    let other = client.get_entity(go_on(v1::FactScope::Holding)).await;
    check_fields(other, ErrorReason::InvalidPageToken, &["page_token"]);
    let unknown = GetEntityRequest {
        scope: 9,
        ..get("e:IL")
    };
    check_fields(
        client.get_entity(unknown).await,
        ErrorReason::InvalidField,
        &["scope"],
    );

    let written = v1::Fact {
        subject: "e:rumour".into(),
        stance: v1::Stance::Reported.into(),
        standing: v1::Standing::Unconfirmed.into(),
        ..sourced_fact()
    };
    let request = v1::WriteFactsRequest {
        facts: vec![written],
        ..v1::WriteFactsRequest::default()
    };
    server.writes().write_facts(request).await.unwrap();
    assert_eq!(server.entity("e:rumour").await.unwrap().facts, []);
    let rumour = client
        .get_entity(scoped("e:rumour", v1::FactScope::Live, 0))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(rumour.entity.unwrap().facts.len(), 1);
}

#[tokio::test]
async fn pages_of_entities_are_all_entities() {
    let server = Server::start().await;
    let mut client = server.entities();
    for r#type in ["schema:Country", "schema:Claim"] {
        let request = |page_size, page_token| ListEntitiesRequest {
            r#type: r#type.into(),
            page_size,
            page_token,
            ..Default::default()
        };
        let whole = client
            .list_entities(request(1_000, String::new()))
            .await
            .unwrap()
            .into_inner();
        assert!(whole.entities.len() > 3 && whole.next_page_token.is_empty());
        assert!(
            whole
                .entities
                .iter()
                .all(|entity| entity.facts.is_empty() && !entity.types.is_empty())
        );
        let mut entities = Vec::new();
        let mut token = String::new();
        loop {
            let page = client
                .list_entities(request(1, token))
                .await
                .unwrap()
                .into_inner();
            entities.extend(page.entities);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(entities, whole.entities, "{type}");
    }
    let all = client
        .list_entities(ListEntitiesRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(all.entities.len(), 100);
    let alien = ListEntitiesRequest {
        r#type: "schema:Country".into(),
        page_token: all.next_page_token,
        ..Default::default()
    };
    check_fields(
        client.list_entities(alien).await,
        ErrorReason::InvalidPageToken,
        &["page_token"],
    );
    let unknown = ListEntitiesRequest {
        r#type: "e:NoType".into(),
        ..Default::default()
    };
    assert_eq!(
        client.list_entities(unknown).await.unwrap().into_inner().entities,
        []
    );
}

#[tokio::test]
async fn reads_wait_for_a_revision_but_not_for_ever() {
    let server = Server::start().await;
    let request = |min_revision| GetEntityRequest {
        read: Some(v1::ReadOptions {
            min_revision,
            ..v1::ReadOptions::default()
        }),
        ..get("e:KR")
    };
    assert_eq!(
        server
            .entities()
            .get_entity(request(1))
            .await
            .unwrap()
            .into_inner()
            .revision,
        1
    );
    let outcome = server.entities().get_entity(request(2)).await;
    let metadata = check_error(outcome, Code::FailedPrecondition, ErrorReason::RevisionNotReached);
    assert_eq!(
        (metadata["min_revision"].as_str(), metadata["revision"].as_str()),
        ("2", "1")
    );
    // One that comes meanwhile is waited for.
    let mut client = server.entities();
    let (read, written) = tokio::join!(
        client.get_entity(request(2)),
        server.import_text("nt", "<http://e.com/s> <http://e.com/p> \"o\" ."),
    );
    assert_eq!(
        (read.unwrap().into_inner().revision, written.unwrap().revision),
        (2, 2)
    );
}
