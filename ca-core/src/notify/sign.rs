//! S/MIME signatures of notices: multipart/signed (RFC 8551, section 3.5.3).

use ca_domain::{SignatureAlgorithm, Timestamp};
use ca_signing::{Passphrase, SigningKey, SoftwareKey};
use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5911, rfc5912};
use der::asn1::{OctetString, SetOfVec};
use der::{Any, Decode, Encode};
use sha2::{Digest, Sha256, Sha384};
use spki::AlgorithmIdentifierOwned;
use x509_cert::Certificate;
use x509_cert::attr::Attribute;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::config::SignConfig;
use crate::authority::read_pem_certificates;
use crate::error::{AuthorityError, Result};

/// A certificate, its issuers and its key.
pub(super) struct Signer {
    certificate: Certificate,
    chain: Vec<Certificate>,
    key: SoftwareKey,
}

impl Signer {
    /// Loads what signs for the sender's address.
    ///
    /// # Errors
    /// Files that are missing or unsafe, a key that is not the certificate's or
    /// cannot sign mail, a certificate for another address or outside its validity.
    pub(super) fn load(config: &SignConfig, sender: &str, now: Timestamp) -> Result<Self> {
        let mut certificates = read_pem_certificates(&config.certificate)?.into_iter().map(|der| {
            Certificate::from_der(&der).map_err(AuthorityError::der("the certificate that signs notices"))
        });
        let bad = |what: &str| {
            AuthorityError::Refused(format!(
                "notices cannot be signed with {}: {what}; issue a certificate for {sender} and name it in notify.yaml",
                config.certificate.display()
            ))
        };
        let certificate = certificates.next().ok_or_else(|| bad("it holds no certificate"))??;
        let chain = certificates.collect::<Result<Vec<_>>>()?;
        let passphrase = config.passphrase_file.as_deref().map(Passphrase::load).transpose()?;
        let key = SoftwareKey::load(&config.key, passphrase.as_ref())?;
        let tbs = &certificate.tbs_certificate;
        let spki = tbs.subject_public_key_info.to_der().map_err(AuthorityError::der("a public key"))?;
        if spki != key.public_key_der() {
            return Err(bad("the key is another one"));
        }
        if digest_of(key.signature_algorithm()).is_none() {
            return Err(bad("mail clients cannot verify Ed25519"));
        }
        if now < tbs.validity.not_before.into() || now > tbs.validity.not_after.into() {
            return Err(bad("it is not valid now"));
        }
        // A client warns of a signature of another address than the sender's.
        let names: Option<(bool, SubjectAltName)> =
            tbs.get().map_err(AuthorityError::der("alternative names"))?;
        let fits = |name: &GeneralName| matches!(name, GeneralName::Rfc822Name(one) if one.as_str().eq_ignore_ascii_case(sender));
        if !names.is_some_and(|(_, names)| names.0.iter().any(fits)) {
            return Err(bad("it is for another address"));
        }
        Ok(Self { certificate, chain, key })
    }

    /// The `micalg` parameter (RFC 8551, section 3.5.3.2).
    pub(super) fn micalg(&self) -> &'static str {
        match digest_of(self.key.signature_algorithm()) {
            Some(rfc5912::ID_SHA_384) => "sha-384",
            _ => "sha-256",
        }
    }

    /// The detached signature of a MIME entity: DER of a ContentInfo with
    /// SignedData (RFC 5652, section 5).
    ///
    /// # Errors
    /// The key refuses, or an encoding fails.
    pub(super) fn sign(&self, entity: &[u8], now: Timestamp) -> Result<Vec<u8>> {
        let digest_oid = digest_of(self.key.signature_algorithm()).unwrap_or(rfc5912::ID_SHA_256);
        let digest = if digest_oid == rfc5912::ID_SHA_384 {
            Sha384::digest(entity).to_vec()
        } else {
            Sha256::digest(entity).to_vec()
        };
        let encoding = || AuthorityError::der("a signature");
        let attributes = signed_attributes(digest, now).map_err(encoding())?;
        // The signature is over the SET OF, not over the [0] that stands for it
        // in the message (RFC 5652, section 5.4).
        let signature = self.key.sign(&attributes.to_der().map_err(encoding())?)?;
        self.message(digest_oid, attributes, signature).map_err(encoding())
    }

    fn message(
        &self,
        digest_oid: ObjectIdentifier,
        signed_attrs: SetOfVec<Attribute>,
        signature: Vec<u8>,
    ) -> der::Result<Vec<u8>> {
        let tbs = &self.certificate.tbs_certificate;
        let digest_alg = AlgorithmIdentifierOwned { oid: digest_oid, parameters: None };
        let signer = SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: tbs.issuer.clone(),
                serial_number: tbs.serial_number.clone(),
            }),
            digest_alg: digest_alg.clone(),
            signed_attrs: Some(signed_attrs),
            signature_algorithm: self.key.signature_algorithm().identifier(),
            signature: OctetString::new(signature)?,
            unsigned_attrs: None,
        };
        // The root is of no use to those who do not trust it already.
        let is_root = |one: &&Certificate| one.tbs_certificate.issuer == one.tbs_certificate.subject;
        let certificates: Vec<_> = std::iter::once(&self.certificate)
            .chain(self.chain.iter().filter(|one| !is_root(one)))
            .cloned()
            .map(CertificateChoices::Certificate)
            .collect();
        let content = SignedData {
            version: CmsVersion::V1,
            digest_algorithms: SetOfVec::try_from(vec![digest_alg])?,
            encap_content_info: EncapsulatedContentInfo { econtent_type: rfc5911::ID_DATA, econtent: None },
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
fn digest_of(algorithm: SignatureAlgorithm) -> Option<ObjectIdentifier> {
    match algorithm {
        SignatureAlgorithm::EcdsaSha256 | SignatureAlgorithm::RsaSha256 => Some(rfc5912::ID_SHA_256),
        SignatureAlgorithm::EcdsaSha384 => Some(rfc5912::ID_SHA_384),
        SignatureAlgorithm::Ed25519 => None,
    }
}

/// contentType, messageDigest and signingTime (RFC 5652, section 11).
fn signed_attributes(digest: Vec<u8>, now: Timestamp) -> der::Result<SetOfVec<Attribute>> {
    let attribute = |oid, value: Any| -> der::Result<Attribute> {
        Ok(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
    };
    SetOfVec::try_from(vec![
        attribute(rfc5911::ID_CONTENT_TYPE, Any::encode_from(&rfc5911::ID_DATA)?)?,
        attribute(rfc5911::ID_SIGNING_TIME, Any::encode_from(&now.to_x509())?)?,
        attribute(rfc5911::ID_MESSAGE_DIGEST, Any::encode_from(&OctetString::new(digest)?)?)?,
    ])
}
