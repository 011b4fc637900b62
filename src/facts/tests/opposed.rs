//! Statements that other ones dispute, or that have other values of what can have one only.

use oxigraph::model::{NamedNode, Term};

use super::{
    verdict::{ids, stated, view},
    *,
};
use crate::model::{fact::UnixTime, validity::Uncertainty};

const DAY: &str = "2019-08-27";
const DISPUTED: &str = "d:p e:x";
const RETRACTED: &str =
    "; prov:invalidatedAtTime '2019-03-01T00:00:00Z'^^<http://www.w3.org/2001/XMLSchema#dateTime>";
const FUNCTIONAL: &str = "d:p a <http://www.w3.org/2002/07/owl#FunctionalProperty> . ";

/// Everything that the reads say of `e:s d:p e:x`: the rule, who decided, whether the comparison conflicts, and which predicates are
/// listed with how many facts.
fn all_of(text: &str, view: &TimeView) -> (Rule, Vec<String>, bool, Vec<(String, usize)>) {
    let snapshot = snapshot(text);
    let reader = Lookup::default().on(&snapshot);
    let names = [iri("e/s"), iri("ns#p")];
    let names = names.each_ref().map(String::as_str);
    let object: Term = NamedNode::new_unchecked(iri("e/x")).into();
    let budget = &mut Budget::page();
    let checked = reader.check(names, object.as_ref(), view, budget);
    let compared = reader.compare(names, view, budget);
    let group = compared.groups.iter().find(|group| group.object == object);
    assert_eq!(
        group.map_or(checked.rule, |group| group.rule),
        checked.rule,
        "{text}"
    );
    assert!(checked.evidence.is_sorted_by_key(|fact| !fact.holds), "{text}");
    let listed = listed(&reader, &ConflictFilter::default(), view);
    let decided = ids(&checked).into_iter().map(str::to_owned).collect();
    (checked.rule, decided, compared.sign.is_some(), listed)
}

/// Each conflict with its predicate and how many facts it has, page by page.
fn listed(reader: &Reader<'_>, filter: &ConflictFilter, view: &TimeView) -> Vec<(String, usize)> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = reader.conflicts(filter, view, 1, after, &mut Budget::page());
        found.extend(page.conflicts.iter().map(|one| {
            let predicate = one.predicate.as_ref().unwrap().as_str();
            (predicate.rsplit('#').next().unwrap().to_owned(), one.facts.len())
        }));
        after = page.end;
        if after.is_none() {
            return found;
        }
    }
}

fn check(text: &str, rule: Rule, evidence: &[&str], conflicts: &[(&str, usize)]) {
    let (found, decided, is_conflict, listed) = all_of(text, &view(DAY));
    assert_eq!(
        (found, decided.as_slice()),
        (
            rule,
            &evidence.iter().map(ToString::to_string).collect::<Vec<_>>()[..]
        ),
        "{text}"
    );
    let listed: Vec<_> = listed
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    assert_eq!(listed, conflicts, "{text}");
    assert_eq!(
        is_conflict,
        conflicts.iter().any(|(name, _)| *name == "p"),
        "{text}"
    );
}

