//! The one place that knows the cryptographic library.
//!
//! aws-lc-rs and ring have the same API; the few differences are marked.

#[cfg(feature = "aws-lc")]
use aws_lc_rs as library;
#[cfg(not(any(feature = "aws-lc", feature = "ring")))]
compile_error!("ca-signing needs the feature `aws-lc` (the default) or `ring`");
#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
use ring as library;

#[cfg(feature = "aws-lc")]
use library::digest;
use library::rand::{SecureRandom, SystemRandom};
use library::rsa::KeyPair as RsaKeyPair;
use library::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};
use zeroize::Zeroizing;

use crate::verify::{Curve, Hash, Scheme};
use crate::{SigningError, StreamSigner};

/// The library's name, for messages.
#[cfg(feature = "aws-lc")]
pub(crate) const NAME: &str = "aws-lc-rs";
#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
pub(crate) const NAME: &str = "ring";

const SIGN_FAILED: SigningError = SigningError::SignFailed { backend: NAME };

/// A private key loaded into the library.
pub(crate) enum KeyPair {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(Box<EcdsaKeyPair>, Hash),
    Ed25519(Box<Ed25519KeyPair>),
}

/// The kinds of private key by their AlgorithmIdentifier.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl KeyPair {
    /// Loads a plain PKCS#8 key; the library checks that its parts are consistent.
    pub(crate) fn from_pkcs8(kind: Kind, der: &[u8]) -> Result<Self, SigningError> {
        match kind {
            Kind::Rsa => RsaKeyPair::from_pkcs8(der).map(|pair| Self::Rsa(Box::new(pair))),
            Kind::P256 => ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, der)
                .map(|pair| Self::Ecdsa(Box::new(pair), Hash::Sha256)),
            Kind::P384 => ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING, der)
                .map(|pair| Self::Ecdsa(Box::new(pair), Hash::Sha384)),
            Kind::Ed25519 => {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(|pair| Self::Ed25519(Box::new(pair)))
            }
        }
        .map_err(|error| SigningError::KeyRejected { cause: format!("{error} ({NAME}){}", hint(kind)) })
    }

    /// The bits of subjectPublicKey.
    pub(crate) fn public_bits(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::Ecdsa(pair, _) => pair.public_key().as_ref(),
            Self::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }

    /// What it signs with.
    const fn scheme(&self) -> Scheme {
        match self {
            Self::Rsa(_) => Scheme::Rsa(Hash::Sha256),
            Self::Ecdsa(_, hash @ Hash::Sha256) => Scheme::Ecdsa(Curve::P256, *hash),
            Self::Ecdsa(_, hash) => Scheme::Ecdsa(Curve::P384, *hash),
            Self::Ed25519(_) => Scheme::Ed25519,
        }
    }

    /// The key as the library writes it: PKCS#8 version 1, with the public key
    /// where the format has a place for it. ring cannot write keys.
    #[cfg(feature = "aws-lc")]
    pub(crate) fn to_pkcs8(&self) -> Option<Zeroizing<Vec<u8>>> {
        use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, Pkcs8V1Der};
        let copy = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        match self {
            Self::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
                Some(copy(der.as_ref()))
            }
            Self::Ecdsa(pair, _) => {
                // A pair read without its public key would be written without it.
                let secret: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().ok()?;
                let public = pair.public_key().as_ref();
                let full =
                    EcdsaKeyPair::from_private_key_and_public_key(pair.algorithm(), secret.as_ref(), public)
                        .ok()?;
                full.to_pkcs8v1().ok().map(|der| copy(der.as_ref()))
            }
            Self::Ed25519(pair) => pair.to_pkcs8v1().ok().map(|der| copy(der.as_ref())),
        }
    }

    #[cfg(not(feature = "aws-lc"))]
    pub(crate) fn to_pkcs8(&self) -> Option<Zeroizing<Vec<u8>>> {
        None
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let rng = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut bytes = vec![0; modulus_len(pair)];
                pair.sign(&RSA_PKCS1_SHA256, &rng, message, &mut bytes).map_err(|_| SIGN_FAILED)?;
                Ok(bytes)
            }
            Self::Ecdsa(pair, _) => Ok(pair.sign(&rng, message).map_err(|_| SIGN_FAILED)?.as_ref().to_vec()),
            Self::Ed25519(pair) => sign_ed25519(pair, message),
        }
    }

    pub(crate) fn begin(&self) -> Box<dyn StreamSigner + '_> {
        #[cfg(feature = "aws-lc")]
        {
            let algorithm = match self {
                Self::Rsa(_) | Self::Ecdsa(_, Hash::Sha256) => &digest::SHA256,
                Self::Ecdsa(_, Hash::Sha384) => &digest::SHA384,
                Self::Ecdsa(_, Hash::Sha512) => &digest::SHA512,
                // Ed25519 reads the message twice.
                Self::Ed25519(_) => return Box::new(Collected { pair: self, message: Vec::new() }),
            };
            Box::new(Hashed { pair: self, hash: digest::Context::new(algorithm) })
        }
        #[cfg(not(feature = "aws-lc"))]
        Box::new(Collected { pair: self, message: Vec::new() })
    }

    #[cfg(feature = "aws-lc")]
    fn sign_digest(&self, digest: &digest::Digest) -> Result<Vec<u8>, SigningError> {
        match self {
            Self::Rsa(pair) => {
                let mut bytes = vec![0; modulus_len(pair)];
                pair.sign_digest(&RSA_PKCS1_SHA256, digest, &mut bytes).map_err(|_| SIGN_FAILED)?;
                Ok(bytes)
            }
            Self::Ecdsa(pair, _) => Ok(pair.sign_digest(digest).map_err(|_| SIGN_FAILED)?.as_ref().to_vec()),
            Self::Ed25519(_) => Err(SIGN_FAILED),
        }
    }
}

