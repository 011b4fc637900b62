//! Drives the real `dossier` against a real server.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "all of this is a test")]

mod backups;
mod config;
mod disk;
mod harness;
#[path = "../process/mod.rs"]
mod process;
mod reads;
mod resume;
mod secrets;
mod stores;
mod stuck;
mod tokens;
mod traces;
mod writes;

use std::{fs, io::Write as _, net::TcpListener};

use flate2::{Compression, write::GzEncoder};
use harness::{Server, dossier};

#[test]
fn get_takes_iris_prefixed_names_and_labels() {
    let server = Server::start(&[]);
    for name in [
        "e:KR",
        "https://w3id.org/dossier/e/KR",
        "South Korea",
        "south korea",
        "大韓民国",
        "ROK",
    ] {
        let got = server.run(&["get", name], "").succeeded();
        assert!(got.starts_with("South Korea  (e:KR)\n"), "{name}: {got}");
    }
    // Of 64 labels eight are shown, unless the languages are chosen.
    let got = server.run(&["get", "Germany"], "").succeeded();
    assert!(got.contains("labels  Germany (en) · "), "{got}");
    assert!(got.contains(" · and 56 more\n"), "{got}");
    let got = server
        .run(&["get", "Germany", "-l", "ko", "-l", "ja"], "")
        .succeeded();
    assert!(got.contains("labels  ドイツ (ja) · 독일 (ko)\n"), "{got}");

    // The label of a city, and the alias of a government.
    let got = server.run(&["get", "Seoul"], "");
    assert!(got.stdout.starts_with("Seoul  (e:seoul)\n"), "{}", got.stdout);
    assert!(
        got.stderr
            .contains("e:government-of-south-korea  alias: Seoul @en"),
        "{}",
        got.stderr
    );

    server
        .run(&["get", "e:nobody"], "")
        .failed(1, "error[ENTITY_NOT_FOUND]");
    server
        .run(&["get", "Nobody at all"], "")
        .failed(1, "no entity is called Nobody at all");
    let twins = "INSERT DATA { e:a rdfs:label 'Twin' . e:b rdfs:label 'Twin' . e:c skos:altLabel 'Twin' }";
    server.run(&["update", twins], "").succeeded();
    let several = server
        .run(&["get", "Twin"], "")
        .failed(1, "several entities are called Twin");
    assert!(
        several.contains("e:a") && several.contains("e:b") && !several.contains("e:c"),
        "{several}"
    );
}

#[test]
fn facts_are_filtered_and_paged() {
    let server = Server::start(&[]);
    let rows = |arguments: &[&str]| {
        let output = server.run(&[&["facts"], arguments].concat(), "").succeeded();
        output.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let party = rows(&["--predicate", "d:party", "--object", "e:KR"]);
    assert_eq!(
        party[0],
        "?subject\t?predicate\t?object\t?negated\t?holds\t?standing\t?stance\t?time\t?sources\t?id"
    );
    assert!(
        party
            .iter()
            .any(|row| row.starts_with("<https://w3id.org/dossier/e/gsomia>\t")),
        "{party:?}"
    );
    // More than a page, with one header.
    let all = rows(&[]);
    assert!(all.len() > 1_001 && all.iter().filter(|row| row.starts_with("?subject")).count() == 1);
    assert_eq!(rows(&["--limit", "3"]).len(), 1 + 3);
    assert_eq!(
        rows(&["--object", "\"Seoul\"@en", "-p", "rdfs:label"]).len(),
        1 + 1
    );
    let json = rows(&["-s", "e:KR", "--limit", "1", "--output", "json"]);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json[0]).unwrap()["standing"],
        "STANDING_ACCEPTED"
    );
    server
        .run(&["facts", "--object", "Seoul"], "")
        .failed(2, "not a term");
}

