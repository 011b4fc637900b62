//! Streams end with what let them in: a credential that expires or is taken back, and a policy that gives less.

use std::{
    fs,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use dossier::{
    auth::Tokens,
    config::{AuditPlace, ServeSettings},
    proto::v1::{
        self, ErrorReason, change_service_client::ChangeServiceClient, import_request::Part,
        sparql_service_client::SparqlServiceClient, watch_response::Frame,
        write_service_client::WriteServiceClient,
    },
};
use http::header;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, DnType};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpStream, sync::mpsc};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    Code, Status, Streaming,
    transport::{Channel, ClientTlsConfig, Identity},
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse, server_reflection_client::ServerReflectionClient,
};

use super::{
    Issuer, by,
    matrix::{Door, deny_all},
    now_seconds, write_tokens,
};
use crate::{
    harness::{Server, check_error, header},
    sparql::ENDLESS,
    tls::{self, Authority},
};

/// How much later than it should a stream may end: the server looks at its files every second.
const DELAY_MAX: Duration = Duration::from_secs(10);

async fn watch(channel: &Channel, bearer: &str) -> Streaming<v1::WatchResponse> {
    let mut changes = ChangeServiceClient::new(channel.clone());
    let watch = changes.watch(by(bearer, v1::WatchRequest::default())).await;
    watch.unwrap().into_inner()
}

/// Reads a stream to its end, which must be an error.
pub(super) async fn end<T>(
    mut frames: impl tokio_stream::Stream<Item = Result<T, Status>> + Unpin,
) -> Status {
    loop {
        if let Err(status) = frames.next().await.expect("a stream ends with a status") {
            return status;
        }
    }
}

async fn get(server: &Server, bearer: &str, path: &str) -> Incoming {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(path)
        .header(header::HOST, server.address.to_string())
        .header(header::AUTHORIZATION, format!("Bearer {bearer}"))
        .header(header::ACCEPT, "*/*")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body()
}

/// Streams of every kind.
struct Streams {
    watch: Streaming<v1::WatchResponse>,
    query: Streaming<v1::QueryResponse>,
    reflection: Streaming<ServerReflectionResponse>,
    import: Streaming<v1::ImportResponse>,
    export: Streaming<v1::ExportResponse>,
    events: Incoming,
    rows: Incoming,
    /// Held so that the import does not end.
    _parts: mpsc::Sender<v1::ImportRequest>,
    _questions: mpsc::Sender<ServerReflectionRequest>,
}

/// Lets results be as long as it takes.
fn without_limits(settings: &mut ServeSettings) {
    settings.query_timeout_max = Duration::from_hours(1);
    settings.query_row_count_max = i64::MAX as u64;
    settings.query_result_bytes_max = i64::MAX as u64;
    settings.query_work_max = i64::MAX as u64;
}

impl Streams {
    async fn open(server: &Server, bearer: &str) -> Self {
        let mut sparql = SparqlServiceClient::new(server.channel.clone());
        let query = v1::QueryRequest {
            query: ENDLESS.to_owned(),
            ..Default::default()
        };
        let mut writes = WriteServiceClient::new(server.channel.clone());
        let mut reflection = ServerReflectionClient::new(server.channel.clone());
        let (questions, asked) = mpsc::channel(1);
        let (parts, stream) = mpsc::channel(1);
        let part = Some(Part::Header(header("nt")));
        parts.send(v1::ImportRequest { part }).await.unwrap();
        // More than the client's window holds: it goes on only while somebody reads.
        let export = v1::ExportRequest {
            format: "nq".to_owned(),
            ..Default::default()
        };
        let rows = "/sparql?query=SELECT%20*%20%7B%20?a%20?b%20?c%20.%20?d%20?e%20?f%20%7D";
        Self {
            watch: watch(&server.channel, bearer).await,
            import: {
                let import = writes.import(by(bearer, ReceiverStream::new(stream))).await;
                import.unwrap().into_inner()
            },
            export: writes.export(by(bearer, export)).await.unwrap().into_inner(),
            events: get(server, bearer, "/changes").await,
            rows: get(server, bearer, rows).await,
            query: sparql.query(by(bearer, query)).await.unwrap().into_inner(),
            reflection: {
                let asked = by(bearer, ReceiverStream::new(asked));
                reflection
                    .server_reflection_info(asked)
                    .await
                    .unwrap()
                    .into_inner()
            },
            _parts: parts,
            _questions: questions,
        }
    }

