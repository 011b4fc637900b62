//! `dossier write` and `dossier retract`.

use std::{fmt::Write as _, fs};

use tempfile::TempDir;

use crate::harness::{Server, dossier, limited};

/// Returns the rows of a query, without the header.
fn rows(server: &Server, query: &str) -> Vec<String> {
    let output = server.run(&["query", query, "--output", "tsv"], "").succeeded();
    output.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_fact_is_written_and_retracted() {
    let server = Server::start(&["--no-shipped-data"]);
    let write = |arguments: &[&str]| server.run(&[&["write"], arguments].concat(), "");
    let party = ["e:gsomia", "d:party", "e:KR", "--source", "src:treaty"];
    write(&party).failed(1, "error[SOURCE_UNKNOWN]");
    let party = [&party[..], &["--title", "The treaty", "--id", "s:party"]].concat();
    let validated = write(&[&party[..], &["--validate-only"]].concat()).succeeded();
    assert!(
        validated.starts_with("would insert ") && validated.ends_with("revision 0 stays the newest\n"),
        "{validated}"
    );
    let written = write(&party).succeeded();
    let lines: Vec<_> = written.lines().collect();
    assert_eq!(lines[0], "s:party");
    assert!(
        lines[1].starts_with("revision 1: ") && lines.len() == 2,
        "{written}"
    );
    let again = write(&party).succeeded();
    assert_eq!(again, "s:party\nnothing changed; revision 1 stays the newest\n");

    let everything = [
        "e:gsomia",
        "d:party",
        "\"GSOMIA\"@en",
        "--source",
        "src:treaty",
        "--locator",
        "Article 1",
        "--publisher",
        "e:KR",
        "--standing",
        "disputed",
        "--stance",
        "reported",
        "--basis",
        "background",
        "--edtf",
        "2016-11-23/..",
        "--observed-on",
        "2019-08-27",
        "--attributed-to",
        "e:kim",
        "--confidence",
        "0.75",
        "--qualifier",
        "e:q=\"a=b\"",
        "--disputes",
        "s:party",
        "--revises",
        "s:party",
        "--negated",
        "--output",
        "json",
    ];
    let json = write(&everything).succeeded();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let id = json["ids"][0].as_str().unwrap();
    assert_eq!(json["revision"], "2");
    let found = format!(
        "SELECT ?end {{ GRAPH g:statements {{ <{id}> rdf:subject e:gsomia ; rdf:predicate d:party ; rdf:object 'GSOMIA'@en ;
        prov:wasDerivedFrom src:treaty ; d:locator 'Article 1' ; d:standing d:Disputed ; d:stance d:Reported ;
        d:basis d:Background ; d:edtf '2016-11-23/..' ; d:observedOn '2019-08-27'^^xsd:date ; d:attributedTo e:kim ;
        d:confidence 0.75 ; e:q 'a=b' ; d:disputes s:party ; prov:wasRevisionOf s:party ; d:negated true .
        s:party prov:invalidatedAtTime ?end }} }}"
    );
    assert_eq!(rows(&server, &found).len(), 1);

    let retract = |arguments: &[&str]| server.run(&[&["retract"], arguments].concat(), "");
    retract(&["s:party"]).failed(1, "error[FACT_ALREADY_RETRACTED]");
    retract(&[id, "s:nobody"]).failed(1, "error[FACT_NOT_FOUND]");
    retract(&["--expected-revision", "1", id]).failed(1, "error[REVISION_MISMATCH]");
    let told = retract(&["--dry-run", id]).succeeded();
    assert!(told.starts_with("would insert 1 quad"), "{told}");
    let told = retract(&["--request-id", "r", id]).succeeded();
    assert!(told.starts_with("revision 3: 1 quad inserted"), "{told}");
    assert_eq!(retract(&["--request-id", "r", id]).succeeded(), told);
}

