use super::*;

fn scan_of(text: &str) -> Result<Findings, SparqlError> {
    scan(text, GuardLimits::default())
}

fn limit_of(text: &str) -> Option<&'static str> {
    match scan_of(text) {
        Ok(_) => None,
        Err(SparqlError::TooComplex { limit, .. }) => Some(limit),
        Err(other) => panic!("{other:?}"),
    }
}

/// `count` pieces pass, one more does not.
fn check_limit(limit: &str, count: usize, text: impl Fn(usize) -> String) {
    assert_eq!(limit_of(&text(count)), None, "{limit} at {count}");
    assert_eq!(limit_of(&text(count + 1)), Some(limit), "{limit} past {count}");
}

#[test]
fn each_limit_holds_at_and_one_past() {
    let limits = GuardLimits {
        byte_count_max: 10,
        ..GuardLimits::default()
    };
    assert!(scan("ASK { }   ", limits).is_ok());
    assert!(scan("ASK { }    ", limits).is_err());
    for (open, close) in [("{", "}"), ("(", ")"), ("[", "]"), ("<< ", " >>")] {
        check_limit("query_nesting_max", 100, |n| open.repeat(n) + &close.repeat(n));
    }
    let filter = |inner: String| format!("ASK {{ FILTER({inner}) }}");
    check_limit("query_operator_count_max", 2_000, |n| {
        filter("1 || ".repeat(n) + "1")
    });
    check_limit("query_operator_count_max", 2_000, |n| {
        filter("1 + ".repeat(n) + "1")
    });
    check_limit("query_operator_count_max", 2_000, |n| {
        filter("1-".repeat(n) + "1")
    });
    check_limit("query_operator_count_max", 2_000, |n| {
        filter("true-".repeat(n) + "1")
    });
    check_limit("query_pattern_count_max", 150, |n| {
        format!("ASK {{ ?s {}<p> ?o }}", "<p>/".repeat(n))
    });
    check_limit("query_operator_count_max", 2_000, |n| {
        format!("ASK {{ ?s {}<p> ?o }}", "a|".repeat(n))
    });
    check_limit("query_clause_count_max", 500, |n| "{} UNION ".repeat(n) + "{}");
    check_limit("query_clause_count_max", 500, |n| {
        format!("ASK {{ {} }}", "FILTER(1) ".repeat(n))
    });
    check_limit("query_pattern_count_max", 150, |n| {
        format!("ASK {{ {} }}", "?s ?p ?o . ".repeat(n))
    });
    check_limit("query_pattern_count_max", 150, |n| {
        format!("ASK {{ ?s ?p {} }}", "?o, ".repeat(n))
    });
    check_limit("query_ambiguity_max", 8, |n| {
        filter("!(".repeat(n) + "1" + &")".repeat(n))
    });
    check_limit("query_ambiguity_max", 8, |n| {
        filter("! # (\n IF(".repeat(n) + "1" + &")".repeat(n))
    });
    for open in [
        "!ex:f(",
        "! <f> # (\n (",
        "!EXISTS {",
        "!NOT EXISTS { ?s ?p ?o FILTER(",
    ] {
        let width = if open.contains("FILTER") { 2 } else { 1 };
        check_limit("query_ambiguity_max", 8, |n| {
            filter(open.repeat(n) + &")".repeat(n * width))
        });
    }
    check_limit("query_ambiguity_max", 8, |n| {
        filter("SUBSTR(".repeat(n) + "1" + &",1)".repeat(n))
    });
    check_limit("query_ambiguity_max", 4, |n| {
        filter("GROUP_CONCAT(".repeat(n) + "1" + &")".repeat(n))
    });
    check_limit("query_iri_bytes_max", 8_192, |n| {
        format!("ASK {{ ?s ?p <{}> }}", "a".repeat(n))
    });
}

#[test]
fn an_iri_that_may_be_a_comparison_hides_nothing() {
    check_limit("query_ambiguity_max", 8, |n| {
        format!("ASK {{ FILTER(1<{}1{}>2) }}", "(".repeat(n), ")".repeat(n))
    });
    let unbalanced = "ASK { FILTER(1".to_owned() + &"<((1>".repeat(60);
    assert!(limit_of(&unbalanced).is_some());
    let cities = "<https://example.org/Seoul_(city)> ?p ?o . ".repeat(100);
    assert_eq!(limit_of(&format!("ASK {{ {cities} }}")), None);
}

