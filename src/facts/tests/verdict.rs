//! Verdicts and conflicts on small graphs.

use oxigraph::model::NamedNode;

use super::*;
use crate::facts::{Checked, Comparison};

/// Returns the graph of statements with one about `e:s`, negated where the standing begins with `-`.
pub(super) fn stated(id: &str, predicate_object: &str, standing: &str, more: &str) -> String {
    let [predicate, object] = predicate_object
        .split(' ')
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let (standing, negated) = match standing.strip_prefix('-') {
        Some(standing) => (standing, "; d:negated true"),
        None => (standing, ""),
    };
    format!(
        "g:statements {{ s:{id} rdf:subject e:s ; rdf:predicate {predicate} ; rdf:object {object} ; d:stance d:Asserted ;
            d:standing d:{standing} ; d:basis d:Stated ; prov:wasDerivedFrom e:src {negated} {more} }} "
    )
}

pub(super) fn view(day: &str) -> TimeView {
    TimeView {
        day: day.parse().unwrap(),
        known_at: None,
    }
}

/// Asks whether `e:s d:p` an object.
fn ask(text: &str, object: &str, on: &str) -> Checked {
    let object = match object.split_once(':') {
        Some(("d", name)) => iri(&format!("ns#{name}")),
        Some((_, name)) => iri(&format!("e/{name}")),
        None => panic!("{object}"),
    };
    Lookup::default().on(&snapshot(text)).check(
        [&iri("e/s"), &iri("ns#p")],
        NamedNode::new_unchecked(object).as_ref().into(),
        &view(on),
        &mut Budget::page(),
    )
}

/// Compares what is stated of `e:s d:p`.
fn compare(text: &str, on: &str) -> Comparison {
    Lookup::default()
        .on(&snapshot(text))
        .compare([&iri("e/s"), &iri("ns#p")], &view(on), &mut Budget::page())
}

pub(super) fn ids(checked: &Checked) -> Vec<&str> {
    let evidence = checked.evidence.iter();
    let ids = evidence.map(|fact| fact.statement.as_ref()?.id.rsplit('/').next());
    ids.map(Option::unwrap_or_default).collect()
}

#[test]
fn a_predicate_is_closed_if_it_certainly_is() {
    let check = |text: &str, on: &str, rule: Rule, evidence: &[&str]| {
        let checked = ask(text, "e:other", on);
        assert_eq!(
            (checked.rule, ids(&checked).as_slice()),
            (rule, evidence),
            "{text} on {on}"
        );
    };
    let closing = |standing: &str, more: &str| stated("c", "d:closedFor d:p", standing, more);
    check(&closing("Accepted", ""), "2019-08-27", Rule::NotAmongAll, &["c"]);
    check("e:s d:closedFor d:p .", "2019-08-27", Rule::NotAmongAll, &[""]);
    // It was closed when it was last looked at.
    let once = closing("Accepted", "; d:edtf \"2010-01-01/\"");
    check(&once, "2010-01-01", Rule::NotAmongAll, &["c"]);
    check(&once, "2019-08-27", Rule::NothingRecorded, &[]);
    // Two disagree.
    let denied = closing("Accepted", "") + &stated("n", "d:closedFor d:p", "-Accepted", "");
    check(&denied, "2019-08-27", Rule::NothingRecorded, &[]);
    // What is rejected is no reason.
    let both = closing("Accepted", "") + &stated("r", "d:closedFor d:p", "Rejected", "");
    check(&both, "2019-08-27", Rule::NotAmongAll, &["c"]);
    // Closed for another predicate.
    check("e:s d:closedFor d:q .", "2019-08-27", Rule::NothingRecorded, &[]);
    // That all are recorded does not say that there is none.
    let some = format!(
        "{}{}",
        closing("Accepted", ""),
        stated("1", "d:p e:x", "Accepted", "")
    );
    assert_eq!(
        ask(&some, "d:SomeValue", "2019-08-27").rule,
        Rule::NothingRecorded
    );
}

