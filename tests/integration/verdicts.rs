//! The competency questions that are asked through the typed API, with the answers that the shipped data gives. A new fact or
//! rule changes an answer only here.

use dossier::proto::v1::{
    self, CheckFactRequest, Date, ListFactsRequest, ReadOptions, Term, Verdict, VerdictRule,
    term::Term as Kind,
};
use oxigraph::model::vocab::xsd;
use prost_types::Timestamp;

use crate::harness::Server;

pub(crate) const REFERENCE: &str = "2019-08-27";

pub(crate) fn date(text: &str) -> Date {
    let parts: Vec<i32> = text.split('-').map(|part| part.parse().unwrap()).collect();
    Date {
        year: parts[0],
        month: parts[1],
        day: parts[2],
    }
}

/// Returns the first second of a day in UTC.
pub(crate) fn midnight(text: &str) -> Timestamp {
    format!("{text}T00:00:00Z").parse().unwrap()
}

pub(crate) fn at(as_of: &str, known_at: Option<&str>) -> ReadOptions {
    ReadOptions {
        min_revision: 0,
        as_of: Some(date(as_of)),
        known_at: known_at.map(midnight),
        ..ReadOptions::default()
    }
}

pub(crate) fn iri(name: &str) -> Term {
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

pub(crate) async fn check(
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
pub(crate) fn name(iri: &str) -> &str {
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
        ("e:moon", "d:holdsOffice", iri("e:president-of-south-korea"), REFERENCE, Verdict::True, VerdictRule::Stated, "F17-term"),
        ("e:moon", "d:holdsOffice", iri("e:president-of-south-korea"), "2022-06-01", Verdict::False, VerdictRule::OutsideTime, "F17-term"),
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

pub(crate) async fn list(server: &Server, request: ListFactsRequest) -> Vec<v1::Fact> {
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
