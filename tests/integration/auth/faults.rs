//! Tokens and JWTs with every fault that they can have.

use dossier::auth::Tokens;
use http::{HeaderValue, Request, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    ErrorReason, Issuer, ask, info,
    issuer::{self, RSA_KEY_ID, now_seconds},
    matrix::{Door, bearer, deny_all},
    write_tokens,
};
use crate::{harness::Server, http_client::send};

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
    let door = Door::of(&server);
    let mut denied = deny_all(&door, ErrorReason::CredentialsMissing, Vec::new).await;
    for (name, secret, reason) in &faults {
        println!("{name}");
        denied += deny_all(&door, *reason, bearer(secret)).await;
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
        denied += deny_all(&door, invalid, || values.clone()).await;
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
    let mut number = 0;
    let mut show = || {
        number += 1;
        let header = json!({"alg": "RS256", "kid": format!("stranger {number}")});
        bearer(&issuer.sign_with_rsa(&header, &issuer.claims()))()
    };
    let mut denied = 0;
    while denied < 1_000 {
        denied += deny_all(&Door::of(&server), ErrorReason::CredentialsInvalid, &mut show).await;
    }
    println!("{denied} calls and requests, each with a key of its own, all denied");
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
