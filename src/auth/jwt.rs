//! JSON Web Tokens (RFC 7519) as RFC 8725 wants them read: in the compact form, signed, by a key that is known.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    AuthError, Claims,
    keys::{Algorithm, Key, KeySet},
};

const TOKEN_BYTES_MAX: usize = 12 << 10;

/// What a JWT must claim.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JwtSettings {
    /// `iss`.
    pub issuer: String,
    /// What is in `aud`.
    pub audience: String,
    /// The claim with the names of roles; a dot goes into an object, as in `realm_access.roles`.
    pub roles_claim: String,
}

/// A JWT that nobody has verified.
pub(super) struct Jwt<'t> {
    algorithm: Algorithm,
    key_id: Option<String>,
    message: &'t str,
    payload: &'t str,
    signature: Vec<u8>,
}

/// Why a key set does not verify a JWT.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unverified {
    /// It has no key of that id: it may be an old one.
    UnknownKey,
    /// It is not valid, whatever keys there are.
    Invalid(&'static str),
}

impl From<Unverified> for AuthError {
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::UnknownKey => Self::Invalid("no key has the id of the JWT"),
            Unverified::Invalid(cause) => Self::Invalid(cause),
        }
    }
}

impl<'t> Jwt<'t> {
    /// Reads the header of a token; nothing else of it is looked at before its signature is verified.
    pub(super) fn parse(token: &'t str) -> Result<Self, AuthError> {
        let invalid = AuthError::Invalid;
        if token.len() > TOKEN_BYTES_MAX {
            return Err(invalid("the JWT is too long"));
        }
        let (message, signature) = token.rsplit_once('.').ok_or(invalid("not the form of a JWT"))?;
        let (header, payload) = message
            .split_once('.')
            .filter(|(_, payload)| !payload.contains('.'))
            .ok_or(invalid("not the form of a JWT"))?;
        let header = object(header).ok_or(invalid("the header of the JWT is no JSON object"))?;
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        let algorithm = text("alg").and_then(Algorithm::of_name);
        let algorithm = algorithm.ok_or(invalid("the algorithm of the JWT is none that is accepted"))?;
        // What must be understood and is not (RFC 7515, section 4.1.11).
        if header.contains_key("crit") {
            return Err(invalid("the JWT has critical extensions"));
        }
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| invalid("the signature of the JWT is not base64url"))?;
        Ok(Self {
            algorithm,
            key_id: text("kid").map(str::to_owned),
            message,
            payload,
            signature,
        })
    }

    /// Returns what it claims and the key of the set that has signed it, if one has.
    pub(super) fn verify(&self, keys: &KeySet) -> Result<(Claims, Arc<Key>), Unverified> {
        let mut found = keys.find(self.key_id.as_deref()).peekable();
        if found.peek().is_none() {
            return Err(Unverified::UnknownKey);
        }
        let signer = found.find(|key| {
            key.algorithm() == self.algorithm && key.verifies(self.message.as_bytes(), &self.signature)
        });
        let signer = signer.ok_or(Unverified::Invalid(
            "the signature of the JWT is not of its key and algorithm",
        ))?;
        let claims = object(self.payload).map(Claims::new);
        let claims = claims.ok_or(Unverified::Invalid("the payload of the JWT is no JSON object"))?;
        Ok((claims, Arc::clone(signer)))
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    match serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()? {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
