//! Algorithms of keys and signatures.

use std::fmt;
use std::str::FromStr;

use const_oid::db::{rfc5912, rfc8410};
use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoRef};

/// A kind and size of key that this suite makes or certifies.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
pub enum KeyAlgorithm {
    /// Ed25519 (RFC 8410). Refused for S/MIME: no mail client can use it.
    #[serde(rename = "ed25519")]
    Ed25519,
    /// ECDSA or ECDH on NIST P-256.
    #[serde(rename = "p256")]
    P256,
    /// ECDSA or ECDH on NIST P-384.
    #[serde(rename = "p384")]
    P384,
    /// RSA, 2048-bit modulus.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA, 3072-bit modulus.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA, 4096-bit modulus.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

impl KeyAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 6] =
        [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::P256, Self::P384, Self::Ed25519];

    /// The name in templates and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }

    /// Whether it is an RSA key of any size.
    #[must_use]
    pub const fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }

    /// The algorithm of a public key; none if it is not one of ours.
    ///
    /// The key itself is not validated here.
    #[must_use]
    pub fn of_spki(spki: &SubjectPublicKeyInfoRef<'_>) -> Option<Self> {
        if spki.algorithm.oid == rfc8410::ID_ED_25519 {
            return Some(Self::Ed25519);
        }
        if spki.algorithm.oid == rfc5912::ID_EC_PUBLIC_KEY {
            let curve: ObjectIdentifier = spki.algorithm.parameters?.decode_as().ok()?;
            return match curve {
                rfc5912::SECP_256_R_1 => Some(Self::P256),
                rfc5912::SECP_384_R_1 => Some(Self::P384),
                _ => None,
            };
        }
        if spki.algorithm.oid == rfc5912::RSA_ENCRYPTION {
            let key = pkcs1_modulus_bits(spki.subject_public_key.raw_bytes())?;
            return match key {
                2048 => Some(Self::Rsa2048),
                3072 => Some(Self::Rsa3072),
                4096 => Some(Self::Rsa4096),
                _ => None,
            };
        }
        None
    }
}

/// RSAPublicKey (RFC 8017, appendix A.1.1): the bits of an RSA subjectPublicKey.
#[derive(Clone, Copy, Debug, Eq, PartialEq, der::Sequence)]
pub struct RsaPublicKey<'a> {
    /// n.
    pub modulus: der::asn1::UintRef<'a>,
    /// e.
    pub public_exponent: der::asn1::UintRef<'a>,
}

fn pkcs1_modulus_bits(der: &[u8]) -> Option<usize> {
    let key = RsaPublicKey::from_der(der).ok()?;
    let bytes = key.modulus.as_bytes();
    let first = bytes.first()?;
    Some(bytes.len() * 8 - first.leading_zeros() as usize)
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KeyAlgorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|algorithm| algorithm.name()).collect();
            format!("unknown key algorithm {text:?}; use one of {}", names.join(", "))
        })
    }
}

/// A signature algorithm with its exact AlgorithmIdentifier.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SignatureAlgorithm {
    /// ecdsa-with-SHA256, parameters absent (RFC 5758, section 3.2).
    EcdsaSha256,
    /// ecdsa-with-SHA384, parameters absent.
    EcdsaSha384,
    /// Ed25519, parameters absent (RFC 8410, section 3).
    Ed25519,
    /// sha256WithRSAEncryption, parameters NULL (RFC 4055, section 5).
    RsaSha256,
}

impl SignatureAlgorithm {
    /// What a key of this algorithm signs with.
    #[must_use]
    pub const fn of_key(key: KeyAlgorithm) -> Self {
        match key {
            KeyAlgorithm::Ed25519 => Self::Ed25519,
            KeyAlgorithm::P256 => Self::EcdsaSha256,
            KeyAlgorithm::P384 => Self::EcdsaSha384,
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => Self::RsaSha256,
        }
    }

    /// The object identifier.
    #[must_use]
    pub const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::EcdsaSha256 => rfc5912::ECDSA_WITH_SHA_256,
            Self::EcdsaSha384 => rfc5912::ECDSA_WITH_SHA_384,
            Self::Ed25519 => rfc8410::ID_ED_25519,
            Self::RsaSha256 => rfc5912::SHA_256_WITH_RSA_ENCRYPTION,
        }
    }

    /// The AlgorithmIdentifier as certificates, CRLs and OCSP responses carry it.
    #[must_use]
    pub fn identifier(self) -> AlgorithmIdentifierOwned {
        let parameters = matches!(self, Self::RsaSha256).then(|| AnyRef::NULL.into());
        AlgorithmIdentifierOwned { oid: self.oid(), parameters }
    }

    /// The algorithm of an identifier; none if it is unknown or its parameters
    /// are not byte for byte the ones required.
    #[must_use]
    pub fn from_identifier(identifier: &AlgorithmIdentifierOwned) -> Option<Self> {
        let wanted = identifier.to_der().ok()?;
        [Self::EcdsaSha256, Self::EcdsaSha384, Self::Ed25519, Self::RsaSha256]
            .into_iter()
            .find(|algorithm| algorithm.identifier().to_der().is_ok_and(|der| der == wanted))
    }
}
