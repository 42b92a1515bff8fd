//! The authority as its own signer, for set-ups too small for a delegate.

use std::path::Path;
use std::sync::Arc;

use ca_service::{Authority, ServiceError};
use ca_signing::{PassphraseSource, SigningError, SoftwareKey};
use ca_status::ocsp::ResponseSigner;

/// Opens the key of `authority` to sign its answers.
///
/// # Errors
/// The key or its passphrase cannot be read or do not fit, or the authority's
/// certificate does not allow it to sign anything but certificates and CRLs.
pub fn open_own(
    path: &Path,
    passphrase: &PassphraseSource,
    authority: &Authority,
) -> Result<ResponseSigner, ServiceError> {
    let refuse = |what: String| ServiceError::Key { path: path.to_owned(), what };
    let open = || -> Result<SoftwareKey, SigningError> {
        let passphrase = passphrase.read()?;
        SoftwareKey::load(path, passphrase.as_ref())
    };
    let key = open().map_err(|error| match error {
        SigningError::File(error) => ServiceError::File(error),
        other => refuse(other.to_string()),
    })?;
    let certificate = &authority.certificate;
    let signer = ResponseSigner::new(Arc::new(key), certificate, certificate).map_err(|error| {
        refuse(format!("{error}; use a delegate, or an authority with key usage digitalSignature"))
    })?;
    tracing::warn!(
        key = %path.display(),
        "an authority's own key signs answers: whoever takes over this host can issue certificates with it"
    );
    Ok(signer)
}
