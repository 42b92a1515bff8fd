//! Recovery agents: people who hold an RSA key of their own.

use ca_domain::{KeyIdentifier, SpkiHash, Timestamp};
use cms::cert::IssuerAndSerialNumber;
use cms::enveloped_data::RecipientIdentifier;
use const_oid::db::rfc5912;
use der::{Decode, Encode};
use spki::SubjectPublicKeyInfoRef;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{KeyUsage, KeyUsages};

use crate::EscrowError;

/// Bits of the smallest RSA key of an agent.
const MIN_BITS: usize = 2048;

/// A recovery agent.
#[derive(Clone, Debug)]
pub struct Agent {
    name: String,
    certificate: Certificate,
    der: Vec<u8>,
    spki: Vec<u8>,
}

/// Refuses names that do not belong into a path.
///
/// # Errors
/// [`EscrowError::AgentName`].
pub fn check_agent_name(name: &str) -> Result<(), EscrowError> {
    let fine = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'));
    if fine { Ok(()) } else { Err(EscrowError::AgentName(name.chars().take(80).collect())) }
}

impl Agent {
    /// An agent with the certificate `certificate`.
    ///
    /// # Errors
    /// The name is malformed; the key is not RSA of at least 2048 bits; keyUsage is
    /// there and lacks keyEncipherment.
    pub fn new(name: &str, certificate: Certificate) -> Result<Self, EscrowError> {
        check_agent_name(name)?;
        let bad = |why: &str| EscrowError::Agent { name: name.to_owned(), why: why.to_owned() };
        let der = certificate.to_der().map_err(EscrowError::der("the agent's certificate"))?;
        let tbs = &certificate.tbs_certificate;
        let spki =
            tbs.subject_public_key_info.to_der().map_err(EscrowError::der("the agent's public key"))?;
        if tbs.subject_public_key_info.algorithm.oid != rfc5912::RSA_ENCRYPTION {
            return Err(bad("its key is not RSA, and shares are sealed with RSA-OAEP"));
        }
        // The bit string is the DER of modulus and exponent: a little more than the modulus.
        if tbs.subject_public_key_info.subject_public_key.raw_bytes().len() < MIN_BITS / 8 {
            return Err(bad("its RSA key has fewer than 2048 bits"));
        }
        if let Some(usage) = key_usage(&certificate)?
            && !usage.0.contains(KeyUsages::KeyEncipherment)
        {
            return Err(bad("its key usage has no keyEncipherment"));
        }
        Ok(Self { name: name.to_owned(), certificate, der, spki })
    }

    /// Refuses an agent whose certificate is not valid at `now`.
    ///
    /// # Errors
    /// [`EscrowError::Agent`].
    pub fn check_validity(&self, now: Timestamp) -> Result<(), EscrowError> {
        let validity = self.certificate.tbs_certificate.validity;
        let (from, until) = (Timestamp::from(validity.not_before), Timestamp::from(validity.not_after));
        if (from..=until).contains(&now) {
            return Ok(());
        }
        let why = format!("its certificate is valid from {from} to {until} only");
        Err(EscrowError::Agent { name: self.name.clone(), why })
    }

    /// The name in the home directory.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certificate, DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The public key, DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The hash of the public key, by which shares name the agent.
    #[must_use]
    pub fn key_hash(&self) -> SpkiHash {
        SpkiHash::of_der(&self.spki)
    }

    /// The identifier of the public key, by which the ledger names the agent.
    ///
    /// # Errors
    /// None for a certificate that was decoded.
    pub fn key_id(&self) -> Result<KeyIdentifier, EscrowError> {
        key_id(&self.spki)
    }

    pub(crate) fn recipient(&self) -> RecipientIdentifier {
        let tbs = &self.certificate.tbs_certificate;
        RecipientIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: tbs.issuer.clone(),
            serial_number: tbs.serial_number.clone(),
        })
    }
}

pub(crate) fn key_id(spki_der: &[u8]) -> Result<KeyIdentifier, EscrowError> {
    let spki = SubjectPublicKeyInfoRef::from_der(spki_der)
        .map_err(|error| EscrowError::der("a public key")(error))?;
    Ok(KeyIdentifier::of_spki(&spki))
}

pub(crate) fn key_usage(certificate: &Certificate) -> Result<Option<KeyUsage>, EscrowError> {
    let usage = certificate.tbs_certificate.get::<KeyUsage>();
    Ok(usage.map_err(EscrowError::der("the key usage of a certificate"))?.map(|(_, usage)| usage))
}
