//! What may be signed, and what signing it gives.

use der::asn1::{AnyRef, BitString};
use der::{Decode, Encode};
use spki::AlgorithmIdentifierOwned;
use x509_cert::certificate::{Certificate, TbsCertificate};

use super::Finding;

/// A TBSCertificate that passed lint: the only thing that can be signed, once.
///
/// It cannot be cloned or changed; signing consumes it, so that one lint gives
/// one certificate.
#[derive(Debug)]
pub struct LintedTbs {
    bytes: Vec<u8>,
    tbs: TbsCertificate,
    findings: Vec<Finding>,
}

/// A certificate, ready to be recorded and delivered.
#[derive(Clone, Debug)]
pub struct SignedCertificate {
    /// Its DER.
    pub der: Vec<u8>,
    /// What the DER says.
    pub certificate: Certificate,
}

/// Why a linted certificate could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError<E> {
    /// The signer's own error.
    #[error(transparent)]
    Signer(E),
    /// The certificate could not be assembled.
    #[error("the signed certificate could not be assembled: {0}; report this as a defect")]
    Encoding(#[from] der::Error),
    /// What was assembled is not what was linted.
    #[error("the signed certificate differs from the linted one; report this as a defect")]
    Differs,
}

/// A Certificate around TBSCertificate bytes that are already encoded.
#[derive(der::Sequence)]
struct Outer<'a> {
    tbs: AnyRef<'a>,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// Encodes a TBSCertificate, and decodes it from these bytes.
pub(super) fn encode_once(tbs: &TbsCertificate) -> Result<(Vec<u8>, TbsCertificate), String> {
    let bytes = tbs.to_der().map_err(|error| format!("the certificate cannot be encoded: {error}"))?;
    let decoded = TbsCertificate::from_der(&bytes)
        .map_err(|error| format!("the encoded certificate cannot be decoded: {error}"))?;
    match decoded.to_der() {
        Ok(again) if again == bytes => Ok((bytes, decoded)),
        _ => Err("the encoded certificate does not re-encode to the same bytes".to_owned()),
    }
}

impl LintedTbs {
    pub(super) fn new(bytes: Vec<u8>, tbs: TbsCertificate, findings: Vec<Finding>) -> Self {
        Self { bytes, tbs, findings }
    }

    /// What will be signed.
    #[must_use]
    pub fn tbs(&self) -> &TbsCertificate {
        &self.tbs
    }

    /// The DER that was linted and will be signed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Warnings that did not block.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        &self.findings
    }

    /// Signs the linted bytes: `sign` gives the signature bits for the
    /// algorithm in [`LintedTbs::tbs`].
    ///
    /// # Errors
    /// The signer's error, or a certificate that differs from what was linted.
    pub fn sign<E>(
        self,
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<SignedCertificate, SignError<E>> {
        let signature = sign(&self.bytes).map_err(SignError::Signer)?;
        let outer = Outer {
            tbs: AnyRef::from_der(&self.bytes)?,
            algorithm: self.tbs.signature.clone(),
            signature: BitString::from_bytes(&signature)?,
        };
        let der = outer.to_der()?;
        let certificate = Certificate::from_der(&der)?;
        let same = certificate.tbs_certificate.to_der()? == self.bytes
            && certificate.signature_algorithm == certificate.tbs_certificate.signature;
        if same { Ok(SignedCertificate { der, certificate }) } else { Err(SignError::Differs) }
    }
}
