//! The public key of Intune's certificate connector: passwords are encrypted to it.

use ca_domain::RsaPublicKey;
use ca_domain::key_check::check_public_key;
use ca_escrow::seal_password;
use const_oid::db::rfc5912;
use der::asn1::{BitString, Null, UintRef};
use der::{Decode, Encode};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use crate::error::{AuthorityError, Result};

/// "RSA1", as CNG begins a public key (BCRYPT_RSAPUBLIC_BLOB).
const MAGIC: &[u8; 4] = b"RSA1";
/// Octets of its header: magic, bits, and the lengths of exponent, modulus and two primes.
const HEADER: usize = 24;

/// The key, and how the connector finds its private half.
#[derive(Clone, Debug)]
pub struct ConnectorKey {
    spki: Vec<u8>,
    /// The key storage provider on the connector's machine.
    pub provider: String,
    /// The key's name there.
    pub name: String,
}

impl ConnectorKey {
    /// Reads what `Export-IntunePublicKey` writes (a CNG blob), or a PEM public key;
    /// `file` is for messages.
    ///
    /// # Errors
    /// Another format, or a key that is weak or not RSA of 2048, 3072 or 4096 bits.
    pub fn read(bytes: &[u8], file: &str, provider: &str, name: &str) -> Result<Self> {
        let unknown = || {
            AuthorityError::Input(format!(
                "{file} is not a public key; give the file that Export-IntunePublicKey wrote, or PEM with PUBLIC KEY"
            ))
        };
        let spki = if bytes.starts_with(MAGIC) {
            of_blob(bytes).ok_or_else(unknown)?
        } else {
            let text = std::str::from_utf8(bytes).map_err(|_| unknown())?;
            let (label, der) = der::pem::decode_vec(text.trim().as_bytes()).map_err(|_| unknown())?;
            match label {
                "PUBLIC KEY" => der,
                "RSA PUBLIC KEY" => wrapped(&der).ok_or_else(unknown)?,
                _ => return Err(unknown()),
            }
        };
        let key = check_public_key(&spki)?;
        if key.algorithm.is_rsa() {
            Ok(Self { spki, provider: provider.to_owned(), name: name.to_owned() })
        } else {
            Err(AuthorityError::Refused(format!("{file} is no RSA key; name the connector's public key")))
        }
    }

    /// RSA-OAEP with SHA-512.
    pub(super) fn encrypt(&self, password: &[u8]) -> Result<Vec<u8>> {
        Ok(seal_password(&self.spki, password)?)
    }
}

/// Exponent and modulus of a CNG blob; its header is little-endian, its integers big-endian.
fn of_blob(bytes: &[u8]) -> Option<Vec<u8>> {
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let (exponent, modulus) = (number(8)?, number(12)?);
    let body = bytes.get(HEADER..)?;
    if body.len() != exponent.checked_add(modulus)? {
        return None;
    }
    let (exponent, modulus) = body.split_at(exponent);
    let key =
        RsaPublicKey { modulus: UintRef::new(modulus).ok()?, public_exponent: UintRef::new(exponent).ok()? };
    wrapped(&key.to_der().ok()?)
}

/// A SubjectPublicKeyInfo around an RSAPublicKey (RFC 8017, appendix A.1.1).
fn wrapped(key: &[u8]) -> Option<Vec<u8>> {
    RsaPublicKey::from_der(key).ok()?;
    let algorithm = AlgorithmIdentifierOwned { oid: rfc5912::RSA_ENCRYPTION, parameters: Some(Null.into()) };
    let subject_public_key = BitString::from_bytes(key).ok()?;
    SubjectPublicKeyInfoOwned { algorithm, subject_public_key }.to_der().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_refused() {
        let blob = |bits: u32, exponent: u32, modulus: u32, body: &[u8]| {
            let numbers = [bits, exponent, modulus, 0, 0].map(u32::to_le_bytes).concat();
            [&MAGIC[..], &numbers, body].concat()
        };
        let read = |bytes: &[u8]| ConnectorKey::read(bytes, "key.blob", "p", "k").unwrap_err().to_string();
        for bytes in [
            &b""[..],
            b"RSA1",
            &blob(2048, 3, 256, &[1; 258]),
            &blob(2048, u32::MAX, u32::MAX, &[1; 258]),
            b"-----BEGIN PUBLIC KEY-----\nAAAA\n",
        ] {
            assert!(read(bytes).contains("Export-IntunePublicKey"), "{bytes:?}");
        }
        // The form is right, the key is not.
        assert!(read(&blob(1024, 3, 128, &[1; 131])).contains("modulus"));
    }
}
