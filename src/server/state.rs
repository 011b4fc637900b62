//! What a scrape looks up: the state of the knowledge base, its queries and its watchers, and of the process.

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge, histogram::Histogram},
};
use tokio::sync::OnceCell;

use super::connection::Lying;
use crate::{
    auth::KeyCache, backup::Backups, feed::Feed, grpc::admission::Admission, intake::Intake,
    knowledge::Writes, model::access::Access, sparql::Queries, telemetry,
};

/// What the state is read from; there once the knowledge base is open.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) feed: Feed,
    pub(super) queries: Queries,
    pub(super) backups: Option<Backups>,
    pub(super) load: Load,
}

impl Parts {
    pub(super) fn new(feed: Feed, queries: Queries, backups: Option<Backups>, load: Load) -> Self {
        Self {
            feed,
            queries,
            backups,
            load,
        }
    }
}

/// What calls take of that for which all have one limit.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) calls: Admission,
    pub(super) requests: Intake,
    pub(super) answers: Arc<Lying>,
    /// Where the keys of JWTs come from, if they are those of a URL.
    pub(super) keys: Option<Arc<KeyCache>>,
}

/// The state of a server.
pub(super) struct State {
    parts: Arc<OnceCell<Parts>>,
    log_file: PathBuf,
    graph_memory_bytes_max: u64,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl State {
    /// Returns the state of a server whose log is a file.
    pub(super) fn new(parts: Arc<OnceCell<Parts>>, log_file: PathBuf, graph_memory_bytes_max: u64) -> Self {
        Self {
            parts,
            log_file,
            graph_memory_bytes_max,
        }
    }
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(&mut encoder);
        let parts = self.parts.get();
        out.gauge(
            "dossier_ready",
            "1 once the knowledge base is open",
            u64::from(parts.is_some()),
        )?;
        if let Some(Parts {
            feed,
            queries,
            backups,
            load,
        }) = parts
        {
            if let Some(backups) = backups {
                out.backups(backups)?;
            }
            let view = feed.knowledge().read(&Access::everything());
            let snapshot = &view.snapshot;
            let is_writable = *feed.knowledge().writes().borrow() == Writes::Open;
            out.gauge(
                "dossier_writable",
                "0 while the log takes no writes: the disk is full or failed",
                u64::from(is_writable),
            )?;
            out.gauge("dossier_revision", "The newest revision", view.revision)?;
            out.gauge(
                "dossier_earliest_revision",
                "The earliest revision that the log reaches back to",
                feed.knowledge().earliest_revision(),
            )?;
            out.gauge(
                "dossier_retention_waits_for_backup",
                "1 while the log is beyond the limits of its retention and stays until it is backed up",
                u64::from(feed.knowledge().waits_for_backup()),
            )?;
            out.gauge("dossier_quads", "Quads in the graph", snapshot.quad_count())?;
            out.gauge(
                "dossier_terms",
                "Terms in the graph's dictionary",
                snapshot.term_count(),
            )?;
            out.gauge(
                "dossier_graph_memory_bytes",
                "Memory of the graph index",
                snapshot.memory_bytes(),
            )?;
            out.gauge(
                "dossier_graph_layers",
                "Layers of the graph index, which are merged where there is room for it",
                snapshot.layer_count(),
            )?;
            out.counter(
                "dossier_graph_merges",
                "Merges of layers that no commit waited for",
                feed.knowledge().merge_count(),
            )?;
            out.histogram(
                "dossier_log_append_seconds",
                "Time to append a group of commits to the log, fsync included",
                feed.knowledge().append_times(),
            )?;
            out.queries(queries)?;
            out.gauge(
                "dossier_watchers",
                "Watches of the change feed",
                feed.watcher_count() as u64,
            )?;
            out.gauge(
                "dossier_watchers_max",
                "Watches that may be",
                feed.settings().watcher_count_max as u64,
            )?;
            out.gauge(
                "dossier_watchers_lag_revisions",
                "Revisions that the slowest watch has not taken yet",
                feed.lag(),
            )?;
            out.load(load)?;
        }
        out.gauge(
            "dossier_graph_memory_bytes_max",
            "Memory that the graph index may take",
            self.graph_memory_bytes_max,
        )?;
        if let Ok(file) = std::fs::metadata(&self.log_file) {
            out.gauge(
                "dossier_log_file_bytes",
                "Size of the commit log's file",
                file.len(),
            )?;
        }
        out.counter(
            "dossier_log_lines_lost",
            "Lines of the log that were passed over, since nobody read those before them",
            telemetry::lost_line_count(),
        )?;
        process(&mut out)
    }
}

