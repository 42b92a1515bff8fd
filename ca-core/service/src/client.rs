//! Asking web servers: one way of making HTTP clients, for all that daemons ask for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::{ServiceError, Span};

/// An idle connection is kept for less than servers commonly do.
const IDLE: Duration = Duration::from_secs(50);
/// Bytes of the head of an answer.
const MAX_HEAD: usize = 16 * 1024;

/// Whom a client trusts, and as whom it shows itself. Nothing of it is for plain HTTP.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientTls {
    /// The authorities that may certify the server, PEM; the system's without it.
    pub ca_file: Option<PathBuf>,
    /// The certificate that is shown to the server, with its chain, PEM.
    pub client_certificate: Option<PathBuf>,
    /// Its key, unencrypted PEM, readable by its owner only.
    pub client_key: Option<PathBuf>,
}

/// A client for the server of `url`. It follows no redirects, uses no proxy, and
/// takes an answer of any status for an answer. `timeout` is for one request as a whole.
///
/// # Errors
/// A file with certificates or a key is missing, unsafe or not what it must be.
pub fn agent(url: &str, identity: &ClientTls, timeout: Span) -> Result<Agent, ServiceError> {
    let mut builder = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent("chancery")
        .max_response_header_size(MAX_HEAD)
        .max_idle_age(IDLE)
        .timeout_global(Some(timeout.as_duration()));
    if url.starts_with("https://") {
        builder = builder.https_only(true).tls_config(tls(identity)?);
    }
    Ok(builder.build().new_agent())
}

fn tls(identity: &ClientTls) -> Result<TlsConfig, ServiceError> {
    let roots = match &identity.ca_file {
        Some(path) => certificates(path)?,
        None => {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "a certificate of the system's could not be read");
            }
            found.certs.iter().map(|root| Certificate::from_der(root).to_owned()).collect()
        }
    };
    let client = match (&identity.client_certificate, &identity.client_key) {
        (Some(certificate), Some(key)) => {
            Some(ClientCert::new_with_certs(&certificates(certificate)?, private_key(key)?))
        }
        _ => None,
    };
    let builder = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots)).client_cert(client);
    Ok(builder.unversioned_rustls_crypto_provider(provider()).build())
}

#[cfg(feature = "aws-lc")]
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(not(feature = "aws-lc"))]
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, ServiceError> {
    ca_files::check_trusted(path)?;
    let refuse = |what: String| ServiceError::Certificate { path: path.to_owned(), what };
    let text = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
    let mut found = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| refuse(error.to_string()))? {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(refuse("there is no certificate in PEM".to_owned()));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKey<'static>, ServiceError> {
    let text = zeroize::Zeroizing::new(ca_files::read_private(path)?);
    PrivateKey::from_pem(&text).map_err(|_| ServiceError::Key {
        path: path.to_owned(),
        what: "it is no unencrypted key in PEM".to_owned(),
    })
}
