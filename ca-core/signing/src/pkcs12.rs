//! PKCS#12 files (RFC 7292) that mail clients import.
//!
//! The layout is OpenSSL's: first the certificates, encrypted, the leaf before its
//! chain; then the encrypted key. Key and leaf have the same friendlyName and
//! localKeyID. RC2 is never written.

mod open;
mod salt;
mod seal;
mod trust;

use cms::content_info::{CmsVersion, ContentInfo};
use cms::encrypted_data::EncryptedData;
use cms::enveloped_data::EncryptedContentInfo;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5911;
use der::asn1::{Any, BmpString, OctetString, SetOfVec};
use der::{Decode, Encode};
use pkcs12::cert_type::CertBag;
use pkcs12::pbe_params::EncryptedPrivateKeyInfo;
use pkcs12::pfx::{Pfx, Version};
use pkcs12::safe_bag::SafeBag;
use sha1::{Digest, Sha1};
use x509_cert::Certificate;
use x509_cert::attr::{Attribute, Attributes};
use zeroize::Zeroizing;

pub use open::{OpenedIdentity, load, open};
pub use trust::{TrustAnchor, trust_store};

use crate::{Passphrase, SigningError, SigningKey, SoftwareKey};

/// friendlyName (RFC 2985, section 5.5.1).
const FRIENDLY_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.20");
/// localKeyId (RFC 2985, section 5.5.2).
const LOCAL_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.21");

/// Which clients can import the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pkcs12Profile {
    /// PBES2 with PBKDF2-HMAC-SHA256 and AES-256-CBC, HMAC-SHA256: current NSS,
    /// Java, GnuTLS, OpenSSL, Windows 10 and later.
    Modern,
    /// pbeWithSHAAnd3-KeyTripleDES-CBC and HMAC-SHA1, as every importer reads it:
    /// Apple, Windows Server 2016, gpgsm. The file is as safe as its passphrase is
    /// long; hand it over on a protected way.
    Compat,
}

/// How long a guess at the passphrase takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rounds {
    /// As long as is bearable: for passphrases that people choose.
    Many,
    /// 2,048 rounds, as OpenSSL writes: for generated passphrases of 80 random bits
    /// or more, which nobody guesses however little a guess costs.
    Few,
}

/// A key and its certificate, in a file that holds several.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The private key.
    pub key: &'a SoftwareKey,
    /// Its certificate, DER.
    pub certificate: &'a [u8],
    /// What clients show.
    pub friendly_name: &'a str,
}

/// A PKCS#12 file with a key, its certificate and the chain, in this order.
///
/// `certificate` and `chain` are DER, the issuer's certificate first in the chain.
/// `friendly_name` is what clients show; characters beyond the Basic Multilingual
/// Plane, which BMPString cannot hold, become U+FFFD.
///
/// # Errors
/// [`SigningError::KeyMismatch`] if the certificate is not for the key; a
/// passphrase that is empty or that the format cannot carry; no random bytes.
pub fn export(
    profile: Pkcs12Profile,
    key: &SoftwareKey,
    certificate: &[u8],
    chain: &[Vec<u8>],
    friendly_name: &str,
    passphrase: &Passphrase,
) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    let identity = Identity { key, certificate, friendly_name };
    export_many(profile, Rounds::Many, &[identity], chain, passphrase)
}

/// A PKCS#12 file with several keys: first every key's certificate, then the
/// chain, which is common to them; then the keys.
///
/// # Errors
/// As [`export`]; no key at all.
pub fn export_many(
    profile: Pkcs12Profile,
    rounds: Rounds,
    identities: &[Identity<'_>],
    chain: &[Vec<u8>],
    passphrase: &Passphrase,
) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    if identities.is_empty() {
        return Err(SigningError::KeyRejected { cause: "there is no key to export".into() });
    }
    for identity in identities {
        check(identity.key, identity.certificate, chain)?;
    }
    seal::check_passphrase(passphrase)?;
    build(&seal::Cipher { profile, rounds, passphrase }, identities, chain)
}

fn check(key: &SoftwareKey, certificate: &[u8], chain: &[Vec<u8>]) -> Result<(), SigningError> {
    let what = "the certificate";
    let leaf = Certificate::from_der(certificate).map_err(SigningError::der(what))?;
    let spki = leaf.tbs_certificate.subject_public_key_info.to_der().map_err(SigningError::der(what))?;
    if spki != key.public_key_der() {
        return Err(SigningError::KeyMismatch);
    }
    for issuer in chain {
        Certificate::from_der(issuer).map_err(SigningError::der("a certificate of the chain"))?;
    }
    Ok(())
}

