//! TLS by rustls: versions 1.2 and 1.3, HTTP/1.1 by ALPN, one certificate chain.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ringway::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::{self, Ticketer};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error, ServerConfig};

/// A connection that has shaken hands.
pub(crate) type Session = tokio_rustls::server::TlsStream<TcpStream>;

/// What shakes hands with clients.
#[derive(Clone)]
pub(crate) struct Acceptor(TlsAcceptor);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

impl Acceptor {
    /// Reads a certificate with its chain and the key of it from files in PEM. An error says which file has what wrong
    /// with it.
    pub(crate) fn load(certificate: &Path, key: &Path) -> Result<Acceptor, String> {
        let chain = read_chain(certificate)?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| {
            let wanted = "a private key in PEM (PKCS #8, PKCS #1 or SEC 1, and not encrypted)";
            unusable("--tls-key", key, &cause(&error, wanted))
        })?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("cannot set up TLS: {error}"))?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| match error {
                Error::InconsistentKeys(_) => format!(
                    "the key in {} is not that of the certificate in {}",
                    key.display(),
                    certificate.display()
                ),
                Error::InvalidCertificate(_) => unusable("--tls-cert", certificate, &error),
                error => unusable("--tls-key", key, &error),
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Who comes again is spared the long handshake, without memory of ours for each.
        config.ticketer = Ticketer::new().map_err(|error| format!("cannot set up TLS: {error}"))?;
        Ok(Acceptor(TlsAcceptor::from(Arc::new(config))))
    }

    /// Shakes hands, however long it takes.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Session> {
        self.0.accept(stream).await
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let chain: Vec<_> =
        read.map_err(|error| unusable("--tls-cert", path, &cause(&error, WANTED_CHAIN)))?;
    if chain.is_empty() {
        let empty = cause(&pem::Error::NoItemsFound, WANTED_CHAIN);
        return Err(unusable("--tls-cert", path, &empty));
    }
    Ok(chain)
}

const WANTED_CHAIN: &str = "a certificate in PEM";

fn unusable(option: &str, path: &Path, cause: &dyn Display) -> String {
    format!("cannot use {} ({option}): {cause}", path.display())
}

fn cause(error: &pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => format!("there is nothing in it that is {wanted}"),
        error => format!("it is not {wanted}: {error}"),
    }
}
