//! Trust stores: PKCS#12 files without keys.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::ANY_EXTENDED_KEY_USAGE;
use der::Decode;
use der::asn1::Any;
use x509_cert::Certificate;

use super::{Pkcs12Profile, Rounds, attribute, cert_bag, encrypted, named, pfx, seal};
use crate::{Passphrase, SigningError};

/// trustedKeyUsage of Oracle's: without it Java does not see a certificate as trusted.
const TRUSTED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113894.746875.1.1");

/// A certificate that is trusted.
#[derive(Clone, Copy, Debug)]
pub struct TrustAnchor<'a> {
    /// The certificate, DER.
    pub certificate: &'a [u8],
    /// Its alias in the store. Java takes one of two with the same.
    pub friendly_name: &'a str,
}

/// A PKCS#12 file with certificates that are trusted for all purposes, and no key.
///
/// # Errors
/// No certificate, or one that cannot be decoded; a passphrase that is empty or that
/// the format cannot carry; no random bytes.
pub fn trust_store(
    profile: Pkcs12Profile,
    anchors: &[TrustAnchor<'_>],
    passphrase: &Passphrase,
) -> Result<Vec<u8>, SigningError> {
    let failed = || SigningError::der("the PKCS#12 file");
    if anchors.is_empty() {
        return Err(SigningError::KeyRejected { cause: "there is no certificate to export".into() });
    }
    seal::check_passphrase(passphrase)?;
    let mut bags = Vec::new();
    for anchor in anchors {
        Certificate::from_der(anchor.certificate).map_err(SigningError::der("a certificate"))?;
        let mut attributes = named(anchor.friendly_name).map_err(failed())?;
        let any_usage = Any::encode_from(&ANY_EXTENDED_KEY_USAGE).map_err(failed())?;
        let usage = attribute(TRUSTED_KEY_USAGE, any_usage).map_err(failed())?;
        attributes.insert(usage).map_err(failed())?;
        bags.push(cert_bag(anchor.certificate, Some(attributes)).map_err(failed())?);
    }
    let cipher = seal::Cipher { profile, rounds: Rounds::Many, passphrase };
    Ok(pfx(&cipher, vec![encrypted(&cipher, bags)?])?.to_vec())
}
