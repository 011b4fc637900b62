//! A server in this process, on a port of its own.

use std::{collections::HashMap, net::SocketAddr, path::Path};

use dossier::{
    auth::Tokens,
    config::ServeSettings,
    proto::v1::{
        self, ErrorReason, admin_service_client::AdminServiceClient,
        entity_service_client::EntityServiceClient, fact_service_client::FactServiceClient,
        import_request::Part, write_service_client::WriteServiceClient,
    },
    server::{ServeError, serve},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt as _;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) channel: Channel,
    pub(crate) shutdown: oneshot::Sender<()>,
    pub(crate) served: JoinHandle<Result<(), ServeError>>,
    /// Held so that the folder stays.
    pub(crate) folder: TempDir,
}

impl Server {
    /// Starts a server with the shipped data and waits until it serves.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts an empty server.
    pub(crate) async fn start_empty() -> Self {
        Self::start_with(|settings| settings.load_shipped_data = false).await
    }

    pub(crate) async fn start_with(adjust: impl FnOnce(&mut ServeSettings)) -> Self {
        Self::start_in(TempDir::new().unwrap(), adjust).await
    }

    pub(crate) async fn start_in(folder: TempDir, adjust: impl FnOnce(&mut ServeSettings)) -> Self {
        let server = Self::begin(folder, adjust).await;
        server.wait_until(ServingStatus::Serving).await;
        server
    }

    /// Starts an empty one that knows callers by these tokens, and what they may do by a policy.
    pub(crate) async fn start_guarded(tokens: &Tokens, policy: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let [tokens_file, policy_file] = ["tokens.json", "policy.toml"].map(|name| folder.path().join(name));
        std::fs::write(&tokens_file, tokens.to_text()).unwrap();
        std::fs::write(&policy_file, policy).unwrap();
        Self::start_in(folder, |settings| {
            settings.load_shipped_data = false;
            settings.auth.tokens = Some(tokens_file);
            settings.auth.policy = Some(policy_file);
        })
        .await
    }

    async fn begin(folder: TempDir, adjust: impl FnOnce(&mut ServeSettings)) -> Self {
        let mut settings = settings(folder.path());
        adjust(&mut settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, stop) = oneshot::channel::<()>();
        let served = tokio::spawn(serve(settings, listener, async {
            let _ = stop.await;
        }));
        Self {
            address,
            channel: connect(address).await,
            shutdown,
            served,
            folder,
        }
    }

    /// Waits for a change of health, as a client would.
    pub(crate) async fn wait_until(&self, expected: ServingStatus) {
        let request = HealthCheckRequest {
            service: "dossier.v1.EntityService".into(),
        };
        let mut states = self.health().watch(request).await.unwrap().into_inner();
        while let Some(state) = states.message().await.unwrap() {
            if state.status() == expected {
                return;
            }
        }
        panic!("the watch ended before {expected:?}");
    }

    /// Stops the server and returns the folder of its data.
    pub(crate) async fn stop(self) -> TempDir {
        self.shutdown.send(()).unwrap();
        drop(self.channel);
        self.served.await.unwrap().unwrap();
        self.folder
    }

    pub(crate) fn entities(&self) -> EntityServiceClient<Channel> {
        EntityServiceClient::new(self.channel.clone())
    }

    pub(crate) fn facts(&self) -> FactServiceClient<Channel> {
        FactServiceClient::new(self.channel.clone())
    }

