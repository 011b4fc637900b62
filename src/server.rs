//! The composition root: opens the knowledge base, serves it, and drains on shutdown.

mod admitted;
mod audit;
mod backups;
mod callers;
mod connection;
mod fresh;
mod gate;
mod metrics;
mod operations;
mod router;
mod services;
mod shipped;
mod sparing;
mod state;
mod strangers;
mod tls;

use std::{sync::Arc, time::Duration};

use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    net::TcpListener,
    sync::OnceCell,
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    backup::{BackupError, Backups, Place},
    config::ServeSettings,
    knowledge::{KnowledgeBase, LOG_FILE, OpenError, Retention, Settings, Writes},
    model::prefixes::PREFIXES,
    remote::{AllowList, FetchLimits, RemoteSettings},
    sparql::{GuardLimits, MemoryLimits, Queries, QuerySettings, RunLimits, ValueLimits},
    sync::watch,
};
use audit::Audit;
use backups::back_up;
use callers::Callers;
pub use callers::CallersError;
use connection::{Connections, Shares, Shutdown};
use gate::Gate;
use metrics::Metrics;
use operations::Operations;
use router::{Router, SMALL_MESSAGE_BYTES_MAX};
use services::{SERVICE_NAMES, Services, WRITE_SERVICE};
use sparing::Sparing;
use state::{Load, Parts, State};
use tls::Tls;
pub use tls::TlsError;

/// Queries that may wait, for each that may run.
const WAITING_PER_THREAD: usize = 8;

