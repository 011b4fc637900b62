use super::*;

#[test]
fn objects_are_read_as_terms() {
    let prefixes = Prefixes::new(vec![v1::Prefix {
        name: "xsd".to_owned(),
        iri: "http://www.w3.org/2001/XMLSchema#".to_owned(),
    }]);
    let check = |text: &str, expected: Result<&str, &str>| match (parse_object(text, &prefixes), expected) {
        (Ok(term), Ok(expected)) => assert_eq!(from_proto(term).unwrap().to_string(), expected),
        (Err(Failure::Report(report)), Err(part)) => assert!(report.to_string().contains(part), "{report}"),
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

#[test]
fn facts_have_columns() {
    let fact = Fact {
        id: "a:st".to_owned(),
        subject: "_:b".to_owned(),
        predicate: "a:p".to_owned(),
        object: Some(to_proto(Literal::from(7).into())),
        standing: Standing::Disputed.into(),
        ..Fact::default()
    };
    let row = columns(fact, &Prefixes::default());
    let shown = row.map(|term| term.map_or("-".to_owned(), |term| term.to_string()));
    let seven = "\"7\"^^<http://www.w3.org/2001/XMLSchema#integer>";
    assert_eq!(shown, ["_:b", "<a:p>", seven, "\"disputed\"", "-", "-", "<a:st>"]);
}
