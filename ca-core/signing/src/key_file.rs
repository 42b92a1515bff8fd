//! Private keys as PEM text: PKCS#8, plain or encrypted.

use der::pem::{LineEnding, PemLabel};
use der::{Decode, Encode};
use pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::{EncryptedPrivateKeyInfo, PrivateKeyInfo};
use zeroize::Zeroizing;

use crate::{Passphrase, SigningError};

/// scrypt memory above which a file is refused, in bytes.
const MAX_SCRYPT_MEMORY: u64 = 256 << 20;
/// scrypt work (N * r * p) above which a file is refused: about half a minute.
const MAX_SCRYPT_WORK: u64 = 1 << 26;
/// PBKDF2 rounds above which a file is refused: about ten seconds.
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;

/// What a try with a passphrase costs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KdfCost {
    /// For keys that protect something: scrypt with N = 2^14, r = 8, p = 20, about
    /// half a second a try. OpenSSL refuses scrypt with more than 32 MiB of memory,
    /// so p is raised and not N.
    Interactive,
    /// For tests: a fraction of a millisecond a try, no protection.
    Test,
}

impl KdfCost {
    fn scrypt(self) -> Result<scrypt::Params, SigningError> {
        let (log_n, r, p) = match self {
            Self::Interactive => (14, 8, 20),
            Self::Test => (4, 8, 1),
        };
        scrypt::Params::new(log_n, r, p, scrypt::Params::RECOMMENDED_LEN)
            .map_err(|_| SigningError::UnsupportedEncryption { what: "scrypt parameters".into() })
    }
}

/// Whether the text holds an encrypted key, so that a passphrase must be asked for.
#[must_use]
pub fn is_encrypted(pem: &str) -> bool {
    pem.contains(&begin_line(EncryptedPrivateKeyInfo::PEM_LABEL))
}

fn begin_line(label: &str) -> String {
    format!("-----BEGIN {label}-----")
}

/// The plain PKCS#8 DER of a PEM text.
pub(crate) fn decode(pem: &str, passphrase: Option<&Passphrase>) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    if let Some(der) = block(pem, EncryptedPrivateKeyInfo::PEM_LABEL)? {
        let passphrase = passphrase.ok_or(SigningError::PassphraseNeeded)?;
        return decrypt(&der, passphrase);
    }
    if let Some(der) = block(pem, PrivateKeyInfo::PEM_LABEL)? {
        return Ok(der);
    }
    let what = if ["RSA PRIVATE KEY", "EC PRIVATE KEY"].iter().any(|label| pem.contains(&begin_line(label))) {
        "a key of an older format; convert it with `openssl pkcs8 -topk8 -scrypt -in OLD -out NEW`"
    } else {
        "no private key found; it must be PEM with PRIVATE KEY or ENCRYPTED PRIVATE KEY"
    };
    Err(SigningError::NotAKeyFile { what: what.into() })
}

/// The content of the first block with this label.
fn block(pem: &str, label: &str) -> Result<Option<Zeroizing<Vec<u8>>>, SigningError> {
    let Some(start) = pem.find(&begin_line(label)) else { return Ok(None) };
    let end_line = format!("-----END {label}-----");
    let damaged = || SigningError::NotAKeyFile { what: format!("the PEM block {label} is damaged") };
    let length = pem[start..].find(&end_line).ok_or_else(damaged)? + end_line.len();
    let (_, der) = der::pem::decode_vec(&pem.as_bytes()[start..start + length]).map_err(|_| damaged())?;
    Ok(Some(Zeroizing::new(der)))
}

fn decrypt(der: &[u8], passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, SigningError> {
    let unsupported = |what: String| SigningError::UnsupportedEncryption { what };
    let info = EncryptedPrivateKeyInfo::from_der(der).map_err(|error| unsupported(error.to_string()))?;
    let parameters =
        info.encryption_algorithm.pbes2().ok_or_else(|| unsupported("PBES1, which is too weak".into()))?;
    check_cost(parameters).map_err(|what| unsupported(what.into()))?;
    let mut buffer = Zeroizing::new(info.encrypted_data.to_vec());
    let length = match parameters.decrypt_in_place(passphrase.expose(), &mut buffer) {
        Ok(plain) => plain.len(),
        // Wrong padding: pkcs5 calls it a failed encryption.
        Err(pkcs5::Error::EncryptFailed | pkcs5::Error::DecryptFailed) => {
            return Err(SigningError::WrongPassphrase);
        }
        Err(error) => return Err(unsupported(error.to_string())),
    };
    buffer.truncate(length);
    // One wrong passphrase in 256 leaves a valid padding, and then no valid DER.
    PrivateKeyInfo::from_der(&buffer).map_err(|_| SigningError::WrongPassphrase)?;
    Ok(buffer)
}

/// A crafted file must not take the machine's memory or the day.
pub(crate) fn check_cost(parameters: &Parameters<'_>) -> Result<(), &'static str> {
    match &parameters.kdf {
        Kdf::Scrypt(scrypt) => {
            let (n, r) = (scrypt.cost_parameter, u64::from(scrypt.block_size));
            let p = u64::from(scrypt.parallelization);
            let block = n.saturating_mul(r);
            if !n.is_power_of_two() || r == 0 || p == 0 {
                return Err("scrypt parameters are invalid");
            }
            if block.saturating_mul(128) > MAX_SCRYPT_MEMORY || block.saturating_mul(p) > MAX_SCRYPT_WORK {
                return Err("scrypt parameters ask for too much memory or time");
            }
        }
        Kdf::Pbkdf2(pbkdf2) => {
            if pbkdf2.iteration_count == 0 || pbkdf2.iteration_count > MAX_PBKDF2_ROUNDS {
                return Err("PBKDF2 rounds are out of range");
            }
        }
        _ => return Err("unknown key derivation"),
    }
    Ok(())
}

pub(crate) fn encode_encrypted(
    pkcs8: &[u8],
    passphrase: &Passphrase,
    cost: KdfCost,
) -> Result<Zeroizing<String>, SigningError> {
    if passphrase.expose().is_empty() {
        return Err(SigningError::BadPassphrase("the passphrase is empty"));
    }
    let failed = |error: pkcs5::Error| SigningError::UnsupportedEncryption { what: error.to_string() };
    let (salt, iv) = (crate::random::<16>()?, crate::random::<16>()?);
    let parameters = Parameters::scrypt_aes256cbc(cost.scrypt()?, &salt, &iv).map_err(failed)?;
    let encrypted_data = parameters.encrypt(passphrase.expose(), pkcs8).map_err(failed)?;
    let info =
        EncryptedPrivateKeyInfo { encryption_algorithm: parameters.into(), encrypted_data: &encrypted_data };
    let der = info.to_der().map_err(SigningError::der("the encrypted key"))?;
    to_pem(EncryptedPrivateKeyInfo::PEM_LABEL, &der)
}

pub(crate) fn encode_plain(pkcs8: &[u8]) -> Result<Zeroizing<String>, SigningError> {
    to_pem(PrivateKeyInfo::PEM_LABEL, pkcs8)
}

fn to_pem(label: &'static str, der: &[u8]) -> Result<Zeroizing<String>, SigningError> {
    der::pem::encode_string(label, LineEnding::LF, der)
        .map(Zeroizing::new)
        .map_err(|error| SigningError::der("the key file")(error.into()))
}

#[cfg(test)]
mod tests;
