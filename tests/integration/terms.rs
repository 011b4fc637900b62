//! An office that was held twice: each term holds on its own days, in every read.

use dossier::proto::v1::{
    self, CheckFactRequest, CompareFactsRequest, FactScope, GetFactRequest, GetTimelineRequest,
    ListConflictsRequest, ListFactHistoryRequest, ListFactsRequest, Standing, ValidTime, Verdict,
    WatchOutput,
};

use crate::{
    changes::{from, next_commit, watch},
    harness::Server,
    sparql::insert,
    verdicts::{at, iri, list, name},
    writes::{fact, request, write},
};

const SUBJECT: &str = "e:minister";
const OFFICE: &str = "e:p";
/// In the first term, between the two and in the second, of which the last is the day of the default graph.
const DAYS: [&str; 4] = ["2013-06-01", "2016-06-01", "2020-05-31", "2020-06-01"];
/// The terms that hold on these days.
const TERMS: [&[&str]; 4] = [&["first"], &[], &["second"], &["second"]];

fn term(id: &str, edtf: &str) -> v1::Fact {
    v1::Fact {
        id: format!("s:{id}"),
        valid_time: Some(ValidTime {
            edtf: edtf.into(),
            ..ValidTime::default()
        }),
        ..fact(SUBJECT, "e:office")
    }
}

fn terms() -> [v1::Fact; 2] {
    [
        term("first", "2012-03-01/2014-12-31"),
        term("second", "2019-01-01/.."),
    ]
}

async fn start(today: &str) -> Server {
    let today = today.parse().unwrap();
    let server = Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.reference_date = today;
    });
    let server = server.await;
    write(&server, request(terms())).await.unwrap();
    server
}

/// The names of statements that hold, in their order; empty for a fact without one.
fn holding<'a>(facts: impl IntoIterator<Item = &'a v1::Fact>) -> Vec<&'a str> {
    let mut names: Vec<_> = facts
        .into_iter()
        .filter(|fact| fact.holds)
        .map(|fact| name(&fact.id))
        .collect();
    names.sort_unstable();
    names
}

async fn listed(server: &Server, day: &str, scope: FactScope) -> Vec<v1::Fact> {
    let request = ListFactsRequest {
        subject: SUBJECT.into(),
        read: Some(at(day, None)),
        scope: scope.into(),
        ..ListFactsRequest::default()
    };
    list(server, request).await
}

async fn entity(server: &Server, day: &str) -> Vec<v1::Fact> {
    let request = v1::GetEntityRequest {
        entity: SUBJECT.into(),
        read: Some(at(day, None)),
        ..v1::GetEntityRequest::default()
    };
    let answer = server.entities().get_entity(request).await.unwrap();
    answer.into_inner().entity.unwrap().facts
}

async fn checked(server: &Server, day: &str) -> (Verdict, Vec<v1::Fact>) {
    let request = CheckFactRequest {
        subject: SUBJECT.into(),
        predicate: OFFICE.into(),
        object: Some(iri("e:office")),
        read: Some(at(day, None)),
        ..CheckFactRequest::default()
    };
    let answer = server.facts().check_fact(request).await.unwrap().into_inner();
    (answer.verdict(), answer.evidence)
}

async fn compared(server: &Server, day: &str) -> Vec<v1::Fact> {
    let request = CompareFactsRequest {
        subject: SUBJECT.into(),
        predicate: OFFICE.into(),
        read: Some(at(day, None)),
        ..CompareFactsRequest::default()
    };
    let answer = server.facts().compare_facts(request).await.unwrap().into_inner();
    answer.groups.into_iter().flat_map(|group| group.facts).collect()
}

#[tokio::test]
async fn each_term_is_listed_on_its_own_days() {
    let server = start(DAYS[3]).await;
    for (day, terms) in DAYS.into_iter().zip(TERMS) {
        for scope in [FactScope::Holding, FactScope::Live] {
            let facts = listed(&server, day, scope).await;
            assert_eq!(holding(&facts), terms, "{day} {scope:?}");
            let count = if scope == FactScope::Live { 2 } else { terms.len() };
            assert_eq!(facts.len(), count, "{day} {scope:?}");
        }
        let facts = entity(&server, day).await;
        assert_eq!(
            (holding(&facts).as_slice(), facts.len()),
            (terms, terms.len()),
            "{day}"
        );
    }
    // What is plain is there on any day, as a fact of its own where no term holds.
    insert(&server, "e:minister e:p e:office").await;
    for (day, terms) in DAYS.into_iter().zip(TERMS) {
        let terms = if terms.is_empty() { &[""] } else { terms };
        assert_eq!(
            holding(&listed(&server, day, FactScope::Holding).await),
            terms,
            "{day}"
        );
        assert_eq!(
            holding(&listed(&server, day, FactScope::Live).await),
            terms,
            "{day}"
        );
        assert_eq!(holding(&entity(&server, day).await), terms, "{day}");
        assert_eq!(holding(&compared(&server, day).await), terms, "{day}");
    }
}

