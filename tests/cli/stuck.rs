//! Whoever reads nothing of what the server says stops it neither at work nor at its end.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::harness::{Server, dossier};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);
const DRAIN: Duration = Duration::from_secs(4);
const DRAIN_FLAG: &str = "--drain-timeout=4s";
/// The limit of the server, and what a busy machine takes besides.
const EXIT_MAX: Duration = Duration::from_secs(8);

fn address(server: &Server) -> String {
    server.url().strip_prefix("http://").unwrap().to_owned()
}

/// Returns an answer, if one comes within a time.
fn get(address: &str, path: &str, time: Duration) -> Option<String> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(time)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    let server = Server::start_unread(&["--log-filter=trace", DRAIN_FLAG]);
    let address = address(&server);
    let began = Instant::now();
    let lost = || {
        let counts = get(&address, "/metrics", PATIENCE).expect("an answer");
        let count = counts
            .lines()
            .find_map(|line| line.strip_prefix("dossier_log_lines_lost_total "));
        count.unwrap().parse::<u64>().unwrap()
    };
    let get = || {
        let got = server.run(&["get", "e:KR"], "").succeeded();
        assert!(got.starts_with("South Korea"), "{got}");
    };
    while lost() == 0 {
        // Of which h2 says much.
        get();
        assert!(began.elapsed() < PATIENCE, "nothing is lost");
    }
    get();
    server.stop_within(EXIT_MAX);
}

/// No line of the audit log is passed over: a place that takes none holds up whoever is denied, and then all threads.
#[test]
fn a_server_that_is_stuck_ends_at_its_limit() {
    let folder = TempDir::new().unwrap();
    let [pipe, tokens] =
        ["audit", "tokens.json"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    dossier(&["token", "create", "--tokens", &tokens, "--name", "a"], "").succeeded();
    let (opened, audit) = mpsc::channel();
    let to_read = pipe.clone();
    // Either end waits for the other. Held, and not read: the pipe fills.
    thread::spawn(move || opened.send(fs::File::open(to_read)));
    let server = Server::start(&[DRAIN_FLAG, "--auth-tokens", &tokens, "--audit-log", &pipe]);
    let _audit = audit.recv_timeout(PATIENCE).unwrap().unwrap();
    let address = address(&server);
    let path = format!("/sparql/{}", "x".repeat(256));
    let began = Instant::now();
    let mut stuck = 0;
    // As many as there are threads, and more.
    while stuck < 2 * thread::available_parallelism().unwrap().get() {
        let answer = get(&address, &path, Duration::from_millis(500));
        stuck = if answer.is_none() { stuck + 1 } else { 0 };
        assert!(began.elapsed() < PATIENCE, "it goes on");
    }
    let took = server.stop_within(EXIT_MAX);
    assert!(took >= DRAIN, "it was not stuck: {took:?}");
}