#[test]
fn facts_come_from_a_file() {
    let server = Server::start(&["--no-shipped-data"]);
    let fact = |id: &str, object: &str| {
        format!(
            r#"{{"id":"{id}","subject":"e:a","predicate":"e:p","object":{{"iri":"{object}"}},
            "sources":[{{"iri":"src:a","title":"A"}},{{"iri":"src:b","title":"B"}}],"recordedAt":"2019-08-27T00:00:00Z"}}"#
        )
    };
    let path = server.folder().join("facts.json");
    fs::write(&path, format!("[{}, {}]", fact("s:1", "e:b"), fact("s:2", "e:c"))).unwrap();
    let path = path.to_str().unwrap();
    let written = server.run(&["write", "--file", path], "").succeeded();
    assert!(written.starts_with("s:1\ns:2\nrevision 1: "), "{written}");
    let lines = format!("{}\n{}", fact("s:2", "e:c"), fact("s:3", "e:d"));
    let written = server.run(&["write", "--file", "-"], &lines).succeeded();
    assert!(written.starts_with("s:2\ns:3\nrevision 2: "), "{written}");
    let all =
        "SELECT ?s { GRAPH g:statements { ?s prov:generatedAtTime '2019-08-27T00:00:00Z'^^xsd:dateTime } }";
    assert_eq!(rows(&server, all).len(), 3);
    let bad = fact("s:4", "e:d").replace("src:b", "src:a");
    server
        .run(&["write", "--file", "-"], &format!("{lines}\n{bad}"))
        .failed(1, "facts[2].sources[1].iri");
    server
        .run(&["write", "--file", "-"], "{\"name\":1}")
        .failed(1, "facts[0]");
    server
        .run(&["write", "--file", "nowhere.json"], "")
        .failed(1, "cannot read nowhere.json");
}

#[test]
fn command_lines_that_say_no_fact_are_refused() {
    for (arguments, said) in [
        (&["write"][..], "SUBJECT"),
        (&["write", "e:a"], "PREDICATE"),
        (&["write", "e:a", "e:p"], "OBJECT"),
        (
            &["write", "e:a", "e:p", "e:b", "--file", "f.json"],
            "cannot be used with",
        ),
        (
            &["write", "--file", "f.json", "--edtf", "2019"],
            "cannot be used with",
        ),
        (&["write", "e:a", "e:p", "e:b", "--title", "A"], "--source"),
        (&["write", "e:a", "e:p", "e:b", "--stance", "certain"], "planned"),
        (&["write", "e:a", "e:p", "e:b", "--qualifier", "e:q"], "NAME=TERM"),
        (&["retract"], "ID"),
    ] {
        dossier(arguments, "").failed(2, said);
    }
    let server = Server::start(&["--no-shipped-data"]);
    let write = |arguments: &[&str]| server.run(&[&["write", "e:a", "e:p"], arguments].concat(), "");
    write(&["Seoul"]).failed(2, "not a term");
    let several = ["e:b", "--source", "src:a", "--source", "src:b", "--locator", "P3"];
    write(&several).failed(2, "--file");
    write(&["e:b"]).failed(1, "facts[0].sources: at least one");
}

#[test]
fn large_commits_need_no_thread_beside_the_writer() {
    // Of a petabyte, by which no thread of a library in C can be made. Ours have stacks of their own size.
    let Some(command) = limited("-s 1099511627776") else {
        eprintln!("NOT RUN: stacks are limited here");
        return;
    };
    let server = Server::start_by(command, TempDir::new().unwrap(), &["--no-shipped-data"], &[]);
    let mut document = String::new();
    for number in 0..10_000 {
        writeln!(
            document,
            "<http://e.com/{number}> <http://e.com/p> \"{number}\" ."
        )
        .unwrap();
    }
    for revision in 1..=2 {
        let loaded = server.run(&["load", "--format", "nt", "-"], &document);
        let said = loaded.succeeded();
        assert!(said.contains(&format!("revision {revision}")), "{said}");
        document = document.replace("e.com/p", "e.com/q");
    }
    server.stop();
}
