//! Encryption and MAC of PKCS#12 files.

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockEncryptMut, KeyIvInit};
use der::asn1::{Any, Null, OctetString};
use hmac::{Hmac, Mac};
use pkcs5::pbes2;
use pkcs12::digest_info::DigestInfo;
use pkcs12::kdf::{Pkcs12KeyType, derive_key_utf8};
use pkcs12::mac_data::MacData;
use pkcs12::pbe_params::Pkcs12PbeParams;
use sha1::Sha1;
use sha2::Sha256;
use spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use super::{Pkcs12Profile, Rounds, salt};
use crate::{Passphrase, SigningError};

/// Rounds of the modern profile: each try costs an attacker as much as it can
/// without a noticeable wait.
const MODERN_ROUNDS: i32 = 100_000;
/// Rounds of the compatible profile: what Java writes, within every importer's limit.
const COMPAT_ROUNDS: i32 = 10_000;

/// Rounds for generated passphrases: what OpenSSL writes.
const FEW_ROUNDS: i32 = 2_048;

const FAILED: &str = "the PKCS#12 file";

/// The format carries passphrases as BMPString.
pub(super) fn check_passphrase(passphrase: &Passphrase) -> Result<(), SigningError> {
    let text = passphrase.expose();
    if text.is_empty() {
        return Err(SigningError::BadPassphrase("a PKCS#12 file needs a passphrase; give one"));
    }
    if text.chars().any(|c| c >= '\u{ffff}' || c.is_control()) {
        return Err(SigningError::BadPassphrase(
            "PKCS#12 cannot carry a character of this passphrase (an emoji or a control character); \
             choose another",
        ));
    }
    Ok(())
}

/// How a file is protected.
pub(super) struct Cipher<'a> {
    pub(super) profile: Pkcs12Profile,
    pub(super) rounds: Rounds,
    pub(super) passphrase: &'a Passphrase,
}

impl Cipher<'_> {
    const fn rounds(&self) -> i32 {
        match (self.rounds, self.profile) {
            (Rounds::Few, _) => FEW_ROUNDS,
            (Rounds::Many, Pkcs12Profile::Modern) => MODERN_ROUNDS,
            (Rounds::Many, Pkcs12Profile::Compat) => COMPAT_ROUNDS,
        }
    }

    /// Encrypts for the profile; the algorithm has the salt and rounds in it.
    pub(super) fn encrypt(&self, plain: &[u8]) -> Result<(AlgorithmIdentifierOwned, Vec<u8>), SigningError> {
        match self.profile {
            Pkcs12Profile::Modern => pbes2_aes256(plain, self.passphrase, self.rounds()),
            Pkcs12Profile::Compat => pbe_3des(plain, self.passphrase, self.rounds()),
        }
    }

    /// The MAC over the AuthenticatedSafe (RFC 7292, section 4 and appendix B).
    pub(super) fn mac(&self, content: &[u8]) -> Result<MacData, SigningError> {
        mac(self.profile, content, self.passphrase, self.rounds())
    }
}

fn pbes2_aes256(
    plain: &[u8],
    passphrase: &Passphrase,
    rounds: i32,
) -> Result<(AlgorithmIdentifierOwned, Vec<u8>), SigningError> {
    let failed = |error: pkcs5::Error| SigningError::UnsupportedEncryption { what: error.to_string() };
    let (salt, iv) = (crate::random::<16>()?, crate::random::<16>()?);
    let parameters =
        pbes2::Parameters::pbkdf2_sha256_aes256cbc(rounds.unsigned_abs(), &salt, &iv).map_err(failed)?;
    let encrypted = parameters.encrypt(passphrase.expose(), plain).map_err(failed)?;
    let parameters = Any::encode_from(&parameters).map_err(SigningError::der(FAILED))?;
    Ok((AlgorithmIdentifierOwned { oid: pbes2::PBES2_OID, parameters: Some(parameters) }, encrypted))
}

