//! Opening the authority's key.

use std::path::Path;

use ca_service::{Authority, ServiceError};
use ca_signing::{PassphraseSource, SigningError, SigningKey, SoftwareKey};

/// Loads the key at `path`, which must be that of `authority`.
///
/// # Errors
/// The passphrase or the key cannot be read or do not fit.
pub fn open(
    path: &Path,
    passphrase: &PassphraseSource,
    authority: &Authority,
) -> Result<SoftwareKey, ServiceError> {
    let refuse = |error: SigningError| match error {
        SigningError::File(error) => ServiceError::File(error),
        other => ServiceError::Key { path: path.to_owned(), what: other.to_string() },
    };
    let passphrase = passphrase.read().map_err(refuse)?;
    let key = SoftwareKey::load(path, passphrase.as_ref()).map_err(refuse)?;
    if key.public_key_der() == authority.spki_der {
        Ok(key)
    } else {
        let what = format!("it is not the key of {}", authority.certificate.tbs_certificate.subject);
        Err(ServiceError::Key { path: path.to_owned(), what })
    }
}
