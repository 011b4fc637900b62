use std::str::FromStr as _;

use super::*;

fn prefixes() -> Prefixes {
    let prefix = |name: &str, iri: &str| v1::Prefix {
        name: name.to_owned(),
        iri: iri.to_owned(),
    };
    Prefixes::new(vec![
        prefix("d", "https://w3id.org/dossier/ns#"),
        prefix("base", "https://w3id.org/dossier/"),
        prefix("e", "https://w3id.org/dossier/e/"),
        prefix("xsd", "http://www.w3.org/2001/XMLSchema#"),
    ])
}

#[test]
fn iris_are_shortened_where_they_can_be_read_back() {
    let check = |iri: &str, expected: &str| {
        assert_eq!(prefixes().shorten(iri), expected);
        if let Some(back) = prefixes().expand(expected) {
            assert_eq!(back, iri);
        }
    };
    check("https://w3id.org/dossier/e/KR", "e:KR");
    check("https://w3id.org/dossier/e/shin-okubo", "e:shin-okubo");
    check("https://w3id.org/dossier/e/서울", "e:서울");
    check("https://w3id.org/dossier/x", "base:x");
    check("https://w3id.org/dossier/e/", "<https://w3id.org/dossier/e/>");
    check(
        "https://w3id.org/dossier/e/a/b",
        "<https://w3id.org/dossier/e/a/b>",
    );
    check("https://w3id.org/dossier/e/a.", "<https://w3id.org/dossier/e/a.>");
    check("https://w3id.org/dossier/e/-a", "<https://w3id.org/dossier/e/-a>");
    check("http://example.com/", "<http://example.com/>");
}

/// The forms of one term: RDF 1.2 N-Triples, and a table's.
fn check(ntriples: &str, shown: &str) {
    let term = Term::from_str(ntriples).unwrap();
    let proto = to_proto(term.clone());
    assert_eq!(prefixes().show(&proto), shown);
    assert_eq!(from_proto(proto), Some(term));
}

#[test]
fn terms_are_shown_and_sent() {
    check("<https://w3id.org/dossier/e/KR>", "e:KR");
    check("_:b0", "_:b0");
    check("\"South Korea\"", "South Korea");
    check("\"대한민국\"@ko", "대한민국 @ko");
    check("\"سيول\"@ar--rtl", "سيول @ar--rtl");
    check("\"Seoul\"@en--ltr", "Seoul @en--ltr");
    check("\"01\"^^<http://www.w3.org/2001/XMLSchema#integer>", "01");
    check(
        "\"2019-08-27\"^^<http://www.w3.org/2001/XMLSchema#date>",
        "2019-08-27",
    );
    check("\"01\"^^<http://www.w3.org/2001/XMLSchema#int>", "01 ^^xsd:int");
    check("\"P1D\"^^<http://example.com/t>", "P1D ^^<http://example.com/t>");
    check("\"two\\nlines\"", "two\nlines");
    check("\"\\u001B[2J\"", "\u{fffd}[2J");
    check(
        "<<( <https://w3id.org/dossier/e/KR> <https://w3id.org/dossier/ns#p> \"x\"@en )>>",
        "<<( e:KR d:p x @en )>>",
    );
}

#[test]
fn what_is_missing_is_no_term() {
    assert_eq!(from_proto(v1::Term::default()), None);
    assert_eq!(prefixes().show(&v1::Term::default()), "");
    assert_eq!(triple_from_proto(v1::TripleTerm::default()), None);
    let literal = to_proto(Literal::from(1).into());
    let iri = to_proto(NamedNode::new_unchecked("a:b").into());
    let triple = |subject: &v1::Term, object: &v1::Term| v1::TripleTerm {
        subject: Some(Box::new(subject.clone())),
        predicate: "a:p".to_owned(),
        object: Some(Box::new(object.clone())),
    };
    assert_eq!(triple_from_proto(triple(&literal, &iri)), None);
    assert_eq!(
        triple_from_proto(triple(&iri, &literal)).unwrap().to_string(),
        "<a:b> <a:p> \"1\"^^<http://www.w3.org/2001/XMLSchema#integer>"
    );
}

#[test]
fn texts_are_read_as_terms() {
    let prefixes = prefixes();
    let check =
        |text: &str, expected: Result<&str, &str>| match (parse("--object", text, &prefixes), expected) {
            (Ok(term), Ok(expected)) => assert_eq!(from_proto(term).unwrap().to_string(), expected),
            (Err(Failure::Report(report)), Err(part)) => {
                assert!(report.to_string().contains(part), "{report}");
            }
            (result, expected) => panic!("{text}: {result:?}, not {expected:?}"),
        };
    check("<http://example.com/>", Ok("<http://example.com/>"));
    check("http://example.com/", Ok("<http://example.com/>"));
    check("e:KR", Ok("<e:KR>"));
    check("_:b1", Ok("_:b1"));
    check("\"Seoul\"@en", Ok("\"Seoul\"@en"));
    check("\"two words\"", Ok("\"two words\""));
    check("42", Ok("\"42\"^^<http://www.w3.org/2001/XMLSchema#integer>"));
    check("true", Ok("\"true\"^^<http://www.w3.org/2001/XMLSchema#boolean>"));
    check(
        "\"2019-07-04\"^^xsd:date",
        Ok("\"2019-07-04\"^^<http://www.w3.org/2001/XMLSchema#date>"),
    );
    check("\"x\"^^<a:b>", Ok("\"x\"^^<a:b>"));
    check("\"x\"^^nope:date", Err("nope:date"));
    check("South Korea", Err("double quotes"));
    check("Seoul", Err("not a term"));
    check("", Err("not a term"));
}
