//! Events, claims and observations: with a standing of their own, and as statements make them.

use super::*;

/// An event, claim or figure with its marks, and with what is said beside.
fn node(class: &str, standing: &str, more: &str) -> String {
    format!(
        "e:node a <http://schema.org/{class}> ; d:stance d:Asserted ; d:standing d:{standing} ; d:basis d:Stated ;
         prov:wasDerivedFrom src:a {more} . "
    )
}

/// Checks the properties of the faults of a node in the default graph.
#[track_caller]
fn check_node_faults(text: &str, properties: &[&str]) {
    let properties: Vec<_> = properties.iter().map(|name| (*name).to_owned()).collect();
    let found = match commit(&Snapshot::default(), "", text) {
        Ok(_) => Vec::new(),
        Err(ModelError::StatementInvalid { faults, node_count }) => {
            assert_eq!(node_count, 1, "{faults:?}");
            let nodes: BTreeSet<_> = faults.iter().map(|fact| fact.node.as_str()).collect();
            assert_eq!(nodes, BTreeSet::from(["https://w3id.org/dossier/e/node"]));
            let name = |fault: &StatementFault| fault.property.rsplit(['#', '/']).next().unwrap().to_owned();
            faults.iter().map(name).collect()
        }
        Err(error) => panic!("{text}: {error}"),
    };
    assert_eq!(found, properties, "{text}");
}

/// Whether a node is checked does not hang on how much else there is.
#[test]
fn a_node_among_the_statements_is_checked_when_its_class_comes() {
    let standing = "g:statements { e:node a e:Thing ; d:standing d:Accepted }";
    let base = commit(&Snapshot::default(), "", standing).unwrap();
    for other_count in [0, 1, 100] {
        let others: Vec<_> = (0..other_count)
            .map(|number| format!("e:other{number} d:p e:b . "))
            .collect();
        let others = others.concat();
        let class = "e:node a <http://schema.org/Event> . ";
        let refused = commit(&base, "", &format!("{class}{others}"));
        assert!(
            matches!(refused, Err(ModelError::StatementInvalid { node_count: 1, .. })),
            "{other_count}"
        );
        commit(&base, "", &others).unwrap();
    }
}

#[test]
fn events_claims_and_figures_are_what_they_are_to_be() {
    let check = check_node_faults;
    check(&node("Event", "Accepted", "; d:actor e:x, e:y"), &[]);
    check(&node("Event", "Accepted", "; d:actor \"x\""), &["actor"]);
    check(&node("Event", "Accepted", "; d:stance d:Planned"), &["stance"]);
    check(&node("Event", "Accepted", "; d:edtf \"soon\""), &["edtf"]);
    check(
        "e:node a <http://schema.org/Event> ; d:standing d:Accepted .",
        &["stance", "basis", "wasDerivedFrom"],
    );
    // Others have no standing, and what has none is anybody's.
    check("e:node a e:Thing ; d:standing d:Accepted .", &[]);
    check("e:node a <http://schema.org/Claim> .", &[]);

    let content = statement("1", "e:a d:p e:b", "Unconfirmed", "");
    let claim = |more: &str| node("Claim", "Accepted", more) + &content;
    check(&claim("; d:speaker e:x ; d:content s:1"), &[]);
    check(&claim("; d:speaker e:x, e:y ; d:content s:1"), &["speaker"]);
    check(&claim(""), &["speaker", "content"]);
    check(&claim("; d:speaker e:x ; d:content e:a"), &["content"]);

    let figure = |more: &str| {
        let more = format!(
            "; <http://schema.org/observationAbout> e:a ; <http://schema.org/variableMeasured> e:v {more}"
        );
        node("Observation", "Accepted", &more)
    };
    let unit = "; <http://schema.org/unitText> \"percent\"";
    check(&figure(&format!("{unit} ; <http://schema.org/value> 47.7")), &[]);
    check(&figure(&format!("{unit} ; <http://schema.org/maxValue> 55")), &[]);
    check(&figure("; <http://schema.org/value> 47.7"), &["unitText"]);
    check(&figure(unit), &["value"]);
    check(
        &figure(&format!("{unit} ; <http://schema.org/value> \"many\"")),
        &["value"],
    );
    check(
        &figure(&format!(
            "{unit} ; <http://schema.org/value> 47 ; <http://schema.org/minValue> 40"
        )),
        &["value"],
    );
}

