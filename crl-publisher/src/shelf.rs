//! The published CRLs: the files, and the same in the catalogue.
//!
//! A CRL takes the place of another only after it was written under another
//! name, read back, verified, and found to be its successor.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use ca_domain::{SerialNumber, Timestamp};
use ca_files::{FileError, Mode, create_dir_all, sync_dir, write_atomic};
use ca_service::Authority;
use ca_status::StatusError;
use ca_status::crl::{CrlNumber, CrlView, acceptable_successor};
use der::pem::LineEnding;
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;

use crate::catalogue::{Asset, Catalogue};
use crate::schedule::Window;

/// The media type of DER CRLs (RFC 2585, section 4.2).
pub const CRL_TYPE: &str = "application/pkix-crl";
/// The media type of PEM files.
pub const PEM_TYPE: &str = "application/x-pem-file";

/// A CRL that is published.
#[derive(Clone, Debug)]
pub struct Published {
    /// The DER CRL.
    pub der: Bytes,
    /// Its number.
    pub number: CrlNumber,
    /// Its times.
    pub window: Window,
}

impl Published {
    fn new(der: Bytes, issuer: &Authority) -> Result<Self, StatusError> {
        let view = CrlView::parse_and_verify(&der, &issuer.certificate)?;
        let (number, this_update, next_update) = (view.number(), view.this_update(), view.next_update());
        // The list is decoded once, so that a broken one is never published.
        view.count()?;
        Ok(Self { number, window: Window { this_update, next_update }, der })
    }

    /// Its issuing distribution point.
    ///
    /// # Errors
    /// None for a value of this type, which was read before.
    pub fn scope(&self) -> Result<Option<IssuingDistributionPoint>, StatusError> {
        Ok(CrlView::parse(&self.der)?.scope().cloned())
    }

    /// The listed serials, and since when they are revoked.
    ///
    /// # Errors
    /// None for a value of this type, whose list was decoded before.
    pub fn serials(&self) -> Result<BTreeMap<SerialNumber, Timestamp>, StatusError> {
        CrlView::parse(&self.der)?.entries().map(|entry| entry.map(|e| (e.serial, e.at))).collect()
    }
}

