use serde_json::json;

use super::*;

/// Keys and tokens that another implementation made.
const VECTORS: &str = include_str!("vectors.json");
const NOW: u64 = 1_800_000_000;

fn vectors() -> (KeySet, Map<String, Value>) {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let tokens = vectors["tokens"].as_object().unwrap().clone();
    (KeySet::parse(VECTORS.as_bytes()).unwrap(), tokens)
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Returns why a token is not verified, if it is not.
fn fault(keys: &KeySet, token: &str) -> Option<&'static str> {
    let verified = Jwt::parse(token).and_then(|jwt| Ok(jwt.verify(keys)?));
    verified.err().map(AuthError::cause)
}

#[test]
fn each_algorithm_verifies_what_another_implementation_signed() {
    let (keys, tokens) = vectors();
    assert_eq!(tokens.len(), 9);
    let settings = JwtSettings {
        issuer: "https://issuer.example".into(),
        audience: "dossier".into(),
        roles_claim: "roles".into(),
    };
    for (name, token) in &tokens {
        let token = token.as_str().unwrap();
        let (claims, _) = Jwt::parse(token).unwrap().verify(&keys).unwrap();
        let (caller, _) = claims.caller(&settings, NOW).unwrap();
        assert_eq!(
            (caller.subject.as_str(), caller.roles.as_slice()),
            ("vector", &["read".to_owned()][..])
        );
        // No bit of it may be another, wherever it is.
        for at in [token.find('.').unwrap() + 5, token.len() - 5] {
            let mut changed = token.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(fault(&keys, &changed).is_some(), "{name} at {at}");
        }
    }
    // The example of RFC 8037, appendix A.4: signed well, and no claims.
    let key = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]});
    let keys = KeySet::parse(key.to_string().as_bytes()).unwrap();
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(
        fault(&keys, token),
        Some("the payload of the JWT is no JSON object")
    );
}

#[test]
fn a_key_verifies_with_its_own_algorithm_alone() {
    let (keys, tokens) = vectors();
    let payload = tokens["RS256"].as_str().unwrap().split('.').nth(1).unwrap();
    let signature = |name: &str| {
        tokens[name]
            .as_str()
            .unwrap()
            .rsplit('.')
            .next()
            .unwrap()
            .to_owned()
    };
    for of_key in tokens.keys() {
        for algorithm in tokens.keys().filter(|algorithm| *algorithm != of_key) {
            let header = encoded(&json!({"alg": algorithm, "kid": of_key}));
            let token = format!("{header}.{payload}.{}", signature(of_key));
            let expected = "the signature of the JWT is not of its key and algorithm";
            assert_eq!(
                fault(&keys, &token),
                Some(expected),
                "{algorithm} with the key of {of_key}"
            );
        }
    }
}

#[test]
fn what_is_not_signed_by_a_public_key_is_refused_before_a_key_is_looked_for() {
    let (keys, tokens) = vectors();
    let payload = tokens["RS256"].as_str().unwrap().split('.').nth(1).unwrap();
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let secret = ring::hmac::Key::new(
        ring::hmac::HMAC_SHA256,
        vectors["keys"][0]["n"].as_str().unwrap().as_bytes(),
    );
    for name in [
        "none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "ES256K", "ES512", "RSA-OAEP", "rs256",
    ] {
        let header = encoded(&json!({"alg": name, "kid": "RS256"}));
        let message = format!("{header}.{payload}");
        let signature = URL_SAFE_NO_PAD.encode(ring::hmac::sign(&secret, message.as_bytes()));
        for signature in [signature.as_str(), ""] {
            let expected = "the algorithm of the JWT is none that is accepted";
            assert_eq!(
                fault(&keys, &format!("{message}.{signature}")),
                Some(expected),
                "{name}"
            );
        }
    }
    let check = |token: &str, expected: &str| assert_eq!(fault(&keys, token), Some(expected), "{token}");
    check("", "not the form of a JWT");
    check("a.b", "not the form of a JWT");
    check("a.b.c.d", "not the form of a JWT");
    check("a.b.c", "the header of the JWT is no JSON object");
    check("W10.b.c", "the header of the JWT is no JSON object");
    check(&"a".repeat(TOKEN_BYTES_MAX + 1), "the JWT is too long");
    let with = |header: Value| format!("{}.{payload}.AAAA", encoded(&header));
    check(
        &with(json!({"alg": "RS256", "crit": ["b64"], "b64": false})),
        "the JWT has critical extensions",
    );
    check(
        &with(json!({"alg": ["RS256"]})),
        "the algorithm of the JWT is none that is accepted",
    );
    check(
        &with(json!({"alg": "RS256", "kid": "other"})),
        "no key has the id of the JWT",
    );
    // Without an id there must be one key alone.
    check(&with(json!({"alg": "RS256"})), "no key has the id of the JWT");
}
