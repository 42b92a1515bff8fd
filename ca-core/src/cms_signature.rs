//! Signatures in the Cryptographic Message Syntax (RFC 5652).

use ca_domain::{SignatureAlgorithm, Timestamp};
use ca_signing::{SigningKey, SoftwareKey};
use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5911, rfc5912};
use der::asn1::{OctetString, SetOfVec};
use der::{Any, Encode};
use sha2::{Digest, Sha256, Sha384};
use spki::AlgorithmIdentifierOwned;
use x509_cert::Certificate;
use x509_cert::attr::Attribute;

use crate::error::{AuthorityError, Result};

/// Where what is signed is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Placement {
    /// In the message.
    Attached,
    /// Elsewhere: the message has the signature alone.
    Detached,
}

/// Who signs; the certificate is the key's.
pub(crate) struct Signer<'a> {
    pub(crate) certificate: &'a Certificate,
    pub(crate) chain: &'a [Certificate],
    pub(crate) key: &'a SoftwareKey,
}

impl Signer<'_> {
    /// DER of a ContentInfo with SignedData (RFC 5652, section 5).
    ///
    /// # Errors
    /// The key refuses, or an encoding fails.
    pub(crate) fn sign(&self, content: &[u8], placement: Placement, now: Timestamp) -> Result<Vec<u8>> {
        self.sign_with(content, placement, Vec::new(), now)
    }

    /// As [`Signer::sign`], with more signed attributes.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub(crate) fn sign_with(
        &self,
        content: &[u8],
        placement: Placement,
        more: Vec<Attribute>,
        now: Timestamp,
    ) -> Result<Vec<u8>> {
        let digest_oid = digest_of(self.key.signature_algorithm()).unwrap_or(rfc5912::ID_SHA_256);
        let digest = if digest_oid == rfc5912::ID_SHA_384 {
            Sha384::digest(content).to_vec()
        } else {
            Sha256::digest(content).to_vec()
        };
        let encoding = || AuthorityError::der("a signature");
        let attributes = signed_attributes(digest, more, now).map_err(encoding())?;
        // The signature is over the SET OF, not over the [0] that stands for it
        // in the message (RFC 5652, section 5.4).
        let signature = self.key.sign(&attributes.to_der().map_err(encoding())?)?;
        let content = (placement == Placement::Attached).then_some(content);
        self.message(content, digest_oid, attributes, signature).map_err(encoding())
    }

    fn message(
        &self,
        content: Option<&[u8]>,
        digest_oid: ObjectIdentifier,
        signed_attrs: SetOfVec<Attribute>,
        signature: Vec<u8>,
    ) -> der::Result<Vec<u8>> {
        let digest_alg = AlgorithmIdentifierOwned { oid: digest_oid, parameters: None };
        let signer = SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(issuer_and_serial(self.certificate)),
            digest_alg: digest_alg.clone(),
            signed_attrs: Some(signed_attrs),
            signature_algorithm: self.key.signature_algorithm().identifier(),
            signature: OctetString::new(signature)?,
            unsigned_attrs: None,
        };
        // The root is of no use to those who do not trust it already.
        let is_root = |one: &&Certificate| one.tbs_certificate.issuer == one.tbs_certificate.subject;
        let certificates: Vec<_> = std::iter::once(self.certificate)
            .chain(self.chain.iter().filter(|one| !is_root(one)))
            .cloned()
            .map(CertificateChoices::Certificate)
            .collect();
        let econtent = content.map(|bytes| Any::encode_from(&OctetString::new(bytes)?)).transpose()?;
        let content = SignedData {
            version: CmsVersion::V1,
            digest_algorithms: SetOfVec::try_from(vec![digest_alg])?,
            encap_content_info: EncapsulatedContentInfo { econtent_type: rfc5911::ID_DATA, econtent },
            certificates: Some(CertificateSet(SetOfVec::try_from(certificates)?)),
            crls: None,
            signer_infos: SignerInfos(SetOfVec::try_from(vec![signer])?),
        };
        let content = Any::encode_from(&content)?;
        ContentInfo { content_type: rfc5911::ID_SIGNED_DATA, content }.to_der()
    }
}

/// The hash within the signature algorithm; none for those that mail clients
/// do not have.
pub(crate) fn digest_of(algorithm: SignatureAlgorithm) -> Option<ObjectIdentifier> {
    match algorithm {
        SignatureAlgorithm::EcdsaSha256 | SignatureAlgorithm::RsaSha256 => Some(rfc5912::ID_SHA_256),
        SignatureAlgorithm::EcdsaSha384 => Some(rfc5912::ID_SHA_384),
        SignatureAlgorithm::Ed25519 => None,
    }
}

/// What names a certificate in messages.
pub(crate) fn issuer_and_serial(certificate: &Certificate) -> IssuerAndSerialNumber {
    let tbs = &certificate.tbs_certificate;
    IssuerAndSerialNumber { issuer: tbs.issuer.clone(), serial_number: tbs.serial_number.clone() }
}

/// An attribute with one value.
pub(crate) fn attribute(oid: ObjectIdentifier, value: Any) -> der::Result<Attribute> {
    Ok(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
}

/// contentType, messageDigest and signingTime (RFC 5652, section 11), and more.
fn signed_attributes(
    digest: Vec<u8>,
    more: Vec<Attribute>,
    now: Timestamp,
) -> der::Result<SetOfVec<Attribute>> {
    let mut all = vec![
        attribute(rfc5911::ID_CONTENT_TYPE, Any::encode_from(&rfc5911::ID_DATA)?)?,
        attribute(rfc5911::ID_SIGNING_TIME, Any::encode_from(&now.to_x509())?)?,
        attribute(rfc5911::ID_MESSAGE_DIGEST, Any::encode_from(&OctetString::new(digest)?)?)?,
    ];
    all.extend(more);
    SetOfVec::try_from(all)
}