#[test]
fn queries_are_written_in_every_form() {
    let server = Server::start(&[]);
    let check = |query: &str, format: &str, expected: &str| {
        let output = server.run(&["query", query, "--output", format], "").succeeded();
        assert_eq!(output.trim_end(), expected, "{format}");
    };
    let select = "SELECT ?s ?o { VALUES (?s ?o) { (e:KR 'a'@en) (UNDEF 7) } }";
    let kr = "https://w3id.org/dossier/e/KR";
    check(select, "tsv", &format!("?s\t?o\n<{kr}>\t\"a\"@en\n\t7"));
    check(select, "csv", &format!("s,o\r\n{kr},a\r\n,7"));
    check(select, "table", "s     o\n────────────\ne:KR  a @en\n      7");
    let json = server.run(&["query", select, "--output", "json"], "").succeeded();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["results"]["bindings"][0]["s"]["value"], kr);
    let xml = server.run(&["query", select, "--output", "xml"], "").succeeded();
    assert!(xml.contains(&format!("<uri>{kr}</uri>")), "{xml}");
    check("ASK { e:KR a schema:Country }", "tsv", "true");
    let construct = "CONSTRUCT { e:KR d:p 'x' } WHERE {}";
    check(
        construct,
        "ntriples",
        &format!("<{kr}> <https://w3id.org/dossier/ns#p> \"x\" ."),
    );
    let turtle = server
        .run(&["query", construct, "--output", "turtle"], "")
        .succeeded();
    assert!(turtle.contains("e:KR d:p \"x\""), "{turtle}");
    server
        .run(&["query", select, "--output", "turtle"], "")
        .failed(2, "turtle holds triples");
    server
        .run(&["query", construct, "--output", "csv"], "")
        .failed(2, "csv holds rows");
}

#[test]
fn both_row_encodings_say_the_same() {
    let server = Server::start(&[]);
    let query = "SELECT ?s ?p ?o { ?s ?p ?o OPTIONAL { ?o rdfs:label ?unbound } } ORDER BY ?s ?p ?o";
    let run = |encoding| {
        server
            .run(&["query", query, "--row-encoding", encoding], "")
            .succeeded()
    };
    let plain = run("plain");
    assert!(plain.lines().count() > 1_000);
    assert_eq!(plain, run("dictionary"));
}

#[test]
fn texts_come_from_arguments_files_and_standard_input() {
    let server = Server::start(&["--no-shipped-data"]);
    let text = "ASK {}";
    let file = server.folder().join("q.rq");
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    for (arguments, input) in [
        (vec![text], ""),
        (vec![&*format!("@{file}")], ""),
        (vec!["--file", file], ""),
        (vec!["-"], text),
        (vec![], text),
    ] {
        let output = server.run(&[&["query"], &*arguments].concat(), input).succeeded();
        assert_eq!(output, "true\n", "{arguments:?}");
    }
    server
        .run(&["query", "@nowhere.rq"], "")
        .failed(1, "cannot read nowhere.rq");
    server
        .run(&["query", "--limit", "2", "SELECT * { VALUES ?x { 1 2 3 } }"], "")
        .succeeded();
    server
        .run(&["query", "--timeout", "soon", text], "")
        .failed(2, "500ms");
}

#[test]
fn faults_are_quoted() {
    let server = Server::start(&["--no-shipped-data"]);
    let told = server
        .run(&["query", "SELECT *\nWHERE { ?서울 oops }"], "")
        .failed(1, "error[SPARQL_SYNTAX]");
    let lines: Vec<_> = told.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.starts_with("2 | "))
        .expect(&told);
    assert_eq!(lines[at], "2 | WHERE { ?서울 oops }");
    // The caret stands under or after what cannot be read, in cells: the two syllables take four.
    let caret = lines[at + 1].find('^').expect(&told);
    assert!((caret - "  | ".len()) >= "WHERE { ?".len() + 4, "{told}");
    server.run(&["query", "DROP ALL"], "").failed(1, "dossier update");
    server.run(&["update", "ASK {}"], "").failed(1, "dossier query");
}

#[test]
fn updates_say_what_they_did() {
    let server = Server::start(&["--no-shipped-data"]);
    let insert = "INSERT DATA { e:a d:p 1, 2 }";
    let check = |arguments: &[&str], expected: &str| {
        let output = server.run(&[&["update"], arguments].concat(), "").succeeded();
        assert_eq!(output, format!("{expected}\n"), "{arguments:?}");
    };
    check(
        &["--dry-run", insert],
        "would insert 2 quads and remove 0 quads; revision 0 stays the newest",
    );
    check(
        &["--request-id", "r", insert],
        "revision 1: 2 quads inserted, 0 quads removed",
    );
    check(
        &["--request-id", "r", insert],
        "revision 1: 2 quads inserted, 0 quads removed",
    );
    check(&[insert], "nothing changed; revision 1 stays the newest");
    check(
        &["--expected-revision", "1", "DELETE DATA { e:a d:p 1 }"],
        "revision 2: 0 quads inserted, 1 quad removed",
    );
    check(
        &[
            "INSERT { e:a d:p ?n, ?m } WHERE {}",
            "--bind",
            "n=7",
            "--bind",
            "?m=e:b",
        ],
        "revision 3: 2 quads inserted, 0 quads removed",
    );
    let count = &["query", "SELECT ?s { ?s d:p ?o }", "--bind", "o=e:b", "-o", "csv"];
    assert!(server.run(count, "").succeeded().ends_with("/a\r\n"));
    server
        .run(&["query", "ASK { ?s d:p ?o }", "--bind", "x=7"], "")
        .failed(1, "parameters[x]: the text has no such variable");
    server
        .run(
            &["query", "ASK { ?s d:p ?o }", "--bind", "o=7", "--bind", "o=8"],
            "",
        )
        .failed(2, "given twice");
    server
        .run(&["update", "--expected-revision", "1", "CLEAR ALL"], "")
        .failed(1, "error[REVISION_MISMATCH]");
    server
        .run(&["update", "--request-id", "r", "CLEAR ALL"], "")
        .failed(1, "error[REQUEST_ID_REUSED]");
}

