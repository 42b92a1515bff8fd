//! The one place of this room that knows the cryptographic library.
//!
//! RSA-OAEP with SHA-256 (RFC 8017, section 7.1), AES-256 key wrap (RFC 3394) and
//! AES-256-CBC, all from aws-lc-rs. ring has no encryption with RSA.

use zeroize::Zeroizing;

use crate::EscrowError;
use crate::sharing::KEK_LEN;

/// A secret of 256 bits.
pub(crate) type Secret = Zeroizing<[u8; KEK_LEN]>;

/// A fresh AES-256 key.
pub(crate) fn random_key() -> Result<Secret, EscrowError> {
    Ok(Zeroizing::new(ca_signing::random()?))
}

#[cfg(feature = "aws-lc")]
mod backend {
    use aws_lc_rs::cipher::{
        AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
        UnboundCipherKey,
    };
    use aws_lc_rs::iv::FixedLength;
    use aws_lc_rs::key_wrap::{self, AesKek, KeyWrap as _};
    use aws_lc_rs::rsa::{
        OAEP_SHA256_MGF1SHA256, OAEP_SHA512_MGF1SHA512, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
        PrivateDecryptingKey, PublicEncryptingKey,
    };

    use super::{EscrowError, KEK_LEN, Secret, Zeroizing};

    /// The size of a wrapped AES-256 key.
    const WRAPPED_LEN: usize = KEK_LEN + 8;

    const REFUSED: EscrowError = EscrowError::Backend("the cryptographic library refused the operation");

    /// Encrypts a key to an RSA public key (DER SubjectPublicKeyInfo).
    pub(crate) fn oaep_encrypt(spki_der: &[u8], key: &Secret) -> Result<Vec<u8>, EscrowError> {
        let public = PublicEncryptingKey::from_der(spki_der).map_err(|_| EscrowError::NotRsa)?;
        let public = OaepPublicEncryptingKey::new(public).map_err(|_| EscrowError::NotRsa)?;
        let mut encrypted = vec![0; public.ciphertext_size()];
        let length = public
            .encrypt(&OAEP_SHA256_MGF1SHA256, key.as_slice(), &mut encrypted, None)
            .map_err(|_| REFUSED)?
            .len();
        encrypted.truncate(length);
        Ok(encrypted)
    }

    /// Encrypts a password to an RSA public key (DER SubjectPublicKeyInfo).
    pub(crate) fn oaep_sha512_encrypt(spki_der: &[u8], password: &[u8]) -> Result<Vec<u8>, EscrowError> {
        let public = PublicEncryptingKey::from_der(spki_der).map_err(|_| EscrowError::NotRsa)?;
        let public = OaepPublicEncryptingKey::new(public).map_err(|_| EscrowError::NotRsa)?;
        let mut encrypted = vec![0; public.ciphertext_size()];
        let length = public
            .encrypt(&OAEP_SHA512_MGF1SHA512, password, &mut encrypted, None)
            .map_err(|_| REFUSED)?
            .len();
        encrypted.truncate(length);
        Ok(encrypted)
    }

    /// Decrypts a key with an RSA private key (PKCS#8 DER); none if it was
    /// encrypted to another key or was changed.
    pub(crate) fn oaep_decrypt(pkcs8_der: &[u8], encrypted: &[u8]) -> Result<Option<Secret>, EscrowError> {
        let private = PrivateDecryptingKey::from_pkcs8(pkcs8_der).map_err(|_| EscrowError::NotRsa)?;
        let private = OaepPrivateDecryptingKey::new(private).map_err(|_| EscrowError::NotRsa)?;
        let mut plain = Zeroizing::new(vec![0; private.min_output_size()]);
        let Ok(key) = private.decrypt(&OAEP_SHA256_MGF1SHA256, encrypted, &mut plain, None) else {
            return Ok(None);
        };
        Ok(<[u8; KEK_LEN]>::try_from(&*key).ok().map(Zeroizing::new))
    }

    /// Wraps a key (RFC 3394).
    pub(crate) fn wrap(kek: &Secret, key: &Secret) -> Result<Vec<u8>, EscrowError> {
        let kek = AesKek::new(&key_wrap::AES_256, kek.as_slice()).map_err(|_| REFUSED)?;
        let mut wrapped = vec![0; WRAPPED_LEN];
        kek.wrap(key.as_slice(), &mut wrapped).map_err(|_| REFUSED)?;
        Ok(wrapped)
    }