/// pbeWithSHAAnd3-KeyTripleDES-CBC (RFC 7292, appendix C).
fn pbe_3des(
    plain: &[u8],
    passphrase: &Passphrase,
    rounds: i32,
) -> Result<(AlgorithmIdentifierOwned, Vec<u8>), SigningError> {
    let derive = |salt: &[u8], kind, length| {
        derive_key_utf8::<Sha1>(passphrase.expose(), salt, kind, rounds, length)
            .map(Zeroizing::new)
            .map_err(SigningError::der(FAILED))
    };
    let (salt, key) = loop {
        // Some importers take salts of 8 or 20 bytes only.
        let salt = crate::random::<8>()?;
        let key = derive(&salt, Pkcs12KeyType::EncryptionKey, 24)?;
        if !salt::misleads_gpgsm(&salt, passphrase.expose(), &key) {
            break (salt, key);
        }
    };
    let iv = derive(&salt, Pkcs12KeyType::Iv, 8)?;
    let cipher = cbc::Encryptor::<des::TdesEde3>::new_from_slices(&key, &iv)
        .map_err(|_| SigningError::UnsupportedEncryption { what: "Triple DES key".into() })?;
    let encrypted = cipher.encrypt_padded_vec_mut::<Pkcs7>(plain);
    let parameters = OctetString::new(salt)
        .and_then(|salt| Any::encode_from(&Pkcs12PbeParams { salt, iterations: rounds }))
        .map_err(SigningError::der(FAILED))?;
    let oid = pkcs12::PKCS_12_PBE_WITH_SHAAND3_KEY_TRIPLE_DES_CBC;
    Ok((AlgorithmIdentifierOwned { oid, parameters: Some(parameters) }, encrypted))
}

fn mac(
    profile: Pkcs12Profile,
    content: &[u8],
    passphrase: &Passphrase,
    rounds: i32,
) -> Result<MacData, SigningError> {
    let salt = crate::random::<8>()?;
    let text = passphrase.expose();
    let failed = || SigningError::der(FAILED);
    let bad_key = |_| SigningError::UnsupportedEncryption { what: "MAC key".into() };
    let (oid, digest) = match profile {
        Pkcs12Profile::Modern => {
            let key = derive_key_utf8::<Sha256>(text, &salt, Pkcs12KeyType::Mac, rounds, 32)
                .map(Zeroizing::new)
                .map_err(failed())?;
            let mac = Hmac::<Sha256>::new_from_slice(&key).map_err(bad_key)?;
            let digest = mac.chain_update(content).finalize().into_bytes().to_vec();
            (const_oid::db::rfc5912::ID_SHA_256, digest)
        }
        Pkcs12Profile::Compat => {
            let key = derive_key_utf8::<Sha1>(text, &salt, Pkcs12KeyType::Mac, rounds, 20)
                .map(Zeroizing::new)
                .map_err(failed())?;
            let mac = Hmac::<Sha1>::new_from_slice(&key).map_err(bad_key)?;
            let digest = mac.chain_update(content).finalize().into_bytes().to_vec();
            (const_oid::db::rfc5912::ID_SHA_1, digest)
        }
    };
    // The NULL is what OpenSSL and Windows write; old importers compare bytes.
    let algorithm = AlgorithmIdentifierOwned { oid, parameters: Some(Null.into()) };
    let digest = OctetString::new(digest).map_err(failed())?;
    let mac_salt = OctetString::new(salt).map_err(failed())?;
    Ok(MacData { mac: DigestInfo { algorithm, digest }, mac_salt, iterations: rounds })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many salts that are not looked at, 15 mislead.
    #[test]
    fn no_salt_misleads_gpgsm() {
        let text = "pw-for-import";
        let passphrase = Passphrase::from_string(text.into());
        for _ in 0..2_000 {
            let (algorithm, _) = pbe_3des(b"plain", &passphrase, 1).unwrap();
            let parameters: Pkcs12PbeParams = algorithm.parameters.unwrap().decode_as().unwrap();
            let salt: &[u8; 8] = parameters.salt.as_bytes().try_into().unwrap();
            let key = derive_key_utf8::<Sha1>(text, salt, Pkcs12KeyType::EncryptionKey, 1, 24).unwrap();
            assert!(!salt::misleads_gpgsm(salt, text, &key));
        }
    }
}
