//! A home directory: everything that one authority host owns.
//!
//! ```text
//! ca.yaml                  configuration
//! lock                     lock of the one writer
//! keys/ledger.key          signs checkpoints; no authority's key
//! authorities/NAME/        certificate.pem, chain.pem, key.pem
//! templates/*.yaml         certificate templates
//! ledger/                  the truth
//! index/                   rebuildable
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use ca_domain::{Detail, Timestamp};
use ca_files::{WriteLock, check_private, check_trusted};
use ca_index::{Applied, Index, IndexError, SledIndex};
use ca_ledger::{Checkpoint, LedgerKey, LedgerReader, LedgerWriter, NewEntry};

use crate::config::HomeConfig;
use crate::error::{AuthorityError, Result};
use crate::init::io;
use crate::recovery;

/// An opened home.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
    config: HomeConfig,
}

/// How a command gets at what only one process may hold.
pub struct Wait<'a> {
    /// How long to wait for another process.
    pub timeout: Duration,
    /// Shown to those who wait for us: a command, never a secret.
    pub purpose: &'a str,
    /// Told what the operator should know: a rebuilt index, an act completed after a crash.
    pub warn: &'a dyn Fn(&str),
    /// Told how far long work is: done, total.
    pub progress: &'a dyn Fn(u64, u64),
}

impl<'a> Wait<'a> {
    /// Waits `timeout`, and tells nobody anything.
    #[must_use]
    pub fn quiet(timeout: Duration, purpose: &'a str) -> Self {
        Self { timeout, purpose, warn: &|_| {}, progress: &|_, _| {} }
    }
}

impl Home {
    /// Opens the home at `root`.
    ///
    /// # Errors
    /// There is none, its permissions are unsafe, or `ca.yaml` is malformed.
    pub fn open(root: &Path) -> Result<Self> {
        let path = root.join("ca.yaml");
        // Someone else's home is there, though it cannot be looked into.
        if !path.try_exists().map_err(io("read", &path))? {
            return Err(AuthorityError::HomeMissing(root.display().to_string()));
        }
        check_private(root)?;
        check_trusted(&path)?;
        let text = std::fs::read_to_string(&path).map_err(|error| AuthorityError::Config {
            path: path.display().to_string(),
            what: error.to_string(),
        })?;
        Ok(Self { root: root.to_owned(), config: HomeConfig::parse(&text, &path)? })
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `ca.yaml`.
    #[must_use]
    pub fn config(&self) -> &HomeConfig {
        &self.config
    }

    /// A configuration file that not every home has, and its path. `page` of the
    /// documentation describes it.
    ///
    /// # Errors
    /// There is none, others could have changed it, or it cannot be read.
    pub(crate) fn read_file(&self, name: &str, page: &str) -> Result<(String, PathBuf)> {
        let path = self.root.join(name);
        if !path.exists() {
            let missing = format!("{} is missing; write one, see the page about {page}", path.display());
            return Err(AuthorityError::NotFound(missing));
        }
        check_trusted(&path)?;
        let text = std::fs::read_to_string(&path).map_err(io("read", &path))?;
        Ok((text, path))
    }

    /// The ledger's directory.
    #[must_use]
    pub fn ledger_dir(&self) -> PathBuf {
        self.root.join("ledger")
    }

    /// The ledger's private key.
    #[must_use]
    pub fn ledger_key_path(&self) -> PathBuf {
        self.root.join("keys/ledger.key")
    }

    /// The index's directory.
    #[must_use]
    pub fn index_dir(&self) -> PathBuf {
        self.root.join("index")
    }

    /// The directory of templates.
    #[must_use]
    pub fn templates_dir(&self) -> PathBuf {
        self.root.join("templates")
    }

    /// The directory of authorities.
    #[must_use]
    pub fn authorities_dir(&self) -> PathBuf {
        self.root.join("authorities")
    }

    /// Takes the lock of the one writer.
    ///
    /// # Errors
    /// Busy past the time limit, or the lock file cannot be opened.
    pub fn lock(&self, wait: &Wait<'_>) -> Result<WriteLock> {
        Ok(WriteLock::acquire(&self.root.join("lock"), wait.timeout, wait.purpose)?)
    }

    /// Opens the ledger for reading; needs no lock.
    ///
    /// # Errors
    /// A checkpoint that is missing or not signed by the ledger's key.
    pub fn ledger(&self) -> Result<LedgerReader> {
        Ok(LedgerReader::open(&self.ledger_dir(), &self.config.ledger_vkey)?)
    }

    /// Whether a crash left an authority without its name; [`Home::writer`] completes it.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        recovery::is_needed(self)
    }

