//! Whether a public key may be certified.
//!
//! The encoding must be the one form that S/MIME BR 7.1.3.1 allows, the key of
//! a size that we certify, and free of the weaknesses that can be seen from
//! the public half: small factors, close primes, the ROCA fingerprint, points
//! off the curve. Keys from Debian's broken generator of 2008 are not looked
//! for: their list is far larger than this suite.

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use curve25519_dalek::edwards::CompressedEdwardsY;
use der::{Decode, Encode};
use spki::SubjectPublicKeyInfoRef;

use crate::{KeyAlgorithm, KeyIdentifier, SpkiHash};

mod roca;
mod rsa;

/// The AlgorithmIdentifier of RSA keys (S/MIME BR 7.1.3.1.1).
const RSA_IDENTIFIER: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
/// The AlgorithmIdentifier of P-256 keys (S/MIME BR 7.1.3.1.2).
const P256_IDENTIFIER: &[u8] =
    b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
/// The AlgorithmIdentifier of P-384 keys (S/MIME BR 7.1.3.1.2).
const P384_IDENTIFIER: &[u8] = b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
/// The AlgorithmIdentifier of Ed25519 keys (S/MIME BR 7.1.3.1.3).
const ED25519_IDENTIFIER: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";
/// Octets of a SubjectPublicKeyInfo at most: an RSA modulus of 16,384 bits fits.
const MAX_SPKI: usize = 4096;

/// A public key that passed every check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckedKey {
    /// Its kind and size.
    pub algorithm: KeyAlgorithm,
    /// DER SubjectPublicKeyInfo.
    pub spki_der: Vec<u8>,
    /// SHA-256 of `spki_der`.
    pub hash: SpkiHash,
    /// SHA-1 of the key bits, for the subjectKeyIdentifier extension.
    pub key_id: KeyIdentifier,
}

/// Why a public key is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// Not DER, or not a SubjectPublicKeyInfo.
    #[error("the public key is not a DER SubjectPublicKeyInfo: {0}")]
    Malformed(der::Error),
    /// More octets than any key that we certify has.
    #[error("the public key has {0} octets; no key that can be certified has more than 4096")]
    TooLong(usize),
    /// An algorithm that we do not certify.
    #[error("keys of algorithm {0} are not certified; use RSA, P-256, P-384 or Ed25519")]
    Algorithm(ObjectIdentifier),
    /// An RSASSA-PSS key.
    #[error(
        "the key is restricted to RSASSA-PSS, which mail clients cannot use; make a plain RSA key (S/MIME BR 7.1.3.1.1)"
    )]
    PssKey,
    /// A curve that we do not certify.
    #[error("keys on curve {0} are not certified; use P-256 or P-384")]
    Curve(ObjectIdentifier),
    /// Curve parameters written out, or missing.
    #[error(
        "the EC key does not name its curve by identifier; explicit parameters are refused (RFC 5480, section 2.1.1)"
    )]
    ExplicitCurve,
    /// An AlgorithmIdentifier with other bytes than the required ones.
    #[error("the key's AlgorithmIdentifier is not the exact encoding required (S/MIME BR 7.1.3.1)")]
    Encoding,
    /// A modulus size that we do not certify.
    #[error("an RSA modulus of {0} bits is not certified; use 2048, 3072 or 4096")]
    ModulusSize(u64),
    /// An even modulus.
    #[error("the RSA modulus is even")]
    EvenModulus,
    /// A public exponent out of range.
    #[error(
        "the RSA public exponent is refused: it must be odd, at least 65537 and below 2^256 (S/MIME BR 6.1.6)"
    )]
    Exponent,
    /// A modulus with a small prime factor.
    #[error("the RSA modulus is divisible by {0}: the key is broken (S/MIME BR 6.1.6)")]
    SmallFactor(u32),
    /// A modulus of the Infineon library of CVE-2017-15361.
    #[error("the RSA key has the ROCA weakness (CVE-2017-15361): replace the device or its firmware")]
    Roca,
    /// A modulus that Fermat's method factors.
    #[error("the RSA primes are too close to each other: the key is broken (S/MIME BR 6.1.1.3)")]
    ClosePrimes,
    /// An EC point in another form than the uncompressed one.
    #[error("the EC point is not in uncompressed form, or is the point at infinity")]
    PointForm,
    /// An EC point that is not on its curve, or an Ed25519 key that is none.
    #[error("the public key is not a valid point of its curve: the key is broken")]
    Point,
}

