//! What a batch of events changes, worked out before anything is written.

use std::collections::{BTreeMap, HashMap};

use ca_domain::{KeyIdentifier, SerialNumber};

use crate::{Applied, AuthorityRecord, CertificateRecord, Change, Event, Fingerprint, IndexError};

/// The changes of a whole batch, each record once.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The record before, if there was one, and after.
    pub(crate) records: BTreeMap<u64, (Option<CertificateRecord>, CertificateRecord)>,
    /// The latest of each name.
    pub(crate) authorities: BTreeMap<String, AuthorityRecord>,
    /// How much is in the index afterwards.
    pub(crate) applied: Applied,
    /// Of the last entry.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// Positions of new or changed records by issuer and serial.
    touched: HashMap<(KeyIdentifier, SerialNumber), u64>,
}

/// Finds the stored certificate of an issuer and serial.
pub(crate) type Find<'a> =
    dyn FnMut(&KeyIdentifier, SerialNumber) -> Result<Option<CertificateRecord>, IndexError> + 'a;

impl Plan {
    /// Plans a batch on top of an index that holds `before`.
    pub(crate) fn of(
        events: &[Event],
        before: Applied,
        last: Option<Fingerprint>,
        after: Applied,
        find: &mut Find<'_>,
    ) -> Result<Self, IndexError> {
        let mut plan = Self { fingerprint: last, applied: before, ..Self::default() };
        for event in events {
            if event.position < plan.applied.size {
                continue;
            }
            if event.position > plan.applied.size {
                let what = format!("the entries from {} on are missing before it", plan.applied.size);
                return Err(IndexError::inconsistent(event.position, what));
            }
            plan.add(event, find)?;
            plan.applied = Applied::partly(event.position + 1);
            plan.fingerprint = Some(event.fingerprint);
        }
        if after.size > plan.applied.size {
            let what = "it is to be counted as applied, but was not given";
            return Err(IndexError::inconsistent(plan.applied.size, what));
        }
        // A replay of old entries ends before what the index holds: then nothing changes.
        if after.size == plan.applied.size {
            if plan.applied.root.zip(after.root).is_some_and(|(ours, theirs)| ours != theirs) {
                return Err(IndexError::inconsistent(after.size, "the ledger has another root at this size"));
            }
            plan.applied.root = after.root.or(plan.applied.root);
        } else if plan.applied.size > before.size {
            let what = "it was given, but is not to be counted as applied";
            return Err(IndexError::inconsistent(after.size, what));
        }
        Ok(plan)
    }

    fn add(&mut self, event: &Event, find: &mut Find<'_>) -> Result<(), IndexError> {
        match &event.change {
            Change::None => Ok(()),
            Change::Authority(authority) => {
                // The latest of a name counts: an authority may be imported again.
                self.authorities.insert(authority.name.clone(), authority.clone());
                Ok(())
            }
            Change::Certificate(record) => self.insert(event.position, record, find),
            Change::State { authority, serial, transition, at } => {
                let record = self.find(authority, *serial, find)?.ok_or_else(|| {
                    let what = format!("authority {authority} never issued the serial {serial}");
                    IndexError::inconsistent(event.position, what)
                })?;
                let state = record.state.apply(*transition, *at).map_err(|error| {
                    IndexError::inconsistent(event.position, format!("certificate {serial} is {error}"))
                })?;
                self.put(CertificateRecord { state, ..record.clone() }, Some(record));
                Ok(())
            }
        }
    }

    fn insert(
        &mut self,
        position: u64,
        record: &CertificateRecord,
        find: &mut Find<'_>,
    ) -> Result<(), IndexError> {
        let record = CertificateRecord { position, ..record.clone() };
        if let Some(other) = self.find(&record.authority, record.serial, find)? {
            let what = format!("the serial {} was issued before, by entry {}", record.serial, other.position);
            return Err(IndexError::inconsistent(position, what));
        }
        self.put(record, None);
        Ok(())
    }

    /// The certificate of an issuer and serial as the batch has left it so far.
    fn find(
        &self,
        authority: &KeyIdentifier,
        serial: SerialNumber,
        find: &mut Find<'_>,
    ) -> Result<Option<CertificateRecord>, IndexError> {
        let touched = self.touched.get(&(*authority, serial));
        match touched.and_then(|position| self.records.get(position)) {
            Some((_, record)) => Ok(Some(record.clone())),
            None => find(authority, serial),
        }
    }

    fn put(&mut self, record: CertificateRecord, before: Option<CertificateRecord>) {
        self.touched.insert((record.authority, record.serial), record.position);
        match self.records.get_mut(&record.position) {
            // What was stored before the batch stays the record before.
            Some((_, after)) => *after = record,
            None => {
                self.records.insert(record.position, (before, record));
            }
        }
    }
}
