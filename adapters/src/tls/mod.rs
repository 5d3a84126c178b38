//! TLS by rustls, over any link and on any runtime.
//!
//! `wss://` and `tls://` use it by themselves. A client trusts the system's authorities unless its
//! options name others ([`ClientTls`]); a server has a certificate ([`ServerTls`]), and may ask its
//! clients for theirs. What these two cannot say, rustls' own configurations can.

mod link;

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error;

use crate::link::Link;
use link::TlsLink;

pub use rustls;

/// How a client speaks TLS: whom it trusts, and how it shows who it is. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    /// Whom the server's certificate is for, if that is not the host of the URL.
    server: Option<ServerName<'static>>,
}

impl ClientTls {
    /// Trusts the authorities the system trusts.
    ///
    /// # Errors
    /// [`TlsError::NoRoots`] if the system names none.
    pub fn system() -> Result<Self, TlsError> {
        Self::of(roots_of_system()?, None)
    }

    /// Trusts the authorities the system trusts, and shows the server a certificate of its own:
    /// mutual TLS. In PEM; the chain begins with the client's certificate.
    ///
    /// # Errors
    /// [`TlsError`]: something is missing, cannot be read, or does not fit together.
    pub fn system_with_identity(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::of(roots_of_system()?, Some((chain, key)))
    }

    /// Trusts these authorities alone: certificates in PEM.
    ///
    /// # Errors
    /// [`TlsError`]: there is no certificate in it, or one that cannot be read.
    pub fn trusting(roots: &[u8]) -> Result<Self, TlsError> {
        Self::of(roots_of(roots)?, None)
    }

    /// Trusts these authorities alone, and shows the server a certificate of its own: mutual TLS.
    /// All in PEM; the chain begins with the client's certificate.
    ///
    /// # Errors
    /// [`TlsError`]: something is missing, cannot be read, or does not fit together.
    pub fn with_identity(roots: &[u8], chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::of(roots_of(roots)?, Some((chain, key)))
    }

    /// Expects the server's certificate to be for `name`, a DNS name or an IP address, and asks the
    /// server for that one: for a server that is reached at another address than it has a certificate
    /// for. Default: the host of the URL.
    ///
    /// # Errors
    /// [`TlsError::ServerName`] if that is neither.
    pub fn expecting(mut self, name: &str) -> Result<Self, TlsError> {
        let server = ServerName::try_from(name.to_owned());
        let server = server.map_err(|_| TlsError::ServerName(name.to_owned()))?;
        self.server = Some(server);
        Ok(self)
    }

    fn of(roots: RootCertStore, identity: Option<(&[u8], &[u8])>) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let config = match identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain_of(chain)?, key_of(key)?)?,
            None => builder.with_no_client_auth(),
        };
        Ok(Self::from(Arc::new(config)))
    }
}

impl From<Arc<ClientConfig>> for ClientTls {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self {
            config,
            server: None,
        }
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

/// How a server speaks TLS: with which certificate, and whether it asks for its clients'. Cheap to
/// clone.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// Lets everybody in. In PEM; the chain begins with the server's certificate.
    ///
    /// # Errors
    /// [`TlsError`]: something is missing, cannot be read, or does not fit together.
    pub fn new(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let config = server_builder()?
            .with_no_client_auth()
            .with_single_cert(chain_of(chain)?, key_of(key)?)?;
        Ok(Self(Arc::new(config)))
    }

    /// Lets only clients in whose certificates these authorities signed: mutual TLS.
    /// [`Incoming::certificates`](crate::Incoming::certificates) has what a client showed.
    ///
    /// # Errors
    /// [`TlsError`]: something is missing, cannot be read, or does not fit together.
    pub fn for_clients_of(roots: &[u8], chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let roots = Arc::new(roots_of(roots)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
            .build()
            .map_err(|error| TlsError::Roots(error.to_string()))?;
        let config = server_builder()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain_of(chain)?, key_of(key)?)?;
        Ok(Self(Arc::new(config)))
    }

    /// The same as rustls has it, for a server of another library.
    #[must_use]
    pub const fn config(&self) -> &Arc<ServerConfig> {
        &self.0
    }
}

impl From<Arc<ServerConfig>> for ServerTls {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self(config)
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// Certificate and key do not fit together, or the provider cannot use them.
    #[error("{0}")]
    Config(#[from] rustls::Error),
    /// Not a private key in PEM.
    #[error("{0}")]
    Key(String),
    /// No certificate, where one was to be.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// No private key, where one was to be.
    #[error("there is no private key in it")]
    NoKey,
    /// The system trusts nobody.
    #[error("the system names no authorities to trust")]
    NoRoots,
    /// Not certificates in PEM.
    #[error("{0}")]
    Pem(String),
    /// Authorities that cannot judge clients.
    #[error("{0}")]
    Roots(String),
    /// Neither a DNS name nor an IP address.
    #[error("{0:?} is no name of a server")]
    ServerName(String),
}

/// Speaks TLS to the server `host` over `link`.
pub(crate) async fn connect(
    link: Box<dyn Link>,
    host: &str,
    tls: Option<&ClientTls>,
) -> io::Result<Box<dyn Link>> {
    let config = match tls {
        Some(tls) => tls.clone(),
        None => ClientTls::system().map_err(invalid)?,
    };
    let name = match config.server {
        Some(name) => name,
        None => ServerName::try_from(host.to_owned()).map_err(invalid)?,
    };
    let session = rustls::ClientConnection::new(config.config, name).map_err(invalid)?;
    let link = TlsLink::handshake(link, session.into()).await?;
    Ok(Box::new(link))
}

/// Speaks TLS to a client over `link`. Gives the certificates it showed as well, its own first.
pub(crate) async fn accept(
    link: Box<dyn Link>,
    tls: &ServerTls,
) -> io::Result<(Box<dyn Link>, Vec<CertificateDer<'static>>)> {
    let session = rustls::ServerConnection::new(tls.0.clone()).map_err(invalid)?;
    let link = TlsLink::handshake(link, session.into()).await?;
    let certificates = link.peer_certificates();
    Ok((Box::new(link), certificates))
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// Never the process's default, which somebody else may have chosen or not.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn server_builder() -> Result<rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>, TlsError>
{
    Ok(ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?)
}

fn roots_of_system() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(TlsError::NoRoots);
    }
    Ok(roots)
}

fn roots_of(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain_of(pem)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn chain_of(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|error| TlsError::Pem(in_plain_words(&error)))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    Ok(chain)
}

fn key_of(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey,
        error => TlsError::Key(in_plain_words(&error)),
    })
}

/// What is wrong with PEM, without a word of what is in it: it may be a key.
fn in_plain_words(error: &pem::Error) -> String {
    let said = match error {
        pem::Error::MissingSectionEnd { .. } => "it is cut off: a section of it does not end",
        pem::Error::IllegalSectionStart { .. } => "a line of it begins a section and is not whole",
        pem::Error::Base64Decode(_) => "it is damaged: a section of it is no Base64",
        _ => return error.to_string(),
    };
    said.to_owned()
}
