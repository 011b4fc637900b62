//! Facts about events, claims and observations, which carry standing and source themselves.

use dossier::proto::v1::{
    self, CompareFactsRequest, Fact, GetEntityRequest, ListFactsRequest, Stance, Standing, Verdict,
    VerdictRule,
};

use crate::{
    harness::Server,
    verdicts::{REFERENCE, at, check, iri, name},
};

/// Checks how a fact without a statement of its own is put.
#[track_caller]
fn check_put(fact: &Fact, stance: Stance, standing: Standing, source: &str, locator: &str) {
    assert_eq!((fact.stance(), fact.standing()), (stance, standing), "{fact:?}");
    assert_eq!(fact.id, "");
    let sources: Vec<_> = fact
        .sources
        .iter()
        .map(|one| (name(&one.iri), one.locator.as_str()))
        .collect();
    assert_eq!(sources, [(source, locator)], "{fact:?}");
    // The time of an event is not that of what is said of it.
    assert_eq!(fact.valid_time, None);
}

#[tokio::test]
async fn facts_about_an_event_are_put_as_the_event_is() {
    let server = Server::start().await;
    let launch = check(
        &server,
        "e:latest-missile-launch",
        "d:actor",
        iri("e:KP"),
        REFERENCE,
    )
    .await;
    assert_eq!(
        (launch.verdict(), launch.rule()),
        (Verdict::True, VerdictRule::Stated)
    );
    let [fact] = launch.evidence.as_slice() else {
        panic!("{launch:?}")
    };
    check_put(
        fact,
        Stance::Asserted,
        Standing::Accepted,
        "diplomat-2019-gsomia",
        "P7",
    );
    assert!(fact.holds);

    // Planned, and so among the statements.
    let removal = check(
        &server,
        "e:white-list-removal",
        "d:target",
        iri("e:KR"),
        REFERENCE,
    )
    .await;
    assert_eq!(
        (removal.verdict(), removal.rule()),
        (Verdict::Unconfirmed, VerdictRule::Planned)
    );
    let [fact] = removal.evidence.as_slice() else {
        panic!("{removal:?}")
    };
    check_put(
        fact,
        Stance::Planned,
        Standing::Unconfirmed,
        "diplomat-2019-gsomia",
        "P10",
    );
    assert!(!fact.holds);
    let told = "<https://w3id.org/dossier/e/white-list-removal> itself from <https://w3id.org/dossier/src/diplomat-2019-gsomia>, P10";
    assert!(removal.explanation.ends_with(told), "{}", removal.explanation);
    let other = check(
        &server,
        "e:white-list-removal",
        "d:target",
        iri("e:CN"),
        REFERENCE,
    )
    .await;
    assert_eq!(other.verdict(), Verdict::Unknown);

    let request = CompareFactsRequest {
        subject: "e:white-list-removal".into(),
        predicate: "d:target".into(),
        ..CompareFactsRequest::default()
    };
    let compared = server.facts().compare_facts(request).await.unwrap().into_inner();
    let [group] = compared.groups.as_slice() else {
        panic!("{compared:?}")
    };
    assert_eq!(group.facts, [Fact { ..fact.clone() }]);
}

#[tokio::test]
async fn entities_and_lists_show_what_facts_inherit() {
    let server = Server::start().await;
    let request = GetEntityRequest {
        entity: "e:latest-missile-launch".into(),
        ..GetEntityRequest::default()
    };
    let entity = server
        .entities()
        .get_entity(request)
        .await
        .unwrap()
        .into_inner()
        .entity
        .unwrap();
    let find = |predicate: &str| {
        entity
            .facts
            .iter()
            .find(|fact| fact.predicate.ends_with(predicate))
            .unwrap()
    };
    check_put(
        find("#actor"),
        Stance::Asserted,
        Standing::Accepted,
        "diplomat-2019-gsomia",
        "P7",
    );
    // What says so is not said by anything else.
    assert_eq!(
        (find("#standing").stance(), find("#standing").sources.len()),
        (Stance::Unspecified, 0)
    );

    let list = async |adjust: fn(&mut ListFactsRequest)| {
        let mut request = ListFactsRequest {
            subject: "e:latest-missile-launch".into(),
            predicate: "d:actor".into(),
            ..ListFactsRequest::default()
        };
        adjust(&mut request);
        server.list(request).await.unwrap().facts.len()
    };
    assert_eq!(list(|_| {}).await, 1);
    assert_eq!(
        list(|request| request.stances = vec![Stance::Asserted.into()]).await,
        1
    );
    assert_eq!(
        list(|request| request.stances = vec![Stance::Reported.into()]).await,
        0
    );
    assert_eq!(
        list(|request| request.standings = vec![Standing::Accepted.into()]).await,
        1
    );
    assert_eq!(
        list(|request| request.bases = vec![v1::Basis::Inferred.into()]).await,
        0
    );
}

