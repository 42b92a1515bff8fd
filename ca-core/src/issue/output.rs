//! The files that an issued certificate is delivered as.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ca_domain::SerialNumber;
use ca_files::{Mode, StagedFile};
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

    /// Refuses what could not be put in place after the commit: a file that is
    /// there and shall stay, a directory, one name for two files.
    pub(crate) fn check(outputs: &[Self]) -> Result<()> {
        let mut paths = BTreeSet::new();
        for (path, replace) in outputs.iter().map(Self::target) {
            if !replace {
                refuse_existing(path)?;
            } else if path.is_dir() {
                return Err(AuthorityError::Refused(format!(
                    "{} is a directory; name a file",
                    path.display()
                )));
            }
            refuse_twice(&mut paths, path)?;
        }
        Ok(())
    }

    /// The files that must not be there, nor come while the lock is waited for.
    pub(crate) fn new_files(outputs: &[Self]) -> Vec<PathBuf> {
        outputs
            .iter()
            .map(Self::target)
            .filter(|(_, replace)| !replace)
            .map(|(path, _)| path.to_owned())
            .collect()
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
        let write = |path: &Path, bytes: &[u8], mode| {
            StagedFile::write_apart(path, bytes, mode, &certified.serial.to_string())
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

/// Looks once more, under the lock: another `ca` may have written the same name.
pub(crate) fn check_new<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Result<()> {
    let mut paths = BTreeSet::new();
    files.into_iter().try_for_each(|path| {
        refuse_existing(path)?;
        refuse_twice(&mut paths, path)
    })
}

fn refuse_existing(path: &Path) -> Result<()> {
    // A link that leads nowhere is something, too.
    if path.symlink_metadata().is_ok() {
        return Err(AuthorityError::Refused(format!(
            "{} exists already; choose another file, or give --force to replace it",
            path.display()
        )));
    }
    Ok(())
}

fn refuse_twice<'a>(paths: &mut BTreeSet<&'a Path>, path: &'a Path) -> Result<()> {
    if paths.insert(path) {
        return Ok(());
    }
    Err(AuthorityError::Refused(format!("{} is named for two files; choose another name", path.display())))
}

/// Gives the files of a committed certificate their names: every one that can
/// be, whatever happens to the others.
pub(crate) fn publish(serial: SerialNumber, staged: Vec<StagedFile>) -> Result<Vec<PathBuf>> {
    let mut files = Vec::with_capacity(staged.len());
    let mut failed = None;
    for file in staged {
        let kept = file.temporary().to_owned();
        match file.publish() {
            Ok(path) => files.push(path),
            Err(source) => {
                failed.get_or_insert(AuthorityError::Published {
                    what: format!("certificate {serial}"),
                    source,
                    kept,
                });
            }
        }
    }
    failed.map_or(Ok(files), Err)
}
