//! The files that an issued certificate is delivered as.

use std::path::{Path, PathBuf};

use ca_files::{FileError, Mode, StagedFile};
use ca_signing::pkcs12::{self, Pkcs12Profile};
use ca_signing::{Passphrase, SoftwareKey};

use crate::certify::{Certified, pem_of};
use crate::error::{AuthorityError, Result};

/// One file to deliver.
pub enum Output {
    /// The certificate, PEM.
    Certificate {
        /// Where.
        path: PathBuf,
        /// Whether to replace a file that is there.
        replace: bool,
    },
    /// The certificate and its issuers, PEM, as mail servers want it.
    Chain {
        /// Where.
        path: PathBuf,
        /// Whether to replace a file that is there.
        replace: bool,
    },
    /// The generated key, certificate and chain.
    Pkcs12 {
        /// Where.
        path: PathBuf,
        /// Which clients must read it.
        profile: Pkcs12Profile,
        /// Encrypts it.
        password: Passphrase,
        /// Shown by clients.
        friendly_name: String,
        /// Whether to replace a file that is there.
        replace: bool,
    },
    /// The generated key, PKCS#8 PEM without encryption, for servers that cannot ask.
    PrivateKey {
        /// Where.
        path: PathBuf,
        /// Whether to replace a file that is there.
        replace: bool,
    },
}

impl Output {
    fn target(&self) -> (&Path, bool) {
        match self {
            Self::Certificate { path, replace }
            | Self::Chain { path, replace }
            | Self::Pkcs12 { path, replace, .. }
            | Self::PrivateKey { path, replace } => (path, *replace),
        }
    }

    pub(crate) fn refuse_existing(&self) -> Result<()> {
        let (path, replace) = self.target();
        if path.exists() && !replace {
            return Err(AuthorityError::Refused(format!(
                "{} exists already; choose another file, or give --force to replace it",
                path.display()
            )));
        }
        Ok(())
    }

    pub(crate) fn stage(
        &self,
        certified: &Certified,
        key: Option<&SoftwareKey>,
        chain: &[Vec<u8>],
    ) -> Result<StagedFile> {
        let need_key = || {
            key.ok_or_else(|| {
                AuthorityError::Input(
                    "a private key can be delivered only if it is made here; leave --csr out, or --p12 and --out-key".into(),
                )
            })
        };
        let staged = match self {
            Self::Certificate { path, .. } => write(path, certified.pem()?.as_bytes(), Mode::Public),
            Self::Chain { path, .. } => {
                let text = format!("{}{}", certified.pem()?, pem_of(chain)?);
                write(path, text.as_bytes(), Mode::Public)
            }
            Self::Pkcs12 { path, profile, password, friendly_name, .. } => {
                let bytes =
                    pkcs12::export(*profile, need_key()?, &certified.der, chain, friendly_name, password)?;
                write(path, &bytes, Mode::Private)
            }
            Self::PrivateKey { path, .. } => {
                write(path, need_key()?.to_plain_pem()?.as_bytes(), Mode::Private)
            }
        };
        Ok(staged?)
    }
}

fn write(path: &Path, bytes: &[u8], mode: Mode) -> std::result::Result<StagedFile, FileError> {
    StagedFile::write(path, bytes, mode)
}
