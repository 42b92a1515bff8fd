//! What an entry of the ledger means for the index.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca_domain::{Detail, KeyIdentifier, ReasonCode, RevocationState, SerialNumber, Timestamp, Transition};
use ca_ledger::{Entry, EntryKind};
use sha2::{Digest, Sha256};

use crate::{AuthorityRecord, CertificateRecord, IndexError};

mod certificate;

/// A hash of an entry's fields: it tells whether the last entry of an index is
/// the ledger's entry at that position.
pub type Fingerprint = [u8; 32];

/// One entry, read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// The entry's position in the ledger.
    pub position: u64,
    /// Of the entry.
    pub fingerprint: Fingerprint,
    /// What it changes.
    pub change: Change,
}

/// What an entry changes in the index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// Nothing.
    None,
    /// An authority is known from now on. Its certificate is recorded where it
    /// was issued, if that was here.
    Authority(AuthorityRecord),
    /// A certificate is known from now on.
    Certificate(Box<CertificateRecord>),
    /// The state of a certificate changes.
    State {
        /// The key identifier of its issuer.
        authority: KeyIdentifier,
        /// Its serial number.
        serial: SerialNumber,
        /// How.
        transition: Transition,
        /// When.
        at: Timestamp,
    },
}

impl Event {
    /// Reads an entry together with its detail.
    ///
    /// # Errors
    /// [`IndexError::Inconsistent`] if the detail is not one for such an entry,
    /// its certificate cannot be read, or the two contradict each other.
    pub fn of(position: u64, entry: &Entry, detail: &Detail) -> Result<Self, IndexError> {
        let change =
            change(position, entry, detail).map_err(|what| IndexError::inconsistent(position, what))?;
        Ok(Self { position, fingerprint: fingerprint(entry), change })
    }
}

fn change(position: u64, entry: &Entry, detail: &Detail) -> Result<Change, String> {
    match (entry.kind, detail) {
        (EntryKind::AuthorityCreated, Detail::AuthorityCreated { name, certificate, .. }) => {
            let key_id = read(certificate, entry)?.key_id;
            Ok(Change::Authority(AuthorityRecord { name: name.clone(), position, key_id }))
        }
        (kind, Detail::CertificateIssued { certificate, template, person, .. }) if kind.is_issuance() => {
            let read = read(certificate, entry)?;
            let record = record(position, entry, read, template, person);
            Ok(Change::Certificate(Box::new(record)))
        }
        (EntryKind::Revoked, Detail::StatusChanged { .. }) => {
            let reason = entry.reason.unwrap_or(ReasonCode::Unspecified);
            state(entry, Transition::Revoke { reason, invalidity_date: entry.invalidity_date })
        }
        (EntryKind::Held, Detail::StatusChanged { .. }) => state(entry, Transition::Hold),
        (EntryKind::Released, Detail::StatusChanged { .. }) => state(entry, Transition::Release),
        (EntryKind::CrlIssued, Detail::CrlIssued { .. })
        | (EntryKind::EscrowAgentAdded, Detail::EscrowAgentAdded { .. })
        | (EntryKind::EscrowAgentRemoved, Detail::EscrowAgentRemoved { .. })
        | (EntryKind::EscrowThresholdSet, Detail::EscrowThresholdSet { .. })
        | (EntryKind::RecoveryRequested, Detail::RecoveryRequested { .. })
        | (EntryKind::RecoveryContributed, Detail::RecoveryContributed { .. })
        | (EntryKind::KeyRecovered, Detail::KeyRecovered { .. })
        | (EntryKind::NoticesSent, Detail::NoticesSent { .. })
        | (EntryKind::RequestSubmitted, Detail::RequestSubmitted { .. })
        | (EntryKind::RequestApproved, Detail::RequestApproved { .. })
        | (EntryKind::RequestRejected, Detail::RequestRejected { .. })
        | (EntryKind::PersonLeft, Detail::PersonLeft { .. })
        | (EntryKind::KeyExported, Detail::KeyExported { .. })
        | (EntryKind::OcspPresigned, Detail::OcspPresigned { .. }) => Ok(Change::None),
        (kind, _) => Err(format!("its detail is not one of a {kind:?} entry")),
    }
}

fn state(entry: &Entry, transition: Transition) -> Result<Change, String> {
    let serial = entry.serial.ok_or("it has no serial number")?;
    Ok(Change::State { authority: entry.authority, serial, transition, at: entry.time })
}

/// Reads the certificate of a detail and holds it against the entry.
fn read(base64: &str, entry: &Entry) -> Result<certificate::Read, String> {
    let der = STANDARD.decode(base64).map_err(|error| format!("its certificate is not base64: {error}"))?;
    let read = certificate::read(&der)?;
    if entry.serial.is_some_and(|serial| serial != read.serial) {
        return Err(format!("its certificate has the serial {}", read.serial));
    }
    if entry.not_after.is_some_and(|not_after| not_after != read.not_after) {
        return Err(format!("its certificate ends on {}", read.not_after));
    }
    Ok(read)
}

fn record(
    position: u64,
    entry: &Entry,
    read: certificate::Read,
    template: &str,
    person: &str,
) -> CertificateRecord {
    CertificateRecord {
        position,
        authority: entry.authority,
        serial: read.serial,
        template: template.to_owned(),
        person: person.to_owned(),
        mailboxes: read.mailboxes,
        dns_names: read.dns_names,
        key: read.key,
        not_before: read.not_before,
        not_after: read.not_after,
        state: RevocationState::Good,
    }
}

/// The fingerprint of an entry: each field has a fixed place, so that no two
/// different entries hash the same bytes.
#[must_use]
pub fn fingerprint(entry: &Entry) -> Fingerprint {
    let optional = |time: Option<Timestamp>| time.map_or(u64::MAX, Timestamp::as_unix).to_be_bytes();
    let mut hash = Sha256::new();
    hash.update([entry.kind as u8, entry.reason.map_or(u8::MAX, ReasonCode::code)]);
    hash.update(entry.time.as_unix().to_be_bytes());
    hash.update(optional(entry.not_after));
    hash.update(optional(entry.invalidity_date));
    hash.update(entry.authority.0);
    hash.update(entry.serial.map_or([u8::MAX; SerialNumber::MAX_LEN], |serial| *serial.padded()));
    hash.update(entry.detail_hash);
    hash.finalize().into()
}
