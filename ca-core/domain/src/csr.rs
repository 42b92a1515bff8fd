//! PKCS#10 certification requests (RFC 2986).
//!
//! A requester controls nothing but the public key. Only that comes out of a
//! request for use; what else it asks for can be shown to a person.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::ID_EXTENSION_REQ;
use der::asn1::{AnyRef, BitString};
use der::{Decode, Encode, Reader, SliceReader, Tagged};
use spki::AlgorithmIdentifierOwned;
use x509_cert::name::Name;

use crate::{CheckedKey, KeyError, check_public_key};

/// Octets of a request at most, PEM text around it included.
const MAX_REQUEST: usize = 64 * 1024;
/// Extensions that are listed for display at most.
const MAX_SHOWN: usize = 64;

/// Checks a signature: DER SubjectPublicKeyInfo, signature algorithm, message,
/// signature bits. This crate has no cryptographic backend of its own.
pub type Verify<'a> = dyn Fn(&[u8], &AlgorithmIdentifierOwned, &[u8], &[u8]) -> bool + 'a;

/// A request whose key may be certified and whose sender has proved possession
/// of the private key.
#[derive(Clone, Debug)]
pub struct VerifiedRequest {
    der: Vec<u8>,
    key: CheckedKey,
    subject: Option<Name>,
    extensions: Vec<ObjectIdentifier>,
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum CsrError {
    /// Too many octets.
    #[error("the request has {0} octets; 65536 are the most that is read")]
    TooLong(usize),
    /// No PEM block of a request, or one whose content is not base64.
    #[error("no PEM block \"CERTIFICATE REQUEST\" with base64 content; give a PKCS#10 request in PEM or DER")]
    Pem,
    /// Several PEM blocks.
    #[error("the file holds several requests; give one at a time")]
    Several,
    /// Not DER, or not a request.
    #[error("not a DER PKCS#10 request: {0}")]
    Malformed(#[from] der::Error),
    /// A version other than v1.
    #[error("the request is of an unknown version; PKCS#10 has only version 1 (RFC 2986, section 4.1)")]
    Version,
    /// A key that may not be certified.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The signature does not verify.
    #[error(
        "the request's signature does not verify under its own key: possession of the private key is not proved"
    )]
    Possession,
}

/// CertificationRequest with its first part undecoded: what was signed is
/// these bytes.
#[derive(der::Sequence)]
struct Outer<'a> {
    info: AnyRef<'a>,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

impl VerifiedRequest {
    /// Reads a request in PEM or DER, whichever it is.
    ///
    /// # Errors
    /// [`CsrError`] says why the request is refused.
    pub fn from_bytes(bytes: &[u8], verify: &Verify<'_>) -> Result<Self, CsrError> {
        if bytes.first() == Some(&0x30) {
            Self::from_der(bytes, verify)
        } else {
            Self::from_pem(bytes, verify)
        }
    }

    /// Reads a request in PEM (RFC 7468, section 7). Text around the block and
    /// the old label `NEW CERTIFICATE REQUEST` are accepted.
    ///
    /// # Errors
    /// [`CsrError`] says why the request is refused.
    pub fn from_pem(bytes: &[u8], verify: &Verify<'_>) -> Result<Self, CsrError> {
        if bytes.len() > MAX_REQUEST {
            return Err(CsrError::TooLong(bytes.len()));
        }
        let text = String::from_utf8_lossy(bytes);
        Self::from_der(&pem_content(&text)?, verify)
    }

    /// Reads a request in DER.
    ///
    /// # Errors
    /// [`CsrError`] says why the request is refused.
    pub fn from_der(der: &[u8], verify: &Verify<'_>) -> Result<Self, CsrError> {
        if der.len() > MAX_REQUEST {
            return Err(CsrError::TooLong(der.len()));
        }
        let outer = Outer::from_der(der)?;
        outer.info.tag().assert_eq(der::Tag::Sequence)?;
        let mut info = SliceReader::new(outer.info.value())?;
        if info.decode::<AnyRef<'_>>()? != AnyRef::new(der::Tag::Integer, &[0])? {
            return Err(CsrError::Version);
        }
        let subject: AnyRef<'_> = info.decode()?;
        let spki: AnyRef<'_> = info.decode()?;
        let rest = info.read_slice(info.remaining_len())?;

        // Before the signature: a key of absurd size must not cost a verification.
        let key = check_public_key(&spki.to_der()?)?;
        let message = outer.info.to_der()?;
        let signature = outer.signature.as_bytes().ok_or(CsrError::Possession)?;
        if !verify(&key.spki_der, &outer.algorithm, &message, signature) {
            return Err(CsrError::Possession);
        }
        Ok(Self {
            der: der.to_vec(),
            key,
            subject: subject.to_der().ok().and_then(|der| Name::from_der(&der).ok()),
            extensions: requested_extensions(rest).unwrap_or_default(),
        })
    }

    /// The key: all that a request decides.
    #[must_use]
    pub fn key(&self) -> &CheckedKey {
        &self.key
    }

    /// The key as DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn public_key_der(&self) -> &[u8] {
        &self.key.spki_der
    }

    /// The request itself, for the record.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The subject asked for, **for display only**; none if it is unreadable.
    #[must_use]
    pub fn requested_subject(&self) -> Option<&Name> {
        self.subject.as_ref()
    }

    /// The extensions asked for, **for display only**: the first 64, in order,
    /// repetitions included; none if they are unreadable.
    #[must_use]
    pub fn requested_extensions(&self) -> &[ObjectIdentifier] {
        &self.extensions
    }
}

/// The DER within the one PEM block of a text.
fn pem_content(text: &str) -> Result<Vec<u8>, CsrError> {
    let mut found = None;
    for label in ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"] {
        let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
        for (at, _) in text.match_indices(&begin) {
            if found.is_some() {
                return Err(CsrError::Several);
            }
            let body = &text[at + begin.len()..];
            found = Some(&body[..body.find(&end).ok_or(CsrError::Pem)?]);
        }
    }
    let base64: String = found.ok_or(CsrError::Pem)?.split_ascii_whitespace().collect();
    BASE64.decode(base64).map_err(|_| CsrError::Pem)
}

/// The identifiers of the extensions in a request's attributes.
fn requested_extensions(attributes: &[u8]) -> der::Result<Vec<ObjectIdentifier>> {
    let mut found = Vec::new();
    if attributes.is_empty() {
        return Ok(found);
    }
    let set = AnyRef::from_der(attributes)?;
    let mut set = SliceReader::new(set.value())?;
    while !set.is_finished() {
        let attribute: AnyRef<'_> = set.decode()?;
        let mut attribute = SliceReader::new(attribute.value())?;
        if attribute.decode::<ObjectIdentifier>()? != ID_EXTENSION_REQ {
            continue;
        }
        let values: AnyRef<'_> = attribute.decode()?;
        let mut values = SliceReader::new(values.value())?;
        while !values.is_finished() {
            let list: AnyRef<'_> = values.decode()?;
            let mut list = SliceReader::new(list.value())?;
            while !list.is_finished() && found.len() < MAX_SHOWN {
                let extension: AnyRef<'_> = list.decode()?;
                found.push(SliceReader::new(extension.value())?.decode()?);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
