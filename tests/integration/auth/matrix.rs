//! Every method of every service, and every path of HTTP, with every fault of a credential.
//!
//! The methods are those that the server itself describes: one that is added is tried without a word here.

use std::future::poll_fn;

use dossier::{auth::Tokens, proto::v1};
use http::{HeaderValue, Method, Request, StatusCode, header};
use prost::Message as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::{Code, Status, body::Body, codegen::Service as _};
use tonic_types::StatusExt as _;

use super::{
    ErrorReason, Issuer, ask, info,
    issuer::{self, RSA_KEY_ID, now_seconds},
    write_tokens,
};
use crate::{harness::Server, http_client::send};

/// The paths of HTTP, and some that there are not.
const PATHS: [&str; 9] = [
    "/sparql",
    "/sparql/",
    "/sparql?query=ASK%7B%7D",
    "/store",
    "/store?default",
    "/store/graph",
    "/changes",
    "/metrics",
    "/nothing",
];
const HTTP_METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
    Method::OPTIONS,
];

/// The paths of all methods but those of health.
fn methods() -> Vec<String> {
    let sets = [
        v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let sets = sets.map(|bytes| prost_types::FileDescriptorSet::decode(bytes).unwrap());
    let files = sets.into_iter().flat_map(|set| set.file);
    let methods = files.flat_map(|file| {
        let package = file.package().to_owned();
        file.service.into_iter().flat_map(move |service| {
            let name = format!("{package}.{}", service.name());
            let methods = service.method.into_iter();
            methods
                .map(move |method| format!("/{name}/{}", method.name()))
                .collect::<Vec<_>>()
        })
    });
    let mut methods: Vec<_> = methods.collect();
    methods.sort_unstable();
    methods.dedup();
    // What there is not must not be told from what there is.
    methods.push("/dossier.v1.NoService/NoMethod".to_owned());
    methods
}

/// Calls every method and path with an `authorization`, all of which must be denied. Returns how many there were.
pub(super) async fn deny_all(
    server: &Server,
    bearer: &str,
    reason: ErrorReason,
    http_status: StatusCode,
) -> usize {
    let authorization = HeaderValue::from_str(&format!("Bearer {bearer}")).unwrap();
    deny(server, &[authorization], reason, http_status).await
}

async fn deny(
    server: &Server,
    authorization: &[HeaderValue],
    reason: ErrorReason,
    http_status: StatusCode,
) -> usize {
    let expected = reason.as_str_name().trim_start_matches("ERROR_REASON_");
    let methods = methods();
    for method in &methods {
        let status = call(server, method, authorization).await;
        let info = status.get_details_error_info().expect(method);
        let outcome = (status.code(), info.reason.as_str());
        assert_eq!(
            outcome,
            (Code::Unauthenticated, expected),
            "{method} {authorization:?}"
        );
        assert!(info.metadata.is_empty());
        let status = call_from_web(server, method, authorization).await;
        let reason = status.get_details_error_info().expect(method).reason;
        assert_eq!(
            (status.code(), reason.as_str()),
            (Code::Unauthenticated, expected),
            "{method} from the web"
        );
    }
    for path in PATHS {
        for method in HTTP_METHODS {
            let mut request = Request::builder().method(&method).uri(path);
            for value in authorization {
                request = request.header(header::AUTHORIZATION, value);
            }
            let response = send(server.address, request.body(String::new()).unwrap())
                .await
                .unwrap();
            assert_eq!(
                response.status(),
                http_status,
                "{method} {path} {authorization:?}"
            );
            let challenge = response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
            let is_missing = reason == ErrorReason::CredentialsMissing;
            assert_eq!(challenge.contains("invalid_token"), !is_missing);
            if method != Method::HEAD {
                let problem: Value = serde_json::from_slice(response.body()).unwrap();
                assert_eq!(problem["reason"], expected, "{method} {path}");
            }
        }
    }
    2 * methods.len() + PATHS.len() * HTTP_METHODS.len()
}

fn request(method: &str, media_type: &'static str, authorization: &[HeaderValue]) -> http::request::Builder {
    let mut request = Request::post(method)
        .header(header::CONTENT_TYPE, media_type)
        .header(header::TE, "trailers");
    for value in authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    request
}

/// Calls with an empty message.
async fn call(server: &Server, method: &str, authorization: &[HeaderValue]) -> Status {
    let uri = format!("http://{}{method}", server.address);
    let request = request(&uri, "application/grpc", authorization);
    let message = http_body_util::Full::new(bytes::Bytes::from_static(&[0; 5]));
    let mut channel = server.channel.clone();
    poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    let response = channel
        .call(request.body(Body::new(message)).unwrap())
        .await
        .unwrap();
    // What is denied is denied at once.
    Status::from_header_map(response.headers()).expect("a status without a body")
}

async fn call_from_web(server: &Server, method: &str, authorization: &[HeaderValue]) -> Status {
    let request = request(method, "application/grpc-web+proto", authorization);
    let response = send(server.address, request.body("\0\0\0\0\0".to_owned()).unwrap())
        .await
        .unwrap();
    Status::from_header_map(response.headers()).expect("a status without a body")
}

#[expect(clippy::too_many_lines, reason = "one table of faults")]
#[tokio::test]
async fn nobody_gets_in_with_a_credential_at_fault() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokens.json");
    let issuer = Issuer::start().await;
    let now = now_seconds();
    let mut tokens = Tokens::default();
    let good = tokens.create("loader", &[], now, None).unwrap();
    let expired = tokens.create("old", &[], now - 100, Some(now - 1)).unwrap();
    let revoked = tokens.create("gone", &[], now, None).unwrap();
    tokens.revoke("gone");
    write_tokens(&path, &tokens);
    let server = Server::start_with(|settings| ask(settings, &path, &issuer)).await;

    let header = json!({"alg": "RS256", "kid": RSA_KEY_ID});
    let jwt = issuer.sign(&issuer.claims());
    let jwt_of_rsa = issuer.sign_with_rsa(&header, &issuer.claims());
    for good in [good.secret(), &jwt, &jwt_of_rsa] {
        info(&server.channel, Some(good)).await.unwrap();
    }

    let invalid = ErrorReason::CredentialsInvalid;
    let claims = issuer.claims();
    let with = |name: &str, value: Value| issuer.sign(&issuer.claims_with(name, value));
    let mut faults = vec![
        ("revoked", revoked.secret().to_owned(), invalid),
        (
            "expired token",
            expired.secret().to_owned(),
            ErrorReason::CredentialsExpired,
        ),
        ("cut token", good.secret()[..20].to_owned(), invalid),
        ("no token of ours", format!("dossier_{}", "A".repeat(43)), invalid),
        ("malformed JWT", "a.b.c".to_owned(), invalid),
        ("cut JWT", jwt[..jwt.len() - 1].to_owned(), invalid),
        (
            "JWT without signature",
            jwt[..=jwt.rfind('.').unwrap()].to_owned(),
            invalid,
        ),
        (
            "expired JWT",
            with("exp", json!(now - 60)),
            ErrorReason::CredentialsExpired,
        ),
        ("JWT without exp", with("exp", Value::Null), invalid),
        (
            "JWT not yet valid",
            with("nbf", json!(now + 600)),
            ErrorReason::CredentialsNotYetValid,
        ),
        (
            "wrong issuer",
            with("iss", json!("https://elsewhere.example")),
            invalid,
        ),
        ("no issuer", with("iss", Value::Null), invalid),
        ("wrong audience", with("aud", json!("other")), invalid),
        ("no audience", with("aud", Value::Null), invalid),
        ("no subject", with("sub", Value::Null), invalid),
        (
            "alg none",
            format!("{}.", issuer::message(&json!({"alg": "none"}), &claims)),
            invalid,
        ),
        (
            "alg none, with a kid",
            format!(
                "{}.",
                issuer::message(&json!({"alg": "none", "kid": "1"}), &claims)
            ),
            invalid,
        ),
        (
            "RS384 by the key of RS256",
            issuer.sign_with_rsa(&json!({"alg": "RS384", "kid": RSA_KEY_ID}), &claims),
            invalid,
        ),
        (
            "RS256 with the id of the other key",
            issuer.sign_with_rsa(&json!({"alg": "RS256", "kid": "1"}), &claims),
            invalid,
        ),
        (
            "unknown key",
            issuer.sign_with_rsa(&json!({"alg": "RS256", "kid": "stranger"}), &claims),
            invalid,
        ),
        (
            "no key id",
            issuer.sign_with_rsa(&json!({"alg": "RS256"}), &claims),
            invalid,
        ),
        (
            "critical extension",
            issuer.sign_with_rsa(
                &json!({"alg": "RS256", "kid": RSA_KEY_ID, "crit": ["x"], "x": 1}),
                &claims,
            ),
            invalid,
        ),
        (
            "key in the header",
            issuer.sign_with_rsa(&json!({"alg": "RS256", "jku": issuer.url()}), &claims),
            invalid,
        ),
    ];
    for secret in issuer.public_texts() {
        let header = json!({"alg": "HS256", "kid": RSA_KEY_ID});
        let signed = issuer::sign_with_secret(&secret, &header, &claims);
        faults.push(("HS256 with the public key", signed, invalid));
    }
    let mut denied = deny(
        &server,
        &[],
        ErrorReason::CredentialsMissing,
        StatusCode::UNAUTHORIZED,
    )
    .await;
    for (name, bearer, reason) in &faults {
        println!("{name}");
        denied += deny_all(&server, bearer, *reason, StatusCode::UNAUTHORIZED).await;
    }
    // Faults of the header itself.
    let header = |text: &str| HeaderValue::from_str(text).unwrap();
    let good = format!("Bearer {}", good.secret());
    for values in [
        vec![header("")],
        vec![header("Bearer")],
        vec![header("Basic YWRtaW46YWRtaW4=")],
        vec![header(good.trim_start_matches("Bearer "))],
        vec![header(&format!("{good} {good}"))],
        vec![header(&good), header(&good)],
        vec![HeaderValue::from_bytes(b"Bearer \xff").unwrap()],
    ] {
        denied += deny(&server, &values, invalid, StatusCode::UNAUTHORIZED).await;
    }
    println!(
        "{} faults, {denied} calls and requests, all denied",
        faults.len() + 8
    );
    // For the id that nobody has the keys were fetched once in ten seconds at most, whoever asked how often.
    let most = 2 + (now_seconds() - now) / 10;
    assert!(
        issuer.fetch_count() as u64 <= most,
        "{} fetches",
        issuer.fetch_count()
    );
    // Probes need no credential.
    for path in ["/healthz", "/readyz"] {
        let response = send(server.address, Request::get(path).body(String::new()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    let check = tonic_health::pb::HealthCheckRequest::default();
    server.health().check(check).await.unwrap();
}

#[tokio::test]
async fn strangers_do_not_have_the_keys_fetched_for_each_id() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokens.json");
    write_tokens(&path, &Tokens::default());
    let issuer = Issuer::start().await;
    let begun = now_seconds();
    let server = Server::start_with(|settings| ask(settings, &path, &issuer)).await;
    for number in 0..1_000 {
        let header = json!({"alg": "RS256", "kid": format!("stranger {number}")});
        let token = issuer.sign_with_rsa(&header, &issuer.claims());
        let status = info(&server.channel, Some(&token)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    let most = 2 + (now_seconds() - begun) / 10;
    assert!(
        issuer.fetch_count() as u64 <= most,
        "{} fetches",
        issuer.fetch_count()
    );
    info(&server.channel, Some(&issuer.sign(&issuer.claims())))
        .await
        .unwrap();
}
