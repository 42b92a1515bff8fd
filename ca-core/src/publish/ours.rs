//! Which values of a directory are ours.

use ca_domain::{KeyIdentifier, SerialNumber};
use der::{Decode, Encode};
use x509_cert::Certificate;

use super::holders::{Fate, Holders};
use crate::authority::Authority;
use crate::error::Result;

/// The authorities whose certificates are ours.
pub(super) struct Ours<'a> {
    issuers: Vec<(KeyIdentifier, Vec<u8>, Vec<u8>)>,
    holders: &'a Holders,
}

/// A value that is ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) serial: SerialNumber,
    pub(super) fate: Fate,
}

impl<'a> Ours<'a> {
    pub(super) fn new(authorities: &[Authority], holders: &'a Holders) -> Result<Self> {
        let mut issuers = Vec::new();
        for authority in authorities {
            let subject = &authority.certificate().tbs_certificate.subject;
            let name = subject.to_der().map_err(crate::AuthorityError::der("a name"))?;
            issuers.push((authority.key_id()?, name, authority.spki_der()?));
        }
        Ok(Self { issuers, holders })
    }

    /// Whether a value is a certificate that this home issued: it names one of our authorities, the
    /// ledger has its serial number, and that authority's signature is on these very bytes.
    pub(super) fn certificate(&self, value: &[u8]) -> Option<Known> {
        self.issued(&Certificate::from_der(value).ok()?)
    }

    pub(super) fn issued(&self, certificate: &Certificate) -> Option<Known> {
        let tbs = &certificate.tbs_certificate;
        let issuer = tbs.issuer.to_der().ok()?;
        let serial = SerialNumber::try_from(&tbs.serial_number).ok()?;
        self.issuers.iter().filter(|(_, name, _)| *name == issuer).find_map(|(key_id, _, spki)| {
            let fate = *self.holders.issued.get(&(*key_id, serial))?;
            ca_signing::verify_certificate(certificate, spki).ok()?;
            Some(Known { serial, fate })
        })
    }
}
