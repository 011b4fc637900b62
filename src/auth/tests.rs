use std::sync::atomic::{AtomicUsize, Ordering};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::{StreamExt as _, stream::FuturesUnordered};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use super::*;

const HOUR: std::time::Duration = std::time::Duration::from_hours(1);

/// An issuer of JWTs with one key.
struct Issuer {
    key: Ed25519KeyPair,
    id: String,
}

impl Issuer {
    fn new(id: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self {
            key: Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap(),
            id: id.to_owned(),
        }
    }

    fn keys(&self) -> Vec<u8> {
        let x = URL_SAFE_NO_PAD.encode(self.key.public_key());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": x}]})
            .to_string()
            .into_bytes()
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "EdDSA", "kid": self.id}).to_string();
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn good(&self) -> String {
        self.sign(&json!({"iss": "i", "aud": "a", "sub": "s", "exp": now_seconds() + 60}))
    }
}

fn settings() -> JwtSettings {
    JwtSettings {
        issuer: "i".into(),
        audience: "a".into(),
        roles_claim: "roles".into(),
    }
}

async fn caller(authenticator: &Authenticator, authorization: &str) -> Result<Arc<Caller>, AuthError> {
    let presented = Presented {
        authorization: Some(authorization.as_bytes()),
        certificate: None,
    };
    let shown = authenticator.identify(presented).await?;
    Ok(Arc::clone(shown.caller()))
}

#[tokio::test]
async fn callers_are_told_by_what_they_present() {
    let open = Authenticator::open();
    assert_eq!(
        open.identify(Presented::default())
            .await
            .unwrap()
            .caller()
            .author(),
        ""
    );
    // Who is asked nothing cannot be wrong.
    assert!(caller(&open, "Bearer nonsense").await.is_ok());

    let mut tokens = Tokens::default();
    let made = tokens.create("ci", &["write".to_owned()], 0, None).unwrap();
    let issuer = Issuer::new("1");
    let keys = KeySet::parse(&issuer.keys()).unwrap();
    let authenticator = Authenticator::open()
        .with_tokens(Arc::new(ArcSwap::from_pointee(tokens)))
        .with_jwt(settings(), Keys::Local(Arc::new(ArcSwap::from_pointee(keys))));
    assert_eq!(
        authenticator.identify(Presented::default()).await,
        Err(AuthError::Missing)
    );
    let secret = made.secret();
    for good in [format!("Bearer {secret}"), format!("bearer {secret}")] {
        assert_eq!(caller(&authenticator, &good).await.unwrap().author(), "ci");
    }
    let by_jwt = caller(&authenticator, &format!("Bearer {}", issuer.good()))
        .await
        .unwrap();
    assert_eq!((by_jwt.author(), by_jwt.credential), ("s", Credential::Jwt));
    for wrong in [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        "Basic YTpi".into(),
        secret.to_owned(),
        format!("Bearer  {secret}"),
        format!("Bearer {secret} "),
        format!("Bearer {secret},Bearer {secret}"),
        "Bearer \u{e9}".into(),
    ] {
        let outcome = caller(&authenticator, &wrong).await;
        assert!(
            matches!(outcome, Err(AuthError::Invalid(_))),
            "{wrong}: {outcome:?}"
        );
    }
    // Certificates were not asked for.
    assert!(!format!("{authenticator:?}").contains(secret));
}