    pub(crate) fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone())
    }

    pub(crate) fn writes(&self) -> WriteServiceClient<Channel> {
        WriteServiceClient::new(self.channel.clone())
    }

    pub(crate) fn health(&self) -> HealthClient<Channel> {
        HealthClient::new(self.channel.clone())
    }

    pub(crate) async fn info(&self) -> v1::GetServerInfoResponse {
        self.admin()
            .get_server_info(v1::GetServerInfoRequest {})
            .await
            .unwrap()
            .into_inner()
    }

    pub(crate) async fn entity(&self, entity: &str) -> Result<v1::Entity, Status> {
        let request = v1::GetEntityRequest {
            entity: entity.into(),
            ..Default::default()
        };
        Ok(self
            .entities()
            .get_entity(request)
            .await?
            .into_inner()
            .entity
            .unwrap())
    }

    pub(crate) async fn list(&self, request: v1::ListFactsRequest) -> Result<v1::ListFactsResponse, Status> {
        Ok(self.facts().list_facts(request).await?.into_inner())
    }

    /// Imports a document in chunks of some bytes.
    pub(crate) async fn import(
        &self,
        header: v1::ImportHeader,
        document: &[u8],
    ) -> Result<v1::ImportComplete, Status> {
        let chunks = document
            .chunks(50_000)
            .map(|chunk| Part::Chunk(chunk.to_vec().into()));
        let parts: Vec<_> = [Part::Header(header)].into_iter().chain(chunks).collect();
        self.import_parts(parts).await
    }

    pub(crate) async fn import_parts(&self, parts: Vec<Part>) -> Result<v1::ImportComplete, Status> {
        let messages = parts
            .into_iter()
            .map(|part| v1::ImportRequest { part: Some(part) });
        let answers = self
            .writes()
            .import(tokio_stream::iter(messages.collect::<Vec<_>>()))
            .await?;
        complete(answers.into_inner()).await
    }

    pub(crate) async fn import_text(&self, format: &str, text: &str) -> Result<v1::ImportComplete, Status> {
        self.import(header(format), text.as_bytes()).await
    }
}

pub(crate) async fn complete(
    mut answers: tonic::Streaming<v1::ImportResponse>,
) -> Result<v1::ImportComplete, Status> {
    let mut completed = None;
    while let Some(answer) = answers.message().await? {
        assert!(completed.is_none(), "something came after `complete`");
        if let Some(v1::import_response::Part::Complete(complete)) = answer.part {
            completed = Some(complete);
        }
    }
    Ok(completed.expect("a stream without an error ends with `complete`"))
}

pub(crate) fn header(format: &str) -> v1::ImportHeader {
    v1::ImportHeader {
        format: format.into(),
        ..Default::default()
    }
}

/// Returns a fact with the least that a fact must have.
pub(crate) fn sourced_fact() -> v1::Fact {
    v1::Fact {
        subject: "http://ex/s".to_owned(),
        predicate: "http://ex/q".to_owned(),
        object: Some(v1::Term {
            term: Some(v1::term::Term::Iri("http://ex/o".to_owned())),
        }),
        standing: v1::Standing::Accepted.into(),
        sources: vec![v1::Source {
            iri: "http://ex/source".to_owned(),
            title: "A source".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

pub(crate) async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

pub(crate) fn settings(folder: &Path) -> ServeSettings {
    ServeSettings {
        data_dir: folder.join("data"),
        graph_memory_bytes_max: 256 << 20,
        // The day of the shipped data.
        reference_date: "2019-08-27".parse().unwrap(),
        ..ServeSettings::default()
    }
}

/// Checks code and reason of an error and returns its metadata.
#[track_caller]
pub(crate) fn check_error<T: std::fmt::Debug>(
    outcome: Result<T, Status>,
    code: Code,
    reason: ErrorReason,
) -> HashMap<String, String> {
    let status = outcome.expect_err("a call that must fail");
    assert_eq!(status.code(), code, "{status:?}");
    let info = status
        .get_details_error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(
        format!("ERROR_REASON_{}", info.reason),
        reason.as_str_name(),
        "{status:?}"
    );
    assert_eq!(info.domain, "dossier");
    info.metadata
}

/// Checks an `INVALID_ARGUMENT` and the paths of all its violations.
#[track_caller]
pub(crate) fn check_fields<T: std::fmt::Debug>(
    outcome: Result<T, Status>,
    reason: ErrorReason,
    fields: &[&str],
) {
    let violations = outcome
        .as_ref()
        .err()
        .and_then(Status::get_details_bad_request)
        .map(|request| request.field_violations)
        .unwrap_or_default();
    check_error(outcome, Code::InvalidArgument, reason);
    assert_eq!(
        violations
            .iter()
            .map(|violation| violation.field.as_str())
            .collect::<Vec<_>>(),
        fields
    );
}
