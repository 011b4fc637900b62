//! `dossier load --chunked` and `--resume`, killed again and again.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Child, Stdio},
};

use tempfile::TempDir;

use crate::harness::{Server, command, dossier};

const QUAD_COUNT: usize = 60_000;

/// A chain of blank nodes: whether one is split in two is seen in its length.
fn document() -> String {
    let mut text = String::new();
    for number in 0..QUAD_COUNT / 2 {
        let next = number + 1;
        writeln!(text, "_:n{number} <http://e.com/next> _:n{next} .").unwrap();
        writeln!(text, "_:n{number} <http://e.com/number> \"{number}\" .").unwrap();
    }
    text
}

fn begin(server: &Server, flags: &[&str], file: &Path) -> Child {
    command()
        .args(["load", "--server", server.url()])
        .args(flags)
        .arg(file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Returns how many quads the file beside the document says are committed; none if there is no such file.
fn committed(file: &Path) -> Option<i64> {
    let text = fs::read_to_string(format!("{}.dossier-load", file.display())).ok()?;
    let state: serde_json::Value = serde_json::from_str(&text).unwrap();
    state["quads_committed"].as_i64()
}

/// Waits until more is committed, or the load has ended.
fn wait_for_more(child: &mut Child, file: &Path, than: i64) {
    while committed(file).is_none_or(|count| count <= than) && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
}

/// Begins to load a file in pieces, and breaks off once one of them is acknowledged.
fn break_off(server: &Server, file: &Path) {
    let mut child = begin(server, &["--chunked", "--quads-per-commit", "1000"], file);
    wait_for_more(&mut child, file, 0);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(committed(file).is_some_and(|count| count > 0));
}

/// Leaves a server nothing of its log but the graph.
fn compacted(server: Server) -> Server {
    let data = server.kill();
    let data_dir = data.path().join("data");
    let compact = ["compact", "--keep-commits", "0", "--data-dir"];
    dossier(&[&compact[..], &[data_dir.to_str().unwrap()]].concat(), "").succeeded();
    Server::start_in(data, &["--no-shipped-data"])
}

#[test]
fn a_load_goes_on_after_kills_of_the_client_and_of_the_server() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("chain.nt");
    fs::write(&file, document()).unwrap();
    let path = file.to_str().unwrap();
    let mut server = Server::start(&["--no-shipped-data"]);
    server
        .run(&["load", "--resume", path], "")
        .failed(1, "no load of the file was begun");
    let mut flags = vec!["--chunked", "--quads-per-commit", "1000"];
    let mut seen = 0;
    for round in 0..3 {
        let mut child = begin(&server, &flags, &file);
        wait_for_more(&mut child, &file, seen);
        if round != 1 {
            child.kill().unwrap();
        }
        if round != 0 {
            let data = server.kill();
            server = Server::start_in(data, &["--no-shipped-data"]);
        }
        child.wait().unwrap();
        let Some(count) = committed(&file) else {
            // It was faster than the kill.
            break;
        };
        assert!(count > seen);
        seen = count;
        flags = vec!["--resume"];
    }
    if committed(&file).is_some() {
        server
            .run(&["load", "--chunked", path], "")
            .failed(1, "was begun before");
        server.run(&["load", "--resume", path], "").succeeded();
    }
    assert_eq!(committed(&file), None);
    server
        .run(&["load", "--resume", path], "")
        .failed(1, "no load of the file was begun, or it is done");
    check_chain(&server);
}

fn count(server: &Server, pattern: &str) -> usize {
    let query = format!("SELECT (COUNT(*) AS ?n) {{ {pattern} }}");
    let rows = server.run(&["query", &query, "--output", "csv"], "").succeeded();
    rows.lines().nth(1).unwrap().parse().unwrap()
}

/// Checks that there is the chain, whole and once.
fn check_chain(server: &Server) {
    assert_eq!(count(server, "?s ?p ?o"), QUAD_COUNT);
    assert_eq!(
        count(
            server,
            "?a <http://e.com/next> ?b . ?b <http://e.com/number> ?number"
        ),
        QUAD_COUNT / 2 - 1
    );
}

#[test]
fn a_load_begins_anew_where_the_server_has_not_what_it_acknowledged() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("chain.nt");
    fs::write(&file, document()).unwrap();
    let first = Server::start(&["--no-shipped-data"]);
    break_off(&first, &file);
    let second = Server::start(&["--no-shipped-data"]);
    let ran = second.run(&["load", "--resume", file.to_str().unwrap()], "");
    assert!(ran.stderr.contains("begins anew"), "{ran:?}");
    ran.succeeded();
    check_chain(&second);
}

