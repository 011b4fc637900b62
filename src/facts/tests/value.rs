//! Literals that are one value in other words.

use oxigraph::model::{LiteralRef, NamedNodeRef, vocab::xsd};

use super::{
    verdict::{ids, stated, view},
    *,
};

const DAY: &str = "2019-08-27";

/// Checks what is said of `e:s d:p` and a literal.
fn check(text: &str, literal: (&str, NamedNodeRef<'_>), rule: Rule, evidence: &[&str]) {
    let snapshot = snapshot(text);
    let checked = Lookup::default().on(&snapshot).check(
        [&iri("e/s"), &iri("ns#p")],
        LiteralRef::new_typed_literal(literal.0, literal.1).into(),
        &view(DAY),
        &mut Budget::page(),
    );
    assert_eq!(
        (checked.rule, ids(&checked).as_slice()),
        (rule, evidence),
        "{literal:?} of {text}"
    );
}

#[test]
fn a_literal_is_found_by_its_value() {
    let closed = "e:s d:closedFor d:p . ";
    let recorded = closed.to_owned() + &stated("1", "d:p 59", "Accepted", "");
    for literal in [
        ("59", xsd::INTEGER),
        ("+59", xsd::INTEGER),
        ("59.0", xsd::DECIMAL),
        ("5.9E1", xsd::DOUBLE),
    ] {
        check(&recorded, literal, Rule::Stated, &["1"]);
    }
    check(&recorded, ("60", xsd::INTEGER), Rule::NotAmongAll, &[""]);
    check(&recorded, ("59", xsd::STRING), Rule::NotAmongAll, &[""]);
    let plain = closed.to_owned() + "e:s d:p 59 .";
    check(&plain, ("59.0", xsd::DECIMAL), Rule::Plain, &[""]);
    // A term that is recorded is not taken for another.
    let both = stated("1", "d:p 59", "Accepted", "") + &stated("2", "d:p 59.0", "Rejected", "");
    check(&both, ("59.0", xsd::DECIMAL), Rule::Rejected, &["2"]);
    check(&both, ("59", xsd::INTEGER), Rule::Stated, &["1"]);
    // Of several in other words it is one that holds.
    for (first, second) in [("59.0", "5.9e1"), ("5.9e1", "59.0")] {
        let past = stated("1", &format!("d:p {first}"), "Accepted", "; d:edtf '2000/2005'");
        let now = stated("2", &format!("d:p {second}"), "Accepted", "; d:edtf '2010/..'");
        check(&(past + &now), ("59", xsd::INTEGER), Rule::Stated, &["2"]);
    }
    let of_node =
        "g:statements { e:s a <http://schema.org/Event> ; d:standing d:Unconfirmed ; d:stance d:Asserted ;
        d:basis d:Stated ; prov:wasDerivedFrom e:src ; d:p 59 }";
    check(of_node, ("59.0", xsd::DECIMAL), Rule::Unconfirmed, &[""]);
}

#[test]
fn one_value_in_other_words_does_not_differ() {
    let functional = "d:p a <http://www.w3.org/2002/07/owl#FunctionalProperty> . ";
    let two = |other: &str| {
        functional.to_owned()
            + &stated("1", "d:p 59", "Accepted", "")
            + &stated("2", &format!("d:p {other}"), "Accepted", "")
    };
    let asked = ("59", xsd::INTEGER);
    check(&two("59.0"), asked, Rule::Stated, &["1"]);
    check(&two("60"), asked, Rule::Opposed, &["1", "2"]);
    let sign = |text: &str| {
        let snapshot = snapshot(text);
        let reader = Lookup::default().on(&snapshot);
        let names = [iri("e/s"), iri("ns#p")];
        let compared = reader.compare(
            names.each_ref().map(String::as_str),
            &view(DAY),
            &mut Budget::page(),
        );
        compared.sign
    };
    assert_eq!(sign(&two("59.0")), None);
    assert_eq!(sign(&two("60")), Some(Sign::Differs));
}