    /// Waits for the end of all.
    async fn check_end(self, code: Code, reason: ErrorReason) {
        let watched = end(self.watch).await;
        let after = check_error::<()>(Err(watched), code, reason);
        assert!(after["after_revision"].parse::<i64>().unwrap() > 0);
        for status in [
            end(self.query).await,
            end(self.import).await,
            end(self.export).await,
            end(self.reflection).await,
        ] {
            check_error::<()>(Err(status), code, reason);
        }
        let events = self.events.collect().await.unwrap().to_bytes();
        let events = std::str::from_utf8(&events).unwrap();
        let last = events.rsplit_once("event: end\ndata: ").unwrap().1;
        let last: Value = serde_json::from_str(last.trim()).unwrap();
        let name = reason.as_str_name().strip_prefix("ERROR_REASON_");
        assert_eq!(last["reason"].as_str(), name);
        assert_eq!(last["after_revision"].to_string(), after["after_revision"]);
        // They would go on for an hour.
        let mut rows = self.rows;
        while rows.frame().await.expect("rows are broken off").is_ok() {}
    }
}

/// A server that knows tokens, JWTs, and what a policy says.
pub(super) struct Guarded {
    pub(super) server: Server,
    issuer: Issuer,
    pub(super) tokens: Tokens,
    pub(super) folder: TempDir,
}

impl Guarded {
    pub(super) async fn start(policy: &str, tokens: Tokens) -> Self {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        write_tokens(&path("tokens.json"), &tokens);
        fs::write(path("policy.toml"), policy).unwrap();
        let issuer = Issuer::start().await;
        let server = Server::start_with(|settings| {
            super::ask(settings, &path("tokens.json"), &issuer);
            settings.load_shipped_data = true;
            settings.auth.policy = Some(path("policy.toml"));
            settings.auth.audit_log = Some(AuditPlace::File(path("audit.jsonl")));
            settings.auth.jwks_refresh = Duration::from_millis(100);
            settings.query_concurrency_max = 4;
            without_limits(settings);
        })
        .await;
        Self {
            server,
            issuer,
            tokens,
            folder,
        }
    }
}

/// Returns a token with a role.
pub(super) fn token(tokens: &mut Tokens, name: &str, role: &str, expires_at: Option<u64>) -> String {
    let made = tokens.create(name, &[role.to_owned()], 0, expires_at);
    made.unwrap().secret().to_owned()
}

#[tokio::test]
async fn streams_end_when_their_token_expires() {
    let mut tokens = Tokens::default();
    let expires_at = now_seconds() + 8;
    let bearer = token(&mut tokens, "short", "write", Some(expires_at));
    let guarded = Guarded::start("", tokens).await;
    let streams = Streams::open(&guarded.server, &bearer).await;
    streams
        .check_end(Code::Unauthenticated, ErrorReason::CredentialsExpired)
        .await;
    assert!((expires_at..=expires_at + DELAY_MAX.as_secs()).contains(&now_seconds()));
    // Of each the audit log tells.
    let audit = fs::read_to_string(guarded.folder.path().join("audit.jsonl")).unwrap();
    let lines: Vec<Value> = audit
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        lines
            .iter()
            .all(|line| line["event"] == "lapse" && line["subject"] == "short" && line["cause"] == "expired"),
        "{audit}"
    );
    let mut methods: Vec<_> = lines
        .iter()
        .map(|line| line["method"].as_str().unwrap())
        .collect();
    methods.sort_unstable();
    let all = [
        "/changes",
        "/dossier.v1.ChangeService/Watch",
        "/dossier.v1.SparqlService/Query",
        "/dossier.v1.WriteService/Export",
        "/dossier.v1.WriteService/Import",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/sparql",
    ];
    assert_eq!(methods, all, "{audit}");
}

