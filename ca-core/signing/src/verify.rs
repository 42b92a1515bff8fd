//! Verifying signatures.
//!
//! AlgorithmIdentifiers must be byte for byte what the standards require: NULL
//! parameters with RSA (RFC 4055, section 5), none with ECDSA (RFC 5758, section
//! 3.2) and Ed25519 (RFC 8410, section 3). RFC 4055 would let a verifier take
//! absent RSA parameters too; what this suite certifies has no such variants.

use ca_domain::RsaPublicKey;
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, Encode, Sequence};
use spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use x509_cert::Certificate;

use crate::{SigningError, backend};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

/// A key type together with a signature algorithm that fits it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scheme {
    Rsa(Hash),
    Ecdsa(Curve, Hash),
    Ed25519,
}

/// What certificates, CRLs, requests and OCSP responses have in common: SIGNED
/// (X.509; RFC 5280, section 4.1).
#[derive(Sequence)]
struct Signed<'a> {
    content: AnyRef<'a>,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitStringRef<'a>,
}

/// Verifies a signature as X.509 carries it.
///
/// `spki_der` is a DER SubjectPublicKeyInfo: RSA of 2048 to 8192 bits with PKCS#1
/// v1.5, ECDSA on P-256, P-384 and (not with ring) P-521, each with SHA-256,
/// SHA-384 or (ECDSA: not with ring) SHA-512; or Ed25519.
///
/// # Errors
/// [`SigningError::BadSignature`] if it does not verify; other errors for an
/// algorithm, parameters or a public key that are not acceptable.
pub fn verify(
    spki_der: &[u8],
    algorithm: &AlgorithmIdentifierOwned,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SigningError> {
    let (scheme, bits) = public_key(spki_der, algorithm)?;
    match backend::verify(scheme, &bits, message, signature) {
        Some(true) => Ok(()),
        Some(false) => Err(SigningError::BadSignature),
        None => Err(unsupported(algorithm, "a key on this curve in this build")),
    }
}

/// The scheme, and the bits of subjectPublicKey.
fn public_key(
    spki_der: &[u8],
    algorithm: &AlgorithmIdentifierOwned,
) -> Result<(Scheme, Vec<u8>), SigningError> {
    let spki = SubjectPublicKeyInfoRef::from_der(spki_der)
        .map_err(|_| SigningError::BadPublicKey("it is not a DER SubjectPublicKeyInfo"))?;
    let scheme = scheme(&spki, algorithm)?;
    let bits = spki
        .subject_public_key
        .as_bytes()
        .ok_or(SigningError::BadPublicKey("its bit string is not a whole number of bytes"))?;
    check_bits(scheme, bits)?;
    Ok((scheme, bits.to_vec()))
}

/// Verifies the signature of a message that comes in pieces, as [`verify`] does.
///
/// Memory stays constant where the library verifies a digest; Ed25519 and some
/// back ends must collect the message, of 1 GiB at most.
pub struct StreamVerifier {
    bits: Vec<u8>,
    hashing: backend::Hashing,
}

impl StreamVerifier {
    const MOST_COLLECTED: usize = 1 << 30;

    /// Begins with the signer's public key and the signature algorithm.
    ///
    /// # Errors
    /// An algorithm, parameters or a public key that are not acceptable.
    pub fn new(spki_der: &[u8], algorithm: &AlgorithmIdentifierOwned) -> Result<Self, SigningError> {
        let (scheme, bits) = public_key(spki_der, algorithm)?;
        let hashing = backend::Hashing::new(scheme)
            .ok_or_else(|| unsupported(algorithm, "a key on this curve in this build"))?;
        Ok(Self { bits, hashing })
    }

    /// Adds the next piece of the message.
    ///
    /// # Errors
    /// [`SigningError::TooLong`] where the message has to be collected.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), SigningError> {
        if self.hashing.update(bytes, Self::MOST_COLLECTED) { Ok(()) } else { Err(SigningError::TooLong) }
    }

    /// Says whether the signature is right.
    ///
    /// # Errors
    /// [`SigningError::BadSignature`] if not.
    pub fn finish(self, signature: &[u8]) -> Result<(), SigningError> {
        if self.hashing.verify(&self.bits, signature) { Ok(()) } else { Err(SigningError::BadSignature) }
    }
}

impl std::fmt::Debug for StreamVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamVerifier").finish_non_exhaustive()
    }
}

/// Verifies the signature of a whole DER structure of the form SIGNED: a
/// certificate, CRL, PKCS#10 request or BasicOCSPResponse.
///
/// The signed bytes are taken from `der` as they stand.
///
/// # Errors
/// As [`verify`], or `der` has another form.
pub fn verify_signed(der: &[u8], spki_der: &[u8]) -> Result<(), SigningError> {
    // An OCSP response may have certificates after the signature.
    #[derive(Sequence)]
    struct WithTail<'a> {
        content: AnyRef<'a>,
        algorithm: AlgorithmIdentifierOwned,
        signature: BitStringRef<'a>,
        #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
        #[allow(dead_code, reason = "decoded for its well-formedness")]
        tail: Option<AnyRef<'a>>,
    }
    let what = SigningError::der("the signed structure");
    let signed = WithTail::from_der(der).map_err(what)?;
    verify_parts(signed.content, &signed.algorithm, signed.signature, spki_der)
}