#[tokio::test]
async fn keys_are_fetched_for_new_ids_but_not_for_each() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let served = Arc::new(ArcSwap::from_pointee(old.keys()));
    let count = Arc::new(AtomicUsize::new(0));
    let cache = {
        let (served, count) = (Arc::clone(&served), Arc::clone(&count));
        let times = KeyTimes {
            refresh_after: HOUR,
            expire_after: HOUR,
        };
        KeyCache::new(times, move || {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(served.load().to_vec())
        })
    };
    let authenticator = Authenticator::open().with_jwt(settings(), Keys::Remote(Arc::new(cache)));
    let bearer = |token: String| format!("Bearer {token}");
    for _ in 0..10 {
        caller(&authenticator, &bearer(old.good())).await.unwrap();
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
    served.store(Arc::new(new.keys()));
    for id in 0..100 {
        let stranger = Issuer::new(&format!("stranger {id}"));
        let outcome = caller(&authenticator, &bearer(stranger.good())).await;
        assert!(matches!(outcome, Err(AuthError::Invalid(_))));
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn keys_are_fetched_at_once_where_the_operator_says_so() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let served = Arc::new(ArcSwap::from_pointee(old.keys()));
    let times = KeyTimes {
        refresh_after: HOUR,
        expire_after: HOUR,
    };
    let cache = {
        let served = Arc::clone(&served);
        Arc::new(KeyCache::new(times, move || Ok(served.load().to_vec())))
    };
    let keys = Keys::Remote(Arc::clone(&cache));
    let authenticator = Authenticator::open().with_jwt(settings(), keys);
    let [old_token, new_token] = [&old, &new].map(|issuer| format!("Bearer {}", issuer.good()));
    caller(&authenticator, &old_token).await.unwrap();
    served.store(Arc::new(new.keys()));
    // A moment ago they were fetched.
    assert!(caller(&authenticator, &new_token).await.is_err());
    cache.refresh().await;
    caller(&authenticator, &new_token).await.unwrap();
    assert!(caller(&authenticator, &old_token).await.is_err());
}

#[tokio::test]
async fn keys_that_have_expired_verify_nothing() {
    let issuer = Issuer::new("1");
    let keys = Arc::new(ArcSwap::from_pointee(Some(issuer.keys())));
    let cache = {
        let keys = Arc::clone(&keys);
        let times = KeyTimes {
            refresh_after: std::time::Duration::ZERO,
            expire_after: std::time::Duration::from_millis(50),
        };
        KeyCache::new(times, move || {
            Option::clone(&keys.load()).ok_or_else(|| "out of reach".to_owned())
        })
    };
    let cache = Arc::new(cache);
    let keys_of_url = Keys::Remote(Arc::clone(&cache));
    let authenticator = Authenticator::open().with_jwt(settings(), keys_of_url);
    let token = format!("Bearer {}", issuer.good());
    caller(&authenticator, &token).await.unwrap();
    keys.store(Arc::new(None));
    // It verifies until the keys are too old, and nothing from then on.
    while caller(&authenticator, &token).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(caller(&authenticator, &token).await, Err(AuthError::Unverifiable));
    let failure_count = cache.failure_count();
    assert!(failure_count > 0);
    keys.store(Arc::new(Some(b"no keys".to_vec())));
    assert_eq!(caller(&authenticator, &token).await, Err(AuthError::Unverifiable));
    assert!(cache.failure_count() > failure_count);
    keys.store(Arc::new(Some(issuer.keys())));
    caller(&authenticator, &token).await.unwrap();
}

#[tokio::test]
async fn a_jwt_is_verified_once_for_each_key_set() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let set = |issuer: &Issuer| Arc::new(KeySet::parse(&issuer.keys()).unwrap());
    let keys = Arc::new(ArcSwap::new(set(&old)));
    let authenticator = Authenticator::open().with_jwt(settings(), Keys::Local(Arc::clone(&keys)));
    let bearer = format!("Bearer {}", old.good());
    let hash = token::hash_of(bearer.strip_prefix("Bearer ").unwrap());
    let is_kept = || {
        authenticator
            .verified
            .find(&keys.load_full(), &hash, now_seconds())
            .is_some()
    };
    assert!(!is_kept());
    let first = caller(&authenticator, &bearer).await.unwrap();
    assert!(is_kept());
    // It is the very same caller: nothing was read or verified again.
    assert!(Arc::ptr_eq(
        &first,
        &caller(&authenticator, &bearer).await.unwrap()
    ));
    keys.store(set(&new));
    assert!(matches!(
        caller(&authenticator, &bearer).await,
        Err(AuthError::Invalid(_))
    ));
    assert!(!is_kept());
    keys.store(set(&old));
    assert_eq!(*caller(&authenticator, &bearer).await.unwrap(), *first);
    // One that is not good is not kept.
    let wrong = format!("{bearer}x");
    assert!(caller(&authenticator, &wrong).await.is_err());
    let hash = token::hash_of(wrong.strip_prefix("Bearer ").unwrap());
    assert!(authenticator.verified.find(&keys.load_full(), &hash, 0).is_none());
}

#[tokio::test]
async fn few_wait_for_keys_and_others_hear_it_at_once() {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
    const WAITING_COUNT_MAX: usize = 32;
    const REFUSED_COUNT: usize = 10;
    let issuer = Issuer::new("1");
    let (answer, answers) = std::sync::mpsc::channel::<()>();
    let answers = std::sync::Mutex::new(answers);
    let (keys, times) = (
        issuer.keys(),
        KeyTimes {
            refresh_after: HOUR,
            expire_after: HOUR,
        },
    );
    let cache = KeyCache::new(times, move || {
        // An error says that the test is over.
        let _ = answers.lock().unwrap().recv();
        Ok(keys.clone())
    });
    let authenticator = Authenticator::open().with_jwt(settings(), Keys::Remote(Arc::new(cache)));
    let token = format!("Bearer {}", issuer.good());
    let mut asking: FuturesUnordered<_> = (0..WAITING_COUNT_MAX + REFUSED_COUNT)
        .map(|_| caller(&authenticator, &token))
        .collect();
    for _ in 0..REFUSED_COUNT {
        let outcome = tokio::time::timeout(PATIENCE, asking.next()).await;
        assert_eq!(outcome.unwrap(), Some(Err(AuthError::Unverifiable)));
    }
    answer.send(()).unwrap();
    let outcomes: Vec<_> = asking.collect().await;
    assert_eq!(outcomes.len(), WAITING_COUNT_MAX);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    // Those who came with a key that there is not wait for nothing now, however many they are.
    let stranger = format!("Bearer {}", Issuer::new("stranger").good());
    let asking = (0..2 * WAITING_COUNT_MAX).map(|_| caller(&authenticator, &stranger));
    for outcome in futures::future::join_all(asking).await {
        assert!(matches!(outcome, Err(AuthError::Invalid(_))), "{outcome:?}");
    }
}