const FIRST: &str = "?s <http://e.com/number> \"0\"";

/// Deletes what was loaded first.
fn delete_first(server: &Server) {
    let delete = format!("DELETE WHERE {{ {FIRST} }}");
    server.run(&["update", &delete], "").succeeded();
    assert_eq!(count(server, FIRST), 0);
}

/// Sets when a load was begun to long ago.
fn age(file: &Path) {
    let state = format!("{}.dossier-load", file.display());
    let mut value: serde_json::Value = serde_json::from_str(&fs::read_to_string(&state).unwrap()).unwrap();
    let begun_at = value["begun_at"].as_u64().unwrap();
    value["begun_at"] = (begun_at - 24 * 3600).into();
    fs::write(&state, value.to_string()).unwrap();
}

#[test]
fn a_load_does_not_bring_back_what_was_deleted_since() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("chain.nt");
    fs::write(&file, document()).unwrap();
    let path = file.to_str().unwrap();
    let server = Server::start(&["--no-shipped-data"]);
    break_off(&server, &file);
    delete_first(&server);
    let before = count(&server, "?s ?p ?o");
    let server = compacted(server);
    let young = fs::read(format!("{path}.dossier-load")).unwrap();
    age(&file);
    let ran = server.run(&["load", "--resume", path], "");
    assert!(
        ran.stderr.contains("bring back what was deleted since"),
        "{ran:?}"
    );
    ran.failed(1, "error[REVISION_COMPACTED]");
    assert_eq!((count(&server, FIRST), count(&server, "?s ?p ?o")), (0, before));
    assert!(committed(&file).is_some_and(|count| count > 0));
    // As long as the server remembers what it had, it is no danger.
    fs::write(format!("{path}.dossier-load"), young).unwrap();
    let ran = server.run(&["load", "--resume", path], "");
    assert!(ran.stderr.contains("begins anew"), "{ran:?}");
    ran.succeeded();
    assert_eq!(
        (count(&server, FIRST), count(&server, "?s ?p ?o")),
        (0, QUAD_COUNT - 1)
    );
}

/// It is of another log, and what it had would be in a base record.
#[test]
fn a_load_does_not_begin_anew_where_the_server_cannot_know_what_it_had() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("chain.nt");
    fs::write(&file, document()).unwrap();
    let first = Server::start(&["--no-shipped-data"]);
    break_off(&first, &file);
    age(&file);
    let second = Server::start(&["--no-shipped-data"]);
    second
        .run(
            &["update", "INSERT DATA { <http://e.com/a> <http://e.com/p> 1 }"],
            "",
        )
        .succeeded();
    let second = compacted(second);
    let ran = second.run(&["load", "--resume", file.to_str().unwrap()], "");
    assert!(
        ran.stderr.contains("bring back what was deleted since"),
        "{ran:?}"
    );
    ran.failed(1, "error[IMPORT_OTHER_HISTORY]");
    assert_eq!(count(&second, "?s ?p ?o"), 1);
}

