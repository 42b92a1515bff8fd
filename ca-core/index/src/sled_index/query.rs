//! Queries: the table of the leading condition is read, the other conditions sift.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use ca_domain::{RevocationState, Timestamp};

use super::store::{Store, successor};
use super::{codec, layout};
use crate::filter::Lead;
use crate::{CertificateRecord, Counts, Filter, IndexError, Visitor};

impl Store {
    pub(super) fn query(
        &self,
        filter: &Filter,
        now: Timestamp,
        limit: Option<usize>,
        visit: &mut Visitor<'_>,
    ) -> Result<(), IndexError> {
        let mut left = limit.unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(());
        }
        self.candidates(&filter.lead(now), &mut |record| {
            if !filter.matches(&record, now) {
                return ControlFlow::Continue(());
            }
            left -= 1;
            let asked = visit(record);
            if left == 0 { ControlFlow::Break(()) } else { asked }
        })
    }

    /// The records of a leading condition, one after the other.
    fn candidates(&self, lead: &Lead, visit: &mut Visitor<'_>) -> Result<(), IndexError> {
        match lead {
            Lead::Serial(serial) => {
                self.follow(&layout::by_serial(*serial), &|record| record.serial == *serial, visit)
            }
            Lead::Key(key) => {
                // Keys that share the indexed half of their hash are sifted out later.
                self.follow(&layout::by_key(*key), &|record| record.key.0[..16] == key.0[..16], visit)
            }
            Lead::Name(name) => {
                self.follow(&layout::by_name(name), &|record| record.name_keys().contains(name), visit)
            }
            Lead::Held => self.follow(
                layout::HELD,
                &|record| matches!(record.state, RevocationState::Held { .. }),
                visit,
            ),
            Lead::Revoked => {
                let revoked =
                    |record: &CertificateRecord| matches!(record.state, RevocationState::Revoked { .. });
                self.follow(layout::REVOKED, &revoked, visit)
            }
            Lead::Template(template) => match self.tables.templates.number(template) {
                None => Ok(()),
                Some(number) => {
                    self.follow(&layout::by_template(number), &|record| record.template == *template, visit)
                }
            },
            Lead::Authority(authority) => match self.tables.authorities.number(authority) {
                None => Ok(()),
                Some(number) => self.follow(
                    &layout::by_authority(number),
                    &|record| record.authority == *authority,
                    visit,
                ),
            },
            Lead::Expiry(start, end) => self.expiring(*start, *end, &mut |expiry, position| {
                let record = self.target(position)?;
                if record.not_after.as_unix() != expiry {
                    return Err(self.corrupt(format!("entry {position} has another expiry than its key")));
                }
                Ok(visit(record))
            }),
            Lead::All => self.scan_prefix(layout::RECORDS, &mut |key, value| {
                let position = layout::position_after(layout::RECORDS, key);
                let (position, body) = position
                    .zip(codec::unseal(key, value))
                    .ok_or_else(|| self.corrupt("a record is not readable"))?;
                Ok(visit(self.decode(position, body)?))
            }),
        }
    }

    /// The records whose positions stand after `prefix` in keys; each must belong there.
    fn follow(
        &self,
        prefix: &[u8],
        belongs: &dyn Fn(&CertificateRecord) -> bool,
        visit: &mut Visitor<'_>,
    ) -> Result<(), IndexError> {
        self.scan_prefix(prefix, &mut |key, _| {
            let position = layout::position_after(prefix, key)
                .ok_or_else(|| self.corrupt("a secondary key is not readable"))?;
            let record = self.target(position)?;
            if !belongs(&record) {
                return Err(self.corrupt(format!("entry {position} is listed where it does not belong")));
            }
            Ok(visit(record))
        })
    }

    /// notAfter and position of what ends from `start` on and before `end`.
    fn expiring(
        &self,
        start: Timestamp,
        end: Option<Timestamp>,
        visit: &mut dyn FnMut(u64, u64) -> Result<ControlFlow<()>, IndexError>,
    ) -> Result<(), IndexError> {
        if end.is_some_and(|end| end <= start) {
            return Ok(());
        }
        let end = end.map_or_else(|| successor(layout::EXPIRY), |end| Some(layout::by_expiry(end)));
        self.scan(layout::by_expiry(start), end, &mut |key, _| {
            let (expiry, position) = layout::expiry_and_position(key)
                .ok_or_else(|| self.corrupt("a key by expiry is not readable"))?;
            visit(expiry, position)
        })
    }

    /// Counts keys, and reads records only of nothing at all.
    pub(super) fn counts(&self, now: Timestamp) -> Result<Counts, IndexError> {
        let mut marked = HashSet::new();
        let (held, revoked) =
            (self.positions(layout::HELD, &mut marked)?, self.positions(layout::REVOKED, &mut marked)?);
        let mut expired = 0;
        self.expiring(Timestamp::EPOCH, Some(now), &mut |_, position| {
            expired += u64::from(!marked.contains(&position));
            Ok(ControlFlow::Continue(()))
        })?;
        let mut by_template = BTreeMap::new();
        for (number, name) in self.tables.templates.iter() {
            let count = self.positions(&layout::by_template(number), &mut HashSet::new())?;
            by_template.insert(name.clone(), count);
        }
        let total = self.meta.totals.records;
        let good = total
            .checked_sub(held + revoked + expired)
            .ok_or_else(|| self.corrupt("more certificates are held, revoked or expired than there are"))?;
        Ok(Counts { total, good, held, revoked, expired, by_template })
    }

    /// Adds the positions after `prefix` to `found` and counts them.
    fn positions(&self, prefix: &[u8], found: &mut HashSet<u64>) -> Result<u64, IndexError> {
        let mut count = 0;
        self.scan_prefix(prefix, &mut |key, _| {
            let position = layout::position_after(prefix, key);
            found.insert(position.ok_or_else(|| self.corrupt("a secondary key is not readable"))?);
            count += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(count)
    }
}