/// A statement that does not hold takes nothing from what the node says of its triple; nor does it matter what it says of others.
#[test]
fn the_verdict_on_a_triple_does_not_hang_on_its_siblings() {
    let event = "e:s a <http://schema.org/Event> ; d:standing d:Accepted ; d:stance d:Asserted ; d:p e:x";
    for (standing, more) in [("Rejected", ""), ("Accepted", "; d:edtf \"2016/2018\"")] {
        let stated = stated("1", "d:p e:x", standing, more);
        for sibling in ["", ", e:y"] {
            let text = format!("{event} {sibling} . {stated}");
            assert_eq!(ask(&text, "e:x", "2019-08-27").rule, Rule::Stated, "{text}");
            let compared = compare(&text, "2019-08-27");
            let object = NamedNode::new_unchecked(iri("e/x")).into();
            let group = compared.groups.iter().find(|group| group.object == object);
            assert_eq!(group.unwrap().rule, Rule::Stated, "{text}");
        }
    }
}

/// What holds by a statement is not in question where the node is that has its triple.
#[test]
fn what_holds_by_a_statement_is_not_what_the_node_says() {
    let check = |more: &str, is_conflict: bool| {
        let text = format!(
            "e:s a <http://schema.org/Event> ; d:standing d:Disputed ; d:stance d:Asserted ; d:p e:x . {more}"
        );
        assert_eq!(compare(&text, "2019-08-27").sign.is_some(), is_conflict, "{text}");
    };
    check("", true);
    check(&stated("1", "d:p e:x", "Accepted", ""), false);
}

#[test]
fn evidence_that_holds_comes_first() {
    let asserted = stated("a", "d:p e:x", "Accepted", "");
    let denied = stated("n", "d:p e:x", "-Accepted", "");
    for text in [format!("{asserted} {denied}"), format!("{denied} {asserted}")] {
        let checked = ask(&text, "e:x", "2019-08-27");
        assert_eq!(
            (checked.rule, ids(&checked)),
            (Rule::Contradicted, vec!["a", "n"]),
            "{text}"
        );
    }
}

fn conflicts(reader: &Reader<'_>) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let filter = ConflictFilter::default();
        let page = reader.conflicts(&filter, &view("2019-08-27"), 1, after, &mut Budget::page());
        found.extend(page.conflicts.iter().map(|conflict| match &conflict.predicate {
            Some(predicate) => predicate.as_str().to_owned(),
            None => conflict.subject.to_string(),
        }));
        after = page.end;
        if after.is_none() {
            return found;
        }
    }
}

/// Of one subject and predicate, thousands are both asserted and denied: looked for once, not once for each or each pair.
#[test]
fn a_large_conflict_is_found_once() {
    let mut text = String::new();
    for number in 0..2_000 {
        let object = format!("d:p e:o{number}");
        text += &stated(&format!("a{number}"), &object, "Accepted", "");
        text += &stated(&format!("n{number}"), &object, "-Accepted", "");
    }
    assert_eq!(conflicts(&Lookup::default().on(&snapshot(&text))), [iri("ns#p")]);
}

/// What is disputed by a verdict is a conflict in the comparison and in the list.
#[test]
fn a_denial_conflicts_with_whatever_asserts() {
    let check = |text: &str, rule: Rule, is_conflict: bool| {
        assert_eq!(ask(text, "e:x", "2019-08-27").rule, rule, "{text}");
        let snapshot = snapshot(text);
        let reader = Lookup::default().on(&snapshot);
        let names = [iri("e/s"), iri("ns#p")];
        let names = names.each_ref().map(String::as_str);
        let compared = reader.compare(names, &view("2019-08-27"), &mut Budget::page());
        assert_eq!(compared.sign.is_some(), is_conflict, "{text}");
        assert_eq!(conflicts(&reader).is_empty(), !is_conflict, "{text}");
        let filter = ConflictFilter::default();
        for conflict in reader
            .conflicts(&filter, &view("2019-08-27"), 9, None, &mut Budget::page())
            .conflicts
        {
            assert_eq!(conflict.facts.len(), 2, "{text}");
        }
    };
    let denied = stated("n", "d:p e:x", "-Accepted", "");
    let none = stated("n", "d:p d:SomeValue", "-Accepted", "");
    for denied in [&denied, &none] {
        check(denied, Rule::Denied, false);
        check(&format!("e:s d:p e:x . {denied}"), Rule::Contradicted, true);
        let event = "a <http://schema.org/Event> ; d:standing d:Accepted ; d:stance d:Asserted ; d:p e:x";
        check(&format!("e:s {event} . {denied}"), Rule::Contradicted, true);
        check(
            &format!("g:statements {{ e:s {event} }} {denied}"),
            Rule::Contradicted,
            true,
        );
        let asserted = stated("a", "d:p e:x", "Accepted", "");
        check(&format!("{asserted} {denied}"), Rule::Contradicted, true);
        // It is derived, and no more than that.
        check(
            &format!("e:s d:p e:x . g:derived {{ e:s d:p e:x }} {denied}"),
            Rule::Denied,
            false,
        );
    }
    // Another is denied.
    check(&format!("e:s d:p e:y . {denied}"), Rule::Denied, false);
    check(&format!("e:s d:p e:y . {none}"), Rule::Denied, true);
}