#[test]
fn what_an_accepted_statement_disputes_is_disputed() {
    let target = stated("1", DISPUTED, "Accepted", "");
    let disputing = |triple: &str, standing: &str, more: &str| {
        target.clone() + &stated("2", triple, standing, &format!("; d:disputes s:1 {more}"))
    };
    check(&target, Rule::Stated, &["1"], &[]);
    check(
        &disputing("d:p e:y", "Accepted", ""),
        Rule::Opposed,
        &["1", "2"],
        &[("p", 2)],
    );
    check(
        &disputing(
            "d:p e:y",
            "Accepted",
            "; d:edtf '2019/2020' ; d:observedOn '2019-08-27'^^<http://www.w3.org/2001/XMLSchema#date>",
        ),
        Rule::Opposed,
        &["1", "2"],
        &[("p", 2)],
    );
    // Of another predicate: each pair is a conflict, and the disputed one is listed with what disputes it.
    check(
        &disputing("d:q e:y", "Preferred", ""),
        Rule::Opposed,
        &["1", "2"],
        &[("q", 1), ("p", 2)],
    );
    // A denial that does not hold comes after what does.
    check(
        &disputing("d:q e:y", "-Accepted", ""),
        Rule::Opposed,
        &["1", "2"],
        &[("q", 1), ("p", 2)],
    );
    // It conflicts, and decides nothing: it is not accepted, or may not hold on the day.
    for standing in ["Unconfirmed", "Disputed", "Rejected"] {
        let listed: &[_] = &[("q", 1), ("p", 2)];
        check(&disputing("d:q e:y", standing, ""), Rule::Stated, &["1"], listed);
    }
    for time in ["2018", "2019/2020"] {
        let conflicts: &[_] = &[("q", 1), ("p", 2)];
        check(
            &disputing("d:q e:y", "Accepted", &format!("; d:edtf '{time}'")),
            Rule::Stated,
            &["1"],
            conflicts,
        );
    }
    // A plan is none that is accepted.
    let planned =
        disputing("d:q e:y", "Accepted", "").replace("e:y ; d:stance d:Asserted", "e:y ; d:stance d:Planned");
    check(&planned, Rule::Stated, &["1"], &[("q", 1), ("p", 2)]);
}

#[test]
fn what_does_not_decide_is_as_it_was() {
    let disputing = stated("2", "d:q e:y", "Accepted", "; d:disputes s:1");
    let of_both = |target: String, rule: Rule, evidence: &[&str], conflicts: &[(&str, usize)]| {
        check(&(target + &disputing), rule, evidence, conflicts);
    };
    let check = |target, rule, evidence: &[&str]| of_both(target, rule, evidence, &[("q", 1), ("p", 2)]);
    check(stated("1", DISPUTED, "-Accepted", ""), Rule::Opposed, &["2", "1"]);
    check(
        stated("1", "d:p d:SomeValue", "-Accepted", ""),
        Rule::Opposed,
        &["2", "1"],
    );
    let disputed = stated("1", DISPUTED, "Disputed", "");
    of_both(disputed, Rule::Contested, &["1"], &[("p", 1), ("q", 1)]);
    check(
        stated("1", DISPUTED, "Unconfirmed", ""),
        Rule::Unconfirmed,
        &["1"],
    );
    check(
        stated("1", DISPUTED, "Accepted", "; d:edtf '2018'"),
        Rule::OutsideTime,
        &["1"],
    );
    check(stated("1", "d:p e:y", "Accepted", ""), Rule::NothingRecorded, &[]);
}

#[test]
fn a_dispute_of_what_is_retracted_or_is_none_is_over() {
    let gone = RETRACTED;
    let disputing = |more: &str| stated("2", "d:q e:y", "Accepted", &format!("; d:disputes s:1 {more}"));
    let target = |more: &str| stated("1", DISPUTED, "Accepted", more);
    check(&(target(gone) + &disputing("")), Rule::NothingRecorded, &[], &[]);
    check(&(target("") + &disputing(gone)), Rule::Stated, &["1"], &[]);
    check(&disputing(""), Rule::NothingRecorded, &[], &[]);
    check(
        &stated("1", DISPUTED, "Accepted", "; d:disputes s:1"),
        Rule::Stated,
        &["1"],
        &[],
    );
    // As it was known before.
    let before = TimeView {
        known_at: Some(UnixTime {
            seconds: 1_546_300_800,
            nanos: 0,
        }),
        ..view(DAY)
    };
    for text in [target(gone) + &disputing(""), target("") + &disputing(gone)] {
        let (rule, decided, is_conflict, listed) = all_of(&text, &before);
        assert_eq!(
            (rule, decided.len(), is_conflict, listed.len()),
            (Rule::Opposed, 2, true, 2),
            "{text}"
        );
    }
}

