//! What a delta CRL lists: the changes since its base (RFC 5280, section 5.2.4).

use std::collections::{BTreeMap, btree_map};
use std::io::{Read, Seek};

use ca_domain::{KeyIdentifier, ReasonCode, RevocationState, SerialNumber, Timestamp};

use super::{CrlReader, CrlScope};
use crate::{Change, RevokedEntry, StatusError, StatusTable};

/// The certificates whose status changed since a full CRL was signed. What it
/// costs is what changed, not what is revoked.
#[derive(Clone, Debug, Default)]
pub struct ChangesSince {
    changes: Vec<Noted>,
}

#[derive(Clone, Copy, Debug)]
struct Noted {
    /// Where in the ledger.
    index: u64,
    serial: SerialNumber,
    /// Whether it was revoked or held before this change. Of a certificate that
    /// is revoked now nobody asks.
    was_listed: bool,
}

impl ChangesSince {
    /// Notes a change of an issued certificate, in the order of the ledger.
    pub fn note(&mut self, change: &Change) {
        // Only a hold is ever taken back.
        let was_listed = change.state == RevocationState::Good;
        self.changes.push(Noted { index: change.index, serial: change.serial, was_listed });
    }

    /// Forgets what a new full CRL shows: all before ledger position `index`.
    pub fn forget_before(&mut self, index: u64) {
        self.changes.retain(|noted| noted.index >= index);
    }

    /// Whether nothing changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Puts what differs between a published full CRL and the table in the place of
    /// all that is known: after a start nothing else tells what changed meanwhile.
    /// `previous` is the thisUpdate of the CRL before which certificates may have
    /// expired off the list, as for [`StatusTable::revoked_in`].
    ///
    /// Both lists are in the order of the serials and are read side by side.
    ///
    /// # Errors
    /// A CRL whose list does not decode or is in no order, or a failure of the input.
    pub fn compare<R: Read + Seek>(
        &mut self,
        published: &mut CrlReader<R>,
        table: &StatusTable,
        authority: &KeyIdentifier,
        scope: &CrlScope,
        previous: Timestamp,
    ) -> Result<(), StatusError> {
        let index = table.next_index().saturating_sub(1);
        let mut found = Vec::new();
        let mut differs = |serial, was_listed| found.push(Noted { index, serial, was_listed });
        let mut wanted = table.revoked_in(authority, scope, Some(previous)).peekable();
        let mut last = None;
        for entry in published.entries()? {
            let entry = entry?;
            if last.replace(entry.serial).is_some_and(|last| last >= entry.serial) {
                return Err(StatusError::CrlUnacceptable(
                    "its list is not in the order of the serials".into(),
                ));
            }
            while let Some(missing) = wanted.next_if(|wanted| wanted.serial < entry.serial) {
                differs(missing.serial, false);
            }
            match wanted.next_if(|wanted| wanted.serial == entry.serial) {
                Some(same) if (same.at, same.reason) == (entry.at, entry.reason) => {}
                Some(other) => differs(other.serial, true),
                // Expired off the list, or released.
                None if table.entry(authority, scope, &entry.serial).is_some() => {}
                None => differs(entry.serial, true),
            }
        }
        wanted.for_each(|missing| differs(missing.serial, false));
        self.changes = found;
        Ok(())
    }

    /// The entries of a delta CRL of `this_update`, in the order of the serials.
    #[must_use]
    pub fn entries(
        &self,
        table: &StatusTable,
        authority: &KeyIdentifier,
        scope: &CrlScope,
        this_update: Timestamp,
    ) -> Vec<RevokedEntry> {
        let mut first: BTreeMap<SerialNumber, bool> = BTreeMap::new();
        for noted in self.changes.iter().filter(|noted| table.covers(authority, scope, &noted.serial)) {
            if let btree_map::Entry::Vacant(place) = first.entry(noted.serial) {
                place.insert(noted.was_listed);
            }
        }
        // The date of a release is not kept; what counts is the reason.
        let removed = |serial| RevokedEntry {
            serial,
            at: this_update,
            reason: ReasonCode::RemoveFromCrl,
            invalidity_date: None,
            not_after: Timestamp::MAX,
        };
        let entry = |(serial, was_listed): (SerialNumber, bool)| {
            // The base may have dropped an expired certificate, and nobody asks for one.
            let is_current =
                || table.status(authority, &serial).is_some_and(|status| status.not_after >= this_update);
            let taken_off = || (was_listed && is_current()).then(|| removed(serial));
            table.entry(authority, scope, &serial).or_else(taken_off)
        };
        first.into_iter().filter_map(entry).collect()
    }
}