#[test]
fn a_node_is_where_it_counts() {
    let check = check_node_faults;
    let stated = |text: &str| format!("g:statements {{ {text} }}");
    check(&node("Event", "Disputed", ""), &["standing"]);
    check(&stated(&node("Event", "Disputed", "")), &[]);
    check(&stated(&node("Event", "Accepted", "")), &["standing"]);
    let retracted = "; prov:invalidatedAtTime \"2019-08-27T00:00:00Z\"^^xsd:dateTime";
    check(&node("Event", "Accepted", retracted), &["standing"]);
    check(&stated(&node("Event", "Accepted", retracted)), &[]);
    let both = node("Event", "Accepted", "") + &stated(&node("Event", "Disputed", ""));
    check(&both, &["standing"]);
    // What is written as statements comes to the default graph too.
    let base = commit(&Snapshot::default(), "", &node("Event", "Accepted", "")).unwrap();
    let revised = statement("1", "e:node d:standing d:Rejected", "Accepted", "");
    assert!(matches!(
        commit(&base, "", &revised),
        Err(ModelError::StatementInvalid { .. })
    ));
    // A change of what is no mark is looked at too, and one elsewhere is not.
    assert!(commit(&base, "", "e:node d:actor 1 .").is_err());
    assert!(commit(&base, "e:node d:basis d:Stated .", "").is_err());
    commit(&base, "", "e:other d:actor 1 .").unwrap();
}

/// A claim is checked with its content, whichever of them changes.
#[test]
fn a_claim_keeps_a_content() {
    let claim = "e:claim a <http://schema.org/Claim> ; d:standing d:Accepted ; d:stance d:Asserted ; d:basis d:Stated ;
        prov:wasDerivedFrom src:a ; d:speaker e:x ; d:content s:1 .";
    let content = statement("1", "e:a d:p e:b", "Unconfirmed", "; d:attributedTo e:x");
    let base = commit(&Snapshot::default(), "", &format!("{claim} {content}")).unwrap();
    let attributed = "g:statements { s:1 d:stance d:Attributed }";
    let reported = "g:statements { s:1 d:stance d:Reported }";
    match commit(&base, attributed, reported) {
        Err(ModelError::StatementInvalid { faults, .. }) => {
            assert_eq!(faults[0].node, "https://w3id.org/dossier/e/claim");
            assert_eq!(faults[0].property, iris::CONTENT);
        }
        other => panic!("{other:?}"),
    }
    commit(&base, &format!("{claim} {attributed}"), reported).unwrap();
}

/// Statements `s:0`, `s:1`, … of triples, each with what is said beside.
fn stated(triples: &[(&str, &str, &str)]) -> String {
    let statements = triples.iter().enumerate();
    statements
        .map(|(id, (triple, standing, more))| statement(&id.to_string(), triple, standing, more))
        .collect()
}

/// Statements about `e:node`, all accepted: of its class first.
fn stated_node(class: &str, said: &[&str]) -> String {
    let class = format!("rdf:type <http://schema.org/{class}>");
    let said: Vec<_> = std::iter::once(class.as_str())
        .chain(said.iter().copied())
        .map(|said| format!("e:node {said}"))
        .collect();
    let triples: Vec<_> = said
        .iter()
        .map(|triple| (triple.as_str(), "Accepted", ""))
        .collect();
    stated(&triples)
}

/// What a claim says: no fact.
fn content() -> String {
    statement("said", "e:a d:p e:b", "Unconfirmed", "")
}

#[test]
fn what_statements_make_an_event_claim_or_figure_is_one() {
    let check = check_node_faults;
    check(
        &stated_node("Event", &["d:actor e:x", "d:actor e:y", "d:edtf \"2019-08\""]),
        &[],
    );
    check(
        &stated_node("Event", &["d:actor \"x\"", "d:follows 1"]),
        &["actor", "follows"],
    );
    check(
        &stated_node("Event", &["d:edtf \"2019-08-31/2019-08-01\""]),
        &["edtf"],
    );
    check(&stated_node("Event", &["d:edtf 2019"]), &["edtf"]);
    check(
        &stated_node("Event", &["d:edtf \"2019\"", "d:edtf \"2020\""]),
        &["edtf"],
    );

    let claim = |said: &[&str]| stated_node("Claim", said) + &content();
    check(&claim(&["d:speaker e:x", "d:content s:said"]), &[]);
    check(&claim(&[]), &["speaker", "content"]);
    check(&claim(&["d:speaker \"x\"", "d:content s:said"]), &["speaker"]);
    check(
        &claim(&["d:speaker e:x", "d:speaker e:y", "d:content s:said"]),
        &["speaker"],
    );
    check(&claim(&["d:speaker d:SomeValue", "d:content d:SomeValue"]), &[]);
    check(&claim(&["d:speaker e:x", "d:content e:a"]), &["content"]);

    let about = "<http://schema.org/observationAbout> e:a";
    let variable = "<http://schema.org/variableMeasured> e:v";
    let unit = "<http://schema.org/unitText> \"percent\"";
    let figure = |said: &[&str]| stated_node("Observation", &[&[about, variable], said].concat());
    check(&figure(&[unit, "<http://schema.org/value> 47.7"]), &[]);
    check(&figure(&[unit, "<http://schema.org/maxValue> 55"]), &[]);
    check(&figure(&[unit, "<http://schema.org/value> d:SomeValue"]), &[]);
    check(&figure(&["<http://schema.org/value> 47.7"]), &["unitText"]);
    check(&figure(&[unit]), &["value"]);
    check(&figure(&[unit, "<http://schema.org/value> \"many\""]), &["value"]);
    check(
        &figure(&[
            unit,
            "<http://schema.org/value> 47",
            "<http://schema.org/minValue> 40",
        ]),
        &["value"],
    );
    let dated = "<http://schema.org/observationDate> \"yesterday\"";
    check(
        &figure(&[unit, "<http://schema.org/value> 47", dated]),
        &["observationDate"],
    );
    check(
        &stated_node("Observation", &[unit, "<http://schema.org/value> 47"]),
        &["observationAbout", "variableMeasured"],
    );
}

