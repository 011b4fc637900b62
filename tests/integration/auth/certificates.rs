//! Certificates of clients.

use std::{
    fs,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use dossier::proto::v1::{
    ErrorReason, GetServerInfoRequest, WatchRequest, admin_service_client::AdminServiceClient,
    change_service_client::ChangeServiceClient,
};
use rcgen::{CertificateParams, CustomExtension, DnType, date_time_ymd};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, HandshakeKind, RootCertStore, crypto::ring},
};
use tonic::{
    Code,
    transport::{Channel, ClientTlsConfig, Identity},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{
    Issuer, Tokens, by, info,
    matrix::{Door, GRPC, bearer, call, deny_all, methods, over, request, requests},
    now_seconds,
    streams::{end, token},
    write_tokens,
};
use crate::{
    harness::check_error,
    tls::{Authority, Server},
};

#[tokio::test]
async fn certificates_at_fault_let_nobody_in() {
    let folder = TempDir::new().unwrap();
    let (ours, other) = (Authority::new(), Authority::new());
    ours.certify_into(folder.path());
    let server = Server::start_with(folder.path(), Some(&ours), |settings| {
        settings.auth.certificate_roles = vec!["read".to_owned()];
    })
    .await;
    let named = |params: &mut CertificateParams| params.distinguished_name.push(DnType::CommonName, "loader");
    let with = |(certificate, key): (String, String)| -> ClientTlsConfig {
        ours.trusted().identity(Identity::from_pem(certificate, key))
    };
    let channel = server.call(with(ours.certify_with(&named))).await.unwrap();
    let mut admin = AdminServiceClient::new(channel);
    admin.get_server_info(GetServerInfoRequest {}).await.unwrap();
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(2999, 1, 1);
    let mut denied = 0;
    for (name, identity, alert) in [
        // Of the same name, with another key.
        (
            "another authority",
            Some(other.certify_with(&named)),
            "DecryptError",
        ),
        ("expired", Some(ours.certify_with(&expired)), "CertificateExpired"),
        (
            "not yet valid",
            Some(ours.certify_with(&early)),
            "CertificateExpired",
        ),
        ("none", None, "CertificateRequired"),
    ] {
        let heard = alert_to(server.address, &ours, identity.as_ref()).await;
        assert!(heard.ends_with(alert), "{name}: {heard}");
        denied += nothing_gets_through(&server, &identity.map_or_else(|| ours.trusted(), with)).await;
    }
    // One that is good and names nobody.
    let nobody = |params: &mut CertificateParams| params.distinguished_name = rcgen::DistinguishedName::new();
    let channel = server.connect(with(ours.certify_with(&nobody))).await.unwrap();
    denied += deny_all(
        &Door::of_channel(channel),
        ErrorReason::CredentialsInvalid,
        Vec::new,
    )
    .await;
    // Nor is one whose end and authority could not be asked for again.
    let unreadable = |params: &mut CertificateParams| {
        // A URI among the alternative names that is no text.
        let alternatives = CustomExtension::from_oid_content(&[2, 5, 29, 17], vec![0x30, 3, 0x86, 1, 0xff]);
        params.subject_alt_names.clear();
        params.custom_extensions = vec![alternatives];
    };
    denied += nothing_gets_through(&server, &with(ours.certify_with(&unreadable))).await;
    println!("6 faults, {denied} calls and requests, all denied");
    server.stop().await;
}

/// Returns what a client of the loopback interface does TLS with.
fn client(trusted: &Authority, identity: Option<&(String, String)>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(trusted.pem.as_bytes()).unwrap();
    roots.add(root).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    }
}

async fn shake(address: SocketAddr, config: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let shaking = TlsConnector::from(Arc::clone(config)).connect(name, stream);
    shaking.await.unwrap()
}

/// Connects with a certificate that is not accepted, and returns what the server says of it (RFC 8446 section 6).
async fn alert_to(address: SocketAddr, trusted: &Authority, identity: Option<&(String, String)>) -> String {
    // A client has shaken hands before the server has looked at its certificate (TLS 1.3).
    let mut stream = shake(address, &Arc::new(client(trusted, identity))).await;
    stream.read_u8().await.unwrap_err().to_string()
}

