use std::fmt::Write as _;

use oxigraph::io::{RdfFormat, RdfParser};

use super::*;
use crate::{
    graph::{Batch, Draft},
    model::{
        fact::{Fact, Standing},
        verdict::Rule,
    },
};

mod agree;
mod changes;
mod history;
mod opposed;
mod page;
mod time;
mod timeline;
mod value;
mod verdict;

const PREFIXES: &str = "@prefix d: <https://w3id.org/dossier/ns#> . @prefix e: <https://w3id.org/dossier/e/> .
    @prefix s: <https://w3id.org/dossier/s/> . @prefix g: <https://w3id.org/dossier/g/> .
    @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . @prefix prov: <http://www.w3.org/ns/prov#> . ";

fn quads(text: &str) -> impl Iterator<Item = oxigraph::model::Quad> {
    let text = format!("{PREFIXES}{text}");
    let parser = RdfParser::from_format(RdfFormat::TriG);
    parser.for_reader(std::io::Cursor::new(text)).map(Result::unwrap)
}

pub(super) fn snapshot(text: &str) -> Snapshot {
    let mut batch = Batch::default();
    quads(text).for_each(|quad| batch.insert(quad.as_ref()));
    let mut draft = Draft::new(Snapshot::default());
    draft.apply(&batch);
    draft.finish().1
}

/// Statements about few subjects, one of which has more than are listed; some dead, some of another standing, some hidden.
fn crowded() -> Snapshot {
    let mut text = String::from(
        "e:hub d:p e:o1, e:o2, e:o3 ; d:q e:o1, e:o2, e:o3 ; d:r e:o1, e:o2 . e:small d:p e:o1 ; d:q e:o1 . e:plain d:p e:o1 .
        g:statements {",
    );
    let stated = "d:stance d:Asserted ; d:basis d:Stated ; d:standing";
    for number in 0..700 {
        let (predicate, standing) = match number % 7 {
            0 => ("d:q", "Preferred"),
            1 => ("d:r", "Accepted"),
            _ => ("d:p", "Accepted"),
        };
        let object = number % 3 + 1;
        let end = if number % 5 == 0 {
            "; prov:invalidatedAtTime \"x\""
        } else {
            ""
        };
        write!(
            text,
            " s:h{number} rdf:subject e:hub ; rdf:predicate {predicate} ; rdf:object e:o{object} ; {stated} d:{standing} ;
            prov:wasDerivedFrom e:src{} {end} .",
            number % 2
        )
        .unwrap();
    }
    write!(
        text,
        " s:top rdf:subject e:hub ; rdf:predicate d:r ; rdf:object e:o1 ; {stated} d:Preferred ; prov:wasDerivedFrom e:src1 .
        s:small rdf:subject e:small ; rdf:predicate d:p ; rdf:object e:o1 ; {stated} d:Accepted ; prov:wasDerivedFrom e:src0 .
        s:bare rdf:subject e:small ; rdf:predicate d:q ; rdf:object e:o1 ; prov:wasDerivedFrom e:src0 . }}"
    )
    .unwrap();
    snapshot(&text)
}

fn walk(reader: &Reader<'_>, filter: &FactFilter, view: TimeView, size: usize, steps: u32) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut after = None;
    loop {
        let page = reader.facts(filter, view, size, after, &mut Budget::of_steps(steps));
        assert!(page.facts.len() <= size);
        assert!(
            page.end.is_none() || page.end != after,
            "a page must come further"
        );
        facts.extend(page.facts);
        after = page.end;
        if after.is_none() {
            return facts;
        }
    }
}

fn check(filter: &FactFilter, expected_count: usize) {
    let snapshot = crowded();
    let reader = Lookup::default().on(&snapshot);
    let whole = walk(&reader, filter, view(), usize::MAX, u32::MAX);
    assert_eq!(whole.len(), expected_count, "{filter:?}");
    for (size, steps) in [(1, u32::MAX), (7, u32::MAX), (1_000, 1), (1_000, 50), (3, 20)] {
        assert_eq!(
            walk(&reader, filter, view(), size, steps),
            whole,
            "{filter:?} {size} {steps}"
        );
    }
}

fn view() -> TimeView {
    TimeView {
        day: "2019-08-27".parse().unwrap(),
        known_at: None,
    }
}

fn iri(name: &str) -> String {
    format!("https://w3id.org/dossier/{name}")
}

fn present() -> FactFilter {
    FactFilter {
        is_present: true,
        ..FactFilter::default()
    }
}

