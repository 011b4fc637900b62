//! The questions that the shipped data must answer, over the typed API and in SPARQL, with their answers as they were when
//! somebody last looked at them: a new fact or rule changes none of them unnoticed.
//!
//! `questions.txt` has a paragraph for each call: a line that begins with `#` and says the question, the call, and the answer, a
//! line for each part of it. With `DOSSIER_RENEW_ANSWERS=1` the answers are written anew.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use dossier::proto::v1::{
    self, CheckFactRequest, CompareFactsRequest, Fact, GetFactRequest, GetTimelineRequest,
    ListConflictsRequest, ListFactsRequest, ReadOptions, Term, term::Term as Kind,
};
use http::{Request, header};

use crate::{
    harness::Server,
    http_client::send,
    verdicts::{REFERENCE, date, midnight, name},
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/questions.txt");

#[tokio::test]
async fn the_typed_api_answers_as_it_did() {
    let server = Server::start().await;
    let text = fs::read_to_string(FILE).unwrap();
    let mut renewed = String::new();
    for paragraph in text
        .split("\n\n")
        .filter(|paragraph| !paragraph.trim().is_empty())
    {
        let mut lines = paragraph.trim().lines();
        let questions: Vec<_> = lines.by_ref().take_while(|line| line.starts_with('#')).collect();
        let call = paragraph.trim().lines().nth(questions.len()).unwrap();
        let answer = answer(&server, call).await;
        let answer = if answer.is_empty() {
            vec!["nothing".to_owned()]
        } else {
            answer
        };
        let (question, answer) = (questions.join("\n"), answer.join("\n"));
        writeln!(renewed, "{question}\n{call}\n{answer}\n").unwrap();
    }
    let renewed = format!("{}\n", renewed.trim_end());
    if std::env::var_os("DOSSIER_RENEW_ANSWERS").is_some() {
        fs::write(FILE, &renewed).unwrap();
        return;
    }
    let (expected, found): (Vec<_>, Vec<_>) = (text.lines().collect(), renewed.lines().collect());
    let differing = expected
        .iter()
        .zip(&found)
        .find(|(expected, found)| expected != found);
    assert!(
        expected == found,
        "an answer has changed; the first line that differs: {differing:?}\n\
         If it is right now, write it with DOSSIER_RENEW_ANSWERS=1.\n\n{renewed}"
    );
}

#[tokio::test]
async fn sparql_answers_as_it_did() {
    let server = Server::start().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/questions");
    let (mut count, mut wrong) = (0, Vec::new());
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rq") {
            continue;
        }
        count += 1;
        let query = fs::read_to_string(&path).unwrap();
        let is_ordered = query
            .lines()
            .any(|line| line.trim_start().starts_with("ORDER BY"));
        let request = Request::post("/sparql")
            .header(header::CONTENT_TYPE, "application/sparql-query")
            .header(header::ACCEPT, "text/csv")
            .body(query)
            .unwrap();
        let body = send(server.address, request).await.unwrap().into_body();
        let mut found: Vec<_> = std::str::from_utf8(&body)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        if !is_ordered {
            found[1..].sort();
        }
        let expected = fs::read_to_string(path.with_extension("csv")).unwrap();
        if found != expected.lines().collect::<Vec<_>>() {
            wrong.push(format!("{}: {found:#?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 40, "{count}");
}

/// Makes a call, `method key=value …`, and returns the lines of the answer.
#[expect(clippy::too_many_lines, reason = "an arm for each method")]
async fn answer(server: &Server, call: &str) -> Vec<String> {
    let mut words = call.split_whitespace();
    let method = words.next().unwrap();
    let arguments: BTreeMap<_, _> = words.map(|word| word.split_once('=').expect(call)).collect();
    let argument = |key: &str| arguments.get(key).copied().unwrap_or_default().to_owned();
    let read = Some(ReadOptions {
        min_revision: 0,
        as_of: Some(date(arguments.get("as-of").unwrap_or(&REFERENCE))),
        known_at: arguments.get("known-at").map(|day| midnight(day)),
        ..ReadOptions::default()
    });
    let mut facts = server.facts();
    match method {
        "CheckFact" => {
            let request = CheckFactRequest {
                subject: argument("subject"),
                predicate: argument("predicate"),
                object: Some(term(&argument("object"))),
                read,
                ..CheckFactRequest::default()
            };
            let answer = facts.check_fact(request).await.unwrap().into_inner();
            let verdict = answer.verdict().as_str_name().trim_start_matches("VERDICT_");
            let rule = answer.rule().as_str_name().trim_start_matches("VERDICT_RULE_");
            let evidence = answer.evidence.iter().map(fact_line);
            std::iter::once(format!("{verdict} {rule}"))
                .chain(evidence)
                .collect()
        }
        "ListFacts" => {
            let scope = match argument("scope").as_str() {
                "live" => v1::FactScope::Live,
                "all" => v1::FactScope::All,
                _ => v1::FactScope::Unspecified,
            };
            let standing = format!("STANDING_{}", argument("standing").to_uppercase());
            let standing = v1::Standing::from_str_name(&standing).map(Into::into);
            let basis = (argument("basis") == "inferred").then_some(v1::Basis::Inferred.into());
            let request = ListFactsRequest {
                subject: argument("subject"),
                predicate: argument("predicate"),
                object: arguments.get("object").map(|object| term(object)),
                source: argument("source"),
                sole_source: arguments.contains_key("sole-source"),
                standings: standing.into_iter().collect(),
                bases: basis.into_iter().collect(),
                scope: scope.into(),
                read,
                ..ListFactsRequest::default()
            };
            let found = crate::verdicts::list(server, request).await;
            let mut lines: Vec<_> = found.iter().map(fact_line).collect();
            lines.sort();
            lines
        }
        "GetFact" => {
            let request = GetFactRequest {
                id: argument("id"),
                read,
                ..GetFactRequest::default()
            };
            let fact = facts.get_fact(request).await.unwrap().into_inner().fact.unwrap();
            let source = fact
                .sources
                .iter()
                .map(|source| format!("{} {}", name(&source.iri), source.locator));
            [fact_line(&fact)].into_iter().chain(source).collect()
        }
        "CompareFacts" => {
            let request = CompareFactsRequest {
                subject: argument("subject"),
                predicate: argument("predicate"),
                read,
                ..CompareFactsRequest::default()
            };
            let answer = facts.compare_facts(request).await.unwrap().into_inner();
            let mut lines: Vec<_> = answer
                .groups
                .iter()
                .flat_map(|group| &group.facts)
                .map(fact_line)
                .collect();
            lines.sort();
            lines.insert(0, format!("conflict: {}", answer.conflict));
            lines
        }
        "ListConflicts" => {
            let request = ListConflictsRequest {
                subject: argument("subject"),
                read,
                page_size: 1_000,
                ..ListConflictsRequest::default()
            };
            let answer = facts.list_conflicts(request).await.unwrap().into_inner();
            let mut lines: Vec<_> = answer
                .conflicts
                .iter()
                .flat_map(|one| &one.facts)
                .map(fact_line)
                .collect();
            lines.sort();
            lines
        }
        "GetTimeline" => {
            let request = GetTimelineRequest {
                entity: argument("entity"),
                read,
                page_size: 1_000,
                ..GetTimelineRequest::default()
            };
            let answer = facts.get_timeline(request).await.unwrap().into_inner();
            let entry = |entry: &v1::TimelineEntry| {
                let kind = entry.kind().as_str_name().trim_start_matches("TIMELINE_KIND_");
                let standing = entry.standing().as_str_name().trim_start_matches("STANDING_");
                let stance = entry.stance().as_str_name().trim_start_matches("STANCE_");
                let what = match &entry.fact {
                    Some(fact) if entry.event.is_empty() => fact_line(fact),
                    _ => name(&entry.event).to_owned(),
                };
                format!("{} {kind} {what} ({stance} {standing})", entry.edtf)
            };
            answer.entries.iter().map(entry).collect()
        }
        other => panic!("{other} is no call of the questions"),
    }
}

/// Reads an object: a name, or a text and its datatype.
fn term(text: &str) -> Term {
    let term = match text.split_once("^^") {
        None => Kind::Iri(text.to_owned()),
        Some((value, datatype)) => Kind::Literal(v1::Literal {
            lexical_form: value.to_owned(),
            datatype: datatype.to_owned(),
            ..v1::Literal::default()
        }),
    };
    Term { term: Some(term) }
}

/// Shows a fact: the triple, whether it holds, how it is put, when, and which statement says so.
fn fact_line(fact: &Fact) -> String {
    let object = match &fact.object.as_ref().unwrap().term {
        Some(Kind::Iri(iri)) => name(iri).to_owned(),
        Some(Kind::Literal(literal)) => format!("{:?}", literal.lexical_form),
        other => format!("{other:?}"),
    };
    let local = |iri: &str| iri.rsplit(['/', '#']).next().unwrap().to_owned();
    let not = if fact.negated { "not " } else { "" };
    let holds = if fact.holds { "holds" } else { "does not hold" };
    let put = [
        fact.stance().as_str_name().trim_start_matches("STANCE_"),
        fact.standing().as_str_name().trim_start_matches("STANDING_"),
        fact.basis().as_str_name().trim_start_matches("BASIS_"),
    ];
    let time = fact.valid_time.as_ref().map_or("", |time| time.edtf.as_str());
    let mut sources: Vec<_> = fact.sources.iter().map(|source| name(&source.iri)).collect();
    sources.sort_unstable();
    format!(
        "{}: {not}{} {} {object}; {holds}; {}; {time}; {}; {}",
        name(&fact.id),
        local(&fact.subject),
        local(&fact.predicate),
        put.join(" "),
        name(&fact.attributed_to),
        sources.join(" ")
    )
}
