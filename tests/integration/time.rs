//! Facts at a day and as they were known: lists, entities, comparisons, histories, timelines.

use dossier::proto::v1::{
    self, CompareFactsRequest, Date, ErrorReason, GetFactRequest, GetTimelineRequest, ListFactHistoryRequest,
    ListFactsRequest, Verdict, term::Term as Kind,
};
use tonic::Code;

use crate::{
    harness::{Server, check_error, check_fields},
    verdicts::{REFERENCE, at, date, list, midnight, name},
};

#[tokio::test]
async fn lists_are_of_what_is_asked() {
    let server = Server::start().await;
    let base = || ListFactsRequest {
        read: Some(at(REFERENCE, None)),
        page_size: 7,
        ..ListFactsRequest::default()
    };
    // 47: what rests on inference.
    let inferred = list(
        &server,
        ListFactsRequest {
            bases: vec![v1::Basis::Inferred.into()],
            scope: v1::FactScope::Live.into(),
            ..base()
        },
    )
    .await;
    assert!(inferred.len() > 3, "{}", inferred.len());
    assert!(inferred.iter().all(|fact| fact.basis() == v1::Basis::Inferred));
    // 48: what would be lost with the article.
    let source = "src:diplomat-2019-gsomia";
    let lost = list(
        &server,
        ListFactsRequest {
            source: source.into(),
            sole_source: true,
            ..base()
        },
    )
    .await;
    assert!(lost.iter().all(|fact| fact.holds && fact.sources.len() == 1));
    assert!(lost.iter().any(|fact| name(&fact.id) == "F48"));
    assert!(!format!("{lost:?}").contains("2016-11-23"));
    // What has a second source would not be lost.
    let of_borders = |sole_source| ListFactsRequest {
        source: "src:natural-earth".into(),
        page_size: 1_000,
        sole_source,
        ..base()
    };
    let (borders, lost) = (
        list(&server, of_borders(false)).await,
        list(&server, of_borders(true)).await,
    );
    assert!(lost.iter().all(|fact| fact.sources.len() == 1));
    let of_one_source = borders.iter().filter(|fact| fact.sources.len() == 1).count();
    assert_eq!(lost.len(), of_one_source);
    assert!(lost.len() < borders.len(), "{} of {}", lost.len(), borders.len());
    // Standings that never hold are found without naming a scope.
    let rejected = list(
        &server,
        ListFactsRequest {
            standings: vec![v1::Standing::Rejected.into()],
            ..base()
        },
    )
    .await;
    assert!(rejected.iter().any(|fact| name(&fact.id) == "E05" && !fact.holds));
    // What is retracted is in the widest scope alone.
    let retracted = |facts: &[v1::Fact]| facts.iter().filter(|fact| fact.retracted_at.is_some()).count();
    let scope = |scope: v1::FactScope| ListFactsRequest {
        scope: scope.into(),
        ..base()
    };
    assert_eq!(retracted(&list(&server, scope(v1::FactScope::All)).await), 8);
    assert_eq!(retracted(&list(&server, scope(v1::FactScope::Live)).await), 0);
    assert_eq!(retracted(&list(&server, scope(v1::FactScope::Holding)).await), 0);
    // The claims' contents are attributed.
    let attributed = list(
        &server,
        ListFactsRequest {
            attributed_to: "e:kono".into(),
            scope: v1::FactScope::Live.into(),
            ..base()
        },
    )
    .await;
    assert!(attributed.iter().all(|fact| name(&fact.attributed_to) == "kono"));
}

#[tokio::test]
async fn the_list_of_a_day_is_that_of_the_default_graph_on_its_day() {
    let server = Server::start().await;
    let key = |fact: &v1::Fact| {
        format!(
            "{} {} {:?} {}",
            fact.subject, fact.predicate, fact.object, fact.id
        )
    };
    let mut present: Vec<_> = list(&server, ListFactsRequest::default())
        .await
        .iter()
        .map(key)
        .collect();
    let request = ListFactsRequest {
        read: Some(at(REFERENCE, None)),
        page_size: 100,
        ..ListFactsRequest::default()
    };
    let mut on_day: Vec<_> = list(&server, request).await.iter().map(key).collect();
    present.sort();
    on_day.sort();
    assert_eq!(on_day, present);
}

