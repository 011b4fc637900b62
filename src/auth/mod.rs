//! Who is calling.
//!
//! Every request is made by a [`Caller`], whom the server learns in one place (`server/router.rs`) and hands on as an
//! extension of the request, an `Arc<Caller>`. Nothing here knows of gRPC, of HTTP, or of the graph.

mod authorizer;

use std::sync::Arc;

pub use authorizer::Authorizer;

/// Who makes a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// Who it is: the name of a token, `sub` of a JWT, the name in a certificate.
    pub subject: String,
    /// The names of the roles that the credential brings. What they allow is not said here.
    pub roles: Vec<String>,
    /// What shows who it is.
    pub credential: Credential,
}

/// What shows who a caller is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Credential {
    /// Nothing: the server asks nobody. It listens on loopback alone, or was told to be insecure.
    None,
    /// A token that this server's operator made.
    Token,
    /// A JSON Web Token (RFC 7519).
    Jwt,
    /// A certificate of the connection.
    Certificate,
}

impl Caller {
    /// Returns whoever calls a server that asks nobody.
    pub fn anonymous() -> Self {
        Self {
            subject: "anonymous".to_owned(),
            roles: Vec::new(),
            credential: Credential::None,
        }
    }

    /// Returns whom the log names as the author of what this caller commits; empty if nothing shows who it is.
    pub fn author(&self) -> &str {
        match self.credential {
            Credential::None => "",
            Credential::Token | Credential::Jwt | Credential::Certificate => &self.subject,
        }
    }
}

/// Tells who calls.
#[derive(Debug)]
pub struct Authenticator {
    anonymous: Arc<Caller>,
}

impl Authenticator {
    /// Returns one that asks nobody.
    pub fn open() -> Self {
        Self {
            anonymous: Arc::new(Caller::anonymous()),
        }
    }

    /// Returns who calls.
    pub fn caller(&self) -> Arc<Caller> {
        Arc::clone(&self.anonymous)
    }
}
