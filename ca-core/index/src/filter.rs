//! What a query selects.

use ca_domain::{KeyIdentifier, RevocationState, SerialNumber, SpkiHash, Timestamp};

use crate::CertificateRecord;

/// A state to select by. Expiry is judged at the time of the query.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StateFilter {
    /// Neither held nor revoked nor expired.
    Good,
    /// On hold, expired or not.
    Held,
    /// Revoked, expired or not.
    Revoked,
    /// Past its last second, whether or not it was held or revoked.
    Expired,
}

/// Conditions that a certificate must all meet; the default selects every one.
///
/// The leading condition decides how much is read. It is the first that is set
/// of: serial, key, mailbox, state held or revoked, expiry (state expired or
/// `expiring_before`), template, authority, state good, which then leads by expiry.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// One of its mailboxes, host names or its person, in any letter case.
    pub mailbox: Option<String>,
    /// The name of its template.
    pub template: Option<String>,
    /// The key identifier of its issuer.
    pub authority: Option<KeyIdentifier>,
    /// Its state.
    pub state: Option<StateFilter>,
    /// Its last second is before this time and, unless the state asked for is
    /// expired, not before the time of the query.
    pub expiring_before: Option<Timestamp>,
    /// Its serial number.
    pub serial: Option<SerialNumber>,
    /// The hash of its public key.
    pub key: Option<SpkiHash>,
}

/// The condition by which records are found; the others only sift.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Lead {
    Serial(SerialNumber),
    Key(SpkiHash),
    /// The lookup key.
    Name(String),
    Held,
    Revoked,
    /// notAfter from the first (inclusive) to the second (exclusive).
    Expiry(Timestamp, Option<Timestamp>),
    Template(String),
    Authority(KeyIdentifier),
    All,
}

impl Filter {
    /// The leading condition.
    pub(crate) fn lead(&self, now: Timestamp) -> Lead {
        if let Some(serial) = self.serial {
            return Lead::Serial(serial);
        }
        if let Some(key) = self.key {
            return Lead::Key(key);
        }
        if let Some(mailbox) = &self.mailbox {
            return Lead::Name(crate::lookup_key(mailbox));
        }
        match (self.state, self.expiring_before) {
            (Some(StateFilter::Held), _) => return Lead::Held,
            (Some(StateFilter::Revoked), _) => return Lead::Revoked,
            (Some(StateFilter::Expired), before) => {
                let end = before.map_or(now, |before| before.min(now));
                return Lead::Expiry(Timestamp::EPOCH, Some(end));
            }
            (Some(StateFilter::Good) | None, Some(before)) => return Lead::Expiry(now, Some(before)),
            (Some(StateFilter::Good) | None, None) => {}
        }
        if let Some(template) = &self.template {
            return Lead::Template(template.clone());
        }
        if let Some(authority) = self.authority {
            return Lead::Authority(authority);
        }
        if self.state == Some(StateFilter::Good) { Lead::Expiry(now, None) } else { Lead::All }
    }

    /// Whether a record meets every condition at `now`.
    #[must_use]
    pub fn matches(&self, record: &CertificateRecord, now: Timestamp) -> bool {
        let expired = record.is_expired(now);
        let state = match self.state {
            None => true,
            Some(StateFilter::Good) => record.state == RevocationState::Good && !expired,
            Some(StateFilter::Held) => matches!(record.state, RevocationState::Held { .. }),
            Some(StateFilter::Revoked) => matches!(record.state, RevocationState::Revoked { .. }),
            Some(StateFilter::Expired) => expired,
        };
        let expiring = self.expiring_before.is_none_or(|before| {
            record.not_after < before && (self.state == Some(StateFilter::Expired) || !expired)
        });
        state
            && expiring
            && self.serial.is_none_or(|serial| record.serial == serial)
            && self.key.is_none_or(|key| record.key == key)
            && self.authority.is_none_or(|authority| record.authority == authority)
            && self.template.as_ref().is_none_or(|template| record.template == *template)
            && self.mailbox.as_ref().is_none_or(|mailbox| {
                let key = crate::lookup_key(mailbox);
                record.name_keys().contains(&key)
            })
    }
}