/// Checks a DER SubjectPublicKeyInfo.
///
/// # Errors
/// [`KeyError`] says why the key may not be certified.
pub fn check_public_key(spki_der: &[u8]) -> Result<CheckedKey, KeyError> {
    if spki_der.len() > MAX_SPKI {
        return Err(KeyError::TooLong(spki_der.len()));
    }
    let spki = SubjectPublicKeyInfoRef::from_der(spki_der).map_err(KeyError::Malformed)?;
    let key = spki.subject_public_key.as_bytes().ok_or(KeyError::Encoding)?;
    let oid = spki.algorithm.oid;
    let algorithm = if oid == rfc5912::RSA_ENCRYPTION {
        exactly(&spki, RSA_IDENTIFIER)?;
        rsa::check(key)?
    } else if oid == rfc5912::ID_RSASSA_PSS {
        return Err(KeyError::PssKey);
    } else if oid == rfc5912::ID_EC_PUBLIC_KEY {
        check_ec(&spki, key)?
    } else if oid == rfc8410::ID_ED_25519 {
        exactly(&spki, ED25519_IDENTIFIER)?;
        check_ed25519(key)?
    } else {
        return Err(KeyError::Algorithm(oid));
    };
    Ok(CheckedKey {
        algorithm,
        spki_der: spki_der.to_vec(),
        hash: SpkiHash::of_der(spki_der),
        key_id: KeyIdentifier::of_spki(&spki),
    })
}

/// Compares the AlgorithmIdentifier with the bytes required.
fn exactly(spki: &SubjectPublicKeyInfoRef<'_>, wanted: &[u8]) -> Result<(), KeyError> {
    let bytes = spki.algorithm.to_der().map_err(KeyError::Malformed)?;
    if bytes == wanted { Ok(()) } else { Err(KeyError::Encoding) }
}

fn check_ec(spki: &SubjectPublicKeyInfoRef<'_>, key: &[u8]) -> Result<KeyAlgorithm, KeyError> {
    let parameters = spki.algorithm.parameters.ok_or(KeyError::ExplicitCurve)?;
    let curve: ObjectIdentifier = parameters.decode_as().map_err(|_| KeyError::ExplicitCurve)?;
    let (algorithm, identifier, field) = match curve {
        rfc5912::SECP_256_R_1 => (KeyAlgorithm::P256, P256_IDENTIFIER, 32),
        rfc5912::SECP_384_R_1 => (KeyAlgorithm::P384, P384_IDENTIFIER, 48),
        _ => return Err(KeyError::Curve(curve)),
    };
    exactly(spki, identifier)?;
    // The point at infinity is one octet, a compressed point begins with 2 or 3.
    if key.first() != Some(&4) || key.len() != 1 + 2 * field {
        return Err(KeyError::PointForm);
    }
    let valid = match algorithm {
        KeyAlgorithm::P256 => p256::PublicKey::from_sec1_bytes(key).is_ok(),
        _ => p384::PublicKey::from_sec1_bytes(key).is_ok(),
    };
    if valid { Ok(algorithm) } else { Err(KeyError::Point) }
}

fn check_ed25519(key: &[u8]) -> Result<KeyAlgorithm, KeyError> {
    let compressed = CompressedEdwardsY::from_slice(key).map_err(|_| KeyError::PointForm)?;
    let point = compressed.decompress().ok_or(KeyError::Point)?;
    // Small order: signatures under it prove nothing. Unreduced coordinates: a
    // second encoding of the same key.
    if point.is_small_order() || point.compress() != compressed {
        return Err(KeyError::Point);
    }
    Ok(KeyAlgorithm::Ed25519)
}

#[cfg(test)]
mod tests;