#[tokio::test]
async fn the_term_of_the_day_is_the_evidence() {
    let server = start(DAYS[3]).await;
    for (day, terms) in DAYS.into_iter().zip(TERMS) {
        let (verdict, evidence) = checked(&server, day).await;
        let expected = if terms.is_empty() {
            Verdict::False
        } else {
            Verdict::True
        };
        assert_eq!(
            (verdict, holding(&evidence).as_slice()),
            (expected, terms),
            "{day}"
        );
        let count = if terms.is_empty() { 2 } else { 1 };
        assert_eq!(evidence.len(), count, "{day}: what decided, and nothing else");
        for id in ["first", "second"] {
            let request = GetFactRequest {
                id: format!("s:{id}"),
                read: Some(at(day, None)),
                ..GetFactRequest::default()
            };
            let fact = server.facts().get_fact(request).await.unwrap().into_inner().fact;
            assert_eq!(fact.unwrap().holds, terms.contains(&id), "{day} {id}");
        }
    }
    // Where others are denied too, those that hold come first.
    let denial = v1::Fact {
        negated: true,
        ..term("denial", "2012/..")
    };
    write(&server, request([denial])).await.unwrap();
    let (verdict, evidence) = checked(&server, DAYS[2]).await;
    let names: Vec<_> = evidence.iter().map(|fact| name(&fact.id)).collect();
    assert_eq!((verdict, names), (Verdict::Disputed, vec!["second", "denial"]));
}

#[tokio::test]
async fn both_terms_are_told_with_whether_they_hold() {
    let server = start(DAYS[3]).await;
    let rumour = v1::Fact {
        id: "s:rumour".into(),
        standing: Standing::Disputed.into(),
        ..fact(SUBJECT, "e:other")
    };
    write(&server, request([rumour])).await.unwrap();
    for (day, terms) in DAYS.into_iter().zip(TERMS) {
        assert_eq!(holding(&compared(&server, day).await), terms, "{day}");
        let request = GetTimelineRequest {
            entity: SUBJECT.into(),
            read: Some(at(day, None)),
            ..GetTimelineRequest::default()
        };
        let timeline = server.facts().get_timeline(request).await.unwrap().into_inner();
        assert_eq!(timeline.entries.len(), 3);
        for entry in timeline.entries {
            let fact = entry.fact.unwrap();
            assert_eq!(fact.holds, terms.contains(&name(&fact.id)), "{day} {}", fact.id);
        }
        let request = ListFactHistoryRequest {
            subject: SUBJECT.into(),
            predicate: OFFICE.into(),
            read: Some(at(day, None)),
            ..ListFactHistoryRequest::default()
        };
        let history = server
            .facts()
            .list_fact_history(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(history.facts.len(), 3);
        assert_eq!(holding(&history.facts), terms, "{day}");
        let request = ListConflictsRequest {
            subject: SUBJECT.into(),
            read: Some(at(day, None)),
            ..ListConflictsRequest::default()
        };
        let conflicts = server.facts().list_conflicts(request).await.unwrap().into_inner();
        assert_eq!(holding(&conflicts.conflicts[0].facts), terms, "{day}");
    }
    // On any day, as of that of the default graph.
    let request = ListConflictsRequest::default();
    let conflicts = server.facts().list_conflicts(request).await.unwrap().into_inner();
    let facts = &conflicts.conflicts[0].facts;
    assert_eq!((holding(facts), facts.len()), (vec!["second"], 3));
}

#[tokio::test]
async fn a_watch_tells_when_the_term_is_another() {
    let server = start(DAYS[0]).await;
    insert(&server, "e:other e:p e:office").await;
    // No triple comes or goes with the day: only whose term it is.
    let folder = server.stop().await;
    let server = Server::start_in(folder, |settings| {
        settings.load_shipped_data = false;
        settings.reference_date = DAYS[3].parse().unwrap();
    })
    .await;
    let request = v1::WatchRequest {
        output: WatchOutput::Facts.into(),
        ..from(v1::WatchStart::Earliest)
    };
    let mut stream = watch(&server, request).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        let commit = next_commit(&mut stream).await.unwrap();
        let mut facts: Vec<_> = commit
            .facts
            .iter()
            .map(|change| {
                let fact = change.fact.as_ref().unwrap();
                (change.kind(), name(&fact.id).to_owned(), fact.holds)
            })
            .collect();
        facts.sort_by(|one, other| one.1.cmp(&other.1));
        told.push(facts);
    }
    let is = |kind, first, second| {
        vec![
            (kind, "first".to_owned(), first),
            (kind, "second".to_owned(), second),
        ]
    };
    assert_eq!(told[0], is(v1::FactChangeKind::Written, true, false));
    assert_eq!(told[1].len(), 1);
    assert_eq!(told[2], is(v1::FactChangeKind::Changed, false, true));
}
