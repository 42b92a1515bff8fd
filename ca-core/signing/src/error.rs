//! What can go wrong with keys and signatures.

use std::path::{Path, PathBuf};

use ca_domain::KeyAlgorithm;
use ca_files::FileError;
use const_oid::ObjectIdentifier;

/// An error of this crate. No message contains key material or a passphrase.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// A file could not be read, or others could read or change it.
    #[error(transparent)]
    File(#[from] FileError),
    /// Something is wrong with what a file contains.
    #[error("{path}: {source}", path = .path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<SigningError>,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes; nothing was made, try again")]
    Random,
    /// This build cannot generate keys of this kind.
    #[error(
        "this build ({backend}) cannot generate {algorithm} keys; use the default build (feature `aws-lc`), \
         or make the key elsewhere and import it"
    )]
    CannotGenerate {
        /// The key that was asked for.
        algorithm: KeyAlgorithm,
        /// The cryptographic library of this build.
        backend: &'static str,
    },
    /// Key generation failed.
    #[error("could not generate a key of kind {algorithm}: {cause}")]
    Generation {
        /// The key that was asked for.
        algorithm: KeyAlgorithm,
        /// What the cryptographic library said.
        cause: String,
    },
    /// A private key of a kind or size that this suite does not use.
    #[error(
        "this is not a key of a supported kind ({what}); use RSA 2048, 3072 or 4096, P-256, P-384 or Ed25519"
    )]
    UnsupportedKey {
        /// What was found.
        what: String,
    },
    /// The private key is damaged or inconsistent.
    #[error("the private key is not usable: {cause}")]
    KeyRejected {
        /// What the cryptographic library said.
        cause: String,
    },
    /// Not a PEM private key in PKCS#8.
    #[error("{what}")]
    NotAKeyFile {
        /// What was found and what to do.
        what: String,
    },
    /// The key is encrypted and no passphrase was given.
    #[error("the private key is encrypted; give its passphrase")]
    PassphraseNeeded,
    /// The key does not open with this passphrase.
    #[error("wrong passphrase, or the key file is damaged")]
    WrongPassphrase,
    /// A passphrase that cannot be used.
    #[error("{0}")]
    BadPassphrase(&'static str),
    /// Encryption of a kind that is not supported, or with absurd costs.
    #[error(
        "the key's encryption is not supported ({what}); rewrite it with \
         `openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW`"
    )]
    UnsupportedEncryption {
        /// What was found.
        what: String,
    },
    /// A PKCS#12 file of a kind that is not read, or with absurd costs.
    #[error(
        "the PKCS#12 file is of a kind that is not read ({what}); write it again with \
         `openssl pkcs12 -export -keypbe AES-256-CBC -certpbe AES-256-CBC`"
    )]
    UnsupportedPkcs12 {
        /// What was found.
        what: String,
    },
    /// The cryptographic library refused to sign.
    #[error("{backend} refused to sign")]
    SignFailed {
        /// The cryptographic library of this build.
        backend: &'static str,
    },
    /// The key made a signature that does not verify.
    #[error(
        "the key made a wrong signature, which was thrown away; the key, its token or this machine is faulty"
    )]
    SignedWrongly,
    /// The signature does not verify.
    #[error("the signature is not valid for this content and key")]
    BadSignature,
    /// A message that cannot be verified in pieces with this kind of key.
    #[error("a message of more than 1 GiB cannot be verified with a key that signs no digests (Ed25519)")]
    TooLong,
    /// A signature algorithm that is unknown, unsafe, or not the key's.
    #[error("the signature algorithm {oid} is not accepted for {key}")]
    UnsupportedSignature {
        /// The algorithm.
        oid: ObjectIdentifier,
        /// The kind of key it came with.
        key: &'static str,
    },
    /// An AlgorithmIdentifier with the wrong parameters.
    #[error("the parameters of algorithm {oid} must be {wanted}")]
    AlgorithmParameters {
        /// The algorithm.
        oid: ObjectIdentifier,
        /// `NULL` or `absent`.
        wanted: &'static str,
    },
    /// A public key that cannot be read or used.
    #[error("the public key is not acceptable: {0}")]
    BadPublicKey(&'static str),
    /// The algorithm outside a signed structure is not the one inside.
    #[error(
        "the signature algorithm is not the same inside and outside the certificate (RFC 5280, section 4.1.1.2)"
    )]
    AlgorithmMismatch,
    /// Certificate and private key do not belong together.
    #[error("the certificate is not for this private key; give the certificate issued for it")]
    KeyMismatch,
    /// DER that cannot be read or written.
    #[error("cannot read or write {what}: {source}")]
    Der {
        /// Which structure.
        what: &'static str,
        /// Why not.
        source: der::Error,
    },
}

impl SigningError {
    pub(crate) fn der(what: &'static str) -> impl FnOnce(der::Error) -> Self {
        move |source| Self::Der { what, source }
    }

    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self {
            // These name the path already.
            Self::File(_) | Self::InFile { .. } => self,
            other => Self::InFile { path: path.to_owned(), source: Box::new(other) },
        }
    }

    /// Whether the passphrase is the cause, so that asking again makes sense.
    #[must_use]
    pub fn is_wrong_passphrase(&self) -> bool {
        match self {
            Self::WrongPassphrase => true,
            Self::InFile { source, .. } => source.is_wrong_passphrase(),
            _ => false,
        }
    }

    /// Whether an encrypted key came without a passphrase.
    #[must_use]
    pub fn is_passphrase_needed(&self) -> bool {
        match self {
            Self::PassphraseNeeded => true,
            Self::InFile { source, .. } => source.is_passphrase_needed(),
            _ => false,
        }
    }
}
