//! The status of every certificate that the ledger knows, by authority.

mod changed;
mod issued;
mod runs;
mod snapshot;

use std::collections::{BTreeSet, HashMap};

use ca_domain::{KeyIdentifier, ReasonCode, RevocationState, SerialNumber, Timestamp, Transition};
use ca_ledger::{Entry, EntryKind};

use crate::StatusError;
use crate::crl::CrlScope;
use changed::Changed;
use issued::{Issued, Known};
use runs::{Range, Runs};

pub use snapshot::{SnapshotError, read_snapshot, write_snapshot};

/// Issued serials and their states, by issuing authority.
///
/// A good certificate costs some 30 bytes; what a revoked one has more is kept
/// apart, in the order of the serials, and costs some 50.
#[derive(Clone, Debug, Default)]
pub struct StatusTable {
    authorities: HashMap<KeyIdentifier, Authority>,
    next: u64,
    /// Entries left out.
    skipped: u64,
}

#[derive(Clone, Debug, Default)]
struct Authority {
    issued: Issued,
    /// Revoked and held; a subset of `issued`.
    changed: Runs,
    /// Of authorities; a small subset of `issued`.
    authorities: BTreeSet<SerialNumber>,
}

/// What the ledger says about one issued certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CertificateStatus {
    /// Good, held or revoked.
    pub state: RevocationState,
    /// The certificate's last second.
    pub not_after: Timestamp,
}

/// A certificate whose answer changed: caches drop what they hold of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Change {
    /// The issuing authority.
    pub authority: KeyIdentifier,
    /// The certificate's serial.
    pub serial: SerialNumber,
    /// Its state from now on; good for a new certificate and for a release.
    pub state: RevocationState,
    /// The ledger position that changed it.
    pub index: u64,
}

/// A revoked or held certificate, as a CRL lists it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RevokedEntry {
    /// The certificate's serial.
    pub serial: SerialNumber,
    /// When it was revoked, or held.
    pub at: Timestamp,
    /// Why; `CertificateHold` for a held one.
    pub reason: ReasonCode,
    /// When the key was lost, if known.
    pub invalidity_date: Option<Timestamp>,
    /// The certificate's last second.
    pub not_after: Timestamp,
}

impl RevokedEntry {
    fn new(serial: SerialNumber, changed: &Changed) -> Self {
        let at = changed.at();
        let (at, reason, invalidity_date) = match changed.state() {
            RevocationState::Revoked { reason, invalidity_date, .. } => (at, reason, invalidity_date),
            RevocationState::Good | RevocationState::Held { .. } => (at, ReasonCode::CertificateHold, None),
        };
        Self { serial, at, reason, invalidity_date, not_after: changed.not_after() }
    }
}

/// How many certificates of an authority are in which state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// All that were issued.
    pub issued: usize,
    /// Of these, on hold.
    pub held: usize,
    /// Of these, revoked.
    pub revoked: usize,
}

impl StatusTable {
    /// An empty table, which takes ledger entry 0 next.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The ledger position that [`StatusTable::apply`] takes next: the number
    /// of entries applied.
    #[must_use]
    pub const fn next_index(&self) -> u64 {
        self.next
    }

    /// Applies the ledger entry at position `index`; the change, if the entry
    /// has to do with the status of a certificate.
    ///
    /// # Errors
    /// An entry out of order, one without a field that its kind needs, a serial
    /// issued twice, or a change that the state does not allow, each with the
    /// position. The table is then as it was; [`StatusTable::skip`] goes on.
    pub fn apply(&mut self, index: u64, entry: &Entry) -> Result<Option<Change>, StatusError> {
        self.expect(index)?;
        let change = self.apply_entry(index, entry)?;
        self.next = index + 1;
        Ok(change)
    }

    /// Leaves the entry at `index` out, so that one bad entry does not keep
    /// later revocations from being seen. The caller raises an alarm.
    ///
    /// # Errors
    /// A position that is not the next one.
    pub fn skip(&mut self, index: u64) -> Result<(), StatusError> {
        self.expect(index)?;
        self.next = index + 1;
        self.skipped += 1;
        Ok(())
    }