/// Why a CRL was not published; the old one is in place.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It could not be written or read back.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not what may replace the published one.
    #[error(transparent)]
    Refused(#[from] StatusError),
    /// What was read back is not what was written.
    #[error("{0} does not hold what was written to it; check the disk")]
    ReadBack(PathBuf),
    /// The operating system refused something else.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// The directory with the published files.
#[derive(Debug)]
pub struct Shelf {
    directory: PathBuf,
    /// In the order of the configuration; the bundle keeps it.
    names: Vec<String>,
    shown: Mutex<BTreeMap<String, Shown>>,
    catalogue: Arc<Catalogue>,
}

#[derive(Debug)]
struct Shown {
    published: Published,
    pem: String,
    fresh_until: Timestamp,
}

impl Shelf {
    /// The shelf in `directory` for the CRLs of `names`. Nothing is read or written yet.
    #[must_use]
    pub fn new(directory: &Path, names: Vec<String>, catalogue: Arc<Catalogue>) -> Self {
        Self { directory: directory.to_owned(), names, shown: Mutex::default(), catalogue }
    }

    /// Makes the directories.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn prepare(&self) -> Result<(), FileError> {
        for sub in ["crl", "ca", "chain"] {
            create_dir_all(&self.directory.join(sub), Mode::Public)?;
        }
        Ok(())
    }

    /// Removes what a crash left. Nobody may be writing a CRL.
    pub fn tidy(&self) {
        for name in &self.names {
            // Best effort: the next CRL overwrites it.
            let _ = fs::remove_file(self.staging(name));
        }
    }

    /// The CRLs that are shown, by name.
    #[must_use]
    pub fn shown(&self) -> Vec<(String, Published)> {
        self.lock().iter().map(|(name, shown)| (name.clone(), shown.published.clone())).collect()
    }

    /// Writes a file that is no CRL, unless it is there with this content.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, relative: &str, bytes: &[u8]) -> Result<(), FileError> {
        write_if_new(&self.directory.join(relative), bytes)
    }

    /// Where the DER CRL of an authority is.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join("crl").join(format!("{name}.crl"))
    }

    fn staging(&self, name: &str) -> PathBuf {
        self.directory.join("crl").join(format!(".{name}.crl.new"))
    }

    /// Reads the published CRL back from its file.
    ///
    /// # Errors
    /// There is a file, but it cannot be read or is not a CRL of `issuer`.
    pub fn load(&self, name: &str, issuer: &Authority) -> Result<Option<Published>, PublishError> {
        let path = self.path(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(Published::new(bytes.into(), issuer)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(PublishError::Io { action: "read", path, source }),
        }
    }

    /// Publishes a new CRL in place of `old`, the one that was loaded before.
    ///
    /// # Errors
    /// It cannot be written, was not read back whole, is not signed by `issuer`,
    /// or may not follow `old`. The old file is then in place.
    pub fn replace(
        &self,
        name: &str,
        issuer: &Authority,
        old: Option<&Published>,
        der: &[u8],
        now: Timestamp,
    ) -> Result<Published, PublishError> {
        let (path, staging) = (self.path(name), self.staging(name));
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| PublishError::Io { action, path, source }
        };
        let checked = write_atomic(&staging, der, Mode::Public).map_err(PublishError::from).and_then(|()| {
            let back = Bytes::from(fs::read(&staging).map_err(io("read back", &staging))?);
            if back != der {
                return Err(PublishError::ReadBack(staging.clone()));
            }
            let new = Published::new(back, issuer)?;
            let old = old.map(|old| CrlView::parse(&old.der)).transpose()?;
            acceptable_successor(old.as_ref(), &CrlView::parse(&new.der)?, now)?;
            Ok(new)
        });
        let placed =
            checked.and_then(|new| fs::rename(&staging, &path).map(|()| new).map_err(io("replace", &path)));
        if placed.is_err() {
            // Best effort: it is removed at the next start or overwritten.
            let _ = fs::remove_file(&staging);
        }
        let new = placed?;
        sync_dir(&self.directory.join("crl"))?;
        Ok(new)
    }

    /// Serves a published CRL and writes the files that are made of it: its PEM
    /// form and the bundle of all CRLs.
    ///
    /// # Errors
    /// A file cannot be written. It is served all the same.
    pub fn show(
        &self,
        name: &str,
        published: &Published,
        fresh_until: Timestamp,
    ) -> Result<(), PublishError> {
        let pem = to_pem("X509 CRL", &published.der)?;
        let modified = published.window.this_update;
        let asset = |kind, body| Asset::new(kind, body, modified, Some(fresh_until));
        self.catalogue.put(format!("/crl/{name}.crl"), asset(CRL_TYPE, published.der.clone()));
        self.catalogue.put(format!("/crl/{name}.pem"), asset(PEM_TYPE, pem.clone().into()));
        let mut shown = self.lock();
        shown.insert(name.to_owned(), Shown { published: published.clone(), pem: pem.clone(), fresh_until });
        let bundle = self.bundle(&shown);
        if let Some(bundle) = &bundle {
            self.catalogue.put("/crl/bundle.pem".to_owned(), bundle.clone());
        }
        // Under the lock, so that two authorities do not overtake each other.
        let crl = self.directory.join("crl");
        write_if_new(&crl.join(format!("{name}.pem")), pem.as_bytes())?;
        if let Some(bundle) = bundle {
            write_if_new(&crl.join("bundle.pem"), &bundle.body)?;
        }
        Ok(())
    }

    fn bundle(&self, shown: &BTreeMap<String, Shown>) -> Option<Asset> {
        let members: Vec<&Shown> = self.names.iter().filter_map(|name| shown.get(name)).collect();
        let modified = members.iter().map(|m| m.published.window.this_update).max()?;
        let fresh_until = members.iter().map(|m| m.fresh_until).min();
        let text: String = members.iter().map(|m| m.pem.as_str()).collect();
        Some(Asset::new(PEM_TYPE, text.into(), modified, fresh_until))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// PEM with line ends as Unix has them.
///
/// # Errors
/// None for our labels; the encoder's signature asks for it.
pub fn to_pem(label: &'static str, der: &[u8]) -> Result<String, StatusError> {
    der::pem::encode_string(label, LineEnding::LF, der).map_err(|error| StatusError::Der(error.into()))
}

/// Replaces a file only if its content differs, so that nobody reloads in vain.
fn write_if_new(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    write_atomic(path, bytes, Mode::Public)
}
