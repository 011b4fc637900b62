//! The name in a client's certificate.

use std::{fmt, sync::Arc};

use super::{AuthError, Caller, Credential, der, is_subject};

/// Who a client's certificate is of, and until when it holds. That its authority made it was checked before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientName {
    caller: Option<Arc<Caller>>,
    /// The last second at which it holds, since 1970.
    expires_at: u64,
    authority: Authority,
}

/// Tells whether the authority of a certificate is one of clients now.
#[derive(Clone)]
struct Authority(Arc<dyn Fn() -> bool + Send + Sync>);

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

impl PartialEq for Authority {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Authority {}

impl ClientName {
    /// Reads a certificate in DER. The name is the one URI of its alternative names, such as that of SPIFFE; without one, the
    /// first common name of its subject. `is_ours` tells whether its authority is one of clients now: they may change.
    pub fn of_certificate(der: &[u8], is_ours: impl Fn() -> bool + Send + Sync + 'static) -> Option<Self> {
        let fields = der::fields(der)?;
        let caller = name(&fields).filter(|name| is_subject(name)).map(|name| Caller {
            subject: name.to_owned(),
            roles: Vec::new(),
            credential: Credential::Certificate,
        });
        Some(Self {
            caller: caller.map(Arc::new),
            expires_at: fields.expires_at,
            authority: Authority(Arc::new(is_ours)),
        })
    }

    /// Tells whether its authority is one of clients now.
    pub fn is_ours(&self) -> bool {
        (self.authority.0)()
    }

    /// Fails once it has expired, or its authority is one of clients no longer. A connection may outlive the certificate that it
    /// began with, and a session that is taken up again brings one that nobody has verified since.
    pub(super) fn confirm(&self, now: u64) -> Result<(), AuthError> {
        if now > self.expires_at {
            return Err(AuthError::Expired);
        }
        if !self.is_ours() {
            return Err(AuthError::Invalid(
                "the authority of the certificate was taken back",
            ));
        }
        Ok(())
    }

    /// Returns from when it holds no longer, in seconds since 1970.
    pub(super) fn expires_at(&self) -> u64 {
        self.expires_at.saturating_add(1)
    }

    /// Returns whose it is.
    pub(super) fn caller(&self, now: u64) -> Result<Arc<Caller>, AuthError> {
        self.confirm(now)?;
        self.caller
            .clone()
            .ok_or(AuthError::Invalid("the certificate names nobody"))
    }
}

fn name<'c>(fields: &der::Fields<'c>) -> Option<&'c str> {
    match fields.uris.as_slice() {
        [] => fields.common_name,
        [uri] => Some(uri),
        // Which one it is to be is not known.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rcgen::{CertificateParams, DnType, KeyPair, SanType, date_time_ymd};

    use super::*;

    fn check(common_name: Option<&str>, uris: &[&str], expected: Option<&str>) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        for uri in uris {
            params
                .subject_alt_names
                .push(SanType::URI((*uri).try_into().unwrap()));
        }
        params.not_after = date_time_ymd(2030, 1, 1);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let is_ours = Arc::new(AtomicBool::new(true));
        let told = Arc::clone(&is_ours);
        let name =
            ClientName::of_certificate(certificate.der(), move || told.load(Ordering::Relaxed)).unwrap();
        let end = 1_893_456_000;
        let caller = name.caller(end).ok();
        assert_eq!(caller.as_ref().map(|caller| caller.subject.as_str()), expected);
        assert_eq!(name.caller(end + 1), Err(AuthError::Expired));
        is_ours.store(false, Ordering::Relaxed);
        assert!(matches!(name.caller(end), Err(AuthError::Invalid(_))));
    }

    #[test]
    fn certificates_name_callers() {
        check(Some("loader"), &[], Some("loader"));
        check(
            Some("loader"),
            &["spiffe://example.org/loader"],
            Some("spiffe://example.org/loader"),
        );
        check(
            None,
            &["spiffe://example.org/loader"],
            Some("spiffe://example.org/loader"),
        );
        check(Some("loader"), &["spiffe://a/1", "spiffe://a/2"], None);
        check(Some("two\nlines"), &[], None);
        check(None, &[], None);
        assert_eq!(ClientName::of_certificate(b"no certificate", || true), None);
    }
}