#[test]
fn a_restored_server_knows_what_it_had_also_of_what_was_compacted() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("chain.nt");
    fs::write(&file, document()).unwrap();
    let path = file.to_str().unwrap();
    let server = Server::start(&["--no-shipped-data"]);
    break_off(&server, &file);
    delete_first(&server);
    let data = compacted(server).kill();
    let place = data.path().join("backups");
    let place = place.to_str().unwrap();
    let server = Server::start_in(data, &["--no-shipped-data", "--backup-to", place]);
    server.run(&["backup"], "").succeeded();
    let _backed_up = server.kill();
    let restored = TempDir::new().unwrap();
    let data_dir = restored.path().join("data");
    let data_dir = data_dir.to_str().unwrap();
    dossier(&["restore", "--from", place, "--data-dir", data_dir], "").succeeded();
    let restored = Server::start_in(restored, &["--no-shipped-data"]);
    let ran = restored.run(&["load", "--resume", path], "");
    assert!(ran.stderr.contains("begins anew"), "{ran:?}");
    ran.succeeded();
    assert_eq!(
        (count(&restored, FIRST), count(&restored, "?s ?p ?o")),
        (0, QUAD_COUNT - 1)
    );
}

#[test]
fn a_load_goes_on_as_it_was_begun() {
    let folder = TempDir::new().unwrap();
    // Nothing but the flag tells its format.
    let file = folder.path().join("chain");
    fs::write(&file, document()).unwrap();
    let path = file.to_str().unwrap();
    let begun = [
        "--chunked",
        "--quads-per-commit",
        "1000",
        "--format",
        "nt",
        "--graph",
        "http://e.com/g",
        "--message",
        "why",
    ];
    for is_acknowledged in [true, false] {
        let mut server = Server::start(&["--no-shipped-data"]);
        let mut child = begin(&server, &begun, &file);
        wait_for_more(&mut child, &file, 0);
        child.kill().unwrap();
        child.wait().unwrap();
        if !is_acknowledged {
            // As it is before the first commit.
            let state = format!("{path}.dossier-load");
            let text = fs::read_to_string(&state).unwrap();
            let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
            value["resume_token"] = "".into();
            value["quads_committed"] = 0.into();
            fs::write(&state, value.to_string()).unwrap();
            server = Server::start(&["--no-shipped-data"]);
        }
        for (flag, value, said) in [
            (
                "--graph",
                "http://e.com/h",
                "was begun with --graph http://e.com/g",
            ),
            ("--base", "http://e.com/", "was begun without --base"),
            ("--format", "nq", "was begun with --format nt"),
        ] {
            server
                .run(&["load", "--resume", flag, value, path], "")
                .failed(2, said);
        }
        server.run(&["load", "--resume", path], "").succeeded();
        assert_eq!(committed(&file), None);
        assert_eq!(count(&server, "GRAPH <http://e.com/g> { ?s ?p ?o }"), QUAD_COUNT);
        assert_eq!(count(&server, "?s ?p ?o"), 0);
    }
}

#[test]
fn a_load_does_not_go_on_with_another_file() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.nt");
    fs::write(&file, "<http://e.com/a> <http://e.com/p> oops .").unwrap();
    let path = file.to_str().unwrap();
    let server = Server::start(&["--no-shipped-data"]);
    let ran = server.run(&["load", "--chunked", path], "");
    assert!(
        ran.stderr.contains("go on with `dossier load --resume"),
        "{ran:?}"
    );
    ran.failed(1, "error[RDF_SYNTAX]");
    fs::write(&file, "<http://e.com/a> <http://e.com/p> 1 .").unwrap();
    server
        .run(&["load", "--resume", path], "")
        .failed(1, "not what it was");
    server.run(&["load", "--chunked", "-"], "").failed(2, "--format");
    server
        .run(&["load", "--chunked", "--format", "nt", "-"], "")
        .failed(2, "standard input cannot be read again");
    server
        .run(&["load", "--chunked", path, path], "")
        .failed(2, "take one file");
}
