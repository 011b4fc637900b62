//! The command line as users meet it: the real binary, its output and its exit codes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod harness;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use harness::{Case, Server, dossier};

const FACT: &str = "INSERT DATA { <http://a.example/s> <http://a.example/p> 1 }";

#[test]
fn entities_facts_and_queries_are_answered() {
    let server = Server::start();
    server.check(&[
        Case::new(&["get", "e:KR"], 0).out("South Korea  (e:KR)"),
        Case::new(&["get", "https://w3id.org/dossier/e/KR"], 0).out("(e:KR)"),
        Case::new(&["get", "South Korea"], 0).out("(e:KR)"),
        Case::new(&["get", "south korea"], 0).out("(e:KR)"),
        Case::new(&["get", "e:no-such-entity"], 1).err("error"),
        Case::new(&["get", "No such label"], 1).err("error"),
        Case::new(&["get", "e:KR", "--output", "json"], 0).out("https://w3id.org/dossier/e/KR"),
        Case::new(&["get", "e:KR", "--output", "ntriples"], 0).out("<https://w3id.org/dossier/e/KR> <"),
        Case::new(&["facts", "--subject", "e:KR", "--limit", "1", "-o", "table"], 0).out("SUBJECT"),
        Case::new(&["facts", "--subject", "e:KR", "-o", "json"], 0).out("\"subject\""),
        Case::new(&["facts", "--subject", "e:KR", "-o", "csv"], 0).out("subject,predicate,object"),
        Case::new(&["facts", "--subject", "e:KR"], 0).out("?subject\t?predicate"),
        Case::new(&["facts", "--object", "Seoul"], 2).err("not a term"),
        Case::new(&["facts", "--limit", "0"], 2).err("--limit"),
        Case::new(&["query", "ASK {}"], 0).out("true"),
        Case::new(&["query", "SELECT (1 AS ?x) {}", "-o", "table"], 0).out("1"),
        Case::new(&["query", "SELECT (1 AS ?x) {}", "-o", "json"], 0).out("\"bindings\""),
        Case::new(&["query", "SELECT (1 AS ?x) {}", "-o", "xml"], 0).out("<sparql"),
        Case::new(&["query", "SELECT (1 AS ?x) {}", "-o", "csv"], 0).out("x\r\n1"),
        Case::new(&["query", "SELECT (1 AS ?x) {}", "-o", "tsv"], 0).out("?x\n1"),
        Case::new(&["query", "SELECT (1 AS ?x) {}", "-o", "turtle"], 2).err("holds triples"),
        Case::new(&["query", "CONSTRUCT { <a:s> <a:p> 1 } {}", "-o", "turtle"], 0).out("<a:s> <a:p> 1 ."),
        Case::new(&["query", "CONSTRUCT { <a:s> <a:p> 1 } {}", "-o", "nt"], 0).out("<a:s> <a:p> \"1\"^^"),
        Case::new(&["query", "CONSTRUCT { <a:s> <a:p> 1 } {}", "-o", "jsonld"], 0).out("\"a:s\""),
        Case::new(&["query"], 0).stdin("ASK {}").out("true"),
        Case::new(&["query", "--timeout", "soon", "ASK {}"], 2).err("--timeout"),
        Case::new(&["info"], 0).out("PREFIX"),
        Case::new(&["info", "--output", "json"], 0).out("\"prefixes\""),
        Case::new(&["health"], 0).out("SERVING"),
    ]);
}

#[test]
fn faults_have_a_caret_under_their_column() {
    let server = Server::start();
    server.check(&[
        Case::new(&["query", "\tASK { \"서울\" oops }"], 1).err("error[SPARQL_SYNTAX]: "),
        Case::new(&["query"], 1)
            .stdin("ASK {")
            .err(" --> standard input:1:6\n  |\n1 | ASK {\n  |      ^"),
    ]);
}

#[test]
fn updates_and_loads_are_whole_or_nothing() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("good.ttl", b"<http://b.example/s> <http://b.example/p> 1 .\n");
    let bad = file(
        "bad.nt",
        b"<http://c.example/s> <http://c.example/p> \"1\" .\nbad\n",
    );
    let odd = file("odd", b"");
    let query = file("q.rq", b"ASK { <http://b.example/s> ?p ?o }");
    let at = format!("@{query}");
    server.check(&[
        Case::new(&["update", "--dry-run", FACT], 0).out("would insert 1 quad and remove 0 quads"),
        Case::new(&["update", "--expected-revision", "999", FACT], 1).err("error[REVISION_MISMATCH]"),
        Case::new(&["update", "--request-id", "once", FACT], 0).out("1 quad inserted"),
        Case::new(&["update", "--request-id", "once", FACT], 0).out("1 quad inserted"),
        Case::new(&["update", FACT], 0).out("nothing changed"),
        Case::new(&["load", &good], 0).out("1 quad read, 1 inserted"),
        Case::new(&["query", &at], 0).out("true"),
        Case::new(&["query", "--file", &query], 0).out("true"),
        Case::new(&["load", "-", "--format", "ttl"], 0)
            .stdin("<a:s> <a:p> 1 .")
            .out("1 inserted"),
        Case::new(&["load", &bad], 1).err("bad.nt:2"),
        Case::new(&["query", "ASK { <http://c.example/s> ?p ?o }"], 0).out("false"),
        Case::new(&["load", &odd], 2).err("--format"),
    ]);
}

#[test]
fn a_server_ends_on_sigterm_and_keeps_its_data() {
    let mut server = Server::start();
    server.check(&[Case::new(&["update", FACT], 0)]);
    assert_eq!(server.terminate(), Some(0));
    server.check(&[
        Case::new(&["info"], 3).err("cannot reach the server"),
        Case::new(&["health"], 1).err("cannot reach the server"),
    ]);
    server.restart();
    server.check(&[Case::new(&["query", "ASK { <http://a.example/s> ?p 1 }"], 0).out("true")]);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let server = Server::start();
    let mut child = dossier()
        .args([
            "--server",
            &server.url,
            "query",
            "SELECT * { ?s ?p ?o . ?a ?b ?c }",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}

#[test]
fn wrong_settings_are_refused() {
    for (args, part) in [
        (["serve", "--listen", "0.0.0.0:0"], "--insecure"),
        (["serve", "--graph-memory-max", "much"], "--graph-memory-max"),
    ] {
        let output = dossier().args(args).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(part), "{told}");
    }
}