#[tokio::test]
async fn entities_are_as_of_a_day() {
    let server = Server::start().await;
    let objects = async |as_of: &str| {
        let request = v1::GetEntityRequest {
            entity: "e:KR".into(),
            read: Some(at(as_of, None)),
            page_size: 10_000,
            ..v1::GetEntityRequest::default()
        };
        let answer = server.entities().get_entity(request).await.unwrap().into_inner();
        assert_eq!(answer.as_of, Some(date(as_of)));
        let entity = answer.entity.unwrap();
        assert!(!entity.labels.is_empty());
        let listed = |fact: &v1::Fact| fact.predicate.ends_with("#listedOn");
        entity.facts.iter().filter(|fact| listed(fact)).count()
    };
    assert_eq!(objects(REFERENCE).await, 1);
    assert_eq!(objects("0001-01-01").await, 0);
}

#[tokio::test]
async fn statements_are_got_by_their_id() {
    let server = Server::start().await;
    let get_at = async |id: &str, known_at: Option<&str>| {
        let request = GetFactRequest {
            id: id.into(),
            read: Some(at(REFERENCE, known_at)),
            ..GetFactRequest::default()
        };
        server
            .facts()
            .get_fact(request)
            .await
            .map(tonic::Response::into_inner)
    };
    let get = async |id: &str| get_at(id, None).await;
    let retracted = get("s:E03-ends").await.unwrap().fact.unwrap();
    assert_eq!(retracted.retracted_at, Some(midnight("2019-11-22")));
    assert!(!retracted.holds);
    // As it was known before it was retracted, and before it was recorded.
    let known_at = async |day: &str| get_at("s:E03-ends", Some(day)).await;
    let fact = known_at("2019-11-21").await.unwrap().fact.unwrap();
    assert_eq!(fact.retracted_at, None);
    let fact = known_at("2019-11-22").await.unwrap().fact.unwrap();
    assert_eq!(fact, retracted);
    check_error(
        known_at("2001-01-01").await,
        Code::NotFound,
        ErrorReason::FactNotFound,
    );
    let denied = get("s:F43").await.unwrap().fact.unwrap();
    assert!(denied.negated);
    let metadata = check_error(get("s:nobody").await, Code::NotFound, ErrorReason::FactNotFound);
    assert_eq!(metadata["id"], "https://w3id.org/dossier/s/nobody");
    check_error(get("e:KR").await, Code::NotFound, ErrorReason::FactNotFound);
    check_fields(get("").await, ErrorReason::InvalidField, &["id"]);
}

#[tokio::test]
async fn facts_are_compared() {
    let server = Server::start().await;
    // 51: do sources agree on when GSOMIA ends?
    let request = CompareFactsRequest {
        subject: "e:gsomia".into(),
        predicate: "d:endsOn".into(),
        read: Some(at(REFERENCE, Some(REFERENCE))),
        ..CompareFactsRequest::default()
    };
    let answer = server.facts().compare_facts(request).await.unwrap().into_inner();
    assert!(answer.conflict);
    assert_eq!(answer.omitted_fact_count, 0);
    let mut groups: Vec<_> = answer
        .groups
        .iter()
        .map(|group| {
            let value = match group.object.clone().unwrap().term.unwrap() {
                Kind::Literal(literal) => literal.lexical_form,
                Kind::Iri(iri) => name(&iri).to_owned(),
                other => panic!("{other:?}"),
            };
            (value, group.verdict(), group.facts.len(), group.sources.len())
        })
        .collect();
    groups.sort();
    assert_eq!(
        groups
            .iter()
            .map(|(value, verdict, facts, sources)| (value.as_str(), *verdict, *facts, *sources))
            .collect::<Vec<_>>(),
        [
            ("2019-08-24", Verdict::Unknown, 1, 1),
            ("2019-11", Verdict::Unconfirmed, 1, 1),
            ("2019-11-22", Verdict::Unconfirmed, 1, 1),
            ("ns#SomeValue", Verdict::Unconfirmed, 1, 1),
        ]
    );
}

