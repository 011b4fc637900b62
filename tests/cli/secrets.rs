//! Canaries in every place where a secret may be, or may be put by mistake: none is told.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use dossier::proto::v1::{
    GetEntityRequest, QueryRequest, entity_service_client::EntityServiceClient,
    sparql_service_client::SparqlServiceClient,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::{
    Request,
    transport::{Certificate, Channel, ClientTlsConfig},
};

use crate::{
    harness::{Ran, Server, dossier, dossier_with},
    traces::collector,
};

const CANARY: &str = "c4n4ryc4n4ry";
/// A key of nobody (RFC 8037, appendix A.2).
const KEYS: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// The files of TLS, and what must not be told of them.
struct Files {
    folder: TempDir,
    authority: String,
    secrets: Vec<String>,
}

fn files() -> Files {
    let folder = TempDir::new().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().pem();
    let pem = key.serialize_pem();
    fs::write(folder.path().join("cert.pem"), certificate).unwrap();
    fs::write(folder.path().join("key.pem"), &pem).unwrap();
    fs::write(folder.path().join("ca.pem"), &authority).unwrap();
    let headers = format!("authorization: Bearer {CANARY}\n");
    fs::write(folder.path().join("headers"), headers).unwrap();
    let lines = pem.lines().filter(|line| !line.starts_with("--"));
    let secrets = lines.map(str::to_owned).chain([CANARY.to_owned()]).collect();
    Files {
        folder,
        authority,
        secrets,
    }
}

impl Files {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn check(&self, place: &str, told: &str) {
        assert!(!told.is_empty(), "{place} is empty");
        for secret in &self.secrets {
            assert!(!told.contains(secret), "{place}: {told}");
        }
    }
}

/// Begins to serve keys at a URL with a canary; it fails from the second time on.
fn serve_keys() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys?key={CANARY}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (index, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let mut request = BufReader::new(&stream).lines().map_while(Result::ok);
            // Up to the line behind the headers.
            assert!(request.any(|line| line.is_empty()));
            let status = if index == 0 {
                "200 OK"
            } else {
                "503 Service Unavailable"
            };
            let length = KEYS.len();
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{KEYS}");
            (&stream).write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}

/// Returns what has the form of a JWT, with canaries.
fn jwt() -> String {
    let header = format!(r#"{{"alg": "EdDSA", "kid": "{CANARY}"}}"#);
    let claims = format!(r#"{{"iss": "{CANARY}", "aud": "{CANARY}", "sub": "{CANARY}", "exp": 1}}"#);
    [header, claims, CANARY.repeat(5)]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .join(".")
}

/// Sends canaries in headers, names and texts, and returns all that it is told.
async fn provoke(url: String, authority: &str, bearer: &str) -> String {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
    let endpoint = Channel::from_shared(url).unwrap().tls_config(tls).unwrap();
    let channel = endpoint.connect().await.unwrap();
    let with_canaries = |name: &'static str| {
        let mut metadata = tonic::metadata::MetadataMap::new();
        metadata.insert("authorization", format!("Bearer {bearer}").parse().unwrap());
        metadata.insert("cookie", CANARY.parse().unwrap());
        metadata.insert("x-request-id", format!("\"{CANARY}\"").parse().unwrap());
        metadata.insert(name, CANARY.parse().unwrap());
        metadata
    };
    let mut told = Vec::new();
    // A header that is read and wrong, and one that nobody reads.
    for name in ["grpc-timeout", "traceparent", "x-api-key"] {
        let mut request = Request::new(GetEntityRequest::default());
        *request.metadata_mut() = with_canaries(name);
        let mut entities = EntityServiceClient::new(channel.clone());
        told.push(format!("{:?}", entities.get_entity(request).await.unwrap_err()));
        let mut request = Request::new(QueryRequest {
            query: "SELECT".to_owned(),
            ..QueryRequest::default()
        });
        *request.metadata_mut() = with_canaries(name);
        let mut sparql = SparqlServiceClient::new(channel.clone());
        let failed = match sparql.query(request).await {
            Ok(mut rows) => rows.get_mut().message().await.unwrap_err(),
            Err(status) => status,
        };
        told.push(format!("{failed:?}"));
    }
    told.concat()
}

/// Does the same over HTTP.
fn provoke_over_http(url: &str, authority: &str, authorization: &str) -> String {
    let certificate = ureq::tls::Certificate::from_pem(authority.as_bytes()).unwrap();
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::new_with_certs(&[certificate]))
        .build();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .tls_config(tls)
        .build()
        .into();
    let get = |path: &str| {
        let mut answer = agent
            .get(format!("{url}{path}"))
            .header("authorization", authorization)
            .header("cookie", CANARY)
            .header("x-request-id", format!("<{CANARY}>"))
            .call()
            .unwrap();
        let headers = format!("{:?}", answer.headers());
        headers + &answer.body_mut().read_to_string().unwrap()
    };
    [
        "/metrics",
        "/readyz",
        "/nowhere",
        "/sparql?query=SELECT",
        "/store?graph=x",
    ]
    .map(get)
    .concat()
}

