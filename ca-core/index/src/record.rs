//! What the index knows of a certificate.

use std::collections::BTreeMap;

use ca_domain::{KeyIdentifier, RevocationState, SerialNumber, SpkiHash, Timestamp};

/// How much of a ledger is in an index.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Applied {
    /// Entries 0 to `size` - 1 are in the index.
    pub size: u64,
    /// The ledger's Merkle root at this size; none between two checkpoints, as
    /// while an index is built in several batches.
    pub root: Option<[u8; 32]>,
}

impl Applied {
    /// Up to a checkpoint.
    #[must_use]
    pub const fn at(size: u64, root: [u8; 32]) -> Self {
        Self { size, root: Some(root) }
    }

    /// Up to a size that has no checkpoint.
    #[must_use]
    pub const fn partly(size: u64) -> Self {
        Self { size, root: None }
    }
}

/// One certificate that an authority of the home issued, a subordinate's among
/// them. The certificate itself is in the ledger's details, at `position`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateRecord {
    /// The position of its entry in the ledger.
    pub position: u64,
    /// The key identifier of the issuing authority.
    pub authority: KeyIdentifier,
    /// The serial number, unique for one authority.
    pub serial: SerialNumber,
    /// The template's name.
    pub template: String,
    /// The primary mailbox or host name; of an authority, its name or common name.
    pub person: String,
    /// The mailboxes of subjectAltName: rfc822Name and SmtpUTF8Mailbox (RFC 9598).
    pub mailboxes: Vec<String>,
    /// The dNSNames of subjectAltName.
    pub dns_names: Vec<String>,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub key: SpkiHash,
    /// The first second of its validity.
    pub not_before: Timestamp,
    /// The last second of its validity.
    pub not_after: Timestamp,
    /// Good, held or revoked, whether or not it has expired.
    pub state: RevocationState,
}

impl CertificateRecord {
    /// Whether its validity is over at `now`: its last second is past.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.not_after < now
    }

    /// The keys under which its names are found, each once.
    pub(crate) fn name_keys(&self) -> Vec<String> {
        let names = self.mailboxes.iter().chain(&self.dns_names).chain([&self.person]);
        let mut keys: Vec<String> =
            names.map(|name| crate::lookup_key(name)).filter(|key| !key.is_empty()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// An authority of the home directory.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct AuthorityRecord {
    /// Its name.
    pub name: String,
    /// The position of the entry that created or imported it, the latest if several.
    pub position: u64,
    /// The identifier of its own key, which its certificates' records have as `authority`.
    pub key_id: KeyIdentifier,
}

/// How many certificates there are.
///
/// `good`, `held`, `revoked` and `expired` add up to `total`: a certificate that
/// has expired is counted as such only if it was neither held nor revoked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// All.
    pub total: u64,
    /// Valid or not yet valid.
    pub good: u64,
    /// On hold.
    pub held: u64,
    /// Revoked.
    pub revoked: u64,
    /// Expired, neither held nor revoked.
    pub expired: u64,
    /// All, by template.
    pub by_template: BTreeMap<String, u64>,
}