/// The process, by the names that Prometheus has for it.
#[cfg(target_os = "linux")]
fn process(out: &mut Out<'_, '_>) -> fmt::Result {
    use procfs::{ProcResult, WithCurrentSystemInfo as _, process::Process};

    let looked_up: ProcResult<_> = (|| {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let per_second = procfs::ticks_per_second().max(1);
        let cpu_time = Duration::from_millis((stat.utime + stat.stime) * 1_000 / per_second);
        Ok((
            stat.rss_bytes().get(),
            stat.vsize,
            cpu_time.as_secs_f64(),
            process.fd_count()? as u64,
            stat.num_threads,
            procfs::boot_time_secs()? + stat.starttime / per_second,
        ))
    })();
    // A container may hide /proc.
    let Ok((resident, virtual_bytes, cpu_seconds, fds, threads, started_at)) = looked_up else {
        return Ok(());
    };
    out.gauge("process_resident_memory_bytes", "Resident memory", resident)?;
    out.gauge("process_virtual_memory_bytes", "Virtual memory", virtual_bytes)?;
    out.counter("process_cpu_seconds", "Time of processors", cpu_seconds)?;
    out.gauge("process_open_fds", "Open file descriptors", fds)?;
    out.gauge("process_threads", "Threads", threads)?;
    out.gauge(
        "process_start_time_seconds",
        "When the process began, in seconds since 1970",
        started_at,
    )
}

#[cfg(not(target_os = "linux"))]
fn process(_: &mut Out<'_, '_>) -> fmt::Result {
    Ok(())
}

struct Out<'o, 'e>(&'o mut DescriptorEncoder<'e>);

impl Out<'_, '_> {
    fn backups(&mut self, backups: &Backups) -> fmt::Result {
        let told = backups.told();
        let since = told
            .succeeded_at
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        self.gauge(
            "dossier_backup_succeeded_timestamp_seconds",
            "When the last backup was whole; 0 if there is none",
            since.map_or(0, |since| since.as_secs()),
        )?;
        self.gauge(
            "dossier_backup_revision",
            "The newest revision in the backups",
            told.revision,
        )?;
        self.counter(
            "dossier_backup_failures",
            "Backups that failed",
            told.failure_count,
        )
    }

    fn queries(&mut self, queries: &Queries) -> fmt::Result {
        let (running, waiting) = queries.counts();
        self.gauge(
            "dossier_queries_running",
            "Queries and updates that have a thread",
            running,
        )?;
        self.gauge(
            "dossier_queries_waiting",
            "Queries and updates that wait for a thread",
            waiting,
        )?;
        self.gauge(
            "dossier_queries_running_max",
            "Threads for queries",
            queries.settings().running_count_max as u64,
        )?;
        self.gauge(
            "dossier_queries_memory_bytes",
            "Memory that queries take",
            queries.memory_bytes(),
        )?;
        self.gauge(
            "dossier_queries_memory_bytes_max",
            "Memory that queries may take",
            queries.settings().memory.all_bytes_max,
        )
    }

    fn load(&mut self, load: &Load) -> fmt::Result {
        let Load {
            calls,
            requests,
            answers,
            keys,
        } = load;
        for (name, help, value) in [
            (
                "dossier_calls_running",
                "Lookups and writes that have arrived and are not answered",
                calls.count() as u64,
            ),
            (
                "dossier_calls_running_max",
                "Lookups and writes that may run",
                calls.count_max() as u64,
            ),
            (
                "dossier_requests_memory_bytes",
                "Memory of requests that are received, wait or are worked on, beyond 4 KiB of each",
                requests.bytes(),
            ),
            (
                "dossier_requests_memory_bytes_max",
                "Memory that requests may take",
                requests.bytes_max(),
            ),
            (
                "dossier_answers_memory_bytes",
                "Memory of answers that their readers have not taken",
                answers.bytes(),
            ),
            (
                "dossier_answers_memory_bytes_max",
                "Memory that answers may take",
                answers.bytes_max(),
            ),
        ] {
            self.gauge(name, help, value)?;
        }
        self.counter(
            "dossier_jwks_fetch_failures",
            "Fetches of the keys of JWTs that failed",
            keys.as_ref().map_or(0, |keys| keys.failure_count()),
        )
    }

    fn gauge<N>(&mut self, name: &str, help: &str, value: N) -> fmt::Result
    where
        ConstGauge<N>: EncodeMetric,
    {
        let gauge = ConstGauge::new(value);
        let encoder = self.0.encode_descriptor(name, help, None, gauge.metric_type())?;
        gauge.encode(encoder)
    }

    fn histogram(&mut self, name: &str, help: &str, value: &Histogram) -> fmt::Result {
        let encoder = self.0.encode_descriptor(name, help, None, value.metric_type())?;
        value.encode(encoder)
    }

    fn counter<N>(&mut self, name: &str, help: &str, value: N) -> fmt::Result
    where
        ConstCounter<N>: EncodeMetric,
    {
        let counter = ConstCounter::new(value);
        let encoder = self
            .0
            .encode_descriptor(name, help, None, counter.metric_type())?;
        counter.encode(encoder)
    }
}