#[test]
fn what_is_no_syntax_does_not_count() {
    let brackets = "(".repeat(1_000) + &"{".repeat(1_000);
    let check = |text: String| assert_eq!(limit_of(&text), None, "{text}");
    check(format!("SELECT * {{ ?s ?p '{brackets}' }}"));
    check(format!("SELECT * {{ ?s ?p \"\"\"{brackets}\" \\\"\"\"\"\"\" }}"));
    check(format!("SELECT * {{ ?s ?p ?o }} # {brackets}"));
    check(format!(
        "INSERT DATA {{ {} }}",
        "<s> <p> -1.5 , [] ; <q> (1 -2) .".repeat(5_000)
    ));
    check(format!(
        "SELECT * {{ VALUES (?x ?y) {{ {} }} }}",
        "(-1 +2) ".repeat(5_000)
    ));
    check("INSERT DATA { <s> <p> 1 } ; DELETE WHERE { ?s ?p ?o . } ; ".repeat(1_000));
    check(format!("CONSTRUCT {{ {} }} {{}}", "?s ?p ?o . ".repeat(1_000)));
    check("SELECT * { ?s ex:service \\( , ex:a-b-c ; ^^ex:d }".to_owned());
}

#[test]
fn a_million_brackets_are_refused_at_once() {
    let limits = GuardLimits {
        byte_count_max: 8 << 20,
        ..GuardLimits::default()
    };
    for open in ["{", "(", "[", "<<", "!(", "{ {", "[ a ", "{ SELECT * "] {
        let text = open.repeat(1_000_000);
        assert!(
            matches!(scan(&text, limits), Err(SparqlError::TooComplex { .. })),
            "{open}"
        );
    }
}

#[test]
fn service_is_found_where_it_is_a_keyword() {
    let check =
        |text: &str, expected: bool| assert_eq!(scan_of(text).unwrap().has_service, expected, "{text}");
    check("SELECT * { service ?s {} }", true);
    check(
        "SELECT ?service { ?service ex:service 'SERVICE' , <SERVICE> } # SERVICE",
        false,
    );
}

#[test]
fn figures_are_the_largest_of_all_operations() {
    let check = |text: &str, expected: GuardFigures| {
        let figures = measure(text, GuardLimits::default()).0;
        let byte_count = text.len();
        assert_eq!(
            figures,
            GuardFigures {
                byte_count,
                ..expected
            },
            "{text}"
        );
    };
    check("", GuardFigures::default());
    check(
        "SELECT * { ?s <abc>/<abcd> ?o . FILTER(!(?o + 1 > 2)) }",
        GuardFigures {
            nesting: 3,
            operator_count: 4,
            clause_count: 2,
            pattern_count: 2,
            ambiguity: 1,
            iri_byte_count: 4,
            ..GuardFigures::default()
        },
    );
    check(
        "DELETE WHERE { ?s ?p ?o , 1 } ; DELETE WHERE { ?s ?p ?o . } ; CLEAR ALL",
        GuardFigures {
            nesting: 1,
            pattern_count: 1,
            ..GuardFigures::default()
        },
    );
    let limits = GuardLimits {
        operator_count_max: 2,
        ..GuardLimits::default()
    };
    let (figures, outcome) = measure("ASK { FILTER(1 + 1 + 1 + 1) }", limits);
    assert_eq!(figures.operator_count, 3);
    assert_eq!(
        outcome.unwrap_err(),
        SparqlError::TooComplex {
            limit: "query_operator_count_max",
            limit_value: 2
        }
    );
}

#[test]
fn a_text_may_end_anywhere() {
    let text = r#"SELECT * { <d:a> e:\(b '\'' , "\"" , 1.5e-1 , @en-GB ; !(?x) << $y _:z >> ^^e:d } # a"#;
    let ends = [
        "", ":", r":\", r"'\", r"'''\", "<", "<<", "1.", "{|", "|}", ">>", "^", "@", "!", r"ü:\",
    ];
    for length in 0..=text.len() {
        for end in ends {
            assert_eq!(limit_of(&format!("{}{end}", &text[..length])), None);
        }
    }
}
