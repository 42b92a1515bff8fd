//! Opening the authority's key.

use std::path::{Path, PathBuf};

use ca_service::{Authority, ServiceError};
use ca_signing::{Passphrase, PassphraseSource, SigningError, SigningKey, SoftwareKey};

/// A key that may have to be tried more than once.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    passphrase: PassphraseSource,
    /// Of a descriptor, once it was read: what came from it, until the key is open.
    once: Option<Option<Passphrase>>,
}

impl KeyFile {
    /// The key at `path`; nothing is read yet.
    #[must_use]
    pub fn new(path: &Path, passphrase: &PassphraseSource) -> Self {
        Self { path: path.to_owned(), passphrase: passphrase.clone(), once: None }
    }

    /// The files that it depends on.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let passphrase = match &self.passphrase {
            PassphraseSource::File(path) => Some(path.as_path()),
            _ => None,
        };
        std::iter::once(self.path.as_path()).chain(passphrase)
    }

    /// Loads the key, which must be that of `authority`.
    ///
    /// # Errors
    /// The passphrase or the key cannot be read or do not fit.
    pub fn open(&mut self, authority: &Authority) -> Result<SoftwareKey, ServiceError> {
        let passphrase = self.passphrase()?;
        let key = SoftwareKey::load(&self.path, passphrase.as_ref()).map_err(|error| self.refuse(error))?;
        if key.public_key_der() != authority.spki_der {
            let what = format!("it is not the key of {}", authority.certificate.tbs_certificate.subject);
            return Err(ServiceError::Key { path: self.path.clone(), what });
        }
        // Nobody needs the passphrase any more.
        self.once = self.once.take().map(|_| None);
        Ok(key)
    }

    fn passphrase(&mut self) -> Result<Option<Passphrase>, ServiceError> {
        match (&self.passphrase, &self.once) {
            (PassphraseSource::Descriptor(_), Some(Some(known))) => Ok(Some(known.clone())),
            (PassphraseSource::Descriptor(fd), Some(None)) => {
                let what = format!("descriptor {fd}, which has its passphrase, is read only once; restart");
                Err(ServiceError::Key { path: self.path.clone(), what })
            }
            (PassphraseSource::Descriptor(_), None) => {
                // Never again: later its number may be that of another file.
                self.once = Some(None);
                let read = self.passphrase.read().map_err(|error| self.refuse(error))?;
                self.once = Some(read.clone());
                Ok(read)
            }
            (source, _) => source.read().map_err(|error| self.refuse(error)),
        }
    }

    fn refuse(&self, error: SigningError) -> ServiceError {
        match error {
            SigningError::File(error) => ServiceError::File(error),
            other => ServiceError::Key { path: self.path.clone(), what: other.to_string() },
        }
    }
}