/// ring does not compute a missing public key.
fn hint(kind: Kind) -> &'static str {
    if cfg!(not(feature = "aws-lc")) && matches!(kind, Kind::P256 | Kind::P384) {
        "; if its public part is missing, write it again with `openssl pkey -in OLD -out NEW`"
    } else {
        ""
    }
}

#[cfg(feature = "aws-lc")]
fn ecdsa(
    algorithm: &'static EcdsaSigningAlgorithm,
    der: &[u8],
) -> Result<EcdsaKeyPair, library::error::KeyRejected> {
    EcdsaKeyPair::from_pkcs8(algorithm, der)
}

#[cfg(not(feature = "aws-lc"))]
fn ecdsa(
    algorithm: &'static EcdsaSigningAlgorithm,
    der: &[u8],
) -> Result<EcdsaKeyPair, library::error::KeyRejected> {
    EcdsaKeyPair::from_pkcs8(algorithm, der, &SystemRandom::new())
}

#[cfg(feature = "aws-lc")]
fn modulus_len(pair: &RsaKeyPair) -> usize {
    pair.public_modulus_len()
}

#[cfg(not(feature = "aws-lc"))]
fn modulus_len(pair: &RsaKeyPair) -> usize {
    pair.public().modulus_len()
}

#[cfg(feature = "aws-lc")]
fn sign_ed25519(pair: &Ed25519KeyPair, message: &[u8]) -> Result<Vec<u8>, SigningError> {
    Ok(pair.try_sign(message).map_err(|_| SIGN_FAILED)?.as_ref().to_vec())
}

#[cfg(not(feature = "aws-lc"))]
#[allow(clippy::unnecessary_wraps, reason = "the other library can fail here")]
fn sign_ed25519(pair: &Ed25519KeyPair, message: &[u8]) -> Result<Vec<u8>, SigningError> {
    Ok(pair.sign(message).as_ref().to_vec())
}

/// Hashes as it goes: constant memory.
#[cfg(feature = "aws-lc")]
struct Hashed<'a> {
    pair: &'a KeyPair,
    hash: digest::Context,
}

#[cfg(feature = "aws-lc")]
impl StreamSigner for Hashed<'_> {
    fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, SigningError> {
        let digest = self.hash.finish();
        let signed = self.pair.sign_digest(&digest)?;
        let scheme = algorithm(self.pair.scheme()).ok_or(SIGN_FAILED)?;
        let key = UnparsedPublicKey::new(scheme, self.pair.public_bits());
        key.verify_digest(&digest, &signed).map(|()| signed).map_err(|_| SigningError::SignedWrongly)
    }
}

/// Keeps the message: for Ed25519, and for ring, which signs no digests.
struct Collected<'a> {
    pair: &'a KeyPair,
    message: Vec<u8>,
}

impl StreamSigner for Collected<'_> {
    fn update(&mut self, bytes: &[u8]) {
        self.message.extend_from_slice(bytes);
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, SigningError> {
        let signed = self.pair.sign(&self.message)?;
        match verify(self.pair.scheme(), self.pair.public_bits(), &self.message, &signed) {
            Some(true) => Ok(signed),
            _ => Err(SigningError::SignedWrongly),
        }
    }
}