    /// How many entries were left out: what this table says is not all that the
    /// ledger says.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    fn expect(&self, index: u64) -> Result<(), StatusError> {
        if index == self.next {
            Ok(())
        } else {
            Err(StatusError::OutOfOrder { expected: self.next, got: index })
        }
    }

    fn apply_entry(&mut self, position: u64, entry: &Entry) -> Result<Option<Change>, StatusError> {
        let serial = || entry.serial.ok_or(StatusError::IncompleteEntry { position, field: "serial" });
        let not_after =
            || entry.not_after.ok_or(StatusError::IncompleteEntry { position, field: "notAfter" });
        let reason = || entry.reason.ok_or(StatusError::IncompleteEntry { position, field: "reason" });
        let transition = match entry.kind {
            EntryKind::AuthorityCreated => {
                // The authority exists from here on: an empty CRL is a true one. What
                // its own certificate is worth, its issuer says.
                self.authorities.entry(entry.authority).or_default();
                return Ok(None);
            }
            EntryKind::CertificateIssued | EntryKind::CaCertificateIssued => {
                return self.issue(position, entry, serial()?, not_after()?).map(Some);
            }
            EntryKind::CrlIssued
            | EntryKind::EscrowAgentAdded
            | EntryKind::EscrowAgentRemoved
            | EntryKind::EscrowThresholdSet
            | EntryKind::RecoveryRequested
            | EntryKind::RecoveryContributed
            | EntryKind::KeyRecovered
            | EntryKind::NoticesSent
            | EntryKind::RequestSubmitted
            | EntryKind::RequestApproved
            | EntryKind::RequestRejected
            | EntryKind::PersonLeft
            | EntryKind::KeyExported
            | EntryKind::OcspPresigned => return Ok(None),
            EntryKind::Revoked => {
                Transition::Revoke { reason: reason()?, invalidity_date: entry.invalidity_date }
            }
            EntryKind::Held => Transition::Hold,
            EntryKind::Released => Transition::Release,
        };
        self.change(position, entry, serial()?, transition).map(Some)
    }

    fn issue(
        &mut self,
        position: u64,
        entry: &Entry,
        serial: SerialNumber,
        not_after: Timestamp,
    ) -> Result<Change, StatusError> {
        let authority = entry.authority;
        let known = self.authorities.entry(authority).or_default();
        if !known.issued.insert(&serial, not_after) {
            return Err(StatusError::DuplicateSerial { position, authority, serial });
        }
        if entry.kind == EntryKind::CaCertificateIssued {
            known.authorities.insert(serial);
        }
        Ok(Change { authority, serial, state: RevocationState::Good, index: position })
    }

    fn change(
        &mut self,
        position: u64,
        entry: &Entry,
        serial: SerialNumber,
        transition: Transition,
    ) -> Result<Change, StatusError> {
        let authority = entry.authority;
        let missing = StatusError::NeverIssued { position, authority, serial };
        let Some(known) = self.authorities.get_mut(&authority) else { return Err(missing) };
        let Some(old) = known.status(&serial) else { return Err(missing) };
        let state = old.state.apply(transition, entry.time).map_err(|cause| StatusError::Transition {
            position,
            serial,
            cause,
        })?;
        let changed = Changed::new(state, old.not_after);
        known.issued.set_changed(&serial, changed.is_some());
        match changed {
            Some(changed) => known.changed.insert(serial, changed),
            None => known.changed.remove(&serial),
        };
        Ok(Change { authority, serial, state, index: position })
    }

    /// The status of a certificate; none if the authority never issued it.
    #[must_use]
    pub fn status(&self, authority: &KeyIdentifier, serial: &SerialNumber) -> Option<CertificateStatus> {
        self.authorities.get(authority)?.status(serial)
    }

    /// Every revoked or held certificate of an authority, in the order of the serials.
    pub fn revoked(&self, authority: &KeyIdentifier) -> Revoked<'_> {
        self.revoked_in(authority, &CrlScope::All, None)
    }

    /// The serial's entry in a CRL of this scope, if it has one.
    #[must_use]
    pub fn entry(
        &self,
        authority: &KeyIdentifier,
        scope: &CrlScope,
        serial: &SerialNumber,
    ) -> Option<RevokedEntry> {
        let known = self.authorities.get(authority)?;
        let entry = RevokedEntry::new(*serial, known.changed.get(serial)?);
        scope.lists(&entry, || known.authorities.contains(serial)).then_some(entry)
    }

    /// Whether a certificate belongs to the scope, whatever its status is.
    #[must_use]
    pub fn covers(&self, authority: &KeyIdentifier, scope: &CrlScope, serial: &SerialNumber) -> bool {
        let known = self.authorities.get(authority);
        scope.covers(serial, || known.is_some_and(|known| known.authorities.contains(serial)))
    }

    /// What the next full CRL of an authority lists, in the order of the serials.
    ///
    /// An expired certificate stays until it was on one CRL issued after its
    /// expiry (RFC 5280, section 3.3): it is left out once `previous_this_update`,
    /// the thisUpdate of the last CRL, is later than both its notAfter and its
    /// revocation. Without a previous CRL all are listed.
    pub fn revoked_for_crl(
        &self,
        authority: &KeyIdentifier,
        previous_this_update: Option<Timestamp>,
    ) -> Revoked<'_> {
        self.revoked_in(authority, &CrlScope::All, previous_this_update)
    }

    /// The same for a CRL that covers a part of what the authority issued.
    pub fn revoked_in<'a>(
        &'a self,
        authority: &KeyIdentifier,
        scope: &'a CrlScope,
        previous_this_update: Option<Timestamp>,
    ) -> Revoked<'a> {
        let known = self.authorities.get(authority);
        let inner = known.map(|known| known.changed.range(scope.serials()));
        let authorities = known.map(|known| &known.authorities);
        Revoked { inner, authorities, scope, since: previous_this_update }
    }

    /// The authorities that the ledger names, in no order.
    pub fn authorities(&self) -> impl Iterator<Item = &KeyIdentifier> {
        self.authorities.keys()
    }

    /// Whether the ledger names this authority.
    #[must_use]
    pub fn knows(&self, authority: &KeyIdentifier) -> bool {
        self.authorities.contains_key(authority)
    }

    /// How many certificates an authority has in which state.
    #[must_use]
    pub fn counts(&self, authority: &KeyIdentifier) -> Counts {
        let Some(known) = self.authorities.get(authority) else { return Counts::default() };
        let held = |changed: &&Changed| matches!(changed.state(), RevocationState::Held { .. });
        let held = known.changed.iter().map(|(_, changed)| changed).filter(held).count();
        Counts { issued: known.issued.len(), held, revoked: known.changed.len() - held }
    }
}

impl Authority {
    fn status(&self, serial: &SerialNumber) -> Option<CertificateStatus> {
        let Known { not_after, changed } = self.issued.get(serial)?;
        let changed = changed.then(|| self.changed.get(serial)).flatten();
        Some(CertificateStatus { state: changed.map_or(RevocationState::Good, Changed::state), not_after })
    }
}

/// Revoked and held certificates in the order of their serials.
#[derive(Clone, Debug)]
pub struct Revoked<'a> {
    inner: Option<Range<'a>>,
    authorities: Option<&'a BTreeSet<SerialNumber>>,
    scope: &'a CrlScope,
    since: Option<Timestamp>,
}

impl Iterator for Revoked<'_> {
    type Item = RevokedEntry;

    fn next(&mut self) -> Option<RevokedEntry> {
        loop {
            let (serial, changed) = self.inner.as_mut()?.next()?;
            let entry = RevokedEntry::new(*serial, changed);
            let is_of_authority = || self.authorities.is_some_and(|all| all.contains(serial));
            let is_due = self.since.is_none_or(|since| entry.not_after.max(entry.at) >= since);
            if is_due && self.scope.lists(&entry, is_of_authority) {
                return Some(entry);
            }
        }
    }
}

#[cfg(test)]
mod tests;
