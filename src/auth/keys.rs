//! Public keys of an issuer of JWTs: a JSON Web Key Set (RFC 7517).
//!
//! Each key has one algorithm, the one that the set says or that of its kind, and verifies nothing made by another. There are
//! only public keys here: `none` and the HMACs, for which a public key could pass as the secret, have no name.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::Value;

const KEY_COUNT_MAX: usize = 100;
/// The shortest modulus that is taken: 2048 bits (RFC 7518, section 3.3).
const MODULUS_BYTES_MIN: usize = 256;
const MODULUS_BYTES_MAX: usize = 1024;

/// How a JWT is signed (RFC 7518, section 3.1; RFC 8037).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// Reads the name that `alg` has.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }
}

/// The keys of an issuer.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Arc<Key>>);

/// Why a text is no key set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeySetFault {
    /// It is not JSON.
    #[error("it is not JSON")]
    Json,
    /// It is other JSON.
    #[error("it has no array `keys` of 100 at most (RFC 7517, section 5)")]
    Shape,
    /// No key of it is of use.
    #[error(
        "it has no public key for signatures with RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA (Ed25519)"
    )]
    NoKey,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    public: Public,
}

#[derive(Clone, Debug, PartialEq)]
enum Public {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// A point of a curve, as its algorithm writes it.
    Point(Vec<u8>),
}

impl KeySet {
    /// Reads a key set. Keys that are of no use here, such as those for encryption, are passed over.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetFault> {
        let value: Value = serde_json::from_slice(text).map_err(|_| KeySetFault::Json)?;
        let listed = value.get("keys").and_then(Value::as_array);
        let listed = listed
            .filter(|listed| listed.len() <= KEY_COUNT_MAX)
            .ok_or(KeySetFault::Shape)?;
        let keys: Vec<_> = listed.iter().filter_map(Key::of_value).map(Arc::new).collect();
        if keys.is_empty() {
            return Err(KeySetFault::NoKey);
        }
        Ok(Self(keys))
    }

    /// Tells whether a key is one of them.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.0.iter().any(|other| **other == *key)
    }

    /// Returns the keys of an id; without an id the only key that there is.
    pub(super) fn find<'k>(&'k self, id: Option<&'k str>) -> impl Iterator<Item = &'k Arc<Key>> {
        let is_only = self.0.len() == 1;
        self.0.iter().filter(move |key| match id {
            Some(id) => key.id.as_deref() == Some(id),
            None => is_only,
        })
    }
}

impl Key {
    fn of_value(value: &Value) -> Option<Self> {
        let text = |field: &str| value.get(field).and_then(Value::as_str);
        if text("use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        if let Some(operations) = value.get("key_ops") {
            let operations = operations.as_array()?;
            operations.iter().find(|operation| *operation == "verify")?;
        }
        let named = match value.get("alg") {
            Some(name) => Some(Algorithm::of_name(name.as_str()?)?),
            None => None,
        };
        let bytes = |field: &str| URL_SAFE_NO_PAD.decode(text(field)?).ok();
        let (public, of_kind) = match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                let (modulus, exponent) = (bytes("n")?, bytes("e")?);
                if !(MODULUS_BYTES_MIN..=MODULUS_BYTES_MAX).contains(&modulus.len()) {
                    return None;
                }
                (Public::Rsa { modulus, exponent }, Algorithm::Rs256)
            }
            ("EC", Some("P-256")) => (point(&bytes("x")?, &bytes("y")?, 32)?, Algorithm::Es256),
            ("EC", Some("P-384")) => (point(&bytes("x")?, &bytes("y")?, 48)?, Algorithm::Es384),
            ("OKP", Some("Ed25519")) => {
                let point = bytes("x").filter(|point| point.len() == 32)?;
                (Public::Point(point), Algorithm::EdDsa)
            }
            _ => return None,
        };
        let algorithm = named.unwrap_or(of_kind);
        let is_rsa = matches!(public, Public::Rsa { .. });
        let is_of_kind = if is_rsa {
            rsa(algorithm).is_some()
        } else {
            algorithm == of_kind
        };
        is_of_kind.then(|| Self {
            id: text("kid").map(str::to_owned),
            algorithm,
            public,
        })
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Tells whether a signature is this key's.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.public {
            Public::Rsa { modulus, exponent } => {
                let Some(parameters) = rsa(self.algorithm) else {
                    return false;
                };
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                key.verify(parameters, message, signature)
            }
            Public::Point(point) => {
                let algorithm: &'static dyn signature::VerificationAlgorithm = match self.algorithm {
                    Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
                    Algorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
                    Algorithm::EdDsa => &signature::ED25519,
                    _ => return false,
                };
                UnparsedPublicKey::new(algorithm, point).verify(message, signature)
            }
        };
        verified.is_ok()
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => return None,
    })
}