#[test]
fn pages_of_any_size_and_budget_are_the_whole() {
    // 560 of the 700 live, of which one that is preferred hides 80; what is plain beside them is a fact of its own.
    check(&present(), 485);
    let about = |subject: &str, filter: FactFilter| FactFilter {
        subject: Some(iri(subject)),
        ..filter
    };
    check(&about("e/hub", present()), 482);
    check(&about("e/hub", FactFilter::default()), 482);
    check(&about("e/small", present()), 2);
    check(&about("e/plain", present()), 1);
    check(&about("e/nobody", present()), 0);
    let from = FactFilter {
        source: Some(iri("e/src0")),
        ..FactFilter::default()
    };
    check(&from, 241);
    check(&about("e/small", from), 1);
    let of = |standing, filter: FactFilter| FactFilter {
        standings: vec![standing],
        ..filter
    };
    check(&of(Some(Standing::Preferred), present()), 81);
    let live = FactFilter {
        scope: Scope::Live,
        ..FactFilter::default()
    };
    check(&of(None, live), 1);
}

/// Events that happened, one of them disputed, and others that are planned; a statement with a qualifier, which is no node.
fn events() -> Snapshot {
    let node = |name: &str, number: usize, stance: &str, standing: &str| {
        format!(
            "e:{name}{number} a <http://schema.org/Event> ; d:actor e:a, e:b ; rdfs:label \"{name}\" ; d:stance d:{stance} ; d:standing d:{standing} ;
             d:basis d:Stated ; prov:wasDerivedFrom e:src{} . ",
            number % 2
        )
    };
    let mut text =
        String::from("@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . e:thing d:actor e:a . ");
    for number in 0..10 {
        // What is disputed is among the statements now; it is read where it was written before that was asked for.
        let standing = if number == 0 { "Disputed" } else { "Accepted" };
        text += &node("past", number, "Asserted", standing);
    }
    text += "g:statements { ";
    for number in 0..10 {
        text += &node("planned", number, "Planned", "Unconfirmed");
    }
    text +=
        "s:1 rdf:subject e:thing ; rdf:predicate d:p ; rdf:object e:o ; d:actor e:a ; d:stance d:Asserted ;
        d:standing d:Accepted ; d:basis d:Stated ; prov:wasDerivedFrom e:src0 . }";
    snapshot(&text)
}

#[test]
fn lists_have_the_facts_about_nodes_by_standing_and_source() {
    let snapshot = events();
    let reader = Lookup::default().on(&snapshot);
    let check = |filter: FactFilter, expected_count: usize| {
        let whole = walk(&reader, &filter, view(), usize::MAX, u32::MAX);
        assert_eq!(whole.len(), expected_count, "{filter:?}");
        for (size, steps) in [(1, u32::MAX), (7, u32::MAX), (1_000, 1), (3, 20)] {
            assert_eq!(
                walk(&reader, &filter, view(), size, steps),
                whole,
                "{filter:?} {size} {steps}"
            );
        }
        whole
    };
    let actors = || FactFilter {
        predicate: Some(iri("ns#actor")),
        ..FactFilter::default()
    };
    assert!(check(actors(), 21).iter().all(|fact| fact.holds));
    let live = |filter: FactFilter| FactFilter {
        scope: Scope::Live,
        ..filter
    };
    assert_eq!(
        check(live(actors()), 41).iter().filter(|fact| fact.holds).count(),
        21
    );
    let of_standing = |standing| FactFilter {
        standings: vec![Some(standing)],
        ..live(actors())
    };
    assert!(
        check(of_standing(Standing::Disputed), 2)
            .iter()
            .all(|fact| fact.holds)
    );
    check(of_standing(Standing::Unconfirmed), 20);
    check(of_standing(Standing::Accepted), 19);
    let of_source = |source: &str| FactFilter {
        source: Some(iri(source)),
        ..FactFilter::default()
    };
    // Two actors of five events each; their names are no facts from the source.
    check(of_source("e/src1"), 10);
    check(live(of_source("e/src1")), 20);
    check(live(of_source("e/src0")), 21);
    let sole = |source: &str| FactFilter {
        is_sole_source: true,
        ..of_source(source)
    };
    check(sole("e/src1"), 10);
    let of_planned = FactFilter {
        subject: Some(iri("e/planned3")),
        ..FactFilter::default()
    };
    check(of_planned.clone(), 0);
    check(live(of_planned), 2);
}

