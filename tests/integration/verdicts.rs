//! The competency questions that are asked through the typed API, with the answers that the shipped data gives. A new fact or
//! rule changes an answer only here.

use dossier::proto::v1::{
    self, CheckFactRequest, CompareFactsRequest, Date, ErrorReason, GetFactRequest, GetTimelineRequest,
    ListFactHistoryRequest, ListFactsRequest, ReadOptions, Term, Verdict, VerdictRule, term::Term as Kind,
};
use oxigraph::model::vocab::xsd;
use prost_types::Timestamp;
use tonic::Code;

use crate::harness::{Server, check_error, check_fields};

const REFERENCE: &str = "2019-08-27";

fn date(text: &str) -> Date {
    let parts: Vec<i32> = text.split('-').map(|part| part.parse().unwrap()).collect();
    Date {
        year: parts[0],
        month: parts[1],
        day: parts[2],
    }
}

/// Returns the first second of a day in UTC.
fn midnight(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap()
}

fn at(as_of: &str, known_at: Option<&str>) -> ReadOptions {
    ReadOptions {
        min_revision: 0,
        as_of: Some(date(as_of)),
        known_at: known_at.map(midnight),
    }
}

fn iri(name: &str) -> Term {
    Term {
        term: Some(Kind::Iri(name.into())),
    }
}

fn typed(value: &str, datatype: &str) -> Term {
    Term {
        term: Some(Kind::Literal(v1::Literal {
            lexical_form: value.into(),
            datatype: datatype.into(),
            ..v1::Literal::default()
        })),
    }
}

async fn check(
    server: &Server,
    subject: &str,
    predicate: &str,
    object: Term,
    as_of: &str,
) -> v1::CheckFactResponse {
    let request = CheckFactRequest {
        subject: subject.into(),
        predicate: predicate.into(),
        object: Some(object),
        read: Some(at(as_of, None)),
        ..CheckFactRequest::default()
    };
    let answer = server.facts().check_fact(request).await.unwrap().into_inner();
    assert_eq!(answer.as_of, Some(date(as_of)));
    answer
}

/// The name of a statement, without its namespace.
fn name(iri: &str) -> &str {
    iri.rsplit('/').next().unwrap()
}