/// An event that is in question as a whole has no statement, and is a conflict of its own.
#[test]
fn a_node_that_is_disputed_or_rejected_is_a_conflict() {
    let node = |name: &str, class: &str, standing: &str, more: &str| {
        format!(
            "g:statements {{ e:{name} a <http://schema.org/{class}> ; <http://www.w3.org/2000/01/rdf-schema#label> 'x' ; d:actor e:KR , e:JP ; d:stance d:Asserted ;
                d:standing d:{standing} ; d:basis d:Stated ; prov:wasDerivedFrom e:src {more} }} "
        )
    };
    let text = node("disputed", "Event", "Disputed", "")
        + &node("rejected", "Claim", "Rejected", "")
        + &node("planned", "Event", "Unconfirmed", "")
        + &node("else", "Thing", "Disputed", "")
        + &node(
            "gone",
            "Event",
            "Disputed",
            "; prov:invalidatedAtTime '2019-01-01T00:00:00Z'^^<http://www.w3.org/2001/XMLSchema#dateTime>",
        )
        + &stated("1", "d:p e:x", "Disputed", "");
    let snapshot = snapshot(&text);
    let reader = Lookup::default().on(&snapshot);
    let mut found = conflicts(&reader);
    found.sort();
    let named = |name: &str| format!("<{}>", iri(&format!("e/{name}")));
    assert_eq!(found, [named("disputed"), named("rejected"), iri("ns#p")]);
    let of = |subject: Option<&str>, source: Option<&str>| {
        let filter = ConflictFilter {
            subject: subject.map(iri),
            source: source.map(iri),
            on: None,
        };
        let budget = &mut Budget::page();
        reader
            .conflicts(&filter, &view("2019-08-27"), 9, None, budget)
            .conflicts
    };
    let [conflict] = of(Some("e/disputed"), None).try_into().unwrap();
    assert_eq!(conflict.facts.len(), 2, "who took part, but no names");
    for fact in &conflict.facts {
        assert_eq!(fact.standing(), Some(Standing::Disputed));
        assert!(!fact.holds);
    }
    assert_eq!(of(None, Some("e/src")).len(), 3);
    assert_eq!(of(None, Some("e/other")), []);
}

#[test]
fn conflicts_of_a_day_are_of_what_may_hold_on_it() {
    let text = stated("1", "d:p e:x", "Disputed", "; d:edtf '2018'")
        + &stated("2", "d:q e:y", "Accepted", "; d:edtf '2018/2019'")
        + &stated(
            "3",
            "d:q e:y",
            "Accepted",
            "; d:edtf '2019/2020' ; d:negated true",
        )
        + &stated("4", "d:q e:z", "Accepted", "; d:edtf '2020'");
    let snapshot = snapshot(&text);
    let reader = Lookup::default().on(&snapshot);
    let check = |on: Option<&str>, expected: &[(&str, usize)]| {
        let filter = ConflictFilter {
            on: on.map(|day| day.parse().unwrap()),
            ..ConflictFilter::default()
        };
        let page = reader.conflicts(&filter, &view("2019-08-27"), 9, None, &mut Budget::page());
        let found = page.conflicts.iter().map(|one| {
            (
                one.predicate.as_ref().unwrap().as_str().to_owned(),
                one.facts.len(),
            )
        });
        let expected = expected
            .iter()
            .map(|(name, count)| (iri(&format!("ns#{name}")), *count));
        assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{on:?}");
    };
    check(None, &[("p", 1), ("q", 3)]);
    check(Some("2017-12-31"), &[]);
    check(Some("2018-12-31"), &[("p", 1)]);
    check(Some("2019-01-01"), &[("q", 2)]);
    check(Some("2019-12-31"), &[("q", 2)]);
    check(Some("2020-06-01"), &[]);
}

