//! The index in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use ca_domain::{RevocationState, SerialNumber, Timestamp};

use crate::filter::Lead;
use crate::plan::Plan;
use crate::{
    Applied, AuthorityRecord, CertificateRecord, Counts, Event, Filter, Fingerprint, Index, IndexError,
    Visitor,
};

/// An index that lives as long as its process.
///
/// It finds serials and mailboxes directly and looks through all records for
/// everything else.
#[derive(Clone, Debug, Default)]
pub struct MemoryIndex {
    applied: Applied,
    fingerprint: Option<Fingerprint>,
    records: BTreeMap<u64, CertificateRecord>,
    authorities: BTreeMap<String, AuthorityRecord>,
    by_serial: BTreeMap<SerialNumber, BTreeSet<u64>>,
    by_name: BTreeMap<String, BTreeSet<u64>>,
}

impl MemoryIndex {
    /// An empty index.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn at(&self, positions: Option<&BTreeSet<u64>>) -> Vec<&CertificateRecord> {
        positions.into_iter().flatten().filter_map(|position| self.records.get(position)).collect()
    }
}

impl Index for MemoryIndex {
    fn applied(&self) -> Result<Applied, IndexError> {
        Ok(self.applied)
    }

    fn last_fingerprint(&self) -> Result<Option<Fingerprint>, IndexError> {
        Ok(self.fingerprint)
    }

    fn apply_events(&mut self, events: &[Event], applied: Applied) -> Result<(), IndexError> {
        let plan = Plan::of(events, self.applied, self.fingerprint, applied, &mut |authority, serial| {
            let known = self.at(self.by_serial.get(&serial));
            Ok(known.into_iter().find(|record| record.authority == *authority).cloned())
        })?;
        for (position, (_, record)) in plan.records {
            self.by_serial.entry(record.serial).or_default().insert(position);
            for key in record.name_keys() {
                self.by_name.entry(key).or_default().insert(position);
            }
            self.records.insert(position, record);
        }
        self.authorities.extend(plan.authorities);
        self.applied = plan.applied;
        self.fingerprint = plan.fingerprint;
        Ok(())
    }

    fn by_position(&self, position: u64) -> Result<Option<CertificateRecord>, IndexError> {
        Ok(self.records.get(&position).cloned())
    }

    fn authority(&self, name: &str) -> Result<Option<AuthorityRecord>, IndexError> {
        Ok(self.authorities.get(name).cloned())
    }

    fn authorities(&self) -> Result<Vec<AuthorityRecord>, IndexError> {
        Ok(self.authorities.values().cloned().collect())
    }

    fn query(
        &self,
        filter: &Filter,
        now: Timestamp,
        limit: Option<usize>,
        visit: &mut Visitor<'_>,
    ) -> Result<(), IndexError> {
        let lead = filter.lead(now);
        let mut candidates = match &lead {
            Lead::Serial(serial) => self.at(self.by_serial.get(serial)),
            Lead::Name(key) => self.at(self.by_name.get(key)),
            _ => self.records.values().collect(),
        };
        if matches!(lead, Lead::Expiry(..)) {
            // Stable: those of one second stay in the order of the ledger.
            candidates.sort_by_key(|record| record.not_after);
        }
        let selected = candidates.into_iter().filter(|record| filter.matches(record, now));
        for record in selected.take(limit.unwrap_or(usize::MAX)) {
            if visit(record.clone()) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn counts(&self, now: Timestamp) -> Result<Counts, IndexError> {
        let mut counts = Counts::default();
        for record in self.records.values() {
            counts.total += 1;
            match record.state {
                RevocationState::Held { .. } => counts.held += 1,
                RevocationState::Revoked { .. } => counts.revoked += 1,
                RevocationState::Good if record.is_expired(now) => counts.expired += 1,
                RevocationState::Good => counts.good += 1,
            }
            *counts.by_template.entry(record.template.clone()).or_default() += 1;
        }
        Ok(counts)
    }

    fn flush(&mut self) -> Result<(), IndexError> {
        Ok(())
    }
}
