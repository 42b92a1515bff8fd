//! Keys that sign: the [`SigningKey`] trait, software keys and their files,
//! verification of signatures, PKCS#10 requests and PKCS#12 files.
//!
//! Cryptography comes from aws-lc-rs (feature `aws-lc`, the default) or from ring
//! (feature `ring`). With both, aws-lc-rs is used. ring cannot generate RSA keys,
//! knows no P-521, and keeps a streamed message in memory until it is signed.
//!
//! ```
//! use ca_domain::KeyAlgorithm;
//! use ca_signing::{SigningKey, SoftwareKey, verify};
//!
//! # fn main() -> Result<(), ca_signing::SigningError> {
//! let key = SoftwareKey::generate(KeyAlgorithm::P256)?;
//! let signature = key.sign(b"to be signed")?;
//! let algorithm = key.signature_algorithm().identifier();
//! verify(key.public_key_der(), &algorithm, b"to be signed", &signature)?;
//! # Ok(())
//! # }
//! ```

mod backend;
pub mod csr;
mod error;
mod key;
pub mod key_file;
mod passphrase;
pub mod pkcs12;
mod software;
mod verify;

pub use error::SigningError;
pub use key::{SigningKey, StreamSigner};
pub use key_file::KdfCost;
pub use passphrase::{Passphrase, PassphraseSource};
pub use pkcs12::Pkcs12Profile;
pub use software::SoftwareKey;
pub use verify::{StreamVerifier, verify, verify_certificate, verify_signed};

/// The name of the cryptographic library that this build uses.
pub const BACKEND: &str = backend::NAME;

/// `N` bytes from the operating system's random generator.
///
/// # Errors
/// [`SigningError::Random`] if the system gives none.
pub fn random<const N: usize>() -> Result<[u8; N], SigningError> {
    let mut bytes = [0; N];
    backend::fill_random(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod testing;
