//! `AdminService`.

use std::{sync::Arc, time::Instant};

use oxigraph::model::NamedNode;
use tonic::{Request, Response, Status};

use super::{
    backup::{self, Answers},
    call::access,
    convert::to_int64,
    read::Reads,
    status::{admin_only, internal},
    validate::Violations,
    write::MESSAGE_BYTES_MAX,
};
use crate::{
    auth::Account,
    backup::Backups,
    facts::{Budget, Reader},
    knowledge::{EraseRequest, KnowledgeBase},
    model::{fact::DataSet, prefixes::PREFIXES},
    proto::v1::{self, admin_service_server::AdminService},
};

/// Answers `AdminService`.
pub struct AdminApi {
    knowledge: KnowledgeBase,
    backups: Option<Backups>,
    reads: Reads,
    limits: v1::Limits,
    service_allowed: Vec<String>,
    load_allowed: Vec<String>,
    started_at: Instant,
}

impl AdminApi {
    /// Answers for a knowledge base, served since now under these limits, and with these prefixes of what SERVICE and LOAD
    /// may fetch.
    pub fn new(
        knowledge: KnowledgeBase,
        backups: Option<Backups>,
        limits: v1::Limits,
        service_allowed: Vec<String>,
        load_allowed: Vec<String>,
    ) -> Self {
        Self {
            reads: Reads::new(knowledge.clone()),
            knowledge,
            backups,
            limits,
            service_allowed,
            load_allowed,
            started_at: Instant::now(),
        }
    }
}

#[tonic::async_trait]
impl AdminService for AdminApi {
    type CreateBackupStream = Answers<v1::CreateBackupResponse>;
    type VerifyBackupStream = Answers<v1::VerifyBackupResponse>;

    async fn create_backup(
        &self,
        _: Request<v1::CreateBackupRequest>,
    ) -> Result<Response<Self::CreateBackupStream>, Status> {
        backup::create(self.backups.as_ref()).map(Response::new)
    }

    async fn verify_backup(
        &self,
        _: Request<v1::VerifyBackupRequest>,
    ) -> Result<Response<Self::VerifyBackupStream>, Status> {
        backup::verify(self.backups.as_ref()).map(Response::new)
    }

    async fn list_backups(
        &self,
        request: Request<v1::ListBackupsRequest>,
    ) -> Result<Response<v1::ListBackupsResponse>, Status> {
        backup::list(self.backups.as_ref(), request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_server_info(
        &self,
        request: Request<v1::GetServerInfoRequest>,
    ) -> Result<Response<v1::GetServerInfoResponse>, Status> {
        let extensions = request.extensions();
        let access = access(extensions)?;
        let view = self.knowledge.read(&access);
        let read = |reader: Reader<'_>, budget: &mut Budget| reader.data_sets(budget);
        let data_sets = self.reads.run(&view, extensions, read).await?;
        let prefix = |(name, iri): (&str, &str)| v1::Prefix {
            name: name.to_owned(),
            iri: iri.to_owned(),
        };
        // Dictionary and memory are those of all graphs.
        let of_all = |count| {
            let is_whole = view.snapshot.is_whole();
            if is_whole { to_int64(count) } else { 0 }
        };
        let fetched = |urls: &[String]| {
            let urls = urls.iter().filter(|_| access.is_admin());
            urls.cloned().collect()
        };
        Ok(Response::new(v1::GetServerInfoResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: to_int64(view.revision),
            quad_count: to_int64(view.snapshot.quad_count()),
            term_count: of_all(view.snapshot.term_count()),
            named_graph_count: to_int64(view.snapshot.named_graph_count()),
            graph_memory_bytes: of_all(view.snapshot.memory_bytes()),
            prefixes: PREFIXES.into_iter().map(prefix).collect(),
            limits: Some(self.limits),
            caller_limits: extensions
                .get::<Arc<Account>>()
                .map(|account| caller_limits(account)),
            service_allowed: fetched(&self.service_allowed),
            load_allowed: fetched(&self.load_allowed),
            reference_date: self.knowledge.reference_day(&view).to_string(),
            reference_date_is_today: self.knowledge.is_of_today(),
            data_sets: data_sets.into_iter().map(Into::into).collect(),
            earliest_revision: to_int64(self.knowledge.earliest_revision()),
            uptime_seconds: to_int64(self.started_at.elapsed().as_secs()),
        }))
    }

    async fn erase_entity(
        &self,
        request: Request<v1::EraseEntityRequest>,
    ) -> Result<Response<v1::EraseEntityResponse>, Status> {
        let access = access(request.extensions())?;
        if !access.is_admin() {
            return Err(admin_only("to erase"));
        }
        let mut request = erase_request(request.into_inner())?;
        access.author().clone_into(&mut request.author);
        request.witness = access.witness().cloned();
        let erased = self.knowledge.erase(request).await?;
        Ok(Response::new(v1::EraseEntityResponse {
            revision: to_int64(erased.revision),
            quads_removed: to_int64(erased.quads_removed),
            statement_count: to_int64(erased.statement_count),
            commit_count: to_int64(erased.record_count),
            naming_commit_count: to_int64(erased.naming_header_count),
            log_bytes_before: to_int64(erased.log_bytes_before),
            log_bytes: to_int64(erased.log_bytes),
            backups: backup::holding(self.backups.as_ref(), erased.mentions).await,
        }))
    }
}

/// Reads a request to erase.
fn erase_request(request: v1::EraseEntityRequest) -> Result<EraseRequest, Status> {
    let mut violations = Violations::default();
    let entity = violations.name("entity", &request.entity);
    if request.message.len() > MESSAGE_BYTES_MAX {
        violations.invalid("message", format!("must be at most {MESSAGE_BYTES_MAX} bytes"));
    }
    let is_named = |entity: &NamedNode| {
        request.message.contains(entity.as_str()) || request.message.contains(&request.entity)
    };
    if entity.as_ref().is_some_and(is_named) {
        violations.invalid("message", "must not name what is erased: it stays in the log");
    }
    violations.finish()?;
    Ok(EraseRequest {
        entity: entity.ok_or_else(|| internal(&"an entity without a name"))?,
        author: String::new(),
        message: request.message,
        validate_only: request.validate_only,
        witness: None,
    })
}

impl From<DataSet> for v1::DataSet {
    fn from(set: DataSet) -> Self {
        Self {
            iri: set.iri,
            title: set.title,
            description: set.description,
            created: set.created,
            licenses: set.licenses,
            sources: set.sources,
            attributions: set.attributions,
            issued: set.issued,
            version: set.version,
            rights: set.rights,
        }
    }
}

fn caller_limits(account: &Account) -> v1::CallerLimits {
    let (limits, left) = (account.limits(), account.left());
    v1::CallerLimits {
        requests_per_minute: limits.requests_per_minute.into(),
        query_seconds_per_minute: limits.query_seconds_per_minute.into(),
        stream_count_max: limits.stream_count_max.into(),
        query_count_max: limits.query_count_max.into(),
        requests_left: left.requests.map(Into::into),
        query_seconds_left: left.query_seconds.map(Into::into),
    }
}
