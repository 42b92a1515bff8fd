//! The certificate of an authority, as the daemons know it.

use std::fs;
use std::path::Path;

use ca_domain::{KeyIdentifier, Timestamp};
use der::asn1::{ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use der::referenced::OwnedToRef;
use der::{Decode, Encode};
use x509_cert::Certificate;

use crate::ServiceError;

/// id-at-commonName.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// An authority: who issued, and whose signatures count.
#[derive(Clone, Debug)]
pub struct Authority {
    /// The certificate.
    pub certificate: Certificate,
    /// The same in DER.
    pub der: Vec<u8>,
    /// SHA-1 of its key bits: how the ledger names it.
    pub key_id: KeyIdentifier,
    /// Its DER SubjectPublicKeyInfo.
    pub spki_der: Vec<u8>,
}

impl Authority {
    /// Reads a certificate file, PEM (its first certificate) or DER.
    ///
    /// # Errors
    /// The file cannot be read, can be changed by others, or is no certificate.
    pub fn load(path: &Path) -> Result<Self, ServiceError> {
        let certificate = load_certificates(path)?
            .into_iter()
            .next()
            .ok_or_else(|| ServiceError::Certificate { path: path.to_owned(), what: "it has none".into() })?;
        let encoded =
            |error: der::Error| ServiceError::Certificate { path: path.to_owned(), what: error.to_string() };
        Self::new(certificate).map_err(encoded)
    }

    /// The authority with this certificate.
    ///
    /// # Errors
    /// A certificate that cannot be encoded again.
    pub fn new(certificate: Certificate) -> der::Result<Self> {
        let spki = &certificate.tbs_certificate.subject_public_key_info;
        Ok(Self {
            der: certificate.to_der()?,
            key_id: KeyIdentifier::of_spki(&spki.owned_to_ref()),
            spki_der: spki.to_der()?,
            certificate,
        })
    }

    /// Whether it is its own issuer, by name.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.certificate.tbs_certificate.issuer == self.certificate.tbs_certificate.subject
    }

    /// Its common name, the last if it has several.
    #[must_use]
    pub fn common_name(&self) -> Option<String> {
        let names = self.certificate.tbs_certificate.subject.0.iter().flat_map(|rdn| rdn.0.iter());
        let value = names.rev().find(|name| name.oid == COMMON_NAME)?.value.clone();
        let text = value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned());
        text.or_else(|_| value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned()))
            .ok()
    }

    /// The first second of its validity.
    #[must_use]
    pub fn not_before(&self) -> Timestamp {
        self.certificate.tbs_certificate.validity.not_before.into()
    }

    /// The last second of its validity.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.certificate.tbs_certificate.validity.not_after.into()
    }

    /// Whether it may sign at `now`: an expired issuer signs nothing.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.not_before()..=self.not_after()).contains(&now)
    }
}

/// Reads every certificate of a file, PEM or a single DER, in its order.
///
/// # Errors
/// The file cannot be read, can be changed by others, or something in it is no
/// certificate. An empty file is not an error here.
pub fn load_certificates(path: &Path) -> Result<Vec<Certificate>, ServiceError> {
    ca_files::check_trusted(path)?;
    let refuse = |what: String| ServiceError::Certificate { path: path.to_owned(), what };
    let bytes = fs::read(path).map_err(|error| refuse(error.to_string()))?;
    parse_certificates(&bytes).map_err(|error| refuse(error.to_string()))
}

/// The certificates in the bytes of a file, PEM or a single DER, in their order.
///
/// # Errors
/// Something in it is no certificate. No bytes are no error here.
pub fn parse_certificates(bytes: &[u8]) -> der::Result<Vec<Certificate>> {
    if bytes.first() == Some(&0x30) {
        return Ok(vec![Certificate::from_der(bytes)?]);
    }
    if bytes.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    Certificate::load_pem_chain(bytes)
}