#[test]
fn what_is_planned_is_an_entity() {
    let snapshot = events();
    let reader = Lookup::default().on(&snapshot);
    for is_present in [true, false] {
        let mut query = EntityQuery {
            is_present,
            ..query()
        };
        let find = |query: &EntityQuery, after| {
            reader
                .entity(&iri("e/planned3"), query, after, &mut Budget::page())
                .unwrap()
        };
        let (entity, end) = find(&query, None);
        assert_eq!((entity.labels.len(), entity.facts.len(), end), (1, 2, None));
        assert!(entity.facts.iter().all(|fact| !fact.holds));
        query.size = Some(1);
        let (first, end) = find(&query, None);
        let (second, last) = find(&query, end);
        assert_eq!([first.facts, second.facts].concat(), entity.facts);
        assert!(end.is_some() && last.is_none());
    }
    assert!(
        reader
            .entity(&iri("s/1"), &query(), None, &mut Budget::page())
            .is_none()
    );
}

fn query() -> EntityQuery {
    EntityQuery {
        languages: Vec::new(),
        view: view(),
        is_present: true,
        scope: Scope::Holding,
        size: Some(10),
        label_languages: Vec::new(),
    }
}

#[test]
fn an_entity_is_found_by_its_iri() {
    let snapshot = crowded();
    let reader = Lookup::default().on(&snapshot);
    let query = query();
    let find = |name: &str| reader.entity(&iri(name), &query, None, &mut Budget::page());
    let (entity, end) = find("e/plain").unwrap();
    assert_eq!((entity.facts.len(), end), (1, None));
    assert!(entity.facts[0].statement.is_none());
    let (entity, end) = find("e/hub").unwrap();
    assert_eq!(entity.facts.len(), 10);
    assert!(end.is_some());
    // No subject of the default graph.
    assert!(find("s/h1").is_none());
    assert!(find("e/nobody").is_none());
}

#[test]
fn a_lookup_learns_words_that_come_later() {
    let lookup = Lookup::default();
    let plain = snapshot("e:a d:p e:b .");
    assert_eq!(
        walk(&lookup.on(&plain), &present(), view(), 10, u32::MAX).len(),
        1
    );
    let mut draft = Draft::new(plain);
    let mut batch = Batch::default();
    let more =
        "g:statements { s:1 rdf:subject e:a ; rdf:predicate d:p ; rdf:object e:b ; d:stance d:Asserted ;
        d:standing d:Preferred }";
    for quad in RdfParser::from_format(RdfFormat::TriG).for_slice(format!("{PREFIXES}{more}").as_bytes()) {
        batch.insert(quad.unwrap().as_ref());
    }
    draft.apply(&batch);
    let later = draft.finish().1;
    let facts = walk(&lookup.on(&later), &present(), view(), 10, u32::MAX);
    assert_eq!(facts[0].standing(), Some(Standing::Preferred));
}

/// The commit and the reads see the same in a node that is no whole statement: nothing.
#[test]
fn nothing_rests_on_a_malformed_statement() {
    let holds = |more: &str| {
        let text = format!(
            "g:statements {{ s:1 rdf:subject e:s ; rdf:predicate d:p ; rdf:object e:o ; d:stance d:Asserted ;
                d:standing d:Accepted ; d:basis d:Stated ; prov:wasDerivedFrom e:src . {more} }}"
        );
        let view = view();
        let stated = snapshot(&text);
        let iri = |name: &str| format!("https://w3id.org/dossier/{name}");
        let object = oxigraph::model::NamedNode::new_unchecked(iri("e/o"));
        let names = [iri("e/s"), iri("ns#p")];
        let checked = Lookup::default().on(&stated).check(
            names.each_ref().map(String::as_str),
            object.as_ref().into(),
            &view,
            &mut Budget::page(),
        );
        let mut draft = Draft::new(stated);
        derive::rederive(&mut draft, view.day, derive::Scope::All);
        let derived = draft.finish().1;
        let is_derived = derived.count(Pattern::all(GraphPattern::Default)) > 0;
        assert_eq!(
            checked.rule == Rule::Stated,
            is_derived,
            "{more}: {:?}",
            checked.rule
        );
        is_derived
    };
    assert!(holds(""));
    assert!(holds("s:1 d:negated false ; d:edtf \"2016/..\" ."));
    for malformed in [
        "s:1 rdf:object e:other .",
        "s:1 rdf:subject e:other .",
        "s:1 d:stance d:Reported .",
        "s:1 d:standing d:Preferred .",
        "s:1 d:negated \"no\" .",
        "s:1 d:negated false, \"0\"^^<http://www.w3.org/2001/XMLSchema#boolean> .",
        "s:1 d:edtf \"2016/..\", \"2017/..\" .",
        "s:1 d:edtf \"2016/..\", \"some day\" .",
        "s:1 d:edtf \"some day\" .",
    ] {
        assert!(!holds(malformed), "{malformed}");
    }
}
