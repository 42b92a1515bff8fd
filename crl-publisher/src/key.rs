//! Opening the authority's key.

use std::fs::File;
use std::path::Path;

use ca_service::{Authority, ServiceError};
use ca_signing::{Passphrase, SigningError, SigningKey, SoftwareKey};

use crate::config::PassphraseSource;

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
    let passphrase = read(passphrase).map_err(refuse)?;
    let key = SoftwareKey::load(path, passphrase.as_ref()).map_err(refuse)?;
    if key.public_key_der() == authority.spki_der {
        Ok(key)
    } else {
        let what = format!("it is not the key of {}", authority.certificate.tbs_certificate.subject);
        Err(ServiceError::Key { path: path.to_owned(), what })
    }
}

fn read(source: &PassphraseSource) -> Result<Option<Passphrase>, SigningError> {
    match source {
        PassphraseSource::None => Ok(None),
        PassphraseSource::File(path) => Passphrase::load(path).map(Some),
        PassphraseSource::Credential(name) => {
            if name.is_empty() || name.contains('/') {
                return Err(SigningError::BadPassphrase(
                    "passphrase_credential is the name of a file, not a path",
                ));
            }
            let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or(SigningError::BadPassphrase(
                "passphrase_credential needs a service manager; set LoadCredential= in the unit",
            ))?;
            // The service manager guards it; with an access list its mode looks wider.
            from_file(&Path::new(&directory).join(name))
        }
        PassphraseSource::Descriptor(fd) => from_file(Path::new(&format!("/dev/fd/{fd}"))),
    }
}

fn from_file(path: &Path) -> Result<Option<Passphrase>, SigningError> {
    let file = File::open(path)
        .map_err(|_| SigningError::BadPassphrase("the passphrase's descriptor or credential is not there"))?;
    Passphrase::from_reader(file).map(Some)
}
