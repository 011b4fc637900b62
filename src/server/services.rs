//! The services of `dossier.v1`, made of their parts and settings.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;

use crate::{
    backup::Backups,
    config::ServeSettings,
    feed::{Feed, FeedSettings},
    grpc::{
        admin::AdminApi,
        change::ChangeApi,
        convert::to_int64,
        entity::EntityApi,
        fact::FactApi,
        read::Reads,
        sparql::{PARAMETER_COUNT_MAX, SparqlApi},
        write::{IMPORT_MESSAGE_BYTES_MAX, WriteApi},
    },
    http::HttpApi,
    intake::Intake,
    knowledge::{KnowledgeBase, TERM_BYTES_MAX},
    proto::v1::{
        self, admin_service_server::AdminServiceServer, change_service_server::ChangeServiceServer,
        entity_service_server::EntityServiceServer, fact_service_server::FactServiceServer,
        sparql_service_server::SparqlServiceServer, write_service_server::WriteServiceServer,
    },
    rdf::Memory,
    remote::UrlPrefix,
    sparql::Queries,
};

/// The services whose health is told.
pub(super) const SERVICE_NAMES: [&str; 6] = [
    "dossier.v1.AdminService",
    "dossier.v1.ChangeService",
    "dossier.v1.EntityService",
    "dossier.v1.FactService",
    "dossier.v1.SparqlService",
    WRITE_SERVICE,
];
/// The service of writes, which may be refused while all others go on.
pub(super) const WRITE_SERVICE: &str = "dossier.v1.WriteService";

/// The services of `dossier.v1`; there once the knowledge base is open.
#[derive(Clone)]
pub(super) struct Services {
    pub(super) admin: AdminServiceServer<AdminApi>,
    pub(super) change: ChangeServiceServer<ChangeApi>,
    pub(super) entity: EntityServiceServer<EntityApi>,
    pub(super) fact: FactServiceServer<FactApi>,
    pub(super) sparql: SparqlServiceServer<SparqlApi>,
    pub(super) write: WriteServiceServer<WriteApi>,
    /// The same one for imports, whose messages are smaller.
    pub(super) import: WriteServiceServer<WriteApi>,
    pub(super) http: HttpApi,
    pub(super) knowledge: KnowledgeBase,
}

macro_rules! configured {
    ($service:expr, $settings:expr) => {
        $service
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd)
            .max_decoding_message_size($settings.message_bytes_max)
    };
}

impl Services {
    /// Returns the services, and the feed that they share. Streams without an end of their own end once the server is draining.
    pub(super) fn new(
        knowledge: &KnowledgeBase,
        queries: &Queries,
        backups: Option<&Backups>,
        settings: &ServeSettings,
        intake: Intake,
        drain: CancellationToken,
    ) -> (Self, Feed) {
        let reads = Reads::new(knowledge.clone());
        let admin = AdminApi::new(
            knowledge.clone(),
            backups.cloned(),
            limits(settings),
            prefixes(&settings.service_allow),
            prefixes(&settings.load_allow),
        );
        let feed = Feed::new(
            knowledge.clone(),
            FeedSettings {
                watcher_count_max: settings.watcher_count_max,
                stall_max: settings.watch_stall_max,
                diff_bytes_max: settings.diff_memory_bytes_max,
            },
        );
        let change = ChangeApi::new(feed.clone(), drain.clone());
        let memory = Memory::new(settings.graph_memory_bytes_max);
        let write = WriteApi::new(
            knowledge.clone(),
            memory.clone(),
            intake.document_time(),
            settings.watch_stall_max,
        );
        let http = HttpApi::new(
            feed.clone(),
            drain,
            queries.clone(),
            memory,
            settings.message_bytes_max,
            intake,
            &settings.cors_origins,
        );
        let sparql = SparqlApi::new(knowledge.clone(), queries.clone());
        let write = configured!(WriteServiceServer::new(write), settings);
        let services = Self {
            admin: configured!(AdminServiceServer::new(admin), settings),
            change: configured!(ChangeServiceServer::new(change), settings),
            entity: configured!(EntityServiceServer::new(EntityApi::new(reads.clone())), settings),
            fact: configured!(FactServiceServer::new(FactApi::new(reads)), settings),
            sparql: configured!(SparqlServiceServer::new(sparql), settings),
            import: write
                .clone()
                .max_decoding_message_size(settings.message_bytes_max.min(IMPORT_MESSAGE_BYTES_MAX)),
            write,
            http,
            knowledge: knowledge.clone(),
        };
        (services, feed)
    }
}

