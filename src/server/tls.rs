//! TLS: the server's certificate, those of its clients, and both anew when their files change.
//!
//! TLS 1.2 and 1.3 with the ciphers that rustls has, which are all of today's; HTTP/2 and HTTP/1.1 by ALPN (RFC 7301).

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use prometheus_client::metrics::gauge::Gauge;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _};
use tokio::{net::TcpStream, sync::watch};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::ring,
        server::{VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier},
    },
    server::TlsStream,
};

use super::fresh::Fresh;
use crate::{auth::ClientName, config::TlsFiles};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: rustls_pki_types::pem::Error,
    },
    /// A file has no certificate.
    #[error("{path}: it has no certificate in PEM", path = .0.display())]
    NoCertificate(PathBuf),
    /// The key is of another certificate, or neither can be used.
    #[error("the certificate and its key cannot be used: {0}")]
    Certificate(#[from] rustls::Error),
    /// The authorities of clients cannot be used.
    #[error("{path}: {error}", path = path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: VerifierBuilderError,
    },
}

/// Why a client is not connected.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    /// Strangers cause it as well: it cannot be read or written, or is no TLS of ours.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Of a certificate that cannot be read neither end nor authority could be asked for again.
    #[error("its certificate is of our authorities and cannot be read")]
    Certificate,
}

/// What TLS is done with. Connections that are open keep what they began with, but for their clients' authorities.
pub(super) struct Tls {
    files: Arc<Fresh<Terms, TlsError>>,
    terms: Arc<ArcSwap<Terms>>,
}

/// What the files come to.
struct Terms {
    config: Arc<ServerConfig>,
    /// Knows the certificates of clients, if they must have one.
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl Terms {
    /// Tells whether a client's chain of certificates is good.
    fn accept(&self, chain: &[CertificateDer<'_>]) -> bool {
        let (Some(clients), Some((certificate, between))) = (&self.clients, chain.split_first()) else {
            return false;
        };
        let verified = clients.verify_client_cert(certificate, between, UnixTime::now());
        verified.is_ok()
    }
}

impl Tls {
    /// Reads the files, and marks `renewed` whenever they were read anew; `stale` counts them while that cannot be done.
    pub(super) fn load(
        files: TlsFiles,
        renewed: &watch::Sender<()>,
        stale: &Gauge,
    ) -> Result<Self, TlsError> {
        let paths = [
            Some(&files.certificate),
            Some(&files.key),
            files.client_authorities.as_ref(),
        ];
        let paths = paths.into_iter().flatten().cloned().collect();
        let files = Fresh::load("the TLS certificates", paths, move || terms(&files))?;
        Ok(Self {
            terms: files.value(),
            files: Arc::new(files.telling(renewed, stale)),
        })
    }

    /// Returns what does the next connection's handshake.
    pub(super) fn handshake(&self) -> Handshake {
        Handshake {
            terms: self.terms.load_full(),
            newest: Arc::clone(&self.terms),
        }
    }

    /// Reads the files anew whenever they have changed.
    pub(super) fn keep_fresh(&self) -> impl Future<Output = ()> + use<> {
        Arc::clone(&self.files).keep()
    }
}

/// The handshake of one connection.
pub(super) struct Handshake {
    terms: Arc<Terms>,
    newest: Arc<ArcSwap<Terms>>,
}

impl Handshake {
    /// Shakes hands, and returns the name in the client's certificate, which it has verified.
    pub(super) async fn shake(
        self,
        stream: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, Option<Arc<ClientName>>), HandshakeError> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.terms.config));
        let stream = acceptor.accept(stream).await?;
        let Some(chain) = stream.get_ref().1.peer_certificates() else {
            return Ok((stream, None));
        };
        let name = self.name(chain.to_vec()).ok_or(HandshakeError::Certificate)?;
        Ok((stream, Some(Arc::new(name))))
    }

    fn name(self, chain: Vec<CertificateDer<'static>>) -> Option<ClientName> {
        let certificate = chain.first()?.clone();
        let checked = Mutex::new((self.terms, true));
        let newest = self.newest;
        ClientName::of_certificate(&certificate, move || {
            let newest = newest.load();
            let mut checked = checked.lock().unwrap_or_else(PoisonError::into_inner);
            let (terms, is_good) = &mut *checked;
            if !Arc::ptr_eq(terms, &newest) {
                *is_good = newest.accept(&chain);
                *terms = Arc::clone(&newest);
            }
            *is_good
        })
    }
}

fn terms(files: &TlsFiles) -> Result<Terms, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let clients: Option<Arc<dyn ClientCertVerifier>> = match &files.client_authorities {
        None => None,
        Some(path) => {
            let mut authorities = RootCertStore::empty();
            for certificate in certificates(path)? {
                authorities.add(certificate)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
                .build()
                .map_err(|error| TlsError::Authorities {
                    path: path.clone(),
                    error,
                })?;
            Some(verifier)
        }
    };
    let builder = match &clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients)),
    };
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| TlsError::File {
        path: files.key.clone(),
        error,
    })?;
    let mut config = builder.with_single_cert(certificates(&files.certificate)?, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Terms {
        config: Arc::new(config),
        clients,
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let in_file = |error| TlsError::File {
        path: path.to_owned(),
        error,
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(in_file)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(in_file)?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    #[test]
    fn files_that_cannot_be_used_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
            client_authorities: None,
        };
        let write_new = || {
            let CertifiedKey { cert, signing_key } =
                generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            fs::write(&files.key, signing_key.serialize_pem()).unwrap();
            fs::write(&files.certificate, cert.pem()).unwrap();
        };
        write_new();
        let tls = Tls::load(files.clone(), &watch::Sender::default(), &Gauge::default()).unwrap();
        let first = tls.terms.load_full();
        tls.files.refresh(false);
        assert!(Arc::ptr_eq(&first, &tls.terms.load_full()));
        for faulty in ["", "no certificate"] {
            fs::write(&files.certificate, faulty).unwrap();
            tls.files.refresh(false);
            assert!(Arc::ptr_eq(&first, &tls.terms.load_full()));
        }
        fs::remove_file(&files.key).unwrap();
        tls.files.refresh(false);
        assert!(Arc::ptr_eq(&first, &tls.terms.load_full()));
        write_new();
        tls.files.refresh(false);
        assert!(!Arc::ptr_eq(&first, &tls.terms.load_full()));
    }
}
