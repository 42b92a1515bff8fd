//! Identifiers of public keys.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use spki::SubjectPublicKeyInfoRef;

/// SHA-1 of the subjectPublicKey bits: the key identifier of RFC 5280, section
/// 4.2.1.2, method 1, and the issuerKeyHash and byKey of RFC 6960.
///
/// It names a key; nothing rests on its collision resistance.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyIdentifier(pub [u8; 20]);

impl KeyIdentifier {
    /// The identifier of a public key.
    #[must_use]
    pub fn of_spki(spki: &SubjectPublicKeyInfoRef<'_>) -> Self {
        Self(Sha1::digest(spki.subject_public_key.raw_bytes()).into())
    }

    /// Reads 40 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 20];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for KeyIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyIdentifier({self})")
    }
}

/// SHA-256 of a whole DER SubjectPublicKeyInfo: what "the same key" means.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpkiHash(pub [u8; 32]);

impl SpkiHash {
    /// The hash of a DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn of_der(spki: &[u8]) -> Self {
        Self(Sha256::digest(spki).into())
    }
}

impl From<SpkiHash> for String {
    fn from(hash: SpkiHash) -> Self {
        hex::encode(hash.0)
    }
}

impl TryFrom<String> for SpkiHash {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, hex::FromHexError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for SpkiHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SpkiHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpkiHash({self})")
    }
}