/// Sources may differ, and what is doubted counts for being there alone.
#[test]
fn what_is_doubted_of_a_claim_may_differ() {
    let check = |speakers: &[(&str, &str, &str)], properties: &[&str]| {
        let claim = [
            ("e:node rdf:type <http://schema.org/Claim>", "Accepted", ""),
            ("e:node d:content s:said", "Accepted", ""),
        ];
        let text = stated(&[&claim, speakers].concat()) + &content();
        check_node_faults(&text, properties);
    };
    let (x, y) = ("e:node d:speaker e:x", "e:node d:speaker e:y");
    check(&[(x, "Unconfirmed", ""), (y, "Unconfirmed", "")], &[]);
    check(&[(x, "Accepted", ""), (y, "Disputed", "")], &[]);
    check(&[(x, "Accepted", ""), (x, "Accepted", "")], &[]);
    check(&[(x, "Accepted", ""), (y, "Preferred", "")], &[]);
    check(&[(x, "Accepted", ""), (y, "Accepted", "; d:negated true")], &[]);
    // On whatever day they hold.
    check(
        &[
            (x, "Accepted", "; d:edtf \"2018\""),
            (y, "Accepted", "; d:edtf \"2019\""),
        ],
        &["speaker"],
    );
    check(&[(x, "Preferred", ""), (y, "Preferred", "")], &["speaker"]);
    check(&[(x, "Rejected", "")], &["speaker"]);
    check(&[(x, "Accepted", "; d:negated true")], &["speaker"]);
    // What is doubted is of the kind that it is to be, too.
    check(
        &[(x, "Accepted", ""), ("e:node d:speaker 1", "Disputed", "")],
        &["speaker"],
    );
}

#[test]
fn a_class_that_is_doubted_is_one_and_one_that_is_rejected_is_none() {
    let of = |standing: &str, more: &str| {
        statement("1", "e:node rdf:type <http://schema.org/Claim>", standing, more)
    };
    let missing = ["speaker", "content"];
    check_node_faults(&of("Unconfirmed", ""), &missing);
    check_node_faults(&of("Accepted", "; d:edtf \"2020\""), &missing);
    check_node_faults(&of("Rejected", ""), &[]);
    check_node_faults(&of("Accepted", "; d:negated true"), &[]);
    let retracted = "; prov:generatedAtTime \"2019-08-27T00:00:00Z\"^^xsd:dateTime ;
        prov:invalidatedAtTime \"2019-08-27T00:00:00Z\"^^xsd:dateTime";
    check_node_faults(&of("Accepted", retracted), &[]);
    // What is plain alone is anybody's; what is stated of it is not.
    let plain = "e:node a <http://schema.org/Claim> . ";
    check_node_faults(
        &(plain.to_owned() + &statement("1", "e:node d:speaker 1", "Accepted", "")),
        &[],
    );
    check_node_faults(&(plain.to_owned() + &of("Accepted", "")), &missing);
}

