//! An issuer of JWTs, whose keys are behind a real HTTP server.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use ring::{
    hmac,
    rand::SystemRandom,
    rsa,
    signature::{self, EcdsaKeyPair, KeyPair as _, RsaKeyPair},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A key of tests alone.
const RSA_KEY: &[u8] = include_bytes!("../../keys/rsa.pk8");
pub(super) const RSA_KEY_ID: &str = "rsa";

pub(super) fn now_seconds() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

pub(super) fn encoded(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

pub(super) struct Issuer {
    address: SocketAddr,
    rsa: RsaKeyPair,
    ec: Mutex<(String, EcdsaKeyPair)>,
    served: Arc<Served>,
}

#[derive(Default)]
struct Served {
    keys: Mutex<String>,
    is_down: AtomicBool,
    fetch_count: AtomicUsize,
}

fn ec_key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap()
}

impl Issuer {
    /// Begins with a key of RSA and one of P-256.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = Arc::<Served>::default();
        tokio::spawn(serve(listener, Arc::clone(&served)));
        let issuer = Self {
            address,
            rsa: RsaKeyPair::from_pkcs8(RSA_KEY).unwrap(),
            ec: Mutex::new(("1".to_owned(), ec_key())),
            served,
        };
        issuer.publish();
        issuer
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    /// Puts a new key of P-256 into the place of the old one.
    pub(super) fn rotate(&self) {
        let id = format!("{}+", self.ec.lock().unwrap().0);
        *self.ec.lock().unwrap() = (id, ec_key());
        self.publish();
    }

    pub(super) fn go_down(&self) {
        self.served.is_down.store(true, Ordering::SeqCst);
    }

    pub(super) fn come_up(&self) {
        self.served.is_down.store(false, Ordering::SeqCst);
    }

    pub(super) fn fetch_count(&self) -> usize {
        self.served.fetch_count.load(Ordering::SeqCst)
    }

    fn publish(&self) {
        let (id, key) = &*self.ec.lock().unwrap();
        let point = key.public_key().as_ref();
        let rsa: rsa::PublicKeyComponents<Vec<u8>> = self.rsa.public().into();
        let keys = json!({"keys": [
            {"kty": "EC", "crv": "P-256", "kid": id, "alg": "ES256", "use": "sig",
             "x": encoded(&point[1..33]), "y": encoded(&point[33..])},
            {"kty": "RSA", "kid": RSA_KEY_ID, "alg": "RS256", "use": "sig", "n": encoded(rsa.n), "e": encoded(rsa.e)},
        ]});
        *self.served.keys.lock().unwrap() = keys.to_string();
    }

    /// Returns claims that are good.
    pub(super) fn claims(&self) -> Value {
        let now = now_seconds();
        json!({
            "iss": self.url(), "aud": [super::AUDIENCE, "other"], "sub": "somebody", "exp": now + 600, "nbf": now,
            "roles": ["read"],
        })
    }

    /// Returns claims that are good but for one.
    pub(super) fn claims_with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims();
        claims[name] = value;
        claims
    }

    /// Signs with the key of P-256.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let (id, key) = &*self.ec.lock().unwrap();
        let message = message(&json!({"alg": "ES256", "kid": id, "typ": "JWT"}), claims);
        let signature = key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", encoded(signature))
    }

    /// Signs with the key of RSA.
    pub(super) fn sign_with_rsa(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let mut signature = vec![0; self.rsa.public().modulus_len()];
        let random = SystemRandom::new();
        self.rsa
            .sign(
                &signature::RSA_PKCS1_SHA256,
                &random,
                message.as_bytes(),
                &mut signature,
            )
            .unwrap();
        format!("{message}.{}", encoded(signature))
    }

    /// The texts of the public key of RSA that a server could take for a secret.
    pub(super) fn public_texts(&self) -> Vec<Vec<u8>> {
        let der = self.rsa.public_key().as_ref().to_vec();
        let components: rsa::PublicKeyComponents<Vec<u8>> = self.rsa.public().into();
        let base64 = base64::engine::general_purpose::STANDARD.encode(&der);
        let lines: Vec<_> = base64
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let pem = format!(
            "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n",
            lines.join("\n")
        );
        vec![
            der,
            pem.into_bytes(),
            components.n.clone(),
            encoded(components.n).into_bytes(),
            self.served.keys.lock().unwrap().clone().into_bytes(),
        ]
    }
}

pub(super) fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()))
}

/// Signs as HMAC does.
pub(super) fn sign_with_secret(secret: &[u8], header: &Value, claims: &Value) -> String {
    let message = message(header, claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("{message}.{}", encoded(hmac::sign(&key, message.as_bytes())))
}

async fn serve(listener: TcpListener, served: Arc<Served>) {
    while let Ok((stream, _)) = listener.accept().await {
        let served = Arc::clone(&served);
        let answer = service_fn(move |_: http::Request<Incoming>| {
            let served = Arc::clone(&served);
            async move {
                served.fetch_count.fetch_add(1, Ordering::SeqCst);
                let mut response = Response::new(Full::new(Bytes::from(served.keys.lock().unwrap().clone())));
                if served.is_down.load(Ordering::SeqCst) {
                    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                }
                Ok::<_, Infallible>(response)
            }
        });
        tokio::spawn(async move {
            // A client may go away.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}
