//! Facts in time, verdicts and why, on the command line.

use crate::harness::Server;

#[test]
fn verdicts_are_told_with_what_they_rest_on() {
    let server = Server::start(&[]);
    let check = |arguments: &[&str]| server.run(&[&["check"], arguments].concat(), "").succeeded();
    let listed = [
        "e:KR",
        "d:listedOn",
        "e:japan-white-list",
        "--as-of",
        "2019-08-27",
    ];
    let told = check(&listed);
    assert!(told.starts_with("TRUE\naccepted, for 2019-08-27"), "{told}");
    assert!(told.contains("src:diplomat-2019-gsomia P10"), "{told}");
    let told = check(&["e:gsomia", "d:inForce", "true", "--as-of", "2015-01-01"]);
    assert!(told.starts_with("FALSE\nnot at that time"), "{told}");
    let known = ["--as-of", "2019-08-27", "--known-at", "2019-08-27"];
    let told = check(&[&["e:gsomia", "d:endsOn", "\"2019-11-22\"^^xsd:date"], &known[..]].concat());
    assert!(told.starts_with("UNCONFIRMED\nplanned"), "{told}");
    let json = check(&[&listed[..], &["--output", "json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["verdict"], "VERDICT_TRUE");
    assert_eq!(json["asOf"]["day"], 27);
    let wrong = ["check", "e:KR", "d:listedOn", "e:x", "--as-of", "2019-02-30"];
    server.run(&wrong, "").failed(1, "error[INVALID_DATE]");
    let wrong = ["check", "e:KR", "d:listedOn", "e:x", "--as-of", "today"];
    server.run(&wrong, "").failed(2, "is not a date");
}

#[test]
fn why_a_fact_is_held_is_told() {
    let server = Server::start(&[]);
    for arguments in [vec!["s:F48"], vec!["e:tisa", "d:party", "e:US"]] {
        let told = server.run(&[&["why"], &arguments[..]].concat(), "").succeeded();
        assert!(
            told.contains("e:tisa d:party e:US\nstatement  s:F48\nholds      yes\n"),
            "{told}"
        );
        assert!(
            told.contains("stance     asserted\nbasis      stated\n"),
            "{told}"
        );
        assert!(told.contains("source     src:diplomat-2019-gsomia, "), "{told}");
    }
    let told = server.run(&["why", "s:E03-ends"], "").succeeded();
    assert!(told.contains("retracted  2019-11-22T00:00:00Z"), "{told}");
    server
        .run(&["why", "s:nobody"], "")
        .failed(1, "error[FACT_NOT_FOUND]");
    server
        .run(&["why", "e:tisa", "d:party"], "")
        .failed(2, "say an id");
}

#[test]
fn facts_are_listed_at_a_time() {
    let server = Server::start(&[]);
    let rows = |arguments: &[&str]| {
        let ends = ["facts", "-s", "e:gsomia", "-p", "d:endsOn"];
        let output = server.run(&[&ends, arguments].concat(), "").succeeded();
        output.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(rows(&[]).len(), 0);
    assert_eq!(rows(&["--scope", "live"]).len(), 1);
    assert_eq!(rows(&["--scope", "all"]).len(), 4);
    assert_eq!(rows(&["--scope", "live", "--known-at", "2019-08-27"]).len(), 4);
    assert_eq!(rows(&["--standing", "rejected"]).len(), 1);
    let history = server.run(&["history", "e:gsomia", "d:endsOn"], "").succeeded();
    let lines: Vec<_> = history.lines().collect();
    assert!(lines[0].starts_with("RECORDED"), "{history}");
    assert_eq!(lines.len(), 2 + 4, "{history}");
    assert!(
        history.contains("2019-11-22T00:00:00Z") && history.contains("s:F44-ends"),
        "{history}"
    );
}

#[test]
fn timelines_are_drawn() {
    let server = Server::start(&[]);
    let arguments = ["timeline", "e:kr-jp-dispute", "--as-of", "2019-08-27"];
    let drawn = server.run(&arguments, "").succeeded();
    let place = |part: &str| drawn.find(part).unwrap_or_else(|| panic!("{part}: {drawn}"));
    assert!(place("2019\n") < place("● 2019-07-01 … 2019-07-31"));
    assert!(place("● 2019-08-22") < place("──┼─ 2019-08-27"));
    assert!(place("──┼─ 2019-08-27") < place("○ 2019-08-28"));
    assert!(drawn.contains("(planned, unconfirmed)"), "{drawn}");
    let json = server
        .run(&[&arguments[..], &["--output", "json"]].concat(), "")
        .succeeded();
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["kind"], "TIMELINE_KIND_EVENT");
    server
        .run(&["timeline", "e:nobody"], "")
        .failed(1, "error[ENTITY_NOT_FOUND]");
}

#[test]
fn conflicts_are_listed() {
    let server = Server::start(&[]);
    let told = server
        .run(&["conflicts", "-s", "e:gsomia", "--known-at", "2019-08-27"], "")
        .succeeded();
    assert!(told.contains("e:gsomia d:endsOn: one is rejected\n"), "{told}");
    assert!(told.contains("rejected, planned"), "{told}");
    let json = server.run(&["conflicts", "--output", "json"], "").succeeded();
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert!(first["facts"].is_array(), "{json}");
}

#[test]
fn an_earlier_revision_is_read() {
    let server = Server::start(&["--no-shipped-data"]);
    for text in [
        "INSERT DATA { e:a rdfs:label 'old' }",
        "DELETE DATA { e:a rdfs:label 'old' }",
    ] {
        server.run(&["update", text], "").succeeded();
    }
    server
        .run(&["get", "e:a"], "")
        .failed(1, "error[ENTITY_NOT_FOUND]");
    let told = server.run(&["get", "e:a", "--at-revision", "1"], "").succeeded();
    assert!(told.contains("old"), "{told}");
    let ask = ["query", "ASK { ?s rdfs:label 'old' }", "--at-revision"];
    for (revision, expected) in [("1", "true"), ("2", "false")] {
        let told = server.run(&[&ask[..], &[revision]].concat(), "").succeeded();
        assert!(told.contains(expected), "{told}");
    }
    server
        .run(&["get", "e:a", "--at-revision", "3"], "")
        .failed(1, "error[REVISION_NOT_FOUND]");
    server
        .run(&["get", "e:a", "--at-revision", "1", "--min-revision", "1"], "")
        .failed(2, "cannot be used with");
}

/// A denial is no fact, and what is rejected is none.
#[test]
fn what_does_not_hold_is_not_printed_as_if_it_did() {
    let server = Server::start(&["--no-shipped-data"]);
    for (object, flags) in [
        ("e:held", &[][..]),
        ("e:denied", &["--negated"][..]),
        ("e:rejected", &["--standing", "rejected"][..]),
    ] {
        let write = ["write", "e:s", "d:p", object, "--basis", "inferred"];
        server.run(&[&write, flags].concat(), "").succeeded();
    }
    let facts = |format: &str| {
        let arguments = ["facts", "-s", "e:s", "--scope", "live", "-o", format];
        server.run(&arguments, "").succeeded()
    };
    let e = "https://w3id.org/dossier/e/";
    assert_eq!(
        facts("nt"),
        format!("<{e}s> <https://w3id.org/dossier/ns#p> <{e}held> .\n")
    );
    let csv = facts("csv");
    let row = |object: &str, columns: &str| {
        let expected = format!("{e}{object},{columns},");
        assert!(csv.contains(&expected), "{expected} in {csv}");
    };
    row("held", "false,true,accepted,asserted");
    row("denied", "true,false,accepted,asserted");
    row("rejected", "false,false,rejected,asserted");
}

#[test]
fn facts_are_chosen_by_what_is_said_of_them() {
    let server = Server::start(&[]);
    let rows = |arguments: &[&str]| {
        let output = server.run(&[&["facts"], arguments].concat(), "").succeeded();
        output.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let inferred = rows(&["-s", "e:gsomia", "--basis", "inferred"]);
    assert!(!inferred.is_empty() && inferred.len() < rows(&["-s", "e:gsomia"]).len());
    let source = ["--source", "src:kbs-43686"];
    let fall = rows(&[&source[..], &["--sole-source"]].concat());
    assert!(
        !fall.is_empty() && fall.iter().all(|row| rows(&source).contains(row)),
        "{fall:?}"
    );
    let planned = rows(&["--scope", "live", "--stance", "planned"]);
    assert!(
        !planned.is_empty() && planned.iter().all(|row| row.contains("\"planned\"")),
        "{planned:?}"
    );
    let words = rows(&["--scope", "live", "--attributed-to", "e:kono"]);
    assert!(!words.is_empty(), "{words:?}");
    server.run(&["facts", "--sole-source"], "").failed(2, "--source");

    let capital = |arguments: &[&str]| {
        let told = server
            .run(&[&["get", "e:IL"], arguments].concat(), "")
            .succeeded();
        told.lines().filter(|line| line.contains("jerusalem")).count()
    };
    assert_eq!((capital(&[]), capital(&["--scope", "live"])), (0, 2));
    let triples = ["--output", "ntriples"];
    assert_eq!(
        (
            capital(&triples),
            capital(&[&triples[..], &["--scope", "live"]].concat())
        ),
        (0, 0)
    );
}

#[test]
fn facts_are_compared() {
    let server = Server::start(&[]);
    let run = |arguments: &[&str]| server.run(&[&["compare"], arguments].concat(), "").succeeded();
    let told = run(&["e:gsomia", "d:endsOn", "--known-at", "2019-08-27"]);
    assert!(
        told.starts_with("the facts conflict: one is rejected\n"),
        "{told}"
    );
    assert!(told.contains("2019-11-22: UNCONFIRMED, planned\n"), "{told}");
    assert!(run(&["e:gsomia", "d:signedOn"]).starts_with("the facts do not conflict\n"));
    assert_eq!(run(&["e:gsomia", "d:nothing"]), "nothing is recorded\n");
    let json: serde_json::Value =
        serde_json::from_str(&run(&["e:gsomia", "d:endsOn", "--output", "json"])).unwrap();
    assert!(json["groups"].is_array(), "{json}");
}