    /// Unwraps a key; none with another wrapping key, or if it was changed.
    pub(crate) fn unwrap(kek: &Secret, wrapped: &[u8]) -> Result<Option<Secret>, EscrowError> {
        let kek = AesKek::new(&key_wrap::AES_256, kek.as_slice()).map_err(|_| REFUSED)?;
        let mut key = Zeroizing::new([0; KEK_LEN]);
        let fits = wrapped.len() == WRAPPED_LEN && kek.unwrap(wrapped, key.as_mut_slice()).is_ok();
        Ok(fits.then_some(key))
    }

    /// Encrypts with AES-256-CBC and PKCS#7 padding under a fresh IV.
    pub(crate) fn cbc_encrypt(key: &Secret, plain: &[u8]) -> Result<([u8; 16], Vec<u8>), EscrowError> {
        let key = UnboundCipherKey::new(&AES_256, key.as_slice()).map_err(|_| REFUSED)?;
        let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).map_err(|_| REFUSED)?;
        let iv: [u8; 16] = ca_signing::random()?;
        // Room for the padding, so that the plain text is never moved and left behind.
        let mut buffer = Vec::with_capacity(plain.len() + 16);
        buffer.extend_from_slice(plain);
        key.less_safe_encrypt(&mut buffer, EncryptionContext::Iv128(FixedLength::from(iv)))
            .map_err(|_| REFUSED)?;
        Ok((iv, buffer))
    }

    /// Decrypts AES-256-CBC with PKCS#7 padding; none if the padding is wrong.
    pub(crate) fn cbc_decrypt(
        key: &Secret,
        iv: &[u8; 16],
        encrypted: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, EscrowError> {
        let key = UnboundCipherKey::new(&AES_256, key.as_slice()).map_err(|_| REFUSED)?;
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(|_| REFUSED)?;
        let mut buffer = Zeroizing::new(encrypted.to_vec());
        let context = DecryptionContext::Iv128(FixedLength::from(*iv));
        let plain = key.decrypt(&mut buffer, context).ok().map(|plain| plain.len());
        Ok(plain.map(|length| {
            buffer.truncate(length);
            buffer
        }))
    }
}

#[cfg(not(feature = "aws-lc"))]
mod backend {
    use super::{EscrowError, Secret, Zeroizing};

    const NONE: EscrowError = EscrowError::NoRsaEncryption { backend: ca_signing::BACKEND };

    pub(crate) fn oaep_encrypt(_: &[u8], _: &Secret) -> Result<Vec<u8>, EscrowError> {
        Err(NONE)
    }

    pub(crate) fn oaep_sha512_encrypt(_: &[u8], _: &[u8]) -> Result<Vec<u8>, EscrowError> {
        Err(NONE)
    }

    pub(crate) fn oaep_decrypt(_: &[u8], _: &[u8]) -> Result<Option<Secret>, EscrowError> {
        Err(NONE)
    }

    pub(crate) fn wrap(_: &Secret, _: &Secret) -> Result<Vec<u8>, EscrowError> {
        Err(NONE)
    }

    pub(crate) fn unwrap(_: &Secret, _: &[u8]) -> Result<Option<Secret>, EscrowError> {
        Err(NONE)
    }

    pub(crate) fn cbc_encrypt(_: &Secret, _: &[u8]) -> Result<([u8; 16], Vec<u8>), EscrowError> {
        Err(NONE)
    }

    pub(crate) fn cbc_decrypt(
        _: &Secret,
        _: &[u8; 16],
        _: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, EscrowError> {
        Err(NONE)
    }
}

pub(crate) use backend::{cbc_decrypt, cbc_encrypt, oaep_decrypt, oaep_encrypt, unwrap, wrap};

/// Encrypts a password with RSA-OAEP, SHA-512 and MGF1-SHA-512 (RFC 8017, section 7.1) to
/// a public key (DER SubjectPublicKeyInfo): with 2048 bits it has at most 126 octets.
///
/// # Errors
/// A key that is not RSA of 2048 to 8192 bits; a password that is too long; a build
/// without encryption with RSA.
pub fn seal_password(spki_der: &[u8], password: &[u8]) -> Result<Vec<u8>, EscrowError> {
    backend::oaep_sha512_encrypt(spki_der, password)
}
