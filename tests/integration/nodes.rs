//! Facts about events, claims and observations, which carry standing and source themselves.

use dossier::proto::v1::{
    self, CompareFactsRequest, Fact, GetEntityRequest, ListFactsRequest, Stance, Standing, Verdict,
    VerdictRule,
};

use crate::{
    harness::Server,
    verdicts::{REFERENCE, check, iri, name},
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
async fn a_disputed_node_disputes_what_is_said_of_it() {
    let server = Server::start_empty().await;
    let node = |standing: &str| {
        format!(
            "@prefix d: <https://w3id.org/dossier/ns#> . @prefix e: <https://w3id.org/dossier/e/> .
             e:raid a <http://schema.org/Event> ; d:stance d:Asserted ; d:standing d:{standing} ; d:actor e:X .
             e:other d:actor e:X ."
        )
    };
    server.import_text("ttl", &node("Disputed")).await.unwrap();
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
