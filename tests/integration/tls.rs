//! TLS: who may connect, and certificates that change.

use std::{fs, net::SocketAddr, path::Path};

use dossier::{
    config::ServeSettings,
    proto::v1::{GetServerInfoRequest, admin_service_client::AdminServiceClient},
    server::{ServeError, serve},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::harness::settings;

/// An authority that signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// Returns a certificate for this machine, and its key.
    pub(crate) fn certify(&self) -> (String, String) {
        self.certify_with(&|_| ())
    }

    pub(crate) fn certify_with(&self, adjust: &dyn Fn(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        adjust(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn certify_into(&self, folder: &Path) {
        let (certificate, key) = self.certify();
        fs::write(folder.join("key.pem"), key).unwrap();
        fs::write(folder.join("cert.pem"), certificate).unwrap();
    }

    pub(crate) fn trusted(&self) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.pem))
            .domain_name("localhost")
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shutdown: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    /// Starts a server with the certificate of a folder; `ca` are the authorities of its clients.
    pub(crate) async fn start(folder: &Path, ca: Option<&Authority>) -> Self {
        Self::start_with(folder, ca, |_| {}).await
    }

    pub(crate) async fn start_with(
        folder: &Path,
        ca: Option<&Authority>,
        adjust: impl FnOnce(&mut ServeSettings),
    ) -> Self {
        let mut settings = settings(folder);
        settings.load_shipped_data = false;
        settings.tls_cert = Some(folder.join("cert.pem"));
        settings.tls_key = Some(folder.join("key.pem"));
        settings.tls_client_ca = ca.map(|ca| {
            let path = folder.join("ca.pem");
            fs::write(&path, &ca.pem).unwrap();
            path
        });
        adjust(&mut settings);
        settings.validate().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, stop) = oneshot::channel::<()>();
        let served = tokio::spawn(serve(settings, listener, async {
            let _ = stop.await;
        }));
        Self {
            address,
            shutdown,
            served,
        }
    }

    /// Connects; that says nothing yet of the client's certificate.
    pub(crate) async fn connect(&self, tls: ClientTlsConfig) -> Result<Channel, String> {
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address)).unwrap();
        let connected = endpoint.tls_config(tls).unwrap().connect().await;
        connected.map_err(|error| format!("{error:?}"))
    }

    /// Connects, and calls until the server is ready; an error if it has nothing to do with the client.
    pub(crate) async fn call(&self, tls: ClientTlsConfig) -> Result<Channel, String> {
        let channel = self.connect(tls).await?;
        loop {
            match info(&channel).await {
                Ok(()) => return Ok(channel),
                Err(status) if status.message().contains("starting") => {}
                // A client learns only with its first call that its certificate was refused (TLS 1.3).
                Err(status) => return Err(status.to_string()),
            }
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.send(()).unwrap();
        self.served.await.unwrap().unwrap();
    }
}

async fn info(channel: &Channel) -> Result<(), tonic::Status> {
    let mut admin = AdminServiceClient::new(channel.clone());
    match admin.get_server_info(GetServerInfoRequest {}).await {
        // A certificate shows who calls, and brings no role.
        Err(status) if status.code() == tonic::Code::PermissionDenied => Ok(()),
        answer => answer.map(|_| ()),
    }
}

#[tokio::test]
async fn clients_know_the_server_by_its_certificate() {
    let folder = TempDir::new().unwrap();
    let (ours, other) = (Authority::new(), Authority::new());
    ours.certify_into(folder.path());
    let server = Server::start(folder.path(), None).await;
    server.call(ours.trusted()).await.unwrap();
    server.call(other.trusted()).await.unwrap_err();
    let plain = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let plain = plain.connect().await.unwrap();
    info(&plain).await.unwrap_err();
    // Who says nothing does not hold up the end.
    let _silent = tokio::net::TcpStream::connect(server.address).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn the_server_knows_clients_by_their_certificates() {
    let folder = TempDir::new().unwrap();
    let (ours, other) = (Authority::new(), Authority::new());
    ours.certify_into(folder.path());
    let server = Server::start(folder.path(), Some(&ours)).await;
    let with = |authority: &Authority| {
        let (certificate, key) = authority.certify();
        ours.trusted().identity(Identity::from_pem(certificate, key))
    };
    server.call(with(&ours)).await.unwrap();
    server.call(with(&other)).await.unwrap_err();
    server.call(ours.trusted()).await.unwrap_err();
    server.stop().await;
}

#[tokio::test]
async fn certificates_change_while_connections_go_on() {
    let folder = TempDir::new().unwrap();
    let (first, second) = (Authority::new(), Authority::new());
    first.certify_into(folder.path());
    let server = Server::start(folder.path(), None).await;
    let open = server.call(first.trusted()).await.unwrap();

    second.certify_into(folder.path());
    while server.call(second.trusted()).await.is_err() {
        tokio::task::yield_now().await;
    }
    server.call(first.trusted()).await.unwrap_err();
    info(&open).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn files_that_cannot_be_used_stop_the_start() {
    let ours = Authority::new();
    let check = async |break_it: fn(&Path), expected: &str| {
        let folder = TempDir::new().unwrap();
        ours.certify_into(folder.path());
        break_it(folder.path());
        let server = Server::start(folder.path(), Some(&ours)).await;
        let error = server.served.await.unwrap().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(
        |folder| fs::remove_file(folder.join("key.pem")).unwrap(),
        "key.pem: ",
    )
    .await;
    check(
        |folder| fs::write(folder.join("cert.pem"), "").unwrap(),
        "cert.pem: it has no certificate",
    )
    .await;
    let other_key = |folder: &Path| {
        let key = KeyPair::generate().unwrap().serialize_pem();
        fs::write(folder.join("key.pem"), key).unwrap();
    };
    check(other_key, "the certificate and its key cannot be used").await;
}
