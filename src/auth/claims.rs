//! What a JWT claims, once it is verified (RFC 7519, section 4.1).

use serde_json::{Map, Value};

use super::{AuthError, Caller, Credential, JwtSettings, is_subject};

/// How far clocks may differ.
const LEEWAY_SECONDS: f64 = 30.0;
const ROLE_COUNT_MAX: usize = 256;

/// What a JWT claims.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// Returns who makes the request, if the token is for this server and for now, and from when it holds no longer; in seconds
    /// since 1970.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds are exact for 285 million years; none is negative, and what is past all of them stays so"
    )]
    pub(super) fn caller(&self, settings: &JwtSettings, now: u64) -> Result<(Caller, u64), AuthError> {
        let invalid = AuthError::Invalid;
        let now = now as f64;
        if self.0.get("iss").and_then(Value::as_str) != Some(&settings.issuer) {
            return Err(invalid("another issuer"));
        }
        if !self.is_for(&settings.audience) {
            return Err(invalid("another audience"));
        }
        let expires_at = self.time("exp")?.ok_or(invalid("no exp"))? + LEEWAY_SECONDS;
        if now >= expires_at {
            return Err(AuthError::Expired);
        }
        if self
            .time("nbf")?
            .is_some_and(|begins_at| now + LEEWAY_SECONDS < begins_at)
        {
            return Err(AuthError::NotYetValid);
        }
        let subject = self.0.get("sub").and_then(Value::as_str);
        let subject = subject
            .filter(|subject| is_subject(subject))
            .ok_or(invalid("no sub that names a caller"))?;
        let caller = Caller {
            subject: subject.to_owned(),
            roles: self.roles(&settings.roles_claim)?,
            credential: Credential::Jwt,
        };
        Ok((caller, expires_at.ceil() as u64))
    }

    /// `aud` is one text or several.
    fn is_for(&self, audience: &str) -> bool {
        match self.0.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one == audience),
            _ => false,
        }
    }

    /// Returns a time; an error if what is there is none.
    fn time(&self, name: &str) -> Result<Option<f64>, AuthError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => value
                .as_f64()
                .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
                .map(Some)
                .ok_or(AuthError::Invalid("a time of the JWT is no number")),
        }
    }

    /// Returns the names of roles: an array of texts, or one text with blanks between them, as of `scope`. None is no fault.
    fn roles(&self, claim: &str) -> Result<Vec<String>, AuthError> {
        let Some(value) = self.find(claim) else {
            return Ok(Vec::new());
        };
        let names: Option<Vec<&str>> = match value {
            Value::String(text) => Some(text.split_ascii_whitespace().collect()),
            Value::Array(names) => names.iter().map(Value::as_str).collect(),
            _ => None,
        };
        names
            .filter(|names| names.len() <= ROLE_COUNT_MAX && names.iter().all(|name| is_subject(name)))
            .map(|names| names.into_iter().map(str::to_owned).collect())
            .ok_or(AuthError::Invalid("the claim of roles has none that are names"))
    }

    /// A claim whose name has dots, such as a URL, comes before a path.
    fn find(&self, claim: &str) -> Option<&Value> {
        self.0.get(claim).or_else(|| {
            let mut names = claim.split('.');
            let first = self.0.get(names.next()?)?;
            names.try_fold(first, |value, name| value.get(name))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_000_000;

    /// Tries claims that are good but for some.
    #[expect(clippy::needless_pass_by_value, reason = "it is made where it is passed")]
    fn check(changes: Value, expected: Result<&[&str], AuthError>) {
        let mut claims = json!({"iss": "i", "aud": "a", "exp": 1_000_100, "sub": "s", "roles": ["read"]});
        let map = claims.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                map.remove(name);
            } else {
                map.insert(name.clone(), value.clone());
            }
        }
        let settings = JwtSettings {
            issuer: "i".into(),
            audience: "a".into(),
            roles_claim: changes["claim"].as_str().unwrap_or("roles").into(),
        };
        let caller = Claims::new(map.clone()).caller(&settings, NOW);
        let roles = caller
            .as_ref()
            .map(|(caller, _)| caller.roles.iter().map(String::as_str).collect::<Vec<_>>());
        match (roles, expected) {
            (Ok(roles), Ok(expected)) => assert_eq!(roles, expected, "{changes}"),
            (Err(AuthError::Invalid(_)), Err(AuthError::Invalid(_))) => {}
            (Err(error), Err(expected)) => assert_eq!(*error, expected, "{changes}"),
            (roles, expected) => panic!("{changes}: {roles:?}, not {expected:?}"),
        }
    }

    #[test]
    fn claims_are_held_to_this_server_and_this_time() {
        let invalid = || Err(AuthError::Invalid(""));
        check(json!({}), Ok(&["read"]));
        check(json!({"aud": ["b", "a"]}), Ok(&["read"]));
        for wrong in [
            json!({"iss": null}),
            json!({"iss": "j"}),
            json!({"iss": ["i"]}),
            json!({"aud": null}),
            json!({"aud": "b"}),
            json!({"aud": []}),
            json!({"exp": null}),
            json!({"exp": "1000100"}),
            json!({"exp": -1}),
            json!({"nbf": "0"}),
            json!({"sub": null}),
            json!({"sub": ""}),
            json!({"sub": "a\nb"}),
            json!({"sub": "s".repeat(257)}),
            json!({"roles": 1}),
            json!({"roles": [1]}),
        ] {
            check(wrong, invalid());
        }
        check(json!({"sub": "s".repeat(256)}), Ok(&["read"]));
        // At the leeway, and one past it.
        check(json!({"exp": NOW - 29}), Ok(&["read"]));
        check(json!({"exp": NOW - 30}), Err(AuthError::Expired));
        check(json!({"exp": 0.5}), Err(AuthError::Expired));
        check(json!({"nbf": NOW + 30}), Ok(&["read"]));
        check(json!({"nbf": NOW + 31}), Err(AuthError::NotYetValid));
    }

    #[test]
    fn roles_are_found_in_the_claim_that_the_settings_name() {
        check(json!({"roles": null}), Ok(&[]));
        check(json!({"roles": "read write"}), Ok(&["read", "write"]));
        let nested = json!({"claim": "realm_access.roles", "realm_access": {"roles": ["admin"]}});
        check(nested, Ok(&["admin"]));
        let named = json!({"claim": "https://x.example/roles", "https://x.example/roles": ["write"]});
        check(named, Ok(&["write"]));
    }
}