#[test]
fn files_are_loaded_whole_or_not_at_all() {
    let server = Server::start(&["--no-shipped-data"]);
    let text = "<http://x/a> <http://x/p> \"1\" .\n<http://x/a> <http://x/p> \"2\" .\n";
    let write = |name: &str, bytes: &[u8]| {
        let path = server.folder().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let plain = write("a.nt", text.as_bytes());
    let packed = write("a.nt.gz", &gzip.finish().unwrap());
    let zstandard = write("a.ttl.zst", &zstd::encode_all(text.as_bytes(), 0).unwrap());
    let load = |arguments: &[&str], input: &str| server.run(&[&["load"], arguments].concat(), input);

    let output = load(&[&packed, &plain, &zstandard], "").succeeded();
    let said: Vec<_> = output
        .lines()
        .map(|line| line.split_once(": ").unwrap().1)
        .collect();
    assert!(said[0].contains("2 quads read, 2 new, revision 1"), "{output}");
    assert!(
        said[1..]
            .iter()
            .all(|line| line.contains("2 quads read, 0 new, revision 1")),
        "{output}"
    );
    load(&["-", "--format", "nt", "--graph", "http://x/g"], text).succeeded();
    let count = server.run(
        &[
            "query",
            "SELECT (COUNT(*) AS ?n) { GRAPH <http://x/g> { ?s ?p ?o } }",
        ],
        "",
    );
    assert_eq!(count.succeeded(), "?n\n2\n");

    let bad = write("bad.nt", format!("{text}<http://x/b> oops\n").as_bytes());
    load(&[&bad], "").failed(1, "bad.nt:3");
    load(&["-"], text).failed(2, "--format");
    // It can be opened, and not read.
    load(&[server.folder().to_str().unwrap(), "--format", "nt"], "").failed(1, "cannot read");
    let ask = server
        .run(&["query", "ASK { <http://x/b> ?p ?o }"], "")
        .succeeded();
    assert_eq!(ask, "false\n");
}

#[test]
fn a_load_is_checked_and_is_bound_to_a_revision() {
    let server = Server::start(&["--no-shipped-data"]);
    let load = |arguments: &[&str]| {
        let given = [&["load", "-", "--format", "nt"], arguments].concat();
        server.run(&given, "<http://x/a> <http://x/p> <http://x/b> .\n")
    };
    let said = |revision| format!("standard input: 1 quad read, 1 new, revision {revision}\n");
    assert_eq!(load(&["--validate-only"]).succeeded(), said("0 stays the newest"));
    load(&["--expected-revision", "7"]).failed(1, "error[REVISION_MISMATCH]");
    assert_eq!(load(&["--expected-revision", "0"]).succeeded(), said("1"));
    load(&["a.nt", "--expected-revision", "1"]).failed(2, "--expected-revision is of one load");
    load(&["--chunked", "--validate-only"]).failed(2, "cannot be used with");
}

#[test]
fn the_server_is_told_about() {
    let server = Server::start(&["--no-shipped-data", "--query-timeout-max", "7s"]);
    let info = server.run(&["info"], "").succeeded();
    assert!(
        info.contains(env!("CARGO_PKG_VERSION")) && info.contains("7s"),
        "{info}"
    );
    let json = server.run(&["info", "--output", "json"], "").succeeded();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["limits"]["queryTimeoutMsMax"], "7000");
    assert_eq!(server.run(&["health"], "").succeeded(), "SERVING\n");
    server.stop();
}

