//! Whom we believe, and who we are, in TLS.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use crate::{DirectoryConfig, LdapError};

/// The settings for TLS with a directory.
pub(crate) fn client_config(config: &DirectoryConfig) -> Result<Arc<ClientConfig>, LdapError> {
    let wrong = |what: String| LdapError::Config(format!("TLS cannot be set up: {what}"));
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(roots(config.ca_root.as_deref())?);
    let config = match (&config.client_certificate, &config.client_key) {
        (Some(certificate), Some(key)) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(|error| bad(certificate, format!("it does not go with its key: {error}")))?,
        _ => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, LdapError> {
    let mut store = RootCertStore::empty();
    match file {
        Some(path) => {
            for certificate in certificates(path)? {
                let not_one = |error| bad(path, format!("a certificate cannot be a root: {error}"));
                store.add(certificate).map_err(not_one)?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if store.is_empty() {
                let what = "this system has no trusted roots; name the directory's root in ca_root";
                return Err(LdapError::Config(what.to_owned()));
            }
        }
    }
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LdapError> {
    ca_files::check_trusted(path)?;
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(|certificates| certificates.collect());
    let found = found.map_err(|error| bad(path, format!("it cannot be read as PEM: {error}")))?;
    if found.is_empty() {
        return Err(bad(path, "there is no certificate in PEM".to_owned()));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, LdapError> {
    let text = Zeroizing::new(ca_files::read_private(path)?);
    PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| bad(path, "it is no key in PEM without a passphrase".to_owned()))
}

fn bad(path: &Path, what: String) -> LdapError {
    LdapError::Certificate { path: path.to_owned(), what }
}

#[cfg(feature = "aws-lc")]
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(not(feature = "aws-lc"))]
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