#[tokio::test]
async fn histories_are_in_the_order_of_recording() {
    let server = Server::start().await;
    let history = async |request: ListFactHistoryRequest| {
        let mut request = request;
        let mut ids = Vec::new();
        loop {
            let page = server
                .facts()
                .list_fact_history(request.clone())
                .await?
                .into_inner();
            ids.extend(page.facts.iter().map(|fact| name(&fact.id).to_owned()));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return Ok::<_, tonic::Status>(ids);
            }
        }
    };
    let about = ListFactHistoryRequest {
        subject: "e:gsomia".into(),
        predicate: "d:endsOn".into(),
        page_size: 1,
        ..ListFactHistoryRequest::default()
    };
    assert_eq!(
        history(about.clone()).await.unwrap(),
        ["E03-ends", "E05", "E04", "F44-ends"]
    );
    let known = ListFactHistoryRequest {
        read: Some(at(REFERENCE, Some("2019-08-20"))),
        ..about.clone()
    };
    assert_eq!(history(known).await.unwrap(), ["E03-ends", "E05"]);
    let by_id = |id: &str| ListFactHistoryRequest {
        id: id.into(),
        ..ListFactHistoryRequest::default()
    };
    assert_eq!(history(by_id("s:F48")).await.unwrap(), ["F48"]);
    check_error(
        history(by_id("s:nobody")).await,
        Code::NotFound,
        ErrorReason::FactNotFound,
    );
    let both = ListFactHistoryRequest {
        id: "s:F48".into(),
        ..about
    };
    check_fields(history(both).await, ErrorReason::InvalidField, &["id"]);
    check_fields(
        history(ListFactHistoryRequest::default()).await,
        ErrorReason::InvalidField,
        &["subject", "predicate"],
    );
}

#[tokio::test]
async fn timelines_are_in_order_and_tell_plans() {
    let server = Server::start().await;
    let timeline = async |entity: &str, page_size: i32, from: Option<Date>, to: Option<Date>| {
        let mut request = GetTimelineRequest {
            entity: entity.into(),
            page_size,
            from,
            to,
            read: Some(at(REFERENCE, None)),
            ..GetTimelineRequest::default()
        };
        let mut entries = Vec::new();
        loop {
            let page = server.facts().get_timeline(request.clone()).await?.into_inner();
            entries.extend(page.entries);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return Ok::<_, tonic::Status>(entries);
            }
        }
    };
    // 31: the events of the dispute in order.
    let whole = timeline("e:kr-jp-dispute", 1_000, None, None).await.unwrap();
    let events: Vec<_> = whole
        .iter()
        .filter(|entry| entry.kind() == v1::TimelineKind::Event)
        .map(|entry| name(&entry.event))
        .collect();
    let place = |event: &str| {
        events
            .iter()
            .position(|found| *found == event)
            .unwrap_or_else(|| panic!("{events:?}"))
    };
    assert!(place("export-restrictions") < place("gsomia-decision"));
    assert!(place("gsomia-decision") < place("white-list-removal"));
    let removal = whole
        .iter()
        .find(|entry| name(&entry.event) == "white-list-removal")
        .unwrap();
    assert_eq!(removal.stance(), v1::Stance::Planned);
    assert_eq!(
        (removal.precision(), removal.earliest),
        (v1::DatePrecision::Day, Some(date("2019-08-28")))
    );
    assert!(!removal.fact.as_ref().unwrap().holds);
    let curbs = whole
        .iter()
        .find(|entry| name(&entry.event) == "export-restrictions")
        .unwrap();
    assert_eq!(
        (curbs.precision(), curbs.edtf.as_str()),
        (v1::DatePrecision::Month, "2019-07/..")
    );
    assert_eq!(
        (curbs.earliest, curbs.latest),
        (Some(date("2019-07-01")), Some(date("2019-07-31")))
    );
    assert_eq!(timeline("e:kr-jp-dispute", 1, None, None).await.unwrap(), whole);
    let since = timeline("e:kr-jp-dispute", 100, Some(date("2019-08-28")), None)
        .await
        .unwrap();
    assert!(
        since
            .iter()
            .any(|entry| name(&entry.event) == "white-list-removal")
    );
    assert!(since.iter().all(|entry| name(&entry.event) != "gsomia-decision"));
    check_error(
        timeline("e:nobody", 1, None, None).await,
        Code::NotFound,
        ErrorReason::EntityNotFound,
    );
    check_fields(
        timeline("e:KR", 1, Some(date("2019-08-28")), Some(date("2019-08-27"))).await,
        ErrorReason::InvalidField,
        &["to"],
    );
}
