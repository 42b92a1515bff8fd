//! Who may sign OCSP responses for an authority.

use std::fmt;
use std::sync::Arc;

use ca_domain::{KeyAlgorithm, KeyIdentifier, Timestamp};
use ca_signing::SigningKey;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{ID_CE_EXT_KEY_USAGE, ID_CE_KEY_USAGE, ID_KP_OCSP_SIGNING};
use const_oid::db::rfc6960::ID_PKIX_OCSP_NOCHECK;
use der::referenced::OwnedToRef;
use der::{Decode, Encode};
use spki::SubjectPublicKeyInfoRef;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages};

use crate::StatusError;

/// A key that signs OCSP responses, with the certificate that entitles it: the
/// authority's own, or that of a delegate (RFC 6960, section 4.2.2.2).
#[derive(Clone)]
pub struct ResponseSigner {
    key: Arc<dyn SigningKey>,
    key_hash: KeyIdentifier,
    authority: KeyIdentifier,
    delegate: Option<Certificate>,
    /// The same in DER: it goes into every answer.
    delegate_der: Option<Vec<u8>>,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl ResponseSigner {
    /// A signer for the authority with the certificate `issuer`.
    ///
    /// # Errors
    /// A key that does not belong to the certificate, or a certificate that is
    /// neither the issuer's, with key usage digitalSignature, nor a proper
    /// delegate's; see [`check_delegate`].
    pub fn new(
        key: Arc<dyn SigningKey>,
        certificate: &Certificate,
        issuer: &Certificate,
    ) -> Result<Self, StatusError> {
        let tbs = &certificate.tbs_certificate;
        let spki = tbs.subject_public_key_info.to_der()?;
        if spki != key.public_key_der() {
            return Err(StatusError::SignerUnfit("the key is not that of the certificate"));
        }
        let issuer_tbs = &issuer.tbs_certificate;
        let itself = tbs.subject == issuer_tbs.subject
            && tbs.subject_public_key_info == issuer_tbs.subject_public_key_info;
        if itself {
            check_key_usage(certificate)?;
        } else {
            check_delegate(certificate, issuer)?;
        }
        let authority = KeyIdentifier::of_spki(&issuer_tbs.subject_public_key_info.owned_to_ref());
        let end = |c: &Certificate| Timestamp::from(c.tbs_certificate.validity.not_after);
        Ok(Self {
            key_hash: KeyIdentifier::of_spki(&SubjectPublicKeyInfoRef::from_der(&spki)?),
            key,
            authority,
            delegate: (!itself).then(|| certificate.clone()),
            delegate_der: (!itself).then(|| certificate.to_der()).transpose()?,
            not_before: tbs.validity.not_before.into(),
            not_after: end(certificate).min(end(issuer)),
        })
    }

    /// The authority that it answers for.
    #[must_use]
    pub const fn authority(&self) -> KeyIdentifier {
        self.authority
    }

    /// The signing key.
    #[must_use]
    pub fn key(&self) -> &dyn SigningKey {
        &*self.key
    }

    /// SHA-1 of the key bits: the responderID byKey.
    #[must_use]
    pub const fn key_hash(&self) -> KeyIdentifier {
        self.key_hash
    }

    /// The delegate's certificate; none if the authority signs itself.
    #[must_use]
    pub const fn delegate(&self) -> Option<&Certificate> {
        self.delegate.as_ref()
    }

    /// The delegate's certificate in DER.
    #[must_use]
    pub fn delegate_der(&self) -> Option<&[u8]> {
        self.delegate_der.as_deref()
    }

    /// Whether a signature takes some ten microseconds, no longer than handing
    /// the work to another thread; RSA and larger curves take many times that.
    #[must_use]
    pub fn is_quick(&self) -> bool {
        matches!(self.key.key_algorithm(), KeyAlgorithm::Ed25519 | KeyAlgorithm::P256)
    }

    /// The first second of the signer's certificate.
    #[must_use]
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The last second in which the signer may be relied upon: its own
    /// certificate's, or the issuer's if that is earlier.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The nextUpdate of an answer given at `now` for `validity` seconds: never
    /// beyond the signer's own end.
    ///
    /// # Errors
    /// A signer that is not valid at `now`, or ends in this very second.
    pub fn next_update(&self, now: Timestamp, validity: u64) -> Result<Timestamp, StatusError> {
        if now < self.not_before || now >= self.not_after {
            return Err(StatusError::SignerNotValid {
                not_before: self.not_before,
                not_after: self.not_after,
                now,
            });
        }
        Ok(now.saturating_add(validity).min(self.not_after))
    }
}

impl fmt::Debug for ResponseSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseSigner")
            .field("authority", &self.authority)
            .field("key_hash", &self.key_hash)
            .field("delegated", &self.delegate.is_some())
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// Checks that `issuer` itself made `certificate` a signer of OCSP responses:
/// issued and signed by it, extended key usage OCSPSigning, id-pkix-ocsp-nocheck,
/// and a key usage, if any, that allows signatures.
///
/// # Errors
/// The first of these that is missing. Validity periods are not looked at.
pub fn check_delegate(certificate: &Certificate, issuer: &Certificate) -> Result<(), StatusError> {
    let tbs = &certificate.tbs_certificate;
    if tbs.issuer != issuer.tbs_certificate.subject {
        return Err(StatusError::SignerUnfit("another authority issued it"));
    }
    let usages = find(certificate, ID_CE_EXT_KEY_USAGE).map(ExtendedKeyUsage::from_der).transpose()?;
    if !usages.is_some_and(|usages| usages.0.contains(&ID_KP_OCSP_SIGNING)) {
        return Err(StatusError::SignerUnfit("it has no extended key usage OCSPSigning"));
    }
    if find(certificate, ID_PKIX_OCSP_NOCHECK).is_none() {
        return Err(StatusError::SignerUnfit("it has no id-pkix-ocsp-nocheck extension"));
    }
    check_key_usage(certificate)?;
    let key = issuer.tbs_certificate.subject_public_key_info.to_der()?;
    Ok(ca_signing::verify_certificate(certificate, &key)?)
}

/// The value of an extension.
fn find(certificate: &Certificate, oid: ObjectIdentifier) -> Option<&[u8]> {
    let mut extensions = certificate.tbs_certificate.extensions.iter().flatten();
    extensions.find(|extension| extension.extn_id == oid).map(|extension| extension.extn_value.as_bytes())
}

fn check_key_usage(certificate: &Certificate) -> Result<(), StatusError> {
    let usage = find(certificate, ID_CE_KEY_USAGE).map(KeyUsage::from_der).transpose()?;
    if usage.is_some_and(|usage| !usage.0.contains(KeyUsages::DigitalSignature)) {
        return Err(StatusError::SignerUnfit("its key usage does not include digitalSignature"));
    }
    Ok(())
}
