//! What it costs to know who calls: `GetEntity` with 64 callers without credentials, with a token, and with JWTs.
//!
//! ```text
//! cargo bench --bench credentials
//! cargo bench --bench credentials -- --seconds 10
//! ```
//!
//! Server and clients share this machine's cores, so rates are those of the pair. Each round calls with every credential, so that
//! what else the machine does falls on all alike; the median of the rounds is printed.

mod server;

use std::{
    error::Error,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use dossier::{
    auth::Tokens,
    config::{JwksPlace, ServeSettings},
    proto::v1::{GetEntityRequest, entity_service_client::EntityServiceClient},
};
use ring::{
    rand::SystemRandom,
    rsa,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair},
};
use serde_json::json;
use tokio::{sync::oneshot, task::JoinSet};
use tonic::{
    Code, Request,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

type Failure = Box<dyn Error + Send + Sync>;
type Bearer = Option<MetadataValue<Ascii>>;

/// As the server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A key of tests alone.
const RSA_KEY: &[u8] = include_bytes!("../tests/keys/rsa.pk8");
const CONNECTION_COUNT: usize = 8;
const CALLER_COUNT: usize = 64;
const ROUND_COUNT: usize = 5;

fn main() -> Result<(), Failure> {
    let mut time = Duration::from_secs(2);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => {
                time = Duration::from_secs(arguments.next().ok_or("--seconds takes a number")?.parse()?);
            }
            "--bench" => {} // From cargo.
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(time))
}

async fn run(time: Duration) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let bearers = credentials(folder.path())?;
    let (open, _end_of_open) = start(folder.path(), "open", |_| {}).await?;
    let (asking, _end_of_asking) = start(folder.path(), "asking", |settings| {
        settings.auth.tokens = Some(folder.path().join("tokens.json"));
        settings.auth.jwks = Some(JwksPlace::File(folder.path().join("jwks.json")));
        settings.auth.jwt_issuer = Some("bench".to_owned());
        settings.auth.jwt_audience = Some("dossier".to_owned());
    })
    .await?;
    let mut rates = vec![Vec::new(); bearers.len()];
    for _ in 0..ROUND_COUNT {
        for ((_, bearer), rates) in bearers.iter().zip(&mut rates) {
            let address = if bearer.is_some() { asking } else { open };
            rates.push(measure(address, bearer.clone(), time).await?);
        }
    }
    println!("{:<12} {:>12} {:>12}", "credential", "calls/s", "of a token");
    for rates in &mut rates {
        rates.sort_unstable_by(f64::total_cmp);
    }
    let median = |at: usize| rates[at][ROUND_COUNT / 2];
    for (at, (name, _)) in bearers.iter().enumerate() {
        println!("{name:<12} {:>12.0} {:>12.2}", median(at), median(at) / median(1));
    }
    Ok(())
}

