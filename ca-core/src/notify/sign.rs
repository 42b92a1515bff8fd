//! S/MIME signatures of notices: multipart/signed (RFC 8551, section 3.5.3).

use ca_domain::Timestamp;
use ca_signing::{Passphrase, SigningKey, SoftwareKey};
use const_oid::db::rfc5912;
use der::{Decode, Encode};
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::config::SignConfig;
use crate::authority::read_pem_certificates;
use crate::cms_signature::{self, Placement, digest_of};
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
        let signer =
            cms_signature::Signer { certificate: &self.certificate, chain: &self.chain, key: &self.key };
        signer.sign(entity, Placement::Detached, now)
    }
}