#[test]
fn a_server_that_is_not_there_is_code_3_and_for_health_1() {
    // Nobody can listen on port 0.
    let gone = ["--server", "http://127.0.0.1:0"];
    dossier(&[&gone[..], &["info"]].concat(), "").failed(3, "cannot reach the server");
    dossier(&[&gone[..], &["health"]].concat(), "").failed(1, "cannot reach the server");
    dossier(&["info", "--server", "ftp://127.0.0.1:1"], "").failed(2, "only http:// and https://");
    let no_file = ["info", "--server", "https://127.0.0.1:1", "--ca", "no-such-file"];
    dossier(&no_file, "").failed(2, "cannot read no-such-file");
}

#[test]
fn health_is_not_waited_for_without_an_end() {
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    dossier(&["health", "--server", &url], "").failed(1, "did not answer within 3s");
}

#[test]
fn an_exposed_server_needs_a_word() {
    let told = dossier(&["serve", "--listen", "0.0.0.0:0"], "").failed(2, "0.0.0.0:0");
    assert!(told.contains("hint") && told.contains("--insecure"), "{told}");
}

#[test]
fn completions_are_written() {
    assert!(
        dossier(&["completions", "bash"], "")
            .succeeded()
            .contains("dossier")
    );
}

#[test]
fn slow_queries_are_logged() {
    let server = Server::start(&["--slow-query-ms", "1"]);
    let pairs = "SELECT (COUNT(*) AS ?n) { ?a a ?b . ?c a ?d }";
    server
        .run(&["query", pairs, "--query-id", "mine"], "")
        .succeeded();
    let line = server.logged("slow query");
    for part in [
        " WARN ",
        "query_id=\"mine\"",
        "form=\"SELECT\"",
        "row_count=1",
        "outcome=\"OK\"",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!line.contains("COUNT"), "{line}");
}

#[test]
fn queries_are_listed_and_cancelled() {
    let server = Server::start(&[]);
    let listed = server.run(&["queries"], "").succeeded();
    assert_eq!(listed, "nothing waits or runs\n");
    let endless = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }";
    std::thread::scope(|scope| {
        let query = scope.spawn(|| server.run(&["query", endless, "--query-id", "long"], ""));
        let listed = loop {
            let listed = server.run(&["queries"], "").succeeded();
            if listed.contains("running") {
                break listed;
            }
        };
        assert!(
            listed.starts_with("ID ") && listed.contains("long  Query"),
            "{listed}"
        );
        let json = server.run(&["queries", "-o", "json"], "").succeeded();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["queries"][0]["queryId"], "long");
        server.run(&["cancel", "long"], "").succeeded();
        query.join().unwrap().failed(1, "error[QUERY_CANCELLED]");
    });
    server
        .run(&["cancel", "none"], "")
        .failed(1, "error[QUERY_NOT_FOUND]");
}

#[test]
fn queries_are_explained_and_texts_validated() {
    let server = Server::start(&[]);
    let query = "SELECT ?t { ?t d:party ?who } ORDER BY ?t";
    let plan = server.run(&["explain", query], "").succeeded();
    assert!(plan.starts_with("OPERATOR ") && plan.contains("Scan"), "{plan}");
    assert!(plan.contains("\nplanned in ") && !plan.contains("ROWS"), "{plan}");
    let plan = server
        .run(&["explain", query, "--execute", "--bind", "who=e:KR"], "")
        .succeeded();
    assert!(
        plan.contains("ROWS") && plan.contains("; run in ") && plan.contains(" units of work; revision 1"),
        "{plan}"
    );
    let json = server
        .run(&["explain", query, "-x", "-o", "json"], "")
        .succeeded();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["form"], "QUERY_FORM_SELECT");
    server
        .run(&["explain", "SELECT"], "")
        .failed(1, "error[SPARQL_SYNTAX]");

    let valid = server.run(&["validate", query], "").succeeded();
    assert!(
        valid.starts_with(
            "a valid SELECT query\nvariables of its rows: ?t\nparameters it could take: ?t ?who\n"
        ),
        "{valid}"
    );
    assert!(valid.contains("query_pattern_count_max"), "{valid}");
    server.run(&["validate", "CLEAR GRAPH g:a"], "").succeeded();
    let fault = server
        .run(&["validate", "ASK {\n ?s ?p }"], "")
        .failed(1, "error[SPARQL_SYNTAX]: unexpected `}`");
    assert!(
        fault.contains(" --> text:2:8") && fault.ends_with("       ^\n"),
        "{fault}"
    );
    server
        .run(&["validate", "--kind", "update", "ASK {}"], "")
        .failed(1, "error[SPARQL_WRONG_FORM]");
}