/// Of the drain time: for the last word of calls that did not end by themselves, at most.
const LAST_WORD_MAX: Duration = Duration::from_secs(2);
/// Of the drain time: to close the log, at least, if calls take the rest.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Why the server could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The knowledge base cannot be opened; the message says what to do.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The listener has no address.
    #[error("the listener cannot be used: {0}")]
    Listener(#[source] std::io::Error),
    /// There is no TLS; the message says which file is at fault.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There can be no backups where they are to go.
    #[error("--backup-to: {0}")]
    Backup(#[from] BackupError),
    /// There is no audit log.
    #[error("the audit log cannot be opened: {0}")]
    Audit(#[source] std::io::Error),
    /// Nobody could be known; the message says which file is at fault.
    #[error(transparent)]
    Callers(#[from] CallersError),
    /// The data that the server ships cannot be loaded.
    #[error("the shipped data cannot be loaded: {0}")]
    ShippedData(String),
    /// A fault of ours.
    #[error("the server failed: {0}")]
    Fault(String),
}

/// Reads the files that settings name, as far as it goes without serving.
pub fn check_files(settings: &ServeSettings) -> Result<(), ServeError> {
    let stale = Gauge::default();
    let callers = Callers::load(settings, &stale)?;
    if let Some(files) = settings.tls_files() {
        Tls::load(files, callers.renewed(), &stale)?;
    }
    Audit::check(settings.auth.audit_log.as_ref()).map_err(ServeError::Audit)
}

/// Where a server listens.
#[derive(Debug)]
pub struct Listeners {
    /// For calls of every kind.
    pub calls: TcpListener,
    /// For probes and scrapers alone; without it they use the other.
    pub operations: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(calls: TcpListener) -> Self {
        Self {
            calls,
            operations: None,
        }
    }
}

/// Serves on its listeners until `shutdown` is ready, then drains: running calls, and the log, get `drain_timeout` to end.
///
/// The port answers at once; until the log is replayed, health says `NOT_SERVING` and calls get `UNAVAILABLE`.
pub async fn serve(
    settings: ServeSettings,
    listeners: impl Into<Listeners>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let Listeners { calls, operations } = listeners.into();
    let address = calls.local_addr().map_err(ServeError::Listener)?;
    let place = settings.backup_to.as_deref().map(Place::open).transpose()?;
    let (reporter, health) = health().await;
    let services = Arc::new(OnceCell::new());
    let end = Shutdown::default();
    let parts = Arc::new(OnceCell::new());
    let metrics = Metrics::new(State::new(
        Arc::clone(&parts),
        settings.data_dir.join(LOG_FILE),
        settings.graph_memory_bytes_max,
    ));
    let callers = Callers::load(&settings, metrics.stale_files())?;
    let gate = gate(&callers, &settings, &metrics)?;
    let router = Router::new(
        Arc::clone(&services),
        health,
        &settings,
        operations.is_none(),
        metrics.clone(),
        end.drain.clone(),
        gate,
    );
    let router = Arc::new(router.map_err(|error| ServeError::Fault(error.to_string()))?);
    let intake = router.intake();
    let tracker = TaskTracker::new();
    let tls = settings.tls_files();
    let tls = tls.map(|files| Tls::load(files, callers.renewed(), metrics.stale_files()));
    let tls = tls.transpose()?.map(Arc::new);
    let freshener = tls.as_ref().map(|tls| tokio::spawn(tls.keep_fresh()));
    // They end with this.
    let mut keepers = JoinSet::new();
    callers.keep_fresh(&mut keepers);
    let shares = Shares::of(settings.connection_count_max, operations.is_some());
    let connections = Connections::new(
        shares.calls,
        &settings,
        Arc::clone(&router),
        metrics.clone(),
        tracker.clone(),
        end.clone(),
    )
    .with_tls(tls, callers.renewed().subscribe());
    let load = Load {
        calls: router.admission(),
        requests: intake.clone(),
        answers: connections.lying(),
        keys: callers.key_cache(),
    };
    tracing::info!(%address, "listening: calls are answered once the log is replayed");
    if let Some(danger) = settings.danger() {
        tracing::warn!(%address, "{danger}");
    }
    let accepting = tokio::spawn(connections.accept(calls));
    // Probes are answered until the end: they hear that the server drains.
    let probing = Shutdown::default();
    let _probing = probing.drain.clone().drop_guard();
    let _probes = probing.stop.clone().drop_guard();
    if let Some(operations) = operations {
        let (answers, tracker) = (Arc::new(Operations(router)), TaskTracker::new());
        let probes = Connections::new(shares.operations, &settings, answers, metrics, tracker, probing);
        tokio::spawn(probes.accept(operations));
    }
    let mut telling = JoinSet::new();
    let served = async {
        let knowledge = open(&settings).await?;
        let queries = Queries::start(query_settings(&settings), PREFIXES)
            .map_err(|error| ServeError::Fault(format!("the query threads cannot be started: {error}")))?;
        let backups = start_backups(place, &knowledge, &settings, &end.drain);
        let drain = end.drain.clone();
        let (made, feed) = Services::new(&knowledge, &queries, backups.as_ref(), &settings, intake, drain);
        // Set once: nobody else does.
        let _ = services.set(made);
        let _ = parts.set(Parts::new(feed, queries, backups, load));
        set_health(&reporter, ServingStatus::Serving).await;
        telling.spawn(tell_writes(knowledge.writes(), reporter.clone()));
        tracing::info!(%address, revision = knowledge.revision(), "serving");
        Ok::<_, ServeError>(knowledge)
    };
    let mut shutdown = std::pin::pin!(shutdown);
    let opened = tokio::select! {
        opened = served => Some(opened),
        () = &mut shutdown => None,
    };
    if let Some(Ok(_)) = opened {
        shutdown.await;
    }
    tracing::info!(%address, "draining");
    let limit = Instant::now() + settings.drain_timeout;
    // It would say that there can be writes.
    telling.shutdown().await;
    set_health(&reporter, ServingStatus::NotServing).await;
    drain(&end, &tracker, limit).await;
    accepting.abort();
    if let Some(freshener) = freshener {
        freshener.abort();
    }
    if let Some(knowledge) = opened.transpose()? {
        close(knowledge, limit).await?;
    }
    tracing::info!(%address, "stopped");
    Ok(())
}

async fn close(knowledge: KnowledgeBase, limit: Instant) -> Result<(), ServeError> {
    let closing = tokio::task::spawn_blocking(move || knowledge.close());
    if let Ok(closed) = timeout_at(limit, closing).await {
        closed.map_err(|error| ServeError::Fault(error.to_string()))?;
    } else {
        // What is acknowledged is synced, and the snapshot file is a cache.
        tracing::warn!("the drain time is over: leaving without a new snapshot file");
    }
    Ok(())
}

/// Lets calls end, tells those that do not, and then cuts, so that some of the time is left to close the log.
async fn drain(end: &Shutdown, tracker: &TaskTracker, limit: Instant) {
    end.drain.cancel();
    tracker.close();
    let time = limit.saturating_duration_since(Instant::now());
    let (last_word, close) = (LAST_WORD_MAX.min(time / 4), CLOSE_MAX.min(time / 4));
    if timeout_at(limit - close - last_word, tracker.wait())
        .await
        .is_ok()
    {
        return;
    }
    tracing::warn!(
        connections = tracker.len(),
        "the drain time is nearly over: ending calls with UNAVAILABLE"
    );
    end.closing.cancel();
    if timeout_at(limit - close, tracker.wait()).await.is_ok() {
        return;
    }
    tracing::warn!(connections = tracker.len(), "cutting connections");
    end.stop.cancel();
    if timeout_at(limit - close / 2, tracker.wait()).await.is_err() {
        tracing::warn!(
            connections = tracker.len(),
            "leaving connections that cannot be cut"
        );
    }
}

/// Returns what every request passes.
fn gate(callers: &Callers, settings: &ServeSettings, metrics: &Metrics) -> Result<Gate, ServeError> {
    Ok(Gate {
        authenticator: Arc::new(callers.authenticator()),
        authorizer: callers.authorizer(),
        renewed: callers.renewed().subscribe(),
        accounts: callers::accounts(settings),
        audit: Audit::open(settings.auth.audit_log.as_ref(), metrics.audit_failures())
            .map_err(ServeError::Audit)?,
        metrics: metrics.clone(),
        log: Sparing::default(),
        // With TLS a browser looks at the name itself.
        takes_any_host: settings.insecure || settings.tls_files().is_some(),
    })
}

fn query_settings(settings: &ServeSettings) -> QuerySettings {
    QuerySettings {
        running_count_max: settings.query_concurrency_max,
        waiting_count_max: WAITING_PER_THREAD * settings.query_concurrency_max,
        guard: GuardLimits {
            byte_count_max: settings.query_bytes_max,
            nesting_max: settings.query_nesting_max,
            operator_count_max: settings.query_operator_count_max,
            clause_count_max: settings.query_clause_count_max,
            pattern_count_max: settings.query_pattern_count_max,
            ambiguity_max: settings.query_ambiguity_max,
            iri_byte_count_max: settings.query_iri_bytes_max,
        },
        timeout_max: settings.query_timeout_max,
        memory: MemoryLimits {
            query_bytes_max: settings
                .query_memory_bytes_max
                .min(settings.queries_memory_bytes_max),
            all_bytes_max: settings.queries_memory_bytes_max,
        },
        limits: RunLimits {
            row_count_max: settings.query_row_count_max,
            result_bytes_max: settings.query_result_bytes_max,
            work_max: settings.query_work_max,
            values: ValueLimits {
                literal_bytes_max: settings.literal_bytes_max,
                regex_text_bytes_max: settings.regex_text_bytes_max,
                regex_bytes_max: settings.regex_bytes_max,
                long_text_regex_bytes_max: settings.long_text_regex_bytes_max,
            },
        },
        slow_after: (settings.slow_query_ms > 0).then(|| Duration::from_millis(settings.slow_query_ms)),
        update_memory_bytes_max: settings.graph_memory_bytes_max,
        remote: RemoteSettings {
            service: AllowList::new(settings.service_allow.clone()),
            load: AllowList::new(settings.load_allow.clone()),
            limits: FetchLimits {
                timeout: settings.remote_timeout,
                body_bytes_max: settings.remote_bytes_max,
            },
        },
    }
}

/// Begins to back up to a place, if there is one.
fn start_backups(
    place: Option<Place>,
    knowledge: &KnowledgeBase,
    settings: &ServeSettings,
    drain: &CancellationToken,
) -> Option<Backups> {
    let backups = Backups::new(knowledge.clone(), place?);
    tokio::spawn(back_up(backups.clone(), settings.backup_every, drain.clone()));
    Some(backups)
}

/// Opens the knowledge base on a thread that may block, and loads the shipped data into an empty one.
async fn open(settings: &ServeSettings) -> Result<KnowledgeBase, ServeError> {
    let knowledge_settings = Settings {
        graph_memory_bytes_max: settings.graph_memory_bytes_max,
        reference_date: settings.reference_date,
        past_change_count_max: settings.past_change_count_max,
        past_memory_bytes_max: settings.diff_memory_bytes_max,
        retention: Retention {
            age_max: settings.log_retention_age,
            bytes_max: settings.log_retention_bytes,
            revision_count_min: settings.log_retention_commit_count_min,
            waits_for_backups: settings.backup_to.is_some(),
        },
        ..Settings::new(&settings.data_dir)
    };
    let knowledge = tokio::task::spawn_blocking(move || KnowledgeBase::open(knowledge_settings))
        .await
        .map_err(|error| ServeError::Fault(error.to_string()))??;
    if settings.load_shipped_data && knowledge.revision() == 0 {
        shipped::load(&knowledge, settings.graph_memory_bytes_max).await?;
    }
    Ok(knowledge)
}

async fn health() -> (HealthReporter, router::Health) {
    let reporter = HealthReporter::new();
    set_health(&reporter, ServingStatus::NotServing).await;
    let service = tonic_health::server::HealthService::from_health_reporter(reporter.clone());
    let health = tonic_health::pb::health_server::HealthServer::new(service);
    (
        reporter,
        health.max_decoding_message_size(SMALL_MESSAGE_BYTES_MAX),
    )
}

/// Tells by the health of the service of writes whether there can be some. Reads go on without.
async fn tell_writes(mut writes: watch::Receiver<Writes>, reporter: HealthReporter) {
    loop {
        let status = match *writes.borrow_and_update() {
            Writes::Open => ServingStatus::Serving,
            Writes::DiskFull | Writes::LogUnavailable | Writes::Ended => ServingStatus::NotServing,
        };
        reporter.set_service_status(WRITE_SERVICE, status).await;
        if writes.changed().await.is_err() {
            return;
        }
    }
}

async fn set_health(reporter: &HealthReporter, status: ServingStatus) {
    for name in SERVICE_NAMES.iter().copied().chain([""]) {
        reporter.set_service_status(name, status).await;
    }
}

/// Returns a future that is ready on SIGTERM or SIGINT. SIGHUP ends nothing: it has files read anew. Call it within a runtime of
/// Tokio.
pub fn signals() -> std::io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hang_up.recv() => tracing::info!("SIGHUP: files are read anew"),
            }
        }
    })
}
