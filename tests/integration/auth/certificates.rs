//! Certificates of clients.

use std::fs;

use dossier::proto::v1::{ErrorReason, GetServerInfoRequest, admin_service_client::AdminServiceClient};
use rcgen::{CertificateParams, DnType, date_time_ymd};
use tempfile::TempDir;
use tonic::{
    Code,
    transport::{ClientTlsConfig, Identity},
};

use super::{Issuer, Tokens, info, now_seconds, write_tokens};
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
    let of = |params: &dyn Fn(&mut CertificateParams), authority: &Authority| -> ClientTlsConfig {
        let (certificate, key) = authority.certify_with(params);
        ours.trusted().identity(Identity::from_pem(certificate, key))
    };
    let named = |params: &mut CertificateParams| params.distinguished_name.push(DnType::CommonName, "loader");
    let channel = server.call(of(&named, &ours)).await.unwrap();
    let mut admin = AdminServiceClient::new(channel);
    admin.get_server_info(GetServerInfoRequest {}).await.unwrap();
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(2999, 1, 1);
    server.call(of(&named, &other)).await.unwrap_err();
    server.call(of(&expired, &ours)).await.unwrap_err();
    server.call(of(&early, &ours)).await.unwrap_err();
    server.call(ours.trusted()).await.unwrap_err();
    // One that is good and names nobody.
    let nobody = |params: &mut CertificateParams| params.distinguished_name = rcgen::DistinguishedName::new();
    let refused = server.call(of(&nobody, &ours)).await.unwrap_err();
    assert!(refused.contains("not valid"), "{refused}");
    server.stop().await;
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