/// Verifies a certificate's signature with the issuer's public key, and that the
/// algorithm is the same inside and outside (RFC 5280, section 4.1.1.2).
///
/// Names, validity and extensions are not looked at.
///
/// # Errors
/// As [`verify`], or [`SigningError::AlgorithmMismatch`].
pub fn verify_certificate(certificate: &Certificate, issuer_spki_der: &[u8]) -> Result<(), SigningError> {
    if certificate.signature_algorithm != certificate.tbs_certificate.signature {
        return Err(SigningError::AlgorithmMismatch);
    }
    // Certificates that are not DER would not come out the same: they fail here.
    let der = certificate.to_der().map_err(SigningError::der("the certificate"))?;
    let signed = Signed::from_der(&der).map_err(SigningError::der("the certificate"))?;
    verify_parts(signed.content, &signed.algorithm, signed.signature, issuer_spki_der)
}

fn verify_parts(
    content: AnyRef<'_>,
    algorithm: &AlgorithmIdentifierOwned,
    signature: BitStringRef<'_>,
    spki_der: &[u8],
) -> Result<(), SigningError> {
    let message = content.to_der().map_err(SigningError::der("the signed content"))?;
    let signature = signature.as_bytes().ok_or(SigningError::BadSignature)?;
    verify(spki_der, algorithm, &message, signature)
}

fn scheme(
    spki: &SubjectPublicKeyInfoRef<'_>,
    algorithm: &AlgorithmIdentifierOwned,
) -> Result<Scheme, SigningError> {
    let key = &spki.algorithm;
    match key.oid {
        rfc5912::RSA_ENCRYPTION => {
            null_parameters(key.oid, key.parameters)?;
            let hash = rsa_hash(algorithm.oid).ok_or_else(|| unsupported(algorithm, "an RSA key"))?;
            null_parameters(algorithm.oid, algorithm.parameters.as_ref().map(Into::into))?;
            Ok(Scheme::Rsa(hash))
        }
        rfc5912::ID_EC_PUBLIC_KEY => {
            let curve = curve(key)?;
            let hash = ecdsa_hash(algorithm.oid).ok_or_else(|| unsupported(algorithm, "an EC key"))?;
            no_parameters(algorithm.oid, algorithm.parameters.is_some())?;
            Ok(Scheme::Ecdsa(curve, hash))
        }
        rfc8410::ID_ED_25519 => {
            no_parameters(key.oid, key.parameters.is_some())?;
            if algorithm.oid != rfc8410::ID_ED_25519 {
                return Err(unsupported(algorithm, "an Ed25519 key"));
            }
            no_parameters(algorithm.oid, algorithm.parameters.is_some())?;
            Ok(Scheme::Ed25519)
        }
        _ => Err(SigningError::BadPublicKey("it is neither RSA, EC nor Ed25519")),
    }
}

fn rsa_hash(oid: ObjectIdentifier) -> Option<Hash> {
    match oid {
        rfc5912::SHA_256_WITH_RSA_ENCRYPTION => Some(Hash::Sha256),
        rfc5912::SHA_384_WITH_RSA_ENCRYPTION => Some(Hash::Sha384),
        rfc5912::SHA_512_WITH_RSA_ENCRYPTION => Some(Hash::Sha512),
        _ => None,
    }
}

fn ecdsa_hash(oid: ObjectIdentifier) -> Option<Hash> {
    match oid {
        rfc5912::ECDSA_WITH_SHA_256 => Some(Hash::Sha256),
        rfc5912::ECDSA_WITH_SHA_384 => Some(Hash::Sha384),
        rfc5912::ECDSA_WITH_SHA_512 => Some(Hash::Sha512),
        _ => None,
    }
}

fn curve(key: &AlgorithmIdentifierRef<'_>) -> Result<Curve, SigningError> {
    let named: Option<ObjectIdentifier> = key.parameters.and_then(|any| any.decode_as().ok());
    match named {
        Some(rfc5912::SECP_256_R_1) => Ok(Curve::P256),
        Some(rfc5912::SECP_384_R_1) => Ok(Curve::P384),
        Some(rfc5912::SECP_521_R_1) => Ok(Curve::P521),
        _ => Err(SigningError::BadPublicKey("its curve is not P-256, P-384 or P-521 by name")),
    }
}

/// The library would also take a whole SubjectPublicKeyInfo or a compressed point
/// here; one encoding a key is enough.
fn check_bits(scheme: Scheme, bits: &[u8]) -> Result<(), SigningError> {
    let fine = match scheme {
        Scheme::Rsa(_) => {
            let key = RsaPublicKey::from_der(bits)
                .map_err(|_| SigningError::BadPublicKey("it is not a DER RSAPublicKey"))?;
            let bits = key.modulus.as_bytes().len() * 8;
            if !(2048..=8192).contains(&bits) {
                return Err(SigningError::BadPublicKey("its modulus has not 2048 to 8192 bits"));
            }
            true
        }
        Scheme::Ecdsa(curve, _) => {
            let field = match curve {
                Curve::P256 => 32,
                Curve::P384 => 48,
                Curve::P521 => 66,
            };
            bits.len() == 2 * field + 1 && bits.first() == Some(&4)
        }
        Scheme::Ed25519 => bits.len() == 32,
    };
    if fine { Ok(()) } else { Err(SigningError::BadPublicKey("its bits have the wrong form or length")) }
}

fn null_parameters(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>) -> Result<(), SigningError> {
    if parameters == Some(AnyRef::NULL) {
        Ok(())
    } else {
        Err(SigningError::AlgorithmParameters { oid, wanted: "NULL" })
    }
}

fn no_parameters(oid: ObjectIdentifier, present: bool) -> Result<(), SigningError> {
    if present { Err(SigningError::AlgorithmParameters { oid, wanted: "absent" }) } else { Ok(()) }
}

fn unsupported(algorithm: &AlgorithmIdentifierOwned, key: &'static str) -> SigningError {
    SigningError::UnsupportedSignature { oid: algorithm.oid, key }
}

#[cfg(test)]
mod tests;