/// Makes a token and JWTs, and the files by which a server knows them. The token is the second.
fn credentials(folder: &Path) -> Result<Vec<(&'static str, Bearer)>, Failure> {
    let random = SystemRandom::new();
    let mut tokens = Tokens::default();
    let token = tokens.create("bench", &["read".to_owned()], 0, None)?;
    std::fs::write(folder.join("tokens.json"), tokens.to_text())?;

    let ec = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(ec, &random).map_err(|_| "no key")?;
    let ec = EcdsaKeyPair::from_pkcs8(ec, document.as_ref(), &random).map_err(|_| "no key")?;
    let document = Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| "no key")?;
    let ed = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|_| "no key")?;
    let rsa = RsaKeyPair::from_pkcs8(RSA_KEY).map_err(|_| "no key")?;
    let parts: rsa::PublicKeyComponents<Vec<u8>> = rsa.public().into();
    let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let point = ec.public_key().as_ref();
    let keys = json!({"keys": [
        {"kty": "RSA", "kid": "RS256", "n": encoded(&parts.n), "e": encoded(&parts.e)},
        {"kty": "EC", "crv": "P-256", "kid": "ES256", "x": encoded(&point[1..33]), "y": encoded(&point[33..])},
        {"kty": "OKP", "crv": "Ed25519", "kid": "EdDSA", "x": encoded(ed.public_key().as_ref())},
    ]});
    std::fs::write(folder.join("jwks.json"), keys.to_string())?;

    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_secs();
    let claims =
        json!({"iss": "bench", "aud": "dossier", "sub": "bench", "roles": ["read"], "exp": now + 3_600});
    let message = |name: &str| {
        let header = json!({"alg": name, "kid": name, "typ": "JWT"});
        format!(
            "{}.{}",
            encoded(header.to_string().as_bytes()),
            encoded(claims.to_string().as_bytes())
        )
    };
    let jwt = |name: &str, sign: &dyn Fn(&[u8]) -> Vec<u8>| {
        let message = message(name);
        format!("{message}.{}", encoded(&sign(message.as_bytes())))
    };
    let with_rsa = |message: &[u8]| {
        let mut signature = vec![0; rsa.public().modulus_len()];
        let signed = rsa.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut signature);
        signed.map(|()| signature).unwrap_or_default()
    };
    let on_p256 = |message: &[u8]| {
        let signed = ec.sign(&random, message);
        signed
            .map(|signature| signature.as_ref().to_vec())
            .unwrap_or_default()
    };
    let on_ed25519 = |message: &[u8]| ed.sign(message).as_ref().to_vec();
    let bearer = |text: &str| -> Result<Bearer, Failure> { Ok(Some(format!("Bearer {text}").parse()?)) };
    Ok(vec![
        ("none", None),
        ("token", bearer(token.secret())?),
        ("RS256", bearer(&jwt("RS256", &with_rsa))?),
        ("ES256", bearer(&jwt("ES256", &on_p256))?),
        ("EdDSA", bearer(&jwt("EdDSA", &on_ed25519))?),
    ])
}

/// Starts a server with the shipped data, which stops with the value.
async fn start(
    folder: &Path,
    name: &str,
    adjust: impl FnOnce(&mut ServeSettings),
) -> Result<(SocketAddr, oneshot::Sender<()>), Failure> {
    let mut settings = ServeSettings {
        data_dir: folder.join(name),
        ..ServeSettings::default()
    };
    adjust(&mut settings);
    let (address, stop, _) = server::start(settings).await?;
    Ok((address, stop))
}

/// Returns calls in a second.
async fn measure(address: SocketAddr, bearer: Bearer, time: Duration) -> Result<f64, Failure> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    let mut channels = Vec::new();
    for _ in 0..CONNECTION_COUNT {
        let channel = endpoint.connect().await?;
        // Until the log is replayed.
        while matches!(get(channel.clone(), bearer.clone()).await, Err(status) if status.code() == Code::Unavailable)
        {
        }
        channels.push(channel);
    }
    let start = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLER_COUNT {
        let (channel, bearer) = (channels[caller % CONNECTION_COUNT].clone(), bearer.clone());
        callers.spawn(async move {
            let mut count = 0_u32;
            while start.elapsed() < time {
                get(channel.clone(), bearer.clone()).await?;
                count += 1;
            }
            Ok::<_, Failure>(count)
        });
    }
    let mut count = 0;
    while let Some(caller) = callers.join_next().await {
        count += caller??;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

async fn get(channel: Channel, bearer: Bearer) -> Result<(), tonic::Status> {
    let mut request = Request::new(GetEntityRequest {
        entity: "e:KR".to_owned(),
        page_size: 10,
        ..GetEntityRequest::default()
    });
    if let Some(bearer) = bearer {
        request.metadata_mut().insert("authorization", bearer);
    }
    EntityServiceClient::new(channel).get_entity(request).await?;
    Ok(())
}