#[tokio::test]
async fn planned_events_are_entities_and_rest_on_their_source() {
    let server = Server::start().await;
    let entity = async |as_of| {
        let request = GetEntityRequest {
            entity: "e:white-list-removal".into(),
            languages: vec!["en".into()],
            read: as_of,
            ..GetEntityRequest::default()
        };
        let answer = server.entities().get_entity(request).await.unwrap();
        answer.into_inner().entity.unwrap()
    };
    let now = entity(None).await;
    assert_eq!(
        now.labels[0].text,
        "removal of South Korea from Japan's export white list"
    );
    assert_eq!(now.types.len(), 2, "{:?}", now.types);
    let target = now.facts.iter().find(|fact| fact.predicate.ends_with("#target"));
    check_put(
        target.unwrap(),
        Stance::Planned,
        Standing::Unconfirmed,
        "diplomat-2019-gsomia",
        "P10",
    );
    // What a statement says of it may hold.
    assert!(now.facts.iter().all(|fact| !fact.holds || !fact.id.is_empty()));
    let then = entity(Some(at("2018-01-01", None))).await;
    assert_eq!(then.facts.len(), now.facts.len());
    assert!(then.facts.iter().all(|fact| now.facts.contains(fact)));

    let list = async |scope: v1::FactScope, sole_source| {
        let request = ListFactsRequest {
            predicate: "d:target".into(),
            source: "src:diplomat-2019-gsomia".into(),
            scope: scope.into(),
            sole_source,
            ..ListFactsRequest::default()
        };
        server.list(request).await.unwrap().facts
    };
    let is_planned = |fact: &Fact| fact.subject.ends_with("/white-list-removal");
    let holding = list(v1::FactScope::Holding, false).await;
    assert!(
        !holding.is_empty() && !holding.iter().any(is_planned),
        "{holding:?}"
    );
    assert!(holding.iter().all(|fact| fact.holds));
    assert_eq!(list(v1::FactScope::Holding, true).await, holding);
    let live = list(v1::FactScope::Live, false).await;
    assert_eq!(live.iter().filter(|fact| is_planned(fact)).count(), 1);
    assert!(holding.iter().all(|fact| live.contains(fact)));
}

#[tokio::test]
async fn a_disputed_node_disputes_what_is_said_of_it() {
    let server = Server::start_empty().await;
    let node = |standing: &str| {
        format!(
            "@prefix d: <https://w3id.org/dossier/ns#> . @prefix e: <https://w3id.org/dossier/e/> .
             @prefix g: <https://w3id.org/dossier/g/> .
             g:statements {{
               e:raid a <http://schema.org/Event> ; d:stance d:Asserted ; d:standing d:{standing} ; d:basis d:Inferred ;
                 d:actor e:X .
             }}
             e:other d:actor e:X ."
        )
    };
    server.import_text("trig", &node("Disputed")).await.unwrap();
    let raid = check(&server, "e:raid", "d:actor", iri("e:X"), REFERENCE).await;
    assert_eq!(
        (raid.verdict(), raid.rule()),
        (Verdict::Disputed, VerdictRule::Contested)
    );
    assert_eq!(raid.evidence[0].standing(), Standing::Disputed);
    let other = check(&server, "e:other", "d:actor", iri("e:X"), REFERENCE).await;
    assert_eq!(
        (other.verdict(), other.rule()),
        (Verdict::True, VerdictRule::Plain)
    );
}
