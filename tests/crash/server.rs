//! Kills the server itself, under eight callers that write over gRPC, one that imports and one that watches, also while it shuts down and
//! writes its snapshot file.

use std::{
    collections::{HashMap, HashSet},
    env,
    fmt::Write as _,
    io::BufRead as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use dossier::proto::v1::{
    self, change_service_client::ChangeServiceClient, import_request, import_response,
    sparql_service_client::SparqlServiceClient, write_service_client::WriteServiceClient,
};
use tonic::{Status, transport::Channel};

use super::{
    Random,
    process::{signal, wait_until_it_serves},
    watcher::Watcher,
};

/// Kills of the long form: `DOSSIER_SERVER_KILLS=1000`.
const KILLS: &str = "DOSSIER_SERVER_KILLS";
const KILL_COUNT: usize = 6;
/// From this many on, one must have met the writing of the snapshot file.
const LONG_KILL_COUNT: usize = 1_000;
/// Quads of the graph, in the long form: `DOSSIER_SERVER_QUADS=1000000`.
const QUADS: &str = "DOSSIER_SERVER_QUADS";
const QUAD_COUNT: usize = 20_000;
const WRITER_COUNT: usize = 8;
/// Quads of a document that is imported: all of them are there, or none. Those of the large ones are more than is read or written at once.
const DOCUMENT_QUAD_COUNT: usize = 500;
const LARGE_DOCUMENT_QUAD_COUNT: usize = 20_000;
/// The predicate of all updates.
pub(crate) const WRITTEN: &str = "http://e.com/written";
/// How long an optimised server may take from its start until it serves, at the 99th percentile.
const READY_MAX: Duration = Duration::from_secs(2);

/// A server in a process of its own.
struct Server {
    child: Child,
    url: String,
    /// From its start until it served.
    ready: Duration,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let begun_at = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_dossier"))
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--no-shipped-data",
                "--data-dir",
            ])
            .arg(folder)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let has_file = folder.join("snapshot").exists();
        let (url, said, log) = wait_until_it_serves(&mut child);
        let ready = begun_at.elapsed();
        assert!(!has_file || !said.contains("rebuilt"), "{said}");
        // What it says later must not block it.
        std::thread::spawn(move || log.lines().map_while(Result::ok).for_each(drop));
        Self { child, url, ready }
    }

    async fn connect(&self) -> Channel {
        let endpoint = Channel::from_shared(self.url.clone()).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// Has it shut down until a file is there, which it writes after what is under way.
    fn shut_down_until(&mut self, file: &Path) {
        signal(&self.child, "TERM");
        while !file.exists() && self.child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Returns the quads of the document of a number.
fn document_quad_count(number: usize) -> usize {
    if number % 4 == 3 {
        LARGE_DOCUMENT_QUAD_COUNT
    } else {
        DOCUMENT_QUAD_COUNT
    }
}

/// What was acknowledged: numbers of updates and of imports.
#[derive(Default)]
struct Acknowledged {
    updates: Vec<usize>,
    imports: Vec<usize>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_is_back_with_all_that_it_acknowledged() {
    let number = |name, default| env::var(name).map_or(default, |text| text.parse::<usize>().unwrap());
    let (kill_count, quad_count) = (number(KILLS, KILL_COUNT), number(QUADS, QUAD_COUNT));
    let folder = tempfile::tempdir().unwrap();
    let seed = getrandom::u64().unwrap();
    let mut random = Random(seed);
    let mut server = Server::start(folder.path());
    let graph = (0..quad_count).fold(String::new(), |mut text, number| {
        writeln!(
            text,
            "<http://e.com/g{}> <http://e.com/q{}> \"{number}\" .",
            number / 10,
            number % 10
        )
        .unwrap();
        text
    });
    import(server.connect().await, graph).await.unwrap();
    signal(&server.child, "TERM");
    assert!(server.child.wait().unwrap().success());
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    let (mut ready, mut import_count, mut snapshot_count) = (Vec::new(), 0, 0);
    let mut watcher = Watcher::default();
    for round in 0..kill_count {
        let context = format!("seed {seed}, kill {round}");
        let unfinished = folder.path().join("snapshot.tmp");
        // What an earlier kill left stays until the next file is written.
        let _ = std::fs::remove_file(&unfinished);
        let mut server = Server::start(folder.path());
        ready.push(server.ready);
        let channel = server.connect().await;
        check(channel.clone(), &acknowledged, quad_count, &context).await;
        // The graph stays as large as it is meant to be.
        let update = "DELETE WHERE { ?document <http://e.com/line> ?line }";
        update_with(&mut SparqlServiceClient::new(channel.clone()), update.to_owned())
            .await
            .unwrap();
        import_count += std::mem::take(&mut acknowledged.lock().unwrap().imports).len();
        let count_before = acknowledged.lock().unwrap().updates.len();
        let mut tasks = Vec::new();
        for writer in 0..WRITER_COUNT {
            let (channel, acknowledged) = (channel.clone(), Arc::clone(&acknowledged));
            tasks.push(tokio::spawn(write(
                channel,
                acknowledged,
                1_000_000 * round + 100_000 * writer,
            )));
        }
        let acknowledged_too = Arc::clone(&acknowledged);
        tasks.push(tokio::spawn(import_again_and_again(
            channel.clone(),
            acknowledged_too,
            10_000 * round,
        )));
        let watching = tokio::spawn(async move {
            watcher.follow(channel, None).await;
            watcher
        });
        let wanted = count_before + usize::try_from(random.below(200)).unwrap();
        while acknowledged.lock().unwrap().updates.len() < wanted {
            tokio::task::yield_now().await;
        }
        if round % 3 == 2 {
            server.shut_down_until(&unfinished);
        }
        for _ in 0..random.below(20_000) {
            std::thread::yield_now();
        }
        server.kill();
        snapshot_count += usize::from(unfinished.exists());
        for task in tasks {
            task.await.unwrap();
        }
        watcher = watching.await.unwrap();
    }
    let server = Server::start(folder.path());
    ready.push(server.ready);
    let context = format!("seed {seed}, end");
    let written = check(server.connect().await, &acknowledged, quad_count, &context).await;
    let newest = newest_revision(server.connect().await).await;
    watcher.follow(server.connect().await, Some(newest)).await;
    // It was told all that is there, and nothing else.
    assert!(written == watcher.subjects, "{context}");
    server.kill();
    ready.sort_unstable();
    let p99 = ready[(ready.len() * 99).div_ceil(100) - 1];
    let acknowledged = acknowledged.lock().unwrap();
    import_count += acknowledged.imports.len();
    println!(
        "{kill_count} kills of a server with {quad_count} quads, {snapshot_count} of them while it wrote its snapshot file, {} updates and {import_count} imports, none lost; ready again after {:?} (median), {p99:?} (p99), {:?} (worst)",
        acknowledged.updates.len(),
        ready[ready.len() / 2],
        ready[ready.len() - 1]
    );
    assert!(acknowledged.updates.len() > 10 * kill_count && import_count > 0);
    assert!(
        snapshot_count > 0 || kill_count < LONG_KILL_COUNT,
        "no kill met a snapshot file that is written"
    );
    assert!(
        cfg!(debug_assertions) || p99 <= READY_MAX,
        "ready again after {p99:?}"
    );
}

/// Writes until the server is gone.
async fn write(channel: Channel, acknowledged: Arc<Mutex<Acknowledged>>, first: usize) {
    let mut client = SparqlServiceClient::new(channel);
    for number in first.. {
        let update = format!("INSERT DATA {{ <http://e.com/u{number}> <{WRITTEN}> 1, 2 }}");
        if update_with(&mut client, update).await.is_err() {
            return;
        }
        acknowledged.lock().unwrap().updates.push(number);
    }
}

async fn update_with(client: &mut SparqlServiceClient<Channel>, update: String) -> Result<(), Status> {
    let request = v1::UpdateRequest {
        update,
        ..Default::default()
    };
    client.update(request).await.map(drop)
}

/// Imports documents until the server is gone.
async fn import_again_and_again(channel: Channel, acknowledged: Arc<Mutex<Acknowledged>>, first: usize) {
    for number in first.. {
        let document = (0..document_quad_count(number)).fold(String::new(), |mut text, line| {
            writeln!(text, "<http://e.com/d{number}> <http://e.com/line> \"{line}\" .").unwrap();
            text
        });
        if import(channel.clone(), document).await.is_none() {
            return;
        }
        acknowledged.lock().unwrap().imports.push(number);
    }
}

/// Imports a document; nothing if the server is gone.
async fn import(channel: Channel, document: String) -> Option<()> {
    let header = v1::ImportHeader {
        format: "nt".into(),
        ..Default::default()
    };
    let chunks = document.as_bytes().chunks(1 << 18);
    let chunks = chunks.map(|chunk| import_request::Part::Chunk(chunk.to_vec().into()));
    let parts = [import_request::Part::Header(header)].into_iter().chain(chunks);
    let messages: Vec<_> = parts.map(|part| v1::ImportRequest { part: Some(part) }).collect();
    let mut client = WriteServiceClient::new(channel);
    let mut answers = client
        .import(tokio_stream::iter(messages))
        .await
        .ok()?
        .into_inner();
    while let Some(answer) = answers.message().await.ok()? {
        if let Some(import_response::Part::Complete(_)) = answer.part {
            return Some(());
        }
    }
    None
}

/// Looks whether all that was acknowledged is there, and nothing is there in part. Returns what the updates have written.
async fn check(
    channel: Channel,
    acknowledged: &Mutex<Acknowledged>,
    quad_count: usize,
    context: &str,
) -> HashSet<String> {
    let written = counts(&channel, &format!("?s <{WRITTEN}> ?o")).await;
    let imported = counts(&channel, "?s <http://e.com/line> ?o").await;
    let loaded = counts(&channel, "?s <http://e.com/q0> ?o").await;
    assert_eq!(loaded.len(), quad_count.div_ceil(10), "{context}");
    assert!(
        written.values().all(|&count| count == 2),
        "{context}: an update is not whole"
    );
    assert!(
        imported.iter().all(|(name, &count)| {
            let number = name.trim_start_matches("http://e.com/d").parse();
            count == document_quad_count(number.unwrap())
        }),
        "{context}: an import is not whole"
    );
    let acknowledged = acknowledged.lock().unwrap();
    let lost = |kind: &str, numbers: &[usize], found: &HashMap<String, usize>| {
        let found: HashSet<_> = found.keys().collect();
        let numbers = numbers
            .iter()
            .map(|number| format!("http://e.com/{kind}{number}"));
        numbers.filter(|name| !found.contains(name)).collect::<Vec<_>>()
    };
    assert_eq!(lost("u", &acknowledged.updates, &written), [""; 0], "{context}");
    assert_eq!(lost("d", &acknowledged.imports, &imported), [""; 0], "{context}");
    written.into_keys().collect()
}

async fn newest_revision(channel: Channel) -> i64 {
    let request = v1::ListRevisionsRequest {
        page_size: 1,
        ..Default::default()
    };
    let answer = ChangeServiceClient::new(channel).list_revisions(request).await;
    answer.unwrap().into_inner().revisions[0].revision
}

/// Counts the quads of a pattern, by their subjects.
async fn counts(channel: &Channel, pattern: &str) -> HashMap<String, usize> {
    let request = v1::QueryRequest {
        query: format!("SELECT ?s {{ {pattern} }}"),
        ..Default::default()
    };
    let mut client = SparqlServiceClient::new(channel.clone());
    let mut answers = client.query(request).await.unwrap().into_inner();
    let mut counts = HashMap::new();
    while let Some(answer) = answers.message().await.unwrap() {
        let Some(v1::query_response::Frame::Rows(batch)) = answer.frame else {
            continue;
        };
        for row in batch.rows {
            match row.terms.into_iter().next().and_then(|term| term.term) {
                Some(v1::term::Term::Iri(iri)) => *counts.entry(iri).or_default() += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    counts
}
