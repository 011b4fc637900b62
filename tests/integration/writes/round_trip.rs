//! What is written is what is read.

use std::collections::{HashMap, HashSet};

use dossier::proto::v1::{
    Basis, ExportRequest, Fact, FactScope, GetFactRequest, ListFactsRequest, Literal, Qualifier, Source,
    Stance, Standing, Term, ValidTime, export_request::Scope, term::Term as Kind,
};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};
use prost_types::Timestamp;

use super::{S, iri, request, write};
use crate::{exports::export, harness::Server};

const NAMES: &str = "http://example.com/";
const FACT_COUNT: usize = 400;

fn names() -> impl Strategy<Value = String> {
    // Few, so that facts share subjects and objects.
    (0..30_u32).prop_map(|number| format!("{NAMES}{number}"))
}

fn literals() -> impl Strategy<Value = Literal> {
    let language = prop_oneof![Just("en"), Just("zh-Hant"), Just("pt-BR")];
    prop_oneof![
        ".*".prop_map(|lexical_form| Literal {
            lexical_form,
            ..Literal::default()
        }),
        ("\\PC*", language).prop_map(|(lexical_form, language)| Literal {
            lexical_form,
            language: language.into(),
            ..Literal::default()
        }),
        ("[0-9]{1,4}", names()).prop_map(|(lexical_form, datatype)| Literal {
            lexical_form,
            datatype,
            ..Literal::default()
        }),
    ]
}

fn terms() -> impl Strategy<Value = Term> {
    prop_oneof![
        names().prop_map(|name| iri(&name)),
        literals().prop_map(|literal| Term {
            term: Some(Kind::Literal(literal)),
        }),
    ]
}

/// Returns a valid time with nothing but what is stored.
fn time(edtf: &str, valid_from: &str, valid_until: &str, observed_on: &str) -> ValidTime {
    let mut time = ValidTime::default();
    edtf.clone_into(&mut time.edtf);
    valid_from.clone_into(&mut time.valid_from);
    valid_until.clone_into(&mut time.valid_until);
    observed_on.clone_into(&mut time.observed_on);
    time
}

/// A valid time with the days that follow from it, and a day of observation in it.
fn times() -> impl Strategy<Value = Option<ValidTime>> {
    let known = [
        ("2016", "2016-01-01", "2017-01-01", "2016-05-01"),
        ("2016-11-23/..", "2016-11-23", "", "2019-08-27"),
        ("../2019-07", "", "2019-08-01", "0044-03-15"),
        ("2019-08~", "2019-08-01", "2019-09-01", "2019-08-27"),
        ("2017-08-03/", "2017-08-03", "", "2017-08-03"),
        ("2004-02-29%/2005-06?", "2004-02-29", "2005-07-01", "2005-06-30"),
        ("201X", "2010-01-01", "2020-01-01", "2019-12-31"),
        ("-0043", "-0043-01-01", "-0042-01-01", "-0043-03-15"),
        ("", "", "", "2019-08-27"),
    ];
    (0..known.len(), any::<bool>()).prop_map(move |(index, is_observed)| {
        let (edtf, valid_from, valid_until, observed) = known[index];
        let time = time(
            edtf,
            valid_from,
            valid_until,
            if is_observed { observed } else { "" },
        );
        (time != ValidTime::default()).then_some(time)
    })
}

/// Sources of which the title and the publisher follow from the name, so that all facts agree.
fn sources() -> impl Strategy<Value = Vec<Source>> {
    let source = |number: u32| Source {
        iri: format!("{NAMES}source/{number}"),
        title: format!("The “source” {number}"),
        publisher: match number % 3 {
            0 => String::new(),
            1 => "The Diplomat: Asia".into(),
            _ => format!("{NAMES}publisher/{number}"),
        },
        locator: String::new(),
        ..Source::default()
    };
    let one = (0..9_u32, "[A-Z][0-9]{0,2}|").prop_map(move |(number, locator)| {
        vec![Source {
            locator,
            ..source(number)
        }]
    });
    let several = prop::collection::hash_set(0..9_u32, 2..4)
        .prop_map(move |numbers| numbers.into_iter().map(source).collect());
    prop_oneof![one, several]
}

fn judgements() -> impl Strategy<Value = (Stance, Standing)> {
    let any = [Standing::Unconfirmed, Standing::Disputed, Standing::Rejected];
    let asserted = [Standing::Preferred, Standing::Accepted];
    let others = [
        Stance::Attributed,
        Stance::Reported,
        Stance::Planned,
        Stance::Projected,
        Stance::Opinion,
    ];
    prop_oneof![
        prop::sample::select([any.as_slice(), asserted.as_slice()].concat())
            .prop_map(|standing| (Stance::Asserted, standing)),
        (
            prop::sample::select(others.to_vec()),
            prop::sample::select(any.to_vec())
        ),
    ]
}

fn facts() -> impl Strategy<Value = Fact> {
    let judgement = (
        judgements(),
        prop::sample::select(vec![Basis::Stated, Basis::Background]),
    );
    let said = (
        prop::option::of(0.0..=1.0_f64),
        prop_oneof![Just(String::new()), names()],
    );
    let qualifiers = prop::collection::vec((names(), terms()), 0..4);
    let recorded_at = prop::option::of((-62_135_596_800..1_700_000_000_i64, 0..1_000_000_000_i32));
    let rest = (times(), qualifiers, sources(), recorded_at);
    ((names(), names(), terms()), judgement, said, rest).prop_map(|(triple, judgement, said, rest)| {
        let (subject, predicate, object) = triple;
        let ((stance, standing), basis) = judgement;
        let (confidence, attributed_to) = said;
        let (valid_time, qualifiers, sources, recorded_at) = rest;
        let qualifiers = qualifiers.into_iter().map(|(property, value)| Qualifier {
            property: format!("{property}/q"),
            value: Some(value),
        });
        Fact {
            subject,
            predicate: format!("{predicate}/p"),
            object: Some(object),
            standing: standing.into(),
            stance: stance.into(),
            basis: basis.into(),
            confidence,
            attributed_to,
            valid_time,
            qualifiers: qualifiers.collect(),
            sources,
            recorded_at: recorded_at.map(|(seconds, nanos)| Timestamp { seconds, nanos }),
            ..Fact::default()
        }
    })
}