fn build(
    cipher: &seal::Cipher<'_>,
    identities: &[Identity<'_>],
    chain: &[Vec<u8>],
) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    let failed = || SigningError::der("the PKCS#12 file");
    let mut certificates = Vec::new();
    let mut keys = Vec::new();
    for identity in identities {
        // Any value that is the same for both serves; OpenSSL takes this one.
        let local_key_id = Sha1::digest(identity.certificate);
        let attributes = attributes(identity.friendly_name, &local_key_id).map_err(failed())?;
        certificates.push(cert_bag(identity.certificate, Some(attributes.clone())).map_err(failed())?);
        keys.push(key_bag(cipher, identity.key, attributes)?);
    }
    for issuer in chain {
        certificates.push(cert_bag(issuer, None).map_err(failed())?);
    }
    let keys = data(keys.to_der().map_err(failed())?).map_err(failed())?;
    pfx(cipher, vec![encrypted(cipher, certificates)?, keys])
}

/// Bags of which nobody without the passphrase sees anything.
fn encrypted(cipher: &seal::Cipher<'_>, bags: Vec<SafeBag>) -> Result<ContentInfo, SigningError> {
    let failed = || SigningError::der("the PKCS#12 file");
    let (algorithm, encrypted) = cipher.encrypt(&bags.to_der().map_err(failed())?)?;
    let bags = EncryptedData {
        version: CmsVersion::V0,
        enc_content_info: EncryptedContentInfo {
            content_type: rfc5911::ID_DATA,
            content_enc_alg: algorithm,
            encrypted_content: Some(OctetString::new(encrypted).map_err(failed())?),
        },
        unprotected_attrs: None,
    };
    let content = Any::encode_from(&bags).map_err(failed())?;
    Ok(ContentInfo { content_type: rfc5911::ID_ENCRYPTED_DATA, content })
}

/// The file, authenticated by the passphrase.
fn pfx(cipher: &seal::Cipher<'_>, safes: Vec<ContentInfo>) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    let failed = || SigningError::der("the PKCS#12 file");
    let authenticated = safes.to_der().map_err(failed())?;
    let mac_data = cipher.mac(&authenticated)?;
    let auth_safe = data(authenticated).map_err(failed())?;
    let file = Pfx { version: Version::V3, auth_safe, mac_data: Some(mac_data) };
    Ok(Zeroizing::new(file.to_der().map_err(failed())?))
}

fn key_bag(
    cipher: &seal::Cipher<'_>,
    key: &SoftwareKey,
    attributes: Attributes,
) -> Result<SafeBag, SigningError> {
    let failed = || SigningError::der("the PKCS#12 file");
    let (algorithm, encrypted) = cipher.encrypt(key.pkcs8_der())?;
    let shrouded = EncryptedPrivateKeyInfo {
        encryption_algorithm: algorithm,
        encrypted_data: OctetString::new(encrypted).map_err(failed())?,
    };
    Ok(SafeBag {
        bag_id: pkcs12::PKCS_12_PKCS8_KEY_BAG_OID,
        bag_value: shrouded.to_der().map_err(failed())?,
        bag_attributes: Some(attributes),
    })
}

fn data(content: Vec<u8>) -> der::Result<ContentInfo> {
    let content = Any::encode_from(&OctetString::new(content)?)?;
    Ok(ContentInfo { content_type: rfc5911::ID_DATA, content })
}

fn cert_bag(certificate: &[u8], attributes: Option<Attributes>) -> der::Result<SafeBag> {
    let bag = CertBag { cert_id: pkcs12::PKCS_12_X509_CERT_OID, cert_value: OctetString::new(certificate)? };
    Ok(SafeBag { bag_id: pkcs12::PKCS_12_CERT_BAG_OID, bag_value: bag.to_der()?, bag_attributes: attributes })
}

fn attributes(friendly_name: &str, local_key_id: &[u8]) -> der::Result<Attributes> {
    let mut attributes = named(friendly_name)?;
    attributes.insert(attribute(LOCAL_KEY_ID, Any::encode_from(&OctetString::new(local_key_id)?)?)?)?;
    Ok(attributes)
}

/// friendlyName, unless it is empty.
fn named(friendly_name: &str) -> der::Result<Attributes> {
    // U+FFFF is no character, and the BMPString encoder refuses it.
    let name: String = friendly_name.chars().map(|c| if c < '\u{ffff}' { c } else { '\u{fffd}' }).collect();
    let mut attributes = Attributes::new();
    if !name.is_empty() {
        attributes.insert(attribute(FRIENDLY_NAME, Any::encode_from(&BmpString::from_utf8(&name)?)?)?)?;
    }
    Ok(attributes)
}

fn attribute(oid: ObjectIdentifier, value: Any) -> der::Result<Attribute> {
    Ok(Attribute { oid, values: SetOfVec::from_iter([value])? })
}

#[cfg(test)]
mod tests;
