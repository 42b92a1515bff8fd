//! The key that signs checkpoints, and its public half.

use std::fmt;
use std::path::Path;

use ca_files::{Mode, read_private, write_atomic};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use ed25519_dalek::{Signer as _, SigningKey};
use signed_note::{Signer, StandardVerifier, is_key_name_valid, key_id, new_ed25519_verifier_key};
use zeroize::{Zeroize, Zeroizing};

use crate::LedgerError;

/// Ed25519 in C2SP signed-note.
const ALGORITHM: u8 = 1;

/// Before the PEM block, where RFC 7468 (section 2) lets text stand.
const ORIGIN_LINE: &str = "Origin: ";

/// The Ed25519 key of a ledger and the ledger's name, its origin.
///
/// It signs checkpoints and nothing else: no certificate, CRL or OCSP response.
pub struct LedgerKey {
    origin: String,
    key: SigningKey,
}

impl LedgerKey {
    /// A new key for the ledger `origin`: a host name with an optional path, such
    /// as `ca.example.com/ledger`.
    ///
    /// # Errors
    /// A name that checkpoints cannot carry; no randomness.
    pub fn generate(origin: &str) -> Result<Self, LedgerError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(|error| LedgerError::Random(error.to_string()))?;
        Self::from_seed(origin, &seed)
    }

    /// The key of a 32-octet private key (RFC 8032, section 5.1.5).
    ///
    /// # Errors
    /// A name that checkpoints cannot carry.
    pub fn from_seed(origin: &str, seed: &[u8; 32]) -> Result<Self, LedgerError> {
        if !is_key_name_valid(origin) || origin.len() > 255 || origin.chars().any(char::is_control) {
            return Err(LedgerError::Origin(origin.chars().take(300).collect()));
        }
        Ok(Self { origin: origin.to_owned(), key: SigningKey::from_bytes(seed) })
    }

    /// Reads what [`LedgerKey::save`] wrote; a file that others may read is refused.
    ///
    /// # Errors
    /// The file cannot be read, is not private, or holds no such key.
    pub fn load(path: &Path) -> Result<Self, LedgerError> {
        let bytes = Zeroizing::new(read_private(path)?);
        let refuse = |what: &str| LedgerError::Key { path: path.to_owned(), what: what.to_owned() };
        let text = std::str::from_utf8(&bytes).map_err(|_| refuse("it is not text"))?;
        let (first, pem) = text.split_once('\n').ok_or_else(|| refuse("it is cut short"))?;
        let origin = first.strip_prefix(ORIGIN_LINE);
        let origin = origin.ok_or_else(|| refuse("its first line is not `Origin: NAME`"))?;
        let mut pair = KeypairBytes::from_pkcs8_pem(pem)
            .map_err(|_| refuse("it is not an unencrypted Ed25519 key in PKCS#8 PEM"))?;
        let key = SigningKey::try_from(&pair).map_err(|_| refuse("its public and private keys differ"));
        pair.secret_key.zeroize();
        let checked = Self::from_seed(origin, &[0; 32])?;
        Ok(Self { key: key?, ..checked })
    }

    /// Writes the key as PKCS#8 PEM, readable by its owner only, below a line
    /// with the ledger's name. `openssl pkey` reads it too.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), LedgerError> {
        // Version 1 of PKCS#8, without the public key: older tools know no other.
        let mut pair = KeypairBytes { secret_key: self.key.to_bytes(), public_key: None };
        let pem = pair.to_pkcs8_pem(LineEnding::LF);
        pair.secret_key.zeroize();
        let pem = pem.map_err(|error| LedgerError::Key { path: path.to_owned(), what: error.to_string() })?;
        let text = Zeroizing::new(format!("{ORIGIN_LINE}{}\n{}", self.origin, pem.as_str()));
        Ok(write_atomic(path, text.as_bytes(), Mode::Private)?)
    }

    /// The ledger's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The verification key to give to others: `origin+id+base64` (C2SP
    /// signed-note).
    #[must_use]
    pub fn vkey(&self) -> String {
        new_ed25519_verifier_key(&self.origin, &self.key.verifying_key())
    }

    /// The public half.
    ///
    /// # Errors
    /// None for a key of this type.
    pub fn verifier(&self) -> Result<VerifierKey, LedgerError> {
        VerifierKey::parse(&self.vkey())
    }
}

impl Signer for LedgerKey {
    fn name(&self) -> &str {
        &self.origin
    }

    fn key_id(&self) -> u32 {
        let mut public = vec![ALGORITHM];
        public.extend(self.key.verifying_key().as_bytes());
        key_id(&self.origin, &public)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ed25519_dalek::SignatureError> {
        Ok(self.key.try_sign(message)?.to_vec())
    }
}

impl fmt::Debug for LedgerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LedgerKey({})", self.vkey())
    }
}

/// The public half of a [`LedgerKey`]: what readers and followers trust.
#[derive(Clone)]
pub struct VerifierKey {
    text: String,
    verifier: StandardVerifier,
}

impl VerifierKey {
    /// Reads `origin+id+base64`.
    ///
    /// # Errors
    /// Any other text, or an id that is not that of the key.
    pub fn parse(vkey: &str) -> Result<Self, LedgerError> {
        let vkey = vkey.trim();
        let verifier = StandardVerifier::new(vkey)
            .map_err(|_| LedgerError::VerifierKey(vkey.chars().take(400).collect()))?;
        Ok(Self { text: vkey.to_owned(), verifier })
    }

    /// The ledger's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        signed_note::Verifier::name(&self.verifier)
    }

    pub(crate) const fn verifier(&self) -> &StandardVerifier {
        &self.verifier
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn saved_keys_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.key");
        let key = LedgerKey::generate("ca.example.com/ledger").unwrap();
        key.save(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = LedgerKey::load(&path).unwrap();
        assert_eq!(again.vkey(), key.vkey());
        assert_eq!(again.sign(b"m").unwrap(), key.sign(b"m").unwrap());
        assert_eq!(VerifierKey::parse(&key.vkey()).unwrap().origin(), "ca.example.com/ledger");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(LedgerKey::load(&path).is_err());
    }

    #[test]
    fn bad_names_and_files_are_refused_without_showing_the_key() {
        for origin in ["", "a b", "a+b", "a\nb", "a\u{7f}b"] {
            assert!(LedgerKey::from_seed(origin, &[0; 32]).is_err(), "{origin:?}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.key");
        for text in ["", "x", "Origin: a\n", "no\n-----BEGIN PRIVATE KEY-----\n"] {
            write_atomic(&path, text.as_bytes(), Mode::Private).unwrap();
            let error = LedgerKey::load(&path).unwrap_err().to_string();
            assert!(error.contains("ledger.key is no ledger key"), "{error}");
        }
        let key = LedgerKey::from_seed("a", &[0x41; 32]).unwrap();
        assert!(!format!("{key:?}").contains("AAAA"));
        assert!(VerifierKey::parse("a+00000000+AQ==").is_err());
    }
}
