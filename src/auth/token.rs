//! Tokens that the operator makes, and the file that knows them.
//!
//! A token has 256 bits from the system's random numbers, so nobody finds one by guessing, with the file at hand either: its
//! SHA-256 is enough there, and a slow hash with a salt, as passwords need, would only make each call slow. A token is found by
//! its hash: how long that takes tells of the hash of what was sent, from which nobody gets to the token.

use std::{collections::HashMap, fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{AuthError, Caller, Credential, Shown, is_subject, tenure::Evidence};

/// Begins every token, so that scanners of texts and people know one.
const PREFIX: &str = "dossier_";
/// Characters after the prefix: 32 bytes in base64url.
const SECRET_LENGTH: usize = 43;
const HASH_PREFIX: &str = "sha256:";
const TOKEN_COUNT_MAX: usize = 100_000;
const ROLE_COUNT_MAX: usize = 32;
const ID_BYTES: usize = 6;

/// The SHA-256 of a token.
pub(super) type Hash = [u8; 32];

/// Tells whether a text looks like a token.
pub(super) fn is_token(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// The tokens of a server.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    /// In the order of the file.
    records: Vec<TokenRecord>,
    by_hash: HashMap<Hash, (Arc<Caller>, Option<u64>)>,
}

/// What is known of a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenRecord {
    /// Tells it from others of the same name.
    pub id: String,
    /// Whose it is.
    pub name: String,
    /// The names of the roles that it brings.
    pub roles: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub created_at: u64,
    /// When it expires, in seconds since 1970; `None`: never.
    pub expires_at: Option<u64>,
    hash: Hash,
}

