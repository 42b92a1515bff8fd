//! What every signing key can do, wherever it lives.

use ca_domain::{KeyAlgorithm, SignatureAlgorithm};

use crate::SigningError;

/// A private key that signs: in software, or later in a token.
///
/// The trait is object-safe: the other rooms take `&dyn SigningKey`.
///
/// ```
/// use ca_domain::{KeyAlgorithm, SignatureAlgorithm};
/// use ca_signing::{SigningError, SigningKey, SoftwareKey, verify};
///
/// /// Signs a long message piece by piece.
/// fn sign_pieces(key: &dyn SigningKey, pieces: &[&[u8]]) -> Result<Vec<u8>, SigningError> {
///     let mut signer = key.begin();
///     for piece in pieces {
///         signer.update(piece);
///     }
///     signer.finish()
/// }
///
/// # fn main() -> Result<(), SigningError> {
/// let key = SoftwareKey::generate(KeyAlgorithm::P384)?;
/// assert_eq!(key.signature_algorithm(), SignatureAlgorithm::EcdsaSha384);
/// let signature = sign_pieces(&key, &[b"to be ", b"signed"])?;
/// verify(key.public_key_der(), &key.signature_algorithm().identifier(), b"to be signed", &signature)?;
/// # Ok(())
/// # }
/// ```
pub trait SigningKey: Send + Sync {
    /// The kind and size of the key.
    fn key_algorithm(&self) -> KeyAlgorithm;

    /// What it signs with; one algorithm a key.
    fn signature_algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::of_key(self.key_algorithm())
    }

    /// The public key: DER of SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
    fn public_key_der(&self) -> &[u8];

    /// Signs a whole message; the hash is taken here.
    ///
    /// The result is what the signature BIT STRING of X.509 contains: for ECDSA
    /// the DER of Ecdsa-Sig-Value (RFC 5480, appendix A), else the raw signature.
    ///
    /// # Errors
    /// The key or its token refuses.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError>;

    /// Begins to sign a message that comes in pieces.
    ///
    /// Memory stays constant where the key can sign a digest; Ed25519 and some
    /// backends must collect the whole message.
    fn begin(&self) -> Box<dyn StreamSigner + '_>;
}

/// A signature in the making.
pub trait StreamSigner: Send {
    /// Adds the next piece of the message.
    fn update(&mut self, bytes: &[u8]);

    /// Signs all pieces together, as [`SigningKey::sign`] would, and verifies the
    /// signature: what is signed in pieces is published, and worth the time.
    ///
    /// # Errors
    /// The key or its token refuses, or signs wrongly.
    fn finish(self: Box<Self>) -> Result<Vec<u8>, SigningError>;
}