/// Of what a node says, its standing alone puts it in question, and it is listed once.
#[test]
fn a_node_is_no_conflict_for_what_it_disputes_or_denies() {
    let node = |name: &str, standing: &str| {
        format!(
            "g:statements {{ e:{name} a <http://schema.org/Event> ; d:actor e:KR ; d:stance d:Asserted ; d:standing d:{standing} ;
                d:basis d:Stated ; prov:wasDerivedFrom e:src ; d:disputes s:1 ; d:negated false }} "
        )
    };
    let text = node("disputed", "Disputed") + &node("planned", "Unconfirmed");
    let found = conflicts(&Lookup::default().on(&snapshot(&text)));
    assert_eq!(found, [format!("<{}>", iri("e/disputed"))]);
}

/// A property with more statements than the others together is read once for a page, not anew for every some of its facts.
#[test]
fn what_is_known_of_a_property_is_remembered() {
    let text: String = (0..3_000)
        .map(|number| stated(&format!("{number}"), &format!("d:p e:o{number}"), "Accepted", ""))
        .collect();
    let snapshot = snapshot(&text);
    let reader = Lookup::default().on(&snapshot);
    let (filter, view) = (FactFilter::default(), view("2019-08-27"));
    let page = reader.facts(&filter, view, 10_000, None, &mut Budget::page());
    assert_eq!((page.facts.len(), page.end), (3_000, None), "one page is enough");
}

/// A hub of plain and stated facts: each object is judged, what is too much is counted, and it takes no square of the time.
#[test]
fn a_comparison_of_many_objects_is_cut_and_counted() {
    const PLAIN_COUNT: usize = 40_000;
    let mut text = String::new();
    for number in 0..PLAIN_COUNT {
        write!(text, "e:s d:p e:plain{number} . ").unwrap();
    }
    for number in 0..1_000 {
        text += &stated(&format!("{number}"), &format!("d:p e:o{number}"), "Accepted", "");
    }
    let snapshot = snapshot(&text);
    let reader = Lookup::default().on(&snapshot);
    let names = [iri("e/s"), iri("ns#p")];
    let names = names.each_ref().map(String::as_str);
    let compared = reader.compare(names, &view("2019-08-27"), &mut Budget::page());
    let fact_count: usize = compared.groups.iter().map(|group| group.facts.len()).sum();
    assert_eq!(fact_count + compared.omitted_fact_count, PLAIN_COUNT + 1_000);
    assert!(compared.groups.iter().all(|group| group.facts.len() == 1));
    assert!(
        compared
            .groups
            .iter()
            .all(|group| matches!(group.rule, Rule::Plain | Rule::Stated))
    );
    assert!((1_000..PLAIN_COUNT).contains(&fact_count), "{fact_count}");
    // It stops in the middle, to be begun anew elsewhere.
    let mut budget = Budget::inline();
    reader.compare(names, &view("2019-08-27"), &mut budget);
    assert!(budget.is_out_of_steps());
}

#[test]
fn that_there_is_something_is_no_fact_that_holds() {
    for plain in ["e:s d:p d:SomeValue .", "e:s d:p e:x ."] {
        let checked = ask(
            &(plain.to_owned() + &stated("1", "d:p d:SomeValue", "Accepted", "")),
            "e:y",
            "2019-08-27",
        );
        assert_eq!(checked.rule, Rule::SomeValue);
        assert_eq!((checked.evidence.len(), checked.evidence[0].holds), (1, false));
    }
}
