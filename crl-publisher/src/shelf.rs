//! The published CRLs: the files, and the same in the catalogue.
//!
//! A CRL takes the place of another only after it was written under another
//! name, read back, verified, and found to be its successor. None is ever held in
//! memory: it may have millions of entries.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ca_domain::Timestamp;
use ca_files::{FileError, Mode, Output, StagedFile, WriteLock, create_dir_all, sync_dir, write_atomic};
use ca_service::Authority;
use ca_service::conditional::entity_tag;
use ca_service::watch::Fingerprint;
use ca_status::StatusError;
use ca_status::crl::{WrittenCrl, acceptable_successor};

use crate::catalogue::{Asset, Catalogue};
use crate::pem::write_pem;
use crate::published::{Published, same_octets};

/// The media type of DER CRLs (RFC 2585, section 4.2).
pub const CRL_TYPE: &str = "application/pkix-crl";
/// The media type of PEM files.
pub const PEM_TYPE: &str = "application/x-pem-file";

/// The lock of what belongs to no authority alone, below the directory. That of an authority has
/// its name before the second dot.
const SHARED: &str = ".lock";
/// For which somebody who writes such a file is waited.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Why a CRL was not published; the old one is in place.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not what may replace the published one.
    #[error(transparent)]
    Refused(#[from] StatusError),
    /// The operating system refused something else.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The directory with the published files.
#[derive(Debug)]
pub struct Shelf {
    directory: PathBuf,
    /// The CRLs of everything, in the order of the configuration: the bundle keeps it.
    bundled: Vec<String>,
    shown: Mutex<BTreeMap<String, Shown>>,
    /// The tags of files of another publisher that are served.
    followed: Mutex<BTreeMap<String, String>>,
    catalogue: Arc<Catalogue>,
}

#[derive(Debug)]
struct Shown {
    published: Published,
    fresh_until: Timestamp,
}

impl Shelf {
    /// The shelf in `directory`; the PEM bundle has the CRLs `bundled`. Nothing is
    /// read or written yet.
    #[must_use]
    pub fn new(directory: &Path, bundled: Vec<String>, catalogue: Arc<Catalogue>) -> Self {
        Self {
            directory: directory.to_owned(),
            bundled,
            shown: Mutex::default(),
            followed: Mutex::default(),
            catalogue,
        }
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether there is no CRL to serve.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
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

    /// Removes what a crash left of the CRL of this name. Nobody may be writing it.
    pub fn tidy(&self, name: &str) {
        for form in ["crl", "pem"] {
            drop(StagedFile::adopt(&self.crl(&format!("{name}.{form}"))));
        }
    }

    /// Keeps other publishers from writing what belongs to no authority alone.
    fn exclusively(&self) -> Result<WriteLock, FileError> {
        WriteLock::acquire(&self.directory.join(SHARED), LONGEST_WAIT, "crl-publisher")
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
        let path = self.directory.join(relative);
        if fs::read(&path).is_ok_and(|old| old == bytes) {
            return Ok(());
        }
        let _lock = self.exclusively()?;
        write_atomic(&path, bytes, Mode::Public)
    }

    /// Where the DER CRL of this name is.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.crl(&format!("{name}.crl"))
    }

    fn crl(&self, file: &str) -> PathBuf {
        self.directory.join("crl").join(file)
    }

    /// Opens the published CRL.
    ///
    /// # Errors
    /// There is a file, but it cannot be read or is not a CRL of `issuer`.
    pub fn load(&self, name: &str, issuer: &Authority) -> Result<Option<Published>, PublishError> {
        let path = self.path(name);
        match Published::open(&path, issuer) {
            Ok(published) => Ok(Some(published)),
            Err(StatusError::CrlRead(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(StatusError::CrlRead(source)) => Err(PublishError::Io { action: "read", path, source }),
            Err(error) => Err(error.into()),
        }
    }

    /// Publishes a new CRL, which `write` signs and writes, in place of `old`, the
    /// one that was loaded before.
    ///
    /// # Errors
    /// It cannot be written, was not read back whole, is not signed by `issuer`,
    /// or may not follow `old`. The old file is then in place.
    pub fn issue(
        &self,
        name: &str,
        issuer: &Authority,
        old: Option<&Published>,
        now: Timestamp,
        write: impl FnOnce(&mut dyn Output) -> Result<WrittenCrl, StatusError>,
    ) -> Result<Published, PublishError> {
        let mut refused = None;
        let staged = StagedFile::write_read_back(&self.path(name), Mode::Public, |out| {
            write(out).map_err(|error| match error {
                StatusError::Io(error) => error,
                error => {
                    let text = io::Error::other(error.to_string());
                    refused = Some(error);
                    text
                }
            })
        });
        let (staged, written) = match (staged, refused) {
            (_, Some(error)) => return Err(error.into()),
            (staged, None) => staged?,
        };
        let new = Published::written(staged.temporary(), issuer, &written)?;
        self.succeed(staged, old, new, now)
    }

    /// Publishes a CRL that somebody else made, as [`Shelf::issue`] does.
    ///
    /// # Errors
    /// As [`Shelf::issue`]; or an entry of it does not decode.
    pub fn adopt(
        &self,
        name: &str,
        issuer: &Authority,
        old: Option<&Published>,
        now: Timestamp,
        source: &mut dyn Read,
    ) -> Result<Published, PublishError> {
        let staged =
            StagedFile::write_with(&self.path(name), Mode::Public, |out| io::copy(source, out).map(drop))?;
        let new = Published::open(staged.temporary(), issuer)?;
        self.succeed(staged, old, new, now)
    }

    fn succeed(
        &self,
        staged: StagedFile,
        old: Option<&Published>,
        new: Published,
        now: Timestamp,
    ) -> Result<Published, PublishError> {
        acceptable_successor(old.map(|old| &old.frame), &new.frame, now)?;
        staged.rename()?;
        sync_dir(&self.directory.join("crl"))?;
        Ok(new)
    }

    /// Serves a published CRL and writes the files that are made of it: its PEM
    /// form and the bundle of all CRLs.
    ///
    /// # Errors
    /// A file cannot be written. The DER form is served all the same.
    pub fn show(
        &self,
        name: &str,
        published: &Published,
        fresh_until: Timestamp,
    ) -> Result<(), PublishError> {
        self.followed().clear();
        let modified = published.window.this_update;
        let der = (published.file.clone(), published.length);
        let serve = |path: String, kind, (file, length), tag| {
            let io = |source| PublishError::Io { action: "read", path: self.crl(&path), source };
            let asset = Asset::of_file(kind, file, length, tag, modified, Some(fresh_until)).map_err(io)?;
            let asset = asset.valid_until(Some(published.window.next_update));
            self.catalogue.put(format!("/crl/{path}"), asset);
            Ok::<(), PublishError>(())
        };
        serve(format!("{name}.crl"), CRL_TYPE, der, published.tag())?;
        let mut shown = self.lock();
        shown.insert(name.to_owned(), Shown { published: published.clone(), fresh_until });
        // Under the lock, so that two authorities do not overtake each other.
        let text = self.place(&format!("{name}.pem"), |out| write_pem(&mut published.octets(), out))?;
        serve(
            format!("{name}.pem"),
            PEM_TYPE,
            text,
            format!("{}-pem\"", published.tag().trim_end_matches('"')),
        )?;
        if self.bundled.iter().any(|bundled| bundled == name) {
            self.bundle(&shown)?;
        }
        Ok(())
    }

    /// Serves and shows the CRL of this name no longer; its files were removed.
    pub fn withdraw(&self, name: &str) {
        self.lock().remove(name);
        for form in ["crl", "pem"] {
            self.catalogue.remove(&format!("/crl/{name}.{form}"));
            self.followed().remove(&format!("{name}.{form}"));
        }
    }

    /// Serves what another publisher has published: the CRL, and the files made of it
    /// as they are now. Nothing is written. Called again it looks for newer files only.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn follow(
        &self,
        name: &str,
        published: &Published,
        fresh_until: Timestamp,
    ) -> Result<(), PublishError> {
        let mut shown = self.lock();
        let modified = published.window.this_update;
        let is_known = |file: &str, tag: &String| self.followed().get(file) == Some(tag);
        let serve = |file: String, kind, (open, length), tag: String| {
            let io = |source| PublishError::Io { action: "read", path: self.crl(&file), source };
            let asset =
                Asset::of_file(kind, open, length, tag.clone(), modified, Some(fresh_until)).map_err(io)?;
            self.catalogue.put(format!("/crl/{file}"), asset);
            self.followed().insert(file, tag);
            Ok::<(), PublishError>(())
        };
        let (der, tag) = (format!("{name}.crl"), published.tag());
        if !is_known(&der, &tag) {
            serve(der, CRL_TYPE, (published.file.clone(), published.length), tag)?;
            shown.insert(name.to_owned(), Shown { published: published.clone(), fresh_until });
        }
        for file in [format!("{name}.pem"), "bundle.pem".to_owned()] {
            let path = self.crl(&file);
            let Some(found) = Fingerprint::of(&path) else { continue };
            // It may be older than the CRL by a moment, so its tag is its own.
            let tag = entity_tag(format!("{found:?}").as_bytes());
            if is_known(&file, &tag) {
                continue;
            }
            let io = |source| PublishError::Io { action: "read", path: path.clone(), source };
            let open = File::open(&path).map_err(io)?;
            let length = open.metadata().map_err(io)?.len();
            serve(file, PEM_TYPE, (Arc::new(open), length), tag)?;
        }
        Ok(())
    }

    /// The bundle of what is shown.
    fn bundle(&self, shown: &BTreeMap<String, Shown>) -> Result<(), PublishError> {
        let members: Vec<(&String, &Shown)> =
            self.bundled.iter().filter_map(|name| Some((name, shown.get(name)?))).collect();
        let _lock = self.exclusively()?;
        let (file, length) = self.place("bundle.pem", |out| {
            for (name, _) in &members {
                io::copy(&mut File::open(self.crl(&format!("{name}.pem")))?, out)?;
            }
            Ok(())
        })?;
        let Some(modified) = members.iter().map(|(_, shown)| shown.published.window.this_update).max() else {
            return Ok(());
        };
        let fresh_until = members.iter().map(|(_, shown)| shown.fresh_until).min();
        let tags: String = members.iter().map(|(_, shown)| shown.published.tag()).collect();
        let tag = entity_tag(tags.as_bytes());
        let io = |source| PublishError::Io { action: "read", path: self.crl("bundle.pem"), source };
        let asset = Asset::of_file(PEM_TYPE, file, length, tag, modified, fresh_until).map_err(io)?;
        let valid_until = members.iter().map(|(_, shown)| shown.published.window.next_update).min();
        self.catalogue.put("/crl/bundle.pem".to_owned(), asset.valid_until(valid_until));
        Ok(())
    }

    /// Makes `fill` the content of a file, unless it is that already, so that
    /// nobody reloads in vain. The open file and its length.
    fn place(
        &self,
        file: &str,
        fill: impl FnOnce(&mut dyn Output) -> io::Result<()>,
    ) -> Result<(Arc<File>, u64), PublishError> {
        let path = self.crl(file);
        let staged = StagedFile::write_with(&path, Mode::Public, fill)?;
        let io = |source| PublishError::Io { action: "read back", path: path.clone(), source };
        let mut new = File::open(staged.temporary()).map_err(io)?;
        let same = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            old => same_octets(&mut new, &mut old.map_err(io)?).map_err(io)?,
        };
        if !same {
            staged.rename()?;
            sync_dir(&self.directory.join("crl"))?;
        }
        let length = new.metadata().map_err(io)?.len();
        Ok((Arc::new(new), length))
    }

    fn followed(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