/// Several dispute one, and one disputes several: each pair of subject and predicate is listed once.
#[test]
fn disputes_are_listed_once() {
    let text = stated("1", "d:p e:x", "Accepted", "")
        + &stated("2", "d:p e:x", "Accepted", "")
        + &stated("3", "d:q e:y", "Accepted", "; d:disputes s:1 , s:2")
        + &stated(
            "4",
            "d:r e:y",
            "Accepted",
            "; d:disputes s:1 , s:3 ; d:edtf '2018'",
        );
    let snapshot = snapshot(&text);
    let reader = Lookup::default().on(&snapshot);
    let check = |filter: ConflictFilter, expected: &[(&str, usize)]| {
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect();
        assert_eq!(listed(&reader, &filter, &view(DAY)), expected, "{filter:?}");
    };
    check(ConflictFilter::default(), &[("q", 1), ("r", 1), ("p", 4)]);
    let on = |day: &str| ConflictFilter {
        on: Some(day.parse().unwrap()),
        ..ConflictFilter::default()
    };
    check(on("2018-06-01"), &[("q", 1), ("r", 1), ("p", 4)]);
    check(on(DAY), &[("q", 1), ("p", 3)]);
    let of = |subject: Option<&str>, source: Option<&str>| ConflictFilter {
        subject: subject.map(iri),
        source: source.map(iri),
        on: None,
    };
    check(of(Some("e/s"), Some("e/src")), &[("q", 1), ("r", 1), ("p", 4)]);
    check(of(Some("e/other"), None), &[]);
}