#[test]
fn changes_are_followed_as_facts() {
    let server = Server::start(&["--no-shipped-data"]);
    for text in ["INSERT DATA { e:a e:p 1 , 'x'@en }", "DELETE DATA { e:a e:p 1 }"] {
        server.run(&["update", text], "").succeeded();
    }
    let facts = ["watch", "--from", "1", "--no-follow", "--facts", "-p", "e:p"];
    let facts = server.run(&facts, "").succeeded();
    let lines: Vec<_> = facts.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(
        lines.len() == 3
            && lines[..2]
                .iter()
                .all(|line| line.starts_with("written\te:a\te:p\t"))
            && lines[2].starts_with("removed\te:a\te:p\t1\taccepted"),
        "{facts}"
    );
}

#[test]
fn changes_are_listed_followed_and_compared() {
    let server = Server::start(&["--no-shipped-data"]);
    let update = |text: &str| {
        server
            .run(&["update", text, "--message", "why\nso"], "")
            .succeeded()
    };
    update("INSERT DATA { e:a e:p 1 , 'x'@en }");
    update("DELETE DATA { e:a e:p 1 }; INSERT DATA { GRAPH e:g { e:a e:p _:b } }");
    let log = server.run(&["log"], "").succeeded();
    let lines: Vec<_> = log.lines().collect();
    assert!(lines[0].starts_with("REVISION  TIME"), "{log}");
    assert!(
        lines[2].starts_with("2 ") && lines[2].ends_with("why so"),
        "{log}"
    );
    assert!(lines[3].starts_with("1 "), "{log}");
    let json = server
        .run(&["log", "--limit", "1", "--oldest-first", "--output", "json"], "")
        .succeeded();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["revision"], &json["quadsInserted"]),
        (&"1".into(), &"2".into())
    );
    assert_eq!(
        server
            .run(&["log", "--until", "2000-01-01"], "")
            .succeeded()
            .lines()
            .count(),
        2
    );

    let e = "https://w3id.org/dossier/e/";
    let watched = server
        .run(&["watch", "--from", "2", "--no-follow"], "")
        .succeeded();
    let lines: Vec<_> = watched.lines().collect();
    assert!(
        lines[0].starts_with("# revision 2-") && lines[0].ends_with(" · why so"),
        "{watched}"
    );
    assert_eq!(
        lines[1..4],
        [
            "TX .",
            &format!("# create <{e}g>"),
            &format!("D <{e}a> <{e}p> \"1\"^^<http://www.w3.org/2001/XMLSchema#integer> .")
        ]
    );
    assert!(
        lines[4].starts_with(&format!("A <{e}a> <{e}p> _:")) && lines[4].ends_with(&format!(" <{e}g> .")),
        "{watched}"
    );
    assert_eq!(lines[5..], ["TC ."]);
    assert_eq!(
        server
            .run(&["watch", "--after", "2", "--no-follow"], "")
            .succeeded(),
        ""
    );
    let filtered = [
        "watch",
        "--snapshot",
        "--no-follow",
        "--default-graph",
        "-s",
        "e:a",
    ];
    assert_eq!(
        server.run(&filtered, "").succeeded(),
        format!("# the graph at revision 2\nTX .\nA <{e}a> <{e}p> \"x\"@en .\nTC .\n")
    );
    let json = server
        .run(&["watch", "--after", "2", "--no-follow", "--output", "json"], "")
        .succeeded();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["checkpoint"]["revision"], "2");
    server
        .run(&["watch", "--after", "9"], "")
        .failed(1, "error[REVISION_NOT_REACHED]");

    let back = server.run(&["diff", "1", "0"], "").succeeded();
    let mut rows: Vec<_> = back.lines().collect();
    assert_eq!(
        (rows.remove(0), rows.remove(0), rows.pop()),
        ("# from revision 1 to 0", "TX .", Some("TC ."))
    );
    assert!(
        rows.len() == 2 && rows.iter().all(|row| row.starts_with("D ")),
        "{back}"
    );
    assert!(
        server
            .run(&["diff", "2"], "")
            .succeeded()
            .ends_with("TX .\nTC .\n")
    );
    server
        .run(&["diff", "7"], "")
        .failed(1, "error[REVISION_NOT_FOUND]");
}

