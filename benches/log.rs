//! The log in process: start, views of earlier revisions, backup, restore, erasure, compaction.
//!
//! ```text
//! cargo bench --bench log                       # 1,000,000 quads in one commit, 1,000,000 in 10,000 more
//! cargo bench --bench log -- --quads 10000000
//! ```

use std::{
    error::Error,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use dossier::{
    backup::{Place, Until, create, restore, verify},
    graph::Batch,
    knowledge::{CommitRequest, EraseRequest, KnowledgeBase, LOG_FILE, Settings, compact},
    model::access::Access,
};
use futures::{StreamExt as _, stream};
use oxigraph::{
    io::{RdfFormat, RdfParser},
    model::{GraphNameRef, Literal, NamedNode, QuadRef},
};

#[path = "../examples/generate/graph.rs"]
mod generate;

/// As the server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;

const COMMIT_COUNT: u32 = 10_000;
const QUADS_PER_COMMIT: u32 = 100;
const WRITER_COUNT: usize = 64;
/// Commits between the first backup and the next.
const LATER_COMMIT_COUNT: u32 = 1_000;
/// Revisions that are kept by the compaction.
const KEPT_COUNT: u64 = 1_000;

fn main() -> Result<(), Failure> {
    let mut quad_count = 1_000_000;
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quads" => quad_count = arguments.next().ok_or("--quads takes a number")?.parse()?,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(quad_count))
}

async fn run(quad_count: u64) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let data_dir = folder.path().join("data");
    let settings = Settings {
        graph_memory_bytes_max: 16 << 30,
        // The rows of revisions come beside the quads.
        past_change_count_max: 2 * u64::from(COMMIT_COUNT * QUADS_PER_COMMIT),
        ..Settings::new(&data_dir)
    };
    let base = KnowledgeBase::open(settings.clone())?;
    load(&base, quad_count).await?;
    let since = Instant::now();
    commit(&base, 0..COMMIT_COUNT).await?;
    let seconds = since.elapsed().as_secs_f64();
    print(
        &format!("{COMMIT_COUNT} commits of {QUADS_PER_COMMIT} quads"),
        since.elapsed(),
        &format!("{:.0} a second", f64::from(COMMIT_COUNT) / seconds),
    );

    let access = Access::everything();
    for what in ["graph of revision 2", "the same again"] {
        let since = Instant::now();
        let view = base.read_at(&access, 2).await?;
        print(what, since.elapsed(), &format!("at revision {}", view.revision));
    }

    let place = Place::open(&folder.path().join("backups").to_string_lossy())?;
    for what in ["backup of all", "backup of the next"] {
        let since = Instant::now();
        let made = create(&base, &place, &mut |_| true)?;
        let backup = made.backup.ok_or("nothing to back up")?;
        let told = format!(
            "{} records, {} MB",
            backup.record_count(),
            backup.bytes() / 1_000_000
        );
        print(what, since.elapsed(), &told);
        commit(&base, COMMIT_COUNT..COMMIT_COUNT + LATER_COMMIT_COUNT).await?;
    }
    let since = Instant::now();
    let verified = verify(&place, &mut |_| true)?;
    let told = format!("{} faults", verified.faults.len());
    print("verification", since.elapsed(), &told);
    for (name, until) in [("whole", Until::End), ("early", Until::Revision(2))] {
        let since = Instant::now();
        let restored = restore(&place, &folder.path().join(name), until, &mut |_| true)?;
        let told = format!("{} quads", restored.quad_count);
        print(&format!("restore, {name}"), since.elapsed(), &told);
    }

    let since = Instant::now();
    let erased = base
        .erase(EraseRequest {
            entity: NamedNode::new(subject(7))?,
            author: String::new(),
            message: String::new(),
            validate_only: false,
            witness: None,
        })
        .await?;
    let told = format!("{} quads", erased.quads_removed);
    print("erasure of one entity", since.elapsed(), &told);
    base.close();
    drop(base);

    for what in ["start with the snapshot file", "start from the log alone"] {
        let since = Instant::now();
        let base = KnowledgeBase::open(settings.clone())?;
        print(what, since.elapsed(), &format!("revision {}", base.revision()));
        base.close();
        fs::remove_file(data_dir.join("snapshot"))?;
    }
    let before = log_mb(&data_dir)?;
    let since = Instant::now();
    compact(&settings, KEPT_COUNT)?;
    let told = format!("{before} MB to {} MB", log_mb(&data_dir)?);
    print("compaction", since.elapsed(), &told);
    Ok(())
}

fn print(what: &str, time: Duration, told: &str) {
    println!("{what:<32} {:>8.2} s   {told}", time.as_secs_f64());
}

fn log_mb(data_dir: &Path) -> Result<u64, Failure> {
    Ok(fs::metadata(data_dir.join(LOG_FILE))?.len() / 1_000_000)
}

async fn load(base: &KnowledgeBase, quad_count: u64) -> Result<(), Failure> {
    let mut document = Vec::new();
    generate::write_graph(&mut document, quad_count, 1)?;
    let mut batch = Batch::default();
    for quad in RdfParser::from_format(RdfFormat::NQuads).for_slice(&document) {
        batch.insert(quad?.as_ref());
    }
    let since = Instant::now();
    apply(base, batch).await?;
    print("one commit", since.elapsed(), &format!("{quad_count} quads"));
    Ok(())
}

async fn commit(base: &KnowledgeBase, numbers: std::ops::Range<u32>) -> Result<(), Failure> {
    let predicate = NamedNode::new("http://example.com/p")?;
    let mut commits = stream::iter(numbers)
        .map(|number| {
            let mut batch = Batch::default();
            let subject = NamedNode::new_unchecked(subject(number));
            for object in 0..QUADS_PER_COMMIT {
                let object = Literal::from(format!("{number} {object}"));
                let graph = GraphNameRef::DefaultGraph;
                batch.insert(QuadRef::new(&subject, &predicate, &object, graph));
            }
            apply(base, batch)
        })
        .buffer_unordered(WRITER_COUNT);
    while let Some(committed) = commits.next().await {
        committed?;
    }
    Ok(())
}

async fn apply(base: &KnowledgeBase, batch: Batch) -> Result<(), Failure> {
    let plan = move |draft: &mut dossier::graph::Draft| {
        draft.apply(&batch);
        Ok::<_, std::convert::Infallible>(())
    };
    base.commit(CommitRequest::new(Access::everything(), plan))
        .await?;
    Ok(())
}

fn subject(number: u32) -> String {
    format!("http://example.com/commit/{number}")
}