/// A source takes part in a conflict by what it disputes.
#[test]
fn who_disputes_takes_part() {
    let text = stated("1", "d:p e:x", "Accepted", "")
        + &stated("2", "d:q e:y", "Accepted", "; d:disputes s:1").replace("e:src", "e:other");
    let snapshot = snapshot(&text);
    let reader = Lookup::default().on(&snapshot);
    let from = |source: &str| {
        let filter = ConflictFilter {
            source: Some(iri(source)),
            ..ConflictFilter::default()
        };
        listed(&reader, &filter, &view(DAY))
            .into_iter()
            .map(|one| one.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(from("e/other"), ["q", "p"]);
    assert_eq!(from("e/src"), ["p"]);
}

fn accepted(object: &str, more: &str) -> String {
    let id = if object == "e:x" { "1" } else { "2" };
    FUNCTIONAL.to_owned() + &stated(id, &format!("d:p {object}"), "Accepted", more)
}

#[test]
fn values_of_what_can_have_one_only_differ() {
    let one = accepted("e:x", "");
    let other = |object: &str, standing: &str, more: &str| {
        one.clone() + &stated("2", &format!("d:p {object}"), standing, more)
    };
    let none: &[_] = &[];
    let conflict: &[_] = &[("p", 2)];
    check(&one, Rule::Stated, &["1"], none);
    check(
        &other("e:y", "Accepted", ""),
        Rule::Opposed,
        &["1", "2"],
        conflict,
    );
    check(
        &other("e:y", "Accepted", "").replace(FUNCTIONAL, ""),
        Rule::Stated,
        &["1"],
        none,
    );
    let elsewhere = other("e:y", "Accepted", "").replace(FUNCTIONAL, &format!("g:other {{ {FUNCTIONAL} }}"));
    check(&elsewhere, Rule::Stated, &["1"], none);
    check(&other("e:x", "Accepted", ""), Rule::Stated, &["1", "2"], none);
    for more in [
        "; d:refines s:1",
        "; prov:wasRevisionOf s:1",
        RETRACTED,
        "; d:refines s:3",
    ] {
        let third = stated("3", "d:p e:z", "Unconfirmed", "; d:refines s:1");
        check(
            &(other("e:y", "Accepted", more) + &third),
            Rule::Stated,
            &["1"],
            none,
        );
    }
    for (standing, object) in [
        ("Preferred", "e:y"),
        ("Unconfirmed", "e:y"),
        ("-Accepted", "e:y"),
        ("Accepted", "d:SomeValue"),
    ] {
        let rule = if standing == "Preferred" {
            Rule::Hidden
        } else {
            Rule::Stated
        };
        check(&other(object, standing, ""), rule, &["1"], none);
    }
    check(
        &other("e:y", "Preferred", "").replace("Accepted", "Preferred"),
        Rule::Opposed,
        &["1", "2"],
        conflict,
    );
    // One that is plain is nobody's.
    check(&(one.clone() + "e:s d:p e:y ."), Rule::Stated, &["1"], none);
}

#[test]
fn values_of_different_times_do_not_differ() {
    let check = |[one, other]: [&str; 2], rule: Rule, evidence: &[&str], is_conflict: bool| {
        let time = |text: &str| {
            if text.is_empty() {
                String::new()
            } else {
                format!("; d:edtf '{text}'")
            }
        };
        let text = accepted("e:x", &time(one)) + &accepted("e:y", &time(other));
        let conflicts: &[_] = &[("p", 2)];
        check(&text, rule, evidence, if is_conflict { conflicts } else { &[] });
    };
    check(["", "2018-03-01/2018-03-31"], Rule::Stated, &["1"], true);
    // Of some time in 2018 nobody knows a day.
    check(["", "2018"], Rule::Stated, &["1"], false);
    check(["2010/2015", "2015/2020"], Rule::OutsideTime, &["1"], false);
    check(["2010/2016", "2015-01-01/2020"], Rule::OutsideTime, &["1"], true);
    check(["2010/2018", "2019/.."], Rule::OutsideTime, &["1"], false);
    check(["2010/..", "2018/.."], Rule::Opposed, &["1", "2"], true);
    // Both are presumed to hold, and neither is certain to.
    check(
        ["2010-01-01/", "2018/.."],
        Rule::Uncertain(Uncertainty::LastKnown("2010-01-01".parse().unwrap())),
        &["1"],
        true,
    );
}

/// As long as a preferred value holds the accepted ones do not.
#[test]
fn hidden_values_do_not_differ() {
    let both = accepted("e:x", "; d:edtf '2010/2030'") + &accepted("e:y", "; d:edtf '2010/2030'");
    let preferred =
        |time: &str| both.clone() + &stated("3", "d:p e:z", "Preferred", &format!("; d:edtf '{time}'"));
    check(&preferred("2000/2040"), Rule::Hidden, &["1"], &[]);
    check(&preferred("2018/2020"), Rule::Hidden, &["1"], &[("p", 3)]);
    check(&preferred("2011/2012"), Rule::Opposed, &["1", "2"], &[("p", 3)]);
    let snapshot = snapshot(&preferred("2018/2020"));
    let reader = Lookup::default().on(&snapshot);
    for (day, count) in [("2009-12-31", 0), ("2011-01-01", 1), (DAY, 0), ("2029-01-01", 1)] {
        for subject in [None, Some(iri("e/s"))] {
            let on = Some(day.parse().unwrap());
            let filter = ConflictFilter {
                subject,
                on,
                ..ConflictFilter::default()
            };
            assert_eq!(listed(&reader, &filter, &view(DAY)).len(), count, "{day}");
        }
    }
}

/// Several properties of several subjects are gone through page by page.
#[test]
fn differing_values_are_listed_once() {
    let mut text =
        String::from(FUNCTIONAL) + &FUNCTIONAL.replace("d:p", "d:q") + &FUNCTIONAL.replace("d:p", "d:r");
    for (id, pair) in [
        "d:p e:x", "d:p e:y", "d:p e:z", "d:q e:x", "d:r e:x", "d:r e:y", "d:t e:x", "d:t e:y",
    ]
    .iter()
    .enumerate()
    {
        let one = stated(&id.to_string(), pair, "Accepted", "");
        text += &(one.clone()
            + &one
                .replace("e:s ", "e:t ")
                .replace(&format!("s:{id} "), &format!("s:t{id} ")));
    }
    let snapshot = snapshot(&text);
    let reader = Lookup::default().on(&snapshot);
    let mut found = listed(&reader, &ConflictFilter::default(), &view(DAY));
    found.sort();
    let named = |name: &str, count| (name.to_owned(), count);
    assert_eq!(
        found,
        [named("p", 3), named("p", 3), named("r", 2), named("r", 2)]
    );
    let of = ConflictFilter {
        subject: Some(iri("e/s")),
        ..ConflictFilter::default()
    };
    let mut found = listed(&reader, &of, &view(DAY));
    found.sort();
    assert_eq!(found, [named("p", 3), named("r", 2)]);
}

#[test]
fn a_conflict_has_its_first_sign() {
    let check = |text: &str, expected: &[(&str, Sign)]| {
        let snapshot = snapshot(text);
        let reader = Lookup::default().on(&snapshot);
        let filter = ConflictFilter::default();
        let page = reader.conflicts(&filter, &view(DAY), 9, None, &mut Budget::page());
        let signs = page.conflicts.iter().map(|one| {
            let predicate = one.predicate.as_ref().unwrap().as_str();
            let compared = reader.compare([&iri("e/s"), predicate], &view(DAY), &mut Budget::page());
            assert_eq!(compared.sign, Some(one.sign), "{text}");
            (predicate.rsplit('#').next().unwrap(), one.sign)
        });
        assert_eq!(signs.collect::<Vec<_>>(), expected, "{text}");
    };
    let one = accepted("e:x", "");
    let two = [&one[..], &accepted("e:y", "")].concat();
    check(&two, &[("p", Sign::Differs)]);
    let denied = two.clone() + &stated("3", "d:p e:x", "-Accepted", "");
    check(&denied, &[("p", Sign::Denies)]);
    let by_other = denied + &stated("4", "d:q e:z", "Accepted", "; d:disputes s:1");
    check(&by_other, &[("q", Sign::Disputes), ("p", Sign::DisputedByOne)]);
    let disputing = by_other + &stated("5", "d:p e:x", "Unconfirmed", "; d:disputes s:4");
    check(&disputing, &[("q", Sign::Disputes), ("p", Sign::Disputes)]);
    let rejected = disputing + &stated("6", "d:p e:x", "Rejected", "");
    check(&rejected, &[("p", Sign::Rejected), ("q", Sign::Disputes)]);
    let disputed = rejected + &stated("7", "d:p e:x", "Disputed", "");
    check(&disputed, &[("p", Sign::Disputed), ("q", Sign::Disputes)]);
}

/// What makes a value more precise does not contradict it, whoever says it, nor a later version of what it made more precise.
#[test]
fn a_value_is_made_more_precise_for_all() {
    let precise = stated("2", "d:p e:y", "Accepted", "; d:refines s:1");
    let with = |others: &[String]| format!("{FUNCTIONAL} {precise} {}", others.concat());
    let retracted = stated("1", DISPUTED, "Accepted", RETRACTED);
    let version = |triple: &str| stated("3", triple, "Accepted", "; prov:wasRevisionOf s:1");
    for others in [
        vec![stated("1", DISPUTED, "Accepted", "")],
        // The same once more, from another source.
        vec![
            stated("1", DISPUTED, "Accepted", ""),
            stated("3", DISPUTED, "Accepted", ""),
        ],
        // A new version of it says the same.
        vec![retracted.clone(), version(DISPUTED)],
    ] {
        let (rule, _, is_conflict, _) = all_of(&with(&others), &view(DAY));
        assert_eq!((rule, is_conflict), (Rule::Stated, false), "{others:?}");
    }
    // A new version of it says something else, and what is made more precise is still that.
    let other = with(&[retracted.clone(), version("d:p e:z")]);
    assert!(!all_of(&other, &view(DAY)).2);
    // Who corrects himself contradicts those who still say what he said.
    let corrected = stated("2", "d:p e:y", "Accepted", "; prov:wasRevisionOf s:1");
    let same = stated("3", DISPUTED, "Accepted", "");
    let (rule, decided, ..) = all_of(
        &format!("{FUNCTIONAL} {retracted} {corrected} {same}"),
        &view(DAY),
    );
    assert_eq!(
        (rule, decided),
        (Rule::Opposed, vec!["3".to_owned(), "2".to_owned()])
    );
}

/// Many statements of one value are no work; of two values, each is told with some of the other.
#[test]
fn many_say_the_same() {
    let many = |from: usize, object: &str| -> String {
        let statements = (from..from + 400).map(|number| stated(&number.to_string(), object, "Accepted", ""));
        statements.collect()
    };
    let same = format!("{FUNCTIONAL} {}", many(0, DISPUTED));
    assert_eq!(all_of(&same, &view(DAY)).0, Rule::Stated);
    let (rule, decided, ..) = all_of(&format!("{same} {}", many(400, "d:p e:y")), &view(DAY));
    assert_eq!((rule, decided.len()), (Rule::Opposed, 100));
    let of_other = decided.iter().filter(|id| id.parse::<usize>().unwrap() >= 400);
    assert_eq!(of_other.count(), 50);
}
