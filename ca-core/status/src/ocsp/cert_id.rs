//! What an issuer is called in CertIDs.

use ca_domain::{KeyIdentifier, SerialNumber};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::{ID_SHA_1, ID_SHA_256};
use der::Encode;
use der::asn1::{AnyRef, OctetString};
use der::referenced::OwnedToRef;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use spki::AlgorithmIdentifierOwned;
use x509_cert::Certificate;
use x509_ocsp::CertId;

use crate::StatusError;

/// The hash of a CertID. RFC 5019 clients use SHA-1, RFC 9919 ones SHA-256.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CertHash {
    /// SHA-1: it names the issuer, nothing rests on its collision resistance.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl CertHash {
    /// The word for it in file names and lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Sha1 => ID_SHA_1,
            Self::Sha256 => ID_SHA_256,
        }
    }

    fn of_oid(oid: ObjectIdentifier) -> Option<Self> {
        [Self::Sha1, Self::Sha256].into_iter().find(|hash| hash.oid() == oid)
    }
}

/// In which of its forms a CertID was written. Form, issuer and serial make one
/// DER encoding, which the answer repeats.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CertIdForm {
    /// The hash of the issuer's name and key.
    pub hash: CertHash,
    /// Whether the parameters of the hash algorithm are NULL; else they are absent.
    pub null_parameters: bool,
}

impl CertIdForm {
    /// All forms.
    pub const ALL: [Self; 4] = [
        Self { hash: CertHash::Sha1, null_parameters: true },
        Self { hash: CertHash::Sha1, null_parameters: false },
        Self { hash: CertHash::Sha256, null_parameters: true },
        Self { hash: CertHash::Sha256, null_parameters: false },
    ];
}

/// The hashes of an issuer's name and key, as CertIDs carry them (RFC 6960,
/// section 4.1.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuerIds {
    authority: KeyIdentifier,
    name_sha1: [u8; 20],
    name_sha256: [u8; 32],
    key_sha256: [u8; 32],
}

impl IssuerIds {
    /// The hashes for certificates that the holder of `issuer` issues.
    ///
    /// # Errors
    /// A subject that cannot be encoded.
    pub fn of(issuer: &Certificate) -> Result<Self, StatusError> {
        let tbs = &issuer.tbs_certificate;
        let name = tbs.subject.to_der()?;
        let spki = tbs.subject_public_key_info.owned_to_ref();
        Ok(Self {
            authority: KeyIdentifier::of_spki(&spki),
            name_sha1: Sha1::digest(&name).into(),
            name_sha256: Sha256::digest(&name).into(),
            key_sha256: Sha256::digest(spki.subject_public_key.raw_bytes()).into(),
        })
    }

    /// The issuer as the ledger calls it; also the SHA-1 of its key.
    #[must_use]
    pub const fn authority(&self) -> KeyIdentifier {
        self.authority
    }

    fn hashes(&self, hash: CertHash) -> (&[u8], &[u8]) {
        match hash {
            CertHash::Sha1 => (&self.name_sha1, &self.authority.0),
            CertHash::Sha256 => (&self.name_sha256, &self.key_sha256),
        }
    }

    /// The form of a CertID, if it names this issuer. The parameters of its hash
    /// algorithm may be NULL or absent; both are in use.
    #[must_use]
    pub fn form(&self, id: &CertId) -> Option<CertIdForm> {
        let algorithm = &id.hash_algorithm;
        let null_parameters = match &algorithm.parameters {
            None => false,
            Some(any) if any.is_null() => true,
            Some(_) => return None,
        };
        let hash = CertHash::of_oid(algorithm.oid)?;
        let named = (id.issuer_name_hash.as_bytes(), id.issuer_key_hash.as_bytes());
        (self.hashes(hash) == named).then_some(CertIdForm { hash, null_parameters })
    }

    /// Whether a CertID names this issuer.
    #[must_use]
    pub fn matches(&self, id: &CertId) -> bool {
        self.form(id).is_some()
    }

    /// The CertID of a certificate of this issuer in one of its forms.
    ///
    /// # Errors
    /// None for values of these types; the encoder's signature asks for it.
    pub fn cert_id_in(&self, form: CertIdForm, serial: &SerialNumber) -> Result<CertId, StatusError> {
        let mut id = self.cert_id(form.hash, serial)?;
        if !form.null_parameters {
            id.hash_algorithm.parameters = None;
        }
        Ok(id)
    }

    /// The CertID of a certificate of this issuer, its hash parameters NULL as
    /// clients write them.
    ///
    /// # Errors
    /// None for values of these types; the encoder's signature asks for it.
    pub fn cert_id(&self, hash: CertHash, serial: &SerialNumber) -> Result<CertId, StatusError> {
        let (name, key) = self.hashes(hash);
        Ok(CertId {
            hash_algorithm: AlgorithmIdentifierOwned {
                oid: hash.oid(),
                parameters: Some(AnyRef::NULL.into()),
            },
            issuer_name_hash: OctetString::new(name)?,
            issuer_key_hash: OctetString::new(key)?,
            serial_number: serial.to_der()?,
        })
    }
}