fn prefixes(allowed: &[UrlPrefix]) -> Vec<String> {
    allowed.iter().map(ToString::to_string).collect()
}

fn to_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn limits(settings: &ServeSettings) -> v1::Limits {
    v1::Limits {
        query_bytes_max: to_int64(settings.query_bytes_max as u64),
        query_timeout_ms_max: to_ms(settings.query_timeout_max),
        concurrent_query_count_max: to_int64(settings.query_concurrency_max as u64),
        message_bytes_max: to_int64(settings.message_bytes_max as u64),
        graph_memory_bytes_max: to_int64(settings.graph_memory_bytes_max),
        connection_count_max: to_int64(settings.connection_count_max as u64),
        stream_count_max: i64::from(settings.stream_count_max),
        query_nesting_max: to_int64(settings.query_nesting_max as u64),
        query_operator_count_max: to_int64(settings.query_operator_count_max as u64),
        query_clause_count_max: to_int64(settings.query_clause_count_max as u64),
        query_pattern_count_max: to_int64(settings.query_pattern_count_max as u64),
        query_ambiguity_max: to_int64(settings.query_ambiguity_max as u64),
        query_iri_bytes_max: to_int64(settings.query_iri_bytes_max as u64),
        query_memory_bytes_max: to_int64(
            settings
                .query_memory_bytes_max
                .min(settings.queries_memory_bytes_max),
        ),
        queries_memory_bytes_max: to_int64(settings.queries_memory_bytes_max),
        query_parameter_count_max: to_int64(PARAMETER_COUNT_MAX as u64),
        slow_query_ms: to_int64(settings.slow_query_ms),
        remote_timeout_ms: to_ms(settings.remote_timeout),
        remote_bytes_max: to_int64(settings.remote_bytes_max as u64),
        query_row_count_max: to_int64(settings.query_row_count_max),
        query_result_bytes_max: to_int64(settings.query_result_bytes_max),
        query_work_max: to_int64(settings.query_work_max),
        literal_bytes_max: to_int64(settings.literal_bytes_max as u64),
        term_bytes_max: to_int64(TERM_BYTES_MAX),
        regex_text_bytes_max: to_int64(settings.regex_text_bytes_max as u64),
        regex_bytes_max: to_int64(settings.regex_bytes_max as u64),
        long_text_regex_bytes_max: to_int64(settings.long_text_regex_bytes_max as u64),
        watcher_count_max: to_int64(settings.watcher_count_max as u64),
        watch_stall_ms_max: to_ms(settings.watch_stall_max),
        diff_bytes_max: to_int64(settings.diff_memory_bytes_max),
        past_change_count_max: to_int64(settings.past_change_count_max),
        log_retention_age_ms: settings
            .log_retention_age
            .map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
        log_retention_bytes: to_int64(settings.log_retention_bytes.unwrap_or(0)),
        log_retention_revision_count_min: to_int64(settings.log_retention_commit_count_min),
        connection_per_address_count_max: to_int64(settings.connections.per_address_count_max as u64),
        call_count_max: to_int64(settings.connections.call_count_max as u64),
        request_stall_ms_max: to_ms(settings.connections.request_stall_max),
        answer_stall_ms_max: to_ms(settings.connections.answer_stall_max),
    }
}
