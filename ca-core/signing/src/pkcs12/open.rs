//! Reading PKCS#12 files: the counterpart of [`super::export_many`].
//!
//! What OpenSSL, NSS and this suite write is read: DER, PBES2 or
//! pbeWithSHAAnd3-KeyTripleDES-CBC, with a MAC. RC2 is not.

use std::path::Path;

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockDecryptMut, KeyIvInit};
use cms::content_info::ContentInfo;
use cms::encrypted_data::EncryptedData;
use const_oid::db::{rfc5911, rfc5912};
use der::asn1::{ContextSpecific, OctetString};
use der::{Any, Decode, Encode};
use hmac::{Hmac, Mac};
use pkcs5::pbes2;
use pkcs12::cert_type::CertBag;
use pkcs12::kdf::{Pkcs12KeyType, derive_key_utf8};
use pkcs12::pbe_params::{EncryptedPrivateKeyInfo, Pkcs12PbeParams};
use pkcs12::pfx::Pfx;
use pkcs12::safe_bag::SafeBag;
use sha1::Sha1;
use sha2::Sha256;
use spki::AlgorithmIdentifierOwned;
use x509_cert::Certificate;
use zeroize::Zeroizing;

use crate::key_file::check_cost;
use crate::{Passphrase, SigningError, SigningKey, SoftwareKey};

/// Octets of a file at most: a person's keys of many years.
const MAX_FILE: usize = 16 << 20;
/// Rounds of the format's own key derivation above which a file is refused.
const MAX_ROUNDS: i32 = 1_000_000;
/// Encrypted parts of a file at most: each costs a key derivation.
const MAX_PARTS: usize = 512;

/// A key of a PKCS#12 file, and the certificate that is for it.
#[derive(Debug)]
pub struct OpenedIdentity {
    /// The private key.
    pub key: SoftwareKey,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
}

/// The keys of a PKCS#12 file with their certificates, in the order of the keys.
/// Certificates that are for no key, such as issuers', are left out.
///
/// # Errors
/// [`SigningError::WrongPassphrase`]; the file is not PKCS#12 in DER, is encrypted in
/// another way or with absurd costs, or holds a key without a certificate.
pub fn open(bytes: &[u8], passphrase: &Passphrase) -> Result<Vec<OpenedIdentity>, SigningError> {
    if bytes.len() > MAX_FILE {
        return Err(SigningError::KeyRejected { cause: "the PKCS#12 file is larger than 16 MiB".into() });
    }
    let pfx = Pfx::from_der(bytes).map_err(malformed)?;
    let safes = octets(&pfx.auth_safe)?;
    let mac = pfx.mac_data.ok_or_else(|| unsupported("no MAC, so that anybody could have changed it"))?;
    check_mac(&mac, &safes, passphrase)?;
    let safes = Vec::<ContentInfo>::from_der(&safes).map_err(malformed)?;
    let (mut keys, mut certificates, mut parts) = (Vec::new(), Vec::new(), 0);
    let mut count = || {
        parts += 1;
        if parts > MAX_PARTS { Err(unsupported("more than 512 encrypted parts")) } else { Ok(()) }
    };
    for safe in &safes {
        let content = if safe.content_type == rfc5911::ID_ENCRYPTED_DATA {
            count()?;
            decrypt_data(safe, passphrase)?
        } else {
            Zeroizing::new(octets(safe)?)
        };
        for bag in Vec::<SafeBag>::from_der(&content).map_err(malformed)? {
            if bag.bag_id == pkcs12::PKCS_12_PKCS8_KEY_BAG_OID {
                count()?;
                keys.push(key_of(&bag, passphrase)?);
            } else if bag.bag_id == pkcs12::PKCS_12_CERT_BAG_OID {
                certificates.extend(certificate_of(&bag)?);
            }
        }
    }
    keys.into_iter().map(|key| with_certificate(key, &certificates)).collect()
}

/// As [`open`], of a file that only its owner may read.
///
/// # Errors
/// As [`open`], with the path; others can read or change the file.
pub fn load(path: &Path, passphrase: &Passphrase) -> Result<Vec<OpenedIdentity>, SigningError> {
    let bytes = Zeroizing::new(ca_files::read_private(path)?);
    open(&bytes, passphrase).map_err(|error| error.in_file(path))
}

fn with_certificate(key: SoftwareKey, all: &[Vec<u8>]) -> Result<OpenedIdentity, SigningError> {
    for der in all {
        let certificate = Certificate::from_der(der).map_err(malformed)?;
        let spki = certificate.tbs_certificate.subject_public_key_info.to_der().map_err(malformed)?;
        if spki == key.public_key_der() {
            return Ok(OpenedIdentity { key, certificate: der.clone() });
        }
    }
    Err(SigningError::KeyRejected { cause: "the PKCS#12 file has no certificate for it".into() })
}

fn malformed(_: der::Error) -> SigningError {
    SigningError::NotAKeyFile {
        what: "not a PKCS#12 file in DER; write it again with `openssl pkcs12 -export`".into(),
    }
}

fn unsupported(what: &str) -> SigningError {
    SigningError::UnsupportedPkcs12 { what: what.into() }
}

fn octets(info: &ContentInfo) -> Result<Vec<u8>, SigningError> {
    if info.content_type != rfc5911::ID_DATA {
        return Err(unsupported("a signed file, or one that is encrypted to a public key"));
    }
    Ok(info.content.decode_as::<OctetString>().map_err(malformed)?.into_bytes())
}

