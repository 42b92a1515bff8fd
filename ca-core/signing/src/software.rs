//! Private keys in this process's memory.

use std::fmt;
use std::path::Path;

use ca_domain::{KeyAlgorithm, RsaPublicKey};
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use der::asn1::{AnyRef, BitStringRef, OctetStringRef};
use der::{Decode, Encode};
use pkcs8::PrivateKeyInfo;
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use zeroize::Zeroizing;

use crate::backend::{KeyPair, Kind};
use crate::{KdfCost, Passphrase, SigningError, SigningKey, StreamSigner, backend, key_file};

/// A private key in memory; its encoding is wiped when dropped.
pub struct SoftwareKey {
    algorithm: KeyAlgorithm,
    pair: KeyPair,
    spki: Vec<u8>,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl SoftwareKey {
    /// Generates a key.
    ///
    /// # Errors
    /// [`SigningError::CannotGenerate`] for RSA with ring; a failing random generator.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, SigningError> {
        let key = Self::from_pkcs8_der(&generate_pkcs8(algorithm)?)?;
        // The key must be what was asked for, whatever the library did.
        if key.algorithm == algorithm {
            Ok(key)
        } else {
            Err(SigningError::Generation { algorithm, cause: format!("got {}", key.algorithm) })
        }
    }

    /// Loads a plain PKCS#8 key (RFC 5208, RFC 5958), with or without its public key.
    ///
    /// # Errors
    /// Not PKCS#8, damaged, inconsistent, or of a kind or size that is not used here.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, SigningError> {
        let info = PrivateKeyInfo::from_der(der)
            .map_err(|_| SigningError::KeyRejected { cause: "it is not a PKCS#8 PrivateKeyInfo".into() })?;
        let kind = kind_of(&info.algorithm)?;
        let pair = KeyPair::from_pkcs8(kind, der)?;
        let spki = spki_der(kind, pair.public_bits()).map_err(SigningError::der("the public key"))?;
        let view = SubjectPublicKeyInfoRef::from_der(&spki).map_err(|_| rejected("its public key"))?;
        let algorithm = KeyAlgorithm::of_spki(&view)
            .ok_or_else(|| SigningError::UnsupportedKey { what: "RSA of another size".into() })?;
        if kind == Kind::Rsa && !exponent_is_large(pair.public_bits()) {
            let what = "RSA with a public exponent below 65537".into();
            return Err(SigningError::UnsupportedKey { what });
        }
        let pkcs8 = match pair.to_pkcs8() {
            Some(canonical) => canonical,
            None => without_public_key(kind, &info, der)?,
        };
        Ok(Self { algorithm, pair, spki, pkcs8 })
    }

    /// Reads a PEM file's text: `PRIVATE KEY`, or `ENCRYPTED PRIVATE KEY` with
    /// PBES2 (scrypt or PBKDF2, AES-CBC), which needs the passphrase.
    ///
    /// # Errors
    /// [`SigningError::PassphraseNeeded`], [`SigningError::WrongPassphrase`], or
    /// the text is not such a key.
    pub fn from_pem(pem: &str, passphrase: Option<&Passphrase>) -> Result<Self, SigningError> {
        Self::from_pkcs8_der(&key_file::decode(pem, passphrase)?)
    }

    /// Loads a PEM key file that only its owner may read.
    ///
    /// # Errors
    /// As [`SoftwareKey::from_pem`], with the path; [`ca_files::FileError::Unsafe`]
    /// if the file is a symbolic link or others may read or change it.
    pub fn load(path: &Path, passphrase: Option<&Passphrase>) -> Result<Self, SigningError> {
        let bytes = Zeroizing::new(ca_files::read_private(path)?);
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| SigningError::NotAKeyFile { what: "not a PEM file".into() }.in_file(path))?;
        Self::from_pem(text, passphrase).map_err(|error| error.in_file(path))
    }

    /// The plain key: DER of PKCS#8 version 1.
    #[must_use]
    pub fn pkcs8_der(&self) -> &Zeroizing<Vec<u8>> {
        &self.pkcs8
    }

    /// The key encrypted with scrypt and AES-256-CBC (PBES2; RFC 7914, section 7,
    /// RFC 8018, section 6.2), as PEM that `openssl pkey` reads.
    ///
    /// # Errors
    /// An empty passphrase, or no random bytes.
    pub fn to_encrypted_pem(
        &self,
        passphrase: &Passphrase,
        cost: KdfCost,
    ) -> Result<Zeroizing<String>, SigningError> {
        key_file::encode_encrypted(&self.pkcs8, passphrase, cost)
    }

    /// The plain key as PEM, for files that only the owner can read.
    ///
    /// # Errors
    /// None for a key of this type; the encoder's signature asks for it.
    pub fn to_plain_pem(&self) -> Result<Zeroizing<String>, SigningError> {
        key_file::encode_plain(&self.pkcs8)
    }
}

impl SigningKey for SoftwareKey {
    fn key_algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    fn public_key_der(&self) -> &[u8] {
        &self.spki
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.pair.sign(message)
    }

