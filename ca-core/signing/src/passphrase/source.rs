//! Where the passphrase of a key comes from, for programs that cannot ask.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::Passphrase;
use crate::SigningError;

/// Where the passphrase of a key comes from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum PassphraseSource {
    /// A credential of the service manager: a file of this name in
    /// `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// An inherited file descriptor, which can be read once.
    Descriptor(u32),
    /// A file that only its owner may read; its first line.
    File(PathBuf),
    /// None: the key is not encrypted.
    #[default]
    None,
}

impl PassphraseSource {
    /// The one source that a configuration names; none for an unencrypted key.
    ///
    /// # Errors
    /// Several are named.
    pub fn of(
        file: Option<PathBuf>,
        credential: Option<String>,
        descriptor: Option<u32>,
    ) -> Result<Self, &'static str> {
        let mut sources = Vec::new();
        sources.extend(file.map(Self::File));
        sources.extend(credential.map(Self::Credential));
        sources.extend(descriptor.map(Self::Descriptor));
        let source = sources.pop().unwrap_or_default();
        if sources.is_empty() {
            Ok(source)
        } else {
            Err("give one of passphrase_file, passphrase_credential, passphrase_fd")
        }
    }

    /// Reads the passphrase.
    ///
    /// # Errors
    /// The file, credential or descriptor is not there, is unsafe, or holds no passphrase.
    pub fn read(&self) -> Result<Option<Passphrase>, SigningError> {
        match self {
            Self::None => Ok(None),
            Self::File(path) => Passphrase::load(path).map(Some),
            Self::Credential(name) => {
                if name.is_empty() || name.contains('/') {
                    return Err(SigningError::BadPassphrase(
                        "passphrase_credential is the name of a file, not a path",
                    ));
                }
                let directory =
                    std::env::var_os("CREDENTIALS_DIRECTORY").ok_or(SigningError::BadPassphrase(
                        "passphrase_credential needs a service manager; set LoadCredential= in the unit",
                    ))?;
                // The service manager guards it; with an access list its mode looks wider.
                from_file(&Path::new(&directory).join(name))
            }
            Self::Descriptor(fd) => from_file(Path::new(&format!("/dev/fd/{fd}"))),
        }
    }
}

fn from_file(path: &Path) -> Result<Option<Passphrase>, SigningError> {
    let file = File::open(path)
        .map_err(|_| SigningError::BadPassphrase("the passphrase's descriptor or credential is not there"))?;
    Passphrase::from_reader(file).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_or_none() {
        assert_eq!(PassphraseSource::of(None, None, None), Ok(PassphraseSource::None));
        assert_eq!(PassphraseSource::of(None, None, Some(3)), Ok(PassphraseSource::Descriptor(3)));
        assert!(PassphraseSource::of(Some("p".into()), Some("c".into()), None).is_err());
        assert!(PassphraseSource::Credential("../x".into()).read().is_err());
        assert!(PassphraseSource::None.read().unwrap().is_none());
    }
}