#[tokio::test]
async fn the_questions_have_their_verdicts() {
    let server = Server::start().await;
    let boolean = || typed("true", xsd::BOOLEAN.as_str());
    let day = |text: &str| typed(text, xsd::DATE.as_str());
    #[rustfmt::skip]
    let table = [
        // 3: the parties to TISA.
        ("e:tisa", "d:party", iri("e:US"), REFERENCE, Verdict::True, VerdictRule::Stated, "F48"),
        // 5: the president of South Korea.
        ("e:moon", "d:holdsOffice", iri("e:president-of-south-korea"), REFERENCE, Verdict::True, VerdictRule::Stated, "F17"),
        // 23: was GSOMIA in force on 2015-01-01?
        ("e:gsomia", "d:inForce", boolean(), "2015-01-01", Verdict::False, VerdictRule::OutsideTime, "F24-in-force"),
        // 25: is South Korea on Japan's white list?
        ("e:KR", "d:listedOn", iri("e:japan-white-list"), REFERENCE, Verdict::True, VerdictRule::Stated, "F65-listed"),
        // 27: were the export restrictions in place?
        ("e:JP", "d:imposed", iri("e:export-restrictions"), "2019-08-01", Verdict::True, VerdictRule::Stated, "F13"),
        ("e:JP", "d:imposed", iri("e:export-restrictions"), "2019-07-01", Verdict::Unknown, VerdictRule::Uncertain, "F13"),
        ("e:JP", "d:imposed", iri("e:export-restrictions"), "2019-06-30", Verdict::False, VerdictRule::OutsideTime, "F13"),
        // 29: does GSOMIA end on 2019-11-22? Known now, nobody says so any more.
        ("e:gsomia", "d:endsOn", day("2019-11-22"), REFERENCE, Verdict::Unknown, VerdictRule::NothingRecorded, ""),
        // 51: not on 24 August.
        ("e:gsomia", "d:endsOn", day("2019-08-24"), REFERENCE, Verdict::Unknown, VerdictRule::Rejected, "E05"),
        // 40: does its end imply the end of all sharing?
        ("e:end-of-gsomia", "d:implies", iri("e:end-of-kr-jp-intelligence-sharing"), REFERENCE, Verdict::False, VerdictRule::Denied, "F43"),
        // 42: who wrote the article?
        ("src:diplomat-2019-gsomia", "schema:author", iri("e:moon"), REFERENCE, Verdict::Unknown, VerdictRule::SomeValue, "F04"),
        // 43: who is the prime minister of Japan?
        ("e:kono", "d:holdsOffice", iri("e:prime-minister-of-japan"), REFERENCE, Verdict::Unknown, VerdictRule::NothingRecorded, ""),
        // 49: does South Korea understand the regional security situation?
        ("e:KR", "d:understands", iri("e:regional-security-situation"), REFERENCE, Verdict::Disputed, VerdictRule::Contested, "F61"),
        // A plain triple has no time.
        ("e:KR", "rdf:type", iri("schema:Country"), "0001-01-01", Verdict::True, VerdictRule::Plain, ""),
    ];
    let mut wrong = Vec::new();
    for (subject, predicate, object, as_of, verdict, rule, evidence) in table {
        let answer = check(&server, subject, predicate, object, as_of).await;
        let found = answer.evidence.first().map_or("", |fact| name(&fact.id));
        if (answer.verdict(), answer.rule(), found) != (verdict, rule, evidence) {
            wrong.push(format!(
                "{subject} {predicate} {as_of}: {:?} {:?} {found}: {}",
                answer.verdict(),
                answer.rule(),
                answer.explanation
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // 29, 39: as it was known then, the end was planned, and so not confirmed.
    let request = CheckFactRequest {
        subject: "e:gsomia".into(),
        predicate: "d:endsOn".into(),
        object: Some(day("2019-11-22")),
        read: Some(at(REFERENCE, Some(REFERENCE))),
        ..CheckFactRequest::default()
    };
    let answer = server.facts().check_fact(request).await.unwrap().into_inner();
    assert_eq!(
        (answer.verdict(), answer.rule()),
        (Verdict::Unconfirmed, VerdictRule::Planned)
    );
    assert_eq!(name(&answer.evidence[0].id), "E04");
}

#[tokio::test]
async fn why_a_fact_is_held_is_told() {
    let server = Server::start().await;
    // 45: why is the United States a party to TISA?
    let answer = check(&server, "e:tisa", "d:party", iri("e:US"), REFERENCE).await;
    let fact = &answer.evidence[0];
    assert_eq!(name(&fact.sources[0].iri), "diplomat-2019-gsomia");
    assert_eq!(fact.sources[0].locator, "P8");
    assert_eq!(
        (fact.stance(), fact.basis()),
        (v1::Stance::Asserted, v1::Basis::Stated)
    );
    assert!(fact.holds);
    assert!(answer.explanation.contains("accepted"), "{}", answer.explanation);
    assert!(answer.explanation.contains("P8"), "{}", answer.explanation);
}

async fn list(server: &Server, request: ListFactsRequest) -> Vec<v1::Fact> {
    let mut request = request;
    let mut facts = Vec::new();
    loop {
        let page = server.list(request.clone()).await.unwrap();
        facts.extend(page.facts);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return facts;
        }
    }
}

#[tokio::test]
async fn what_was_known_of_the_end_of_gsomia() {
    let server = Server::start().await;
    // 30: on 2019-08-27 its end was planned; on 2019-12-01 that was no longer known.
    let known = async |known_at: &str| {
        let request = ListFactsRequest {
            subject: "e:gsomia".into(),
            predicate: "d:endsOn".into(),
            scope: v1::FactScope::Live.into(),
            read: Some(at(REFERENCE, Some(known_at))),
            page_size: 1,
            ..ListFactsRequest::default()
        };
        let facts = list(&server, request).await;
        let mut found: Vec<_> = facts
            .iter()
            .map(|fact| format!("{} {:?}", name(&fact.id), fact.standing()))
            .collect();
        found.sort();
        found
    };
    assert_eq!(
        known(REFERENCE).await,
        [
            "E03-ends Unconfirmed",
            "E04 Unconfirmed",
            "E05 Rejected",
            "F44-ends Unconfirmed"
        ]
    );
    assert_eq!(known("2019-12-01").await, ["E05 Rejected"]);
    assert_eq!(known("1999-01-01").await, [""; 0]);
}

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
    let holding = list(
        &server,
        ListFactsRequest {
            source: source.into(),
            ..base()
        },
    )
    .await;
    assert!(lost.len() < holding.len(), "{} of {}", lost.len(), holding.len());
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
    assert_eq!(retracted(&list(&server, scope(v1::FactScope::All)).await), 4);
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
    let get = async |id: &str| {
        let request = GetFactRequest {
            id: id.into(),
            read: Some(at(REFERENCE, None)),
            ..GetFactRequest::default()
        };
        server
            .facts()
            .get_fact(request)
            .await
            .map(tonic::Response::into_inner)
    };
    let retracted = get("s:E03-ends").await.unwrap().fact.unwrap();
    assert_eq!(retracted.retracted_at, Some(midnight("2019-11-22")));
    assert!(!retracted.holds);
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

#[tokio::test]
async fn bad_times_are_refused() {
    let server = Server::start().await;
    let read = |as_of: Option<Date>, known_at: Option<Timestamp>| ListFactsRequest {
        read: Some(ReadOptions {
            min_revision: 0,
            as_of,
            known_at,
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
    check_fields(
        server.list(sole("e:KR", v1::FactScope::All)).await,
        ErrorReason::InvalidField,
        &["sole_source"],
    );
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
    assert_eq!(labels(&["fi"]).await.unwrap()[2], None);
    check_fields(
        labels(&["en_US"]).await,
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
            page_token: String::new(),
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

#[tokio::test]
async fn entities_are_looked_up_by_identifier() {
    let server = Server::start().await;
    let look_up = async |value: &str, property: &str| {
        let request = v1::LookupEntitiesRequest {
            value: value.into(),
            property: property.into(),
            ..v1::LookupEntitiesRequest::default()
        };
        let answer = server.entities().lookup_entities(request).await?.into_inner();
        let matches = answer.matches.into_iter();
        Ok::<_, tonic::Status>(
            matches
                .map(|found| (found.entity.unwrap().iri, found.property))
                .collect::<Vec<_>>(),
        )
    };
    for (value, property) in [("KR", "Alpha2"), ("KOR", "Alpha3"), ("410", "Numeric")] {
        let property = format!("https://w3id.org/dossier/ns#iso3166{property}");
        let expected = vec![("https://w3id.org/dossier/e/KR".to_owned(), property.clone())];
        assert_eq!(look_up(value, "").await.unwrap(), expected);
        assert_eq!(look_up(value, &property).await.unwrap(), expected);
    }
    assert_eq!(look_up("KR", "d:iso3166Alpha3").await.unwrap(), []);
    assert_eq!(look_up("no such code", "").await.unwrap(), []);
    check_fields(look_up("", "").await, ErrorReason::InvalidField, &["value"]);
    check_fields(
        look_up("KR", "nope:x").await,
        ErrorReason::UnknownPrefix,
        &["property"],
    );
}