    fn begin(&self) -> Box<dyn StreamSigner + '_> {
        self.pair.begin()
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// At least 2^16 + 1 (CA/B Forum S/MIME Baseline Requirements, section 6.1.6).
fn exponent_is_large(bits: &[u8]) -> bool {
    let Ok(key) = RsaPublicKey::from_der(bits) else { return false };
    let exponent = key.public_exponent.as_bytes();
    exponent.len() > 3 || (exponent.len() == 3 && exponent >= &[1, 0, 1])
}

fn rejected(what: &str) -> SigningError {
    SigningError::KeyRejected { cause: format!("{what} cannot be read") }
}

fn kind_of(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<Kind, SigningError> {
    let unsupported = |what: String| Err(SigningError::UnsupportedKey { what });
    match algorithm.oid {
        rfc5912::RSA_ENCRYPTION => Ok(Kind::Rsa),
        rfc8410::ID_ED_25519 => Ok(Kind::Ed25519),
        rfc5912::ID_EC_PUBLIC_KEY => {
            let curve: Option<ObjectIdentifier> =
                algorithm.parameters.and_then(|parameters| parameters.decode_as().ok());
            match curve {
                Some(rfc5912::SECP_256_R_1) => Ok(Kind::P256),
                Some(rfc5912::SECP_384_R_1) => Ok(Kind::P384),
                Some(other) => unsupported(format!("EC on curve {other}")),
                None => unsupported("EC without a named curve".into()),
            }
        }
        other => unsupported(format!("algorithm {other}")),
    }
}

/// The AlgorithmIdentifier of RFC 3279, section 2.3.1, RFC 5480 and RFC 8410.
fn key_identifier(kind: Kind) -> AlgorithmIdentifierRef<'static> {
    let (oid, parameters) = match kind {
        Kind::Rsa => (rfc5912::RSA_ENCRYPTION, Some(AnyRef::NULL)),
        Kind::P256 => (rfc5912::ID_EC_PUBLIC_KEY, Some(AnyRef::from(&rfc5912::SECP_256_R_1))),
        Kind::P384 => (rfc5912::ID_EC_PUBLIC_KEY, Some(AnyRef::from(&rfc5912::SECP_384_R_1))),
        Kind::Ed25519 => (rfc8410::ID_ED_25519, None),
    };
    AlgorithmIdentifierRef { oid, parameters }
}

fn spki_der(kind: Kind, bits: &[u8]) -> der::Result<Vec<u8>> {
    let subject_public_key = BitStringRef::from_bytes(bits)?;
    SubjectPublicKeyInfoRef { algorithm: key_identifier(kind), subject_public_key }.to_der()
}

/// OpenSSL 3.0 refuses Ed25519 keys of PKCS#8 version 2, with the public key.
fn without_public_key(
    kind: Kind,
    info: &PrivateKeyInfo<'_>,
    der: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    if kind != Kind::Ed25519 {
        return Ok(Zeroizing::new(der.to_vec()));
    }
    let plain = PrivateKeyInfo::new(key_identifier(kind), info.private_key);
    Ok(Zeroizing::new(plain.to_der().map_err(SigningError::der("the private key"))?))
}

fn generate_pkcs8(algorithm: KeyAlgorithm) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    let pair = match algorithm {
        KeyAlgorithm::Ed25519 => return generate_ed25519(),
        KeyAlgorithm::P256 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyAlgorithm::P384 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => generate_rsa(algorithm),
    };
    let pair = pair.map_err(|error| match error {
        rcgen::Error::KeyGenerationUnavailable => {
            SigningError::CannotGenerate { algorithm, backend: backend::NAME }
        }
        other => SigningError::Generation { algorithm, cause: other.to_string() },
    })?;
    Ok(Zeroizing::new(Zeroizing::new(pair).serialize_der()))
}

#[cfg(feature = "aws-lc")]
fn generate_rsa(algorithm: KeyAlgorithm) -> Result<rcgen::KeyPair, rcgen::Error> {
    let size = match algorithm {
        KeyAlgorithm::Rsa3072 => rcgen::RsaKeySize::_3072,
        KeyAlgorithm::Rsa4096 => rcgen::RsaKeySize::_4096,
        _ => rcgen::RsaKeySize::_2048,
    };
    rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size)
}

#[cfg(not(feature = "aws-lc"))]
fn generate_rsa(_: KeyAlgorithm) -> Result<rcgen::KeyPair, rcgen::Error> {
    Err(rcgen::Error::KeyGenerationUnavailable)
}

/// An Ed25519 private key is 32 random bytes (RFC 8032, section 5.1.5).
fn generate_ed25519() -> Result<Zeroizing<Vec<u8>>, SigningError> {
    let seed = Zeroizing::new(crate::random::<32>()?);
    let encode = || {
        let inner = Zeroizing::new(OctetStringRef::new(seed.as_slice())?.to_der()?);
        PrivateKeyInfo::new(key_identifier(Kind::Ed25519), &inner).to_der()
    };
    Ok(Zeroizing::new(encode().map_err(SigningError::der("the private key"))?))
}

#[cfg(test)]
mod tests;