/// Puts what has no order of its own in one.
fn ordered(mut fact: Fact) -> Fact {
    let key = |qualifier: &Qualifier| format!("{qualifier:?}");
    fact.qualifiers.sort_by_cached_key(key);
    fact.qualifiers.dedup();
    fact.sources.sort_by(|a, b| a.iri.cmp(&b.iri));
    fact.disputes.sort();
    fact
}

/// Writes random facts, some of them denials or new versions of others, and reads each; those that are live are listed too.
#[tokio::test]
async fn what_is_written_is_read() {
    let server = Server::start_empty().await;
    let mut runner = TestRunner::new(Config::default());
    let mut written: Vec<Fact> = Vec::new();
    for number in 0..FACT_COUNT {
        let mut fact = facts().new_tree(&mut runner).unwrap().current();
        // Each is revised once at most, and later than it is written.
        if number >= 100 && number % 4 == 0 {
            let old = &written[number - 100];
            fact.subject.clone_from(&old.subject);
            fact.predicate.clone_from(&old.predicate);
            fact.revises.clone_from(&old.id);
        }
        written.push(Fact {
            id: format!("{S}{number}"),
            disputes: (0..number % 3).map(|other| format!("{S}{other}")).collect(),
            negated: number % 5 == 0,
            ..fact
        });
    }
    for some in written.chunks(90) {
        let answer = write(&server, request(some.to_vec())).await.unwrap();
        assert!(answer.ids.iter().eq(some.iter().map(|fact| &fact.id)));
    }
    let mut revised = HashSet::new();
    for fact in &written {
        revised.insert(fact.revises.clone());
    }
    for fact in &written {
        let request = GetFactRequest {
            id: fact.id.clone(),
            ..GetFactRequest::default()
        };
        let read = server
            .facts()
            .get_fact(request)
            .await
            .unwrap()
            .into_inner()
            .fact
            .unwrap();
        assert_eq!(
            read.retracted_at.is_some(),
            revised.contains(&fact.id),
            "{}",
            fact.id
        );
        check(fact, read);
    }
    let found = server
        .list(ListFactsRequest {
            page_size: 10_000,
            scope: FactScope::Live.into(),
            ..ListFactsRequest::default()
        })
        .await
        .unwrap();
    assert_eq!(found.next_page_token, "");
    let found = found.facts.into_iter().filter(|fact| fact.id.starts_with(S));
    let mut found: HashMap<_, _> = found.map(|fact| (fact.id.clone(), fact)).collect();
    for fact in &written {
        if !revised.contains(&fact.id) {
            check(fact, found.remove(&fact.id).unwrap());
        }
    }
    assert!(found.is_empty(), "{found:?}");
}

/// What was read may be written again, whatever statements the data sets have: nothing changes.
#[tokio::test]
async fn what_is_read_may_be_written_back() {
    let server = Server::start_with(|settings| settings.load_shipped_data = true).await;
    let statements = ExportRequest {
        format: "nt".into(),
        scope: Some(Scope::Graph("https://w3id.org/dossier/g/statements".into())),
        ..ExportRequest::default()
    };
    let document = export(&server, statements).await.unwrap().1;
    let ids: Vec<_> = std::str::from_utf8(&document)
        .unwrap()
        .lines()
        .filter(|line| line.contains("22-rdf-syntax-ns#subject>"))
        .map(|line| line[1..line.find('>').unwrap()].to_owned())
        .collect();
    assert!(ids.len() > 100);
    let revision = server.info().await.revision;
    for some in ids.chunks(500) {
        let mut facts = Vec::new();
        for id in some {
            let request = GetFactRequest {
                id: id.clone(),
                ..GetFactRequest::default()
            };
            let answer = server.facts().get_fact(request).await.unwrap().into_inner();
            // What is retracted would live again.
            facts.extend(answer.fact.filter(|fact| fact.retracted_at.is_none()));
        }
        let answer = write(&server, request(facts)).await.unwrap();
        assert_eq!((answer.revision, answer.quads_inserted), (revision, 0));
    }
}

/// Checks that a fact is as it was written; what only answers have aside.
#[track_caller]
fn check(written: &Fact, read: Fact) {
    let recorded_at = written.recorded_at.or(read.recorded_at);
    assert!(recorded_at.is_some());
    let read = Fact {
        id: read.id,
        subject: read.subject,
        predicate: read.predicate,
        object: read.object,
        standing: read.standing,
        stance: read.stance,
        negated: read.negated,
        basis: read.basis,
        confidence: read.confidence,
        attributed_to: read.attributed_to,
        valid_time: read
            .valid_time
            .map(|read| time(&read.edtf, &read.valid_from, &read.valid_until, &read.observed_on)),
        qualifiers: read.qualifiers,
        sources: read.sources,
        recorded_at: read.recorded_at,
        disputes: read.disputes,
        revises: read.revises,
        ..Fact::default()
    };
    let written = Fact {
        recorded_at,
        ..written.clone()
    };
    assert_eq!(ordered(read), ordered(written));
}
