//! The index in a sled database.
//!
//! sled 0.34.7 keeps what was flushed when its process is killed, but not at a
//! power cut, and may panic or hang on a damaged file. None of that can harm
//! here, because everything in it can be built again:
//!
//! - A batch and the mark of how far the ledger is applied are one atomic write.
//! - Every value carries a checksum over its key and content; every record found
//!   through a secondary key is held against that key.
//! - The sum of hashes of all pairs is kept beside them. It is checked by reading
//!   everything when the files are not as the last process left them: after a
//!   kill, a power cut, or a change from outside ([`stamp`]).
//! - Panics of sled are caught and opening has a time limit ([`guard`]).
//!
//! All of these end in [`IndexError::Corrupt`], which means: build it again.
//!
//! One process at a time has the index open. The others wait for its lock.

mod codec;
mod guard;
mod layout;
mod open;
mod query;
mod stamp;
mod store;
mod tables;
mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ca_domain::Timestamp;
use ca_files::WriteLock;

use crate::plan::Plan;
use crate::{
    Applied, AuthorityRecord, CertificateRecord, Counts, Event, Filter, Fingerprint, Index, IndexError,
    Visitor,
};
use store::Store;

/// An index on disk.
///
/// Dropping it flushes it. Every record is read when it is asked for; in memory
/// are only the names of templates and authorities, and sled's page cache.
#[derive(Debug)]
pub struct SledIndex {
    dir: PathBuf,
    /// Dropped before the lock: fields are dropped in their order.
    store: Store,
    _lock: WriteLock,
}

impl SledIndex {
    /// Opens the index in `dir`, or makes an empty one, waiting up to `timeout`
    /// for another process to close it. `purpose` is shown to those who wait.
    ///
    /// The directory is made with 0700: it holds mailboxes.
    ///
    /// # Errors
    /// [`IndexError::Corrupt`] if it is damaged or of another format;
    /// [`IndexError::File`] if the lock is not free in time, or others may read it.
    pub fn open(dir: &Path, timeout: Duration, purpose: &str) -> Result<Self, IndexError> {
        let lock = open::lock(dir, timeout, purpose)?;
        let store = open::current(dir)?;
        Ok(Self { dir: dir.to_owned(), store, _lock: lock })
    }

    /// Makes an empty index in `dir` in place of the one that may be there.
    ///
    /// # Errors
    /// As [`SledIndex::open`]; it does not matter in what state the old one is.
    pub fn create(dir: &Path, timeout: Duration, purpose: &str) -> Result<Self, IndexError> {
        let lock = open::lock(dir, timeout, purpose)?;
        let store = open::fresh(dir)?;
        Ok(Self { dir: dir.to_owned(), store, _lock: lock })
    }

    /// Throws everything away and starts empty, under the lock that is held already.
    ///
    /// # Errors
    /// The new files cannot be made.
    pub fn reset(&mut self) -> Result<(), IndexError> {
        self.store = open::fresh(&self.dir)?;
        Ok(())
    }

    /// Reads everything and compares it with the sum that is kept beside it.
    ///
    /// # Errors
    /// [`IndexError::Corrupt`] for any pair that is missing, changed or unreadable.
    pub fn verify(&self) -> Result<(), IndexError> {
        self.store.verify()
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Index for SledIndex {
    fn applied(&self) -> Result<Applied, IndexError> {
        Ok(self.store.meta.applied)
    }

    fn last_fingerprint(&self) -> Result<Option<Fingerprint>, IndexError> {
        Ok(self.store.meta.fingerprint)
    }

    fn apply_events(&mut self, events: &[Event], applied: Applied) -> Result<(), IndexError> {
        let (before, last) = (self.store.meta.applied, self.store.meta.fingerprint);
        let plan = Plan::of(events, before, last, applied, &mut |authority, serial| {
            self.store.by_issuer_and_serial(authority, serial)
        })?;
        if plan.applied == before {
            return Ok(());
        }
        self.store.write(plan)
    }

    fn by_position(&self, position: u64) -> Result<Option<CertificateRecord>, IndexError> {
        self.store.record(position)
    }

    fn authority(&self, name: &str) -> Result<Option<AuthorityRecord>, IndexError> {
        self.store.authority(name)
    }

    fn authorities(&self) -> Result<Vec<AuthorityRecord>, IndexError> {
        self.store.authorities()
    }

    fn query(
        &self,
        filter: &Filter,
        now: Timestamp,
        limit: Option<usize>,
        visit: &mut Visitor<'_>,
    ) -> Result<(), IndexError> {
        self.store.query(filter, now, limit, visit)
    }

    fn counts(&self, now: Timestamp) -> Result<Counts, IndexError> {
        self.store.counts(now)
    }

    fn flush(&mut self) -> Result<(), IndexError> {
        self.store.flush()
    }
}

#[cfg(test)]
mod rot;