    /// Opens ledger and index for writing, and completes what a crash left half done.
    ///
    /// # Errors
    /// Busy, an unsafe or damaged ledger, or a failing disk.
    pub fn writer(&self, wait: &Wait<'_>) -> Result<Writer> {
        let lock = self.lock(wait)?;
        let key = LedgerKey::load(&self.ledger_key_path())?;
        if key.vkey() != self.config.ledger_vkey {
            return Err(AuthorityError::Refused(format!(
                "{} is not the key that ca.yaml names; put the ledger's own key back",
                self.ledger_key_path().display()
            )));
        }
        let ledger = LedgerWriter::open(&self.ledger_dir(), key, &lock)?;
        recovery::complete(self, ledger.reader(), wait.warn)?;
        let index = self.open_index(ledger.reader(), wait)?;
        Ok(Writer { ledger, index, _lock: lock })
    }

    /// Signs the checkpoint again: a sign of life to followers.
    ///
    /// # Errors
    /// As [`Home::writer`].
    pub fn heartbeat(&self, now: Timestamp, wait: &Wait<'_>) -> Result<Checkpoint> {
        let mut writer = self.writer(wait)?;
        Ok(writer.ledger.heartbeat(now)?)
    }

    pub(crate) fn open_index(&self, reader: &LedgerReader, wait: &Wait<'_>) -> Result<SledIndex> {
        let mut warn = |text: &str| (wait.warn)(text);
        let mut progress = |done, total| (wait.progress)(done, total);
        let (dir, timeout) = (self.index_dir(), wait.timeout);
        Ok(ca_index::open_or_rebuild(&dir, reader, timeout, wait.purpose, &mut warn, &mut progress)?)
    }
}

/// Ledger and index, open for writing, under the lock.
pub struct Writer {
    pub(crate) ledger: LedgerWriter,
    pub(crate) index: SledIndex,
    _lock: WriteLock,
}

impl Writer {
    /// Asks the index; one that turns out to be damaged is built again, and asked again.
    pub(crate) fn ask<T>(
        &mut self,
        wait: &Wait<'_>,
        question: impl FnMut(&SledIndex) -> std::result::Result<T, IndexError>,
    ) -> Result<T> {
        ask(&mut self.index, self.ledger.reader(), wait, question)
    }

    /// Commits acts to the ledger, then tells the index. When it returns, they are durable.
    ///
    /// Returns the position of the first.
    ///
    /// # Errors
    /// The ledger refused; nothing happened then.
    pub(crate) fn commit(
        &mut self,
        acts: Vec<(NewEntry, Detail)>,
        now: Timestamp,
        warn: &dyn Fn(&str),
    ) -> Result<u64> {
        let (entries, details): (Vec<_>, Vec<_>) = acts.into_iter().unzip();
        let hashed: Vec<_> = entries.iter().map(NewEntry::entry).collect();
        let committed = self.ledger.append(entries, now)?;
        let batch: Vec<_> = (committed.first..)
            .zip(hashed.into_iter().zip(details))
            .map(|(position, (entry, detail))| (position, entry, detail))
            .collect();
        let checkpoint = &committed.checkpoint;
        let applied = Applied { size: checkpoint.size, root: Some(checkpoint.root) };
        // The act is committed: an index that fails now is caught up by the next command.
        if let Err(error) = self.index.apply(&batch, applied).and_then(|()| self.index.flush()) {
            warn(&format!("the index is behind: {error}; the next command catches up"));
        }
        Ok(committed.first)
    }
}

/// Asks an index, and once more after building it again if it is damaged.
pub(crate) fn ask<T>(
    index: &mut SledIndex,
    ledger: &LedgerReader,
    wait: &Wait<'_>,
    question: impl FnMut(&SledIndex) -> std::result::Result<T, IndexError>,
) -> Result<T> {
    let mut warn = |text: &str| (wait.warn)(text);
    let mut progress = |done, total| (wait.progress)(done, total);
    Ok(ca_index::query_or_rebuild(index, ledger, &mut warn, &mut progress, question)?)
}
