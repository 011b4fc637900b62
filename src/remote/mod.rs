//! What the server fetches from elsewhere, and from where it may: nowhere, unless the settings list it.
//!
//! A URL must match a listed [prefix](UrlPrefix) part by part. The host is resolved once, its addresses are
//! [checked](Reach), and the connection goes to one of these. No redirect is followed and no proxy is used.

mod address;
mod client;
mod url;

use std::time::Duration;

pub use address::Reach;
pub use client::{Answer, FetchError, Request, Watch};
pub use url::{AllowList, Target, UrlFault, UrlPrefix};

/// From where what may be fetched, and within which bounds. The default is from nowhere.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RemoteSettings {
    /// Endpoints that SERVICE may ask.
    pub service: AllowList,
    /// Documents that LOAD may read.
    pub load: AllowList,
    /// The bounds.
    pub limits: FetchLimits,
}

/// What bounds one fetch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FetchLimits {
    /// The time that it may take, from the look-up of the host to the last byte.
    pub timeout: Duration,
    /// Bytes of a body, decompressed.
    pub body_bytes_max: usize,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            body_bytes_max: 16 << 20,
        }
    }
}