/// Makes a request on a connection of its own, and returns how that began, and the answer.
async fn ask(address: SocketAddr, config: &Arc<ClientConfig>, bearer: &str) -> (HandshakeKind, String) {
    let mut stream = shake(address, config).await;
    let request = format!(
        "GET /sparql?query=ASK%7B%7D HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {bearer}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (stream.get_ref().1.handshake_kind().unwrap(), answer)
}

/// Makes every call and request, each on a connection of its own, which must end without an answer. Returns how many there were.
async fn nothing_gets_through(server: &Server, tls: &ClientTlsConfig) -> usize {
    let calls = methods().into_iter().map(|method| call(&method, GRPC, &[]));
    let requests = requests();
    let requests = requests.iter().map(|(method, path)| request(method, path, &[]));
    let mut count = 0;
    for request in calls.chain(requests) {
        let what = format!("{} {}", request.method(), request.uri());
        if let Ok(channel) = server.connect(tls.clone()).await {
            over(&channel, request).await.expect_err(&what);
        }
        count += 1;
    }
    count
}

#[tokio::test]
async fn a_token_that_is_wrong_is_not_made_good_by_a_certificate() {
    let folder = TempDir::new().unwrap();
    let ours = Authority::new();
    ours.certify_into(folder.path());
    let path = folder.path().join("tokens.json");
    let mut tokens = Tokens::default();
    let token = tokens.create("reader", &[], now_seconds(), None).unwrap();
    write_tokens(&path, &tokens);
    let issuer = Issuer::start().await;
    let server = Server::start_with(folder.path(), Some(&ours), |settings| {
        super::ask(settings, &path, &issuer);
    })
    .await;
    let (certificate, key) = ours.certify();
    let channel = server
        .call(ours.trusted().identity(Identity::from_pem(certificate, key)))
        .await
        .unwrap();
    info(&channel, None).await.unwrap();
    info(&channel, Some(token.secret())).await.unwrap();
    let outcome = info(&channel, Some("dossier_wrong")).await;
    check_error(outcome, Code::Unauthenticated, ErrorReason::CredentialsInvalid);
    fs::remove_file(&path).unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_not_made_good_by_a_token() {
    let folder = TempDir::new().unwrap();
    let ours = Authority::new();
    ours.certify_into(folder.path());
    let mut tokens = Tokens::default();
    let reader = token(&mut tokens, "reader", "read", None);
    let server = Server::start_with(folder.path(), Some(&ours), |settings| {
        write_tokens(&folder.path().join("tokens.json"), &tokens);
        settings.auth.tokens = Some(folder.path().join("tokens.json"));
    })
    .await;
    let identity = ours.certify_with(&|params: &mut CertificateParams| {
        params.not_after = (SystemTime::now() + Duration::from_secs(10)).into();
    });
    let config = Arc::new(client(&ours, Some(&identity)));
    let (certificate, key) = identity;
    let channel = server
        .call(ours.trusted().identity(Identity::from_pem(certificate, key)))
        .await
        .unwrap();
    // It is ready once it has more to say than that nobody has a role.
    while info(&channel, Some(&reader)).await.is_err() {}
    let (kind, answer) = ask(server.address, &config, &reader).await;
    assert!(
        kind == HandshakeKind::Full && answer.starts_with("HTTP/1.1 200 "),
        "{answer}"
    );
    let watch = by(&reader, WatchRequest::default());
    let watch = ChangeServiceClient::new(channel.clone()).watch(watch).await;
    let ended = timeout(Duration::from_secs(30), end(watch.unwrap().into_inner())).await;
    let status = ended.expect("a stream ends with the certificate");
    let expired = ErrorReason::CredentialsExpired;
    check_error::<()>(Err(status), Code::Unauthenticated, expired);
    let door = Door::of_channel(channel);
    deny_all(&door, expired, bearer(&reader)).await;
    drop(door);
    // A session that is taken up again shows no other certificate.
    let (kind, answer) = ask(server.address, &config, &reader).await;
    assert!(
        kind == HandshakeKind::Resumed && answer.starts_with("HTTP/1.1 401 "),
        "{answer}"
    );
    server.stop().await;
}

#[tokio::test]
async fn connections_end_when_the_authority_of_their_certificate_is_taken_back() {
    let folder = TempDir::new().unwrap();
    let (kept, removed) = (Authority::new(), Authority::new());
    kept.certify_into(folder.path());
    let authorities = folder.path().join("ca.pem");
    let mut tokens = Tokens::default();
    let bearer = token(&mut tokens, "known", "read", None);
    let server = Server::start_with(folder.path(), Some(&kept), |settings| {
        fs::write(&authorities, format!("{}{}", kept.pem, removed.pem)).unwrap();
        settings.auth.certificate_roles = vec!["read".to_owned()];
        write_tokens(&folder.path().join("tokens.json"), &tokens);
        settings.auth.tokens = Some(folder.path().join("tokens.json"));
    })
    .await;
    let named = |params: &mut CertificateParams| params.distinguished_name.push(DnType::CommonName, "loader");
    let of = |authority: &Authority| {
        let (certificate, key) = authority.certify_with(&named);
        kept.trusted().identity(Identity::from_pem(certificate, key))
    };
    let identity = of(&removed);
    let first = server.call(of(&kept)).await.unwrap();
    let second = server.call(identity.clone()).await.unwrap();
    let watch = async |channel: &Channel| {
        let watch = ChangeServiceClient::new(channel.clone())
            .watch(WatchRequest::default())
            .await;
        watch.unwrap().into_inner()
    };
    let (open, ended) = (watch(&first).await, watch(&second).await);
    // Also where a token says who calls.
    let watch = by(&bearer, WatchRequest::default());
    let ended_too = ChangeServiceClient::new(second.clone()).watch(watch).await;
    let ended_too = ended_too.unwrap().into_inner();
    let health = HealthClient::new(second.clone())
        .watch(HealthCheckRequest::default())
        .await;

    fs::write(&authorities, &kept.pem).unwrap();
    for ended in [ended, ended_too] {
        check_error::<()>(
            Err(end(ended).await),
            Code::Unauthenticated,
            ErrorReason::CredentialsInvalid,
        );
    }
    // What asks for no credential ends with the connection.
    let told = end(health.unwrap().into_inner()).await;
    check_error::<()>(Err(told), Code::Unavailable, ErrorReason::Unavailable);
    info(&second, None).await.unwrap_err();
    server.call(identity).await.unwrap_err();
    info(&first, None).await.unwrap();
    drop(second);
    let stopped = tokio::spawn(server.stop());
    check_error::<()>(Err(end(open).await), Code::Unavailable, ErrorReason::Unavailable);
    drop(first);
    stopped.await.unwrap();
}