/// What holds of a node is looked at with every statement about it, also where the node has a standing.
#[test]
fn a_node_is_checked_with_each_statement_about_it() {
    let fault = |base: &Snapshot, remove: &str, insert: &str| match commit(base, remove, insert) {
        Err(ModelError::StatementInvalid { faults, .. }) => {
            let fault = faults.into_iter().next().unwrap();
            assert_eq!(fault.node, "https://w3id.org/dossier/e/node");
            let name = |iri: &str| iri.rsplit(['#', '/']).next().unwrap().to_owned();
            let cause = fault
                .cause
                .map(|cause| (name(&cause.statement), name(cause.property)));
            (name(fault.property), cause)
        }
        other => panic!("{other:?}"),
    };
    let cause = |statement: &str, property: &str| Some((statement.to_owned(), property.to_owned()));
    let judged = node("Event", "Accepted", "");
    let base = commit(&Snapshot::default(), "", &judged).unwrap();
    for standing in ["Accepted", "Unconfirmed"] {
        let actor = statement("9", "e:node d:actor \"x\"", standing, "");
        assert_eq!(
            fault(&base, "", &actor),
            ("actor".to_owned(), cause("9", "object")),
            "{standing}"
        );
    }

    let claim = stated_node("Claim", &["d:speaker e:x", "d:content s:said"]) + &content();
    let base = commit(&Snapshot::default(), "", &claim).unwrap();
    let retract = |id: &str| {
        format!("g:statements {{ s:{id} prov:invalidatedAtTime \"2019-08-27T12:00:00Z\"^^xsd:dateTime }}")
    };
    assert_eq!(
        fault(&base, "", &retract("1")),
        ("speaker".to_owned(), cause("1", "object"))
    );
    assert_eq!(
        fault(
            &base,
            "g:statements { s:said d:stance d:Attributed }",
            "g:statements { s:said d:stance d:Reported }"
        ),
        ("content".to_owned(), cause("said", "standing"))
    );
    // With its class it may go, and another take its place.
    commit(&base, "", &(retract("0") + &retract("1"))).unwrap();
    let revised = statement("9", "e:node d:speaker e:y", "Accepted", "");
    commit(&base, "", &(retract("1") + &revised)).unwrap();
    // What is missing is told of the statement of the class.
    let first = statement("9", "e:node rdf:type <http://schema.org/Claim>", "Accepted", "");
    let first = fault(&Snapshot::default(), "", &first);
    assert_eq!(first, ("speaker".to_owned(), cause("9", "object")));
    // By a content that is only stated with doubt, too.
    let doubted = claim.replace(
        "rdf:predicate d:content ; rdf:object s:said ;
        d:stance d:Asserted ; d:standing d:Accepted",
        "rdf:predicate d:content ; rdf:object s:said ;
        d:stance d:Attributed ; d:standing d:Unconfirmed",
    );
    assert_ne!(doubted, claim);
    let base = commit(&Snapshot::default(), "", &doubted).unwrap();
    for other_count in [0, 100] {
        let others: String = (10..10 + other_count)
            .map(|id| statement(&id.to_string(), "e:c d:p e:d", "Accepted", ""))
            .collect();
        let reported = format!("g:statements {{ s:said d:stance d:Reported }} {others}");
        let found = fault(&base, "g:statements { s:said d:stance d:Attributed }", &reported);
        assert_eq!(found, ("content".to_owned(), cause("said", "standing")));
    }
}

/// Whether it is checked does not hang on how much else there is.
#[test]
fn what_is_plain_of_a_stated_node_is_checked() {
    let claim = stated_node("Claim", &["d:speaker e:x", "d:content s:said"]) + &content();
    let base = commit(&Snapshot::default(), "", &claim).unwrap();
    for other_count in [0, 100] {
        let others: Vec<_> = (0..other_count)
            .map(|number| format!("e:other{number} d:p e:b . "))
            .collect();
        let others = others.concat();
        let refused = commit(&base, "", &format!("e:node d:speaker e:y . {others}"));
        assert!(
            matches!(refused, Err(ModelError::StatementInvalid { node_count: 1, .. })),
            "{other_count}"
        );
        commit(&base, "", &format!("e:node d:speaker e:x . {others}")).unwrap();
    }
}

/// A piece of an import may lack what another has, and nothing else.
#[test]
fn a_part_need_not_be_whole() {
    let part = |text: &str| {
        let mut batch = Batch::default();
        for quad in quads(text) {
            batch.insert(quad.as_ref());
        }
        let mut draft = draft(Snapshot::default()).at(NOON_US);
        draft.set_part();
        draft.apply(&batch);
        derive(&mut draft, day("2019-08-27"))
    };
    part(&stated_node("Claim", &["d:content s:said"])).unwrap();
    part(&stated_node("Observation", &[])).unwrap();
    assert!(part(&stated_node("Claim", &["d:speaker 1"])).is_err());
    assert!(
        part(&(stated_node("Claim", &["d:content s:said"]) + &content().replace("Attributed", "Reported")))
            .is_err()
    );
}