/// The decoder leaves the explicit tag of a bag's value where it is.
fn value_of<T: for<'a> Decode<'a>>(bag: &SafeBag) -> Result<T, SigningError> {
    let tagged = ContextSpecific::<Any>::from_der(&bag.bag_value).map_err(malformed)?;
    T::from_der(&tagged.value.to_der().map_err(malformed)?).map_err(malformed)
}

fn key_of(bag: &SafeBag, passphrase: &Passphrase) -> Result<SoftwareKey, SigningError> {
    let shrouded: EncryptedPrivateKeyInfo = value_of(bag)?;
    let plain = decrypt(&shrouded.encryption_algorithm, shrouded.encrypted_data.as_bytes(), passphrase)?;
    SoftwareKey::from_pkcs8_der(&plain)
}

fn certificate_of(bag: &SafeBag) -> Result<Option<Vec<u8>>, SigningError> {
    let bag: CertBag = value_of(bag)?;
    Ok((bag.cert_id == pkcs12::PKCS_12_X509_CERT_OID).then(|| bag.cert_value.into_bytes()))
}

fn decrypt_data(safe: &ContentInfo, passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    let data: EncryptedData = safe.content.decode_as().map_err(malformed)?;
    let info = data.enc_content_info;
    let encrypted = info.encrypted_content.ok_or_else(|| unsupported("an encrypted part without content"))?;
    decrypt(&info.content_enc_alg, encrypted.as_bytes(), passphrase)
}

fn decrypt(
    algorithm: &AlgorithmIdentifierOwned,
    encrypted: &[u8],
    passphrase: &Passphrase,
) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    let parameters = algorithm.parameters.as_ref().ok_or_else(|| unsupported("no parameters"))?;
    if algorithm.oid == pbes2::PBES2_OID {
        let der = parameters.to_der().map_err(malformed)?;
        let parameters = pbes2::Parameters::from_der(&der).map_err(malformed)?;
        check_cost(&parameters).map_err(unsupported)?;
        return match parameters.decrypt(passphrase.expose(), encrypted) {
            Ok(plain) => Ok(Zeroizing::new(plain)),
            // pkcs5 calls wrong padding a failed encryption.
            Err(pkcs5::Error::EncryptFailed | pkcs5::Error::DecryptFailed) => {
                Err(SigningError::WrongPassphrase)
            }
            Err(error) => Err(unsupported(&error.to_string())),
        };
    }
    if algorithm.oid != pkcs12::PKCS_12_PBE_WITH_SHAAND3_KEY_TRIPLE_DES_CBC {
        return Err(unsupported(&format!("algorithm {}", algorithm.oid)));
    }
    let parameters: Pkcs12PbeParams = parameters.decode_as().map_err(malformed)?;
    let (salt, rounds) = (parameters.salt.as_bytes(), checked(parameters.iterations)?);
    let derive = |kind, length| {
        derive_key_utf8::<Sha1>(passphrase.expose(), salt, kind, rounds, length)
            .map(Zeroizing::new)
            .map_err(|_| SigningError::WrongPassphrase)
    };
    let (key, iv) = (derive(Pkcs12KeyType::EncryptionKey, 24)?, derive(Pkcs12KeyType::Iv, 8)?);
    cbc::Decryptor::<des::TdesEde3>::new_from_slices(&key, &iv)
        .map_err(|_| unsupported("Triple DES key"))?
        .decrypt_padded_vec_mut::<Pkcs7>(encrypted)
        .map(Zeroizing::new)
        .map_err(|_| SigningError::WrongPassphrase)
}

/// RFC 7292, section 4 and appendix B. It is how a wrong passphrase is found.
fn check_mac(
    mac: &pkcs12::mac_data::MacData,
    content: &[u8],
    passphrase: &Passphrase,
) -> Result<(), SigningError> {
    let (salt, rounds) = (mac.mac_salt.as_bytes(), checked(mac.iterations)?);
    let (text, digest) = (passphrase.expose(), mac.mac.digest.as_bytes());
    let wrong = |_| SigningError::WrongPassphrase;
    let key_failed = |_| SigningError::WrongPassphrase;
    if mac.mac.algorithm.oid == rfc5912::ID_SHA_256 {
        let key = derive_key_utf8::<Sha256>(text, salt, Pkcs12KeyType::Mac, rounds, 32);
        let key = Zeroizing::new(key.map_err(key_failed)?);
        let mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| unsupported("MAC key"))?;
        mac.chain_update(content).verify_slice(digest).map_err(wrong)
    } else if mac.mac.algorithm.oid == rfc5912::ID_SHA_1 {
        let key = derive_key_utf8::<Sha1>(text, salt, Pkcs12KeyType::Mac, rounds, 20);
        let key = Zeroizing::new(key.map_err(key_failed)?);
        let mac = Hmac::<Sha1>::new_from_slice(&key).map_err(|_| unsupported("MAC key"))?;
        mac.chain_update(content).verify_slice(digest).map_err(wrong)
    } else {
        Err(unsupported(&format!("a MAC with {}", mac.mac.algorithm.oid)))
    }
}

fn checked(rounds: i32) -> Result<i32, SigningError> {
    if (1..=MAX_ROUNDS).contains(&rounds) { Ok(rounds) } else { Err(unsupported("rounds out of range")) }
}