/// A token that was just made: the only time that it can be read.
pub struct NewToken {
    /// What is known of it.
    pub record: TokenRecord,
    secret: String,
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken")
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

impl NewToken {
    /// Returns the token itself.
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

/// Why a text is no file of tokens, or a token cannot be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokensFault {
    /// It is not JSON.
    #[error("line {line}, column {column}: it is not JSON")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// It is other JSON.
    #[error("{place}: {expected}")]
    Shape {
        /// Such as `tokens[3].hash`.
        place: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

impl Tokens {
    /// Reads what [`Self::to_text`] writes.
    pub fn parse(text: &str) -> Result<Self, TokensFault> {
        let value: Value = serde_json::from_str(text).map_err(|error| TokensFault::Json {
            line: error.line(),
            column: error.column(),
        })?;
        let listed = value.get("tokens").and_then(Value::as_array);
        let listed = listed.ok_or_else(|| shape("tokens", "expected an array"))?;
        if listed.len() > TOKEN_COUNT_MAX {
            return Err(shape("tokens", "expected 100,000 at most"));
        }
        let mut tokens = Self::default();
        for (index, value) in listed.iter().enumerate() {
            let record = TokenRecord::parse(value)
                .map_err(|(field, expected)| shape(&format!("tokens[{index}].{field}"), expected))?;
            tokens.add(record);
        }
        Ok(tokens)
    }

    /// Returns the text of the file: no token can be got from it.
    pub fn to_text(&self) -> String {
        let records: Vec<Value> = self.records.iter().map(TokenRecord::to_value).collect();
        format!("{:#}\n", json!({ "tokens": records }))
    }

    /// Returns what is known of the tokens, in the order in which they were made.
    pub fn records(&self) -> &[TokenRecord] {
        &self.records
    }

    /// Makes a token.
    pub fn create(
        &mut self,
        name: &str,
        roles: &[String],
        created_at: u64,
        expires_at: Option<u64>,
    ) -> Result<NewToken, TokensFault> {
        if !is_subject(name) {
            return Err(shape("name", SUBJECT_EXPECTED));
        }
        if roles.len() > ROLE_COUNT_MAX || !roles.iter().all(|role| is_subject(role)) {
            return Err(shape("role", SUBJECT_EXPECTED));
        }
        let mut random = [0; 32];
        let mut id = [0; ID_BYTES];
        getrandom::fill(&mut random).map_err(|_| TokensFault::Random)?;
        getrandom::fill(&mut id).map_err(|_| TokensFault::Random)?;
        let secret = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        let record = TokenRecord {
            id: hex(&id),
            name: name.to_owned(),
            roles: roles.to_vec(),
            created_at,
            expires_at,
            hash: hash_of(&secret),
        };
        self.add(record.clone());
        Ok(NewToken { record, secret })
    }

    /// Takes back the token of an id, or all of a name; returns them.
    pub fn revoke(&mut self, id_or_name: &str) -> Vec<TokenRecord> {
        let revoked = |record: &TokenRecord| record.id == id_or_name || record.name == id_or_name;
        let gone: Vec<_> = self.records.extract_if(.., |record| revoked(record)).collect();
        for record in &gone {
            self.by_hash.remove(&record.hash);
        }
        gone
    }

    /// Returns whose a token is.
    pub(super) fn identify(&self, token: &str, now: u64) -> Result<Shown, AuthError> {
        let is_whole = token
            .strip_prefix(PREFIX)
            .is_some_and(|secret| secret.len() == SECRET_LENGTH);
        if !is_whole {
            return Err(AuthError::Invalid("not the form of a token"));
        }
        self.find(hash_of(token), now)
    }

    /// Returns whose the token of a hash is.
    pub(super) fn find(&self, hash: Hash, now: u64) -> Result<Shown, AuthError> {
        match self.by_hash.get(&hash) {
            None => Err(AuthError::Invalid("no such token")),
            Some((_, Some(expires_at))) if *expires_at <= now => Err(AuthError::Expired),
            Some((caller, expires_at)) => Ok(Shown {
                caller: Arc::clone(caller),
                evidence: Evidence::Token {
                    hash,
                    expires_at: *expires_at,
                },
            }),
        }
    }

    fn add(&mut self, record: TokenRecord) {
        let caller = Caller {
            subject: record.name.clone(),
            roles: record.roles.clone(),
            credential: Credential::Token,
        };
        self.by_hash
            .insert(record.hash, (Arc::new(caller), record.expires_at));
        self.records.push(record);
    }
}

const SUBJECT_EXPECTED: &str =
    "expected 1 to 256 bytes of text without control characters, and 32 roles at most";

impl TokenRecord {
    fn parse(value: &Value) -> Result<Self, (&'static str, &'static str)> {
        let text = |field: &'static str| {
            let text = value.get(field).and_then(Value::as_str);
            text.filter(|text| is_subject(text))
                .map(str::to_owned)
                .ok_or((field, SUBJECT_EXPECTED))
        };
        let time = |field: &'static str| match value.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_str()
                .and_then(|text| humantime::parse_rfc3339(text).ok())
                .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
                .map(|time| Some(time.as_secs()))
                .ok_or((field, "expected a time such as 2026-11-30T00:00:00Z")),
        };
        let roles = value.get("roles").and_then(Value::as_array);
        let roles = roles.ok_or(("roles", "expected an array"))?.iter().map(|role| {
            let role = role.as_str().filter(|role| is_subject(role));
            role.map(str::to_owned)
        });
        let roles: Option<Vec<_>> = roles.collect();
        let roles = roles.filter(|roles| roles.len() <= ROLE_COUNT_MAX);
        let hash = value.get("hash").and_then(Value::as_str).and_then(parse_hash);
        Ok(Self {
            id: text("id")?,
            name: text("name")?,
            roles: roles.ok_or(("roles", SUBJECT_EXPECTED))?,
            created_at: time("created_at")?.ok_or(("created_at", "expected a time"))?,
            // A field of another name, such as `expires`, must not make a token that never expires.
            expires_at: match value.as_object() {
                Some(object) if object.keys().all(|key| FIELDS.contains(&key.as_str())) => {
                    time("expires_at")?
                }
                _ => {
                    return Err((
                        "",
                        "expected id, name, roles, created_at, expires_at and hash, and nothing else",
                    ));
                }
            },
            hash: hash.ok_or(("hash", "expected `sha256:` and 64 hexadecimal digits"))?,
        })
    }

