//! One open database and what is read from it.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ca_domain::{KeyIdentifier, SerialNumber};
use sled::{Db, IVec};

use super::codec::{self, Meta, Totals};
use super::guard::{guard, with_limit};
use super::tables::{Numbers, Tables};
use super::{layout, open, stamp};
use crate::{AuthorityRecord, CertificateRecord, IndexError};

/// How long closing may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(60);

/// Called with the key and value of each pair; `Break` ends the scan.
pub(super) type PairVisitor<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, IndexError> + 'a;

/// A generation of the index: its directory has the database and the notes about it.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) generation: PathBuf,
    /// Always there until the store is dropped.
    db: Option<Db>,
    pub(super) meta: Meta,
    pub(super) tables: Tables,
    /// Something went wrong: the files are not vouched for when it is closed.
    failed: AtomicBool,
}

impl Store {
    /// Takes over an open database and reads what it says about itself.
    pub(super) fn load(generation: PathBuf, db: Db) -> Result<Self, IndexError> {
        let mut store = Self {
            generation,
            db: Some(db),
            meta: Meta::default(),
            tables: Tables::default(),
            failed: AtomicBool::new(true),
        };
        match store.value(layout::META)? {
            Some(body) => {
                if Meta::format(&body) != Some(layout::FORMAT) {
                    return Err(store.corrupt("it was written by another version of this program"));
                }
                store.meta =
                    Meta::decode(&body).ok_or_else(|| store.corrupt("its meta record is not readable"))?;
            }
            None if store.guarded(|db| Ok(db.is_empty()))? => {}
            None => return Err(store.corrupt("it has no meta record")),
        }
        let templates = store.numbered(layout::TEMPLATES, |body| String::from_utf8(body.to_vec()).ok())?;
        let authorities = store.numbered(layout::AUTHORITIES, layout::key_id)?;
        store.tables = Tables { templates, authorities };
        store.failed = AtomicBool::new(false);
        Ok(store)
    }

    /// Runs an operation of sled; any failure marks the store.
    pub(super) fn guarded<T>(&self, work: impl FnOnce(&Db) -> sled::Result<T>) -> Result<T, IndexError> {
        let Some(db) = &self.db else { return Err(self.corrupt("it is closed")) };
        guard(&self.generation, || work(db)).inspect_err(|_| self.failed.store(true, Ordering::Relaxed))
    }

    /// Damage was found: the store is not vouched for any more.
    pub(super) fn corrupt(&self, what: impl Into<String>) -> IndexError {
        self.failed.store(true, Ordering::Relaxed);
        IndexError::Corrupt { path: self.generation.clone(), what: what.into() }
    }