#[tokio::test]
async fn streams_end_when_their_token_is_revoked_and_no_others_do() {
    let mut tokens = Tokens::default();
    let [gone, stays] = ["gone", "stays"].map(|name| token(&mut tokens, name, "write", None));
    let mut guarded = Guarded::start("", tokens).await;
    let streams = Streams::open(&guarded.server, &gone).await;
    let mut other = watch(&guarded.server.channel, &stays).await;
    assert_eq!(guarded.tokens.revoke("gone").len(), 1);
    write_tokens(&guarded.folder.path().join("tokens.json"), &guarded.tokens);
    let revoked_at = Instant::now();
    streams
        .check_end(Code::Unauthenticated, ErrorReason::CredentialsInvalid)
        .await;
    assert!(revoked_at.elapsed() < DELAY_MAX);
    let mut sparql = SparqlServiceClient::new(guarded.server.channel.clone());
    let update = v1::UpdateRequest {
        update: "INSERT DATA { e:a e:b 1 }".to_owned(),
        ..Default::default()
    };
    sparql.update(by(&stays, update)).await.unwrap();
    while !matches!(
        other.message().await.unwrap().unwrap().frame,
        Some(Frame::Commit(_))
    ) {}
}

#[tokio::test]
async fn streams_end_with_their_jwt_and_its_key() {
    let guarded = Guarded::start("", Tokens::default()).await;
    let claims = |exp: u64| {
        let mut claims = guarded.issuer.claims_with("exp", json!(exp));
        claims["roles"] = json!(["write"]);
        claims
    };
    // It is good for 30 seconds more than it says.
    let short = guarded.issuer.sign(&claims(now_seconds() - 22));
    let long = guarded.issuer.sign(&claims(now_seconds() + 600));
    let streams = Streams::open(&guarded.server, &short).await;
    streams
        .check_end(Code::Unauthenticated, ErrorReason::CredentialsExpired)
        .await;
    let streams = Streams::open(&guarded.server, &long).await;
    guarded.issuer.rotate();
    streams
        .check_end(Code::Unauthenticated, ErrorReason::CredentialsInvalid)
        .await;
}

#[tokio::test]
async fn streams_end_when_the_policy_gives_less_and_not_when_it_gives_more() {
    const TWO: &str = "[roles.some]\nwrite = [\"default\"]\nread = [\"http://ex/a\"]\n";
    let mut tokens = Tokens::default();
    let bearer = token(&mut tokens, "some", "some", None);
    let guarded = Guarded::start(TWO, tokens).await;
    let file = guarded.folder.path().join("policy.toml");
    let say = |policy: &str| fs::write(&file, policy).unwrap();
    let streams = Streams::open(&guarded.server, &bearer).await;
    say(&TWO.replace("\"http://ex/a\"", "\"http://ex/a\", \"http://ex/b\""));
    // Who may read that says that the policy was read anew.
    let insert = "INSERT DATA { GRAPH <http://ex/b> { e:a e:b 1 } }";
    say(&TWO.replace("\"default\"", "\"default\", \"http://ex/b\""));
    let mut sparql = SparqlServiceClient::new(guarded.server.channel.clone());
    let update = v1::UpdateRequest {
        update: insert.to_owned(),
        ..Default::default()
    };
    while sparql.update(by(&bearer, update.clone())).await.is_err() {}
    say("[roles.some]\nwrite = [\"default\"]\n");
    streams
        .check_end(Code::PermissionDenied, ErrorReason::AccessReduced)
        .await;
    let streams = Streams::open(&guarded.server, &bearer).await;
    say("");
    streams
        .check_end(Code::PermissionDenied, ErrorReason::NoRole)
        .await;
}

#[tokio::test]
async fn a_watch_ends_with_the_certificate_of_its_connection() {
    let folder = TempDir::new().unwrap();
    let ours = Authority::new();
    ours.certify_into(folder.path());
    let server = tls::Server::start_with(folder.path(), Some(&ours), |settings| {
        settings.auth.certificate_roles = vec!["read".to_owned()];
    })
    .await;
    let (certificate, key) = ours.certify_with(&|params: &mut CertificateParams| {
        params.distinguished_name.push(DnType::CommonName, "short");
        params.not_after = (SystemTime::now() + Duration::from_secs(6)).into();
    });
    let identity: ClientTlsConfig = ours.trusted().identity(Identity::from_pem(certificate, key));
    let channel = server.call(identity).await.unwrap();
    let mut changes = ChangeServiceClient::new(channel.clone());
    let watch = changes.watch(v1::WatchRequest::default()).await.unwrap();
    let status = end(watch.into_inner()).await;
    check_error::<()>(
        Err(status),
        Code::Unauthenticated,
        ErrorReason::CredentialsExpired,
    );
    // Nor is anything else to be had on it.
    let door = Door::of_channel(channel);
    deny_all(&door, ErrorReason::CredentialsExpired, Vec::new).await;
    drop(door);
    server.stop().await;
}