    fn to_value(&self) -> Value {
        let mut object = Map::new();
        object.insert("id".to_owned(), self.id.clone().into());
        object.insert("name".to_owned(), self.name.clone().into());
        object.insert("roles".to_owned(), self.roles.clone().into());
        object.insert("created_at".to_owned(), rfc3339(self.created_at).into());
        if let Some(expires_at) = self.expires_at {
            object.insert("expires_at".to_owned(), rfc3339(expires_at).into());
        }
        object.insert(
            "hash".to_owned(),
            format!("{HASH_PREFIX}{}", hex(&self.hash)).into(),
        );
        object.into()
    }
}

const FIELDS: [&str; 6] = ["id", "name", "roles", "created_at", "expires_at", "hash"];

fn rfc3339(seconds: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(time).to_string()
}

fn shape(place: &str, expected: &'static str) -> TokensFault {
    TokensFault::Shape {
        place: place.trim_end_matches('.').to_owned(),
        expected,
    }
}

pub(super) fn hash_of(token: &str) -> Hash {
    Sha256::digest(token).into()
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A text takes all.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn parse_hash(text: &str) -> Option<Hash> {
    let digits = text.strip_prefix(HASH_PREFIX)?;
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_the_file_that_has_only_its_hash() {
        let mut tokens = Tokens::default();
        let made = tokens
            .create("ci", &["write".to_owned()], 1_000, Some(2_000))
            .unwrap();
        let other = tokens.create("ci", &[], 1_000, None).unwrap();
        assert_ne!(made.secret(), other.secret());
        let text = tokens.to_text();
        let secret = made.secret().strip_prefix(PREFIX).unwrap();
        assert!(!text.contains(secret) && !format!("{made:?}{tokens:?}").contains(secret));
        let tokens = Tokens::parse(&text).unwrap();
        assert_eq!(tokens.records(), [made.record.clone(), other.record.clone()]);
        let shown = tokens.identify(made.secret(), 1_999).unwrap();
        let caller = shown.caller();
        assert_eq!(
            (caller.subject.as_str(), caller.roles.as_slice()),
            ("ci", &["write".to_owned()][..])
        );
        assert_eq!(tokens.identify(made.secret(), 2_000), Err(AuthError::Expired));
        assert!(tokens.identify(other.secret(), u64::MAX - 1).is_ok());
        let mut changed = made.secret().to_owned();
        changed.pop();
        for wrong in [
            changed.clone() + "!",
            changed,
            format!("{}A", made.secret()),
            PREFIX.to_owned(),
        ] {
            assert!(
                matches!(tokens.identify(&wrong, 1_500), Err(AuthError::Invalid(_))),
                "{wrong}"
            );
        }
    }

    #[test]
    fn revoked_tokens_are_unknown() {
        let mut tokens = Tokens::default();
        let [first, second, third] = ["a", "a", "b"].map(|name| tokens.create(name, &[], 0, None).unwrap());
        assert_eq!(tokens.revoke(&first.record.id).len(), 1);
        assert!(tokens.identify(first.secret(), 1).is_err());
        assert!(tokens.identify(second.secret(), 1).is_ok());
        assert_eq!(tokens.revoke("a").len(), 1);
        assert!(tokens.identify(second.secret(), 1).is_err());
        assert!(tokens.revoke("a").is_empty());
        assert!(
            Tokens::parse(&tokens.to_text())
                .unwrap()
                .identify(third.secret(), 1)
                .is_ok()
        );
    }

    #[test]
    fn what_is_no_file_of_tokens_is_refused_with_the_place() {
        let good =
            r#"{"id":"1","name":"a","roles":[],"created_at":"2026-01-01T00:00:00Z","hash":"sha256:HASH"}"#
                .replace("HASH", &"0a".repeat(32));
        let check = |text: &str, said: &str| {
            let fault = Tokens::parse(text).unwrap_err().to_string();
            assert!(fault.contains(said), "{text}: {fault}");
        };
        assert_eq!(
            Tokens::parse(&format!(r#"{{"tokens":[{good}]}}"#))
                .unwrap()
                .records()
                .len(),
            1
        );
        check("", "line 1, column 0");
        check("[]", "tokens: expected an array");
        for (from, to, said) in [
            ("\"id\":\"1\"", "\"id\":1", "tokens[0].id"),
            ("\"a\"", "\"\"", "tokens[0].name"),
            ("\"a\"", "\"a\\n\"", "tokens[0].name"),
            ("[]", "[1]", "tokens[0].roles"),
            ("2026-01-01T00:00:00Z", "today", "tokens[0].created_at"),
            ("sha256:0a", "sha256:0", "tokens[0].hash"),
            ("sha256:", "", "tokens[0].hash"),
            (
                "\"roles\"",
                "\"expires\":\"2026-01-01T00:00:00Z\",\"roles\"",
                "tokens[0]: expected id",
            ),
        ] {
            check(&format!(r#"{{"tokens":[{}]}}"#, good.replace(from, to)), said);
        }
    }
}