/// Returns a point without compression (SEC 1, section 2.3.3).
fn point(x: &[u8], y: &[u8], length: usize) -> Option<Public> {
    let is_whole = x.len() == length && y.len() == length;
    is_whole.then(|| Public::Point([&[4], x, y].concat()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(key: &Value, expected: Option<Algorithm>) {
        let found = Key::of_value(key).map(|key| key.algorithm);
        assert_eq!(found, expected, "{key}");
    }

    #[test]
    fn a_key_has_one_algorithm_of_its_kind() {
        let long = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![0xa5; bytes]);
        let rsa = |more: Value| {
            let mut key = json!({"kty": "RSA", "n": long(256), "e": "AQAB"});
            key.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            key
        };
        check(&rsa(json!({})), Some(Algorithm::Rs256));
        check(
            &rsa(json!({"alg": "PS384", "use": "sig"})),
            Some(Algorithm::Ps384),
        );
        check(&rsa(json!({"key_ops": ["verify"]})), Some(Algorithm::Rs256));
        for of_no_use in [
            json!({"alg": "HS256"}),
            json!({"alg": "none"}),
            json!({"alg": "ES256"}),
            json!({"alg": "EdDSA"}),
            json!({"alg": 1}),
            json!({"use": "enc"}),
            json!({"key_ops": ["encrypt"]}),
            json!({"n": long(255)}),
            json!({"n": long(1025)}),
            json!({"e": "!"}),
            json!({"kty": "oct"}),
        ] {
            check(&rsa(of_no_use), None);
        }
        let ec = |curve: &str, bytes: usize, name: &str| json!({"kty": "EC", "crv": curve, "x": long(bytes), "y": long(bytes), "alg": name});
        check(&ec("P-256", 32, "ES256"), Some(Algorithm::Es256));
        check(&ec("P-384", 48, "ES384"), Some(Algorithm::Es384));
        check(&ec("P-256", 32, "ES384"), None);
        check(&ec("P-256", 32, "RS256"), None);
        check(&ec("P-256", 31, "ES256"), None);
        check(&ec("P-521", 66, "ES512"), None);
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": long(32)});
        check(&ed, Some(Algorithm::EdDsa));
        check(&json!({"kty": "oct", "k": long(32), "alg": "HS256"}), None);
    }

    #[test]
    fn key_sets_are_read_or_refused() {
        let check = |text: &str, expected| assert_eq!(KeySet::parse(text.as_bytes()).map(|_| ()), expected);
        let key = format!(
            r#"{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{}"}}"#,
            "A".repeat(43)
        );
        check(&format!(r#"{{"keys":[{{}}, {key}]}}"#), Ok(()));
        check("", Err(KeySetFault::Json));
        check("{}", Err(KeySetFault::Shape));
        check(r#"{"keys":[]}"#, Err(KeySetFault::NoKey));
        let many = vec![key.as_str(); KEY_COUNT_MAX + 1].join(",");
        check(&format!(r#"{{"keys":[{many}]}}"#), Err(KeySetFault::Shape));
        let one = KeySet::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes()).unwrap();
        assert_eq!(one.find(Some("a")).count(), 1);
        assert_eq!(one.find(Some("b")).count(), 0);
        assert_eq!(one.find(None).count(), 1);
        let two = KeySet::parse(format!(r#"{{"keys":[{key},{key}]}}"#).as_bytes()).unwrap();
        assert_eq!(two.find(None).count(), 0);
    }
}