#[test]
fn no_secret_is_told() {
    let runtime = Runtime::new().unwrap();
    let (collector, received) = collector(&runtime);
    let mut files = files();
    let tokens = files.path("tokens.json");
    let create = [
        "token", "create", "--tokens", &tokens, "--name", "root", "--role", "admin",
    ];
    let token = dossier(&create, "").succeeded();
    fs::write(files.path("token"), &token).unwrap();
    let token = token.trim().to_owned();
    files
        .secrets
        .extend([token.clone(), jwt(), URL_SAFE_NO_PAD.encode(CANARY)]);
    fs::write(files.path("policy.toml"), "[roles.a]\nread = [\"default\"]\n").unwrap();
    let settings = files.path("dossier.toml");
    let named = [
        ("tls-cert", files.path("cert.pem")),
        ("tls-key", files.path("key.pem")),
        ("auth-tokens", tokens),
        ("auth-policy", files.path("policy.toml")),
        ("audit-log", files.path("audit")),
        ("auth-jwks", serve_keys()),
        ("auth-jwt-issuer", "issuer".to_owned()),
        ("auth-jwt-audience", "dossier".to_owned()),
        ("otlp-endpoint", collector),
        ("otlp-headers-file", files.path("headers")),
    ];
    let lines = named.map(|(key, value)| format!("{key} = \"{value}\"\n"));
    fs::write(&settings, lines.concat()).unwrap();
    // One by mistake in the environment.
    let variables = [("DOSSIER_TOKEN", CANARY), ("DOSSIER_PASSWORD", CANARY)];
    let flags = ["--config", &settings, "--log-filter", "info,dossier=debug"];
    let server = Server::start_with(TempDir::new().unwrap(), &flags, &variables);
    let url = server.url().to_owned();
    for bearer in [CANARY, &jwt(), &token, &format!("dossier_{CANARY}")] {
        let told = runtime.block_on(provoke(url.clone(), &files.authority, bearer));
        files.check("errors", &told);
        let told = provoke_over_http(&url, &files.authority, &format!("Bearer {bearer}"));
        files.check("HTTP", &told);
    }
    let told = provoke_over_http(&url, &files.authority, &format!("Basic {CANARY}"));
    files.check("HTTP", &told);
    let (ca, token_file) = (files.path("ca.pem"), files.path("token"));
    let info = [
        "info",
        "--output",
        "json",
        "--ca",
        &ca,
        "--token-file",
        &token_file,
    ];
    files.check("GetServerInfo", &server.run(&info, "").succeeded());
    // No TLS at all, and a key that cannot be used.
    let mut plain = TcpStream::connect(url.trim_start_matches("https://")).unwrap();
    plain
        .write_all(format!("GET /{CANARY} HTTP/1.1\r\n\r\n").as_bytes())
        .unwrap();
    server.hang_up();
    let mut said = server.said_until("the keys of JWTs cannot be fetched");
    fs::write(files.path("key.pem"), format!("{CANARY}\n")).unwrap();
    said += &server.said_until("cannot be read anew");
    files.check("the log", &(said + &server.stop_and_listen()));
    files.check("the audit log", &fs::read_to_string(files.path("audit")).unwrap());
    let traces: Vec<_> = received.try_iter().map(|(spans, _)| spans).collect();
    files.check("traces", &format!("{traces:?}"));
}

#[test]
fn faults_of_settings_tell_no_secret() {
    let files = files();
    let check = |place: &str, ran: Ran| files.check(place, &ran.failed(2, ""));
    let settings = files.path("dossier.toml");
    for wrong in [
        "token",
        "listen",
        "otlp-endpoint",
        "auth-jwks",
        "tls-key = [1]\npassword",
    ] {
        fs::write(&settings, format!("{wrong} = \"http://user:{CANARY}@host/\"\n")).unwrap();
        check(wrong, dossier(&["config", "check", "--config", &settings], ""));
    }
    fs::write(&settings, format!("listen = {CANARY}\n")).unwrap();
    check("syntax", dossier(&["config", "check", "--config", &settings], ""));
    let url = format!("http://user:{CANARY}@host/");
    let variables = [("DOSSIER_OTLP_ENDPOINT", url.as_str())];
    check("a variable", dossier_with(&variables, &["config", "check"], ""));
    fs::write(files.path("headers"), CANARY).unwrap();
    let variables = [("DOSSIER_OTLP_HEADERS_FILE", files.path("headers"))];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let flags = ["config", "check", "--otlp-endpoint", "http://127.0.0.1:1"];
    check("a file of headers", dossier_with(&variables, &flags, ""));
}