    /// The body of a key's value; none if there is no such key.
    pub(super) fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        let Some(value) = self.guarded(|db| db.get(key))? else { return Ok(None) };
        match codec::unseal(key, &value) {
            Some(body) => Ok(Some(body.to_vec())),
            None => Err(self.corrupt("the checksum of a value is wrong")),
        }
    }

    /// Visits the pairs from `start` up to, not including, `end`, in the order of keys.
    pub(super) fn scan(
        &self,
        start: Vec<u8>,
        end: Option<Vec<u8>>,
        visit: &mut PairVisitor<'_>,
    ) -> Result<(), IndexError> {
        let mut pairs = self.guarded(|db| {
            Ok(match end {
                Some(end) => db.range(start..end),
                None => db.range(start..),
            })
        })?;
        let mut next =
            || -> Result<Option<(IVec, IVec)>, IndexError> { self.guarded(|_| pairs.next().transpose()) };
        while let Some((key, value)) = next()? {
            if visit(&key, &value)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Visits the pairs whose keys begin with `prefix`.
    pub(super) fn scan_prefix(&self, prefix: &[u8], visit: &mut PairVisitor<'_>) -> Result<(), IndexError> {
        self.scan(prefix.to_vec(), successor(prefix), visit)
    }

    /// The certificate at a position of the ledger; none if the entry there is another.
    pub(super) fn record(&self, position: u64) -> Result<Option<CertificateRecord>, IndexError> {
        let key = layout::record(position);
        self.value(&key)?.map(|body| self.decode(position, &body)).transpose()
    }

    /// The record of a body that was unsealed.
    pub(super) fn decode(&self, position: u64, body: &[u8]) -> Result<CertificateRecord, IndexError> {
        let unreadable = || self.corrupt(format!("the record of entry {position} is not readable"));
        let (mut record, template, authority) =
            codec::decode_record(position, body).ok_or_else(unreadable)?;
        record.template = self.tables.templates.value(template).ok_or_else(unreadable)?.clone();
        record.authority = *self.tables.authorities.value(authority).ok_or_else(unreadable)?;
        Ok(record)
    }

    /// The record that a secondary key points to.
    pub(super) fn target(&self, position: u64) -> Result<CertificateRecord, IndexError> {
        self.record(position)?
            .ok_or_else(|| self.corrupt(format!("the record of entry {position} is missing")))
    }

    /// The certificate of an issuer and serial.
    pub(super) fn by_issuer_and_serial(
        &self,
        authority: &KeyIdentifier,
        serial: SerialNumber,
    ) -> Result<Option<CertificateRecord>, IndexError> {
        let prefix = layout::by_serial(serial);
        let mut found = None;
        self.scan_prefix(&prefix, &mut |key, _| {
            let position = layout::position_after(&prefix, key)
                .ok_or_else(|| self.corrupt("a key by serial is not readable"))?;
            let record = self.target(position)?;
            if record.serial != serial {
                return Err(self.corrupt(format!("entry {position} has another serial than its key")));
            }
            if record.authority != *authority {
                return Ok(ControlFlow::Continue(()));
            }
            found = Some(record);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    pub(super) fn authority(&self, name: &str) -> Result<Option<AuthorityRecord>, IndexError> {
        let Some(body) = self.value(&layout::named(name))? else { return Ok(None) };
        let unreadable = || self.corrupt(format!("the record of authority {name} is not readable"));
        codec::decode_authority(name, &body).ok_or_else(unreadable).map(Some)
    }

    pub(super) fn authorities(&self) -> Result<Vec<AuthorityRecord>, IndexError> {
        let mut found = Vec::new();
        self.scan_prefix(layout::NAMED, &mut |key, value| {
            let name = key.strip_prefix(layout::NAMED).and_then(|name| std::str::from_utf8(name).ok());
            let body = codec::unseal(key, value);
            let record = name.zip(body).and_then(|(name, body)| codec::decode_authority(name, body));
            found.push(record.ok_or_else(|| self.corrupt("the record of an authority is not readable"))?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    pub(super) fn flush(&self) -> Result<(), IndexError> {
        self.guarded(|db| db.flush().map(drop))
    }

    /// Reads every pair and compares the sum with the one that is stored.
    pub(super) fn verify(&self) -> Result<(), IndexError> {
        let mut totals = Totals::default();
        self.scan(Vec::new(), None, &mut |key, value| {
            if key != layout::META {
                totals.add(key, value);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if totals == self.meta.totals { Ok(()) } else { Err(self.corrupt("records are missing or changed")) }
    }

    /// The values of a table whose keys are 0, 1, 2 and so on.
    fn numbered<T: Clone + Eq + std::hash::Hash>(
        &self,
        prefix: &[u8],
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Numbers<T>, IndexError> {
        let broken = || self.corrupt("its table of templates or authorities is not readable");
        let mut values = Vec::new();
        self.scan_prefix(prefix, &mut |key, value| {
            let expected = u32::try_from(values.len()).ok();
            if layout::number_after(prefix, key).is_none_or(|number| Some(number) != expected) {
                return Err(broken());
            }
            values.push(codec::unseal(key, value).and_then(&read).ok_or_else(broken)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Numbers::new(values).ok_or_else(broken)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        let generation = self.generation.clone();
        // Dropping flushes and may panic or hang like everything else.
        let closed = with_limit(&self.generation, CLOSE_LIMIT, move || {
            guard(&generation, || {
                drop(db);
                Ok(())
            })
        });
        if closed.is_ok() && !self.failed.load(Ordering::Relaxed) && released(&self.generation) {
            stamp::write(&self.generation, &self.meta);
        } else {
            stamp::remove(&self.generation);
        }
    }
}

/// Waits until the last thread of sled has let go of its file, which is after the
/// last write to it.
fn released(generation: &std::path::Path) -> bool {
    let Ok(file) = File::open(generation.join(open::SLED).join("db")) else { return false };
    let deadline = Instant::now() + Duration::from_secs(2);
    while file.try_lock().is_err() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// The first key after all that begin with `prefix`.
pub(super) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}