#[test]
fn a_rebuild_needs_the_data_for_itself() {
    let server = Server::start(&[]);
    let data = server.folder().join("data");
    let rebuild =
        |data: &std::path::Path| dossier(&["rebuild", "--check", "--data-dir", data.to_str().unwrap()], "");
    rebuild(&data).failed(1, "in use");
    rebuild(server.folder()).failed(1, "there is no knowledge base in");
    let info = server.run(&["info"], "").succeeded();
    assert!(info.contains("2019-08-27"), "{info}");
}

#[test]
fn a_watch_goes_on_after_a_commit_that_the_server_has() {
    let server = Server::start(&["--no-shipped-data"]);
    for number in 1..=2 {
        let update = format!("INSERT DATA {{ e:a e:p {number} }}");
        server.run(&["update", &update], "").succeeded();
    }
    let watch = |more: &[&str]| server.run(&[&["watch", "--no-follow"], more].concat(), "");
    let watched = watch(&["--from", "1"]).succeeded();
    let known: Vec<_> = watched
        .lines()
        .filter_map(|line| line.strip_prefix("# revision ")?.split(' ').next())
        .collect();
    let hash = known[1].strip_prefix("2-").unwrap();
    let log = server.run(&["log"], "").succeeded();
    assert!(hash.len() == 16 && log.contains(hash), "{watched}\n{log}");
    assert_eq!(watch(&["--after", known[1]]).succeeded(), "");
    let rest = watch(&["--after", known[0]]).succeeded();
    assert!(rest.starts_with(&format!("# revision {} ", known[1])), "{rest}");
    watch(&["--after", &format!("1-{hash}")]).failed(1, "error[WATCH_OTHER_HISTORY]");
    watch(&["--after", "1-x"]).failed(2, "neither a revision nor a revision with its hash");
    let listed = server
        .run(&["log", "--limit", "1", "--output", "json"], "")
        .succeeded();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["hash"].as_str().unwrap().len(), 12);
}

#[test]
fn a_log_is_compacted_when_no_server_has_it() {
    let server = Server::start(&["--no-shipped-data"]);
    for number in 1..=5 {
        let update = format!("INSERT DATA {{ e:a e:p {number} }}");
        server.run(&["update", &update], "").succeeded();
    }
    let compact = |data: &std::path::Path| {
        let data = data.to_str().unwrap();
        dossier(&["compact", "--keep-commits", "2", "--data-dir", data], "")
    };
    compact(&server.folder().join("data")).failed(1, "in use");
    compact(server.folder()).failed(1, "there is no knowledge base in");
    let folder = server.kill();
    let said = compact(&folder.path().join("data")).succeeded();
    assert!(
        said.starts_with("the log begins with the graph of revision 3: "),
        "{said}"
    );
    let said = compact(&folder.path().join("data")).succeeded();
    assert_eq!(said, "there is nothing to compact\n");
    let server = Server::start_in(folder, &["--no-shipped-data"]);
    let metrics = server.get("/metrics");
    assert!(metrics.contains("dossier_earliest_revision 3\n"), "{metrics}");
    assert!(
        metrics.contains("dossier_retention_waits_for_backup 0\n"),
        "{metrics}"
    );
    let info = server.run(&["info"], "").succeeded();
    assert!(info.contains("earliest revision"), "{info}");
    server
        .run(&["watch", "--after", "1"], "")
        .failed(1, "error[REVISION_COMPACTED]");
}

#[test]
fn an_entity_is_erased_only_with_a_yes() {
    let server = Server::start(&["--no-shipped-data"]);
    let update = "INSERT DATA { e:somebody e:p 1 . e:a e:p e:somebody }";
    server.run(&["update", update], "").succeeded();
    let said = server.run(&["erase", "e:somebody"], "").succeeded();
    assert!(
        said.starts_with("would erase 2 quads with 0 statements"),
        "{said}"
    );
    assert!(
        said.ends_with("nothing was done: --yes does it, for good\n"),
        "{said}"
    );
    server.run(&["get", "e:somebody"], "").succeeded();
    let said = server.run(&["erase", "e:somebody", "--yes"], "").succeeded();
    assert!(said.starts_with("erased 2 quads with 0 statements"), "{said}");
    assert!(said.contains("the server has no place for backups"), "{said}");
    server
        .run(&["get", "e:somebody"], "")
        .failed(1, "error[ENTITY_NOT_FOUND]");
    let json = server.run(&["erase", "e:somebody", "-o", "json"], "").succeeded();
    assert!(json.contains("\"revision\""), "{json}");
    server
        .run(&["erase", "e:somebody", "--yes", "--message", "e:somebody"], "")
        .failed(1, "must not name what is erased");
}
