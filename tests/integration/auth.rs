//! Who calls: every method and every path, with every fault that a credential can have.

mod audit;
mod certificates;
mod faults;
mod frames;
mod graphs;
mod issuer;
mod limits;
mod matrix;
mod names;
mod streams;

use std::{path::Path, time::Duration};

use dossier::{
    auth::Tokens,
    config::ServeSettings,
    proto::v1::{ErrorReason, GetServerInfoRequest, admin_service_client::AdminServiceClient},
};
use tempfile::TempDir;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::harness::{Server, check_error, connect};
use issuer::{Issuer, now_seconds};
use matrix::{Door, bearer, deny_all};

const AUDIENCE: &str = "dossier";

/// Makes the settings those of a server that accepts tokens of a file, and JWTs of an issuer.
fn ask(settings: &mut ServeSettings, tokens: &Path, issuer: &Issuer) {
    settings.load_shipped_data = false;
    settings.auth.tokens = Some(tokens.to_owned());
    settings.auth.jwks = Some(dossier::config::JwksPlace::Url(Box::new(
        issuer.url().parse().unwrap(),
    )));
    settings.auth.jwt_issuer = Some(issuer.url());
    settings.auth.jwt_audience = Some(AUDIENCE.to_owned());
    settings.validate().unwrap();
}

/// Puts tokens into a file at once, as `dossier token` does.
fn write_tokens(path: &Path, tokens: &Tokens) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, tokens.to_text()).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

/// Returns a request that shows a token.
fn by<T>(bearer: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {bearer}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// Asks for what every caller may have.
async fn info(channel: &Channel, bearer: Option<&str>) -> Result<(), Status> {
    let request = match bearer {
        Some(bearer) => by(bearer, GetServerInfoRequest {}),
        None => Request::new(GetServerInfoRequest {}),
    };
    let mut admin = AdminServiceClient::new(channel.clone());
    match admin.get_server_info(request).await {
        // Who calls is known: what they may do is another matter.
        Err(status) if status.code() == Code::PermissionDenied => Ok(()),
        answer => answer.map(|_| ()),
    }
}

#[tokio::test]
async fn tokens_are_read_anew_when_their_file_changes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokens.json");
    let issuer = Issuer::start().await;
    let mut tokens = Tokens::default();
    let first = tokens
        .create("loader", &["write".to_owned()], now_seconds(), None)
        .unwrap();
    write_tokens(&path, &tokens);
    let server = Server::start_with(|settings| ask(settings, &path, &issuer)).await;
    info(&server.channel, Some(first.secret())).await.unwrap();
    let second = tokens.create("reader", &[], now_seconds(), None).unwrap();
    assert_eq!(tokens.revoke(&first.record.id).len(), 1);
    write_tokens(&path, &tokens);
    while info(&server.channel, Some(second.secret())).await.is_err() {
        tokio::task::yield_now().await;
    }
    let revoked = info(&server.channel, Some(first.secret())).await;
    check_error(revoked, Code::Unauthenticated, ErrorReason::CredentialsInvalid);
    // What is no file of tokens revokes none and lets nobody in.
    std::fs::write(&path, "{}").unwrap();
    info(&server.channel, Some(second.secret())).await.unwrap();
}

#[tokio::test]
async fn a_connection_on_which_nobody_is_let_in_ends() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokens.json");
    let mut tokens = Tokens::default();
    let good = tokens.create("loader", &[], now_seconds(), None).unwrap();
    write_tokens(&path, &tokens);
    let server = Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.auth.tokens = Some(path);
        settings.connections.idle_max = Duration::from_secs(3);
    })
    .await;
    let [caller, stranger] = [connect(server.address).await, connect(server.address).await];
    info(&caller, Some(good.secret())).await.unwrap();
    info(&stranger, Some("guessed")).await.unwrap_err();
    let watch = async |channel| {
        let mut health = HealthClient::new(channel);
        let mut states = health
            .watch(HealthCheckRequest::default())
            .await
            .unwrap()
            .into_inner();
        let state = states.message().await.unwrap().unwrap();
        assert_eq!(state.status(), ServingStatus::Serving);
        states
    };
    let (mut stays, mut ends) = (watch(caller).await, watch(stranger).await);
    check_error(ends.message().await, Code::Unavailable, ErrorReason::Unavailable);
    server.shutdown.send(()).unwrap();
    let state = stays.message().await.unwrap().unwrap();
    assert_eq!(state.status(), ServingStatus::NotServing);
    server.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn keys_of_the_issuer_change() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokens.json");
    write_tokens(&path, &Tokens::default());
    let issuer = Issuer::start().await;
    let server = Server::start_with(|settings| {
        ask(settings, &path, &issuer);
        settings.auth.jwks_refresh = std::time::Duration::from_millis(100);
        settings.auth.jwks_age_max = std::time::Duration::from_millis(400);
    })
    .await;
    let old = issuer.sign(&issuer.claims());
    info(&server.channel, Some(&old)).await.unwrap();
    issuer.rotate();
    let new = issuer.sign(&issuer.claims());
    while info(&server.channel, Some(&new)).await.is_err() {
        tokio::task::yield_now().await;
    }
    // The key that was taken back.
    let outcome = info(&server.channel, Some(&old)).await;
    check_error(outcome, Code::Unauthenticated, ErrorReason::CredentialsInvalid);
    // Where no keys are to be had, those that were stay for a while, and then nothing is good.
    issuer.go_down();
    info(&server.channel, Some(&new)).await.unwrap();
    while info(&server.channel, Some(&new)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let outcome = info(&server.channel, Some(&new)).await;
    check_error(
        outcome,
        Code::Unauthenticated,
        ErrorReason::CredentialsUnverifiable,
    );
    let door = Door::of(&server);
    let denied = deny_all(&door, ErrorReason::CredentialsUnverifiable, bearer(&new)).await;
    println!("{denied} methods and paths denied while the keys were out of reach");
    issuer.come_up();
    while info(&server.channel, Some(&new)).await.is_err() {
        tokio::task::yield_now().await;
    }
}
