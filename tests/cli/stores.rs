//! Backups in an object store that is no good one, and in one that answers as Google Cloud Storage is documented to. Stores of other
//! makers are in `tests/stores`; none of them is Google's.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use tempfile::TempDir;

use crate::harness::{Server, dossier_with};

const SECRET: &str = "wJalrXUtnFEMIsecret";
const PLACE: &str = "s3://bucket/prefix";

/// How a store answers.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// As Google's XML API: an object has a generation, and is changed only if it has the one that is told.
    Google,
    /// It takes no credentials, and tells too much of them.
    Refuses,
    /// Another server is always faster.
    Overtakes,
    /// It changes an object whatever it was before, and says that it cannot tell.
    KnowsNoConditions,
    /// Its answer is lost, and what is repeated meets itself.
    LosesAnswers,
}

struct Asked {
    method: String,
    path: String,
    condition: Option<String>,
    body: Vec<u8>,
}

/// Starts a store, which ends with the test; returns where it is.
fn store(manner: Manner) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut objects = HashMap::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let asked = read(&stream);
            let (status, generation, body) = answer(manner, &mut objects, asked);
            let head = format!(
                "HTTP/1.1 {status}\r\nETag: \"{generation}\"\r\nx-goog-generation: {generation}\r\n\
                 Last-Modified: Thu, 26 Nov 2026 09:30:00 GMT\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    url
}

fn read(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        head.push(line.to_ascii_lowercase());
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    let mut words = head[0].split(' ');
    Asked {
        method: words.next().unwrap().to_owned(),
        // Not all are written in the same way.
        path: [("%2d", "-"), ("%2e", "."), ("%2f", "/")]
            .iter()
            .fold(words.next().unwrap().to_owned(), |path, (from, to)| {
                path.replace(from, to)
            }),
        condition: head.iter().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let is_condition = name.starts_with("if-") || name == "x-goog-if-generation-match";
            is_condition.then(|| value.trim().to_owned())
        }),
        body,
    }
}

fn answer(
    manner: Manner,
    objects: &mut HashMap<String, (u64, Vec<u8>)>,
    asked: Asked,
) -> (&'static str, u64, Vec<u8>) {
    let xml = |code: &str| {
        let text = format!("<Error><Code>{code}</Code><StringToSign>{SECRET}</StringToSign></Error>");
        text.into_bytes()
    };
    let now = objects.get(&asked.path).map_or(0, |(generation, _)| *generation);
    let mut put = |body| objects.insert(asked.path.clone(), (now + 1, body));
    match (asked.method.as_str(), asked.condition) {
        _ if manner == Manner::Refuses => ("403 Forbidden", 0, xml("InvalidAccessKeyId")),
        ("get", _) if asked.path.contains("list-type") => {
            let nothing = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
            ("200 OK", 0, nothing.into())
        }
        ("get", _) => match objects.get(&asked.path) {
            Some((generation, object)) => ("200 OK", *generation, object.clone()),
            None => ("404 Not Found", 0, xml("NoSuchKey")),
        },
        ("put", Some(_)) if manner == Manner::KnowsNoConditions => {
            ("501 Not Implemented", 0, xml("NotImplemented"))
        }
        ("put", Some(condition)) if manner != Manner::Google || condition != now.to_string() => {
            match manner {
                Manner::LosesAnswers => drop(put(asked.body)),
                _ => drop(put(b"of another server".to_vec())),
            }
            ("412 Precondition Failed", 0, xml("PreconditionFailed"))
        }
        ("put", _) => {
            put(asked.body);
            ("200 OK", now + 1, Vec::new())
        }
        _ => ("200 OK", 0, b"<DeleteResult></DeleteResult>".to_vec()),
    }
}

fn variables(endpoint: &str) -> [(&'static str, &str); 7] {
    [
        ("GOOGLE_BASE_URL", endpoint),
        ("GOOGLE_BEARER_TOKEN", SECRET),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ALLOW_HTTP", "true"),
        ("NO_PROXY", "127.0.0.1"),
    ]
}

fn start(endpoint: &str, place: &str) -> Server {
    let flags = ["--backup-to", place, "--no-shipped-data"];
    let server = Server::start_with(TempDir::new().unwrap(), &flags, &variables(endpoint));
    let update = ["update", "INSERT DATA { e:a rdfs:label 'one' }"];
    server.run(&update, "").succeeded();
    server
}

#[test]
fn a_store_that_refuses_is_told_without_secrets() {
    let endpoint = store(Manner::Refuses);
    let list = ["backup", "list", "--from", PLACE];
    let told =
        dossier_with(&variables(&endpoint), &list, "").failed(1, "HTTP status 403 (InvalidAccessKeyId)");
    let server = start(&endpoint, PLACE);
    let of_server = server.run(&["backup"], "").failed(3, "error[BACKUP_UNREACHABLE]");
    let logged = server.said_until("the backup failed");
    for said in [told, of_server, logged] {
        assert!(!said.contains(SECRET) && !said.contains(&endpoint), "{said}");
    }
    // Without TLS only if the environment says so.
    let plain: Vec<_> = variables(&endpoint)
        .into_iter()
        .filter(|(name, _)| *name != "AWS_ALLOW_HTTP")
        .collect();
    dossier_with(&plain, &list, "").failed(1, "without TLS");
}

#[test]
fn a_backup_that_was_overtaken_is_given_up() {
    let endpoint = store(Manner::Overtakes);
    let server = start(&endpoint, PLACE);
    server.run(&["backup"], "").failed(1, "error[BACKUP_OVERTAKEN]");
    assert!(
        server
            .get("/metrics")
            .contains("dossier_backup_failures_total 1\n")
    );
}

#[test]
fn a_store_without_conditions_has_backups_too() {
    for manner in [Manner::KnowsNoConditions, Manner::LosesAnswers] {
        let endpoint = store(manner);
        let server = start(&endpoint, PLACE);
        let told = server.run(&["backup"], "").succeeded();
        assert!(told.starts_with("backed up revisions 1 to 1"), "{told}");
        let told = server.run(&["backup", "verify"], "").succeeded();
        assert!(told.contains("1 backups, 1 revisions"), "{told}");
    }
}

#[test]
fn backups_go_to_google_as_documented() {
    let endpoint = store(Manner::Google);
    let place = "gs://bucket/prefix";
    let server = start(&endpoint, place);
    for text in ["two", "three"] {
        server.run(&["backup"], "").succeeded();
        let update = format!("INSERT DATA {{ e:a rdfs:label '{text}' }}");
        server.run(&["update", &update], "").succeeded();
    }
    server.run(&["backup"], "").succeeded();
    let verify = ["backup", "verify", "--from", place];
    let told = dossier_with(&variables(&endpoint), &verify, "").succeeded();
    assert!(told.contains("3 backups, 3 revisions"), "{told}");
}