/// Verifies, or says that this library has no such scheme (`None`).
pub(crate) fn verify(scheme: Scheme, bits: &[u8], message: &[u8], signed: &[u8]) -> Option<bool> {
    Some(UnparsedPublicKey::new(algorithm(scheme)?, bits).verify(message, signed).is_ok())
}

/// Verifies what comes in pieces.
pub(crate) enum Hashing {
    #[cfg(feature = "aws-lc")]
    Hashed(&'static dyn VerificationAlgorithm, digest::Context),
    /// For Ed25519, and for ring, which verifies no digests.
    Collected(&'static dyn VerificationAlgorithm, Vec<u8>),
}

impl Hashing {
    /// None: this library has no such scheme.
    pub(crate) fn new(scheme: Scheme) -> Option<Self> {
        let algorithm = algorithm(scheme)?;
        #[cfg(feature = "aws-lc")]
        if let Scheme::Rsa(hash) | Scheme::Ecdsa(_, hash) = scheme {
            let hash = match hash {
                Hash::Sha256 => &digest::SHA256,
                Hash::Sha384 => &digest::SHA384,
                Hash::Sha512 => &digest::SHA512,
            };
            return Some(Self::Hashed(algorithm, digest::Context::new(hash)));
        }
        Some(Self::Collected(algorithm, Vec::new()))
    }

    /// False: it would hold more than `limit` octets in memory.
    pub(crate) fn update(&mut self, bytes: &[u8], limit: usize) -> bool {
        match self {
            #[cfg(feature = "aws-lc")]
            Self::Hashed(_, hash) => hash.update(bytes),
            Self::Collected(_, message) if message.len() + bytes.len() > limit => return false,
            Self::Collected(_, message) => message.extend_from_slice(bytes),
        }
        true
    }

    pub(crate) fn verify(self, bits: &[u8], signed: &[u8]) -> bool {
        match self {
            #[cfg(feature = "aws-lc")]
            Self::Hashed(algorithm, hash) => {
                UnparsedPublicKey::new(algorithm, bits).verify_digest(&hash.finish(), signed).is_ok()
            }
            Self::Collected(algorithm, message) => {
                UnparsedPublicKey::new(algorithm, bits).verify(&message, signed).is_ok()
            }
        }
    }
}

fn algorithm(scheme: Scheme) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match scheme {
        Scheme::Rsa(Hash::Sha256) => &signature::RSA_PKCS1_2048_8192_SHA256,
        Scheme::Rsa(Hash::Sha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
        Scheme::Rsa(Hash::Sha512) => &signature::RSA_PKCS1_2048_8192_SHA512,
        Scheme::Ecdsa(Curve::P256, Hash::Sha256) => &signature::ECDSA_P256_SHA256_ASN1,
        Scheme::Ecdsa(Curve::P256, Hash::Sha384) => &signature::ECDSA_P256_SHA384_ASN1,
        Scheme::Ecdsa(Curve::P384, Hash::Sha256) => &signature::ECDSA_P384_SHA256_ASN1,
        Scheme::Ecdsa(Curve::P384, Hash::Sha384) => &signature::ECDSA_P384_SHA384_ASN1,
        Scheme::Ed25519 => &signature::ED25519,
        #[cfg(feature = "aws-lc")]
        Scheme::Ecdsa(Curve::P256, Hash::Sha512) => &signature::ECDSA_P256_SHA512_ASN1,
        #[cfg(feature = "aws-lc")]
        Scheme::Ecdsa(Curve::P384, Hash::Sha512) => &signature::ECDSA_P384_SHA512_ASN1,
        #[cfg(feature = "aws-lc")]
        Scheme::Ecdsa(Curve::P521, hash) => match hash {
            Hash::Sha256 => &signature::ECDSA_P521_SHA256_ASN1,
            Hash::Sha384 => &signature::ECDSA_P521_SHA384_ASN1,
            Hash::Sha512 => &signature::ECDSA_P521_SHA512_ASN1,
        },
        #[cfg(not(feature = "aws-lc"))]
        Scheme::Ecdsa(Curve::P521, _) | Scheme::Ecdsa(_, Hash::Sha512) => return None,
    })
}

pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), SigningError> {
    SystemRandom::new().fill(bytes).map_err(|_| SigningError::Random)
}
